use std::collections::BTreeSet;

use clap::{Args as _, FromArgMatches as _};
use egret_runtime::job::JobScheduleStrategy;

use super::*;

mod originals;

fn read_text(text: &str) -> Result<Read, SettingsError> {
    let mut read = Read::default();
    file::read_text(text, "egret.yaml", &mut read);
    read.finish()
}

fn problem(text: &str) -> String {
    read_text(text).expect_err("it is wrong").to_string()
}

fn flags(arguments: &[&str]) -> Result<SettingFlags, clap::Error> {
    let command = SettingFlags::augment_args(clap::Command::new("test").no_binary_name(true));
    command.try_get_matches_from(arguments).and_then(|matches| SettingFlags::from_arg_matches(&matches))
}

#[test]
fn keys_and_flags_are_the_same_words_and_stand_once() {
    for setting in table::all() {
        let is_secret = matches!(setting.key, "auth.password" | "auth.token");
        let flag = if is_secret { String::new() } else { setting.key.replace(['_', '.'], "-") };
        assert_eq!(setting.flag, flag);
        assert!(!setting.meaning.contains('|') && setting.meaning.ends_with('.'), "{}", setting.key);
    }
    let keys: BTreeSet<_> = table::all().map(|setting| setting.key).collect();
    assert_eq!(keys.len(), table::all().count());
    let originals: Vec<_> = table::all().flat_map(|setting| setting.originals).map(|original| original.path).collect();
    assert_eq!(originals.iter().collect::<BTreeSet<_>>().len(), originals.len());
}

/// Each setting reaches a place of its own: what is set is shown again, and no other changes.
#[test]
fn every_setting_is_settable_by_file_and_by_flag_and_changes_itself_alone() {
    let defaults: Vec<String> = table::all().map(|setting| (setting.show)(&Settings::default())).collect();
    for (at, setting) in table::all().enumerate() {
        if setting.key.starts_with("auth.") {
            // These need each other; they have tests of their own.
            continue;
        }
        let value = match setting.key {
            "host" => "0.0.0.0",
            "context_path" => "/x",
            "v1_ids" => "string",
            "newest_first" => "true",
            "port_faces" | "second_port_faces" => "v2",
            "second_port_dynamic" => "true",
            "cluster_name" => "herons",
            "member_host" => "node-1.example.org",
            "tags" => r#"{"disk":"ssd","zone":"a"}"#,
            "telemetry" | "dynamic_slot" => "false",
            "job_schedule_strategy" => "WAIT",
            "cores" => "0-1",
            "work_nice" => "3",
            "state_folder" | "log_folder" => "/var/x",
            "logs_bytes_max" | "http.bodies_bytes_max" => "2GiB",
            key if key.ends_with("bytes_max") => "128KiB",
            "sample_age_max" | "sample_wait_max" | "load_window" => "77s",
            "stall_front" | "stall_work" => "77s",
            "stack_wait_max" => "7s",
            key if key.ends_with("timeout") || key.ends_with("interval") || key.ends_with("expire") => "77s",
            _ => "77",
        };
        let shown = |settings: &Settings| table::all().map(|setting| (setting.show)(settings)).collect::<Vec<_>>();
        let mut expected = defaults.clone();
        expected[at] = value.to_owned();
        let from_file = read_text(&format!("{}: {value}\n", setting.key)).expect("valid").settings;
        assert_eq!(shown(&from_file), expected, "{}", setting.key);
        let flags = flags(&[&format!("--{}={value}", setting.flag)]).expect("valid");
        assert_eq!(shown(&Settings::read(&[], &flags).expect("valid").settings), expected, "{}", setting.key);
    }
}

#[test]
fn flags_win_over_the_file_and_the_file_over_the_defaults() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("egret.yaml");
    std::fs::write(&path, "port: 6001\nsecond_port: off\nhttp:\n  backlog: 7\n").expect("written");
    let read =
        Settings::read(std::slice::from_ref(&path), &flags(&["--port", "6002", "--newest-first"]).expect("valid"));
    let read = read.expect("valid");
    let origins = ["port", "second_port", "http.backlog", "host"].map(|key| read.origins.of(key).to_string());
    let name = path.display();
    assert_eq!(origins, ["--port".to_owned(), format!("{name}:2"), format!("{name}:4"), "default".to_owned()]);
    let settings = read.settings;
    assert_eq!((settings.port, settings.second_port, settings.http.backlog), (6002, None, 7));
    assert!(settings.seatunnel.newest_first);
    let ports = |settings: &Settings| settings.listeners().iter().map(|one| one.port).collect::<Vec<_>>();
    assert_eq!((ports(&settings), ports(&Settings::default())), (vec![6002], vec![5801, 8080]));
}

