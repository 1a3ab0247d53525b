//! Every bound of the HTTP layer, with its name and default.

use std::time::Duration;

/// What a client may do, and for how long. `docs/http.md` has the table; each refusal is counted in
/// [`ShardStats`](crate::ShardStats).
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Open connections per shard. One more is answered with 503 and `Retry-After`, and closed.
    pub connections_max: usize,
    /// Connections that wait to be accepted, per shard.
    pub backlog: u16,
    /// Bytes of a request's head, at least 8 KiB. More is 431.
    pub header_bytes_max: usize,
    /// Bytes of a request's path and query. More is 414.
    pub uri_bytes_max: usize,
    /// Bytes of a request's body. More is 413.
    pub body_bytes_max: usize,
    /// Bytes of all request bodies that a shard holds at a time. More is 503 with `Retry-After`.
    pub bodies_bytes_max: usize,
    /// From the first byte of a head to its last, and from accepting a connection to its first byte. Then 408 (or
    /// nothing, where the client has sent nothing).
    pub header_timeout: Duration,
    /// From the end of a head to the last byte of the body. Then 408.
    pub body_timeout: Duration,
    /// Between two requests on a connection. Then it is closed.
    pub idle_timeout: Duration,
    /// For the program's own work on a request. Then 503.
    pub handler_timeout: Duration,
    /// Without a byte of an answer taken by the client. Then the connection is cut.
    pub write_timeout: Duration,
    /// For a refused client to read its answer before the connection is cut.
    pub linger_timeout: Duration,
    /// For the first request of a connection that was opened, when the server stops. Then it is closed.
    pub grace_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 8192,
            backlog: 1024,
            header_bytes_max: 64 << 10,
            uri_bytes_max: 8 << 10,
            body_bytes_max: 16 << 20,
            bodies_bytes_max: 256 << 20,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
            handler_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            linger_timeout: Duration::from_secs(2),
            grace_timeout: Duration::from_millis(250),
        }
    }
}

impl HttpLimits {
    /// The smallest head that a server must be able to take.
    pub const HEADER_BYTES_MIN: usize = 8 << 10;

    /// How often connections are looked at: a timeout is late by up to this, and by up to twice as much where it is that of
    /// the first connection after a while without any.
    pub(crate) fn sweep_interval(&self) -> Duration {
        let shortest = [
            self.header_timeout,
            self.body_timeout,
            self.idle_timeout,
            self.handler_timeout,
            self.write_timeout,
            self.linger_timeout,
        ]
        .into_iter()
        .min()
        .unwrap_or_default();
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }

    /// The first limit that is out of its bounds, as a message with the cure.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.connections_max == 0 {
            return Some("http connections_max is 0; it must be at least 1".to_owned());
        }
        if self.header_bytes_max < Self::HEADER_BYTES_MIN {
            return Some(format!(
                "http header_bytes_max is {}; it must be at least {}",
                self.header_bytes_max,
                Self::HEADER_BYTES_MIN
            ));
        }
        if self.bodies_bytes_max < self.body_bytes_max {
            return Some(format!(
                "http bodies_bytes_max is {}; it must be at least body_bytes_max, {}",
                self.bodies_bytes_max, self.body_bytes_max
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_their_own_bounds() {
        assert_eq!(HttpLimits::default().problem(), None);
        assert_eq!(HttpLimits::default().sweep_interval(), Duration::from_millis(500));
    }

    #[test]
    fn a_limit_out_of_bounds_is_named() {
        let limits = HttpLimits { header_bytes_max: 100, ..HttpLimits::default() };
        assert!(limits.problem().is_some_and(|problem| problem.contains("header_bytes_max is 100")));
    }
}
