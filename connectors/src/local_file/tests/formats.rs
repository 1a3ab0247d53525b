//! Formats, encodings and compression of the sink.

use std::fs;
use std::path::Path;

use arrow::array::{ArrayRef, BinaryArray, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use calamine::{Data, Reader as _};

use super::round_trip::{all_columns, all_rows};
use super::*;

fn two_columns() -> Arc<TableSchema> {
    table(vec![Column::new("name", DataType::String), Column::new("n", DataType::Int)])
}

fn rows(names: &[Option<&str>]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(names.to_vec())),
        Arc::new(Int32Array::from_iter_values(0..names.len() as i32)),
    ];
    RecordBatch::try_new(Arc::clone(two_columns().arrow()), columns).expect("rows")
}

/// Writes rows and answers the only file with its name.
fn written(options: &str, names: &[Option<&str>]) -> (String, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let options = format!("path = \"{}\", {options}", folder.path().display());
    let (sink, _) = plan_sink(&options, &[two_columns()]).unwrap_or_else(|problems| panic!("{problems}"));
    let batches = if names.is_empty() { Vec::new() } else { vec![inserts(rows(names))] };
    write(&sink, batches).unwrap_or_else(|error| panic!("{options}: {error}"));
    only_file(folder.path())
}

fn only_file(folder: &Path) -> (String, Vec<u8>) {
    let found = files(folder);
    assert_eq!(found.len(), 1, "{found:?}");
    (found[0].clone(), fs::read(folder.join(&found[0])).expect("bytes"))
}

#[test]
fn text_is_written_in_the_encoding() {
    let names = [Some("测试"), Some("a😀")];
    assert_eq!(written("encoding = gbk", &names).1, b"\xb2\xe2\xca\xd4,0\na?,1");
    let utf16 = written("encoding = \"UTF-16\", file_format_type = text, field_delimiter = \";\"", &[Some("é")]).1;
    assert_eq!(utf16, [0xfe, 0xff, 0, 0xe9, 0, b';', 0, b'0']);
    let json = written("encoding = \"ISO-8859-1\", file_format_type = json", &[Some("é")]).1;
    assert_eq!(json, b"{\"name\":\"\xe9\",\"n\":0}");
    let xml = "encoding = gbk, file_format_type = xml, xml_use_attr_format = true";
    let xml = written(xml, &names).1;
    let expected =
        b"<?xml version=\"1.0\" encoding=\"gbk\"?>\n\n<RECORDS>\n\t<RECORD name=\"\xb2\xe2\xca\xd4\" n=\"0\"/>";
    assert!(xml.starts_with(expected), "{}", String::from_utf8_lossy(&xml));
    assert!(xml.ends_with(b"name=\"a&#128512;\" n=\"1\"/>\n</RECORDS>\n"), "{}", String::from_utf8_lossy(&xml));
}

#[test]
fn characters_that_the_encoding_lacks_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = format!("path = \"{}\", encoding = latin1", folder.path().display());
    let (sink, _) = plan_sink(&options, &[two_columns()]).expect("a sink");
    let context = task(0, 1);
    run(|| async {
        let mut writer = sink.writer(&context).expect("a writer");
        writer.write(inserts(rows(&[Some("测试"), Some("é")]))).await.expect("written");
        writer.abort().await;
    });
    assert_eq!(context.probe.stats().warnings.get(), 2);
}

