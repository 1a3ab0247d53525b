//! The life of a job over the REST API (contract B.1 to B.7, I.2): slots, waiting, savepoints, going on.

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};
use support::node::Node;
use support::program::{Program, egret};
use support::{Folder, PATIENCE, assert_holds, eventually};

/// Runs until it is stopped. Its pipeline needs a slot for the enumerator and one for each parallel task.
fn streaming(name: &str, parallelism: usize) -> Value {
    json!({
        "env": { "job.mode": "STREAMING", "job.name": name, "parallelism": parallelism },
        "source": [{ "plugin_name": "FakeSource", "row.num": 3, "schema": { "fields": { "id": "bigint" } } }],
        "sink": [{ "plugin_name": "Blackhole" }],
    })
}

/// Ends after its rows.
fn batch(name: &str) -> Value {
    let mut job = streaming(name, 1);
    job["env"]["job.mode"] = "BATCH".into();
    job
}

/// A node with a fixed number of slots.
fn with_slots(count: usize, more: &[&str]) -> Node {
    let count = count.to_string();
    Node::with(&[&["--dynamic-slot=false", "--slot-num", &count][..], more].concat())
}

fn stop(node: &Node, id: i64, savepoint: bool) {
    let reply = node.post("/stop-job", &json!({ "jobId": id, "isStopWithSavePoint": savepoint }).to_string()).ok();
    assert_eq!(reply, json!({ "jobId": id }));
}

fn restore(node: &Node, id: i64, config: &Value) {
    let reply = node.post(&format!("/submit-job?jobId={id}&isStartWithSavePoint=true"), &config.to_string()).ok();
    assert_eq!(reply["jobId"], id);
}

/// Total and free slots.
fn slots(node: &Node, query: &str) -> (String, String) {
    let overview = node.get(&format!("/overview{query}")).ok();
    let text = |key: &str| overview[key].as_str().expect("text").to_owned();
    (text("totalSlot"), text("unassignedSlot"))
}

fn pair(total: &str, free: &str) -> (String, String) {
    (total.to_owned(), free.to_owned())
}

#[test]
fn a_job_that_finds_no_slots_is_rejected() {
    let node = with_slots(3, &["--slot-retry-interval", "10ms"]);
    assert_eq!(slots(&node, ""), pair("3", "3"));
    let first = node.submit(&streaming("first", 1));
    node.wait_for_state(first, "RUNNING");
    assert_eq!(slots(&node, ""), pair("3", "1"));
    let second = node.submit(&streaming("second", 1));
    let error = node.wait_for_state(second, "FAILED")["errorMsg"].as_str().expect("a reason").to_owned();
    assert_holds(&error, &["NoEnoughResourceException", "can't apply resource", "job_schedule_strategy: WAIT"]);
    assert_eq!(node.get("/finished-jobs/FAILED").ok()[0]["jobId"], second.to_string());
    stop(&node, first, false);
    node.wait_for_state(first, "CANCELED");
    assert_eq!(slots(&node, ""), pair("3", "3"));
    let third = node.submit(&batch("third"));
    node.wait_for_state(third, "FINISHED");
    node.stop().expect_exit(0);
}

#[test]
fn a_job_waits_as_pending_and_can_be_canceled() {
    let node = with_slots(4, &["--job-schedule-strategy", "WAIT"]);
    let first = node.submit(&streaming("first", 1));
    node.wait_for_state(first, "RUNNING");
    let large = node.submit(&streaming("large", 3));
    node.wait_for_state(large, "PENDING");
    assert_eq!(node.get("/running-jobs").ok().as_array().map(Vec::len), Some(2), "pending ones are among them");
    let small = node.submit(&batch("small"));
    node.wait_for_state(small, "FINISHED");
    assert_eq!(node.job(large)["jobStatus"], "PENDING", "the small one went first");
    let impatient = node.submit(&streaming("impatient", 3));
    node.wait_for_state(impatient, "PENDING");
    let metrics = node.client().get("/metrics").text();
    assert_holds(&metrics, &["egret_slots_jobs_waiting{cluster=\"seatunnel\",} 2\n", "egret_slots_unassigned"]);
    stop(&node, impatient, false);
    node.wait_for_state(impatient, "CANCELED");
    stop(&node, first, false);
    node.wait_for_state(large, "RUNNING");
    assert_eq!(slots(&node, ""), pair("4", "0"));
    // A node that is stopped stops those that wait, too.
    let waiting = node.submit(&streaming("waiting", 1));
    node.wait_for_state(waiting, "PENDING");
    node.stop().expect_exit(0);
}

