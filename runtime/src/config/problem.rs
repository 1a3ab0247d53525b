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
    pub option: Option<String>,
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
        self.option = Some(option.into());
        self
    }

    /// Adds the cure.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
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

/// All problems found so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.found.push(problem);
    }

    /// Adds all of another collection.
    pub fn append(&mut self, mut other: Problems) {
        self.found.append(&mut other.found);
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
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { found: vec![problem] }
    }
}

/// Of `names`, the one that `written` was most likely meant to be.
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |text: &str| text.to_ascii_lowercase().replace(['-', '.'], "_");
    let wanted = fold(written);
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &fold(name)), name))
        .filter(|(distance, name)| *distance <= (name.len().min(written.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found_and_far_ones_are_not() {
        let names = ["row.num", "schema", "split.num"];
        assert_eq!(nearest("row.nums", names), Some("row.num"));
        assert_eq!(nearest("row_num", names), Some("row.num"));
        assert_eq!(nearest("shcema", names), Some("schema"));
        assert_eq!(nearest("banana", names), None);
    }
}
