use arrow::array::{ArrayRef, StringArray};
use proptest::prelude::*;

use super::*;
use egret_runtime::row::ColumnBuilder;

/// A column of every type that the text formats can hold, and its spelling in a config.
pub(in crate::local_file) fn all_columns() -> (Vec<Column>, String) {
    let row = DataType::Row(Arc::from([
        Field { name: "x".into(), data_type: DataType::Int },
        Field { name: "y".into(), data_type: DataType::Array(Box::new(DataType::String)) },
        Field { name: "z".into(), data_type: DataType::Map(Box::new(DataType::String), Box::new(DataType::Double)) },
    ]));
    let types = [
        ("boolean", DataType::Boolean),
        ("tinyint", DataType::TinyInt),
        ("smallint", DataType::SmallInt),
        ("int", DataType::Int),
        ("bigint", DataType::BigInt),
        ("float", DataType::Float),
        ("double", DataType::Double),
        ("\"decimal(38, 18)\"", DataType::Decimal { precision: 38, scale: 18 }),
        ("string", DataType::String),
        ("bytes", DataType::Bytes),
        ("date", DataType::Date),
        ("time", DataType::Time),
        ("timestamp", DataType::Timestamp),
        ("\"null\"", DataType::Null),
        ("\"array<int>\"", DataType::Array(Box::new(DataType::Int))),
        ("\"map<string, int>\"", DataType::Map(Box::new(DataType::String), Box::new(DataType::Int))),
        ("{ x = int, y = \"array<string>\", z = \"map<string, double>\" }", row),
    ];
    let columns = types.iter().enumerate().map(|(index, (_, kind))| Column::new(&format!("c{index}"), kind.clone()));
    let config: Vec<String> = types.iter().enumerate().map(|(index, (text, _))| format!("c{index} = {text}")).collect();
    (columns.collect(), config.join(", "))
}

/// Appends the `n`-th value of a type; every seventh is null.
fn append(builder: &mut ColumnBuilder, n: usize) {
    if n % 7 == 6 {
        return builder.append_null();
    }
    let sign = if n.is_multiple_of(2) { 1 } else { -1 };
    match builder {
        ColumnBuilder::Null(rows) => *rows += 1,
        ColumnBuilder::Boolean(builder) => builder.append_value(n.is_multiple_of(3)),
        ColumnBuilder::TinyInt(builder) => builder.append_value([0, i8::MIN, i8::MAX, 5][n % 4]),
        ColumnBuilder::SmallInt(builder) => builder.append_value([0, i16::MIN, i16::MAX, 5][n % 4]),
        ColumnBuilder::Int(builder) => builder.append_value([0, i32::MIN, i32::MAX, 5][n % 4]),
        ColumnBuilder::BigInt(builder) => builder.append_value([0, i64::MIN, i64::MAX, 5][n % 4]),
        ColumnBuilder::Float(builder) => builder.append_value([0.1, f32::MAX, -1.5e-30, 3.0][n % 4]),
        ColumnBuilder::Double(builder) => builder.append_value([0.1, f64::MAX, -1.5e-300, 1e7][n % 4]),
        ColumnBuilder::Decimal { builder, .. } => builder.append_value(sign * (10i128.pow(37) / (n as i128 + 1))),
        ColumnBuilder::String(builder) => {
            builder.append_value(["plain", "quote \" and, comma", "übergröße 😀", " blank "][n % 4]);
        }
        ColumnBuilder::Bytes(builder) => builder.append_value(["bytes", "\"x\"", "a,b"][n % 3]),
        ColumnBuilder::Date(builder) => builder.append_value([0, -719_162, 2_932_896, 19_000][n % 4]),
        ColumnBuilder::Time(builder) => builder.append_value([0, 1, 86_399_999_999_999, 3_600_000_000_000][n % 4]),
        ColumnBuilder::Timestamp(builder) => {
            builder.append_value([0, -62_135_596_800_000_000, 253_402_300_799_999_999, 1_500_000][n % 4]);
        }
        ColumnBuilder::List(list) => {
            for item in 0..=n % 3 {
                append(&mut list.items, item + 1);
            }
            list.append(true);
        }
        ColumnBuilder::Map(map) => {
            for entry in 0..=n % 3 {
                let ColumnBuilder::String(keys) = map.keys.as_mut() else { panic!("text keys") };
                keys.append_value(format!("k{entry}"));
                append(&mut map.values, entry + 1);
            }
            map.append(true);
        }
        ColumnBuilder::Row(row) => {
            for (index, field) in row.fields.iter_mut().enumerate() {
                append(field, index + 1);
            }
            row.append(true);
        }
    }
}

