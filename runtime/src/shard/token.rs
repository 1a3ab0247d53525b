//! The token: which task runs next. Deficit round robin between groups, first come first served within one.
//!
//! Pure: it is told what is ready and what a task has used, and names the next task.

use std::collections::VecDeque;

/// Turns of one group within a driver.
struct Share {
    /// Nanoseconds that the group is given in a round.
    quantum: i64,
    /// Nanoseconds that it may still use in this round; below zero after a long step.
    deficit: i64,
    /// The round whose quantum is in `deficit`.
    credited: u64,
    ready: VecDeque<u32>,
    listed: bool,
}

/// The order of the tasks that are ready.
pub(super) struct Token {
    shares: Vec<Option<Share>>,
    free: Vec<u32>,
    slice: i64,
    round: u64,
    /// Groups yet to be served in this round, and those that have to wait for the next one.
    this_round: VecDeque<u32>,
    next_round: VecDeque<u32>,
    ready: usize,
}

/// Rounds after which what a group overran is forgiven, so that one step of minutes is not paid for in hours.
const DEBT_ROUNDS_MAX: i64 = 1000;

impl Token {
    /// A token with a slice in nanoseconds: what weight 1 gets in a round.
    pub(super) fn new(slice: i64) -> Self {
        Self {
            shares: Vec::new(),
            free: Vec::new(),
            slice,
            round: 1,
            this_round: VecDeque::new(),
            next_round: VecDeque::new(),
            ready: 0,
        }
    }

    /// Takes a group in.
    pub(super) fn add_group(&mut self, weight: u32) -> u32 {
        let quantum = self.slice.saturating_mul(i64::from(weight.max(1)));
        let share = Share { quantum, deficit: 0, credited: 0, ready: VecDeque::new(), listed: false };
        match self.free.pop() {
            Some(group) => {
                self.shares[group as usize] = Some(share);
                group
            }
            None => {
                self.shares.push(Some(share));
                self.shares.len() as u32 - 1
            }
        }
    }

    /// Forgets a group and what was ready of it.
    pub(super) fn remove_group(&mut self, group: u32) {
        if let Some(share) = self.shares[group as usize].take() {
            self.ready -= share.ready.len();
            if share.listed {
                self.this_round.retain(|listed| *listed != group);
                self.next_round.retain(|listed| *listed != group);
            }
            self.free.push(group);
        }
    }

    /// A task of a group is ready to run.
    pub(super) fn enqueue(&mut self, group: u32, task: u32) {
        let Some(share) = &mut self.shares[group as usize] else { return };
        share.ready.push_back(task);
        self.ready += 1;
        if !share.listed {
            share.listed = true;
            self.this_round.push_back(group);
        }
    }

    /// Tasks that are ready.
    pub(super) fn ready(&self) -> usize {
        self.ready
    }

    /// The task whose turn it is, with its group; it is no longer ready then.
    pub(super) fn next(&mut self) -> Option<(u32, u32)> {
        if self.ready == 0 {
            return None;
        }
        loop {
            let Some(&group) = self.this_round.front() else {
                // Some group has a ready task, so it is listed: the next round is not empty.
                std::mem::swap(&mut self.this_round, &mut self.next_round);
                self.round += 1;
                continue;
            };
            let Some(share) = &mut self.shares[group as usize] else {
                self.this_round.pop_front();
                continue;
            };
            if share.ready.is_empty() {
                share.listed = false;
                self.this_round.pop_front();
                continue;
            }
            share.credit(self.round);
            if share.deficit <= 0 {
                self.this_round.pop_front();
                self.next_round.push_back(group);
                continue;
            }
            self.ready -= 1;
            return share.ready.pop_front().map(|task| (group, task));
        }
    }

    /// A task of the group has run for so many nanoseconds.
    pub(super) fn charge(&mut self, group: u32, nanos: i64) {
        if let Some(share) = &mut self.shares[group as usize] {
            let floor = share.quantum.saturating_mul(-DEBT_ROUNDS_MAX);
            share.deficit = share.deficit.saturating_sub(nanos).max(floor);
        }
    }
}

