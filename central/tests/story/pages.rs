use std::collections::{BTreeMap, HashSet};

use tillbind_central::changes::page::{PAGE_BYTES_MAX, after, bytes_max};
use tillbind_central::intake;
use tillbind_protocol::replica::{Change, Cursor, PAGE_CHANGES_MAX};

use crate::support::till::Till;
use crate::support::{Bench, arrival};

/// A replica that only follows pages.
#[derive(Debug, Default)]
struct Replica {
    cursor: Cursor,
    cards: BTreeMap<String, i64>,
    pages: usize,
}

impl Replica {
    async fn follow(&mut self, bench: &Bench) {
        while let Some(page) = after(bench.store.reader(), "h-test", &self.cursor, PAGE_BYTES_MAX)
            .await
            .unwrap()
        {
            assert!(page.changes.len() <= PAGE_CHANGES_MAX);
            if page.reset {
                self.cards.clear();
            } else {
                assert_eq!(page.from, self.cursor);
            }
            for change in &page.changes {
                if let Change::Card(state) = change {
                    self.cards
                        .insert(state.card.expose().to_owned(), state.points);
                }
            }
            assert_ne!(page.to, self.cursor);
            self.cursor = page.to;
            self.pages += 1;
            if !page.more {
                return;
            }
        }
    }
}

async fn cards(bench: &Bench) -> BTreeMap<String, i64> {
    let rows = bench.rows("SELECT card, points FROM cards").await;
    let pair =
        |row: &tillbind_central::store::statement::Row| (row.text(0).unwrap(), row.int(1).unwrap());
    rows.iter().map(pair).collect()
}

pub(crate) async fn a_snapshot_is_resumed_at_any_page_and_followed_by_changes(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    for n in 0..1_200 {
        till.scan(&format!("29{n:06}"));
    }
    bench.take(&terminal, &till.all()).await;
    let member = bench.account("tmall:1", 1).await;
    let mut replica = Replica::default();
    replica.follow(bench).await;
    assert_eq!(replica.pages, 3);
    assert_eq!(replica.cards, cards(bench).await);

    till.sale("1", 900, Some("29000007"));
    till.bind("b1", "29000008", "tmall:1", &bench.code("tmall:1").await);
    bench.take(&terminal, &till.batch(1_201..=1_202)).await;
    let page = after(
        bench.store.reader(),
        "h-test",
        &replica.cursor,
        PAGE_BYTES_MAX,
    )
    .await;
    let page = page.unwrap().unwrap();
    let kinds: HashSet<_> = page.changes.iter().map(std::mem::discriminant).collect();
    assert_eq!((page.changes.len(), page.more), (4, false));
    assert_eq!(kinds.len(), 3);
    let accounts = page.changes.iter().find_map(|change| {
        if let Change::Member(state) = change
            && state.member.as_str() == member
        {
            return Some(state.accounts.clone());
        }
        None
    });
    assert_eq!(accounts.unwrap(), ["tmall:1".parse().unwrap()]);
    replica.follow(bench).await;
    assert_eq!(replica.cards, cards(bench).await);
    assert!(
        after(
            bench.store.reader(),
            "h-test",
            &replica.cursor,
            PAGE_BYTES_MAX
        )
        .await
        .unwrap()
        .is_none()
    );
}

pub(crate) async fn a_foreign_cursor_starts_over(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    till.scan("2900000000017");
    bench.take(&terminal, &till.all()).await;
    let mut replica = Replica {
        cursor: Cursor("another:99:c:1".into()),
        cards: BTreeMap::from([("gone".into(), 1)]),
        pages: 0,
    };
    replica.follow(bench).await;
    assert_eq!(replica.cards, cards(bench).await);
    bench.store.renew_history("h-2").await.unwrap();
    assert_eq!(bench.store.history().await.unwrap(), "h-2");
    let page = after(bench.store.reader(), "h-2", &replica.cursor, PAGE_BYTES_MAX).await;
    assert!(page.unwrap().unwrap().reset);
}

pub(crate) async fn no_change_is_missed_while_others_write(bench: &Bench) {
    let mut writers = Vec::new();
    for w in 0..4u64 {
        let terminal = bench.terminal("S1", &format!("W{w}")).await;
        let store = bench.store.clone();
        writers.push(tokio::spawn(async move {
            let mut till = Till::new(w);
            for n in 1..=25 {
                // Cards of its own and cards that all writers share, in different orders.
                till.scan(&format!("28{w}{n:04}"));
                till.event("transaction", {
                    let card = format!("29{:04}", (n * (w + 1)) % 7);
                    let mut sale = crate::support::till::sale(&n.to_string(), 300, Some(&card));
                    sale["workstation"] = serde_json::json!(format!("W{w}"));
                    sale
                });
                let request = till.batch(n * 2 - 1..=n * 2);
                let taken = intake::take(&store, &arrival(&terminal), &request).await;
                assert_eq!(taken.unwrap().quarantined, 0);
            }
        }));
    }
    let mut replica = Replica::default();
    while writers.iter().any(|writer| !writer.is_finished()) {
        replica.follow(bench).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    replica.follow(bench).await;
    assert_eq!(replica.cards.len(), 107);
    assert_eq!(replica.cards, cards(bench).await);
    assert_eq!(replica.cards.values().sum::<i64>(), 4 * 25 * 3);
}

pub(crate) async fn a_short_page_for_a_slow_line_holds_one_change_at_least(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    for n in 1..=30 {
        till.scan(&format!("29000000{n:05}"));
    }
    bench.take(&terminal, &till.all()).await;
    assert_eq!(
        [0, 400, u32::MAX].map(bytes_max),
        [PAGE_BYTES_MAX, 400, PAGE_BYTES_MAX]
    );
    let mut cursor = Cursor::default();
    let mut pages = Vec::new();
    for asked in [1, 400, 400] {
        let page = after(bench.store.reader(), "h-test", &cursor, bytes_max(asked));
        let page = page.await.unwrap().unwrap();
        assert!(page.more);
        pages.push(page.changes.len());
        cursor = page.to;
    }
    assert_eq!(pages[0], 1);
    assert!(pages[1] > 1 && pages[1] < 10, "{pages:?}");
    let rest = after(bench.store.reader(), "h-test", &cursor, bytes_max(0));
    let rest = rest.await.unwrap().unwrap();
    assert_eq!(rest.changes.len() + pages.iter().sum::<usize>(), 30);
}
