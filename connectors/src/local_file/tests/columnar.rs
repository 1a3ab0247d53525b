//! Reading orc and parquet: columns by name, the types of a schema, and restarts.

use std::fs::File;
use std::path::Path;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    StringArray, TimestampMicrosecondArray,
};

use super::reading::read_by_restarts;
use super::*;

fn flat(rows: i32) -> RecordBatch {
    let numbers = || (0..rows).map(|row| (row % 3 != 2).then_some(row));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("b", Arc::new(Int8Array::from_iter(numbers().map(|number| number.map(|number| (number % 100) as i8))))),
        ("s", Arc::new(Int16Array::from_iter(numbers().map(|number| number.map(|number| number as i16))))),
        ("i", Arc::new(Int32Array::from_iter(numbers()))),
        ("l", Arc::new(Int64Array::from_iter(numbers().map(|number| number.map(|number| i64::from(number) << 33))))),
        ("f", Arc::new(Float32Array::from_iter(numbers().map(|number| number.map(|number| number as f32 / 4.0))))),
        ("d", Arc::new(Float64Array::from_iter(numbers().map(|number| number.map(|number| f64::from(number) / 8.0))))),
        ("ok", Arc::new(BooleanArray::from_iter(numbers().map(|number| number.map(|number| number % 2 == 0))))),
        ("t", Arc::new(StringArray::from_iter(numbers().map(|number| number.map(|number| format!("row {number}")))))),
        (
            "raw",
            Arc::new(BinaryArray::from_iter(numbers().map(|number| number.map(|number| vec![b'a', number as u8])))),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .expect("rows")
}

fn write_orc(path: &Path, rows: &RecordBatch, stripe_rows: usize) {
    let file = File::create(path).expect("a file");
    let mut writer = orc_rust::ArrowWriterBuilder::new(file, rows.schema())
        .with_stripe_byte_size(1)
        .with_batch_size(stripe_rows)
        .try_build()
        .expect("a writer");
    let mut start = 0;
    while start < rows.num_rows() {
        let count = stripe_rows.min(rows.num_rows() - start);
        writer.write(&rows.slice(start, count)).expect("written");
        start += count;
    }
    writer.close().expect("closed");
}

fn write_parquet(path: &Path, rows: &RecordBatch) {
    let file = File::create(path).expect("a file");
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, rows.schema(), None).expect("a writer");
    writer.write(rows).expect("written");
    writer.close().expect("closed");
}

#[test]
fn orc_files_bring_their_columns() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("k=v")).expect("a folder");
    write_orc(&folder.path().join("k=v/a.orc"), &flat(10), 4);
    let options = format!("path = \"{}\", file_format_type = orc", folder.path().display());
    let rows = read(&options);
    let expected = shown(&flat(10));
    let with = |mut row: Vec<String>| {
        row.push("v".into());
        row
    };
    assert_eq!(shown(&rows), expected.into_iter().map(with).collect::<Vec<_>>());
    let rows = read(&format!("{options}, read_columns = [t, i]"));
    assert_eq!(shown(&rows)[1], ["row 1", "1", "v"]);
    let problems = source_problems(&format!("{options}, read_columns = [tt]"));
    assert!(problems.contains("there is no column 'tt'"), "{problems}");
}

#[test]
fn a_schema_changes_the_types_of_columns() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut columns: Vec<(String, ArrayRef)> = flat(2)
        .schema()
        .fields()
        .iter()
        .zip(flat(2).columns())
        .map(|(field, column)| (field.name().clone(), Arc::clone(column)))
        .collect();
    write_orc(&folder.path().join("a.orc"), &flat(2), 10);
    // 2024-01-31T16:00:48.5 and a time before 1970.
    let times = TimestampMicrosecondArray::from(vec![Some(1_706_716_848_500_000), Some(-1)]);
    columns.push(("at".into(), Arc::new(times.clone())));
    columns.push(("day".into(), Arc::new(times)));
    let rows = RecordBatch::try_from_iter(columns).expect("rows");
    write_parquet(&folder.path().join("a.parquet"), &rows);
    for format in ["orc", "parquet"] {
        let source = plan_source(&format!(
            "path = \"{}/a.{format}\", file_format_type = {format}\n\
             schema.fields {{ f = string, s = bigint, i = \"decimal(10, 2)\", ok = int, new = int, at = time, day = date, raw = string }}",
            folder.path().display()
        ))
        .expect("a plan");
        let types: Vec<String> =
            source.tables()[0].columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
        let mut expected = vec![
            "b TINYINT",
            "s BIGINT",
            "i Decimal(10, 2)",
            "l BIGINT",
            "f STRING",
            "d DOUBLE",
            "ok BOOLEAN",
            "t STRING",
            "raw STRING",
        ];
        // A boolean is no number: the column stays as it is.
        let mut values = vec!["1", "1", "1.00", "8589934592", "0.25", "0.125", "false", "row 1", "a\u{1}"];
        if format == "parquet" {
            expected.extend(["at TIME", "day DATE", "new INT"]);
            values.extend(["23:59:59.999999", "1969-12-31", "-"]);
        } else {
            expected.extend(["new INT", "at TIME", "day DATE"]);
            values.extend(["-", "-", "-"]);
        }
        assert_eq!(types, expected, "{format}");
        assert_eq!(shown(&read_rows(&source))[1], values, "{format}");
    }
}

