//! Streams that real POS programs and printing libraries sent, read to their end.
//!
//! The streams are found through the variable `TILLBIND_SAMPLES` and are no part of this project;
//! without it, the project's own fixtures are all that is tested. What each stream must give stands in
//! `readings`.

mod readings;

use std::env;
use std::fs;
use std::path::PathBuf;

use tillbind_firmware_bridge::receipt::{
    Dialect, Encoding, Item, Job, Language, Profile, Reading, ReceiptDecoder, Stream,
};

use readings::SAMPLES;

fn folder() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's only way to learn where the samples lie"
    )]
    #[expect(clippy::print_stdout, reason = "a test that tests nothing says so")]
    let Ok(samples) = env::var("TILLBIND_SAMPLES") else {
        println!("TILLBIND_SAMPLES is not set: the streams of real tills are not tested");
        return None;
    };
    Some(PathBuf::from(samples).join("escpos"))
}

#[derive(Default, Debug, PartialEq, Eq)]
struct Counts {
    cuts: usize,
    kicks: usize,
    images: usize,
    codes: usize,
    unknown: usize,
}

fn count(bytes: &[u8]) -> Counts {
    let mut counts = Counts::default();
    let mut stream = Stream::new(Language::EscPos);
    let mut sink = |item: Item<'_>| match item {
        Item::Cut => counts.cuts += 1,
        Item::DrawerKick => counts.kicks += 1,
        Item::Image { .. } => counts.images += 1,
        Item::Code { .. } => counts.codes += 1,
        Item::Unknown => counts.unknown += 1,
        Item::Text { .. }
        | Item::LineFeed
        | Item::FeedLines(_)
        | Item::FeedUnits(_)
        | Item::LineSpacing(_)
        | Item::MotionUnits(..)
        | Item::Pitch(_)
        | Item::Spacing(_)
        | Item::Page(_)
        | Item::Skipped(_)
        | Item::CarriageReturn
        | Item::Tab
        | Item::TabStops(_)
        | Item::Column(_)
        | Item::Shift(_)
        | Item::PrintMode(_)
        | Item::Size(_)
        | Item::Font(_)
        | Item::Init => {}
    };
    stream.feed(bytes, &mut sink);
    stream.finish(&mut sink);
    counts
}

/// Reads a stream as a tap would: in pieces, then a silence.
fn jobs(bytes: &[u8], chunk: usize) -> (Vec<Job>, u64) {
    let mut decoder = ReceiptDecoder::new(Dialect::Auto, Encoding::default());
    let mut jobs = Vec::new();
    for part in bytes.chunks(chunk) {
        jobs.extend(decoder.feed(part));
    }
    jobs.extend(decoder.handle_idle());
    assert!(decoder.is_at_rest());
    (jobs, decoder.skipped_bytes())
}

#[test]
fn every_stream_of_the_samples_is_read_to_its_end() {
    let Some(folder) = folder() else {
        return;
    };
    for sample in SAMPLES {
        let path = folder.join(format!("{}.bin", sample.file));
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let counts = Counts {
            cuts: sample.cuts,
            kicks: sample.kicks,
            images: sample.images,
            codes: sample.codes,
            unknown: 0,
        };
        assert_eq!(count(&bytes), counts, "{}", sample.file);

        let (jobs, skipped) = jobs(&bytes, 1_460);
        assert_eq!(skipped, sample.skipped, "{}", sample.file);
        let text: Vec<String> = jobs.iter().map(Job::text).collect();
        let text = text.join("\n");
        let mut rest = text.as_str();
        for snippet in sample.snippets {
            let at = rest.find(snippet);
            let at = at.unwrap_or_else(|| panic!("{}: {snippet:?} not in {rest}", sample.file));
            rest = &rest[at + snippet.len()..];
        }
        let first_code = jobs.iter().flat_map(|job| &job.codes).next();
        assert_eq!(first_code.map(String::as_str), sample.first_code);
        let image_only = jobs.iter().filter(|job| job.image_only()).count();
        assert_eq!(image_only, sample.image_only, "{}", sample.file);
    }
}

#[test]
fn every_stream_of_the_samples_is_known_here() {
    let Some(folder) = folder() else {
        return;
    };
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(SAMPLES.iter().any(|sample| sample.file == name), "{name}");
    }
}

#[test]
fn the_samples_read_the_same_byte_by_byte() {
    let Some(folder) = folder() else {
        return;
    };
    for sample in SAMPLES {
        let bytes = fs::read(folder.join(format!("{}.bin", sample.file))).unwrap();
        assert_eq!(
            jobs(&bytes, 1),
            jobs(&bytes, bytes.len()),
            "{}",
            sample.file
        );
    }
}

