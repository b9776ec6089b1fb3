//! Magnetic stripes as readers send them: tracks between sentinels.
//!
//! Layout: track 1 `%B number ^ name ^ …?`, track 2 `;number=…?`, track 3 `;` or `+` … `?`; a
//! reader may put the check character (LRC) behind the `?`, and each track on a line of its own. A
//! track that it could not read comes as `E` between the sentinels. Some readers are set to send no
//! sentinels, and then a track is known by its number and separator.
//!
//! The LRC (ISO/IEC 7811-2, -6) makes the exclusive or of all of a track's characters zero, start
//! sentinel and end sentinel among them: of six bits from 0x20 on track 1, of four bits from 0x30
//! on tracks 2 and 3. It is computed wherever it is given. A stripe of which a track was not read
//! whole names no member: half a number may be another's.
//!
//! Nothing of a stripe but a member's number leaves this module: not the name, not the
//! discretionary data. A stripe whose number passes Luhn's test and has no member prefix is refused
//! as a payment card whatever its scheme, since national schemes start with anything.

use zeroize::Zeroizing;

use super::payment;
use super::{CardNumber, CardRules};

/// Digits of a payment card's number on a stripe; national debit cards go down to 12.
const PAYMENT_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;

/// What a track may start with.
const STARTS: [char; 3] = ['%', ';', '+'];

/// The most characters of a track of letters, its sentinels and LRC among them (ISO/IEC 7813).
const LETTERS_CHARS_MAX: usize = 79;
/// The most characters of a track of digits: track 3 (ISO/IEC 4909). Longer is two swipes in one.
const DIGITS_CHARS_MAX: usize = 107;

/// Digits of a number in front of a track's separator where no sentinel says that it is a track.
const BARE_DIGITS: std::ops::RangeInclusive<usize> = 8..=19;

/// What a stripe is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stripe {
    /// A member's card by its configured prefix.
    Member(CardNumber),
    /// A payment card.
    Payment,
    /// Not read whole: a wrong LRC, a track cut off, two numbers that differ.
    Misread,
    /// None of these: no prefix fits. `shown` names the first six digits and the last four at most.
    Unlisted {
        /// A description for the technician who looks for the prefix to configure.
        shown: String,
    },
}

/// Reads a stripe; `None` where `text` is none.
pub(super) fn read(text: &str, rules: &CardRules) -> Option<Stripe> {
    let tracks = tracks(text)?;
    let numbers: Vec<Zeroizing<String>> =
        tracks.iter().map(|track| number_of(track.body)).collect();

    let mut member: Option<CardNumber> = None;
    let mut members_differ = false;
    for (place, number) in numbers.iter().enumerate() {
        if number.is_empty() {
            continue;
        }
        let found = if is_third(&tracks, place) {
            member_on_track_3(number, rules)
        } else {
            member_in(number, rules)
        };
        if let Some(found) = found {
            members_differ |= member.as_ref().is_some_and(|before| *before != found);
            member = member.or(Some(found));
        } else if is_payment(number) {
            return Some(Stripe::Payment);
        }
    }
    // Numbers that sit elsewhere on a track than where they belong.
    if member.is_none() && payment::is_hidden_in(text, rules) {
        return Some(Stripe::Payment);
    }
    let has_number = numbers.iter().any(|number| !number.is_empty());
    let is_unread = !has_number && tracks.iter().any(Track::is_unread);
    if members_differ || is_unread || !tracks.iter().all(Track::is_whole) {
        return Some(Stripe::Misread);
    }
    if let Some(number) = member {
        return Some(Stripe::Member(number));
    }
    let shown = numbers.iter().find(|n| !n.is_empty()).map_or_else(
        || "magnetic stripe without a number".to_owned(),
        |number| shown(number),
    );
    Some(Stripe::Unlisted { shown })
}

/// One track, its sentinels and its check character taken off.
#[derive(Clone, Copy)]
struct Track<'a> {
    /// `None` where the reader sent none.
    start: Option<char>,
    body: &'a str,
    /// The end sentinel was there.
    is_closed: bool,
    /// The check character, where one was given.
    check: Option<char>,
}

