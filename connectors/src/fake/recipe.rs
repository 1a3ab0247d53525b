//! From options and columns to generators.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, StringArray};
use arrow::datatypes::DataType as ArrowType;
use egret_runtime::config::{Options, Position, Problem, Problems, Value, ValueKind};
use egret_runtime::row::literal::Literals;
use egret_runtime::row::text::days_of;
use egret_runtime::row::{Column, DataType, Field, TableSchema, arrow_fields};

use super::generate::{Calendar, Generator, Pick, SequenceType};
use super::random::{Real, Whole};

/// Most dates that the three date templates may combine to.
const DATES_MAX: usize = 4_000_000;

/// Largest row that may be generated, in bytes: a batch holds at least one, and must stay below what Arrow's offsets
/// can address.
const ROW_BYTES_MAX: usize = 1 << 28;

/// What random values of one table look like.
pub(super) struct Recipe {
    map_size: usize,
    array_size: usize,
    bytes_length: usize,
    string_length: usize,
    strings: Option<StringArray>,
    tinyint: Pick<Whole, i64>,
    smallint: Pick<Whole, i64>,
    int: Pick<Whole, i64>,
    bigint: Pick<Whole, i64>,
    float: Pick<Real, f64>,
    double: Pick<Real, f64>,
    calendar: Arc<Calendar>,
    vector_dimension: usize,
    binary_vector_dimension: usize,
    vector_number: Real,
    /// Columns that get consecutive numbers.
    sequences: Vec<Box<str>>,
}

/// Where the problems of one table go.
pub(super) struct Report<'a> {
    pub(super) block: &'a str,
    pub(super) place: &'a Position,
    pub(super) problems: &'a mut Problems,
    pub(super) warnings: &'a mut Problems,
}

impl Report<'_> {
    /// An error of an option, where it stands or else where the table does.
    pub(super) fn error(&mut self, options: &Options<'_>, option: &str, message: impl Into<String>) {
        let place = options.value(option).map_or(self.place, |value| &value.position).clone();
        self.problems.push(Problem::error(place, message).in_block(self.block).of_option(option));
    }
}

impl Recipe {
    /// Reads the options; what is wrong goes to the report, also when the table could not be read.
    pub(super) fn read(options: &Options<'_>, table: Option<&TableSchema>, report: &mut Report<'_>) -> Self {
        let count = |name: &str| options.count(name).unwrap_or(0);
        let strings = options.texts("string.template").filter(|list| !list.is_empty());
        needs_template(options, "string", strings.is_some(), report);
        Self {
            map_size: count("map.size"),
            array_size: count("array.size"),
            bytes_length: count("bytes.length"),
            string_length: count("string.length"),
            strings: strings.map(StringArray::from),
            tinyint: whole(options, "tinyint", i8::MIN.into(), i8::MAX.into(), report),
            smallint: whole(options, "smallint", i16::MIN.into(), i16::MAX.into(), report),
            int: whole(options, "int", i32::MIN.into(), i32::MAX.into(), report),
            bigint: whole(options, "bigint", i64::MIN, i64::MAX, report),
            float: real(options, "float", f64::from(f32::MAX), report),
            double: real(options, "double", f64::MAX, report),
            calendar: Arc::new(calendar(options, report)),
            vector_dimension: count("vector.dimension"),
            binary_vector_dimension: {
                let bits = count("binary.vector.dimension");
                if bits % 8 != 0 {
                    report.error(options, "binary.vector.dimension", format!("{bits} is not a multiple of 8"));
                }
                bits
            },
            vector_number: range(options, "vector.float.min", "vector.float.max", f64::from(f32::MAX), report),
            sequences: table.map(|table| sequences(options, table, report)).unwrap_or_default(),
        }
    }

    /// A generator for each column; what is wrong goes to the report.
    pub(super) fn generators(&self, table: &TableSchema, report: &mut Report<'_>) -> Vec<Generator> {
        let mut literals = Literals::default();
        let mut generators = Vec::with_capacity(table.columns.len());
        for column in table.columns.iter() {
            let generator = match self.sequence(column) {
                Some(data_type) => Ok(Generator::Sequence(data_type)),
                None => self.generator(&column.data_type, column, &mut literals),
            };
            match generator {
                Ok(generator) => generators.push(generator),
                Err(message) => {
                    let message = format!("column '{}': {message}", column.name);
                    report
                        .problems
                        .push(Problem::error(report.place.clone(), message).in_block(report.block).of_option("schema"));
                }
            }
        }
        let row_bytes = generators.iter().fold(0usize, |sum, generator| sum.saturating_add(generator.cell_bytes()));
        if row_bytes > ROW_BYTES_MAX {
            let message = format!("a row would take about {row_bytes} bytes, at most {ROW_BYTES_MAX} are possible");
            report.problems.push(Problem::error(report.place.clone(), message).in_block(report.block));
        }
        generators
    }

