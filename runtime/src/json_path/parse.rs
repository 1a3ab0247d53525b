//! Paths from text.

use super::functions::{Argument, Call, Function};
use super::{JsonPath, PathSyntaxError, Segment};

mod conditions;

/// Length of a path in bytes.
pub const PATH_BYTES_MAX: usize = 16 << 10;
/// Steps of a path; more never match, because values do not nest deeper.
pub const SEGMENTS_MAX: usize = 128;
/// Parentheses, filters and arguments within each other.
const NESTING_MAX: usize = 32;

/// What is wrong, and at which byte.
type Wrong = (String, usize);

pub(super) fn path(text: &str) -> Result<JsonPath, PathSyntaxError> {
    let error = |message: String, at: usize| PathSyntaxError {
        path: text.to_owned(),
        column: text.get(..at.min(text.len())).map_or(0, |before| before.chars().count()) + 1,
        message,
    };
    if text.len() > PATH_BYTES_MAX {
        return Err(error(format!("is longer than {PATH_BYTES_MAX} bytes"), 0));
    }
    let mut parser = Parser { text, at: 0, nesting: 0, in_filter: false };
    let path = parser.whole().map_err(|(message, at)| error(message, at))?;
    Ok(JsonPath { text: text.into(), ..path })
}

struct Parser<'p> {
    text: &'p str,
    at: usize,
    nesting: usize,
    /// Whether the path stands in a filter or among arguments, where more letters end a name.
    in_filter: bool,
}

