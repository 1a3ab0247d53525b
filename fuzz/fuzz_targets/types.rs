//! Any text is judged as a type without a panic.
#![no_main]

use egret_runtime::config::parse_type_text;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = parse_type_text(text);
});
