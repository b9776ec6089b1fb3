//! A POS that prints into a directory, a file for each job: printed in turn, read, removed.
//!
//! A file is whole when it has a final name and has not changed for [`WHOLE_LOOKS`] looks. While it is being
//! written it may have a name that begins with a dot or ends in `.tmp` or `.part`. It stays while the
//! printer is away: a spool is printed later, that is what it is for.
//!
//! A job bears the prefix [`PRINTING`] while it is printed, so that nobody writes into it and a directory
//! that refuses a change of name prints nothing, rather than the same for ever. A job that was cut short
//! by a kill or a lost printer is printed once more as a whole. Afterwards it bears the prefix
//! [`PRINTED`] until its receipts are read: a killed agent reads it again and does not print it again.
//!
//! Limits: [`LOOK_FILES_MAX`] jobs a look, [`JOB_BYTES_MAX`] a job; a longer one is set aside under the
//! prefix [`SET_ASIDE`] and never printed. Links, directories and empty files are passed over.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::Tap;
use super::copy;
use super::forward::PAPER_BYTES;
use super::passage::Passage;
use super::printer::Link;
use crate::devices::status::PortState;
use crate::devices::stop::{is_over, stopped};

/// Pause between two looks into the directory.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// So many looks in a row a file has to be the same. Fewer, and a POS that thinks in mid-receipt has it
/// printed in two; more, and the shopper waits.
const WHOLE_LOOKS: u32 = 4;
/// Pause before a job is tried again that the printer did not take.
const RETRY: Duration = Duration::from_secs(1);
/// Most jobs of one look; the others wait for the next one.
const LOOK_FILES_MAX: usize = 1_000;
/// Longest job; some hundred metres of paper.
const JOB_BYTES_MAX: u64 = 64 << 20;
/// What the name of a job begins with that is being printed.
const PRINTING: &str = ".tillbind-printing-";
/// What the name of a job begins with that was printed and not yet read.
const PRINTED: &str = ".tillbind-printed-";
/// What the name of a job begins with that is too long.
const SET_ASIDE: &str = ".tillbind-too-long-";

/// A file of the spool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Job {
    /// When it was last written: jobs are printed in this order.
    written: SystemTime,
    name: PathBuf,
    bytes: u64,
}

/// Why a job is not printed now.
enum Trouble {
    /// The printer does not take it: none is tried for a while.
    Printer(String),
    /// The file cannot be read or renamed: the others are printed.
    File(String),
}

impl Tap {
    /// Prints what the POS puts into `dir` until the agent ends.
    pub(super) async fn serve_spool(
        self: Arc<Self>,
        dir: PathBuf,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut seen: Vec<(Job, u32)> = Vec::new();
        let mut is_first = true;
        while !is_over(&stop) {
            match beside(&dir, look).await {
                Ok(jobs) => {
                    self.lamp.show(PortState::Listening {
                        address: dir.display().to_string(),
                    });
                    if std::mem::take(&mut is_first) {
                        self.finish_left_over(&dir, &mut stop).await;
                    }
                    let looks = |job: &Job| {
                        let former = seen.iter().find(|(known, _)| known == job);
                        former.map_or(1, |(_, looks)| looks + 1)
                    };
                    seen = jobs
                        .into_iter()
                        .map(|job| (looks(&job), job))
                        .map(|(looks, job)| (job, looks))
                        .collect();
                    self.print_whole(&dir, &seen, &mut stop).await;
                }
                Err(error) => {
                    let shown = dir.display();
                    let reason = format!(
                        "the spool {shown} cannot be read ({error}): make the directory, and let \
                         the agent's user read and write it"
                    );
                    self.lamp.show(PortState::Unopenable { reason });
                }
            }
            pause(LOOK_EVERY, &mut stop).await;
        }
    }

