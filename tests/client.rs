//! The commands that talk to a node: submit, list, info, stop, savepoint, restore, logs, top.

mod support;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};
use support::node::Node;
use support::program::{Ended, Program, egret, run};
use support::{Folder, assert_holds, eventually};

const BATCH: &str = r#"env { job.mode = "BATCH", job.name = "batch" }
source { FakeSource { row.num = ${rows:7}, schema { fields { id = "bigint" } } } }
sink { Blackhole { } }
"#;

const STREAMING: &str = r#"env { job.mode = "STREAMING", job.name = "stream" }
source { FakeSource { row.num = 3, schema { fields { id = "bigint" } } } }
sink { Blackhole { } }
"#;

/// Runs a command against a node.
fn ask<A: AsRef<OsStr>>(node: &Node, arguments: impl IntoIterator<Item = A>) -> Ended {
    let mut command = egret(arguments);
    command.args(["--url", &format!("http://{}", node.address())]);
    Program::start(command).end()
}

fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout))
}

/// Submits a config without waiting; gives the job's id.
fn submitted(node: &Node, config: &str) -> String {
    let folder = Folder::new();
    let file = folder.write("job.conf", config).display().to_string();
    let reply = json_of(&ask(node, ["submit", "--async", "--json", &file]).expect_exit(0));
    reply["jobId"].as_str().expect("an id").to_owned()
}

