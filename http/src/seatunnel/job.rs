//! The body of a job (contract A.5, A.6): running and finished ones of every release in one.
//!
//! What never changes of a job is rendered once, when it is first asked for, and kept with the job; requests share
//! it. Only state and counters are rendered per request, and of a job that has ended nothing is.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::body::Body;
use crate::jobs::{JobEntry, JobGraph, JobMetrics, JobState, RenderedGuard, Totals};
use crate::json::JsonBuffer;

/// What never changes of a job, rendered, and where its parts end. The order of fields is that of the contract.
#[derive(Clone, Copy, Debug)]
struct Constant<'j> {
    /// The marks, then the text.
    marked: &'j Bytes,
    marks: [usize; MARKS],
}

/// The four places in the rendered text at which parts of it end, each as four bytes before the text.
const MARKS: usize = 4;
/// Where the text begins.
const TEXT: usize = 4 * MARKS;

/// What a job's constant part is made of.
struct Identity<'j> {
    id: i64,
    name: &'j str,
    created_at: i64,
    env_options: &'j [(String, String)],
    graph: &'j JobGraph,
    start_with_savepoint: bool,
}

/// How a job stands now.
struct Standing<'j> {
    state: JobState,
    error: Option<&'j str>,
    /// `None` for a job that has not ended.
    finished_at: Option<i64>,
    metrics: JobMetrics,
}

/// The constant part of a job, from where it is kept.
fn constant(entry: &JobEntry) -> RenderedGuard {
    entry.rendered().constant(|| {
        Constant::render(&Identity {
            id: entry.id(),
            name: entry.name(),
            created_at: entry.created_at(),
            env_options: entry.env_options(),
            graph: entry.plan(),
            start_with_savepoint: entry.is_start_with_savepoint(),
        })
    })
}