    /// Prints the jobs that are whole, until the printer does not take one.
    async fn print_whole(&self, dir: &Path, seen: &[(Job, u32)], stop: &mut watch::Receiver<bool>) {
        let mut is_refused = false;
        for (job, looks) in seen {
            if is_over(stop) {
                return;
            }
            if *looks < WHOLE_LOOKS {
                continue;
            }
            let path = dir.join(&job.name);
            if job.bytes > JOB_BYTES_MAX {
                self.set_aside(&path, job);
                continue;
            }
            let number = job.written.duration_since(SystemTime::UNIX_EPOCH);
            let number = number.map_or(0, |since| since.as_nanos());
            let printing = renamed(&path, &format!("{PRINTING}{number}-"));
            // The printer is asked first: a job that waits for it keeps its name.
            let link = match self.printer.connect().await {
                Ok(link) => link,
                Err(error) => return self.wait_for_printer(error.to_string(), stop).await,
            };
            if let Err(error) = tokio::fs::rename(&path, &printing).await {
                let shown = path.display();
                self.lamp.note_error(format!(
                    "the job {shown} is not printed, since it cannot be renamed ({error}): let the \
                     agent's user write into the spool"
                ));
                is_refused = true;
                continue;
            }
            self.finish(&printing, Some(link), stop).await;
        }
        // The printer was asked for it, and must not be asked ten times a second.
        if is_refused {
            pause(RETRY, stop).await;
        }
    }

    async fn wait_for_printer(&self, reason: String, stop: &mut watch::Receiver<bool>) {
        self.lamp.show(PortState::Lost { reason });
        pause(RETRY, stop).await;
    }

    /// Prints and reads what an earlier run left.
    async fn finish_left_over(&self, dir: &Path, stop: &mut watch::Receiver<bool>) {
        for path in beside(dir, |dir| named(dir, PRINTED))
            .await
            .unwrap_or_default()
        {
            self.read_printed(&path).await;
        }
        for path in beside(dir, |dir| named(dir, PRINTING))
            .await
            .unwrap_or_default()
        {
            self.finish(&path, None, stop).await;
        }
    }

    /// Prints and reads a job that bears its prefix, again and again while the printer does not take all of
    /// it. It keeps that name meanwhile: the POS may have made another of the former one.
    async fn finish(&self, path: &Path, mut link: Option<Link>, stop: &mut watch::Receiver<bool>) {
        while !is_over(stop) {
            let connected = match link.take() {
                Some(link) => Ok(link),
                None => self.printer.connect().await,
            };
            let printed = match connected {
                Ok(link) => self.print_and_read(path, link).await,
                Err(error) => Err(Trouble::Printer(error.to_string())),
            };
            match printed {
                Ok(()) => return,
                Err(Trouble::File(what)) => return self.lamp.note_error(what),
                Err(Trouble::Printer(what)) => self.wait_for_printer(what, stop).await,
            }
        }
    }

    async fn print_and_read(&self, path: &Path, link: Link) -> Result<(), Trouble> {
        let shown = path.display();
        let cannot = |error: io::Error| {
            Trouble::File(format!(
                "the job {shown} cannot be printed ({error}): see who may read and rename it"
            ))
        };
        let mut file = tokio::fs::File::open(path).await.map_err(cannot)?;
        let (source, sink) = copy::copy();
        // With a footer the receipts are read while they are printed, else afterwards and in peace.
        let told = self.footer.is_some().then(|| self.read_beside(sink));
        let passage = self.passage(source);
        self.print_job(&mut file, link, passage, cannot).await?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_prefix(PRINTING).unwrap_or(&name);
        let printed = path.with_file_name(format!("{PRINTED}{name}"));
        tokio::fs::rename(path, &printed).await.map_err(cannot)?;
        match told {
            Some(told) => {
                let is_told = told.await.unwrap_or(false);
                self.remove_printed(&printed, Ok(is_told)).await;
            }
            None => self.read_printed(&printed).await,
        }
        Ok(())
    }

