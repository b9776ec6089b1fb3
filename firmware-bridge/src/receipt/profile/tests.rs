mod file;

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::receipt::{JobEnd, Unreadable};
use crate::sale::{Imbalance, Sale, SaleKind, SaleTime};

const SHOP: &str = r#"
name = "shop"
currency = "USD"
thousands = ","
date_formats = ["%m/%d/%y"]
time_formats = ["%H:%M"]
workstation = "7"
tax = "added"
header = ['^TR#: (?<sequence>\d+)', '^(?<date>\d\d/\d\d/\d\d) +(?<time>\d\d:\d\d)']
member = ['^CARD (?<card>\d+)']
ignore = ['^SAVED']

[lines]
item = [
    '^(?<item_id>\d{4}) (?<description>.+?) +(?<amount>-?[\d,]+\.\d\d)$',
    '^(?<description>[A-Z][a-z ]+)$',
    '^ +(?<quantity>\d+(?:\.\d+)?) @ (?<unit_price>[\d.]+) +(?<amount>[\d.]+)$',
]
item_void = ['^VOID (?<item_id>\d{4}) +(?<amount>-[\d.]+)$']
item_discount = ['^ +OFF +(?<amount>-[\d.]+)$']
discount = ['^COUPON +(?<amount>-[\d.]+)$']
tax = ['^TAX +(?<amount>-?[\d.]+)$']
total = ['^TOTAL +(?<amount>-?[\d,.]+)$']
tender = ['^(?<kind>CASH|VISA [*\d]+|GIFT) +(?<amount>-?[\d,.]+)$']
change = ['^CHANGE +(?<amount>[\d.]+)$']

[markers]
void = ['^\*VOID\*$']
return = ['^\*RETURN\*$']
reprint = ['^\*COPY\*$']
training = ['^\*TRAINING\*$']
not_a_sale = ['^ORDER']

[tenders]
cash = "cash"
gift = "voucher"
visa = "card"
"#;

const HEAD: &str = "TR#: 0042\n03/29/12  14:33\n";

fn job(text: &str) -> Job {
    Job {
        lines: text.lines().map(str::to_owned).collect(),
        cuts: 1,
        drawer_kicks: 0,
        images: 0,
        codes: Vec::new(),
        ended_by: JobEnd::Cut,
        skipped_bytes: 0,
        unknown_commands: 0,
        unreadable: None,
    }
}

/// Compiled once: in a test build that takes longer than reading a hundred receipts.
fn shop() -> &'static Profile {
    static SHOP_PROFILE: LazyLock<Profile> = LazyLock::new(|| Profile::parse(SHOP).unwrap());
    &SHOP_PROFILE
}

fn read(body: &str) -> Reading {
    shop().read(&job(&format!("{HEAD}{body}")))
}

fn sale(body: &str) -> Sale {
    let reading = read(body);
    let Reading::Sale(sale) = &reading else {
        panic!("{reading:?}");
    };
    (**sale).clone()
}

fn unparsed(body: &str) -> UnparsedReason {
    reason_of(&read(body))
}

fn reason_of(reading: &Reading) -> UnparsedReason {
    let Reading::Unparsed(reason) = reading else {
        panic!("{reading:?}");
    };
    reason.clone()
}

#[test]
fn a_receipt_with_added_tax_coupon_and_split_payment_is_read_whole() {
    let sale = sale(
        "0042 BUG SPRAY  14.99\nPath light\n   3 @ 1000.00  3000.00\nSAVED 9.99\nCOUPON -5.00\n\
         TAX 248.32\nTOTAL 3,258.31\nVISA ****1234 3,000.00\nCASH 300.00\nCHANGE 41.69\n\
         CARD 627598123",
    );
    assert_eq!(sale.kind, SaleKind::Sale);
    assert_eq!(sale.items[0].item_id, "0042");
    assert_eq!(sale.items[1].amount_minor, 300_000);
    assert_eq!((sale.discount_minor, sale.tax_minor), (500, 24_832));
    assert_eq!(sale.total_minor, 325_831);
    assert!(!sale.tax_included);
    let paid: Vec<_> = sale
        .tenders
        .iter()
        .map(|t| (t.kind.as_str(), t.amount_minor))
        .collect();
    assert_eq!(
        paid,
        [("card", 300_000), ("cash", 30_000), ("change", -4_169)]
    );
    assert_eq!(sale.card.as_deref(), Some("627598123"));
}

