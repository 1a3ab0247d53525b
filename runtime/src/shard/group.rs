//! Work groups: the tasks of one job, wherever they run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::core::Core;

/// The tasks of one job. They share the work executors' time with those of other groups by weight, and end together.
///
/// Clones are the same group. **When the last clone is dropped the group is cancelled**, so whoever owns the job holds
/// one; its tasks need none.
#[derive(Clone, Debug)]
#[must_use = "dropping the last clone cancels the group's tasks"]
pub struct WorkGroup {
    owner: Arc<Owner>,
}

/// What the clones share; its drop is the drop of the last one.
#[derive(Debug)]
struct Owner(Arc<GroupState>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The part of a group that its tasks hold.
#[derive(Debug)]
pub(super) struct GroupState {
    pub(super) id: u64,
    pub(super) weight: u32,
    /// The job whose tasks these are, for the events that they log.
    pub(super) job: Option<i64>,
    cancelled: AtomicBool,
    busy_ns: AtomicU64,
    /// Executors that have been sent tasks of this group.
    members: Mutex<Vec<Arc<Core>>>,
}

impl WorkGroup {
    /// The largest weight.
    pub const WEIGHT_MAX: u32 = 1000;

    /// A group of a weight between 1 and [`WorkGroup::WEIGHT_MAX`] (others count as the nearest of these): a group of
    /// weight 2 gets twice the time of one of weight 1 wherever both want all they can get.
    pub fn new(weight: u32) -> Self {
        Self { owner: Arc::new(Owner(GroupState::new(weight, None))) }
    }

    /// As [`WorkGroup::new`], for the tasks of a job: what they log goes to its log.
    pub fn of_job(weight: u32, job: i64) -> Self {
        Self { owner: Arc::new(Owner(GroupState::new(weight, Some(job)))) }
    }

    /// Drops the group's tasks, each at the next turn of its executor, at once where it is idle. A step that runs is
    /// not interrupted. Tasks that are sent later are dropped, too. Awaiting a dropped task gives
    /// [`JoinError::Cancelled`](super::JoinError).
    pub fn cancel(&self) {
        self.owner.0.cancel();
    }

    /// Whether the group was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.owner.0.is_cancelled()
    }

    /// Time that the group's tasks have run, on all executors together. It is brought up to date at each turn.
    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.owner.0.busy_ns.load(Ordering::Relaxed))
    }

    /// A number that tells groups apart in logs and dumps.
    pub fn id(&self) -> u64 {
        self.owner.0.id
    }

    pub(super) fn state(&self) -> &Arc<GroupState> {
        &self.owner.0
    }
}

impl GroupState {
    pub(super) fn new(weight: u32, job: Option<i64>) -> Arc<Self> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            weight: weight.clamp(1, WorkGroup::WEIGHT_MAX),
            job,
            cancelled: AtomicBool::new(false),
            busy_ns: AtomicU64::new(0),
            members: Mutex::default(),
        })
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Remembers an executor that has to be told when the group is cancelled.
    pub(super) fn join(&self, core: &Arc<Core>) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if !members.iter().any(|member| Arc::ptr_eq(member, core)) {
            members.push(core.clone());
        }
    }

    fn cancel(&self) {
        if self.cancelled.swap(true, Ordering::AcqRel) {
            return;
        }
        let members = std::mem::take(&mut *self.members.lock().unwrap_or_else(PoisonError::into_inner));
        for core in members {
            core.sweep();
        }
    }

    pub(super) fn add_busy(&self, nanos: u64) {
        self.busy_ns.fetch_add(nanos, Ordering::Relaxed);
    }
}
