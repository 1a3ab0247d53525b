//! From text to tree to job.

use std::path::Path;
use std::sync::Arc;

use super::hocon::{self, Includes};
use super::job::{self, JobConfig, Reading};
use super::json::{self, named_block};
use super::limits::Limits;
use super::problem::{Problem, Problems};
use super::shade;
use super::value::{Object, Position, Value, ValueKind};
use super::variables::{self, Unresolved, Variables};

/// Language of a config text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syntax {
    /// The config language.
    Hocon,
    /// JSON, strictly.
    Json,
    /// JSON when the name ends in `.json`, else the config language.
    #[default]
    ByFileName,
}

/// What becomes of secrets that are encoded as `env.shade.identifier` says (contract G).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secrets {
    /// They are decoded: configs that are to be run or checked.
    #[default]
    Decode,
    /// They stay as they are.
    Keep,
}

/// How to read a config.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Language of the text.
    pub syntax: Syntax,
    /// Values of `${name}`.
    pub variables: Variables,
    /// What becomes of variables that are not set.
    pub unresolved: Unresolved,
    /// What becomes of secrets that are encoded.
    pub secrets: Secrets,
    /// Whether grammar and wiring alone are judged, and no values: neither what variables stand for, nor how secrets
    /// are encoded, nor the options of `env`.
    pub grammar_only: bool,
    /// Which files may be included. Reading them blocks: not for front executors.
    pub includes: Includes,
    /// Bounds.
    pub limits: Limits,
}

/// A config read as far as it can be.
#[derive(Debug)]
pub struct Examined {
    /// The job, with what could be read of it. It may run only when `problems` has no errors; otherwise its blocks
    /// that are not [`damaged`](super::PluginConfig::damaged) can still be checked to tell all mistakes at once.
    pub job: JobConfig,
    /// Everything found, in the order of the text.
    pub problems: Problems,
    /// Variables that are not set, errors all of them. Kept apart, because in the blocks of plugins that do not exist
    /// nobody knows what `${...}` means ([`crate::plan::unset_variables`]).
    pub unset: Problems,
}

/// Reads a job config. `name` is what messages call the text: a file name, or `<request body>`.
///
/// Gives the job and the warnings.
///
/// # Errors
/// With every error and warning found, in the order of the text, when there is an error.
pub fn read_job(text: &str, name: &str, options: &ReadOptions) -> Result<(JobConfig, Problems), Problems> {
    let Examined { job, mut problems, unset } = examine_job(text, name, options);
    problems.append(unset);
    problems.sort_by_position();
    if problems.has_errors() { Err(problems) } else { Ok((job, problems)) }
}

/// Reads a job config as far as it can be, for checks that go on after errors.
pub fn examine_job(text: &str, name: &str, options: &ReadOptions) -> Examined {
    let mut read = read(text, name, options);
    let reading = Reading {
        file: Position { file: name.into(), line: 1, column: 1 },
        damaged: &read.damaged,
        json: read.json,
        broken: read.broken,
        structure_lost: read.structure_lost,
        grammar_only: options.grammar_only,
        variables_judged: options.grammar_only || options.unresolved == Unresolved::Error,
        is_used: &|key| is_used(&read.used, key),
    };
    let mut found = Problems::default();
    let job = job::build(read.tree, &reading, &mut found);
    // Where the nesting is in doubt, what is only odd says nothing.
    let (errors, odd) = found.split();
    read.problems.append(errors);
    if !read.structure_lost {
        read.problems.append(odd);
    }
    read.problems.sort_by_position();
    Examined { job, problems: read.problems, unset: read.unset }
}

/// Reads a config as a tree in which `source`, `transform` and `sink` are lists of objects with a `plugin_name`,
/// references and variables replaced.
///
/// # Errors
/// With every syntax error and warning, when there is an error.
pub fn read_tree(text: &str, name: &str, options: &ReadOptions) -> Result<(Object, Problems), Problems> {
    let mut read = read(text, name, options);
    read.problems.append(std::mem::take(&mut read.unset));
    read.problems.sort_by_position();
    if read.problems.has_errors() { Err(read.problems) } else { Ok((read.tree, read.problems)) }
}

