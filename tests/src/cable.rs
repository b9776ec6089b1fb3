//! A null-modem cable: two pseudo-terminals, what is written into one comes out of the other.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::pseudo_terminal::PseudoTerminal;

const PAUSE: Duration = Duration::from_millis(1);

/// The cable; pulled when dropped.
#[derive(Debug)]
pub struct Cable {
    ends: [PathBuf; 2],
    pulled: Arc<AtomicBool>,
    /// Keep the ports alive between two opens, as drivers do.
    _ports: [File; 2],
}

impl Cable {
    /// Lays a cable.
    ///
    /// # Errors
    /// When the system gives no pseudo-terminals.
    pub fn lay() -> Result<Self> {
        let (one, other) = (PseudoTerminal::open()?, PseudoTerminal::open()?);
        let pulled = Arc::new(AtomicBool::new(false));
        for (from, to) in [(&one, &other), (&other, &one)] {
            fcntl_setfl(&from.device, fcntl_getfl(&from.device)? | OFlags::NONBLOCK)?;
            let (from, to) = (from.device.try_clone()?, to.device.try_clone()?);
            let pulled = Arc::clone(&pulled);
            thread::spawn(move || carry(from, to, &pulled));
        }
        Ok(Self {
            ends: [one.path, other.path],
            pulled,
            _ports: [one.port, other.port],
        })
    }

    /// Returns the end that the POS prints to.
    pub fn pos(&self) -> &Path {
        &self.ends[0]
    }

    /// Returns the end that the tap listens on.
    pub fn tap(&self) -> &Path {
        &self.ends[1]
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.pulled.store(true, Ordering::Relaxed);
    }
}

fn carry(mut from: File, mut to: File, pulled: &AtomicBool) {
    let mut buffer = [0; 1024];
    while !pulled.load(Ordering::Relaxed) {
        let mut rest = match from.read(&mut buffer) {
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(PAUSE);
                continue;
            }
            Err(_) => return,
        };
        while !rest.is_empty() && !pulled.load(Ordering::Relaxed) {
            match to.write(rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn what_is_written_into_one_end_comes_out_of_the_other() {
        let cable = Cable::lay().unwrap();
        let open = |path: &Path| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap()
        };
        let (mut pos, mut tap) = (open(cable.pos()), open(cable.tap()));
        let every_byte: Vec<u8> = (0..=255).collect();
        pos.write_all(&every_byte).unwrap();
        let mut bytes = vec![0; 256];
        tap.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, every_byte);
        tap.write_all(b"back").unwrap();
        let mut bytes = [0; 4];
        pos.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"back");
    }
}
