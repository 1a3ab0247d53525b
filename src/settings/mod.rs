//! The settings of a node: defaults, then `egret.yaml`, then the environment's and the command line's flags.
//!
//! [`table::TABLE`] is the one place that names them: it gives the keys of the file, the flags, their defaults, and
//! `docs/settings.md`.

#[cfg(test)]
mod docs;
mod file;
mod flags;
mod table;
mod values;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use egret_http::HttpLimits;
use egret_http::seatunnel::SeaTunnelSettings;
use egret_runtime::job::JobSettings;
use egret_runtime::logs::JobLogSettings;
use egret_runtime::shard::CpuList;

pub use file::SettingsError;
pub use flags::SettingFlags;

/// Everything that can be set about a node.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on.
    pub host: IpAddr,
    /// The first port.
    pub port: u16,
    /// The second one; `None` when it is off.
    pub second_port: Option<u16>,
    /// How SeaTunnel's API answers.
    pub seatunnel: SeaTunnelSettings,
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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 5801,
            second_port: Some(8080),
            seatunnel: SeaTunnelSettings::default(),
            http: HttpLimits::default(),
            cores: None,
            work_nice: 10,
            stop_timeout: Duration::from_secs(15),
            state_folder: None,
            log_folder: None,
            logs: JobLogSettings::in_folder(""),
            jobs: JobSettings::default(),
        }
    }
}

/// Settings as they were read, and what there is to say about them.
#[derive(Debug, Default)]
pub struct Read {
    /// The settings.
    pub settings: Settings,
    /// Keys of a `seatunnel.yaml` that mean nothing here.
    pub unused: Vec<String>,
}

impl Settings {
    /// The settings of a file, if there is one, and of flags, which win.
    ///
    /// # Errors
    /// When the file cannot be read, or something in it is wrong, or two settings do not go together.
    pub fn read(path: Option<&Path>, flags: &SettingFlags) -> Result<Read, SettingsError> {
        let mut read = Read::default();
        if let Some(path) = path {
            file::read(path, &mut read)?;
        }
        for (setting, value) in &flags.given {
            (setting.set)(&mut read.settings, value).map_err(|problem| SettingsError::flag(setting, &problem))?;
        }
        match read.settings.problem() {
            Some(problem) => Err(SettingsError::together(problem)),
            None => Ok(read),
        }
    }

    /// Two settings that do not go together.
    fn problem(&self) -> Option<String> {
        if self.port != 0 && self.second_port == Some(self.port) {
            return Some(format!(
                "port and second_port are both {}; give them different numbers, or set second_port to off",
                self.port
            ));
        }
        None
    }

    /// The ports to listen on.
    pub fn ports(&self) -> Vec<u16> {
        std::iter::once(self.port).chain(self.second_port).collect()
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
