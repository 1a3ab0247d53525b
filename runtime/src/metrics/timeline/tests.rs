use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const COLUMNS: usize = 3;
const BEGIN: u64 = 1_700_000_000;

/// What happens to a timeline.
#[derive(Clone, Debug)]
enum Step {
    /// So many seconds later these gains are seen.
    Add(u64, [u64; COLUMNS]),
    /// So many seconds pass.
    Pass(u64),
    /// The room is looked after.
    Settle,
}

fn gain() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0u64), 8 => 1u64..1000, 1 => (u64::from(u32::MAX) - 5)..u64::from(u32::MAX), 1 => 1u64..1 << 40]
}

fn step() -> impl Strategy<Value = Step> {
    let later = prop_oneof![12 => 0u64..3, 2 => 5u64..80, 1 => 200u64..20_000];
    let add = (later, [gain(), gain(), gain()]).prop_map(|(later, gains)| Step::Add(later, gains));
    prop_oneof![12 => add, 1 => (0u64..700).prop_map(Step::Pass), 2 => Just(Step::Settle)]
}

/// A timeline and, beside it, everything that ever happened.
struct Tried {
    room: Arc<Room>,
    timeline: Timeline,
    second: u64,
    happened: BTreeMap<u64, [u64; COLUMNS]>,
}

impl Tried {
    fn new(bytes_max: u64) -> Option<Self> {
        let room = Room::new(bytes_max);
        let timeline = Timeline::begin(COLUMNS, BEGIN, &mut Purse::new(&room, &mut || false))?;
        Some(Self { room, timeline, second: BEGIN, happened: BTreeMap::new() })
    }

    fn perform(&mut self, step: &Step) {
        match step {
            Step::Add(later, gains) => {
                self.second += later;
                self.timeline.add(self.second, gains, &mut Purse::new(&self.room, &mut || false));
                let slot = self.happened.entry(self.second).or_default();
                slot.iter_mut().zip(gains).for_each(|(sum, gain)| *sum += gain);
            }
            Step::Pass(seconds) => self.second += seconds,
            Step::Settle => {
                self.room.settle(self.second);
                self.timeline.obey(self.second, &self.room);
            }
        }
    }

    fn window(&self, resolution: Resolution) -> Window {
        let clock = TimelineClock::default();
        clock.publish(&SlotClock::new(self.second as i64 + 1, Duration::ZERO));
        clock.window(resolution, i64::MIN, i64::MAX)
    }

