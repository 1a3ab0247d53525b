//! I.1: two jobs, a streaming one that runs and a batch one that has ended, and all that is asked of them.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};

use super::support::http::Client;
use super::support::{Folder, assert_holds, eventually};
use super::{Asked, Ports, fake_to_console, fake_to_file};

/// The node of this section.
struct TwoJobs {
    ports: Ports,
    streaming: i64,
    batch: i64,
    _folder: Folder,
}

impl TwoJobs {
    fn start() -> Self {
        let folder = Folder::new();
        let ports = Ports::with(&["--dynamic-slot=false", "--slot-num", "20"]);
        let streaming = ports.node.submit(&fake_to_file(&folder));
        let batch = ports.node.submit(&fake_to_console(5));
        ports.node.wait_for_state(streaming, "RUNNING");
        ports.node.wait_for_state(batch, "FINISHED");
        Self { ports, streaming, batch, _folder: folder }
    }

    fn each(&self, ask: impl FnMut(&mut Asked)) {
        self.ports.each(ask);
    }
}

/// The addresses of the links of a page.
fn links(page: &str) -> Vec<&str> {
    page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// Fetches a link as it is.
fn fetch(link: &str) -> String {
    let (host, path) = link.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a whole address");
    let host: SocketAddr = host.parse().expect("a host and a port");
    let response = Client::connect(host).get(&format!("/{path}"));
    assert_eq!((response.status, response.header("content-type")), (200, Some("text/plain")), "{link}");
    response.text()
}

#[test]
fn logs_are_linked_and_the_links_lead_to_them() {
    let jobs = TwoJobs::start();
    jobs.each(|asked| {
        let id = jobs.streaming;
        assert_holds(&asked.get("/logs").text(), &[&format!("{id}.log"), &format!("{}.log", jobs.batch)]);
        let page = asked.get(&format!("/logs/{id}"));
        assert_eq!(page.header("content-type"), Some("text/html; charset=UTF-8"));
        let (page, name) = (page.text(), format!("job-{id}.log"));
        let links = links(&page);
        assert_eq!(
            links,
            [format!("http://{}{}/logs/{name}", asked.address, asked.face)],
            "one, of this port and face"
        );
        assert_holds(&page, &[&format!(">{}-{name}</a></li>", asked.address), "<title>Seatunnel log</title>"]);
        eventually("the job's first line", || {
            let log = fetch(links[0]);
            if log.contains("Init JobMaster for Job fake_to_file") { Ok(()) } else { Err(log) }
        });
        let listed = asked.get(&format!("/logs/{id}?format=json")).ok();
        assert_eq!(listed, json!([{"node": asked.address.to_string(), "logLink": links[0], "logName": name}]));
    });
}

/// The checks on a `jobDag`, and those of the first releases on the same.
fn assert_dag(job: &Value, id: i64, mode: &str, sink: &str) {
    let dag = &job["jobDag"];
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
    assert_eq!(
        dag["vertices"],
        json!([{"id": 1, "name": "Source[0]-FakeSource", "parallelism": 1}, {"id": 2, "name": sink, "parallelism": 1}])
    );
    assert_eq!(dag["edges"], json!([{"inputVertex": "Source[0]-FakeSource", "targetVertex": sink}]));
}

fn keys(object: &Value) -> String {
    object.as_object().expect("an object").keys().cloned().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_streaming_job_runs_with_its_dag() {
    let jobs = TwoJobs::start();
    jobs.each(|asked| {
        let running = asked.get("/running-jobs").ok();
        assert_eq!(running.as_array().map(Vec::len), Some(1));
        for job in [asked.get(&format!("/running-job/{}", jobs.streaming)).ok(), running[0].clone()] {
            assert_eq!((&job["jobName"], &job["jobStatus"]), (&json!("fake_to_file"), &json!("RUNNING")));
            assert_dag(&job, jobs.streaming, "STREAMING", "Sink[0]-LocalFile-MultiTableSink");
            assert_eq!(job["jobDag"]["envOptions"]["checkpoint.interval"], "5000");
            assert_eq!(job["envOptions"], job["jobDag"]["envOptions"]);
            assert_eq!((&job["pluginJarsUrls"], &job["isStartWithSavePoint"]), (&json!([]), &json!(false)));
            let order =
                "jobId jobName jobStatus envOptions createTime jobDag pluginJarsUrls isStartWithSavePoint metrics";
            assert_eq!(keys(&job), order);
        }
    });
    jobs.ports.node.post("/stop-job", &json!({"jobId": jobs.streaming}).to_string()).ok();
    jobs.ports.node.wait_for_state(jobs.streaming, "CANCELED");
    jobs.ports.node.stop().expect_exit(0);
}

#[test]
fn a_batch_job_has_ended_with_its_dag_and_counts() {
    let jobs = TwoJobs::start();
    jobs.each(|asked| {
        for path in ["running-job", "job-info"] {
            let job = asked.get(&format!("/{path}/{}", jobs.batch)).ok();
            assert_eq!((&job["jobName"], &job["jobStatus"]), (&json!("fake_to_console"), &json!("FINISHED")));
            assert_dag(&job, jobs.batch, "BATCH", "Sink[0]-console-MultiTableSink");
            for count in ["SourceReceivedCount", "SinkWriteCount"] {
                assert_eq!(job["metrics"][count], "5", "{count}");
                assert_eq!(job["metrics"][format!("Table{count}")]["fake"], "5", "{count}");
            }
            for count in ["sourceReceivedCount", "sinkWriteCount"] {
                assert_eq!(job["metrics"][count], "5", "the first releases' {count}");
            }
            assert_eq!(job["metrics"].as_object().map(serde_json::Map::len), Some(18));
            assert_eq!(job["finishTime"], job["finishedTime"]);
            let order =
                "jobId jobName jobStatus errorMsg createTime finishTime finishedTime jobDag pluginJarsUrls metrics";
            assert_eq!(keys(&job), order);
        }
    });
}

#[test]
fn unknown_and_missing_ids_are_answered() {
    let ports = Ports::with(&[]);
    ports.each(|asked| {
        for path in ["running-job", "job-info"] {
            assert_eq!(asked.get(&format!("/{path}/123")).ok(), json!({"jobId": "123"}));
            let text = match asked.face {
                "" => "The jobId must not be empty.".to_owned(),
                face => format!("For input string: \"{face}/{path}\""),
            };
            assert_eq!(asked.get(&format!("/{path}/")).refused(400), text);
        }
    });
}

#[test]
fn the_overview_counts_slots_and_workers() {
    let jobs = TwoJobs::start();
    jobs.each(|asked| {
        let overview = asked.get("/overview").ok();
        assert!(overview.as_object().is_some_and(|fields| fields.values().all(Value::is_string)), "{overview}");
        assert!(overview["projectVersion"] != "", "{overview}");
        assert_eq!((&overview["totalSlot"], &overview["workers"]), (&json!("20"), &json!("1")));
        assert_eq!(
            overview["unassignedSlot"], "17",
            "the streaming job has one to enumerate, to commit, and for its task"
        );
        assert_eq!((&overview["runningJobs"], &overview["finishedJobs"]), (&json!("1"), &json!("1")));
    });
}

#[test]
fn tags_select_workers_and_are_replaced() {
    let jobs = TwoJobs::start();
    let slots_and_workers = |query: &str| {
        let mut seen = Vec::new();
        jobs.each(|asked| {
            let overview = asked.get(&format!("/overview?{query}")).ok();
            seen.push([overview["totalSlot"].clone(), overview["workers"].clone()]);
        });
        seen.dedup();
        assert_eq!(seen.len(), 1, "every port and face sees the same: {seen:?}");
        seen.remove(0)
    };
    jobs.each(|asked| {
        let (method, done) = match asked.face {
            "" => ("POST", json!({"status": "success"})),
            _ => ("PUT", json!({"status": "success", "message": "update node tags done."})),
        };
        let mut update = |body: &str| asked.send(method, "/update-tags", body);
        assert_eq!(update("").refused(400), "Request body is empty.");
        assert_eq!(slots_and_workers("tag1=dev_1"), ["0", "0"]);
        assert_eq!(update(r#"{"node":"node1","tag1":"dev_1","tag2":"dev_2"}"#).ok(), done);
        assert_eq!(slots_and_workers("node=node1"), ["20", "1"]);
        assert_eq!(slots_and_workers("tag1=dev_1&tag2=dev_2"), ["20", "1"]);
        assert_eq!(slots_and_workers("tag1=dev_2"), ["0", "0"]);
        assert_eq!(update("{}").ok(), done);
        assert_eq!(slots_and_workers("node=node1"), ["0", "0"]);
        assert_eq!(slots_and_workers(""), ["20", "1"]);
    });
    let put = jobs.ports.node.client().request("PUT", "/update-tags", "{}");
    assert_eq!((put.status, put.header("allow")), (405, Some("POST")), "PUT is of v1 alone");
}

#[test]
fn threads_have_their_four_fields() {
    let ports = Ports::with(&[]);
    ports.each(|asked| {
        let threads = asked.get("/running-threads").ok();
        assert!(threads[0]["threadName"].is_string() && threads[0]["classLoader"].is_string(), "{threads}");
        let dump = asked.get("/thread-dump").ok();
        assert!(["threadName", "threadState", "stackTrace"].iter().all(|key| dump[0][key].is_string()), "{dump}");
        assert!(dump[0]["threadId"].is_i64(), "{dump}");
    });
}

#[test]
fn monitoring_answers_in_time() {
    let ports = Ports::with(&[]);
    ports.each(|asked| {
        let begun = Instant::now();
        let monitoring = asked.get("/system-monitoring-information").ok();
        assert!(begun.elapsed().as_millis() < 5000);
        assert_eq!(monitoring[0]["host"], "localhost");
        assert_eq!(monitoring[0]["port"], ports.addresses[0].port().to_string(), "the first port is the member's");
        assert_eq!(monitoring[0]["isMaster"], "true");
    });
}

#[test]
fn secrets_of_plugins_that_do_not_exist_are_encoded() {
    let ports = Ports::with(&[]);
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
    let mut expected = config.clone();
    for block in ["source", "sink"] {
        expected[block][0]["username"] = json!("c2VhdHVubmVs");
        expected[block][0]["password"] = json!("c2VhdHVubmVsX3Bhc3N3b3Jk");
    }
    ports.each(|asked| assert_eq!(asked.post("/encrypt-config", &config.to_string()).ok(), expected));
}
