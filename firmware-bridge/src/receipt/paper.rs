//! The paper that items are printed on: columns, lines, and where a job ends.

use super::codepage::{Charset, Encoding};
use super::item::{Item, PageStep};
use super::job::{JOB_BYTES_MAX, JOB_CODES_MAX, JOB_LINES_MAX, Job, JobEnd, Line, Unreadable};

mod line;
mod page;

use line::LineBuilder;
use page::{Mark, Page, Printed};

/// The job under way.
#[derive(Debug)]
pub(super) struct Paper {
    encoding: Encoding,
    line: LineBuilder,
    /// The page under way, in page mode.
    page: Option<Page>,
    line_spacing: Option<u8>,
    vertical_units: Option<u8>,
    lines: Vec<Line>,
    text_bytes: usize,
    drawer_kicks: u32,
    images: u32,
    codes: Vec<String>,
    unknown_commands: u32,
    skipped_bytes: u64,
    skipped_bytes_total: u64,
    /// The last thing printed was a strip of an image.
    in_image: bool,
    /// A CR ended the line, so a LF next to it is the same end.
    after_return: bool,
}

impl Paper {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            line: LineBuilder::new(encoding),
            page: None,
            line_spacing: None,
            vertical_units: None,
            lines: Vec::new(),
            text_bytes: 0,
            drawer_kicks: 0,
            images: 0,
            codes: Vec::new(),
            unknown_commands: 0,
            skipped_bytes: 0,
            skipped_bytes_total: 0,
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
    }

    /// Returns how many bytes could not be read since the start.
    pub(super) fn skipped_bytes_total(&self) -> u64 {
        self.skipped_bytes_total
    }

    /// Forgets the job under way and what the stream has set, since all of it is read again.
    pub(super) fn forget(&mut self) {
        let skipped_bytes = self.skipped_bytes;
        let skipped_bytes_total = self.skipped_bytes_total;
        *self = Self::new(self.encoding);
        self.skipped_bytes = skipped_bytes;
        self.skipped_bytes_total = skipped_bytes_total;
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
            Item::LineFeed => return self.feed(self.line_units()),
            Item::FeedLines(n) => return self.feed(self.line_units() * i64::from(n)),
            Item::FeedUnits(n) => return self.feed(n.into()),
            Item::LineSpacing(n) => self.line_spacing = n,
            Item::MotionUnits(across, along) => {
                self.line.set_units(across);
                self.vertical_units = (along > 0).then_some(along);
            }
            Item::CarriageReturn => {
                if self.page.is_none() && !self.line.is_empty() {
                    self.after_return = true;
                    return self.end_line();
                }
            }
            Item::Tab => self.line.tab(),
            Item::TabStops(stops) => self.line.set_tab_stops(stops),
            Item::Column(unit) => self.line.move_to(unit),
            Item::Shift(units) => self.line.move_by(units),
            Item::PrintMode(n) => self.line.print_mode(n),
            Item::Size(n) => self.line.size(n),
            Item::Font(n) => self.line.font(n),
            Item::Pitch(n) => self.line.pitch(n),
            Item::Spacing(n) => self.line.set_spacing(n),
            Item::Page(step) => return self.page_step(step),
            Item::Init => {
                self.leave_page();
                self.line.reset();
                self.line_spacing = None;
                self.vertical_units = None;
            }
            Item::Cut => {
                let limit = if self.page.is_some() {
                    None
                } else {
                    self.end_line()
                };
                return limit.or_else(|| self.end(JobEnd::Cut));
            }
            Item::DrawerKick => self.drawer_kicks = self.drawer_kicks.saturating_add(1),
            Item::Image { .. } => return self.image(),
            Item::Code {
                kind,
                data,
                charset,
            } => return self.code(kind.text(data, charset, self.encoding)),
            Item::Unknown => self.unknown_commands = self.unknown_commands.saturating_add(1),
            Item::Skipped(bytes) => {
                self.skipped_bytes += bytes;
                self.skipped_bytes_total += bytes;
            }
        }
        None
    }

    fn line_units(&self) -> i64 {
        page::line_units(self.line_spacing, self.vertical_units)
    }

    /// Ends the line under way and moves on by so many units, which a page alone keeps count of.
    fn feed(&mut self, units: i64) -> Option<Job> {
        if self.page.is_none() {
            return self.end_line();
        }
        self.place();
        self.line.return_to_begin();
        if let Some(page) = &mut self.page {
            page.feed(units);
        }
        self.print_full_page()
    }

    /// Puts what was written so far onto the page.
    fn place(&mut self) {
        if let Some(page) = &mut self.page {
            let (pieces, column_dots) = self.line.take_pieces();
            page.place(pieces, column_dots);
        }
    }

    fn page_step(&mut self, step: PageStep) -> Option<Job> {
        if self.page.is_none() {
            return match step {
                PageStep::Begin => {
                    let limit = self.break_line();
                    self.page = Some(Page::default());
                    limit
                }
                // A form feed, or a height on paper for printers that are not told of a page.
                PageStep::PrintAndEnd
                | PageStep::Print
                | PageStep::Down(_)
                | PageStep::DownBy(_) => self.end_line(),
                PageStep::Area { .. }
                | PageStep::Direction(_)
                | PageStep::Cancel
                | PageStep::End => None,
            };
        }
        self.place();
        match step {
            PageStep::Print => self.print_page(),
            PageStep::PrintAndEnd => {
                let limit = self.print_page();
                self.leave_page();
                limit
            }
            PageStep::End => {
                self.leave_page();
                None
            }
            PageStep::Begin
            | PageStep::Area { .. }
            | PageStep::Direction(_)
            | PageStep::Down(_)
            | PageStep::DownBy(_)
            | PageStep::Cancel => {
                if self.page.as_mut().is_some_and(|page| page.step(step)) {
                    self.line.return_to_begin();
                }
                self.print_full_page()
            }
        }
    }

    /// Goes back to lines; what stands on the page is forgotten.
    fn leave_page(&mut self) {
        if self.page.is_some() {
            self.place();
            self.page = None;
            self.line.return_to_begin();
        }
    }

    fn print_full_page(&mut self) -> Option<Job> {
        if !self.page.as_ref().is_some_and(Page::is_full) {
            return None;
        }
        let limit = self.print_page();
        if let Some(page) = &mut self.page {
            page.clear();
        }
        limit
    }

    /// Prints the page as it stands; it is kept.
    fn print_page(&mut self) -> Option<Job> {
        let printed = self.page.as_ref().map(Page::read).unwrap_or_default();
        // A page goes into one job whole.
        let limit = if self.lines.len() + printed.len() > JOB_LINES_MAX {
            self.end(JobEnd::Limit)
        } else {
            None
        };
        for one in printed {
            match one {
                Printed::Line(line) => self.add_line(line),
                Printed::Code(code) => self.add_code(code),
                Printed::Image => self.images = self.images.saturating_add(1),
            }
        }
        self.in_image = false;
        limit.or_else(|| self.end_at_limit())
    }

    fn image(&mut self) -> Option<Job> {
        if let Some(page) = &mut self.page {
            page.mark(self.line.dot(), Mark::Image);
            return self.print_full_page();
        }
        if !self.in_image {
            self.images = self.images.saturating_add(1);
        }
        self.in_image = true;
        self.break_line()
    }

    fn code(&mut self, code: String) -> Option<Job> {
        if let Some(page) = &mut self.page {
            page.mark(self.line.dot(), Mark::Code(code));
            return self.print_full_page();
        }
        let limit = self.break_line();
        self.add_code(code);
        self.in_image = false;
        limit
    }

    fn add_code(&mut self, code: String) {
        if self.codes.len() < JOB_CODES_MAX && self.text_bytes < JOB_BYTES_MAX {
            self.text_bytes += code.len();
            self.codes.push(code);
        }
    }

    /// Ends the job, if there is one. A drawer that opens without a print is none.
    pub(super) fn end(&mut self, ended_by: JobEnd) -> Option<Job> {
        if self.page.is_some() {
            self.place();
        } else if !self.line.is_empty() {
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
        self.text_bytes = 0;
        self.in_image = false;
        if lines.is_empty() && codes.is_empty() && images == 0 {
            return None;
        }
        let unreadable = if lines.is_empty() && images > 0 {
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
            skipped_bytes: std::mem::take(&mut self.skipped_bytes),
            unknown_commands,
            unreadable,
        })
    }

    fn text(&mut self, bytes: &[u8], charset: Charset) -> Option<Job> {
        self.line.text(bytes, charset);
        if !self.line.is_full() {
            return None;
        }
        if self.page.is_some() {
            self.place();
            return self.print_full_page();
        }
        self.end_line()
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
        self.end_at_limit()
    }

    fn end_at_limit(&mut self) -> Option<Job> {
        if self.lines.len() >= JOB_LINES_MAX || self.text_bytes >= JOB_BYTES_MAX {
            return self.end(JobEnd::Limit);
        }
        None
    }

    fn push_line(&mut self) {
        let line = self.line.take();
        self.add_line(line);
    }

    fn add_line(&mut self, line: Line) {
        if line.is_empty() && self.lines.is_empty() {
            return;
        }
        self.text_bytes += line.len();
        self.lines.push(line);
    }
}
