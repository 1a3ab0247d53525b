//! Slots for jobs (contract B.3): asked for by coordinators, from any core, without waiting for each other.

mod ledger;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use crossbeam::queue::SegQueue;

pub use ledger::JobScheduleStrategy;
use ledger::{Answer, Shortage, SlotBounds, SlotLedger};

use super::JobEntry;
use super::events::Payload;
use super::machine::{Event, Refusal};

/// Names and values that mark a node (contract A.4, update-tags).
pub type Tags = BTreeMap<String, String>;

/// How many slots a node has, and what becomes of jobs that find too few.
#[derive(Clone, Debug)]
pub struct SlotSettings {
    /// Whether slots are made on demand: then every job gets what it asks for, and the strategy is
    /// [`JobScheduleStrategy::Reject`] whatever is set (contract B.3). Default true.
    pub dynamic: bool,
    /// Slots of a node that does not make them on demand. Default 2.
    pub count: u32,
    /// What becomes of a job that finds too few. Default [`JobScheduleStrategy::Reject`].
    pub strategy: JobScheduleStrategy,
    /// Wait before a refused request is repeated, which is done three times. Default 500 ms.
    pub retry_interval: Duration,
    /// How often later jobs may go before one that waits. Default 16.
    pub passes_max: u32,
    /// Jobs that may wait for slots. Default 1,000.
    pub jobs_waiting_max: usize,
}

impl Default for SlotSettings {
    fn default() -> Self {
        Self {
            dynamic: true,
            count: 2,
            strategy: JobScheduleStrategy::default(),
            retry_interval: Duration::from_millis(500),
            passes_max: 16,
            jobs_waiting_max: 1000,
        }
    }
}

/// Slots and waiting jobs at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotCounts {
    /// Slots that there are; `None` where they are made on demand.
    pub total: Option<u64>,
    /// Slots that jobs have; 0 where they are made on demand, see [`super::JobTally::slots_assigned`].
    pub assigned: u64,
    /// Jobs that wait for slots.
    pub jobs_waiting: u64,
    /// Requests that were refused since the node was started, repeated ones included.
    pub refused: u64,
}

enum Order {
    Request(Arc<JobEntry>),
    /// The job of this sequence number has ended.
    Release(u64),
}

struct Ledger {
    slots: SlotLedger,
    /// Jobs that wait, by their sequence number.
    waiting: BTreeMap<u64, Arc<JobEntry>>,
}

/// Gives slots to jobs.
///
/// Whoever has an order puts it into the queue and then carries out what is queued, unless somebody does that already:
/// nobody waits for another core. The answer is an event of the job.
pub(super) struct Slots {
    settings: SlotSettings,
    tags: ArcSwapOption<Tags>,
    /// Bounded by the jobs: each has at most a request and a release on the way.
    orders: SegQueue<Order>,
    /// The tags have changed, and jobs that wait have not been judged by them. However often they change, that is one look
    /// at the newest.
    retagged: AtomicBool,
    ledger: Mutex<Ledger>,
    assigned: AtomicU64,
    waiting: AtomicU64,
    refused: AtomicU64,
}

