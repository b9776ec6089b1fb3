//! A store's day for `./dev demo`: a morning with the line up, a noon without it, an evening in which
//! everything arrives.

mod narrator;
mod places;
mod report;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};

use crate::central::{Central, Database};
use crate::clock::{self, wait_for};
use crate::receipt;
use crate::sale::{Sale, decimal};
use crate::scene::Scene;
use crate::shop::{DURABLE_WITHIN, Shop, Way};
use crate::tally::Played;
use crate::terminal::Setup;

pub use narrator::Narrator;
pub use report::Report;

/// Within this a verdict must be back after the line has healed: back-off and batches included.
const VERDICT_WITHIN: Duration = Duration::from_secs(20);

/// Acts of the whole day, for the progress line.
const ACTS: usize = 58;

/// A card of each kind: a GS1 service relation number, a configured prefix, an EAN of the store's own
/// range, and how a scanner sends it.
const GSRN: (&str, &str) = ("950110153123456781", "]C18018950110153123456781");
const PREFIX: (&str, &str) = ("6275980000004217", "6275980000004217");
const EAN: (&str, &str) = ("2900000012349", "]E02900000012349");

/// A published test number, as a swipe sends it: never a live card.
const PAYMENT_SWIPE: &str = "%B4111111111111111^DOE/JOHN^25121011200000?\
                             ;4111111111111111=25121011200000?";

/// Shoppers with an online account: account, name.
const SHOPPERS: [(&str, &str); 4] = [
    ("tmall:82731", "Lin Yue"),
    ("taobao:51503", "Chen Wei"),
    ("tmall:90017", "Zhao Min"),
    ("tmall:66006", "Sun Lei"),
];

/// The day.
#[derive(Debug)]
pub struct Day {
    scene: Scene,
    central: Central,
    first: Shop,
    second: Shop,
    clock: DateTime<Utc>,
    sequence: u32,
    bindings_offline: usize,
    watch: clock::Stopwatch,
}

impl Day {
    /// Opens headquarters and two shops in `folder`, which is emptied first.
    ///
    /// # Errors
    /// When something does not come up.
    pub fn begin(folder: &Path, narrator: &mut Narrator) -> Result<Self> {
        narrator.plan(ACTS);
        narrator.part("Opening");
        let scene = Scene::at(folder)?;
        let central = scene.central("central", &Database::Sqlite)?;
        narrator.act(
            "central",
            "serves on an empty folder: made its CA, keys and SQLite",
        );
        for (account, name) in SHOPPERS {
            central.account(account, name)?;
        }
        narrator.act(
            "central",
            &format!("knows {} online accounts", SHOPPERS.len()),
        );
        let first = Shop::open(&scene, "s001", &central, Setup::new("S001", "1"))?;
        narrator.act(
            "S001/1",
            "enrolled with a token; scanner, printer and journal are up",
        );
        let second = Shop::open(&scene, "s002", &central, Setup::new("S002", "1"))?;
        narrator.act(
            "S002/1",
            "enrolled with a token; scanner, printer and journal are up",
        );
        Ok(Self {
            scene,
            central,
            first,
            second,
            clock: clock::now(),
            sequence: 0,
            bindings_offline: 0,
            watch: narrator.watch(),
        })
    }

    /// Plays the day.
    ///
    /// # Errors
    /// When something does not happen that has to.
    pub fn play(&mut self, narrator: &mut Narrator) -> Result<()> {
        self.morning(narrator)?;
        self.noon(narrator)?;
        self.evening(narrator)
    }

    fn next_sale(&mut self, shop: Which) -> Sale {
        self.sequence += 1;
        self.clock += chrono::Duration::seconds(47);
        let store = self.shop(shop).terminal.setup().store.clone();
        Sale::numbered(&store, "1", self.clock, self.sequence)
    }

