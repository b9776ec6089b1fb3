//! A network printer: keeps every byte that it was sent and answers status requests.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::clock::wait_for;

/// What a ready Epson printer answers to `DLE EOT n`, paper and cover in order.
const STATUS_READY: u8 = 0x12;

/// A printer on a port of its own.
#[derive(Debug)]
pub struct Printer {
    address: SocketAddr,
    paper: Arc<Mutex<Vec<u8>>>,
}

impl Printer {
    /// Switches a printer on.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn switch_on() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        let address = listener.local_addr()?;
        let paper = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&paper);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || print(stream, &shared));
            }
        });
        Ok(Self { address, paper })
    }

    /// Returns its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns all that came so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.paper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns all that came so far and forgets it.
    pub fn tear_off(&self) -> Vec<u8> {
        std::mem::take(&mut *self.paper.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until at least `count` bytes have come since the paper was torn off.
    ///
    /// # Errors
    /// When they have not after `within`.
    pub fn wait_for_bytes(&self, count: usize, within: Duration) -> Result<Vec<u8>> {
        wait_for(&format!("{count} bytes on paper"), within, || {
            let bytes = self.bytes();
            Ok((bytes.len() >= count).then_some(bytes))
        })
    }
}

fn print(mut stream: TcpStream, paper: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    // The last two bytes, since a status request may come in pieces.
    let mut last = [0, 0];
    while let Ok(count) = stream.read(&mut buffer) {
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return;
        }
        paper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        for &byte in bytes {
            if last == [0x10, 0x04] && stream.write_all(&[STATUS_READY]).is_err() {
                return;
            }
            last = [last[1], byte];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_request_is_answered_though_it_comes_in_pieces() {
        let printer = Printer::switch_on().unwrap();
        let mut till = TcpStream::connect(printer.address()).unwrap();
        for byte in [0x10, 0x04, 0x01] {
            till.write_all(&[byte]).unwrap();
        }
        let mut answer = [0];
        till.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [STATUS_READY]);
        till.write_all(b"milk\n").unwrap();
        let paper = printer.wait_for_bytes(8, Duration::from_secs(5)).unwrap();
        assert_eq!(paper, b"\x10\x04\x01milk\n");
        assert_eq!(printer.tear_off().len(), 8);
        assert!(printer.bytes().is_empty());
    }
}
