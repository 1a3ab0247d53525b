//! The streams of an ORC column: run lengths of version 1, which every reader knows, gathered in memory.
//!
//! | what | byte | then |
//! |---|---|---|
//! | integers, a run of 3 to 130 | `n - 3` | the step between them (one byte), the first |
//! | integers as they are, 1 to 128 | `-n` | each |
//! | bytes, a run of 3 to 130 | `n - 3` | the byte |
//! | bytes as they are, 1 to 128 | `-n` | each |
//!
//! Integers are base-128 varints, signed ones zigzag. Booleans are bits of bytes, the highest first.

const RUN_MIN: usize = 3;
const RUN_MAX: usize = 130;
const LITERALS_MAX: usize = 128;

/// Appends a varint.
pub fn write_varint(mut value: u128, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Makes small negative numbers small.
pub fn zigzag(value: i128) -> u128 {
    ((value << 1) ^ (value >> 127)) as u128
}

/// A stream of integers.
pub struct Integers {
    /// What is encoded so far.
    pub out: Vec<u8>,
    signed: bool,
    /// Values not yet encoded; of a run the first alone.
    held: Vec<i64>,
    /// Values of the run that is under way, or 0.
    run: usize,
    step: i64,
    /// Values at the end of `held` that a run could begin with.
    tail: usize,
}

impl Integers {
    /// An empty stream.
    pub fn new(signed: bool) -> Self {
        Self { out: Vec::new(), signed, held: Vec::with_capacity(LITERALS_MAX), run: 0, step: 0, tail: 0 }
    }

    /// Appends a value.
    pub fn push(&mut self, value: i64) {
        if self.run > 0 {
            let expected = self.held[0].checked_add(self.step * self.run as i64);
            if expected == Some(value) {
                self.run += 1;
                if self.run == RUN_MAX {
                    self.flush();
                }
                return;
            }
            self.flush();
        }
        let step = self.held.last().and_then(|last| value.checked_sub(*last)).filter(|step| (-128..128).contains(step));
        self.tail = match step {
            Some(step) if self.tail > 1 && step == self.step => self.tail + 1,
            Some(_) => 2,
            None => 1,
        };
        self.step = step.unwrap_or_default();
        self.held.push(value);
        if self.tail == RUN_MIN {
            let first = self.held[self.held.len() - RUN_MIN];
            self.held.truncate(self.held.len() - RUN_MIN);
            let step = self.step;
            self.flush();
            self.held.push(first);
            (self.run, self.step) = (RUN_MIN, step);
        } else if self.held.len() == LITERALS_MAX {
            self.flush();
        }
    }

    /// Encodes what is held.
    pub fn flush(&mut self) {
        if self.run > 0 {
            self.out.extend_from_slice(&[(self.run - RUN_MIN) as u8, self.step as u8]);
            self.write(self.held[0]);
        } else if !self.held.is_empty() {
            self.out.push((self.held.len() as u8).wrapping_neg());
            for at in 0..self.held.len() {
                self.write(self.held[at]);
            }
        }
        self.held.clear();
        (self.run, self.tail) = (0, 0);
    }

    fn write(&mut self, value: i64) {
        let bits = if self.signed { zigzag(i128::from(value)) } else { u128::from(value as u64) };
        write_varint(bits, &mut self.out);
    }
}

/// A stream of bytes in runs.
#[derive(Default)]
pub struct Bytes {
    /// What is encoded so far.
    pub out: Vec<u8>,
    held: Vec<u8>,
    /// How many bytes at the end of `held` are equal.
    tail: usize,
}

impl Bytes {
    /// Appends a byte.
    pub fn push(&mut self, byte: u8) {
        let goes_on = self.held.last() == Some(&byte);
        let in_run = self.tail >= RUN_MIN;
        if in_run && !(goes_on && self.tail < RUN_MAX) {
            self.flush();
        }
        self.tail = if goes_on && !self.held.is_empty() { self.tail + 1 } else { 1 };
        self.held.push(byte);
        if self.tail == RUN_MIN && self.held.len() > RUN_MIN {
            // What stood before the run.
            self.held.truncate(self.held.len() - RUN_MIN);
            self.tail = 0;
            self.flush();
            self.held.resize(RUN_MIN, byte);
            self.tail = RUN_MIN;
        } else if self.tail < RUN_MIN && self.held.len() == LITERALS_MAX {
            self.flush();
        }
    }

    /// Encodes what is held.
    pub fn flush(&mut self) {
        if self.tail >= RUN_MIN {
            self.out.extend_from_slice(&[(self.tail - RUN_MIN) as u8, self.held[0]]);
        } else if !self.held.is_empty() {
            self.out.push((self.held.len() as u8).wrapping_neg());
            self.out.extend_from_slice(&self.held);
        }
        self.held.clear();
        self.tail = 0;
    }
}

/// A stream of booleans.
#[derive(Default)]
pub struct Booleans {
    /// The bytes.
    pub bytes: Bytes,
    partial: u8,
    bits: u8,
}

impl Booleans {
    /// Appends a value.
    pub fn push(&mut self, value: bool) {
        self.partial = self.partial << 1 | u8::from(value);
        self.bits += 1;
        if self.bits == 8 {
            self.bytes.push(self.partial);
            (self.partial, self.bits) = (0, 0);
        }
    }

    /// Encodes what is held.
    pub fn flush(&mut self) {
        if self.bits > 0 {
            self.bytes.push(self.partial << (8 - self.bits));
            (self.partial, self.bits) = (0, 0);
        }
        self.bytes.flush();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_varint(bytes: &mut &[u8]) -> u128 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (byte, rest) = bytes.split_first().expect("a byte");
            *bytes = rest;
            value |= u128::from(byte & 0x7f) << shift;
            shift += 7;
            if *byte < 0x80 {
                return value;
            }
        }
    }

    fn decode_integers(mut bytes: &[u8]) -> Vec<i64> {
        let unzigzag = |bits: u128| ((bits >> 1) as i128 ^ -((bits & 1) as i128)) as i64;
        let mut found = Vec::new();
        while let Some((control, rest)) = bytes.split_first() {
            bytes = rest;
            if *control < 128 {
                let step = i64::from(bytes[0] as i8);
                bytes = &bytes[1..];
                let first = unzigzag(read_varint(&mut bytes));
                found.extend((0..i64::from(*control) + 3).map(|at| first + at * step));
            } else {
                for _ in 0..control.wrapping_neg() {
                    found.push(unzigzag(read_varint(&mut bytes)));
                }
            }
        }
        found
    }

    fn decode_bytes(mut bytes: &[u8]) -> Vec<u8> {
        let mut found = Vec::new();
        while let Some((control, rest)) = bytes.split_first() {
            if *control < 128 {
                found.resize(found.len() + usize::from(*control) + 3, rest[0]);
                bytes = &rest[1..];
            } else {
                let count = usize::from(control.wrapping_neg());
                found.extend_from_slice(&rest[..count]);
                bytes = &rest[count..];
            }
        }
        found
    }

    fn integers_round_trip(values: &[i64]) -> Vec<u8> {
        let mut stream = Integers::new(true);
        values.iter().for_each(|value| stream.push(*value));
        stream.flush();
        assert_eq!(decode_integers(&stream.out), values);
        stream.out
    }

    #[test]
    fn runs_of_integers_are_short() {
        assert_eq!(integers_round_trip(&[7; 100]), [97, 0, 14]);
        assert_eq!(integers_round_trip(&(1..=100).collect::<Vec<_>>()), [97, 1, 2]);
        assert_eq!(integers_round_trip(&[2, 3, 6, 7, 11]), [0xfb, 4, 6, 12, 14, 22]);
        integers_round_trip(&[i64::MIN, i64::MAX, i64::MIN, i64::MAX, i64::MAX - 1, i64::MAX, i64::MAX]);
        integers_round_trip(&[i64::MAX; 300]);
    }

    #[test]
    fn runs_of_bytes_are_short() {
        let mut stream = Bytes::default();
        (0..100).for_each(|_| stream.push(0));
        stream.flush();
        assert_eq!(stream.out, [0x61, 0]);
        let mut stream = Bytes::default();
        [0x44, 0x45].into_iter().for_each(|byte| stream.push(byte));
        stream.flush();
        assert_eq!(stream.out, [0xfe, 0x44, 0x45]);
        let mut stream = Booleans::default();
        stream.push(true);
        stream.flush();
        assert_eq!(stream.bytes.out, [0xff, 0x80]);
    }

    proptest! {
        #[test]
        fn every_row_of_integers_comes_back(runs in proptest::collection::vec((any::<i64>(), -130i64..130, 1usize..200), 0..20)) {
            let values: Vec<i64> = runs
                .iter()
                .flat_map(|(first, step, count)| (0..*count as i64).map(move |at| first.wrapping_add(at.wrapping_mul(*step))))
                .collect();
            integers_round_trip(&values);
        }

        #[test]
        fn every_row_of_bytes_comes_back(runs in proptest::collection::vec((0u8..3, 1usize..150), 0..40)) {
            let values: Vec<u8> = runs.iter().flat_map(|(byte, count)| std::iter::repeat_n(*byte, *count)).collect();
            let mut stream = Bytes::default();
            values.iter().for_each(|byte| stream.push(*byte));
            stream.flush();
            prop_assert_eq!(decode_bytes(&stream.out), values);
        }
    }
}
