//! The command line: every flag with its documentation.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use egret_runtime::config::{Includes, RESERVED_WORDS, ReadOptions, Syntax, Unresolved, Variables};
use egret_runtime::shard::CpuList;

use crate::client::Client;
use crate::remote::Remote;
use crate::settings::SettingFlags;

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
  egret submit job.conf
  egret list
  egret top
  curl -s -d @job.json http://127.0.0.1:5801/hazelcast/rest/maps/submit-job

Exit status: 0 done, 1 the job failed or its config is wrong, 2 wrong command line, 78 this machine lacks what egret
needs, 130 stopped by Ctrl-C.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one job in this process and wait for its end
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<Run>),
    /// Say what is wrong with a job config, without running it
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Start a node: run jobs, take jobs over HTTP, show them
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Serve),
    /// Print the settings that a node would have, and where each comes from
    #[command(after_help = CONFIG_EXAMPLES)]
    Config(Config),
    #[command(flatten)]
    Remote(Remote),
    /// List the plugins that jobs may use, or the options of one
    #[command(after_help = PLUGINS_EXAMPLES)]
    Plugins(Plugins),
    /// Print a job config with its secrets encoded
    #[command(after_help = ENCRYPT_EXAMPLES)]
    Encrypt(Shade),
    /// Print a job config with its secrets decoded
    #[command(after_help = "Example:\n  egret decrypt encoded.json")]
    Decrypt(Shade),
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

Rows of a Console sink and the statistics go to stdout, everything else to stderr.

Scripts made for the original's client work as they are: egret --config job.conf -m local -i day=2024-01-31";

const PLUGINS_EXAMPLES: &str = "\
Examples:
  egret plugins
  egret plugins LocalFile
  egret plugins --json FakeSource";

const ENCRYPT_EXAMPLES: &str = "\
Examples:
  egret encrypt job.conf > encoded.json          # as env.shade.identifier says
  egret encrypt --shade base64 job.conf > encoded.json

Encoded are password, username, auth and token at the top of each source and sink, and the options that
env.shade.options names. The result is JSON, which is also valid in a .conf file. base64 hides a secret from a glance,
not from a reader.";

const CHECK_EXAMPLES: &str = "\
Examples:
  egret check job.conf
  egret check --syntax --json job.conf";

const SERVE_EXAMPLES: &str = "\
Examples:
  egret serve
  egret serve --config egret.yaml
  egret serve --port 5802 --second-port off nightly.conf hourly.conf
  egret serve --host 0.0.0.0        # reachable from everywhere: put something in front that asks who is there

SIGTERM or Ctrl-C: no new requests, running requests finish, jobs are stopped, exit status 0.";

const CONFIG_EXAMPLES: &str = "\
Examples:
  egret config --config egret.yaml
  egret config --config seatunnel.yaml --config hazelcast.yaml > egret.yaml
  egret config --json --port 5802

It takes what `egret serve` takes, and judges it in the same way: exit status 1, and every mistake at once. What it
prints is an egret.yaml; secrets are left out of it.";

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
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// The same, as the original's client spells it
    #[arg(short = 'c', long, value_name = "FILE", conflicts_with = "file")]
    pub config: Option<PathBuf>,

    /// Value of `${KEY}` in the config; may be given many times, or with commas: a=1,b=2
    #[arg(short = 'i', long = "variable", value_name = "KEY=VALUE")]
    pub variables: Vec<Variable>,
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

    #[command(flatten)]
    pub client: Client,
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

    #[command(flatten)]
    pub node: NodeSettings,

    /// Value of `${KEY}` in the configs; may be given many times, or with commas: a=1,b=2
    #[arg(short = 'i', long = "variable", value_name = "KEY=VALUE")]
    pub variables: Vec<Variable>,
}

/// Where the settings of a node come from.
#[derive(Clone, Debug, Args)]
pub struct NodeSettings {
    /// The settings of the node: an egret.yaml, or a seatunnel.yaml or hazelcast.yaml as it is; may be given several
    /// times, a later file winning. docs/settings.md has all keys
    #[arg(short = 'c', long, value_name = "FILE", env = "EGRET_CONFIG")]
    pub config: Vec<PathBuf>,

    #[command(flatten)]
    pub settings: SettingFlags,
}

