//! Words that a sink's options hold for each table that it writes: `${table_name}` and the like (contract C.3, C.4).
//!
//! The original plans a sink once for each table, with these words replaced in its options. So does the planner here,
//! unless the options hold none of them, or the sink replaces them itself.

use crate::config::{Object, Value, ValueKind};
use crate::row::{ConstraintKind, TableSchema};

/// Options that are left alone: the words in them belong to the sink.
const LEFT_ALONE: [&str; 2] = ["save_mode_create_template", "plugin_name"];

/// Whether any option holds one of the words.
pub(super) fn holds_words(options: &Object) -> bool {
    let mut found = false;
    each_text(options, &mut |text| found |= words(text).any(|word| is_word(word.name)));
    found
}

fn each_text(options: &Object, look: &mut impl FnMut(&str)) {
    fn look_at(value: &Value, look: &mut impl FnMut(&str)) {
        match &value.kind {
            ValueKind::Text(text) => look(text),
            ValueKind::List(items) => items.iter().for_each(|item| look_at(item, look)),
            ValueKind::Object(object) => object.entries().iter().for_each(|entry| look_at(&entry.value, look)),
            ValueKind::Null | ValueKind::Boolean(_) | ValueKind::Number(_) => {}
        }
    }
    options
        .entries()
        .iter()
        .filter(|entry| !LEFT_ALONE.contains(&entry.key.as_ref()))
        .for_each(|entry| look_at(&entry.value, look));
}

/// The options with the words replaced for a table, and the words that stay because the table has nothing for them.
pub(super) fn filled(options: &Object, table: &TableSchema) -> (Object, Vec<String>) {
    let mut options = options.clone();
    let mut missing = Vec::new();
    for (key, value) in options.values_mut() {
        if !LEFT_ALONE.contains(&key) {
            fill(value, table, &mut missing);
        }
    }
    missing.sort();
    missing.dedup();
    (options, missing)
}

fn fill(value: &mut Value, table: &TableSchema, missing: &mut Vec<String>) {
    match &mut value.kind {
        ValueKind::Text(text) => {
            if let Some(text) = fill_text(text, table, missing) {
                value.kind = ValueKind::Text(text.into());
            }
        }
        ValueKind::List(items) => match list_of_columns(items, table) {
            Some(columns) => *items = columns,
            None => items.iter_mut().for_each(|item| fill(item, table, missing)),
        },
        ValueKind::Object(object) => object.values_mut().for_each(|(_, value)| fill(value, table, missing)),
        ValueKind::Null | ValueKind::Boolean(_) | ValueKind::Number(_) => {}
    }
}

/// What `["${primary_key}"]` stands for: the list of the columns, not one text with commas.
fn list_of_columns(items: &[Value], table: &TableSchema) -> Option<Vec<Value>> {
    let [Value { kind: ValueKind::Text(text), position }] = items else { return None };
    let word = words(text).next().filter(|word| word.length == text.len())?;
    let columns = columns_of(word.name, table)?;
    let item = |column: String| Value { kind: ValueKind::Text(column.into()), position: position.clone() };
    Some(columns.into_iter().map(item).collect())
}

/// The text with its words replaced; `None` when nothing changes.
fn fill_text(text: &str, table: &TableSchema, missing: &mut Vec<String>) -> Option<String> {
    let mut result = String::with_capacity(text.len());
    let mut copied = 0;
    for word in words(text).filter(|word| is_word(word.name)) {
        let value = value_of(word.name, table).filter(|value| !value.is_empty());
        let replacement = match (value, word.default) {
            (Some(value), _) => value,
            (None, Some(default)) => default.trim().to_owned(),
            // A table may have no database; a key that it has not cannot be left out in silence.
            (None, None) if is_part_of_the_path(word.name) => String::new(),
            (None, None) => {
                missing.push(word.name.to_owned());
                continue;
            }
        };
        result.push_str(&text[copied..word.start]);
        result.push_str(&replacement);
        copied = word.start + word.length;
    }
    if copied == 0 {
        return None;
    }
    result.push_str(&text[copied..]);
    Some(result)
}

/// `${name}` or `${name:default}` in a text.
struct Word<'t> {
    start: usize,
    length: usize,
    name: &'t str,
    default: Option<&'t str>,
}

fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text[from..].find("${")?;
        let length = text[start..].find('}')? + 1;
        from = start + length;
        let inside = &text[start + 2..start + length - 1];
        let (name, default) = inside.split_once(':').map_or((inside, None), |(name, default)| (name, Some(default)));
        Some(Word { start, length, name, default })
    })
}

fn is_word(name: &str) -> bool {
    crate::config::RESERVED_WORDS.contains(&name)
}

