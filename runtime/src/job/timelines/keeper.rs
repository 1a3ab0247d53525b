//! Looks at every running task and at the node, and writes down what has changed.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::super::directory::{Directory, Walked};
use super::super::{JobEntry, JobState, JobTally};
use super::node::NodeTimeline;
use super::{JobTimelines, NodeMetric, NodeProbe, NodeReading, Timelines};
use crate::metrics::timeline::{Purse, SlotClock, Timeline};
use crate::task::{JobMetric, TaskColumns, TaskStats, TaskTimeline};

/// Looks between two at which rings are given back in which nothing happens, and tasks without a timeline may begin one.
const LOOKS_PER_SWEEP: u64 = 60;

/// Rows and bytes of all jobs, in the order of [`JobMetric::FLOWS`].
type FlowSums = [u64; JobMetric::FLOWS.len()];

/// What is remembered from one look to the next.
pub(super) struct Keeper {
    directory: Arc<Directory>,
    clock: Option<SlotClock>,
    /// The running jobs at the last look, and what is watched of them, both in the order of submission.
    walked: Arc<Walked>,
    watched: Vec<Watched>,
    ended: Ended,
    node: NodeState,
    looks: u64,
    scratch: Scratch,
}

/// A job whose tasks are looked at.
struct Watched {
    job: Arc<JobEntry>,
    tasks: Arc<Vec<Arc<TaskStats>>>,
    /// One for each of the tasks.
    cursors: Vec<Cursor>,
}

/// How far a task's counters were looked at.
struct Cursor {
    columns: Arc<TaskColumns>,
    /// `None` where there was no room for one.
    timeline: Option<Arc<TaskTimeline>>,
    last: Box<[u64]>,
}

/// Jobs that have ended and whose timelines are there, in the order of their end.
#[derive(Default)]
struct Ended(VecDeque<Weak<JobTimelines>>);

/// Memory that is used again.
#[derive(Default)]
struct Scratch {
    values: Vec<u64>,
    flows: FlowSums,
}

/// What was last seen of the node.
#[derive(Default)]
struct NodeState {
    reading: NodeReading,
    unseen: FlowSums,
    ended: [u64; JobState::ALL.len()],
}

/// One look: when it is, and who has the room.
struct Look<'l> {
    timelines: &'l Timelines,
    /// The second that is over.
    second: u64,
}

impl Keeper {
    pub(super) fn new(directory: Arc<Directory>) -> Self {
        Self {
            directory,
            clock: None,
            walked: Arc::default(),
            watched: Vec::new(),
            ended: Ended::default(),
            node: NodeState::default(),
            looks: 0,
            scratch: Scratch::default(),
        }
    }

    /// Looks at everything.
    pub(super) fn look(&mut self, timelines: &Timelines, wall: i64, steady: Duration, probe: &mut NodeProbe) {
        let reading = probe();
        let Some(clock) = &mut self.clock else { return self.begin(timelines, wall, steady, reading) };
        let before = clock.now();
        clock.advance(wall, steady);
        let missed = clock.now().saturating_sub(before + 1);
        let look = Look { timelines, second: clock.now() - 1 };
        timelines.counts.missed_seconds.add(missed);
        self.scratch.flows = FlowSums::default();
        self.follow_jobs(&look);
        for watched in &mut self.watched {
            watched.look(&look, &mut self.ended, &mut self.scratch);
        }
        self.sweep(&look);
        self.look_at_node(&look, reading);
        if let Some(clock) = &self.clock {
            timelines.clock.publish(clock);
        }
        timelines.counts.ticks.add(1);
        self.looks += 1;
    }

    /// The first look: what was counted before is nobody's second.
    fn begin(&mut self, timelines: &Timelines, wall: i64, steady: Duration, reading: NodeReading) {
        let clock = SlotClock::new(wall.max(1), steady);
        timelines.node.store(Some(Arc::new(NodeTimeline::begin(clock.now(), &timelines.node_room))));
        timelines.clock.publish(&clock);
        self.node = NodeState {
            reading,
            unseen: self.directory.unseen().get(),
            ended: JobState::ALL.map(|state| self.directory.ended_count(state)),
        };
        self.clock = Some(clock);
    }

