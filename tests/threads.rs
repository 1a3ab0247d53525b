//! Stacks and stalls of the built program, under load.

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};
use support::eventually;
use support::node::Node;

/// Dumps in a row; ten thousand were taken by hand.
const DUMPS: usize = 500;

/// A million years' worth of rows for several cores.
fn endless() -> Value {
    json!({
        "env": { "job.mode": "BATCH", "parallelism": 4 },
        "source": [{ "plugin_name": "FakeSource", "row.num": i64::MAX / 1024, "schema": { "fields": { "id": "bigint" } } }],
        "sink": [{ "plugin_name": "Blackhole" }],
    })
}

fn text<'v>(thread: &'v Value, key: &str) -> &'v str {
    thread[key].as_str().unwrap_or_else(|| panic!("no text under {key}: {thread}"))
}

/// A value of the node's metrics, summed up over its samples.
fn metric(node: &Node, family: &str) -> f64 {
    let text = node.client().get("/metrics").text();
    let samples = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(family));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// The kernel's own threads for the process' io_uring take no signals.
fn is_kernels(thread: &Value) -> bool {
    text(thread, "threadName").starts_with("iou-")
}

/// Raises a flag when it is dropped.
struct Raised<'f>(&'f AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn dumps_in_a_row_beside_a_job_and_requests_have_every_stack_and_harm_nobody() {
    let node = Node::with(&["--sample-age-max", "0ms", "--stack-wait-max", "10s", "--work-nice", "0"]);
    let id = node.submit(&endless());
    node.wait_for_state(id, "RUNNING");
    let done = AtomicBool::new(false);
    let mut working = false;
    thread::scope(|scope| {
        // Also when an assertion fails: the requests would go on for ever.
        let _end = Raised(&done);
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = node.client();
                while !done.load(Ordering::Relaxed) {
                    client.get("/running-jobs").ok();
                }
            });
        }
        let mut client = node.client();
        for _ in 0..DUMPS {
            let dump = client.get("/thread-dump").ok();
            let threads = dump.as_array().expect("a list");
            for thread in threads.iter().filter(|thread| !is_kernels(thread)) {
                let stack = text(thread, "stackTrace");
                assert!(!stack.contains("(no stack"), "{thread:#}");
                assert!(stack.lines().count() > 1, "{thread:#}");
                working |= stack.contains("egret_connectors::fake");
            }
            // Each executor has a helper of its name, of the library's.
            let executors = threads.iter().filter(|thread| text(thread, "stackTrace").contains("::run_executor"));
            let names: BTreeSet<&str> = executors.map(|thread| text(thread, "threadName")).collect();
            let shards = names.iter().filter(|name| name.starts_with("egret-work-")).count();
            assert!(shards > 0 && names.len() == 2 * shards, "{names:?}");
        }
    });
    assert!(working, "the job was never seen at work");
    assert_eq!(metric(&node, "egret_stack_panics_total"), 0.0);
    assert!(metric(&node, "egret_stack_dumps_total") >= DUMPS as f64);
    let rows = |job: &Value| job["metrics"]["SourceReceivedCount"].as_str().and_then(|rows| rows.parse::<u64>().ok());
    let before = rows(&node.wait_for_state(id, "RUNNING"));
    node.wait_for(id, "RUNNING", |job| rows(job) > before);
    node.stop().expect_exit(0);
}

#[test]
fn two_dumps_at_once_are_one() {
    let node = Node::with(&["--sample-age-max", "1h"]);
    let dumps: Vec<Value> = thread::scope(|scope| {
        let ask = || node.client().get("/thread-dump").ok();
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|asking| asking.join().expect("an answer")).collect()
    });
    assert!(dumps.iter().all(|dump| *dump == dumps[0]));
    assert_eq!(metric(&node, "egret_stack_dumps_total"), 1.0);
    node.stop().expect_exit(0);
}

#[test]
fn a_task_that_uses_too_much_cpu_time_is_counted_and_logged_with_its_stack() {
    // A task keeps the token for 2 ms: here that is too much.
    let node = Node::with(&["--stall-work", "1ms", "--stall-log-interval", "100ms", "--work-nice", "0"]);
    assert_eq!(metric(&node, "egret_executor_stalls_total"), 0.0);
    let id = node.submit(&endless());
    let stack = node.program().wait_for_stderr("a stall with its stack", |log| {
        let stalls = log.split("of CPU time in one step, more than stall_work (1ms)").skip(1);
        let mut stacks = stalls.map(|rest| rest.lines().skip(1).take_while(|line| line.starts_with("    at ")));
        stacks.find_map(|lines| {
            let lines: Vec<String> = lines.map(str::to_owned).collect();
            lines.iter().any(|line| line.contains("egret_connectors::fake")).then_some(lines)
        })
    });
    assert!(stack.iter().any(|line| line.contains("(connectors/src/fake/")), "{stack:#?}");
    eventually("stalls are counted", || {
        let (stalls, seconds) =
            (metric(&node, "egret_executor_stalls_total"), metric(&node, "egret_executor_stall_cpu_seconds_total"));
        if stalls > 0.0 && seconds > stalls * 0.001 { Ok(()) } else { Err(format!("{stalls} stalls, {seconds} s")) }
    });
    node.post("/stop-job", &json!({ "jobId": id }).to_string()).ok();
    node.wait_for_state(id, "CANCELED");
    node.stop().expect_exit(0);
}
