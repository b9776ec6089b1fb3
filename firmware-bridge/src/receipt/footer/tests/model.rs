//! A printer for the tests: it executes the commands that they send and writes its state down, without
//! anything of what the finder goes by.

use std::collections::BTreeMap;

use crate::receipt::Language;

/// What each thing that can be set is set to.
pub(super) type Settings = BTreeMap<&'static str, Vec<u32>>;

pub(super) struct Model {
    language: Language,
    /// Refuses within a line what the references allow at its begin only; other printers take it.
    is_strict: bool,
    pub(super) settings: Settings,
    pub(super) stored: Option<Vec<u8>>,
    is_line_begun: bool,
    /// The settings that each byte of text was printed under, and each code.
    pub(super) printed: Vec<(Vec<u8>, Settings)>,
}

const BEGIN_ONLY: &[&str] = &["align", "left", "area", "upside"];

impl Model {
    pub(super) fn new(language: Language, is_strict: bool) -> Self {
        let mut model = Self {
            language,
            is_strict,
            settings: Settings::new(),
            stored: None,
            is_line_begun: false,
            printed: Vec::new(),
        };
        model.init();
        model
    }

    fn init(&mut self) {
        self.stored = None;
        self.settings.clear();
        let defaults: &[(&'static str, u32)] = match self.language {
            Language::EscPos => &[
                ("font", 0),
                ("bold", 0),
                ("twice", 0),
                ("under", 0),
                ("high", 1),
                ("wide", 1),
                ("reverse", 0),
                ("upside", 0),
                ("turned", 0),
                ("colour", 0),
                ("ink", 49),
                ("ground", 48),
                ("space", 0),
                ("align", 0),
                ("country", 0),
                ("own", 0),
                ("kanji", 0),
                ("kanji mode", 0),
                ("kanji under", 0),
                ("kanji wide", 0),
                ("page", 0),
                ("qr size", 3),
                ("qr level", 48),
            ],
            Language::Star => &[
                ("font", 0),
                ("bold", 0),
                ("under", 0),
                ("over", 0),
                ("high", 1),
                ("wide", 1),
                ("reverse", 0),
                ("upside", 0),
                ("colour", 0),
                ("space", 0),
                ("pitch", u32::from(b'M')),
                ("align", 0),
                ("country", 0),
                ("own", 0),
                ("jis", 0),
                ("page", 0),
                ("qr model", 2),
                ("qr size", 3),
                ("qr level", 0),
            ],
        };
        for &(name, value) in defaults {
            self.settings.insert(name, vec![value]);
        }
        self.settings.insert("units", vec![0, 0]);
        match self.language {
            Language::EscPos => {
                self.settings.insert("line", vec![]);
                self.settings.insert("left", vec![0, 0]);
                self.settings.insert("area", vec![0xFFFF, 0]);
                self.settings.insert("shadow", vec![0, 49]);
                self.settings.insert("kanji space", vec![0, 0, 0]);
                self.settings.insert("qr model", vec![50, 0]);
                self.settings.insert("space", vec![0, 0]);
            }
            Language::Star => {
                self.settings.insert("line", vec![1]);
            }
        }
    }

    fn set(&mut self, name: &'static str, values: &[u8]) {
        let values = values.iter().map(|&v| u32::from(v)).collect();
        self.put(name, values);
    }

    fn put(&mut self, name: &'static str, values: Vec<u32>) {
        assert!(self.settings.contains_key(name), "{name}");
        if !(self.is_strict && self.is_line_begun && BEGIN_ONLY.contains(&name)) {
            self.settings.insert(name, values);
        }
    }

    /// Sets a length in the units of now; none is none in any.
    fn measure(&mut self, name: &'static str, length: &[u8], axis: usize) {
        let low_first = length.iter().rev();
        let length = low_first.fold(0, |sum, &b| sum << 8 | u32::from(b));
        let units = self.settings["units"][axis];
        let whole = name == "area" && length == 0xFFFF;
        self.put(
            name,
            vec![length, if length == 0 || whole { 0 } else { units }],
        );
    }

    fn print(&mut self, what: &[u8]) {
        self.printed.push((what.to_vec(), self.settings.clone()));
    }

    /// Executes whole commands; panics at one that the tests do not send.
    pub(super) fn run(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            let used = if first >= 0x20 {
                let end = rest.iter().position(|&b| b < 0x20).unwrap_or(rest.len());
                self.print(&rest[..end]);
                self.is_line_begun = true;
                end
            } else {
                match self.language {
                    Language::EscPos => self.run_epson(rest),
                    Language::Star => self.run_star(rest),
                }
            };
            rest = &rest[used..];
        }
    }

