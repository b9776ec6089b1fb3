//! Shops that print receipts of the shipped layouts, with contents of their own.

use std::fmt::Write as _;

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
    ("escpos-plain", plain),
    ("escpos-restaurant-zh", restaurant),
    ("fashion-returns", fashion),
    ("grocer-eu", grocer),
    ("python-escpos", cafe),
    ("receiptline", japanese),
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

fn plain(dice: &mut Dice, n: i64, kind: Kind) -> String {
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

fn cafe(dice: &mut Dice, n: i64, kind: Kind) -> String {
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

fn grocer(dice: &mut Dice, n: i64, kind: Kind) -> String {
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

fn fashion(dice: &mut Dice, n: i64, kind: Kind) -> String {
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

fn restaurant(dice: &mut Dice, n: i64, kind: Kind) -> String {
    let mut page = Page(String::new());
    page.line("湖畔小馆");
    page.line(match kind {
        Kind::Sale => "       顾客结账单",
        Kind::Return => "       退款单",
        Kind::Void => "       作废单",
        Kind::Reprint => "       （补打）",
        Kind::Training => "       培训模式",
        Kind::Order => "       预结单",
        Kind::Kitchen => "       厨房单",
        Kind::Report => "       交班报表",
    });
    page.line("门店：HB01      收银机：02");
    page.line(&format!(
        "单号：20261124-{:04}      桌号：{}",
        31 + n,
        1 + n % 20
    ));
    page.line(&"—".repeat(22));
    page.line("菜品名称          数量     单价      小计");
    let names = ["麻婆豆腐", "米饭", "清蒸鲈鱼(时价)", "拍黄瓜", "可乐330ml"];
    let back = if kind == Kind::Return { -1 } else { 1 };
    let mut sum = 0;
    let mut named_above = true;
    for _ in 0..2 + dice.roll(4) {
        let (name, quantity, price) = (
            *dice.of(&names),
            1 + dice.roll(4),
            200 + 100 * dice.roll(80),
        );
        let numbers = format!(
            "{:>6}{:>9}{:>10}",
            back * quantity,
            us(price),
            us(back * quantity * price)
        );
        sum += back * quantity * price;
        if named_above && name.contains('(') {
            page.line(name);
            page.line(&format!("{}{numbers}", " ".repeat(16)));
        } else {
            page.line(&sides(name, &numbers, 41));
        }
        named_above = true;
        if back > 0 && dice.roll(4) == 0 {
            page.line(&sides("  会员价优惠", "-1.00", 41));
            sum -= 100;
        }
    }
    page.line(&"—".repeat(22));
    page.line(&format!("{}消费合计：{}", " ".repeat(20), us(sum)));
    if n % 3 == 1 && back > 0 {
        page.line(&format!("{}折扣金额：{}", " ".repeat(20), us(-(sum / 10))));
        page.line(&format!("{}抹零：-0.05", " ".repeat(20)));
        sum -= sum / 10 + 5;
    }
    page.line(&format!("{}应收金额：{}", " ".repeat(20), us(sum)));
    match n % 4 {
        0 if back > 0 => {
            page.line(&format!("现金：{}", us(sum + 900)));
            page.line("找零：9.00");
        }
        1 => page.line(&format!("支付宝：{}", us(sum))),
        2 => page.line(&format!("会员卡：{}", us(sum))),
        _ => page.line(&format!("微信支付：{}", us(sum))),
    }
    if n % 2 == 0 {
        page.line(&format!("会员卡号：2900{:04}", n));
    }
    page.line(&format!(
        "结账时间：2026-11-{}   20:15:{:02}",
        1 + n % 28,
        n % 60
    ));
    page.line("欢迎再次光临");
    page.0
}

fn japanese(dice: &mut Dice, n: i64, kind: Kind) -> String {
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
