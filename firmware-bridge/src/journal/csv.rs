//! Transactions as rows (CSV, RFC 4180 with any delimiter), by a map of columns.
//!
//! Each row is a line of goods, a payment, a discount of the whole or nothing but values of the
//! transaction; a column of kinds says which, and without one every row is goods. Rows that follow
//! one another with the same key (store, till, day, number) are one transaction. It is told when
//! the next key comes, or at [`CsvDecoder::end`]: until then nothing says that it is complete.
//!
//! A quoted value may span lines, but not many: a quote that nobody closes costs its line, and the
//! lines behind it are read. A row that cannot be read costs its transaction; one whose key cannot
//! be read costs the open transaction only where no total is mapped that would show it missing.
//!
//! What is deliberately lacking: escapes other than the doubled quote.

mod columns;

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use zeroize::Zeroize;

use super::draft::{Draft, Field, ItemField, TenderField, Texts};
use super::entry::{Entry, Found, LineFault, Mark};
use super::lines::{LINE_BYTES_MAX, Line, Lines};
use super::ndjson::PARTS_MAX;
use super::value::hidden;
use columns::numbered;
pub use columns::{Column, ColumnRole, CsvSettings, RowMeaning};

/// Lines of one row; a quote open for longer is taken for a stray one. More lines cost memory, and
/// time on a file that is full of stray quotes.
const ROW_LINES_MAX: usize = 32;
/// Bytes of one row that spans lines; with more it is taken for one with a stray quote.
const ROW_BYTES_MAX: usize = 64 * 1024;
/// Columns of one row; a row with more is refused.
const COLUMNS_MAX: usize = 1_024;
/// Bytes of values kept of one transaction; one with more is refused.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Rows without a readable key that are told with one open transaction; further ones are not.
const LOOSE_FAULTS_MAX: usize = 16;
/// Keys remembered, to notice rows of a transaction that come apart from the others.
const KEYS_MAX: usize = 256;
/// Names of a header that are shown in a fault.
const NAMES_SHOWN_MAX: usize = 20;

/// A line of an open row, kept until the row is whole.
struct OpenLine {
    number: u64,
    text: String,
    end: Mark,
}

impl Drop for OpenLine {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

/// A transaction of which rows may still come.
struct Group {
    key: Vec<String>,
    first_line: u64,
    /// Start of its first row.
    start: Mark,
    rows: usize,
    /// Whether all rows so far were to be skipped.
    is_skipped: bool,
    bytes: usize,
    /// Rows between its own that could not be read, and whose key nobody knows.
    loose: Vec<LineFault>,
    draft: Draft,
    fault: Option<LineFault>,
}

/// Reads CSV as it comes.
pub struct CsvDecoder {
    lines: Lines,
    rows: Rows,
}

/// What comes after the lines.
struct Rows {
    settings: CsvSettings,
    reader: Box<Reader>,
    /// Index from 0 of each mapped column; `None` until the header was read.
    places: Option<Vec<(ColumnRole, usize)>>,
    unfit: bool,
    open: VecDeque<OpenLine>,
    open_bytes: usize,
    group: Option<Group>,
    /// End of the last row that was read.
    at: Mark,
    keys: VecDeque<u64>,
    field_bytes: Vec<u8>,
    field_ends: Vec<usize>,
    /// Of these, used by the row so far.
    bytes_used: usize,
    ends_used: usize,
}

impl CsvDecoder {
    /// Starts at the beginning of a file.
    pub fn new(settings: CsvSettings) -> Self {
        let reader = ReaderBuilder::new()
            .delimiter(settings.delimiter)
            .quote(settings.quote)
            .terminator(csv_core::Terminator::Any(b'\n'))
            .build();
        let places = (!settings.header).then(|| numbered(&settings.columns));
        Self {
            lines: Lines::new(settings.encoding),
            rows: Rows {
                settings,
                reader: Box::new(reader),
                places,
                unfit: false,
                open: VecDeque::new(),
                open_bytes: 0,
                group: None,
                at: Mark::START,
                keys: VecDeque::new(),
                field_bytes: Vec::new(),
                field_ends: vec![0; COLUMNS_MAX],
                bytes_used: 0,
                ends_used: 0,
            },
        }
    }

    /// Takes more of the file; adds what it completes to `out`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Found>) {
        let rows = &mut self.rows;
        self.lines
            .feed(bytes, &mut |line| rows.handle_line(&line, out));
    }

