//! Builders of columns whose type is known at run time only.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBufferBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, ListArray, MapArray, NullArray,
    StringBuilder, StructArray, Time64NanosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType as ArrowType, FieldRef, Fields};

use super::types::{DataType, arrow_fields};

/// Builds one column of a [`DataType`]. The variants are open so that hot loops can reach the Arrow builder inside.
#[derive(Debug)]
pub enum ColumnBuilder {
    /// Only nulls: how many.
    Null(usize),
    /// See [`DataType::Boolean`].
    Boolean(BooleanBuilder),
    /// See [`DataType::TinyInt`].
    TinyInt(Int8Builder),
    /// See [`DataType::SmallInt`].
    SmallInt(Int16Builder),
    /// See [`DataType::Int`].
    Int(Int32Builder),
    /// See [`DataType::BigInt`].
    BigInt(Int64Builder),
    /// See [`DataType::Float`].
    Float(Float32Builder),
    /// See [`DataType::Double`].
    Double(Float64Builder),
    /// See [`DataType::Decimal`]; unscaled values.
    Decimal {
        /// The builder, typed with precision and scale.
        builder: Decimal128Builder,
        /// Precision of the column.
        precision: u8,
        /// Scale of the column.
        scale: i8,
    },
    /// See [`DataType::String`].
    String(StringBuilder),
    /// [`DataType::Bytes`] and the packed vectors.
    Bytes(BinaryBuilder),
    /// Days since 1970-01-01.
    Date(Date32Builder),
    /// Nanoseconds since midnight.
    Time(Time64NanosecondBuilder),
    /// Microseconds since 1970-01-01T00:00:00.
    Timestamp(TimestampMicrosecondBuilder),
    /// [`DataType::Array`] and [`DataType::FloatVector`].
    List(ListColumn),
    /// [`DataType::Map`] and [`DataType::SparseFloatVector`].
    Map(MapColumn),
    /// See [`DataType::Row`].
    Row(RowColumn),
}

/// A list under construction: append the items to [`ListColumn::items`], then close the list with
/// [`ListColumn::append`].
#[derive(Debug)]
pub struct ListColumn {
    /// Items of all lists, one behind the other.
    pub items: Box<ColumnBuilder>,
    ends: Ends,
    field: FieldRef,
}

/// A map under construction: append as many keys as values, then close the map with [`MapColumn::append`].
#[derive(Debug)]
pub struct MapColumn {
    /// Keys of all maps; never null.
    pub keys: Box<ColumnBuilder>,
    /// Values of all maps.
    pub values: Box<ColumnBuilder>,
    ends: Ends,
    entries: FieldRef,
}

/// A row under construction: append one value to each of [`RowColumn::fields`], then close the row with
/// [`RowColumn::append`].
#[derive(Debug)]
pub struct RowColumn {
    /// One builder for each field.
    pub fields: Vec<ColumnBuilder>,
    types: Fields,
    valid: BooleanBufferBuilder,
}

#[derive(Debug)]
struct Ends {
    offsets: Vec<i32>,
    valid: BooleanBufferBuilder,
}

impl Ends {
    fn new(capacity: usize) -> Self {
        let mut offsets = Vec::with_capacity(capacity + 1);
        offsets.push(0);
        Self { offsets, valid: BooleanBufferBuilder::new(capacity) }
    }

    fn close(&mut self, end: usize, valid: bool) {
        // A batch is bounded by BATCH_BYTES, far below 2^31 items.
        self.offsets.push(i32::try_from(end).unwrap_or(i32::MAX));
        self.valid.append(valid);
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, NullBuffer) {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), NullBuffer::new(self.valid.finish()))
    }
}

impl ListColumn {
    /// Closes a list over the items appended since the last call.
    pub fn append(&mut self, valid: bool) {
        self.ends.close(self.items.len(), valid);
    }
}

impl MapColumn {
    /// Closes a map over the keys and values appended since the last call.
    pub fn append(&mut self, valid: bool) {
        self.ends.close(self.keys.len(), valid);
    }
}

impl RowColumn {
    /// Closes a row; every field has had one value appended, also where the row itself is null.
    pub fn append(&mut self, valid: bool) {
        self.valid.append(valid);
    }
}

