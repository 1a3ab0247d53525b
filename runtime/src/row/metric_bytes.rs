//! Bytes of rows as the REST API counts them (contract A.6): a measure of content that is the same whatever holds
//! the rows in memory.

use arrow::array::{Array, ArrayRef, AsArray};

use super::{Batch, DataType, Field, TableSchema};

/// Bytes of a batch: for each cell, strings count their UTF-16 units, fixed types the table's width, bytes and vectors
/// their length, nested values the sum of their parts, nulls nothing.
///
/// # Panics
/// When a column of the batch has another shape than its type in `table`, which no vertex may let happen.
pub fn metric_bytes(batch: &Batch, table: &TableSchema) -> u64 {
    debug_assert_eq!(batch.rows.num_columns(), table.columns.len());
    let columns = batch.rows.columns().iter().zip(table.columns.iter());
    columns.map(|(array, column)| cells(array, &column.data_type)).sum()
}

/// Bytes of all cells of a column.
fn cells(array: &ArrayRef, data_type: &DataType) -> u64 {
    match data_type {
        DataType::Null => 0,
        DataType::Boolean | DataType::TinyInt => fixed(array, 1),
        DataType::SmallInt => fixed(array, 2),
        DataType::Int | DataType::Float => fixed(array, 4),
        DataType::BigInt | DataType::Double => fixed(array, 8),
        DataType::Decimal { .. } => fixed(array, 36),
        DataType::Date => fixed(array, 24),
        DataType::Time => fixed(array, 12),
        DataType::Timestamp => fixed(array, 48),
        DataType::String => {
            let strings = array.as_string::<i32>();
            let bytes = strings.value_data();
            ranges(array, strings.value_offsets()).map(|(from, to)| utf16_units(&bytes[from..to])).sum()
        }
        DataType::Bytes | DataType::BinaryVector | DataType::Float16Vector | DataType::BFloat16Vector => {
            ranges(array, array.as_binary::<i32>().value_offsets()).map(|(from, to)| (to - from) as u64).sum()
        }
        DataType::FloatVector => {
            let lists = array.as_list::<i32>();
            ranges(array, lists.value_offsets())
                .map(|(from, to)| cells(&lists.values().slice(from, to - from), &DataType::Float))
                .sum()
        }
        DataType::Array(item) => {
            let lists = array.as_list::<i32>();
            ranges(array, lists.value_offsets())
                .map(|(from, to)| cells(&lists.values().slice(from, to - from), item))
                .sum()
        }
        DataType::Map(key, value) => {
            let maps = array.as_map();
            ranges(array, maps.value_offsets())
                .map(|(from, to)| {
                    cells(&maps.keys().slice(from, to - from), key)
                        + cells(&maps.values().slice(from, to - from), value)
                })
                .sum()
        }
        DataType::SparseFloatVector => {
            ranges(array, array.as_map().value_offsets()).map(|(from, to)| 8 * (to - from) as u64).sum()
        }
        DataType::Row(fields) => rows(array, fields),
    }
}

fn fixed(array: &ArrayRef, width: u64) -> u64 {
    width * (array.len() - array.null_count()) as u64
}

fn rows(array: &ArrayRef, fields: &[Field]) -> u64 {
    let columns = array.as_struct().columns();
    let of_all = |from: usize, to: usize| -> u64 {
        columns.iter().zip(fields).map(|(column, field)| cells(&column.slice(from, to - from), &field.data_type)).sum()
    };
    // The fields of a null row may hold values, which then do not count.
    valid_runs(array).map(|(from, to)| of_all(from, to)).sum()
}

/// The longest runs of rows that are not null: first row, and the row behind the last.
fn valid_runs(array: &ArrayRef) -> impl Iterator<Item = (usize, usize)> + '_ {
    let with_nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    let whole = with_nulls.is_none().then_some((0, array.len()));
    whole.into_iter().chain(with_nulls.into_iter().flat_map(|nulls| nulls.valid_slices()))
}

/// Where the contents of the rows that are not null lie, by the offsets of a column of strings, bytes, lists or maps.
fn ranges<'a>(array: &'a ArrayRef, offsets: &'a [i32]) -> impl Iterator<Item = (usize, usize)> + 'a {
    // Offsets of an Arrow array are never negative.
    valid_runs(array).map(|(from, to)| (offsets[from] as usize, offsets[to] as usize))
}

