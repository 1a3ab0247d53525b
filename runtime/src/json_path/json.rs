//! JSON as values that keep the text of their numbers, and the reader that makes them.
//!
//! The reader takes what the original's takes: strict JSON, and beside it text in single quotes, words without quotes
//! as keys and as values (`{name: Alice Smith}`), and a comma behind the last item.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use rustc_hash::FxHashMap;

use crate::row::show::write_json_text;

/// Lists and objects within each other; deeper ones are refused.
pub const JSON_DEPTH_MAX: usize = 128;

/// A JSON value. Texts and numbers borrow from the text that was read where they can.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'t> {
    /// `null`
    Null,
    /// `true`, `false`
    Boolean(bool),
    /// A number as it was written: decimals exceed what a double can hold.
    Number(Cow<'t, str>),
    /// Text without its quotes.
    Text(Cow<'t, str>),
    /// `[ ... ]`
    List(Vec<Json<'t>>),
    /// `{ ... }` in the order of the text; of a key that is there twice, the last value at the first place.
    Object(Entries<'t>),
}

/// Keys and values of an object.
pub type Entries<'t> = Vec<(Cow<'t, str>, Json<'t>)>;

/// A text that is not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes from the start.
    pub offset: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not JSON: {} at byte {}", self.message, self.offset)
    }
}

impl std::error::Error for JsonError {}

impl<'t> Json<'t> {
    /// Reads a text.
    ///
    /// # Errors
    /// When it is empty, breaks off, goes on behind its value, or nests deeper than [`JSON_DEPTH_MAX`].
    pub fn read(text: &'t str) -> Result<Self, JsonError> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0, b"")?;
        reader.blanks();
        if reader.at < text.len() {
            return Err(reader.wrong("text follows the value"));
        }
        Ok(value)
    }

    /// The value under a key of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// A value of its own, which borrows nothing.
    pub fn into_owned(self) -> Json<'static> {
        match self {
            Self::Null => Json::Null,
            Self::Boolean(value) => Json::Boolean(value),
            Self::Number(text) => Json::Number(Cow::Owned(text.into_owned())),
            Self::Text(text) => Json::Text(Cow::Owned(text.into_owned())),
            Self::List(items) => Json::List(items.into_iter().map(Json::into_owned).collect()),
            Self::Object(entries) => Json::Object(
                entries.into_iter().map(|(key, value)| (Cow::Owned(key.into_owned()), value.into_owned())).collect(),
            ),
        }
    }

    /// Appends the value as strict JSON without blanks.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(text) => out.push_str(text),
            Self::Text(text) => write_json_text(out, text),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_json_text(out, key);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// What kind of value this is, for messages.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// Whether two values are equal, numbers by what they are worth, objects in any order.
    pub(super) fn same(&self, other: &Json<'_>) -> bool {
        match (self, other) {
            (Self::Number(left), Json::Number(right)) => compare_numbers(left, right) == Some(Ordering::Equal),
            (Self::List(left), Json::List(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.same(right))
            }
            (Self::Object(left), Json::Object(_)) => {
                let Json::Object(entries) = other else { return false };
                left.len() == entries.len()
                    && left.iter().all(|(key, value)| other.get(key).is_some_and(|other| value.same(other)))
            }
            (Self::Null, Json::Null) => true,
            (Self::Boolean(left), Json::Boolean(right)) => left == right,
            (Self::Text(left), Json::Text(right)) => left == right,
            _ => false,
        }
    }
}

/// The value as strict JSON without blanks.
impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
    }
}

/// Compares two numbers: exactly when both are whole, else as doubles.
pub(super) fn compare_numbers(left: &str, right: &str) -> Option<Ordering> {
    if let (Ok(left), Ok(right)) = (left.parse::<i128>(), right.parse::<i128>()) {
        return Some(left.cmp(&right));
    }
    left.parse::<f64>().ok()?.partial_cmp(&right.parse::<f64>().ok()?)
}

/// Whether a text is a number as JSON writes them.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || whole > 1 && rest.starts_with('0') {
        return false;
    }
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let length = digits(exponent);
        return length > 0 && length == exponent.len();
    }
    rest.is_empty()
}

/// Objects of more keys than this find them by their hashes.
const KEYS_LOOKED_THROUGH: usize = 16;

