//! The heap of the node: live allocations by size, and profiles of who holds them (docs/heap.md).

use std::net::IpAddr;

use bytes::Bytes;
use egret_collectors::{
    Heap, HeapProfileError, HeapProfiler, Part, SizeClass, heap_profile, heap_profiler, start_heap_profiler,
    stop_heap_profiler,
};
use egret_runtime::shard::{BlockingError, run_blocking};
use http::StatusCode;

use super::Node;
use crate::json::JsonBuffer;
use crate::reply::Reply;
use crate::route::Verb;

/// What is asked about the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeapCall {
    /// What lives.
    Show,
    /// Switch the profiler on.
    Start,
    /// Switch it off.
    Stop,
    /// A profile.
    Profile,
}

impl HeapCall {
    /// Whether only programs on the node's own machine may ask. A profile takes time of the node, and tells where its code
    /// lies in memory.
    pub(crate) fn is_local(self) -> bool {
        self != Self::Show
    }

    pub(super) const fn verb(self) -> Verb {
        match self {
            Self::Show | Self::Profile => Verb::Get,
            Self::Start | Self::Stop => Verb::Post,
        }
    }
}

/// Whether an address is of this machine alone. An IPv4 address may come in the clothes of an IPv6 one.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// The refusal for everybody else.
pub(crate) fn not_from_here() -> Reply {
    Reply::fail(
        StatusCode::FORBIDDEN,
        "Only programs on the node's own machine may ask for this (by 127.0.0.1 or ::1).",
    )
}

/// Answers.
pub(super) async fn handle(call: HeapCall, query: &str, node: &Node) -> Reply {
    match call {
        HeapCall::Show => show(node).await,
        HeapCall::Start => match rate_of(query) {
            Ok(rate) => switched(move || start_heap_profiler(rate)).await,
            Err(message) => Reply::bad_request(&message),
        },
        HeapCall::Stop => switched(stop_heap_profiler).await,
        HeapCall::Profile => profile(node.settings.heap_profile_bytes_max).await,
    }
}

async fn show(node: &Node) -> Reply {
    node.renew(Part::Vitals | Part::Allocations).await;
    let (vitals, classes) = (node.sampler.vitals(), node.sampler.allocations());
    if vitals.taken.is_none() || classes.taken.is_none() {
        return Reply::busy("The heap has not been read yet, try again later.");
    }
    match &vitals.heap {
        Some(heap) => Reply::json(write_heap(heap, &classes, &heap_profiler())),
        None => Reply::fail(StatusCode::NOT_IMPLEMENTED, "This program does not allocate by jemalloc."),
    }
}

