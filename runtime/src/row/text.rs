//! Scalars as text: dates, times, timestamps, decimals, and floating-point numbers in Java's form.
//!
//! Readers take exactly the forms named and nothing else; callers decide what a refusal means. Writers append.

use std::fmt::Write as _;

use chrono::{Datelike, NaiveDate};

/// Days from 0001-01-01 to 1970-01-01, plus one: chrono's day number of the epoch.
const EPOCH_FROM_CE: i32 = 719_163;
/// Nanoseconds in a day.
pub const DAY_NANOS: i64 = 86_400_000_000_000;
/// Microseconds in a day.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// Reads a run of `from..=to` decimal digits at the start; gives its value and length.
fn digits(text: &[u8], from: usize, to: usize) -> Option<(u32, usize)> {
    let length = text.iter().take(to).take_while(|byte| byte.is_ascii_digit()).count();
    if length < from {
        return None;
    }
    let value = text[..length].iter().fold(0u32, |value, byte| value * 10 + u32::from(byte - b'0'));
    Some((value, length))
}

/// Days since 1970-01-01 of a calendar day; `None` when there is no such day.
pub fn days_of(year: i32, month: u32, day: u32) -> Option<i32> {
    NaiveDate::from_ymd_opt(year, month, day).map(|date| date.num_days_from_ce() - EPOCH_FROM_CE)
}

/// Year, month and day of a number of days since 1970-01-01; days outside chrono's range give its nearest day.
pub fn ymd_of(days: i32) -> (i32, u32, u32) {
    let date = days.checked_add(EPOCH_FROM_CE).and_then(NaiveDate::from_num_days_from_ce_opt).unwrap_or(if days < 0 {
        NaiveDate::MIN
    } else {
        NaiveDate::MAX
    });
    (date.year(), date.month(), date.day())
}

fn date_prefix(text: &[u8]) -> Option<(i32, usize)> {
    let (year, first) = digits(text, 4, 4)?;
    let separator = *text.get(first)?;
    if !matches!(separator, b'-' | b'/' | b'.') {
        return None;
    }
    let (month, second) = digits(&text[first + 1..], 1, 2)?;
    let behind = first + 1 + second;
    if text.get(behind) != Some(&separator) {
        return None;
    }
    let (day, third) = digits(&text[behind + 1..], 1, 2)?;
    Some((days_of(i32::try_from(year).ok()?, month, day)?, behind + 1 + third))
}

/// Reads `2024-01-31`, with `-`, `/` or `.`; months and days may lack their leading zero. Days since 1970-01-01.
pub fn parse_date(text: &str) -> Option<i32> {
    let (days, length) = date_prefix(text.as_bytes())?;
    (length == text.len()).then_some(days)
}

fn time_of(text: &[u8]) -> Option<i64> {
    let (hour, first) = digits(text, 1, 2)?;
    if text.get(first) != Some(&b':') || hour > 23 {
        return None;
    }
    let rest = &text[first + 1..];
    let (minute, second) = digits(rest, 2, 2)?;
    if minute > 59 {
        return None;
    }
    let mut nanos = (i64::from(hour) * 3600 + i64::from(minute) * 60) * 1_000_000_000;
    let rest = &rest[second..];
    if rest.is_empty() {
        return Some(nanos);
    }
    if rest[0] != b':' {
        return None;
    }
    let (seconds, length) = digits(&rest[1..], 2, 2)?;
    if seconds > 59 {
        return None;
    }
    nanos += i64::from(seconds) * 1_000_000_000;
    let rest = &rest[1 + length..];
    if rest.is_empty() {
        return Some(nanos);
    }
    if rest[0] != b'.' {
        return None;
    }
    let (fraction, length) = digits(&rest[1..], 1, 9)?;
    if length + 1 != rest.len() {
        return None;
    }
    Some(nanos + i64::from(fraction) * 10i64.pow(9 - length as u32))
}

/// Reads `12:34`, `12:34:56` and fractions of one to nine digits. Nanoseconds since midnight.
pub fn parse_time(text: &str) -> Option<i64> {
    time_of(text.as_bytes())
}

