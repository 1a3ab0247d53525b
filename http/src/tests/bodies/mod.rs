//! The expected body of every route and every refusal, over both faces, in `tests/expected/<api>/<route>.json`: held
//! against what a node answers, and both against the description of the API. Times, ids that the node makes, and
//! measures are masked. `EGRET_UPDATE_EXPECTED=1` writes the files.

mod description;
mod mask;
mod record;
mod schema;
mod transport;

use std::path::Path;
use std::time::Instant;

use egret_runtime::logs::{JobLogSettings, JobLogs};
use serde_json::{Value, json};

use super::*;
use crate::{NodeSettings, Verb, routes};
use record::{Recorder, file_of_route};

const V1: &str = "/hazelcast/rest/maps/";
const V2: &str = "/";

/// A node with the log of a job that ran before.
fn node_with_logs(folder: &Path) -> Running {
    let line = "2024-10-20 12:00:00,123 INFO  [e.runtime.job.service         ] [egret-front-0] - Init JobMaster for Job demo (7)\n";
    std::fs::write(folder.join("job-7.log"), line).expect("a log");
    let logs = JobLogs::open(JobLogSettings::in_folder(folder)).expect("logs");
    let node = NodeSettings { logs: Some(logs), ..NodeSettings::default() };
    Running::configured(ServerConfig { listeners: vec![anywhere()], node, ..ServerConfig::default() })
}

fn config(name: &str, source: &Value) -> String {
    let mut source = source.clone();
    source["plugin_name"] = "Numbers".into();
    source["result_table_name"] = "fake".into();
    json!({
        "env": {"job.mode": "BATCH", "job.name": name, "checkpoint.interval": 5000},
        "source": [source],
        "transform": [],
        "sink": [{"plugin_name": "Nowhere", "source_table_name": ["fake"]}]
    })
    .to_string()
}

/// What the tests ask of one face, in order.
struct Script {
    node: Recorder,
}

impl Script {
    /// Waits for a job without recording it.
    fn wait(client: &mut Client, id: i64, is_so: impl Fn(&Value) -> bool) {
        eventually("the job is where the test wants it", || {
            is_so(&serde_json::from_slice(&client.get(&format!("/job-info/{id}")).body).expect("JSON"))
        });
    }

