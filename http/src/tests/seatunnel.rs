//! SeaTunnel's v1 API over real jobs.

use super::client::Response;
use super::*;
use crate::seatunnel::IdForm;
use serde_json::{Value, json};

const MAPS: &str = "/hazelcast/rest/maps";

fn config(name: &str, rows: usize, endless: bool) -> String {
    json!({
        "env": {"job.mode": "batch", "job.name": name},
        "source": [{"plugin_name": "Numbers", "result_table_name": "fake", "rows": rows, "endless": endless}],
        "transform": [],
        "sink": [{"plugin_name": "Nowhere", "source_table_name": ["fake"]}]
    })
    .to_string()
}

impl Client {
    fn maps(&mut self, path: &str) -> Value {
        json_of(&self.get(&format!("{MAPS}/{path}")))
    }

    fn submit(&mut self, query: &str, config: &str) -> Response {
        self.post(&format!("{MAPS}/submit-job{query}"), config)
    }

    fn refused(&mut self, path: &str, body: &str) -> (u16, String) {
        let response = self.post(&format!("{MAPS}/{path}"), body);
        (response.status, response.message())
    }

    fn wait_for(&mut self, id: i64, state: &str) -> Value {
        let mut job = Value::Null;
        eventually(state, || {
            job = self.maps(&format!("job-info/{id}"));
            job["jobStatus"] == state
        });
        job
    }
}

/// A body with its id masked, to hold against an expected one.
fn mask_id(job: &Value, id: i64) -> Vec<u8> {
    let mut job = job.clone();
    if let Some(metrics) = job.get_mut("metrics").and_then(Value::as_object_mut) {
        for (key, value) in metrics {
            if key.ends_with("QPS") || key.ends_with("PerSeconds") {
                *value = "rate".into();
            }
        }
    }
    job.to_string().replace(&id.to_string(), "<id>").into_bytes()
}

#[test]
fn a_submitted_job_can_be_looked_up_and_ends_with_its_counters() {
    let running = Running::new();
    let mut client = running.client();
    let submitted = json_of(&client.submit("", &config("rest_api_test", 100, false)));
    let id = submitted["jobId"].as_i64().expect("a number");
    assert_eq!(submitted, json!({"jobId": id, "jobName": "rest_api_test"}));
    let job = client.wait_for(id, "FINISHED");
    expected("seatunnel/job-finished", &mask_id(&job, id));
    assert_eq!(client.maps(&format!("running-job/{id}/?query=ignored")), job);
    assert_eq!(client.maps("finished-jobs"), json!([job]));
    assert_eq!(client.maps("finished-jobs/finished/"), json!([job]));
    for none in ["finished-jobs/CANCELED", "finished-jobs/RUNNING", "finished-jobs/nonsense", "running-jobs"] {
        assert_eq!(client.maps(none), json!([]), "{none}");
    }
}

