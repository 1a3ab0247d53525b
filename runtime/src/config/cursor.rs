//! A place in a text that moves forward and knows its line and column.

use std::sync::Arc;

use super::problem::Problem;
use super::value::Position;

/// Reads a text character by character.
pub(super) struct Cursor<'t> {
    text: &'t str,
    file: Arc<str>,
    offset: usize,
    line: u32,
    column: u32,
    /// Blanks that the line begins with, as far as it is read.
    indentation: usize,
    /// Whether nothing but blanks was read of the line.
    blank_so_far: bool,
}

/// Why a text cannot be read further.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub position: Position,
    pub message: String,
    pub help: Option<String>,
}

impl SyntaxError {
    pub fn new(position: Position, message: impl Into<String>) -> Self {
        Self { position, message: message.into(), help: None }
    }

    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn into_problem(self) -> Problem {
        let problem = Problem::error(self.position, self.message);
        match self.help {
            Some(help) => problem.with_help(help),
            None => problem,
        }
    }
}

impl<'t> Cursor<'t> {
    /// The beginning of a text; a byte order mark is skipped.
    pub fn new(text: &'t str, file: Arc<str>) -> Self {
        let offset = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, file, offset, line: 1, column: 1, indentation: 0, blank_so_far: true }
    }

    pub fn position(&self) -> Position {
        Position { file: self.file.clone(), line: self.line, column: self.column }
    }

    pub fn line(&self) -> u32 {
        self.line
    }

    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The text between two offsets that this cursor has been at.
    pub fn slice(&self, from: usize, to: usize) -> &'t str {
        &self.text[from..to]
    }

    pub fn rest(&self) -> &'t str {
        &self.text[self.offset..]
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub fn looking_at(&self, what: &str) -> bool {
        self.rest().starts_with(what)
    }

    pub fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.offset += next.len_utf8();
        if next == '\n' {
            self.line += 1;
            self.column = 1;
            self.indentation = 0;
            self.blank_so_far = true;
        } else {
            self.column += 1;
            self.blank_so_far &= next.is_whitespace();
            self.indentation += usize::from(self.blank_so_far);
        }
        Some(next)
    }

    /// Steps over `what` if it is next.
    pub fn eat(&mut self, what: &str) -> bool {
        let found = self.looking_at(what);
        if found {
            for _ in what.chars() {
                self.bump();
            }
        }
        found
    }

    pub fn bump_while(&mut self, mut accept: impl FnMut(char) -> bool) -> &'t str {
        let start = self.offset;
        while self.peek().is_some_and(&mut accept) {
            self.bump();
        }
        &self.text[start..self.offset]
    }

    /// To the end of the line, the line break not included.
    pub fn skip_line(&mut self) {
        self.bump_while(|next| next != '\n');
    }

    /// What is next, for messages.
    pub fn found(&self) -> String {
        match self.peek() {
            None => "the end of the text".into(),
            Some('\n') => "the end of the line".into(),
            Some(next) if next.is_control() => format!("the character U+{:04X}", u32::from(next)),
            Some(next) => format!("'{next}'"),
        }
    }

    /// Whether only blanks stand between the beginning of the line and this place.
    pub fn begins_its_line(&self) -> bool {
        self.blank_so_far
    }

    /// Blanks before the first other character of this line, counted, as far as the line is read.
    pub fn indentation(&self) -> usize {
        self.indentation
    }
}

/// How strict a quoted text is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    /// As JSON demands: no control characters.
    Json,
    /// Control characters but the line break may stand for themselves: a delimiter that was pasted in.
    Relaxed,
}

/// Reads a text in double quotes; the cursor is at the opening one. After an error it is behind the closing one, or at
/// the end of the line.
pub(super) fn quoted(cursor: &mut Cursor<'_>, quoting: Quoting) -> Result<String, SyntaxError> {
    let opening = cursor.position();
    cursor.bump();
    quoted_rest(cursor, quoting, opening).inspect_err(|_| skip_quoted_rest(cursor))
}

/// Steps over a text in double quotes, whatever is wrong in it.
pub(super) fn skip_quoted(cursor: &mut Cursor<'_>) {
    cursor.bump();
    skip_quoted_rest(cursor);
}

fn skip_quoted_rest(cursor: &mut Cursor<'_>) {
    while let Some(next) = cursor.peek().filter(|next| *next != '\n') {
        cursor.bump();
        match next {
            '"' => return,
            '\\' if !cursor.looking_at("\n") => {
                cursor.bump();
            }
            _ => {}
        }
    }
}