impl<'j> Constant<'j> {
    fn render(job: &Identity<'_>) -> Bytes {
        let mut json = JsonBuffer::default();
        json.raw(r#"{"jobId":"#).quoted_integer(job.id).raw(r#","jobName":"#).string(job.name);
        json.raw(r#","jobStatus":""#);
        let head_end = json.len();
        json.raw(r#""envOptions":"#);
        env_options(&mut json, job.env_options);
        json.raw(",");
        let env_end = json.len();
        json.raw(r#""createTime":"#).time(job.created_at).raw(",");
        let created_end = json.len();
        json.raw(r#""jobDag":"#);
        dag(&mut json, job);
        json.raw(r#","pluginJarsUrls":[],"#);
        let dag_end = json.len();
        json.raw(r#""isStartWithSavePoint":"#).raw(if job.start_with_savepoint { "true," } else { "false," });
        let text = json.take();
        let mut marked = BytesMut::with_capacity(4 * MARKS + text.len());
        for mark in [head_end, env_end, created_end, dag_end] {
            // A config is at most some megabytes long, and so is what is rendered of it.
            marked.put_u32_le(u32::try_from(mark).unwrap_or(u32::MAX));
        }
        marked.put_slice(&text);
        marked.freeze()
    }

    fn from_marked(marked: &'j Bytes) -> Self {
        let (places, _) = marked.as_chunks::<4>();
        Self { marked, marks: std::array::from_fn(|index| TEXT + u32::from_le_bytes(places[index]) as usize) }
    }

    /// Up to the state's opening quote.
    fn head(&self) -> Range<usize> {
        TEXT..self.marks[0]
    }

    /// `"envOptions":{..},"createTime":"..","jobDag":{..},"pluginJarsUrls":[],"isStartWithSavePoint":..,`
    fn running(&self) -> Range<usize> {
        self.marks[0]..self.marked.len()
    }

    /// `"createTime":"..",`
    fn created(&self) -> Range<usize> {
        self.marks[1]..self.marks[2]
    }

    /// `"jobDag":{..},"pluginJarsUrls":[],`
    fn dag(&self) -> Range<usize> {
        self.marks[2]..self.marks[3]
    }

    fn text(&self, part: Range<usize>) -> &'j [u8] {
        &self.marked[part]
    }
}

impl<'j> Standing<'j> {
    fn of(entry: &'j JobEntry) -> Self {
        let state = entry.state();
        // The state is read first: what is known of a job's end is there before the final state is.
        Self {
            state,
            error: entry.error(),
            finished_at: if state.is_final() { entry.finished_at() } else { None },
            metrics: entry.metrics(),
        }
    }
}

/// One job as a chain of pieces, of which most are the job's own.
pub(crate) fn body(entry: &JobEntry, json: &mut JsonBuffer) -> Body {
    if entry.state().is_final() {
        return behind_comma(&ended(entry)).into();
    }
    let constant = constant(entry);
    chain(Constant::from_marked(&constant), &Standing::of(entry), json)
}

/// One job at the end of a list that is being built.
pub(crate) fn append(entry: &JobEntry, json: &mut JsonBuffer) {
    let constant = constant(entry);
    whole(Constant::from_marked(&constant), &Standing::of(entry), json);
}

/// A job that has ended, behind a comma, as lists join them. It is rendered once.
pub(crate) fn ended(entry: &JobEntry) -> Bytes {
    let render = || {
        let mut json = JsonBuffer::default();
        json.raw(",");
        append(entry, &mut json);
        Bytes::copy_from_slice(&json.take())
    };
    if entry.state().is_final() { entry.rendered().ended(render).clone() } else { render() }
}

/// A text without the comma that [`ended`] puts before it.
pub(crate) fn behind_comma(text: &Bytes) -> Bytes {
    text.slice(1..)
}

fn whole(constant: Constant<'_>, standing: &Standing<'_>, json: &mut JsonBuffer) {
    json.raw_bytes(constant.text(constant.head()));
    before_dag(constant, standing, json);
    let shared = if standing.state.is_final() { constant.dag() } else { constant.running() };
    json.raw_bytes(constant.text(shared));
    after_dag(standing, json);
}

fn chain(constant: Constant<'_>, standing: &Standing<'_>, json: &mut JsonBuffer) -> Body {
    before_dag(constant, standing, json);
    let state = json.take();
    after_dag(standing, json);
    let shared = if standing.state.is_final() { constant.dag() } else { constant.running() };
    let piece = |part| constant.marked.slice(part);
    Body::from([piece(constant.head()), state, piece(shared), json.take()])
}

/// The state, and of a finished job its error and times.
fn before_dag(constant: Constant<'_>, standing: &Standing<'_>, json: &mut JsonBuffer) {
    json.raw(standing.state.as_str()).raw("\",");
    if !standing.state.is_final() {
        return;
    }
    json.raw(r#""errorMsg":"#);
    match standing.error {
        Some(error) => json.string(error),
        None => json.raw("null"),
    };
    json.raw(",").raw_bytes(constant.text(constant.created()));
    let finished_at = standing.finished_at.unwrap_or_default();
    // Both names are in use (contract A.6).
    json.raw(r#""finishTime":"#).time(finished_at).raw(r#","finishedTime":"#).time(finished_at).raw(",");
}

fn after_dag(standing: &Standing<'_>, json: &mut JsonBuffer) {
    json.raw(r#""metrics":"#);
    metrics(json, &standing.metrics);
    json.raw("}");
}

fn env_options(json: &mut JsonBuffer, options: &[(String, String)]) {
    json.raw("{");
    for (index, (key, value)) in options.iter().enumerate() {
        json.raw(if index > 0 { "," } else { "" }).string(key).raw(":").string(value);
    }
    json.raw("}");
}

/// `jobDag`: of every release, `vertices` and `edges` included (contract A.1, A.5).
fn dag(json: &mut JsonBuffer, job: &Identity<'_>) {
    json.raw(r#"{"jobId":"#).quoted_integer(job.id).raw(r#","pipelineEdges":"#);
    pipeline_edges(json, job.graph);
    json.raw(r#","envOptions":"#);
    env_options(json, job.env_options);
    json.raw(r#","vertexInfoMap":["#);
    for (index, vertex) in job.graph.vertices.iter().enumerate() {
        json.raw(if index > 0 { "," } else { "" });
        json.raw(r#"{"vertexId":"#).integer(vertex.id).raw(r#","type":"#).string(&vertex.kind.to_string());
        json.raw(r#","vertexName":"#).string(&vertex.name).raw(r#","tablePaths":["#);
        for (index, path) in vertex.table_paths.iter().enumerate() {
            json.raw(if index > 0 { "," } else { "" }).string(path);
        }
        json.raw("]}");
    }
    json.raw(r#"],"vertices":["#);
    for (index, vertex) in job.graph.vertices.iter().enumerate() {
        json.raw(if index > 0 { "," } else { "" });
        json.raw(r#"{"id":"#).integer(vertex.id).raw(r#","name":"#).string(&vertex.action);
        json.raw(r#","parallelism":"#).integer(vertex.parallelism).raw("}");
    }
    json.raw(r#"],"edges":["#);
    for (index, edge) in job.graph.edges.iter().enumerate() {
        let action = |id| job.graph.vertex(id).map_or("", |vertex| &vertex.action);
        json.raw(if index > 0 { "," } else { "" });
        json.raw(r#"{"inputVertex":"#).string(action(edge.from));
        json.raw(r#","targetVertex":"#).string(action(edge.to)).raw("}");
    }
    json.raw("]}");
}

fn pipeline_edges(json: &mut JsonBuffer, graph: &JobGraph) {
    let mut pipelines: Vec<u32> = graph.edges.iter().map(|edge| edge.pipeline).collect();
    pipelines.sort_unstable();
    pipelines.dedup();
    json.raw("{");
    for (index, pipeline) in pipelines.iter().enumerate() {
        json.raw(if index > 0 { "," } else { "" }).quoted_integer(*pipeline).raw(":[");
        for (index, edge) in graph.edges.iter().filter(|edge| edge.pipeline == *pipeline).enumerate() {
            json.raw(if index > 0 { "," } else { "" });
            json.raw(r#"{"inputVertexId":"#).quoted_integer(edge.from);
            json.raw(r#","targetVertexId":"#).quoted_integer(edge.to).raw("}");
        }
        json.raw("]");
    }
    json.raw("}");
}

/// The 16 keys of A.6 and the two of the first releases' documentation.
fn metrics(json: &mut JsonBuffer, metrics: &JobMetrics) {
    let (source, sink) = (&metrics.source, &metrics.sink);
    json.raw(r#"{"sourceReceivedCount":""#).integer(source.rows);
    json.raw(r#"","sinkWriteCount":""#).integer(sink.rows);
    json.raw(r#"","SourceReceivedCount":""#).integer(source.rows);
    json.raw(r#"","SourceReceivedBytes":""#).integer(source.bytes);
    json.raw(r#"","SourceReceivedQPS":"#).quoted_double(source.rows_per_second);
    json.raw(r#","SourceReceivedBytesPerSeconds":"#).quoted_double(source.bytes_per_second);
    json.raw(r#","SinkWriteCount":""#).integer(sink.rows);
    json.raw(r#"","SinkWriteBytes":""#).integer(sink.bytes);
    json.raw(r#"","SinkWriteQPS":"#).quoted_double(sink.rows_per_second);
    json.raw(r#","SinkWriteBytesPerSeconds":"#).quoted_double(sink.bytes_per_second);
    by_table(json, "TableSource", "Received", &metrics.source_tables);
    by_table(json, "TableSink", "Write", &metrics.sink_tables);
    json.raw("}");
}

fn by_table(json: &mut JsonBuffer, side: &str, action: &str, tables: &BTreeMap<Arc<str>, Totals>) {
    let mut map = |measure: &str, value: fn(&mut JsonBuffer, &Totals)| {
        json.raw(",\"").raw(side).raw(action).raw(measure).raw("\":{");
        for (index, (path, totals)) in tables.iter().enumerate() {
            json.raw(if index > 0 { "," } else { "" }).string(path).raw(":");
            value(json, totals);
        }
        json.raw("}");
    };
    map("Count", |json, totals| _ = json.quoted_integer(totals.rows));
    map("Bytes", |json, totals| _ = json.quoted_integer(totals.bytes));
    map("QPS", |json, totals| _ = json.quoted_double(totals.rows_per_second));
    map("BytesPerSeconds", |json, totals| _ = json.quoted_double(totals.bytes_per_second));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::expected;
    use egret_runtime::plan::{Edge, Vertex};
    use egret_runtime::plugin::PluginKind;

    fn vertex(id: u32, kind: PluginKind, pipeline: u32, action: &str, tables: &[&str]) -> Vertex {
        Vertex {
            id,
            kind,
            pipeline,
            action: action.into(),
            name: format!("pipeline-{pipeline} [{action}]").into(),
            parallelism: 2,
            table_paths: tables.iter().map(|table| Arc::from(*table)).collect(),
        }
    }

    fn graph() -> JobGraph {
        JobGraph {
            vertices: vec![
                vertex(1, PluginKind::Source, 1, "Source[0]-FakeSource", &["fake"]),
                vertex(2, PluginKind::Transform, 1, "TransformChain[Transform[0]-Sql]", &[]),
                vertex(3, PluginKind::Sink, 1, "Sink[0]-console-MultiTableSink", &["fake"]),
                vertex(4, PluginKind::Source, 2, "Source[1]-FakeSource", &["db.a", "db.b"]),
                vertex(5, PluginKind::Sink, 2, "Sink[1]-LocalFile-MultiTableSink", &["db.a", "db.b"]),
            ],
            edges: vec![
                Edge { pipeline: 1, from: 1, to: 2 },
                Edge { pipeline: 1, from: 2, to: 3 },
                Edge { pipeline: 2, from: 4, to: 5 },
            ],
        }
    }

    fn render(state: JobState, error: Option<&str>, metrics: JobMetrics) -> Vec<u8> {
        let options = [("job.mode", "BATCH"), ("checkpoint.interval", "5000"), ("job.name", "测试 \"quoted\"")];
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let graph = graph();
        let identity = Identity {
            id: 733_584_788_375_666_689,
            name: "测试 \"quoted\"",
            created_at: 1_718_000_000_000,
            env_options: &options,
            graph: &graph,
            start_with_savepoint: false,
        };
        let marked = Constant::render(&identity);
        let constant = Constant::from_marked(&marked);
        let finished_at = state.is_final().then_some(1_718_000_001_000);
        let standing = Standing { state, error, finished_at, metrics };
        let mut json = JsonBuffer::default();
        let chained = chain(constant, &standing, &mut json).into_bytes().to_vec();
        whole(constant, &standing, &mut json);
        assert_eq!(json.take(), chained, "alone and in a list a job has the same text");
        chained
    }

    fn metrics() -> JobMetrics {
        let totals = |rows: u64| Totals {
            rows,
            bytes: rows * 13,
            rows_per_second: rows as f64 / 4.0,
            bytes_per_second: rows as f64 * 1e6,
        };
        JobMetrics {
            source: totals(15),
            sink: totals(15),
            source_tables: [("db.a", 10), ("db.b", 5)].map(|(path, rows)| (Arc::from(path), totals(rows))).into(),
            sink_tables: [("db.a", 10), ("db.b", 5)].map(|(path, rows)| (Arc::from(path), totals(rows))).into(),
            ..JobMetrics::default()
        }
    }

    #[test]
    fn a_running_job_has_the_fields_of_every_release() {
        expected("seatunnel/full-running", &render(JobState::Running, None, metrics()));
    }

    #[test]
    fn a_finished_job_has_the_fields_of_every_release() {
        expected("seatunnel/full-finished", &render(JobState::Finished, None, metrics()));
    }

    #[test]
    fn a_failed_job_tells_why_and_counts_from_zero() {
        expected("seatunnel/full-failed", &render(JobState::Failed, Some("line 1\nline \"2\""), JobMetrics::default()));
    }

    #[test]
    fn fields_come_in_the_order_of_the_contract() {
        let keys = |body: Vec<u8>| -> Vec<String> {
            let body: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&body).expect("an object");
            body.keys().cloned().collect()
        };
        assert_eq!(
            keys(render(JobState::Running, None, metrics())).join(" "),
            "jobId jobName jobStatus envOptions createTime jobDag pluginJarsUrls isStartWithSavePoint metrics"
        );
        assert_eq!(
            keys(render(JobState::Canceled, None, metrics())).join(" "),
            "jobId jobName jobStatus errorMsg createTime finishTime finishedTime jobDag pluginJarsUrls metrics"
        );
    }

    #[test]
    fn a_job_without_vertices_is_rendered_all_the_same() {
        let graph = JobGraph { vertices: Vec::new(), edges: Vec::new() };
        let identity =
            Identity { id: 1, name: "", created_at: 0, env_options: &[], graph: &graph, start_with_savepoint: true };
        let marked = Constant::render(&identity);
        let standing =
            Standing { state: JobState::Pending, error: None, finished_at: None, metrics: JobMetrics::default() };
        let body = chain(Constant::from_marked(&marked), &standing, &mut JsonBuffer::default()).into_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["isStartWithSavePoint"], true);
        assert_eq!(body["jobDag"]["pipelineEdges"], serde_json::json!({}));
    }
}
