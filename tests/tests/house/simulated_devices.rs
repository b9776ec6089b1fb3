//! Scanners and an NFC reader played by `tillbind-devsim`, whose models share nothing with our decoders.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result, ensure};
use tillbind_tests::central::Database;
use tillbind_tests::environment;
use tillbind_tests::process::command;
use tillbind_tests::scene;
use tillbind_tests::shop::{DURABLE_WITHIN, Shop};
use tillbind_tests::terminal::Setup;

/// A device that does what it is told, a step a line.
struct Played {
    process: Child,
    steps: ChildStdin,
    told: Lines<BufReader<ChildStdout>>,
}

impl Played {
    fn begin(device: &[&str], link: &Path) -> Result<Self> {
        let program = environment::binaries()?.join("tillbind-devsim");
        ensure!(
            program.is_file(),
            "{} is not built: `cargo build -p tillbind-firmware-bridge --features devsim`",
            program.display()
        );
        let mut process = command(&program)
            .args(device)
            .arg("--link")
            .arg(link)
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let steps = process.stdin.take().context("no input")?;
        let out = process.stdout.take().context("no output")?;
        let mut played = Self {
            process,
            steps,
            told: BufReader::new(out).lines(),
        };
        played.wait_for("ready at ")?;
        Ok(played)
    }

    fn does(&mut self, step: &str) -> Result<()> {
        writeln!(self.steps, "{step}")?;
        Ok(())
    }

    /// Reads on until a line begins with this.
    fn wait_for(&mut self, beginning: &str) -> Result<()> {
        for line in self.told.by_ref() {
            if line?.starts_with(beginning) {
                return Ok(());
            }
        }
        anyhow::bail!("the device ended and never said {beginning:?}")
    }

    fn end(mut self) -> Result<()> {
        drop(self.steps);
        ensure!(self.process.wait()?.success(), "the device failed");
        Ok(())
    }
}

#[test]
fn played_scanners_are_acknowledged_and_their_cards_arrive() -> Result<()> {
    scene::play("simulated-devices", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let link = |name: &str| scene.path().join(name);
        let mut zebra = Played::begin(&["scanner", "--framing", "ssi"], &link("zebra"))?;
        let mut honeywell =
            Played::begin(&["scanner", "--framing", "honeywell"], &link("honeywell"))?;
        let mut hid = Played::begin(&["scanner", "--framing", "hid-pos"], &link("hid"))?;
        let mut reader = Played::begin(&["nfc"], &link("reader"))?;
        let more = format!(
            "[[scanner]]\nname = \"zebra\"\nport = {:?}\nframing = \"ssi\"\n\
             [[scanner]]\nname = \"honeywell\"\nport = {:?}\nframing = \"honeywell\"\n\
             [[scanner]]\nname = \"hid\"\nport = {:?}\nframing = \"hid-pos\"\n\
             [[nfc]]\nname = \"reader\"\nport = {:?}\n",
            link("zebra"),
            link("honeywell"),
            link("hid"),
            link("reader"),
        );
        let setup = Setup::new("S001", "1").more(&more);
        let shop = Shop::open(scene, "till", &central, setup)?;
        for device in ["zebra", "honeywell", "hid", "reader"] {
            shop.terminal
                .wait_for_device(device, &["open"], DURABLE_WITHIN)?;
        }
        let mut recorded = shop.terminal.recorded()?;
        let mut is_recorded = |what: &str| -> Result<()> {
            recorded += 1;
            shop.terminal
                .wait_for_recorded(recorded, DURABLE_WITHIN)
                .with_context(|| what.to_owned())
        };

        zebra.does("scan ]C06275980000000001")?;
        zebra.wait_for("acknowledged")?;
        is_recorded("a packet of SSI")?;
        // Longer than a packet: in segments, of which each is acknowledged.
        zebra.does(&format!(
            "scan ]Q1{}",
            "https://shop.example/?q=".repeat(20)
        ))?;
        zebra.wait_for("acknowledged")?;
        is_recorded("a scan in segments")?;
        zebra.does("noread")?;
        zebra.wait_for("acknowledged")?;

        honeywell.does("scan ]C06275980000000002")?;
        is_recorded("a packet of Honeywell")?;

        hid.does("scan ]C06275980000000004")?;
        is_recorded("a report of HID POS")?;
        // Longer than a report, behind half of one that the silence ends.
        hid.does("hex 02 0D 5D 45 30")?;
        hid.does("wait 600ms")?;
        hid.does(&format!("scan ]Q1{}", "https://shop.example/?h=".repeat(4)))?;
        is_recorded("a scan in several reports")?;

        reader.does("card 0416C6C2D73881")?;
        is_recorded("a card at the reader")?;
        reader.does("card away")?;

        zebra.does("noise 300")?;
        zebra.does("wait 600ms")?;
        zebra.does("scan ]C06275980000000003")?;
        zebra.wait_for("acknowledged")?;
        is_recorded("a packet behind noise")?;

        shop.terminal.wait_for_drained(DURABLE_WITHIN)?;
        let cards = central.export("cards")?;
        for number in [
            "6275980000000001",
            "6275980000000002",
            "6275980000000003",
            "6275980000000004",
            "0416C6C2D73881",
        ] {
            ensure!(
                cards.iter().any(|card| card["card"] == number),
                "card {number} never came to headquarters: {cards:?}"
            );
        }
        zebra.end()?;
        honeywell.end()?;
        hid.end()?;
        reader.end()
    })
}
