//! The timeline of one task, or of the node: some columns at three resolutions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use arc_swap::ArcSwapOption;

use super::ring::{Found, Ring};
use super::room::{Purse, Reserved, Room};
use super::{Resolution, Window};

/// Nothing is known at this resolution.
const NEVER: u64 = u64::MAX;
/// Attempts of a reader at finding a ring that is not replaced meanwhile. The writer comes by once a second.
const ATTEMPTS: usize = 4;

/// What the counters of a task or of the node have gained, slot by slot. One thread writes; any thread reads.
///
/// Seconds are those of a [`SlotClock`](super::SlotClock).
#[derive(Debug)]
pub struct Timeline {
    begun: u64,
    /// Behind the last second of it; [`NEVER`] while it goes on.
    ended: AtomicU64,
    /// All gains since the begin, those that no ring holds any more among them.
    totals: Box<[AtomicU64]>,
    levels: [Level; 3],
    _room: Reserved,
}

/// One resolution of a timeline.
#[derive(Debug)]
struct Level {
    /// `None` while there is nothing within reach but zeros, or nothing is known.
    ring: ArcSwapOption<Ring>,
    /// From this slot on everything is known: what the ring does not hold is zero.
    since: AtomicU64,
    /// A ring could not begin or grow, and that is counted.
    is_short: AtomicBool,
}

impl Timeline {
    /// A timeline of so many columns that begins with a second; `None` when there is no room for it.
    pub fn begin(columns: usize, second: u64, purse: &mut Purse<'_>) -> Option<Self> {
        let room = purse.reserve(Resolution::Minute, Self::bytes(columns))?;
        Some(Self::with(room, columns, second))
    }

    /// The same, whether there is room or not.
    pub fn begin_anyway(columns: usize, second: u64, room: &Arc<Room>) -> Self {
        Self::with(room.take(Self::bytes(columns)), columns, second)
    }

    fn with(room: Reserved, columns: usize, second: u64) -> Self {
        let level = |resolution: Resolution| Level {
            ring: ArcSwapOption::empty(),
            since: AtomicU64::new(resolution.slot(second)),
            is_short: AtomicBool::new(false),
        };
        Self {
            begun: second,
            ended: AtomicU64::new(NEVER),
            totals: (0..columns).map(|_| AtomicU64::new(0)).collect(),
            levels: Resolution::ALL.map(level),
            _room: room,
        }
    }

    /// Bytes that it takes without its rings.
    fn bytes(columns: usize) -> u64 {
        (size_of::<Self>() + columns * size_of::<AtomicU64>() + 2 * size_of::<usize>()) as u64
    }
}

/// What readers do.
impl Timeline {
    /// Columns.
    pub fn columns(&self) -> usize {
        self.totals.len()
    }

    /// All that a column has gained since the begin.
    pub fn total(&self, column: usize) -> u64 {
        self.totals[column].load(Ordering::Relaxed)
    }

    /// The seconds of a window in which it was there, `begin..end`.
    pub(super) fn lifetime(&self, window: &Window) -> (u64, u64) {
        (self.begun, self.ended.load(Ordering::Relaxed).min(window.now))
    }

    /// What a column has gained in each slot of a window: `None` where nothing is known.
    pub(super) fn read(&self, window: &Window, column: usize, values: &mut Vec<Option<u64>>) {
        let level = &self.levels[window.resolution as usize];
        for _ in 0..ATTEMPTS {
            let ring = level.ring.load();
            self.collect(window, ring.as_deref(), column, values);
            // Behind the reading of cells, before that of what tells whether they were the right ones.
            fence(Ordering::Acquire);
            let since = level.since.load(Ordering::Relaxed);
            if is_same(ring.as_ref(), level.ring.load().as_ref()) {
                let slots = (window.first..).zip(values.iter_mut());
                slots.filter(|(slot, _)| *slot < since).for_each(|(_, value)| *value = None);
                return;
            }
        }
        values.iter_mut().for_each(|value| *value = None);
    }

    fn collect(&self, window: &Window, ring: Option<&Ring>, column: usize, values: &mut Vec<Option<u64>>) {
        let (begin, end) = self.lifetime(window);
        let length = window.resolution.seconds();
        let slots = window.first..window.first + window.slots as u64;
        values.clear();
        values.extend(slots.map(|slot| {
            let is_there = (slot + 1) * length > begin && slot * length < end;
            is_there.then(|| match ring.map(|ring| ring.read(slot, column)) {
                Some(Found::Value(value)) => value,
                // Nothing has happened.
                Some(Found::Nothing) | None => 0,
            })
        }));
    }
}

