//! Raw bytes against the HTTP server: split at any points, pipelined, cut off, given up, reset. Whatever comes, the server
//! answers or closes; nothing is left of the connection, and others are served.
//!
//! The first byte of an input says how its client behaves and how many of the bytes behind it say where to split the
//! rest. Of the rest, bytes from 0x80 on stand for the words of [`WORDS`], so that requests to both faces, chunks and
//! large heads are a byte away.
#![no_main]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use egret_http::{HttpLimits, ListenerConfig, NodeSettings, Server, ServerConfig, ShardStats};
use egret_runtime::job::{JobService, JobSettings};
use egret_runtime::logs::{JobLogSettings, JobLogs};
use egret_runtime::shard::{Shards, ShardsConfig, allowed_cpus};
use libfuzzer_sys::fuzz_target;

/// Far beyond every timeout of the server: what lasts as long hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// Inputs between two looks at the descriptors of the process.
const ROUND: usize = 64;
/// Descriptors that a round may leave: threads of the pool come and go.
const SPARE_DESCRIPTORS: usize = 8;
/// What clients ask that do nothing wrong.
const ASKED: &str = "/system-monitoring-information";
/// What bytes from 0x80 on stand for.
const WORDS: [&str; 64] = [
    "GET ",
    "POST ",
    "PUT ",
    "HEAD ",
    "OPTIONS ",
    "CONNECT ",
    "/hazelcast/rest/maps/",
    "/",
    "http://a:1/",
    "running-jobs",
    "finished-jobs/",
    "job-info/",
    "running-job/1",
    "overview?a=%41&b",
    "system-monitoring-information",
    "running-threads",
    "thread-dump",
    "submit-job?jobId=1&format=hocon",
    "submit-job",
    "submit-jobs",
    "submit-job/upload",
    "stop-job",
    "stop-jobs",
    "encrypt-config",
    "update-tags",
    "logs",
    "log/job-1.log",
    "get-all-log-name",
    "/hazelcast/rest/cluster",
    "/hazelcast/health/ready",
    "/hazelcast/rest/instance/metrics",
    "/openapi.json",
    " HTTP/1.1\r\n",
    " HTTP/1.0\r\n",
    "host: x\r\n",
    "\r\n",
    "\r\n\r\n",
    "connection: close\r\n",
    "connection: keep-alive\r\n",
    "content-length: ",
    "content-length: 2\r\n\r\n{}",
    "transfer-encoding: chunked\r\n",
    "expect: 100-continue\r\n",
    "content-type: multipart/form-data; boundary=X\r\n",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    "ffff\r\n",
    "--X\r\nContent-Disposition: form-data; name=\"config_file\"; filename=\"a.json\"\r\n\r\n",
    "--X--\r\n",
    "{\"jobId\":1,\"isStopWithSavePoint\":true}",
    "[{\"jobId\":1}]",
    "{\"env\":{},\"source\":[{\"plugin_name\":\"A\"}],\"sink\":[{\"plugin_name\":\"B\"}]}",
    "{\"env\":{\"shade.identifier\":\"base64\"},\"source\":[{\"password\":\"p\"}],\"sink\":[{}]}",
    "{\"a\":",
    "[[[[[[[[[[[[[[[[",
    "sec-fetch-site: cross-site\r\n",
    "upgrade: h2c\r\n",
    "GET /running-jobs HTTP/1.1\r\nhost: x\r\n\r\n",
    "POST /submit-job HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
    "PUT /hazelcast/rest/maps/update-tags HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{\"a\":\"b\"}",
    "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n",
    "%2e%2e%2f",
    "x: ",
    LONG,
];

/// As long as the longest head that the server takes.
const LONG: &str = {
    const BYTES: [u8; HttpLimits::HEADER_BYTES_MIN] = [b'y'; HttpLimits::HEADER_BYTES_MIN];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => "",
    }
};

/// What a client does when it has sent everything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Says that nothing more comes, and reads to the end.
    HalfClose,
    /// Reads to the end, which the server has to make.
    Wait,
    /// Closes without a look at the answers.
    Close,
    /// Resets the connection.
    Reset,
}

/// One server for all inputs, on one shard, without plugins: a job is read and refused.
struct Target {
    address: SocketAddr,
    server: Server,
    /// Open when it began.
    descriptors: usize,
    inputs: AtomicUsize,
    _shards: Shards,
}

static TARGET: LazyLock<Target> = LazyLock::new(Target::start);

