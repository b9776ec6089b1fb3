//! Doors for the fuzz targets in `tests/fuzz`: decoders that are nobody else's business.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, header};
use serde::de::DeserializeOwned;
use tillbind_protocol::exchange::ExchangeRequest;
use zstd::dict::DecoderDictionary;

use super::{body, exchanging};

/// Reads a body as every handler of the listener would: under zstd where `packed`, and only within
/// its bound.
pub fn read<T: DeserializeOwned>(packed: bool, bytes: &[u8]) -> Option<T> {
    let mut headers = HeaderMap::new();
    if packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    }
    body::read(&headers, &Bytes::copy_from_slice(bytes), None).ok()
}

/// Reads a body that names a dictionary as the exchange would when it holds it.
pub fn read_with(dictionary: &[u8], bytes: &[u8]) -> Option<ExchangeRequest> {
    let decoder = DecoderDictionary::try_copy(dictionary).ok()?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    let bytes = Bytes::copy_from_slice(bytes);
    body::dictionary_id(&headers, &bytes)?;
    body::read(&headers, &bytes, Some(&decoder)).ok()
}

/// Returns whether a request may go on to the intake.
pub fn is_fit(request: &ExchangeRequest) -> bool {
    exchanging::check(request).is_ok()
}