impl Share {
    /// Gives the quanta of the rounds since the last time: they pay a debt, but are never saved up.
    fn credit(&mut self, round: u64) {
        let missed = i64::try_from(round - self.credited).unwrap_or(i64::MAX);
        if missed > 0 {
            self.deficit = self.deficit.saturating_add(self.quantum.saturating_mul(missed)).min(self.quantum);
            self.credited = round;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: i64 = 2_000_000;

    /// Runs tasks that are always ready, each step as long as `step` says, and gives what each group used.
    fn run(weights: &[u32], rounds: usize, step: impl Fn(usize, usize) -> i64) -> Vec<i64> {
        let mut token = Token::new(SLICE);
        let groups: Vec<u32> = weights.iter().map(|weight| token.add_group(*weight)).collect();
        groups.iter().for_each(|group| token.enqueue(*group, *group));
        let mut used = vec![0; weights.len()];
        for turn in 0..rounds {
            let (group, task) = token.next().expect("a task is always ready");
            let nanos = step(group as usize, turn);
            used[group as usize] += nanos;
            token.charge(group, nanos);
            token.enqueue(group, task);
        }
        used
    }

    #[test]
    fn jobs_share_by_weight() {
        let used = run(&[1, 2, 4], 100_000, |_, _| SLICE);
        let unit = used.iter().sum::<i64>() / 7;
        for (share, weight) in used.iter().zip([1, 2, 4]) {
            assert!((share - weight * unit).abs() < unit / 100, "{used:?}");
        }
    }

    #[test]
    fn long_steps_are_paid_for_in_the_rounds_after() {
        let used =
            run(&[1, 1], 100_000, |group, turn| if group == 0 { SLICE * 10 } else { SLICE / 3 + turn as i64 % 9 });
        let difference = (used[0] - used[1]).abs();
        assert!(difference < used[0] / 50, "{used:?}");
    }

    #[test]
    fn tasks_of_a_job_take_turns() {
        let mut token = Token::new(SLICE);
        let group = token.add_group(1);
        (10..13).for_each(|task| token.enqueue(group, task));
        let order: Vec<u32> = (0..6)
            .map(|_| {
                let (group, task) = token.next().expect("ready");
                token.charge(group, SLICE);
                token.enqueue(group, task);
                task
            })
            .collect();
        assert_eq!(order, [10, 11, 12, 10, 11, 12]);
    }

    #[test]
    fn an_idle_job_saves_nothing_up() {
        let mut token = Token::new(SLICE);
        let (busy, idle) = (token.add_group(1), token.add_group(1));
        token.enqueue(busy, 0);
        for _ in 0..1000 {
            let (group, task) = token.next().expect("ready");
            token.charge(group, SLICE);
            token.enqueue(group, task);
        }
        token.enqueue(idle, 1);
        let mut used = [0; 2];
        for _ in 0..100 {
            let (group, task) = token.next().expect("ready");
            used[group as usize] += 1;
            token.charge(group, SLICE);
            token.enqueue(group, task);
        }
        assert_eq!(used[busy as usize], 50);
        assert_eq!(used[idle as usize], 50);
    }

    #[test]
    fn a_group_that_left_takes_its_tasks_along() {
        let mut token = Token::new(SLICE);
        let (gone, stays) = (token.add_group(1), token.add_group(1));
        token.enqueue(gone, 7);
        token.enqueue(stays, 8);
        token.remove_group(gone);
        assert_eq!(token.ready(), 1);
        assert_eq!(token.next(), Some((stays, 8)));
        assert_eq!(token.next(), None);
        assert_eq!(token.add_group(1), gone);
    }

    #[test]
    fn a_step_of_minutes_is_forgiven_after_a_while() {
        let mut token = Token::new(SLICE);
        let (late, other) = (token.add_group(1), token.add_group(1));
        token.enqueue(late, 0);
        token.enqueue(other, 1);
        assert_eq!(token.next(), Some((late, 0)));
        token.charge(late, SLICE * 1_000_000);
        token.enqueue(late, 0);
        let mut waited = 0i64;
        loop {
            let (group, task) = token.next().expect("ready");
            if group == late {
                break;
            }
            waited += 1;
            token.charge(group, SLICE);
            token.enqueue(group, task);
        }
        assert!(waited <= DEBT_ROUNDS_MAX + 1, "{waited}");
    }
}
