//! Which stalls are logged: each place once in a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Places that are remembered; the one that was silent for longest makes room.
pub(super) const PLACES_MAX: usize = 256;

struct Place {
    logged: Instant,
    left_out: u64,
}

/// The places that have stalled.
pub(super) struct Places {
    interval: Duration,
    places: HashMap<String, Place>,
}

impl Places {
    /// A place is logged once in `interval`.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, places: HashMap::new() }
    }

    /// A place has stalled `count` times: whether that is to be logged now, and then how many stalls of it were left out
    /// before.
    pub(super) fn stalled(&mut self, place: &str, count: u64, now: Instant) -> Option<u64> {
        if let Some(known) = self.places.get_mut(place) {
            if now.saturating_duration_since(known.logged) < self.interval {
                known.left_out += count;
                return None;
            }
            known.logged = now;
            return Some(std::mem::take(&mut known.left_out));
        }
        if self.places.len() >= PLACES_MAX {
            let silent = self.places.iter().min_by_key(|(_, place)| place.logged).map(|(name, _)| name.clone());
            silent.map(|name| self.places.remove(&name));
        }
        self.places.insert(place.to_owned(), Place { logged: now, left_out: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_logged_once_in_an_interval_with_the_number_of_those_left_out() {
        let mut places = Places::new(Duration::from_secs(60));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(places.stalled("a", 1, start), Some(0));
        assert_eq!(places.stalled("a", 1, after(1)), None);
        assert_eq!(places.stalled("b", 1, after(1)), Some(0), "another place");
        assert_eq!(places.stalled("a", 5, after(59)), None);
        assert_eq!(places.stalled("a", 1, after(60)), Some(6));
        assert_eq!(places.stalled("a", 1, after(120)), Some(0));
    }

    #[test]
    fn the_place_that_was_silent_for_longest_makes_room() {
        let mut places = Places::new(Duration::from_secs(3600));
        let start = Instant::now();
        for number in 0..=PLACES_MAX as u64 {
            assert_eq!(places.stalled(&number.to_string(), 1, start + Duration::from_millis(number)), Some(0));
        }
        assert_eq!(places.places.len(), PLACES_MAX);
        let later = start + Duration::from_secs(1);
        assert_eq!(places.stalled("1", 1, later), None, "remembered");
        assert_eq!(places.stalled("0", 1, later), Some(0), "forgotten");
    }
}