impl Track<'_> {
    /// Says whether nothing shows that a part of the track is missing or wrong.
    fn is_whole(&self) -> bool {
        let has_letters = self.has_letters();
        let length_max = if has_letters {
            LETTERS_CHARS_MAX
        } else {
            DIGITS_CHARS_MAX
        };
        // A reader that sends no start sentinel sends no end sentinel either.
        let is_closed = self.is_closed || self.start.is_none();
        let framing = 2 + usize::from(self.check.is_some());
        is_closed
            && self.body.len() + framing <= length_max
            && self
                .check
                .is_none_or(|check| self.lrc(has_letters) == bits(check, has_letters))
    }

    /// Says whether the reader itself could not read the track.
    fn is_unread(&self) -> bool {
        self.body == "E"
    }

    fn has_letters(&self) -> bool {
        match self.start {
            Some(start) => start == '%',
            None => self.body.starts_with(|c: char| c.is_ascii_alphabetic()),
        }
    }

    /// Computes the check character's bits; `None` where a character is in no track's alphabet.
    fn lrc(&self, has_letters: bool) -> Option<u8> {
        let start = if has_letters { '%' } else { ';' };
        [start, '?']
            .into_iter()
            .chain(self.body.chars())
            .try_fold(0, |sum, c| Some(sum ^ bits(c, has_letters)?))
    }
}

/// Returns a character's bits on the stripe.
fn bits(character: char, has_letters: bool) -> Option<u8> {
    let byte = u8::try_from(character).ok()?;
    match (has_letters, byte) {
        (true, 0x20..=0x5f) => Some(byte - 0x20),
        (false, 0x30..=0x3f) => Some(byte - 0x30),
        // Readers send `+` for track 3, whose start sentinel on the stripe is that of track 2.
        (false, b'+') => Some(b';' - 0x30),
        (true | false, _) => None,
    }
}

/// Splits a text into its tracks.
fn tracks(text: &str) -> Option<Vec<Track<'_>>> {
    let mut rest = text.trim();
    let is_stripe = rest.starts_with(STARTS) && rest.contains(['?', '^', '=']);
    if !is_stripe && !is_bare_track(rest) {
        return None;
    }
    let mut tracks = Vec::new();
    // Each turn takes at least one character off, so the loop is bounded by the frame's length.
    while !rest.is_empty() {
        let start = rest.chars().next().filter(|c| STARTS.contains(c));
        let body = rest.get(start.map_or(0, char::len_utf8)..)?;
        let Some((body, after)) = body.split_once('?') else {
            tracks.push(Track {
                start,
                body,
                is_closed: false,
                check: None,
            });
            break;
        };
        let (check, after) = split_check(after);
        tracks.push(Track {
            start,
            body,
            is_closed: true,
            check,
        });
        rest = after
            .find(STARTS)
            .and_then(|at| after.get(at..))
            .unwrap_or_default();
    }
    Some(tracks)
}

/// Splits the check character off what follows an end sentinel.
///
/// It is one character alone: before the next track, a line's end or the text's. It may look like a
/// start sentinel, and is one only when data follow.
fn split_check(after: &str) -> (Option<char>, &str) {
    let mut characters = after.chars();
    let first = characters.next().filter(|c| !matches!(c, '\r' | '\n'));
    let rest = characters.as_str();
    let is_alone = rest.is_empty() || rest.starts_with(STARTS) || rest.starts_with(['\r', '\n']);
    match first {
        Some(check) if is_alone => (Some(check), rest),
        _ => (None, after),
    }
}

/// Says whether a text is a track without sentinels: `number=…` or `Bnumber^…`.
fn is_bare_track(text: &str) -> bool {
    let digits_from = usize::from(text.starts_with('B'));
    let separator = if digits_from == 1 { '^' } else { '=' };
    text.get(digits_from..)
        .and_then(|text| text.split_once(separator))
        .is_some_and(|(number, _)| {
            BARE_DIGITS.contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit())
        })
}

