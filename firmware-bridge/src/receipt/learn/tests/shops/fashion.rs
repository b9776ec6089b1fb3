//! A fashion shop that takes things back.

use super::{Dice, Kind, Page, us};

pub(super) fn print(dice: &mut Dice, n: i64, kind: Kind) -> String {
    let mut page = Page(String::new());
    page.line("ATELIER NORTH");
    match kind {
        Kind::Sale => {}
        Kind::Return => page.line("              REFUND RECEIPT"),
        Kind::Void => page.line("        ** TRANSACTION VOID **"),
        Kind::Reprint => page.line("          ** COPY RECEIPT **"),
        Kind::Training => page.line("      TRAINING - NOT A VALID RECEIPT"),
        Kind::Order => page.line("             COLLECTION SLIP"),
        Kind::Kitchen => page.line("STOCKROOM PICK"),
        Kind::Report => page.line("X READ"),
    }
    page.line(&format!("Shop 021  Till 4  Trans {}", 118_200 + n));
    page.line(&format!(
        "{:02}/{:02}/2026  16:{:02}",
        1 + n * 3 % 28,
        1 + n % 12,
        n % 60
    ));
    page.line(&"=".repeat(42));
    let names = [
        "Merino jumper",
        "Cotton socks",
        "Silk scarf",
        "Wool cap",
        "Denim 501 jeans",
    ];
    let mut sum = 0;
    let sold = if kind == Kind::Return {
        0
    } else {
        1 + dice.roll(4)
    };
    for _ in 0..sold {
        let (name, quantity, price) = (*dice.of(&names), 1 + dice.roll(3), 450 + dice.roll(9_000));
        page.line(&format!("50123456{:05} {name}", 10_000 + dice.roll(80_000)));
        page.line(&format!(
            "    {:<20}{:>14}",
            format!("{quantity} @ {}", us(price)),
            us(quantity * price)
        ));
        sum += quantity * price;
        if dice.roll(3) == 0 {
            let percent = 10 * (1 + dice.roll(4));
            let off = quantity * price * percent / 100;
            page.line(&format!(
                "    {:<20}{:>14}",
                format!("{percent}% off"),
                us(-off)
            ));
            sum -= off;
        }
    }
    if kind == Kind::Return || (kind == Kind::Sale && n % 3 == 1) {
        let price = 300 + dice.roll(100);
        page.line(&format!(
            "RETURNED 50123456{:05} {}",
            10_000 + n,
            dice.of(&names)
        ));
        page.line(&format!(
            "    {:<20}{:>14} R",
            format!("1 @ {}", us(price)),
            us(price)
        ));
        sum -= price;
    }
    page.line(&"-".repeat(42));
    let label = if sum < 0 {
        "TOTAL REFUND"
    } else {
        "TOTAL TO PAY"
    };
    page.line(&format!("{label:<24}{:>14}", us(sum)));
    page.line(&format!("{:<24}{:>14}", "VAT 20% included", us(sum / 6)));
    let mut pay = |left: &str, amount: i64| page.line(&format!("{left:<24}{:>14}", us(amount)));
    match n % 3 {
        _ if sum < 0 => pay("Store credit issued", sum),
        0 => pay(&format!("Card ****{:04}", 40 + n), sum),
        1 => pay("Store credit", sum),
        _ => {
            pay("Cash", sum + 651);
            pay("Change", 651);
        }
    }
    if n % 2 == 0 {
        page.line(&format!("Club member: 62759810{:05}", 100 + n));
    }
    page.line("Returns within 28 days with this receipt");
    page.0
}
