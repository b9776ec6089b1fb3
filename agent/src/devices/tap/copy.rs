//! The copy of a connection's bytes that the parser reads: bounded, and never a wait for printing.
//!
//! The printing side puts bytes in without ever waiting; what finds no room is counted and left
//! out, and so is everything after it until the parser has taken what is there. The parser
//! therefore sees a loss only at the end of what it takes, and knows where the text is torn.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tillbind_protocol::claim::ClaimCode;
use tokio::sync::{Notify, oneshot};

use crate::devices::ClaimReply;

/// Most bytes that wait for the parser, per connection: some hundred receipts of text, or one with
/// a large logo. Beyond it receipts are printed and not read.
pub(super) const COPY_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    lost_bytes: u64,
    /// Who waits for a claim code for the job that the last of `bytes` cut.
    asked: Option<ClaimReply>,
    closed: bool,
    /// The parser is gone and takes nothing more.
    abandoned: bool,
}

#[derive(Debug, Default)]
struct Pipe {
    /// Held for a copy of bytes or a swap, never across a wait.
    waiting: Mutex<Waiting>,
    changed: Notify,
    taken: Notify,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every write under the lock leaves a whole value, so a panic elsewhere spoils nothing.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The printing side's end. Dropped, it ends the copy.
#[derive(Debug)]
pub(super) struct CopySource(Arc<Pipe>);

/// The parser's end.
#[derive(Debug)]
pub(super) struct CopySink(Arc<Pipe>);

/// What the parser takes at once.
#[derive(Debug)]
pub(super) struct Taken {
    /// Bytes in the order they were printed.
    pub(super) bytes: Vec<u8>,
    /// Who waits for a claim code for the job that the last of the bytes cut.
    pub(super) asked: Option<ClaimReply>,
    /// Bytes that were printed after these and are not here.
    pub(super) lost_bytes: u64,
}

/// Makes the two ends of one connection's copy.
pub(super) fn copy() -> (CopySource, CopySink) {
    let pipe = Arc::new(Pipe::default());
    (CopySource(Arc::clone(&pipe)), CopySink(pipe))
}

impl CopySource {
    /// Puts bytes in, or counts them as lost; returns at once.
    pub(super) fn offer(&self, bytes: &[u8]) {
        self.put(bytes, None);
    }

    /// Puts the bytes of a cut in and asks for the claim code of the job that it ends. Nothing if they
    /// found no room; the wait ends without a code where there is none.
    pub(super) fn ask(&self, bytes: &[u8]) -> Option<oneshot::Receiver<ClaimCode>> {
        let (reply, answer) = oneshot::channel();
        self.put(bytes, Some(reply)).then_some(answer)
    }

    fn put(&self, bytes: &[u8], asked: Option<ClaimReply>) -> bool {
        if bytes.is_empty() {
            return false;
        }
        let mut waiting = self.0.lock();
        if waiting.abandoned {
            return false;
        }
        let fits = waiting.lost_bytes == 0 && waiting.bytes.len() + bytes.len() <= COPY_BYTES_MAX;
        if fits {
            waiting.bytes.extend_from_slice(bytes);
            // Who asked before has waited for long enough.
            waiting.asked = asked;
        } else {
            waiting.lost_bytes += bytes.len() as u64;
            waiting.asked = None;
        }
        drop(waiting);
        self.0.changed.notify_one();
        fits
    }

    /// Waits until the parser has taken all that was put in, or is gone: for a sender that no till waits
    /// for.
    pub(super) async fn drained(&self) {
        loop {
            {
                let waiting = self.0.lock();
                if waiting.bytes.is_empty() || waiting.abandoned {
                    return;
                }
            }
            // A notice given between the look and the wait is kept, so none is missed.
            self.0.taken.notified().await;
        }
    }
}

impl Drop for CopySink {
    fn drop(&mut self) {
        self.0.lock().abandoned = true;
        self.0.taken.notify_one();
    }
}

impl Drop for CopySource {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_one();
    }
}

impl CopySink {
    /// Waits for bytes and takes all that are there; nothing when the connection has ended.
    pub(super) async fn take(&mut self) -> Option<Taken> {
        loop {
            {
                let mut waiting = self.0.lock();
                if !waiting.bytes.is_empty() || waiting.lost_bytes > 0 {
                    self.0.taken.notify_one();
                    return Some(Taken {
                        bytes: std::mem::take(&mut waiting.bytes),
                        asked: waiting.asked.take(),
                        lost_bytes: std::mem::take(&mut waiting.lost_bytes),
                    });
                }
                if waiting.closed {
                    return None;
                }
            }
            // A notice given between the look and the wait is kept, so none is missed.
            self.0.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_finds_no_room_is_counted_and_the_next_take_is_whole_again() {
        let (source, mut sink) = copy();
        source.offer(&vec![1; COPY_BYTES_MAX - 1]);
        source.offer(&[2, 2]);
        // It would fit, but the text before it is gone.
        source.offer(&[3]);
        let taken = sink.take().await.unwrap();
        assert_eq!(
            (taken.bytes.len(), taken.lost_bytes),
            (COPY_BYTES_MAX - 1, 3)
        );
        source.offer(&[4]);
        let taken = sink.take().await.unwrap();
        assert_eq!((taken.bytes, taken.lost_bytes), (vec![4], 0));
    }

    #[tokio::test]
    async fn what_was_put_in_before_the_end_is_taken_after_it() {
        let (source, mut sink) = copy();
        source.offer(b"total 5.00");
        drop(source);
        assert_eq!(sink.take().await.unwrap().bytes, b"total 5.00");
        assert!(sink.take().await.is_none());
    }

    #[tokio::test]
    async fn a_sender_that_waits_is_woken_by_a_take_and_by_a_parser_that_is_gone() {
        let (source, mut sink) = copy();
        source.drained().await;
        source.offer(b"x");
        let taker = tokio::spawn(async move {
            let taken = sink.take().await;
            (taken, sink)
        });
        source.drained().await;
        let (_, sink) = taker.await.unwrap();
        source.offer(b"y");
        tokio::join!(source.drained(), async move {
            tokio::task::yield_now().await;
            drop(sink);
        });
    }

    #[tokio::test]
    async fn a_waiting_parser_is_woken_by_bytes_and_by_the_end() {
        let (source, mut sink) = copy();
        let taker = tokio::spawn(async move { (sink.take().await, sink.take().await) });
        tokio::task::yield_now().await;
        source.offer(b"x");
        tokio::task::yield_now().await;
        drop(source);
        let (first, second) = taker.await.unwrap();
        assert_eq!(first.map(|taken| taken.bytes), Some(b"x".to_vec()));
        assert!(second.is_none());
    }

    #[tokio::test]
    async fn who_asks_at_a_cut_is_answered_unless_more_was_printed_meanwhile() {
        let (source, mut sink) = copy();
        source.offer(b"total 5.00");
        let answer = source.ask(b"cut").unwrap();
        let taken = sink.take().await.unwrap();
        assert_eq!(taken.bytes, b"total 5.00cut");
        let code = ClaimCode::new([1; 10]);
        taken.asked.unwrap().send(code.clone()).unwrap();
        assert_eq!(answer.await, Ok(code));

        let late = source.ask(b"cut").unwrap();
        source.offer(b"the next receipt");
        let taken = sink.take().await.unwrap();
        assert!(taken.asked.is_none());
        assert!(late.await.is_err());
        source.offer(&vec![1; COPY_BYTES_MAX]);
        assert!(source.ask(b"no room").is_none());
    }
}
