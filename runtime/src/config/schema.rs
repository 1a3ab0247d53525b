//! The `schema` block (contract C.5).

use std::collections::HashSet;

use super::options::{OptionKind, OptionSpec, OptionTable, Options};
use super::problem::{Problem, Problems, nearest};
use super::render::render_json_value;
use super::types::parse_type;
use super::value::{Entry, Object, Value, ValueKind};
use crate::row::{Column, ConstraintKey, ConstraintKind, PrimaryKey, TablePath, TableSchema};

/// Message for a schema with both ways to list columns (contract C.5).
const FIELDS_AND_COLUMNS: &str =
    "Schema config can't contains both [fields] and [columns], please correct your config first";

/// Name of a primary key that has none.
const PRIMARY_KEY_NAME: &str = "primary_key";

/// The options of `schema`.
pub const SCHEMA_OPTIONS: OptionTable = &[
    OptionSpec::new("table", OptionKind::Text, "Path of the table: t, db.t or db.schema.t.").example("\"db.t\""),
    OptionSpec::new("schema_first", OptionKind::Boolean, "Whether a path of two parts is schema.table.")
        .default("false"),
    OptionSpec::new("comment", OptionKind::Text, "Free text about the table."),
    OptionSpec::new("fields", OptionKind::Object, "Columns by name, each with its type.")
        .example("{ id = bigint, name = string }"),
    OptionSpec::new("columns", OptionKind::ObjectList, "Columns with further properties, instead of fields.")
        .example("[ { name = id, type = bigint, nullable = false } ]"),
    OptionSpec::new("primaryKey", OptionKind::Object, "Primary key: name and columnNames.")
        .example("{ name = pk, columnNames = [id] }"),
    OptionSpec::new("constraintKeys", OptionKind::ObjectList, "Further keys.").example(
        "[ { constraintName = u, constraintType = UNIQUE_KEY, constraintColumns = [ { columnName = id } ] } ]",
    ),
];

const COLUMN_OPTIONS: OptionTable = &[
    OptionSpec::new("name", OptionKind::Text, "Name of the column.").required().example("id"),
    OptionSpec::new("type", OptionKind::Any, "Type of the column.").required().example("bigint"),
    OptionSpec::new("nullable", OptionKind::Boolean, "Whether the column may be null.").default("true"),
    OptionSpec::new("columnLength", OptionKind::COUNT, "Length of the column.").default("0"),
    OptionSpec::new(
        "columnScale",
        OptionKind::Integer { min: i32::MIN as i64, max: i32::MAX as i64 },
        "Scale of the column.",
    ),
    OptionSpec::new("defaultValue", OptionKind::Any, "Value that generators put into every row."),
    OptionSpec::new("comment", OptionKind::Text, "Free text about the column."),
];

const PRIMARY_KEY_OPTIONS: OptionTable = &[
    OptionSpec::new("name", OptionKind::Text, "Name of the key.").default(PRIMARY_KEY_NAME),
    OptionSpec::new("columnNames", OptionKind::TextList, "Columns of the key.")
        .aliases(&["columns"])
        .required()
        .example("[id]"),
];

const CONSTRAINT_OPTIONS: OptionTable = &[
    OptionSpec::new("constraintName", OptionKind::Text, "Name of the constraint.").required().example("u"),
    OptionSpec::new(
        "constraintType",
        OptionKind::OneOf(&["INDEX_KEY", "UNIQUE_KEY", "FOREIGN_KEY", "VECTOR_INDEX_KEY"]),
        "What it constrains.",
    )
    .required()
    .example("UNIQUE_KEY"),
    OptionSpec::new("constraintColumns", OptionKind::ObjectList, "Its columns.")
        .required()
        .example("[ { columnName = id } ]"),
];

const CONSTRAINT_COLUMN_OPTIONS: OptionTable = &[
    OptionSpec::new("columnName", OptionKind::Text, "Name of the column.").required().example("id"),
    OptionSpec::new("sortType", OptionKind::OneOf(&["ASC", "DESC"]), "Order of the column."),
];

/// What a schema is read for.
#[derive(Clone, Copy, Debug)]
pub struct SchemaContext<'c> {
    /// Name of the plugin, for the message about a wrong type.
    pub plugin: &'c str,
    /// Name of the block for messages, `source[0] FakeSource`.
    pub block: &'c str,
    /// Path of the table when the schema has none.
    pub default_path: &'c TablePath,
}

