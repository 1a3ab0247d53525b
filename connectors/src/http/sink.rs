//! The sink: planned from options.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use egret_runtime::config::{OptionTable, Options, Problems};
use egret_runtime::plugin::{PlanContext, Plugin, Sink, SinkFactory, SinkWriter, TaskContext, TaskError};
use egret_runtime::row::{TablePath, TableSchema};
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
        let mut targets = Vec::with_capacity(inputs.len());
        let pattern = options.text("url").unwrap_or_default();
        let mut headers = header_map(&options.text_map("headers").unwrap_or_default()).unwrap_or_else(|error| {
            checker.error("headers", error);
            Default::default()
        });
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        let params = options.text_map("params").unwrap_or_default();
        for table in inputs {
            let Some(url) = checker.url(&resolved(&pattern, &table.path)) else { break };
            let url = url.with_params(params.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let request = Request { method: Method::POST, url, headers: headers.clone(), body: Default::default() };
            targets.push(Target { table: Arc::clone(table), request });
        }
        let array_mode = options.boolean("array_mode").unwrap_or_default();
        if !array_mode && options.is_given("batch_size") && options.count("batch_size") != Some(1) {
            warnings.push(checker.warning("batch_size", "has no effect without array_mode = true"));
        }
        let tls = targets.iter().map(|target| &target.request.url).find(|url| url.tls).cloned();
        let settings = Arc::new(checker.client(tls.as_ref()));
        let interval = checker.millis("request_interval_ms");
        if checker.problems.has_errors() {
            return Err(checker.problems);
        }
        let rows = if array_mode { Some(options.count("batch_size").unwrap_or(1)) } else { None };
        Ok(Arc::new(PlannedSink { plan: Arc::new(Plan { targets, rows, interval, settings }) }))
    }
}

/// Where the rows of a table go.
pub(super) struct Target {
    pub table: Arc<TableSchema>,
    /// Without its body.
    pub request: Request,
}

/// What writers do.
pub(super) struct Plan {
    pub targets: Vec<Target>,
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

/// Replaces `${table_name}` and the like (contract C.3), also with a default: `${schema_name:public}`.
fn resolved(pattern: &str, table: &TablePath) -> String {
    let full = |parts: &[Option<&str>]| parts.iter().flatten().copied().collect::<Vec<_>>().join(".");
    let (database, schema) = (table.database.as_deref(), table.schema.as_deref());
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let inside = &rest[start + 2..start + length];
        let (name, default) = inside.split_once(':').map_or((inside, None), |(name, default)| (name, Some(default)));
        let value = match name {
            "database_name" => Some(database.unwrap_or_default().to_owned()),
            "schema_name" => Some(schema.unwrap_or_default().to_owned()),
            "table_name" => Some(table.table.to_string()),
            "schema_full_name" => Some(full(&[database, schema])),
            "table_full_name" => Some(full(&[database, schema, Some(&table.table)])),
            _ => None,
        };
        out.push_str(&rest[..start]);
        match value {
            Some(value) if value.is_empty() => out.push_str(default.unwrap_or_default()),
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[start..=start + length]),
        }
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_their_place_in_the_address() {
        let path = TablePath::parse("db.t", false).expect("a path");
        let url =
            resolved("http://h/${database_name}/${schema_name:public}/${table_name}?f=${table_full_name}&${x}", &path);
        assert_eq!(url, "http://h/db/public/t?f=db.t&${x}");
        assert_eq!(resolved("http://h/${", &path), "http://h/${");
    }
}
