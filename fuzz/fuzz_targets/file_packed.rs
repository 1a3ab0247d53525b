//! Any bytes are unpacked by each codec and archive without a panic.
#![no_main]

use std::sync::LazyLock;

use egret_connectors::local_file::fuzzing::Fuzzed;
use libfuzzer_sys::fuzz_target;

const SCHEMA: &str = "schema { fields { n = int, s = string, d = \"decimal(20, 4)\", b = bytes, t = timestamp, day = date, at = time, f = double, ok = boolean, \
     l = \"array<int>\", m = \"map<string, array<string>>\", r = { x = int, y = string, z = { u = bigint } } } }";

const KINDS: &[&str] = &[
    "file_format_type = text, compress_codec = lzo",
    "file_format_type = text, compress_codec = snappy",
    "file_format_type = text, compress_codec = lz4",
    "file_format_type = text, compress_codec = zlib",
    "file_format_type = text, compress_codec = gzip",
    "file_format_type = text, compress_codec = bzip2",
    "file_format_type = text, compress_codec = brotli",
    "file_format_type = text, compress_codec = zstd",
    "file_format_type = csv, archive_compress_codec = zip",
    "file_format_type = csv, archive_compress_codec = tar",
    "file_format_type = csv, archive_compress_codec = tar_gz",
    "file_format_type = csv, archive_compress_codec = gz",
    "file_format_type = json, archive_compress_codec = zip, compress_codec = gzip",
];

static TABLES: LazyLock<Vec<Fuzzed>> =
    LazyLock::new(|| KINDS.iter().map(|kind| Fuzzed::new(&format!("{kind}\n{SCHEMA}"))).collect());

fuzz_target!(|data: &[u8]| {
    // The first byte says how the others are read.
    let Some((kind, data)) = data.split_first() else { return };
    TABLES[usize::from(*kind) % TABLES.len()].read(data);
});
