//! Profiles in the format of pprof (`profile.proto`, gzipped): the messages of it that a heap profile needs, and how a dump
//! becomes one.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use super::dump::HeapDump;
use super::mappings::CodeMapping;
use crate::stacks::Frame;

/// What the profiler itself does: it stands at the top of each stack and tells nothing. A regular expression of pprof's.
const DROP_FRAMES: &str = "(_rjem_.*|prof_.*|do_rallocx|imalloc.*|(__rustc::)?__rust_.*|<tikv_jemallocator::.*)";

/// The root of `profile.proto`. Strings are places in the table, of which the first is empty.
#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "7")]
    drop_frames: i64,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    /// The innermost first.
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Mapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    memory_start: u64,
    #[prost(uint64, tag = "3")]
    memory_limit: u64,
    #[prost(uint64, tag = "4")]
    file_offset: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(int64, tag = "6")]
    build_id: i64,
    /// Its calls have names: tools need not look for them.
    #[prost(bool, tag = "7")]
    has_functions: bool,
    /// They have places in the source, too.
    #[prost(bool, tag = "8")]
    has_filenames: bool,
    #[prost(bool, tag = "9")]
    has_line_numbers: bool,
    #[prost(bool, tag = "10")]
    has_inline_frames: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    /// 0: none.
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    /// The functions there: the last one called the one before it, which stands in it.
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    /// 0: not known.
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

/// Texts, each once.
struct Strings {
    table: Vec<String>,
    places: HashMap<String, i64>,
}

impl Strings {
    fn new() -> Self {
        Self { table: vec![String::new()], places: HashMap::from([(String::new(), 0)]) }
    }

    fn place(&mut self, text: &str) -> i64 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.table.len() as i64;
        self.table.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }
}

/// When a profile was made, and of what time it tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) until: SystemTime,
    pub(super) lasted: Duration,
}

/// Where the calls of a profile are, and what they are called.
pub(super) trait Code {
    /// The parts of files that hold code, those of the program first.
    fn mappings(&self) -> &[CodeMapping];

    /// The functions at an address within the mapping of that place, the innermost first.
    fn frames(&mut self, mapping: usize, address: u64) -> Vec<Frame<'_>>;
}

/// A dump as a gzipped profile.
///
/// # Errors
/// None in practice: it is written to memory.
pub(super) fn encode(dump: &HeapDump, code: &mut dyn Code, span: Span) -> io::Result<Vec<u8>> {
    let profile = profile(dump, code, span).encode_to_vec();
    let mut gzip = GzEncoder::new(Vec::with_capacity(profile.len() / 4), Compression::default());
    gzip.write_all(&profile)?;
    gzip.finish()
}

fn profile(dump: &HeapDump, code: &mut dyn Code, span: Span) -> Profile {
    let mut strings = Strings::new();
    let mut value_type = |kind: &str, unit: &str| ValueType { kind: strings.place(kind), unit: strings.place(unit) };
    // The names that Go's heap profiles have, which tools know.
    let sample_type = vec![value_type("inuse_objects", "count"), value_type("inuse_space", "bytes")];
    let period_type = Some(value_type("space", "bytes"));
    let mapping = code.mappings().iter().zip(1..).map(|(mapping, id)| mapping_of(mapping, id, &mut strings)).collect();
    let mut calls =
        Calls { code, strings, mapping, location: Vec::new(), ids: HashMap::new(), functions: HashMap::new() };
    let sample = dump.stacks.iter().map(|stack| {
        let (objects, bytes) = stack.estimate(dump.sample_bytes);
        let value = [objects, bytes].map(|value| i64::try_from(value).unwrap_or(i64::MAX)).to_vec();
        Sample { location_id: stack.addresses.iter().map(|address| calls.id(*address)).collect(), value }
    });
    let sample = sample.collect();
    let Calls { mut strings, mapping, location, functions, .. } = calls;
    let mut function: Vec<Function> = functions.into_values().collect();
    function.sort_by_key(|function| function.id);
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    Profile {
        sample_type,
        sample,
        mapping,
        location,
        function,
        drop_frames: strings.place(DROP_FRAMES),
        time_nanos: nanos(span.until.duration_since(UNIX_EPOCH).unwrap_or_default()),
        duration_nanos: nanos(span.lasted),
        period_type,
        period: i64::try_from(dump.sample_bytes).unwrap_or(i64::MAX),
        default_sample_type: strings.place("inuse_space"),
        string_table: strings.table,
    }
}

