use arrow::array::{Array, ArrayRef, Time64NanosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType as ArrowType, SchemaRef};
use egret_runtime::row::{TablePath, TableSchema};
use orc_rust::{ArrowReaderBuilder, TimestampPrecision};

use super::*;
use crate::local_file::tests::round_trip::{all_columns, all_rows};

fn table(columns: Vec<Column>) -> TableSchema {
    TableSchema::new(TablePath::bare("t"), columns)
}

fn written(columns: &[Column], codec: OrcCodec, stripe_bytes: usize, batches: &[RecordBatch]) -> (Vec<u8>, u64) {
    let mut encoder = OrcEncoder::new(columns.into(), codec);
    encoder.stripe_bytes = stripe_bytes;
    let mut out = Vec::new();
    let mut lost = 0;
    for rows in batches {
        lost += encoder.write(rows, &mut out).expect("written");
    }
    encoder.finish(&mut out).expect("ended");
    (out, lost)
}

/// Reads a file by the library that the source uses.
fn read(bytes: Vec<u8>, precision: TimestampPrecision) -> (SchemaRef, Vec<RecordBatch>) {
    let builder = ArrowReaderBuilder::try_new(bytes::Bytes::from(bytes)).expect("an orc file");
    let reader = builder.with_timestamp_precision(precision).build();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("rows")).collect();
    (batches[0].schema(), batches)
}

/// Values as text: the library names the parts of maps and lists otherwise.
fn shown(array: &ArrayRef) -> Vec<String> {
    let options = arrow::util::display::FormatOptions::new().with_null("-");
    let formatter = arrow::util::display::ArrayFormatter::try_new(array.as_ref(), &options).expect("a formatter");
    (0..array.len()).map(|row| formatter.value(row).to_string()).collect()
}

#[test]
fn every_type_is_read_back_with_every_codec() {
    let fits = |column: &Column| unwritable(&column.data_type).is_none() && column.data_type != DataType::Time;
    let columns: Vec<Column> = all_columns().0.into_iter().filter(fits).collect();
    let rows = all_rows(&columns, 5000);
    let codecs = [OrcCodec::None, OrcCodec::Zlib, OrcCodec::Snappy, OrcCodec::Lzo, OrcCodec::Lz4, OrcCodec::Zstd];
    for (codec, stripe) in codecs.into_iter().flat_map(|codec| [(codec, 20_000), (codec, STRIPE_BYTES)]) {
        let halves = [rows.slice(0, 2345), rows.slice(2345, 5000 - 2345)];
        let (bytes, lost) = written(&columns, codec, stripe, &halves);
        assert_eq!(lost, 0);
        let (schema, batches) = read(bytes, TimestampPrecision::Microsecond);
        let found = arrow::compute::concat_batches(&schema, &batches).expect("one batch");
        for (index, column) in columns.iter().enumerate() {
            let (found, expected) = (shown(found.column(index)), shown(rows.column(index)));
            assert_eq!(found, expected, "{codec:?} {stripe}: {}", column.data_type);
        }
    }
}

#[test]
fn times_are_moments_of_1970_01_01() {
    let columns = vec![Column::new("at", DataType::Time)];
    let values = [0, 1, 86_399_999_999_999, 3_600_000_000_000, 1_000_000];
    let array: ArrayRef = Arc::new(Time64NanosecondArray::from(values.to_vec()));
    let rows = RecordBatch::try_new(Arc::clone(table(columns.clone()).arrow()), vec![array]).expect("rows");
    let found = read(written(&columns, OrcCodec::None, STRIPE_BYTES, &[rows]).0, TimestampPrecision::Nanosecond).1;
    let found = found[0].column(0).as_any().downcast_ref::<TimestampNanosecondArray>().expect("moments");
    assert_eq!(found.values().to_vec(), values);
}

#[test]
fn columns_keep_their_types_and_names() {
    let columns = vec![
        Column::new("Id", DataType::BigInt),
        Column::new("price", DataType::Decimal { precision: 12, scale: 2 }),
        Column::new("tags", DataType::Array(Box::new(DataType::String))),
    ];
    let rows = RecordBatch::new_empty(Arc::clone(table(columns.clone()).arrow()));
    let (bytes, _) = written(&columns, OrcCodec::Snappy, STRIPE_BYTES, &[rows]);
    let builder = ArrowReaderBuilder::try_new(bytes::Bytes::from(bytes)).expect("an orc file without rows");
    let schema = builder.schema();
    assert_eq!((schema.field(0).name().as_str(), schema.field(0).data_type()), ("Id", &ArrowType::Int64));
    assert_eq!(schema.field(1).data_type(), &ArrowType::Decimal128(12, 2));
    assert!(matches!(schema.field(2).data_type(), ArrowType::List(_)));
    assert_eq!(builder.build().total_row_count(), 0);
}

#[test]
fn moments_before_1970_are_read_back_save_the_last_second() {
    let columns = vec![Column::new("at", DataType::Timestamp)];
    let values = [-1_000_001, -1_500_000, -2_000_000, -1_999_500, -500_000, -1, -999_999, 1, 500_000];
    let array: ArrayRef = Arc::new(TimestampMicrosecondArray::from(values.to_vec()));
    let rows = RecordBatch::try_new(Arc::clone(table(columns.clone()).arrow()), vec![array]).expect("rows");
    let (bytes, lost) = written(&columns, OrcCodec::None, STRIPE_BYTES, &[rows]);
    let found = read(bytes, TimestampPrecision::Microsecond).1;
    let found =
        found[0].column(0).as_any().downcast_ref::<TimestampMicrosecondArray>().expect("moments").values().to_vec();
    // No reader can tell fractions of that second from those of the next.
    assert_eq!(found, [-1_000_001, -1_500_000, -2_000_000, -1_999_500, -1_000_000, -1_000_000, -999_999, 1, 500_000]);
    assert_eq!(lost, 2);
}
