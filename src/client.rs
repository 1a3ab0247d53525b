//! The command line of the original's client (contract H), for scripts that call it: `egret --config job.conf -m local`
//! is `egret run --config job.conf -m local`. What the client does to a cluster has no meaning for a job of this
//! process, and is refused with the reason.

use std::ffi::{OsStr, OsString};

use clap::Args;

use crate::{check, cli, run, shade};

/// Options with several letters behind one dash.
const LONG_NAMES: [(&str, &str); 3] = [("-cn", "--cluster"), ("-can", "--cancel-job"), ("-cj", "--close-job")];

/// Options with which a call of the client may begin.
const FIRST: [&str; 8] = ["-c", "--config", "-m", "--master", "-e", "--deploy-mode", "-i", "-n"];

/// The options that `egret run` takes for the sake of scripts.
#[derive(Clone, Debug, Default, Args)]
pub struct Client {
    /// Where the job runs: `local`, in this process
    #[arg(short = 'm', long = "master", visible_short_alias = 'e', alias = "deploy-mode", value_name = "MODE", hide = true, value_parser = local)]
    pub master: Option<String>,

    /// As `egret check`
    #[arg(long, hide = true, conflicts_with_all = ["encrypt", "decrypt"])]
    pub check: bool,

    /// As `egret encrypt`
    #[arg(long, hide = true)]
    pub encrypt: bool,

    /// As `egret decrypt`
    #[arg(long, hide = true)]
    pub decrypt: bool,

    #[arg(long = "async", hide = true)]
    background: bool,

    #[arg(long = "close-job", alias = "close", hide = true)]
    close_job: bool,

    #[arg(long, hide = true, value_name = "NAME")]
    cluster: Option<String>,

    #[arg(short = 'r', long = "restore", alias = "restore-job", hide = true, value_name = "ID")]
    restore: Option<String>,

    #[arg(short = 's', long = "savepoint", alias = "savepoint-job", hide = true, value_name = "ID")]
    savepoint: Option<String>,

    #[arg(long = "cancel-job", alias = "cancel", hide = true, value_name = "ID", num_args = 1..)]
    cancel_job: Vec<String>,

    #[arg(short = 'j', long = "job-id", hide = true, value_name = "ID")]
    state_of: Option<String>,

    #[arg(short = 'l', long, hide = true)]
    list: bool,

    #[arg(long, hide = true, value_name = "ID")]
    metrics: Option<String>,

    #[arg(long = "get_running_job_metrics", hide = true)]
    running_metrics: bool,
}

fn local(mode: &str) -> Result<String, String> {
    match mode.to_ascii_lowercase().as_str() {
        "local" => Ok(mode.to_owned()),
        "cluster" => Err("egret runs the job in this process (local); to hand it to a running node, post it to \
            http://HOST:5801/hazelcast/rest/maps/submit-job"
            .into()),
        _ => Err("there are local and cluster".into()),
    }
}

impl Client {
    /// What was asked for and cannot be, and why.
    fn refused(&self) -> Option<String> {
        const NODE: &str = "http://HOST:5801/hazelcast/rest/maps";
        let of_a_node = |option: &str, path: &str| {
            Some(format!("{option} is about the jobs of a running node; ask that one: {NODE}/{path}"))
        };
        if self.background {
            return Some("--async: the job runs in this process and ends with it; start a node with egret serve and submit the job there, or use '&' of the shell".into());
        }
        if self.close_job {
            return Some("-cj: the job cannot live on when this process ends".into());
        }
        if self.cluster.is_some() {
            return Some("-cn: there is no cluster to choose, the job runs in this process".into());
        }
        if self.restore.is_some() || self.savepoint.is_some() {
            return Some("-r, -s: the job runs in this process and its state goes with it; start a node with egret serve, and use egret savepoint ID and egret restore ID FILE".into());
        }
        match self {
            _ if !self.cancel_job.is_empty() => of_a_node("-can", "stop-job"),
            _ if self.state_of.is_some() || self.metrics.is_some() => of_a_node("-j, --metrics", "job-info/ID"),
            _ if self.list || self.running_metrics => of_a_node("-l, --get_running_job_metrics", "running-jobs"),
            _ => None,
        }
    }
}

/// The arguments with `run` put in front, where they are those of the original's client.
pub fn arguments(given: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = given.into_iter().collect();
    let first = arguments.get(1).and_then(|first| first.to_str()).unwrap_or_default().to_owned();
    let name = first.split_once('=').map_or(first.as_str(), |(name, _)| name);
    let short = first.len() > 2 && !first.starts_with("--") && FIRST.contains(&&first[..2.min(first.len())]);
    let others = [
        "-r",
        "-s",
        "-j",
        "-l",
        "-cn",
        "-can",
        "-cj",
        "--restore",
        "--savepoint",
        "--job-id",
        "--list",
        "--metrics",
        "--get_running_job_metrics",
        "--set-job-id",
        "--async",
        "--close-job",
        "--cluster",
        "--cancel-job",
        "--check",
        "--encrypt",
        "--decrypt",
        "--variable",
        "--name",
    ];
    let client = FIRST.contains(&name) || short || others.contains(&name);
    if client {
        arguments.insert(1, "run".into());
    }
    if arguments.get(1).is_some_and(|command| command == "run") {
        for argument in arguments.iter_mut().skip(2) {
            if let Some((_, long)) = LONG_NAMES.iter().find(|(short, _)| argument == OsStr::new(short)) {
                *argument = long.into();
            }
        }
    }
    arguments
}

/// `egret run`, or what a script of the original's client wants instead.
pub fn run(arguments: &cli::Run) -> u8 {
    let config = arguments.config.clone();
    if let Some(reason) = arguments.client.refused() {
        tell!("error: {reason}");
        return 2;
    }
    arguments.config.needed(|| match &arguments.client {
        Client { check: true, .. } => check::check(&cli::Check { config, syntax: false, json: false }),
        Client { encrypt: true, .. } => shade::encrypt(&cli::Shade { config, shade: None }),
        Client { decrypt: true, .. } => shade::decrypt(&cli::Shade { config, shade: None }),
        _ => run::run(arguments),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(line: &str) -> String {
        let given = line.split(' ').map(OsString::from);
        let arguments = arguments(given);
        arguments.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_call_of_the_clients_kind_is_a_run() {
        for (given, meant) in [
            ("egret --config j.conf -m local", "egret run --config j.conf -m local"),
            ("egret --config=j.conf", "egret run --config=j.conf"),
            ("egret -cj.conf", "egret run -cj.conf"),
            ("egret -m local -c j.conf -i a=1", "egret run -m local -c j.conf -i a=1"),
            ("egret -can 1 2", "egret run --cancel-job 1 2"),
            ("egret run -cn x", "egret run --cluster x"),
            ("egret check -c j.conf", "egret check -c j.conf"),
            ("egret --version", "egret --version"),
            ("egret --help", "egret --help"),
            ("egret", "egret"),
        ] {
            assert_eq!(normal(given), meant);
        }
    }
}
