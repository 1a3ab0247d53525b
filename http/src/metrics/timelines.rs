//! Timelines: what they take, and what there was no room for.

use egret_runtime::metrics::timeline::Resolution;

use super::family::{Table, counter, gauge};
use crate::jobs::TimelinesStats;

/// Names of the resolutions.
const NAMES: [&str; Resolution::ALL.len()] = ["1s", "10s", "60s"];

const ROOM: &str = "room for timelines";
const TICKER: &str = "thread that writes timelines";

pub(super) static TIMELINES: Table<TimelinesStats> = Table {
    title: "Timelines",
    intro: "What is kept of the last seconds, minutes and hours of the node, its jobs and their tasks.",
    labels: &[],
    parts: &[],
    families: &[
        gauge("egret_timelines_bytes", "Bytes of all timelines.", ROOM, |stats: &TimelinesStats, out| {
            out.value(stats.room.bytes);
        }),
        gauge("egret_timelines_max_bytes", "Bytes that timelines may take.", ROOM, |stats: &TimelinesStats, out| {
            out.value(stats.room.bytes_max);
        }),
        gauge(
            "egret_timelines_finest_seconds",
            "The finest resolution that tasks have now.",
            ROOM,
            |stats: &TimelinesStats, out| out.value(stats.room.finest.seconds()),
        ),
        gauge("egret_timelines_tasks", "Running tasks that are looked at.", TICKER, |stats: &TimelinesStats, out| {
            out.value(stats.tasks);
        }),
        gauge(
            "egret_timelines_tasks_without",
            "Those of them for whose timelines there is no room.",
            TICKER,
            |stats: &TimelinesStats, out| out.value(stats.tasks_without),
        ),
        counter(
            "egret_timelines_refused_total",
            "Rings that had no room to begin or grow.",
            ROOM,
            |stats: &TimelinesStats, out| {
                NAMES.into_iter().zip(stats.room.refused).for_each(|(name, count)| out.labelled(&[name], count));
            },
        )
        .by(&["resolution"]),
        counter(
            "egret_timelines_given_up_total",
            "Rings of running tasks that were given up for lack of room, and ended jobs whose timelines were.",
            ROOM,
            |stats: &TimelinesStats, out| {
                let room = &stats.room;
                let given_up = NAMES.into_iter().zip(room.given_up).chain([("ended", room.ended)]);
                given_up.for_each(|(name, count)| out.labelled(&[name], count));
            },
        )
        .by(&["what"]),
        counter("egret_timelines_ticks_total", "Looks at the counters.", TICKER, |stats: &TimelinesStats, out| {
            out.value(stats.ticks);
        }),
        counter(
            "egret_timelines_missed_seconds_total",
            "Seconds without a look.",
            TICKER,
            |stats: &TimelinesStats, out| {
                out.value(stats.missed_seconds);
            },
        ),
        counter(
            "egret_timelines_cpu_seconds_total",
            "CPU time of the thread that looks.",
            TICKER,
            |stats: &TimelinesStats, out| out.value(stats.cpu_time),
        ),
        counter("egret_timelines_panics_total", "Looks that panicked.", TICKER, |stats: &TimelinesStats, out| {
            out.value(stats.panics);
        }),
    ],
};
