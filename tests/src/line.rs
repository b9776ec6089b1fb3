//! The line between a store and headquarters: a TCP forwarder that can be cut and healed.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};

/// A forwarder on a port of its own.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    target: Option<SocketAddr>,
    cut: bool,
    ended: bool,
    live: Vec<TcpStream>,
}

impl Line {
    /// Starts a line that leads nowhere yet.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn open() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for near in listener.incoming() {
                if lock(&shared).ended {
                    return;
                }
                if let Ok(near) = near {
                    let shared = Arc::clone(&shared);
                    // A connection that fails is what a line does; its ends see it closed.
                    thread::spawn(move || drop(forward(&near, &shared)));
                }
            }
        });
        Ok(Self { address, state })
    }

    /// Returns the near end's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets new connections lead to `target`.
    pub fn lead_to(&self, target: SocketAddr) {
        lock(&self.state).target = Some(target);
    }

    /// Breaks all connections and lets none through.
    pub fn cut(&self) {
        let mut state = lock(&self.state);
        state.cut = true;
        break_all(&mut state);
    }

    /// Lets connections through again.
    pub fn heal(&self) {
        lock(&self.state).cut = false;
    }

    /// Breaks all connections; new ones go through.
    pub fn hiccup(&self) {
        break_all(&mut lock(&self.state));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.ended = true;
        break_all(&mut state);
        drop(state);
        // Wakes the listener so that it sees the end; if it cannot be reached, it has ended.
        drop(TcpStream::connect(self.address));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn break_all(state: &mut State) {
    for stream in state.live.drain(..) {
        // One that is closed already is as broken as it can be.
        drop(stream.shutdown(Shutdown::Both));
    }
}

fn forward(near: &TcpStream, shared: &Mutex<State>) -> io::Result<()> {
    let target = {
        let state = lock(shared);
        if state.cut {
            return Ok(());
        }
        state.target
    };
    let Some(target) = target else { return Ok(()) };
    let far = TcpStream::connect(target)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    {
        let mut state = lock(shared);
        if state.cut {
            return Ok(());
        }
        state.live.push(near.try_clone()?);
        state.live.push(far.try_clone()?);
    }
    let (up_from, up_to) = (near.try_clone()?, far.try_clone()?);
    let up = thread::spawn(move || drop(pump(up_from, up_to)));
    drop(pump(far, near.try_clone()?));
    drop(up.join());
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(count) if count > 0 => to.write_all(buffer.get(..count).unwrap_or_default())?,
            Ok(_) => return to.shutdown(Shutdown::Write),
            Err(error) => {
                to.shutdown(Shutdown::Both)?;
                return Err(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_line_breaks_what_was_open_and_heals() {
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let line = Line::open().unwrap();
        line.lead_to(echo.local_addr().unwrap());
        thread::spawn(move || {
            for mut stream in echo.incoming().flatten() {
                thread::spawn(move || {
                    let mut to = stream.try_clone().unwrap();
                    drop(io::copy(&mut stream, &mut to));
                });
            }
        });
        let mut buffer = [0; 4];

        let mut open = TcpStream::connect(line.address()).unwrap();
        open.write_all(b"ping").unwrap();
        open.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"ping");

        line.cut();
        assert_eq!(open.read(&mut buffer).unwrap_or(0), 0);
        let mut refused = TcpStream::connect(line.address()).unwrap();
        assert_eq!(refused.read(&mut buffer).unwrap_or(0), 0);

        line.heal();
        let mut again = TcpStream::connect(line.address()).unwrap();
        again.write_all(b"pong").unwrap();
        again.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"pong");
    }
}
