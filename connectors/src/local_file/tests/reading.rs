use std::fs;

use super::*;

pub(super) fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, text).expect("write");
    }
    folder
}

#[test]
fn csv_is_read_with_quotes_headers_nulls_and_partitions() {
    let folder = folder_with(&[(
        "city=Bern/a.csv",
        "id,name,price\n1,\"a,\"\"b\"\"\n2nd line\",1.50\n2,,\n3,\"\",7\n4\n5, x ,  \n",
    )]);
    let rows = read(&format!(
        "path = \"{}\", file_format_type = csv, skip_header_row_number = 1\n\
         schema {{ fields {{ id = int, name = string, price = \"decimal(6, 2)\" }} }}",
        folder.path().display()
    ));
    assert_eq!(
        shown(&rows),
        [
            ["1", "a,\"b\"\n2nd line", "1.50", "Bern"],
            ["2", "-", "-", "Bern"],
            ["3", "", "7.00", "Bern"],
            ["4", "-", "-", "Bern"],
            ["5", " x ", "-", "Bern"],
        ]
    );
}

#[test]
fn columns_are_chosen_and_ordered_by_name() {
    let folder = folder_with(&[("a.txt", "1;x;true\n2;y;false\n"), ("b.json", "{\"c\":true,\"a\":1,\"b\":\"x\"}")]);
    for (file, format) in [("a.txt", "text"), ("b.json", "json")] {
        let rows = read(&format!(
            "path = \"{}/{file}\", file_format_type = {format}, field_delimiter = \";\", read_columns = [c, a]\n\
             schema.fields {{ a = int, b = string, c = boolean }}",
            folder.path().display()
        ));
        assert_eq!(shown(&rows)[0], ["true", "1"]);
    }
}

#[test]
fn nested_text_is_cut_level_by_level() {
    let line = "k1\u{3}1\u{2}k2\u{3}2\u{1}7\u{2}8\u{1}x\u{4}y\u{3}z\u{4}w\u{2}9\u{3}10\u{2}in\u{1}m\u{3}1\u{3}2\n";
    let folder = folder_with(&[("a", line)]);
    let rows = read(&format!(
        "path = \"{}\", file_format_type = text\n\
         schema {{ fields {{ m = \"map<string, int>\", a = \"array<int>\", \
         r = {{ m = \"map<string, string>\", a = \"array<int>\", s = string }}, \
         n = \"map<string, array<int>>\" }} }}",
        folder.path().display()
    ));
    assert_eq!(shown(&rows), [["{k1: 1, k2: 2}", "[7, 8]", "{m: {x: y, z: w}, a: [9, 10], s: in}", "{m: [1, 2]}"]]);
}

#[test]
fn text_without_a_schema_is_one_column() {
    let folder = folder_with(&[("a", "\u{feff}one\r\n\ntw,o\u{1}\n")]);
    let rows = read(&format!("path = \"{}\", file_format_type = txt", folder.path().display()));
    assert_eq!(rows.schema().field(0).name(), "content");
    assert_eq!(shown(&rows), [["one"], ["-"], ["tw,o\u{1}"]]);
}

#[test]
fn json_members_convert_as_documented() {
    let folder = folder_with(&[(
        "a.json",
        concat!(
            "{\"d\":88574263949141714798.835853182708550244,\"i\":1.0,\"s\":\"a\\u00e9\\n\",\"x\":[{}],\"b\":\"AQI=\",",
            "\"l\":[1,null,3],\"m\":{\"1\":{\"a\":2}},\"t\":\"2022-01-26T17:39:00\"}\n\n",
            "  {\"s\":12.50,\"i\":\"7\",\"d\":null,\"l\":[],\"b\":null,\"d\":1e3}\r\n",
            "{\"s\":{\"z\": [1, \"}\"]},\"i\":1e2,\"t\":\"20220126173900\",\"m\":{}}"
        ),
    )]);
    let rows = read(&format!(
        "path = \"{}\", file_format_type = json\n\
         schema.fields {{ i = int, s = string, d = \"decimal(38, 18)\", b = bytes, l = \"array<bigint>\", \
         m = \"map<int, {{a = int}}>\", t = timestamp }}",
        folder.path().display()
    ));
    let rows = shown(&rows);
    assert_eq!(
        rows[0],
        [
            "1",
            "aé\n",
            "88574263949141714798.835853182708550244",
            "0102",
            "[1, -, 3]",
            "{1: {a: 2}}",
            "2022-01-26T17:39:00"
        ]
    );
    assert_eq!(rows[1], ["7", "12.50", "1000.000000000000000000", "-", "[]", "-", "-"]);
    assert_eq!(rows[2], ["100", "{\"z\": [1, \"}\"]}", "-", "-", "-", "{}", "2022-01-26T17:39:00"]);
}

