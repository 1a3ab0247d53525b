//! What timing costs: `cargo bench -p egret-runtime --bench timings`.
//!
//! The last two lines are of the whole shard; beside those of an older tree, in turns, they tell what timing adds there.
//! Each line is the least of some rounds, because whatever else the machine does only adds to it.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use egret_runtime::metrics::{Buckets, Counted, QUANTILES, Times};
use egret_runtime::shard::{ShardId, Shards, ShardsConfig, WorkGroup};
use futures_lite::future::block_on;

const ROUNDS: usize = 7;

fn main() {
    clock();
    recording();
    reading();
    shard();
}

fn line(what: &str, mut round: impl FnMut() -> Duration, calls: u32) {
    let least = (0..ROUNDS).map(|_| round()).min().unwrap_or_default();
    println!("{what:44} {:>9.1} ns", least.as_nanos() as f64 / f64::from(calls));
}

fn timed(run: impl FnOnce()) -> Duration {
    let began = Instant::now();
    run();
    began.elapsed()
}

fn clock() {
    const CALLS: u32 = 1_000_000;
    line("a look at the clock", || timed(|| (0..CALLS).for_each(|_| _ = black_box(Instant::now()))), CALLS);
}

/// Durations around 20 us, as slices are.
fn durations() -> Vec<u64> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..1 << 16).map(|_| 5_000 + random.u64(0..40_000)).collect()
}

fn recording() {
    let (buckets, durations) = (Buckets::default(), durations());
    let record = || durations.iter().for_each(|nanos| black_box(&buckets).record(*nanos));
    line("a duration recorded", || timed(record), durations.len() as u32);
}

fn reading() {
    const CALLS: u32 = 1_000;
    let buckets = Buckets::default();
    durations().iter().for_each(|nanos| buckets.record(*nanos));
    let mut times = Times::default();
    let mut add = || {
        for _ in 0..CALLS {
            times.clear();
            black_box(&mut times).add(&buckets);
        }
    };
    line("buckets of four powers of two added up", || timed(&mut add), CALLS);
    let bounds = [1_000, 10_000, 100_000, 1_000_000];
    line(
        "counts up to four bounds, of the same buckets",
        || timed(|| (0..CALLS).for_each(|_| _ = black_box(Counted::of(&bounds, [black_box(&buckets)])))),
        CALLS,
    );
    let quantiles = || (0..CALLS).for_each(|_| _ = black_box(times.quantiles(&QUANTILES)));
    line("seven quantiles", || timed(quantiles), CALLS);
    line("folded", || timed(|| (0..CALLS).for_each(|_| drop(black_box(times.fold())))), CALLS);
}

/// Wakes its own task and waits.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn shard() {
    const SLICES: u32 = 500_000;
    const MESSAGES: u32 = 200_000;
    let shards = Shards::start(ShardsConfig::default()).expect("shards");
    let (front, work, group) = (shards.front(ShardId(0)), shards.work(ShardId(0)), WorkGroup::new(1));
    let slices = || {
        let all = work.call(&group, || async {
            let began = Instant::now();
            for _ in 0..SLICES {
                Yield(false).await;
            }
            began.elapsed()
        });
        block_on(all).expect("the task ends")
    };
    line("a slice that does nothing, with its wake", slices, SLICES);
    let messages = || {
        timed(|| {
            for _ in 0..MESSAGES {
                while front.spawn(|| async {}).is_err() {
                    std::thread::yield_now();
                }
            }
            while block_on(front.call(|| async {})).is_err() {
                std::thread::yield_now();
            }
        })
    };
    line("a message to another thread, with its task", messages, MESSAGES);
    shards.stop(Duration::from_secs(5)).expect("the shards stop");
}
