//! Metrics as scrapers get them: forms, selection, families, bounds.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::{MetricsSettings, NodeSettings};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn text_of(response: Response) -> String {
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    String::from_utf8(response.body).expect("text")
}

fn scrape(client: &mut Client, path: &str, accept: &str) -> Response {
    client.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\n\r\n")).response()
}

/// Each family is announced once, and its samples stand together; no sample comes twice.
pub(super) fn assert_families_are_whole(text: &str) {
    let (mut families, mut samples) = (BTreeSet::new(), BTreeSet::new());
    let mut family = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().expect("a name");
            assert!(families.insert(family), "{family} comes twice");
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            assert!(sample.starts_with(family), "{sample} is not of {family}");
            assert!(samples.insert(sample), "{sample} comes twice");
            assert!(value == "+Inf" || value.parse::<f64>().is_ok(), "{line}");
        }
    }
}

/// Names of the families that are announced, as the text names them.
fn families(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

/// The samples of a family, without their first label.
fn samples<'t>(text: &'t str, family: &str) -> Vec<&'t str> {
    let begin = format!("{family}{{cluster=\"seatunnel\",");
    text.lines().filter_map(|line| line.strip_prefix(&*begin)).collect()
}

fn config(name: &str, endless: bool) -> String {
    json!({
        "env": {"job.name": name},
        "source": [{"plugin_name": "Numbers", "rows": 5, "endless": endless}],
        "sink": [{"plugin_name": "Nowhere"}]
    })
    .to_string()
}

