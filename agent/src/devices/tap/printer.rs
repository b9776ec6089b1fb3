//! The printer behind a tap: over the network, at a local port, or none at all.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

#[cfg(unix)]
use super::local_port::{Hold, LocalPort};
use crate::config::{FlowControl, PrinterTarget, path_and_baud};

/// How long a printer may take to accept a connection. Longer, and the POS waits for a printer that
/// is away; shorter, and one that is waking up is taken for absent.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection waits for a local port that another one is printing on.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a network printer may be silent after the POS has ended its side, before the connection
/// is closed: its last answers come late when the receipt is long.
const NETWORK_LINGER: Duration = Duration::from_secs(30);
/// The same at a local port, which cannot say that it has nothing more to tell.
const LOCAL_LINGER: Duration = Duration::from_millis(500);

/// Names a printer for people.
pub(super) fn shown(target: &PrinterTarget) -> String {
    match target {
        PrinterTarget::Tcp(address) => address.clone(),
        PrinterTarget::Device(path) => path.display().to_string(),
        PrinterTarget::Virtual => "none".to_owned(),
    }
}

/// A local port and how it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LineSettings {
    /// The device, or a link to it.
    pub(super) path: PathBuf,
    /// Bits per second; without, the port's own speed stays.
    pub(super) baud: Option<u32>,
    /// How a serial line holds back its sender.
    pub(super) flow_control: FlowControl,
}

impl LineSettings {
    /// Reads a port's setting, as `/dev/ttyS0@19200`.
    pub(super) fn of(setting: &Path, flow_control: FlowControl) -> Self {
        let (path, baud) = path_and_baud(setting);
        Self {
            path,
            baud,
            flow_control,
        }
    }
}

/// Why the printer takes no connection now.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// It refused, or the way to it failed.
    #[error("printer {address} cannot be reached ({source}): switch it on and check its cable")]
    Network { address: String, source: io::Error },
    /// It did not answer.
    #[error("printer {address} does not answer within {} s: switch it on and check its cable",
        CONNECT_TIMEOUT.as_secs())]
    Silent { address: String },
    /// The port could not be opened.
    #[error(
        "printer port {path} cannot be opened ({source}): plug the printer in, and let the agent's user into the group that owns the port"
    )]
    Local { path: String, source: io::Error },
    /// Another connection holds the port.
    #[error("printer port {path} is held by another connection: print one receipt at a time")]
    Busy { path: String },
}

/// A connection to a printer.
pub(super) struct Link {
    /// Answers of the printer.
    pub(super) answers: Box<dyn AsyncRead + Send + Unpin>,
    /// Bytes to print.
    pub(super) paper: Box<dyn AsyncWrite + Send + Unpin>,
    /// How long the printer may be silent after the POS has ended its side.
    pub(super) linger: Duration,
    /// Keeps a local port for this connection; dropped after the halves above.
    #[cfg(unix)]
    pub(super) _hold: Option<Hold>,
}

/// Opens connections to one printer.
#[derive(Debug)]
pub(super) struct Printer {
    target: PrinterTarget,
    flow_control: FlowControl,
    /// Held by the one connection that prints on a local port.
    turn: Arc<Mutex<()>>,
}

impl Printer {
    pub(super) fn new(target: PrinterTarget, flow_control: FlowControl) -> Self {
        Self {
            target,
            flow_control,
            turn: Arc::new(Mutex::new(())),
        }
    }

    /// Says whether it is reached over the network, where others may want it too.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self.target, PrinterTarget::Tcp(_))
    }

    /// Opens a connection; takes [`CONNECT_TIMEOUT`] or [`TURN_TIMEOUT`] at the most.
    pub(super) async fn connect(&self) -> Result<Link, ConnectError> {
        match &self.target {
            PrinterTarget::Tcp(address) => connect_network(address).await,
            PrinterTarget::Device(setting) => {
                let line = LineSettings::of(setting, self.flow_control);
                let shown = line.path.display().to_string();
                let turn = timeout(TURN_TIMEOUT, Arc::clone(&self.turn).lock_owned())
                    .await
                    .map_err(|_| ConnectError::Busy {
                        path: shown.clone(),
                    })?;
                open_local(&line, turn).map_err(|source| ConnectError::Local {
                    path: shown,
                    source,
                })
            }
            PrinterTarget::Virtual => Ok(Link {
                answers: Box::new(Silence),
                paper: Box::new(tokio::io::sink()),
                linger: Duration::ZERO,
                #[cfg(unix)]
                _hold: None,
            }),
        }
    }
}

/// The answers of a printer that is not there: none, and no end either, which a POS would take for
/// a printer that hung up.
struct Silence;

impl AsyncRead for Silence {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

async fn connect_network(address: &str) -> Result<Link, ConnectError> {
    let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(address))
        .await
        .map_err(|_| ConnectError::Silent {
            address: address.to_owned(),
        })?
        .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        .map_err(|source| ConnectError::Network {
            address: address.to_owned(),
            source,
        })?;
    let (answers, paper) = stream.into_split();
    Ok(Link {
        answers: Box::new(answers),
        paper: Box::new(paper),
        linger: NETWORK_LINGER,
        #[cfg(unix)]
        _hold: None,
    })
}

#[cfg(unix)]
fn open_local(line: &LineSettings, turn: tokio::sync::OwnedMutexGuard<()>) -> io::Result<Link> {
    let LocalPort {
        answers,
        paper,
        hold,
    } = LocalPort::open(line, Some(turn))?;
    Ok(Link {
        answers: Box::new(answers),
        paper: Box::new(paper),
        linger: LOCAL_LINGER,
        _hold: Some(hold),
    })
}

#[cfg(not(unix))]
fn open_local(_line: &LineSettings, _turn: tokio::sync::OwnedMutexGuard<()>) -> io::Result<Link> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "local printer ports are not supported on this system in this version yet",
    ))
}
