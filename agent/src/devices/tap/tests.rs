mod footer;
#[cfg(unix)]
mod local;
#[cfg(unix)]
mod port_pos;
mod reading;
mod spool;

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use proptest::prelude::*;
use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::receipt::JobEnd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::config::{DialectSetting, FlowControl, PosSide, PrinterTarget, ReceiptTapConfig};
use crate::devices::{Clocks, DeviceEvent, Devices, PortState, ReceiptReading};

/// No test waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);
const CUT: &[u8] = b"\x1dV\x00";

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .expect("nothing happened within the test's patience")
}

/// A tap before a printer, with the events that it tells.
struct Rig {
    devices: Devices,
    events: mpsc::Receiver<DeviceEvent>,
    stop: watch::Sender<bool>,
    address: SocketAddr,
}

impl Rig {
    async fn start(printer: PrinterTarget) -> Self {
        Self::start_with(config(printer), 64).await
    }

    async fn start_with(config: ReceiptTapConfig, queue: usize) -> Self {
        let (sender, events) = mpsc::channel(queue);
        let (stop, stopped) = watch::channel(false);
        let clocks = Clocks {
            wall: Arc::new(|| DateTime::UNIX_EPOCH),
            elapsed: Arc::new(|| Duration::ZERO),
        };
        let rules = Arc::new(CardRules::default());
        let listens = matches!(config.pos, PosSide::Network(_));
        let mut devices = Devices::new(rules, sender, stopped, clocks);
        devices.start_taps(&[config]);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut rig = Self {
            devices,
            events,
            stop,
            address,
        };
        if listens {
            rig.address = loop {
                if let PortState::Listening { address } = rig.port().await {
                    break address.parse().unwrap();
                }
            };
        }
        rig
    }

    async fn pos(&self) -> TcpStream {
        within(TcpStream::connect(self.address)).await.unwrap()
    }

    /// Connects, and returns how that or the first read failed.
    async fn failure(&self) -> ErrorKind {
        // A reset may be faster than the connection's own success.
        let read = async {
            TcpStream::connect(self.address)
                .await?
                .read(&mut [0; 8])
                .await
        };
        within(read)
            .await
            .expect_err("the tap took the connection")
            .kind()
    }

    async fn event(&mut self) -> DeviceEvent {
        within(self.events.recv()).await.expect("the tap has ended")
    }

    /// Returns the next state of the port; receipts in between are passed over.
    async fn port(&mut self) -> PortState {
        loop {
            if let DeviceEvent::Port { state, .. } = self.event().await {
                return state;
            }
        }
    }

    /// Returns the next receipt's text, what ended it and what it is.
    async fn receipt(&mut self) -> (String, JobEnd, ReceiptReading) {
        loop {
            if let DeviceEvent::Receipt { job, reading, .. } = self.event().await {
                return (job.text(), job.ended_by, reading);
            }
        }
    }
}

fn config(printer: PrinterTarget) -> ReceiptTapConfig {
    ReceiptTapConfig {
        name: "printer".to_owned(),
        pos: PosSide::Network(SocketAddr::from(([127, 0, 0, 1], 0))),
        flow_control: FlowControl::None,
        printer,
        dialect: DialectSetting::Auto,
        profile: None,
        capture_dir: None,
        footer: None,
    }
}

async fn network_printer() -> (TcpListener, PrinterTarget) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, PrinterTarget::Tcp(address))
}

async fn accepted(printer: &TcpListener) -> TcpStream {
    within(printer.accept()).await.unwrap().0
}

