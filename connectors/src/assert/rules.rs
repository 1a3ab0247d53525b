//! From options to rules. What the plan can judge is judged here.

use std::sync::Arc;

use egret_runtime::config::{OptionTable, Options, Problem, Problems, Severity, Value, nearest, parse_type};
use egret_runtime::plugin::PlanContext;
use egret_runtime::row::literal::Literals;
use egret_runtime::row::{Column, DataType, TableSchema};

use super::catalog;
use super::field::{Check, FieldRule};
use super::options::{FIELD_RULE, FIELD_VALUE, ROW_RULE, RULES, TABLE};

/// A bound of the number of rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RowRule {
    pub(super) most: bool,
    pub(super) bound: f64,
    /// The rule as the config says it: `MAX_ROW 10`.
    pub(super) text: String,
}

impl RowRule {
    pub(super) fn holds(&self, rows: u64) -> bool {
        if self.most { rows as f64 <= self.bound } else { rows as f64 >= self.bound }
    }
}

/// The rules of one table that rows are needed for.
#[derive(Debug, Default)]
pub(super) struct TableRules {
    pub(super) rows: Vec<RowRule>,
    pub(super) fields: Vec<FieldRule>,
}

/// Gathers what is wrong with the rules or with the tables that they judge.
pub(super) struct Judge<'a> {
    context: &'a PlanContext,
    problems: Problems,
    warnings: &'a mut Problems,
}

/// The rules for each of the inputs.
pub(super) fn read(
    options: &Options<'_>,
    inputs: &[Arc<TableSchema>],
    context: &PlanContext,
    warnings: &mut Problems,
) -> Result<Vec<TableRules>, Problems> {
    let mut judge = Judge { context, problems: Problems::default(), warnings };
    let mut tables: Vec<TableRules> = inputs.iter().map(|_| TableRules::default()).collect();
    let Some(value) = options.value("rules") else {
        return Err(context.error("is required but not given").of_option("rules").into());
    };
    if let Some(rules) = judge.options(value, RULES, "rules") {
        if rules.table_options_given() == 0 && !rules.is_given("table-names") && !rules.is_given("tables_configs") {
            judge.fail(value, "rules", "rule config is empty, please add rule config".into());
        }
        if let Some(names) = rules.texts("table-names") {
            table_names(&rules, names, inputs, &mut judge);
        }
        match rules.objects("tables_configs") {
            Some(entries) => {
                for entry in entries {
                    one_table(entry, inputs, &mut tables, &mut judge);
                }
                for option in ["row_rules", "field_rules", "catalog_table_rule"] {
                    if let Some(value) = rules.value(option) {
                        judge.warn(value, option, "has no effect beside 'tables_configs'");
                    }
                }
            }
            None => {
                for (table, found) in inputs.iter().zip(&mut tables) {
                    *found = table_rules(&rules, table, &mut judge);
                }
            }
        }
    }
    if judge.problems.has_errors() { Err(judge.problems) } else { Ok(tables) }
}

/// Counting the options of a table that are given.
trait TableOptions {
    fn table_options_given(&self) -> usize;
}

impl TableOptions for Options<'_> {
    fn table_options_given(&self) -> usize {
        ["row_rules", "field_rules", "catalog_table_rule"].iter().filter(|name| self.is_given(name)).count()
    }
}

fn table_names(rules: &Options<'_>, mut names: Vec<String>, inputs: &[Arc<TableSchema>], judge: &mut Judge<'_>) {
    let mut found: Vec<String> = inputs.iter().map(|table| table.path.to_string()).collect();
    found.sort();
    found.dedup();
    names.sort();
    names.dedup();
    if let (true, Some(value)) = (found != names, rules.value("table-names")) {
        let message = format!("table names: [{}] is not equal to [{}]", found.join(", "), names.join(", "));
        judge.fail(value, "table-names", message);
    }
}

fn one_table(entry: &Value, inputs: &[Arc<TableSchema>], tables: &mut [TableRules], judge: &mut Judge<'_>) {
    let Some(options) = judge.options(entry, TABLE, "tables_configs") else { return };
    let path = options.text("table_path").unwrap_or_default();
    let mut found = false;
    for (table, rules) in inputs.iter().zip(tables) {
        if table.path.to_string() == path {
            found = true;
            let more = table_rules(&options, table, judge);
            rules.rows.extend(more.rows);
            rules.fields.extend(more.fields);
        }
    }
    if !found {
        let paths: Vec<String> = inputs.iter().map(|table| table.path.to_string()).collect();
        let mut problem = judge.error(
            options.value("table_path").unwrap_or(entry),
            "table_path",
            format!("there is no table '{path}' here: there are [{}]", paths.join(", ")),
        );
        if let Some(near) = nearest(&path, paths.iter().map(String::as_str)) {
            problem = problem.with_help(format!("did you mean '{near}'?"));
        }
        judge.problems.push(problem);
    }
}

