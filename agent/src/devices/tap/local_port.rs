//! A printer's serial or USB port as a pair of asynchronous halves.
//!
//! A terminal line is set raw, so that no byte of a receipt is changed on its way; a USB printer's
//! port is taken as it is. What has been written leaves the port before the next connection gets
//! its turn.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::fs::{Mode, OFlags};
use rustix::termios::{self, OptionalActions, QueueSelector};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;
use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;

use super::printer::LineSettings;
use crate::config::FlowControl;

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
    /// Opens the port for both directions; `turn` is given back when all bytes have left it.
    pub(super) fn open(line: &LineSettings, turn: Option<OwnedMutexGuard<()>>) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let port = rustix::fs::open(&line.path, flags, Mode::empty())?;
        if termios::isatty(&port) {
            set_raw(&port, line)?;
        }
        // Tokio's halves of a pipe are any two descriptors that can be waited for.
        Ok(Self {
            answers: Answers(pipe::Receiver::from_owned_fd_unchecked(port.try_clone()?)?),
            paper: pipe::Sender::from_owned_fd_unchecked(port.try_clone()?)?,
            hold: Hold(Some((port, turn))),
        })
    }
}

fn set_raw(port: &OwnedFd, settings: &LineSettings) -> io::Result<()> {
    let mut line = termios::tcgetattr(port)?;
    line.make_raw();
    line.control_modes |= termios::ControlModes::CLOCAL | termios::ControlModes::CREAD;
    let rts_cts = settings.flow_control == FlowControl::RtsCts;
    line.control_modes
        .set(termios::ControlModes::CRTSCTS, rts_cts);
    if let Some(baud) = settings.baud {
        line.set_speed(baud)?;
    }
    termios::tcsetattr(port, OptionalActions::Now, &line)?;
    Ok(())
}

/// Keeps the port for one connection until all of its bytes have left.
pub(super) struct Hold(Option<(OwnedFd, Option<OwnedMutexGuard<()>>)>);

impl Hold {
    /// Throws away what came in and was not read yet.
    pub(super) fn discard_input(&self) -> io::Result<()> {
        match &self.0 {
            Some((port, _)) if termios::isatty(port) => {
                Ok(termios::tcflush(port, QueueSelector::IFlush)?)
            }
            Some(_) | None => Ok(()),
        }
    }
}

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
