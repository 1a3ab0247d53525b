//! The command lines of the commands that talk to a node.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::login::Login;
use crate::cli::ConfigArguments;

/// Commands that talk to a node.
#[derive(Clone, Debug, Subcommand)]
pub enum Remote {
    /// Submit a job to a node and wait for its end
    #[command(after_help = SUBMIT_EXAMPLES)]
    Submit(Submit),
    /// List the jobs of a node
    #[command(after_help = "Examples:\n  egret list\n  egret list --state FAILED --json")]
    List(List),
    /// Tell everything about a job
    #[command(after_help = "Example:\n  egret info 733584788375666689")]
    Info(Info),
    /// Stop a job
    #[command(after_help = "Examples:\n  egret stop 733584788375666689\n  egret stop --async 733584788375666689")]
    Stop(Stop),
    /// Stop a job with a savepoint, to go on from with `egret restore`
    #[command(after_help = "Example:\n  egret savepoint 733584788375666689")]
    Savepoint(Stop),
    /// Submit a job that goes on from its savepoint
    #[command(after_help = "Example:\n  egret restore 733584788375666689 job.conf")]
    Restore(Restore),
    /// Print the log of a job
    #[command(after_help = "Example:\n  egret logs --follow 733584788375666689")]
    Logs(Logs),
    /// Show what lives in the heap of a node, or profile who holds it
    #[command(subcommand, after_help = HEAP_EXAMPLES)]
    Heap(HeapCommand),
    /// Show the running jobs of a node and what they read and write, again and again
    #[command(after_help = "q or Ctrl-C ends it. Without a terminal it prints once.")]
    Top(Top),
}

const SUBMIT_EXAMPLES: &str = "\
Examples:
  egret submit job.conf
  egret submit -i day=2024-01-31 --name nightly --async --url http://10.0.0.7:5801 job.conf

Exit status: 0 the job finished (with --async: was accepted), 1 it did not, 130 stopped waiting by Ctrl-C: the job
goes on.";

const HEAP_EXAMPLES: &str = "\
Examples:
  egret heap show
  egret heap start && sleep 60 && egret heap dump -o heap.pb.gz && egret heap stop
  go tool pprof -http=: heap.pb.gz

start, stop and dump work on the machine of the node only.";

/// Which node.
#[derive(Clone, Debug, Args)]
pub struct NodeArguments {
    /// Address of the node
    #[arg(long, value_name = "URL", env = "EGRET_URL", default_value = "http://127.0.0.1:5801")]
    pub url: String,

    /// Seconds that an answer may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,

    #[command(flatten)]
    pub login: Login,
}

impl NodeArguments {
    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// How to wait.
#[derive(Clone, Debug, Args)]
pub struct WaitArguments {
    /// Do not wait for the end of the job
    #[arg(long = "async", conflicts_with = "wait")]
    pub background: bool,

    /// Wait for the end of the job; that is the default
    #[arg(long)]
    pub wait: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `egret submit`
#[derive(Clone, Debug, Args)]
pub struct Submit {
    #[command(flatten)]
    pub config: ConfigArguments,

    /// Name of the job instead of the config's `job.name`
    #[arg(short = 'n', long)]
    pub name: Option<String>,

    /// Id of the job [default: a new one]
    #[arg(long = "set-job-id", value_name = "ID")]
    pub job_id: Option<i64>,

    #[command(flatten)]
    pub waiting: WaitArguments,

    #[command(flatten)]
    pub node: NodeArguments,
}

/// `egret restore`
#[derive(Clone, Debug, Args)]
pub struct Restore {
    /// Id of the job that was stopped with a savepoint
    pub id: i64,

    #[command(flatten)]
    pub config: ConfigArguments,

    #[command(flatten)]
    pub waiting: WaitArguments,

    #[command(flatten)]
    pub node: NodeArguments,
}

/// `egret list`
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Only jobs of this state, like RUNNING, FINISHED, FAILED, CANCELED, SAVEPOINT_DONE
    #[arg(long)]
    pub state: Option<String>,

    /// Jobs to show: running ones first, then those that ended last
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub node: NodeArguments,
}

/// `egret info`
#[derive(Clone, Debug, Args)]
pub struct Info {
    /// Id of the job
    pub id: i64,

    /// Print JSON, as the node answers
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub node: NodeArguments,
}

/// `egret stop`, `egret savepoint`
#[derive(Clone, Debug, Args)]
pub struct Stop {
    /// Id of the job
    pub id: i64,

    /// Keep the job's state, to go on from with `egret restore`
    #[arg(long)]
    pub savepoint: bool,

    /// Do not wait until the job has stopped
    #[arg(long = "async")]
    pub background: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub node: NodeArguments,
}

/// `egret logs`
#[derive(Clone, Debug, Args)]
pub struct Logs {
    /// Id of the job
    pub id: i64,

    /// Go on printing what is added, until the job has ended
    #[arg(short = 'f', long)]
    pub follow: bool,

    #[command(flatten)]
    pub node: NodeArguments,
}

/// `egret heap`
#[derive(Clone, Debug, Subcommand)]
pub enum HeapCommand {
    /// Show live allocations by size
    Show(NodeQuestion),
    /// Switch the heap profiler on: from then on a part of all allocations is recorded with its stack
    Start(HeapStart),
    /// Switch the heap profiler off, and forget what it has recorded
    Stop(NodeQuestion),
    /// Get a profile of what lives and was allocated since the heap profiler was switched on, for pprof
    Dump(HeapDump),
}

/// A question to a node.
#[derive(Clone, Debug, Args)]
pub struct NodeQuestion {
    /// Print JSON, as the node answers
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub node: NodeArguments,
}

/// `egret heap start`
#[derive(Clone, Debug, Args)]
pub struct HeapStart {
    /// Record one allocation in so many bytes on average, like 64KiB; taken as the next power of two [default: 512KiB]
    #[arg(long, value_name = "BYTES", value_parser = crate::settings::bytes)]
    pub sample_bytes: Option<u64>,

    #[command(flatten)]
    pub question: NodeQuestion,
}

/// `egret heap dump`
#[derive(Clone, Debug, Args)]
pub struct HeapDump {
    /// File to write; - is standard output [default: egret-heap-DATE-TIME.pb.gz]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub node: NodeArguments,
}

/// `egret top`
#[derive(Clone, Debug, Args)]
pub struct Top {
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = interval)]
    pub interval: f64,

    /// Print once and end, also on a terminal
    #[arg(long)]
    pub once: bool,

    #[command(flatten)]
    pub node: NodeArguments,
}

fn interval(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds)).ok_or("expected 0.1 to 3600".to_owned())
}
