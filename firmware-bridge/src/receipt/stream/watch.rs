//! A stream that is watched for its cuts: what it tells the printer is noted as it is read.

use super::super::command::{ESC, Effect, FF, GS, Step};
use super::super::dialect::Language;
use super::super::footer::{Place, Printer};
use super::super::item::Item;
use super::{Payload, Stream};

/// Most bytes that a printer may still take for what an unfinished command lacks.
const LACKING_BYTES_MAX: u64 = 16;

impl Stream {
    /// Notes what is read from here on.
    pub(in crate::receipt) fn watch(&mut self, printer: Box<Printer>) {
        self.printer = Some(printer);
    }

    /// Ends the watch.
    pub(in crate::receipt) fn unwatch(&mut self) -> Option<Box<Printer>> {
        self.printer.take()
    }

    /// Returns what was noted so far.
    pub(in crate::receipt) fn watched(&mut self) -> Option<&mut Printer> {
        self.printer.as_deref_mut()
    }

    /// Returns where what may be the beginning of a cut begins, or the end of what was taken.
    pub(in crate::receipt) fn settled(&self) -> u64 {
        if self.payload.is_some() || !self.addressed {
            return self.taken;
        }
        // What stands behind a command that turns out to be shorter is read again.
        let ends = (0..self.command.len()).map(|at| &self.command[at..]);
        let held = ends
            .filter(|end| begins_a_cut(self.language, end))
            .map(<[u8]>::len)
            .max();
        self.taken.saturating_sub(held.unwrap_or(0) as u64)
    }

    /// Takes what is collected for a cut if it is one by itself; else it stays as it is.
    pub(in crate::receipt) fn handle_pause(&mut self, sink: &mut impl FnMut(Item<'_>)) {
        if self.payload.is_some() || self.command.is_empty() {
            return;
        }
        if let Step::Done {
            effect: Effect::Cut,
            used,
        } = self.read_command(true)
        {
            self.take_command(Effect::Cut, used, sink);
            self.feed(&[], sink);
        }
    }

    /// Notes the command of `used` bytes that was just read.
    pub(super) fn note_command(&mut self, effect: &Effect, used: usize) {
        if self.printer.is_none() {
            return;
        }
        let ends_at = self.position();
        let place = Place {
            begins_at: ends_at.saturating_sub(used as u64),
            ends_at,
            charset: self.charset,
            is_recorded: self.macros.is_recording(),
        };
        if let Some(printer) = &mut self.printer {
            printer.take(&self.command[..used], effect, place);
        }
    }

    /// Notes a payload that came to its end.
    pub(super) fn note_payload(&mut self, payload: &mut Payload) {
        if let Some(printer) = &mut self.printer {
            let is_in_head = payload.head_max > 0;
            let body = if is_in_head {
                payload.head.as_slice()
            } else {
                payload.tail.make_contiguous()
            };
            let is_whole = body.len() as u64 == payload.swallowed;
            printer.end_payload(&payload.kind, body, is_whole);
        }
    }

    /// Notes that a macro begins to run, or has run.
    pub(super) fn note_run(&mut self, is_running: bool) {
        if let Some(printer) = &mut self.printer {
            printer.set_running(is_running);
        }
    }

    /// Notes that the stream ended amid a command that lacks so many bytes, if it is known how many.
    pub(super) fn note_unfinished(&mut self, lacking: Option<u64>) {
        let position = self.position();
        if let Some(printer) = &mut self.printer {
            printer.distrust(position.saturating_add(lacking.unwrap_or(LACKING_BYTES_MAX)));
        }
    }
}

/// Whether more bytes can make a cut of these.
fn begins_a_cut(language: Language, bytes: &[u8]) -> bool {
    match (language, bytes) {
        (_, [ESC] | [GS] | [GS, b'V']) => true,
        // Star's size or a cut, as long as that is not settled.
        (Language::EscPos, [ESC, b'i'] | [ESC, b'i', 0..=5 | b'0'..=b'5']) => true,
        (_, [GS, b'V', 65 | 66 | 97 | 98 | 103 | 104]) => true,
        (Language::Star, [ESC, b'd' | FF]) => true,
        (Language::EscPos | Language::Star, _) => false,
    }
}
