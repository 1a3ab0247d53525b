//! Timestamps of parquet in the outdated INT96: nanoseconds of the day, then the Julian day, as older readers want them.
//!
//! The library reads this type and does not write it. In pages its values look as those of 12 bytes of fixed length do,
//! so they are written as such, and the metadata at the end of the file is written anew with the other type.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryBuilder, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use parquet::basic::{ConvertedType, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor, Type, TypePtr};

/// Bytes of a value.
const VALUE_BYTES: i32 = 12;
/// Length of the metadata and the magic word at the end of a file.
const FOOTER_BYTES: usize = 8;
const JULIAN_DAY_OF_1970: i64 = 2_440_588;
const DAY_MICROS: i64 = 86_400_000_000;

/// The schema with timestamps as the bytes of INT96, within nested types too.
pub fn schema_of(schema: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(field_of).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn field_of(field: &FieldRef) -> FieldRef {
    Arc::new(Field::clone(field).with_data_type(type_of(field.data_type())))
}

fn type_of(found: &DataType) -> DataType {
    match found {
        DataType::Timestamp(TimeUnit::Microsecond, None) => DataType::FixedSizeBinary(VALUE_BYTES),
        DataType::List(item) => DataType::List(field_of(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field_of).collect()),
        DataType::Map(entries, sorted) => DataType::Map(field_of(entries), *sorted),
        other => other.clone(),
    }
}

/// Rows as [`schema_of`] has them.
///
/// # Errors
/// When they are not of the schema that it was made of.
pub fn rows_of(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = rows.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| array_of(column, field.data_type())).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

fn array_of(found: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    if found.data_type() == wanted {
        return Ok(Arc::clone(found));
    }
    let nulls = found.nulls().cloned();
    Ok(match wanted {
        DataType::FixedSizeBinary(_) => {
            let mut values = FixedSizeBinaryBuilder::with_capacity(found.len(), VALUE_BYTES);
            for time in found.as_primitive::<TimestampMicrosecondType>() {
                match time {
                    Some(micros) => values.append_value(value_of(micros))?,
                    None => values.append_null(),
                }
            }
            Arc::new(values.finish())
        }
        DataType::List(item) => {
            let list = found.as_list::<i32>();
            let items = array_of(list.values(), item.data_type())?;
            Arc::new(ListArray::try_new(Arc::clone(item), list.offsets().clone(), items, nulls)?)
        }
        DataType::Map(entries, sorted) => {
            let map = found.as_map();
            let pairs: ArrayRef = Arc::new(map.entries().clone());
            let pairs = array_of(&pairs, entries.data_type())?.as_struct().clone();
            Arc::new(MapArray::try_new(Arc::clone(entries), map.offsets().clone(), pairs, nulls, *sorted)?)
        }
        DataType::Struct(fields) => {
            let columns = found.as_struct().columns().iter().zip(fields);
            let columns =
                columns.map(|(column, field)| array_of(column, field.data_type())).collect::<Result<_, _>>()?;
            Arc::new(StructArray::try_new(fields.clone(), columns, nulls)?)
        }
        _ => Arc::clone(found),
    })
}

fn value_of(micros: i64) -> [u8; VALUE_BYTES as usize] {
    let day = (micros.div_euclid(DAY_MICROS) + JULIAN_DAY_OF_1970) as u32;
    let nanos = micros.rem_euclid(DAY_MICROS) * 1000;
    let mut value = [0; VALUE_BYTES as usize];
    value[..8].copy_from_slice(&nanos.to_le_bytes());
    value[8..].copy_from_slice(&day.to_le_bytes());
    value
}

/// Writes the metadata at the end of a file anew, with INT96 where there are 12 bytes without a meaning.
///
/// # Errors
/// When the file does not end with metadata.
pub fn retype(file: &mut Vec<u8>) -> Result<(), ParquetError> {
    let cut_off = || ParquetError::General("the file has no metadata at its end".into());
    let (before, footer) = file.split_last_chunk::<FOOTER_BYTES>().ok_or_else(cut_off)?;
    let length = u32::from_le_bytes([footer[0], footer[1], footer[2], footer[3]]) as usize;
    let start = before.len().checked_sub(length).ok_or_else(cut_off)?;
    let metadata = retyped(&ParquetMetaDataReader::decode_metadata(&before[start..])?)?;
    file.truncate(start);
    ParquetMetaDataWriter::new(file, &metadata).finish()
}

fn retyped(metadata: &ParquetMetaData) -> Result<ParquetMetaData, ParquetError> {
    let file = metadata.file_metadata();
    let schema = Arc::new(SchemaDescriptor::new(retyped_node(&file.schema_descr().root_schema_ptr())?));
    let groups = metadata.row_groups().iter().map(|group| {
        let columns = group.columns().iter().enumerate();
        let columns = columns.map(|(leaf, column)| retyped_column(column, schema.column(leaf)));
        RowGroupMetaData::builder(Arc::clone(&schema))
            .set_num_rows(group.num_rows())
            .set_total_byte_size(group.total_byte_size())
            .set_column_metadata(columns.collect::<Result<_, _>>()?)
            .build()
    });
    let groups = groups.collect::<Result<_, _>>()?;
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        schema,
        file.column_orders().cloned(),
    );
    Ok(ParquetMetaData::new(file, groups))
}