#[test]
fn submit_waits_for_the_end_and_prints_the_statistics() {
    let (node, folder) = (Node::start(), Folder::new());
    let file = folder.write("job.conf", BATCH).display().to_string();
    let ended = ask(&node, ["submit", "--name", "by name", &file]).expect_exit(0);
    assert_holds(&ended.stdout, &["Job Statistic Information", "Total Read Count          :                   7\n"]);
    assert_holds(&ended.stderr, &["(by name) is submitted"]);
    // Variables are filled in on this side; JSON for machines.
    let ended = ask(&node, ["submit", "-i", "rows=9", "--set-job-id", "4711", "--json", &file]).expect_exit(0);
    let job = json_of(&ended);
    assert_eq!((&job["jobId"], &job["metrics"]["SinkWriteCount"]), (&json!("4711"), &json!("9")));
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_config_with_includes_is_sent_whole() {
    let (node, folder) = (Node::start(), Folder::new());
    folder.write("env.conf", "job.name = included");
    let config = BATCH.replace("job.name = \"batch\"", "include \"env.conf\"");
    let file = folder.write("job.conf", &config).display().to_string();
    let job = json_of(&ask(&node, ["submit", "--json", &file]).expect_exit(0));
    assert_eq!(job["jobName"], "included");
}

#[test]
fn a_wrong_config_is_told_with_the_file_and_the_line() {
    let (node, folder) = (Node::start(), Folder::new());
    let file = folder.write("job.conf", &BATCH.replace("Blackhole", "Blackhol")).display().to_string();
    for extra in [&[][..], &["-i", "rows=1"]] {
        let ended = ask(&node, [&["submit", file.as_str()][..], extra].concat()).expect_exit(1);
        assert_holds(&ended.stderr, &["error: ", "pluginName='Blackhol'"]);
        assert_eq!(ended.stdout, "");
    }
    let broken = folder.write("broken.conf", "env {").display().to_string();
    assert_holds(&ask(&node, ["submit", "-i", "a=b", &broken]).expect_exit(1).stderr, &[&format!("{broken}:1:")]);
    let ended = ask(&node, ["submit", "/nowhere/job.conf"]).expect_exit(1);
    assert_holds(&ended.stderr, &["cannot read the config /nowhere/job.conf"]);
}

#[test]
fn a_job_that_fails_fails_the_command() {
    let (node, folder) = (Node::start(), Folder::new());
    let config = r#"env { job.mode = "BATCH", job.retry.times = 0 }
source { FakeSource { row.num = 1, schema { fields { id = "bigint" } } } }
sink { Assert { rules { row_rules = [ { rule_type = MIN_ROW, rule_value = 5 } ] } } }
"#;
    let file = folder.write("job.conf", config).display().to_string();
    let ended = ask(&node, ["submit", &file]).expect_exit(1);
    assert_holds(&ended.stderr, &["ended as FAILED: "]);
    assert_holds(&ended.stdout, &["Total Read Count"]);
}

#[test]
fn ctrl_c_ends_the_waiting_and_not_the_job() {
    let (node, folder) = (Node::start(), Folder::new());
    let file = folder.write("job.conf", STREAMING);
    let mut command = egret([OsStr::new("submit"), file.as_os_str()]);
    command.args(["--url", &format!("http://{}", node.address())]);
    let program = Program::start(command);
    program.wait_for_stderr("the submission", |text| text.contains("is submitted").then_some(()));
    program.signal(libc::SIGINT);
    assert_holds(&program.end().expect_exit(130).stderr, &["the job goes on; egret stop "]);
    assert_eq!(node.get("/running-jobs").ok().as_array().map(Vec::len), Some(1));
}

#[test]
fn jobs_are_listed_by_state_as_a_table_and_as_json() {
    let node = Node::start();
    assert_eq!(ask(&node, ["list"]).expect_exit(0).stdout, "no jobs\n");
    let (stream, batch) = (submitted(&node, STREAMING), submitted(&node, BATCH));
    node.wait_for_state(batch.parse().expect("an id"), "FINISHED");
    node.wait_for_state(stream.parse().expect("an id"), "RUNNING");
    let table = ask(&node, ["list"]).expect_exit(0).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("JOB") && lines[1].starts_with(&stream), "{table}");
    assert_holds(lines[2], &[&batch, "batch", "FINISHED", " 7"]);
    let ids = |arguments: &[&str]| -> Vec<String> {
        let list = json_of(&ask(&node, [&["list", "--json"][..], arguments].concat()).expect_exit(0));
        list.as_array().expect("a list").iter().map(|job| job["jobId"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(&[]), [stream.as_str(), batch.as_str()]);
    assert_eq!(ids(&["--state", "running"]), std::slice::from_ref(&stream));
    assert_eq!(ids(&["--state", "FINISHED"]), [batch]);
    assert_eq!(ids(&["--state", "FAILED"]), [""; 0]);
    let some = ask(&node, ["list", "--limit", "1"]).expect_exit(0);
    assert_holds(&some.stderr, &["1 more jobs; --limit"]);
    assert!(some.stdout.contains(&stream));
}

#[test]
fn a_job_is_told_in_full_and_an_unknown_one_named() {
    let node = Node::start();
    let id = submitted(&node, BATCH);
    node.wait_for_state(id.parse().expect("an id"), "FINISHED");
    let text = ask(&node, ["info", &id]).expect_exit(0).stdout;
    assert_holds(
        &text,
        &[&format!("Job          {id}\n"), "State        FINISHED\n", "7 rows", "Source[0]-FakeSource"],
    );
    assert_eq!(json_of(&ask(&node, ["info", "--json", &id]).expect_exit(0))["jobStatus"], "FINISHED");
    for command in ["info", "stop", "savepoint"] {
        let ended = ask(&node, [command, "123"]).expect_exit(1);
        let told = format!("error: there is no job 123 on http://{}; egret list shows", node.address());
        assert!(ended.stderr.starts_with(&told), "{}", ended.stderr);
    }
    ask(&node, ["info", "abc"]).expect_exit(2);
}

#[test]
fn stop_waits_until_the_job_has_stopped() {
    let node = Node::start();
    let id = submitted(&node, STREAMING);
    node.wait_for_state(id.parse().expect("an id"), "RUNNING");
    let ended = ask(&node, ["stop", &id]).expect_exit(0);
    assert_eq!(ended.stdout, format!("job {id} (stream): CANCELED\n"));
    let again = ask(&node, ["stop", "--json", &id]).expect_exit(0);
    assert_holds(&again.stderr, &["has ended already, as CANCELED"]);
    assert_eq!(json_of(&again), json!({ "jobId": id, "jobStatus": "CANCELED" }));
}

#[test]
fn what_the_node_refuses_is_told_in_its_words() {
    let (node, folder) = (Node::start(), Folder::new());
    let file = folder.write("job.conf", BATCH).display().to_string();
    let id = submitted(&node, BATCH);
    node.wait_for_state(id.parse().expect("an id"), "FINISHED");
    let ended = ask(&node, ["submit", "--set-job-id", &id, &file]).expect_exit(1);
    assert_holds(&ended.stderr, &[&format!("error: The job id {id} has already been submitted")]);
}

#[test]
fn a_node_that_is_not_there_is_told_with_the_cure() {
    // No other test uses this address.
    let url = "http://127.0.0.99:9";
    let folder = Folder::new();
    let file = folder.write("job.conf", BATCH).display().to_string();
    for command in [
        &["list"][..],
        &["info", "1"],
        &["stop", "1"],
        &["logs", "1"],
        &["top"],
        &["submit", &file],
        &["savepoint", "1"],
    ] {
        let ended = run([command, &["--url", url]].concat()).expect_exit(1);
        assert!(ended.stderr.starts_with(&format!("error: no answer from {url}: ")), "{}", ended.stderr);
        assert_holds(&ended.stderr, &["refused", "egret serve", "--url"]);
    }
    assert_holds(&run(["list", "--url", "https://x"]).expect_exit(1).stderr, &["http, not https"]);
    assert_holds(&run(["list", "--url", "x"]).expect_exit(1).stderr, &["expected an address like"]);
}

/// A server of one answer for each connection, in turn; gives its address.
fn server(answers: Vec<(&'static str, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for (stream, (expected, answer)) in listener.incoming().zip(answers) {
            let mut reader = BufReader::new(stream.expect("accepted"));
            let mut request = String::new();
            while !request.ends_with("\r\n\r\n") {
                assert!(reader.read_line(&mut request).expect("read") > 0, "{request}");
            }
            assert!(request.starts_with(expected), "{request}");
            reader.get_mut().write_all(answer.as_bytes()).expect("written");
        }
    });
    url
}