/// The rules of one table, from `rules` or an entry of `tables_configs`.
fn table_rules(options: &Options<'_>, table: &TableSchema, judge: &mut Judge<'_>) -> TableRules {
    let mut rules = TableRules::default();
    for rule in options.objects("row_rules").unwrap_or_default() {
        let Some(rule) = judge.options(rule, ROW_RULE, "row_rules") else { continue };
        if let (Some(word), Some(bound)) = (rule.word("rule_type"), rule.number("rule_value")) {
            rules.rows.push(RowRule { most: word == "MAX_ROW", bound, text: format!("{word} {bound}") });
        }
    }
    for rule in options.objects("field_rules").unwrap_or_default() {
        rules.fields.extend(field_rules(rule, table, judge));
    }
    if let Some(rule) = options.value("catalog_table_rule") {
        catalog::judge(rule, table, judge);
    }
    rules
}

/// The rules about one field; the missing field and the wrong type fail the plan.
fn field_rules(rule: &Value, table: &TableSchema, judge: &mut Judge<'_>) -> Vec<FieldRule> {
    let Some(options) = judge.options(rule, FIELD_RULE, "field_rules") else { return Vec::new() };
    let name = options.text("field_name").unwrap_or_default();
    let place = options.value("field_name").unwrap_or(rule);
    let Some(index) = judge.column(table, &name, place, "field_rules") else { return Vec::new() };
    let column = &table.columns[index];
    let mut checks = Vec::new();
    if let Some(written) = field_type(&options) {
        match parse_type(written, "Assert", &name) {
            Ok(wanted) => checks.extend(type_check(&wanted, column, written, table, judge)),
            Err(problem) => judge.problem(problem),
        }
    }
    for value in options.objects("field_value").unwrap_or_default() {
        checks.extend(value_checks(value, column, table, judge));
    }
    let rule = |(check, text): (Check, String)| FieldRule {
        column: index,
        data_type: column.data_type.clone(),
        check,
        text: format!("field '{name}' {text}"),
    };
    checks.into_iter().map(rule).collect()
}

/// The type as written, also `null` without quotes.
fn field_type<'a>(options: &Options<'a>) -> Option<&'a Value> {
    options.object().get("field_type")
}

/// Rows compare part by part whatever the parts are called, and a decimal may have fewer digits than its column as
/// long as its values do.
fn type_check(
    wanted: &DataType,
    column: &Column,
    written: &Value,
    table: &TableSchema,
    judge: &mut Judge<'_>,
) -> Option<(Check, String)> {
    if let (DataType::Decimal { precision, scale }, DataType::Decimal { precision: most, scale: same }) =
        (wanted, &column.data_type)
        && scale == same
    {
        return (precision < most).then(|| (Check::Digits(*precision), format!("field_type {wanted}")));
    }
    if alike(wanted, &column.data_type) {
        return None;
    }
    // The original looks at the values, and null is of every type.
    let message = format!(
        "field '{}' of table '{}' has type {}, which is not field_type {wanted}: only null can keep this rule",
        column.name, table.path, column.data_type
    );
    judge.warn(written, "field_type", &message);
    Some((Check::Null, format!("field_type {wanted} (the column has type {})", column.data_type)))
}

fn alike(wanted: &DataType, found: &DataType) -> bool {
    match (wanted, found) {
        (DataType::Array(wanted), DataType::Array(found)) => alike(wanted, found),
        (DataType::Map(key, value), DataType::Map(found_key, found_value)) => {
            alike(key, found_key) && alike(value, found_value)
        }
        (DataType::Row(wanted), DataType::Row(found)) => {
            wanted.len() == found.len()
                && wanted.iter().zip(found.iter()).all(|(wanted, found)| alike(&wanted.data_type, &found.data_type))
        }
        (
            DataType::Decimal { precision, scale },
            DataType::Decimal { precision: found_precision, scale: found_scale },
        ) => scale == found_scale && precision >= found_precision,
        (wanted, found) => wanted == found,
    }
}

