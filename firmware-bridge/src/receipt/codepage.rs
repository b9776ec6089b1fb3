//! Text of receipts: which characters the bytes stand for.
//!
//! A printer's page is chosen by the stream (`ESC t n`, Epson's numbers), two-byte text by `FS &` …
//! `FS .`, `FS C 1` and `ESC R n`; where the stream is silent, the profile's `encoding` decides,
//! since many tills rely on how their printer was set up.
//!
//! Deliberately absent: the twelve characters that `ESC R n` replaces within ASCII, right-to-left
//! reordering, and pages with no public mapping (user-defined, TCVN-3, Hiragana). Bytes without a
//! character become U+FFFD; nothing fails.

use std::fmt;

use encoding_rs::Encoding as Codec;

mod tables;

/// Number of `ESC R n` for Japan.
const INTERNATIONAL_JAPAN: u8 = 8;
/// Number of `ESC R n` for Korea.
const INTERNATIONAL_KOREA: u8 = 13;
/// Number of `ESC t n` for the Katakana page.
const PAGE_KATAKANA: u8 = 1;
/// Number of `FS C n` for Shift-JIS.
const KANJI_SHIFT_JIS: u8 = 1;

/// What a printer takes text for when the stream says nothing: a setting of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// One byte a character.
    Single(Page),
    /// One or more bytes a character.
    Multi(MultiByte),
}

/// An encoding of more than one byte a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MultiByte {
    /// GBK and its superset GB18030.
    Gb18030,
    /// Shift-JIS.
    ShiftJis,
    /// EUC-KR.
    EucKr,
    /// Big5.
    Big5,
    /// UTF-8.
    Utf8,
}

/// A page of single-byte characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page(PageSource);

#[derive(Clone, Copy)]
enum PageSource {
    Table(&'static str),
    Codec(&'static Codec),
}

impl PartialEq for PageSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Table(a), Self::Table(b)) => a == b,
            (Self::Codec(a), Self::Codec(b)) => a == b,
            (Self::Table(_), Self::Codec(_)) | (Self::Codec(_), Self::Table(_)) => false,
        }
    }
}

impl Eq for PageSource {}

impl fmt::Debug for PageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(table) => write!(f, "{}…", table.chars().take(8).collect::<String>()),
            Self::Codec(codec) => f.write_str(codec.name()),
        }
    }
}

/// A name that no encoding answers to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no encoding is named {0:?}: use cp437, cp850, cp852, cp858, cp866, cp1252, katakana, gbk, \
     gb18030, shift-jis, euc-kr, big5, utf-8 or another code page's number such as cp865"
)]
pub struct EncodingError(pub String);

impl Default for Encoding {
    /// Code page 437: what ESC/POS printers start with.
    fn default() -> Self {
        Self::Single(Page(PageSource::Table(tables::CP437)))
    }
}

impl Encoding {
    /// Reads a profile's `encoding`, in either case, with or without hyphens.
    ///
    /// # Errors
    /// [`EncodingError`] when the name is not known.
    pub fn parse(name: &str) -> Result<Self, EncodingError> {
        let plain: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let multi = match plain.as_str() {
            "gbk" | "gb18030" | "gb2312" | "cp936" => MultiByte::Gb18030,
            "shiftjis" | "sjis" | "cp932" => MultiByte::ShiftJis,
            "euckr" | "cp949" | "ksc5601" => MultiByte::EucKr,
            "big5" | "cp950" => MultiByte::Big5,
            "utf8" => MultiByte::Utf8,
            single => return page_named(single).ok_or_else(|| EncodingError(name.to_owned())),
        };
        Ok(Self::Multi(multi))
    }
}

