//! Raw bytes against the HTTP server: split at any points, pipelined, cut off. Whatever comes, the server answers or
//! closes, and the connection ends in bounded time.
#![no_main]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use egret_http::{HttpLimits, ListenerConfig, Server, ServerConfig};
use egret_runtime::job::{JobService, JobSettings};
use egret_runtime::shard::{Shards, ShardsConfig, allowed_cpus};
use libfuzzer_sys::fuzz_target;

/// One server for all inputs, on one shard, without plugins: a job is read and refused.
static SERVER: LazyLock<(SocketAddr, Server, Shards)> = LazyLock::new(|| {
    let cpu = allowed_cpus().expect("an affinity mask")[0].to_string().parse().expect("a CPU");
    let shards = Shards::start(ShardsConfig { cpus: Some(cpu), ..ShardsConfig::default() }).expect("shards");
    let jobs = JobService::new(shards.clone(), Arc::default(), JobSettings::default());
    let timeout = Duration::from_millis(200);
    let limits = HttpLimits {
        header_bytes_max: HttpLimits::HEADER_BYTES_MIN,
        body_bytes_max: 64 << 10,
        header_timeout: timeout,
        body_timeout: timeout,
        idle_timeout: timeout,
        linger_timeout: timeout,
        ..HttpLimits::default()
    };
    let listeners = vec![ListenerConfig::new(Ipv4Addr::LOCALHOST.into(), 0)];
    let config = ServerConfig { listeners, limits, ..ServerConfig::default() };
    let server = Server::start(&shards, &config, &jobs).expect("a server");
    (server.local_addr(), server, shards)
});

fuzz_target!(|input: &[u8]| {
    // The first byte says how many of those behind it say where to split the rest.
    let Some((splits, rest)) = input.split_first() else { return };
    let (splits, mut rest) = rest.split_at((usize::from(*splits) % 8).min(rest.len()));
    let mut stream = TcpStream::connect(SERVER.0).expect("the server accepts");
    stream.set_nodelay(true).expect("an option of the socket");
    // Far beyond every timeout of the server: a connection that hangs fails here.
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("an option of the socket");
    stream.set_write_timeout(Some(Duration::from_secs(10))).expect("an option of the socket");
    for split in splits {
        let (piece, later) = rest.split_at(usize::from(*split).min(rest.len()));
        rest = later;
        // The server may have closed the connection already.
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let _ = stream.write_all(rest);
    let _ = stream.shutdown(Shutdown::Write);
    let mut chunk = [0; 16 << 10];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            // The fuzzer's own alarm.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => panic!("the connection hangs: {error}"),
        }
    }
});
