//! Which encoding makes the text of the samples read best, where their streams do not say.

use std::collections::BTreeSet;

use super::words;
use crate::receipt::codepage::Encoding;
use crate::receipt::{Captured, Job};

/// Encodings that are tried, the commonest first: of two that read equally well the first is taken.
const CANDIDATES: &[&str] = &[
    "cp437",
    "utf-8",
    "gbk",
    "shift-jis",
    "euc-kr",
    "big5",
    "cp858",
    "cp1252",
    "cp852",
    "cp850",
    "cp866",
    "gb18030",
];
/// Most different lines that are weighed for each encoding; the first ones.
const LINES_MAX: usize = 600;
/// What a word of the tables weighs against one doubtful letter.
const WORD_WEIGHT: i64 = 25;

/// The encoding that reads the samples best, if it matters, and the jobs as it reads them.
pub(super) fn best(captures: &[Captured]) -> (Option<&'static str>, Vec<Job>) {
    let jobs = |name: &str| -> Vec<Job> {
        let encoding = Encoding::parse(name).unwrap_or_default();
        captures
            .iter()
            .flat_map(|captured| captured.jobs(encoding))
            .collect()
    };
    let mut best: Option<(i64, &'static str, Vec<Job>)> = None;
    for name in CANDIDATES {
        if Encoding::parse(name).is_err() {
            continue;
        }
        let jobs = jobs(name);
        if best.as_ref().is_some_and(|(_, _, first)| *first == jobs) {
            continue;
        }
        let weight = weigh(&jobs);
        if best
            .as_ref()
            .is_none_or(|(heaviest, _, _)| weight > *heaviest)
        {
            best = Some((weight, name, jobs));
        }
    }
    match best {
        Some((_, name, jobs)) => (Some(name), jobs),
        None => (None, jobs("cp437")),
    }
}

fn weigh(jobs: &[Job]) -> i64 {
    let lines: BTreeSet<&str> = jobs
        .iter()
        .flat_map(|job| &job.lines)
        .map(String::as_str)
        .filter(|line| !line.is_ascii())
        .take(LINES_MAX)
        .collect();
    lines.into_iter().map(weigh_line).sum()
}

/// Letters among letters speak for an encoding; marks, boxes and capitals inside words against it.
fn weigh_line(line: &str) -> i64 {
    let mut weight = 0;
    let chars: Vec<char> = line.chars().collect();
    for (at, c) in chars.iter().enumerate().filter(|(_, c)| !c.is_ascii()) {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let in_word = before.is_some_and(|b| b.is_alphabetic());
        weight += match c {
            '\u{FFFD}' | '\u{80}'..='\u{9F}' => -10,
            // Signs for sounds that no receipt prints, and quotation marks of Taiwan.
            '\u{3100}'..='\u{312F}'
            | '\u{301D}'..='\u{301F}'
            | '\u{309B}'..='\u{309E}'
            | '\u{30FB}'..='\u{30FE}' => -2,
            '\u{3041}'..='\u{30FA}' => 3,
            // Half-width katakana are what other encodings' bytes turn into.
            '\u{FF61}'..='\u{FF9F}' | '\u{E000}'..='\u{F8FF}' => -3,
            c if words::is_wide(*c) => 1,
            c if c.is_alphabetic() && in_word => {
                let shouted = before.is_some_and(|b| b.is_lowercase()) && c.is_uppercase();
                if shouted { -3 } else { 2 }
            }
            '\u{2500}'..='\u{257F}' | '—' | '€' | '£' | '¥' | '￥' | '×' | '：' => 1,
            c if c.is_alphabetic() => 1,
            _ => -1,
        };
    }
    let says = |range: Option<(usize, usize)>| {
        range
            .and_then(|(start, end)| line.get(start..end))
            .is_some_and(|word| !word.is_ascii())
    };
    let meaning = words::meaning(line).map(|hit| (hit.start, hit.end));
    let label = words::label(line).map(|hit| (hit.start, hit.end));
    weight += i64::from(says(meaning)) * WORD_WEIGHT + i64::from(says(label)) * WORD_WEIGHT;
    weight
}
