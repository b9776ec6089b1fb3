use std::process::Command;

use serde_json::{Value, json};
use tillbind_central::config::DatabaseConfig;
use tillbind_central::store::statement::execute;

use crate::support::Bench;
use crate::support::till::{NOW_MS, Till};

const CARD: &str = "2900000000017";

/// Runs a command on the bench's installation and returns its exit code, answer and explanation.
fn run(bench: &Bench, arguments: &[&str]) -> (i32, String, String) {
    let database = match &bench.database {
        DatabaseConfig::Sqlite => "sqlite",
        DatabaseConfig::Postgres { url, .. } => url,
    };
    let settings = bench.data_dir.path().join("central.toml");
    let text = format!(
        "data_dir = {:?}\ndatabase = {database:?}\n",
        bench.data_dir.path()
    );
    std::fs::write(&settings, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillbind-central"));
    let output = command
        .arg("--config")
        .arg(settings)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn answer(bench: &Bench, arguments: &[&str]) -> String {
    let (code, answer, explanation) = run(bench, arguments);
    assert_eq!(code, 0, "{arguments:?}: {explanation}");
    answer
}

pub(crate) async fn disputes_and_quarantine_are_worked_through_by_commands(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    for (id, account) in [("b1", "tmall:1"), ("b2", "tmall:2")] {
        bench.account(account, NOW_MS).await;
        till.bind(id, CARD, account, &bench.code(account).await);
    }
    till.raw(r#"{"at":"never","kind":"scan","body":{"card":"2900000000024"}}"#);
    bench.take(&terminal, &till.all()).await;

    let listed = answer(bench, &["quarantine", "list"]);
    let mut rows = listed.lines();
    assert!(rows.next().unwrap().starts_with("ID  TERMINAL"), "{listed}");
    let id = rows.next().unwrap().split(' ').next().unwrap();
    let shown = answer(bench, &["quarantine", "show", id]);
    assert!(shown.contains("{\"at\":\"never\",\"kind\""), "{shown}");
    assert!(shown.contains(r#""card":"***""#), "{shown}");
    assert_eq!(bench.trail("quarantine.revealed").await, 0);
    let shown = answer(bench, &["quarantine", "show", id, "--reveal"]);
    assert!(shown.contains(r#""card":"2900000000024""#), "{shown}");
    assert_eq!(bench.trail("quarantine.revealed").await, 1);
    let (code, _, why) = run(bench, &["quarantine", "replay", id]);
    assert_eq!(code, 1, "{why}");
    let mended = bench.data_dir.path().join("mended.json");
    let record = json!({"at": NOW_MS, "kind": "scan", "body":
        {"code": "member_card", "device": "d", "card": "2900000000024", "card_kind": "ean"}});
    std::fs::write(&mended, format!("{record}\n")).unwrap();
    answer(
        bench,
        &[
            "quarantine",
            "replay",
            id,
            "--mended",
            mended.to_str().unwrap(),
        ],
    );
    assert_eq!(answer(bench, &["quarantine", "list"]), "");
    let kept = "SELECT mended FROM quarantine WHERE resolution = 'replayed'";
    assert_eq!(bench.text(kept).await, record.to_string());
    let received = "SELECT record FROM events WHERE record LIKE '%never%'";
    assert!(bench.text(received).await.contains("\"never\""));
    let done = "SELECT COUNT(*) FROM audit WHERE action = 'quarantine.replayed'
        AND detail = 'mended' AND actor LIKE 'cli:%' AND at_ms > 0";
    assert_eq!(bench.number(done).await, 1);
    assert!(answer(bench, &["export", "cards"]).contains("2900000000024"));
    let (code, _, why) = run(bench, &["quarantine", "drop", id]);
    assert_eq!(code, 1);
    assert!(why.contains("resolved already"), "{why}");

    let dispute: Value =
        serde_json::from_str(&answer(bench, &["dispute", "list", "--json"])).unwrap();
    let id = dispute["id"].as_str().unwrap();
    let (code, _, why) = run(bench, &["dispute", "settle", id, "--to", "tmall:3"]);
    assert_eq!(code, 1, "{why}");
    answer(bench, &["dispute", "settle", id, "--to", "tmall:2"]);
    assert_eq!(answer(bench, &["dispute", "list"]), "");
    assert!(answer(bench, &["dispute", "list", "--all"]).contains("settled"));
    let bindings = answer(bench, &["export", "bindings"]);
    let confirmed = bindings
        .lines()
        .find(|line| line.contains("\"confirmed\""))
        .unwrap();
    assert!(confirmed.contains("\"account\":\"tmall:2\""), "{bindings}");

    let terminals = answer(bench, &["terminal", "list"]);
    assert!(terminals.contains("current"), "{terminals}");
    answer(bench, &["terminal", "revoke", terminal.id.as_str()]);
    assert!(answer(bench, &["terminal", "list"]).contains("revoked"));
}

/// What an older program could not read is taken in after the upgrade, all of a kind at once; what is
/// still of no use waits on.
pub(crate) async fn after_an_upgrade_all_that_waits_is_replayed_at_once(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    for n in 1..=5 {
        till.sale(&n.to_string(), 500, Some(CARD));
    }
    till.raw("[1,2,3]");
    till.raw(r#"{"at":1,"kind":"transaction","body":{"total":1}}"#);
    bench.take(&terminal, &till.all()).await;
    // An older program has stored the sales and read none of them.
    let tx = bench.store.begin().await.unwrap();
    for older in [
        "DELETE FROM transactions",
        "DELETE FROM ledger",
        "UPDATE cards SET points = 0",
        "INSERT INTO quarantine (terminal, epoch, seq, kind, reason, quarantined_ms)
            SELECT terminal, epoch, seq, kind, 'the record is not an event: of a later version', 1
            FROM events WHERE seq <= 5",
    ] {
        execute(&*tx, "play an older program", older, vec![])
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();

    let none = answer(
        bench,
        &["quarantine", "replay", "--all", "--kind", "scan", "--json"],
    );
    assert_eq!(none.trim(), r#"{"replayed":0,"still_waiting":0}"#);
    let of_kind = [
        "quarantine",
        "replay",
        "--all",
        "--kind",
        "transaction",
        "--reason",
        "the record is not an event",
        "--json",
    ];
    let done = answer(bench, &of_kind);
    assert_eq!(done.trim(), r#"{"replayed":5,"still_waiting":1}"#);
    assert_eq!(bench.number("SELECT COUNT(*) FROM transactions").await, 5);
    assert_eq!(bench.number("SELECT points FROM cards").await, 25);
    assert_eq!(bench.trail("quarantine.replayed").await, 5);
    // Once more changes nothing.
    let again = answer(bench, &["quarantine", "replay", "--all", "--json"]);
    assert_eq!(again.trim(), r#"{"replayed":0,"still_waiting":2}"#);
    assert_eq!(bench.number("SELECT points FROM cards").await, 25);
}
