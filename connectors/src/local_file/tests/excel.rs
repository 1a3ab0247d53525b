//! Reading excel. Workbooks of the newer kind are made by a library, that of the older kind byte by byte.

use std::fs;
use std::path::Path;

use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};

use super::reading::read_by_restarts;
use super::*;

const FIELDS: &str = "id = int, name = string, price = \"decimal(10, 2)\", born = date, at = timestamp, t = time, \
                      ok = boolean, tags = \"array<int>\", facts = \"map<string, string>\", r = { a = int, b = string }, raw = bytes";

/// A workbook with a header, rows, a gap, and a second sheet.
fn workbook(path: &Path) {
    let mut book = Workbook::new();
    let dates = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss");
    let times = Format::new().set_num_format("hh:mm:ss");
    let sheet = book.add_worksheet().set_name("People").expect("a name");
    for (column, name) in ["id", "name", "price"].iter().enumerate() {
        sheet.write(0, column as u16, *name).expect("a header");
    }
    let moment = ExcelDateTime::parse_from_str("2024-01-31 16:00:48").expect("a time");
    sheet.write(1, 0, 7).expect("a cell");
    sheet.write(1, 1, 12.5).expect("a cell");
    sheet.write(1, 2, 3.25).expect("a cell");
    sheet.write_with_format(1, 3, &moment, &dates).expect("a cell");
    sheet.write_with_format(1, 4, &moment, &dates).expect("a cell");
    sheet.write_with_format(1, 5, 0.5, &times).expect("a cell");
    sheet.write(1, 6, true).expect("a cell");
    for (column, text) in ["[1,2]", "{\"k\":\"v\"}", "3;z", "ab"].iter().enumerate() {
        sheet.write(1, 7 + column as u16, *text).expect("a cell");
    }
    let texts = ["8.0", "x", "1.005", "2024-02-01", "2024-02-01 01:02:03", "04:05:06", "FALSE", "", " ", ";y"];
    for (column, text) in texts.iter().enumerate() {
        sheet.write(3, column as u16, *text).expect("a cell");
    }
    let sheet = book.add_worksheet().set_name("Other").expect("a name");
    sheet.write(0, 0, 1).expect("a cell");
    sheet.write(0, 1, 1_000_000.0).expect("a cell");
    book.save(path).expect("a workbook");
}

fn options(path: &Path) -> String {
    format!(
        "path = \"{}\", file_format_type = excel, field_delimiter = \";\"\nschema.fields {{ {FIELDS} }}",
        path.display()
    )
}

const FIRST: [&str; 11] = [
    "7",
    "12.5",
    "3.25",
    "2024-01-31",
    "2024-01-31T16:00:48",
    "12:00:00",
    "true",
    "[1, 2]",
    "{k: v}",
    "{a: 3, b: z}",
    "6162",
];

#[test]
fn cells_become_what_the_schema_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.xlsx");
    workbook(&path);
    let rows = read(&format!("{}, skip_header_row_number = 1", options(&path)));
    assert_eq!(
        shown(&rows),
        [
            FIRST,
            ["8", "x", "1.01", "2024-02-01", "2024-02-01T01:02:03", "04:05:06", "false", "-", "-", "{a: -, b: y}", "-"],
        ]
    );
    let rows = read(&format!("{}, skip_header_row_number = 1, read_columns = [ok, id]", options(&path)));
    assert_eq!(shown(&rows), [["true", "7"], ["false", "8"]]);
}

#[test]
fn a_sheet_is_found_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.xlsx");
    workbook(&path);
    let options = |sheet: &str| {
        format!(
            "path = \"{}\", file_format_type = excel, sheet_name = {sheet}, schema.fields {{ a = bigint, b = string }}",
            path.display()
        )
    };
    assert_eq!(shown(&read(&options("other"))), [["1", "1000000"]]);
    let error = read_error(&options("Poeple"));
    assert!(error.ends_with("there is no sheet 'Poeple' in the workbook: did you mean 'People'?"), "{error}");
    let error = read_error(&options("People"));
    assert!(error.ends_with("row 1: column 'a': 'id' is not of type BIGINT"), "{error}");
}

#[test]
fn dates_as_text_follow_their_formats() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.xlsx");
    let mut book = Workbook::new();
    book.add_worksheet().write(0, 0, "2024/02/01").expect("a cell").write(0, 1, "20240201010203").expect("a cell");
    book.save(&path).expect("a workbook");
    let rows = read(&format!(
        "path = \"{}\", file_format_type = xlsx, date_format = \"yyyy/MM/dd\", datetime_format = \"yyyyMMddHHmmss\"\n\
         schema.fields {{ d = date, t = timestamp }}",
        path.display()
    ));
    assert_eq!(shown(&rows), [["2024-02-01", "2024-02-01T01:02:03"]]);
}

#[test]
fn long_sheets_are_restored_where_they_stood() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.xlsx");
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for row in 0..9000u32 {
        sheet.write(row, 0, row).expect("a cell");
    }
    book.save(&path).expect("a workbook");
    let source =
        plan_source(&format!("path = \"{}\", file_format_type = excel, schema.fields {{ n = int }}", path.display()))
            .expect("a plan");
    let batches = read_by_restarts(&source);
    assert_eq!(batches.len(), 3);
    assert_eq!(concat_batches(source.tables()[0].arrow(), &batches).expect("one batch"), read_rows(&source));
}

