//! A sampler that hangs: answers come within their bound, with old values, and say how old those are.

use std::time::{Duration, Instant};

use super::*;
use crate::support::stopped::Stopped;

const SAMPLER: &str = "egret-sampler";
const AGE_MAX: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_millis(200);
/// What an answer may take beyond its bound on a machine that is busy.
const BUSY: Duration = Duration::from_secs(30);
/// Fields that come from a sample.
const SAMPLED: [&str; 10] = [
    "physical.memory.free",
    "swap.space.free",
    "heap.memory.used",
    "heap.memory.total",
    "heap.memory.used/max",
    "load.process",
    "load.system",
    "load.systemAverage",
    "thread.count",
    "thread.peakCount",
];

fn node() -> Node {
    Node::with(&["--sample-age-max", "50ms", "--sample-wait-max", "200ms", "--load-window", "500ms"])
}

fn sampled(seen: &Value) -> Vec<String> {
    SAMPLED.iter().map(|key| text(seen, key).to_owned()).collect()
}

fn age(client: &mut Client) -> f64 {
    metric(client, "egret_sample_age_seconds", "part=\"vitals\"")
}

#[test]
fn a_sampler_that_hangs_costs_a_request_its_bound_and_the_age_of_the_old_values_is_told() {
    let node = node();
    let mut client = node.client();
    monitoring(&mut client);
    metric(&mut client, "egret_sampler_late_total", "");
    let sampler = Stopped::threads(node.program().pid(), SAMPLER);
    let since = Instant::now();
    std::thread::sleep(AGE_MAX * 2);
    let first = monitoring(&mut client);
    let late = metric(&mut client, "egret_sampler_late_total", "");
    for _ in 0..3 {
        let begun = Instant::now();
        let seen = monitoring(&mut client);
        let took = begun.elapsed();
        assert!(took >= WAIT_MAX, "it waits for a new sample: {took:?}");
        assert!(took < WAIT_MAX + BUSY, "it waits no longer than it may: {took:?}");
        assert_eq!(sampled(&seen), sampled(&first), "the values are the old ones");
        // What is no sample is live.
        assert_eq!(count(&seen, "client.connection.count"), 1);
        let hung = since.elapsed();
        let told = age(&mut client);
        assert!(told >= hung.as_secs_f64(), "{told} is younger than {hung:?}");
    }
    let later = metric(&mut client, "egret_sampler_late_total", "");
    assert!(later >= late + 6.0, "{late} {later}: each of these requests is counted");
    sampler.go_on();
    eventually("new values", || {
        monitoring(&mut client);
        let told = age(&mut client);
        if told < since.elapsed().as_secs_f64() / 2.0 { Ok(()) } else { Err(told) }
    });
    node.stop().expect_exit(0);
}

#[test]
fn requests_wait_side_by_side_for_a_sampler_that_hangs_and_no_more_than_may() {
    const REQUESTS: usize = 30;
    const WAITING: usize = 20;
    let wait_max = Duration::from_secs(4);
    // One shard, so that none of them is between the queue and its count while another looks.
    let node = small_node(&["--sample-wait-max", "4s", "--sample-waiters-max", &WAITING.to_string()]);
    let mut clients: Vec<Client> = (0..REQUESTS).map(|_| node.client()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/overview").status, 200));
    let sampler = Stopped::threads(node.program().pid(), SAMPLER);
    // The sample that was taken at the start gets too old.
    std::thread::sleep(Duration::from_millis(150));
    let begun = Instant::now();
    for client in &mut clients {
        client.send("GET /system-monitoring-information HTTP/1.1\r\nhost: egret\r\n\r\n");
    }
    let waiting = |client: &mut Client| count(&client.response().ok()[0], "executor.q.system.size") as usize;
    let mut seen: Vec<usize> = clients.iter_mut().map(waiting).collect();
    let took = begun.elapsed();
    // One after the other they would have waited for twenty times as long.
    assert!(took >= wait_max && took < wait_max + BUSY, "{took:?}");
    // Those for whom there is no room are answered at once: they see all others wait.
    seen.sort_unstable();
    let (gave_up, refused) = seen.split_at(WAITING);
    assert!(refused.iter().all(|waiting| *waiting == WAITING), "{seen:?}");
    assert!(gave_up.iter().all(|waiting| *waiting < WAITING), "{seen:?}");
    // The request for the metrics is refused, too.
    let refused = metric(&mut clients[0], "egret_sampler_refused_total", "");
    assert_eq!(refused as usize, REQUESTS - WAITING + 1);
    sampler.go_on();
    eventually("new values", || {
        monitoring(&mut clients[0]);
        let told = age(&mut clients[0]);
        if told < begun.elapsed().as_secs_f64() / 2.0 { Ok(()) } else { Err(told) }
    });
    node.stop().expect_exit(0);
}
