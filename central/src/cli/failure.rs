//! How a command ends that did not do what it was asked for.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::api_keys::ApiKeyError;
use crate::binding::dispute::SettleError;
use crate::ca::CaError;
use crate::claims::RedeemError;
use crate::config::ConfigError;
use crate::enrolment::EnrolError;
use crate::export::ExportError;
use crate::keys::KeyError;
use crate::members::AccountError;
use crate::operations::TokenError;
use crate::quarantine::QuarantineError;
use crate::serve::ServeError;
use crate::store::{Fault, OpenError, StoreError};

/// The command did not do what it was asked for, or found what it was asked about wanting.
pub const FAILED: u8 = 1;
/// The command or the configuration has no sense.
pub const WRONG_USE: u8 = 2;
/// The database or the data directory cannot be reached.
pub const UNREACHABLE: u8 = 3;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing is installed where the configuration points.
    #[error(
        "{0} does not exist: check `data_dir` in the configuration, or start `tillbind-central \
         serve` once, which makes it"
    )]
    NoInstallation(PathBuf),
    /// Central cannot be opened or go on.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No account.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// No member code.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No settlement.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// No redemption.
    #[error(transparent)]
    Redeem(#[from] RedeemError),
    /// The quarantine stays as it is.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// No API key.
    #[error(transparent)]
    ApiKey(#[from] ApiKeyError),
    /// No export.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// There is no such thing.
    #[error("there is no {what} {id}: see `tillbind-central {list}`")]
    Unknown {
        /// What it should have been.
        what: &'static str,
        /// Its name.
        id: String,
        /// The command that lists those that are.
        list: &'static str,
    },
    /// A file named on the command line.
    #[error("{file} cannot be read")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file named on the command line is no text, or too long.
    #[error("{file} cannot be a record: {why}")]
    NoRecord {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A code that no QR holds.
    #[error("the code cannot be drawn: leave --qr out")]
    Qr,
    /// The system does not say when to stop.
    #[error("signals cannot be waited for")]
    Signal(#[source] io::Error),
    /// The output.
    #[error("the output cannot be written")]
    Output(#[source] io::Error),
    /// An object cannot be written as JSON.
    #[error("the answer cannot be written as JSON")]
    Json(#[source] serde_json::Error),
}

impl Failure {
    /// Returns the exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Export(ExportError::Filter(_)) | Self::NoRecord { .. } => {
                WRONG_USE
            }
            Self::Token(TokenError::Life(_) | TokenError::Url(_) | TokenError::NoPort)
            | Self::Key(KeyError::Ttl(_))
            | Self::Redeem(RedeemError::Code(_)) => WRONG_USE,
            Self::NoInstallation(_)
            | Self::Serve(ServeError::File(_) | ServeError::Open(OpenError::Connect { .. })) => {
                UNREACHABLE
            }
            Self::Serve(ServeError::Ca(CaError::File(_)) | ServeError::Key(KeyError::File(_))) => {
                UNREACHABLE
            }
            Self::Key(KeyError::File(_)) | Self::Token(TokenError::File(_)) => UNREACHABLE,
            Self::Store(error)
            | Self::Serve(ServeError::Store(error) | ServeError::Key(KeyError::Store(error)))
            | Self::Key(KeyError::Store(error))
            | Self::Account(AccountError::Store(error))
            | Self::ApiKey(ApiKeyError::Store(error))
            | Self::Settle(SettleError::Store(error))
            | Self::Redeem(RedeemError::Store(error))
            | Self::Quarantine(QuarantineError::Store(error))
            | Self::Token(TokenError::Enrol(EnrolError::Store(error)))
            | Self::Export(ExportError::Store(error)) => match error.fault() {
                Fault::Unavailable | Fault::Contended => UNREACHABLE,
                Fault::Refused | Fault::Defect => FAILED,
            },
            Self::Serve(_)
            | Self::Token(_)
            | Self::Account(_)
            | Self::Key(_)
            | Self::Settle(_)
            | Self::Redeem(_)
            | Self::Quarantine(_)
            | Self::ApiKey(_)
            | Self::Export(_)
            | Self::Unknown { .. }
            | Self::Read { .. }
            | Self::Qr
            | Self::Signal(_)
            | Self::Output(_)
            | Self::Json(_) => FAILED,
        }
    }

    /// Returns what is told: what happened, then why, a line a cause.
    fn told(&self) -> String {
        let mut said = self.to_string();
        let mut text = format!("tillbind-central: {said}\n");
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let why = error.to_string();
            // Drivers repeat the texts of what they wrap.
            if !said.contains(&why) {
                text.push_str(&format!("  because: {why}\n"));
            }
            said = why;
            cause = error.source();
        }
        text
    }

    /// Returns whether whoever read the output has had enough, which is no failure.
    pub fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Tells a failure on stderr. Where even that is closed, the exit code has to do.
pub(super) fn tell(failure: &Failure) {
    io::stderr()
        .write_all(failure.told().as_bytes())
        .unwrap_or_default();
}
