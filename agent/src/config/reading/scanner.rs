//! The settings of `[[scanner]]`.

use std::time::Duration;

use tillbind_firmware_bridge::scanner::line::Suffixes;
use tillbind_firmware_bridge::scanner::{Framing, Layout, LineConfig};
use tillbind_firmware_bridge::transport::serial::IDLE_GAP_MAX;

use super::super::{ScannerConfig, file};
use super::{At, Reader};

/// Speeds that serial scanners are sold with.
const BAUD_RATES: [u32; 9] = [
    1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400,
];

/// A silence of less may fall between two characters of one scan.
const IDLE_GAP_MS_LEAST: u64 = 10;
/// A repeat that comes later is a scan on purpose in any shop.
const REPEAT_WINDOW_MS_MOST: u64 = 10_000;
/// No scanner puts more in front of a scan.
const PREFIX_BYTES_MAX: usize = 16;

/// What the setting `suffix` may say.
const SUFFIXES: [(&str, Suffixes); 6] = [
    ("any", suffixes(true, true, true)),
    ("cr", suffixes(true, false, false)),
    ("lf", suffixes(false, true, false)),
    // The empty frame between the two vanishes.
    ("crlf", suffixes(true, true, false)),
    ("tab", suffixes(false, false, true)),
    ("none", suffixes(false, false, false)),
];

const fn suffixes(cr: bool, lf: bool, tab: bool) -> Suffixes {
    Suffixes { cr, lf, tab }
}

impl Reader<'_, '_> {
    pub(super) fn scanner(&mut self, n: usize, scanner: file::Scanner) -> Option<ScannerConfig> {
        let at = |name| At("scanner", Some(n), name);
        let name = self.device_name(scanner.name.clone(), at("name"));
        let port = self.needed(
            scanner.port.clone(),
            at("port"),
            "the scanner's device file",
        );
        let baud = self.baud(scanner.baud, at("baud"));
        let words = Framing::ALL.map(|framing| (framing.as_str(), framing));
        let default = Framing::default().as_str();
        let framing = self.choice(
            scanner.framing.clone(),
            at("framing"),
            Some(default),
            &words,
        )?;
        self.refuse_settings_of_others(framing, &scanner, &at);
        let line = self.line(&scanner, &at);
        let layouts = Layout::ALL.map(|layout| (layout.as_str(), layout));
        let layout = self.choice(
            scanner.layout.clone(),
            at("layout"),
            Some(Layout::default().as_str()),
            &layouts,
        );
        let mut read = ScannerConfig::new(&name?, &port?, framing);
        read.idle_gap = self.milliseconds(
            scanner.idle_gap_ms,
            at("idle_gap_ms"),
            IDLE_GAP_MS_LEAST..=ms(IDLE_GAP_MAX),
            read.idle_gap,
        );
        read.repeat_window = self.milliseconds(
            scanner.repeat_window_ms,
            at("repeat_window_ms"),
            0..=REPEAT_WINDOW_MS_MOST,
            read.repeat_window,
        );
        Some(ScannerConfig {
            baud: baud?,
            line: line?,
            layout: layout?,
            ..read
        })
    }

    pub(super) fn baud(&mut self, baud: Option<i64>, at: At) -> Option<u32> {
        let Some(baud) = baud else {
            return Some(9_600);
        };
        let known = u32::try_from(baud)
            .ok()
            .filter(|baud| BAUD_RATES.contains(baud));
        if known.is_none() {
            let rates = BAUD_RATES.map(|rate| rate.to_string()).join(", ");
            self.fault(
                at,
                format!("baud {baud} cannot be used: write one of {rates}"),
            );
        }
        known
    }

    fn line(
        &mut self,
        scanner: &file::Scanner,
        at: &impl Fn(&'static str) -> At,
    ) -> Option<LineConfig> {
        let default = LineConfig::default();
        let suffixes = self.choice(scanner.suffix.clone(), at("suffix"), Some("any"), &SUFFIXES);
        let prefix = scanner.prefix.clone().unwrap_or_default().into_bytes();
        let is_cut_off = prefix
            .iter()
            .any(|byte| matches!(byte, 0 | b'\t' | b'\n' | b'\r'));
        if prefix.len() > PREFIX_BYTES_MAX || is_cut_off {
            self.fault(
                at("prefix"),
                format!(
                    "this prefix cannot be used: write at most {PREFIX_BYTES_MAX} bytes without NUL, \
                     TAB and line ends, which end a scan"
                ),
            );
            return None;
        }
        Some(LineConfig {
            suffixes: suffixes?,
            stx_etx: scanner.stx_etx.unwrap_or(default.stx_etx),
            prefix,
            code_id: scanner.code_id.unwrap_or(default.code_id),
        })
    }

    /// A setting that the framing does not read would be ignored in silence.
    fn refuse_settings_of_others(
        &mut self,
        framing: Framing,
        scanner: &file::Scanner,
        at: &impl Fn(&'static str) -> At,
    ) {
        const SERIAL: &[Framing] = &[Framing::Line, Framing::Ssi, Framing::Honeywell];
        const TEXT: &[Framing] = &[Framing::Line, Framing::Keyboard];
        let goes_with = [
            ("baud", scanner.baud.is_some(), SERIAL),
            ("suffix", scanner.suffix.is_some(), TEXT),
            ("prefix", scanner.prefix.is_some(), TEXT),
            ("code_id", scanner.code_id.is_some(), TEXT),
            ("stx_etx", scanner.stx_etx.is_some(), &[Framing::Line]),
            ("layout", scanner.layout.is_some(), &[Framing::Keyboard]),
        ];
        for (setting, is_set, framings) in goes_with {
            if !is_set || framings.contains(&framing) {
                continue;
            }
            let names: Vec<String> = framings
                .iter()
                .map(|framing| format!("{:?}", framing.as_str()))
                .collect();
            self.fault(
                at(setting),
                format!(
                    "{setting} means nothing with framing = {:?}: take it out, or write framing = {}",
                    framing.as_str(),
                    names.join(" or ")
                ),
            );
        }
    }

    fn milliseconds(
        &mut self,
        value: Option<i64>,
        at: At,
        range: std::ops::RangeInclusive<u64>,
        default: Duration,
    ) -> Duration {
        self.number(value, at, *range.start(), *range.end(), ms(default))
            .map_or(default, Duration::from_millis)
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
