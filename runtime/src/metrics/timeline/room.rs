//! The memory of all timelines of a node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::Resolution;
use crate::metrics::Counter;

/// How much of the room may be taken for rings of each resolution to begin or grow, in percent.
const SHARES: [u64; 3] = [70, 85, 100];
/// Rings that were given up begin again when less than this is taken, in percent.
const RELAXED: u64 = 50;
/// And after this many seconds.
const PATIENCE: u64 = 60;

/// The bytes that timelines may take, and have taken. One thread takes; any thread may give back.
#[derive(Debug)]
pub struct Room {
    bytes_max: u64,
    taken: AtomicU64,
    /// The finest resolution that is kept, as its number.
    finest: AtomicU8,
    /// A ring of a minute found no room since the last look; written by the one who takes.
    wanted: Counter,
    /// When rings were given up last, by the seconds of the slots.
    pressed: Counter,
    refused: [Counter; 3],
    given_up: [Counter; 3],
    ended: Counter,
}

/// What a [`Room`] has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomStats {
    /// Bytes that may be taken.
    pub bytes_max: u64,
    /// Bytes that are taken.
    pub bytes: u64,
    /// The finest resolution that is kept now.
    pub finest: Resolution,
    /// Rings that could not begin or grow, by resolution. One that goes without room for long counts once.
    pub refused: [u64; 3],
    /// Rings that were given up for lack of room, by resolution.
    pub given_up: [u64; 3],
    /// Ended jobs whose timelines were given up for lack of room.
    pub ended: u64,
}

/// Bytes that are taken; given back when dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    room: Arc<Room>,
    bytes: u64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Room {
    /// An empty room of that many bytes.
    pub fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            taken: AtomicU64::new(0),
            finest: AtomicU8::new(0),
            wanted: Counter::default(),
            pressed: Counter::default(),
            refused: Default::default(),
            given_up: Default::default(),
            ended: Counter::default(),
        })
    }

    /// What there is to tell.
    pub fn stats(&self) -> RoomStats {
        RoomStats {
            bytes_max: self.bytes_max,
            bytes: self.taken.load(Ordering::Relaxed),
            finest: self.finest(),
            refused: self.refused.each_ref().map(Counter::get),
            given_up: self.given_up.each_ref().map(Counter::get),
            ended: self.ended.get(),
        }
    }

    /// The finest resolution that is kept now.
    pub fn finest(&self) -> Resolution {
        Resolution::ALL[usize::from(self.finest.load(Ordering::Relaxed)).min(2)]
    }

    /// To be called after each look by the thread that writes timelines. True when all of them are to
    /// [obey](super::Timeline::obey): rings of what was the finest resolution are given up.
    pub fn settle(&self, second: u64) -> bool {
        let finest = self.finest.load(Ordering::Relaxed);
        let wanted = self.wanted.get() > 0;
        self.wanted.set(0);
        if wanted && finest < Resolution::Minute as u8 {
            self.finest.store(finest + 1, Ordering::Relaxed);
            self.pressed.set(second);
            return true;
        }
        let is_relaxed = self.taken.load(Ordering::Relaxed) < self.bytes_max / 100 * RELAXED;
        if finest > 0 && !wanted && is_relaxed && second >= self.pressed.get() + PATIENCE {
            self.finest.store(finest - 1, Ordering::Relaxed);
            self.pressed.set(second);
        }
        false
    }

    /// Takes bytes, whether they are there or not.
    pub(super) fn take(self: &Arc<Self>, bytes: u64) -> Reserved {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        Reserved { room: Arc::clone(self), bytes }
    }

    fn reserve(self: &Arc<Self>, resolution: Resolution, bytes: u64) -> Option<Reserved> {
        // In two steps a large limit does not overflow.
        let limit = self.bytes_max / 100 * SHARES[resolution as usize] + self.bytes_max % 100;
        let taken = self.taken.load(Ordering::Relaxed);
        // Others only give back, so that what is found here is the most that can be taken.
        (taken.saturating_add(bytes) <= limit).then(|| self.take(bytes))
    }

    pub(super) fn note_given_up(&self, resolution: Resolution) {
        self.given_up[resolution as usize].add(1);
    }

    pub(super) fn note_refused(&self, resolution: Resolution) {
        self.refused[resolution as usize].add(1);
    }
}

/// The way to memory for the thread that writes timelines: what is in the room, and what can be given up for it.
pub struct Purse<'p> {
    room: &'p Arc<Room>,
    /// Gives up the timelines of a job that has ended; false when there are none.
    give_up_ended: &'p mut dyn FnMut() -> bool,
}

impl<'p> Purse<'p> {
    /// `give_up_ended` gives up the timelines of a job that has ended, and is false when there are none.
    pub fn new(room: &'p Arc<Room>, give_up_ended: &'p mut dyn FnMut() -> bool) -> Self {
        Self { room, give_up_ended }
    }

    /// The room that it takes from.
    pub fn room(&self) -> &'p Arc<Room> {
        self.room
    }

    /// Takes bytes for a ring of a resolution; the timelines of as many ended jobs are given up as it needs.
    pub(super) fn reserve(&mut self, resolution: Resolution, bytes: u64) -> Option<Reserved> {
        loop {
            if let Some(reserved) = self.room.reserve(resolution, bytes) {
                return Some(reserved);
            }
            if !(self.give_up_ended)() {
                break;
            }
            self.room.ended.add(1);
        }
        if resolution == Resolution::Minute {
            self.room.wanted.add(1);
        }
        None
    }
}

impl std::fmt::Debug for Purse<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Purse").field("room", self.room).finish_non_exhaustive()
    }
}
