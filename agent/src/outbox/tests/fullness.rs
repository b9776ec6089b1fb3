//! What is given up when there is no room, and what never is.

use super::super::worth::tests::{attribution, rejected, scan, unparsed};
use super::*;

/// A sale as far as the outbox knows one: a record of no class that may be given up.
fn sale(index: u64) -> Vec<u8> {
    format!(
        r#"{{"at":1,"kind":"transaction","body":{{"number":{index},"text":"{}"}}}}"#,
        "x".repeat(300)
    )
    .into_bytes()
}

fn wait(outbox: &Outbox, record: Vec<u8>) -> Result<Mark, AppendError> {
    outbox.append(record).wait()
}

/// First and last place, and the reason.
type GapTold = (u64, u64, String);

/// Everything that waits: events, and gaps with their reasons.
fn drained(outbox: &Outbox) -> (Vec<Vec<u8>>, Vec<GapTold>) {
    let (mut events, mut gaps) = (Vec::new(), Vec::new());
    let mut after = outbox.acked().seq;
    loop {
        match outbox.read_after(after, 100, usize::MAX) {
            Ok(stored) => {
                let Some(last) = stored.last() else {
                    return (events, gaps);
                };
                assert_eq!(stored[0].mark.seq, after.next());
                after = last.mark.seq;
                events.extend(stored.into_iter().map(|event| event.record));
            }
            Err(ReadError::Gap {
                from,
                until,
                reason,
            }) => {
                assert_eq!(from, after.next());
                gaps.push((from.0, until.seq.0, reason));
                after = until.seq;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn small(dir: &Path, backlog_bytes_max: u64) -> OutboxConfig {
    OutboxConfig {
        backlog_bytes_max,
        ..config(dir)
    }
}

#[test]
fn a_full_backlog_gives_up_what_is_worth_least_and_never_a_sale() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Outbox::open(small(dir.path(), 200_000), &vault(), test_random(1)).unwrap();
    let outbox = opened.outbox;
    let text = "y".repeat(200);
    for index in 0..100 {
        wait(&outbox, scan(None, &format!("{index}{text}"))).unwrap();
        wait(&outbox, unparsed(&format!("{index}{text}"))).unwrap();
        wait(&outbox, rejected(&format!("{index}{text}"))).unwrap();
    }
    let mut kept = 0;
    let mut given_up = [0; 5];
    let refused = loop {
        match wait(&outbox, sale(kept)) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        let now = outbox.stats().given_up;
        assert_eq!((now[3], now[4]), (0, 0));
        if now != given_up {
            // A class is touched only when the one before has nothing left.
            assert!(now[1] == 0 || now[0] == 100, "{now:?}");
            assert!(now[2] == 0 || now[1] == 100, "{now:?}");
            assert_eq!(outbox.stats().pressure, Pressure::Full);
            given_up = now;
        }
    };
    assert!(matches!(refused, AppendError::Full { .. }));
    assert_eq!(given_up[..2], [100, 100]);
    assert!(given_up[2] >= 30, "{given_up:?}");
    assert!(kept > 400, "{kept} sales found room");
    // Less than a sale is refused as well, and changes nothing any more.
    assert!(wait(&outbox, rejected("late")).is_err());
    let (events, gaps) = drained(&outbox);
    let sales: Vec<_> = events
        .iter()
        .filter(|event| event.starts_with(br#"{"at":1,"#))
        .collect();
    assert_eq!(sales.len() as u64, kept);
    let reasons: std::collections::BTreeSet<_> = gaps.iter().map(|gap| gap.2.as_str()).collect();
    assert_eq!(
        reasons.into_iter().collect::<Vec<_>>(),
        [
            "given up for want of room: scan",
            "given up for want of room: telemetry",
            "given up for want of room: unparsed receipt"
        ]
    );
    // It is the same after a kill and after a clean stop.
    drop(outbox);
    let opened = Outbox::open(small(dir.path(), 200_000), &vault(), test_random(2)).unwrap();
    assert_eq!(opened.recovery.damages, []);
    assert_eq!(drained(&opened.outbox), (events.clone(), gaps.clone()));
    opened.outbox.close().unwrap();
    let opened = Outbox::open(small(dir.path(), 200_000), &vault(), test_random(3)).unwrap();
    assert!(!opened.recovery.rebuilt);
    let outbox = opened.outbox;
    assert_eq!(drained(&outbox), (events, gaps));
    // Central takes it all: room is back, and the state is quiet again.
    outbox.acknowledge(outbox.appended()).unwrap();
    while outbox.stats().bytes > 0 || outbox.stats().pressure != Pressure::Ok {
        thread::yield_now();
    }
    wait(&outbox, sale(0)).unwrap();
}

#[test]
fn a_scan_whose_card_a_sale_names_is_kept_and_so_is_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Outbox::open(small(dir.path(), 50_000), &vault(), test_random(1)).unwrap();
    let outbox = opened.outbox;
    let with_sale = scan(Some("1234567"), "with a sale");
    let without = scan(Some("7654321"), "without");
    wait(&outbox, with_sale.clone()).unwrap();
    wait(&outbox, without.clone()).unwrap();
    wait(&outbox, attribution("1234567")).unwrap();
    for index in 0..100 {
        wait(&outbox, sale(index)).unwrap();
    }
    let newest = scan(Some("7654321"), "the sale may still come");
    wait(&outbox, newest.clone()).unwrap();
    let mut index = 100;
    while wait(&outbox, sale(index)).is_ok() {
        index += 1;
        assert!(index < 160, "the backlog is bounded");
    }
    let (events, gaps) = drained(&outbox);
    assert!(events.contains(&with_sale));
    assert!(!events.contains(&without));
    assert!(events.contains(&newest));
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].0, gaps[0].1), (2, 2));
}

#[test]
fn on_a_full_disk_events_are_acknowledged_and_deleted_and_room_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let sim = SimDisk::default();
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let outbox = open_on(&disk, dir.path()).outbox;
    // The reserve is made when the writer is idle.
    while outbox.stats().spares == 0 {
        thread::yield_now();
    }
    sim.set_space_left(Some(3 * SEGMENT_BYTES_MIN));
    let text = "y".repeat(400);
    let mut sales = 0;
    for index in 0.. {
        let (a, b) = (
            wait(&outbox, scan(None, &format!("{index}{text}"))),
            wait(&outbox, sale(index)),
        );
        sales += u64::from(b.is_ok());
        if let Err(error) = b {
            assert!(
                matches!(&error, AppendError::NotKept(e) if e.is_full()),
                "{error}"
            );
            assert!(a.is_err(), "what is worth less was refused before");
            break;
        }
    }
    let stats = outbox.stats();
    assert_eq!(stats.pressure, Pressure::Full);
    assert!(stats.given_up[Class::Scan.index()] > 100, "{stats:?}");
    assert_eq!(stats.spares, 0, "the reserve went to sales in the end");
    let (events, gaps) = drained(&outbox);
    let kept = events
        .iter()
        .filter(|event| event.starts_with(br#"{"at":1,"#));
    assert_eq!(kept.count() as u64, sales);
    assert!(!gaps.is_empty());
    // Still full: central acknowledges half of it, and that is durable.
    let half = Seq(outbox.appended().seq.0 / 2);
    let half = (half.0..)
        .find_map(|seq| outbox.mark_at(Seq(seq)).unwrap())
        .unwrap();
    outbox.acknowledge(half).unwrap();
    let (rest, _) = drained(&outbox);
    // Acknowledged segments become the reserve again, and sales find room.
    while outbox.stats().spares == 0 {
        thread::yield_now();
    }
    let mut late = 0;
    while wait(&outbox, sale(1_000_000 + late)).is_ok() {
        late += 1;
    }
    assert!(
        late > 50,
        "{late} sales found room after the acknowledgement"
    );
    drop(outbox);
    sim.cut_power(7);
    let disk: Arc<dyn Disk> = Arc::new(sim.revived());
    let opened = open_on(&disk, dir.path());
    assert_eq!(opened.recovery.damages, []);
    let outbox = opened.outbox;
    assert!(
        outbox.acked().seq.0 > 0,
        "the watermark moved on the full disk"
    );
    let (events, _) = drained(&outbox);
    let all: Vec<_> = rest
        .iter()
        .cloned()
        .chain((0..late).map(|i| sale(1_000_000 + i)))
        .collect();
    assert_eq!(events[events.len() - all.len()..], all);
}

#[test]
fn where_there_is_room_for_one_segment_alone_it_is_begun_anew_once_central_has_all_of_it() {
    let mut went_on = 0;
    for calls in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let sim = SimDisk::default();
        sim.set_space_left(Some(SEGMENT_BYTES_MIN + 10_000));
        let disk: Arc<dyn Disk> = Arc::new(sim.clone());
        let outbox = open_on(&disk, dir.path()).outbox;
        let mut index = 0;
        while wait(&outbox, sale(index)).is_ok() {
            index += 1;
        }
        let used = outbox.appended();
        outbox.acknowledge(used).unwrap();
        sim.cut_power_after(calls, calls);
        let kept = wait(&outbox, sale(1_000));
        let was_cut = sim.is_cut();
        drop(outbox);
        sim.cut_power(calls);
        let disk: Arc<dyn Disk> = Arc::new(sim.revived());
        let opened = open_on(&disk, dir.path());
        assert_eq!(opened.recovery.damages, [], "after {calls} calls");
        let outbox = opened.outbox;
        if let Ok(mark) = kept {
            assert_eq!(mark.seq, used.seq.next());
            assert_eq!(records(&outbox, used.seq.0), [sale(1_000)]);
            went_on += 1;
        }
        let next = wait(&outbox, scan(None, "what is worth less, too"));
        assert!(next.is_ok() || outbox.acked().seq < outbox.appended().seq);
        if !was_cut {
            break;
        }
    }
    assert!(went_on > 0);
}

#[test]
fn a_power_cut_at_any_step_of_giving_up_loses_nothing_else() {
    let mut given_up_after = 0;
    for calls in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let sim = SimDisk::default();
        let disk: Arc<dyn Disk> = Arc::new(sim.clone());
        let small = small(dir.path(), 40_000);
        let outbox = Outbox::open_on(Arc::clone(&disk), small, &vault(), test_random(calls))
            .unwrap()
            .outbox;
        while outbox.stats().spares == 0 {
            thread::yield_now();
        }
        let scans: Vec<_> = (0..5)
            .map(|index| scan(None, &format!("{index}{}", "y".repeat(1000))))
            .collect();
        for record in &scans {
            wait(&outbox, record.clone()).unwrap();
        }
        let mut told: Vec<_> = (0..80).map(sale).collect();
        for record in &told {
            wait(&outbox, record.clone()).unwrap();
        }
        sim.cut_power_after(calls, calls);
        let tail: Vec<_> = (80..100).map(sale).collect();
        for record in tail {
            match wait(&outbox, record.clone()) {
                Ok(_) => told.push(record),
                Err(_) => break,
            }
        }
        let was_cut = sim.is_cut();
        drop(outbox);
        sim.cut_power(calls + 1);
        let disk: Arc<dyn Disk> = Arc::new(sim.revived());
        let opened = open_on(&disk, dir.path());
        assert_eq!(opened.recovery.damages, [], "after {calls} calls");
        let (events, gaps) = drained(&opened.outbox);
        let lost_scans = scans.iter().filter(|scan| !events.contains(scan)).count();
        let in_gaps: u64 = gaps.iter().map(|gap| gap.1 - gap.0 + 1).sum();
        assert_eq!(lost_scans as u64, in_gaps, "after {calls} calls");
        let sales: Vec<_> = events
            .into_iter()
            .filter(|event| !scans.contains(event))
            .collect();
        assert_eq!(sales[..told.len()], told, "after {calls} calls");
        assert!(sales.len() <= told.len() + 1);
        given_up_after += usize::from(lost_scans > 0);
        if !was_cut {
            assert_eq!(lost_scans, 5);
            break;
        }
    }
    assert!(given_up_after > 1, "cuts fell behind the thinning as well");
}

