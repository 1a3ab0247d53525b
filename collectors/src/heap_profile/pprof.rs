//! Profiles in the format of pprof (`profile.proto`, gzipped): the messages of it that a heap profile needs, and how a dump
//! becomes one.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use super::dump::HeapDump;
use super::mappings::CodeMapping;

/// What the profiler itself does: it stands at the top of each stack and tells nothing. A regular expression of pprof's.
const DROP_FRAMES: &str =
    "(_rjem_.*|_rjem_je_.*|prof_.*|malloc_default|do_rallocx|imalloc_.*|__rust_alloc.*|__rustc::__rust_alloc.*)";

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
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    /// 0: none.
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
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

/// A dump as a gzipped profile.
///
/// # Errors
/// None in practice: it is written to memory.
pub(super) fn encode(dump: &HeapDump, mappings: &[CodeMapping], span: Span) -> io::Result<Vec<u8>> {
    let profile = profile(dump, mappings, span).encode_to_vec();
    let mut gzip = GzEncoder::new(Vec::with_capacity(profile.len() / 4), Compression::default());
    gzip.write_all(&profile)?;
    gzip.finish()
}

fn profile(dump: &HeapDump, mappings: &[CodeMapping], span: Span) -> Profile {
    let mut strings = Strings::new();
    let mut value_type = |kind: &str, unit: &str| ValueType { kind: strings.place(kind), unit: strings.place(unit) };
    // The names that Go's heap profiles have, which tools know.
    let sample_type = vec![value_type("inuse_objects", "count"), value_type("inuse_space", "bytes")];
    let period_type = Some(value_type("space", "bytes"));
    let mut locations = Locations { mappings, list: Vec::new(), ids: HashMap::new() };
    let sample = dump.stacks.iter().map(|stack| {
        let (objects, bytes) = stack.estimate(dump.sample_bytes);
        let value = [objects, bytes].map(|value| i64::try_from(value).unwrap_or(i64::MAX)).to_vec();
        Sample { location_id: stack.addresses.iter().map(|address| locations.id(*address)).collect(), value }
    });
    let sample = sample.collect();
    let mapping = mappings.iter().zip(1..).map(|(mapping, id)| Mapping {
        id,
        memory_start: mapping.start,
        memory_limit: mapping.end,
        file_offset: mapping.file_offset,
        filename: strings.place(&mapping.file),
        build_id: strings.place(&mapping.build_id),
    });
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    Profile {
        sample_type,
        sample,
        mapping: mapping.collect(),
        location: locations.list,
        drop_frames: strings.place(DROP_FRAMES),
        time_nanos: nanos(span.until.duration_since(UNIX_EPOCH).unwrap_or_default()),
        duration_nanos: nanos(span.lasted),
        period_type,
        period: i64::try_from(dump.sample_bytes).unwrap_or(i64::MAX),
        default_sample_type: strings.place("inuse_space"),
        string_table: strings.table,
    }
}

/// Places in the code, each once.
struct Locations<'m> {
    mappings: &'m [CodeMapping],
    list: Vec<Location>,
    /// By return address.
    ids: HashMap<u64, u64>,
}

impl Locations<'_> {
    /// The id of the call that returns to an address.
    fn id(&mut self, returns_to: u64) -> u64 {
        *self.ids.entry(returns_to).or_insert_with(|| {
            // The address behind a call may be that of another line, or of another function; the byte before is the call's.
            let address = returns_to.saturating_sub(1);
            let within = |mapping: &CodeMapping| (mapping.start..mapping.end).contains(&address);
            let mapping_id = self.mappings.iter().position(within).map_or(0, |at| at as u64 + 1);
            let id = self.list.len() as u64 + 1;
            self.list.push(Location { id, mapping_id, address });
            id
        })
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

    fn mapping(start: u64, end: u64, file: &str) -> CodeMapping {
        CodeMapping { start, end, file_offset: 0x1000, file: file.to_owned(), build_id: "ab01".to_owned() }
    }

    fn stack(addresses: &[u64]) -> SampledStack {
        SampledStack { addresses: addresses.to_vec(), objects: 2, bytes: 64 << 20 }
    }

    const SPAN: Span = Span { until: UNIX_EPOCH, lasted: Duration::from_secs(3) };

    #[test]
    fn a_profile_names_its_values_its_files_and_the_calls() {
        let mappings = [mapping(0x1000, 0x3000, "/bin/egret"), mapping(0x7000, 0x8000, "/lib/x.so")];
        let stacks = vec![stack(&[0x1001, 0x7000, 0x2000]), stack(&[0x1001])];
        let dump = HeapDump { sample_bytes: 1 << 19, stacks };
        let profile = decoded(&encode(&dump, &mappings, SPAN).expect("encoded"));
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
            let profile = decoded(&encode(&dump, &[mapping(10, 20, "a"), mapping(20, 30, "b")], SPAN).expect("encoded"));
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
