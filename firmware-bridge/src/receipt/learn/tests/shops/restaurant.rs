//! A Chinese restaurant.

use super::{Dice, Kind, Page, sides, us};

pub(super) fn print(dice: &mut Dice, n: i64, kind: Kind) -> String {
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
