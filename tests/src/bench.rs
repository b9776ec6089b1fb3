//! `./dev bench`: figures against a peer or a limit of the same run, as ratios, for people to read.
//!
//! Nothing here fails on a figure. Every figure is taken in turns with what it is compared with, so
//! that a noisy machine is as noisy for both.

mod accept;
mod copying;
mod decoders;
mod drain;
mod flood;
mod footprint;
mod intake;
mod machine;
mod outbox;
mod peers;
mod tap;
mod wire;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::day::{Day, Narrator};

pub use decoders::swallow;
pub use outbox::waiting::hold;

/// Figures and what stands beside them.
#[derive(Debug)]
pub struct Figures {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: String,
    measured: String,
    beside: String,
    goal: String,
}

/// A name of its own, the group that it belongs to, and how it is measured.
type Part = (&'static str, &'static str, fn() -> Result<Vec<Row>>);

/// What can be measured.
const PARTS: [Part; 11] = [
    ("footprint", "agent", footprint::measure),
    ("accept", "outbox", accept::measure),
    ("group", "outbox", outbox::group::measure),
    ("waiting", "outbox", outbox::waiting::measure),
    ("wear", "outbox", outbox::wear::measure),
    ("tap", "devices", tap::measure),
    ("decoders", "devices", decoders::measure),
    ("wire", "sync", wire::measure),
    ("intake", "sync", intake::measure),
    ("drain", "sync", drain::measure),
    ("flood", "sync", flood::measure),
];

/// Returns the names of what can be measured, and of the groups.
pub fn names() -> String {
    let mut names: Vec<&str> = PARTS.iter().map(|(name, ..)| *name).collect();
    for (_, group, _) in PARTS {
        if !names.contains(&group) {
            names.push(group);
        }
    }
    names.join(", ")
}

impl Figures {
    /// Measures what `chosen` names, one by one or as a group; everything if it names nothing; the demo
    /// too where its folder is given.
    ///
    /// # Errors
    /// When something does not run, or has an unknown name.
    pub fn measure(chosen: &[String], demo: Option<&Path>) -> Result<Self> {
        for wanted in chosen {
            let known = PARTS
                .iter()
                .any(|(name, group, _)| name == wanted || group == wanted);
            ensure!(
                known,
                "there is no benchmark {wanted}: choose of {}",
                names()
            );
        }
        let mut rows = Vec::new();
        for (name, group, measure) in PARTS {
            if chosen.is_empty() || chosen.iter().any(|one| one == name || one == group) {
                rows.extend(measure()?);
            }
        }
        if let Some(folder) = demo {
            rows.push(demo_time(folder)?);
        }
        Ok(Self { rows })
    }

    /// Returns the figures as Markdown, with the machine.
    ///
    /// # Errors
    /// Never: text can always be written.
    pub fn markdown(&self) -> Result<String> {
        let mut text = String::from(
            "# Results of `./dev bench`\n\n\
             Written by the last run; no test fails on a figure here.\n\n",
        );
        writeln!(text, "Machine: {}\n", machine::description())?;
        writeln!(
            text,
            "| what | measured | beside it, in the same run | goal |"
        )?;
        writeln!(text, "|---|---|---|---|")?;
        for row in &self.rows {
            writeln!(
                text,
                "| {} | {} | {} | {} |",
                row.what, row.measured, row.beside, row.goal
            )?;
        }
        Ok(text)
    }
}

fn demo_time(folder: &Path) -> Result<Row> {
    let mut narrator = Narrator::new();
    let mut day = Day::begin(folder, &mut narrator)?;
    day.play(&mut narrator)?;
    let report = day.report()?;
    narrator.end();
    anyhow::ensure!(report.is_clean(), "the demo lost something: {report}");
    Ok(Row {
        what: "`./dev demo`, without building".to_owned(),
        measured: format!("{:.1} s", report.elapsed.as_secs_f32()),
        beside: format!(
            "{} sales, {} scans, {} events, two terminals",
            report.sales, report.scans, report.events
        ),
        goal: "under a minute".to_owned(),
    })
}

/// Returns the value below which `share` of the samples lie.
fn percentile(samples: &mut [Duration], share: f64) -> Duration {
    samples.sort_unstable();
    let place = (samples.len().saturating_sub(1)) as f64 * share;
    samples
        .get(place.round() as usize)
        .copied()
        .unwrap_or_default()
}

fn micros(duration: Duration) -> String {
    format!("{:.0} µs", duration.as_secs_f64() * 1e6)
}

fn ratio(measured: Duration, beside: Duration) -> f64 {
    measured.as_secs_f64() / beside.as_secs_f64().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_sample() {
        let mut samples: Vec<Duration> = (1..=100).rev().map(Duration::from_micros).collect();
        assert_eq!(percentile(&mut samples, 0.0), Duration::from_micros(1));
        assert_eq!(percentile(&mut samples, 0.99), Duration::from_micros(99));
        assert_eq!(percentile(&mut [], 0.5), Duration::ZERO);
    }
}
