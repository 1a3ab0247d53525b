//! Requests at a steady pace against any HTTP/1.1 server.

use std::error::Error;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use clap::Args;

use crate::load::{Load, get};
use crate::show::Micros;

/// What to ask, how often and for how long.
#[derive(Args)]
pub struct Options {
    /// What to GET, like <http://127.0.0.1:5801/hazelcast/rest/maps/running-jobs>.
    #[arg(long, value_parser = url)]
    url: Url,
    /// Requests a second, whatever comes back.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Connections that are kept open.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    /// Host and, unless it is 80, port.
    host: String,
    /// Path and query.
    path: String,
}

fn url(text: &str) -> Result<Url, String> {
    let rest = text.strip_prefix("http://").ok_or("it must begin with http://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if host.is_empty() {
        return Err("it names no host".to_owned());
    }
    if text.contains(|character: char| character.is_ascii_control() || character == ' ' || character == '#') {
        return Err("blanks, control characters and fragments cannot be sent".to_owned());
    }
    Ok(Url { host: host.to_owned(), path: if path.is_empty() { "/".to_owned() } else { path.to_owned() } })
}

impl Url {
    fn address(&self) -> Result<SocketAddr, Box<dyn Error>> {
        let with_port = self.host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = if with_port { self.host.clone() } else { format!("{}:80", self.host) };
        let mut addresses = host.to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
        addresses.next().ok_or_else(|| format!("{host} has no address").into())
    }
}

/// Runs the load and prints what came back.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let load = Load {
        address: options.url.address()?,
        requests: vec![get(&options.url.host, &options.url.path)],
        rate: options.rate,
        length: Duration::from_secs(options.seconds),
        connections: usize::from(options.connections),
        follow: None,
    };
    let outcome = load.run()?;
    println!(
        "GET http://{}{}: {} requests/s for {} s, open loop, {} connections; {}",
        options.url.host, options.url.path, options.rate, options.seconds, options.connections, outcome.priority
    );
    let statuses: Vec<String> = outcome.statuses.iter().map(|(status, count)| format!("{count} x {status}")).collect();
    println!(
        "{} due: {}; {} lost with their connection, {} without an answer 2 s after the end",
        outcome.planned,
        if statuses.is_empty() { "none answered".to_owned() } else { statuses.join(", ") },
        outcome.broken,
        outcome.unanswered()
    );
    println!("{:<44} {}", "us", Micros::HEADER);
    println!("{:<44} {}", "latency, from due to the reply's last byte", Micros(&outcome.latency));
    println!("{:<44} {}", "of that by the client, from due to sent", Micros(&outcome.late));
    if outcome.answered() == 0 { Err("no request was answered".into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_with_and_without_port_and_path() {
        let read = url("http://127.0.0.1:5801/a/b?c=d").expect("a url");
        assert_eq!((read.host.as_str(), read.path.as_str()), ("127.0.0.1:5801", "/a/b?c=d"));
        assert_eq!(read.address().expect("an address"), "127.0.0.1:5801".parse().expect("an address"));
        let read = url("http://127.0.0.1").expect("a url");
        assert_eq!(read.path, "/");
        assert_eq!(read.address().expect("an address").port(), 80);
        let read = url("http://[::1]/x").expect("a url");
        assert_eq!(read.address().expect("an address"), "[::1]:80".parse().expect("an address"));
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for text in ["https://a/", "a/b", "http:///x", "http://a/b c", "http://a/b#c", "http://a/\r\nx"] {
            assert!(url(text).is_err(), "{text}");
        }
    }
}
