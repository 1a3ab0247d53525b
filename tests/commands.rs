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
fn options_of_other_engines_are_ignored_with_a_debug_line() {
    let folder = Folder::new();
    let env = "env { job.mode = \"BATCH\", flink.execution.planner = blink, spark { app.name = s } }";
    let file = folder.write("job.conf", &VALID.replace("env { job.mode = \"BATCH\" }", env));
    let mut command = egret([OsStr::new("check"), file.as_os_str()]);
    let ended = command.env("RUST_LOG", "egret_runtime=debug").output().expect("the program runs");
    let log = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{log}");
    for option in ["flink.execution.planner", "spark.app.name"] {
        assert!(log.lines().any(|line| line.contains("DEBUG") && line.contains(option)), "{log}");
    }
    let silent = run([OsStr::new("check"), file.as_os_str()]).expect_exit(0);
    assert_eq!(silent.stderr, "");
}

#[test]
fn a_config_in_sql_is_refused_by_name() {
    let folder = Folder::new();
    let file = folder.write("job.sql", "CREATE TABLE a WITH ('connector' = 'jdbc');");
    let ended = run([OsStr::new("check"), file.as_os_str()]).expect_exit(1);
    assert_holds(&ended.stderr, &["configs in SQL are not supported"]);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn plugins_are_listed_by_kind() {
    let ended = run(["plugins"]).expect_exit(0);
    let mut lines: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in ended.stdout.lines() {
        let mut words = line.split_whitespace();
        let (kind, name) = (words.next().expect("a kind"), words.next().expect("a name"));
        assert!(words.count() > 2, "a sentence about it: {line}");
        match lines.last_mut() {
            Some((last, names)) if *last == kind => names.push(name),
            _ => lines.push((kind, vec![name])),
        }
    }
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
    assert_holds(&ended.stdout, &["\n      For example: path = ", "\n  Sample:\n    source {\n      LocalFile {\n"]);
}

#[test]
fn machines_get_plugins_as_json_too() {
    let all: Value = serde_json::from_str(&run(["plugins", "--json"]).expect_exit(0).stdout).expect("JSON");
    let names: Vec<&Value> = all.as_array().expect("a list").iter().map(|plugin| &plugin["name"]).collect();
    assert!(names.contains(&&json!("FakeSource")) && names.contains(&&json!("Sql")), "{names:?}");
    let one: Value =
        serde_json::from_str(&run(["plugins", "--json", "localfile"]).expect_exit(0).stdout).expect("JSON");
    assert_eq!((&one[0]["kind"], &one[1]["kind"]), (&json!("source"), &json!("sink")));
    let required = |kind: &Value| kind["options"].as_array().expect("options").iter().any(|o| o["required"] == true);
    assert!(one.as_array().expect("a list").iter().any(required), "{one:#}");
    assert!(one[0]["sample"].as_str().expect("a sample").contains("LocalFile {"), "{one:#}");
}

/// What a sample says is a config.
#[test]
fn samples_are_configs() {
    let all: Value = serde_json::from_str(&run(["plugins", "--json"]).expect_exit(0).stdout).expect("JSON");
    let mut seen = std::collections::BTreeSet::new();
    for plugin in all.as_array().expect("a list") {
        let name = plugin["name"].as_str().expect("a name");
        if !seen.insert(name) {
            continue;
        }
        let about: Value = serde_json::from_str(&run(["plugins", "--json", name]).expect_exit(0).stdout).expect("JSON");
        for one in about.as_array().expect("a list") {
            let sample = one["sample"].as_str().expect("a sample");
            let rest = match one["kind"].as_str() {
                Some("source") => "sink { Console { } }",
                Some("sink") => "source { FakeSource { plugin_output = rows } }",
                _ => "source { FakeSource { plugin_output = rows } } sink { Console { plugin_input = changed } }",
            };
            check(&format!("env {{ }}\n{sample}\n{rest}\n"), &["--syntax"]).0.expect_exit(0);
        }
    }
}

#[test]
fn secrets_are_encoded_and_decoded() {
    let folder = Folder::new();
    let plain = r#"env { job.mode = "BATCH" }
source { FakeSource { username = "seatunnel", password = "${pw}", schema { fields { id = "int" } } } }
sink { Console { token = "t-${x:1}" } }
"#;
    let file = folder.write("plain.conf", plain);
    let file = file.as_os_str();
    let ended = run([OsStr::new("encrypt"), file]).expect_exit(0);
    assert_holds(&ended.stderr, &["leaves secrets as they are", "--shade base64"]);
    let arguments = ["encrypt", "--shade", "base64", "-i", "pw=seatunnel_password"].map(OsStr::new);
    let ended = run(arguments.into_iter().chain([file])).expect_exit(0);
    let encoded: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(encoded["env"], json!({ "job.mode": "BATCH", "shade.identifier": "base64" }));
    let block = &encoded["source"][0];
    assert_eq!((&block["plugin_name"], &block["username"]), (&json!("FakeSource"), &json!("c2VhdHVubmVs")));
    assert_eq!(block["password"], "c2VhdHVubmVsX3Bhc3N3b3Jk");
    // A default is only filled in where a job is run.
    assert_eq!(encoded["sink"][0]["token"], "t-${x:1}");
    assert_holds(&ended.stderr, &["sink[0] Console, option 'token': holds a variable and stays as it is"]);

    let again = folder.write("encoded.json", &ended.stdout);
    let ended = run([OsStr::new("decrypt"), again.as_os_str()]).expect_exit(0);
    let decoded: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(
        (&decoded["source"][0]["password"], &decoded["source"][0]["username"]),
        (&json!("seatunnel_password"), &json!("seatunnel"))
    );
    // What is not encoded is told without the value, whatever reads the config.
    let broken = folder.write("broken.json", &ended.stdout.replace("seatunnel_password", "hunter2!"));
    for command in ["decrypt", "check", "run"] {
        let ended = run([OsStr::new(command), broken.as_os_str()]).expect_exit(1);
        assert_holds(&ended.stderr, &["source[0] FakeSource, option 'password': the value is not encoded"]);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
}

#[test]
fn calls_made_for_the_client_of_the_original_work() {
    let folder = Folder::new();
    let file = folder.write("job.conf", &VALID.replace("FakeSource {", "FakeSource { row.num = ${rows},"));
    let config = file.to_str().expect("a path");
    let ended = run(["--config", config, "-m", "local", "-i", "rows=3,other=1"]).expect_exit(0);
    assert_holds(&ended.stdout, &["Total Read Count          :                   3"]);
    let ended = run(["-c", config, "-e", "LOCAL", "-n", "named", "--check", "-i", "rows=3"]).expect_exit(0);
    assert_holds(&ended.stdout, &["is valid"]);
    run(["--config", config, "--encrypt"]).expect_exit(0);
    for (arguments, reason) in [
        (&["-m", "cluster", "-c", config][..], "in this process"),
        (&["-c", config, "--async"], "runs in this process and ends with it"),
        (&["-c", config, "-cj"], "cannot live on"),
        (&["-cn", "x", "-c", config], "no cluster to choose"),
        (&["-r", "1", "-c", config], "egret restore ID FILE"),
        (&["-can", "1", "2"], "stop-job"),
        (&["-l"], "running-jobs"),
        (&["-j", "1"], "job-info"),
    ] {
        assert_holds(&run(arguments.iter().copied()).expect_exit(2).stderr, &[reason]);
    }
    assert_holds(&run(["run"]).expect_exit(2).stderr, &["FILE"]);
}

#[test]
fn a_variable_is_text_where_text_is_expected() {
    let folder = Folder::new();
    let config = r#"env { }
source { FakeSource { row.num = 1, schema = ${schema}, string.template = ["${body}"] } }
sink { Console { } }
"#;
    let file = folder.write("job.conf", config);
    let arguments = ["run", "-i", r#"body={"a":1}"#, "-i", r#"schema={"fields":{"a":"string"}}"#].map(OsStr::new);
    let ended = run(arguments.into_iter().chain([file.as_os_str()])).expect_exit(0);
    assert_holds(&ended.stdout, &[r#"{"a":1}"#]);
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