/// The schema in a block's options: `schema { ... }` together with flat spellings like `schema.fields { ... }` and
/// `schema.fields.a = int`.
pub fn schema_of(options: &Object) -> Option<Value> {
    let mut found: Option<(Object, &Value)> = None;
    for entry in options.entries() {
        let Some(rest) = entry.key.strip_prefix("schema") else { continue };
        match (rest.strip_prefix('.'), &entry.value.kind) {
            (Some(key), _) => {
                let (object, _) = found.get_or_insert_with(|| (Object::default(), &entry.value));
                insert_part(object, key, entry);
            }
            (None, _) if rest.is_empty() && entry.value.to_object().is_some() => {
                let Some(nested) = entry.value.to_object() else { continue };
                let (object, _) = found.get_or_insert_with(|| (Object::default(), &entry.value));
                for part in nested.entries() {
                    insert_part(object, &part.key, part);
                }
            }
            // Not an object: the reader of the schema says so.
            (None, kind) if rest.is_empty() && *kind != ValueKind::Null => return Some(entry.value.clone()),
            _ => {}
        }
    }
    found.map(|(object, first)| Value { kind: ValueKind::Object(object), position: first.position.clone() })
}

/// Puts a part of a schema where it belongs: `fields.a` is the field `a` (`fields.a.b` the field `a.b`, for names may
/// hold dots), and an object is added to what is there of it.
fn insert_part(schema: &mut Object, key: &str, entry: &Entry) {
    const NESTED: [&str; 2] = ["fields", "primaryKey"];
    let flat = NESTED.iter().find_map(|part| Some((*part, key.strip_prefix(part)?.strip_prefix('.')?)));
    let (part, inner) = match (flat, &entry.value.kind) {
        (Some((part, name)), _) => (part, vec![(name, entry)]),
        (None, ValueKind::Object(inner)) if NESTED.contains(&key) => {
            (key, inner.entries().iter().map(|entry| (entry.key.as_ref(), entry)).collect())
        }
        _ => {
            schema.insert(key, entry.key_position.clone(), entry.value.clone());
            return;
        }
    };
    if !matches!(schema.get_exact_mut(part), Some(Value { kind: ValueKind::Object(_), .. })) {
        let empty = Value { kind: ValueKind::Object(Object::default()), position: entry.value.position.clone() };
        schema.insert(part, entry.key_position.clone(), empty);
    }
    if let Some(Value { kind: ValueKind::Object(object), .. }) = schema.get_exact_mut(part) {
        for (name, entry) in inner {
            object.insert(name, entry.key_position.clone(), entry.value.clone());
        }
    }
}

/// Reads a schema block. One without `fields` and `columns` gives a table without columns: formats that carry their
/// own schema fill them in.
///
/// # Errors
/// With every error in the block; what is only odd goes to `warnings`.
pub fn parse_schema(
    schema: &Value,
    context: &SchemaContext<'_>,
    warnings: &mut Problems,
) -> Result<TableSchema, Problems> {
    let Some(object) = schema.to_object() else {
        let message = format!("expected an object, found {}", schema.kind_name());
        return Err(Problem::error(schema.position.clone(), message)
            .in_block(context.block)
            .of_option("schema")
            .into());
    };
    let mut problems = Problems::default();
    let options = Options::new(object, SCHEMA_OPTIONS);
    options.check(context.block, &schema.position, &[], &mut problems);
    let path = table_path(&options, context, &mut problems);
    let columns = match (options.value("fields"), options.value("columns")) {
        (Some(_), Some(columns)) => {
            problems.push(Problem::error(columns.position.clone(), FIELDS_AND_COLUMNS).in_block(context.block));
            Vec::new()
        }
        (Some(_), None) => fields(&options, context, &mut problems),
        (None, _) => listed_columns(&options, context, &mut problems),
    };
    let primary_key = primary_key(&options, context, &mut problems);
    let constraint_keys = constraint_keys(&options, context, &mut problems);
    check_keys(&columns, primary_key.as_ref(), &constraint_keys, schema, context, &mut problems);
    let (errors, odd) = problems.in_option("schema").split();
    warnings.append(odd);
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut table = TableSchema::new(path, columns);
    table.primary_key = primary_key;
    table.constraint_keys = constraint_keys;
    table.comment = options.text("comment").map(Into::into);
    Ok(table)
}

