//! Threads, and the lists of them.

use super::*;

pub const FIELDS: &[&str] = &["thread.count", "thread.peakCount"];

#[test]
fn threads_are_those_that_ps_and_the_kernel_list() {
    let node = node();
    let pid = node.program().pid();
    let mut client = node.client();
    // Threads come and go; within a moment without, all must agree.
    eventually("all count the same threads", || {
        let by_ps = ps(pid, "nlwp");
        let seen = monitoring(&mut client);
        let dump = client.get("/thread-dump").ok();
        let dump = dump.as_array().expect("a list").len() as u64;
        let running = client.get("/running-threads").ok().as_array().expect("a list").len() as u64;
        let counts = [by_ps, count(&seen, "thread.count"), dump, running, ps(pid, "nlwp")];
        assert!(count(&seen, "thread.peakCount") >= counts[1]);
        if counts.iter().all(|count| *count == by_ps) { Ok(()) } else { Err(format!("{counts:?}")) }
    });
    for thread in client.get("/thread-dump").ok().as_array().expect("a list") {
        let id = thread["threadId"].as_i64().expect("an id");
        // One that has ended meanwhile has no file.
        if let Ok(name) = fs::read_to_string(format!("/proc/{pid}/task/{id}/comm")) {
            assert_eq!(thread["threadName"], name.trim_end());
        }
        if thread["threadName"] == "egret-stacks" {
            assert_eq!(thread["threadState"], "RUNNABLE", "it is the one that looks");
        }
        if thread["threadName"] == "egret-watchdog" {
            assert_eq!(thread["threadState"], "WAITING", "{thread}");
        }
    }
    node.stop().expect_exit(0);
}
