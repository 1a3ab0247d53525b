//! A job config, typed and checked as far as that goes without knowing the plugins.

use super::env::{Env, parallelism};
use super::options::OptionKind;
use super::problem::{Problem, Problems, nearest};
use super::value::{Object, PLUGIN_NAME, Position, Value, ValueKind};
use crate::plugin::PluginKind;

/// Message for a config without `env` (contract A.4).
pub const MISSING_ENV: &str = "No configuration setting found for key 'env'";
/// Message for a config without sources (contract A.4).
pub const MISSING_SOURCE: &str = "Miss <Source> config! Please check the config file.";
/// Message for a config without sinks (contract A.4).
pub const MISSING_SINK: &str = "Miss <Sink> config! Please check the config file.";
/// Message for a block that does not name its plugin (contract A.4).
pub const MISSING_PLUGIN_NAME: &str = "The 'plugin_name' option is not configured, please configure it.";

/// Names that blocks of every kind may have, for [`Options::check`](super::Options::check)'s `also_known`: they are
/// dealt with here or in the planning of the graph.
pub const COMMON_OPTIONS: &[&str] = &[
    PLUGIN_NAME,
    "plugin_input",
    "plugin_output",
    "source_table_name",
    "result_table_name",
    "parallelism",
    "multi_table_sink_replica",
];

/// Other names for what a block reads.
const INPUT: [&str; 2] = ["plugin_input", "source_table_name"];
/// Other names for what a block gives.
const OUTPUT: [&str; 2] = ["plugin_output", "result_table_name"];

/// Keys of the top level. `params` belongs to requests that submit several jobs.
const ROOT_KEYS: [&str; 5] = ["env", "source", "transform", "sink", "params"];

/// A job as its config describes it. Names are not wired and options of plugins not looked at yet.
#[derive(Clone, Debug)]
pub struct JobConfig {
    /// The `env` block.
    pub env: Env,
    /// Sources in the order of the text; at least one.
    pub sources: Vec<PluginConfig>,
    /// Transforms in the order of the text.
    pub transforms: Vec<PluginConfig>,
    /// Sinks in the order of the text; at least one.
    pub sinks: Vec<PluginConfig>,
}

/// One block under `source`, `transform` or `sink`.
#[derive(Clone, Debug)]
pub struct PluginConfig {
    /// Which of the three.
    pub kind: PluginKind,
    /// Which of them, from 0.
    pub index: usize,
    /// Name of the plugin as written.
    pub name: Box<str>,
    /// The block as written, variables replaced.
    pub options: Object,
    /// Where the block begins.
    pub position: Position,
    /// `plugin_input` (`source_table_name`) in order; empty when not given.
    pub inputs: Vec<Box<str>>,
    /// `plugin_output` (`result_table_name`), if given.
    pub output: Option<Box<str>>,
    /// `parallelism`, if given.
    pub parallelism: Option<usize>,
    /// Whether a part of the block could not be read: what its options lack may then be there all the same.
    pub damaged: bool,
}

impl PluginConfig {
    /// How messages name the block: `source[0] FakeSource`.
    pub fn block(&self) -> String {
        format!("{}[{}] {}", self.kind, self.index, self.name)
    }
}

impl JobConfig {
    /// All blocks: sources, transforms, sinks.
    pub fn plugins(&self) -> impl Iterator<Item = &PluginConfig> {
        self.sources.iter().chain(&self.transforms).chain(&self.sinks)
    }
}

/// What is known about how the tree was read.
pub(super) struct Reading<'r> {
    pub file: Position,
    pub damaged: &'r [Position],
    /// Whether the text is JSON, so that cures are told in JSON.
    pub json: bool,
    /// Whether the syntax is broken somewhere: what seems to be missing may then stand there.
    pub broken: bool,
    /// Whether the nesting is in doubt.
    pub structure_lost: bool,
    /// Whether values are not judged.
    pub grammar_only: bool,
    /// Whether a variable that is not set is told by itself, or is none of the reader's business.
    pub variables_judged: bool,
    /// Whether a root key has its use in a reference.
    pub is_used: &'r dyn Fn(&str) -> bool,
}

impl Reading<'_> {
    fn cure<'c>(&self, in_json: &'c str, in_config_language: &'c str) -> &'c str {
        if self.json { in_json } else { in_config_language }
    }
}

