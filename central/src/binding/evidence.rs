//! Whether the evidence of a request holds, judged again at central.

use tillbind_protocol::event::{BindingRequest, Evidence, Stamp};
use tillbind_protocol::member_code::{self, KeySet, NONCE_BYTES, VerifyTime};

/// Most uncertainty that a terminal's time is granted, in milliseconds: a clock that was not
/// compared for a month drifts by less. A terminal that claims more gains nothing by it.
pub const UNCERTAINTY_MS_MAX: u32 = 10 * 60 * 1_000;
/// Uncertainty of a time that is known only from the terminal's wall clock at the exchange, in
/// milliseconds: the clock may have been set in between.
pub const COMPARED_UNCERTAINTY_MS: u32 = 2 * 60 * 1_000;

/// When a request was made, by central's clock.
///
/// A terminal that never saw central's clock sends its wall clock alone; then the difference of the
/// clocks at the exchange that brought the request counts.
pub fn request_time(stamp: &Stamp, sent_local_ms: i64, received_ms: i64) -> VerifyTime {
    match stamp.uncertainty_ms {
        Some(uncertainty_ms) => VerifyTime {
            now_ms: stamp.corrected_ms().min(received_ms),
            uncertainty_ms: uncertainty_ms.min(UNCERTAINTY_MS_MAX),
        },
        None => {
            let offset_ms = received_ms.saturating_sub(sent_local_ms);
            VerifyTime {
                now_ms: stamp.local_ms.saturating_add(offset_ms).min(received_ms),
                uncertainty_ms: COMPARED_UNCERTAINTY_MS,
            }
        }
    }
}

/// Verifies a request's evidence and returns the code's nonce, or why it does not hold.
///
/// # Errors
/// The reason, for the cashier.
pub fn verify(
    request: &BindingRequest,
    keys: &KeySet,
    at: VerifyTime,
) -> Result<[u8; NONCE_BYTES], String> {
    let Evidence::MemberCode { code } = &request.evidence;
    let claims = member_code::verify(code, keys, at).map_err(|e| e.to_string())?;
    if claims.account != request.account {
        return Err("the member code belongs to another account".to_owned());
    }
    Ok(claims.nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(local_ms: i64, offset_ms: i64, uncertainty_ms: Option<u32>) -> Stamp {
        Stamp {
            local_ms,
            offset_ms,
            uncertainty_ms,
        }
    }

    #[test]
    fn a_terminal_that_never_saw_central_is_judged_by_the_exchanges_comparison() {
        // Its clock stands at 1970; the request was made ten seconds before the exchange.
        let at = request_time(&stamp(50_000, 0, None), 60_000, 1_790_000_000_000);
        assert_eq!(at.now_ms, 1_790_000_000_000 - 10_000);
        assert_eq!(at.uncertainty_ms, COMPARED_UNCERTAINTY_MS);
    }

    #[test]
    fn a_claimed_uncertainty_is_capped_and_the_future_is_now() {
        let at = request_time(&stamp(9_000, 0, Some(u32::MAX)), 0, 5_000);
        assert_eq!(at.now_ms, 5_000);
        assert_eq!(at.uncertainty_ms, UNCERTAINTY_MS_MAX);
    }
}
