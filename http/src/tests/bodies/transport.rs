//! What is refused before it has a route.

use serde_json::{Map, Value};

use super::record::{body_of, recorded_answer};
use super::schema::fits;
use super::*;
use crate::openapi;

/// Requests that are refused, each to a server of its own.
struct Refusals {
    answers: Map<String, Value>,
    description: Value,
}

impl Refusals {
    fn refused(&mut self, what: &str, limits: HttpLimits, request: &[u8]) {
        self.refused_by(&Running::with(limits), what, request);
    }

    fn refused_by(&mut self, running: &Running, what: &str, request: &[u8]) {
        let mut client = running.client();
        // The server may close the connection before it has everything.
        let _ = client.try_send(request);
        let response = client.response();
        let body = body_of(&response);
        let schema = &self.description["components"]["schemas"]["Error"];
        fits(&self.description, schema, &body).unwrap_or_else(|error| panic!("{what}: {error}"));
        self.answers.insert(what.to_owned(), recorded_answer(&response, body));
    }
}

#[test]
fn refusals_without_a_route_are_as_expected() {
    let description = openapi::render(&SeaTunnelSettings::default(), &crate::auth::AuthSettings::default());
    let description = serde_json::from_slice(&description).expect("JSON");
    let mut refusals = Refusals { answers: Map::new(), description };
    let usual = HttpLimits::default;
    let soon = Duration::from_millis(50);
    refusals.refused("an unknown path", usual(), b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n");
    refusals.refused("an unknown path of v1", usual(), b"GET /hazelcast/rest/maps/x HTTP/1.1\r\nhost: x\r\n\r\n");
    refusals.refused("no HTTP", usual(), b"nonsense\r\n\r\n");
    let limits = HttpLimits { header_timeout: soon, ..usual() };
    refusals.refused("a head that is too slow", limits, b"GET /running-jobs HTTP/1.1\r\n");
    let limits = HttpLimits { body_timeout: soon, ..usual() };
    let half = b"POST /stop-job HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{";
    refusals.refused("a body that is too slow", limits, half);
    let limits = HttpLimits { body_bytes_max: 8, ..usual() };
    refusals.refused("a body that is too large", limits, half);
    let limits = HttpLimits { uri_bytes_max: 8, ..usual() };
    refusals.refused("a path that is too long", limits, b"GET /running-jobs HTTP/1.1\r\nhost: x\r\n\r\n");
    let limits = HttpLimits { header_bytes_max: 8 << 10, ..usual() };
    let large = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(9 << 10));
    refusals.refused("a head that is too large", limits, large.as_bytes());
    let full = Running::with(HttpLimits { connections_max: 1, ..usual() });
    let mut first = full.client();
    assert_eq!(first.get("/test/ok").status, 200);
    refusals.refused_by(&full, "a connection too many", b"");
    let stopping = Running::new();
    stopping.jobs.stop_all(Duration::ZERO);
    let config = config("late", &json!({"rows": 1}));
    let submission =
        format!("POST /submit-job HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{config}", config.len());
    refusals.refused_by(&stopping, "a job for a node that stops", submission.as_bytes());
    refusals.refused("a fault of the program", usual(), b"GET /test/panic HTTP/1.1\r\nhost: x\r\n\r\n");
    hold("none/unmatched", &Value::Object(refusals.answers));
}
