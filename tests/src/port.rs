//! Ports that stay the same over a restart.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};

/// Below the range from which Linux takes the near ends of connections, so that no connection
/// borrows a port while its owner restarts.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Returns a loopback address whose port nobody listens on.
///
/// # Errors
/// When all are taken.
pub fn free() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Harnesses that run side by side start at different places.
    let start = (std::process::id().wrapping_mul(61) % u32::from(COUNT)) as u16;
    (0..COUNT)
        .map(|_| NEXT.fetch_add(1, Ordering::Relaxed))
        .map(|next| FIRST + start.wrapping_add(next) % COUNT)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .context("no port is free")
}
