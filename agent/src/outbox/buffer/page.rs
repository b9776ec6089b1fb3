//! A page of the buffer: what stands at [`PAGE_PLACES`] places that follow one another.
//!
//! Sled pays for each key with some two hundred bytes of memory, a dozen microseconds and its log; an
//! index entry has 27 bytes. So they travel in pages.
//!
//! **Layout of a page.** For each entry, in order of places: its place within the page (1 byte), a tag (1),
//! the chain after it (16), and then
//! - [`TAG_NEAR`], an event in the segment of the event before it: its class (1), how far behind that one's
//!   record its own begins (4), the length of its sealed payload (4);
//! - [`TAG_FAR`], any other event: its class (1), its segment's number (8), the record's offset in it (8),
//!   the length of its sealed payload (4);
//! - [`TAG_GAP`], at the last lost event: the first one (8), the length of the reason (2), the reason.
//!
//! Numbers are big endian.

use tillbind_protocol::chain::{CHAIN_BYTES, ChainHash, Mark};
use tillbind_protocol::ids::Seq;

use crate::outbox::journal::{Address, Gap};
use crate::outbox::worth::Class;

/// Places of a page: so many usual entries that a page is about as long as one of the disk.
pub(super) const PAGE_PLACES: u64 = 128;

/// An event in the segment of the event before it.
const TAG_NEAR: u8 = 1;
/// An event with its whole address.
const TAG_FAR: u8 = 2;
/// A gap.
const TAG_GAP: u8 = 3;

/// What the buffer holds at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::outbox) enum Entry {
    Event {
        mark: Mark,
        class: Class,
        at: Address,
    },
    /// Stands at its last place.
    Gap(Gap),
}

impl Entry {
    pub(in crate::outbox) fn mark(&self) -> Mark {
        match self {
            Self::Event { mark, .. } => *mark,
            Self::Gap(gap) => gap.until,
        }
    }

    pub(super) fn seq(&self) -> Seq {
        self.mark().seq
    }
}

/// The number of a page, in the order of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::outbox) struct PageNumber(pub(in crate::outbox) u64);

impl PageNumber {
    /// Returns the page that a place belongs to.
    pub(super) fn of(seq: Seq) -> Self {
        Self(seq.0 / PAGE_PLACES)
    }

    pub(super) fn of_key(key: &[u8]) -> Option<Self> {
        Some(Self(u64::from_be_bytes(key.try_into().ok()?)))
    }

    pub(super) fn key(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Returns its last place; none for a number that no place has.
    pub(super) fn last(self) -> Option<Seq> {
        let first = self.0.checked_mul(PAGE_PLACES)?;
        first.checked_add(PAGE_PLACES - 1).map(Seq)
    }

    fn place(self, index: u8) -> Option<Seq> {
        if u64::from(index) >= PAGE_PLACES {
            return None;
        }
        let first = self.0.checked_mul(PAGE_PLACES)?;
        first.checked_add(u64::from(index)).map(Seq)
    }
}

/// The entries of one page, in order of places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::outbox) struct Page {
    pub(super) number: PageNumber,
    pub(in crate::outbox) entries: Vec<Entry>,
}

impl Page {
    pub(super) fn empty(number: PageNumber) -> Self {
        Self {
            number,
            entries: Vec::new(),
        }
    }

    /// Puts an entry of this page where it belongs, in the place of what stood there.
    pub(super) fn put(&mut self, entry: Entry) {
        let seq = entry.seq();
        match self.entries.last() {
            Some(last) if last.seq() >= seq => {}
            _ => return self.entries.push(entry),
        }
        match self.entries.binary_search_by_key(&seq, Entry::seq) {
            Ok(index) => {
                if let Some(former) = self.entries.get_mut(index) {
                    *former = entry;
                }
            }
            Err(index) => self.entries.insert(index, entry),
        }
    }

    pub(super) fn get(&self, seq: Seq) -> Option<&Entry> {
        let index = self.entries.binary_search_by_key(&seq, Entry::seq).ok()?;
        self.entries.get(index)
    }

