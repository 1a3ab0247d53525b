//! `Split`: one column's text cut into several columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, StringBuilder};

use super::{Pure, append, appended, as_text, column_index, place_of, texts_with_places};
use crate::config::{OptionKind, OptionSpec, OptionTable, Options, Problem, Problems};
use crate::java_regex::{Flags, JavaRegex};
use crate::plugin::{PlanContext, Plugin, TaskError, TransformFactory, TransformPlan};
use crate::row::{Column, DataType, TableSchema};

const OPTIONS: OptionTable = &[
    OptionSpec::new("separator", OptionKind::Text, "Where to cut: a regular expression.").required().example("\",\""),
    OptionSpec::new("split_field", OptionKind::Text, "The column to cut.").required().example("name"),
    OptionSpec::new(
        "output_fields",
        OptionKind::TextList,
        "Names of the columns for the parts. With fewer parts the last are null; with more, the last column takes the \
         rest.",
    )
    .required()
    .example("[first_name, last_name]"),
];

pub(super) struct Split;

impl Plugin for Split {
    fn name(&self) -> &'static str {
        "Split"
    }

    fn options(&self) -> OptionTable {
        OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Cuts the text of a column at a separator and appends the parts as text columns. The column itself stays."
    }
}

impl TransformFactory for Split {
    fn plan(
        &self,
        options: Options<'_>,
        input: &Arc<TableSchema>,
        context: &PlanContext,
        _warnings: &mut Problems,
    ) -> Result<Arc<dyn TransformPlan>, Problems> {
        let mut problems = Problems::default();
        let field = options.text("split_field").unwrap_or_default();
        let place = place_of(&options, "split_field", context);
        let index = column_index(input, &field, &place, "split_field", context);
        let separator = Separator::new(&options.text("separator").unwrap_or_default()).map_err(|message| {
            let problem = Problem::error(place_of(&options, "separator", context), message);
            Problems::from(problem.in_block(context.block.clone()).of_option("separator"))
        });
        let names = output_names(&options, context, &mut problems);
        let (index, separator) = match (index, separator) {
            (Ok(index), Ok(separator)) if !problems.has_errors() => (index, separator),
            (index, separator) => {
                index.err().into_iter().chain(separator.err()).for_each(|found| problems.append(found));
                return Err(problems);
            }
        };
        let data_type = input.columns[index].data_type.clone();
        let new = names.iter().map(|name| Column::new(name, DataType::String)).collect();
        let (output, positions) = appended(input, new);
        let table = output.clone();
        Ok(Pure::plan(output, move |batch| {
            let texts = as_text(batch.rows.column(index), &data_type);
            let parts = split_all(&texts, &separator, positions.len());
            let parts = parts.map_err(|message| TaskError::permanent(format!("Split: {message}")))?;
            append(&batch, &table, &positions, parts)
        }))
    }
}

fn output_names(options: &Options<'_>, context: &PlanContext, problems: &mut Problems) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, place) in texts_with_places(options, "output_fields") {
        if name.is_empty() || names.contains(&name) {
            let message = if name.is_empty() { "a column needs a name".into() } else { format!("'{name}' twice") };
            let problem = Problem::error(place, message).in_block(context.block.clone()).of_option("output_fields");
            problems.push(problem);
        }
        names.push(name);
    }
    if names.is_empty() {
        problems.push(context.error("names no columns").of_option("output_fields"));
    }
    names
}

enum Separator {
    /// Text without a meaning as a regular expression.
    Text(String),
    Regex(JavaRegex),
}

impl Separator {
    fn new(pattern: &str) -> Result<Self, String> {
        let plain = !pattern.is_empty() && regex::escape(pattern) == pattern;
        if plain {
            return Ok(Self::Text(pattern.to_owned()));
        }
        JavaRegex::compile(pattern, Flags::default()).map(Self::Regex)
    }

    /// Cuts into at most `parts_max` parts. A match of nothing at the very beginning does not cut.
    fn split<'a>(&self, text: &'a str, parts_max: usize, mut part: impl FnMut(&'a str)) -> Result<(), String> {
        let mut from = 0;
        let mut parts = 1;
        let mut cut = |start: usize, end: usize| {
            if parts == parts_max {
                return false;
            }
            if end > 0 {
                part(&text[from..start]);
                from = end;
                parts += 1;
            }
            true
        };
        match self {
            Self::Text(separator) => {
                let mut matches = text.match_indices(separator.as_str());
                while matches.next().is_some_and(|(at, found)| cut(at, at + found.len())) {}
            }
            Self::Regex(regex) => {
                regex.each_span(text, cut)?;
            }
        }
        part(&text[from..]);
        Ok(())
    }
}

