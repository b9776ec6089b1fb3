//! Magnetic stripes as readers send them: tracks between sentinels.
//!
//! Layout: track 1 `%B number ^ name ^ …?`, track 2 `;number=…?`, track 3 `;` or `+` … `?`; a
//! reader may put the check character (LRC) behind the `?`, and each track on a line of its own.
//!
//! Nothing of a stripe but a member's number leaves this module: not the name, not the
//! discretionary data. A stripe whose number passes Luhn's test and has no member prefix is refused
//! as a payment card whatever its scheme, since national schemes start with anything.

use zeroize::Zeroizing;

use super::payment;
use super::{CardNumber, CardRules};

/// Digits of a payment card's number on a stripe; national debit cards go down to 12.
const PAYMENT_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;

/// What a stripe is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stripe {
    /// A member's card by its configured prefix.
    Member(CardNumber),
    /// A payment card.
    Payment,
    /// Neither: no prefix fits. `shown` names the first six digits and the last four at most.
    Unlisted {
        /// A description for the technician who looks for the prefix to configure.
        shown: String,
    },
}

/// Reads a stripe; `None` where `text` is none.
pub(super) fn read(text: &str, rules: &CardRules) -> Option<Stripe> {
    let tracks = tracks(text)?;
    let numbers: Vec<Zeroizing<String>> = tracks.iter().map(|track| number_of(track)).collect();

    let mut member = None;
    for number in numbers.iter().filter(|number| !number.is_empty()) {
        if rules.is_member_number(number) {
            member = member.or_else(|| CardNumber::parse(number).ok());
        } else if is_payment(number) {
            return Some(Stripe::Payment);
        }
    }
    if let Some(number) = member {
        return Some(Stripe::Member(number));
    }
    // Numbers that sit elsewhere on a track than where they belong.
    if payment::is_hidden_in(text, rules) {
        return Some(Stripe::Payment);
    }
    let shown = numbers.iter().find(|n| !n.is_empty()).map_or_else(
        || "magnetic stripe without a number".to_owned(),
        |number| shown(number),
    );
    Some(Stripe::Unlisted { shown })
}

/// Splits a text into its tracks, without sentinels and check characters.
fn tracks(text: &str) -> Option<Vec<&str>> {
    const STARTS: [char; 3] = ['%', ';', '+'];
    let mut rest = text.trim();
    let starts_as_stripe = rest.starts_with(STARTS);
    if !starts_as_stripe || !rest.contains(['?', '^', '=']) {
        return None;
    }
    let mut tracks = Vec::new();
    // Each turn takes a start sentinel off, so the loop is bounded by the frame's length.
    while let Some(start) = rest.find(STARTS) {
        let body = rest.get(start + 1..).unwrap_or_default();
        match body.split_once('?') {
            Some((track, after)) => {
                tracks.push(track);
                // The check character may look like a start sentinel: it is one only when data follow.
                let mut after_check = after.chars();
                let check_is_sentinel_like =
                    after_check.next().is_some_and(|c| STARTS.contains(&c));
                let next_is_start = after_check.next().is_some_and(|c| STARTS.contains(&c));
                rest = if check_is_sentinel_like && next_is_start {
                    after.get(1..).unwrap_or_default()
                } else {
                    after
                };
            }
            None => {
                tracks.push(body);
                break;
            }
        }
    }
    Some(tracks)
}

/// Returns the digits of a track's first field, without the format code of track 1.
fn number_of(track: &str) -> Zeroizing<String> {
    let field = track.split(['^', '=']).next().unwrap_or_default();
    let field = field
        .strip_prefix(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(field);
    let field = Zeroizing::new(field.replace([' ', '-'], ""));
    if field.bytes().all(|b| b.is_ascii_digit()) {
        field
    } else {
        Zeroizing::default()
    }
}

fn is_payment(number: &str) -> bool {
    // Track 3 puts a format code of two digits in front of the number.
    [Some(number), number.get(2..)]
        .into_iter()
        .flatten()
        .any(|digits| PAYMENT_DIGITS.contains(&digits.len()) && payment::passes_luhn(digits))
}

fn shown(number: &str) -> String {
    if number.len() < 13 {
        return format!("magnetic stripe with a number of {} digits", number.len());
    }
    let head = number.get(..6).unwrap_or_default();
    let tail = number.get(number.len() - 4..).unwrap_or_default();
    format!("magnetic stripe {head}...{tail}, {} digits", number.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> CardRules {
        CardRules::new(["627598"]).unwrap()
    }

    #[test]
    fn payment_stripes_are_refused_in_every_shape_that_readers_send() {
        for text in [
            "%B5555555555554444^ROE/JANE^27051010000000000?;5555555555554444=27051010000000000?",
            "%B5555555555554444^ROE/JANE^2705101?7;5555555555554444=2705101?",
            "%B5555555555554444^ROE/JANE^2705101?;;5555555555554444=2705101?",
            ";5555555555554444=27051010000000000?3",
            "+015555555555554444=724724000000?",
            "%B5555 5555 5555 4444^ROE/JANE^2705",
            "%X^5555555555554444^ROE?",
        ] {
            assert_eq!(read(text, &rules()), Some(Stripe::Payment), "{text}");
        }
    }

    #[test]
    fn a_stripe_of_a_scheme_without_a_known_beginning_is_refused_by_luhn_alone() {
        assert!(payment::passes_luhn("9792030000000000"), "fixture");
        assert_eq!(
            read(";9792030000000000=2705?", &rules()),
            Some(Stripe::Payment)
        );
    }

    #[test]
    fn a_loyalty_stripe_gives_its_number_and_nothing_else() {
        for text in [
            "%B6275980000000008^ROE/JANE^4912101?;6275980000000008=4912101?",
            ";6275980000000008=49121010000?",
            "%6275980000000008?",
        ] {
            let Some(Stripe::Member(number)) = read(text, &rules()) else {
                panic!("{text}")
            };
            assert_eq!(number.expose(), "6275980000000008");
        }
    }

    #[test]
    fn a_payment_track_outweighs_a_member_track() {
        let text = "%B6275980000000008^ROE/JANE^4912?;5555555555554444=2705?";
        assert_eq!(read(text, &rules()), Some(Stripe::Payment));
    }

    #[test]
    fn an_unlisted_stripe_shows_what_a_technician_needs_and_no_name() {
        let Some(Stripe::Unlisted { shown }) = read("%B9826301234567890^ROE/JANE^4912?", &rules())
        else {
            panic!("not unlisted")
        };
        assert_eq!(shown, "magnetic stripe 982630...7890, 16 digits");
    }

    #[test]
    fn other_texts_are_no_stripe() {
        for text in [
            "",
            "TB1:ABC?",
            "4006381333931",
            "%",
            ";",
            "https://a/?x=1",
            "%HELLO",
        ] {
            assert_eq!(read(text, &rules()), None, "{text}");
        }
    }
}
