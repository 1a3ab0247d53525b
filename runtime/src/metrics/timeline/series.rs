//! What one or several timelines have in a window.

use super::{Timeline, Window};

/// A value for each slot of a window.
#[derive(Clone, Debug)]
pub struct Series {
    window: Window,
    values: Vec<Option<u64>>,
    /// The seconds in which any of the timelines was there.
    lifetime: Option<(u64, u64)>,
    scratch: Vec<Option<u64>>,
}

impl Series {
    /// A series of which nothing is known yet.
    pub fn new(window: Window) -> Self {
        Self { window, values: vec![None; window.slots], lifetime: None, scratch: Vec::new() }
    }

    /// Adds what a column of a timeline has. What is known of one timeline only is taken as it is.
    pub fn add(&mut self, timeline: &Timeline, column: usize) {
        timeline.read(&self.window, column, &mut self.scratch);
        for (value, more) in self.values.iter_mut().zip(&self.scratch) {
            *value = match (*value, *more) {
                (Some(value), Some(more)) => Some(value.saturating_add(more)),
                (value, more) => value.or(more),
            };
        }
        let (begin, end) = timeline.lifetime(&self.window);
        let (first, last) = self.lifetime.unwrap_or((begin, end));
        self.lifetime = Some((first.min(begin), last.max(end)));
    }

    /// Takes zeros for unknown where nobody has looked: `looks` has the number of looks in each slot.
    pub fn mask(&mut self, looks: &Self) {
        for (value, looks) in self.values.iter_mut().zip(&looks.values) {
            if *value == Some(0) && *looks == Some(0) {
                *value = None;
            }
        }
    }

    /// The value of each slot; `None` where nothing is known.
    pub fn values(&self) -> &[Option<u64>] {
        &self.values
    }

    /// All values together.
    pub fn sum(&self) -> u64 {
        self.values.iter().flatten().fold(0, |sum, value| sum.saturating_add(*value))
    }

    /// Seconds of the slots that are known, as far as any of the timelines was there and they are over.
    pub fn seconds(&self) -> u64 {
        let Some((begin, end)) = self.lifetime else { return 0 };
        let length = self.window.resolution.seconds();
        let known = (self.window.first..).zip(&self.values).filter(|(_, value)| value.is_some());
        known.map(|(slot, _)| ((slot + 1) * length).min(end).saturating_sub((slot * length).max(begin))).sum()
    }

    /// Gain a second; `None` when nothing is known.
    pub fn rate(&self) -> Option<f64> {
        let seconds = self.seconds();
        (seconds > 0).then(|| self.sum() as f64 / seconds as f64)
    }

    /// The newest value that is known.
    pub fn latest(&self) -> Option<u64> {
        self.values.iter().rev().flatten().next().copied()
    }
}
