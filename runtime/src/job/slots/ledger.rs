//! Who has the slots of a node that has a fixed number of them, and who waits (contract B.3). Pure: no clock, no I/O.
//!
//! Jobs that wait stand in the order of their requests. A later one that fits may go first, so that a large job at the
//! head does not leave slots idle. So that it does not wait for ever, it is passed a bounded number of times only: then
//! nobody behind it gets anything, slots that come back add up, and it is served next.

use std::collections::{BTreeMap, VecDeque};

/// What becomes of a job that asks for more slots than are free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JobScheduleStrategy {
    /// It is refused.
    #[default]
    Reject,
    /// It waits.
    Wait,
}

/// The bounds of a [`SlotLedger`].
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotBounds {
    /// Slots that there are.
    pub total: u64,
    /// What becomes of a job that asks for more than are free.
    pub strategy: JobScheduleStrategy,
    /// Jobs that may wait.
    pub waiting_max: usize,
    /// How often jobs behind it may go before one that waits.
    pub passes_max: u32,
}

/// Answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The job has its slots.
    Granted,
    /// It gets them later.
    Waits,
    /// It does not get them now, and does not wait.
    Refused(Shortage),
}

/// Why there are no slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shortage {
    /// The job asks for more than there are.
    TooFew,
    /// Others have them; so many are free.
    Taken { free: u64 },
    /// The node lacks tags that the job asks for.
    Tags,
    /// As many jobs wait as may.
    WaitingMax,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    job: u64,
    slots: u64,
    /// Whether the node has the tags that the job asks for. One that is not eligible holds nobody up.
    eligible: bool,
    /// How many jobs behind it have gone first.
    passes: u32,
}

/// Slots and who has them. Jobs are known by a number of the caller's.
#[derive(Debug)]
pub(super) struct SlotLedger {
    bounds: SlotBounds,
    held: BTreeMap<u64, u64>,
    assigned: u64,
    waiting: VecDeque<Waiting>,
}

impl SlotLedger {
    /// A ledger in which all slots are free.
    pub fn new(bounds: SlotBounds) -> Self {
        Self { bounds, held: BTreeMap::new(), assigned: 0, waiting: VecDeque::new() }
    }

    /// Slots that jobs have.
    pub fn assigned(&self) -> u64 {
        self.assigned
    }

