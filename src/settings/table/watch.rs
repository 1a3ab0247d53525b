//! Settings of what watches over the node's threads: stacks and stalls.

use egret_collectors::StackSettings;
use egret_runtime::shard::StallSettings;

use super::*;

pub(super) static WATCH: &[Setting] = &[
    Setting {
        key: "stack_wait_max",
        flag: "stack-wait-max",
        takes: TIME,
        meaning: "How long a thread dump waits for the threads, at most 10s; those that have not answered have no stack.",
        set: |s, text| {
            put(&mut s.node.stack_wait_max, duration(text).and_then(|it| at_most(it, StackSettings::WAIT_MAX)))
        },
        show: |s| show_duration(s.node.stack_wait_max),
        originals: &[],
    },
    Setting {
        key: "stall_front",
        flag: "stall-front",
        takes: TIME,
        meaning: "CPU time from which on a step of a request is counted and logged as a stall, at least 1ms.",
        set: |s, text| put(&mut s.stalls.front, duration(text).and_then(|it| at_least(it, StallSettings::LIMIT_MIN))),
        show: |s| show_duration(s.stalls.front),
        originals: &[],
    },
    Setting {
        key: "stall_work",
        flag: "stall-work",
        takes: TIME,
        meaning: "CPU time that a job's task may use without passing the token on before that is a stall, at least 1ms.",
        set: |s, text| put(&mut s.stalls.work, duration(text).and_then(|it| at_least(it, StallSettings::LIMIT_MIN))),
        show: |s| show_duration(s.stalls.work),
        originals: &[],
    },
    Setting {
        key: "stall_log_interval",
        flag: "stall-log-interval",
        takes: TIME,
        meaning: "How often stalls at one place are logged.",
        set: |s, text| put(&mut s.stalls.log_interval, duration(text)),
        show: |s| show_duration(s.stalls.log_interval),
        originals: &[],
    },
];
