//! Cuts text into rows and fields, without looking at what the fields mean.

use egret_runtime::java_regex;
use memchr::{memchr, memmem};
use regex::bytes::Regex;

use super::scan::Scanner;

const FLAG: u32 = 1 << 31;

/// Where a field stands in its text: start and end. The top bits of the two say more, see [`Span::quoted`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// A field that is not there.
    pub const MISSING: Self = Self { start: 0, end: 0 };

    /// A field. Texts are shorter than 2^31 bytes: see [`LINE_BYTES_LIMIT`](super::lines::LINE_BYTES_LIMIT).
    #[inline]
    pub fn new(start: usize, end: usize) -> Self {
        debug_assert!(end < FLAG as usize);
        Self { start: start as u32, end: end as u32 }
    }

    /// A field that stood in quotes (an empty one is then not null); `escaped` when something in it stands for
    /// something else: quotes doubled in csv, backslashes in JSON.
    #[inline]
    pub fn quoted(start: usize, end: usize, escaped: bool) -> Self {
        let span = Self::new(start, end);
        Self { start: span.start | FLAG, end: span.end | if escaped { FLAG } else { 0 } }
    }

    /// Whether the field stood in quotes.
    #[inline]
    pub fn is_quoted(self) -> bool {
        self.start & FLAG != 0
    }

    /// Whether something in the field stands for something else.
    #[inline]
    pub fn is_escaped(self) -> bool {
        self.end & FLAG != 0
    }

    /// The bytes of the field.
    #[inline]
    pub fn of(self, text: &[u8]) -> &[u8] {
        &text[(self.start & !FLAG) as usize..(self.end & !FLAG) as usize]
    }

    /// Whether there is not a single byte.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.start & !FLAG == self.end & !FLAG
    }
}

/// Rows and fields of a text.
#[derive(Debug, Default)]
pub struct Tokens {
    /// Fields, row by row, [`stride`](Self::stride) for each.
    pub spans: Vec<Span>,
    /// Where each row begins.
    pub rows: Vec<u32>,
    /// Fields kept of each row.
    pub stride: usize,
}

impl Tokens {
    /// Forgets everything; keeps so many fields of each row from now on.
    pub fn clear(&mut self, stride: usize) {
        self.spans.clear();
        self.rows.clear();
        self.stride = stride;
    }

    fn end_row(&mut self, start: usize) {
        self.rows.push(start as u32);
        self.spans.resize(self.rows.len() * self.stride, Span::MISSING);
    }

    fn drop_row(&mut self) {
        self.spans.truncate(self.rows.len() * self.stride);
    }
}

/// Text that breaks the rules of its format.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where.
    pub at: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// How lines are cut into fields.
#[derive(Clone, Debug)]
pub enum Separator {
    /// Not at all: the line is the one field.
    None,
    /// At a byte.
    Byte(u8),
    /// At a text of several bytes.
    Literal(Box<[u8]>),
    /// At what a regular expression matches.
    Pattern(Regex),
    /// At a byte, with fields in double quotes where they need it.
    Quoted(u8),
}

impl Separator {
    /// The separator that an option means. The reference engine takes it for a regular expression; where that would
    /// mean nothing else than itself, or is a single character (`|` alone would match everywhere), it is taken as it
    /// is. So `\\001`, a backslash and digits, is the character with this number, as in Java's patterns.
    ///
    /// # Errors
    /// When it is a regular expression and wrong, or one that only backtracking can match.
    pub fn of(option: &str) -> Result<Self, String> {
        const META: &[u8] = b"\\.$|()[]{}^?*+";
        match option.as_bytes() {
            [] => Ok(Self::None),
            [byte] => Ok(Self::Byte(*byte)),
            [b'\\', b't'] => Ok(Self::Byte(b'\t')),
            [b'\\', byte] if META.contains(byte) => Ok(Self::Byte(*byte)),
            bytes if !bytes.iter().any(|byte| META.contains(byte)) => Ok(Self::Literal(bytes.into())),
            _ => {
                let pattern = java_regex::in_linear_time(option)?;
                match character_of(&pattern) {
                    Some(byte) => Ok(Self::Byte(byte)),
                    None => Regex::new(&pattern).map(Self::Pattern).map_err(|error| error.to_string()),
                }
            }
        }
    }

