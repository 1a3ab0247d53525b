//! The table of `docs/settings.md`.

use std::fmt::Write as _;

use super::Settings;
use super::table::TABLE;

/// The table in Markdown.
pub fn table() -> String {
    let defaults = Settings::default();
    let mut text =
        String::from("| key | flag | takes | default | meaning | in `seatunnel.yaml` |\n|---|---|---|---|---|---|\n");
    for setting in TABLE {
        let default = (setting.show)(&defaults);
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        let originals: Vec<String> = setting
            .originals
            .iter()
            .map(|original| format!("`{}`", original.path.trim_start_matches("seatunnel.engine.")))
            .collect();
        let _ = writeln!(
            text,
            "| `{}` | `--{}` | {} | {default} | {} | {} |",
            setting.key,
            setting.flag,
            setting.takes,
            setting.meaning,
            originals.join(", ")
        );
    }
    text
}
