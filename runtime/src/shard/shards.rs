//! Starting and stopping the executors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, io};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};

use super::blocking::{Blocking, BlockingPool};
use super::core::{Core, Order};
use super::driver::{Driver, words_of};
use super::stats::{ExecutorStats, Queues, Side};
use super::times::TimedExecutor;
use super::watchdog::{self, Stall};
use super::{FrontHandle, ShardId, ShardsConfig, WorkHandle, affinity, allowed_cpus, local, stall};

/// The running shards. Clones are the same ones.
///
/// Dropping the last clone stops them without waiting; [`Shards::stop`] waits.
#[derive(Clone, Debug)]
pub struct Shards {
    inner: Arc<Inner>,
}

struct Inner {
    fronts: Vec<FrontHandle>,
    works: Vec<WorkHandle>,
    /// All executors: the fronts, then the works.
    cores: Vec<Arc<Core>>,
    blocking: Arc<BlockingPool>,
    threads: Mutex<Option<Threads>>,
}

/// What only a stop needs.
struct Threads {
    executors: Vec<Executor>,
    watchdog: JoinHandle<()>,
    /// Dropping it ends the watchdog.
    watching: stall::Alarm,
}

/// A started thread; the receiver is disconnected when it has ended.
struct Executor {
    core: Arc<Core>,
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

/// Why the shards did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An option is out of bounds.
    #[error("{0}")]
    Config(String),
    /// The CPUs that may be used are not known.
    #[error("the kernel does not tell which CPUs may be used: {0}")]
    Affinity(#[source] io::Error),
    /// A CPU was asked for that this process may not use.
    #[error("CPU {cpu} is not one of those that this process may use ({allowed}); name others or widen the affinity")]
    CpuNotAllowed {
        /// The CPU.
        cpu: usize,
        /// Those that may be used.
        allowed: String,
    },
    /// A thread could not be started.
    #[error("the thread {name} could not be started: {cause}")]
    Thread {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// An executor could not be started.
    #[error("the executor {name} on CPU {cpu} could not be started: {cause}")]
    Executor {
        /// Its name.
        name: String,
        /// Its CPU.
        cpu: usize,
        /// What the library or the kernel said.
        cause: String,
    },
}

/// Executors that did not end in time. Their threads are left alone; the process should end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} did not stop within {timeout:?}", .executors.join(", "))]
pub struct StopError {
    /// Names of the executors.
    pub executors: Vec<String>,
    /// The time that there was.
    pub timeout: Duration,
}

impl Shards {
    /// Starts a front and a work executor on each CPU. When this returns, all of them run.
    ///
    /// Call it before other threads are started, and after
    /// [`signals::block_stop_signals`](super::signals::block_stop_signals), so that no thread of the shards takes a
    /// signal.
    ///
    /// # Errors
    /// [`StartError`], with the cause; executors that had started are stopped then.
    pub fn start(config: ShardsConfig) -> Result<Self, StartError> {
        affinity::register_membarrier();
        if let Some(problem) = config.problem() {
            return Err(StartError::Config(problem));
        }
        let cpus = cpus_to_use(&config)?;
        Self::start_on(&cpus, config)
    }

    /// As [`Shards::start`], with CPUs and options that were not checked.
    pub(super) fn start_on(cpus: &[usize], config: ShardsConfig) -> Result<Self, StartError> {
        let cores: Vec<Arc<Core>> = [Side::Front, Side::Work]
            .into_iter()
            .flat_map(|side| (0u16..).zip(cpus).map(move |(shard, cpu)| (side, ShardId(shard), *cpu)))
            .map(|(side, shard, cpu)| Arc::new(Core::new(side, shard, cpu, config.mailbox_capacity)))
            .collect();
        let blocking = BlockingPool::start(config.blocking_threads, config.blocking_queue, config.work_nice)
            .map_err(|cause| StartError::Thread { name: "egret-block".to_owned(), cause })?;
        let executors = start_executors(&cores, &blocking, &config).inspect_err(|_| {
            cores.iter().for_each(|core| core.order(Order::Stop));
            blocking.close();
        })?;
        let (watching, alerts) = stall::alarm_pair();
        let watched = cores.clone();
        let watchdog = thread::Builder::new()
            .name("egret-watchdog".to_owned())
            .spawn(move || watchdog::watch(watched, &config, alerts))
            .map_err(|cause| StartError::Thread { name: "egret-watchdog".to_owned(), cause });
        let watchdog = watchdog.inspect_err(|_| {
            cores.iter().for_each(|core| core.order(Order::Stop));
            blocking.close();
        })?;
        let (fronts, works) = cores.split_at(cpus.len());
        let inner = Inner {
            fronts: fronts.iter().cloned().map(FrontHandle::new).collect(),
            works: works.iter().cloned().map(WorkHandle::new).collect(),
            blocking,
            threads: Mutex::new(Some(Threads { executors, watchdog, watching })),
            cores,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Number of shards, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "there is always a shard")]
    pub fn len(&self) -> usize {
        self.inner.fronts.len()
    }

    /// All shards.
    pub fn ids(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.len() as u16).map(ShardId)
    }

    /// The shard that alone changes what has this id.
    pub fn owner(&self, id: u64) -> ShardId {
        owner_of(id, self.len())
    }

    /// The front executor of a shard. Ids beyond the last shard count round.
    pub fn front(&self, shard: ShardId) -> &FrontHandle {
        &self.inner.fronts[usize::from(shard.0) % self.len()]
    }

    /// The work executor of a shard. Ids beyond the last shard count round.
    pub fn work(&self, shard: ShardId) -> &WorkHandle {
        &self.inner.works[usize::from(shard.0) % self.len()]
    }

    /// Runs a closure that blocks on a thread of its own kind; for callers that are no task of an executor, see
    /// [`run_blocking`](super::run_blocking) for the others.
    ///
    /// # Errors
    /// [`BlockingError`](super::BlockingError): full, panicked or stopped.
    pub fn run_blocking<R: Send + 'static>(&self, closure: impl FnOnce() -> R + Send + 'static) -> Blocking<R> {
        self.inner.blocking.run(closure)
    }

