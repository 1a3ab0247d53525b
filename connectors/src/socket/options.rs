//! The options.

use std::time::Duration;

use egret_runtime::config::{OptionKind, OptionSpec, OptionTable, Options, Problems};
use egret_runtime::plugin::PlanContext;

use super::Peer;

/// Longest line that `max_line_bytes` can allow.
const LINE_BYTES_LIMIT: i64 = 1 << 30;

const RETRIES: OptionKind = OptionKind::Integer { min: -1, max: 1_000_000 };

const HOST: OptionSpec =
    OptionSpec::new("host", OptionKind::Text, "Name or address of the server.").required().example("\"localhost\"");
const PORT: OptionSpec =
    OptionSpec::new("port", OptionKind::Integer { min: 1, max: 65535 }, "Its port.").required().example("9999");
const CONNECT_TIMEOUT: OptionSpec = OptionSpec::new(
    "connect_timeout_ms",
    OptionKind::Integer { min: 1, max: 24 * 60 * 60 * 1000 },
    "How long a connection may take to come about, with the lookup of the name.",
)
.default("12000");

/// Options of the source.
pub(super) const SOURCE_OPTIONS: OptionTable = &[
    HOST,
    PORT,
    OptionSpec::new(
        "max_line_bytes",
        OptionKind::Integer { min: 1, max: LINE_BYTES_LIMIT },
        "Longest line; a longer one fails the job.",
    )
    .default("16777216"),
    OptionSpec::new(
        "max_retries",
        RETRIES,
        "How often in a row the source connects again, half a second apart, when the server cannot be reached; in a \
         streaming job also when it has closed. -1: for ever. With 0 a streaming job ends when the server closes.",
    )
    .default("0"),
    CONNECT_TIMEOUT,
];

/// Options of the sink.
pub(super) const SINK_OPTIONS: OptionTable = &[
    HOST,
    PORT,
    OptionSpec::new(
        "max_retries",
        RETRIES,
        "How often in a row the sink connects again, half a second apart, when a row cannot be sent. -1: for ever.",
    )
    .default("3"),
    CONNECT_TIMEOUT,
];

/// The other side that the options name.
pub(super) fn peer(options: &Options<'_>, context: &PlanContext) -> Result<Peer, Problems> {
    let host = options.text("host").unwrap_or_default().trim().to_owned();
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '@')) {
        let mut problem = context.error(format!("'{host}' is not the name or address of a host")).of_option("host");
        problem.position = options.value("host").map(|value| value.position.clone()).or(problem.position);
        return Err(problem.into());
    }
    // The table bounds both; what it refuses was told already.
    let port = options.integer("port").and_then(|port| u16::try_from(port).ok());
    let Some(port) = port else { return Err(Problems::default()) };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host).to_owned();
    let timeout = options.integer("connect_timeout_ms").and_then(|ms| u64::try_from(ms).ok()).unwrap_or(12_000);
    let retries = options.integer("max_retries").unwrap_or_default();
    Ok(Peer { host, port, connect_timeout: Duration::from_millis(timeout), retries_max: u64::try_from(retries).ok() })
}
