//! What the node says of itself, over both faces.

use std::net::TcpListener;

use super::client::Response;
use super::metrics::assert_families_are_whole;
use super::*;
use crate::{Faces, NodeSettings};
use egret_collectors::SamplerSettings;
use serde_json::{Value, json};

const MAPS: &str = "/hazelcast/rest/maps";

fn put(client: &mut Client, path: &str, body: &str) -> Response {
    client.send(format!("PUT {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())).response()
}

/// Every value of an object in place of which `mask` says something.
fn masked(mut value: Value, mask: impl Fn(&str) -> Option<&'static str>) -> Vec<u8> {
    for (key, value) in value.as_object_mut().expect("an object") {
        if let Some(word) = mask(key) {
            *value = word.into();
        }
    }
    value.to_string().into_bytes()
}

#[test]
fn the_overview_counts_jobs_and_slots_of_the_workers_that_are_selected() {
    let running = Running::new();
    let mut client = running.client();
    let build = |key: &str| matches!(key, "projectVersion" | "gitCommitAbbrev").then_some("build");
    let overview = |client: &mut Client, query: &str| json_of(&client.get(&format!("{MAPS}/overview{query}")));
    let config = |endless: bool| {
        json!({
            "env": {},
            "source": [{"plugin_name": "Numbers", "rows": 1, "endless": endless, "parallelism": 2}],
            "sink": [{"plugin_name": "Nowhere"}]
        })
        .to_string()
    };
    for (id, endless) in [(1, false), (2, false), (3, true), (4, true)] {
        json_of(&client.post(&format!("/submit-job?jobId={id}"), &config(endless)));
    }
    client.post("/stop-job", r#"{"jobId":4}"#);
    eventually("two run out, one is stopped", || {
        let seen = overview(&mut client, "");
        (seen["finishedJobs"].as_str(), seen["cancelledJobs"].as_str()) == (Some("2"), Some("1"))
    });
    eventually("one has its slots", || overview(&mut client, "")["totalSlot"] == "3");
    expected("seatunnel/overview", &masked(overview(&mut client, ""), build));
}

#[test]
fn tags_are_replaced_and_select() {
    let mut config = ServerConfig { listeners: vec![anywhere()], ..ServerConfig::default() };
    config.node = NodeSettings { tags: [("node".into(), "node1".into())].into(), ..NodeSettings::default() };
    let running = Running::configured(config);
    let mut client = running.client();
    let workers = |client: &mut Client, query: &str| {
        json_of(&client.get(&format!("{MAPS}/overview?{query}")))["workers"].as_str().map(str::to_owned)
    };
    assert_eq!(workers(&mut client, "node=node1").as_deref(), Some("1"));
    assert_eq!(workers(&mut client, "tag1=dev_1").as_deref(), Some("0"));
    let updated = json_of(&put(&mut client, &format!("{MAPS}/update-tags"), r#"{"tag1":"dev_1","tag2":null}"#));
    assert_eq!(updated, json!({"status": "success", "message": "update node tags done."}));
    assert_eq!(workers(&mut client, "tag1=dev_1&tag2=").as_deref(), Some("1"));
    assert_eq!(workers(&mut client, "node=node1").as_deref(), Some("0"), "the others are gone");
    assert_eq!(json_of(&client.post("/update-tags", "{}")), json!({"status": "success"}));
    assert_eq!(workers(&mut client, "tag1=dev_1").as_deref(), Some("0"));
    let empty = put(&mut client, &format!("{MAPS}/update-tags"), "");
    assert_eq!((empty.status, empty.message().as_str()), (400, "Request body is empty."));
    assert_eq!(put(&mut client, "/update-tags", "{}").status, 405);
}

/// The keys of contract A.8 in their order.
const MONITORED: &str = "isMaster host port processors physical.memory.total physical.memory.free swap.space.total \
    swap.space.free heap.memory.used heap.memory.free heap.memory.total heap.memory.max heap.memory.used/total \
    heap.memory.used/max minor.gc.count minor.gc.time major.gc.count major.gc.time load.process load.system \
    load.systemAverage thread.count thread.peakCount cluster.timeDiff event.q.size executor.q.async.size \
    executor.q.client.size executor.q.client.query.size executor.q.client.blocking.size executor.q.query.size \
    executor.q.scheduled.size executor.q.io.size executor.q.system.size executor.q.operations.size \
    executor.q.priorityOperation.size operations.completed.count executor.q.mapLoad.size \
    executor.q.mapLoadAllKeys.size executor.q.cluster.size executor.q.response.size operations.running.count \
    operations.pending.invocations.percentage operations.pending.invocations.count proxy.count clientEndpoint.count \
    connection.active.count client.connection.count connection.count";

#[test]
fn system_monitoring_has_every_key_in_its_order_and_texts_only() {
    let running = Running::new();
    let mut client = running.client();
    for path in [format!("{MAPS}/system-monitoring-information"), "/system-monitoring-information".to_owned()] {
        let members = json_of(&client.get(&path));
        let member = members[0].as_object().expect("an object");
        assert_eq!(member.keys().cloned().collect::<Vec<_>>().join(" "), MONITORED);
        assert!(member.values().all(Value::is_string), "{members}");
        assert_eq!((&member["host"], &member["isMaster"]), (&json!("localhost"), &json!("true")));
        assert_eq!(member["port"], running.address().port().to_string());
        assert_eq!(member["connection.count"], "1");
        let measured = |key: &str| {
            let live = ["port", "processors", "physical", "swap", "heap", "load", "thread", "operations"];
            let queues = ["async", "client", "client.blocking", "io", "system", "operations"];
            let queue = key.strip_prefix("executor.q.").and_then(|rest| rest.strip_suffix(".size"));
            let is_queue = |name: &str| queue == Some(name);
            let is_live = live.iter().any(|begin| key.starts_with(begin)) || queues.into_iter().any(is_queue);
            is_live.then_some("measured")
        };
        expected("seatunnel/system-monitoring-information", &masked(members[0].clone(), measured));
    }
}

#[test]
fn threads_are_listed_by_name_and_dumped_with_their_state() {
    let running = Running::new();
    let mut client = running.client();
    let threads = json_of(&client.get(&format!("{MAPS}/running-threads")));
    let names: Vec<&str> =
        threads.as_array().expect("a list").iter().filter_map(|thread| thread["threadName"].as_str()).collect();
    assert!(names.windows(2).all(|pair| pair[0] <= pair[1]), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("egret-front-")), "{names:?}");
    let dump = json_of(&client.get("/thread-dump"));
    let states = ["RUNNABLE", "BLOCKED", "WAITING", "TERMINATED"];
    for thread in dump.as_array().expect("a list") {
        assert!(thread["threadId"].as_i64().is_some_and(|id| id > 0), "{thread}");
        assert!(thread["threadState"].as_str().is_some_and(|state| states.contains(&state)), "{thread}");
        assert!(thread["stackTrace"].as_str().is_some_and(|stack| !stack.is_empty()), "{thread}");
    }
    // Its last line is a call of the C library, or of the system where that has no names.
    let executors = dump
        .as_array()
        .expect("a list")
        .iter()
        .filter(|thread| thread["threadName"].as_str().is_some_and(|name| name.starts_with("egret-front-")));
    let stacks: Vec<&str> = executors.filter_map(|thread| thread["stackTrace"].as_str()).collect();
    let driver = "egret_runtime::shard::shards::run_executor";
    assert!(stacks.iter().any(|stack| stack.lines().any(|line| line.starts_with(driver))), "{stacks:#?}");
}

#[test]
fn the_node_is_a_cluster_in_good_health() {
    let running = Running::new();
    let mut client = running.client();
    let cluster = json_of(&client.get("/hazelcast/rest/cluster"));
    let address = format!("[localhost]:{}", running.address().port());
    assert_eq!(cluster["members"].as_array().map(Vec::len), Some(1));
    assert_eq!(cluster["members"][0]["address"], address);
    for (part, body) in [
        ("node-state", "\"ACTIVE\""),
        ("cluster-size", "1"),
        ("migration-queue-size", "0"),
        ("ready", ""),
        ("cluster-safe", ""),
    ] {
        let response = client.get(&format!("/hazelcast/health/{part}"));
        assert_eq!((response.status, &*String::from_utf8_lossy(&response.body)), (200, body), "{part}");
    }
    assert_eq!(client.get("/hazelcast/health/nonsense").status, 404);
    assert_eq!(client.get("/hazelcast/rest/cluster/x").status, 404);
    assert_eq!(client.post("/hazelcast/rest/cluster", "").header("allow"), Some("GET, HEAD"));
}

#[test]
fn samples_are_renewed_for_who_asks_and_their_age_is_a_metric() {
    let mut config = ServerConfig { listeners: vec![anywhere()], ..ServerConfig::default() };
    let age_max = Duration::from_millis(50);
    config.node.sampler =
        SamplerSettings { age_max, wait_max: SamplerSettings::WAIT_MAX, ..SamplerSettings::default() };
    let running = Running::configured(config);
    let mut client = running.client();
    let mut value_of = |family: &str, part: &str| -> Option<f64> {
        let text = String::from_utf8(client.get("/metrics").body).expect("text");
        assert_families_are_whole(&text);
        let sample = format!("{family}{{cluster=\"seatunnel\",part=\"{part}\",}} ");
        text.lines().find_map(|line| line.strip_prefix(&*sample)?.parse().ok())
    };
    for part in ["vitals", "details"] {
        // The first sample of all may come too late for a request.
        eventually("an age", || value_of("egret_sample_age_seconds", part).is_some_and(|age| age >= 0.0));
    }
    assert_eq!(value_of("egret_sample_age_seconds", "threads"), None, "nobody asked for them");
    let before = value_of("egret_samples_total", "vitals").expect("a count");
    eventually("old samples are renewed", || {
        value_of("egret_samples_total", "vitals").is_some_and(|samples| samples > before)
    });
    assert_eq!(running.client().get("/running-threads").status, 200);
    assert!(value_of("egret_sample_age_seconds", "threads").is_some());
}

#[test]
fn a_sample_that_does_not_come_in_time_is_not_waited_for() {
    let mut config = ServerConfig { listeners: vec![anywhere()], ..ServerConfig::default() };
    // Every sample is too old, and none is waited for.
    let never = Duration::ZERO;
    config.node.sampler = SamplerSettings { age_max: never, wait_max: never, ..SamplerSettings::default() };
    let running = Running::configured(config);
    let mut client = running.client();
    eventually("values of a sample", || {
        let seen = json_of(&client.get("/system-monitoring-information"));
        seen[0]["physical.memory.total"] != "0" && seen[0]["thread.count"] != "0"
    });
}

#[test]
fn without_telemetry_metrics_are_empty() {
    let mut config = ServerConfig { listeners: vec![anywhere()], ..ServerConfig::default() };
    config.node.telemetry = false;
    let running = Running::configured(config);
    for path in ["/hazelcast/rest/instance/metrics", "/hazelcast/rest/instance/openmetrics", "/metrics", "/openmetrics"]
    {
        let response = running.client().get(path);
        assert_eq!((response.status, response.body.len()), (200, 0), "{path}");
    }
}

#[test]
fn each_listener_answers_its_faces() {
    let listener = |v1, v2| ListenerConfig { faces: Faces { v1, v2 }, ..anywhere() };
    let seatunnel = SeaTunnelSettings { context_path: "/seatunnel".into(), ..SeaTunnelSettings::default() };
    let listeners = vec![listener(true, false), listener(false, true)];
    let running = Running::configured(ServerConfig { listeners, seatunnel, ..ServerConfig::default() });
    let addresses = running.server().local_addrs().to_vec();
    let v1 = ["/hazelcast/rest/maps/running-jobs", "/hazelcast/health", "/hazelcast/rest/instance/metrics"];
    let v2 = ["/seatunnel/running-jobs", "/seatunnel/metrics", "/seatunnel/overview/"];
    for (address, there, elsewhere) in [(addresses[0], v1, v2), (addresses[1], v2, v1)] {
        let mut client = Client::connect(address);
        for path in there.iter().chain(["/openapi.json"].iter()) {
            assert_eq!(client.get(path).status, 200, "{path}");
        }
        for path in elsewhere.iter().chain(["/running-jobs", "/metrics"].iter()) {
            assert_eq!(client.get(path).status, 404, "{path}");
        }
    }
    let monitoring = json_of(&Client::connect(addresses[1]).get("/seatunnel/system-monitoring-information"));
    assert_eq!(monitoring[0]["port"], addresses[0].port().to_string(), "the first address is the node's own");
}

#[test]
fn a_listener_takes_the_next_port_of_its_range_that_is_free() {
    let running = Running::new();
    let taken = running.address().port();
    let with_range = |port_range| {
        let listeners = vec![ListenerConfig { port: taken, port_range, ..anywhere() }];
        ServerConfig { listeners, ..ServerConfig::default() }
    };
    let start = |port_range| Server::start(&running.shards, &with_range(port_range), &running.jobs);
    let second = start(50).expect("one of fifty ports is free");
    let port = second.local_addr().port();
    assert!((taken + 1..taken.saturating_add(50)).contains(&port), "{port}");
    assert_eq!(Client::connect(second.local_addr()).get("/hazelcast/health").status, 200);
    second.stop(Duration::ZERO);
}

#[test]
fn a_range_of_taken_ports_fails_the_start() {
    let running = Running::new();
    // The last two ports there are, so that the range ends with them.
    let mut held = Vec::new();
    for port in [65534, 65535] {
        eventually("a port of the test's own", || match TcpListener::bind(("127.0.0.1", port)) {
            Ok(listener) => {
                held.push(listener);
                true
            }
            Err(_) => false,
        });
    }
    let listeners = vec![ListenerConfig { port: 65534, port_range: 10, ..anywhere() }];
    let config = ServerConfig { listeners, ..ServerConfig::default() };
    let error = Server::start(&running.shards, &config, &running.jobs).expect_err("all are taken").to_string();
    assert_eq!(
        error,
        "127.0.0.1:65534 and every port behind it up to 65535 are in use: choose others, or a larger range"
    );
}

#[test]
fn a_context_path_that_would_never_match_fails_the_start() {
    let running = Running::new();
    let seatunnel = SeaTunnelSettings { context_path: "seatunnel/".into(), ..SeaTunnelSettings::default() };
    let config = ServerConfig { listeners: vec![anywhere()], seatunnel, ..ServerConfig::default() };
    let error = Server::start(&running.shards, &config, &running.jobs).expect_err("refused");
    assert!(error.to_string().contains("context_path is 'seatunnel/'"), "{error}");
}

#[test]
fn the_description_is_there_under_its_path() {
    let running = Running::new();
    let description = json_of(&running.client().get("/openapi.json"));
    assert_eq!(description["openapi"], "3.1.0");
    assert!(description["paths"]["/hazelcast/rest/maps/update-tags"]["put"].is_object());
    assert!(description["paths"]["/update-tags"]["put"].is_null());
}

/// An address of this machine that is not of it alone, where it has one. Nothing is sent to find it.
fn outer_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback() && !address.is_unspecified())
}

#[test]
fn the_heap_profiler_is_for_programs_on_the_nodes_machine() {
    let everywhere = ListenerConfig::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0);
    let running = Running::configured(ServerConfig { listeners: vec![everywhere], ..ServerConfig::default() });
    let port = running.address().port();
    let requests = ["POST /egret/heap/start", "POST /egret/heap/stop", "GET /egret/heap/profile"];
    let ask = |client: &mut Client, request: &str| {
        // Who asks is told by the connection, not by what the request says.
        client.send(format!("{request} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")).response()
    };
    let Some(outer) = outer_address() else {
        eprintln!("this machine has no address but loopback: the unit tests of the addresses have to do");
        return;
    };
    let mut stranger = Client::connect((outer, port).into());
    for request in requests {
        let response = ask(&mut stranger, request);
        assert_eq!(response.status, 403, "{request}");
        assert_eq!(
            response.message(),
            "Only programs on the node's own machine may ask for this (by 127.0.0.1 or ::1)."
        );
    }
    assert_eq!(ask(&mut stranger, "GET /egret/heap").status, 200, "what lives is no secret");
    assert_eq!(ask(&mut stranger, "PUT /egret/heap/start").status, 405);
    // Refused for what it asks, not for who asks: other tests are at the profiler meanwhile.
    let mut own = Client::connect((std::net::Ipv4Addr::LOCALHOST, port).into());
    assert_eq!(ask(&mut own, "POST /egret/heap/start?sampleBytes=1").status, 400);
}
