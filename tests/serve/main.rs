//! `egret serve`: jobs over SeaTunnel's REST API (contract A), and how a node starts and stops.

#[path = "../support/mod.rs"]
mod support;

mod connections;
mod ends;

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::http::Client;
use support::node::{self, Node, maps};
use support::program::Program;
use support::{Folder, assert_holds, eventually};

/// The body of the documentation's submit-job.
fn documented_job() -> Value {
    json!({
        "env": { "job.mode": "batch" },
        "source": [{
            "plugin_name": "FakeSource",
            "result_table_name": "fake",
            "row.num": 100,
            "schema": { "fields": { "name": "string", "age": "int", "card": "int" } },
        }],
        "transform": [],
        "sink": [{ "plugin_name": "Console", "source_table_name": ["fake"] }],
    })
}

/// Sends its rows and then idles until it is stopped.
fn streaming_job(name: &str) -> Value {
    json!({
        "env": { "job.mode": "STREAMING", "job.name": name, "checkpoint.interval": 5000 },
        "source": [{
            "plugin_name": "FakeSource",
            "result_table_name": "fake",
            "row.num": 8,
            "schema": { "fields": { "id": "bigint" } },
        }],
        "sink": [{ "plugin_name": "console", "source_table_name": "fake" }],
    })
}

/// The documented job with a part of it changed or added.
fn changed(pointer: &str, value: Value) -> String {
    let mut job = documented_job();
    let (parent, key) = pointer.rsplit_once('/').expect("a path");
    match job.pointer_mut(parent).expect("a part of the job") {
        Value::Array(items) => items[key.parse::<usize>().expect("an index")] = value,
        parent => parent[key] = value,
    }
    job.to_string()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[track_caller]
fn assert_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("a time is text: {value}"));
    let shape: String = text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    assert_eq!(shape, "0000-00-00 00:00:00");
}

