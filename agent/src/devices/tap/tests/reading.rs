use super::*;
use crate::devices::tap::copy::COPY_BYTES_MAX;

#[tokio::test]
async fn a_queue_that_nobody_empties_delays_no_receipt_and_the_loss_is_counted() {
    let (printer, target) = network_printer().await;
    let rig = Rig::start_with(config(target), 1).await;
    let mut receipt = b"TOTAL 5.00\n".repeat(30);
    receipt.extend_from_slice(CUT);
    let all = receipt.repeat(3 * COPY_BYTES_MAX / receipt.len());
    let mut pos = rig.pos().await;
    let mut paper = accepted(&printer).await;
    let (sent, printed) = tokio::join!(
        async {
            pos.write_all(&all).await.unwrap();
            pos.shutdown().await.unwrap();
            all.len()
        },
        read_to_end(&mut paper)
    );
    assert_eq!(printed.len(), sent);
    assert!(printed == all, "the receipts were changed on their way");
    drop(paper);
    drop(pos);

    // Only now are the events taken.
    rig.stop.send_replace(true);
    let Rig {
        devices,
        mut events,
        ..
    } = rig;
    let mut tally = Tally::default();
    let take_all = async {
        while let Some(event) = events.recv().await {
            tally.count(event);
        }
    };
    within(async { tokio::join!(devices.stopped(), take_all) }).await;
    let Tally {
        dropped,
        losses,
        whole,
        torn,
    } = tally;
    assert!(dropped > 0 && dropped < sent as u64, "{dropped} of {sent}");
    assert!(whole > 0);
    assert!(torn <= 2 * losses, "{torn} torn by {losses} losses");
}

#[derive(Default)]
struct Tally {
    dropped: u64,
    losses: u32,
    whole: u32,
    torn: u32,
}

impl Tally {
    fn count(&mut self, event: DeviceEvent) {
        if let DeviceEvent::ReceiptsDropped { bytes, .. } = event {
            self.dropped += bytes;
            self.losses += 1;
        } else if let DeviceEvent::Receipt { job, reading, .. } = event {
            let is_torn = matches!(
                &reading,
                ReceiptReading::Unparsed { reason } if reason.contains("fell behind")
            );
            if is_torn {
                self.torn += 1;
            } else {
                assert_eq!(job.lines.len(), 30, "a torn receipt was told as whole");
                self.whole += 1;
            }
        }
    }
}

#[tokio::test]
async fn a_receipt_ends_at_its_cut_at_a_silence_and_at_the_connections_end() {
    let mut rig = Rig::start(PrinterTarget::Virtual).await;
    let mut pos = rig.pos().await;
    pos.write_all(b"cut\n\x1dV\0").await.unwrap();
    let (text, end, reading) = rig.receipt().await;
    assert_eq!((text.as_str(), end), ("cut", JobEnd::Cut));
    let ReceiptReading::Unparsed { reason } = reading else {
        panic!("a tap without a profile told a sale");
    };
    assert!(reason.contains("has no profile"), "{reason}");
    pos.write_all(b"silent\n").await.unwrap();
    let (text, end, _) = rig.receipt().await;
    assert_eq!((text.as_str(), end), ("silent", JobEnd::Idle));
    pos.write_all(b"closed\n").await.unwrap();
    pos.shutdown().await.unwrap();
    let (text, end, _) = rig.receipt().await;
    assert_eq!((text.as_str(), end), ("closed", JobEnd::Close));
    // A printer that is none answers nothing, and hangs up only after the POS.
    assert_eq!(read_to_end(&mut pos).await, b"");
    let counts = rig.devices.status()[0].counts;
    assert_eq!((counts.jobs, counts.connections, counts.bytes), (3, 1, 21));
}

const PROFILE: &str = r#"
name = "shop"
currency = "EUR"
store = "S1"
workstation = "1"
tax = "included"
date_formats = ["%Y-%m-%d"]
header = ['^No (?<sequence>\d+) (?<date>\S+)$']
member = ['^Member (?<card>\d+)$']
[lines]
item = ['^(?<description>.+?) +(?<amount>[\d.]+)$']
total = ['^TOTAL +(?<amount>[\d.]+)$']
tender = ['^(?<kind>CASH) +(?<amount>[\d.]+)$']
[tenders]
CASH = "cash"
"#;

#[tokio::test]
async fn a_receipt_becomes_a_sale_by_the_profile_and_payment_numbers_are_masked() {
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("shop.toml");
    std::fs::write(&profile, PROFILE).unwrap();
    let settings = ReceiptTapConfig {
        profile: Some(profile),
        ..config(PrinterTarget::Virtual)
    };
    let mut rig = Rig::start_with(settings, 64).await;
    let mut pos = rig.pos().await;
    let text = "No 4711 2026-05-01\nMember 4111111111111111\nTea 4111 1111 1111 1111 5.00\n\
                TOTAL 5.00\nCASH 5.00\nPaid with 4111111111111111\n\x1dV\0";
    pos.write_all(text.as_bytes()).await.unwrap();
    let (text, _, reading) = rig.receipt().await;
    assert!(!text.contains("1111"), "{text}");
    let ReceiptReading::Sale(sale) = reading else {
        panic!("no sale: {reading:?}");
    };
    assert_eq!(
        (sale.total_minor, sale.sequence.as_deref()),
        (500, Some("4711"))
    );
    assert_eq!(sale.card, None);
    assert!(!format!("{sale:?}").contains("1111"), "{sale:?}");
}

#[tokio::test]
async fn a_profile_that_cannot_be_read_leaves_printing_alone_and_says_why() {
    let (printer, target) = network_printer().await;
    let profile = Some("/nonexistent/shop.toml".into());
    let mut rig = Rig::start_with(
        ReceiptTapConfig {
            profile,
            ..config(target)
        },
        64,
    )
    .await;
    let mut pos = rig.pos().await;
    pos.write_all(b"tea\n\x1dV\0").await.unwrap();
    assert_eq!(
        read_exact(&mut accepted(&printer).await, 7).await,
        b"tea\n\x1dV\0"
    );
    let (text, _, reading) = rig.receipt().await;
    assert_eq!(text, "tea");
    let ReceiptReading::Unparsed { reason } = reading else {
        panic!("{reading:?}");
    };
    assert!(reason.contains("/nonexistent/shop.toml"), "{reason}");
    assert_eq!(rig.devices.status()[0].last_error, Some(reason));
}

#[tokio::test]
async fn a_captured_receipt_holds_its_lines_and_no_payment_number() {
    let dir = tempfile::tempdir().unwrap();
    let captures = dir.path().join("captures");
    let settings = ReceiptTapConfig {
        capture_dir: Some(captures.clone()),
        ..config(PrinterTarget::Virtual)
    };
    let mut rig = Rig::start_with(settings, 64).await;
    let mut pos = rig.pos().await;
    pos.write_all(b"Tea 5.00\nPaid with 4111111111111111\n\x1dV\0")
        .await
        .unwrap();
    rig.receipt().await;
    let text = std::fs::read_to_string(captures.join("printer-0001.txt")).unwrap();
    assert!(text.contains("Tea 5.00\nPaid with "), "{text}");
    assert!(!text.contains("1111"), "{text}");
}