/// Returns the digits of a track's first field, without the format code of track 1.
fn number_of(track: &str) -> Zeroizing<String> {
    let field = track.split(['^', '=']).next().unwrap_or_default();
    let field = field
        .strip_prefix(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(field);
    // As large as it can get at once: a buffer that grew would leave its digits behind.
    let mut digits = Zeroizing::new(String::with_capacity(field.len()));
    digits.extend(field.chars().filter(|c| !matches!(c, ' ' | '-')));
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        digits
    } else {
        Zeroizing::default()
    }
}

/// Says whether the track at `place` is track 3, by its sentinel or by its place.
fn is_third(tracks: &[Track<'_>], place: usize) -> bool {
    place == 2 || tracks.get(place).is_some_and(|t| t.start == Some('+'))
}

fn member_in(number: &str, rules: &CardRules) -> Option<CardNumber> {
    rules
        .is_member_number(number)
        .then(|| CardNumber::parse(number).ok())?
}

/// Track 3 may put a format code of two digits in front of the number.
fn member_on_track_3(number: &str, rules: &CardRules) -> Option<CardNumber> {
    let behind_format_code = || {
        number
            .get(2..)
            .filter(|_| !payment::is_card_number(number))
            .and_then(|number| member_in(number, rules))
    };
    member_in(number, rules).or_else(behind_format_code)
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
    fn a_loyalty_number_is_found_on_track_three_and_without_sentinels() {
        for text in [
            "+6275980000000008=724?",
            "+016275980000000008=724724000000?",
            "%E?;E?+016275980000000008=724?",
            "6275980000000008=49121010000",
            "B6275980000000008^ROE/JANE^4912101",
        ] {
            let Some(Stripe::Member(number)) = read(text, &rules()) else {
                panic!("{text}")
            };
            assert_eq!(number.expose(), "6275980000000008", "{text}");
        }
    }

    /// Appends the LRC that the stripe's standard asks for, computed the slow way.
    fn with_lrc(track: &str, base: u8) -> String {
        let sum = track.bytes().fold(0, |sum, byte| sum ^ (byte - base));
        format!("{track}{}", char::from(base + sum))
    }

    #[test]
    fn a_right_lrc_is_believed_and_a_wrong_one_names_no_member() {
        let first = with_lrc("%B6275980000000008^ROE/JANE^4912101?", 0x20);
        let second = with_lrc(";6275980000000008=4912101?", 0x30);
        let both = format!("{first}{second}");
        for text in [&first, &second, &both] {
            assert!(
                matches!(read(text, &rules()), Some(Stripe::Member(_))),
                "{text}"
            );
            // Any other digit of the number, with the member's prefix intact.
            for digit in ['1', '5', '9'] {
                let damaged = text.replacen("0008", &format!("00{digit}8"), 1);
                assert_ne!(&damaged, text);
                let damaged = read(&damaged, &rules());
                assert_eq!(damaged, Some(Stripe::Misread), "{text} {digit}");
            }
        }
    }

    #[test]
    fn an_lrc_that_looks_like_a_sentinel_is_one_character_all_the_same() {
        let tracks: Vec<String> = (0..10_000)
            .map(|n| with_lrc(&format!(";627598{n:010}=4912?"), 0x30))
            .filter(|track| track.ends_with(';') || track.ends_with("??"))
            .take(20)
            .collect();
        assert_eq!(tracks.len(), 20);
        for track in tracks {
            let twice = format!("{track}{track}");
            for text in [&track, &twice] {
                assert!(
                    matches!(
                        read(text, &rules()),
                        Some(Stripe::Member(_) | Stripe::Payment)
                    ),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn a_stripe_that_was_not_read_whole_names_no_member() {
        let long = format!(";6275980000000008={}?", "0".repeat(100));
        for text in [
            ";6275980000000008=4912",
            "%B6275980000000008^ROE/JANE^4912",
            "%B6275980000000008^ROE/JANE^4912101?;6275980000000016=4912101?",
            "%E?;E?",
            ";E?",
            long.as_str(),
        ] {
            assert_eq!(read(text, &rules()), Some(Stripe::Misread), "{text}");
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
            "1234=5",
            "name=12345678",
        ] {
            assert_eq!(read(text, &rules()), None, "{text}");
        }
    }
}
