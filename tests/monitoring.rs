//! What system-monitoring-information and the lists of threads say, held against the kernel's own files and `ps`.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::eventually;
use support::http::Client;
use support::node::Node;

/// A node whose loads follow what is done at once, and whose jobs get their share of a machine that others keep busy.
fn node() -> Node {
    Node::with(&["--load-window", "500ms", "--work-nice", "0"])
}

/// A million years' worth of rows for several cores, or a few.
fn job(spins: bool) -> Value {
    let (rows, parallelism) = if spins { (i64::MAX / 1024, 4) } else { (3, 1) };
    json!({
        "env": { "job.mode": "BATCH", "parallelism": parallelism },
        "source": [{ "plugin_name": "FakeSource", "row.num": rows, "schema": { "fields": { "id": "bigint" } } }],
        "sink": [{ "plugin_name": "Blackhole" }],
    })
}

fn monitoring(client: &mut Client) -> Value {
    client.get("/system-monitoring-information").ok()[0].clone()
}

fn text<'v>(values: &'v Value, key: &str) -> &'v str {
    values[key].as_str().unwrap_or_else(|| panic!("no text under {key}: {values}"))
}

fn count(values: &Value, key: &str) -> u64 {
    text(values, key).parse().unwrap_or_else(|_| panic!("no number under {key}: {values}"))
}

fn percent(values: &Value, key: &str) -> f64 {
    let share = text(values, key).strip_suffix('%').and_then(|number| number.parse().ok());
    share.unwrap_or_else(|| panic!("no percentage under {key}: {values}"))
}

/// `31.4G` in bytes.
fn size(values: &Value, key: &str) -> f64 {
    let text = text(values, key);
    let units = ["K", "M", "G", "T", "P", "E"];
    let unit = units.iter().position(|unit| text.ends_with(*unit));
    let number: f64 = text.trim_end_matches(char::is_alphabetic).parse().expect("a number");
    number * unit.map_or(1.0, |power| 1024f64.powi(power as i32 + 1))
}

/// Sizes are written with one digit: a tenth of a unit is their grain.
#[track_caller]
fn assert_near(what: &str, seen: f64, expected: f64, tolerance: f64) {
    let off = (seen - expected).abs();
    assert!(off <= tolerance, "{what}: {seen} is not {expected}, off by {off}, more than {tolerance}");
}

fn field(path: impl AsRef<Path>, name: &str) -> u64 {
    let text = fs::read_to_string(path.as_ref()).expect("a file of the kernel");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

/// The lowest of the limits in files of this name, in the groups that hold a process.
fn lowest_limit(pid: u32, controller: &str, mount: &str, file: &str) -> Option<u64> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("groups");
    let group = groups.lines().find_map(|line| {
        let (names, path) = line.split_once(':')?.1.split_once(':')?;
        (names.split(',').any(|name| name == controller)).then_some(path)
    })?;
    let top = PathBuf::from(mount);
    let own = top.join(group.trim_start_matches('/'));
    let folders = own.ancestors().take_while(|folder| folder.starts_with(&top));
    folders.filter_map(|folder| fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()).min()
}

/// Ticks of CPU time of a process, by `/proc/<pid>/stat`.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a stat");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks = |field: usize| fields[field - 3].parse::<u64>().expect("ticks");
    // SAFETY: the call takes a plain number.
    let a_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    (ticks(14) + ticks(15)) as f64 / a_second as f64
}

fn ps(pid: u32, column: &str) -> u64 {
    let output = Command::new("ps").args(["-o", &format!("{column}="), "-p", &pid.to_string()]).output().expect("ps");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number of ps")
}

#[test]
fn memory_is_that_of_the_machine_or_its_limit_and_the_heap_is_a_part_of_the_process() {
    let node = node();
    let pid = node.program().pid();
    let mut client = node.client();
    for load in ["idle", "busy"] {
        if load == "busy" {
            node.submit(&job(true));
        }
        let seen = monitoring(&mut client);
        let total = field("/proc/meminfo", "MemTotal:") << 10;
        let limits = [
            lowest_limit(pid, "memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            lowest_limit(pid, "", "/sys/fs/cgroup", "memory.max"),
        ];
        let expected = limits.into_iter().flatten().fold(total, u64::min) as f64;
        assert_near("total memory", size(&seen, "physical.memory.total"), expected, expected / 10.0);
        assert_eq!(text(&seen, "heap.memory.max"), text(&seen, "physical.memory.total"));
        assert!(size(&seen, "physical.memory.free") < expected, "{seen}");
        let swap = (field("/proc/meminfo", "SwapTotal:") << 10) as f64;
        assert!(size(&seen, "swap.space.total") <= swap * 1.1, "{seen}");
        // Both the program's count and that of the kernel are as of some 100 ms ago.
        let resident = (ps(pid, "rss") << 10) as f64;
        let (used, heap) = (size(&seen, "heap.memory.used"), size(&seen, "heap.memory.total"));
        assert!(used > 100e3 && used <= heap, "{load}: {seen}");
        assert!(heap <= resident + 64e6, "{load}: the heap of {heap} is in RAM, of which the process has {resident}");
        assert_near("free heap", size(&seen, "heap.memory.free"), heap - used, heap / 8.0 + 1e5);
        let share = 100.0 * used / heap;
        assert_near("share of the heap", percent(&seen, "heap.memory.used/total"), share, share / 5.0);
    }
    node.stop().expect_exit(0);
}

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
        if thread["threadName"] == "egret-sampler" {
            assert_eq!(thread["threadState"], "RUNNABLE", "it is the one that looks");
        }
        if thread["threadName"] == "egret-watchdog" {
            assert_eq!(thread["threadState"], "WAITING", "{thread}");
        }
    }
    node.stop().expect_exit(0);
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
            let as_meant = if busy { used > 10.0 } else { used < 5.0 };
            if close && as_meant { Ok(()) } else { Err(format!("{used} by the kernel, {process} and {system} told")) }
        });
    };
    compare("an idle node has no load", false);
    let id = node.submit(&job(true));
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

#[test]
fn commands_jobs_and_connections_are_counted() {
    let node = node();
    let mut clients = [node.client(), node.client()];
    let before = monitoring(&mut clients[0]);
    monitoring(&mut clients[1]);
    let done = node.submit(&job(false));
    node.wait_for_state(done, "FINISHED");
    let running = node.submit(&job(true));
    node.wait_for_state(running, "RUNNING");
    eventually("a job more and its commands", || {
        let seen = monitoring(&mut clients[0]);
        let open = count(&seen, "connection.count");
        let good = count(&seen, "operations.completed.count") > count(&before, "operations.completed.count")
            && count(&seen, "operations.running.count") > count(&before, "operations.running.count")
            && count(&seen, "proxy.count") == 2
            // The clients of this test, while others that it used are being closed.
            && open == 2
            && count(&seen, "client.connection.count") == open;
        if good { Ok(()) } else { Err(seen.to_string()) }
    });
    node.stop().expect_exit(0);
}
