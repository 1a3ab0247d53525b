//! The heap of a node: what lives by size, and profiles of who holds it, decoded as pprof decodes them.

mod support;

use std::collections::BTreeSet;
use std::io::Read as _;

use flate2::read::GzDecoder;
use prost::Message;
use serde_json::{Value, json};
use support::node::{self, Node};
use support::program::{Ended, Program, egret};
use support::{Folder, assert_holds, eventually};

/// As much of `profile.proto` as these tests look at.
#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "12")]
    period: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Mapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    memory_start: u64,
    #[prost(uint64, tag = "3")]
    memory_limit: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(int64, tag = "6")]
    build_id: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
}

impl Profile {
    fn read(file: &std::path::Path) -> Self {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(file).expect("a file");
        GzDecoder::new(file).read_to_end(&mut bytes).expect("gzip");
        Self::decode(&*bytes).expect("a profile")
    }

    fn text(&self, place: i64) -> &str {
        &self.string_table[usize::try_from(place).expect("a place")]
    }

    /// Bytes that live.
    fn bytes(&self) -> i64 {
        self.sample.iter().map(|sample| sample.value[1]).sum()
    }

    /// What is said is there, and addresses are within what they are said to be in.
    fn check(&self) {
        let types: Vec<_> = self.sample_type.iter().map(|of| (self.text(of.kind), self.text(of.unit))).collect();
        assert_eq!(types, [("inuse_objects", "count"), ("inuse_space", "bytes")]);
        let mappings: BTreeSet<u64> = self.mapping.iter().map(|mapping| mapping.id).collect();
        let locations: BTreeSet<u64> = self.location.iter().map(|location| location.id).collect();
        assert_eq!((mappings.len(), locations.len()), (self.mapping.len(), self.location.len()), "ids are unique");
        for sample in &self.sample {
            assert!(
                sample.value.len() == 2 && sample.location_id.iter().all(|id| locations.contains(id)),
                "{sample:?}"
            );
        }
        for location in self.location.iter().filter(|location| location.mapping_id != 0) {
            let mapping = self.mapping.iter().find(|mapping| mapping.id == location.mapping_id).expect("a mapping");
            assert!((mapping.memory_start..mapping.memory_limit).contains(&location.address), "{location:?}");
        }
    }
}

/// `egret heap` with these arguments about a node.
fn heap(node: &Node, arguments: &[&str]) -> Ended {
    let mut command = egret(["heap"]);
    command.args(arguments).args(["--url", &format!("http://{}", node.address())]);
    Program::start(command).end()
}

/// Rows of the config itself, which a job holds for as long as it runs.
const ROW_BYTES: usize = 1 << 20;
const ROWS: usize = 3;

fn job_that_holds_memory() -> Value {
    let rows: Vec<Value> = (0..ROWS).map(|_| json!({ "kind": "INSERT", "fields": ["x".repeat(ROW_BYTES)] })).collect();
    json!({
        "env": { "job.mode": "STREAMING", "job.name": "holds memory" },
        "source": [{ "plugin_name": "FakeSource", "schema": { "fields": { "text": "string" } }, "rows": rows }],
        "sink": [{ "plugin_name": "Blackhole" }],
    })
}

#[test]
fn a_profile_tells_what_a_job_holds_and_ends_with_the_profiler() {
    let (node, folder) = (Node::start(), Folder::new());
    let file = folder.at("heap.pb.gz");
    let output = file.display().to_string();
    let told = heap(&node, &["dump", "-o", &output]).expect_exit(1).stderr;
    assert_holds(&told, &["error: No heap profile: the heap profiler is off; switch it on (egret heap start"]);
    assert!(!file.exists());

    let told = heap(&node, &["start", "--sample-bytes", "16KiB"]).expect_exit(0).stdout;
    assert_holds(&told, &["the heap profiler is on, one sample in 16.00 KiB", "egret heap dump"]);
    let told = heap(&node, &["start", "--sample-bytes", "64KiB"]).expect_exit(1).stderr;
    assert_holds(&told, &["is on already", "egret heap stop"]);
    let job = node.submit(&job_that_holds_memory());
    let rows = ROWS.to_string();
    node.wait_for(job, "RUNNING", |job| job["metrics"]["SourceReceivedCount"] == *rows);
    assert_holds(&heap(&node, &["dump", "-o", &output]).expect_exit(0).stdout, &[&output, "go tool pprof"]);
    let profile = Profile::read(&file);
    profile.check();
    assert_eq!(profile.period, 16 << 10);
    assert!(profile.bytes() >= (ROWS * ROW_BYTES) as i64, "{} bytes", profile.bytes());
    let main = &profile.mapping[0];
    let program = std::fs::canonicalize(env!("CARGO_BIN_EXE_egret")).expect("a path");
    assert_eq!(profile.text(main.filename), program.display().to_string());
    assert!(profile.text(main.build_id).bytes().all(|digit| digit.is_ascii_hexdigit()));
    let own = profile.location.iter().filter(|location| location.mapping_id == main.id).count();
    assert!(own * 2 > profile.location.len(), "{own} of {} calls are the program's", profile.location.len());

    // Who holds it has a name, whatever tool looks at the profile.
    let named = |name: &str| profile.string_table.iter().any(|text| text.contains(name));
    assert!(named("egret_connectors::fake::") && named("connectors/src/fake/"), "{:#?}", profile.string_table);

    // What was given back is not told of any more.
    node.post("/stop-job", &json!({ "jobId": job }).to_string()).ok();
    node.wait_for_state(job, "CANCELED");
    assert_holds(&heap(&node, &["stop"]).expect_exit(0).stdout, &["the heap profiler is off"]);
    heap(&node, &["dump", "-o", &output]).expect_exit(1);
    heap(&node, &["start"]).expect_exit(0);
    let profile = node.client().get("/egret/heap/profile");
    assert_eq!((profile.status, profile.header("content-type")), (200, Some("application/octet-stream")));
    std::fs::write(&file, &profile.body).expect("written");
    let after = Profile::read(&file);
    assert!(after.period == 512 << 10 && after.bytes() < (ROWS * ROW_BYTES) as i64, "{} bytes", after.bytes());
    node.stop().expect_exit(0);
}

