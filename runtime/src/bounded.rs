//! A queue with a bound that takes the memory of what is in it, not of what it may hold.
//!
//! A ring for as many entries has to be written to, slot by slot, when it is made: megabytes that an idle node would
//! keep in RAM for nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam::queue::SegQueue;

/// A lock-free queue of at most so many entries, which any thread fills and empties. It grows and shrinks in blocks of
/// 31.
#[derive(Debug)]
pub(crate) struct BoundedQueue<T> {
    entries: SegQueue<T>,
    /// Entries, with those that are on their way in or out: never more than `capacity`.
    taken: AtomicUsize,
    capacity: usize,
}

impl<T> BoundedQueue<T> {
    /// An empty queue. It takes no memory before its first entry comes.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: SegQueue::new(), taken: AtomicUsize::new(0), capacity }
    }

    /// Puts an entry at the end.
    ///
    /// # Errors
    /// The entry, if there is no room.
    pub(crate) fn push(&self, entry: T) -> Result<(), T> {
        let one_more = |taken| (taken < self.capacity).then_some(taken + 1);
        // It counts and orders nothing; the entries' own queue does.
        if self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return Err(entry);
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Takes the first entry.
    pub(crate) fn pop(&self) -> Option<T> {
        let entry = self.entries.pop()?;
        self.taken.fetch_sub(1, Ordering::Relaxed);
        Some(entry)
    }

    /// Whether nothing is in it. Sequentially consistent, for those who look before they sleep.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries now.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Entries that it holds at most.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    #[test]
    fn entries_leave_in_the_order_in_which_they_came() {
        let queue = BoundedQueue::new(100);
        (0..100).for_each(|n| queue.push(n).expect("room"));
        assert_eq!((queue.len(), queue.is_empty()), (100, false));
        assert!((0..100).all(|n| queue.pop() == Some(n)));
        assert_eq!((queue.pop(), queue.len(), queue.is_empty()), (None, 0, true));
    }

    #[test]
    fn a_full_queue_gives_the_entry_back_until_one_has_left() {
        let queue = BoundedQueue::new(2);
        assert_eq!((queue.push(1), queue.push(2), queue.push(3)), (Ok(()), Ok(()), Err(3)));
        assert_eq!(queue.pop(), Some(1));
        assert_eq!((queue.push(3), queue.push(4)), (Ok(()), Err(4)));
        assert_eq!((queue.len(), queue.capacity()), (2, 2));
    }

    #[test]
    fn many_threads_never_get_more_in_than_there_is_room_for_and_lose_nothing() {
        const EACH: usize = 5_000;
        let queue = BoundedQueue::new(8);
        let over = AtomicBool::new(false);
        let push = |n: usize| {
            while queue.push(n).is_err() {
                thread::yield_now();
            }
        };
        let seen = thread::scope(|scope| {
            (0..3).for_each(|thread| drop(scope.spawn(move || (0..EACH).for_each(|n| push(thread * EACH + n)))));
            let mut seen = BTreeSet::new();
            while seen.len() < 3 * EACH {
                if queue.len() > 8 {
                    over.store(true, Ordering::Relaxed);
                }
                match queue.pop() {
                    Some(n) => assert!(seen.insert(n), "{n} came twice"),
                    None => thread::yield_now(),
                }
            }
            seen
        });
        assert_eq!(seen.len(), 3 * EACH);
        assert!(queue.is_empty() && !over.load(Ordering::Relaxed));
        assert_eq!(queue.taken.load(Ordering::Relaxed), 0);
    }
}