#[test]
fn xml_has_elements_or_attributes() {
    let names = [Some("a<b>"), None, Some("")];
    let (name, elements) = written("file_format_type = xml, xml_use_attr_format = false, xml_root_tag = all", &names);
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\n<all>\
        \n\t<RECORD>\n\t\t<name>a&lt;b&gt;</name>\n\t\t<n>0</n>\n\t</RECORD>\
        \n\t<RECORD>\n\t\t<name/>\n\t\t<n>1</n>\n\t</RECORD>\
        \n\t<RECORD>\n\t\t<name/>\n\t\t<n>2</n>\n\t</RECORD>\n</all>\n";
    assert_eq!(String::from_utf8_lossy(&elements), expected);
    assert!(name.ends_with("_0.xml"), "{name}");
    let attributes = written("file_format_type = xml, xml_use_attr_format = true, xml_row_tag = row", &names[..1]).1;
    let expected =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\n<RECORDS>\n\t<row name=\"a&lt;b&gt;\" n=\"0\"/>\n</RECORDS>\n";
    assert_eq!(String::from_utf8_lossy(&attributes), expected);
}

#[test]
fn nested_values_stand_in_one_text_of_xml() {
    let (columns, _) = all_columns();
    let rows = all_rows(&columns, 3);
    let folder = tempfile::tempdir().expect("a folder");
    let options = format!(
        "path = \"{}\", file_format_type = xml, xml_use_attr_format = true, field_delimiter = \"|\"",
        folder.path().display()
    );
    let (sink, _) = plan_sink(&options, &[table(columns)]).unwrap_or_else(|problems| panic!("{problems}"));
    write(&sink, vec![inserts(rows)]).expect("written");
    let text = String::from_utf8(only_file(folder.path()).1).expect("text");
    assert!(text.contains("c13=\"\"") && text.contains("c14=\"[-2147483648]\""), "{text}");
    assert!(text.contains("c15=\"{&quot;k0&quot;:-2147483648"), "{text}");
    assert!(text.contains("|[&quot;quote \\&quot; and, comma&quot;"), "{text}");
}

#[test]
fn text_formats_are_compressed_and_named_by_the_codec() {
    let names: Vec<Option<&str>> = std::iter::repeat_n(Some("again and again"), 3000).collect();
    let plain = written("file_format_type = json", &names).1;
    for (codec, suffix) in [
        ("lzo", "lzo"),
        ("gzip", "gz"),
        ("gz", "gz"),
        ("zlib", "zlib"),
        ("bzip2", "bz2"),
        ("zstd", "zstd"),
        ("lz4", "lz4"),
        ("snappy", "snappy"),
        ("brotli", "br"),
    ] {
        for format in ["text", "csv", "json", "xml"] {
            let options = format!("file_format_type = {format}, compress_codec = {codec}, xml_use_attr_format = true");
            let (name, bytes) = written(&options, &names);
            let extension = if format == "text" { "txt" } else { format };
            assert!(name.ends_with(&format!("_0.{suffix}.{extension}")), "{name}");
            assert!(bytes.len() < plain.len() / 4, "{options}: {}", bytes.len());
        }
    }
    let gzip = written("file_format_type = json, compress_codec = gzip, encoding = \"UTF-16LE\"", &names).1;
    let mut found = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gzip[..]), &mut found).expect("gzip");
    assert_eq!(found.len(), plain.len() * 2);
}

#[test]
fn orc_is_written_with_its_codecs() {
    for codec in ["none", "zlib", "snappy", "lzo", "lz4", "zstd"] {
        let (name, bytes) = written(&format!("file_format_type = orc, compress_codec = {codec}"), &[Some("a"), None]);
        let suffix = if codec == "none" { "_0.orc".into() } else { format!("_0.{codec}.orc") };
        assert!(name.ends_with(&suffix), "{name}");
        let reader = orc_rust::ArrowReaderBuilder::try_new(bytes::Bytes::from(bytes)).expect("orc").build();
        let found: Vec<RecordBatch> = reader.map(|batch| batch.expect("rows")).collect();
        assert_eq!(shown(&found[0]), [["a", "0"], ["-", "1"]], "{codec}");
    }
}

fn sheet(bytes: Vec<u8>, name: &str) -> calamine::Range<Data> {
    let mut book: calamine::Xlsx<_> = calamine::Xlsx::new(std::io::Cursor::new(bytes)).expect("a workbook");
    assert_eq!(book.sheet_names(), [name]);
    book.worksheet_range(name).expect("a sheet")
}

