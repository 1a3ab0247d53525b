//! A simulator that plays random orders of events from a seed: tasks, timers, commits, clients.

use super::tests::{broken, lost};
use super::*;

/// A task that runs.
#[derive(Clone, Copy)]
struct Task {
    pipeline: usize,
    attempt: u32,
    number: usize,
    /// It was told to stop.
    stopped: bool,
    /// A checkpoint that it has to seal; 0 for none.
    barrier: u64,
    /// It has sealed the last checkpoint and waits for its stop.
    holds: bool,
    /// It does nothing by itself.
    deaf: bool,
}

/// The world around a machine: tasks, timers and commits that answer in any order, or not at all.
struct Simulator {
    random: fastrand::Rng,
    machine: JobMachine,
    /// Events on their way.
    pending: Vec<Event>,
    /// What answers only when all work is dropped, and then so.
    hanging: Vec<Event>,
    running: Vec<Task>,
    pipelines: Vec<PipelineShape>,
    checkpoints: bool,
    ended: Option<JobState>,
    /// Groups whose sinks agreed, and whether a commit failed.
    agreed: Vec<usize>,
    commit_failed: bool,
    /// Per pipeline: published for good, and dropped, of which attempt.
    commits: Vec<(usize, u32, Option<u64>)>,
    aborts: Vec<(usize, u32)>,
    /// What clients have asked for, in their order.
    stop_asked: bool,
    savepoint_asked: bool,
    savepoint_begun: bool,
}

