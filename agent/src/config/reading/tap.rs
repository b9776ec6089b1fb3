//! The settings of `[[receipt_tap]]`.

use std::path::PathBuf;
use std::time::Duration;

use super::super::{
    DialectSetting, FlowControl, FooterConfig, FooterSymbol, PosSide, PrinterTarget,
    ReceiptTapConfig, file,
};
use super::{At, Reader};

/// How long a cut waits for its footer unless set, in milliseconds: a slow disk's sync, and more than the
/// eye notices.
const FOOTER_HOLD_MS: u64 = 150;
/// Less would print no footer on most disks.
const FOOTER_HOLD_MS_LEAST: u64 = 10;
/// More would be noticed by a cashier.
const FOOTER_HOLD_MS_MOST: u64 = 1_000;
/// Longest text or link of a footer, in bytes: a QR code that a till's printer prints is read by a phone.
const FOOTER_BYTES_MAX: usize = 200;
/// Most lines of a footer.
const FOOTER_LINES_MAX: usize = 6;

impl Reader<'_, '_> {
    pub(super) fn receipt_tap(
        &mut self,
        n: usize,
        tap: file::ReceiptTap,
    ) -> Option<ReceiptTapConfig> {
        let at = |name| At("receipt_tap", Some(n), name);
        let name = self.device_name(tap.name, at("name"));
        let pos = self.pos_side(tap.listen, tap.spool_dir, &at);
        let printer = self
            .needed(
                tap.printer,
                at("printer"),
                "the printer's address, its device, or \"none\"",
            )
            .and_then(|text| self.printer(text, at("printer")));
        let flow_control = self.choice(
            tap.flow_control,
            at("flow_control"),
            Some("none"),
            &[
                ("none", FlowControl::None),
                ("rts-cts", FlowControl::RtsCts),
            ],
        );
        let dialect = self.choice(
            tap.dialect,
            at("dialect"),
            Some("auto"),
            &[
                ("auto", DialectSetting::Auto),
                ("escpos", DialectSetting::Escpos),
                ("star", DialectSetting::Star),
            ],
        );
        // Whether it can be read is not asked here: a tap without its profile prints all the same.
        let profile = tap.profile.map(PathBuf::from);
        if let Some(dir) = tap.capture_dir.as_ref().filter(|dir| !dir.starts_with('/')) {
            let message = format!("capture_dir {dir:?} cannot be used: write a whole path");
            self.fault(at("capture_dir"), message);
        }
        let capture_dir = tap.capture_dir.map(PathBuf::from);
        let hold = self.number(
            tap.footer_hold_ms,
            at("footer_hold_ms"),
            FOOTER_HOLD_MS_LEAST,
            FOOTER_HOLD_MS_MOST,
            FOOTER_HOLD_MS,
        );
        let footer = match tap.footer {
            Some(text) => {
                let symbol = self.footer_symbol(tap.footer_link, tap.footer_qr, &at);
                self.footer(text, symbol, hold, &at)
            }
            None => {
                let its_own = [
                    ("footer_link", tap.footer_link.is_some()),
                    ("footer_qr", tap.footer_qr.is_some()),
                    ("footer_hold_ms", tap.footer_hold_ms.is_some()),
                ];
                if let Some((name, _)) = its_own.iter().find(|(_, is_set)| *is_set) {
                    let message = "goes with footer alone: set footer, or take this out";
                    self.fault(at(name), format!("{name} {message}"));
                }
                None
            }
        };
        if footer.is_some() && profile.is_none() {
            let message = "a footer needs a profile: without one no receipt is known to be a sale";
            self.fault(at("footer"), message.to_owned());
        }
        Some(ReceiptTapConfig {
            name: name?,
            pos: pos?,
            printer: printer?,
            flow_control: flow_control?,
            dialect: dialect?,
            profile,
            capture_dir,
            footer,
        })
    }