#[test]
fn a_sheet_holds_names_and_rows() {
    let (name, bytes) = written("file_format_type = excel, max_rows_in_memory = 2", &[Some("a & \"b\" "), None]);
    assert!(name.ends_with("_0.xlsx"), "{name}");
    let range = sheet(bytes, "Sheet1");
    let found: Vec<&[Data]> = range.rows().collect();
    assert_eq!(found[0], [Data::String("name".into()), Data::String("n".into())]);
    assert_eq!(found[1], [Data::String("a & \"b\" ".into()), Data::Float(0.0)]);
    assert_eq!(found[2], [Data::Empty, Data::Float(1.0)]);
    assert_eq!(found.len(), 3);
}

#[test]
fn cells_have_the_types_of_their_columns() {
    let (columns, _) = all_columns();
    let rows = all_rows(&columns, 2);
    let folder = tempfile::tempdir().expect("a folder");
    let options = format!(
        "path = \"{}\", file_format_type = excel, sheet_name = \"Test ${{table_name}}\"",
        folder.path().display()
    );
    let (sink, _) = plan_sink(&options, &[table(columns)]).unwrap_or_else(|problems| panic!("{problems}"));
    write(&sink, vec![inserts(rows)]).expect("written");
    let range = sheet(only_file(folder.path()).1, "Test t");
    let row: Vec<&Data> = range.rows().nth(1).expect("a row").iter().collect();
    assert_eq!(row[0], &Data::Bool(true));
    assert_eq!(row[1], &Data::Float(-128.0));
    assert_eq!(row[5], &Data::Float(3.4028235e38));
    assert!(matches!(row[9], Data::String(text) if text.starts_with('[')), "{:?}", row[9]);
    // Before 1900 there are no days in a sheet.
    assert!(matches!(row[10], Data::String(_) | Data::DateTime(_)), "{:?}", row[10]);
    assert_eq!(row[13], &Data::Empty);
    assert!(matches!(row[15], Data::String(text) if text.starts_with("{\"k0\"")), "{:?}", row[15]);
}

#[test]
fn days_of_a_sheet_begin_with_1900() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = table(vec![Column::new("at", DataType::Timestamp)]);
    let day = 86_400_000_000;
    let values = vec![0, -25_508 * day, -25_509 * day, -25_567 * day, -25_568 * day, 1_500_000];
    let column: ArrayRef = Arc::new(TimestampMicrosecondArray::from(values));
    let rows = RecordBatch::try_new(Arc::clone(table.arrow()), vec![column]).expect("rows");
    let options = format!("path = \"{}\", file_format_type = excel", folder.path().display());
    let (sink, _) = plan_sink(&options, &[table]).expect("a sink");
    write(&sink, vec![inserts(rows)]).expect("written");
    let range = sheet(only_file(folder.path()).1, "Sheet1");
    let days: Vec<String> = range
        .rows()
        .skip(1)
        .map(|row| match &row[0] {
            Data::DateTime(moment) => moment.as_f64().to_string(),
            other => other.to_string(),
        })
        .collect();
    assert_eq!(days, ["25569", "61", "59", "1", "1899-12-31 00:00:00", "25569.00001736111"]);
}

fn pieces() -> Arc<TableSchema> {
    table(super::super::write::binary::COLUMNS.iter().map(|(name, kind)| Column::new(name, kind.clone())).collect())
}

fn piece_rows(pieces_of: &[(&str, &str, i64)]) -> Batch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(BinaryArray::from_iter_values(pieces_of.iter().map(|piece| piece.0))),
        Arc::new(StringArray::from_iter_values(pieces_of.iter().map(|piece| piece.1))),
        Arc::new(Int64Array::from_iter_values(pieces_of.iter().map(|piece| piece.2))),
    ];
    inserts(RecordBatch::try_new(Arc::clone(pieces().arrow()), columns).expect("rows"))
}

