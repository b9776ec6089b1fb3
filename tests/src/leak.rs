//! Looks for secrets in files: every byte of every file, as it lies on the disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Returns every run of `length` digits of these numbers, so that a part of one is found too.
pub fn digit_runs(numbers: &[&str], length: usize) -> Vec<String> {
    let mut runs: Vec<String> = numbers
        .iter()
        .flat_map(|number| number.as_bytes().windows(length))
        .map(|run| String::from_utf8_lossy(run).into_owned())
        .collect();
    runs.sort();
    runs.dedup();
    runs
}

/// Returns all files under these places; a place may be a file itself.
///
/// # Errors
/// When a folder cannot be read.
pub fn files(places: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = places.to_vec();
    while let Some(place) = open.pop() {
        if place.is_dir() {
            for entry in fs::read_dir(&place).with_context(|| place.display().to_string())? {
                open.push(entry?.path());
            }
        } else if place.is_file() {
            found.push(place);
        }
    }
    found.sort();
    Ok(found)
}

/// Returns which of `secrets` stand in `bytes`.
pub fn in_bytes<'s>(bytes: &[u8], secrets: &'s [String]) -> Vec<&'s str> {
    secrets
        .iter()
        .filter(|secret| contains(bytes, secret.as_bytes()))
        .map(String::as_str)
        .collect()
}

/// Returns where secrets stand: the file and the secret, for every pair.
///
/// # Errors
/// When a file cannot be read.
pub fn in_files(files: &[PathBuf], secrets: &[String]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in files {
        let bytes = read(file)?;
        for secret in in_bytes(&bytes, secrets) {
            found.push(format!("{secret:?} in {}", file.display()));
        }
    }
    Ok(found)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| file.display().to_string())
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    let Some((first, rest)) = wanted.split_first() else {
        return false;
    };
    let mut from = 0;
    while let Some(at) = bytes
        .get(from..)
        .and_then(|tail| tail.iter().position(|byte| byte == first))
    {
        from += at + 1;
        if bytes.get(from..).is_some_and(|tail| tail.starts_with(rest)) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_number_is_found_anywhere_in_the_bytes() {
        let runs = digit_runs(&["4111111111111111", "30569309025904"], 6);
        assert!(runs.contains(&"930902".to_owned()));
        assert_eq!(in_bytes(b"\x00\xffx930902", &runs), ["930902"]);
        assert_eq!(in_bytes(b"x411110904\x00411", &runs), Vec::<&str>::new());
    }
}
