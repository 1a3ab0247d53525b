//! Columns of other Arrow types into those of job configs.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, NullArray, StringArray, StructArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType as ArrowType, Field as ArrowField, Int64Type, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use arrow::util::display::FormatOptions;
use egret_runtime::row::show::{is_null, write_value};
use egret_runtime::row::{DataType, Field, text};

/// The type that holds every value of an Arrow type; `None` when there is none.
pub fn type_of(arrow: &ArrowType) -> Option<DataType> {
    Some(match arrow {
        ArrowType::Null => DataType::Null,
        ArrowType::Boolean => DataType::Boolean,
        ArrowType::Int8 => DataType::TinyInt,
        ArrowType::Int16 | ArrowType::UInt8 => DataType::SmallInt,
        ArrowType::Int32 | ArrowType::UInt16 => DataType::Int,
        ArrowType::Int64 | ArrowType::UInt32 => DataType::BigInt,
        ArrowType::UInt64 => DataType::Decimal { precision: 20, scale: 0 },
        ArrowType::Float16 | ArrowType::Float32 => DataType::Float,
        ArrowType::Float64 => DataType::Double,
        ArrowType::Decimal32(precision, scale)
        | ArrowType::Decimal64(precision, scale)
        | ArrowType::Decimal128(precision, scale) => decimal_of(*precision, *scale)?,
        ArrowType::Decimal256(precision, scale) if *precision <= 38 => decimal_of(*precision, *scale)?,
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => DataType::String,
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_) => {
            DataType::Bytes
        }
        ArrowType::Date32 | ArrowType::Date64 => DataType::Date,
        ArrowType::Time32(_) | ArrowType::Time64(_) => DataType::Time,
        ArrowType::Timestamp(_, _) => DataType::Timestamp,
        ArrowType::List(item) | ArrowType::LargeList(item) | ArrowType::FixedSizeList(item, _) => {
            DataType::Array(Box::new(type_of(item.data_type())?))
        }
        ArrowType::Map(entries, _) => {
            let ArrowType::Struct(fields) = entries.data_type() else { return None };
            let [key, value] = fields.as_ref() else { return None };
            DataType::Map(Box::new(type_of(key.data_type())?), Box::new(type_of(value.data_type())?))
        }
        ArrowType::Struct(fields) => DataType::Row(
            fields
                .iter()
                .map(|field| Some(Field { name: field.name().as_str().into(), data_type: type_of(field.data_type())? }))
                .collect::<Option<Arc<[Field]>>>()?,
        ),
        ArrowType::Dictionary(_, value) => type_of(value)?,
        _ => return None,
    })
}

fn decimal_of(precision: u8, scale: i8) -> Option<DataType> {
    (precision <= 38 && scale >= 0).then_some(DataType::Decimal { precision, scale })
}

/// Whether every column of one type can be turned into another; single values may fail all the same.
pub fn can_convert(from: &DataType, to: &DataType) -> bool {
    let is_number = |data_type: &DataType| {
        matches!(
            data_type,
            DataType::TinyInt
                | DataType::SmallInt
                | DataType::Int
                | DataType::BigInt
                | DataType::Float
                | DataType::Double
                | DataType::Decimal { .. }
        )
    };
    match (from, to) {
        (DataType::Array(from), DataType::Array(to)) => can_convert(from, to),
        (DataType::Map(from_key, from), DataType::Map(to_key, to)) => {
            can_convert(from_key, to_key) && can_convert(from, to)
        }
        (DataType::Row(from), DataType::Row(to)) => to.iter().all(|to| {
            let from = from.iter().find(|from| from.name == to.name);
            from.is_none_or(|from| can_convert(&from.data_type, &to.data_type))
        }),
        (DataType::Array(_) | DataType::Map(_, _) | DataType::Row(_), _) => *to == DataType::Null,
        (_, DataType::String | DataType::Null) | (DataType::Null, _) => true,
        (DataType::Timestamp, DataType::Time | DataType::Date) | (DataType::Date, DataType::Timestamp) => true,
        (DataType::String, DataType::Bytes) => true,
        (from, to) => from == to || (is_number(from) && is_number(to)),
    }
}

