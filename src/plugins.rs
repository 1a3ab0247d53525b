//! `egret plugins`: what jobs may use.

use std::fmt::Write as _;

use egret_runtime::config::OptionSpec;
use egret_runtime::plugin::{Plugin, PluginKind, Registry};

use crate::{cli, node, stdout};

const KINDS: [PluginKind; 3] = [PluginKind::Source, PluginKind::Transform, PluginKind::Sink];

/// A plugin and where it may stand.
type Found<'r> = (PluginKind, &'r dyn Plugin);

/// Prints the plugins, or the options of one; gives the exit status.
pub fn plugins(arguments: &cli::Plugins) -> u8 {
    let registry = node::registry();
    let all: Vec<Found<'_>> = KINDS
        .into_iter()
        .flat_map(|kind| registry.plugins(kind).into_iter().map(move |plugin| (kind, plugin)))
        .collect();
    let Some(name) = &arguments.name else {
        return stdout::print(if arguments.json { as_json(&all, false) } else { list(&all) }, 0);
    };
    let found: Vec<_> = all.into_iter().filter(|(_, plugin)| plugin.name().eq_ignore_ascii_case(name)).collect();
    if found.is_empty() {
        return unknown(&registry, name);
    }
    let described = if arguments.json { as_json(&found, true) } else { found.iter().map(describe).collect() };
    stdout::print(described, 0)
}

fn unknown(registry: &Registry, name: &str) -> u8 {
    let mut near: Vec<&str> = KINDS.into_iter().filter_map(|kind| registry.nearest(kind, name)).collect();
    near.dedup();
    let hint = match near.as_slice() {
        [] => "; egret plugins lists them all".to_owned(),
        near => format!("; did you mean '{}'?", near.join("' or '")),
    };
    tell!("error: there is no plugin '{name}'{hint}");
    1
}

/// Kind, name and the first sentence about it.
fn list(all: &[Found<'_>]) -> String {
    let width = all.iter().map(|(_, plugin)| plugin.name().len()).max().unwrap_or(0);
    let mut text = String::new();
    for (kind, plugin) in all {
        let summary = plugin.summary();
        let first = summary.split_once(". ").map_or(summary, |(first, _)| first);
        let _ = writeln!(text, "{:<10} {:<width$}  {}", kind.to_string(), plugin.name(), first.trim_end_matches('.'));
    }
    text
}

fn describe((kind, plugin): &Found<'_>) -> String {
    let mut text = format!("{} ({kind})\n  {}\n\n", plugin.name(), plugin.summary());
    for option in plugin.options() {
        let default = match (option.required, option.default) {
            (true, _) => "required".to_owned(),
            (false, Some(default)) => format!("default {default}"),
            (false, None) => "optional".to_owned(),
        };
        let names = [&[option.name], option.aliases].concat().join(", ");
        let _ = writeln!(text, "  {names}: {} ({default})\n      {}", option.kind.describe(), option.meaning);
        if !option.example.is_empty() {
            let _ = writeln!(text, "      For example: {} = {}", option.name, option.example);
        }
    }
    let _ = writeln!(text, "\n  Sample:\n{}", sample(*kind, *plugin));
    text
}

/// A block with the options that cannot be left out.
fn sample(kind: PluginKind, plugin: &dyn Plugin) -> String {
    let mut text = format!("    {kind} {{\n      {} {{\n", plugin.name());
    text.push_str(match kind {
        PluginKind::Source => "        plugin_output = rows\n",
        PluginKind::Transform => "        plugin_input = rows\n        plugin_output = changed\n",
        PluginKind::Sink => "        plugin_input = rows\n",
    });
    for option in plugin.options().iter().filter(|option| option.required) {
        let example = if option.example.is_empty() { "..." } else { option.example };
        let _ = writeln!(text, "        {} = {example}", option.name);
    }
    text.push_str("      }\n    }\n");
    text
}

fn as_json(plugins: &[Found<'_>], with_options: bool) -> String {
    let option = |option: &OptionSpec| {
        serde_json::json!({
            "name": option.name,
            "aliases": option.aliases,
            "type": option.kind.describe(),
            "required": option.required,
            "default": option.default,
            "meaning": option.meaning,
            "example": (!option.example.is_empty()).then_some(option.example),
        })
    };
    let rows: Vec<_> = plugins
        .iter()
        .map(|(kind, plugin)| {
            let mut row = serde_json::json!({
                "kind": kind.to_string(), "name": plugin.name(), "summary": plugin.summary(),
            });
            if with_options {
                row["options"] = plugin.options().iter().map(option).collect();
                row["sample"] = sample(*kind, *plugin).into();
            }
            row
        })
        .collect();
    format!("{:#}\n", serde_json::Value::from(rows))
}
