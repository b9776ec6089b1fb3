//! The receipt tap: a proxy before a receipt printer that passes bytes on before it looks at them.
//!
//! ```text
//! POS ──▶ forward ──▶ printer          a thread and a runtime of its own
//!            │ copy (bounded, never waited for)
//!            ▼
//!         parser ──▶ events            the agent's runtime
//! ```
//!
//! Printing depends on nothing else of the agent: not on the outbox, the replica, the enrolment, the
//! disk, nor on a runtime that is busy. A printer that is away is away for the POS too: its
//! connection is reset before a byte of the receipt is taken.
//!
//! With a footer (off unless set) a cut waits a short while for a claim code: see [`passage`].
//!
//! A POS may also print to a serial port ([`port_pos`]) or into a directory ([`spool`]).
//!
//! Limits: [`CONNECTIONS_MAX`] connections a tap, one buffer each way, [`copy::COPY_BYTES_MAX`] of
//! copy. Deliberately lacking: a spool of the tap's own, since a receipt that comes out later is a wrong
//! receipt.

mod capture;
mod copy;
mod forward;
#[cfg(unix)]
mod local_port;
mod parser;
mod passage;
#[cfg(unix)]
mod port_pos;
mod printer;
mod spool;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::receipt::Dialect;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::DeviceEvent;
use super::status::{Lamp, PortState};
use super::stop::stopped;
use crate::config::{DialectSetting, FlowControl, FooterConfig, PosSide, ReceiptTapConfig};
use copy::CopySource;
use forward::{Ended, forward};
pub(crate) use parser::load_profile;
use parser::{Method, read_receipts};
use passage::Passage;
use printer::{LineSettings, Printer};

/// Most connections of one tap at once; one more is reset. A POS uses one or two.
const CONNECTIONS_MAX: usize = 32;
/// Connections that wait to be accepted; more are refused by the system.
const BACKLOG: u32 = 64;
/// Pause before an address that is taken is tried again: printing has to work within a second of
/// the agent's restart, also when the old process is slow to die.
const BIND_RETRY: Duration = Duration::from_millis(100);
/// Pause after a connection could not be accepted, as when file handles have run out.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How long receipts under way may take to their end when the agent ends.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// One tap, ready to serve.
struct Tap {
    printer: Printer,
    method: Arc<Method>,
    footer: Option<FooterConfig>,
    lamp: Lamp,
    events: mpsc::Sender<DeviceEvent>,
    /// Where receipts are read.
    parsers: Handle,
    /// Held until the last receipt is told.
    alive: mpsc::Sender<()>,
}

/// Returns how a tap is shown: `listen -> printer`.
pub(super) fn endpoint(config: &ReceiptTapConfig) -> String {
    let printer = printer::shown(&config.printer);
    match &config.pos {
        PosSide::Network(address) => format!("{address} -> {printer}"),
        PosSide::Port(path) | PosSide::Spool(path) => format!("{} -> {printer}", path.display()),
    }
}

/// Starts all taps on a thread of their own; `alive` is dropped when the last has ended. Receipts
/// are read on the runtime that this is called from.
pub(super) fn start(
    taps: Vec<(ReceiptTapConfig, Lamp)>,
    rules: &Arc<CardRules>,
    events: &mpsc::Sender<DeviceEvent>,
    stop: &watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
) {
    if taps.is_empty() {
        return;
    }
    let lamps: Vec<Lamp> = taps.iter().map(|(_, lamp)| lamp.clone()).collect();
    let parsers = Handle::current();
    let (rules, events, stop) = (Arc::clone(rules), events.clone(), stop.clone());
    let started = thread::Builder::new().name("tap".to_owned()).spawn({
        let lamps = lamps.clone();
        move || {
            let runtime = match Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .build()
            {
                Ok(runtime) => runtime,
                Err(error) => return cannot_start(&lamps, &error),
            };
            let taps = taps.into_iter().map(|(config, lamp)| {
                let alive = alive.clone();
                let pos = (config.pos.clone(), config.flow_control);
                let tap = Tap::new(config, lamp, &rules, events.clone(), parsers.clone(), alive);
                (pos, tap)
            });
            runtime.block_on(serve_all(taps.collect(), stop));
            // A local port that does not get rid of its bytes must not hold the agent's end.
            runtime.shutdown_background();
        }
    });
    if let Err(error) = started {
        cannot_start(&lamps, &error);
    }
}

