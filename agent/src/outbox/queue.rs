//! What waits for the writer: appends, bounded in number and bytes, and orders that go beside them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::{Epoch, Seq};
use tokio::sync::oneshot;

use super::{AckError, AppendError, CloseError, ForkError, Forked};

/// Groups that may wait; one more is refused as [`AppendError::Busy`].
pub(super) const QUEUE_GROUPS_MAX: usize = 16 * 1024;
/// Bytes that may wait; more are refused as [`AppendError::Busy`].
pub(super) const QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes taken into one commit: beyond this a longer write gains nothing over one more sync.
const COMMIT_BYTES_MAX: usize = 1024 * 1024;

/// Looks for more before the writer goes to sleep: some twenty microseconds, once after each turn.
const LINGER_TURNS: u32 = 1_000;

/// A group of records to be kept together.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) records: Vec<Vec<u8>>,
    pub(super) bytes: usize,
    pub(super) reply: oneshot::Sender<Result<Mark, AppendError>>,
}

/// An order to the writer.
#[derive(Debug)]
pub(super) enum Order {
    Acknowledge {
        mark: Mark,
        reply: oneshot::Sender<Result<(), AckError>>,
    },
    Fork {
        at: Seq,
        new_epoch: Epoch,
        reply: oneshot::Sender<Result<Forked, ForkError>>,
    },
    /// A reader found the buffer out of order.
    DistrustBuffer,
    Close {
        reply: oneshot::Sender<Result<(), CloseError>>,
    },
}

#[derive(Debug, Default)]
struct State {
    appends: VecDeque<Append>,
    bytes: usize,
    orders: VecDeque<Order>,
    /// Nothing more comes in.
    closed: bool,
    /// What waits is given up: the process goes without a clean stop.
    abandoned: bool,
    /// The writer sleeps and must be woken.
    asleep: bool,
}

/// What the writer takes at once.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) appends: Vec<Append>,
    pub(super) orders: VecDeque<Order>,
    pub(super) abandoned: bool,
}

/// The queue in front of the writer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    /// Something came since the writer last looked.
    news: AtomicBool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements that hold the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an append wait, or answers it at once when there is no room.
    pub(super) fn push(&self, append: Append) {
        let mut state = self.state();
        let refusal = if state.closed {
            AppendError::Stopped
        } else if state.appends.len() >= QUEUE_GROUPS_MAX
            || state.bytes + append.bytes > QUEUE_BYTES_MAX
        {
            AppendError::Busy
        } else {
            state.bytes += append.bytes;
            state.appends.push_back(append);
            self.wake(state);
            return;
        };
        drop(state);
        answer(append.reply, Err(refusal));
    }

    /// Gives the writer an order; after the end it is dropped, and its reply with it.
    pub(super) fn order(&self, order: Order) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        state.closed = matches!(order, Order::Close { .. });
        state.orders.push_back(order);
        self.wake(state);
    }

    /// Tells the writer that something came; waking it costs a call to the kernel, so only if it sleeps.
    fn wake(&self, state: MutexGuard<'_, State>) {
        let asleep = state.asleep;
        self.news.store(true, Ordering::Release);
        drop(state);
        if asleep {
            self.filled.notify_one();
        }
    }

    /// Waits a moment for what follows right behind: being woken takes longer than most of what comes.
    fn linger(&self) {
        for _ in 0..LINGER_TURNS {
            if self.news.load(Ordering::Acquire) {
                return;
            }
            std::hint::spin_loop();
        }
    }

    /// Ends the queue without a clean stop.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.closed = true;
        state.abandoned = true;
        self.wake(state);
    }

    /// Takes what one commit holds, and all orders; waits for something, at most so long, unless the
    /// writer is `busy`.
    pub(super) fn take(&self, busy: bool, wait_max: Duration) -> Taken {
        if !busy {
            self.linger();
        }
        let mut state = self.state();
        self.news.store(false, Ordering::Relaxed);
        while !busy && state.appends.is_empty() && state.orders.is_empty() && !state.abandoned {
            state.asleep = true;
            let (awake, waited) = self
                .filled
                .wait_timeout(state, wait_max)
                .unwrap_or_else(PoisonError::into_inner);
            state = awake;
            state.asleep = false;
            if waited.timed_out() {
                break;
            }
        }
        let mut appends = Vec::new();
        let mut bytes = 0;
        while bytes < COMMIT_BYTES_MAX
            && let Some(append) = state.appends.pop_front()
        {
            bytes += append.bytes;
            appends.push(append);
        }
        state.bytes -= bytes;
        // Orders come after the appends that were there before them.
        let orders = if state.appends.is_empty() {
            std::mem::take(&mut state.orders)
        } else {
            VecDeque::new()
        };
        Taken {
            appends,
            orders,
            abandoned: state.abandoned,
        }
    }

    /// Drops all that waits, so that those who wait learn that the writer has ended.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.closed = true;
        state.appends.clear();
        state.orders.clear();
    }
}

/// Answers whoever still waits for it.
pub(super) fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    // The one who asked may have gone: then nobody needs the answer.
    drop(reply.send(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(bytes: usize) -> (Append, oneshot::Receiver<Result<Mark, AppendError>>) {
        let (reply, answer) = oneshot::channel();
        let append = Append {
            records: Vec::new(),
            bytes,
            reply,
        };
        (append, answer)
    }

    #[test]
    fn a_full_queue_refuses_at_once_and_takes_again_when_emptied() {
        let queue = Queue::default();
        let (big, mut first) = append(QUEUE_BYTES_MAX);
        queue.push(big);
        let (more, refused) = append(1);
        queue.push(more);
        assert!(matches!(
            refused.blocking_recv(),
            Ok(Err(AppendError::Busy))
        ));
        assert_eq!(queue.take(false, Duration::MAX).appends.len(), 1);
        assert!(
            first.try_recv().is_err(),
            "its append was taken and dropped unanswered"
        );
        let (again, mut waits) = append(1);
        queue.push(again);
        assert_eq!(
            waits.try_recv().unwrap_err(),
            oneshot::error::TryRecvError::Empty
        );
    }

    #[test]
    fn orders_wait_for_the_appends_before_them() {
        let queue = Queue::default();
        let _replies: Vec<_> = (0..3)
            .map(|_| {
                let (append, reply) = append(COMMIT_BYTES_MAX);
                queue.push(append);
                reply
            })
            .collect();
        queue.order(Order::DistrustBuffer);
        let taken: Vec<_> = (0..3).map(|_| queue.take(false, Duration::MAX)).collect();
        assert_eq!(
            taken.iter().map(|t| t.orders.len()).collect::<Vec<_>>(),
            [0, 0, 1]
        );
        assert!(taken.iter().all(|t| t.appends.len() == 1));
    }
}
