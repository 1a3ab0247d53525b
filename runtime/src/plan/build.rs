//! Plans the plugins of every block, in the order of the flow, so that each knows the tables it gets.

use std::sync::Arc;

use super::graph::{BlockId, Graph, blocks_of, wire};
use super::table_choice::{PassOn, TableChoice};
use super::table_sinks::TableSinks;
use super::{Plan, TableMap, pipelines, table_words};
use crate::config::{COMMON_OPTIONS, JobConfig, Object, Options, PARALLELISM_MAX, PluginConfig, Problem, Problems};
use crate::plugin::{PlanContext, Plugin, PluginKind, Registry, Sink, SinkFactory, Source, TransformPlan};
use crate::row::{TableIndex, TableSchema};

/// What planning needs besides the config.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// Id of the job; 0 where a config is only checked.
    pub job_id: u64,
    /// Name of the job.
    pub job_name: Arc<str>,
    /// Whether the job goes on from a savepoint.
    pub restored: bool,
}

/// A block with its plugin planned.
pub(super) struct Node {
    pub block: BlockId,
    /// Nodes that it reads, by position, with the translation of their tables.
    pub inputs: Vec<(usize, TableMap)>,
    /// Tables that it sends, or receives for a sink.
    pub tables: Arc<[Arc<TableSchema>]>,
    pub work: NodeWork,
    /// Name without the pipeline, `Source[0]-FakeSource`.
    pub action: String,
    /// Parallel readers of a source.
    pub parallelism: usize,
}

pub(super) enum NodeWork {
    Source(Arc<dyn Source>),
    Transform(Vec<Arc<dyn TransformPlan>>),
    Sink(Arc<dyn Sink>),
}

/// Plans a job: may read the headers of files, so it runs where blocking is allowed.
///
/// # Errors
/// With every problem of the config at once: wiring, unknown plugins, options, schemas. Warnings come back beside
/// the plan. A config that could only be read in part is refused, with the problems of the blocks that were read.
pub fn plan(config: &JobConfig, registry: &Registry, options: &PlanOptions) -> Result<(Plan, Problems), Problems> {
    let mut builder = Builder { config, registry, options, problems: Problems::default(), nodes: Vec::new() };
    if config.plugins().any(|block| block.damaged) || config.sources.is_empty() || config.sinks.is_empty() {
        // What is missing was reported when the config was read; the wiring of the rest would only mislead.
        builder.check_unwired();
        return Err(builder.problems);
    }
    match wire(config) {
        // The config is for another machine: what its blocks find here (files, say) tells nothing.
        Ok(_) if builder.names_a_foreign_plugin() => builder.check_unwired(),
        Ok(graph) => builder.build(&graph),
        Err(problems) => {
            builder.problems.append(problems);
            builder.check_unwired();
        }
    }
    if builder.problems.has_errors() {
        return Err(builder.problems);
    }
    Ok((pipelines::assemble(&builder.nodes), builder.problems))
}

/// Of the errors about variables that are not set, those that count: in the block of a plugin that does not exist nobody
/// knows whether `${...}` is a variable or a word that the plugin fills in.
pub fn unset_variables(unset: Problems, config: &JobConfig, registry: &Registry) -> Problems {
    let unknown: Vec<String> =
        config.plugins().filter(|block| plugin_of(registry, block).is_none()).map(PluginConfig::block).collect();
    let mut told = Problems::default();
    unset.iter().filter(|problem| !unknown.contains(&problem.block)).for_each(|problem| told.push(problem.clone()));
    told
}

fn plugin_of<'r>(registry: &'r Registry, block: &PluginConfig) -> Option<&'r dyn Plugin> {
    match block.kind {
        PluginKind::Source => registry.source(&block.name).map(|factory| factory.as_ref() as &dyn Plugin),
        PluginKind::Transform => registry.transform(&block.name).map(|factory| factory.as_ref() as &dyn Plugin),
        PluginKind::Sink => registry.sink(&block.name).map(|factory| factory.as_ref() as &dyn Plugin),
    }
}

struct Builder<'a> {
    config: &'a JobConfig,
    registry: &'a Registry,
    options: &'a PlanOptions,
    problems: Problems,
    nodes: Vec<Node>,
}

/// Tables that come into a block, and how each input's tables are found among them.
type Merged = (Vec<(usize, TableMap)>, Vec<Arc<TableSchema>>);

