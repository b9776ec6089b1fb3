//! Shops that print receipts of the shipped layouts, with contents of their own.

use std::fmt::Write as _;

mod cafe;
mod fashion;
mod grocer;
mod japanese;
mod plain;
mod restaurant;

/// What a receipt is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sale,
    Return,
    Void,
    Reprint,
    Training,
    Order,
    Kitchen,
    Report,
}

/// Numbers that look random and are the same on every run.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as i64) % sides
    }

    fn of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.roll(all.len() as i64) as usize]
    }
}

/// Prints one receipt of a layout.
pub(super) type Shop = fn(&mut Dice, i64, Kind) -> String;

pub(super) const SHOPS: [(&str, Shop); 6] = [
    ("escpos-plain", plain::print),
    ("escpos-restaurant-zh", restaurant::print),
    ("fashion-returns", fashion::print),
    ("grocer-eu", grocer::print),
    ("python-escpos", cafe::print),
    ("receiptline", japanese::print),
];

fn cents(minor: i64, decimal: char, thousands: char) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let whole = minor.abs() / 100;
    let mut digits = (whole % 1000).to_string();
    if whole >= 1000 {
        digits = format!("{}{thousands}{:03}", whole / 1000, whole % 1000);
    }
    format!("{sign}{digits}{decimal}{:02}", minor.abs() % 100)
}

fn us(minor: i64) -> String {
    cents(minor, '.', ',')
}

fn eu(minor: i64) -> String {
    cents(minor, ',', '.')
}

fn yen(amount: i64) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    let size = amount.abs();
    if size >= 1000 {
        format!("{sign}¥{},{:03}", size / 1000, size % 1000)
    } else {
        format!("{sign}¥{size}")
    }
}

fn width(text: &str) -> usize {
    text.chars()
        .map(|c| if c as u32 > 0x2E7F { 2 } else { 1 })
        .sum()
}

/// Text on the left and on the right of a line.
fn sides(left: &str, right: &str, columns: usize) -> String {
    let gap = columns.saturating_sub(width(left) + width(right)).max(1);
    format!("{left}{}{right}", " ".repeat(gap))
}

struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        writeln!(self.0, "{}", text.trim_end()).unwrap();
    }
}
