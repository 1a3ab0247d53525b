//! JSONPath with the meaning of the library that the original uses (Jayway), over values that keep their numbers'
//! text.
//!
//! A path is *definite* when it can find one value at most: names and single indices only. Read strictly
//! ([`JsonPath::read`]), a definite path gives its value and fails when there is none; any other path gives the list
//! of what it finds, which may be empty. A function at the end takes what the path in front of it finds.
//!
//! No crate has this meaning: those that are kept up (`serde_json_path`, `jsonpath-rust`) follow RFC 9535, which has
//! neither functions at the end of a path, nor merged names, nor the operators of filters, nor definite paths that fail.
//! And all read numbers into doubles first.

mod evaluate;
mod fill;
mod filter;
mod functions;
mod json;
mod parse;

#[cfg(test)]
mod tests;

use std::fmt;

pub use evaluate::{FOUND_MAX, PathError, VISITS_MAX};
pub use fill::{FillError, fill};
pub use json::{JSON_DEPTH_MAX, Json, JsonError};
pub use parse::{PATH_BYTES_MAX, SEGMENTS_MAX};

use filter::Condition;
use functions::Call;

/// A path that was read and found valid.
#[derive(Debug)]
pub struct JsonPath {
    text: Box<str>,
    /// Whether the path begins at the value that a filter looks at (`@`), not at the document (`$`).
    relative: bool,
    segments: Vec<Segment>,
}

/// A step from values to values.
#[derive(Debug)]
enum Segment {
    /// `.name`, `['name', 'other']`
    Names(Vec<Box<str>>),
    /// `[0, -1]`
    Indices(Vec<i64>),
    /// `[1:-1]`
    Slice { from: Option<i64>, to: Option<i64> },
    /// `*`
    Wildcard,
    /// `..`: what follows is looked for at every depth.
    Scan,
    /// `[?(...)]`
    Filter(Condition),
    /// `.length()`
    Function(Call),
}

/// A text that is not a path, or one that cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSyntaxError {
    /// The path.
    pub path: String,
    /// What is wrong, and how to mend it.
    pub message: String,
    /// Where, in characters from 1.
    pub column: usize,
}

impl fmt::Display for PathSyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JSON path '{}', character {}: {}", self.path, self.column, self.message)
    }
}

impl std::error::Error for PathSyntaxError {}

impl Segment {
    /// Whether this step leads to one value at most. Several names at the end of a path are merged into one object.
    fn is_definite(&self, last: bool) -> bool {
        match self {
            Self::Names(names) => names.len() == 1 || last,
            Self::Indices(indices) => indices.len() == 1,
            Self::Function(_) => true,
            Self::Slice { .. } | Self::Wildcard | Self::Scan | Self::Filter(_) => false,
        }
    }
}

impl JsonPath {
    /// Reads a path. One that begins with neither `$` nor `@` is read as if `$.` stood before it.
    ///
    /// # Errors
    /// When it is not a path, is longer than [`PATH_BYTES_MAX`] or has more than [`SEGMENTS_MAX`] steps.
    pub fn parse(text: &str) -> Result<Self, PathSyntaxError> {
        parse::path(text)
    }

    /// The path as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the path finds one value at most. One that ends in a function does.
    pub fn is_definite(&self) -> bool {
        if matches!(self.segments.last(), Some(Segment::Function(_))) {
            return true;
        }
        let last = self.segments.len().saturating_sub(1);
        self.segments.iter().enumerate().all(|(index, segment)| segment.is_definite(index == last))
    }
}