    fn shop(&mut self, which: Which) -> &mut Shop {
        match which {
            Which::First => &mut self.first,
            Which::Second => &mut self.second,
        }
    }

    /// Sells, with a card scanned before where there is one.
    fn sell(
        &mut self,
        which: Which,
        way: Way,
        card: Option<(&str, &str)>,
        narrator: &mut Narrator,
    ) -> Result<()> {
        let sale = self.next_sale(which);
        let shop = self.shop(which);
        if let Some((_, scanned)) = card {
            shop.begin_basket()?;
            shop.scan(scanned, "member_card")?;
        }
        let number = card.map(|(number, _)| number);
        shop.sell(&sale, way, number)?;
        let way = match way {
            Way::Receipt => "through the receipt tap",
            Way::Journal => "by a POSLog file",
            Way::Api => "by a call of the POS",
        };
        let whose = number.map_or_else(String::new, |number| format!(", card {}", masked(number)));
        narrator.act(
            which.name(),
            &format!(
                "sale {:06} of {} {way}{whose}",
                sale.sequence,
                decimal(sale.total_minor())
            ),
        );
        Ok(())
    }

    fn morning(&mut self, narrator: &mut Narrator) -> Result<()> {
        narrator.part("Morning: the line is up");
        for round in 0..6 {
            let card = [Some(GSRN), None, Some(PREFIX)][round % 3];
            self.sell(Which::First, Way::Receipt, card, narrator)?;
            let way = [Way::Receipt, Way::Api][round % 2];
            let card = [Some(EAN), None][round / 2 % 2];
            self.sell(Which::Second, way, card, narrator)?;
        }
        self.sell(Which::First, Way::Journal, None, narrator)?;
        self.twice_told(narrator)?;
        self.swipe(narrator)?;
        self.reprint(narrator)?;
        self.cancelled(narrator)?;
        self.late_card(narrator)
    }

    /// The same sale on paper and in the journal.
    fn twice_told(&mut self, narrator: &mut Narrator) -> Result<()> {
        let sale = self.next_sale(Which::Second);
        self.second.sell(&sale, Way::Receipt, None)?;
        let before = self.second.terminal.recorded()?;
        self.second.drop_journal(std::slice::from_ref(&sale))?;
        // A later sale shows that the file was read, since files are read in order.
        let marker = self.next_sale(Which::Second);
        self.second.drop_journal(std::slice::from_ref(&marker))?;
        self.second
            .terminal
            .wait_for_recorded(before + 1, DURABLE_WITHIN)?;
        self.second.played.sale(&marker, None);
        narrator.act(
            "S002/1",
            &format!(
                "sale {:06} told twice, on paper and in POSLog: one sale",
                sale.sequence
            ),
        );
        Ok(())
    }

    fn swipe(&mut self, narrator: &mut Narrator) -> Result<()> {
        self.first.scan(PAYMENT_SWIPE, "payment_refused")?;
        narrator.act("S001/1", "payment card swiped: refused, no digit kept");
        Ok(())
    }

    fn reprint(&mut self, narrator: &mut Narrator) -> Result<()> {
        let sale = self.next_sale(Which::First);
        self.first.sell(&sale, Way::Receipt, None)?;
        self.first.print(&receipt::reprinted(&sale))?;
        narrator.act(
            "S001/1",
            &format!(
                "sale {:06} printed again for the shopper: still one sale",
                sale.sequence
            ),
        );
        Ok(())
    }

    fn cancelled(&mut self, narrator: &mut Narrator) -> Result<()> {
        let sale = self.next_sale(Which::First);
        let before = self.first.terminal.recorded()?;
        self.first.print(&receipt::voided(&sale))?;
        self.first
            .terminal
            .wait_for_recorded(before + 1, DURABLE_WITHIN)?;
        self.first.played.void(&sale);
        narrator.act(
            "S001/1",
            &format!(
                "receipt {:06} voided: kept as a void, counts as no sale",
                sale.sequence
            ),
        );
        Ok(())
    }

