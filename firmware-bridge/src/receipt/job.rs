//! A print job as a person would read it off the paper.

/// Most lines of one job; a longer one is ended and goes on as another.
pub const JOB_LINES_MAX: usize = 2_000;
/// Most bytes of text and codes of one job; a longer one is ended and goes on as another.
pub const JOB_BYTES_MAX: usize = 64 << 10;
/// Most codes that are kept of one job; further ones are dropped.
pub const JOB_CODES_MAX: usize = 64;

/// One line of a receipt, columns kept apart by spaces, without trailing space.
pub type Line = String;

/// What was printed between two cuts or silences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Lines from the first that bears text to the last; blank ones between are kept.
    pub lines: Vec<Line>,
    /// Cuts: 1 when a cut ended the job, else 0.
    pub cuts: u32,
    /// How often the drawer was opened.
    pub drawer_kicks: u32,
    /// Images, strips printed one below the other counted as one.
    pub images: u32,
    /// Contents of barcodes and two-dimensional codes that the printer drew.
    pub codes: Vec<String>,
    /// What ended the job.
    pub ended_by: JobEnd,
    /// Bytes that could not be read: parts of commands, text that an image swallowed for good.
    pub skipped_bytes: u64,
    /// Commands that the dialect does not have.
    pub unknown_commands: u32,
    /// Why nothing must be concluded from the text, if so.
    pub unreadable: Option<Unreadable>,
}

/// What ended a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEnd {
    /// The paper was cut.
    Cut,
    /// The stream fell silent.
    Idle,
    /// The connection ended.
    Close,
    /// [`JOB_LINES_MAX`] or [`JOB_BYTES_MAX`] was reached; the rest follows as another job.
    Limit,
}

/// Why a job cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The receipt was drawn as an image and holds no text.
    #[error("the receipt is one image without text: let the POS print text")]
    ImageOnly,
}

impl Job {
    /// Returns the lines joined by line feeds.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// Returns whether the job holds images and no text.
    pub fn image_only(&self) -> bool {
        self.unreadable == Some(Unreadable::ImageOnly)
    }
}
