//! What operators do with a node: its settings, its ports, the logs of its jobs.

mod support;

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::http::Client;
use support::node::{self, Node, maps};
use support::program::Program;
use support::{Folder, assert_holds, eventually};

/// A batch job.
fn job(name: &str) -> Value {
    json!({
        "env": { "job.mode": "BATCH", "job.name": name },
        "source": [{ "plugin_name": "FakeSource", "row.num": 3, "schema": { "fields": { "id": "bigint" } } }],
        "sink": [{ "plugin_name": "Blackhole" }],
    })
}

fn with(arguments: &[&str]) -> Node {
    Node::with(arguments)
}

/// What a node says that does not start.
#[track_caller]
fn refused(arguments: &[&str]) -> String {
    Program::start(node::command(arguments)).end().expect_exit(1).stderr
}

/// The log folder that the node announces.
fn log_folder(node: &Node) -> PathBuf {
    node.program().wait_for_stderr("the log folder", |log| {
        let (_, rest) = log.split_once("logs of jobs are in ")?;
        rest.split_once('\n').map(|(folder, _)| PathBuf::from(folder))
    })
}

fn log_of(folder: &Path, id: i64, part: &str) -> String {
    eventually(part, || {
        let text = std::fs::read_to_string(folder.join(format!("job-{id}.log"))).unwrap_or_default();
        if text.contains(part) { Ok(text) } else { Err(text) }
    })
}

#[test]
fn both_generations_are_answered_on_both_ports() {
    let node = with(&["--second-port", "0", "--context-path", "/engine"]);
    let ports = node.addresses(2);
    assert_ne!(ports[0].port(), ports[1].port());
    for port in ports {
        assert!(port.ip().is_loopback());
        assert_eq!(Client::connect(port).get(&maps("/running-jobs")).ok(), json!([]));
        assert_eq!(Client::connect(port).get("/engine/running-jobs").ok(), json!([]));
        assert_eq!(Client::connect(port).get("/running-jobs").status, 404);
    }
    node.stop().expect_exit(0);
}

#[test]
fn a_file_sets_what_flags_do_not_and_the_environment_may_name_it() {
    let folder = Folder::new();
    let file = folder.write("egret.yaml", "v1_ids: string\nnewest_first: true\nhttp:\n  body_bytes_max: 1KiB\n");
    let mut command = node::command(&["--v1-ids", "number"]);
    command.env("EGRET_CONFIG", &file);
    let node = Node::from_command(command);
    let first = node.submit(&job("first"));
    node.wait_for_state(first, "FINISHED");
    let second = node.submit(&job("second"));
    node.wait_for_state(second, "FINISHED");
    let names: Vec<Value> =
        node.get("/finished-jobs").ok().as_array().expect("a list").iter().map(|job| job["jobName"].clone()).collect();
    assert_eq!(names, ["second", "first"]);
    assert_eq!(node.post("/submit-job", &"x".repeat(2000)).status, 413);
    node.stop().expect_exit(0);

    let node = with(&["--config", &file.display().to_string()]);
    let reply = node.post("/submit-job", &job("by name").to_string()).ok();
    assert!(reply["jobId"].is_string(), "{reply}");
}

#[test]
fn mistakes_in_the_file_fail_the_start_with_line_and_likely_key() {
    let folder = Folder::new();
    let file = folder.write("egret.yaml", "host: 127.0.0.1\nsecnd_port: 8080\nport: x\n").display().to_string();
    assert_eq!(
        refused(&["--config", &file]),
        format!(
            "error: {file}:2:1: 'secnd_port' is no setting; did you mean 'second_port'?\n\
             error: {file}:3:1: 'port': expected a port from 0 to 65535, found 'x'\n"
        )
    );
    assert_holds(&refused(&["--config", "/nowhere/egret.yaml"]), &["/nowhere/egret.yaml", "No such file"]);
    let ended = Program::start(node::command(&["--work-nice", "50"])).end().expect_exit(2);
    assert_holds(&ended.stderr, &["--work-nice", "from 0 to 19"]);
}

#[test]
fn the_originals_file_is_taken_and_each_key_that_means_nothing_is_named_with_the_reason() {
    let folder = Folder::new();
    let text = "seatunnel:\n  engine:\n    backup-count: 1\n    queue-type: x\n    history-job-expire-minutes: 0\n";
    let file = folder.write("seatunnel.yaml", text).display().to_string();
    let node = with(&["--config", &file]);
    for (line, remark) in [
        (3, "seatunnel.engine.backup-count means nothing here: there is one node, and nothing to copy to"),
        (4, "seatunnel.engine.queue-type means nothing here: there is one kind of queue"),
    ] {
        let remark = format!("{file}:{line}: {remark}");
        node.program().wait_for_stderr("a key that is not used", |log| log.contains(&remark).then_some(()));
    }
    // Forgotten at once.
    let id = node.submit(&job("short"));
    let path = format!("/job-info/{id}");
    eventually("the job is forgotten", || {
        node.submit(&job("another"));
        let known = node.get(&path).ok();
        if known == json!({ "jobId": id.to_string() }) { Ok(()) } else { Err(known) }
    });
}

