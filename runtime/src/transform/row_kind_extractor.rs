//! `RowKindExtractor`: what a row does becomes a column, and the row an insert.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};

use super::{Pure, append, appended};
use crate::config::{OptionKind, OptionSpec, OptionTable, Options, Problems};
use crate::plugin::{PlanContext, Plugin, TransformFactory, TransformPlan};
use crate::row::{Batch, Column, DataType, RowKind, TableSchema};

const OPTIONS: OptionTable = &[
    OptionSpec::new("custom_field_name", OptionKind::Text, "Name of the new column.").default("row_kind"),
    OptionSpec::new(
        "transform_type",
        OptionKind::OneOf(&["SHORT", "FULL"]),
        "Text of the kind: SHORT is +I, -U, +U, -D; FULL is INSERT, UPDATE_BEFORE, UPDATE_AFTER, DELETE.",
    )
    .default("SHORT"),
];

pub(super) struct RowKindExtractor;

impl Plugin for RowKindExtractor {
    fn name(&self) -> &'static str {
        "RowKindExtractor"
    }

    fn options(&self) -> OptionTable {
        OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Appends a text column that holds the row's kind, and turns every row into an insert."
    }
}

impl TransformFactory for RowKindExtractor {
    fn plan(
        &self,
        options: Options<'_>,
        input: &Arc<TableSchema>,
        context: &PlanContext,
        _warnings: &mut Problems,
    ) -> Result<Arc<dyn TransformPlan>, Problems> {
        let name = options.text("custom_field_name").unwrap_or_default();
        if name.is_empty() {
            return Err(context.error("a column needs a name").of_option("custom_field_name").into());
        }
        let text = if options.word("transform_type") == Some("FULL") { RowKind::name } else { RowKind::short_name };
        let (output, positions) = appended(input, vec![Column::new(&name, DataType::String)]);
        let table = output.clone();
        Ok(Pure::plan(output, move |batch| {
            let kinds: StringArray = (0..batch.len()).map(|row| Some(text(batch.kind(row)))).collect();
            let rows = append(&batch, &table, &positions, [Arc::new(kinds) as ArrayRef])?;
            Ok(Batch { kinds: None, ..rows })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{mixed_table, object, problems, run, text};
    use super::*;

    #[test]
    fn kinds_become_text_and_rows_inserts() {
        let (output, rows) = run(&RowKindExtractor, &object(vec![]), &mixed_table());
        assert_eq!(output, ["id", "name", "score", "row_kind"]);
        assert_eq!(rows, ["+I 1, Alice, 1.5, +I", "+I 2, , 2.5, -U", "+I 3, Bob, , -D"]);
        let full = object(vec![("transform_type", text("full")), ("custom_field_name", text("kind"))]);
        let (output, rows) = run(&RowKindExtractor, &full, &mixed_table());
        assert_eq!(output[3], "kind");
        assert_eq!(rows[1], "+I 2, , 2.5, UPDATE_BEFORE");
    }

    #[test]
    fn a_column_without_a_name_is_refused() {
        let config = object(vec![("custom_field_name", text(""))]);
        assert!(problems(&RowKindExtractor, &config, &mixed_table().0)[0].contains("needs a name"));
    }
}