    pub(in crate::outbox) fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(self.entries.len() * 28);
        let mut before: Option<Address> = None;
        for entry in &self.entries {
            let mark = entry.mark();
            let index = (mark.seq.0 % PAGE_PLACES) as u8;
            match entry {
                Entry::Event { class, at, .. } => {
                    let step = before.and_then(|before| step(before, *at));
                    value.extend_from_slice(&[index, step.map_or(TAG_FAR, |_| TAG_NEAR)]);
                    value.extend_from_slice(&mark.chain.0);
                    value.push(class.index() as u8);
                    if let Some(step) = step {
                        value.extend_from_slice(&step.to_be_bytes());
                    } else {
                        value.extend_from_slice(&at.segment.to_be_bytes());
                        value.extend_from_slice(&at.offset.to_be_bytes());
                    }
                    value.extend_from_slice(&at.sealed_bytes.to_be_bytes());
                    before = Some(*at);
                }
                Entry::Gap(gap) => {
                    let reason = gap.reason.as_bytes();
                    let length = u16::try_from(reason.len()).unwrap_or(u16::MAX);
                    value.extend_from_slice(&[index, TAG_GAP]);
                    value.extend_from_slice(&mark.chain.0);
                    value.extend_from_slice(&gap.from.0.to_be_bytes());
                    value.extend_from_slice(&length.to_be_bytes());
                    value.extend(reason.iter().take(usize::from(length)));
                }
            }
        }
        value
    }

    /// Reads a page; none if it is none. One without an entry is never written.
    pub(in crate::outbox) fn decode(number: PageNumber, value: &[u8]) -> Option<Self> {
        let mut page = Self::empty(number);
        let mut rest = value;
        let mut before: Option<Address> = None;
        while !rest.is_empty() {
            let [index, tag] = take(&mut rest)?;
            let mark = Mark {
                seq: number.place(index)?,
                chain: ChainHash(take::<CHAIN_BYTES>(&mut rest)?),
            };
            if page
                .entries
                .last()
                .is_some_and(|last| last.seq() >= mark.seq)
            {
                return None;
            }
            let entry = if tag == TAG_GAP {
                let from = Seq(u64::from_be_bytes(take(&mut rest)?));
                let length = usize::from(u16::from_be_bytes(take(&mut rest)?));
                let (reason, behind) = rest.split_at_checked(length)?;
                rest = behind;
                Entry::Gap(Gap {
                    from,
                    until: mark,
                    reason: String::from_utf8_lossy(reason).into_owned(),
                })
            } else {
                let [class] = take(&mut rest)?;
                let (segment, offset) = match tag {
                    TAG_NEAR => {
                        let step = u32::from_be_bytes(take(&mut rest)?);
                        let before = before?;
                        (before.segment, before.offset.checked_add(u64::from(step))?)
                    }
                    TAG_FAR => (
                        u64::from_be_bytes(take(&mut rest)?),
                        u64::from_be_bytes(take(&mut rest)?),
                    ),
                    _ => return None,
                };
                let at = Address {
                    segment,
                    offset,
                    sealed_bytes: u32::from_be_bytes(take(&mut rest)?),
                };
                before = Some(at);
                Entry::Event {
                    mark,
                    class: Class::of_index(class)?,
                    at,
                }
            };
            page.entries.push(entry);
        }
        (!page.entries.is_empty()).then_some(page)
    }
}

/// Returns how far a record lies behind another one of its segment, if it does.
fn step(before: Address, at: Address) -> Option<u32> {
    let behind = at.offset.checked_sub(before.offset)?;
    (at.segment == before.segment)
        .then(|| u32::try_from(behind).ok())
        .flatten()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let event = (
            0..PAGE_PLACES,
            any::<[u8; CHAIN_BYTES]>(),
            0..5_u8,
            0..3_u64,
            any::<u64>(),
            any::<u32>(),
        );
        let event =
            event.prop_map(
                |(place, chain, class, segment, offset, sealed_bytes)| Entry::Event {
                    mark: mark(place, chain),
                    class: Class::of_index(class).unwrap(),
                    at: Address {
                        segment,
                        offset: offset >> (offset % 64),
                        sealed_bytes,
                    },
                },
            );
        let gap = (
            0..PAGE_PLACES,
            any::<[u8; CHAIN_BYTES]>(),
            any::<u64>(),
            ".{0,40}",
        );
        let gap = gap.prop_map(|(place, chain, from, reason)| {
            Entry::Gap(Gap {
                from: Seq(from),
                until: mark(place, chain),
                reason,
            })
        });
        prop_oneof![8 => event, 1 => gap]
    }

    fn mark(place: u64, chain: [u8; CHAIN_BYTES]) -> Mark {
        Mark {
            seq: Seq(7 * PAGE_PLACES + place),
            chain: ChainHash(chain),
        }
    }

    proptest! {
        #[test]
        fn a_page_is_read_as_it_was_written(entries in prop::collection::vec(entry(), 0..200)) {
            let mut page = Page::empty(PageNumber(7));
            for entry in &entries {
                page.put(entry.clone());
            }
            prop_assert!(page.entries.is_sorted_by_key(Entry::seq));
            let last_of = |seq| entries.iter().rfind(|entry| entry.seq() == seq);
            for entry in &page.entries {
                prop_assert_eq!(page.get(entry.seq()), last_of(entry.seq()));
            }
            let again = Page::decode(page.number, &page.encode());
            prop_assert_eq!(again, Some(page).filter(|page| !page.entries.is_empty()));
        }

        #[test]
        fn bytes_that_are_no_page_are_none_and_harm_nothing(
            number in any::<u64>(),
            value in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            if let Some(page) = Page::decode(PageNumber(number), &value) {
                let again = Page::decode(page.number, &page.encode());
                prop_assert_eq!(again, Some(page));
            }
        }
    }

    #[test]
    fn a_full_page_of_usual_events_is_shorter_than_a_page_of_the_disk() {
        let mut page = Page::empty(PageNumber(7));
        for place in 0..PAGE_PLACES {
            page.put(Entry::Event {
                mark: mark(place, [9; CHAIN_BYTES]),
                class: Class::Scan,
                at: Address {
                    segment: 3,
                    offset: 64 + place * 480,
                    sealed_bytes: 440,
                },
            });
        }
        assert!(page.encode().len() <= 3_600);
    }
}
