//! Compiled patterns: regular expressions whose groups are known and whose cost is bounded.

use std::ops::Range;

use regex::{Captures, Regex, RegexBuilder};
use toml::Spanned;

/// Longest pattern in bytes; a longer one is refused when the profile is read.
pub(super) const PATTERN_BYTES_MAX: usize = 1_000;
/// Most patterns of one list; more are refused when the profile is read.
pub(super) const PATTERNS_MAX: usize = 64;
/// Memory that one compiled pattern may take; a larger one is refused.
const COMPILED_BYTES_MAX: usize = 512 << 10;
/// Memory for a pattern's search cache; a pattern that needs more searches slower.
const CACHE_BYTES_MAX: usize = 128 << 10;

/// What one list of patterns may and must capture.
pub(super) struct Groups {
    pub(super) list: &'static str,
    pub(super) allowed: &'static [&'static str],
    pub(super) required: &'static [&'static str],
    /// At least one of these must be captured.
    pub(super) one_of: &'static [&'static str],
}

/// A fault in a pattern and where it stands in the profile.
pub(super) struct PatternFault {
    pub(super) span: Range<usize>,
    pub(super) message: String,
}

/// A list of patterns, tried in order.
#[derive(Debug, Default)]
pub(super) struct Patterns(Vec<Regex>);

impl Patterns {
    pub(super) fn compile(
        texts: &[Spanned<String>],
        groups: &Groups,
    ) -> Result<Self, PatternFault> {
        if let Some(excess) = texts.get(PATTERNS_MAX) {
            return Err(PatternFault {
                span: excess.span(),
                message: format!("{} has more than {PATTERNS_MAX} patterns", groups.list),
            });
        }
        texts
            .iter()
            .map(|text| compile_one(text, groups))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn is_match(&self, line: &str) -> bool {
        self.0.iter().any(|regex| regex.is_match(line))
    }

    pub(super) fn captures<'l>(&self, line: &'l str) -> Option<Captures<'l>> {
        self.0.iter().find_map(|regex| regex.captures(line))
    }

    /// Returns the captures of every pattern that matches.
    pub(super) fn all_captures<'l>(&self, line: &'l str) -> impl Iterator<Item = Captures<'l>> {
        self.0.iter().filter_map(move |regex| regex.captures(line))
    }

    pub(super) fn has_group(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|regex| regex.capture_names().flatten().any(|n| n == name))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn compile_one(text: &Spanned<String>, groups: &Groups) -> Result<Regex, PatternFault> {
    let list = groups.list;
    let fault = |message: String| PatternFault {
        span: text.span(),
        message,
    };
    let pattern = text.get_ref();
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(fault(format!(
            "a pattern of {list} is longer than {PATTERN_BYTES_MAX} bytes"
        )));
    }
    let regex = RegexBuilder::new(pattern)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(CACHE_BYTES_MAX)
        .build()
        .map_err(|error| {
            fault(format!(
                "the pattern {pattern:?} of {list} cannot be used: {error}"
            ))
        })?;
    let names: Vec<&str> = regex.capture_names().flatten().collect();
    if let Some(name) = names.iter().find(|name| !groups.allowed.contains(name)) {
        let allowed = match groups.allowed {
            [] => "it captures none".to_owned(),
            some => format!("it may capture {}", some.join(", ")),
        };
        return Err(fault(format!(
            "the pattern {pattern:?} of {list} captures {name:?}, which {list} has no use for: {allowed}"
        )));
    }
    if let Some(name) = groups.required.iter().find(|name| !names.contains(name)) {
        return Err(fault(format!(
            "the pattern {pattern:?} of {list} must capture {name:?}, as in (?<{name}>…)"
        )));
    }
    if !groups.one_of.is_empty() && !groups.one_of.iter().any(|name| names.contains(name)) {
        return Err(fault(format!(
            "the pattern {pattern:?} of {list} captures nothing: it must capture one of {}",
            groups.one_of.join(", ")
        )));
    }
    Ok(regex)
}