/// Reads a date, then a blank or `T`, then a time as [`parse_time`] does; also a date alone (midnight) and
/// `yyyyMMddHHmmss`. Microseconds since 1970-01-01T00:00:00, and whether finer digits were lost.
pub fn parse_timestamp(text: &str) -> Option<(i64, bool)> {
    let bytes = text.as_bytes();
    if bytes.len() == 14 && bytes.iter().all(u8::is_ascii_digit) {
        let part = |from: usize, to: usize| digits(&bytes[from..to], to - from, to - from).map(|(value, _)| value);
        let days = days_of(i32::try_from(part(0, 4)?).ok()?, part(4, 6)?, part(6, 8)?)?;
        let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        return Some((i64::from(days) * DAY_MICROS + seconds * 1_000_000, false));
    }
    let (days, length) = date_prefix(bytes)?;
    if length == bytes.len() {
        return Some((i64::from(days) * DAY_MICROS, false));
    }
    if !matches!(bytes[length], b' ' | b'T') {
        return None;
    }
    let nanos = time_of(&bytes[length + 1..])?;
    Some((i64::from(days) * DAY_MICROS + nanos / 1000, nanos % 1000 != 0))
}

/// Why a text is not a decimal of the wanted precision and scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// The text is not a number.
    NotANumber,
    /// More digits before the point than the precision leaves room for.
    TooLarge,
}

/// Reads a number (`-12.5`, `1e3`) as an unscaled decimal, rounding half up away from zero at `scale` digits.
///
/// # Errors
/// When it is not a number, or does not fit `precision` digits.
pub fn parse_decimal(text: &str, precision: u8, scale: i8) -> Result<i128, DecimalError> {
    let text = text.trim();
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i32>().map_err(|_| DecimalError::NotANumber)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return Err(DecimalError::NotANumber);
    }
    // Digits to keep: up to the position where 10^-scale stands.
    let keep = whole.len() as i64 + i64::from(exponent) + i64::from(scale);
    let limit = 10i128.pow(u32::from(precision.min(38)));
    // Looked at before a digit is added: ten times what 38 digits hold is no i128.
    let room = (limit / 10).max(1);
    let mut value = 0i128;
    let mut round_up = false;
    for (index, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
        let digit = i128::from(digit - b'0');
        if (index as i64) < keep {
            if value >= room {
                return Err(DecimalError::TooLarge);
            }
            value = value * 10 + digit;
        } else {
            round_up = index as i64 == keep && digit >= 5;
            break;
        }
    }
    let given = (whole.len() + fraction.len()) as i64;
    if value != 0 && keep > given {
        let zeros = u32::try_from(keep - given).map_err(|_| DecimalError::TooLarge)?;
        let factor = 10i128.checked_pow(zeros).ok_or(DecimalError::TooLarge)?;
        value = value.checked_mul(factor).filter(|value| *value < limit).ok_or(DecimalError::TooLarge)?;
    }
    value += i128::from(round_up);
    if value >= limit {
        return Err(DecimalError::TooLarge);
    }
    Ok(if negative { -value } else { value })
}

/// Appends `2024-01-31`.
pub fn write_date(out: &mut String, days: i32) {
    let (year, month, day) = ymd_of(days);
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
}

fn write_clock(out: &mut String, nanos: i64, fraction_digits: u32) {
    let seconds = nanos / 1_000_000_000;
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut fraction = nanos % 1_000_000_000;
    if fraction != 0 {
        // Java prints 3, 6 or 9 digits, as few as tell the value.
        let mut width = 9;
        while width > fraction_digits.min(3) && fraction % 1000 == 0 {
            fraction /= 1000;
            width -= 3;
        }
        let width = width as usize;
        let _ = write!(out, ".{fraction:0width$}");
    }
}

/// Appends `12:34:56`, with 3, 6 or 9 digits of a fraction when there is one.
pub fn write_time(out: &mut String, nanos: i64) {
    write_clock(out, nanos.rem_euclid(DAY_NANOS), 3);
}

/// Appends `2024-01-02T03:04:05`, with 3 or 6 digits of a fraction when there is one.
pub fn write_timestamp(out: &mut String, micros: i64) {
    let days = micros.div_euclid(DAY_MICROS);
    write_date(out, i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX }));
    out.push('T');
    write_clock(out, micros.rem_euclid(DAY_MICROS) * 1000, 3);
}

