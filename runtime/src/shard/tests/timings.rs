//! What an executor is timed at.

use super::*;
use crate::metrics::Times;

/// Longer than any wait that is not meant.
const LONG: Duration = Duration::from_millis(20);

fn times(shards: &Shards, side: Side, of: ExecutorTime) -> Times {
    let mut times = Times::default();
    shards.times().filter(|executor| executor.side == side).for_each(|executor| times.add(executor.times.of(of)));
    times
}

fn count(shards: &Shards, side: Side, of: ExecutorTime) -> u64 {
    times(shards, side, of).count()
}

/// Computes until it is told, and for a long while more.
fn hold(begun: &AtomicBool, told: &AtomicBool) {
    begun.store(true, Ordering::SeqCst);
    while !told.load(Ordering::SeqCst) {
        std::hint::spin_loop();
    }
    spin(LONG);
}

fn spin(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn is_long(times: &Times) -> bool {
    u128::from(times.max()) >= LONG.as_nanos()
}

#[test]
fn every_message_slice_and_wait_is_counted_once() {
    let (shards, front, work) = start(one_cpu());
    let group = WorkGroup::new(1);
    for _ in 0..20 {
        block_on(front.call(|| async {})).expect("front");
        block_on(work.call(&group, || async {})).expect("work");
    }
    // The executor goes on after it has answered.
    assert!(eventually(|| {
        shards.stats().iter().all(|stats| {
            let count = |of| count(&shards, stats.side, of);
            count(ExecutorTime::Mailbox) == 20
                && count(ExecutorTime::Mailbox) == stats.commands
                && count(ExecutorTime::Slice) == stats.slices
                && count(ExecutorTime::TokenWait) == stats.slices
                && times(&shards, stats.side, ExecutorTime::Slice).sum() == stats.busy_ns
        })
    }));
    shards.stop(STOP).expect("stop");
}

#[test]
fn a_sleeping_executor_counts_how_long_it_takes_to_wake_up() {
    let (shards, front, _) = start_unguarded();
    let woken = |shards: &Shards| count(shards, Side::Front, ExecutorTime::WakeUp);
    for round in 1..=5 {
        // It is found asleep when its run is over, some time after its answer.
        assert!(eventually(|| {
            block_on(front.call(|| async {})).expect("front");
            woken(&shards) >= round
        }));
    }
    assert_eq!(count(&shards, Side::Front, ExecutorTime::Tick), 0, "there is no tick that could be due");
    shards.stop(STOP).expect("stop");
}

#[test]
fn an_executor_ticks_soon_after_work_and_seldom_when_a_tick_has_found_nothing() {
    let ms = Duration::from_millis;
    let (shards, front, _) = start(ShardsConfig { tick: ms(20), tick_idle: NEVER, ..one_cpu() });
    let progress = || shards.stats()[0].progress;
    let ticks = || count(&shards, Side::Front, ExecutorTime::Tick);
    for _ in 0..3 {
        // Ten ticks would be due meanwhile.
        assert!(eventually(|| {
            let seen = progress();
            std::thread::sleep(ms(200));
            progress() == seen
        }));
        let before = ticks();
        block_on(front.call(|| async {})).expect("front");
        assert!(eventually(|| ticks() > before));
    }
    shards.stop(STOP).expect("stop");
}

#[test]
fn a_tick_that_is_due_is_held_against_the_clock() {
    let (shards, ..) =
        start(ShardsConfig { tick_idle: Duration::from_millis(5), tick: Duration::from_millis(5), ..one_cpu() });
    assert!(eventually(|| count(&shards, Side::Front, ExecutorTime::Tick) >= 3));
    shards.stop(STOP).expect("stop");
}

#[test]
fn a_message_waits_as_long_as_its_executor_is_at_something_else() {
    let (shards, front, _) = start(one_cpu());
    let flags = Arc::new((AtomicBool::new(false), AtomicBool::new(false)));
    let there = flags.clone();
    front.spawn(move || async move { hold(&there.0, &there.1) }).expect("room");
    assert!(eventually(|| flags.0.load(Ordering::SeqCst)));
    let call = front.call(|| async {});
    flags.1.store(true, Ordering::SeqCst);
    block_on(call).expect("front");
    assert!(is_long(&times(&shards, Side::Front, ExecutorTime::Mailbox)));
    assert!(is_long(&times(&shards, Side::Front, ExecutorTime::Slice)));
    shards.stop(STOP).expect("stop");
}

#[test]
fn a_task_waits_for_the_token_from_the_moment_at_which_it_is_ready() {
    for spawned in [false, true] {
        let (shards, _, work) = start(one_cpu());
        let group = WorkGroup::new(1);
        let waited = block_on(work.call(&group, move || async move {
            let signal = Signal::new();
            let ready = signal.clone();
            if !spawned {
                // It waits already when it is woken.
                let waiting = join_local(async move { ready.wait().await });
                sleep(Duration::from_millis(1)).await;
                signal.set();
                spin(LONG);
                return waiting.await;
            }
            let waiting = join_local(async {});
            spin(LONG);
            waiting.await
        }));
        assert_eq!(waited, Ok(Ok(())));
        assert!(eventually(|| is_long(&times(&shards, Side::Work, ExecutorTime::TokenWait))), "spawned: {spawned}");
        shards.stop(STOP).expect("stop");
    }
}

#[test]
fn reactor_turns_are_timed() {
    let (shards, _, work) = start(one_cpu());
    let group = WorkGroup::new(1);
    work.spawn(&group, || async {
        loop {
            give_way().await;
        }
    })
    .expect("room");
    assert!(eventually(|| count(&shards, Side::Work, ExecutorTime::Turn) >= 3));
    assert!(times(&shards, Side::Work, ExecutorTime::Turn).sum() > 0);
    drop(group);
    shards.stop(STOP).expect("stop");
}
