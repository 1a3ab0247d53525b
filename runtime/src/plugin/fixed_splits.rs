//! The enumerator of sources whose splits are all known at the start.

use bytes::Bytes;

use super::{Assignment, Split, SplitEnumerator, TaskError};

/// The plain enumerator: all splits are known at the start, and each belongs to one reader.
pub struct FixedSplits {
    by_reader: Vec<Vec<Split>>,
    /// After a restore: splits that had not been handed out at the checkpoint.
    left_over: Vec<Split>,
}

impl FixedSplits {
    /// Gives each split to the reader that `owner` names (modulo the number of readers).
    pub fn new(
        readers: usize,
        splits: impl IntoIterator<Item = Split>,
        owner: impl Fn(usize, &Split) -> usize,
    ) -> Self {
        let mut by_reader = vec![Vec::new(); readers.max(1)];
        for (index, split) in splits.into_iter().enumerate() {
            let reader = owner(index, &split) % by_reader.len();
            by_reader[reader].push(split);
        }
        Self { by_reader, left_over: Vec::new() }
    }
}

impl SplitEnumerator for FixedSplits {
    fn assign(&mut self, reader: usize) -> Assignment {
        match self.by_reader.get_mut(reader).map(std::mem::take) {
            Some(splits) if !splits.is_empty() => Assignment::Splits(splits),
            _ => Assignment::NoMore,
        }
    }

    /// Splits that neither come back nor were left over had been read to their end before the checkpoint. One that is
    /// not listed any more is handed out all the same, so that its reader says what is missing.
    fn restore(&mut self, splits: Vec<Vec<Split>>) {
        let mut left_over = std::mem::take(&mut self.left_over);
        left_over.retain(|left| !splits.iter().flatten().any(|split| split.id == left.id));
        for own in &mut self.by_reader {
            own.retain_mut(|split| match left_over.iter().position(|left| left.id == split.id) {
                Some(position) => {
                    *split = left_over.swap_remove(position);
                    true
                }
                None => false,
            });
        }
        self.by_reader[0].extend(left_over);
        let readers = self.by_reader.len();
        for (reader, splits) in splits.into_iter().enumerate() {
            self.by_reader[reader % readers].extend(splits);
        }
    }

    /// The splits that were not handed out, which may have come back half-read: id and state of each, both behind their
    /// length (four bytes, little endian).
    fn snapshot(&self) -> Bytes {
        let mut bytes = Vec::new();
        for split in self.by_reader.iter().flatten() {
            for part in [split.id.as_bytes(), &split.state] {
                bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
                bytes.extend_from_slice(part);
            }
        }
        bytes.into()
    }

    fn restore_snapshot(&mut self, mut snapshot: &[u8]) -> Result<(), TaskError> {
        let broken = || TaskError::permanent("the checkpoint's list of splits is not one of this source");
        self.left_over.clear();
        while !snapshot.is_empty() {
            let mut part = || {
                let (length, rest) = snapshot.split_first_chunk::<4>()?;
                let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
                snapshot = rest;
                Some(part)
            };
            let (id, state) = part().zip(part()).ok_or_else(broken)?;
            let id = std::str::from_utf8(id).map_err(|_| broken())?.into();
            self.left_over.push(Split { id, state: Bytes::copy_from_slice(state) });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(id: &str, state: &'static str) -> Split {
        Split { id: id.into(), state: Bytes::from_static(state.as_bytes()) }
    }

    #[test]
    fn fixed_splits_go_to_their_owner_once_and_come_back_with_their_position() {
        let fresh = || FixedSplits::new(2, [split("a", "0"), split("b", "0"), split("c", "0")], |index, _| index);
        let mut before = fresh();
        assert_eq!(before.assign(0), Assignment::Splits(vec![split("a", "0"), split("c", "0")]));
        // Reader 0 has finished `a` and stands in `c`; reader 1 has not asked yet.
        let mut after = fresh();
        after.restore_snapshot(&before.snapshot()).expect("its own snapshot");
        after.restore(vec![Vec::new(), vec![split("c", "9")]]);
        // A checkpoint before anything is handed out again keeps where they stand.
        let mut again = fresh();
        again.restore_snapshot(&after.snapshot()).expect("its own snapshot");
        again.restore(vec![Vec::new(), Vec::new()]);
        assert_eq!(again.assign(0), Assignment::Splits(vec![split("c", "9")]));
        assert_eq!(again.assign(1), Assignment::Splits(vec![split("b", "0")]));
        assert_eq!(after.assign(0), Assignment::NoMore);
        assert_eq!(after.assign(1), Assignment::Splits(vec![split("b", "0"), split("c", "9")]));
        assert_eq!(after.assign(1), Assignment::NoMore);
        assert!(after.restore_snapshot(b"\x09\0\0\0abc").is_err());
    }
}
