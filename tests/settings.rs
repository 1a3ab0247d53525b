//! The settings of a node as its operators see them: what is printed, who may ask, what is forgotten when.

mod support;

use serde_json::{Value, json};
use support::http::{Client, Response};
use support::node::{self, Node, maps};
use support::program::{Ended, Program, egret};
use support::{Folder, assert_holds, eventually};

const SECRET: &str = "s3cret word";

/// A batch job.
fn job(name: &str) -> Value {
    json!({
        "env": { "job.mode": "BATCH", "job.name": name },
        "source": [{ "plugin_name": "FakeSource", "row.num": 3, "schema": { "fields": { "id": "bigint" } } }],
        "sink": [{ "plugin_name": "Blackhole" }],
    })
}

/// `egret config` with these arguments and this environment.
fn config(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let mut command = egret(["config"]);
    command.args(arguments).envs(environment.iter().copied());
    Program::start(command).end()
}

/// A node that asks for the user `admin` with the password, and takes a token.
fn guarded(arguments: &[&str]) -> Node {
    let mut command = node::command(&["--auth-enabled"]);
    command.args(arguments).env("EGRET_AUTH_PASSWORD", SECRET).env("EGRET_AUTH_TOKEN", "tok-1");
    Node::from_command(command)
}

/// A request with a line more in its head.
fn ask(client: &mut Client, method: &str, path: &str, line: &str) -> Response {
    client.send(&format!("{method} {path} HTTP/1.1\r\nhost: egret\r\n{line}content-length: 0\r\n\r\n"));
    client.response()
}

/// `admin` and the password of [`guarded`].
const RIGHT: &str = "authorization: Basic YWRtaW46czNjcmV0IHdvcmQ=\r\n";

#[test]
fn the_settings_are_printed_with_where_each_comes_from_and_without_secrets() {
    let folder = Folder::new();
    let file =
        folder.write("egret.yaml", "port: 6001\nauth:\n  enabled: true\n  password: s3cret word\ntags: {a: 'x y'}\n");
    let file = file.display().to_string();
    let ended = config(&["--config", &file, "--newest-first"], &[("EGRET_AUTH_TOKEN", "hidden")]).expect_exit(0);
    let lines: Vec<String> =
        ended.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        format!("port: 6001 # {file}:1"),
        "second_port: 8080 # default".to_owned(),
        "newest_first: true # --newest-first".to_owned(),
        format!("auth.enabled: true # {file}:3"),
        format!("# auth.password: ****** # {file}:4"),
        "# auth.token: ****** # $EGRET_AUTH_TOKEN".to_owned(),
        "http.body_bytes_max: 16MiB # default".to_owned(),
        format!("tags: {{\"a\":\"x y\"}} # {file}:5"),
    ] {
        assert!(lines.contains(&line), "{line} is not in:\n{}", ended.stdout);
    }
    assert!(!ended.stdout.contains(SECRET) && !ended.stdout.contains("hidden"));
    // It is an egret.yaml that says the same.
    let again = folder.write("again.yaml", &ended.stdout).display().to_string();
    let values = |ended: &Ended| -> Vec<(String, String)> {
        let rows: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let text = |row: &Value, key: &str| row[key].as_str().expect("text").to_owned();
        rows.as_array().expect("rows").iter().map(|row| (text(row, "key"), text(row, "value"))).collect()
    };
    let password = [("EGRET_AUTH_PASSWORD", SECRET), ("EGRET_AUTH_TOKEN", "hidden")];
    let first = config(&["--json", "--config", &file, "--newest-first"], &password).expect_exit(0);
    let second = config(&["--json", "--config", &again], &password).expect_exit(0);
    assert_eq!(values(&first), values(&second));
    assert!(!first.stdout.contains(SECRET));
}

#[test]
fn a_setting_is_switched_off_with_or_without_an_equals_sign() {
    for arguments in [&["--dynamic-slot", "false", "--newest-first"][..], &["--newest-first", "--dynamic-slot=false"]] {
        let rows = config(arguments, &[]).expect_exit(0).stdout;
        let row = |key: &str| rows.lines().find(|line| line.starts_with(key)).expect(key).to_owned();
        assert_holds(&row("dynamic_slot:"), &["dynamic_slot: false ", "# --dynamic-slot"]);
        assert_holds(&row("newest_first:"), &["newest_first: true "]);
    }
    // A flag alone means true: what follows is a file.
    let told = Program::start(node::command(&["--newest-first", "nowhere.conf"])).end().expect_exit(1).stderr;
    assert_holds(&told, &["cannot read nowhere.conf"]);
}

