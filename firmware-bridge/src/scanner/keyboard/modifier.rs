//! Shift, Ctrl, Alt and Meta: which are down, and what Ctrl makes of a character.

/// The modifiers that are down.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    pub(super) shift: [bool; 2],
    pub(super) ctrl: [bool; 2],
    pub(super) alt: [bool; 2],
    pub(super) meta: [bool; 2],
}

impl Held {
    /// Returns the place of a modifier's state; `None` for other keys.
    pub(super) fn of(&mut self, code: u16) -> Option<&mut bool> {
        let [left_shift, right_shift] = &mut self.shift;
        let [left_ctrl, right_ctrl] = &mut self.ctrl;
        let [left_alt, right_alt] = &mut self.alt;
        let [left_meta, right_meta] = &mut self.meta;
        match code {
            42 => Some(left_shift),
            54 => Some(right_shift),
            29 => Some(left_ctrl),
            97 => Some(right_ctrl),
            56 => Some(left_alt),
            100 => Some(right_alt),
            125 => Some(left_meta),
            126 => Some(right_meta),
            _ => None,
        }
    }

    pub(super) fn any(pair: [bool; 2]) -> bool {
        pair.contains(&true)
    }
}

/// Returns the control character that Ctrl makes of a character.
pub(super) fn control(character: char) -> Option<char> {
    match character.to_ascii_uppercase() {
        // On the way to a control character by a key without its sign: Ctrl and 6, Ctrl and -.
        '6' => Some('\u{1e}'),
        '-' => Some('\u{1f}'),
        upper @ '@'..='_' => char::from_u32(u32::from(upper) & 0x1f),
        _ => None,
    }
}
