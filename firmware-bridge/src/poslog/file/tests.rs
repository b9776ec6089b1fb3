use super::*;
use crate::poslog::SkipReason;

const NAMESPACE: &str = "http://www.nrf-arts.org/IXRetail/namespace/";

fn head(prefix: &str) -> String {
    let (element, declared) = match prefix {
        "" => (String::new(), String::new()),
        prefix => (format!("{prefix}:"), format!(":{prefix}")),
    };
    format!("<?xml version=\"1.0\"?>\n<{element}POSLog xmlns{declared}=\"{NAMESPACE}\">\n")
}

/// A sale with all that a piece can end in: attributes, an entity, a name beyond ASCII, a CDATA
/// section, a comment, an empty element.
fn sale(number: u32) -> String {
    format!(
        "<Transaction CancelFlag=\"false\">\n<RetailStoreID>12</RetailStoreID>\
         <SequenceNumber>{number}</SequenceNumber><CurrencyCode>EUR</CurrencyCode>\n\
         <RetailTransaction TransactionStatus='Totaled'><LineItem><Sale ItemType=\"Stock\">\
         <Description>Caf&amp;é</Description><!-- <shelf> --><ItemID/>\
         <Description TypeCode=\"Long\"><![CDATA[<b>tea</b>]]></Description>\
         <ExtendedAmount>5.00</ExtendedAmount></Sale></LineItem>\n\
         <LineItem><Tender TenderType=\"Cash\"><Amount>5.00</Amount></Tender></LineItem>\
         <Total TotalType=\"TransactionGrandAmount\">5.00</Total></RetailTransaction>\
         </Transaction>\n"
    )
}

fn prefixed(text: &str, prefix: &str) -> String {
    text.replace("</", "\0")
        .replace("<!", "\u{1}")
        .replace('<', &format!("<{prefix}:"))
        .replace('\0', &format!("</{prefix}:"))
        .replace('\u{1}', "<!")
}

/// All that a look tells: numbers of sales, faults as people read them, and the place it reached.
struct Look {
    sales: Vec<String>,
    faults: Vec<String>,
    place: Place,
}

/// Looks into `bytes` as a shell does: a fault waits for a whole transaction behind it, or the end.
fn look(bytes: &[u8], from: Place, ended: bool) -> Look {
    let mut file = PosLogFile::new(bytes, bytes.len() as u64, from, ended);
    let mut look = Look {
        sales: Vec::new(),
        faults: Vec::new(),
        place: from,
    };
    let mut waiting: Vec<Fault> = Vec::new();
    while let Some(item) = file.next() {
        match item {
            Ok(item) => {
                for fault in waiting.drain(..) {
                    look.faults.push(file.tell(fault).unwrap().to_string());
                }
                look.place = file.place().unwrap();
                match item {
                    PosLogItem::Sale(sale) => look.sales.push(sale.sequence.unwrap()),
                    PosLogItem::Skipped { reason, .. } => assert_eq!(reason, SkipReason::Control),
                }
            }
            Err(fault) if matches!(fault.error(), PosLogError::Truncated { .. }) => {
                waiting.extend(fault.piece().is_some().then(|| fault.given_up()));
            }
            Err(fault) => waiting.push(fault),
        }
    }
    if ended {
        for fault in waiting {
            look.faults.push(file.tell(fault).unwrap().to_string());
        }
    }
    look
}

/// Sees that a file that was cut off at `cut` of its second transaction, and gone on with, tells
/// the others and the cut.
fn see_cut_off(cut: usize, prefix: &str, new_head: bool) {
    let written = |text: String| match prefix {
        "" => text,
        prefix => prefixed(&text, prefix),
    };
    let before = format!("{}{}", head(prefix), written(sale(1)));
    let head = if new_head {
        head(prefix)
    } else {
        String::new()
    };
    let after = format!("{head}{}", written(sale(3) + "</POSLog>"));
    let torn = written(sale(2));
    let bytes = [before.as_bytes(), &torn.as_bytes()[..cut], after.as_bytes()].concat();
    let look = look(&bytes, Place::default(), true);
    let shown = String::from_utf8_lossy(&bytes[before.len()..]);
    assert_eq!(look.sales, ["1", "3"], "cut at {cut}: {shown}");
    let (line, byte) = (before.lines().count() + 1, before.len());
    let expected = format!("line {line}, byte {byte}: the transaction");
    assert!(
        look.faults.len() == 1
            && look.faults[0].starts_with(&expected)
            && look.faults[0].contains("cut off"),
        "cut at {cut}: {:?}",
        look.faults
    );
}