    /// Cuts as many whole rows as there are, at most `rows_max`; answers where the next row begins. `ended` says that
    /// no more text follows, so that the last line needs no newline.
    ///
    /// # Errors
    /// At the first row that breaks the rules.
    pub fn cut(&self, text: &[u8], ended: bool, rows_max: usize, tokens: &mut Tokens) -> Result<usize, Malformed> {
        match self {
            Self::Byte(separator) => Ok(cut_plain(text, *separator, ended, rows_max, tokens)),
            Self::Quoted(separator) => cut_quoted(text, *separator, ended, rows_max, tokens),
            Self::None => Ok(cut_lines(text, ended, rows_max, tokens, |line, start, tokens| {
                if tokens.stride > 0 {
                    tokens.spans.push(Span::new(start, start + line.len()));
                }
            })),
            Self::Literal(separator) => {
                let finder = memmem::Finder::new(separator);
                Ok(cut_lines(text, ended, rows_max, tokens, |line, start, tokens| {
                    let ends = finder.find_iter(line).map(|at| (at, at + separator.len()));
                    push_fields(line, start, ends, tokens);
                }))
            }
            Self::Pattern(pattern) => Ok(cut_lines(text, ended, rows_max, tokens, |line, start, tokens| {
                let matches = pattern.find_iter(line).map(|found| (found.start(), found.end()));
                push_fields(line, start, matches.filter(|(from, to)| to > from), tokens);
            })),
        }
    }
}

/// The one character of ASCII that a pattern like `\x{1}` stands for.
fn character_of(pattern: &str) -> Option<u8> {
    let digits = pattern.strip_prefix("\\x{")?.strip_suffix('}')?;
    u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii)
}

/// Steps over lines: `row` gets each without its end, and where it begins.
pub fn cut_lines(
    text: &[u8],
    ended: bool,
    rows_max: usize,
    tokens: &mut Tokens,
    mut row: impl FnMut(&[u8], usize, &mut Tokens),
) -> usize {
    let mut start = 0;
    while start < text.len() && tokens.rows.len() < rows_max {
        let (end, next) = match memchr(b'\n', &text[start..]) {
            Some(length) => (start + length, start + length + 1),
            None if ended => (text.len(), text.len()),
            None => break,
        };
        row(&text[start..without_return(text, start, end)], start, tokens);
        tokens.end_row(start);
        start = next;
    }
    start
}

/// The end of a line without a carriage return before it.
#[inline]
fn without_return(text: &[u8], start: usize, end: usize) -> usize {
    if end > start && text[end - 1] == b'\r' { end - 1 } else { end }
}

fn push_fields(line: &[u8], start: usize, cuts: impl Iterator<Item = (usize, usize)>, tokens: &mut Tokens) {
    let mut field = 0;
    let mut kept = 0;
    for (from, to) in cuts {
        if kept == tokens.stride {
            return;
        }
        tokens.spans.push(Span::new(start + field, start + from));
        kept += 1;
        field = to;
    }
    if kept < tokens.stride {
        tokens.spans.push(Span::new(start + field, start + line.len()));
    }
}

fn cut_plain(text: &[u8], separator: u8, ended: bool, rows_max: usize, tokens: &mut Tokens) -> usize {
    let mut scanner = Scanner::new(text, [separator, b'\n']);
    let (mut start, mut field, mut column) = (0, 0, 0);
    while tokens.rows.len() < rows_max {
        match scanner.next_place() {
            Some(place) if text[place] != b'\n' => {
                if column < tokens.stride {
                    tokens.spans.push(Span::new(field, place));
                }
                column += 1;
                field = place + 1;
            }
            None if !ended || start == text.len() => break,
            end => {
                let place = end.unwrap_or(text.len());
                if column < tokens.stride {
                    tokens.spans.push(Span::new(field, without_return(text, field, place)));
                }
                tokens.end_row(start);
                start = (place + 1).min(text.len());
                (field, column) = (start, 0);
            }
        }
    }
    tokens.drop_row();
    start
}

enum Closed {
    /// The field, and where the byte behind its closing quote is.
    At(Span, usize),
    /// The closing quote is still to come.
    Later,
}

