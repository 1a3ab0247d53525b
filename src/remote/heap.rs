//! `egret heap`: what lives in the heap of a node, and profiles of who holds it (docs/heap.md).

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::api::{Api, ApiError};
use super::arguments::{HeapCommand, HeapDump, HeapStart, NodeQuestion};
use super::{pretty, show};
use crate::stdout;

/// Runs one of the commands; gives the exit status.
pub fn heap(command: &HeapCommand) -> Result<u8, ApiError> {
    match command {
        HeapCommand::Show(arguments) => ask(arguments, |api| api.heap(), shown),
        HeapCommand::Start(HeapStart { sample_bytes, question }) => {
            ask(question, |api| api.start_heap_profiler(*sample_bytes), told)
        }
        HeapCommand::Stop(arguments) => ask(arguments, |api| api.stop_heap_profiler(), told),
        HeapCommand::Dump(arguments) => dump(arguments),
    }
}

fn ask(
    arguments: &NodeQuestion,
    ask: impl FnOnce(&Api) -> Result<Value, ApiError>,
    text: impl FnOnce(&Value) -> String,
) -> Result<u8, ApiError> {
    let answer = ask(&Api::new(&arguments.node)?)?;
    Ok(stdout::print(if arguments.json { pretty(&answer) } else { text(&answer) }, 0))
}

/// Totals, and a line for each size.
fn shown(heap: &Value) -> String {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let mut text = String::new();
    for (label, key, meaning) in [
        ("Allocated", "allocatedBytes", "given to the program and not given back"),
        ("Active", "activeBytes", "pages that hold something of it"),
        ("Resident", "residentBytes", "pages in RAM"),
        ("Retained", "retainedBytes", "addresses kept for later"),
        ("Metadata", "metadataBytes", "jemalloc's own books"),
    ] {
        text += &format!("{label:<10} {:>12}  {meaning}\n", show::bytes(number(&heap[key])));
    }
    text += &format!("Profiler   {}\n\n", profiler(&heap["profiler"]));
    let all = number(&heap["liveBytes"]);
    let row = |class: &Value| {
        let live = number(&class["liveBytes"]);
        vec![
            show::bytes(number(&class["bytes"])),
            show::count(number(&class["liveObjects"])),
            show::bytes(live),
            format!("{:.1} %", live as f64 * 100.0 / all.max(1) as f64),
        ]
    };
    let classes = heap["sizeClasses"].as_array().map(Vec::as_slice).unwrap_or_default();
    text + &show::table(&["SIZE", "OBJECTS", "BYTES", "SHARE"], 0, classes.iter().map(row))
}

fn profiler(profiler: &Value) -> String {
    match (profiler["available"].as_bool(), profiler["active"].as_bool()) {
        (Some(true), Some(true)) => {
            format!("on, one sample in {}", show::bytes(profiler["sampleBytes"].as_u64().unwrap_or_default()))
        }
        (Some(true), _) => "off".to_owned(),
        _ => "there is none".to_owned(),
    }
}

/// How the profiler is, and what to do with it.
fn told(answer: &Value) -> String {
    let next = match answer["active"].as_bool() {
        Some(true) => "; egret heap dump gets a profile, egret heap stop switches it off",
        _ => "; what it has recorded is forgotten",
    };
    format!("the heap profiler is {}{next}\n", profiler(answer))
}

fn dump(arguments: &HeapDump) -> Result<u8, ApiError> {
    let api = Api::new(&arguments.node)?;
    let profile = api.heap_profile()?;
    let (written, path) = match &arguments.output {
        Some(path) if path == Path::new("-") => return Ok(stdout::print(profile, 0)),
        Some(path) => (File::create(path), path.clone()),
        None => {
            let path = PathBuf::from(chrono::Local::now().format("egret-heap-%Y%m%d-%H%M%S.pb.gz").to_string());
            // What is there is somebody's.
            (File::create_new(&path), path)
        }
    };
    let written: io::Result<()> = written.and_then(|mut file| file.write_all(&profile));
    let told = |error| ApiError::Here(format!("cannot write the profile to {}: {error}", path.display()));
    written.map_err(told)?;
    let size = show::bytes(profile.len() as u64);
    Ok(stdout::print(format!("{} ({size}); to look at it: go tool pprof {0}\n", path.display()), 0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_heap_is_shown_with_a_line_for_each_size() {
        let heap = json!({
            "allocatedBytes": 3 << 20, "activeBytes": 4 << 20, "residentBytes": 5 << 20, "retainedBytes": 0,
            "metadataBytes": 1 << 20, "liveObjects": 12, "liveBytes": 4000,
            "profiler": {"available": true, "active": false, "sampleBytes": 524_288},
            "sizeClasses": [
                {"bytes": 8, "liveObjects": 10, "liveBytes": 80}, {"bytes": 1960, "liveObjects": 2, "liveBytes": 3920},
            ],
        });
        let text = shown(&heap);
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[0], "Allocated 3.00 MiB given to the program and not given back");
        assert_eq!(lines[5..8], ["Profiler off", "", "SIZE OBJECTS BYTES SHARE"]);
        assert_eq!(lines[8..], ["8 B 10 80 B 2.0 %", "1.91 KiB 2 3.83 KiB 98.0 %"]);
    }

    #[test]
    fn the_profiler_is_told_with_what_to_do_next() {
        let told = |available, active| told(&json!({"available": available, "active": active, "sampleBytes": 65_536}));
        assert!(told(true, true).starts_with("the heap profiler is on, one sample in 64.00 KiB; egret heap dump"));
        assert!(told(true, false).starts_with("the heap profiler is off; "));
        assert!(told(false, false).contains("there is none"));
    }
}
