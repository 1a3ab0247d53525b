//! Java's regular expressions.
//!
//! Patterns are rewritten for the `regex` crate, which matches in linear time; those with look-around, references to
//! groups, atomic groups or possessive repetitions, which it cannot do, go to `fancy-regex`, whose backtracking is
//! bounded. What neither can do is refused when the pattern is compiled.
//!
//! What differs in meaning between the two languages is rewritten: `\d \w \s` and the POSIX classes are ASCII, `.`
//! stops at every line end that Java knows, `\uXXXX`, `\Q...\E`, `\h`, `\R` are spelled out. One thing is left as it
//! is: `$` and `\Z` match at the very end only, not before a final line break.

mod translate;

/// Steps that one match may take back before it is given up.
const BACKTRACK_MAX: usize = 1_000_000;
/// Bytes that a compiled pattern may take.
const COMPILED_BYTES_MAX: usize = 10 << 20;

/// The pattern in the language of the `regex` crate, for those who look for it in bytes.
///
/// # Errors
/// When it is no pattern, or one that only backtracking can match (look-around, references to groups, ...).
pub fn in_linear_time(pattern: &str) -> Result<String, String> {
    match translate::translate(pattern, false)? {
        (text, false) => Ok(text),
        (_, true) => Err("look-around, references to groups and possessive repetitions are not possible here".into()),
    }
}

/// A compiled pattern.
#[derive(Debug)]
pub enum JavaRegex {
    /// In linear time.
    Plain(regex::Regex),
    /// By backtracking.
    Backtracking(Box<fancy_regex::Regex>),
}

/// Flags given beside a pattern (`i`, `c`, `n`, `m`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    ignore_case: bool,
    dot_all: bool,
    multi_line: bool,
}

impl Flags {
    /// Reads flags; later ones win.
    ///
    /// # Errors
    /// For any other letter.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut flags = Self::default();
        for letter in text.chars() {
            match letter {
                'i' => flags.ignore_case = true,
                'c' => flags.ignore_case = false,
                'n' => flags.dot_all = true,
                'm' => flags.multi_line = true,
                other => {
                    return Err(format!("'{other}' is not a flag of regular expressions; there are i, c, n and m"));
                }
            }
        }
        Ok(flags)
    }
}

impl JavaRegex {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// When it is no pattern, or one that cannot be done.
    pub fn compile(pattern: &str, flags: Flags) -> Result<Self, String> {
        let error = |reason: &dyn std::fmt::Display| format!("regular expression '{pattern}': {reason}");
        let (mut text, backtracks) = translate::translate(pattern, flags.dot_all).map_err(|reason| error(&reason))?;
        let prefix = [(flags.ignore_case, 'i'), (flags.dot_all, 's'), (flags.multi_line, 'm')]
            .iter()
            .filter_map(|(set, letter)| set.then_some(*letter))
            .collect::<String>();
        if !prefix.is_empty() {
            text = format!("(?{prefix}){text}");
        }
        if !backtracks {
            let plain = regex::RegexBuilder::new(&text).size_limit(COMPILED_BYTES_MAX).build();
            return plain.map(Self::Plain).map_err(|reason| error(&reason));
        }
        fancy_regex::RegexBuilder::new(&text)
            .backtrack_limit(BACKTRACK_MAX)
            .delegate_size_limit(COMPILED_BYTES_MAX)
            .build()
            .map(|regex| Self::Backtracking(Box::new(regex)))
            .map_err(|reason| error(&reason))
    }

    /// Whether the pattern matches somewhere in the text.
    ///
    /// # Errors
    /// When backtracking goes beyond its bound.
    pub fn is_match(&self, text: &str) -> Result<bool, String> {
        match self {
            Self::Plain(regex) => Ok(regex.is_match(text)),
            Self::Backtracking(regex) => regex.is_match(text).map_err(|error| error.to_string()),
        }
    }

    /// How many groups the pattern has, the whole match not counted.
    pub(crate) fn groups(&self) -> usize {
        match self {
            Self::Plain(regex) => regex.captures_len() - 1,
            Self::Backtracking(regex) => regex.captures_len() - 1,
        }
    }

    fn group_index(&self, name: &str) -> Option<usize> {
        match self {
            Self::Plain(regex) => regex.capture_names().position(|known| known == Some(name)),
            Self::Backtracking(regex) => regex.capture_names().position(|known| known == Some(name)),
        }
    }

