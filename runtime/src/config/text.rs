//! Text that may spell more than itself.
//!
//! The original turns texts into what an option demands: `-i 'fields={"a":"int"}'` may stand where an object is
//! expected, and is text where text is. So a text stays text, and is read as an object or a list only when asked.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use super::hocon;
use super::limits::Limits;
use super::value::{Object, Position, Value, ValueKind};

/// A text of a config. It is its letters; what it spells is read once, when first asked for.
#[derive(Default)]
pub struct Text {
    letters: Box<str>,
    structure: OnceLock<Option<Box<Value>>>,
}

impl Text {
    /// The list or object that the text spells, if it does; everything in it gets the text's own place.
    pub(super) fn structure(&self, position: &Position) -> Option<&Value> {
        if !looks_structured(&self.letters) {
            return None;
        }
        let read = || {
            let mut value = hocon::parse_value(self.letters.trim(), position.file.clone(), Limits::default())?;
            place(&mut value, position);
            matches!(value.kind, ValueKind::List(_) | ValueKind::Object(_)).then(|| Box::new(value))
        };
        self.structure.get_or_init(read).as_deref()
    }
}

/// `[a-z]` is a text: a list has quotes, a comma or nothing in it.
fn looks_structured(text: &str) -> bool {
    let text = text.trim();
    (text.starts_with('{') && text.ends_with('}'))
        || (text.starts_with('[') && text.ends_with(']') && (text.contains([',', '"', '{']) || text.len() == 2))
}

/// Gives everything in a value one place.
fn place(value: &mut Value, position: &Position) {
    value.position = position.clone();
    match &mut value.kind {
        ValueKind::List(items) => items.iter_mut().for_each(|item| place(item, position)),
        ValueKind::Object(object) => {
            let entries = std::mem::take(object).into_entries().into_iter().map(|mut entry| {
                entry.key_position = position.clone();
                place(&mut entry.value, position);
                entry
            });
            *object = entries.collect::<Object>();
        }
        ValueKind::Null | ValueKind::Boolean(_) | ValueKind::Number(_) | ValueKind::Text(_) => {}
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.letters
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.letters
    }
}

impl From<Box<str>> for Text {
    fn from(letters: Box<str>) -> Self {
        Self { letters, structure: OnceLock::new() }
    }
}

impl From<&str> for Text {
    fn from(letters: &str) -> Self {
        Box::<str>::from(letters).into()
    }
}

impl From<String> for Text {
    fn from(letters: String) -> Self {
        letters.into_boxed_str().into()
    }
}

/// What the copy spells is read anew.
impl Clone for Text {
    fn clone(&self) -> Self {
        Self::from(self.letters.clone())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.letters == other.letters
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.letters, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.letters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        let position = Position { file: "t".into(), line: 3, column: 5 };
        Value { kind: ValueKind::Text(text.into()), position }
    }

    #[test]
    fn a_text_is_an_object_or_a_list_where_one_is_asked_for() {
        let object = value(r#" {"a": {"b": [1, "x"]}} "#);
        assert_eq!(object.to_text(), Some(r#" {"a": {"b": [1, "x"]}} "#));
        assert!(object.as_object().is_none() && object.to_list().is_none());
        let inner = object.to_object().and_then(|object| object.get("a.b")).expect("a path in it");
        assert_eq!(inner.as_list().map(<[Value]>::len), Some(2));
        assert_eq!(inner.position.to_string(), "t:3:5");
        assert_eq!(value("[a, b]").to_list().map(<[Value]>::len), Some(2));
        assert_eq!(value("[]").to_list().map(<[Value]>::len), Some(0));
        assert_eq!(value("{ a = 1 }").to_object().map(Object::len), Some(1));
        for text in ["[a-z]", "{a", "{a}", "x", "", "{ a = 1 } b"] {
            assert!(value(text).to_list().is_none() && value(text).to_object().is_none(), "{text}");
        }
    }
}
