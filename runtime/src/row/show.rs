//! Cells as the console prints them (contract D.2).

use std::fmt::Write as _;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time64NanosecondType, TimestampMicrosecondType,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::text::{write_date, write_decimal, write_double, write_float, write_time, write_timestamp};
use super::{Column, DataType, Field};

/// Appends the cells of a row, separated by `, `; nulls print empty.
///
/// # Panics
/// When a column of the batch has another shape than its type.
pub fn write_row(out: &mut String, rows: &RecordBatch, columns: &[Column], row: usize) {
    for (index, (array, column)) in rows.columns().iter().zip(columns).enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        if !is_null(array.as_ref(), row) {
            write_value(out, array.as_ref(), &column.data_type, row);
        }
    }
}

/// Whether a cell is null, also in a column in which every cell is.
pub fn is_null(array: &dyn Array, row: usize) -> bool {
    array.is_null(row) || array.data_type() == &arrow::datatypes::DataType::Null
}

/// Appends one cell: text as it is, dates and times in ISO form, doubles as Java prints them, decimals in full,
/// arrays, bytes (signed) and vectors as `[a, b]`, rows as `[x, y]`, maps as JSON, null as `null`.
///
/// # Panics
/// When the array has another shape than the type.
pub fn write_value(out: &mut String, array: &dyn Array, data_type: &DataType, row: usize) {
    if is_null(array, row) {
        return out.push_str("null");
    }
    match data_type {
        DataType::Null => out.push_str("null"),
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::TinyInt => write_integer::<Int8Type>(out, array, row),
        DataType::SmallInt => write_integer::<Int16Type>(out, array, row),
        DataType::Int => write_integer::<Int32Type>(out, array, row),
        DataType::BigInt => write_integer::<Int64Type>(out, array, row),
        DataType::Float => write_float(out, array.as_primitive::<Float32Type>().value(row)),
        DataType::Double => write_double(out, array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal { scale, .. } => {
            write_decimal(out, array.as_primitive::<Decimal128Type>().value(row), *scale);
        }
        DataType::String => out.push_str(array.as_string::<i32>().value(row)),
        DataType::Bytes | DataType::BinaryVector => {
            let bytes = array.as_binary::<i32>().value(row);
            write_list(out, bytes.len(), |out, index| {
                let _ = write!(out, "{}", bytes[index] as i8);
            });
        }
        DataType::Date => write_date(out, array.as_primitive::<Date32Type>().value(row)),
        DataType::Time => write_time(out, array.as_primitive::<Time64NanosecondType>().value(row)),
        DataType::Timestamp => write_timestamp(out, array.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::Array(item) => write_items(out, array, item, row),
        DataType::FloatVector => write_items(out, array, &DataType::Float, row),
        DataType::Float16Vector | DataType::BFloat16Vector => {
            let halves = half_floats(array.as_binary::<i32>().value(row), data_type);
            write_list(out, halves.len(), |out, index| write_float(out, halves[index]));
        }
        DataType::Map(..) | DataType::SparseFloatVector => write_json(out, array, data_type, row),
        DataType::Row(fields) => {
            let columns = array.as_struct().columns();
            write_list(out, fields.len(), |out, index| {
                write_value(out, columns[index].as_ref(), &fields[index].data_type, row);
            });
        }
    }
}

/// Appends one cell as JSON: numbers and booleans bare, bytes as base64 text, rows as objects, everything else as
/// text.
///
/// # Panics
/// When the array has another shape than the type.
pub fn write_json(out: &mut String, array: &dyn Array, data_type: &DataType, row: usize) {
    if is_null(array, row) {
        return out.push_str("null");
    }
    match data_type {
        DataType::Float | DataType::Double => {
            // JSON has no word for numbers that are not finite.
            let from = out.len();
            write_value(out, array, data_type, row);
            if out[from..].ends_with(['N', 'y']) {
                out.insert(from, '"');
                out.push('"');
            }
        }
        DataType::Bytes | DataType::BinaryVector => {
            out.push('"');
            BASE64.encode_string(array.as_binary::<i32>().value(row), out);
            out.push('"');
        }
        DataType::Array(item) => write_json_list(out, array, item, row),
        DataType::FloatVector => write_json_list(out, array, &DataType::Float, row),
        DataType::Map(key, value) => write_json_map(out, array, key, value, row),
        DataType::SparseFloatVector => write_json_map(out, array, &DataType::Int, &DataType::Float, row),
        DataType::Row(fields) => write_json_row(out, array, fields, row),
        data_type if data_type.is_numeric() => write_value(out, array, data_type, row),
        DataType::Boolean | DataType::Null | DataType::Float16Vector | DataType::BFloat16Vector => {
            write_value(out, array, data_type, row);
        }
        _ => {
            let mut text = String::new();
            write_value(&mut text, array, data_type, row);
            write_json_text(out, &text);
        }
    }
}

/// Appends text as a JSON string.
pub fn write_json_text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if u32::from(letter) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

fn write_integer<T: ArrowPrimitiveType<Native: itoa::Integer>>(out: &mut String, array: &dyn Array, row: usize) {
    out.push_str(itoa::Buffer::new().format(array.as_primitive::<T>().value(row)));
}

fn write_list(out: &mut String, length: usize, mut write: impl FnMut(&mut String, usize)) {
    out.push('[');
    for index in 0..length {
        if index > 0 {
            out.push_str(", ");
        }
        write(out, index);
    }
    out.push(']');
}

fn write_items(out: &mut String, array: &dyn Array, item: &DataType, row: usize) {
    let items = array.as_list::<i32>().value(row);
    write_list(out, items.len(), |out, index| write_value(out, items.as_ref(), item, index));
}

fn write_json_list(out: &mut String, array: &dyn Array, item: &DataType, row: usize) {
    let items = array.as_list::<i32>().value(row);
    out.push('[');
    for index in 0..items.len() {
        if index > 0 {
            out.push(',');
        }
        write_json(out, items.as_ref(), item, index);
    }
    out.push(']');
}

fn write_json_map(out: &mut String, array: &dyn Array, key: &DataType, value: &DataType, row: usize) {
    let entries = array.as_map().value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    out.push('{');
    for index in 0..entries.len() {
        if index > 0 {
            out.push(',');
        }
        let mut name = String::new();
        write_value(&mut name, keys.as_ref(), key, index);
        write_json_text(out, &name);
        out.push(':');
        write_json(out, values.as_ref(), value, index);
    }
    out.push('}');
}

fn write_json_row(out: &mut String, array: &dyn Array, fields: &[Field], row: usize) {
    out.push('{');
    for (index, (column, field)) in array.as_struct().columns().iter().zip(fields).enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_json_text(out, &field.name);
        out.push(':');
        write_json(out, column.as_ref(), &field.data_type, row);
    }
    out.push('}');
}

/// The numbers of a packed vector of half or brain floats.
fn half_floats(bytes: &[u8], data_type: &DataType) -> Vec<f32> {
    let half = |bits: u16| <Float16Type as ArrowPrimitiveType>::Native::from_bits(bits).to_f32();
    let brain = |bits: u16| f32::from_bits(u32::from(bits) << 16);
    let read = |pair: &[u8]| {
        let bits = u16::from_be_bytes([pair[0], pair[1]]);
        if *data_type == DataType::Float16Vector { half(bits) } else { brain(bits) }
    };
    bytes.chunks_exact(2).map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BinaryArray, Decimal128Array, Float64Array, Int32Array, ListArray, NullArray, StringArray,
        TimestampMicrosecondArray,
    };
    use arrow::datatypes::Int32Type;

    use super::super::{TablePath, TableSchema};
    use super::*;

    fn shown(array: &dyn Array, data_type: &DataType, row: usize) -> String {
        let mut out = String::new();
        write_value(&mut out, array, data_type, row);
        out
    }

    #[test]
    fn a_null_column_prints_empty_and_a_null_inside_prints_null() {
        let table = TableSchema::new(
            TablePath::bare("t"),
            vec![
                Column::new("a", DataType::Int),
                Column::new("b", DataType::Array(Box::new(DataType::Int))),
                Column::new("c", DataType::Null),
                Column::new("d", DataType::String),
            ],
        );
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(vec![None, Some(32)])),
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([None, Some(vec![Some(1), None])])),
            Arc::new(NullArray::new(2)),
            Arc::new(StringArray::from(vec!["Alice", "a, b"])),
        ];
        let rows = RecordBatch::try_new(Arc::clone(table.arrow()), columns).expect("rows");
        let line = |row| {
            let mut out = String::new();
            write_row(&mut out, &rows, &table.columns, row);
            out
        };
        assert_eq!(line(0), ", , , Alice");
        assert_eq!(line(1), "32, [1, null], , a, b");
    }

    #[test]
    fn bytes_are_signed_and_decimals_and_doubles_print_as_in_java() {
        assert_eq!(shown(&BinaryArray::from_vec(vec![b"a\xff"]), &DataType::Bytes, 0), "[97, -1]");
        let decimals = Decimal128Array::from(vec![-1205]).with_precision_and_scale(10, 2).expect("fits");
        assert_eq!(shown(&decimals, &DataType::Decimal { precision: 10, scale: 2 }, 0), "-12.05");
        let doubles = Float64Array::from(vec![1e7, 0.0, 12.5]);
        assert_eq!([0, 1, 2].map(|row| shown(&doubles, &DataType::Double, row)), ["1.0E7", "0.0", "12.5"]);
        let stamps = TimestampMicrosecondArray::from(vec![0]);
        assert_eq!(shown(&stamps, &DataType::Timestamp, 0), "1970-01-01T00:00:00");
    }

    #[test]
    fn json_text_is_escaped_and_numbers_that_are_not_finite_are_text() {
        let mut out = String::new();
        write_json_text(&mut out, "a\"\\\n\u{1}ü");
        assert_eq!(out, "\"a\\\"\\\\\\n\\u0001ü\"");
        let doubles = Float64Array::from(vec![f64::NAN, f64::NEG_INFINITY, 1.5]);
        let json = |row| {
            let mut out = String::from("x");
            write_json(&mut out, &doubles, &DataType::Double, row);
            out
        };
        assert_eq!([0, 1, 2].map(json), ["x\"NaN\"", "x\"-Infinity\"", "x1.5"]);
    }
}
