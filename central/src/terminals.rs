//! Terminals: who they are, whether they may sync, and how they are.
//!
//! A certificate counts while its serial number is the terminal's current or pending one. A renewed
//! certificate is pending until the terminal first uses it, so that a lost answer locks nobody out.
//! Enrolling the same store and workstation again makes a new terminal and marks the former one
//! superseded: a replaced till may still be selling, so it stays welcome until it is revoked.

use sea_orm::ConnectionTrait;
use tillbind_protocol::exchange::{DiskState, Hello};
use tillbind_protocol::ids::{Epoch, StoreId, TerminalId, WorkstationId};

use crate::audit::{self, Entry};
use crate::plain_text::plain_text;
use crate::store::statement::{execute, row};
use crate::store::{Store, StoreError};
use crate::values;

/// How often the time of last contact is written for a terminal that only polls, in milliseconds:
/// what headquarters sees is at most this much behind.
pub const SEEN_GRAIN_MS: i64 = 15_000;
/// Longest version and machine fingerprint that are kept, in bytes.
const HELLO_TEXT_BYTES_MAX: usize = 128;

/// What is known of a terminal that asks for something.
#[derive(Debug, Clone)]
pub struct Terminal {
    /// Its name.
    pub id: TerminalId,
    /// Its store.
    pub store: StoreId,
    /// Its workstation.
    pub workstation: WorkstationId,
    /// Serial number of its certificate.
    pub serial: String,
    /// Serial number of the certificate that will replace it.
    pub serial_pending: Option<String>,
    /// Fingerprint of the machine that enrolled.
    pub machine: String,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
    /// When it was last written down as seen.
    pub last_seen_ms: Option<i64>,
    /// The epoch with which it was.
    pub epoch: Option<Epoch>,
    /// How its disk was when it last said.
    pub disk: Option<DiskState>,
}

/// How a certificate stands with its terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may sync.
    Current,
    /// It may sync, and from now on its former certificate may not.
    Renewed,
    /// It was revoked, or never issued by this database.
    Barred,
}

/// Judges a certificate of our CA by its serial number.
pub fn standing(terminal: &Terminal, serial: &str) -> Standing {
    if terminal.revoked_ms.is_some() {
        return Standing::Barred;
    }
    if terminal.serial_pending.as_deref() == Some(serial) {
        return Standing::Renewed;
    }
    if terminal.serial == serial {
        return Standing::Current;
    }
    Standing::Barred
}

/// Finds a terminal.
///
/// # Errors
/// [`StoreError`].
pub async fn find(
    on: &impl ConnectionTrait,
    id: &TerminalId,
) -> Result<Option<Terminal>, StoreError> {
    let sql =
        "SELECT store, workstation, serial, serial_pending, machine, revoked_ms, last_seen_ms,
        epoch, disk FROM terminals WHERE terminal = $1";
    let Some(row) = row(on, "look up a terminal", sql, values![id.as_str()]).await? else {
        return Ok(None);
    };
    Ok(Some(Terminal {
        id: id.clone(),
        store: row.parsed(0)?,
        workstation: row.parsed(1)?,
        serial: row.text(2)?,
        serial_pending: row.text_opt(3)?,
        machine: row.text(4)?,
        revoked_ms: row.int_opt(5)?,
        last_seen_ms: row.int_opt(6)?,
        epoch: match row.text_opt(7)? {
            Some(_) => Some(row.parsed(7)?),
            None => None,
        },
        disk: match row.text_opt(8)? {
            Some(name) => DiskState::ALL.into_iter().find(|d| d.as_str() == name),
            None => None,
        },
    }))
}

/// Makes the pending certificate the only one.
///
/// # Errors
/// [`StoreError`].
pub async fn adopt_renewed(
    on: &impl ConnectionTrait,
    id: &TerminalId,
    serial: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE terminals SET serial = $2, serial_pending = NULL
        WHERE terminal = $1 AND serial_pending = $2";
    let values = values![id.as_str(), serial];
    execute(on, "adopt a renewed certificate", sql, values).await?;
    Ok(())
}

/// A terminal's contact, as its request shows it.
#[derive(Debug, Clone, Copy)]
pub struct Contact<'r> {
    /// Life of its outbox.
    pub epoch: Epoch,
    /// Events that it still holds for central once this request is taken.
    pub outbox_events: u64,
    /// Central's clock less the terminal's, in milliseconds: as the terminal estimates it, or from
    /// this one request, which is off by the time that it was on its way.
    pub clock_offset_ms: i64,
    /// How it is, if it told.
    pub hello: Option<&'r Hello>,
}

