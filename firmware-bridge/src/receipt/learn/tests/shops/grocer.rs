//! A European grocer with a table of its taxes.

use super::{Dice, Kind, Page, eu};

pub(super) fn print(dice: &mut Dice, n: i64, kind: Kind) -> String {
    let mut page = Page(String::new());
    page.line("FRISCHMARKT");
    match kind {
        Kind::Sale => {}
        Kind::Return => page.line("            *** RÜCKGABE ***"),
        Kind::Void => page.line("            *** BON-STORNO ***"),
        Kind::Reprint => page.line("            *** KOPIE ***"),
        Kind::Training => page.line("            *** TRAINING ***"),
        Kind::Order => page.line("BESTELLSCHEIN"),
        Kind::Kitchen => page.line("THEKENBON"),
        Kind::Report => page.line("Z-BERICHT Nr. 812"),
    }
    page.line("         Hafenstraße 4, Lübeck");
    page.line(&format!("   Filiale 0412  Kasse 03  Bon {:07}", 7_100 + n));
    page.line(&format!("{:>38}", "EUR"));
    let names = [
        "Bananen",
        "Crème fraîche",
        "Rinderhüfte",
        "Cola 0,5l",
        "Äpfel Elstar",
        "Müsli 500g",
    ];
    let back = if kind == Kind::Return { -1 } else { 1 };
    let mut of_letter = [0i64; 2];
    for at in 0..2 + dice.roll(5) {
        let name = *dice.of(&names);
        let letter = usize::from(at % 3 == 2);
        let mark = ["A", "B"][letter];
        let quantity = 1 + dice.roll(4);
        let price = 25 + dice.roll(1_500);
        let mut amount = quantity * price;
        let mut detail = (quantity > 1).then(|| format!("  {quantity} Stk x {}", eu(price)));
        if dice.roll(3) == 0 {
            let grams = 100 + dice.roll(2_000);
            amount = (grams * price + 500) / 1_000;
            detail = Some(format!(
                "  {},{:03} kg x {} EUR/kg",
                grams / 1_000,
                grams % 1_000,
                eu(price)
            ));
        }
        of_letter[letter] += back * amount;
        page.line(&format!("{name:<28}{:>8} {mark}", eu(back * amount)));
        if let Some(detail) = detail.filter(|_| back > 0) {
            page.line(&detail);
        }
        if back > 0 && amount > 200 && dice.roll(4) == 0 {
            page.line(&format!(
                "  {:<24}{:>8} {mark}",
                "Rabatt 10%",
                eu(-(amount / 10))
            ));
            of_letter[letter] -= amount / 10;
        }
    }
    if back > 0 && n % 3 == 1 {
        page.line(&format!("{:<28}{:>8} B", "Leergut", eu(-25)));
        of_letter[1] -= 25;
    }
    page.line(&"-".repeat(40));
    let total = of_letter[0] + of_letter[1];
    page.line(&format!("{:<28}{:>8}", "SUMME EUR", eu(total)));
    if back < 0 || n % 2 == 0 {
        page.line(&format!(
            "{:<28}{:>8}",
            if back < 0 { "BAR" } else { "GIROCARD" },
            eu(total)
        ));
    } else {
        page.line(&format!("{:<28}{:>8}", "BAR", eu(total + 1_000)));
        page.line(&format!("{:<28}{:>8}", "RÜCKGELD", "10,00"));
    }
    page.line("");
    page.line("MwSt.       Netto   Steuer    Brutto");
    for (gross, (letter, rate)) in of_letter.iter().zip([("A", 7), ("B", 19)]) {
        let tax = gross * rate / (100 + rate);
        page.line(&format!(
            "{letter} {rate:>2},00 %{:>10}{:>9}{:>10}",
            eu(gross - tax),
            eu(tax),
            eu(*gross)
        ));
    }
    page.line("");
    page.line(&format!(
        "{:02}.11.2026  18:{:02}:07 Uhr",
        1 + n % 28,
        n % 60
    ));
    if n % 2 == 1 {
        page.line(&format!("Kundenkarte: 62759810{:05}", 100 + n));
    }
    page.line("Vielen Dank für Ihren Einkauf!");
    page.0
}
