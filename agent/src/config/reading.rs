//! From texts and numbers to settings that can be used, collecting every fault on the way.

mod journal;
mod nfc;
mod scanner;
mod tap;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::money::Currency;
use tillbind_protocol::backoff::BackoffConfig;
use tillbind_protocol::exchange::{BATCH_EVENTS_MAX, WAIT_MS_MAX};

use super::place::{Fault, Places};
use super::{
    ApiConfig, CardsConfig, Config, DEVICES_MAX, OutboxSettings, PosConfig, StoreConfig,
    TillConfig, UplinkSettings, file,
};

/// Longest name of a device, in bytes: it stands in every event of that device.
const DEVICE_NAME_BYTES_MAX: usize = 64;

pub(super) fn read(text: &str) -> Result<Config, Vec<Fault>> {
    let places = Places::of(text);
    let mut faults = places.syntax_faults();
    if !faults.is_empty() {
        return Err(faults);
    }
    faults.extend(places.unknown_settings());
    let mut reader = Reader {
        places: &places,
        faults,
        names: BTreeSet::new(),
        currency: None,
    };
    let config = match toml::from_str::<file::File>(text) {
        Ok(settings) => Some(reader.config(settings)),
        Err(error) => {
            reader.faults.push(places.fault_of(&error));
            None
        }
    };
    let mut faults = reader.faults;
    faults.sort();
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        Some(_) | None => Err(faults),
    }
}

struct Reader<'p, 't> {
    places: &'p Places<'t>,
    faults: Vec<Fault>,
    names: BTreeSet<String>,
    /// The store's, for journals that name none.
    currency: Option<Currency>,
}

/// A backlog of less would be full after a busy hour.
const OUTBOX_BYTES_MAX_LEAST: u64 = 1024 * 1024;
/// No till has more disk to give.
const OUTBOX_BYTES_MAX_MOST: u64 = 1 << 40;

/// Where a setting stands: table, which of several, name.
#[derive(Clone, Copy)]
struct At(&'static str, Option<usize>, &'static str);

impl Reader<'_, '_> {
    fn config(&mut self, settings: file::File) -> Config {
        let default = Config::default();
        let listen = At("api", None, "listen");
        self.currency = settings
            .store
            .currency
            .and_then(|text| self.word(Currency::parse(&text), At("store", None, "currency")));
        Config {
            data_dir: settings.data_dir.map_or(default.data_dir, PathBuf::from),
            api: ApiConfig {
                listen: settings
                    .api
                    .listen
                    .and_then(|text| self.address(&text, listen))
                    .unwrap_or(default.api.listen),
            },
            cards: self.cards(settings.cards),
            store: StoreConfig {
                currency: self.currency,
            },
            pos: PosConfig {
                store: settings
                    .pos
                    .store
                    .and_then(|text| self.word(text.parse(), At("pos", None, "store"))),
                workstation: settings
                    .pos
                    .workstation
                    .and_then(|text| self.word(text.parse(), At("pos", None, "workstation"))),
            },
            till: self.till(&settings.till),
            outbox: self.outbox(&settings.outbox),
            uplink: self.uplink(&settings.uplink),
            scanners: self.each("scanner", settings.scanner, Self::scanner),
            nfc: self.each("nfc", settings.nfc, Self::nfc),
            receipt_taps: self.each("receipt_tap", settings.receipt_tap, Self::receipt_tap),
            journals: self.each("journal", settings.journal, Self::journal),
        }
    }

    fn cards(&mut self, cards: file::Cards) -> CardsConfig {
        if let Err(error) = CardRules::new(cards.member_prefixes.iter().cloned()) {
            self.fault(At("cards", None, "member_prefixes"), error.to_string());
        }
        CardsConfig {
            member_prefixes: cards.member_prefixes,
        }
    }

    fn till(&mut self, till: &file::Till) -> TillConfig {
        let default = TillConfig::default();
        let mut seconds = |value: Option<i64>, name, most, default: Duration| {
            self.number(value, At("till", None, name), 0, most, default.as_secs())
                .map_or(default, Duration::from_secs)
        };
        TillConfig {
            card_before_sale: seconds(
                till.card_before_sale_s,
                "card_before_sale_s",
                3_600,
                default.card_before_sale,
            ),
            card_after_sale: seconds(
                till.card_after_sale_s,
                "card_after_sale_s",
                600,
                default.card_after_sale,
            ),
            code_beside_card: seconds(
                till.code_beside_card_s,
                "code_beside_card_s",
                3_600,
                default.code_beside_card,
            ),
        }
    }

    fn outbox(&mut self, outbox: &file::Outbox) -> OutboxSettings {
        let default = OutboxSettings::default();
        let mut number = |value: Option<i64>, name, least, most, default: u64| {
            self.number(value, At("outbox", None, name), least, most, default)
                .unwrap_or(default)
        };
        let percent = u64::from(default.disk_percent_max);
        let percent = number(outbox.disk_percent_max, "disk_percent_max", 1, 100, percent);
        OutboxSettings {
            bytes_max: number(
                outbox.bytes_max,
                "bytes_max",
                OUTBOX_BYTES_MAX_LEAST,
                OUTBOX_BYTES_MAX_MOST,
                default.bytes_max,
            ),
            disk_percent_max: u8::try_from(percent).unwrap_or(default.disk_percent_max),
        }
    }

