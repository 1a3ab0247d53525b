//! Connections, by the kernel's table of them.

use std::net::TcpListener;

use super::*;

pub const FIELDS: &[&str] =
    &["clientEndpoint.count", "client.connection.count", "connection.active.count", "connection.count"];

/// Which end of a connection has a port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Local = 1,
    Remote = 2,
}

/// Sockets that a process has open and that are connected, with this port at one end.
fn connected(pid: u32, end: End, port: u16) -> u64 {
    /// The kernel's word for a connection that both sides keep open.
    const ESTABLISHED: &str = "01";
    let files = fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors").flatten();
    let open: BTreeSet<String> = files
        .filter_map(|file| {
            fs::read_link(file.path()).ok()?.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned)
        })
        .collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("a table");
    let is_one = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let has_port = fields[end as usize].ends_with(&format!(":{port:04X}"));
        has_port && fields[3] == ESTABLISHED && open.contains(fields[9])
    };
    table.lines().skip(1).filter(is_one).count() as u64
}

#[test]
fn connections_are_those_that_the_kernel_lists() {
    let node = node();
    let (pid, port) = (node.program().pid(), node.address().port());
    let mut client = node.client();
    let mut agree = |what: &str, others: u64, clients: u64| {
        eventually(what, || {
            let before = connected(pid, End::Local, port);
            let seen = monitoring(&mut client);
            let after = connected(pid, End::Local, port);
            let by_kernel = before == after && before == clients;
            let told = FIELDS.iter().map(|key| count(&seen, key)).collect::<Vec<_>>();
            let good = by_kernel && told == [clients, clients, clients + others, clients + others];
            if good { Ok(()) } else { Err(format!("{before} and {after} by the kernel, {told:?} told")) }
        });
    };
    agree("the client of this test", 0, 1);
    let others: Vec<Client> = (0..20)
        .map(|_| {
            let mut client = node.client();
            assert_eq!(client.get("/overview").status, 200);
            client
        })
        .collect();
    agree("many clients", 0, 21);
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let elsewhere = server.local_addr().expect("an address").port();
    let source = json!({ "plugin_name": "Socket", "host": "127.0.0.1", "port": elsewhere });
    let id = node.submit(&json!({
        "env": { "job.mode": "STREAMING" },
        "source": [source],
        "sink": [{ "plugin_name": "Blackhole" }],
    }));
    let (accepted, _) = server.accept().expect("the job");
    agree("a job has opened one to another server", 1, 21);
    assert_eq!(connected(pid, End::Remote, elsewhere), 1);
    drop(others);
    agree("the clients have gone", 1, 1);
    drop(accepted);
    node.wait_for_state(id, "FINISHED");
    agree("the job has ended", 0, 1);
    node.stop().expect_exit(0);
}
