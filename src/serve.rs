//! `egret serve`: a node with listeners.

use std::time::Duration;

use egret_http::{Server, ServerConfig};
use egret_runtime::job::{JobSettings, SubmitRequest};
use egret_runtime::shard::signals;

use crate::{cli, node};

/// Runs the node until it is told to stop; gives the exit status.
pub fn serve(arguments: &cli::Serve) -> u8 {
    let node = match node::start(&arguments.shards, JobSettings::default()) {
        Ok(node) => node,
        Err(exit) => return exit,
    };
    let exit = serve_on(&node, arguments);
    if let Err(error) = node.shards.stop(Duration::from_secs(arguments.stop_timeout)) {
        tracing::error!("{error}");
        return 1;
    }
    exit
}

fn serve_on(node: &node::Node, arguments: &cli::Serve) -> u8 {
    let config = ServerConfig { host: arguments.host, ports: vec![arguments.port], ..ServerConfig::default() };
    let server = match Server::start(&node.shards, &config, &node.jobs) {
        Ok(server) => server,
        Err(error) => {
            tell!("egret: {error}");
            return 1;
        }
    };
    for file in &arguments.files {
        if let Err(message) = submit(node, file, &arguments.variables) {
            tell!("{message}");
            server.stop(Duration::ZERO);
            node.jobs.stop_all(Duration::from_secs(arguments.stop_timeout));
            return 1;
        }
    }
    for address in server.local_addrs() {
        tracing::info!("listening on http://{address}");
    }
    let cause = match signals::wait_for_stop() {
        Ok(cause) => cause,
        Err(error) => {
            tell!("egret: cannot wait for signals: {error}");
            return 1;
        }
    };
    let timeout = Duration::from_secs(arguments.stop_timeout);
    tracing::info!("{cause}: no more requests are taken; jobs are being stopped");
    let open = server.stop(timeout);
    if open > 0 {
        tracing::warn!("{open} connections were still open after {timeout:?}");
    }
    match node.jobs.stop_all(timeout) {
        0 => 0,
        left => {
            tracing::error!("{left} jobs did not end within {timeout:?}");
            1
        }
    }
}

fn submit(node: &node::Node, file: &std::path::Path, variables: &[cli::Variable]) -> Result<(), String> {
    let text = std::fs::read(file).map_err(|error| format!("error: cannot read {}: {error}", file.display()))?;
    let submitted = node.submit(SubmitRequest {
        config_text: text.into(),
        source_name: file.display().to_string(),
        read: cli::read_options(file, variables),
        job_id: None,
        job_name: None,
        start_with_savepoint: false,
    });
    match submitted {
        Ok(submitted) => {
            tracing::info!(job = submitted.job_id, name = %submitted.job_name, file = %file.display(), "submitted");
            Ok(())
        }
        Err(error) => Err(format!("error: {}: {error}", file.display())),
    }
}