/// Writes down that a terminal was in touch, and how it is.
///
/// # Errors
/// [`StoreError`].
pub async fn note_seen(
    on: &impl ConnectionTrait,
    id: &TerminalId,
    contact: &Contact<'_>,
    now_ms: i64,
) -> Result<(), StoreError> {
    // Whoever says hello has passed the test for clones: an earlier refusal is over.
    let sql = "UPDATE terminals SET last_seen_ms = $2, epoch = $3, outbox_events = $4,
        clock_offset_ms = $5, version = COALESCE($6, version),
        outbox_bytes = CASE WHEN $6 IS NULL THEN outbox_bytes ELSE $7 END,
        disk = CASE WHEN $6 IS NULL THEN disk ELSE $8 END,
        sacrificed = CASE WHEN $6 IS NULL THEN sacrificed ELSE $9 END,
        quarantined = CASE WHEN $6 IS NULL THEN quarantined ELSE $10 END,
        refused_ms = CASE WHEN $6 IS NULL THEN refused_ms END,
        refused_reason = CASE WHEN $6 IS NULL THEN refused_reason END
        WHERE terminal = $1";
    let values = values![
        id.as_str(),
        now_ms,
        contact.epoch.to_string(),
        i64::try_from(contact.outbox_events).unwrap_or(i64::MAX),
        contact.clock_offset_ms,
        contact
            .hello
            .map(|hello| plain_text(&hello.version, HELLO_TEXT_BYTES_MAX)),
        figure(contact.hello.and_then(|hello| hello.outbox_bytes)),
        contact
            .hello
            .and_then(|hello| hello.disk)
            .map(DiskState::as_str),
        figure(contact.hello.and_then(|hello| hello.sacrificed)),
        figure(contact.hello.and_then(|hello| hello.quarantined)),
    ];
    execute(on, "note a terminal's contact", sql, values).await?;
    Ok(())
}

fn figure(told: Option<u64>) -> Option<i64> {
    told.map(|figure| i64::try_from(figure).unwrap_or(i64::MAX))
}

/// Warns in the log when a terminal's disk is not as it was when it last said.
pub fn warn_of_disk(before: &Terminal, now: DiskState) {
    let Terminal {
        id,
        store,
        workstation,
        ..
    } = before;
    if before.disk.unwrap_or(DiskState::Ok) == now {
        return;
    }
    match now {
        DiskState::Full => tracing::error!(
            terminal = %id, %store, %workstation,
            "a terminal's disk is full: it gives up lesser events to keep sales and bindings, or refuses \
             new ones"
        ),
        DiskState::Tight => tracing::warn!(
            terminal = %id, %store, %workstation,
            "a terminal's disk is tight: little room is left for its events"
        ),
        DiskState::Ok => tracing::info!(
            terminal = %id, %store, %workstation, "a terminal's disk has room again"
        ),
    }
}

/// Writes down that a terminal's identity turned up on another machine: headquarters sees it at the
/// terminal, and the trail keeps its first occurrence.
///
/// # Errors
/// [`StoreError`].
pub async fn note_cloned(
    store: &Store,
    id: &TerminalId,
    machine: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let tx = store.begin().await?;
    let machine = plain_text(machine, HELLO_TEXT_BYTES_MAX);
    let reason = format!("its identity was used on another machine ({machine})");
    let sql = "UPDATE terminals SET refused_ms = $2, refused_reason = $3
        WHERE terminal = $1 AND (refused_reason IS NULL OR refused_reason <> $3)";
    let values = values![id.as_str(), now_ms, reason.clone()];
    let fresh = execute(&*tx, "note a cloned terminal", sql, values).await?;
    if fresh > 0 {
        let entry = Entry {
            actor: &format!("terminal:{id}"),
            action: "terminal.cloned",
            subject: id.as_str(),
            detail: &reason,
        };
        audit::write(&*tx, &entry, now_ms).await?;
    }
    tx.commit().await
}

/// Revokes a terminal: from the next request on it may not sync. Returns whether there is such a
/// terminal.
///
/// # Errors
/// [`StoreError`].
pub async fn revoke(
    store: &Store,
    id: &TerminalId,
    actor: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let tx = store.begin().await?;
    let sql = "UPDATE terminals SET revoked_ms = COALESCE(revoked_ms, $2) WHERE terminal = $1";
    let values = values![id.as_str(), now_ms];
    let found = execute(&*tx, "revoke a terminal", sql, values).await? > 0;
    if found {
        let entry = Entry {
            actor,
            action: "terminal.revoked",
            subject: id.as_str(),
            detail: "",
        };
        audit::write(&*tx, &entry, now_ms).await?;
    }
    tx.commit().await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal() -> Terminal {
        Terminal {
            id: TerminalId::new("t1").unwrap(),
            store: StoreId::new("S").unwrap(),
            workstation: WorkstationId::new("W").unwrap(),
            serial: "40".into(),
            serial_pending: Some("41".into()),
            machine: "m".into(),
            revoked_ms: None,
            last_seen_ms: None,
            epoch: None,
            disk: None,
        }
    }

    #[test]
    fn a_renewed_certificate_and_its_predecessor_both_count_until_the_new_one_is_used() {
        assert_eq!(standing(&terminal(), "40"), Standing::Current);
        assert_eq!(standing(&terminal(), "41"), Standing::Renewed);
        assert_eq!(standing(&terminal(), "42"), Standing::Barred);
    }

    #[test]
    fn a_revoked_terminal_is_barred_with_every_certificate() {
        let revoked = Terminal {
            revoked_ms: Some(1),
            ..terminal()
        };
        assert_eq!(standing(&revoked, "40"), Standing::Barred);
        assert_eq!(standing(&revoked, "41"), Standing::Barred);
    }
}
