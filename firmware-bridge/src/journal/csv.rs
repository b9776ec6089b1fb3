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
mod group;
mod record;

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use zeroize::Zeroize;

use super::draft::{Draft, Field, Texts};
use super::entry::{Entry, Found, LineFault, Mark};
use super::lines::{LINE_BYTES_MAX, Line, Lines};
use super::value::{hidden, shown_name};
use columns::numbered;
pub use columns::{Column, ColumnRole, CsvSettings, RowMeaning};
use group::Group;
use record::Record;

/// Lines of one row; a quote open for longer is taken for a stray one. More lines cost memory, and
/// time on a file that is full of stray quotes.
const ROW_LINES_MAX: usize = 32;
/// Bytes of one row that spans lines; with more it is taken for one with a stray quote.
const ROW_BYTES_MAX: usize = 64 * 1024;
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

/// Reads CSV as it comes.
pub struct CsvDecoder {
    lines: Lines,
    rows: Rows,
}

/// What comes after the lines.
struct Rows {
    settings: CsvSettings,
    record: Record,
    /// Index from 0 of each mapped column; `None` until the header was read.
    places: Option<Vec<(ColumnRole, usize)>>,
    unfit: bool,
    open: VecDeque<OpenLine>,
    open_bytes: usize,
    group: Option<Group>,
    /// End of the last row that was read.
    at: Mark,
    keys: VecDeque<u64>,
}

impl CsvDecoder {
    /// Starts at the beginning of a file.
    pub fn new(settings: CsvSettings) -> Self {
        let places = (!settings.header).then(|| numbered(&settings.columns));
        Self {
            lines: Lines::new(settings.encoding),
            rows: Rows {
                record: Record::new(&settings),
                settings,
                places,
                unfit: false,
                open: VecDeque::new(),
                open_bytes: 0,
                group: None,
                at: Mark::START,
                keys: VecDeque::new(),
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
            self.record.start();
        }
        if self.record.add(text) {
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
        let names: Vec<String> = (0..self.record.columns())
            .map_while(|index| self.record.cell(index))
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
        let shown: Vec<String> = names
            .iter()
            .take(NAMES_SHOWN_MAX)
            .map(|name| shown_name(name))
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
        let columns = self.record.columns();
        let needed = places.iter().map(|(_, index)| index + 1).max().unwrap_or(0);
        let cell_of = |rows: &Self, wanted: ColumnRole| {
            places
                .iter()
                .find(|(role, _)| *role == wanted)
                .and_then(|(_, index)| rows.record.cell(*index))
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
            let text = self.record.cell(*index).unwrap_or_default();
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
        if !group.count(self.record.bytes(), meaning)? {
            return Ok(());
        }
        for (field, mut text) in fields {
            group.draft.fields.set(field, &text);
            text.zeroize();
        }
        group.add(meaning, has_kinds, item, tender)
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
        let draft = Draft::new(self.settings.tells_tenders());
        let mut group = Group::new(key, number, self.at, draft);
        group.fault = fault;
        self.group = Some(group);
    }

    /// Tells the open transaction.
    fn finish_group(&mut self, out: &mut Vec<Found>) {
        let Some(mut group) = self.group.take() else {
            return;
        };
        let start = group.start;
        out.extend(group.loose.drain(..).map(|fault| Found {
            entry: Entry::Fault(fault),
            mark: start,
        }));
        out.extend(group.settle(&self.settings).map(|entry| Found {
            entry,
            mark: self.at,
        }));
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
                group.add_loose(LineFault { line, problem });
                self.at = end;
            }
            Some(_) | None => self.fail_row(line, end, problem, out),
        }
    }
}