/// Reads a field whose opening quote is at `open`.
fn close_quote(text: &[u8], open: usize, ended: bool) -> Result<Closed, Malformed> {
    let (mut at, mut escaped) = (open + 1, false);
    loop {
        let Some(length) = memchr(b'"', &text[at..]) else {
            let what = "the quote that opens a field is never closed";
            return if ended { Err(Malformed { at: open, what }) } else { Ok(Closed::Later) };
        };
        let quote = at + length;
        match text.get(quote + 1) {
            Some(b'"') => {
                escaped = true;
                at = quote + 2;
            }
            // The next chunk may go on with a second quote.
            None if !ended => return Ok(Closed::Later),
            _ => return Ok(Closed::At(Span::quoted(open + 1, quote, escaped), quote + 1)),
        }
    }
}

fn cut_quoted(
    text: &[u8],
    separator: u8,
    ended: bool,
    rows_max: usize,
    tokens: &mut Tokens,
) -> Result<usize, Malformed> {
    let mut scanner = Scanner::new(text, [separator, b'\n']);
    let (mut start, mut field, mut column) = (0, 0, 0);
    'rows: while tokens.rows.len() < rows_max && (start < text.len()) {
        let (span, place) = if text.get(field) == Some(&b'"') {
            let (span, behind) = match close_quote(text, field, ended)? {
                Closed::At(span, behind) => (span, behind),
                Closed::Later => break 'rows,
            };
            let place = match (text.get(behind), text.get(behind + 1)) {
                (Some(byte), _) if *byte == separator || *byte == b'\n' => behind,
                (Some(b'\r'), Some(b'\n')) => behind + 1,
                (Some(b'\r'), None) if !ended => break 'rows,
                (Some(b'\r'), None) | (None, _) => text.len(),
                _ => return Err(Malformed { at: behind, what: "text follows the quote that closes a field" }),
            };
            scanner.seek((place + 1).min(text.len()));
            (span, place)
        } else {
            let place = match scanner.next_place() {
                Some(place) => place,
                None if ended => text.len(),
                None => break 'rows,
            };
            let is_last = text.get(place) != Some(&separator);
            let end = if is_last { without_return(text, field, place) } else { place };
            (Span::new(field, end), place)
        };
        if column < tokens.stride {
            tokens.spans.push(span);
        }
        if text.get(place) == Some(&separator) {
            column += 1;
            field = place + 1;
        } else {
            tokens.end_row(start);
            start = (place + 1).min(text.len());
            (field, column) = (start, 0);
        }
    }
    tokens.drop_row();
    Ok(start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows_of(separator: &Separator, text: &[u8], stride: usize) -> Result<Vec<Vec<String>>, Malformed> {
        let mut tokens = Tokens::default();
        tokens.clear(stride);
        let end = separator.cut(text, true, usize::MAX, &mut tokens)?;
        assert_eq!(end, text.len());
        assert_eq!(tokens.spans.len(), tokens.rows.len() * stride);
        Ok(tokens
            .spans
            .chunks(stride)
            .map(|row| row.iter().map(|span| String::from_utf8_lossy(span.of(text)).into_owned()).collect())
            .collect())
    }

    fn rows(separator: &Separator, text: &str, stride: usize) -> Vec<Vec<String>> {
        rows_of(separator, text.as_bytes(), stride).expect("well-formed")
    }

    #[test]
    fn lines_are_cut_with_and_without_a_last_newline() {
        for separator in [Separator::Byte(b';'), Separator::Quoted(b';'), Separator::Literal(b";".as_slice().into())] {
            for text in ["a;b\r\nc;d", "a;b\nc;d\n", "a;b\nc;d\r\n"] {
                assert_eq!(rows(&separator, text, 2), [["a", "b"], ["c", "d"]], "{separator:?} {text:?}");
            }
            assert_eq!(rows(&separator, "", 2), Vec::<Vec<String>>::new());
            assert_eq!(rows(&separator, "a\n\n;b;c\n", 2), [["a", ""], ["", ""], ["", "b"]], "{separator:?}");
            assert_eq!(rows(&separator, "a;", 2), [["a", ""]]);
        }
    }

    #[test]
    fn an_option_is_an_expression_only_where_it_must_be() {
        assert!(matches!(Separator::of("|"), Ok(Separator::Byte(b'|'))));
        assert!(matches!(Separator::of("\\|"), Ok(Separator::Byte(b'|'))));
        assert!(matches!(Separator::of("\\t"), Ok(Separator::Byte(b'\t'))));
        for one in ["\u{1}", "\\001", "\\u0001", "\\x01"] {
            assert!(matches!(Separator::of(one), Ok(Separator::Byte(1))), "{one}");
        }
        assert!(Separator::of(",(?=a)").expect_err("look-around").contains("not possible here"));
        assert!(matches!(Separator::of("::"), Ok(Separator::Literal(_))));
        assert!(matches!(Separator::of("\\|\\|"), Ok(Separator::Pattern(_))));
        assert!(Separator::of("(a").is_err());
        let pattern = Separator::of(" *[,;] *").expect("a pattern");
        assert_eq!(rows(&pattern, "a , b;c\n,x\n", 3), [["a", "b", "c"], ["", "x", ""]]);
        assert_eq!(rows(&Separator::None, "a,b\n\nc\n", 1), [["a,b"], [""], ["c"]]);
    }

    #[test]
    fn quoted_fields_may_hold_everything() {
        let text = "\"a,1\",\"line\nbreak\"\r\nplain,in\"side\n\"\",\"x\"\"y\"\n";
        assert_eq!(
            rows(&Separator::Quoted(b','), text, 2),
            [["a,1", "line\nbreak"], ["plain", "in\"side"], ["", "x\"\"y"]]
        );
    }

    #[test]
    fn broken_quotes_are_told_with_their_place() {
        let broken = |text: &str| rows_of(&Separator::Quoted(b','), text.as_bytes(), 2).expect_err(text);
        assert_eq!(broken("a,\"b").at, 2);
        assert_eq!(broken("a,\"b\"c\n").at, 5);
    }

    /// Cutting piece by piece gives what cutting at once gives.
    fn by_pieces(separator: &Separator, text: &[u8], piece: usize, stride: usize) -> Vec<Vec<Vec<u8>>> {
        let (mut found, mut start, mut end) = (Vec::new(), 0, 0);
        let mut tokens = Tokens::default();
        loop {
            tokens.clear(stride);
            let here = &text[start..end];
            let used = separator.cut(here, end == text.len(), 3, &mut tokens).expect("well-formed");
            for row in tokens.spans.chunks(stride) {
                found.push(row.iter().map(|span| span.of(here).to_vec()).collect());
            }
            start += used;
            if tokens.rows.is_empty() {
                if end == text.len() {
                    assert_eq!(start, end);
                    return found;
                }
                end = (end + piece).min(text.len());
            }
        }
    }

    proptest! {
        #[test]
        fn the_size_of_the_pieces_does_not_matter(
            fields in proptest::collection::vec(
                (proptest::collection::vec(prop_oneof!["[a-c]{0,3}", Just("\"x,\"\"\n\"".to_owned()), Just("\"\"".into())], 1..5),
                 any::<bool>()), 0..12),
            last in any::<bool>(),
        ) {
            let mut text = String::new();
            for (row, carriage) in &fields {
                text.push_str(&row.join(","));
                text.push_str(if *carriage { "\r\n" } else { "\n" });
            }
            if !last { text.pop(); }
            let separator = Separator::Quoted(b',');
            let whole = by_pieces(&separator, text.as_bytes(), usize::MAX >> 1, 3);
            for piece in 1..=text.len().min(70) {
                prop_assert_eq!(&by_pieces(&separator, text.as_bytes(), piece, 3), &whole, "pieces of {}", piece);
            }
            let plain = text.replace('"', "");
            for separator in [Separator::Byte(b','), Separator::Literal(b",".as_slice().into()), Separator::None] {
                let whole = by_pieces(&separator, plain.as_bytes(), usize::MAX >> 1, 3);
                for piece in 1..=plain.len().min(9) {
                    prop_assert_eq!(&by_pieces(&separator, plain.as_bytes(), piece, 3), &whole);
                }
            }
        }
    }
}
