//! Answers held against the description of the API.

use serde_json::Value;

use super::schema::{fits, resolved};
use crate::tests::client::Response;

/// What a node says of its API.
pub(super) struct Description(pub(super) Value);

impl Description {
    /// An answer has a status that is described for its operation, with the headers, type and fields that are.
    pub(super) fn check(&self, method: &str, path: &str, sent: &str, response: &Response, body: &Value) {
        let what = format!("{method} {path}: {}", response.status);
        let Some(operation) = self.operation(method, path) else {
            assert!((400..500).contains(&response.status), "{what} is not described");
            return self.check_fits(&what, &self.0["components"]["schemas"]["Error"], body);
        };
        let described = &operation["responses"][response.status.to_string()];
        assert!(!described.is_null(), "{what} is not described");
        let described = resolved(&self.0, described);
        for (header, says) in described["headers"].as_object().into_iter().flatten() {
            assert!(response.header(header).is_some() || says["required"] != true, "{what} has no {header}");
        }
        self.check_fits(&what, &content(described, response)["schema"], body);
        let payload = &operation["requestBody"]["content"]["application/json"]["schema"];
        if let (200, false, Ok(sent)) = (response.status, payload.is_null(), serde_json::from_str(sent)) {
            self.check_fits(&format!("what {what} was sent"), payload, &sent);
        }
    }

    fn check_fits(&self, what: &str, schema: &Value, value: &Value) {
        fits(&self.0, schema, value).unwrap_or_else(|error| panic!("{what} is not as described: {error}"));
    }

    /// The operation of a request: of the longest path that fits, with at most one parameter at its end.
    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap_or_default();
        let path = path.strip_suffix('/').unwrap_or(path);
        let fits = |described: &str| match described.split_once('{') {
            Some((begin, _)) => path.strip_prefix(begin).is_some_and(|argument| !argument.is_empty()),
            None => path == described,
        };
        let paths = self.0["paths"].as_object().expect("paths");
        let (_, item) =
            paths.iter().filter(|(described, _)| fits(described)).max_by_key(|(described, _)| described.len())?;
        item.get(method.to_ascii_lowercase())
    }
}

/// The description of a body, by its type: as it is, or without parameters.
fn content<'d>(described: &'d Value, response: &Response) -> &'d Value {
    let content = described["content"].as_object().expect("bodies are described");
    let given = response.header("content-type").expect("a type");
    let bare = |name: &str| name.split(';').next().unwrap_or_default().trim().to_owned();
    content
        .get(given)
        .or_else(|| content.iter().find(|(name, _)| bare(name) == bare(given)).map(|(_, body)| body))
        .unwrap_or_else(|| panic!("the type {given} is none of {:?}", content.keys()))
}
