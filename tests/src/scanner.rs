//! A serial scanner: a pseudo-terminal behind a link that stays the same over a replug, as
//! `/dev/serial/by-id/…` does.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::pseudo_terminal::PseudoTerminal;

/// A scanner, plugged in or not.
#[derive(Debug)]
pub struct Scanner {
    link: PathBuf,
    cable: Option<PseudoTerminal>,
}

impl Scanner {
    /// Makes a scanner that will be found at `link`, and plugs it in.
    ///
    /// # Errors
    /// When the system gives no pseudo-terminal.
    pub fn plug_in(link: &Path) -> Result<Self> {
        let mut scanner = Self {
            link: link.to_owned(),
            cable: None,
        };
        scanner.replug()?;
        Ok(scanner)
    }

    /// Returns the path that the agent is told.
    pub fn path(&self) -> &Path {
        &self.link
    }

    /// Pulls the cable.
    ///
    /// # Errors
    /// When the link cannot be removed.
    pub fn unplug(&mut self) -> Result<()> {
        fs::remove_file(&self.link).context("the scanner's link cannot be removed")?;
        self.cable = None;
        Ok(())
    }

    /// Plugs the cable in again, into another port behind the same link.
    ///
    /// # Errors
    /// When the system gives no pseudo-terminal.
    pub fn replug(&mut self) -> Result<()> {
        let line = PseudoTerminal::open()?;
        symlink(&line.path, &self.link).context("the scanner's link cannot be made")?;
        self.cable = Some(line);
        Ok(())
    }

    /// Sends the bytes of one scan as they are.
    ///
    /// # Errors
    /// When it is not plugged in.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let cable = self.cable.as_mut().context("the scanner is unplugged")?;
        cable.device.write_all(bytes)?;
        Ok(())
    }

    /// Sends the bytes of one scan in pieces.
    ///
    /// # Errors
    /// When it is not plugged in.
    pub fn send_in_pieces(&mut self, bytes: &[u8], piece: usize) -> Result<()> {
        for part in bytes.chunks(piece.max(1)) {
            self.send(part)?;
        }
        Ok(())
    }

    /// Scans a code, ended by CR.
    ///
    /// # Errors
    /// When it is not plugged in.
    pub fn scan(&mut self, code: &str) -> Result<()> {
        self.send(format!("{code}\r").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;

    #[test]
    fn a_scan_comes_out_of_the_port_as_it_is_and_a_pulled_cable_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut scanner = Scanner::plug_in(&dir.path().join("scanner")).unwrap();
        let mut port = File::open(scanner.path()).unwrap();
        scanner.send_in_pieces(b"\x02]C1\x1d29\r\n", 2).unwrap();
        let mut bytes = [0; 9];
        port.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"\x02]C1\x1d29\r\n");

        scanner.unplug().unwrap();
        assert_eq!(port.read(&mut bytes).unwrap_or(0), 0);
        assert!(scanner.scan("29").is_err());
        scanner.replug().unwrap();
        let mut port = File::open(scanner.path()).unwrap();
        scanner.scan("29").unwrap();
        let mut bytes = [0; 3];
        port.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"29\r");
    }
}
