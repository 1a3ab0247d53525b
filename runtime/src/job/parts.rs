//! What the tasks of an attempt have sealed and prepared, until it is published.
//!
//! Instance `i` of every chain of a pipeline feeds instance `i` of the next, so what one reader reads is written by the
//! tasks of its own index alone. An index whose tasks have all ended has read and sealed everything: what they prepared
//! goes with the next checkpoint, and a restart from there reads nothing of it again. While one of them still runs, the
//! others' last pieces wait: a restart from the checkpoint would write their rows anew.

use std::collections::BTreeMap;

use crate::plugin::{Prepared, Split};
use crate::task::{Sealed, TaskId};

/// Prepared pieces with the task that prepared them.
pub(super) type Pieces = Vec<(TaskId, Vec<Prepared>)>;

/// Parts of checkpoints.
#[derive(Debug)]
pub(super) struct Parts {
    chains: usize,
    /// Parts of checkpoints that are not complete.
    sealed: BTreeMap<u64, Vec<(TaskId, Sealed)>>,
    /// What ended tasks prepared last and nobody has committed.
    last: BTreeMap<TaskId, Vec<Prepared>>,
    /// Tasks that have ended, by index.
    ended: BTreeMap<usize, usize>,
}

/// A checkpoint that is complete.
#[derive(Debug, Default)]
pub(super) struct Completed {
    /// Splits that are not read to their end, with the index of their reader.
    pub splits: Vec<(usize, Split)>,
    /// Indexes that have read everything.
    pub done: Vec<usize>,
    /// What is to be published.
    pub pieces: Pieces,
}

impl Parts {
    /// Nothing yet, of a pipeline of so many chains.
    pub fn new(chains: usize) -> Self {
        Self { chains, sealed: BTreeMap::new(), last: BTreeMap::new(), ended: BTreeMap::new() }
    }

    /// A task has taken part in a checkpoint.
    pub fn seal(&mut self, task: TaskId, sealed: Sealed) {
        self.sealed.entry(sealed.checkpoint).or_default().push((task, sealed));
    }

    /// A task has ended well, with these last pieces.
    pub fn finish(&mut self, task: TaskId, pieces: Vec<Prepared>) {
        self.last.insert(task, pieces);
        *self.ended.entry(task.index).or_default() += 1;
    }

    /// Completes a checkpoint that every task has sealed or ended before.
    pub fn complete(&mut self, checkpoint: u64) -> Completed {
        let done: Vec<usize> =
            self.ended.iter().filter(|(_, ended)| **ended == self.chains).map(|(index, _)| *index).collect();
        let mut completed = Completed { done, ..Completed::default() };
        let later = self.sealed.split_off(&(checkpoint + 1));
        for (number, parts) in std::mem::replace(&mut self.sealed, later) {
            for (task, sealed) in parts {
                // Those of a checkpoint that was overtaken by the end of its tasks are published, too.
                completed.pieces.push((task, sealed.pieces));
                if number == checkpoint && !completed.done.contains(&task.index) {
                    completed.splits.extend(sealed.splits.into_iter().map(|split| (task.index, split)));
                }
            }
        }
        let last = std::mem::take(&mut self.last);
        for (task, pieces) in last {
            if completed.done.contains(&task.index) {
                completed.pieces.push((task, pieces));
            } else {
                self.last.insert(task, pieces);
            }
        }
        completed
    }

    /// Everything that was prepared and not committed.
    pub fn rest(&mut self) -> Pieces {
        let sealed = std::mem::take(&mut self.sealed).into_values().flatten();
        let last = std::mem::take(&mut self.last);
        sealed.map(|(task, sealed)| (task, sealed.pieces)).chain(last).collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn task(chain: usize, index: usize) -> TaskId {
        TaskId { chain, index }
    }

    fn split(position: &'static str) -> Split {
        Split { id: "s".into(), state: Bytes::from_static(position.as_bytes()) }
    }

    fn piece(name: &'static str) -> Vec<Prepared> {
        vec![Prepared(Bytes::from_static(name.as_bytes()))]
    }

    fn sealed(checkpoint: u64, splits: Vec<Split>, pieces: Vec<Prepared>) -> Sealed {
        Sealed { checkpoint, splits, pieces }
    }

    /// Pieces as text, sorted.
    fn names(pieces: &Pieces) -> Vec<String> {
        let text = |piece: &Prepared| String::from_utf8_lossy(&piece.0).into_owned();
        let mut names: Vec<String> = pieces.iter().flat_map(|(_, pieces)| pieces.iter().map(text)).collect();
        names.sort();
        names
    }

    #[test]
    fn what_ended_after_its_barrier_is_not_read_again() {
        let mut parts = Parts::new(1);
        parts.seal(task(0, 0), sealed(1, vec![split("5")], piece("a1")));
        parts.finish(task(0, 0), piece("a-last"));
        parts.seal(task(0, 1), sealed(1, vec![split("7")], piece("b1")));
        let completed = parts.complete(1);
        assert_eq!(completed.splits, [(1, split("7"))], "the last rows of 0 are published with this checkpoint");
        assert_eq!(completed.done, [0]);
        assert_eq!(names(&completed.pieces), ["a-last", "a1", "b1"]);
        assert!(parts.rest().is_empty());
    }

    #[test]
    fn last_pieces_wait_for_the_other_tasks_of_their_index() {
        // A source (chain 0) feeds two sinks (1 and 2); one of them is late.
        let mut parts = Parts::new(3);
        parts.seal(task(0, 0), sealed(1, vec![split("5")], Vec::new()));
        parts.seal(task(1, 0), sealed(1, Vec::new(), piece("x1")));
        parts.seal(task(2, 0), sealed(1, Vec::new(), piece("y1")));
        parts.finish(task(0, 0), Vec::new());
        parts.finish(task(1, 0), piece("x-last"));
        let completed = parts.complete(1);
        assert_eq!(completed.splits, [(0, split("5"))], "the rows behind 5 are not all written");
        assert_eq!((names(&completed.pieces), completed.done), (vec!["x1".into(), "y1".into()], Vec::new()));
        parts.finish(task(2, 0), piece("y-last"));
        let completed = parts.complete(2);
        assert_eq!((completed.splits, completed.done), (Vec::new(), vec![0]));
        assert_eq!(names(&completed.pieces), ["x-last", "y-last"]);
    }

    #[test]
    fn a_checkpoint_that_the_end_overtook_is_published_with_the_next() {
        let mut parts = Parts::new(1);
        parts.seal(task(0, 0), sealed(1, vec![split("5")], piece("a1")));
        parts.finish(task(0, 0), piece("a-last"));
        parts.finish(task(0, 1), piece("b-last"));
        let completed = parts.complete(2);
        assert!(completed.splits.is_empty());
        assert_eq!(names(&completed.pieces), ["a-last", "a1", "b-last"]);
    }

    #[test]
    fn the_rest_is_everything() {
        let mut parts = Parts::new(1);
        parts.seal(task(0, 0), sealed(1, Vec::new(), piece("a1")));
        parts.finish(task(0, 1), piece("b-last"));
        assert_eq!(names(&parts.rest()), ["a1", "b-last"]);
        assert!(parts.rest().is_empty());
    }
}
