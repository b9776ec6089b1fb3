//! How a store tells member cards from other numbers, and brings a number into its one form.

use std::fmt;

use super::card::{Card, CardError, CardKind, CardNumber, check_length, compact_digits};
use super::payment::{self, PaymentKind};
use super::{ean, gs1, stripe};

/// The most digits of a member prefix: a GSRN's whole length.
pub const PREFIX_DIGITS_MAX: usize = 18;
/// The most member prefixes; each is tried on each scan.
pub const PREFIXES_MAX: usize = 256;

/// The longest text that is read as a card number: three tracks of a stripe with room to spare.
const TYPED_BYTES_MAX: usize = 512;

/// Lengths of a chip's UID in hexadecimal digits: 4, 7, 8 or 10 bytes.
const UID_DIGITS: [usize; 4] = [8, 14, 16, 20];

/// How this store tells member cards from other numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CardRules {
    prefixes: Vec<String>,
}

/// A member prefix that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardRulesError {
    /// Empty, too long, or not digits.
    #[error(
        "member prefix {prefix:?} cannot be used: write 1 to {PREFIX_DIGITS_MAX} digits, as in \
         \"627598\""
    )]
    Prefix {
        /// As configured.
        prefix: String,
    },
    /// More than [`PREFIXES_MAX`].
    #[error("{count} member prefixes are configured, and {PREFIXES_MAX} are the most")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

/// A member prefix whose numbers are by rule others' too. The prefix settles it for the members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixWarning {
    /// The prefix.
    pub prefix: String,
    /// Payment schemes and coupons that it takes whole, by name.
    pub schemes: Vec<&'static str>,
    /// Payment schemes and coupons among whose numbers its own are, by name.
    pub around: Vec<&'static str>,
}

impl fmt::Display for PrefixWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = &self.prefix;
        if self.schemes.is_empty() {
            return write!(
                f,
                "member prefix {prefix:?} lies among the numbers of {}: each number that starts \
                 so counts as a member card; take the prefix out if it is not the store's own",
                self.around.join(", ")
            );
        }
        write!(
            f,
            "member prefix {prefix:?} also takes numbers of {} for member cards: write a longer \
             prefix if the cards allow it",
            self.schemes.join(", ")
        )
    }
}

impl CardRules {
    /// Makes rules from the configured member prefixes.
    ///
    /// # Errors
    /// [`CardRulesError`] at the first prefix that is not 1 to [`PREFIX_DIGITS_MAX`] digits.
    pub fn new(
        prefixes: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, CardRulesError> {
        let mut prefixes: Vec<String> = prefixes.into_iter().map(Into::into).collect();
        if prefixes.len() > PREFIXES_MAX {
            return Err(CardRulesError::TooMany {
                count: prefixes.len(),
            });
        }
        let usable = |prefix: &String| {
            (1..=PREFIX_DIGITS_MAX).contains(&prefix.len())
                && prefix.bytes().all(|b| b.is_ascii_digit())
        };
        if let Some(prefix) = prefixes.iter().find(|prefix| !usable(prefix)) {
            return Err(CardRulesError::Prefix {
                prefix: prefix.clone(),
            });
        }
        prefixes.sort_unstable();
        prefixes.dedup();
        Ok(Self { prefixes })
    }

    /// Returns the prefixes whose numbers are also payment numbers or coupons; say so when the
    /// configuration is read.
    pub fn warnings(&self) -> Vec<PrefixWarning> {
        self.prefixes
            .iter()
            .map(|prefix| PrefixWarning {
                prefix: prefix.clone(),
                schemes: payment::schemes_swallowed_by(prefix),
                around: payment::schemes_around(prefix),
            })
            .filter(|warning| !warning.schemes.is_empty() || !warning.around.is_empty())
            .collect()
    }

    /// Says whether `digits` start with a member prefix and have a card number's length.
    pub fn is_member_number(&self, digits: &str) -> bool {
        check_length(digits).is_ok()
            && self
                .prefixes
                .iter()
                .any(|prefix| digits.starts_with(prefix.as_str()))
    }

    /// Brings a number that was typed by hand, or came from a journal or the till, into its one
    /// form.
    ///
    /// Unlike a scan it needs no member prefix: whoever names a card number means one. Payment
    /// numbers are refused all the same, unless a prefix makes them member cards.
    ///
    /// # Errors
    /// [`CardError`]; its text never shows the number.
    pub fn normalise(&self, text: &str) -> Result<Card, CardError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(CardError::Empty);
        }
        if text.len() > TYPED_BYTES_MAX {
            return Err(CardError::TooLong);
        }
        match stripe::read(text, self) {
            Some(stripe::Stripe::Member(number)) => {
                return Ok(Card {
                    number,
                    kind: CardKind::Stripe,
                });
            }
            Some(stripe::Stripe::Payment) => return Err(CardError::Payment(PaymentKind::Stripe)),
            Some(stripe::Stripe::Misread) => return Err(CardError::Misread),
            Some(stripe::Stripe::Unlisted { .. }) => return Err(CardError::NotANumber),
            None => {}
        }
        if let Some(gsrn) = bracketed_recipient(text) {
            return Card::from_gsrn(&gsrn);
        }
        let Some(digits) = compact_digits(text) else {
            return self.normalise_uid(text);
        };
        if let Some(gsrn) = gs1::recipient_in_digits(&digits) {
            return Card::from_gsrn(gsrn);
        }
        if self.is_member_number(&digits) {
            return Card::from_member_digits(&digits, false);
        }
        if let Some(kind) = payment::kind_of(&digits) {
            return Err(CardError::Payment(kind));
        }
        let kind = if ean::is_ean_13(&digits) && ean::is_restricted(&digits) {
            CardKind::Ean
        } else {
            CardKind::Number
        };
        Ok(Card {
            number: CardNumber::parse(&digits)?,
            kind,
        })
    }

    fn normalise_uid(&self, text: &str) -> Result<Card, CardError> {
        if payment::is_hidden_in(text, self) {
            return Err(CardError::Payment(PaymentKind::Card));
        }
        let uid: String = text
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | ':'))
            .collect::<String>()
            .to_uppercase();
        let is_uid = UID_DIGITS.contains(&uid.len()) && uid.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_uid {
            return Err(CardError::NotANumber);
        }
        // ISO/IEC 14443-3: a single-size UID that starts with 08 is made up at each activation.
        if uid.len() == 8 && uid.starts_with("08") {
            return Err(CardError::RandomUid);
        }
        Ok(Card {
            number: CardNumber::parse(&uid)?,
            kind: CardKind::Uid,
        })
    }
}

