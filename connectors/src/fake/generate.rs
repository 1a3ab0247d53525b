//! Random columns, made whole: a generator fills an Arrow buffer at a time.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, Decimal128Array, ListArray, MapArray, NullArray,
    PrimitiveArray, StringArray, StructArray, UInt32Array,
};
use arrow::buffer::{BooleanBuffer, Buffer, OffsetBuffer};
use arrow::compute::{filter, take};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, FieldRef, Fields, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time64NanosecondType, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use egret_runtime::row::BATCH_ROWS;
use fastrand::Rng;

use super::random::{Real, Whole, decimal, fill_letters};

const DAY_MICROS: i64 = 86_400_000_000;

/// Makes the cells of one column.
#[derive(Debug)]
pub(super) enum Generator {
    Null,
    /// Always this cell; kept for a whole batch, so that it is only sliced.
    Constant(ArrayRef),
    /// Consecutive numbers.
    Sequence(SequenceType),
    Boolean,
    TinyInt(Pick<Whole, i64>),
    SmallInt(Pick<Whole, i64>),
    Int(Pick<Whole, i64>),
    BigInt(Pick<Whole, i64>),
    Float(Pick<Real, f64>),
    Double(Pick<Real, f64>),
    Decimal {
        precision: u8,
        scale: i8,
    },
    /// Letters, so many.
    Text(usize),
    /// One of these.
    TextOf(StringArray),
    /// Letters as bytes, so many.
    Bytes(usize),
    Date(Arc<Calendar>),
    Time(Arc<Calendar>),
    Timestamp(Arc<Calendar>),
    List {
        size: usize,
        item: Box<Generator>,
        field: FieldRef,
    },
    Map {
        size: usize,
        key: Box<Generator>,
        value: Box<Generator>,
        entries: FieldRef,
    },
    Row {
        columns: Vec<Generator>,
        fields: Fields,
    },
    /// Packed bits, so many bytes.
    BinaryVector(usize),
    /// Packed floats of two bytes.
    HalfVector {
        dimension: usize,
        number: Real,
        brain: bool,
    },
    SparseVector {
        dimension: usize,
        number: Real,
        entries: FieldRef,
    },
}

/// Integer types that a sequence may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum SequenceType {
    TinyInt,
    SmallInt,
    Int,
    BigInt,
}

/// Drawn from a range, or picked from a list.
#[derive(Debug)]
pub(super) enum Pick<R, T> {
    Range(R),
    Of(Vec<T>),
}

/// What dates and times are drawn from; lists are never empty.
#[derive(Debug)]
pub(super) struct Calendar {
    /// Days since 1970-01-01.
    pub(super) days: Vec<i32>,
    pub(super) hours: Vec<i64>,
    pub(super) minutes: Vec<i64>,
    pub(super) seconds: Vec<i64>,
}

impl Calendar {
    fn day(&self, random: &mut Rng) -> i32 {
        self.days[random.usize(..self.days.len())]
    }

    fn second_of_day(&self, random: &mut Rng) -> i64 {
        let mut pick = |list: &[i64]| list[random.usize(..list.len())];
        pick(&self.hours) * 3600 + pick(&self.minutes) * 60 + pick(&self.seconds)
    }
}

impl Pick<Whole, i64> {
    /// The template's numbers fit the column: the plan has seen to that.
    fn column<T: ArrowPrimitiveType>(
        &self,
        random: &mut Rng,
        rows: usize,
        cast: impl Fn(i64) -> T::Native,
    ) -> ArrayRef {
        match self {
            Self::Range(range) => primitive::<T>(rows, || cast(range.draw(random))),
            Self::Of(list) => primitive::<T>(rows, || cast(list[random.usize(..list.len())])),
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(rows: usize, mut draw: impl FnMut() -> T::Native) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_iter_values((0..rows).map(|_| draw())))
}

impl Generator {
    /// A generator that repeats the one cell of an array.
    ///
    /// # Errors
    /// When the cell's type cannot be repeated.
    pub(super) fn constant(cell: &ArrayRef) -> Result<Self, ArrowError> {
        Ok(Self::Constant(repeated(cell, BATCH_ROWS)?))
    }

