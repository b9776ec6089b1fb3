//! Scanners: a thread each, from the port's bytes to what a scan means.
//!
//! A scan is classified here and its bytes are zeroised, so that a payment card's number never gets
//! into the queue of events. While that queue is full the thread waits, and the port's own buffer
//! takes what is scanned meanwhile. A scanner that wants an answer gets it once its scan is in the
//! queue. Each port is opened for the agent alone, so a scan has one consumer.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::scanner::{
    Counters, Decoder, DecoderConfig, Dedup, Frame, Framing, Garble, Reading,
};
use tillbind_firmware_bridge::transport::serial::SerialConfig;
use tillbind_firmware_bridge::transport::{PortEvent, evdev, hidraw, serial};
use tokio::sync::{mpsc, watch};

use super::DeviceEvent;
use super::status::{Clocks, Elapsed, Lamp, PortState};
use super::stop::serve_on_thread;
use crate::config::ScannerConfig;

/// Starts a scanner; `alive` is dropped when it has ended.
pub(super) fn start(
    config: &ScannerConfig,
    rules: Arc<CardRules>,
    events: mpsc::Sender<DeviceEvent>,
    lamp: Lamp,
    clocks: &Clocks,
    stop: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
) {
    let mut scanner = Scanner {
        name: config.name.clone(),
        framing: config.framing,
        baud: config.baud,
        decoder: Decoder::new(DecoderConfig {
            framing: config.framing,
            line: config.line.clone(),
            layout: config.layout,
            key_gap: config.idle_gap,
        }),
        dedup: Dedup::new(config.repeat_window),
        garble: Garble::default(),
        told: Counters::default(),
        packets_before_burst: 0,
        rules,
        events,
        elapsed: Arc::clone(&clocks.elapsed),
        lamp: lamp.clone(),
    };
    let port = Port::of(config);
    serve_on_thread(
        (format!("scan {}", config.name), "scanner"),
        &lamp,
        stop,
        alive,
        move |ends| port.serve(ends, &mut scanner),
    );
}

/// Where a scanner's bytes come from.
struct Port {
    framing: Framing,
    serial: SerialConfig,
    idle_gap: Duration,
}

impl Port {
    fn of(config: &ScannerConfig) -> Self {
        Self {
            framing: config.framing,
            serial: SerialConfig {
                path: PathBuf::from(&config.port),
                baud: config.baud,
            },
            idle_gap: config.idle_gap,
        }
    }

    /// Serves the scanner until `ends` is set or nobody listens any more.
    fn serve(&self, ends: &AtomicBool, scanner: &mut Scanner) {
        let (path, gap) = (&self.serial.path, self.idle_gap);
        match self.framing {
            Framing::Line | Framing::Ssi | Framing::Honeywell => {
                serial::converse(&self.serial, gap, ends, |event, answer| {
                    scanner.handle(event, answer)
                });
            }
            // Of these two the decoders answer nothing.
            Framing::HidPos => {
                hidraw::watch(path, gap, ends, |event| {
                    scanner.handle(event, &mut Vec::new())
                });
            }
            Framing::Keyboard => {
                evdev::watch(path, gap, ends, |event| {
                    scanner.handle(event, &mut Vec::new())
                });
            }
        }
    }
}

/// What one scanner's thread holds.
struct Scanner {
    name: String,
    framing: Framing,
    baud: u32,
    decoder: Decoder,
    dedup: Dedup,
    garble: Garble,
    /// Of the decoder's counters, how much the lamp and the log have.
    told: Counters,
    /// The decoder's packets when the last silence ended.
    packets_before_burst: u64,
    rules: Arc<CardRules>,
    events: mpsc::Sender<DeviceEvent>,
    elapsed: Elapsed,
    lamp: Lamp,
}