impl Simulator {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut shape = || {
            let sinks = (0..3).filter(|_| random.bool()).collect();
            let finished = random.u32(0..12) == 0;
            PipelineShape { tasks: random.usize(1..4), sinks, checkpoint: random.u64(0..2), finished }
        };
        let mut pipelines: Vec<PipelineShape> = (0..1 + seed as usize % 3).map(|_| shape()).collect();
        // A job that goes on has something left to do.
        pipelines[0].finished = false;
        let checkpoints = random.bool();
        let machine = JobMachine::new(pipelines.clone(), random.u32(0..3), checkpoints);
        let mut simulator = Self {
            random,
            machine,
            pending: Vec::new(),
            hanging: Vec::new(),
            running: Vec::new(),
            pipelines,
            checkpoints,
            ended: None,
            agreed: Vec::new(),
            commit_failed: false,
            commits: Vec::new(),
            aborts: Vec::new(),
            stop_asked: false,
            savepoint_asked: false,
            savepoint_begun: false,
        };
        simulator.perform(Action::RequestSlots);
        simulator
    }

    fn one_in(&mut self, odds: u32) -> bool {
        self.random.u32(0..odds) == 0
    }

    fn result(&mut self, odds: u32) -> Result<(), Failure> {
        match self.random.u32(0..odds) {
            0 => Err(lost("world")),
            1 => Err(broken("data")),
            _ => Ok(()),
        }
    }

    /// Something that takes its time, or for ever.
    fn answers(&mut self, event: impl Fn(Result<(), Failure>) -> Event, odds: u32) {
        if self.one_in(50) {
            self.hanging.push(event(Err(broken("dropped"))));
        } else {
            let result = self.result(odds);
            self.pending.push(event(result));
        }
    }

    fn tasks_of(&mut self, pipeline: usize, attempt: u32) -> impl Iterator<Item = &mut Task> {
        self.running.iter_mut().filter(move |task| (task.pipeline, task.attempt) == (pipeline, attempt))
    }

    fn runs(&self, pipeline: usize) -> bool {
        self.running.iter().any(|task| task.pipeline == pipeline)
    }

    fn perform(&mut self, action: Action) {
        assert_eq!(self.ended, None, "nothing is done after the end: {action:?}");
        match action {
            Action::Enter(state) => {
                assert!(!state.is_final());
                self.savepoint_begun |= state == JobState::DoingSavepoint;
                assert!(state != JobState::DoingSavepoint || self.savepoint_asked);
                assert!(state != JobState::Canceling || self.stop_asked);
            }
            Action::RequestSlots => match self.random.u32(0..8) {
                0 => {
                    let again = self.random.bool();
                    self.pending.push(Event::SlotsRefused(Refusal { message: "none".into(), again }));
                }
                // It waits for slots until somebody has enough of it.
                1 if self.random.u32(0..4) == 0 => {}
                _ => self.pending.push(Event::Granted),
            },
            Action::ArmSlotRetry { .. } => self.pending.push(Event::SlotRetryDue),
            Action::PrepareTargets => self.answers(Event::TargetsPrepared, 30),
            Action::Start { pipeline, attempt } => self.start(pipeline, attempt),
            Action::Stop { pipeline, attempt } => self.tasks_of(pipeline, attempt).for_each(|task| task.stopped = true),
            Action::BeginCheckpoint { pipeline, attempt, checkpoint, last } => {
                assert!(checkpoint > self.pipelines[pipeline].checkpoint, "checkpoints are numbered on");
                assert!(!last || self.savepoint_begun);
                for task in self.tasks_of(pipeline, attempt) {
                    assert!(!task.holds, "nothing follows the last checkpoint");
                    (task.barrier, task.holds) = (checkpoint, last);
                }
            }
            Action::Commit { pipeline, attempt, checkpoint } => self.commit(pipeline, attempt, checkpoint),
            Action::Abort { pipeline, attempt } => {
                assert!(!self.commits.contains(&(pipeline, attempt, None)), "what was committed is not dropped");
                assert!(!self.runs(pipeline), "nobody writes any more");
                self.aborts.push((pipeline, attempt));
                self.pending.push(Event::Aborted { pipeline, attempt });
            }
            Action::CancelWork => self.cancel_work(),
            Action::ArmCheckpoint { pipeline, attempt } => {
                assert!(self.checkpoints);
                self.pending.push(Event::CheckpointDue { pipeline, attempt });
            }
            Action::ArmCheckpointTimeout { pipeline, attempt, checkpoint } => {
                // As with all work that hangs, somebody has to end it.
                if self.one_in(10) || self.running.iter().any(|task| task.deaf) {
                    self.pending.push(Event::CheckpointExpired { pipeline, attempt, checkpoint });
                }
            }
            Action::ArmSavepointTimeout => self.pending.push(Event::SavepointExpired),
            Action::ArmStopTimeout => self.pending.push(Event::StopExpired),
            Action::ArmRetry { pipeline, attempt, .. } => {
                assert!(!self.stop_asked, "no restart after a stop");
                self.pending.push(Event::RetryDue { pipeline, attempt });
            }
            Action::CheckSinks { group, sinks } => {
                // Whoever else writes to a sink that is asked has written everything.
                for (pipeline, shape) in self.pipelines.iter().enumerate() {
                    let asked = shape.sinks.iter().any(|sink| sinks.contains(sink));
                    assert!(!asked || !self.runs(pipeline));
                }
                if self.one_in(50) {
                    self.hanging.push(Event::SinksChecked { group, result: Err(broken("dropped")) });
                    return;
                }
                let result = self.result(20);
                if result.is_ok() {
                    self.agreed.push(group);
                }
                self.pending.push(Event::SinksChecked { group, result });
            }
            Action::End { state, error } => self.end(state, error.is_some()),
        }
    }

    fn start(&mut self, pipeline: usize, attempt: u32) {
        assert!(!self.runs(pipeline), "the attempt before is over");
        assert!(!self.pipelines[pipeline].finished, "what had finished does not run again");
        // Listing the input may hang, and then nothing can be done about it.
        if self.one_in(80) {
            return;
        }
        let result = self.result(30);
        if result.is_ok() {
            for number in 0..self.pipelines[pipeline].tasks {
                let deaf = self.one_in(60);
                let task = Task { pipeline, attempt, number, stopped: false, barrier: 0, holds: false, deaf };
                self.running.push(task);
            }
        }
        self.pending.push(Event::Started { pipeline, attempt, result });
    }

    fn commit(&mut self, pipeline: usize, attempt: u32, checkpoint: Option<u64>) {
        assert!(!self.aborts.contains(&(pipeline, attempt)), "what was dropped is not committed");
        match checkpoint {
            None => {
                assert!(!self.runs(pipeline), "the last commit is the last");
                let group = if self.checkpoints { pipeline } else { 0 };
                assert!(self.agreed.contains(&group), "the sinks agree before the last commit");
            }
            Some(_) if !self.checkpoints => assert!(self.savepoint_begun, "only a savepoint publishes before the end"),
            Some(_) => {}
        }
        self.commits.push((pipeline, attempt, checkpoint));
        let before = self.hanging.len();
        self.answers(|result| Event::Committed { pipeline, attempt, checkpoint, result }, 40);
        let failed = matches!(self.pending.last(), Some(Event::Committed { result: Err(_), .. }));
        self.commit_failed |= failed || self.hanging.len() > before;
    }

    fn cancel_work(&mut self) {
        let goes_on = matches!(self.machine.state(), JobState::Pending | JobState::Scheduled | JobState::Running);
        assert!(!goes_on, "only a job that ends is given up");
        self.pending.append(&mut self.hanging);
        for task in std::mem::take(&mut self.running) {
            let Task { pipeline, attempt, number: task, .. } = task;
            self.pending.push(Event::TaskEnded { pipeline, attempt, task, end: TaskEnd::Stopped });
        }
    }

    fn end(&mut self, state: JobState, has_error: bool) {
        assert!(state.is_final());
        assert_eq!(has_error, state == JobState::Failed);
        assert!(self.running.is_empty(), "a job ends after its tasks");
        let last = |pipeline: usize| {
            self.commits.iter().any(|(number, _, checkpoint)| *number == pipeline && checkpoint.is_none())
        };
        let published = (0..self.pipelines.len()).filter(|pipeline| last(*pipeline)).count();
        match state {
            JobState::Finished => {
                let runs = self.pipelines.iter().filter(|pipeline| !pipeline.finished).count();
                assert_eq!(published, runs);
            }
            JobState::SavepointDone => {
                assert!(self.savepoint_begun && !self.stop_asked && !self.commit_failed);
                if !self.checkpoints {
                    assert_eq!(published, 0, "what is published for good has finished");
                }
            }
            JobState::Canceled => assert!(self.stop_asked),
            _ if !self.checkpoints && !self.commit_failed => {
                assert_eq!(published, 0, "a job that did not finish has published nothing for good");
            }
            _ => {}
        }
        self.ended = Some(state);
    }

    /// Something that a running task does.
    fn task_acts(&mut self) -> Option<Event> {
        if self.running.is_empty() {
            return None;
        }
        let position = self.random.usize(0..self.running.len());
        let Task { pipeline, attempt, number: task, stopped, barrier, holds, deaf } = self.running[position];
        if deaf && !stopped {
            return None;
        }
        if barrier > 0 && !stopped && self.random.bool() {
            self.running[position].barrier = 0;
            return Some(Event::Sealed { pipeline, attempt, task, checkpoint: barrier });
        }
        let end = match self.random.u32(0..12) {
            _ if stopped => TaskEnd::Stopped,
            0 => TaskEnd::Failed(lost("gone")),
            1 => TaskEnd::Failed(broken("bad row")),
            2 => TaskEnd::Stopped,
            // One that has sealed the last checkpoint reads nothing more.
            3..6 if !holds || barrier > 0 => TaskEnd::Finished,
            _ => return None,
        };
        self.running.swap_remove(position);
        Some(Event::TaskEnded { pipeline, attempt, task, end })
    }

    /// What clients want.
    fn client_asks(&mut self) -> Option<Event> {
        match self.random.u32(0..150) {
            0 => {
                self.stop_asked = true;
                Some(Event::StopRequested)
            }
            1 | 2 => {
                self.savepoint_asked = true;
                Some(Event::SavepointRequested)
            }
            _ => None,
        }
    }

    fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.client_asks() {
            return Some(event);
        }
        if self.pending.is_empty() || self.random.bool() {
            return self.task_acts();
        }
        let position = self.random.usize(0..self.pending.len());
        // Timers are slow beside everything else.
        let timer = matches!(self.pending[position], Event::StopExpired | Event::SavepointExpired);
        if timer && self.random.u32(0..10) > 0 {
            return None;
        }
        Some(self.pending.swap_remove(position))
    }

    fn run(mut self) -> JobState {
        for _ in 0..20_000 {
            let Some(event) = self.next() else { continue };
            for action in self.machine.step(event) {
                self.perform(action);
            }
            if let Some(state) = self.ended {
                assert_eq!(self.machine.state(), state);
                for late in [Event::StopRequested, Event::SavepointRequested, Event::StopExpired] {
                    assert_eq!(self.machine.step(late), []);
                }
                return state;
            }
        }
        panic!("the job never ends: {:?}", self.machine);
    }
}

#[test]
fn every_order_of_events_ends_in_one_final_state() {
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..30_000 {
        let ended = std::panic::catch_unwind(|| Simulator::new(seed).run());
        match ended {
            Ok(state) => *seen.entry(state).or_insert(0) += 1,
            Err(panic) => panic!("seed {seed}: {}", crate::task::panic_text(&panic)),
        }
    }
    for state in [JobState::Finished, JobState::Failed, JobState::Canceled, JobState::SavepointDone] {
        assert!(seen.get(&state).copied().unwrap_or(0) > 500, "{seen:?}");
    }
}
