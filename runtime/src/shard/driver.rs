//! The driver: the one task that an executor of the library runs. It owns all of ours.
//!
//! The library's own scheduling is not leaned on: a task that panics there takes its thread along, a cancelled one
//! leaks, and its queues let a request wait behind a job for milliseconds. Here a task is a boxed future in a table;
//! dropping it is free, each poll is guarded, and the [token](super::token) says who is next. After a slice's worth of
//! polls the driver makes a *reactor turn*: it sleeps for a microsecond, which has the executor submit and reap I/O.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use glommio::timer::Timer;
use rustc_hash::FxHashMap;

use super::ShardsConfig;
use super::core::{Cause, Core, LocalFuture, Message, Order, Sent, TaskState};
use super::group::GroupState;
use super::local::{self, Spawned};
use super::meter::Meter;
use super::stall::Judge;
use super::stats::Side;
use super::times::ExecutorTime;
use super::token::Token;

/// A task in the table.
struct Task {
    future: LocalFuture,
    state: Arc<TaskState>,
    waker: Waker,
    group: u32,
    /// It came by the mailbox.
    is_command: bool,
}

/// A group with tasks on this executor.
struct Group {
    state: Arc<GroupState>,
    tasks: usize,
    /// Time run that the group's counter does not have yet.
    busy_ns: u64,
}

/// Runs an executor's tasks until it is ordered to end.
pub(super) struct Driver {
    core: Arc<Core>,
    tasks: Vec<Option<Task>>,
    free: Vec<u32>,
    live: usize,
    token: Token,
    meter: Meter,
    judge: Judge,
    /// By the token's number.
    groups: Vec<Option<Group>>,
    group_of_id: FxHashMap<u64, u32>,
    limits: Limits,
    tick: Option<Timer>,
    tick_due: Instant,
    /// Nothing was taken in or polled since this run began.
    quiet: bool,
    turn: Option<Timer>,
    /// When the reactor turn began, by the core's clock.
    turn_began: u64,
    on_ready: Option<Box<dyn FnOnce()>>,
}

/// The bounds that a driver keeps.
struct Limits {
    slice: Duration,
    tick: Tick,
    tick_with_tasks: Tick,
    tasks_max: usize,
}

/// Time from a run to the next tick.
#[derive(Clone, Copy)]
struct Tick {
    after_work: Duration,
    /// The run found nothing to do, so the executor goes to sleep with nothing in its queue.
    after_nothing: Duration,
}

/// The group of tasks that have none: all tasks of the front side.
const OWN_GROUP: u32 = 0;

/// Rounds of dropping tasks that are spawned by tasks that are dropped.
const DROP_ROUNDS_MAX: usize = 100;

/// Messages taken from the mailbox before the tasks get their turn again.
const MESSAGES_PER_INTAKE: usize = 256;

impl Driver {
    /// A driver for the executor of this thread; `on_ready` is called by its first run.
    pub(super) fn new(core: Arc<Core>, config: &ShardsConfig, on_ready: Box<dyn FnOnce()>) -> Self {
        let tick = Tick { after_work: config.tick, after_nothing: config.tick_idle };
        let (slice, tick_with_tasks) = match core.side {
            Side::Front => (config.front_slice, tick),
            Side::Work => (config.work_slice, Tick { after_work: config.tick_with_tasks, after_nothing: config.tick }),
        };
        let mut token = Token::new(i64::try_from(slice.as_nanos()).unwrap_or(i64::MAX));
        // The driver itself counts as a task of its own group, so that the group never leaves.
        let own = Group { state: GroupState::new(1, None), tasks: 1, busy_ns: 0 };
        let number = token.add_group(own.state.weight);
        debug_assert_eq!(number, OWN_GROUP);
        let judge = Judge::new(config.stalls.limit(core.side));
        let limits = Limits { slice, tick, tick_with_tasks, tasks_max: config.tasks_max };
        Self {
            core,
            tasks: Vec::new(),
            free: Vec::new(),
            live: 0,
            token,
            meter: Meter::default(),
            judge,
            groups: vec![Some(own)],
            group_of_id: FxHashMap::default(),
            limits,
            tick: None,
            tick_due: Instant::now(),
            quiet: true,
            turn: None,
            turn_began: 0,
            on_ready: Some(on_ready),
        }
    }

