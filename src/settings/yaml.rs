//! From YAML to a flat list of keys with their places.

use saphyr::{LoadableYamlNode as _, MarkedYaml, Scalar, YamlData};

use super::originals::is_original;

/// The key whose value may be keys and values of any name.
const TAGS: &str = "tags";

/// What is said of a key without a value.
pub const NO_VALUE: &str = "it has no value";

/// A value that was found, with its place.
pub struct Found {
    /// Its key; points part sections from what is in them.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The value as text; the error says why it cannot be one.
    pub value: Result<String, &'static str>,
}

/// Reads a text, which has one document or none.
///
/// # Errors
/// With line, column and what is wrong.
pub fn read(text: &str) -> Result<Vec<Found>, (usize, usize, String)> {
    let documents = MarkedYaml::load_from_str(text).map_err(|error| {
        let at = error.marker();
        (at.line(), at.col() + 1, error.info().to_owned())
    })?;
    let mut found = Vec::new();
    match documents.as_slice() {
        [] => {}
        [document] => collect(document, "", &mut found),
        [_, second, ..] => {
            return Err((second.span.start.line(), 1, "expected one document, found another one".to_owned()));
        }
    }
    Ok(found)
}

/// Gathers the values below a node. Our keys are taken with `-` for `_`.
fn collect(node: &MarkedYaml<'_>, path: &str, found: &mut Vec<Found>) {
    let here =
        |value| Found { path: path.to_owned(), line: node.span.start.line(), column: node.span.start.col() + 1, value };
    match &node.data {
        YamlData::Mapping(_) if path == TAGS => found.push(here(object(node))),
        YamlData::Mapping(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let (line, column) = (key.span.start.line(), key.span.start.col() + 1);
                let Some(name) = text(key) else {
                    found.push(Found { path: path.to_owned(), line, column, value: Err("a key must be text") });
                    continue;
                };
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                let path = if is_original(&path) { path } else { path.replace('-', "_") };
                let before = found.len();
                collect(value, &path, found);
                // The place of a key says more than that of its value, which may be in the next line, or nowhere.
                if let [only] = &mut found[before..]
                    && only.path == path
                {
                    (only.line, only.column) = (line, column);
                }
            }
        }
        YamlData::Mapping(_) => found.push(here(Err(NO_VALUE))),
        YamlData::Sequence(items) => {
            let texts: Option<Vec<String>> = items.iter().map(text).collect();
            found.push(here(texts.map(|texts| texts.join(",")).ok_or("expected one value, or a list of plain values")));
        }
        YamlData::Value(Scalar::Null) if path.is_empty() => {}
        YamlData::Value(Scalar::Null) => found.push(here(Err(NO_VALUE))),
        _ => found.push(here(text(node).ok_or("expected a plain value"))),
    }
}

/// A plain value as it would be written.
fn text(node: &MarkedYaml<'_>) -> Option<String> {
    match &node.data {
        YamlData::Value(Scalar::String(text)) => Some(text.to_string()),
        YamlData::Value(Scalar::Integer(number)) => Some(number.to_string()),
        YamlData::Value(Scalar::FloatingPoint(number)) => Some(number.to_string()),
        YamlData::Value(Scalar::Boolean(flag)) => Some(flag.to_string()),
        YamlData::Representation(text, ..) => Some(text.to_string()),
        _ => None,
    }
}

/// Keys with plain values as a JSON object.
fn object(node: &MarkedYaml<'_>) -> Result<String, &'static str> {
    let YamlData::Mapping(entries) = &node.data else { return Err("expected keys and values") };
    let pair = |(key, value): (&MarkedYaml<'_>, &MarkedYaml<'_>)| {
        let value = match &value.data {
            YamlData::Value(Scalar::Null) => String::new(),
            _ => text(value)?,
        };
        Some((text(key)?, value.into()))
    };
    let object: Option<serde_json::Map<String, serde_json::Value>> = entries.iter().map(pair).collect();
    Ok(serde_json::Value::Object(object.ok_or("expected names with plain values")?).to_string())
}
