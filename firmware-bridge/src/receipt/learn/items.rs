//! What lines of goods look like: the shapes that hold quantity times price = amount on the samples.

use std::collections::BTreeSet;

use regex::Regex;
use rust_decimal::Decimal;

use super::numbers::Numbers;
use super::roles::{Role, Roles, amount};
use super::sheet::{Form, Row, Sheet, TIMES, UNIT, detail_pattern, reversed_detail_pattern};
use super::words;
use crate::receipt::profile::NumberFormat;

/// What must speak for a shape before it is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Quantity times price gives the amount; each line proves itself.
    Product,
    /// So many lines in ten have it.
    Most(usize),
    /// Nothing: it is what is left.
    None,
}

/// One shape of a line of goods.
struct Shape {
    pattern: String,
    compiled: Regex,
    proof: Proof,
    /// The name is on the line.
    named: bool,
}

/// The goods' part of a profile.
#[derive(Debug, Default)]
pub(super) struct Goods {
    pub(super) item: Vec<String>,
    pub(super) item_return: Vec<String>,
    pub(super) item_void: Vec<String>,
    /// The rest of an item stands below its amount.
    pub(super) rest_after: bool,
    pub(super) items_begin: Option<String>,
    pub(super) doubts: Vec<String>,
}

/// A line of goods of a receipt that adds up.
struct Line<'s> {
    sheet: &'s Sheet,
    index: usize,
    row: &'s Row,
    minor: i64,
    tail: &'s str,
}

/// Finds the shapes of all goods of the receipts that add up.
pub(super) fn goods(sheets: &[&Sheet], roles: &Roles, numbers: &Numbers) -> Goods {
    let mut goods = Goods::default();
    let mut lines = Vec::new();
    for sheet in sheets.iter().filter(|sheet| roles.adds_up(sheet)) {
        lines.extend(lines_of(sheet, roles));
    }
    take_out_voids(&mut lines, numbers, &mut goods);
    let tail = tail_pattern(&lines, roles);
    let shapes = shapes(numbers, &tail, lines.iter().any(|line| line.row.indent > 0));
    let chosen = choose(&shapes, &lines, &numbers.format());
    let mut nameless = Vec::new();
    let mut used: BTreeSet<usize> = BTreeSet::new();
    for (line, shape) in lines.iter().zip(&chosen) {
        if let Some(shape) = shape {
            used.insert(*shape);
            if shapes.get(*shape).is_some_and(|shape| !shape.named) {
                nameless.push(line);
            }
        }
    }
    let unshaped = chosen.iter().filter(|shape| shape.is_none()).count();
    if unshaped > 0 {
        goods.doubts.push(format!(
            "item: {unshaped} lines of goods have a shape that no pattern takes"
        ));
    }
    add_rest(sheets, roles, numbers, &nameless, &mut goods);
    for shape in used.iter().filter_map(|used| shapes.get(*used)) {
        goods.item.push(format!("^{}{tail}$", shape.pattern));
        if let Some(back) = &roles.return_tail {
            let back = regex::escape(back);
            goods
                .item_return
                .push(format!(r"^{}\s*{back}$", shape.pattern));
        }
    }
    if !nameless.is_empty() {
        add_names(&nameless, &mut goods);
    }
    goods.items_begin = items_begin(sheets, roles);
    goods
}

fn lines_of<'s>(sheet: &'s Sheet, roles: &Roles) -> Vec<Line<'s>> {
    let Some(total) = roles.total(sheet) else {
        return Vec::new();
    };
    let rows = sheet.rows.iter().enumerate().take(total);
    rows.filter_map(|(index, row)| match &row.form {
        Form::Amount {
            minor, tail, key, ..
        } if roles.role(key, true) == Role::Item => Some(Line {
            sheet,
            index,
            row,
            minor: *minor,
            tail,
        }),
        Form::Amount { .. } | Form::Detail { .. } | Form::Text | Form::Rule | Form::Blank => None,
    })
    .collect()
}

