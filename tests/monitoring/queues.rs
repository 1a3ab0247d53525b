//! Queues, each with a backlog of a known size: who would empty it stands still.

use std::time::Duration;

use super::*;
use crate::support::Folder;
use crate::support::stopped::Stopped;

pub const FIELDS: &[&str] = &[
    "event.q.size",
    "executor.q.async.size",
    "executor.q.client.size",
    "executor.q.client.blocking.size",
    "executor.q.io.size",
    "executor.q.operations.size",
    "executor.q.system.size",
    "operations.completed.count",
    "operations.running.count",
    "operations.pending.invocations.count",
    "operations.pending.invocations.percentage",
    "proxy.count",
];

/// Messages that the mailbox of an executor holds.
const MAILBOX: f64 = 4096.0;

/// Asks until a value is as it should be.
fn wait_for(client: &mut Client, key: &str, is_so: impl Fn(u64) -> bool) -> Value {
    eventually(key, || {
        let seen = monitoring(client);
        if is_so(count(&seen, key)) { Ok(seen) } else { Err(format!("{key} is {}", count(&seen, key))) }
    })
}

/// What the node says of messages that wait, in its three forms.
#[track_caller]
fn assert_pending(seen: &Value, messages: u64, mailboxes: f64) {
    let both = count(seen, "executor.q.io.size") + count(seen, "executor.q.operations.size");
    assert_eq!((both, count(seen, "operations.pending.invocations.count")), (messages, messages), "{seen}");
    let share = 100.0 * messages as f64 / (mailboxes * MAILBOX);
    assert_near("pending", percent(seen, "operations.pending.invocations.percentage"), share, 0.006);
}

#[test]
fn lines_for_logs_wait_while_nobody_writes_them() {
    const JOBS: usize = 5;
    let logs = Folder::new();
    let folder = logs.path().to_str().expect("a path");
    let node = Node::with(&["--log-folder", folder]);
    let mut client = node.client();
    let writer = Stopped::threads(node.program().pid(), "egret-logs");
    for _ in 0..JOBS {
        node.wait_for_state(node.submit(&job(false, 1)), "FINISHED");
    }
    let waiting = count(&monitoring(&mut client), "event.q.size");
    assert!(waiting >= JOBS as u64, "{waiting} lines of {JOBS} jobs");
    writer.go_on();
    wait_for(&mut client, "event.q.size", |lines| lines == 0);
    eventually("the lines that waited are in the files", || {
        let files = fs::read_dir(logs.path()).expect("a folder").map(|file| file.expect("a file").path());
        let lines = files.map(|file| fs::read_to_string(file).expect("a log").lines().count() as u64).sum::<u64>();
        if lines == waiting { Ok(()) } else { Err(format!("{lines} lines, {waiting} waited")) }
    });
    node.stop().expect_exit(0);
}

#[test]
fn tasks_wait_for_the_work_token_and_none_when_there_are_none() {
    const TASKS: u64 = 6;
    let node = small_node(&["--work-nice", "0"]);
    let mut client = node.client();
    assert_eq!(count(&monitoring(&mut client), "executor.q.async.size"), 0);
    let id = node.submit(&job(true, TASKS as usize));
    // One of them runs, except between two slices.
    wait_for(&mut client, "executor.q.async.size", |tasks| tasks == TASKS - 1);
    let seen = (0..50).map(|_| count(&monitoring(&mut client), "executor.q.async.size")).max();
    assert!(seen.is_some_and(|most| most <= TASKS), "{seen:?}");
    node.post("/stop-job", &json!({ "jobId": id }).to_string()).ok();
    wait_for(&mut client, "executor.q.async.size", |tasks| tasks == 0);
    node.stop().expect_exit(0);
}

#[test]
fn requests_that_come_together_wait_for_each_other() {
    const CLIENTS: usize = 8;
    // All are answered at once, from the sample that there is.
    let node = small_node(&["--sample-age-max", "1h"]);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| node.client()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/overview").status, 200));
    for client in &mut clients {
        // Who asks does not wait; a connection that was just accepted may.
        wait_for(client, "executor.q.client.size", |requests| requests == 0);
    }
    let front = Stopped::threads(node.program().pid(), "egret-front-0");
    for client in &mut clients {
        client.send("GET /system-monitoring-information HTTP/1.1\r\nhost: egret\r\n\r\n");
    }
    front.go_on();
    let mut seen: Vec<u64> =
        clients.iter_mut().map(|client| count(&client.response().ok()[0], "executor.q.client.size")).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..CLIENTS as u64).collect::<Vec<_>>(), "each sees those behind it");
    node.stop().expect_exit(0);
}