impl<'a> Builder<'a> {
    /// Whether a plugin is named that this build does not have, and that is no misspelling of one that it has.
    fn names_a_foreign_plugin(&self) -> bool {
        self.config.plugins().any(|block| {
            plugin_of(self.registry, block).is_none() && self.registry.nearest(block.kind, &block.name).is_none()
        })
    }

    /// Without wiring no block but the sources can be planned; the options of all are still worth a look.
    fn check_unwired(&mut self) {
        for kind in [PluginKind::Source, PluginKind::Transform, PluginKind::Sink] {
            for block in blocks_of(self.config, kind).iter().filter(|block| !block.damaged) {
                self.check(block);
            }
        }
    }

    fn build(&mut self, graph: &Graph) {
        // Nodes of each block of the order; `None` where a block could not be planned: what reads it is only checked.
        let mut planned: Vec<Option<Vec<usize>>> = Vec::with_capacity(graph.order.len());
        for (id, inputs) in graph.order.iter().zip(&graph.inputs) {
            let block = &blocks_of(self.config, id.kind)[id.index];
            let upstream: Option<Vec<usize>> = inputs
                .iter()
                .map(|position| planned[*position].clone())
                .collect::<Option<Vec<_>>>()
                .map(|nodes| nodes.concat());
            let known = self.check(block);
            let nodes = match upstream {
                Some(upstream) if known => self.plan_block(*id, block, &upstream),
                _ => None,
            };
            planned.push(nodes);
        }
    }

    /// Reports what is wrong with the block's options one by one; whether the block's plugin exists.
    fn check(&mut self, block: &PluginConfig) -> bool {
        let Some(plugin) = plugin_of(self.registry, block) else {
            let mut problem = Problem::error(
                block.position.clone(),
                format!(
                    "Plugin PluginIdentifier{{engineType='seatunnel', pluginType='{}', pluginName='{}'}} not found.",
                    block.kind, block.name
                ),
            )
            .in_block(block.block());
            problem = match self.registry.nearest(block.kind, &block.name) {
                Some(name) => problem.with_help(format!("did you mean '{name}'?")),
                None => {
                    let names: Vec<_> = self.registry.plugins(block.kind).into_iter().map(Plugin::name).collect();
                    let names = if names.is_empty() { "none of this kind".to_owned() } else { names.join(", ") };
                    problem.with_help(format!("there are {names}"))
                }
            };
            self.problems.push(problem);
            return false;
        };
        let mut found = Problems::default();
        if block.kind == PluginKind::Transform {
            TableChoice::of(block, &mut found).check(plugin.options(), &mut found);
        } else {
            let options = Options::new(&block.options, plugin.options());
            options.check(&block.block(), &block.position, COMMON_OPTIONS, &mut found);
        }
        self.problems.append(found);
        true
    }

    /// Plans one block; gives its nodes (a sink that takes one table has a node for each table).
    ///
    /// A block with wrong options is planned all the same, with their defaults, so that its other mistakes and those of
    /// the blocks behind it are told in the same breath. What planning says of an option that was reported already is
    /// left out.
    fn plan_block(&mut self, id: BlockId, block: &PluginConfig, upstream: &[usize]) -> Option<Vec<usize>> {
        let reported = std::mem::take(&mut self.problems);
        let nodes = match id.kind {
            PluginKind::Source => self.plan_source(id, block),
            PluginKind::Transform => self.plan_transform(id, block, upstream),
            PluginKind::Sink => self.plan_sink(id, block, upstream),
        };
        let found = std::mem::replace(&mut self.problems, reported);
        let failed = found.has_errors();
        let name = block.block();
        let of_block = self.problems.errors().filter(|problem| problem.block == name);
        let known: Vec<_> = of_block.filter_map(|problem| problem.option.clone()).collect();
        for problem in found.iter() {
            if !problem.option.as_ref().is_some_and(|option| known.contains(option)) {
                self.problems.push(problem.clone());
            }
        }
        if failed { None } else { nodes }
    }

    fn context(&self, block: &PluginConfig, parallelism: usize) -> PlanContext {
        PlanContext {
            job_id: self.options.job_id,
            job_name: Arc::clone(&self.options.job_name),
            mode: self.config.env.mode,
            parallelism,
            block: block.block(),
            plugin_name: Arc::from(block.name.as_ref()),
            position: block.position.clone(),
            output: block.output.as_deref().map(Arc::from),
            restored: self.options.restored,
        }
    }

