//! The paper that items are printed on: columns, lines, and where a job ends.

use super::codepage::{Charset, Encoding};
use super::escpos::Item;
use super::job::{JOB_BYTES_MAX, JOB_CODES_MAX, JOB_LINES_MAX, Job, JobEnd, Line, Unreadable};

mod line;

use line::LineBuilder;

/// The job under way.
#[derive(Debug)]
pub(super) struct Paper {
    line: LineBuilder,
    lines: Vec<Line>,
    text_bytes: usize,
    drawer_kicks: u32,
    images: u32,
    codes: Vec<String>,
    unknown_commands: u32,
    star: bool,
    /// The last thing printed was a strip of an image.
    in_image: bool,
    /// A CR ended the line, so a LF next to it is the same end.
    after_return: bool,
}

impl Paper {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            line: LineBuilder::new(encoding),
            lines: Vec::new(),
            text_bytes: 0,
            drawer_kicks: 0,
            images: 0,
            codes: Vec::new(),
            unknown_commands: 0,
            star: false,
            in_image: false,
            after_return: false,
        }
    }

    /// Returns whether nothing has been printed since the last job.
    pub(super) fn is_blank(&self) -> bool {
        self.lines.is_empty()
            && self.line.is_empty()
            && self.images == 0
            && self.codes.is_empty()
            && self.drawer_kicks == 0
            && !self.star
    }

    /// Prints an item; returns the job that it ended.
    pub(super) fn print(&mut self, item: Item<'_>) -> Option<Job> {
        let after_return = std::mem::take(&mut self.after_return);
        match item {
            Item::Text { bytes, charset } => {
                self.in_image = false;
                return self.text(bytes, charset);
            }
            Item::LineFeed if after_return => {}
            Item::LineFeed => return self.end_line(),
            Item::CarriageReturn => {
                if !self.line.is_empty() {
                    self.after_return = true;
                    return self.end_line();
                }
            }
            Item::Tab => self.line.tab(),
            Item::TabStops(stops) => self.line.set_tab_stops(stops),
            Item::Column(dot) => self.line.move_to(dot),
            Item::Shift(dots) => self.line.move_by(dots),
            Item::PrintMode(n) => self.line.print_mode(n),
            Item::Size(n) => self.line.size(n),
            Item::Font(n) => self.line.font(n),
            Item::Init => self.line.reset(),
            Item::Cut => {
                let limit = self.end_line();
                return limit.or_else(|| self.end(JobEnd::Cut));
            }
            Item::DrawerKick => self.drawer_kicks = self.drawer_kicks.saturating_add(1),
            Item::Image { .. } => {
                if !self.in_image {
                    self.images = self.images.saturating_add(1);
                }
                self.in_image = true;
                return self.break_line();
            }
            Item::Code { kind, data } => {
                let limit = self.break_line();
                if self.codes.len() < JOB_CODES_MAX && self.text_bytes < JOB_BYTES_MAX {
                    let code = kind.text(data);
                    self.text_bytes += code.len();
                    self.codes.push(code);
                }
                self.in_image = false;
                return limit;
            }
            Item::Unknown => self.unknown_commands = self.unknown_commands.saturating_add(1),
            Item::StarMark => self.star = true,
        }
        None
    }

    /// Ends the job, if there is one. A drawer that opens without a print is none.
    pub(super) fn end(&mut self, ended_by: JobEnd) -> Option<Job> {
        if !self.line.is_empty() {
            self.push_line();
        }
        let mut lines = std::mem::take(&mut self.lines);
        while lines.last().is_some_and(Line::is_empty) {
            lines.pop();
        }
        let codes = std::mem::take(&mut self.codes);
        let images = std::mem::take(&mut self.images);
        let drawer_kicks = std::mem::take(&mut self.drawer_kicks);
        let unknown_commands = std::mem::take(&mut self.unknown_commands);
        let star = std::mem::take(&mut self.star);
        self.text_bytes = 0;
        self.in_image = false;
        if lines.is_empty() && codes.is_empty() && images == 0 && !star {
            return None;
        }
        let unreadable = if star {
            Some(Unreadable::StarNotSupported)
        } else if lines.is_empty() && images > 0 {
            Some(Unreadable::ImageOnly)
        } else {
            None
        };
        Some(Job {
            lines,
            cuts: u32::from(ended_by == JobEnd::Cut),
            drawer_kicks,
            images,
            codes,
            ended_by,
            skipped_bytes: 0,
            unknown_commands,
            unreadable,
        })
    }

    fn text(&mut self, bytes: &[u8], charset: Charset) -> Option<Job> {
        self.line.text(bytes, charset);
        if self.line.is_full() {
            return self.end_line();
        }
        None
    }

    /// Codes and images stand on lines of their own.
    fn break_line(&mut self) -> Option<Job> {
        if self.line.is_empty() {
            return None;
        }
        self.end_line()
    }

    fn end_line(&mut self) -> Option<Job> {
        self.push_line();
        if self.lines.len() >= JOB_LINES_MAX || self.text_bytes >= JOB_BYTES_MAX {
            return self.end(JobEnd::Limit);
        }
        None
    }

    fn push_line(&mut self) {
        let line = self.line.take();
        if line.is_empty() && self.lines.is_empty() {
            return;
        }
        self.text_bytes += line.len();
        self.lines.push(line);
    }
}
