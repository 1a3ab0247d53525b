//! `LIKE` patterns: `%` any run of characters, `_` exactly one, wherever they stand.

use arrow::buffer::BooleanBuffer;
use memchr::memmem;

use super::value::Texts;

/// A compiled pattern.
#[derive(Debug)]
pub(super) enum Like {
    /// No wildcard.
    Exact(String),
    /// `text%`
    Prefix(String),
    /// `%text`
    Suffix(String),
    /// `%text%`
    Contains(Box<memmem::Finder<'static>>),
    /// Anything else.
    Parts(Vec<Part>),
}

/// A piece of a [`Like::Parts`] pattern.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    /// These very bytes.
    Text(String),
    /// `_`
    One,
    /// `%`
    Run,
}

impl Like {
    /// Compiles a pattern; `escape` makes the character behind it mean itself.
    ///
    /// # Errors
    /// When the escape character stands at the end.
    pub(super) fn compile(pattern: &str, escape: Option<char>) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut letters = pattern.chars();
        while let Some(letter) = letters.next() {
            let literal = if Some(letter) == escape {
                Some(letters.next().ok_or_else(|| format!("LIKE pattern '{pattern}' ends with its escape character"))?)
            } else {
                (!matches!(letter, '%' | '_')).then_some(letter)
            };
            match (literal, parts.last_mut()) {
                (Some(literal), Some(Part::Text(text))) => text.push(literal),
                (Some(literal), _) => parts.push(Part::Text(literal.into())),
                (None, Some(Part::Run)) if letter == '%' => {}
                (None, _) => parts.push(if letter == '%' { Part::Run } else { Part::One }),
            }
        }
        Ok(match parts.as_mut_slice() {
            [] => Self::Exact(String::new()),
            [Part::Text(text)] => Self::Exact(std::mem::take(text)),
            [Part::Text(text), Part::Run] => Self::Prefix(std::mem::take(text)),
            [Part::Run, Part::Text(text)] => Self::Suffix(std::mem::take(text)),
            [Part::Run, Part::Text(text), Part::Run] => {
                Self::Contains(Box::new(memmem::Finder::new(text.as_bytes()).into_owned()))
            }
            _ => Self::Parts(parts),
        })
    }

    /// Whether a text is like the pattern.
    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text == exact,
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Self::Contains(finder) => finder.find(text.as_bytes()).is_some(),
            Self::Parts(parts) => matches_parts(parts, text),
        }
    }

    /// The rows whose text is (or with `negated` is not) like the pattern; null is neither.
    pub(super) fn evaluate(&self, texts: Texts<'_>, negated: bool, rows: usize) -> BooleanBuffer {
        BooleanBuffer::collect_bool(rows, |row| texts.get(row).is_some_and(|text| self.matches(text) != negated))
    }
}

/// Matches greedily from `%` to `%`; going back to the last one suffices, so the time is bounded by the product of
/// the lengths.
fn matches_parts(parts: &[Part], text: &str) -> bool {
    let (mut part, mut rest) = (0, text);
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let stepped = match parts.get(part) {
            Some(Part::Run) => {
                retry = Some((part + 1, rest));
                Some(rest)
            }
            Some(Part::Text(literal)) => rest.strip_prefix(literal.as_str()),
            Some(Part::One) => {
                let mut letters = rest.chars();
                letters.next().map(|_| letters.as_str())
            }
            None if rest.is_empty() => return true,
            None => None,
        };
        match (stepped, &mut retry) {
            (Some(behind), _) => {
                rest = behind;
                part += 1;
            }
            (None, Some((from, start))) => {
                let mut letters = start.chars();
                if letters.next().is_none() {
                    return false;
                }
                *start = letters.as_str();
                (part, rest) = (*from, *start);
            }
            (None, None) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn like(text: &str, pattern: &str) -> bool {
        Like::compile(pattern, None).expect("pattern").matches(text)
    }

    #[test]
    fn wildcards_work_wherever_they_stand() {
        for (text, pattern, expected) in [
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "a_c", true),
            ("abc", "a__c", false),
            ("abc", "_%_", true),
            ("a", "_%_", false),
            ("abcabd", "%ab_", true),
            ("abcabdx", "%ab_", false),
            ("aXbYc", "a%b%c", true),
            ("größe", "gr__e", true),
            ("a.c", "a.c", true),
            ("abc", "a.c", false),
            ("", "", true),
            ("", "%", true),
            ("", "_", false),
            ("a\nb", "a%b", true),
        ] {
            assert_eq!(like(text, pattern), expected, "{text} LIKE {pattern}");
        }
    }

    #[test]
    fn an_escape_makes_a_wildcard_a_letter() {
        let percent = Like::compile("50!%%", Some('!')).expect("pattern");
        assert!(percent.matches("50% off"));
        assert!(!percent.matches("500"));
        assert!(Like::compile("x!", Some('!')).is_err());
    }

    proptest! {
        #[test]
        fn like_means_what_the_regular_expression_means(text in "[ab]{0,8}", pattern in "[ab%_]{0,8}") {
            let expression = format!("(?s)^{}$", pattern.replace('%', ".*").replace('_', "."));
            prop_assert_eq!(like(&text, &pattern), regex::Regex::new(&expression).expect("regex").is_match(&text));
        }
    }
}