#[test]
fn a_second_port_in_use_fails_the_start_and_tells_both_cures() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let told = refused(&["--second-port", &port.to_string()]);
    assert_holds(&told, &[&format!("127.0.0.1:{port} is in use"), "--second-port off"]);
}

#[test]
fn an_open_address_is_said() {
    let node = with(&["--host", "0.0.0.0"]);
    node.program()
        .wait_for_stderr("the warning", |log| log.contains("other machines can reach this node").then_some(()));
    node.stop().expect_exit(0);
}

#[test]
fn each_job_has_its_log_whatever_the_node_itself_logs() {
    let folder = Folder::new();
    let logs = folder.at("logs");
    let node = with(&["--log-folder", &logs.display().to_string()]);
    assert_eq!(log_folder(&node), logs);
    let (one, two) = (node.submit(&job("one")), node.submit(&job("two")));
    let text = log_of(&logs, one, "state=FINISHED");
    assert_holds(&text, &[&format!("] - Init JobMaster for Job one ({one})"), "state=RUNNING"]);
    assert!(!text.contains("Job two"), "{text}");
    log_of(&logs, two, "Init JobMaster for Job two");
    node.stop().expect_exit(0);

    // A quiet node writes them, too; and what came before stays.
    let mut command = node::command(&["--log-folder", &logs.display().to_string()]);
    command.env("RUST_LOG", "egret::serve=info");
    let node = Node::from_command(command);
    let three = node.submit(&job("three"));
    log_of(&logs, three, "Init JobMaster for Job three");
    log_of(&logs, one, "Init JobMaster for Job one");
    let ended = node.stop().expect_exit(0);
    assert!(!ended.stderr.contains("Init JobMaster"), "{}", ended.stderr);
}

#[test]
fn logs_are_bounded_in_number() {
    let node = with(&["--logs-max", "3"]);
    let logs = log_folder(&node);
    let ids: Vec<i64> = (0..8).map(|_| node.submit(&job("many"))).collect();
    ids.iter().for_each(|id| _ = node.wait_for_state(*id, "FINISHED"));
    eventually("three logs are left", || {
        let count = std::fs::read_dir(&logs).expect("a folder").flatten().count() - 1;
        if count == 3 { Ok(()) } else { Err(count) }
    });
    node.stop().expect_exit(0);
}

#[test]
fn two_nodes_do_not_share_a_log_folder() {
    let first = Node::start();
    let folder = log_folder(&first).display().to_string();
    assert_holds(&refused(&["--log-folder", &folder]), &[&folder, "in use by another node", "--log-folder"]);
}

#[test]
fn a_run_leaves_no_files_behind() {
    let folder = Folder::new();
    let mut command = support::program::egret(["run"]);
    command.arg(
        folder.write(
            "job.conf",
            "env { } source { FakeSource { schema { fields { id = int } } } } sink { Blackhole { } }",
        ),
    );
    command.env("XDG_STATE_HOME", folder.at("state")).current_dir(folder.path());
    Program::start(command).end().expect_exit(0);
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["job.conf"]);
}

#[test]
fn logs_are_listed_and_read_over_both_faces() {
    let node = Node::start();
    let id = node.submit(&job("chatty"));
    node.wait_for_state(id, "FINISHED");
    let name = format!("job-{id}.log");
    for face in ["/hazelcast/rest/maps", ""] {
        let get = |path: &str| node.client().get(&format!("{face}{path}"));
        let line = "Init JobMaster for Job chatty";
        for file in [format!("/logs/{name}"), format!("/log/{name}")] {
            let log = get(&file);
            assert_eq!(log.header("content-type"), Some("text/plain"));
            assert_holds(&log.text(), &[line, &id.to_string()]);
        }
        assert_eq!(get("/get-all-log-name").ok(), json!([name]));
        // What the requests of these tests call the node.
        let host = "egret";
        let link = format!("http://{host}{face}/logs/{name}");
        let listed = json!([{"node": host, "logLink": link, "logName": name}]);
        assert_eq!(get("/logs?format=JSON").ok(), listed);
        assert_eq!(get(&format!("/logs/{id}?format=json")).ok(), listed);
        assert_eq!(get("/logs/unknown?format=json").ok(), json!([]));
        let page = get("/logs");
        assert_eq!(page.header("content-type"), Some("text/html; charset=UTF-8"));
        assert_holds(
            &page.text(),
            &["<title>Seatunnel log</title>", &format!("<li><a href=\"{link}\">{host}-{name}</a></li>")],
        );
        assert_holds(&get("/log").text(), &[&format!("<a href=\"log/{name}\">{name}</a>")]);
        for missing in ["/log/job-1.log", "/logs/job-1.log", "/log/..%2Fsecret.log", "/log/../../etc/passwd.log"] {
            let answer = get(missing);
            assert!(answer.head.starts_with("HTTP/1.1 400"), "{missing}: {}", answer.head);
            assert_eq!(answer.text(), "", "{missing}");
        }
    }
    let api = format!("http://{}", node.address());
    let printed = support::program::run(["logs", &id.to_string(), "--url", &api]).expect_exit(0).stdout;
    assert_holds(&printed, &["Init JobMaster for Job chatty"]);
    node.stop();
}