    /// One run: polls ready tasks for about a slice.
    fn run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let cause = self.core.wake_up(cx.waker());
        self.core.counters.progress.add(1);
        let began = Instant::now();
        self.quiet = true;
        self.time_start(cause, began);
        if let Some(on_ready) = self.on_ready.take() {
            on_ready();
        }
        self.meter.begin(self.group_of_id.len() > 1);
        self.judge.begin(&self.core, self.core.clock(began));
        let mut now = began;
        loop {
            self.take_in(now);
            if self.has_to_end() {
                return Poll::Ready(());
            }
            let next = self.token.next();
            // The one that runs does not wait.
            self.core.counters.ready.set(self.token.ready() as u64);
            if let Some((group, task)) = next {
                now = self.poll_task(group, task, now);
            } else if self.fall_asleep() {
                break;
            } else {
                now = Instant::now();
            }
            if now - began >= self.limits.slice {
                self.take_in(now);
                break;
            }
        }
        let ready = self.token.ready();
        self.core.counters.ready.set(ready as u64);
        self.core.counters.tasks.set(self.live as u64);
        self.publish_busy();
        self.arm_tick(now, cx);
        #[cfg(test)]
        if self.core.lose_turns.load(std::sync::atomic::Ordering::Relaxed) {
            return Poll::Pending;
        }
        if ready > 0 || !self.fall_asleep() {
            self.core.counters.turns.add(1);
            self.turn_began = self.core.now();
            self.turn = Some(armed(Duration::from_micros(1), cx));
        }
        Poll::Pending
    }

    /// Counts how long the executor was away, or was waited for, before this run.
    fn time_start(&mut self, cause: Cause, began: Instant) {
        let now = self.core.clock(began);
        let times = &self.core.times;
        match cause {
            Cause::Woken(since) => times.record(ExecutorTime::WakeUp, now.saturating_sub(since)),
            Cause::Reactor if self.tick.is_some() && began >= self.tick_due => {
                times.record(ExecutorTime::Tick, now.saturating_sub(self.core.clock(self.tick_due)));
            }
            Cause::Reactor | Cause::Awake => {}
        }
        if self.turn.take().is_some() {
            times.record(ExecutorTime::Turn, now.saturating_sub(self.turn_began));
        }
    }

    fn fall_asleep(&self) -> bool {
        self.core.fall_asleep(self.live < self.limits.tasks_max)
    }

    /// Takes in everything that happened since the last look: wakes, new tasks, cancelled groups.
    fn take_in(&mut self, now: Instant) {
        let now = self.core.clock(now);
        while let Some(task) = self.core.next_woken() {
            self.enqueue(&task);
        }
        loop {
            let Some(task) = local::with(|local| local.ready.borrow_mut().pop_front()).flatten() else { break };
            self.enqueue(&task);
        }
        for _ in 0..MESSAGES_PER_INTAKE {
            if self.live >= self.limits.tasks_max {
                break;
            }
            let Some(message) = self.core.receive() else { break };
            self.take_message(message, now);
        }
        self.take_spawned();
        if self.core.take_sweep() {
            self.drop_cancelled();
        }
    }

    fn take_message(&mut self, Sent { message: Message { group, build }, at }: Sent, now: u64) {
        self.quiet = false;
        self.core.times.record(ExecutorTime::Mailbox, now.saturating_sub(at));
        self.core.counters.commands.add(1);
        let future = build();
        match group {
            None => self.start(future, OWN_GROUP, true, now),
            Some(group) if group.is_cancelled() => self.drop_unstarted(future, true),
            Some(group) => {
                let number = self.number_of(group);
                self.start(future, number, true, now);
            }
        }
    }

    /// Starts what was spawned on this thread. It is called before the spawning task's group can leave.
    fn take_spawned(&mut self) {
        let spawned = local::with(|local| std::mem::take(&mut *local.spawned.borrow_mut())).unwrap_or_default();
        for Spawned { future, group, at } in spawned {
            self.start(future, group.unwrap_or(OWN_GROUP), false, at);
        }
    }

    fn enqueue(&mut self, state: &Arc<TaskState>) {
        // The place may be another task's by now.
        if let Some(Some(task)) = self.tasks.get(state.index as usize)
            && Arc::ptr_eq(&task.state, state)
        {
            self.token.enqueue(task.group, state.index);
        }
    }

    /// Starts a task that is ready since a time by the core's clock.
    fn start(&mut self, future: LocalFuture, group: u32, is_command: bool, since: u64) {
        let Some(Some(owner)) = self.groups.get_mut(group as usize) else {
            return self.drop_unstarted(future, is_command);
        };
        owner.tasks += 1;
        if owner.state.is_cancelled() {
            self.drop_unstarted(future, is_command);
            return self.leave_group(group);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(None);
            self.tasks.len() as u32 - 1
        });
        let state = TaskState::new(index, self.core.clone(), since);
        let waker = Waker::from(state.clone());
        self.tasks[index as usize] = Some(Task { future, state, waker, group, is_command });
        self.live += 1;
        self.core.counters.started.add(1);
        self.token.enqueue(group, index);
    }

    /// A task whose group was cancelled before it could start.
    fn drop_unstarted(&self, future: LocalFuture, is_command: bool) {
        drop_guarded(&self.core, future);
        self.core.counters.commands_done.add(u64::from(is_command));
    }

    /// The token's number of a group.
    fn number_of(&mut self, state: Arc<GroupState>) -> u32 {
        if let Some(&number) = self.group_of_id.get(&state.id) {
            return number;
        }
        let number = self.token.add_group(state.weight);
        if self.groups.len() <= number as usize {
            self.groups.resize_with(number as usize + 1, || None);
        }
        self.group_of_id.insert(state.id, number);
        self.groups[number as usize] = Some(Group { state, tasks: 0, busy_ns: 0 });
        number
    }

    /// Polls a task once and gives the time at which that was over.
    fn poll_task(&mut self, group: u32, index: u32, now: Instant) -> Instant {
        let (Some(Some(task)), Some(Some(owner))) =
            (self.tasks.get_mut(index as usize), self.groups.get_mut(group as usize))
        else {
            return now;
        };
        self.quiet = false;
        let counters = &self.core.counters;
        counters.poll_task.set(u64::from(index));
        counters.poll_group.set(owner.state.id);
        counters.poll_job.set(owner.state.job.unwrap_or(0) as u64);
        let since = self.core.clock(now);
        counters.poll_since.set(since);
        enter_task(group, owner.state.job, now + self.limits.slice);
        let ready_since = task.state.ready_since();
        task.state.begin_poll();
        let mut cx = Context::from_waker(&task.waker);
        let outcome = catch_unwind(AssertUnwindSafe(|| task.future.as_mut().poll(&mut cx)));
        leave_task();
        let end = Instant::now();
        let nanos = u64::try_from((end - now).as_nanos()).unwrap_or(u64::MAX);
        owner.busy_ns += nanos;
        counters.poll_since.set(0);
        self.judge.end(&self.core, since, self.core.clock(end));
        counters.progress.add(1);
        counters.polls.add(1);
        counters.busy_ns.add(nanos);
        let times = &self.core.times;
        times.record(ExecutorTime::Slice, nanos);
        times.record(ExecutorTime::TokenWait, since.saturating_sub(ready_since));
        if nanos > counters.longest_poll_ns.get() {
            counters.longest_poll_ns.set(nanos);
        }
        self.token.charge(group, i64::try_from(self.meter.charge(nanos)).unwrap_or(i64::MAX));
        match outcome {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(())) => self.drop_task(index),
            Err(panic) => {
                counters.panicked.add(1);
                let words = words_of(panic);
                tracing::error!(executor = %self.core.name, group = owner.state.id, "a task panicked: {words}");
                self.drop_task(index);
            }
        }
        end
    }

    fn drop_task(&mut self, index: u32) {
        let Some(task) = self.tasks.get_mut(index as usize).and_then(Option::take) else { return };
        task.state.end();
        self.free.push(index);
        self.live -= 1;
        self.core.counters.commands_done.add(u64::from(task.is_command));
        let job = self.groups.get(task.group as usize).and_then(Option::as_ref).and_then(|group| group.state.job);
        enter_task(task.group, job, Instant::now());
        drop_guarded(&self.core, task.future);
        leave_task();
        self.take_spawned();
        self.leave_group(task.group);
    }

    /// A group has one task less.
    fn leave_group(&mut self, number: u32) {
        let Some(Some(group)) = self.groups.get_mut(number as usize) else { return };
        group.tasks -= 1;
        if group.tasks == 0 {
            group.state.add_busy(group.busy_ns);
            self.group_of_id.remove(&group.state.id);
            self.groups[number as usize] = None;
            self.token.remove_group(number);
        }
    }

    fn drop_cancelled(&mut self) {
        let groups = &self.groups;
        let cancelled = |task: &Task| {
            groups.get(task.group as usize).and_then(Option::as_ref).is_some_and(|group| group.state.is_cancelled())
        };
        let doomed: Vec<u32> = (0u32..)
            .zip(&self.tasks)
            .filter_map(|(index, task)| task.as_ref().is_some_and(cancelled).then_some(index))
            .collect();
        for index in doomed {
            self.drop_task(index);
        }
    }

    /// Whether the driver is ordered to end; if so nothing is left of its tasks.
    fn has_to_end(&mut self) -> bool {
        match self.core.ordered() {
            Order::Run => return false,
            Order::Drain if self.live > 0 => return false,
            Order::Drain | Order::Stop => {}
        }
        self.core.close();
        // What a dropped task spawns is dropped as well. A task that spawns another from its drop, and so on for ever,
        // would keep this loop going: the rounds are counted.
        for _ in 0..DROP_ROUNDS_MAX {
            (0..self.tasks.len() as u32).for_each(|index| self.drop_task(index));
            if self.live == 0 {
                break;
            }
        }
        self.core.counters.ready.set(0);
        self.core.counters.tasks.set(self.live as u64);
        self.tick = None;
        true
    }

    /// Brings the groups' counters up to date.
    fn publish_busy(&mut self) {
        for group in self.groups.iter_mut().flatten().filter(|group| group.busy_ns > 0) {
            group.state.add_busy(std::mem::take(&mut group.busy_ns));
        }
    }

    /// Keeps a timer armed whatever happens, so that an executor that goes to sleep with work in its queue wakes up.
    fn arm_tick(&mut self, now: Instant, cx: &mut Context<'_>) {
        let tick = if self.live > 0 { self.limits.tick_with_tasks } else { self.limits.tick };
        let period = if self.quiet { tick.after_nothing } else { tick.after_work };
        if self.tick.is_none() || now >= self.tick_due || self.tick_due > now + period {
            self.tick_due = Instant::now() + period;
            self.tick = Some(armed(period, cx));
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        local::with(|local| local.driving.set(true));
        let outcome = self.run(cx);
        local::with(|local| local.driving.set(false));
        outcome
    }
}

/// A timer that is going to wake the driver. One that is over before it is polled would wake nobody.
fn armed(mut duration: Duration, cx: &mut Context<'_>) -> Timer {
    loop {
        let mut timer = Timer::new(duration);
        if Pin::new(&mut timer).poll(cx).is_pending() {
            return timer;
        }
        duration *= 2;
    }
}

fn enter_task(group: u32, job: Option<i64>, slice_end: Instant) {
    local::set_job(job);
    local::with(|local| {
        local.slice_end.set(Some(slice_end));
        local.group.set(Some(group));
    });
}

fn leave_task() {
    local::set_job(None);
    local::with(|local| {
        local.slice_end.set(None);
        local.group.set(None);
    });
}

/// Drops a future whose destructor may panic.
fn drop_guarded(core: &Core, future: LocalFuture) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
        core.counters.panicked.add(1);
        let words = words_of(panic);
        tracing::error!(executor = %core.name, "a task panicked while it was dropped: {words}");
    }
}

/// What a panic said. The value that it threw may itself panic when it is dropped: it does not get out of here.
pub(super) fn words_of(panic: Box<dyn Any + Send>) -> String {
    let words = if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a value that is no text".to_owned()
    };
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
    words
}