fn cannot_start(lamps: &[Lamp], error: &io::Error) {
    for lamp in lamps {
        let reason = format!("the tap cannot start ({error}): free memory, restart the agent");
        lamp.show(PortState::Unopenable { reason });
    }
}

async fn serve_all(taps: Vec<((PosSide, FlowControl), Tap)>, stop: watch::Receiver<bool>) {
    let mut serving = JoinSet::new();
    for ((pos, flow_control), tap) in taps {
        serving.spawn(Arc::new(tap).serve(pos, flow_control, stop.clone()));
    }
    while serving.join_next().await.is_some() {}
}

impl Tap {
    fn new(
        config: ReceiptTapConfig,
        lamp: Lamp,
        rules: &Arc<CardRules>,
        events: mpsc::Sender<DeviceEvent>,
        parsers: Handle,
        alive: mpsc::Sender<()>,
    ) -> Self {
        let dialect = match config.dialect {
            DialectSetting::Auto => Dialect::Auto,
            DialectSetting::Escpos => Dialect::EscPos,
            DialectSetting::Star => Dialect::Star,
        };
        let method = Arc::new(Method::new(
            config.name,
            dialect,
            config.profile,
            Arc::clone(rules),
            config.capture_dir,
        ));
        // Read ahead of the first receipt, so that a faulty profile shows at the start.
        parsers.spawn({
            let (method, lamp) = (Arc::clone(&method), lamp.clone());
            async move {
                if let Err(reason) = method.profile().await {
                    lamp.note_error(reason.clone());
                }
            }
        });
        Self {
            printer: Printer::new(config.printer, config.flow_control),
            method,
            footer: config.footer,
            lamp,
            events,
            parsers,
            alive,
        }
    }

    async fn serve(
        self: Arc<Self>,
        pos: PosSide,
        flow_control: FlowControl,
        mut stop: watch::Receiver<bool>,
    ) {
        let tap = Arc::clone(&self);
        let until = stop.clone();
        // Ends by itself once the agent does, and what is under way has ended.
        let serving = async move {
            match pos {
                PosSide::Network(address) => tap.serve_network(address, until).await,
                PosSide::Port(path) => {
                    tap.serve_line(LineSettings::of(&path, flow_control), until)
                        .await;
                }
                PosSide::Spool(dir) => tap.serve_spool(dir, until).await,
            }
        };
        tokio::pin!(serving);
        tokio::select! {
            () = &mut serving => return,
            () = stopped(&mut stop) => {}
        }
        if timeout(STOP_GRACE, serving).await.is_err() {
            tracing::warn!(
                tap = self.method.tap,
                "a receipt was cut short by the agent's end"
            );
        }
    }

    #[cfg(unix)]
    async fn serve_line(self: Arc<Self>, line: LineSettings, stop: watch::Receiver<bool>) {
        self.serve_port(line, stop).await;
    }

    #[cfg(not(unix))]
    async fn serve_line(self: Arc<Self>, line: LineSettings, _stop: watch::Receiver<bool>) {
        let reason = format!(
            "{} cannot be listened on: serial ports of a POS are not supported on this system in \
             this version yet",
            line.path.display()
        );
        self.lamp.show(PortState::Unopenable { reason });
    }

