use super::*;
use crate::sale::SaleKind;

const OPEN: &str = "<POSLog xmlns='http://www.nrf-arts.org/IXRetail/namespace/' \
    xmlns:acs='http://www.ncr.com/rsd/acs/tlog/markup/poslog/2.1'>";

/// One transaction of 5.00 EUR with these lines and whatever else stands in its retail part.
fn transaction(lines: &str) -> String {
    format!(
        "<Transaction><RetailStoreID>1</RetailStoreID><SequenceNumber>7</SequenceNumber>\
         <CurrencyCode>EUR</CurrencyCode><RetailTransaction>{lines}\
         <Total TotalType='TransactionGrandAmount'>5.00</Total>\
         </RetailTransaction></Transaction>"
    )
}

fn goods(extended: &str, more: &str) -> String {
    format!(
        "<LineItem><Sale><ItemID>A</ItemID><RegularSalesUnitPrice>{extended}\
         </RegularSalesUnitPrice><ExtendedAmount>{extended}</ExtendedAmount>{more}</Sale></LineItem>"
    )
}

fn paid(amount: &str) -> String {
    format!("<LineItem><Tender TenderType='Cash'><Amount>{amount}</Amount></Tender></LineItem>")
}

fn read(transactions: &str) -> Vec<Result<PosLogItem, PosLogError>> {
    let text = format!("{OPEN}{transactions}</POSLog>");
    PosLogReader::new(text.as_bytes()).collect()
}

fn sale(lines: &str) -> Sale {
    let mut items = read(&transaction(lines));
    assert_eq!(items.len(), 1, "{items:?}");
    match items.remove(0) {
        Ok(PosLogItem::Sale(sale)) => sale,
        other => panic!("{other:?}"),
    }
}

fn card(loyalty: &str) -> Option<String> {
    sale(&format!("{}{}{loyalty}", goods("5.00", ""), paid("5.00"))).card
}

#[test]
fn the_first_place_that_names_a_card_wins() {
    let account = "<LoyaltyAccount><LoyaltyProgram><LoyaltyAccountID>29001</LoyaltyAccountID>\
                   </LoyaltyProgram></LoyaltyAccount>";
    let membership = "<LineItem><acs:LoyaltyMembership><acs:LoyaltyID>555</acs:LoyaltyID>\
                      <acs:MembershipID>777</acs:MembershipID></acs:LoyaltyMembership></LineItem>";
    let customer = "<Customer><CustomerID>C-1</CustomerID></Customer>";
    let reward = "<LineItem><LoyaltyReward><LoyaltyID>R-1</LoyaltyID></LoyaltyReward></LineItem>";
    let all = format!("{reward}{customer}{membership}{account}");
    assert_eq!(card(&all).as_deref(), Some("29001"));
    let rest = format!("{reward}{customer}{membership}");
    assert_eq!(card(&rest).as_deref(), Some("777"));
    assert_eq!(card(&format!("{reward}{customer}")).as_deref(), Some("C-1"));
    assert_eq!(card(reward).as_deref(), Some("R-1"));
    assert_eq!(card(""), None);
}

#[test]
fn a_programme_a_row_of_zeros_and_a_voided_line_name_no_card() {
    for programme in ["1", "4", "8", "10", "Pointsaccount"] {
        let account = format!(
            "<LoyaltyAccount><LoyaltyProgram><LoyaltyAccountID>{programme}</LoyaltyAccountID>\
             </LoyaltyProgram></LoyaltyAccount>"
        );
        assert_eq!(card(&account), None, "{programme}");
    }
    let zeros = "<LineItem><acs:LoyaltyMembership><acs:MembershipID>0000</acs:MembershipID>\
                 <acs:LoyaltyID>555</acs:LoyaltyID></acs:LoyaltyMembership></LineItem>";
    assert_eq!(card(zeros).as_deref(), Some("555"));
    let voided = "<LineItem VoidFlag='true'><acs:LoyaltyMembership><acs:MembershipID>9\
                  </acs:MembershipID></acs:LoyaltyMembership></LineItem>";
    assert_eq!(card(voided), None);
}

#[test]
fn a_reward_without_its_detail_counts_by_its_summary() {
    let reward = |kind: &str| {
        format!(
            "<LineItem><LoyaltyReward acs:{kind}='true'><PromotionID>9</PromotionID>\
             <acs:RewardCategory>Monetary</acs:RewardCategory>\
             <acs:ExtendedRewardAmount>-1.00</acs:ExtendedRewardAmount></LoyaltyReward></LineItem>"
        )
    };
    let rest = format!("{}{}", goods("6.00", ""), paid("5.00"));
    let summary = reward("summarizedActivity");
    assert_eq!(sale(&format!("{rest}{summary}")).discount_minor, 100);
    let both = format!("{rest}{}{summary}", reward("detailedData"));
    assert_eq!(sale(&both).discount_minor, 100);
}