fn write_heap(heap: &Heap, classes: &[SizeClass], profiler: &HeapProfiler) -> Bytes {
    let mut json = JsonBuffer::default();
    let totals = [
        ("allocatedBytes", heap.allocated),
        ("activeBytes", heap.active),
        ("residentBytes", heap.resident),
        ("retainedBytes", heap.retained),
        ("metadataBytes", heap.metadata),
        ("liveObjects", classes.iter().map(|class| class.live).sum()),
        ("liveBytes", classes.iter().map(|class| class.live.saturating_mul(class.bytes)).sum()),
    ];
    json.raw("{");
    for (key, value) in totals {
        json.string(key).raw(":").integer(value).raw(",");
    }
    json.raw(r#""profiler":"#);
    write_profiler(profiler, &mut json);
    json.raw(r#","sizeClasses":["#);
    for (at, class) in classes.iter().enumerate() {
        json.raw(if at > 0 { "," } else { "" }).raw(r#"{"bytes":"#).integer(class.bytes);
        json.raw(r#","liveObjects":"#).integer(class.live);
        json.raw(r#","liveBytes":"#).integer(class.live.saturating_mul(class.bytes)).raw("}");
    }
    json.raw("]}").take()
}

fn write_profiler(profiler: &HeapProfiler, json: &mut JsonBuffer) {
    let flag = |flag| if flag { "true" } else { "false" };
    json.raw(r#"{"available":"#).raw(flag(profiler.available));
    json.raw(r#","active":"#).raw(flag(profiler.active));
    json.raw(r#","sampleBytes":"#).integer(profiler.sample_bytes).raw("}");
}

/// Has the profiler switched on a thread that may wait for jemalloc's locks.
async fn switched(switch: impl FnOnce() -> Result<HeapProfiler, HeapProfileError> + Send + 'static) -> Reply {
    match run_blocking(switch).await {
        Ok(Ok(profiler)) => {
            let mut json = JsonBuffer::default();
            write_profiler(&profiler, &mut json);
            Reply::json(json.take())
        }
        Ok(Err(error)) => refusal(&error),
        Err(error) => unable(&error),
    }
}

async fn profile(bytes_max: u64) -> Reply {
    match run_blocking(move || heap_profile(bytes_max)).await {
        // The type that Go's programs give to theirs.
        Ok(Ok(profile)) => Reply::of_type("application/octet-stream", Bytes::from(profile)),
        Ok(Err(error)) => refusal(&error),
        Err(error) => unable(&error),
    }
}

fn refusal(error: &HeapProfileError) -> Reply {
    let status = match error {
        HeapProfileError::Rate(_) => StatusCode::BAD_REQUEST,
        HeapProfileError::Inactive | HeapProfileError::Active(_) | HeapProfileError::TooLarge { .. } => {
            StatusCode::CONFLICT
        }
        HeapProfileError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        HeapProfileError::Absent => StatusCode::NOT_IMPLEMENTED,
        HeapProfileError::Refused { .. } | HeapProfileError::Io(_) | HeapProfileError::Garbled(_) => {
            tracing::error!("no heap profile: {error}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    let cure = match error {
        HeapProfileError::Inactive => {
            "; switch it on (egret heap start, or POST /egret/heap/start), let the node work for a while, and ask again"
        }
        HeapProfileError::Active(_) => "; stop it first (egret heap stop, or POST /egret/heap/stop)",
        HeapProfileError::TooLarge { .. } => "; raise heap_profile_bytes_max, or sample less often",
        HeapProfileError::Busy => "; try again later",
        _ => "",
    };
    Reply::fail(status, &format!("No heap profile: {error}{cure}."))
}

/// No thread could be had, or the closure panicked.
fn unable(error: &BlockingError) -> Reply {
    match error {
        BlockingError::Panicked(_) => Reply::internal(),
        BlockingError::Full(_) | BlockingError::Stopped => {
            Reply::busy("The node has no thread for it now, try again later.")
        }
    }
}

/// The rate in `sampleBytes=..`; `None` where the query does not say.
fn rate_of(query: &str) -> Result<Option<u64>, String> {
    let mut rate = None;
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        if key == "sampleBytes" {
            let number =
                value.parse().map_err(|_| format!("sampleBytes: expected a number of bytes, found '{value}'."));
            rate = Some(number?);
        }
    }
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        let is = |address: &str| is_loopback(address.parse().expect("an address"));
        for address in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            assert!(is(address), "{address}");
        }
        for address in ["10.0.0.1", "0.0.0.0", "128.0.0.1", "::", "::2", "fe80::1", "::ffff:10.0.0.1", "::127.0.0.1"] {
            assert!(!is(address), "{address}");
        }
    }

    #[test]
    fn the_rate_is_a_number_of_bytes() {
        assert_eq!(rate_of(""), Ok(None));
        assert_eq!(rate_of("x=1&sampleBytes"), Ok(None));
        assert_eq!(rate_of("x=1&sampleBytes=65536"), Ok(Some(65_536)));
        for wrong in ["", "-1", "64KiB", "99999999999999999999", "1.5"] {
            let told = rate_of(&format!("sampleBytes={wrong}")).expect_err(wrong);
            assert!(told.ends_with(&format!("found '{wrong}'.")), "{told}");
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        let told = |error: HeapProfileError| {
            let reply = refusal(&error);
            let body = reply.body.into_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            (reply.status.as_u16(), body["message"].as_str().expect("a message").to_owned())
        };
        let (status, message) = told(HeapProfileError::Inactive);
        assert!(
            status == 409
                && message.starts_with("No heap profile: the heap profiler is off; switch it on (egret heap start"),
            "{message}"
        );
        let (status, message) = told(HeapProfileError::Active(65_536));
        assert!(status == 409 && message.contains("one sample in 65536 bytes; stop it first"), "{message}");
        let (status, message) = told(HeapProfileError::TooLarge { bytes: 9, bytes_max: 8 });
        assert!(status == 409 && message.contains("8 are allowed; raise heap_profile_bytes_max"), "{message}");
        assert_eq!(told(HeapProfileError::Busy).0, 503);
        assert_eq!(told(HeapProfileError::Absent).0, 501);
        assert_eq!(told(HeapProfileError::Rate(1)).0, 400);
        assert_eq!(told(HeapProfileError::Io(std::io::Error::other("no"))).0, 500);
    }
}