    async fn serve_network(self: Arc<Self>, listen: SocketAddr, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let stop_of_connections = stop.clone();
        tokio::select! {
            () = self.accept(listen, &mut connections, &stop_of_connections) => {}
            () = stopped(&mut stop) => {}
        }
        while connections.join_next().await.is_some() {}
    }

    /// Accepts connections for ever.
    async fn accept(
        self: &Arc<Self>,
        address: SocketAddr,
        connections: &mut JoinSet<()>,
        stop: &watch::Receiver<bool>,
    ) {
        let listener = self.listen(address).await;
        loop {
            match listener.accept().await {
                Ok((pos, _)) => {
                    while connections.try_join_next().is_some() {}
                    if connections.len() >= CONNECTIONS_MAX {
                        self.lamp.note_error(format!(
                            "the POS holds {CONNECTIONS_MAX} connections and opened another one, \
                             which was reset: let it close them"
                        ));
                        reset(pos);
                        continue;
                    }
                    connections.spawn(Arc::clone(self).pass(pos, stop.clone()));
                }
                Err(error) => {
                    self.lamp
                        .note_error(format!("a connection could not be accepted: {error}"));
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    /// Listens as soon as the address is free.
    async fn listen(&self, wanted: SocketAddr) -> TcpListener {
        loop {
            match listen(wanted) {
                Ok((listener, address)) => {
                    self.lamp.show(PortState::Listening {
                        address: address.to_string(),
                    });
                    return listener;
                }
                Err(error) => {
                    let reason = format!(
                        "cannot listen on {wanted} ({error}): stop the program that holds the \
                         address, or correct `listen`"
                    );
                    self.lamp.show(PortState::Unopenable { reason });
                    sleep(BIND_RETRY).await;
                }
            }
        }
    }

    /// Serves one connection of the POS to its end.
    async fn pass(self: Arc<Self>, pos: TcpStream, mut stop: watch::Receiver<bool>) {
        if let Err(error) = pos.set_nodelay(true) {
            tracing::debug!(tap = self.method.tap, %error, "answers to the POS may be held back");
        }
        let link = match self.printer.connect().await {
            Ok(link) => link,
            Err(error) => {
                self.lamp.show(PortState::Lost {
                    reason: error.to_string(),
                });
                return reset(pos);
            }
        };
        self.lamp.show(PortState::Open);
        self.lamp.count(|counts| counts.connections += 1);
        let (source, sink) = copy::copy();
        // Ends by itself with the copy.
        drop(self.read_beside(sink));
        let passage = self.passage(source);
        if let Ended::PrinterLost(error) = forward(pos, link, passage, &mut stop).await {
            let reason = format!(
                "the printer broke off ({error}): check its paper and cable; the POS was told"
            );
            self.lamp.show(PortState::Lost { reason });
        }
    }

    fn passage(&self, copy: CopySource) -> Passage {
        Passage::new(
            copy,
            self.lamp.clone(),
            self.footer.clone(),
            self.method.dialect,
            self.method.encoding(),
        )
    }

    /// Reads the copy on the other runtime, where a fault leaves the printing alone; the task says whether
    /// all of it was told.
    fn read_beside(&self, sink: copy::CopySink) -> JoinHandle<bool> {
        let lamp = self.lamp.clone();
        let reading = self.parsers.spawn(read_receipts(
            sink,
            Arc::clone(&self.method),
            self.events.clone(),
            lamp.clone(),
        ));
        let alive = self.alive.clone();
        self.parsers.spawn(async move {
            let told = reading.await;
            if let Err(error) = &told {
                lamp.note_error(format!(
                    "a receipt could not be read ({error}): report this"
                ));
            }
            drop(alive);
            told.unwrap_or(false)
        })
    }
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // Connections of the process before this one may still be closing.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Ends a connection so that the POS sees an error and not a printer that took everything.
fn reset(pos: TcpStream) {
    if let Err(error) = pos.set_zero_linger() {
        tracing::debug!(%error, "the POS gets a normal end in place of a reset");
    }
}