#[test]
fn a_job_waits_for_the_tags_of_a_node() {
    let node = with_slots(4, &["--job-schedule-strategy", "WAIT"]);
    let mut job = batch("tagged");
    job["env"]["tag_filter"] = json!({ "zone": "a" });
    let id = node.submit(&job);
    node.wait_for_state(id, "PENDING");
    node.request("PUT", "/update-tags", r#"{"zone":"b"}"#).ok();
    let other = node.submit(&batch("other"));
    node.wait_for_state(other, "FINISHED");
    assert_eq!(node.job(id)["jobStatus"], "PENDING");
    node.request("PUT", "/update-tags", r#"{"zone":"a"}"#).ok();
    node.wait_for_state(id, "FINISHED");
    assert_eq!((slots(&node, "?zone=a"), slots(&node, "?zone=b")), (pair("4", "4"), pair("0", "0")));
    // Slots that are made on demand are not made where the tags are not.
    let node = Node::with(&["--slot-retry-interval", "10ms"]);
    let id = node.submit(&job);
    let error = node.wait_for_state(id, "FAILED")["errorMsg"].as_str().expect("a reason").to_owned();
    assert_holds(&error, &["NoEnoughResourceException", "zone=a; the tags here: none", "update-tags"]);
}

/// Time between two splits of a job that is to be stopped before it has read them all, also on a busy machine.
const SLOW_MS: usize = 500;

/// Numbered rows into files, a few at a time.
fn numbered(folder: &Folder, interval_ms: usize) -> Value {
    json!({
        "env": { "job.mode": "BATCH", "job.name": "numbered" },
        "source": [{
            "plugin_name": "FakeSource", "row.num": 60, "split.num": 30, "split.read-interval": interval_ms,
            "auto.increment.enabled": true,
            "schema": { "fields": { "id": "bigint" }, "primaryKey": { "name": "id", "columnNames": ["id"] } },
        }],
        "sink": [{ "plugin_name": "LocalFile", "path": folder.at("out"), "file_format_type": "text" }],
    })
}

/// The numbers in the files of a folder, in their order.
fn numbers(folder: &Folder) -> Vec<i64> {
    let mut numbers = Vec::new();
    for file in std::fs::read_dir(folder.at("out")).into_iter().flatten().flatten() {
        if file.path().is_file() {
            let text = std::fs::read_to_string(file.path()).expect("a file");
            numbers.extend(text.lines().map(|line| line.parse::<i64>().expect("a number")));
        }
    }
    numbers.sort_unstable();
    numbers
}

#[test]
fn a_job_goes_on_from_its_savepoint_and_no_row_is_lost_or_repeated() {
    let (node, folder) = (Node::start(), Folder::new());
    let id = node.submit(&numbered(&folder, SLOW_MS));
    for (round, interval_ms) in [SLOW_MS, 1].into_iter().enumerate() {
        node.wait_for(id, "RUNNING", |job| job["metrics"]["SourceReceivedCount"] != "0");
        stop(&node, id, true);
        let job = node.wait_for_state(id, "SAVEPOINT_DONE");
        assert_eq!(job["errorMsg"], Value::Null);
        assert_eq!(node.get("/finished-jobs/SAVEPOINT_DONE").ok(), json!([job]), "round {round}");
        let written = numbers(&folder);
        assert!(!written.is_empty() && written.len() < 60, "what was read is published: {written:?}");
        restore(&node, id, &numbered(&folder, interval_ms));
        assert_eq!(node.job(id)["isStartWithSavePoint"], true);
        assert_eq!(node.get("/finished-jobs/SAVEPOINT_DONE").ok(), json!([]));
    }
    node.wait_for_state(id, "FINISHED");
    let written = numbers(&folder);
    assert_eq!((written.len(), written.iter().collect::<BTreeSet<_>>().len()), (60, 60), "{written:?}");
    let path = format!("/submit-job?jobId={id}&isStartWithSavePoint=true");
    let refused = node.post(&path, &numbered(&folder, 1).to_string()).refused(400);
    assert!(refused.starts_with(&format!("There is no savepoint of job {id} to go on from")), "{refused}");
    node.stop().expect_exit(0);
}

#[test]
fn rules_on_row_counts_hold_over_all_parts_of_a_job() {
    let (node, folder) = (Node::start(), Folder::new());
    let mut config = numbered(&folder, SLOW_MS);
    let rule = |kind: &str| json!({ "rule_type": kind, "rule_value": 60 });
    config["sink"] = json!([{ "plugin_name": "Assert", "rules": { "row_rules": [rule("MIN_ROW"), rule("MAX_ROW")] } }]);
    let id = node.submit(&config);
    node.wait_for(id, "RUNNING", |job| job["metrics"]["SourceReceivedCount"] != "0");
    stop(&node, id, true);
    node.wait_for_state(id, "SAVEPOINT_DONE");
    config["source"][0]["split.read-interval"] = 1.into();
    restore(&node, id, &config);
    let job = node.wait_for_state(id, "FINISHED");
    assert_ne!(job["metrics"]["SourceReceivedCount"], "60", "a part was read before");
}

#[test]
fn a_streaming_job_runs_again_under_its_id() {
    let node = Node::start();
    let config = streaming("again", 2);
    let id = node.submit(&config);
    node.wait_for(id, "RUNNING", |job| job["metrics"]["SinkWriteCount"] == "6");
    stop(&node, id, true);
    node.wait_for_state(id, "SAVEPOINT_DONE");
    restore(&node, id, &config);
    node.wait_for_state(id, "RUNNING");
    let running = node.get("/running-jobs").ok();
    assert_eq!((&running[0]["jobId"], running.as_array().map(Vec::len)), (&json!(id.to_string()), Some(1)));
    stop(&node, id, false);
    let job = node.wait_for_state(id, "CANCELED");
    assert_eq!(job["metrics"]["SourceReceivedCount"], "0", "its rows were behind it");
}

/// A web server that answers when it is let.
struct Gate {
    address: SocketAddr,
    /// Whether it answers, and how many requests have come.
    state: Arc<(Mutex<(bool, usize)>, Condvar)>,
}

impl Gate {
    fn closed() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state: Arc<(Mutex<(bool, usize)>, Condvar)> = Arc::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || answer(&socket, &shared));
            }
        });
        Self { address, state }
    }

    fn asked(&self) -> usize {
        self.state.0.lock().expect("no panic").1
    }

    fn open(&self) {
        self.state.0.lock().expect("no panic").0 = true;
        self.state.1.notify_all();
    }
}

