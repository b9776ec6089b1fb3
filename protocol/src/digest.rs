//! Sixteen bytes of a hash as they stand in JSON and on paper: base64url without padding.

/// Length of a digest, in bytes. Sixteen keep an accidental match out of reach (2^-64 for a birthday
/// among all that a chain of stores ever records) at half the bytes on the wire.
pub(crate) const DIGEST_BYTES: usize = 16;

/// Gives a type over `[u8; DIGEST_BYTES]` its text.
macro_rules! digest_text {
    ($name:ident, $what:literal) => {
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                use ::base64::Engine;
                f.write_str(&::base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.0))
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self, f)
            }
        }

        impl From<$name> for String {
            fn from(digest: $name) -> Self {
                digest.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::ids::IdError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                use ::base64::Engine;
                let bytes = ::base64::engine::general_purpose::URL_SAFE_NO_PAD
                    .decode(&text)
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok());
                bytes.map(Self).ok_or($crate::ids::IdError {
                    what: $what,
                    text: text.chars().take(32).collect(),
                    why: "it needs 16 bytes in base64url",
                })
            }
        }
    };
}

pub(crate) use digest_text;