fn is_part_of_the_path(name: &str) -> bool {
    !matches!(name, "primary_key" | "unique_key" | "field_names")
}

fn value_of(name: &str, table: &TableSchema) -> Option<String> {
    let (database, schema) = (table.path.database.as_deref(), table.path.schema.as_deref());
    let joined = |parts: &[Option<&str>]| parts.iter().flatten().copied().collect::<Vec<_>>().join(".");
    match name {
        "database_name" => database.map(str::to_owned),
        "schema_name" => schema.map(str::to_owned),
        "table_name" => Some(table.path.table.to_string()),
        "schema_full_name" => Some(joined(&[database, schema])),
        "table_full_name" => Some(joined(&[database, schema, Some(&table.path.table)])),
        _ => columns_of(name, table).map(|columns| columns.join(",")),
    }
}

/// Columns of the primary key, of the first unique key, or all of them.
fn columns_of(name: &str, table: &TableSchema) -> Option<Vec<String>> {
    let texts = |names: &[Box<str>]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    match name {
        "primary_key" => table.primary_key.as_ref().map(|key| texts(&key.columns)),
        "unique_key" => {
            let key = table.constraint_keys.iter().find(|key| key.kind == ConstraintKind::Unique)?;
            Some(key.columns.iter().map(|(column, _)| column.to_string()).collect())
        }
        "field_names" => Some(table.columns.iter().map(|column| column.name.to_string()).collect()),
        _ => None,
    }
    .filter(|columns: &Vec<String>| !columns.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ReadOptions, Syntax, Unresolved, read_tree, render_json};
    use crate::row::{Column, ConstraintKey, DataType, PrimaryKey, TablePath};

    fn table(path: &str, keys: bool) -> TableSchema {
        let columns = ["id", "name", "age"].map(|name| Column::new(name, DataType::Int)).to_vec();
        let mut table = TableSchema::new(TablePath::parse(path, false).expect("a path"), columns);
        if keys {
            table.primary_key = Some(PrimaryKey { name: "pk".into(), columns: vec!["id".into(), "age".into()] });
            let columns = vec![("name".into(), None)];
            table.constraint_keys = vec![ConstraintKey { name: "u".into(), kind: ConstraintKind::Unique, columns }];
        }
        table
    }

    fn filled_json(text: &str, table: &TableSchema) -> (String, Vec<String>) {
        let read = ReadOptions { syntax: Syntax::Hocon, unresolved: Unresolved::Keep, ..ReadOptions::default() };
        let (tree, _) = read_tree(text, "t", &read).expect("read");
        assert!(holds_words(&tree), "{text}");
        let (filled, missing) = filled(&tree, table);
        (render_json(&filled, false), missing)
    }

    #[test]
    fn every_word_is_filled_in_with_the_tables_own() {
        let text = r#"a = "${database_name}/${schema_name}/${table_name}", b = "${schema_full_name}|${table_full_name}",
            c = "${primary_key};${unique_key};${field_names}", d { e = "x_${table_name}" }, f = ["${primary_key}"],
            g = ["${field_names}", "${table_name}"], h = ["${unique_key:none}"], i = 5, k = "${now} ${other:x}""#;
        assert_eq!(
            filled_json(text, &table("db.sc.t", true)),
            (
                r#"{"a":"db/sc/t","b":"db.sc|db.sc.t","c":"id,age;name;id,name,age","d":{"e":"x_t"},"f":["id","age"],"g":["id,name,age","t"],"h":["name"],"i":5,"k":"${now} ${other:x}"}"#
                    .to_owned(),
                Vec::new()
            )
        );
    }

    #[test]
    fn what_a_table_does_not_have_is_its_default_or_nothing_and_missing_keys_are_told() {
        let text = r#"a = "${database_name}_${schema_name: public }_${table_name:x}", b = "${primary_key:id}",
            c = ["${primary_key}"], d = "${unique_key}", e = "${schema_full_name:none}""#;
        assert_eq!(
            filled_json(text, &table("t", false)),
            (
                r#"{"a":"_public_t","b":"id","c":["${primary_key}"],"d":"${unique_key}","e":"none"}"#.to_owned(),
                vec!["primary_key".to_owned(), "unique_key".to_owned()]
            )
        );
    }

    #[test]
    fn the_template_of_a_table_keeps_its_words() {
        let read = ReadOptions { syntax: Syntax::Hocon, unresolved: Unresolved::Keep, ..ReadOptions::default() };
        let text = "save_mode_create_template = \"CREATE TABLE ${table_name}\"\nx = \"${y} ${ table_name\"";
        let (tree, _) = read_tree(text, "t", &read).expect("read");
        assert!(!holds_words(&tree));
    }
}
