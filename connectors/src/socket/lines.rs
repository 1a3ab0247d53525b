//! Lines in what came from a server.

use std::ops::Range;

use egret_runtime::plugin::TaskError;
use egret_runtime::row::{BATCH_BYTES, BATCH_ROWS};
use memchr::memchr;

/// What was read and is not out yet.
#[derive(Default)]
pub(super) struct Text {
    /// Bytes that are out, then those that are not.
    pub bytes: Vec<u8>,
    used: usize,
    /// No line ends between `used` and here.
    searched: usize,
}

impl Text {
    /// Whether everything is out.
    pub fn is_empty(&self) -> bool {
        self.used == self.bytes.len()
    }

    /// Where the next lines stand, at most a batch of them; with `all` what stands behind the last line end too.
    ///
    /// # Errors
    /// When a line is too long.
    pub fn take_lines(&mut self, all: bool, line_bytes_max: usize) -> Result<Vec<Range<usize>>, TaskError> {
        let mut lines = Vec::new();
        let begin = self.used;
        while lines.len() < BATCH_ROWS && self.used - begin < BATCH_BYTES {
            let from = self.searched.max(self.used);
            let (end, next) = match memchr(b'\n', &self.bytes[from..]) {
                Some(length) => (from + length, from + length + 1),
                None => (self.bytes.len(), self.bytes.len()),
            };
            if end - self.used > line_bytes_max {
                let message = format!("a line is longer than max_line_bytes = {line_bytes_max}");
                return Err(TaskError::permanent(message));
            }
            if end == next && (!all || self.is_empty()) {
                self.searched = end;
                break;
            }
            let carriage_return = end > self.used && self.bytes[end - 1] == b'\r';
            lines.push(self.used..end - usize::from(carriage_return));
            self.used = next;
        }
        Ok(lines)
    }

    /// Makes room for what comes next.
    pub fn compact(&mut self) {
        self.bytes.drain(..self.used);
        self.searched = self.searched.saturating_sub(self.used);
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &mut Text, all: bool) -> Vec<String> {
        let places = text.take_lines(all, 100).expect("short lines");
        places.into_iter().map(|place| String::from_utf8_lossy(&text.bytes[place]).into_owned()).collect()
    }

    #[test]
    fn lines_end_where_they_end_and_the_rest_waits() {
        let mut text = Text { bytes: b"a\r\n\nb".to_vec(), ..Text::default() };
        assert_eq!(lines(&mut text, false), ["a", ""]);
        text.compact();
        text.bytes.extend_from_slice(b"c\nd");
        assert_eq!(lines(&mut text, false), ["bc"]);
        assert_eq!(lines(&mut text, true), ["d"]);
        assert!(lines(&mut text, true).is_empty() && text.is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_whether_it_ends_or_not() {
        for bytes in [b"01234567890".as_slice(), b"01234567890\n"] {
            let mut text = Text { bytes: bytes.to_vec(), ..Text::default() };
            let error = text.take_lines(false, 10).expect_err("too long").to_string();
            assert!(error.contains("max_line_bytes = 10"), "{error}");
        }
        let mut text = Text { bytes: b"0123456789\n".to_vec(), ..Text::default() };
        assert_eq!(lines(&mut text, false), ["0123456789"]);
    }

    #[test]
    fn a_batch_of_lines_is_taken_at_once() {
        let mut text = Text { bytes: b"\n".repeat(BATCH_ROWS + 3), ..Text::default() };
        assert_eq!((lines(&mut text, false).len(), lines(&mut text, false).len()), (BATCH_ROWS, 3));
    }

    proptest! {
        #[test]
        fn the_size_of_the_pieces_does_not_matter(whole in "[ab\r\n]{0,60}", piece in 1usize..20) {
            let ends: Vec<&str> = whole.split('\n').collect();
            let mut expected: Vec<&str> = ends.iter().map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
            if whole.is_empty() || whole.ends_with('\n') {
                expected.pop();
            }
            let (mut text, mut found) = (Text::default(), Vec::new());
            for part in whole.as_bytes().chunks(piece) {
                text.compact();
                text.bytes.extend_from_slice(part);
                found.extend(lines(&mut text, false));
            }
            found.extend(lines(&mut text, true));
            prop_assert_eq!(found, expected);
        }
    }
}