    fn before_any_job(&mut self) {
        for path in ["overview", "running-jobs", "finished-jobs"] {
            self.node.ask("before any job", "GET", path, "");
        }
        self.node.get("job-info/123");
        self.node.get("running-job/0123/");
        self.node.post("stop-job", r#"{"jobId":123}"#);
        self.node.post("stop-jobs", r#"[{"jobId":123,"isStopWithSavePoint":false},{"jobId":"124"}]"#);
        self.node.post("stop-jobs", "[]");
    }

    fn jobs(&mut self, client: &mut Client) {
        self.node.post("submit-job?jobId=1", &config("ends", &json!({"rows": 5})));
        Self::wait(client, 1, |job| job["jobStatus"] == "FINISHED");
        for path in ["job-info/1", "running-job/1", "job-info/1/?query=ignored", "finished-jobs"] {
            self.node.ask("it has ended", "GET", path, "");
        }
        self.node.ask("the id is taken", "POST", "submit-job?jobId=1", &config("again", &json!({"rows": 5})));
        let runs = config("runs", &json!({"rows": 5, "endless": true}));
        self.node.post("submit-job?jobId=2&jobName=%E6%B5%8B+1&isStartWithSavePoint=false", &runs);
        Self::wait(client, 2, |job| job["jobStatus"] == "RUNNING" && job["metrics"]["SinkWriteCount"] == "5");
        for path in ["job-info/2", "running-job/2", "running-jobs", "overview"] {
            self.node.ask("it runs", "GET", path, "");
        }
        self.node.ask("it runs already", "POST", "submit-job?jobId=2", &runs);
        self.node.post("stop-job", r#"{"jobId":2,"isStopWithSavePoint":false}"#);
        Self::wait(client, 2, |job| job["jobStatus"] == "CANCELED");
        self.node.ask("it was stopped", "GET", "job-info/2", "");
        self.node.post("submit-job?jobId=3", &config("fails", &json!({"rows": 5, "fails": "line 1\nline \"2\""})));
        Self::wait(client, 3, |job| job["jobStatus"] == "FAILED");
        self.node.ask("it failed", "GET", "job-info/3", "");
        for path in ["finished-jobs/FINISHED", "finished-jobs/canceled/", "finished-jobs/FAILED", "finished-jobs/NONE"]
        {
            self.node.get(path);
        }
        self.node.ask("all have ended", "GET", "overview", "");
    }

    fn other_submissions(&mut self, client: &mut Client) {
        let made = self.node.post("submit-job", &config("an id is made", &json!({"rows": 1})));
        let id = made["jobId"].as_i64().or_else(|| made["jobId"].as_str()?.parse().ok()).expect("an id");
        assert!(id > 99_999_999_999_999_999, "{id}");
        let hocon = "env { job.name = hocon } # a comment\nsource { Numbers { rows = 3 } }\nsink { Nowhere {} }\n";
        self.node.post("submit-job?jobId=4&format=hocon", hocon);
        let several = json!([
            {"params": {"jobId": "15", "jobName": "a", "isStartWithSavePoint": "false"}, "env": {},
                "source": [{"plugin_name": "Numbers", "rows": 1}], "sink": [{"plugin_name": "Nowhere"}]},
            {"params": {"jobId": 16}, "env": {"job.name": "b"},
                "source": [{"plugin_name": "Numbers", "rows": 1}], "sink": [{"plugin_name": "Nowhere"}]},
        ]);
        self.node.post("submit-jobs", &several.to_string());
        self.node.post("submit-jobs", "[]");
        self.upload("a file of the config language", "?jobId=8", "config_file", "job.conf", hocon);
        self.upload(
            "a file of JSON",
            "?jobId=9&jobName=n",
            "config_file",
            "job.json",
            &config("x", &json!({"rows": 1})),
        );
        self.upload("a file that is not what its name says", "", "config_file", "job.json", hocon);
        // Over v1 an empty value is refused.
        self.node.post("submit-job?jobId=21&jobName=", &config("from the config", &json!({"rows": 1})));
        for id in [id, 4, 15, 16, 8, 9, 21] {
            Self::wait(client, id, |job| job["jobStatus"] == "FINISHED" || (id == 21 && job["jobStatus"].is_null()));
        }
        self.upload("an empty file", "", "config_file", "job.conf", "");
        self.upload("another field", "", "file", "job.conf", hocon);
    }

    fn upload(&mut self, what: &str, query: &str, field: &str, file: &str, text: &str) {
        let form = format!(
            "--XX\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{file}\"\r\n\r\n{text}\r\n--XX--\r\n"
        );
        let path = format!("submit-job/upload{query}");
        let key = format!("POST {path} ({what})");
        self.node.ask_as(&key, "POST", &path, "content-type: multipart/form-data; boundary=XX\r\n", &form);
    }

    fn the_node(&mut self) {
        let encrypt = json!({
            "env": {"parallelism": 1, "shade.identifier": "base64"},
            "source": [{"plugin_name": "MySQL-CDC", "result_table_name": "fake", "username": "seatunnel",
                "password": "seatunnel_password"}],
            "transform": [],
            "sink": [{"plugin_name": "Clickhouse", "username": "seatunnel", "password": "${password}"}],
        });
        self.node.post("encrypt-config", &encrypt.to_string());
        self.node.post("update-tags", r#"{"zone":"a","rack":7,"note":null}"#);
        for query in ["zone=a&rack=7", "zone=b", "zone"] {
            self.node.get(&format!("overview?{query}"));
        }
        self.node.post("update-tags", "{}");
        for path in ["system-monitoring-information", "running-threads", "thread-dump"] {
            self.node.get(path);
        }
        for path in ["logs", "logs?format=json", "logs/7", "logs/8?format=JSON", "logs/job-7.log", "logs/job-8.log"] {
            self.node.get(path);
        }
        for path in ["log", "log/job-7.log", "log/job-8.log", "get-all-log-name"] {
            self.node.get(path);
        }
    }

    fn refusals(&mut self) {
        // What has no route is with the transport.
        for (method, path, body) in errors::refused().into_iter().filter(|(_, path, _)| *path != "nothing-here") {
            self.node.ask("", method, path, &body);
        }
        // Of each route a method that is not its own.
        let mut paths: Vec<_> = routes().filter(|route| route.api == "seatunnel-v1").collect();
        paths.retain(|route| route.path != "running-jobs" && route.path != "submit-job");
        for route in paths {
            self.node.ask("", if route.verb == Verb::Get { "POST" } else { "GET" }, route.path, "");
        }
    }
}

fn bodies_are_as_expected(base: &'static str) {
    let folder = tempfile::tempdir().expect("a folder");
    let running = node_with_logs(folder.path());
    let mut script = Script { node: Recorder::new(running.client(), base) };
    script.before_any_job();
    script.jobs(&mut running.client());
    script.other_submissions(&mut running.client());
    script.the_node();
    script.refusals();
    script.node.finish();
}

#[test]
fn bodies_of_v1_are_as_expected_and_as_described() {
    bodies_are_as_expected(V1);
}

#[test]
fn bodies_of_v2_are_as_expected_and_as_described() {
    bodies_are_as_expected(V2);
}

/// A load is a share of time: there is none before the kernel's clock has gone on by a tick.
fn until_loads_are_known(client: &mut Client) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !String::from_utf8_lossy(&client.get("/metrics").body).contains("egret_node_load_ratio{") {
        assert!(Instant::now() < deadline, "the load of the machine is not known");
    }
}

#[test]
fn bodies_of_the_node_are_as_expected_and_as_described() {
    let running = Running::new();
    until_loads_are_known(&mut running.client());
    let mut node = Recorder::new(running.client(), V2);
    for route in routes().filter(|route| route.api == "node") {
        node.get(route.path);
        node.post(route.path, "");
        node.get(&format!("{}/nonsense", route.path));
    }
    for part in ["node-state", "cluster-state", "cluster-safe", "migration-queue-size", "cluster-size", "ready"] {
        node.get(&format!("/hazelcast/health/{part}"));
    }
    let job = config("runs", &json!({"rows": 5, "endless": true}));
    json_of(&running.client().post("/submit-job?jobId=2", &job));
    Script::wait(&mut running.client(), 2, |job| job["metrics"]["SinkWriteCount"] == "5");
    for query in ["jobId=2", "jobId=3", "jobId=x"] {
        node.get(&format!("/egret/timings?{query}"));
    }
    for rate in ["1", "much", "65536", "131072", ""] {
        node.post(&format!("/egret/heap/start?sampleBytes={rate}"), "");
    }
    node.ask("the profiler is on", "GET", "/egret/heap/profile", "");
    node.ask("the profiler is on", "POST", "/egret/heap/stop", "");
    timelines(&running, &mut node);
    node.finish();
}

/// What is asked of the timelines of a job, and what is refused.
fn timelines(running: &Running, node: &mut Recorder) {
    let config = config("runs", &json!({"rows": 5, "endless": true}));
    let length = config.len();
    let head = format!("POST /submit-job?jobId=7 HTTP/1.1\r\nhost: egret\r\ncontent-length: {length}\r\n\r\n");
    assert_eq!(running.client().send(head + &config).response().status, 200);
    let mut client = running.client();
    eventually("the job is looked at", || {
        let told: Value =
            serde_json::from_slice(&client.get("/egret/timelines?jobId=7&vertexId=*").body).expect("JSON");
        told["series"].as_array().is_some_and(|series| !series.is_empty())
    });
    for query in [
        "metric=rows_read,memory_bytes&start=-5",
        "jobId=*&metric=rows_written",
        "jobId=7&resolution=60",
        "jobId=7&vertexId=*",
        "jobId=7&vertexId=2&index=0&metric=rows_in",
        "jobId=8",
        "jobId=7&vertexId=9",
        "jobId=7&vertexId=1&index=1",
        "jobId=7&metric=memory_bytes",
        "metric=%zz",
        "resolution=5",
        "start=8&end=7",
        "vertexId=1",
        "since=1",
    ] {
        node.get(&format!("/egret/timelines?{query}"));
    }
}

#[test]
fn every_route_has_an_expected_body_and_every_expected_body_a_route() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected");
    let mut files: Vec<String> = Vec::new();
    for route in routes() {
        let file = format!("{}.json", file_of_route(&route));
        let text = std::fs::read_to_string(folder.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let answers: serde_json::Map<String, Value> = serde_json::from_str(&text).expect("JSON");
        let wanted = if route.api == "none" { 404 } else { 200 };
        assert!(answers.values().any(|answer| answer["status"] == wanted), "{file} has no answer of {wanted}");
        files.push(file);
    }
    for api in ["seatunnel-v1", "seatunnel-v2", "node", "none"] {
        for entry in std::fs::read_dir(folder.join(api)).expect("a folder") {
            let name = entry.expect("an entry").file_name();
            let file = format!("{api}/{}", name.to_str().expect("a name"));
            assert!(files.contains(&file), "{file} is of no route");
        }
    }
}

#[test]
fn examples_are_as_described() {
    let description = crate::openapi::render(&SeaTunnelSettings::default(), &crate::auth::AuthSettings::default());
    let description: Value = serde_json::from_slice(&description).expect("JSON");
    let mut found = 0;
    check_examples(&description, &description["components"]["schemas"], &mut found);
    assert!(found > 10, "{found}");
    let job = description["components"]["schemas"]["JobConfig"]["examples"][0].to_string();
    let read = egret_runtime::config::ReadOptions::default();
    let (_, warnings) = egret_runtime::config::read_job(&job, "example.json", &read).expect("a job");
    assert!(warnings.is_empty(), "{warnings}");
}

fn check_examples(description: &Value, schema: &Value, found: &mut usize) {
    for example in schema["examples"].as_array().into_iter().flatten() {
        schema::fits(description, schema, example).unwrap_or_else(|error| panic!("{error}"));
        *found += 1;
    }
    let fields = schema.as_object().into_iter().flatten().filter(|(key, _)| *key != "examples");
    fields.for_each(|(_, inner)| check_examples(description, inner, found));
}
