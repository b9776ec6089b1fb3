//! Transactions as JSON, one object a line (NDJSON).
//!
//! Without a map the names are those of this project's own export `transactions`: `store`,
//! `sequence`, `total_minor`, `items[].item_id`, `tenders[].kind` and so on. A map in the settings
//! names other places by their path, as in `totals.grand`, or `payments.0.amount` for the first of
//! an array. What a path does not reach is not told.
//!
//! What is deliberately lacking: JSON over several lines, and NDJSON's records of other kinds; such
//! a line is a fault unless its kind is set to be skipped.

use std::collections::BTreeMap;

use serde_json::Value;

use super::draft::{Draft, Field, ItemField, TenderField, Texts};
use super::entry::{Entry, Found, LineFault, Mark};
use super::lines::{LINE_BYTES_MAX, Line, Lines, TextEncoding};
use super::value::{AmountUnit, DecimalMark, ValueRules};

/// Lines of goods or payments of one transaction; one with more is refused.
pub(super) const PARTS_MAX: usize = 10_000;

/// A place inside an object: names, or numbers from 0 in arrays, apart by dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<String>);

/// A text that is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no path: write names apart by points, as in \"totals.grand\"")]
pub struct PathError(pub String);

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// [`PathError`] when a name in it is empty.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let names: Vec<String> = text.split('.').map(|name| name.trim().to_owned()).collect();
        match names.iter().any(String::is_empty) {
            true => Err(PathError(text.to_owned())),
            false => Ok(Self(names)),
        }
    }

    fn find<'v>(&self, object: &'v Value) -> Option<&'v Value> {
        self.0
            .iter()
            .try_fold(object, |value, name| match value {
                Value::Object(map) => map.get(name),
                Value::Array(list) => list.get(name.parse::<usize>().ok()?),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            })
            .filter(|value| !value.is_null())
    }
}

/// How a folder's NDJSON is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NdjsonSettings {
    /// Encoding where the first bytes prove none.
    pub encoding: TextEncoding,
    /// How values are written.
    pub rules: ValueRules,
    /// Where the transaction's own values are.
    pub fields: BTreeMap<Field, Path>,
    /// Where its lines of goods are, an array.
    pub items: Option<Path>,
    /// Where a line's values are, inside it.
    pub item_fields: BTreeMap<ItemField, Path>,
    /// Where its payments are, an array; `None` for a source that tells none.
    pub tenders: Option<Path>,
    /// Where a payment's values are, inside it.
    pub tender_fields: BTreeMap<TenderField, Path>,
}

impl NdjsonSettings {
    /// Makes the settings of this project's own names; those of amounts end in `_minor` where they
    /// are minor units.
    pub fn new(unit: AmountUnit) -> Self {
        let ending = match unit {
            AmountUnit::Major => "",
            AmountUnit::Minor => "_minor",
        };
        let path = |name: &str, amount: bool| {
            let ending = if amount { ending } else { "" };
            Path(vec![format!("{name}{ending}")])
        };
        let fields = Field::ALL.iter().map(|&field| {
            let amount = matches!(
                field,
                Field::Total | Field::Discount | Field::Tax | Field::Change
            );
            (field, path(field.name(), amount))
        });
        let items = ItemField::ALL.iter().map(|&field| {
            let amount = matches!(
                field,
                ItemField::UnitPrice | ItemField::Amount | ItemField::Discount
            );
            (field, path(field.name(), amount))
        });
        let tenders = TenderField::ALL
            .iter()
            .map(|&field| (field, path(field.name(), field == TenderField::Amount)));
        Self {
            encoding: TextEncoding::default(),
            rules: ValueRules::new(unit),
            fields: fields.collect(),
            items: Some(path("items", false)),
            item_fields: items.collect(),
            tenders: Some(path("tenders", false)),
            tender_fields: tenders.collect(),
        }
    }
}

/// Reads NDJSON as it comes.
pub struct NdjsonDecoder {
    settings: NdjsonSettings,
    lines: Lines,
}

impl NdjsonDecoder {
    /// Starts at the beginning of a file.
    pub fn new(settings: NdjsonSettings) -> Self {
        Self {
            lines: Lines::new(settings.encoding),
            settings,
        }
    }

