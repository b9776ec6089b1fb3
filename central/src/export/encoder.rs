//! Lines as bytes: a JSON object a line, or CSV made from the same objects.
//!
//! CSV has a header, commas, `"` where needed and `\n` (RFC 4180 but for the line's end). A cell of
//! text is the text, a number or flag is as in JSON, nothing is an empty cell, a list or object is
//! its JSON. Spreadsheets take a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return
//! for a formula, and many texts come from receipts and shoppers: a **text** that begins so, or with
//! an apostrophe, gets an apostrophe in front. Who reads exactly drops one leading apostrophe from
//! every cell that has one; numbers never get one.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What a spreadsheet might run, and the mark itself, so that taking it away is exact.
const GUARDED: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\''];

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
}

impl Format {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// Returns the media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

/// A word that is no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no format: use ndjson or csv")]
pub struct FormatError(String);

impl std::str::FromStr for Format {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, FormatError> {
        [Self::Ndjson, Self::Csv]
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| FormatError(text.chars().take(32).collect()))
    }
}

/// Lines that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A line is no JSON object.
    #[error("a line is no JSON object")]
    Line(#[source] serde_json::Error),
    /// The CSV writer refused.
    #[error("a line cannot be written as CSV")]
    Csv(#[source] csv::Error),
}

/// Writes the header, if the format has one.
///
/// # Errors
/// [`EncodeError`].
pub(super) fn header(format: Format, columns: &[&str]) -> Result<Vec<u8>, EncodeError> {
    match format {
        Format::Ndjson => Ok(Vec::new()),
        Format::Csv => csv_bytes(|csv| csv.write_record(columns)),
    }
}

/// Writes lines, each a JSON object without a line's end in it.
///
/// # Errors
/// [`EncodeError`].
pub(super) fn lines(format: Format, lines: &[String]) -> Result<Vec<u8>, EncodeError> {
    match format {
        Format::Ndjson => {
            let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
            for line in lines {
                bytes.extend_from_slice(line.as_bytes());
                bytes.push(b'\n');
            }
            Ok(bytes)
        }
        Format::Csv => {
            let mut records = Vec::with_capacity(lines.len());
            for line in lines {
                let object: Object<'_> = serde_json::from_str(line).map_err(EncodeError::Line)?;
                let cells: Result<Vec<_>, _> = object.values.into_iter().map(cell).collect();
                records.push(cells?);
            }
            csv_bytes(|csv| {
                for record in &records {
                    csv.write_record(record.iter().map(|cell| cell.as_bytes()))?;
                }
                Ok(())
            })
        }
    }
}

fn csv_bytes(
    write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error>,
) -> Result<Vec<u8>, EncodeError> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    write(&mut csv).map_err(EncodeError::Csv)?;
    csv.into_inner()
        .map_err(|e| EncodeError::Csv(csv::Error::from(e.into_error())))
}

fn cell(value: &RawValue) -> Result<Cow<'_, str>, EncodeError> {
    let json = value.get();
    if json == "null" {
        return Ok(Cow::Borrowed(""));
    }
    if !json.starts_with('"') {
        return Ok(Cow::Borrowed(json));
    }
    let text: String = serde_json::from_str(json).map_err(EncodeError::Line)?;
    if text.starts_with(GUARDED) {
        return Ok(Cow::Owned(format!("'{text}")));
    }
    Ok(Cow::Owned(text))
}

/// An object's values in their order.
struct Object<'j> {
    values: Vec<&'j RawValue>,
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
                let mut values = Vec::new();
                while let Some((_, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    values.push(value);
                }
                Ok(Object { values })
            }
        }
        deserializer.deserialize_map(Values)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes lines below a header, as every export is, and reads them with another's reader.
    fn there_and_back(line: &str) -> Vec<Vec<String>> {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).unwrap();
        let columns: Vec<&str> = object.keys().map(String::as_str).collect();
        let mut bytes = header(Format::Csv, &columns).unwrap();
        bytes.append(&mut lines(Format::Csv, &[line.to_owned()]).unwrap());
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        assert_eq!(reader.headers().unwrap(), columns);
        reader
            .records()
            .map(|record| record.unwrap().iter().map(str::to_owned).collect())
            .collect()
    }

    #[test]
    fn a_foreign_text_is_never_a_formula_and_a_negative_number_stays_one() {
        let line =
            r#"{"a":"=HYPERLINK(\"x\")","b":-5,"c":"'=1","d":null,"e":[{"q":1.50}],"f":true}"#;
        assert_eq!(
            there_and_back(line),
            [[
                "'=HYPERLINK(\"x\")",
                "-5",
                "''=1",
                "",
                r#"[{"q":1.50}]"#,
                "true"
            ]]
        );
    }

    proptest! {
        #[test]
        fn every_text_reads_back_by_dropping_one_apostrophe(texts in prop::collection::vec(".*", 1..4)) {
            let object: serde_json::Map<_, _> = texts
                .iter()
                .enumerate()
                .map(|(n, text)| (format!("c{n}"), text.clone().into()))
                .collect();
            let line = serde_json::to_string(&object).unwrap();
            let read = there_and_back(&line);
            let exact: Vec<&str> = read[0]
                .iter()
                .map(|cell| cell.strip_prefix('\'').unwrap_or(cell))
                .collect();
            prop_assert_eq!(exact, texts);
        }
    }
}
