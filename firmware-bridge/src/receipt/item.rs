//! What a receipt stream consists of once its commands are read.

use super::codepage::Charset;
use super::symbol::Symbology;

/// One piece of a receipt stream, in stream order. Borrows from the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// Printable bytes and the state that says what characters they are.
    Text {
        /// Bytes as sent, none below 0x20.
        bytes: &'a [u8],
        /// What the stream has said about characters so far.
        charset: Charset,
    },
    /// Paper moves on by a line: LF.
    LineFeed,
    /// Paper moves on by so many lines; the line under way is printed.
    FeedLines(u8),
    /// Paper moves on by so many units of motion, back if negative; the line under way is printed.
    FeedUnits(i16),
    /// Units from one line to the next; nothing means the printer's default.
    LineSpacing(Option<u8>),
    /// `GS P`: units of motion to the inch, across and along; 0 means the printer's default.
    MotionUnits(u8, u8),
    /// CR: a line's end for some drivers, nothing beside a LF.
    CarriageReturn,
    /// HT: on to the next stop.
    Tab,
    /// The stops of `ESC D`, in columns; none means that there are none.
    TabStops(&'a [u8]),
    /// On to this unit of the line.
    Column(u16),
    /// On by so many units, back if negative.
    Shift(i16),
    /// `ESC !`: font (bit 0) and double width (bit 5).
    PrintMode(u8),
    /// `GS !`: the upper four bits hold the width less one.
    Size(u8),
    /// `ESC M`: font A (0, 48) or another.
    Font(u8),
    /// A character takes so many dots from now on.
    Pitch(u8),
    /// `ESC SP`: so many units of space right of each character.
    Spacing(u8),
    /// Page mode.
    Page(PageStep),
    /// The paper is cut.
    Cut,
    /// The drawer is opened.
    DrawerKick,
    /// An image; its dots are not kept.
    Image {
        /// Width and height in dots; nothing where the printer holds the image.
        dots: Option<(u32, u32)>,
    },
    /// A barcode or a two-dimensional code that the printer draws from its content.
    Code {
        /// Symbology.
        kind: Symbology,
        /// Content as sent.
        data: &'a [u8],
        /// What characters the content consists of.
        charset: Charset,
    },
    /// The printer forgets its settings.
    Init,
    /// A command that this dialect does not have; counted.
    Unknown,
    /// So many bytes could not be read.
    Skipped(u64),
}

/// What is done with a page under way. Lengths are in units of motion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageStep {
    /// What follows is placed on a page (`ESC L`).
    Begin,
    /// The area that is written to.
    Area {
        /// Left edge.
        x: u16,
        /// Upper edge.
        y: u16,
        /// Width.
        width: u16,
        /// Height.
        height: u16,
    },
    /// Which way text runs (`ESC T`): 0 to the right, 1 upwards, 2 upside down, 3 downwards.
    Direction(u8),
    /// On to this height within the area.
    Down(u16),
    /// Down by so many units, up if negative.
    DownBy(i16),
    /// The area's content is forgotten (CAN).
    Cancel,
    /// The page is printed and kept (`ESC FF`).
    Print,
    /// A form feed: prints the page and leaves page mode; feeds paper where there is no page.
    PrintAndEnd,
    /// The page is forgotten and lines are printed again (`ESC S`).
    End,
}
