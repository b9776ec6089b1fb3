//! The settings of journals: what their files hold, and by what names and in what form.

mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tillbind_firmware_bridge::journal::TextEncoding;
use tillbind_firmware_bridge::journal::csv::{Column, ColumnRole, CsvSettings, RowMeaning};
use tillbind_firmware_bridge::journal::decoder::LineFormat;
use tillbind_firmware_bridge::journal::draft::{Field, ItemField, TenderField};
use tillbind_firmware_bridge::journal::ndjson::{NdjsonSettings, Path};
use tillbind_firmware_bridge::journal::value::AmountUnit;

use super::{At, Reader};
use crate::config::place::Fault;
use crate::config::{JournalConfig, JournalFormat, LineJournal, file};

/// How long a file must not grow before its end is taken for whole, without a setting.
const QUIET_S_DEFAULT: u64 = 60;
/// Longest quiet time, in seconds: a sale told a day late is of no use.
const QUIET_S_MAX: u64 = 86_400;
/// No table has more columns.
const COLUMN_MAX: i64 = 1_024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Poslog,
    Ndjson,
    Csv,
}

impl Reader<'_, '_> {
    pub(super) fn journal(
        &mut self,
        n: usize,
        mut journal: file::Journal,
    ) -> Option<JournalConfig> {
        let at = |name| At("journal", Some(n), name);
        let name = self.device_name(journal.name.take(), at("name"));
        let format = self.choice(
            journal.format.take(),
            at("format"),
            None,
            &[
                ("poslog", Word::Poslog),
                ("ndjson", Word::Ndjson),
                ("csv", Word::Csv),
            ],
        );
        let dir = self.needed(
            journal.dir.take(),
            at("dir"),
            "the directory that the POS writes to",
        );
        if let Some(format) = format {
            self.refuse_foreign(n, &journal, format);
        }
        let format = match format? {
            Word::Poslog => self.poslog(n, &journal),
            Word::Ndjson => self.ndjson(n, &journal),
            Word::Csv => self.csv(n, &journal),
        };
        Some(JournalConfig {
            name: name?,
            format: format?,
            dir: PathBuf::from(dir?),
        })
    }