fn table_path(options: &Options<'_>, context: &SchemaContext<'_>, problems: &mut Problems) -> TablePath {
    let schema_first = options.boolean("schema_first").unwrap_or(false);
    let Some(text) = options.text("table") else { return context.default_path.clone() };
    TablePath::parse(text.trim(), schema_first).unwrap_or_else(|| {
        let message = format!("'{text}' is not the path of a table");
        let position = options.value("table").map(|value| value.position.clone());
        let problem = Problem::error(position, message).in_block(context.block).of_option("table");
        problems.push(problem.with_help("a path has one to three parts: t, db.t or db.schema.t"));
        context.default_path.clone()
    })
}

fn fields(options: &Options<'_>, context: &SchemaContext<'_>, problems: &mut Problems) -> Vec<Column> {
    let entries = options.nested("fields").map_or(&[][..], Object::entries);
    let mut columns = Vec::with_capacity(entries.len());
    for entry in entries {
        match parse_type(&entry.value, context.plugin, &entry.key) {
            Ok(data_type) => columns.push(Column::new(&entry.key, data_type)),
            Err(problem) => {
                problems.push(problem.in_block(context.block).of_option(format!("fields.{}", entry.key)));
            }
        }
    }
    columns
}

fn listed_columns(options: &Options<'_>, context: &SchemaContext<'_>, problems: &mut Problems) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    let mut names = HashSet::new();
    for (index, item) in options.objects("columns").unwrap_or_default().into_iter().enumerate() {
        let Some(object) = item.to_object() else { continue };
        let mut found = Problems::default();
        let column = Options::new(object, COLUMN_OPTIONS);
        column.check(context.block, &item.position, &[], &mut found);
        let name = column.text("name");
        let data_type =
            column.value("type").map(|value| parse_type(value, context.plugin, name.as_deref().unwrap_or_default()));
        if let Some(Err(problem)) = &data_type {
            found.push(problem.clone().in_block(context.block).of_option("type"));
        }
        if let Some(name) = name.as_ref().filter(|name| !names.insert((*name).clone())) {
            let message = format!("there is a column '{name}' already");
            found.push(Problem::error(item.position.clone(), message).in_block(context.block).of_option("name"));
        }
        problems.append(found.in_option(&format!("columns[{index}]")));
        if let (Some(name), Some(Ok(data_type))) = (name, data_type) {
            columns.push(Column {
                nullable: column.boolean("nullable").unwrap_or(true),
                default_value: column.value("defaultValue").map(text_of),
                comment: column.text("comment").map(Into::into),
                length: column.integer("columnLength").unwrap_or(0),
                scale: column.integer("columnScale").and_then(|scale| i32::try_from(scale).ok()),
                ..Column::new(&name, data_type)
            });
        }
    }
    columns
}

fn text_of(value: &Value) -> Box<str> {
    match value.to_text() {
        Some(text) => text.into(),
        None => render_json_value(value, false).into(),
    }
}

fn primary_key(options: &Options<'_>, context: &SchemaContext<'_>, problems: &mut Problems) -> Option<PrimaryKey> {
    let value = options.value("primaryKey")?;
    let key = Options::new(value.to_object()?, PRIMARY_KEY_OPTIONS);
    let mut found = Problems::default();
    key.check(context.block, &value.position, &[], &mut found);
    problems.append(found.in_option("primaryKey"));
    let columns = key.texts("columnNames")?.into_iter().map(Into::into).collect();
    Some(PrimaryKey { name: key.text("name").unwrap_or_else(|| PRIMARY_KEY_NAME.into()).into(), columns })
}