/// Appends a decimal in plain form with all digits of its scale: `12.50`.
pub fn write_decimal(out: &mut String, unscaled: i128, scale: i8) {
    let scale = usize::from(scale.max(0).unsigned_abs());
    if scale == 0 {
        let _ = write!(out, "{unscaled}");
        return;
    }
    if unscaled < 0 {
        out.push('-');
    }
    let digits = unscaled.unsigned_abs();
    let unit = 10u128.pow(scale as u32);
    let _ = write!(out, "{}.{:0scale$}", digits / unit, digits % unit);
}

/// Appends a double as Java's `Double.toString` does: `0.0`, `12.5`, `1.0E7`, `9.999E-4`, `NaN`, `-Infinity`
/// (contract A.3).
pub fn write_double(out: &mut String, value: f64) {
    if write_special(out, value) {
        return;
    }
    let mut buffer = ryu::Buffer::new();
    write_java(out, buffer.format_finite(value.abs()), value.is_sign_negative());
}

/// Appends a float as Java's `Float.toString` does.
pub fn write_float(out: &mut String, value: f32) {
    if write_special(out, f64::from(value)) {
        return;
    }
    let mut buffer = ryu::Buffer::new();
    write_java(out, buffer.format_finite(value.abs()), value.is_sign_negative());
}

fn write_special(out: &mut String, value: f64) -> bool {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        return false;
    }
    true
}

