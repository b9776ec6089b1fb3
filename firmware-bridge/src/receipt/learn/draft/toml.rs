//! TOML as a person would write it.

use std::fmt::Write as _;

/// Most patterns that one list is given, well below what a profile may hold.
const PATTERNS_MAX: usize = 24;

/// Writes a list of patterns.
pub(super) fn list<'p>(name: &str, patterns: impl Iterator<Item = &'p str>) -> String {
    let all: Vec<&str> = patterns.take(PATTERNS_MAX).collect();
    match all.as_slice() {
        [] => format!("{name} = []"),
        [one] => format!("{name} = [{}]", quoted(one)),
        many => {
            let mut text = format!("{name} = [\n");
            for pattern in many {
                // Writing to a string cannot fail.
                if writeln!(text, "    {},", quoted(pattern)).is_err() {
                    break;
                }
            }
            text.push(']');
            text
        }
    }
}

/// Writes a TOML string, plain where it can be.
pub(super) fn quoted(text: &str) -> String {
    let plain = !text.contains('\'') && !text.chars().any(char::is_control);
    if plain {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", c as u32));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