    fn uplink(&mut self, uplink: &file::Uplink) -> UplinkSettings {
        let default = UplinkSettings::default();
        let mut number = |value: Option<i64>, name, least, most, default: u64| {
            self.number(value, At("uplink", None, name), least, most, default)
                .unwrap_or(default)
        };
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let events_max = BATCH_EVENTS_MAX as u64;
        let batch = number(
            uplink.batch_events_max,
            "batch_events_max",
            1,
            events_max,
            default.batch_events_max as u64,
        );
        let base = number(
            uplink.backoff_base_ms,
            "backoff_base_ms",
            10,
            60_000,
            ms(default.backoff.base),
        );
        let cap = number(
            uplink.backoff_cap_ms,
            "backoff_cap_ms",
            100,
            3_600_000,
            ms(default.backoff.cap),
        );
        let poll_max_s = u64::from(WAIT_MS_MAX) / 1_000;
        let poll_wait_s = number(
            uplink.poll_wait_s,
            "poll_wait_s",
            1,
            poll_max_s,
            default.poll_wait.as_secs(),
        );
        let answer_timeout_s = number(
            uplink.answer_timeout_s,
            "answer_timeout_s",
            1,
            300,
            default.answer_timeout.as_secs(),
        );
        let refused_retry_s = number(
            uplink.refused_retry_s,
            "refused_retry_s",
            1,
            86_400,
            default.refused_retry.as_secs(),
        );
        let linger_ms = number(uplink.linger_ms, "linger_ms", 0, 1_000, ms(default.linger));
        UplinkSettings {
            batch_events_max: usize::try_from(batch).unwrap_or(BATCH_EVENTS_MAX),
            linger: Duration::from_millis(linger_ms),
            poll_wait: Duration::from_secs(poll_wait_s),
            answer_timeout: Duration::from_secs(answer_timeout_s),
            refused_retry: Duration::from_secs(refused_retry_s),
            backoff: BackoffConfig {
                base: Duration::from_millis(base),
                cap: Duration::from_millis(cap),
            },
        }
    }

    fn each<F, T>(
        &mut self,
        table: &'static str,
        found: Vec<F>,
        read: impl Fn(&mut Self, usize, F) -> Option<T>,
    ) -> Vec<T> {
        if found.len() > DEVICES_MAX {
            self.fault(
                At(table, Some(DEVICES_MAX), "name"),
                format!(
                    "there are {} of [[{table}]]; at most {DEVICES_MAX} work",
                    found.len()
                ),
            );
        }
        found
            .into_iter()
            .enumerate()
            .filter_map(|(n, one)| read(self, n, one))
            .collect()
    }

    fn device_name(&mut self, name: Option<String>, at: At) -> Option<String> {
        let name = self.needed(name, at, "a name of its own")?;
        if name.len() > DEVICE_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let most = DEVICE_NAME_BYTES_MAX;
            self.fault(
                at,
                format!("the name {name:?} cannot be used: write at most {most} bytes"),
            );
            return None;
        }
        if name == "api" || !self.names.insert(name.clone()) {
            self.fault(
                at,
                format!("the name {name:?} is taken: every scanner, reader, tap and journal needs its own"),
            );
            return None;
        }
        Some(name)
    }

    fn needed(&mut self, value: Option<String>, at: At, what: &str) -> Option<String> {
        let value = value.filter(|text| !text.trim().is_empty());
        if value.is_none() {
            self.fault(at, format!("[[{}]] needs {:?}: {what}", at.0, at.2));
        }
        value
    }

    fn address(&mut self, text: &str, at: At) -> Option<SocketAddr> {
        let address = text.parse();
        if address.is_err() {
            self.fault(
                at,
                format!("address {text:?} cannot be used: write IP:PORT, as in \"127.0.0.1:9100\""),
            );
        }
        address.ok()
    }

    fn word<T, E: std::fmt::Display>(&mut self, read: Result<T, E>, at: At) -> Option<T> {
        read.map_err(|error| self.fault(at, error.to_string())).ok()
    }

    fn choice<T: Copy>(
        &mut self,
        text: Option<String>,
        at: At,
        default: Option<&str>,
        words: &[(&str, T)],
    ) -> Option<T> {
        let known = || {
            words
                .iter()
                .map(|(word, _)| *word)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let Some(text) = text.as_deref().or(default) else {
            self.fault(
                at,
                format!("[[{}]] needs {:?}: one of {}", at.0, at.2, known()),
            );
            return None;
        };
        let found = words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            self.fault(
                at,
                format!(
                    "{} {text:?} is not known to this version: write one of {}",
                    at.2,
                    known()
                ),
            );
        }
        found
    }

    fn number(
        &mut self,
        value: Option<i64>,
        at: At,
        least: u64,
        most: u64,
        default: u64,
    ) -> Option<u64> {
        let value = value?;
        let fits = u64::try_from(value)
            .ok()
            .filter(|n| (least..=most).contains(n));
        if fits.is_none() {
            self.fault(
                at,
                format!(
                    "{} = {value} cannot be used: write {least} to {most} (default {default})",
                    at.2
                ),
            );
        }
        fits
    }

    fn fault(&mut self, At(table, index, setting): At, message: String) {
        self.faults.push(Fault {
            line: self.places.line_of(table, index, setting),
            message,
        });
    }
}
