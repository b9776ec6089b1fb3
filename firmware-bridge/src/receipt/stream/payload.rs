//! A payload under way: counted down, not held but for its beginning and its end.

use std::collections::VecDeque;

use super::super::command::PayloadKind;
use super::super::item::Item;
use super::{CODE_BYTES, RESCAN_BYTES};

/// What of `GS ( L` says which function it is and how large the image.
const GRAPHICS_HEAD_BYTES: usize = 10;

#[derive(Debug)]
pub(super) struct Payload {
    pub(super) kind: PayloadKind,
    pub(super) remaining: u64,
    pub(super) swallowed: u64,
    /// The payload's beginning, as far as its kind has use for it.
    pub(super) head: Vec<u8>,
    pub(super) head_max: usize,
    /// The payload's end so far.
    pub(super) tail: VecDeque<u8>,
}

impl Payload {
    /// Starts with a header's word for what follows.
    pub(super) fn new(kind: PayloadKind, length: u64) -> Self {
        let head_max = match kind {
            PayloadKind::Graphics => GRAPHICS_HEAD_BYTES,
            PayloadKind::Code2d
            | PayloadKind::Stored(_)
            | PayloadKind::StoredFirst(..)
            | PayloadKind::StoredMore(..) => CODE_BYTES,
            PayloadKind::Barcode(_) => usize::from(u8::MAX),
            PayloadKind::Ignored | PayloadKind::Image { .. } | PayloadKind::Part(_) => 0,
        };
        Self {
            kind,
            remaining: length,
            swallowed: 0,
            head: Vec::new(),
            head_max,
            tail: VecDeque::new(),
        }
    }

    pub(super) fn take(&mut self, part: &[u8]) {
        let room = self.head_max - self.head.len();
        self.head.extend_from_slice(&part[..room.min(part.len())]);
        self.remaining -= part.len() as u64;
        self.swallowed += part.len() as u64;
        let kept = &part[part.len().saturating_sub(RESCAN_BYTES)..];
        let excess = (self.tail.len() + kept.len()).saturating_sub(RESCAN_BYTES);
        self.tail.drain(..excess);
        self.tail.extend(kept);
    }

    pub(super) fn announce_image(&self, sink: &mut impl FnMut(Item<'_>)) {
        match self.kind {
            PayloadKind::Image { width, height } => sink(Item::Image {
                dots: Some((width, height)),
            }),
            PayloadKind::Graphics => match *self.head.as_slice() {
                // Functions 112 and 113 bring an image, 69 and 85 print one that the printer holds.
                [_, 112 | 113, _, _, _, _, xl, xh, yl, yh] => sink(Item::Image {
                    dots: Some((
                        u16::from_le_bytes([xl, xh]).into(),
                        u16::from_le_bytes([yl, yh]).into(),
                    )),
                }),
                [_, 69 | 85, ..] => sink(Item::Image { dots: None }),
                _ => {}
            },
            PayloadKind::Ignored
            | PayloadKind::Code2d
            | PayloadKind::Barcode(_)
            | PayloadKind::Stored(_)
            | PayloadKind::StoredFirst(..)
            | PayloadKind::StoredMore(..)
            | PayloadKind::Part(_) => {}
        }
    }
}