/// Takes out lines that void an item above.
fn take_out_voids(lines: &mut Vec<Line<'_>>, numbers: &Numbers, goods: &mut Goods) {
    let mut words: BTreeSet<(String, bool)> = BTreeSet::new();
    lines.retain(|line| {
        let text = &line.row.text;
        let Some(end) = words::item_void(text).filter(|_| line.minor < 0) else {
            return true;
        };
        let word = text.get(..end).unwrap_or_default().trim().to_owned();
        let head = match &line.row.form {
            Form::Amount { head, .. } => head.as_str(),
            Form::Detail { .. } | Form::Text | Form::Rule | Form::Blank => "",
        };
        let name = head.trim_start().get(word.len()..).unwrap_or_default();
        let name = name.trim_start_matches(|c: char| matches!(c, ':' | '：') || c.is_whitespace());
        let above = line.sheet.rows.iter().take(line.index);
        let known = !name.is_empty() && above.into_iter().any(|row| row.text.contains(name));
        if known {
            let numbered = name.chars().all(|c| c.is_ascii_digit());
            words.insert((word, numbered));
        }
        !known
    });
    for (word, numbered) in words {
        let name = if numbered {
            r"(?<item_id>[0-9]+)"
        } else {
            r"(?<description>\S.*?)"
        };
        goods.item_void.push(format!(
            r"^\s*{}[\s:：]*{name}\s+(?<amount>{})(?:\s*[A-Z*]{{1,2}})?$",
            regex::escape(&word),
            numbers.amount()
        ));
    }
}

