//! Debian's node exporter, to compare with.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::child::Child;
use crate::load::get;
use crate::node::exchange;

/// Its names, Debian's and its own.
const NAMES: [&str; 2] = ["prometheus-node-exporter", "node_exporter"];
/// How long it may take to answer for the first time.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Time between two looks whether it answers.
const PAUSE: Duration = Duration::from_millis(20);

/// A running node exporter. Dropping it kills it.
pub struct Exporter {
    pub child: Child,
    pub address: SocketAddr,
    pub path: PathBuf,
}

impl Exporter {
    /// Starts the one that is named, or one of the PATH, with the collectors that it has on by default; `None` when none
    /// is named and none is there.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub fn start(named: Option<&Path>) -> Result<Option<Self>, Box<dyn Error>> {
        let Some(path) = named.map(Path::to_owned).or_else(find) else { return Ok(None) };
        // The port is free again once it is known; whoever takes it meanwhile makes the start fail.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new(&path);
        command.arg(format!("--web.listen-address={address}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut exporter = Self { child: Child::spawn(command)?, address, path };
        exporter.wait_for_answer()?;
        Ok(Some(exporter))
    }

    fn wait_for_answer(&mut self) -> Result<(), Box<dyn Error>> {
        let request = get("localhost", "/metrics");
        let end = Instant::now() + START_TIMEOUT;
        while !exchange(self.address, &request).is_ok_and(|reply| reply.status == 200) {
            if Instant::now() >= end {
                return Err(format!("{} did not answer within {START_TIMEOUT:?}", self.path.display()).into());
            }
            if let Some(ended) = self.child.wait(PAUSE)? {
                return Err(format!("{} ended with {}", self.path.display(), ended.status).into());
            }
        }
        Ok(())
    }
}

fn find() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let paths = std::env::split_paths(&folders).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    paths.into_iter().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_does_not_start_is_an_error() {
        assert!(Exporter::start(Some(Path::new("/nowhere/node_exporter"))).is_err());
        let Err(error) = Exporter::start(Some(Path::new("/bin/false"))) else { panic!("it does not answer") };
        assert!(error.to_string().contains("ended with"), "{error}");
    }
}
