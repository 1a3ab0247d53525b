//! Transforms of the original that this engine knows by name only, to say why they do not run and what to do instead.

use std::sync::Arc;

use crate::config::{OptionKind, OptionSpec, OptionTable, Options, Problems};
use crate::plugin::{PlanContext, Plugin, TransformFactory, TransformPlan};
use crate::row::TableSchema;

/// A transform that is refused whenever a job is checked.
pub(super) struct Unsupported {
    name: &'static str,
    options: OptionTable,
    summary: &'static str,
    reason: &'static str,
    instead: &'static str,
}

const TEXT: OptionKind = OptionKind::Text;

/// Their options are known, so that the one error stands alone.
pub(super) const ALL: [Unsupported; 3] = [
    Unsupported {
        name: "DynamicCompile",
        options: &[
            OptionSpec::new("compile_language", TEXT, "GROOVY or JAVA."),
            OptionSpec::new("compile_pattern", TEXT, "SOURCE_CODE or ABSOLUTE_PATH."),
            OptionSpec::new("source_code", TEXT, "The code."),
            OptionSpec::new("absolute_path", TEXT, "The file of the code."),
        ],
        summary: "Not supported: it runs Groovy or Java code, which needs a Java virtual machine.",
        reason: "it compiles Groovy or Java code while the job runs, which needs a Java virtual machine",
        instead: "write the computed columns as expressions of a Sql transform, or have the code run before or behind \
                  this job",
    },
    Unsupported {
        name: "Embedding",
        options: &[
            OptionSpec::new("model_provider", TEXT, "Whose service computes the vectors."),
            OptionSpec::new("model", TEXT, "The model."),
            OptionSpec::new("api_key", TEXT, "The key of the service."),
            OptionSpec::new("secret_key", TEXT, "The second key of some services."),
            OptionSpec::new("api_path", TEXT, "Address of the service."),
            OptionSpec::new("oauth_path", TEXT, "Address that gives tokens."),
            OptionSpec::new("single_vectorized_input_number", OptionKind::COUNT, "Texts in one request."),
            OptionSpec::new("vectorization_fields", OptionKind::Object, "New columns and those they are made from."),
            OptionSpec::new("process_batch_size", OptionKind::COUNT, "Rows in one batch."),
            OptionSpec::new("custom_config", OptionKind::Object, "How to talk to a service of one's own."),
        ],
        summary: "Not supported: it asks a paid model service over the network for each row.",
        reason: "it sends the rows to a model service on the network, and transforms here compute from their row alone",
        instead: "compute the vectors before this job, and read them as a column of type float_vector",
    },
    Unsupported {
        name: "LLM",
        options: &[
            OptionSpec::new("model_provider", TEXT, "Whose service answers."),
            OptionSpec::new("model", TEXT, "The model."),
            OptionSpec::new("api_key", TEXT, "The key of the service."),
            OptionSpec::new("api_path", TEXT, "Address of the service."),
            OptionSpec::new("prompt", TEXT, "The question."),
            OptionSpec::new("inference_columns", OptionKind::TextList, "Columns that the question is about."),
            OptionSpec::new("output_column_name", TEXT, "The new column."),
            OptionSpec::new("output_data_type", TEXT, "Its type."),
            OptionSpec::new("process_batch_size", OptionKind::COUNT, "Rows in one request."),
            OptionSpec::new("custom_config", OptionKind::Object, "How to talk to a service of one's own."),
            OptionSpec::new("openai.api_path", TEXT, "The older name of api_path."),
        ],
        summary: "Not supported: it asks a paid model service over the network for each row.",
        reason: "it sends the rows to a model service on the network, and transforms here compute from their row alone",
        instead: "ask the service before or behind this job, and read its answers as a column",
    },
];

impl Plugin for Unsupported {
    fn name(&self) -> &'static str {
        self.name
    }

    fn options(&self) -> OptionTable {
        self.options
    }

    fn summary(&self) -> &'static str {
        self.summary
    }
}

impl TransformFactory for Unsupported {
    fn plan(
        &self,
        _options: Options<'_>,
        _input: &Arc<TableSchema>,
        context: &PlanContext,
        _warnings: &mut Problems,
    ) -> Result<Arc<dyn TransformPlan>, Problems> {
        let message = format!("the transform {} is not supported: {}", self.name, self.reason);
        Err(context.error(message).with_help(self.instead).into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{mixed_table, object, problems, text};
    use super::*;

    #[test]
    fn each_says_once_that_it_is_not_supported_and_why_and_what_to_do() {
        for transform in ALL {
            let config = object(vec![(transform.options[0].name, text("X"))]);
            let found = problems(&transform, &config, &mixed_table().0);
            assert_eq!(found.len(), 1, "{found:?}");
            let expected = format!("the transform {} is not supported: it ", transform.name);
            assert!(found[0].contains(&expected) && found[0].contains(transform.instead), "{found:?}");
        }
    }
}
