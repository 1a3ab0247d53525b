//! The text that jemalloc's profiler writes (`heap_v2`):
//!
//! ```text
//! heap_v2/524288
//!   t*: 3: 1048640 [0: 0]
//!   t0: 3: 1048640 [0: 0]
//! @ 0x55d0c1a2b3c4 0x55d0c1a2b400
//!   t*: 3: 1048640 [0: 0]
//!   t0: 3: 1048640 [0: 0]
//!
//! MAPPED_LIBRARIES:
//! ...
//! ```
//!
//! A line of `t*` has the sampled objects and bytes that live, of all or of the stack above it; the other lines that begin
//! with `t` have those of single threads. What follows the libraries' headline is not read: where code lies is asked of the
//! loader, which knows the files' build ids, too.

use std::fmt;

/// What the profiler has sampled and what lives of it, by the stack that allocated it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeapDump {
    /// One allocation is sampled in so many bytes, on average.
    pub sample_bytes: u64,
    /// Each stack once.
    pub stacks: Vec<SampledStack>,
}

/// Live allocations of one stack: those that were sampled, not those that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampledStack {
    /// Return addresses, the innermost first.
    pub addresses: Vec<u64>,
    /// Objects.
    pub objects: u64,
    /// Their bytes, rounded up to size classes.
    pub bytes: u64,
}

/// A text that is no dump of jemalloc's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpError {
    line: usize,
    expected: &'static str,
}

impl fmt::Display for DumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of jemalloc's dump: expected {}", self.line, self.expected)
    }
}

impl std::error::Error for DumpError {}

impl HeapDump {
    /// Reads a dump.
    ///
    /// # Errors
    /// With the line and what was expected there. A dump that ends early has an error, too, unless it ends between two
    /// stacks.
    pub fn parse(text: &[u8]) -> Result<Self, DumpError> {
        let mut lines = Lines { rest: text, line: 0 };
        let head = lines.next().unwrap_or_default();
        let rate = head.strip_prefix(b"heap_v2/").and_then(number);
        let sample_bytes = rate.filter(|rate| *rate > 0).ok_or(lines.expected("heap_v2/ and the sampling rate"))?;
        lines.total()?;
        let mut stacks = Vec::new();
        while let Some(line) = lines.next() {
            if line == b"MAPPED_LIBRARIES:" {
                break;
            }
            if line.is_empty() || is_of_thread(line) {
                continue;
            }
            let places = line.strip_prefix(b"@").ok_or(lines.expected("@ and addresses"))?;
            let addresses = places.split(|byte| *byte == b' ').filter(|place| !place.is_empty());
            let addresses: Option<Vec<u64>> = addresses.map(address).collect();
            let addresses = addresses.ok_or(lines.expected("addresses in hexadecimal"))?;
            let (objects, bytes) = lines.total()?;
            stacks.push(SampledStack { addresses, objects, bytes });
        }
        Ok(Self { sample_bytes, stacks })
    }
}

impl SampledStack {
    /// How many objects and bytes live in all that this stack has allocated, as far as the samples tell: an allocation of so
    /// many bytes is sampled with the probability `1 - exp(-bytes / sample_bytes)`.
    pub fn estimate(&self, sample_bytes: u64) -> (u64, u64) {
        if self.objects == 0 || self.bytes == 0 {
            return (0, 0);
        }
        let (objects, bytes) = (self.objects as f64, self.bytes as f64);
        let probability = -(-(bytes / objects) / sample_bytes.max(1) as f64).exp_m1();
        // The casts saturate.
        ((objects / probability).round() as u64, (bytes / probability).round() as u64)
    }
}

/// The lines of a text, counted.
struct Lines<'t> {
    rest: &'t [u8],
    line: usize,
}

impl<'t> Iterator for Lines<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.get(1..).unwrap_or_default();
        self.line += 1;
        Some(line)
    }
}

impl Lines<'_> {
    fn expected(&self, expected: &'static str) -> DumpError {
        DumpError { line: self.line.max(1), expected }
    }

    /// The line of all threads: objects and bytes.
    fn total(&mut self) -> Result<(u64, u64), DumpError> {
        let counts = self.next().and_then(|line| {
            let rest = line.strip_prefix(b"  t*: ")?;
            let mut words = rest.split(|byte| *byte == b' ');
            let objects = number(words.next()?.strip_suffix(b":")?)?;
            Some((objects, number(words.next()?)?))
        });
        counts.ok_or(self.expected("  t*: objects: bytes"))
    }
}

/// `  t7: 1: 64 [0: 0]`, perhaps with a name behind it.
fn is_of_thread(line: &[u8]) -> bool {
    line.strip_prefix(b"  t").is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}

