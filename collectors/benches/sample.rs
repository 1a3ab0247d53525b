//! What a sample costs, and what the ways to take it cost, in CPU time: `cargo bench -p egret-collectors`.
//!
//! Each line is the least of some rounds, because whatever else the machine does only adds to it.

use std::fs::File;
use std::hint::black_box;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use egret_collectors::{Part, Sampler, SamplerSettings};
use procfs::process::{Process, Stat};
use procfs::{Current as _, CurrentSI as _, FromBufRead as _, FromBufReadSI as _, FromRead as _};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const ROUNDS: usize = 20;
const CALLS: u32 = 200;

fn main() {
    ways(
        "/proc/stat",
        || drop(black_box(procfs::KernelStats::current())),
        |text| {
            drop(black_box(procfs::KernelStats::from_buf_read(text, procfs::current_system_info())));
        },
    );
    ways(
        "/proc/meminfo",
        || drop(black_box(procfs::Meminfo::current())),
        |text| {
            drop(black_box(procfs::Meminfo::from_buf_read(text)));
        },
    );
    ways(
        "/proc/loadavg",
        || drop(black_box(procfs::LoadAverage::current())),
        |text| {
            drop(black_box(procfs::LoadAverage::from_read(text)));
        },
    );
    let own_stat = || drop(black_box(Process::myself().and_then(|process| process.stat())));
    ways("/proc/self/stat", own_stat, |text| drop(black_box(Stat::from_read(text))));
    let tasks = || -> Option<Vec<Stat>> {
        let tasks = Process::myself().ok()?.tasks().ok()?;
        Some(tasks.filter_map(|task| task.ok()?.stat().ok()).collect())
    };
    line("threads by the library, without stacks", least(|| drop(black_box(tasks()))));
    println!();
    parts();
}

/// A file by the library, by opening and reading it alone, and kept open; the text by the library's parser.
fn ways(path: &str, by_library: impl FnMut(), mut parse: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 1 << 20];
    line(&format!("{path} by the library"), least(by_library));
    let opened = least(|| {
        let mut file = File::open(path).expect("a file");
        black_box(file.read(&mut buffer).expect("read"));
    });
    line(&format!("{path} opened and read, not parsed"), opened);
    let file = File::open(path).expect("a file");
    let kept = least(|| _ = black_box(file.read_at(&mut buffer, 0).expect("read")));
    line(&format!("{path} kept open and read, not parsed"), kept);
    let length = file.read_at(&mut buffer, 0).expect("read");
    line(&format!("{path} parsed by the library"), least(|| parse(&buffer[..length])));
}

/// The parts as the sampler takes them: CPU time of its thread.
fn parts() {
    let settings = SamplerSettings { age_max: Duration::ZERO, ..SamplerSettings::default() };
    let sampler = Sampler::start(settings).expect("a sampler");
    let threads: Vec<_> = (0..20).map(|_| std::thread::spawn(std::thread::park)).collect();
    for part in Part::ALL {
        let mut best = Duration::MAX;
        for _ in 0..ROUNDS {
            let before = sampler.stats();
            (0..CALLS).for_each(|_| _ = sampler.wait(part, Duration::from_secs(5)));
            let after = sampler.stats();
            let samples = after.samples[part as usize] - before.samples[part as usize];
            best = best.min((after.cpu_time - before.cpu_time) / u32::try_from(samples.max(1)).unwrap_or(u32::MAX));
        }
        line(&format!("sample of the {}", part.as_str()), best);
    }
    println!("{} threads, {} size classes", sampler.threads().len(), sampler.allocations().len());
    threads.into_iter().for_each(|thread| {
        thread.thread().unpark();
        let _ = thread.join();
    });
}

fn line(what: &str, time: Duration) {
    println!("{what:52} {:8.1} us", time.as_secs_f64() * 1e6);
}

/// CPU time of a call, the least of some rounds.
fn least(mut call: impl FnMut()) -> Duration {
    let round = |call: &mut dyn FnMut()| {
        let begun = thread_time();
        (0..CALLS).for_each(|_| call());
        (thread_time() - begun) / CALLS
    };
    (0..ROUNDS).map(|_| round(&mut call)).min().unwrap_or_default()
}

fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec, which the call fills.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