/// What stands behind the amounts of goods, other than the mark of goods that came back.
fn tail_pattern(lines: &[Line<'_>], roles: &Roles) -> String {
    let tails: BTreeSet<&str> = lines
        .iter()
        .map(|line| line.tail)
        .filter(|tail| !tail.is_empty() && roles.return_tail.as_deref() != Some(*tail))
        .collect();
    if tails.is_empty() {
        return String::new();
    }
    let letters = tails
        .iter()
        .all(|tail| tail.chars().all(|c| c.is_ascii_uppercase() || c == '*'));
    let all: Vec<String> = tails.iter().map(|tail| regex::escape(tail)).collect();
    if letters && tails.iter().all(|tail| tail.len() == 1) {
        // Another letter than the samples' may come with another rate.
        let class = if all.iter().all(|tail| tail != r"\*") {
            "[A-Z]"
        } else {
            r"[A-Z*]"
        };
        return format!(r"(?:\s*(?<tax_code>{class}))?");
    }
    format!(r"(?:\s*(?:{}))?", all.join("|"))
}

/// All shapes, the fullest first: that is also the order in which a profile tries them.
fn shapes(numbers: &Numbers, tail: &str, indented: bool) -> Vec<Shape> {
    let start = if indented { r"\s*" } else { "" };
    let amount = format!("(?<amount>{})", numbers.amount());
    let name = r"(?<description>\S.*?)";
    let id = r"(?<item_id>[0-9]{4,14})";
    let quantity = format!("(?<quantity>{})", numbers.quantity());
    let price = format!("(?<unit_price>{})", numbers.price());
    let times = detail_pattern(numbers);
    let reversed = reversed_detail_pattern(numbers);
    let columns = format!(r"{quantity}\s+{price}");
    let columns_reversed = format!(r"{price}\s+{quantity}");
    let unit = r"[^\s0-9.,]{1,4}";
    let table = [
        (
            format!(r"\s*{times}\s*=?\s+{amount}"),
            Proof::Product,
            false,
        ),
        (
            format!(r"\s*{reversed}\s*=?\s+{amount}"),
            Proof::Product,
            false,
        ),
        (
            format!(r"{start}{id}\s+{name}\s+{times}\s+{amount}"),
            Proof::Product,
            true,
        ),
        (
            format!(r"{start}{name}\s+{times}\s+{amount}"),
            Proof::Product,
            true,
        ),
        (
            format!(r"{start}{times}\s+{name}\s+{amount}"),
            Proof::Product,
            true,
        ),
        (
            format!(r"{start}{name}\s+{reversed}\s+{amount}"),
            Proof::Product,
            true,
        ),
        (
            format!(r"{start}{id}\s+{name}\s+{columns}\s+{amount}"),
            Proof::Product,
            true,
        ),
        (
            format!(r"{start}{name}\s+{columns}\s+{amount}"),
            Proof::Product,
            true,
        ),
        (
            format!(r"{start}{name}\s+{columns_reversed}\s+{amount}"),
            Proof::Product,
            true,
        ),
        (
            format!(r"{start}{quantity}\s+{name}\s+{price}\s+{amount}"),
            Proof::Product,
            true,
        ),
        (format!(r"\s*{columns}\s+{amount}"), Proof::Product, false),
        (
            format!(r"\s*{columns_reversed}\s+{amount}"),
            Proof::Product,
            false,
        ),
        (
            format!(r"{start}{id}\s+{name}\s+{amount}"),
            Proof::Most(6),
            true,
        ),
        (
            format!(r"{start}{name}\s+{quantity}\s+{unit}\s+{amount}"),
            Proof::Most(8),
            true,
        ),
        (
            format!(r"{start}{name}\s\s+(?<quantity>[0-9]{{1,3}}){UNIT}\s+{amount}"),
            Proof::Most(8),
            true,
        ),
        (
            format!(r"{start}(?<quantity>[0-9]{{1,3}})\s*{TIMES}?\s+{name}\s+{amount}"),
            Proof::Most(8),
            true,
        ),
        (format!(r"{start}{name}\s+{amount}"), Proof::None, true),
        (format!(r"{start}{name}{amount}"), Proof::None, true),
        (format!(r"\s*{amount}"), Proof::None, false),
    ];
    table
        .into_iter()
        .filter_map(|(pattern, proof, named)| {
            // The mark of goods that came back may stand there too.
            let compiled = Regex::new(&format!(r"^{pattern}{tail}(?:\s*[A-Z*)]{{1,2}})?$")).ok()?;
            Some(Shape {
                pattern,
                compiled,
                proof,
                named,
            })
        })
        .collect()
}

/// Chooses a shape for each line.
fn choose(shapes: &[Shape], lines: &[Line<'_>], format: &NumberFormat) -> Vec<Option<usize>> {
    let fits = |shape: &Shape, line: &Line<'_>| {
        let Some(captures) = shape.compiled.captures(&line.row.text) else {
            return false;
        };
        if shape.proof != Proof::Product {
            return true;
        }
        let quantity = captures.name("quantity").map(|m| format.number(m.as_str()));
        let price = captures
            .name("unit_price")
            .map(|m| format.minor(m.as_str()));
        let (Some(Ok(quantity)), Some(Ok(price))) = (quantity, price) else {
            return false;
        };
        quantity
            .checked_mul(Decimal::from(price))
            .is_some_and(|product| is_amount(product, line.minor))
    };
    // Kinds that need most lines are counted among the lines that prove nothing better.
    let proven = |line: &Line<'_>| {
        shapes
            .iter()
            .any(|shape| shape.proof == Proof::Product && fits(shape, line))
    };
    let rest: Vec<&Line<'_>> = lines.iter().filter(|line| !proven(line)).collect();
    let believed: Vec<bool> = shapes
        .iter()
        .map(|shape| match shape.proof {
            Proof::Product | Proof::None => true,
            Proof::Most(tenths) => {
                let count = rest.iter().filter(|line| fits(shape, line)).count();
                count >= 2 && count * 10 >= rest.len() * tenths
            }
        })
        .collect();
    lines
        .iter()
        .map(|line| {
            shapes
                .iter()
                .zip(&believed)
                .position(|(shape, believed)| *believed && fits(shape, line))
        })
        .collect()
}

/// Whether a product is an amount, rounded either way.
fn is_amount(product: Decimal, minor: i64) -> bool {
    let gap = product.abs() - Decimal::from(minor.saturating_abs());
    gap.abs() < Decimal::ONE
}

