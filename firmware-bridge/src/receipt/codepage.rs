//! Text of receipts: which characters the bytes stand for.
//!
//! A printer's page is chosen by the stream (`ESC t n` with Epson's numbers, `ESC GS t n` with Star's),
//! two-byte text by `FS &` … `FS .`, `FS C 1`, `ESC $ 1`, `ESC p` and `ESC R n`; where the stream is
//! silent, the profile's `encoding` decides, since many tills rely on how their printer was set up.
//! `ESC R n` also replaces up to twelve characters within ASCII.
//!
//! Deliberately absent: right-to-left reordering, and pages with no public mapping (user-defined
//! ones, Hiragana, the Thai pages that stack their signs). Bytes without a character become U+FFFD;
//! nothing fails.

use std::fmt;

use encoding_rs::Encoding as Codec;

use super::dialect::Language;

mod encode;
mod international;
mod numbers;
mod tables;

use numbers::{epson_page, page_named, star_page};

/// Number of `ESC R n` for Japan.
const INTERNATIONAL_JAPAN: u8 = 8;
/// Number of `ESC R n` for Korea.
const INTERNATIONAL_KOREA: u8 = 13;
/// Number of `ESC t n` for the Katakana page.
const PAGE_KATAKANA: u8 = 1;
/// Number of `ESC GS t n` for the Katakana page.
const STAR_PAGE_KATAKANA: u8 = 2;
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

/// What a stream has said about its characters so far. `ESC @` takes it back to the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Charset {
    /// Whose numbers a page is chosen by.
    pub language: Language,
    /// `ESC t n` or `ESC GS t n`; nothing until the stream chooses.
    pub page: Option<u8>,
    /// `FS &` (true) or `FS .` (false); nothing until the stream chooses.
    pub kanji: Option<bool>,
    /// `FS C n`; nothing until the stream chooses.
    pub kanji_code: Option<u8>,
    /// Star's `ESC $ n`; nothing until the stream chooses.
    pub shift_jis: Option<bool>,
    /// Star's `ESC p` (true) and `ESC q`: two bytes of JIS below 0x80 a character.
    pub jis: bool,
    /// `FS ( C` or `ESC GS ) U`: text is UTF-8.
    pub utf8: bool,
    /// `ESC R n`.
    pub international: u8,
}

enum Choice {
    Multi(MultiByte),
    Jis,
    Single(Page),
    /// A page that the stream chose and nobody maps.
    Unmapped,
}

impl Charset {
    /// Starts at the defaults of a dialect's printers.
    pub(super) fn new(language: Language) -> Self {
        Self {
            language,
            ..Self::default()
        }
    }

    fn choose(self, printer: Encoding) -> Choice {
        if self.utf8 {
            return Choice::Multi(MultiByte::Utf8);
        }
        match self.language {
            Language::EscPos => self.choose_epson(printer),
            Language::Star => self.choose_star(printer),
        }
    }

    fn choose_epson(self, printer: Encoding) -> Choice {
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
        self.choose_page(printer, epson_page)
    }

    /// Star's Chinese and Korean printers need no command for their two-byte text; `ESC R D` (13) is
    /// what drivers send before Korean.
    fn choose_star(self, printer: Encoding) -> Choice {
        if self.jis {
            return Choice::Jis;
        }
        match (self.shift_jis, self.kanji, self.page, printer) {
            (Some(true), ..) => return Choice::Multi(MultiByte::ShiftJis),
            // Its printers of Japan have the Katakana page where no kanji are.
            (Some(false), _, None, _) => {
                return star_page(STAR_PAGE_KATAKANA).map_or(Choice::Unmapped, Choice::Single);
            }
            (None, Some(true), _, Encoding::Single(_)) => {
                return Choice::Multi(MultiByte::Gb18030);
            }
            (None, None, None, Encoding::Single(_))
                if self.international == INTERNATIONAL_KOREA =>
            {
                return Choice::Multi(MultiByte::EucKr);
            }
            _ => {}
        }
        self.choose_page(printer, star_page)
    }

    fn choose_page(self, printer: Encoding, numbered: fn(u8) -> Option<Page>) -> Choice {
        match (self.page, printer) {
            // Page 0 is what libraries send by habit before Chinese or Korean text.
            (None | Some(0), Encoding::Multi(multi)) if self.kanji != Some(false) => {
                Choice::Multi(multi)
            }
            // 255 is the printer's own user-defined page: its set-up is all that is known.
            (None | Some(255), Encoding::Single(page)) => Choice::Single(page),
            (None | Some(255), Encoding::Multi(multi)) => Choice::Multi(multi),
            (Some(n), _) => numbered(n).map_or(Choice::Unmapped, Choice::Single),
        }
    }

