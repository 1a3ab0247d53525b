use futures_lite::future::{block_on, poll_once};

use super::super::entry::NewJob;
use super::*;
use crate::plan::JobGraph;
use crate::shard::ShardId;

fn job(sequence: u64, zone: &str) -> Arc<JobEntry> {
    Arc::new(JobEntry::new(NewJob {
        id: 1,
        name: "job".into(),
        owner: ShardId(0),
        created_ms: 0,
        sequence,
        env_options: Vec::new(),
        graph: Arc::new(JobGraph { vertices: Vec::new(), edges: Vec::new() }),
        slots: 1,
        tag_filter: vec![("zone".to_owned(), zone.to_owned())],
        start_with_savepoint: false,
    }))
}

fn zone(name: impl Into<String>) -> Tags {
    Tags::from([("zone".to_owned(), name.into())])
}

fn slots() -> Slots {
    Slots::new(SlotSettings { dynamic: false, strategy: JobScheduleStrategy::Wait, ..SlotSettings::default() })
}

fn is_granted(job: &JobEntry) -> bool {
    matches!(block_on(poll_once(job.events.next())), Some((Event::Granted, _)))
}

#[test]
fn tags_that_change_while_the_ledger_is_taken_leave_one_look_at_the_newest() {
    let slots = slots();
    slots.set_tags(zone("nowhere"));
    let waits = job(1, "here");
    slots.request(&waits);
    assert_eq!((slots.counts().jobs_waiting, is_granted(&waits)), (1, false));
    let taken = slots.ledger.lock().expect("no poison");
    for number in 0..10_000 {
        slots.set_tags(zone(number.to_string()));
    }
    slots.set_tags(zone("here"));
    assert_eq!(slots.orders.len(), 0, "nothing is queued for it");
    drop(taken);
    // Whoever has the ledger looks again before he goes; here that is the next who comes.
    slots.release(&job(2, "other"));
    assert_eq!((slots.counts().jobs_waiting, slots.counts().assigned), (0, 1));
    assert!(is_granted(&waits));
}

#[test]
fn the_last_change_of_tags_counts_whoever_else_is_at_the_ledger() {
    for _ in 0..200 {
        let slots = slots();
        slots.set_tags(zone("nowhere"));
        let waits = job(0, "here");
        slots.request(&waits);
        std::thread::scope(|scope| {
            scope.spawn(|| (1..50).for_each(|sequence| slots.release(&job(sequence, "other"))));
            scope.spawn(|| {
                (0..50).for_each(|number: u32| slots.set_tags(zone(number.to_string())));
                slots.set_tags(zone("here"));
            });
        });
        assert!(is_granted(&waits));
        assert_eq!((slots.counts().jobs_waiting, slots.counts().assigned), (0, 1));
    }
}
