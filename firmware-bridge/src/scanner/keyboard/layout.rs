//! Which character a key stands for on the keyboard that a scanner believes it is.
//!
//! The tables are the country keyboards as Windows has them, since that is what scanners are set
//! to; where Linux differs in a key that Windows leaves empty, Linux's character stands there. A
//! combining mark stands for a dead key.

use std::str::FromStr;

/// A country's keyboard; the setting `layout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Layout {
    /// United States: `us`.
    #[default]
    Us,
    /// United Kingdom: `uk`.
    Uk,
    /// Germany and Austria: `de`.
    De,
    /// France: `fr`.
    Fr,
    /// Spain: `es`.
    Es,
    /// Italy: `it`.
    It,
}

/// A layout that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("layout {name:?} is unknown: write one of us, uk, de, fr, es, it")]
pub struct LayoutError {
    /// As configured.
    pub name: String,
}

impl FromStr for Layout {
    type Err = LayoutError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|layout| layout.as_str() == text)
            .ok_or_else(|| LayoutError {
                name: text.to_owned(),
            })
    }
}

/// Which of a key's characters is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) shift: bool,
    pub(super) alt_gr: bool,
}

/// The codes (Linux's `input-event-codes.h`) of the keys in each row, left to right as the rows of
/// [`Keys`] have them.
const ROWS: [&[u16]; 4] = [
    &[41, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
    &[16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27],
    &[30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 43],
    &[86, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53],
];

/// The characters of four rows; NUL where a key has none.
type Keys = [&'static str; 4];

/// What a layout writes on its keys.
struct Legend {
    plain: Keys,
    shift: Keys,
    alt_gr: Keys,
    alt_gr_shift: Keys,
    decimal: char,
}

const NONE: Keys = ["", "", "", ""];

const US: Legend = Legend {
    plain: [
        "`1234567890-=",
        "qwertyuiop[]",
        "asdfghjkl;'\\",
        "\\zxcvbnm,./",
    ],
    shift: [
        "~!@#$%^&*()_+",
        "QWERTYUIOP{}",
        "ASDFGHJKL:\"|",
        "|ZXCVBNM<>?",
    ],
    alt_gr: NONE,
    alt_gr_shift: NONE,
    decimal: '.',
};

const UK: Legend = Legend {
    plain: [
        "`1234567890-=",
        "qwertyuiop[]",
        "asdfghjkl;'#",
        "\\zxcvbnm,./",
    ],
    shift: [
        "¬!\"£$%^&*()_+",
        "QWERTYUIOP{}",
        "ASDFGHJKL:@~",
        "|ZXCVBNM<>?",
    ],
    alt_gr: ["¦\0\0\0€", "\0\0é\0\0\0úíó", "á", ""],
    alt_gr_shift: ["", "\0\0É\0\0\0ÚÍÓ", "Á", ""],
    decimal: '.',
};

const DE: Legend = Legend {
    plain: [
        "\u{302}1234567890ß\u{301}",
        "qwertzuiopü+",
        "asdfghjklöä#",
        "<yxcvbnm,.-",
    ],
    shift: [
        "°!\"§$%&/()=?\u{300}",
        "QWERTZUIOPÜ*",
        "ASDFGHJKLÖÄ'",
        ">YXCVBNM;:_",
    ],
    alt_gr: [
        "\0\0²³\0\0\0{[]}\\",
        "@\0€\0\0\0\0\0\0\0\0~",
        "",
        "|\0\0\0\0\0\0µ",
    ],
    alt_gr_shift: ["", "", "", ""],
    decimal: ',',
};

const FR: Legend = Legend {
    plain: [
        "²&é\"'(-è_çà)=",
        "azertyuiop\u{302}$",
        "qsdfghjklmù*",
        "<wxcvbn,;:!",
    ],
    shift: [
        "\x001234567890°+",
        "AZERTYUIOP\u{308}£",
        "QSDFGHJKLM%µ",
        ">WXCVBN?./§",
    ],
    alt_gr: [
        "\0\0\u{303}#{[|\u{300}\\^@]}",
        "\0\0€\0\0\0\0\0\0\0\0¤",
        "",
        "",
    ],
    alt_gr_shift: NONE,
    decimal: '.',
};

const ES: Legend = Legend {
    plain: [
        "º1234567890'¡",
        "qwertyuiop\u{300}+",
        "asdfghjklñ\u{301}ç",
        "<zxcvbnm,.-",
    ],
    shift: [
        "ª!\"·$%&/()=?¿",
        "QWERTYUIOP\u{302}*",
        "ASDFGHJKLÑ\u{308}Ç",
        ">ZXCVBNM;:_",
    ],
    alt_gr: [
        "\\|@#\u{303}€¬",
        "\0\0€\0\0\0\0\0\0\0[]",
        "\0\0\0\0\0\0\0\0\0\0{}",
        "",
    ],
    alt_gr_shift: NONE,
    decimal: '.',
};

const IT: Legend = Legend {
    plain: [
        "\\1234567890'ì",
        "qwertyuiopè+",
        "asdfghjklòàù",
        "<zxcvbnm,.-",
    ],
    shift: [
        "|!\"£$%&/()=?^",
        "QWERTYUIOPé*",
        "ASDFGHJKLç°§",
        ">ZXCVBNM;:_",
    ],
    alt_gr: [
        "\0\0\0\0\0€\0\0\0\0\0`~",
        "\0\0€\0\0\0\0\0\0\0[]",
        "\0\0\0\0\0\0\0\0\0@#",
        "",
    ],
    alt_gr_shift: ["", "\0\0\0\0\0\0\0\0\0\0{}", "", ""],
    decimal: '.',
};

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 6] = [Self::Us, Self::Uk, Self::De, Self::Fr, Self::Es, Self::It];

    /// Returns the name as the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Uk => "uk",
            Self::De => "de",
            Self::Fr => "fr",
            Self::Es => "es",
            Self::It => "it",
        }
    }

    fn legend(self) -> &'static Legend {
        match self {
            Self::Us => &US,
            Self::Uk => &UK,
            Self::De => &DE,
            Self::Fr => &FR,
            Self::Es => &ES,
            Self::It => &IT,
        }
    }

    /// Says whether the right Alt key is an AltGr here.
    pub(super) fn has_alt_gr(self) -> bool {
        match self {
            Self::Us => false,
            Self::Uk | Self::De | Self::Fr | Self::Es | Self::It => true,
        }
    }

    /// Returns the character of a key at a level; a combining mark is a dead key's.
    pub(super) fn character(self, code: u16, level: Level) -> Option<char> {
        if let Some(character) = self.keypad(code) {
            return Some(character);
        }
        if code == SPACE {
            return Some(' ');
        }
        let legend = self.legend();
        let keys = match (level.alt_gr, level.shift) {
            (false, false) => &legend.plain,
            (false, true) => &legend.shift,
            (true, false) => &legend.alt_gr,
            (true, true) => &legend.alt_gr_shift,
        };
        ROWS.iter().zip(keys).find_map(|(codes, characters)| {
            let place = codes.iter().position(|known| *known == code)?;
            characters.chars().nth(place).filter(|c| *c != '\0')
        })
    }

    fn keypad(self, code: u16) -> Option<char> {
        if let Some(digit) = keypad_digit(code) {
            return char::from_digit(u32::from(digit), 10);
        }
        match code {
            55 => Some('*'),
            74 => Some('-'),
            78 => Some('+'),
            83 => Some(self.legend().decimal),
            98 => Some('/'),
            117 => Some('='),
            121 => Some(','),
            _ => None,
        }
    }
}