    fn run_epson(&mut self, rest: &[u8]) -> usize {
        match *rest {
            [b'\n', ..] => {
                self.is_line_begun = false;
                1
            }
            [0x09, ..] => {
                self.is_line_begun = true;
                1
            }
            [0x1B, b'@', ..] => {
                self.init();
                2
            }
            [0x1B, b'2', ..] => {
                self.put("line", vec![]);
                2
            }
            [0x1B, b'3', n, ..] => {
                let units = self.settings["units"][1];
                self.put("line", vec![n.into(), units]);
                3
            }
            [0x1B, b'!', n, ..] => {
                self.set("font", &[n & 1]);
                self.set("bold", &[n >> 3 & 1]);
                self.set("high", &[(n >> 4 & 1) + 1]);
                self.set("wide", &[(n >> 5 & 1) + 1]);
                self.set("under", &[n >> 7]);
                3
            }
            [0x1D, b'!', n, ..] => {
                self.set("high", &[(n & 7) + 1]);
                self.set("wide", &[(n >> 4 & 7) + 1]);
                3
            }
            [0x1B, b' ', n, ..] => {
                self.measure("space", &[n], 0);
                3
            }
            [0x1B, b'd' | b'J', _, ..] => {
                self.is_line_begun = false;
                3
            }
            [0x1B, b'$', _, _, ..] => {
                self.is_line_begun = true;
                4
            }
            [0x1B, letter, n, ..] => {
                let name = match letter {
                    b'M' => "font",
                    b'E' => "bold",
                    b'G' => "twice",
                    b'-' => "under",
                    b'{' => "upside",
                    b'V' => "turned",
                    b'r' => "colour",
                    b'a' => "align",
                    b'R' => "country",
                    b'%' => "own",
                    b't' => "page",
                    other => panic!("ESC {other:02x}"),
                };
                self.set(name, &[n]);
                3
            }
            [0x1D, b'B', n, ..] => {
                self.set("reverse", &[n]);
                3
            }
            [0x1D, b'P', across, along, ..] => {
                self.set("units", &[across, along]);
                4
            }
            [0x1D, b'L', low, high, ..] => {
                self.measure("left", &[low, high], 0);
                4
            }
            [0x1D, b'W', low, high, ..] => {
                self.measure("area", &[low, high], 0);
                4
            }
            [0x1D, b'(', family, low, high, ..] => {
                let length = usize::from(u16::from_le_bytes([low, high]));
                self.run_epson_function(family, &rest[5..5 + length]);
                5 + length
            }
            [0x1C, letter @ (b'&' | b'.'), ..] => {
                self.set("kanji", &[u8::from(letter == b'&')]);
                2
            }
            [0x1C, b'S', left, right, ..] => {
                let units = self.settings["units"][0];
                let is_none = left == 0 && right == 0;
                let units = if is_none { 0 } else { units };
                self.put("kanji space", vec![left.into(), right.into(), units]);
                4
            }
            [0x1C, letter, n, ..] => {
                let name = match letter {
                    b'!' => "kanji mode",
                    b'-' => "kanji under",
                    b'W' => "kanji wide",
                    other => panic!("FS {other:02x}"),
                };
                self.set(name, &[n]);
                3
            }
            _ => panic!("{rest:02x?}"),
        }
    }