#[test]
fn a_running_job_is_listed_at_once_and_can_be_stopped() {
    let running = Running::new();
    let mut client = running.client();
    assert_eq!(client.maps("running-jobs"), json!([]));
    let submitted = json_of(&client.submit("?jobName=%E6%B5%8B+1&jobId=77", &config("other", 5, true)));
    assert_eq!(submitted, json!({"jobId": 77, "jobName": "测 1"}));
    assert_eq!(client.maps("running-jobs")[0]["jobId"], "77");
    eventually("the rows are counted", || client.maps("running-jobs")[0]["metrics"]["SinkWriteCount"] == "5");
    let job = client.wait_for(77, "RUNNING");
    expected("seatunnel/job-running", &mask_id(&job, 77));
    assert_eq!(json_of(&client.submit("?jobId=77", &config("again", 1, false))), submitted, "a silent no-op");
    let stopped = client.post(&format!("{MAPS}/stop-job"), r#"{"jobId":77,"isStopWithSavePoint":false}"#);
    assert_eq!(json_of(&stopped), json!({"jobId": 77}));
    let job = client.wait_for(77, "CANCELED");
    assert_eq!((&job["errorMsg"], &job["metrics"]["SourceReceivedCount"]), (&Value::Null, &json!("5")));
    assert_eq!(client.maps("finished-jobs/CANCELED")[0]["jobId"], "77");
    let refused = client.refused("submit-job?jobId=77", &config("again", 1, false));
    let message = "The job id 77 has already been submitted and is not starting with a savepoint.";
    assert_eq!(refused, (400, message.to_owned()));
}

#[test]
fn ended_jobs_are_listed_in_the_order_of_their_end() {
    for newest_first in [false, true] {
        let settings = SeaTunnelSettings { newest_first, ..SeaTunnelSettings::default() };
        let running = Running::set_up(HttpLimits::default(), settings);
        let mut client = running.client();
        for id in 1..=5 {
            json_of(&client.submit(&format!("?jobId={id}"), &config("one of five", 1, false)));
            client.wait_for(id, "FINISHED");
        }
        let list = client.maps("finished-jobs/FINISHED");
        let ids: String = list.as_array().expect("a list").iter().filter_map(|job| job["jobId"].as_str()).collect();
        assert_eq!(ids, if newest_first { "54321" } else { "12345" });
    }
}

#[test]
fn ids_are_texts_where_that_is_set() {
    let settings = SeaTunnelSettings { v1_ids: IdForm::Text, ..SeaTunnelSettings::default() };
    let running = Running::set_up(HttpLimits::default(), settings);
    let mut client = running.client();
    let submitted = json_of(&client.submit("?jobId=5", &config("text", 1, false)));
    assert_eq!(submitted["jobId"], "5");
    assert_eq!(json_of(&client.post(&format!("{MAPS}/stop-job"), r#"{"jobId":"5"}"#)), json!({"jobId": "5"}));
    assert_eq!(json_of(&client.post(&format!("{MAPS}/stop-jobs"), r#"[{"jobId":"5"}]"#)), json!([{"jobId": 5}]));
}

#[test]
fn unknown_and_malformed_ids_answer_as_the_original_does() {
    let running = Running::new();
    let mut client = running.client();
    assert_eq!(client.maps("job-info/123"), json!({"jobId": "123"}));
    assert_eq!(client.maps("running-job/0123"), json!({"jobId": "0123"}));
    for (path, text) in [
        ("job-info/abc", "abc"),
        ("job-info/", "/hazelcast/rest/maps/job-info"),
        ("running-job", "/hazelcast/rest/maps/running-job"),
        ("job-info/1/2", "1/2"),
        ("job-info/99999999999999999999", "99999999999999999999"),
    ] {
        let response = client.get(&format!("{MAPS}/{path}"));
        assert_eq!((response.status, response.message()), (400, format!("For input string: \"{text}\"")));
    }
    for body in [r#"{"jobId":733584788375666689}"#, r#"{"jobId":"1","isStopWithSavePoint":"true"}"#] {
        assert_eq!(client.post(&format!("{MAPS}/stop-job"), body).status, 200, "an unknown job is none the worse");
    }
}

#[test]
fn refused_requests_say_what_the_original_says() {
    let running = Running::new();
    let mut client = running.client();
    let empty = (400, "Request body is empty.".to_owned());
    for path in ["submit-job", "submit-jobs", "stop-job", "stop-jobs"] {
        assert_eq!(client.refused(path, ""), empty, "{path}");
    }
    let no_json = "Invalid JSON format in request body.";
    for path in ["submit-job", "submit-jobs", "stop-job", "stop-jobs"] {
        let (status, message) = client.refused(path, "{\"env\": nonsense");
        assert_eq!(status, 400);
        assert!(message.starts_with(no_json), "{path}: {message}");
    }
    assert_eq!(client.refused("stop-job", "{}"), (400, "jobId cannot be empty.".to_owned()));
    assert_eq!(client.refused("stop-job", r#"{"jobId":"x"}"#), (400, "For input string: \"x\"".to_owned()));
    let config = config("x", 1, false);
    for (query, message) in [
        ("?jobId=abc", "For input string: \"abc\""),
        ("?jobName=", "Invalid Params format in Params."),
        ("?isStartWithSavePoint=true", "Please provide jobId when start with save point."),
        ("?format=sql", "The format 'sql' is not supported; it is json or hocon."),
    ] {
        assert_eq!(client.refused(&format!("submit-job{query}"), &config), (400, message.to_owned()));
    }
    for (config, message) in [
        ("{}", "No configuration setting found for key 'env'"),
        (r#"{"env":{},"source":[],"sink":[]}"#, "Miss <Source> config! Please check the config file."),
        (
            r#"{"env":{},"source":[{"rows":1}],"sink":[{"plugin_name":"Nowhere"}]}"#,
            "The 'plugin_name' option is not configured, please configure it.",
        ),
        (
            r#"{"env":{},"source":[{"plugin_name":"Numbers"}],"sink":[{"plugin_name":"Nowhere"}]}"#,
            "Unable to create a source for identifier 'Numbers'.",
        ),
        (
            r#"{"env":{},"source":[{"plugin_name":"Nombers","rows":1}],"sink":[{"plugin_name":"Nowhere"}]}"#,
            "Plugin PluginIdentifier{engineType='seatunnel', pluginType='source', pluginName='Nombers'} not found.",
        ),
    ] {
        let (status, text) = client.refused("submit-job", config);
        assert_eq!(status, 400);
        assert!(text.contains(message), "{config}: {text}");
    }
    assert_eq!(client.maps("running-jobs"), json!([]), "nothing is left of what was refused");
    assert_eq!(running.stats().accepted.get(), 1, "all over one connection");
}

#[test]
fn hocon_is_taken_where_it_is_announced() {
    let running = Running::new();
    let mut client = running.client();
    let text = "env { job.name = \"hocon job\" } # a comment\nsource { Numbers { rows = 3 } }\nsink { Nowhere {} }\n";
    let submitted = json_of(&client.submit("?format=hocon&jobId=9", text));
    assert_eq!(submitted, json!({"jobId": 9, "jobName": "hocon job"}));
    assert_eq!(client.wait_for(9, "FINISHED")["metrics"]["SinkWriteCount"], "3");
}

#[test]
fn both_faces_answer_on_one_port() {
    let running = Running::new();
    let mut client = running.client();
    let submitted = json_of(&client.post("/submit-job?jobId=8&jobName=", &config("v2", 1, false)));
    assert_eq!(submitted, json!({"jobId": "8", "jobName": "v2"}));
    let job = client.wait_for(8, "FINISHED");
    assert_eq!(json_of(&client.get("/job-info/8")), job);
    assert_eq!(json_of(&client.get("/finished-jobs/FINISHED")), json!([job]));
    assert_eq!(json_of(&client.post("/stop-job", r#"{"jobId":8}"#)), json!({"jobId": "8"}));
    for path in ["/job-info", "/job-info/"] {
        let refused = client.get(path);
        assert_eq!((refused.status, refused.message().as_str()), (400, "The jobId must not be empty."));
    }
    let refused = client.send("PUT /submit-job HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").response();
    assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")));
}

#[test]
fn many_jobs_are_submitted_and_stopped_with_one_request() {
    let running = Running::new();
    let mut client = running.client();
    let with_params = |params: Value| {
        let mut config: Value = serde_json::from_str(&config("from env", 1, true)).expect("JSON");
        config["params"] = params;
        config
    };
    let configs = json!([
        with_params(json!({"jobId": "1", "jobName": "a", "isStartWithSavePoint": "false"})),
        "not a config",
        with_params(json!({"jobId": 2})),
    ]);
    let submitted = json_of(&client.post(&format!("{MAPS}/submit-jobs"), &configs.to_string()));
    assert_eq!(submitted, json!([{"jobId": "1", "jobName": "a"}, {"jobId": "2", "jobName": "from env"}]));
    let bad = json!([with_params(json!({"jobId": 3})), {"params": {}}, with_params(json!({"jobId": 4}))]);
    assert_eq!(client.post(&format!("{MAPS}/submit-jobs"), &bad.to_string()).status, 400);
    assert_eq!(client.maps("running-jobs").as_array().map(Vec::len), Some(3), "those before the bad one run");
    let stopped = client.post(&format!("{MAPS}/stop-jobs"), r#"[{"jobId":1},{"jobId":"2"},{"jobId":3},{"jobId":99}]"#);
    assert_eq!(json_of(&stopped), json!([{"jobId": 1}, {"jobId": 2}, {"jobId": 3}, {"jobId": 99}]));
    for id in 1..=3 {
        client.wait_for(id, "CANCELED");
    }
}

#[test]
fn a_job_goes_on_from_its_savepoint() {
    let running = Running::new();
    let mut client = running.client();
    let config = config("goes on", 5, true);
    let restore = "submit-job?jobId=7&isStartWithSavePoint=true";
    let (status, message) = client.refused(restore, &config);
    assert_eq!((status, message.starts_with("There is no savepoint of job 7 to go on from")), (400, true), "{message}");
    for round in 0..2 {
        let query = if round == 0 { "?jobId=7" } else { "?jobId=7&isStartWithSavePoint=true" };
        json_of(&client.submit(query, &config));
        eventually("it runs", || client.maps("job-info/7")["jobStatus"] == "RUNNING");
        assert_eq!(client.maps("job-info/7")["isStartWithSavePoint"], round > 0);
        assert_eq!(client.maps("finished-jobs"), json!([]), "an id stands in one list");
        json_of(&client.post(&format!("{MAPS}/stop-jobs"), r#"[{"jobId":"7","isStopWithSavePoint":"true"}]"#));
        client.wait_for(7, "SAVEPOINT_DONE");
        assert_eq!(client.maps("finished-jobs/SAVEPOINT_DONE")[0]["jobId"], "7");
    }
    let (status, message) = client.refused("submit-job?jobId=7", &config);
    assert_eq!(
        (status, message.contains("has already been submitted and is not starting with a savepoint")),
        (400, true)
    );
    let source = |name: &str| json!({"plugin_name": "Numbers", "rows": 1, "plugin_output": name});
    let sink = json!([{"plugin_name": "Nowhere", "plugin_input": ["a", "b"]}]);
    let other = json!({"env": {}, "source": [source("a"), source("b")], "sink": sink}).to_string();
    let (status, message) = client.refused(restore, &other);
    assert_eq!((status, message.starts_with("Job 7 cannot go on from its savepoint")), (400, true), "{message}");
}

#[test]
fn a_list_is_built_once_for_all_who_ask() {
    let running = Running::new();
    let mut client = running.client();
    for id in 1..=200 {
        json_of(&client.submit(&format!("?jobId={id}"), &config("one of many", 1, true)));
    }
    let list = client.maps("running-jobs");
    assert_eq!(list.as_array().map(Vec::len), Some(200));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut client = running.client();
                for _ in 0..20 {
                    assert_eq!(client.maps("running-jobs").as_array().map(Vec::len), Some(200));
                }
            });
        }
    });
    client.post(&format!("{MAPS}/stop-job"), r#"{"jobId":1}"#);
    client.wait_for(1, "CANCELED");
    assert_eq!(client.maps("running-jobs").as_array().map(Vec::len), Some(199));
}
