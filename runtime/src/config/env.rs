//! The `env` block (contract B.9).

use std::time::Duration;

use super::options::{OptionKind, OptionSpec, OptionTable, Options};
use super::problem::{Problem, Problems};
use super::value::{Object, Position, SECRET_MASK, Value, ValueKind, is_secret_key};
use crate::plugin::JobMode;

/// Most parallel tasks that one block may ask for.
pub const PARALLELISM_MAX: usize = 4096;

/// Where schema and data save modes run. This program is one process, so both mean the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaveModeLocation {
    /// `CLUSTER`
    #[default]
    Cluster,
    /// `CLIENT`
    Client,
}

/// The options of `env`.
pub const ENV_OPTIONS: OptionTable = &[
    OptionSpec::new("job.name", OptionKind::Text, "Name of the job.").example("\"nightly import\""),
    OptionSpec::new("job.mode", OptionKind::OneOf(&["BATCH", "STREAMING"]), "Whether the job ends with its sources.")
        .default("BATCH"),
    OptionSpec::new("parallelism", OptionKind::INTEGER, "Parallel tasks of each source that does not say otherwise.")
        .default("1"),
    OptionSpec::new(
        "job.retry.times",
        OptionKind::Integer { min: 0, max: 1_000_000 },
        "Restarts of a failed pipeline.",
    )
    .default("3"),
    OptionSpec::new(
        "job.retry.interval.seconds",
        OptionKind::Integer { min: 0, max: 31_536_000 },
        "Seconds before a restart.",
    )
    .default("3"),
    OptionSpec::new(
        "checkpoint.interval",
        OptionKind::Integer { min: 10, max: i64::MAX },
        "Milliseconds between checkpoints; without it batch jobs take none.",
    )
    .example("10000"),
    OptionSpec::new("checkpoint.timeout", OptionKind::POSITIVE, "Milliseconds that a checkpoint may take.")
        .example("60000"),
    OptionSpec::new("read_limit.rows_per_second", OptionKind::POSITIVE, "Most rows a second of each source task."),
    OptionSpec::new("read_limit.bytes_per_second", OptionKind::POSITIVE, "Most bytes a second of each source task."),
    OptionSpec::new(
        "savemode.execute.location",
        OptionKind::OneOf(&["CLUSTER", "CLIENT"]),
        "Where schema and data save modes run; both mean this process.",
    )
    .default("CLUSTER"),
    OptionSpec::new(
        "jars",
        OptionKind::Text,
        "Java archives of the original; there is nothing here to load them into.",
    ),
    OptionSpec::new("custom_parameters", OptionKind::TextMap, "Free pairs that plugins may look at."),
    OptionSpec::new("tag_filter", OptionKind::TextMap, "Tags that a node must have to run the job."),
    OptionSpec::new("shade.identifier", OptionKind::Text, "How secrets in the config are encoded.").default("default"),
    OptionSpec::new("shade.options", OptionKind::TextList, "Further options that are encoded.").example("[secret]"),
];

/// Prefixes of options that are for other engines.
const OTHER_ENGINES: [&str; 2] = ["flink", "spark"];

/// Names of earlier releases and of other engines that mean nothing to this one, and those that do.
const OUTDATED: [(&str, &str); 4] = [
    ("execution.parallelism", "parallelism"),
    ("execution.checkpoint.interval", "checkpoint.interval"),
    ("execution.checkpoint.timeout", "checkpoint.timeout"),
    ("checkpoint-interval", "checkpoint.interval"),
];

/// What `env` says, checked.
#[derive(Clone, Debug)]
pub struct Env {
    /// `job.name`, if given.
    pub job_name: Option<Box<str>>,
    /// `job.mode`.
    pub mode: JobMode,
    /// `parallelism`, if given; 1 to [`PARALLELISM_MAX`].
    pub parallelism: Option<usize>,
    /// `job.retry.times`
    pub retry_times: u32,
    /// `job.retry.interval.seconds`
    pub retry_interval: Duration,
    /// `checkpoint.interval`, if given.
    pub checkpoint_interval: Option<Duration>,
    /// `checkpoint.timeout`, if given.
    pub checkpoint_timeout: Option<Duration>,
    /// `read_limit.rows_per_second`, for each source task.
    pub rows_per_second_max: Option<u64>,
    /// `read_limit.bytes_per_second`, for each source task.
    pub bytes_per_second_max: Option<u64>,
    /// `savemode.execute.location`
    pub save_mode_location: SaveModeLocation,
    /// `jars`, split at `;`.
    pub jars: Vec<Box<str>>,
    /// `custom_parameters`
    pub custom_parameters: Vec<(String, String)>,
    /// `tag_filter`
    pub tag_filter: Vec<(String, String)>,
    /// `shade.identifier`
    pub shade_identifier: Box<str>,
    /// Every option, known or not, with a flat dotted key and its value as the text that was written: `envOptions`
    /// (contract A.5). Secrets are masked: anybody may read these.
    pub flat: Vec<(String, String)>,
    /// The block as written.
    pub options: Object,
}

