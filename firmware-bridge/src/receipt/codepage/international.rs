//! The characters within ASCII that `ESC R n` replaces.
//!
//! Source: the tables of international characters in Epson's and Star's references; Star's differ
//! from 14 on.

use super::super::dialect::Language;

/// What is replaced, in the order of every set below.
const PLACES: &str = "#$@[\\]^`{|}~";

/// Sets 1 to 13, the same with both makers.
const SETS: [&str; 13] = [
    "#$à°ç§^`éùè¨",
    "#$§ÄÖÜ^`äöüß",
    "£$@[\\]^`{|}~",
    "#$@ÆØÅ^`æøå~",
    "#¤ÉÄÖÅÜéäöåü",
    "#$@°\\é^ùàòèì",
    "₧$@¡Ñ¿^`¨ñ}~",
    "#$@[¥]^`{|}~",
    "#¤ÉÆØÅÜéæøåü",
    "#$ÉÆØÅÜéæøåü",
    "#$á¡Ñ¿é`íñóú",
    "#$á¡Ñ¿éüíñóú",
    "#$@[₩]^`{|}~",
];
/// Epson's 14: Slovenia and Croatia.
const CROATIA: &str = "#$ŽŠĐĆČžšđćč";
/// Epson's 15: China.
const CHINA: &str = "#¥@[\\]^`{|}~";
/// Epson's 16: Vietnam.
const VIETNAM: &str = "#₫@[\\]^`{|}~";
/// Star's 64: legal texts.
const LEGAL: &str = "#$§°'\"¶`©®†™";

/// Returns what stands in the twelve places, or nothing where ASCII stays as it is.
pub(super) fn replaced(language: Language, n: u8) -> &'static str {
    match (n, language) {
        (1..=13, _) => SETS[usize::from(n) - 1],
        (14, Language::EscPos) => CROATIA,
        (15, Language::EscPos) => CHINA,
        (16, Language::EscPos) => VIETNAM,
        (64, Language::Star) => LEGAL,
        _ => "",
    }
}

/// Returns what is printed for a character under a set.
pub(super) fn replace(set: &str, character: char) -> char {
    let place = PLACES.chars().position(|c| c == character);
    place
        .and_then(|place| set.chars().nth(place))
        .unwrap_or(character)
}

/// Returns the character of ASCII that prints `character` under a set; itself where none does.
pub(super) fn replaced_by(set: &str, character: char) -> char {
    let place = set.chars().position(|c| c == character);
    place
        .and_then(|place| PLACES.chars().nth(place))
        .unwrap_or(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_a_character_for_every_place() {
        for set in SETS.into_iter().chain([CROATIA, CHINA, VIETNAM, LEGAL]) {
            assert_eq!(set.chars().count(), PLACES.chars().count(), "{set}");
        }
    }

    #[test]
    fn a_set_replaces_its_places_and_no_other_character() {
        let germany = replaced(Language::EscPos, 2);
        let text: String = "Gr}~e {|".chars().map(|c| replace(germany, c)).collect();
        assert_eq!(text, "Grüße äö");
        assert!(replaced(Language::EscPos, 0).is_empty());
        assert!(replaced(Language::Star, 14).is_empty());
    }
}
