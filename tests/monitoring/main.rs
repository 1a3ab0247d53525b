//! What system-monitoring-information and the lists of threads say, held against the kernel's own files, `ps`, and
//! backlogs of a known size.
//!
//! Each module names the fields whose readings it holds against something else; [`ALWAYS`] are those of which there is
//! nothing here to read.

#[path = "../support/mod.rs"]
mod support;

mod connections;
mod hang;
mod loads;
mod memory;
mod queues;
mod threads;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::eventually;
use support::http::Client;
use support::node::Node;

/// What is the same on any node.
const ALWAYS: [(&str, &str); 16] = [
    ("isMaster", "true"),
    ("host", "localhost"),
    ("minor.gc.count", "0"),
    ("minor.gc.time", "0ms"),
    ("major.gc.count", "0"),
    ("major.gc.time", "0ms"),
    ("cluster.timeDiff", "0"),
    ("executor.q.client.query.size", "0"),
    ("executor.q.query.size", "0"),
    ("executor.q.scheduled.size", "0"),
    ("executor.q.priorityOperation.size", "0"),
    ("executor.q.mapLoad.size", "0"),
    ("executor.q.mapLoadAllKeys.size", "0"),
    ("executor.q.cluster.size", "0"),
    ("executor.q.response.size", "0"),
    // Of this test alone: the others have nodes on free ports, too, and ask for theirs.
    ("port", ""),
];

/// A node whose loads follow what is done at once, and whose jobs get their share of a machine that others keep busy.
fn node() -> Node {
    Node::with(&["--load-window", "500ms", "--work-nice", "0"])
}

/// A node with one shard.
fn small_node(arguments: &[&str]) -> Node {
    let cpu = allowed_cpus()[0].to_string();
    Node::with(&[&["--cores", &cpu], arguments].concat())
}

/// A million years' worth of rows, or a few.
fn job(spins: bool, parallelism: usize) -> Value {
    let rows = if spins { i64::MAX / 1024 } else { 3 };
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

/// The value of a family that has one sample, or of the sample with a label.
fn metric(client: &mut Client, family: &str, label: &str) -> f64 {
    let text = client.get("/metrics").text();
    let is_it = |line: &&str| {
        line.strip_prefix(family).is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(label)
    };
    let line = text.lines().find(is_it).unwrap_or_else(|| panic!("no {family} with {label} in:\n{text}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

#[track_caller]
fn assert_near(what: &str, seen: f64, expected: f64, tolerance: f64) {
    let off = (seen - expected).abs();
    assert!(off <= tolerance, "{what}: {seen} is not {expected}, off by {off}, more than {tolerance}");
}

/// The number behind a name in a file of the kernel.
fn field(path: impl AsRef<Path>, name: &str) -> u64 {
    let text = fs::read_to_string(path.as_ref()).expect("a file of the kernel");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

fn ps(pid: u32, column: &str) -> u64 {
    let output = Command::new("ps").args(["-o", &format!("{column}="), "-p", &pid.to_string()]).output().expect("ps");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number of ps")
}

/// The CPUs that this test may use, by the kernel's own list (`0-2,5`).
fn allowed_cpus() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("a list").trim();
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        number(first)..=number(last)
    };
    list.split(',').flat_map(range).collect()
}

#[test]
fn every_field_is_held_against_something_or_has_nothing_to_tell() {
    let node = node();
    let mut client = node.client();
    for load in ["idle", "busy"] {
        if load == "busy" {
            let id = node.submit(&job(true, 4));
            node.wait_for_state(id, "RUNNING");
        }
        let seen = monitoring(&mut client);
        for (key, value) in ALWAYS.iter().filter(|(key, _)| *key != "port") {
            assert_eq!(text(&seen, key), *value, "{key}, {load}");
        }
        assert_eq!(text(&seen, "port"), node.address().port().to_string());
        let checked = [memory::FIELDS, loads::FIELDS, threads::FIELDS, queues::FIELDS, connections::FIELDS].concat();
        let checked = checked.into_iter().chain(ALWAYS.iter().map(|(key, _)| *key)).collect::<BTreeSet<_>>();
        let told = seen.as_object().expect("an object").keys().map(String::as_str).collect::<BTreeSet<_>>();
        assert_eq!(checked, told);
    }
    node.stop().expect_exit(0);
}