#[test]
fn an_item_takes_its_name_from_the_line_above() {
    let sale = sale("Path light\n   3 @ 1.385  4.16\nTOTAL 4.16\nCASH 4.16");
    let item = &sale.items[0];
    assert_eq!(item.description, "Path light");
    assert_eq!(item.quantity.to_string(), "3");
    assert_eq!((item.unit_price_minor, item.amount_minor), (138, 416));
    assert_eq!(sale.sequence.as_deref(), Some("0042"));
    assert_eq!(sale.workstation.as_deref(), Some("7"));
    assert_eq!(sale.store, None);
    let Some(SaleTime::Local(at)) = sale.ended_at else {
        panic!("no time");
    };
    assert_eq!(at.to_string(), "2012-03-29 14:33:00");
    assert_eq!(sale.business_day, Some(at.date()));
}

#[test]
fn a_name_that_meets_no_numbers_names_nothing_else() {
    let sale =
        sale("Welcome\nPath light\n   1 @ 4.00  4.00\n0001 SPRAY  1.00\nTOTAL 5.00\nCASH 5.00");
    assert_eq!(sale.items[0].description, "Path light");
    assert_eq!(sale.items[1].description, "SPRAY");
}

#[test]
fn discounts_of_a_line_and_of_the_whole_are_told_apart_and_summed() {
    let sale =
        sale("0001 SPRAY  10.00\n  OFF -1.00\nCOUPON -2.00\nTAX 0.70\nTOTAL 7.70\nCASH 7.70");
    assert_eq!(sale.items[0].amount_minor, 1000);
    assert_eq!(sale.items[0].discount_minor, 100);
    assert_eq!((sale.discount_minor, sale.tax_minor), (300, 70));
}

#[test]
fn an_amount_printed_after_its_discount_is_raised_to_the_one_before() {
    let text = SHOP.replace("tax = \"added\"", "item_amounts = \"after_discount\"");
    let profile = Profile::parse(&text).unwrap();
    let body = format!("{HEAD}0001 SPRAY  9.00\n  OFF -1.00\nTOTAL 9.00\nCASH 9.00");
    let Reading::Sale(sale) = profile.read(&job(&body)) else {
        panic!("unread");
    };
    assert_eq!(sale.items[0].amount_minor, 1000);
    assert_eq!((sale.discount_minor, sale.total_minor), (100, 900));
}

#[test]
fn a_voided_line_and_its_counterpart_are_kept_and_count_nothing() {
    let sale = sale("0001 SPRAY  10.00\n0002 ROSE  3.00\nVOID 0001 -10.00\nTOTAL 3.00\nCASH 3.00");
    let voided: Vec<_> = sale.items.iter().map(|item| item.voided).collect();
    assert_eq!(voided, [true, false, true]);
    assert_eq!(sale.items[2].amount_minor, -1000);
    assert!(matches!(
        unparsed("0001 SPRAY  10.00\nVOID 0001 -9.00\nTOTAL 1.00\nCASH 1.00"),
        UnparsedReason::Contradiction { line: 4, .. }
    ));
}

#[test]
fn a_return_is_negative_in_every_amount() {
    let body = "*RETURN*\n0001 SPRAY  -10.00\n  OFF -1.00\nTAX -0.63\nTOTAL -9.63\nCASH -9.63";
    let negative = sale(body);
    assert_eq!(negative.kind, SaleKind::Return);
    assert_eq!(negative.items[0].quantity.to_string(), "-1");
    assert_eq!(negative.items[0].discount_minor, -100);

    let text = format!("return_amounts = \"positive\"\n{SHOP}");
    let profile = Profile::parse(&text).unwrap();
    let printed_positive = format!("{HEAD}{}", body.replace(" -9", " 9").replace("-10", "10"))
        .replace("-0.63", "0.63");
    let Reading::Sale(positive) = profile.read(&job(&printed_positive)) else {
        panic!("{:?}", profile.read(&job(&printed_positive)));
    };
    assert_eq!(*positive, negative);
    assert!(matches!(
        unparsed("*RETURN*\n0001 SPRAY  10.00\nTOTAL 10.00\nCASH 10.00"),
        UnparsedReason::Contradiction { line: 5, .. }
    ));
}

#[test]
fn markers_say_what_is_no_sale() {
    let body = "0001 SPRAY  1.00\nTOTAL 1.00\nCASH 1.00";
    assert_eq!(
        read(&format!("*COPY*\n{body}")),
        Reading::NotASale(NotASale::Reprint)
    );
    assert_eq!(
        read(&format!("ORDER 7\n{body}")),
        Reading::NotASale(NotASale::OtherSlip)
    );
    assert_eq!(
        read("*VOID*\n0001 SPRAY  1.00\nTOTAL 1.00"),
        Reading::NotASale(NotASale::Cancelled)
    );
    assert_eq!(sale(&format!("*VOID*\n{body}")).kind, SaleKind::Void);
    assert!(sale(&format!("*TRAINING*\n{body}")).training);
    assert_eq!(shop().read(&job("")), Reading::NotASale(NotASale::NoText));
}

