//! One line of the paper: pieces of text at dots, rendered as columns of characters.
//!
//! A character of font A is 12 dots wide, of the others 9; a two-byte character takes two. A piece
//! goes to column dot / width, and pieces are read from left to right whatever their order in the
//! stream. Spaces fill the gap, one at least wherever the print position was moved.

use super::super::codepage::{Charset, Encoding};

/// Longest line in bytes as sent; a longer one is broken here, as the paper would.
const LINE_BYTES_MAX: usize = 4_096;
/// Most pieces of one line; a further one breaks it.
const PIECES_MAX: usize = 256;
/// Column beyond which no gap is filled: the widest paper has 64 columns of font B.
const COLUMNS_MAX: u32 = 132;
const FONT_A_DOTS: u32 = 12;
const FONT_B_DOTS: u32 = 9;
/// What units of motion are turned into dots by.
const DOTS_AN_INCH: i64 = 203;
/// The stops that a printer starts with, in columns.
const DEFAULT_TAB_COLUMNS: u32 = 8;

/// Text that stands at a dot.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) dot: u32,
    pub(super) end: u32,
    pub(super) text: String,
}

/// A line under way, and the settings that decide where its text stands.
#[derive(Debug)]
pub(super) struct LineBuilder {
    encoding: Encoding,
    cell_dots: u32,
    widening: u32,
    /// Dots of space right of each character.
    spacing: u32,
    /// Units of motion to the inch; nothing where a unit is a dot.
    units: Option<u8>,
    stops: Option<Vec<u8>>,
    dot: u32,
    bytes: usize,
    /// Text as sent that is not decoded yet, where it began, and under which state.
    raw: Vec<u8>,
    raw_dot: u32,
    charset: Charset,
    pieces: Vec<Piece>,
    /// The narrowest cell used on this line: what its columns are counted in.
    column_dots: u32,
}

impl LineBuilder {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            cell_dots: FONT_A_DOTS,
            widening: 1,
            spacing: 0,
            units: None,
            stops: None,
            dot: 0,
            bytes: 0,
            raw: Vec::new(),
            raw_dot: 0,
            charset: Charset::default(),
            pieces: Vec::new(),
            column_dots: FONT_A_DOTS,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= LINE_BYTES_MAX || self.pieces.len() >= PIECES_MAX
    }

    /// Appends text as sent.
    pub(super) fn text(&mut self, bytes: &[u8], charset: Charset) {
        if charset != self.charset {
            self.decode();
            self.charset = charset;
        }
        if self.raw.is_empty() {
            self.raw_dot = self.dot;
        }
        self.raw.extend_from_slice(bytes);
        self.bytes += bytes.len();
        let cell_dots = self.cell_dots + self.spacing;
        self.column_dots = self.column_dots.min(cell_dots);
        let cells = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let dots = cells.saturating_mul(cell_dots * self.widening);
        self.dot = self.dot.saturating_add(dots);
    }

    /// Returns where the next character goes.
    pub(super) fn dot(&self) -> u32 {
        self.dot
    }

    /// Takes the text out that stands here so far; the print position stays. Returns the narrowest
    /// cell beside it, which its columns are counted in.
    pub(super) fn take_pieces(&mut self) -> (Vec<Piece>, u32) {
        self.decode();
        self.bytes = 0;
        let column_dots = std::mem::replace(&mut self.column_dots, FONT_A_DOTS);
        (std::mem::take(&mut self.pieces), column_dots)
    }

    /// Goes back to the line's begin.
    pub(super) fn return_to_begin(&mut self) {
        self.decode();
        self.dot = 0;
    }

    pub(super) fn set_units(&mut self, units: u8) {
        self.units = (units > 0).then_some(units);
    }

    pub(super) fn set_spacing(&mut self, units: u8) {
        self.spacing = self.dots_of(i64::from(units)).try_into().unwrap_or(0);
    }

    fn dots_of(&self, units: i64) -> i64 {
        match self.units {
            Some(an_inch) => units * DOTS_AN_INCH / i64::from(an_inch),
            None => units,
        }
    }

    pub(super) fn move_to(&mut self, dot: u16) {
        self.decode();
        self.dot = self.dots_of(dot.into()).try_into().unwrap_or(0);
    }

    pub(super) fn move_by(&mut self, dots: i16) {
        self.decode();
        let dot = i64::from(self.dot) + self.dots_of(dots.into());
        self.dot = dot.clamp(0, u32::MAX.into()).try_into().unwrap_or(0);
    }

    pub(super) fn tab(&mut self) {
        self.decode();
        let column = self.dot / self.cell_dots;
        let next = match &self.stops {
            Some(stops) => stops.iter().map(|&s| u32::from(s)).find(|&s| s > column),
            None => Some((column / DEFAULT_TAB_COLUMNS + 1) * DEFAULT_TAB_COLUMNS),
        };
        // Beyond the last stop a printer ignores the tab; a gap still keeps the columns apart.
        self.dot = next.unwrap_or(column + 1).saturating_mul(self.cell_dots);
    }

    pub(super) fn set_tab_stops(&mut self, stops: &[u8]) {
        self.stops = Some(stops.to_vec());
    }

    pub(super) fn print_mode(&mut self, n: u8) {
        self.font(n & 1);
        self.widening = if n & 0x20 == 0 { 1 } else { 2 };
    }

    pub(super) fn size(&mut self, n: u8) {
        self.widening = u32::from(n >> 4 & 7) + 1;
    }

    pub(super) fn font(&mut self, n: u8) {
        self.cell_dots = if matches!(n, 0 | b'0') {
            FONT_A_DOTS
        } else {
            FONT_B_DOTS
        };
    }

    pub(super) fn pitch(&mut self, dots: u8) {
        self.cell_dots = u32::from(dots).max(1);
    }

    /// Forgets the settings, as `ESC @` does; what stands on the line stays.
    pub(super) fn reset(&mut self) {
        self.decode();
        self.cell_dots = FONT_A_DOTS;
        self.widening = 1;
        self.spacing = 0;
        self.units = None;
        self.stops = None;
    }

    /// Returns the line as text and starts the next one.
    pub(super) fn take(&mut self) -> String {
        let (pieces, column_dots) = self.take_pieces();
        self.dot = 0;
        compose(pieces, column_dots)
    }

    fn decode(&mut self) {
        if self.raw.is_empty() {
            return;
        }
        let text = self.charset.decode(&self.raw, self.encoding);
        self.raw.clear();
        self.pieces.push(Piece {
            dot: self.raw_dot,
            end: self.dot,
            text,
        });
    }
}

