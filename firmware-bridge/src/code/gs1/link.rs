//! GS1 Digital Link: a web address whose path and query carry GS1 elements.
//!
//! Layout: scheme, host, the site's own path, a key with its value, then the key's qualifiers in
//! their order, each a segment with its value; attributes in the query. Keys, qualifiers and which
//! identifiers may be attributes stand in the GS1 syntax dictionary (`dlpkey`, flag `?`).
//!
//! An address says nothing more than it may: an attribute that belongs in the path, one told twice,
//! or a query key of digits that is no identifier makes the whole address malformed. Of the older
//! edition one thing is taken: a GTIN-8, -12 or -13 without its zeros in front.

use super::{Gs1Error, Message, SEPARATOR, Shape};

/// The keys of addresses, each with the sequences of qualifiers that may follow it.
///
/// A sequence is in order, and each of its qualifiers may be left out.
const KEYS: [(&str, &[&[&str]]); 15] = [
    ("00", &[]),
    ("01", &[&["22", "10", "21"], &["235"]]),
    ("253", &[]),
    ("255", &[]),
    ("401", &[]),
    ("402", &[]),
    ("414", &[&["254"], &["7040"]]),
    ("415", &[&["8020"]]),
    ("417", &[&["7040"]]),
    ("8003", &[]),
    ("8004", &[&["7040"]]),
    ("8006", &[&["22", "10", "21"]]),
    ("8010", &[&["8011"]]),
    ("8013", &[]),
    ("8017", &[&["8019"]]),
];

/// The key of a recipient, whose qualifiers are the provider's.
const RECIPIENT: &str = "8018";

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

    let mut message = Message {
        elements: Vec::new(),
    };
    let in_path = pairs_from_the_key(path).ok_or(Gs1Error::NotGs1)?;
    for &(ai, value) in &in_path {
        if value.is_empty() {
            return Err(Gs1Error::Value { ai: ai.to_owned() });
        }
        push(&mut message, ai, value)?;
    }
    let ais: Vec<&str> = in_path.iter().map(|&(ai, _)| ai).collect();
    if !is_key_with_qualifiers(&ais) {
        return Err(Gs1Error::Order);
    }

    for (ai, value) in query
        .split(['&', ';'])
        .filter_map(|pair| pair.split_once('='))
    {
        // Other keys of the query are the site's own.
        if ai.is_empty() || !ai.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        if message.get(ai).is_some() || belongs_in_path(&ais, ai) {
            return Err(Gs1Error::Order);
        }
        push(&mut message, ai, &value.replace('+', " "))?;
        if Shape::at_start_of(ai).is_some_and(|(_, shape)| !shape.is_attribute()) {
            return Err(Gs1Error::Order);
        }
    }
    Ok(message)
}

/// Returns the pairs of segments from the last key on; `None` where no such pairs end the path.
fn pairs_from_the_key(path: &str) -> Option<Vec<(&str, &str)>> {
    let mut backwards = path.rsplit('/');
    let mut pairs = Vec::new();
    while let (Some(value), Some(ai)) = (backwards.next(), backwards.next()) {
        Shape::at_start_of(ai).filter(|(known, _)| *known == ai)?;
        pairs.push((ai, value));
        if sequences_of(ai).is_some() {
            pairs.reverse();
            return Some(pairs);
        }
    }
    None
}

/// Returns the sequences of qualifiers that may follow a key; `None` for what is no key.
fn sequences_of(ai: &str) -> Option<&'static [&'static [&'static str]]> {
    let ai = if ai == RECIPIENT { "8017" } else { ai };
    KEYS.iter()
        .find(|(key, _)| *key == ai)
        .map(|(_, sequences)| *sequences)
}

/// Says whether `ais` are a key and qualifiers of one of its sequences, in order.
fn is_key_with_qualifiers(ais: &[&str]) -> bool {
    let Some((key, qualifiers)) = ais.split_first() else {
        return false;
    };
    let Some(sequences) = sequences_of(key) else {
        return false;
    };
    let fits = |sequence: &&[&str]| {
        let mut left = sequence.iter();
        qualifiers
            .iter()
            .all(|ai| left.any(|allowed| allowed == ai))
    };
    qualifiers.is_empty() || sequences.iter().any(fits)
}

/// Says whether an attribute would be a qualifier at some place of the path.
fn belongs_in_path(in_path: &[&str], attribute: &str) -> bool {
    (1..=in_path.len()).any(|at| {
        let mut tried = in_path.to_vec();
        tried.insert(at, attribute);
        is_key_with_qualifiers(&tried)
    })
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
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
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
        let message = read(text).ok()?;
        message.recipient().map(str::to_owned)
    }

    #[test]
    fn a_member_is_found_in_path_or_query_behind_the_sites_own_path() {
        let number = Some("950110153123456781".to_owned());
        for text in [
            "https://id.example/8018/950110153123456781",
            "HTTP://shop.example/club/cards/8018/950110153123456781/8019/12?lang=de#top",
            "https://shop.example:8443/8018/95011015312345678%31?",
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
            "https://shop.example/8018/950110153123456781/",
            "https://shop.example/8018//950110153123456781",
            "https://shop.example/8018/950110153123456781/10/LOT",
            "https://shop.example/8018/950110153123456781?8019=12",
            "https://shop.example/8018/950110153123456781?8018=950110153123456781",
            "https://shop.example/8018/950110153123456781?888=1",
            "https://shop.example/8018/950110153123456781?99=A+B",
        ] {
            assert_eq!(recipient(text), None, "{text}");
        }
    }
}
