//! The machine's end of the port.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};

use anyhow::{Context, Result, ensure};

use crate::powercut::words::{Order, Word};

/// Where the kernel puts it, by the order in which it finds its buses.
const DEVICES: [&str; 4] = [
    "/dev/vport0p1",
    "/dev/vport1p1",
    "/dev/vport2p1",
    "/dev/vport3p1",
];
const HELD_BACK_BYTES_MAX: usize = 16 * 1024;

/// The port to the outside.
#[derive(Debug)]
pub(super) struct Port {
    reader: BufReader<File>,
    writer: File,
    /// Words that nobody waits for yet.
    held_back: Vec<u8>,
}

impl Port {
    pub(super) fn open() -> Result<Self> {
        let path = crate::clock::wait_for("the port", std::time::Duration::from_secs(20), || {
            Ok(DEVICES
                .iter()
                .find(|path| std::path::Path::new(path).exists()))
        })?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .with_context(|| format!("cannot open {path}"))?;
        Ok(Self {
            reader: BufReader::new(file.try_clone()?),
            writer: file,
            held_back: Vec::new(),
        })
    }

    pub(super) fn order(&mut self) -> Result<Order> {
        let mut line = String::new();
        let bytes = self.reader.read_line(&mut line)?;
        ensure!(bytes > 0, "the rig is gone");
        serde_json::from_str(&line).with_context(|| format!("no order: {line}"))
    }

    /// Says a word at once, and waits until it was heard if it is such a word.
    pub(super) fn say(&mut self, word: Word) -> Result<()> {
        let waits = word.waits();
        self.mention(word)?;
        self.flush()?;
        if waits {
            let answer = self.order()?;
            ensure!(answer == Order::Heard, "{answer:?} came too early");
        }
        Ok(())
    }

    /// Says a word together with the next one that is said at once.
    pub(super) fn mention(&mut self, word: Word) -> Result<()> {
        serde_json::to_writer(&mut self.held_back, &word)?;
        self.held_back.push(b'\n');
        if self.held_back.len() > HELD_BACK_BYTES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    /// Says what was mentioned.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.writer.write_all(&self.held_back)?;
        self.held_back.clear();
        Ok(())
    }
}
