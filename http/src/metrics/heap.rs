//! The heap, and the profiler that tells who holds it.

use egret_collectors::{HeapProfiler, Part};

use super::Live;
use super::family::{Table, counter, gauge};

const JEMALLOC: &str = "jemalloc";
const PROFILER: &str = "heap profiler";

pub(super) static HEAP: Table<Live> = Table {
    title: "Heap",
    intro: "What C libraries take from the C library's own allocator is not in it.",
    labels: &[],
    parts: &[Part::Vitals],
    families: &[
        gauge("egret_heap_allocated_bytes", "Bytes given to the program and not given back.", JEMALLOC, |live, out| {
            out.known(live.vitals.heap.map(|heap| heap.allocated));
        }),
        gauge("egret_heap_active_bytes", "Pages that hold something of it.", JEMALLOC, |live, out| {
            out.known(live.vitals.heap.map(|heap| heap.active));
        }),
        gauge(
            "egret_heap_resident_bytes",
            "Pages in RAM, with the allocator's books and what it has not given back to the kernel yet.",
            JEMALLOC,
            |live, out| {
                out.known(live.vitals.heap.map(|heap| heap.resident));
            },
        ),
        gauge("egret_heap_retained_bytes", "Addresses kept for later that hold nothing.", JEMALLOC, |live, out| {
            out.known(live.vitals.heap.map(|heap| heap.retained));
        }),
        gauge("egret_heap_metadata_bytes", "The allocator's books.", JEMALLOC, |live, out| {
            out.known(live.vitals.heap.map(|heap| heap.metadata));
        }),
    ],
};

pub(super) static HEAP_PROFILER: Table<HeapProfiler> = Table {
    title: "Heap profiler",
    intro: "[heap.md](heap.md) tells what it is for.",
    labels: &[],
    parts: &[],
    families: &[
        gauge(
            "egret_heap_profiler_active",
            "Whether the heap profiler is on: 1, else 0.",
            PROFILER,
            |profiler, out| {
                out.value(u64::from(profiler.active));
            },
        ),
        gauge(
            "egret_heap_profiler_sample_bytes",
            "One allocation in so many bytes is recorded while the heap profiler is on.",
            PROFILER,
            |profiler, out| out.value(profiler.sample_bytes),
        ),
        counter(
            "egret_heap_profiles_total",
            "Heap profiles asked for while the profiler was on, by what came of it.",
            PROFILER,
            |profiler: &HeapProfiler, out| {
                out.labelled(&["made"], profiler.made);
                out.labelled(&["failed"], profiler.failed);
            },
        )
        .by(&["outcome"]),
        gauge(
            "egret_heap_profile_text_bytes",
            "Size of the text that the last heap profile was made from (`heap_profile_bytes_max`).",
            PROFILER,
            |profiler, out| out.value(profiler.text_bytes),
        ),
    ],
};
