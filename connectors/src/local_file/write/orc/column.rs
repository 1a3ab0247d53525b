//! Columns of an ORC stripe, encoded as rows come.

use egret_runtime::row::DataType;

use super::super::cells::Cells;
use super::streams::{Booleans, Bytes, Integers, write_varint, zigzag};

/// Seconds from 1970 to 2015, where ORC counts from.
const BASE_SECONDS: i64 = 1_420_070_400;
const MICROS: i64 = 1_000_000;

/// Kinds of streams.
pub const PRESENT: u64 = 0;
/// Values.
pub const DATA: u64 = 1;
/// Lengths of texts, lists and maps.
pub const LENGTH: u64 = 2;
/// Nanoseconds, scales.
pub const SECONDARY: u64 = 5;

/// A column and those within it.
pub struct ColumnWriter {
    present: Booleans,
    values: Values,
    /// Columns within.
    pub inner: Vec<ColumnWriter>,
    /// Values that are not null, in the file so far.
    pub count: u64,
    /// Whether the file has a null in this column.
    pub has_null: bool,
}

enum Values {
    Booleans(Booleans),
    Bytes(Bytes),
    Integers(Integers),
    /// Floats and doubles.
    Plain(Vec<u8>),
    Texts(Vec<u8>, Integers),
    Decimals(Vec<u8>, Integers),
    Timestamps(Integers, Integers),
    Lengths(Integers),
    Rows,
}

impl ColumnWriter {
    /// For a type.
    pub fn new(data_type: &DataType) -> Self {
        let (signed, lengths) = (|| Integers::new(true), || Integers::new(false));
        let (values, inner) = match data_type {
            DataType::Boolean => (Values::Booleans(Booleans::default()), Vec::new()),
            DataType::TinyInt => (Values::Bytes(Bytes::default()), Vec::new()),
            DataType::Float | DataType::Double => (Values::Plain(Vec::new()), Vec::new()),
            DataType::Decimal { .. } => (Values::Decimals(Vec::new(), signed()), Vec::new()),
            DataType::Time | DataType::Timestamp => (Values::Timestamps(signed(), lengths()), Vec::new()),
            DataType::Array(item) => (Values::Lengths(lengths()), vec![Self::new(item)]),
            DataType::FloatVector => (Values::Lengths(lengths()), vec![Self::new(&DataType::Float)]),
            DataType::Map(key, value) => (Values::Lengths(lengths()), vec![Self::new(key), Self::new(value)]),
            DataType::SparseFloatVector => {
                (Values::Lengths(lengths()), vec![Self::new(&DataType::Int), Self::new(&DataType::Float)])
            }
            DataType::Row(fields) => (Values::Rows, fields.iter().map(|field| Self::new(&field.data_type)).collect()),
            DataType::SmallInt | DataType::Int | DataType::BigInt | DataType::Date => {
                (Values::Integers(signed()), Vec::new())
            }
            _ => (Values::Texts(Vec::new(), lengths()), Vec::new()),
        };
        Self { present: Booleans::default(), values, inner, count: 0, has_null: false }
    }

    /// Appends rows of a column; answers how many values were changed.
    pub fn write(&mut self, cells: &Cells<'_>, rows: std::ops::Range<usize>) -> u64 {
        let mut lost = 0;
        for row in rows {
            let null = cells.is_null(row);
            self.present.push(!null);
            if null {
                self.has_null = true;
            } else {
                self.count += 1;
                lost += self.write_value(cells, row);
            }
        }
        lost
    }

