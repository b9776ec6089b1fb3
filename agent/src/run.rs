//! The daemon: one owner of the state, and the thin shell around it.
//!
//! Start: receipt taps first, so that paper comes out whatever else fails; then vault, outbox, replica;
//! then the till's API, scanners and journals; then, once enrolled, the line to central. Stop: devices
//! and API take no more, what is on its way becomes durable and is answered, the outbox is closed.

pub mod effect;
mod notes;
mod pending;
mod supervisor;
pub mod terminal;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::Local;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tillbind_firmware_bridge::code::{CardRules, CardRulesError};
use tokio::sync::{broadcast, mpsc, watch};
use zeroize::Zeroizing;

use crate::api::{self, ApiError, Served};
use crate::clock;
use crate::config::Config;
use crate::devices::{Clocks, Devices, FileNotes};
use crate::downlink;
use crate::event::Event;
use crate::identity::enrolment::Machine;
use crate::identity::{Identity, IdentityError};
use crate::members::{MembersError, Replica};
use crate::outbox::{OpenError, Outbox, OutboxConfig};
use crate::platform;
use crate::till::claims::CLAIM_KEY_BYTES;
use crate::till::conversion::Names;
use crate::till::{ClaimKey, Till};
use crate::uplink::LineStatus;
use crate::vault::{Random, Vault, VaultError};
use effect::{Effect, Published};
use notes::{NoteWriter, Restart};
use terminal::{Start, Terminal};

/// Events of devices that wait for the owner of the state; a device waits beyond it.
const DEVICE_EVENTS_MAX: usize = 256;
/// Calls of the API and reports of the line that wait likewise.
const CALLS_MAX: usize = 256;
/// What a slow listener of `/v1/events` may fall behind; beyond it it misses the oldest.
const PUBLISHED_MAX: usize = 256;
/// Appends on their way to the disk; beyond it devices and API wait.
const IN_FLIGHT_MAX: usize = 4_096;
/// How often time is taken note of.
const TICK: Duration = Duration::from_secs(1);
/// How long a stop waits for devices and for the disk. Systemd's and the contract's limit is 5 s.
const STOP_WITHIN: Duration = Duration::from_secs(4);
/// With less free on the disk, opening the stores is tried again rather than given up.
const OPEN_BYTES_MIN: u64 = 2 * 1024 * 1024;
/// How often it is tried; the service manager's watchdog waits longer.
const OPEN_RETRY: Duration = Duration::from_secs(5);
/// Store and workstation of events that are recorded before the enrolment.
const UNENROLLED: &str = "unenrolled";

/// What only `main` may ask the environment for.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Systemd's directory of credentials.
    pub credentials_dir: Option<PathBuf>,
}

