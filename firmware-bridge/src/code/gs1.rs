//! GS1 data: element strings, their bracketed human form, and GS1 Digital Link addresses.
//!
//! Layout of an element string: application identifier, value, application identifier, value …;
//! a value whose length is not fixed by its identifier's first two digits ends at FNC1, which a
//! scanner sends as GS (0x1D), or with the data.
//!
//! Limits: [`ELEMENTS_MAX`] elements. Deliberately lacking: the pairing rules among identifiers that
//! no member and no coupon bears (see [`Message::check_pairs`]), the meaning of dates and amounts,
//! compressed Digital Links.

mod coupon;
mod identifier;
mod link;
mod pairs;

use std::fmt;

pub use identifier::Shape;

/// FNC1 as a scanner sends it: ASCII GS.
const SEPARATOR: char = '\u{1d}';

/// The most elements of one message; a longer one is refused, since no carrier holds so many.
pub const ELEMENTS_MAX: usize = 32;

/// The global service relation number of a recipient: a member's card.
const GSRN_RECIPIENT: &str = "8018";
/// The identifiers of coupons.
const COUPONS: [&str; 3] = ["255", "8110", "8112"];

/// One application identifier with its value. Its `Debug` shows the length of the value alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Element {
    /// The identifier, 2 to 4 digits.
    pub ai: String,
    /// The value, without separators.
    pub value: String,
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({})[{} characters]", self.ai, self.value.len())
    }
}

/// What one bar code or address says in GS1 terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    elements: Vec<Element>,
}

/// Why data that should be GS1 are not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Gs1Error {
    /// The text has no element at all, or is not built as elements.
    #[error("this is not a GS1 element string or GS1 Digital Link")]
    NotGs1,
    /// The string goes on with an identifier that GS1 has not assigned.
    #[error("after {elements} elements there is no GS1 application identifier")]
    UnknownIdentifier {
        /// Elements read before it.
        elements: usize,
    },
    /// A value is too short, too long, or of the wrong characters.
    #[error("the value of GS1 ({ai}) has a wrong length or character")]
    Value {
        /// The identifier.
        ai: String,
    },
    /// A value's check digit does not hold.
    #[error("the check digit of GS1 ({ai}) is wrong: scan again, or look at the printed code")]
    CheckDigit {
        /// The identifier.
        ai: String,
    },
    /// Two identifiers that exclude each other, as a provider's (8017) and a recipient's (8018).
    #[error("GS1 ({ai}) and ({other}) exclude each other in one code")]
    Excluded {
        /// One identifier.
        ai: String,
        /// The other.
        other: String,
    },
    /// An identifier that says nothing without another.
    #[error("GS1 ({ai}) stands without the identifier that it belongs to")]
    Alone {
        /// The identifier.
        ai: String,
    },
    /// A Digital Link that tells an element twice or at a place where it may not stand.
    #[error("the GS1 elements of the address stand where they may not")]
    Order,
    /// More elements than [`ELEMENTS_MAX`].
    #[error("the code has more than {ELEMENTS_MAX} GS1 elements")]
    TooMany,
}

impl Message {
    /// Reads an element string as a scanner sends it, FNC1 as GS (0x1D).
    ///
    /// # Errors
    /// [`Gs1Error`] at the first element that is not one.
    pub fn from_element_string(text: &str) -> Result<Self, Gs1Error> {
        let mut message = Self {
            elements: Vec::new(),
        };
        let mut rest = text.trim_start_matches(SEPARATOR);
        while !rest.is_empty() {
            let Some((ai, shape)) = Shape::at_start_of(rest) else {
                return Err(Gs1Error::UnknownIdentifier {
                    elements: message.elements.len(),
                });
            };
            let body = rest.get(ai.len()..).unwrap_or_default();
            let up_to_separator = body.find(SEPARATOR).unwrap_or(body.len());
            let end = if shape.is_predefined() {
                shape.lengths().1
            } else {
                up_to_separator
            };
            let Some(value) = body.get(..end) else {
                return Err(Gs1Error::Value { ai: ai.to_owned() });
            };
            message.push(ai, value, shape)?;
            rest = body.get(end..).unwrap_or_default();
            // Some printers set FNC1 behind a value that needs none.
            rest = rest.strip_prefix(SEPARATOR).unwrap_or(rest);
        }
        message.unless_empty()
    }

