//! How a node starts and ends.

use super::*;

#[test]
fn a_stop_signal_lets_requests_finish_and_stops_the_jobs() {
    let node = Node::with(&["--stop-timeout", "60"]);
    let address = node.address();
    let id = node.submit(&streaming_job("to_be_stopped"));
    node.wait_for(id, "RUNNING", |job| job["metrics"]["SinkWriteCount"] == "8");
    // Half of a request is there.
    let body = streaming_job("last").to_string();
    let (one, two) = body.split_at(20);
    let (mut busy, mut idle) = (node.client(), node.client());
    idle.get(&maps("/running-jobs")).ok();
    busy.get(&maps("/running-jobs")).ok();
    busy.begin_post(&maps("/submit-job?jobId=77"), body.len());
    busy.send(one);
    node.program().signal(libc::SIGTERM);
    let asked = Instant::now();
    node.program()
        .wait_for_stderr("the stop in the log", |log| log.contains("SIGTERM: no more requests").then_some(()));
    assert!(idle.is_closed(), "a connection without a request is closed");
    eventually("no new connections", || match TcpStream::connect(address) {
        Ok(_) => Err("a connection was accepted"),
        Err(_) => Ok(()),
    });
    busy.send(two);
    let reply = busy.response();
    assert_eq!(reply.ok(), json!({ "jobId": 77, "jobName": "last" }));
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(busy.is_closed());
    let ended = node.into_program().end().expect_exit(0);
    eprintln!("SIGTERM to the end: {:?}", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(60), "the bound is that of --stop-timeout");
    for id in [id, 77] {
        let end = ended.stderr.lines().find(|line| line.contains("job ended") && line.contains(&format!("job={id} ")));
        assert!(end.is_some_and(|line| line.contains("state=CANCELED")), "{id}:\n{}", ended.stderr);
    }
}

#[test]
fn connections_that_wait_to_be_accepted_are_answered_before_the_end() {
    let node = Node::start();
    node.program().signal(libc::SIGSTOP);
    // The kernel takes them; nobody accepts them.
    let mut clients: Vec<Client> = (0..200).map(|_| Client::connect(node.address())).collect();
    for client in &mut clients {
        client.send("GET /running-jobs HTTP/1.1\r\nhost: egret\r\n\r\n");
    }
    node.program().signal(libc::SIGTERM);
    node.program().signal(libc::SIGCONT);
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
        assert!(client.is_closed());
    }
    node.into_program().end().expect_exit(0);
}

#[test]
fn a_request_that_never_finishes_does_not_hold_up_the_end() {
    let node = Node::with(&["--stop-timeout", "1"]);
    let mut stuck = node.client();
    stuck.begin_post(&maps("/submit-job"), 100);
    let asked = Instant::now();
    let ended = node.stop().expect_exit(0);
    eprintln!("SIGTERM to the end, with a request that never finishes: {:?}", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    assert_holds(&ended.stderr, &["SIGTERM: no more requests"]);
}

#[test]
fn a_node_goes_on_when_nobody_reads_its_log() {
    let node = Node::unheard();
    let ids = [1, 2, 3].map(|_| node.submit(&streaming_job("unheard")));
    for id in ids {
        node.wait_for(id, "RUNNING", |job| job["metrics"]["SinkWriteCount"] == "8");
    }
    node.stop().expect_exit(0);
}

#[test]
fn an_idle_node_ends_at_once_on_either_signal() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let program = Node::with(&["--stop-timeout", "60"]).into_program();
        let asked = Instant::now();
        program.signal(signal);
        program.end().expect_exit(0);
        assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    }
}

/// Starts a node that must not start; gives what it says.
#[track_caller]
fn refused_start(arguments: &[&str]) -> String {
    let ended = Program::start(node::command(arguments)).end().expect_exit(1);
    assert_eq!(ended.stdout, "");
    ended.stderr
}

#[test]
fn a_port_in_use_fails_the_start_with_one_line() {
    let other_program = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let other_node = Node::start();
    for address in [other_program.local_addr().expect("bound"), other_node.address()] {
        let told = refused_start(&["--port", &address.port().to_string()]);
        assert!(told.starts_with(&format!("egret: {address} is in use by another process: ")), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    // Its connections were its own all the time.
    assert_eq!(other_node.get("/running-jobs").ok(), json!([]));
}

const STREAMING_FILE: &str = r#"
env { job.mode = "STREAMING", job.name = "from_file" }
source { FakeSource { row.num = ${rows:3}, schema { fields { id = "int" } } } }
sink { Blackhole { } }
"#;

#[test]
fn files_on_the_command_line_are_submitted_at_the_start() {
    let folder = Folder::new();
    let (one, two) = (folder.write("one.conf", STREAMING_FILE), folder.write("two.conf", STREAMING_FILE));
    let mut command = node::command(&[&one, &two]);
    command.args(["-i", "rows=6"]);
    let node = Node::from_command(command);
    // They are there when the node starts to listen.
    let running = node.get("/running-jobs").ok();
    let names: Vec<&Value> = running.as_array().expect("an array").iter().map(|job| &job["jobName"]).collect();
    assert_eq!(names, ["from_file", "from_file"]);
    let id = running[0]["jobId"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    node.wait_for(id, "RUNNING", |job| job["metrics"]["SinkWriteCount"] == "6");
    node.stop().expect_exit(0);
}

#[test]
fn a_wrong_file_fails_the_start() {
    let folder = Folder::new();
    let right = folder.write("right.conf", STREAMING_FILE);
    let wrong = folder.write("wrong.conf", &STREAMING_FILE.replace("Blackhole", "Blackhol"));
    let told = refused_start(&["--port", "0", &right.display().to_string(), &wrong.display().to_string()]);
    assert_holds(&told, &[&format!("{}:4:", wrong.display()), "pluginName='Blackhol'} not found.", "'Blackhole'"]);
    assert!(!told.contains("listening"), "{told}");
    let missing = folder.at("missing.conf");
    let told = refused_start(&["--port", "0", &missing.display().to_string()]);
    assert_holds(&told, &[&missing.display().to_string(), "No such file"]);
}
