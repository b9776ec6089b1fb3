//! Passes one connection's bytes on: POS to printer and back, each before anybody looks at it.
//!
//! Ends mean here what they would mean without the tap. The POS ends its side: what it sent is
//! printed, the printer's answers flow on. The printer ends its side: the POS is told, and may
//! still send. Either breaks off: the POS sees a reset, the printer gets all that was taken from
//! the POS. Memory is one buffer each way; a printer that is slow slows the POS, as ever.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::passage::Passage;
use super::printer::Link;
use crate::devices::stop::stopped;

/// Bytes taken from the POS at once; what lies here is all that a broken printer can swallow.
pub(super) const PAPER_BYTES: usize = 16 << 10;
/// Bytes taken from the printer at once; its answers have a few bytes.
const ANSWER_BYTES: usize = 1 << 10;
/// At the agent's end a connection that is quiet for so long is closed; one in mid-receipt goes on.
const QUIET_AT_STOP: Duration = Duration::from_millis(100);
/// At the agent's end a printer that has all its bytes may answer for so long.
const LINGER_AT_STOP: Duration = Duration::from_millis(500);

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The POS ended it, or the agent did in a pause.
    Whole,
    /// The printer broke off, so the POS has to be told that its receipt may be cut short.
    PrinterLost(io::Error),
}

/// Passes bytes until both sides are done.
pub(super) async fn forward(
    pos: TcpStream,
    link: Link,
    passage: Passage,
    stop: &mut watch::Receiver<bool>,
) -> Ended {
    let (mut from_pos, to_pos) = pos.into_split();
    let mut to_pos = Some(to_pos);
    let passed = pass_both(&mut from_pos, &mut to_pos, link, passage, stop).await;
    let Err(error) = passed else {
        return Ended::Whole;
    };
    if let Err(error) = from_pos.as_ref().set_zero_linger() {
        tracing::debug!(%error, "the POS gets a normal end in place of a reset");
    }
    if let Some(half) = to_pos {
        // Dropped, it would end the connection as if all were well.
        half.forget();
    }
    Ended::PrinterLost(error)
}

async fn pass_both(
    from_pos: &mut OwnedReadHalf,
    to_pos: &mut Option<OwnedWriteHalf>,
    mut link: Link,
    passage: Passage,
    stop: &mut watch::Receiver<bool>,
) -> io::Result<()> {
    // The rest of the link, a local port's hold, is dropped with it, behind these halves.
    let Link {
        answers,
        paper,
        linger,
        ..
    } = &mut link;
    let stopping = stop.clone();
    let answered = AtomicU64::new(0);
    let answer = pass_answers(answers, to_pos, &answered);
    tokio::pin!(answer);
    let mut answering = true;
    {
        let print = pass_paper(from_pos, paper, passage, stop);
        tokio::pin!(print);
        loop {
            tokio::select! {
                printed = &mut print => break printed,
                end = &mut answer, if answering => {
                    end?;
                    answering = false;
                }
            }
        }
    }?;
    let linger = if *stopping.borrow() {
        LINGER_AT_STOP.min(*linger)
    } else {
        *linger
    };
    while answering {
        let before = answered.load(Ordering::Relaxed);
        // Answers are taken even when the POS is gone: a connection closed over unread answers is
        // reset, and the printer would throw away what it has not printed yet.
        let over = timeout(linger, &mut answer).await.is_ok();
        answering = !over && answered.load(Ordering::Relaxed) != before;
    }
    Ok(())
}

/// Passes what is to be printed until the POS ends its side, then ends the printer's.
async fn pass_paper(
    from_pos: &mut (impl AsyncRead + Unpin),
    paper: &mut (impl AsyncWrite + Unpin),
    mut passage: Passage,
    stop: &mut watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; PAPER_BYTES];
    loop {
        let count = tokio::select! {
            biased;
            // A POS that broke off has ended its side too: what it sent is printed.
            count = from_pos.read(&mut buffer) => count.unwrap_or(0),
            () = passage.quiet() => {
                passage.handle_quiet(paper).await?;
                continue;
            }
            () = quiet_at_stop(stop) => 0,
        };
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            passage.release(paper).await?;
            return paper.shutdown().await;
        };
        passage.pass(bytes, paper).await?;
    }
}

pub(super) async fn quiet_at_stop(stop: &mut watch::Receiver<bool>) {
    stopped(stop).await;
    sleep(QUIET_AT_STOP).await;
}

/// Passes answers until the printer ends its side; counts them in `answered`.
pub(super) async fn pass_answers(
    answers: &mut (impl AsyncRead + Unpin),
    to_pos: &mut Option<impl AsyncWrite + Unpin>,
    answered: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = [0; ANSWER_BYTES];
    loop {
        let count = answers.read(&mut buffer).await?;
        let Some(answer) = buffer.get(..count).filter(|answer| !answer.is_empty()) else {
            // Dropped, the half tells the POS that no answer will come.
            *to_pos = None;
            return Ok(());
        };
        // A POS that takes no answer any more is told nothing further.
        if let Some(half) = to_pos
            && half.write_all(answer).await.is_err()
        {
            *to_pos = None;
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
}