    /// So many cells. `first` is the number of the first row, for sequences.
    ///
    /// # Errors
    /// When a column grows beyond what Arrow can address, which the plan's bound on a row's size keeps from happening.
    pub(super) fn column(&self, random: &mut Rng, rows: usize, first: i64) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Null => Arc::new(NullArray::new(rows)),
            Self::Constant(cells) if rows <= cells.len() => cells.slice(0, rows),
            Self::Constant(cells) => repeated(&cells.slice(0, 1), rows)?,
            Self::Sequence(data_type) => sequence(*data_type, first, rows),
            Self::Boolean => booleans(random, rows),
            Self::TinyInt(pick) => pick.column::<Int8Type>(random, rows, |number| number as i8),
            Self::SmallInt(pick) => pick.column::<Int16Type>(random, rows, |number| number as i16),
            Self::Int(pick) => pick.column::<Int32Type>(random, rows, |number| number as i32),
            Self::BigInt(pick) => pick.column::<Int64Type>(random, rows, |number| number),
            Self::Float(Pick::Range(range)) => primitive::<Float32Type>(rows, || range.draw_float(random)),
            Self::Float(Pick::Of(list)) => primitive::<Float32Type>(rows, || list[random.usize(..list.len())] as f32),
            Self::Double(Pick::Range(range)) => primitive::<Float64Type>(rows, || range.draw_double(random)),
            Self::Double(Pick::Of(list)) => primitive::<Float64Type>(rows, || list[random.usize(..list.len())]),
            Self::Decimal { precision, scale } => {
                let numbers = Decimal128Array::from_iter_values((0..rows).map(|_| decimal(random, *precision)));
                Arc::new(numbers.with_precision_and_scale(*precision, *scale)?)
            }
            Self::Text(length) => {
                Arc::new(StringArray::try_new(offsets(rows, *length), letters(random, rows * length), None)?)
            }
            Self::TextOf(list) => {
                let picks: UInt32Array = (0..rows).map(|_| Some(random.u32(..list.len() as u32))).collect();
                take(list, &picks, None)?
            }
            Self::Bytes(length) => {
                Arc::new(BinaryArray::try_new(offsets(rows, *length), letters(random, rows * length), None)?)
            }
            Self::Date(calendar) => primitive::<Date32Type>(rows, || calendar.day(random)),
            Self::Time(calendar) => {
                primitive::<Time64NanosecondType>(rows, || calendar.second_of_day(random) * 1_000_000_000)
            }
            Self::Timestamp(calendar) => primitive::<TimestampMicrosecondType>(rows, || {
                i64::from(calendar.day(random)) * DAY_MICROS + calendar.second_of_day(random) * 1_000_000
            }),
            Self::List { size, item, field } => {
                let items = item.column(random, rows * size, first)?;
                Arc::new(ListArray::try_new(Arc::clone(field), offsets(rows, *size), items, None)?)
            }
            Self::Map { size, key, value, entries } => {
                let keys = key.column(random, rows * size, first)?;
                let values = value.column(random, rows * size, first)?;
                maps(entries, keys, values, rows, *size)?
            }
            Self::Row { columns, .. } if columns.is_empty() => Arc::new(StructArray::new_empty_fields(rows, None)),
            Self::Row { columns, fields } => {
                let columns = columns.iter().map(|column| column.column(random, rows, first));
                Arc::new(StructArray::try_new(fields.clone(), columns.collect::<Result<_, _>>()?, None)?)
            }
            Self::BinaryVector(bytes) => {
                let mut bits = vec![0; rows * bytes];
                random.fill(&mut bits);
                Arc::new(BinaryArray::try_new(offsets(rows, *bytes), Buffer::from_vec(bits), None)?)
            }
            Self::HalfVector { dimension, number, brain } => {
                let packed: Vec<u8> =
                    (0..rows * dimension).flat_map(|_| half_bits(number.draw_float(random), *brain)).collect();
                Arc::new(BinaryArray::try_new(offsets(rows, 2 * dimension), Buffer::from_vec(packed), None)?)
            }
            Self::SparseVector { dimension, number, entries } => {
                let keys = primitive::<Int32Type>(rows * dimension, || random.i32(0..i32::MAX));
                let values = primitive::<Float32Type>(rows * dimension, || number.draw_float(random));
                maps(entries, keys, values, rows, *dimension)?
            }
        })
    }

    /// About how many bytes one cell takes.
    pub(super) fn cell_bytes(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Constant(cells) => cells.get_array_memory_size() / cells.len().max(1),
            Self::Boolean => 1,
            Self::TinyInt(_) | Self::Sequence(SequenceType::TinyInt) => 1,
            Self::SmallInt(_) | Self::Sequence(SequenceType::SmallInt) => 2,
            Self::Int(_) | Self::Float(_) | Self::Date(_) | Self::Sequence(SequenceType::Int) => 4,
            Self::BigInt(_) | Self::Double(_) | Self::Time(_) | Self::Timestamp(_) | Self::Sequence(_) => 8,
            Self::Decimal { .. } => 16,
            Self::Text(length) | Self::Bytes(length) | Self::BinaryVector(length) => 4 + length,
            Self::TextOf(list) => 4 + (0..list.len()).map(|index| list.value(index).len()).max().unwrap_or(0),
            Self::List { size, item, .. } => 4usize.saturating_add(size.saturating_mul(item.cell_bytes())),
            Self::Map { size, key, value, .. } => {
                4usize.saturating_add(size.saturating_mul(key.cell_bytes().saturating_add(value.cell_bytes())))
            }
            Self::Row { columns, .. } => columns.iter().fold(1, |sum, column| sum.saturating_add(column.cell_bytes())),
            Self::HalfVector { dimension, .. } => 4 + 2 * dimension,
            Self::SparseVector { dimension, .. } => 4 + 8 * dimension,
        }
    }
}

