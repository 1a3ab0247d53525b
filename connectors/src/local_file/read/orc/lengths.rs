//! The lengths of lists, maps and texts in a stripe, added up before the library takes memory for what they promise.
//!
//! They are integers without a sign, in runs of the format's first or second version.

use super::chunks::Plain;

/// The version of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    First,
    Second,
}

/// Calls `visit` with each length and how often it stands in a row, until that is told `false`. Ends where the
/// stream does; a run that is cut short is left out, because the library fails at it.
///
/// # Errors
/// When a length does not fit into 63 bits, or a chunk of the stream is broken.
pub fn visit(mut stream: Plain<'_>, runs: Runs, visit: &mut impl FnMut(u64, u64) -> bool) -> Result<(), String> {
    let mut values = Vec::with_capacity(512);
    while let Some(head) = stream.byte()? {
        values.clear();
        let run = match (runs, head >> 6) {
            (Runs::First, _) => first(&mut stream, head, &mut values)?,
            (_, 0) => short_repeat(&mut stream, head, &mut values)?,
            (_, 1) => direct(&mut stream, head, &mut values)?,
            (_, 2) => patched(&mut stream, head, &mut values)?,
            _ => delta(&mut stream, head, &mut values)?,
        };
        let Some(times) = run else { return Ok(()) };
        for value in &values {
            if !visit(bounded(Some(*value))?, times) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// How often each value of a run stands; none when the run is cut short.
type Run = Result<Option<u64>, String>;

/// Leaves the run when the stream ends within it.
macro_rules! or_cut {
    ($read:expr) => {
        match $read? {
            Some(read) => read,
            None => return Ok(None),
        }
    };
}

fn bounded(value: Option<u64>) -> Result<u64, String> {
    value.filter(|value| *value <= i64::MAX as u64).ok_or_else(|| "a length that is negative".to_owned())
}

/// The first version: a run with a fixed step, or single values.
fn first(stream: &mut Plain<'_>, head: u8, values: &mut Vec<u64>) -> Run {
    if head >= 0x80 {
        for _ in 0..0x100 - usize::from(head) {
            values.push(or_cut!(varint(stream)));
        }
        return Ok(Some(1));
    }
    let count = u64::from(head) + 3;
    let step = i64::from(or_cut!(stream.byte()) as i8);
    let base = or_cut!(varint(stream));
    if step == 0 {
        values.push(base);
        return Ok(Some(count));
    }
    for number in 0..count as i64 {
        values.push(bounded(base.checked_add_signed(step * number))?);
    }
    Ok(Some(1))
}

fn short_repeat(stream: &mut Plain<'_>, head: u8, values: &mut Vec<u64>) -> Run {
    values.push(or_cut!(big_endian(stream, usize::from(head >> 3 & 7) + 1)));
    Ok(Some(u64::from(head & 7) + 3))
}

fn direct(stream: &mut Plain<'_>, head: u8, values: &mut Vec<u64>) -> Run {
    let count = or_cut!(count(stream, head));
    or_cut!(unpack(stream, count, width(head >> 1 & 0x1f), values));
    Ok(Some(1))
}

/// Values upon a base, with the upper bits of a few large ones in a list of patches.
fn patched(stream: &mut Plain<'_>, head: u8, values: &mut Vec<u64>) -> Run {
    let value_width = width(head >> 1 & 0x1f);
    let count = or_cut!(count(stream, head));
    let (third, fourth) = (or_cut!(stream.byte()), or_cut!(stream.byte()));
    let (patch_width, gap_width) = (width(third & 0x1f), u32::from(fourth >> 5) + 1);
    if patch_width + gap_width > 64 {
        return Err("a patch of more than 64 bits".to_owned());
    }
    let base = bounded(Some(or_cut!(big_endian(stream, usize::from(third >> 5) + 1))))?;
    or_cut!(unpack(stream, count, value_width, values));
    let mut patches = Vec::new();
    or_cut!(unpack(stream, usize::from(fourth & 0x1f), closest_width(patch_width + gap_width), &mut patches));
    let mut at = 0usize;
    for patch in patches {
        at += (patch >> patch_width) as usize;
        let bits = patch & ((1 << patch_width) - 1);
        if let Some(value) = values.get_mut(at) {
            *value |= bits.checked_shl(value_width).unwrap_or(0);
        }
    }
    for value in values {
        *value = bounded(bounded(Some(*value))?.checked_add(base))?;
    }
    Ok(Some(1))
}

/// Values of which each is its predecessor plus, or minus, a step; the steps are one, or packed.
fn delta(stream: &mut Plain<'_>, head: u8, values: &mut Vec<u64>) -> Run {
    let code = head >> 1 & 0x1f;
    let count = or_cut!(count(stream, head));
    let base = or_cut!(varint(stream));
    let first_step = or_cut!(varint(stream));
    let (step, is_rising) = ((first_step >> 1) + (first_step & 1), first_step & 1 == 0);
    let next = |value: u64, step: u64| {
        let step = bounded(Some(step))?;
        bounded(if is_rising { value.checked_add(step) } else { value.checked_sub(step) })
    };
    let mut value = bounded(Some(base))?;
    values.push(value);
    if code == 0 {
        if step == 0 {
            return Ok(Some(count as u64));
        }
        for _ in 1..count {
            value = next(value, step)?;
            values.push(value);
        }
        return Ok(Some(1));
    }
    let Some(packed) = count.checked_sub(2) else {
        return Err("a run of one value with packed steps".to_owned());
    };
    let mut steps = Vec::with_capacity(packed);
    or_cut!(unpack(stream, packed, width(code), &mut steps));
    for step in std::iter::once(step).chain(steps) {
        value = next(value, step)?;
        values.push(value);
    }
    Ok(Some(1))
}

/// Values of a run: a bit of its head, and the byte behind.
fn count(stream: &mut Plain<'_>, head: u8) -> Result<Option<usize>, String> {
    Ok(stream.byte()?.map(|low| (usize::from(head & 1) << 8 | usize::from(low)) + 1))
}

/// Bits of a value, from the five bits that tell them.
fn width(code: u8) -> u32 {
    match code {
        0..=23 => u32::from(code) + 1,
        24..=27 => u32::from(code - 24) * 2 + 26,
        _ => u32::from(code - 28) * 8 + 40,
    }
}

/// The least width that [`width`] knows and that holds so many bits.
fn closest_width(bits: u32) -> u32 {
    match bits {
        0..=24 => bits.max(1),
        25..=32 => bits.next_multiple_of(2),
        _ => bits.next_multiple_of(8),
    }
}

fn varint(stream: &mut Plain<'_>) -> Result<Option<u64>, String> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let Some(byte) = stream.byte()? else { return Ok(None) };
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(Some(value));
        }
    }
    Err("a number of more than 64 bits".to_owned())
}

fn big_endian(stream: &mut Plain<'_>, bytes: usize) -> Result<Option<u64>, String> {
    Ok(stream.take(bytes)?.map(|bytes| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))))
}

