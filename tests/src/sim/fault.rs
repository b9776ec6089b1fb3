//! Known bugs that the simulation's shells can be given, to see that the checks find them.

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The outbox answers a till before the disk has synced.
    AnswersBeforeSync,
    /// The outbox forgets all it has when central acknowledges a part of it.
    ForgetsTooMuch,
    /// Central answers before its transaction is committed.
    AnswersBeforeCommit,
    /// Central decides without the lock of the stream's row.
    DecidesUnlocked,
    /// Central lets a gap pass and does not record it.
    GapUnrecorded,
    /// Central rules again on a request that it ruled on before.
    RulesAgain,
    /// The terminal keeps the cursor before the page.
    CursorBeforePage,
    /// A terminal that has nothing to send does not tell of what central lost, and asks without end.
    PollWithoutGap,
    /// The terminal takes no notice of a fork and goes on in the same epoch.
    IgnoresFork,
    /// A fork leaves behind what should move.
    ForkLeavesBehind,
    /// The new epoch does not say which one it left.
    ForkUntold,
    /// A verdict that became durable just before a crash is not looked up at the start.
    VerdictForgotten,
    /// After a start of the machine the wall clock is believed though it was another when noted.
    BatteryUnnoted,
    /// Events are stamped by the wall clock and an offset that was measured once.
    TrustsWallClock,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::AnswersBeforeSync,
        Self::ForgetsTooMuch,
        Self::AnswersBeforeCommit,
        Self::DecidesUnlocked,
        Self::GapUnrecorded,
        Self::RulesAgain,
        Self::CursorBeforePage,
        Self::PollWithoutGap,
        Self::IgnoresFork,
        Self::ForkLeavesBehind,
        Self::ForkUntold,
        Self::VerdictForgotten,
        Self::BatteryUnnoted,
        Self::TrustsWallClock,
    ];
}
