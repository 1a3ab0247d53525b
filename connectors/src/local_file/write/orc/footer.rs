//! The footers of an ORC file: protocol buffers.

use egret_runtime::row::{Column, DataType};

use super::column::ColumnWriter;
use super::streams::write_varint;
use super::{MAGIC, Stripe};

/// Version of the format.
const VERSION: [u64; 2] = [0, 12];
/// The newest writer whose fixes hold here too: times before 1970 as others write them.
const WRITER_VERSION: u64 = 6;

const STRUCT: u64 = 12;

fn write_number(field: u64, value: u64, out: &mut Vec<u8>) {
    write_varint(u128::from(field << 3), out);
    write_varint(u128::from(value), out);
}

fn write_bytes(field: u64, bytes: &[u8], out: &mut Vec<u8>) {
    write_varint(u128::from(field << 3 | 2), out);
    write_varint(bytes.len() as u128, out);
    out.extend_from_slice(bytes);
}

fn message(fields: &[(u64, u64)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (field, value) in fields {
        write_number(*field, *value, &mut out);
    }
    out
}

/// The footer of a stripe: streams, and how each column is encoded (directly, all of them).
pub fn stripe(streams: &[(u64, u64, u64)], columns: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for (column, kind, length) in streams {
        write_bytes(1, &message(&[(1, *kind), (2, *column), (3, *length)]), &mut out);
    }
    for _ in 0..columns {
        write_bytes(2, &message(&[(1, 0)]), &mut out);
    }
    write_bytes(3, b"UTC", &mut out);
    out
}

/// The footer of a file.
pub fn file(columns: &[Column], writers: &[ColumnWriter], stripes: &[Stripe], length: u64) -> Vec<u8> {
    let mut out = Vec::new();
    write_number(1, MAGIC.len() as u64, &mut out);
    write_number(2, length, &mut out);
    for stripe in stripes {
        let fields = [(1, stripe.offset), (2, 0), (3, stripe.data), (4, stripe.footer), (5, stripe.rows)];
        write_bytes(3, &message(&fields), &mut out);
    }
    let fields = columns.iter().map(|column| (column.name.as_ref(), &column.data_type));
    let mut types = Vec::new();
    add_row(fields, &mut types);
    for kind in &types {
        write_bytes(4, kind, &mut out);
    }
    let rows = stripes.iter().map(|stripe| stripe.rows).sum();
    write_number(6, rows, &mut out);
    write_bytes(7, &statistics(rows, false), &mut out);
    for writer in writers {
        write_statistics(writer, &mut out);
    }
    // No row indexes.
    write_number(8, 0, &mut out);
    out
}

/// The postscript, which is never compressed.
pub fn postscript(footer: u64, codec: u64, chunk: u64) -> Vec<u8> {
    let mut out = message(&[(1, footer), (2, codec), (3, chunk)]);
    let mut version = Vec::new();
    for number in VERSION {
        write_varint(u128::from(number), &mut version);
    }
    write_bytes(4, &version, &mut out);
    write_number(5, 0, &mut out);
    write_number(6, WRITER_VERSION, &mut out);
    write_bytes(8000, MAGIC, &mut out);
    out
}

fn statistics(count: u64, has_null: bool) -> Vec<u8> {
    message(&[(1, count), (10, u64::from(has_null))])
}

fn write_statistics(writer: &ColumnWriter, out: &mut Vec<u8>) {
    write_bytes(7, &statistics(writer.count, writer.has_null), out);
    for inner in &writer.inner {
        write_statistics(inner, out);
    }
}

/// Adds a type and those within it, each behind the one that it is in.
fn add_row<'a>(fields: impl Iterator<Item = (&'a str, &'a DataType)>, types: &mut Vec<Vec<u8>>) {
    let own = types.len();
    types.push(Vec::new());
    let (mut numbers, mut names) = (Vec::new(), Vec::new());
    for (name, data_type) in fields {
        write_varint(types.len() as u128, &mut numbers);
        write_bytes(3, name.as_bytes(), &mut names);
        add_type(data_type, types);
    }
    let mut row = message(&[(1, STRUCT)]);
    write_bytes(2, &numbers, &mut row);
    row.extend_from_slice(&names);
    types[own] = row;
}

fn add_type(data_type: &DataType, types: &mut Vec<Vec<u8>>) {
    let own = types.len();
    let kind = |number| message(&[(1, number)]);
    let nested = |number, inner: &[&DataType], types: &mut Vec<Vec<u8>>| {
        types.push(Vec::new());
        let mut numbers = Vec::new();
        for data_type in inner {
            write_varint(types.len() as u128, &mut numbers);
            add_type(data_type, types);
        }
        let mut list = kind(number);
        write_bytes(2, &numbers, &mut list);
        types[own] = list;
    };
    match data_type {
        DataType::Boolean => types.push(kind(0)),
        DataType::TinyInt => types.push(kind(1)),
        DataType::SmallInt => types.push(kind(2)),
        DataType::Int => types.push(kind(3)),
        DataType::BigInt => types.push(kind(4)),
        DataType::Float => types.push(kind(5)),
        DataType::Double => types.push(kind(6)),
        DataType::String => types.push(kind(7)),
        DataType::Date => types.push(kind(15)),
        // Times have no type of their own: they are times of 1970-01-01, as the reference engine writes them.
        DataType::Time | DataType::Timestamp => types.push(kind(9)),
        DataType::Decimal { precision, scale } => {
            let scale = u64::try_from(*scale).unwrap_or_default();
            types.push(message(&[(1, 14), (5, u64::from(*precision)), (6, scale)]));
        }
        DataType::Array(item) => nested(10, &[item], types),
        DataType::FloatVector => nested(10, &[&DataType::Float], types),
        DataType::Map(key, value) => nested(11, &[key, value], types),
        DataType::SparseFloatVector => nested(11, &[&DataType::Int, &DataType::Float], types),
        DataType::Row(fields) => add_row(fields.iter().map(|field| (field.name.as_ref(), &field.data_type)), types),
        _ => types.push(kind(8)),
    }
}
