//! The transport, tried over real sockets against handlers that do what a test needs.

mod bodies;
mod client;
mod errors;
mod hostile;
mod limits;
mod metrics;
mod node;
mod plugins;
mod protocol;
mod random;
mod seatunnel;
mod stop;
mod timings;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use egret_runtime::job::JobSettings;
use egret_runtime::logs::{JobLogSettings, JobLogs};
use egret_runtime::plugin::Registry;
use egret_runtime::shard::{Shards, ShardsConfig, allowed_cpus, sleep};

use crate::body::{Body, RequestBody};
use crate::jobs::JobService;
use crate::reply::Reply;
use crate::seatunnel::SeaTunnelSettings;
use crate::{HttpLimits, ListenerConfig, Server, ServerConfig, ShardStats};

use client::{Client, Response};

/// As the program has it: these tests ask for the heap, too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[unsafe(export_name = "_rjem_malloc_conf")]
static JEMALLOC_OPTIONS: egret_collectors::HeapOptions = egret_collectors::HEAP_OPTIONS;

/// Handlers under `/test/`.
pub(crate) async fn handle(what: &str, body: &mut RequestBody) -> Reply {
    let (name, argument) = what.split_once('/').unwrap_or((what, "0"));
    let Ok(number) = argument.parse::<u64>() else { return Reply::not_found(what) };
    match name {
        "ok" => Reply::json(Bytes::from_static(b"[]")),
        "panic" => panic!("asked for"),
        "sleep" => {
            sleep(Duration::from_millis(number)).await;
            Reply::json(Bytes::from_static(b"[]"))
        }
        "bytes" => Reply::json(Bytes::from(vec![b'x'; number as usize])),
        "echo" => match body.gather().await {
            Ok(bytes) => Reply::json(Body::from(bytes)),
            Err(error) => error.into(),
        },
        _ => Reply::not_found(what),
    }
}

/// A job service with the plugins of these tests.
fn jobs_on(shards: &Shards) -> JobService {
    let mut registry = Registry::default();
    registry.add_source(plugins::Numbers);
    registry.add_sink(plugins::Nowhere);
    JobService::new(shards.clone(), Arc::new(registry), JobSettings::default())
}

/// A free port that answers everything.
fn anywhere() -> ListenerConfig {
    ListenerConfig::new(std::net::Ipv4Addr::LOCALHOST.into(), 0)
}

/// A server on one shard.
struct Running {
    server: Option<Server>,
    jobs: JobService,
    shards: Shards,
}

impl Running {
    fn with(limits: HttpLimits) -> Self {
        Self::set_up(limits, SeaTunnelSettings::default())
    }

    fn set_up(limits: HttpLimits, seatunnel: SeaTunnelSettings) -> Self {
        Self::configured(ServerConfig { listeners: vec![anywhere()], limits, seatunnel, ..ServerConfig::default() })
    }

    fn configured(config: ServerConfig) -> Self {
        Self::on(ShardsConfig::default(), config)
    }

    /// Jobs at the priority of requests: for tests of so many that they would not end on a machine that others keep busy.
    fn with_quick_jobs(config: ServerConfig) -> Self {
        Self::on(ShardsConfig { work_nice: 0, ..ShardsConfig::default() }, config)
    }

    fn on(shards: ShardsConfig, config: ServerConfig) -> Self {
        let cpu = allowed_cpus().expect("an affinity mask")[0];
        let cpus = cpu.to_string().parse().expect("a CPU");
        let shards = Shards::start(ShardsConfig { cpus: Some(cpus), ..shards }).expect("shards");
        let jobs = jobs_on(&shards);
        // Both ends of every connection are this process'.
        egret_runtime::net::raise_open_files_limit().expect("the limit of open files");
        let server = Server::start(&shards, &config, &jobs).expect("a server");
        Self { server: Some(server), jobs, shards }
    }

    fn new() -> Self {
        Self::with(HttpLimits::default())
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("running")
    }

    fn address(&self) -> SocketAddr {
        self.server().local_addr()
    }

    fn client(&self) -> Client {
        Client::connect(self.address())
    }

    fn stats(&self) -> &ShardStats {
        &self.server().stats()[0]
    }

    fn stop(&mut self, timeout: Duration) -> usize {
        self.server.take().expect("running").stop(timeout)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop(Duration::ZERO);
        }
        self.jobs.stop_all(PATIENCE);
        let _ = self.shards.stop(PATIENCE);
    }
}

/// Longer than anything takes, also on a machine that others keep busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that another thread is about to do.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < patience, "never came about: {what}");
        std::thread::yield_now();
    }
}

/// The body of an answer that is well.
fn json_of(response: &Response) -> serde_json::Value {
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    assert_eq!(response.header("content-type"), Some("application/json"));
    serde_json::from_slice(&response.body).expect("a JSON body")
}

/// Holds a body against `tests/expected/<name>.json`: as parsed JSON, times masked. With `EGRET_UPDATE_EXPECTED=1`
/// the file is written instead.
pub(crate) fn expected(name: &str, body: &[u8]) {
    let mut body: serde_json::Value = serde_json::from_slice(body).expect("a JSON body");
    mask_times(&mut body);
    hold(name, &body);
}

/// The same for a value of which nothing is to be masked any more.
pub(crate) fn hold(name: &str, body: &serde_json::Value) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/expected/{name}.json"));
    if std::env::var_os("EGRET_UPDATE_EXPECTED").is_some() {
        let text = serde_json::to_string_pretty(body).expect("JSON") + "\n";
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a writable tree");
        std::fs::write(&path, text).expect("a writable tree");
        return;
    }
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; EGRET_UPDATE_EXPECTED=1 writes it", path.display()));
    let expected: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(*body == expected, "the body of {name} is not as expected: {body:#}");
}

/// Replaces `yyyy-MM-dd HH:mm:ss` wherever the wire has a time.
fn mask_times(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                if matches!(key.as_str(), "createTime" | "finishTime" | "finishedTime") {
                    let text = value.as_str().expect("a time is text");
                    let shape: String =
                        text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
                    assert_eq!(shape, "0000-00-00 00:00:00", "{key}");
                    *value = "yyyy-MM-dd HH:mm:ss".into();
                } else {
                    mask_times(value);
                }
            }
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(mask_times),
        _ => {}
    }
}
