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

/// Writes an object as JSON for people: an entry a line, two blanks a level.
pub fn render_json_pretty(object: &Object) -> String {
    let mut text = String::new();
    write_pretty(&mut text, &ValueKind::Object(object.clone()), 0);
    text.push('\n');
    text
}

fn write_pretty(text: &mut String, kind: &ValueKind, level: usize) {
    let indent = |text: &mut String, level: usize| {
        text.push('\n');
        text.push_str(&"  ".repeat(level));
    };
    match kind {
        ValueKind::Object(object) if !object.is_empty() => {
            text.push('{');
            for (index, entry) in object.entries().iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                indent(text, level + 1);
                write_text(text, &entry.key);
                text.push_str(": ");
                write_pretty(text, &entry.value.kind, level + 1);
            }
            indent(text, level);
            text.push('}');
        }
        ValueKind::List(items) if items.iter().any(|item| item.to_text().is_none() && !item.is_null()) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                indent(text, level + 1);
                write_pretty(text, &item.kind, level + 1);
            }
            indent(text, level);
            text.push(']');
        }
        _ => write_kind(text, kind, false),
    }
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
    write_kind(text, &value.kind, mask_secrets);
}

fn write_kind(text: &mut String, kind: &ValueKind, mask_secrets: bool) {
    match kind {
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

#[cfg(test)]
mod tests {
    use super::super::read::{ReadOptions, Syntax, read_tree};
    use super::*;

    #[test]
    fn people_get_a_line_for_each_entry_and_short_lists_on_one() {
        let options = ReadOptions { syntax: Syntax::Hocon, ..ReadOptions::default() };
        let text = "a { b = 1.10, c = [1, x], d {} }\ne = [{f = null}, []]";
        let (tree, _) = read_tree(text, "t", &options).expect("read");
        let pretty = render_json_pretty(&tree);
        assert_eq!(
            pretty,
            "{\n  \"a\": {\n    \"b\": 1.10,\n    \"c\": [1,\"x\"],\n    \"d\": {}\n  },\n  \"e\": [\n    {\n      \"f\": null\n    },\n    []\n  ]\n}\n"
        );
        assert_eq!(read_tree(&pretty, "t", &ReadOptions { syntax: Syntax::Json, ..options }).expect("read").0, tree);
    }
}
