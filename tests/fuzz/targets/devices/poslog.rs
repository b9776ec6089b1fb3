//! A POSLog file. Oracles: the same items whatever a read returns at once; the reader ends; a sale's sums
//! hold unless it is void; a file that is read past its pieces ends too, and is read on from each place
//! that it names without telling anything before it again; what is told of a fault is bounded.
#![no_main]

use std::error::Error;
use std::io::{BufReader, Read};
use std::iter;

use libfuzzer_sys::fuzz_target;
use tillbind_firmware_bridge::poslog::{Place, PosLogFile, PosLogItem, PosLogReader};
use tillbind_firmware_bridge::sale::SaleKind;
use tillbind_fuzz::{REASON_BYTES_MAX, in_pieces};

fuzz_target!(|data: &[u8]| {
    let whole = items(data);
    let mut pieces = Vec::new();
    in_pieces(data, |piece| pieces.push(piece.to_vec()));
    pieces.reverse();
    let again = items(BufReader::with_capacity(97, Pieces(pieces)));
    assert_eq!(whole, again);
    for ended in [false, true] {
        see_places(data, ended);
    }
});

fn see_places(data: &[u8], ended: bool) {
    let len = data.len() as u64;
    let mut file = PosLogFile::new(data, len, Place::default(), ended);
    let (mut items, mut before) = (0, 0);
    while let Some(item) = file.next() {
        items += 1;
        assert!(items < 100_000, "the file does not end");
        match item {
            Ok(_) => {
                let Some(place) = file.place() else {
                    continue;
                };
                assert!(
                    place.offset > before && place.offset <= len,
                    "a place goes back"
                );
                before = place.offset;
            }
            Err(fault) => {
                if let Some(piece) = fault.piece() {
                    assert!(piece.start <= piece.end && piece.end <= len);
                }
                let error = file.tell(fault).expect("a slice can be read");
                let causes = iter::successors(error.source(), |cause| (*cause).source());
                let told =
                    error.to_string().len() + causes.map(|c| c.to_string().len()).sum::<usize>();
                assert!(told < REASON_BYTES_MAX);
            }
        }
    }
}

fn items(reader: impl std::io::BufRead) -> Vec<String> {
    let mut told = Vec::new();
    for item in PosLogReader::new(reader) {
        if let Ok(PosLogItem::Sale(sale)) = &item
            && sale.kind != SaleKind::Void
        {
            assert_eq!(sale.reconcile(), Ok(()));
        }
        let fatal = item.as_ref().is_err_and(|error| error.is_fatal());
        told.push(format!("{item:?}"));
        assert!(told.len() < 100_000, "the reader does not end");
        if fatal {
            break;
        }
    }
    told
}

struct Pieces(Vec<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(piece) = self.0.last_mut() else {
            return Ok(0);
        };
        let count = piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&piece[..count]);
        piece.drain(..count);
        if piece.is_empty() {
            self.0.pop();
        }
        Ok(count)
    }
}