fn constraint_keys(options: &Options<'_>, context: &SchemaContext<'_>, problems: &mut Problems) -> Vec<ConstraintKey> {
    let items = options.objects("constraintKeys").unwrap_or_default();
    let keys = items.into_iter().enumerate().filter_map(|(index, item)| {
        let key = Options::new(item.to_object()?, CONSTRAINT_OPTIONS);
        let mut found = Problems::default();
        key.check(context.block, &item.position, &[], &mut found);
        let columns = key.objects("constraintColumns").unwrap_or_default();
        let columns: Vec<(Box<str>, Option<bool>)> = columns
            .into_iter()
            .filter_map(|column| {
                let position = &column.position;
                let column = Options::new(column.to_object()?, CONSTRAINT_COLUMN_OPTIONS);
                column.check(context.block, position, &[], &mut found);
                Some((column.text("columnName")?.into(), column.word("sortType").map(|word| word == "ASC")))
            })
            .collect();
        problems.append(found.in_option(&format!("constraintKeys[{index}]")));
        let kind = match key.word("constraintType")? {
            "INDEX_KEY" => ConstraintKind::Index,
            "UNIQUE_KEY" => ConstraintKind::Unique,
            "FOREIGN_KEY" => ConstraintKind::Foreign,
            _ => ConstraintKind::VectorIndex,
        };
        Some(ConstraintKey { name: key.text("constraintName")?.into(), kind, columns })
    });
    keys.collect()
}