    /// The text of a group (0: all) of the `occurrence`th match, counted from 1, of those that begin at byte `from`
    /// or later.
    pub(crate) fn find<'t>(
        &self,
        text: &'t str,
        from: usize,
        occurrence: usize,
        group: usize,
    ) -> Result<Option<&'t str>, String> {
        let mut seen = 0;
        let mut found = None;
        self.each_match(text, from, |groups| {
            seen += 1;
            if seen == occurrence.max(1) {
                found = groups.get(group).map(|(from, to)| &text[from..to]);
                return Ok(false);
            }
            Ok(true)
        })?;
        Ok(found)
    }

    /// Gives the text with its first `times` matches replaced to `out`, piece by piece.
    pub(crate) fn replace(
        &self,
        text: &str,
        replacement: &Replacement,
        times: usize,
        out: &mut impl FnMut(&str) -> Result<(), String>,
    ) -> Result<(), String> {
        let (mut copied, mut replaced) = (0, 0);
        self.each_match(text, 0, |groups| {
            let (from, to) = groups.get(0).unwrap_or((0, 0));
            out(&text[copied..from])?;
            for piece in &replacement.pieces {
                match piece {
                    Piece::Text(literal) => out(literal)?,
                    Piece::Group(group) => {
                        if let Some((from, to)) = groups.get(*group) {
                            out(&text[from..to])?;
                        }
                    }
                }
            }
            copied = to;
            replaced += 1;
            Ok(replaced < times)
        })?;
        out(&text[copied..])
    }

    /// Calls `each` with where every match begins and ends, until it says false.
    pub(crate) fn each_span(&self, text: &str, mut each: impl FnMut(usize, usize) -> bool) -> Result<(), String> {
        self.each_match(text, 0, |groups| {
            let (from, to) = groups.get(0).unwrap_or((0, 0));
            Ok(each(from, to))
        })
    }

    /// Calls `each` with the groups of every match from byte `from` on, until it says false.
    fn each_match(
        &self,
        text: &str,
        from: usize,
        mut each: impl FnMut(&Groups<'_, '_>) -> Result<bool, String>,
    ) -> Result<(), String> {
        let mut at = from;
        let mut last_end = None;
        while at <= text.len() {
            // The two engines' captures have the same shape but not the same type.
            let (span, go_on) = match self {
                Self::Plain(regex) => match regex.captures_at(text, at) {
                    None => return Ok(()),
                    Some(captures) => {
                        let span = captures.get(0).map_or((at, at), |found| (found.start(), found.end()));
                        let skip = span.0 == span.1 && last_end == Some(span.1);
                        (span, skip || each(&Groups::Plain(&captures))?)
                    }
                },
                Self::Backtracking(regex) => {
                    match regex.captures_from_pos(text, at).map_err(|error| error.to_string())? {
                        None => return Ok(()),
                        Some(captures) => {
                            let span = captures.get(0).map_or((at, at), |found| (found.start(), found.end()));
                            let skip = span.0 == span.1 && last_end == Some(span.1);
                            (span, skip || each(&Groups::Backtracking(&captures))?)
                        }
                    }
                }
            };
            if !go_on {
                return Ok(());
            }
            last_end = Some(span.1);
            at = span.1;
            if span.0 == span.1 {
                // An empty match: go on behind the next character.
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
        }
        Ok(())
    }
}

enum Groups<'c, 't> {
    Plain(&'c regex::Captures<'t>),
    Backtracking(&'c fancy_regex::Captures<'t, str>),
}

impl Groups<'_, '_> {
    fn get(&self, group: usize) -> Option<(usize, usize)> {
        match self {
            Self::Plain(captures) => captures.get(group).map(|found| (found.start(), found.end())),
            Self::Backtracking(captures) => captures.get(group).map(|found| (found.start(), found.end())),
        }
    }
}

// --------------------------------------------------------------------------------------------- replacements

enum Piece {
    Text(String),
    Group(usize),
}

/// A replacement text: `$1` and `${name}` stand for groups, a backslash takes the meaning from what follows.
pub(crate) struct Replacement {
    pieces: Vec<Piece>,
}

