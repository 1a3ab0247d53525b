//! Numbers of slots from two clocks: one that people read and may set, and one that only goes on.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::Resolution;

/// Between two looks the clocks may differ by less than this; more is a step of the wall clock.
const STEP: f64 = 2.0;
/// Steps are made up of whole minutes, so that slots of every resolution stay aligned.
const MINUTE: i64 = 60;

/// Counts the seconds of timelines. Pure: it is told what the clocks say.
///
/// Its seconds are Unix seconds as long as nobody sets the wall clock. They never go back, so that a ring only ever goes
/// forward. After a step they differ from Unix seconds by [`TimelineClock::offset`], whole minutes.
#[derive(Debug)]
pub struct SlotClock {
    /// The second that has begun.
    now: u64,
    offset: i64,
    /// What the clocks said when `now` began.
    wall: i64,
    steady: Duration,
}

impl SlotClock {
    /// Begins at a Unix second; `steady` is what the other clock says.
    pub fn new(wall: i64, steady: Duration) -> Self {
        Self { now: u64::try_from(wall).unwrap_or_default(), offset: 0, wall, steady }
    }

    /// The second that has begun: those before it are over.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// What is to be added to get Unix seconds: a multiple of 60, 0 until somebody sets the clock.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Goes on to what the clocks say now, or stays where it is when no second has passed.
    pub fn advance(&mut self, wall: i64, steady: Duration) {
        let went = wall - self.wall;
        let elapsed = steady.saturating_sub(self.steady).as_secs_f64();
        let is_step = (went as f64 - elapsed).abs() >= STEP;
        let passed = if is_step {
            // As many seconds as have passed, and up to 59 more of which nothing is known.
            let elapsed = elapsed as i64;
            let passed = elapsed + (went - elapsed).rem_euclid(MINUTE);
            self.offset += went - passed;
            passed
        } else {
            went
        };
        // Otherwise no second has begun, or the clock was set back by a second: this one lasts longer.
        if is_step || passed > 0 {
            self.now += passed.unsigned_abs();
            (self.wall, self.steady) = (wall, steady);
        }
    }
}

/// What readers need of a [`SlotClock`]. Written by the thread that has it, read by all.
#[derive(Debug, Default)]
pub struct TimelineClock {
    now: AtomicU64,
    offset: AtomicI64,
}

impl TimelineClock {
    /// Publishes how late it is.
    pub fn publish(&self, clock: &SlotClock) {
        self.offset.store(clock.offset, Ordering::Relaxed);
        self.now.store(clock.now, Ordering::Release);
    }

    /// The Unix second up to which everything is known: the last look was at its begin. 0 before the first look.
    pub fn now(&self) -> i64 {
        let now = self.now.load(Ordering::Acquire);
        if now == 0 { 0 } else { wall(now, self.offset.load(Ordering::Relaxed)) }
    }

    /// The slots from `start` up to `end` (Unix seconds, the end excluded), as far as they are kept; half slots are
    /// rounded up to whole ones.
    pub fn window(&self, resolution: Resolution, start: i64, end: i64) -> Window {
        let now = self.now.load(Ordering::Acquire);
        let offset = self.offset.load(Ordering::Relaxed);
        let (length, slots_max) = (resolution.seconds(), resolution.slots_max() as u64);
        // The newest slot is the one of the last second that is over.
        let behind = if now == 0 { 0 } else { resolution.slot(now - 1) + 1 };
        let slot = |unix: i64, round_up: u64| {
            let second = u64::try_from(unix.saturating_sub(offset)).unwrap_or_default();
            (second.saturating_add(round_up) / length).clamp(behind.saturating_sub(slots_max), behind)
        };
        let first = slot(start, 0);
        let slots = slot(end, length - 1).saturating_sub(first) as usize;
        Window { resolution, first, slots, now, offset }
    }
}

fn wall(second: u64, offset: i64) -> i64 {
    i64::try_from(second).unwrap_or(i64::MAX).saturating_add(offset)
}

