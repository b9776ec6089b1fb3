//! What the tap adds to printing: status requests on a connection that stays, and whole print jobs with a
//! connection of their own, directly, through socat (or a plain forwarder of the harness where there is
//! none) and through the agent's tap, in turns.
//!
//! And what a claim code costs: the same job through a tap that holds the cut until sale and code are
//! durable.
//!
//! A job is over for the POS when the printer answers the status request behind its last byte, as a POS
//! asks that wants to know whether all of it was printed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Row, micros, percentile, ratio};
use crate::central::Database;
use crate::clock::{self, Stopwatch, wait_for};
use crate::environment;
use crate::line::Line;
use crate::port;
use crate::printer::Printer;
use crate::process::{Daemon, command};
use crate::receipt;
use crate::sale::Sale;
use crate::scene::Scene;
use crate::shop::Shop;
use crate::terminal::Setup;

/// Requests on each way.
const REQUESTS: usize = 2_000;
/// `DLE EOT 1`: transmit the printer's status.
const STATUS_REQUEST: [u8; 3] = [0x10, 0x04, 0x01];
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Print jobs on each way.
const JOBS: usize = 1_000;
/// Print jobs with a footer: each records a sale.
const FOOTED_JOBS: u32 = 300;
const FOOTER: &str = "footer = \"Points: {code}\"\nfooter_hold_ms = 1000";
/// How long socat may take to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);

pub(super) fn measure() -> Result<Vec<Row>> {
    let scene = Scene::new("tap")?;
    let central = scene.central("central", &Database::Sqlite)?;
    let footed = Printer::switch_on()?;
    let setup = Setup::new("S001", "1").tap_with(
        "footed",
        &footed.address().to_string(),
        Some(receipt::profile()?),
        FOOTER,
    );
    let shop = Shop::open(&scene, "till", &central, setup)?;
    let peer = Peer::before(shop.printer.address(), &scene)?;
    let places = [
        shop.printer.address(),
        peer.address,
        shop.terminal.tap("printer")?,
    ];

    let mut requests = Samples::default();
    let mut ways = Vec::new();
    for place in places {
        ways.push(Connection::open(place)?);
    }
    for _ in 0..REQUESTS {
        for (way, samples) in ways.iter_mut().zip(&mut requests.0) {
            let watch = Stopwatch::start();
            way.ask()?;
            samples.push(watch.elapsed());
        }
    }
    drop(ways);

    let mut jobs = Samples::default();
    let receipt = receipt::printed(&Sale::numbered("S001", "1", clock::now(), 7));
    for _ in 0..JOBS {
        for (place, samples) in places.iter().zip(&mut jobs.0) {
            let watch = Stopwatch::start();
            print_and_ask(*place, &receipt)?;
            samples.push(watch.elapsed());
        }
    }

    let mut footers = Samples::default();
    let claims = [places[0], places[1], shop.terminal.tap("footed")?];
    for sequence in 1..=FOOTED_JOBS {
        let receipt = receipt::printed(&Sale::numbered("S001", "1", clock::now(), sequence));
        for (place, samples) in claims.iter().zip(&mut footers.0) {
            let watch = Stopwatch::start();
            print_and_ask(*place, &receipt)?;
            samples.push(watch.elapsed());
        }
    }
    let device = shop.terminal.status()?;
    let printed = claims_printed(&device)?;
    ensure!(
        printed == u64::from(FOOTED_JOBS),
        "{printed} of {FOOTED_JOBS} receipts had a claim code"
    );

    let name = peer.name;
    let what = format!("print job of {} bytes", receipt.len());
    let claimed = "print job with a claim code";
    Ok(vec![
        footers.row(claimed, "p50", 0.5, name, ""),
        footers.row(claimed, "p99", 0.99, name, ""),
        requests.row("printer's status", "p50", 0.5, name, ""),
        requests.row("printer's status", "p99", 0.99, name, "p99 within 1 ms"),
        jobs.row(&what, "p50", 0.5, name, ""),
        jobs.row(&what, "p99", 0.99, name, "p99 within 1 ms"),
    ])
}

/// Prints a job and waits for the answer behind it.
fn print_and_ask(place: SocketAddr, receipt: &[u8]) -> Result<()> {
    let mut way = Connection::open(place)?;
    way.0.write_all(receipt)?;
    way.ask()
}

fn claims_printed(status: &Value) -> Result<u64> {
    let devices = status["devices"].as_array().context("no devices")?;
    let tap = devices.iter().find(|device| device["name"] == "footed");
    tap.and_then(|tap| tap["footers"].as_u64())
        .context("the tap does not count its footers")
}

/// What was measured directly, through the peer and through the tap.
#[derive(Default)]
struct Samples([Vec<Duration>; 3]);

impl Samples {
    fn row(&mut self, what: &str, name: &str, share: f64, peer: &str, goal: &str) -> Row {
        let [direct, plain, tap] = self.0.each_mut().map(|samples| percentile(samples, share));
        let added = tap.as_secs_f64() * 1e3 - plain.as_secs_f64() * 1e3;
        Row {
            what: format!("{what} through the tap, {name}"),
            measured: format!(
                "{} ({:.2} ×, {added:+.3} ms)",
                micros(tap),
                ratio(tap, plain)
            ),
            beside: format!("{peer}: {}; directly: {}", micros(plain), micros(direct)),
            goal: goal.to_owned(),
        }
    }
}

/// Somebody else's forwarder before the same printer.
struct Peer {
    name: &'static str,
    address: SocketAddr,
    _socat: Option<Daemon>,
    _line: Option<Line>,
}

impl Peer {
    fn before(printer: SocketAddr, scene: &Scene) -> Result<Self> {
        let Some(program) = environment::program("socat") else {
            let line = Line::open()?;
            line.lead_to(printer);
            return Ok(Self {
                name: "a plain TCP forwarder (socat is not here)",
                address: line.address(),
                _socat: None,
                _line: Some(line),
            });
        };
        let address = port::free()?;
        let mut command = command(&program);
        command
            .arg(format!(
                "TCP-LISTEN:{},bind={},fork,reuseaddr,nodelay",
                address.port(),
                address.ip()
            ))
            .arg(format!("TCP:{printer},nodelay"));
        let socat = Daemon::start("socat", command, &scene.path().join("socat.log"))?;
        wait_for("socat to listen", LISTENS_WITHIN, || {
            Ok(TcpStream::connect(address).ok().map(drop))
        })?;
        Ok(Self {
            name: "socat",
            address,
            _socat: Some(socat),
            _line: None,
        })
    }
}

struct Connection(TcpStream);

impl Connection {
    fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).with_context(|| format!("cannot connect to {to}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        Ok(Self(stream))
    }

    fn ask(&mut self) -> Result<()> {
        self.0.write_all(&STATUS_REQUEST)?;
        self.0.read_exact(&mut [0])?;
        Ok(())
    }
}
