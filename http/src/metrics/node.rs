//! What the node holds: slots, history, savepoints, logs.

use super::Live;
use super::family::{Table, counter, gauge};

const SLOTS: &str = "ledger of the slots";
const HISTORY: &str = "directory of the jobs";
const SAVEPOINTS: &str = "savepoints";
const LOGS: &str = "writer of the logs";

pub(super) static NODE: Table<Live> = Table {
    title: "Slots, history, savepoints, logs",
    intro: "A node that keeps no logs has no samples of them.",
    labels: &[],
    parts: &[],
    families: &[
        counter(
            "egret_jobs_ended_total",
            "Jobs that have ended since the node was started.",
            HISTORY,
            |live: &Live, out| {
                let ended = &live.counts;
                for (state, count) in
                    [("finished", ended.finished), ("failed", ended.failed), ("canceled", ended.canceled)]
                {
                    out.labelled(&[state], count);
                }
            },
        )
        .by(&["state"]),
        gauge("egret_history_jobs", "Ended jobs that are remembered.", HISTORY, |live, out| {
            let all: u64 = live.tally.by_state.iter().sum();
            out.value(all.saturating_sub(live.tally.unfinished()));
        }),
        gauge("egret_slots", "Slots that there are.", SLOTS, |live, out| out.value(live.tally.slots_total)),
        gauge("egret_slots_assigned", "Slots that jobs have.", SLOTS, |live, out| {
            out.value(live.tally.slots_assigned);
        }),
        gauge("egret_slots_unassigned", "Slots that no job has.", SLOTS, |live, out| {
            out.value(live.tally.slots_total.saturating_sub(live.tally.slots_assigned));
        }),
        gauge("egret_slots_jobs_waiting", "Jobs that wait for slots.", SLOTS, |live, out| {
            out.value(live.jobs.slots().jobs_waiting);
        }),
        counter("egret_slots_refused_total", "Requests for slots that were refused.", SLOTS, |live, out| {
            out.value(live.jobs.slots().refused);
        }),
        gauge("egret_savepoints", "Jobs whose state is kept, to go on with.", SAVEPOINTS, |live, out| {
            out.value(live.jobs.savepoints().jobs);
        }),
        gauge("egret_savepoints_bytes", "Bytes of that state.", SAVEPOINTS, |live, out| {
            out.value(live.jobs.savepoints().bytes);
        }),
        counter(
            "egret_savepoints_evicted_total",
            "Jobs whose state was dropped for lack of room.",
            SAVEPOINTS,
            |live, out| out.value(live.jobs.savepoints().evicted),
        ),
        gauge("egret_logs", "Jobs with a log.", LOGS, |live, out| out.known(live.logs().map(|logs| logs.logs))),
        gauge("egret_logs_bytes", "Size of all logs.", LOGS, |live, out| {
            out.known(live.logs().map(|logs| logs.bytes));
        }),
        gauge("egret_log_queue_bytes", "Lines that wait to be written to logs.", LOGS, |live, out| {
            out.known(live.logs().map(|logs| logs.queued_bytes));
        }),
        counter(
            "egret_log_lines_lost_total",
            "Lines that are in no log, by what kept them out.",
            LOGS,
            |live: &Live, out| {
                if let Some(logs) = live.logs() {
                    out.labelled(&["log_queue_bytes_max"], logs.dropped);
                    out.labelled(&["disk"], logs.lost);
                }
            },
        )
        .by(&["limit"]),
    ],
};