    fn write_value(&mut self, cells: &Cells<'_>, row: usize) -> u64 {
        match (&mut self.values, cells) {
            (Values::Booleans(out), Cells::Boolean(column)) => out.push(column.value(row)),
            (Values::Bytes(out), Cells::TinyInt(column)) => out.push(column.value(row) as u8),
            (Values::Integers(out), Cells::SmallInt(column)) => out.push(i64::from(column.value(row))),
            (Values::Integers(out), Cells::Int(column)) => out.push(i64::from(column.value(row))),
            (Values::Integers(out), Cells::BigInt(column)) => out.push(column.value(row)),
            (Values::Integers(out), Cells::Date(column)) => out.push(i64::from(column.value(row))),
            (Values::Plain(out), Cells::Float(column)) => out.extend_from_slice(&column.value(row).to_le_bytes()),
            (Values::Plain(out), Cells::Double(column)) => out.extend_from_slice(&column.value(row).to_le_bytes()),
            (Values::Texts(out, lengths), Cells::String(column)) => {
                out.extend_from_slice(column.value(row).as_bytes());
                lengths.push(column.value(row).len() as i64);
            }
            (Values::Texts(out, lengths), Cells::Bytes(column)) => {
                out.extend_from_slice(column.value(row));
                lengths.push(column.value(row).len() as i64);
            }
            (Values::Decimals(out, scales), Cells::Decimal(column, scale)) => {
                write_varint(zigzag(column.value(row)), out);
                scales.push(i64::from(*scale));
            }
            (Values::Timestamps(seconds, nanos), Cells::Timestamp(column)) => {
                return write_timestamp(
                    column.value(row).div_euclid(MICROS),
                    column.value(row).rem_euclid(MICROS) * 1000,
                    seconds,
                    nanos,
                );
            }
            (Values::Timestamps(seconds, nanos), Cells::Time(column)) => {
                let value = column.value(row);
                return write_timestamp(value / 1_000_000_000, value % 1_000_000_000, seconds, nanos);
            }
            (Values::Lengths(lengths), Cells::List(lists, items)) => {
                let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
                lengths.push(range.len() as i64);
                return self.inner[0].write(items, range);
            }
            (Values::Lengths(lengths), Cells::Map(maps, keys, values)) => {
                let range = maps.value_offsets()[row] as usize..maps.value_offsets()[row + 1] as usize;
                lengths.push(range.len() as i64);
                return self.inner[0].write(keys, range.clone()) + self.inner[1].write(values, range);
            }
            (Values::Rows, Cells::Row(_, fields)) => {
                return self.inner.iter_mut().zip(fields).map(|(inner, cells)| inner.write(cells, row..row + 1)).sum();
            }
            _ => debug_assert!(false, "the writer is made of the column's own type"),
        }
        0
    }

    /// How many columns it is, with those within.
    pub fn columns(&self) -> u64 {
        1 + self.inner.iter().map(Self::columns).sum::<u64>()
    }

    /// Encodes what the streams hold back: the stripe ends.
    pub fn flush(&mut self) {
        self.present.flush();
        match &mut self.values {
            Values::Booleans(values) => values.flush(),
            Values::Bytes(values) => values.flush(),
            Values::Integers(values) | Values::Lengths(values) => values.flush(),
            Values::Texts(_, more) | Values::Decimals(_, more) => more.flush(),
            Values::Timestamps(seconds, nanos) => {
                seconds.flush();
                nanos.flush();
            }
            Values::Plain(_) | Values::Rows => {}
        }
        self.inner.iter_mut().for_each(Self::flush);
    }

    /// Shows the streams, those within last: number of the column, kind, and bytes, which may be taken away. `number`
    /// is that of the next column.
    pub fn streams(&mut self, number: &mut u64, visit: &mut impl FnMut(u64, u64, &mut Vec<u8>)) {
        let own = *number;
        *number += 1;
        visit(own, PRESENT, &mut self.present.bytes.out);
        match &mut self.values {
            Values::Booleans(values) => visit(own, DATA, &mut values.bytes.out),
            Values::Bytes(values) => visit(own, DATA, &mut values.out),
            Values::Integers(values) => visit(own, DATA, &mut values.out),
            Values::Plain(values) => visit(own, DATA, values),
            Values::Texts(values, lengths) => {
                visit(own, DATA, values);
                visit(own, LENGTH, &mut lengths.out);
            }
            Values::Decimals(values, scales) => {
                visit(own, DATA, values);
                visit(own, SECONDARY, &mut scales.out);
            }
            Values::Timestamps(seconds, nanos) => {
                visit(own, DATA, &mut seconds.out);
                visit(own, SECONDARY, &mut nanos.out);
            }
            Values::Lengths(lengths) => visit(own, LENGTH, &mut lengths.out),
            Values::Rows => {}
        }
        for inner in &mut self.inner {
            inner.streams(number, visit);
        }
    }
}

/// Writes a time as ORC has it: seconds from 2015 on, rounded towards 1970 where there is a fraction of at least a
/// millisecond, which readers take back. In the last second before 1970 they cannot: there the fraction is cut off.
fn write_timestamp(seconds: i64, nanos: i64, seconds_out: &mut Integers, nanos_out: &mut Integers) -> u64 {
    let fraction = nanos > 999_999;
    let (seconds, nanos, lost) = match seconds {
        -1 if fraction => (-1, 0, 1),
        ..0 if fraction => (seconds + 1, nanos, 0),
        _ => (seconds, nanos, 0),
    };
    seconds_out.push(seconds - BASE_SECONDS);
    nanos_out.push(packed_nanos(nanos));
    lost
}

/// The low three bits tell how many zeros, less one, were cut off from two on.
fn packed_nanos(nanos: i64) -> i64 {
    if nanos == 0 || nanos % 100 != 0 {
        return nanos << 3;
    }
    let (mut nanos, mut zeros) = (nanos / 100, 1);
    while nanos % 10 == 0 && zeros < 7 {
        nanos /= 10;
        zeros += 1;
    }
    nanos << 3 | zeros
}
