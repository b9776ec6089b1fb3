//! Two-dimensional codes stored in the printer, printed later or again: one of each symbology.

use super::super::symbol::Symbology;
use super::CODE_BYTES;

#[derive(Debug, Default)]
pub(super) struct StoredCodes(Vec<StoredCode>);

#[derive(Debug)]
struct StoredCode {
    kind: Symbology,
    data: Vec<u8>,
}

impl StoredCodes {
    /// Returns the content that is stored for a symbology.
    pub(super) fn content(&self, kind: Symbology) -> Option<&[u8]> {
        let stored = self.0.iter().find(|stored| stored.kind == kind);
        stored.map(|stored| stored.data.as_slice())
    }

    /// Stores a content in place of the one before.
    pub(super) fn store(&mut self, kind: Symbology, data: &[u8]) {
        self.0.retain(|stored| stored.kind != kind);
        self.0.push(StoredCode {
            kind,
            data: data.to_vec(),
        });
    }

    /// Adds to what is stored, as far as a code can hold it.
    pub(super) fn add(&mut self, kind: Symbology, data: &[u8]) {
        if let Some(stored) = self.0.iter_mut().find(|stored| stored.kind == kind) {
            let room = CODE_BYTES.saturating_sub(stored.data.len());
            stored.data.extend_from_slice(&data[..room.min(data.len())]);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns how many bytes are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.0.iter().map(|stored| stored.data.capacity()).sum()
    }
}