    /// The type of the consecutive numbers that a column gets, if it does.
    fn sequence(&self, column: &Column) -> Option<SequenceType> {
        self.sequences.contains(&column.name).then(|| sequence_type(&column.data_type)).flatten()
    }

    /// A generator for a column of this type, or for a part of `column` that has it.
    fn generator(&self, data_type: &DataType, column: &Column, literals: &mut Literals) -> Result<Generator, String> {
        if let Some(default) = &column.default_value
            && !matches!(data_type, DataType::Null | DataType::Array(_) | DataType::Map(..) | DataType::Row(_))
        {
            return constant(data_type, column, default, literals);
        }
        let scale = column.scale.and_then(|scale| usize::try_from(scale).ok());
        let dimension = scale.unwrap_or(self.vector_dimension);
        Ok(match data_type {
            DataType::Null => Generator::Null,
            DataType::Boolean => Generator::Boolean,
            DataType::TinyInt => Generator::TinyInt(self.tinyint.clone()),
            DataType::SmallInt => Generator::SmallInt(self.smallint.clone()),
            DataType::Int => Generator::Int(self.int.clone()),
            DataType::BigInt => Generator::BigInt(self.bigint.clone()),
            DataType::Float => Generator::Float(with_digits(&self.float, column.scale)),
            DataType::Double => Generator::Double(with_digits(&self.double, column.scale)),
            DataType::Decimal { precision, scale } => Generator::Decimal { precision: *precision, scale: *scale },
            DataType::String => match &self.strings {
                Some(strings) => Generator::TextOf(strings.clone()),
                None => Generator::Text(
                    usize::try_from(column.length).ok().filter(|length| *length > 0).unwrap_or(self.string_length),
                ),
            },
            DataType::Bytes => Generator::Bytes(self.bytes_length),
            DataType::Date => Generator::Date(Arc::clone(&self.calendar)),
            DataType::Time => Generator::Time(Arc::clone(&self.calendar)),
            DataType::Timestamp => Generator::Timestamp(Arc::clone(&self.calendar)),
            DataType::Array(item) => {
                let field = list_field(data_type)?;
                let item = Box::new(self.generator(item, column, literals)?);
                Generator::List { size: self.array_size, item, field }
            }
            DataType::Map(key, value) => self.map(data_type, key, value, column, literals)?,
            DataType::Row(fields) => self.row(fields, column, literals)?,
            DataType::FloatVector => Generator::List {
                size: dimension,
                item: Box::new(Generator::Float(Pick::Range(self.vector_number))),
                field: list_field(data_type)?,
            },
            DataType::BinaryVector => match scale.unwrap_or(self.binary_vector_dimension) {
                bits if bits % 8 == 0 => Generator::BinaryVector(bits / 8),
                bits => return Err(format!("a binary vector of {bits} bits: expected a multiple of 8")),
            },
            DataType::Float16Vector => Generator::HalfVector { dimension, number: self.vector_number, brain: false },
            DataType::BFloat16Vector => Generator::HalfVector { dimension, number: self.vector_number, brain: true },
            DataType::SparseFloatVector => {
                Generator::SparseVector { dimension, number: self.vector_number, entries: entries_field(data_type)? }
            }
        })
    }

    fn map(
        &self,
        data_type: &DataType,
        key: &DataType,
        value: &DataType,
        column: &Column,
        literals: &mut Literals,
    ) -> Result<Generator, String> {
        if matches!(key, DataType::Array(_) | DataType::Map(..) | DataType::Row(_) | DataType::SparseFloatVector) {
            return Err(format!("random maps with keys of type {key} cannot be generated"));
        }
        // A key cannot be null, so a map whose keys are always null has none.
        let size = if *key == DataType::Null { 0 } else { self.map_size };
        Ok(Generator::Map {
            size,
            key: Box::new(self.generator(key, column, literals)?),
            value: Box::new(self.generator(value, column, literals)?),
            entries: entries_field(data_type)?,
        })
    }

