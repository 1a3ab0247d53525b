//! The fast way: simd-json's tape, walked along with the original text.

use std::sync::Arc;

use simd_json::{Buffers, Node, StaticNode};

use super::{Members, holds_blocks};
use crate::config::limits::Limits;
use crate::config::problem::Problems;
use crate::config::value::{Object, Position, Value, ValueKind};

/// Reads a valid JSON object; `None` for anything else, which the other reader then judges.
pub(super) fn read(text: &str, file: &Arc<str>, limits: Limits, problems: &mut Problems) -> Option<Object> {
    // The tape's strings are unescaped in place; the original is walked for positions and numbers.
    let mut unescaped = text.as_bytes().to_vec();
    let mut buffers = Buffers::new(unescaped.len());
    let tape = simd_json::to_tape_with_buffers(&mut unescaped, &mut buffers).ok()?;
    let mut walk =
        Walk { nodes: tape.0.into_iter(), scan: Scan::new(text, file.clone()), depth_max: limits.depth(), problems };
    match walk.value(0, false)?.kind {
        ValueKind::Object(object) => Some(object),
        _ => None,
    }
}

struct Walk<'w, 'n, N: Iterator<Item = Node<'n>>> {
    nodes: N,
    scan: Scan<'w>,
    depth_max: usize,
    problems: &'w mut Problems,
}

impl<'n, N: Iterator<Item = Node<'n>>> Walk<'_, 'n, N> {
    /// The next value; `None` when the tape and the text do not agree or it is nested too deep.
    fn value(&mut self, depth: usize, blocks: bool) -> Option<Value> {
        let node = self.nodes.next()?;
        let token = self.scan.next()?;
        let kind = match (node, token.first) {
            (Node::Object { len, .. }, b'{') if depth < self.depth_max => {
                let mut members = Members::new(blocks);
                for _ in 0..len {
                    let (Node::String(key), token) = (self.nodes.next()?, self.scan.next()?) else { return None };
                    let value = self.value(depth + 1, holds_blocks(depth + 1, key))?;
                    members.put(key.to_owned(), token.position, value, self.problems);
                }
                members.into_kind()
            }
            (Node::Array { len, .. }, b'[') if depth < self.depth_max => {
                let items: Option<Vec<Value>> = (0..len).map(|_| self.value(depth + 1, false)).collect();
                ValueKind::List(items?)
            }
            (Node::String(text), b'"') => ValueKind::Text(text.into()),
            (Node::Static(StaticNode::Bool(boolean)), b't' | b'f') => ValueKind::Boolean(boolean),
            (Node::Static(StaticNode::Null), b'n') => ValueKind::Null,
            (Node::Static(_), b'-' | b'0'..=b'9') => ValueKind::Number(token.text.into()),
            _ => return None,
        };
        Some(Value { kind, position: token.position })
    }
}

/// Steps from token to token of a text that is known to be valid JSON; closing brackets, commas and colons are passed
/// over.
struct Scan<'t> {
    text: &'t str,
    file: Arc<str>,
    offset: usize,
    line: u32,
    column: u32,
}

struct Token<'t> {
    first: u8,
    text: &'t str,
    position: Position,
}

impl<'t> Scan<'t> {
    fn new(text: &'t str, file: Arc<str>) -> Self {
        Self { text, file, offset: 0, line: 1, column: 1 }
    }

    fn next(&mut self) -> Option<Token<'t>> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.offset)? {
                b'\n' => {
                    self.line += 1;
                    self.column = 1;
                }
                b' ' | b'\t' | b'\r' | b',' | b':' | b'}' | b']' => self.column += 1,
                _ => break,
            }
            self.offset += 1;
        }
        let first = bytes[self.offset];
        let rest = &bytes[self.offset..];
        let length = match first {
            b'{' | b'[' => 1,
            b'"' => 1 + string_length(&rest[1..]),
            _ => rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count().max(1),
        };
        let text = self.text.get(self.offset..self.offset + length)?;
        let position = Position { file: self.file.clone(), line: self.line, column: self.column };
        self.offset += length;
        self.column += u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        Some(Token { first, text, position })
    }
}

/// Bytes up to and with the closing quote.
fn string_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[length..]) {
        length += found + 1;
        if bytes[length - 1] == b'"' {
            return length;
        }
        // What is escaped may itself be a quote or a backslash.
        length = (length + 1).min(bytes.len());
    }
    bytes.len()
}
