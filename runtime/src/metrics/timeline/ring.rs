//! Rows of numbers, one for each slot, that one thread writes and any thread reads.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use super::Resolution;
use super::room::Reserved;

/// The newest slots of a timeline at one resolution. Its size is fixed: a larger one takes its place when it grows.
///
/// A row belongs to slot `n` and later to `n + slots`. The level that has the ring says from which slot on everything is
/// known before a row is taken for a newer one; so a reader that looks there afterwards knows which rows were its own.
#[derive(Debug)]
pub(super) struct Ring {
    columns: usize,
    slots: usize,
    /// The first slot that was ever put here.
    first: u64,
    cells: Cells,
    /// The newest slot whose row is complete.
    newest: AtomicU64,
    /// Held for as long as the memory is.
    _room: Reserved,
}

/// Numbers in rows; wide where some do not fit into 32 bits.
#[derive(Debug)]
enum Cells {
    Narrow(Box<[AtomicU32]>),
    Wide(Box<[AtomicU64]>),
}

impl Cells {
    fn new(cells: usize, wide: bool) -> Self {
        if wide {
            Self::Wide((0..cells).map(|_| AtomicU64::new(0)).collect())
        } else {
            Self::Narrow((0..cells).map(|_| AtomicU32::new(0)).collect())
        }
    }

    fn get(&self, at: usize) -> u64 {
        match self {
            Self::Narrow(cells) => u64::from(cells[at].load(Ordering::Relaxed)),
            Self::Wide(cells) => cells[at].load(Ordering::Relaxed),
        }
    }

    /// In narrow cells the value must fit.
    fn set(&self, at: usize, value: u64) {
        match self {
            Self::Narrow(cells) => {
                debug_assert!(u32::try_from(value).is_ok(), "{value} needs a wide cell");
                cells[at].store(value as u32, Ordering::Relaxed);
            }
            Self::Wide(cells) => cells[at].store(value, Ordering::Relaxed),
        }
    }
}

/// What a ring has of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// What is in it.
    Value(u64),
    /// Nothing was put there: it is older than what the ring holds, or newer than anything that happened.
    Nothing,
}

impl Ring {
    /// Bytes that a ring takes.
    pub(super) fn bytes(columns: usize, slots: usize, wide: bool) -> u64 {
        // With the counts of the pointer that shares it.
        let head = size_of::<Self>() + 2 * size_of::<usize>();
        (head + columns * slots * if wide { 8 } else { 4 }) as u64
    }

    /// A ring whose first slot is empty.
    pub(super) fn new(room: Reserved, columns: usize, slots: usize, wide: bool, first: u64) -> Self {
        Self {
            columns,
            slots,
            first,
            cells: Cells::new(columns * slots, wide),
            newest: AtomicU64::new(first),
            _room: room,
        }
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// The first slot that was ever put here.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn is_wide(&self) -> bool {
        matches!(self.cells, Cells::Wide(_))
    }

    /// The newest slot that was written.
    pub(super) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    fn row(&self, slot: u64) -> usize {
        (slot % self.slots as u64) as usize * self.columns
    }
}

/// What readers do.
impl Ring {
    /// What is in a slot. It counts only if the slot is still known afterwards.
    pub(super) fn read(&self, slot: u64, column: usize) -> Found {
        let newest = self.newest();
        if slot > newest || slot + self.slots as u64 <= newest {
            return Found::Nothing;
        }
        Found::Value(self.cells.get(self.row(slot) + column))
    }
}

/// What only the writer does.
impl Ring {
    /// The oldest slot that it holds.
    fn oldest(&self) -> u64 {
        (self.newest() + 1).saturating_sub(self.slots as u64).max(self.first)
    }

    /// Whether nothing that it holds is within reach of a slot.
    pub(super) fn is_over(&self, resolution: Resolution, slot: u64) -> bool {
        self.newest() + resolution.slots_max() as u64 <= slot
    }

    /// The oldest slot that it holds, or would hold, within so many slots up to this one.
    pub(super) fn oldest_of(&self, slots: usize, slot: u64) -> u64 {
        self.oldest().max((slot + 1).saturating_sub(slots as u64))
    }

    /// Slots that it needs so that `slot` may be added and nothing within reach is overwritten.
    pub(super) fn slots_for(&self, resolution: Resolution, slot: u64) -> usize {
        let reach = resolution.slots_max();
        ((slot + 1).saturating_sub(self.oldest_of(reach, slot)) as usize).clamp(1, reach)
    }

    /// Whether what is added to a slot fits into its cells.
    pub(super) fn fits(&self, slot: u64, gains: &[u64]) -> bool {
        let has = |column: usize| if slot > self.newest() { 0 } else { self.cells.get(self.row(slot) + column) };
        self.is_wide()
            || gains.iter().enumerate().all(|(column, gain)| u32::try_from(gain.saturating_add(has(column))).is_ok())
    }

    /// Adds to a slot, which is the newest or a later one. What lies between was empty.
    pub(super) fn add(&self, slot: u64, gains: &[u64]) {
        let newest = self.newest();
        if slot <= newest {
            let row = self.row(slot);
            for (column, gain) in gains.iter().enumerate() {
                self.cells.set(row + column, self.cells.get(row + column).saturating_add(*gain));
            }
            return;
        }
        // Pairs with the fence of a reader: who has seen a new value sees which slots are not known any more.
        fence(Ordering::Release);
        let skipped = (newest + 1).max(slot.saturating_sub(self.slots as u64 - 1))..slot;
        for skipped in skipped {
            let row = self.row(skipped);
            (row..row + self.columns).for_each(|at| self.cells.set(at, 0));
        }
        let row = self.row(slot);
        gains.iter().enumerate().for_each(|(column, gain)| self.cells.set(row + column, *gain));
        self.newest.store(slot, Ordering::Release);
    }

    /// A larger or wider ring with what this one holds from slot `first` on.
    pub(super) fn regrown(&self, room: Reserved, slots: usize, wide: bool, first: u64) -> Self {
        let newest = self.newest();
        let first = first.min(newest);
        let ring = Self::new(room, self.columns, slots, wide, first);
        for slot in first..=newest {
            let (from, to) = (self.row(slot), ring.row(slot));
            (0..self.columns).for_each(|column| ring.cells.set(to + column, self.cells.get(from + column)));
        }
        ring.newest.store(newest, Ordering::Release);
        ring
    }
}