/// A column for each part.
fn split_all(texts: &StringArray, separator: &Separator, parts: usize) -> Result<Vec<ArrayRef>, String> {
    let bytes_each = texts.value_data().len() / parts;
    let mut builders: Vec<StringBuilder> =
        (0..parts).map(|_| StringBuilder::with_capacity(texts.len(), bytes_each)).collect();
    for (row, text) in texts.iter().enumerate() {
        let mut next = 0;
        if let Some(text) = text {
            let cut = separator.split(text, parts, |part| {
                builders[next].append_value(part);
                next += 1;
            });
            cut.map_err(|message| format!("row {}: {message}", row + 1))?;
        }
        builders[next..].iter_mut().for_each(StringBuilder::append_null);
    }
    Ok(builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{list, mixed_table, object, problems, run, text, text_table};
    use super::*;

    fn split(input: &str, separator: &str, parts: usize) -> Vec<String> {
        let mut out = Vec::new();
        Separator::new(separator)
            .expect("a separator")
            .split(input, parts, |part| out.push(part.to_owned()))
            .expect("parts");
        out
    }

    #[test]
    fn fewer_parts_leave_nulls_and_more_go_to_the_last() {
        let table = text_table(&[Some("a b c d"), Some("a"), None, Some("")]);
        let config = object(vec![
            ("separator", text(" ")),
            ("split_field", text("s")),
            ("output_fields", list(vec![text("x"), text("y")])),
        ]);
        let (output, rows) = run(&Split, &config, &table);
        assert_eq!(output, ["s", "x", "y"]);
        assert_eq!(rows, ["+I a b c d, a, b c d", "+I a, a, ", "+I , , ", "+I , , "]);
    }

    #[test]
    fn separators_are_regular_expressions() {
        assert_eq!(split("a1b22c", "[0-9]+", 5), ["a", "b", "c"]);
        assert_eq!(split("a|b", "\\|", 5), ["a", "b"]);
        assert_eq!(split("aBc", "(?=[A-Z])", 5), ["a", "Bc"]);
        assert_eq!(split("abc", "", 9), ["a", "b", "c", ""]);
        assert_eq!(split("abc", "|", 2), ["a", "bc"]);
        assert_eq!(split(",a,,b,", ",", 9), ["", "a", "", "b", ""]);
        assert_eq!(split("a,b", ",", 1), ["a,b"]);
    }

    #[test]
    fn a_name_that_exists_is_replaced_and_other_types_are_cut_in_their_text() {
        let config = object(vec![
            ("separator", text("\\.")),
            ("split_field", text("score")),
            ("output_fields", text("whole,score")),
        ]);
        let (output, rows) = run(&Split, &config, &mixed_table());
        assert_eq!(output, ["id", "name", "score", "whole"]);
        assert_eq!(rows, ["+I 1, Alice, 5, 1", "-U 2, , 5, 2", "-D 3, Bob, , "]);
    }

    #[test]
    fn mistakes_are_told_together() {
        let config = object(vec![
            ("separator", text("(")),
            ("split_field", text("nme")),
            ("output_fields", list(vec![text("x"), text("x")])),
        ]);
        let told = problems(&Split, &config, &mixed_table().0);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told.iter().any(|problem| problem.contains("did you mean 'name'?")), "{told:?}");
        assert!(told.iter().any(|problem| problem.contains("option 'separator'")), "{told:?}");
        assert!(told.iter().any(|problem| problem.contains("'x' twice")), "{told:?}");
    }

    proptest! {
        #[test]
        fn plain_and_regular_separators_cut_alike(input in "[ab,]{0,12}", parts in 1usize..6) {
            let mut by_regex = Vec::new();
            let regex = Separator::Regex(JavaRegex::compile(",", Flags::default()).expect("a pattern"));
            regex.split(&input, parts, |part| by_regex.push(part.to_owned())).expect("parts");
            prop_assert_eq!(split(&input, ",", parts), by_regex.clone());
            let standard: Vec<String> = input.splitn(parts, ',').map(str::to_owned).collect();
            prop_assert_eq!(by_regex, standard);
        }
    }
}