#[test]
fn bindings_are_found_ahead_of_their_turn() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    let binding = |index: u64| {
        format!(r#"{{"at":{index},"kind":"binding_requested","body":{{}}}}"#).into_bytes()
    };
    append(&outbox, 0..50);
    let first = wait(&outbox, binding(1)).unwrap();
    append(&outbox, 51..90);
    let second = wait(&outbox, binding(2)).unwrap();
    let marks = |outbox: &Outbox, after: u64, most| {
        let urgent = outbox.urgent_after(Seq(after), most).unwrap();
        urgent.iter().map(|event| event.mark).collect::<Vec<_>>()
    };
    assert_eq!(marks(&outbox, 0, 9), [first, second]);
    assert_eq!(marks(&outbox, 0, 1), [first]);
    assert_eq!(marks(&outbox, first.seq.0, 9), [second]);
    outbox.acknowledge(first).unwrap();
    assert_eq!(marks(&outbox, 0, 9), [second]);
    drop(outbox);
    let outbox = open(dir.path()).outbox;
    assert_eq!(marks(&outbox, first.seq.0, 9), [second]);
    outbox.close().unwrap();
    let outbox = open(dir.path()).outbox;
    assert_eq!(marks(&outbox, first.seq.0, 9), [second]);
    outbox.fork(second.seq, Epoch(77)).unwrap();
    assert_eq!(
        outbox.urgent_after(Seq(0), 9).unwrap()[0].record,
        binding(2)
    );
}
