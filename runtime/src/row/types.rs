//! The type system of job configs (contract C.6) and its shape in Arrow.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Fields as ArrowFields, TimeUnit};

/// A column's type as a job config names it.
///
/// Every type has exactly one Arrow shape, [`DataType::arrow`]. The reverse does not hold (a float vector and an
/// `array<float>` are both Arrow lists), so schemas carry this type beside the Arrow one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// `null`: a column in which every value is null.
    Null,
    /// `boolean`.
    Boolean,
    /// `tinyint`, `byte`: 8 bits, signed.
    TinyInt,
    /// `smallint`, `short`: 16 bits, signed.
    SmallInt,
    /// `int`: 32 bits, signed.
    Int,
    /// `bigint`, `long`: 64 bits, signed.
    BigInt,
    /// `float`: IEEE 754 single precision.
    Float,
    /// `double`: IEEE 754 double precision.
    Double,
    /// `decimal(precision, scale)`, precision at most 38.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits behind the point, 0 to `precision`.
        scale: i8,
    },
    /// `string`.
    String,
    /// `bytes`.
    Bytes,
    /// `date`: days since 1970-01-01.
    Date,
    /// `time`: nanoseconds since midnight, without a zone.
    Time,
    /// `timestamp`: microseconds since 1970-01-01T00:00:00, without a zone; years 1 to 9999 fit.
    Timestamp,
    /// `array<T>`.
    Array(Box<DataType>),
    /// `map<K, V>`.
    Map(Box<DataType>, Box<DataType>),
    /// `{ name = T, ... }`.
    Row(Arc<[Field]>),
    /// `float_vector`: a list of floats.
    FloatVector,
    /// `binary_vector`: packed bits.
    BinaryVector,
    /// `float16_vector`: packed IEEE half floats, two bytes each, big endian as in a Java buffer.
    Float16Vector,
    /// `bfloat16_vector`: packed brain floats, two bytes each, big endian as in a Java buffer.
    BFloat16Vector,
    /// `sparse_float_vector`: dimension to value.
    SparseFloatVector,
}

/// A named part of a [`DataType::Row`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Name as written in the config.
    pub name: Box<str>,
    /// Type of the part; its values may always be null.
    pub data_type: DataType,
}

impl DataType {
    /// The Arrow type that holds values of this type.
    pub fn arrow(&self) -> ArrowType {
        match self {
            Self::Null => ArrowType::Null,
            Self::Boolean => ArrowType::Boolean,
            Self::TinyInt => ArrowType::Int8,
            Self::SmallInt => ArrowType::Int16,
            Self::Int => ArrowType::Int32,
            Self::BigInt => ArrowType::Int64,
            Self::Float => ArrowType::Float32,
            Self::Double => ArrowType::Float64,
            Self::Decimal { precision, scale } => ArrowType::Decimal128(*precision, *scale),
            Self::String => ArrowType::Utf8,
            Self::Bytes | Self::BinaryVector | Self::Float16Vector | Self::BFloat16Vector => ArrowType::Binary,
            Self::Date => ArrowType::Date32,
            Self::Time => ArrowType::Time64(TimeUnit::Nanosecond),
            Self::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, None),
            Self::Array(item) => ArrowType::List(Arc::new(ArrowField::new("item", item.arrow(), true))),
            Self::FloatVector => ArrowType::List(Arc::new(ArrowField::new("item", ArrowType::Float32, true))),
            Self::Map(key, value) => map_type(key.arrow(), value.arrow()),
            Self::SparseFloatVector => map_type(ArrowType::Int32, ArrowType::Float32),
            Self::Row(fields) => ArrowType::Struct(arrow_fields(fields)),
        }
    }

    /// Whether values are numbers (integers, floats, decimals).
    pub fn is_numeric(&self) -> bool {
        matches!(
            self,
            Self::TinyInt
                | Self::SmallInt
                | Self::Int
                | Self::BigInt
                | Self::Float
                | Self::Double
                | Self::Decimal { .. }
        )
    }

    /// Whether values are integers.
    pub fn is_integer(&self) -> bool {
        matches!(self, Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt)
    }
}

fn map_type(key: ArrowType, value: ArrowType) -> ArrowType {
    let entries = ArrowFields::from(vec![ArrowField::new("key", key, false), ArrowField::new("value", value, true)]);
    ArrowType::Map(Arc::new(ArrowField::new("entries", ArrowType::Struct(entries), false)), false)
}

/// The Arrow fields of a row type, all nullable.
pub fn arrow_fields(fields: &[Field]) -> ArrowFields {
    fields.iter().map(|field| ArrowField::new(field.name.as_ref(), field.data_type.arrow(), true)).collect()
}

/// Writes the type as the console and the Assert sink name it: `STRING`, `Decimal(10, 2)`, `ARRAY<INT>`,
/// `Map<STRING, INT>`, `ROW<a INT,b STRING>` (contract D.2).
impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "Decimal({precision}, {scale})"),
            Self::String => f.write_str("STRING"),
            Self::Bytes => f.write_str("BYTES"),
            Self::Date => f.write_str("DATE"),
            Self::Time => f.write_str("TIME"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::Array(item) => write!(f, "ARRAY<{item}>"),
            Self::Map(key, value) => write!(f, "Map<{key}, {value}>"),
            Self::Row(fields) => {
                f.write_str("ROW<")?;
                for (index, field) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{} {}", field.name, field.data_type)?;
                }
                f.write_str(">")
            }
            Self::FloatVector => f.write_str("FLOAT_VECTOR"),
            Self::BinaryVector => f.write_str("BINARY_VECTOR"),
            Self::Float16Vector => f.write_str("FLOAT16_VECTOR"),
            Self::BFloat16Vector => f.write_str("BFLOAT16_VECTOR"),
            Self::SparseFloatVector => f.write_str("SPARSE_FLOAT_VECTOR"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_print_as_the_console_names_them() {
        let row = DataType::Row(Arc::from([
            Field { name: "a".into(), data_type: DataType::Int },
            Field { name: "b".into(), data_type: DataType::String },
        ]));
        let map = DataType::Map(Box::new(DataType::String), Box::new(row));
        assert_eq!(map.to_string(), "Map<STRING, ROW<a INT,b STRING>>");
        assert_eq!(DataType::Decimal { precision: 10, scale: 2 }.to_string(), "Decimal(10, 2)");
    }
}