/// Turns a column into the Arrow type of `target`; counts timestamps that lose digits finer than microseconds.
///
/// # Errors
/// With a text when a value or the type as a whole cannot be turned.
pub fn column(column: &ArrayRef, target: &DataType, digits_lost: &mut u64) -> Result<ArrayRef, String> {
    let wanted = target.arrow();
    if *column.data_type() == wanted {
        return Ok(Arc::clone(column));
    }
    match (column.data_type(), target) {
        (_, DataType::Null) => Ok(Arc::new(NullArray::new(column.len()))),
        (ArrowType::Null, _) => Ok(arrow::array::new_null_array(&wanted, column.len())),
        (found, DataType::String) if !is_text(found) => texts(column, digits_lost),
        (ArrowType::Timestamp(unit, _), DataType::Time) => times(column, *unit),
        (ArrowType::Timestamp(TimeUnit::Nanosecond, _), DataType::Timestamp) => {
            let nanos = column.as_primitive::<TimestampNanosecondType>();
            let fine = |nanos: &Option<i64>| nanos.is_some_and(|nanos| nanos % 1000 != 0);
            *digits_lost += nanos.iter().filter(fine).count() as u64;
            // Floor, so that times before 1970 are cut as those after.
            let micros = nanos.unary::<_, TimestampMicrosecondType>(|nanos| nanos.div_euclid(1000));
            Ok(Arc::new(micros))
        }
        // A time with a zone is told in UTC, whatever zone the file names.
        (ArrowType::Timestamp(unit, Some(_)), DataType::Timestamp) => {
            let plain = ArrowType::Timestamp(*unit, None);
            let values = cast(column, &ArrowType::Int64)?;
            let values = values.as_primitive::<Int64Type>().reinterpret_as(plain)?;
            self::column(&values, target, digits_lost)
        }
        (ArrowType::List(_), DataType::Array(item)) => {
            let list = column.as_list::<i32>();
            let items = self::column(list.values(), item, digits_lost)?;
            let field = Arc::new(ArrowField::new("item", item.arrow(), true));
            ListArray::try_new(field, list.offsets().clone(), items, list.nulls().cloned())
                .map(|list| Arc::new(list) as ArrayRef)
                .map_err(|error| error.to_string())
        }
        (ArrowType::LargeList(item) | ArrowType::FixedSizeList(item, _), DataType::Array(_)) => {
            let list = cast(column, &ArrowType::List(Arc::clone(item)))?;
            self::column(&list, target, digits_lost)
        }
        (ArrowType::Map(_, _), DataType::Map(key, value)) => {
            let map = column.as_map();
            let keys = self::column(map.keys(), key, digits_lost)?;
            let values = self::column(map.values(), value, digits_lost)?;
            let ArrowType::Map(entries, _) = &wanted else { unreachable!("maps are Arrow maps") };
            let ArrowType::Struct(fields) = entries.data_type() else { unreachable!("entries are structs") };
            let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None);
            let pairs = pairs.map_err(|error| error.to_string())?;
            MapArray::try_new(Arc::clone(entries), map.offsets().clone(), pairs, map.nulls().cloned(), false)
                .map(|map| Arc::new(map) as ArrayRef)
                .map_err(|error| error.to_string())
        }
        (ArrowType::Struct(_), DataType::Row(fields)) => row(column.as_struct(), fields, &wanted, digits_lost),
        (ArrowType::Struct(_) | ArrowType::List(_) | ArrowType::Map(_, _), _)
        | (_, DataType::Row(_) | DataType::Array(_) | DataType::Map(_, _)) => {
            Err(format!("{} cannot be read as {target}", column.data_type()))
        }
        _ => cast(column, &wanted),
    }
}

