//! Keeps the line to central up: waits for the enrolment, renews the certificate, starts anew after a
//! fault or under a new identity.

use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};

use crate::clock::{self, CentralClock};
use crate::config::Config;
use crate::event::Event;
use crate::identity::enrolment::Machine;
use crate::identity::renewal::{Validity, renew};
use crate::identity::{self, Identity, SuspectTime};
use crate::members::Replica;
use crate::outbox::Outbox;
use crate::uplink::packing::KeptDictionary;
use crate::uplink::{self, LineStatus, Reach};

/// How often the identity's file is looked at: so soon a terminal enrolled while it runs is online.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often the certificate's age is looked at, and how long a failed renewal waits. It begins with a
/// third of the certificate's life left.
const RENEWAL_EVERY: Duration = Duration::from_secs(3_600);

pub(super) struct Supervised {
    pub(super) config: Config,
    pub(super) outbox: Outbox,
    pub(super) replica: Replica,
    pub(super) machine: Machine,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) status: watch::Sender<LineStatus>,
    pub(super) clock_offset: watch::Receiver<Option<CentralClock>>,
    pub(super) keys_version: u32,
    pub(super) identity: Option<Identity>,
}

pub(super) async fn supervise(mut supervised: Supervised, stop: watch::Receiver<bool>) {
    let data_dir = supervised.config.data_dir.clone();
    loop {
        let Some(identity) = supervised.identity.clone() else {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Some(found) = load(&data_dir) {
                supervised.enrolled(found).await;
            }
            continue;
        };
        let changed = changed_at(&data_dir);
        let reach = supervised.reach();
        let keys_version = supervised.keys_version;
        let fault = tokio::select! {
            ended = uplink::run(reach, &identity, keys_version, stop.clone()) => match ended {
                Ok(()) => return,
                Err(error) => Some(error.to_string()),
            },
            () = identity_changed(&data_dir, changed) => None,
            () = renewed(&data_dir, &identity, &supervised) => None,
        };
        // The owner of the state keeps newer key sets; central sends them again where this is older.
        if let Some(fault) = fault {
            tracing::error!(fault, "the line to headquarters ended; it is tried again");
            supervised
                .status
                .send_modify(|status| status.last_error = Some(fault));
            tokio::time::sleep(LOOK_EVERY).await;
        }
        if let Some(found) = load(&data_dir) {
            supervised.enrolled(found).await;
        }
    }
}

impl Supervised {
    fn reach(&self) -> Reach {
        Reach {
            settings: self.config.uplink,
            outbox: self.outbox.clone(),
            replica: self.replica.clone(),
            dictionary: KeptDictionary::of(&self.config.data_dir),
            machine: self.machine.clone(),
            events: self.events.clone(),
            status: self.status.clone(),
            clock_offset: self.clock_offset.clone(),
        }
    }

    async fn enrolled(&mut self, identity: Identity) {
        if self.identity.as_ref() == Some(&identity) {
            return;
        }
        tracing::info!(terminal = %identity.terminal, "this terminal is enrolled");
        let names = super::names(&self.config, &identity);
        self.identity = Some(identity);
        if self.events.send(Event::Enrolled(names)).await.is_err() {
            tracing::debug!("the owner of the state is gone");
        }
    }
}

fn load(data_dir: &Path) -> Option<Identity> {
    Identity::load(data_dir)
        .inspect_err(|error| tracing::error!(%error, "the identity cannot be read"))
        .ok()
        .flatten()
}

fn changed_at(data_dir: &Path) -> Option<SystemTime> {
    std::fs::metadata(identity::path_in(data_dir))
        .and_then(|file| file.modified())
        .ok()
}

async fn identity_changed(data_dir: &Path, since: Option<SystemTime>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if changed_at(data_dir) != since {
            return;
        }
    }
}

/// Ends once a renewed identity is kept. By central's clock alone: a wall clock that has leapt ahead
/// would have it renewed without end.
async fn renewed(data_dir: &Path, identity: &Identity, supervised: &Supervised) {
    let mut central = supervised.clock_offset.clone();
    loop {
        let known = central.wait_for(Option::is_some).await.map(|known| *known);
        let Ok(Some(CentralClock { offset_ms, .. })) = known else {
            // The owner of the state is gone, and the agent with it.
            return std::future::pending().await;
        };
        let now_ms = clock::wall().timestamp_millis().saturating_add(offset_ms);
        let due = Validity::of(identity).is_ok_and(|validity| validity.is_renewal_due(now_ms));
        if due {
            let time = SuspectTime::of(central.clone());
            match renew(data_dir, identity, &supervised.machine, time).await {
                Ok(_) => {
                    tracing::info!("the certificate is renewed");
                    return;
                }
                Err(error) => tracing::warn!(%error, "the certificate could not be renewed"),
            }
        }
        tokio::time::sleep(RENEWAL_EVERY).await;
    }
}
