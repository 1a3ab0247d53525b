//! Any text goes the whole way of a config, reading, judging, planning, without a panic, and what is told is bounded.
//! Plugins that look at files when they are planned are left out; all others are there.
#![no_main]

use std::sync::{Arc, LazyLock};

use egret_connectors::{assert, blackhole, console, fake};
use egret_runtime::config::{PROBLEMS_MAX, ReadOptions, Syntax, examine_job};
use egret_runtime::plan::{PlanOptions, plan};
use egret_runtime::plugin::Registry;
use libfuzzer_sys::fuzz_target;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::default();
    registry.add_source(fake::FakeSource);
    registry.add_sink(assert::Assert);
    registry.add_sink(blackhole::Blackhole);
    registry.add_sink(console::Console);
    egret_runtime::transform::register(&mut registry);
    registry
});

fuzz_target!(|text: &str| {
    let syntax = if text.trim_start().starts_with('{') { Syntax::Json } else { Syntax::Hocon };
    let options = ReadOptions { syntax, ..ReadOptions::default() };
    let examined = examine_job(text, "fuzz", &options);
    assert!(examined.problems.len() <= 2 * PROBLEMS_MAX);
    let options = PlanOptions { job_id: 1, job_name: Arc::from("fuzz"), restored: false };
    let problems = match plan(&examined.job, &REGISTRY, &options) {
        Ok((_, warnings)) => warnings,
        Err(problems) => {
            // What was told when the config was read is not told again.
            assert!(problems.has_errors() || examined.problems.has_errors());
            problems
        }
    };
    let _ = problems.to_string();
});