#[test]
fn a_bad_value_is_told_with_file_line_column_and_type() {
    let folder = folder_with(&[
        ("a.csv", "h\n1\n\"\n\"\nx\n"),
        ("a.json", "{\"a\":1}\n\n{\"a\":true}\n"),
        ("b.json", "{\"a\":1}\n{\"a\":1\n"),
        ("b.csv", "1\n\"a\"b\n"),
    ]);
    let options = |file: &str, format: &str| {
        format!(
            "path = \"{}/{file}\", file_format_type = {format}, skip_header_row_number = {}, schema.fields {{ a = int }}",
            folder.path().display(),
            u8::from(file == "a.csv")
        )
    };
    let error = read_error(&options("a.csv", "csv"));
    assert!(error.ends_with("a.csv: line 5: column 'a': 'x' is not of type INT"), "{error}");
    let error = read_error(&options("a.json", "json"));
    assert!(error.ends_with("a.json: line 3: column 'a': 'true' is not of type INT"), "{error}");
    let error = read_error(&options("b.json", "json"));
    assert!(error.ends_with("b.json: line 2: ',' or '}' is expected behind a member"), "{error}");
    let error = read_error(&options("b.csv", "csv"));
    assert!(error.ends_with("b.csv: line 2: text follows the quote that closes a field"), "{error}");
}

#[test]
fn lines_beyond_the_limit_fail_and_long_ones_within_it_do_not() {
    let long = "x".repeat(3 << 20);
    let folder = folder_with(&[("a", &format!("{long}\n{long}"))]);
    let options = format!("path = \"{}\", file_format_type = text", folder.path().display());
    assert_eq!(read(&options).num_rows(), 2);
    let error = read_error(&format!("{options}, max_line_bytes = 1000000"));
    assert!(error.ends_with("line 1 is longer than max_line_bytes = 1000000"), "{error}");
}

#[test]
fn what_cannot_be_read_is_refused_when_planned() {
    let folder = folder_with(&[("a.txt", "x")]);
    let path = folder.path().display();
    let missing = source_problems(&format!("path = \"{path}/none\", file_format_type = text"));
    assert!(missing.contains("option 'path'") && missing.contains("none: No such file or directory"), "{missing}");
    for (options, expected) in [
        ("file_format_type = text, compress_codec = lzma", "expected one of none, lzo"),
        ("file_format_type = text, archive_compress_codec = rar", "expected one of none, zip"),
        ("file_format_type = text, encoding = gkb", "there is no encoding 'gkb': did you mean GBK?"),
        ("file_format_type = excel", "'schema': is required for this format"),
        ("file_format_type = json, schema {}", "names no columns"),
        ("file_format_type = xml, xml_use_attr_format = true, schema.fields { a = int }", "'xml_row_tag': is required"),
        ("file_format_type = xml, xml_row_tag = R, schema.fields { a = int }", "'xml_use_attr_format': is required"),
        (
            "file_format_type = excel, field_delimiter = \"((\", schema.fields { a = int }",
            "is not a regular expression",
        ),
        ("file_format_type = orc", "as orc"),
        ("file_format_type = text, date_format = \"dd.MM.yyyy\"", "'dd.MM.yyyy' is not a pattern"),
        ("file_format_type = csv", "'schema': is required for this format"),
        ("file_format_type = text, file_filter_pattern = \"(\"", "is not a regular expression"),
        ("file_format_type = text, read_columns = [a]", "needs a schema"),
        ("file_format_type = text, schema.fields { abc = int }, read_columns = [abd]", "did you mean 'abc'?"),
        ("file_format_type = parquet", "as parquet"),
        ("", "'file_format_type': is required"),
    ] {
        let problems = source_problems(&format!("path = \"{path}\", {options}"));
        assert!(problems.contains(expected), "{options}: {problems}");
    }
    assert!(source_problems("file_format_type = text").contains("'path': is required"));
}