    fn run_epson_function(&mut self, family: u8, body: &[u8]) {
        match (family, body) {
            (b'N', [48, n]) => self.set("ink", &[*n]),
            (b'N', [49, n]) => self.set("ground", &[*n]),
            (b'N', [50, m, a]) => self.set("shadow", &[*m, *a]),
            (b'k', [49, 65, n1, n2]) => self.set("qr model", &[*n1, *n2]),
            (b'k', [49, 67, n]) => self.set("qr size", &[*n]),
            (b'k', [49, 69, n]) => self.set("qr level", &[*n]),
            (b'k', [49, 80, 48, data @ ..]) => self.stored = Some(data.to_vec()),
            (b'k', [49, 81, 48]) => self.print_stored(),
            _ => panic!("GS ( {family:02x} {body:02x?}"),
        }
    }

    fn print_stored(&mut self) {
        if let Some(data) = self.stored.clone() {
            self.print(&data);
        }
    }

    fn run_star(&mut self, rest: &[u8]) -> usize {
        match *rest {
            [b'\n', ..] => {
                self.is_line_begun = false;
                1
            }
            [code @ (0x0E | 0x14), ..] => {
                self.set("wide", &[if code == 0x0E { 2 } else { 1 }]);
                1
            }
            [code @ (0x0F | 0x12), ..] => {
                self.set("upside", &[u8::from(code == 0x0F)]);
                1
            }
            [0x1B, b'@', ..] => {
                self.init();
                2
            }
            [0x1B, code @ (0x0E | 0x14), ..] => {
                self.set("high", &[if code == 0x0E { 2 } else { 1 }]);
                2
            }
            [0x1B, letter @ (b'E' | b'F'), ..] => {
                self.set("bold", &[u8::from(letter == b'E')]);
                2
            }
            [0x1B, letter @ (b'4' | b'5'), ..] => {
                self.set("reverse", &[u8::from(letter == b'4')]);
                2
            }
            [0x1B, letter @ (b'M' | b'P' | b':' | b'g'), ..] => {
                self.set("pitch", &[letter]);
                2
            }
            [0x1B, letter @ (b'p' | b'q'), ..] => {
                self.set("jis", &[u8::from(letter == b'p')]);
                2
            }
            [0x1B, 0x1E, b'F', n, ..] => {
                self.set("font", &[n]);
                4
            }
            [0x1B, 0x1E, b'C', n, ..] => {
                self.set("colour", &[n]);
                4
            }
            [0x1B, 0x1D, b'a', n, ..] => {
                self.set("align", &[n]);
                4
            }
            [0x1B, 0x1D, b't', n, ..] => {
                self.set("page", &[n]);
                4
            }
            [0x1B, 0x1D, b'y', b'S', which, n, ..] => {
                self.set(
                    ["qr model", "qr level", "qr size"][usize::from(which - b'0')],
                    &[n],
                );
                6
            }
            [0x1B, 0x1D, b'y', b'D', b'1', _, low, high, ..] => {
                let end = 8 + usize::from(u16::from_le_bytes([low, high]));
                self.stored = Some(rest[8..end].to_vec());
                end
            }
            [0x1B, 0x1D, b'y', b'P', ..] => {
                self.print_stored();
                4
            }
            [0x1B, b'i', high, wide, ..] => {
                self.set("high", &[high + 1]);
                self.set("wide", &[wide + 1]);
                4
            }
            [0x1B, b'a' | b'J' | b'I', _, ..] => {
                self.is_line_begun = false;
                3
            }
            [0x1B, letter, n, ..] => {
                let (name, n) = match letter {
                    b'W' => ("wide", n + 1),
                    b'h' => ("high", n + 1),
                    b'-' => ("under", n),
                    b'_' => ("over", n),
                    b' ' => ("space", n),
                    b'z' => ("line", n),
                    b'R' => ("country", n),
                    b'%' => ("own", n),
                    other => panic!("ESC {other:02x}"),
                };
                self.set(name, &[n]);
                3
            }
            _ => panic!("{rest:02x?}"),
        }
    }
}
