//! Settings of slots and savepoints.

use egret_runtime::job::JobScheduleStrategy;

use super::super::values::*;
use super::{BOOLEAN, BYTES, COUNT, Original, Setting, TIME};

pub(super) static SLOTS: &[Setting] = &[
    Setting {
        key: "dynamic_slot",
        flag: "dynamic-slot",
        takes: BOOLEAN,
        meaning: "Whether slots for jobs are made on demand. Then every job has what it needs, and job_schedule_strategy \
                  does not matter.",
        set: |s, text| put(&mut s.jobs.slots.dynamic, boolean(text)),
        show: |s| s.jobs.slots.dynamic.to_string(),
        originals: &[Original {
            path: "seatunnel.engine.slot-service.dynamic-slot",
            set: |s, text| put(&mut s.jobs.slots.dynamic, boolean(text)),
        }],
    },
    Setting {
        key: "slot_num",
        flag: "slot-num",
        takes: COUNT,
        meaning: "Slots of the node where they are not made on demand. Each pipeline of a job takes one for its enumerator, \
                  one for each sink that commits, and one for each parallel task of its source.",
        set: |s, text| put(&mut s.jobs.slots.count, slots(text)),
        show: |s| s.jobs.slots.count.to_string(),
        originals: &[Original {
            path: "seatunnel.engine.slot-service.slot-num",
            set: |s, text| put(&mut s.jobs.slots.count, slots(text)),
        }],
    },
    Setting {
        key: "job_schedule_strategy",
        flag: "job-schedule-strategy",
        takes: "REJECT or WAIT",
        meaning: "What becomes of a job that finds too few slots: it fails, or it waits as PENDING.",
        set: |s, text| put(&mut s.jobs.slots.strategy, strategy(text)),
        show: |s| match s.jobs.slots.strategy {
            JobScheduleStrategy::Reject => "REJECT".to_owned(),
            JobScheduleStrategy::Wait => "WAIT".to_owned(),
        },
        originals: &[Original {
            path: "seatunnel.engine.job-schedule-strategy",
            set: |s, text| put(&mut s.jobs.slots.strategy, strategy(text)),
        }],
    },
    Setting {
        key: "slot_retry_interval",
        flag: "slot-retry-interval",
        takes: TIME,
        meaning: "Wait before slots that were refused are asked for again, three times, before the job fails.",
        set: |s, text| put(&mut s.jobs.slots.retry_interval, duration(text)),
        show: |s| show_duration(s.jobs.slots.retry_interval),
        originals: &[],
    },
    Setting {
        key: "slot_passes_max",
        flag: "slot-passes-max",
        takes: COUNT,
        meaning: "How often later jobs that need fewer slots may go before one that waits. Then it is served next. 0 keeps \
                  strictly to the order.",
        set: |s, text| put(&mut s.jobs.slots.passes_max, parsed(text, "a whole number")),
        show: |s| s.jobs.slots.passes_max.to_string(),
        originals: &[],
    },
    Setting {
        key: "jobs_waiting_max",
        flag: "jobs-waiting-max",
        takes: COUNT,
        meaning: "Jobs that may wait for slots; further ones are refused.",
        set: |s, text| put(&mut s.jobs.slots.jobs_waiting_max, count(text, 1)),
        show: |s| s.jobs.slots.jobs_waiting_max.to_string(),
        originals: &[],
    },
    Setting {
        key: "savepoints_max",
        flag: "savepoints-max",
        takes: COUNT,
        meaning: "Jobs whose state is kept, so that they can be gone on with; the oldest is dropped for a newer one.",
        set: |s, text| put(&mut s.jobs.savepoints_max, count(text, 1)),
        show: |s| s.jobs.savepoints_max.to_string(),
        originals: &[],
    },
    Setting {
        key: "savepoints_bytes_max",
        flag: "savepoints-bytes-max",
        takes: BYTES,
        meaning: "Size of all that state together. A job whose savepoint alone is larger fails.",
        set: |s, text| put(&mut s.jobs.savepoints_bytes_max, bytes(text)),
        show: |s| show_bytes(s.jobs.savepoints_bytes_max),
        originals: &[],
    },
];

fn slots(text: &str) -> Result<u32, String> {
    count(text, 1).and_then(|slots| u32::try_from(slots).map_err(|_| format!("'{text}' is too large")))
}

fn strategy(text: &str) -> Result<JobScheduleStrategy, String> {
    match text.trim().to_ascii_uppercase().as_str() {
        "REJECT" => Ok(JobScheduleStrategy::Reject),
        "WAIT" => Ok(JobScheduleStrategy::Wait),
        _ => Err(format!("expected REJECT or WAIT, found '{text}'")),
    }
}