#[test]
fn a_transaction_cut_off_anywhere_is_told_as_such_and_the_whole_ones_around_it_are_read() {
    let bytes = sale(2).trim_end().len();
    for cut in 1..bytes {
        see_cut_off(cut, "", false);
    }
    for cut in (1..bytes).step_by(7) {
        see_cut_off(cut, "pl", true);
    }
}

#[test]
fn the_first_transaction_may_be_the_torn_one() {
    let torn = sale(1);
    for cut in 1..torn.trim_end().len() {
        let bytes = [
            head("").as_bytes(),
            &torn.as_bytes()[..cut],
            sale(2).as_bytes(),
        ]
        .concat();
        let look = look(&bytes, Place::default(), true);
        assert_eq!(look.sales, ["2"], "cut at {cut}");
        assert_eq!(look.faults.len(), 1, "cut at {cut}: {:?}", look.faults);
    }
}

#[test]
fn a_transaction_that_is_written_slowly_is_no_fault_and_told_once_when_it_is_whole() {
    let all = format!("{}{}{}", head(""), sale(1), sale(2));
    let (mut place, mut told) = (Place::default(), Vec::new());
    for written in 0..=all.len() {
        let look = look(&all.as_bytes()[..written], place, false);
        assert_eq!(look.faults, [""; 0], "at {written}");
        told.extend(look.sales);
        place = look.place;
    }
    assert_eq!(told, ["1", "2"]);
}

#[test]
fn a_piece_at_the_end_is_told_with_its_number_and_place_and_its_rest_is_still_taken() {
    let before = format!("{}{}", head(""), sale(1));
    let all = format!("{before}{}</POSLog>\n", sale(2));
    let cut = before.len() + 300;
    let ended = look(&all.as_bytes()[..cut], Place::default(), true);
    assert_eq!(
        ended.faults,
        [format!(
            "line 7, byte {}: the transaction number 2 that starts here is cut off at byte {cut}: \
             look it up on the POS and have it written again",
            before.len()
        )]
    );
    let later = look(all.as_bytes(), ended.place, false);
    assert_eq!((later.sales, later.faults), (vec!["2".to_owned()], vec![]));
}

#[test]
fn a_missing_last_tag_and_a_piece_of_it_are_no_cut_off_transaction() {
    let all = format!("{}{}</POSLog>\n", head(""), sale(1));
    let body = all.len() - "</POSLog>\n".len();
    for end in (0..head("").len()).chain(body..=all.len()) {
        let look = look(&all.as_bytes()[..end], Place::default(), true);
        assert_eq!(look.faults, [""; 0], "at {end}");
    }
}

#[test]
fn what_looks_like_a_transaction_in_a_comment_that_is_being_written_is_waited_for() {
    let embedded = sale(2)
        .replace(" SequenceNumber=", "")
        .replace("<Description>Caf&amp;é</Description><!-- <shelf> -->", "");
    let text = format!("{}<Transaction><!-- {embedded}", head(""));
    let open = look(text.as_bytes(), Place::default(), false);
    assert_eq!((open.sales.len(), open.faults.len()), (0, 0));
    // Nothing more comes: what is whole is taken.
    let ended = look(text.as_bytes(), Place::default(), true);
    assert_eq!((ended.sales, ended.faults.len()), (vec!["2".to_owned()], 1));
}

#[test]
fn a_piece_that_runs_on_into_the_next_transaction_costs_only_itself() {
    // Torn inside CDATA: the next transaction's own section ends it.
    let torn = sale(2);
    let cut = torn.find("<b>tea").unwrap() + 3;
    let text = format!("{}{}{}{}", head(""), &torn[..cut], sale(3), sale(4));
    for ended in [false, true] {
        let look = look(text.as_bytes(), Place::default(), ended);
        assert_eq!(look.sales, ["3", "4"]);
        assert_eq!(look.faults.len(), 1);
        assert!(look.faults[0].contains("cut off"), "{:?}", look.faults);
    }
}

#[test]
fn a_transaction_that_holds_a_copy_of_another_is_read_as_it_is() {
    let copy = format!(
        "<!-- <was>{}</was> -->",
        sale(9).replace("<!-- <shelf> -->", "")
    );
    let voiding = sale(2).replace("<Sale", &format!("{copy}<Sale"));
    let text = format!("{}{voiding}{}", head(""), sale(3));
    let look = look(text.as_bytes(), Place::default(), false);
    assert_eq!(
        (look.sales, look.faults),
        (vec!["2".to_owned(), "3".to_owned()], vec![])
    );
}

