//! What a scrape of the figures shows.

use super::*;

/// Reads Prometheus' text form: every line is a comment or a name, labels and a number, and every name
/// is explained before it is used.
fn figures(text: &str) -> std::collections::BTreeMap<String, f64> {
    let mut explained = std::collections::BTreeSet::new();
    let mut figures = std::collections::BTreeMap::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["gauge", "counter", "histogram"].contains(&kind), "{line}");
            explained.insert(name.to_owned());
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (series, figure) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let parts = ["_bucket", "_sum", "_count"].iter();
        let family = parts.fold(name, |name, part| name.strip_suffix(part).unwrap_or(name));
        assert!(
            explained.contains(family) || explained.contains(name),
            "{line}"
        );
        assert!(
            figures
                .insert(series.to_owned(), figure.parse().unwrap())
                .is_none(),
            "{line}"
        );
    }
    figures
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_can_be_read_and_its_counts_move_with_what_happens() {
    let desk = Desk::start("sqlite").await;
    let reader = desk.key(Role::Reader).await;
    let before = figures(&desk.get(&reader, "/metrics").await.text().await.unwrap());
    let (_, pem) = desk.service.enrol("W1").await;
    let client = desk.service.client(Some(&pem));
    let mut till = till::Till::new(7);
    till.scan("2900000000017");
    till.raw("[]");
    till.sale("1", 1_000, None);
    desk.service.exchange(&client, &till.batch(1..=2)).await;
    till.sale("2", 1_000, None);
    desk.service.exchange(&client, &till.batch(4..=4)).await;
    let nobody = desk.service.client(None);
    let refused = desk
        .service
        .post(&nobody, "/sync/v1/exchange", &till.all())
        .await;
    assert_eq!(refused.status(), 401);
    let after = figures(&desk.get(&reader, "/metrics").await.text().await.unwrap());
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    for (series, moved) in [
        ("tillbind_central_batches_total", 1.0),
        ("tillbind_central_events_total", 2.0),
        ("tillbind_central_quarantined_total", 1.0),
        ("tillbind_central_rewinds_total", 1.0),
        ("tillbind_central_forks_total", 0.0),
        (
            "tillbind_central_refusals_total{word=\"no_certificate\"}",
            1.0,
        ),
        ("tillbind_central_exchange_seconds_count", 2.0),
        ("tillbind_quarantine_waiting", 1.0),
        ("tillbind_central_exchanges{stage=\"working\"}", 0.0),
        ("tillbind_central_body_bytes", 0.0),
    ] {
        assert!(
            (after[series] - before[series] - moved).abs() < f64::EPSILON,
            "{series}"
        );
    }
    assert!(
        after["tillbind_central_commit_seconds_count"]
            > before["tillbind_central_commit_seconds_count"]
    );
    assert!(after["tillbind_central_connections{listener=\"sync\"}"] >= 2.0);
    // The scrape's own may not be given back yet.
    let pooled = ["used", "idle"]
        .map(|state| after[&format!("tillbind_central_database_connections{{state=\"{state}\"}}")]);
    assert!(pooled.iter().sum::<f64>() >= 1.0);
    desk.service.stop().await;
}
