//! As much of JSON Schema as the description of the API uses. A keyword that is not known here fails the test, so that
//! nothing in the description goes unchecked.

use regex::Regex;
use serde_json::{Map, Value};

/// Keywords that say nothing about which values fit.
const ANNOTATIONS: [&str; 5] = ["description", "default", "examples", "format", "contentMediaType"];

/// Whether a value fits a schema of a document.
///
/// # Errors
/// With where it does not, and why.
pub(super) fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    Check { document }.value(schema, value).map_err(|error| format!("{error}: {value:#}"))
}

/// What a reference into the document leads to.
pub(super) fn resolved<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("a reference into the document");
            document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => schema,
    }
}

struct Check<'d> {
    document: &'d Value,
}

impl Check<'_> {
    fn value(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let schema = resolved(self.document, schema);
        let Some(keywords) = schema.as_object() else { return Err(format!("{schema} is no schema")) };
        for (keyword, says) in keywords {
            self.keyword(keywords, keyword, says, value).map_err(|error| format!("{keyword}: {error}"))?;
        }
        Ok(())
    }

    fn keyword(&self, all: &Map<String, Value>, keyword: &str, says: &Value, value: &Value) -> Result<(), String> {
        let list = || says.as_array().expect("a list");
        match keyword {
            "type" => holds(is_of_type(says, value), || format!("is no {says}")),
            "const" => holds(value == says, || format!("is not {says}")),
            "enum" => holds(list().contains(value), || format!("is none of {says}")),
            "pattern" => {
                let pattern = Regex::new(says.as_str().expect("text")).expect("a pattern");
                holds(value.as_str().is_none_or(|text| pattern.is_match(text)), || format!("does not match {says}"))
            }
            "minimum" => holds(value.as_f64() >= says.as_f64(), || format!("is less than {says}")),
            "minItems" => holds(value.as_array().map(|items| items.len() as u64) >= says.as_u64(), || {
                format!("fewer than {says}")
            }),
            "items" => self.each(value.as_array().into_iter().flatten().map(|item| (says, item))),
            "required" => {
                let missing = |key: &&Value| value.get(key.as_str().expect("a key")).is_none();
                let missing: Vec<&Value> = list().iter().filter(missing).collect();
                holds(missing.is_empty(), || format!("{missing:?} not there"))
            }
            "properties" => self.each(fields(value).filter_map(|(key, field)| Some((says.get(key)?, field)))),
            "additionalProperties" => self.others(all, says, value),
            "allOf" => self.each(list().iter().map(|schema| (schema, value))),
            "anyOf" => {
                let errors: Vec<String> = list().iter().filter_map(|schema| self.value(schema, value).err()).collect();
                holds(errors.len() < list().len(), || errors.join("; "))
            }
            _ => holds(ANNOTATIONS.contains(&keyword), || "is not known to this test".to_owned()),
        }
    }

    /// Fields that `properties` does not name.
    fn others(&self, all: &Map<String, Value>, says: &Value, value: &Value) -> Result<(), String> {
        let named = |key: &str| all.get("properties").is_some_and(|properties| properties.get(key).is_some());
        let mut others = fields(value).filter(|(key, _)| !named(key));
        match says.as_bool() {
            Some(true) => Ok(()),
            Some(false) => others.next().map_or(Ok(()), |(key, _)| Err(format!("'{key}' is not described"))),
            None => self.each(others.map(|(_, field)| (says, field))),
        }
    }

    fn each<'v>(&self, mut pairs: impl Iterator<Item = (&'v Value, &'v Value)>) -> Result<(), String> {
        pairs.try_for_each(|(schema, value)| self.value(schema, value))
    }
}

fn holds(fits: bool, error: impl FnOnce() -> String) -> Result<(), String> {
    if fits { Ok(()) } else { Err(error()) }
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// `type` is a name or a list of names.
fn is_of_type(says: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().expect("a name") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("'{other}' is no type"),
    };
    says.as_array().map_or_else(|| is(says), |names| names.iter().any(is))
}

#[test]
fn values_that_do_not_fit_are_found() {
    use serde_json::json;
    let document = json!({"defs": {"n": {"type": "integer", "minimum": 1}}});
    let schema = json!({
        "type": "object",
        "properties": {
            "a": {"$ref": "#/defs/n"},
            "b": {"type": ["string", "null"], "pattern": "^[a-z]+$"},
            "c": {"type": "array", "minItems": 1, "items": {"enum": [1, "x"]}},
            "d": {"anyOf": [{"const": true}, {"allOf": [{"type": "object"}, {"required": ["e"]}]}]},
        },
        "required": ["a"],
        "additionalProperties": false,
    });
    for good in [json!({"a": 1}), json!({"a": 2, "b": null, "c": [1, "x"], "d": {"e": 0}}), json!({"a": 1, "d": true})]
    {
        assert_eq!(fits(&document, &schema, &good), Ok(()));
    }
    for bad in [
        json!([]),
        json!({}),
        json!({"a": 0}),
        json!({"a": 1.5}),
        json!({"a": 1, "b": "B"}),
        json!({"a": 1, "b": 3}),
        json!({"a": 1, "c": []}),
        json!({"a": 1, "c": [2]}),
        json!({"a": 1, "d": {}}),
        json!({"a": 1, "x": 1}),
    ] {
        assert!(fits(&document, &schema, &bad).is_err(), "{bad}");
    }
    assert!(fits(&document, &json!({"maxLength": 3}), &json!("a")).is_err(), "a keyword that is not looked at");
    let counts = json!({"additionalProperties": {"type": "string"}});
    assert!(
        fits(&document, &counts, &json!({"a": "1"})).is_ok() && fits(&document, &counts, &json!({"a": 1})).is_err()
    );
}
