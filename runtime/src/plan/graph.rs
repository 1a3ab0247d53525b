//! Wiring: which block reads which (contract C.2).

use std::collections::HashMap;

use crate::config::{JobConfig, PluginConfig, Problem, Problems, nearest};
use crate::plugin::PluginKind;

/// A block of the config, by kind and position among the blocks of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct BlockId {
    pub kind: PluginKind,
    pub index: usize,
}

impl BlockId {
    fn new(kind: PluginKind, index: usize) -> Self {
        Self { kind, index }
    }
}

/// The blocks in an order in which every block stands behind those it reads, and what each reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Graph {
    pub order: Vec<BlockId>,
    /// For each block of `order`, the positions in `order` of its inputs.
    pub inputs: Vec<Vec<usize>>,
}

/// Connects the blocks by their table names.
///
/// A *simple* config (one source, at most one transform, one sink) is connected in a row, whatever its names say.
pub(super) fn wire(config: &JobConfig) -> Result<Graph, Problems> {
    if config.sources.len() == 1 && config.sinks.len() == 1 && config.transforms.len() <= 1 {
        return Ok(wire_in_a_row(config.transforms.len()));
    }
    let mut problems = missing_names(config);
    let producers = producers(config, &mut problems);
    let consumers = || config.transforms.iter().chain(&config.sinks);
    for consumer in consumers() {
        for input in consumer.inputs.iter().filter(|input| !producers.contains_key(input.as_ref())) {
            let mut problem = Problem::error(
                consumer.position.clone(),
                format!(
                    "The 'source_table_name' option configured in [{}] is incorrect, and the source/transform[{input}] is not found.",
                    consumer.name
                ),
            )
            .in_block(consumer.block())
            .of_option("plugin_input");
            if let Some(name) = nearest(input, producers.keys().copied()) {
                problem = problem.with_help(format!("did you mean '{name}'?"));
            }
            problems.push(problem);
        }
    }
    for producer in config.sources.iter().chain(&config.transforms) {
        let Some(output) = producer.output.as_deref() else { continue };
        if !consumers().any(|consumer| consumer.inputs.iter().any(|input| input.as_ref() == output)) {
            problems.push(
                Problem::error(
                    producer.position.clone(),
                    format!(
                        "The 'source_table_name' option configured is incorrect, this table({output}) belonging to source/transform({}) is not used.",
                        producer.name
                    ),
                )
                .in_block(producer.block()),
            );
        }
    }
    if problems.has_errors() {
        return Err(problems);
    }
    order(config, &producers)
}

/// What is wrong with how the blocks read each other; for checks that do not look at plugins.
pub fn check_wiring(config: &JobConfig) -> Problems {
    if config.plugins().any(|block| block.damaged) || config.sources.is_empty() || config.sinks.is_empty() {
        // What is missing was reported when the config was read.
        return Problems::default();
    }
    wire(config).err().unwrap_or_default()
}

fn wire_in_a_row(transforms: usize) -> Graph {
    let mut order = vec![BlockId::new(PluginKind::Source, 0)];
    order.extend((0..transforms).map(|index| BlockId::new(PluginKind::Transform, index)));
    order.push(BlockId::new(PluginKind::Sink, 0));
    let inputs = (0..order.len()).map(|position| position.checked_sub(1).into_iter().collect()).collect();
    Graph { order, inputs }
}

fn missing_names(config: &JobConfig) -> Problems {
    let mut problems = Problems::default();
    let mut report = |block: &PluginConfig, kind: &str, option: &str, later: &str| {
        problems.push(
            Problem::error(
                block.position.clone(),
                format!("The {kind}({}) is not configured with '{option}' option", block.name),
            )
            .in_block(block.block())
            .with_help(format!("a job with several blocks of a kind is wired by names: set {later}")),
        );
    };
    for source in config.sources.iter().filter(|source| source.output.is_none()) {
        report(source, "source", "result_table_name", "plugin_output");
    }
    for transform in &config.transforms {
        if transform.output.is_none() {
            report(transform, "transform", "result_table_name", "plugin_output");
        }
        if transform.inputs.is_empty() {
            report(transform, "transform", "source_table_name", "plugin_input");
        }
    }
    for sink in config.sinks.iter().filter(|sink| sink.inputs.is_empty()) {
        report(sink, "sink", "source_table_name", "plugin_input");
    }
    problems
}

fn producers<'a>(config: &'a JobConfig, problems: &mut Problems) -> HashMap<&'a str, BlockId> {
    let mut producers: HashMap<&str, BlockId> = HashMap::new();
    let blocks = config.sources.iter().map(|block| (PluginKind::Source, block));
    let blocks = blocks.chain(config.transforms.iter().map(|block| (PluginKind::Transform, block)));
    for (kind, block) in blocks {
        let Some(output) = block.output.as_deref() else { continue };
        if let Some(first) = producers.insert(output, BlockId::new(kind, block.index)) {
            let first = &blocks_of(config, first.kind)[first.index];
            problems.push(
                Problem::error(
                    block.position.clone(),
                    format!(
                        "The value of the 'result_table_name' option of the ({} and {}) plugins is both '{output}', and they must be different.",
                        first.name, block.name
                    ),
                )
                .in_block(block.block())
                .of_option("plugin_output"),
            );
        }
    }
    producers
}

/// The blocks of a kind.
pub(super) fn blocks_of(config: &JobConfig, kind: PluginKind) -> &[PluginConfig] {
    match kind {
        PluginKind::Source => &config.sources,
        PluginKind::Transform => &config.transforms,
        PluginKind::Sink => &config.sinks,
    }
}

/// Puts transforms behind what they read; they may be written in any order.
fn order(config: &JobConfig, producers: &HashMap<&str, BlockId>) -> Result<Graph, Problems> {
    let mut order: Vec<BlockId> =
        (0..config.sources.len()).map(|index| BlockId::new(PluginKind::Source, index)).collect();
    let mut inputs: Vec<Vec<usize>> = vec![Vec::new(); order.len()];
    let positions_of = |block: &PluginConfig, order: &[BlockId]| -> Option<Vec<usize>> {
        let mut positions = Vec::new();
        for input in &block.inputs {
            let position = order.iter().position(|id| producers.get(input.as_ref()) == Some(id))?;
            if !positions.contains(&position) {
                positions.push(position);
            }
        }
        Some(positions)
    };
    let mut waiting: Vec<usize> = (0..config.transforms.len()).collect();
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|index| match positions_of(&config.transforms[*index], &order) {
            Some(positions) => {
                order.push(BlockId::new(PluginKind::Transform, *index));
                inputs.push(positions);
                false
            }
            None => true,
        });
        if waiting.len() == before {
            let mut problems = Problems::default();
            for index in waiting {
                let block = &config.transforms[index];
                problems.push(
                    Problem::error(block.position.clone(), "reads, through other transforms, its own output")
                        .in_block(block.block())
                        .of_option("plugin_input"),
                );
            }
            return Err(problems);
        }
    }
    for sink in &config.sinks {
        // Unknown names were reported before.
        inputs.push(positions_of(sink, &order).unwrap_or_default());
    }
    order.extend((0..config.sinks.len()).map(|index| BlockId::new(PluginKind::Sink, index)));
    Ok(Graph { order, inputs })
}
