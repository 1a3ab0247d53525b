//! This process: what it has of the machine, and what it cost to find that out.

use egret_collectors::Part;

use super::Live;
use super::family::{Table, counter, gauge, info};
use crate::node::Node;

const STAT: &str = "`/proc/self/stat`";
const STATUS: &str = "`/proc/self/status`";
const IO: &str = "`/proc/self/io`";
const SAMPLER: &str = "sampler";

pub(super) static PROCESS: Table<Live> = Table {
    title: "Process",
    intro: "",
    labels: &[],
    parts: &[Part::Vitals, Part::Details],
    families: &[
        info("egret_build_info", "The program.", "build", |_: &Live, out| {
            out.labelled(&[Node::VERSION, Node::COMMIT], 1u64);
        })
        .by(&["version", "commit"]),
        gauge(
            "egret_process_load_ratio",
            "Share of the CPUs it may use that the process used, over the window of loads.",
            "clock of the process' CPU time",
            |live, out| out.known(live.vitals.loads.process),
        ),
        gauge("egret_process_threads", "Threads.", STAT, |live, out| out.known(live.vitals.process.threads)),
        gauge("egret_process_threads_peak", "Most threads that a reading has found.", STAT, |live, out| {
            out.known(live.vitals.process.threads_peak);
        }),
        gauge("egret_process_own_memory_bytes", "Heaps and stacks in RAM.", STATUS, |live, out| {
            out.known(live.details.memory_own);
        }),
        gauge("egret_process_memory_peak_bytes", "Most memory of the process that was in RAM.", STATUS, |live, out| {
            out.known(live.details.memory_peak);
        }),
        counter("egret_process_reads_total", "Calls that read, from wherever.", IO, |live, out| {
            out.known(live.details.io.map(|io| io.reads));
        }),
        counter("egret_process_read_bytes_total", "Bytes read, from wherever.", IO, |live, out| {
            out.known(live.details.io.map(|io| io.read_bytes));
        }),
        counter("egret_process_writes_total", "Calls that wrote, to wherever.", IO, |live, out| {
            out.known(live.details.io.map(|io| io.writes));
        }),
        counter("egret_process_written_bytes_total", "Bytes written, to wherever.", IO, |live, out| {
            out.known(live.details.io.map(|io| io.written_bytes));
        }),
        counter("egret_process_disk_read_bytes_total", "Bytes that disks were asked for.", IO, |live, out| {
            out.known(live.details.io.map(|io| io.disk_read_bytes));
        }),
        counter(
            "egret_process_disk_written_bytes_total",
            "Bytes that disks were or will be given.",
            IO,
            |live, out| {
                out.known(live.details.io.map(|io| io.disk_written_bytes));
            },
        ),
    ],
};

pub(super) static SAMPLER_ITSELF: Table<Live> = Table {
    title: "Readings of machine and process",
    intro: "A thread of its own reads the kernel for all who ask; `part` says what it reads.",
    labels: &[],
    parts: &[],
    families: &[
        gauge("egret_sample_age_seconds", "How old the newest sample is.", SAMPLER, |live: &Live, out| {
            for part in Part::ALL {
                if let Some(age) = live.node.sampler.age(part) {
                    out.labelled(&[part.as_str()], age);
                }
            }
        })
        .by(&["part"]),
        counter("egret_samples_total", "Samples taken.", SAMPLER, |live: &Live, out| {
            let samples = live.node.sampler.stats().samples;
            Part::ALL.into_iter().zip(samples).for_each(|(part, count)| out.labelled(&[part.as_str()], count));
        })
        .by(&["part"]),
        counter("egret_sampler_cpu_seconds_total", "CPU time of the sampler's thread.", SAMPLER, |live, out| {
            out.value(live.node.sampler.stats().cpu_time);
        }),
        counter("egret_sampler_panics_total", "Readings that panicked.", SAMPLER, |live, out| {
            out.value(live.node.sampler.stats().panics);
        }),
        counter(
            "egret_sampler_late_total",
            "Requests for which a new sample came too late (`sample_wait_max`).",
            SAMPLER,
            |live, out| out.value(live.node.sampler.stats().late),
        ),
        counter(
            "egret_sampler_refused_total",
            "Requests that took an old sample, too many waiting (`sample_waiters_max`).",
            SAMPLER,
            |live, out| out.value(live.node.sampler.stats().refused),
        ),
        gauge("egret_sampler_waiting", "Requests that wait for a new sample.", SAMPLER, |live, out| {
            out.value(live.node.sampler.stats().waiting)
        }),
    ],
};