/// Reads a sample and returns its codes, runs of the same one written once.
fn codes(file: &str) -> Option<Vec<String>> {
    let path = folder()?.join(format!("{file}.bin"));
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (jobs, _) = jobs(&bytes, 700);
    let mut codes: Vec<String> = jobs.into_iter().flat_map(|job| job.codes).collect();
    codes.dedup();
    Some(codes)
}

/// What a scanner reads off the paper: check digits that the printer adds, UPC-E as UPC-A, digits that
/// Code 128 packs in pairs; Code 39 without its asterisks.
#[test]
fn barcodes_of_the_samples_are_read_as_a_scanner_would() {
    let Some(escpos_php) = codes("b-escpos-php-barcode") else {
        return;
    };
    assert_eq!(
        escpos_php,
        [
            "ABC",
            "0123456789012",
            "012345678901",
            "012345678905",
            "012345000065",
            "012345678905",
            "012345678901",
            "0123456789012",
            "01234565",
            "01234567",
            "ABC 012",
            "$%+-./",
            "TEXT",
            "0123456789",
            "A012345A",
            "A012$+-./:A",
            "012abcd",
            "012ABCD",
            "012ABCDabcd",
            "213243",
        ]
    );
    assert_eq!(
        codes("b-thermal-test4").unwrap(),
        [
            "123456789111",
            "0ABCD123",
            "123456",
            "Abcd123",
            "12345678",
            "3130630574613",
            "CODE128 test no spec should be B",
            "CODE128 test 1",
            "CODE128 test 2",
            "50859935",
            "https://google.com",
            "https://test.com",
        ]
    );
}

#[test]
fn two_dimensional_codes_of_the_samples_give_their_content() {
    let Some(qr) = codes("b-escpos-php-qr-code") else {
        return;
    };
    assert_eq!(
        qr,
        [
            "Testing 123",
            &"0123456789".repeat(4),
            &"abcdefghijklmnopqrstuvwxyz".repeat(2)[..40],
            &"\0".repeat(40),
            "Testing 123",
        ]
    );
    assert_eq!(codes("b-escpos-php-pdf417-code").unwrap(), ["Testing 123"]);
    assert_eq!(
        codes("b-thermal-test3").unwrap(),
        ["https://nielsleenheer.com"]
    );
}

/// Its text stands on a page of 512 × 831 units; each dashed line runs up or down an edge of it.
#[test]
fn the_page_of_the_samples_is_read_from_top_to_bottom() {
    let Some(folder) = folder() else {
        return;
    };
    let bytes = fs::read(folder.join("a-epson-coupon-pagemode.bin")).unwrap();
    let (jobs, _) = jobs(&bytes, 512);
    assert_eq!(jobs.len(), 1);
    let lines: Vec<&str> = jobs[0].lines.iter().map(|line| line.trim()).collect();
    let dashes = "-".repeat(35);
    assert_eq!(
        lines,
        [
            "$5 OFF",
            "good for any",
            "purchase over",
            "$50.00 or more",
            &dashes,
            &dashes
        ]
    );
}

