//! Reading xml.

use std::fs;

use super::reading::{folder_with, read_by_restarts};
use super::*;

const FIELDS: &str = "id = bigint, name = string, price = \"decimal(10, 2)\", tags = \"array<string>\", \
                      facts = \"map<string, int>\", r = { a = int, b = string }, born = date, at = timestamp, ok = boolean, raw = bytes";

#[test]
fn fields_are_attributes_or_elements() {
    let attributes = "<?xml version=\"1.0\"?>\n<!DOCTYPE rows>\n<ROWS><x/><ROW id='1.0' name=\"a&amp;&#233;&lt;\" price='7.785' \
                      tags='[\"x\",\"y\"]' facts='{\"n\":3}' r='5;z' born='2024-01-31' at='2024-01-31 16:00:48' ok='TRUE' \
                      raw='ab' other='1'/><!-- <ROW id='9'/> --><ROW\n id=' 2 ' name='' r='' ok=''></ROW><ROW other='1'/></ROWS>\n";
    let elements = "\u{feff}<rows><deep>\n<ROW><id>1</id><name>a&amp;&#xe9;<![CDATA[<]]></name><price>7.785</price>\
                    <tags>[\"x\",\"y\"]</tags><facts>{\"n\":3}</facts><r>5;z</r><born>2024-01-31</born>\
                    <at>2024-01-31 16:00:48</at><ok>true</ok><raw>ab</raw><other><id>7</id></other></ROW>\
                    <ROW><id> 2 </id><name/><r></r></ROW></deep></rows>";
    let folder = folder_with(&[("a.xml", attributes), ("b.xml", elements)]);
    for (file, attributes) in [("a.xml", true), ("b.xml", false)] {
        let rows = read(&format!(
            "path = \"{}/{file}\", file_format_type = xml, xml_row_tag = ROW, xml_use_attr_format = {attributes}\n\
             field_delimiter = \";\", schema {{ fields {{ {FIELDS} }} }}",
            folder.path().display()
        ));
        assert_eq!(
            shown(&rows),
            [
                [
                    "1",
                    "a&é<",
                    "7.79",
                    "[x, y]",
                    "{n: 3}",
                    "{a: 5, b: z}",
                    "2024-01-31",
                    "2024-01-31T16:00:48",
                    "true",
                    "6162"
                ],
                ["2", "", "-", "-", "-", "-", "-", "-", "-", "-"],
            ]
        );
    }
}

#[test]
fn columns_are_chosen_by_name_and_restored_where_they_stood() {
    let rows: String = (0..9000).map(|row| format!("<R><b>{row}</b>\n<a>x</a></R>")).collect();
    let folder = folder_with(&[("k=v/a.xml", &format!("<all>{rows}</all>"))]);
    let source = plan_source(&format!(
        "path = \"{}\", file_format_type = xml, xml_row_tag = R, xml_use_attr_format = false\n\
         read_columns = [b], schema.fields {{ a = string, b = int }}",
        folder.path().display()
    ))
    .expect("a plan");
    let batches = read_by_restarts(&source);
    assert!(batches.len() >= 3);
    let rows = concat_batches(source.tables()[0].arrow(), &batches).expect("one batch");
    assert_eq!(rows, read_rows(&source));
    let rows = shown(&rows);
    assert_eq!((rows.len(), rows[8999].as_slice()), (9000, ["8999".to_owned(), "v".to_owned()].as_slice()));
}

#[test]
fn encodings_and_long_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "<?xml version='1.0' encoding='GBK'?><a><R n='你好'/></a>";
    fs::write(folder.path().join("a.xml"), encoding_rs::GBK.encode(text).0).expect("write");
    let options = format!(
        "path = \"{}/a.xml\", file_format_type = xml, xml_row_tag = R, xml_use_attr_format = true, schema.fields {{ n = string }}",
        folder.path().display()
    );
    assert_eq!(shown(&read(&format!("{options}, encoding = GBK"))), [["你好"]]);
    // As UTF-8 it is malformed, which is no failure.
    assert!(shown(&read(&options))[0][0].contains('\u{fffd}'));
    let long = "x".repeat(3 << 20);
    fs::write(folder.path().join("a.xml"), format!("<a><R n='{long}'/><R n='1'/></a>")).expect("write");
    assert_eq!(read(&options).num_rows(), 2);
    let error = read_error(&format!("{options}, max_line_bytes = 1000000"));
    assert!(error.ends_with("line 1: a row is longer than max_line_bytes = 1000000"), "{error}");
}

#[test]
fn what_is_no_xml_is_told_with_its_line() {
    for (text, expected) in [
        ("<a>\n<R n='1'/>\n<R n='x'/></a>", "line 3: column 'n': 'x' is not of type INT"),
        ("<a>\n<R n='1'", "is no XML"),
        ("<a>\n<R n='1'>", "line 2: the document is cut off: a row is not closed"),
        ("<a>\n<R n='1'/>", "the document is cut off: an element is not closed"),
        ("n,m\n1,2\n", "text stands outside"),
        ("<a><R n='&nothing;'/></a>", "is no XML"),
        ("<a><R n='1' n='2'/></a>", "is no XML"),
    ] {
        let folder = folder_with(&[("a.xml", text)]);
        let error = read_error(&format!(
            "path = \"{}\", file_format_type = xml, xml_row_tag = R, xml_use_attr_format = true, schema.fields {{ n = int }}",
            folder.path().display()
        ));
        assert!(error.contains("a.xml") && error.contains(expected), "{text}: {error}");
    }
}
