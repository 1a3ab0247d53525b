//! Stalls on running shards.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::thread;

use futures_lite::future::block_on;

use super::super::{FrontHandle, ShardId, Shards, ShardsConfig, WorkGroup, WorkHandle, affinity, give_way};
use super::clock::CpuClock;
use super::*;

const STOP: Duration = Duration::from_secs(60);
/// Nothing takes so long, also on a machine that others keep busy.
const STEP_MAX: Duration = Duration::from_secs(60);
/// Far from what a step may lose of CPU time to the kernel, or to the machine below.
const FRONT: Duration = Duration::from_millis(50);

/// Takes no stacks, but notes whose were wanted.
#[derive(Default)]
struct Wanted {
    thread: AtomicI32,
    count: AtomicU64,
    named: AtomicU64,
}

struct Source(Arc<Wanted>);

impl StackSource for Source {
    fn capture(&self, thread: i32) -> Option<Box<dyn NamedLater>> {
        self.0.thread.store(thread, Ordering::SeqCst);
        self.0.count.fetch_add(1, Ordering::SeqCst);
        Some(Box::new(Unnamed(self.0.clone())))
    }
}

struct Unnamed(Arc<Wanted>);

impl NamedLater for Unnamed {
    fn name(self: Box<Self>, then: WithLines) {
        then(&["egret_runtime::somewhere(a.rs:1)".into()]);
        self.0.named.fetch_add(1, Ordering::SeqCst);
    }
}

fn start(stalls: StallSettings) -> (Shards, FrontHandle, WorkHandle, Arc<Wanted>) {
    let cpu = affinity::affinity().expect("affinity")[0];
    let wanted = Arc::new(Wanted::default());
    let config = ShardsConfig {
        cpus: Some(cpu.to_string().parse().expect("list")),
        blocking_threads: 1,
        work_nice: 0,
        watchdog_abort: 2 * STEP_MAX,
        stalls,
        stacks: Some(StackHook(Arc::new(Source(wanted.clone())))),
        ..ShardsConfig::default()
    };
    let shards = Shards::start(config).expect("start");
    let (front, work) = (shards.front(ShardId(0)).clone(), shards.work(ShardId(0)).clone());
    (shards, front, work, wanted)
}

fn own_cpu() -> Duration {
    Duration::from_nanos(CpuClock::OWN.read().expect("a time"))
}

/// Computes until a stack was wanted, for a bounded time; the id of the thread that did.
fn compute_until_caught(wanted: &Wanted) -> i32 {
    let began = std::time::Instant::now();
    while wanted.count.load(Ordering::SeqCst) == 0 && began.elapsed() < STEP_MAX {}
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

fn compute(amount: Duration) {
    let began = own_cpu();
    while own_cpu() - began < amount {}
}

#[test]
fn a_slow_handler_is_caught_in_the_act_and_counted_once() {
    let (shards, front, _, wanted) = start(StallSettings { front: FRONT, ..StallSettings::default() });
    let seen = wanted.clone();
    let thread = block_on(front.call(move || async move { compute_until_caught(&seen) })).expect("a thread");
    assert_eq!(wanted.thread.load(Ordering::SeqCst), thread);
    // The count is there when the driver has gone on.
    block_on(front.call(|| async {})).expect("another step");
    let stats = &shards.stats()[0];
    assert_eq!((stats.stalls, wanted.count.load(Ordering::SeqCst)), (1, 1));
    assert!(u128::from(stats.stall_cpu_ns) > FRONT.as_nanos(), "{}", stats.stall_cpu_ns);
    shards.stop(STOP).expect("stop");
    // It was still running when its stack was taken, or it was not told as its stack.
    assert!(wanted.named.load(Ordering::SeqCst) <= 1);
}

#[test]
fn a_step_that_waits_and_one_that_is_short_are_no_stalls() {
    let (shards, front, work, wanted) = start(StallSettings { front: FRONT, ..StallSettings::default() });
    block_on(front.call(|| async { thread::sleep(FRONT * 2) })).expect("a step");
    for _ in 0..20 {
        block_on(front.call(|| async { compute(FRONT / 10) })).expect("a step");
    }
    let group = WorkGroup::new(1);
    block_on(work.call(&group, || async { compute(Duration::from_millis(60)) })).expect("a step");
    block_on(front.call(|| async {})).expect("another step");
    assert!(shards.stats().iter().all(|executor| executor.stalls == 0), "{:?}", shards.stats());
    assert_eq!(wanted.count.load(Ordering::SeqCst), 0);
    shards.stop(STOP).expect("stop");
}

#[test]
fn a_task_that_keeps_the_token_is_a_stall_and_one_that_passes_it_on_is_not() {
    let stalls = StallSettings { front: FRONT, work: Duration::from_millis(50), ..StallSettings::default() };
    let (shards, _, work, wanted) = start(stalls);
    let group = WorkGroup::new(1);
    let passes = || async {
        for _ in 0..150 {
            compute(Duration::from_millis(1));
            give_way().await;
        }
    };
    block_on(work.call(&group, passes)).expect("a task");
    assert_eq!((shards.stats()[1].stalls, wanted.count.load(Ordering::SeqCst)), (0, 0));
    let seen = wanted.clone();
    let thread = block_on(work.call(&group, move || async move { compute_until_caught(&seen) })).expect("a thread");
    assert_eq!(wanted.thread.load(Ordering::SeqCst), thread);
    block_on(work.call(&group, || async {})).expect("another step");
    assert_eq!(shards.stats()[1].stalls, 1);
    shards.stop(STOP).expect("stop");
}
