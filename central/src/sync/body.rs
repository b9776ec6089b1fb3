//! Bodies: JSON, under zstd where both sides say so, inflated with a bound.

use std::io::Read;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tillbind_protocol::dictionary::WINDOW_LOG_MAX;
use tillbind_protocol::exchange::REQUEST_BYTES_MAX;
use zstd::dict::DecoderDictionary;

use super::refusal::Refused;

/// Level of compression: at 3, answers of a page take well under a millisecond.
const ZSTD_LEVEL: i32 = 3;
const ZSTD: &str = "zstd";

/// Returns how many bytes a body announces; one that does not may have as many as any.
pub(super) fn announced(headers: &HeaderMap) -> Result<usize, Refused> {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    match length {
        Some(length) if length > REQUEST_BYTES_MAX => Err(Refused::TooLarge),
        Some(length) => Ok(length),
        None => Ok(REQUEST_BYTES_MAX),
    }
}

/// Takes a body in whole, as long as it was announced at most.
///
/// # Errors
/// [`Refused::TooLarge`], or [`Refused::BadRequest`] when it breaks off.
pub(super) async fn collect(body: Body, announced: usize) -> Result<Bytes, Refused> {
    match Limited::new(body, announced).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refused::TooLarge),
        Err(_) => Err(Refused::BadRequest("the body broke off".to_owned())),
    }
}

/// Reads a request's body.
///
/// # Errors
/// [`Refused::TooLarge`], or [`Refused::BadRequest`] with what is malformed.
pub(super) fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: &Bytes,
    dictionary: Option<&DecoderDictionary<'static>>,
) -> Result<T, Refused> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    let json = match encoding.map(HeaderValue::as_bytes) {
        None | Some(b"identity") => return parse(body),
        Some(b"zstd") => inflate(body, dictionary)?,
        Some(_) => {
            return Err(Refused::BadRequest(
                "the body's encoding is unknown: use zstd".to_owned(),
            ));
        }
    };
    parse(&json)
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(json).map_err(|e| {
        // The error's own text may repeat what it stumbled over: a card, a name.
        let place = (e.line(), e.column());
        Refused::BadRequest(format!(
            "the body is no such request (line {}, column {})",
            place.0, place.1
        ))
    })
}

/// Returns the dictionary that a body is packed with.
pub(super) fn dictionary_id(headers: &HeaderMap, body: &[u8]) -> Option<u32> {
    let encoding = headers.get(header::CONTENT_ENCODING)?;
    let id = zstd::zstd_safe::get_dict_id_from_frame(body)?;
    (encoding.as_bytes() == ZSTD.as_bytes()).then_some(id.get())
}

fn inflate(
    body: &[u8],
    dictionary: Option<&DecoderDictionary<'static>>,
) -> Result<Vec<u8>, Refused> {
    let malformed = |_| Refused::BadRequest("the body is not zstd".to_owned());
    let mut decoder = match dictionary {
        Some(dictionary) => zstd::Decoder::with_prepared_dictionary(body, dictionary),
        None => zstd::Decoder::with_buffer(body),
    }
    .map_err(malformed)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(malformed)?;
    let mut json = Vec::new();
    decoder
        .take(REQUEST_BYTES_MAX as u64 + 1)
        .read_to_end(&mut json)
        .map_err(malformed)?;
    if json.len() > REQUEST_BYTES_MAX {
        return Err(Refused::TooLarge);
    }
    Ok(json)
}

/// Returns whether an answer may be compressed.
pub(super) fn accepts_zstd(headers: &HeaderMap) -> bool {
    let names_it = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains(ZSTD));
    headers.get(header::CONTENT_ENCODING).is_some_and(names_it)
        || headers.get(header::ACCEPT_ENCODING).is_some_and(names_it)
}

/// Writes an answer.
pub(super) fn answer<T: Serialize>(value: &T, zstd: bool) -> Response {
    let Ok(json) = serde_json::to_vec(value) else {
        return Refused::BadRequest("the answer cannot be written".to_owned()).into_response();
    };
    let kind = (header::CONTENT_TYPE, "application/json");
    if zstd && let Ok(packed) = zstd::bulk::compress(&json, ZSTD_LEVEL) {
        return ([kind, (header::CONTENT_ENCODING, ZSTD)], packed).into_response();
    }
    ([kind], json).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zstd_headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(ZSTD));
        headers
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_inflated() {
        let bomb = zstd::bulk::compress(&vec![b' '; REQUEST_BYTES_MAX * 8], 3).unwrap();
        let refused = read::<serde_json::Value>(&zstd_headers(), &bomb.into(), None);
        assert!(matches!(refused, Err(Refused::TooLarge)));
    }

    #[test]
    fn a_malformed_body_is_refused_without_repeating_it() {
        let body = Bytes::from_static(br#"{"card":"29000000"#);
        match read::<serde_json::Value>(&HeaderMap::new(), &body, None) {
            Err(Refused::BadRequest(why)) => assert!(!why.contains("29000000"), "{why}"),
            other => panic!("{other:?}"),
        }
        let packed: Bytes = zstd::bulk::compress(b"[1]", 3).unwrap().into();
        assert_eq!(
            read::<Vec<u8>>(&zstd_headers(), &packed, None).unwrap(),
            [1]
        );
        assert!(read::<Vec<u8>>(&zstd_headers(), &Bytes::from_static(b"[1]"), None).is_err());
    }
}
