use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_lite::future::{block_on, poll_once};

use super::core::Message;
use super::*;

mod timings;

/// Longer than anything takes, also on a machine that others keep busy.
const STOP: Duration = Duration::from_secs(60);
const NEVER: Duration = Duration::from_secs(3600);

fn one_cpu() -> ShardsConfig {
    let cpu = affinity::affinity().expect("affinity")[0];
    ShardsConfig { cpus: Some(cpu.to_string().parse().expect("list")), blocking_threads: 1, ..ShardsConfig::default() }
}

fn start(config: ShardsConfig) -> (Shards, FrontHandle, WorkHandle) {
    let shards = Shards::start(config).expect("start");
    let (front, work) = (shards.front(ShardId(0)).clone(), shards.work(ShardId(0)).clone());
    (shards, front, work)
}

#[test]
fn tasks_run_on_the_executor_they_were_sent_to() {
    let (shards, front, work) = start(one_cpu());
    let name = || std::thread::current().name().unwrap_or_default().to_owned();
    assert_eq!(block_on(front.call(move || async move { name() })), Ok("egret-front-0".to_owned()));
    let group = WorkGroup::new(1);
    let handle = work.spawn_joined(&group, move || async move {
        // Not Send, and alive across a wait.
        let count = Rc::new(Cell::new(0));
        let inner = count.clone();
        let joined = join_local(async move { inner.set(inner.get() + 1) });
        sleep(Duration::from_millis(2)).await;
        joined.await.expect("the local task ends");
        (name(), count.get(), current_shard())
    });
    assert_eq!(block_on(handle.expect("room")), Ok(("egret-work-0".to_owned(), 1, Some(ShardId(0)))));
    assert_eq!(current_shard(), None);
    shards.stop(STOP).expect("stop");
    assert_eq!(block_on(front.call(|| async {})), Err(CallError::Gone));
    assert!(work.spawn(&group, || async {}).expect_err("stopped").stopped);
}

#[test]
fn both_executors_share_their_cpu_and_work_has_the_lower_priority() {
    let (shards, front, work) = start(one_cpu());
    let cpu = shards.stats()[0].cpu;
    // SAFETY: a plain call; 0 names the calling thread.
    let own = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let here = own();
    let look = move || async move { (affinity::affinity().expect("affinity"), own()) };
    assert_eq!(block_on(front.call(look)), Ok((vec![cpu], here)));
    let group = WorkGroup::new(1);
    assert_eq!(block_on(work.call(&group, look)), Ok((vec![cpu], here.max(10))));
    assert_eq!(block_on(shards.run_blocking(own)), Ok(here.max(10)));
    shards.stop(STOP).expect("stop");
}

#[test]
fn work_that_never_waits_lets_others_run_and_sleeps_end_in_time() {
    let (shards, _, work) = start(one_cpu());
    let group = WorkGroup::new(1);
    let stop = Signal::new();
    let hog = stop.clone();
    work.spawn(&group, move || async move {
        while !hog.is_set() {
            std::hint::spin_loop();
            give_way().await;
        }
    })
    .expect("room");
    // The time of the executor: that of the others is not its own.
    let own_cpu = || Duration::from_nanos(stall::CpuClock::OWN.read().expect("a time"));
    let waited = work.spawn_joined(&group, move || async move {
        let (began, used) = (Instant::now(), own_cpu());
        sleep(Duration::from_millis(20)).await;
        (began.elapsed(), own_cpu() - used)
    });
    let (waited, worked) = block_on(waited.expect("room")).expect("ends");
    assert!(waited >= Duration::from_millis(20) && worked < Duration::from_millis(500), "{waited:?} {worked:?}");
    let turns = shards.stats()[1].reactor_turns;
    assert!(turns > 2, "{turns}");
    stop.set();
    shards.stop(STOP).expect("stop");
}

#[test]
fn blocking_work_is_awaited_from_an_executor() {
    let (shards, front, _) = start(one_cpu());
    let name = block_on(
        front.call(|| async { run_blocking(|| std::thread::current().name().unwrap_or_default().to_owned()).await }),
    );
    assert_eq!(name, Ok(Ok("egret-block-0".to_owned())));
    assert_eq!(block_on(run_blocking(|| ())), Err(BlockingError::Stopped));
    assert_eq!(block_on(shards.run_blocking(|| 3)), Ok(3));
    shards.stop(STOP).expect("stop");
}