#[test]
fn values_that_do_not_fit_the_schema_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    write_orc(&folder.path().join("a.orc"), &flat(5), 10);
    let error = read_error(&format!(
        "path = \"{}\", file_format_type = orc, schema.fields {{ l = int }}",
        folder.path().display()
    ));
    assert!(error.contains("a.orc as orc: rows from 1: column 'l': "), "{error}");
}

#[test]
fn orc_files_of_many_stripes_are_restored_where_they_stood() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = flat(12_000);
    write_orc(&folder.path().join("a.orc"), &rows, 5000);
    let source =
        plan_source(&format!("path = \"{}\", file_format_type = orc", folder.path().display())).expect("a plan");
    let batches = read_by_restarts(&source);
    assert!(batches.len() > 3);
    let found = concat_batches(source.tables()[0].arrow(), &batches).expect("one batch");
    assert_eq!(shown(&found), shown(&rows));
}

#[test]
fn broken_files_are_told_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    write_orc(&folder.path().join("a.orc"), &flat(100), 50);
    let options = |file: &str| {
        format!("path = \"{}/{file}\", file_format_type = orc, schema.fields {{ i = int }}", folder.path().display())
    };
    let whole = std::fs::read(folder.path().join("a.orc")).expect("a file");
    let source = plan_source(&options("a.orc")).expect("a plan");
    // Whatever byte is broken, a reader ends: with rows, or with an error that names the file.
    for at in (0..whole.len()).step_by(7) {
        let mut broken = whole.clone();
        broken[at] ^= 0xff;
        std::fs::write(folder.path().join("a.orc"), &broken).expect("write");
        if let Err(error) = read_batches(&source) {
            assert!(error.to_string().contains("a.orc"), "{error}");
        }
    }
    for text in ["", "x", "no orc file at all"] {
        std::fs::write(folder.path().join("b.orc"), text).expect("write");
        if !text.is_empty() {
            assert!(source_problems(&options("b.orc")).contains("b.orc as orc"));
        }
    }
}

/// Metadata may promise what no file holds: two billion booleans in six bytes, a hundred times.
#[test]
fn a_parquet_file_that_promises_more_than_it_has_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    write_parquet(&path, &flat(100));
    let options = format!("path = \"{}\", file_format_type = parquet", path.display());
    let source = plan_source(&options).expect("a plan");
    let mut bytes = std::fs::read(&path).expect("a file");
    let footer = bytes.split_off(bytes.len() - 8);
    let metadata_bytes = u32::from_le_bytes([footer[0], footer[1], footer[2], footer[3]]);
    // Unknown fields in front of the end of the metadata: each has the number 100 in full, and is a list.
    assert_eq!(bytes.pop(), Some(0));
    let lists = [0x09, 0xc8, 0x01, 0xf2, 0xff, 0xff, 0xff, 0xff, 0x07].repeat(100);
    bytes.extend_from_slice(&lists);
    bytes.push(0);
    bytes.extend_from_slice(&(metadata_bytes + lists.len() as u32).to_le_bytes());
    bytes.extend_from_slice(b"PAR1");
    std::fs::write(&path, bytes).expect("write");
    let told = "promises more values than it has bytes";
    assert!(source_problems(&options).contains(told));
    assert!(read_batches(&source).expect_err("promises").to_string().contains(told));
}

#[test]
fn a_folder_without_files_gives_no_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    for format in ["orc", "parquet", "json", "binary"] {
        let schema = if format == "json" { "schema {}" } else { "" };
        let source =
            plan_source(&format!("path = \"{}\", file_format_type = {format}\n{schema}", folder.path().display()))
                .unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(read_rows(&source).num_rows(), 0, "{format}");
    }
}