/// Where the keys of an object under construction stand.
#[derive(Default)]
struct Keys {
    by_text: FxHashMap<Box<str>, usize>,
}

impl Keys {
    /// The place of a key; one that is not there is expected to be added.
    fn find(&mut self, key: &str, entries: &[(Cow<'_, str>, Json<'_>)]) -> Option<usize> {
        if entries.len() < KEYS_LOOKED_THROUGH {
            return entries.iter().position(|(name, _)| name == key);
        }
        if self.by_text.is_empty() {
            self.by_text = entries.iter().enumerate().map(|(place, (name, _))| (name.as_ref().into(), place)).collect();
        }
        match self.by_text.get(key) {
            Some(place) => Some(*place),
            None => {
                self.by_text.insert(key.into(), entries.len());
                None
            }
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn wrong(&self, message: &str) -> JsonError {
        JsonError { message: message.to_owned(), offset: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Reads a value; a word without quotes ends before a byte of `ends`.
    fn value(&mut self, depth: usize, ends: &[u8]) -> Result<Json<'t>, JsonError> {
        self.blanks();
        match self.peek() {
            None => Err(self.wrong("a value is expected, the text ends")),
            Some(b'{' | b'[') if depth == JSON_DEPTH_MAX => Err(JsonError {
                message: format!("more than {JSON_DEPTH_MAX} lists and objects within each other"),
                offset: self.at,
            }),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(quote @ (b'"' | b'\'')) => Ok(Json::Text(self.quoted(quote)?)),
            Some(_) => {
                let word = self.word(ends);
                Ok(match word {
                    "" => return Err(self.wrong("a value is expected")),
                    "null" => Json::Null,
                    "true" => Json::Boolean(true),
                    "false" => Json::Boolean(false),
                    number if is_number(number) => Json::Number(Cow::Borrowed(number)),
                    text => Json::Text(Cow::Borrowed(text)),
                })
            }
        }
    }

    /// A run of letters up to one of `ends` or the end of the text, blanks around it cut off.
    fn word(&mut self, ends: &[u8]) -> &'t str {
        let rest = &self.text[self.at..];
        let length = rest.bytes().position(|byte| ends.contains(&byte)).unwrap_or(rest.len());
        self.at += length;
        rest[..length].trim()
    }

    fn list(&mut self, depth: usize) -> Result<Json<'t>, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.blanks();
            if self.peek() == Some(b']') {
                break;
            }
            items.push(self.value(depth + 1, b",]")?);
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.wrong("',' or ']' is expected behind an item")),
            }
        }
        self.at += 1;
        Ok(Json::List(items))
    }

    fn object(&mut self, depth: usize) -> Result<Json<'t>, JsonError> {
        self.at += 1;
        let mut entries: Entries<'t> = Vec::new();
        let mut keys = Keys::default();
        loop {
            self.blanks();
            let key = match self.peek() {
                Some(b'}') => break,
                Some(quote @ (b'"' | b'\'')) => self.quoted(quote)?,
                _ => Cow::Borrowed(self.word(b":,}")),
            };
            self.blanks();
            if self.peek() != Some(b':') {
                return Err(self.wrong("':' is expected behind a key"));
            }
            self.at += 1;
            let value = self.value(depth + 1, b",}")?;
            match keys.find(&key, &entries) {
                Some(place) => entries[place].1 = value,
                None => entries.push((key, value)),
            }
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.wrong("',' or '}' is expected behind a value")),
            }
        }
        self.at += 1;
        Ok(Json::Object(entries))
    }

    fn quoted(&mut self, quote: u8) -> Result<Cow<'t, str>, JsonError> {
        let open = self.at;
        self.at += 1;
        let mut text = Cow::Borrowed("");
        loop {
            let rest = &self.text[self.at..];
            let Some(length) = rest.bytes().position(|byte| byte == quote || byte == b'\\') else {
                return Err(JsonError { message: "a text is not closed".into(), offset: open });
            };
            if text.is_empty() {
                text = Cow::Borrowed(&rest[..length]);
            } else {
                text.to_mut().push_str(&rest[..length]);
            }
            self.at += length;
            if self.peek() == Some(quote) {
                self.at += 1;
                return Ok(text);
            }
            let letter = self.escape()?;
            text.to_mut().push(letter);
        }
    }

    /// Reads what a backslash begins.
    fn escape(&mut self) -> Result<char, JsonError> {
        let letter = self.text[self.at + 1..].chars().next().ok_or_else(|| self.wrong("a text is not closed"))?;
        self.at += 1 + letter.len_utf8();
        Ok(match letter {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let first = self.unit()?;
                let second = if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with("\\u") {
                    let before = self.at;
                    self.at += 2;
                    let unit = self.unit()?;
                    if !(0xdc00..0xe000).contains(&unit) {
                        self.at = before;
                    }
                    unit
                } else {
                    0
                };
                if (0xdc00..0xe000).contains(&second) {
                    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
                        .unwrap_or(char::REPLACEMENT_CHARACTER)
                } else {
                    // A lone half of a pair cannot be kept.
                    char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER)
                }
            }
            other => other,
        })
    }

    fn unit(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.wrong("four hexadecimal digits are expected behind \\u"))?;
        self.at += 4;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        Json::read(text).map_or_else(|error| error.to_string(), |value| value.to_string())
    }

    #[test]
    fn strict_json_comes_back_as_it_was_written() {
        for text in [
            "null",
            "true",
            "-0.10e+5",
            "123456789012345678901234567890.000000000000000000001",
            r#"{"a":[1,2.50,{"b":null}],"c":"x\"y\\z\n"}"#,
            "[]",
            "{}",
            r#""""#,
        ] {
            assert_eq!(shown(text), text);
        }
        assert_eq!(shown(" { \"a\" : [ 1 , 2 ] } "), r#"{"a":[1,2]}"#);
        assert_eq!(shown(r#""\u0041\ud83d\ude00\ud800x\/\b\f""#), "\"A😀\u{fffd}x/\\u0008\\u000c\"");
        assert_eq!(shown(r#"{"a":1,"b":2,"a":3}"#), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn words_without_quotes_and_single_quotes_are_taken_too() {
        for (text, expected) in [
            (
                "{data:{c_string: this is a string,c_integer: 42,c_date:'2023-10-29',c_time:\"16:12:43.459\"}}",
                r#"{"data":{"c_string":"this is a string","c_integer":42,"c_date":"2023-10-29","c_time":"16:12:43.459"}}"#,
            ),
            ("[{a:b},{a:true},]", r#"[{"a":"b"},{"a":true}]"#),
            ("hello world", r#""hello world""#),
            ("{'it\\'s':007}", r#"{"it's":"007"}"#),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn broken_json_is_refused_with_its_place() {
        for (text, expected) in [
            ("", "not JSON: a value is expected, the text ends at byte 0"),
            ("{\"a\":1", "not JSON: ',' or '}' is expected behind a value at byte 6"),
            ("{\"a\" 1}", "not JSON: ':' is expected behind a key at byte 5"),
            ("{\"a\":}", "not JSON: a value is expected at byte 5"),
            ("[\"x", "not JSON: a text is not closed at byte 1"),
            ("[1] 2", "not JSON: text follows the value at byte 4"),
            (r#""\u12""#, "not JSON: four hexadecimal digits are expected behind \\u at byte 3"),
            ("[1", "not JSON: ',' or ']' is expected behind an item at byte 2"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        let many: String = (0..50).map(|key| format!("\"{}\":{key},", key % 25)).collect();
        let many = Json::read(&format!("{{{many}}}")).expect("an object").to_string();
        assert_eq!(many.matches(':').count(), 25);
        assert!(many.starts_with("{\"0\":25,") && many.ends_with("\"24\":49}"), "{many}");
        let deep = "[".repeat(JSON_DEPTH_MAX + 1);
        assert!(shown(&deep).contains("more than 128"), "{}", shown(&deep));
        let deepest = format!("{}1{}", "[".repeat(JSON_DEPTH_MAX), "]".repeat(JSON_DEPTH_MAX));
        assert_eq!(shown(&deepest), deepest);
    }

    proptest! {
        #[test]
        fn what_is_read_is_the_same_when_written_and_read_again(text in r#"[\[\]{},:"'\\a-cu0-9.eE+ -]{0,40}|\PC{0,20}"#) {
            if let Ok(value) = Json::read(&text) {
                let written = value.to_string();
                prop_assert_eq!(Json::read(&written).map_err(|error| format!("{written}: {error}")), Ok(value));
            }
        }
    }
}