    /// Closures that wait for a thread on which they may block.
    pub fn blocking_waiting(&self) -> usize {
        self.inner.blocking.waiting()
    }

    /// The counters of all executors: the fronts by shard, then the works.
    pub fn stats(&self) -> Vec<ExecutorStats> {
        self.inner.cores.iter().map(|core| core.stats()).collect()
    }

    /// The times of all executors, in the order of [`Shards::stats`].
    pub fn times(&self) -> impl Iterator<Item = TimedExecutor<'_>> {
        self.inner.cores.iter().map(|core| TimedExecutor {
            name: &core.name,
            shard: core.shard,
            side: core.side,
            times: &core.times,
        })
    }

    /// The queues of the executors of a side, together. Takes no memory, unlike [`Shards::stats`].
    pub fn queues(&self, side: Side) -> Queues {
        let cores = self.inner.cores.iter().filter(|core| core.side == side);
        cores.map(|core| core.queues()).fold(Queues::default(), |all, one| all + one)
    }

    #[cfg(test)]
    pub(super) fn cores(&self) -> &[Arc<Core>] {
        &self.inner.cores
    }

    /// Stops everything in order and waits for it: the work executors drop their tasks and end, then the front
    /// executors end as soon as their last task has. Whatever is left of them when the time is over is dropped.
    /// A second call does nothing. Not to be called by a task: an executor that waits for its own end waits in vain.
    ///
    /// # Errors
    /// [`StopError`] names executors that were in a step for all that time.
    pub fn stop(&self, timeout: Duration) -> Result<(), StopError> {
        let threads = self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Threads { executors, watchdog, watching }) = threads else { return Ok(()) };
        let deadline = Instant::now() + timeout;
        let (fronts, works): (Vec<_>, Vec<_>) =
            executors.into_iter().partition(|executor| executor.core.side == Side::Front);
        works.iter().for_each(|executor| executor.core.order(Order::Stop));
        let mut late: Vec<Executor> = works.into_iter().filter_map(|executor| executor.join(deadline)).collect();
        fronts.iter().for_each(|executor| executor.core.order(Order::Drain));
        late.extend(fronts.into_iter().filter_map(|executor| executor.join(deadline)));
        late.iter().for_each(|executor| executor.core.order(Order::Stop));
        // The work executors get it, too: they may have been told just before, and have a low priority.
        let grace = Instant::now() + GRACE;
        let left: Vec<Executor> = late.into_iter().filter_map(|executor| executor.join(grace)).collect();
        self.inner.blocking.close();
        drop(watching);
        // It ends at once; a panic of it has been reported by the panic hook.
        let _ = watchdog.join();
        if left.is_empty() {
            return Ok(());
        }
        Err(StopError { executors: left.into_iter().map(|executor| executor.core.name.clone()).collect(), timeout })
    }
}

/// Time for an executor to drop its tasks once it is told to; it takes it milliseconds, and longer where others keep the
/// CPUs busy.
const GRACE: Duration = Duration::from_secs(2);

/// Time for all executors to start; it takes them milliseconds.
const START_TIMEOUT: Duration = Duration::from_secs(10);

