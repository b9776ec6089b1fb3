//! What a stream has told its printer, as far as a footer depends on it.

use super::super::codepage::{Charset, Encoding};
use super::super::command::{ESC, Effect, GS, PayloadKind};
use super::super::dialect::Language;
use super::super::item::PageStep;
use super::FoundCut;
use super::setting::{Sent, Setting};
use super::symbol::Stored;

/// Longest header of a payload that is kept.
const HEADER_BYTES: usize = 16;
/// Epson's `ESC c 0 n`: the bits of slip and validation.
const SLIP: u8 = 0x0C;

/// Follows a stream, command by command, and notes its cuts.
#[derive(Debug)]
pub(in crate::receipt) struct Printer {
    state: State,
    /// Cuts that were not told yet, as many as a feed brings.
    found: Vec<FoundCut>,
    is_page: bool,
    is_raster: bool,
    /// False while a device behind the printer is spoken to alone.
    is_addressed: bool,
    /// A device behind the printer hears what the printer hears.
    is_shared: bool,
    /// The stream prints on a slip or a sheet, which no QR code fits.
    is_slip: bool,
    /// The stream left a command unfinished: until `ESC @` behind this place nobody knows what the
    /// printer made of it.
    doubtful_to: Option<u64>,
    /// The last command that ran a macro, and whether the macro is running.
    run: (u64, u64),
    is_running: bool,
    /// The header of the payload under way.
    header: Vec<u8>,
}

/// What a printer has been told since its last `ESC @`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) language: Language,
    pub(super) encoding: Encoding,
    pub(super) charset: Charset,
    /// The last command of each setting, in the order in which they came; of units, each that one of the
    /// others was measured in.
    pub(super) sent: Vec<Sent>,
    pub(super) stored: Stored,
    /// Something stands on the line under way, or the print position was moved on it.
    pub(super) is_in_line: bool,
    pub(super) fed: Fed,
}

/// How far the paper moved since the last thing was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fed {
    /// Lines; with Epson those of the default height alone.
    pub(super) lines: u32,
    /// Units of `ESC J`.
    pub(super) units: u32,
    /// Units of Star's `ESC I`.
    pub(super) small_units: u32,
    /// Units of a line with Epson, where `ESC 3` set them.
    line_units: Option<u8>,
}

/// Where a command stands, and under which characters.
#[derive(Debug, Clone, Copy)]
pub(in crate::receipt) struct Place {
    /// Its first byte.
    pub(in crate::receipt) begins_at: u64,
    /// The first byte behind it.
    pub(in crate::receipt) ends_at: u64,
    /// What the stream has said about characters.
    pub(in crate::receipt) charset: Charset,
    /// A macro is being defined.
    pub(in crate::receipt) is_recorded: bool,
}

impl State {
    fn new(language: Language, encoding: Encoding) -> Self {
        Self {
            language,
            encoding,
            charset: Charset::new(language),
            sent: Vec::new(),
            stored: Stored::Nothing,
            is_in_line: false,
            fed: Fed::default(),
        }
    }

    /// Returns the command that the stream last sent for a setting.
    pub(super) fn sent(&self, setting: Setting) -> Option<&Sent> {
        self.sent.iter().rfind(|sent| sent.setting == setting)
    }

    fn keep(&mut self, setting: Setting, command: &[u8]) {
        let is_doubtful = setting.is_for_line_begin() && self.is_in_line;
        let Some(new) = Sent::new(setting, command, is_doubtful) else {
            return;
        };
        // Lengths that were set before keep the units that they were set in.
        if setting != Setting::Units {
            self.sent.retain(|sent| sent.setting != setting);
        }
        self.sent.push(new);
        self.sent.dedup_by(|after, before| {
            let both = after.setting == Setting::Units && before.setting == Setting::Units;
            if both {
                *before = *after;
            }
            both
        });
    }

    fn feed_lines(&mut self, lines: u32) {
        self.is_in_line = false;
        match self.fed.line_units {
            Some(units) => self.fed.add_units(lines.saturating_mul(units.into())),
            None => self.fed.lines = self.fed.lines.saturating_add(lines),
        }
    }

    fn print(&mut self) {
        self.fed.clear();
    }
}

impl Fed {
    fn add_units(&mut self, units: u32) {
        self.units = self.units.saturating_add(units);
    }

    fn clear(&mut self) {
        *self = Self {
            line_units: self.line_units,
            ..Self::default()
        };
    }
}

