//! Buffers of scans, which may be payment data: what leaves them leaves nothing behind.
//!
//! Each wants to be allocated once at its full size, so that no growth leaves a copy either.

use zeroize::Zeroize;

/// Zeroises what was written since the last time, and empties the buffer; the rest of the allocation is
/// zero still.
pub(super) fn wipe(buffer: &mut Vec<u8>) {
    buffer.as_mut_slice().zeroize();
    buffer.clear();
}

/// Takes bytes off the front; what moves up leaves nothing behind.
pub(super) fn wipe_front(buffer: &mut Vec<u8>, count: usize) {
    let count = count.min(buffer.len());
    let kept = buffer.len() - count;
    buffer.rotate_left(count);
    if let Some(freed) = buffer.get_mut(kept..) {
        freed.zeroize();
    }
    buffer.truncate(kept);
}