    fn footer(
        &mut self,
        text: String,
        symbol: Option<FooterSymbol>,
        hold: Option<u64>,
        at: &dyn Fn(&'static str) -> At,
    ) -> Option<FooterConfig> {
        let code = FooterConfig::CODE;
        let has_control = text.chars().any(|c| c.is_control() && c != '\n');
        let lines = text.lines().count();
        let is_usable = text.matches(code).count() == 1
            && !has_control
            && text.len() <= FOOTER_BYTES_MAX
            && lines <= FOOTER_LINES_MAX;
        if !is_usable {
            let message = format!(
                "footer {text:?} cannot be used: write at most {FOOTER_LINES_MAX} lines and \
                 {FOOTER_BYTES_MAX} bytes without control characters, with {code} once where the \
                 claim code goes"
            );
            self.fault(at("footer"), message);
        }
        is_usable.then_some(FooterConfig {
            text,
            symbol: symbol?,
            hold: Duration::from_millis(hold.unwrap_or(FOOTER_HOLD_MS)),
        })
    }

    fn footer_symbol(
        &mut self,
        link: Option<String>,
        has_qr: Option<bool>,
        at: &dyn Fn(&'static str) -> At,
    ) -> Option<FooterSymbol> {
        let code = FooterConfig::CODE;
        let is_link = |link: &String| {
            link.matches(code).count() == 1
                && link.len() <= FOOTER_BYTES_MAX
                && link.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let has_qr = has_qr.unwrap_or(true);
        match link {
            None if has_qr => Some(FooterSymbol::Code),
            None => Some(FooterSymbol::Absent),
            Some(_) if !has_qr => {
                let message = "footer_link is what a QR code holds, and footer_qr = false prints none: \
                               take one of them out";
                self.fault(at("footer_link"), message.to_owned());
                None
            }
            Some(link) if is_link(&link) => Some(FooterSymbol::Link(link)),
            Some(link) => {
                let message = format!(
                    "footer_link {link:?} cannot be used: write an address of at most \
                 {FOOTER_BYTES_MAX} ASCII characters with {code} once where the claim code goes, \
                 as in \"https://shop.example/claim/{code}\""
                );
                self.fault(at("footer_link"), message);
                None
            }
        }
    }

    fn pos_side(
        &mut self,
        listen: Option<String>,
        spool_dir: Option<String>,
        at: &dyn Fn(&'static str) -> At,
    ) -> Option<PosSide> {
        if let Some(dir) = spool_dir {
            if listen.is_some() {
                let message = "a tap has either \"listen\" or \"spool_dir\": make two taps of it";
                self.fault(at("spool_dir"), message.to_owned());
                return None;
            }
            if !dir.starts_with('/') {
                let message = format!("spool_dir {dir:?} cannot be used: write a whole path");
                self.fault(at("spool_dir"), message);
                return None;
            }
            return Some(PosSide::Spool(PathBuf::from(dir)));
        }
        let what = "the address that the POS prints to, or the serial port that leads to it";
        let text = self.needed(listen, at("listen"), what)?;
        if text.starts_with('/') {
            return Some(PosSide::Port(PathBuf::from(text)));
        }
        self.address(&text, at("listen")).map(PosSide::Network)
    }

    fn printer(&mut self, text: String, at: At) -> Option<PrinterTarget> {
        if text == "none" {
            return Some(PrinterTarget::Virtual);
        }
        if text.starts_with('/') {
            return Some(PrinterTarget::Device(PathBuf::from(text)));
        }
        let port = text
            .rsplit_once(':')
            .map(|(host, port)| (host.is_empty(), port.parse::<u16>()));
        match port {
            Some((false, Ok(1..))) => Some(PrinterTarget::Tcp(text)),
            Some(_) | None => {
                self.fault(
                    at,
                    format!(
                        "printer {text:?} cannot be used: write HOST:PORT as in \
                         \"192.168.1.50:9100\", a device as in \"/dev/usb/lp0\", or \"none\""
                    ),
                );
                None
            }
        }
    }
}