    /// Takes what is left for the last row, and the last transaction for complete: the file is
    /// closed, or has been quiet for long.
    pub fn end(&mut self, out: &mut Vec<Found>) {
        let rows = &mut self.rows;
        self.lines.end(&mut |line| rows.handle_line(&line, out));
        while !rows.open.is_empty() {
            rows.give_up_first_line(out);
        }
        rows.finish_group(out);
    }

    /// Returns whether [`Self::jump`] can be used: encoding and header are known.
    pub fn head_is_read(&self) -> bool {
        self.lines.is_sniffed() && self.rows.places.is_some()
    }

    /// Goes on at `mark` of an earlier [`Found`]; the next bytes are those behind it.
    pub fn jump(&mut self, mark: Mark) {
        self.lines.jump(mark);
        self.rows.open.clear();
        self.rows.open_bytes = 0;
        self.rows.group = None;
        self.rows.at = mark;
        self.rows.keys.clear();
    }

    /// Returns how many bytes of the file are held, those of an open transaction left out.
    pub fn buffered_bytes(&self) -> usize {
        self.lines.buffered_bytes() + self.rows.open_bytes
    }

    /// Returns how many rows of an open transaction are held.
    pub fn open_rows(&self) -> usize {
        self.rows.group.as_ref().map_or(0, |group| group.rows)
    }

    /// Returns how many lines held bytes that the encoding does not know, shown as U+FFFD.
    pub fn replaced_lines(&self) -> u64 {
        self.lines.replaced_lines()
    }
}

impl Rows {
    fn handle_line(&mut self, line: &Line<'_>, out: &mut Vec<Found>) {
        if self.unfit {
            return;
        }
        if line.too_long {
            while !self.open.is_empty() {
                self.give_up_first_line(out);
            }
            let problem = format!(
                "the line is longer than {LINE_BYTES_MAX} bytes: have the file checked where it \
                 was made"
            );
            self.fail_lines(line.number, line.end, problem, out);
            return;
        }
        if self.open.is_empty() && line.text.trim().is_empty() {
            return;
        }
        self.take(line.number, line.text, line.end, out);
    }

    /// Adds a line to the row that is open, if any, and reads the row if that makes it whole.
    fn take(&mut self, number: u64, text: &str, end: Mark, out: &mut Vec<Found>) {
        if self.open.is_empty() {
            self.start_row();
        }
        if self.add(text) {
            let first = self.open.front().map_or(number, |line| line.number);
            self.open.clear();
            self.open_bytes = 0;
            self.read_row(first, end, out);
            self.at = end;
            return;
        }
        self.open_bytes += text.len();
        self.open.push_back(OpenLine {
            number,
            text: text.to_owned(),
            end,
        });
        if self.open.len() >= ROW_LINES_MAX || self.open_bytes > ROW_BYTES_MAX {
            self.give_up_first_line(out);
        }
    }

    /// Takes the quote in the first line of the open row for a stray one, and reads the lines
    /// behind it anew.
    fn give_up_first_line(&mut self, out: &mut Vec<Found>) {
        let mut lines = std::mem::take(&mut self.open);
        self.open_bytes = 0;
        if let Some(first) = lines.pop_front() {
            let problem = "a quote is opened and not closed: double a quote that is part of a \
                           value, or correct the setting \"quote\"";
            self.fail_lines(first.number, first.end, problem.to_owned(), out);
        }
        for line in lines {
            if self.unfit {
                return;
            }
            self.take(line.number, &line.text, line.end, out);
        }
    }

    fn start_row(&mut self) {
        self.reader.reset();
        self.field_bytes.as_mut_slice().zeroize();
        self.bytes_used = 0;
        self.ends_used = 0;
    }

    /// Splits one more line into values; returns whether the row is whole with it.
    fn add(&mut self, line: &str) -> bool {
        let needed = self.bytes_used + line.len() + 1;
        if self.field_bytes.len() < needed {
            self.field_bytes.resize(needed, 0);
        }
        for mut part in [line.as_bytes(), b"\n"] {
            while !part.is_empty() {
                let (result, read, wrote, ended) = self.reader.read_record(
                    part,
                    &mut self.field_bytes[self.bytes_used..],
                    &mut self.field_ends[self.ends_used..],
                );
                part = &part[read..];
                self.bytes_used += wrote;
                self.ends_used += ended;
                match result {
                    ReadRecordResult::InputEmpty => {}
                    // Values behind the last column that counts are not read.
                    ReadRecordResult::OutputEndsFull
                    | ReadRecordResult::OutputFull
                    | ReadRecordResult::Record => return true,
                    ReadRecordResult::End => return false,
                }
            }
        }
        false
    }

