//! Which language a printer is spoken to in.

/// A receipt tap's `dialect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// ESC/POS, unless the stream bears a mark of Star; then its jobs are reported as unreadable.
    #[default]
    Auto,
    /// ESC/POS, whatever the bytes look like.
    EscPos,
}

/// Why a configured `dialect` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialectError {
    /// Star's dialect is known and not yet read.
    #[error(
        "dialect \"star\" is not supported in this version yet: use \"auto\", which reports Star \
         receipts as unreadable, or set the printer to ESC/POS emulation"
    )]
    StarNotSupported,
    /// The word is none of the dialects.
    #[error("dialect {0:?} is not known: use \"auto\" or \"escpos\"")]
    Unknown(String),
}

impl Dialect {
    /// Reads a receipt tap's setting.
    ///
    /// # Errors
    /// [`DialectError`] for `star` and for any word but `auto` and `escpos`.
    pub fn parse(text: &str) -> Result<Self, DialectError> {
        match text {
            "auto" => Ok(Self::Auto),
            "escpos" => Ok(Self::EscPos),
            "star" => Err(DialectError::StarNotSupported),
            other => Err(DialectError::Unknown(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_is_refused_by_name_and_other_words_as_unknown() {
        assert_eq!(Dialect::parse("auto"), Ok(Dialect::Auto));
        assert_eq!(Dialect::parse("escpos"), Ok(Dialect::EscPos));
        let star = Dialect::parse("star").unwrap_err();
        assert!(
            star.to_string()
                .contains("not supported in this version yet")
        );
        assert!(matches!(
            Dialect::parse("zpl"),
            Err(DialectError::Unknown(_))
        ));
    }
}