    /// Jobs that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn free(&self) -> u64 {
        self.bounds.total - self.assigned
    }

    /// A job asks for slots; `eligible` says whether the node has the tags that it wants. One that has slots or waits
    /// already is answered as that.
    pub fn request(&mut self, job: u64, slots: u64, eligible: bool) -> Answer {
        if self.held.contains_key(&job) {
            return Answer::Granted;
        }
        if self.waiting.iter().any(|waiting| waiting.job == job) {
            return Answer::Waits;
        }
        if slots > self.bounds.total {
            return Answer::Refused(Shortage::TooFew);
        }
        match self.bounds.strategy {
            JobScheduleStrategy::Reject if !eligible => Answer::Refused(Shortage::Tags),
            JobScheduleStrategy::Reject if slots > self.free() => {
                Answer::Refused(Shortage::Taken { free: self.free() })
            }
            JobScheduleStrategy::Reject => {
                self.give(job, slots);
                Answer::Granted
            }
            JobScheduleStrategy::Wait => {
                self.waiting.push_back(Waiting { job, slots, eligible, passes: 0 });
                // Only the newcomer can be served: what is free did not suffice for the others before.
                if self.serve() == [job] {
                    return Answer::Granted;
                }
                if self.waiting.len() > self.bounds.waiting_max {
                    self.waiting.pop_back();
                    return Answer::Refused(Shortage::WaitingMax);
                }
                Answer::Waits
            }
        }
    }

    /// A job ends, or waits no longer. Gives the jobs that have slots now.
    pub fn release(&mut self, job: u64) -> Vec<u64> {
        self.assigned -= self.held.remove(&job).unwrap_or(0);
        self.waiting.retain(|waiting| waiting.job != job);
        self.serve()
    }

    /// The node's tags have changed: says anew of each job that waits whether it is eligible. Gives the jobs that have
    /// slots now.
    pub fn retag(&mut self, eligible: impl Fn(u64) -> bool) -> Vec<u64> {
        self.waiting.iter_mut().for_each(|waiting| waiting.eligible = eligible(waiting.job));
        self.serve()
    }

    fn give(&mut self, job: u64, slots: u64) {
        self.assigned += slots;
        self.held.insert(job, slots);
    }

    /// Serves those that wait, in their order, as far as the slots go.
    fn serve(&mut self) -> Vec<u64> {
        let mut served = Vec::new();
        let mut position = 0;
        while let Some(next) = self.waiting.get(position).copied() {
            if next.eligible && next.slots <= self.free() {
                self.waiting.remove(position);
                self.give(next.job, next.slots);
                served.push(next.job);
                let before = self.waiting.iter_mut().take(position).filter(|waiting| waiting.eligible);
                before.for_each(|waiting| waiting.passes += 1);
                if self.is_held_up(position) {
                    break;
                }
                continue;
            }
            position += 1;
            if self.is_held_up(position) {
                break;
            }
        }
        served
    }

    /// Whether one of the first so many has been passed as often as may be.
    fn is_held_up(&self, first: usize) -> bool {
        self.waiting.iter().take(first).any(|waiting| waiting.eligible && waiting.passes >= self.bounds.passes_max)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn ledger(total: u64, strategy: JobScheduleStrategy) -> SlotLedger {
        SlotLedger::new(SlotBounds { total, strategy, waiting_max: 100, passes_max: 3 })
    }

    #[test]
    fn a_request_beyond_what_is_free_is_refused_until_slots_come_back() {
        let mut slots = ledger(4, JobScheduleStrategy::Reject);
        assert_eq!(slots.request(1, 3, true), Answer::Granted);
        assert_eq!(slots.request(1, 3, true), Answer::Granted, "asked twice, given once");
        assert_eq!(slots.request(2, 2, true), Answer::Refused(Shortage::Taken { free: 1 }));
        assert_eq!(slots.request(3, 5, true), Answer::Refused(Shortage::TooFew));
        assert_eq!(slots.request(4, 1, false), Answer::Refused(Shortage::Tags));
        assert_eq!(slots.release(1), [0; 0]);
        assert_eq!(slots.request(2, 2, true), Answer::Granted);
        assert_eq!((slots.assigned(), slots.waiting()), (2, 0));
    }

    #[test]
    fn a_later_job_that_fits_goes_first_but_not_for_ever() {
        let mut slots = ledger(4, JobScheduleStrategy::Wait);
        assert_eq!(slots.request(1, 2, true), Answer::Granted);
        assert_eq!(slots.request(2, 4, true), Answer::Waits);
        for small in 3..=5 {
            assert_eq!(slots.request(small, 1, true), Answer::Granted, "no blocking by the head of the line");
            assert_eq!(slots.release(small), [0; 0]);
        }
        assert_eq!(slots.request(6, 1, true), Answer::Waits, "the large one was passed three times");
        assert_eq!(slots.release(1), [2], "all are free for it");
        assert_eq!(slots.release(2), [6]);
    }

    #[test]
    fn a_job_without_its_tags_waits_for_them_and_holds_nobody_up() {
        let mut slots = ledger(2, JobScheduleStrategy::Wait);
        assert_eq!(slots.request(1, 2, false), Answer::Waits);
        for job in 2..20 {
            assert_eq!(slots.request(job, 2, true), Answer::Granted);
            assert_eq!(slots.release(job), [0; 0]);
        }
        assert_eq!(slots.retag(|job| job == 1), [1]);
    }

    #[test]
    fn jobs_that_wait_are_bounded_and_may_give_up() {
        let bounds = SlotBounds { total: 1, strategy: JobScheduleStrategy::Wait, waiting_max: 2, passes_max: 3 };
        let mut slots = SlotLedger::new(bounds);
        assert_eq!(slots.request(1, 1, true), Answer::Granted);
        assert_eq!([2, 3].map(|job| slots.request(job, 1, true)), [Answer::Waits; 2]);
        assert_eq!(slots.request(4, 1, true), Answer::Refused(Shortage::WaitingMax));
        assert_eq!(slots.release(2), [0; 0], "it was stopped while it waited");
        assert_eq!(slots.request(4, 1, true), Answer::Waits);
        assert_eq!((slots.release(1), slots.release(3)), (vec![3], vec![4]));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Request { slots: u64, eligible: bool },
        Release(usize),
        Retag(bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (1u64..8, prop::bool::weighted(0.9)).prop_map(|(slots, eligible)| Step::Request { slots, eligible }),
            3 => any::<usize>().prop_map(Step::Release),
            1 => any::<bool>().prop_map(Step::Retag),
        ]
    }

    proptest! {
        /// Whatever is asked and given back: never more is given than there is, what is given comes back, nobody is
        /// passed more often than may be, and everybody is served in the end.
        #[test]
        fn slots_are_neither_lost_nor_made(
            total in 1u64..10, passes_max in 0u32..4, waits in any::<bool>(), steps in prop::collection::vec(step(), 0..60)
        ) {
            let strategy = if waits { JobScheduleStrategy::Wait } else { JobScheduleStrategy::Reject };
            let mut slots = SlotLedger::new(SlotBounds { total, strategy, waiting_max: 10, passes_max });
            let mut asked: BTreeMap<u64, u64> = BTreeMap::new();
            let (mut holding, mut waiting): (BTreeSet<u64>, BTreeSet<u64>) = Default::default();
            for (job, step) in steps.into_iter().enumerate() {
                let job = job as u64;
                let served = match step {
                    Step::Request { slots: wanted, eligible } => {
                        asked.insert(job, wanted);
                        match slots.request(job, wanted, eligible) {
                            Answer::Granted => _ = holding.insert(job),
                            Answer::Waits => _ = waiting.insert(job),
                            Answer::Refused(Shortage::TooFew) => prop_assert!(wanted > total),
                            Answer::Refused(_) => {}
                        }
                        Vec::new()
                    }
                    Step::Release(number) => {
                        let all: Vec<u64> = holding.union(&waiting).copied().collect();
                        let gone = all.get(number % all.len().max(1)).copied().unwrap_or(job);
                        holding.remove(&gone);
                        waiting.remove(&gone);
                        slots.release(gone)
                    }
                    Step::Retag(all) => slots.retag(|job| all || job % 2 == 0),
                };
                for job in served {
                    prop_assert!(waiting.remove(&job), "{job} did not wait");
                    holding.insert(job);
                }
                let given: u64 = holding.iter().map(|job| asked[job]).sum();
                prop_assert_eq!(given, slots.assigned());
                prop_assert!(given <= total);
                prop_assert_eq!(waiting.len(), slots.waiting());
                prop_assert!(slots.waiting.iter().all(|waiting| waiting.passes <= passes_max));
            }
            // All have their tags, and whoever runs ends at some time.
            for job in slots.retag(|_| true) {
                waiting.remove(&job);
                holding.insert(job);
            }
            while let Some(job) = holding.pop_first() {
                for served in slots.release(job) {
                    waiting.remove(&served);
                    holding.insert(served);
                }
            }
            prop_assert_eq!((slots.assigned(), slots.waiting(), waiting.len()), (0, 0, 0));
        }
    }
}