#[test]
fn a_flag_that_is_true_or_false_takes_its_value_with_a_space_too_and_leaves_files_alone() {
    let joined = |line: &str| {
        let joined = with_values_joined(line.split(' ').map(Into::into).collect());
        joined.into_iter().map(|argument| argument.into_string().expect("text")).collect::<Vec<_>>().join(" ")
    };
    for (given, meant) in [
        ("egret serve --dynamic-slot false a.conf", "egret serve --dynamic-slot=false a.conf"),
        ("egret serve --telemetry FALSE --newest-first true", "egret serve --telemetry=FALSE --newest-first=true"),
        ("egret serve --newest-first job.conf false", "egret serve --newest-first job.conf false"),
        ("egret serve --dynamic-slot=false false", "egret serve --dynamic-slot=false false"),
        ("egret serve --dynamic-slot false true", "egret serve --dynamic-slot=false true"),
        ("egret serve --cluster-name false", "egret serve --cluster-name false"),
        ("egret serve -- --dynamic-slot false", "egret serve -- --dynamic-slot false"),
        ("egret serve --dynamic-slot -- false", "egret serve --dynamic-slot -- false"),
    ] {
        assert_eq!(joined(given), meant);
    }
}

#[test]
fn keys_may_be_nested_dotted_or_with_dashes_and_cores_a_list() {
    for text in ["http:\n  body_bytes_max: 1MiB", "http.body_bytes_max: 1MiB", "http: {body-bytes-max: 1048576}"] {
        assert_eq!(read_text(text).expect("valid").settings.http.body_bytes_max, 1 << 20, "{text}");
    }
    let cores = read_text("cores: [0, 2]").expect("valid").settings.cores.expect("some");
    assert_eq!(cores.cpus(), [0, 2]);
    for empty in ["", "# nothing\n", "---\n"] {
        assert_eq!(read_text(empty).expect("valid").settings.port, 5801);
    }
}

#[test]
fn mistakes_are_told_together_with_line_column_and_the_likely_key() {
    let told = problem("port: many\nhttp:\n  conections_max: 5\nbanana: 1\nhistory_expire: 5 parsecs\nhost:\n");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        [
            "error: egret.yaml:1:1: 'port': expected a port from 0 to 65535, found 'many'",
            "error: egret.yaml:3:3: 'http.conections_max' is no setting; did you mean 'http.connections_max'?",
            "error: egret.yaml:4:1: 'banana' is no setting; docs/settings.md lists them",
            "error: egret.yaml:5:1: 'history_expire': expected a time like 500ms, 15s, 5m, 24h or 7d, found '5 parsecs'",
            "error: egret.yaml:6:1: 'host': it has no value",
        ]
    );
    assert!(problem("just words").starts_with("error: egret.yaml:1:1: the file: expected keys and values"));
    assert!(problem("port: [1, [2]]").contains("expected one value"));
    assert!(problem("http.port: {}\n").contains("'http.port' is no setting"));
    assert!(problem("port: 1\n---\nport: 2\n").contains("expected one document"));
    assert!(problem("port: 1\nhttp: {backlog: 5}\nhttp.backlog: 6\n").contains("it is set in line 2 already"));
}

#[test]
fn text_that_is_no_yaml_is_told_with_its_place() {
    let told = problem("port: 1\nhost: \"open\n");
    assert!(told.starts_with("error: egret.yaml:"), "{told}");
    assert!(problem("port: 1\nport: 2\n").starts_with("error: egret.yaml:"));
}

#[test]
fn slots_are_set_in_our_words_and_in_the_originals() {
    let ours = "dynamic_slot: false\nslot-num: 20\njob_schedule_strategy: wait\n";
    let originals =
        "seatunnel: {engine: {job-schedule-strategy: WAIT, slot-service: {dynamic-slot: false, slot-num: 20}}}";
    for text in [ours, originals] {
        let slots = read_text(text).expect("valid").settings.jobs.slots;
        assert_eq!((slots.dynamic, slots.count, slots.strategy), (false, 20, JobScheduleStrategy::Wait));
    }
    assert!(problem("job_schedule_strategy: LATER\n").contains("expected REJECT or WAIT, found 'LATER'"));
    assert!(problem("slot_num: 0\n").contains("at least 1"));
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let told = Settings::read(&[], &flags(&["--port", "8080"]).expect("valid")).expect_err("one port twice");
    assert!(
        told.to_string()
            .contains("'port' is 8080 (--port) and 'second_port' is 8080 (default): give them different numbers"),
        "{told}"
    );
    Settings::read(&[], &flags(&["--port", "0", "--second-port", "0"]).expect("valid")).expect("two free ones");
    assert!(flags(&["--port", "many"]).expect_err("no port").to_string().contains("expected a port"));
}

