//! The `egret` command: runs data-integration jobs and serves what runs. It wires the rooms together and holds no
//! logic of theirs.

// What comes from outside must not be able to end a task, let alone the process: tests alone may unwrap.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

/// Writes a line to standard error. Unlike `eprintln!` it goes on when nobody reads there any more
/// (`egret run job.conf 2>&1 | head -1`): a job must not end half-way because its messages are not wanted.
macro_rules! tell {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod check;
mod cli;
mod client;
mod config;
mod logging;
mod node;
mod plugins;
mod progress;
mod remote;
mod run;
mod serve;
mod settings;
mod shade;
mod stacks;
mod statistics;
mod stdout;

use std::process::ExitCode;

use clap::Parser as _;

/// jemalloc: threads of different cores do not share a lock, and it can tell what is allocated.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Its options, by the name under which it looks for them.
#[unsafe(export_name = "_rjem_malloc_conf")]
static JEMALLOC_OPTIONS: egret_collectors::HeapOptions = egret_collectors::HEAP_OPTIONS;

fn main() -> ExitCode {
    let arguments = settings::with_values_joined(client::arguments(std::env::args_os()));
    let arguments = cli::Arguments::parse_from(arguments);
    let minds_signals = match &arguments.command {
        cli::Command::Remote(remote) => remote.minds_signals(),
        _ => true,
    };
    // Before any other thread exists, so that every thread inherits the mask.
    if minds_signals && let Err(error) = egret_runtime::shard::signals::block_stop_signals() {
        tell!("egret: cannot block SIGINT and SIGTERM: {error}");
        return ExitCode::FAILURE;
    }
    let logs = logging::start(&arguments);
    let exit = match arguments.command {
        cli::Command::Run(run) => client::run(&run),
        cli::Command::Check(check) => check.config.needed(|| check::check(&check)),
        cli::Command::Serve(serve) => serve::serve(&serve, &logs),
        cli::Command::Config(config) => config::config(&config),
        cli::Command::Remote(remote) => remote::run(&remote),
        cli::Command::Plugins(plugins) => plugins::plugins(&plugins),
        cli::Command::Encrypt(shade) => shade.config.needed(|| shade::encrypt(&shade)),
        cli::Command::Decrypt(shade) => shade.config.needed(|| shade::decrypt(&shade)),
        cli::Command::Completions { shell } => cli::completions(shell),
    };
    ExitCode::from(exit)
}
