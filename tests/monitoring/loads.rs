//! CPU time over a window, and the load of the machine.

use std::time::{Duration, Instant};

use super::*;

pub const FIELDS: &[&str] = &["load.process", "load.system", "load.systemAverage"];

/// Ticks of CPU time of a process, by `/proc/<pid>/stat`.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a stat");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks = |field: usize| fields[field - 3].parse::<u64>().expect("ticks");
    // SAFETY: the call takes a plain number.
    let a_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    (ticks(14) + ticks(15)) as f64 / a_second as f64
}

#[test]
fn loads_are_those_of_the_process_idle_and_busy() {
    let node = node();
    let pid = node.program().pid();
    let mut client = node.client();
    let processors = count(&monitoring(&mut client), "processors") as f64;
    // Over a time like that of the window, by the kernel's count; what else the machine does may fall into one of both.
    let mut compare = |what: &str, busy: bool| {
        eventually(what, || {
            let (begun, before) = (Instant::now(), cpu_seconds(pid));
            std::thread::sleep(Duration::from_millis(550));
            let seen = monitoring(&mut client);
            let used = 100.0 * (cpu_seconds(pid) - before) / (begun.elapsed().as_secs_f64() * processors);
            let (process, system) = (percent(&seen, "load.process"), percent(&seen, "load.system"));
            let close = (process - used).abs() < 10.0 && system > process - 10.0 && system <= 100.0;
            let as_meant = if busy { used > 5.0 } else { used < 5.0 };
            if close && as_meant { Ok(()) } else { Err(format!("{used} by the kernel, {process} and {system} told")) }
        });
    };
    compare("an idle node has no load", false);
    let id = node.submit(&job(true, 4));
    compare("a busy node has the load that it causes", true);
    node.post("/stop-job", &json!({ "jobId": id }).to_string()).ok();
    compare("a node has no load again", false);
    eventually("the load of the machine is that of the kernel", || {
        let seen = monitoring(&mut client);
        let average = fs::read_to_string("/proc/loadavg").expect("loads");
        let expected = average.split(' ').next().expect("a load").to_owned();
        if text(&seen, "load.systemAverage") == expected { Ok(()) } else { Err(format!("{expected}, {seen}")) }
    });
    node.stop().expect_exit(0);
}