#[test]
fn metrics_come_in_both_forms_and_under_all_their_paths() {
    let running = Running::new();
    let mut client = running.client();
    for (path, content_type) in [("/hazelcast/rest/instance/metrics", "text/plain"), ("/metrics", TEXT)] {
        let response = client.get(path);
        assert_eq!(response.header("content-type"), Some(content_type));
        let text = text_of(response);
        assert!(text.contains("job_count{cluster=\"seatunnel\",type=\"running\",} 0.0\n"), "{text}");
    }
    for (path, content_type) in [("/hazelcast/rest/instance/openmetrics", "text/plain"), ("/openmetrics", OPEN_METRICS)]
    {
        let response = client.get(path);
        assert_eq!(response.header("content-type"), Some(content_type));
        let text = text_of(response);
        assert!(text.contains("job_count{cluster=\"seatunnel\",type=\"running\"} 0.0\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
    // Requests are counted with their routes, up to the one before.
    let text = text_of(client.get("/metrics"));
    let of_route = "api=\"node\",path=\"/metrics\",method=\"GET\",";
    assert_eq!(
        samples(&text, "egret_http_answers_total").iter().find(|sample| sample.starts_with(of_route)),
        Some(&&*format!("{of_route}class=\"2xx\",}} 1"))
    );
    assert!(samples(&text, "egret_http_request_seconds_count").contains(&&*format!("{of_route}}} 1")), "{text}");
    assert!(samples(&text, "egret_http_request_seconds_bucket").contains(&&*format!("{of_route}le=\"+Inf\",}} 1")));
    assert_families_are_whole(&text);
}

#[test]
fn the_form_is_the_one_that_the_client_prefers_but_where_the_path_says_it() {
    let running = Running::new();
    let mut client = running.client();
    let prefers = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (path, accept, content_type, varies) in [
        ("/metrics", prefers, OPEN_METRICS, Some("accept")),
        ("/metrics", "text/plain", TEXT, Some("accept")),
        ("/metrics", "application/json", TEXT, Some("accept")),
        ("/openmetrics", "text/plain", OPEN_METRICS, None),
        ("/hazelcast/rest/instance/metrics", prefers, "text/plain", None),
    ] {
        let response = scrape(&mut client, path, accept);
        assert_eq!(response.header("content-type"), Some(content_type), "{path} {accept}");
        assert_eq!(response.header("vary"), varies, "{path} {accept}");
        let ends = text_of(response).ends_with("# EOF\n");
        assert_eq!(ends, content_type == OPEN_METRICS, "{path} {accept}");
    }
}

#[test]
fn names_select_families_over_v2() {
    let running = Running::new();
    let mut client = running.client();
    let mut selected =
        |path: &str| -> Vec<String> { families(&text_of(client.get(path))).into_iter().map(str::to_owned).collect() };
    assert_eq!(selected("/metrics?name=job_count"), ["job_count"]);
    assert_eq!(
        selected("/metrics?name=egret_savepoints*"),
        ["egret_savepoints", "egret_savepoints_bytes", "egret_savepoints_evicted_total"]
    );
    assert_eq!(selected("/openmetrics?name=egret_samples_total&name=node_count"), ["node_count", "egret_samples"]);
    assert_eq!(selected("/metrics?name=nothing*"), Vec::<String>::new());
    // The original takes no names.
    assert_eq!(selected("/hazelcast/rest/instance/metrics?name=job_count"), selected("/metrics"));
    let refused = client.get("/metrics?name=%4");
    assert_eq!((refused.status, refused.message()), (400, "'%4' is not encoded as a query must be.".to_owned()));
}

#[test]
fn only_what_is_asked_for_is_read() {
    let running = Running::new();
    let mut client = running.client();
    let ages = |client: &mut Client| text_of(client.get("/metrics?name=egret_sample_age_seconds"));
    assert!(text_of(client.get("/metrics?name=egret_job*")).contains("egret_job_state"));
    assert!(!ages(&mut client).contains("part=\"details\""), "nobody asked for them");
    assert!(text_of(client.get("/metrics?name=process_open_fds")).contains("process_open_fds{"));
    assert!(ages(&mut client).contains("part=\"details\""));
}

#[test]
fn every_family_of_the_tables_is_announced_once_in_their_order() {
    let running = Running::new();
    let text = text_of(running.client().get("/metrics"));
    assert_eq!(families(&text), crate::metrics::names());
    assert_families_are_whole(&text);
    let lines = text.lines().filter(|line| line.starts_with("# HELP "));
    assert_eq!(lines.count(), families(&text).len(), "each has a help");
    // Values of our own are whole where they are counts; those of the original are doubles.
    assert!(text.contains("\nnode_count{cluster=\"seatunnel\",} 1.0\n"), "{text}");
    assert!(text.contains(
        "\negret_executor_cpu{cluster=\"seatunnel\",executor=\"egret-front-0\",shard=\"0\",side=\"front\",} "
    ));
}

#[test]
fn jobs_have_series_of_what_they_read_and_wrote_also_when_they_have_ended() {
    let running = Running::new();
    let mut client = running.client();
    json_of(&client.post("/submit-job?jobId=7", &config("a \"b\"", true)));
    json_of(&client.post("/submit-job?jobId=8", &config("ends", false)));
    let runs = "job_id=\"7\",job_name=\"a \\\"b\\\"\",} 5";
    let ended = "job_id=\"8\",job_name=\"ends\",} 5";
    eventually("its rows are counted", || {
        let text = text_of(client.get("/metrics"));
        samples(&text, "egret_job_sink_rows_total") == [runs, ended]
            && samples(&text, "egret_job_ended_timestamp_seconds").len() == 1
    });
    let text = text_of(client.get("/metrics"));
    assert!(text.contains("job_count{cluster=\"seatunnel\",type=\"running\",} 1.0\n"), "{text}");
    assert!(text.contains("egret_slots_assigned{cluster=\"seatunnel\",} 2\n"), "{text}");
    assert!(text.contains("egret_jobs_ended_total{cluster=\"seatunnel\",state=\"finished\",} 1\n"), "{text}");
    assert_eq!(
        samples(&text, "egret_job_state"),
        [
            "job_id=\"7\",job_name=\"a \\\"b\\\"\",state=\"RUNNING\",} 1",
            "job_id=\"8\",job_name=\"ends\",state=\"FINISHED\",} 1",
        ]
    );
    assert_eq!(
        samples(&text, "egret_vertex_sent_rows_total")[0],
        "job_id=\"7\",vertex_id=\"1\",vertex=\"Source[0]-Numbers\",} 5"
    );
    assert_eq!(samples(&text, "egret_task_instances"), ["job_id=\"7\",vertex_id=\"1\",} 1"]);
    assert_families_are_whole(&text);
}

#[test]
fn vertices_beyond_the_bound_have_no_series_but_are_counted() {
    let node = NodeSettings { metrics: MetricsSettings { jobs_max: 9, vertices_max: 4 }, ..NodeSettings::default() };
    let running = Running::configured(ServerConfig { listeners: vec![anywhere()], node, ..ServerConfig::default() });
    let mut client = running.client();
    for id in 1..=3 {
        json_of(&client.post(&format!("/submit-job?jobId={id}"), &config("runs", true)));
    }
    eventually("all have their tasks", || {
        let text = text_of(client.get("/metrics"));
        text.contains("egret_vertices_without_series{cluster=\"seatunnel\",} 2\n")
    });
    let text = text_of(client.get("/metrics"));
    let vertices = samples(&text, "egret_vertex_received_rows_total");
    assert_eq!(vertices.len(), 4, "{vertices:?}");
    assert!(vertices.iter().all(|vertex| !vertex.starts_with("job_id=\"1\"")), "the oldest has none: {vertices:?}");
    assert_eq!(samples(&text, "egret_job_state").len(), 3);
}

/// Ended ones are many because they are cheap; what counts is that both kinds are more than may have series.
#[test]
fn with_ten_thousand_jobs_the_newest_have_series_and_the_others_are_counted() {
    const JOBS: usize = 10_000;
    const RUNNING: usize = 30;
    let node = NodeSettings { metrics: MetricsSettings { jobs_max: 100, vertices_max: 40 }, ..NodeSettings::default() };
    let config_of_node = ServerConfig { listeners: vec![anywhere()], node, ..ServerConfig::default() };
    let running = Running::with_quick_jobs(config_of_node);
    let mut client = running.client();
    for id in 1..=RUNNING {
        json_of(&client.post(&format!("/submit-job?jobId={id}"), &config("runs", true)));
    }
    // In pieces of a size that mailboxes hold.
    for first in (RUNNING + 1..=JOBS).step_by(500) {
        let jobs: Vec<serde_json::Value> = (first..(first + 500).min(JOBS + 1))
            .map(|id| {
                let mut job: serde_json::Value = serde_json::from_str(&config("ends", false)).expect("JSON");
                job["params"] = json!({"jobId": id.to_string(), "jobName": "ends"});
                job
            })
            .collect();
        json_of(&client.post("/submit-jobs", &json!(jobs).to_string()));
    }
    // They take as long as the machine needs for them, but they get on.
    let mut seen = (0, std::time::Instant::now());
    while running.jobs.counts().remembered < JOBS - RUNNING {
        if running.jobs.counts().remembered > seen.0 {
            seen = (running.jobs.counts().remembered, std::time::Instant::now());
        }
        assert!(seen.1.elapsed() < PATIENCE, "{:?}", running.jobs.counts());
        std::thread::sleep(Duration::from_millis(10));
    }
    let text = text_of(client.get("/metrics"));
    assert_families_are_whole(&text);
    assert!(text.len() < 400_000, "{} bytes", text.len());
    assert!(text.contains(&format!("egret_jobs_without_series{{cluster=\"seatunnel\",}} {}\n", JOBS - 100)), "{text}");
    let states = samples(&text, "egret_job_state");
    let (runs, ended) = states.split_at(RUNNING);
    assert!(runs.iter().all(|job| job.ends_with("state=\"RUNNING\",} 1")), "{runs:?}");
    assert_eq!(ended.len(), 100 - RUNNING);
    assert!(ended.iter().all(|job| job.ends_with("state=\"FINISHED\",} 1")), "{ended:?}");
    assert_eq!(samples(&text, "egret_vertex_sent_rows_total").len(), 40);
    assert!(text.contains("egret_vertices_without_series{cluster=\"seatunnel\",} 20\n"), "{text}");
}