fn repeated(cell: &ArrayRef, rows: usize) -> Result<ArrayRef, ArrowError> {
    take(cell, &UInt32Array::from(vec![0; rows]), None)
}

fn sequence(data_type: SequenceType, first: i64, rows: usize) -> ArrayRef {
    let numbers = first..first + rows as i64;
    match data_type {
        SequenceType::TinyInt => {
            Arc::new(PrimitiveArray::<Int8Type>::from_iter_values(numbers.map(|number| number as i8)))
        }
        SequenceType::SmallInt => {
            Arc::new(PrimitiveArray::<Int16Type>::from_iter_values(numbers.map(|number| number as i16)))
        }
        SequenceType::Int => {
            Arc::new(PrimitiveArray::<Int32Type>::from_iter_values(numbers.map(|number| number as i32)))
        }
        SequenceType::BigInt => Arc::new(PrimitiveArray::<Int64Type>::from_iter_values(numbers)),
    }
}

fn booleans(random: &mut Rng, rows: usize) -> ArrayRef {
    let mut bits = vec![0; rows.div_ceil(8)];
    random.fill(&mut bits);
    Arc::new(BooleanArray::new(BooleanBuffer::new(Buffer::from_vec(bits), 0, rows), None))
}

fn letters(random: &mut Rng, length: usize) -> Buffer {
    let mut letters = vec![0; length];
    fill_letters(random, &mut letters);
    Buffer::from_vec(letters)
}

/// Offsets of so many rows of one length.
fn offsets(rows: usize, length: usize) -> OffsetBuffer<i32> {
    OffsetBuffer::from_repeated_length(length, rows)
}

fn half_bits(number: f32, brain: bool) -> [u8; 2] {
    let bits = if brain {
        (number.to_bits() >> 16) as u16
    } else {
        <Float16Type as ArrowPrimitiveType>::Native::from_f32(number).to_bits()
    };
    bits.to_be_bytes()
}

/// Maps of `size` entries each; of entries with the same key in one map only the first stays.
fn maps(
    entries: &FieldRef,
    keys: ArrayRef,
    values: ArrayRef,
    rows: usize,
    size: usize,
) -> Result<ArrayRef, ArrowError> {
    let ArrowType::Struct(fields) = entries.data_type() else {
        return Err(ArrowError::SchemaError("map entries are a struct".into()));
    };
    let (keys, values, offsets) = match first_of_each_key(&keys, rows, size)? {
        None => (keys, values, offsets(rows, size)),
        Some((kept, lengths)) => (filter(&keys, &kept)?, filter(&values, &kept)?, OffsetBuffer::from_lengths(lengths)),
    };
    let columns = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, columns, None, false)?))
}

/// Which entries to keep and how many each map then has; `None` when no key comes twice in a map.
fn first_of_each_key(
    keys: &ArrayRef,
    rows: usize,
    size: usize,
) -> Result<Option<(BooleanArray, Vec<usize>)>, ArrowError> {
    if size < 2 {
        return Ok(None);
    }
    let converter = RowConverter::new(vec![SortField::new(keys.data_type().clone())])?;
    let keys = converter.convert_columns(std::slice::from_ref(keys))?;
    let mut seen = HashSet::with_capacity(size);
    let mut kept = Vec::with_capacity(rows * size);
    let mut lengths = Vec::with_capacity(rows);
    for row in 0..rows {
        seen.clear();
        kept.extend((row * size..(row + 1) * size).map(|entry| seen.insert(keys.row(entry))));
        lengths.push(seen.len());
    }
    Ok(lengths.iter().any(|length| *length < size).then(|| (BooleanArray::from(kept), lengths)))
}
