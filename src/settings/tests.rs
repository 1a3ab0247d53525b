use std::collections::BTreeSet;

use clap::{Args as _, FromArgMatches as _};

use super::table::TABLE;
use super::*;

fn read_text(text: &str) -> Result<Read, SettingsError> {
    let mut read = Read::default();
    file::read_text(text, "egret.yaml", &mut read).map(|()| read)
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
    for setting in TABLE {
        assert_eq!(setting.flag, setting.key.replace(['_', '.'], "-"));
        assert!(!setting.meaning.contains('|') && setting.meaning.ends_with('.'), "{}", setting.key);
    }
    let keys: BTreeSet<_> = TABLE.iter().map(|setting| setting.key).collect();
    assert_eq!(keys.len(), TABLE.len());
    let originals: Vec<_> = TABLE.iter().flat_map(|setting| setting.originals).map(|original| original.path).collect();
    assert_eq!(originals.iter().collect::<BTreeSet<_>>().len(), originals.len());
}

/// Each setting reaches a place of its own: what is set is shown again, and no other changes.
#[test]
fn every_setting_is_settable_by_file_and_by_flag_and_changes_itself_alone() {
    let defaults: Vec<String> = TABLE.iter().map(|setting| (setting.show)(&Settings::default())).collect();
    for (at, setting) in TABLE.iter().enumerate() {
        let value = match setting.key {
            "host" => "0.0.0.0",
            "context_path" => "/x",
            "v1_ids" => "string",
            "newest_first" => "true",
            "cores" => "0-1",
            "work_nice" => "3",
            "state_folder" | "log_folder" => "/var/x",
            key if key.ends_with("bytes_max") => "128KiB",
            key if key.ends_with("timeout") || key.ends_with("interval") || key.ends_with("expire") => "77s",
            _ => "77",
        };
        let shown = |settings: &Settings| TABLE.iter().map(|setting| (setting.show)(settings)).collect::<Vec<_>>();
        let mut expected = defaults.clone();
        expected[at] = value.to_owned();
        let from_file = read_text(&format!("{}: {value}\n", setting.key)).expect("valid").settings;
        assert_eq!(shown(&from_file), expected, "{}", setting.key);
        let flags = flags(&[&format!("--{}={value}", setting.flag)]).expect("valid");
        assert_eq!(shown(&Settings::read(None, &flags).expect("valid").settings), expected, "{}", setting.key);
    }
}

#[test]
fn flags_win_over_the_file_and_the_file_over_the_defaults() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("egret.yaml");
    std::fs::write(&path, "port: 6001\nsecond_port: off\nhttp:\n  backlog: 7\n").expect("written");
    let read = Settings::read(Some(&path), &flags(&["--port", "6002", "--newest-first"]).expect("valid"));
    let settings = read.expect("valid").settings;
    assert_eq!((settings.port, settings.second_port, settings.http.backlog), (6002, None, 7));
    assert!(settings.seatunnel.newest_first);
    assert_eq!(settings.ports(), [6002]);
    assert_eq!(Settings::default().ports(), [5801, 8080]);
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

/// The file that the original ships, as it is.
const SEATUNNEL_YAML: &str = "
seatunnel:
  engine:
    history-job-expire-minutes: 30
    backup-count: 1
    queue-type: blockingqueue
    print-execution-info-interval: 60
    slot-service:
      dynamic-slot: true
    checkpoint:
      interval: 20000
      timeout: 90000
      storage:
        type: hdfs
        max-retained: 3
        plugin-config:
          namespace: /tmp/seatunnel/checkpoint_snapshot
    http:
      enable-http: true
      port: 8090
      context-path: /api/
";

#[test]
fn the_originals_file_is_taken_as_it_is() {
    let read = read_text(SEATUNNEL_YAML).expect("valid");
    let settings = &read.settings;
    assert_eq!(settings.jobs.history_expire, Duration::from_secs(30 * 60));
    assert_eq!(settings.jobs.checkpoint_interval, Duration::from_secs(20));
    assert_eq!(settings.jobs.checkpoint_timeout, Duration::from_secs(90));
    assert_eq!((settings.second_port, settings.seatunnel.context_path.as_ref()), (Some(8090), "/api"));
    assert_eq!(read.unused.len(), 7, "{:?}", read.unused);
    assert!(read.unused.contains(&"seatunnel.engine.checkpoint.storage.type".to_owned()));
    // Ours win, wherever they stand.
    let both = format!("second_port: 9000\n{SEATUNNEL_YAML}");
    assert_eq!(read_text(&both).expect("valid").settings.second_port, Some(9000));
    // Switched off, whichever comes first.
    for text in ["{port: 8090, enable-http: false}", "{enable-http: false, port: 8090}"] {
        let text = format!("seatunnel: {{engine: {{http: {text}}}}}");
        assert_eq!(read_text(&text).expect("valid").settings.second_port, None);
    }
    let told = problem("seatunnel:\n  engine:\n    checkpoint:\n      interval: often\n");
    assert!(told.starts_with("error: egret.yaml:4:7: 'seatunnel.engine.checkpoint.interval': expected"), "{told}");
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let told = Settings::read(None, &flags(&["--port", "8080"]).expect("valid")).expect_err("one port twice");
    assert!(told.to_string().contains("port and second_port are both 8080"), "{told}");
    Settings::read(None, &flags(&["--port", "0", "--second-port", "0"]).expect("valid")).expect("two free ones");
    assert!(flags(&["--port", "many"]).expect_err("no port").to_string().contains("expected a port"));
}

#[test]
fn the_documentation_lists_every_setting() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let text = std::fs::read_to_string(&path).expect("docs/settings.md");
    let (begin, end) = ("<!-- settings: begin -->\n", "<!-- settings: end -->");
    let (before, rest) = text.split_once(begin).expect("the begin of the table");
    let (table, after) = rest.split_once(end).expect("the end of the table");
    let expected = docs::table();
    if table != expected && std::env::var_os("EGRET_UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{expected}{end}{after}")).expect("written");
        return;
    }
    assert!(table == expected, "docs/settings.md is out of date: run this test with EGRET_UPDATE_DOCS=1");
}
