//! Epson's macro: `GS :` begins and ends its definition, `GS ^` runs it.

/// Longest macro, as Epson's printers hold it; a longer one is forgotten.
const MACRO_BYTES: usize = 2_048;
/// Most bytes that one command makes of a macro; further repetitions print nothing here.
const RUN_BYTES: usize = 64 << 10;
/// `GS :`.
const MARK_BYTES: usize = 2;

/// A macro, defined or under definition. What is defined is printed as well while it is defined.
#[derive(Debug, Default)]
pub(super) struct Macro {
    body: Vec<u8>,
    recording: Option<Vec<u8>>,
    is_running: bool,
}

impl Macro {
    /// Takes bytes of the stream, which belong to the macro if one is being defined.
    pub(super) fn record(&mut self, part: &[u8]) {
        if let Some(recording) = &mut self.recording {
            let room = (MACRO_BYTES + MARK_BYTES + 1).saturating_sub(recording.len());
            recording.extend_from_slice(&part[..room.min(part.len())]);
        }
    }

    /// Begins a definition or ends it.
    pub(super) fn mark(&mut self) {
        if self.is_running {
            return;
        }
        self.recording = match self.recording.take() {
            None => Some(Vec::new()),
            Some(mut body) => {
                let fits = body.len() <= MACRO_BYTES + MARK_BYTES;
                // The mark that ends it was recorded too.
                body.truncate(body.len().saturating_sub(MARK_BYTES));
                self.body = if fits { body } else { Vec::new() };
                None
            }
        };
    }

    /// Returns whether a macro is being defined.
    pub(super) fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// Returns what running the macro so often sends, unless it is empty, being defined or running.
    pub(super) fn begin_run(&mut self, times: u8) -> Option<Vec<u8>> {
        if self.is_running || self.recording.is_some() || self.body.is_empty() {
            return None;
        }
        self.is_running = true;
        let times = usize::from(times).min(RUN_BYTES / self.body.len());
        Some(self.body.repeat(times))
    }

    pub(super) fn end_run(&mut self) {
        self.is_running = false;
    }
}
