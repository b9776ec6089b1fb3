//! A café on python-escpos.

use super::{Dice, Kind, Page, sides, us};

pub(super) fn print(dice: &mut Dice, n: i64, kind: Kind) -> String {
    let mut page = Page(String::new());
    page.line("HARBOR CAFE");
    match kind {
        Kind::Sale => {}
        Kind::Return => page.line("             ** REFUND **"),
        Kind::Void => page.line("             ** VOIDED **"),
        Kind::Reprint => page.line("       ** DUPLICATE RECEIPT **"),
        Kind::Training => page.line("       *** TRAINING MODE ***"),
        Kind::Order => page.line("GUEST CHECK"),
        Kind::Kitchen => page.line("KITCHEN"),
        Kind::Report => page.line("Z REPORT 0411"),
    }
    page.line("            Store 12  Terminal 3");
    page.line(&format!("              Order #{}", 10_457 + n));
    page.line(&format!(
        "          {:02}/{:02}/2026 {:02}:{:02} AM",
        1 + n % 12,
        1 + n % 28,
        1 + n % 12,
        n % 60
    ));
    page.line(&"-".repeat(48));
    let names = [
        "Flat white",
        "Almond croissant",
        "Iced tea 12oz",
        "House beans 1kg",
        "Bagel & lox",
    ];
    let occasions = ["Happy hour", "Student deal", "Crew meal"];
    let back = if kind == Kind::Return { -1 } else { 1 };
    let mut sum = 0;
    for _ in 0..1 + dice.roll(4) {
        let (name, quantity, price) = (*dice.of(&names), 1 + dice.roll(3), 200 + dice.roll(90_000));
        let each = format!("{} x {}", back * quantity, us(price));
        page.line(&sides(
            &format!("{name:<24}{each:<12}"),
            &us(back * quantity * price),
            48,
        ));
        sum += back * quantity * price;
        if back > 0 && dice.roll(3) == 0 {
            page.line(&sides(&format!("  {}", dice.of(&occasions)), &us(-50), 48));
            sum -= 50;
        }
    }
    page.line(&"-".repeat(48));
    page.line(&sides("Subtotal", &us(sum), 48));
    if n % 4 == 1 && back > 0 {
        page.line(&sides("Discount Staff", "-1.00", 48));
        sum -= 100;
    }
    let tax = sum * 825 / 10_000;
    let total = sum + tax;
    page.line(&sides("Sales tax 8.25%", &us(tax), 48));
    let dollars = |minor: i64| {
        let plain = us(minor.abs());
        if minor < 0 {
            format!("-${plain}")
        } else {
            format!("${plain}")
        }
    };
    page.line(&sides("Total", &dollars(total), 48));
    match (back, n % 3) {
        (-1, _) => page.line(&sides("Cash", &dollars(total), 48)),
        (_, 0) => page.line(&sides(
            &format!("Visa ****{:04}", 1000 + n),
            &dollars(total),
            48,
        )),
        (_, 1) => {
            page.line(&sides("Gift card", &dollars(100), 48));
            page.line(&sides("Cash", &dollars(total - 100), 48));
        }
        (_, _) => {
            page.line(&sides("Cash", &dollars(total + 123), 48));
            page.line(&sides("Change", "$1.23", 48));
        }
    }
    if n % 2 == 0 {
        page.line(&format!("Loyalty card 62759810{:05}", 100 + n));
    }
    page.line("           Thank you!");
    page.0
}
