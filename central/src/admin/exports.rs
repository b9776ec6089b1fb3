//! `GET /api/v1/KIND`: exports, streamed.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use tillbind_protocol::ids::{StoreId, TerminalId};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::Admin;
use super::refusal::Refused;
use super::request::Query;
use crate::export::{Export, Filter, Format, Kind, Moment, Request};

/// How long an export waits for a reader that takes nothing; then it is broken off, since it holds
/// the database's past and a connection.
const READER_TIMEOUT: Duration = Duration::from_secs(60);

/// What can be asked of an export.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    format: Option<String>,
    since: Option<String>,
    until: Option<String>,
    store: Option<StoreId>,
    terminal: Option<TerminalId>,
    #[serde(default)]
    open: bool,
}

impl Asked {
    fn request(self, kind: Kind) -> Result<Request, Refused> {
        let format = match &self.format {
            Some(word) => word.parse().map_err(bad)?,
            None => Format::Ndjson,
        };
        let filter = Filter {
            since: self.since.as_deref().map(moment).transpose()?,
            until: self.until.as_deref().map(moment).transpose()?,
            store: self.store,
            terminal: self.terminal,
            open: self.open,
        };
        Ok(Request {
            kind,
            format,
            filter,
        })
    }
}

fn moment(text: &str) -> Result<Moment, Refused> {
    text.parse().map_err(bad)
}

fn bad(error: impl std::fmt::Display) -> Refused {
    Refused::BadRequest(error.to_string())
}

/// Returns the route of a kind.
pub(super) fn of(kind: Kind) -> MethodRouter<Arc<Admin>> {
    get(
        move |State(admin): State<Arc<Admin>>, Query(asked): Query<Asked>| {
            export(admin, kind, asked)
        },
    )
}

async fn export(admin: Arc<Admin>, kind: Kind, asked: Asked) -> Result<Response, Refused> {
    let request = asked.request(kind)?;
    let format = request.format;
    let place = Arc::clone(&admin.exports).try_acquire_owned();
    let place = place.map_err(|_| Refused::Busy)?;
    let mut export = Export::begin(&admin.central.store, request).await?;
    // The first page is read before the status is sent: a database that is away is told as such.
    let first = export.next_bytes().await?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(feed(export, first, sender, place));
    let body = stream::unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Some(Fed::Bytes(bytes)) => Some((Ok(bytes), receiver)),
            Some(Fed::End) => None,
            // Nobody may take a part for the whole: the connection is broken off.
            None => Some((Err(BrokenOff), receiver)),
        }
    });
    let headers = [
        (header::CONTENT_TYPE, format.media_type()),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

enum Fed {
    Bytes(Bytes),
    End,
}

/// An export that did not reach its end.
#[derive(Debug, thiserror::Error)]
#[error("the export was broken off")]
struct BrokenOff;

async fn feed(
    mut export: Export,
    first: Option<Vec<u8>>,
    sender: mpsc::Sender<Fed>,
    _place: OwnedSemaphorePermit,
) {
    let mut next = first;
    loop {
        let (fed, ended) = match next {
            Some(bytes) => (Fed::Bytes(Bytes::from(bytes)), false),
            None => (Fed::End, true),
        };
        match tokio::time::timeout(READER_TIMEOUT, sender.send(fed)).await {
            Ok(Ok(())) if !ended => {}
            // The end was said, or nobody reads any more.
            Ok(_) => return,
            Err(_elapsed) => {
                tracing::warn!("an export was broken off: its reader takes nothing");
                return;
            }
        }
        next = match export.next_bytes().await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "an export was broken off");
                return;
            }
        };
    }
}