/// Values of `width` bits each, the highest first, without gaps.
fn unpack(stream: &mut Plain<'_>, count: usize, width: u32, values: &mut Vec<u64>) -> Result<Option<()>, String> {
    let Some(bytes) = stream.take((count * width as usize).div_ceil(8))? else { return Ok(None) };
    if width == 8 {
        values.extend(bytes.iter().map(|byte| u64::from(*byte)));
        return Ok(Some(()));
    }
    let mut bytes = bytes.iter();
    let (mut held, mut bits) = (0u128, 0u32);
    let mask = u64::MAX >> (64 - width);
    for _ in 0..count {
        while bits < width {
            held = held << 8 | u128::from(bytes.next().copied().unwrap_or(0));
            bits += 8;
        }
        bits -= width;
        values.push((held >> bits) as u64 & mask);
    }
    Ok(Some(()))
}

#[cfg(test)]
mod tests {
    use orc_rust::proto::CompressionKind;
    use proptest::prelude::*;

    use super::super::chunks::Packing;
    use super::*;

    const PLAIN: Packing = Packing { kind: CompressionKind::None, chunk_bytes: 0 };

    fn read(stream: &[u8], runs: Runs) -> Result<Vec<u64>, String> {
        let mut found = Vec::new();
        visit(PLAIN.plain(stream), runs, &mut |value, times| {
            found.extend(std::iter::repeat_n(value, times as usize));
            true
        })?;
        Ok(found)
    }

