//! What a task may ask of the executor that runs it.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::ShardId;
use super::blocking::BlockingPool;
use super::core::{Core, LocalFuture, TaskState};
use super::handle::{JoinHandle, joined};

/// The executor of this thread, as its tasks see it.
pub(super) struct Local {
    pub(super) core: Arc<Core>,
    pub(super) blocking: Arc<BlockingPool>,
    /// Tasks woken on this thread.
    pub(super) ready: RefCell<VecDeque<Arc<TaskState>>>,
    /// Tasks spawned on this thread.
    pub(super) spawned: RefCell<Vec<Spawned>>,
    /// Whether the driver runs: then it looks into the queues by itself.
    pub(super) driving: Cell<bool>,
    /// Group of the task that is being polled, by the driver's number.
    pub(super) group: Cell<Option<u32>>,
    /// When the slice of the task that is being polled is over.
    pub(super) slice_end: Cell<Option<Instant>>,
}

/// A task spawned on its own thread.
pub(super) struct Spawned {
    pub(super) future: LocalFuture,
    /// Group of the task that did it, by the driver's number.
    pub(super) group: Option<u32>,
    /// When, by [`Core::clock`].
    pub(super) at: u64,
}

thread_local! {
    static LOCAL: OnceCell<Local> = const { OnceCell::new() };
    /// The job whose task, or whose blocking work, runs on this thread.
    static JOB: Cell<Option<i64>> = const { Cell::new(None) };
}

/// Notes whose code runs on this thread from now on. It costs two stores.
pub(super) fn set_job(job: Option<i64>) {
    JOB.set(job);
}

/// The job whose task, or whose blocking work, calls this.
pub fn current_job() -> Option<i64> {
    JOB.try_with(Cell::get).ok().flatten()
}

/// Makes this thread an executor's, for good.
pub(super) fn install(core: Arc<Core>, blocking: Arc<BlockingPool>) {
    let local = Local {
        core,
        blocking,
        ready: RefCell::default(),
        spawned: RefCell::default(),
        driving: Cell::new(false),
        group: Cell::new(None),
        slice_end: Cell::new(None),
    };
    LOCAL.with(|cell| assert!(cell.set(local).is_ok(), "a thread runs one executor in its life"));
}

/// The executor of this thread, if it has one.
pub(super) fn with<R>(f: impl FnOnce(&Local) -> R) -> Option<R> {
    LOCAL.try_with(|cell| cell.get().map(f)).ok().flatten()
}

/// Queues a woken task if it belongs to this thread's executor; gives it back if it does not.
pub(super) fn queue_here(task: Arc<TaskState>) -> Result<(), Arc<TaskState>> {
    let mut task = Some(task);
    with(|local| {
        if let Some(own) = task.take_if(|task| Arc::ptr_eq(&local.core, task.core())) {
            local.ready.borrow_mut().push_back(own);
            if !local.driving.get() {
                local.core.counters.ready.add(1);
                local.core.ring();
            }
        }
    });
    task.map_or(Ok(()), Err)
}

/// The shard whose executor runs this code; `None` on any other thread.
pub fn current_shard() -> Option<ShardId> {
    with(|local| local.core.shard)
}

/// Starts a task on this executor. On the work side it belongs to the group of the task that starts it.
///
/// A panic ends this task alone; it is logged and counted.
///
/// # Panics
/// On a thread that is no executor's.
pub fn spawn_local(future: impl Future<Output = ()> + 'static) {
    let spawned = with(|local| {
        let spawned = Spawned { future: Box::pin(future), group: local.group.get(), at: local.core.now() };
        local.spawned.borrow_mut().push(spawned);
        if !local.driving.get() {
            local.core.ring();
        }
    });
    assert!(spawned.is_some(), "spawn_local needs a shard's executor; this thread is none");
}

/// As [`spawn_local`], with a handle for the result.
///
/// # Panics
/// On a thread that is no executor's.
pub fn join_local<R: Send + 'static>(future: impl Future<Output = R> + 'static) -> JoinHandle<R> {
    let (future, handle) = joined(move || future);
    spawn_local(future);
    handle
}

/// Waits. Only for tasks of an executor.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep { timer: Timer::new(duration) }
}

/// Waits until a moment; at once if it has passed. Only for tasks of an executor.
pub fn sleep_until(deadline: Instant) -> Sleep {
    sleep(deadline.saturating_duration_since(Instant::now()))
}

/// The wait of [`sleep`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    timer: Timer,
}

impl Sleep {
    /// Moves the end of the wait, also after it was polled.
    pub fn reset(&mut self, deadline: Instant) {
        self.timer.reset(deadline.saturating_duration_since(Instant::now()));
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.timer).poll(cx).map(drop)
    }
}

/// Lets others run if this task's slice is over; returns at once while it lasts. Cheap enough for every batch.
pub fn give_way() -> GiveWay {
    GiveWay { given: false }
}

/// The wait of [`give_way`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct GiveWay {
    given: bool,
}

impl Future for GiveWay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let over = || with(|local| local.slice_end.get()).flatten().is_some_and(|end| Instant::now() >= end);
        if self.given || !over() {
            return Poll::Ready(());
        }
        self.given = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