/// Builds the job from a tree as [`read_tree`] gives it, say one of several in a request.
///
/// # Errors
/// With every error and warning found, when there is an error.
pub fn job_from_tree(mut tree: Object, name: &str) -> Result<(JobConfig, Problems), Problems> {
    let mut problems = Problems::default();
    list_blocks(&mut tree);
    let file = Position { file: name.into(), line: 1, column: 1 };
    let reading = Reading {
        file,
        damaged: &[],
        json: true,
        broken: false,
        structure_lost: false,
        grammar_only: false,
        variables_judged: false,
        is_used: &|_| false,
    };
    let job = job::build(tree, &reading, &mut problems);
    problems.sort_by_position();
    if problems.has_errors() { Err(problems) } else { Ok((job, problems)) }
}

/// A text read, and how that went.
struct Read {
    tree: Object,
    problems: Problems,
    unset: Problems,
    damaged: Vec<Position>,
    json: bool,
    /// Whether the syntax is broken.
    broken: bool,
    structure_lost: bool,
    used: std::collections::BTreeSet<Box<str>>,
}

impl Read {
    fn unreadable(problems: Problems) -> Self {
        Self {
            tree: Object::default(),
            problems,
            unset: Problems::default(),
            damaged: Vec::new(),
            json: false,
            broken: true,
            structure_lost: true,
            used: std::collections::BTreeSet::new(),
        }
    }
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case(extension))
}

fn read(text: &str, name: &str, options: &ReadOptions) -> Read {
    let file: Arc<str> = name.into();
    let limits = options.limits;
    if text.len() > limits.text_bytes_max {
        let message = format!("the text has {} bytes, and at most {} are read", text.len(), limits.text_bytes_max);
        let position = Position { file, line: 1, column: 1 };
        return Read::unreadable(Problem::error(position, message).into());
    }
    if options.syntax == Syntax::ByFileName && has_extension(name, "sql") {
        let message = "configs in SQL are not supported by this release";
        let help = "write it in the config language: source { ... } transform { ... } sink { ... }";
        let problems = Problem::error(Position { file, line: 1, column: 1 }, message).with_help(help).into();
        return Read::unreadable(problems);
    }
    let is_json = match options.syntax {
        Syntax::Hocon => false,
        Syntax::Json => true,
        Syntax::ByFileName => has_extension(name, "json"),
    };
    let mut read = if is_json {
        let json::Parsed { tree, problems, damaged, structure_lost } = json::parse(text, &file, limits);
        Read {
            tree,
            broken: problems.has_errors(),
            problems,
            unset: Problems::default(),
            damaged,
            json: true,
            structure_lost,
            used: std::collections::BTreeSet::new(),
        }
    } else {
        let kind = hocon::Kind::Job;
        let hocon::Parsed { tree, problems, damaged, structure_lost, used } =
            hocon::parse(text, file, kind, &options.variables, options.includes.clone(), limits);
        let broken = problems.has_errors();
        Read { tree, broken, problems, unset: Problems::default(), damaged, json: false, structure_lost, used }
    };
    list_blocks(&mut read.tree);
    let unresolved = if options.grammar_only { Unresolved::Keep } else { options.unresolved };
    read.unset = variables::expand(&mut read.tree, &options.variables, unresolved, limits, &mut read.problems);
    list_blocks(&mut read.tree);
    if options.secrets == Secrets::Decode && !options.grammar_only {
        shade::decode_secrets(&mut read.tree, None, &mut read.problems);
    }
    read
}

/// Whether a reference led to a root key or beneath it.
fn is_used(used: &std::collections::BTreeSet<Box<str>>, key: &str) -> bool {
    let beneath = format!("{key}.");
    used.contains(key)
        || used.range(Box::from(beneath.as_str())..).next().is_some_and(|path| path.starts_with(&beneath))
}

/// Turns plugin blocks that came as an object (by a reference or a variable) into the list that they are.
fn list_blocks(tree: &mut Object) {
    for root in hocon::PLUGIN_ROOTS.into_iter().chain(["env"]) {
        let Some(value) = tree.get_exact_mut(root) else { continue };
        if let ValueKind::Text(_) = value.kind {
            *value = value.as_written_or_spelled().clone();
        }
        if root == "env" {
            continue;
        }
        let ValueKind::Object(object) = &mut value.kind else { continue };
        let blocks = std::mem::take(object).into_entries().into_iter().map(|entry| {
            let kind = match entry.value.kind {
                ValueKind::Object(options) => ValueKind::Object(named_block(options, &entry.key, &entry.key_position)),
                other => other,
            };
            Value { kind, position: entry.key_position }
        });
        value.kind = ValueKind::List(blocks.collect());
    }
}

#[cfg(test)]
mod tests;
