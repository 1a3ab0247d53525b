//! Vertices, edges and chains out of planned nodes: numbering as clients know it (contract A.5).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::build::{Node, NodeWork};
use super::{Chain, ChainVertex, Edge, JobGraph, Link, Pipeline, Plan, Vertex, VertexWork};
use crate::plugin::{PluginKind, Sink};

/// Nodes of one pipeline, in the order of the flow, fused where transforms stand behind each other.
struct Group {
    /// Positions of the nodes; more than one only for transforms.
    nodes: Vec<usize>,
    vertex: u32,
}

struct Numbering {
    by_node: BTreeMap<usize, u32>,
    next: u32,
}

impl Numbering {
    /// Numbers nodes in the order in which they first appear in the sorted edges.
    fn new(nodes: &[Node]) -> Self {
        let mut edges: Vec<(usize, usize)> = nodes
            .iter()
            .enumerate()
            .flat_map(|(position, node)| node.inputs.iter().map(move |(input, _)| (*input, position)))
            .collect();
        edges.sort_unstable();
        let mut numbering = Self { by_node: BTreeMap::new(), next: 1 };
        for node in edges.into_iter().flat_map(|(from, to)| [from, to]) {
            if !numbering.by_node.contains_key(&node) {
                let id = numbering.fresh();
                numbering.by_node.insert(node, id);
            }
        }
        numbering
    }

    fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }
}

/// Builds the plan. Each source has its own pipeline; what reads several sources is there once for each.
pub(super) fn assemble(nodes: &[Node]) -> Plan {
    let mut numbering = Numbering::new(nodes);
    let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
    let mut sink_of = BTreeMap::new();
    for (position, node) in nodes.iter().enumerate() {
        if let NodeWork::Sink(sink) = &node.work {
            sink_of.insert(position, sinks.len());
            sinks.push(Arc::clone(sink));
        }
    }
    let sources = nodes.iter().enumerate().filter(|(_, node)| node.block.kind == PluginKind::Source);
    let mut groups_of: Vec<(usize, Vec<Group>)> =
        sources.map(|(source, _)| (source, fuse(nodes, &reachable(nodes, source)))).collect();
    number(nodes, &mut groups_of, &mut numbering);

    let mut graph = JobGraph::default();
    let mut pipelines = Vec::new();
    for (index, (source, groups)) in groups_of.iter().enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let parallelism = nodes[*source].parallelism;
        for group in groups {
            graph.vertices.push(vertex(nodes, group, number, parallelism));
        }
        for (from, to) in group_edges(nodes, groups) {
            graph.edges.push(Edge { pipeline: number, from: groups[from].vertex, to: groups[to].vertex });
        }
        pipelines.push(pipeline(nodes, *source, groups, &sink_of, number));
    }
    graph.vertices.sort_by_key(|vertex| vertex.id);
    Plan { graph: Arc::new(graph), pipelines, sinks }
}

/// Positions of the nodes that rows of a source reach, in the order of the flow.
fn reachable(nodes: &[Node], source: usize) -> Vec<usize> {
    let mut reached = vec![source];
    for (position, node) in nodes.iter().enumerate() {
        if node.inputs.iter().any(|(input, _)| reached.contains(input)) {
            reached.push(position);
        }
    }
    reached
}

/// Joins a transform to the one before it when neither has another neighbour on that side.
fn fuse(nodes: &[Node], reached: &[usize]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for position in reached {
        let inputs: Vec<usize> = own_inputs(nodes, *position, reached);
        let follows = |group: &Group| {
            let last = group.nodes[group.nodes.len() - 1];
            inputs == [last]
                && nodes[last].block.kind == PluginKind::Transform
                && nodes[*position].block.kind == PluginKind::Transform
                && readers(nodes, last, reached) == 1
        };
        match groups.iter_mut().find(|group| follows(group)) {
            Some(group) => group.nodes.push(*position),
            None => groups.push(Group { nodes: vec![*position], vertex: 0 }),
        }
    }
    groups
}

fn own_inputs(nodes: &[Node], position: usize, reached: &[usize]) -> Vec<usize> {
    nodes[position].inputs.iter().map(|(input, _)| *input).filter(|input| reached.contains(input)).collect()
}

fn readers(nodes: &[Node], position: usize, reached: &[usize]) -> usize {
    reached.iter().filter(|reader| nodes[**reader].inputs.iter().any(|(input, _)| *input == position)).count()
}

/// Sources and sinks keep their number where they stand first; transform chains and further copies take fresh ones.
fn number(nodes: &[Node], groups_of: &mut [(usize, Vec<Group>)], numbering: &mut Numbering) {
    let mut copies = Vec::new();
    for (pipeline, (_, groups)) in groups_of.iter_mut().enumerate() {
        for (index, group) in groups.iter_mut().enumerate() {
            let taken = match nodes[group.nodes[0]].block.kind {
                PluginKind::Transform => None,
                PluginKind::Source | PluginKind::Sink => numbering.by_node.remove(&group.nodes[0]),
            };
            match taken {
                Some(id) => group.vertex = id,
                None => copies.push((pipeline, index)),
            }
        }
    }
    for (pipeline, index) in copies {
        groups_of[pipeline].1[index].vertex = numbering.fresh();
    }
}