async fn read_to_end(stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    within(stream.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

async fn read_exact(stream: &mut (impl AsyncReadExt + Unpin), len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    within(stream.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// Sends `bytes` in these chunks, repeated as often as needed.
async fn send_in(stream: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8], chunks: &[usize]) {
    let mut rest = bytes;
    for size in chunks.iter().cycle() {
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        stream.write_all(chunk).await.unwrap();
        rest = after;
        if rest.is_empty() {
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn bytes_pass_unchanged_both_ways_in_any_chunks(
        receipt in proptest::collection::vec(any::<u8>(), 1..60_000),
        answers in proptest::collection::vec(any::<u8>(), 1..5_000),
        chunks in proptest::collection::vec(1usize..4_000, 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (printed, answered) = runtime.block_on(async {
            let (printer, target) = network_printer().await;
            let rig = Rig::start_with(config(target), 4_096).await;
            let (mut from_tap, mut to_tap) = rig.pos().await.into_split();
            let (mut paper, mut to_pos) = accepted(&printer).await.into_split();
            let (first, last) = answers.split_at(answers.len() / 2);
            let send_receipt = async {
                send_in(&mut to_tap, &receipt, &chunks).await;
                to_tap.shutdown().await.unwrap();
            };
            let print = async {
                send_in(&mut to_pos, first, &chunks).await;
                let printed = read_to_end(&mut paper).await;
                // These come when the POS has ended its side.
                send_in(&mut to_pos, last, &chunks).await;
                to_pos.shutdown().await.unwrap();
                printed
            };
            let answer = read_to_end(&mut from_tap);
            let ((), printed, answered) = tokio::join!(send_receipt, print, answer);
            (printed, answered)
        });
        prop_assert_eq!(printed, receipt);
        prop_assert_eq!(answered, answers);
    }
}

#[tokio::test]
async fn a_printer_that_is_away_resets_the_pos_until_it_is_back() {
    let (printer, target) = network_printer().await;
    let address = printer.local_addr().unwrap();
    drop(printer);
    let mut rig = Rig::start(target).await;
    assert_eq!(rig.failure().await, ErrorKind::ConnectionReset);
    let PortState::Lost { reason } = rig.port().await else {
        panic!("the loss of the printer was not told");
    };
    assert!(reason.contains(&address.to_string()), "{reason}");

    let printer = TcpListener::bind(address).await.unwrap();
    let mut pos = rig.pos().await;
    pos.write_all(b"hello").await.unwrap();
    assert_eq!(read_exact(&mut accepted(&printer).await, 5).await, b"hello");
    assert_eq!(rig.port().await, PortState::Open);
    assert!(rig.devices.status()[0].last_error.is_some());
}

#[tokio::test]
async fn a_printer_that_breaks_off_resets_the_pos() {
    let (printer, target) = network_printer().await;
    let mut rig = Rig::start(target).await;
    let mut pos = rig.pos().await;
    let paper = accepted(&printer).await;
    assert_eq!(rig.port().await, PortState::Open);
    paper.set_zero_linger().unwrap();
    drop(paper);
    let seen = within(pos.read(&mut [0; 8])).await.unwrap_err();
    assert_eq!(seen.kind(), ErrorKind::ConnectionReset);
    assert_eq!(rig.port().await.as_str(), "lost");
}

#[tokio::test]
async fn a_pos_that_breaks_off_gives_the_printer_all_it_sent_and_a_normal_end() {
    let (printer, target) = network_printer().await;
    let rig = Rig::start(target).await;
    let mut pos = rig.pos().await;
    let (mut paper, mut to_pos) = accepted(&printer).await.into_split();
    to_pos.write_all(&[0x12; 64]).await.unwrap();
    // The answers have arrived: closing over them resets the connection.
    within(pos.readable()).await.unwrap();
    let receipt = vec![b'x'; 100_000];
    let (sent, printed) = tokio::join!(
        pos.write_all(&receipt),
        read_exact(&mut paper, receipt.len())
    );
    sent.unwrap();
    drop(pos);
    assert_eq!(printed, receipt);
    // A printer that goes on answering is not reset for it.
    to_pos.write_all(&[0x12; 64]).await.unwrap();
    assert_eq!(within(paper.read(&mut [0; 8])).await.unwrap(), 0);
    to_pos.write_all(&[0x12; 64]).await.unwrap();
}

#[tokio::test]
async fn connections_at_the_same_time_do_not_mix() {
    let (printer, target) = network_printer().await;
    let mut rig = Rig::start(target).await;
    let mut one = rig.pos().await;
    let mut paper_of_one = accepted(&printer).await;
    let mut two = rig.pos().await;
    let mut paper_of_two = accepted(&printer).await;
    one.write_all(b"first ").await.unwrap();
    assert_eq!(read_exact(&mut paper_of_one, 6).await, b"first ");
    two.write_all(b"second\n").await.unwrap();
    two.write_all(CUT).await.unwrap();
    assert_eq!(read_exact(&mut paper_of_two, 10).await, b"second\n\x1dV\0");
    one.write_all(b"receipt\n").await.unwrap();
    one.write_all(CUT).await.unwrap();
    assert_eq!(read_exact(&mut paper_of_one, 11).await, b"receipt\n\x1dV\0");
    let mut texts = [rig.receipt().await.0, rig.receipt().await.0];
    texts.sort();
    assert_eq!(texts, ["first receipt", "second"]);
}

#[tokio::test]
async fn after_a_restart_the_same_address_prints_again_at_once() {
    let (printer, target) = network_printer().await;
    let first = Rig::start(target.clone()).await;
    let address = first.address;
    let mut pos = first.pos().await;
    let mut paper = accepted(&printer).await;
    pos.write_all(b"half a rec").await.unwrap();
    assert_eq!(read_exact(&mut paper, 10).await, b"half a rec");
    // The receipt under way is ended in a pause, and its text is told before the end.
    first.stop.send_replace(true);
    assert_eq!(read_to_end(&mut paper).await, b"");
    drop(paper);
    let Rig {
        devices,
        mut events,
        ..
    } = first;
    let told = async {
        let mut told = Vec::new();
        while let Some(event) = events.recv().await {
            if let DeviceEvent::Receipt { job, .. } = event {
                told.push(job.text());
            }
        }
        told
    };
    let ((), told) = within(async { tokio::join!(devices.stopped(), told) }).await;
    assert_eq!(told, ["half a rec"]);

    let settings = ReceiptTapConfig {
        pos: PosSide::Network(address),
        ..config(target)
    };
    let second = Rig::start_with(settings, 64).await;
    let mut pos = second.pos().await;
    pos.write_all(b"again").await.unwrap();
    assert_eq!(read_exact(&mut accepted(&printer).await, 5).await, b"again");
}

#[tokio::test]
async fn a_connection_too_many_is_reset_and_the_others_go_on() {
    let rig = Rig::start_with(config(PrinterTarget::Virtual), 1_024).await;
    let mut held = Vec::new();
    for _ in 0..super::CONNECTIONS_MAX {
        held.push(rig.pos().await);
    }
    assert_eq!(rig.failure().await, ErrorKind::ConnectionReset);
    // Each connection is counted by its own task, which may be slower than the reset.
    let served = async {
        while rig.devices.status()[0].counts.connections < super::CONNECTIONS_MAX as u64 {
            tokio::task::yield_now().await;
        }
    };
    within(served).await;
    assert!(rig.devices.status()[0].last_error.is_some());
    let pos = held.first_mut().unwrap();
    pos.write_all(b"still here").await.unwrap();
    pos.shutdown().await.unwrap();
    assert_eq!(read_to_end(pos).await, b"");
}

#[tokio::test]
async fn an_address_that_is_taken_is_listened_on_as_soon_as_it_is_free() {
    let squatter = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = squatter.local_addr().unwrap();
    let (sender, mut events) = mpsc::channel(8);
    let (_stop, stopped) = watch::channel(false);
    let clocks = Clocks {
        wall: Arc::new(|| DateTime::UNIX_EPOCH),
        elapsed: Arc::new(|| Duration::ZERO),
    };
    let mut devices = Devices::new(Arc::new(CardRules::default()), sender, stopped, clocks);
    devices.start_taps(&[ReceiptTapConfig {
        pos: PosSide::Network(listen),
        ..config(PrinterTarget::Virtual)
    }]);
    let Some(DeviceEvent::Port { state, .. }) = within(events.recv()).await else {
        panic!("the address that is taken was not told");
    };
    assert_eq!(state.as_str(), "unopenable");
    drop(squatter);
    let Some(DeviceEvent::Port { state, .. }) = within(events.recv()).await else {
        panic!("the address that is free was not told");
    };
    assert_eq!(
        state,
        PortState::Listening {
            address: listen.to_string()
        }
    );
}
