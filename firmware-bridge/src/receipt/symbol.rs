//! Barcodes and two-dimensional codes: from what the stream sends to what a scanner would read.
//!
//! Printers add check digits, take parentheses for print alone and know escapes for what a byte
//! cannot say; a scanner sees none of that. Sources: Epson's reference of `GS k` and `GS ( k`, Star's
//! of `ESC b`, GS1's General Specifications for check digits and for FNC1, which a scanner sends as GS
//! (0x1D) behind the first place.
//!
//! Deliberately absent: whether the printer would refuse the content (a letter in an EAN, a length
//! that its symbology does not have). It stays as sent.

use super::codepage::{Charset, Encoding};

/// What a scanner sends for FNC1 within a code.
const FNC1: char = '\u{1D}';

/// Symbology of a printed code, as far as its content's form depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symbology {
    /// A barcode whose content is plain characters: ITF, Codabar, Code 93.
    Plain,
    /// UPC-A, its check digit optional.
    UpcA,
    /// UPC-E, sent short or as the UPC-A that it stands for; read as UPC-A.
    UpcE,
    /// EAN-13, its check digit optional.
    Ean13,
    /// EAN-8, its check digit optional.
    Ean8,
    /// Code 39, with or without its asterisks.
    Code39,
    /// Code 128 with Epson's marks (`{A`, `{B`, `{C`, `{1`).
    Code128,
    /// Code 128 with Star's marks (`%0` to `%8`).
    StarCode128,
    /// GS1-128: parentheses are printed only.
    Gs1,
    /// GS1 DataBar of a GTIN, sent without application identifier and check digit.
    DataBar,
    /// QR code.
    Qr,
    /// PDF417.
    Pdf417,
    /// Data Matrix.
    DataMatrix,
    /// Aztec code.
    Aztec,
    /// MaxiCode.
    MaxiCode,
    /// Another two-dimensional code.
    Other2d,
}

impl Symbology {
    /// Returns the symbology of Epson's `GS k m`.
    pub(super) fn of_epson_barcode(system: u8) -> Self {
        match system {
            0 | 65 => Self::UpcA,
            1 | 66 => Self::UpcE,
            2 | 67 => Self::Ean13,
            3 | 68 => Self::Ean8,
            4 | 69 => Self::Code39,
            73 => Self::Code128,
            74 | 78 => Self::Gs1,
            75..=77 => Self::DataBar,
            _ => Self::Plain,
        }
    }

    /// Returns the symbology of Epson's `GS ( k` with `cn`.
    pub(super) fn of_epson_symbol(cn: u8) -> Self {
        match cn {
            48 => Self::Pdf417,
            49 => Self::Qr,
            50 => Self::MaxiCode,
            53 => Self::Aztec,
            54 => Self::DataMatrix,
            _ => Self::Other2d,
        }
    }

    /// Returns the symbology of Star's `ESC b n1`, which is a number or its digit.
    pub(super) fn of_star_barcode(n: u8) -> Self {
        match n {
            0 | b'0' => Self::UpcE,
            1 | b'1' => Self::UpcA,
            2 | b'2' => Self::Ean8,
            3 | b'3' => Self::Ean13,
            4 | b'4' => Self::Code39,
            6 | b'6' => Self::StarCode128,
            9 | b'9' | 13 | b'=' => Self::Gs1,
            10..=12 | b':'..=b'<' => Self::DataBar,
            _ => Self::Plain,
        }
    }

    /// Returns the content as a scanner reads it. Bytes that are no ASCII are UTF-8 where they can
    /// be, else what `charset` says on a printer set up for `printer`.
    pub fn text(self, data: &[u8], charset: Charset, printer: Encoding) -> String {
        match self {
            Self::UpcA => with_check_digit(data, 12),
            Self::UpcE => upc_e_text(data),
            Self::Ean13 => with_check_digit(data, 13),
            Self::Ean8 => with_check_digit(data, 8),
            Self::Code39 => code39_text(data),
            Self::Code128 => code128_text(data),
            Self::StarCode128 => star_code128_text(data),
            Self::Gs1 => gs1_text(data),
            Self::DataBar => databar_text(data),
            Self::Plain
            | Self::Qr
            | Self::Pdf417
            | Self::DataMatrix
            | Self::Aztec
            | Self::MaxiCode
            | Self::Other2d => match std::str::from_utf8(data) {
                Ok(text) => text.to_owned(),
                Err(_) => charset.decode(data, printer),
            },
        }
    }
}