#[test]
fn closures_wait_for_the_threads_that_may_block() {
    const REQUESTS: usize = 3;
    let node = node();
    let mut client = node.client();
    let pid = node.program().pid();
    // Names of logs are read there.
    let threads = (0..4).map(|number| Stopped::threads(pid, &format!("egret-block-{number}"))).collect::<Vec<_>>();
    let mut clients: Vec<Client> = (0..REQUESTS).map(|_| node.client()).collect();
    clients.iter_mut().for_each(|client| client.send("GET /get-all-log-name HTTP/1.1\r\nhost: egret\r\n\r\n"));
    wait_for(&mut client, "executor.q.client.blocking.size", |closures| closures == REQUESTS as u64);
    drop(threads);
    clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    wait_for(&mut client, "executor.q.client.blocking.size", |closures| closures == 0);
    node.stop().expect_exit(0);
}

#[test]
fn commands_for_jobs_wait_in_the_mailbox_of_the_work_executor() {
    const JOBS: u64 = 20;
    let node = small_node(&[]);
    let mut client = node.client();
    assert_pending(&monitoring(&mut client), 0, 2.0);
    let work = Stopped::threads(node.program().pid(), "egret-work-0");
    // The first command of each is all that its coordinator sends before it is answered.
    let ids: Vec<i64> = (0..JOBS).map(|_| node.submit(&job(false, 1))).collect();
    let seen = wait_for(&mut client, "executor.q.operations.size", |messages| messages == JOBS);
    assert_eq!(count(&seen, "executor.q.io.size"), 0);
    assert_pending(&seen, JOBS, 2.0);
    work.go_on();
    ids.into_iter().for_each(|id| _ = node.wait_for_state(id, "FINISHED"));
    let seen = wait_for(&mut client, "executor.q.operations.size", |messages| messages == 0);
    assert_pending(&seen, 0, 2.0);
    node.stop().expect_exit(0);
}

#[test]
fn commands_for_coordinators_wait_in_the_mailboxes_of_the_front_executors() {
    const JOBS: usize = 12;
    let cpus = allowed_cpus();
    if cpus.len() < 2 {
        println!("this machine has one CPU: there is no front executor that could stand still while another answers");
        return;
    }
    let node = Node::with(&["--cores", &format!("{},{}", cpus[0], cpus[1])]);
    // The kernel spreads them over both.
    let mut clients: Vec<Client> = (0..16).map(|_| node.client()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/overview").status, 200));
    let front = Stopped::threads(node.program().pid(), "egret-front-1");
    let patience = Duration::from_secs(1);
    let mut client = clients
        .into_iter()
        .find_map(|mut client| client.try_get_within(patience, "/overview").map(|_| client))
        .expect("a connection to the other one");
    for number in 1..=JOBS {
        let reply = client.post(&format!("/submit-job?jobId={number}"), &job(false, 1).to_string());
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    // Jobs of the front executor that stands still are not begun.
    eventually("the others have ended", || {
        let seen = monitoring(&mut client);
        let jobs: Vec<Value> = serde_json::from_value(client.get("/running-jobs").ok()).expect("a list");
        let stuck = jobs.len() as u64;
        // A work executor that takes its time may still have a task to start for the others.
        let waiting = (count(&seen, "executor.q.io.size"), count(&seen, "executor.q.operations.size"));
        let good = stuck < JOBS as u64 && stuck > 0 && waiting == (stuck, 0);
        if good {
            assert_pending(&seen, stuck, 4.0);
            Ok(())
        } else {
            Err(format!("{stuck} jobs have not ended: {seen}"))
        }
    });
    front.go_on();
    wait_for(&mut client, "executor.q.io.size", |messages| messages == 0);
    (1..=JOBS as i64).for_each(|id| _ = node.wait_for_state(id, "FINISHED"));
    node.stop().expect_exit(0);
}

#[test]
fn jobs_and_the_commands_that_they_take_are_counted() {
    const TASKS: u64 = 4;
    let node = node();
    let mut client = node.client();
    let before = monitoring(&mut client);
    let (completed, running) = ("operations.completed.count", "operations.running.count");
    for ended in 1..=3 {
        node.wait_for_state(node.submit(&job(false, TASKS as usize)), "FINISHED");
        let seen = wait_for(&mut client, running, |commands| commands == count(&before, running));
        // A coordinator and its tasks, at least.
        assert!(count(&seen, completed) >= count(&before, completed) + ended * (TASKS + 1), "{seen}");
        assert_eq!(count(&seen, "proxy.count"), ended);
    }
    let id = node.submit(&job(true, TASKS as usize));
    node.wait_for_state(id, "RUNNING");
    let seen = wait_for(&mut client, running, |commands| commands == count(&before, running) + TASKS + 1);
    assert_eq!(count(&seen, "proxy.count"), 4);
    node.post("/stop-job", &json!({ "jobId": id }).to_string()).ok();
    node.wait_for_state(id, "CANCELED");
    let seen = wait_for(&mut client, running, |commands| commands == count(&before, running));
    assert_eq!(count(&seen, "proxy.count"), 4, "it is remembered");
    node.stop().expect_exit(0);
}
