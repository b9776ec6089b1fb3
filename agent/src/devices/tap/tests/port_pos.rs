use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

use super::local::{line, printed};
use super::*;

async fn tap(pos: &Path, printer: PrinterTarget) -> Rig {
    let settings = ReceiptTapConfig {
        pos: PosSide::Port(pos.to_owned()),
        ..config(printer)
    };
    Rig::start_with(settings, 64).await
}

async fn state(rig: &mut Rig, wanted: &str) -> PortState {
    loop {
        let state = rig.port().await;
        if state.as_str() == wanted {
            return state;
        }
    }
}

async fn sent(mut pos: File, bytes: &[u8]) -> File {
    let bytes = bytes.to_vec();
    within(spawn_blocking(move || {
        pos.write_all(&bytes).unwrap();
        pos
    }))
    .await
    .unwrap()
}

#[tokio::test]
async fn two_ports_pass_every_byte_both_ways_and_receipts_are_read() {
    let (pos, pos_path) = line();
    let (printer, printer_path) = line();
    let mut rig = tap(&pos_path, PrinterTarget::Device(printer_path)).await;
    state(&mut rig, "open").await;
    let pos = sent(pos, b"tea 5.00\n\x1dV\0").await;
    let printer = printed(printer, 12).await.0;
    assert_eq!(rig.receipt().await.0, "tea 5.00");
    let every_byte: Vec<u8> = (0..=255).collect();
    let pos = sent(pos, &every_byte).await;
    let (mut printer, bytes) = printed(printer, 256).await;
    assert_eq!(bytes, every_byte);
    // A request for the printer's state is answered by the printer.
    printer.write_all(&every_byte).unwrap();
    let (pos, bytes) = printed(pos, 256).await;
    assert_eq!(bytes, every_byte);
    drop((pos, printer));
}

#[tokio::test]
async fn while_a_local_printer_is_away_the_pos_finds_its_port_closed_and_its_bytes_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let printer_link = dir.path().join("printer");
    let (pos, pos_path) = line();
    // Without it the line would be hung up, and what is written refused.
    let _held = File::options()
        .read(true)
        .write(true)
        .open(&pos_path)
        .unwrap();
    let mut rig = tap(&pos_path, PrinterTarget::Device(printer_link.clone())).await;
    let PortState::Lost { reason } = state(&mut rig, "lost").await else {
        panic!("the loss of the printer was not told");
    };
    assert!(reason.contains("printer"), "{reason}");
    let pos = sent(pos, b"stale").await;

    let (printer, printer_path) = line();
    symlink(&printer_path, &printer_link).unwrap();
    state(&mut rig, "open").await;
    let _pos = sent(pos, b"fresh").await;
    assert_eq!(printed(printer, 5).await.1, b"fresh");
}

#[tokio::test]
async fn a_network_printer_is_asked_with_the_first_bytes_and_a_job_that_it_does_not_take_is_gone() {
    let (pos, pos_path) = line();
    let (listener, target) = network_printer().await;
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut rig = tap(&pos_path, target).await;
    state(&mut rig, "listening").await;
    let pos = sent(pos, b"a job that nobody takes").await;
    state(&mut rig, "lost").await;

    let listener = TcpListener::bind(address).await.unwrap();
    // Longer than the gap between two jobs: what comes then is another one.
    tokio::time::sleep(Duration::from_millis(900)).await;
    let pos = sent(pos, b"the next job").await;
    let mut printer = accepted(&listener).await;
    assert_eq!(read_exact(&mut printer, 12).await, b"the next job");
    printer.write_all(b"\x12").await.unwrap();
    let (pos, answer) = printed(pos, 1).await;
    assert_eq!(answer, b"\x12");

    // A printer that hangs up in a pause is asked anew.
    drop(printer);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let pos = sent(pos, b"one more").await;
    let mut printer = accepted(&listener).await;
    assert_eq!(read_exact(&mut printer, 8).await, b"one more");
    drop(pos);
}

#[tokio::test]
async fn a_lost_port_of_the_pos_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let pos_link: PathBuf = dir.path().join("pos");
    let (pos, pos_path) = line();
    symlink(&pos_path, &pos_link).unwrap();
    let mut rig = tap(&pos_link, PrinterTarget::Virtual).await;
    state(&mut rig, "open").await;
    // First of all: the kernel gives the line's name to whoever opens one next, as another test.
    std::fs::remove_file(&pos_link).unwrap();
    drop(pos);
    state(&mut rig, "lost").await;
    let (again, again_path) = line();
    symlink(&again_path, &pos_link).unwrap();
    state(&mut rig, "open").await;
    let mut again = sent(again, b"tea\n\x1dV\0").await;
    assert_eq!(rig.receipt().await.0, "tea");
    again.flush().unwrap();
    rig.stop.send_replace(true);
    let mut rest = Vec::new();
    // The tap's end closes the line: a read ends by an error or by nothing.
    let ended = within(spawn_blocking(move || again.read_to_end(&mut rest))).await;
    drop(ended.unwrap());
}

#[tokio::test]
async fn a_receipt_over_a_cable_bears_its_claim_before_the_cut() {
    let (pos, pos_path) = line();
    let (printer, printer_path) = line();
    let settings = ReceiptTapConfig {
        pos: PosSide::Port(pos_path),
        ..footer::with_footer(PrinterTarget::Device(printer_path))
    };
    let mut rig = Rig::start_with(settings, 64).await;
    state(&mut rig, "open").await;
    let pos = sent(pos, b"tea 5.00\n\x1dV\0").await;
    footer::offered(&mut rig).await;
    let content = footer::code().content();
    let (mut printer, mut paper) = printed(printer, 9).await;
    assert_eq!(paper, b"tea 5.00\n");
    while !paper.ends_with(b"\x1dV\0") {
        let (same, more) = printed(printer, 1).await;
        printer = same;
        paper.extend(more);
    }
    assert!(footer::has(&paper, content.as_bytes()), "{paper:?}");
    drop(pos);
}