impl Env {
    /// Reads the block, and tells what is wrong in it.
    pub(super) fn read(options: Object, position: &Position, problems: &mut Problems) -> Self {
        let read = Options::new(&options, ENV_OPTIONS);
        let also_known: Vec<&str> = OTHER_ENGINES.into_iter().chain(OUTDATED.map(|(old, _)| old)).collect();
        read.check("env", position, &also_known, problems);
        let mut flat = Vec::new();
        flatten(&options, "", &mut flat);
        tell_without_effect(&options, &flat, problems);
        let millis =
            |name: &str| read.integer(name).and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis);
        let limit = |name: &str| read.integer(name).and_then(|limit| u64::try_from(limit).ok());
        Self {
            job_name: read.text("job.name").filter(|name| !name.is_empty()).map(Into::into),
            mode: match read.word("job.mode") {
                Some("STREAMING") => JobMode::Streaming,
                _ => JobMode::Batch,
            },
            parallelism: read.value("parallelism").and_then(|value| parallelism(value, "env", problems)),
            retry_times: read.integer("job.retry.times").and_then(|times| u32::try_from(times).ok()).unwrap_or(3),
            retry_interval: Duration::from_secs(limit("job.retry.interval.seconds").unwrap_or(3)),
            checkpoint_interval: millis("checkpoint.interval"),
            checkpoint_timeout: millis("checkpoint.timeout"),
            rows_per_second_max: limit("read_limit.rows_per_second"),
            bytes_per_second_max: limit("read_limit.bytes_per_second"),
            save_mode_location: match read.word("savemode.execute.location") {
                Some("CLIENT") => SaveModeLocation::Client,
                _ => SaveModeLocation::Cluster,
            },
            jars: read.text("jars").map_or_else(Vec::new, |jars| {
                jars.split(';').map(str::trim).filter(|jar| !jar.is_empty()).map(Into::into).collect()
            }),
            custom_parameters: read.text_map("custom_parameters").unwrap_or_default(),
            tag_filter: read.text_map("tag_filter").unwrap_or_default(),
            shade_identifier: read.text("shade.identifier").unwrap_or_else(|| "default".into()).into(),
            flat,
            options,
        }
    }
}

/// Warns about options that are accepted and do nothing.
fn tell_without_effect(options: &Object, flat: &[(String, String)], problems: &mut Problems) {
    let given = |name: &str| options.get(name).filter(|value| !value.is_null()).map(|value| value.position.clone());
    for (name, why) in [
        ("jars", "Java archives are not loaded: plugins are built in"),
        ("tag_filter", "nodes are not told apart by tags: the job runs on the node that takes it"),
        ("custom_parameters", "no plugin of this build looks at them"),
    ] {
        if let Some(position) = given(name) {
            problems.push(Problem::warning(position, why).in_block("env").of_option(name));
        }
    }
    for (old, new) in OUTDATED {
        if let Some(position) = given(old) {
            let warning = Problem::warning(position, "has no effect, here as in the original");
            problems.push(warning.in_block("env").of_option(old).with_help(format!("write {new}")));
        }
    }
    let of_others = |key: &str| OTHER_ENGINES.iter().any(|engine| key.split('.').next() == Some(*engine));
    for (key, _) in flat.iter().filter(|(key, _)| of_others(key)) {
        tracing::debug!(option = key, "an option of another engine, ignored");
    }
}

/// Reads a `parallelism`: what is below one counts as one (contract B.4).
pub(super) fn parallelism(value: &Value, block: &str, problems: &mut Problems) -> Option<usize> {
    let number = value.to_integer()?;
    let about = |problem: Problem| problem.in_block(block).of_option("parallelism");
    match usize::try_from(number) {
        Ok(number @ 1..=PARALLELISM_MAX) => Some(number),
        Ok(number) if number > PARALLELISM_MAX => {
            let message = format!("expected a whole number from 1 to {PARALLELISM_MAX}, found '{number}'");
            problems.push(about(Problem::error(value.position.clone(), message)));
            None
        }
        _ => {
            let message = format!("'{number}' counts as 1: fewer tasks cannot be");
            problems.push(about(Problem::warning(value.position.clone(), message)));
            Some(1)
        }
    }
}

/// Every scalar and list with its dotted key, secrets masked; null is as good as not given.
fn flatten(object: &Object, prefix: &str, flat: &mut Vec<(String, String)>) {
    for entry in object.entries() {
        let key = if prefix.is_empty() { entry.key.to_string() } else { format!("{prefix}.{}", entry.key) };
        match &entry.value.kind {
            ValueKind::Object(inner) => flatten(inner, &key, flat),
            ValueKind::Null => {}
            _ => {
                let text = if is_secret_key(&key) { SECRET_MASK.to_owned() } else { plain_text(&entry.value) };
                // The same option in two spellings shows once, as the last one says.
                match flat.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, old)) => *old = text,
                    None => flat.push((key, text)),
                }
            }
        }
    }
}

/// A value as Java prints it: `[a, b]`, `{k=v}`.
fn plain_text(value: &Value) -> String {
    match &value.kind {
        ValueKind::List(items) => format!("[{}]", items.iter().map(plain_text).collect::<Vec<_>>().join(", ")),
        ValueKind::Object(object) => {
            let pairs = object.entries().iter().map(|entry| format!("{}={}", entry.key, plain_text(&entry.value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        _ => value.to_text().unwrap_or("null").to_owned(),
    }
}
