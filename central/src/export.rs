//! Everything that central holds, as lines for other programs.
//!
//! A line is one JSON object with the fields of its kind in their order; CSV is made from the same
//! objects ([`encoder`](Format)). Lines of one kind have a stable order, that of a unique key. An
//! export reads pages that each begin after the last key of the page before, all as of one moment:
//! it needs the memory of one page, and what happens meanwhile is in the next export. Fields are
//! only ever added, at the end.
//!
//! Deliberately absent: sorting and joining by the reader's wish; that is the work of whoever takes
//! the lines.

use bytes::Bytes;
use futures_util::Stream;
use sea_orm::ConnectionTrait;
use serde::Serialize;
use tillbind_protocol::ids::{StoreId, TerminalId};

use crate::store::snapshot::Snapshot;
use crate::store::statement::Row;
use crate::store::{Store, StoreError};
use listing::{Listing, Place};

pub mod audit;
pub mod bindings;
pub mod cards;
mod cells;
pub mod claims;
pub mod disputes;
mod encoder;
pub mod events;
pub mod gaps;
mod listing;
pub mod members;
pub mod moment;
pub mod quarantine;
pub mod terminals;
pub mod transactions;

pub use encoder::{EncodeError, Format, FormatError};
pub use moment::{Moment, MomentError};

/// What can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Finished sales, returns and voids.
    Transactions,
    /// What terminals recorded.
    Events,
    /// Membership cards.
    Cards,
    /// Members with their accounts and cards.
    Members,
    /// Requests to bind a card to an account.
    Bindings,
    /// Tills with the agent.
    Terminals,
    /// What terminals could no longer send.
    Gaps,
    /// Records that central could not use.
    Quarantine,
    /// Cards that two accounts want.
    Disputes,
    /// Claim codes, by their digest.
    Claims,
    /// Who did what at headquarters.
    Audit,
}

/// A word that is no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} cannot be exported: use one of {kinds}", kinds = Kind::names().join(", "))]
pub struct KindError {
    word: String,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Transactions,
        Self::Events,
        Self::Cards,
        Self::Members,
        Self::Bindings,
        Self::Terminals,
        Self::Gaps,
        Self::Quarantine,
        Self::Disputes,
        Self::Claims,
        Self::Audit,
    ];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transactions => "transactions",
            Self::Events => "events",
            Self::Cards => "cards",
            Self::Members => "members",
            Self::Bindings => "bindings",
            Self::Terminals => "terminals",
            Self::Gaps => "gaps",
            Self::Quarantine => "quarantine",
            Self::Disputes => "disputes",
            Self::Claims => "claims",
            Self::Audit => "audit",
        }
    }

    /// Returns the names of all kinds.
    pub fn names() -> Vec<&'static str> {
        Self::ALL.into_iter().map(Self::as_str).collect()
    }

    /// Returns the names of the fields, in order.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Transactions => transactions::COLUMNS,
            Self::Events => events::COLUMNS,
            Self::Cards => cards::COLUMNS,
            Self::Members => members::COLUMNS,
            Self::Bindings => bindings::COLUMNS,
            Self::Terminals => terminals::COLUMNS,
            Self::Gaps => gaps::COLUMNS,
            Self::Quarantine => quarantine::COLUMNS,
            Self::Disputes => disputes::COLUMNS,
            Self::Claims => claims::COLUMNS,
            Self::Audit => audit::COLUMNS,
        }
    }

    fn listing(self) -> &'static Listing {
        match self {
            Self::Transactions => &transactions::LISTING,
            Self::Events => &events::LISTING,
            Self::Cards => &cards::LISTING,
            Self::Members => &members::LISTING,
            Self::Bindings => &bindings::LISTING,
            Self::Terminals => &terminals::LISTING,
            Self::Gaps => &gaps::LISTING,
            Self::Quarantine => &quarantine::LISTING,
            Self::Disputes => &disputes::LISTING,
            Self::Claims => &claims::LISTING,
            Self::Audit => &audit::LISTING,
        }
    }

    async fn lines(self, on: &impl ConnectionTrait, page: &[Row]) -> Result<Lines, ExportError> {
        match self {
            Self::Transactions => each(page, transactions::line),
            Self::Events => each(page, events::line),
            Self::Cards => each(page, cards::line),
            Self::Members => written(&members::lines(on, page).await?),
            Self::Bindings => each(page, bindings::line),
            Self::Terminals => each(page, terminals::line),
            Self::Gaps => each(page, gaps::line),
            Self::Quarantine => each(page, quarantine::line),
            Self::Disputes => each(page, disputes::line),
            Self::Claims => each(page, claims::line),
            Self::Audit => each(page, audit::line),
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = KindError;
    fn from_str(text: &str) -> Result<Self, KindError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| KindError {
                word: text.chars().take(32).collect(),
            })
    }
}