    /// Begins with jobs that have come, and ends with those that are gone. Both lists are in the order of submission.
    fn follow_jobs(&mut self, look: &Look<'_>) {
        let walked = self.directory.walk();
        if Arc::ptr_eq(&walked, &self.walked) {
            return;
        }
        let mut known = std::mem::take(&mut self.watched).into_iter().peekable();
        self.watched.reserve(walked.jobs.len());
        for job in &walked.jobs {
            while let Some(gone) = known.next_if(|known| known.job.sequence() < job.sequence()) {
                gone.end(look, &mut self.ended, &mut self.scratch);
            }
            let known = known.next_if(|known| known.job.sequence() == job.sequence());
            self.watched.push(known.unwrap_or_else(|| Watched::new(Arc::clone(job))));
        }
        known.for_each(|gone| gone.end(look, &mut self.ended, &mut self.scratch));
        self.walked = walked;
    }

    /// Gives memory back that is wanted elsewhere, or holds nothing any more.
    fn sweep(&mut self, look: &Look<'_>) {
        let room = &look.timelines.room;
        if room.settle(look.second) || self.looks.is_multiple_of(LOOKS_PER_SWEEP) {
            let timelines = self.watched.iter().flat_map(|watched| &watched.cursors);
            timelines.filter_map(Cursor::timeline).for_each(|timeline| timeline.obey(look.second, room));
            self.ended.forget();
            self.watched.iter_mut().for_each(|watched| watched.begin_missing(look, &mut self.ended));
        }
    }

    fn look_at_node(&mut self, look: &Look<'_>, mut reading: NodeReading) {
        let last = &mut self.node;
        reading.memory_bytes = reading.memory_bytes.or(last.reading.memory_bytes);
        let unseen = self.directory.unseen().get();
        let flows: FlowSums = std::array::from_fn(|at| self.scratch.flows[at] + gain(unseen[at], last.unseen[at]));
        let ended = JobState::ALL.map(|state| self.directory.ended_count(state));
        let ended_so = |state: JobState| gain(ended[state as usize], last.ended[state as usize]);
        let tally = self.directory.tally();
        let tasks: usize = self.watched.iter().map(|watched| watched.cursors.len()).sum();
        let value = |metric| match metric {
            NodeMetric::Cpu => gain(reading.cpu_us, last.reading.cpu_us),
            NodeMetric::Memory => reading.memory_bytes.unwrap_or_default(),
            NodeMetric::Requests => gain(reading.requests, last.reading.requests),
            NodeMetric::Connections => reading.connections,
            NodeMetric::RowsRead => flows[0],
            NodeMetric::BytesRead => flows[1],
            NodeMetric::RowsWritten => flows[2],
            NodeMetric::BytesWritten => flows[3],
            NodeMetric::JobsRunning => tally.in_state(JobState::Running),
            NodeMetric::JobsWaiting => waiting(&tally),
            NodeMetric::JobsFinished => ended_so(JobState::Finished),
            NodeMetric::JobsFailed => ended_so(JobState::Failed),
            NodeMetric::JobsCanceled => ended_so(JobState::Canceled),
            NodeMetric::Tasks => tasks as u64,
        };
        let mut values = [1; NodeTimeline::COLUMNS];
        for metric in NodeMetric::ALL {
            values[NodeTimeline::column(metric)] = value(metric);
        }
        if let Some(node) = &*look.timelines.node.load() {
            node.timeline().add_anyway(look.second, &values, &look.timelines.node_room);
        }
        look.timelines.counts.tasks.set(tasks as u64);
        let all = self.watched.iter().flat_map(|watched| &watched.cursors);
        look.timelines.counts.tasks_without.set(all.filter(|cursor| cursor.timeline.is_none()).count() as u64);
        *last = NodeState { reading, unseen, ended };
    }
}

