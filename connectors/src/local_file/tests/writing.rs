use std::fs;

use arrow::array::{ArrayRef, Date32Array, Int32Array, StringArray, TimestampMicrosecondArray, UInt8Array};

use super::*;

fn people() -> Arc<TableSchema> {
    table(vec![
        Column::new("name", DataType::String),
        Column::new("age", DataType::Int),
        Column::new("day", DataType::Date),
    ])
}

fn rows(names: &[Option<&str>]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(names.to_vec())),
        Arc::new(Int32Array::from_iter_values(0..names.len() as i32)),
        Arc::new(Date32Array::from_iter_values(0..names.len() as i32)),
    ];
    RecordBatch::try_new(Arc::clone(people().arrow()), columns).expect("rows")
}

fn sink(text: &str) -> Arc<dyn Sink> {
    plan_sink(text, &[people()]).unwrap_or_else(|problems| panic!("{problems}")).0
}

fn only_text(folder: &std::path::Path) -> String {
    let found = files(folder);
    assert_eq!(found.len(), 1, "{found:?}");
    fs::read_to_string(folder.join(&found[0])).expect("text")
}

#[test]
fn rows_are_written_as_the_format_says() {
    for (format, more, expected) in [
        ("csv", "", "a,0,1970-01-01\n\"b,\",1,1970-01-02\n,2,1970-01-03"),
        ("csv", "enable_header_write = true, sink_columns = [age, name]", "age,name\n0,a\n1,\"b,\"\n2,"),
        ("text", "field_delimiter = \";\", row_delimiter = \"|\"", "a;0;1970-01-01|b,;1;1970-01-02|;2;1970-01-03"),
        ("text", "date_format = \"yyyy/MM/dd\", sink_columns = [day]", "1970/01/01\n1970/01/02\n1970/01/03"),
        (
            "json",
            "sink_columns = [name, day]",
            "{\"name\":\"a\",\"day\":\"1970-01-01\"}\n{\"name\":\"b,\",\"day\":\"1970-01-02\"}\n{\"name\":null,\"day\":\"1970-01-03\"}",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let sink = sink(&format!("path = \"{}\", file_format_type = {format}, {more}", folder.path().display()));
        write(&sink, vec![inserts(rows(&[Some("a"), Some("b,"), None]))]).expect("written");
        assert_eq!(only_text(folder.path()), expected, "{format} {more}");
    }
}

#[test]
fn rows_of_every_kind_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = sink(&format!("path = \"{}\", sink_columns = [name]", folder.path().display()));
    let kinds = Some(UInt8Array::from(vec![0, 1, 2, 3]));
    let names = [Some("a"), Some("b"), Some("c"), Some("d")];
    write(&sink, vec![Batch { table: TableIndex(0), rows: rows(&names), kinds }]).expect("written");
    assert_eq!(only_text(folder.path()), "a\nb\nc\nd");
}

#[test]
fn files_are_named_by_expression_part_and_format() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = sink(&format!(
        "path = \"{}\", file_name_expression = \"x_${{transactionId}}_${{now}}\", filename_time_format = \"yyyy\", \
         batch_size = 2, file_format_type = parquet, compress_codec = zstd",
        folder.path().display()
    ));
    write(&sink, vec![inserts(rows(&[Some("a"); 5]))]).expect("written");
    let names = files(folder.path());
    assert_eq!(names.len(), 3);
    for (part, name) in names.iter().enumerate() {
        assert!(
            name.starts_with("x_T_7_") && name.contains("_0_1_2") && name.ends_with(&format!("_{part}.zstd.parquet")),
            "{name}"
        );
    }
    // ".egret-staging" is gone once it is empty.
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 3);
}

#[test]
fn folders_are_named_by_values_and_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display();
    let names = [Some("a"), Some("../../x"), None, Some("a"), Some("."), Some("100%")];
    let sink = sink(&format!("path = \"{path}\", partition_by = [name, age], file_format_type = json"));
    write(&sink, vec![inserts(rows(&names))]).expect("written");
    let found = files(folder.path());
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(found.iter().any(|file| file.starts_with("name=..%2F..%2Fx/age=1/")), "{found:?}");
    let read = read(&format!("path = \"{path}\", file_format_type = json, schema.fields {{ day = date }}"));
    let mut rows = shown(&read);
    rows.sort();
    assert_eq!(rows[0], ["1970-01-01", "a", "0"]);
    assert_eq!(rows[1], ["1970-01-02", "../../x", "1"]);
    assert_eq!(rows[2], ["1970-01-03", "-", "2"]);
    assert_eq!(rows[5], ["1970-01-06", "100%", "5"]);
}

