//! The sink: planned from options.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use egret_runtime::config::{OptionTable, Options, Problems};
use egret_runtime::plugin::{PlanContext, Plugin, Sink, SinkFactory, SinkWriter, TaskContext, TaskError};
use egret_runtime::row::TableSchema;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};

use super::client::{ClientSettings, Request, header_map};
use super::options::{Checker, SINK_OPTIONS};
use super::writer::HttpWriter;

/// Posts rows to web services.
pub struct HttpSink;

impl Plugin for HttpSink {
    fn name(&self) -> &'static str {
        "Http"
    }

    fn options(&self) -> OptionTable {
        SINK_OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Posts each row as a JSON object, or many as a JSON list. An answer other than 200 is logged and counted, it \
         does not fail the job; no answer at all does. Rows may be posted twice after a failure."
    }
}

impl SinkFactory for HttpSink {
    fn plan(
        &self,
        options: Options<'_>,
        inputs: &[Arc<TableSchema>],
        context: &PlanContext,
        warnings: &mut Problems,
    ) -> Result<Arc<dyn Sink>, Problems> {
        let mut checker = Checker::new(options, context);
        let url = checker.url(&options.text("url").unwrap_or_default());
        let mut headers = header_map(&options.text_map("headers").unwrap_or_default()).unwrap_or_else(|error| {
            checker.error("headers", error);
            Default::default()
        });
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        let params = options.text_map("params").unwrap_or_default();
        let url = url.map(|url| url.with_params(params.iter().map(|(name, value)| (name.as_str(), value.as_str()))));
        let array_mode = options.boolean("array_mode").unwrap_or_default();
        if !array_mode && options.is_given("batch_size") && options.count("batch_size") != Some(1) {
            warnings.push(checker.warning("batch_size", "has no effect without array_mode = true"));
        }
        let settings = Arc::new(checker.client(url.as_ref()));
        let interval = checker.millis("request_interval_ms");
        let Some(url) = url.filter(|_| !checker.problems.has_errors()) else { return Err(checker.problems) };
        let request = Request { method: Method::POST, url, headers, body: Default::default() };
        let rows = if array_mode { Some(options.count("batch_size").unwrap_or(1)) } else { None };
        Ok(Arc::new(PlannedSink {
            plan: Arc::new(Plan { tables: inputs.to_vec(), request, rows, interval, settings }),
        }))
    }
}

/// What writers do.
pub(super) struct Plan {
    pub tables: Vec<Arc<TableSchema>>,
    /// Without its body.
    pub request: Request,
    /// Rows of a list; `None` when each row is posted by itself.
    pub rows: Option<usize>,
    /// Least time between the starts of two requests.
    pub interval: Duration,
    pub settings: Arc<ClientSettings>,
}

struct PlannedSink {
    plan: Arc<Plan>,
}

#[async_trait(?Send)]
impl Sink for PlannedSink {
    fn writer(&self, context: &TaskContext) -> Result<Box<dyn SinkWriter>, TaskError> {
        Ok(Box::new(HttpWriter::new(Arc::clone(&self.plan), Rc::clone(&context.probe))))
    }
}