    /// Holds every value against what happened; gives the number of slots of which nothing is known though they should be.
    fn check(&self, resolution: Resolution) -> Result<usize, TestCaseError> {
        let window = self.window(resolution);
        let length = resolution.seconds();
        let mut unknown = 0;
        for column in 0..COLUMNS {
            let mut series = Series::new(window);
            series.add(&self.timeline, column);
            prop_assert_eq!(series.values().len(), resolution.slots_max());
            for (at, value) in series.values().iter().enumerate() {
                let begin = window.time(at) as u64;
                let expected: u64 = self.happened.range(begin..begin + length).map(|(_, gains)| gains[column]).sum();
                match value {
                    Some(value) => prop_assert_eq!(*value, expected, "{:?} {}", resolution, begin),
                    None if begin + length <= BEGIN => {}
                    None => unknown += 1,
                }
            }
            let all: u64 = self.happened.values().map(|gains| gains[column]).sum();
            prop_assert_eq!(self.timeline.total(column), all);
        }
        Ok(unknown)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn with_room_every_slot_has_what_happened_in_it(steps in prop::collection::vec(step(), 1..250)) {
        let mut tried = Tried::new(1 << 30).expect("room");
        for (number, step) in steps.iter().enumerate() {
            tried.perform(step);
            if number % 16 == 0 || number + 1 == steps.len() {
                for resolution in Resolution::ALL {
                    prop_assert_eq!(tried.check(resolution)?, 0, "{:?}", resolution);
                }
            }
        }
        prop_assert_eq!(tried.room.stats().refused, [0; 3]);
    }

    #[test]
    fn without_room_a_slot_is_unknown_but_never_wrong(
        steps in prop::collection::vec(step(), 1..250), bytes_max in 300u64..20_000
    ) {
        let Some(mut tried) = Tried::new(bytes_max) else { return Ok(()) };
        for (number, step) in steps.iter().enumerate() {
            tried.perform(step);
            prop_assert!(tried.room.stats().bytes <= bytes_max);
            if number % 16 == 0 || number + 1 == steps.len() {
                for resolution in Resolution::ALL {
                    tried.check(resolution)?;
                }
            }
        }
        let room = Arc::clone(&tried.room);
        drop(tried);
        prop_assert_eq!(room.stats().bytes, 0, "everything is given back");
    }
}

fn purse_of(room: &Arc<Room>, add: impl FnOnce(&mut Purse<'_>)) {
    add(&mut Purse::new(room, &mut || false));
}

#[test]
fn memory_comes_with_the_first_gain_grows_with_time_and_goes_when_nothing_happens() {
    let mut tried = Tried::new(1 << 30).expect("room");
    let bare = tried.room.stats().bytes;
    tried.perform(&Step::Add(100, [0; COLUMNS]));
    assert_eq!(tried.room.stats().bytes, bare, "nothing has happened");
    tried.perform(&Step::Add(0, [1; COLUMNS]));
    let begun = tried.room.stats().bytes;
    assert!(begun > bare && begun < bare + 1000, "{bare} {begun}");
    (0..11_200).for_each(|_| tried.perform(&Step::Add(1, [1; COLUMNS])));
    let grown = tried.room.stats().bytes;
    assert!(grown - bare >= 665 * 12 && grown - bare < 665 * 12 + 500, "{bare} {grown}");
    tried.second += 300;
    tried.perform(&Step::Settle);
    assert!(tried.room.stats().bytes < grown, "the ring of seconds is over");
    assert_eq!(tried.check(Resolution::Second).expect("right"), 0);
    tried.second += 3 * 3600 + 600;
    tried.perform(&Step::Settle);
    assert_eq!(tried.room.stats().bytes, bare);
}

#[test]
fn a_minute_that_finds_no_room_has_the_finest_rings_given_up_until_there_is_room_again() {
    let room = Room::new(100_000);
    let lines: Vec<Timeline> = (0..20).map(|_| Timeline::begin_anyway(COLUMNS, BEGIN, &room)).collect();
    let mut second = BEGIN;
    let tick = |second: u64| {
        for line in &lines {
            purse_of(&room, |purse| line.add(second, &[5; COLUMNS], purse));
        }
        if room.settle(second) {
            lines.iter().for_each(|line| line.obey(second, &room));
        }
        assert!(room.stats().bytes <= 100_000, "{:?}", room.stats());
    };
    while room.finest() == Resolution::Second {
        tick(second);
        second += 1;
        assert!(second < BEGIN + 12_000, "{:?}", room.stats());
    }
    let stats = room.stats();
    assert_eq!(stats.given_up, [20, 0, 0], "all are treated alike");
    assert!(stats.refused[0] > 0, "the finest rings were the first that could not grow");
    let window = |resolution| {
        let clock = TimelineClock::default();
        clock.publish(&SlotClock::new(second as i64, Duration::ZERO));
        clock.window(resolution, second as i64 - 120, second as i64)
    };
    let mut series = Series::new(window(Resolution::Second));
    series.add(&lines[0], 0);
    assert_eq!((series.seconds(), series.rate(), series.latest()), (0, None, None));
    // Once nothing happens any more there is room, and the next gains are kept to the second.
    for _ in 0..12_000 {
        second += 1;
        room.settle(second);
        lines.iter().for_each(|line| line.obey(second, &room));
    }
    assert_eq!(room.finest(), Resolution::Second);
    tick(second);
}

#[test]
fn timelines_of_ended_tasks_are_given_up_first() {
    let room = Room::new(6_000);
    let mut ended = Vec::new();
    let line = Timeline::begin_anyway(COLUMNS, BEGIN, &room);
    purse_of(&room, |purse| {
        let old = Timeline::begin(COLUMNS, BEGIN, purse).expect("room");
        (0..20).for_each(|minute| old.add(BEGIN + minute * 60, &[1; COLUMNS], purse));
        old.end(BEGIN + 1200);
        ended.push(old);
    });
    let mut second = BEGIN + 1200;
    while room.stats().ended == 0 {
        let mut give_up = || ended.pop().is_some();
        line.add(second, &[1; COLUMNS], &mut Purse::new(&room, &mut give_up));
        second += 1;
        assert!(second < BEGIN + 12_000, "{:?}", room.stats());
    }
    assert!(ended.is_empty());
    assert_eq!(room.stats().given_up, [0; 3]);
}

#[test]
fn an_ended_timeline_keeps_its_minutes_and_knows_nothing_of_what_comes_after() {
    let mut tried = Tried::new(1 << 30).expect("room");
    (0..90).for_each(|_| tried.perform(&Step::Add(1, [2, 0, 0])));
    let end = tried.second + 1;
    tried.timeline.end(end);
    tried.second += 300;
    let read = |resolution| {
        let mut series = Series::new(tried.window(resolution));
        series.add(&tried.timeline, 0);
        series
    };
    assert_eq!(read(Resolution::Second).sum(), 0);
    assert!(read(Resolution::Second).values().iter().all(Option::is_none));
    let minutes = read(Resolution::Minute);
    assert_eq!((minutes.sum(), minutes.seconds()), (180, end - BEGIN));
    assert_eq!(minutes.latest(), Some(tried.happened.range(end / 60 * 60..).count() as u64 * 2));
}

#[test]
fn series_of_several_timelines_add_up_and_gaps_are_unknown() {
    let room = Room::new(1 << 20);
    let (one, other, looks) = (
        Timeline::begin_anyway(1, BEGIN, &room),
        Timeline::begin_anyway(1, BEGIN + 2, &room),
        Timeline::begin_anyway(1, BEGIN, &room),
    );
    for second in [0, 1, 2, 4] {
        looks.add_anyway(BEGIN + second, &[1], &room);
    }
    purse_of(&room, |purse| {
        one.add(BEGIN, &[3], purse);
        one.add(BEGIN + 4, &[5], purse);
        other.add(BEGIN + 2, &[7], purse);
    });
    let clock = TimelineClock::default();
    clock.publish(&SlotClock::new(BEGIN as i64 + 5, Duration::ZERO));
    let window = clock.window(Resolution::Second, BEGIN as i64 - 1, BEGIN as i64 + 9);
    let mut seen = Series::new(window);
    seen.add(&looks, 0);
    let mut series = Series::new(window);
    series.add(&one, 0);
    series.add(&other, 0);
    series.mask(&seen);
    assert_eq!(series.values(), [None, Some(3), Some(0), Some(7), None, Some(5)]);
    assert_eq!((series.sum(), series.seconds(), series.latest()), (15, 4, Some(5)));
}

#[test]
fn a_reader_beside_the_writer_never_sees_the_value_of_another_slot() {
    let room = Room::new(1 << 20);
    let timeline = Timeline::begin_anyway(1, BEGIN, &room);
    let clock = TimelineClock::default();
    let is_over = AtomicBool::new(false);
    let value = |slot: u64| (slot % 1009) + 1;
    std::thread::scope(|scope| {
        let reader = || {
            let mut found = 0u64;
            while !is_over.load(Ordering::Relaxed) {
                let window = clock.window(Resolution::Second, i64::MIN, i64::MAX);
                let mut series = Series::new(window);
                series.add(&timeline, 0);
                for (at, seen) in series.values().iter().enumerate() {
                    let slot = window.time(at) as u64;
                    if let Some(seen) = seen.filter(|_| slot >= BEGIN) {
                        // The newest may not be there yet, and the oldest may be gone.
                        assert!(
                            seen == value(slot) || (seen == 0 && (at < 8 || at + 8 > window.slots())),
                            "{slot} {seen}"
                        );
                        found += 1;
                    }
                }
            }
            found
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        for second in BEGIN..BEGIN + 60_000 {
            timeline.add_anyway(second, &[value(second)], &room);
            clock.publish(&SlotClock::new(second as i64 + 1, Duration::ZERO));
        }
        is_over.store(true, Ordering::Relaxed);
        let found: u64 = readers.into_iter().map(|reader| reader.join().expect("a reader")).sum();
        assert!(found > 0);
    });
}
