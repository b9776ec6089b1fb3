//! A proposed profile, and how it is written down.

use std::collections::{BTreeMap, BTreeSet};

use super::header::{Header, header};
use super::items::{Goods, goods};
use super::numbers::Numbers;
use super::roles::{Role, Roles};
use super::sheet::{Form, Sheet, key_pattern};
use super::words::{self, Marker, Meaning};

mod pattern;
mod toml;

use pattern::{Use, discount_pattern, kind_word, marker_pattern};
use toml::{list, quoted};

/// A proposed profile in parts.
#[derive(Debug)]
pub(super) struct Draft {
    name: String,
    encoding: Option<&'static str>,
    numbers: Numbers,
    roles: Roles,
    header: Header,
    goods: Goods,
    lists: Lists,
    /// Kinds by the receipts' words.
    kinds: BTreeMap<String, String>,
    markers: BTreeMap<Marker, BTreeSet<String>>,
    doubts: Vec<String>,
}

#[derive(Debug, Default)]
struct Lists {
    ignore: BTreeSet<String>,
    item_discount: BTreeSet<String>,
    subtotal: BTreeSet<String>,
    discount: BTreeSet<String>,
    tax: BTreeSet<String>,
    total: BTreeSet<String>,
    tender: BTreeSet<String>,
    change: BTreeSet<String>,
}

/// What the samples have in common, found before roles are known.
pub(super) struct Ground<'s> {
    pub(super) name: &'s str,
    pub(super) encoding: Option<&'static str>,
    pub(super) numbers: &'s Numbers,
    /// All samples, sales or not.
    pub(super) sheets: &'s [Sheet],
    pub(super) month_first: bool,
}

impl Draft {
    pub(super) fn new(ground: &Ground<'_>, roles: &Roles) -> Self {
        let sold: Vec<&Sheet> = ground
            .sheets
            .iter()
            .filter(|sheet| !sheet.is_no_sale() && roles.adds_up(sheet))
            .collect();
        let numbers = ground.numbers;
        let mut draft = Self {
            name: ground.name.to_owned(),
            encoding: ground.encoding,
            numbers: numbers.clone(),
            header: header(&sold, ground.month_first),
            goods: goods(&sold, roles, numbers),
            roles: roles.clone(),
            lists: Lists::default(),
            kinds: BTreeMap::new(),
            markers: BTreeMap::new(),
            doubts: Vec::new(),
        };
        draft.add_lists(&sold);
        draft.add_tax_table(&sold);
        draft.add_markers(ground.sheets);
        draft
    }

    fn add_lists(&mut self, sold: &[&Sheet]) {
        let mut uses: BTreeMap<&str, Use> = BTreeMap::new();
        for sheet in sold {
            let total = self.roles.total(sheet).unwrap_or(0);
            let mut above_is_item = false;
            for (index, row) in sheet.rows.iter().enumerate() {
                let Form::Amount {
                    key, tail, minor, ..
                } = &row.form
                else {
                    continue;
                };
                let before = index < total;
                let role = self.roles.role(key, before);
                let used = uses.entry(key).or_default();
                used.tails.insert(tail);
                used.before |= before;
                used.positive |= *minor > 0;
                used.below_items += usize::from(above_is_item && row.indent > 0);
                used.count += 1;
                above_is_item = match role {
                    Role::Item => before,
                    Role::Discount => above_is_item,
                    Role::Subtotal
                    | Role::Total
                    | Role::Tax
                    | Role::Tender
                    | Role::Change
                    | Role::Info => false,
                };
            }
        }
        for (key, used) in &uses {
            let role = self.roles.role(key, used.before);
            self.add_line(key, role, used);
        }
        if self.roles.after_discount {
            self.doubts.push(
                "item_amounts: the samples add up only if the discounts are taken off already"
                    .to_owned(),
            );
        }
    }

