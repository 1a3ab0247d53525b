//! JSON text, cut into raw values without being decoded.

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::tokens::{Malformed, Span};

/// Arrays and objects within each other; deeper ones are refused.
const DEPTH_MAX: usize = 128;

/// Bytes of a string that are looked at one by one.
const SHORT_STRING: usize = 16;

/// The bytes that end a number or a word.
const ENDS: [bool; 256] = {
    let mut ends = [false; 256];
    let (bytes, mut at) = (b",}] \t\r\n:\"", 0);
    while at < bytes.len() {
        ends[bytes[at] as usize] = true;
        at += 1;
    }
    ends
};

#[inline]
pub(super) fn skip_blank(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Steps over the members of the object that begins at `at`: name (without quotes) and raw value. Answers the place
/// behind it.
pub(super) fn members(text: &[u8], at: usize, mut member: impl FnMut(Span, Span)) -> Result<usize, Malformed> {
    if text.get(at) != Some(&b'{') {
        return Err(Malformed { at, what: "a JSON object is expected" });
    }
    let mut at = skip_blank(text, at + 1);
    if text.get(at) == Some(&b'}') {
        return Ok(at + 1);
    }
    loop {
        if text.get(at) != Some(&b'"') {
            return Err(Malformed { at, what: "a member's name in double quotes is expected" });
        }
        let key = string_at(text, at)?;
        at = skip_blank(text, key.1);
        if text.get(at) != Some(&b':') {
            return Err(Malformed { at, what: "':' is expected behind a member's name" });
        }
        let (value, behind) = value_at(text, skip_blank(text, at + 1))?;
        member(key.0, value);
        at = skip_blank(text, behind);
        match text.get(at) {
            Some(b',') => at = skip_blank(text, at + 1),
            Some(b'}') => return Ok(at + 1),
            _ => return Err(Malformed { at, what: "',' or '}' is expected behind a member" }),
        }
    }
}

/// Steps over the items of the array that begins at `at`.
pub(super) fn items(text: &[u8], at: usize, mut item: impl FnMut(Span)) -> Result<usize, Malformed> {
    let mut at = skip_blank(text, at + 1);
    if text.get(at) == Some(&b']') {
        return Ok(at + 1);
    }
    loop {
        let (value, behind) = value_at(text, at)?;
        item(value);
        at = skip_blank(text, behind);
        match text.get(at) {
            Some(b',') => at = skip_blank(text, at + 1),
            Some(b']') => return Ok(at + 1),
            _ => return Err(Malformed { at, what: "',' or ']' is expected behind an item" }),
        }
    }
}

/// The string whose quote is at `at`, without its quotes, and the place behind it.
#[inline]
fn string_at(text: &[u8], at: usize) -> Result<(Span, usize), Malformed> {
    // Most strings are short: a look at each byte is cheaper than a search set up for long ones.
    for (length, byte) in text[at + 1..].iter().take(SHORT_STRING).enumerate() {
        match byte {
            b'"' => return Ok((Span::quoted(at + 1, at + 1 + length, false), at + length + 2)),
            b'\\' => break,
            _ => {}
        }
    }
    let (mut end, mut escaped) = (at + 1, false);
    loop {
        match memchr2(b'"', b'\\', text.get(end..).unwrap_or_default()) {
            Some(length) if text[end + length] == b'"' => {
                let close = end + length;
                return Ok((Span::quoted(at + 1, close, escaped), close + 1));
            }
            Some(length) => {
                escaped = true;
                end += length + 2;
            }
            None => return Err(Malformed { at, what: "a string is not closed on its line" }),
        }
    }
}

/// The value at `at`: strings without their quotes (and marked as quoted), all else as it stands.
#[inline]
pub(super) fn value_at(text: &[u8], at: usize) -> Result<(Span, usize), Malformed> {
    match text.get(at) {
        Some(b'"') => string_at(text, at),
        Some(b'{' | b'[') => {
            let behind = behind_nested(text, at)?;
            Ok((Span::new(at, behind), behind))
        }
        Some(_) => {
            let length = text[at..].iter().position(|byte| ENDS[usize::from(*byte)]).unwrap_or(text.len() - at);
            if length == 0 {
                return Err(Malformed { at, what: "a JSON value is expected" });
            }
            Ok((Span::new(at, at + length), at + length))
        }
        None => Err(Malformed { at, what: "the line ends within a JSON value" }),
    }
}

fn behind_nested(text: &[u8], open: usize) -> Result<usize, Malformed> {
    let (mut at, mut depth) = (open, 0);
    loop {
        match text.get(at) {
            Some(b'"') => {
                at = string_at(text, at)?.1;
                continue;
            }
            Some(b'{' | b'[') if depth == DEPTH_MAX => {
                return Err(Malformed { at, what: "more than 128 arrays and objects within each other" });
            }
            Some(b'{' | b'[') => depth += 1,
            Some(b'}' | b']') => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            Some(_) => {}
            None => return Err(Malformed { at: open, what: "an array or object is not closed on its line" }),
        }
        at += 1;
    }
}

/// Appends a JSON string as it is meant.
pub(super) fn unescape(value: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    const WRONG: &str = "wrong escape in a string";
    let mut rest = value;
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (byte, length) = match rest.get(at + 1).ok_or(WRONG)? {
            b'n' => (b'\n', 2),
            b't' => (b'\t', 2),
            b'r' => (b'\r', 2),
            b'b' => (8, 2),
            b'f' => (12, 2),
            byte @ (b'"' | b'\\' | b'/') => (*byte, 2),
            b'u' => {
                let (symbol, length) = unicode(&rest[at..]).ok_or(WRONG)?;
                out.extend_from_slice(symbol.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[at + length..];
                continue;
            }
            _ => return Err(WRONG),
        };
        out.push(byte);
        rest = &rest[at + length..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// The symbol of `\uXXXX`, or of a pair of them, and the length of its text. A lone half of a pair becomes U+FFFD.
fn unicode(text: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0u32, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
    };
    let first = unit(0)?;
    if (0xd800..0xdc00).contains(&first)
        && let Some(second @ 0xdc00..=0xdfff) = unit(6)
    {
        return Some((char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))?, 12));
    }
    Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6))
}
/// Where the objects of a whole JSON text stand: the object that it is, or the items of the array that it is. Items that
/// are null are left out.
///
/// # Errors
/// When the text is neither, or breaks off.
pub(crate) fn objects_in(text: &[u8]) -> Result<Vec<Range<usize>>, Malformed> {
    let mut objects = Vec::new();
    let mut at = skip_blank(text, 0);
    match text.get(at) {
        Some(b'{') => {
            let behind = behind_nested(text, at)?;
            objects.push(at..behind);
            at = behind;
        }
        Some(b'[') => {
            at = skip_blank(text, at + 1);
            while text.get(at) != Some(&b']') {
                let (_, behind) = value_at(text, at)?;
                match &text[at..behind] {
                    b"null" => {}
                    [b'{', ..] => objects.push(at..behind),
                    _ => return Err(Malformed { at, what: "a JSON object is expected as an item of the array" }),
                }
                at = skip_blank(text, behind);
                match text.get(at) {
                    Some(b',') => at = skip_blank(text, at + 1),
                    Some(b']') => {}
                    _ => return Err(Malformed { at, what: "',' or ']' is expected behind an item" }),
                }
            }
            at += 1;
        }
        Some(b'n') if text[at..].starts_with(b"null") => at += 4,
        _ => return Err(Malformed { at, what: "a JSON object or an array of objects is expected" }),
    }
    let rest = skip_blank(text, at);
    if rest < text.len() { Err(Malformed { at: rest, what: "text follows the JSON value" }) } else { Ok(objects) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(text: &str) -> Result<String, &'static str> {
        let mut out = Vec::new();
        unescape(text.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out).expect("UTF-8"))
    }

    #[test]
    fn strings_are_unescaped_as_json_says() {
        assert_eq!(unescaped(r#"a\"\\\/\b\f\n\r\tz"#).as_deref(), Ok("a\"\\/\u{8}\u{c}\n\r\tz"));
        assert_eq!(unescaped("\\u00e9\\ud83d\\ude00").as_deref(), Ok("é😀"));
        assert_eq!(unescaped("\\ud83dx\\ude00").as_deref(), Ok("\u{fffd}x\u{fffd}"));
        for wrong in ["\\", "\\x", "\\u12", "\\u12g4"] {
            assert!(unescaped(wrong).is_err(), "{wrong}");
        }
    }
}