#[test]
fn an_amount_that_is_written_before_its_discount_is_known_by_the_regular_price() {
    let gross = goods(
        "6.00",
        "<ExtendedDiscountAmount>1.00</ExtendedDiscountAmount>",
    );
    let sale = sale(&format!("{gross}{}", paid("5.00")));
    assert_eq!((sale.total_minor, sale.discount_minor), (500, 100));
    assert_eq!(sale.items[0].amount_minor, 600);
}

#[test]
fn change_in_a_payment_of_nothing_and_rounding_up_both_lower_what_was_paid() {
    let sale = sale(&format!(
        "{}{}<LineItem><Tender TenderType='Cash'><Amount>0</Amount><TenderChange><Amount>4.97\
         </Amount></TenderChange></Tender></LineItem><LineItem><Tender TenderType='X:Rounding'>\
         <Amount>0.03</Amount><Rounding RoundingDirection='Up'>0.03</Rounding></Tender></LineItem>",
        goods("5.00", ""),
        paid("10.00"),
    ));
    let tenders: Vec<(&str, i64)> = sale
        .tenders
        .iter()
        .map(|tender| (tender.kind.as_str(), tender.amount_minor))
        .collect();
    assert_eq!(
        tenders,
        [("cash", 1000), ("change", -497), ("rounding", -3)]
    );
}

#[test]
fn a_kind_of_payment_carries_no_digit_of_the_source() {
    let sale = sale(&format!(
        "{}<LineItem><Tender TenderType='Store Card 4111111111111111'><Amount>5.00</Amount>\
         </Tender></LineItem>",
        goods("5.00", "")
    ));
    assert_eq!(sale.tenders[0].kind, "storecard");
}

#[test]
fn a_transaction_that_undoes_another_is_a_void() {
    let link = "<TransactionLink ReasonCode='PostVoid'/>";
    let sale = sale(&format!("{}{}{link}", goods("5.00", ""), paid("5.00")));
    assert_eq!((sale.kind, sale.total_minor), (SaleKind::Void, 500));
}

#[test]
fn amounts_that_are_no_amounts_are_refused() {
    for amount in [
        "",
        "5,00",
        "5.001",
        "1e2",
        "--5",
        "0x5",
        "99999999999999999999",
        "1_0",
    ] {
        let items = read(&transaction(&goods(amount, "")));
        assert!(
            matches!(&items[..], [Err(PosLogError::Malformed { .. })]),
            "{amount:?}: {items:?}"
        );
    }
}

#[test]
fn an_amount_in_another_currency_is_refused_and_a_missing_currency_too() {
    let foreign = "<Total TotalType='RoundingAmount' CurrencyCode='USD'>0</Total>";
    let items = read(&transaction(&format!("{}{foreign}", goods("5.00", ""))));
    assert!(
        matches!(&items[..], [Err(PosLogError::Malformed { element, .. })] if element == "Total")
    );
    let none = transaction("").replace("<CurrencyCode>EUR</CurrencyCode>", "");
    let items = read(&none);
    assert!(
        matches!(&items[..], [Err(PosLogError::Malformed { problem, .. })]
            if *problem == "names no currency")
    );
}

#[test]
fn errors_tell_line_and_byte_of_the_element_and_what_to_do() {
    let text = format!("{OPEN}\n{}</POSLog>", transaction(&goods("x", "")));
    let error = PosLogReader::new(text.as_bytes())
        .next()
        .unwrap()
        .unwrap_err();
    let PosLogError::Malformed { at, element, .. } = &error else {
        panic!("{error}")
    };
    let byte = text.find("<ExtendedAmount>").unwrap();
    assert_eq!((at.line, at.byte), (2, byte as u64));
    assert_eq!(element, "ExtendedAmount");
    assert_eq!(
        error.to_string(),
        format!(
            "line 2, byte {byte}: ExtendedAmount is not a decimal number: have the POS write the \
             transaction again"
        )
    );
    assert!(error.is_permanent() && !error.is_fatal());
}

#[test]
fn a_transaction_past_a_bound_is_refused_and_the_next_is_read() {
    let next = transaction(&format!("{}{}", goods("5.00", ""), paid("5.00")));
    let deep = "<Description>".repeat(80) + &"</Description>".repeat(80);
    let long = format!("<Description>{}</Description>", "x".repeat(5_000));
    let many = "<ItemID/>".repeat(100_001);
    for (fault, expected) in [
        (deep, Limit::Depth),
        (long, Limit::Text),
        (many, Limit::Elements),
    ] {
        let items = read(&format!("{}{next}", transaction(&goods("5.00", &fault))));
        let [
            Err(PosLogError::TooLarge { limit, .. }),
            Ok(PosLogItem::Sale(_)),
        ] = &items[..]
        else {
            panic!("{expected}: {} items", items.len())
        };
        assert_eq!(*limit, expected);
    }
}