    /// Reads the form for people, identifiers in round or square brackets: `(8018)9501…`.
    ///
    /// # Errors
    /// [`Gs1Error`] at the first element that is not one.
    pub fn from_bracketed(text: &str) -> Result<Self, Gs1Error> {
        let mut message = Self {
            elements: Vec::new(),
        };
        let mut rest = text.trim();
        while !rest.is_empty() {
            let Some((ai, body)) = bracketed_identifier(rest) else {
                return Err(Gs1Error::NotGs1);
            };
            let Some((_, shape)) = Shape::at_start_of(ai).filter(|(known, _)| *known == ai) else {
                return Err(Gs1Error::UnknownIdentifier {
                    elements: message.elements.len(),
                });
            };
            let end = body
                .char_indices()
                .find(|&(at, _)| body.get(at..).and_then(bracketed_identifier).is_some())
                .map_or(body.len(), |(at, _)| at);
            let (value, after) = body.split_at(end);
            message.push(ai, value.trim(), shape)?;
            rest = after;
        }
        message.unless_empty()
    }

    /// Reads a GS1 Digital Link address: `https://…/8018/950110153123456781`.
    ///
    /// # Errors
    /// [`Gs1Error::NotGs1`] for any other address, else what is wrong with its key or attributes.
    pub fn from_link(text: &str) -> Result<Self, Gs1Error> {
        link::read(text)
    }

    /// Returns the value of the first element with this identifier.
    pub fn get(&self, ai: &str) -> Option<&str> {
        self.elements
            .iter()
            .find(|e| e.ai == ai)
            .map(|e| e.value.as_str())
    }

    /// Returns all elements, in the order of the code.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// Returns the service relation number of a recipient (8018), which is a member's card number.
    pub fn recipient(&self) -> Option<&str> {
        self.get(GSRN_RECIPIENT)
    }

    /// Says whether the code is a coupon: 8110, 8112, or a coupon's number 255 with what hangs on it.
    pub fn is_coupon(&self) -> bool {
        COUPONS.iter().any(|ai| self.get(ai).is_some())
    }

    /// Checks which identifiers must stand together and which must not, as far as members and
    /// coupons are concerned.
    ///
    /// # Errors
    /// [`Gs1Error::Excluded`] and [`Gs1Error::Alone`].
    pub fn check_pairs(&self) -> Result<(), Gs1Error> {
        pairs::check(self)
    }

    fn push(&mut self, ai: &str, value: &str, shape: &Shape) -> Result<(), Gs1Error> {
        if self.elements.len() == ELEMENTS_MAX {
            return Err(Gs1Error::TooMany);
        }
        if !shape.fits(value) {
            return Err(Gs1Error::Value { ai: ai.to_owned() });
        }
        if !shape.check_holds(value) {
            return Err(Gs1Error::CheckDigit { ai: ai.to_owned() });
        }
        self.elements.push(Element {
            ai: ai.to_owned(),
            value: value.to_owned(),
        });
        Ok(())
    }

    fn unless_empty(self) -> Result<Self, Gs1Error> {
        if self.elements.is_empty() {
            Err(Gs1Error::NotGs1)
        } else {
            Ok(self)
        }
    }
}

/// Returns the recipient number in the 22 digits `8018` + GSRN, if its check digit holds.
///
/// For sources that tell no symbology. The identifier, the exact length and the check digit
/// together collide with no payment number or payment code.
pub fn recipient_in_digits(digits: &str) -> Option<&str> {
    let gsrn = digits.strip_prefix(GSRN_RECIPIENT)?;
    let (_, shape) = Shape::at_start_of(GSRN_RECIPIENT)?;
    (shape.fits(gsrn) && shape.check_holds(gsrn)).then_some(gsrn)
}

