//! The settings that change how plain text or a QR code is printed: which command sets them, and which
//! takes each back to the printer's default.
//!
//! Sources: Epson's ESC/POS command reference; Star's command specifications of Line Mode and StarPRNT.
//! Commands that set several things at once (`ESC !`) are settings of their own; sent again in the order
//! of the stream they give the same state.
//!
//! Deliberately absent: settings that neither text nor QR codes follow (barcodes, tab stops, page mode,
//! sensors), Star's margins, and the italics of clones, which are two bytes long here and three there.

use super::super::command::{ESC, FS, GS, RS};
use super::super::dialect::Language;

/// Longest command that is kept.
pub(super) const SENT_BYTES: usize = 9;

/// A setting, in either dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// `ESC !`: several at once.
    PrintMode,
    Font,
    Emphasis,
    DoubleStrike,
    Underline,
    Upperline,
    /// Width and height at once.
    Size,
    Width,
    Height,
    /// Star's SO and DC4.
    WideByCode,
    /// Star's `ESC SO` and `ESC DC4`.
    HighByCode,
    Reverse,
    UpsideDown,
    Rotation,
    Colour,
    CharacterColour,
    Background,
    Shadow,
    Spacing,
    Pitch,
    LineSpacing,
    /// `GS P`: what lengths of later commands are counted in.
    Units,
    Alignment,
    LeftMargin,
    AreaWidth,
    International,
    UserCharacters,
    KanjiPrintMode,
    KanjiUnderline,
    KanjiSize,
    KanjiSpacing,
    QrModel,
    QrSize,
    QrLevel,
}

/// A command as the stream sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) setting: Setting,
    /// It came where printers differ on whether it counts, so it is neither taken back nor sent again.
    pub(super) is_doubtful: bool,
    length: u8,
    bytes: [u8; SENT_BYTES],
}

