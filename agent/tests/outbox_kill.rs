//! A process that appends and is killed at any moment loses nothing that it was promised.
//!
//! The child is the same test once more, told by an environment variable to append to an outbox and to print
//! every number that it was promised.

#![expect(
    clippy::unwrap_used,
    reason = "a test may end at once when its ground is missing"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tillbind_agent::outbox::{Monotonic, Opened, Outbox, OutboxConfig};
use tillbind_agent::vault::{Random, Vault};
use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::Seq;

const CHILD_DIR: &str = "TILLBIND_TEST_OUTBOX_DIR";
const ROUNDS: u64 = 8;

fn random() -> Random {
    Arc::new(|bytes: &mut [u8]| getrandom::fill(bytes).expect("the kernel has random bytes"))
}

fn open(dir: &Path) -> Opened {
    let monotonic: Monotonic = Arc::new(|| Duration::ZERO);
    let config = OutboxConfig {
        segment_bytes: 64 * 1024,
        ..OutboxConfig::new(dir.join("outbox"), monotonic)
    };
    let vault = Vault::open(dir, None, random()).unwrap();
    Outbox::open(config, &vault, random()).unwrap()
}

fn record(seq: u64) -> Vec<u8> {
    format!("event {seq} {}", "x".repeat((seq % 700) as usize)).into_bytes()
}

/// Appends in small bursts until killed; acknowledges now and then.
fn append_until_killed(dir: &Path) -> ! {
    let outbox = open(dir).outbox;
    let mut out = std::io::stdout().lock();
    let mut next = outbox.appended().seq.0 + 1;
    loop {
        let burst = 1 + next % 7;
        let tickets: Vec<_> = (next..next + burst)
            .map(|seq| outbox.append(record(seq)))
            .collect();
        for ticket in tickets {
            let mark = ticket.wait().unwrap();
            writeln!(out, "promised {}", mark.seq).unwrap();
        }
        out.flush().unwrap();
        next += burst;
        if next.is_multiple_of(40) {
            let mark = outbox.mark_at(Seq(next - 20)).unwrap();
            outbox.acknowledge(mark.unwrap()).unwrap();
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_that_it_was_promised() {
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        append_until_killed(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut mark: Option<Mark> = None;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_killed_process_loses_nothing_that_it_was_promised",
            ])
            .arg("--nocapture")
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut promised = 0;
        let wanted = 30 + round * 61;
        let mut seen = 0;
        for line in lines {
            let line = line.unwrap();
            // The harness prints the test's name before its first line.
            if let Some((_, number)) = line.split_once("promised ") {
                promised = number.parse().unwrap();
                seen += 1;
            }
            if seen == wanted {
                // SIGKILL; what the child still printed is read to its end.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= wanted, "the child ended early in round {round}");
        let opened = open(dir.path());
        assert_eq!(opened.recovery.damages, []);
        let outbox = opened.outbox;
        assert!(outbox.appended().seq >= Seq(promised));
        let stored = outbox
            .read_after(outbox.acked().seq, usize::MAX, usize::MAX)
            .unwrap();
        let mut last = outbox.acked();
        for event in stored {
            assert_eq!(event.record, record(event.mark.seq.0));
            last = last.next(&event.record);
            assert_eq!(event.mark, last);
        }
        assert_eq!(last, outbox.appended());
        if let Some(mark) = mark
            && outbox.acked().seq <= mark.seq
        {
            assert_eq!(
                outbox.mark_at(mark.seq).unwrap(),
                Some(mark),
                "history changed"
            );
        }
        mark = Some(last);
        if round % 3 == 2 {
            outbox.close().unwrap();
        }
    }
}