    fn cell(&self, index: usize) -> Option<&str> {
        let end = *self.field_ends[..self.ends_used].get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => *self.field_ends.get(before)?,
            None => 0,
        };
        // Cut at delimiters, which are ASCII.
        std::str::from_utf8(self.field_bytes.get(start..end)?).ok()
    }

    fn read_row(&mut self, number: u64, end: Mark, out: &mut Vec<Found>) {
        let Some(places) = self.places.take() else {
            self.read_header(number, end, out);
            return;
        };
        let result = self.sort_row(&places, number, out);
        self.places = Some(places);
        if let Err(problem) = result {
            self.fail_row(number, end, problem, out);
        }
    }

    fn read_header(&mut self, number: u64, end: Mark, out: &mut Vec<Found>) {
        let names: Vec<String> = (0..self.ends_used)
            .map_while(|index| self.cell(index))
            .map(|name| name.trim().to_owned())
            .collect();
        let mut places = numbered(&self.settings.columns);
        let mut missing = Vec::new();
        for (role, column) in &self.settings.columns {
            let Column::Named(name) = column else {
                continue;
            };
            let wanted = name.trim().to_lowercase();
            match names.iter().position(|n| n.to_lowercase() == wanted) {
                Some(index) => places.push((*role, index)),
                None => missing.push(format!("{name:?} ({})", role.name())),
            }
        }
        self.places = Some(places);
        if missing.is_empty() {
            return;
        }
        self.unfit = true;
        let shown: Vec<&str> = names
            .iter()
            .take(NAMES_SHOWN_MAX)
            .map(String::as_str)
            .collect();
        let problem = format!(
            "the header has no column {}: correct [journal.columns], or the delimiter; it has {}",
            missing.join(", "),
            shown.join(" | ")
        );
        out.push(Found {
            entry: Entry::Unfit(LineFault {
                line: number,
                problem,
            }),
            mark: end,
        });
    }

    /// Puts a row where it belongs: to the open transaction, or to one that it opens.
    fn sort_row(
        &mut self,
        places: &[(ColumnRole, usize)],
        number: u64,
        out: &mut Vec<Found>,
    ) -> Result<(), String> {
        let columns = self.ends_used;
        let needed = places.iter().map(|(_, index)| index + 1).max().unwrap_or(0);
        let cell_of = |rows: &Self, wanted: ColumnRole| {
            places
                .iter()
                .find(|(role, _)| *role == wanted)
                .and_then(|(_, index)| rows.cell(*index))
                .map(str::trim)
                .unwrap_or_default()
                .to_owned()
        };
        let key: Vec<String> = [
            Field::Store,
            Field::Workstation,
            Field::BusinessDay,
            Field::Sequence,
        ]
        .map(|field| cell_of(self, ColumnRole::Field(field)))
        .to_vec();
        let is_next = self.group.as_ref().is_none_or(|group| group.key != key);
        if key[3].is_empty() {
            self.finish_group(out);
            return Err(format!(
                "the row names no transaction (column \"sequence\"); it has {columns} columns: \
                 have the file checked where it was made"
            ));
        }
        if is_next {
            self.finish_group(out);
            self.open_group(key, number);
        }
        let meaning = match self.settings.columns.contains_key(&ColumnRole::RowKind) {
            false => RowMeaning::Item,
            true => {
                let word = cell_of(self, ColumnRole::RowKind);
                let known = self.settings.row_kinds.get(&word.to_lowercase()).copied();
                known.ok_or_else(|| {
                    format!(
                        "the row's kind {} is not known: say in [journal.row_kinds] what it is",
                        hidden(&word)
                    )
                })?
            }
        };
        if columns < needed {
            return Err(format!(
                "the row has {columns} columns, and column {needed} is mapped: have the file \
                 checked where it was made"
            ));
        }
        let (mut item, mut tender) = (Texts::new(), Texts::new());
        let mut fields = Vec::new();
        for (role, index) in places {
            let text = self.cell(*index).unwrap_or_default();
            match role {
                ColumnRole::Field(field) => fields.push((*field, text.to_owned())),
                ColumnRole::Item(field) => item.set(*field, text),
                ColumnRole::Tender(field) => tender.set(*field, text),
                ColumnRole::RowKind => {}
            }
        }
        let has_kinds = self.settings.columns.contains_key(&ColumnRole::RowKind);
        let Some(group) = &mut self.group else {
            return Ok(());
        };
        group.rows += 1;
        group.bytes += self.bytes_used;
        if group.rows > PARTS_MAX || group.bytes > GROUP_BYTES_MAX {
            group.draft = Draft::new(false);
            return Err(format!(
                "the transaction has more than {PARTS_MAX} rows or {GROUP_BYTES_MAX} bytes: \
                 correct which column is \"sequence\""
            ));
        }
        if group.fault.is_some() || meaning == RowMeaning::Skipped {
            return Ok(());
        }
        group.is_skipped = false;
        for (field, mut text) in fields {
            group.draft.fields.set(field, &text);
            text.zeroize();
        }
        match meaning {
            RowMeaning::Item => {
                // Without kinds of rows, a payment beside the goods is the transaction's own.
                if !has_kinds
                    && group.draft.tenders.is_empty()
                    && tender.get(TenderField::Amount).is_some()
                {
                    group.draft.tenders.push(tender);
                }
                group.draft.items.push(item);
            }
            RowMeaning::Tender => {
                if let Some(amount) = item.get(ItemField::Amount) {
                    tender.set(TenderField::Amount, amount);
                }
                group.draft.tenders.push(tender);
            }
            RowMeaning::Discount => {
                let amount = item
                    .get(ItemField::Discount)
                    .or_else(|| item.get(ItemField::Amount))
                    .ok_or("a row of a discount has no amount: map \"item_discount\"")?;
                group.draft.discounts.push(amount.to_owned());
            }
            RowMeaning::Transaction | RowMeaning::Skipped => {}
        }
        Ok(())
    }

    fn open_group(&mut self, key: Vec<String>, number: u64) {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let hash = hasher.finish();
        let fault = self.keys.contains(&hash).then(|| LineFault {
            line: number,
            problem: "rows of this transaction stand apart from its others: have the POS write \
                      them together"
                .to_owned(),
        });
        if self.keys.len() == KEYS_MAX {
            self.keys.pop_front();
        }
        self.keys.push_back(hash);
        self.group = Some(Group {
            key,
            first_line: number,
            start: self.at,
            rows: 0,
            is_skipped: true,
            bytes: 0,
            loose: Vec::new(),
            draft: Draft::new(self.settings.tells_tenders()),
            fault,
        });
    }

    /// Tells the open transaction.
    fn finish_group(&mut self, out: &mut Vec<Found>) {
        let Some(group) = self.group.take() else {
            return;
        };
        out.extend(group.loose.into_iter().map(|fault| Found {
            entry: Entry::Fault(fault),
            mark: group.start,
        }));
        let entry = match group.fault {
            Some(fault) => Entry::Fault(fault),
            None if group.is_skipped => return,
            None => match group.draft.settle(&self.settings.rules) {
                Ok(Some(sale)) => Entry::Sale(Box::new(sale)),
                Ok(None) => return,
                Err(problem) => Entry::Fault(LineFault {
                    line: group.first_line,
                    problem,
                }),
            },
        };
        out.push(Found {
            entry,
            mark: self.at,
        });
    }

    /// Tells a fault of a row that is part of the open transaction, if there is one.
    fn fail_row(&mut self, line: u64, end: Mark, problem: String, out: &mut Vec<Found>) {
        let fault = LineFault { line, problem };
        match &mut self.group {
            Some(group) => {
                group.fault.get_or_insert(fault);
            }
            None => out.push(Found {
                entry: Entry::Fault(fault),
                mark: end,
            }),
        }
        self.at = end;
    }

    /// Tells a fault of lines that may be part of the open transaction, of the next, or of none.
    fn fail_lines(&mut self, line: u64, end: Mark, problem: String, out: &mut Vec<Found>) {
        let total = ColumnRole::Field(Field::Total);
        match &mut self.group {
            Some(group) if self.settings.columns.contains_key(&total) => {
                if group.loose.len() < LOOSE_FAULTS_MAX {
                    group.loose.push(LineFault { line, problem });
                }
                self.at = end;
            }
            Some(_) | None => self.fail_row(line, end, problem, out),
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.field_bytes.zeroize();
    }
}