#[test]
fn a_text_without_end_is_refused_in_bounded_memory() {
    let start = format!("{OPEN}<Transaction><Note>");
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    let endless = std::io::Read::chain(start.as_bytes(), endless);
    let mut reader = PosLogReader::new(endless);
    let error = reader.next().unwrap().unwrap_err();
    assert!(
        matches!(
            &error,
            PosLogError::TooLarge {
                limit: Limit::Token,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.is_fatal());
    assert!(reader.next().is_none());
}

#[test]
fn files_without_namespace_are_read_and_vendors_elements_are_not() {
    let bare = format!(
        "<POSLog xmlns:v='urn:v'><v:Transaction/>{}</POSLog>",
        transaction(&format!("{}{}", goods("5.00", ""), paid("5.00")))
    );
    let items: Vec<_> = PosLogReader::new(bare.as_bytes()).collect();
    assert!(matches!(&items[..], [Ok(PosLogItem::Sale(_))]), "{items:?}");
}

#[test]
fn several_documents_in_one_file_are_read_and_text_after_them_is_told() {
    let one = format!(
        "<?xml version='1.0'?>{OPEN}{}</POSLog>\n",
        transaction(&format!("{}{}", goods("5.00", ""), paid("5.00")))
    );
    let text = format!("{one}{one}rest");
    let items: Vec<_> = PosLogReader::new(text.as_bytes()).collect();
    assert!(
        matches!(
            &items[..],
            [
                Ok(PosLogItem::Sale(_)),
                Ok(PosLogItem::Sale(_)),
                Err(PosLogError::NotWellFormed { .. })
            ]
        ),
        "{items:?}"
    );
}

#[test]
fn an_empty_file_is_one_that_is_still_to_be_written() {
    let items: Vec<_> = PosLogReader::new(&b""[..]).collect();
    assert!(matches!(&items[..], [Err(PosLogError::Truncated { .. })]));
}

#[test]
fn an_exchange_for_something_cheaper_is_a_return_paid_out_by_its_type_code() {
    let lines = format!(
        "{}<LineItem><Return><ItemID>B</ItemID><ExtendedAmount>80.00</ExtendedAmount></Return>\
         </LineItem><LineItem><Tender TenderType='Cash' TypeCode='Refund'><Amount>30.00</Amount>\
         </Tender></LineItem>",
        goods("50.00", "")
    );
    let text = transaction(&lines).replace(">5.00</Total>", ">-30.00</Total>");
    let items = read(&text);
    let [Ok(PosLogItem::Sale(sale))] = &items[..] else {
        panic!("{items:?}")
    };
    assert_eq!((sale.kind, sale.total_minor), (SaleKind::Return, -3000));
    assert_eq!(sale.tenders[0].amount_minor, -3000);
    assert_eq!(sale.items[1].amount_minor, -8000);
}

#[test]
fn reading_on_behind_any_transaction_of_a_growing_file_tells_the_rest() {
    let one = |number: u32| {
        transaction(&format!("{}{}", goods("5.00", ""), paid("5.00"))).replacen(
            "<SequenceNumber>",
            &format!("<SequenceNumber>{number}"),
            1,
        )
    };
    let body: String = (1..=3).map(one).collect();
    let text = format!(
        "\u{FEFF}<?xml version=\"1.0\"?>\n<POSLog \
         xmlns=\"http://www.nrf-arts.org/IXRetail/namespace/\">{body}"
    );
    let numbers = |source: &[u8]| {
        let mut reader = PosLogReader::new(source);
        let mut told = Vec::new();
        while let Some(Ok(PosLogItem::Sale(sale))) = reader.next() {
            let reached = usize::try_from(reader.reached().unwrap()).unwrap();
            told.push((sale.sequence, reached));
        }
        (told, usize::try_from(reader.head_bytes().unwrap()).unwrap())
    };
    let bytes = text.as_bytes();
    let (told, head) = numbers(bytes);
    assert_eq!(told.len(), 3);
    assert!(bytes[head..].starts_with(b"<Transaction"));
    for (index, (_, reached)) in told.iter().take(2).enumerate() {
        let spliced = [&bytes[..head], &bytes[*reached..]].concat();
        let (rest, _) = numbers(&spliced);
        let sequences = |told: &[(Option<String>, usize)]| {
            told.iter().map(|(s, _)| s.clone()).collect::<Vec<_>>()
        };
        assert_eq!(sequences(&rest), sequences(&told[index + 1..]));
    }
}
