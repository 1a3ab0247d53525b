//! Requests and their answers, sorted by route.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Map, Value, json};

use super::description::Description;
use super::mask::mask;
use crate::server::Faces;
use crate::tests::client::{Client, Response};
use crate::tests::hold;
use crate::{RouteName, node, route, routes, seatunnel};

/// What requests name as the node.
const HOST: &str = "egret:5801";

/// The answers of one node, over one face.
pub(super) struct Recorder {
    client: Client,
    base: &'static str,
    description: Description,
    answers: BTreeMap<String, Map<String, Value>>,
}

impl Recorder {
    /// `base` is what the paths of the face begin with.
    pub(super) fn new(mut client: Client, base: &'static str) -> Self {
        let description = client.get("/openapi.json").body;
        let description = Description(serde_json::from_slice(&description).expect("JSON"));
        Self { client, base, description, answers: BTreeMap::new() }
    }

    pub(super) fn get(&mut self, path: &str) -> Value {
        self.ask("", "GET", path, "")
    }

    pub(super) fn post(&mut self, path: &str, body: &str) -> Value {
        self.ask("", "POST", path, body)
    }

    /// Asks, holds the answer against the description, and records it. `when` tells requests apart that are the same.
    /// A path that begins with a slash is a whole one.
    pub(super) fn ask(&mut self, when: &str, method: &str, path: &str, body: &str) -> Value {
        let key = format!("{method} {path} {body}").trim_end().to_owned();
        self.ask_as(&if when.is_empty() { key } else { format!("{key} ({when})") }, method, path, "", body)
    }

    /// The same with further headers, recorded as `key`.
    pub(super) fn ask_as(&mut self, key: &str, method: &str, path: &str, headers: &str, body: &str) -> Value {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("{}{path}", self.base) };
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {length}\r\n{headers}\r\n");
        let response = self.client.send(head + body).response();
        let mut told = body_of(&response);
        self.description.check(method, &path, body, &response, &told);
        let real = told.clone();
        if response.status == 200 {
            mask(&path, &mut told);
        }
        self.description.check(method, &path, "", &response, &told);
        let recorded = self.answers.entry(file_of(method, &path)).or_default();
        assert!(recorded.insert(key.to_owned(), recorded_answer(&response, told)).is_none(), "{key} is asked once");
        real
    }

    /// Holds everything against the tree.
    pub(super) fn finish(self) {
        for (file, answers) in self.answers {
            hold(&file, &Value::Object(answers));
        }
    }
}

/// Status, the headers that matter, and the body.
pub(super) fn recorded_answer(response: &Response, body: Value) -> Value {
    let mut answer = json!({"status": response.status, "type": response.header("content-type")});
    for header in ["allow", "retry-after", "connection"] {
        if let Some(value) = response.header(header) {
            answer[header] = value.into();
        }
    }
    if let Some(seconds) = response.header("x-process-time") {
        assert!(seconds.parse::<f64>().is_ok(), "{seconds}");
        answer["x-process-time"] = "0.0005".into();
    }
    // A text of several lines is easier to read as a list of them.
    let lines = body.as_str().filter(|text| text.contains('\n')).map(|text| text.lines().collect());
    answer["body"] = lines.unwrap_or(body);
    answer
}

/// As JSON where it is, else as text where it is.
pub(super) fn body_of(response: &Response) -> Value {
    if response.header("content-type") == Some("application/octet-stream") {
        assert!(!response.body.is_empty());
        return "bytes".into();
    }
    let is_json = response.header("content-type").is_some_and(|given| given.starts_with("application/json"));
    match is_json {
        true => serde_json::from_slice(&response.body).expect("a JSON body"),
        false => String::from_utf8(response.body.clone()).expect("text").into(),
    }
}

/// The file with the expected answers of a route.
pub(super) fn file_of_route(route: &RouteName) -> String {
    let path = if route.path.is_empty() { "unmatched" } else { route.path };
    let name = path.trim_matches('/').trim_end_matches(".json").replace('/', "-");
    format!("{}/{name}", route.api)
}

fn file_of(method: &str, path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let method: Method = method.parse().expect("a method");
    let position = match node::find(Faces::BOTH, "", path) {
        Some((position, _)) => route::NODE + position,
        None => match seatunnel::find("", Faces::BOTH, &method, path) {
            seatunnel::Match::Call(position, _) | seatunnel::Match::WrongMethod(position, _) => {
                route::SEATUNNEL + position
            }
            seatunnel::Match::Nothing => 0,
        },
    };
    file_of_route(&routes().nth(position).expect("a route"))
}
