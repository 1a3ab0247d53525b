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
    // A thread gives itself its name when it gets a CPU for the first time, and the watchdog wakes now and then.
    eventually("names and states", || {
        let dump = client.get("/thread-dump").ok();
        let is_right = |thread: &Value| {
            let id = thread["threadId"].as_i64().expect("an id");
            // One that has ended meanwhile has no file.
            let name = fs::read_to_string(format!("/proc/{pid}/task/{id}/comm"));
            name.is_ok_and(|name| thread["threadName"] == name.trim_end())
                && match text(thread, "threadName") {
                    // It is the one that looks.
                    "egret-stacks" => thread["threadState"] == "RUNNABLE",
                    "egret-watchdog" => thread["threadState"] == "WAITING",
                    _ => true,
                }
        };
        if dump.as_array().expect("a list").iter().all(is_right) { Ok(()) } else { Err(dump) }
    });
    node.stop().expect_exit(0);
}
