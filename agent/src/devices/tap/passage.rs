//! The way of a POS's bytes to its printer: on at once, then to the parser; with a footer, a cut waits.
//!
//! Without a footer bytes pass before anybody looks at them. With one, they are read in passing for cuts,
//! and everything but a cut goes on at once still. A cut is held until the sale before it is durable at the
//! terminal and the owner of the state has said whether it may be claimed, but never longer than the
//! tap's `footer_hold_ms`: then it goes on as it came. Of a command that may become a cut, the few bytes
//! that are there are held for [`PART_HELD`] at most.
//!
//! If reading fails, bytes pass unread from then on: the paper comes first.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tillbind_firmware_bridge::receipt::{CutFinder, Dialect, Encoding, Footer, FoundCut};
use tillbind_protocol::claim::ClaimCode;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::copy::CopySource;
use super::parser::IDLE_GAP;
use crate::config::{FooterConfig, FooterSymbol};
use crate::devices::status::Lamp;

/// How long the beginning of what may be a cut is held for its rest. A POS that thinks in mid-command for
/// longer prints without a footer.
const PART_HELD: Duration = Duration::from_millis(100);

/// The way of one connection's bytes.
pub(super) struct Passage {
    copy: CopySource,
    lamp: Lamp,
    gate: Option<Gate>,
}

/// Where cuts wait.
struct Gate {
    config: FooterConfig,
    finder: CutFinder,
    /// Bytes that may be the beginning of a cut.
    held: Vec<u8>,
    /// Bytes that went on so far.
    passed: u64,
    /// Nothing came since the finder was told of a silence.
    is_idle: bool,
}

/// What comes from the POS.
#[derive(Clone, Copy)]
enum Heard<'b> {
    Bytes(&'b [u8]),
    /// Nothing for [`PART_HELD`].
    Pause,
    /// Nothing for [`IDLE_GAP`].
    Silence,
    End,
}

impl Passage {
    /// Begins a way. Cuts are looked for where a footer is set; `dialect` and `encoding` say how to read.
    pub(super) fn new(
        copy: CopySource,
        lamp: Lamp,
        footer: Option<FooterConfig>,
        dialect: Dialect,
        encoding: Encoding,
    ) -> Self {
        let gate = footer.map(|config| Gate {
            config,
            finder: CutFinder::new(dialect, encoding),
            held: Vec::new(),
            passed: 0,
            is_idle: true,
        });
        Self { copy, lamp, gate }
    }

    /// Passes bytes on, but for what may be the beginning of a cut.
    pub(super) async fn pass(
        &mut self,
        bytes: &[u8],
        paper: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        self.lamp.count(|counts| counts.bytes += bytes.len() as u64);
        if self.gate.is_some() {
            return self.advance(Heard::Bytes(bytes), paper).await;
        }
        paper.write_all(bytes).await?;
        self.copy.offer(bytes);
        Ok(())
    }

    /// Ends once the POS has been silent for so long that [`Passage::handle_quiet`] has something to do.
    pub(super) async fn quiet(&self) {
        match &self.gate {
            Some(gate) if !gate.held.is_empty() => sleep(PART_HELD).await,
            Some(gate) if !gate.is_idle => sleep(IDLE_GAP).await,
            Some(_) | None => std::future::pending().await,
        }
    }

    /// Passes on what is held; after a longer silence a receipt has ended without a cut.
    pub(super) async fn handle_quiet(
        &mut self,
        paper: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let heard = match &self.gate {
            Some(gate) if gate.held.is_empty() => Heard::Silence,
            Some(_) | None => Heard::Pause,
        };
        self.advance(heard, paper).await
    }

    /// Passes on what is held since the POS has ended.
    pub(super) async fn release(
        &mut self,
        paper: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        self.advance(Heard::End, paper).await
    }

