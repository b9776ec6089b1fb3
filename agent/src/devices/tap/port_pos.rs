//! A POS that prints to a serial port: passed on to the printer and back, as by a cable.
//!
//! A line has no connections, so this makes sessions of it. A printer at a local port is opened first and
//! held: while it is away the POS's port stays closed, and the POS sees by its DSR line what it would see
//! of a printer that is off. A printer on the network is asked for with the first bytes of a job and let
//! go after [`REMOTE_QUIET`], since other tills may print there too.
//!
//! What a lost printer leaves of a job is thrown away up to the next silence of the POS: the rest of a
//! receipt on fresh paper is garbage. For the same reason everything that waits in the port when it is
//! opened is thrown away. A POS that goes on sending a job which a killed agent had begun, prints the
//! rest of it: nothing on the line tells the two apart.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Tap;
use super::copy;
use super::forward::{PAPER_BYTES, pass_answers, quiet_at_stop};
use super::local_port::LocalPort;
use super::passage::Passage;
use super::printer::{LineSettings, Link};
use crate::devices::status::PortState;
use crate::devices::stop::{is_over, stopped};

/// The first pause before ports are opened again.
const RETRY_MIN: Duration = Duration::from_millis(100);
/// The longest pause: so late a printer that was switched on again is found at the most.
const RETRY_MAX: Duration = Duration::from_secs(1);
/// How long a POS must be silent for what it sends next to be another job.
const JOB_GAP: Duration = Duration::from_millis(500);
/// How long a network printer is held without a byte from the POS.
const REMOTE_QUIET: Duration = Duration::from_secs(5);

/// How one session ended.
enum End {
    /// The POS's port is gone, or the agent ends.
    Pos,
    /// The POS was silent for long enough.
    Quiet,
    /// The printer broke off.
    Printer(io::Error),
    /// The printer closed its side.
    Closed,
}

impl Tap {
    /// Serves a POS behind this port until the agent ends.
    pub(super) async fn serve_port(
        self: Arc<Self>,
        line: LineSettings,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut delay = RETRY_MIN;
        while !is_over(&stop) {
            let served = self.open_and_pass(&line, &mut stop).await;
            if served {
                delay = RETRY_MIN;
            }
            tokio::select! {
                () = sleep(delay) => {}
                () = stopped(&mut stop) => {}
            }
            delay = (delay * 2).min(RETRY_MAX);
        }
    }

    /// Opens both sides and passes bytes until one is lost; returns whether any session began.
    async fn open_and_pass(&self, line: &LineSettings, stop: &mut watch::Receiver<bool>) -> bool {
        let mut held = None;
        if !self.printer.is_remote() {
            match self.printer.connect().await {
                Ok(link) => held = Some(link),
                Err(error) => {
                    self.lamp.show(PortState::Lost {
                        reason: error.to_string(),
                    });
                    return false;
                }
            }
        }
        let shown = line.path.display();
        let opened = LocalPort::open(line, None).and_then(|port| {
            port.hold.discard_input()?;
            Ok(port)
        });
        let mut pos = match opened {
            Ok(pos) => pos,
            Err(error) => {
                let reason = format!(
                    "the POS's port {shown} cannot be opened ({error}): plug the cable in, and let \
                     the agent's user into the group that owns the port"
                );
                self.lamp.show(PortState::Unopenable { reason });
                return false;
            }
        };
        let mut served = false;
        let mut head = Vec::new();
        loop {
            let link = match held.take() {
                Some(link) => link,
                None => match self.remote(&mut pos, line, &mut head, stop).await {
                    Some(link) => link,
                    None => return served,
                },
            };
            self.lamp.show(PortState::Open);
            self.lamp.count(|counts| counts.connections += 1);
            served = true;
            let end = self
                .session(std::mem::take(&mut head), &mut pos, link, stop)
                .await;
            match end {
                End::Pos => {
                    if !is_over(stop) {
                        let reason = format!(
                            "the POS's port {shown} was lost: it is looked for until it is back"
                        );
                        self.lamp.show(PortState::Lost { reason });
                    }
                    return served;
                }
                End::Quiet => {}
                End::Closed if self.printer.is_remote() => {}
                End::Closed => {
                    self.printer_lost("it hung up");
                    return served;
                }
                End::Printer(error) => {
                    self.printer_lost(&error.to_string());
                    if !self.printer.is_remote() {
                        return served;
                    }
                    discard_job(&mut pos.answers).await;
                }
            }
        }
    }

