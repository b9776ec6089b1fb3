use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant as RealTime;

use chrono::DateTime;
use tillbind_firmware_bridge::nfc::pn532::frame::{ACK, FROM_CHIP, Frame, Framer, encode};
use tokio::time::timeout;

use super::*;
use crate::devices::DeviceKind;
use crate::devices::workbench::{Workbench, plug, within};

#[expect(
    clippy::disallowed_methods,
    reason = "the reader's time-outs pass in the time of the port"
)]
fn clocks() -> Clocks {
    let start = RealTime::now();
    Clocks {
        wall: Arc::new(|| DateTime::UNIX_EPOCH),
        elapsed: Arc::new(move || start.elapsed()),
    }
}

/// Answers as a PN532 does, with this type A number from the third poll on, for so many polls.
fn simulate(mut line: File, uid: &'static [u8], polls_max: usize) {
    thread::spawn(move || {
        let mut framer = Framer::default();
        let mut polls = 0;
        let mut bytes = [0; 256];
        while let Ok(count @ 1..) = line.read(&mut bytes) {
            for frame in framer.feed(&bytes[..count]) {
                let Frame::Data { data, .. } = frame else {
                    continue;
                };
                let answer = match data[..] {
                    [0x02] => vec![0x03, 0x32, 1, 6, 0x01],
                    [0x4a, 1, 0] => {
                        polls += 1;
                        match polls {
                            3.. if polls < 3 + polls_max => {
                                let head =
                                    [0x4b, 1, 1, 0, 0x44, 0, u8::try_from(uid.len()).unwrap()];
                                [&head, uid].concat()
                            }
                            _ => vec![0x4b, 0],
                        }
                    }
                    [command, ..] => vec![command + 1],
                    [] => continue,
                };
                let told = [&ACK[..], &encode(FROM_CHIP, &answer)].concat();
                if line.write_all(&told).is_err() {
                    return;
                }
            }
        }
    });
}

/// Starts a serial reader named `counter`.
fn start(port: &Path) -> Workbench {
    let reader = NfcConfig {
        name: "counter".to_owned(),
        reader: NfcReader::Serial {
            port: port.to_owned(),
            baud: 115_200,
        },
    };
    Workbench::start(clocks(), |devices| devices.start_nfc(&[reader]))
}

#[tokio::test]
async fn a_card_on_a_pn532_is_a_scan_and_a_random_number_says_why_it_is_none() {
    for (uid, kind) in [
        (
            &[0x04, 0x16, 0xc6, 0xc2, 0xd7, 0x38, 0x81][..],
            "member_card",
        ),
        (&[0x08, 1, 2, 3], "unknown"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("reader");
        simulate(plug(&link), uid, usize::MAX / 2);
        let mut bench = start(&link);
        let DeviceEvent::Port {
            kind: device,
            state,
            ..
        } = bench.event().await
        else {
            panic!("no state")
        };
        assert_eq!((device, state), (DeviceKind::Nfc, PortState::Open));
        let DeviceEvent::Scanned { device, code } = bench.event().await else {
            panic!("no scan")
        };
        assert_eq!((device.as_str(), code.kind()), ("counter", kind));
        // It rests there through many polls, and is told no second time.
        let again = timeout(Duration::from_secs(1), bench.events.recv()).await;
        assert!(again.is_err(), "{again:?}");
        assert_eq!(bench.devices.status()[0].counts.scans, 1);
        bench.end().await;
    }
}

#[tokio::test]
async fn a_reader_that_does_not_answer_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("reader");
    let _line = plug(&link);
    let mut bench = start(&link);
    let DeviceEvent::Port { state, .. } = bench.event().await else {
        panic!("no state")
    };
    assert!(
        state.fault().is_some_and(|fault| fault.contains("115200")),
        "{state:?}"
    );
}

/// Runs a shell's script in the helper's place until it has told so many events.
async fn watch_script(script: &str, count: usize) -> (Vec<DeviceEvent>, Vec<String>) {
    let (sender, mut events) = mpsc::channel(64);
    let (stop, stopped) = watch::channel(false);
    let clocks = clocks();
    let lamp = Lamp::new("pcsc", DeviceKind::Nfc, "pcsc".to_owned(), clocks.wall);
    tokio::spawn(super::super::status::report(lamp.view(), sender.clone()));
    let helper = PcscProgram {
        program: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".into(), script.into()],
    };
    let watching = tokio::spawn(async move {
        helper
            .watch("pcsc", &sender, &lamp, &clocks.elapsed, stopped)
            .await;
    });
    let mut told = Vec::new();
    let mut states = Vec::new();
    while told.len() < count {
        let event = within(events.recv()).await.expect("an event");
        if let DeviceEvent::Port { state, .. } = event {
            states.push(
                state
                    .fault()
                    .map_or(state.as_str().to_owned(), str::to_owned),
            );
        } else {
            told.push(event);
        }
    }
    stop.send_replace(true);
    within(watching).await.unwrap();
    (told, states)
}

#[tokio::test]
async fn a_helper_that_dies_is_started_again() {
    let script = r#"
        echo '{"happened":"fault","reason":"no reader"}'
        echo '{"happened":"reader","reader":"R"}'
        echo noise
        echo '{"happened":"card","reader":"R","uid":"0416C6C2D73881"}'
        sleep 0.2
        exit 3
    "#;
    let (told, states) = watch_script(script, 3).await;
    for event in &told {
        assert!(
            matches!(event, DeviceEvent::Scanned { device, code }
                if device == "pcsc" && code.kind() == "member_card"),
            "{event:?}"
        );
        assert!(!format!("{event:?}").contains("0416"));
    }
    assert!(states.iter().any(|state| state == "open"), "{states:?}");
    assert!(
        states
            .iter()
            .any(|state| state.contains("is started again")),
        "{states:?}"
    );
}

#[tokio::test]
async fn a_helper_whose_library_is_missing_says_what_to_install_and_stops_nothing() {
    let (sender, mut events) = mpsc::channel(64);
    let (_stop, stopped) = watch::channel(false);
    let clocks = clocks();
    let lamp = Lamp::new("pcsc", DeviceKind::Nfc, "pcsc".to_owned(), clocks.wall);
    tokio::spawn(super::super::status::report(lamp.view(), sender.clone()));
    for (program, arguments, hint) in [
        (
            "/bin/sh",
            vec!["-c".into(), "exit 127".into()],
            "libpcsclite1",
        ),
        (
            "/nowhere/tillbind-pcsc",
            Vec::new(),
            "install it beside the agent",
        ),
    ] {
        let helper = PcscProgram {
            program: PathBuf::from(program),
            arguments,
        };
        let (lamp, sender, elapsed) = (lamp.clone(), sender.clone(), clocks.elapsed.clone());
        let stopped = stopped.clone();
        let watching = tokio::spawn(async move {
            helper
                .watch("pcsc", &sender, &lamp, &elapsed, stopped)
                .await;
        });
        let DeviceEvent::Port { state, .. } = within(events.recv()).await.expect("a state") else {
            panic!("no state")
        };
        assert!(
            state.fault().is_some_and(|fault| fault.contains(hint)),
            "{state:?}"
        );
        watching.abort();
    }
}
