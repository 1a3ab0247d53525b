//! The commands that look and tell: check, plugins, completions.

mod support;

use std::ffi::OsStr;
use std::fs::File;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::program::{Ended, egret, run};
use support::{Folder, assert_holds};

const VALID: &str = r#"env { job.mode = "BATCH" }
source { FakeSource { schema { fields { id = "int" } } } }
sink { Console { } }
"#;

/// A wrong value and an unknown plugin, and an option that is none.
const INVALID: &str = r#"env { job.mode = "BATCH" }
source {
  FakeSource {
    row.num = "many"
    schema { fields { id = "int" } }
  }
}
sink {
  Consol { colour = "blue" }
}
"#;

/// Checks a config text.
fn check(config: &str, arguments: &[&str]) -> (Ended, String) {
    let folder = Folder::new();
    let file = folder.write("job.conf", config);
    let mut all = vec![OsStr::new("check"), file.as_os_str()];
    all.extend(arguments.iter().map(OsStr::new));
    (run(all), file.display().to_string())
}

#[test]
fn a_valid_config_is_called_valid() {
    for arguments in [&[][..], &["--syntax"]] {
        let (ended, file) = check(VALID, arguments);
        let ended = ended.expect_exit(0);
        assert_eq!((ended.stdout, ended.stderr), (format!("{file} is valid\n"), String::new()));
    }
}

#[test]
fn an_invalid_config_is_told_apart_by_exit_status_and_every_problem_has_its_place() {
    let (ended, file) = check(INVALID, &[]);
    let ended = ended.expect_exit(1);
    assert_eq!(ended.stdout, "");
    assert_holds(
        &ended.stderr,
        &[
            &format!("error: {file}:4:15: source[0] FakeSource, option 'row.num': expected a whole number"),
            &format!("error: {file}:9:3: sink[0] Consol: Plugin PluginIdentifier{{"),
            "did you mean 'Console'?",
        ],
    );
}

#[test]
fn the_syntax_check_looks_at_grammar_and_wiring_alone() {
    // Neither plugins nor their options.
    check(INVALID, &["--syntax"]).0.expect_exit(0);
    let (ended, file) = check(&VALID.replace("FakeSource { schema", "FakeSource { schema { ]"), &["--syntax"]);
    assert_holds(&ended.expect_exit(1).stderr, &[&format!("error: {file}:2:")]);
    let wired = r#"env { }
source {
  FakeSource { plugin_output = "a" }
  FakeSource { plugin_output = "b" }
}
sink {
  Console { plugin_input = "a" }
  Console { plugin_input = "c" }
}
"#;
    let (ended, file) = check(wired, &["--syntax"]);
    assert_holds(
        &ended.expect_exit(1).stderr,
        &[
            &format!("error: {file}:8:"),
            "The 'source_table_name' option configured in [Console] is incorrect, and the source/transform[c] is not found.",
        ],
    );
}

#[test]
fn machines_get_json() {
    let (ended, _) = check(VALID, &["--json"]);
    let ended = ended.expect_exit(0);
    assert_eq!(ended.stderr, "");
    assert_eq!(serde_json::from_str::<Value>(&ended.stdout).expect("JSON"), json!({ "valid": true, "problems": [] }));

    let (ended, file) = check(INVALID, &["--json"]);
    let ended = ended.expect_exit(1);
    assert_eq!(ended.stderr, "");
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(report["valid"], false);
    let problems = report["problems"].as_array().expect("an array");
    for problem in problems {
        let keys: Vec<&String> = problem.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["severity", "file", "line", "column", "block", "option", "message", "help"]);
        assert_eq!(problem["file"], file);
    }
    let number = problems.iter().find(|problem| problem["option"] == "row.num").expect("the wrong number");
    assert_eq!((&number["line"], &number["column"]), (&json!(4), &json!(15)));
    assert_eq!((&number["severity"], &number["block"]), (&json!("error"), &json!("source[0] FakeSource")));
    assert_holds(number["message"].as_str().expect("a text"), &["a whole number", "'many'"]);
    let plugin = problems.iter().find(|problem| problem["line"] == 9).expect("the unknown plugin");
    assert_eq!((&plugin["option"], &plugin["help"]), (&Value::Null, &json!("did you mean 'Console'?")));
}

#[test]
fn warnings_leave_a_config_valid() {
    let (ended, file) = check(&VALID.replace("Console { }", "Console { colour = \"blue\" }"), &[]);
    let ended = ended.expect_exit(0);
    assert_eq!(ended.stdout, format!("{file} is valid\n"));
    assert_holds(&ended.stderr, &[&format!("warning: {file}:3:18: sink[0] Console, option 'colour'")]);
}

