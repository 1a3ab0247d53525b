//! Shards: each executor, and the threads beside them that may block.

use egret_runtime::net::outgoing_open;
use egret_runtime::shard::{ExecutorStats, Side};

use super::Live;
use super::family::{Table, counter, gauge};
use super::items::Items;
use super::text::nanos;

const DRIVER: &str = "counters of the driver";
const MAILBOX: &str = "mailbox";

pub(super) static EXECUTORS: Table<ExecutorStats> = Table {
    title: "Executors of the shards",
    intro: "Each shard has a `front` and a `work` executor, a thread each.",
    labels: &["executor", "shard", "side"],
    parts: &[],
    families: &[
        gauge("egret_executor_cpu", "Number of the CPU that it is pinned to.", "shards", |executor, out| {
            out.value(executor.cpu);
        }),
        gauge("egret_executor_tasks", "Tasks that exist.", DRIVER, |executor, out| out.value(executor.tasks)),
        gauge("egret_executor_ready", "Tasks that are ready to run.", DRIVER, |executor, out| {
            out.value(executor.ready);
        }),
        counter("egret_executor_started_total", "Tasks that were started.", DRIVER, |executor, out| {
            out.value(executor.started);
        }),
        counter("egret_executor_panics_total", "Tasks that panicked.", DRIVER, |executor, out| {
            out.value(executor.panicked);
        }),
        counter("egret_executor_slices_total", "Slices of tasks.", DRIVER, |executor, out| {
            out.value(executor.slices);
        }),
        counter("egret_executor_busy_seconds_total", "Time in tasks.", DRIVER, |executor, out| {
            out.value(nanos(executor.busy_ns));
        }),
        gauge("egret_executor_longest_slice_seconds", "The longest slice since the start.", DRIVER, |executor, out| {
            out.value(nanos(executor.longest_slice_ns));
        }),
        counter(
            "egret_executor_reactor_turns_total",
            "Turns of the reactor between slices.",
            DRIVER,
            |executor, out| out.value(executor.reactor_turns),
        ),
        gauge("egret_executor_mailbox_depth", "Messages that wait.", MAILBOX, |executor, out| {
            out.value(executor.mailbox_depth);
        }),
        gauge("egret_executor_mailbox_capacity", "Messages that may wait.", MAILBOX, |executor, out| {
            out.value(executor.mailbox_capacity);
        }),
        counter(
            "egret_executor_mailbox_refused_total",
            "Messages refused by a full mailbox.",
            MAILBOX,
            |executor, out| {
                out.value(executor.mailbox_refused);
            },
        ),
        counter(
            "egret_executor_commands_total",
            "Messages taken, each of which starts a task.",
            MAILBOX,
            |executor, out| {
                out.value(executor.commands);
            },
        ),
        gauge(
            "egret_executor_commands_running",
            "Messages taken whose task has not ended.",
            MAILBOX,
            |executor, out| out.value(executor.commands_running),
        ),
        counter(
            "egret_executor_watchdog_wakes_total",
            "Times that the watchdog had to wake it.",
            "watchdog",
            |executor, out| out.value(executor.watchdog_wakes),
        ),
        counter(
            "egret_executor_stalls_total",
            "Steps that used more CPU time than `stall_front` or `stall_work`.",
            DRIVER,
            |executor, out| out.value(executor.stalls),
        ),
        counter("egret_executor_stall_cpu_seconds_total", "CPU time of these steps.", DRIVER, |executor, out| {
            out.value(nanos(executor.stall_cpu_ns));
        }),
    ],
};

pub(super) fn executors(live: &Live) -> Items<ExecutorStats> {
    let mut items = Items::new(&EXECUTORS);
    for executor in live.executors() {
        let side = match executor.side {
            Side::Front => "front",
            Side::Work => "work",
        };
        items.push(&[&executor.name, itoa::Buffer::new().format(executor.shard.0), side], executor.clone());
    }
    items
}

pub(super) static BESIDE: Table<Live> = Table {
    title: "Beside the executors",
    intro: "",
    labels: &[],
    parts: &[],
    families: &[
        gauge("egret_blocking_waiting", "Closures that wait for a thread that may block.", "shards", |live, out| {
            out.value(live.node.shards.blocking_waiting());
        }),
        gauge("egret_outgoing_connections", "Connections that connectors hold to others.", "sockets", |_, out| {
            out.value(outgoing_open());
        }),
    ],
};
