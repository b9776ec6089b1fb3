//! AIM symbology identifiers (ISO/IEC 15424): `]`, a letter, a modifier, in front of the data.
//!
//! A scanner sends them only when it is set to. Without one, the data alone has to say what it is.

/// The kind of bar code that a scanner says it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Symbology {
    /// EAN-13, UPC-A or UPC-E, sent as 13 digits.
    Ean13,
    /// EAN-13 or UPC with a two- or five-digit add-on behind it.
    Ean13AddOn,
    /// EAN-8.
    Ean8,
    /// Code 128 without GS1 meaning.
    Code128,
    /// GS1-128.
    Gs1Code128,
    /// GS1 DataBar.
    DataBar,
    /// DataMatrix without GS1 meaning.
    DataMatrix,
    /// GS1 DataMatrix.
    Gs1DataMatrix,
    /// QR code without GS1 meaning.
    Qr,
    /// GS1 QR code.
    Gs1Qr,
    /// GS1 DotCode.
    Gs1DotCode,
    /// Code 39.
    Code39,
    /// Code 93.
    Code93,
    /// Codabar.
    Codabar,
    /// Interleaved 2 of 5.
    Itf,
    /// PDF417.
    Pdf417,
    /// Aztec.
    Aztec,
    /// Any other letter, `]X` among them, which one vendor sends for UPC.
    Other,
}

impl Symbology {
    const ALL: [Self; 18] = [
        Self::Ean13,
        Self::Ean13AddOn,
        Self::Ean8,
        Self::Code128,
        Self::Gs1Code128,
        Self::DataBar,
        Self::DataMatrix,
        Self::Gs1DataMatrix,
        Self::Qr,
        Self::Gs1Qr,
        Self::Gs1DotCode,
        Self::Code39,
        Self::Code93,
        Self::Codabar,
        Self::Itf,
        Self::Pdf417,
        Self::Aztec,
        Self::Other,
    ];

    /// Reads a stable name or an AIM identifier, as in `gs1_128` or `]C1`; `None` for others.
    pub fn parse(text: &str) -> Option<Self> {
        let by_name = Self::ALL
            .into_iter()
            .find(|symbology| symbology.as_str() == text);
        by_name.or_else(|| match split(text) {
            (symbology, "") => symbology,
            _ => None,
        })
    }

    /// Returns the stable name, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ean13 => "ean13",
            Self::Ean13AddOn => "ean13_addon",
            Self::Ean8 => "ean8",
            Self::Code128 => "code128",
            Self::Gs1Code128 => "gs1_128",
            Self::DataBar => "databar",
            Self::DataMatrix => "datamatrix",
            Self::Gs1DataMatrix => "gs1_datamatrix",
            Self::Qr => "qr",
            Self::Gs1Qr => "gs1_qr",
            Self::Gs1DotCode => "gs1_dotcode",
            Self::Code39 => "code39",
            Self::Code93 => "code93",
            Self::Codabar => "codabar",
            Self::Itf => "itf",
            Self::Pdf417 => "pdf417",
            Self::Aztec => "aztec",
            Self::Other => "other",
        }
    }

    /// Says whether the data are GS1 element strings.
    pub fn is_gs1(self) -> bool {
        matches!(
            self,
            Self::Gs1Code128 | Self::DataBar | Self::Gs1DataMatrix | Self::Gs1Qr | Self::Gs1DotCode
        )
    }

    /// Says whether the data are an EAN or UPC number.
    pub fn is_ean(self) -> bool {
        matches!(self, Self::Ean13 | Self::Ean13AddOn | Self::Ean8)
    }

    fn from_identifier(letter: u8, modifier: u8) -> Self {
        match (letter, modifier) {
            (b'E', b'0'..=b'2') => Self::Ean13,
            (b'E', b'3') => Self::Ean13AddOn,
            (b'E', b'4') => Self::Ean8,
            (b'C', b'1') => Self::Gs1Code128,
            (b'C', _) => Self::Code128,
            (b'e', _) => Self::DataBar,
            (b'd', b'2' | b'5') => Self::Gs1DataMatrix,
            (b'd', _) => Self::DataMatrix,
            (b'Q', b'3' | b'4') => Self::Gs1Qr,
            (b'Q', _) => Self::Qr,
            (b'J', b'1' | b'4') => Self::Gs1DotCode,
            (b'A', _) => Self::Code39,
            (b'G', _) => Self::Code93,
            (b'F', _) => Self::Codabar,
            (b'I', _) => Self::Itf,
            (b'L', _) => Self::Pdf417,
            (b'z', _) => Self::Aztec,
            _ => Self::Other,
        }
    }
}

/// Splits an AIM identifier off the front of `text`; without one the text comes back whole.
pub fn split(text: &str) -> (Option<Symbology>, &str) {
    let &[b']', letter, modifier, ..] = text.as_bytes() else {
        return (None, text);
    };
    if !letter.is_ascii_alphabetic() || !modifier.is_ascii_alphanumeric() {
        return (None, text);
    }
    // Three ASCII bytes were seen, so the cut is at a character's edge.
    (
        Some(Symbology::from_identifier(letter, modifier)),
        text.get(3..).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_named_and_taken_off_the_data() {
        for (text, name) in [
            ("]E04006381333931", "ean13"),
            ("]E3400638133393112", "ean13_addon"),
            ("]E496385074", "ean8"),
            ("]C0ABC", "code128"),
            ("]C1ABC", "gs1_128"),
            ("]e0ABC", "databar"),
            ("]d1ABC", "datamatrix"),
            ("]d2ABC", "gs1_datamatrix"),
            ("]Q1ABC", "qr"),
            ("]Q3ABC", "gs1_qr"),
            ("]A0ABC", "code39"),
            ("]F0ABC", "codabar"),
            ("]I0ABC", "itf"),
            ("]L0ABC", "pdf417"),
            ("]X0ABC", "other"),
        ] {
            let (symbology, data) = split(text);
            assert_eq!(symbology.map(Symbology::as_str), Some(name), "{text}");
            assert_eq!(data, &text[3..]);
        }
    }

    #[test]
    fn a_symbology_is_read_by_its_name_and_by_its_identifier() {
        for symbology in Symbology::ALL {
            assert_eq!(Symbology::parse(symbology.as_str()), Some(symbology));
        }
        assert_eq!(Symbology::parse("]C1"), Some(Symbology::Gs1Code128));
        for text in ["", "EAN13", "]C", "]C1x"] {
            assert_eq!(Symbology::parse(text), None, "{text}");
        }
    }

    #[test]
    fn data_that_merely_start_with_a_bracket_are_left_whole() {
        for text in ["", "]", "]E", "]]]]", "]€1", "E04006381333931", "]E€"] {
            assert_eq!(split(text), (None, text), "{text}");
        }
    }
}
