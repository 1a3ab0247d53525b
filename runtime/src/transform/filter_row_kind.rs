//! `FilterRowKind`: rows kept or dropped by what they do.

use std::sync::Arc;

use arrow::array::BooleanArray;

use super::{Pure, texts_with_places};
use crate::config::{OptionKind, OptionSpec, OptionTable, Options, Problem, Problems, nearest};
use crate::plugin::{PlanContext, Plugin, TransformFactory, TransformPlan};
use crate::row::{Batch, RowKind, TableSchema};

const OPTIONS: OptionTable = &[
    OptionSpec::new(
        "include_kinds",
        OptionKind::TextList,
        "Kinds to keep: INSERT, UPDATE_BEFORE, UPDATE_AFTER, DELETE, or +I, -U, +U, -D. Either this or \
         `exclude_kinds` is needed.",
    )
    .example("[INSERT, UPDATE_AFTER]"),
    OptionSpec::new("exclude_kinds", OptionKind::TextList, "Kinds to drop.").example("[DELETE]"),
];

pub(super) struct FilterRowKind;

impl Plugin for FilterRowKind {
    fn name(&self) -> &'static str {
        "FilterRowKind"
    }

    fn options(&self) -> OptionTable {
        OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Keeps rows of the kinds named in `include_kinds`, or drops those of the kinds named in `exclude_kinds`."
    }
}

impl TransformFactory for FilterRowKind {
    fn plan(
        &self,
        options: Options<'_>,
        input: &Arc<TableSchema>,
        context: &PlanContext,
        _warnings: &mut Problems,
    ) -> Result<Arc<dyn TransformPlan>, Problems> {
        let (option, keep_named) = match (options.is_given("include_kinds"), options.is_given("exclude_kinds")) {
            (true, false) => ("include_kinds", true),
            (false, true) => ("exclude_kinds", false),
            (given, _) => {
                let found = if given { "both are given" } else { "neither is given" };
                let message = format!("expected either 'include_kinds' or 'exclude_kinds': {found}");
                return Err(context.error(message).into());
            }
        };
        let mut problems = Problems::default();
        let mut keep = [!keep_named; 4];
        for (name, place) in texts_with_places(&options, option) {
            match RowKind::parse(name.trim()) {
                Some(kind) => keep[kind as usize] = keep_named,
                None => {
                    let mut problem = Problem::error(
                        place,
                        format!("'{name}' is not a kind of row: expected one of {}", all_kinds()),
                    )
                    .in_block(context.block.clone())
                    .of_option(option);
                    if let Some(near) = nearest(&name, RowKind::ALL.map(RowKind::name)) {
                        problem = problem.with_help(format!("did you mean '{near}'?"));
                    }
                    problems.push(problem);
                }
            }
        }
        if problems.has_errors() {
            return Err(problems);
        }
        Ok(Pure::plan(TableSchema::clone(input), move |batch| filter(batch, keep)))
    }
}

fn all_kinds() -> String {
    RowKind::ALL.map(RowKind::name).join(", ")
}

/// `keep` by the code of the kind.
fn filter(batch: Batch, keep: [bool; 4]) -> Result<Batch, crate::plugin::TaskError> {
    match &batch.kinds {
        None if keep[RowKind::Insert as usize] => Ok(batch),
        None => Ok(batch.slice(0, 0)),
        Some(kinds) => {
            let kept: BooleanArray = kinds.values().iter().map(|code| Some(keep[usize::from(code & 3)])).collect();
            Ok(batch.filter(&kept)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{apply, list, mixed_table, object, plan, problems, run, text};
    use super::*;

    #[test]
    fn kinds_are_kept_or_dropped_by_either_name() {
        let include = object(vec![("include_kinds", list(vec![text("insert"), text("-D")]))]);
        assert_eq!(run(&FilterRowKind, &include, &mixed_table()).1, ["+I Alice", "-D Bob"].map(with_all_columns));
        let exclude = object(vec![("exclude_kinds", text("INSERT,DELETE"))]);
        assert_eq!(run(&FilterRowKind, &exclude, &mixed_table()).1, ["-U 2, , 2.5"]);
    }

    fn with_all_columns(row: &str) -> String {
        match row {
            "+I Alice" => "+I 1, Alice, 1.5".into(),
            _ => "-D 3, Bob, ".into(),
        }
    }

    #[test]
    fn a_batch_of_inserts_alone_is_kept_or_dropped_whole() {
        let (table, mut batch) = mixed_table();
        batch.kinds = None;
        for (option, rows) in [("include_kinds", 3), ("exclude_kinds", 0)] {
            let plan = plan(&FilterRowKind, &object(vec![(option, text("INSERT"))]), &table).expect("a plan");
            assert_eq!(apply(plan.as_ref(), batch.clone()).len(), rows);
        }
    }

    #[test]
    fn unknown_kinds_and_wrong_choices_are_refused() {
        let table = mixed_table().0;
        let unknown = object(vec![("include_kinds", list(vec![text("INSRT")]))]);
        assert!(problems(&FilterRowKind, &unknown, &table)[0].contains("did you mean 'INSERT'?"));
        assert!(problems(&FilterRowKind, &object(vec![]), &table)[0].contains("neither is given"));
    }
}