    /// Takes more of the file; adds what it completes to `out`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Found>) {
        let settings = &self.settings;
        self.lines
            .feed(bytes, &mut |line| out.extend(read(settings, &line)));
    }

    /// Takes what is left for the last line: the file is closed, or has been quiet for long.
    pub fn end(&mut self, out: &mut Vec<Found>) {
        let settings = &self.settings;
        self.lines
            .end(&mut |line| out.extend(read(settings, &line)));
    }

    /// Returns whether [`Self::jump`] can be used: the encoding is known.
    pub fn head_is_read(&self) -> bool {
        self.lines.is_sniffed()
    }

    /// Goes on at `mark` of an earlier [`Found`]; the next bytes are those behind it.
    pub fn jump(&mut self, mark: Mark) {
        self.lines.jump(mark);
    }

    /// Returns how many bytes of the file are held.
    pub fn buffered_bytes(&self) -> usize {
        self.lines.buffered_bytes()
    }

    /// Returns how many lines held bytes that the encoding does not know, shown as U+FFFD.
    pub fn replaced_lines(&self) -> u64 {
        self.lines.replaced_lines()
    }
}

fn read(settings: &NdjsonSettings, line: &Line<'_>) -> Option<Found> {
    if !line.too_long && line.text.trim().is_empty() {
        return None;
    }
    let result = match line.too_long {
        true => Err(format!(
            "the line is longer than {LINE_BYTES_MAX} bytes: have the POS write one transaction a \
             line"
        )),
        false => transaction(settings, line.text),
    };
    let entry = match result {
        Ok(Some(sale)) => Entry::Sale(Box::new(sale)),
        Ok(None) => return None,
        Err(problem) => Entry::Fault(LineFault {
            line: line.number,
            problem,
        }),
    };
    Some(Found {
        entry,
        mark: line.end,
    })
}

fn transaction(settings: &NdjsonSettings, text: &str) -> Result<Option<crate::sale::Sale>, String> {
    let object: Value = serde_json::from_str(text).map_err(|error| {
        // serde_json's own text may show what stands in the line.
        format!(
            "this is no JSON (column {}): have the POS write the transaction again",
            error.column()
        )
    })?;
    if !object.is_object() {
        return Err(
            "this is JSON but no object: have the POS write one transaction a line".to_owned(),
        );
    }
    let decimal = settings.rules.decimal;
    let mut draft = Draft::new(settings.tenders.is_some());
    fill(&mut draft.fields, &settings.fields, &object, decimal)?;
    for part in parts(settings.items.as_ref(), &object, "items")? {
        let mut texts = Texts::new();
        fill(&mut texts, &settings.item_fields, part, decimal)?;
        draft.items.push(texts);
    }
    for part in parts(settings.tenders.as_ref(), &object, "tenders")? {
        let mut texts = Texts::new();
        fill(&mut texts, &settings.tender_fields, part, decimal)?;
        draft.tenders.push(texts);
    }
    draft.settle(&settings.rules)
}

fn parts<'v>(path: Option<&Path>, object: &'v Value, name: &str) -> Result<&'v [Value], String> {
    let Some(found) = path.and_then(|path| path.find(object)) else {
        return Ok(&[]);
    };
    match found {
        Value::Array(list) if list.len() <= PARTS_MAX => Ok(list),
        Value::Array(list) => Err(format!(
            "{} {name} are more than {PARTS_MAX}: have the transaction checked",
            list.len()
        )),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Err(format!(
                "{name} is no array: correct its path in [journal.fields]"
            ))
        }
    }
}

fn fill<F: Copy + PartialEq>(
    texts: &mut Texts<F>,
    places: &BTreeMap<F, Path>,
    object: &Value,
    decimal: DecimalMark,
) -> Result<(), String> {
    for (&field, path) in places {
        match path.find(object) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => texts.set(field, text),
            Some(Value::Bool(is)) => texts.set(field, if *is { "true" } else { "false" }),
            Some(Value::Number(number)) => texts.set(field, &plain(number, decimal)),
            Some(Value::Array(_) | Value::Object(_)) => {
                return Err(format!(
                    "{} holds more than a value: correct its path in [journal.fields]",
                    path.0.join(".")
                ));
            }
        }
    }
    Ok(())
}

/// Writes a JSON number with the decimal mark of the settings: JSON's own is always the point.
fn plain(number: &serde_json::Number, decimal: DecimalMark) -> String {
    let text = number.to_string();
    let text = match rust_decimal::Decimal::from_scientific(&text) {
        Ok(value) if text.contains(['e', 'E']) => value.to_string(),
        Ok(_) | Err(_) => text,
    };
    match decimal {
        DecimalMark::Point => text,
        DecimalMark::Comma => text.replace('.', ","),
    }
}