/// Rows of the table of characters, as the makers of the pages publish them.
#[test]
fn every_page_of_the_samples_that_has_a_mapping_is_read() {
    let Some(folder) = folder() else {
        return;
    };
    let bytes = fs::read(folder.join("b-escpos-php-character-tables.bin")).unwrap();
    let (tables, _) = jobs(&bytes, 512);
    let text = tables[0].text();
    for (title, row) in [
        ("Table 1: CP932", "C ﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜﾝﾞﾟ"),
        ("Table 2: CP850", "E ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■"),
        ("Table 3: CP860", "8 ÇüéâãàÁçêÊèÍÔìÃÂÉÀÈôõòÚùÌÕÜ¢£Ù₧Ó"),
        ("Table 4: CP863", "8 ÇüéâÂà¶çêëèïî‗À§ÉÈÊôËÏûù¤ÔÜ¢£ÙÛƒ"),
        ("Table 14: CP737", "8 ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθ"),
        ("Table 17: CP866", "E рстуфхцчшщъыьэюяЁёЄєЇїЎў°∙·√№¤■"),
        ("Table 18: CP852", "A áíóúĄąŽžĘę¬źČş«»░▒▓│┤ÁÂĚŞ╣║╗╝Żż┐"),
        ("Table 30: TCVN-3-1", "E �ỏõóọồổỗốộờởỡớợù�ủũúụừửữứựỳỷỹýỵ"),
        ("Table 33: CP775", "8 ĆüéāäģåćłēŖŗīŹÄÅÉæÆōöĢ¢ŚśÖÜø£Ø×¤"),
        ("Table 34: CP855", "A аАбБцЦдДеЕфФгГ«»░▒▓│┤хХиИ╣║╗╝йЙ┐"),
        ("Table 36: CP862", "8 אבגדהוזחטיךכלםמןנסעףפץצקרשת¢£¥₧ƒ"),
        ("Table 37: CP864", "C ¢ﺀﺁﺃﺅﻊﺋﺍﺑﺓﺗﺛﺟﺣﺧﺩﺫﺭﺯﺳﺷﺻﺿﻁﻅﻋﻏ¦¬÷×ﻉ"),
        ("Table 39: ISO_8859-2", "C ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢß"),
        ("Table 42: CP774", "C └┴┬├─┼ŲŪ╚╔╩╦╠═╬Žąčęėįšųūž┘┌█▄▌▐▀"),
        ("Table 43: CP772", "E рстуфхцчшщъыьэюяЁё≥≤„“÷≈°∙·√ⁿ²■"),
        ("Table 44: CP1125", "E рстуфхцчшщъыьэюяЁёҐґЄєІіЇї·√№¤■"),
        ("Table 45: CP1250", "C ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢß"),
        (
            "Table 53: RK1048",
            "A \u{a0}ҰұӘ¤Ө¦§Ё©Ғ«¬\u{ad}®Ү°±Ііөµ¶·ё№ғ»әҢңү",
        ),
    ] {
        let at = text.find(title).unwrap_or_else(|| panic!("{title}"));
        let rows = text[at..].lines().take(8);
        assert!(rows.into_iter().any(|r| r == row), "{title}: {row}");
    }
    let bytes = fs::read(folder.join("b-escpos-php-character-encodings.bin")).unwrap();
    let (encodings, _) = jobs(&bytes, 512);
    let text = encodings[0].text();
    for snippet in [
        "Tiếng Việt, còn gọi tiếng Việt Nam hay Việt ngữ",
        "นายสังฆภัณฑ์ เฮงพิทักษ์ฝั่ง",
        "Kæmi ný öxi hér ykist þjófum nú bæði víl og ádrepa.",
    ] {
        assert!(text.contains(snippet), "{snippet} not in {text}");
    }
}

/// A profile of the retail receipt, whose footer an image swallowed.
const GARDEN_SHOP: &str = r#"
name = "garden-shop"
currency = "USD"
date_formats = ["%m/%d/%y"]
time_formats = ["%H:%M:%S"]
tax = "added"
header = ['^(?<date>\d\d/\d\d/\d\d) +(?<time>\d\d:\d\d:\d\d) +TR#: (?<sequence>\d+)$']

[lines]
items_begin = ['^-+$']
item = ['^(?<item_id>\d{8}) +(?<description>\S.*?) +(?<amount>\d+\.\d\d)$']
subtotal = ['^SUBTOTAL']
discount = ['^.*Coupon \d+ +(?<amount>-\d+\.\d\d)$']
tax = ['^TAX [\d.]+% +(?<amount>\d+\.\d\d)$']
total = ['^TOTAL +(?<amount>\d+\.\d\d)$']
tender = ['^(?<kind>Visa Credit Card) +(?<amount>\d+\.\d\d)$']

[tenders]
"visa credit card" = "card"
"#;

/// A profile of the restaurant's bill, which names no tender.
const RESTAURANT: &str = r#"
name = "restaurant"
currency = "CNY"
untendered = "cash"
date_formats = ["%Y-%m-%d"]
time_formats = ["%H:%M:%S"]
header = ['单号：(?<sequence>\d+)', '打印时间：(?<date>[\d-]+) +(?<time>[\d:]+)']

[lines]
items_begin = ['^菜品名称']
item = ['^(?<description>\S+) +(?<quantity>[\d.]+) +\S+ +(?<amount>\d+\.\d\d)$']
subtotal = ['消费合计：']
discount = ['折扣金额： *(?<amount>\d+\.\d\d)$']
total = ['应收金额：(?<amount>\d+\.\d\d)$']
"#;

#[test]
fn a_profile_makes_sales_of_real_receipts() {
    let Some(folder) = folder() else {
        return;
    };
    for (file, profile, total, items) in [
        ("a-epson-retail-2012", GARDEN_SHOP, 11_470, 4),
        ("a-gbk-restaurant-snaildev", RESTAURANT, 6_800, 2),
    ] {
        let profile = Profile::parse(profile).unwrap_or_else(|error| panic!("{file}: {error}"));
        let bytes = fs::read(folder.join(format!("{file}.bin"))).unwrap();
        let (jobs, _) = jobs(&bytes, 512);
        let reading = profile.read(&jobs[0]);
        let Reading::Sale(sale) = &reading else {
            panic!("{file}: {reading:?}");
        };
        assert_eq!((sale.total_minor, sale.items.len()), (total, items));
    }
}
