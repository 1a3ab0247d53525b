//! How a node that asks who is there describes that.

use serde_json::{Value, json};

use crate::auth::AuthSettings;

use super::operations;

/// Paths that are answered to everybody.
const OPEN: &str = "/hazelcast/health";

/// Adds to the description what requests must bring along, where they must.
pub(super) fn describe(document: &mut Value, auth: &AuthSettings) {
    if !auth.is_on() {
        return;
    }
    let (mut schemes, mut one_of) = (json!({}), Vec::new());
    let mut add = |name: &str, scheme: &str| {
        schemes[name] = json!({"type": "http", "scheme": scheme});
        one_of.push(json!({name: []}));
    };
    if auth.user.is_some() {
        add("user", "basic");
    }
    if auth.token.is_some() {
        add("token", "bearer");
    }
    document["components"]["securitySchemes"] = schemes;
    document["security"] = one_of.into();
    let challenge = json!({"WWW-Authenticate": {
        "description": "How to say who asks.", "required": true, "schema": {"type": "string"},
    }});
    document["components"]["responses"]["Unauthorized"] =
        operations::error("The request does not say who asks, or wrongly.", challenge);
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for (path, item) in paths {
        for operation in item.as_object_mut().into_iter().flat_map(|item| item.values_mut()) {
            if path.starts_with(OPEN) {
                operation["security"] = json!([]);
            } else {
                operation["responses"]["401"] = json!({"$ref": "#/components/responses/Unauthorized"});
            }
        }
    }
}
