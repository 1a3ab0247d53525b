//! From a typed job to what runs: wiring, planned plugins, vertices and edges as clients see them, pipelines and
//! their chains.
//!
//! ```text
//! JobConfig --graph--> blocks in order --build--> nodes (planned plugins) --pipelines--> Plan
//! ```

mod build;
mod graph;
mod pipelines;
mod table_choice;
mod table_sinks;
mod table_words;

pub use build::{PlanOptions, plan, unset_variables};
pub use graph::check_wiring;

use std::sync::Arc;

use crate::plugin::{PluginKind, Sink, Source, TransformPlan};
use crate::row::{TableIndex, TableSchema};

/// A job as clients see it (contract A.5). Kept with the job's history, long after the plan is gone.
#[derive(Clone, Debug, Default)]
pub struct JobGraph {
    /// Vertices by id.
    pub vertices: Vec<Vertex>,
    /// Edges between vertices.
    pub edges: Vec<Edge>,
}

/// A job as it will run.
pub struct Plan {
    /// What clients see.
    pub graph: Arc<JobGraph>,
    /// What runs; one pipeline for each source.
    pub pipelines: Vec<Pipeline>,
    /// The sinks that the pipelines write to. A sink that several pipelines share is one.
    pub sinks: Vec<Arc<dyn Sink>>,
}

/// A vertex of the plan.
#[derive(Clone, Debug)]
pub struct Vertex {
    /// From 1.
    pub id: u32,
    /// Source, transform or sink.
    pub kind: PluginKind,
    /// Number of its pipeline, from 1.
    pub pipeline: u32,
    /// `Source[0]-FakeSource`, `TransformChain[Transform[0]-Sql]`, `Sink[0]-Console-MultiTableSink`.
    pub action: Arc<str>,
    /// `pipeline-1 [Source[0]-FakeSource]`.
    pub name: Arc<str>,
    /// Parallel tasks.
    pub parallelism: usize,
    /// Paths of the tables that it sends (a source) or writes (a sink); empty for transforms.
    pub table_paths: Vec<Arc<str>>,
}

/// An edge of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Number of the pipeline, from 1.
    pub pipeline: u32,
    /// Id of the vertex that sends.
    pub from: u32,
    /// Id of the vertex that receives.
    pub to: u32,
}

/// A source and everything that reads from it. Restarted as a whole.
pub struct Pipeline {
    /// From 1.
    pub number: u32,
    /// Parallel instances of each chain.
    pub parallelism: usize,
    /// The source.
    pub source: Arc<dyn Source>,
    /// Chains; the first begins with the source.
    pub chains: Vec<Chain>,
    /// Queues between chains: instance `i` of `from` feeds instance `i` of `to`.
    pub links: Vec<Link>,
}

/// Vertices that run as one task without queues between them.
pub struct Chain {
    /// Where rows come from: `None` for the source, else the links into this chain.
    pub inputs: Option<Vec<usize>>,
    /// Vertex ids in the order of the flow.
    pub vertices: Vec<ChainVertex>,
    /// Links out of this chain; empty when it ends in a sink.
    pub outputs: Vec<usize>,
}

/// One vertex within a chain.
pub struct ChainVertex {
    /// Id of the vertex.
    pub vertex: u32,
    /// The tables that the vertex sends, or receives for a sink.
    pub tables: Arc<[Arc<TableSchema>]>,
    /// What becomes of each table of the vertex before it; not looked at for the first vertex of a chain, whose
    /// rows were translated by the link they came through.
    pub incoming: TableMap,
    /// What it does.
    pub work: VertexWork,
}

/// What a vertex does.
pub enum VertexWork {
    /// The source of the pipeline.
    Source,
    /// One transform after another; for each, the plan of each table.
    Transforms(Vec<Vec<Arc<dyn TransformPlan>>>),
    /// Writes.
    Sink {
        /// Position in [`Plan::sinks`].
        sink: usize,
    },
}

/// For each table of the sender, the table of the receiver; `None` for tables that the receiver does not take.
pub type TableMap = Arc<[Option<TableIndex>]>;

/// A queue between two chains of a pipeline.
#[derive(Clone, Debug)]
pub struct Link {
    /// Position of the sending chain.
    pub from: usize,
    /// Position of the receiving chain.
    pub to: usize,
    /// Translation of tables.
    pub tables: TableMap,
}

impl JobGraph {
    /// The vertex of this id.
    pub fn vertex(&self, id: u32) -> Option<&Vertex> {
        self.vertices.iter().find(|vertex| vertex.id == id)
    }
}

impl Pipeline {
    /// Sinks that the pipeline writes to, by their position in [`Plan::sinks`].
    pub fn sinks(&self) -> Vec<usize> {
        let vertices = self.chains.iter().flat_map(|chain| &chain.vertices);
        vertices
            .filter_map(|vertex| match vertex.work {
                VertexWork::Sink { sink } => Some(sink),
                _ => None,
            })
            .collect()
    }

    /// Tasks of the pipeline.
    pub fn task_count(&self) -> usize {
        self.chains.len() * self.parallelism
    }
}

/// Ids, names and edges; the plugins themselves do not print.
impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("graph", &self.graph).finish_non_exhaustive()
    }
}
