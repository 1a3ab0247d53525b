//! What is wrong with a config: collected, not thrown, so that all of it is told at once.

use std::fmt;

use super::value::Position;

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The job runs all the same.
    Warning,
    /// The job is refused.
    Error,
}

/// One thing wrong with a config.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Whether it keeps the job from running.
    pub severity: Severity,
    /// Where.
    pub position: Option<Position>,
    /// Which block, `source[0] FakeSource`; empty for the whole file.
    pub block: String,
    /// Which option of the block.
    pub option: Option<Box<str>>,
    /// What is wrong and what was expected. Never holds the value of a secret.
    pub message: String,
    /// How to mend it, when that is known better than the message says.
    pub help: Option<String>,
}

impl Problem {
    /// An error at a place.
    pub fn error(position: impl Into<Option<Position>>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            position: position.into(),
            block: String::new(),
            option: None,
            message: message.into(),
            help: None,
        }
    }

    /// A warning at a place.
    pub fn warning(position: impl Into<Option<Position>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(position, message) }
    }

    /// Names the block.
    #[must_use]
    pub fn in_block(mut self, block: impl Into<String>) -> Self {
        self.block = block.into();
        self
    }

    /// Names the option.
    #[must_use]
    pub fn of_option(mut self, option: impl Into<String>) -> Self {
        self.option = Some(option.into().into());
        self
    }

    /// Adds the cure.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Problem {
    /// The message first, then where: for replies whose readers look for the message's own words.
    ///
    /// `The 'plugin_name' option is not configured, please configure it. (at job.conf:3:5, source[0]; help: ...)`
    pub fn message_first(&self) -> String {
        self.with_details(&self.message, self.option.as_ref().map(|option| format!("option '{option}'")))
    }

    /// As [`Problem::message_first`], in words that name the option themselves.
    pub fn in_other_words(&self, words: &str) -> String {
        self.with_details(words, None)
    }

    fn with_details(&self, words: &str, option: Option<String>) -> String {
        let place = self.position.as_ref().map(|position| format!("at {position}"));
        let block = (!self.block.is_empty()).then(|| self.block.clone());
        let mut details = [place, block, option].into_iter().flatten().collect::<Vec<_>>().join(", ");
        if let Some(help) = &self.help {
            details.push_str(if details.is_empty() { "help: " } else { "; help: " });
            details.push_str(help);
        }
        if details.is_empty() { words.to_owned() } else { format!("{words} ({details})") }
    }
}

/// `error: job.conf:12:5: source[0] FakeSource, option 'row.num': expected a whole number, found text 'many'
/// (help: ...)`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.severity {
            Severity::Warning => "warning: ",
            Severity::Error => "error: ",
        })?;
        if let Some(position) = &self.position {
            write!(f, "{position}: ")?;
        }
        match (&self.block, &self.option) {
            (block, Some(option)) if block.is_empty() => write!(f, "option '{option}': ")?,
            (block, Some(option)) => write!(f, "{block}, option '{option}': ")?,
            (block, None) if block.is_empty() => {}
            (block, None) => write!(f, "{block}: ")?,
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " (help: {help})"),
            None => Ok(()),
        }
    }
}

/// What the message begins with when an option is missing that has to be there.
pub const REQUIRED: &str = "is required but not given";

/// Errors that are kept, and as many warnings again; the rest is counted. A config of nothing but mistakes must not
/// cost more to refuse than to read.
pub const PROBLEMS_MAX: usize = 100;

