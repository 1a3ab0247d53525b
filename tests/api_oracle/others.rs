//! I.4: logs of jobs, metrics for scrapers, threads.

use regex::Regex;
use serde_json::json;

use super::support::{Folder, eventually};
use super::{Client, Ports, fake_to_console, fake_to_file};

#[test]
fn each_job_has_a_log_of_lines_of_one_shape() {
    let folder = Folder::new();
    let ports = Ports::with(&["--log-folder", &folder.path().display().to_string()]);
    let ids = [ports.node.submit(&fake_to_console(5)), ports.node.submit(&fake_to_console(5))];
    for id in ids {
        ports.node.wait_for_state(id, "FINISHED");
    }
    let shape =
        r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2},\d{3} (INFO |WARN |ERROR) \[[A-Za-z0-9_.:]+ *\] \[[^\]]+\] - \S.*$";
    let shape = Regex::new(shape).expect("a pattern");
    ports.each(|asked| {
        let names = ids.map(|id| format!("job-{id}.log"));
        let mut sorted = names.clone();
        sorted.sort();
        let mut told: Vec<String> = serde_json::from_value(asked.get("/get-all-log-name").ok()).expect("names");
        told.sort();
        assert_eq!(told, sorted);
        for (name, id) in names.iter().zip(ids) {
            let log = asked.get(&format!("/log/{name}"));
            assert_eq!((log.status, log.header("content-type")), (200, Some("text/plain")));
            let text = log.text();
            assert!(text.contains(&format!("Init JobMaster for Job fake_to_console ({id})")), "{text}");
            for line in text.lines().filter(|line| !line.starts_with("    ")) {
                assert!(shape.is_match(line), "{line}");
            }
            let file = std::fs::read_to_string(folder.at(name)).expect("a file");
            assert!(file.starts_with(&text), "what is served is the file: {file}");
        }
        let missing = asked.get("/log/job-1.log");
        assert_eq!((missing.status, missing.body.len()), (400, 0));
    });
}

/// Families of F.1 with their type and the labels of a sample, in their order.
fn families() -> Vec<(&'static str, String, &'static str)> {
    let mut families = vec![
        ("gauge", "cluster_info".to_owned(), "cluster,hazelcastVersion,master"),
        ("gauge", "cluster_time".to_owned(), "cluster,hazelcastVersion"),
        ("gauge", "node_count".to_owned(), "cluster"),
        ("gauge", "node_state".to_owned(), "cluster,address"),
        ("gauge", "job_count".to_owned(), "cluster,type"),
        ("gauge", "process_start_time_seconds".to_owned(), "cluster"),
        ("counter", "process_cpu_seconds_total".to_owned(), "cluster"),
    ];
    for pool in ["activeCount", "corePoolSize", "maximumPoolSize", "poolSize", "queueTaskCount"] {
        families.push(("gauge", format!("job_thread_pool_{pool}"), "cluster,address,type"));
    }
    for pool in ["completedTask", "task", "rejection"] {
        families.push(("counter", format!("job_thread_pool_{pool}_total"), "cluster,address,type"));
    }
    for measure in [
        "executedCount",
        "isShutdown",
        "isTerminated",
        "maxPoolSize",
        "poolSize",
        "queueRemainingCapacity",
        "queueSize",
    ] {
        families.push(("gauge", format!("hazelcast_executor_{measure}"), "cluster,address,type"));
    }
    for measure in ["partitionCount", "activePartition", "isClusterSafe", "isLocalMemberSafe"] {
        families.push(("gauge", format!("hazelcast_partition_{measure}"), "cluster,address"));
    }
    families
}

/// The names of the labels of a sample, `cluster,type` of `x{cluster="..",type="..",} 1.0`.
fn labels_of(sample: &str) -> String {
    let (_, labels) = sample.split_once('{').expect("labels");
    let (labels, value) = labels.rsplit_once(",} ").expect("a comma behind the last label");
    assert!(value.contains('.') && value.parse::<f64>().is_ok(), "a double as Java writes it: {sample}");
    let names = labels.split("\",").map(|label| label.split('=').next().unwrap_or_default());
    names.collect::<Vec<_>>().join(",")
}

#[test]
fn telemetry_has_all_families_and_labels() {
    let folder = Folder::new();
    let ports = Ports::with(&[]);
    let id = ports.node.submit(&fake_to_file(&folder));
    ports.node.wait_for_state(id, "RUNNING");
    for address in &ports.addresses {
        for path in ["/hazelcast/rest/instance/metrics", "/metrics"] {
            let text = Client::connect(*address).get(path).text();
            for (kind, family, labels) in families() {
                assert!(text.contains(&format!("# HELP {family} ")), "no help for {family}: {text}");
                assert!(text.contains(&format!("# TYPE {family} {kind}\n")), "{family} is no {kind}: {text}");
                let sample = text.lines().find(|line| line.starts_with(&format!("{family}{{")));
                assert_eq!(labels_of(sample.unwrap_or_else(|| panic!("no sample of {family}"))), labels, "{family}");
            }
            // Families of the original's platform, under the beginnings of their names.
            for begin in [
                "jvm_threads",
                "jvm_memory_pool",
                "jvm_gc",
                "jvm_info",
                "jvm_memory_bytes",
                "jvm_classes",
                "jvm_buffer_pool",
            ] {
                assert!(text.contains(&format!("\n{begin}")), "{begin}: {text}");
            }
            for state in ["canceled", "cancelling", "created", "failed", "failing", "finished", "scheduled"] {
                let sample = format!("job_count{{cluster=\"seatunnel\",type=\"{state}\",}} 0.0\n");
                assert!(text.contains(&sample), "{state}: {text}");
            }
            assert!(text.contains("job_count{cluster=\"seatunnel\",type=\"running\",} 1.0\n"), "{text}");
            for executor in
                ["async", "client", "clientBlocking", "clientQuery", "io", "offloadable", "scheduled", "system"]
            {
                let end = format!(",type=\"{executor}\",}}");
                let samples =
                    text.lines().filter(|line| line.starts_with("hazelcast_executor_") && line.contains(&end));
                assert_eq!(samples.count(), 7, "{executor}: {text}");
            }
        }
        for path in ["/hazelcast/rest/instance/openmetrics", "/openmetrics"] {
            let text = Client::connect(*address).get(path).text();
            assert!(text.contains("job_count{cluster=\"seatunnel\",type=\"running\"} 1.0\n"), "{text}");
            assert!(text.ends_with("# EOF\n"), "{text}");
        }
    }
}

#[test]
fn threads_do_not_grow_with_submissions() {
    let ports = Ports::with(&[]);
    let threads = || ports.node.get("/running-threads").ok();
    let submit = || {
        let id = ports.node.submit(&fake_to_console(1));
        ports.node.wait_for_state(id, "FINISHED");
    };
    submit();
    let before = threads().as_array().map(Vec::len);
    (0..10).for_each(|_| submit());
    eventually("as many threads as before", || {
        let now = threads();
        if now.as_array().map(Vec::len) <= before { Ok(()) } else { Err(json!(now)) }
    });
    // There are no class loaders, so there is one name for all.
    assert!(threads().as_array().expect("a list").iter().all(|thread| thread["classLoader"] == "native"));
}
