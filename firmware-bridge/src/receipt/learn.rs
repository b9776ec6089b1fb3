//! Proposes a profile from captured receipts.
//!
//! ```text
//! captures → encoding → sheets (lines, amounts) → roles → draft → Profile::read, the judge
//! ```
//!
//! Words of eleven languages give a first opinion of what a line is; the arithmetic decides. A line is the
//! total, a tender or goods if most receipts add up with it as such. Of several proposals the one wins by
//! which [`Profile::read`] makes sales of most samples. Nothing is random: the same captures give the same
//! profile.
//!
//! Limits: [`RECEIPTS_MAX`] receipts of [`LINES_MAX`] lines are looked at, and a bounded number of proposals
//! is tried. Deliberately absent: any guess that is not marked as one. What the samples do not show is a
//! comment `uncertain` in the profile.

use super::captured::Captured;
use super::job::Job;
use super::profile::{Profile, Reading};

mod draft;
mod encoding;
mod header;
mod items;
mod numbers;
mod roles;
mod sheet;
#[cfg(test)]
mod tests;
mod words;

use draft::{Draft, Ground};
use numbers::Numbers;
use roles::solve;
use sheet::{Looker, Sheet};
use words::Language;

/// Most receipts that are learned from; further ones only count in the result.
pub const RECEIPTS_MAX: usize = 40;
/// Most lines of a receipt that is learned from; longer ones are left out.
pub const LINES_MAX: usize = 250;
/// Fewer samples than these make a weak proposal.
pub const SAMPLES_ENOUGH: usize = 10;
/// How many readings of the samples are written down as proposals.
const PROPOSALS_MAX: usize = 4;

/// A proposed profile and how it does on the samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// The profile, as TOML that [`Profile::parse`] takes.
    pub profile: String,
    /// Receipts in the captures.
    pub receipts: usize,
    /// How many of them it makes a sale of, sums and all.
    pub sales: usize,
    /// How many it tells to be no sale.
    pub not_sales: usize,
    /// How many it cannot read.
    pub unparsed: usize,
    /// What could not be told for sure; the same as in the profile's comments.
    pub doubts: Vec<String>,
}

impl Learned {
    /// Returns whether the proposal stands on too few samples.
    pub fn is_weak(&self) -> bool {
        self.receipts < SAMPLES_ENOUGH || self.unparsed > self.sales
    }
}

/// Why nothing can be proposed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// No capture holds text.
    #[error("the captures hold no text: let the POS print text and not images, and capture again")]
    NoText,
    /// No line ends in an amount.
    #[error("no line of the captures ends in an amount: capture receipts of sales")]
    NoAmounts,
    /// No reading of the lines makes a receipt add up.
    #[error(
        "no reading of the {receipts} receipts makes one add up: capture whole receipts of sales, \
         from their first line to the payment"
    )]
    NothingAddsUp {
        /// Receipts in the captures.
        receipts: usize,
    },
}

/// Proposes a profile of the given name.
///
/// # Errors
/// [`LearnError`] when no receipt can be made to add up.
pub fn learn(captures: &[Captured], name: &str) -> Result<Learned, LearnError> {
    let (encoding, jobs) = encoding::best(captures);
    let jobs: Vec<Job> = jobs
        .into_iter()
        .filter(|job| job.lines.iter().any(|line| !line.is_empty()))
        .collect();
    if jobs.is_empty() {
        return Err(LearnError::NoText);
    }
    let learned_from: Vec<&Job> = jobs
        .iter()
        .filter(|job| job.unreadable.is_none() && job.lines.len() <= LINES_MAX)
        .take(RECEIPTS_MAX)
        .collect();
    let lines = || {
        learned_from
            .iter()
            .flat_map(|job| job.lines.iter().map(String::as_str))
    };
    let language = language(lines());
    let numbers = Numbers::detect(lines(), language).ok_or(LearnError::NoAmounts)?;
    let mut looker = Looker::new(&numbers).ok_or(LearnError::NoAmounts)?;
    let sheets: Vec<Sheet> = learned_from
        .iter()
        .map(|job| looker.sheet(&job.lines))
        .collect();
    let ground = Ground {
        name,
        encoding,
        numbers: &numbers,
        sheets: &sheets,
        month_first: numbers.currency.as_str() == "USD",
    };
    let asked: Vec<&Sheet> = sheets.iter().filter(|sheet| !sheet.is_no_sale()).collect();
    let mut best: Option<Learned> = None;
    for roles in solve(&asked).into_iter().take(PROPOSALS_MAX) {
        if roles.reconciled == 0 {
            continue;
        }
        let draft = Draft::new(&ground, &roles);
        let draft = keep_better(&mut best, draft, &jobs);
        if best.as_ref().is_some_and(|best| best.unparsed == 0) {
            break;
        }
        // What was chosen by counting lines is tried the other way round.
        if draft.has_begin() {
            let draft = Draft::new(&ground, &roles).without_begin();
            keep_better(&mut best, draft, &jobs);
        }
        keep_better(&mut best, draft.with_rest_turned(), &jobs);
    }
    best.filter(|best| best.sales > 0)
        .ok_or(LearnError::NothingAddsUp {
            receipts: jobs.len(),
        })
}

/// Has the judge read all receipts by a proposal, and keeps it if more come out as sales.
fn keep_better(best: &mut Option<Learned>, draft: Draft, jobs: &[Job]) -> Draft {
    let text = draft.toml();
    let Ok(profile) = Profile::parse(&text) else {
        return draft;
    };
    let mut learned = Learned {
        profile: String::new(),
        receipts: jobs.len(),
        sales: 0,
        not_sales: 0,
        unparsed: 0,
        doubts: draft.doubts(),
    };
    for job in jobs {
        match profile.read(job) {
            Reading::Sale(_) => learned.sales += 1,
            Reading::NotASale(_) => learned.not_sales += 1,
            Reading::Unparsed(_) => learned.unparsed += 1,
        }
    }
    if best.as_ref().is_none_or(|best| learned.sales > best.sales) {
        learned.profile = format!("{}{text}", learned.head());
        *best = Some(learned);
    }
    draft
}

impl Learned {
    /// What stands at the profile's head.
    fn head(&self) -> String {
        let weak = if self.is_weak() {
            "# WEAK: too few samples, or too few of them add up. Capture more and learn again.\n"
        } else {
            ""
        };
        format!(
            "# Proposed from {} captured receipts: {} add up and are sales, {} are told to be none, {} cannot be read.\n\
             {weak}# Check it with `tillbind receipts test` on other receipts before it is used.\n",
            self.receipts, self.sales, self.not_sales, self.unparsed
        )
    }
}

/// Returns the language whose words the lines bear most often.
fn language<'l>(lines: impl Iterator<Item = &'l str>) -> Option<Language> {
    let mut counts = std::collections::BTreeMap::new();
    let distinct: std::collections::BTreeSet<&str> = lines.collect();
    for line in distinct {
        if let Some(hit) = words::meaning(line) {
            *counts.entry(hit.language).or_insert(0usize) += 1;
        }
    }
    counts
        .into_iter()
        .max_by_key(|(language, count)| (*count, std::cmp::Reverse(*language)))
        .map(|(language, _)| language)
}
