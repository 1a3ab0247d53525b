//! Refusals that a client can bring about (contract A.2, A.4); their bodies are expected in `bodies`.

use super::*;
use serde_json::{Value, json};

/// A config in which several things are wrong, all of which are told.
fn several_mistakes() -> String {
    json!({
        "env": {"job.mode": "BTCH", "parallelism": -1},
        "source": [{"plugin_name": "Numbers", "rows": "many", "plugin_output": "a"}],
        "transform": [{"plugin_name": "Sqll", "plugin_input": "a", "plugin_output": "b"}],
        "sink": [{"plugin_name": "Nowhere", "plugin_input": "c"}, {"plugin_name": "Nowher", "plugin_input": "b"}]
    })
    .to_string()
}

/// Method, path below the face, and body of requests that are refused.
pub(super) fn refused() -> Vec<(&'static str, &'static str, String)> {
    let job = |source: Value| json!({"env": {}, "source": source, "sink": [{"plugin_name": "Nowhere"}]}).to_string();
    let good = || job(json!([{"plugin_name": "Numbers", "rows": 1}]));
    let mut requests = vec![
        ("GET", "job-info", String::new()),
        ("GET", "job-info/", String::new()),
        ("GET", "job-info/abc", String::new()),
        ("GET", "running-job/1/2", String::new()),
        ("GET", "nothing-here", String::new()),
        ("DELETE", "running-jobs", String::new()),
        ("GET", "submit-job", String::new()),
        ("GET", "overview?a=%zz", String::new()),
        ("POST", "submit-job?jobId=abc", good()),
        ("POST", "submit-job?isStartWithSavePoint=true", good()),
        ("POST", "submit-job?jobId=5&isStartWithSavePoint=true", good()),
        ("POST", "submit-job?format=sql", good()),
        ("POST", "submit-job", "{}".into()),
        ("POST", "submit-job", job(json!([]))),
        ("POST", "submit-job", job(json!([{"rows": 1}]))),
        ("POST", "submit-job", job(json!([{"plugin_name": "Numbers"}]))),
        ("POST", "submit-job", job(json!([{"plugin_name": "Nombers"}]))),
        ("POST", "submit-job", "[]".into()),
        ("POST", "submit-job", json!({"env": {}, "source": [{"plugin_name": "Numbers", "rows": 1}]}).to_string()),
        ("POST", "submit-job", several_mistakes()),
        ("POST", "submit-job?format=hocon", "env {\n  job.mode = \n}".into()),
        ("POST", "submit-jobs", "{}".into()),
        ("POST", "submit-jobs", r#"[{"params":3}]"#.into()),
        ("POST", "submit-jobs", format!("[{}]", good().replace("\"env\"", "\"params\":{\"jobId\":\"x\"},\"env\""))),
        ("POST", "submit-job/upload", "no form".into()),
        ("POST", "stop-job", "{}".into()),
        ("POST", "stop-job", r#"{"jobId":"x"}"#.into()),
        ("POST", "stop-jobs", "{}".into()),
        ("POST", "encrypt-config", "{}".into()),
        ("POST", "stop-jobs", r#"[{"jobId":1},3]"#.into()),
        ("POST", "update-tags", "[]".into()),
    ];
    for path in
        ["submit-job", "submit-jobs", "submit-job/upload", "stop-job", "stop-jobs", "encrypt-config", "update-tags"]
    {
        requests.push(("POST", path, String::new()));
    }
    for path in ["submit-job", "submit-jobs", "stop-job", "stop-jobs", "encrypt-config", "update-tags"] {
        requests.push(("POST", path, "{\"half\":".into()));
    }
    requests
}

#[test]
fn a_mistake_in_one_of_several_configs_is_told_with_its_place_in_the_body() {
    let running = Running::new();
    let mut client = running.client();
    let good = r#"{"env":{},"source":[{"plugin_name":"Numbers","rows":1}],"sink":[{"plugin_name":"Nowhere"}]}"#;
    let bad = "{\"env\":{},\n\"source\":[{\"plugin_name\":\"Numbers\",\"rows\":\"x\"}],\"sink\":[{\"plugin_name\":\"Nowhere\"}, 3]}";
    let refused = client.post("/submit-jobs", &format!("[{good},\n  {bad}]")).message();
    let places: Vec<&str> =
        refused.lines().filter_map(|line| line.split_once("(at ")).map(|(_, place)| place).collect();
    assert_eq!(places, ["<request body>:3:43, source[0] Numbers)", "<request body>:3:84, sink[1])"], "{refused}");
    let half = client.post("/submit-jobs", &format!("[{good},\n  {{\"env\": ]")).message();
    assert_eq!(half, "Invalid JSON format in request body. expected value (at <request body>:2:11)");
}

#[test]
fn a_config_that_is_not_utf8_is_refused_with_its_place() {
    let running = Running::new();
    let config = b"{\"env\":{},\n\"source\":[\"\xfc\"]}";
    for path in ["/submit-job", "/encrypt-config"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", config.len());
        let response = running.client().send([head.as_bytes(), config].concat()).response();
        assert_eq!(
            (response.status, response.message().as_str()),
            (
                400,
                "Invalid JSON format in request body. the config is not UTF-8: byte 0xfc cannot be read (at <request \
                 body>:2:12; help: save or send it as UTF-8)"
            )
        );
    }
}

#[test]
fn every_endpoint_refuses_a_body_that_is_too_large() {
    let running = Running::with(HttpLimits { body_bytes_max: 1000, ..HttpLimits::default() });
    for path in
        ["submit-job", "submit-jobs", "submit-job/upload", "stop-job", "stop-jobs", "encrypt-config", "update-tags"]
    {
        let response = running.client().post(&format!("/{path}"), &"x".repeat(1001));
        assert_eq!(
            (response.status, response.message().as_str()),
            (413, "The request body is larger than 1000 bytes.")
        );
        assert_eq!(response.header("connection"), Some("close"), "{path}");
    }
}

#[test]
fn a_node_that_has_no_room_for_a_job_says_when_to_come_again() {
    let running = Running::new();
    running.jobs.stop_all(Duration::from_secs(5));
    let config = r#"{"env":{},"source":[{"plugin_name":"Numbers","rows":1}],"sink":[{"plugin_name":"Nowhere"}]}"#;
    let response = running.client().post("/submit-job", config);
    assert_eq!((response.status, response.header("retry-after")), (503, Some("1")));
    assert_eq!(response.message(), "the node is being stopped and takes no jobs");
}

#[test]
fn a_config_comes_back_with_its_secrets_encoded() {
    let running = Running::new();
    let config = json!({
        "env": {"parallelism": 1, "shade.identifier": "base64"},
        "source": [{"plugin_name": "MySQL-CDC", "result_table_name": "fake", "hostname": "127.0.0.1",
            "username": "seatunnel", "password": "seatunnel_password", "table-name": "inventory_vwyw0n",
            "schema": {"fields": {"name": "string", "age": "int"}}}],
        "transform": [],
        "sink": [{"plugin_name": "Clickhouse", "host": "localhost:8123", "username": "seatunnel",
            "password": "seatunnel_password"}]
    });
    for path in ["/hazelcast/rest/maps/encrypt-config", "/encrypt-config"] {
        let response = running.client().post(path, &config.to_string());
        assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
        let encoded = json_of(&response);
        for block in ["source", "sink"] {
            assert_eq!(encoded[block][0]["username"], "c2VhdHVubmVs", "{encoded}");
            assert_eq!(encoded[block][0]["password"], "c2VhdHVubmVsX3Bhc3N3b3Jk", "{encoded}");
        }
        assert_eq!(encoded["source"][0]["result_table_name"], "fake");
    }
}

#[test]
fn a_config_can_be_uploaded_as_a_file() {
    let running = Running::new();
    let mut client = running.client();
    let mut upload = |path: &str, file: &str, text: &str| {
        let body = format!(
            "--XX\r\nContent-Disposition: form-data; name=\"config_file\"; filename=\"{file}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n{text}\r\n--XX--\r\n"
        );
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=XX\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let response = client.send(head + &body).response();
        (response.status, String::from_utf8(response.body).expect("text"))
    };
    let hocon = "env { job.name = uploaded } # a comment\nsource { Numbers { rows = 3 } }\nsink { Nowhere { } }\n";
    let json = r#"{"env":{},"source":[{"plugin_name":"Numbers","rows":3}],"sink":[{"plugin_name":"Nowhere"}]}"#;
    let (v1, v2) = ("/hazelcast/rest/maps/submit-job/upload", "/submit-job/upload");
    assert_eq!(
        upload(&format!("{v2}?jobId=1"), "job.conf", hocon),
        (200, r#"{"jobId":"1","jobName":"uploaded"}"#.into())
    );
    let named = upload(&format!("{v1}?jobId=2&jobName=n"), "JOB.JSON", json);
    assert_eq!(named, (200, r#"{"jobId":2,"jobName":"n"}"#.into()));
    let (status, message) = upload(v2, "job.json", hocon);
    assert_eq!(status, 400);
    assert!(message.contains("Invalid JSON format in request body.") && message.contains("job.json:1:"), "{message}");
    let (status, message) = upload(v2, "job.conf", "source { }");
    assert!(status == 400 && message.contains("No configuration setting found for key 'env'"), "{message}");
    assert_eq!(upload(v2, "job.conf", "").0, 400);
}