pub(in crate::local_file) fn all_rows(columns: &[Column], rows: usize) -> RecordBatch {
    let arrays: Vec<ArrayRef> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let mut builder = ColumnBuilder::new(&column.data_type, rows);
            (0..rows).for_each(|row| append(&mut builder, row + index));
            builder.finish()
        })
        .collect();
    RecordBatch::try_new(Arc::clone(table(columns.to_vec()).arrow()), arrays).expect("rows")
}

#[test]
fn every_type_round_trips_in_every_format() {
    let (columns, config) = all_columns();
    let rows = all_rows(&columns, 10_000);
    for (format, more) in [
        ("csv", "enable_header_write = true"),
        ("text", "row_delimiter = \"\\r\\n\""),
        ("text", "field_delimiter = \"||\""),
        ("json", ""),
        ("parquet", ""),
        ("parquet", "compress_codec = snappy"),
        ("parquet", "compress_codec = gzip"),
        ("parquet", "compress_codec = zstd"),
        ("parquet", "compress_codec = lz4"),
        ("parquet", "compress_codec = brotli"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out").display().to_string();
        let options = format!("path = \"{path}\", file_format_type = {format}, batch_size = 3000, {more}");
        let (sink, _) = plan_sink(&options, &[table(columns.clone())]).unwrap_or_else(|problems| panic!("{problems}"));
        let batches = [0usize, 4096, 8192].map(|at| inserts(rows.slice(at, 4096.min(10_000 - at))));
        write(&sink, batches.to_vec()).unwrap_or_else(|error| panic!("{format} {more}: {error}"));
        assert_eq!(files(folder.path()).len(), 4, "{format} {more}: {:?}", files(folder.path()));
        let delimiter = if more.contains("||") { "field_delimiter = \"\\\\|\\\\|\"" } else { "" };
        let skip = if more.contains("header") { "skip_header_row_number = 1" } else { "" };
        let source = plan_source(&format!(
            "path = \"{path}\", file_format_type = {format}, {delimiter}\n {skip}\n schema.fields {{ {config} }}"
        ))
        .unwrap_or_else(|problems| panic!("{problems}"));
        let found = read_rows(&source);
        for (index, column) in columns.iter().enumerate() {
            assert_eq!(found.column(index), rows.column(index), "{format} {more}: {}", column.data_type);
        }
    }
}

#[test]
fn parquet_brings_its_own_schema() {
    let (columns, _) = all_columns();
    let rows = all_rows(&columns, 100);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display();
    let (sink, _) = plan_sink(&format!("path = \"{path}\", file_format_type = parquet"), &[table(columns.clone())])
        .unwrap_or_else(|problems| panic!("{problems}"));
    write(&sink, vec![inserts(rows.clone())]).expect("written");
    let source = plan_source(&format!("path = \"{path}\", file_format_type = parquet")).expect("a plan");
    assert_eq!(source.tables()[0].columns.to_vec(), columns);
    assert_eq!(read_rows(&source), rows);
    let some = read(&format!("path = \"{path}\", file_format_type = parquet, read_columns = [c8, c3]"));
    assert_eq!(some.column(0), rows.column(8));
    assert_eq!(some.column(1), rows.column(3));
    let wider =
        read(&format!("path = \"{path}\", file_format_type = parquet, schema.fields {{ c3 = bigint, new = int }}"));
    // All columns of the file, with the types of the schema where it names them.
    assert_eq!(wider.num_columns(), rows.num_columns() + 1);
    assert_eq!(wider.column_by_name("new").map(|column| column.null_count()), Some(100));
    assert_eq!(wider.column_by_name("c3").map(|column| column.data_type().clone()), Some(DataType::BigInt.arrow()));
    assert_eq!(shown(&wider)[1][3], shown(&rows)[1][3]);
}

#[test]
fn a_restored_split_of_parquet_goes_on_at_its_row() {
    let columns = vec![Column::new("a", DataType::Int), Column::new("b", DataType::String)];
    let rows = all_rows(&columns, 10_000);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display();
    let options = format!("path = \"{path}\", file_format_type = parquet");
    let (sink, _) = plan_sink(&options, &[table(columns)]).unwrap_or_else(|problems| panic!("{problems}"));
    write(&sink, vec![inserts(rows.clone())]).expect("written");
    let source = plan_source(&options).expect("a plan");
    let found = super::reading::read_by_restarts(&source);
    assert_eq!(found.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [4096, 4096, 1808]);
    assert_eq!(concat_batches(source.tables()[0].arrow(), &found).expect("one batch"), rows);
}

#[test]
fn large_rows_of_parquet_come_in_small_batches() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display();
    let table = table(vec![Column::new("a", DataType::String)]);
    let column: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..64).map(|row| format!("{row}{}", "x".repeat(100_000)))));
    let rows = RecordBatch::try_new(Arc::clone(table.arrow()), vec![column]).expect("rows");
    let options = format!("path = \"{path}\", file_format_type = parquet");
    let (sink, _) = plan_sink(&options, &[table]).unwrap_or_else(|problems| panic!("{problems}"));
    write(&sink, vec![inserts(rows.clone())]).expect("written");
    let source = plan_source(&options).expect("a plan");
    let batches = read_batches(&source).expect("rows");
    assert!(batches.iter().all(|batch| batch.len() <= 10), "{}", batches[0].len());
    assert_eq!(read_rows(&source), rows);
}