#[test]
fn a_last_tag_that_was_cut_off_costs_nothing_behind_it() {
    for cut in ["<", "</", "</POS", "</POSLog"] {
        let text = format!("{}{}{cut}{}</POSLog>", head(""), sale(1), sale(2));
        let look = look(text.as_bytes(), Place::default(), true);
        assert_eq!(look.sales, ["1", "2"], "{cut}");
        assert_eq!(look.faults.len(), 1, "{cut}");
    }
}

#[test]
fn a_transaction_that_is_whole_and_no_xml_is_told_by_its_own_fault() {
    let bad = sale(2).replace("Caf&amp;", "Caf&");
    let text = format!("{}{}{bad}{}", head(""), sale(1), sale(3));
    let look = look(text.as_bytes(), Place::default(), false);
    assert_eq!(look.sales, ["1", "3"]);
    assert_eq!(look.faults.len(), 1);
    assert!(
        look.faults[0].contains("an & stands alone"),
        "{:?}",
        look.faults
    );
    assert!(look.faults[0].starts_with("line 9,"), "{:?}", look.faults);
}

#[test]
fn reading_goes_on_behind_a_character_that_utf_8_does_not_know() {
    let mut bytes = format!("{}{}", head(""), sale(1)).into_bytes();
    let at = bytes
        .windows(2)
        .position(|pair| pair == "é".as_bytes())
        .unwrap();
    bytes.remove(at);
    let first = look(&bytes, Place::default(), false);
    assert_eq!(first.sales, ["1"]);
    bytes.extend_from_slice(sale(2).as_bytes());
    let second = look(&bytes, first.place, false);
    assert_eq!(second.sales, ["2"]);
}

#[test]
fn a_transaction_that_is_cut_off_in_utf_16_is_told_when_the_file_is_at_its_end() {
    let text = format!("{}{}{}", head(""), sale(1), &sale(2)[..300]);
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let faults = |ended: bool| -> Vec<bool> {
        let file = PosLogFile::new(&bytes[..], bytes.len() as u64, Place::default(), ended);
        file.filter_map(Result::err)
            .map(|fault| {
                let number = Some("2".to_owned());
                matches!(fault.error(), PosLogError::CutOff { number: n, at, .. }
                    if *n == number && at.line == 7)
            })
            .collect()
    };
    assert_eq!((faults(true), faults(false)), (vec![true], vec![false]));
}

#[test]
fn a_fault_is_known_again_by_what_was_told_before() {
    let torn = &sale(2)[..200];
    let wrong = sale(3).replace("<Amount>5.00", "<Amount>4.00");
    let text = format!("{}{}{wrong}{torn}", head(""), sale(1));
    let len = text.len() as u64;
    let faults = |text: &str| -> Vec<(bool, bool)> {
        let file = PosLogFile::new(text.as_bytes(), text.len() as u64, Place::default(), true);
        file.filter_map(Result::err)
            .filter(|fault| fault.piece().is_some())
            .map(|fault| {
                let is_cut = matches!(fault.error(), PosLogError::CutOff { .. });
                (is_cut, fault.was_told_at(len))
            })
            .collect()
    };
    assert_eq!(faults(&text), [(false, true), (false, true)]);
    let grown = format!("{text}{}{wrong}", sale(4));
    assert_eq!(
        faults(&grown),
        [(false, true), (true, true), (false, false)]
    );
}

#[test]
fn many_pieces_in_one_file_cost_bounded_work() {
    // Each opens a comment that nothing closes, so that each is read to the end.
    let text = head("") + &"<Transaction><!--".repeat(2_000);
    let mut file = PosLogFile::new(text.as_bytes(), text.len() as u64, Place::default(), true);
    file.reread_bytes = REREAD_BYTES_MAX - 100 * text.len() as u64;
    let faults = file.count();
    assert!((50..200).contains(&faults), "{faults}");
}

#[test]
fn a_fault_before_the_first_transaction_is_told_once_and_reading_goes_on() {
    let text = format!(
        "{}</none>{}{}{}",
        head(""),
        sale(1),
        &sale(2)[..200],
        sale(3)
    );
    let look = look(text.as_bytes(), Place::default(), true);
    assert_eq!(look.sales, ["1", "3"]);
    assert_eq!(look.faults.len(), 2, "{:?}", look.faults);
}