impl Scanner {
    /// Takes what happened on the port; breaks when nobody listens any more.
    fn handle(&mut self, event: PortEvent, answer: &mut Vec<u8>) -> ControlFlow<()> {
        match event {
            PortEvent::Opened => {
                self.garble.reset();
                self.lamp.show(PortState::Open);
            }
            PortEvent::Bytes(bytes) => {
                self.lamp.count(|counts| counts.bytes += bytes.len() as u64);
                self.garble.feed(&bytes);
                let reading = self.decoder.feed(&bytes);
                return self.tell(reading, answer);
            }
            PortEvent::Idle => {
                let reading = self.decoder.handle_idle();
                self.tell(reading, answer)?;
                self.judge_the_line();
            }
            PortEvent::Lost { reason } => {
                self.decoder.reset();
                self.count();
                self.lamp.warn(None);
                self.lamp.show(PortState::Lost { reason });
            }
            PortEvent::Unopenable { reason } => self.lamp.show(PortState::Unopenable { reason }),
        }
        ControlFlow::Continue(())
    }

    fn tell(&mut self, reading: Reading, answer: &mut Vec<u8>) -> ControlFlow<()> {
        self.count();
        for frame in reading.frames {
            self.tell_scan(frame)?;
        }
        // Acknowledged is what was passed on, not what was heard.
        answer.extend_from_slice(&reading.answer);
        ControlFlow::Continue(())
    }

    fn tell_scan(&mut self, frame: Frame) -> ControlFlow<()> {
        let code = frame.classify(&self.rules);
        if !self.dedup.is_new(&code, (self.elapsed)()) {
            return ControlFlow::Continue(());
        }
        self.lamp.count(|counts| counts.scans += 1);
        if let Some(ambiguity) = code.ambiguity() {
            self.lamp.count(|counts| counts.ambiguous += 1);
            tracing::info!(device = self.name, "{ambiguity}");
        }
        let event = DeviceEvent::Scanned {
            device: self.name.clone(),
            code,
        };
        match self.events.blocking_send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn count(&mut self) {
        let seen = self.decoder.counters();
        let skipped = seen.skipped_bytes - self.told.skipped_bytes;
        self.lamp.count(|counts| counts.skipped_bytes += skipped);
        if seen.unreadable > self.told.unreadable {
            self.lamp.note_error(
                "a scan had a key that means nothing on this layout: write the layout that the scanner is \
                 set to, or set the scanner to that layout"
                    .to_owned(),
            );
        }
        if seen.given_up > self.told.given_up {
            self.lamp.note_error(
                "a scan came damaged and no resend came whole: scan again; if it happens often, \
                 change the cable or the baud rate"
                    .to_owned(),
            );
        }
        self.told = seen;
    }

    /// Looks at what came since the last silence.
    fn judge_the_line(&mut self) {
        let packets = self.decoder.counters().packets;
        let came = packets > self.packets_before_burst;
        self.packets_before_burst = packets;
        match self.framing {
            Framing::Line => self.garble.end_burst(None),
            Framing::Ssi | Framing::Honeywell | Framing::HidPos => {
                self.garble.end_burst(Some(came));
            }
            // The kernel's records are whole, or there are none.
            Framing::Keyboard => return,
        }
        let warning = self.garble.is_garbled().then(|| self.garbled());
        self.lamp.warn(warning);
    }

    /// Says what may be wrong with a line whose bytes make no sense.
    fn garbled(&self) -> String {
        let (name, baud) = (self.framing.as_str(), self.baud);
        match self.framing {
            Framing::Line | Framing::Keyboard => format!(
                "bytes that are no text: the baud rate may be wrong ({baud} set); write the one that \
                 the scanner is set to"
            ),
            Framing::Ssi | Framing::Honeywell => format!(
                "bytes that are no {name} packets: the baud rate may be wrong ({baud} set), or the \
                 scanner is set to plain text, which is framing = \"line\""
            ),
            Framing::HidPos => "reports that hold no scan: set the scanner to HID POS by its \
                                manual, or name another of its hidraw devices"
                .to_owned(),
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
