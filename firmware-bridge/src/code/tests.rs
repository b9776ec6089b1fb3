use proptest::prelude::*;

use super::*;

fn rules() -> CardRules {
    CardRules::new(["627598", "29"]).unwrap()
}

fn scan(text: &str) -> Code {
    classify(text.as_bytes(), &rules())
}

fn card(text: &str) -> (String, &'static str) {
    let code = scan(text);
    let Code::MemberCard(card) = code else {
        panic!("{text}: {code:?}")
    };
    (card.number.expose().to_owned(), card.kind.as_str())
}

fn reason(text: &str) -> &'static str {
    let code = scan(text);
    let Code::Unknown { reason, .. } = code else {
        panic!("{text}: {code:?}")
    };
    reason.as_str()
}

#[test]
fn a_member_card_is_the_same_with_and_without_an_aim_identifier() {
    for (text, number, kind) in [
        ("2912345678906", "2912345678906", "ean"),
        ("]E02912345678906", "2912345678906", "ean"),
        ("]E3291234567890612", "2912345678906", "ean"),
        ("]E3291234567890612345", "2912345678906", "ean"),
        ("6275980000000008", "6275980000000008", "number"),
        ("]C06275980000000008", "6275980000000008", "number"),
        ("6275 9800 0000 0008", "6275980000000008", "number"),
        ("8018950110153123456781", "950110153123456781", "gsrn"),
        ("]C18018950110153123456781", "950110153123456781", "gsrn"),
        (
            "]d28018950110153123456781\u{1d}80191",
            "950110153123456781",
            "gsrn",
        ),
        ("(8018)950110153123456781", "950110153123456781", "gsrn"),
        (
            "https://id.example/8018/950110153123456781",
            "950110153123456781",
            "gsrn",
        ),
        (
            "]Q1https://id.example/8018/950110153123456781",
            "950110153123456781",
            "gsrn",
        ),
        (
            "]Q3https://id.example/8018/950110153123456781",
            "950110153123456781",
            "gsrn",
        ),
        (";6275980000000008=4912101?", "6275980000000008", "stripe"),
    ] {
        assert_eq!(card(text), (number.to_owned(), kind), "{text}");
    }
}

#[test]
fn a_gsrn_that_looks_like_a_wallet_code_is_a_card_with_its_identifier_alone() {
    let gsrn = (0..10)
        .map(|check| format!("12345678901234567{check}"))
        .find(|number| ean::check_digit_holds(number))
        .unwrap();
    assert_eq!(scan(&gsrn), Code::Payment(PaymentKind::WeChatOrGsrn));
    assert_eq!(scan(&gsrn).ambiguity(), Some(Ambiguity::WalletOrGsrn));
    assert_eq!(card(&format!("]C18018{gsrn}")), (gsrn, "gsrn"));
}

#[test]
fn member_and_claim_codes_are_kept_whole() {
    assert_eq!(
        scan("TB1:6BF AB "),
        Code::MemberCode("TB1:6BF AB ".to_owned())
    );
    assert_eq!(scan("]Q1TB1:6BF"), Code::MemberCode("TB1:6BF".to_owned()));
    assert_eq!(scan("]Q1TBC:K7Q2 "), Code::ClaimCode("TBC:K7Q2".to_owned()));
    assert_eq!(reason("tb1:6BF"), "not_recognised");
    assert_eq!(reason("XTB1:6BF"), "not_recognised");
}

#[test]
fn a_symbology_told_apart_counts_unless_the_text_has_its_own() {
    let text = "10LOT7\u{1d}8018950110153123456781";
    let told = |symbology| classify_text(text, symbology, &rules()).kind();
    assert_eq!(told(Some(Symbology::Gs1Code128)), "member_card");
    assert_eq!(told(None), "unknown");
    let code = classify_text(&format!("]C1{text}"), Some(Symbology::Code128), &rules());
    assert_eq!(code.kind(), "member_card");
}

