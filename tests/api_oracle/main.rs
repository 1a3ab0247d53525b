//! What the original's own REST tests assert (contract I.1 to I.4), against the built program. Rows about several
//! members are asked of the one that there is; both faces answer on its one port.

mod support;

use serde_json::{Value, json};
use support::Folder;
use support::eventually;
use support::http::{Client, Response};
use support::node::{Node, maps};

/// Both faces of the API.
const FACES: [&str; 2] = ["/hazelcast/rest/maps", ""];

/// A job that goes on until it is stopped.
fn fake_to_file(folder: &Folder) -> Value {
    json!({
        "env": {"job.mode": "STREAMING", "checkpoint.interval": 5000, "job.name": "fake_to_file"},
        "source": [{
            "plugin_name": "FakeSource", "result_table_name": "fake", "row.num": 10,
            "schema": {"fields": {"name": "string", "age": "int"}},
        }],
        "sink": [{
            "plugin_name": "LocalFile", "source_table_name": "fake", "path": folder.at("out").display().to_string(),
            "tmp_path": folder.at("tmp").display().to_string(), "file_format_type": "text",
        }],
    })
}

/// A job that ends.
fn fake_to_console(rows: usize) -> Value {
    json!({
        "env": {"job.mode": "BATCH", "job.name": "fake_to_console"},
        "source": [{
            "plugin_name": "FakeSource", "result_table_name": "fake", "row.num": rows,
            "schema": {"fields": {"name": "string", "age": "int"}},
        }],
        "sink": [{"plugin_name": "console", "source_table_name": "fake"}],
    })
}

fn put(client: &mut Client, path: &str, body: &str) -> Response {
    client.request("PUT", &maps(path), body)
}

/// The checks of I.1 on a `jobDag`.
fn assert_dag(dag: &Value, id: i64, mode: &str, sink: &str) {
    assert_eq!(dag["jobId"], id.to_string());
    assert_eq!(dag["pipelineEdges"], json!({"1": [{"inputVertexId": "1", "targetVertexId": "2"}]}));
    assert_eq!(
        dag["vertexInfoMap"],
        json!([
            {"vertexId": 1, "type": "source", "vertexName": "pipeline-1 [Source[0]-FakeSource]", "tablePaths": ["fake"]},
            {"vertexId": 2, "type": "sink", "vertexName": format!("pipeline-1 [{sink}]"), "tablePaths": ["fake"]},
        ])
    );
    assert_eq!(dag["envOptions"]["job.mode"], mode);
}

#[test]
fn the_main_test_of_the_api_holds_over_both_faces() {
    let folder = Folder::new();
    let node = Node::start();
    let mut client = node.client();
    let streaming = node.submit(&fake_to_file(&folder));
    let batch = node.submit(&fake_to_console(5));
    node.wait_for_state(streaming, "RUNNING");
    node.wait_for_state(batch, "FINISHED");
    for face in FACES {
        let mut get = |path: &str| client.get(&format!("{face}{path}")).ok();
        for job in [get(&format!("/running-job/{streaming}")), get("/running-jobs")[0].clone()] {
            assert_eq!((&job["jobName"], &job["jobStatus"]), (&json!("fake_to_file"), &json!("RUNNING")));
            assert_dag(&job["jobDag"], streaming, "STREAMING", "Sink[0]-LocalFile-MultiTableSink");
            assert_eq!(job["jobDag"]["envOptions"]["checkpoint.interval"], "5000");
            assert_eq!(job["envOptions"], job["jobDag"]["envOptions"]);
        }
        for job in [get(&format!("/running-job/{batch}")), get(&format!("/job-info/{batch}"))] {
            assert_eq!((&job["jobName"], &job["jobStatus"]), (&json!("fake_to_console"), &json!("FINISHED")));
            assert_dag(&job["jobDag"], batch, "BATCH", "Sink[0]-console-MultiTableSink");
            for count in ["SourceReceivedCount", "SinkWriteCount"] {
                assert_eq!(job["metrics"][count], "5", "{count}");
                assert_eq!(job["metrics"][format!("Table{count}")]["fake"], "5", "{count}");
            }
        }
        assert_eq!(get("/running-job/123"), json!({"jobId": "123"}));
        let overview = get("/overview");
        assert!(overview["projectVersion"].is_string(), "{overview}");
        // Slots are made on demand: those of the streaming job, for its enumerator, its sink's commits and its one task.
        assert_eq!((&overview["totalSlot"], &overview["workers"]), (&json!("3"), &json!("1")));
        let threads = get("/running-threads");
        assert!(threads[0]["threadName"].is_string() && threads[0]["classLoader"].is_string(), "{threads}");
        let dump = get("/thread-dump");
        assert!(["threadName", "threadState", "stackTrace"].iter().all(|key| dump[0][key].is_string()), "{dump}");
        assert!(dump[0]["threadId"].is_i64(), "{dump}");
        let asked = std::time::Instant::now();
        let monitoring = get("/system-monitoring-information");
        assert!(asked.elapsed().as_secs() < 5);
        assert_eq!(monitoring[0]["host"], "localhost");
        assert!(monitoring[0]["port"].is_string() && monitoring[0]["isMaster"].is_string(), "{monitoring}");
        client.get(&format!("{face}/running-job/")).refused(400);
    }
    node.post("/stop-job", &json!({"jobId": streaming}).to_string()).ok();
    node.wait_for_state(streaming, "CANCELED");
    node.stop().expect_exit(0);
}