fn is_text(arrow: &ArrowType) -> bool {
    match arrow {
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => true,
        ArrowType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// Values as Java prints them; bytes as the text that they are.
fn texts(found: &ArrayRef, digits_lost: &mut u64) -> Result<ArrayRef, String> {
    let data_type = type_of(found.data_type()).ok_or_else(|| format!("{} has no text", found.data_type()))?;
    if matches!(data_type, DataType::Array(_) | DataType::Map(_, _) | DataType::Row(_)) {
        return Err(format!("{} cannot be read as STRING", found.data_type()));
    }
    let values = column(found, &data_type, digits_lost)?;
    let text = |row: usize| {
        (!is_null(values.as_ref(), row)).then(|| match &data_type {
            DataType::Bytes => String::from_utf8_lossy(values.as_binary::<i32>().value(row)).into_owned(),
            data_type => {
                let mut text = String::new();
                write_value(&mut text, values.as_ref(), data_type, row);
                text
            }
        })
    };
    Ok(Arc::new(StringArray::from_iter((0..values.len()).map(text))))
}

/// The time of day of timestamps.
fn times(found: &ArrayRef, unit: TimeUnit) -> Result<ArrayRef, String> {
    let nanos = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    let day = text::DAY_NANOS / nanos;
    let values = cast(found, &ArrowType::Timestamp(unit, None))?;
    let values = cast(&values, &ArrowType::Int64)?;
    let of_day = |value: i64| value.rem_euclid(day) * nanos;
    Ok(Arc::new(values.as_primitive::<Int64Type>().unary::<_, Time64NanosecondType>(of_day)))
}

/// Fields by name; one that the file lacks is null.
fn row(found: &StructArray, fields: &[Field], wanted: &ArrowType, digits_lost: &mut u64) -> Result<ArrayRef, String> {
    let ArrowType::Struct(types) = wanted else { unreachable!("rows are Arrow structs") };
    if fields.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(found.len(), found.nulls().cloned())));
    }
    let columns = fields
        .iter()
        .map(|field| match found.column_by_name(&field.name) {
            Some(inner) => column(inner, &field.data_type, digits_lost),
            None => Ok(arrow::array::new_null_array(&field.data_type.arrow(), found.len())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    StructArray::try_new(types.clone(), columns, found.nulls().cloned())
        .map(|row| Arc::new(row) as ArrayRef)
        .map_err(|error| error.to_string())
}

fn cast(column: &ArrayRef, wanted: &ArrowType) -> Result<ArrayRef, String> {
    let options = CastOptions { safe: false, format_options: FormatOptions::new() };
    cast_with_options(column, wanted, &options).map_err(|error| error.to_string())
}

trait Reinterpret {
    fn reinterpret_as(&self, wanted: ArrowType) -> Result<ArrayRef, String>;
}

impl Reinterpret for arrow::array::Int64Array {
    /// The same 64 bits under another type.
    fn reinterpret_as(&self, wanted: ArrowType) -> Result<ArrayRef, String> {
        let data = self.to_data().into_builder().data_type(wanted).build().map_err(|error| error.to_string())?;
        Ok(arrow::array::make_array(data))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        DictionaryArray, Int32Array, LargeStringArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt64Array,
    };
    use arrow::datatypes::Int32Type;

    use super::*;

    fn converted(found: ArrayRef, target: &DataType) -> (ArrayRef, u64) {
        let mut lost = 0;
        let column = column(&found, target, &mut lost).expect("converted");
        assert_eq!(column.data_type(), &target.arrow());
        (column, lost)
    }

    #[test]
    fn finer_digits_of_timestamps_are_cut_downwards_and_counted() {
        let found: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![Some(1_001), Some(-1), Some(2_000), None]));
        let (column, lost) = converted(found, &DataType::Timestamp);
        let micros = column.as_primitive::<TimestampMicrosecondType>();
        assert_eq!((micros.value(0), micros.value(1), micros.value(2), lost), (1, -1, 2, 2));
        let zoned: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![5]).with_timezone("+02:00"));
        let (column, _) = converted(zoned, &DataType::Timestamp);
        assert_eq!(column.as_primitive::<TimestampMicrosecondType>().value(0), 5_000);
    }

    #[test]
    fn types_without_a_counterpart_become_the_next_wider() {
        let (column, _) =
            converted(Arc::new(UInt64Array::from(vec![u64::MAX])), &DataType::Decimal { precision: 20, scale: 0 });
        assert_eq!(column.as_primitive::<arrow::datatypes::Decimal128Type>().value(0), i128::from(u64::MAX));
        assert_eq!(type_of(&ArrowType::UInt64), Some(DataType::Decimal { precision: 20, scale: 0 }));
        assert_eq!(type_of(&ArrowType::Decimal256(76, 0)), None);
        let words: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
        let (column, _) = converted(Arc::new(words), &DataType::String);
        assert_eq!(column.as_string::<i32>().value(2), "a");
        let (column, _) = converted(Arc::new(LargeStringArray::from(vec!["x"])), &DataType::String);
        assert_eq!(column.as_string::<i32>().value(0), "x");
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        let mut lost = 0;
        let found: ArrayRef = Arc::new(Int32Array::from(vec![300]));
        assert!(column(&found, &DataType::TinyInt, &mut lost).is_err());
        let found: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        assert!(column(&found, &DataType::Int, &mut lost).is_err());
        assert!(column(&found, &DataType::Array(Box::new(DataType::Int)), &mut lost).is_err());
    }
}
