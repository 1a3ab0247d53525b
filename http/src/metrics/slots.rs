//! The families of what jobs run on and leave: slots and savepoints.

use super::text::{Exposition, Kind};
use crate::jobs::{JobService, JobTally};

/// Slots, jobs that wait for some, and what is kept of jobs that can be gone on with.
pub(super) fn slots(jobs: &JobService, tally: &JobTally, text: &mut Exposition) {
    let (slots, savepoints) = (jobs.slots(), jobs.savepoints());
    let free = tally.slots_total.saturating_sub(tally.slots_assigned);
    let families: [(Kind, &'static str, &str, u64); 7] = [
        (Kind::Gauge, "egret_slots", "Slots that there are.", tally.slots_total),
        (Kind::Gauge, "egret_slots_unassigned", "Slots that no job has.", free),
        (Kind::Gauge, "egret_slots_jobs_waiting", "Jobs that wait for slots.", slots.jobs_waiting),
        (Kind::Counter, "egret_slots_refused", "Requests for slots that were refused.", slots.refused),
        (Kind::Gauge, "egret_savepoints", "Jobs whose state is kept, to go on with.", savepoints.jobs),
        (Kind::Gauge, "egret_savepoints_bytes", "Bytes of that state.", savepoints.bytes),
        (
            Kind::Counter,
            "egret_savepoints_evicted",
            "Jobs whose state was dropped for lack of room.",
            savepoints.evicted,
        ),
    ];
    for (kind, family, help, value) in families {
        text.family(kind, family, help).sample(&[], value as f64);
    }
}