#[test]
fn tags_select_workers() {
    let node = Node::start();
    let mut client = node.client();
    let workers =
        |client: &mut Client, query: &str| client.get(&maps(&format!("/overview?{query}"))).ok()["workers"].clone();
    let done = json!({"status": "success", "message": "update node tags done."});
    assert_eq!(workers(&mut client, "tag1=dev_1"), "0");
    let none = client.get(&maps("/overview?tag1=dev_1")).ok();
    assert_eq!(none["totalSlot"], "0");
    assert_eq!(put(&mut client, "/update-tags", r#"{"tag1":"dev_1","tag2":"dev_2"}"#).ok(), done);
    assert_eq!(workers(&mut client, "tag1=dev_1"), "1");
    assert_eq!(client.get("/overview?tag1=dev_1&tag2=dev_2").ok()["workers"], "1", "over the other face too");
    assert_eq!(put(&mut client, "/update-tags", "").refused(400), "Request body is empty.");
    assert_eq!(put(&mut client, "/update-tags", "{}").ok(), done);
    assert_eq!(workers(&mut client, "tag1=dev_1"), "0");
    // Every shard has the same.
    for _ in 0..8 {
        assert_eq!(workers(&mut node.client(), "tag1=dev_1"), "0");
    }
    assert_eq!(client.request("PUT", "/update-tags", "{}").status, 405);
    assert_eq!(client.post("/update-tags", "{}").ok(), json!({"status": "success"}));
}

#[test]
fn secrets_of_plugins_that_do_not_exist_are_encoded() {
    let node = Node::start();
    let config = json!({
        "env": {"parallelism": 1, "shade.identifier": "base64"},
        "source": [{
            "plugin_name": "MySQL-CDC", "result_table_name": "fake", "parallelism": 1, "hostname": "127.0.0.1",
            "username": "seatunnel", "password": "seatunnel_password", "table-name": "inventory_vwyw0n",
            "schema": {"fields": {"name": "string", "age": "int"}},
        }],
        "transform": [],
        "sink": [{
            "plugin_name": "Clickhouse", "host": "localhost:8123", "database": "default", "table": "fake_all",
            "username": "seatunnel", "password": "seatunnel_password",
        }],
    });
    for face in FACES {
        let encrypted = node.client().post(&format!("{face}/encrypt-config"), &config.to_string()).ok();
        let mut expected = config.clone();
        for block in ["source", "sink"] {
            expected[block][0]["username"] = json!("c2VhdHVubmVs");
            expected[block][0]["password"] = json!("c2VhdHVubmVsX3Bhc3N3b3Jk");
        }
        assert_eq!(encrypted, expected);
    }
}

#[test]
fn the_cluster_has_a_member_for_each_node_and_is_well() {
    let node = Node::start();
    let cluster = node.client().get("/hazelcast/rest/cluster").ok();
    assert_eq!(cluster["members"].as_array().map(Vec::len), Some(1));
    let health = node.client().get("/hazelcast/health").ok();
    assert_eq!((&health["nodeState"], &health["clusterSize"]), (&json!("ACTIVE"), &json!(1)));
}

#[test]
fn names_ids_and_history_are_those_of_the_submissions() {
    let node = Node::start();
    let mut client = node.client();
    let body = {
        let mut job = fake_to_console(100);
        job["env"]["job.name"] = json!("来自配置");
        job.to_string()
    };
    let submissions = [("", "来自配置"), ("?jobName=%E4%BD%9C%E4%B8%9A", "作业"), ("?jobId=123456789", "来自配置")];
    let mut submitted = Vec::new();
    for (query, name) in submissions {
        // Clients send a config as whatever their library's default is.
        let head =
            format!("POST /submit-job{query} HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain; charset=ISO-8859-1\r\n");
        client.send(&format!("{head}content-length: {}\r\n\r\n{body}", body.len()));
        let reply = client.response().ok();
        assert_eq!(reply["jobName"], name);
        let id = reply["jobId"].as_str().expect("text over this face").to_owned();
        node.wait_for_state(id.parse().expect("a number"), "FINISHED");
        submitted.push((id, name));
    }
    assert_eq!(submitted[2].0, "123456789");
    for face in FACES {
        for list in ["finished-jobs/FINISHED", "finished-jobs"] {
            let jobs = client.get(&format!("{face}/{list}")).ok();
            for (index, (id, name)) in submitted.iter().enumerate() {
                let job = &jobs[index];
                assert_eq!((&job["jobId"], &job["jobName"]), (&json!(id), &json!(name)));
                assert_eq!((&job["jobStatus"], &job["errorMsg"]), (&json!("FINISHED"), &Value::Null));
                assert_eq!(job["metrics"]["SourceReceivedCount"], "100");
                assert_eq!(job["metrics"]["SinkWriteCount"], "100");
            }
        }
    }
}

#[test]
fn jobs_are_stopped_one_by_one_and_together() {
    let folder = Folder::new();
    let node = Node::start();
    let ids = [1, 2, 3].map(|_| node.submit(&fake_to_file(&folder)));
    for id in ids {
        node.wait_for_state(id, "RUNNING");
    }
    assert_eq!(node.post("/stop-job", &json!({"jobId": ids[0]}).to_string()).ok(), json!({"jobId": ids[0]}));
    node.wait_for_state(ids[0], "CANCELED");
    let stop = json!([{"jobId": ids[1], "isStopWithSavePoint": false}, {"jobId": ids[2]}]);
    let stopped = node.post("/stop-jobs", &stop.to_string()).ok();
    assert_eq!(stopped, json!([{"jobId": ids[1]}, {"jobId": ids[2]}]), "ids are numbers");
    for id in ids {
        node.wait_for_state(id, "CANCELED");
    }
    let canceled = node.get("/finished-jobs/CANCELED").ok();
    assert_eq!(canceled.as_array().map(Vec::len), Some(3));
}

#[test]
fn jobs_submitted_together_run() {
    let folder = Folder::new();
    let node = Node::start();
    let with_params = |id: &str, name: &str| {
        let mut job = fake_to_file(&folder);
        job["params"] = json!({"jobId": id, "jobName": name, "isStartWithSavePoint": "false"});
        job
    };
    let body = json!([with_params("11", "a"), with_params("12", "b")]).to_string();
    assert_eq!(
        node.post("/submit-jobs", &body).ok(),
        json!([{"jobId": "11", "jobName": "a"}, {"jobId": "12", "jobName": "b"}])
    );
    for id in [11, 12] {
        assert_eq!(node.wait_for_state(id, "RUNNING")["jobStatus"], "RUNNING");
    }
}

#[test]
fn savepoints_without_an_id_and_bad_configs_are_refused() {
    let node = Node::start();
    let body = fake_to_console(1).to_string();
    for face in FACES {
        let mut client = node.client();
        let mut refused = |path: &str, body: &str| client.post(&format!("{face}{path}"), body).refused(400);
        let message = refused("/submit-job?isStartWithSavePoint=true", &body);
        assert_eq!(message, "Please provide jobId when start with save point.");
        refused(
            "/submit-job",
            r#"{"env":{},"source":[{"plugin_name":"FakeSource"}],"sink":[{"plugin_name":"Console"}]}"#,
        );
    }
}

#[test]
fn counts_and_bytes_are_told_by_table() {
    let table = |path: &str, rows: usize| json!({"row.num": rows, "string.length": 1, "schema": {"table": path, "fields": {"id": "bigint", "name": "string", "score": "int"}}});
    let job = json!({
        "env": {"job.mode": "BATCH"},
        "source": [{
            "plugin_name": "FakeSource", "result_table_name": "fake",
            "tables_configs": [table("fake.table1", 10), table("fake.public.table2", 5)],
        }],
        "sink": [{"plugin_name": "Console", "source_table_name": "fake"}],
    });
    let node = Node::start();
    let id = node.submit(&job);
    node.wait_for_state(id, "FINISHED");
    for face in FACES {
        let metrics = node.client().get(&format!("{face}/job-info/{id}")).ok()["metrics"].clone();
        for (side, action) in [("Source", "Received"), ("Sink", "Write")] {
            let (total, tables) = (format!("{side}{action}"), format!("Table{side}{action}"));
            assert_eq!(metrics[format!("{total}Count")], "15");
            // A bigint, a letter and an int: 13 bytes.
            assert_eq!(metrics[format!("{total}Bytes")], "195");
            assert_eq!(metrics[format!("{tables}Count")], json!({"fake.table1": "10", "fake.public.table2": "5"}));
            assert_eq!(metrics[format!("{tables}Bytes")], json!({"fake.table1": "130", "fake.public.table2": "65"}));
            for rate in ["QPS", "BytesPerSeconds"] {
                let positive =
                    |rate: &Value| rate.as_str().is_some_and(|rate| rate.parse::<f64>().is_ok_and(|rate| rate > 0.0));
                assert!(positive(&metrics[format!("{total}{rate}")]), "{metrics}");
                for table in ["fake.table1", "fake.public.table2"] {
                    assert!(positive(&metrics[format!("{tables}{rate}")][table]), "{metrics}");
                }
            }
        }
    }
}

#[test]
fn telemetry_has_all_families_and_the_running_job() {
    let folder = Folder::new();
    let node = Node::start();
    let id = node.submit(&fake_to_file(&folder));
    node.wait_for_state(id, "RUNNING");
    for path in ["/hazelcast/rest/instance/metrics", "/metrics"] {
        let text = node.client().get(path).text();
        for family in [
            "jvm_threads",
            "jvm_memory_pool",
            "jvm_gc",
            "jvm_info",
            "jvm_memory_bytes",
            "jvm_classes",
            "jvm_buffer_pool",
            "process_start",
            "cluster_info{cluster=\"seatunnel\"",
            "cluster_time{cluster=\"seatunnel\"",
            "node_count{cluster=\"seatunnel\"",
            "node_state{cluster=\"seatunnel\",address=",
            "hazelcast_partition_partitionCount{",
            "hazelcast_partition_activePartition{",
            "hazelcast_partition_isClusterSafe{",
            "hazelcast_partition_isLocalMemberSafe{",
        ] {
            assert!(text.contains(family), "{family} is not in {text}");
        }
        for pool in [
            "activeCount",
            "completedTask_total",
            "corePoolSize",
            "maximumPoolSize",
            "poolSize",
            "task_total",
            "queueTaskCount",
            "rejection_total",
        ] {
            assert!(
                text.contains(&format!("job_thread_pool_{pool}{{cluster=\"seatunnel\",address=")),
                "{pool}: {text}"
            );
        }
        for state in ["canceled", "cancelling", "created", "failed", "failing", "finished", "scheduled"] {
            assert!(
                text.contains(&format!("job_count{{cluster=\"seatunnel\",type=\"{state}\",}} 0.0\n")),
                "{state}: {text}"
            );
        }
        assert!(text.contains("job_count{cluster=\"seatunnel\",type=\"running\",} 1.0\n"), "{text}");
        for measure in [
            "executedCount",
            "isShutdown",
            "isTerminated",
            "maxPoolSize",
            "poolSize",
            "queueRemainingCapacity",
            "queueSize",
        ] {
            for executor in
                ["async", "client", "clientBlocking", "clientQuery", "io", "offloadable", "scheduled", "system"]
            {
                let begin = format!("hazelcast_executor_{measure}{{cluster=\"seatunnel\",address=\"");
                let end = format!(",type=\"{executor}\",}}");
                let there = text.lines().any(|line| line.starts_with(&begin) && line.contains(&end));
                assert!(there, "{measure} of {executor}: {text}");
            }
        }
    }
}

#[test]
fn threads_do_not_grow_with_submissions() {
    let node = Node::start();
    let threads = || node.get("/running-threads").ok().as_array().map(Vec::len).expect("a list");
    let submit = || {
        let id = node.submit(&fake_to_console(1));
        node.wait_for_state(id, "FINISHED");
    };
    submit();
    let before = threads();
    (0..10).for_each(|_| submit());
    eventually("as many threads as before", || if threads() <= before { Ok(()) } else { Err(threads()) });
}
