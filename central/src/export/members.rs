//! Members, with their accounts and cards.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{Key, Listing};
use crate::store::StoreError;
use crate::store::statement::{Row, one_of, rows};

/// Names of the fields, in order.
pub(super) const COLUMNS: &[&str] = &["member", "accounts", "cards", "name", "points", "tier"];

pub(super) static LISTING: Listing = Listing {
    operation: "export members",
    key: &[Key::Text("m.member")],
    columns: "m.member, m.name, m.points, m.tier",
    from: "members m",
    // A member that was merged into another lives on in that one.
    always: Some("m.merged_into IS NULL"),
    time: Some("m.created_ms"),
    store: None,
    terminal: None,
    open: None,
    page_lines: 1_000,
};

/// A person, as headquarters knows them.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    /// The member.
    member: String,
    /// Online accounts, `PLATFORM:ID`, sorted.
    accounts: Vec<String>,
    /// Cards, sorted.
    cards: Vec<String>,
    /// Name to greet with.
    name: Option<String>,
    /// Points of all cards and accounts.
    points: i64,
    /// Tier, if there are tiers.
    tier: Option<String>,
}

pub(super) async fn lines(
    on: &impl ConnectionTrait,
    page: &[Row],
) -> Result<Vec<Member>, StoreError> {
    let mut members = Vec::with_capacity(page.len());
    for row in page {
        let mut cells = LISTING.cells(row);
        members.push(Member {
            member: cells.text()?,
            accounts: Vec::new(),
            cards: Vec::new(),
            name: cells.text_opt()?,
            points: cells.int()?,
            tier: cells.text_opt()?,
        });
    }
    let names = || members.iter().map(|member| member.member.clone());
    let mut accounts = of_members(on, "accounts", "account", names()).await?;
    let mut cards = of_members(on, "cards", "card", names()).await?;
    for member in &mut members {
        member.accounts = accounts.remove(&member.member).unwrap_or_default();
        member.cards = cards.remove(&member.member).unwrap_or_default();
    }
    Ok(members)
}

async fn of_members(
    on: &impl ConnectionTrait,
    table: &str,
    column: &str,
    members: impl Iterator<Item = String>,
) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
    let (condition, values) = one_of(on, "member", 1, members);
    let sql = format!("SELECT member, {column} FROM {table} WHERE {condition} ORDER BY {column}");
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows(on, LISTING.operation, &sql, values).await? {
        found.entry(row.text(0)?).or_default().push(row.text(1)?);
    }
    Ok(found)
}
