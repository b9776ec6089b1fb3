//! The claim codes of this terminal's sales.
//!
//! A code follows from the sale's natural key by a secret of this terminal. So a receipt that is printed
//! twice bears the same code, a code that was recorded and not printed in time is the one that is printed
//! next time, and no code stands anywhere but on paper.

use std::fmt;

use tillbind_protocol::claim::{CLAIM_RANDOM_BYTES, ClaimCode};
use tillbind_protocol::event::{RetailTransaction, SaleKey, TransactionKind};
use zeroize::Zeroizing;

/// Length of the secret, in bytes.
pub const CLAIM_KEY_BYTES: usize = 32;

/// The secret that this terminal's claim codes follow from.
#[derive(Clone)]
pub struct ClaimKey(Zeroizing<[u8; CLAIM_KEY_BYTES]>);

impl ClaimKey {
    /// Takes a secret that nobody else knows.
    pub fn new(secret: Zeroizing<[u8; CLAIM_KEY_BYTES]>) -> Self {
        Self(secret)
    }

    /// Returns the code of a sale.
    pub fn code(&self, sale: &SaleKey) -> ClaimCode {
        let SaleKey {
            store,
            workstation,
            business_day,
            sequence,
        } = sale;
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in [
            store.as_str(),
            workstation.as_str(),
            &business_day.to_string(),
            sequence,
        ] {
            // The length keeps one part from running into the next.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut random = [0; CLAIM_RANDOM_BYTES];
        hasher.finalize_xof().fill(&mut random);
        ClaimCode::new(random)
    }
}

impl fmt::Debug for ClaimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimKey(…)")
    }
}

/// Returns whether a shopper may claim a transaction: something was bought, and for real.
pub fn is_claimable(sale: &RetailTransaction) -> bool {
    let bought = match sale.kind {
        TransactionKind::Sale => true,
        TransactionKind::Return | TransactionKind::Void => false,
    };
    bought && !sale.training
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale(store: &str, workstation: &str, sequence: &str) -> SaleKey {
        SaleKey {
            store: store.parse().unwrap(),
            workstation: workstation.parse().unwrap(),
            business_day: "2026-03-01".parse().unwrap(),
            sequence: sequence.to_owned(),
        }
    }

    #[test]
    fn a_sale_has_one_code_and_another_sale_till_or_secret_another() {
        let key = |byte| ClaimKey::new(Zeroizing::new([byte; CLAIM_KEY_BYTES]));
        let code = key(1).code(&sale("s1", "1", "161"));
        assert_eq!(code, key(1).code(&sale("s1", "1", "161")));
        for other in [
            key(1).code(&sale("s1", "1", "162")),
            key(1).code(&sale("s11", "1", "161")),
            key(1).code(&sale("s1", "11", "61")),
            key(2).code(&sale("s1", "1", "161")),
        ] {
            assert_ne!(code, other);
        }
    }
}