fn plain(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// Returns GS1's mod-10 check digit of digits that stand left of it.
fn check_digit(digits: &[u8]) -> char {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| u32::from(d - b'0') * if i % 2 == 0 { 3 } else { 1 })
        .sum();
    char::from(b"0987654321"[(sum % 10) as usize])
}

fn all_digits(data: &[u8]) -> bool {
    data.iter().all(u8::is_ascii_digit)
}

/// Adds the check digit to digits that are one short of `length`.
fn with_check_digit(data: &[u8], length: usize) -> String {
    let mut text = plain(data);
    if data.len() + 1 == length && all_digits(data) {
        text.push(check_digit(data));
    }
    text
}

/// Expands UPC-E's six digits, sent with or without number system and check digit.
fn upc_e_text(data: &[u8]) -> String {
    if !all_digits(data) {
        return plain(data);
    }
    let short = match data.len() {
        11 => return with_check_digit(data, 12),
        6 => data,
        7 | 8 => &data[1..7],
        _ => return plain(data),
    };
    let system = if data.len() == 6 { b'0' } else { data[0] };
    let mut long = vec![system];
    match short[5] {
        last @ b'0'..=b'2' => {
            long.extend(&short[..2]);
            long.push(last);
            long.extend(b"0000");
            long.extend(&short[2..5]);
        }
        b'3' => {
            long.extend(&short[..3]);
            long.extend(b"00000");
            long.extend(&short[3..5]);
        }
        b'4' => {
            long.extend(&short[..4]);
            long.extend(b"00000");
            long.push(short[4]);
        }
        last => {
            long.extend(&short[..5]);
            long.extend(b"0000");
            long.push(last);
        }
    }
    with_check_digit(&long, 12)
}

fn code39_text(data: &[u8]) -> String {
    let text = plain(data);
    match text.strip_prefix('*').and_then(|t| t.strip_suffix('*')) {
        Some(inner) => inner.to_owned(),
        None => text,
    }
}

/// Resolves Epson's marks of Code 128: pairs of digits in set C, `{{` for a brace, FNC1 as a scanner
/// sends it; other function characters and shifts say nothing.
fn code128_text(data: &[u8]) -> String {
    let mut text = String::new();
    let mut in_pairs = false;
    let mut rest = data;
    loop {
        rest = match rest {
            [b'{', b'{', after @ ..] => {
                text.push('{');
                after
            }
            [b'{', mark, after @ ..] => {
                match mark {
                    b'A' | b'B' => in_pairs = false,
                    b'C' => in_pairs = true,
                    b'1' if !text.is_empty() => text.push(FNC1),
                    _ => {}
                }
                after
            }
            [pair @ 0..=99, after @ ..] if in_pairs => {
                text.push(char::from(b'0' + pair / 10));
                text.push(char::from(b'0' + pair % 10));
                after
            }
            [byte, after @ ..] => {
                text.push(char::from(*byte));
                after
            }
            [] => return text,
        };
    }
}

/// Resolves Star's marks: `%0` a per cent sign, `%1` FNC1, `%5` DEL, `%@` to `%_` control characters;
/// other function characters and switches of the set say nothing.
fn star_code128_text(data: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = data;
    loop {
        rest = match rest {
            [b'%', mark, after @ ..] => {
                match mark {
                    b'0' => text.push('%'),
                    b'1' if !text.is_empty() => text.push(FNC1),
                    b'5' => text.push('\u{7F}'),
                    b'@'..=b'_' => text.push(char::from(mark - 0x40)),
                    _ => {}
                }
                after
            }
            [byte, after @ ..] => {
                text.push(char::from(*byte));
                after
            }
            [] => return text,
        };
    }
}

