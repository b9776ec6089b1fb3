//! Bytes in pieces, for the tests of what must not depend on them.

/// Returns `data` in chunks of these sizes, over again as often as needed.
pub(crate) fn chunks<'d>(data: &'d [u8], sizes: &[usize]) -> impl Iterator<Item = &'d [u8]> {
    let mut rest = data;
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let size = sizes.next().filter(|_| !rest.is_empty())?;
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        rest = after;
        Some(chunk)
    })
}