fn is_same(one: Option<&Arc<Ring>>, other: Option<&Arc<Ring>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// What only the writer does.
impl Timeline {
    /// Adds gains to the slots that a second is in. Seconds do not go back.
    pub fn add(&self, second: u64, gains: &[u64], purse: &mut Purse<'_>) {
        if gains.iter().all(|gain| *gain == 0) {
            return;
        }
        for (total, gain) in self.totals.iter().zip(gains) {
            total.store(total.load(Ordering::Relaxed).wrapping_add(*gain), Ordering::Relaxed);
        }
        for resolution in Resolution::ALL {
            let level = &self.levels[resolution as usize];
            if resolution < purse.room().finest() {
                level.give_up();
            } else {
                level.add(resolution, resolution.slot(second), gains, purse);
            }
        }
    }

    /// The same for the node's own, which has room whatever is taken.
    pub fn add_anyway(&self, second: u64, gains: &[u64], room: &Arc<Room>) {
        for (total, gain) in self.totals.iter().zip(gains) {
            total.store(total.load(Ordering::Relaxed).wrapping_add(*gain), Ordering::Relaxed);
        }
        for resolution in Resolution::ALL {
            let slot = resolution.slot(second);
            self.levels[resolution as usize].put(resolution, slot, gains, |bytes| Some(room.take(bytes)));
        }
    }

    /// Gives up rings that are finer than what is kept, and those within whose reach nothing has happened.
    pub fn obey(&self, second: u64, room: &Room) {
        for resolution in Resolution::ALL {
            let level = &self.levels[resolution as usize];
            if resolution < room.finest() {
                // Without a ring nothing has happened, which stays known.
                if level.ring.load().is_some() {
                    level.give_up();
                    room.note_given_up(resolution);
                }
            } else {
                level.expire(resolution, resolution.slot(second));
            }
        }
    }

    /// The task has ended: the second is the first without it. Slots of a minute are kept, the others are given up.
    pub fn end(&self, second: u64) {
        self.ended.store(second.max(self.begun + 1), Ordering::Relaxed);
        self.levels[Resolution::Second as usize].give_up();
        self.levels[Resolution::TenSeconds as usize].give_up();
    }
}

impl Level {
    /// From now on nothing is known.
    fn give_up(&self) {
        // First: who still finds the ring, or finds none, is not to take it for complete.
        self.since.store(NEVER, Ordering::Release);
        self.ring.store(None);
    }

    /// Gives the ring back when it has nothing but zeros.
    fn expire(&self, resolution: Resolution, slot: u64) {
        if self.ring.load().as_ref().is_some_and(|ring| ring.is_over(resolution, slot)) {
            self.since.fetch_max((slot + 1).saturating_sub(resolution.slots_max() as u64), Ordering::Release);
            self.ring.store(None);
        }
    }

    fn add(&self, resolution: Resolution, slot: u64, gains: &[u64], purse: &mut Purse<'_>) {
        let is_short = !self.put(resolution, slot, gains, |bytes| purse.reserve(resolution, bytes));
        if is_short && !self.is_short.load(Ordering::Relaxed) {
            purse.room().note_refused(resolution);
        }
        self.is_short.store(is_short, Ordering::Relaxed);
    }

    /// Adds to a slot; false when there was no room for all that should be kept.
    fn put(
        &self,
        resolution: Resolution,
        slot: u64,
        gains: &[u64],
        reserve: impl FnOnce(u64) -> Option<Reserved>,
    ) -> bool {
        self.expire(resolution, slot);
        let Some(ring) = self.ring.load_full() else { return self.put_first(resolution, slot, gains, reserve) };
        let (needed, fits) = (ring.slots_for(resolution, slot), ring.fits(slot, gains));
        if needed <= ring.slots() && fits {
            self.add_to(&ring, slot, gains);
            return true;
        }
        let mut slots = ring.slots();
        while slots < needed {
            slots = (slots * 2).min(resolution.slots_max());
        }
        let wide = ring.is_wide() || !fits;
        if let Some(room) = reserve(Ring::bytes(gains.len(), slots, wide)) {
            let first = ring.oldest_of(slots, slot);
            let larger = ring.regrown(room, slots, wide, first);
            if first > ring.first() {
                self.since.fetch_max(first, Ordering::Relaxed);
            }
            larger.add(slot, gains);
            self.ring.store(Some(Arc::new(larger)));
            return true;
        }
        if fits {
            // It goes on and reaches less far back.
            self.add_to(&ring, slot, gains);
        } else {
            self.give_up();
        }
        false
    }

    /// Adds to the ring; what is overwritten is not known any more, which readers learn before it happens.
    fn add_to(&self, ring: &Ring, slot: u64, gains: &[u64]) {
        let oldest = (slot + 1).saturating_sub(ring.slots() as u64);
        if oldest > ring.first() {
            self.since.fetch_max(oldest, Ordering::Relaxed);
        }
        ring.add(slot, gains);
    }

    fn put_first(
        &self,
        resolution: Resolution,
        slot: u64,
        gains: &[u64],
        reserve: impl FnOnce(u64) -> Option<Reserved>,
    ) -> bool {
        let wide = gains.iter().any(|gain| u32::try_from(*gain).is_err());
        let slots = resolution.slots_first();
        let Some(room) = reserve(Ring::bytes(gains.len(), slots, wide)) else {
            self.since.store(NEVER, Ordering::Release);
            return false;
        };
        let ring = Ring::new(room, gains.len(), slots, wide, slot);
        ring.add(slot, gains);
        self.ring.store(Some(Arc::new(ring)));
        if self.since.load(Ordering::Relaxed) == NEVER {
            // What was gained in this slot before is lost.
            self.since.store(slot + 1, Ordering::Release);
        }
        true
    }
}
