//! The command line: every flag with its documentation.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use egret_runtime::config::{Includes, RESERVED_WORDS, ReadOptions, Syntax, Unresolved, Variables};
use egret_runtime::shard::CpuList;

/// Runs data-integration jobs natively on io_uring and serves what runs over SeaTunnel's REST API.
#[derive(Debug, Parser)]
#[command(name = "egret", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Arguments {
    /// How log lines look. They go to stderr; RUST_LOG sets what is logged (warn for `run`, info for `serve`).
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  egret run examples/quickstart.conf
  egret run -i day=2024-01-31 -i 'table=orders' job.conf
  egret check job.conf
  egret serve
  curl -s -d @job.json http://127.0.0.1:5801/hazelcast/rest/maps/submit-job

Exit status: 0 done, 1 the job failed or its config is wrong, 2 wrong command line, 78 this machine lacks what egret
needs, 130 stopped by Ctrl-C.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one job in this process and wait for its end
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Say what is wrong with a job config, without running it
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Start a node: run jobs, take jobs over HTTP, show them
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Serve),
    /// List the plugins that jobs may use, or the options of one
    Plugins(Plugins),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  egret completions bash > /etc/bash_completion.d/egret")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

const RUN_EXAMPLES: &str = "\
Examples:
  egret run examples/quickstart.conf
  egret run -i input=/data/in -i output=/data/out job.conf
  egret run --cores 0-3 --name nightly job.conf > rows.txt

Rows of a Console sink and the statistics go to stdout, everything else to stderr.";

const CHECK_EXAMPLES: &str = "\
Examples:
  egret check job.conf
  egret check --syntax --json job.conf";

const SERVE_EXAMPLES: &str = "\
Examples:
  egret serve
  egret serve --port 5802 nightly.conf hourly.conf
  egret serve --host 0.0.0.0        # reachable from everywhere: put something in front that asks who is there

SIGTERM or Ctrl-C: no new requests, running requests finish, jobs are stopped, exit status 0.";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Which CPUs, and how.
#[derive(Clone, Debug, Args)]
pub struct ShardArguments {
    /// CPUs to run on, like 0-3,6 [default: all that this process may use]
    #[arg(long, value_name = "LIST")]
    pub cores: Option<CpuList>,

    /// Nice value of the threads that do the jobs' work; requests go first
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(i32).range(0..=19))]
    pub work_nice: i32,
}

/// Which config, and what is filled in.
#[derive(Clone, Debug, Args)]
pub struct ConfigArguments {
    /// The job config; `.json` is read as JSON, anything else as the config language
    #[arg(value_name = "FILE", required_unless_present = "config")]
    pub file: Option<PathBuf>,

    /// The same, as the original's client spells it
    #[arg(short = 'c', long, value_name = "FILE", conflicts_with = "file")]
    pub config: Option<PathBuf>,

    /// Value of `${KEY}` in the config; may be given many times
    #[arg(short = 'i', long = "variable", value_name = "KEY=VALUE", value_parser = key_value)]
    pub variables: Vec<(String, String)>,
}

/// `egret run`
#[derive(Clone, Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub config: ConfigArguments,

    /// Name of the job instead of the config's `job.name`
    #[arg(short = 'n', long)]
    pub name: Option<String>,

    /// Id of the job [default: a new one]
    #[arg(long = "set-job-id", value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    pub job_id: Option<i64>,

    #[command(flatten)]
    pub shards: ShardArguments,

    /// No progress line, also when stderr is a terminal
    #[arg(long)]
    pub no_progress: bool,
}

/// `egret check`
#[derive(Clone, Debug, Args)]
pub struct Check {
    #[command(flatten)]
    pub config: ConfigArguments,

    /// Judge grammar and wiring only: no plugins, no files
    #[arg(long)]
    pub syntax: bool,

    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}

/// `egret serve`
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Job configs to submit at start
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Address to listen on; anything but loopback is reachable by others
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 5801)]
    pub port: u16,

    /// Value of `${KEY}` in the configs; may be given many times
    #[arg(short = 'i', long = "variable", value_name = "KEY=VALUE", value_parser = key_value)]
    pub variables: Vec<(String, String)>,

    #[command(flatten)]
    pub shards: ShardArguments,

    /// Seconds that requests, and then jobs, get to end after a stop signal
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub stop_timeout: u64,
}

/// `egret plugins`
#[derive(Clone, Debug, Args)]
pub struct Plugins {
    /// Name of a plugin, in any case
    pub name: Option<String>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, _)) if RESERVED_WORDS.contains(&key) => {
            Err(format!("'{key}' cannot be given: sinks fill it in for each table"))
        }
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("expected KEY=VALUE, found '{text}'")),
    }
}

impl ConfigArguments {
    /// The file, by whichever name it was given.
    pub fn path(&self) -> &std::path::Path {
        // clap lets nobody through without one of the two.
        self.file.as_deref().or(self.config.as_deref()).unwrap_or_else(|| std::path::Path::new(""))
    }
}

/// How a file from the command line is read: its own folder may be included from, and variables must be set.
pub fn read_options(path: &std::path::Path, variables: &[(String, String)]) -> ReadOptions {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    ReadOptions {
        syntax: Syntax::ByFileName,
        variables: variables
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect::<Variables>()
            .or_environment(),
        unresolved: Unresolved::Error,
        includes: Includes::Anywhere(folder.unwrap_or_else(|| std::path::Path::new(".")).to_owned()),
        ..ReadOptions::default()
    }
}

/// Prints completions.
pub fn completions(shell: clap_complete::Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "egret", &mut script);
    crate::stdout::print(script, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn variables_keep_everything_behind_the_first_equals_sign() {
        assert_eq!(key_value("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(key_value("a="), Ok(("a".into(), String::new())));
        assert!(key_value("=b").is_err());
        assert!(key_value("ab").is_err());
        assert!(key_value("table_name=t").is_err());
    }
}
