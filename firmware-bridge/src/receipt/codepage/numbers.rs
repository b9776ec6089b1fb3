//! Which page a number or a name means.
//!
//! Sources: the tables of `ESC t n` in Epson's reference and of `ESC GS t n` in Star's; printers of
//! other makers that speak ESC/POS follow Epson for 0 to 5 and 16 to 19 and often differ beyond, so
//! that a profile's `encoding` is what helps there.

use super::tables::{self, regional};
use super::{Encoding, PAGE_KATAKANA, Page, PageSource, STAR_PAGE_KATAKANA};

/// Returns the page that a setting names, letters and digits in lower case.
pub(super) fn page_named(plain: &str) -> Option<Encoding> {
    let number = match plain {
        "katakana" => PAGE_KATAKANA,
        "iso88592" => 39,
        "iso885915" => 40,
        _ => {
            let digits = plain
                .strip_prefix("windows")
                .or_else(|| plain.strip_prefix("cp"))?;
            match digits.parse::<u16>().ok()? {
                437 => 0,
                850 => 2,
                860 => 3,
                863 => 4,
                865 => 5,
                857 => 13,
                737 => 14,
                1252 => 16,
                866 => 17,
                852 => 18,
                858 => 19,
                874 => 21,
                720 => 32,
                775 => 33,
                855 => 34,
                861 => 35,
                862 => 36,
                869 => 38,
                772 => 43,
                774 => 42,
                851 => 11,
                853 => 12,
                864 => 37,
                1098 => 41,
                1125 => 44,
                1250 => 45,
                1251 => 46,
                1253 => 47,
                1254 => 48,
                1255 => 49,
                1256 => 50,
                1257 => 51,
                1258 => 52,
                _ => return None,
            }
        }
    };
    epson_page(number).map(Encoding::Single)
}

/// Returns the page that Epson numbers `n` in `ESC t n`, or nothing where the page has no mapping.
pub(super) fn epson_page(n: u8) -> Option<Page> {
    let source = match n {
        0 => PageSource::Table(tables::CP437),
        PAGE_KATAKANA => PageSource::Table(tables::KATAKANA),
        2 => PageSource::Table(tables::CP850),
        3 => PageSource::Table(tables::CP860),
        4 => PageSource::Table(tables::CP863),
        5 => PageSource::Table(tables::CP865),
        11 => PageSource::Table(regional::CP851),
        12 => PageSource::Table(regional::CP853),
        13 => PageSource::Table(tables::CP857),
        14 => PageSource::Table(tables::CP737),
        15 => PageSource::Codec(encoding_rs::ISO_8859_7),
        16 => PageSource::Codec(encoding_rs::WINDOWS_1252),
        17 => PageSource::Codec(encoding_rs::IBM866),
        18 => PageSource::Table(tables::CP852),
        19 => PageSource::Table(tables::CP858),
        20 | 21 | 26 => PageSource::Codec(encoding_rs::WINDOWS_874),
        30 => PageSource::Table(regional::TCVN3),
        31 => PageSource::Table(regional::TCVN3_CAPITALS),
        32 => PageSource::Table(tables::CP720),
        33 => PageSource::Table(tables::CP775),
        34 => PageSource::Table(tables::CP855),
        35 => PageSource::Table(tables::CP861),
        36 => PageSource::Table(tables::CP862),
        37 => PageSource::Table(regional::CP864),
        38 => PageSource::Table(tables::CP869),
        39 => PageSource::Codec(encoding_rs::ISO_8859_2),
        40 => PageSource::Codec(encoding_rs::ISO_8859_15),
        41 => PageSource::Table(regional::CP1098),
        42 => PageSource::Table(regional::CP774),
        43 => PageSource::Table(regional::CP772),
        44 => PageSource::Table(tables::CP1125),
        45 => PageSource::Codec(encoding_rs::WINDOWS_1250),
        46 => PageSource::Codec(encoding_rs::WINDOWS_1251),
        47 => PageSource::Codec(encoding_rs::WINDOWS_1253),
        48 => PageSource::Codec(encoding_rs::WINDOWS_1254),
        49 => PageSource::Codec(encoding_rs::WINDOWS_1255),
        50 => PageSource::Codec(encoding_rs::WINDOWS_1256),
        51 => PageSource::Codec(encoding_rs::WINDOWS_1257),
        52 => PageSource::Codec(encoding_rs::WINDOWS_1258),
        53 => PageSource::Table(regional::KZ1048),
        _ => return None,
    };
    Some(Page(source))
}

/// Returns the page that Star numbers `n` in `ESC GS t n`, or nothing where the page has no mapping.
pub(super) fn star_page(n: u8) -> Option<Page> {
    let source = match n {
        0 => PageSource::Table(regional::STAR_STANDARD),
        1 => PageSource::Table(tables::CP437),
        STAR_PAGE_KATAKANA => PageSource::Table(tables::KATAKANA),
        4 => PageSource::Table(tables::CP858),
        5 => PageSource::Table(tables::CP852),
        6 => PageSource::Table(tables::CP860),
        7 => PageSource::Table(tables::CP861),
        8 => PageSource::Table(tables::CP863),
        9 => PageSource::Table(tables::CP865),
        10 => PageSource::Codec(encoding_rs::IBM866),
        11 => PageSource::Table(tables::CP855),
        12 => PageSource::Table(tables::CP857),
        13 => PageSource::Table(tables::CP862),
        14 => PageSource::Table(regional::CP864),
        15 => PageSource::Table(tables::CP737),
        16 => PageSource::Table(regional::CP851),
        17 => PageSource::Table(tables::CP869),
        18 => PageSource::Table(regional::CP928),
        19 => PageSource::Table(regional::CP772),
        20 => PageSource::Table(regional::CP774),
        // Code page 874, and the Thai pages as far as they are TIS-620.
        21 | 96 | 97 | 102 => PageSource::Codec(encoding_rs::WINDOWS_874),
        32 => PageSource::Codec(encoding_rs::WINDOWS_1252),
        33 => PageSource::Codec(encoding_rs::WINDOWS_1250),
        34 => PageSource::Codec(encoding_rs::WINDOWS_1251),
        64 => PageSource::Table(regional::CP3840),
        65 => PageSource::Table(regional::CP3841),
        66 => PageSource::Table(regional::CP3843),
        67 => PageSource::Table(regional::CP3844),
        68 => PageSource::Table(regional::CP3845),
        69 => PageSource::Table(regional::CP3846),
        70 => PageSource::Table(regional::CP3847),
        71 => PageSource::Table(regional::CP3848),
        72 => PageSource::Table(regional::CP1001),
        73 => PageSource::Table(regional::CP771),
        74 => PageSource::Table(regional::CP3001),
        75 => PageSource::Table(regional::CP3002),
        76 => PageSource::Table(regional::CP3011),
        77 => PageSource::Table(regional::CP3012),
        78 => PageSource::Table(regional::CP3021),
        79 => PageSource::Table(regional::CP3041),
        _ => return None,
    };
    Some(Page(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_page_has_two_numbers() {
        for (epson, star) in [
            (0, 1),
            (19, 4),
            (18, 5),
            (17, 10),
            (16, 32),
            (37, 14),
            (43, 19),
        ] {
            assert_eq!(epson_page(epson), star_page(star), "{epson} and {star}");
            assert!(epson_page(epson).is_some());
        }
    }
}