    /// Refuses settings that the format does not have: left alone, they would be ignored.
    fn refuse_foreign(&mut self, n: usize, journal: &file::Journal, format: Word) {
        let of_lines = [
            ("encoding", journal.encoding.is_some()),
            ("extensions", journal.extensions.is_some()),
            ("currency", journal.currency.is_some()),
            ("amounts", journal.amounts.is_some()),
            ("decimal", journal.decimal.is_some()),
            ("time_format", journal.time_format.is_some()),
            ("date_format", journal.date_format.is_some()),
            ("clock_format", journal.clock_format.is_some()),
            ("zone", journal.zone.is_some()),
            ("tax_included", journal.tax_included.is_some()),
            (
                "amounts_after_discount",
                journal.amounts_after_discount.is_some(),
            ),
            ("returns", journal.returns.is_some()),
            ("kinds", !journal.kinds.is_empty()),
        ];
        let of_ndjson = [
            ("fields", !journal.fields.is_empty()),
            ("item_fields", !journal.item_fields.is_empty()),
            ("tender_fields", !journal.tender_fields.is_empty()),
        ];
        let of_csv = [
            ("delimiter", journal.delimiter.is_some()),
            ("quote", journal.quote.is_some()),
            ("header", journal.header.is_some()),
            ("columns", !journal.columns.is_empty()),
            ("row_kinds", !journal.row_kinds.is_empty()),
        ];
        let mut refuse = |settings: &[(&'static str, bool)], formats: &str| {
            for (setting, _) in settings.iter().filter(|(_, is_written)| *is_written) {
                self.fault(
                    At("journal", Some(n), setting),
                    format!("{setting} works with format = {formats}: take it out"),
                );
            }
        };
        if format == Word::Poslog {
            if journal.follow != Some(true) {
                refuse(
                    &[("quiet_s", journal.quiet_s.is_some())],
                    "\"ndjson\" or \"csv\", or with follow = true",
                );
            }
            refuse(&of_lines, "\"ndjson\" or \"csv\"");
        }
        if format != Word::Poslog {
            refuse(
                &[("follow", journal.follow.is_some())],
                "\"poslog\" (the others are always followed)",
            );
        }
        if format != Word::Ndjson {
            refuse(&of_ndjson, "\"ndjson\"");
        }
        if format != Word::Csv {
            refuse(&of_csv, "\"csv\"");
        }
    }

    fn poslog(&mut self, n: usize, journal: &file::Journal) -> Option<JournalFormat> {
        match journal.follow {
            Some(true) => self.quiet(n, journal).map(JournalFormat::GrowingPoslog),
            Some(false) | None => Some(JournalFormat::Poslog),
        }
    }

    fn quiet(&mut self, n: usize, journal: &file::Journal) -> Option<Duration> {
        let at = At("journal", Some(n), "quiet_s");
        match journal.quiet_s {
            None => Some(QUIET_S_DEFAULT),
            value => self.number(value, at, 1, QUIET_S_MAX, QUIET_S_DEFAULT),
        }
        .map(Duration::from_secs)
    }

    fn ndjson(&mut self, n: usize, journal: &file::Journal) -> Option<JournalFormat> {
        let is_mapped = !journal.fields.is_empty()
            || !journal.item_fields.is_empty()
            || !journal.tender_fields.is_empty();
        // This project's own names say themselves that amounts are minor units.
        let default = (!is_mapped).then_some("minor");
        let rules = self.rules(n, journal, default);
        let encoding = self.encoding(n, journal);
        let lines = self.lines(n, journal, &["ndjson", "jsonl", "json"]);
        let unit = rules.as_ref().map_or(AmountUnit::Minor, |rules| rules.unit);
        let mut settings = NdjsonSettings::new(unit);
        let mut top = BTreeMap::new();
        for (name, path) in &journal.fields {
            match name.as_str() {
                "items" => settings.items = self.path(n, "fields", name, path),
                "tenders" => settings.tenders = self.path(n, "fields", name, path),
                _ => drop(top.insert(name.clone(), path.clone())),
            }
        }
        let mut known: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
        known.extend(["items", "tenders"]);
        self.paths(
            n,
            "fields",
            &top,
            Field::parse,
            &known,
            &mut settings.fields,
        );
        let known: Vec<&str> = ItemField::ALL.iter().map(|field| field.name()).collect();
        self.paths(
            n,
            "item_fields",
            &journal.item_fields,
            ItemField::parse,
            &known,
            &mut settings.item_fields,
        );
        let known: Vec<&str> = TenderField::ALL.iter().map(|field| field.name()).collect();
        self.paths(
            n,
            "tender_fields",
            &journal.tender_fields,
            TenderField::parse,
            &known,
            &mut settings.tender_fields,
        );
        settings.rules = rules?;
        settings.encoding = encoding?;
        lines?.with(LineFormat::Ndjson(Box::new(settings)))
    }

    /// Reads a path; an empty one says that the source does not tell this.
    fn path(&mut self, n: usize, table: &'static str, name: &str, text: &str) -> Option<Path> {
        if text.trim().is_empty() {
            return None;
        }
        Path::parse(text)
            .map_err(|error| self.fault_within(n, table, name, error.to_string()))
            .ok()
    }

    fn paths<F: Ord + Copy>(
        &mut self,
        n: usize,
        table: &'static str,
        written: &BTreeMap<String, String>,
        find: impl Fn(&str) -> Option<F>,
        known: &[&str],
        places: &mut BTreeMap<F, Path>,
    ) {
        for (name, text) in written {
            let Some(field) = find(name) else {
                let message = format!("{name:?} is no field: write one of {}", known.join(", "));
                self.fault_within(n, table, name, message);
                continue;
            };
            match self.path(n, table, name, text) {
                Some(path) => drop(places.insert(field, path)),
                None => drop(places.remove(&field)),
            }
        }
    }

    fn csv(&mut self, n: usize, journal: &file::Journal) -> Option<JournalFormat> {
        let at = |name| At("journal", Some(n), name);
        let rules = self.rules(n, journal, None);
        let encoding = self.encoding(n, journal);
        let lines = self.lines(n, journal, &["csv", "txt", "tsv"]);
        let delimiter = self.choice(
            journal.delimiter.clone(),
            at("delimiter"),
            Some(","),
            &[
                (",", b','),
                (";", b';'),
                ("\t", b'\t'),
                ("tab", b'\t'),
                ("|", b'|'),
            ],
        );
        let quote = self.choice(
            journal.quote.clone(),
            at("quote"),
            Some("\""),
            &[("\"", b'"'), ("'", b'\'')],
        );
        let header = journal.header.unwrap_or(true);
        let mut columns = BTreeMap::new();
        for (name, column) in &journal.columns {
            let Some(role) = ColumnRole::parse(name) else {
                let known: Vec<&str> = Field::ALL
                    .iter()
                    .map(|&field| ColumnRole::Field(field))
                    .chain(ItemField::ALL.iter().map(|&field| ColumnRole::Item(field)))
                    .chain(TenderField::ALL.iter().map(|&f| ColumnRole::Tender(f)))
                    .chain([ColumnRole::RowKind])
                    .map(ColumnRole::name)
                    .collect();
                let message = format!("{name:?} is no column: write one of {}", known.join(", "));
                self.fault_within(n, "columns", name, message);
                continue;
            };
            let column = match column {
                file::Column::Number(number @ 1..=COLUMN_MAX) => {
                    usize::try_from(*number).ok().map(Column::Numbered)
                }
                file::Column::Number(number) => {
                    let message =
                        format!("column {number} cannot be used: write 1 to {COLUMN_MAX}");
                    self.fault_within(n, "columns", name, message);
                    None
                }
                file::Column::Name(_) if !header => {
                    let message = "without a header columns have numbers alone: write one from 1";
                    self.fault_within(n, "columns", name, message.to_owned());
                    None
                }
                file::Column::Name(text) => Some(Column::Named(text.clone())),
            };
            columns.extend(column.map(|column| (role, column)));
        }
        let mut row_kinds = BTreeMap::new();
        for (word, meaning) in &journal.row_kinds {
            let words = [
                ("item", RowMeaning::Item),
                ("tender", RowMeaning::Tender),
                ("discount", RowMeaning::Discount),
                ("transaction", RowMeaning::Transaction),
                ("skip", RowMeaning::Skipped),
            ];
            let meaning = self.meaning(n, "row_kinds", word, meaning, &words);
            row_kinds.extend(meaning.map(|meaning| (word.trim().to_lowercase(), meaning)));
        }
        self.check_columns(n, journal, &columns);
        let mut settings = CsvSettings::new(rules?);
        settings.encoding = encoding?;
        settings.delimiter = delimiter?;
        settings.quote = quote?;
        settings.header = header;
        settings.columns = columns;
        settings.row_kinds = row_kinds;
        lines?.with(LineFormat::Csv(Box::new(settings)))
    }

    /// Sees that what is mapped makes a sale.
    fn check_columns(
        &mut self,
        n: usize,
        journal: &file::Journal,
        columns: &BTreeMap<ColumnRole, Column>,
    ) {
        let has = |name: &str| journal.columns.contains_key(name);
        let mut needs = |message: &str| {
            self.fault(At("journal", Some(n), "columns"), message.to_owned());
        };
        if !has("sequence") {
            needs("[journal.columns] needs \"sequence\": the column of the receipt's number");
        }
        if !has("amount") && !has("unit_price") {
            needs("[journal.columns] needs \"amount\" or \"unit_price\" of the goods");
        }
        if has("date") != has("time") {
            needs("[journal.columns] needs \"date\" and \"time\" together, or \"ended_at\"");
        }
        if has("row_kind") == journal.row_kinds.is_empty() {
            needs(
                "the column \"row_kind\" and [journal.row_kinds] need each other: say what each \
                 of its words means",
            );
        }
        let currency = ColumnRole::Field(Field::Currency);
        let told = journal.currency.is_some() || self.currency.is_some();
        if !told && !columns.contains_key(&currency) {
            self.fault(
                At("journal", Some(n), "currency"),
                "nothing names the currency: write currency = \"EUR\" here or in [store], or map \
                 its column"
                    .to_owned(),
            );
        }
    }

    fn encoding(&mut self, n: usize, journal: &file::Journal) -> Option<TextEncoding> {
        match &journal.encoding {
            None => Some(TextEncoding::default()),
            Some(name) => self.word(
                TextEncoding::parse(name),
                At("journal", Some(n), "encoding"),
            ),
        }
    }

    fn lines(&mut self, n: usize, journal: &file::Journal, endings: &[&str]) -> Option<Lines> {
        let at = |name| At("journal", Some(n), name);
        let quiet = self.quiet(n, journal);
        let extensions = match &journal.extensions {
            None => endings.iter().map(|&ending| ending.to_owned()).collect(),
            Some(written) => written.clone(),
        };
        let is_ending = |ending: &String| {
            !ending.is_empty() && !ending.contains(['.', '/']) && ending.trim() == ending
        };
        if extensions.is_empty() || !extensions.iter().all(is_ending) {
            self.fault(
                at("extensions"),
                "extensions are endings of names without the dot: write them as in [\"csv\"]"
                    .to_owned(),
            );
            return None;
        }
        Some(Lines {
            extensions,
            quiet: quiet?,
        })
    }

    fn fault_within(&mut self, n: usize, table: &'static str, name: &str, message: String) {
        self.faults.push(Fault {
            line: self.places.line_within("journal", n, table, name),
            message,
        });
    }
}

/// What both formats have.
struct Lines {
    extensions: Vec<String>,
    quiet: Duration,
}

impl Lines {
    fn with(self, format: LineFormat) -> Option<JournalFormat> {
        Some(JournalFormat::Lines(LineJournal {
            format,
            extensions: self.extensions,
            quiet: self.quiet,
        }))
    }
}
