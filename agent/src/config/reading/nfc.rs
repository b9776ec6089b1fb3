//! The settings of `[[nfc]]`.

use std::path::PathBuf;

use super::super::{NfcConfig, NfcReader, file};
use super::{At, Reader};

/// What `port` says for the readers of the PC/SC service.
const PCSC: &str = "pcsc";
/// The speed that a PN532 has by itself (NXP UM0701-02, 6.2.4).
const BAUD: i64 = 115_200;

impl Reader<'_, '_> {
    pub(super) fn nfc(&mut self, n: usize, nfc: file::Nfc) -> Option<NfcConfig> {
        let at = |name| At("nfc", Some(n), name);
        let name = self.device_name(nfc.name, at("name"));
        let port = self.needed(
            nfc.port,
            at("port"),
            "the reader's device file, or \"pcsc\"",
        )?;
        let is_pcsc = port == PCSC;
        if is_pcsc && nfc.baud.is_some() {
            let message = "baud goes with a serial port alone: take it out";
            self.fault(at("baud"), message.to_owned());
        }
        if !is_pcsc && nfc.reader.is_some() {
            let message = "reader goes with port = \"pcsc\" alone: take it out, or the port";
            self.fault(at("reader"), message.to_owned());
        }
        let part = nfc.reader.map(|part| part.trim().to_owned());
        if part.as_deref().is_some_and(|part| part.starts_with('-')) {
            let message = "write a part of the reader's name as pcsc_scan shows it";
            self.fault(at("reader"), message.to_owned());
        }
        let reader = if is_pcsc {
            NfcReader::Pcsc {
                part: part.filter(|part| !part.is_empty()),
            }
        } else {
            let baud = self.baud(Some(nfc.baud.unwrap_or(BAUD)), at("baud"));
            NfcReader::Serial {
                port: PathBuf::from(port),
                baud: baud?,
            }
        };
        Some(NfcConfig {
            name: name?,
            reader,
        })
    }
}