fn answer(status: &str, length: usize, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

#[test]
fn the_log_of_a_job_is_printed_and_followed_to_its_end() {
    let url = server(vec![("GET /hazelcast/rest/maps/log/job-7.log ", answer("200 OK", 4, "one\n"))]);
    assert_eq!(run(["logs", "7", "--url", &url]).expect_exit(0).stdout, "one\n");

    let state = |state: &str| {
        let body = json!({ "jobId": "7", "jobStatus": state }).to_string();
        ("GET /hazelcast/rest/maps/job-info/7 ", answer("200 OK", body.len(), &body))
    };
    let log = "GET /hazelcast/rest/maps/log/job-7.log ";
    let url = server(vec![
        state("RUNNING"),
        (log, answer("400 Bad Request", 0, "")),
        state("RUNNING"),
        (log, answer("200 OK", 4, "one\n")),
        state("RUNNING"),
        ("HEAD /hazelcast/rest/maps/log/job-7.log ", answer("200 OK", 4, "")),
        state("FINISHED"),
        ("HEAD /hazelcast/rest/maps/log/job-7.log ", answer("200 OK", 8, "")),
        (log, answer("200 OK", 8, "one\ntwo\n")),
    ]);
    assert_eq!(run(["logs", "--follow", "7", "--url", &url]).expect_exit(0).stdout, "one\ntwo\n");

    let url = server(vec![(log, answer("400 Bad Request", 0, "")), state("FINISHED")]);
    assert_holds(&run(["logs", "7", "--url", &url]).expect_exit(1).stderr, &["has no log of job 7"]);
}

#[test]
fn an_answer_of_another_program_is_no_answer() {
    let url = server(vec![("GET /hazelcast/rest/maps/running-jobs ", answer("200 OK", 5, "<html"))]);
    assert_holds(&run(["list", "--url", &url]).expect_exit(1).stderr, &["no answer of a node", "200"]);
}

#[test]
fn top_prints_once_without_a_terminal() {
    let node = Node::start();
    let id = submitted(&node, STREAMING);
    node.wait_for(id.parse().expect("an id"), "RUNNING", |job| job["metrics"]["SinkWriteCount"] == "3");
    let text = ask(&node, ["top"]).expect_exit(0).stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("egret top  http://") && lines[0].contains("  1 running  "), "{text}");
    assert_holds(&text, &["JOB", "ROWS/S", &id, "stream", "RUNNING"]);
}

