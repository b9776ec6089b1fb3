//! Serial scanners: a thread each, from the port's bytes to what a scan means.
//!
//! A scan is classified here and its bytes are zeroised, so that a payment card's number never gets
//! into the queue of events. While that queue is full the thread waits, and the port's own buffer
//! takes what is scanned meanwhile.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::scanner::dedup::REPEAT_WINDOW;
use tillbind_firmware_bridge::scanner::{Dedup, Frame, LineConfig, LineFramer};
use tillbind_firmware_bridge::transport::serial::{self, PortEvent, SerialConfig};
use tokio::sync::{mpsc, watch};

use super::DeviceEvent;
use super::status::{Clocks, Elapsed, Lamp, PortState};
use crate::config::{Framing, ScannerConfig};

/// Starts a scanner; `alive` is dropped when it has ended.
pub(super) fn start(
    config: &ScannerConfig,
    rules: Arc<CardRules>,
    events: mpsc::Sender<DeviceEvent>,
    lamp: Lamp,
    clocks: &Clocks,
    mut stop: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
) {
    let line = match config.framing {
        Framing::Line => LineConfig::default(),
    };
    let mut scanner = Scanner {
        name: config.name.clone(),
        framer: LineFramer::new(line),
        dedup: Dedup::new(REPEAT_WINDOW),
        skipped_told: 0,
        rules,
        events,
        elapsed: Arc::clone(&clocks.elapsed),
        lamp: lamp.clone(),
    };
    let port = SerialConfig {
        path: PathBuf::from(&config.port),
        baud: config.baud,
    };
    let ends = Arc::new(AtomicBool::new(false));
    tokio::spawn({
        let ends = Arc::clone(&ends);
        async move {
            // The agent's owner being gone is an end as well.
            drop(stop.wait_for(|stop| *stop).await);
            ends.store(true, Ordering::Relaxed);
        }
    });
    let started = thread::Builder::new()
        .name(format!("scan {}", config.name))
        .spawn(move || {
            serial::watch(&port, &ends, |event| scanner.handle(event));
            drop(alive);
        });
    if let Err(error) = started {
        let reason = format!("the scanner cannot start ({error}): free memory, restart the agent");
        lamp.show(PortState::Unopenable { reason });
    }
}

/// What one scanner's thread holds.
struct Scanner {
    name: String,
    framer: LineFramer,
    dedup: Dedup,
    /// Of the framer's counter, how much the lamp has.
    skipped_told: u64,
    rules: Arc<CardRules>,
    events: mpsc::Sender<DeviceEvent>,
    elapsed: Elapsed,
    lamp: Lamp,
}

impl Scanner {
    /// Takes what happened on the port; breaks when nobody listens any more.
    fn handle(&mut self, event: PortEvent) -> ControlFlow<()> {
        match event {
            PortEvent::Opened => self.lamp.show(PortState::Open),
            PortEvent::Bytes(bytes) => {
                self.lamp.count(|counts| counts.bytes += bytes.len() as u64);
                let frames = self.framer.feed(&bytes);
                self.count_skipped();
                return frames.into_iter().try_for_each(|frame| self.tell(frame));
            }
            PortEvent::Idle => {
                let frame = self.framer.handle_idle();
                return frame.into_iter().try_for_each(|frame| self.tell(frame));
            }
            PortEvent::Lost { reason } => {
                self.framer.reset();
                self.count_skipped();
                self.lamp.show(PortState::Lost { reason });
            }
            PortEvent::Unopenable { reason } => self.lamp.show(PortState::Unopenable { reason }),
        }
        ControlFlow::Continue(())
    }

    fn tell(&mut self, frame: Frame) -> ControlFlow<()> {
        let code = frame.classify(&self.rules);
        if !self.dedup.is_new(&code, (self.elapsed)()) {
            return ControlFlow::Continue(());
        }
        self.lamp.count(|counts| counts.scans += 1);
        let event = DeviceEvent::Scanned {
            device: self.name.clone(),
            code,
        };
        match self.events.blocking_send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn count_skipped(&mut self) {
        let skipped = self.framer.counters().skipped_bytes;
        self.lamp
            .count(|counts| counts.skipped_bytes += skipped - self.skipped_told);
        self.skipped_told = skipped;
    }
}