impl Slots {
    pub fn new(settings: SlotSettings) -> Self {
        let bounds = SlotBounds {
            total: u64::from(settings.count),
            strategy: settings.strategy,
            waiting_max: settings.jobs_waiting_max,
            passes_max: settings.passes_max,
        };
        Self {
            settings,
            tags: ArcSwapOption::empty(),
            orders: SegQueue::new(),
            retagged: AtomicBool::new(false),
            ledger: Mutex::new(Ledger { slots: SlotLedger::new(bounds), waiting: BTreeMap::new() }),
            assigned: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Asks for the slots of a job; the answer is [`Event::Granted`] or [`Event::SlotsRefused`], or comes later.
    pub fn request(&self, job: &Arc<JobEntry>) {
        if !self.settings.dynamic {
            return self.order(Order::Request(Arc::clone(job)));
        }
        // Slots are made on demand: only tags can stand in the way.
        if self.is_eligible(job) {
            job.events.push(Event::Granted, Payload::Nothing);
        } else {
            self.refuse(job, Shortage::Tags);
        }
    }

    /// Takes back what a job has, or its request.
    pub fn release(&self, job: &JobEntry) {
        if !self.settings.dynamic {
            self.order(Order::Release(job.sequence()));
        }
    }

    /// The node's tags; `None` until somebody has set them. Without tags every job may run here.
    pub fn tags(&self) -> Option<Arc<Tags>> {
        self.tags.load_full()
    }

    /// Replaces the node's tags. Jobs that have slots keep them.
    pub fn set_tags(&self, tags: Tags) {
        self.tags.store(Some(Arc::new(tags)));
        if !self.settings.dynamic {
            self.retagged.store(true, Ordering::SeqCst);
            self.work_off();
        }
    }

    /// Slots and waiting jobs now.
    pub fn counts(&self) -> SlotCounts {
        SlotCounts {
            total: (!self.settings.dynamic).then(|| u64::from(self.settings.count)),
            assigned: self.assigned.load(Ordering::Acquire),
            jobs_waiting: self.waiting.load(Ordering::Acquire),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Whether as many jobs wait as may.
    pub fn is_full(&self) -> bool {
        !self.settings.dynamic
            && self.settings.strategy == JobScheduleStrategy::Wait
            && self.waiting.load(Ordering::Acquire) >= self.settings.jobs_waiting_max as u64
    }

    /// Whether the node has the tags that a job asks for.
    fn is_eligible(&self, job: &JobEntry) -> bool {
        let tags = self.tags.load();
        let Some(tags) = &*tags else { return true };
        job.tag_filter().iter().all(|(name, value)| tags.get(name) == Some(value))
    }

    fn order(&self, order: Order) {
        self.orders.push(order);
        self.work_off();
    }

    /// Carries out what there is to do, unless somebody does that already.
    fn work_off(&self) {
        // What the caller has left is seen by whoever has the lock, or the lock is seen to be free: this fence is the
        // counterpart of the one below.
        fence(Ordering::SeqCst);
        while self.has_orders() {
            let mut ledger = match self.ledger.try_lock() {
                Ok(ledger) => ledger,
                Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
                // Who has it looks again once it is free, so no order is left.
                Err(TryLockError::WouldBlock) => return,
            };
            if self.retagged.swap(false, Ordering::SeqCst) {
                self.judge_by_tags(&mut ledger);
            }
            while let Some(order) = self.orders.pop() {
                self.carry_out(&mut ledger, order);
            }
            self.assigned.store(ledger.slots.assigned(), Ordering::Release);
            self.waiting.store(ledger.slots.waiting() as u64, Ordering::Release);
            drop(ledger);
            fence(Ordering::SeqCst);
        }
    }

    fn has_orders(&self) -> bool {
        !self.orders.is_empty() || self.retagged.load(Ordering::SeqCst)
    }

    fn judge_by_tags(&self, ledger: &mut Ledger) {
        let waiting = &ledger.waiting;
        let served = ledger.slots.retag(|sequence| waiting.get(&sequence).is_some_and(|job| self.is_eligible(job)));
        Self::grant(ledger, served);
    }

    fn carry_out(&self, ledger: &mut Ledger, order: Order) {
        match order {
            Order::Request(job) => {
                let eligible = self.is_eligible(&job);
                match ledger.slots.request(job.sequence(), u64::from(job.slots()), eligible) {
                    Answer::Granted => job.events.push(Event::Granted, Payload::Nothing),
                    Answer::Waits => _ = ledger.waiting.insert(job.sequence(), job),
                    Answer::Refused(shortage) => self.refuse(&job, shortage),
                }
            }
            Order::Release(sequence) => {
                ledger.waiting.remove(&sequence);
                let served = ledger.slots.release(sequence);
                Self::grant(ledger, served);
            }
        }
    }

    /// Tells jobs that waited that they have their slots.
    fn grant(ledger: &mut Ledger, served: Vec<u64>) {
        for job in served.into_iter().filter_map(|sequence| ledger.waiting.remove(&sequence)) {
            job.events.push(Event::Granted, Payload::Nothing);
        }
    }

    fn refuse(&self, job: &JobEntry, shortage: Shortage) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let refusal = Refusal { message: self.explain(job, shortage), again: self.may_repeat(shortage) };
        job.events.push(Event::SlotsRefused(refusal), Payload::Nothing);
    }

    /// A job that would have to wait and may not, or would wait in vain, is not helped by asking again.
    fn may_repeat(&self, shortage: Shortage) -> bool {
        let rejects = self.settings.dynamic || self.settings.strategy == JobScheduleStrategy::Reject;
        rejects && shortage != Shortage::WaitingMax
    }

    /// Why a job gets no slots and what helps; with the words that clients of the original look for.
    fn explain(&self, job: &JobEntry, shortage: Shortage) -> String {
        let (wanted, total) = (job.slots(), self.settings.count);
        let why = match shortage {
            Shortage::TooFew => format!(
                "it needs {wanted} and the node has {total} (slot_num); raise slot_num, make slots on demand \
                 (dynamic_slot: true), or lower the job's parallelism"
            ),
            Shortage::Taken { free } => format!(
                "it needs {wanted} and {free} of {total} are free (slot_num); submit it again when other jobs have \
                 ended, let jobs wait for slots (job_schedule_strategy: WAIT), raise slot_num, or make slots on demand \
                 (dynamic_slot: true)"
            ),
            Shortage::WaitingMax => format!(
                "it would have to wait, and {} jobs wait already (jobs_waiting_max); submit it again later",
                self.settings.jobs_waiting_max
            ),
            Shortage::Tags => {
                let wants = listed(job.tag_filter().iter().map(|(name, value)| (name, value)));
                let tags = self.tags().unwrap_or_default();
                format!(
                    "no node has the tags that its env.tag_filter asks for ({wants}; the tags here: {}); set them with \
                     update-tags, or change tag_filter",
                    listed(tags.iter())
                )
            }
        };
        format!("NoEnoughResourceException: can't apply resource request of job {}: {why}", job.id())
    }
}

/// Tags as one would write them.
fn listed<'a>(tags: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let tags: Vec<String> = tags.map(|(name, value)| format!("{name}={value}")).collect();
    if tags.is_empty() { "none".to_owned() } else { tags.join(", ") }
}
