//! Any bytes are read as a workbook without a panic, and in bounded memory.
#![no_main]

use std::sync::LazyLock;

use egret_connectors::local_file::fuzzing::Fuzzed;
use libfuzzer_sys::fuzz_target;

const SCHEMA: &str = "schema { fields { n = int, s = string, d = \"decimal(20, 4)\", b = bytes, t = timestamp, day = date, at = time, f = double, ok = boolean, \
     l = \"array<int>\", m = \"map<string, array<string>>\", r = { x = int, y = string, z = { u = bigint } } } }";

const KINDS: &[&str] = &[
    "file_format_type = excel, max_workbook_bytes = 16777216",
    "file_format_type = excel, max_workbook_bytes = 16777216, sheet_name = Sheet1, skip_header_row_number = 1, field_delimiter = \";\"",
];

static TABLES: LazyLock<Vec<Fuzzed>> =
    LazyLock::new(|| KINDS.iter().map(|kind| Fuzzed::new(&format!("{kind}\n{SCHEMA}"))).collect());

fuzz_target!(|data: &[u8]| {
    // The first byte says how the others are read.
    let Some((kind, data)) = data.split_first() else { return };
    TABLES[usize::from(*kind) % TABLES.len()].read(data);
});