impl Replacement {
    /// Reads a replacement for matches of `regex`.
    ///
    /// # Errors
    /// When it names a group that the pattern lacks, or ends in the middle of one.
    pub fn compile(text: &str, regex: &JavaRegex) -> Result<Self, String> {
        let error = |reason: &str| format!("replacement '{text}': {reason}");
        let mut pieces: Vec<Piece> = Vec::new();
        let mut literal = String::new();
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => literal.push(letters.next().ok_or_else(|| error("a backslash stands at the end"))?),
                '$' => {
                    let group = match letters.peek().copied() {
                        Some('{') => {
                            letters.next();
                            let name: String = letters.by_ref().take_while(|letter| *letter != '}').collect();
                            regex.group_index(&name).ok_or_else(|| error(&format!("there is no group '{name}'")))?
                        }
                        Some(digit) if digit.is_ascii_digit() => {
                            let mut group = 0;
                            let mut first = true;
                            // As many digits as name a group that exists, at least one.
                            while let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(10)) {
                                let longer = group * 10 + digit as usize;
                                if !first && longer > regex.groups() {
                                    break;
                                }
                                (group, first) = (longer, false);
                                letters.next();
                            }
                            if group > regex.groups() {
                                return Err(error(&format!("there is no group {group}")));
                            }
                            group
                        }
                        _ => return Err(error("'$' must be followed by a group, or be written '\\$'")),
                    };
                    if !literal.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Group(group));
                }
                other => literal.push(other),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self { pieces })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn regex(pattern: &str) -> JavaRegex {
        JavaRegex::compile(pattern, Flags::default()).expect(pattern)
    }

    fn replaced(text: &str, pattern: &str, replacement: &str) -> String {
        replaced_times(text, pattern, replacement, usize::MAX)
    }

    fn replaced_times(text: &str, pattern: &str, replacement: &str, times: usize) -> String {
        let regex = regex(pattern);
        let replacement = Replacement::compile(replacement, &regex).expect("replacement");
        let mut out = String::new();
        let mut push = |piece: &str| {
            out.push_str(piece);
            Ok(())
        };
        regex.replace(text, &replacement, times, &mut push).expect("replaced");
        out
    }

    #[test]
    fn patterns_mean_what_they_mean_in_java() {
        for (pattern, text, expected) in [
            (r"^\d+$", "123", true),
            (r"^\d+$", "١٢٣", false),
            (r"\w", "é", false),
            (r"\W", "é", true),
            (r"^[\w-]+$", "a-b", true),
            (r"a.b", "a\rb", false),
            (r"(?s)a.b", "a\nb", true),
            (r"(?i)ÄB", "äb", true),
            (r"\p{Upper}\p{L}", "Aé", true),
            (r"^\p{IsHan}+$", "漢字", true),
            (r"[[a-z]&&[^aeiou]]", "e", false),
            (r"\Qa.b\E", "a.b", true),
            (r"\Qa.b\E", "axb", false),
            (r"\u0041\x42\x{43}\0104", "ABCD", true),
            (r"(a)\1", "aa", true),
            (r"^(?!ab)", "ab", false),
            (r"a(?=b)", "ab", true),
            (r"(?<=x)y", "xy", true),
            (r"a++a", "aaa", false),
            (r"(?>a+)a", "aaa", false),
            (r"\<", "<", true),
            (r"[a--]", "-", true),
            (r"\h", "\u{a0}", true),
            (r"x\Ry", "x\r\ny", true),
            (r"(?u)a", "a", true),
        ] {
            assert_eq!(regex(pattern).is_match(text), Ok(expected), "{pattern} on {text:?}");
        }
        let flags = Flags::parse("in").expect("flags");
        assert_eq!(JavaRegex::compile("A.b", flags).expect("regex").is_match("a\nB"), Ok(true));
        assert!(Flags::parse("x").is_err());
    }

    #[test]
    fn simple_patterns_go_to_the_linear_engine() {
        assert!(matches!(regex(r"(\d+)-.*?[a-z]{2,3}"), JavaRegex::Plain(_)));
        assert!(matches!(regex(r"(?<!a)b"), JavaRegex::Backtracking(_)));
    }

    #[test]
    fn replacements_know_groups_and_escapes() {
        assert_eq!(replaced("2020-10-01", r"(\d+)-(\d+)", "$2/$1"), "10/2020-01");
        assert_eq!(replaced("ab", r"(?<x>a)", "${x}${x}"), "aab");
        assert_eq!(replaced("ab", "a", r"\$1\\"), r"$1\b");
        assert_eq!(replaced("ab", "(a)", "$10"), "a0b");
        assert_eq!(replaced("abc", "x*", "-"), "-a-b-c-");
        assert_eq!(replaced("aaa", "a(?=a)", "b"), "bba");
        assert_eq!(replaced("Hello    World", " +", " "), "Hello World");
        assert_eq!(replaced_times("aaa", "a", "b", 1), "baa");
        for wrong in ["$2", "$", "${y}", "\\", "$x"] {
            assert!(Replacement::compile(wrong, &regex("(a)")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_matches_wanted_are_found() {
        let date = regex(r"(\d{4})-(\d{2})");
        assert_eq!(date.find("2020-10 2021-11", 0, 2, 1), Ok(Some("2021")));
        assert_eq!(date.find("2020-10 2021-11", 1, 1, 0), Ok(Some("2021-11")));
        assert_eq!(date.find("2020-10", 0, 2, 0), Ok(None));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for pattern in [r"\X", r"(?U)a", "(", "a**", r"\", "[a", r"\p{InNowhere}", r"\u12", "{", "(?i"] {
            assert!(JavaRegex::compile(pattern, Flags::default()).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_backtracks_forever_is_given_up() {
        let evil = regex(r"^(?>)(a|a)*\1*(?!a)c");
        let text = "a".repeat(64);
        assert!(evil.is_match(&text).is_err() || evil.is_match(&text) == Ok(false));
    }

    proptest! {
        #[test]
        fn no_pattern_makes_it_panic(pattern in r"[ab\\dwQEpPuxk0-9(){}\[\]*+?|^$.&~=!<>:i-]{0,12}|.{0,12}", text in ".{0,12}", replacement in r"[$\\{}a0-9]{0,6}") {
            if let Ok(regex) = JavaRegex::compile(&pattern, Flags::default()) {
                let _ = (regex.is_match(&text), regex.find(&text, 0, 2, 1));
                let _ = Replacement::compile(&replacement, &regex);
            }
        }
    }
}
