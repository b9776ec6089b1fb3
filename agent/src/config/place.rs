//! Where in the file a setting stands, and which settings nobody knows.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::known_names;

/// Something wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// The file with its places.
pub(super) struct Places<'t> {
    text: &'t str,
    root: Spanned<DeTable<'t>>,
    syntax: Vec<toml::de::Error>,
}

impl<'t> Places<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let (root, syntax) = DeTable::parse_recoverable(text);
        Self { text, root, syntax }
    }

    /// Faults of the TOML itself.
    pub(super) fn syntax_faults(&self) -> Vec<Fault> {
        self.syntax
            .iter()
            .map(|error| self.fault_of(error))
            .collect()
    }

    pub(super) fn fault_of(&self, error: &toml::de::Error) -> Fault {
        Fault {
            line: self.line_at(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        }
    }

    /// Settings that no part of the agent knows.
    pub(super) fn unknown_settings(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.walk(self.root.get_ref(), &mut Vec::new(), &mut faults);
        faults
    }

    fn walk<'p>(
        &'p self,
        table: &'p DeTable<'t>,
        path: &mut Vec<&'p str>,
        faults: &mut Vec<Fault>,
    ) {
        let Some(names) = known_names(path) else {
            return;
        };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if !names.contains(&name) {
                faults.push(Fault {
                    line: self.line_at(key.span().start),
                    message: unknown(name, path, names),
                });
                continue;
            }
            path.push(name);
            match value.get_ref() {
                DeValue::Table(inner) => self.walk(inner, path, faults),
                DeValue::Array(tables) => {
                    for inner in tables.iter().filter_map(|t| t.get_ref().as_table()) {
                        self.walk(inner, path, faults);
                    }
                }
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_) => {}
            }
            path.pop();
        }
    }

    /// Line of a setting; of the nearest table around it that is written down if it is absent.
    pub(super) fn line_of(&self, table: &str, index: Option<usize>, setting: &str) -> usize {
        let root = self.root.get_ref();
        let Some((key, value)) = root.get_key_value(table) else {
            return root
                .get_key_value(setting)
                .map_or(1, |(key, _)| self.line_at(key.span().start));
        };
        let (start, inner) = match (index, value.get_ref()) {
            (Some(n), DeValue::Array(tables)) => match tables.get(n) {
                Some(item) => (item.span().start, item.get_ref().as_table()),
                None => (key.span().start, None),
            },
            (_, other) => (key.span().start, other.as_table()),
        };
        let place = inner
            .and_then(|t| t.get_key_value(setting))
            .map_or(start, |(key, _)| key.span().start);
        self.line_at(place)
    }

    /// Line of a name inside a table that is itself a setting of one of several tables.
    pub(super) fn line_within(
        &self,
        table: &str,
        index: usize,
        setting: &str,
        name: &str,
    ) -> usize {
        let tables = self.root.get_ref().get(table);
        let inner = tables
            .and_then(|tables| tables.get_ref().as_array())
            .and_then(|tables| tables.get(index))
            .and_then(|item| item.get_ref().as_table())
            .and_then(|item| item.get(setting))
            .and_then(|setting| setting.get_ref().as_table())
            .and_then(|inner| inner.get_key_value(name));
        match inner {
            Some((key, _)) => self.line_at(key.span().start),
            None => self.line_of(table, Some(index), setting),
        }
    }

    fn line_at(&self, byte: usize) -> usize {
        let before = self.text.as_bytes().get(..byte).unwrap_or_default();
        before.iter().filter(|b| **b == b'\n').count() + 1
    }
}

fn unknown(name: &str, path: &[&str], names: &[&str]) -> String {
    let what = match path {
        [] => format!("the setting {name:?} is not known"),
        _ => format!("the setting {name:?} is not known in [{}]", path.join(".")),
    };
    match nearest(name, names) {
        Some(near) => format!("{what}: did you mean {near:?}?"),
        None => format!("{what}: it knows {}", names.join(", ")),
    }
}

/// Returns the known name that needs the fewest changed letters, if few are enough.
pub(super) fn nearest<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    let enough = (name.chars().count() / 3).max(1) + 1;
    names
        .iter()
        .map(|known| (distance(name, known), *known))
        .min()
        .filter(|(changed, _)| *changed <= enough)
        .map(|(_, known)| known)
}

/// Levenshtein's distance between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (j, to) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(usize::MAX - 1);
            let cost = (diagonal + usize::from(from != *to))
                .min(above + 1)
                .min(left + 1);
            if let Some(cell) = row.get_mut(j) {
                *cell = left;
            }
            diagonal = above;
            left = cost;
        }
        if let Some(cell) = row.last_mut() {
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not_offered() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(nearest("lisen", &["listen", "printer"]), Some("listen"));
        assert_eq!(nearest("colour", &["listen", "printer"]), None);
    }
}
