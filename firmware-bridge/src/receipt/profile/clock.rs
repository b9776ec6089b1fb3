//! Dates and times as receipts print them.

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use toml::Spanned;

use super::pattern::PatternFault;
use crate::sale::SaleTime;

/// The formats of a profile, each tried in order.
#[derive(Debug)]
pub(super) struct Formats {
    dates: Vec<String>,
    times: Vec<String>,
}

impl Formats {
    pub(super) fn compile(
        dates: &[Spanned<String>],
        times: &[Spanned<String>],
    ) -> Result<Self, PatternFault> {
        for format in dates.iter().chain(times) {
            if StrftimeItems::new(format.get_ref()).any(|item| item == Item::Error) {
                return Err(PatternFault {
                    span: format.span(),
                    message: format!(
                        "{:?} is not a format of dates and times, as in %Y-%m-%d or %H:%M",
                        format.get_ref()
                    ),
                });
            }
        }
        let plain =
            |formats: &[Spanned<String>]| formats.iter().map(|f| f.get_ref().clone()).collect();
        Ok(Self {
            dates: plain(dates),
            times: plain(times),
        })
    }

    pub(super) fn lacks_dates(&self) -> bool {
        self.dates.is_empty()
    }

    pub(super) fn lacks_times(&self) -> bool {
        self.times.is_empty()
    }

    /// Returns the formats for people.
    pub(super) fn shown(&self) -> String {
        let all: Vec<&str> = self
            .dates
            .iter()
            .chain(&self.times)
            .map(String::as_str)
            .collect();
        all.join(", ")
    }

    pub(super) fn date(&self, text: &str) -> Option<NaiveDate> {
        self.dates
            .iter()
            .find_map(|format| NaiveDate::parse_from_str(text.trim(), format).ok())
    }

    pub(super) fn time(&self, text: &str) -> Option<NaiveTime> {
        self.times
            .iter()
            .find_map(|format| NaiveTime::parse_from_str(text.trim(), format).ok())
    }

    /// Reads a date and a time in one: a date format, white space, a time format. A time format with
    /// an offset (`%z`) gives a zoned time.
    pub(super) fn datetime(&self, text: &str) -> Option<SaleTime> {
        for date in &self.dates {
            for time in &self.times {
                let format = format!("{date} {time}");
                if let Ok(zoned) = DateTime::parse_from_str(text.trim(), &format) {
                    return Some(SaleTime::Zoned(zoned));
                }
                if let Ok(local) = NaiveDateTime::parse_from_str(text.trim(), &format) {
                    return Some(SaleTime::Local(local));
                }
            }
        }
        None
    }
}
