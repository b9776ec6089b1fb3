//! A corner shop whose lines are plain text.

use super::{Dice, Kind, Page, sides, us};

pub(super) fn print(dice: &mut Dice, n: i64, kind: Kind) -> String {
    let mut page = Page(String::new());
    page.line("                  CORNER SHOP");
    match kind {
        Kind::Sale => {}
        Kind::Return => page.line("** REFUND **"),
        Kind::Void => page.line("** VOIDED RECEIPT **"),
        Kind::Reprint => page.line("** REPRINT **"),
        Kind::Training => page.line("** TRAINING **"),
        Kind::Order => page.line("ORDER SLIP"),
        Kind::Kitchen => page.line("KITCHEN"),
        Kind::Report => page.line("Z REPORT"),
    }
    page.line(&format!("        Store S001 Till 1 Receipt {:06}", 100 + n));
    page.line(&format!(
        "                2026-05-{:02} 17:{:02}",
        1 + n % 28,
        10 + n % 50
    ));
    page.line(&"-".repeat(48));
    let back = if kind == Kind::Return { -1 } else { 1 };
    let (mut sum, mut off) = (0, 0);
    let names = [
        "Milk",
        "Café crème",
        "Bread roll",
        "7 Up can",
        "Tomatoes",
        "Olive oil 0.5l",
    ];
    for _ in 0..2 + dice.roll(4) {
        let name = *dice.of(&names);
        let (quantity, price) = (1 + dice.roll(3), 80 + dice.roll(2_000));
        sum += back * quantity * price;
        let left = format!("{} x {}  {name}", back * quantity, us(price));
        page.line(&sides(&left, &us(back * quantity * price), 48));
        if kind != Kind::Return && dice.roll(3) == 0 {
            let discount = price / 10 + 1;
            off += discount;
            page.line(&sides("  Discount", &us(-discount), 48));
        }
    }
    page.line(&"-".repeat(48));
    page.line(&sides("SUBTOTAL", &us(sum - off), 48));
    let total = sum - off;
    page.line(&sides("VAT 19% incl.", &us(total * 19 / 119), 48));
    page.line(&sides("TOTAL", &us(total), 48));
    if back < 0 || n % 2 == 0 {
        page.line(&sides("CARD", &us(total), 48));
    } else {
        page.line(&sides("CASH", &us(total + 500), 48));
        page.line(&sides("CHANGE", "5.00", 48));
    }
    if n % 3 == 0 {
        page.line(&format!("Member 29000000{:05}  Points {}", 10_000 + n, n));
    }
    page.0
}