fn binary_sink(folder: &Path) -> Arc<dyn Sink> {
    let options = format!("path = \"{}\", file_format_type = binary", folder.display());
    plan_sink(&options, &[pieces()]).unwrap_or_else(|problems| panic!("{problems}")).0
}

#[test]
fn binary_files_are_put_together_under_their_paths() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let sink = binary_sink(&out);
    for _ in 0..2 {
        let batches = [
            piece_rows(&[("ab", "x/y.png", 0), ("1", "z", 0), ("cd", "x/y.png", 1)]),
            piece_rows(&[("e", "x/y.png", 2), ("", "x/y.png", -1)]),
        ];
        write(&sink, batches.to_vec()).expect("written");
        assert_eq!(files(&out), ["x/y.png", "z"], "again as before");
        assert_eq!(fs::read_to_string(out.join("x/y.png")).expect("text"), "abcde");
        assert_eq!(fs::read_to_string(out.join("z")).expect("text"), "1");
    }
}

#[test]
fn a_checkpoint_within_a_binary_file_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let sink = binary_sink(&out);
    let text = || fs::read_to_string(out.join("a")).expect("text");
    run(|| async {
        let mut committer = sink.committer().expect("a committer");
        let mut writer = sink.writer(&task(0, 1)).expect("a writer");
        writer.write(piece_rows(&[("ab", "a", 0)])).await.expect("written");
        let first = writer.prepare(1).await.expect("prepared");
        writer.write(piece_rows(&[("cd", "a", 1)])).await.expect("written");
        let second = writer.prepare(2).await.expect("prepared");
        committer.commit(&first).await.expect("committed");
        assert_eq!(text(), "ab");
        committer.commit(&second).await.expect("committed");
        committer.commit(&second).await.expect("committed again");
        assert_eq!(text(), "abcd");
        // What comes after the last checkpoint is lost with the task; another one goes on.
        writer.write(piece_rows(&[("lost", "a", 2)])).await.expect("written");
        writer.abort().await;
        let mut writer = sink.writer(&task(0, 1)).expect("a writer");
        writer.write(piece_rows(&[("ef", "a", 2)])).await.expect("written");
        let third = writer.prepare(3).await.expect("prepared");
        committer.commit(&third).await.expect("committed");
        assert_eq!(text(), "abcdef");
    });
    assert_eq!(files(&out), ["a"]);
}

