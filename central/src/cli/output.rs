//! What commands print: answers on stdout, explanations on stderr.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::failure::Failure;

/// Longest cell of a table, in characters; the rest is in `--json`.
const CELL_CHARS_MAX: usize = 48;

/// Where a command's words go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    /// Whether answers are JSON.
    pub(super) json: bool,
}

impl Output {
    /// Prints a line of the answer.
    pub(super) fn line(self, text: &str) -> Result<(), Failure> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Prints bytes of the answer.
    pub(super) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        written.map_err(Failure::Output)
    }

    /// Prints an object as the answer.
    pub(super) fn object(self, object: &impl Serialize) -> Result<(), Failure> {
        self.line(&serde_json::to_string(object).map_err(Failure::Json)?)
    }

    /// Explains something to a person; programs need not read it.
    pub(super) fn explain(self, text: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let mut stderr = io::stderr().lock();
        writeln!(stderr, "{text}").map_err(Failure::Output)
    }
}

/// Some fields of many objects, below each other. Columns grow with what has been seen so far, so
/// that a list of any length needs the memory of one page.
#[derive(Debug)]
pub(super) struct Table {
    columns: &'static [&'static str],
    widths: Vec<usize>,
    headed: bool,
}

impl Table {
    /// Begins a table of these fields.
    pub(super) fn new(columns: &'static [&'static str]) -> Self {
        Self {
            columns,
            widths: columns.iter().map(|name| name.len()).collect(),
            headed: false,
        }
    }

    /// Lays out the next objects.
    pub(super) fn rows(&mut self, objects: &[Value]) -> String {
        let mut rows: Vec<Vec<String>> = Vec::with_capacity(objects.len() + 1);
        if !self.headed && !objects.is_empty() {
            rows.push(self.columns.iter().map(|name| heading(name)).collect());
            self.headed = true;
        }
        for object in objects {
            let cells = self.columns.iter().map(|name| cell(&object[name]));
            rows.push(cells.collect());
        }
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        for row in rows {
            let mut line = String::new();
            for (width, cell) in self.widths.iter().zip(row) {
                let padding = width - cell.chars().count() + 2;
                line.push_str(&cell);
                line.extend(std::iter::repeat_n(' ', padding));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn heading(name: &str) -> String {
    name.to_uppercase().replace('_', " ")
}

/// Writes a value for people: control characters never reach the console, and long texts are cut.
pub(super) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    let mut plain: String = text.chars().map(printable).take(CELL_CHARS_MAX).collect();
    if text.chars().count() > CELL_CHARS_MAX {
        plain.pop();
        plain.push('…');
    }
    plain
}

/// Replaces what a console would obey.
pub(super) fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_aligns_its_columns_and_obeys_no_escape() {
        let mut table = Table::new(&["id", "settled_at"]);
        let text = table.rows(&[
            json!({"id": "d-1", "settled_at": null}),
            json!({"id": "d-long\u{1b}[2J", "settled_at": 5}),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            ["ID          SETTLED AT", "d-1         -", "d-long [2J  5"]
        );
        assert_eq!(table.rows(&[]), "");
    }
}
