//! A printer's serial or USB port as a pair of asynchronous halves.
//!
//! A terminal line is set raw, so that no byte of a receipt is changed on its way; a USB printer's
//! port is taken as it is. What has been written leaves the port before the next connection gets
//! its turn.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::fs::{Mode, OFlags};
use rustix::termios::{self, OptionalActions};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;
use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;

/// An open port in its three parts; [`Hold`] wants to be dropped last.
pub(super) struct LocalPort {
    /// What the printer answers.
    pub(super) answers: Answers,
    /// What is to be printed.
    pub(super) paper: pipe::Sender,
    /// The right to the port.
    pub(super) hold: Hold,
}

impl LocalPort {
    /// Opens the port for both directions.
    pub(super) fn open(
        path: &Path,
        baud: Option<u32>,
        turn: OwnedMutexGuard<()>,
    ) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let port = rustix::fs::open(path, flags, Mode::empty())?;
        if termios::isatty(&port) {
            set_raw(&port, baud)?;
        }
        // Tokio's halves of a pipe are any two descriptors that can be waited for.
        Ok(Self {
            answers: Answers(pipe::Receiver::from_owned_fd_unchecked(port.try_clone()?)?),
            paper: pipe::Sender::from_owned_fd_unchecked(port.try_clone()?)?,
            hold: Hold(Some((port, turn))),
        })
    }
}

fn set_raw(port: &OwnedFd, baud: Option<u32>) -> io::Result<()> {
    let mut line = termios::tcgetattr(port)?;
    line.make_raw();
    line.control_modes |= termios::ControlModes::CLOCAL | termios::ControlModes::CREAD;
    if let Some(baud) = baud {
        line.set_speed(baud)?;
    }
    termios::tcsetattr(port, OptionalActions::Now, &line)?;
    Ok(())
}

/// Keeps the port for one connection until all of its bytes have left.
pub(super) struct Hold(Option<(OwnedFd, OwnedMutexGuard<()>)>);

impl Drop for Hold {
    fn drop(&mut self) {
        let Some((port, turn)) = self.0.take() else {
            return;
        };
        // Closing a line waits for what is still to be sent; that must not stop other connections.
        let close = move || {
            if let Err(error) = termios::tcdrain(&port) {
                tracing::debug!(%error, "a printer's port did not say that all was sent");
            }
            drop(port);
            drop(turn);
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(close)),
            Err(_) => close(),
        }
    }
}

/// What the printer answers; a port of one direction stays silent.
pub(super) struct Answers(pipe::Receiver);

impl AsyncRead for Answers {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.0).poll_read(cx, buffer)) {
            // The port has no way back, and never will have.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Poll::Pending,
            result => Poll::Ready(result),
        }
    }
}