#[test]
fn a_parquet_file_that_is_cut_off_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    for text in ["PAR1", "PAR1xxxxPAR1", "PAR1\u{0}\u{0}\u{0}\u{7f}PAR1", "no parquet at all"] {
        std::fs::write(&path, text).expect("write");
        let options = format!("path = \"{}\", file_format_type = parquet", folder.path().display());
        assert!(plan_source(&options).is_err(), "{text:?}");
        // A whole file before it, so that the plan succeeds.
        let whole = std::fs::File::create(folder.path().join("0.parquet")).expect("a file");
        let rows = all_rows(&[Column::new("a", DataType::Int)], 1);
        let mut writer = parquet::arrow::ArrowWriter::try_new(whole, rows.schema(), None).expect("a writer");
        writer.write(&rows).expect("written");
        writer.close().expect("closed");
        assert!(read_error(&options).contains("a.parquet as parquet"), "{text:?}");
        std::fs::remove_file(folder.path().join("0.parquet")).expect("removed");
    }
}

#[test]
fn outdated_parquet_times_are_read_in_every_year() {
    use parquet::data_type::{Int96, Int96Type};
    use parquet::file::writer::SerializedFileWriter;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let schema = parquet::schema::parser::parse_message_type("message m { required int96 at; }").expect("a schema");
    let file = std::fs::File::create(&path).expect("a file");
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    let mut column = group.next_column().expect("no failure").expect("a column");
    // Julian days of 1970-01-01, 0001-01-01 and 9999-12-31.
    let times = [2_440_588u32, 1_721_426, 5_373_484].map(|day| {
        let mut time = Int96::new();
        time.set_data(1_000_000_000, 0, day);
        time
    });
    column.typed::<Int96Type>().write_batch(&times, None, None).expect("written");
    column.close().expect("closed");
    group.close().expect("closed");
    writer.close().expect("closed");
    let rows = read(&format!("path = \"{}\", file_format_type = parquet", path.display()));
    assert_eq!(shown(&rows), [["1970-01-01T00:00:01"], ["0001-01-01T00:00:01"], ["9999-12-31T00:00:01"]]);
}