fn mapping_of(mapping: &CodeMapping, id: u64, strings: &mut Strings) -> Mapping {
    let file = match mapping.path.as_os_str().is_empty() {
        true => fs::read_link("/proc/self/exe").unwrap_or_default(),
        false => mapping.path.clone(),
    };
    let build_id: String = mapping.build_id.iter().map(|byte| format!("{byte:02x}")).collect();
    Mapping {
        id,
        memory_start: mapping.start,
        memory_limit: mapping.end,
        file_offset: mapping.file_offset,
        filename: strings.place(&file.to_string_lossy()),
        build_id: strings.place(&build_id),
        ..Mapping::default()
    }
}

/// Places in the code and functions, each once.
struct Calls<'c> {
    code: &'c mut dyn Code,
    strings: Strings,
    mapping: Vec<Mapping>,
    location: Vec<Location>,
    /// By return address.
    ids: HashMap<u64, u64>,
    /// By name and file.
    functions: HashMap<(i64, i64), Function>,
}

impl Calls<'_> {
    /// The id of the call that returns to an address.
    fn id(&mut self, returns_to: u64) -> u64 {
        if let Some(id) = self.ids.get(&returns_to) {
            return *id;
        }
        // The address behind a call may be that of another line, or of another function; the byte before is the call's.
        let address = returns_to.saturating_sub(1);
        let within = |mapping: &CodeMapping| (mapping.start..mapping.end).contains(&address);
        let mapping = self.code.mappings().iter().position(within);
        let line = mapping.map(|mapping| self.lines(mapping, address)).unwrap_or_default();
        let id = self.location.len() as u64 + 1;
        self.location.push(Location { id, mapping_id: mapping.map_or(0, |at| at as u64 + 1), address, line });
        self.ids.insert(returns_to, id);
        id
    }

    /// The functions at an address.
    fn lines(&mut self, mapping: usize, address: u64) -> Vec<Line> {
        let Self { code, strings, mapping: mappings, functions, .. } = self;
        let frames = code.frames(mapping, address);
        let known = &mut mappings[mapping];
        known.has_functions |= !frames.is_empty();
        known.has_inline_frames |= !frames.is_empty();
        let line = |frame: &Frame<'_>| {
            let (file, line) = frame.place.unwrap_or_default();
            known.has_filenames |= !file.is_empty();
            known.has_line_numbers |= line > 0;
            let (name, filename) = (strings.place(&frame.function), strings.place(file));
            let id = functions.len() as u64 + 1;
            let function = functions.entry((name, filename)).or_insert(Function { id, name, filename });
            Line { function_id: function.id, line: line.into() }
        };
        frames.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::super::dump::SampledStack;
    use super::*;

    fn decoded(bytes: &[u8]) -> Profile {
        let mut text = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut text).expect("gzip");
        Profile::decode(&*text).expect("a profile")
    }

    /// Code in which every 16 bytes are a function, put into another one.
    struct Invented(Vec<CodeMapping>);

    impl Code for Invented {
        fn mappings(&self) -> &[CodeMapping] {
            &self.0
        }

        fn frames(&mut self, mapping: usize, address: u64) -> Vec<Frame<'_>> {
            let Some(path) = self.0[mapping].path.to_str() else { return Vec::new() };
            let inner = Frame { function: format!("f{}", address / 16), place: Some((path, 7)) };
            let outer = Frame { function: "outer".to_owned(), place: None };
            if path.ends_with(".so") { Vec::new() } else { vec![inner, outer] }
        }
    }

    fn mapping(start: u64, end: u64, file: &str) -> CodeMapping {
        CodeMapping { start, end, file_offset: 0x1000, base: 0, path: file.into(), build_id: vec![0xab, 1] }
    }

    fn stack(addresses: &[u64]) -> SampledStack {
        SampledStack { addresses: addresses.to_vec(), objects: 2, bytes: 64 << 20 }
    }

    const SPAN: Span = Span { until: UNIX_EPOCH, lasted: Duration::from_secs(3) };

    #[test]
    fn a_profile_names_its_values_its_files_and_the_calls() {
        let mut code = Invented(vec![mapping(0x1000, 0x3000, "/bin/egret"), mapping(0x7000, 0x8000, "/lib/x.so")]);
        let stacks = vec![stack(&[0x1001, 0x7000, 0x2000]), stack(&[0x1001])];
        let dump = HeapDump { sample_bytes: 1 << 19, stacks };
        let profile = decoded(&encode(&dump, &mut code, SPAN).expect("encoded"));
        let text = |place: i64| profile.string_table[usize::try_from(place).expect("a place")].as_str();
        assert_eq!(text(0), "");
        let types = profile.sample_type.iter().map(|of| (text(of.kind), text(of.unit))).collect::<Vec<_>>();
        assert_eq!(types, [("inuse_objects", "count"), ("inuse_space", "bytes")]);
        assert_eq!((text(profile.default_sample_type), profile.period), ("inuse_space", 1 << 19));
        assert_eq!(profile.duration_nanos, 3_000_000_000);
        let files = profile.mapping.iter().map(|of| (of.id, text(of.filename), text(of.build_id))).collect::<Vec<_>>();
        assert_eq!(files, [(1, "/bin/egret", "ab01"), (2, "/lib/x.so", "ab01")]);
        let places = profile.location.iter().map(|at| (at.id, at.mapping_id, at.address)).collect::<Vec<_>>();
        // The second one is behind the last byte of nothing that is known.
        assert_eq!(places, [(1, 1, 0x1000), (2, 0, 0x6fff), (3, 1, 0x1fff)]);
        assert_eq!(
            profile.sample.iter().map(|of| of.location_id.clone()).collect::<Vec<_>>(),
            [vec![1, 2, 3], vec![1]]
        );
        let functions = profile.function.iter().map(|of| (of.id, text(of.name), text(of.filename))).collect::<Vec<_>>();
        assert_eq!(functions, [(1, "f256", "/bin/egret"), (2, "outer", ""), (3, "f511", "/bin/egret")]);
        let lines =
            |at: usize| profile.location[at].line.iter().map(|line| (line.function_id, line.line)).collect::<Vec<_>>();
        assert_eq!((lines(0), lines(1), lines(2)), (vec![(1, 7), (2, 0)], vec![], vec![(3, 7), (2, 0)]));
        let named = |of: &Mapping| (of.has_functions, of.has_filenames, of.has_line_numbers, of.has_inline_frames);
        let named: Vec<_> = profile.mapping.iter().map(named).collect();
        assert_eq!(named, [(true, true, true, true), (false, false, false, false)]);
        // Allocations much larger than the rate are all sampled.
        assert_eq!(profile.sample[0].value, [2, 64 << 20]);
    }

    proptest! {
        #[test]
        fn every_profile_is_consistent(
            stacks in prop::collection::vec((prop::collection::vec(0u64..50, 0..9), any::<u64>(), any::<u64>()), 0..20),
            sample_bytes: u64,
        ) {
            let stacks: Vec<SampledStack> = stacks
                .into_iter()
                .map(|(addresses, objects, bytes)| SampledStack { addresses, objects, bytes })
                .collect();
            let dump = HeapDump { sample_bytes, stacks };
            let mut code = Invented(vec![mapping(10, 20, "a"), mapping(20, 30, "b")]);
            let profile = decoded(&encode(&dump, &mut code, SPAN).expect("encoded"));
            prop_assert_eq!(profile.sample.len(), dump.stacks.len());
            for (sample, stack) in profile.sample.iter().zip(&dump.stacks) {
                prop_assert!(sample.value.iter().all(|value| *value >= 0));
                let back: Vec<u64> = sample.location_id.iter().map(|id| profile.location[*id as usize - 1].address).collect();
                let calls: Vec<u64> = stack.addresses.iter().map(|address| address.saturating_sub(1)).collect();
                prop_assert_eq!(back, calls);
            }
            for (at, location) in profile.location.iter().enumerate() {
                prop_assert_eq!(location.id, at as u64 + 1);
                let expected = match location.address { 10..20 => 1, 20..30 => 2, _ => 0 };
                prop_assert_eq!(location.mapping_id, expected);
            }
        }
    }
}