/// Why the daemon cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The data directory cannot be had.
    #[error("the data directory {} cannot be used: see that it exists and belongs to this user", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A member prefix cannot be used.
    #[error(transparent)]
    Rules(#[from] CardRulesError),
    /// The key for data at rest cannot be had.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The outbox cannot be opened.
    #[error(transparent)]
    Outbox(#[from] OpenError),
    /// The replica cannot be opened.
    #[error(transparent)]
    Members(#[from] MembersError),
    /// The identity cannot be read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The API cannot be served.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The system gives no thread or signal.
    #[error("the system refuses a thread or a signal")]
    System(#[from] io::Error),
    /// A task of the start ended early.
    #[error("the start was cut short")]
    CutShort,
}

/// Runs the daemon until `stop` is done.
///
/// # Errors
/// [`RunError`] when it cannot start. Once it runs, faults are reported and it goes on.
pub async fn run(
    config: Config,
    environment: Environment,
    stop: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let data_dir = config.data_dir.clone();
    make_data_dir(&data_dir)?;
    let rules = CardRules::new(config.cards.member_prefixes.iter().cloned())?;
    for warning in rules.warnings() {
        tracing::warn!("{warning}");
    }
    let (device_events, mut from_devices) = mpsc::channel(DEVICE_EVENTS_MAX);
    let (stop_devices, stopping) = watch::channel(false);
    let clocks = Clocks {
        wall: Arc::new(clock::wall),
        elapsed: Arc::new(clock::elapsed_since_start()),
    };
    let shared_rules = Arc::new(rules.clone());
    let mut devices = Devices::new(shared_rules, device_events, stopping.clone(), clocks);
    devices.start_taps(&config.receipt_taps);

    let mut stop = std::pin::pin!(stop);
    let opened = tokio::select! {
        () = &mut stop => return Ok(()),
        opened = open_patiently(&config, environment.credentials_dir) => opened?,
    };
    let Stores {
        outbox,
        replica,
        learnt,
        identity,
        claim_secret,
    } = opened;
    let notes = NoteWriter::start(replica.clone())?;
    let keys_version = learnt.codes.keys_version();
    let start = Start {
        till: Till::new(config.till, learnt.sales),
        codes: learnt.codes,
        claims: ClaimKey::new(claim_secret),
        requested: learnt.requested,
        clock: learnt.clock,
        boot: platform::boot(),
        names: identity.as_ref().map(|identity| names(&config, identity)),
        provisional: provisional(&config),
    };
    let mut terminal = Terminal::new(rules, Local, start, clock::random);

    let (calls, mut from_calls) = mpsc::channel(CALLS_MAX);
    let (published, _) = broadcast::channel(PUBLISHED_MAX);
    let line = watch::Sender::new(LineStatus {
        last_exchange_ms: learnt.last_contact_ms,
        ..LineStatus::unenrolled()
    });
    let clock_offset = watch::Sender::new(None);
    devices.start_scanners(&config.scanners);
    devices.start_nfc(&config.nfc);
    let file_notes: Arc<dyn FileNotes> = Arc::new(replica.clone());
    devices.start_journals(&config.journals, &file_notes);
    let api = api::serve(
        Served {
            config: Arc::new(config.clone()),
            calls: calls.clone(),
            outbox: outbox.clone(),
            replica: replica.clone(),
            board: devices.board(),
            line: line.subscribe(),
            published: published.clone(),
        },
        stopping.clone(),
    )
    .await?;
    let mut shell = Shell {
        outbox: outbox.clone(),
        replica: replica.clone(),
        line: line.subscribe(),
        notes,
        published: published.clone(),
        in_flight: FuturesUnordered::new(),
    };
    let supervisor = tokio::spawn(supervisor::supervise(
        supervisor::Supervised {
            config: config.clone(),
            outbox: outbox.clone(),
            replica,
            machine: machine(),
            events: calls,
            status: line,
            clock_offset: clock_offset.subscribe(),
            keys_version,
            identity,
        },
        stopping,
    ));
    report(platform::notify_ready("waiting for scans and sales"));
    tracing::info!(api = %api.address, "ready");

    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let room = shell.in_flight.len() < IN_FLIGHT_MAX;
        let event = tokio::select! {
            () = &mut stop => break,
            Some(event) = shell.in_flight.next() => event,
            Some(event) = from_calls.recv(), if room => event,
            Some(event) = from_devices.recv(), if room => Event::Device(event),
            _ = tick.tick() => {
                report(platform::notify_alive());
                Event::Tick
            }
        };
        shell.execute(terminal.apply(event, clock::now())).await;
        clock_offset.send_if_modified(|known| {
            let offset = terminal.central_clock(clock::now());
            std::mem::replace(known, offset) != offset
        });
    }

    report(platform::notify_stopping());
    tracing::info!("stopping");
    stop_devices.send_replace(true);
    let drained = tokio::time::timeout(STOP_WITHIN, async {
        let mut stopped = std::pin::pin!(devices.stopped());
        let mut devices_ended = false;
        while !devices_ended || !shell.in_flight.is_empty() || !terminal.is_settled() {
            let event = tokio::select! {
                () = &mut stopped, if !devices_ended => {
                    devices_ended = true;
                    continue;
                }
                Some(event) = shell.in_flight.next() => event,
                Some(event) = from_calls.recv() => event,
                Some(event) = from_devices.recv() => Event::Device(event),
            };
            shell.execute(terminal.apply(event, clock::now())).await;
        }
    });
    if drained.await.is_err() {
        tracing::warn!(
            "a device did not end in time; what it had told is durable or not acknowledged"
        );
    }
    supervisor.abort();
    api.task.abort();
    api::forget_address(&data_dir);
    let notes = shell.notes;
    let closed = tokio::task::spawn_blocking(move || {
        notes.finish();
        outbox.close()
    });
    match closed.await {
        Ok(Ok(())) => tracing::info!("stopped"),
        Ok(Err(error)) => tracing::error!(%error, "the outbox did not close cleanly"),
        Err(_) => tracing::error!("the outbox's end was cut short"),
    }
    Ok(())
}

/// What the owner of the state asked for and is told of when it is done.
type InFlight = Pin<Box<dyn Future<Output = Event> + Send>>;

struct Shell {
    outbox: Outbox,
    replica: Replica,
    line: watch::Receiver<LineStatus>,
    notes: NoteWriter,
    published: broadcast::Sender<Published>,
    in_flight: FuturesUnordered<InFlight>,
}

impl Shell {
    async fn execute(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Append(ticket, records) => {
                    let appended = self.outbox.append_all(records);
                    let durable = async move { Event::Durable(ticket, appended.await) };
                    self.in_flight.push(Box::pin(durable));
                }
                Effect::FindHolder { sale, card, claim } => {
                    let replica = self.replica.clone();
                    let is_complete = self.line.borrow().replica_complete;
                    self.in_flight.push(Box::pin(async move {
                        let asked = card.clone();
                        let look = move || downlink::has_member(&replica, &asked, is_complete);
                        let has_member = tokio::task::spawn_blocking(look).await.unwrap_or(None);
                        Event::Holder {
                            sale,
                            card,
                            has_member,
                            claim,
                        }
                    }));
                }
                Effect::Note(note) => self.notes.keep(note).await,
                Effect::Answer(answer) => answer.deliver(),
                Effect::Publish(published) => {
                    // Without a listener there is nobody to tell.
                    let _listeners = self.published.send(published).unwrap_or(0);
                }
            }
        }
    }
}

