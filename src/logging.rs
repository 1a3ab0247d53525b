//! Log lines on stderr, and the way of a job's lines to its log.

use std::io::IsTerminal as _;

use egret_runtime::logs::{JobLogLayer, JobLogSlot, is_of_a_job};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::{Arguments, Command, LogFormat};

/// Starts logging as the command line and `RUST_LOG` say. Lines of libraries that use the `log` crate come along.
/// Of a node the lines of jobs go to their logs as well, whatever `RUST_LOG` says, once the slot is filled.
pub fn start(arguments: &Arguments) -> JobLogSlot {
    let is_node = matches!(arguments.command, Command::Serve(_));
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(if is_node { "info" } else { "warn" }));
    let lines = tracing_subscriber::fmt::layer::<Registry>().with_writer(std::io::stderr);
    // A line that cannot be written is lost. Telling so, on the same standard error, would panic where the line came from.
    let lines = lines.log_internal_errors(false);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match arguments.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let (jobs, slot) = JobLogLayer::new();
    let jobs = is_node.then(|| jobs.with_filter(filter_fn(is_of_a_job).with_max_level_hint(LevelFilter::INFO)));
    let started = tracing_subscriber::registry().with(lines.with_filter(filter)).with(jobs).try_init();
    if let Err(error) = started {
        tell!("egret: no log lines: {error}");
    }
    slot
}
