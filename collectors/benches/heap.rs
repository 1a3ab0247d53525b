//! What jemalloc's profiler costs, asleep and awake, in CPU time: `cargo bench -p egret-collectors --bench heap`.
//!
//! The profiler is there or not from a process' first allocation on, so each round starts a process for each way, one after
//! the other. A line has the least and the median of the rounds, because whatever else the machine does only adds to it.

use std::env;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use egret_collectors::{HEAP_OPTIONS, HeapOptions, find_heap_profiler, heap_profile};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[unsafe(export_name = "_rjem_malloc_conf")]
static JEMALLOC_OPTIONS: HeapOptions = HEAP_OPTIONS;

/// What jemalloc is told on top of its options.
const WAYS: [(&str, &str); 4] = [
    ("without profiler", "prof:false"),
    ("asleep", ""),
    ("awake, 512 KiB", "prof_active:true"),
    ("awake, 16 KiB", "prof_active:true,lg_prof_sample:14"),
];
const ROUNDS: usize = 11;
/// Calls between the thread's start and an allocation: about as many as a task of a job has.
const DEPTH: usize = 50;

type Pattern = fn(&mut fastrand::Rng);
const PATTERNS: [(&str, u32, Pattern); 4] = [
    ("64 bytes, freed at once", 2_000_000, |_| drop(black_box(Vec::<u8>::with_capacity(64)))),
    ("16 to 528 bytes, 256 live", 1_000_000, |random| among(random, 256, 16..528)),
    ("16 to 128 KiB, 32 live", 100_000, |random| among(random, 32, 16 << 10..128 << 10)),
    ("64 bytes grown to 64 KiB", 10_000, |_| {
        let mut bytes = Vec::<u8>::with_capacity(64);
        while bytes.capacity() < 64 << 10 {
            bytes.reserve_exact(bytes.capacity() * 2);
            black_box(&mut bytes);
        }
    }),
];

/// Replaces one of some live blocks.
fn among(random: &mut fastrand::Rng, live: usize, sizes: std::ops::Range<usize>) {
    thread_local! {
        static LIVE: std::cell::RefCell<Vec<Vec<u8>>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    LIVE.with_borrow_mut(|blocks| {
        blocks.resize_with(live, Vec::new);
        blocks[random.usize(..live)] = black_box(Vec::with_capacity(random.usize(sizes)));
    });
}

fn main() {
    if env::args().nth(1).as_deref() == Some("measure") {
        return at_depth(DEPTH, &measure);
    }
    let mut seen = vec![[(); PATTERNS.len() + 1].map(|()| Vec::new()); WAYS.len()];
    for _ in 0..ROUNDS {
        for ((_, options), seen) in WAYS.iter().zip(&mut seen) {
            let this = env::current_exe().expect("a path");
            let run = Command::new(this).arg("measure").env("_RJEM_MALLOC_CONF", options).output().expect("a process");
            let text = String::from_utf8(run.stdout).expect("text");
            let figures: Vec<f64> = text.split_whitespace().map(|figure| figure.parse().expect("a figure")).collect();
            seen.iter_mut().zip(figures).for_each(|(seen, figure): (&mut Vec<f64>, f64)| seen.push(figure));
        }
    }
    let names = PATTERNS.iter().map(|(name, ..)| *name).chain(["a profile, ms"]);
    for (at, name) in names.enumerate() {
        println!("{name}");
        for ((way, _), seen) in WAYS.iter().zip(&mut seen) {
            let figures = &mut seen[at];
            figures.sort_by(f64::total_cmp);
            if let (Some(least), Some(median)) = (figures.first(), figures.get(figures.len() / 2)) {
                println!("  {way:<20} {least:>10.1} {median:>10.1}");
            }
        }
    }
}

/// Calls from so many calls deep.
#[inline(never)]
fn at_depth(depth: usize, call: &dyn Fn()) {
    if depth == 0 {
        call()
    } else {
        at_depth(depth - 1, call)
    }
    black_box(depth);
}

/// Prints nanoseconds for an allocation of each pattern, and how long a profile takes where there is one.
fn measure() {
    let mut random = fastrand::Rng::with_seed(7);
    for (_, calls, pattern) in PATTERNS {
        (0..calls / 10).for_each(|_| pattern(&mut random));
        let begun = cpu_time();
        (0..calls).for_each(|_| pattern(&mut random));
        println!("{}", (cpu_time() - begun).as_nanos() as f64 / f64::from(calls));
    }
    if find_heap_profiler().active {
        let begun = Instant::now();
        heap_profile(u64::MAX).expect("a profile");
        println!("{}", begun.elapsed().as_secs_f64() * 1e3);
    }
}

fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live value.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
