//! Lists of jobs. A list is built at most once in a while on each shard, whoever asks and however often, and at once
//! after a job was submitted or changed its state.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use egret_runtime::shard::give_way;

use super::{Call, SeaTunnel, job};
use crate::jobs::{JobEntry, JobState};
use crate::json::JsonBuffer;
use crate::reply::Reply;

/// How old the counters in a list may be.
const AGE_MAX: Duration = Duration::from_millis(10);
/// How long a list is kept that nobody asks for.
const KEPT: Duration = Duration::from_secs(1);
/// Jobs rendered between two looks at the rest of the executor's work.
const JOBS_PER_TURN: usize = 16;

/// Which jobs a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKind {
    Running,
    /// All, or those of one final state.
    Finished(Option<JobState>),
}

/// The final states, each of which has a list.
const FINAL: [JobState; 5] =
    [JobState::Finished, JobState::Canceled, JobState::Failed, JobState::SavepointDone, JobState::Unknowable];

impl ListKind {
    fn position(self) -> Option<usize> {
        match self {
            Self::Running => Some(0),
            Self::Finished(None) => Some(1),
            Self::Finished(Some(state)) => FINAL.iter().position(|known| *known == state).map(|position| 2 + position),
        }
    }
}

/// The lists of a shard as they were last built.
#[derive(Debug, Default)]
pub(super) struct Lists([List; 2 + FINAL.len()]);

#[derive(Debug, Default)]
struct List {
    built: RefCell<Option<Built>>,
    /// Length when it was last built.
    bytes: Cell<usize>,
    building: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

#[derive(Clone, Debug)]
struct Built {
    /// State of the directory of jobs before the list was built.
    version: u64,
    /// When it was begun.
    begun: Instant,
    json: Bytes,
}

/// Marks a list as being built; also a builder that is dropped on its way makes room for the next.
struct Building<'l>(&'l List);

impl Drop for Building<'_> {
    fn drop(&mut self) {
        self.0.building.set(false);
        self.0.waiting.take().into_iter().for_each(Waker::wake);
    }
}

impl Lists {
    /// Gives back the memory of lists that nobody has asked for in a while.
    pub(super) fn forget_old(&self) {
        for list in &self.0 {
            let mut built = list.built.borrow_mut();
            if built.as_ref().is_some_and(|built| built.begun.elapsed() > KEPT) {
                *built = None;
            }
        }
    }
}

impl List {
    /// The list as somebody who asked at `asked` may see it.
    fn fresh(&self, version: u64, asked: Instant) -> Option<Bytes> {
        let built = self.built.borrow();
        built
            .as_ref()
            .filter(|built| built.version >= version && built.begun + AGE_MAX > asked)
            .map(|built| built.json.clone())
    }

    async fn built(&self) {
        let mut asked = false;
        poll_fn(|cx| {
            if !self.building.get() || asked {
                return Poll::Ready(());
            }
            asked = true;
            self.waiting.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl SeaTunnel {
    /// GET finished-jobs and finished-jobs/:state; of an unknown state there are none (contract A.4).
    pub(super) async fn finished_jobs(&self, call: Call<'_>) -> Reply {
        match call.argument().filter(|state| !state.is_empty()) {
            None => self.list(ListKind::Finished(None)).await,
            Some(state) => match JobState::parse(state) {
                Some(state) => self.list(ListKind::Finished(Some(state))).await,
                None => Reply::json(Bytes::from_static(b"[]")),
            },
        }
    }

    pub(super) async fn list(&self, kind: ListKind) -> Reply {
        let Some(position) = kind.position() else { return Reply::json(Bytes::from_static(b"[]")) };
        let list = &self.lists.0[position];
        let (version, asked) = (self.jobs.version(), Instant::now());
        loop {
            if let Some(json) = list.fresh(version, asked) {
                return Reply::json(json);
            }
            if list.building.get() {
                list.built().await;
            } else {
                self.build(kind, list).await;
            }
        }
    }

    async fn build(&self, kind: ListKind, list: &List) {
        list.building.set(true);
        let building = Building(list);
        let (version, begun) = (self.jobs.version(), Instant::now());
        let mut jobs = match kind {
            ListKind::Running => self.jobs.running(),
            ListKind::Finished(state) => self.jobs.finished(state),
        };
        if self.settings.newest_first && kind != ListKind::Running {
            jobs.reverse();
        }
        let json = render(&jobs, list.bytes.get()).await;
        list.bytes.set(json.len());
        *list.built.borrow_mut() = Some(Built { version, begun, json });
        drop(building);
    }
}

async fn render(jobs: &[Arc<JobEntry>], expected: usize) -> Bytes {
    let mut json = JsonBuffer::default();
    json.reserve(expected + expected / 8 + 64);
    json.raw("[");
    for (index, entry) in jobs.iter().enumerate() {
        if index > 0 {
            json.raw(",");
            if index.is_multiple_of(JOBS_PER_TURN) {
                give_way().await;
            }
        }
        job::append(entry, &mut json);
    }
    json.raw("]");
    json.take()
}