/// A range of slots, as it was when the window was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub(super) resolution: Resolution,
    /// Number of the first slot.
    pub(super) first: u64,
    pub(super) slots: usize,
    /// The seconds before it are over.
    pub(super) now: u64,
    offset: i64,
}

impl Window {
    /// Length of its slots.
    pub fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// How many slots it has.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Unix second at which a slot of it begins; that of the number of slots is the end.
    pub fn time(&self, slot: usize) -> i64 {
        wall((self.first + slot as u64) * self.resolution.seconds(), self.offset)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn seconds_are_those_of_the_wall_clock() {
        let mut clock = SlotClock::new(1000, after(5.0));
        clock.advance(1001, after(6.0));
        clock.advance(1001, after(6.4));
        assert_eq!((clock.now(), clock.offset()), (1001, 0));
        // No look for an hour, by both clocks.
        clock.advance(4601, after(3606.0));
        assert_eq!((clock.now(), clock.offset()), (4601, 0));
    }

    #[test]
    fn a_clock_that_is_set_moves_what_is_known_by_whole_minutes() {
        for (set_by, gap) in [(3600, 0), (-3600, 0), (90, 30), (-90, 30), (-10, 50), (10, 10), (59, 59)] {
            let mut clock = SlotClock::new(100_000, after(0.0));
            clock.advance(100_001 + set_by, after(1.0));
            assert_eq!(clock.now(), 100_001 + gap, "{set_by}");
            assert_eq!(clock.now() as i64 + clock.offset(), 100_001 + set_by);
            assert_eq!(clock.offset() % 60, 0);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_by_a_second_stands_still_until_it_is_there_again() {
        let mut clock = SlotClock::new(1000, after(0.0));
        clock.advance(1000, after(1.0));
        clock.advance(1001, after(2.0));
        clock.advance(1002, after(3.0));
        assert_eq!((clock.now(), clock.offset()), (1002, 0));
    }

    proptest! {
        #[test]
        fn numbers_never_go_back_and_tell_the_time(
            looks in prop::collection::vec((0.0f64..3.0, prop_oneof![8 => Just(0i64), 1 => -5000i64..5000, 1 => -3i64..3]), 1..200)
        ) {
            let (mut wall, mut steady) = (1_000_000.25f64, 7.0f64);
            let mut clock = SlotClock::new(wall as i64, after(steady));
            for (pause, set_by) in looks {
                steady += pause;
                wall += pause + set_by as f64;
                let before = clock.now();
                clock.advance(wall as i64, after(steady));
                prop_assert!(clock.now() >= before);
                prop_assert!(clock.now() - before <= 70, "{} {}", before, clock.now());
                prop_assert_eq!(clock.offset() % 60, 0);
                let told = clock.now() as i64 + clock.offset();
                prop_assert!((told - wall as i64).abs() <= 2, "{} {}", told, wall);
            }
        }
    }

    #[test]
    fn a_window_keeps_to_what_is_kept_and_to_whole_slots() {
        let clock = TimelineClock::default();
        assert_eq!(clock.window(Resolution::Second, 0, 100).slots(), 0);
        clock.publish(&SlotClock::new(100_000, Duration::ZERO));
        let times = |resolution, start, end| {
            let window = clock.window(resolution, start, end);
            (window.time(0), window.time(window.slots()))
        };
        assert_eq!(times(Resolution::Second, 99_990, 100_000), (99_990, 100_000));
        assert_eq!(times(Resolution::TenSeconds, 99_955, 99_961), (99_950, 99_970));
        assert_eq!(times(Resolution::Minute, 0, i64::MAX), (100_020 - 185 * 60, 100_020));
        assert_eq!(times(Resolution::Second, i64::MIN, i64::MAX), (99_700, 100_000));
        assert_eq!(clock.window(Resolution::Second, 200_000, 300_000).slots(), 0);
        assert_eq!(clock.window(Resolution::Second, 99_990, 99_000).slots(), 0);
    }
}
