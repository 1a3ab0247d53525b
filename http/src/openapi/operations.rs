//! Each endpoint in the words of OpenAPI.

use egret_collectors::{SAMPLE_BYTES, SAMPLE_BYTES_MIN};
use serde_json::{Value, json};

use crate::metrics::{Format, Scrape, TYPE_V1};
use crate::node::{self, HeapCall};
use crate::seatunnel::{Endpoint, Face, IdForm, LOGS_HTML, LOGS_PLAIN, SeaTunnelSettings};

/// Schema of what says how the heap profiler is.
const PROFILER: &str = "HeapProfiler";

/// What an answer of 200 holds.
enum Answer {
    /// JSON of a schema.
    Json(&'static str),
    /// Text of a type.
    Text(&'static str),
    /// JSON of a schema, or nothing.
    JsonOrNothing(&'static str),
    /// This description.
    Description,
    /// A log of a type; 400 without a body where there is none.
    Log(&'static str),
    /// The same, and lists of logs as JSON of a schema or as text of a type.
    LogOrLogs(&'static str, &'static str, &'static str),
    /// JSON of a schema, or text of a type.
    JsonOrText(&'static str, &'static str),
    /// Metrics in either form.
    Metrics,
    /// Bytes of a type.
    Bytes(&'static str),
    /// None: the request lacks its argument.
    Never,
}

/// What a request brings along.
enum Payload {
    Nothing,
    Json(&'static str),
    JsonOrHocon(&'static str),
    Form,
}

/// One operation.
pub(super) struct Operation {
    summary: &'static str,
    /// Name, schema and meaning of the argument in the path.
    argument: Option<(&'static str, Value, &'static str)>,
    /// Name, schema and meaning of parameters in the query.
    query: Vec<(&'static str, Value, &'static str)>,
    payload: Payload,
    answer: Answer,
    /// What the query names may not be there.
    may_be_unknown: bool,
}

impl Operation {
    fn get(summary: &'static str, answer: Answer) -> Self {
        Self { summary, argument: None, query: Vec::new(), payload: Payload::Nothing, answer, may_be_unknown: false }
    }

    fn post(summary: &'static str, payload: Payload, answer: &'static str) -> Self {
        Self { payload, ..Self::get(summary, Answer::Json(answer)) }
    }

    fn with_argument(self, name: &'static str, schema: Value, meaning: &'static str) -> Self {
        Self { argument: Some((name, schema, meaning)), ..self }
    }

    /// The operations of an endpoint: with and without its argument.
    pub(super) fn of_seatunnel(endpoint: Endpoint, face: Face, settings: &SeaTunnelSettings) -> Vec<Self> {
        let numbers = face == Face::V1 && settings.v1_ids == IdForm::Number;
        let (submitted, stopped) =
            if numbers { ("SubmittedNumber", "StoppedNumber") } else { ("Submitted", "Stopped") };
        let submission = |summary, payload| Self {
            query: submit_query(matches!(payload, Payload::JsonOrHocon(_))),
            ..Self::post(summary, payload, submitted)
        };
        vec![match endpoint {
            Endpoint::RunningJobs => Self::get("Jobs that have not ended", Answer::Json("RunningJobs")),
            Endpoint::FinishedJobs => {
                let all = || Self::get("Jobs that have ended", Answer::Json("FinishedJobs"));
                let of_state =
                    all().with_argument("state", json!({"type": "string"}), "Only jobs that ended in this state.");
                return vec![all(), of_state];
            }
            Endpoint::JobInfo => {
                let id = json!({"$ref": "#/components/schemas/Id"});
                let known = Self::get("A job, running or ended", Answer::Json("JobInfo"));
                let without = Self::get("A job; here without its id, which is refused", Answer::Never);
                return vec![without, known.with_argument("jobId", id, "Id of the job.")];
            }
            Endpoint::SystemMonitoring => {
                Self::get("How the machine and the node do", Answer::Json("SystemMonitoring"))
            }
            Endpoint::RunningThreads => Self::get("Names of the node's threads", Answer::Json("RunningThreads")),
            Endpoint::Overview => Self::get("Slots, jobs by state, workers", Answer::Json("Overview")),
            Endpoint::ThreadDump => Self::get("What each thread does", Answer::Json("ThreadDump")),
            Endpoint::SubmitJobs => {
                Self::post("Submits jobs one after the other", Payload::Json("JobConfigs"), "SubmittedJobs")
            }
            Endpoint::SubmitJobUpload => submission("Submits a job whose config is a file", Payload::Form),
            Endpoint::SubmitJob => submission("Submits a job", Payload::JsonOrHocon("JobConfig")),
            Endpoint::StopJobs => Self::post("Stops jobs", Payload::Json("StopJobs"), "StoppedJobs"),
            Endpoint::StopJob => Self::post("Stops a job", Payload::Json("StopJob"), stopped),
            Endpoint::EncryptConfig => {
                Self::post("Encodes the secrets of a config", Payload::Json("JobConfig"), "EncryptedConfig")
            }
            Endpoint::Logs => {
                let format = || vec![("format", json!({"type": "string"}), "`json`, else a page of HTML.")];
                let list = Self::get("Logs of jobs", Answer::JsonOrText("Logs", LOGS_HTML));
                let some = Self::get(
                    "A log, or those whose names hold a text",
                    Answer::LogOrLogs(LOGS_PLAIN, "Logs", LOGS_HTML),
                );
                let name = "What holds `.log` is the name of a file, which is given; else a part of names.";
                return vec![
                    Self { query: format(), ..list },
                    Self { query: format(), ..some }.with_argument("name", json!({"type": "string"}), name),
                ];
            }
            Endpoint::Log => {
                let list = Self::get("Logs of jobs on this node", Answer::Text(LOGS_HTML));
                let file = Self::get("A log, by the name of its file", Answer::Log(LOGS_PLAIN));
                return vec![list, file.with_argument("file", json!({"type": "string"}), "Name of the file.")];
            }
            Endpoint::LogNames => Self::get("Names of the files of logs", Answer::Json("LogNames")),
            Endpoint::UpdateTags => {
                let updated = if face == Face::V1 { "TagsUpdated" } else { "TagsUpdatedV2" };
                Self::post("Replaces the node's tags", Payload::Json("Tags"), updated)
            }
        }]
    }

    /// The operations of an endpoint of the node: with and without its argument.
    pub(super) fn of_node(endpoint: node::Endpoint) -> Vec<Self> {
        vec![match endpoint {
            node::Endpoint::Cluster => Self::get("Members of the cluster", Answer::Json("Cluster")),
            node::Endpoint::Health => {
                let parts = json!({
                    "type": "string",
                    "enum": ["node-state", "cluster-state", "cluster-safe", "migration-queue-size", "cluster-size", "ready"],
                });
                let part = Self::get("One answer about the node's health", Answer::JsonOrNothing("HealthPart"));
                let all = Self::get("The node's health", Answer::Json("Health"));
                return vec![all, part.with_argument("part", parts, "What is asked.")];
            }
            node::Endpoint::Metrics(Scrape::Whole(Format::Prometheus)) => {
                Self::get("Metrics as Prometheus text", Answer::Text(TYPE_V1))
            }
            node::Endpoint::Metrics(Scrape::Whole(Format::OpenMetrics)) => {
                Self::get("Metrics as OpenMetrics", Answer::Text(TYPE_V1))
            }
            node::Endpoint::Metrics(Scrape::Selected(format)) => {
                let metrics = Self::get("Metrics in one form", Answer::Text(format.content_type()));
                Self { query: families_query(), ..metrics }
            }
            node::Endpoint::Metrics(Scrape::Negotiated) => {
                let metrics = Self::get("Metrics in the form that Accept prefers", Answer::Metrics);
                Self { query: families_query(), ..metrics }
            }
            node::Endpoint::OpenApi => Self::get("This description", Answer::Description),
            node::Endpoint::Timings => {
                let id = json!({"$ref": "#/components/schemas/Id"});
                let timings = Self::get("How long things take", Answer::Json("Timings"));
                let query = vec![("jobId", id, "A job whose timings are told, too.")];
                Self { query, may_be_unknown: true, ..timings }
            }
            node::Endpoint::Heap(HeapCall::Show) => Self::get("Live allocations by size", Answer::Json("Heap")),
            node::Endpoint::Heap(HeapCall::Start) => {
                let rate = json!({"type": "integer", "minimum": SAMPLE_BYTES_MIN, "default": SAMPLE_BYTES});
                let meaning = "One allocation in so many bytes is sampled; taken as the next power of two.";
                let query = vec![("sampleBytes", rate, meaning)];
                let start = "Switches the heap profiler on, for programs on the node's machine";
                Self { query, ..Self::post(start, Payload::Nothing, PROFILER) }
            }
            node::Endpoint::Heap(HeapCall::Stop) => {
                let stop = "Switches the heap profiler off, for programs on the node's machine";
                Self::post(stop, Payload::Nothing, PROFILER)
            }
            node::Endpoint::Heap(HeapCall::Profile) => {
                let profile = "Who holds memory, as a gzipped profile of pprof's, for programs on the node's machine";
                Self::get(profile, Answer::Bytes("application/octet-stream"))
            }
            node::Endpoint::Timelines => {
                let lately = Self::get("What the node, or its jobs, have done lately", Answer::Json("Timelines"));
                Self { query: timelines_query(), may_be_unknown: true, ..lately }
            }
        }]
    }

    /// What stands behind the route in the path.
    pub(super) fn argument(&self) -> String {
        self.argument.as_ref().map_or_else(String::new, |(name, ..)| format!("/{{{name}}}"))
    }

    pub(super) fn render(&self, method: &str, path: &str) -> Value {
        let mut operation = json!({
            "summary": self.summary,
            "operationId": operation_id(method, path),
            "responses": self.responses(),
        });
        let in_path = self.argument.iter().map(|(name, schema, meaning)| {
            json!({"name": name, "in": "path", "required": true, "schema": schema, "description": meaning})
        });
        let in_query = self.query.iter().map(
            |(name, schema, meaning)| json!({"name": name, "in": "query", "schema": schema, "description": meaning}),
        );
        let parameters: Vec<Value> = in_path.chain(in_query).collect();
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        let reference = |name: &str| json!({"schema": {"$ref": format!("#/components/schemas/{name}")}});
        let content = match self.payload {
            Payload::Nothing => return operation,
            Payload::Json(schema) => json!({"application/json": reference(schema)}),
            Payload::JsonOrHocon(schema) => {
                json!({"application/json": reference(schema), "text/plain": {"schema": {"type": "string"}}})
            }
            Payload::Form => json!({"multipart/form-data": {"schema": {
                "type": "object",
                "properties": {"config_file": {"type": "string", "contentMediaType": "application/octet-stream"}},
                "required": ["config_file"],
            }}}),
        };
        operation["requestBody"] = json!({"required": true, "content": content});
        operation
    }

    fn responses(&self) -> Value {
        let reference = |name: &str| json!({"schema": {"$ref": format!("#/components/schemas/{name}")}});
        let content = match self.answer {
            Answer::Json(schema) => Some(json!({"application/json": reference(schema)})),
            Answer::JsonOrNothing(schema) => {
                Some(json!({"application/json": reference(schema), "text/plain": {"schema": {"const": ""}}}))
            }
            Answer::JsonOrText(schema, content_type) => Some(json!({
                "application/json": reference(schema),
                content_type: {"schema": {"type": "string"}},
            })),
            Answer::LogOrLogs(log, schema, page) => Some(json!({
                log: {"schema": {"type": "string"}},
                "application/json": reference(schema),
                page: {"schema": {"type": "string"}},
            })),
            Answer::Text(content_type) | Answer::Log(content_type) => {
                Some(json!({content_type: {"schema": {"type": "string"}}}))
            }
            Answer::Metrics => Some(json!({
                (Format::Prometheus.content_type()): {"schema": {"type": "string"}},
                (Format::OpenMetrics.content_type()): {"schema": {"type": "string"}},
            })),
            Answer::Bytes(content_type) => {
                Some(json!({content_type: {"schema": {"type": "string", "contentMediaType": content_type}}}))
            }
            Answer::Description => Some(json!({"application/json": {"schema": {"type": "object"}}})),
            Answer::Never => None,
        };
        let mut responses = json!({});
        if let Some(content) = content {
            responses["200"] = json!({"description": "Done.", "content": content});
        }
        if let Answer::Metrics = self.answer {
            responses["200"]["headers"] = header("Vary", "`accept`, since the form depends on it.");
        }
        if self.tells_time() {
            let seconds = header("X-Process-Time", "Seconds that the request took.");
            responses["200"]["headers"] = seconds;
        }
        for status in ["400", "408", "414", "431", "500"].into_iter().chain(self.further_statuses()) {
            responses[status] = json!({"$ref": "#/components/responses/Error"});
        }
        if let Answer::Log(content_type) | Answer::LogOrLogs(content_type, ..) = self.answer {
            let none = json!({
                content_type: {"schema": {"const": ""}},
                "application/json": {"schema": {"$ref": "#/components/schemas/Error"}},
            });
            responses["400"] = json!({"description": "There is no such file.", "content": none});
        }
        responses["405"] = error("The method is not one of this path.", header("Allow", "The methods that are."));
        let retry = header("Retry-After", "Seconds after which to try again.");
        responses["503"] = error("The node has no room for the request now.", retry);
        if !matches!(self.payload, Payload::Nothing) {
            responses["403"] = error("A browser asks for a page of another site.", json!({}));
        }
        if self.is_of_profiler() {
            responses["403"] = error("The request does not come from the node's own machine.", json!({}));
            responses["409"] = error("The profiler is off, or on with another rate.", json!({}));
        }
        responses
    }

    /// Whether a header says how long the request took.
    fn tells_time(&self) -> bool {
        matches!(self.answer, Answer::Json("Timings"))
    }

    /// Whether it is about the heap profiler.
    fn is_of_profiler(&self) -> bool {
        matches!(self.answer, Answer::Bytes(_) | Answer::Json(PROFILER))
    }

    /// Errors that not every operation has.
    fn further_statuses(&self) -> impl Iterator<Item = &'static str> {
        // A node may keep no logs; a job may be unknown; and an argument may lead to a path that is none.
        let of_logs =
            matches!(self.answer, Answer::JsonOrText(..) | Answer::Text(LOGS_HTML) | Answer::Json("LogNames"));
        let not_found = of_logs || self.argument.is_some() || self.may_be_unknown;
        let with_body = !matches!(self.payload, Payload::Nothing);
        let of_heap = self.is_of_profiler() || matches!(self.answer, Answer::Json("Heap"));
        [(not_found, "404"), (with_body, "413"), (of_heap, "501")]
            .into_iter()
            .filter_map(|(has, status)| has.then_some(status))
    }
}

/// An answer in the envelope of errors.
pub(super) fn error(description: &str, headers: Value) -> Value {
    let content = json!({"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}});
    json!({"description": description, "headers": headers, "content": content})
}

fn header(name: &str, description: &str) -> Value {
    json!({name: {"description": description, "required": true, "schema": {"type": "string"}}})
}

/// `post` and `/submit-job/upload` as `post-submit-job-upload`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(['/', '{', '}']).filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("-")
}

/// What selects families of metrics.
fn families_query() -> Vec<(&'static str, Value, &'static str)> {
    let names = json!({"type": "array", "items": {"type": "string"}, "maxItems": 64});
    let meaning = "A family, or with `*` at the end all whose names begin like that; may be given several times.";
    vec![("name", names, meaning)]
}

fn submit_query(with_format: bool) -> Vec<(&'static str, Value, &'static str)> {
    let mut query = vec![
        ("jobId", json!({"$ref": "#/components/schemas/Id"}), "The id that the job is to have."),
        ("jobName", json!({"type": "string"}), "The name instead of the config's."),
        ("isStartWithSavePoint", json!({"type": "boolean"}), "Whether to go on from the job's savepoint."),
    ];
    if with_format {
        query.push(("format", json!({"type": "string", "enum": ["json", "hocon"]}), "How the config is written."));
    }
    query
}

fn timelines_query() -> Vec<(&'static str, Value, &'static str)> {
    let or_all = |schema: Value| json!({"anyOf": [schema, {"const": "*"}]});
    let time = || json!({"type": "integer", "format": "int64"});
    vec![
        (
            "jobId",
            or_all(json!({"$ref": "#/components/schemas/Id"})),
            "A job, summed over its tasks, or all running ones; without it the node.",
        ),
        (
            "vertexId",
            or_all(json!({"type": "integer"})),
            "The tasks of a vertex of the job, or of all, each by itself.",
        ),
        ("index", json!({"type": "integer", "minimum": 0}), "One of the vertex' parallel tasks."),
        ("metric", json!({"type": "string"}), "Names with commas between them; all when it is left out."),
        ("resolution", json!({"type": "integer", "enum": [1, 10, 60]}), "Length of a slot in seconds; 1 by default."),
        ("start", time(), "Unix seconds; negative ones count back from now. The last 60 slots by default."),
        ("end", time(), "Unix seconds, excluded; negative ones count back from now. Now by default."),
    ]
}
