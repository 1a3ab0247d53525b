//! Any bytes are read as parquet without a panic that leaves the reader.
#![no_main]

use std::sync::LazyLock;

use egret_connectors::local_file::fuzzing::Fuzzed;
use libfuzzer_sys::fuzz_target;

const SCHEMA: &str = "schema { fields { n = int, s = string, d = \"decimal(20, 4)\", b = bytes, t = timestamp, day = date, at = time, f = double, ok = boolean, \
     l = \"array<int>\", m = \"map<string, array<string>>\", r = { x = int, y = string, z = { u = bigint } } } }";

const KINDS: &[&str] = &["file_format_type = parquet"];

static TABLES: LazyLock<Vec<Fuzzed>> =
    LazyLock::new(|| KINDS.iter().map(|kind| Fuzzed::new(&format!("{kind}\n{SCHEMA}"))).collect());

fuzz_target!(|data: &[u8]| {
    // The first byte says how the others are read.
    let Some((kind, data)) = data.split_first() else { return };
    TABLES[usize::from(*kind) % TABLES.len()].read(data);
});
