//! Durations as people write them: a number and one unit, `30s`, `2m`, `24h`, `7d`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A duration in whole seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Seconds(pub i64);

impl Seconds {
    /// Returns it in milliseconds.
    pub fn ms(self) -> i64 {
        self.0.saturating_mul(1_000)
    }
}

impl TryFrom<String> for Seconds {
    type Error = DurationError;
    fn try_from(text: String) -> Result<Self, DurationError> {
        text.parse()
    }
}

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it needs a whole number of at least 1 and one unit (s, m, h or d), as in 30s, 2m or 24h")]
pub struct DurationError;

impl FromStr for Seconds {
    type Err = DurationError;
    fn from_str(text: &str) -> Result<Self, DurationError> {
        let unit_s: i64 = match text.as_bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 60 * 60,
            Some(b'd') => 24 * 60 * 60,
            _ => return Err(DurationError),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(DurationError);
        }
        let number: i64 = digits.parse().map_err(|_| DurationError)?;
        match number.checked_mul(unit_s) {
            Some(seconds) if seconds > 0 => Ok(Self(seconds)),
            _ => Err(DurationError),
        }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(24 * 60 * 60, 'd'), (60 * 60, 'h'), (60, 'm')];
        let whole = |(unit_s, _): &(i64, char)| self.0 % unit_s == 0;
        match units.into_iter().find(whole) {
            Some((unit_s, letter)) => write!(f, "{}{letter}", self.0 / unit_s),
            None => write!(f, "{}s", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_is_a_number_and_one_unit_and_nothing_else() {
        for (text, seconds) in [("30s", 30), ("2m", 120), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(text.parse(), Ok(Seconds(seconds)));
        }
        for odd in [
            "",
            "s",
            "0s",
            "-1s",
            "+1s",
            "1",
            "1.5h",
            "1h30m",
            " 1s",
            "1 s",
            "1S",
            "1w",
            "9223372036854775807d",
            "99999999999999999999s",
            "٣s",
            "1é",
        ] {
            assert_eq!(odd.parse::<Seconds>(), Err(DurationError), "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(seconds in 1..i64::MAX) {
            prop_assert_eq!(Seconds(seconds).to_string().parse(), Ok(Seconds(seconds)));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            drop(text.parse::<Seconds>());
        }
    }
}
