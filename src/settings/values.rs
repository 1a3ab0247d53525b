//! Values of settings as they are written, and back.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Puts a value that was read into its place.
pub fn put<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

/// Anything that can be read from text.
pub fn parsed<T: FromStr>(text: &str, expected: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("expected {expected}, found '{text}'"))
}

/// A whole number of at least `min`.
pub fn count(text: &str, min: usize) -> Result<usize, String> {
    let expected = format!("a whole number of at least {min}");
    parsed(text, &expected)
        .and_then(|number| if number >= min { Ok(number) } else { Err(format!("expected {expected}, found '{text}'")) })
}

/// The path of something.
pub fn path(text: &str, what: &str) -> Result<Option<PathBuf>, String> {
    if text.is_empty() { Err(format!("expected {what}, found nothing")) } else { Ok(Some(text.into())) }
}

/// What is at least as large as `min`.
pub fn at_least<T: PartialOrd + std::fmt::Debug>(value: T, min: T) -> Result<T, String> {
    if value >= min { Ok(value) } else { Err(format!("expected at least {min:?}, found {value:?}")) }
}

/// What is at most as large as `max`.
pub fn at_most<T: PartialOrd + std::fmt::Debug>(value: T, max: T) -> Result<T, String> {
    if value <= max { Ok(value) } else { Err(format!("expected at most {max:?}, found {value:?}")) }
}

/// `true` or `false`.
pub fn boolean(text: &str) -> Result<bool, String> {
    parsed(&text.to_ascii_lowercase(), "true or false")
}

/// A number of bytes: `65536`, `64KiB`, `10 MB`.
pub fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 10] = [
        ("", 1),
        ("b", 1),
        ("k", 1 << 10),
        ("kb", 1000),
        ("kib", 1 << 10),
        ("m", 1 << 20),
        ("mb", 1_000_000),
        ("mib", 1 << 20),
        ("gb", 1_000_000_000),
        ("gib", 1 << 30),
    ];
    scaled(text, &UNITS, "a number of bytes like 65536, 64KiB or 10MiB")
}

/// The same for what is counted in `usize`.
pub fn bytes_usize(text: &str) -> Result<usize, String> {
    bytes(text).and_then(|number| usize::try_from(number).map_err(|_| format!("'{text}' is too large")))
}

/// A number of bytes of at least `min`.
pub fn bytes_at_least(text: &str, min: u64) -> Result<u64, String> {
    let number = bytes(text)?;
    if number >= min { Ok(number) } else { Err(format!("expected at least {}, found '{text}'", show_bytes(min))) }
}

/// The same for what is counted in `usize`.
pub fn bytes_usize_at_least(text: &str, min: usize) -> Result<usize, String> {
    bytes_at_least(text, min as u64).and_then(|_| bytes_usize(text))
}

/// A span of time: `15` (seconds), `500ms`, `10s`, `5m`, `24h`, `7d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 7] =
        [("", 1000), ("ms", 1), ("s", 1000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    scaled(text, &UNITS, "a time like 500ms, 15s, 5m, 24h or 7d").map(Duration::from_millis)
}

/// A span of time as a bare number of this unit, as the original's settings are.
pub fn duration_in(text: &str, unit: Duration) -> Result<Duration, String> {
    let number: u32 = parsed(text, "a whole number")?;
    Ok(unit * number)
}

fn scaled(text: &str, units: &[(&str, u64)], expected: &str) -> Result<u64, String> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let unit = unit.trim().to_ascii_lowercase();
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    digits
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .ok_or_else(|| format!("expected {expected}, found '{text}'"))
}

/// As one would write it.
pub fn show_bytes(number: u64) -> String {
    match number {
        0 => "0".to_owned(),
        number if number.is_multiple_of(1 << 30) => format!("{}GiB", number >> 30),
        number if number.is_multiple_of(1 << 20) => format!("{}MiB", number >> 20),
        number if number.is_multiple_of(1 << 10) => format!("{}KiB", number >> 10),
        number => number.to_string(),
    }
}

/// As one would write it.
pub fn show_duration(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "0s".to_owned(),
        ms if ms.is_multiple_of(86_400_000) => format!("{}d", ms / 86_400_000),
        ms if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        ms if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        ms if ms.is_multiple_of(1000) => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_with_units_and_without() {
        assert_eq!(bytes("65536"), Ok(65536));
        assert_eq!(bytes(" 64 KiB "), Ok(65536));
        assert_eq!((bytes("10MB"), bytes("1gib")), (Ok(10_000_000), Ok(1 << 30)));
        assert_eq!(duration("15"), Ok(Duration::from_secs(15)));
        assert_eq!(
            (duration("500ms"), duration("7d")),
            (Ok(Duration::from_millis(500)), Ok(Duration::from_secs(604_800)))
        );
        for wrong in ["", "x", "-1", "1.5", "10 parsecs", "99999999999999999999", "18446744073709551615h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(bytes("1 s").unwrap_err().contains("found '1 s'"));
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for number in [0, 1, 1000, 1024, 65536, 10 << 20, 3 << 30] {
            assert_eq!(bytes(&show_bytes(number)), Ok(number));
        }
        for ms in [0, 1, 1000, 90_000, 60_000, 3_600_000, 86_400_000 * 7] {
            let duration_ms = Duration::from_millis(ms);
            assert_eq!(duration(&show_duration(duration_ms)), Ok(duration_ms));
        }
    }
}
