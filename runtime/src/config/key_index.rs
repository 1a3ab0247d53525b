//! Keys to places, so that an object of very many keys is not quadratic to read.

use std::collections::HashMap;

/// From this many keys on they are hashed; below that a look along them is quicker.
const HASHED_KEYS_MIN: usize = 32;

/// Index beside a list of entries that only grows.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyIndex {
    // The standard hasher: keys come from outside and could be made to collide with a weaker one.
    hashed: Option<HashMap<Box<str>, usize>>,
}

impl KeyIndex {
    /// The place of a key among `keys`, which are all that were [`added`](Self::added), in order.
    pub fn find<'k>(&self, key: &str, mut keys: impl Iterator<Item = &'k str>) -> Option<usize> {
        match &self.hashed {
            Some(places) => places.get(key).copied(),
            None => keys.position(|other| other == key),
        }
    }

    /// Notes that the last of `keys` is new.
    pub fn added<'k>(&mut self, mut keys: impl DoubleEndedIterator<Item = &'k str> + ExactSizeIterator) {
        match &mut self.hashed {
            Some(places) => {
                let place = keys.len() - 1;
                if let Some(key) = keys.next_back() {
                    places.insert(key.into(), place);
                }
            }
            None if keys.len() >= HASHED_KEYS_MIN => {
                self.hashed = Some(keys.enumerate().map(|(place, key)| (key.into(), place)).collect());
            }
            None => {}
        }
    }
}