#[test]
fn mistakes_of_two_settings_are_told_with_the_places_of_both() {
    let told = problem("http:\n  bodies_bytes_max: 1MiB\nlogs_bytes_max: 1MiB\nlog_bytes_max: 1x\nport: -1\n");
    assert!(told.contains("'http.bodies_bytes_max' is 1MiB (egret.yaml:2): all bodies together"), "{told}");
    assert!(!told.contains("'logs_bytes_max' is"), "one of the two is told as wrong by itself: {told}");
    assert_eq!(told.lines().count(), 3, "{told}");
    assert!(read_text("second_port: 5801\nsecond_port_dynamic: true\n").is_ok());
}

#[test]
fn bounds_that_would_fail_the_start_are_told_with_their_place() {
    for (text, allowed) in [
        ("http: {header_bytes_max: 4KiB}", "at least 8KiB, found '4KiB'"),
        ("log_bytes_max: 1KiB", "at least 64KiB"),
        ("log_queue_bytes_max: 1", "at least 16KiB"),
        ("queue_bytes_max: 0", "at least 1"),
        ("second_port_range: 0", "at least 1"),
        ("context_path: /hazelcast", "do not begin with /hazelcast"),
        ("context_path: /a%20b", "names of letters"),
        ("port_faces: v3", "expected v1, v2 or both, found 'v3'"),
        ("telemetry: perhaps", "true or false"),
        ("cluster_name: \"\"", "a name of 1 to 255 bytes"),
        ("member_host: http://x", "the name of a host or an address"),
        ("tags: [a, b]", "expected names and values"),
        ("tags: {a: {b: c}}", "expected names with plain values"),
    ] {
        let told = problem(text);
        assert!(told.starts_with("error: egret.yaml:1:") && told.contains(allowed), "{text}: {told}");
    }
}

#[test]
fn who_may_ask_is_set_by_flags_that_hold_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, name).expect("written");
        path.display().to_string()
    };
    let (password, token) = (write("word"), write("tok-1"));
    let arguments =
        ["--auth-enabled", "--auth-user=me", "--auth-password-file", &password, "--auth-token-file", &token];
    let read = Settings::read(&[], &flags(&arguments).expect("valid")).expect("valid");
    let auth = read.settings.auth.settings();
    assert_eq!(auth.user, Some(("me".into(), egret_http::Secret::new("word"))));
    assert_eq!(auth.token, Some(egret_http::Secret::new("tok-1")));
    assert!(flags(&["--auth-password", "x"]).is_err(), "there is no such flag");
}

#[test]
fn tags_are_a_section_with_names_of_any_kind() {
    let read = read_text("tags:\n  rack-1: a\n  up: 7\n  empty:\n").expect("valid");
    let tags: Vec<_> = read.settings.node.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(tags, ["empty=", "rack-1=a", "up=7"]);
    assert_eq!(read_text("tags: rack-1=a, up=7").expect("valid").settings.node.tags.len(), 2);
}

#[test]
fn a_section_in_which_nothing_is_set_says_nothing() {
    read_text("http:\nseatunnel:\n  engine:\n    checkpoint: {}\n").expect("valid");
}

#[test]
fn the_documentation_lists_every_setting() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let text = std::fs::read_to_string(&path).expect("docs/settings.md");
    let mut updated = text.clone();
    for (name, table) in [("settings", docs::settings()), ("foreign", docs::foreign())] {
        let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
        let (before, rest) = updated.split_once(&begin).expect("the begin of a table");
        let (_, after) = rest.split_once(&end).expect("the end of a table");
        updated = format!("{before}{begin}{table}{end}{after}");
    }
    if text != updated && std::env::var_os("EGRET_UPDATE_DOCS").is_some() {
        std::fs::write(&path, updated).expect("written");
        return;
    }
    assert!(text == updated, "docs/settings.md is out of date: run this test with EGRET_UPDATE_DOCS=1");
}