    fn plan_source(&mut self, id: BlockId, block: &PluginConfig) -> Option<Vec<usize>> {
        let factory = self.registry.source(&block.name)?;
        let mut parallelism = block.parallelism.or(self.config.env.parallelism).unwrap_or(1).max(1);
        if parallelism > PARALLELISM_MAX {
            self.problems.push(
                Problem::error(
                    block.position.clone(),
                    format!("expected a parallelism of at most {PARALLELISM_MAX}, found {parallelism}"),
                )
                .in_block(block.block())
                .of_option("parallelism"),
            );
            return None;
        }
        let context = self.context(block, parallelism);
        let options = Options::new(&block.options, factory.options());
        let source = match factory.plan(options, &context, &mut self.problems) {
            Ok(source) => source,
            Err(problems) => {
                self.problems.append(problems);
                return None;
            }
        };
        if let Some(readers) = source.readers_max().filter(|readers| *readers < parallelism) {
            self.problems.push(context.warning(format!("reads with {readers} of the {parallelism} tasks asked for")));
            parallelism = readers.max(1);
        }
        self.nodes.push(Node {
            block: id,
            inputs: Vec::new(),
            tables: source.tables().into(),
            action: format!("Source[{}]-{}", block.index, block.name),
            work: NodeWork::Source(source),
            parallelism,
        });
        Some(vec![self.nodes.len() - 1])
    }

    fn plan_transform(&mut self, id: BlockId, block: &PluginConfig, upstream: &[usize]) -> Option<Vec<usize>> {
        let factory = self.registry.transform(&block.name)?;
        let (inputs, tables) = self.merge(block, upstream)?;
        let context = self.context(block, self.parallelism_of(upstream));
        // What is wrong with the choice itself was reported before.
        let choice = TableChoice::of(block, &mut Problems::default());
        for path in choice.paths().filter(|path| !tables.iter().any(|table| table.path.to_string() == **path)) {
            let message = format!("there is no table '{path}' here: its options have no effect");
            self.problems.push(context.warning(message).of_option("table_transform"));
        }
        let mut plans: Vec<Arc<dyn TransformPlan>> = Vec::new();
        for table in &tables {
            match choice.options_for(table, factory.options()) {
                Ok(None) => plans.push(Arc::new(PassOn(Arc::clone(table)))),
                Ok(Some(object)) => {
                    let options = Options::new(object, factory.options());
                    match factory.plan(options, table, &context, &mut self.problems) {
                        Ok(plan) => plans.push(plan),
                        Err(problems) => self.problems.append(problems),
                    }
                }
                Err(why) => self.problems.push(context.error(why).of_option("table_match_regex")),
            }
        }
        self.nodes.push(Node {
            block: id,
            inputs,
            tables: plans.iter().map(|plan| Arc::clone(plan.output())).collect(),
            action: format!("Transform[{}]-{}", block.index, block.name),
            work: NodeWork::Transform(plans),
            parallelism: 0,
        });
        Some(vec![self.nodes.len() - 1])
    }

    fn plan_sink(&mut self, id: BlockId, block: &PluginConfig, upstream: &[usize]) -> Option<Vec<usize>> {
        let factory = self.registry.sink(&block.name)?;
        let (inputs, tables) = self.merge(block, upstream)?;
        let context = self.context(block, self.parallelism_of(upstream));
        self.check_replica(block);
        let many = factory.takes_many_tables();
        let groups: Vec<Vec<usize>> =
            if many { vec![(0..tables.len()).collect()] } else { (0..tables.len()).map(|table| vec![table]).collect() };
        let mut nodes = Vec::new();
        for group in groups {
            let own: Vec<_> = group.iter().map(|table| Arc::clone(&tables[*table])).collect();
            let sink = self.sink_of(factory.as_ref(), block, &own, &context)?;
            let suffix = if many { "MultiTableSink".to_owned() } else { own[0].path.to_string() };
            let narrow = |map: &TableMap| -> TableMap {
                map.iter()
                    .map(|table| {
                        let position =
                            group.iter().position(|own| table.is_some_and(|table| usize::from(table.0) == *own));
                        position.map(table_index)
                    })
                    .collect()
            };
            self.nodes.push(Node {
                block: id,
                inputs: inputs.iter().map(|(node, map)| (*node, narrow(map))).collect(),
                tables: own.into(),
                action: format!("Sink[{}]-{}-{suffix}", block.index, block.name),
                work: NodeWork::Sink(sink),
                parallelism: 0,
            });
            nodes.push(self.nodes.len() - 1);
        }
        Some(nodes)
    }

