//! Texts from terminals that are kept for people to read.

/// Returns at most `bytes_max` bytes of a text without its control characters, which one engine
/// refuses and a console obeys.
pub fn plain_text(text: &str, bytes_max: usize) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        let c = if c.is_control() { ' ' } else { c };
        if plain.len() + c.len_utf8() > bytes_max {
            break;
        }
        plain.push(c);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_rings_no_bell() {
        assert_eq!(plain_text("a\0b\u{7}c", 10), "a b c");
        assert_eq!(plain_text("编号", 4), "编");
    }
}