#[test]
fn several_tables_read_the_same_folder() {
    let folder = folder_with(&[("a.txt", "1\n2\n"), ("empty.txt", "")]);
    let path = folder.path().display();
    let entry = |name: &str| {
        format!(
            "{{ path = \"{path}\", file_format_type = text, schema {{ table = \"{name}\", fields {{ a = int }} }} }}"
        )
    };
    let source = plan_source(&format!("tables_configs = [{}, {}]", entry("db.one"), entry("two"))).expect("a plan");
    let names: Vec<String> = source.tables().iter().map(|table| table.path.to_string()).collect();
    assert_eq!(names, ["db.one", "two"]);
    let batches = read_batches(&source).expect("rows");
    let rows: Vec<(u16, usize)> = batches.iter().map(|batch| (batch.table.0, batch.len())).collect();
    assert_eq!(rows, [(0, 2), (1, 2)]);
    let problems = source_problems(&format!("tables_configs = [{}, {{ file_format_type = text }}]", entry("x")));
    assert!(problems.contains("'path': is required"), "{problems}");
}

#[test]
fn every_file_has_one_reader_whatever_the_parallelism() {
    let folder = folder_with(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
    let source =
        plan_source(&format!("path = \"{}\", file_format_type = text", folder.path().display())).expect("plan");
    for readers in [1, 2, 3, 7] {
        let mut splits = source.enumerate(readers).expect("splits");
        let mut ids: Vec<String> = Vec::new();
        for reader in 0..readers {
            if let Assignment::Splits(own) = splits.assign(reader) {
                ids.extend(own.iter().map(|split| split.id.to_string()));
            }
        }
        ids.sort();
        assert_eq!(ids.len(), 4);
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
    }
}

/// Reads a batch, takes a snapshot, and lets another reader go on from it.
pub(super) fn read_by_restarts(source: &Arc<dyn Source>) -> Vec<RecordBatch> {
    run(|| async {
        let Assignment::Splits(mut splits) = source.enumerate(1).expect("splits").assign(0) else { return Vec::new() };
        let mut found = Vec::new();
        loop {
            let mut reader = source.reader(&task(0, 1)).expect("a reader");
            reader.add_splits(std::mem::take(&mut splits)).expect("splits");
            let Progress::Rows(batch) = reader.next().await.expect("rows") else { return found };
            found.push(batch.rows);
            splits = reader.snapshot().expect("a snapshot");
        }
    })
}

#[test]
fn a_restored_split_goes_on_where_it_stood() {
    let lines: String = (0..20_000).map(|row| format!("{row},\"x\n{row}\"\n")).collect();
    let json: String = (0..20_000).map(|row| format!("{{\"a\":{row},\"b\":\"x\"}}\n")).collect();
    let folder = folder_with(&[("a.csv", &format!("a,b\n{lines}")), ("b.json", &json)]);
    let path = folder.path().display();
    for (file, format, skip) in [("a.csv", "csv", 1), ("b.json", "json", 0)] {
        let source = plan_source(&format!(
            "path = \"{path}/{file}\", file_format_type = {format}, skip_header_row_number = {skip}\n\
             schema.fields {{ a = int, b = string }}"
        ))
        .expect("a plan");
        let rows = read_by_restarts(&source);
        assert!(rows.len() > 3);
        let rows = concat_batches(source.tables()[0].arrow(), &rows).expect("one batch");
        assert_eq!(rows, read_rows(&source));
        assert_eq!(shown(&rows)[19_999][0], "19999");
    }
}

#[test]
fn a_split_of_an_unknown_version_is_refused() {
    let folder = folder_with(&[("a", "1")]);
    let source =
        plan_source(&format!("path = \"{}\", file_format_type = text", folder.path().display())).expect("plan");
    let mut reader = source.reader(&task(0, 1)).expect("a reader");
    let split = Split { id: "x".into(), state: bytes::Bytes::from_static(&[9]) };
    assert!(reader.add_splits(vec![split]).is_err());
}

#[test]
fn a_row_in_json_may_be_a_list_of_its_fields() {
    let folder = folder_with(&[("a.json", "{\"r\":[1,[\"x\",null]]}\n{\"r\":{\"a\":2,\"b\":[]}}\n{\"r\":[]}\n")]);
    let options = format!(
        "path = \"{}\", file_format_type = json, schema.fields {{ r = {{ a = int, b = {{ c = string, d = date }} }} }}",
        folder.path().display()
    );
    assert_eq!(shown(&read(&options)), [["{a: 1, b: {c: x, d: -}}"], ["{a: 2, b: {c: -, d: -}}"], ["{a: -, b: -}"]]);
    std::fs::write(folder.path().join("a.json"), "{\"r\":[1,[],3]}\n").expect("write");
    assert!(read_error(&options).contains("more items than the row has fields"));
}

/// Rows of a file that is read in chunks of so many bytes.
fn read_in_chunks(path: &std::path::Path, json: bool, chunk: usize) -> RecordBatch {
    use crate::local_file::read::delimited::{DelimitedFormat, DelimitedReader};
    use crate::local_file::read::json::JsonReader;
    use crate::local_file::read::lines::LineInput;
    use crate::local_file::read::tokens::Separator;
    use crate::local_file::read::values::ValueRules;
    use crate::local_file::read::{FileReader, Place};
    let columns = vec![Column::new("a", DataType::Int), Column::new("b", DataType::String)];
    let schema = Arc::clone(table(columns.clone()).arrow());
    run(|| async {
        let stream = egret_runtime::file::ReadFile::open(path).await.expect("open").stream_by(0, chunk);
        let input = LineInput::new(Box::new(stream), "x", Place::default(), 1 << 20);
        let (rules, probe) = (ValueRules::default(), task(0, 1).probe);
        let mut reader: Box<dyn FileReader> = if json {
            Box::new(JsonReader::new(columns.into(), Arc::clone(&schema), 0, input, rules, probe))
        } else {
            let separator = Separator::Quoted(b',');
            let format = DelimitedFormat { separator, columns: columns.into(), wanted: vec![0, 1], skip_rows: 1 };
            Box::new(DelimitedReader::new(Arc::new(format), Arc::clone(&schema), input, rules, probe))
        };
        let mut found = Vec::new();
        while let Some(rows) = reader.next().await.expect("rows") {
            found.push(rows);
        }
        let bytes = std::fs::metadata(path).expect("a file").len();
        assert_eq!(reader.place().offset, bytes);
        reader.close().await.expect("closed");
        concat_batches(&schema, &found).expect("one batch")
    })
}

#[test]
fn it_does_not_matter_where_chunks_end() {
    let csv = "\u{feff}a,b\r\n1,\"x\n\"\"y\"\r\n,é😀\n3,\"\"\n4";
    let json = "{\"a\":1,\"b\":\"x\\n\\\"y\"}\r\n\n{\"b\":\"é😀\"}\n{\"a\":3,\"b\":\"\"}\n{\"a\":4}";
    let folder = folder_with(&[("a.csv", csv), ("a.json", json)]);
    for (file, is_json) in [("a.csv", false), ("a.json", true)] {
        let path = folder.path().join(file);
        let rows = shown(&read_in_chunks(&path, is_json, 1 << 20));
        assert_eq!(rows[0], ["1", "x\n\"y"]);
        assert_eq!(rows[1..], [["-", "é😀"], ["3", ""], ["4", "-"]]);
        for chunk in 1..csv.len().max(json.len()) {
            assert_eq!(shown(&read_in_chunks(&path, is_json, chunk)), rows, "{file} in chunks of {chunk}");
        }
    }
}
