//! A port that is watched on a thread of its own, for the tests of the transports.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tillbind_firmware_bridge::transport::PortEvent;

/// Long enough for a loaded machine; reached only when a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The watch; ends when it is dropped.
pub(crate) struct Watch {
    pub(crate) events: Receiver<PortEvent>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Runs `watch` until it is told to stop; what it tells is to be taken from `events`.
    pub(crate) fn start(
        watch: impl FnOnce(&AtomicBool, &mut dyn FnMut(PortEvent) -> ControlFlow<()>) + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (sender, events) = channel();
        let thread = thread::spawn(move || {
            watch(&stopped, &mut |event| match sender.send(event) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            });
        });
        Self {
            events,
            stop,
            thread: Some(thread),
        }
    }

    /// Returns the next event.
    pub(crate) fn next(&self) -> PortEvent {
        self.events.recv_timeout(PATIENCE).expect("an event")
    }
}

/// Ends the watch. It has to go before the device that it reads, or it might open the terminal of
/// another test under the freed name.
impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok(), "the watch ends when it is told to");
        }
    }
}