fn vertex(nodes: &[Node], group: &Group, pipeline: u32, parallelism: usize) -> Vertex {
    let first = &nodes[group.nodes[0]];
    let action = match first.block.kind {
        PluginKind::Transform => {
            let names: Vec<&str> = group.nodes.iter().map(|node| nodes[*node].action.as_str()).collect();
            format!("TransformChain[{}]", names.join("->"))
        }
        PluginKind::Source | PluginKind::Sink => first.action.clone(),
    };
    let table_paths = match first.block.kind {
        PluginKind::Transform => Vec::new(),
        PluginKind::Source | PluginKind::Sink => {
            first.tables.iter().map(|table| Arc::from(table.path.to_string())).collect()
        }
    };
    Vertex {
        id: group.vertex,
        kind: first.block.kind,
        pipeline,
        name: format!("pipeline-{pipeline} [{action}]").into(),
        action: action.into(),
        parallelism,
        table_paths,
    }
}

/// Edges between groups, by position.
fn group_edges(nodes: &[Node], groups: &[Group]) -> Vec<(usize, usize)> {
    let mut edges = Vec::new();
    for (to, group) in groups.iter().enumerate() {
        for (input, _) in &nodes[group.nodes[0]].inputs {
            if let Some(from) = groups.iter().position(|from| from.nodes.last() == Some(input)) {
                edges.push((from, to));
            }
        }
    }
    edges
}

/// Cuts the groups into chains: a chain ends where several groups read it, or where the next reads several.
fn pipeline(
    nodes: &[Node],
    source: usize,
    groups: &[Group],
    sink_of: &BTreeMap<usize, usize>,
    number: u32,
) -> Pipeline {
    let NodeWork::Source(planned) = &nodes[source].work else { unreachable!("a pipeline begins with a source") };
    let edges = group_edges(nodes, groups);
    let readers_of = |group: usize| edges.iter().filter(|(from, _)| *from == group).count();
    let inputs_of =
        |group: usize| -> Vec<usize> { edges.iter().filter(|(_, to)| *to == group).map(|(from, _)| *from).collect() };
    let mut chains: Vec<Chain> = Vec::new();
    let mut chain_of: Vec<usize> = Vec::new();
    let mut links: Vec<Link> = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        let inputs = inputs_of(index);
        let joined = match inputs.as_slice() {
            [only] if readers_of(*only) == 1 => Some(chain_of[*only]),
            _ => None,
        };
        let chain = joined.unwrap_or(chains.len());
        if joined.is_none() {
            let first = links.len();
            for from in &inputs {
                let tables = table_map(nodes, &groups[*from], group);
                chains[chain_of[*from]].outputs.push(links.len());
                links.push(Link { from: chain_of[*from], to: chain, tables });
            }
            let inputs = (!inputs.is_empty()).then(|| (first..links.len()).collect());
            chains.push(Chain { inputs, vertices: Vec::new(), outputs: Vec::new() });
        }
        let incoming = match joined {
            Some(_) => table_map(nodes, &groups[inputs[0]], group),
            None => Arc::from([]),
        };
        let work = match &nodes[group.nodes[0]].work {
            NodeWork::Source(_) => VertexWork::Source,
            NodeWork::Transform(_) => {
                VertexWork::Transforms(group.nodes.iter().map(|node| transforms(&nodes[*node])).collect())
            }
            NodeWork::Sink(_) => VertexWork::Sink { sink: sink_of[&group.nodes[0]] },
        };
        let last = &nodes[group.nodes[group.nodes.len() - 1]];
        chains[chain].vertices.push(ChainVertex {
            vertex: group.vertex,
            tables: Arc::clone(&last.tables),
            incoming,
            work,
        });
        chain_of.push(chain);
    }
    Pipeline { number, parallelism: nodes[source].parallelism, source: Arc::clone(planned), chains, links }
}

fn transforms(node: &Node) -> Vec<Arc<dyn crate::plugin::TransformPlan>> {
    match &node.work {
        NodeWork::Transform(plans) => plans.clone(),
        NodeWork::Source(_) | NodeWork::Sink(_) => Vec::new(),
    }
}

/// Translation of the tables of one group for the next.
fn table_map(nodes: &[Node], from: &Group, to: &Group) -> super::TableMap {
    let sender = from.nodes[from.nodes.len() - 1];
    let inputs = &nodes[to.nodes[0]].inputs;
    inputs.iter().find(|(input, _)| *input == sender).map_or_else(|| Arc::from([]), |(_, map)| Arc::clone(map))
}
