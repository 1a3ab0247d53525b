//! Text values into Arrow columns.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, NullArray, NullBufferBuilder, PrimitiveArray, StringArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time64NanosecondType, TimestampMicrosecondType,
};
use egret_runtime::row::{ColumnBuilder, DataType, text};

use super::super::patterns::Patterns;

/// Longest piece of a value that an error message shows.
const SHOWN_BYTES_MAX: usize = 100;

/// A value that is not of its column's type.
#[derive(Debug)]
pub struct BadValue {
    /// Row within the text that was cut.
    pub row: usize,
    /// The value, for the message.
    pub shown: String,
    /// What is wrong beyond the type, if known.
    pub why: Option<&'static str>,
}

/// Shortens a value for a message.
pub fn shown(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(&value[..value.len().min(SHOWN_BYTES_MAX)]);
    if value.len() > SHOWN_BYTES_MAX { format!("{text}...") } else { text.into_owned() }
}

/// How values are written, and what was lost while reading them.
#[derive(Debug, Default)]
pub struct ValueRules {
    /// Dates, times and datetimes.
    pub patterns: Patterns,
    /// Timestamps that lost digits finer than microseconds, and numbers that lost a fraction.
    pub digits_lost: Cell<u64>,
    /// Whatever else is odd: characters that could not be decoded, files that are not compressed as told.
    pub odd: Rc<Cell<u64>>,
}

impl ValueRules {
    /// What was lost or odd since the last call.
    pub fn lost(&self) -> u64 {
        self.digits_lost.take() + self.odd.take()
    }

    /// The text of bytes; what is no UTF-8 becomes U+FFFD, as in Java, and is counted.
    pub fn utf8<'a>(&self, bytes: &'a [u8]) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(bytes);
        if let Cow::Owned(_) = text {
            self.odd.set(self.odd.get() + 1);
        }
        text
    }

    /// Reads a timestamp and counts lost digits.
    pub fn timestamp(&self, text: &[u8]) -> Option<i64> {
        let (micros, lost) = self.patterns.parse_datetime(text)?;
        if lost {
            self.digits_lost.set(self.digits_lost.get() + 1);
        }
        Some(micros)
    }
}

/// One value of a column.
#[derive(Clone, Copy)]
pub enum Field<'a> {
    /// Nothing.
    Null,
    /// As it is.
    Plain(&'a [u8]),
    /// Something in it stands for something else; see [`Fields::unescape`].
    Escaped(&'a [u8]),
}

/// The values of a column, row by row.
pub trait Fields {
    /// Number of rows.
    fn rows(&self) -> usize;
    /// A value as text: what a number, a date or the like is read from.
    fn text(&self, row: usize) -> Field<'_>;
    /// A value where text is wanted.
    fn string(&self, row: usize) -> Field<'_> {
        self.text(row)
    }
    /// Appends an escaped value as it is meant.
    fn unescape(&self, value: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str>;
}

fn unescaped<'a>(fields: &impl Fields, value: &'a [u8]) -> Result<Cow<'a, [u8]>, &'static str> {
    let mut out = Vec::with_capacity(value.len());
    fields.unescape(value, &mut out)?;
    Ok(Cow::Owned(out))
}

/// Builds a column of a type that is not nested; `None` for the nested ones.
pub fn scalars(data_type: &DataType, fields: &impl Fields, rules: &ValueRules) -> Option<Result<ArrayRef, BadValue>> {
    Some(match data_type {
        DataType::Null => Ok(Arc::new(NullArray::new(fields.rows()))),
        DataType::Boolean => booleans(fields),
        DataType::TinyInt => numbers::<Int8Type>(fields, |text| integer(text)?.try_into().ok()),
        DataType::SmallInt => numbers::<Int16Type>(fields, |text| integer(text)?.try_into().ok()),
        DataType::Int => numbers::<Int32Type>(fields, |text| integer(text)?.try_into().ok()),
        DataType::BigInt => numbers::<Int64Type>(fields, integer),
        DataType::Float => numbers::<Float32Type>(fields, float),
        DataType::Double => numbers::<Float64Type>(fields, double),
        DataType::Decimal { precision, scale } => {
            let column = primitives::<Decimal128Type>(fields, |text| decimal(text, *precision, *scale));
            column.map(|column| Arc::new(column.with_data_type(data_type.arrow())) as ArrayRef)
        }
        DataType::Date => numbers::<Date32Type>(fields, |text| rules.patterns.parse_date(text)),
        DataType::Time => numbers::<Time64NanosecondType>(fields, |text| rules.patterns.parse_time(text)),
        DataType::Timestamp => numbers::<TimestampMicrosecondType>(fields, |text| rules.timestamp(text)),
        DataType::String => strings(fields, rules),
        _ => return None,
    })
}

