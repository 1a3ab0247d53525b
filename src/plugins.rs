//! `egret plugins`: what jobs may use.

use std::fmt::Write as _;

use egret_runtime::plugin::{Plugin, PluginKind, Registry};

use crate::{cli, node, stdout};

const KINDS: [PluginKind; 3] = [PluginKind::Source, PluginKind::Transform, PluginKind::Sink];

/// Prints the plugins, or the options of one; gives the exit status.
pub fn plugins(arguments: &cli::Plugins) -> u8 {
    let registry = node::registry();
    match &arguments.name {
        None => {
            let mut text = String::new();
            for kind in KINDS {
                let names: Vec<_> = registry.plugins(kind).into_iter().map(Plugin::name).collect();
                let _ = writeln!(text, "{:<10} {}", kind.to_string(), names.join(", "));
            }
            stdout::print(text, 0)
        }
        Some(name) => describe(&registry, name),
    }
}

fn describe(registry: &Registry, name: &str) -> u8 {
    let found: Vec<_> = KINDS
        .into_iter()
        .flat_map(|kind| registry.plugins(kind).into_iter().map(move |plugin| (kind, plugin)))
        .filter(|(_, plugin)| plugin.name().eq_ignore_ascii_case(name))
        .collect();
    if found.is_empty() {
        let nearest = KINDS.into_iter().find_map(|kind| registry.nearest(kind, name));
        let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean '{nearest}'?"));
        tell!("error: there is no plugin '{name}'{hint}");
        return 1;
    }
    let mut text = String::new();
    for (kind, plugin) in found {
        let _ = writeln!(text, "{} ({kind})\n  {}\n", plugin.name(), plugin.summary());
        for option in plugin.options() {
            let default = match (option.required, option.default) {
                (true, _) => "required".to_owned(),
                (false, Some(default)) => format!("default {default}"),
                (false, None) => "optional".to_owned(),
            };
            let names = [&[option.name], option.aliases].concat().join(", ");
            let _ = writeln!(text, "  {names}: {} ({default})\n      {}", option.kind.describe(), option.meaning);
        }
        text.push('\n');
    }
    stdout::print(text, 0)
}
