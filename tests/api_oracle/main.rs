//! What the original's own REST tests assert (contract I.1 to I.4), against the built program. Rows about several
//! members are asked of the one that there is. Unless it says otherwise, a row is asked over both faces on both ports.
//!
//! | row | test |
//! |---|---|
//! | I.1 `/logs`, `/logs/<jobId>` and its links | `logs_are_linked_and_the_links_lead_to_them` |
//! | I.1 `/running-job/<streaming>`, `/running-jobs` | `a_streaming_job_runs_with_its_dag` |
//! | I.1 `/running-job/<batch>`, `/job-info/<batch>` | `a_batch_job_has_ended_with_its_dag_and_counts` |
//! | I.1 `/running-job/123`, `/running-job/` | `unknown_and_missing_ids_are_answered` |
//! | I.1 `/overview` | `the_overview_counts_slots_and_workers` |
//! | I.1 `/overview?node=node1`, `?tag1=dev_1`, PUT `/update-tags` | `tags_select_workers_and_are_replaced` |
//! | I.1 `/running-threads`, `/thread-dump` | `threads_have_their_four_fields` |
//! | I.1 `/system-monitoring-information` | `monitoring_answers_in_time` |
//! | I.1 `/encrypt-config` | `secrets_of_plugins_that_do_not_exist_are_encoded` |
//! | I.2 cluster | `the_cluster_has_a_member_for_each_node_and_is_well` |
//! | I.2 submit with and without query, history | `names_ids_and_history_are_those_of_the_submissions` |
//! | I.2 savepoint without jobId, bad config | `savepoints_without_an_id_and_bad_configs_are_refused` |
//! | I.2 stop with savepoint and start again, stop-jobs | `jobs_go_on_from_their_savepoints` |
//! | I.2 stop without savepoint, stop-jobs | `jobs_are_stopped_one_by_one_and_together` |
//! | I.2 submit-jobs | `jobs_submitted_together_run` |
//! | I.3 | `counts_bytes_and_rates_are_told_by_table` |
//! | I.4 job logs | `each_job_has_a_log_of_lines_of_one_shape` |
//! | I.4 telemetry | `telemetry_has_all_families_and_labels` |
//! | I.4 class loaders | `threads_do_not_grow_with_submissions` |

#[path = "../support/mod.rs"]
mod support;

mod container;
mod main_test;
mod metrics;
mod others;

use std::net::SocketAddr;

use serde_json::{Value, json};
use support::Folder;
use support::http::Client;
use support::node::Node;

/// What paths begin with over v1 and over v2.
const FACES: [&str; 2] = ["/hazelcast/rest/maps", ""];

/// A node with both ports.
struct Ports {
    node: Node,
    addresses: Vec<SocketAddr>,
}

impl Ports {
    fn with(arguments: &[&str]) -> Self {
        let node = Node::with(&[&["--second-port", "0"][..], arguments].concat());
        let addresses = node.addresses(2);
        Self { node, addresses }
    }

    /// Over each face on each port.
    fn each(&self, mut ask: impl FnMut(&mut Asked)) {
        for address in &self.addresses {
            for face in FACES {
                ask(&mut Asked { client: Client::connect(*address), address: *address, face });
            }
        }
    }
}

/// One face on one port.
struct Asked {
    client: Client,
    address: SocketAddr,
    face: &'static str,
}

impl Asked {
    fn get(&mut self, path: &str) -> support::http::Response {
        self.send("GET", path, "")
    }

    fn post(&mut self, path: &str, body: &str) -> support::http::Response {
        self.send("POST", path, body)
    }

    /// As clients do it: naming the host that they mean, and no type of the body.
    fn send(&mut self, method: &str, path: &str, body: &str) -> support::http::Response {
        let (face, host, length) = (self.face, self.address, body.len());
        let head = format!("{method} {face}{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n");
        self.client.send(&format!("{head}content-type: text/plain; charset=ISO-8859-1\r\n\r\n{body}"));
        self.client.response()
    }
}

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
