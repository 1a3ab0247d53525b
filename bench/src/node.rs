//! An `egret serve` to measure: a process of its own on a free port of the loopback.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::child::Child;
use crate::load::{Reply, get, post, whole};

/// How long a node may take to listen, and any of the requests of this module to be answered.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Jobs that run.
pub const RUNNING_JOBS: &str = "/hazelcast/rest/maps/running-jobs";

/// A running node. Dropping it kills it.
pub struct Node {
    pub child: Child,
    pub address: SocketAddr,
    /// From right before the start of the process to the first answer that came with status 200.
    pub first_answer: Duration,
    log: Option<JoinHandle<String>>,
    folder: TempDir,
}

impl Node {
    /// Starts a node on these CPUs and waits for its first answer.
    pub fn start(egret: &Path, cores: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let cores = cores.map(|cores| ["--cores".to_owned(), cores.to_owned()]);
        Self::start_with(egret, cores.as_ref().map_or(&[], |cores| cores))
    }

    /// Starts a node with further arguments and waits for its first answer.
    pub fn start_with(egret: &Path, arguments: &[String]) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(egret);
        command
            .args(["serve", "--port", "0", "--second-port", "off"])
            .env("RUST_LOG", "info")
            .env_remove("EGRET_CONFIG");
        command.arg("--log-folder").arg(folder.path().join("logs")).current_dir(folder.path());
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = Child::spawn(command)?;
        let stderr = child.take_stderr().ok_or("the node's log is not there")?;
        let (log, found) = read_log(stderr)?;
        let address = match found.recv_timeout(TIMEOUT) {
            Ok(address) => address,
            Err(RecvTimeoutError::Timeout) => return Err(format!("the node did not listen within {TIMEOUT:?}").into()),
            Err(RecvTimeoutError::Disconnected) => {
                let said = log.join().unwrap_or_default();
                return Err(format!("the node did not start; it said:\n{said}").into());
            }
        };
        let reply = exchange(address, &get("localhost", RUNNING_JOBS))?;
        let first_answer = child.started.elapsed();
        if reply.status != 200 {
            return Err(format!("the first answer has status {}", reply.status).into());
        }
        Ok(Self { child, address, first_answer, log: Some(log), folder })
    }

    /// Where the logs of its jobs are.
    pub fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    /// The answer to a GET.
    pub fn get(&self, path: &str) -> Result<String, Box<dyn Error>> {
        let reply = exchange(self.address, &get("localhost", path))?;
        let text = String::from_utf8(reply.body)?;
        if reply.status == 200 { Ok(text) } else { Err(format!("{path} answered {}: {text}", reply.status).into()) }
    }

    /// A number of the node's overview.
    pub fn overview(&self, key: &str) -> Result<u64, Box<dyn Error>> {
        let overview: serde_json::Value = serde_json::from_str(&self.get("/hazelcast/rest/maps/overview")?)?;
        let value = overview[key].as_str().and_then(|text| text.parse().ok());
        value.ok_or_else(|| format!("the overview has no number {key}: {overview}").into())
    }

    /// Starts a job; gives its id.
    pub fn submit(&self, config: &serde_json::Value) -> Result<String, Box<dyn Error>> {
        let reply = self.post("submit-job", config)?;
        let id = reply.get("jobId").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        id.ok_or_else(|| format!("submit-job answered {reply}").into())
    }

    pub fn stop_job(&self, id: &str) -> Result<(), Box<dyn Error>> {
        let request = serde_json::json!({"jobId": id, "isStopWithSavePoint": false});
        self.post("stop-job", &request).map(drop)
    }

    /// The jobs that run.
    pub fn running_jobs(&self) -> Result<Vec<serde_json::Value>, Box<dyn Error>> {
        Ok(serde_json::from_str(&self.get(RUNNING_JOBS)?)?)
    }

    /// Waits until the running jobs are as wanted; gives them.
    pub fn wait_for_jobs(
        &self,
        what: &str,
        wanted: impl Fn(&[serde_json::Value]) -> bool,
    ) -> Result<Vec<serde_json::Value>, Box<dyn Error>> {
        let end = Instant::now() + TIMEOUT;
        loop {
            let jobs = self.running_jobs()?;
            if wanted(&jobs) {
                return Ok(jobs);
            }
            if Instant::now() >= end {
                return Err(format!("{what}: not so after {TIMEOUT:?}; running-jobs: {jobs:?}").into());
            }
            // The node tells of no event that could be waited for; a look now and then does not disturb it.
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends the node; an exit status other than 0 is an error with its log.
    pub fn stop(mut self) -> Result<(), Box<dyn Error>> {
        let ended = self.child.stop()?;
        let log = self.log.take().and_then(|log| log.join().ok()).unwrap_or_default();
        if ended.status.success() {
            Ok(())
        } else {
            Err(format!("the node ended with {}:\n{log}", ended.status).into())
        }
    }

    fn post(&self, path: &str, body: &serde_json::Value) -> Result<serde_json::Value, Box<dyn Error>> {
        let request = post("localhost", &format!("/hazelcast/rest/maps/{path}"), &body.to_string());
        let reply = exchange(self.address, &request)?;
        let text = String::from_utf8_lossy(&reply.body);
        match reply.status {
            200 => Ok(serde_json::from_str(&text)?),
            status => Err(format!("{path} answered {status}: {text}").into()),
        }
    }
}

/// Reads the log to its end; gives the thread with its text, and the address once it is told.
fn read_log(stderr: ChildStderr) -> Result<(JoinHandle<String>, Receiver<SocketAddr>), Box<dyn Error>> {
    /// Of a longer log only the start is kept.
    const KEPT_BYTES: usize = 64 << 10;
    let (tell, told) = sync_channel(1);
    let reader = thread::Builder::new().name("log".to_owned()).spawn(move || {
        let mut tell = Some(tell);
        let mut text = String::new();
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some(address) = listening(&line)
                && let Some(tell) = tell.take()
            {
                // Nobody waits any more: the start has failed.
                let _ = tell.send(address);
            }
            if text.len() + line.len() < KEPT_BYTES {
                text.push_str(&line);
                text.push('\n');
            }
        }
        text
    })?;
    Ok((reader, told))
}

fn listening(line: &str) -> Option<SocketAddr> {
    line.split_once("listening on http://")?.1.split_whitespace().next()?.parse().ok()
}

/// One request over a connection of its own.
pub fn exchange(address: SocketAddr, request: &[u8]) -> Result<Reply, Box<dyn Error>> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    stream.write_all(request)?;
    let (mut received, mut buffer) = (Vec::new(), [0u8; 64 << 10]);
    loop {
        if let Some(reply) = whole(&received)? {
            return Ok(reply);
        }
        match stream.read(&mut buffer)? {
            0 => return Err("the connection ended before the reply".into()),
            count => received.extend_from_slice(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_log() {
        let line = "2026-01-01T00:00:00.000000Z  INFO listening on http://127.0.0.1:5801";
        assert_eq!(listening(line), "127.0.0.1:5801".parse().ok());
        assert_eq!(listening("INFO submitted job=1"), None);
    }
}
