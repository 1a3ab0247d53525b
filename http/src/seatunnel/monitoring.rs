//! system-monitoring-information (contract A.8). All values are texts, in the order of the contract.
//!
//! What this program does not have (a garbage collector, the original's queues) is 0, as the contract allows. Its own
//! queues stand where their like does: mailboxes of the front executors under `executor.q.io`, those of the work
//! executors under `executor.q.operations`.

use egret_collectors::Reading;
use egret_runtime::shard::Side;

use super::SeaTunnel;
use crate::json::JsonBuffer;
use crate::node::Node;
use crate::reply::Reply;

impl SeaTunnel {
    /// One object: the node is the only member.
    pub(super) async fn system_monitoring(&self) -> Reply {
        let reading = match self.node.reading().await {
            Ok(reading) => reading,
            Err(busy) => return busy,
        };
        let fields = fields(&self.node, &reading);
        let mut json = self.json.borrow_mut();
        write(&fields, &mut json);
        Reply::json(json.take())
    }
}

fn write(fields: &[(&str, String)], json: &mut JsonBuffer) {
    json.raw("[{");
    for (index, (key, value)) in fields.iter().enumerate() {
        json.raw(if index > 0 { "," } else { "" }).string(key).raw(":").string(value);
    }
    json.raw("}]");
}

fn fields(node: &Node, reading: &Reading) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("isMaster", "true".to_owned()),
        ("host", node.host.clone()),
        ("port", node.port.to_string()),
        ("processors", reading.machine.processors.to_string()),
    ];
    fields.extend(memory(reading));
    fields.extend(["minor.gc.count", "minor.gc.time", "major.gc.count", "major.gc.time"].map(none));
    fields.extend([
        ("load.process", percent(reading.process_load)),
        ("load.system", percent(reading.system_load)),
        ("load.systemAverage", format!("{:.2}", reading.machine.load_average)),
        ("thread.count", reading.process.threads.to_string()),
        ("thread.peakCount", reading.threads_peak.to_string()),
    ]);
    fields.extend(activity(node));
    fields
}

fn memory(reading: &Reading) -> [(&'static str, String); 10] {
    let (machine, process) = (&reading.machine, &reading.process);
    let (used, total, max) = (process.memory_own, process.memory_resident, process.memory_max);
    [
        ("physical.memory.total", size(machine.memory_total)),
        ("physical.memory.free", size(machine.memory_free)),
        ("swap.space.total", size(machine.swap_total)),
        ("swap.space.free", size(machine.swap_free)),
        ("heap.memory.used", size(used)),
        ("heap.memory.free", size(total.saturating_sub(used))),
        ("heap.memory.total", size(total)),
        ("heap.memory.max", size(max)),
        ("heap.memory.used/total", percent(used as f64 / total.max(1) as f64)),
        ("heap.memory.used/max", percent(used as f64 / max.max(1) as f64)),
    ]
}

/// Queues, requests and connections.
fn activity(node: &Node) -> Vec<(&'static str, String)> {
    let executors = node.shards.stats();
    let waiting = |side| {
        let depths = executors.iter().filter(|executor| executor.side == side).map(|executor| executor.mailbox_depth);
        depths.sum::<usize>().to_string()
    };
    let answered =
        |shard: &crate::ShardStats| shard.routes.iter().map(|route| route.by_class().iter().sum::<u64>()).sum::<u64>();
    let answered: u64 = node.stats.iter().map(|shard| answered(shard)).sum();
    let open = node.stats.iter().map(|shard| shard.open.get()).sum::<u64>().to_string();
    let own = |key: &'static str| match key {
        "executor.q.io.size" => (key, waiting(Side::Front)),
        "executor.q.operations.size" => (key, waiting(Side::Work)),
        "operations.completed.count" => (key, answered.to_string()),
        "connection.active.count" | "client.connection.count" | "connection.count" => (key, open.clone()),
        key => none(key),
    };
    ACTIVITY.into_iter().map(own).collect()
}

/// The keys from the clock of the cluster on.
const ACTIVITY: [&str; 25] = [
    "cluster.timeDiff",
    "event.q.size",
    "executor.q.async.size",
    "executor.q.client.size",
    "executor.q.client.query.size",
    "executor.q.client.blocking.size",
    "executor.q.query.size",
    "executor.q.scheduled.size",
    "executor.q.io.size",
    "executor.q.system.size",
    "executor.q.operations.size",
    "executor.q.priorityOperation.size",
    "operations.completed.count",
    "executor.q.mapLoad.size",
    "executor.q.mapLoadAllKeys.size",
    "executor.q.cluster.size",
    "executor.q.response.size",
    "operations.running.count",
    "operations.pending.invocations.percentage",
    "operations.pending.invocations.count",
    "proxy.count",
    "clientEndpoint.count",
    "connection.active.count",
    "client.connection.count",
    "connection.count",
];

/// Nothing of the kind, in the form that the key has.
fn none(key: &'static str) -> (&'static str, String) {
    let value = match key {
        _ if key.ends_with(".time") => "0ms",
        _ if key.ends_with(".percentage") => "0.00%",
        _ => "0",
    };
    (key, value.to_owned())
}

/// One digit and a unit of 1024; plain where it is not more than such a unit.
fn size(bytes: u64) -> String {
    let units = [(60, "E"), (50, "P"), (40, "T"), (30, "G"), (20, "M"), (10, "K")];
    match units.into_iter().find(|(bits, _)| bytes > 1 << bits) {
        Some((bits, unit)) => format!("{:.1}{unit}", bytes as f64 / (1u64 << bits) as f64),
        None => bytes.to_string(),
    }
}

fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_the_original_writes_them() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1024"),
            (1025, "1.0K"),
            (1 << 20, "1024.0K"),
            (16 << 30, "16.0G"),
            (518_636_339, "494.6M"),
            (u64::MAX, "16.0E"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn what_there_is_not_has_the_form_that_clients_read() {
        assert_eq!(none("minor.gc.time").1, "0ms");
        assert_eq!(none("operations.pending.invocations.percentage").1, "0.00%");
        assert_eq!(none("proxy.count").1, "0");
        assert_eq!(percent(0.23541), "23.54%");
    }
}