#[test]
fn timestamps_written_as_outdated_times_are_read_back() {
    use parquet::basic::Type;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display();
    let nested = "r = { at = timestamp, l = \"array<timestamp>\" }, m = \"map<string, timestamp>\"";
    let fields = format!("at = timestamp, d = \"decimal(28, 3)\", s = string, {nested}");
    let rows = r#"{"at":"0001-01-01 00:00:00","d":1.5,"s":"a","r":{"at":"1969-12-31 23:59:59.999999","l":[]},"m":{"k":"2024-02-29 01:02:03"}}
{"at":null,"d":null,"s":null,"r":null,"m":null}
{"at":"9999-12-31 23:59:59.999999","d":2,"s":"b","r":{"at":null,"l":["1970-01-01 00:00:00",null]},"m":{}}"#;
    std::fs::write(folder.path().join("in.json"), rows).expect("a file");
    let source =
        plan_source(&format!("path = \"{path}/in.json\", file_format_type = json, schema.fields {{ {fields} }}"))
            .unwrap_or_else(|problems| panic!("{problems}"));
    let rows = read_rows(&source);
    let options =
        format!("path = \"{path}/out\", file_format_type = parquet, parquet_avro_write_timestamp_as_int96 = true");
    let (sink, _) = plan_sink(&options, source.tables()).expect("a sink");
    write(&sink, vec![inserts(rows.clone())]).expect("written");
    let file = std::fs::read_dir(folder.path().join("out")).expect("a folder");
    let file = file.map(|entry| entry.expect("a file").path()).find(|path| path.is_file()).expect("a file");
    let reader = SerializedFileReader::new(std::fs::File::open(file).expect("a file")).expect("parquet");
    let types: Vec<Type> =
        reader.metadata().file_metadata().schema_descr().columns().iter().map(|leaf| leaf.physical_type()).collect();
    assert_eq!(types.iter().filter(|found| **found == Type::INT96).count(), 4, "{types:?}");
    assert_eq!(types.iter().filter(|found| **found == Type::FIXED_LEN_BYTE_ARRAY).count(), 1, "the decimal");
    assert_eq!(shown(&read(&format!("path = \"{path}/out\", file_format_type = parquet"))), shown(&rows));
}

fn strings_round_trip(format: &str, values: &[(Option<String>, Option<String>)]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display();
    let table = table(vec![Column::new("a", DataType::String), Column::new("b \"x\"", DataType::String)]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter(values.iter().map(|pair| pair.0.as_deref()))),
        Arc::new(StringArray::from_iter(values.iter().map(|pair| pair.1.as_deref()))),
    ];
    let rows = RecordBatch::try_new(Arc::clone(table.arrow()), columns).expect("rows");
    let (sink, _) = plan_sink(&format!("path = \"{path}\", file_format_type = {format}"), &[table]).expect("a sink");
    write(&sink, vec![inserts(rows.clone())]).expect("written");
    let found = read(&format!(
        "path = \"{path}\", file_format_type = {format}, schema.fields {{ a = string, \"b \\\"x\\\"\" = string }}"
    ));
    prop_assert_eq!(found.columns(), rows.columns());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn csv_and_json_keep_every_text(
        values in proptest::collection::vec(
            (proptest::option::of("([a,\"\n\r\\\\ \u{0}é]|\\PC){0,6}"), proptest::option::of("[,\"\n\r]{0,3}")), 1..6)
    ) {
        strings_round_trip("csv", &values)?;
        strings_round_trip("json", &values)?;
        strings_round_trip("parquet", &values)?;
    }

    #[test]
    fn text_keeps_every_text_without_its_delimiters(
        values in proptest::collection::vec(
            (proptest::option::of("[a,\"\\\\ é]{1,6}"), proptest::option::of("[a,\" ]{1,3}")), 1..6)
    ) {
        strings_round_trip("text", &values)?;
    }
}

#[test]
fn a_single_column_keeps_its_last_null() {
    for format in ["csv", "text", "json"] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().display();
        let table = table(vec![Column::new("a", DataType::Int)]);
        let column: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![Some(1), None, None]));
        let rows = RecordBatch::try_new(Arc::clone(table.arrow()), vec![column]).expect("rows");
        let (sink, _) =
            plan_sink(&format!("path = \"{path}\", file_format_type = {format}"), &[table]).expect("a sink");
        write(&sink, vec![inserts(rows.clone())]).expect("written");
        let found = read(&format!("path = \"{path}\", file_format_type = {format}, schema.fields {{ a = int }}"));
        assert_eq!(found.columns(), rows.columns(), "{format}");
    }
}