/// All problems found so far, up to [`PROBLEMS_MAX`] of each severity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Problems {
    found: Vec<Problem>,
    left_out: usize,
}

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        let severity = problem.severity;
        // Below the bound of one severity there is nothing to count.
        if self.found.len() >= PROBLEMS_MAX
            && self.found.iter().filter(|other| other.severity == severity).count() >= PROBLEMS_MAX
        {
            self.left_out += 1;
        } else {
            self.found.push(problem);
        }
    }

    /// Adds all of another collection.
    pub fn append(&mut self, other: Problems) {
        self.left_out += other.left_out;
        for problem in other.found {
            self.push(problem);
        }
    }

    /// How many more there were than are kept.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Puts them into the order of the text: file by file as first met, then by line and column. Problems without a
    /// place come first.
    pub fn sort_by_position(&mut self) {
        let mut files: Vec<std::sync::Arc<str>> = Vec::new();
        for position in self.found.iter().filter_map(|problem| problem.position.as_ref()) {
            if !files.contains(&position.file) {
                files.push(position.file.clone());
            }
        }
        self.found.sort_by_key(|problem| {
            problem
                .position
                .as_ref()
                .map(|position| (files.iter().position(|file| *file == position.file), position.line, position.column))
        });
    }

    /// Names the option that they were found in: `type` in `columns[2]` becomes `columns[2].type`.
    #[must_use]
    pub fn in_option(mut self, outer: &str) -> Problems {
        for problem in &mut self.found {
            problem.option = Some(match problem.option.take() {
                Some(inner) => format!("{outer}.{inner}").into(),
                None => outer.into(),
            });
        }
        self
    }

    /// The same for a text that stands within another, with its first character at `line` and `column` there.
    #[must_use]
    pub fn within(mut self, line: u32, column: u32) -> Problems {
        for position in self.found.iter_mut().filter_map(|problem| problem.position.as_mut()) {
            if position.line == 1 {
                position.column = position.column.saturating_add(column.saturating_sub(1));
            }
            position.line = position.line.saturating_add(line.saturating_sub(1));
        }
        self
    }

    /// The errors and the warnings apart.
    pub fn split(self) -> (Problems, Problems) {
        let (errors, warnings) = self.found.into_iter().partition(|problem| problem.severity == Severity::Error);
        (Self { found: errors, left_out: self.left_out }, Self { found: warnings, left_out: 0 })
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All, in the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.found.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The errors alone.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter().filter(|problem| problem.severity == Severity::Error)
    }
}

/// One problem a line.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.found.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        if self.left_out > 0 {
            write!(f, "\nand {} more", self.left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { found: vec![problem], left_out: 0 }
    }
}

/// Of `names`, in any order, the one that `written` was most likely meant to be.
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |text: &str| text.to_ascii_lowercase().replace(['-', '.'], "_");
    let wanted = fold(written);
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &fold(name)), name))
        .filter(|(distance, name)| {
            // A name of one letter is like every other.
            let shorter = name.len().min(written.len());
            *distance < shorter.max(1) && *distance <= (shorter / 3).max(1)
        })
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_a_text_within_another_are_told_of_the_whole() {
        let at = |line, column| Problem::error(Position { file: "x".into(), line, column }, "wrong");
        let mut problems = Problems::from(at(1, 4));
        problems.push(at(3, 4));
        problems.push(Problem::error(None, "nowhere"));
        let lines = problems.within(5, 10).to_string();
        assert_eq!(lines, "error: x:5:13: wrong\nerror: x:7:4: wrong\nerror: nowhere");
    }

    #[test]
    fn a_flood_of_warnings_does_not_hide_an_error() {
        let mut problems = Problems::default();
        for _ in 0..PROBLEMS_MAX + 7 {
            problems.push(Problem::warning(None, "odd"));
        }
        problems.push(Problem::error(None, "wrong"));
        assert_eq!((problems.len(), problems.left_out()), (PROBLEMS_MAX + 1, 7));
        assert!(problems.has_errors());
        assert!(problems.to_string().ends_with("and 7 more"));
    }

    #[test]
    fn near_misses_are_found_and_far_ones_are_not() {
        let names = ["row.num", "schema", "split.num"];
        assert_eq!(nearest("row.nums", names), Some("row.num"));
        assert_eq!(nearest("row_num", names), Some("row.num"));
        assert_eq!(nearest("shcema", names), Some("schema"));
        assert_eq!(nearest("banana", names), None);
        assert_eq!((nearest("c", ["a", "b"]), nearest("A", ["a", "b"])), (None, Some("a")));
        for names in [["fake2", "fake1"], ["fake1", "fake2"]] {
            assert_eq!(nearest("fake", names), Some("fake1"), "whatever the order is");
        }
    }
}