/// Adds patterns for lines that hold only quantity and price, and finds on which side of their item they stand.
fn add_rest(
    sheets: &[&Sheet],
    roles: &Roles,
    numbers: &Numbers,
    nameless: &[&Line<'_>],
    goods: &mut Goods,
) {
    let (mut above, mut below) = (0usize, 0usize);
    let mut details: Vec<&Row> = Vec::new();
    for sheet in sheets.iter().filter(|sheet| roles.adds_up(sheet)) {
        let total = roles.total(sheet).unwrap_or(0);
        for (index, row) in sheet.rows.iter().enumerate().take(total) {
            let Form::Detail { product } = &row.form else {
                continue;
            };
            details.push(row);
            let amount_at = |at: Option<usize>| at.and_then(|at| amount(sheet.rows.get(at)?));
            let fits = |minor: Option<i64>| minor.is_some_and(|minor| is_amount(*product, minor));
            below += usize::from(fits(amount_at(index.checked_sub(1))));
            above += usize::from(fits(amount_at(index.checked_add(1))));
        }
    }
    let (mut name_above, mut name_below) = (0usize, 0usize);
    for line in nameless {
        let is_name = |at: Option<usize>| {
            at.and_then(|at| line.sheet.rows.get(at))
                .is_some_and(|row| row.form == Form::Text)
        };
        name_above += usize::from(is_name(line.index.checked_sub(1)));
        name_below += usize::from(is_name(line.index.checked_add(1)));
    }
    let details_after = below > above;
    let names_after = name_below > name_above;
    goods.rest_after = if details.is_empty() {
        names_after
    } else {
        details_after
    };
    if !details.is_empty() && !nameless.is_empty() && details_after != names_after {
        goods.doubts.push(
            "item_name: names and quantities stand on different sides of their amounts; only one side can be read"
                .to_owned(),
        );
    }
    let forward = format!(r"^\s*{}$", detail_pattern(numbers));
    let reversed = format!(r"^\s*{}$", reversed_detail_pattern(numbers));
    for pattern in [forward, reversed] {
        let takes_any = Regex::new(&pattern)
            .is_ok_and(|regex| details.iter().any(|row| regex.is_match(&row.text)));
        if takes_any {
            goods.item.push(pattern);
        }
    }
}

/// Adds patterns for names that have a line of their own.
fn add_names(nameless: &[&Line<'_>], goods: &mut Goods) {
    let numbered = r"^\s*(?:\p{L}+\s+)?(?<item_id>[0-9]{6,14})\s+(?<description>\S.*)$";
    let names: Vec<&str> = nameless
        .iter()
        .filter_map(|line| {
            let at = if goods.rest_after {
                line.index.checked_add(1)
            } else {
                line.index.checked_sub(1)
            };
            at.and_then(|at| line.sheet.rows.get(at))
        })
        .map(|row| row.text.as_str())
        .collect();
    let count = Regex::new(numbered).map_or(0, |regex| {
        names.iter().filter(|name| regex.is_match(name)).count()
    });
    if count * 10 >= names.len() * 8 && count > 0 {
        goods.item.push(numbered.to_owned());
    } else {
        goods
            .item
            .push(r"^\s*(?<description>[^\s0-9].*)$".to_owned());
    }
}

/// Returns the pattern of the ruled line that stands above all goods, if every receipt has it there.
fn items_begin(sheets: &[&Sheet], roles: &Roles) -> Option<String> {
    let mut rule: Option<char> = None;
    for sheet in sheets.iter().filter(|sheet| roles.adds_up(sheet)) {
        let first_item = lines_of(sheet, roles).first()?.index;
        let above = sheet.rows.iter().take(first_item);
        let line = above.into_iter().find(|row| row.form == Form::Rule)?;
        let c = line.text.trim().chars().next()?;
        let uniform = line.text.trim().chars().all(|other| other == c);
        if !uniform || rule.is_some_and(|rule| rule != c) {
            return None;
        }
        rule = Some(c);
    }
    let rule = regex::escape(rule?.encode_utf8(&mut [0; 4]));
    Some(format!(r"^\s*(?:{rule}){{4,}}$"))
}
