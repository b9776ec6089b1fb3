//! How devices learn that the agent ends: by its flag, or by its owner being gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::sync::{mpsc, watch};

use super::status::{Lamp, PortState};

/// Says whether the agent ends.
pub(super) fn is_over(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

/// Waits until the agent ends.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Serves a port that blocks on a thread of its own, by the thread's `name`, until the flag is set that
/// `serve` is given; `alive` is dropped when it has ended. `device` is what the lamp calls it where there
/// is no thread to be had.
pub(super) fn serve_on_thread(
    (name, device): (String, &str),
    lamp: &Lamp,
    mut stop: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
    serve: impl FnOnce(&AtomicBool) + Send + 'static,
) {
    let ends = Arc::new(AtomicBool::new(false));
    tokio::spawn({
        let ends = Arc::clone(&ends);
        async move {
            stopped(&mut stop).await;
            ends.store(true, Ordering::Relaxed);
        }
    });
    let started = thread::Builder::new().name(name).spawn(move || {
        serve(&ends);
        drop(alive);
    });
    if let Err(error) = started {
        let reason = format!("the {device} cannot start ({error}): free memory, restart the agent");
        lamp.show(PortState::Unopenable { reason });
    }
}