/// The checks of one entry of `field_value`.
fn value_checks(value: &Value, column: &Column, table: &TableSchema, judge: &mut Judge<'_>) -> Vec<(Check, String)> {
    let Some(options) = judge.options(value, FIELD_VALUE, "field_value") else { return Vec::new() };
    let mut checks = Vec::new();
    if let Some(word) = options.word("rule_type") {
        let bound = options.number("rule_value");
        let bounded = |check: fn(f64) -> Check| bound.map(|bound| (check(bound), format!("{word} {bound}")));
        let check = match word {
            "NOT_NULL" => Some((Check::NotNull, word.to_owned())),
            "NULL" => Some((Check::Null, word.to_owned())),
            "MIN" => bounded(Check::Min),
            "MAX" => bounded(Check::Max),
            "MIN_LENGTH" => bounded(Check::MinLength),
            _ => bounded(Check::MaxLength),
        };
        if check.is_none() {
            judge.fail(value, "rule_value", format!("is required for {word} but not given: expected a number"));
        } else if matches!(word, "MIN" | "MAX") && !column.data_type.is_numeric() {
            let message = format!(
                "field '{}' of table '{}' has type {}, which {word} cannot judge: expected a number",
                column.name, table.path, column.data_type
            );
            judge.fail(value, "rule_type", message);
        }
        checks.extend(check);
    }
    if let Some(expected) = options.value("equals_to") {
        checks.extend(equals_to(expected, column, table, judge));
    }
    checks
}

fn equals_to(expected: &Value, column: &Column, table: &TableSchema, judge: &mut Judge<'_>) -> Option<(Check, String)> {
    if column.data_type == DataType::Null {
        let message = format!("field '{}' of table '{}' is always null", column.name, table.path);
        let problem = judge.error(expected, "equals_to", message);
        judge.problems.push(problem.with_help("use { rule_type = NULL }"));
        return None;
    }
    let mut literals = Literals::default();
    let cell = match literals.cell(&column.name, &column.data_type, expected) {
        Ok(cell) => cell,
        Err(error) => {
            judge.fail(expected, "equals_to", format!("table '{}', {error}", table.path));
            return None;
        }
    };
    if literals.digits_lost() > 0 {
        let message = format!(
            "no value of field '{}' (table '{}', {}) has that many digits",
            column.name, table.path, column.data_type
        );
        judge.fail(expected, "equals_to", message);
        return None;
    }
    for warning in literals.warnings().iter() {
        judge.warnings.push(warning.clone().in_block(judge.context.block.clone()).of_option("equals_to"));
    }
    let mut text = String::from("equals_to ");
    egret_runtime::row::show::write_value(&mut text, cell.as_ref(), &column.data_type, 0);
    Some((Check::EqualsTo(cell), text))
}

impl Judge<'_> {
    /// An object's options, checked.
    pub(super) fn options<'v>(&mut self, value: &'v Value, table: OptionTable, name: &str) -> Option<Options<'v>> {
        let options = Options::new(value.as_object()?, table);
        let mut found = Problems::default();
        options.check(&format!("{}, {name}", self.context.block), &value.position, &[], &mut found);
        for problem in found.iter() {
            if problem.severity == Severity::Error {
                self.problems.push(problem.clone());
            } else {
                self.warnings.push(problem.clone());
            }
        }
        Some(options)
    }

    /// Position of a column that a rule names; that there is none fails the plan.
    pub(super) fn column(&mut self, table: &TableSchema, name: &str, place: &Value, rule: &str) -> Option<usize> {
        let index = table.index_of(name);
        if index.is_none() {
            let mut problem = self.error(place, rule, format!("table '{}' has no field '{name}'", table.path));
            if let Some(near) = nearest(name, table.columns.iter().map(|column| column.name.as_ref())) {
                problem = problem.with_help(format!("did you mean '{near}'?"));
            }
            self.problems.push(problem);
        }
        index
    }

    fn error(&self, place: &Value, option: &str, message: impl Into<String>) -> Problem {
        Problem::error(place.position.clone(), message).in_block(self.context.block.clone()).of_option(option)
    }

    /// A rule that does not hold, or is none.
    pub(super) fn fail(&mut self, place: &Value, option: &str, message: String) {
        let problem = self.error(place, option, message);
        self.problems.push(problem);
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem.in_block(self.context.block.clone()));
    }

    pub(super) fn warn(&mut self, place: &Value, option: &str, message: &str) {
        let warning = Problem::warning(place.position.clone(), message);
        self.warnings.push(warning.in_block(self.context.block.clone()).of_option(option));
    }
}
