//! `tillbind receipts`: tries a profile on captured receipts, or has one proposed.
//!
//! Asks no daemon and needs no settings; where the settings file can be read, its member prefixes are
//! spared when payment numbers are masked.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::receipt::{
    CAPTURE_BYTES_MAX, Captured, Learned, SAMPLES_ENOUGH, learn as learn_profile,
};

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

/// `tillbind receipts learn`. Without a file for it, the profile goes to standard output and what is said
/// about it to standard error.
pub(super) fn learn(dir: &Path, file: Option<&Path>, json: bool) -> Exit {
    let files = match captures(dir) {
        Ok(files) => files,
        Err(error) => {
            output::complaint(&error);
            return Exit::WrongUse;
        }
    };
    let captured: Vec<Captured> = files.into_iter().map(|file| file.captured).collect();
    let name = file
        .and_then(Path::file_stem)
        .map(|stem| stem.to_string_lossy());
    let learned = match learn_profile(&captured, name.as_deref().unwrap_or("learned")) {
        Ok(learned) => learned,
        Err(error) => {
            output::complaint(&error);
            return Exit::Finding;
        }
    };
    if let Some(path) = file
        && let Err(error) = write_new(path, &learned.profile)
    {
        output::complaint(&error);
        return Exit::WrongUse;
    }
    if json {
        output::json(&learned_json(&learned, file));
    } else if let Some(path) = file {
        output::line(format!("{}: a proposed profile", path.display()));
        learned_lines(&learned).iter().for_each(output::line);
    } else {
        output::text(&learned.profile);
        learned_lines(&learned).iter().for_each(output::aside);
    }
    if learned.is_weak() || learned.unparsed > 0 {
        Exit::Finding
    } else {
        Exit::Fine
    }
}

/// A profile that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: name a file that does not exist yet, in a directory that does", path.display())]
struct UnwrittenError {
    path: PathBuf,
    source: io::Error,
}

/// Writes a new file; one that somebody may have mended by hand is never replaced.
fn write_new(path: &Path, text: &str) -> Result<(), UnwrittenError> {
    fs::File::create_new(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| UnwrittenError {
            path: path.to_owned(),
            source,
        })
}

fn learned_lines(learned: &Learned) -> Vec<String> {
    let mut lines = vec![format!(
        "{} receipts: {} add up and are sales, {} are told to be none, {} cannot be read",
        learned.receipts, learned.sales, learned.not_sales, learned.unparsed
    )];
    if learned.receipts < SAMPLES_ENOUGH {
        lines.push(format!(
            "The proposal is weak: it stands on {} receipts. Capture {SAMPLES_ENOUGH} or more, of every kind \
             that the shop prints, and learn again",
            learned.receipts
        ));
    } else if learned.is_weak() {
        lines.push(
            "The proposal is weak: it cannot read most receipts. Capture more sales and learn again"
                .to_owned(),
        );
    }
    let doubts = learned.doubts.iter();
    lines.extend(doubts.map(|doubt| format!("uncertain: {doubt}")));
    lines.push(
        "Try it with `tillbind receipts test PROFILE DIR` on receipts that it has not seen"
            .to_owned(),
    );
    lines
}

fn learned_json(learned: &Learned, file: Option<&Path>) -> Value {
    json!({
        "file": file,
        "profile": learned.profile,
        "weak": learned.is_weak(),
        "uncertain": learned.doubts,
        "summary": {
            "receipts": learned.receipts,
            "sales": learned.sales,
            "not_sales": learned.not_sales,
            "unparsed": learned.unparsed,
        },
    })
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
