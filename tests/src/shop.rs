//! A shop: one terminal with its scanner, its printer and its journal, and a book of what was
//! played on it.
//!
//! Each act waits until the terminal has made it durable, so that whoever kills the terminal
//! afterwards may count on it; printing alone is never waited for by a till.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use tillbind_firmware_bridge::scanner::dedup::REPEAT_WINDOW;

use crate::central::Central;
use crate::clock::{Stopwatch, wait_for};
use crate::poslog;
use crate::printer::Printer;
use crate::receipt;
use crate::sale::Sale;
use crate::scanner::Scanner;
use crate::scene::Scene;
use crate::tally::Played;
use crate::terminal::{Setup, Terminal};

/// Far longer than a device's bytes need to the disk; a journal file rests a second first.
pub const DURABLE_WITHIN: Duration = Duration::from_secs(20);

/// So much later than it was sent the first of two scans may have been read.
const READ_LATE: Duration = Duration::from_millis(300);

/// How a till tells of a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It prints a receipt.
    Receipt,
    /// It drops a POSLog file.
    Journal,
    /// It calls the terminal's API.
    Api,
}

/// A shop.
#[derive(Debug)]
pub struct Shop {
    /// The terminal.
    pub terminal: Terminal,
    /// Its scanner, named `counter`.
    pub scanner: Scanner,
    /// Its printer, behind the tap `printer`.
    pub printer: Printer,
    /// What was played.
    pub played: Played,
    files: u32,
    last_scan: Option<(String, Stopwatch)>,
}

impl Shop {
    /// Enrols and starts a terminal with all devices.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn open(scene: &Scene, name: &str, central: &Central, setup: Setup) -> Result<Self> {
        let folder = scene.folder(name)?;
        let scanner = Scanner::plug_in(&folder.join("scanner"))?;
        let printer = Printer::switch_on()?;
        let setup = setup
            .scanner("counter", scanner.path())
            .tap(
                "printer",
                &printer.address().to_string(),
                Some(receipt::profile()?),
            )
            .journal();
        let terminal = scene.terminal(name, central, setup)?;
        terminal.wait_for_device("counter", &["open"], DURABLE_WITHIN)?;
        Ok(Self {
            terminal,
            scanner,
            printer,
            played: Played::default(),
            files: 0,
            last_scan: None,
        })
    }

    /// Scans a code that must be taken for `kind`.
    ///
    /// # Errors
    /// When it does not become durable.
    pub fn scan(&mut self, code: &str, kind: &str) -> Result<()> {
        let before = self.terminal.recorded()?;
        self.send(code)?;
        self.terminal
            .wait_for_recorded(before + 1, DURABLE_WITHIN)?;
        self.played.scan(kind);
        Ok(())
    }

    /// Sends a code, not so soon after the same one that it counts as read twice.
    fn send(&mut self, code: &str) -> Result<()> {
        if let Some((_, sent)) = self.last_scan.as_ref().filter(|(last, _)| last == code) {
            wait_for("the same code to count again", DURABLE_WITHIN, || {
                Ok((sent.elapsed() > REPEAT_WINDOW + READ_LATE).then_some(()))
            })?;
        }
        self.scanner.scan(code)?;
        self.last_scan = Some((code.to_owned(), Stopwatch::start()));
        Ok(())
    }

    /// Scans a card, as `scanned` sends it, and the member code of an account beside it, which asks
    /// for a binding.
    ///
    /// # Errors
    /// When the request does not become durable.
    pub fn bind(
        &mut self,
        (card, scanned): (&str, &str),
        member_code: &str,
        account: &str,
    ) -> Result<()> {
        self.scan(scanned, "member_card")?;
        let before = self.terminal.recorded()?;
        self.send(member_code)?;
        self.terminal
            .wait_for_recorded(before + 2, DURABLE_WITHIN)?;
        self.played.scan("member_code");
        self.played.binding(card, account);
        Ok(())
    }

    /// Sells; `card` is the one that headquarters must see the sale under.
    ///
    /// # Errors
    /// When the sale does not become durable.
    pub fn sell(&mut self, sale: &Sale, way: Way, card: Option<&str>) -> Result<()> {
        let before = self.terminal.recorded()?;
        match way {
            Way::Receipt => self.print(&receipt::printed(sale))?,
            Way::Journal => self.drop_journal(std::slice::from_ref(sale))?,
            Way::Api => {
                self.terminal
                    .api()?
                    .post("/v1/transactions", &sale.json())?
                    .expect(202)?;
            }
        }
        self.terminal
            .wait_for_recorded(before + 1, DURABLE_WITHIN)?;
        self.played.sale(sale, card);
        Ok(())
    }

    /// Prints, and waits until all of it is on paper, unchanged.
    ///
    /// # Errors
    /// When the paper shows something else.
    pub fn print(&mut self, bytes: &[u8]) -> Result<()> {
        self.printer.tear_off();
        receipt::print(self.terminal.tap("printer")?, bytes)?;
        let paper = self.printer.wait_for_bytes(bytes.len(), DURABLE_WITHIN)?;
        ensure!(paper == bytes, "the paper shows other bytes than were sent");
        Ok(())
    }

    /// Drops a POSLog file with these sales, without waiting for it to be read.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn drop_journal(&mut self, sales: &[Sale]) -> Result<()> {
        self.files += 1;
        let name = format!("poslog-{:04}.xml", self.files);
        poslog::drop_into(&self.terminal.journal(), &name, &poslog::file(sales)?)
    }

    /// Looks a card up in the replica, as the till would.
    ///
    /// # Errors
    /// When the agent does not answer with what it knows.
    pub fn card(&self, number: &str) -> Result<Value> {
        self.terminal
            .api()?
            .get(&format!("/v1/cards/{number}"))?
            .expect(200)
    }

    /// Asks for a binding through the API and returns the answer.
    ///
    /// # Errors
    /// When it is not accepted.
    pub fn bind_by_api(&mut self, card: &str, code: &str, account: &str) -> Result<Value> {
        let answer = self
            .terminal
            .api()?
            .post("/v1/bindings", &json!({"card": card, "code": code}))?
            .expect(202)?;
        self.played.binding(card, account);
        Ok(answer)
    }

    /// Kills the agent, starts it again and waits for its scanner.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn kill_and_restart(&mut self) -> Result<()> {
        self.terminal.kill()?;
        self.terminal
            .start()
            .context("the agent does not come back after a kill")?;
        self.terminal
            .wait_for_device("counter", &["open"], DURABLE_WITHIN)
    }
}