fn bracketed_recipient(text: &str) -> Option<String> {
    let message = gs1::Message::from_bracketed(text).ok()?;
    message.check_pairs().ok()?;
    message.recipient().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(prefixes: &[&str]) -> CardRules {
        CardRules::new(prefixes.iter().copied()).unwrap()
    }

    fn number(rules: &CardRules, text: &str) -> String {
        rules.normalise(text).unwrap().number.expose().to_owned()
    }

    #[test]
    fn a_padded_journal_number_equals_the_scanned_one() {
        let none = CardRules::default();
        assert_eq!(number(&none, "0000000000000040000066677"), "40000066677");
        assert_eq!(number(&none, "4000 0066-677"), "40000066677");
        assert_eq!(number(&none, "0000012345"), "0000012345");
    }

    #[test]
    fn a_gsrn_is_the_same_card_with_its_identifier_and_without() {
        let none = CardRules::default();
        for text in [
            "(8018)950110153123456781",
            "8018950110153123456781",
            "950110153123456781",
        ] {
            assert_eq!(number(&none, text), "950110153123456781");
        }
    }

    #[test]
    fn payment_numbers_are_refused_without_a_digit_of_theirs() {
        for text in [
            "4111 1111 1111 1111",
            "00000000004111111111111111",
            "134567890123456789",
            "284567890123456789",
            "6212345678901234560",
            ";4111111111111111=27051?",
            "card 4111111111111111",
        ] {
            let error = rules(&["627598"]).normalise(text).unwrap_err();
            assert!(matches!(error, CardError::Payment(_)), "{text}: {error}");
            assert!(
                !error.to_string().contains(|c: char| c.is_ascii_digit()),
                "{error}"
            );
        }
    }

    #[test]
    fn a_member_prefix_is_asked_before_the_payment_test() {
        let text = "6275980000000008";
        assert!(CardRules::default().normalise(text).is_err());
        assert_eq!(
            rules(&["627598"]).normalise(text).unwrap().kind,
            CardKind::Number
        );
    }

    #[test]
    fn a_mistyped_restricted_ean_with_a_member_prefix_is_refused() {
        let rules = rules(&["29"]);
        assert_eq!(rules.normalise("2912345678901"), Err(CardError::CheckDigit));
        assert_eq!(
            rules.normalise("2912345678906").unwrap().kind,
            CardKind::Ean
        );
    }

    #[test]
    fn chip_numbers_are_upper_case_and_random_ones_refused() {
        let none = CardRules::default();
        let card = none.normalise("04:a2:b3:c4:d5:e6:80").unwrap();
        assert_eq!(
            (card.number.expose(), card.kind),
            ("04A2B3C4D5E680", CardKind::Uid)
        );
        assert_eq!(none.normalise("08ABCDEF"), Err(CardError::RandomUid));
        assert_eq!(none.normalise("ABC"), Err(CardError::NotANumber));
    }

    #[test]
    fn lengths_are_bounded() {
        let none = CardRules::default();
        assert_eq!(none.normalise(" "), Err(CardError::Empty));
        assert_eq!(none.normalise("123"), Err(CardError::TooShort));
        assert_eq!(none.normalise(&"9".repeat(33)), Err(CardError::TooLong));
        assert_eq!(none.normalise(&"0".repeat(30)), Err(CardError::TooShort));
        assert_eq!(none.normalise(&"0".repeat(513)), Err(CardError::TooLong));
    }

    #[test]
    fn prefixes_are_digits_of_a_bounded_length() {
        for wrong in ["", "62x", "1234567890123456789", "６２"] {
            assert!(CardRules::new([wrong]).is_err(), "{wrong}");
        }
        assert!(CardRules::new(["62", "62", "9"]).is_ok());
        assert!(CardRules::new((0..300).map(|n| n.to_string())).is_err());
    }

    #[test]
    fn a_prefix_that_takes_a_scheme_or_lies_in_one_is_warned_of() {
        let warnings = rules(&["627598", "4", "95"]).warnings();
        let [visa, unionpay] = &warnings[..] else {
            panic!("{warnings:?}")
        };
        assert_eq!(visa.schemes, ["Visa"]);
        assert!(visa.to_string().contains("\"4\""));
        assert_eq!(unionpay.around, ["UnionPay"]);
        assert!(
            unionpay
                .to_string()
                .contains("lies among the numbers of UnionPay")
        );
    }
}