impl Printer {
    pub(in crate::receipt) fn new(language: Language, encoding: Encoding) -> Self {
        Self {
            state: State::new(language, encoding),
            found: Vec::new(),
            is_page: false,
            is_raster: false,
            is_addressed: true,
            is_shared: false,
            is_slip: false,
            doubtful_to: None,
            run: (0, 0),
            is_running: false,
            header: Vec::new(),
        }
    }

    /// Goes over to the other dialect, of which nothing was read so far. What is known is all there was
    /// if `from_start`.
    pub(in crate::receipt) fn turn(self, from_start: bool) -> Self {
        Self {
            found: self.found,
            doubtful_to: (!from_start).then_some(0),
            ..Self::new(self.state.language.other(), self.state.encoding)
        }
    }

    /// Hands out the cuts that were found since.
    pub(in crate::receipt) fn take_found(&mut self) -> Vec<FoundCut> {
        std::mem::take(&mut self.found)
    }

    /// Takes printable bytes.
    pub(in crate::receipt) fn take_text(&mut self, run: &[u8]) {
        if self.is_page {
            return;
        }
        self.state.is_in_line = true;
        if run.iter().any(|&b| b != b' ') {
            self.state.print();
        }
    }

    /// Takes a whole command that brought no payload.
    pub(in crate::receipt) fn take(&mut self, command: &[u8], effect: &Effect, place: Place) {
        if let Effect::Addressed(printer) = *effect {
            self.is_addressed = printer;
            self.is_shared = printer && command.get(2).is_some_and(|n| n & 2 != 0);
        }
        let is_dots = self.is_raster && command.first() != Some(&ESC);
        if !self.is_addressed || is_dots {
            return;
        }
        if let (Language::EscPos, [ESC, b'c', b'0', n]) = (self.state.language, command) {
            self.is_slip = n & SLIP != 0;
        }
        if let Some(setting) = Setting::of(self.state.language, command) {
            self.state.keep(setting, command);
        }
        match *effect {
            Effect::LineFeed => self.feed(|state| state.feed_lines(1)),
            Effect::FeedLines(n) => self.feed(|state| state.feed_lines(n.into())),
            Effect::FeedUnits(n) => self.feed(|state| {
                state.is_in_line = false;
                let units = u32::try_from(n).unwrap_or(0);
                match command {
                    [ESC, b'I', ..] => {
                        state.fed.small_units = state.fed.small_units.saturating_add(units);
                    }
                    _ => state.fed.add_units(units),
                }
            }),
            Effect::LineSpacing(n) => self.state.fed.line_units = n,
            Effect::Tab | Effect::Column(_) | Effect::Shift(_) => {
                self.state.is_in_line |= !self.is_page;
            }
            Effect::Page(step) => self.page_step(step),
            Effect::Logo | Effect::Code(..) | Effect::StoredCode(_) => self.print(),
            Effect::Cut => self.cut(command, place),
            Effect::Init => self.init(place.ends_at),
            Effect::Raster(on) => {
                self.is_raster = on;
                self.print();
            }
            Effect::MacroRun(_) if !self.is_running => {
                self.run = (place.begins_at, place.ends_at);
            }
            Effect::Setting
            | Effect::MotionUnits(..)
            | Effect::CarriageReturn
            | Effect::TabStops(_)
            | Effect::Kick
            | Effect::CodePage(_)
            | Effect::Kanji(_)
            | Effect::International(_)
            | Effect::Utf8(_)
            | Effect::PrintMode(_)
            | Effect::Size(_)
            | Effect::Font(_)
            | Effect::Pitch(_)
            | Effect::Spacing(_)
            | Effect::Addressed(_)
            | Effect::MacroMark
            | Effect::MacroRun(_)
            | Effect::ForeignMark
            | Effect::Unknown => {}
        }
    }

    /// The macro of the last command begins to run, or has run.
    pub(in crate::receipt) fn set_running(&mut self, is_running: bool) {
        self.is_running = is_running;
    }

    /// A payload begins with this header.
    pub(in crate::receipt) fn begin_payload(&mut self, header: &[u8]) {
        self.header.clear();
        let kept = header.get(..HEADER_BYTES).unwrap_or(header);
        self.header.extend_from_slice(kept);
    }

