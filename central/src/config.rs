//! The configuration file, `/etc/tillbind/central.toml` unless another is named.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::duration::Seconds;
use crate::sync::PAGES_MAX;

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "/etc/tillbind/central.toml";

/// Connections to PostgreSQL beside those of exchanges and pages: for what is newest, enrolments and
/// headquarters.
const SPARE_CONNECTIONS: usize = 4;

/// Seconds of a day.
const DAY_S: i64 = 24 * 60 * 60;
/// Longest that a code is remembered: what is entered and never heard of must end.
const CLAIM_WAIT_MAX: Seconds = Seconds(90 * DAY_S);
/// Longest that a code works.
const CLAIM_VALID_MAX: Seconds = Seconds(3_650 * DAY_S);

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{file} cannot be read: name the configuration with --config FILE")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is no TOML, or holds a setting that does not exist.
    #[error("{file} holds a fault:\n{fault}")]
    Parse {
        /// The file.
        file: PathBuf,
        /// Where and what, with the line.
        fault: Box<toml::de::Error>,
    },
    /// A value has no sense.
    #[error("{file}: `{setting}` {why}")]
    Value {
        /// The file.
        file: PathBuf,
        /// The setting.
        setting: &'static str,
        /// What it needs.
        why: &'static str,
    },
}

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where keys, certificates, the embedded database and the address files lie.
    #[serde(default = "default_data_dir")]
    pub data_dir: PathBuf,
    /// `sqlite` for the embedded database, or `postgres://user@host/db`.
    #[serde(default = "default_database")]
    pub database: String,
    /// Names and addresses under which terminals reach central; they stand in its certificate.
    #[serde(default)]
    pub public_names: Vec<String>,
    /// The listener for terminals.
    #[serde(default)]
    pub sync: SyncConfig,
    /// The listener for headquarters.
    #[serde(default)]
    pub admin: AdminConfig,
    /// Points.
    #[serde(default)]
    pub points: PointsConfig,
    /// Bindings.
    #[serde(default)]
    pub binding: BindingConfig,
    /// Claim codes.
    #[serde(default)]
    pub claims: ClaimsConfig,
    /// PostgreSQL.
    #[serde(default)]
    pub postgres: PostgresConfig,
}

/// The listener for terminals.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyncConfig {
    /// Address and port; port 0 takes a free one and writes it to `data_dir/sync.addr`.
    pub listen: SocketAddr,
    /// Most connections at once; further ones are closed before the handshake.
    pub connections_max: usize,
    /// Most exchanges that work with the database at once; terminals beyond wait two seconds for
    /// their turn at most, or are told to slow down.
    pub intakes_max: usize,
    /// Most bytes of requests on their way in or waiting for their turn, in MiB, as they announce
    /// themselves; terminals beyond are told to slow down. Requests at work hold up to 12 MiB each on
    /// top.
    pub body_mib_max: usize,
    /// Longest that a poll is held, in milliseconds.
    pub poll_ms_max: u32,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 7443)),
            connections_max: 25_000,
            intakes_max: 16,
            body_mib_max: 64,
            poll_ms_max: 30_000,
        }
    }
}

impl SyncConfig {
    /// Returns the bound of [`SyncConfig::body_mib_max`] in bytes.
    pub fn body_bytes_max(&self) -> usize {
        self.body_mib_max.saturating_mul(1024 * 1024)
    }
}

/// The listener for headquarters.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// Address and port; port 0 takes a free one and writes it to `data_dir/admin.addr`.
    pub listen: SocketAddr,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7480)),
        }
    }
}

/// Points.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PointsConfig {
    /// What must be spent for one point, in minor units of the sale's currency.
    pub minor_per_point: i64,
}

impl Default for PointsConfig {
    fn default() -> Self {
        Self {
            minor_per_point: 100,
        }
    }
}

/// Bindings.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BindingConfig {
    /// Most cards that one account may hold; a further request is rejected.
    pub cards_per_account_max: usize,
}

impl Default for BindingConfig {
    fn default() -> Self {
        Self {
            cards_per_account_max: 5,
        }
    }
}

/// Claim codes, which shoppers enter online. A code counts by what was set when it was entered.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimsConfig {
    /// How long a code that was entered before its terminal was in touch is remembered: `30s`, `2m`,
    /// `24h`, `7d`. Then it must be entered again.
    pub wait_for: Seconds,
    /// How long a code works after its receipt was printed.
    pub valid_for: Seconds,
}

impl Default for ClaimsConfig {
    fn default() -> Self {
        Self {
            wait_for: Seconds(7 * DAY_S),
            valid_for: Seconds(90 * DAY_S),
        }
    }
}

/// PostgreSQL.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresConfig {
    /// Most connections of one process: one for each exchange at work (`sync.intakes_max`), some
    /// for pages and for headquarters.
    pub connections_max: u32,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            connections_max: 32,
        }
    }
}

/// Which database.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseConfig {
    /// The embedded one, in the data directory.
    Sqlite,
    /// A PostgreSQL server.
    Postgres {
        /// Its address; may hold a password.
        url: String,
        /// Most connections of this process.
        connections: u32,
    },
}

