//! `Filter`: columns kept or dropped.

use std::sync::Arc;

use super::{Pure, column_index, project, texts_with_places};
use crate::config::{OptionKind, OptionSpec, OptionTable, Options, Problems};
use crate::plugin::{PlanContext, Plugin, TransformFactory, TransformPlan};
use crate::row::TableSchema;

const OPTIONS: OptionTable = &[
    OptionSpec::new(
        "include_fields",
        OptionKind::TextList,
        "Columns to keep, in this order. Either this or `exclude_fields` is needed.",
    )
    .aliases(&["fields"])
    .example("[id, name]"),
    OptionSpec::new("exclude_fields", OptionKind::TextList, "Columns to drop; the others keep their order.")
        .example("[password]"),
];

pub(super) struct Filter;

impl Plugin for Filter {
    fn name(&self) -> &'static str {
        "Filter"
    }

    fn options(&self) -> OptionTable {
        OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Keeps the columns named in `include_fields`, or drops those named in `exclude_fields`."
    }
}

impl TransformFactory for Filter {
    fn plan(
        &self,
        options: Options<'_>,
        input: &Arc<TableSchema>,
        context: &PlanContext,
        _warnings: &mut Problems,
    ) -> Result<Arc<dyn TransformPlan>, Problems> {
        let option = match (options.is_given("include_fields"), options.is_given("exclude_fields")) {
            (true, false) => "include_fields",
            (false, true) => "exclude_fields",
            (given, _) => {
                let found = if given { "both are given" } else { "neither is given" };
                let message = format!("expected either 'include_fields' or 'exclude_fields': {found}");
                return Err(context.error(message).into());
            }
        };
        let mut problems = Problems::default();
        let mut named = Vec::new();
        for (name, place) in texts_with_places(&options, option) {
            match column_index(input, &name, &place, option, context) {
                Ok(index) if !named.contains(&index) => named.push(index),
                Ok(_) => {}
                Err(found) => problems.append(found),
            }
        }
        let indices: Vec<usize> = if option == "include_fields" {
            named
        } else {
            (0..input.columns.len()).filter(|index| !named.contains(index)).collect()
        };
        if problems.is_empty() && indices.is_empty() {
            problems.push(context.error("leaves no columns").of_option(option));
        }
        if problems.has_errors() {
            return Err(problems);
        }
        let output = input.with_columns(indices.iter().map(|index| input.columns[*index].clone()).collect());
        let table = output.clone();
        Ok(Pure::plan(output, move |batch| project(&batch, &table, &indices)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{list, mixed_table, object, problems, run, text};
    use super::*;

    #[test]
    fn included_columns_keep_the_order_of_the_list_under_either_name_of_the_option() {
        for option in ["include_fields", "fields"] {
            let config = object(vec![(option, list(vec![text("score"), text("id")]))]);
            let (output, rows) = run(&Filter, &config, &mixed_table());
            assert_eq!(output, ["score", "id"]);
            assert_eq!(rows, ["+I 1.5, 1", "-U 2.5, 2", "-D , 3"]);
        }
        let (output, _) = run(&Filter, &object(vec![("fields", text("id, name"))]), &mixed_table());
        assert_eq!(output, ["id", "name"]);
    }

    #[test]
    fn excluded_columns_leave_the_others_in_the_order_of_the_input() {
        let config = object(vec![("exclude_fields", list(vec![text("name")]))]);
        let (output, rows) = run(&Filter, &config, &mixed_table());
        assert_eq!(output, ["id", "score"]);
        assert_eq!(rows[0], "+I 1, 1.5");
    }

    #[test]
    fn columns_that_are_only_chosen_are_not_copied() {
        let (table, batch) = mixed_table();
        let config = object(vec![("include_fields", text("name"))]);
        let plan = super::super::testing::plan(&Filter, &config, &table).expect("a plan");
        let before = batch.rows.column(1).to_data().buffers()[1].as_ptr();
        let after = super::super::testing::apply(plan.as_ref(), batch);
        assert_eq!(after.rows.column(0).to_data().buffers()[1].as_ptr(), before);
    }

    #[test]
    fn both_neither_none_left_and_unknown_are_refused() {
        let table = mixed_table().0;
        let both = object(vec![("include_fields", text("id")), ("exclude_fields", text("id"))]);
        assert!(problems(&Filter, &both, &table)[0].contains("both are given"));
        assert!(problems(&Filter, &object(vec![]), &table)[0].contains("neither is given"));
        let all = object(vec![("exclude_fields", text("id,name,score"))]);
        assert!(problems(&Filter, &all, &table)[0].contains("leaves no columns"));
        let unknown = object(vec![("include_fields", list(vec![text("ids")]))]);
        assert!(problems(&Filter, &unknown, &table)[0].contains("did you mean 'id'?"));
    }
}