#[test]
fn the_originals_files_are_printed_as_ours_and_all_mistakes_of_all_files_are_told_at_once() {
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/settings");
    let [engine, member] = ["seatunnel_single.yaml", "hazelcast.yaml"].map(|name| format!("{files}/{name}"));
    let ended = config(&["--config", &engine, "--config", &member], &[]).expect_exit(0);
    assert_holds(&ended.stdout, &["5901", "hazelcast.network.port.port", "8090", "seatunnel.engine.http.port", "/api"]);
    assert_holds(&ended.stderr, &[&format!("warning: {engine}:6: seatunnel.engine.backup-count means nothing here: ")]);
    let folder = Folder::new();
    let one = folder.write("one.yaml", "prot: 1\nport: many\n").display().to_string();
    let two = folder.write("two.yaml", "logs_bytes_max: 1MiB\nauth: {enabled: true}\n").display().to_string();
    let told = config(&["--config", &one, "--config", &two], &[]).expect_exit(1);
    assert_eq!(told.stderr.lines().count(), 4, "{}", told.stderr);
    assert_holds(
        &told.stderr,
        &["one.yaml:1:1: 'prot'", "one.yaml:2:1: 'port'", "two.yaml:1)", "there is no password"],
    );
    assert_eq!(told.stdout, "");
}

#[test]
fn with_a_password_every_path_asks_for_it_but_the_health() {
    let node = guarded(&["--context-path", "/engine"]);
    let mut client = node.client();
    let paths = [
        ("GET", maps("/running-jobs")),
        ("POST", maps("/submit-job")),
        ("PUT", maps("/update-tags")),
        ("GET", maps("/logs")),
        ("GET", "/hazelcast/rest/cluster".to_owned()),
        ("GET", "/hazelcast/rest/instance/metrics".to_owned()),
        ("GET", "/engine/overview".to_owned()),
        ("PUT", "/engine/submit-job".to_owned()),
        ("GET", "/engine/metrics".to_owned()),
        ("GET", "/openapi.json".to_owned()),
        ("GET", "/nothing".to_owned()),
        ("POST", "/hazelcast/health".to_owned()),
    ];
    for (method, path) in &paths {
        for line in ["", "authorization: Basic YWRtaW46YWRtaW4=\r\n", "authorization: Bearer tok-2\r\n"] {
            let answer = ask(&mut client, method, path, line);
            assert_eq!(answer.status, 401, "{method} {path} {line}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_holds(
                &answer.head.to_ascii_lowercase(),
                &["www-authenticate: basic realm=\"egret\", charset=\"utf-8\"", "www-authenticate: bearer"],
            );
            assert_holds(&answer.refused(401), &["asks for a user and a password"]);
        }
        for line in [RIGHT, "authorization: bearer tok-1\r\n"] {
            assert_ne!(ask(&mut client, method, path, line).status, 401, "{method} {path}");
        }
    }
    for path in ["/hazelcast/health", "/hazelcast/health/ready", "/hazelcast/health/node-state"] {
        assert_eq!(ask(&mut client, "GET", path, "").status, 200, "{path}");
    }
    let metrics = ask(&mut client, "GET", "/engine/metrics", RIGHT).text();
    assert_holds(&metrics, &[&format!("limit=\"auth\",}} {}\n", paths.len() * 3)]);
    let described = ask(&mut client, "GET", "/openapi.json", RIGHT).json();
    assert_eq!(described["components"]["securitySchemes"]["user"]["scheme"], "basic");
    assert_eq!(described["paths"]["/hazelcast/health"]["get"]["security"], json!([]));
    assert!(described["paths"]["/engine/overview"]["get"]["responses"]["401"].is_object());
    let ended = node.stop().expect_exit(0);
    assert!(!ended.stderr.contains(SECRET) && !ended.stderr.contains("YWRtaW"), "{}", ended.stderr);
}

#[test]
fn a_refused_body_is_not_taken_for_the_next_request() {
    let node = guarded(&[]);
    let mut client = node.client();
    let body = "GET /hazelcast/health HTTP/1.1\r\nhost: egret\r\n\r\n".repeat(20_000);
    let path = maps("/submit-job");
    client.send(&format!(
        "POST {path} HTTP/1.1\r\nhost: egret\r\ncontent-length: {}\r\n\r\n{}",
        body.len(),
        &body[..5000]
    ));
    client.response().refused(401);
    assert!(client.is_closed());
}

#[test]
fn the_commands_say_who_asks_and_never_print_it() {
    let node = guarded(&[]);
    let url = format!("http://{}", node.address());
    let folder = Folder::new();
    let file = folder.write("job.json", &job("guarded").to_string()).display().to_string();
    let password = folder.write("password", "s3cret word\n").display().to_string();
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = egret(arguments.iter().copied());
        command.args(["--url", &url]).envs(environment.iter().copied());
        Program::start(command).end()
    };
    let told = run(&["list"], &[]).expect_exit(1).stderr;
    assert_holds(&told, &["This node asks for a user and a password", "EGRET_PASSWORD"]);
    let told = run(&["list", "--user", "admin:wrong word"], &[]).expect_exit(1).stderr;
    assert!(told.contains("is not what it knows") && !told.contains("wrong word"), "{told}");
    run(&["submit", &file], &[("EGRET_USER", "admin"), ("EGRET_PASSWORD", SECRET)]).expect_exit(0);
    run(&["list", "--user", "admin", "--password-file", &password], &[]).expect_exit(0);
    run(&["list"], &[("EGRET_PASSWORD", SECRET)]).expect_exit(0);
    run(&["list"], &[("EGRET_TOKEN", "tok-1")]).expect_exit(0);
    let help = run(&["list", "--help"], &[("EGRET_USER", "admin:s3cret word")]).expect_exit(0).stdout;
    assert!(help.contains("EGRET_USER") && !help.contains(SECRET), "{help}");
}