    /// A payload ended; `body` is its beginning, and all of it if `is_whole`.
    pub(in crate::receipt) fn end_payload(
        &mut self,
        kind: &PayloadKind,
        body: &[u8],
        is_whole: bool,
    ) {
        let header = self.header.as_slice();
        self.state.stored.take(kind, header, body, is_whole);
        match kind {
            PayloadKind::Image { .. } => {
                // Bit images stand on a line like text, the others on their own.
                let is_in_line = matches!(header, [ESC, b'*' | b'K' | b'L' | b'X' | b'k', ..]);
                self.state.is_in_line |= is_in_line && !self.is_page;
                self.print();
            }
            PayloadKind::Graphics | PayloadKind::Barcode(_) => self.print(),
            PayloadKind::Code2d => {
                if matches!(body, [_, 81, ..]) {
                    self.print();
                }
                self.keep_payload(body, is_whole);
            }
            PayloadKind::Ignored => {
                // `GS ( M` loads settings that the printer holds.
                if matches!((header, body), ([GS, b'(', b'M', ..], [2 | 50, ..])) {
                    self.doubtful_to = self.doubtful_to.or(Some(0));
                }
                self.keep_payload(body, is_whole);
            }
            PayloadKind::Stored(_)
            | PayloadKind::StoredFirst(..)
            | PayloadKind::StoredMore(..)
            | PayloadKind::Part(_) => {}
        }
    }

    /// The stream left a command unfinished that the printer goes on with, at least up to here.
    pub(in crate::receipt) fn distrust(&mut self, position: u64) {
        self.doubtful_to = self.doubtful_to.max(Some(position));
    }

    fn keep_payload(&mut self, body: &[u8], is_whole: bool) {
        if !is_whole || body.len() > HEADER_BYTES {
            return;
        }
        let command = [self.header.as_slice(), body].concat();
        if let Some(setting) = Setting::of(self.state.language, &command) {
            self.state.keep(setting, &command);
        }
    }

    fn feed(&mut self, feed: impl FnOnce(&mut State)) {
        if !self.is_page {
            feed(&mut self.state);
        }
    }

    fn print(&mut self) {
        if !self.is_page {
            self.state.print();
        }
    }

    fn page_step(&mut self, step: PageStep) {
        match step {
            PageStep::Begin => {
                self.is_page = true;
                self.state.is_in_line = false;
            }
            PageStep::Print | PageStep::PrintAndEnd => {
                if self.is_page {
                    self.state.print();
                }
                self.is_page &= step == PageStep::Print;
                self.state.is_in_line = false;
            }
            PageStep::End => self.is_page = false,
            PageStep::Area { .. }
            | PageStep::Direction(_)
            | PageStep::Down(_)
            | PageStep::DownBy(_)
            | PageStep::Cancel => {}
        }
    }

    /// The printer forgets its settings; what stands on the line may stay.
    fn init(&mut self, position: u64) {
        let State {
            language,
            encoding,
            is_in_line,
            mut fed,
            ..
        } = self.state;
        fed.line_units = None;
        self.state = State {
            is_in_line,
            fed,
            ..State::new(language, encoding)
        };
        self.is_page = false;
        self.is_raster = false;
        self.is_shared = false;
        self.is_slip = false;
        if self.doubtful_to.is_some_and(|to| position > to) {
            self.doubtful_to = None;
        }
    }

    fn cut(&mut self, command: &[u8], place: Place) {
        let (run_begins_at, run_ends_at) = self.run;
        let is_of_macro = self.is_running || place.begins_at < run_ends_at;
        let is_obstructed = is_of_macro
            || place.is_recorded
            || self.is_page
            || self.is_raster
            || self.is_shared
            || self.is_slip
            || self.doubtful_to.is_some()
            || self.state.stored == Stored::TooLong;
        let state = (!is_obstructed).then(|| {
            let mut state = Box::new(self.state.clone());
            state.charset = place.charset;
            if feeds_itself(self.state.language, command) {
                state.fed.clear();
            }
            state
        });
        self.found.push(FoundCut {
            begins_at: if is_of_macro {
                run_begins_at
            } else {
                place.begins_at
            },
            ends_at: if self.is_running {
                run_ends_at
            } else {
                place.ends_at
            },
            state,
        });
        self.state.is_in_line = false;
        self.state.print();
    }
}

/// Whether a cut moves the paper beyond the cutter by itself.
fn feeds_itself(language: Language, cut: &[u8]) -> bool {
    match language {
        Language::EscPos => !matches!(*cut, [ESC, b'i' | b'm'] | [GS, b'V', 0 | 1 | 48 | 49]),
        Language::Star => !matches!(*cut, [ESC, b'd', 0 | 1 | b'0' | b'1']),
    }
}
