use super::*;

fn member(name: &str, created_ms: i64) -> Member {
    Member {
        id: MemberId::new(name).unwrap(),
        created_ms,
    }
}

fn account(text: &str) -> AccountRef {
    text.parse().unwrap()
}

fn holder(text: &str) -> Option<Holder> {
    Some(Holder {
        account: account(text),
        binding: BindingId::new("b0").unwrap(),
    })
}

fn facts() -> Facts {
    Facts {
        account: account("tmall:1"),
        evidence_fault: None,
        code_used_for_another_card: false,
        account_member: Some(member("m2", 20)),
        card_member: None,
        holder: None,
        cards_of_account: 0,
        cards_of_account_max: 2,
        clash: None,
        evidence_joins: true,
    }
}

fn rejected(facts: &Facts) -> (String, Option<AccountRef>) {
    match decide(facts) {
        Ruling::Reject {
            reason,
            dispute_with,
        } => (reason, dispute_with),
        Ruling::Confirm(join) => panic!("confirmed with {join:?}"),
    }
}

#[test]
fn a_free_card_joins_the_accounts_member() {
    let join = Join::Card {
        member: MemberId::new("m2").unwrap(),
    };
    assert_eq!(decide(&facts()), Ruling::Confirm(join));
}

#[test]
fn a_card_that_another_account_of_the_platform_holds_opens_a_dispute() {
    let held = Facts {
        holder: holder("tmall:9"),
        ..facts()
    };
    let (reason, dispute) = rejected(&held);
    assert_eq!(dispute, Some(account("tmall:9")));
    assert!(!reason.contains(":9"), "{reason}");
}

#[test]
fn the_same_pair_again_is_confirmed_even_with_the_same_code_and_at_the_limit() {
    let again = Facts {
        holder: holder("tmall:1"),
        card_member: Some(member("m2", 20)),
        cards_of_account: 2,
        ..facts()
    };
    let repeats = Join::Repeats(BindingId::new("b0").unwrap());
    assert_eq!(decide(&again), Ruling::Confirm(repeats));
}

#[test]
fn bad_evidence_decides_before_anything_else_and_opens_no_dispute() {
    let forged = Facts {
        evidence_fault: Some("forged".into()),
        holder: holder("tmall:9"),
        ..facts()
    };
    assert_eq!(rejected(&forged), ("forged".to_owned(), None));
}

#[test]
fn an_unknown_account_a_used_code_and_a_full_account_are_rejected_without_dispute() {
    let unknown = Facts {
        account_member: None,
        ..facts()
    };
    let used = Facts {
        code_used_for_another_card: true,
        ..facts()
    };
    let full = Facts {
        cards_of_account: 2,
        ..facts()
    };
    for case in [unknown, used, full] {
        assert_eq!(rejected(&case).1, None);
    }
}

#[test]
fn a_card_of_another_platforms_member_merges_into_the_older_record() {
    let other = Facts {
        card_member: Some(member("m1", 10)),
        ..facts()
    };
    let merge = Join::Merge {
        keep: MemberId::new("m1").unwrap(),
        end: MemberId::new("m2").unwrap(),
    };
    assert_eq!(decide(&other), Ruling::Confirm(merge));
}

#[test]
fn a_receipt_joins_no_two_members_and_binds_a_card_without_one() {
    let found = Facts {
        card_member: Some(member("m1", 10)),
        clash: Some(account("jd:7")),
        evidence_joins: false,
        ..facts()
    };
    assert_eq!(rejected(&found).1, Some(account("jd:7")));
    let free = Facts {
        evidence_joins: false,
        ..facts()
    };
    assert!(matches!(decide(&free), Ruling::Confirm(Join::Card { .. })));
    let own = Facts {
        card_member: Some(member("m2", 20)),
        ..free
    };
    assert_eq!(decide(&own), Ruling::Confirm(Join::Nothing));
}

#[test]
fn members_with_different_accounts_of_one_platform_never_merge() {
    let clash = Facts {
        card_member: Some(member("m1", 10)),
        clash: Some(account("taobao:7")),
        ..facts()
    };
    assert_eq!(rejected(&clash).1, Some(account("taobao:7")));
}
