//! From events to the logs of jobs.

use std::fmt::{self, Write as _};
use std::sync::{Arc, OnceLock};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::{JobLogs, Line};
use crate::shard::current_job;

/// Hands the events of jobs to their logs.
///
/// An event belongs to the job that its field `job` names, else to the job whose task, or whose blocking work, logs
/// it. The second needs no span: the driver notes the job of the task that it polls, in two stores.
#[derive(Debug)]
pub struct JobLogLayer {
    logs: JobLogSlot,
}

/// Where a [`JobLogLayer`] finds the logs, once they are open.
#[derive(Clone, Debug, Default)]
pub struct JobLogSlot(Arc<OnceLock<JobLogs>>);

impl JobLogSlot {
    /// Lets the layer write from now on; false when it does so already.
    pub fn fill(&self, logs: JobLogs) -> bool {
        self.0.set(logs).is_ok()
    }
}

/// A filter for the layer: events of level info and above that belong to a job, or may.
pub fn is_of_a_job(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && *metadata.level() <= Level::INFO
}

impl JobLogLayer {
    /// A layer, and where it will find the logs. Events before that are in no job's log.
    pub fn new() -> (Self, JobLogSlot) {
        let slot = JobLogSlot::default();
        (Self { logs: slot.clone() }, slot)
    }
}

impl<S: Subscriber> Layer<S> for JobLogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(logs) = self.logs.0.get() else { return };
        let has_field = event.metadata().fields().field("job").is_some();
        let polled = current_job();
        if !has_field && polled.is_none() {
            return;
        }
        let mut fields = Fields { job: None, message: String::new(), others: String::new() };
        event.record(&mut fields);
        if let Some(job) = fields.job.or(polled) {
            let Fields { mut message, others, .. } = fields;
            message.push_str(&others);
            logs.write(Line::now(job, *event.metadata().level(), event.metadata().target(), message));
        }
    }
}

/// What an event says.
struct Fields {
    job: Option<i64>,
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == "job" {
            self.job = Some(value);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(job) if field.name() == "job" => self.job = Some(job),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, " {name}={value:?}"),
        };
    }
}
