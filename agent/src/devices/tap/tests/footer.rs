//! A footer before the cut: what waits, for how long, and what comes out.

use tillbind_protocol::claim::ClaimCode;

use super::*;
use crate::config::{FooterConfig, FooterSymbol};
use crate::devices::{ClaimReply, DeviceCounts};

const HOLD: Duration = Duration::from_millis(200);

pub(super) fn with_footer(printer: PrinterTarget) -> ReceiptTapConfig {
    with_symbol(printer, FooterSymbol::Code)
}

fn with_symbol(printer: PrinterTarget, symbol: FooterSymbol) -> ReceiptTapConfig {
    ReceiptTapConfig {
        footer: Some(FooterConfig {
            text: "Claim code {code}".to_owned(),
            symbol,
            hold: HOLD,
        }),
        ..config(printer)
    }
}

pub(super) fn code() -> ClaimCode {
    ClaimCode::new([7; 10])
}

/// Gives the next receipt that waits its code.
pub(super) async fn offered(rig: &mut Rig) {
    loop {
        if let DeviceEvent::Receipt {
            claim: Some(claim), ..
        } = rig.event().await
        {
            claim.send(code()).unwrap();
            return;
        }
    }
}

/// What the owner of the state answers to each receipt in turn.
enum Owner {
    Offers,
    Declines,
    IsSlow,
}

/// Answers receipts; returns how many waited for a code, once the tap has ended.
async fn answer(mut events: mpsc::Receiver<DeviceEvent>, answers: &[Owner]) -> usize {
    let mut waiting: Vec<ClaimReply> = Vec::new();
    let mut asked = 0;
    while let Some(event) = events.recv().await {
        if let DeviceEvent::Receipt {
            claim: Some(claim), ..
        } = event
        {
            match &answers[asked % answers.len()] {
                Owner::Offers => claim.send(code()).unwrap(),
                Owner::Declines => drop(claim),
                Owner::IsSlow => waiting.push(claim),
            }
            asked += 1;
        }
    }
    asked
}

/// What came of a print.
struct Printed {
    paper: Vec<u8>,
    /// Receipts whose cut waited.
    asked: usize,
    counts: DeviceCounts,
}

/// Prints in these chunks.
async fn printed(chunks: &[&[u8]], answers: &[Owner]) -> Printed {
    printed_with(FooterSymbol::Code, chunks, answers).await
}