impl Parser<'_> {
    fn wrong<T>(&self, message: impl Into<String>) -> Result<T, Wrong> {
        Err((message.into(), self.at))
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, sign: &str) -> bool {
        let there = self.rest().starts_with(sign);
        if there {
            self.at += sign.len();
        }
        there
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn expect(&mut self, sign: &str, behind: &str) -> Result<(), Wrong> {
        self.blanks();
        if self.take(sign) { Ok(()) } else { self.wrong(format!("'{sign}' is expected behind {behind}")) }
    }

    /// The end of the text at hand: a name, a path.
    fn ended(&self) -> bool {
        self.rest().trim().is_empty()
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Wrong>) -> Result<T, Wrong> {
        if self.nesting == NESTING_MAX {
            return self.wrong(format!("more than {NESTING_MAX} filters, parentheses and arguments within each other"));
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    fn whole(&mut self) -> Result<JsonPath, Wrong> {
        self.blanks();
        if self.ended() {
            return self.wrong("is empty");
        }
        let path = if matches!(self.peek(), Some('$' | '@')) {
            self.rooted()?
        } else {
            // As if `$.` stood before it.
            let mut segments = Vec::new();
            if self.peek() == Some('[') || self.peek() == Some('.') {
                self.segments(&mut segments)?;
            } else {
                self.step(&mut segments)?;
                self.segments(&mut segments)?;
            }
            JsonPath { text: "".into(), relative: false, segments }
        };
        if !self.ended() {
            return self.wrong("'.' or '[' is expected");
        }
        Ok(path)
    }

    /// A path from its `$` or `@` on.
    fn rooted(&mut self) -> Result<JsonPath, Wrong> {
        let start = self.at;
        let relative = self.peek() == Some('@');
        self.at += 1;
        let mut segments = Vec::new();
        self.segments(&mut segments)?;
        Ok(JsonPath { text: self.text[start..self.at].into(), relative, segments })
    }

    fn segments(&mut self, segments: &mut Vec<Segment>) -> Result<(), Wrong> {
        loop {
            if segments.len() > SEGMENTS_MAX {
                return self.wrong(format!("more than {SEGMENTS_MAX} steps"));
            }
            match self.peek() {
                Some('[') => self.bracket(segments)?,
                Some('.') => {
                    if self.take("..") {
                        segments.push(Segment::Scan);
                    } else {
                        self.at += 1;
                    }
                    match self.peek() {
                        None => return self.wrong("a path must not end with '.' or '..'"),
                        Some('.') => return self.wrong("a name, '*' or '[' is expected behind '.'"),
                        Some('[') => self.bracket(segments)?,
                        Some(_) => self.step(segments)?,
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    /// `*`, a name, or a function with its arguments.
    fn step(&mut self, segments: &mut Vec<Segment>) -> Result<(), Wrong> {
        let behind_function = matches!(segments.last(), Some(Segment::Function(_)));
        if self.take("*") {
            return self.push(segments, Segment::Wildcard);
        }
        let ends = |letter: char| match letter {
            '.' | '[' | '(' => true,
            ' ' | '\t' | '\r' | '\n' => true,
            ')' | ',' | '=' | '!' | '<' | '>' | '~' | '&' | '|' | ']' => self.in_filter,
            _ => false,
        };
        let length = self.rest().find(ends).unwrap_or(self.rest().len());
        let name = &self.rest()[..length];
        if name.is_empty() {
            return self.wrong("a name is expected");
        }
        let name: Box<str> = name.into();
        let start = self.at;
        self.at += length;
        if self.take("(") {
            return self.function(&name, start, segments);
        }
        if behind_function {
            return Err(("only functions can follow a function".into(), start));
        }
        if !self.in_filter && self.peek().is_some_and(char::is_whitespace) && !self.ended() {
            return self.wrong("a name with blanks must be written as ['my name']");
        }
        self.push(segments, Segment::Names(vec![name]))
    }

    fn push(&self, segments: &mut Vec<Segment>, segment: Segment) -> Result<(), Wrong> {
        if matches!(segments.last(), Some(Segment::Function(_))) {
            return self.wrong("only functions can follow a function");
        }
        segments.push(segment);
        Ok(())
    }

    fn function(&mut self, name: &str, start: usize, segments: &mut Vec<Segment>) -> Result<(), Wrong> {
        let Some(function) = Function::of(name) else {
            let known: Vec<&str> = Function::NAMES.iter().map(|(name, _)| *name).collect();
            return Err((format!("there is no function '{name}'; there are {}", known.join(", ")), start));
        };
        let arguments = self.nested(|parser| parser.arguments(name))?;
        if function == Function::Index && arguments.len() != 1 {
            return Err(("index() takes one argument".into(), start));
        }
        segments.push(Segment::Function(Call { function, arguments }));
        Ok(())
    }

    /// Arguments up to the closing parenthesis: values and paths.
    fn arguments(&mut self, name: &str) -> Result<Vec<Argument>, Wrong> {
        let mut arguments = Vec::new();
        self.blanks();
        if self.take(")") {
            return Ok(arguments);
        }
        loop {
            self.blanks();
            arguments.push(match self.peek() {
                Some('$' | '@') => Argument::Path(self.inner_path()?),
                _ => Argument::Value(self.literal()?),
            });
            self.blanks();
            if self.take(")") {
                return Ok(arguments);
            }
            self.expect(",", &format!("an argument of {name}()"))?;
        }
    }

    fn inner_path(&mut self) -> Result<JsonPath, Wrong> {
        let outer = std::mem::replace(&mut self.in_filter, true);
        let path = self.nested(Self::rooted);
        self.in_filter = outer;
        path
    }

    // ------------------------------------------------------------------------------------------- brackets

    fn bracket(&mut self, segments: &mut Vec<Segment>) -> Result<(), Wrong> {
        self.at += 1;
        self.blanks();
        let segment = match self.peek() {
            Some('\'' | '"') => self.names()?,
            Some('*') => {
                self.at += 1;
                Segment::Wildcard
            }
            Some('?') => {
                self.at += 1;
                self.blanks();
                if self.peek() != Some('(') {
                    return self.wrong("a filter is written [?(...)]");
                }
                let outer = std::mem::replace(&mut self.in_filter, true);
                let condition = self.nested(Self::either);
                self.in_filter = outer;
                Segment::Filter(condition?)
            }
            Some('-' | ':' | '0'..='9') => self.indices()?,
            _ => return self.wrong("a name in quotes, an index, '*' or '?(...)' is expected in brackets"),
        };
        self.expect("]", "what stands in brackets")?;
        self.push(segments, segment)
    }

    fn names(&mut self) -> Result<Segment, Wrong> {
        let mut names = Vec::new();
        loop {
            self.blanks();
            match self.peek() {
                Some(quote @ ('\'' | '"')) => names.push(self.quoted(quote)?.into()),
                _ => return self.wrong("a name in quotes is expected"),
            }
            self.blanks();
            if !self.take(",") {
                return Ok(Segment::Names(names));
            }
        }
    }

    /// A text in quotes; a backslash takes the meaning from the next letter, save `\n`, `\t`, `\r`, `\b`, `\f`, `\u`.
    fn quoted(&mut self, quote: char) -> Result<String, Wrong> {
        let open = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(letter) = self.peek() {
            self.at += letter.len_utf8();
            match letter {
                '\\' => {
                    let Some(escaped) = self.peek() else { break };
                    self.at += escaped.len_utf8();
                    text.push(match escaped {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        'u' => {
                            let digits = self.text.get(self.at..self.at + 4);
                            let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                            let Some(letter) = unit.and_then(char::from_u32) else {
                                return self.wrong("four hexadecimal digits of a letter are expected behind \\u");
                            };
                            self.at += 4;
                            letter
                        }
                        other => other,
                    });
                }
                letter if letter == quote => return Ok(text),
                letter => text.push(letter),
            }
        }
        Err((format!("a text in {quote} is not closed"), open))
    }

    fn indices(&mut self) -> Result<Segment, Wrong> {
        let first = self.index()?;
        self.blanks();
        if self.take(":") {
            self.blanks();
            let to = self.index()?;
            self.blanks();
            if self.peek() == Some(':') {
                return self.wrong("slices have no steps");
            }
            if first.is_none() && to.is_none() {
                return self.wrong("a slice needs an index on one side: [1:], [:2]; all items are [*]");
            }
            return Ok(Segment::Slice { from: first, to });
        }
        let mut indices = vec![first];
        loop {
            self.blanks();
            if !self.take(",") {
                break;
            }
            self.blanks();
            indices.push(self.index()?);
        }
        match indices.into_iter().collect() {
            Some(indices) => Ok(Segment::Indices(indices)),
            None => self.wrong("an index is expected"),
        }
    }

    fn index(&mut self) -> Result<Option<i64>, Wrong> {
        let sign = usize::from(self.rest().starts_with('-'));
        let digits = self.rest()[sign..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return if sign == 0 { Ok(None) } else { self.wrong("digits are expected behind '-'") };
        }
        let Ok(index) = self.rest()[..sign + digits].parse::<i32>() else {
            return self.wrong("the index is too large");
        };
        self.at += sign + digits;
        Ok(Some(i64::from(index)))
    }
}
