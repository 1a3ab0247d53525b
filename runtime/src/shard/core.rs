//! What other threads see of an executor: its mailbox, the tasks they woke, and the bell that wakes it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::task::{Wake, Waker};
use std::time::Instant;

use crossbeam::queue::SegQueue;

use super::driver::words_of;
use super::group::GroupState;
use super::local;
use super::stats::{Counters, ExecutorStats, Queues, Side};
use super::times::ExecutorTimes;
use super::{MailboxFull, ShardId};
use crate::bounded::BoundedQueue;

/// A task as it lives on its executor.
pub(super) type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A task on its way to an executor: it is built there, so it need not be `Send`.
pub(super) struct Message {
    /// `None` on the front side.
    pub(super) group: Option<Arc<GroupState>>,
    pub(super) build: Box<dyn FnOnce() -> LocalFuture + Send>,
}

/// A message as it lies in the mailbox.
pub(super) struct Sent {
    pub(super) message: Message,
    /// When it was sent, by [`Core::clock`].
    pub(super) at: u64,
}

/// What an executor is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Run = 0,
    /// End when the last task has ended.
    Drain = 1,
    /// Drop all tasks and end.
    Stop = 2,
}

/// The shared half of an executor; the driver is the other.
pub(super) struct Core {
    pub(super) name: String,
    pub(super) shard: ShardId,
    pub(super) side: Side,
    pub(super) cpu: usize,
    /// Its thread's id in the kernel, 0 before it runs.
    pub(super) thread: AtomicI32,
    pub(super) counters: Counters,
    pub(super) times: ExecutorTimes,
    mailbox: BoundedQueue<Sent>,
    /// Tasks woken by other threads. Bounded by the number of tasks: each is in here once at most.
    woken: SegQueue<Arc<TaskState>>,
    /// [`ASLEEP`], [`AWAKE`], or since when it is being woken, by [`Core::clock`]. Unless it sleeps the driver runs, or
    /// will look at its queues before it sleeps: no need to wake it.
    awake: AtomicU64,
    /// Some group was cancelled since the driver last looked.
    sweep: AtomicBool,
    order: AtomicU8,
    closed: AtomicBool,
    /// The driver's own waker, set by its first run.
    waker: OnceLock<Waker>,
    epoch: Instant,
    /// Has the driver sleep although tasks are ready, as an executor of the library does that loses a wake.
    #[cfg(test)]
    pub(super) lose_turns: AtomicBool,
}

/// The driver sleeps and has not been woken.
const ASLEEP: u64 = 0;
/// The driver runs.
const AWAKE: u64 = 1;

