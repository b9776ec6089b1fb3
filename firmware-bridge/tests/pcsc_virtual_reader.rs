//! The helper `tillbind-pcsc` against the system's PC/SC service and a virtual reader and card.
//!
//! Wants Debian's `pcscd` and `vsmartcard-vpcd`; where they are missing this test says so. Other
//! readers of the machine are left out by the virtual one's name.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    reason = "waits for other processes, in their time"
)]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write, stderr};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tillbind_firmware_bridge::nfc::pcsc::PcscEvent;

const SERVICE: &str = "/usr/sbin/pcscd";
const SERVICE_SOCKET: &str = "/run/pcscd/pcscd.comm";
const VIRTUAL_READER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
/// The port at which the virtual reader of Debian's package waits for its card.
const CARD_PORT: u16 = 35_963;
/// The answer to reset of a contactless card with storage (PC/SC part 3, 3.1.3.2.3).
const ATR: &[u8] =
    b"\x3b\x8f\x80\x01\x80\x4f\x0c\xa0\x00\x00\x03\x06\x03\x00\x01\x00\x00\x00\x00\x6a";

/// No step of the test waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Lays a card with this number on the virtual reader until the stream is shut down.
fn lay(uid: &'static [u8]) -> TcpStream {
    let since = Instant::now();
    let card = loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, CARD_PORT)) {
            Ok(card) => break card,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                assert!(since.elapsed() < PATIENCE, "the virtual reader never came");
                thread::yield_now();
            }
            Err(error) => panic!("cannot reach the virtual reader: {error}"),
        }
    };
    let mut line = card.try_clone().expect("a second handle");
    thread::spawn(move || {
        let mut size = [0; 2];
        while line.read_exact(&mut size).is_ok() {
            let mut message = vec![0; usize::from(u16::from_be_bytes(size))];
            if line.read_exact(&mut message).is_err() {
                return;
            }
            let answer = match message[..] {
                // Power and reset want no answer, the answer to reset does.
                [4] => ATR.to_vec(),
                [_] => continue,
                [0xff, 0xca, 0, 0, 0] => [uid, &[0x90, 0x00]].concat(),
                _ => vec![0x6d, 0x00],
            };
            let size = u16::try_from(answer.len()).expect("a short answer");
            if line
                .write_all(&[&size.to_be_bytes()[..], &answer].concat())
                .is_err()
            {
                return;
            }
        }
    });
    card
}

fn lift(card: &TcpStream) {
    card.shutdown(std::net::Shutdown::Both)
        .expect("a card that lies there");
}

fn next(events: &Receiver<PcscEvent>) -> PcscEvent {
    loop {
        let event = events.recv_timeout(PATIENCE).expect("another event");
        // Said before the service had found its reader.
        if !matches!(event, PcscEvent::Fault { .. }) {
            return event;
        }
    }
}

#[test]
fn a_virtual_card_is_read_removed_and_read_again() {
    if !Path::new(SERVICE).exists() || !Path::new(VIRTUAL_READER).exists() {
        writeln!(
            stderr(),
            "pcscd and vsmartcard-vpcd are not installed: the PC/SC helper is not tried with a card"
        )
        .expect("an open standard error");
        return;
    }
    // A socket without its service may lie there from an earlier one that was killed.
    let runs = || UnixStream::connect(SERVICE_SOCKET).is_ok();
    if !runs() && !rustix::process::getuid().is_root() {
        writeln!(
            stderr(),
            "pcscd does not run and root alone may start it: the PC/SC helper is not tried with a card"
        )
        .expect("an open standard error");
        return;
    }
    let _service = (!runs()).then(|| {
        let service = Command::new(SERVICE)
            .arg("--foreground")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut service = Process(service.expect("a service that starts"));
        let since = Instant::now();
        while !runs() {
            let ended = service.0.try_wait().expect("a child");
            assert_eq!(ended, None, "pcscd ended at its start");
            assert!(since.elapsed() < PATIENCE, "pcscd does not come up");
            thread::yield_now();
        }
        service
    });
    let mut helper = Process(
        Command::new(env!("CARGO_BIN_EXE_tillbind-pcsc"))
            .arg("Virtual PCD 00 00")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the helper starts"),
    );
    let output = BufReader::new(helper.0.stdout.take().expect("its output"));
    let (sender, events) = channel();
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let event = serde_json::from_str(&line).expect("a line that is an event");
            if sender.send(event).is_err() {
                return;
            }
        }
    });

    assert!(matches!(next(&events), PcscEvent::Reader { .. }));
    for uid in [&b"\x04\x16\xc6\xc2\xd7\x38\x81"[..], b"\x08\x11\x22\x33"] {
        let card = lay(uid);
        let PcscEvent::Card { uid: told, .. } = next(&events) else {
            panic!("no card")
        };
        assert_eq!(told.0.bytes(), uid);
        lift(&card);
        assert!(matches!(next(&events), PcscEvent::Removed { .. }));
    }

    // It ends with its standard input.
    drop(helper.0.stdin.take());
    let since = Instant::now();
    while helper.0.try_wait().expect("a child").is_none() {
        assert!(since.elapsed() < PATIENCE, "the helper outlives its parent");
        thread::yield_now();
    }
}
