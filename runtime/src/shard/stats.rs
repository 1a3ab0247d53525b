//! What is counted for each executor.

use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ShardId;
use crate::metrics::Counter;

/// Which of the two executors of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Requests, coordination, timers.
    Front,
    /// The jobs' tasks.
    Work,
}

/// The live counters: written by the executor's thread alone, except where said.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Driver runs and task polls: what the watchdog looks at.
    pub(super) progress: Counter,
    pub(super) polls: Counter,
    pub(super) busy_ns: Counter,
    pub(super) longest_poll_ns: Counter,
    pub(super) turns: Counter,
    pub(super) ready: Counter,
    pub(super) tasks: Counter,
    pub(super) started: Counter,
    pub(super) panicked: Counter,
    /// Messages taken from the mailbox, and those of them whose task has ended or was dropped.
    pub(super) commands: Counter,
    pub(super) commands_done: Counter,
    /// The task and group being polled, and since when (nanoseconds of the core's clock; 0: none).
    pub(super) poll_task: Counter,
    pub(super) poll_group: Counter,
    pub(super) poll_since: Counter,
    /// The job of that task, 0: none.
    pub(super) poll_job: Counter,
    /// CPU time of the thread at a moment of the core's clock; 0: not read yet.
    pub(super) cpu_mark: Counter,
    pub(super) cpu_mark_at: Counter,
    /// Steps that used too much CPU time, and what they used; those that the watchdog has not caught, and what the last of
    /// them used.
    pub(super) stalls: Counter,
    pub(super) stall_cpu_ns: Counter,
    pub(super) missed_stalls: Counter,
    pub(super) missed_cpu_ns: Counter,
    /// Written by the watchdog: `poll_since` of the last stall that it has caught.
    pub(super) caught: Counter,
    /// Written by senders.
    pub(super) mailbox_refused: AtomicU64,
    /// Written by the watchdog.
    pub(super) watchdog_wakes: Counter,
}

/// One executor's counters at a moment. Counts are since the start.
#[derive(Clone, Debug)]
pub struct ExecutorStats {
    /// Name of the thread, like `egret-front-0`.
    pub name: String,
    /// Its shard.
    pub shard: ShardId,
    /// Its side.
    pub side: Side,
    /// Number of the CPU it is pinned to.
    pub cpu: usize,
    /// Driver runs and polls: stands still only while the executor does.
    pub progress: u64,
    /// Messages that wait in its mailbox now.
    pub mailbox_depth: usize,
    /// Messages that its mailbox holds at most.
    pub mailbox_capacity: usize,
    /// Messages refused because the mailbox was full.
    pub mailbox_refused: u64,
    /// Tasks that exist now.
    pub tasks: u64,
    /// Tasks ready to run now.
    pub ready: u64,
    /// Tasks ever started.
    pub started: u64,
    /// Tasks that panicked.
    pub panicked: u64,
    /// Commands: messages that it has taken from its mailbox, each of which starts a task.
    pub commands: u64,
    /// Commands of those whose task has not ended yet.
    pub commands_running: u64,
    /// Slices: polls of tasks.
    pub slices: u64,
    /// Nanoseconds of all slices together.
    pub busy_ns: u64,
    /// Nanoseconds of the longest slice.
    pub longest_slice_ns: u64,
    /// Reactor turns made between slices, so that I/O is served while tasks are ready.
    pub reactor_turns: u64,
    /// Times that the watchdog had to wake it.
    pub watchdog_wakes: u64,
    /// Steps that used more CPU time than they may, counted when they have ended.
    pub stalls: u64,
    /// Nanoseconds of CPU time of these steps.
    pub stall_cpu_ns: u64,
}

/// Queues and commands of some executors, together, at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// Tasks that are ready to run.
    pub ready: u64,
    /// Messages that wait in mailboxes.
    pub messages: u64,
    /// Messages that the mailboxes hold at most.
    pub messages_max: u64,
    /// Commands taken from mailboxes since the start, each of which starts a task.
    pub commands: u64,
    /// Commands of those whose task has not ended yet.
    pub commands_running: u64,
}

impl Add for Queues {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            ready: self.ready + other.ready,
            messages: self.messages + other.messages,
            messages_max: self.messages_max + other.messages_max,
            commands: self.commands + other.commands,
            commands_running: self.commands_running + other.commands_running,
        }
    }
}

impl Counters {
    pub(super) fn refused(&self) -> u64 {
        self.mailbox_refused.load(Ordering::Relaxed)
    }
}