    fn printer_lost(&self, what: &str) {
        let reason = format!("the printer broke off ({what}): check its paper and cable");
        self.lamp.show(PortState::Lost { reason });
    }

    /// Waits for the first bytes of a job and asks the network printer for a connection; nothing when
    /// the POS's port is gone or the agent ends. A job that no printer takes is thrown away.
    async fn remote(
        &self,
        pos: &mut LocalPort,
        line: &LineSettings,
        head: &mut Vec<u8>,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Link> {
        self.lamp.show(PortState::Listening {
            address: line.path.display().to_string(),
        });
        let mut buffer = vec![0; PAPER_BYTES];
        loop {
            let count = tokio::select! {
                count = pos.answers.read(&mut buffer) => count.unwrap_or(0),
                () = stopped(stop) => 0,
            };
            let bytes = buffer.get(..count).filter(|bytes| !bytes.is_empty())?;
            match self.printer.connect().await {
                Ok(link) => {
                    head.extend_from_slice(bytes);
                    return Some(link);
                }
                Err(error) => {
                    self.lamp.show(PortState::Lost {
                        reason: format!("{error}; a receipt was not printed"),
                    });
                    discard_job(&mut pos.answers).await;
                }
            }
        }
    }

    /// Passes bytes both ways until either side ends, `head` first.
    async fn session(
        &self,
        head: Vec<u8>,
        pos: &mut LocalPort,
        mut link: Link,
        stop: &mut watch::Receiver<bool>,
    ) -> End {
        let (source, sink) = copy::copy();
        // Ends by itself with the copy.
        drop(self.read_beside(sink));
        let passage = self.passage(source);
        let answered = AtomicU64::new(0);
        let mut to_pos = Some(&mut pos.paper);
        let answer = pass_answers(&mut link.answers, &mut to_pos, &answered);
        let print = self.pass_to_printer(head, &mut pos.answers, &mut link.paper, passage, stop);
        tokio::select! {
            end = print => end,
            end = answer => end.map_or_else(End::Printer, |()| End::Closed),
        }
    }

    async fn pass_to_printer(
        &self,
        head: Vec<u8>,
        from_pos: &mut (impl AsyncRead + Unpin),
        paper: &mut (impl AsyncWrite + Unpin),
        mut passage: Passage,
        stop: &mut watch::Receiver<bool>,
    ) -> End {
        let mut buffer = head;
        let mut count = buffer.len();
        buffer.resize(PAPER_BYTES.max(count), 0);
        loop {
            let bytes = buffer.get(..count).unwrap_or_default();
            if !bytes.is_empty()
                && let Err(error) = passage.pass(bytes, paper).await
            {
                return End::Printer(error);
            }
            let end = tokio::select! {
                biased;
                read = from_pos.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => End::Pos,
                    Ok(read) => {
                        count = read;
                        continue;
                    }
                },
                () = passage.quiet() => {
                    count = 0;
                    match passage.handle_quiet(paper).await {
                        Ok(()) => continue,
                        Err(error) => End::Printer(error),
                    }
                }
                () = quiet_at_stop(stop) => End::Pos,
                () = sleep(REMOTE_QUIET), if self.printer.is_remote() => End::Quiet,
            };
            return let_go(end, passage, paper).await;
        }
    }
}

/// Lets the printer have what is held back, and go where the POS was quiet for long.
async fn let_go(end: End, mut passage: Passage, paper: &mut (impl AsyncWrite + Unpin)) -> End {
    if let End::Printer(_) | End::Closed = end {
        return end;
    }
    let released = match passage.release(paper).await {
        Ok(()) if matches!(end, End::Quiet) => paper.shutdown().await,
        released => released,
    };
    released.map_or_else(End::Printer, |()| end)
}

/// Throws away what the POS sends until it is silent for [`JOB_GAP`].
async fn discard_job(from_pos: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = vec![0; PAPER_BYTES];
    while let Ok(Ok(1..)) = timeout(JOB_GAP, from_pos.read(&mut buffer)).await {}
}