fn retyped_node(node: &TypePtr) -> Result<TypePtr, ParquetError> {
    let about = node.get_basic_info();
    if node.is_group() {
        let fields = node.get_fields().iter().map(retyped_node).collect::<Result<_, _>>()?;
        let mut group = Type::group_type_builder(node.name())
            .with_fields(fields)
            .with_converted_type(about.converted_type())
            .with_logical_type(about.logical_type_ref().cloned());
        if about.has_repetition() {
            group = group.with_repetition(about.repetition());
        }
        return Ok(Arc::new(group.build()?));
    }
    let plain = about.logical_type_ref().is_none() && about.converted_type() == ConvertedType::NONE;
    // No other column is of a fixed length and says nothing of what it means.
    if node.get_physical_type() == PhysicalType::FIXED_LEN_BYTE_ARRAY && plain {
        let time = Type::primitive_type_builder(node.name(), PhysicalType::INT96);
        return Ok(Arc::new(time.with_repetition(about.repetition()).build()?));
    }
    Ok(Arc::clone(node))
}

/// INT96 has no order, so what was found out about the order of the bytes is left out.
fn retyped_column(column: &ColumnChunkMetaData, described: ColumnDescPtr) -> Result<ColumnChunkMetaData, ParquetError> {
    if described.physical_type() != PhysicalType::INT96 {
        return Ok(column.clone());
    }
    ColumnChunkMetaData::builder(described)
        .set_encodings_mask(*column.encodings_mask())
        .set_num_values(column.num_values())
        .set_compression_codec(column.compression_codec())
        .set_total_compressed_size(column.compressed_size())
        .set_total_uncompressed_size(column.uncompressed_size())
        .set_data_page_offset(column.data_page_offset())
        .set_dictionary_page_offset(column.dictionary_page_offset())
        .set_offset_index_offset(column.offset_index_offset())
        .set_offset_index_length(column.offset_index_length())
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_nanoseconds_of_the_day_and_the_julian_day() {
        let parts = |micros: i64| {
            let value = value_of(micros);
            let (nanos, day) = value.split_at(8);
            (i64::from_le_bytes(nanos.try_into().expect("8")), u32::from_le_bytes(day.try_into().expect("4")))
        };
        assert_eq!(parts(0), (0, 2_440_588));
        assert_eq!(parts(-1), (86_399_999_999_000, 2_440_587));
        assert_eq!(parts(-62_135_596_800_000_000), (0, 1_721_426), "the first day of year 1");
        assert_eq!(parts(253_402_300_799_999_999), (86_399_999_999_000, 5_373_484), "the end of year 9999");
    }

    #[test]
    fn a_file_without_metadata_is_an_error() {
        for file in [&b""[..], b"short", b"\xff\xff\x00\x00PAR1", b"xxxx\x04\x00\x00\x00PAR1"] {
            assert!(retype(&mut file.to_vec()).is_err());
        }
    }
}