fn numbers<T: ArrowPrimitiveType>(
    fields: &impl Fields,
    parse: impl Fn(&[u8]) -> Option<T::Native>,
) -> Result<ArrayRef, BadValue> {
    Ok(Arc::new(primitives::<T>(fields, parse)?))
}

fn primitives<T: ArrowPrimitiveType>(
    fields: &impl Fields,
    parse: impl Fn(&[u8]) -> Option<T::Native>,
) -> Result<PrimitiveArray<T>, BadValue> {
    let rows = fields.rows();
    let mut values: Vec<T::Native> = Vec::with_capacity(rows);
    let mut valid = NullBufferBuilder::new(rows);
    for row in 0..rows {
        let parsed = match fields.text(row) {
            Field::Null => None,
            Field::Plain(text) => match parse(text) {
                None if is_blank(text) => None,
                None => return Err(BadValue { row, shown: shown(text), why: None }),
                some => some,
            },
            Field::Escaped(text) => {
                let bad = |why| BadValue { row, shown: shown(text), why };
                let plain = unescaped(fields, text).map_err(|why| bad(Some(why)))?;
                Some(parse(&plain).ok_or_else(|| bad(None))?)
            }
        };
        valid.append(parsed.is_some());
        values.push(parsed.unwrap_or_default());
    }
    Ok(PrimitiveArray::new(ScalarBuffer::from(values), valid.finish()))
}

/// White space alone is no number, date or the like: it is null, as in the reference engine.
pub fn is_blank(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_whitespace)
}

fn booleans(fields: &impl Fields) -> Result<ArrayRef, BadValue> {
    let mut values = Vec::with_capacity(fields.rows());
    for row in 0..fields.rows() {
        values.push(match fields.text(row) {
            Field::Null => None,
            Field::Plain(text) | Field::Escaped(text) => match boolean(text) {
                None if is_blank(text) => None,
                None => return Err(BadValue { row, shown: shown(text), why: None }),
                some => some,
            },
        });
    }
    Ok(Arc::new(BooleanArray::from(values)))
}

/// Bytes of all values one behind the other.
struct Gathered {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    valid: NullBufferBuilder,
}

fn gather(fields: &impl Fields) -> Result<Gathered, BadValue> {
    let rows = fields.rows();
    let mut gathered = Gathered {
        bytes: Vec::with_capacity(rows * 16),
        ends: Vec::with_capacity(rows + 1),
        valid: NullBufferBuilder::new(rows),
    };
    gathered.ends.push(0);
    for row in 0..rows {
        let field = fields.string(row);
        match field {
            Field::Null => {}
            Field::Plain(text) => gathered.bytes.extend_from_slice(text),
            Field::Escaped(text) => fields.unescape(text, &mut gathered.bytes).map_err(|why| BadValue {
                row,
                shown: shown(text),
                why: Some(why),
            })?,
        }
        gathered.valid.append(!matches!(field, Field::Null));
        // The window, and with it the sum of its fields, is shorter than 2^31 bytes.
        gathered.ends.push(gathered.bytes.len() as i32);
    }
    Ok(gathered)
}

/// Builds a column of strings.
pub fn strings(fields: &impl Fields, rules: &ValueRules) -> Result<ArrayRef, BadValue> {
    let Gathered { bytes, ends, mut valid } = gather(fields)?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
    let bytes = Buffer::from_vec(bytes);
    let valid = valid.finish();
    // One check for all values is many times cheaper than one for each.
    if let Ok(column) = StringArray::try_new(offsets.clone(), bytes.clone(), valid.clone()) {
        return Ok(Arc::new(column));
    }
    let value = |row: usize| {
        let is_valid = valid.as_ref().is_none_or(|valid| valid.is_valid(row));
        is_valid.then(|| rules.utf8(&bytes[offsets[row] as usize..offsets[row + 1] as usize]))
    };
    Ok(Arc::new(StringArray::from_iter((0..fields.rows()).map(value))))
}

/// Builds a column of bytes.
pub fn binaries(fields: &impl Fields) -> Result<ArrayRef, BadValue> {
    let Gathered { bytes, ends, mut valid } = gather(fields)?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
    Ok(Arc::new(BinaryArray::new(offsets, Buffer::from_vec(bytes), valid.finish())))
}

