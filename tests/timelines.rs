//! What node and jobs have done lately: `/egret/timelines`, its metrics, and `egret top` (docs/timelines.md).

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::{Value, json};
use support::node::Node;
use support::program::run;
use support::{assert_holds, eventually};

/// A job that reads at a steady rate until it is stopped.
fn steady(rows_per_second: u32, parallelism: u32) -> Value {
    json!({
        "env": {
            "job.mode": "STREAMING", "job.name": "steady", "parallelism": parallelism,
            "read_limit.rows_per_second": rows_per_second,
        },
        "source": [{
            "plugin_name": "FakeSource", "row.num": 1_000_000,
            "schema": {"fields": {"id": "bigint"}},
        }],
        "sink": [{"plugin_name": "Blackhole"}],
    })
}

fn timelines(node: &Node, query: &str) -> Value {
    node.client().get(&format!("/egret/timelines?{query}")).ok()
}

/// The values of the one series of an answer.
fn values(answer: &Value) -> Vec<Option<f64>> {
    let series = answer["series"].as_array().expect("a list");
    assert_eq!(series.len(), 1, "{answer}");
    series[0]["values"].as_array().expect("a list").iter().map(Value::as_f64).collect()
}

#[test]
fn a_steady_job_shows_its_rate_and_adds_up_to_its_total_when_it_has_stopped() {
    let node = Node::start();
    let id = node.submit(&steady(100, 1));
    for (metric, query) in [
        ("rows_read", format!("jobId={id}")),
        ("rows_in", format!("jobId={id}&vertexId=2&index=0")),
        ("rows_written", String::new()),
    ] {
        eventually("five seconds at the rate", || {
            let answer = timelines(&node, &format!("{query}&metric={metric}&start=-5"));
            let values: Vec<f64> = values(&answer).into_iter().flatten().collect();
            // What one look finds late the next one does not find any more.
            let is_steady = values.len() == 5 && (450.0..550.0).contains(&values.iter().sum());
            if is_steady { Ok(()) } else { Err(answer) }
        });
    }
    let all = timelines(&node, "jobId=*&metric=rows_read,rows_written");
    let ids: Vec<&Value> = all["series"].as_array().expect("a list").iter().map(|series| &series["jobId"]).collect();
    assert_eq!(ids, [&json!(id.to_string()), &json!(id.to_string())]);

    node.post("/stop-job", &json!({"jobId": id}).to_string()).ok();
    let job = node.wait_for_state(id, "CANCELED");
    let total: u64 = job["metrics"]["SourceReceivedCount"].as_str().and_then(|rows| rows.parse().ok()).expect("rows");
    assert!(total >= 450, "{total}");
    let sum = |query: &str, metric: &str| {
        let answer = timelines(&node, &format!("{query}&metric={metric}&resolution=60&start=-3600"));
        answer["series"][0]["sum"].as_u64().expect("a sum")
    };
    let of_job = format!("jobId={id}");
    eventually("the last look", || {
        let seen = (sum(&of_job, "rows_read"), sum(&of_job, "rows_written"), sum("", "rows_read"));
        if seen == (total, total, total) { Ok(()) } else { Err(format!("{seen:?} of {total}")) }
    });
    assert!(timelines(&node, "jobId=*")["series"].as_array().expect("a list").is_empty());
    eventually("the seconds of an ended job are given up", || {
        let seconds = timelines(&node, &format!("{of_job}&metric=rows_read&start=-5"));
        if values(&seconds).iter().all(Option::is_none) { Ok(()) } else { Err(seconds) }
    });
    assert_eq!(sum(&of_job, "rows_read"), total, "its minutes stay");
}