#[test]
fn sums_that_do_not_hold_are_never_a_sale() {
    assert!(matches!(
        unparsed("0001 SPRAY  10.00\nTOTAL 11.00\nCASH 11.00"),
        UnparsedReason::Imbalance(Imbalance::Total { .. })
    ));
    assert!(matches!(
        unparsed("0001 SPRAY  10.00\nTOTAL 10.00\nCASH 9.00"),
        UnparsedReason::Imbalance(Imbalance::Tenders { .. })
    ));
    assert!(matches!(
        unparsed("0001 SPRAY  10.00\nTOTAL 10.00\nTOTAL 11.00\nCASH 10.00"),
        UnparsedReason::Contradiction { line: 5, .. }
    ));
}

#[test]
fn what_a_profile_can_capture_it_requires() {
    let profile = shop();
    let body = "0001 SPRAY  1.00\nTOTAL 1.00\nCASH 1.00";
    let reason = |text: String| reason_of(&profile.read(&job(&text)));
    assert_eq!(
        reason(format!("03/29/12  14:33\n{body}")),
        UnparsedReason::Missing { field: "sequence" }
    );
    assert_eq!(
        reason(format!("TR#: 0042\n{body}")),
        UnparsedReason::Missing { field: "date" }
    );
    assert_eq!(
        reason(format!("TR#: 0042\n13/29/12  14:33\n{body}")),
        UnparsedReason::Time {
            field: "date",
            line: 2
        }
    );
    assert_eq!(
        reason(format!("{HEAD}0001 SPRAY  1.00\nCASH 1.00")),
        UnparsedReason::Missing { field: "total" }
    );
    assert_eq!(
        reason(format!("{HEAD}TOTAL 1.00\nCASH 1.00")),
        UnparsedReason::Missing { field: "item" }
    );
}

#[test]
fn an_amount_that_is_none_names_its_line_and_not_its_text() {
    let reason = unparsed("0001 SPRAY  1,0.00\nTOTAL 1.00\nCASH 1.00");
    assert_eq!(
        reason,
        UnparsedReason::Amount {
            field: "amount",
            line: 3,
            why: AmountError::Grouping
        }
    );
    assert!(!reason.to_string().contains("1,0"));
}

#[test]
fn a_tender_keeps_no_number_of_its_instrument() {
    let unmapped = Profile::parse(&SHOP.replace("visa = \"card\"", "")).unwrap();
    let body = format!("{HEAD}0001 SPRAY  1.00\nTOTAL 1.00\nVISA 4111111111111111 1.00");
    let Reading::Sale(sale) = unmapped.read(&job(&body)) else {
        panic!("unread");
    };
    assert_eq!(sale.tenders[0].kind, "visa");

    let sale = self::sale("0001 SPRAY  1.00\nTOTAL 1.00\nVISA 4111111111111111 0.60\nGIFT 0.40");
    let kinds: Vec<_> = sale.tenders.iter().map(|t| t.kind.as_str()).collect();
    assert_eq!(kinds, ["card", "voucher"]);
}

#[test]
fn a_receipt_without_tenders_counts_only_where_the_profile_says_how_was_paid() {
    let body = "0001 SPRAY  1.00\nTOTAL 1.00";
    assert!(matches!(
        unparsed(body),
        UnparsedReason::Imbalance(Imbalance::Tenders { .. })
    ));
    let profile = Profile::parse(&format!("untendered = \"cash\"\n{SHOP}")).unwrap();
    let Reading::Sale(sale) = profile.read(&job(&format!("{HEAD}{body}"))) else {
        panic!("unread");
    };
    assert_eq!(sale.tenders[0].kind, "cash");
}

#[test]
fn jobs_that_are_not_whole_or_not_text_are_unparsed() {
    let mut cut_off = job(&format!("{HEAD}0001 SPRAY  1.00\nTOTAL 1.00\nCASH 1.00"));
    cut_off.ended_by = JobEnd::Limit;
    assert_eq!(
        shop().read(&cut_off),
        Reading::Unparsed(UnparsedReason::TooLong)
    );
    let mut image = cut_off;
    image.unreadable = Some(Unreadable::ImageOnly);
    assert!(matches!(
        shop().read(&image),
        Reading::Unparsed(UnparsedReason::Unreadable(_))
    ));
}

