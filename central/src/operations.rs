//! What headquarters does by hand and what needs more than one module: the same from the command
//! line and over HTTP.

use std::net::SocketAddr;

use tillbind_protocol::ids::{AccountRef, StoreId, WorkstationId};

use crate::audit::{self, Entry};
use crate::claims::ClaimRules;
use crate::data_dir::FileError;
use crate::enrolment::{self, EnrolError, NewToken};
use crate::intake::projection::Rules;
use crate::keys::{self, KeyError};
use crate::serve::Central;

/// How long a token works unless told: a technician's day and the night before.
pub const TOKEN_LIFE_S: i64 = 24 * 60 * 60;
/// Longest life of a token: what lies in a drawer for longer is better made anew.
pub const TOKEN_LIFE_S_MAX: i64 = 30 * 24 * 60 * 60;
/// How long a member code works unless told: long enough to walk to the counter.
pub const MEMBER_CODE_TTL_S: i64 = 2 * 60;
/// Longest address in a token, in bytes.
const URL_BYTES_MAX: usize = 512;

/// A token that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Its life has no sense.
    #[error("a token works from 1 s to {TOKEN_LIFE_S_MAX} s (30 days), not {0} s")]
    Life(i64),
    /// The address has no sense.
    #[error(
        "{0:?} is no address for terminals: it needs the form https://HOST:PORT, without a path"
    )]
    Url(String),
    /// The address cannot be known.
    #[error(
        "the listener for terminals takes any free port (`sync.listen` ends in :0), and `serve` has \
         not been started: start it, set a port, or say where terminals reach it"
    )]
    NoPort,
    /// The data directory.
    #[error(transparent)]
    File(#[from] FileError),
    /// The token cannot be kept.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// The token cannot be written.
    #[error("the token cannot be written")]
    Write(#[source] serde_json::Error),
}

/// What a token is wanted for.
#[derive(Debug, Clone)]
pub struct TokenWish {
    /// The store.
    pub store: StoreId,
    /// The workstation.
    pub workstation: WorkstationId,
    /// How long it works, in seconds.
    pub life_s: i64,
    /// The address that it carries; by default the first public name.
    pub url: Option<String>,
}

/// A token to hand out.
#[derive(Clone)]
pub struct IssuedToken {
    /// The word to type on the terminal. It is shown once.
    pub word: String,
    /// The address in it.
    pub url: String,
    /// When it stops to work, in milliseconds since 1970-01-01 UTC.
    pub expires_ms: i64,
}

/// Makes a token.
///
/// # Errors
/// [`TokenError`].
pub async fn issue_token(
    central: &Central,
    wish: TokenWish,
    actor: &str,
    now_ms: i64,
) -> Result<IssuedToken, TokenError> {
    if !(1..=TOKEN_LIFE_S_MAX).contains(&wish.life_s) {
        return Err(TokenError::Life(wish.life_s));
    }
    let url = match wish.url {
        Some(url) if is_address(&url) => url,
        Some(url) => return Err(TokenError::Url(url.chars().take(80).collect())),
        None => default_url(central)?,
    };
    let life_ms = wish.life_s.saturating_mul(1_000);
    let new = NewToken {
        store: wish.store,
        workstation: wish.workstation,
        life_ms,
        url: url.clone(),
    };
    let token = enrolment::create_token(&central.store, &central.ca, &new, actor, now_ms).await?;
    Ok(IssuedToken {
        word: token.encode().map_err(TokenError::Write)?,
        url,
        expires_ms: now_ms.saturating_add(life_ms),
    })
}

/// Where the port is the system's choice, the running service has written down which it got.
fn default_url(central: &Central) -> Result<String, TokenError> {
    let mut port = central.config.sync.listen.port();
    if port == 0 {
        let written = central.data_dir.read("sync.addr")?;
        let bound = written.and_then(|text| text.trim().parse::<SocketAddr>().ok());
        port = bound.ok_or(TokenError::NoPort)?.port();
    }
    Ok(enrolment::default_url(&central.config.public_names, port))
}

fn is_address(url: &str) -> bool {
    let Some(place) = url.strip_prefix("https://") else {
        return false;
    };
    url.len() <= URL_BYTES_MAX
        && !place.is_empty()
        && place.bytes().all(|b| b.is_ascii_graphic())
        && !place.contains(['/', '?', '#', '@', '\\', '"'])
}

/// A member code to show.
#[derive(Clone)]
pub struct IssuedCode {
    /// The code.
    pub code: String,
    /// When it stops to work, in milliseconds since 1970-01-01 UTC.
    pub expires_ms: i64,
}

/// Signs a member code. The trail keeps who asked for it: whoever holds the code can bind a card to
/// the account.
///
/// # Errors
/// [`KeyError`].
pub async fn issue_member_code(
    central: &Central,
    account: &AccountRef,
    ttl_s: i64,
    actor: &str,
    now_ms: i64,
) -> Result<IssuedCode, KeyError> {
    let (store, data_dir) = (&central.store, &central.data_dir);
    let code = keys::create_member_code(store, data_dir, account, ttl_s, now_ms).await?;
    let entry = Entry {
        actor,
        action: "member_code.created",
        subject: &account.masked(),
        detail: &format!("{ttl_s} s"),
    };
    let tx = store.begin().await?;
    audit::write(&*tx, &entry, now_ms).await?;
    tx.commit().await?;
    // Codes count whole seconds.
    let issued_s = now_ms.div_euclid(1_000);
    Ok(IssuedCode {
        code,
        expires_ms: issued_s.saturating_add(ttl_s).saturating_mul(1_000),
    })
}

/// Returns the rules by which a replayed record is judged.
pub fn rules(central: &Central) -> Rules {
    Rules {
        minor_per_point: central.config.points.minor_per_point,
        cards_per_account_max: central.config.binding.cards_per_account_max,
    }
}

/// Returns the rules by which a claim code is judged.
pub fn claim_rules(central: &Central) -> ClaimRules {
    ClaimRules {
        wait_ms: central.config.claims.wait_for.ms(),
        valid_ms: central.config.claims.valid_for.ms(),
        rules: rules(central),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_carries_only_an_https_address_without_a_path() {
        for good in [
            "https://hq.example:7443",
            "https://[fd00::1]:7443",
            "https://hq",
        ] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "http://hq.example",
            "https://",
            "https://hq/x",
            "https://me@hq",
            "hq.example:7443",
            "https://h q",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
