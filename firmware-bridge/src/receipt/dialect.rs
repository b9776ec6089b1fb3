//! Which language a printer is spoken to in.

/// A receipt tap's `dialect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Told apart by the bytes, job by job: what bears no mark is read as the job before it, the
    /// first as ESC/POS.
    #[default]
    Auto,
    /// ESC/POS, whatever the bytes look like.
    EscPos,
    /// Star Line Mode or StarPRNT, whatever the bytes look like.
    Star,
}

/// A dialect as it is read, known or supposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// Epson's ESC/POS.
    #[default]
    EscPos,
    /// Star Line Mode, StarPRNT.
    Star,
}

/// The configured `dialect` is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dialect {0:?} is not known: use \"auto\", \"escpos\" or \"star\"")]
pub struct DialectError(pub String);

impl Dialect {
    /// Reads a receipt tap's setting.
    ///
    /// # Errors
    /// [`DialectError`] for any word but `auto`, `escpos` and `star`.
    pub fn parse(text: &str) -> Result<Self, DialectError> {
        match text {
            "auto" => Ok(Self::Auto),
            "escpos" => Ok(Self::EscPos),
            "star" => Ok(Self::Star),
            other => Err(DialectError(other.to_owned())),
        }
    }

    /// Returns what a stream is read as before it has said anything.
    pub(super) fn first_language(self) -> Language {
        match self {
            Self::Auto | Self::EscPos => Language::EscPos,
            Self::Star => Language::Star,
        }
    }
}

impl Language {
    /// Returns the other one.
    pub(super) fn other(self) -> Self {
        match self {
            Self::EscPos => Self::Star,
            Self::Star => Self::EscPos,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_settings_are_known_and_other_words_are_refused() {
        assert_eq!(Dialect::parse("auto"), Ok(Dialect::Auto));
        assert_eq!(Dialect::parse("escpos"), Ok(Dialect::EscPos));
        assert_eq!(Dialect::parse("star"), Ok(Dialect::Star));
        let error = Dialect::parse("zpl").unwrap_err();
        assert!(error.to_string().contains("\"star\""), "{error}");
    }
}
