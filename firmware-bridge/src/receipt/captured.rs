//! Captured samples of a shop's receipts, as a technician brings them home: a printer's bytes, or the
//! lines that the tap wrote down.

use super::codepage::Encoding;
use super::decoder::ReceiptDecoder;
use super::dialect::Dialect;
use super::job::{JOB_BYTES_MAX, JOB_LINES_MAX, Job, JobEnd};

/// Most bytes of one captured file; a receipt with a large logo has a tenth of it. Readers of files refuse
/// a longer one.
pub const CAPTURE_BYTES_MAX: usize = 4 << 20;

/// One captured file.
#[derive(Clone, PartialEq, Eq)]
pub enum Captured {
    /// Bytes as the POS sent them to its printer.
    Stream(Vec<u8>),
    /// Lines as they stand on the paper: one receipt.
    Lines(Vec<String>),
}

impl Captured {
    /// Takes the text of a file of lines.
    pub fn from_text(text: &str) -> Self {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        Self::Lines(
            text.lines()
                .map(|line| line.trim_end().to_owned())
                .collect(),
        )
    }

    /// Returns the print jobs in it. `encoding` is what text is where a stream does not say; lines are text
    /// already.
    pub fn jobs(&self, encoding: Encoding) -> Vec<Job> {
        match self {
            Self::Stream(bytes) => {
                let mut decoder = ReceiptDecoder::new(Dialect::Auto, encoding);
                let mut jobs = decoder.feed(bytes);
                jobs.extend(decoder.finish());
                jobs
            }
            Self::Lines(lines) => vec![job_of(lines)],
        }
    }
}

impl std::fmt::Debug for Captured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stream(bytes) => write!(f, "Stream({} bytes)", bytes.len()),
            Self::Lines(lines) => write!(f, "Lines({})", lines.len()),
        }
    }
}

/// The job that the lines stand for, cut off where the decoder would cut it off.
fn job_of(lines: &[String]) -> Job {
    let mut kept = Vec::new();
    let mut bytes = 0;
    let mut ended_by = JobEnd::Cut;
    for line in lines.iter().skip_while(|line| line.is_empty()) {
        bytes += line.len();
        if kept.len() >= JOB_LINES_MAX || bytes > JOB_BYTES_MAX {
            ended_by = JobEnd::Limit;
            break;
        }
        kept.push(line.clone());
    }
    while kept.last().is_some_and(String::is_empty) {
        kept.pop();
    }
    Job {
        lines: kept,
        cuts: u32::from(ended_by == JobEnd::Cut),
        drawer_kicks: 0,
        images: 0,
        codes: Vec::new(),
        ended_by,
        skipped_bytes: 0,
        unknown_commands: 0,
        unreadable: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_the_stream_that_printed_them_give_the_same_text() {
        let stream = Captured::Stream(b"\x1b@\nSHOP\n\n  TOTAL 1.00\n\n\x1dV\x00".to_vec());
        let lines = Captured::from_text("\u{FEFF}\r\nSHOP\r\n\r\n  TOTAL 1.00  \r\n\r\n");
        let jobs = stream.jobs(Encoding::default());
        assert_eq!(jobs[0].lines, ["SHOP", "", "  TOTAL 1.00"]);
        assert_eq!(jobs, lines.jobs(Encoding::default()));
    }

    #[test]
    fn lines_beyond_the_decoders_limit_are_a_receipt_that_is_cut_off() {
        let text = "x\n".repeat(JOB_LINES_MAX + 1);
        let jobs = Captured::from_text(&text).jobs(Encoding::default());
        assert_eq!(
            (jobs[0].lines.len(), jobs[0].ended_by),
            (JOB_LINES_MAX, JobEnd::Limit)
        );
    }

    #[test]
    fn debug_shows_no_text() {
        assert_eq!(format!("{:?}", Captured::from_text("secret")), "Lines(1)");
    }
}
