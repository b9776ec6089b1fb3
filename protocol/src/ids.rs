//! The names of things, each a type of its own, so that a store is never taken for a terminal.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} cannot be used: {why}")]
pub struct IdError {
    /// Which kind of name it should have been.
    pub what: &'static str,
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Longest name of a store, workstation, terminal or platform, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest external id of an account, in bytes.
pub const EXTERNAL_ID_BYTES_MAX: usize = 128;
/// Longest card number after normalisation, in bytes.
pub const CARD_BYTES_MAX: usize = 128;

fn check(what: &'static str, text: &str, bytes_max: usize) -> Result<(), IdError> {
    let fail = |why| {
        Err(IdError {
            what,
            text: text.chars().take(bytes_max).collect(),
            why,
        })
    };
    if text.is_empty() {
        return fail("it is empty");
    }
    if text.len() > bytes_max {
        return fail("it is too long");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return fail("it holds white space or control characters");
    }
    Ok(())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes a text that holds neither white space nor control characters.
            ///
            /// # Errors
            /// [`IdError`] when it is empty, too long or holds such a character.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check($what, &text, $max)?;
                Ok(Self(text))
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A terminal, as central named it at its enrolment.
    TerminalId, "terminal", NAME_BYTES_MAX
);
text_id!(
    /// A store (ARTS: business unit), as headquarters names it.
    StoreId, "store", NAME_BYTES_MAX
);
text_id!(
    /// A workstation (till) within its store.
    WorkstationId, "workstation", NAME_BYTES_MAX
);
text_id!(
    /// Central's one record of a person.
    MemberId, "member", NAME_BYTES_MAX
);
text_id!(
    /// A binding request, named by the terminal or the service that made it.
    BindingId, "binding", NAME_BYTES_MAX
);

/// A membership card's number after normalisation. Personal data: `Debug` shows its last four alone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CardNumber(String);

impl CardNumber {
    /// Takes a normalised number.
    ///
    /// # Errors
    /// [`IdError`] when it is empty, too long, or holds white space or control characters. The error
    /// does not repeat the number.
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        check("card number", &text, CARD_BYTES_MAX).map_err(|e| IdError {
            text: masked(&text),
            ..e
        })?;
        Ok(Self(text))
    }

    /// Returns the number in clear: for look-ups and the wire, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the number with all but its last four characters hidden.
    pub fn masked(&self) -> String {
        masked(&self.0)
    }
}

fn masked(text: &str) -> String {
    let shown = if text.chars().count() > 8 { 4 } else { 0 };
    let hidden = text.chars().count() - shown;
    std::iter::repeat_n('*', hidden.min(12))
        .chain(text.chars().skip(hidden))
        .collect()
}

impl TryFrom<String> for CardNumber {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl From<CardNumber> for String {
    fn from(card: CardNumber) -> Self {
        card.0
    }
}

impl fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// An online account: platform and the platform's id, written `tmall:82731`. Personal data:
/// `Debug` shows the platform alone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountRef {
    platform: String,
    external_id: String,
}

impl AccountRef {
    /// Returns the platform, in lower case.
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// Returns the id that the platform gave.
    pub fn external_id(&self) -> &str {
        &self.external_id
    }

    /// Returns the account as `platform:****` for people who need not know whose it is.
    pub fn masked(&self) -> String {
        format!("{}:{}", self.platform, masked(&self.external_id))
    }
}

impl FromStr for AccountRef {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let fail = |why| IdError {
            what: "account",
            text: text.chars().take(16).collect(),
            why,
        };
        let (platform, external_id) = text
            .split_once(':')
            .ok_or_else(|| fail("it needs the form PLATFORM:ID"))?;
        check("platform", platform, NAME_BYTES_MAX)?;
        check("account", external_id, EXTERNAL_ID_BYTES_MAX)?;
        if !platform
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            return Err(fail(
                "a platform is written in ASCII letters, digits, - and _",
            ));
        }
        Ok(Self {
            platform: platform.to_ascii_lowercase(),
            external_id: external_id.to_owned(),
        })
    }
}

impl TryFrom<String> for AccountRef {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<AccountRef> for String {
    fn from(account: AccountRef) -> Self {
        account.to_string()
    }
}

impl fmt::Display for AccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.platform, self.external_id)
    }
}

impl fmt::Debug for AccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// The life of one outbox: a random number made with the store, written as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Epoch(pub u64);

impl FromStr for Epoch {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(IdError {
                what: "epoch",
                text: text.chars().take(32).collect(),
                why: "it needs 16 hex digits",
            });
        }
        // Sixteen hex digits always fit 64 bits.
        Ok(Self(u64::from_str_radix(text, 16).unwrap_or_default()))
    }
}

impl TryFrom<String> for Epoch {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Epoch> for String {
    fn from(epoch: Epoch) -> Self {
        epoch.to_string()
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({self})")
    }
}

/// An event's place in its epoch: 1, 2, 3 …; 0 stands before the first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The place before the first event.
    pub const ZERO: Self = Self(0);

    /// Returns the place after this one. The last of 2^64 places is never reached in practice and
    /// stays where it is.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the place before this one; before zero is zero.
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_platform_and_id_and_hides_the_person_in_debug() {
        let account: AccountRef = "Tmall:82731".parse().unwrap();
        assert_eq!(account.to_string(), "tmall:82731");
        assert!(!format!("{account:?}").contains("82731"));
        assert!("tmall".parse::<AccountRef>().is_err());
        assert!("tm all:1".parse::<AccountRef>().is_err());
        assert!(":1".parse::<AccountRef>().is_err());
    }

    #[test]
    fn a_card_number_shows_its_last_four_alone() {
        let card = CardNumber::new("950110153123456781").unwrap();
        assert_eq!(format!("{card:?}"), "************6781");
        let error = CardNumber::new("9501101531 23456781")
            .unwrap_err()
            .to_string();
        assert!(!error.contains("950110"), "{error}");
    }

    #[test]
    fn an_epoch_survives_json_whatever_its_size() {
        let epoch = Epoch(u64::MAX - 1);
        let json = serde_json::to_string(&epoch).unwrap();
        assert_eq!(json, "\"fffffffffffffffe\"");
        assert_eq!(serde_json::from_str::<Epoch>(&json).unwrap(), epoch);
        assert!(serde_json::from_str::<Epoch>("\"+fffffffffffffff\"").is_err());
    }
}
