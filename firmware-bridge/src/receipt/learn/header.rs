//! Where a receipt says which it is: date, time, number, store, till, member.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, NaiveTime};
use regex::Regex;

use super::sheet::{Form, Sheet};
use super::words::{self, Label};

/// Dates as receipts print them: what they look like, and the formats that may read them, likeliest first.
const DATES: &[(&str, &[&str])] = &[
    (r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}", &["%Y-%m-%d"]),
    (r"[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}", &["%Y/%m/%d"]),
    (r"[0-9]{4}\.[0-9]{1,2}\.[0-9]{1,2}", &["%Y.%m.%d"]),
    (r"[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日", &["%Y年%m月%d日"]),
    (r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}", &["%d.%m.%Y"]),
    (r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}", &["%d/%m/%Y", "%m/%d/%Y"]),
    (r"[0-9]{1,2}-[0-9]{1,2}-[0-9]{4}", &["%d-%m-%Y", "%m-%d-%Y"]),
    (r"[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4}", &["%d %b %Y"]),
    (r"[A-Z][a-z]{2} [0-9]{1,2}, [0-9]{4}", &["%b %d, %Y"]),
    (r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{2}", &["%d.%m.%y"]),
    (r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{2}", &["%d/%m/%y", "%m/%d/%y"]),
    (r"[0-9]{1,2}-[0-9]{1,2}-[0-9]{2}", &["%d-%m-%y", "%m-%d-%y"]),
];

const TIMES: &[(&str, &str)] = &[
    (
        r"[0-9]{1,2}:[0-9][0-9]:[0-9][0-9] [AaPp][Mm]",
        "%I:%M:%S %p",
    ),
    (r"[0-9]{1,2}:[0-9][0-9] [AaPp][Mm]", "%I:%M %p"),
    (r"[0-9]{1,2}:[0-9][0-9]:[0-9][0-9]", "%H:%M:%S"),
    (r"[0-9]{1,2}:[0-9][0-9]", "%H:%M"),
];

/// A label, its sign, and the number behind it.
const LABELLED: &str = r"(?<label>(?:\p{L}[\p{L}.-]*[  ])?\p{L}[\p{L}.-]*\s{0,2}[#:：.№]{0,2}\s{0,10})(?-u:\b)(?<value>[A-Za-z0-9][A-Za-z0-9/-]*)";

/// Fewest samples from which a number behind an unknown word is taken for the receipt's.
const UNNAMED_SAMPLES_MIN: usize = 5;

/// The header's part of a profile.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) date_formats: Vec<&'static str>,
    pub(super) time_formats: Vec<&'static str>,
    pub(super) patterns: Vec<String>,
    pub(super) member: Vec<String>,
    pub(super) doubts: Vec<String>,
}

/// Finds the header's fields on receipts that add up.
pub(super) fn header(sheets: &[&Sheet], month_first: bool) -> Header {
    let mut header = Header::default();
    when(sheets, month_first, &mut header);
    labelled(sheets, &mut header);
    header
}

/// Texts of the lines that may be part of the header: all without an amount, and those that hold a date.
fn lines(sheet: &Sheet) -> impl Iterator<Item = &str> {
    sheet
        .rows
        .iter()
        .filter(|row| match row.form {
            Form::Text | Form::Amount { .. } => true,
            Form::Detail { .. } | Form::Rule | Form::Blank => false,
        })
        .map(|row| row.text.as_str())
}

fn when(sheets: &[&Sheet], month_first: bool, header: &mut Header) {
    let mut best: Option<(usize, &str, &[&'static str], bool)> = None;
    for (date, formats) in DATES {
        let bounded = format!(r"(?:^|[^0-9./-]){date}(?:$|[^\d./-])");
        let with_time = format!(r"(?:^|[^0-9./-]){date}(?:$|[^0-9]{{1,14}}?)\d{{1,2}}:\d\d");
        let (Ok(bounded), Ok(with_time)) = (Regex::new(&bounded), Regex::new(&with_time)) else {
            continue;
        };
        let on = |pattern: &Regex| {
            sheets
                .iter()
                .filter(|sheet| lines(sheet).any(|line| pattern.is_match(line)))
                .count()
        };
        let (dated, timed) = (on(&bounded), on(&with_time));
        if dated > 0 && best.is_none_or(|(count, ..)| dated > count) {
            best = Some((dated, date, formats, timed == dated));
        }
    }
    let Some((count, date, formats, timed)) = best else {
        header
            .doubts
            .push("date: no sample holds one that is understood".to_owned());
        return;
    };
    if count < sheets.len() {
        header.doubts.push(format!(
            "date: {} of the samples that add up hold none",
            sheets.len() - count
        ));
    }
    header.date_formats = date_formats(sheets, date, formats, month_first, &mut header.doubts);
    let time = time_format(sheets);
    match time {
        Some((shape, format)) => {
            header.time_formats.push(format);
            // Receipts that leave the seconds out are of the same shop.
            if timed {
                header.patterns.push(prefixed(
                    sheets,
                    &format!(r"{date}[^0-9]{{1,14}}?{shape}"),
                    &format!(r"(?<date>{date})[^0-9]{{1,14}}?(?<time>{shape})"),
                ));
            } else {
                header
                    .patterns
                    .push(prefixed(sheets, date, &format!("(?<date>{date})")));
                header
                    .patterns
                    .push(prefixed(sheets, shape, &format!("(?<time>{shape})")));
            }
        }
        None => {
            header
                .doubts
                .push("time: no sample holds one that is understood".to_owned());
            header
                .patterns
                .push(prefixed(sheets, date, &format!("(?<date>{date})")));
        }
    }
}

/// Puts what stands before a date on every sample in front of its pattern.
fn prefixed(sheets: &[&Sheet], shape: &str, capture: &str) -> String {
    let Ok(regex) = Regex::new(&format!(r"^(?<before>.*?)(?:{shape})")) else {
        return capture.to_owned();
    };
    let befores: BTreeSet<String> = sheets
        .iter()
        .filter_map(|sheet| lines(sheet).find_map(|line| regex.captures(line)))
        .filter_map(|captures| {
            captures
                .name("before")
                .map(|m| m.as_str().trim().to_owned())
        })
        .collect();
    match befores.first() {
        Some(before) if befores.len() == 1 && !before.contains(|c: char| c.is_ascii_digit()) => {
            let words: Vec<String> = before.split_whitespace().map(regex::escape).collect();
            if words.is_empty() {
                return format!(r"^\s*{capture}");
            }
            format!(r"^\s*{}\s*{capture}", words.join(r"\s+"))
        }
        Some(_) | None => format!(r"(?:^|[^0-9./-]){capture}"),
    }
}

/// Returns the formats that read the date of every sample.
fn date_formats(
    sheets: &[&Sheet],
    date: &str,
    formats: &[&'static str],
    month_first: bool,
    doubts: &mut Vec<String>,
) -> Vec<&'static str> {
    let Ok(regex) = Regex::new(&format!(r"(?:^|[^0-9./-])(?<date>{date})(?:$|[^\d./-])")) else {
        return Vec::new();
    };
    let dates: Vec<&str> = sheets
        .iter()
        .filter_map(|sheet| lines(sheet).find_map(|line| regex.captures(line)?.name("date")))
        .map(|found| found.as_str())
        .collect();
    let mut reading: Vec<&'static str> = formats
        .iter()
        .copied()
        .filter(|format| {
            dates
                .iter()
                .all(|date| NaiveDate::parse_from_str(date, format).is_ok())
        })
        .collect();
    if reading.len() > 1 {
        doubts.push(
            "date_formats: every date of the samples can be read with the day or the month first"
                .to_owned(),
        );
        if month_first {
            reading.reverse();
        }
        reading.truncate(1);
    }
    reading
}

/// Returns the fullest shape of times that some sample has and all can be read by.
fn time_format(sheets: &[&Sheet]) -> Option<(&'static str, &'static str)> {
    let mut best: Option<(usize, (&'static str, &'static str))> = None;
    for (shape, format) in TIMES {
        let regex = Regex::new(&format!(r"(?:^|[^\d:])(?<time>{shape})(?:$|[^\d:])")).ok()?;
        let count = sheets
            .iter()
            .filter(|sheet| {
                lines(sheet).any(|line| {
                    regex
                        .captures(line)
                        .and_then(|captures| captures.name("time"))
                        .is_some_and(|time| {
                            NaiveTime::parse_from_str(time.as_str(), format).is_ok()
                        })
                })
            })
            .count();
        if count > 0 && best.is_none_or(|(most, _)| count > most) {
            best = Some((count, (*shape, *format)));
        }
    }
    best.map(|(_, found)| found)
}

/// Values of one label, by sample.
#[derive(Default)]
struct Labelled {
    values: BTreeMap<usize, Vec<String>>,
}

fn labelled(sheets: &[&Sheet], header: &mut Header) {
    let Ok(regex) = Regex::new(LABELLED) else {
        return;
    };
    let mut found: BTreeMap<String, Labelled> = BTreeMap::new();
    for (index, sheet) in sheets.iter().enumerate() {
        for row in &sheet.rows {
            if row.form != Form::Text {
                let dated =
                    row.text.contains(['/', ':']) && matches!(row.form, Form::Amount { .. });
                if !dated {
                    continue;
                }
            }
            for captures in regex.captures_iter(&row.text) {
                let (Some(label), Some(value)) = (captures.name("label"), captures.name("value"))
                else {
                    continue;
                };
                if value.as_str().contains(|c: char| c.is_ascii_digit()) {
                    let values = &mut found.entry(own_label(label.as_str())).or_default().values;
                    values
                        .entry(index)
                        .or_default()
                        .push(value.as_str().to_owned());
                }
            }
        }
    }
    for (label, group) in [
        (Label::Sequence, "sequence"),
        (Label::Store, "store"),
        (Label::Workstation, "workstation"),
    ] {
        match choose(&found, label, sheets.len()) {
            Some((text, values)) => header.patterns.push(label_pattern(text, group, values)),
            None if label == Label::Sequence => header.doubts.push(
                "sequence: no number was found that every receipt has and no two share; without it two sales \
                 of the same minute and total cannot be told apart"
                    .to_owned(),
            ),
            None => header.doubts.push(format!(
                "{group}: the samples do not say it in words that are known; the agent's own is taken"
            )),
        }
    }
    let member = found
        .iter()
        .filter(|(text, _)| words::label(text).is_some_and(|hit| hit.what == Label::Member))
        .find(|(_, labelled)| {
            let long =
                |value: &String| value.len() >= 6 && value.chars().all(|c| c.is_ascii_digit());
            labelled.values.values().flatten().all(long)
        });
    match member {
        Some((text, _)) => header.member.push(format!(
            r"{}(?<card>[0-9]{{4,30}})(?:[^0-9]|$)",
            label_text(text)
        )),
        None => header.doubts.push(
            "member: no sample bears a member's number behind a word that is known".to_owned(),
        ),
    }
}

/// Of two words before a number, leaves the first out unless the second only says that a number follows.
fn own_label(label: &str) -> String {
    let body = label.trim_start();
    let Some((first, second)) = body.split_once([' ', '\u{A0}']) else {
        return body.to_owned();
    };
    let bare = second
        .trim()
        .trim_matches(|c: char| !c.is_alphabetic())
        .to_lowercase();
    let whole_is_known = words::label(body).is_some_and(|hit| hit.end - hit.start > first.len());
    if bare.is_empty()
        || whole_is_known
        || matches!(
            bare.as_str(),
            "no" | "nr" | "number" | "nummer" | "num" | "n" | "id"
        )
    {
        body.to_owned()
    } else {
        second.trim_start().to_owned()
    }
}

/// Chooses the label of a field: one that every sample bears once; a number's values differ, a store's do not.
fn choose(
    found: &BTreeMap<String, Labelled>,
    label: Label,
    samples: usize,
) -> Option<(&String, &Labelled)> {
    let known = |text: &str| words::label(text).is_some_and(|hit| hit.what == label);
    let candidates = found.iter().filter(|(text, labelled)| {
        let covers = labelled.values.len() == samples;
        let once = labelled
            .values
            .values()
            .all(|values| values.iter().all(|value| Some(value) == values.first()));
        let distinct: BTreeSet<&String> = labelled.values.values().flatten().collect();
        let differs = match label {
            // A reprint or a copy may repeat one.
            Label::Sequence => distinct.len() * 10 >= samples * 8,
            Label::Store | Label::Workstation | Label::Member => known(text),
        };
        covers && once && differs
    });
    candidates
        .max_by_key(|(text, labelled)| {
            let numeric = labelled
                .values
                .values()
                .flatten()
                .all(|v| v.chars().all(|c| c.is_ascii_digit()));
            let other = words::label(text).is_some_and(|hit| hit.what != label);
            (known(text), !other, numeric, std::cmp::Reverse(text.len()))
        })
        .filter(|(text, _)| {
            let unknown = words::label(text).is_none() && words::meaning(text).is_none();
            known(text) || (label == Label::Sequence && samples >= UNNAMED_SAMPLES_MIN && unknown)
        })
}

fn label_text(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(regex::escape).collect();
    let bound = if text.starts_with(|c: char| c.is_alphabetic() && !words::is_wide(c)) {
        r"\b"
    } else {
        ""
    };
    format!(r"{bound}{}\s*", words.join(r"\s+"))
}

fn label_pattern(text: &str, group: &str, labelled: &Labelled) -> String {
    let numeric = labelled
        .values
        .values()
        .flatten()
        .all(|v| v.chars().all(|c| c.is_ascii_digit()));
    let value = if numeric { "[0-9]+" } else { "[A-Za-z0-9/-]+" };
    format!("{}(?<{group}>{value})", label_text(text))
}
