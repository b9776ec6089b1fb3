use super::*;

#[test]
fn each_language_is_learned_by_its_words() {
    // Total, tax, cash, change, card, receipt, and the decimal mark.
    for (total, tax, cash, change, card, receipt, decimal) in [
        ("TOTAL", "VAT 20%", "CASH", "CHANGE", "VISA", "Receipt", '.'),
        (
            "Gesamtbetrag",
            "MwSt 19%",
            "Bargeld",
            "Rückgeld",
            "Kreditkarte",
            "Beleg",
            ',',
        ),
        (
            "NET À PAYER",
            "TVA 20%",
            "ESPÈCES",
            "RENDU",
            "CARTE BANCAIRE",
            "Ticket",
            ',',
        ),
        (
            "IMPORTE TOTAL",
            "IVA 21%",
            "EFECTIVO",
            "SU CAMBIO",
            "TARJETA",
            "Factura",
            ',',
        ),
        (
            "TOTALE COMPLESSIVO",
            "di cui IVA",
            "CONTANTI",
            "RESTO",
            "BANCOMAT",
            "Scontrino",
            ',',
        ),
        (
            "Te betalen",
            "BTW 21%",
            "Contant",
            "Wisselgeld",
            "PIN",
            "Kassabon",
            ',',
        ),
        (
            "DO ZAPŁATY",
            "SUMA PTU",
            "GOTÓWKA",
            "RESZTA",
            "KARTA",
            "Paragon",
            ',',
        ),
        (
            "VALOR A PAGAR",
            "Total IVA",
            "DINHEIRO",
            "TROCO",
            "CARTÃO",
            "Fatura",
            ',',
        ),
        ("应付金额", "税额", "现金", "找零", "银行卡", "流水号", '.'),
        (
            "お買上計",
            "内消費税",
            "現金",
            "お釣り",
            "クレジット",
            "伝票番号",
            '.',
        ),
        (
            "결제금액",
            "부가세",
            "현금",
            "거스름돈",
            "신용카드",
            "영수증번호",
            '.',
        ),
    ] {
        let captures = receipts(10, &|n, first, second| {
            let sum = first + second;
            let paid = if n % 2 == 0 {
                format!("{card}  {}", money(sum, decimal))
            } else {
                format!(
                    "{cash}  {}\n{change}  {}",
                    money(sum + 500, decimal),
                    money(500, decimal)
                )
            };
            format!(
                "{receipt} {:05}\n{:02}.03.2026 12:{n:02}\nAbc  {}\nDef ghi  {}\n{total}  {}\n{tax}  {}\n{paid}",
                4_000 + 3 * n,
                10 + n,
                money(first, decimal),
                money(second, decimal),
                money(sum, decimal),
                money(sum / 6, decimal),
            )
        });
        let (learned, profile) = all_sales(&captures);
        let sale = read_sale(&profile, &captures[0]);
        assert_eq!(
            sale.sequence.as_deref(),
            Some("04003"),
            "{}",
            learned.profile
        );
        assert_eq!(sale.tax_minor, (287 + 1_312) / 6, "{}", learned.profile);
        assert_eq!(sale.items[1].description, "Def ghi");
        let kinds: Vec<&str> = sale.tenders.iter().map(|t| t.kind.as_str()).collect();
        assert_eq!(kinds, ["cash", "change"], "{}", learned.profile);
        assert_eq!(read_sale(&profile, &captures[1]).tenders[0].kind, "card");
    }
}