    /// Passes on what is settled by what was heard.
    async fn advance(
        &mut self,
        heard: Heard<'_>,
        paper: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let Some(gate) = &mut self.gate else {
            return Ok(());
        };
        let begin = gate.passed;
        let mut waiting = std::mem::take(&mut gate.held);
        if let Heard::Bytes(bytes) = heard {
            waiting.extend_from_slice(bytes);
        }
        let Some((cuts, settled)) = gate.read(heard) else {
            self.lamp.note_error(
                "cuts can no longer be found (report this): receipts are printed without footer"
                    .to_owned(),
            );
            self.gate = None;
            paper.write_all(&waiting).await?;
            self.copy.offer(&waiting);
            return Ok(());
        };
        let place = |position: u64| place(position, begin, waiting.len());
        let mut from = 0;
        for cut in cuts {
            let (cut_from, cut_to) = (place(cut.begins_at), place(cut.ends_at));
            if cut_from < from || cut_to <= cut_from {
                // Known too late: it has gone on.
                continue;
            }
            let before = waiting.get(from..cut_from).unwrap_or_default();
            paper.write_all(before).await?;
            self.copy.offer(before);
            let command = waiting.get(cut_from..cut_to).unwrap_or_default();
            self.cut(&cut, command, paper).await?;
            from = cut_to;
        }
        let to = place(settled).max(from);
        let rest = waiting.get(from..to).unwrap_or_default();
        paper.write_all(rest).await?;
        self.copy.offer(rest);
        if let Some(gate) = &mut self.gate {
            gate.passed = begin + to as u64;
            gate.held = waiting.split_off(to);
        }
        Ok(())
    }

    /// Waits until the parser has taken all that has passed.
    pub(super) async fn drained(&self) {
        self.copy.drained().await;
    }

    /// Passes a cut on, behind a footer if there is one in time.
    async fn cut(
        &mut self,
        cut: &FoundCut,
        command: &[u8],
        paper: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let Some(gate) = &self.gate else {
            return paper.write_all(command).await;
        };
        let answer = if cut.takes_footer() {
            self.copy.ask(command)
        } else {
            self.copy.offer(command);
            None
        };
        let footer = match answer {
            None => None,
            Some(answer) => match timeout(gate.config.hold, answer).await {
                Ok(Ok(code)) => cut.footer(&footer(&gate.config, &code)),
                // There is nothing to claim.
                Ok(Err(_)) => None,
                Err(_) => {
                    self.lamp.count(|counts| counts.footers_late += 1);
                    None
                }
            },
        };
        if let Some(footer) = footer {
            paper.write_all(&footer).await?;
            self.lamp.count(|counts| counts.footers += 1);
        }
        paper.write_all(command).await
    }
}

impl Gate {
    /// Reads what was heard; returns the cuts in it and up to where all is known. Nothing if that failed.
    fn read(&mut self, heard: Heard<'_>) -> Option<(Vec<FoundCut>, u64)> {
        self.is_idle = match heard {
            Heard::Bytes(_) | Heard::Pause => false,
            Heard::Silence | Heard::End => true,
        };
        let finder = &mut self.finder;
        // What is half read is never used again.
        let read = catch_unwind(AssertUnwindSafe(|| {
            let cuts = match heard {
                Heard::Bytes(bytes) => finder.feed(bytes),
                Heard::Pause => finder.handle_pause(),
                Heard::Silence => finder.handle_idle(),
                Heard::End => finder.finish(),
            };
            (cuts, finder.settled())
        }));
        read.ok()
    }
}

/// Where a position of the stream stands in what waits since `begin`.
fn place(position: u64, begin: u64, length: usize) -> usize {
    usize::try_from(position.saturating_sub(begin)).map_or(length, |place| place.min(length))
}

fn footer(config: &FooterConfig, code: &ClaimCode) -> Footer {
    let filled = |text: &str, code: &str| text.replace(FooterConfig::CODE, code);
    Footer {
        lines: filled(&config.text, &code.to_string())
            .lines()
            .map(str::to_owned)
            .collect(),
        content: match &config.symbol {
            FooterSymbol::Link(link) => Some(filled(link, &code.to_string())),
            FooterSymbol::Code => Some(code.content()),
            FooterSymbol::Absent => None,
        },
    }
}
