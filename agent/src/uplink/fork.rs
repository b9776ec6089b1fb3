//! Forks: the outbox moves to another epoch, and a note says which one it left.

use tillbind_protocol::chain::forked_epoch;
use tillbind_protocol::exchange::Fork;
use tillbind_protocol::ids::{Epoch, Seq};

use super::{Task, UplinkError, blocking};
use crate::event::Event;
use crate::members::{MembersError, NoteKind, Replica};

/// Name of the note on where an epoch left another, before the epoch's own name: a fork that is cut short
/// leaves the note on the present epoch alone.
const FORK: &[u8] = b"forked into ";

/// Reads the fork that the present epoch came from, if it came from one.
pub(super) fn kept_fork(replica: &Replica, present: Epoch) -> Result<Option<Fork>, MembersError> {
    let kept = replica.get_local(NoteKind::Setting, &fork_name(present))?;
    let fork: Option<Fork> = kept.and_then(|value| serde_json::from_slice(&value).ok());
    Ok(fork.filter(|fork| forked_epoch(fork.epoch, fork.at) == present))
}

/// Remembers where an epoch left another, durably. Blocks on the disk.
pub(super) fn keep_fork(replica: &Replica, fork: Fork) -> Result<(), MembersError> {
    // A number and a name always have a JSON form.
    let value = serde_json::to_vec(&fork).unwrap_or_default();
    let into = forked_epoch(fork.epoch, fork.at);
    replica.put_local(NoteKind::Setting, &fork_name(into), &value)
}

fn fork_name(into: Epoch) -> Vec<u8> {
    [FORK, &into.0.to_le_bytes()].concat()
}

impl Task {
    /// Moves to a new epoch from a place on.
    pub(super) async fn fork(&mut self, at: Seq) -> Result<(), UplinkError> {
        let former = self.reach.outbox.epoch();
        let epoch = forked_epoch(former, at);
        tracing::warn!(%former, %at, %epoch, "two histories share this epoch: beginning a new one");
        let outbox = self.reach.outbox.clone();
        let fork = Fork { epoch: former, at };
        // For every central that may ask: a restored one must hear of it again. Kept first: a crash in
        // between leaves a note on an epoch that is not there yet.
        let replica = self.reach.replica.clone();
        let kept = blocking(move || keep_fork(&replica, fork)).await?;
        if let Err(error) = kept {
            self.fail(&error.to_string());
            return Ok(());
        }
        match blocking(move || outbox.fork(at, epoch)).await? {
            Ok(forked) => {
                for damage in &forked.damages {
                    let (from, to) = (damage.from, damage.to);
                    let reason = &damage.reason;
                    tracing::error!(%from, %to, reason, "lost events moved as a gap");
                }
                if let Some((from, to)) = forked.gone {
                    tracing::warn!(%from, %to, "acknowledged events that differ are no longer kept: they \
                        moved as a gap");
                }
                let (acked, head) = (self.reach.outbox.acked(), self.reach.outbox.appended());
                self.machine.handle_forked(acked, head);
                self.forked_from = Some(fork);
                self.hello_at = None;
                self.gap = None;
                self.show(|status| status.forks = status.forks.saturating_add(1));
                self.tell(Event::Epoch(epoch)).await;
            }
            Err(error) => self.fail(&error.to_string()),
        }
        Ok(())
    }
}