#[test]
fn weighed_goods_and_misreads_of_a_card_are_no_cards() {
    assert_eq!(reason("2112345678900"), "restricted_range");
    assert_eq!(reason("2912345678901"), "check_digit");
    assert_eq!(reason("]E02912345678901"), "check_digit");
    assert_eq!(reason("]C18018950110153123456782"), "check_digit");
    assert_eq!(reason("8018950110153123456782"), "not_recognised");
    assert_eq!(reason("4006381333931"), "not_recognised");
    assert_eq!(reason("(8017)950110153123456781"), "gs1_without_member");
    assert_eq!(reason("(8019)12"), "gs1_malformed");
    assert_eq!(reason("9812345678902"), "coupon");
    assert_eq!(reason("]E00512345678900"), "coupon");
    assert_eq!(reason("]e08112001234561234560123456"), "coupon");
    assert_eq!(reason("]C12559501101530003123456\u{1d}81110250"), "coupon");
    assert_eq!(reason("]C1(8018"), "gs1_malformed");
    assert_eq!(reason("29"), "not_recognised");
    assert_eq!(reason(" "), "empty");
}

#[test]
fn payment_data_are_refused_in_every_form() {
    for (text, kind) in [
        ("4111111111111111", PaymentKind::Card),
        ("4111-1111-1111-1111", PaymentKind::Card),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", PaymentKind::Card),
        ("]C04111111111111111", PaymentKind::Card),
        ("]C14111111111111111", PaymentKind::Card),
        ("]E04222222222222", PaymentKind::Card),
        (
            "https://pay.example/?pan=4111111111111111",
            PaymentKind::Card,
        ),
        ("B4111111111111111^DOE/JOHN^2705?", PaymentKind::Stripe),
        ("%B4111111111111111^DOE/JOHN^2705101?", PaymentKind::Stripe),
        ("134567890123456789", PaymentKind::WeChat),
        ("284567890123456789", PaymentKind::Alipay),
        ("6212345678901234560", PaymentKind::UnionPay),
    ] {
        assert_eq!(scan(text), Code::Payment(kind), "{text}");
    }
}

#[test]
fn a_number_that_is_two_things_is_settled_by_the_prefix_and_said() {
    let unionpay = scan("6275980000000008").ambiguity();
    assert_eq!(
        unionpay,
        Some(Ambiguity::MemberOrPayment(PaymentKind::Card))
    );
    let stripe = scan(";6275980000000008=4912101?").ambiguity();
    assert_eq!(stripe, Some(Ambiguity::MemberOrPayment(PaymentKind::Card)));
    let coupons = CardRules::new(["98"]).unwrap();
    let coupon = classify(b"]E09812345678902", &coupons);
    assert_eq!(coupon.ambiguity(), Some(Ambiguity::MemberOrCoupon));
    for text in [
        "2912345678906",
        "8018950110153123456781",
        "4111111111111111",
    ] {
        assert_eq!(scan(text).ambiguity(), None, "{text}");
    }
    for ambiguity in [unionpay.unwrap(), Ambiguity::WalletOrGsrn] {
        assert!(!ambiguity.to_string().contains("627598"));
    }
}

#[test]
fn a_payment_number_of_no_eans_length_is_refused_though_the_scanner_calls_it_an_ean() {
    let number = (0..10_000_000u64)
        .map(|n| format!("40063819{n:07}"))
        .find(|number| ean::check_digit_holds(number) && payment::is_card_number(number))
        .unwrap();
    assert_eq!(
        scan(&format!("]E0{number}")),
        Code::Payment(PaymentKind::Card)
    );
}

#[test]
fn an_article_that_passes_luhn_is_no_payment_when_the_scanner_calls_it_an_ean() {
    let article = (0..10_000_000u64)
        .map(|n| format!("400638{n:07}"))
        .find(|number| ean::is_ean_13(number) && payment::is_card_number(number))
        .unwrap();
    assert_eq!(reason(&format!("]E0{article}")), "not_recognised");
    assert_eq!(scan(&article), Code::Payment(PaymentKind::Card));
}

