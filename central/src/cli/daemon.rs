//! `serve`.

use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;
use crate::serve::{self, Central};

pub(super) async fn serve(central: Central) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Signal)?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    serve::run(central, stop).await?;
    Ok(())
}
