//! How the day ended: a table, and where to look.

use std::fmt;
use std::time::Duration;

use crate::tally::Tally;

/// The end of the day.
#[derive(Debug)]
pub struct Report {
    /// Sales played.
    pub sales: usize,
    /// Scans played.
    pub scans: u64,
    /// Bindings asked for while the line was cut.
    pub bindings_offline: usize,
    /// Bindings that headquarters confirmed.
    pub bindings_confirmed: usize,
    /// Bindings that headquarters refused, as it had to.
    pub bindings_rejected: usize,
    /// Events that headquarters holds.
    pub events: usize,
    /// The comparison.
    pub tally: Tally,
    /// How long the day took, setting up included.
    pub elapsed: Duration,
    /// What to look at: a title and an address, a file or a command.
    pub places: Vec<(String, String)>,
}

impl Report {
    /// Returns whether nothing was lost, doubled or changed.
    pub fn is_clean(&self) -> bool {
        self.tally.is_clean()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: [(&str, String); 8] = [
            ("sales", self.sales.to_string()),
            ("scans", self.scans.to_string()),
            ("bindings made offline", self.bindings_offline.to_string()),
            (
                "  confirmed by central",
                self.bindings_confirmed.to_string(),
            ),
            (
                "  competing, rejected with a dispute",
                self.bindings_rejected.to_string(),
            ),
            ("events at headquarters", self.events.to_string()),
            ("lost", self.tally.lost.len().to_string()),
            ("twice", self.tally.twice.len().to_string()),
        ];
        writeln!(f, "\nThe day as played, and as headquarters exports it")?;
        writeln!(f, "+{:-<40}+{:->8}+", "", "")?;
        for (name, value) in rows {
            writeln!(f, "| {name:<38} | {value:>6} |")?;
        }
        writeln!(f, "+{:-<40}+{:->8}+", "", "")?;
        for (title, lines) in [
            ("lost", &self.tally.lost),
            ("twice", &self.tally.twice),
            ("not as it was played", &self.tally.wrong),
        ] {
            for line in lines {
                writeln!(f, "{title}: {line}")?;
            }
        }
        writeln!(
            f,
            "\nin {:.1} s. Where to look (addresses answer as long as it runs: --keep)",
            self.elapsed.as_secs_f32()
        )?;
        for (title, place) in &self.places {
            writeln!(f, "  {title:<27} {place}")?;
        }
        Ok(())
    }
}