    /// The shopper remembers the card when the receipt is printed already.
    fn late_card(&mut self, narrator: &mut Narrator) -> Result<()> {
        let sale = self.next_sale(Which::Second);
        let shop = &mut self.second;
        shop.sell(&sale, Way::Receipt, None)?;
        let before = shop.terminal.recorded()?;
        shop.scan(PREFIX.1, "member_card")?;
        shop.terminal
            .wait_for_recorded(before + 2, DURABLE_WITHIN)?;
        shop.played.sale(&sale, Some(PREFIX.0));
        narrator.act(
            "S002/1",
            &format!(
                "sale {:06}, and then card {}: it still belongs to the sale",
                sale.sequence,
                masked(PREFIX.0)
            ),
        );
        Ok(())
    }

    fn noon(&mut self, narrator: &mut Narrator) -> Result<()> {
        narrator.part("Noon: the line is cut");
        self.central.line().cut();
        narrator.act("line", "cut between both stores and headquarters");
        self.bind(Which::First, GSRN, 0, narrator)?;
        self.sell(Which::First, Way::Receipt, None, narrator)?;
        self.bind(Which::Second, EAN, 1, narrator)?;
        self.sell(Which::Second, Way::Api, None, narrator)?;
        for round in 0..4 {
            let card = [Some(PREFIX), None][round % 2];
            self.sell(Which::First, Way::Receipt, card, narrator)?;
            self.sell(Which::Second, Way::Receipt, None, narrator)?;
        }
        self.image(narrator)?;
        let recorded = self.first.terminal.recorded()?;
        self.first.kill_and_restart()?;
        let kept = self.first.terminal.recorded()?;
        anyhow::ensure!(
            kept >= recorded,
            "{recorded} events were durable before the kill and {kept} are after it"
        );
        narrator.act(
            "S001/1",
            &format!("agent killed (kill -9) and started again: all {kept} events are there"),
        );
        for round in 0..5 {
            let way = [Way::Receipt, Way::Api][round % 2];
            self.sell(Which::First, way, None, narrator)?;
            self.sell(Which::Second, way, [Some(EAN), None][round % 2], narrator)?;
        }
        self.bind(Which::Second, PREFIX, 2, narrator)?;
        self.sell(Which::Second, Way::Receipt, None, narrator)
    }

    /// Binds while the line is cut: the shopper's phone has its code from its own network.
    fn bind(
        &mut self,
        which: Which,
        (card, scanned): (&str, &str),
        shopper: usize,
        narrator: &mut Narrator,
    ) -> Result<()> {
        let (account, _) = SHOPPERS.get(shopper).context("no such shopper")?;
        let code = self.central.member_code(account, "10m")?;
        let shop = self.shop(which);
        shop.bind((card, scanned), &code, account)?;
        // The card stays with the basket; its sale ends it.
        let sale = self.next_sale(which);
        self.shop(which).sell(&sale, Way::Receipt, Some(card))?;
        self.bindings_offline += 1;
        narrator.act(
            which.name(),
            &format!(
                "member code of {} beside card {}: verified and bound offline",
                account.split(':').next().unwrap_or_default(),
                masked(card)
            ),
        );
        Ok(())
    }

    fn image(&mut self, narrator: &mut Narrator) -> Result<()> {
        let shop = &mut self.second;
        let before = shop.terminal.recorded()?;
        shop.print(&receipt::image())?;
        shop.terminal
            .wait_for_recorded(before + 1, DURABLE_WITHIN)?;
        shop.played.event("receipt_unparsed");
        narrator.act(
            "S002/1",
            "receipt that is an image: printed, kept as unreadable",
        );
        Ok(())
    }

