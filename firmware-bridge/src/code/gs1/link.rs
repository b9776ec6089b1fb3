//! GS1 Digital Link: a web address whose path and query carry GS1 elements.

use super::{Gs1Error, Message, SEPARATOR, Shape};

/// Identifiers that may be the key of an address.
const PRIMARY_KEYS: [&str; 15] = [
    "00", "01", "253", "255", "401", "402", "414", "417", "8003", "8004", "8006", "8010", "8013",
    "8017", "8018",
];

/// Characters that no address holds unescaped.
const NEVER_IN_ADDRESS: &[char] = &['<', '>', '"', '\\', '^', '`', '{', '|', '}', ' ', SEPARATOR];

/// Reads the key, its qualifiers and the attributes of an address.
pub(super) fn read(text: &str) -> Result<Message, Gs1Error> {
    let rest = strip_scheme(text).ok_or(Gs1Error::NotGs1)?;
    if rest.contains(NEVER_IN_ADDRESS) || rest.contains(char::is_control) {
        return Err(Gs1Error::NotGs1);
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = address.split_once('/').ok_or(Gs1Error::NotGs1)?;
    if !is_host(host) {
        return Err(Gs1Error::NotGs1);
    }

    let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    // A key, then pairs to the end; what stands before the last such key is the site's own path.
    let start = (0..segments.len())
        .rev()
        .find(|&at| {
            (segments.len() - at).is_multiple_of(2)
                && segments.get(at).is_some_and(|s| PRIMARY_KEYS.contains(s))
        })
        .ok_or(Gs1Error::NotGs1)?;

    let mut message = Message {
        elements: Vec::new(),
    };
    for pair in segments.get(start..).unwrap_or_default().chunks_exact(2) {
        if let &[ai, value] = pair {
            push(&mut message, ai, value)?;
        }
    }
    for (ai, value) in query
        .split(['&', ';'])
        .filter_map(|pair| pair.split_once('='))
    {
        // Other keys of the query are the site's own.
        if ai.bytes().all(|b| b.is_ascii_digit()) && Shape::at_start_of(ai).is_some() {
            push(&mut message, ai, value)?;
        }
    }
    Ok(message)
}

fn push(message: &mut Message, ai: &str, escaped: &str) -> Result<(), Gs1Error> {
    let Some((_, shape)) = Shape::at_start_of(ai).filter(|(known, _)| *known == ai) else {
        return Err(Gs1Error::UnknownIdentifier {
            elements: message.elements.len(),
        });
    };
    let Some(mut value) = unescape(escaped) else {
        return Err(Gs1Error::Value { ai: ai.to_owned() });
    };
    // Addresses may carry a GTIN-8, -12 or -13 as it stands.
    if ai == "01" && matches!(value.len(), 8 | 12 | 13) {
        value = format!("{value:0>14}");
    }
    message.push(ai, &value, shape)
}

fn strip_scheme(text: &str) -> Option<&str> {
    ["https://", "http://"].iter().find_map(|scheme| {
        let head = text.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme)
            .then(|| text.get(scheme.len()..))?
    })
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]%".contains(&b))
}

/// Resolves %XX; `None` where an escape is cut, not hexadecimal or gives no text.
fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let (hex, after) = after.split_at_checked(2)?;
        let hex = std::str::from_utf8(hex)
            .ok()
            .filter(|h| !h.starts_with('+'))?;
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(text: &str) -> Option<String> {
        read(text).ok()?.recipient().ok()?.map(str::to_owned)
    }

    #[test]
    fn a_member_is_found_in_path_or_query_behind_the_sites_own_path() {
        let number = Some("950110153123456781".to_owned());
        for text in [
            "https://id.example/8018/950110153123456781",
            "HTTP://shop.example/club/cards/8018/950110153123456781/8019/12?lang=de#top",
            "https://shop.example:8443/8018/95011015312345678%31/",
            "https://shop.example/01/04006381333931?8018=950110153123456781",
        ] {
            assert_eq!(recipient(text), number, "{text}");
        }
    }

    #[test]
    fn other_addresses_are_no_digital_links() {
        for text in [
            "https://shop.example/",
            "https://shop.example/8018",
            "https://shop.example/8018/950110153123456781/more",
            "https:///8018/950110153123456781",
            "ftp://shop.example/8018/950110153123456781",
            "https://shop.example/<8018>/950110153123456781",
            "https://shop.example/?8018=950110153123456781",
            "https://shop.example/8018/95011015312345678%3",
            "https://shop.example/8018/950110153123456782",
        ] {
            assert_eq!(recipient(text), None, "{text}");
        }
    }
}
