//! Reads the copy of one connection's bytes: jobs, and by the tap's profile sales.
//!
//! Runs beside the printing and may fall behind. It waits for the owner of the events as long as
//! it takes; meanwhile the copy fills up, and what no longer fits is told as
//! [`DeviceEvent::ReceiptsDropped`]. A job that is torn by such a loss is never read as a sale.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::receipt::{
    Dialect, Encoding, Job, JobEnd, PROFILE_BYTES_MAX, Profile, Reading, ReceiptDecoder,
};
use tokio::sync::{OnceCell, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::capture::Capture;
use super::copy::CopySink;
use crate::devices::masking::{mask_job, mask_sale};
use crate::devices::status::Lamp;
use crate::devices::{ClaimReply, DeviceEvent, ReceiptReading};

/// A silence of so long ends a receipt that was not cut. Shorter, and a POS that thinks in
/// mid-receipt has it split in two.
pub(super) const IDLE_GAP: Duration = Duration::from_millis(1_500);

/// How a tap reads its receipts; shared by its connections.
pub(super) struct Method {
    /// Name of the tap.
    pub(super) tap: String,
    pub(super) dialect: Dialect,
    profile_path: Option<PathBuf>,
    /// Read when it is first needed, never on the printing side: a disk that hangs must not stop
    /// the paper.
    profile: OnceCell<Result<Profile, String>>,
    rules: Arc<CardRules>,
    capture: Option<Capture>,
}

/// Reads a profile's file, or says why it cannot be used. The tap prints all the same.
pub(crate) fn load_profile(path: Option<&Path>) -> Result<Profile, String> {
    let Some(path) = path else {
        return Err(
            "the tap has no profile: name the one that fits the shop's receipts as `profile` in \
             the settings"
                .to_owned(),
        );
    };
    let shown = path.display();
    let cannot = |error: std::io::Error| {
        format!("the profile {shown} cannot be read ({error}): correct its name or its rights")
    };
    let len = std::fs::metadata(path).map_err(cannot)?.len();
    if len > PROFILE_BYTES_MAX as u64 {
        return Err(format!(
            "the profile {shown} has {len} bytes; at most {PROFILE_BYTES_MAX} are read"
        ));
    }
    let text = std::fs::read_to_string(path).map_err(cannot)?;
    Profile::parse(&text)
        .map_err(|error| format!("the profile {shown} is faulty ({error}): mend it"))
}

/// Reads until the connection has ended and all of it is told; returns whether it is.
pub(super) async fn read_receipts(
    mut copy: CopySink,
    method: Arc<Method>,
    events: mpsc::Sender<DeviceEvent>,
    lamp: Lamp,
) -> bool {
    method.profile().await;
    let encoding = method.encoding();
    let mut decoder = ReceiptDecoder::new(method.dialect, encoding);
    // Set from a loss until the next job that has begun after it.
    let mut torn = false;
    let mut skipped_told = 0;
    let mut ended = false;
    while !ended {
        let taken = if decoder.is_at_rest() {
            copy.take().await
        } else {
            match timeout(IDLE_GAP, copy.take()).await {
                Ok(taken) => taken,
                Err(_) => {
                    let jobs = decoder.handle_idle();
                    if !method.tell(jobs, None, &mut torn, &events, &lamp).await {
                        return false;
                    }
                    continue;
                }
            }
        };
        let (jobs, claim, lost_bytes) = match taken {
            Some(taken) => {
                let mut jobs = decoder.feed(&taken.bytes);
                if taken.asked.is_some() {
                    // Who asks knows that these bytes end in a cut.
                    jobs.extend(decoder.handle_pause());
                }
                (jobs, taken.asked, taken.lost_bytes)
            }
            None => {
                ended = true;
                (decoder.finish(), None, 0)
            }
        };
        let skipped = decoder.skipped_bytes();
        lamp.count(|counts| counts.skipped_bytes += skipped - skipped_told);
        skipped_told = skipped;
        if !method.tell(jobs, claim, &mut torn, &events, &lamp).await {
            return false;
        }
        if lost_bytes > 0 {
            lamp.count(|counts| counts.dropped_bytes += lost_bytes);
            torn = true;
            let half =
                std::mem::replace(&mut decoder, ReceiptDecoder::new(method.dialect, encoding))
                    .finish();
            skipped_told = 0;
            let tap = method.tap.clone();
            let told = events
                .send(DeviceEvent::ReceiptsDropped {
                    tap,
                    bytes: lost_bytes,
                })
                .await;
            if told.is_err() || !method.tell(half, None, &mut true, &events, &lamp).await {
                return false;
            }
        }
    }
    true
}

impl Method {
    /// Makes the method of a tap; nothing is read yet.
    pub(super) fn new(
        tap: String,
        dialect: Dialect,
        profile_path: Option<PathBuf>,
        rules: Arc<CardRules>,
        capture_dir: Option<PathBuf>,
    ) -> Self {
        Self {
            capture: capture_dir.map(|dir| Capture::new(dir, &tap)),
            tap,
            dialect,
            profile_path,
            profile: OnceCell::new(),
            rules,
        }
    }

    /// Returns the shop's profile, or why there is none, for people.
    pub(super) async fn profile(&self) -> &Result<Profile, String> {
        self.profile
            .get_or_init(|| async {
                let path = self.profile_path.clone();
                spawn_blocking(move || load_profile(path.as_deref()))
                    .await
                    .unwrap_or_else(|error| Err(format!("the profile could not be read: {error}")))
            })
            .await
    }

    /// Returns what text is where a stream does not say: as the profile has it, once that is read.
    pub(super) fn encoding(&self) -> Encoding {
        match self.profile.get() {
            Some(Ok(profile)) => profile.encoding(),
            Some(Err(_)) | None => Encoding::default(),
        }
    }

    /// Tells jobs; returns whether anybody still listens. The first one of a torn stream is taken
    /// for what is left of a receipt. `claim` waits with the cut that ended the last of them.
    async fn tell(
        self: &Arc<Self>,
        jobs: Vec<Job>,
        mut claim: Option<ClaimReply>,
        torn: &mut bool,
        events: &mpsc::Sender<DeviceEvent>,
        lamp: &Lamp,
    ) -> bool {
        let last = jobs.len().saturating_sub(1);
        for (at, job) in jobs.into_iter().enumerate() {
            let (method, is_torn) = (Arc::clone(self), std::mem::take(torn));
            let is_cut = at == last && job.ended_by == JobEnd::Cut;
            let claim = claim.take_if(|_| is_cut);
            let reading = spawn_blocking({
                let lamp = lamp.clone();
                move || method.event(job, claim, is_torn, &lamp)
            });
            let event = match reading.await {
                Ok(event) => event,
                Err(error) => {
                    lamp.note_error(format!(
                        "a receipt could not be read ({error}): report this"
                    ));
                    continue;
                }
            };
            lamp.count(|counts| counts.jobs += 1);
            if events.send(event).await.is_err() {
                return false;
            }
        }
        true
    }

    fn event(
        &self,
        mut job: Job,
        claim: Option<ClaimReply>,
        torn: bool,
        lamp: &Lamp,
    ) -> DeviceEvent {
        let reading = if torn {
            torn_reading()
        } else {
            self.read(&job)
        };
        mask_job(&mut job, &self.rules);
        if let Some(capture) = self.capture.as_ref().filter(|_| !torn) {
            let by_default = !matches!(self.profile.get(), Some(Ok(_)));
            if let Err(fault) = capture.write(&job, by_default) {
                lamp.note_error(fault);
            }
        }
        DeviceEvent::Receipt {
            tap: self.tap.clone(),
            job,
            reading,
            claim,
        }
    }

    fn read(&self, job: &Job) -> ReceiptReading {
        let profile = match self.profile.get() {
            Some(Ok(profile)) => profile,
            Some(Err(reason)) => {
                return ReceiptReading::Unparsed {
                    reason: reason.clone(),
                };
            }
            None => {
                let reason = "the profile has not been read yet".to_owned();
                return ReceiptReading::Unparsed { reason };
            }
        };
        match profile.read(job) {
            Reading::Sale(mut sale) => {
                mask_sale(&mut sale, &self.rules);
                ReceiptReading::Sale(sale)
            }
            Reading::NotASale(what) => ReceiptReading::NotASale(what),
            Reading::Unparsed(reason) => ReceiptReading::Unparsed {
                reason: reason.to_string(),
            },
        }
    }
}

fn torn_reading() -> ReceiptReading {
    ReceiptReading::Unparsed {
        reason: "part of the receipt was printed and not read, since reading fell behind"
            .to_owned(),
    }
}