type Lines = Vec<String>;

fn each<L: Serialize>(
    page: &[Row],
    line: impl Fn(&Row) -> Result<L, StoreError>,
) -> Result<Lines, ExportError> {
    page.iter()
        .map(|row| serde_json::to_string(&line(row)?).map_err(ExportError::Write))
        .collect()
}

fn written<L: Serialize>(lines: &[L]) -> Result<Lines, ExportError> {
    lines
        .iter()
        .map(|line| serde_json::to_string(line).map_err(ExportError::Write))
        .collect()
}

/// Which lines of a kind are wanted; all, unless told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// From this moment on. It is compared with the kind's own time: `recorded_at` of transactions,
    /// `received_at` of events, `first_seen_at` of cards, the making of members, `requested_at` of
    /// bindings, `last_seen_at` of terminals, `reported_at` of gaps, `quarantined_at`, `opened_at` of
    /// disputes, `offered_at` of claims or else `asked_at`, `at` of the trail.
    pub since: Option<Moment>,
    /// Before this moment.
    pub until: Option<Moment>,
    /// Of this store.
    pub store: Option<StoreId>,
    /// Of this terminal.
    pub terminal: Option<TerminalId>,
    /// What waits: disputes not settled, records still in quarantine, claims that were entered early.
    pub open: bool,
}

/// A filter that a kind does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} cannot be filtered by {by}: leave that filter out", kind = .kind.as_str())]
pub struct FilterError {
    kind: Kind,
    by: &'static str,
}

impl Filter {
    /// Checks that a kind has what the filter asks for.
    ///
    /// # Errors
    /// [`FilterError`] with what it lacks.
    pub fn check(&self, kind: Kind) -> Result<(), FilterError> {
        let listing = kind.listing();
        let lacks = [
            ("store", self.store.is_some() && listing.store.is_none()),
            (
                "terminal",
                self.terminal.is_some() && listing.terminal.is_none(),
            ),
            ("open", self.open && listing.open.is_none()),
        ];
        match lacks.into_iter().find(|(_, lacking)| *lacking) {
            Some((by, _)) => Err(FilterError { kind, by }),
            None => Ok(()),
        }
    }
}

/// An export that fails.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The filter has no sense for the kind.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A line cannot be written as JSON.
    #[error("a line cannot be written as JSON")]
    Write(#[source] serde_json::Error),
    /// A line cannot be written in the format.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// What is to be exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which kind.
    pub kind: Kind,
    /// How lines are written.
    pub format: Format,
    /// Which lines.
    pub filter: Filter,
}

/// An export under way.
#[derive(Debug)]
pub struct Export {
    snapshot: Snapshot,
    request: Request,
    place: Option<Place>,
    began: bool,
    ended: bool,
}

impl Export {
    /// Begins an export.
    ///
    /// # Errors
    /// [`ExportError`] when the filter has no sense or the database cannot be read.
    pub async fn begin(store: &Store, request: Request) -> Result<Self, ExportError> {
        request.filter.check(request.kind)?;
        Ok(Self {
            snapshot: store.snapshot().await?,
            request,
            place: None,
            began: false,
            ended: false,
        })
    }

    /// Returns the lines of the next page, each a JSON object, and `None` after the last page.
    ///
    /// # Errors
    /// [`ExportError`] when the database cannot be read any more.
    pub async fn next_lines(&mut self) -> Result<Option<Vec<String>>, ExportError> {
        if self.ended {
            return Ok(None);
        }
        let listing = self.request.kind.listing();
        let filter = &self.request.filter;
        let place = self.place.as_ref();
        let page = listing.page(&*self.snapshot, filter, place).await?;
        self.ended = page.len() < listing.page_lines;
        if let Some(last) = page.last() {
            self.place = Some(listing.place(last)?);
        }
        let lines = self.request.kind.lines(&*self.snapshot, &page).await?;
        Ok(Some(lines))
    }

    /// Returns the next bytes in the format that was asked for, and `None` after the last.
    ///
    /// # Errors
    /// [`ExportError`] when the database cannot be read any more.
    pub async fn next_bytes(&mut self) -> Result<Option<Vec<u8>>, ExportError> {
        let format = self.request.format;
        let Some(lines) = self.next_lines().await? else {
            return Ok(None);
        };
        let mut bytes = if self.began {
            Vec::new()
        } else {
            encoder::header(format, self.request.kind.columns())?
        };
        self.began = true;
        bytes.append(&mut encoder::lines(format, &lines)?);
        Ok(Some(bytes))
    }

    /// Returns everything as a stream of bytes that reads a page when it is asked for one.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, ExportError>> + Send {
        futures_util::stream::try_unfold(self, |mut export| async move {
            let bytes = export.next_bytes().await?;
            Ok(bytes.map(|bytes| (Bytes::from(bytes), export)))
        })
    }
}