/// Puts the shortest digits of a number (as ryu prints them: `1e16`, `1.5`, `1e-7`) into Java's form: plain from
/// 10^-3 up to 10^7, else with one digit before the point and an exponent.
fn write_java(out: &mut String, shortest: &str, negative: bool) {
    if is_javas_own(shortest) {
        out.push_str(if negative { "-" } else { "" });
        out.push_str(shortest);
        return;
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: String = [whole, fraction].concat();
    // The value is 0.DIGITS times ten to the power `point`.
    let mut point = whole.len() as i32 + exponent;
    let leading = digits.bytes().take_while(|digit| *digit == b'0').count();
    digits.drain(..leading);
    point -= leading as i32;
    digits.truncate(digits.trim_end_matches('0').len());
    if negative {
        out.push('-');
    }
    if digits.is_empty() {
        out.push_str("0.0");
    } else if (-2..=7).contains(&point) {
        let length = digits.len() as i32;
        if point <= 0 {
            out.push_str("0.");
            (point..0).for_each(|_| out.push('0'));
            out.push_str(&digits);
        } else if length <= point {
            out.push_str(&digits);
            (length..point).for_each(|_| out.push('0'));
            out.push_str(".0");
        } else {
            let (before, behind) = digits.split_at(point as usize);
            out.push_str(before);
            out.push('.');
            out.push_str(behind);
        }
    } else {
        let (first, rest) = digits.split_at(1);
        let _ = write!(out, "{first}.{}E{}", if rest.is_empty() { "0" } else { rest }, point - 1);
    }
}

/// Whether Java would print the digits as they are: most numbers lie where neither has an exponent.
fn is_javas_own(shortest: &str) -> bool {
    let point = shortest.bytes().position(|byte| byte == b'.');
    let plain = shortest.bytes().all(|byte| byte != b'e') && point.is_some_and(|point| point <= 7);
    // Below a thousandth Java writes an exponent.
    plain && (shortest == "0.0" || !shortest.starts_with("0.000"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn doubles_print_as_java_prints_them() {
        for (value, shown) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (12.5, "12.5"),
            (0.001, "0.001"),
            (0.0009999, "9.999E-4"),
            (1_234_567.0, "1234567.0"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (1e21, "1.0E21"),
            (1.5e-10, "1.5E-10"),
            (-58.4, "-58.4"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::MAX, "1.7976931348623157E308"),
            (100.0, "100.0"),
            (0.1, "0.1"),
        ] {
            assert_eq!(written(|out| write_double(out, value)), shown);
        }
        assert_eq!(written(|out| write_float(out, 3.1)), "3.1");
        assert_eq!(written(|out| write_float(out, f32::MAX)), "3.4028235E38");
    }

    #[test]
    fn timestamps_read_all_forms_and_tell_lost_digits() {
        let micros =
            |text| parse_timestamp(text).map(|(micros, lost)| (written(|out| write_timestamp(out, micros)), lost));
        assert_eq!(micros("2024-01-02T03:04:05"), Some(("2024-01-02T03:04:05".into(), false)));
        assert_eq!(micros("2024/1/2 3:04"), Some(("2024-01-02T03:04:00".into(), false)));
        assert_eq!(micros("2024.01.02 03:04:05.5"), Some(("2024-01-02T03:04:05.500".into(), false)));
        assert_eq!(micros("2024-01-02 03:04:05.123456789"), Some(("2024-01-02T03:04:05.123456".into(), true)));
        assert_eq!(micros("20240102030405"), Some(("2024-01-02T03:04:05".into(), false)));
        assert_eq!(micros("0001-01-01"), Some(("0001-01-01T00:00:00".into(), false)));
        assert_eq!(micros("9999-12-31T23:59:59.999999"), Some(("9999-12-31T23:59:59.999999".into(), false)));
        for wrong in ["", "2024-02-30", "2024-01-02T", "2024-01-02 24:00:00", "2024-01-02 03:04:05.", "2024-1/2", "x"] {
            assert_eq!(parse_timestamp(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_keep_nanoseconds() {
        let time = parse_time("12:34:56.000000789").expect("time");
        assert_eq!(written(|out| write_time(out, time)), "12:34:56.000000789");
        assert_eq!(parse_time("12"), None);
        assert_eq!(parse_time("12:60"), None);
    }

    #[test]
    fn decimals_keep_every_digit_and_round_half_up() {
        assert_eq!(parse_decimal("99999.99999999", 30, 8), Ok(9_999_999_999_999));
        assert_eq!(parse_decimal("-1.005", 10, 2), Ok(-101));
        assert_eq!(parse_decimal("1.004", 10, 2), Ok(100));
        assert_eq!(parse_decimal("1e3", 10, 2), Ok(100_000));
        assert_eq!(parse_decimal("15e-1", 10, 0), Ok(2));
        assert_eq!(parse_decimal("0.05", 10, 1), Ok(1));
        assert_eq!(parse_decimal("0.005", 10, 1), Ok(0));
        assert_eq!(parse_decimal("999", 2, 0), Err(DecimalError::TooLarge));
        assert_eq!(parse_decimal("99.5", 2, 0), Err(DecimalError::TooLarge));
        assert_eq!(parse_decimal("1e40", 38, 0), Err(DecimalError::TooLarge));
        // Ten times as much is no i128: found by the fuzzer, and in a release build another number.
        let most = "9".repeat(38);
        assert_eq!(parse_decimal(&most, 38, 0), Ok(10i128.pow(38) - 1));
        for digits in 39..80 {
            assert_eq!(parse_decimal(&"51035911111".repeat(8)[..digits], 38, 0), Err(DecimalError::TooLarge));
            assert_eq!(parse_decimal(&"9".repeat(digits), 38, 0), Err(DecimalError::TooLarge));
        }
        assert_eq!(parse_decimal("0", 0, 0), Ok(0));
        assert_eq!(parse_decimal("1", 0, 0), Err(DecimalError::TooLarge));
        assert_eq!(parse_decimal("0e999", 38, 0), Ok(0));
        for wrong in ["", "-", ".", "1.2.3", "abc", "1e", "0x1", "NaN"] {
            assert_eq!(parse_decimal(wrong, 38, 10), Err(DecimalError::NotANumber), "{wrong}");
        }
        assert_eq!(written(|out| write_decimal(out, -5, 2)), "-0.05");
        assert_eq!(written(|out| write_decimal(out, 12, 0)), "12");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in -62_135_596_800_000_000i64..=253_402_300_799_999_999, nanos in 0..DAY_NANOS,
            unscaled in -10i128.pow(30)..10i128.pow(30), scale in 0i8..=10) {
            prop_assert_eq!(parse_timestamp(&written(|out| write_timestamp(out, micros))), Some((micros, false)));
            prop_assert_eq!(parse_time(&written(|out| write_time(out, nanos))), Some(nanos));
            prop_assert_eq!(parse_decimal(&written(|out| write_decimal(out, unscaled, scale)), 38, scale), Ok(unscaled));
        }

        #[test]
        fn java_text_reads_back_as_the_same_double(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(written(|out| write_double(out, value)).parse::<f64>(), Ok(value));
        }

        #[test]
        fn no_text_makes_a_reader_panic(text in "[0-9:. T/+eE-]{0,30}|.*") {
            let _ = (parse_date(&text), parse_time(&text), parse_timestamp(&text), parse_decimal(&text, 38, 18));
        }
    }
}