fn quoted_rest(cursor: &mut Cursor<'_>, quoting: Quoting, opening: Position) -> Result<String, SyntaxError> {
    let mut text = String::new();
    loop {
        text.push_str(cursor.bump_while(|next| next != '"' && next != '\\' && !next.is_control()));
        match cursor.peek() {
            Some('"') => {
                cursor.bump();
                return Ok(text);
            }
            Some('\\') => text.push(escape(cursor)?),
            None | Some('\n') => {
                let error = SyntaxError::new(opening, "this quoted text does not end on its line: expected '\"'");
                return Err(match quoting {
                    Quoting::Json => error,
                    Quoting::Relaxed => error.with_help("text of several lines goes between \"\"\" and \"\"\""),
                });
            }
            // Of a line that ends in two characters the text does not end either.
            Some('\r') if cursor.looking_at("\r\n") => {
                cursor.bump();
            }
            Some(control) if quoting == Quoting::Relaxed => {
                text.push(control);
                cursor.bump();
            }
            // DEL and the C1 controls are plain characters to JSON.
            Some(control) if control >= ' ' => {
                text.push(control);
                cursor.bump();
            }
            Some(control) => {
                let code = u32::from(control);
                let message = format!("the character U+{code:04X} cannot stand in quoted text");
                return Err(
                    SyntaxError::new(cursor.position(), message).with_help(format!("write it as \\u{code:04x}"))
                );
            }
        }
    }
}

/// Reads one escape; the cursor is at the backslash.
fn escape(cursor: &mut Cursor<'_>) -> Result<char, SyntaxError> {
    let position = cursor.position();
    cursor.bump();
    let plain = match cursor.peek() {
        Some('"') => '"',
        Some('\\') => '\\',
        Some('/') => '/',
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => {
            cursor.bump();
            return unicode_escape(cursor, position);
        }
        _ => {
            let message = format!("expected one of \" \\ / b f n r t u after '\\', found {}", cursor.found());
            return Err(SyntaxError::new(position, message).with_help("a backslash itself is written \\\\"));
        }
    };
    cursor.bump();
    Ok(plain)
}

fn unicode_escape(cursor: &mut Cursor<'_>, position: Position) -> Result<char, SyntaxError> {
    let first = hex_digits(cursor, &position)?;
    let code = match first {
        0xd800..=0xdbff if cursor.looking_at("\\u") => {
            cursor.eat("\\u");
            let second = hex_digits(cursor, &position)?;
            if !(0xdc00..=0xdfff).contains(&second) {
                return Err(lone_surrogate(position));
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        }
        _ => first,
    };
    char::from_u32(code).ok_or_else(|| lone_surrogate(position))
}

fn lone_surrogate(position: Position) -> SyntaxError {
    SyntaxError::new(position, "this \\u escape is half of a surrogate pair without its other half")
}

fn hex_digits(cursor: &mut Cursor<'_>, position: &Position) -> Result<u32, SyntaxError> {
    let mut code = 0;
    for _ in 0..4 {
        let Some(digit) = cursor.peek().and_then(|next| next.to_digit(16)) else {
            let message = format!("expected four hexadecimal digits after '\\u', found {}", cursor.found());
            return Err(SyntaxError::new(position.clone(), message));
        };
        cursor.bump();
        code = code * 16 + digit;
    }
    Ok(code)
}

/// Whether a text is a number as JSON writes them.
pub(super) fn is_json_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let text = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text.starts_with('0')) {
        return false;
    }
    let mut rest = &text[whole..];
    if let Some(behind) = rest.strip_prefix('.') {
        let fraction = digits(behind);
        if fraction == 0 {
            return false;
        }
        rest = &behind[fraction..];
    }
    if let Some(behind) = rest.strip_prefix(['e', 'E']) {
        let behind = behind.strip_prefix(['+', '-']).unwrap_or(behind);
        let exponent = digits(behind);
        return exponent > 0 && exponent == behind.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, quoting: Quoting) -> Result<String, String> {
        quoted(&mut Cursor::new(text, "t".into()), quoting).map_err(|error| error.message)
    }

    #[test]
    fn escapes_are_those_of_json() {
        assert_eq!(
            read(r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#, Quoting::Json).as_deref(),
            Ok("a\"\\/\u{8}\u{c}\n\r\té😀")
        );
        for broken in [
            r#""\d""#,
            r#""\u12g4""#,
            r#""\ud83d""#,
            r#""\ud83d\u0041""#,
            r#""\ude00""#,
            "\"a",
            "\"a\nb\"",
            "\"a\r\nb\"",
        ] {
            assert!(read(broken, Quoting::Relaxed).is_err(), "{broken:?}");
        }
        for control in ["\t", "\u{1}", "\r"] {
            assert!(read(&format!("\"{control}\""), Quoting::Json).is_err());
            assert_eq!(read(&format!("\"{control}\""), Quoting::Relaxed).as_deref(), Ok(control));
        }
    }

    #[test]
    fn numbers_are_those_of_json() {
        for number in ["0", "-0", "10", "1.50", "1e5", "1E+5", "-1.5e-7", "123456789012345678901234567890.10"] {
            assert!(is_json_number(number), "{number}");
        }
        for other in ["", "-", "01", "1.", ".5", "+1", "1e", "1e+", "1x", "2024-01-01", "1.2.3", "0x1", "NaN"] {
            assert!(!is_json_number(other), "{other}");
        }
    }

    #[test]
    fn columns_count_characters() {
        let mut cursor = Cursor::new("\u{feff}äö\n  x", "t".into());
        cursor.bump();
        assert_eq!(cursor.position().to_string(), "t:1:2");
        cursor.skip_line();
        cursor.bump();
        cursor.bump_while(|next| next == ' ');
        assert_eq!(
            (cursor.position().to_string().as_str(), cursor.indentation(), cursor.begins_its_line()),
            ("t:2:3", 2, true)
        );
    }
}
