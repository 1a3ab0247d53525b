//! The settings for people and programs to read.

use egret_http::Secret;

use super::Read;
use super::table::{self, Setting};

/// A setting as it is shown.
pub struct Shown {
    /// Its key.
    pub key: &'static str,
    /// Its value, as one would write it in YAML; of a secret the mask.
    pub value: String,
    /// Where that comes from.
    pub origin: String,
    /// Whether its value is hidden.
    pub is_secret: bool,
}

/// All settings, in the order of the documentation.
pub fn shown(read: &Read) -> Vec<Shown> {
    let one = |setting: &'static Setting| {
        let value = (setting.show)(&read.settings);
        let is_secret = value == Secret::MASK;
        let effective = if value.is_empty() { effective(read, setting.key) } else { None };
        Shown {
            key: setting.key,
            value: effective.unwrap_or_else(|| in_yaml(value)),
            origin: read.origins.of(setting.key).to_string(),
            is_secret,
        }
    };
    table::all().map(one).collect()
}

/// What a setting without a value of its own comes to.
fn effective(read: &Read, key: &str) -> Option<String> {
    let folder = match key {
        "state_folder" => read.settings.state_folder(),
        "log_folder" => read.settings.logs().map(|logs| logs.folder),
        _ => return None,
    };
    folder.ok().map(|folder| in_yaml(folder.display().to_string()))
}

/// In quotes where YAML would read something else.
fn in_yaml(value: String) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
    let is_map = value.starts_with('{');
    if value.is_empty() || is_map || value == Secret::MASK || value.bytes().all(plain) {
        return value;
    }
    // Strings of JSON are strings of YAML.
    serde_json::Value::String(value).to_string()
}