#[test]
fn partition_columns_may_be_in_the_files_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = sink(&format!(
        "path = \"{}\", partition_by = [name], partition_dir_expression = \"${{v0}}\", sink_columns = [name], \
         is_partition_field_write_in_file = true",
        folder.path().display()
    ));
    write(&sink, vec![inserts(rows(&[Some("..")]))]).expect("written");
    let found = files(folder.path());
    assert!(found[0].starts_with("%2E./T_7_"), "{found:?}");
    assert_eq!(only_text(folder.path()), "..");
}

#[test]
fn more_folders_than_open_files_are_written_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display();
    let sink = sink(&format!("path = \"{path}\", partition_by = [name]"));
    let names: Vec<String> = (0..super::super::writer::OPEN_PARTS_MAX + 20).map(|name| format!("n{name}")).collect();
    let names: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
    write(&sink, vec![inserts(rows(&names)), inserts(rows(&names))]).expect("written");
    let read = read(&format!("path = \"{path}\", file_format_type = csv, schema.fields {{ age = int, day = date }}"));
    assert_eq!(read.num_rows(), names.len() * 2);
}

#[test]
fn nothing_is_visible_before_the_commit() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out");
    let sink = sink(&format!("path = \"{}\", sink_columns = [name]", path.display()));
    let visible = || files(&path).iter().filter(|file| !file.starts_with(".egret-staging")).count();
    run(|| async {
        let mut writer = sink.writer(&task(0, 1)).expect("a writer");
        writer.write(inserts(rows(&[Some("a")]))).await.expect("written");
        let first = writer.prepare(1).await.expect("prepared");
        assert_eq!((first.len(), visible()), (1, 0));
        writer.write(inserts(rows(&[Some("b")]))).await.expect("written");
        let second = writer.prepare(2).await.expect("prepared");
        assert!(writer.prepare(3).await.expect("prepared").is_empty(), "nothing was written since");
        let mut committer = sink.committer().expect("a committer");
        for _ in 0..2 {
            committer.commit(&first).await.expect("committed");
            assert_eq!(visible(), 1);
        }
        committer.abort(&second).await;
        assert!(committer.commit(&second).await.is_err());
        writer.write(inserts(rows(&[Some("c")]))).await.expect("written");
        writer.abort().await;
    });
    assert_eq!(files(&path).len(), 1, "{:?}", files(&path));
    assert!(!path.join(".egret-staging").exists());
}

#[test]
fn without_a_transaction_files_stand_at_their_target_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out");
    let options = format!(
        "path = \"{}\", is_enable_transaction = false, file_name_expression = fixed, sink_columns = [name], \
         row_delimiter = \"\\n\"",
        path.display()
    );
    let sink = sink(&options);
    assert!(sink.committer().is_none());
    for round in 1..=2 {
        write(&sink, vec![inserts(rows(&[Some("a")]))]).expect("written");
        assert_eq!(files(&path).len(), round, "a name that is taken is not written over");
    }
    assert_eq!(files(&path), ["fixed_0.csv", "fixed_1.csv"]);
    run(|| async {
        let mut writer = sink.writer(&task(1, 2)).expect("a writer");
        writer.write(inserts(rows(&[Some("a")]))).await.expect("written");
        writer.abort().await;
    });
    assert_eq!(files(&path).len(), 2, "half a file does not stay");
}

#[test]
fn staged_files_stand_below_tmp_path_where_it_is_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, tmp) = (folder.path().join("out"), folder.path().join("tmp"));
    let sink = sink(&format!("path = \"{}\", tmp_path = \"{}\"", out.display(), tmp.display()));
    run(|| async {
        let mut writer = sink.writer(&task(3, 4)).expect("a writer");
        writer.write(inserts(rows(&[Some("a")]))).await.expect("written");
        let prepared = writer.prepare(9).await.expect("prepared");
        let staged = files(&tmp);
        assert!(staged[0].starts_with("seatunnel/7/") && staged[0].contains("_3_1/NON_PARTITION/T_7_"), "{staged:?}");
        sink.committer().expect("a committer").commit(&prepared).await.expect("committed");
    });
    assert_eq!((files(&out).len(), files(&tmp).len()), (1, 0));
}