fn answer(socket: &TcpStream, (state, opened): &(Mutex<(bool, usize)>, Condvar)) -> Option<()> {
    let _ = socket.set_read_timeout(Some(PATIENCE));
    let mut reader = BufReader::new(socket);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
                _ if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut gate = state.lock().ok()?;
        gate.1 += 1;
        drop(opened.wait_timeout_while(gate, PATIENCE, |gate| !gate.0).ok()?);
        let mut socket = socket;
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}

/// Writes to the gate.
fn posting(gate: &Gate, timeout_ms: u64) -> Value {
    let mut job = streaming("posting", 1);
    job["env"]["checkpoint.timeout"] = timeout_ms.into();
    job["sink"] = json!([{ "plugin_name": "Http", "url": format!("http://{}/", gate.address) }]);
    job
}

fn eventually_asked(gate: &Gate) {
    eventually("a request", || if gate.asked() > 0 { Ok(()) } else { Err("none") });
}

#[test]
fn a_savepoint_that_waits_for_a_sink_is_seen_and_ends_with_it() {
    let (node, gate) = (Node::start(), Gate::closed());
    let id = node.submit(&posting(&gate, 60_000));
    eventually_asked(&gate);
    stop(&node, id, true);
    node.wait_for_state(id, "DOING_SAVEPOINT");
    let metrics = node.client().get("/metrics").text();
    assert_holds(&metrics, &["job_count{cluster=\"seatunnel\",type=\"doing_savepoint\",} 1.0\n"]);
    gate.open();
    node.wait_for_state(id, "SAVEPOINT_DONE");
}

#[test]
fn a_savepoint_can_be_given_up_or_takes_too_long() {
    let (node, gate) = (Node::with(&["--task-stop-timeout", "200ms"]), Gate::closed());
    let id = node.submit(&posting(&gate, 60_000));
    eventually_asked(&gate);
    stop(&node, id, true);
    node.wait_for_state(id, "DOING_SAVEPOINT");
    stop(&node, id, false);
    node.wait_for_state(id, "CANCELED");

    let before = gate.asked();
    let id = node.submit(&posting(&gate, 100));
    eventually("its request", || if gate.asked() > before { Ok(()) } else { Err("none") });
    stop(&node, id, true);
    let job = node.wait_for_state(id, "FAILED");
    assert_holds(job["errorMsg"].as_str().expect("a reason"), &["Checkpoint expired before completing."]);
    gate.open();
}

#[test]
fn the_commands_stop_with_a_savepoint_and_restore() {
    let (node, folder) = (Node::start(), Folder::new());
    let config = folder.write("job.json", &streaming("by command", 1).to_string()).display().to_string();
    let ask = |arguments: &[&str]| {
        let mut command = egret(arguments);
        command.args(["--url", &format!("http://{}", node.address())]);
        Program::start(command).end()
    };
    let id = node.submit(&streaming("by command", 1));
    let text = id.to_string();
    node.wait_for_state(id, "RUNNING");
    let ended = ask(&["savepoint", &text]).expect_exit(0);
    assert_eq!(ended.stdout, format!("job {id} (by command): SAVEPOINT_DONE\n"));
    ask(&["restore", "--async", &text, &config]).expect_exit(0);
    node.wait_for_state(id, "RUNNING");
    ask(&["stop", &text]).expect_exit(0);
    let refused = ask(&["restore", "--async", &text, &config]).expect_exit(1);
    assert_holds(&refused.stderr, &[&format!("There is no savepoint of job {id} to go on from")]);
}
