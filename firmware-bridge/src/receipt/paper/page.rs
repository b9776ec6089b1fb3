//! Page mode: what is placed on a page by x and y, read as lines from top to bottom once it is printed.
//!
//! Text may run in four directions; each is read as a person would who turns the paper, what runs to
//! the right first. Heights are in units of motion as sent; a line feed takes a sixth of an inch of
//! the 360 units that Epson's printers start with, unless `ESC 3` or `GS P` say otherwise.
//!
//! Deliberately absent: the edges of areas. Text that runs beyond one is kept, since it is better read
//! than lost.

use super::super::item::PageStep;
use super::line::{self, Piece};

/// Most pieces of a page; where more are placed, the page is printed as it stands.
const PIECES_MAX: usize = 1_024;
/// Most bytes of text of a page; where there is more, the page is printed as it stands.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Units within which two heights are one line: half a character of 24 dots.
const LINE_UNITS: i64 = 12;
/// Vertical units to the inch where `GS P` sets none.
const UNITS_AN_INCH: i64 = 360;

/// What stands somewhere on a page.
#[derive(Debug, Clone)]
pub(super) enum Mark {
    Text(String),
    Code(String),
    Image,
}

#[derive(Debug, Clone)]
struct Placed {
    /// Area and direction, so that CAN forgets what belongs to it.
    area: Area,
    direction: u8,
    /// Distance from the top and from the left as seen by a reader of this direction.
    line: i64,
    dot: i64,
    end: i64,
    column_dots: u32,
    mark: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Area {
    x: i64,
    y: i64,
    width: i64,
    height: i64,
}

/// What a printed page consists of, top down.
#[derive(Debug)]
pub(super) enum Printed {
    Line(String),
    Code(String),
    Image,
}

/// The page under way.
#[derive(Debug, Default)]
pub(super) struct Page {
    area: Area,
    direction: u8,
    /// Height within the area, in the direction's own frame.
    down: i64,
    placed: Vec<Placed>,
    bytes: usize,
}

/// Returns the units that a line feed takes: `spacing` of `ESC 3`, `units` to the inch of `GS P`.
pub(super) fn line_units(spacing: Option<u8>, units: Option<u8>) -> i64 {
    match (spacing, units) {
        (Some(n), _) => n.into(),
        (None, Some(units)) => i64::from(units) / 6,
        (None, None) => UNITS_AN_INCH / 6,
    }
}

impl Page {
    pub(super) fn is_full(&self) -> bool {
        self.placed.len() >= PIECES_MAX || self.bytes >= TEXT_BYTES_MAX
    }

    /// Places pieces of text at the present height.
    pub(super) fn place(&mut self, pieces: Vec<Piece>, column_dots: u32) {
        for piece in pieces {
            self.bytes += piece.text.len();
            let (dot, end) = (i64::from(piece.dot), i64::from(piece.end));
            self.put(dot, end, column_dots, Mark::Text(piece.text));
        }
    }

    /// Places a code or an image.
    pub(super) fn mark(&mut self, dot: u32, mark: Mark) {
        if let Mark::Code(text) = &mark {
            self.bytes += text.len();
        }
        self.put(dot.into(), dot.into(), 1, mark);
    }

    fn put(&mut self, dot: i64, end: i64, column_dots: u32, mark: Mark) {
        let Area {
            x,
            y,
            width,
            height,
        } = self.area;
        let (line, left) = match self.direction {
            0 => (y + self.down, x),
            1 => (x + self.down, -(y + height)),
            2 => (-(y + height) + self.down, -(x + width)),
            _ => (-(x + width) + self.down, y),
        };
        self.placed.push(Placed {
            area: self.area,
            direction: self.direction,
            line,
            dot: left + dot,
            end: left + end,
            column_dots,
            mark,
        });
    }

    pub(super) fn feed(&mut self, units: i64) {
        self.down = self.down.saturating_add(units);
    }

    /// Does what concerns the page alone; returns whether the print position goes back to the left.
    pub(super) fn step(&mut self, step: PageStep) -> bool {
        match step {
            PageStep::Area {
                x,
                y,
                width,
                height,
            } => {
                self.area = Area {
                    x: x.into(),
                    y: y.into(),
                    width: width.into(),
                    height: height.into(),
                };
                self.down = 0;
                true
            }
            PageStep::Direction(direction) => {
                self.direction = direction;
                self.down = 0;
                true
            }
            PageStep::Down(units) => {
                self.down = units.into();
                false
            }
            PageStep::DownBy(units) => {
                self.feed(units.into());
                false
            }
            PageStep::Cancel => {
                let area = self.area;
                self.placed.retain(|placed| placed.area != area);
                self.down = 0;
                true
            }
            PageStep::Begin | PageStep::Print | PageStep::PrintAndEnd | PageStep::End => false,
        }
    }

    /// Returns the page as it would be read off the paper.
    pub(super) fn read(&self) -> Vec<Printed> {
        let mut placed: Vec<&Placed> = self.placed.iter().collect();
        placed.sort_by_key(|p| (p.direction, p.line, p.dot));
        let mut printed = Vec::new();
        let mut rest = placed.as_slice();
        while let Some(first) = rest.first() {
            let length = rest
                .iter()
                .take_while(|p| p.direction == first.direction && p.line - first.line < LINE_UNITS)
                .count();
            let (line, after) = rest.split_at(length);
            let left = match first.direction {
                0 => 0,
                direction => self.left_of(direction),
            };
            read_line(line, left, &mut printed);
            rest = after;
        }
        printed
    }

    fn left_of(&self, direction: u8) -> i64 {
        let same = self.placed.iter().filter(|p| p.direction == direction);
        same.map(|p| p.dot).min().unwrap_or(0)
    }

    /// Forgets what is placed.
    pub(super) fn clear(&mut self) {
        self.placed.clear();
        self.bytes = 0;
        self.down = 0;
    }
}

fn read_line(placed: &[&Placed], left: i64, printed: &mut Vec<Printed>) {
    let mut pieces = Vec::new();
    let mut column_dots = u32::MAX;
    for one in placed {
        match &one.mark {
            Mark::Text(text) => {
                column_dots = column_dots.min(one.column_dots);
                pieces.push(Piece {
                    dot: u32::try_from(one.dot - left).unwrap_or(0),
                    end: u32::try_from(one.end - left).unwrap_or(0),
                    text: text.clone(),
                });
            }
            Mark::Code(text) => printed.push(Printed::Code(text.clone())),
            Mark::Image => printed.push(Printed::Image),
        }
    }
    if !pieces.is_empty() {
        printed.push(Printed::Line(line::compose(pieces, column_dots)));
    }
}