    async fn print_job(
        &self,
        file: &mut tokio::fs::File,
        mut link: Link,
        mut passage: Passage,
        cannot: impl Fn(io::Error) -> Trouble,
    ) -> Result<(), Trouble> {
        let lost = |error: io::Error| {
            Trouble::Printer(format!(
                "the printer broke off ({error}): the job is printed again"
            ))
        };
        self.lamp.show(PortState::Open);
        self.lamp.count(|counts| counts.connections += 1);
        let Link {
            answers: from_printer,
            paper,
            linger,
            ..
        } = &mut link;
        let mut buffer = vec![0; PAPER_BYTES];
        let mut answer = [0; 256];
        let mut answers = true;
        loop {
            let count = file.read(&mut buffer).await.map_err(&cannot)?;
            let bytes = buffer.get(..count).unwrap_or_default();
            let pass = async {
                if bytes.is_empty() {
                    return passage.release(paper).await;
                }
                passage.pass(bytes, paper).await?;
                if self.footer.is_some() {
                    // The file is faster than any reader of it.
                    passage.drained().await;
                }
                Ok(())
            };
            tokio::pin!(pass);
            loop {
                tokio::select! {
                    passed = &mut pass => break passed.map_err(lost)?,
                    // Nobody waits for an answer, but a printer that cannot get rid of one stops.
                    count = from_printer.read(&mut answer), if answers => {
                        answers = count.map_err(lost)? > 0;
                    }
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        drop(passage);
        paper.shutdown().await.map_err(lost)?;
        // Closed over unread answers, a connection is reset, and the paper with it.
        while answers && let Ok(Ok(1..)) = timeout(*linger, from_printer.read(&mut answer)).await {}
        Ok(())
    }

    /// Lets the receipts of a printed job be read, and removes it.
    async fn read_printed(&self, path: &Path) {
        let (source, sink) = copy::copy();
        let told = self.read_beside(sink);
        let copied = async {
            let mut file = tokio::fs::File::open(path).await?;
            let mut buffer = vec![0; PAPER_BYTES];
            loop {
                let count = file.read(&mut buffer).await?;
                let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                    return Ok(());
                };
                source.offer(bytes);
                source.drained().await;
            }
        };
        let copied: io::Result<()> = copied.await;
        drop(source);
        let is_told = told.await.unwrap_or(false);
        self.remove_printed(path, copied.map(|()| is_told)).await;
    }

    /// Removes a printed job if all of it was told.
    async fn remove_printed(&self, path: &Path, told: io::Result<bool>) {
        let removed = match told {
            Ok(true) => tokio::fs::remove_file(path).await,
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            let shown = path.display();
            self.lamp.note_error(format!(
                "the printed job {shown} cannot be read and removed ({error}): see who may do so"
            ));
        }
    }

    fn set_aside(&self, path: &Path, job: &Job) {
        let aside = renamed(path, SET_ASIDE);
        let shown = aside.display();
        let bytes = job.bytes;
        self.lamp.note_error(match fs::rename(path, &aside) {
            Ok(()) => {
                format!("a job of {bytes} bytes, longer than any receipt, was set aside as {shown}")
            }
            Err(error) => format!(
                "a job of {bytes} bytes, longer than any receipt, cannot be set aside as {shown} \
                 ({error})"
            ),
        });
    }
}

async fn pause(time: Duration, stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = sleep(time) => {}
        () = stopped(stop) => {}
    }
}

/// Asks the disk on a thread where it may take its time.
async fn beside<T: Send + 'static>(
    dir: &Path,
    ask: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let dir = dir.to_owned();
    let asked = spawn_blocking(move || ask(&dir)).await;
    asked.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn renamed(path: &Path, prefix: &str) -> PathBuf {
    let mut name = OsString::from(prefix);
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}

/// Returns the jobs in the directory, oldest first.
fn look(dir: &Path) -> io::Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if is_unfinished(&name) {
            continue;
        }
        // A file may be gone again, and a link may lead anywhere.
        let Ok(about) = fs::symlink_metadata(dir.join(&name)) else {
            continue;
        };
        if about.is_file() && about.len() > 0 {
            jobs.push(Job {
                written: about.modified()?,
                name: name.into(),
                bytes: about.len(),
            });
        }
        if jobs.len() == LOOK_FILES_MAX {
            break;
        }
    }
    jobs.sort();
    Ok(jobs)
}

fn is_unfinished(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') || name.ends_with(".tmp") || name.ends_with(".part")
}

/// Returns the files whose names begin with `prefix`, at most [`LOOK_FILES_MAX`].
fn named(dir: &Path, prefix: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_file = || fs::symlink_metadata(&path).is_ok_and(|about| about.is_file());
        if name.starts_with(prefix) && is_file() && found.len() < LOOK_FILES_MAX {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
