//! Log lines on stderr.

use tracing_subscriber::EnvFilter;

use crate::cli::{Arguments, Command, LogFormat};

/// Starts logging as the command line and `RUST_LOG` say. Lines of libraries that use the `log` crate come along.
pub fn start(arguments: &Arguments) {
    let default = match arguments.command {
        Command::Serve(_) => "info",
        _ => "warn",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A line that cannot be written is lost. Telling so, on the same standard error, would panic where the line came from.
    let lines = lines.log_internal_errors(false);
    let started = match arguments.log_format {
        LogFormat::Text => {
            use std::io::IsTerminal as _;
            lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        tell!("egret: no log lines: {error}");
    }
}