/// `egret config`
#[derive(Clone, Debug, Args)]
pub struct Config {
    #[command(flatten)]
    pub node: NodeSettings,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `egret plugins`
#[derive(Clone, Debug, Args)]
pub struct Plugins {
    /// Name of a plugin, in any case
    pub name: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `egret encrypt`, `egret decrypt`
#[derive(Clone, Debug, Args)]
pub struct Shade {
    #[command(flatten)]
    pub config: ConfigArguments,

    /// How, where the config's env has no shade.identifier
    #[arg(long, value_name = "METHOD")]
    pub shade: Option<String>,
}

/// One `-i`: `a=1`, or several with commas between them, as the original's client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable(pub Vec<(String, String)>);

impl std::str::FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pairs: Vec<String> = Vec::new();
        for part in split_at_commas(text) {
            match pairs.last_mut() {
                // What does not begin with a name and '=' belongs to the value before it.
                Some(last) if !begins_a_pair(part) => {
                    last.push(',');
                    last.push_str(part);
                }
                _ => pairs.push(part.to_owned()),
            }
        }
        pairs.iter().map(|pair| key_value(pair)).collect::<Result<_, _>>().map(Self)
    }
}

/// Cuts at commas that are neither within double quotes nor within brackets or braces.
fn split_at_commas(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0_i32, false, false);
    for (at, next) in text.char_indices() {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth <= 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

fn begins_a_pair(text: &str) -> bool {
    text.split_once('=').is_some_and(|(key, _)| {
        let key = key.trim_start();
        key.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && key.chars().all(|next| next.is_alphanumeric() || matches!(next, '_' | '-' | '.'))
    })
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, _)) if RESERVED_WORDS.contains(&key) => {
            Err(format!("'{key}' cannot be given: sinks fill it in for each table"))
        }
        // Quotes around the whole value are the shell's neighbour, not part of it.
        Some((key, value)) if !key.trim().is_empty() => {
            let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            Ok((key.trim().to_owned(), inner.filter(|inner| !inner.contains('"')).unwrap_or(value).to_owned()))
        }
        _ => Err(format!("expected KEY=VALUE, found '{text}'")),
    }
}

impl ConfigArguments {
    /// Goes on when a file is given; else says so and gives the exit status of a wrong command line.
    pub fn needed(&self, go_on: impl FnOnce() -> u8) -> u8 {
        if self.file.is_none() && self.config.is_none() {
            tell!("error: no config is given: expected a FILE (see --help)");
            return 2;
        }
        go_on()
    }

    /// The file, by whichever name it was given.
    pub fn path(&self) -> &std::path::Path {
        // Commands go through `needed` first.
        self.file.as_deref().or(self.config.as_deref()).unwrap_or_else(|| std::path::Path::new(""))
    }
}

/// How a file from the command line is read: its own folder may be included from, and variables must be set.
pub fn read_options(path: &std::path::Path, variables: &[Variable]) -> ReadOptions {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    ReadOptions {
        syntax: Syntax::ByFileName,
        variables: variables
            .iter()
            .flat_map(|variable| &variable.0)
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
        assert_eq!(key_value("a=\"b c\""), Ok(("a".into(), "b c".into())));
        assert!(key_value("=b").is_err());
        assert!(key_value("ab").is_err());
        assert!(key_value("table_name=t").is_err());
    }

    #[test]
    fn several_variables_may_stand_behind_one_flag() {
        let read = |text: &str| {
            let Variable(pairs) = text.parse()?;
            Ok::<_, String>(pairs.iter().map(|(key, value)| format!("{key}<{value}>")).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(read("a=1,b=2, c.d=x=y").as_deref(), Ok("a<1> b<2> c.d<x=y>"));
        assert_eq!(read("cols=id,name").as_deref(), Ok("cols<id,name>"));
        assert_eq!(
            read("a=[x,b=1],c={\"k\": 1, \"l\": 2},d=2").as_deref(),
            Ok("a<[x,b=1]> c<{\"k\": 1, \"l\": 2}> d<2>")
        );
        assert_eq!(read("a=\"x,b=1\",c=2").as_deref(), Ok("a<x,b=1> c<2>"));
        assert!(read("a").is_err() && read("").is_err());
    }
}
