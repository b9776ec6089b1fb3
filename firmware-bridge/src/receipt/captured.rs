//! Captured samples of a shop's receipts, as a technician brings them home: a printer's bytes, or the
//! lines that the tap wrote down.

use std::collections::BTreeMap;

use super::codepage::{Charset, Encoding};
use super::decoder::ReceiptDecoder;
use super::dialect::Dialect;
use super::job::{JOB_BYTES_MAX, JOB_LINES_MAX, Job, JobEnd};

/// Most bytes of one captured file; a receipt with a large logo has a tenth of it. Readers of files refuse
/// a longer one.
pub const CAPTURE_BYTES_MAX: usize = 4 << 20;

/// First line of a file whose text the tap decoded without knowing the printer's encoding.
const HEAD_DEFAULT: &str =
    "# captured by tillbind; decoded as cp437 where the stream did not say\n";
/// First line of a file whose text the tap decoded by its profile.
const HEAD_PROFILE: &str = "# captured by tillbind; decoded by the tap's profile\n";

/// Returns the line that a tap puts at the head of a receipt that it writes down.
pub fn captured_head(decoded_by_default: bool) -> &'static str {
    if decoded_by_default {
        HEAD_DEFAULT
    } else {
        HEAD_PROFILE
    }
}

/// One captured file.
#[derive(Clone, PartialEq, Eq)]
pub enum Captured {
    /// Bytes as the POS sent them to its printer.
    Stream(Vec<u8>),
    /// Lines as they stand on the paper: one receipt.
    Lines(Vec<String>),
    /// Lines of one receipt that were decoded as code page 437, right or wrong.
    Undecoded(Vec<String>),
}

impl Captured {
    /// Takes the text of a file of lines.
    pub fn from_text(text: &str) -> Self {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let first = text.lines().next().unwrap_or_default();
        let is_head = |head: &str| first.trim_end() == head.trim_end();
        let is_decoded = !is_head(HEAD_DEFAULT);
        let skipped = usize::from(!is_decoded || is_head(HEAD_PROFILE));
        let lines = text.lines().skip(skipped);
        let lines = lines.map(|line| line.trim_end().to_owned()).collect();
        if is_decoded {
            Self::Lines(lines)
        } else {
            Self::Undecoded(lines)
        }
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
            Self::Undecoded(lines) if encoding == Encoding::default() => vec![job_of(lines)],
            Self::Undecoded(lines) => {
                let bytes = default_bytes();
                let again = |line: &String| decoded_again(line, &bytes, encoding);
                vec![job_of(&lines.iter().map(again).collect::<Vec<_>>())]
            }
        }
    }
}

impl std::fmt::Debug for Captured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stream(bytes) => write!(f, "Stream({} bytes)", bytes.len()),
            Self::Lines(lines) => write!(f, "Lines({})", lines.len()),
            Self::Undecoded(lines) => write!(f, "Undecoded({})", lines.len()),
        }
    }
}

/// The byte of each character of code page 437 beyond ASCII.
fn default_bytes() -> BTreeMap<char, u8> {
    (0x80..=0xFF)
        .filter_map(|byte| {
            let text = Charset::default().decode(&[byte], Encoding::default());
            Some((text.chars().next()?, byte))
        })
        .collect()
}

/// Decodes a line in another encoding than code page 437. A line with other characters was decoded by what
/// the stream said, and stays.
fn decoded_again(line: &str, bytes: &BTreeMap<char, u8>, encoding: Encoding) -> String {
    let sent: Option<Vec<u8>> = line
        .chars()
        .map(|c| {
            u8::try_from(c)
                .ok()
                .filter(u8::is_ascii)
                .or_else(|| bytes.get(&c).copied())
        })
        .collect();
    match sent {
        Some(sent) => Charset::default().decode(&sent, encoding),
        None => line.to_owned(),
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
    fn a_capture_of_an_unknown_encoding_is_decoded_again_once_it_is_known() {
        let text = "应收金额：28.00";
        let gbk = encoding_rs::GBK.encode(text).0;
        let as_437 = Charset::default().decode(&gbk, Encoding::default());
        let file = format!("{}{as_437}\n合计 1.00\n", captured_head(true));
        let captured = Captured::from_text(&file);
        assert_ne!(captured.jobs(Encoding::default())[0].lines[0], text);
        let lines = &captured.jobs(Encoding::parse("gbk").unwrap())[0].lines;
        assert_eq!(lines, &[text, "合计 1.00"]);
        let known = format!("{}{text}\n", captured_head(false));
        assert_eq!(
            Captured::from_text(&known).jobs(Encoding::default())[0].lines,
            [text]
        );
    }

    #[test]
    fn debug_shows_no_text() {
        assert_eq!(format!("{:?}", Captured::from_text("secret")), "Lines(1)");
    }
}
