//! `egret serve` and its REST API (contract A).

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::eventually;
use super::http::{Client, Response};
use super::program::{Ended, Program, egret};

/// What all paths of the API begin with.
const MAPS: &str = "/hazelcast/rest/maps";

/// A running node on a free port.
pub struct Node {
    program: Program,
    address: SocketAddr,
}

impl Node {
    pub fn start() -> Self {
        Self::with::<&str>(&[])
    }

    /// With more arguments.
    pub fn with<A: AsRef<OsStr>>(arguments: &[A]) -> Self {
        Self::from_command(command(arguments))
    }

    pub fn from_command(command: Command) -> Self {
        Self::from_program(Program::start(command))
    }

    /// One whose log nobody reads any more after it has told its address.
    pub fn unheard() -> Self {
        Self::from_program(Program::start_heard_until(command::<&str>(&[]), Some("listening on")))
    }

    fn from_program(program: Program) -> Self {
        let address = program.wait_for_stderr("the address in the log", address);
        Self { program, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that it listens on, of which there are so many.
    pub fn addresses(&self, number: usize) -> Vec<SocketAddr> {
        self.program.wait_for_stderr("the addresses in the log", |log| {
            // The folder of the logs is told after the last address.
            let (log, _) = log.split_once("logs of jobs")?;
            let addresses = log.split("listening on http://").skip(1).filter_map(|rest| rest.lines().next());
            let addresses: Vec<_> = addresses.map(|address| address.trim().parse().expect("an address")).collect();
            (addresses.len() == number).then_some(addresses)
        })
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Over a connection of its own.
    pub fn get(&self, path: &str) -> Response {
        self.client().get(&maps(path))
    }

    /// Over a connection of its own.
    pub fn post(&self, path: &str, body: &str) -> Response {
        self.client().post(&maps(path), body)
    }

    /// Over a connection of its own.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Response {
        self.client().request(method, &maps(path), body)
    }

    /// Submits a job that must be taken; gives its id.
    #[track_caller]
    pub fn submit(&self, config: &Value) -> i64 {
        let reply = self.post("/submit-job", &config.to_string()).ok();
        reply["jobId"].as_i64().unwrap_or_else(|| panic!("no number as jobId: {reply}"))
    }

    pub fn job(&self, id: i64) -> Value {
        self.get(&format!("/job-info/{id}")).ok()
    }

    /// Waits until the job is in that state and `also` holds of it.
    pub fn wait_for(&self, id: i64, state: &str, also: impl Fn(&Value) -> bool) -> Value {
        let mut client = self.client();
        let path = maps(&format!("/job-info/{id}"));
        eventually(state, || {
            let job = client.get(&path).ok();
            if job["jobStatus"] == state && also(&job) { Ok(job) } else { Err(job) }
        })
    }

    pub fn wait_for_state(&self, id: i64, state: &str) -> Value {
        self.wait_for(id, state, |_| true)
    }

    /// Stops it as a supervisor does.
    pub fn stop(self) -> Ended {
        self.program.signal(libc::SIGTERM);
        self.program.end()
    }

    /// Lets go of the process without stopping it.
    pub fn into_program(self) -> Program {
        self.program
    }
}

/// `egret serve` on a free port, with a folder for logs that no other node uses.
pub fn command<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    let mut command = egret(["serve", "--port", "0", "--second-port", "off"]);
    command.env("XDG_STATE_HOME", state_folder()).args(arguments);
    command
}

/// A folder of this node alone, in the one that is cleaned with the build.
fn state_folder() -> PathBuf {
    static NODES: AtomicUsize = AtomicUsize::new(0);
    let number = NODES.fetch_add(1, Ordering::Relaxed);
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nodes/{}-{number}", std::process::id()))
}

/// The whole path of an endpoint.
pub fn maps(path: &str) -> String {
    format!("{MAPS}{path}")
}

/// The address that the node says it listens on.
fn address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("listening on http://")?;
    let (address, _) = rest.split_once('\n')?;
    Some(address.trim().parse().expect("an address"))
}