/// Builds the job from a tree; what is wrong is told in `problems`.
pub(super) fn build(mut tree: Object, reading: &Reading<'_>, problems: &mut Problems) -> JobConfig {
    warn_unknown_roots(&tree, reading, problems);
    let env_position = tree.entry("env").map_or_else(|| reading.file.clone(), |entry| entry.key_position.clone());
    let env = match tree.remove("env").map(|value| value.kind) {
        Some(ValueKind::Object(object)) => object,
        None | Some(ValueKind::Null) => {
            let cure = reading.cure(r#"add "env": {"job.mode": "BATCH"}"#, r#"add env { job.mode = "BATCH" }"#);
            missing(reading, &reading.file, MISSING_ENV, cure, problems);
            Object::default()
        }
        Some(_) => {
            problems.push(Problem::error(env_position.clone(), "expected an object").in_block("env"));
            Object::default()
        }
    };
    let mut ignored = Problems::default();
    let env = Env::read(env, &env_position, if reading.grammar_only { &mut ignored } else { &mut *problems });
    let sources = blocks(&mut tree, PluginKind::Source, reading, problems);
    let transforms = blocks(&mut tree, PluginKind::Transform, reading, problems);
    let sinks = blocks(&mut tree, PluginKind::Sink, reading, problems);
    JobConfig { env, sources, transforms, sinks }
}

fn missing(reading: &Reading<'_>, position: &Position, message: &str, help: &str, problems: &mut Problems) {
    if !reading.broken {
        problems.push(Problem::error(position.clone(), message).with_help(help));
    }
}

fn warn_unknown_roots(tree: &Object, reading: &Reading<'_>, problems: &mut Problems) {
    for entry in tree.entries() {
        if ROOT_KEYS.contains(&entry.key.as_ref()) || (reading.is_used)(&entry.key) || reading.structure_lost {
            continue;
        }
        let message = format!("'{}' has no meaning at the top level and no effect", entry.key);
        let problem = Problem::warning(entry.key_position.clone(), message);
        problems.push(match nearest(&entry.key, ROOT_KEYS.into_iter().filter(|key| *key != "params")) {
            Some(key) => problem.with_help(format!("did you mean '{key}'?")),
            None => problem,
        });
    }
}

fn blocks(tree: &mut Object, kind: PluginKind, reading: &Reading<'_>, problems: &mut Problems) -> Vec<PluginConfig> {
    let key = kind.to_string();
    let position = tree.entry(&key).map_or_else(|| reading.file.clone(), |entry| entry.key_position.clone());
    let items = match tree.remove(&key).map(|value| value.kind) {
        Some(ValueKind::List(items)) => items,
        None | Some(ValueKind::Null) => Vec::new(),
        Some(_) => {
            let problem =
                Problem::error(position, "expected plugin blocks in braces, or a list of them").in_block(&key);
            let in_json = format!(r#"write "{key}": [{{"plugin_name": "...", ...}}]"#);
            let in_config_language = format!("write {key} {{ PluginName {{ ... }} }}");
            problems.push(problem.with_help(reading.cure(&in_json, &in_config_language)));
            return Vec::new();
        }
    };
    if items.is_empty() {
        match kind {
            PluginKind::Source => {
                let in_json = r#"add "source": [{"plugin_name": "FakeSource", ...}]"#;
                let cure = reading.cure(in_json, "add source { FakeSource { ... } }");
                missing(reading, &position, MISSING_SOURCE, cure, problems);
            }
            PluginKind::Transform => {}
            PluginKind::Sink => {
                let cure = reading.cure(r#"add "sink": [{"plugin_name": "Console"}]"#, "add sink { Console { } }");
                missing(reading, &position, MISSING_SINK, cure, problems);
            }
        }
    }
    items.into_iter().enumerate().filter_map(|(index, item)| block(kind, index, item, reading, problems)).collect()
}

fn block(
    kind: PluginKind,
    index: usize,
    item: Value,
    reading: &Reading<'_>,
    problems: &mut Problems,
) -> Option<PluginConfig> {
    let position = item.position.clone();
    let damaged = reading.damaged.contains(&position);
    let unnamed = format!("{kind}[{index}]");
    if let ValueKind::Text(text) = &item.kind
        && text.contains("${")
        && reading.variables_judged
    {
        // `Filter = ${filter}`: the variable is told where it is not set, and what it holds nobody knows.
        let name = Box::from(text.as_ref());
        let (options, inputs) = (Object::default(), Vec::new());
        return Some(PluginConfig {
            kind,
            index,
            name,
            options,
            position,
            inputs,
            output: None,
            parallelism: None,
            damaged: true,
        });
    }
    let ValueKind::Object(options) = item.kind else {
        let message = format!("expected a plugin's options in braces, found {}", item.kind_name());
        problems.push(Problem::error(position, message).in_block(unnamed));
        return None;
    };
    let name = options.get(PLUGIN_NAME).and_then(Value::to_text).map(str::trim).filter(|name| !name.is_empty());
    let Some(name) = name.map(Box::<str>::from) else {
        if !damaged {
            let help = reading.cure(
                r#"name the plugin, for example "plugin_name": "Console""#,
                r#"name the plugin, for example plugin_name = "Console""#,
            );
            problems.push(Problem::error(position, MISSING_PLUGIN_NAME).in_block(unnamed).with_help(help));
        }
        return None;
    };
    let block = format!("{kind}[{index}] {name}");
    let inputs = inputs(&options, kind, &block, problems);
    let output = output(&options, kind, &block, problems);
    let given = options.get("parallelism").filter(|value| !value.is_null() && !reading.grammar_only);
    let parallelism = given.and_then(|value| {
        if value.to_integer().is_none() {
            problems.push(wrong(value, &block, "parallelism", &OptionKind::INTEGER.describe()));
        }
        parallelism(value, &block, problems)
    });
    Some(PluginConfig { kind, index, name, options, position, inputs, output, parallelism, damaged })
}

fn wrong(value: &Value, block: &str, option: &str, expected: &str) -> Problem {
    let found = value.to_text().map_or_else(|| value.kind_name().to_owned(), |text| format!("'{text}'"));
    Problem::error(value.position.clone(), format!("expected {expected}, found {found}"))
        .in_block(block)
        .of_option(option)
}

/// The value under the newer or the older name. When both are given the newer wins.
fn either<'o>(
    options: &'o Object,
    names: [&'static str; 2],
    block: &str,
    problems: &mut Problems,
) -> Option<(&'static str, &'o Value)> {
    let given = |name: &'static str| options.get(name).filter(|value| !value.is_null()).map(|value| (name, value));
    let [newer, older] = names;
    if let (Some((_, one)), Some((_, other))) = (given(newer), given(older))
        && one != other
    {
        let message = format!("'{newer}' is given as well, and that one counts");
        problems.push(Problem::warning(other.position.clone(), message).in_block(block).of_option(older));
    }
    given(newer).or_else(|| given(older))
}

/// Text, a comma text, or a list of texts.
fn inputs(options: &Object, kind: PluginKind, block: &str, problems: &mut Problems) -> Vec<Box<str>> {
    let Some((option, value)) = either(options, INPUT, block, problems) else { return Vec::new() };
    if kind == PluginKind::Source {
        let message = "a source reads no table: this has no effect";
        problems.push(Problem::warning(value.position.clone(), message).in_block(block).of_option(option));
        return Vec::new();
    }
    let split = |text: &str| -> Vec<Box<str>> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Into::into).collect()
    };
    let names: Option<Vec<Box<str>>> = match value.to_list() {
        Some(items) => items
            .iter()
            .map(Value::to_text)
            .collect::<Option<Vec<&str>>>()
            .map(|items| items.into_iter().flat_map(split).collect()),
        None => value.to_text().map(split),
    };
    names.unwrap_or_else(|| {
        problems.push(wrong(value, block, option, "the name of a table or a list of them"));
        Vec::new()
    })
}

fn output(options: &Object, kind: PluginKind, block: &str, problems: &mut Problems) -> Option<Box<str>> {
    let (option, value) = either(options, OUTPUT, block, problems)?;
    if kind == PluginKind::Sink {
        let message = "a sink gives no table: this has no effect";
        problems.push(Problem::warning(value.position.clone(), message).in_block(block).of_option(option));
        return None;
    }
    match value.to_text().map(str::trim) {
        Some("") => None,
        Some(name) => Some(name.into()),
        None => {
            problems.push(wrong(value, block, option, "the name of a table"));
            None
        }
    }
}