/// Takes out of a GS1 content what is printed only, and puts in what the printer computes: `*` is the
/// check digit of the digits behind the application identifier.
fn gs1_text(data: &[u8]) -> String {
    let mut text = String::new();
    // Where the digits that `*` checks begin: behind an identifier of two digits unless one in
    // parentheses is met.
    let mut checked_from = 2;
    let mut rest = data;
    loop {
        rest = match rest {
            [b'{', mark, after @ ..] => {
                match mark {
                    b'1' => {
                        if !text.is_empty() {
                            text.push(FNC1);
                        }
                        checked_from = text.len() + 2;
                    }
                    b'(' | b')' | b'*' | b'{' => text.push(char::from(*mark)),
                    _ => {}
                }
                after
            }
            [b'(' | b' ', after @ ..] => after,
            [b')', after @ ..] => {
                checked_from = text.len();
                after
            }
            [b'*', after @ ..] => {
                match text.as_bytes().get(checked_from..) {
                    Some(digits) if !digits.is_empty() && all_digits(digits) => {
                        text.push(check_digit(digits));
                    }
                    _ => text.push('*'),
                }
                after
            }
            [byte, after @ ..] => {
                text.push(char::from(*byte));
                after
            }
            [] => return text,
        };
    }
}

fn databar_text(data: &[u8]) -> String {
    if data.len() == 13 && all_digits(data) {
        return format!("01{}", with_check_digit(data, 14));
    }
    gs1_text(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(symbology: Symbology, data: &[u8]) -> String {
        symbology.text(data, Charset::default(), Encoding::default())
    }

    #[test]
    fn code_128_reads_its_pairs_of_digits_and_its_braces() {
        assert_eq!(text(Symbology::Code128, b"{C\x00\x01\x17"), "000123");
        assert_eq!(text(Symbology::Code128, b"{BNo.{{1{C\x0c"), "No.{112");
        assert_eq!(text(Symbology::Code128, b"plain"), "plain");
        assert_eq!(
            text(Symbology::Code128, b"{C{1\x50\x12{1\x0b"),
            "8018\u{1d}11"
        );
    }

    #[test]
    fn star_code_128_reads_its_per_cent_marks() {
        assert_eq!(text(Symbology::StarCode128, b"50%0 off"), "50% off");
        assert_eq!(text(Symbology::StarCode128, b"%6A%MB%5"), "A\rB\u{7f}");
        assert_eq!(text(Symbology::StarCode128, b"%18018%111"), "8018\u{1d}11");
    }

    #[test]
    fn a_check_digit_that_the_printer_adds_is_read_and_one_that_is_there_is_not_doubled() {
        assert_eq!(text(Symbology::Ean13, b"400638133393"), "4006381333931");
        assert_eq!(text(Symbology::Ean13, b"4006381333931"), "4006381333931");
        assert_eq!(text(Symbology::Ean8, b"7351353"), "73513537");
        assert_eq!(text(Symbology::UpcA, b"03600029145"), "036000291452");
        assert_eq!(text(Symbology::UpcA, b"no digits!!"), "no digits!!");
    }

    #[test]
    fn upc_e_is_read_as_the_upc_a_that_it_stands_for() {
        assert_eq!(text(Symbology::UpcE, b"425261"), "042100005264");
        assert_eq!(text(Symbology::UpcE, b"04252614"), "042100005264");
        assert_eq!(text(Symbology::UpcE, b"04210000526"), "042100005264");
        assert_eq!(text(Symbology::UpcE, b"123453"), "012300000451");
        assert_eq!(text(Symbology::UpcE, b"123454"), "012340000053");
        assert_eq!(text(Symbology::UpcE, b"123457"), "012345000072");
    }

    #[test]
    fn parentheses_of_gs1_are_print_and_its_star_is_a_check_digit() {
        assert_eq!(
            text(Symbology::Gs1, b"(01)0950600013435*(17)261231"),
            "010950600013435217261231"
        );
        assert_eq!(
            text(Symbology::Gs1, b"{1010950600013435*"),
            "0109506000134352"
        );
        assert_eq!(text(Symbology::Gs1, b"(10)A{(1{1(21)7"), "10A(1\u{1d}217");
        assert_eq!(
            text(Symbology::DataBar, b"0950600013435"),
            "0109506000134352"
        );
    }

    #[test]
    fn asterisks_of_code_39_are_not_part_of_it() {
        assert_eq!(text(Symbology::Code39, b"*ABC*"), "ABC");
        assert_eq!(text(Symbology::Code39, b"ABC"), "ABC");
    }

    #[test]
    fn a_two_dimensional_code_is_utf_8_or_of_the_page() {
        assert_eq!(text(Symbology::Qr, "会员 7".as_bytes()), "会员 7");
        assert_eq!(text(Symbology::Qr, b"caf\x82"), "café");
    }
}