/// `true` or `false`, in any case.
pub fn boolean(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if text.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// A whole number of 64 bits.
#[inline]
pub fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    if digits.len() > 18 {
        // Rare: let the standard library look at the limits.
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    let mut value = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// A double.
pub fn double(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// A float.
pub fn float(text: &[u8]) -> Option<f32> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// The unscaled value of a decimal; digits beyond the scale are rounded half up.
pub fn decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    if let Some(short) = short_decimal(text, precision, scale) {
        return Some(short);
    }
    text::parse_decimal(std::str::from_utf8(text).ok()?, precision, scale).ok()
}

/// A decimal of few digits, none of them beyond the scale and no exponent; `None` for all others.
fn short_decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    const POWERS: [i64; 19] = {
        let mut powers = [1; 19];
        let mut at = 1;
        while at < powers.len() {
            powers[at] = powers[at - 1] * 10;
            at += 1;
        }
        powers
    };
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let (mut value, mut point) = (0i64, None);
    for (at, byte) in digits.iter().enumerate() {
        match byte.wrapping_sub(b'0') {
            digit @ 0..=9 => value = value * 10 + i64::from(digit),
            _ if *byte == b'.' && point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let fraction = point.map_or(0, |point| digits.len() - point - 1);
    if point.is_some() && digits.len() == 1 {
        return None;
    }
    let missing = usize::try_from(scale).ok()?.checked_sub(fraction)?;
    let value = value.checked_mul(*POWERS.get(missing)?)?;
    if POWERS.get(usize::from(precision)).is_some_and(|limit| value >= *limit) {
        return None;
    }
    Some(i128::from(if negative { -value } else { value }))
}

/// Appends one scalar to a builder from its text, which is not null. Answers `false` when the builder is of a nested
/// type.
///
/// # Errors
/// When the text is not of the builder's type.
pub fn append_scalar(builder: &mut ColumnBuilder, text: &[u8], rules: &ValueRules) -> Result<bool, ()> {
    match builder {
        ColumnBuilder::Null(rows) => *rows += 1,
        ColumnBuilder::Boolean(builder) => builder.append_value(boolean(text).ok_or(())?),
        ColumnBuilder::TinyInt(builder) => builder.append_value(small(text)?),
        ColumnBuilder::SmallInt(builder) => builder.append_value(small(text)?),
        ColumnBuilder::Int(builder) => builder.append_value(small(text)?),
        ColumnBuilder::BigInt(builder) => builder.append_value(integer(text).ok_or(())?),
        ColumnBuilder::Float(builder) => builder.append_value(float(text).ok_or(())?),
        ColumnBuilder::Double(builder) => builder.append_value(double(text).ok_or(())?),
        ColumnBuilder::Decimal { builder, precision, scale } => {
            builder.append_value(decimal(text, *precision, *scale).ok_or(())?);
        }
        ColumnBuilder::String(builder) => builder.append_value(rules.utf8(text)),
        ColumnBuilder::Date(builder) => builder.append_value(rules.patterns.parse_date(text).ok_or(())?),
        ColumnBuilder::Time(builder) => builder.append_value(rules.patterns.parse_time(text).ok_or(())?),
        ColumnBuilder::Timestamp(builder) => builder.append_value(rules.timestamp(text).ok_or(())?),
        ColumnBuilder::Bytes(_) | ColumnBuilder::List(_) | ColumnBuilder::Map(_) | ColumnBuilder::Row(_) => {
            return Ok(false);
        }
    }
    Ok(true)
}

fn small<T: TryFrom<i64>>(text: &[u8]) -> Result<T, ()> {
    integer(text).and_then(|value| value.try_into().ok()).ok_or(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers_are_read_to_their_limits() {
        assert_eq!(integer(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer(b"9223372036854775808"), None);
        assert_eq!(integer(b"+7"), Some(7));
        assert_eq!(integer(b"000000000000000000000007"), Some(7));
        for text in ["", "-", "1.0", "1e3", " 1", "0x1", "\u{ff11}"] {
            assert_eq!(integer(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn decimals_read_as_the_runtime_reads_them(
            text in "[+-]?[0-9]{0,12}([.][0-9]{0,8})?(e[0-9])?", precision in 1u8..38, scale in 0i8..12,
        ) {
            let scale = scale.min(precision as i8);
            prop_assert_eq!(decimal(text.as_bytes(), precision, scale), text::parse_decimal(&text, precision, scale).ok());
        }

        #[test]
        fn whole_numbers_read_as_the_standard_library_reads_them(text in "[+-]?[0-9]{0,21}x?") {
            prop_assert_eq!(integer(text.as_bytes()), text.parse::<i64>().ok());
        }
    }
}