struct Stores {
    outbox: Outbox,
    replica: Replica,
    learnt: notes::Learnt,
    identity: Option<Identity>,
    claim_secret: Zeroizing<[u8; CLAIM_KEY_BYTES]>,
}

/// Opens the stores; on a full disk it waits for room, since the taps print meanwhile.
async fn open_patiently(
    config: &Config,
    credentials_dir: Option<PathBuf>,
) -> Result<Stores, RunError> {
    loop {
        let error = match open_stores(config, credentials_dir.clone()).await {
            Ok(stores) => return Ok(stores),
            Err(error) => error,
        };
        let free = platform::disk_space(&config.data_dir).map_or(u64::MAX, |space| space.free);
        if free >= OPEN_BYTES_MIN {
            return Err(error);
        }
        tracing::error!(%error, "the disk is full: receipts are printed, and nothing is recorded until there is room");
        report(platform::notify_ready("the disk is full: printing alone"));
        report(platform::notify_alive());
        tokio::time::sleep(OPEN_RETRY).await;
    }
}

async fn open_stores(
    config: &Config,
    credentials_dir: Option<PathBuf>,
) -> Result<Stores, RunError> {
    let (data_dir, bounds) = (config.data_dir.clone(), config.outbox);
    let open = move || {
        let random: Random = Arc::new(clock::fill_random);
        let vault = Vault::open(&data_dir, credentials_dir.as_deref(), Arc::clone(&random))?;
        let monotonic = Arc::new(clock::elapsed_since_start());
        let config = OutboxConfig {
            backlog_bytes_max: bounds.bytes_max,
            disk_percent_max: bounds.disk_percent_max,
            ..OutboxConfig::new(data_dir.join("outbox"), monotonic)
        };
        let opened = Outbox::open(config, &vault, random)?;
        let recovery = opened.recovery;
        tracing::info!(events = recovery.events, took = ?recovery.took, "the outbox is open");
        if recovery.torn_bytes > 0 {
            tracing::warn!(
                bytes = recovery.torn_bytes,
                "the last write was cut short: what it held was not acknowledged"
            );
        }
        for damage in &recovery.damages {
            let (from, to) = (damage.from, damage.to);
            tracing::error!(%from, %to, reason = damage.reason, "events are lost");
        }
        let (replica, recovery) = Replica::open(&data_dir.join("members"), &vault)?;
        for damage in [recovery.replica_damage, recovery.notes_damage]
            .into_iter()
            .flatten()
        {
            tracing::error!(damage, "member data or notes were damaged");
        }
        let learnt = notes::learn(&replica, &opened.outbox, &Restart::now())?;
        let identity = Identity::load(&data_dir)?;
        Ok(Stores {
            outbox: opened.outbox,
            replica,
            learnt,
            identity,
            claim_secret: vault.claim_secret(),
        })
    };
    tokio::task::spawn_blocking(open)
        .await
        .map_err(|_| RunError::CutShort)?
}

/// Makes the data directory, 0700.
pub(crate) fn make_data_dir(path: &Path) -> Result<(), RunError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| RunError::DataDir {
            path: path.to_owned(),
            source,
        })
}

/// The names that sales of this identity are recorded under.
pub(crate) fn names(config: &Config, identity: &Identity) -> Names {
    Names {
        store: identity.store.clone(),
        workstation: identity.workstation.clone(),
        pos: config.pos.clone(),
    }
}

fn provisional(config: &Config) -> Names {
    let named = "the word is a name";
    Names {
        store: config
            .pos
            .store
            .clone()
            .unwrap_or_else(|| UNENROLLED.parse().expect(named)),
        workstation: config
            .pos
            .workstation
            .clone()
            .unwrap_or_else(|| UNENROLLED.parse().expect(named)),
        pos: config.pos.clone(),
    }
}

/// Who this machine is to central.
pub fn machine() -> Machine {
    Machine {
        fingerprint: platform::machine_fingerprint()
            .map(|f| f.to_string())
            .unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn report(told: io::Result<()>) {
    if let Err(error) = told {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

#[cfg(test)]
mod tests;
