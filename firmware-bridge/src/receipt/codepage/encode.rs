//! The way back: which bytes print a text under what a stream has said.

use super::super::dialect::Language;
use super::{Charset, Choice, Encoding, MultiByte, Page, PageSource, international};

impl Charset {
    /// Returns the bytes that print `text` under this state on a printer set up for `printer`, or
    /// nothing where one of its characters cannot be printed.
    pub(in crate::receipt) fn encode(self, text: &str, printer: Encoding) -> Option<Vec<u8>> {
        if text
            .chars()
            .any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER)
        {
            return None;
        }
        let choice = self.choose(printer);
        let is_ascii_replaced = match choice {
            Choice::Multi(multi) => multi != MultiByte::Utf8,
            Choice::Jis => false,
            Choice::Single(_) | Choice::Unmapped => true,
        };
        let mut replaced = "";
        if is_ascii_replaced {
            replaced = international::replaced(self.language, self.international);
        }
        let plain: String = text
            .chars()
            .map(|c| international::replaced_by(replaced, c))
            .collect();
        let bytes = match choice {
            Choice::Multi(multi) => multi.encode(&plain)?,
            Choice::Jis => encode_jis(&plain)?,
            Choice::Single(page) => page.encode(&plain)?,
            Choice::Unmapped => plain.is_ascii().then(|| plain.into_bytes())?,
        };
        // A character that its set has replaced decodes as another one.
        let is_text = bytes.iter().all(|&b| b >= 0x20 && b != 0x7F);
        (is_text && self.decode(&bytes, printer) == text).then_some(bytes)
    }

    /// Returns the state in which ASCII is printed as it is: no set of a country, no mode of two bytes
    /// where a command can leave it.
    pub(in crate::receipt) fn plain(self) -> Self {
        Self {
            international: 0,
            jis: false,
            kanji: match (self.language, self.kanji) {
                (Language::EscPos, Some(_)) => Some(false),
                (Language::EscPos | Language::Star, kanji) => kanji,
            },
            ..self
        }
    }
}

impl MultiByte {
    fn encode(self, text: &str) -> Option<Vec<u8>> {
        // Printers of GB18030 know its characters of two bytes, which are GBK's.
        let codec = match self {
            Self::Gb18030 => encoding_rs::GBK,
            Self::ShiftJis | Self::EucKr | Self::Big5 | Self::Utf8 => self.codec(),
        };
        let (bytes, _, is_lossy) = codec.encode(text);
        (!is_lossy).then(|| bytes.into_owned())
    }
}

impl Page {
    fn encode(self, text: &str) -> Option<Vec<u8>> {
        match self.0 {
            PageSource::Codec(codec) => {
                let (bytes, _, is_lossy) = codec.encode(text);
                (!is_lossy).then(|| bytes.into_owned())
            }
            PageSource::Table(table) => text
                .chars()
                .map(|c| {
                    if c.is_ascii() {
                        return u8::try_from(c).ok();
                    }
                    let place = table.chars().position(|t| t == c)?;
                    u8::try_from(0x80 + place).ok()
                })
                .collect(),
        }
    }
}

/// EUC-JP's pairs without their upper bits; nothing where a character takes another number of bytes.
fn encode_jis(text: &str) -> Option<Vec<u8>> {
    let (euc, _, is_lossy) = encoding_rs::EUC_JP.encode(text);
    let is_pairs = euc.len() == 2 * text.chars().count() && euc.iter().all(|&b| b >= 0xA1);
    (!is_lossy && is_pairs).then(|| euc.iter().map(|b| b & 0x7F).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(page: u8) -> Charset {
        Charset {
            page: Some(page),
            ..Charset::default()
        }
    }

    #[test]
    fn what_a_page_has_is_found_in_it_and_what_it_lacks_makes_no_bytes() {
        let printer = Encoding::default();
        assert_eq!(single(0).encode("Käse", printer), Some(b"K\x84se".to_vec()));
        assert_eq!(single(19).encode("5 €", printer), Some(b"5 \xd5".to_vec()));
        assert_eq!(single(16).encode("5 €", printer), Some(b"5 \x80".to_vec()));
        assert_eq!(single(0).encode("5 €", printer), None);
        assert_eq!(single(29).encode("5 €", printer), None);
        assert_eq!(single(0).encode("\u{fffd}", printer), None);
        assert_eq!(single(0).encode("two\nlines", printer), None);
    }

    #[test]
    fn a_country_prints_its_own_characters_and_lacks_those_that_they_replaced() {
        let printer = Encoding::default();
        let germany = Charset {
            international: 2,
            ..single(0)
        };
        assert_eq!(germany.encode("Straße", printer), Some(b"Stra~e".to_vec()));
        assert_eq!(germany.encode("[7]", printer), None);
        assert_eq!(
            germany.plain().encode("[7]", printer),
            Some(b"[7]".to_vec())
        );
    }

    #[test]
    fn text_of_two_bytes_a_character_comes_back_as_it_was() {
        let gbk = Encoding::parse("gbk").unwrap();
        assert_eq!(
            Charset::default().encode("餐馆 12", gbk),
            Some(b"\xb2\xcd\xb9\xdd 12".to_vec())
        );
        let jis = Charset {
            jis: true,
            ..Charset::new(Language::Star)
        };
        assert_eq!(jis.encode("日本", gbk), Some(b"F|K\\".to_vec()));
        assert_eq!(jis.encode("日本 12", gbk), None);
        let utf8 = Charset {
            utf8: true,
            ..Charset::default()
        };
        assert_eq!(utf8.encode("€ 餐", gbk), Some("€ 餐".as_bytes().to_vec()));
    }

    #[test]
    fn no_page_makes_a_byte_that_it_reads_otherwise() {
        for page in 0..=255 {
            for language in [Language::EscPos, Language::Star] {
                let charset = Charset {
                    language,
                    ..single(page)
                };
                for c in "Añßøłžőш€あ餐ｱ£¥\"#~".chars() {
                    let Some(bytes) = charset.encode(&c.to_string(), Encoding::default()) else {
                        continue;
                    };
                    assert_eq!(charset.decode(&bytes, Encoding::default()), c.to_string());
                }
            }
        }
    }
}
