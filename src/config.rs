//! `egret config`: the settings of a node as they would be, and where each comes from.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli;
use crate::settings::{Settings, Shown, shown};
use crate::stdout;

/// Prints the settings; gives the exit status.
pub fn config(arguments: &cli::Config) -> u8 {
    let read = match Settings::read(&arguments.node.config, &arguments.node.settings) {
        Ok(read) => read,
        Err(error) => {
            tell!("{error}");
            return 1;
        }
    };
    for remark in &read.remarks {
        tell!("warning: {remark}");
    }
    let settings = shown(&read);
    if arguments.json {
        let row = |shown: &Shown| json!({ "key": shown.key, "value": shown.value, "from": shown.origin, "secret": shown.is_secret });
        let rows: Vec<Value> = settings.iter().map(row).collect();
        return stdout::print(format!("{:#}\n", Value::Array(rows)), 0);
    }
    stdout::print(as_yaml(&settings), 0)
}

/// As an `egret.yaml`, with a comment on each line. What has no value, or a secret one, is a comment altogether.
fn as_yaml(settings: &[Shown]) -> String {
    let line = |shown: &Shown| {
        let mark = if shown.is_secret || shown.value.is_empty() { "# " } else { "" };
        format!("{mark}{}: {}", shown.key, shown.value).trim_end().to_owned()
    };
    let lines: Vec<String> = settings.iter().map(line).collect();
    let width = lines.iter().map(String::len).filter(|width| *width <= 48).max().unwrap_or_default();
    let mut text = String::new();
    for (line, shown) in lines.iter().zip(settings) {
        let _ = writeln!(text, "{line:width$}  # {}", shown.origin);
    }
    text
}
