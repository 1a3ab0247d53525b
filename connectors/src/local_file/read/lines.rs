//! The text of a file in memory: as much of it as is being cut into rows.

use egret_runtime::plugin::TaskError;
use memchr::memchr_iter;

use super::Place;
use super::bytes::ByteStream;

/// Longest line that `max_line_bytes` can allow: places in a text are 31 bits wide.
pub const LINE_BYTES_LIMIT: usize = 1 << 30;

/// Longest line unless `max_line_bytes` says otherwise.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// A window that moves over a file. Holds at most one unfinished line and one and a half chunks.
pub struct LineInput {
    stream: Box<dyn ByteStream>,
    /// For messages: the file.
    about: Box<str>,
    window: Vec<u8>,
    /// Bytes of the window that rows were made of already.
    used: usize,
    /// Where in the file the rest of the window is.
    place: Place,
    ended: bool,
    line_bytes_max: usize,
    low_water: usize,
}

impl LineInput {
    /// Reads on from a place, where `stream` stands already; `about` names the file.
    pub fn new(stream: Box<dyn ByteStream>, about: &str, place: Place, line_bytes_max: usize) -> Self {
        let low_water = stream.piece_bytes().div_ceil(2);
        Self {
            stream,
            about: about.into(),
            window: Vec::new(),
            used: 0,
            place,
            ended: false,
            line_bytes_max,
            low_water,
        }
    }

    /// Where the text that is left begins.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The text that is left in the window, and whether the file ends with it.
    pub fn text(&self) -> (&[u8], bool) {
        (&self.window[self.used..], self.ended)
    }

    /// Makes sure that there is a good piece of text, or all that is left. A dropped future loses nothing.
    pub async fn prepare(&mut self) -> Result<(), TaskError> {
        while !self.ended && self.window.len() - self.used < self.low_water {
            self.read_more().await?;
        }
        Ok(())
    }

    /// Reads another chunk because no line ends in the window.
    ///
    /// # Errors
    /// When the line is too long, or the file cannot be read.
    pub async fn extend(&mut self) -> Result<(), TaskError> {
        if self.window.len() - self.used > self.line_bytes_max {
            return Err(TaskError::permanent(format!(
                "{}: line {} is longer than max_line_bytes = {}",
                self.about,
                self.place.line + 1,
                self.line_bytes_max
            )));
        }
        self.read_more().await
    }

    async fn read_more(&mut self) -> Result<(), TaskError> {
        if self.used > 0 {
            self.window.copy_within(self.used.., 0);
            self.window.truncate(self.window.len() - self.used);
            self.used = 0;
        }
        self.ended = self.stream.fill(&mut self.window).await? == 0;
        if self.place.offset == 0 && self.window.starts_with(b"\xef\xbb\xbf") {
            // A byte order mark is no text.
            self.used = 3;
            self.place.offset = 3;
        }
        Ok(())
    }

    /// Moves on behind rows that were cut from the text.
    pub fn consume(&mut self, bytes: usize) {
        let text = &self.window[self.used..self.used + bytes];
        let lines = memchr_iter(b'\n', text).count() + usize::from(!text.is_empty() && !text.ends_with(b"\n"));
        self.place.line += lines as u64;
        self.place.offset += bytes as u64;
        self.used += bytes;
    }

    /// A failure at a place of the text: `<file>: line 7: <message>`.
    pub fn failure(&self, at: usize, message: impl std::fmt::Display) -> TaskError {
        let text = &self.window[self.used..];
        let line = self.place.line + memchr_iter(b'\n', &text[..at.min(text.len())]).count() as u64 + 1;
        TaskError::permanent(format!("{}: line {line}: {message}", self.about))
    }

    /// Closes the file.
    pub async fn close(self) -> Result<(), TaskError> {
        self.stream.close().await
    }
}
