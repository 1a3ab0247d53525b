//! Files that the reference engine wrote, where a folder of them is given.

use std::fs;
use std::path::PathBuf;

use super::*;

fn fixtures() -> Option<PathBuf> {
    match std::env::var_os("EGRET_CONFORMANCE") {
        Some(folder) => Some(PathBuf::from(folder).join("fixtures")),
        None => {
            eprintln!("SKIPPED: EGRET_CONFORMANCE does not name a folder with files, none were read");
            None
        }
    }
}

/// The file alone, in folders that name two columns.
fn placed(fixture: &str) -> Option<tempfile::TempDir> {
    let from = fixtures()?.join(fixture);
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("name=tyrantlucifer/hobby=coding");
    fs::create_dir_all(&inner).expect("folders");
    fs::copy(&from, inner.join(from.file_name().expect("a name"))).expect("a copy");
    Some(folder)
}

fn fields(upper: bool) -> String {
    let name = |name: &str| if upper { name.to_uppercase() } else { name.to_owned() };
    let types = [
        ("c_map", "\"map<string, string>\""),
        ("c_array", "\"array<int>\""),
        ("c_string", "string"),
        ("c_boolean", "boolean"),
        ("c_tinyint", "tinyint"),
        ("c_smallint", "smallint"),
        ("c_int", "int"),
        ("c_bigint", "bigint"),
        ("c_float", "float"),
        ("c_double", "double"),
        ("c_bytes", "bytes"),
        ("c_date", "date"),
        ("c_decimal", "\"decimal(38, 18)\""),
        ("c_timestamp", "timestamp"),
    ];
    let all =
        |names: &dyn Fn(&str) -> String| types.map(|(field, kind)| format!("{} = {kind}", names(field))).join(", ");
    format!("{}, c_row = {{ {} }}", all(&str::to_owned), all(&|field| name(field)))
}

#[test]
fn text_files_of_the_reference_engine_are_read() {
    for (file, more) in [
        ("text/e2e.txt", ""),
        ("text/e2e_delimiter.txt", "field_delimiter = \"\\\\|\""),
        ("text/e2e_time_format.txt", "datetime_format = \"yyyy-MM-dd'T'HH:mm:ss\""),
    ] {
        let Some(folder) = placed(file) else { return };
        let rows = read(&format!(
            "path = \"{}\", file_format_type = text\n{more}\nschema.fields {{ {} }}",
            folder.path().display(),
            fields(false)
        ));
        assert_eq!(rows.num_columns(), 17, "{file}");
        for column in rows.columns() {
            assert_eq!(column.null_count(), 0, "{file}: {:?}", shown(&rows)[0]);
        }
        assert!(rows.num_rows() >= 4, "{file}");
        assert_eq!(shown(&rows)[0][rows.num_columns() - 2..], ["tyrantlucifer", "coding"]);
    }
}

#[test]
fn json_files_of_the_reference_engine_are_read_with_every_digit() {
    let Some(folder) = placed("json/e2e.json") else { return };
    let rows = read(&format!(
        "path = \"{}\", file_format_type = json\nschema.fields {{ {} }}",
        folder.path().display(),
        fields(true)
    ));
    assert_eq!((rows.num_rows(), rows.num_columns()), (5, 17));
    let first = &shown(&rows)[0];
    assert_eq!(first[12], "88574263949141714798.835853182708550244");
    assert_eq!(first[13], "2022-01-26T17:39:00");
    assert!(first[14].contains("C_DECIMAL: 55295207715324162970.316560703127334413"), "{}", first[14]);
    assert!(rows.columns().iter().all(|column| column.null_count() == 0));
}

#[test]
fn parquet_files_of_the_reference_engine_bring_their_schema() {
    let Some(folder) = placed("parquet/e2e.parquet") else { return };
    let source =
        plan_source(&format!("path = \"{}\", file_format_type = parquet", folder.path().display())).expect("a plan");
    let rows = read_rows(&source);
    let types: Vec<String> =
        source.tables()[0].columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
    assert_eq!((rows.num_rows(), rows.num_columns()), (5, types.len()), "{types:?}");
    assert!(types.ends_with(&["name STRING".into(), "hobby STRING".into()]), "{types:?}");
    assert!(rows.columns().iter().all(|column| column.null_count() == 0), "{:?}", shown(&rows));
}
