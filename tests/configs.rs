//! Configs as people write them for connectors of every kind: the grammar takes them all, and a check says which plugins
//! are not there, and nothing else.

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::program::run;

fn configs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs");
    let files = std::fs::read_dir(folder).expect("a folder of configs").map(|file| file.expect("a file").path());
    let mut files: Vec<PathBuf> = files.filter(|file| !file.to_string_lossy().contains("included")).collect();
    files.sort();
    assert!(files.len() >= 20, "{files:?}");
    files
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn the_grammar_takes_every_config() {
    for file in configs() {
        let ended = run(["check", "--syntax", "--json", text(&file).as_str()]);
        let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        assert_eq!((&report["valid"], ended.status.code()), (&Value::Bool(true), Some(0)), "{report:#}");
    }
}

/// Names of the plugins of this build, as `kind name`.
fn built() -> BTreeSet<String> {
    let ended = run(["plugins", "--json"]).expect_exit(0);
    let plugins: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let name = |plugin: &Value| {
        let text = |key: &str| plugin[key].as_str().expect("a text").to_lowercase();
        format!("{} {}", text("kind"), text("name"))
    };
    plugins.as_array().expect("a list").iter().map(name).collect()
}

#[test]
fn a_check_tells_each_plugin_that_is_not_there_once_and_nothing_else() {
    let built = built();
    let mut told = 0;
    for file in configs() {
        let ended = run(["check", "--json", text(&file).as_str()]);
        let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let mut blocks = BTreeSet::new();
        for problem in report["problems"].as_array().expect("a list") {
            if problem["severity"] == "warning" {
                continue;
            }
            let block = problem["block"].as_str().unwrap_or_default();
            let (kind, name) = block
                .split_once("] ")
                .map_or(("", ""), |(kind, name)| (kind.split('[').next().unwrap_or_default(), name));
            let missing = !built.contains(&format!("{kind} {}", name.to_lowercase()));
            let message = problem["message"].as_str().unwrap_or_default();
            assert!(
                missing && message.ends_with("not found.") && problem["line"].is_u64(),
                "{}: {problem:#}",
                text(&file)
            );
            assert!(blocks.insert(block.to_owned()), "{}: told twice: {problem:#}", text(&file));
        }
        told += blocks.len();
        assert_eq!(report["valid"], Value::Bool(blocks.is_empty()), "{}", text(&file));
    }
    assert!(told > 0, "some plugin is not there");
}