/// What a counter has gained; one that went back has begun anew.
fn gain(now: u64, last: u64) -> u64 {
    now.checked_sub(last).unwrap_or(now)
}

fn waiting(tally: &JobTally) -> u64 {
    [JobState::Created, JobState::Pending, JobState::Scheduled].into_iter().map(|state| tally.in_state(state)).sum()
}

impl Watched {
    fn new(job: Arc<JobEntry>) -> Self {
        Self { job, tasks: Arc::default(), cursors: Vec::new() }
    }

    fn look(&mut self, look: &Look<'_>, ended: &mut Ended, scratch: &mut Scratch) {
        if !self.job.has_tasks(&self.tasks) {
            self.follow_tasks(look, ended, scratch);
        }
        for (cursor, stats) in self.cursors.iter_mut().zip(self.tasks.iter()) {
            cursor.look(stats, look, ended, scratch);
        }
    }

    /// Takes the tasks that run now for those that ran at the last look, at which it looks once more.
    fn follow_tasks(&mut self, look: &Look<'_>, ended: &mut Ended, scratch: &mut Scratch) {
        let tasks = self.job.tasks();
        if !tasks.is_empty() && !self.job.timelines().claim() {
            // It has ended meanwhile and accounts for itself.
            return;
        }
        let known = std::mem::take(&mut self.cursors).into_iter();
        let mut known: HashMap<_, _> = self.tasks.iter().map(Arc::as_ptr).zip(known).collect();
        let gone = std::mem::replace(&mut self.tasks, tasks);
        let mut places = Places::of(&self.job);
        for stats in self.tasks.iter() {
            let cursor = known.remove(&Arc::as_ptr(stats));
            self.cursors.push(cursor.unwrap_or_else(|| places.begin(stats, look, ended)));
        }
        places.publish(&self.job);
        for stats in gone.iter() {
            if let Some(mut cursor) = known.remove(&Arc::as_ptr(stats)) {
                cursor.look(stats, look, ended, scratch);
            }
        }
    }

    /// Begins the timelines for which there was no room before.
    fn begin_missing(&mut self, look: &Look<'_>, ended: &mut Ended) {
        if self.cursors.iter().all(|cursor| cursor.timeline.is_some()) {
            return;
        }
        let mut places = Places::of(&self.job);
        for (cursor, stats) in self.cursors.iter_mut().zip(self.tasks.iter()) {
            if cursor.timeline.is_none() {
                cursor.timeline = places.timeline(stats, &cursor.columns, look, ended);
            }
        }
        places.publish(&self.job);
    }

    /// The job has ended, and with it its tasks, which are looked at once more.
    fn end(mut self, look: &Look<'_>, ended: &mut Ended, scratch: &mut Scratch) {
        for (cursor, stats) in self.cursors.iter_mut().zip(self.tasks.iter()) {
            cursor.look(stats, look, ended, scratch);
        }
        let timelines = self.job.timelines();
        timelines.tasks().iter().for_each(|task| task.timeline().end(look.second + 1));
        if !timelines.tasks().is_empty() {
            ended.0.push_back(Arc::downgrade(timelines));
        }
    }
}

/// The timelines of a job, by the place of their task.
struct Places {
    timelines: BTreeMap<(u32, usize), Arc<TaskTimeline>>,
    known: usize,
    /// Tasks of one chain share the description of their columns.
    columns: Vec<Arc<TaskColumns>>,
    graph: Arc<crate::plan::JobGraph>,
}

impl Places {
    fn of(job: &JobEntry) -> Self {
        let timelines: BTreeMap<_, _> =
            job.timelines().tasks().iter().map(|task| (task.place(), Arc::clone(task))).collect();
        let graph = Arc::clone(job.plan());
        Self { known: timelines.len(), columns: Vec::new(), graph, timelines }
    }

