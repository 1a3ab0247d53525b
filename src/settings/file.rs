//! Reading `egret.yaml`, and `seatunnel.yaml` as it is.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use egret_runtime::config::nearest;
use saphyr::{LoadableYamlNode as _, MarkedYaml, Scalar, YamlData};

use super::Read;
use super::table::{Original, Setting, TABLE};

/// Largest file that is read. Real ones have a page or two.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What is wrong with the settings: a line for each mistake.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct SettingsError(Vec<String>);

impl SettingsError {
    fn one(message: impl fmt::Display) -> Self {
        Self(vec![format!("error: {message}")])
    }

    pub(super) fn flag(setting: &Setting, problem: &str) -> Self {
        Self::one(format_args!("--{}: {problem}", setting.flag))
    }

    pub(super) fn together(problem: String) -> Self {
        Self::one(problem)
    }
}

/// A value that was found, with its place.
struct Found {
    path: String,
    line: usize,
    column: usize,
    /// The value as text; the error says why it cannot be one.
    value: Result<String, &'static str>,
}

/// Reads a file into the settings. All mistakes are told together.
pub(super) fn read(path: &Path, into: &mut Read) -> Result<(), SettingsError> {
    let name = path.display();
    let unreadable =
        |error: &dyn fmt::Display| SettingsError::one(format_args!("cannot read the settings {name}: {error}"));
    let size = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable(&format_args!("it has {size} bytes; {FILE_BYTES_MAX} are allowed")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    read_text(&text, &name.to_string(), into)
}

/// Reads a text into the settings; `name` is the file's in messages.
pub(super) fn read_text(text: &str, name: &str, into: &mut Read) -> Result<(), SettingsError> {
    let documents = MarkedYaml::load_from_str(text).map_err(|error| {
        let at = error.marker();
        SettingsError::one(format_args!("{name}:{}:{}: {}", at.line(), at.col() + 1, error.info()))
    })?;
    let mut problems = Vec::new();
    let mut found = Vec::new();
    match documents.as_slice() {
        [] => {}
        [document] => collect(document, "", &mut found),
        [_, second, ..] => problems
            .push(format!("error: {name}:{}:1: expected one document, found another one", second.span.start.line())),
    }
    // Keys of the original first, so that ours win.
    let (originals, ours): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| is_original(&found.path));
    let mut complain = |found: &Found, problem: &str| {
        problems.push(format!("error: {name}:{}:{}: {}{problem}", found.line, found.column, key_in_words(&found.path)));
    };
    // `http.enable-http: false` counts, wherever `http.port` stands.
    let mut taken: Vec<(usize, &Found, &Original)> = Vec::new();
    for found in &originals {
        match original(&found.path) {
            None => into.unused.push(found.path.clone()),
            Some((order, original)) => taken.push((order, found, original)),
        }
    }
    taken.sort_by_key(|(order, ..)| *order);
    for (_, found, original) in taken {
        set(found, original.set, into, &mut complain);
    }
    let mut seen = BTreeMap::new();
    for found in &ours {
        match TABLE.iter().find(|setting| setting.key == found.path) {
            None => complain(found, &unknown(&found.path)),
            Some(setting) => match seen.insert(setting.key, found.line) {
                Some(line) => complain(found, &format!(": it is set in line {line} already")),
                None => set(found, setting.set, into, &mut complain),
            },
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(SettingsError(problems)) }
}

fn set(
    found: &Found,
    set: fn(&mut super::Settings, &str) -> Result<(), String>,
    into: &mut Read,
    complain: &mut impl FnMut(&Found, &str),
) {
    match &found.value {
        Err(problem) => complain(found, &format!(": {problem}")),
        Ok(value) => {
            if let Err(problem) = set(&mut into.settings, value) {
                complain(found, &format!(": {problem}"));
            }
        }
    }
}

fn key_in_words(path: &str) -> String {
    if path.is_empty() { "the file".to_owned() } else { format!("'{path}'") }
}

fn unknown(path: &str) -> String {
    if path.is_empty() {
        return ": expected keys and values, like 'port: 5801'".to_owned();
    }
    match nearest(path, TABLE.iter().map(|setting| setting.key)) {
        Some(key) => format!(" is no setting; did you mean '{key}'?"),
        None => " is no setting; docs/settings.md lists them".to_owned(),
    }
}

/// Whether a path is one of the original's files.
fn is_original(path: &str) -> bool {
    path.split('.').next().is_some_and(|first| matches!(first, "seatunnel" | "hazelcast"))
}

/// What the original's key means here, and its place among all of these.
fn original(path: &str) -> Option<(usize, &'static Original)> {
    TABLE.iter().flat_map(|setting| setting.originals).enumerate().find(|(_, original)| original.path == path)
}

/// Gathers the values below a node. Our keys are taken with `-` for `_`.
fn collect(node: &MarkedYaml<'_>, path: &str, found: &mut Vec<Found>) {
    let here =
        |value| Found { path: path.to_owned(), line: node.span.start.line(), column: node.span.start.col() + 1, value };
    match &node.data {
        YamlData::Mapping(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let Some(name) = text(key) else {
                    found.push(Found {
                        path: path.to_owned(),
                        line: key.span.start.line(),
                        column: key.span.start.col() + 1,
                        value: Err("a key must be text"),
                    });
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
                    (only.line, only.column) = (key.span.start.line(), key.span.start.col() + 1);
                }
            }
        }
        YamlData::Mapping(_) => found.push(here(Err("it has no value"))),
        YamlData::Sequence(items) => {
            let texts: Option<Vec<String>> = items.iter().map(text).collect();
            found.push(here(texts.map(|texts| texts.join(",")).ok_or("expected one value, or a list of plain values")));
        }
        YamlData::Value(Scalar::Null) if path.is_empty() => {}
        YamlData::Value(Scalar::Null) => found.push(here(Err("it has no value"))),
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
