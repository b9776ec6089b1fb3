//! What the tap adds to a printer's answer: a status request goes to the printer and its answer comes
//! back, directly, through a plain forwarder and through the agent's tap, in turns.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;

use super::{Row, micros, percentile, ratio};
use crate::central::Database;
use crate::clock::Stopwatch;
use crate::line::Line;
use crate::scene::Scene;
use crate::shop::Shop;
use crate::terminal::Setup;

/// Requests on each way.
const REQUESTS: usize = 2_000;
/// `DLE EOT 1`: transmit the printer's status.
const STATUS_REQUEST: [u8; 3] = [0x10, 0x04, 0x01];
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn measure() -> Result<Vec<Row>> {
    let scene = Scene::new("tap")?;
    let central = scene.central("central", &Database::Sqlite)?;
    let shop = Shop::open(&scene, "till", &central, Setup::new("S001", "1"))?;
    let forwarder = Line::open()?;
    forwarder.lead_to(shop.printer.address());
    let mut ways = [
        Way::open(shop.printer.address())?,
        Way::open(forwarder.address())?,
        Way::open(shop.terminal.tap("printer")?)?,
    ];
    for _ in 0..REQUESTS {
        for way in &mut ways {
            way.ask()?;
        }
    }
    let row = |name: &str, share: f64, goal: &str| {
        let [direct, plain, tap] =
            [0, 1, 2].map(|way| percentile(&mut ways[way].samples.clone(), share));
        Row {
            what: format!("printer's status through the tap, {name}"),
            measured: format!("{} ({:.2} ×)", micros(tap), ratio(tap, plain)),
            beside: format!(
                "a plain TCP forwarder: {}; directly: {}",
                micros(plain),
                micros(direct)
            ),
            goal: goal.to_owned(),
        }
    };
    Ok(vec![
        row("p50", 0.5, ""),
        row("p99", 0.99, "p99 1 ms over a plain forwarder"),
    ])
}

struct Way {
    stream: TcpStream,
    samples: Vec<Duration>,
}

impl Way {
    fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        Ok(Self {
            stream,
            samples: Vec::with_capacity(REQUESTS),
        })
    }

    fn ask(&mut self) -> Result<()> {
        let watch = Stopwatch::start();
        self.stream.write_all(&STATUS_REQUEST)?;
        self.stream.read_exact(&mut [0])?;
        self.samples.push(watch.elapsed());
        Ok(())
    }
}
