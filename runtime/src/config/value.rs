//! The tree that config texts are read into: values that know where they stand.

use std::fmt;
use std::sync::Arc;

pub use super::text::Text;

/// The option that names a block's plugin.
pub const PLUGIN_NAME: &str = "plugin_name";

/// A place in a config text.
#[derive(Clone, PartialEq, Eq)]
pub struct Position {
    /// Name of the file as the user gave it, or `<request body>` and the like.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A value and where it stands.
#[derive(Clone)]
pub struct Value {
    /// The value itself.
    pub kind: ValueKind,
    /// Where it begins.
    pub position: Position,
}

/// What a [`Value`] is.
#[derive(Clone, PartialEq)]
pub enum ValueKind {
    /// `null`
    Null,
    /// `true`, `false`
    Boolean(bool),
    /// A number as its text: decimals exceed what a double can hold.
    Number(Box<str>),
    /// Text, quoted or not. Where an object or a list is expected, one that spells it will do.
    Text(Text),
    /// `[ ... ]`
    List(Vec<Value>),
    /// `{ ... }`
    Object(Object),
}

/// Keys and values in the order of the text. Keys keep their dots: `row.num = 5` is one key.
#[derive(Clone, Default, PartialEq)]
pub struct Object {
    entries: Vec<Entry>,
}

/// One key of an [`Object`].
#[derive(Clone)]
pub struct Entry {
    /// The key, quotes removed.
    pub key: Box<str>,
    /// Where the key begins.
    pub key_position: Position,
    /// Its value.
    pub value: Value,
}

/// Values compare by what they are, not by where they stand.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// Entries compare as values do.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl Object {
    /// Entries in the order of the text.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries themselves.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// Mutable access to the values, in the order of the text.
    pub fn values_mut(&mut self) -> impl Iterator<Item = (&str, &mut Value)> {
        self.entries.iter_mut().map(|entry| (entry.key.as_ref(), &mut entry.value))
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Sets a key; an earlier value of exactly this key is replaced in its place and returned.
    pub fn insert(&mut self, key: &str, key_position: Position, value: Value) -> Option<Value> {
        match self.entries.iter_mut().find(|entry| entry.key.as_ref() == key) {
            Some(entry) => {
                entry.key_position = key_position;
                Some(std::mem::replace(&mut entry.value, value))
            }
            None => {
                self.entries.push(Entry { key: key.into(), key_position, value });
                None
            }
        }
    }

    /// Removes exactly this key.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.entries.iter().position(|entry| entry.key.as_ref() == key)?;
        Some(self.entries.remove(index).value)
    }

    /// The entry of exactly this key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.as_ref() == key)
    }

    /// Mutable access to the value of exactly this key.
    pub fn get_exact_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.entries.iter_mut().find(|entry| entry.key.as_ref() == key).map(|entry| &mut entry.value)
    }

    /// Looks a dotted path up: the flat key first, then every way to split it (`a.b { c = 1 }` and
    /// `a { b.c = 1 }` are both found as `a.b.c`). Of a key that is there more than once in different spellings, the
    /// longest flat prefix wins.
    pub fn get(&self, path: &str) -> Option<&Value> {
        if let Some(entry) = self.entry(path) {
            return Some(&entry.value);
        }
        let mut end = path.len();
        while let Some(dot) = path[..end].rfind('.') {
            if let Some(Entry { value: Value { kind: ValueKind::Object(inner), .. }, .. }) = self.entry(&path[..dot])
                && let Some(found) = inner.get(&path[dot + 1..])
            {
                return Some(found);
            }
            end = dot;
        }
        None
    }
}