#[track_caller]
fn assert_number(value: &Value) -> f64 {
    let text = value.as_str().unwrap_or_else(|| panic!("numbers of metrics are text: {value}"));
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

/// All of A.6: the 16 keys and the two of the first documentation, numbers as text, doubles with a point.
#[track_caller]
fn assert_metrics(metrics: &Value, table: &str, rows: &str) {
    for key in ["sourceReceivedCount", "sinkWriteCount", "SourceReceivedCount", "SinkWriteCount"] {
        assert_eq!(metrics[key], rows, "{key}");
    }
    for key in ["SourceReceivedBytes", "SinkWriteBytes"] {
        assert!(assert_number(&metrics[key]) > 0.0, "{key}");
    }
    for key in ["SourceReceivedQPS", "SinkWriteQPS", "SourceReceivedBytesPerSeconds", "SinkWriteBytesPerSeconds"] {
        assert!(assert_number(&metrics[key]) > 0.0, "{key}");
        assert!(metrics[key].as_str().is_some_and(|text| text.contains('.')), "{key}: {}", metrics[key]);
    }
    for key in ["TableSourceReceivedCount", "TableSinkWriteCount"] {
        assert_eq!(metrics[key], json!({ table: rows }), "{key}");
    }
    for key in [
        "TableSourceReceivedBytes",
        "TableSinkWriteBytes",
        "TableSourceReceivedQPS",
        "TableSinkWriteQPS",
        "TableSourceReceivedBytesPerSeconds",
        "TableSinkWriteBytesPerSeconds",
    ] {
        assert_eq!(keys(&metrics[key]), [table], "{key}");
        assert!(assert_number(&metrics[key][table]) > 0.0, "{key}");
    }
    assert_eq!(keys(metrics).len(), 18, "{metrics}");
}

#[test]
fn the_documented_job_finishes_with_a_hundred_rows() {
    let node = Node::start();
    let reply = node.post("/submit-job?jobName=rest_api_test", &documented_job().to_string()).ok();
    assert_eq!(keys(&reply), ["jobId", "jobName"]);
    assert_eq!(reply["jobName"], "rest_api_test");
    let id = reply["jobId"].as_i64().expect("a number");
    assert!(id > 0);
    // It can be looked up at once, whatever its state.
    assert_eq!(node.job(id)["jobName"], "rest_api_test");

    let job = node.wait_for_state(id, "FINISHED");
    assert_eq!(job["jobId"], id.to_string());
    assert_eq!(job["errorMsg"], Value::Null);
    assert_time(&job["createTime"]);
    assert_time(&job["finishTime"]);
    assert_eq!(job["finishedTime"], job["finishTime"]);
    assert_eq!(job["pluginJarsUrls"], json!([]));
    assert_metrics(&job["metrics"], "fake", "100");
    // string of 5, int, int
    assert_eq!(job["metrics"]["SourceReceivedBytes"], "1300");
    assert_eq!(
        job["jobDag"],
        json!({
            "jobId": id.to_string(),
            "pipelineEdges": { "1": [{ "inputVertexId": "1", "targetVertexId": "2" }] },
            "envOptions": { "job.mode": "batch" },
            "vertexInfoMap": [
                { "vertexId": 1, "type": "source", "vertexName": "pipeline-1 [Source[0]-FakeSource]", "tablePaths": ["fake"] },
                { "vertexId": 2, "type": "sink", "vertexName": "pipeline-1 [Sink[0]-Console-MultiTableSink]", "tablePaths": ["fake"] },
            ],
            "vertices": [
                { "id": 1, "name": "Source[0]-FakeSource", "parallelism": 1 },
                { "id": 2, "name": "Sink[0]-Console-MultiTableSink", "parallelism": 1 },
            ],
            "edges": [{ "inputVertex": "Source[0]-FakeSource", "targetVertex": "Sink[0]-Console-MultiTableSink" }],
        })
    );
    assert_eq!(node.get(&format!("/running-job/{id}")).ok(), job);
    for list in ["/finished-jobs/FINISHED", "/finished-jobs/finished", "/finished-jobs", "/finished-jobs/"] {
        assert_eq!(node.get(list).ok(), json!([job]), "{list}");
    }
    for list in ["/finished-jobs/FAILED", "/finished-jobs/CANCELED", "/finished-jobs/NO_STATE", "/running-jobs"] {
        assert_eq!(node.get(list).ok(), json!([]), "{list}");
    }
    let ended = node.stop().expect_exit(0);
    assert_eq!(ended.stdout.lines().filter(|line| line.contains("SeaTunnelRow#tableId=fake")).count(), 100);
}

#[test]
fn a_running_job_shows_every_field_and_stops_when_asked() {
    let node = Node::start();
    assert_eq!(node.get("/running-jobs").ok(), json!([]));
    let id = node.submit(&streaming_job("idle"));
    let job = node.wait_for(id, "RUNNING", |job| job["metrics"]["SinkWriteCount"] == "8");
    assert_eq!(
        keys(&job),
        [
            "jobId",
            "jobName",
            "jobStatus",
            "envOptions",
            "createTime",
            "jobDag",
            "pluginJarsUrls",
            "isStartWithSavePoint",
            "metrics"
        ]
    );
    assert_eq!(job["jobId"], id.to_string());
    assert_eq!(job["jobName"], "idle");
    let options = json!({ "job.mode": "STREAMING", "job.name": "idle", "checkpoint.interval": "5000" });
    assert_eq!(job["envOptions"], options);
    assert_time(&job["createTime"]);
    let dag = &job["jobDag"];
    assert_eq!(keys(dag), ["jobId", "pipelineEdges", "envOptions", "vertexInfoMap", "vertices", "edges"]);
    assert_eq!(dag["envOptions"], options);
    assert_eq!(dag["vertexInfoMap"][1]["vertexName"], "pipeline-1 [Sink[0]-console-MultiTableSink]");
    assert_eq!(job["pluginJarsUrls"], json!([]));
    assert_eq!(job["isStartWithSavePoint"], false);
    assert_metrics(&job["metrics"], "fake", "8");

    let running = node.get("/running-jobs").ok();
    assert_eq!(running.as_array().expect("an array").len(), 1, "{running}");
    assert_eq!(keys(&running[0]), keys(&job));
    assert_eq!(running[0]["jobId"], id.to_string());
    assert_eq!(running[0]["jobStatus"], "RUNNING");

    let reply = node.post("/stop-job", &json!({ "jobId": id, "isStopWithSavePoint": false }).to_string()).ok();
    assert_eq!(reply, json!({ "jobId": id }));
    let stopped = node.wait_for_state(id, "CANCELED");
    assert_metrics(&stopped["metrics"], "fake", "8");
    assert_eq!(stopped["errorMsg"], Value::Null);
    assert_eq!(node.get("/running-jobs").ok(), json!([]));
    assert_eq!(node.get("/finished-jobs/CANCELED").ok(), json!([stopped]));
    // Already ended: taken, and nothing changes.
    node.post("/stop-job", &json!({ "jobId": id }).to_string()).ok();
    assert_eq!(node.job(id), stopped);
}

#[test]
fn a_job_stops_at_once() {
    // Its tasks get their share of a machine that others keep busy, and those that do not hear are dropped late.
    let node = Node::with(&["--work-nice", "0", "--task-stop-timeout", "60s"]);
    let mut client = node.client();
    let mut times = Vec::new();
    for round in 0..5 {
        // One that idles, and ones that work.
        let mut job = streaming_job("busy");
        if round > 0 {
            job["source"][0]["row.num"] = json!(2_000_000_000);
            job["sink"][0]["plugin_name"] = json!("Blackhole");
        }
        let id = node.submit(&job);
        node.wait_for(id, "RUNNING", |job| job["metrics"]["SinkWriteCount"] != "0");
        let info = maps(&format!("/job-info/{id}"));
        let asked = Instant::now();
        // The id as text: other clients send it so.
        client.post(&maps("/stop-job"), &json!({ "jobId": id.to_string() }).to_string()).ok();
        eventually("CANCELED", || {
            let job = client.get(&info).ok();
            if job["jobStatus"] == "CANCELED" { Ok(()) } else { Err(job) }
        });
        times.push(asked.elapsed());
    }
    eprintln!("stop-job to CANCELED: {times:?}");
    // 100 ms are promised; a machine that runs other things beside this test gets more, as long as no task was dropped.
    assert!(times.iter().all(|time| *time < Duration::from_secs(30)), "{times:?}");
}

#[test]
fn unknown_and_wrong_ids_are_answered_as_documented() {
    let node = Node::start();
    for path in ["job-info", "running-job"] {
        for id in ["123", "-5", "733584788375666689"] {
            assert_eq!(node.get(&format!("/{path}/{id}")).ok(), json!({ "jobId": id }));
        }
        let refused = |id: &str| node.get(&format!("/{path}{id}")).refused(400);
        assert_eq!(refused("/abc"), "For input string: \"abc\"");
        assert_eq!(refused("/9223372036854775808"), "For input string: \"9223372036854775808\"");
        assert_eq!(refused("/"), format!("For input string: \"/hazelcast/rest/maps/{path}\""));
    }
    let stop = |body: &str| node.post("/stop-job", body);
    assert_eq!(stop(r#"{"jobId": 733584788375666689}"#).ok(), json!({ "jobId": 733_584_788_375_666_689_i64 }));
    assert_eq!(stop("{}").refused(400), "jobId cannot be empty.");
    assert_eq!(stop(r#"{"jobId": null}"#).refused(400), "jobId cannot be empty.");
    assert_eq!(stop(r#"{"jobId": "abc"}"#).refused(400), "For input string: \"abc\"");
    assert_eq!(stop("").refused(400), "Request body is empty.");
    assert_holds(&stop("{\"jobId\": 1").refused(400), &["Invalid JSON format in request body."]);
}

#[test]
fn wrong_submissions_are_refused_with_the_documented_texts_and_leave_nothing_behind() {
    let node = Node::start();
    let refused = |body: &str| node.post("/submit-job", body).refused(400);
    assert_eq!(refused(""), "Request body is empty.");
    for body in ["nonsense", "{", "{\"env\": {}} x", "env { }"] {
        let message = refused(body);
        assert!(message.starts_with("Invalid JSON format in request body."), "{body}: {message}");
        assert_holds(&message, &["<request body>:1:"]);
    }
    let no_name = changed("/source/0", json!({ "row.num": 1, "schema": { "fields": { "id": "int" } } }));
    let cases = [
        (no_name, "The 'plugin_name' option is not configured, please configure it."),
        (changed("/source", json!([])), "Miss <Source> config! Please check the config file."),
        (changed("/sink", json!([])), "Miss <Sink> config! Please check the config file."),
        (
            json!({ "env": {}, "sink": documented_job()["sink"] }).to_string(),
            "Miss <Source> config! Please check the config file.",
        ),
        (
            json!({ "env": {}, "source": documented_job()["source"] }).to_string(),
            "Miss <Sink> config! Please check the config file.",
        ),
        (
            json!({ "source": documented_job()["source"], "sink": documented_job()["sink"] }).to_string(),
            "No configuration setting found for key 'env'",
        ),
        (
            changed("/source/0/plugin_name", json!("Fake")),
            "Plugin PluginIdentifier{engineType='seatunnel', pluginType='source', pluginName='Fake'} not found.",
        ),
        (
            changed("/sink/0/plugin_name", json!("Consul")),
            "Plugin PluginIdentifier{engineType='seatunnel', pluginType='sink', pluginName='Consul'} not found.",
        ),
        (
            changed("/source/0", json!({ "plugin_name": "FakeSource", "result_table_name": "fake" })),
            "Unable to create a source for identifier 'FakeSource'.",
        ),
        (changed("/source/0/row.num", json!("many")), "Unable to create a source for identifier 'FakeSource'."),
        (
            changed("/source/0/rows", json!([{ "kind": "INSERT" }])),
            "Unable to create a source for identifier 'FakeSource'.",
        ),
        (
            changed("/sink/0", json!({ "plugin_name": "Assert", "source_table_name": "fake" })),
            "Unable to create a sink for identifier 'Assert'.",
        ),
    ];
    for (body, text) in cases {
        let message = refused(&body);
        assert!(message.contains(text), "'{text}' is not in: {message}");
        assert_holds(&message, &["<request body>:1:"]);
    }
    let query = |query: &str| node.post(&format!("/submit-job?{query}"), &documented_job().to_string()).refused(400);
    assert_eq!(query("isStartWithSavePoint=true"), "Please provide jobId when start with save point.");
    assert_eq!(query("jobId=abc"), "For input string: \"abc\"");
    assert_eq!(query("jobId"), "Invalid Params format in Params.");
    assert_eq!(node.get("/running-jobs").ok(), json!([]));
    assert_eq!(node.get("/finished-jobs").ok(), json!([]));
}

#[test]
fn names_and_ids_come_from_the_query_then_from_the_config() {
    let node = Node::start();
    let named = changed("/env", json!({ "job.mode": "BATCH", "job.name": "来自配置" }));
    let body = documented_job().to_string();
    let name = |query: &str, body: &str| node.post(&format!("/submit-job{query}"), body).ok()["jobName"].clone();
    assert_eq!(name("?jobName=%E4%BD%9C%E4%B8%9A%201", &named), "作业 1");
    assert_eq!(name("", &named), "来自配置");
    assert_eq!(name("", &body), "SeaTunnel_Job");
    let reply = node.request("PUT", "/submit-job?jobId=733584788375666689&jobName=put", &body).ok();
    assert_eq!(reply, json!({ "jobId": 733_584_788_375_666_689_i64, "jobName": "put" }));
    node.wait_for_state(733_584_788_375_666_689, "FINISHED");
    let again = node.post("/submit-job?jobId=733584788375666689", &body).refused(400);
    assert_holds(
        &again,
        &["The job id 733584788375666689 has already been submitted and is not starting with a savepoint."],
    );
    let hocon = "env { job.name = from_hocon }\nsource { FakeSource { schema { fields { id = int } } } }\nsink { Blackhole { } }";
    assert_eq!(name("?format=hocon", hocon), "from_hocon");
}

#[test]
fn the_id_of_a_running_job_starts_nothing_a_second_time() {
    let node = Node::start();
    let body = streaming_job("once").to_string();
    for _ in 0..3 {
        let reply = node.post("/submit-job?jobId=4242", &body).ok();
        assert_eq!(reply, json!({ "jobId": 4242, "jobName": "once" }));
    }
    assert_eq!(node.get("/running-jobs").ok().as_array().expect("an array").len(), 1);
    node.post("/stop-job", r#"{"jobId":"4242"}"#).ok();
    node.wait_for_state(4242, "CANCELED");
}

#[test]
fn several_jobs_are_submitted_and_stopped_by_one_request() {
    let node = Node::start();
    let job = |id: &str, name: &str| {
        let mut job = streaming_job("config");
        job["params"] = json!({ "jobId": id, "jobName": name, "isStartWithSavePoint": "false" });
        job
    };
    let reply = node.post("/submit-jobs", &json!([job("11", "a"), job("12", "b")]).to_string()).ok();
    assert_eq!(reply, json!([{ "jobId": "11", "jobName": "a" }, { "jobId": "12", "jobName": "b" }]));
    let reply = node.post("/stop-jobs", &json!([{ "jobId": 11 }, { "jobId": "12" }]).to_string()).ok();
    assert_eq!(reply, json!([{ "jobId": 11 }, { "jobId": 12 }]));
    node.wait_for_state(11, "CANCELED");
    node.wait_for_state(12, "CANCELED");
}

#[test]
fn metrics_are_kept_for_each_table() {
    let node = Node::start();
    let table = |path: &str, rows: u32| {
        json!({
            "row.num": rows,
            "string.length": 1,
            "schema": { "table": path, "fields": { "id": "bigint", "letter": "string", "number": "int" } },
        })
    };
    let id = node.submit(&json!({
        "env": { "job.mode": "batch" },
        "source": [{
            "plugin_name": "FakeSource",
            "result_table_name": "fake",
            "tables_configs": [table("fake.table1", 10), table("fake.public.table2", 5)],
        }],
        "sink": [{ "plugin_name": "Console", "source_table_name": "fake" }],
    }));
    let metrics = node.wait_for_state(id, "FINISHED")["metrics"].clone();
    let by_table =
        |one: u32, two: u32| json!({ "fake.table1": one.to_string(), "fake.public.table2": two.to_string() });
    for side in ["SourceReceived", "SinkWrite"] {
        assert_eq!(metrics[format!("{side}Count")], "15");
        assert_eq!(metrics[format!("{side}Bytes")], (15 * 13).to_string());
        assert_eq!(metrics[format!("Table{side}Count")], by_table(10, 5));
        assert_eq!(metrics[format!("Table{side}Bytes")], by_table(130, 65));
    }
}

#[test]
fn a_failed_job_says_why_in_the_history() {
    let node = Node::start();
    let mut job = documented_job();
    job["sink"] = json!([{
        "plugin_name": "Assert",
        "source_table_name": "fake",
        "rules": { "row_rules": [{ "rule_type": "MAX_ROW", "rule_value": 99 }] },
    }]);
    let id = node.submit(&job);
    let failed = node.wait_for_state(id, "FAILED");
    assert_holds(failed["errorMsg"].as_str().expect("a text"), &["row num :100 fail rule"]);
    assert_eq!(failed["metrics"]["SourceReceivedCount"], "100");
    assert_eq!(node.get("/finished-jobs/FAILED").ok(), json!([failed]));
}

#[test]
fn finished_jobs_come_in_the_order_of_their_end() {
    let node = Node::start();
    let ids: Vec<i64> = (0..5)
        .map(|_| {
            let id = node.submit(&documented_job());
            node.wait_for_state(id, "FINISHED");
            id
        })
        .collect();
    let listed: Vec<Value> = node.get("/finished-jobs").ok().as_array().expect("an array").clone();
    let listed: Vec<&Value> = listed.iter().map(|job| &job["jobId"]).collect();
    assert_eq!(listed, ids.iter().map(|id| json!(id.to_string())).collect::<Vec<_>>().iter().collect::<Vec<_>>());
}