/// Splits `(8018)rest` or `[8018]rest` into identifier and rest.
fn bracketed_identifier(text: &str) -> Option<(&str, &str)> {
    let close = match text.as_bytes().first()? {
        b'(' => b')',
        b'[' => b']',
        _ => return None,
    };
    // An identifier has 2 to 4 digits, so the bracket closes within the first six bytes or never.
    let end = text.bytes().take(6).position(|byte| byte == close)?;
    let ai = text.get(1..end)?;
    let is_identifier = ai.len() >= 2 && ai.bytes().all(|b| b.is_ascii_digit());
    is_identifier.then_some((ai, text.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GSRN: &str = "950110153123456781";

    #[test]
    fn the_recipient_number_is_found_behind_other_elements() {
        for text in [
            "8018950110153123456781",
            "\u{1d}8018950110153123456781\u{1d}801912",
            "10LOT-7\u{1d}8018950110153123456781",
            "172612318018950110153123456781",
        ] {
            let message = Message::from_element_string(text).unwrap();
            assert_eq!(message.recipient(), Some(GSRN), "{text:?}");
        }
        let run_on = Message::from_element_string("801895011015312345678110LOT-7");
        assert_eq!(
            run_on,
            Err(Gs1Error::Value {
                ai: "8018".to_owned()
            })
        );
        let bracketed = Message::from_bracketed("(8018)950110153123456781 (8019)12").unwrap();
        assert_eq!(bracketed.recipient(), Some(GSRN));
        assert_eq!(bracketed.get("8019"), Some("12"));
    }

    #[test]
    fn a_separator_behind_a_value_of_fixed_length_is_tolerated() {
        let message = Message::from_element_string("17261231\u{1d}8018950110153123456781").unwrap();
        assert_eq!(message.recipient(), Some(GSRN));
        assert_eq!(message.elements().len(), 2);
    }

    #[test]
    fn a_wrong_check_digit_is_told_from_a_wrong_length() {
        assert_eq!(
            Message::from_element_string("8018313131313131313139"),
            Err(Gs1Error::CheckDigit {
                ai: "8018".to_owned()
            })
        );
        assert_eq!(
            Message::from_element_string("801895011015312345678"),
            Err(Gs1Error::Value {
                ai: "8018".to_owned()
            })
        );
    }

    #[test]
    fn a_provider_is_no_member_and_excludes_one() {
        let provider = Message::from_bracketed("(8017)950110153123456781").unwrap();
        assert_eq!(
            (provider.recipient(), provider.check_pairs()),
            (None, Ok(()))
        );
        let both =
            Message::from_bracketed("(8017)950110153123456781(8018)950110153123456781").unwrap();
        assert!(matches!(both.check_pairs(), Err(Gs1Error::Excluded { .. })));
    }

    #[test]
    fn coupons_and_points_are_read_with_their_numbers() {
        let message = Message::from_element_string("2559501101530003123456\u{1d}81110250").unwrap();
        assert_eq!(message.get("255"), Some("9501101530003123456"));
        assert_eq!(message.get("8111"), Some("0250"));
        assert!(message.is_coupon() && message.check_pairs().is_ok());
        let offer = "8112001234561234560123456";
        assert!(Message::from_element_string(offer).unwrap().is_coupon());
        let cut = offer.get(..offer.len() - 1).unwrap();
        assert!(Message::from_element_string(cut).is_err());
    }

    #[test]
    fn the_number_of_elements_is_bounded() {
        let flood = "2001".repeat(ELEMENTS_MAX + 1);
        assert_eq!(Message::from_element_string(&flood), Err(Gs1Error::TooMany));
    }

    #[test]
    fn bare_digits_need_the_identifier_the_length_and_the_check_digit() {
        assert_eq!(recipient_in_digits("8018950110153123456781"), Some(GSRN));
        assert_eq!(recipient_in_digits("8018950110153123456782"), None);
        assert_eq!(recipient_in_digits(GSRN), None);
        assert_eq!(recipient_in_digits("8017950110153123456781"), None);
    }

    #[test]
    fn debug_output_hides_the_values() {
        let message = Message::from_bracketed("(8018)950110153123456781").unwrap();
        assert!(!format!("{message:?}").contains("9501"));
    }
}