impl Executor {
    /// Waits for the end; gives itself back if that does not come in time.
    fn join(self, deadline: Instant) -> Option<Self> {
        match self.ended.recv_deadline(deadline) {
            Err(RecvTimeoutError::Timeout) => Some(self),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                // A panic of it was given up on when it happened.
                let _ = self.thread.join();
                None
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.cores.iter().for_each(|core| core.order(Order::Stop));
        self.blocking.close();
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shards").field("cores", &self.cores).finish_non_exhaustive()
    }
}

fn cpus_to_use(config: &ShardsConfig) -> Result<Vec<usize>, StartError> {
    let Some(list) = &config.cpus else { return allowed_cpus().map_err(StartError::Affinity) };
    let allowed = affinity::affinity().map_err(StartError::Affinity)?;
    match list.cpus().iter().find(|cpu| !allowed.contains(cpu)) {
        None => Ok(list.cpus().to_vec()),
        Some(&cpu) => {
            let allowed = allowed.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
            Err(StartError::CpuNotAllowed { cpu, allowed })
        }
    }
}

/// A fair hash of the id (the finalizer of splitmix64), scaled to the number of shards.
fn owner_of(id: u64, shards: usize) -> ShardId {
    let mut hash = id.wrapping_add(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^= hash >> 31;
    ShardId(((u128::from(hash) * shards as u128) >> 64) as u16)
}

/// Starts a thread for each executor and waits until each has run its driver, or one has failed.
fn start_executors(
    cores: &[Arc<Core>],
    blocking: &Arc<BlockingPool>,
    config: &ShardsConfig,
) -> Result<Vec<Executor>, StartError> {
    let (report, reports) = bounded(cores.len());
    let mut executors = Vec::with_capacity(cores.len());
    for core in cores {
        let (ending, ended) = bounded(0);
        let parts = (core.clone(), blocking.clone(), config.clone(), report.clone());
        let thread = thread::Builder::new()
            .name(core.name.clone())
            .spawn(move || {
                // Dropped when the thread ends, whatever ends it.
                let _ending: Sender<()> = ending;
                let (core, blocking, config, report) = parts;
                run_executor(core, blocking, &config, report);
            })
            .map_err(|cause| StartError::Thread { name: core.name.clone(), cause })?;
        executors.push(Executor { core: core.clone(), ended, thread });
    }
    drop(report);
    await_reports(cores, &reports)?;
    Ok(executors)
}

/// An executor of the library, for this thread. The library panics where the kernel refuses it a ring.
fn make_executor(core: &Core, config: &ShardsConfig) -> Result<LocalExecutor, String> {
    // The thread is pinned already; the library's own placement would read the whole topology from /sys.
    let builder = LocalExecutorBuilder::new(Placement::Unbound)
        .name(&core.name)
        .io_memory(config.io_memory)
        .ring_depth(config.ring_depth)
        .preempt_timer(config.preempt_timer);
    match catch_unwind(AssertUnwindSafe(|| builder.make())) {
        Ok(made) => made.map_err(|error| error.to_string()),
        Err(panic) => Err(words_of(panic)),
    }
}

/// What an executor reports when it has started: its name, or its name, its CPU and why it has not.
type Report = Result<String, (String, usize, String)>;

/// Waits until all executors have reported that they run.
fn await_reports(cores: &[Arc<Core>], reports: &Receiver<Report>) -> Result<(), StartError> {
    let mut waiting: Vec<&Core> = cores.iter().map(|core| &**core).collect();
    let deadline = Instant::now() + START_TIMEOUT;
    while let Some(first) = waiting.first() {
        let failed = |cause: String| StartError::Executor { name: first.name.clone(), cpu: first.cpu, cause };
        match reports.recv_deadline(deadline) {
            Ok(Ok(name)) => waiting.retain(|core| core.name != name),
            Ok(Err((name, cpu, cause))) => return Err(StartError::Executor { name, cpu, cause }),
            Err(RecvTimeoutError::Timeout) => return Err(failed(format!("it did not run within {START_TIMEOUT:?}"))),
            Err(RecvTimeoutError::Disconnected) => return Err(failed("its thread died".to_owned())),
        }
    }
    Ok(())
}

/// The life of an executor's thread.
fn run_executor(core: Arc<Core>, blocking: Arc<BlockingPool>, config: &ShardsConfig, report: Sender<Report>) {
    // The start may have given up on another executor: then nobody listens.
    let fail = |cause: String| drop(report.send(Err((core.name.clone(), core.cpu, cause))));
    if let Err(error) = affinity::pin_to(core.cpu) {
        return fail(format!("it cannot be pinned to its CPU: {error}"));
    }
    if core.side == Side::Work
        && let Err(error) = affinity::lower_priority(config.work_nice)
    {
        return fail(format!("its priority cannot be lowered to nice {}: {error}", config.work_nice));
    }
    // SAFETY: the call takes nothing and cannot fail.
    core.thread.store(unsafe { libc::gettid() }, Ordering::Release);
    let executor = match make_executor(&core, config) {
        Ok(executor) => executor,
        Err(cause) => return fail(cause),
    };
    local::install(core.clone(), blocking);
    let name = core.name.clone();
    let ready = Box::new(move || drop(report.send(Ok(name))));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        executor.run(Driver::new(core.clone(), config, ready));
    }));
    if outcome.is_err() {
        core.close();
        let stats = core.stats();
        let all = vec![stats.clone()];
        let stall = Stall { executor: stats, since: Duration::ZERO, step: None, has_work: true, dead: true, all };
        watchdog::give_up(config.fatal.as_ref(), &stall);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_spread_evenly_also_for_ids_in_a_row() {
        for shards in [1, 2, 3, 7, 64] {
            for stride in [1u64, 2, 64, 1 << 32] {
                let mut count = vec![0usize; shards];
                (0..10_000u64).for_each(|id| count[usize::from(owner_of(id * stride, shards).0)] += 1);
                let fair = 10_000 / shards;
                assert!(count.iter().all(|count| count.abs_diff(fair) < fair / 2 + 20), "{shards} {stride} {count:?}");
            }
        }
    }
}
