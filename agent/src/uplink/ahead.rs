//! The next batch of a backlog, cut while headquarters works on the one before: so the one reads while the
//! other writes.
//!
//! It is of use only if the answer leads to where it was cut: a batch acknowledged whole, no gap, no fork,
//! the same bounds. Otherwise it is dropped and cut anew. It costs the memory of one batch while a backlog
//! goes up. Copies of binding requests are not cut ahead: they would miss who asks in the meantime.

use tillbind_protocol::exchange::Batch;
use tillbind_protocol::ids::Epoch;
use tokio::task::JoinHandle;

use super::cut::{Cut, CutError, Wanted, batch};
use crate::outbox::Outbox;

/// A batch in the making.
#[derive(Debug)]
pub(super) struct Ahead {
    wanted: Wanted,
    epoch: Epoch,
    cut: JoinHandle<Result<Cut, CutError>>,
}

impl Ahead {
    /// Begins to cut what follows a batch, if enough waits there to fill another.
    pub(super) fn begin(outbox: &Outbox, before: &Wanted, cut: &Cut) -> Option<Self> {
        let after = cut.batch.as_ref().map(Batch::last)?;
        let waiting = outbox.appended().seq.0.saturating_sub(after.0);
        if waiting < before.events_max as u64 {
            return None;
        }
        let wanted = Wanted {
            after,
            gap: None,
            ..before.clone()
        };
        let epoch = outbox.epoch();
        let (outbox, of) = (outbox.clone(), wanted.clone());
        Some(Self {
            wanted,
            epoch,
            cut: tokio::task::spawn_blocking(move || batch(&outbox, &of)),
        })
    }

    /// Returns the batch if it is what a request wants now. One that could not be read is cut anew, which
    /// then tells why.
    pub(super) async fn take(self, epoch: Epoch, wanted: &Wanted) -> Option<Cut> {
        if self.epoch != epoch || !self.wanted.has_batch_of(wanted) {
            return None;
        }
        let cut = self.cut.await.ok()?.ok()?;
        cut.is_full(wanted).then_some(cut)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tillbind_protocol::exchange::CURRENT;
    use tillbind_protocol::ids::Seq;

    use super::super::cut::Gap;
    use super::*;
    use crate::outbox::OutboxConfig;
    use crate::vault::{Vault, test_random};

    fn wanted(after: u64) -> Wanted {
        Wanted {
            after: Seq(after),
            events_max: 3,
            bytes_max: 1_000,
            express_after: Seq::ZERO,
            express_max: 0,
            version: CURRENT,
            gap: None,
        }
    }

    #[tokio::test]
    async fn what_was_cut_ahead_goes_only_where_it_was_cut_for_and_only_if_nothing_can_join_it() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::from_key([4; 32], test_random(8));
        let config = OutboxConfig::new(dir.path().join("outbox"), Arc::new(|| Duration::ZERO));
        let outbox = Outbox::open(config, &vault, test_random(9)).unwrap().outbox;
        let records = (0..8).map(|n| format!(r#"{{"n":{n}}}"#).into_bytes());
        outbox.append_all(records.collect()).await.unwrap();
        let epoch = outbox.epoch();
        let first = batch(&outbox, &wanted(0)).unwrap();
        let begin = || Ahead::begin(&outbox, &wanted(0), &first).unwrap();

        let second = begin().take(epoch, &wanted(3)).await.unwrap();
        let text = |cut: &Cut| serde_json::to_string(&cut.batch).unwrap();
        let in_its_turn = batch(&outbox, &wanted(3)).unwrap();
        assert_eq!(text(&second), text(&in_its_turn));
        let gap = Gap {
            from: Seq(1),
            to: Seq(2),
        };
        let others = [
            wanted(2),
            Wanted {
                events_max: 2,
                ..wanted(3)
            },
            Wanted {
                bytes_max: 999,
                ..wanted(3)
            },
            Wanted {
                version: 1,
                ..wanted(3)
            },
            Wanted {
                gap: Some(gap),
                ..wanted(3)
            },
        ];
        for other in others {
            assert!(begin().take(epoch, &other).await.is_none(), "{other:?}");
        }
        let forked = Epoch(epoch.0 ^ 1);
        assert!(begin().take(forked, &wanted(3)).await.is_none());

        let too_few = Ahead::begin(&outbox, &wanted(3), &second);
        assert!(too_few.is_none(), "two wait, three go");
    }
}
