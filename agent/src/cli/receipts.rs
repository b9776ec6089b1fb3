//! `tillbind receipts`: tries a profile on captured receipts, or has one proposed.
//!
//! Asks no daemon and needs no settings; where the settings file can be read, its member prefixes are
//! spared when payment numbers are masked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::receipt::{CAPTURE_BYTES_MAX, Captured};

use super::{Exit, output};
use crate::config::Config;
use crate::devices::load_profile;

mod shown;

use shown::Tested;

/// Most captured files that are read; more are refused, since somebody named the wrong directory.
const FILES_MAX: usize = 2_000;

/// Why the captures cannot be read.
#[derive(Debug, thiserror::Error)]
enum CapturesError {
    #[error("{} cannot be read: name a directory of captured receipts", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "{} holds no captured receipts: files that end in .bin (a printer's bytes) or .txt (lines) are read",
        .0.display()
    )]
    Empty(PathBuf),
    #[error("{} holds more than {FILES_MAX} captured receipts: take some out", .0.display())]
    TooMany(PathBuf),
    #[error("{} is longer than {CAPTURE_BYTES_MAX} bytes: take it out", .0.display())]
    TooLong(PathBuf),
}

/// A captured file and its name.
struct CapturedFile {
    name: String,
    captured: Captured,
}

/// `tillbind receipts test`.
pub(super) fn test(config: &Path, profile: &Path, dir: &Path, json: bool) -> Exit {
    if !profile.is_file() {
        output::aside(format!(
            "tillbind: there is no profile {}: name its file",
            profile.display()
        ));
        return Exit::WrongUse;
    }
    let profile = match load_profile(Some(profile)) {
        Ok(profile) => profile,
        Err(fault) => {
            output::aside(format!("tillbind: {fault}"));
            return Exit::Finding;
        }
    };
    let files = match captures(dir) {
        Ok(files) => files,
        Err(error) => {
            output::complaint(&error);
            return Exit::WrongUse;
        }
    };
    let tested = Tested::new(&profile, &files, &rules(config));
    if json {
        output::json(&tested.json());
    } else {
        tested.lines().iter().for_each(output::line);
    }
    if tested.has_finding() {
        Exit::Finding
    } else {
        Exit::Fine
    }
}

/// The rules of the settings file, if there is one that can be read.
fn rules(config: &Path) -> CardRules {
    Config::load(config)
        .ok()
        .and_then(|config| CardRules::new(config.cards.member_prefixes).ok())
        .unwrap_or_default()
}

/// Reads all captures of a directory, by name.
fn captures(dir: &Path) -> Result<Vec<CapturedFile>, CapturesError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| CapturesError::Unreadable { path, source }
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable(dir))? {
        let path = entry.map_err(unreadable(dir))?.path();
        if is_text(&path).is_some() && path.is_file() {
            if paths.len() >= FILES_MAX {
                return Err(CapturesError::TooMany(dir.to_owned()));
            }
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(CapturesError::Empty(dir.to_owned()));
    }
    paths.sort();
    paths.into_iter().map(read_capture).collect()
}

/// Whether a file is one of lines; `None` for a file that is no capture.
fn is_text(path: &Path) -> Option<bool> {
    let extension = path.extension()?.to_str()?;
    if extension.eq_ignore_ascii_case("txt") {
        Some(true)
    } else if extension.eq_ignore_ascii_case("bin") {
        Some(false)
    } else {
        None
    }
}

fn read_capture(path: PathBuf) -> Result<CapturedFile, CapturesError> {
    let unreadable = |source| CapturesError::Unreadable {
        path: path.clone(),
        source,
    };
    let len = fs::metadata(&path).map_err(unreadable)?.len();
    if len > CAPTURE_BYTES_MAX as u64 {
        return Err(CapturesError::TooLong(path));
    }
    let bytes = fs::read(&path).map_err(unreadable)?;
    let captured = match is_text(&path) {
        Some(true) => Captured::from_text(&String::from_utf8_lossy(&bytes)),
        Some(false) | None => Captured::Stream(bytes),
    };
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    Ok(CapturedFile { name, captured })
}

#[cfg(test)]
mod tests;