    /// Decodes text that was sent under this state to a printer set up for `printer`.
    pub fn decode(self, bytes: &[u8], printer: Encoding) -> String {
        let replaced = international::replaced(self.language, self.international);
        if bytes.is_ascii() && !self.jis && replaced.is_empty() {
            return bytes.iter().map(|&b| char::from(b)).collect();
        }
        let (text, is_ascii_replaced) = match self.choose(printer) {
            Choice::Multi(multi) => {
                let codec = multi.codec();
                let text = codec.decode_without_bom_handling(bytes).0.into_owned();
                (text, multi != MultiByte::Utf8)
            }
            Choice::Jis => (decode_jis(bytes), false),
            Choice::Single(page) => (page.decode(bytes), true),
            Choice::Unmapped => (only_ascii(bytes), true),
        };
        if is_ascii_replaced && !replaced.is_empty() {
            return text
                .chars()
                .map(|c| international::replace(replaced, c))
                .collect();
        }
        text
    }
}

/// Two bytes below 0x80 a character: EUC-JP without its upper bits.
fn decode_jis(bytes: &[u8]) -> String {
    let is_pair = |pair: &&[u8]| pair.len() == 2 && pair.iter().all(|b| (0x21..0x7F).contains(b));
    let mut text = String::new();
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        if let Some(pair) = rest.get(..2).filter(is_pair) {
            let euc: Vec<u8> = pair.iter().map(|b| b | 0x80).collect();
            text.push_str(&encoding_rs::EUC_JP.decode_without_bom_handling(&euc).0);
            rest = &rest[2..];
        } else {
            text.push_str(&only_ascii(&[first]));
            rest = after;
        }
    }
    text
}

fn only_ascii(bytes: &[u8]) -> String {
    let character = |&b: &u8| {
        if b.is_ascii() {
            char::from(b)
        } else {
            char::REPLACEMENT_CHARACTER
        }
    };
    bytes.iter().map(character).collect()
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
            for page in [epson_page(n), star_page(n)] {
                let Some(Page(PageSource::Table(table))) = page else {
                    continue;
                };
                assert_eq!(table.chars().count(), 128, "page {n}");
            }
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
            ..Charset::default()
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
            page(29).decode(b"Ti\xd5ng 5.00", Encoding::default()),
            "Ti\u{fffd}ng 5.00"
        );
    }

    fn star(n: u8) -> Charset {
        Charset {
            page: Some(n),
            ..Charset::new(Language::Star)
        }
    }

    #[test]
    fn star_numbers_its_pages_otherwise() {
        let printer = Encoding::default();
        assert_eq!(star(4).decode(b"\xd5 1", printer), "€ 1");
        assert_eq!(star(32).decode(b"\x80", printer), "€");
        assert_eq!(star(10).decode(b"\x80", printer), "А");
        assert_eq!(star(0).decode(b"\xa0", printer), "Ä");
        assert_eq!(Charset::new(Language::Star).decode(b"\x84", printer), "ä");
    }

    #[test]
    fn star_printers_of_east_asia_say_little_or_nothing() {
        let silent = Charset::new(Language::Star);
        let gbk = Encoding::parse("gbk").unwrap();
        assert_eq!(silent.decode(b"\xb2\xcd\xb9\xdd", gbk), "餐馆");
        let korean = Charset {
            international: 13,
            ..silent
        };
        assert_eq!(
            korean.decode(b"\xc7\xd5\xb0\xe8", Encoding::default()),
            "합계"
        );
        let japanese = Charset {
            international: 8,
            shift_jis: Some(true),
            ..silent
        };
        assert_eq!(
            japanese.decode(b"\x93\xfa\x96{ \\100", Encoding::default()),
            "日本 ¥100"
        );
        let jis = Charset {
            jis: true,
            ..silent
        };
        assert_eq!(jis.decode(b"F|K\\", Encoding::default()), "日本");
    }

    #[test]
    fn utf_8_by_command_needs_no_page() {
        let utf8 = Charset {
            utf8: true,
            ..page(19)
        };
        assert_eq!(
            utf8.decode("5 € 餐".as_bytes(), Encoding::default()),
            "5 € 餐"
        );
    }

    #[test]
    fn an_international_set_replaces_characters_of_ascii() {
        let germany = Charset {
            international: 2,
            ..Charset::default()
        };
        assert_eq!(germany.decode(b"K{se 1 ~", Encoding::default()), "Käse 1 ß");
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