/// `egret top` on a terminal of its own.
struct OnTerminal {
    program: Program,
    screen: std::sync::Arc<std::sync::Mutex<String>>,
    terminal: std::fs::File,
}

impl OnTerminal {
    fn start(node: &Node) -> Self {
        use std::os::fd::FromRawFd as _;
        let (mut main, mut other) = (0, 0);
        // SAFETY: both point to integers of this function; the other pointers may be null.
        let opened = unsafe {
            libc::openpty(&raw mut main, &raw mut other, std::ptr::null_mut(), std::ptr::null(), std::ptr::null())
        };
        assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: the call has made both descriptors for us, and nobody else knows them.
        let (main, other) = unsafe { (std::fs::File::from_raw_fd(main), std::fs::File::from_raw_fd(other)) };
        let mut command = egret(["top", "--interval", "0.1", "--url", &format!("http://{}", node.address())]);
        command.stdin(other.try_clone().expect("a descriptor"));
        let program = Program::start_with_stdout(command, other.try_clone().expect("a descriptor").into());
        let screen = std::sync::Arc::<std::sync::Mutex<String>>::default();
        let (mut reader, seen) = (main.try_clone().expect("a descriptor"), screen.clone());
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = std::io::Read::read(&mut reader, &mut chunk) {
                seen.lock().expect("no reader panics").push_str(&String::from_utf8_lossy(&chunk[..read]));
            }
        });
        let started = Self { program, screen, terminal: main };
        started.wait_for("egret top");
        started
    }

    fn wait_for(&self, part: &str) {
        eventually(part, || {
            let screen = self.screen.lock().expect("no reader panics").clone();
            if screen.contains(part) { Ok(()) } else { Err(screen) }
        });
    }

    fn is_cooked(&self) -> bool {
        use std::os::fd::AsRawFd as _;
        let mut state = std::mem::MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the kernel fills in the structure that the pointer is valid for.
        let done = unsafe { libc::tcgetattr(self.terminal.as_raw_fd(), state.as_mut_ptr()) };
        assert_eq!(done, 0);
        // SAFETY: the call succeeded, so it is filled in.
        let state = unsafe { state.assume_init() };
        state.c_lflag & libc::ICANON != 0 && state.c_lflag & libc::ECHO != 0
    }
}

#[test]
fn top_goes_on_until_q_or_ctrl_c_or_a_signal_and_gives_the_terminal_back() {
    let node = Node::start();
    for (keys, signal, exit) in [("q", None, 0), ("\u{3}", None, 0), ("", Some(libc::SIGTERM), 143)] {
        let mut top = OnTerminal::start(&node);
        top.wait_for("0 running");
        assert!(!top.is_cooked());
        // It is alive: what is new comes by itself.
        let id = submitted(&node, STREAMING);
        top.wait_for(&id);
        top.terminal.write_all(keys.as_bytes()).expect("written");
        if let Some(signal) = signal {
            top.program.signal(signal);
        }
        top.wait_for("\u{1b}[?25h\u{1b}[?1049l");
        eventually("the terminal is as it was", || if top.is_cooked() { Ok(()) } else { Err("raw") });
        top.program.end().expect_exit(exit);
        ask(&node, ["stop", &id]).expect_exit(0);
    }
}