fn page_named(plain: &str) -> Option<Encoding> {
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
fn epson_page(n: u8) -> Option<Page> {
    let source = match n {
        0 => PageSource::Table(tables::CP437),
        PAGE_KATAKANA => PageSource::Table(tables::KATAKANA),
        2 => PageSource::Table(tables::CP850),
        3 => PageSource::Table(tables::CP860),
        4 => PageSource::Table(tables::CP863),
        5 => PageSource::Table(tables::CP865),
        13 => PageSource::Table(tables::CP857),
        14 => PageSource::Table(tables::CP737),
        15 => PageSource::Codec(encoding_rs::ISO_8859_7),
        16 => PageSource::Codec(encoding_rs::WINDOWS_1252),
        17 => PageSource::Codec(encoding_rs::IBM866),
        18 => PageSource::Table(tables::CP852),
        19 => PageSource::Table(tables::CP858),
        20 | 21 | 26 => PageSource::Codec(encoding_rs::WINDOWS_874),
        32 => PageSource::Table(tables::CP720),
        33 => PageSource::Table(tables::CP775),
        34 => PageSource::Table(tables::CP855),
        35 => PageSource::Table(tables::CP861),
        36 => PageSource::Table(tables::CP862),
        38 => PageSource::Table(tables::CP869),
        39 => PageSource::Codec(encoding_rs::ISO_8859_2),
        40 => PageSource::Codec(encoding_rs::ISO_8859_15),
        44 => PageSource::Table(tables::CP1125),
        45 => PageSource::Codec(encoding_rs::WINDOWS_1250),
        46 => PageSource::Codec(encoding_rs::WINDOWS_1251),
        47 => PageSource::Codec(encoding_rs::WINDOWS_1253),
        48 => PageSource::Codec(encoding_rs::WINDOWS_1254),
        49 => PageSource::Codec(encoding_rs::WINDOWS_1255),
        50 => PageSource::Codec(encoding_rs::WINDOWS_1256),
        51 => PageSource::Codec(encoding_rs::WINDOWS_1257),
        52 => PageSource::Codec(encoding_rs::WINDOWS_1258),
        _ => return None,
    };
    Some(Page(source))
}

/// What a stream has said about its characters so far. `ESC @` takes it back to the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Charset {
    /// `ESC t n`; nothing until the stream chooses.
    pub page: Option<u8>,
    /// `FS &` (true) or `FS .` (false); nothing until the stream chooses.
    pub kanji: Option<bool>,
    /// `FS C n`; nothing until the stream chooses.
    pub kanji_code: Option<u8>,
    /// `ESC R n`.
    pub international: u8,
}

enum Choice {
    Multi(MultiByte),
    Single(Page),
    /// A page that the stream chose and nobody maps.
    Unmapped,
}

impl Charset {
    fn choose(self, printer: Encoding) -> Choice {
        if self.kanji_code == Some(KANJI_SHIFT_JIS) {
            return Choice::Multi(MultiByte::ShiftJis);
        }
        if self.kanji == Some(true) {
            return Choice::Multi(match (self.international, printer) {
                (INTERNATIONAL_JAPAN, _) => MultiByte::ShiftJis,
                (INTERNATIONAL_KOREA, _) => MultiByte::EucKr,
                (_, Encoding::Multi(multi)) => multi,
                (_, Encoding::Single(_)) => MultiByte::Gb18030,
            });
        }
        let says_japanese = self.international == INTERNATIONAL_JAPAN && self.kanji_code.is_none();
        if self.kanji.is_none() && self.page == Some(PAGE_KATAKANA) && says_japanese {
            return Choice::Multi(MultiByte::ShiftJis);
        }
        match (self.page, printer) {
            // Page 0 is what libraries send by habit before Chinese or Korean text.
            (None | Some(0), Encoding::Multi(multi)) if self.kanji.is_none() => {
                Choice::Multi(multi)
            }
            // 255 is the printer's own user-defined page: its set-up is all that is known.
            (None | Some(255), Encoding::Single(page)) => Choice::Single(page),
            (None | Some(255), Encoding::Multi(multi)) => Choice::Multi(multi),
            (Some(n), _) => epson_page(n).map_or(Choice::Unmapped, Choice::Single),
        }
    }

    /// Decodes text that was sent under this state to a printer set up for `printer`.
    pub fn decode(self, bytes: &[u8], printer: Encoding) -> String {
        if bytes.is_ascii() {
            return bytes.iter().map(|&b| char::from(b)).collect();
        }
        match self.choose(printer) {
            Choice::Multi(multi) => multi
                .codec()
                .decode_without_bom_handling(bytes)
                .0
                .into_owned(),
            Choice::Single(page) => page.decode(bytes),
            Choice::Unmapped => bytes
                .iter()
                .map(|&b| {
                    if b.is_ascii() {
                        char::from(b)
                    } else {
                        char::REPLACEMENT_CHARACTER
                    }
                })
                .collect(),
        }
    }
}

