//! Taking stacks.

use super::Live;
use super::family::{Table, counter, gauge};

const STACKS: &str = "thread that takes stacks";

pub(super) static STACKS_TAKEN: Table<Live> = Table {
    title: "Stacks of threads",
    intro: "A thread of its own takes thread dumps, and names the stacks of stalls (`docs/thread-dump.md`).",
    labels: &[],
    parts: &[],
    families: &[
        counter("egret_stack_dumps_total", "Thread dumps taken.", STACKS, |live: &Live, out| {
            out.value(live.node.stacks.stats().dumps);
        }),
        gauge(
            "egret_stack_capture_seconds",
            "Time until all threads had answered for the last dump.",
            STACKS,
            |live, out| out.value(live.node.stacks.stats().last_capture),
        ),
        counter("egret_stack_missing_total", "Threads that had no stack in a dump.", STACKS, |live, out| {
            out.value(live.node.stacks.stats().missing);
        }),
        counter("egret_stack_refused_total", "Requests refused, too many waiting.", STACKS, |live, out| {
            out.value(live.node.stacks.stats().refused);
        }),
        counter("egret_stack_panics_total", "Requests that panicked.", STACKS, |live, out| {
            out.value(live.node.stacks.stats().panics);
        }),
        counter("egret_stack_cpu_seconds_total", "CPU time of the thread.", STACKS, |live, out| {
            out.value(live.node.stacks.stats().cpu_time);
        }),
    ],
};
