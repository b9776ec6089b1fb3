//! In what form a journal's values are written: amounts, times, kinds.

use std::collections::BTreeMap;

use tillbind_firmware_bridge::journal::value::{
    AmountUnit, DecimalMark, KindMeaning, TimeFormat, ValueRules, Zone,
};
use tillbind_firmware_bridge::money::Currency;
use tillbind_firmware_bridge::sale::SaleKind;

use super::super::{At, Reader};
use crate::config::file;

impl Reader<'_, '_> {
    pub(super) fn rules(
        &mut self,
        n: usize,
        journal: &file::Journal,
        unit: Option<&str>,
    ) -> Option<ValueRules> {
        let at = |name| At("journal", Some(n), name);
        let unit = self.choice(
            journal.amounts.clone(),
            at("amounts"),
            unit,
            &[("major", AmountUnit::Major), ("minor", AmountUnit::Minor)],
        );
        let decimal = self.choice(
            journal.decimal.clone(),
            at("decimal"),
            Some("."),
            &[(".", DecimalMark::Point), (",", DecimalMark::Comma)],
        );
        let returns_positive = self.choice(
            journal.returns.clone(),
            at("returns"),
            Some("negative"),
            &[("negative", false), ("positive", true)],
        );
        let mut format = |text: &Option<String>, name| match text {
            None => Some(None),
            Some(text) => self.word(TimeFormat::parse(text), at(name)).map(Some),
        };
        let time_format = format(&journal.time_format, "time_format");
        let date_format = format(&journal.date_format, "date_format");
        let clock_format = format(&journal.clock_format, "clock_format");
        let currency = match &journal.currency {
            None => Some(self.currency),
            Some(text) => self.word(Currency::parse(text), at("currency")).map(Some),
        };
        let zone = match journal.zone.as_deref() {
            None | Some("local") => Some(Zone::Local),
            Some(text) => {
                let offset = if text == "utc" { "+00:00" } else { text };
                let zone = offset.parse().map(Zone::Fixed);
                let message = format!(
                    "zone {text:?} cannot be used: write local, utc or an offset as in \"+02:00\""
                );
                self.word(zone.map_err(|_| message), at("zone"))
            }
        };
        let mut kinds = BTreeMap::new();
        for (word, meaning) in &journal.kinds {
            let words = [
                ("sale", KindMeaning::Is(SaleKind::Sale)),
                ("return", KindMeaning::Is(SaleKind::Return)),
                ("void", KindMeaning::Is(SaleKind::Void)),
                ("skip", KindMeaning::Skipped),
            ];
            let meaning = self.meaning(n, "kinds", word, meaning, &words);
            kinds.extend(meaning.map(|meaning| (word.trim().to_lowercase(), meaning)));
        }
        Some(ValueRules {
            unit: unit?,
            decimal: decimal?,
            currency: currency?,
            time_format: time_format?,
            date_format: date_format?,
            clock_format: clock_format?,
            zone: zone?,
            kinds,
            tax_included: journal.tax_included,
            amounts_after_discount: journal.amounts_after_discount.unwrap_or(false),
            returns_positive: returns_positive?,
        })
    }

    pub(super) fn meaning<T: Copy>(
        &mut self,
        n: usize,
        table: &'static str,
        word: &str,
        meaning: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let found = words
            .iter()
            .find(|(known, _)| *known == meaning)
            .map(|(_, meaning)| *meaning);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
            let message = format!(
                "{word:?} cannot mean {meaning:?}: write one of {}",
                known.join(", ")
            );
            self.fault_within(n, table, word, message);
        }
        found
    }
}
