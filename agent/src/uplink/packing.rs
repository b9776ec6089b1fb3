//! How requests are packed: by zstd, with the dictionary that headquarters handed down where there is
//! one.
//!
//! **Level.** A short request is packed with the dictionary and hard ([`LEVEL`]): it takes a third of
//! the bytes, for about a tenth of a millisecond. A long one, as after an outage, is packed plainly and
//! fast ([`PLAIN_LEVEL`]): it brings its own repetitions, and 2,000 events a request must not wait for a
//! till's processor.
//!
//! **Memory.** The dictionary is prepared once; what packs lives for one request.
//!
//! **The file** `dictionary` in the data directory: [`MAGIC`], the BLAKE3 hash of the rest, the
//! dictionary. It holds no personal data (central masks what it trains on), and a damaged one is removed:
//! headquarters hands it out again to a terminal without.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tillbind_protocol::dictionary::{DICTIONARY_BYTES_MAX, Dictionary};
use zstd::bulk::Compressor;
use zstd::dict::EncoderDictionary;
use zstd::zstd_safe::get_dict_id_from_dict;

use crate::storage::private_file;

/// How hard requests are packed with a dictionary. Measured with real baskets: 9 takes up to 2 % more bytes
/// in two thirds of the time, 3 takes 4 to 20 % more in a fourth.
pub const LEVEL: i32 = 12;
/// How hard requests are packed without.
pub const PLAIN_LEVEL: i32 = 3;
/// Longer requests, in bytes of JSON, are packed without: some 200 events.
pub const PACKED_HARD_MAX: usize = 128 * 1024;

const FILE: &str = "dictionary";
const MAGIC: &[u8; 8] = b"TBDICT1\n";
const HASH_BYTES: usize = 32;

/// Packs requests.
#[derive(Default)]
pub struct Packer {
    /// The dictionary that headquarters is told of; 0 for none.
    id: u32,
    encoder: Option<EncoderDictionary<'static>>,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Packer").field(&self.dictionary()).finish()
    }
}

/// A dictionary that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DictionaryError {
    /// It has no id, or another than it was sent under.
    #[error("the dictionary is not the one that it is said to be")]
    Id,
    /// It is longer than any that headquarters makes.
    #[error("the dictionary is longer than {DICTIONARY_BYTES_MAX} bytes")]
    TooLong,
    /// zstd refuses it.
    #[error("the dictionary is malformed")]
    Malformed(#[source] io::Error),
    /// The disk.
    #[error("the dictionary cannot be kept")]
    Disk(#[source] io::Error),
}

impl Packer {
    /// Packs with a dictionary.
    ///
    /// # Errors
    /// [`DictionaryError`] when it cannot be used.
    pub fn with(bytes: &[u8]) -> Result<Self, DictionaryError> {
        if bytes.len() > DICTIONARY_BYTES_MAX {
            return Err(DictionaryError::TooLong);
        }
        let id = get_dict_id_from_dict(bytes).ok_or(DictionaryError::Id)?;
        let encoder =
            EncoderDictionary::try_copy(bytes, LEVEL).map_err(DictionaryError::Malformed)?;
        Ok(Self {
            id: id.get(),
            encoder: Some(encoder),
        })
    }

    /// Packs without a dictionary, and tells headquarters of this one: it would send it again with every
    /// answer otherwise, and it is of no use here.
    pub fn without(id: u32) -> Self {
        Self { id, encoder: None }
    }

    /// Returns the id of the dictionary that headquarters need not send; 0 for none.
    pub fn dictionary(&self) -> u32 {
        self.id
    }

    /// Whether requests are packed with a dictionary.
    pub fn has_dictionary(&self) -> bool {
        self.encoder.is_some()
    }

    /// Packs a request; its frame names the dictionary.
    ///
    /// # Errors
    /// What zstd said: it has no memory left.
    pub fn pack(&self, json: &[u8]) -> io::Result<Vec<u8>> {
        match &self.encoder {
            Some(encoder) if json.len() <= PACKED_HARD_MAX => {
                Compressor::with_prepared_dictionary(encoder)?.compress(json)
            }
            Some(_) | None => Self::pack_plain(json),
        }
    }

    /// Packs a request without a dictionary.
    ///
    /// # Errors
    /// What zstd said: it has no memory left.
    pub fn pack_plain(json: &[u8]) -> io::Result<Vec<u8>> {
        zstd::bulk::compress(json, PLAIN_LEVEL)
    }

    /// Returns the memory that the prepared dictionary takes, in bytes.
    pub fn memory(&self) -> usize {
        let encoder = self.encoder.as_ref();
        encoder.map_or(0, |encoder| encoder.as_cdict().sizeof())
    }
}

/// The dictionary on the disk.
#[derive(Debug, Clone)]
pub struct KeptDictionary(PathBuf);

impl KeptDictionary {
    /// The one of this data directory.
    pub fn of(data_dir: &Path) -> Self {
        Self(data_dir.join(FILE))
    }

    /// Reads it; packs without where there is none or it is damaged. Blocks on the disk.
    pub fn load(&self) -> Packer {
        let kept = match fs::read(&self.0) {
            Ok(kept) => kept,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, "the compression dictionary cannot be read");
                }
                return Packer::default();
            }
        };
        let Some(packer) = whole(&kept).and_then(|bytes| Packer::with(bytes).ok()) else {
            tracing::warn!("the compression dictionary is damaged; headquarters sends it again");
            return Packer::default();
        };
        packer
    }

    /// Puts another in its place, durably. Blocks on the disk.
    ///
    /// # Errors
    /// [`DictionaryError`]; the former then stays.
    pub fn replace(&self, dictionary: &Dictionary) -> Result<Packer, DictionaryError> {
        let packer = Packer::with(&dictionary.bytes)?;
        if packer.dictionary() != dictionary.id {
            return Err(DictionaryError::Id);
        }
        let mut kept = MAGIC.to_vec();
        kept.extend_from_slice(blake3::hash(&dictionary.bytes).as_bytes());
        kept.extend_from_slice(&dictionary.bytes);
        private_file::replace(&self.0, &kept, |_| Ok(())).map_err(DictionaryError::Disk)?;
        Ok(packer)
    }

    /// Removes it. Blocks on the disk.
    ///
    /// # Errors
    /// What the system said.
    pub fn forget(&self) -> io::Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Returns the dictionary in a file's bytes if they are whole.
