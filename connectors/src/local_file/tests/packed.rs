//! Reading compressed files, archives, and other encodings; copying files as they are.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use arrow::array::{AsArray, Int64Array};

use super::reading::read_by_restarts;
use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("packed");
    encoder.finish().expect("packed")
}

/// An entry of tar: its head and its bytes.
fn tar_entry(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut head = [0u8; 512];
    head[..name.len().min(100)].copy_from_slice(&name.as_bytes()[..name.len().min(100)]);
    head[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
    head[148..156].fill(b' ');
    head[156] = kind;
    head[257..263].copy_from_slice(b"ustar\0");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut entry = head.to_vec();
    entry.extend_from_slice(bytes);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar_entry("folder/", b'5', b"");
    for (name, bytes) in files {
        if name.len() > 100 {
            archive.extend(tar_entry("././@LongLink", b'L', format!("{name}\0").as_bytes()));
        }
        archive.extend(tar_entry(name, b'0', bytes));
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let packed = zip::write::SimpleFileOptions::default();
    writer.add_directory("folder", packed).expect("a folder");
    for (index, (name, bytes)) in files.iter().enumerate() {
        // Packed and not, by turns.
        let how = if index % 2 == 0 { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
        writer.start_file(*name, packed.compression_method(how)).expect("an entry");
        writer.write_all(bytes).expect("written");
    }
    writer.finish().expect("an archive").into_inner()
}

fn write_in(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).expect("write");
}

#[test]
fn files_in_archives_are_read_one_after_the_other() {
    let long = format!("folder/{}.txt", "long".repeat(40));
    let files: Vec<(&str, &[u8])> = vec![
        ("b.txt", b"h\n1\n2\n"),
        ("folder/a.TXT", b"h\n3\n"),
        ("folder/.hidden.txt", b"h\n99\n"),
        ("folder/other.csv", b"h\n98\n"),
        ("empty.txt", b""),
        (long.as_str(), b"h\n4"),
    ];
    for (kind, bytes) in [("zip", zip(&files)), ("tar", tar(&files)), ("tar_gz", gzip(&tar(&files)))] {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("k=v")).expect("a folder");
        write_in(folder.path(), "k=v/archive", &bytes);
        let rows = read(&format!(
            "path = \"{}\", file_format_type = text, archive_compress_codec = {kind}, skip_header_row_number = 1\n\
             schema.fields {{ n = int }}",
            folder.path().display()
        ));
        assert_eq!(shown(&rows), [["1", "v"], ["2", "v"], ["3", "v"], ["4", "v"]], "{kind}");
    }
}

#[test]
fn each_format_is_read_in_archives() {
    let mut book = rust_xlsxwriter::Workbook::new();
    book.add_worksheet().write(0, 0, 1).expect("a cell");
    let book = book.save_to_buffer().expect("a workbook");
    for (format, name, bytes, more) in [
        ("csv", "a.csv", b"1\n".as_slice(), ""),
        ("json", "a.json", b"{\"n\":1}", ""),
        ("xml", "a.xml", b"<a><R n='1'/></a>", "xml_row_tag = R, xml_use_attr_format = true"),
        ("excel", "a.xlsx", &book, ""),
    ] {
        for (kind, archive) in
            [("zip", zip(&[(name, bytes)])), ("tar_gz", gzip(&tar(&[(name, bytes)]))), ("gz", gzip(bytes))]
        {
            let folder = tempfile::tempdir().expect("a folder");
            write_in(folder.path(), "archive.gz", &archive);
            let rows = read(&format!(
                "path = \"{}\", file_format_type = {format}, archive_compress_codec = {kind}\n{more}\nschema.fields {{ n = int }}",
                folder.path().display()
            ));
            assert_eq!(shown(&rows), [["1"]], "{format} in {kind}");
        }
    }
}

#[test]
fn broken_archives_are_told_by_name() {
    let whole: Vec<(&str, &[u8])> = vec![("a.txt", b"1\n2\n")];
    for (kind, bytes, expected) in [
        ("tar", b"this is no archive".repeat(50), "is no tar archive"),
        ("tar", tar(&whole)[..1100].to_vec(), "the archive is cut off"),
        ("tar_gz", tar(&whole), "is no gzip file"),
        ("gz", b"plain".to_vec(), "is no gzip file"),
        ("zip", zip(&whole)[..60].to_vec(), "cut off"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        write_in(folder.path(), "x", &bytes);
        let error = read_error(&format!(
            "path = \"{}\", file_format_type = text, archive_compress_codec = {kind}",
            folder.path().display()
        ));
        assert!(error.contains("/x: ") && error.contains(expected), "{kind}: {error}");
    }
}

#[test]
fn files_beside_zip_archives_are_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    write_in(folder.path(), "a.txt", b"no archive\n");
    write_in(folder.path(), "b.zip", &zip(&[("b.txt", b"1\n")]));
    let options = "file_format_type = text, archive_compress_codec = zip";
    assert_eq!(shown(&read(&format!("path = \"{}\", {options}", folder.path().display()))), [["1"]]);
}

#[test]
fn compressed_files_are_decoded_as_told() {
    let csv = b"id,n\n1,\"a\nb\"\n2,c\n";
    let json = b"{\"id\":1,\"n\":\"a\\nb\"}\n{\"id\":2,\"n\":\"c\"}\n";
    for (format, bytes, skip) in [("csv", csv.as_slice(), 1), ("json", json, 0)] {
        for (codec, packed) in
            [("gzip", gzip(bytes)), ("zstd", zstd::encode_all(bytes, 1).expect("packed")), ("lz4", bytes.to_vec())]
        {
            let folder = tempfile::tempdir().expect("a folder");
            write_in(folder.path(), "x", &packed);
            let rows = read(&format!(
                "path = \"{}\", file_format_type = {format}, compress_codec = {codec}, skip_header_row_number = {skip}\n\
                 schema.fields {{ id = int, n = string }}",
                folder.path().display()
            ));
            assert_eq!(shown(&rows), [["1", "a\nb"], ["2", "c"]], "{format} {codec}");
        }
    }
}

#[test]
fn texts_in_other_encodings_are_read() {
    let text = "h\n1,你好\n2,再见\n";
    for (name, bytes) in [
        ("GBK", encoding_rs::GBK.encode(text).0.into_owned()),
        ("gb2312", encoding_rs::GBK.encode(text).0.into_owned()),
        ("GB18030", encoding_rs::GB18030.encode(text).0.into_owned()),
        ("UTF-16LE", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16", std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect()),
        ("UTF-8", text.as_bytes().to_vec()),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        write_in(folder.path(), "x", &bytes);
        let options = |format: &str| {
            format!(
                "path = \"{}\", file_format_type = {format}, encoding = \"{name}\", skip_header_row_number = 1\n\
                 field_delimiter = \",\", schema.fields {{ id = int, n = string }}",
                folder.path().display()
            )
        };
        for format in ["csv", "text"] {
            assert_eq!(shown(&read(&options(format))), [["1", "你好"], ["2", "再见"]], "{name}");
        }
    }
}

#[test]
fn malformed_characters_are_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    write_in(folder.path(), "x", b"a\xff\x01\xe4\xbd\n");
    for (format, encoding) in [("text", "UTF-8"), ("csv", "GBK")] {
        let rows = read(&format!(
            "path = \"{}\", file_format_type = {format}, encoding = {encoding}\n\
             schema.fields {{ n = string, m = \"array<string>\" }}",
            folder.path().display()
        ));
        assert!(shown(&rows)[0][0].starts_with("a\u{fffd}"), "{format}: {:?}", shown(&rows));
    }
}

#[test]
fn a_restored_split_goes_on_within_what_is_packed() {
    let lines =
        |from: usize| -> Vec<u8> { (from..from + 9000).flat_map(|row| format!("{row},é\n").into_bytes()).collect() };
    let latin =
        |bytes: &[u8]| encoding_rs::WINDOWS_1252.encode(std::str::from_utf8(bytes).expect("text")).0.into_owned();
    let (first, second) = (lines(0), lines(9000));
    let both = [first.as_slice(), &second].concat();
    for (bytes, more) in [
        (gzip(&both), "compress_codec = gzip"),
        (latin(&both), "encoding = ISO-8859-1"),
        (gzip(&latin(&both)), "encoding = ISO-8859-1, compress_codec = gzip"),
        (zip(&[("a.csv", &first), ("x.txt", b"1"), ("b.csv", &second)]), "archive_compress_codec = zip"),
        (
            gzip(&tar(&[("a.csv", &latin(&first)), ("b.csv", &latin(&second))])),
            "archive_compress_codec = tar_gz, encoding = latin1",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        write_in(folder.path(), "x", &bytes);
        let source = plan_source(&format!(
            "path = \"{}\", file_format_type = csv, {more}, schema.fields {{ id = int, n = string }}",
            folder.path().display()
        ))
        .expect("a plan");
        let rows = read_by_restarts(&source);
        assert!(rows.len() > 3);
        let rows = concat_batches(source.tables()[0].arrow(), &rows).expect("one batch");
        assert_eq!(rows, read_rows(&source), "{more}");
        assert_eq!(shown(&rows)[17_999], ["17999", "é"], "{more}");
    }
}

#[test]
fn files_are_copied_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join("k=v")).expect("a folder");
    let large: Vec<u8> = (0..600_000u32).map(|at| (at % 251) as u8).collect();
    write_in(folder.path(), "k=v/large.bin", &large);
    write_in(folder.path(), "small", b"\xff\0");
    let source =
        plan_source(&format!("path = \"{}/\", file_format_type = binary", folder.path().display())).expect("plan");
    let names: Vec<&str> = source.tables()[0].columns.iter().map(|column| column.name.as_ref()).collect();
    assert_eq!(names, ["data", "relativePath", "partIndex"]);
    let rows = read_rows(&source);
    assert_eq!(rows, concat_batches(source.tables()[0].arrow(), &read_by_restarts(&source)).expect("one batch"));
    let (data, paths) = (rows.column(0).as_binary::<i32>(), rows.column(1).as_string::<i32>());
    let parts: Vec<i64> = rows.column(2).as_any().downcast_ref::<Int64Array>().expect("numbers").values().to_vec();
    assert_eq!(
        paths.iter().flatten().collect::<Vec<_>>(),
        ["k=v/large.bin", "k=v/large.bin", "k=v/large.bin", "small"]
    );
    assert_eq!(parts, [0, 1, 2, 0]);
    assert_eq!([data.value(0), data.value(1), data.value(2)].concat(), large);
    assert_eq!(data.value(3), b"\xff\0");
    let single = read(&format!("path = \"{}/small\", file_format_type = binary", folder.path().display()));
    assert_eq!(single.column(1).as_string::<i32>().value(0), "small");
}