/// What made the driver run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It has not slept.
    Awake,
    /// Another thread, at this time by [`Core::clock`].
    Woken(u64),
    /// I/O or a timer of its own.
    Reactor,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn new(side: Side, shard: ShardId, cpu: usize, mailbox_capacity: usize) -> Self {
        let kind = match side {
            Side::Front => "front",
            Side::Work => "work",
        };
        Self {
            name: format!("egret-{kind}-{shard}"),
            shard,
            side,
            cpu,
            thread: AtomicI32::new(0),
            counters: Counters::default(),
            times: ExecutorTimes::default(),
            mailbox: BoundedQueue::new(mailbox_capacity),
            woken: SegQueue::new(),
            awake: AtomicU64::new(AWAKE),
            sweep: AtomicBool::new(false),
            order: AtomicU8::new(Order::Run as u8),
            closed: AtomicBool::new(false),
            waker: OnceLock::new(),
            epoch: Instant::now(),
            #[cfg(test)]
            lose_turns: AtomicBool::new(false),
        }
    }

    /// Puts a message into the mailbox and wakes the driver if it sleeps.
    pub(super) fn send(&self, message: Message) -> Result<(), MailboxFull> {
        if self.closed.load(Ordering::Acquire) {
            return Err(self.refuse(true));
        }
        if self.mailbox.push(Sent { message, at: self.now() }).is_err() {
            return Err(self.refuse(false));
        }
        self.rouse();
        // The driver closes before it empties the mailbox for the last time: what came in between is dropped here.
        if self.closed.load(Ordering::SeqCst) {
            self.empty_mailbox();
            return Err(self.refuse(true));
        }
        Ok(())
    }

    fn refuse(&self, stopped: bool) -> MailboxFull {
        self.counters.mailbox_refused.fetch_add(1, Ordering::Relaxed);
        MailboxFull { executor: self.name.clone(), capacity: self.mailbox.capacity(), stopped }
    }

    /// The next message; for the driver.
    pub(super) fn receive(&self) -> Option<Sent> {
        self.mailbox.pop()
    }

    /// The next task that another thread woke; for the driver.
    pub(super) fn next_woken(&self) -> Option<Arc<TaskState>> {
        self.woken.pop()
    }

    /// Refuses messages from now on and drops those that wait.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.empty_mailbox();
    }

    fn empty_mailbox(&self) {
        while let Some(message) = self.mailbox.pop() {
            // What a message carries may panic when it is dropped.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(message))) {
                let words = words_of(panic);
                tracing::error!(executor = %self.name, "a message panicked while it was dropped: {words}");
            }
        }
    }

    /// Makes sure that the driver looks at its queues.
    pub(super) fn rouse(&self) {
        // Pairs with the fence in `fall_asleep`: either the driver sees what was put into a queue before this call, or
        // this call sees that it went to sleep.
        fence(Ordering::SeqCst);
        let is_first = || self.awake.compare_exchange(ASLEEP, self.now(), Ordering::SeqCst, Ordering::Relaxed).is_ok();
        if self.awake.load(Ordering::SeqCst) == ASLEEP && is_first() {
            self.ring();
        }
    }

    /// Wakes the driver without asking whether it sleeps; for the watchdog.
    pub(super) fn ring(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// The driver starts to run; says why.
    pub(super) fn wake_up(&self, waker: &Waker) -> Cause {
        self.waker.get_or_init(|| waker.clone());
        match self.awake.swap(AWAKE, Ordering::SeqCst) {
            ASLEEP => Cause::Reactor,
            AWAKE => Cause::Awake,
            since => Cause::Woken(since),
        }
    }

    /// The driver has nothing to do: true if it may sleep, false if something came in meanwhile. A driver that has no
    /// room for tasks leaves messages where they are.
    pub(super) fn fall_asleep(&self, has_room: bool) -> bool {
        self.awake.store(ASLEEP, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let messages = has_room && !self.mailbox.is_empty();
        let idle = self.woken.is_empty() && !messages && !self.sweep.load(Ordering::SeqCst);
        if !idle {
            self.awake.store(AWAKE, Ordering::SeqCst);
        }
        idle
    }

    /// Has the driver drop the tasks of cancelled groups.
    pub(super) fn sweep(&self) {
        self.sweep.store(true, Ordering::SeqCst);
        self.rouse();
    }

    /// Whether a group was cancelled since the last call; for the driver.
    pub(super) fn take_sweep(&self) -> bool {
        self.sweep.load(Ordering::Relaxed) && self.sweep.swap(false, Ordering::SeqCst)
    }

    /// Tells the executor to end.
    pub(super) fn order(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::SeqCst);
        self.sweep();
    }

    pub(super) fn ordered(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::Run,
            1 => Order::Drain,
            _ => Order::Stop,
        }
    }

    /// Whether there is work that the executor should be at.
    pub(super) fn has_work(&self) -> bool {
        !self.mailbox.is_empty() || !self.woken.is_empty() || self.counters.ready.get() > 0
    }

    /// Whether another thread wakes it, and it does not run yet.
    pub(super) fn is_being_woken(&self) -> bool {
        self.awake.load(Ordering::Relaxed) > AWAKE
    }

    /// Nanoseconds since the executor was made, never [`ASLEEP`] or [`AWAKE`].
    pub(super) fn clock(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX).max(AWAKE + 1)
    }

    /// The time by [`Core::clock`]; any thread's.
    pub(super) fn now(&self) -> u64 {
        self.clock(Instant::now())
    }

    pub(super) fn queues(&self) -> Queues {
        let counters = &self.counters;
        // The executor goes on meanwhile: the two may be of different moments.
        let done = counters.commands_done.get();
        let commands = counters.commands.get();
        Queues {
            ready: counters.ready.get(),
            messages: self.mailbox.len() as u64,
            messages_max: self.mailbox.capacity() as u64,
            commands,
            commands_running: commands.saturating_sub(done),
        }
    }

    pub(super) fn stats(&self) -> ExecutorStats {
        let counters = &self.counters;
        let queues = self.queues();
        ExecutorStats {
            name: self.name.clone(),
            shard: self.shard,
            side: self.side,
            cpu: self.cpu,
            progress: counters.progress.get(),
            mailbox_depth: queues.messages as usize,
            mailbox_capacity: self.mailbox.capacity(),
            mailbox_refused: counters.refused(),
            tasks: counters.tasks.get(),
            ready: queues.ready,
            started: counters.started.get(),
            panicked: counters.panicked.get(),
            commands: queues.commands,
            commands_running: queues.commands_running,
            slices: counters.polls.get(),
            busy_ns: counters.busy_ns.get(),
            longest_slice_ns: counters.longest_poll_ns.get(),
            reactor_turns: counters.turns.get(),
            watchdog_wakes: counters.watchdog_wakes.get(),
            stalls: counters.stalls.get(),
            stall_cpu_ns: counters.stall_cpu_ns.get(),
        }
    }
}

/// The waker's side of a task.
pub(super) struct TaskState {
    state: AtomicU8,
    /// Since when it is queued, by [`Core::clock`]. Who puts it into a queue writes, before; the driver reads, after.
    ready_since: AtomicU64,
    /// Its place in the driver's table.
    pub(super) index: u32,
    core: Arc<Core>,
}

/// Waits for a wake.
const IDLE: u8 = 0;
/// In a queue of ready tasks.
const QUEUED: u8 = 1;
/// Ended: wakes are ignored.
const ENDED: u8 = 2;

impl TaskState {
    /// A task that is in the queue from its birth, since a time by [`Core::clock`].
    pub(super) fn new(index: u32, core: Arc<Core>, since: u64) -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(QUEUED), ready_since: AtomicU64::new(since), index, core })
    }

    /// Since when it is queued, by [`Core::clock`]; for the driver.
    pub(super) fn ready_since(&self) -> u64 {
        self.ready_since.load(Ordering::Relaxed)
    }

    /// The driver is about to poll it: wakes count from here on.
    pub(super) fn begin_poll(&self) {
        self.state.store(IDLE, Ordering::SeqCst);
    }

    /// It has ended.
    pub(super) fn end(&self) {
        self.state.store(ENDED, Ordering::SeqCst);
    }

    fn to_queue(&self) -> bool {
        self.state.compare_exchange(IDLE, QUEUED, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    fn queue(self: Arc<Self>) {
        self.ready_since.store(self.core.now(), Ordering::Relaxed);
        // On its own thread a wake is a push to a plain queue; from elsewhere it goes through the lock-free one.
        if let Err(task) = local::queue_here(self) {
            let core = task.core.clone();
            core.woken.push(task);
            core.rouse();
        }
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

impl Wake for TaskState {
    fn wake(self: Arc<Self>) {
        if self.to_queue() {
            self.queue();
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.to_queue() {
            self.clone().queue();
        }
    }
}