impl MultiByte {
    fn codec(self) -> &'static Codec {
        match self {
            Self::Gb18030 => encoding_rs::GB18030,
            Self::ShiftJis => encoding_rs::SHIFT_JIS,
            Self::EucKr => encoding_rs::EUC_KR,
            Self::Big5 => encoding_rs::BIG5,
            Self::Utf8 => encoding_rs::UTF_8,
        }
    }
}

impl Page {
    fn decode(self, bytes: &[u8]) -> String {
        match self.0 {
            PageSource::Codec(codec) => codec.decode_without_bom_handling(bytes).0.into_owned(),
            PageSource::Table(table) => bytes
                .iter()
                .map(|&b| {
                    if b.is_ascii() {
                        return char::from(b);
                    }
                    table
                        .chars()
                        .nth(usize::from(b - 0x80))
                        .unwrap_or(char::REPLACEMENT_CHARACTER)
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(n: u8) -> Charset {
        Charset {
            page: Some(n),
            ..Charset::default()
        }
    }

    #[test]
    fn every_table_holds_one_character_for_every_upper_byte() {
        for n in 0..=255 {
            let Some(Page(PageSource::Table(table))) = epson_page(n) else {
                continue;
            };
            assert_eq!(table.chars().count(), 128, "page {n}");
        }
    }

    #[test]
    fn the_euro_is_found_in_each_page_that_has_one() {
        let printer = Encoding::default();
        assert_eq!(page(19).decode(b"\xd5 1", printer), "€ 1");
        assert_eq!(page(16).decode(b"\x80", printer), "€");
        assert_eq!(page(15).decode(b"\xa4", printer), "€");
        assert_eq!(page(2).decode(b"\xd5", printer), "ı");
    }

    #[test]
    fn a_chinese_printer_needs_no_kanji_mode() {
        let gbk = Encoding::parse("GBK").unwrap();
        let bytes = b"\xb2\xcd\xb9\xdd 12";
        assert_eq!(Charset::default().decode(bytes, gbk), "餐馆 12");
        assert_eq!(page(0).decode(bytes, gbk), "餐馆 12");
        assert_eq!(page(19).decode(b"\xd51", gbk), "€1");
    }

    #[test]
    fn kanji_mode_reads_chinese_on_a_printer_set_up_for_latin_and_ends_with_its_end() {
        let on = Charset {
            kanji: Some(true),
            ..Charset::default()
        };
        assert_eq!(on.decode(b"\xb2\xcd", Encoding::default()), "餐");
        let off = Charset {
            kanji: Some(false),
            ..Charset::default()
        };
        let gbk = Encoding::parse("gbk").unwrap();
        assert_eq!(off.decode(b"\x82", Encoding::default()), "é");
        assert_eq!(
            Charset {
                page: Some(1),
                ..off
            }
            .decode(b"\x95", gbk),
            "─"
        );
    }

    #[test]
    fn japanese_is_told_by_its_three_commands_and_rules_by_the_katakana_page() {
        let japanese = Charset {
            page: Some(1),
            kanji: None,
            kanji_code: Some(1),
            international: 8,
        };
        assert_eq!(
            japanese.decode(b"\x93\xfa\x96{\xb1", Encoding::default()),
            "日本ｱ"
        );
        assert_eq!(page(1).decode(b"\xb1\xdc", Encoding::default()), "ｱﾜ");
    }

    #[test]
    fn korean_comes_by_setting_or_by_the_international_set() {
        let euc = Encoding::parse("euc-kr").unwrap();
        assert_eq!(Charset::default().decode(b"\xc7\xd5\xb0\xe8", euc), "합계");
        let korean = Charset {
            kanji: Some(true),
            international: 13,
            ..Charset::default()
        };
        assert_eq!(
            korean.decode(b"\xc7\xd5\xb0\xe8", Encoding::default()),
            "합계"
        );
    }

    #[test]
    fn a_page_without_mapping_keeps_its_ascii() {
        assert_eq!(
            page(30).decode(b"Ti\xd5ng 5.00", Encoding::default()),
            "Ti\u{fffd}ng 5.00"
        );
    }

    #[test]
    fn names_are_forgiving_and_unknown_ones_are_refused() {
        assert!(Encoding::parse("CP858").is_ok());
        assert!(Encoding::parse("windows-1252").is_ok());
        assert!(Encoding::parse("Shift_JIS").is_ok());
        let error = Encoding::parse("klingon").unwrap_err();
        assert!(error.to_string().contains("klingon"));
    }
}
