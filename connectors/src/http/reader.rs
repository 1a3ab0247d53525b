//! Reads page after page, in one task.

use std::future::Future;
use std::mem::take;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use egret_runtime::plugin::{Progress, SourceReader, Split, TaskError};
use egret_runtime::row::{Batch, TableIndex, TableSchema};
use egret_runtime::shard::{BlockingError, run_blocking};
use egret_runtime::task::TaskProbe;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::client::{Answer, Client};
use super::decode::{Format, Records};
use super::paging::Page;
use super::source::{SPLIT, Work};
use crate::format::ValueRules;

/// Between two pages, as the reference engine.
const PAGE_PAUSE: Duration = Duration::from_millis(10);
/// From this size on an answer is cut on a thread of its own kind: the shard has other work.
const CUT_ELSEWHERE_BYTES: usize = 256 << 10;

/// A request under way. It owns the client, so that it goes on where it was when [`HttpReader::next`] is dropped.
type InFlight = Pin<Box<dyn Future<Output = (Client, Result<Records, TaskError>)>>>;

/// The one reader of the source.
pub(super) struct HttpReader {
    work: Arc<Work>,
    schema: Arc<TableSchema>,
    /// `None` while a request is under way.
    client: Option<Client>,
    in_flight: Option<InFlight>,
    /// The page whose rows are not all out; `None` when there is nothing to read.
    page: Option<Page>,
    records: Option<Records>,
    not_before: Instant,
    rules: ValueRules,
    probe: Rc<TaskProbe>,
}

impl HttpReader {
    pub fn new(work: Arc<Work>, schema: Arc<TableSchema>, probe: Rc<TaskProbe>) -> Self {
        let client = Some(Client::new(Arc::clone(&work.settings)));
        Self {
            work,
            schema,
            client,
            in_flight: None,
            page: None,
            records: None,
            not_before: Instant::now(),
            rules: ValueRules::default(),
            probe,
        }
    }

    /// Begins to ask for a page.
    fn ask(&mut self, page: &Page) {
        let work = Arc::clone(&self.work);
        let page = page.clone();
        let mut client = self.client.take().unwrap_or_else(|| Client::new(Arc::clone(&work.settings)));
        self.in_flight = Some(Box::pin(async move {
            let records = records_of(&mut client, &work, &page).await;
            (client, records)
        }));
    }

    /// The next rows of the answer that is there.
    fn rows(&mut self) -> Result<Option<Batch>, TaskError> {
        let (Some(records), Some(page)) = (&mut self.records, &self.page) else { return Ok(None) };
        let is_text = matches!(self.work.decoding.format, Format::Text);
        let rows = records.next_rows(&self.schema, is_text, &self.rules).map_err(|error| {
            let template = &self.work.template;
            TaskError::permanent(error).while_doing(format!("the answer of {} {}", template.method, template.url))
        })?;
        self.probe.warn(self.rules.digits_lost.take());
        if records.is_done() {
            let next = match &self.work.paging {
                Some(paging) => paging.after(page, records.count, records.cursor.take()),
                None => None,
            };
            let (next, pause) = match (next, self.work.repeats) {
                (Some(next), _) => (Some(next), PAGE_PAUSE),
                (None, Some(pause)) => (Some(self.work.first()), pause),
                (None, None) => (None, Duration::ZERO),
            };
            self.records = None;
            self.page = next;
            self.not_before = Instant::now() + pause;
        }
        Ok(rows.map(|rows| Batch::inserts(TableIndex(0), rows)))
    }
}

async fn records_of(client: &mut Client, work: &Arc<Work>, page: &Page) -> Result<Records, TaskError> {
    let (values, places) = match &work.paging {
        Some(paging) => (paging.values(page), paging.places),
        None => Default::default(),
    };
    let request = work.template.request(&values, places);
    let request = request.map_err(|(option, error)| TaskError::permanent(format!("{option}: {error}")))?;
    let doing = format!("{} {}", request.method, request.url);
    let answer = client.send(&request).await?;
    refuse_failure(&answer).map_err(|error| error.while_doing(&doing))?;
    let content_type = answer.headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let content_type = content_type.unwrap_or_default().into_owned();
    let (body, decoding) = (answer.body, Arc::clone(&work.decoding));
    let records = if body.len() < CUT_ELSEWHERE_BYTES {
        decoding.records(body, &content_type)
    } else {
        let shared = Arc::new(Mutex::new(body));
        let taken = |body: &Mutex<Vec<u8>>| take(&mut *body.lock().unwrap_or_else(PoisonError::into_inner));
        let (cutter, theirs, label) = (Arc::clone(&decoding), Arc::clone(&shared), content_type.clone());
        match run_blocking(move || cutter.records(taken(&theirs), &label)).await {
            Ok(records) => records,
            Err(BlockingError::Panicked(words)) => Err(words),
            // A full queue is no reason to fail: the shard does it itself then.
            Err(BlockingError::Full(_) | BlockingError::Stopped) => decoding.records(taken(&shared), &content_type),
        }
    };
    records.map_err(|error| TaskError::permanent(error).while_doing(format!("the answer of {doing}")))
}

/// Only 200 to 207 are answers; of the others those may pass that blame the server or the moment.
fn refuse_failure(answer: &Answer) -> Result<(), TaskError> {
    if (200..=207).contains(&answer.status.as_u16()) {
        return Ok(());
    }
    let message = format!("answered with status {}: {}", answer.status, answer.shown());
    let may_pass = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    if answer.status.is_server_error() || may_pass.contains(&answer.status) {
        Err(TaskError::transient(message))
    } else {
        Err(TaskError::permanent(message))
    }
}

#[async_trait(?Send)]
impl SourceReader for HttpReader {
    fn add_splits(&mut self, splits: Vec<Split>) -> Result<(), TaskError> {
        for split in splits {
            if split.id.as_ref() != SPLIT {
                return Err(TaskError::permanent(format!("'{}' is not a split of Http", split.id)));
            }
            let page = Page::decode(&split.state);
            self.page = Some(page.ok_or_else(|| TaskError::permanent("the position of Http is of another version"))?);
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Progress, TaskError> {
        loop {
            if self.records.is_some() {
                match self.rows()? {
                    Some(batch) => return Ok(Progress::Rows(batch)),
                    None => continue,
                }
            }
            if self.in_flight.is_none() {
                let Some(page) = self.page.clone() else { return Ok(Progress::NeedSplits) };
                if Instant::now() < self.not_before {
                    return Ok(Progress::Idle(self.not_before));
                }
                self.ask(&page);
            }
            if let Some(in_flight) = &mut self.in_flight {
                let (client, records) = in_flight.as_mut().await;
                self.in_flight = None;
                self.client = Some(client);
                let records = records?;
                self.probe.warn(u64::from(records.broken_text));
                self.records = Some(records);
            }
        }
    }

    /// The page that is not out whole is asked for again: rows may come twice, none is lost.
    fn snapshot(&mut self) -> Result<Vec<Split>, TaskError> {
        Ok(self.page.iter().map(|page| Split { id: SPLIT.into(), state: page.encode() }).collect())
    }
}
