//! Columns of a batch, made ready to be walked row by row.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, ListArray, MapArray, StringArray, StructArray,
    Time64NanosecondArray, TimestampMicrosecondArray,
};
use egret_runtime::plugin::TaskError;
use egret_runtime::row::{DataType, text};

use super::super::patterns::Patterns;

/// A column by its type.
pub enum Cells<'a> {
    /// Nothing but nulls.
    Null,
    /// See [`DataType::Boolean`].
    Boolean(&'a BooleanArray),
    /// See [`DataType::TinyInt`].
    TinyInt(&'a Int8Array),
    /// See [`DataType::SmallInt`].
    SmallInt(&'a Int16Array),
    /// See [`DataType::Int`].
    Int(&'a Int32Array),
    /// See [`DataType::BigInt`].
    BigInt(&'a Int64Array),
    /// See [`DataType::Float`].
    Float(&'a Float32Array),
    /// See [`DataType::Double`].
    Double(&'a Float64Array),
    /// Unscaled values and their scale.
    Decimal(&'a Decimal128Array, i8),
    /// See [`DataType::String`].
    String(&'a StringArray),
    /// See [`DataType::Bytes`].
    Bytes(&'a BinaryArray),
    /// See [`DataType::Date`].
    Date(&'a Date32Array),
    /// See [`DataType::Time`].
    Time(&'a Time64NanosecondArray),
    /// See [`DataType::Timestamp`].
    Timestamp(&'a TimestampMicrosecondArray),
    /// Lists and their items.
    List(&'a ListArray, Box<Cells<'a>>),
    /// Maps, their keys and values.
    Map(&'a MapArray, Box<Cells<'a>>, Box<Cells<'a>>),
    /// Rows and their fields.
    Row(&'a StructArray, Vec<Cells<'a>>),
}

impl<'a> Cells<'a> {
    /// A column of a type.
    ///
    /// # Errors
    /// When the column is not of the type, which is a fault of the plan.
    pub fn new(data_type: &DataType, column: &'a ArrayRef) -> Result<Self, TaskError> {
        if *column.data_type() != data_type.arrow() {
            let message = format!("a column of {data_type} came as {}", column.data_type());
            return Err(TaskError::permanent(message));
        }
        Ok(match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean(column.as_boolean()),
            DataType::TinyInt => Self::TinyInt(column.as_primitive()),
            DataType::SmallInt => Self::SmallInt(column.as_primitive()),
            DataType::Int => Self::Int(column.as_primitive()),
            DataType::BigInt => Self::BigInt(column.as_primitive()),
            DataType::Float => Self::Float(column.as_primitive()),
            DataType::Double => Self::Double(column.as_primitive()),
            DataType::Decimal { scale, .. } => Self::Decimal(column.as_primitive(), *scale),
            DataType::String => Self::String(column.as_string()),
            DataType::Bytes | DataType::BinaryVector | DataType::Float16Vector | DataType::BFloat16Vector => {
                Self::Bytes(column.as_binary())
            }
            DataType::Date => Self::Date(column.as_primitive()),
            DataType::Time => Self::Time(column.as_primitive()),
            DataType::Timestamp => Self::Timestamp(column.as_primitive()),
            DataType::Array(item) => Self::list(item, column)?,
            DataType::FloatVector => Self::list(&DataType::Float, column)?,
            DataType::Map(key, value) => Self::map(key, value, column)?,
            DataType::SparseFloatVector => Self::map(&DataType::Int, &DataType::Float, column)?,
            DataType::Row(fields) => {
                let rows = column.as_struct();
                let cells = fields.iter().zip(rows.columns());
                Self::Row(
                    rows,
                    cells.map(|(field, column)| Self::new(&field.data_type, column)).collect::<Result<_, _>>()?,
                )
            }
        })
    }

    fn list(item: &DataType, column: &'a ArrayRef) -> Result<Self, TaskError> {
        let lists = column.as_list();
        Ok(Self::List(lists, Box::new(Self::new(item, lists.values())?)))
    }

    fn map(key: &DataType, value: &DataType, column: &'a ArrayRef) -> Result<Self, TaskError> {
        let maps = column.as_map();
        let (keys, values) = (Self::new(key, maps.keys())?, Self::new(value, maps.values())?);
        Ok(Self::Map(maps, Box::new(keys), Box::new(values)))
    }

    /// Whether a value is null.
    pub fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Null => true,
            Self::Boolean(column) => column.is_null(row),
            Self::TinyInt(column) => column.is_null(row),
            Self::SmallInt(column) => column.is_null(row),
            Self::Int(column) => column.is_null(row),
            Self::BigInt(column) => column.is_null(row),
            Self::Float(column) => column.is_null(row),
            Self::Double(column) => column.is_null(row),
            Self::Decimal(column, _) => column.is_null(row),
            Self::String(column) => column.is_null(row),
            Self::Bytes(column) => column.is_null(row),
            Self::Date(column) => column.is_null(row),
            Self::Time(column) => column.is_null(row),
            Self::Timestamp(column) => column.is_null(row),
            Self::List(column, _) => column.is_null(row),
            Self::Map(column, _, _) => column.is_null(row),
            Self::Row(column, _) => column.is_null(row),
        }
    }
}

/// Writes scalars as text; gathers what is lost.
pub struct Scribe {
    /// Dates, times and datetimes.
    pub patterns: Patterns,
    /// What stands between date and time where no pattern is given.
    pub between: u8,
    /// Values that lost digits, or will not be read back as they were.
    pub lost: u64,
    scratch: String,
}

impl Scribe {
    /// Begins with nothing lost.
    pub fn new(patterns: Patterns, between: u8) -> Self {
        Self { patterns, between, lost: 0, scratch: String::new() }
    }

    /// Writes a value that is not null; strings and bytes as they are. Answers `false`, having written nothing, for a
    /// nested value.
    #[inline]
    pub fn write(&mut self, cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) -> bool {
        match cells {
            Cells::Null => {}
            Cells::Boolean(column) => {
                out.extend_from_slice(if column.value(row) { b"true" } else { b"false" });
            }
            Cells::TinyInt(column) => write_integer(i64::from(column.value(row)), out),
            Cells::SmallInt(column) => write_integer(i64::from(column.value(row)), out),
            Cells::Int(column) => write_integer(i64::from(column.value(row)), out),
            Cells::BigInt(column) => write_integer(column.value(row), out),
            Cells::Float(column) if is_plain(f64::from(column.value(row))) => {
                out.extend_from_slice(ryu::Buffer::new().format_finite(column.value(row)).as_bytes());
            }
            Cells::Float(column) => {
                self.scratch.clear();
                text::write_float(&mut self.scratch, column.value(row));
                out.extend_from_slice(self.scratch.as_bytes());
            }
            Cells::Double(column) if is_plain(column.value(row)) => {
                out.extend_from_slice(ryu::Buffer::new().format_finite(column.value(row)).as_bytes());
            }
            Cells::Double(column) => {
                self.scratch.clear();
                text::write_double(&mut self.scratch, column.value(row));
                out.extend_from_slice(self.scratch.as_bytes());
            }
            Cells::Decimal(column, scale) => write_decimal(column.value(row), *scale, out),
            Cells::String(column) => out.extend_from_slice(column.value(row).as_bytes()),
            Cells::Bytes(column) => out.extend_from_slice(column.value(row)),
            Cells::Date(column) => self.patterns.write_date(out, column.value(row)),
            Cells::Time(column) => {
                self.lost += u64::from(self.patterns.write_time(out, column.value(row)));
            }
            Cells::Timestamp(column) => {
                self.lost += u64::from(self.patterns.write_datetime(out, column.value(row), self.between));
            }
            Cells::List(..) | Cells::Map(..) | Cells::Row(..) => return false,
        }
        true
    }
}

/// Whether the shortest digits of a number are what Java shows: without an exponent.
#[inline]
fn is_plain(value: f64) -> bool {
    (1e-3..1e7).contains(&value.abs())
}

#[inline]
fn write_integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Plain, with all digits of the scale.
fn write_decimal(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    let scale = usize::try_from(scale).unwrap_or_default();
    if unscaled < 0 {
        out.push(b'-');
    }
    let (mut buffer, mut wide) = (itoa::Buffer::new(), itoa::Buffer::new());
    // Most are short, and dividing 128 bits is slow.
    let digits = match u64::try_from(unscaled.unsigned_abs()) {
        Ok(short) => buffer.format(short).as_bytes(),
        Err(_) => wide.format(unscaled.unsigned_abs()).as_bytes(),
    };
    if scale == 0 {
        out.extend_from_slice(digits);
    } else if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_are_shown_as_java_shows_them() {
        for value in [1e-3, 0.0011, 0.5, 1.0, -1.5, 9_999_999.9, 1234.0, f64::from(0.1f32)] {
            assert!(is_plain(value));
            let mut java = String::new();
            text::write_double(&mut java, value);
            assert_eq!(ryu::Buffer::new().format_finite(value), java);
        }
        for value in [0.0, 1e7, 9.99e-4, f64::NAN, f64::INFINITY, -1e300] {
            assert!(!is_plain(value), "{value}");
        }
    }

    #[test]
    fn decimals_are_plain_with_every_digit() {
        for (unscaled, scale, expected) in
            [(0, 0, "0"), (0, 2, "0.00"), (-5, 2, "-0.05"), (12345, 2, "123.45"), (-100, 2, "-1.00"), (7, 0, "7")]
        {
            let mut out = Vec::new();
            write_decimal(unscaled, scale, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
