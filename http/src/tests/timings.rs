//! What `/egret/timings` and the metrics tell of how long things take.

use serde_json::{Value, json};

use super::*;

fn config(rows: usize, endless: bool) -> String {
    json!({
        "env": {"job.mode": "BATCH", "checkpoint.interval": 10},
        "source": [{"plugin_name": "Numbers", "rows": rows, "endless": endless}],
        "sink": [{"plugin_name": "Nowhere"}],
    })
    .to_string()
}

fn timings(client: &mut Client, query: &str) -> Value {
    json_of(&client.get(&format!("/egret/timings{query}")))
}

fn count(durations: &Value) -> u64 {
    durations["count"].as_u64().unwrap_or_else(|| panic!("no count in {durations}"))
}

fn route<'v>(timings: &'v Value, path: &str) -> &'v Value {
    let routes = timings["routes"].as_array().expect("routes");
    let found = routes.iter().find(|route| route["path"] == path);
    &found.unwrap_or_else(|| panic!("no {path} in {routes:?}"))["time"]
}

/// Whether there are rising quantiles below a maximum, which is a part of the sum.
fn holds_together(durations: &Value) -> bool {
    let seconds = |value: &Value| value.as_f64().expect("seconds");
    let quantiles: Vec<f64> = durations["quantiles"].as_object().expect("quantiles").values().map(seconds).collect();
    let max = seconds(&durations["max"]);
    quantiles.len() == if count(durations) == 0 { 0 } else { 7 }
        && quantiles.is_sorted()
        && quantiles.iter().all(|seconds| *seconds <= max)
        && max <= seconds(&durations["sum"])
}

fn assert_holds_together(durations: &Value) {
    assert!(holds_together(durations), "{durations}");
}

#[test]
fn routes_are_timed_on_their_own() {
    let running = Running::new();
    let mut client = running.client();
    for _ in 0..5 {
        client.get("/running-jobs");
    }
    client.get("/overview");
    let told = timings(&mut client, "");
    assert_eq!((count(route(&told, "running-jobs")), count(route(&told, "overview"))), (5, 1));
    told["routes"].as_array().expect("routes").iter().for_each(|route| assert_holds_together(&route["time"]));
    assert_eq!(told["job"], Value::Null);
}

#[test]
fn executors_are_timed_on_both_sides_of_each_shard() {
    let running = Running::new();
    let mut client = running.client();
    json_of(&client.post("/submit-job?jobId=1", &config(5, false)));
    client.get("/running-jobs");
    let told = timings(&mut client, "");
    let shards = told["shards"].as_array().expect("shards");
    assert_eq!(shards.len(), running.shards.len());
    for side in ["front", "work"] {
        let times = &shards[0][side];
        assert_eq!(times.as_object().map(serde_json::Map::len), Some(6));
    }
    // A duration that is just being recorded may be in some of the figures only.
    eventually("all times hold together", || {
        let told = timings(&mut client, "");
        let sides = ["front", "work"].map(|side| told["shards"][0][side].as_object().expect("times").clone());
        sides.iter().flat_map(serde_json::Map::values).all(holds_together)
    });
    let front = &shards[0]["front"];
    assert!(count(&front["slice"]) > 0 && count(&front["tokenWait"]) > 0 && count(&front["mailbox"]) > 0, "{front}");
}

#[test]
fn the_tasks_of_a_job_are_timed_while_it_runs_and_after_its_end() {
    let running = Running::new();
    let mut client = running.client();
    json_of(&client.post("/submit-job?jobId=1", &config(5, true)));
    let tasks = |client: &mut Client| timings(client, "?jobId=1")["job"]["tasks"].clone();
    eventually("it seals checkpoints", || {
        let tasks = tasks(&mut client);
        count(&tasks["batch"]) == 1 && count(&tasks["checkpoint"]) >= 2
    });
    json_of(&client.post("/stop-job", r#"{"jobId":1}"#));
    eventually("it has ended", || timings(&mut client, "?jobId=1")["job"]["jobStatus"] == "CANCELED");
    let ended = tasks(&mut client);
    assert!(count(&ended["batch"]) == 1 && count(&ended["checkpoint"]) >= 2, "{ended}");
    assert_eq!(count(&ended["commit"]), 0, "its sink publishes nothing");
    ended.as_object().expect("times").values().for_each(assert_holds_together);
    assert_eq!(timings(&mut client, "")["tasks"], ended, "no other job has run");
    let entry = running.jobs.job(1).expect("it is remembered");
    assert!(entry.times().bytes() < 2_000, "{} bytes", entry.times().bytes());
}

#[test]
fn a_job_that_is_not_there_has_no_timings() {
    let running = Running::new();
    let mut client = running.client();
    for (query, status, message) in
        [("jobId=7", 404, "There is no job 7."), ("x=y&jobId=seven", 400, "The jobId 'seven' is no number.")]
    {
        let refused = client.get(&format!("/egret/timings?{query}"));
        assert_eq!((refused.status, &*refused.message()), (status, message));
    }
}

#[test]
fn an_answer_tells_its_time_where_the_contract_has_it() {
    let running = Running::new();
    let mut client = running.client();
    for path in ["/egret/timings", "/egret/timings?jobId=7"] {
        let asked = std::time::Instant::now();
        let answer = client.get(path);
        let took: f64 = answer.header("x-process-time").expect("a time").parse().expect("seconds");
        assert!(took > 0.0 && took <= asked.elapsed().as_secs_f64(), "{took}");
    }
    for path in ["/running-jobs", "/hazelcast/rest/maps/running-jobs", "/openapi.json"] {
        assert_eq!(client.get(path).header("x-process-time"), None, "{path}");
    }
}

#[test]
fn metrics_tell_timings_as_histograms() {
    let running = Running::new();
    let mut client = running.client();
    json_of(&client.post("/submit-job?jobId=1", &config(5, false)));
    eventually("it has ended", || json_of(&client.get("/job-info/1"))["jobStatus"] == "FINISHED");
    let text = String::from_utf8(client.get("/metrics").body).expect("text");
    let value = |sample: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(sample));
        let line = line.unwrap_or_else(|| panic!("no {sample} in {text}"));
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    };
    for family in ["egret_task_batch_seconds", "egret_task_checkpoint_seconds"] {
        // A source that is slow on a busy machine sends its rows in several batches.
        assert!(value(&format!("{family}_count")) >= 1.0, "{family}");
        assert!(value(&format!("{family}_sum")) > 0.0, "{family}");
    }
    for family in ["slice", "token_wait", "mailbox_delay"] {
        for side in ["front", "work"] {
            let name = format!("egret_executor_{family}_seconds");
            let labels = format!("{{cluster=\"seatunnel\",side=\"{side}\"");
            let all = value(&format!("{name}_count{labels}"));
            assert!(all > 0.0 && value(&format!("{name}_bucket{labels},le=\"+Inf\"")) >= all, "{name} {side}");
        }
    }
}