    fn evening(&mut self, narrator: &mut Narrator) -> Result<()> {
        narrator.part("Evening: the line is back");
        let waiting = |shop: &Shop| -> Result<u64> {
            let status = shop.terminal.status()?;
            Ok(status["outbox"]["events"].as_u64().unwrap_or_default())
        };
        let (first, second) = (waiting(&self.first)?, waiting(&self.second)?);
        self.central.line().heal();
        narrator.act(
            "line",
            &format!("healed; {first} and {second} events are waiting"),
        );
        self.first.terminal.wait_for_drained(VERDICT_WITHIN)?;
        self.second.terminal.wait_for_drained(VERDICT_WITHIN)?;
        narrator.act("central", "has acknowledged everything, in order");
        for (which, (card, _), (account, name)) in [
            (Which::First, GSRN, SHOPPERS[0]),
            (Which::Second, EAN, SHOPPERS[1]),
            (Which::Second, PREFIX, SHOPPERS[2]),
        ] {
            self.await_verdict(which, card, "confirmed")?;
            let platform = account.split(':').next().unwrap_or_default();
            narrator.act(
                which.name(),
                &format!(
                    "verdict: card {} and {name}'s {platform} are one",
                    masked(card)
                ),
            );
        }
        self.compete(narrator)?;
        self.sell(Which::First, Way::Receipt, Some(GSRN), narrator)?;
        self.sell(Which::Second, Way::Api, Some(EAN), narrator)?;
        self.first.terminal.wait_for_drained(VERDICT_WITHIN)?;
        self.second.terminal.wait_for_drained(VERDICT_WITHIN)?;
        narrator.act("central", "has everything of the day");
        Ok(())
    }

    fn await_verdict(&mut self, which: Which, card: &str, state: &str) -> Result<()> {
        let shop = self.shop(which);
        wait_for(
            &format!("card {card} to be {state}"),
            VERDICT_WITHIN,
            || Ok((shop.card(card)?["state"] == state).then_some(())),
        )
    }

    /// Somebody shows another account of the same platform beside a card that is bound.
    fn compete(&mut self, narrator: &mut Narrator) -> Result<()> {
        let (account, _) = SHOPPERS[3];
        let code = self.central.member_code(account, "10m")?;
        self.second.bind_by_api(GSRN.0, &code, account)?;
        self.central.wait_for_export(
            "bindings",
            "the competing binding to be rejected",
            VERDICT_WITHIN,
            |bindings| {
                bindings
                    .iter()
                    .any(|binding| binding["account"] == account && binding["state"] == "rejected")
                    .then_some(())
            },
        )?;
        narrator.act(
            "S002/1",
            &format!(
                "a second tmall account for card {}: rejected, dispute open",
                masked(GSRN.0)
            ),
        );
        Ok(())
    }

    /// Compares what was played with what headquarters exports.
    ///
    /// # Errors
    /// When central does not export.
    pub fn report(&self) -> Result<Report> {
        let mut played = Played::default();
        played.merge(&self.first.played);
        played.merge(&self.second.played);
        let transactions = self.central.export("transactions")?;
        let events = self.central.export("events")?;
        let bindings = self.central.export("bindings")?;
        let tally = played.compare(&transactions, &events, &bindings)?;
        let in_state = |state: &str| bindings.iter().filter(|b| b["state"] == state).count();
        Ok(Report {
            sales: played.sales(),
            scans: played.scans(),
            bindings_offline: self.bindings_offline,
            bindings_confirmed: in_state("confirmed"),
            bindings_rejected: in_state("rejected"),
            events: events.len(),
            tally,
            elapsed: self.watch.elapsed(),
            places: places::of(&self.scene, &self.central, &[&self.first, &self.second])?,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    First,
    Second,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Self::First => "S001/1",
            Self::Second => "S002/1",
        }
    }
}

/// Shows the last four of a card, as every log of the product does.
fn masked(card: &str) -> String {
    format!(
        "****{}",
        card.get(card.len().saturating_sub(4)..).unwrap_or_default()
    )
}
