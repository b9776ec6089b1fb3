//! How the line is, for people.

use tillbind_protocol::uplink::Line as LineState;

/// How the line is, for status and doctor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineStatus {
    /// The machine's state; none before the enrolment.
    pub state: Option<LineState>,
    /// When the last exchange succeeded, in milliseconds by the terminal's wall clock.
    pub last_exchange_ms: Option<i64>,
    /// Why the last attempt failed or was refused.
    pub last_error: Option<String>,
    /// When the last page of the replica became durable, in milliseconds by the wall clock.
    pub replica_ms: Option<i64>,
    /// Whether the replica has everything that central has for it.
    pub replica_complete: bool,
    /// How often the outbox began a new epoch in this run.
    pub forks: u32,
    /// What came of the exchanges of this run.
    pub counts: LineCounts,
}

/// What came of the exchanges of this run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Answers, whatever they said.
    pub answers: u64,
    /// Attempts that failed and were or will be made again.
    pub retries: u64,
    /// Answers that asked for events again.
    pub rewinds: u64,
    /// Answers that asked for patience.
    pub slow_downs: u64,
    /// Refusals of this terminal.
    pub refusals: u64,
    /// Requests that told of missing events.
    pub gaps: u64,
}

impl LineStatus {
    /// Before the enrolment.
    pub fn unenrolled() -> Self {
        Self {
            state: None,
            last_exchange_ms: None,
            last_error: None,
            replica_ms: None,
            replica_complete: false,
            forks: 0,
            counts: LineCounts::default(),
        }
    }

    /// Returns the stable name of the state.
    pub fn as_str(&self) -> &'static str {
        match self.state {
            None => "not_enrolled",
            Some(LineState::Connecting) => "connecting",
            Some(LineState::Online) => "online",
            Some(LineState::Offline { .. }) => "offline",
            Some(LineState::Refused) => "refused",
        }
    }
}
