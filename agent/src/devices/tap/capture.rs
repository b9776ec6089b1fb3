//! Writes receipts down for `tillbind receipts learn` and `receipts test`. Off unless `capture_dir` is set.
//!
//! What is written are the lines that were decoded, one receipt a file, never the printer's bytes: payment
//! numbers can be told in text alone. They are removed, and every other run of eight digits and more gets
//! other digits, so that no member's number lies in the clear; equal numbers stay equal until the agent
//! ends, and dates stay. Files are for their owner alone.
//!
//! Limits: [`CAPTURES_MAX`] files; further receipts are not captured until some are taken away. A fault of
//! the disk is told and stops nothing but the capture. Deliberately lacking: a clean-up, since a technician
//! is to take the files away.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tillbind_firmware_bridge::receipt::{Job, captured_head};

/// Most receipts that lie in the directory; with the decoder's limit of a job at most 13 MB.
const CAPTURES_MAX: usize = 200;
/// Shorter runs of digits are amounts, times and receipt numbers.
const MEMBER_DIGITS_MIN: usize = 8;
/// Longest run that may be a date with a time.
const DATE_DIGITS_MAX: usize = 14;

/// Where a tap's receipts are written down.
#[derive(Debug)]
pub(super) struct Capture {
    dir: PathBuf,
    tap: String,
    /// Made anew at every start and kept nowhere.
    key: [u8; 32],
}

impl Capture {
    /// Makes the capture of a tap; the directory is made when the first receipt comes.
    pub(super) fn new(dir: PathBuf, tap: &str) -> Self {
        let mut key = [0; 32];
        // Without randomness the numbers are still changed, only in the same way at every start.
        if let Err(error) = getrandom::fill(&mut key) {
            tracing::warn!(%error, "captured numbers are changed by a fixed key");
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        Self {
            dir,
            tap: tap.chars().map(plain).collect(),
            key,
        }
    }

    /// Writes a receipt whose payment numbers are masked already. Blocks on the disk.
    ///
    /// # Errors
    /// What to tell people when it could not be written.
    pub(super) fn write(&self, job: &Job, decoded_by_default: bool) -> Result<(), String> {
        if job.lines.iter().all(String::is_empty) {
            return Ok(());
        }
        self.write_file(&self.text(job, decoded_by_default)).map_err(|error| {
            format!(
                "receipts cannot be captured in {} ({error}): correct `capture_dir`, its rights or its room",
                self.dir.display()
            )
        })
    }

    fn text(&self, job: &Job, decoded_by_default: bool) -> String {
        let mut text = captured_head(decoded_by_default).to_owned();
        for line in &job.lines {
            text.push_str(&self.changed(line));
            text.push('\n');
        }
        text
    }

    fn write_file(&self, text: &str) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
            builder.mode(0o700);
            options.mode(0o600);
        }
        builder.create(&self.dir)?;
        let held = captured(&self.dir)?;
        for number in held + 1..=held + CAPTURES_MAX {
            if held >= CAPTURES_MAX {
                return Ok(());
            }
            let path = self.dir.join(format!("{}-{number:04}.txt", self.tap));
            match options.open(path) {
                Ok(mut file) => return file.write_all(text.as_bytes()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives long runs of digits other digits of the same length.
    fn changed(&self, line: &str) -> String {
        let mut changed = String::with_capacity(line.len());
        let mut rest = line;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, from) = rest.split_at(start);
            let end = from
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(from.len());
            let (digits, after) = from.split_at(end);
            changed.push_str(before);
            if digits.len() < MEMBER_DIGITS_MIN || is_date(digits) {
                changed.push_str(digits);
            } else {
                let mut stream = blake3::Hasher::new_keyed(&self.key)
                    .update(digits.as_bytes())
                    .finalize_xof();
                let mut bytes = vec![0; digits.len()];
                stream.fill(&mut bytes);
                changed.extend(bytes.into_iter().map(|byte| char::from(b'0' + byte % 10)));
            }
            rest = after;
        }
        changed.push_str(rest);
        changed
    }
}

/// Whether a run of digits is a date, a time behind it allowed: `20261124` and `202611241805`.
fn is_date(digits: &str) -> bool {
    let part =
        |range: std::ops::Range<usize>| digits.get(range).and_then(|d| d.parse::<u32>().ok());
    digits.len() <= DATE_DIGITS_MAX
        && matches!(part(0..2), Some(19 | 20))
        && matches!(part(4..6), Some(1..=12))
        && matches!(part(6..8), Some(1..=31))
}

/// Counts the captures in a directory.
fn captured(dir: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        count += usize::from(path.extension().is_some_and(|extension| extension == "txt"));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use tillbind_firmware_bridge::receipt::{Captured, Encoding};

    use super::*;

    fn job(text: &str) -> Job {
        Captured::from_text(text)
            .jobs(Encoding::default())
            .remove(0)
    }

    #[test]
    fn a_members_number_is_changed_and_stays_the_same_number() {
        let capture = Capture::new("/nowhere".into(), "printer");
        let line = "Member 6275981000042  2026-11-24 20261124-0031 1,234.50";
        let changed = capture.changed(line);
        assert_eq!(changed.len(), line.len());
        assert!(!changed.contains("6275981000042"), "{changed}");
        assert!(
            changed.ends_with("2026-11-24 20261124-0031 1,234.50"),
            "{changed}"
        );
        assert_eq!(capture.changed(line), changed);
        assert_ne!(
            Capture::new("/nowhere".into(), "printer").changed(line),
            changed
        );
    }

    #[test]
    fn captures_are_counted_and_stop_at_their_limit() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("captures");
        let capture = Capture::new(target.clone(), "till/1");
        for n in 0..CAPTURES_MAX + 2 {
            capture.write(&job(&format!("TOTAL {n}.00")), true).unwrap();
        }
        assert_eq!(captured(&target).unwrap(), CAPTURES_MAX);
        let first = fs::read_to_string(target.join("till-1-0001.txt")).unwrap();
        assert!(first.ends_with("TOTAL 0.00\n"), "{first}");
        // Where some were taken away, the next ones replace none.
        fs::remove_file(target.join("till-1-0001.txt")).unwrap();
        capture.write(&job("TOTAL 9.00"), true).unwrap();
        assert_eq!(captured(&target).unwrap(), CAPTURES_MAX);
        assert!(capture.write(&job("x"), false).is_ok());
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let capture = Capture::new(file.path().join("captures"), "printer");
        let fault = capture.write(&job("TOTAL 1.00"), true).unwrap_err();
        assert!(fault.contains("capture_dir"), "{fault}");
    }
}
