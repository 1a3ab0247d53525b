//! Posts rows, in one task.

use std::mem::take;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use egret_runtime::plugin::{Prepared, SinkWriter, TaskError};
use egret_runtime::row::{Batch, TableSchema};
use egret_runtime::shard::sleep_until;
use egret_runtime::task::TaskProbe;
use http::StatusCode;

use super::client::{Client, Request};
use super::sink::Plan;
use crate::format::{Encoder, JsonEncoder, Patterns};

/// A list goes out early when its rows take so many bytes.
const LIST_BYTES_MAX: usize = 16 << 20;
/// Answers that are no success are logged at most so often; all are counted.
const WARNING_PAUSE: Duration = Duration::from_secs(10);

/// The writer of one task.
pub(super) struct HttpWriter {
    plan: Arc<Plan>,
    client: Client,
    tables: Vec<Table>,
    /// When the next request may begin.
    not_before: Instant,
    refusals: Refusals,
    probe: Rc<TaskProbe>,
}

/// Rows of one table that are to go out together.
struct Table {
    encoder: JsonEncoder,
    body: Vec<u8>,
    rows: usize,
}

/// Answers other than 200.
#[derive(Default)]
struct Refusals {
    count: u64,
    /// How many were not logged since the last that was.
    silent: u64,
    logged: Option<Instant>,
}

impl HttpWriter {
    pub fn new(plan: Arc<Plan>, probe: Rc<TaskProbe>) -> Self {
        let table = |schema: &Arc<TableSchema>| Table {
            // Rows come one by one here: nothing stands between them.
            encoder: JsonEncoder::new(Arc::clone(&schema.columns), Box::default(), Patterns::default()),
            body: Vec::new(),
            rows: 0,
        };
        Self {
            client: Client::new(Arc::clone(&plan.settings)),
            tables: plan.tables.iter().map(table).collect(),
            not_before: Instant::now(),
            refusals: Refusals::default(),
            plan,
            probe,
        }
    }

    async fn post(&mut self, body: Vec<u8>) -> Result<(), TaskError> {
        if !self.plan.interval.is_zero() {
            sleep_until(self.not_before).await;
            self.not_before = Instant::now() + self.plan.interval;
        }
        let request = Request { body: body.into(), ..self.plan.request.clone() };
        let answer = self.client.send(&request).await?;
        if answer.status != StatusCode::OK {
            self.probe.warn(1);
            self.refusals.note(Instant::now(), |silent| {
                let before =
                    if silent == 0 { String::new() } else { format!(" ({silent} more since the last warning)") };
                let (status, shown) = (answer.status, answer.shown());
                tracing::warn!("POST {} answered with status {status}: {shown}{before}", request.url);
            });
        }
        Ok(())
    }

    /// Sends the rows of a list that was begun.
    async fn flush(&mut self, table: usize) -> Result<(), TaskError> {
        if self.tables[table].rows == 0 {
            return Ok(());
        }
        let mut body = take(&mut self.tables[table].body);
        self.tables[table].rows = 0;
        body.push(b']');
        self.post(body).await
    }
}

impl Refusals {
    fn note(&mut self, now: Instant, log: impl FnOnce(u64)) {
        self.count += 1;
        if self.logged.is_some_and(|logged| now.duration_since(logged) < WARNING_PAUSE) {
            self.silent += 1;
        } else {
            self.logged = Some(now);
            log(take(&mut self.silent));
        }
    }
}

#[async_trait(?Send)]
impl SinkWriter for HttpWriter {
    async fn write(&mut self, batch: Batch) -> Result<(), TaskError> {
        let index = usize::from(batch.table.0);
        for row in 0..batch.len() {
            let table = &mut self.tables[index];
            let one = batch.rows.slice(row, 1);
            let Some(rows_max) = self.plan.rows else {
                let mut body = Vec::new();
                let lost = table.encoder.write(&one, &mut body)?;
                self.probe.warn(lost);
                self.post(body).await?;
                continue;
            };
            table.body.push(if table.rows == 0 { b'[' } else { b',' });
            let lost = table.encoder.write(&one, &mut table.body)?;
            table.rows += 1;
            self.probe.warn(lost);
            if table.rows >= rows_max || table.body.len() >= LIST_BYTES_MAX {
                self.flush(index).await?;
            }
        }
        Ok(())
    }

    /// A server may take long over each row.
    fn can_be_interrupted(&self) -> bool {
        true
    }

    async fn prepare(&mut self, _checkpoint: u64) -> Result<Vec<Prepared>, TaskError> {
        for table in 0..self.tables.len() {
            self.flush(table).await?;
        }
        Ok(Vec::new())
    }

    async fn abort(&mut self) {
        for table in &mut self.tables {
            table.body = Vec::new();
            table.rows = 0;
        }
    }

    async fn close(&mut self) -> Result<(), TaskError> {
        if self.refusals.count > 0 {
            tracing::warn!("{} requests of this task were not answered with 200", self.refusals.count);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_all_counted_and_seldom_logged() {
        let mut refusals = Refusals::default();
        let begin = Instant::now();
        let mut logged = Vec::new();
        for second in [0, 1, 5, 11, 12, 30] {
            refusals.note(begin + Duration::from_secs(second), |silent| logged.push((second, silent)));
        }
        assert_eq!((logged, refusals.count), (vec![(0, 0), (11, 2), (30, 1)], 6));
    }
}
