//! What people can still read of damaged records.

use super::segment::{ALIGN_BYTES, Frame, RECORD_HEADER_BYTES};
use crate::vault::Seal;

/// Returns what is left of the records in bytes that do not verify, unverified. A record whose own header
/// is spoilt is passed over.
pub(crate) fn salvaged(seal: &Seal, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut offset = 0;
    while let Some(rest) = bytes.get(offset..)
        && rest.len() >= RECORD_HEADER_BYTES
    {
        let frame = Frame::peek(rest);
        let plain = frame
            .as_ref()
            .and_then(|frame| seal.open_unverified(frame.sealed));
        offset += match (&frame, &plain) {
            (Some(frame), Some(_)) => frame.bytes,
            (Some(_) | None, _) => ALIGN_BYTES,
        };
        found.extend(plain);
    }
    found
}