impl DatabaseConfig {
    /// Returns where the database is, for people, without a password.
    pub fn shown(&self, data_dir: &Path) -> String {
        match self {
            Self::Sqlite => crate::store::sqlite_path(data_dir).display().to_string(),
            Self::Postgres { url, .. } => {
                let place = url.split_once("://").map_or("", |(_, rest)| rest);
                let place = place.split_once('?').map_or(place, |(place, _)| place);
                let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
                format!("postgres://{place}")
            }
        }
    }
}

impl std::fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown(Path::new("data_dir")))
    }
}

fn default_data_dir() -> PathBuf {
    PathBuf::from("/var/lib/tillbind-central")
}

fn default_database() -> String {
    "sqlite".to_owned()
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`] with the file, and the line where it can be named.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Read {
            file: file.to_owned(),
            source,
        })?;
        Self::parse(file, &text)
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// [`ConfigError`] with the file, and the line where it can be named.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|fault| ConfigError::Parse {
            file: file.to_owned(),
            fault: Box::new(fault),
        })?;
        match config.fault() {
            Some((setting, why)) => Err(ConfigError::Value {
                file: file.to_owned(),
                setting,
                why,
            }),
            None => Ok(config),
        }
    }

    fn fault(&self) -> Option<(&'static str, &'static str)> {
        let postgres = ["postgres://", "postgresql://"];
        if self.database != "sqlite" && !postgres.iter().any(|p| self.database.starts_with(p)) {
            return Some(("database", "needs \"sqlite\" or postgres://user@host/db"));
        }
        if self.points.minor_per_point < 1 {
            return Some(("points.minor_per_point", "needs at least 1"));
        }
        if self.binding.cards_per_account_max < 1 {
            return Some(("binding.cards_per_account_max", "needs at least 1"));
        }
        if self.claims.wait_for > CLAIM_WAIT_MAX {
            return Some(("claims.wait_for", "needs at most 90d"));
        }
        if self.claims.valid_for > CLAIM_VALID_MAX {
            return Some(("claims.valid_for", "needs at most 3650d"));
        }
        if self.sync.connections_max < 1 {
            return Some(("sync.connections_max", "needs at least 1"));
        }
        if self.sync.intakes_max < 1 {
            return Some(("sync.intakes_max", "needs at least 1"));
        }
        let connections_min = self
            .sync
            .intakes_max
            .saturating_add(PAGES_MAX + SPARE_CONNECTIONS);
        if (self.postgres.connections_max as usize) < connections_min {
            return Some((
                "postgres.connections_max",
                "needs at least sync.intakes_max and twelve more",
            ));
        }
        if self.public_names.iter().any(|name| !is_host(name)) {
            return Some((
                "public_names",
                "needs host names or IP addresses, without scheme or port",
            ));
        }
        None
    }

    /// Returns which database to use.
    pub fn database(&self) -> DatabaseConfig {
        if self.database == "sqlite" {
            return DatabaseConfig::Sqlite;
        }
        DatabaseConfig::Postgres {
            url: self.database.clone(),
            connections: self.postgres.connections_max,
        }
    }
}

fn is_host(name: &str) -> bool {
    name.parse::<std::net::IpAddr>().is_ok()
        || (!name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("central.toml"), text)
    }

    #[test]
    fn the_documented_example_is_understood() {
        let config = parse(
            "data_dir = \"/var/lib/tillbind-central\"\ndatabase = \"sqlite\"\n\
             public_names = [\"hq.example\"]\n[sync]\nlisten = \"0.0.0.0:7443\"\n\
             [admin]\nlisten = \"127.0.0.1:7480\"\n",
        )
        .unwrap();
        assert_eq!(config.database(), DatabaseConfig::Sqlite);
        assert_eq!(config.sync.listen.port(), 7443);
        assert_eq!(config.points.minor_per_point, 100);
    }

    #[test]
    fn an_unknown_setting_is_named_with_its_line() {
        let error = parse("database = \"sqlite\"\n[sync]\nlisten_on = \"x\"\n").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("line 3") && text.contains("listen_on"),
            "{text}"
        );
    }

    #[test]
    fn a_duration_is_written_with_its_unit() {
        let config = parse("[claims]\nwait_for = \"36h\"\n").unwrap();
        assert_eq!(config.claims.wait_for.ms(), 36 * 3_600_000);
        assert_eq!(config.claims.valid_for.to_string(), "90d");
        let error = parse("[claims]\nvalid_for = \"soon\"\n").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("line 2") && text.contains("unit"), "{text}");
        assert!(parse("[claims]\nwait_for = 7\n").is_err());
    }

    #[test]
    fn a_senseless_value_is_named() {
        for (text, setting) in [
            ("database = \"mysql://x\"", "database"),
            ("[points]\nminor_per_point = 0", "points.minor_per_point"),
            ("public_names = [\"https://hq\"]", "public_names"),
            ("[claims]\nwait_for = \"91d\"", "claims.wait_for"),
            ("[claims]\nvalid_for = \"3651d\"", "claims.valid_for"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(setting), "{error}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let config = parse("database = \"postgres://me:s3cret@db.example/hq\"").unwrap();
        let shown = format!("{:?}", config.database());
        assert_eq!(shown, "postgres://db.example/hq");
    }
}