#[test]
fn items_are_looked_for_between_their_marks_only() {
    let text = SHOP.replace(
        "[lines]",
        "[lines]\nitems_begin = ['^=']\nitems_end = ['^-']",
    );
    let profile = Profile::parse(&text).unwrap();
    let body = format!(
        "{HEAD}0009 MAIN ST  9.00\n==\n0001 SPRAY  1.00\n--\n0008 ELM ST  8.00\nTOTAL 1.00\nCASH 1.00"
    );
    let Reading::Sale(sale) = profile.read(&job(&body)) else {
        panic!("{:?}", profile.read(&job(&body)));
    };
    assert_eq!(sale.items.len(), 1);
}

#[test]
fn a_line_below_an_item_tells_what_the_items_own_line_did_not() {
    let text = SHOP.replace("tax = \"added\"", "item_name = \"after\"\ntax = \"added\"");
    let text = text.replace(
        "item = [",
        "item = [\n'^ +(?<quantity>[\\d.]+) kg x (?<unit_price>[\\d.]+)/kg$',",
    );
    let profile = Profile::parse(&text).unwrap();
    let body = format!(
        "{HEAD}0001 ROOT  1.14\n  0.456 kg x 2.49/kg\n0002 BAG  0.10\nTOTAL 1.24\nCASH 1.24"
    );
    let Reading::Sale(sale) = profile.read(&job(&body)) else {
        panic!("{:?}", profile.read(&job(&body)));
    };
    assert_eq!(sale.items[0].quantity.to_string(), "0.456");
    assert_eq!(sale.items[0].unit_price_minor, 249);
    assert_eq!(sale.items[0].description, "ROOT");
    assert_eq!(sale.items[1].quantity.to_string(), "1");
}

#[test]
fn a_returned_item_is_negative_whatever_sign_it_is_printed_with() {
    let text = SHOP.replace(
        "item_void =",
        "item_return = ['^BACK (?<item_id>\\d{4}) +(?<amount>-?[\\d.]+)$']\nitem_void =",
    );
    let profile = Profile::parse(&text).unwrap();
    for amount in ["3.00", "-3.00"] {
        let body = format!("{HEAD}0001 ROOT  5.00\nBACK 0002 {amount}\nTOTAL 2.00\nCASH 2.00");
        let Reading::Sale(sale) = profile.read(&job(&body)) else {
            panic!("{:?}", profile.read(&job(&body)));
        };
        assert_eq!(sale.items[1].amount_minor, -300);
        assert_eq!(sale.items[1].quantity.to_string(), "-1");
        assert_eq!(sale.kind, SaleKind::Sale);
    }
}

#[test]
fn an_examination_names_the_line_that_no_pattern_takes() {
    let body = "0001 SPRAY  10.00\nbag fee 0.10\nTOTAL 10.10\nCASH 10.00\ncoin 0.10";
    let examination = shop().examine(&job(&format!("{HEAD}{body}")));
    assert_eq!(
        examination.findings,
        [
            Finding {
                line: None,
                message: "sums: lines 10.00 − discounts 0.00 ≠ total 10.10, off by 0.10".to_owned()
            },
            Finding {
                line: Some(4),
                message:
                    "looks like an amount but no pattern of lines.item takes it; it is exactly \
                          what the sums lack"
                        .to_owned()
            },
        ]
    );
    let body = "0001 SPRAY  10.00\nTOTAL 10.00\nCASH 9.90\ncoin 0.10";
    let examination = shop().examine(&job(&format!("{HEAD}{body}")));
    assert_eq!(examination.findings[1].line, Some(6));
    assert!(examination.findings[1].message.contains("lines.tender"));
    assert_eq!(examination.roles[5], LineRole::PassedOver);
    let examination = shop().examine(&job(&format!("*COPY*\n{HEAD}{body}")));
    assert_eq!(examination.marker, Some(("reprint", 1)));
    assert!(examination.findings.is_empty());
}

proptest! {
    #[test]
    fn no_text_makes_a_reading_panic_and_no_sale_comes_out_unbalanced(
        lines in prop::collection::vec(
            prop_oneof![
                "[0-9]{4} [A-Z]{3}  -?[0-9]{1,3}\\.[0-9]{2}",
                "(TOTAL|CASH|TAX|COUPON|CHANGE) -?[0-9]{1,3}\\.[0-9]{2}",
                "  OFF -[0-9]\\.[0-9]{2}",
                "VOID [0-9]{4} -[0-9]{1,20}\\.[0-9]{2}",
                "\\PC{0,40}",
            ],
            0..12,
        ),
    ) {
        if let Reading::Sale(sale) = read(&lines.join("\n")) {
            prop_assert_eq!(sale.reconcile(), Ok(()));
        }
    }
}