    /// The cursor of a task that was not looked at yet, with the timeline of its place.
    fn begin(&mut self, stats: &TaskStats, look: &Look<'_>, ended: &mut Ended) -> Cursor {
        let columns = self.columns_of(stats);
        let timeline = self.timeline(stats, &columns, look, ended);
        Cursor { last: vec![0; columns.len()].into(), columns, timeline }
    }

    /// The timeline of the place of a task; a new one where there is none, and room for it.
    fn timeline(
        &mut self,
        stats: &TaskStats,
        columns: &Arc<TaskColumns>,
        look: &Look<'_>,
        ended: &mut Ended,
    ) -> Option<Arc<TaskTimeline>> {
        let place = (stats.vertices.first().map_or(0, |vertex| vertex.vertex), stats.index);
        if let Some(known) = self.timelines.get(&place) {
            return Some(Arc::clone(known));
        }
        let begin = |purse: &mut Purse<'_>| Timeline::begin(columns.len(), look.second, purse);
        let timeline = ended.lend(begin, &look.timelines.room)?;
        let timeline = Arc::new(TaskTimeline::new(Arc::clone(columns), stats.index, timeline));
        self.timelines.insert(place, Arc::clone(&timeline));
        Some(timeline)
    }

    fn columns_of(&mut self, stats: &TaskStats) -> Arc<TaskColumns> {
        let is_of = |columns: &&Arc<TaskColumns>| {
            columns.vertices().first().map(|(id, _)| *id) == stats.vertices.first().map(|vertex| vertex.vertex)
        };
        if let Some(known) = self.columns.iter().find(is_of) {
            return Arc::clone(known);
        }
        let columns = Arc::new(TaskColumns::of(stats, &self.graph));
        self.columns.push(Arc::clone(&columns));
        columns
    }

    fn publish(self, job: &JobEntry) {
        if self.timelines.len() > self.known {
            let tasks: Vec<_> = self.timelines.into_values().collect();
            job.timelines().tasks.store(Some(Arc::new(tasks)));
        }
    }
}

impl Cursor {
    fn timeline(&self) -> Option<&Timeline> {
        self.timeline.as_ref().map(|task| task.timeline())
    }

    fn look(&mut self, stats: &TaskStats, look: &Look<'_>, ended: &mut Ended, scratch: &mut Scratch) {
        self.columns.read(stats, &mut scratch.values);
        let mut is_idle = true;
        for (value, last) in scratch.values.iter_mut().zip(&mut self.last) {
            // What goes back was counted too early; it counts again once it is beyond that.
            let gain = value.saturating_sub(*last);
            *last = (*last).max(*value);
            *value = gain;
            is_idle &= gain == 0;
        }
        if is_idle {
            return;
        }
        for (sum, metric) in scratch.flows.iter_mut().zip(JobMetric::FLOWS) {
            *sum += self.columns.of_job(metric).map(|column| scratch.values[column]).sum::<u64>();
        }
        if let Some(timeline) = self.timeline() {
            ended.lend(|purse| timeline.add(look.second, &scratch.values, purse), &look.timelines.room);
        }
    }
}

impl Ended {
    /// Has something done for which there may be too little room: then timelines of these are given up.
    fn lend<R>(&mut self, act: impl FnOnce(&mut Purse<'_>) -> R, room: &Arc<crate::metrics::timeline::Room>) -> R {
        let mut give_up = || self.give_up_one();
        act(&mut Purse::new(room, &mut give_up))
    }

    /// Gives up those of the job that ended first; false when there is none.
    fn give_up_one(&mut self) -> bool {
        while let Some(timelines) = self.0.pop_front() {
            if timelines.upgrade().is_some_and(|timelines| timelines.give_up() > 0) {
                return true;
            }
        }
        false
    }

    /// Forgets jobs that nobody remembers. They are forgotten in the order of their end.
    fn forget(&mut self) {
        while self.0.front().is_some_and(|timelines| timelines.strong_count() == 0) {
            self.0.pop_front();
        }
    }
}
