//! The options of Assert, object by object (contract D.3).

use egret_runtime::config::{OptionKind, OptionSpec, OptionTable};

const ROW_RULES: OptionSpec = OptionSpec::new(
    "row_rules",
    OptionKind::ObjectList,
    "Bounds of the number of rows, each `{rule_type, rule_value}`.",
)
.example("[ { rule_type = MAX_ROW, rule_value = 10 } ]");

const FIELD_RULES: OptionSpec = OptionSpec::new(
    "field_rules",
    OptionKind::ObjectList,
    "What every row must hold, each `{field_name, field_type, field_value}`.",
)
.example("[ { field_name = id, field_type = int, field_value = [ { rule_type = NOT_NULL } ] } ]");

const CATALOG_TABLE_RULE: OptionSpec = OptionSpec::new(
    "catalog_table_rule",
    OptionKind::Object,
    "What the table must be: `primary_key_rule`, `constraint_key_rule`, `column_rule`, `table_identifier_rule`.",
)
.example("{ primary_key_rule { primary_key_columns = [id] } }");

pub(super) const OPTIONS: OptionTable =
    &[OptionSpec::new("rules", OptionKind::Object, "The rules, see below; a rule that does not hold fails the job.")
        .required()
        .example("{ row_rules = [ { rule_type = MIN_ROW, rule_value = 1 } ] }")];

/// `rules`
pub(super) const RULES: OptionTable = &[
    ROW_RULES,
    FIELD_RULES,
    CATALOG_TABLE_RULE,
    OptionSpec::new("table-names", OptionKind::TextList, "Paths of the tables that arrive, all of them, in any order.")
        .aliases(&["table_names"])
        .example("[\"db.a\", \"db.b\"]"),
    OptionSpec::new(
        "tables_configs",
        OptionKind::ObjectList,
        "Rules for each table by itself: `table_path` with `row_rules`, `field_rules`, `catalog_table_rule`. The \
         rules outside then have no effect.",
    )
    .example("[ { table_path = \"db.a\", row_rules = [ { rule_type = MIN_ROW, rule_value = 1 } ] } ]"),
];

/// An entry of `tables_configs`.
pub(super) const TABLE: OptionTable = &[
    OptionSpec::new("table_path", OptionKind::Text, "Path of the table.").required().example("\"db.a\""),
    ROW_RULES,
    FIELD_RULES,
    CATALOG_TABLE_RULE,
];

/// An entry of `row_rules`.
pub(super) const ROW_RULE: OptionTable = &[
    OptionSpec::new("rule_type", OptionKind::OneOf(&["MAX_ROW", "MIN_ROW"]), "Which bound it is.")
        .required()
        .example("MAX_ROW"),
    OptionSpec::new("rule_value", OptionKind::Number, "The bound itself, summed over all parallel writers.")
        .required()
        .example("10"),
];

/// An entry of `field_rules`.
pub(super) const FIELD_RULE: OptionTable = &[
    OptionSpec::new("field_name", OptionKind::Text, "Name of the column.").required().example("id"),
    OptionSpec::new("field_type", OptionKind::Any, "Type that the values must have.").example("\"array<int>\""),
    OptionSpec::new("field_value", OptionKind::ObjectList, "What its values must be; all of them must hold.")
        .example("[ { rule_type = NOT_NULL } ]"),
];

/// An entry of `field_value`.
pub(super) const FIELD_VALUE: OptionTable = &[
    OptionSpec::new(
        "rule_type",
        OptionKind::OneOf(&["NOT_NULL", "NULL", "MIN", "MAX", "MIN_LENGTH", "MAX_LENGTH"]),
        "What holds: null or not, bounds of numbers, bounds of the text's length.",
    )
    .example("NOT_NULL"),
    OptionSpec::new("rule_value", OptionKind::Number, "The bound, for all types but NULL and NOT_NULL.").example("5"),
    OptionSpec::new(
        "equals_to",
        OptionKind::Any,
        "The one value that the column may have beside null, written as in `rows` of FakeSource.",
    )
    .example("\"a\""),
];

/// `catalog_table_rule`
pub(super) const CATALOG_TABLE: OptionTable = &[
    OptionSpec::new("primary_key_rule", OptionKind::Object, "The primary key.")
        .example("{ primary_key_name = pk, primary_key_columns = [id] }"),
    OptionSpec::new("constraint_key_rule", OptionKind::ObjectList, "All further keys, in any order.").example(
        "[ { constraint_key_name = u, constraint_key_type = UNIQUE_KEY, constraint_key_columns = [ { \
         constraint_key_column_name = id, constraint_key_sort_type = ASC } ] } ]",
    ),
    OptionSpec::new("column_rule", OptionKind::ObjectList, "All columns, in any order.")
        .example("[ { name = id, type = bigint } ]"),
    OptionSpec::new("table_identifier_rule", OptionKind::Object, "The path of the table.")
        .example("{ table = \"db.a\" }"),
];

pub(super) const PRIMARY_KEY: OptionTable = &[
    OptionSpec::new("primary_key_name", OptionKind::Text, "Name of the key.").example("pk"),
    OptionSpec::new("primary_key_columns", OptionKind::TextList, "Columns of the key, in any order.").example("[id]"),
];

pub(super) const CONSTRAINT_KEY: OptionTable = &[
    OptionSpec::new("constraint_key_name", OptionKind::Text, "Name of the key.").required().example("u"),
    OptionSpec::new(
        "constraint_key_type",
        OptionKind::OneOf(&["INDEX_KEY", "UNIQUE_KEY", "FOREIGN_KEY", "VECTOR_INDEX_KEY"]),
        "What it constrains.",
    )
    .required()
    .example("UNIQUE_KEY"),
    OptionSpec::new("constraint_key_columns", OptionKind::ObjectList, "Its columns in order.")
        .required()
        .example("[ { constraint_key_column_name = id } ]"),
];

pub(super) const CONSTRAINT_COLUMN: OptionTable = &[
    OptionSpec::new("constraint_key_column_name", OptionKind::Text, "Name of the column.").required().example("id"),
    OptionSpec::new("constraint_key_sort_type", OptionKind::OneOf(&["ASC", "DESC"]), "Order of the column."),
];

pub(super) const COLUMN: OptionTable = &[
    OptionSpec::new("name", OptionKind::Text, "Name of the column.").required().example("id"),
    OptionSpec::new("type", OptionKind::Any, "Its type.").example("bigint"),
    OptionSpec::new("column_length", OptionKind::INTEGER, "Its columnLength."),
    OptionSpec::new("nullable", OptionKind::Boolean, "Whether it may be null."),
    OptionSpec::new("default_value", OptionKind::Text, "Its defaultValue."),
    OptionSpec::new("comment", OptionKind::Text, "Its comment."),
];

pub(super) const TABLE_IDENTIFIER: OptionTable = &[
    OptionSpec::new("catalog_name", OptionKind::Text, "Name of a catalog; tables have none here, so it is not judged."),
    OptionSpec::new("table", OptionKind::Text, "Path of the table.")
        .aliases(&["table_path"])
        .required()
        .example("\"db.a\""),
];
