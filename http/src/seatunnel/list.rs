//! Lists of jobs. A list is built at most once in a while, whoever asks and however often, and at once after a job was
//! submitted or changed its state. What one shard has built all shards answer with; shards that find nothing fresh do not
//! wait for each other, and so a list may be built by several at the same time.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use egret_runtime::shard::give_way;

use super::{Call, SeaTunnel, job};
use crate::body::Body;
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

/// Running jobs, ended ones, and those of each final state.
const KINDS: usize = 2 + FINAL.len();

/// The lists of all shards as they were last built.
#[derive(Debug, Default)]
pub(crate) struct BuiltLists([ArcSwapOption<Built>; KINDS]);

/// What a shard is building, and who waits for it there.
#[derive(Debug, Default)]
pub(super) struct Lists([List; KINDS]);

#[derive(Debug, Default)]
struct List {
    /// Length of running jobs when they were last rendered.
    bytes: Cell<usize>,
    building: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

#[derive(Debug)]
struct Built {
    /// State of the directory of jobs before the list was built.
    version: u64,
    /// When it was begun.
    begun: Instant,
    body: Body,
}

/// Marks a list as being built; also a builder that is dropped on its way makes room for the next.
struct Building<'l>(&'l List);

impl Drop for Building<'_> {
    fn drop(&mut self) {
        self.0.building.set(false);
        self.0.waiting.take().into_iter().for_each(Waker::wake);
    }
}

impl BuiltLists {
    /// Gives back the memory of lists that nobody has asked for in a while.
    pub(super) fn forget_old(&self) {
        for list in &self.0 {
            if list.load().as_ref().is_some_and(|built| built.begun.elapsed() > KEPT) {
                list.store(None);
            }
        }
    }

    /// Keeps a list, unless one is there that was begun later.
    fn keep(&self, position: usize, built: Built) {
        let known = self.0[position].load();
        if known.as_ref().is_none_or(|known| known.begun <= built.begun) {
            self.0[position].store(Some(Arc::new(built)));
        }
    }

    /// A list as somebody who asked at `asked` may see it.
    fn fresh(&self, position: usize, version: u64, asked: Instant) -> Option<Body> {
        let built = self.0[position].load();
        built
            .as_ref()
            .filter(|built| built.version >= version && built.begun + AGE_MAX > asked)
            .map(|built| built.body.clone())
    }
}

impl List {
    /// Waits until the list that is being built on this shard is there.
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
            if let Some(body) = self.node.lists.fresh(position, version, asked) {
                return Reply::json(body);
            }
            if !list.building.get() {
                return Reply::json(self.build(kind, position).await);
            }
            list.built().await;
        }
    }

    async fn build(&self, kind: ListKind, position: usize) -> Body {
        let list = &self.lists.0[position];
        list.building.set(true);
        let building = Building(list);
        let (version, begun) = (self.jobs.version(), Instant::now());
        let body = match kind {
            ListKind::Running => render_running(&self.jobs.running(), &list.bytes).await,
            ListKind::Finished(state) => {
                let mut jobs = self.jobs.finished(state);
                if self.settings.newest_first {
                    jobs.reverse();
                }
                join_ended(&jobs).await
            }
        };
        self.node.lists.keep(position, Built { version, begun, body: body.clone() });
        drop(building);
        body
    }
}

/// The text of jobs whose numbers change all the time, in one piece.
async fn render_running(jobs: &[Arc<JobEntry>], bytes_before: &Cell<usize>) -> Body {
    let mut json = JsonBuffer::default();
    json.reserve(bytes_before.get() + bytes_before.get() / 8 + 64);
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
    bytes_before.set(json.len());
    json.take().into()
}

/// The texts of jobs that do not change any more, as they are: nothing is copied.
async fn join_ended(jobs: &[Arc<JobEntry>]) -> Body {
    let mut body = Body::from(Bytes::from_static(b"["));
    for (index, entry) in jobs.iter().enumerate() {
        let text = job::ended(entry);
        body.push(if index == 0 { job::behind_comma(&text) } else { text });
        if index % JOBS_PER_TURN == JOBS_PER_TURN - 1 {
            give_way().await;
        }
    }
    body.push(Bytes::from_static(b"]"));
    body
}