#[test]
fn half_a_protection_fails_the_start() {
    let refused = |environment: &[(&str, &str)], arguments: &[&str]| {
        let mut command = node::command(arguments);
        command.envs(environment.iter().copied());
        Program::start(command).end().expect_exit(1).stderr
    };
    assert_holds(&refused(&[], &["--auth-enabled"]), &["'auth.enabled' is true (--auth-enabled)", "no password"]);
    let told = refused(&[("EGRET_AUTH_PASSWORD", SECRET)], &[]);
    assert_holds(&told, &["'auth.password' is given ($EGRET_AUTH_PASSWORD)", "set auth.enabled to true or false"]);
    assert!(!told.contains(SECRET));
}

#[test]
fn an_open_address_with_a_password_is_warned_of_because_nothing_is_encrypted() {
    let node = guarded(&["--host", "0.0.0.0"]);
    node.program().wait_for_stderr("the warning", |log| {
        (log.contains("other machines can reach this node; its connections are not encrypted")).then_some(())
    });
    node.stop().expect_exit(0);
}

#[test]
fn the_node_calls_itself_what_the_settings_say() {
    let node = Node::with(&["--cluster-name", "nightly", "--member-host", "node-1", "--tags", "zone=east"]);
    let cluster = node.client().get("/hazelcast/rest/cluster").ok();
    assert_eq!(cluster["members"][0]["address"], format!("[node-1]:{}", node.address().port()));
    assert_eq!(node.get("/overview?zone=east").ok()["workers"], "1");
    assert_eq!(node.get("/overview?zone=west").ok()["workers"], "0");
    assert_holds(&node.client().get("/metrics").text(), &["node_count{cluster=\"nightly\",} 1.0"]);
    node.stop().expect_exit(0);
    let silent = Node::with(&["--telemetry=false", "--port-faces", "v1"]);
    assert_eq!(silent.client().get("/hazelcast/rest/instance/metrics").text(), "");
    assert_eq!(silent.client().get("/overview").status, 404);
}

#[test]
fn ended_jobs_are_forgotten_by_age_though_no_other_job_ends() {
    let node = Node::with(&["--history-expire", "300ms"]);
    let id = node.submit(&job("short"));
    let unknown = json!({ "jobId": id.to_string() });
    eventually("the job is forgotten", || {
        let known = node.job(id);
        if known == unknown { Ok(()) } else { Err(known) }
    });
    assert_holds(&node.client().get("/metrics").text(), &["egret_history_jobs{cluster=\"seatunnel\",} 0\n"]);
    node.stop().expect_exit(0);
}

#[test]
fn ended_jobs_are_remembered_up_to_a_number() {
    let node = Node::with(&["--history-jobs-max", "2"]);
    let mut ids = Vec::new();
    for _ in 0..5 {
        let id = node.submit(&job("one of five"));
        node.wait_for_state(id, "FINISHED");
        ids.push(Value::String(id.to_string()));
    }
    let remembered = eventually("two jobs are left", || {
        let jobs = node.get("/finished-jobs").ok();
        let ids: Vec<Value> = jobs.as_array().expect("a list").iter().map(|job| job["jobId"].clone()).collect();
        if ids.len() == 2 { Ok(ids) } else { Err(jobs) }
    });
    assert_eq!(remembered, ids[3..]);
    node.stop().expect_exit(0);
}

#[test]
fn logs_are_bounded_by_age_and_counted() {
    let node = Node::with(&["--log-expire", "500ms"]);
    let id = node.submit(&job("short"));
    node.wait_for_state(id, "FINISHED");
    eventually("the log is gone", || {
        let names = node.get("/get-all-log-name").ok();
        if names == json!([]) { Ok(()) } else { Err(names) }
    });
    eventually("it is counted no more", || {
        let text = node.client().get("/metrics").text();
        let is_so = ["egret_logs{cluster=\"seatunnel\",} 0\n", "egret_logs_bytes{cluster=\"seatunnel\",} 0\n"]
            .into_iter()
            .all(|sample| text.contains(sample));
        if is_so { Ok(()) } else { Err(text) }
    });
    node.stop().expect_exit(0);
}
