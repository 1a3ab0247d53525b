//! JSON configs, read twice only when something is wrong.
//!
//! `fast` is the way of every valid config: simd-json validates the text, finds its structure and unescapes its
//! strings into a tape. The tape has no positions, and its numbers are doubles or 64-bit integers, too little for
//! decimals; so a single pass over the original text walks along with the tape and takes the position of every key
//! and value and the digits of every number from there. Trees from here are therefore as good as the other reader's:
//! what is found wrong with their meaning later on is told with its place as well.
//!
//! `reader` is our own strict JSON parser. It reads a text that the fast way refused once more to tell what is wrong
//! with it, where, and what was expected, with recovery at the end of each broken object. It also has the last word: a
//! text that it accepts is read (whole numbers beyond 64 bits are valid JSON, and simd-json refuses them).

mod fast;
mod reader;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::hocon::PLUGIN_ROOTS;
use super::key_index::KeyIndex;
use super::limits::Limits;
use super::problem::{Problem, Problems};
use super::value::{Entry, Object, PLUGIN_NAME, Position, Value, ValueKind};

/// A text read as far as it can be.
pub(super) struct Parsed {
    pub tree: Object,
    pub problems: Problems,
    /// Where the plugin blocks begin in which something could not be read.
    pub damaged: Vec<Position>,
    /// Whether the nesting is in doubt.
    pub structure_lost: bool,
}

/// Reads a JSON text whose top level is that of a job config.
pub(super) fn parse(text: &str, file: &Arc<str>, limits: Limits) -> Parsed {
    let mut problems = Problems::default();
    match fast::read(text, file, limits, &mut problems) {
        Some(tree) => Parsed { tree, problems, damaged: Vec::new(), structure_lost: false },
        None => reader::read(text, file, limits),
    }
}

/// Whether the members of an object are plugin blocks: `"source": {"FakeSource": {...}}` at the top.
fn holds_blocks(depth: usize, key: &str) -> bool {
    depth == 1 && PLUGIN_ROOTS.contains(&key)
}

/// What the members of an object are put into.
enum Members {
    Keys { entries: Vec<Entry>, index: KeyIndex },
    Blocks(Vec<Value>),
}

impl Members {
    fn new(blocks: bool) -> Self {
        if blocks { Self::Blocks(Vec::new()) } else { Self::Keys { entries: Vec::new(), index: KeyIndex::default() } }
    }

    fn put(&mut self, key: String, key_position: Position, value: Value, problems: &mut Problems) {
        match self {
            Self::Keys { entries, index } => {
                let found = index.find(&key, entries.iter().map(|entry| entry.key.as_ref()));
                if let Some(old) = found.map(|place| &mut entries[place]) {
                    let line = old.key_position.line;
                    let message = format!("'{key}' is given twice: this value replaces the one of line {line}");
                    problems.push(Problem::warning(key_position.clone(), message));
                    old.key_position = key_position;
                    old.value = value;
                    return;
                }
                entries.push(Entry { key: key.into(), key_position, value });
                index.added(entries.iter().map(|entry| entry.key.as_ref()));
            }
            Self::Blocks(blocks) => match value.kind {
                ValueKind::Object(object) => {
                    let kind = ValueKind::Object(named_block(object, &key, &key_position));
                    blocks.push(Value { kind, position: value.position });
                }
                _ => {
                    let message =
                        format!("expected the options of the plugin '{key}' in braces, found {}", value.kind_name());
                    problems.push(Problem::error(value.position, message));
                }
            },
        }
    }

    fn into_kind(self) -> ValueKind {
        match self {
            Self::Keys { entries, .. } => ValueKind::Object(entries.into_iter().collect()),
            Self::Blocks(blocks) => ValueKind::List(blocks),
        }
    }
}

/// A block that names its plugin, by the key it stood under unless it does so itself.
pub(super) fn named_block(object: Object, name: &str, position: &Position) -> Object {
    if object.entry(PLUGIN_NAME).is_some() {
        return object;
    }
    let value = Value { kind: ValueKind::Text(name.into()), position: position.clone() };
    let named = Entry { key: PLUGIN_NAME.into(), key_position: position.clone(), value };
    std::iter::once(named).chain(object.into_entries()).collect()
}
