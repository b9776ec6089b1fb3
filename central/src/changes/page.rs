//! One page of changes.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use tillbind_protocol::ids::{AccountRef, MemberId};
use tillbind_protocol::replica::{
    BindingState, BindingVerdict, CardState, Change, Cursor, MemberState, PAGE_CHANGES_MAX, Page,
};

use super::{Kind, Place, newest_version};
use crate::store::StoreError;
use crate::store::statement::{Row, one_of, rows};
use crate::values;

/// Most JSON of one page, in bytes: well under what a terminal accepts as an answer, and one durable
/// write there. The rest follows on the next page.
pub const PAGE_BYTES_MAX: usize = 400 * 1024;

/// Returns how long a page may be for a terminal that asks for so much; 0 asks for nothing special.
pub fn bytes_max(asked: u32) -> usize {
    match usize::try_from(asked) {
        Ok(0) | Err(_) => PAGE_BYTES_MAX,
        Ok(asked) => asked.min(PAGE_BYTES_MAX),
    }
}

/// Returns what follows a cursor, in at most so many bytes of JSON but at least one change: `None` if
/// nothing does.
///
/// # Errors
/// [`StoreError`].
pub async fn after(
    on: &impl ConnectionTrait,
    history: &str,
    cursor: &Cursor,
    bytes_max: usize,
) -> Result<Option<Page>, StoreError> {
    let newest = newest_version(on).await?;
    let known = Place::of_cursor(cursor, history, newest);
    let reset = known.is_none() && !cursor.0.is_empty();
    let start = known.unwrap_or_else(Place::start);
    let mut found = Vec::new();
    for kind in Kind::ALL {
        found.append(&mut read_kind(on, kind, &start, newest).await?);
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let mut more = found.len() > PAGE_CHANGES_MAX;
    found.truncate(PAGE_CHANGES_MAX);
    name_accounts(on, &mut found).await?;
    let mut bytes = 0;
    let mut changes = Vec::new();
    let mut last = start;
    for (place, change) in found {
        bytes += serde_json::to_vec(&change).map_or(0, |json| json.len());
        if bytes > bytes_max && !changes.is_empty() {
            more = true;
            break;
        }
        last = place;
        changes.push(change);
    }
    if changes.is_empty() && !reset {
        return Ok(None);
    }
    if !more {
        last = Place::end(newest);
    }
    let from = if reset {
        Cursor::default()
    } else {
        cursor.clone()
    };
    Ok(Some(Page {
        from,
        changes,
        to: last.cursor(history),
        more,
        reset,
    }))
}

async fn read_kind(
    on: &impl ConnectionTrait,
    kind: Kind,
    start: &Place,
    newest: i64,
) -> Result<Vec<(Place, Change)>, StoreError> {
    let (columns, table, key) = match kind {
        Kind::Member => ("name, points, tier, merged_into", "members", "member"),
        Kind::Card => ("kind, member, points", "cards", "card"),
        Kind::Binding => ("card, account, state, reason", "bindings", "id"),
        Kind::End => return Ok(Vec::new()),
    };
    // Within the cursor's own version, kinds before the cursor's were sent and kinds after were not.
    let (condition, mut values) = match kind.cmp(&start.kind) {
        std::cmp::Ordering::Less => ("version > $1".to_owned(), values![start.version]),
        std::cmp::Ordering::Greater => ("version >= $1".to_owned(), values![start.version]),
        std::cmp::Ordering::Equal => (
            format!("(version, {key}) > ($1, $2)"),
            values![start.version, start.name.as_str()],
        ),
    };
    // What was published since `newest` was read waits for the next page: another kind's part of the
    // same version may have been read already.
    values.push(newest.into());
    let sql = format!(
        "SELECT version, {key}, {columns} FROM {table}
         WHERE {condition} AND version > 0 AND version <= ${}
         ORDER BY version, {key} LIMIT {}",
        values.len(),
        PAGE_CHANGES_MAX + 1
    );
    let mut found = Vec::new();
    for row in rows(on, "read a page of changes", &sql, values).await? {
        let place = Place {
            version: row.int(0)?,
            kind,
            name: row.text(1)?,
        };
        found.push((place, change(kind, &row)?));
    }
    Ok(found)
}

fn change(kind: Kind, row: &Row) -> Result<Change, StoreError> {
    Ok(match kind {
        Kind::Member if row.text_opt(5)?.is_some() => Change::MemberRemoved {
            member: row.parsed(1)?,
        },
        Kind::Member => Change::Member(MemberState {
            member: row.parsed(1)?,
            name: row.text_opt(2)?,
            points: row.int(3)?,
            tier: row.text_opt(4)?,
            accounts: Vec::new(),
        }),
        Kind::Card => Change::Card(CardState {
            card: row
                .text(1)?
                .try_into()
                .map_err(|e| StoreError::foreign_value("read a card", e))?,
            kind: row.text(2)?,
            member: match row.text_opt(3)? {
                Some(_) => Some(row.parsed(3)?),
                None => None,
            },
            points: row.int(4)?,
        }),
        Kind::Binding | Kind::End => Change::Binding(BindingVerdict {
            id: row.parsed(1)?,
            card: row
                .text(2)?
                .try_into()
                .map_err(|e| StoreError::foreign_value("read a binding's card", e))?,
            account: row.parsed(3)?,
            state: state(&row.text(4)?)?,
            reason: row.text_opt(5)?,
        }),
    })
}

/// Reads a binding's state.
///
/// # Errors
/// [`StoreError`] for a word that is none.
pub fn state(word: &str) -> Result<BindingState, StoreError> {
    [
        BindingState::Requested,
        BindingState::Confirmed,
        BindingState::Rejected,
        BindingState::Revoked,
    ]
    .into_iter()
    .find(|state| state.as_str() == word)
    .ok_or_else(|| StoreError::foreign_value("read a binding's state", word))
}

async fn name_accounts(
    on: &impl ConnectionTrait,
    found: &mut [(Place, Change)],
) -> Result<(), StoreError> {
    let members: Vec<String> = found
        .iter()
        .filter(|(place, _)| place.kind == Kind::Member)
        .map(|(place, _)| place.name.clone())
        .collect();
    if members.is_empty() {
        return Ok(());
    }
    let (condition, values) = one_of(on, "member", 1, members);
    let sql = format!("SELECT member, account FROM accounts WHERE {condition} ORDER BY account");
    let mut accounts: BTreeMap<MemberId, Vec<AccountRef>> = BTreeMap::new();
    for row in rows(on, "read members' accounts", &sql, values).await? {
        let of_member = accounts.entry(row.parsed(0)?).or_default();
        of_member.push(row.parsed(1)?);
    }
    for (_, change) in found {
        if let Change::Member(state) = change {
            state.accounts = accounts.remove(&state.member).unwrap_or_default();
        }
    }
    Ok(())
}