    fn add_line(&mut self, key: &str, role: Role, used: &Use<'_>) {
        let amount = self.numbers.amount();
        let tail = used.tail();
        let key_text = key_pattern(key);
        let whole = format!(r"^\s*{key_text}\s*(?<amount>{amount}){tail}$");
        let lists = &mut self.lists;
        match role {
            Role::Item => {}
            Role::Subtotal => {
                lists
                    .subtotal
                    .insert(format!(r"^\s*{key_text}\s*{amount}{tail}$"));
            }
            Role::Info => {
                if used.before {
                    lists
                        .ignore
                        .insert(format!(r"^\s*{key_text}\s*{amount}{tail}$"));
                }
            }
            Role::Total => {
                lists.total.insert(whole);
            }
            Role::Tax => {
                lists.tax.insert(whole);
            }
            Role::Change => {
                lists.change.insert(whole);
            }
            Role::Tender => {
                let kind = kind_word(key);
                let rest = key_pattern(key.get(kind.len()..).unwrap_or_default());
                let word = key_pattern(kind);
                lists.tender.insert(format!(
                    r"^\s*(?<kind>{word}){rest}\s*(?<amount>{amount}){tail}$"
                ));
                let of = words::meaning(key).and_then(|hit| hit.what.tender());
                match of {
                    Some(of) => {
                        self.kinds.insert(kind.to_lowercase(), of.to_owned());
                    }
                    None => self.doubts.push(format!(
                        "tender: {kind:?} is one by its sums alone; say its kind in [tenders]"
                    )),
                }
            }
            Role::Discount => {
                let of_item = used.below_items == used.count;
                let unnamed = words::meaning(key).is_none_or(|hit| hit.what != Meaning::Discount);
                let pattern = if of_item && unnamed && !used.positive {
                    // The occasion is all that the line says; another receipt has another one.
                    format!(r"^\s+\S.*?\s+(?<amount>{}){tail}$", self.numbers.negative())
                } else {
                    discount_pattern(key, &self.numbers, used)
                };
                if of_item {
                    lists.item_discount.insert(pattern);
                } else {
                    lists.discount.insert(pattern);
                }
            }
        }
    }

    /// A table of taxes, by its sums: net and tax give gross on each line.
    fn add_tax_table(&mut self, sold: &[&Sheet]) {
        let amount = self.numbers.amount();
        let rate = r"(?<rate>[0-9]{1,2}(?:[.,][0-9]{1,2})?)\s?%";
        let orders = [
            ["net", "amount", "gross"],
            ["amount", "net", "gross"],
            ["gross", "net", "amount"],
            ["gross", "amount", "net"],
        ];
        let format = self.numbers.format();
        let mut best: Option<(usize, String)> = None;
        for order in orders {
            let columns: Vec<String> = order
                .iter()
                .map(|name| format!(r"\s+(?<{name}>{amount})"))
                .collect();
            for code in [r"(?<tax_code>[A-Z])[\s=:]*", ""] {
                let pattern = format!(r"^\s*{code}{rate}{}$", columns.concat());
                let Ok(regex) = regex::Regex::new(&pattern) else {
                    continue;
                };
                let rows = sold.iter().flat_map(|sheet| &sheet.rows);
                let (mut holds, mut fails) = (0, 0);
                for captures in rows.filter_map(|row| regex.captures(&row.text)) {
                    let minor = |name: &str| format.minor(captures.name(name)?.as_str()).ok();
                    let (net, tax, gross) = (minor("net"), minor("amount"), minor("gross"));
                    let sums = net.zip(tax).and_then(|(net, tax)| net.checked_add(tax));
                    // The tax is the smaller part; else the columns could be the other way round.
                    let smaller = net
                        .zip(tax)
                        .is_some_and(|(net, tax)| tax.abs() <= net.abs());
                    if sums.is_some() && sums == gross && smaller {
                        holds += 1;
                    } else {
                        fails += 1;
                    }
                }
                // A few receipts may be wrong; the profile is there to find them.
                if fails * 4 <= holds
                    && best.as_ref().is_none_or(|(most, _)| holds > *most)
                    && holds > 0
                {
                    best = Some((holds, pattern));
                }
            }
        }
        if let Some((_, pattern)) = best
            && !self.roles.tax_added
        {
            self.lists.tax.clear();
            self.lists.tax.insert(pattern);
        }
    }

    /// A marker is what some samples bear and most do not.
    fn add_markers(&mut self, sheets: &[Sheet]) {
        for marker in Marker::ALL {
            let bearing = sheets.iter().filter(|sheet| sheet.has(marker)).count();
            if bearing == 0 {
                continue;
            }
            if bearing * 2 > sheets.len() && sheets.len() > 2 {
                self.doubts.push(format!(
                    "markers.{}: {bearing} of {} samples bear such a word, so it may be none",
                    marker.list(),
                    sheets.len()
                ));
            }
            for sheet in sheets {
                for (index, hit) in sheet.markers.iter().filter(|(_, hit)| hit.what == marker) {
                    if let Some(row) = sheet.rows.get(*index) {
                        let pattern = marker_pattern(&row.text, hit.start, hit.end);
                        self.markers.entry(marker).or_default().insert(pattern);
                    }
                }
            }
        }
    }