impl Target {
    fn start() -> Self {
        let cpu = allowed_cpus().expect("an affinity mask")[0].to_string().parse().expect("a CPU");
        let shards = Shards::start(ShardsConfig { cpus: Some(cpu), ..ShardsConfig::default() }).expect("shards");
        let jobs = JobService::new(shards.clone(), Arc::default(), JobSettings::default());
        let timeout = Duration::from_millis(100);
        let limits = HttpLimits {
            header_bytes_max: HttpLimits::HEADER_BYTES_MIN,
            uri_bytes_max: 1 << 10,
            body_bytes_max: 64 << 10,
            bodies_bytes_max: 64 << 10,
            header_timeout: timeout,
            body_timeout: timeout,
            idle_timeout: timeout,
            linger_timeout: timeout,
            ..HttpLimits::default()
        };
        let listeners = vec![ListenerConfig::new(Ipv4Addr::LOCALHOST.into(), 0)];
        let node = NodeSettings { logs: Some(logs()), ..NodeSettings::default() };
        let config = ServerConfig { listeners, limits, node, ..ServerConfig::default() };
        let server = Server::start(&shards, &config, &jobs).expect("a server");
        let address = server.local_addr();
        let mut target = Self { address, server, descriptors: 0, inputs: AtomicUsize::new(0), _shards: shards };
        // What is started at its first use may hold descriptors; what is sampled keeps files open.
        for path in ["/metrics", "/thread-dump", ASKED].repeat(10) {
            target.ask(path);
        }
        target.descriptors = descriptors();
        target
    }

    fn stats(&self) -> &ShardStats {
        &self.server.stats()[0]
    }

    /// A client that does nothing wrong must be answered. On a busy machine it may be too slow for the short timeouts.
    fn ask(&self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answered = || {
            let mut stream = self.connect();
            let _ = stream.write_all(request.as_bytes());
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            answer.starts_with(b"HTTP/1.1 200 ")
        };
        assert!((0..10).any(|_| answered()), "others are not served any more");
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server accepts");
        stream.set_nodelay(true).expect("an option of the socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option of the socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("an option of the socket");
        stream
    }

    /// Nothing may be left of a connection that has ended.
    fn settle(&self) {
        let stats = self.stats();
        let deadline = Instant::now() + PATIENCE;
        while stats.open.get() > 0 || stats.body_bytes.get() > 0 {
            assert!(
                Instant::now() < deadline,
                "{} connections and {} bytes of bodies are left",
                stats.open.get(),
                stats.body_bytes.get()
            );
            std::thread::yield_now();
        }
        assert_eq!(stats.panics.get(), 0, "a handler panicked");
        if self.inputs.fetch_add(1, Ordering::Relaxed) % ROUND == ROUND - 1 {
            self.ask(ASKED);
            // A reading of logs or threads may still go on for a client that is gone.
            let deadline = Instant::now() + PATIENCE;
            while descriptors() > self.descriptors + SPARE_DESCRIPTORS {
                let (before, now) = (self.descriptors, descriptors());
                assert!(Instant::now() < deadline, "{now} descriptors are open, {before} were at the start");
                std::thread::yield_now();
            }
        }
    }
}

/// Logs of jobs, one of them there, in a folder that the next run uses again.
fn logs() -> JobLogs {
    let folder = std::env::temp_dir().join("egret-fuzz-http-logs");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("job-1.log"), "a line\n").expect("a log");
    JobLogs::open(JobLogSettings::in_folder(folder)).expect("logs")
}

fn descriptors() -> usize {
    std::fs::read_dir(Path::new("/proc/self/fd")).expect("/proc").count()
}

/// Puts in the words that bytes stand for.
fn spell(bytes: &[u8]) -> Vec<u8> {
    /// Of a longer input nobody looks at the end.
    const BYTES_MAX: usize = 256 << 10;
    let mut spelled = Vec::with_capacity(bytes.len() * 4);
    for byte in bytes {
        match byte.checked_sub(0x80).and_then(|word| WORDS.get(usize::from(word))) {
            Some(word) => spelled.extend_from_slice(word.as_bytes()),
            None => spelled.push(*byte),
        }
        if spelled.len() > BYTES_MAX {
            break;
        }
    }
    spelled
}

/// Reads until the server closes the connection, which it has to.
fn read_to_end(stream: &mut TcpStream) {
    let mut chunk = [0; 16 << 10];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            // The fuzzer's own alarm.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("the connection hangs: {error}"),
        }
    }
}

fn converse(target: &Target, first: u8, splits: &[u8], bytes: &[u8]) {
    let ending = match first >> 4 {
        0..=9 => Ending::HalfClose,
        10..=11 => Ending::Wait,
        12..=13 => Ending::Close,
        _ => Ending::Reset,
    };
    let mut stream = target.connect();
    let mut rest = bytes;
    for split in splits {
        let (piece, later) = rest.split_at(usize::from(*split).min(rest.len()));
        rest = later;
        // The server may have closed the connection already.
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let _ = stream.write_all(rest);
    match ending {
        Ending::HalfClose => {
            let _ = stream.shutdown(Shutdown::Write);
            read_to_end(&mut stream);
        }
        Ending::Wait => read_to_end(&mut stream),
        Ending::Close => {}
        Ending::Reset => {
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an option of the socket")
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    let (splits, rest) = rest.split_at(usize::from(first % 8).min(rest.len()));
    converse(&TARGET, *first, splits, &spell(rest));
    TARGET.settle();
});