#[test]
fn the_task_that_runs_is_not_one_of_those_that_wait() {
    use futures_lite::future::yield_now;
    let (shards, front, _) = start(one_cpu());
    let waiting = {
        let shards = shards.clone();
        move || shards.queues(Side::Front).ready
    };
    let alone = waiting.clone();
    assert_eq!(block_on(front.call(|| async move { alone() })), Ok(0));
    let beside_three = front.call(|| async move {
        let stop = Rc::new(Cell::new(false));
        for _ in 0..3 {
            let stop = stop.clone();
            spawn_local(async move {
                while !stop.get() {
                    yield_now().await;
                }
            });
        }
        // They have begun once this one was behind them.
        yield_now().await;
        let seen = waiting();
        stop.set(true);
        seen
    });
    assert_eq!(block_on(beside_three), Ok(3));
    assert!(eventually(|| shards.queues(Side::Front).ready == 0));
    let (front, all) = (shards.queues(Side::Front), shards.queues(Side::Front) + shards.queues(Side::Work));
    assert_eq!((front.commands, front.commands_running, front.messages), (2, 0, 0));
    assert_eq!(all.messages_max, 2 * ShardsConfig::default().mailbox_capacity as u64);
    shards.stop(STOP).expect("stop");
}

/// Shards that no tick and no watchdog wakes: what gets on here gets on by itself.
fn start_unguarded() -> (Shards, FrontHandle, WorkHandle) {
    let cpu = affinity::affinity().expect("affinity")[0];
    let config = ShardsConfig {
        tick: NEVER,
        tick_with_tasks: NEVER,
        tick_idle: NEVER,
        watchdog_wake: NEVER,
        watchdog_warn: NEVER,
        blocking_threads: 1,
        ..ShardsConfig::default()
    };
    let shards = Shards::start_on(&[cpu], config).expect("start");
    let (front, work) = (shards.front(ShardId(0)).clone(), shards.work(ShardId(0)).clone());
    (shards, front, work)
}

/// The result of a future that is there within a minute.
fn soon<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut result = None;
    assert!(eventually(|| {
        result = block_on(poll_once(future.as_mut()));
        result.is_some()
    }));
    result.expect("it was there")
}

#[test]
fn no_wake_is_lost_between_executors() {
    let (shards, front, work) = start_unguarded();
    let group = WorkGroup::new(1);
    let callers: Vec<_> = (0..4u64)
        .map(|caller| {
            let (front, back, group_there) = (front.clone(), work.clone(), group.clone());
            let caller = move || async move {
                let mut sum = 0;
                for number in 0..1000u64 {
                    sum += front.call(move || async move { number }).await.expect("front");
                    if number % 4 == caller {
                        sum += back.call(&group_there, || async { 1 }).await.expect("work");
                        sum += run_blocking(|| 1).await.expect("blocking");
                    }
                }
                sum
            };
            work.spawn_joined(&group, caller).expect("room")
        })
        .collect();
    for caller in callers {
        assert_eq!(soon(caller), Ok(999 * 500 + 500));
    }
    shards.stop(STOP).expect("stop");
}

#[test]
fn wakes_cross_executors_and_threads() {
    let (shards, front, work) = start_unguarded();
    let group = WorkGroup::new(1);
    let (there, back) = (Signal::new(), Signal::new());
    let (waits, answers) = (there.clone(), back.clone());
    work.spawn(&group, move || async move {
        waits.wait().await;
        answers.set();
    })
    .expect("room");
    front.spawn(move || async move { assert!(there.set()) }).expect("room");
    soon(back.wait());
    shards.stop(STOP).expect("stop");
}

