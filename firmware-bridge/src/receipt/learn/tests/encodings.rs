use super::*;

#[test]
fn the_encoding_is_found_where_the_stream_does_not_say() {
    let german = |n: i64| {
        format!(
            "Bon {n:04}\n03.04.2026 10:00\nBr\u{f6}tchen  1,00\nK\u{e4}se  2,00\nSUMME  3,00\nBAR  4,00\nR\u{dc}CKGELD  1,00\n"
        )
    };
    let chinese = |n: i64| {
        format!(
            "\u{5355}\u{53f7}\u{ff1a}{n:04}\n2026-04-03 10:00\n\u{7c73}\u{996d}  1.00\n\u{9c7c}  2.00\n\u{5e94}\u{6536}\u{91d1}\u{989d}\u{ff1a}3.00\n\u{73b0}\u{91d1}\u{ff1a}3.00\n"
        )
    };
    let korean = |n: i64| {
        format!(
            "\u{c601}\u{c218}\u{c99d}\u{bc88}\u{d638} {n:04}\n2026-04-03 10:00\n\u{bc25}  1,000\n\u{ad6d}  2,500\n\u{d569}\u{acc4}  3,500\u{c6d0}\n\u{d604}\u{ae08}  3,500\u{c6d0}\n"
        )
    };
    let encoded = |text: String, encoding: &'static encoding_rs::Encoding| {
        Captured::Stream([&b"\x1b@"[..], &encoding.encode(&text).0, b"\x1dV\x00"].concat())
    };
    let cases: [(&str, Vec<Captured>, &str); 3] = [
        (
            "cp1252",
            (1..=10)
                .map(|n| encoded(german(n), encoding_rs::WINDOWS_1252))
                .collect(),
            "Br\u{f6}tchen",
        ),
        (
            "gbk",
            (1..=10)
                .map(|n| encoded(chinese(n), encoding_rs::GBK))
                .collect(),
            "\u{7c73}\u{996d}",
        ),
        (
            "euc-kr",
            (1..=10)
                .map(|n| encoded(korean(n), encoding_rs::EUC_KR))
                .collect(),
            "\u{bc25}",
        ),
    ];
    for (name, captures, item) in cases {
        let learned = learn(&captures, "learned").unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(learned.sales, 10, "{name}: {}", learned.profile);
        let profile = Profile::parse(&learned.profile).unwrap();
        let job = captures[0].jobs(profile.encoding()).remove(0);
        let Reading::Sale(sale) = profile.read(&job) else {
            panic!("{name}: {:?}\n{}", profile.examine(&job), learned.profile);
        };
        assert_eq!(
            sale.items[0].description, item,
            "{name}: {}",
            learned.profile
        );
    }
}

#[test]
fn captures_of_a_tap_without_a_profile_are_learned_though_their_encoding_was_not_known() {
    let captures: Vec<Captured> = (1..=10)
        .map(|n| {
            let text =
                format!("单号：{n:04}\n2026-04-03 10:00\n米饭  1.00\n应收金额：1.00\n现金：1.00\n");
            let gbk = encoding_rs::GBK.encode(&text).0;
            let read =
                Captured::Stream([&gbk, &b"\x1dV\x00"[..]].concat()).jobs(Default::default());
            let head = crate::receipt::captured_head(true);
            Captured::from_text(&format!("{head}{}\n", read[0].text()))
        })
        .collect();
    let learned = learn(&captures, "learned").unwrap();
    let profile = Profile::parse(&learned.profile).unwrap();
    let Reading::Sale(sale) = profile.read(&captures[0].jobs(profile.encoding())[0]) else {
        panic!("{}", learned.profile);
    };
    assert_eq!(sale.items[0].description, "米饭");
    assert_eq!(sale.tenders[0].kind, "cash");
}