    #[test]
    fn runs_of_both_versions_are_read_as_the_format_tells() {
        let repeated = |value, times| vec![value; times];
        let first = [
            (&[0x61, 0x00, 0x07][..], repeated(7, 100)),
            (&[0x61, 0xff, 0x64], (1..=100).rev().collect()),
            (&[0xfb, 0x02, 0x03, 0x06, 0x07, 0x0b], vec![2, 3, 6, 7, 11]),
            (&[0xfe, 0xac, 0x02, 0x00], vec![300, 0]),
        ];
        for (stream, expected) in first {
            assert_eq!(read(stream, Runs::First), Ok(expected), "{stream:x?}");
        }
        let patched = [0x8e, 0x13, 0x2b, 0x21, 0x07, 0xd0, 0x1e, 0x00, 0x14, 0x70, 0x28, 0x32, 0x3c, 0x46, 0x50, 0x5a];
        let patched =
            [&patched[..], &[0x64, 0x6e, 0x78, 0x82, 0x8c, 0x96, 0xa0, 0xaa, 0xb4, 0xbe, 0xfc, 0xe8]].concat();
        let mut values = vec![2030, 2000, 2020, 1_000_000];
        values.extend((0..16).map(|number| 2040 + 10 * number));
        let second = [
            (vec![0x0a, 0x27, 0x10], repeated(10_000, 5)),
            (vec![0x5e, 0x03, 0x5c, 0xa1, 0xab, 0x1e, 0xde, 0xad, 0xbe, 0xef], vec![23_713, 43_806, 57_005, 48_879]),
            (patched, values),
            (vec![0xc6, 0x09, 0x02, 0x02, 0x22, 0x42, 0x42, 0x46], vec![2, 3, 5, 7, 11, 13, 17, 19, 23, 29]),
            (vec![0xc0, 0x63, 0x05, 0x00], repeated(5, 100)),
            (vec![0xc0, 0x02, 0x05, 0x03], vec![5, 3, 1]),
        ];
        for (stream, expected) in second {
            assert_eq!(read(&stream, Runs::Second), Ok(expected), "{stream:x?}");
        }
    }

    #[test]
    fn lengths_below_zero_are_refused_and_cut_runs_left_out() {
        for (stream, runs) in [
            (&[0x03, 0xff, 0x02][..], Runs::First),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], Runs::First),
            (&[0x38, 0x80, 0, 0, 0, 0, 0, 0, 0], Runs::Second),
            (&[0xc0, 0x04, 0x05, 0x03], Runs::Second),
            (&[0xc0, 0x04, 0x05, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], Runs::Second),
        ] {
            assert_eq!(read(stream, runs), Err("a length that is negative".to_owned()), "{stream:x?}");
        }
        assert!(read(&[0xc2, 0x00, 0x05, 0x02], Runs::Second).expect_err("a run").contains("packed steps"));
        assert_eq!(read(&[0x0a, 0x27, 0x10, 0x0a, 0x27], Runs::Second), Ok(vec![10_000; 5]));
        assert_eq!(read(&[0x00, 0x00, 0x07, 0xfe, 0x01], Runs::First), Ok(vec![7; 3]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(stream in prop::collection::vec(any::<u8>(), 0..300)) {
            for runs in [Runs::First, Runs::Second] {
                if let Ok(values) = read(&stream, runs) {
                    prop_assert!(values.iter().all(|value| *value <= i64::MAX as u64));
                }
            }
        }
    }
}
