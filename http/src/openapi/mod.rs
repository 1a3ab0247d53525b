//! The description of the API at `/openapi.json`, made from the tables of routes when it is first asked for.

mod operations;
mod security;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use egret_runtime::shard::run_blocking;
use serde_json::{Map, Value, json};

use crate::auth::AuthSettings;
use crate::node::{self, Node, Scope};
use crate::reply::Reply;
use crate::route::Verb;
use crate::seatunnel::{self, Face, SeaTunnelSettings};

use operations::Operation;

/// Schemas of bodies, by name.
const SCHEMAS: &str = include_str!("schemas.json");

/// The description of a node, which few ask for: it takes milliseconds and 100 KB, which a start need not wait for.
#[derive(Debug)]
pub(crate) struct Description {
    settings: SeaTunnelSettings,
    auth: AuthSettings,
    rendered: OnceLock<Bytes>,
}

impl Description {
    /// The description of a node with these settings.
    pub(crate) fn new(settings: &SeaTunnelSettings, auth: &AuthSettings) -> Arc<Self> {
        Arc::new(Self { settings: settings.clone(), auth: auth.clone(), rendered: OnceLock::new() })
    }

    /// Answers with it. The first time it is made, on a thread where that holds nobody up.
    pub(crate) async fn answer(self: &Arc<Self>) -> Reply {
        if let Some(rendered) = self.rendered.get() {
            return Reply::json(rendered.clone());
        }
        let description = self.clone();
        let render =
            move || description.rendered.get_or_init(|| render(&description.settings, &description.auth)).clone();
        match run_blocking(render).await {
            Ok(rendered) => Reply::json(rendered),
            Err(error) => Reply::busy(&error.to_string()),
        }
    }
}

/// Renders the description of both faces.
pub(crate) fn render(settings: &SeaTunnelSettings, auth: &AuthSettings) -> Bytes {
    let mut document = document(settings);
    security::describe(&mut document, auth);
    document.to_string().into()
}

fn document(settings: &SeaTunnelSettings) -> Value {
    // The text is part of the program, and a test reads it.
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Egret",
            "version": Node::VERSION,
            "description": "SeaTunnel's REST API over the jobs of this node, in its first (v1) and second (v2) generation.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths(settings),
        "components": {
            "schemas": schemas,
            "responses": {"Error": operations::error("The request is refused; the message says why.", json!({}))},
        },
    })
}

fn paths(settings: &SeaTunnelSettings) -> Value {
    let mut paths = Map::new();
    let mut add = |path: String, method: &str, operation: Value| {
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[method] = operation;
    };
    for (face, base) in [(Face::V1, seatunnel::v1::PREFIX), (Face::V2, &*format!("{}/", settings.context_path))] {
        for route in &seatunnel::ROUTES {
            for operation in Operation::of_seatunnel(route.endpoint, face, settings) {
                let path = format!("{base}{}{}", route.path, operation.argument());
                let methods: &[&str] = match (route.verb, face) {
                    (Verb::Get, _) => &["get"],
                    (Verb::Post, Face::V1) => &["post", "put"],
                    (Verb::Post, Face::V2) => &["post"],
                };
                methods.iter().for_each(|method| add(path.clone(), method, operation.render(method, &path)));
            }
        }
    }
    for route in &node::ROUTES {
        let context = if route.scope == Scope::V2 { &*settings.context_path } else { "" };
        for operation in Operation::of_node(route.endpoint) {
            let path = format!("{context}{}{}", route.path, operation.argument());
            let method = match route.endpoint.verb() {
                Verb::Get => "get",
                Verb::Post => "post",
            };
            add(path.clone(), method, operation.render(method, &path));
        }
    }
    Value::Object(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Faces;
    use http::Method;
    use std::collections::BTreeSet;

    fn settings(context_path: &str) -> SeaTunnelSettings {
        SeaTunnelSettings { context_path: context_path.into(), ..SeaTunnelSettings::default() }
    }

    /// A path with something in place of its parameters.
    fn filled(path: &str) -> String {
        path.replace("{jobId}", "7").replace("{state}", "FINISHED").replace("{part}", "ready")
    }

    #[test]
    fn every_route_is_described_and_everything_described_is_a_route() {
        for context in ["", "/ctx"] {
            let settings = settings(context);
            let document = document(&settings);
            let (mut seatunnel_found, mut node_found) = (BTreeSet::new(), BTreeSet::new());
            for (path, item) in document["paths"].as_object().expect("paths") {
                for method in item.as_object().expect("operations").keys() {
                    let method: Method = method.to_uppercase().parse().expect("a method");
                    let path = filled(path);
                    if let Some((position, _)) = node::find(Faces::BOTH, context, &path) {
                        assert_eq!(method == Method::POST, node::ROUTES[position].endpoint.verb() == Verb::Post);
                        node_found.insert(position);
                        continue;
                    }
                    match seatunnel::find(context, Faces::BOTH, &method, &path) {
                        seatunnel::Match::Call(position, _) => _ = seatunnel_found.insert(position),
                        other => panic!("{method} {path} is described and is no route: {other:?}"),
                    }
                }
            }
            let missing: Vec<_> = (0..2 * seatunnel::ROUTES.len()).filter(|at| !seatunnel_found.contains(at)).collect();
            assert!(missing.is_empty(), "routes {missing:?} of SeaTunnel's API are not described");
            assert_eq!(node_found.len(), node::ROUTES.len(), "a route of the node is not described");
        }
    }

    #[test]
    fn every_schema_that_is_named_exists_and_is_used() {
        let document = document(&settings(""));
        let mut named = BTreeSet::new();
        collect_references(&document, &mut named);
        for reference in &named {
            let pointer = reference.strip_prefix('#').expect("a reference into the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        for schema in document["components"]["schemas"].as_object().expect("schemas").keys() {
            assert!(named.contains(&format!("#/components/schemas/{schema}")), "{schema} is not used");
        }
    }

    fn collect_references(value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                into.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
                object.values().for_each(|value| collect_references(value, into));
            }
            Value::Array(items) => items.iter().for_each(|item| collect_references(item, into)),
            _ => {}
        }
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let document = document(&settings(""));
        let items = document["paths"].as_object().expect("paths").values();
        let names: Vec<&str> = items
            .flat_map(|item| item.as_object().expect("operations").values())
            .map(|operation| operation["operationId"].as_str().expect("a name"))
            .collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn ids_are_described_in_the_form_that_they_have() {
        let schema = |settings: &SeaTunnelSettings, path: &str| {
            let document = document(settings);
            document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].clone()
        };
        let (v1, v2) = ("/hazelcast/rest/maps/stop-job", "/stop-job");
        assert_eq!(schema(&settings(""), v1), "#/components/schemas/StoppedNumber");
        assert_eq!(schema(&settings(""), v2), "#/components/schemas/Stopped");
        let texts = SeaTunnelSettings { v1_ids: seatunnel::IdForm::Text, ..settings("") };
        assert_eq!(schema(&texts, v1), "#/components/schemas/Stopped");
    }
}
