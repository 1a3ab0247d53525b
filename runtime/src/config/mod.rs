//! Job configs: from text to a typed, validated job (contract C).
//!
//! [`read_job`] is the way in. A text is read into an [`Object`] by the parser of the config language (`hocon`) or by
//! that of JSON (`json`), variables are replaced (`variables`), and the tree becomes a [`JobConfig`] (`job`, `env`).
//! What plugins make of their options ([`Options`]), how types and schemas are read ([`parse_type`],
//! [`parse_schema`]) is here as well. Everything that is wrong is gathered in [`Problems`], with its place.

mod cursor;
mod env;
mod hocon;
mod job;
mod json;
mod key_index;
mod limits;
mod options;
mod problem;
mod read;
mod render;
mod schema;
mod shade;
mod text;
mod types;
mod utf8;
mod value;
mod variables;

pub use env::{ENV_OPTIONS, Env, PARALLELISM_MAX, SaveModeLocation};
pub use hocon::Includes;
pub use job::{
    COMMON_OPTIONS, JobConfig, MISSING_ENV, MISSING_PLUGIN_NAME, MISSING_SINK, MISSING_SOURCE, PluginConfig,
};
pub use limits::{Limits, TEXT_BYTES_MAX};
pub use options::{OptionKind, OptionSpec, OptionTable, Options};
pub use problem::{PROBLEMS_MAX, Problem, Problems, REQUIRED, Severity, nearest};
pub use read::{Examined, ReadOptions, Secrets, Syntax, examine_job, job_from_tree, read_job, read_tree};
pub use render::{render_json, render_json_pretty, render_json_value};
pub use schema::{SCHEMA_OPTIONS, SchemaContext, parse_schema, schema_of};
pub use shade::{SHADED_KEYS, decode_secrets, encode_secrets};
pub use types::{DECIMAL_PRECISION_MAX, TypeError, parse_type, parse_type_text};
pub use utf8::read_utf8;
pub use value::{Entry, Object, PLUGIN_NAME, Position, SECRET_MASK, Text, Value, ValueKind, is_secret_key};
pub use variables::{RESERVED_WORDS, Unresolved, Variables};

#[cfg(test)]
mod conformance {
    //! Reads job configs as people write them, where a folder of them is given.

    use super::*;

    #[test]
    fn every_config_of_the_corpus_is_read() {
        let Some(folder) = std::env::var_os("EGRET_CONFORMANCE") else {
            eprintln!("SKIPPED: EGRET_CONFORMANCE does not name a folder with job configs, none were read");
            return;
        };
        let cases = std::path::Path::new(&folder).join("cases");
        let mut count = 0;
        for file in std::fs::read_dir(&cases).expect("the folder's cases") {
            let path = file.expect("a case").path();
            let text = std::fs::read_to_string(&path).expect("text");
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let variables = [("file_format_type", "csv"), ("enable_header_write", "true")];
            let options = ReadOptions { variables: variables.into_iter().collect(), ..ReadOptions::default() };
            let (job, warnings) = read_job(&text, &name, &options).unwrap_or_else(|problems| panic!("{problems}"));
            if !warnings.is_empty() {
                eprintln!("{warnings}");
            }
            schemas_are_read(&job);
            // What was read, written as JSON, is the same job again by both readers.
            let (tree, _) = read_tree(&text, &name, &options).expect("a tree");
            let json = render_json(&tree, false);
            let as_json = ReadOptions { syntax: Syntax::Json, unresolved: Unresolved::Keep, ..ReadOptions::default() };
            let (again, _) = read_tree(&json, "again", &as_json).expect("JSON");
            assert_eq!(again, tree, "{name}");
            let (again, _) =
                read_tree(&json, "again", &ReadOptions { syntax: Syntax::Hocon, ..as_json }).expect("HOCON");
            assert_eq!(again, tree, "{name}");
            count += 1;
        }
        assert!(count > 0, "no cases in {}", cases.display());
        eprintln!("{count} configs read");
    }

    fn schemas_are_read(job: &JobConfig) {
        for source in &job.sources {
            let tables = source.options.get("tables_configs").and_then(Value::as_list).unwrap_or_default();
            let objects = std::iter::once(&source.options).chain(tables.iter().filter_map(Value::as_object));
            for schema in objects.filter_map(schema_of) {
                let block = source.block();
                let default_path = crate::row::TablePath::bare("t");
                let context = SchemaContext { plugin: &source.name, block: &block, default_path: &default_path };
                let mut warnings = Problems::default();
                parse_schema(&schema, &context, &mut warnings).unwrap_or_else(|problems| panic!("{problems}"));
                assert!(warnings.is_empty(), "{warnings}");
            }
        }
    }
}