    /// Writes the profile.
    pub(super) fn toml(&self) -> String {
        let mut text = String::new();
        let mut line = |content: &str| {
            text.push_str(content);
            text.push('\n');
        };
        let doubts = self.doubts();
        for doubt in &doubts {
            line(&format!("# uncertain: {}", doubt.replace('\n', " ")));
        }
        line(&format!("name = {}", quoted(&self.name)));
        if let Some(encoding) = self.encoding {
            line(&format!("encoding = {}", quoted(encoding)));
        }
        line(&format!(
            "currency = {}",
            quoted(self.numbers.currency.as_str())
        ));
        line(&format!(
            "decimal = {}",
            quoted(&self.numbers.decimal.to_string())
        ));
        if let Some(thousands) = self.numbers.thousands {
            line(&format!("thousands = {}", quoted(&thousands.to_string())));
        }
        line(&list(
            "date_formats",
            self.header.date_formats.iter().copied(),
        ));
        line(&list(
            "time_formats",
            self.header.time_formats.iter().copied(),
        ));
        line(if self.roles.tax_added {
            "tax = \"added\""
        } else {
            "tax = \"included\""
        });
        if self.goods.rest_after {
            line("item_name = \"after\"");
        }
        if self.roles.after_discount {
            line("item_amounts = \"after_discount\"");
        }
        if self.roles.returns_positive {
            line("return_amounts = \"positive\"");
        }
        if self.roles.untendered {
            line("untendered = \"other\"");
        }
        line(&list(
            "header",
            self.header.patterns.iter().map(String::as_str),
        ));
        line(&list(
            "member",
            self.header.member.iter().map(String::as_str),
        ));
        line(&list(
            "ignore",
            self.lists.ignore.iter().map(String::as_str),
        ));
        line("\n[lines]");
        if let Some(begin) = &self.goods.items_begin {
            line(&list("items_begin", std::iter::once(begin.as_str())));
        }
        line(&list("item", self.goods.item.iter().map(String::as_str)));
        line(&list(
            "item_return",
            self.goods.item_return.iter().map(String::as_str),
        ));
        line(&list(
            "item_void",
            self.goods.item_void.iter().map(String::as_str),
        ));
        for (name, patterns) in [
            ("item_discount", &self.lists.item_discount),
            ("subtotal", &self.lists.subtotal),
            ("discount", &self.lists.discount),
            ("tax", &self.lists.tax),
            ("total", &self.lists.total),
            ("tender", &self.lists.tender),
            ("change", &self.lists.change),
        ] {
            line(&list(name, patterns.iter().map(String::as_str)));
        }
        line("\n[markers]");
        for marker in Marker::ALL {
            match self.markers.get(&marker) {
                Some(patterns) => {
                    line(&list(marker.list(), patterns.iter().map(String::as_str)));
                }
                None => line(&format!(
                    "# {} = []    # no sample shows one: add its words when you see it",
                    marker.list()
                )),
            }
        }
        line("\n[tenders]");
        for (word, kind) in &self.kinds {
            line(&format!("{} = {}", quoted(word), quoted(kind)));
        }
        text
    }

    /// Returns what could not be told for sure.
    pub(super) fn doubts(&self) -> Vec<String> {
        let mut doubts: Vec<String> = self
            .numbers
            .doubts
            .iter()
            .chain(&self.header.doubts)
            .chain(&self.goods.doubts)
            .chain(&self.doubts)
            .cloned()
            .collect();
        if self.roles.untendered {
            doubts.push(
                "untendered: no sample says how was paid; such receipts count as paid by `other`"
                    .to_owned(),
            );
        }
        doubts
    }

    /// Returns the same proposal with the rest of an item on the other side.
    pub(super) fn with_rest_turned(mut self) -> Self {
        self.goods.rest_after = !self.goods.rest_after;
        self
    }

    /// Returns the same proposal that looks for items from the top.
    pub(super) fn without_begin(mut self) -> Self {
        self.goods.items_begin = None;
        self
    }

    pub(super) fn has_begin(&self) -> bool {
        self.goods.items_begin.is_some()
    }
}
