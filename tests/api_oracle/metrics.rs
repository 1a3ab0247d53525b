//! I.3: two tables, counted together and apart, while the job runs and when it has ended.

use serde_json::{Value, json};

use super::Ports;

/// A bigint, a letter and an int are 13 bytes a row.
fn two_tables(mode: &str) -> Value {
    let table = |path: &str, rows: usize| {
        let fields = json!({"id": "bigint", "name": "string", "score": "int"});
        json!({"row.num": rows, "string.length": 1, "schema": {"table": path, "fields": fields}})
    };
    json!({
        "env": {"job.mode": mode},
        "source": [{
            "plugin_name": "FakeSource", "result_table_name": "fake",
            "tables_configs": [table("fake.table1", 10), table("fake.public.table2", 5)],
        }],
        "sink": [{"plugin_name": "Console", "source_table_name": "fake"}],
    })
}

fn assert_counted(metrics: &Value) {
    for (side, action) in [("Source", "Received"), ("Sink", "Write")] {
        let (total, tables) = (format!("{side}{action}"), format!("Table{side}{action}"));
        assert_eq!(metrics[format!("{total}Count")], "15");
        assert_eq!(metrics[format!("{total}Bytes")], "195");
        assert_eq!(metrics[format!("{tables}Count")], json!({"fake.table1": "10", "fake.public.table2": "5"}));
        assert_eq!(metrics[format!("{tables}Bytes")], json!({"fake.table1": "130", "fake.public.table2": "65"}));
        for rate in ["QPS", "BytesPerSeconds"] {
            assert!(is_positive(&metrics[format!("{total}{rate}")]), "{metrics}");
            for table in ["fake.table1", "fake.public.table2"] {
                assert!(is_positive(&metrics[format!("{tables}{rate}")][table]), "{metrics}");
            }
        }
    }
}

/// A text that is a double as Java writes it, above 0.
fn is_positive(rate: &Value) -> bool {
    rate.as_str().is_some_and(|rate| rate.contains('.') && rate.parse::<f64>().is_ok_and(|rate| rate > 0.0))
}

#[test]
fn counts_bytes_and_rates_are_told_by_table() {
    let ports = Ports::with(&[]);
    let ended = ports.node.submit(&two_tables("BATCH"));
    ports.node.wait_for_state(ended, "FINISHED");
    let runs = ports.node.submit(&two_tables("STREAMING"));
    ports.node.wait_for(runs, "RUNNING", |job| job["metrics"]["SinkWriteCount"] == "15");
    ports.each(|asked| {
        for id in [ended, runs] {
            assert_counted(&asked.get(&format!("/job-info/{id}")).ok()["metrics"]);
        }
        assert_counted(&asked.get("/running-jobs").ok()[0]["metrics"]);
        assert_counted(&asked.get("/finished-jobs").ok()[0]["metrics"]);
    });
}
