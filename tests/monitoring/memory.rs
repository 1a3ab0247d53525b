//! Memory of the machine and of the process.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::support::node::command;

pub const FIELDS: &[&str] = &[
    "processors",
    "physical.memory.total",
    "physical.memory.free",
    "swap.space.total",
    "swap.space.free",
    "heap.memory.used",
    "heap.memory.free",
    "heap.memory.total",
    "heap.memory.max",
    "heap.memory.used/total",
    "heap.memory.used/max",
];

/// What other programs may take or give back between two looks.
const OTHERS: f64 = 512e6;

/// The groups that hold a process, from its own up to the mount, for a controller of version 1, or of version 2 (``).
fn groups(pid: u32, controller: &str, mount: &str) -> Vec<PathBuf> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("groups");
    let group = groups.lines().find_map(|line| {
        let (names, path) = line.split_once(':')?.1.split_once(':')?;
        (names.split(',').any(|name| name == controller)).then_some(path)
    });
    let top = PathBuf::from(mount);
    let Some(group) = group else { return Vec::new() };
    let own = top.join(group.trim_start_matches('/'));
    own.ancestors().take_while(|folder| folder.starts_with(&top)).map(Path::to_owned).collect()
}

fn number(folder: &Path, file: &str) -> Option<f64> {
    fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

/// Total and free bytes that the groups of a process leave of those of the machine. `files` are the names of a limit and
/// of what is used of it, of each version.
fn room(pid: u32, machine: (f64, f64), files: [(&str, &str); 2]) -> (f64, f64) {
    let mounts = [("memory", "/sys/fs/cgroup/memory"), ("", "/sys/fs/cgroup")];
    let mut room = machine;
    for ((controller, mount), (limit, used)) in mounts.into_iter().zip(files) {
        for folder in groups(pid, controller, mount) {
            if let (Some(limit), Some(used)) = (number(&folder, limit), number(&folder, used)) {
                room = (room.0.min(limit), room.1.min(limit - used));
            }
        }
    }
    room
}

/// One digit is written, so sizes are true to a twentieth of a unit: a fiftieth of what is left of 2.5 of it.
fn grain(bytes: f64) -> f64 {
    bytes / 20.0 + 1.0
}

#[test]
fn memory_is_that_of_the_machine_or_its_limit() {
    let node = node();
    let pid = node.program().pid();
    let mut client = node.client();
    for load in ["idle", "busy"] {
        if load == "busy" {
            let id = node.submit(&job(true, 4));
            node.wait_for_state(id, "RUNNING");
        }
        let kib = |name| (field("/proc/meminfo", name) << 10) as f64;
        let memory = [("memory.limit_in_bytes", "memory.usage_in_bytes"), ("memory.max", "memory.current")];
        let memory = || room(pid, (kib("MemTotal:"), kib("MemFree:")), memory);
        // Others may take or give back much at any time: what counts is a moment in which they do not.
        let (seen, (total, free)) = eventually("a quiet moment", || {
            let (before, seen, after) = (memory().1, monitoring(&mut client), memory());
            let off = (size(&seen, "physical.memory.free") - after.1).abs().max((before - after.1).abs());
            if off <= grain(after.1) + OTHERS { Ok((seen, after)) } else { Err(format!("{off} off")) }
        });
        assert_near("total memory", size(&seen, "physical.memory.total"), total, grain(total));
        assert_near("free memory", size(&seen, "physical.memory.free"), free, grain(free) + OTHERS);
        assert_eq!(text(&seen, "heap.memory.max"), text(&seen, "physical.memory.total"));
        // Version 1 has a limit on memory and swap space together: only without one is there something to compare.
        let swap = [("", ""), ("memory.swap.max", "memory.swap.current")];
        let (total, free) = room(pid, (kib("SwapTotal:"), kib("SwapFree:")), swap);
        if groups(pid, "memory", "/sys/fs/cgroup/memory").iter().all(|group| is_unlimited(group)) {
            assert_near("swap space", size(&seen, "swap.space.total"), total, grain(total));
            assert_near("free swap space", size(&seen, "swap.space.free"), free, grain(free) + OTHERS);
        }
        assert!(size(&seen, "swap.space.total") <= total + grain(total), "{load}: {seen}");
    }
    node.stop().expect_exit(0);
}

fn is_unlimited(group: &Path) -> bool {
    // As many pages as fit into 63 bits are no limit.
    number(group, "memory.memsw.limit_in_bytes").is_none_or(|limit| limit > 1e18)
}

#[test]
fn processors_are_those_that_the_process_may_use() {
    let all = allowed_cpus();
    let mut bound = Command::new("taskset");
    let started = command(&["--cores", &all[0].to_string()]);
    bound.args(["-c", &all[0].to_string()]).arg(started.get_program()).args(started.get_args());
    bound.envs(started.get_envs().filter_map(|(name, value)| Some((name, value?)))).env_remove("EGRET_CONFIG");
    for (node, expected) in [(node(), all.len()), (Node::from_command(bound), 1)] {
        let seen = count(&monitoring(&mut node.client()), "processors");
        let quota = quota(node.program().pid());
        assert_eq!(seen, (expected as f64).min(quota.unwrap_or(f64::MAX)).ceil() as u64, "{quota:?}");
        node.stop().expect_exit(0);
    }
}

/// CPUs' worth of time that the groups of a process allow it.
fn quota(pid: u32) -> Option<f64> {
    let of_one = groups(pid, "cpu", "/sys/fs/cgroup/cpu").into_iter().filter_map(|group| {
        let quota = number(&group, "cpu.cfs_quota_us").filter(|quota| *quota > 0.0)?;
        Some(quota / number(&group, "cpu.cfs_period_us")?)
    });
    let of_two = groups(pid, "", "/sys/fs/cgroup").into_iter().filter_map(|group| {
        let text = fs::read_to_string(group.join("cpu.max")).ok()?;
        let (quota, period) = text.trim().split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    });
    of_one.chain(of_two).reduce(f64::min)
}

#[test]
fn the_heap_is_a_part_of_the_process_and_grows_with_what_it_holds() {
    /// Of a request's body, which the node holds until it has all of it.
    const HELD: usize = 12 << 20;
    // To copy such a body may be a stall in a build without optimization, and a stall is told with its stack: the program's
    // symbols would be in the heap then, which are more than the body.
    let node = Node::with(&["--load-window", "500ms", "--work-nice", "0", "--stall-front", "10s"]);
    let pid = node.program().pid();
    let mut client = node.client();
    let mut heap = || {
        let seen = monitoring(&mut client);
        let (used, total) = (size(&seen, "heap.memory.used"), size(&seen, "heap.memory.total"));
        // The program's count and the kernel's are of different moments, at most some 100 ms apart.
        let (by_ps, own) = ((ps(pid, "rss") << 10) as f64, own_pages(pid));
        assert!(used > 100e3 && used <= total, "{seen}");
        assert!(total <= by_ps + 64e6, "the heap of {total} is in RAM, of which the process has {by_ps}: {seen}");
        assert_near("free heap", size(&seen, "heap.memory.free"), total - used, 2.0 * grain(total));
        let share = 100.0 * used / total;
        assert_near("share of the heap", percent(&seen, "heap.memory.used/total"), share, share / 5.0);
        let share = 100.0 * used / size(&seen, "heap.memory.max");
        assert_near("share of all", percent(&seen, "heap.memory.used/max"), share, share / 5.0 + 0.01);
        (used, own)
    };
    let (before, own_before) = heap();
    let mut sender = TcpStream::connect(node.address()).expect("connect");
    write!(sender, "POST /submit-job HTTP/1.1\r\nhost: egret\r\ncontent-length: {}\r\n\r\n", HELD + 1).expect("sent");
    sender.write_all(&vec![b' '; HELD]).expect("sent");
    // The body, and what its buffer has grown by beyond it.
    let held = HELD as f64 * 0.95..HELD as f64 * 2.5;
    eventually("the heap holds the body", || {
        let (used, own) = heap();
        let (more, more_by_kernel) = (used - before, own - own_before);
        let good = held.contains(&more) && more_by_kernel > held.start * 0.9;
        if good { Ok(()) } else { Err(format!("{more} more, by the kernel {more_by_kernel}")) }
    });
    drop(sender);
    eventually("the heap has given it back", || {
        let more = heap().0 - before;
        if more < HELD as f64 / 4.0 { Ok(()) } else { Err(format!("{more} more")) }
    });
    node.stop().expect_exit(0);
}

/// Memory of a process that is in RAM and of no file.
fn own_pages(pid: u32) -> f64 {
    (field(format!("/proc/{pid}/status"), "RssAnon:") << 10) as f64
}