#[test]
fn a_cancelled_group_drops_its_tasks_and_no_others() {
    struct Dropped(Arc<AtomicU64>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (shards, _, work) = start_unguarded();
    let dropped = Arc::new(AtomicU64::new(0));
    let (doomed, stays) = (WorkGroup::new(1), WorkGroup::new(1));
    let never = Signal::new();
    let handles: Vec<_> = (0..10)
        .map(|_| {
            let (guard, wait) = (Dropped(dropped.clone()), never.wait());
            work.spawn_joined(&doomed, move || async move {
                let _guard = guard;
                wait.await;
            })
            .expect("room")
        })
        .collect();
    let go = Signal::new();
    let wait = go.wait();
    let survivor = work.spawn_joined(&stays, move || wait).expect("room");
    assert!(eventually(|| shards.stats()[1].tasks == 11));
    doomed.cancel();
    for handle in handles {
        assert_eq!(soon(handle), Err(JoinError::Cancelled));
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 10);
    assert_eq!(soon(work.call(&doomed, || async {})), Err(CallError::Gone));
    go.set();
    assert_eq!(soon(survivor), Ok(()));
    shards.stop(STOP).expect("stop");
}

#[test]
fn the_last_clone_of_a_group_takes_its_tasks_along() {
    let (shards, _, work) = start(one_cpu());
    let never = Signal::new();
    let group = WorkGroup::new(1);
    let wait = never.wait();
    let handle = work.spawn_joined(&group, move || wait).expect("room");
    drop(group);
    assert_eq!(block_on(handle), Err(JoinError::Cancelled));
    shards.stop(STOP).expect("stop");
}

#[test]
fn a_stop_lets_front_tasks_finish_and_drops_work() {
    let (shards, front, work) = start(one_cpu());
    let finished = Arc::new(AtomicBool::new(false));
    let flag = finished.clone();
    front
        .spawn(move || async move {
            sleep(Duration::from_millis(50)).await;
            flag.store(true, Ordering::SeqCst);
        })
        .expect("room");
    let group = WorkGroup::new(1);
    let never = work.spawn_joined(&group, std::future::pending::<()>).expect("room");
    shards.stop(STOP).expect("stop");
    assert!(finished.load(Ordering::SeqCst));
    assert_eq!(block_on(never), Err(JoinError::Cancelled));
}

#[test]
fn a_stop_is_over_in_time_also_when_a_task_never_ends() {
    let (shards, front, _) = start(one_cpu());
    front.spawn(std::future::pending::<()>).expect("room");
    let began = Instant::now();
    shards.stop(Duration::from_millis(100)).expect("dropped after the timeout");
    assert!(began.elapsed() < STOP, "{:?}", began.elapsed());
}

/// A task that is always ready, and the steps that it has made.
fn spin(work: &WorkHandle, group: &WorkGroup) -> Arc<AtomicU64> {
    let steps = Arc::new(AtomicU64::new(0));
    let count = steps.clone();
    let spinner = move || async move {
        loop {
            count.fetch_add(1, Ordering::Relaxed);
            give_way().await;
        }
    };
    work.spawn(group, spinner).expect("room");
    steps
}

#[test]
fn commands_are_counted_when_they_are_taken_and_when_they_end() {
    let (shards, front, work) = start(one_cpu());
    let counts = |executor: usize| {
        let stats = shards.stats().swap_remove(executor);
        (stats.commands, stats.commands_running)
    };
    let go = Signal::new();
    let wait = go.wait();
    let waiting = front.call(move || async move {
        // A task that it starts by itself is no command.
        spawn_local(std::future::pending());
        wait.await;
    });
    assert!(eventually(|| counts(0) == (1, 1)));
    assert_eq!(block_on(front.call(|| async {})), Ok(()));
    assert!(eventually(|| counts(0) == (2, 1)), "the task of a call ends after its reply");
    go.set();
    assert_eq!(block_on(waiting), Ok(()));
    assert!(eventually(|| counts(0) == (2, 0)));
    let group = WorkGroup::new(1);
    group.cancel();
    work.spawn(&group, std::future::pending::<()>).expect("room");
    assert!(eventually(|| counts(1) == (1, 0)), "one that is dropped at once has ended");
    // One task never ends.
    shards.stop(Duration::from_millis(100)).expect("stop");
}

/// Waits until the condition holds, a minute at most; says whether it does.
fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    condition()
}

/// An executor of these falls asleep with a ready task in its queue, as soon as the switch is on.
fn asleep_with_work(config: ShardsConfig) -> (Shards, WorkGroup, Arc<AtomicU64>) {
    let cpu = affinity::affinity().expect("affinity")[0];
    let shards = Shards::start_on(&[cpu], ShardsConfig { blocking_threads: 1, ..config }).expect("start");
    let group = WorkGroup::new(1);
    let steps = spin(shards.work(ShardId(0)), &group);
    assert!(eventually(|| steps.load(Ordering::Relaxed) > 0));
    shards.cores()[1].lose_turns.store(true, Ordering::Relaxed);
    (shards, group, steps)
}

fn goes_on(steps: &AtomicU64) -> bool {
    let seen = steps.load(Ordering::Relaxed);
    eventually(|| steps.load(Ordering::Relaxed) > seen)
}

#[test]
fn an_executor_that_sleeps_with_a_ready_task_is_woken_by_its_tick() {
    let config = ShardsConfig {
        watchdog_wake: NEVER,
        watchdog_warn: NEVER,
        watchdog_abort: 2 * NEVER,
        ..ShardsConfig::default()
    };
    let (shards, _group, steps) = asleep_with_work(config);
    for _ in 0..3 {
        assert!(goes_on(&steps));
    }
    assert_eq!(shards.stats()[1].watchdog_wakes, 0);
    shards.stop(STOP).expect("stop");
}