#[test]
fn a_job_that_ends_between_two_looks_counts_for_the_node() {
    let node = Node::start();
    let mut config = steady(0, 1);
    config["env"] = json!({"job.mode": "BATCH"});
    config["source"][0]["row.num"] = 777.into();
    let id = node.submit(&config);
    node.wait_for_state(id, "FINISHED");
    eventually("its rows", || {
        let answer = timelines(&node, "metric=rows_written,jobs_finished&resolution=10&start=-600");
        let sums = [0, 1].map(|at| answer["series"][at]["sum"].as_u64());
        if sums == [Some(777), Some(1)] { Ok(()) } else { Err(answer) }
    });
}

#[test]
fn the_node_tells_its_memory_its_time_and_its_requests() {
    let node = Node::start();
    eventually("three looks", || {
        let answer = timelines(&node, "metric=memory_bytes,cpu_us,requests,connections");
        let [cpu, memory, requests, connections] = [0, 1, 2, 3].map(|at| &answer["series"][at]);
        let named = [cpu, memory, requests, connections].map(|series| series["metric"].as_str().expect("a name"));
        // In the order of the documentation, whatever the order of the question.
        assert_eq!(named, ["cpu_us", "memory_bytes", "requests", "connections"]);
        let seen = cpu["sum"].as_u64() > Some(0)
            && memory["mean"].as_f64() > Some(1e6)
            && requests["sum"].as_u64() > Some(2)
            && connections["latest"].as_f64() >= Some(1.0);
        if seen { Ok(()) } else { Err(answer) }
    });
}

#[test]
fn a_node_without_room_says_what_it_gave_up() {
    let node = Node::with(&["--timelines-bytes-max", "128KiB"]);
    let id = node.submit(&steady(5, 300));
    node.wait_for_state(id, "RUNNING");
    eventually("rings without room", || {
        let metrics = node.client().get("/metrics").text();
        let value = |family: &str| -> f64 {
            let of_family = |line: &&str| line.starts_with(family) && !line.starts_with(&format!("{family}_"));
            let values =
                metrics.lines().filter(of_family).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            values.sum()
        };
        assert!(value("egret_timelines_bytes{") <= 131_072.0, "{metrics}");
        assert_eq!(value("egret_timelines_max_bytes{"), 131_072.0);
        let without = value("egret_timelines_refused_total{") > 0.0 && value("egret_timelines_finest_seconds") > 1.0;
        if without && value("egret_timelines_tasks") == 300.0 { Ok(()) } else { Err(metrics) }
    });
    // The node's own figures do not suffer.
    eventually("the rows of all tasks", || {
        let answer = timelines(&node, "metric=rows_read&start=-3");
        if answer["series"][0]["sum"].as_u64() > Some(0) { Ok(()) } else { Err(answer) }
    });
    node.post("/stop-job", &json!({"jobId": id}).to_string()).ok();
    node.wait_for_state(id, "CANCELED");
}

#[test]
fn top_shows_the_speeds_that_the_node_tells() {
    let node = Node::start();
    let id = node.submit(&steady(100, 1)).to_string();
    eventually("a picture", || {
        let url = format!("http://{}", node.address());
        let text = run(["top", "--once", "--url", &url]).expect_exit(0).stdout;
        assert_holds(&text, &["speeds of the last 5 seconds", "LAST 20 S"]);
        if text.contains(&id) && text.contains('█') { Ok(()) } else { Err(text) }
    });
}

/// What an older release or the original answers: the running jobs, and to everything else 404.
fn older_node() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            let job = r#"[{"jobId":"1","jobName":"old","jobStatus":"RUNNING","metrics":{"SourceReceivedQPS":"7.0"}}]"#;
            let (status, body) = match head.starts_with(b"GET /hazelcast/rest/maps/running-jobs ") {
                true => ("200 OK", job),
                false => ("404 Not Found", ""),
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn top_counts_itself_where_the_node_has_no_timelines_and_says_so() {
    let url = format!("http://{}", older_node());
    let text = run(["top", "--once", "--url", &url]).expect_exit(0).stdout;
    assert_holds(&text, &["1 running", "read 7 rows/s", "speeds between two looks: the node does not tell", "old"]);
    assert!(!text.contains("LAST 20 S"), "{text}");
}
