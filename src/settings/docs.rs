//! The tables of `docs/settings.md`.

use std::fmt::Write as _;

use super::Settings;
use super::originals::FOREIGN;
use super::table;

/// The settings in Markdown.
pub fn settings() -> String {
    let defaults = Settings::default();
    let mut text = String::from(
        "| key | flag | takes | default | meaning | in the original's files |\n|---|---|---|---|---|---|\n",
    );
    for setting in table::all() {
        let default = (setting.show)(&defaults);
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        let flag = if setting.flag.is_empty() { "none".to_owned() } else { format!("`--{}`", setting.flag) };
        let originals: Vec<String> =
            setting.originals.iter().map(|original| format!("`{}`", short(original.path))).collect();
        let _ = writeln!(
            text,
            "| `{}` | {flag} | {} | {default} | {} | {} |",
            setting.key,
            setting.takes,
            setting.meaning,
            originals.join(", ")
        );
    }
    text
}

/// The keys of the original's files that mean nothing here, in Markdown.
pub fn foreign() -> String {
    let mut text = String::from("| key | why it means nothing here |\n|---|---|\n");
    for foreign in FOREIGN {
        let _ = writeln!(text, "| `{}` | {} |", short(foreign.path), foreign.why);
    }
    text
}

/// A key without what all keys of `seatunnel.yaml` begin with.
fn short(path: &str) -> &str {
    path.trim_start_matches("seatunnel.engine.")
}