#[test]
fn an_executor_that_sleeps_with_a_ready_task_is_woken_by_the_watchdog() {
    let (tick, tick_with_tasks, tick_idle) = (NEVER, NEVER, NEVER);
    // Long before it tells of it.
    let (watchdog_warn, watchdog_abort) = (NEVER, 2 * NEVER);
    let (shards, _group, steps) = asleep_with_work(ShardsConfig {
        tick,
        tick_with_tasks,
        tick_idle,
        watchdog_warn,
        watchdog_abort,
        ..ShardsConfig::default()
    });
    for round in 1..=3 {
        assert!(eventually(|| shards.stats()[1].watchdog_wakes >= round));
        assert!(goes_on(&steps));
    }
    shards.stop(STOP).expect("stop");
}

/// An action that keeps what it was told.
fn recorder() -> (FatalAction, Arc<Mutex<Vec<Stall>>>) {
    let stalls = Arc::new(Mutex::new(Vec::new()));
    let record = stalls.clone();
    (FatalAction(Arc::new(move |stall| record.lock().expect("lock").push(stall.clone()))), stalls)
}

#[test]
fn an_executor_that_stands_still_with_work_is_given_up() {
    let (action, stalls) = recorder();
    let (watchdog_warn, watchdog_abort) = (Duration::from_millis(500), Duration::from_millis(1500));
    let (shards, front, work) = start(ShardsConfig { watchdog_warn, watchdog_abort, fatal: Some(action), ..one_cpu() });
    let (go, gate) = crossbeam::channel::bounded::<()>(0);
    let (work_go, work_gate) = (go.clone(), gate.clone());
    let steps = Arc::new(AtomicU64::new(0));
    let begun = |steps: &AtomicU64| steps.fetch_add(1, Ordering::SeqCst);
    // On the work side a long step of a job is another matter.
    let group = WorkGroup::new(1);
    let count = steps.clone();
    let long = move || async move {
        begun(&count);
        assert!(work_gate.recv().is_err());
    };
    work.spawn(&group, long).expect("room");
    assert!(eventually(|| steps.load(Ordering::SeqCst) == 1));
    let count = steps.clone();
    let stands_still = move || async move {
        begun(&count);
        assert!(gate.recv().is_err());
    };
    front.spawn(stands_still).expect("room");
    assert!(eventually(|| steps.load(Ordering::SeqCst) == 2));
    front.spawn(|| async {}).expect("room");
    assert!(eventually(|| !stalls.lock().expect("lock").is_empty()));
    std::thread::sleep(watchdog_abort);
    let stalls = std::mem::take(&mut *stalls.lock().expect("lock"));
    drop((go, work_go));
    assert_eq!(stalls.len(), 1, "{stalls:?}");
    assert_eq!(stalls[0].executor.name, "egret-front-0");
    assert!(stalls[0].step.is_some_and(|(_, _, duration)| duration >= watchdog_abort));
    assert!(stalls[0].has_work && stalls[0].since >= watchdog_abort);
    assert_eq!(stalls[0].all.len(), 2);
    shards.stop(STOP).expect("stop");
}

#[test]
fn an_executor_that_dies_is_given_up_at_once() {
    let (action, stalls) = recorder();
    let (shards, front, _) = start(ShardsConfig { fatal: Some(action), ..one_cpu() });
    let message = Message { group: None, build: Box::new(|| panic!("the driver itself breaks, as planned")) };
    // The executor may be dead before this returns, which then says so.
    if let Err(refused) = shards.cores()[0].send(message) {
        assert!(refused.stopped, "{refused}");
    }
    assert!(eventually(|| !stalls.lock().expect("lock").is_empty()));
    assert!(stalls.lock().expect("lock")[0].dead);
    assert_eq!(block_on(front.call(|| async {})), Err(CallError::Gone));
    shards.stop(STOP).expect("stop");
}

#[test]
fn an_executor_that_cannot_be_pinned_fails_the_start_with_its_cause() {
    let cpu = affinity::affinity().expect("affinity")[0];
    let error = Shards::start_on(&[cpu, CpuList::CPU_MAX], ShardsConfig::default()).expect_err("no such CPU");
    let text = error.to_string();
    assert!(text.contains("-1 on CPU 8191 could not be started: it cannot be pinned"), "{text}");
}