/// UTF-16 units of UTF-8 text: one for each character, two beyond the basic plane (where UTF-8 takes four bytes).
fn utf16_units(bytes: &[u8]) -> u64 {
    if bytes.is_ascii() {
        return bytes.len() as u64;
    }
    // One look at each byte, in a form that the compiler turns into vector instructions.
    let units: usize = bytes.iter().map(|byte| usize::from((byte & 0xC0) != 0x80) + usize::from(*byte >= 0xF0)).sum();
    units as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, ListArray, NullArray, RecordBatch, StringArray, StructArray};
    use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
    use proptest::prelude::*;

    use super::super::{Column, ColumnBuilder, TableIndex, TablePath, arrow_fields};
    use super::*;

    fn table(columns: &[(&str, DataType)]) -> TableSchema {
        let columns = columns.iter().map(|(name, data_type)| Column::new(name, data_type.clone())).collect();
        TableSchema::new(TablePath::bare("t"), columns)
    }

    fn of_one(array: ArrayRef, data_type: DataType) -> u64 {
        let table = table(&[("c", data_type)]);
        let rows = RecordBatch::try_new(Arc::clone(table.arrow()), vec![array]).expect("rows");
        metric_bytes(&Batch::inserts(TableIndex(0), rows), &table)
    }

    #[test]
    fn a_row_of_bigint_one_letter_and_int_counts_thirteen() {
        let table = table(&[("a", DataType::BigInt), ("b", DataType::String), ("c", DataType::Int)]);
        let mut columns: Vec<ColumnBuilder> =
            table.columns.iter().map(|column| ColumnBuilder::new(&column.data_type, 1)).collect();
        for _ in 0..3 {
            for column in &mut columns {
                match column {
                    ColumnBuilder::BigInt(builder) => builder.append_value(1),
                    ColumnBuilder::String(builder) => builder.append_value("C"),
                    ColumnBuilder::Int(builder) => builder.append_value(100),
                    other => panic!("{other:?}"),
                }
            }
        }
        let columns = columns.iter_mut().map(ColumnBuilder::finish).collect();
        let rows = RecordBatch::try_new(Arc::clone(table.arrow()), columns).expect("rows");
        assert_eq!(metric_bytes(&Batch::inserts(TableIndex(0), rows), &table), 39);
    }

    #[test]
    fn fixed_types_count_the_width_of_the_contract() {
        for (data_type, width) in [
            (DataType::Null, 0),
            (DataType::Boolean, 1),
            (DataType::TinyInt, 1),
            (DataType::SmallInt, 2),
            (DataType::Int, 4),
            (DataType::BigInt, 8),
            (DataType::Float, 4),
            (DataType::Double, 8),
            (DataType::Decimal { precision: 10, scale: 2 }, 36),
            (DataType::Date, 24),
            (DataType::Time, 12),
            (DataType::Timestamp, 48),
        ] {
            let mut builder = ColumnBuilder::new(&data_type, 2);
            match &mut builder {
                ColumnBuilder::Null(rows) => *rows += 1,
                ColumnBuilder::Boolean(builder) => builder.append_value(true),
                ColumnBuilder::TinyInt(builder) => builder.append_value(1),
                ColumnBuilder::SmallInt(builder) => builder.append_value(1),
                ColumnBuilder::Int(builder) => builder.append_value(1),
                ColumnBuilder::BigInt(builder) => builder.append_value(1),
                ColumnBuilder::Float(builder) => builder.append_value(1.0),
                ColumnBuilder::Double(builder) => builder.append_value(1.0),
                ColumnBuilder::Decimal { builder, .. } => builder.append_value(1),
                ColumnBuilder::Date(builder) => builder.append_value(1),
                ColumnBuilder::Time(builder) => builder.append_value(1),
                ColumnBuilder::Timestamp(builder) => builder.append_value(1),
                other => panic!("{other:?}"),
            }
            builder.append_null();
            assert_eq!(of_one(builder.finish(), data_type.clone()), width, "{data_type}");
        }
    }

    #[test]
    fn strings_count_utf16_units() {
        let strings = StringArray::from(vec![Some("abc"), None, Some("äß"), Some("漢"), Some("😀"), Some("")]);
        assert_eq!(of_one(Arc::new(strings.slice(1, 5)), DataType::String), 2 + 1 + 2);
        assert_eq!(of_one(Arc::new(strings), DataType::String), 3 + 2 + 1 + 2);
    }

    #[test]
    fn what_lies_under_a_null_does_not_count() {
        let field = Field { name: "a".into(), data_type: DataType::Int };
        let hidden = StructArray::new(
            arrow_fields(std::slice::from_ref(&field)),
            vec![Arc::new(Int32Array::from(vec![1, 2, 3]))],
            Some(NullBuffer::from(vec![true, false, true])),
        );
        assert_eq!(of_one(Arc::new(hidden), DataType::Row(Arc::from([field]))), 8);
        let lists = ListArray::new(
            Arc::new(arrow::datatypes::Field::new("item", arrow::datatypes::DataType::Int32, true)),
            OffsetBuffer::new(ScalarBuffer::from(vec![0, 2, 4])),
            Arc::new(Int32Array::from(vec![1, 2, 3, 4])),
            Some(NullBuffer::from(vec![false, true])),
        );
        assert_eq!(of_one(Arc::new(lists), DataType::Array(Box::new(DataType::Int))), 8);
        assert_eq!(of_one(Arc::new(NullArray::new(3)), DataType::Null), 0);
    }

    /// A row of a string and a `map<string, int>`.
    type Pair = (Option<String>, Option<Vec<(String, Option<i32>)>>);

    /// An item of the arrays.
    type Item = Option<Pair>;

    /// What a cell of `array<row<string, map<string, int>>>` must count.
    fn bytes_of(list: &Option<Vec<Item>>) -> u64 {
        let text = |text: &str| text.encode_utf16().count() as u64;
        let item = |(string, map): &Pair| {
            string.as_deref().map_or(0, text)
                + map.iter().flatten().map(|(key, value)| text(key) + value.map_or(0, |_| 4)).sum::<u64>()
        };
        list.iter().flatten().flatten().map(item).sum()
    }

    fn nested_type() -> DataType {
        DataType::Array(Box::new(DataType::Row(Arc::from([
            Field { name: "s".into(), data_type: DataType::String },
            Field { name: "m".into(), data_type: DataType::Map(Box::new(DataType::String), Box::new(DataType::Int)) },
        ]))))
    }

    fn append_item(builder: &mut ColumnBuilder, item: &Item) {
        let Some((string, map)) = item else { return builder.append_null() };
        let ColumnBuilder::Row(row) = builder else { panic!("a row") };
        match (&mut row.fields[0], string) {
            (ColumnBuilder::String(builder), Some(string)) => builder.append_value(string),
            (builder, _) => builder.append_null(),
        }
        match (&mut row.fields[1], map) {
            (ColumnBuilder::Map(maps), Some(entries)) => {
                for (key, value) in entries {
                    let ColumnBuilder::String(keys) = maps.keys.as_mut() else { panic!("keys") };
                    keys.append_value(key);
                    let ColumnBuilder::Int(values) = maps.values.as_mut() else { panic!("values") };
                    values.append_option(*value);
                }
                maps.append(true);
            }
            (builder, _) => builder.append_null(),
        }
        row.append(true);
    }

    fn append(builder: &mut ColumnBuilder, list: &Option<Vec<Item>>) {
        let Some(items) = list else { return builder.append_null() };
        let ColumnBuilder::List(lists) = builder else { panic!("a list") };
        for item in items {
            append_item(&mut lists.items, item);
        }
        lists.append(true);
    }

    proptest! {
        #[test]
        fn whole_columns_count_what_their_cells_count(
            cells in prop::collection::vec(
                prop::option::of(prop::collection::vec(
                    prop::option::of((
                        prop::option::of("\\PC{0,6}"),
                        prop::option::of(prop::collection::vec(("\\PC{0,3}", prop::option::of(any::<i32>())), 0..3)),
                    )),
                    0..4,
                )),
                0..12,
            ),
            cut in 0usize..12,
        ) {
            let mut builder = ColumnBuilder::new(&nested_type(), cells.len());
            for cell in &cells {
                append(&mut builder, cell);
            }
            let column = builder.finish();
            prop_assert_eq!(of_one(Arc::clone(&column), nested_type()), cells.iter().map(bytes_of).sum::<u64>());
            let cut = cut.min(cells.len());
            let rest = column.slice(cut, cells.len() - cut);
            prop_assert_eq!(of_one(rest, nested_type()), cells[cut..].iter().map(bytes_of).sum::<u64>());
        }
    }
}