/// Warns about keys over columns that are not there; where the columns come from the data nothing can be said.
fn check_keys(
    columns: &[Column],
    primary_key: Option<&PrimaryKey>,
    constraint_keys: &[ConstraintKey],
    schema: &Value,
    context: &SchemaContext<'_>,
    problems: &mut Problems,
) {
    if columns.is_empty() {
        return;
    }
    let names: HashSet<&str> = columns.iter().map(|column| column.name.as_ref()).collect();
    let of_primary = primary_key.into_iter().flat_map(|key| key.columns.iter().map(|name| ("primaryKey", name)));
    let of_constraints =
        constraint_keys.iter().flat_map(|key| key.columns.iter().map(|(name, _)| ("constraintKeys", name)));
    for (option, name) in of_primary.chain(of_constraints).filter(|(_, name)| !names.contains(name.as_ref())) {
        let position =
            schema.to_object().and_then(|object| object.entry(option)).map(|entry| entry.key_position.clone());
        let message = format!("there is no column '{name}' in this schema");
        let problem = Problem::warning(position, message).in_block(context.block).of_option(option);
        problems.push(match nearest(name, columns.iter().map(|column| column.name.as_ref())) {
            Some(near) => problem.with_help(format!("did you mean '{near}'?")),
            None => problem,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::{ReadOptions, Syntax, read_tree};
    use super::*;

    /// The schema of the first source of a config.
    fn read(source: &str) -> (Result<TableSchema, Problems>, Problems) {
        let text = format!("source {{ X {{ {source} }} }}");
        let options = ReadOptions { syntax: Syntax::Hocon, ..ReadOptions::default() };
        let (tree, _) = read_tree(&text, "t", &options).expect("a tree");
        let blocks = tree.get("source").and_then(Value::as_list).expect("blocks");
        let schema = schema_of(blocks[0].as_object().expect("options")).expect("a schema");
        let default_path = TablePath::parse("default.default.default", false).expect("a path");
        let context = SchemaContext { plugin: "X", block: "source[0] X", default_path: &default_path };
        let mut warnings = Problems::default();
        (parse_schema(&schema, &context, &mut warnings), warnings)
    }

    fn table(source: &str) -> TableSchema {
        let (table, warnings) = read(source);
        assert!(warnings.is_empty(), "{warnings}");
        table.unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn shown(table: &TableSchema) -> String {
        let columns: Vec<String> =
            table.columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
        format!("{}: {}", table.path, columns.join(", "))
    }

    fn errors(source: &str) -> Vec<String> {
        read(source).0.expect_err("errors").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn fields_become_columns_in_every_spelling() {
        let expected = "db.t: z BIGINT, a.b STRING, r ROW<x INT>";
        for source in [
            "schema = { table = \"db.t\"\n fields { z = bigint\n a.b = string, r = { x = int } } }",
            "schema.table = db.t\nschema.fields { z = bigint, a.b = string, r = \"{x = int}\" }",
            "schema { fields { z = bigint, a.b = string, r { x = int } } }\nschema.table = db.t",
            "schema.table = db.t\nschema.fields.z = bigint\nschema.fields.a.b = string\nschema.fields.r = { x = int }",
            "schema.table = db.t\nschema.fields { z = bigint }\nschema { fields.a.b = string, fields { r { x = int } } }",
        ] {
            assert_eq!(shown(&table(source)), expected, "{source}");
        }
        assert_eq!(shown(&table("schema { }")), "default.default.default: ");
        assert_eq!(table("schema { table = s.t, schema_first = true }").path.schema.as_deref(), Some("s"));
    }

    #[test]
    fn columns_carry_their_properties_and_keys() {
        let table = table(
            "schema { comment = c
              columns = [ { name = id, type = bigint, nullable = false, columnLength = 7, columnScale = 2, comment = k }
                          { name = d, type = \"decimal(5,2)\", defaultValue = 1.50 } ]
              primaryKey { name = pk, columnNames = [id] }
              constraintKeys = [ { constraintName = u, constraintType = unique_key
                constraintColumns = [ { columnName = d, sortType = desc }, { columnName = id } ] } ] }",
        );
        assert_eq!(table.comment.as_deref(), Some("c"));
        let id = &table.columns[0];
        assert_eq!((id.nullable, id.length, id.scale, id.comment.as_deref()), (false, 7, Some(2), Some("k")));
        assert_eq!(table.columns[1].default_value.as_deref(), Some("1.50"));
        assert_eq!(table.primary_key, Some(PrimaryKey { name: "pk".into(), columns: vec!["id".into()] }));
        let constraint = &table.constraint_keys[0];
        assert_eq!(constraint.kind, ConstraintKind::Unique);
        assert_eq!(constraint.columns, [("d".into(), Some(false)), ("id".into(), None)]);
    }

    #[test]
    fn all_mistakes_of_a_schema_are_told() {
        assert_eq!(
            errors("schema { fields { a = int }\n columns = [] }"),
            [
                "error: t:2:12: source[0] X, option 'schema': Schema config can't contains both [fields] and [columns], please correct your config first"
            ]
        );
        assert_eq!(
            errors("schema { table = a.b.c.d\n fields { a = strin, b = int, c = decimal } }"),
            [
                "error: t:1:31: source[0] X, option 'schema.table': 'a.b.c.d' is not the path of a table (help: a path has one to three parts: t, db.t or db.schema.t)",
                "error: t:2:15: source[0] X, option 'schema.fields.a': ErrorCode:[COMMON-07], ErrorDescription:['X' unsupported data type 'strin' of 'a'] (help: did you mean 'string'?)",
                "error: t:2:35: source[0] X, option 'schema.fields.c': ErrorCode:[COMMON-07], ErrorDescription:['X' unsupported data type 'decimal' of 'c'] (help: a decimal is written decimal(precision, scale))",
            ]
        );
        let found = errors(
            "schema { columns = [ { name = a }\n { name = b, type = int }\n { name = b, type = date, nullable = maybe } ]
              primaryKey { name = pk }\n constraintKeys = [ { constraintName = u, constraintType = UNIK_KEY } ] }",
        );
        for (found, expected) in found.iter().zip([
            "t:1:35: source[0] X, option 'schema.columns[0].type': is required",
            "t:3:38: source[0] X, option 'schema.columns[2].nullable': expected true or false, found 'maybe'",
            "t:3:2: source[0] X, option 'schema.columns[2].name': there is a column 'b' already",
            "option 'schema.primaryKey.columnNames': is required",
            "option 'schema.constraintKeys[0].constraintType': expected one of",
            "option 'schema.constraintKeys[0].constraintColumns': is required",
        ]) {
            assert!(found.contains(expected), "{found}\nexpected {expected}");
        }
        assert_eq!(found.len(), 6);
        assert!(errors("schema = [a]")[0].contains("expected an object, found a list"));
    }

    #[test]
    fn odd_schemas_are_warned_about() {
        let (table, warnings) =
            read("schema { field { a = int }\n fields { id = int }\n primaryKey { columnNames = [ids] } }");
        assert!(table.is_ok());
        let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            [
                "warning: t:1:23: source[0] X, option 'schema.field': is not an option here and has no effect (help: did you mean 'fields'?)",
                "warning: t:3:2: source[0] X, option 'schema.primaryKey': there is no column 'ids' in this schema (help: did you mean 'id'?)",
            ]
        );
    }
}