    /// Plans a sink; one for each table where the options hold words of the table.
    fn sink_of(
        &mut self,
        factory: &dyn SinkFactory,
        block: &PluginConfig,
        tables: &[Arc<TableSchema>],
        context: &PlanContext,
    ) -> Option<Arc<dyn Sink>> {
        let plan = |options: &Object, tables: &[Arc<TableSchema>], problems: &mut Problems| {
            let planned = factory.plan(Options::new(options, factory.options()), tables, context, problems);
            planned.map_err(|errors| problems.append(errors)).ok()
        };
        if factory.fills_table_words() || !table_words::holds_words(&block.options) {
            return plan(&block.options, tables, &mut self.problems);
        }
        let mut sinks = Vec::with_capacity(tables.len());
        for table in tables {
            let (options, missing) = table_words::filled(&block.options, table);
            for word in missing {
                let message = format!("the table '{}' has nothing for ${{{word}}}, which stays as it is", table.path);
                let help = format!("give it in the source's schema, or write ${{{word}:DEFAULT}}");
                self.problems.push(context.warning(message).with_help(help));
            }
            sinks.push(plan(&options, std::slice::from_ref(table), &mut self.problems));
        }
        let mut sinks: Vec<_> = sinks.into_iter().collect::<Option<_>>()?;
        Some(if sinks.len() == 1 { sinks.remove(0) } else { Arc::new(TableSinks(sinks)) })
    }

    /// `multi_table_sink_replica` asks for several writers of a table in one task. Rows of one task are written in
    /// their order by one.
    fn check_replica(&mut self, block: &PluginConfig) {
        const OPTION: &str = "multi_table_sink_replica";
        let Some(value) = block.options.get(OPTION).filter(|value| !value.is_null()) else { return };
        let problem = match value.to_integer() {
            Some(1) => return,
            Some(2..) => {
                Problem::warning(value.position.clone(), "counts as 1: a task writes each table with one writer")
                    .with_help("a higher parallelism of the source gives more writers")
            }
            _ => Problem::error(value.position.clone(), "expected a whole number of at least 1"),
        };
        self.problems.push(problem.in_block(block.block()).of_option(OPTION));
    }

    fn parallelism_of(&self, upstream: &[usize]) -> usize {
        let mut node = upstream.first().copied();
        while let Some(position) = node {
            if matches!(self.nodes[position].work, NodeWork::Source(_)) {
                return self.nodes[position].parallelism;
            }
            node = self.nodes[position].inputs.first().map(|(input, _)| *input);
        }
        1
    }

    /// Brings the tables of all inputs together. Tables of one path in different inputs are one table.
    fn merge(&mut self, block: &PluginConfig, upstream: &[usize]) -> Option<Merged> {
        let mut tables: Vec<Arc<TableSchema>> = Vec::new();
        let mut inputs = Vec::new();
        for node in upstream {
            let mut map = Vec::new();
            let own_from = tables.len();
            for table in self.nodes[*node].tables.iter() {
                let known = tables[..own_from].iter().position(|known| known.path == table.path);
                map.push(Some(table_index(known.unwrap_or(tables.len()))));
                if known.is_none() {
                    tables.push(Arc::clone(table));
                }
            }
            inputs.push((*node, map.into()));
        }
        let structure = |table: &TableSchema| -> Vec<_> {
            table.columns.iter().map(|column| (column.name.clone(), column.data_type.clone())).collect()
        };
        let all = || upstream.iter().flat_map(|node| self.nodes[*node].tables.iter());
        let refusal = if upstream.len() < 2 {
            None
        } else if upstream.iter().any(|node| self.nodes[*node].tables.len() > 1) {
            Some("Sink don't support simultaneous writing of data from multi-table source and other sources.")
        } else if all().any(|table| structure(table) != structure(&tables[0])) {
            Some("Transform/Sink don't support processing data with two different structures.")
        } else {
            None
        };
        if let Some(text) = refusal {
            self.problems
                .push(Problem::error(block.position.clone(), text).in_block(block.block()).of_option("plugin_input"));
            return None;
        }
        Some((inputs, tables))
    }
}

/// Jobs have far fewer than 2^16 tables: each has a schema in the config.
fn table_index(position: usize) -> TableIndex {
    TableIndex(u16::try_from(position).unwrap_or(u16::MAX))
}