#[test]
fn live_allocations_are_shown_by_size() {
    let node = Node::start();
    let text = heap(&node, &["show"]).expect_exit(0).stdout;
    assert_holds(&text, &["Allocated ", "Resident ", "Profiler   off\n", "SIZE", "OBJECTS"]);
    let heap: Value = serde_json::from_str(&heap(&node, &["show", "--json"]).expect_exit(0).stdout).expect("JSON");
    let number = |key: &str| heap[key].as_u64().expect("a number");
    // What waits in the threads' caches counts as live by size and not as allocated; and a moment lies between the two.
    assert!(number("liveBytes") * 2 > number("allocatedBytes"), "{heap}");
    assert!(number("allocatedBytes") <= number("residentBytes"), "{heap}");
    let classes = heap["sizeClasses"].as_array().expect("classes");
    let sizes: Vec<u64> = classes.iter().map(|class| class["bytes"].as_u64().expect("a size")).collect();
    assert!(sizes.len() > 10 && sizes.is_sorted(), "{sizes:?}");
    let live: u64 = classes.iter().map(|class| class["liveBytes"].as_u64().expect("bytes")).sum();
    assert_eq!(live, number("liveBytes"));
    node.stop().expect_exit(0);
}

#[test]
fn a_profile_goes_to_standard_output_or_to_a_file_of_its_own() {
    let (node, folder) = (Node::start(), Folder::new());
    heap(&node, &["start", "--json"]).expect_exit(0);
    let dump = || {
        let mut command = egret(["heap", "dump", "--url", &format!("http://{}", node.address())]);
        command.current_dir(folder.path());
        Program::start(command).end()
    };
    let told = dump().expect_exit(0).stdout;
    let name = told.split(' ').next().expect("a name");
    assert!(name.starts_with("egret-heap-") && name.ends_with(".pb.gz"), "{told}");
    Profile::read(&folder.at(name)).check();
    let told = heap(&node, &["dump", "-o", "/nowhere/heap.pb.gz"]).expect_exit(1).stderr;
    assert_holds(&told, &["cannot write the profile to /nowhere/heap.pb.gz"]);
    node.stop().expect_exit(0);
}

#[test]
fn a_profile_that_is_too_large_is_refused_and_counted() {
    let node = Node::with(&["--heap-profile-bytes-max", "1KiB"]);
    heap(&node, &["start", "--sample-bytes", "16KiB"]).expect_exit(0);
    let job = node.submit(&job_that_holds_memory());
    node.wait_for_state(job, "RUNNING");
    let refused = eventually("there is more than a KiB", || {
        let ended = heap(&node, &["dump", "-o", "-"]);
        if ended.status.success() { Err("a small profile") } else { Ok(ended.stderr) }
    });
    assert_holds(&refused, &["1024 are allowed; raise heap_profile_bytes_max"]);
    node.stop().expect_exit(0);
}

#[test]
fn the_profiler_asks_who_is_there_as_everything_else_does() {
    let mut command = node::command(&["--auth-enabled"]);
    command.env("EGRET_AUTH_TOKEN", "tok-1");
    let node = Node::from_command(command);
    for (method, path) in [("POST", "/egret/heap/start"), ("GET", "/egret/heap/profile"), ("GET", "/egret/heap")] {
        node.client().request(method, path, "").refused(401);
    }
    assert_holds(&heap(&node, &["start"]).expect_exit(1).stderr, &["asks for a bearer token"]);
    let mut command = egret(["heap", "start", "--url", &format!("http://{}", node.address())]);
    command.env("EGRET_TOKEN", "tok-1");
    Program::start(command).end().expect_exit(0);
    node.stop().expect_exit(0);
}