#[test]
fn what_is_no_workbook_or_too_large_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.xlsx");
    let options = format!("path = \"{}\", file_format_type = excel, schema.fields {{ a = int }}", path.display());
    fs::write(&path, "a,b\n").expect("write");
    assert!(
        read_error(&options).ends_with("a.xlsx: is no excel workbook: it begins neither as xlsx nor as xls files do")
    );
    fs::write(&path, b"PK\x03\x04nonsense").expect("write");
    assert!(read_error(&options).contains("the workbook is broken"));
    fs::write(&path, b"\xd0\xcf\x11\xe0nonsense").expect("write");
    assert!(read_error(&options).contains("the workbook is broken"));
    let mut book = Workbook::new();
    book.add_worksheet().write(0, 0, "x".repeat(30_000)).expect("a cell");
    book.save(&path).expect("a workbook");
    let error = read_error(&format!("{options}, max_workbook_bytes = 100"));
    assert!(error.ends_with("is larger than max_workbook_bytes = 100"), "{error}");
    let error = read_error(&format!("{options}, max_workbook_bytes = 20000"));
    assert!(error.ends_with("unpacks to more than max_workbook_bytes = 20000"), "{error}");
}

/// A record of an xls stream.
fn record(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &(body.len() as u16).to_le_bytes(), body].concat()
}

fn cell_head(row: u16, column: u16, format: u16) -> Vec<u8> {
    [row, column, format].iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A workbook stream of one sheet: texts, a number, a date, a boolean.
fn old_stream() -> Vec<u8> {
    let begin = |kind: u16| record(0x809, &[&0x600u16.to_le_bytes()[..], &kind.to_le_bytes(), &[0; 12]].concat());
    // Formats of cells: none, and that of a date and time.
    let format = |number: u16| record(0xe0, &[&[0, 0], &number.to_le_bytes()[..], &[0; 16]].concat());
    let end = record(0x0a, &[]);
    let formats = [format(0), format(22)].concat();
    let name = b"Old";
    let entry_bytes = 4 + 8 + name.len();
    let sheet_at = (begin(5).len() + formats.len() + entry_bytes + end.len()) as u32;
    let entry = [&sheet_at.to_le_bytes()[..], &[0, 0, name.len() as u8, 0], name].concat();
    let text = |row: u16, column: u16, text: &str| {
        let units = [&(text.len() as u16).to_le_bytes()[..], &[0], text.as_bytes()].concat();
        record(0x204, &[cell_head(row, column, 0), units].concat())
    };
    let number = |row: u16, column: u16, format: u16, value: f64| {
        record(0x203, &[&cell_head(row, column, format)[..], &value.to_le_bytes()].concat())
    };
    let boolean = record(0x205, &[&cell_head(1, 3, 0)[..], &[1, 0]].concat());
    let cells = [text(0, 0, "id"), number(1, 0, 0, 7.0), text(1, 1, "old"), number(1, 2, 1, 45322.5), boolean];
    [begin(5), formats, record(0x85, &entry), end.clone(), begin(0x10), cells.concat(), end].concat()
}

/// The stream within the compound file that xls is: a head, a sector of the table of sectors, one of the folder, and
/// eight of the stream.
fn old_workbook() -> Vec<u8> {
    const END: u32 = 0xffff_fffe;
    let numbers = |numbers: &[u32]| -> Vec<u8> { numbers.iter().flat_map(|number| number.to_le_bytes()).collect() };
    let mut file = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    file.resize(24, 0);
    file.extend([0x3e, 0, 3, 0, 0xfe, 0xff, 9, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(numbers(&[0, 1, 1, 0, 4096, END, 0, END, 0, 0]));
    file.resize(512, 0xff);
    let mut sectors = vec![0xffff_fffd, END];
    sectors.extend(3..10);
    sectors.push(END);
    file.extend(numbers(&sectors));
    file.resize(1024, 0xff);
    for (name, kind, child, start, bytes) in [("Root Entry", 5, 1, END, 0), ("Workbook", 2, u32::MAX, 2, 4096)] {
        let mut entry: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        entry.resize(64, 0);
        entry.extend((name.len() as u16 * 2 + 2).to_le_bytes());
        entry.extend([kind, 1]);
        entry.extend(numbers(&[u32::MAX, u32::MAX, child]));
        entry.resize(116, 0);
        entry.extend(numbers(&[start, bytes, 0]));
        file.extend(entry);
    }
    file.resize(1536, 0);
    file.extend(old_stream());
    file.resize(1536 + 4096, 0);
    file
}

#[test]
fn workbooks_of_the_older_kind_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.xls"), old_workbook()).expect("write");
    let rows = read(&format!(
        "path = \"{}\", file_format_type = excel, skip_header_row_number = 1, sheet_name = Old\n\
         schema.fields {{ id = int, name = string, at = timestamp, ok = boolean }}",
        folder.path().display()
    ));
    assert_eq!(shown(&rows), [["7", "old", "2024-01-31T12:00:00", "true"]]);
}
