//! `Replace`: text found in a column gives way to other text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, StringBuilder};

use super::{Pure, append, as_text, column_index, place_of};
use crate::config::{OptionKind, OptionSpec, OptionTable, Options, Problem, Problems};
use crate::java_regex::{Flags, JavaRegex, Replacement};
use crate::plugin::{PlanContext, Plugin, TaskError, TransformFactory, TransformPlan};
use crate::row::{Column, DataType, TableSchema};

const OPTIONS: OptionTable = &[
    OptionSpec::new("replace_field", OptionKind::Text, "The column. It becomes text if it is not.")
        .required()
        .example("name"),
    OptionSpec::new("pattern", OptionKind::Text, "What to look for: text, or with `is_regex` a regular expression.")
        .required()
        .example("\"[0-9]+\""),
    OptionSpec::new(
        "replacement",
        OptionKind::Text,
        "What to put in its place. With `is_regex`, $1 and ${name} stand for groups, and a backslash takes the next \
         character as it is.",
    )
    .required()
    .example("\"#\""),
    OptionSpec::new("is_regex", OptionKind::Boolean, "Whether the pattern is a regular expression.").default("false"),
    OptionSpec::new(
        "replace_first",
        OptionKind::Boolean,
        "Whether only the first match is replaced; only with `is_regex`.",
    )
    .default("false"),
];

pub(super) struct Replace;

impl Plugin for Replace {
    fn name(&self) -> &'static str {
        "Replace"
    }

    fn options(&self) -> OptionTable {
        OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Replaces text in one column. Regular expressions are those of Java."
    }
}

impl TransformFactory for Replace {
    fn plan(
        &self,
        options: Options<'_>,
        input: &Arc<TableSchema>,
        context: &PlanContext,
        warnings: &mut Problems,
    ) -> Result<Arc<dyn TransformPlan>, Problems> {
        let mut problems = Problems::default();
        let field = options.text("replace_field").unwrap_or_default();
        let place = place_of(&options, "replace_field", context);
        let index = column_index(input, &field, &place, "replace_field", context);
        let replacer = replacer(&options, context, warnings);
        let (index, replacer) = match (index, replacer) {
            (Ok(index), Ok(replacer)) => (index, replacer),
            (index, replacer) => {
                index.err().into_iter().chain(replacer.err()).for_each(|found| problems.append(found));
                return Err(problems);
            }
        };
        let mut columns = input.columns.to_vec();
        let data_type = columns[index].data_type.clone();
        columns[index] = Column { data_type: DataType::String, ..columns[index].clone() };
        let output = input.with_columns(columns);
        let table = output.clone();
        Ok(Pure::plan(output, move |batch| {
            let texts = as_text(batch.rows.column(index), &data_type);
            let replaced =
                replacer.replace_all(&texts).map_err(|message| TaskError::permanent(format!("Replace: {message}")))?;
            append(&batch, &table, &[index], [Arc::new(replaced) as ArrayRef])
        }))
    }
}

fn replacer(options: &Options<'_>, context: &PlanContext, warnings: &mut Problems) -> Result<Replacer, Problems> {
    let pattern = options.text("pattern").unwrap_or_default();
    let replacement = options.text("replacement").unwrap_or_default();
    let first = options.boolean("replace_first").unwrap_or(false);
    let wrong = |option: &str, message: String| {
        let problem = Problem::error(place_of(options, option, context), message);
        Problems::from(problem.in_block(context.block.clone()).of_option(option))
    };
    if !options.boolean("is_regex").unwrap_or(false) {
        if first {
            let message = "has an effect only with 'is_regex = true'";
            warnings.push(context.warning(message).of_option("replace_first"));
        }
        return Ok(Replacer::Text { pattern, replacement });
    }
    let regex = JavaRegex::compile(&pattern, Flags::default()).map_err(|message| wrong("pattern", message))?;
    let replacement = Replacement::compile(&replacement, &regex).map_err(|message| wrong("replacement", message))?;
    Ok(Replacer::Regex { regex, replacement, first })
}

enum Replacer {
    Text { pattern: String, replacement: String },
    Regex { regex: JavaRegex, replacement: Replacement, first: bool },
}

impl Replacer {
    fn replace_all(&self, texts: &StringArray) -> Result<StringArray, String> {
        let mut builder = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
        let mut replaced = String::new();
        for (row, text) in texts.iter().enumerate() {
            match text {
                None => builder.append_null(),
                Some(text) => {
                    replaced.clear();
                    self.replace(text, &mut replaced).map_err(|message| format!("row {}: {message}", row + 1))?;
                    builder.append_value(&replaced);
                }
            }
        }
        Ok(builder.finish())
    }