fn whole(kept: &[u8]) -> Option<&[u8]> {
    let rest = kept.strip_prefix(MAGIC)?;
    let (hash, bytes) = rest.split_at_checked(HASH_BYTES)?;
    (blake3::hash(bytes).as_bytes() == hash).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trained on 2,000 made-up scans.
    fn dictionary() -> Dictionary {
        let bytes = include_bytes!("../../tests/fixtures/dictionary/scans.zdict").to_vec();
        let id = get_dict_id_from_dict(&bytes).unwrap().get();
        Dictionary { id, bytes }
    }

    fn request(n: u32) -> Vec<u8> {
        format!(r#"{{"v":2,"batch":{{"events":[{{"kind":"scan","body":{{"n":{n}}}}}]}}}}"#).into()
    }

    #[test]
    fn a_frame_names_its_dictionary_and_unpacks_with_it_alone() {
        let dictionary = dictionary();
        let packer = Packer::with(&dictionary.bytes).unwrap();
        assert_eq!(packer.dictionary(), dictionary.id);
        let packed = packer.pack(&request(7)).unwrap();
        let named = zstd::zstd_safe::get_dict_id_from_frame(&packed).unwrap();
        assert_eq!(named.get(), dictionary.id);
        let mut with = zstd::bulk::Decompressor::with_dictionary(&dictionary.bytes).unwrap();
        assert_eq!(with.decompress(&packed, 1_000).unwrap(), request(7));
        let mut without = zstd::bulk::Decompressor::new().unwrap();
        assert!(without.decompress(&packed, 1_000).is_err());
    }

    #[test]
    fn a_long_request_is_packed_without() {
        let packer = Packer::with(&dictionary().bytes).unwrap();
        let packed = packer.pack(&vec![b' '; PACKED_HARD_MAX + 1]).unwrap();
        assert_eq!(zstd::zstd_safe::get_dict_id_from_frame(&packed), None);
    }

    #[test]
    fn a_dictionary_that_is_of_no_use_is_named_and_packs_nothing() {
        let packer = Packer::without(5);
        assert_eq!((packer.dictionary(), packer.has_dictionary()), (5, false));
        let packed = packer.pack(&request(7)).unwrap();
        assert_eq!(zstd::zstd_safe::get_dict_id_from_frame(&packed), None);
    }

    #[test]
    fn a_kept_dictionary_is_found_again_and_a_damaged_one_is_as_good_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let kept = KeptDictionary::of(dir.path());
        assert_eq!(kept.load().dictionary(), 0);
        let dictionary = dictionary();
        kept.replace(&dictionary).unwrap();
        assert_eq!(kept.load().dictionary(), dictionary.id);
        let path = dir.path().join(FILE);
        let whole = fs::read(&path).unwrap();
        for place in [0, 20, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert_eq!(kept.load().dictionary(), 0, "byte {place}");
        }
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert_eq!(kept.load().dictionary(), 0);
        kept.forget().unwrap();
        kept.forget().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_dictionary_that_is_none_or_another_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let kept = KeptDictionary::of(dir.path());
        let dictionary = dictionary();
        let other = Dictionary {
            id: dictionary.id + 1,
            ..dictionary.clone()
        };
        assert!(matches!(kept.replace(&other), Err(DictionaryError::Id)));
        let cut = Dictionary {
            bytes: dictionary.bytes[..20].to_vec(),
            ..dictionary
        };
        assert!(kept.replace(&cut).is_err());
        assert!(matches!(
            Packer::with(&vec![0; DICTIONARY_BYTES_MAX + 1]),
            Err(DictionaryError::TooLong)
        ));
        assert_eq!(kept.load().dictionary(), 0);
    }
}
