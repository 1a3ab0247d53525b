//! Timelines: what counters have gained, second by second, at three resolutions. `docs/timelines.md` is the page to
//! read first.
//!
//! ```text
//! Timeline            the columns of one task, or of the node
//!   Level x 3         1 s, 10 s, 60 s: a ring that comes, grows and goes, and since when it is complete
//!     Ring            rows of atomics, one for each slot; fixed in size
//! Room                the bytes of all of them together
//! SlotClock           wall clock and steady clock to numbers of slots; read by others as a TimelineClock
//! Window, Series      a range of slots, and what one or several timelines have in it
//! ```
//!
//! One thread writes all timelines of a node. Any thread reads, without a lock.

mod clock;
mod line;
mod ring;
mod room;
mod series;
#[cfg(test)]
mod tests;

pub use clock::{SlotClock, TimelineClock, Window};
pub use line::Timeline;
pub use room::{Purse, Room, RoomStats};
pub use series::Series;

/// How finely time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Resolution {
    /// Slots of a second, for five minutes.
    Second,
    /// Slots of ten seconds, for half an hour.
    TenSeconds,
    /// Slots of a minute, for three hours and five minutes.
    Minute,
}

impl Resolution {
    /// All of them, the finest first.
    pub const ALL: [Self; 3] = [Self::Second, Self::TenSeconds, Self::Minute];

    /// Length of a slot.
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::TenSeconds => 10,
            Self::Minute => 60,
        }
    }

    /// Slots that are kept at most.
    pub const fn slots_max(self) -> usize {
        match self {
            Self::Second => 300,
            Self::TenSeconds => 180,
            Self::Minute => 185,
        }
    }

    /// Slots that a ring begins with; it is doubled until it has [`Resolution::slots_max`].
    const fn slots_first(self) -> usize {
        match self {
            Self::Second => 16,
            Self::TenSeconds => 6,
            Self::Minute => 4,
        }
    }

    /// The one whose slots are this long.
    pub fn of_seconds(seconds: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|resolution| resolution.seconds() == seconds)
    }

    /// The slot that a second is in.
    const fn slot(self, second: u64) -> u64 {
        second / self.seconds()
    }
}
