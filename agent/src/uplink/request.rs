//! The request around what was cut, and how the terminal is.

use std::time::Duration;

use tillbind_protocol::exchange::{DiskState, ExchangeRequest, Fork, Hello};
use tillbind_protocol::replica::Cursor;

use super::cut::Cut;
use crate::identity::enrolment::Machine;
use crate::outbox::{Outbox, Pressure, SACRIFICES};

/// What a request says besides the outbox's part.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) version: u16,
    pub(super) cursor: Cursor,
    pub(super) keys: u32,
    pub(super) page_bytes: u32,
    pub(super) wait: Duration,
    pub(super) at_ms: i64,
    pub(super) hello: Option<Hello>,
}

/// Writes the request around what was cut.
pub(super) fn exchange(outbox: &Outbox, cut: Cut, frame: Frame) -> ExchangeRequest {
    ExchangeRequest {
        v: frame.version,
        epoch: outbox.epoch(),
        acked: outbox.acked(),
        head: outbox.appended(),
        batch: cut.batch,
        gap: cut.gap,
        express: cut.express,
        cursor: frame.cursor,
        keys: frame.keys,
        dictionary: 0,
        page_bytes: frame.page_bytes,
        wait_ms: u32::try_from(frame.wait.as_millis()).unwrap_or(u32::MAX),
        at_ms: frame.at_ms,
        hello: frame.hello,
    }
}

fn disk(pressure: Pressure) -> DiskState {
    match pressure {
        Pressure::Ok => DiskState::Ok,
        Pressure::Tight => DiskState::Tight,
        Pressure::Full => DiskState::Full,
    }
}

/// Says how the terminal is, as far as the version has words for it.
pub(super) fn hello(
    version: u16,
    outbox: &Outbox,
    machine: &Machine,
    clock_offset_ms: Option<i64>,
    forked_from: Option<Fork>,
) -> Hello {
    let stats = outbox.stats();
    let in_1 = Hello {
        machine: machine.fingerprint.clone(),
        version: machine.version.clone(),
        outbox_events: stats.events,
        clock_offset_ms,
        forked_from,
        outbox_bytes: None,
        disk: None,
        sacrificed: None,
        quarantined: None,
    };
    if version < 2 {
        return in_1;
    }
    Hello {
        outbox_bytes: Some(stats.bytes),
        disk: Some(disk(stats.pressure)),
        sacrificed: Some(
            SACRIFICES
                .iter()
                .map(|class| stats.given_up_of(*class))
                .sum(),
        ),
        quarantined: Some(stats.quarantined),
        ..in_1
    }
}