impl ColumnBuilder {
    /// A builder with room for some rows.
    pub fn new(data_type: &DataType, capacity: usize) -> Self {
        let arrow = data_type.arrow();
        match data_type {
            DataType::Null => Self::Null(0),
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(capacity)),
            DataType::TinyInt => Self::TinyInt(Int8Builder::with_capacity(capacity)),
            DataType::SmallInt => Self::SmallInt(Int16Builder::with_capacity(capacity)),
            DataType::Int => Self::Int(Int32Builder::with_capacity(capacity)),
            DataType::BigInt => Self::BigInt(Int64Builder::with_capacity(capacity)),
            DataType::Float => Self::Float(Float32Builder::with_capacity(capacity)),
            DataType::Double => Self::Double(Float64Builder::with_capacity(capacity)),
            DataType::Decimal { precision, scale } => Self::Decimal {
                builder: Decimal128Builder::with_capacity(capacity).with_data_type(arrow),
                precision: *precision,
                scale: *scale,
            },
            DataType::String => Self::String(StringBuilder::with_capacity(capacity, capacity * 8)),
            DataType::Bytes | DataType::BinaryVector | DataType::Float16Vector | DataType::BFloat16Vector => {
                Self::Bytes(BinaryBuilder::with_capacity(capacity, capacity * 8))
            }
            DataType::Date => Self::Date(Date32Builder::with_capacity(capacity)),
            DataType::Time => Self::Time(Time64NanosecondBuilder::with_capacity(capacity)),
            DataType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(capacity)),
            DataType::Array(item) => Self::list(item, capacity, &arrow),
            DataType::FloatVector => Self::list(&DataType::Float, capacity, &arrow),
            DataType::Map(key, value) => Self::map(key, value, capacity, &arrow),
            DataType::SparseFloatVector => Self::map(&DataType::Int, &DataType::Float, capacity, &arrow),
            DataType::Row(fields) => Self::Row(RowColumn {
                fields: fields.iter().map(|field| Self::new(&field.data_type, capacity)).collect(),
                types: arrow_fields(fields),
                valid: BooleanBufferBuilder::new(capacity),
            }),
        }
    }

    fn list(item: &DataType, capacity: usize, arrow: &ArrowType) -> Self {
        let ArrowType::List(field) = arrow else { unreachable!("arrays are Arrow lists") };
        Self::List(ListColumn {
            items: Box::new(Self::new(item, capacity)),
            ends: Ends::new(capacity),
            field: Arc::clone(field),
        })
    }

    fn map(key: &DataType, value: &DataType, capacity: usize, arrow: &ArrowType) -> Self {
        let ArrowType::Map(entries, _) = arrow else { unreachable!("maps are Arrow maps") };
        Self::Map(MapColumn {
            keys: Box::new(Self::new(key, capacity)),
            values: Box::new(Self::new(value, capacity)),
            ends: Ends::new(capacity),
            entries: Arc::clone(entries),
        })
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        use arrow::array::ArrayBuilder as _;
        match self {
            Self::Null(rows) => *rows,
            Self::Boolean(builder) => builder.len(),
            Self::TinyInt(builder) => builder.len(),
            Self::SmallInt(builder) => builder.len(),
            Self::Int(builder) => builder.len(),
            Self::BigInt(builder) => builder.len(),
            Self::Float(builder) => builder.len(),
            Self::Double(builder) => builder.len(),
            Self::Decimal { builder, .. } => builder.len(),
            Self::String(builder) => builder.len(),
            Self::Bytes(builder) => builder.len(),
            Self::Date(builder) => builder.len(),
            Self::Time(builder) => builder.len(),
            Self::Timestamp(builder) => builder.len(),
            Self::List(list) => list.ends.offsets.len() - 1,
            Self::Map(map) => map.ends.offsets.len() - 1,
            Self::Row(row) => row.valid.len(),
        }
    }

    /// Whether there are no rows yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a null.
    pub fn append_null(&mut self) {
        match self {
            Self::Null(rows) => *rows += 1,
            Self::Boolean(builder) => builder.append_null(),
            Self::TinyInt(builder) => builder.append_null(),
            Self::SmallInt(builder) => builder.append_null(),
            Self::Int(builder) => builder.append_null(),
            Self::BigInt(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Double(builder) => builder.append_null(),
            Self::Decimal { builder, .. } => builder.append_null(),
            Self::String(builder) => builder.append_null(),
            Self::Bytes(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Time(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::List(list) => list.append(false),
            Self::Map(map) => map.append(false),
            Self::Row(row) => {
                row.fields.iter_mut().for_each(Self::append_null);
                row.append(false);
            }
        }
    }

    /// The column so far; the builder is empty afterwards.
    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Null(rows) => Arc::new(NullArray::new(std::mem::take(rows))),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::TinyInt(builder) => Arc::new(builder.finish()),
            Self::SmallInt(builder) => Arc::new(builder.finish()),
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::BigInt(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Double(builder) => Arc::new(builder.finish()),
            Self::Decimal { builder, .. } => Arc::new(builder.finish()),
            Self::String(builder) => Arc::new(builder.finish()),
            Self::Bytes(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::List(list) => {
                let (offsets, valid) = list.ends.finish();
                Arc::new(ListArray::new(Arc::clone(&list.field), offsets, list.items.finish(), Some(valid)))
            }
            Self::Map(map) => {
                let (offsets, valid) = map.ends.finish();
                let ArrowType::Struct(fields) = map.entries.data_type() else { unreachable!("entries are structs") };
                let entries = StructArray::new(fields.clone(), vec![map.keys.finish(), map.values.finish()], None);
                Arc::new(MapArray::new(Arc::clone(&map.entries), offsets, entries, Some(valid), false))
            }
            Self::Row(row) => {
                let rows = row.valid.len();
                let valid = Some(NullBuffer::new(row.valid.finish()));
                if row.fields.is_empty() {
                    return Arc::new(StructArray::new_empty_fields(rows, valid));
                }
                let columns = row.fields.iter_mut().map(Self::finish).collect();
                Arc::new(StructArray::new(row.types.clone(), columns, valid))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array as _;

    use super::super::types::Field;
    use super::*;

    fn all_types() -> Vec<DataType> {
        let mut types = vec![
            DataType::Null,
            DataType::Boolean,
            DataType::TinyInt,
            DataType::SmallInt,
            DataType::Int,
            DataType::BigInt,
            DataType::Float,
            DataType::Double,
            DataType::Decimal { precision: 30, scale: 8 },
            DataType::String,
            DataType::Bytes,
            DataType::Date,
            DataType::Time,
            DataType::Timestamp,
            DataType::FloatVector,
            DataType::BinaryVector,
            DataType::Float16Vector,
            DataType::BFloat16Vector,
            DataType::SparseFloatVector,
        ];
        types.push(DataType::Array(Box::new(DataType::Int)));
        types.push(DataType::Map(Box::new(DataType::String), Box::new(DataType::Array(Box::new(DataType::Int)))));
        let fields = types
            .iter()
            .enumerate()
            .map(|(index, data_type)| Field { name: format!("f{index}").into(), data_type: data_type.clone() });
        types.push(DataType::Row(fields.collect()));
        types.push(DataType::Row(Arc::from([])));
        types
    }

    #[test]
    fn every_type_builds_columns_of_its_arrow_type() {
        for data_type in all_types() {
            let mut builder = ColumnBuilder::new(&data_type, 4);
            builder.append_null();
            builder.append_null();
            assert_eq!(builder.len(), 2, "{data_type}");
            let column = builder.finish();
            assert_eq!(column.data_type(), &data_type.arrow(), "{data_type}");
            assert_eq!((column.len(), column.logical_null_count()), (2, 2), "{data_type}");
            assert!(builder.is_empty(), "{data_type}");
        }
    }

    #[test]
    fn lists_and_maps_close_over_what_was_appended() {
        let mut builder = ColumnBuilder::new(&DataType::Array(Box::new(DataType::Int)), 4);
        let ColumnBuilder::List(list) = &mut builder else { panic!("a list") };
        let ColumnBuilder::Int(items) = list.items.as_mut() else { panic!("ints") };
        items.append_slice(&[1, 2, 3]);
        list.append(true);
        list.append(true);
        let column = builder.finish();
        let lists = column.as_any().downcast_ref::<ListArray>().expect("lists");
        assert_eq!((lists.value(0).len(), lists.value(1).len()), (3, 0));
    }
}
