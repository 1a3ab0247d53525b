//! The settings of a node: defaults, then files (`egret.yaml`, or the original's as they are), then the environment,
//! then flags.
//!
//! [`table`] is the one place that names them: it gives the keys of the file, the flags, their defaults, and
//! `docs/settings.md`.

mod auth;
#[cfg(test)]
mod docs;
mod file;
mod flags;
mod names;
mod origin;
mod originals;
mod shown;
mod table;
mod together;
mod values;
mod yaml;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use egret_http::seatunnel::SeaTunnelSettings;
use egret_http::{Faces, HttpLimits, ListenerConfig, NodeSettings};
use egret_runtime::job::JobSettings;
use egret_runtime::logs::JobLogSettings;
use egret_runtime::shard::{CpuList, StallSettings};

use crate::node::Watch;

pub use auth::Auth;
pub use flags::{SettingFlags, with_values_joined};
pub use origin::{Origin, Origins};
pub use shown::{Shown, shown};
pub use values::bytes;

/// Everything that can be set about a node.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on.
    pub host: IpAddr,
    /// The first port.
    pub port: u16,
    /// What is answered there.
    pub port_faces: Faces,
    /// The second one; `None` when it is off.
    pub second_port: Option<u16>,
    /// What is answered there.
    pub second_port_faces: Faces,
    /// Whether the next ports are tried when the second one is taken.
    pub second_port_dynamic: bool,
    /// How many are tried then.
    pub second_port_range: u16,
    /// What the node says of itself.
    pub node: NodeSettings,
    /// How SeaTunnel's API answers.
    pub seatunnel: SeaTunnelSettings,
    /// Who may ask.
    pub auth: Auth,
    /// What clients may do.
    pub http: HttpLimits,
    /// CPUs to run on; `None` for all.
    pub cores: Option<CpuList>,
    /// Nice value of the threads that do the jobs' work.
    pub work_nice: i32,
    /// Time that requests, and then jobs, get to end.
    pub stop_timeout: Duration,
    /// Where the node keeps what outlives it; `None` for the place that the system has for it.
    pub state_folder: Option<PathBuf>,
    /// Where the logs of jobs are; `None` for a folder in the state folder.
    pub log_folder: Option<PathBuf>,
    /// Bounds of the logs; the folder is filled in by [`Settings::logs`].
    pub logs: JobLogSettings,
    /// Bounds of the job side.
    pub jobs: JobSettings,
    /// What steps may use of CPU time.
    pub stalls: StallSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 5801,
            port_faces: Faces::BOTH,
            second_port: Some(8080),
            second_port_faces: Faces::BOTH,
            second_port_dynamic: false,
            second_port_range: 100,
            node: NodeSettings::default(),
            seatunnel: SeaTunnelSettings::default(),
            auth: Auth::default(),
            http: HttpLimits::default(),
            cores: None,
            work_nice: 10,
            stop_timeout: Duration::from_secs(15),
            state_folder: None,
            log_folder: None,
            logs: JobLogSettings::in_folder(""),
            jobs: JobSettings::default(),
            stalls: StallSettings::default(),
        }
    }
}

/// Settings as they were read, and what there is to say about them.
#[derive(Debug, Default)]
pub struct Read {
    /// The settings.
    pub settings: Settings,
    /// Where each comes from.
    pub origins: Origins,
    /// Keys of the original's files that mean nothing here, each with its place and the reason.
    pub remarks: Vec<String>,
    /// Mistakes, so far.
    problems: Vec<String>,
    /// Keys whose values are wrong: nothing more is to be said of them.
    failed: BTreeSet<&'static str>,
}

/// What is wrong with the settings: a line for each mistake.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct SettingsError(Vec<String>);

impl Read {
    fn flags(&mut self, flags: &SettingFlags) {
        for (setting, value) in &flags.given {
            match (setting.set)(&mut self.settings, value) {
                Ok(()) => self.origins.note(setting, Origin::Flag(setting.flag)),
                Err(problem) => self.problems.push(format!("error: --{}: {problem}", setting.flag)),
            }
        }
    }

    /// The settings, unless there is a mistake.
    fn finish(mut self) -> Result<Self, SettingsError> {
        self.judge_together();
        if self.problems.is_empty() { Ok(self) } else { Err(SettingsError(self.problems)) }
    }
}

impl Settings {
    /// The settings of files, a later one winning over one before it, and of flags, which win over files.
    ///
    /// # Errors
    /// When a file cannot be read, or something in it is wrong, or settings do not go together: all of it at once.
    pub fn read(paths: &[PathBuf], flags: &SettingFlags) -> Result<Read, SettingsError> {
        let mut read = Read::default();
        for path in paths {
            file::read(path, &mut read);
        }
        read.flags(flags);
        read.find_secrets(|name| std::env::var(name).ok());
        read.finish()
    }

    /// Where to listen, and what is answered there.
    pub fn listeners(&self) -> Vec<ListenerConfig> {
        let first = ListenerConfig { faces: self.port_faces, ..ListenerConfig::new(self.host, self.port) };
        let second = self.second_port.map(|port| ListenerConfig {
            faces: self.second_port_faces,
            port_range: if self.second_port_dynamic { self.second_port_range } else { 1 },
            ..ListenerConfig::new(self.host, port)
        });
        std::iter::once(first).chain(second).collect()
    }

    /// What watches over the node's threads.
    pub fn watch(&self) -> Watch {
        Watch { stalls: self.stalls.clone(), stacks: self.node.stack_settings() }
    }

    /// The settings of the jobs' logs, with their folder.
    ///
    /// # Errors
    /// When the system does not say where programs keep their state.
    pub fn logs(&self) -> Result<JobLogSettings, String> {
        let folder = match &self.log_folder {
            Some(folder) => folder.clone(),
            None => self.state_folder()?.join("logs"),
        };
        Ok(JobLogSettings { folder, ..self.logs.clone() })
    }

    /// Where the node keeps what outlives it: as set, else as systemd says, else where programs of a user do.
    fn state_folder(&self) -> Result<PathBuf, String> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let of_systemd = || {
            let folders = variable("STATE_DIRECTORY")?;
            std::env::split_paths(&folders).next()
        };
        let of_user = || variable("XDG_STATE_HOME").map(|folder| Path::new(&folder).join("egret"));
        let of_home = || variable("HOME").map(|folder| Path::new(&folder).join(".local/state/egret"));
        self.state_folder.clone().or_else(of_systemd).or_else(of_user).or_else(of_home).ok_or_else(|| {
            "no folder for the node's state: neither STATE_DIRECTORY nor XDG_STATE_HOME nor HOME is set; give \
             --state-folder"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests;