async fn printed_with(symbol: FooterSymbol, chunks: &[&[u8]], answers: &[Owner]) -> Printed {
    let (printer, target) = network_printer().await;
    let Rig {
        devices,
        events,
        stop,
        address,
    } = Rig::start_with(with_symbol(target, symbol), 64).await;
    let mut pos = within(TcpStream::connect(address)).await.unwrap();
    let mut paper = accepted(&printer).await;
    let print = async {
        for chunk in chunks {
            pos.write_all(chunk).await.unwrap();
            pos.flush().await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        pos.shutdown().await.unwrap();
        let printed = read_to_end(&mut paper).await;
        drop(paper);
        let counts = devices.status()[0].counts;
        stop.send_replace(true);
        devices.stopped().await;
        (printed, counts)
    };
    let ((paper, counts), asked) =
        within(async { tokio::join!(print, answer(events, answers)) }).await;
    Printed {
        paper,
        asked,
        counts,
    }
}

pub(super) fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_claim_is_printed_before_the_cut_and_the_rest_is_as_sent() {
    let receipt = b"TEA 5.00\n\x1dV\x00after";
    let Printed {
        paper,
        asked,
        counts,
    } = printed(&[receipt], &[Owner::Offers]).await;
    assert_eq!((asked, counts.footers, counts.footers_late), (1, 1, 0));
    assert_eq!(counts.bytes, receipt.len() as u64);
    assert!(paper.starts_with(b"TEA 5.00\n"), "{paper:?}");
    assert!(paper.ends_with(b"\x1dV\x00after"), "{paper:?}");
    assert!(has(&paper, code().content().as_bytes()), "{paper:?}");
    assert!(has(&paper, code().to_string().as_bytes()), "{paper:?}");
}

#[tokio::test]
async fn a_printer_that_draws_no_codes_gets_the_text_alone_and_a_link_in_one_that_does() {
    let receipt = b"TEA 5.00\n\x1dV\x00";
    let Printed { paper, counts, .. } =
        printed_with(FooterSymbol::Absent, &[receipt], &[Owner::Offers]).await;
    assert_eq!(counts.footers, 1);
    assert!(has(&paper, code().to_string().as_bytes()), "{paper:?}");
    assert!(!has(&paper, b"\x1d(k"), "{paper:?}");
    assert!(paper.ends_with(b"\x1dV\x00"), "{paper:?}");

    let link = FooterSymbol::Link("https://shop.example/{code}".to_owned());
    let Printed { paper, .. } = printed_with(link, &[receipt], &[Owner::Offers]).await;
    let address = format!("https://shop.example/{}", code());
    assert!(has(&paper, address.as_bytes()), "{paper:?}");
}

#[tokio::test]
async fn each_receipt_of_one_chunk_has_its_own_answer() {
    let receipts = b"ONE\n\x1dV\x00TWO\n\x1dV\x00THREE\n\x1dV\x00";
    let answers = [Owner::Declines, Owner::Offers, Owner::Declines];
    let Printed { paper, asked, .. } = printed(&[receipts], &answers).await;
    assert_eq!(asked, 3);
    assert!(paper.starts_with(b"ONE\n\x1dV\x00TWO\n"), "{paper:?}");
    assert!(paper.ends_with(b"\x1dV\x00THREE\n\x1dV\x00"), "{paper:?}");
    assert!(has(&paper, code().content().as_bytes()), "{paper:?}");
}

#[tokio::test]
async fn a_cut_in_pieces_and_what_only_looks_like_one_come_out_unchanged() {
    let chunks: [&[u8]; 6] = [
        b"TEA\n\x1d",
        b"V",
        b"\x00MILK\n\x1d",
        b"!\x11",
        b"x\n\x1dV",
        b"\x00",
    ];
    let Printed { paper, asked, .. } = printed(&chunks, &[Owner::Declines]).await;
    assert_eq!(paper, chunks.concat());
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn an_owner_that_is_slow_costs_the_footer_and_no_more_than_the_hold() {
    let receipt = b"TEA 5.00\n\x1dV\x00";
    let Printed {
        paper,
        asked,
        counts,
    } = printed(&[receipt], &[Owner::IsSlow]).await;
    assert_eq!((paper.as_slice(), asked), (receipt.as_slice(), 1));
    assert_eq!((counts.footers, counts.footers_late), (0, 1));
}

#[tokio::test]
async fn the_beginning_of_a_command_goes_on_when_its_rest_does_not_come() {
    let (printer, target) = network_printer().await;
    let rig = Rig::start_with(with_footer(target), 64).await;
    let mut pos = rig.pos().await;
    let mut paper = accepted(&printer).await;
    pos.write_all(b"TEA\n\x1d").await.unwrap();
    assert_eq!(read_exact(&mut paper, 5).await, b"TEA\n\x1d");
    // It became a cut after all, too late for a footer: it passes nonetheless.
    pos.write_all(b"V\x00").await.unwrap();
    assert_eq!(read_exact(&mut paper, 2).await, b"V\x00");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_bytes_pass_unchanged_while_nothing_is_claimed(
        receipt in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x1d), Just(0x1b), Just(b'V'), Just(0)], 1..20_000),
        sizes in proptest::collection::vec(1usize..2_000, 1..10),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let paper = runtime.block_on(async {
            let (printer, target) = network_printer().await;
            let Rig { devices, events, stop, address } =
                Rig::start_with(with_footer(target), 4_096).await;
            let mut pos = within(TcpStream::connect(address)).await.unwrap();
            let mut paper = accepted(&printer).await;
            let print = async {
                send_in(&mut pos, &receipt, &sizes).await;
                pos.shutdown().await.unwrap();
                let printed = read_to_end(&mut paper).await;
                drop(paper);
                stop.send_replace(true);
                devices.stopped().await;
                printed
            };
            within(async { tokio::join!(print, answer(events, &[Owner::Declines])) }).await.0
        });
        prop_assert_eq!(paper, receipt);
    }
}
