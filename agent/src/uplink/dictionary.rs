//! The dictionary that requests are packed with, from headquarters' answer to the disk and back.

use tillbind_protocol::dictionary::Dictionary;

use super::packing::Packer;
use super::{Task, UplinkError, blocking};

impl Task {
    /// Reads what an earlier run kept.
    pub(super) async fn kept_packer(&self) -> Result<Packer, UplinkError> {
        let kept = self.reach.dictionary.clone();
        blocking(move || kept.load()).await
    }

    /// Keeps a dictionary that came along, and packs with it from now on. Where the disk refuses it, it
    /// serves until the next start; one that cannot be used is not asked for again.
    pub(super) async fn take_dictionary(
        &mut self,
        dictionary: Dictionary,
    ) -> Result<(), UplinkError> {
        let kept = self.reach.dictionary.clone();
        let packer = match Packer::with(&dictionary.bytes) {
            Ok(packer) if packer.dictionary() == dictionary.id => packer,
            Ok(_) | Err(_) => {
                tracing::warn!(
                    id = dictionary.id,
                    "headquarters sent a dictionary that is none"
                );
                self.line.set_packer(Packer::without(dictionary.id));
                return Ok(());
            }
        };
        if let Err(error) = blocking(move || kept.replace(&dictionary)).await? {
            tracing::warn!(%error, "a compression dictionary could not be kept");
        }
        tracing::info!(
            id = packer.dictionary(),
            "requests are packed with a new dictionary"
        );
        self.line.set_packer(packer);
        Ok(())
    }

    /// Goes on without a dictionary. One that headquarters holds and yet cannot unpack with is not asked
    /// for again in this run.
    pub(super) async fn forget_dictionary(&mut self, is_known: bool) -> Result<(), UplinkError> {
        let id = self.line.dictionary();
        let packer = if is_known {
            Packer::without(id)
        } else {
            Packer::default()
        };
        self.line.set_packer(packer);
        let kept = self.reach.dictionary.clone();
        if let Err(error) = blocking(move || kept.forget()).await? {
            tracing::warn!(%error, "a compression dictionary could not be removed");
        }
        Ok(())
    }
}
