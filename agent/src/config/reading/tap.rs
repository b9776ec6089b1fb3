//! The settings of `[[receipt_tap]]`.

use std::path::PathBuf;
use std::time::Duration;

use super::super::{
    DialectSetting, FlowControl, FooterConfig, PosSide, PrinterTarget, ReceiptTapConfig, file,
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
            Some(text) => Some(self.footer(text, tap.footer_link, hold, &at)?),
            None => {
                if tap.footer_link.is_some() || tap.footer_hold_ms.is_some() {
                    let message = "goes with footer alone: set footer, or take this out";
                    let name = if tap.footer_link.is_some() {
                        "footer_link"
                    } else {
                        "footer_hold_ms"
                    };
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
        link: Option<String>,
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
        let is_link = |link: &String| {
            link.matches(code).count() == 1
                && link.len() <= FOOTER_BYTES_MAX
                && link.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let bad_link = link.as_ref().filter(|link| !is_link(link));
        if let Some(link) = bad_link {
            let message = format!(
                "footer_link {link:?} cannot be used: write an address of at most \
                 {FOOTER_BYTES_MAX} ASCII characters with {code} once where the claim code goes, \
                 as in \"https://shop.example/claim/{code}\""
            );
            self.fault(at("footer_link"), message);
        }
        (is_usable && bad_link.is_none()).then(|| FooterConfig {
            text,
            link,
            hold: Duration::from_millis(hold.unwrap_or(FOOTER_HOLD_MS)),
        })
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
