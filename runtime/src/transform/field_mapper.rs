//! `FieldMapper`: some columns, in a new order, under new names.

use std::sync::Arc;

use super::{Pure, column_index, project};
use crate::config::{OptionKind, OptionSpec, OptionTable, Options, Problem, Problems};
use crate::plugin::{PlanContext, Plugin, TransformFactory, TransformPlan};
use crate::row::{Column, TableSchema};

const OPTIONS: OptionTable = &[OptionSpec::new(
    "field_mapper",
    OptionKind::TextMap,
    "Old names and new ones: the table has exactly these columns, in this order, under the new names.",
)
.required()
.example("{ id = id, name = full_name }")];

pub(super) struct FieldMapper;

impl Plugin for FieldMapper {
    fn name(&self) -> &'static str {
        "FieldMapper"
    }

    fn options(&self) -> OptionTable {
        OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Keeps the columns named, in the order named, and renames them. All other columns are dropped."
    }
}

impl TransformFactory for FieldMapper {
    fn plan(
        &self,
        options: Options<'_>,
        input: &Arc<TableSchema>,
        context: &PlanContext,
        _warnings: &mut Problems,
    ) -> Result<Arc<dyn TransformPlan>, Problems> {
        let mut problems = Problems::default();
        let mut indices = Vec::new();
        let mut columns: Vec<Column> = Vec::new();
        for entry in options.nested("field_mapper").into_iter().flat_map(|mapper| mapper.entries()) {
            let new_name = entry.value.to_text().unwrap_or_default();
            let wrong = |message: String| {
                Problem::error(entry.value.position.clone(), message)
                    .in_block(context.block.clone())
                    .of_option("field_mapper")
            };
            if new_name.is_empty() {
                problems.push(wrong(format!("the new name of '{}' is empty", entry.key)));
            } else if columns.iter().any(|column| column.name.as_ref() == new_name) {
                problems.push(wrong(format!("two columns would be named '{new_name}'")));
            }
            match column_index(input, &entry.key, &entry.key_position, "field_mapper", context) {
                Ok(index) => {
                    indices.push(index);
                    columns.push(Column { name: new_name.into(), ..input.columns[index].clone() });
                }
                Err(found) => problems.append(found),
            }
        }
        if problems.is_empty() && columns.is_empty() {
            problems.push(context.error("names no columns").of_option("field_mapper"));
        }
        if problems.has_errors() {
            return Err(problems);
        }
        let output = renamed(input, &indices, columns);
        let table = output.clone();
        Ok(Pure::plan(output, move |batch| project(&batch, &table, &indices)))
    }
}

/// The table with these of its columns under new names; keys follow their columns, and go when one of them is gone.
fn renamed(input: &TableSchema, indices: &[usize], columns: Vec<Column>) -> TableSchema {
    let new_name = |old: &str| {
        let position = indices.iter().position(|index| input.columns[*index].name.as_ref() == old)?;
        Some(columns[position].name.clone())
    };
    let primary_key = input.primary_key.clone().and_then(|mut key| {
        key.columns = key.columns.iter().map(|name| new_name(name)).collect::<Option<_>>()?;
        Some(key)
    });
    let constraint_keys = input.constraint_keys.iter().cloned().filter_map(|mut key| {
        key.columns =
            key.columns.iter().map(|(name, ascending)| Some((new_name(name)?, *ascending))).collect::<Option<_>>()?;
        Some(key)
    });
    let constraint_keys = constraint_keys.collect();
    let partition_keys = input.partition_keys.iter().filter_map(|name| new_name(name)).collect();
    let mut output = input.with_columns(columns);
    output.primary_key = primary_key;
    output.constraint_keys = constraint_keys;
    output.partition_keys = partition_keys;
    output
}

#[cfg(test)]
mod tests {
    use super::super::testing::{mixed_table, object, plan, problems, run, text};
    use super::*;
    use crate::row::PrimaryKey;

    #[test]
    fn columns_come_in_the_order_of_the_mapping_under_their_new_names() {
        let config = object(vec![("field_mapper", object(vec![("name", text("full")), ("id", text("key"))]))]);
        let (output, rows) = run(&FieldMapper, &config, &mixed_table());
        assert_eq!(output, ["full", "key"]);
        assert_eq!(rows, ["+I Alice, 1", "-U , 2", "-D Bob, 3"]);
    }

    #[test]
    fn keys_follow_their_columns() {
        let mut table = mixed_table().0;
        table.primary_key = Some(PrimaryKey { name: "pk".into(), columns: vec!["id".into()] });
        let config = |from: &str, to: &str| object(vec![("field_mapper", object(vec![(from, text(to))]))]);
        let kept = plan(&FieldMapper, &config("id", "key"), &table).expect("a plan");
        assert_eq!(kept.output().primary_key.as_ref().map(|key| key.columns.clone()), Some(vec!["key".into()]));
        // Another column under the old name is not the key.
        let gone = plan(&FieldMapper, &config("name", "id"), &table).expect("a plan");
        assert!(gone.output().primary_key.is_none());
    }

    #[test]
    fn unknown_columns_and_names_given_twice_are_refused() {
        let config = object(vec![(
            "field_mapper",
            object(vec![("nmae", text("a")), ("id", text("x")), ("name", text("x")), ("score", text(""))]),
        )]);
        let told = problems(&FieldMapper, &config, &mixed_table().0);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("no column 'nmae'") && told[0].contains("did you mean 'name'?"), "{told:?}");
        assert!(told[1].contains("two columns would be named 'x'"), "{told:?}");
        assert!(told[2].contains("is empty"), "{told:?}");
    }
}