impl Sent {
    /// Keeps a command, unless it is longer than any that sets something.
    pub(super) fn new(setting: Setting, command: &[u8], is_doubtful: bool) -> Option<Self> {
        let mut bytes = [0; SENT_BYTES];
        bytes.get_mut(..command.len())?.copy_from_slice(command);
        let length = u8::try_from(command.len()).ok()?;
        Some(Self {
            setting,
            is_doubtful,
            length,
            bytes,
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Setting {
    /// Returns what a whole command sets, if it is one of these.
    pub(super) fn of(language: Language, command: &[u8]) -> Option<Self> {
        match language {
            Language::EscPos => of_epson(command),
            Language::Star => of_star(command),
        }
    }

    /// Returns whether a command counts at a line's begin only, as Epson's and Star's references say;
    /// other makers' printers take it anywhere.
    pub(super) fn is_for_line_begin(self) -> bool {
        matches!(
            self,
            Self::Alignment | Self::LeftMargin | Self::AreaWidth | Self::UpsideDown
        )
    }

    /// Returns whether a footer starts by taking a setting back. Units are sent again for what is measured
    /// in them, a country's characters are left where lines need it, the rest is set anew.
    pub(super) fn is_taken_back(self) -> bool {
        !matches!(
            self,
            Self::Units
                | Self::International
                | Self::Alignment
                | Self::QrModel
                | Self::QrSize
                | Self::QrLevel
        )
    }

    /// Returns the command that takes a setting back to the printer's default; nothing for what is only
    /// ever sent again.
    pub(super) fn default_command(self, language: Language) -> &'static [u8] {
        match language {
            Language::EscPos => self.epson_default(),
            Language::Star => self.star_default(),
        }
    }

    fn epson_default(self) -> &'static [u8] {
        match self {
            Self::PrintMode => &[ESC, b'!', 0],
            Self::Font => &[ESC, b'M', 0],
            Self::Emphasis => &[ESC, b'E', 0],
            Self::DoubleStrike => &[ESC, b'G', 0],
            Self::Underline => &[ESC, b'-', 0],
            Self::Size => &[GS, b'!', 0],
            Self::Reverse => &[GS, b'B', 0],
            Self::UpsideDown => &[ESC, b'{', 0],
            Self::Rotation => &[ESC, b'V', 0],
            Self::Colour => &[ESC, b'r', 0],
            Self::CharacterColour => &[GS, b'(', b'N', 2, 0, 48, 49],
            Self::Background => &[GS, b'(', b'N', 2, 0, 49, 48],
            Self::Shadow => &[GS, b'(', b'N', 3, 0, 50, 0, 49],
            Self::Spacing => &[ESC, b' ', 0],
            Self::LineSpacing => &[ESC, b'2'],
            Self::Units => &[GS, b'P', 0, 0],
            Self::Alignment => &[ESC, b'a', 0],
            Self::LeftMargin => &[GS, b'L', 0, 0],
            // More than any paper is wide: all of it.
            Self::AreaWidth => &[GS, b'W', 0xFF, 0xFF],
            Self::International => &[ESC, b'R', 0],
            Self::UserCharacters => &[ESC, b'%', 0],
            Self::KanjiPrintMode => &[FS, b'!', 0],
            Self::KanjiUnderline => &[FS, b'-', 0],
            Self::KanjiSize => &[FS, b'W', 0],
            Self::KanjiSpacing => &[FS, b'S', 0, 0],
            Self::QrModel => &[GS, b'(', b'k', 4, 0, 49, 65, 50, 0],
            Self::QrSize => &[GS, b'(', b'k', 3, 0, 49, 67, 3],
            Self::QrLevel => &[GS, b'(', b'k', 3, 0, 49, 69, 48],
            Self::Upperline
            | Self::Width
            | Self::Height
            | Self::WideByCode
            | Self::HighByCode
            | Self::Pitch => &[],
        }
    }

    fn star_default(self) -> &'static [u8] {
        match self {
            Self::Font => &[ESC, RS, b'F', 0],
            Self::Emphasis => &[ESC, b'F'],
            Self::Underline => &[ESC, b'-', 0],
            Self::Upperline => &[ESC, b'_', 0],
            Self::Size => &[ESC, b'i', 0, 0],
            Self::Width => &[ESC, b'W', 0],
            Self::Height => &[ESC, b'h', 0],
            Self::WideByCode => &[0x14],
            Self::HighByCode => &[ESC, 0x14],
            Self::Reverse => &[ESC, b'5'],
            Self::UpsideDown => &[0x12],
            Self::Colour => &[ESC, RS, b'C', 0],
            Self::Spacing => &[ESC, b' ', 0],
            Self::Pitch => &[ESC, b'M'],
            // 4 mm.
            Self::LineSpacing => &[ESC, b'z', 1],
            Self::Alignment => &[ESC, GS, b'a', 0],
            Self::International => &[ESC, b'R', 0],
            Self::UserCharacters => &[ESC, b'%', 0],
            Self::QrModel => &[ESC, GS, b'y', b'S', b'0', 2],
            Self::QrLevel => &[ESC, GS, b'y', b'S', b'1', 0],
            Self::QrSize => &[ESC, GS, b'y', b'S', b'2', 3],
            Self::PrintMode
            | Self::DoubleStrike
            | Self::Rotation
            | Self::CharacterColour
            | Self::Background
            | Self::Shadow
            | Self::Units
            | Self::LeftMargin
            | Self::AreaWidth
            | Self::KanjiPrintMode
            | Self::KanjiUnderline
            | Self::KanjiSize
            | Self::KanjiSpacing => &[],
        }
    }
}

fn of_epson(command: &[u8]) -> Option<Setting> {
    Some(match *command {
        [ESC, b'!', _] => Setting::PrintMode,
        [ESC, b'M', _] => Setting::Font,
        [ESC, b'E', _] => Setting::Emphasis,
        [ESC, b'G', _] => Setting::DoubleStrike,
        [ESC, b'-', _] => Setting::Underline,
        [GS, b'!', _] => Setting::Size,
        [GS, b'B', _] => Setting::Reverse,
        [ESC, b'{', _] => Setting::UpsideDown,
        [ESC, b'V', _] => Setting::Rotation,
        [ESC, b'r', _] => Setting::Colour,
        [GS, b'(', b'N', _, _, 48, _] => Setting::CharacterColour,
        [GS, b'(', b'N', _, _, 49, _] => Setting::Background,
        [GS, b'(', b'N', _, _, 50, _, _] => Setting::Shadow,
        [ESC, b' ', _] => Setting::Spacing,
        [ESC, b'2'] | [ESC, b'3', _] => Setting::LineSpacing,
        [GS, b'P', _, _] => Setting::Units,
        [ESC, b'a', _] => Setting::Alignment,
        [GS, b'L', _, _] => Setting::LeftMargin,
        [GS, b'W', _, _] => Setting::AreaWidth,
        [ESC, b'R', _] => Setting::International,
        [ESC, b'%', _] => Setting::UserCharacters,
        [FS, b'!', _] => Setting::KanjiPrintMode,
        [FS, b'-', _] => Setting::KanjiUnderline,
        [FS, b'W', _] => Setting::KanjiSize,
        [FS, b'S', _, _] => Setting::KanjiSpacing,
        [GS, b'(', b'k', _, _, 49, 65, _, _] => Setting::QrModel,
        [GS, b'(', b'k', _, _, 49, 67, _] => Setting::QrSize,
        [GS, b'(', b'k', _, _, 49, 69, _] => Setting::QrLevel,
        _ => return None,
    })
}

fn of_star(command: &[u8]) -> Option<Setting> {
    Some(match *command {
        [ESC, RS, b'F', _] => Setting::Font,
        [ESC, b'E' | b'F'] => Setting::Emphasis,
        [ESC, b'-', _] => Setting::Underline,
        [ESC, b'_', _] => Setting::Upperline,
        [ESC, b'i', _, _] => Setting::Size,
        [ESC, b'W', _] => Setting::Width,
        [ESC, b'h', _] => Setting::Height,
        [0x0E | 0x14] => Setting::WideByCode,
        [ESC, 0x0E | 0x14] => Setting::HighByCode,
        [ESC, b'4' | b'5'] => Setting::Reverse,
        [0x0F | 0x12] => Setting::UpsideDown,
        [ESC, RS, b'C', _] => Setting::Colour,
        [ESC, b' ', _] => Setting::Spacing,
        [ESC, b'M' | b'P' | b':' | b'g'] => Setting::Pitch,
        [ESC, b'0' | b'1' | b'2'] | [ESC, b'z' | b'A' | b'3' | b'y', _] => Setting::LineSpacing,
        [ESC, GS, b'a', _] => Setting::Alignment,
        [ESC, b'R', _] => Setting::International,
        [ESC, b'%', _] => Setting::UserCharacters,
        [ESC, GS, b'y', b'S', 0 | b'0', _] => Setting::QrModel,
        [ESC, GS, b'y', b'S', 1 | b'1', _] => Setting::QrLevel,
        [ESC, GS, b'y', b'S', 2 | b'2', _] => Setting::QrSize,
        _ => return None,
    })
}
