//! A chip's number, by which it is told from all others.

use std::fmt;

use crate::code::Code;

/// The most bytes of a chip's number: the triple size of ISO/IEC 14443-3.
pub const UID_BYTES_MAX: usize = 10;

/// The first byte of a number that a chip makes up at each activation (ISO/IEC 14443-3, 6.5.4).
const RANDOM_FIRST: u8 = 0x08;
/// How a FeliCa number starts that a phone makes up for a transfer (NFCID2, ISO/IEC 18092).
const RANDOM_FELICA_START: [u8; 2] = [0x01, 0xfe];

/// A chip's number of 4, 7, 8 or 10 bytes. `Debug` shows its length alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Uid {
    bytes: [u8; UID_BYTES_MAX],
    len: usize,
}

impl Uid {
    /// Takes a number of 4, 7 or 10 bytes (ISO/IEC 14443) or of 8 (FeliCa, ISO/IEC 15693).
    pub fn new(number: &[u8]) -> Option<Self> {
        if !matches!(number.len(), 4 | 7 | 8 | 10) {
            return None;
        }
        let mut bytes = [0; UID_BYTES_MAX];
        bytes.get_mut(..number.len())?.copy_from_slice(number);
        Some(Self {
            bytes,
            len: number.len(),
        })
    }

    /// Reads a number in hexadecimal.
    pub fn from_hex(text: &str) -> Option<Self> {
        if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut number = Vec::with_capacity(UID_BYTES_MAX);
        let mut rest = text.get(..text.len().min(2 * UID_BYTES_MAX + 1))?;
        while !rest.is_empty() {
            let (pair, after) = rest.split_at_checked(2)?;
            number.push(u8::from_str_radix(pair, 16).ok()?);
            rest = after;
        }
        Self::new(&number)
    }

    /// Returns the number.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Returns the number in hexadecimal, as a card's number has it.
    pub fn to_hex(&self) -> String {
        self.bytes().iter().map(|b| format!("{b:02X}")).collect()
    }

    /// Says whether the chip makes the number up anew at each activation.
    pub fn is_random(&self) -> bool {
        match self.len {
            4 => self.bytes().starts_with(&[RANDOM_FIRST]),
            8 => self.bytes().starts_with(&RANDOM_FELICA_START),
            _ => false,
        }
    }

    /// Says whether two readings are of one card that rests on the reader. A card with a random
    /// number shows another one each time it is asked.
    pub fn may_be_same_card(&self, other: &Self) -> bool {
        self == other || (self.is_random() && other.is_random())
    }

    /// Says what the number means.
    pub fn code(&self) -> Code {
        Code::from_chip(&self.to_hex(), self.is_random())
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid([{} bytes])", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chips_number_is_the_card_number_in_upper_case() {
        for (hex, number) in [
            ("0416c6c2d73881", "0416C6C2D73881"),
            ("A1B2C3D4", "A1B2C3D4"),
            ("0102030405060708", "0102030405060708"),
            ("00112233445566778899", "00112233445566778899"),
        ] {
            let uid = Uid::from_hex(hex).unwrap();
            let Code::MemberCard(card) = uid.code() else {
                panic!("{hex}")
            };
            assert_eq!((card.number.expose(), card.kind.as_str()), (number, "uid"));
            assert!(!format!("{uid:?}").contains(number));
        }
    }

    #[test]
    fn a_random_number_is_nobodys_and_says_why() {
        for hex in ["08A1B2C3", "01FE030405060708"] {
            let code = Uid::from_hex(hex).unwrap().code();
            let Code::Unknown { text, reason, .. } = code else {
                panic!("{hex}")
            };
            assert_eq!((text.as_str(), reason.as_str()), ("chip", "random_uid"));
        }
        // Eight is a first byte like any other in a longer number.
        assert_eq!(
            Uid::from_hex("08A1B2C3D4E5F6").unwrap().code().kind(),
            "member_card"
        );
    }

    #[test]
    fn numbers_of_other_lengths_are_none() {
        for hex in [
            "",
            "0",
            "0416",
            "0416C6C2D7388",
            "zz16C6C2",
            "0416C6C2D7388122334455",
            "é416",
        ] {
            assert_eq!(Uid::from_hex(hex), None, "{hex}");
        }
    }
}
