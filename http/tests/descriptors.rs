//! Out of descriptors: alone in its process, because the limit is the process' own.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use egret_http::{ListenerConfig, Server, ServerConfig};
use egret_runtime::job::{JobService, JobSettings};
use egret_runtime::shard::{Shards, ShardsConfig, allowed_cpus};

/// Lowers the limit on open files a little above what is open, and opens files up to it.
fn use_up_descriptors() -> Vec<File> {
    let open = std::fs::read_dir("/proc/self/fd").expect("procfs").count() as u64;
    let limit = libc::rlimit { rlim_cur: open + 32, rlim_max: open + 32 };
    // SAFETY: the pointer is to a live rlimit, which the call reads.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    let mut files = Vec::new();
    fill(&mut files);
    files
}

fn fill(files: &mut Vec<File>) {
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
}

/// Longer than anything takes, also on a machine that others keep busy.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn accepting_pauses_without_descriptors_and_goes_on_with_them() {
    let cpu = allowed_cpus().expect("an affinity mask")[0].to_string().parse().expect("a CPU");
    let shards = Shards::start(ShardsConfig { cpus: Some(cpu), ..ShardsConfig::default() }).expect("shards");
    let jobs = JobService::new(shards.clone(), Arc::default(), JobSettings::default());
    let listener = ListenerConfig::new(Ipv4Addr::LOCALHOST.into(), 0);
    let config = ServerConfig { listeners: vec![listener], ..ServerConfig::default() };
    let server = Server::start(&shards, &config, &jobs).expect("a server");
    let stats = server.stats()[0].clone();

    let mut files = use_up_descriptors();
    // Another thread of the process may take what is given back: then the next one.
    let mut client = loop {
        drop(files.pop().expect("a descriptor that nobody takes"));
        if let Ok(client) = TcpStream::connect(server.local_addr()) {
            break client;
        }
    };
    client.set_read_timeout(Some(PATIENCE)).expect("timeout");
    client.write_all(b"GET /running-jobs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("write");
    // What the executors' threads have freed meanwhile is used up, too. The kernel wants a descriptor for an accept
    // before it looks for a connection, so the attempts fail whether the client was let in just before or not.
    fill(&mut files);
    let (begun, before) = (Instant::now(), stats.accept_errors.get());
    while begun.elapsed() < Duration::from_millis(300) || stats.accept_errors.get() == before {
        assert!(begun.elapsed() < PATIENCE, "no attempt");
        std::thread::sleep(Duration::from_millis(10));
    }
    let attempts = u128::from(stats.accept_errors.get() - before);
    let took = begun.elapsed();
    assert!(attempts <= took.as_millis() / 10 + 1, "{attempts} attempts in {took:?}");

    drop(files);
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("[]"), "{answer}");
    assert_eq!(server.stop(PATIENCE), 0);
    shards.stop(PATIENCE).expect("stopped");
}
