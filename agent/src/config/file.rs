//! The settings as they stand in the file: texts and numbers, nothing judged yet.
//!
//! The names of the fields are the names of the settings; [`names_of`] asks serde for them, so that
//! no second list can go stale.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::Error as AnyError;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct File {
    pub(super) data_dir: Option<String>,
    pub(super) api: Api,
    pub(super) cards: Cards,
    pub(super) store: Store,
    pub(super) pos: Pos,
    pub(super) till: Till,
    pub(super) outbox: Outbox,
    pub(super) uplink: Uplink,
    pub(super) scanner: Vec<Scanner>,
    pub(super) nfc: Vec<Nfc>,
    pub(super) receipt_tap: Vec<ReceiptTap>,
    pub(super) journal: Vec<Journal>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Api {
    pub(super) listen: Option<String>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Cards {
    pub(super) member_prefixes: Vec<String>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Store {
    pub(super) currency: Option<String>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Pos {
    pub(super) store: Option<String>,
    pub(super) workstation: Option<String>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Till {
    pub(super) card_before_sale_s: Option<i64>,
    pub(super) card_after_sale_s: Option<i64>,
    pub(super) code_beside_card_s: Option<i64>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Outbox {
    pub(super) bytes_max: Option<i64>,
    pub(super) disk_percent_max: Option<i64>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Uplink {
    pub(super) batch_events_max: Option<i64>,
    pub(super) linger_ms: Option<i64>,
    pub(super) poll_wait_s: Option<i64>,
    pub(super) answer_timeout_s: Option<i64>,
    pub(super) backoff_base_ms: Option<i64>,
    pub(super) backoff_cap_ms: Option<i64>,
    pub(super) refused_retry_s: Option<i64>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Scanner {
    pub(super) name: Option<String>,
    pub(super) port: Option<String>,
    pub(super) baud: Option<i64>,
    pub(super) framing: Option<String>,
    pub(super) suffix: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) stx_etx: Option<bool>,
    pub(super) code_id: Option<bool>,
    pub(super) layout: Option<String>,
    pub(super) idle_gap_ms: Option<i64>,
    pub(super) repeat_window_ms: Option<i64>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Nfc {
    pub(super) name: Option<String>,
    pub(super) port: Option<String>,
    pub(super) baud: Option<i64>,
    pub(super) reader: Option<String>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct ReceiptTap {
    pub(super) name: Option<String>,
    pub(super) listen: Option<String>,
    pub(super) spool_dir: Option<String>,
    pub(super) printer: Option<String>,
    pub(super) flow_control: Option<String>,
    pub(super) dialect: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) capture_dir: Option<String>,
    pub(super) footer: Option<String>,
    pub(super) footer_link: Option<String>,
    pub(super) footer_qr: Option<bool>,
    pub(super) footer_hold_ms: Option<i64>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Journal {
    pub(super) name: Option<String>,
    pub(super) format: Option<String>,
    pub(super) dir: Option<String>,
    pub(super) encoding: Option<String>,
    pub(super) extensions: Option<Vec<String>>,
    pub(super) follow: Option<bool>,
    pub(super) quiet_s: Option<i64>,
    pub(super) currency: Option<String>,
    pub(super) amounts: Option<String>,
    pub(super) decimal: Option<String>,
    pub(super) time_format: Option<String>,
    pub(super) date_format: Option<String>,
    pub(super) clock_format: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) tax_included: Option<bool>,
    pub(super) amounts_after_discount: Option<bool>,
    pub(super) returns: Option<String>,
    pub(super) kinds: BTreeMap<String, String>,
    pub(super) fields: BTreeMap<String, String>,
    pub(super) item_fields: BTreeMap<String, String>,
    pub(super) tender_fields: BTreeMap<String, String>,
    pub(super) delimiter: Option<String>,
    pub(super) quote: Option<String>,
    pub(super) header: Option<bool>,
    pub(super) columns: BTreeMap<String, Column>,
    pub(super) row_kinds: BTreeMap<String, String>,
}

/// A column of a CSV journal: its name in the header, or its number.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum Column {
    Number(i64),
    Name(String),
}

/// Returns the settings that a table at `path` knows; `None` if there is no such table.
pub(super) fn known_names(path: &[&str]) -> Option<&'static [&'static str]> {
    match path {
        [] => Some(names_of::<File>()),
        ["api"] => Some(names_of::<Api>()),
        ["cards"] => Some(names_of::<Cards>()),
        ["store"] => Some(names_of::<Store>()),
        ["pos"] => Some(names_of::<Pos>()),
        ["till"] => Some(names_of::<Till>()),
        ["outbox"] => Some(names_of::<Outbox>()),
        ["uplink"] => Some(names_of::<Uplink>()),
        ["scanner"] => Some(names_of::<Scanner>()),
        ["nfc"] => Some(names_of::<Nfc>()),
        ["receipt_tap"] => Some(names_of::<ReceiptTap>()),
        ["journal"] => Some(names_of::<Journal>()),
        _ => None,
    }
}

fn names_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // The probe never yields a value: it ends with an error once it has seen the names.
    let _probed = T::deserialize(NameProbe { names: &mut names }).is_err();
    names
}

struct NameProbe<'n> {
    names: &'n mut &'static [&'static str],
}

impl fmt::Debug for NameProbe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameProbe")
    }
}

impl<'de> Deserializer<'de> for NameProbe<'_> {
    type Error = AnyError;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, AnyError> {
        *self.names = fields;
        Err(AnyError::custom("names are known"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, AnyError> {
        Err(AnyError::custom("not a table"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