    fn replace(&self, text: &str, out: &mut String) -> Result<(), String> {
        match self {
            Self::Text { pattern, replacement } => {
                let mut rest = 0;
                for (at, found) in text.match_indices(pattern.as_str()) {
                    out.push_str(&text[rest..at]);
                    out.push_str(replacement);
                    rest = at + found.len();
                }
                out.push_str(&text[rest..]);
                Ok(())
            }
            Self::Regex { regex, replacement, first } => {
                let times = if *first { 1 } else { usize::MAX };
                regex.replace(text, replacement, times, &mut |piece| {
                    out.push_str(piece);
                    Ok(())
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{mixed_table, object, plan_with_warnings, problems, run, text, text_table};
    use super::*;

    fn config(pattern: &str, replacement: &str, flags: &[&str]) -> crate::config::Value {
        let mut entries =
            vec![("replace_field", text("s")), ("pattern", text(pattern)), ("replacement", text(replacement))];
        entries.extend(flags.iter().map(|flag| (*flag, text("true"))));
        object(entries)
    }

    fn replaced(input: &str, pattern: &str, replacement: &str, flags: &[&str]) -> String {
        let table = text_table(&[Some(input), None]);
        let rows = run(&Replace, &config(pattern, replacement, flags), &table).1;
        assert_eq!(rows[1], "+I ", "null stays null");
        rows[0].trim_start_matches("+I ").to_owned()
    }

    #[test]
    fn plain_text_is_replaced_everywhere_and_taken_literally() {
        assert_eq!(replaced("a.b.c", ".", "$1", &[]), "a$1b$1c");
        assert_eq!(replaced("ab", "", "-", &[]), "-a-b-");
        assert_eq!(replaced("ab", "x", "-", &[]), "ab");
    }

    #[test]
    fn regular_expressions_replace_all_or_the_first() {
        assert_eq!(replaced("tyrant", ".+", "b", &["is_regex", "replace_first"]), "b");
        assert_eq!(replaced("a1b22", "[0-9]+", "#", &["is_regex"]), "a#b#");
        assert_eq!(replaced("a1b22", "[0-9]+", "#", &["is_regex", "replace_first"]), "a#b22");
        assert_eq!(replaced("a1b22", "(?<=b)\\d(?=2)", "#", &["is_regex"]), "a1b#2");
    }

    #[test]
    fn replacements_know_groups_as_java_writes_them() {
        assert_eq!(replaced("x-y", "(\\w)-(\\w)", "$2$1", &["is_regex"]), "yx");
        assert_eq!(replaced("x-y", "(\\w)-(\\w)", "$10", &["is_regex"]), "x0");
        assert_eq!(replaced("x-y", "(?<left>\\w)-.", "${left}\\$1\\\\", &["is_regex"]), "x$1\\");
        let table = text_table(&[Some("x")]).0;
        for (replacement, message) in
            [("$3", "no group 3"), ("${no}", "no group 'no'"), ("$", "followed by a group"), ("\\", "backslash")]
        {
            let told = problems(&Replace, &config("(.)(.)", replacement, &["is_regex"]), &table);
            assert!(told[0].contains(message) && told[0].contains("option 'replacement'"), "{told:?}");
        }
    }

    #[test]
    fn other_types_are_replaced_in_their_text() {
        let config =
            object(vec![("replace_field", text("score")), ("pattern", text(".5")), ("replacement", text(",5"))]);
        let (_, rows) = run(&Replace, &config, &mixed_table());
        assert_eq!(rows, ["+I 1, Alice, 1,5", "-U 2, , 2,5", "-D 3, Bob, "]);
    }

    #[test]
    fn mistakes_are_told_together() {
        let table = text_table(&[Some("x")]).0;
        let mut bad = config("(x", "", &["is_regex"]);
        let crate::config::ValueKind::Object(object) = &mut bad.kind else { panic!("an object") };
        object.remove("replace_field");
        object.insert("replace_field", super::super::testing::at(), text("S"));
        let told = problems(&Replace, &bad, &table);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("did you mean 's'?"), "{told:?}");
        assert!(told[1].contains("regular expression '(x'"), "{told:?}");
        let (_, warnings) = plan_with_warnings(&Replace, &config("x", "y", &["replace_first"]), &table);
        assert!(warnings[0].contains("only with 'is_regex = true'"), "{warnings:?}");
    }

    proptest! {
        #[test]
        fn plain_text_is_replaced_as_the_standard_library_does(
            input in "[ab]{0,12}", pattern in "[ab]{0,2}", replacement in "[a-c$]{0,2}",
        ) {
            let replacer = Replacer::Text { pattern: pattern.clone(), replacement: replacement.clone() };
            let mut out = String::new();
            replacer.replace(&input, &mut out).expect("replaced");
            prop_assert_eq!(out, input.replace(&pattern, &replacement));
        }
    }
}