#[test]
fn an_unknown_text_is_bounded_and_free_of_control_characters() {
    let text = format!("A\u{1d}\u{7f}{}", "x".repeat(5_000));
    let Code::Unknown { text, .. } = scan(&text) else {
        panic!("known")
    };
    assert!(text.starts_with("A␝␡x"));
    assert_eq!(text.chars().count(), UNKNOWN_TEXT_CHARS_MAX);
}

#[test]
fn debug_output_shows_no_code() {
    for text in ["TB1:SECRET", "TBC:SECRET", "SECRET", "2912345678906"] {
        let shown = format!("{:?}", scan(text));
        assert!(
            !shown.contains("SECRET") && !shown.contains("29123"),
            "{shown}"
        );
    }
}

/// A number of a known scheme with its Luhn digit.
fn pan() -> impl Strategy<Value = String> {
    let head = prop_oneof![
        Just("4"),
        Just("51"),
        Just("55"),
        Just("2221"),
        Just("2720"),
        Just("34"),
        Just("37"),
        Just("35"),
        Just("36"),
        Just("6011"),
        Just("65"),
        Just("644"),
        Just("62"),
    ];
    (head, "[0-9]{18}", 13usize..=19).prop_map(|(head, tail, length)| {
        let body: String = format!("{head}{tail}").chars().take(length - 1).collect();
        (0..10)
            .map(|check| format!("{body}{check}"))
            .find(|number| payment::passes_luhn(number))
            .unwrap_or(body)
    })
}

fn shows_four_digits_of(number: &str, shown: &str) -> bool {
    number
        .as_bytes()
        .windows(4)
        .any(|four| std::str::from_utf8(four).is_ok_and(|four| shown.contains(four)))
}

proptest! {
    #[test]
    fn any_bytes_are_classified_without_a_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _code = classify(&data, &rules());
    }

    #[test]
    fn any_text_near_the_formats_is_classified_without_a_panic(
        text in "(\\]C1|\\]E3|%B|;|\\(8018\\)|https://a/8018/|TB1:)?[0-9A-Z%;?=^ ()/\u{1d}\u{e9}-]{0,60}",
    ) {
        let _code = scan(&text);
        let _card = rules().normalise(&text);
        let _text = payment::mask_payment_numbers(&text, &rules());
    }

    #[test]
    fn no_output_for_a_payment_number_shows_four_of_its_digits(
        number in pan(),
        shape in 0usize..7,
    ) {
        prop_assume!(!rules().is_member_number(&number));
        let text = match shape {
            0 => number.clone(),
            1 => number.chars().flat_map(|c| [c, ' ']).collect(),
            2 => format!("]C0{number}"),
            3 => format!("%B{number}^DOE/JOHN^2705101000?"),
            4 => format!(";{number}=27051010000?5"),
            5 => format!("pan={number};"),
            _ => format!("{number:0>25}"),
        };
        let code = scan(&text);
        prop_assert!(matches!(code, Code::Payment(_)), "{} {:?}", text, code);
        let error = rules().normalise(&text).unwrap_err();
        for shown in [format!("{code:?}"), format!("{error:?}"), error.to_string()] {
            prop_assert!(!shows_four_digits_of(&number, &shown), "{}", shown);
        }
    }

    #[test]
    fn a_masked_text_keeps_no_payment_number(number in pan(), before in "[a-z ]{0,9}", after in "[a-z ]{0,9}") {
        prop_assume!(!rules().is_member_number(&number) && !ean::is_ean_13(&number));
        let text = format!("{before}{number}{after}");
        prop_assert_eq!(
            payment::mask_payment_numbers(&text, &rules()),
            format!("{before}{}{after}", payment::REPLACEMENT)
        );
    }

    #[test]
    fn a_normalised_number_is_its_own_normal_form(text in "[0-9 -]{4,40}") {
        if let Ok(card) = rules().normalise(&text) {
            let again = rules().normalise(card.number.expose());
            prop_assert_eq!(again.map(|c| c.number), Ok(card.number));
        }
    }
}