    fn row(&self, fields: &[Field], column: &Column, literals: &mut Literals) -> Result<Generator, String> {
        let columns = fields.iter().map(|field| {
            self.generator(&field.data_type, column, literals).map_err(|message| format!("{}: {message}", field.name))
        });
        Ok(Generator::Row { columns: columns.collect::<Result<_, _>>()?, fields: arrow_fields(fields) })
    }
}

impl<R: Clone, T: Clone> Clone for Pick<R, T> {
    fn clone(&self) -> Self {
        match self {
            Self::Range(range) => Self::Range(range.clone()),
            Self::Of(list) => Self::Of(list.clone()),
        }
    }
}

fn list_field(data_type: &DataType) -> Result<arrow::datatypes::FieldRef, String> {
    match data_type.arrow() {
        ArrowType::List(field) => Ok(field),
        _ => Err(format!("{data_type} is not a list")),
    }
}

fn entries_field(data_type: &DataType) -> Result<arrow::datatypes::FieldRef, String> {
    match data_type.arrow() {
        ArrowType::Map(entries, _) => Ok(entries),
        _ => Err(format!("{data_type} is not a map")),
    }
}

/// A column that always has its default value. Bytes are the default's own text, not base64.
fn constant(
    data_type: &DataType,
    column: &Column,
    default: &str,
    literals: &mut Literals,
) -> Result<Generator, String> {
    let cell: ArrayRef = if *data_type == DataType::Bytes {
        Arc::new(BinaryArray::from_vec(vec![default.as_bytes()]))
    } else {
        let position = Position { file: Arc::from(""), line: 0, column: 0 };
        let value = Value { kind: ValueKind::Text(default.into()), position };
        literals
            .cell(&column.name, data_type, &value)
            .map_err(|error| format!("defaultValue: expected {}, found {}", error.expected, error.found))?
    };
    Generator::constant(&cell).map_err(|error| error.to_string())
}

fn with_digits(pick: &Pick<Real, f64>, digits: Option<i32>) -> Pick<Real, f64> {
    match pick {
        Pick::Range(range) => Pick::Range(Real { digits, ..*range }),
        Pick::Of(list) => Pick::Of(list.clone()),
    }
}

fn needs_template(options: &Options<'_>, prefix: &str, given: bool, report: &mut Report<'_>) {
    let mode = format!("{prefix}.fake.mode");
    if options.word(&mode) == Some("TEMPLATE") && !given {
        report.error(options, &mode, format!("TEMPLATE demands '{prefix}.template', a list that is not empty"));
    }
}

fn whole(options: &Options<'_>, prefix: &str, least: i64, most: i64, report: &mut Report<'_>) -> Pick<Whole, i64> {
    let template = format!("{prefix}.template");
    let list = options.integers(&template).filter(|list| !list.is_empty());
    needs_template(options, prefix, list.is_some(), report);
    if let Some(list) = list {
        if let Some(number) = list.iter().find(|number| !(least..=most).contains(number)) {
            report.error(options, &template, format!("{number} is not a {prefix}: expected {least} to {most}"));
        }
        return Pick::Of(list);
    }
    let (min, max) = (format!("{prefix}.min"), format!("{prefix}.max"));
    let range = Whole { min: options.integer(&min).unwrap_or(0), max: options.integer(&max).unwrap_or(0) };
    if range.min > range.max {
        report.error(options, &min, format!("{} is above '{max}' = {}", range.min, range.max));
    }
    Pick::Range(range)
}

fn real(options: &Options<'_>, prefix: &str, most: f64, report: &mut Report<'_>) -> Pick<Real, f64> {
    let template = format!("{prefix}.template");
    let list = options.numbers(&template).filter(|list| !list.is_empty());
    needs_template(options, prefix, list.is_some(), report);
    if let Some(list) = list {
        if let Some(number) = list.iter().find(|number| number.abs() > most) {
            report.error(options, &template, format!("{number} is not a {prefix}: it is too large"));
        }
        return Pick::Of(list);
    }
    Pick::Range(range(options, &format!("{prefix}.min"), &format!("{prefix}.max"), most, report))
}