/// Makes an object of entries whose keys are known to differ.
impl FromIterator<Entry> for Object {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

impl Value {
    /// What kind of value this is, for messages.
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            ValueKind::Null => "null",
            ValueKind::Boolean(_) => "a boolean",
            ValueKind::Number(_) => "a number",
            ValueKind::Text(_) => "text",
            ValueKind::List(_) => "a list",
            ValueKind::Object(_) => "an object",
        }
    }

    /// Whether the value is `null`.
    pub fn is_null(&self) -> bool {
        self.kind == ValueKind::Null
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object> {
        match &self.kind {
            ValueKind::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_list(&self) -> Option<&[Value]> {
        match &self.kind {
            ValueKind::List(items) => Some(items),
            _ => None,
        }
    }

    /// The object, also from a text that spells one: `"{\"a\": 1}"`.
    pub fn to_object(&self) -> Option<&Object> {
        self.as_written_or_spelled().as_object()
    }

    /// The list, also from a text that spells one: `"[1, 2]"`. A text in brackets without a quote or a comma, like the
    /// pattern `[a-z]`, does not.
    pub fn to_list(&self) -> Option<&[Value]> {
        self.as_written_or_spelled().as_list()
    }

    /// The list or the object that a text spells, or the value itself.
    pub(super) fn as_written_or_spelled(&self) -> &Value {
        match &self.kind {
            ValueKind::Text(text) => text.structure(&self.position).unwrap_or(self),
            _ => self,
        }
    }

    /// The text of a scalar: text as it is, numbers and booleans as written. `None` for null, lists and objects.
    pub fn to_text(&self) -> Option<&str> {
        match &self.kind {
            ValueKind::Text(text) => Some(text),
            ValueKind::Number(text) => Some(text),
            ValueKind::Boolean(true) => Some("true"),
            ValueKind::Boolean(false) => Some("false"),
            ValueKind::Null | ValueKind::List(_) | ValueKind::Object(_) => None,
        }
    }

    /// A boolean, also from the text `true` or `false` in any case.
    pub fn to_boolean(&self) -> Option<bool> {
        let text = self.to_text()?.trim();
        if text.eq_ignore_ascii_case("true") {
            Some(true)
        } else if text.eq_ignore_ascii_case("false") {
            Some(false)
        } else {
            None
        }
    }

    /// A whole number, also from text; `1.0` and `1e3` count as whole.
    pub fn to_integer(&self) -> Option<i64> {
        let text = match &self.kind {
            ValueKind::Text(_) | ValueKind::Number(_) => self.to_text()?.trim(),
            _ => return None,
        };
        text.parse().ok().or_else(|| {
            // 2^53: beyond it a double no longer tells whole numbers apart.
            let number: f64 = text.parse().ok()?;
            (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
        })
    }

    /// A finite number, also from text.
    pub fn to_number(&self) -> Option<f64> {
        match &self.kind {
            ValueKind::Text(_) | ValueKind::Number(_) => {
                self.to_text()?.trim().parse().ok().filter(|number: &f64| number.is_finite())
            }
            _ => None,
        }
    }
}

/// Whether values under this key are secrets: never to be printed or logged.
pub fn is_secret_key(key: &str) -> bool {
    const SECRET: [&str; 12] = [
        "password",
        "username",
        "passwd",
        "auth",
        "token",
        "secret",
        "access_key",
        "secret_key",
        "access_secret",
        "api_key",
        "credential",
        "private_key",
    ];
    let key = key.to_ascii_lowercase();
    let last = key.rsplit('.').next().unwrap_or(&key).replace('-', "_");
    SECRET.iter().any(|secret| last == *secret || last.ends_with(&format!("_{secret}")))
        || last == "authorization"
        || last == "secret_id"
}

/// What stands in the place of a secret.
pub const SECRET_MASK: &str = "******";

/// Shows the tree on one line as JSON with secrets masked, so that no log line can give them away.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ValueKind::Null => f.write_str("null"),
            ValueKind::Boolean(boolean) => write!(f, "{boolean}"),
            ValueKind::Number(number) => f.write_str(number),
            ValueKind::Text(text) => write!(f, "{:?}", text.as_ref()),
            ValueKind::List(items) => f.debug_list().entries(items).finish(),
            ValueKind::Object(object) => fmt::Debug::fmt(object, f),
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for entry in &self.entries {
            if is_secret_key(&entry.key) {
                map.entry(&entry.key, &SECRET_MASK);
            } else {
                map.entry(&entry.key, &entry.value);
            }
        }
        map.finish()
    }
}

impl fmt::Debug for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = Position { file: Arc::from(""), line: 0, column: 0 };
        fmt::Debug::fmt(&Value { kind: self.clone(), position }, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Position {
        Position { file: Arc::from("test"), line: 1, column: 1 }
    }

    fn text(text: &str) -> Value {
        Value { kind: ValueKind::Text(text.into()), position: at() }
    }

    fn object(entries: Vec<(&str, Value)>) -> Value {
        let mut object = Object::default();
        for (key, value) in entries {
            object.insert(key, at(), value);
        }
        Value { kind: ValueKind::Object(object), position: at() }
    }

    #[test]
    fn a_path_is_found_flat_and_nested() {
        for tree in [
            object(vec![("a.b.c", text("x"))]),
            object(vec![("a", object(vec![("b.c", text("x"))]))]),
            object(vec![("a.b", object(vec![("c", text("x"))]))]),
            object(vec![("a", object(vec![("b", object(vec![("c", text("x"))]))]))]),
        ] {
            let found = tree.as_object().and_then(|tree| tree.get("a.b.c")).and_then(Value::to_text);
            assert_eq!(found, Some("x"), "{tree:?}");
        }
        assert!(object(vec![("a", text("x"))]).as_object().and_then(|tree| tree.get("a.b")).is_none());
    }

    #[test]
    fn secrets_are_masked_wherever_a_tree_is_shown() {
        let tree = object(vec![
            ("password", text("hunter2")),
            ("nested", object(vec![("api-key", text("hunter2")), ("s3.secret_key", text("hunter2"))])),
            ("author", text("shown")),
        ]);
        let shown = format!("{tree:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("shown"), "{shown}");
    }

    #[test]
    fn scalars_convert_freely() {
        assert_eq!(text(" 5 ").to_integer(), Some(5));
        assert_eq!(text("1e3").to_integer(), Some(1000));
        assert_eq!(text("1.5").to_integer(), None);
        assert_eq!(text("TRUE").to_boolean(), Some(true));
        assert_eq!(text("yes").to_boolean(), None);
        assert_eq!(text("nan").to_number(), None);
    }
}