const SPACE: u16 = 57;

/// Returns the digit of a key of the keypad.
pub(super) fn keypad_digit(code: u16) -> Option<u8> {
    match code {
        82 => Some(0),
        79..=81 => u8::try_from(code - 78).ok(),
        75..=77 => u8::try_from(code - 71).ok(),
        71..=73 => u8::try_from(code - 64).ok(),
        _ => None,
    }
}

/// What dead keys make of the letters behind them.
const DEAD: [(char, char, &str, &str); 5] = [
    ('\u{300}', '`', "aeiouAEIOU", "àèìòùÀÈÌÒÙ"),
    ('\u{301}', '´', "aeiouyAEIOUY", "áéíóúýÁÉÍÓÚÝ"),
    ('\u{302}', '^', "aeiouAEIOU", "âêîôûÂÊÎÔÛ"),
    ('\u{303}', '~', "anoANO", "ãñõÃÑÕ"),
    ('\u{308}', '¨', "aeiouyAEIOUY", "äëïöüÿÄËÏÖÜŸ"),
];

/// Returns the character that a dead key stands for by itself; `None` for other characters.
pub(super) fn spacing(dead: char) -> Option<char> {
    DEAD.iter()
        .find(|(mark, ..)| *mark == dead)
        .map(|(_, spacing, ..)| *spacing)
}

/// Returns what a dead key and the character behind it make together.
pub(super) fn composed(dead: char, behind: char) -> Option<char> {
    let (_, spacing, letters, made) = DEAD.iter().find(|(mark, ..)| *mark == dead)?;
    if behind == ' ' {
        return Some(*spacing);
    }
    let place = letters.chars().position(|letter| letter == behind)?;
    made.chars().nth(place)
}
