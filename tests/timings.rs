//! How long things take, as a running node tells it.

mod support;

use serde_json::{Value, json};
use support::http::Client;
use support::node::Node;
use support::{Folder, eventually};

const KINDS: [&str; 3] = ["batch", "checkpoint", "commit"];

/// Writes files for some seconds, and publishes them ten times a second.
fn publishing(folder: &Folder) -> Value {
    json!({
        "env": { "job.mode": "STREAMING", "checkpoint.interval": 100, "read_limit.rows_per_second": 1000 },
        "source": [{ "plugin_name": "FakeSource", "row.num": 100_000, "schema": { "fields": { "id": "bigint" } } }],
        "sink": [{ "plugin_name": "LocalFile", "path": folder.at("out"), "file_format_type": "text" }],
    })
}

fn timings(client: &mut Client, query: &str) -> Value {
    client.get(&format!("/egret/timings{query}")).ok()
}

fn counts(tasks: &Value) -> [u64; 3] {
    KINDS.map(|kind| tasks[kind]["count"].as_u64().unwrap_or_else(|| panic!("no count of {kind}: {tasks}")))
}

#[test]
fn batches_checkpoints_and_commits_of_a_job_are_timed_and_outlive_it() {
    let (node, folder) = (Node::start(), Folder::new());
    let mut client = node.client();
    let id = node.submit(&publishing(&folder));
    let query = format!("?jobId={id}");
    let seen = eventually("three of each", || {
        let tasks = timings(&mut client, &query)["job"]["tasks"].clone();
        if counts(&tasks).iter().all(|count| *count >= 3) { Ok(counts(&tasks)) } else { Err(tasks) }
    });
    node.post("/stop-job", &json!({ "jobId": id }).to_string()).ok();
    node.wait_for_state(id, "CANCELED");
    let told = timings(&mut client, &query);
    let ended = &told["job"]["tasks"];
    assert!(counts(ended).iter().zip(seen).all(|(now, before)| *now >= before), "{ended} after {seen:?}");
    assert_eq!(counts(&told["tasks"]), counts(ended), "no other job has run");
    for kind in KINDS {
        let (max, sum) = (ended[kind]["max"].as_f64().expect("seconds"), ended[kind]["sum"].as_f64().expect("seconds"));
        assert!(max > 0.0 && max <= sum && sum < 600.0, "{kind}: {ended}");
    }
    node.stop().expect_exit(0);
}

#[test]
fn executors_of_all_shards_are_timed_under_requests_and_jobs() {
    let (node, folder) = (Node::start(), Folder::new());
    let id = node.submit(&publishing(&folder));
    node.wait_for_state(id, "RUNNING");
    let mut client = node.client();
    eventually("each kind is counted on some shard, of each side", || {
        // A connection of its own, so that other shards are asked, too.
        node.get("/running-jobs").ok();
        let told = timings(&mut client, "");
        let shards = told["shards"].as_array().expect("shards").clone();
        let counted = |side: &str, kind: &str| shards.iter().any(|shard| shard[side][kind]["count"].as_u64() > Some(0));
        let all = ["wakeUp", "tick", "slice", "tokenWait", "mailbox"];
        let missing: Vec<_> = ["front", "work"]
            .iter()
            .flat_map(|side| all.map(|kind| (*side, kind)))
            .filter(|(side, kind)| !counted(side, kind))
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?}")) }
    });
    node.stop().expect_exit(0);
}