#[test]
fn each_table_has_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let named = |name: &str| {
        let mut table = people().as_ref().clone();
        table.path = TablePath::parse(name, false).expect("a path");
        Arc::new(table)
    };
    let path = format!("{}/${{database_name}}/${{table_name}}", folder.path().display());
    let options = format!("path = \"{path}\", data_save_mode = DROP_DATA, schema_save_mode = RECREATE_SCHEMA");
    let (sink, _) = plan_sink(&options, &[named("a.one"), named("a.two")]).expect("a sink");
    for _ in 0..2 {
        let batches = [0, 1].map(|table| Batch::inserts(TableIndex(table), rows(&[Some("x")])));
        write(&sink, batches.to_vec()).expect("written");
        let found = files(folder.path());
        assert_eq!(found.len(), 2, "data of the round before is dropped: {found:?}");
        assert!(found[0].starts_with("a/one/T_") && found[1].starts_with("a/two/T_"), "{found:?}");
    }
}

#[test]
fn what_cannot_be_written_is_refused_when_planned() {
    let tables = [people()];
    for (options, expected) in [
        (
            "file_name_expression = x",
            "file_name_expression must contains transactionId when is_enable_transaction is true",
        ),
        ("file_format_type = parquet, compress_codec = lzo", "parquet files cannot be compressed with lzo"),
        ("sink_columns = [nam]", "did you mean 'name'?"),
        ("sink_columns = [name, name]", "'name' is there twice"),
        ("partition_by = [none]", "has no column 'none'"),
        ("partition_by = [name], partition_dir_expression = \"../${v0}\"", "the folder '..' may not be in it"),
        ("partition_by = [name, age, day]", "no column of table t is left to write"),
        ("filename_time_format = \"yyyy'\"", "option 'filename_time_format'"),
        ("file_name_expression = \"../${transactionId}\"", "may neither hold '/'"),
        ("encoding = gkb", "did you mean GBK?"),
        ("data_save_mode = CUSTOM_PROCESSING", "expected one of DROP_DATA"),
        (
            "file_format_type = parquet, parquet_avro_write_fixed_as_int96 = [name]",
            "columns of 12 bytes have no type here",
        ),
    ] {
        let problems = sink_problems(&format!("path = \"/nowhere\", {options}"), &tables);
        assert!(problems.contains(expected), "{options}: {problems}");
    }
    let vectors = [table(vec![Column::new("v", DataType::FloatVector)])];
    assert!(sink_problems("path = \"/nowhere\"", &vectors).contains("cannot be written as text"));
}

#[test]
fn options_without_effect_are_warned_about() {
    for (options, expected) in [
        ("field_delimiter = \";\"", "csv files are parted by commas"),
        ("have_partition = true", "partition_by is not given"),
        (
            "custom_filename = false, file_name_expression = \"${transactionId}\"",
            "file_name_expression is given and used",
        ),
    ] {
        let (_, warnings) = plan_sink(&format!("path = \"/nowhere\", {options}"), &[people()]).expect("a sink");
        assert!(warnings.to_string().contains(expected), "{options}: {warnings}");
    }
}

#[test]
fn digits_that_a_pattern_cuts_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = table(vec![Column::new("at", DataType::Timestamp)]);
    let column: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_000_000, 1_000_001]));
    let rows = RecordBatch::try_new(Arc::clone(table.arrow()), vec![column]).expect("rows");
    let options = format!("path = \"{}\", datetime_format = \"yyyyMMddHHmmss\"", folder.path().display());
    let (sink, _) = plan_sink(&options, &[table]).expect("a sink");
    let context = task(0, 1);
    run(|| async {
        let mut writer = sink.writer(&context).expect("a writer");
        writer.write(inserts(rows)).await.expect("written");
        writer.abort().await;
    });
    assert_eq!(context.probe.stats().warnings.get(), 1);
}

#[test]
fn a_folder_that_cannot_be_written_fails_with_its_path() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "x").expect("write");
    let sink = sink(&format!("path = \"{}/file/out\"", folder.path().display()));
    let error = write(&sink, vec![inserts(rows(&[Some("a")]))]).expect_err("a file in the way").to_string();
    assert!(error.contains("file/out") && error.contains("Not a directory"), "{error}");
}
