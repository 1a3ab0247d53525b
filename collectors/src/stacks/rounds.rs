//! Asking all threads: whom, and whom not.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use super::capture::{self, Missing, Outcome};
use crate::kept::read_into;
use crate::text;
use crate::threads::{ThreadSample, ThreadState};

/// Asks all threads again and again, and remembers who has answered.
///
/// A thread that blocks signals is not asked, with one exception: one that answered the last time and blocks what the
/// handler blocks. It has most likely not left the handler since: its answer is there before it has, and a thread of low
/// priority may lose its CPU in between. The signal waits for it and reaches it when it leaves.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// Numbers of the threads that answered the last time.
    answered: BTreeSet<i32>,
    buffer: Vec<u8>,
}

impl Rounds {
    /// Takes the stacks of threads. Those that could not be asked are tried once more when the others have answered: a
    /// thread also blocks signals for the moment in which it answers another one, or starts a thread.
    pub(super) fn capture(&mut self, threads: &[ThreadSample], deadline: Instant) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = threads.iter().map(|_| Err(Missing::Blocked)).collect();
        let mut left: Vec<usize> = (0..threads.len()).collect();
        for _ in 0..2 {
            let mut asked = Vec::with_capacity(left.len());
            for index in std::mem::take(&mut left) {
                match self.hindrance(&threads[index]) {
                    None => asked.push(index),
                    Some(why) => {
                        outcomes[index] = Err(why);
                        left.push(index);
                    }
                }
            }
            let ids: Vec<i32> = asked.iter().map(|index| threads[*index].id).collect();
            let answers = capture::capture(&ids, deadline);
            asked.into_iter().zip(answers).for_each(|(index, outcome)| outcomes[index] = outcome);
        }
        let answered = threads.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
        self.answered = answered.map(|(thread, _)| thread.id).collect();
        outcomes
    }

    /// Why a thread is not asked.
    fn hindrance(&mut self, thread: &ThreadSample) -> Option<Missing> {
        if thread.state == ThreadState::Terminated {
            return Some(Missing::Gone);
        }
        let status = format!("/proc/self/task/{}/status", thread.id);
        let Some(masks) = read_into(Path::new(&status), &mut self.buffer).map(text::signal_masks) else {
            return Some(Missing::Gone);
        };
        let is_set = |mask: u64| mask & capture::signal_bit() != 0;
        let handler = capture::signals_blocked_by_handler();
        if masks.blocked & handler == handler && self.answered.contains(&thread.id) {
            None
        } else if is_set(masks.blocked) {
            Some(Missing::Blocked)
        } else if is_set(masks.pending) {
            // A second signal would only wait behind the first.
            Some(Missing::Pending)
        } else {
            None
        }
    }
}
