//! What must be true of a run.

use std::fmt;

/// A promise that a run can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Every event that was answered is at central, or it is explained why it cannot be.
    NothingLost,
    /// No event is at central twice.
    NothingTwice,
    /// Places of an epoch rise, hold what was recorded in its order, and chain.
    InOrder,
    /// A place that holds nothing lies in a gap that was recorded, with the reason that is true.
    GapsExplained,
    /// A binding is ruled on once, the first request that became durable wins.
    RuledOnce,
    /// A verdict reaches the terminal that asked, and ends its asking.
    VerdictArrives,
    /// A terminal's replica holds what central has.
    ReplicaIsTrue,
    /// A corrected time is off by no more than its uncertainty.
    TimeIsHonest,
    /// With nothing in the way any more, all comes to rest.
    ComesToRest,
    /// A terminal is told of its own history only.
    OwnHistory,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Which.
    pub promise: Promise,
    /// How.
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.what)
    }
}
