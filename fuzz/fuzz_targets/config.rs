//! Any text is read as a config without a panic, and what is read is told in bounds.
#![no_main]

use egret_runtime::config::{PROBLEMS_MAX, ReadOptions, Syntax, examine_job};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let options = ReadOptions { syntax: Syntax::Hocon, ..ReadOptions::default() };
    let examined = examine_job(text, "fuzz", &options);
    assert!(examined.problems.len() <= 2 * PROBLEMS_MAX);
});