#[test]
fn pieces_that_are_out_of_order_or_lead_elsewhere_fail() {
    let folder = tempfile::tempdir().expect("a folder");
    for (pieces, expected) in [
        (&[("a", "x", 0), ("b", "x", 2)][..], "Last order is 0, but get 2"),
        (&[("a", "../x", 0)], "leads out of the folder"),
        (&[("a", "", 0)], "leads out of the folder"),
        (&[("a", "never", 3)], "looking for the pieces before"),
        (&[("a", "x", -2)], "numbers begin with 0"),
    ] {
        let sink = binary_sink(&folder.path().join("out"));
        let error = write(&sink, vec![piece_rows(pieces)]).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(!folder.path().join("x").exists());
}

#[test]
fn formats_refuse_what_they_cannot_hold_when_planned() {
    let named = |name: &str, kind: DataType| table(vec![Column::new(name, kind)]);
    for (options, table, expected) in [
        ("file_format_type = xml", two_columns(), "User must define xml_use_attr_format"),
        (
            "file_format_type = xml, xml_use_attr_format = true, xml_row_tag = \"a b\"",
            two_columns(),
            "'a b' cannot name",
        ),
        ("file_format_type = xml, xml_use_attr_format = true", named("a b", DataType::Int), "column 'a b'"),
        ("file_format_type = orc", named("a", DataType::Null), "orc has no type for null"),
        ("file_format_type = orc, compress_codec = gzip", two_columns(), "orc files cannot be compressed with gzip"),
        ("file_format_type = excel, compress_codec = gzip", two_columns(), "they are compressed already"),
        ("file_format_type = excel, sheet_name = \"a/b\"", two_columns(), "option 'sheet_name'"),
        ("file_format_type = excel, batch_size = 2000000", two_columns(), "at most 1048575 fit"),
        ("file_format_type = excel", named("v", DataType::FloatVector), "cannot be written as text"),
        ("file_format_type = binary", two_columns(), "does not hold pieces of files"),
        ("file_format_type = binary, is_enable_transaction = false", pieces(), "written in transactions"),
        ("file_format_type = binary, create_empty_file_when_no_data = true", pieces(), "there is none to add"),
        ("file_format_type = binary, sink_columns = [data]", pieces(), "has no meaning for binary"),
        ("file_format_type = binary, compress_codec = lzo", pieces(), "they are copied as they are"),
        ("filename_extension = \"a/b\"", two_columns(), "option 'filename_extension'"),
        ("encoding = gkb", two_columns(), "did you mean GBK?"),
    ] {
        let problems = sink_problems(&format!("path = \"/nowhere\", {options}"), &[table]);
        assert!(problems.contains(expected), "{options}: {problems}");
    }
}

#[test]
fn every_text_or_none_stands_in_quotes_if_so_wanted() {
    let names = [Some("a"), Some("b,\"c"), None];
    assert_eq!(written("csv_string_quote_mode = ALL", &names).1, b"\"a\",0\n\"b,\"\"c\",1\n,2");
    assert_eq!(written("csv_string_quote_mode = none", &names).1, b"a,0\nb,\"c,1\n,2");
    assert_eq!(written("csv_string_quote_mode = MINIMAL", &names).1, b"a,0\n\"b,\"\"c\",1\n,2");
}

#[test]
fn a_task_writes_one_file_in_single_file_mode() {
    let names = [Some("a"); 10];
    let (name, text) = written("single_file_mode = true, batch_size = 3, filename_extension = dat", &names);
    assert!(name.ends_with("_0_1.dat") && !name.ends_with("_0_1_0.dat"), "{name}");
    assert_eq!(text.split(|byte| *byte == b'\n').count(), 10);
}

#[test]
fn a_task_without_rows_writes_an_empty_file_if_so_wanted() {
    for (format, more, expected) in [
        ("csv", "enable_header_write = true", &b"name,n\n"[..]),
        ("csv", "", b""),
        ("json", "", b""),
        ("xml", "xml_use_attr_format = true", b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\n<RECORDS/>\n"),
    ] {
        let options = format!("create_empty_file_when_no_data = true, file_format_type = {format}, {more}");
        let (name, bytes) = written(&options, &[]);
        assert_eq!(bytes, expected, "{format}");
        assert!(name.contains("_0_1_0."), "{name}");
    }
    for format in ["parquet", "orc", "excel"] {
        let bytes = written(&format!("create_empty_file_when_no_data = true, file_format_type = {format}"), &[]).1;
        assert!(!bytes.is_empty(), "{format}");
    }
}

#[test]
fn names_of_files_hold_those_of_the_table_and_the_time() {
    let (name, _) = written(
        "file_name_expression = \"${table_name}-${transactionId}-${now}\", filename_time_format = yyyy",
        &[Some("a")],
    );
    assert!(name.starts_with("t-T_7_"), "{name}");
    let year = name.rsplit_once('-').expect("a year").1.trim_end_matches("_0.csv");
    assert!(year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit()), "{name}");
}

#[test]
fn columns_that_some_tables_lack_are_left_out_with_a_warning() {
    let other = table(vec![Column::new("name", DataType::String)]);
    let folder = tempfile::tempdir().expect("a folder");
    let options = format!("path = \"{}\", sink_columns = [NAME, n]", folder.path().display());
    let (_, warnings) = plan_sink(&options, &[two_columns(), other]).expect("a sink");
    assert!(warnings.to_string().contains("has no column 'n'"), "{warnings}");
}