/// Renders pieces as a line, whatever their order, in columns of so many dots.
pub(super) fn compose(mut pieces: Vec<Piece>, column_dots: u32) -> String {
    pieces.sort_by_key(|piece| piece.dot);
    let mut line = String::new();
    let mut columns = 0;
    let mut end = 0;
    for piece in &pieces {
        let column = (piece.dot / column_dots).min(COLUMNS_MAX);
        let mut gap = column.saturating_sub(columns);
        if piece.dot == end {
            // Wide characters print broader than they read; what follows them is no column.
            gap = 0;
        } else if gap == 0 && !line.is_empty() && !line.ends_with(' ') {
            gap = 1;
        }
        line.extend(std::iter::repeat_n(' ', gap as usize));
        line.push_str(&piece.text);
        columns += gap + width(&piece.text);
        end = piece.end;
    }
    line.truncate(line.trim_end().len());
    line
}

/// Returns how many columns a text takes: two for the characters of East Asia.
fn width(text: &str) -> u32 {
    text.chars()
        .map(|c| match c {
            '\u{1100}'..='\u{115F}'
            | '\u{2E80}'..='\u{A4CF}'
            | '\u{AC00}'..='\u{D7A3}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{FE30}'..='\u{FE6F}'
            | '\u{FF00}'..='\u{FF60}'
            | '\u{FFE0}'..='\u{FFE6}'
            | '\u{20000}'..='\u{3FFFD}' => 2,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> LineBuilder {
        LineBuilder::new(Encoding::default())
    }

    fn text(line: &mut LineBuilder, bytes: &[u8]) {
        line.text(bytes, Charset::default());
    }

    #[test]
    fn columns_set_by_dots_become_spaces() {
        let mut line = line();
        text(&mut line, b"Milk");
        line.move_to(240);
        text(&mut line, b"2");
        line.move_by(12 * 5);
        text(&mut line, b"3.00");
        assert_eq!(line.take(), "Milk                2     3.00");
        text(&mut line, b"next");
        assert_eq!(line.take(), "next");
    }

    #[test]
    fn pieces_are_read_from_left_to_right_whatever_their_order() {
        let mut line = line();
        line.move_to(120);
        text(&mut line, b"3.00");
        line.move_to(0);
        text(&mut line, b"Milk");
        assert_eq!(line.take(), "Milk      3.00");
    }

    #[test]
    fn touching_columns_stay_apart() {
        let mut line = line();
        text(&mut line, b"A long description");
        line.move_to(120);
        text(&mut line, b"3.00");
        assert_eq!(line.take(), "A long description 3.00");
    }

    #[test]
    fn double_width_counts_twice_for_what_is_placed_behind_it() {
        let mut line = line();
        line.size(0x11);
        text(&mut line, b"TOTAL");
        line.size(0);
        line.move_to(12 * 12);
        text(&mut line, b"1.00");
        assert_eq!(line.take(), "TOTAL       1.00");
    }

    #[test]
    fn tabs_go_to_the_stops_that_were_set_or_to_every_eighth_column() {
        let mut line = line();
        text(&mut line, b"Bananas");
        line.tab();
        text(&mut line, b"2.99");
        assert_eq!(line.take(), "Bananas 2.99");
        line.set_tab_stops(&[4, 12]);
        text(&mut line, b"ab");
        line.tab();
        text(&mut line, b"c");
        line.tab();
        text(&mut line, b"d");
        assert_eq!(line.take(), "ab  c       d");
    }

    #[test]
    fn a_page_switched_in_mid_line_adds_no_space() {
        let mut line = line();
        text(&mut line, b"Total 12.50 ");
        let euro = Charset {
            page: Some(19),
            ..Charset::default()
        };
        line.text(b"\xd5", euro);
        assert_eq!(line.take(), "Total 12.50 €");
    }

    #[test]
    fn a_far_column_fills_no_endless_gap() {
        let mut line = line();
        line.move_to(u16::MAX);
        text(&mut line, b"x");
        assert_eq!(line.take().len(), COLUMNS_MAX as usize + 1);
    }
}