fn number(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

fn address(text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text.strip_prefix(b"0x")?).ok()?;
    // The parser would take a sign.
    u64::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DUMP: &str = "heap_v2/524288\n  t*: 5: 1048700 [0: 0]\n  t0: 5: 1048700 [0: 0] egret-front-0\n\
        @ 0x55d0c1a2b3c4 0x7f00 0x1\n  t*: 3: 1048640 [0: 0]\n  t0: 3: 1048640 [0: 0]\n\
        @\n  t*: 2: 60 [7: 99]\n  t11: 2: 60 [0: 0]\n\nMAPPED_LIBRARIES:\n5500-5600 r-xp 0 0 0 /x\n@ no stack\n";

    #[test]
    fn a_dump_is_read_with_its_rate_and_stacks() {
        let dump = HeapDump::parse(DUMP.as_bytes()).expect("a dump");
        let stack = |addresses: &[u64], objects, bytes| SampledStack { addresses: addresses.to_vec(), objects, bytes };
        let stacks = vec![stack(&[0x55d0_c1a2_b3c4, 0x7f00, 1], 3, 1_048_640), stack(&[], 2, 60)];
        assert_eq!(dump, HeapDump { sample_bytes: 524_288, stacks });
        let none = HeapDump::parse(b"heap_v2/1\n  t*: 0: 0 [0: 0]\n").expect("a dump");
        assert_eq!(none, HeapDump { sample_bytes: 1, stacks: Vec::new() });
    }

    #[test]
    fn what_is_no_dump_is_told_with_its_line() {
        for (text, told) in [
            ("", "line 1 of jemalloc's dump: expected heap_v2/ and the sampling rate"),
            ("heap_v2/0\n", "line 1"),
            ("heap_v2/-8\n  t*: 0: 0 [0: 0]\n", "line 1"),
            ("heap_v2/8", "expected   t*: objects: bytes"),
            ("heap_v2/8\n  t*: 1 2\n", "line 2"),
            ("heap_v2/8\n  t*: 1: 2\nhello\n", "line 3 of jemalloc's dump: expected @ and addresses"),
            ("heap_v2/8\n  t*: 1: 2\n@ 0x1 2\n", "line 3 of jemalloc's dump: expected addresses"),
            ("heap_v2/8\n  t*: 1: 2\n@ 0x+1\n", "line 3"),
            ("heap_v2/8\n  t*: 1: 2\n@ 0x11223344556677889\n", "line 3"),
            ("heap_v2/8\n  t*: 1: 2\n@ 0x1\n@ 0x1\n", "line 4"),
            ("heap_v2/8\n  t*: 1: 2\n@ 0x1\n", "expected   t*"),
        ] {
            let error = HeapDump::parse(text.as_bytes()).expect_err(text).to_string();
            assert!(error.contains(told), "{text:?}: {error}");
        }
    }

    #[test]
    fn small_allocations_stand_for_many_and_large_ones_for_themselves() {
        let estimate = |objects, bytes| SampledStack { addresses: Vec::new(), objects, bytes }.estimate(1 << 19);
        assert_eq!(estimate(0, 0), (0, 0));
        assert_eq!(estimate(1, 64), (8193, 524_320));
        assert_eq!(estimate(2, 2 << 30), (2, 2 << 30));
        assert_eq!(estimate(1, 1 << 19), (2, 829_411));
        let huge = SampledStack { addresses: Vec::new(), objects: u64::MAX, bytes: 1 }.estimate(u64::MAX);
        assert_eq!(huge.0, u64::MAX, "it saturates");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            rate in 1u64..,
            stacks in prop::collection::vec((prop::collection::vec(any::<u64>(), 0..40), any::<u64>(), any::<u64>()), 0..30),
        ) {
            let mut text = format!("heap_v2/{rate}\n  t*: 1: 2 [0: 0]\n  t0: 1: 2 [0: 0]\n");
            for (addresses, objects, bytes) in &stacks {
                text += "@";
                addresses.iter().for_each(|address| text += &format!(" {address:#x}"));
                text += &format!("\n  t*: {objects}: {bytes} [0: 0]\n  t4: {objects}: {bytes} [0: 0]\n");
            }
            let read = HeapDump::parse(text.as_bytes()).expect("a dump");
            prop_assert_eq!(read.sample_bytes, rate);
            let read: Vec<_> = read.stacks.into_iter().map(|stack| (stack.addresses, stack.objects, stack.bytes)).collect();
            prop_assert_eq!(read, stacks);
        }

        #[test]
        fn no_text_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..300), cut in 0..DUMP.len(), byte: u8) {
            let _ = HeapDump::parse(&text);
            let mut changed = DUMP.as_bytes().to_vec();
            changed[cut] = byte;
            let _ = HeapDump::parse(&changed);
            if let Ok(dump) = HeapDump::parse(&changed[..cut]) {
                dump.stacks.iter().for_each(|stack| _ = stack.estimate(dump.sample_bytes));
            }
        }
    }
}
