//! system-monitoring-information (contract A.8). All values are texts, in the order of the contract.
//!
//! `docs/system-monitoring.md` says of each field where it comes from, and why some are always 0. Some ask for it a
//! thousand times a second: each key is one text with the punctuation around it, each value is written straight behind
//! it, and nothing is allocated but the answer.

use egret_collectors::{Part, Vitals};
use egret_runtime::net::outgoing_open;
use egret_runtime::shard::{Queues, Side};

use super::SeaTunnel;
use crate::jobs::JobService;
use crate::json::JsonBuffer;
use crate::node::Node;
use crate::reply::Reply;

/// More than an answer has.
const ANSWER_BYTES: usize = 2048;

impl SeaTunnel {
    /// One object: the node is the only member.
    pub(super) async fn system_monitoring(&self) -> Reply {
        self.node.renew(Part::Vitals).await;
        let mut json = self.json.borrow_mut();
        json.reserve(ANSWER_BYTES);
        write(&self.node, &self.jobs, &self.node.sampler.vitals(), &mut json);
        Reply::json(json.take())
    }
}

/// What stands between the value before and the value of this key.
macro_rules! key {
    ($key:literal) => {
        concat!("\",\"", $key, "\":\"")
    };
}

fn write(node: &Node, jobs: &JobService, vitals: &Vitals, json: &mut JsonBuffer) {
    json.raw(r#"[{"isMaster":"true","host":"#).string(&node.host);
    json.raw(r#","port":""#).integer(node.port);
    memory(vitals, json);
    json.raw(key!("minor.gc.count")).raw("0").raw(key!("minor.gc.time")).raw("0ms");
    json.raw(key!("major.gc.count")).raw("0").raw(key!("major.gc.time")).raw("0ms");
    loads(vitals, json);
    queues(node, json);
    held(node, jobs, json);
    json.raw(r#""}]"#);
}

fn memory(vitals: &Vitals, json: &mut JsonBuffer) {
    let (machine, heap) = (&vitals.machine, vitals.heap.as_ref());
    let (used, total, max) = (heap.map(|heap| heap.allocated), heap.map(|heap| heap.resident), machine.memory_total);
    let free = total.zip(used).map(|(total, used)| total.saturating_sub(used));
    let share = |whole: Option<u64>| {
        let (used, whole) = used.zip(whole)?;
        (whole > 0).then(|| used as f64 / whole as f64)
    };
    json.raw(key!("processors")).integer(machine.processors.unwrap_or_default());
    size(json.raw(key!("physical.memory.total")), machine.memory_total);
    size(json.raw(key!("physical.memory.free")), machine.memory_free);
    size(json.raw(key!("swap.space.total")), machine.swap_total);
    size(json.raw(key!("swap.space.free")), machine.swap_free);
    size(json.raw(key!("heap.memory.used")), used);
    size(json.raw(key!("heap.memory.free")), free);
    size(json.raw(key!("heap.memory.total")), total);
    size(json.raw(key!("heap.memory.max")), max);
    percent(json.raw(key!("heap.memory.used/total")), share(total));
    percent(json.raw(key!("heap.memory.used/max")), share(max));
}

fn loads(vitals: &Vitals, json: &mut JsonBuffer) {
    let (process, loads) = (&vitals.process, &vitals.loads);
    percent(json.raw(key!("load.process")), loads.process);
    percent(json.raw(key!("load.system")), loads.system);
    json.raw(key!("load.systemAverage"));
    match vitals.machine.load_averages {
        Some([minute, ..]) => two_digits(json, minute),
        None => json.raw("n/a"),
    };
    json.raw(key!("thread.count")).integer(process.threads.unwrap_or_default());
    json.raw(key!("thread.peakCount")).integer(process.threads_peak.unwrap_or_default());
}

/// Queues, and commands between shards.
fn queues(node: &Node, json: &mut JsonBuffer) {
    let (front, work) = (node.shards.queues(Side::Front), node.shards.queues(Side::Work));
    let Queues { messages, messages_max, commands, commands_running, .. } = front + work;
    let log_lines = node.settings.logs.as_ref().map_or(0, |logs| logs.waiting());
    json.raw(key!("cluster.timeDiff")).raw("0");
    json.raw(key!("event.q.size")).integer(log_lines);
    json.raw(key!("executor.q.async.size")).integer(work.ready);
    json.raw(key!("executor.q.client.size")).integer(front.ready);
    json.raw(key!("executor.q.client.query.size")).raw("0");
    json.raw(key!("executor.q.client.blocking.size")).integer(node.shards.blocking_waiting());
    json.raw(key!("executor.q.query.size")).raw("0");
    json.raw(key!("executor.q.scheduled.size")).raw("0");
    json.raw(key!("executor.q.io.size")).integer(front.messages);
    json.raw(key!("executor.q.system.size")).integer(node.sampler.stats().waiting);
    json.raw(key!("executor.q.operations.size")).integer(work.messages);
    json.raw(key!("executor.q.priorityOperation.size")).raw("0");
    json.raw(key!("operations.completed.count")).integer(commands.saturating_sub(commands_running));
    json.raw(key!("executor.q.mapLoad.size")).raw("0");
    json.raw(key!("executor.q.mapLoadAllKeys.size")).raw("0");
    json.raw(key!("executor.q.cluster.size")).raw("0");
    json.raw(key!("executor.q.response.size")).raw("0");
    json.raw(key!("operations.running.count")).integer(commands_running);
    let full = (messages_max > 0).then(|| messages as f64 / messages_max as f64);
    percent(json.raw(key!("operations.pending.invocations.percentage")), full);
    json.raw(key!("operations.pending.invocations.count")).integer(messages);
}

/// Jobs and connections.
fn held(node: &Node, jobs: &JobService, json: &mut JsonBuffer) {
    let counts = jobs.counts();
    let clients: u64 = node.stats.iter().map(|shard| shard.open.get()).sum();
    let all = clients + outgoing_open();
    json.raw(key!("proxy.count")).integer(counts.running + counts.remembered);
    json.raw(key!("clientEndpoint.count")).integer(clients);
    json.raw(key!("connection.active.count")).integer(all);
    json.raw(key!("client.connection.count")).integer(clients);
    json.raw(key!("connection.count")).integer(all);
}

/// One digit and a unit of 1024, rounded half up; plain where it is not more than such a unit. What is not known is 0.
fn size(json: &mut JsonBuffer, bytes: Option<u64>) {
    let bytes = bytes.unwrap_or_default();
    let units = [(60, "E"), (50, "P"), (40, "T"), (30, "G"), (20, "M"), (10, "K")];
    match units.into_iter().find(|(bits, _)| bytes > 1 << bits) {
        Some((bits, unit)) => {
            let tenths = (u128::from(bytes) * 10 + (1 << (bits - 1))) >> bits;
            json.integer((tenths / 10) as u64).raw(".").integer((tenths % 10) as u8).raw(unit)
        }
        None => json.integer(bytes),
    };
}

/// Two digits. What is not known is 0.
fn percent(json: &mut JsonBuffer, share: Option<f64>) {
    two_digits(json, share.unwrap_or_default() * 100.0).raw("%");
}

/// A number that is not negative with two digits, rounded half up.
fn two_digits(json: &mut JsonBuffer, number: f64) -> &mut JsonBuffer {
    // Not negative, and no number at all becomes 0: so the cast says.
    let hundredths = (number * 100.0).round() as u64;
    let digits = (hundredths % 100) as u8;
    json.integer(hundredths / 100).raw(if digits < 10 { ".0" } else { "." }).integer(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut JsonBuffer)) -> String {
        let mut json = JsonBuffer::default();
        write(&mut json);
        String::from_utf8(json.take().to_vec()).expect("text")
    }

    #[test]
    fn sizes_are_written_as_the_original_writes_them() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1024"),
            (1025, "1.0K"),
            (1280, "1.3K"),
            (2047, "2.0K"),
            (1 << 20, "1024.0K"),
            (16 << 30, "16.0G"),
            (518_636_339, "494.6M"),
            (u64::MAX, "16.0E"),
        ] {
            assert_eq!(written(|json| size(json, Some(bytes))), text, "{bytes}");
        }
        assert_eq!(written(|json| size(json, None)), "0");
    }

    #[test]
    fn shares_have_two_digits() {
        for (share, text) in [
            (Some(0.23541), "23.54%"),
            (Some(0.000449), "0.04%"),
            (Some(0.1), "10.00%"),
            (Some(1.0), "100.00%"),
            (Some(f64::NAN), "0.00%"),
            (None, "0.00%"),
        ] {
            assert_eq!(written(|json| percent(json, share)), text, "{share:?}");
        }
        assert_eq!(written(|json| _ = two_digits(json, 2.07)), "2.07");
    }
}
