//! Text of a Star stream at best effort, for a person to look at; nothing is concluded from it.

use super::super::codepage::Charset;
use super::Item;
use super::is_text;

const ESC: u8 = 0x1B;
const GS: u8 = 0x1D;
const RS: u8 = 0x1E;
/// Longest run handed out at once.
const RUN_BYTES: usize = 1024;

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Text,
    /// Behind ESC.
    Escape,
    /// Behind ESC GS or ESC RS: a letter and a parameter are due.
    Extended,
    /// So many parameters are due.
    Parameters(u8),
}

/// Takes the printable runs out of Star's commands.
#[derive(Debug)]
pub(super) struct StarText {
    place: Place,
    run: Vec<u8>,
}

impl StarText {
    /// Starts behind a mark; `in_prefix` where the mark was the begin of a command.
    pub(super) fn new(in_prefix: bool) -> Self {
        Self {
            place: if in_prefix {
                Place::Extended
            } else {
                Place::Text
            },
            run: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, byte: u8, sink: &mut impl FnMut(Item<'_>)) {
        match self.place {
            Place::Escape => {
                self.place = match byte {
                    GS | RS => Place::Extended,
                    b'i' => Place::Parameters(2),
                    b'E' | b'F' | b'4' | b'5' | b'@' => Place::Text,
                    _ => Place::Parameters(1),
                };
            }
            Place::Extended => self.place = Place::Parameters(1),
            Place::Parameters(due) => {
                self.place = if due > 1 {
                    Place::Parameters(due - 1)
                } else {
                    Place::Text
                };
            }
            Place::Text if is_text(byte) => {
                self.run.push(byte);
                if self.run.len() == RUN_BYTES {
                    self.flush(sink);
                }
            }
            Place::Text => {
                self.flush(sink);
                match byte {
                    ESC => self.place = Place::Escape,
                    0x0A => sink(Item::LineFeed),
                    _ => {}
                }
            }
        }
    }

    pub(super) fn finish(&mut self, sink: &mut impl FnMut(Item<'_>)) {
        self.flush(sink);
        self.place = Place::Text;
    }

    fn flush(&mut self, sink: &mut impl FnMut(Item<'_>)) {
        if self.run.is_empty() {
            return;
        }
        sink(Item::Text {
            bytes: &self.run,
            charset: Charset::default(),
        });
        self.run.clear();
    }
}
