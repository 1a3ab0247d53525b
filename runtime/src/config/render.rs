//! Trees back to JSON text.

use super::cursor::is_json_number;
use super::value::{Object, SECRET_MASK, Value, ValueKind, is_secret_key};

/// Writes an object as JSON without blanks, numbers with the digits that the config had. With `mask_secrets`, what
/// stands under the key of a secret is replaced by [`SECRET_MASK`].
pub fn render_json(object: &Object, mask_secrets: bool) -> String {
    let mut text = String::new();
    write_object(&mut text, object, mask_secrets);
    text
}

/// Writes any value as [`render_json`] does.
pub fn render_json_value(value: &Value, mask_secrets: bool) -> String {
    let mut text = String::new();
    write_value(&mut text, value, mask_secrets);
    text
}

fn write_object(text: &mut String, object: &Object, mask_secrets: bool) {
    text.push('{');
    for (index, entry) in object.entries().iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_text(text, &entry.key);
        text.push(':');
        if mask_secrets && is_secret_key(&entry.key) && !entry.value.is_null() {
            write_text(text, SECRET_MASK);
        } else {
            write_value(text, &entry.value, mask_secrets);
        }
    }
    text.push('}');
}

fn write_value(text: &mut String, value: &Value, mask_secrets: bool) {
    match &value.kind {
        ValueKind::Null => text.push_str("null"),
        ValueKind::Boolean(boolean) => text.push_str(if *boolean { "true" } else { "false" }),
        ValueKind::Number(number) if is_json_number(number) => text.push_str(number),
        ValueKind::Number(other) => write_text(text, other),
        ValueKind::Text(other) => write_text(text, other),
        ValueKind::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_value(text, item, mask_secrets);
            }
            text.push(']');
        }
        ValueKind::Object(object) => write_object(text, object, mask_secrets),
    }
}

fn write_text(text: &mut String, content: &str) {
    text.push('"');
    for next in content.chars() {
        match next {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if control < ' ' => text.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => text.push(other),
        }
    }
    text.push('"');
}
