//! A Japanese shop on receiptline.

use super::{Dice, Kind, Page, sides, yen};

pub(super) fn print(dice: &mut Dice, n: i64, kind: Kind) -> String {
    let mut page = Page(String::new());
    page.line("      みなと商店");
    match kind {
        Kind::Sale => {}
        Kind::Return => page.line("            返品伝票"),
        Kind::Void => page.line("            取消伝票"),
        Kind::Reprint => page.line("            【控え】"),
        Kind::Training => page.line("           練習モード"),
        Kind::Order => page.line("             注文票"),
        Kind::Kitchen => page.line("            厨房伝票"),
        Kind::Report => page.line("          点検レポート"),
    }
    page.line("         店舗003 レジ02");
    page.line(&format!(
        "      2026/11/{:02}(火) 14:{:02}",
        1 + n % 28,
        n % 60
    ));
    page.line(&format!("レシートNo.0301-{:04}", 117 + n));
    page.line(&"─".repeat(32));
    let names = ["牛乳", "食パン", "緑茶 525ml", "焼き魚弁当", "コーヒー豆"];
    let back = if kind == Kind::Return { -1 } else { 1 };
    let mut sum = 0;
    for _ in 0..1 + dice.roll(5) {
        let (name, quantity, price) = (*dice.of(&names), 1 + dice.roll(3), 90 + dice.roll(900));
        page.line(&sides(name, &yen(back * quantity * price), 32));
        sum += back * quantity * price;
        if quantity > 1 && back > 0 {
            page.line(&format!("¥{price} × {quantity}点"));
        }
        if back > 0 && dice.roll(4) == 0 {
            page.line(&sides("値引", "-¥20", 32));
            sum -= 20;
        }
    }
    page.line(&"─".repeat(32));
    page.line(&sides("小計", &yen(sum), 32));
    if n % 3 == 1 && back > 0 {
        page.line(&sides("クーポン券", "-¥30", 32));
        sum -= 30;
    }
    page.line(&sides("合計", &yen(sum), 32));
    page.line(&sides(
        "(内消費税等 8%",
        &format!("{})", yen(sum * 8 / 108)),
        32,
    ));
    match n % 3 {
        _ if back < 0 => page.line(&sides("現金", &yen(sum), 32)),
        0 => {
            page.line(&sides("お預り現金", &yen(sum + 1_000), 32));
            page.line(&sides("お釣り", "¥1,000", 32));
        }
        1 => page.line(&sides("電子マネー", &yen(sum), 32)),
        _ => page.line(&sides("クレジット", &yen(sum), 32)),
    }
    if n % 2 == 0 {
        page.line(&format!("会員番号 62759810{:05}", 100 + n));
    }
    page.0
}