#[test]
fn variables_count_when_a_config_is_checked() {
    let config = VALID.replace("\"BATCH\"", "\"${mode}\"");
    assert_holds(&check(&config, &[]).0.expect_exit(1).stderr, &["the variable 'mode' is not set"]);
    check(&config, &["-i", "mode=batch"]).0.expect_exit(0);
}

#[test]
fn a_json_config_is_read_as_json() {
    let folder = Folder::new();
    let config = json!({
        "env": { "job.mode": "BATCH" },
        "source": [{ "plugin_name": "FakeSource", "schema": { "fields": { "id": "int" } } }],
        "sink": [{ "plugin_name": "Console" }],
    });
    let file = folder.write("job.json", &config.to_string());
    run([OsStr::new("check"), file.as_os_str()]).expect_exit(0);
    let file = folder.write("hocon.json", VALID);
    let ended = run([OsStr::new("check"), file.as_os_str()]).expect_exit(1);
    assert_holds(&ended.stderr, &[&format!("error: {}:1:1: ", file.display()), "JSON"]);
}

#[test]
fn plugins_are_listed_by_kind() {
    let ended = run(["plugins"]).expect_exit(0);
    let lines: Vec<(&str, Vec<&str>)> = ended
        .stdout
        .lines()
        .map(|line| {
            let (kind, names) = line.split_once(' ').expect("a kind and names");
            (kind, names.trim().split(", ").collect())
        })
        .collect();
    let kinds: Vec<&str> = lines.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, ["source", "transform", "sink"]);
    let expected: [&[&str]; 3] = [
        &["FakeSource", "LocalFile"],
        &["Copy", "FieldMapper", "Filter", "FilterRowKind", "Replace", "Split", "Sql"],
        &["Assert", "Blackhole", "Console", "LocalFile"],
    ];
    for ((kind, names), expected) in lines.iter().zip(expected) {
        for name in expected {
            assert!(names.contains(name), "no {name} among the plugins of kind {kind}: {names:?}");
        }
    }
}

#[test]
fn a_plugin_is_described_with_its_options_in_any_case() {
    for name in ["FakeSource", "fakesource"] {
        let ended = run(["plugins", name]).expect_exit(0);
        assert_holds(
            &ended.stdout,
            &["FakeSource (source)\n", "\n  row.num: a whole number of at least 0 (default 5)\n"],
        );
        assert_holds(&ended.stdout, &["\n  auto.increment.enabled: ", "\n  split.read-interval: "]);
    }
    // One name, two plugins.
    let ended = run(["plugins", "LocalFile"]).expect_exit(0);
    assert_holds(&ended.stdout, &["LocalFile (source)\n", "LocalFile (sink)\n", "file_format_type", "(required)"]);
}

#[test]
fn an_unknown_plugin_gets_the_nearest_name() {
    let ended = run(["plugins", "FakeSorce"]).expect_exit(1);
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.stderr, "error: there is no plugin 'FakeSorce'; did you mean 'FakeSource'?\n");
}

#[test]
fn completions_are_there_for_every_shell() {
    for (shell, mark) in [("bash", "_egret()"), ("zsh", "#compdef egret"), ("fish", "complete -c egret")] {
        let ended = run(["completions", shell]).expect_exit(0);
        assert_holds(&ended.stdout, &[mark, "serve", "check"]);
        assert_eq!(ended.stderr, "");
    }
    run(["completions", "tcsh"]).expect_exit(2);
}

/// What looks and tells, and its exit status.
fn tellers() -> (Folder, Vec<(Command, i32)>) {
    let folder = Folder::new();
    let (valid, invalid) = (folder.write("valid.conf", VALID), folder.write("invalid.conf", INVALID));
    let with = |arguments: &[&str]| egret(arguments);
    let mut commands =
        vec![(with(&["plugins"]), 0), (with(&["plugins", "FakeSource"]), 0), (with(&["completions", "bash"]), 0)];
    for (arguments, file, exit) in
        [(&["check"][..], &valid, 0), (&["check", "--json"], &valid, 0), (&["check", "--json"], &invalid, 1)]
    {
        let mut command = with(arguments);
        command.arg(file);
        commands.push((command, exit));
    }
    (folder, commands)
}

#[test]
fn a_reader_that_has_gone_away_is_no_failure() {
    let (_folder, commands) = tellers();
    for (mut command, exit) in commands {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = command.stdout(writer).stderr(Stdio::piped()).output().expect("the program runs");
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), stderr.as_ref()), (Some(exit), ""), "{command:?}");
    }
}

#[test]
fn a_full_disk_is_told() {
    let (_folder, commands) = tellers();
    for (mut command, _) in commands {
        let full = File::options().write(true).open("/dev/full").expect("Linux has it");
        let ended = command.stdout(full).stderr(Stdio::piped()).output().expect("the program runs");
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{command:?}: {stderr}");
        assert!(stderr.starts_with("error: cannot write to standard output: No space left"), "{command:?}: {stderr}");
    }
}
