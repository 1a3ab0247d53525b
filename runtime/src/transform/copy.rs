//! `Copy`: columns under further names.

use std::sync::Arc;

use super::{Pure, append, appended, column_index, place_of};
use crate::config::{OptionKind, OptionSpec, OptionTable, Options, Position, Problems};
use crate::plugin::{PlanContext, Plugin, TransformFactory, TransformPlan};
use crate::row::{Column, TableSchema};

const OPTIONS: OptionTable = &[
    OptionSpec::new(
        "fields",
        OptionKind::TextMap,
        "New names and the columns that they copy. Either this or `src_field` and `dest_field` are needed.",
    )
    .example("{ name_copy = name }"),
    OptionSpec::new("src_field", OptionKind::Text, "The older form for one column: what to copy.").example("name"),
    OptionSpec::new("dest_field", OptionKind::Text, "The older form for one column: its new name.")
        .example("name_copy"),
];

pub(super) struct Copy;

impl Plugin for Copy {
    fn name(&self) -> &'static str {
        "Copy"
    }

    fn options(&self) -> OptionTable {
        OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Appends copies of columns under new names. A new name that the table already has replaces that column in its \
         place."
    }
}

impl TransformFactory for Copy {
    fn plan(
        &self,
        options: Options<'_>,
        input: &Arc<TableSchema>,
        context: &PlanContext,
        warnings: &mut Problems,
    ) -> Result<Arc<dyn TransformPlan>, Problems> {
        let mut problems = Problems::default();
        let mut sources = Vec::new();
        let mut new: Vec<Column> = Vec::new();
        for (name, source, place, option) in wanted(&options, context, warnings)? {
            match column_index(input, &source, &place, option, context) {
                Ok(index) => {
                    sources.push(index);
                    new.push(Column { name: name.into(), ..input.columns[index].clone() });
                }
                Err(found) => problems.append(found),
            }
        }
        if problems.has_errors() {
            return Err(problems);
        }
        let (output, positions) = appended(input, new);
        let table = output.clone();
        Ok(Pure::plan(output, move |batch| {
            let copies: Vec<_> = sources.iter().map(|index| Arc::clone(batch.rows.column(*index))).collect();
            append(&batch, &table, &positions, copies)
        }))
    }
}

/// New name, column to copy, place of the latter, and the option that names it.
type Wanted = (String, String, Position, &'static str);

fn wanted(options: &Options<'_>, context: &PlanContext, warnings: &mut Problems) -> Result<Vec<Wanted>, Problems> {
    let (source, name) = (options.text("src_field"), options.text("dest_field"));
    if let Some(fields) = options.nested("fields") {
        if source.is_some() || name.is_some() {
            let message = "has no effect beside 'fields'";
            warnings.push(context.warning(message).of_option("src_field"));
        }
        let pair = |entry: &crate::config::Entry| {
            let source = entry.value.to_text().unwrap_or_default().to_owned();
            (entry.key.to_string(), source, entry.value.position.clone(), "fields")
        };
        return Ok(fields.entries().iter().map(pair).collect());
    }
    match (source, name) {
        (Some(source), Some(name)) => Ok(vec![(name, source, place_of(options, "src_field", context), "src_field")]),
        (None, None) => Err(context.error("expected 'fields', or 'src_field' and 'dest_field'").into()),
        (source, _) => {
            let missing = if source.is_none() { "src_field" } else { "dest_field" };
            let message = "is required: 'src_field' and 'dest_field' go together";
            Err(context.error(message).of_option(missing).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{mixed_table, object, plan_with_warnings, problems, run, text};
    use super::*;

    #[test]
    fn copies_are_appended_by_either_form() {
        let fields = object(vec![("fields", object(vec![("a", text("id")), ("b", text("name"))]))]);
        let (output, rows) = run(&Copy, &fields, &mixed_table());
        assert_eq!(output, ["id", "name", "score", "a", "b"]);
        assert_eq!(rows[0], "+I 1, Alice, 1.5, 1, Alice");
        let older = object(vec![("src_field", text("name")), ("dest_field", text("name1"))]);
        let (output, rows) = run(&Copy, &older, &mixed_table());
        assert_eq!(output, ["id", "name", "score", "name1"]);
        assert_eq!(rows[2], "-D 3, Bob, , Bob");
    }

    #[test]
    fn a_name_that_exists_is_replaced_in_its_place() {
        let config = object(vec![("fields", object(vec![("id", text("name")), ("name", text("id"))]))]);
        let (output, rows) = run(&Copy, &config, &mixed_table());
        assert_eq!(output, ["id", "name", "score"]);
        assert_eq!(rows[0], "+I Alice, 1, 1.5");
    }

    #[test]
    fn half_of_the_older_form_nothing_and_unknown_columns_are_refused() {
        let table = mixed_table().0;
        assert!(problems(&Copy, &object(vec![]), &table)[0].contains("expected 'fields'"));
        let half = object(vec![("src_field", text("name"))]);
        assert!(problems(&Copy, &half, &table)[0].contains("option 'dest_field'"));
        let unknown = object(vec![("fields", object(vec![("x", text("scores"))]))]);
        assert!(problems(&Copy, &unknown, &table)[0].contains("did you mean 'score'?"));
        let both = object(vec![("fields", object(vec![("x", text("id"))])), ("src_field", text("id"))]);
        let (_, warnings) = plan_with_warnings(&Copy, &both, &table);
        assert!(warnings[0].contains("no effect beside 'fields'"), "{warnings:?}");
    }
}