fn range(options: &Options<'_>, min: &str, max: &str, most: f64, report: &mut Report<'_>) -> Real {
    let mut bound = |name: &str| {
        let number = options.number(name).unwrap_or(0.0);
        // The default, written with the digits of a float, may lie a little above it as a double.
        if number.abs() > most * (1.0 + 1e-7) {
            report.error(options, name, format!("{number} is too large: expected at most {most:e}"));
        }
        number.clamp(-most, most)
    };
    let range = Real { min: bound(min), max: bound(max), digits: None };
    if range.min > range.max {
        report.error(options, min, format!("{} is above '{max}' = {}", range.min, range.max));
    }
    range
}

fn calendar(options: &Options<'_>, report: &mut Report<'_>) -> Calendar {
    use chrono::Datelike as _;

    let mut parts = |name: &str, least: i64, most: i64, default: Vec<i64>| {
        let Some(list) = options.integers(name).filter(|list| !list.is_empty()) else { return default };
        if let Some(number) = list.iter().find(|number| !(least..=most).contains(number)) {
            report.error(options, name, format!("{number} is out of range: expected {least} to {most}"));
            return default;
        }
        list
    };
    let this_year = i64::from(chrono::Local::now().year());
    let years = parts("date.year.template", 1, 9999, vec![this_year]);
    let months = parts("date.month.template", 1, 12, (1..=12).collect());
    let days_of_month = parts("date.day.template", 1, 31, (1..=28).collect());
    let hours = parts("time.hour.template", 0, 23, (0..24).collect());
    let minutes = parts("time.minute.template", 0, 59, (0..60).collect());
    let seconds = parts("time.second.template", 0, 59, (0..60).collect());
    let combinations = years.len().saturating_mul(months.len()).saturating_mul(days_of_month.len());
    let mut days = Vec::new();
    if combinations > DATES_MAX {
        let message = format!("the date templates combine to {combinations} dates, at most {DATES_MAX} are possible");
        report.error(options, "date.year.template", message);
    } else {
        let dates = years.iter().flat_map(|year| months.iter().map(move |month| (*year, *month)));
        for (year, month) in dates {
            // In range, as checked above.
            days.extend(days_of_month.iter().filter_map(|day| days_of(year as i32, month as u32, *day as u32)));
        }
        if days.is_empty() {
            report.error(options, "date.day.template", "none of the months and years has such a day");
        }
    }
    if days.is_empty() {
        days.push(0);
    }
    Calendar { days, hours, minutes, seconds }
}

fn sequence_type(data_type: &DataType) -> Option<SequenceType> {
    match data_type {
        DataType::TinyInt => Some(SequenceType::TinyInt),
        DataType::SmallInt => Some(SequenceType::SmallInt),
        DataType::Int => Some(SequenceType::Int),
        DataType::BigInt => Some(SequenceType::BigInt),
        _ => None,
    }
}

/// The columns that get consecutive numbers: those of the primary key that are whole numbers.
fn sequences(options: &Options<'_>, table: &TableSchema, report: &mut Report<'_>) -> Vec<Box<str>> {
    if options.boolean("auto.increment.enabled") != Some(true) {
        return Vec::new();
    }
    let key = table.primary_key.iter().flat_map(|key| &key.columns);
    let whole = |name: &str| {
        let column = table.index_of(name).map(|index| &table.columns[index]);
        column.is_some_and(|column| sequence_type(&column.data_type).is_some())
    };
    let columns: Vec<Box<str>> = key.filter(|name| whole(name)).cloned().collect();
    if columns.is_empty() {
        let place = options.value("auto.increment.enabled").map_or(report.place, |value| &value.position).clone();
        let message = "has no effect: the schema has no primary key with a whole-number column";
        let warning = Problem::warning(place, message).in_block(report.block).of_option("auto.increment.enabled");
        report.warnings.push(warning.with_help("add for example primaryKey { name = pk, columnNames = [id] }"));
    }
    columns
}

/// The largest number that the sequences of a table may reach, `None` without one.
pub(super) fn sequence_max(generators: &[Generator]) -> Option<i64> {
    let most = |generator: &Generator| match generator {
        Generator::Sequence(SequenceType::TinyInt) => Some(i8::MAX.into()),
        Generator::Sequence(SequenceType::SmallInt) => Some(i16::MAX.into()),
        Generator::Sequence(SequenceType::Int) => Some(i32::MAX.into()),
        Generator::Sequence(SequenceType::BigInt) => Some(i64::MAX),
        _ => None,
    };
    generators.iter().filter_map(most).min()
}
