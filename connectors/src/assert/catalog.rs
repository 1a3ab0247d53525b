//! Rules about what a table is, judged when the job is planned.

use egret_runtime::config::{Options, parse_type};
use egret_runtime::row::{ConstraintKey, ConstraintKind, TableSchema};

use super::options::{CATALOG_TABLE, COLUMN, CONSTRAINT_COLUMN, CONSTRAINT_KEY, PRIMARY_KEY, TABLE_IDENTIFIER};
use super::rules::Judge;

/// Judges `catalog_table_rule`.
pub(super) fn judge(rule: &egret_runtime::config::Value, table: &TableSchema, judge: &mut Judge<'_>) {
    let Some(options) = judge.options(rule, CATALOG_TABLE, "catalog_table_rule") else { return };
    if let Some(rule) = options.value("primary_key_rule") {
        primary_key(rule, table, judge);
    }
    if let Some(rules) = options.objects("constraint_key_rule") {
        constraint_keys(&rules, table, judge);
    }
    if let Some(rules) = options.objects("column_rule") {
        columns(&rules, table, judge);
    }
    if let Some(rule) = options.value("table_identifier_rule") {
        table_identifier(rule, table, judge);
    }
}

fn primary_key(rule: &egret_runtime::config::Value, table: &TableSchema, judge: &mut Judge<'_>) {
    let Some(options) = judge.options(rule, PRIMARY_KEY, "primary_key_rule") else { return };
    let path = &table.path;
    let Some(key) = &table.primary_key else {
        return judge.fail(rule, "primary_key_rule", format!("table '{path}': primaryKey is null"));
    };
    if let Some(name) = options.text("primary_key_name")
        && name != key.name.as_ref()
    {
        let message = format!("table '{path}': primaryKey: {} is not equal to {name}", key.name);
        judge.fail(rule, "primary_key_rule", message);
    }
    if let Some(mut wanted) = options.texts("primary_key_columns").filter(|columns| !columns.is_empty()) {
        let mut found: Vec<String> = key.columns.iter().map(ToString::to_string).collect();
        wanted.sort();
        found.sort();
        if wanted != found {
            let message = format!(
                "table '{path}': primaryKey columns: [{}] is not equal to [{}]",
                found.join(", "),
                wanted.join(", ")
            );
            judge.fail(rule, "primary_key_rule", message);
        }
    }
}

fn constraint_keys(rules: &[&egret_runtime::config::Value], table: &TableSchema, judge: &mut Judge<'_>) {
    let mut left: Vec<&ConstraintKey> = table.constraint_keys.iter().collect();
    for rule in rules {
        let Some(wanted) = wanted_key(rule, judge) else { continue };
        match left.iter().position(|key| **key == wanted) {
            Some(index) => {
                left.remove(index);
            }
            None => {
                let found = list(table.constraint_keys.iter().map(show_key));
                let message =
                    format!("table '{}': constraintKeys: {found} is not equal to {}", table.path, show_key(&wanted));
                judge.fail(rule, "constraint_key_rule", message);
            }
        }
    }
    if let (Some(rule), false) = (rules.first(), left.is_empty()) {
        let message =
            format!("table '{}': constraintKeys: {} has no rule", table.path, list(left.into_iter().map(show_key)));
        judge.fail(rule, "constraint_key_rule", message);
    }
}

fn wanted_key(rule: &egret_runtime::config::Value, judge: &mut Judge<'_>) -> Option<ConstraintKey> {
    let options = judge.options(rule, CONSTRAINT_KEY, "constraint_key_rule")?;
    let mut columns = Vec::new();
    for column in options.objects("constraint_key_columns")? {
        let column = judge.options(column, CONSTRAINT_COLUMN, "constraint_key_columns")?;
        let ascending = column.word("constraint_key_sort_type").map(|word| word == "ASC");
        columns.push((column.text("constraint_key_column_name")?.into(), ascending));
    }
    let kind = match options.word("constraint_key_type")? {
        "UNIQUE_KEY" => ConstraintKind::Unique,
        "FOREIGN_KEY" => ConstraintKind::Foreign,
        "VECTOR_INDEX_KEY" => ConstraintKind::VectorIndex,
        _ => ConstraintKind::Index,
    };
    Some(ConstraintKey { name: options.text("constraint_key_name")?.into(), kind, columns })
}

fn show_key(key: &ConstraintKey) -> String {
    let column = |(name, ascending): &(Box<str>, Option<bool>)| match ascending {
        Some(true) => format!("{name} ASC"),
        Some(false) => format!("{name} DESC"),
        None => name.to_string(),
    };
    format!("{:?} {} ({})", key.kind, key.name, key.columns.iter().map(column).collect::<Vec<_>>().join(", "))
}

fn columns(rules: &[&egret_runtime::config::Value], table: &TableSchema, judge: &mut Judge<'_>) {
    let mut named = Vec::new();
    for rule in rules {
        let Some(options) = judge.options(rule, COLUMN, "column_rule") else { continue };
        let name = options.text("name").unwrap_or_default();
        match judge.column(table, &name, options.value("name").unwrap_or(rule), "column_rule") {
            Some(index) => {
                named.push(index);
                column(rule, &options, table, index, judge);
            }
            None => continue,
        }
    }
    let without = table.columns.iter().enumerate().filter(|(index, _)| !named.contains(index));
    let without: Vec<String> = without.map(|(_, column)| column.name.to_string()).collect();
    if let (Some(rule), false) = (rules.first(), without.is_empty()) {
        let message = format!("table '{}': columns: {} has no rule", table.path, list(without));
        judge.fail(rule, "column_rule", message);
    }
}

/// What a column rule does not say is not judged.
fn column(
    rule: &egret_runtime::config::Value,
    options: &Options<'_>,
    table: &TableSchema,
    index: usize,
    judge: &mut Judge<'_>,
) {
    let column = &table.columns[index];
    let mut compare = |what: &str, found: String, wanted: Option<String>| {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
            let message =
                format!("table '{}': column '{}': {what} {found} is not equal to {wanted}", table.path, column.name);
            judge.fail(rule, "column_rule", message);
        }
    };
    let text = |text: &Option<Box<str>>| text.as_deref().unwrap_or("null").to_owned();
    compare(
        "column_length",
        column.length.to_string(),
        options.integer("column_length").map(|length| length.to_string()),
    );
    compare("nullable", column.nullable.to_string(), options.boolean("nullable").map(|nullable| nullable.to_string()));
    compare("default_value", text(&column.default_value), options.text("default_value"));
    compare("comment", text(&column.comment), options.text("comment"));
    let Some(written) = options.value("type") else { return };
    match parse_type(written, "Assert", &column.name) {
        Ok(wanted) if wanted == column.data_type => {}
        Ok(wanted) => compare("type", column.data_type.to_string(), Some(wanted.to_string())),
        Err(problem) => judge.problem(problem),
    }
}

fn table_identifier(rule: &egret_runtime::config::Value, table: &TableSchema, judge: &mut Judge<'_>) {
    let Some(options) = judge.options(rule, TABLE_IDENTIFIER, "table_identifier_rule") else { return };
    if let Some(catalog) = options.value("catalog_name") {
        judge.warn(catalog, "catalog_name", "tables have no catalog here: it is not judged");
    }
    let (found, wanted) = (table.path.to_string(), options.text("table").unwrap_or_default());
    if found != wanted {
        judge.fail(rule, "table_identifier_rule", format!("tableIdentifier: {found} is not equal to {wanted}"));
    }
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}
