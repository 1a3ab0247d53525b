//! system-monitoring-information (contract A.8). All values are texts, in the order of the contract.
//!
//! `docs/system-monitoring.md` says of each field where it comes from, and why some are always 0.

use egret_collectors::{Part, Vitals};
use egret_runtime::net::outgoing_open;
use egret_runtime::shard::{ExecutorStats, Side};

use super::SeaTunnel;
use crate::jobs::JobService;
use crate::json::JsonBuffer;
use crate::node::Node;
use crate::reply::Reply;

impl SeaTunnel {
    /// One object: the node is the only member.
    pub(super) async fn system_monitoring(&self) -> Reply {
        self.node.renew(Part::Vitals).await;
        let fields = fields(&self.node, &self.jobs, &self.node.sampler.vitals());
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

fn fields(node: &Node, jobs: &JobService, vitals: &Vitals) -> Vec<(&'static str, String)> {
    let (machine, process, loads) = (&vitals.machine, &vitals.process, &vitals.loads);
    let average = machine.load_averages.map_or_else(|| "n/a".to_owned(), |[minute, ..]| format!("{minute:.2}"));
    let mut fields = Vec::with_capacity(FIELDS);
    fields.extend([
        ("isMaster", "true".to_owned()),
        ("host", node.host.clone()),
        ("port", node.port.to_string()),
        ("processors", machine.processors.unwrap_or_default().to_string()),
    ]);
    fields.extend(memory(vitals));
    fields.extend(["minor.gc.count", "minor.gc.time", "major.gc.count", "major.gc.time"].map(none));
    fields.extend([
        ("load.process", percent(loads.process)),
        ("load.system", percent(loads.system)),
        ("load.systemAverage", average),
        ("thread.count", process.threads.unwrap_or_default().to_string()),
        ("thread.peakCount", process.threads_peak.unwrap_or_default().to_string()),
    ]);
    let activity = Activity::of(node, jobs);
    fields.extend(ACTIVITY.into_iter().map(|key| activity.field(key)));
    fields
}

fn memory(vitals: &Vitals) -> [(&'static str, String); 10] {
    let (machine, heap) = (&vitals.machine, vitals.heap.as_ref());
    let (used, total, max) = (heap.map(|heap| heap.allocated), heap.map(|heap| heap.resident), machine.memory_total);
    let free = total.zip(used).map(|(total, used)| total.saturating_sub(used));
    let share = |whole: Option<u64>| {
        let (used, whole) = used.zip(whole)?;
        (whole > 0).then(|| used as f64 / whole as f64)
    };
    [
        ("physical.memory.total", size(machine.memory_total)),
        ("physical.memory.free", size(machine.memory_free)),
        ("swap.space.total", size(machine.swap_total)),
        ("swap.space.free", size(machine.swap_free)),
        ("heap.memory.used", size(used)),
        ("heap.memory.free", size(free)),
        ("heap.memory.total", size(total)),
        ("heap.memory.max", size(max)),
        ("heap.memory.used/total", percent(share(total))),
        ("heap.memory.used/max", percent(share(max))),
    ]
}

/// Queues, commands between shards, connections, jobs.
struct Activity {
    executors: Vec<ExecutorStats>,
    /// Lines for the logs of jobs.
    log_lines: usize,
    /// Closures for threads that may block.
    blocking: usize,
    /// Requests for a sample.
    samples: usize,
    /// Jobs that are held.
    jobs: usize,
    /// Connections from clients.
    clients: u64,
    /// Connections to others.
    outgoing: u64,
}

impl Activity {
    fn of(node: &Node, jobs: &JobService) -> Self {
        let jobs = jobs.counts();
        Self {
            executors: node.shards.stats(),
            log_lines: node.settings.logs.as_ref().map_or(0, |logs| logs.waiting()),
            blocking: node.shards.blocking_waiting(),
            samples: node.sampler.stats().waiting,
            jobs: jobs.running + jobs.remembered,
            clients: node.stats.iter().map(|shard| shard.open.get()).sum(),
            outgoing: outgoing_open(),
        }
    }

    fn field(&self, key: &'static str) -> (&'static str, String) {
        let all = |value: fn(&ExecutorStats) -> u64| self.executors.iter().map(value).sum::<u64>();
        let of = |side: Side, value: fn(&ExecutorStats) -> u64| {
            self.executors.iter().filter(|executor| executor.side == side).map(value).sum::<u64>()
        };
        let waiting = |executor: &ExecutorStats| executor.mailbox_depth as u64;
        let value = match key {
            "event.q.size" => self.log_lines as u64,
            "executor.q.async.size" => of(Side::Work, |executor| executor.ready),
            "executor.q.client.size" => of(Side::Front, |executor| executor.ready),
            "executor.q.client.blocking.size" => self.blocking as u64,
            "executor.q.io.size" => of(Side::Front, waiting),
            "executor.q.operations.size" => of(Side::Work, waiting),
            "executor.q.system.size" => self.samples as u64,
            "operations.completed.count" => all(|executor| executor.commands.saturating_sub(executor.commands_running)),
            "operations.running.count" => all(|executor| executor.commands_running),
            "operations.pending.invocations.count" => all(waiting),
            "operations.pending.invocations.percentage" => {
                let room = all(|executor| executor.mailbox_capacity as u64);
                return (key, percent((room > 0).then(|| all(waiting) as f64 / room as f64)));
            }
            "proxy.count" => self.jobs as u64,
            "clientEndpoint.count" | "client.connection.count" => self.clients,
            "connection.active.count" | "connection.count" => self.clients + self.outgoing,
            _ => return none(key),
        };
        (key, value.to_string())
    }
}

/// All keys.
const FIELDS: usize = 23 + ACTIVITY.len();

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
    (key, if key.ends_with(".time") { "0ms" } else { "0" }.to_owned())
}

/// One digit and a unit of 1024; plain where it is not more than such a unit. What is not known is 0.
fn size(bytes: Option<u64>) -> String {
    let bytes = bytes.unwrap_or_default();
    let units = [(60, "E"), (50, "P"), (40, "T"), (30, "G"), (20, "M"), (10, "K")];
    match units.into_iter().find(|(bits, _)| bytes > 1 << bits) {
        Some((bits, unit)) => format!("{:.1}{unit}", bytes as f64 / (1u64 << bits) as f64),
        None => bytes.to_string(),
    }
}

/// Two digits. What is not known is 0.
fn percent(share: Option<f64>) -> String {
    format!("{:.2}%", share.unwrap_or_default() * 100.0)
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
            assert_eq!(size(Some(bytes)), text, "{bytes}");
        }
    }

    #[test]
    fn what_there_is_not_has_the_form_that_clients_read() {
        assert_eq!(none("minor.gc.time").1, "0ms");
        assert_eq!(none("cluster.timeDiff").1, "0");
        assert_eq!((percent(Some(0.23541)), percent(None), size(None)), ("23.54%".into(), "0.00%".into(), "0".into()));
    }
}
