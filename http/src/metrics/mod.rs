//! Metrics for scrapers, rendered from live state: Prometheus text and OpenMetrics. The families of the original are
//! those of contract F.1.
//!
//! `ARCHITECTURE.md`, "The life of a scrape", has the design; `docs/metrics.md` lists the families. To add one, add a
//! row to the table of its subject; a new table takes its place in [`sections`] and in [`write_all`], and a test fails
//! when it is in one of them only.

mod accept;
#[cfg(test)]
mod docs;
mod executors;
mod family;
mod heap;
mod items;
mod jobs;
mod machine;
mod node;
mod original;
mod process;
mod requests;
mod select;
mod stacks;
mod text;
mod timelines;
mod timings;

use std::cell::OnceCell;
use std::sync::Arc;

use egret_collectors::{Details, Parts, Sample, Vitals, heap_profiler};
use egret_runtime::logs::LogStats;
use egret_runtime::shard::{ExecutorStats, give_way};
use http::request;

use crate::body::Body;
use crate::jobs::{JobCounts, JobService, JobTally};
use crate::node::Node;
use crate::reply::Reply;

use family::{Section, Table};
use items::Items;
use jobs::Jobs;
use select::Selection;
use text::Exposition;

#[cfg(test)]
pub(crate) use docs::names;
pub(crate) use text::Format;

/// Samples written between two looks at the rest of the executor's work.
const ITEMS_PER_TURN: usize = 64;
/// The bounds of what scrapers are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Jobs that have series of their own: running ones first, of them and of ended ones the newest. Default: 1,000.
    pub jobs_max: usize,
    /// Vertices of running jobs that have series of their own. Default: 4,000.
    pub vertices_max: usize,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self { jobs_max: 1000, vertices_max: 4000 }
    }
}

/// How an endpoint answers a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scrape {
    /// Everything in that form, as the original answers over v1: the type is this, whatever the form (contract A.4).
    Whole(Format),
    /// In the form that the client prefers, the families that it asks for.
    Negotiated,
    /// In that form, the families that the client asks for.
    Selected(Format),
}

/// Type of both forms over v1, to the letter (contract A.4).
pub(crate) const TYPE_V1: &str = "text/plain";

/// What there is to tell at a moment.
struct Live {
    node: Arc<Node>,
    jobs: JobService,
    address: String,
    vitals: Arc<Sample<Vitals>>,
    details: Arc<Sample<Details>>,
    tally: JobTally,
    counts: JobCounts,
    executors: OnceCell<Vec<ExecutorStats>>,
}

impl Live {
    fn new(node: &Arc<Node>, jobs: &JobService) -> Self {
        Self {
            node: node.clone(),
            jobs: jobs.clone(),
            address: node.address(),
            vitals: node.sampler.vitals(),
            details: node.sampler.details(),
            tally: jobs.tally(),
            counts: jobs.counts(),
            executors: OnceCell::new(),
        }
    }

    fn executors(&self) -> &[ExecutorStats] {
        self.executors.get_or_init(|| self.node.shards.stats())
    }

    fn logs(&self) -> Option<LogStats> {
        self.node.settings.logs.as_ref().map(|logs| logs.stats())
    }
}

/// Answers a scrape.
pub(crate) async fn scrape(how: Scrape, head: &request::Parts, node: &Arc<Node>, jobs: &JobService) -> Reply {
    let (format, content_type, selection) = match how {
        Scrape::Whole(format) => (format, TYPE_V1, Ok(Selection::default())),
        Scrape::Negotiated => {
            let format = accept::preferred(&head.headers);
            (format, format.content_type(), selection_of(head))
        }
        Scrape::Selected(format) => (format, format.content_type(), selection_of(head)),
    };
    let reply = match selection {
        Err(message) => Reply::bad_request(&message),
        Ok(_) if !node.settings.telemetry => Reply::of_type(content_type, Body::empty()),
        Ok(selection) => Reply::of_type(content_type, render(format, selection, node, jobs).await),
    };
    Reply { varies: (how == Scrape::Negotiated).then_some("accept"), ..reply }
}

fn selection_of(head: &request::Parts) -> Result<Selection, String> {
    Selection::from_query(head.uri.query().unwrap_or_default())
}

async fn render(format: Format, selection: Selection, node: &Arc<Node>, jobs: &JobService) -> Body {
    let mut text = Exposition::new(format, selection, &node.settings.cluster_name);
    let families = |section: &Section| section.families.iter().any(|family| text.wants_family(family));
    let parts = sections().into_iter().filter(families).flat_map(|section| section.parts);
    node.renew(parts.copied().collect::<Parts>()).await;
    write_all(&mut text, Live::new(node, jobs)).await;
    text.end()
}

/// All tables, in the order in which they are written.
fn sections() -> Vec<Section> {
    vec![
        original::CLUSTER.section(),
        original::PROCESS.section(),
        original::PLATFORM.section(),
        machine::MACHINE.section(),
        machine::DEVICES.section(),
        process::PROCESS.section(),
        heap::HEAP.section(),
        heap::HEAP_PROFILER.section(),
        process::SAMPLER_ITSELF.section(),
        stacks::STACKS_TAKEN.section(),
        node::NODE.section(),
        executors::EXECUTORS.section(),
        executors::BESIDE.section(),
        timings::EXECUTORS.section(),
        timings::TASKS.section(),
        timelines::TIMELINES.section(),
        requests::HTTP.section(),
        requests::ROUTES.section(),
        jobs::LEFT_OUT.section(),
        jobs::JOBS.section(),
        jobs::VERTICES.section(),
        jobs::CHAINS.section(),
    ]
}

async fn write_all(text: &mut Exposition, live: Live) {
    let jobs = Jobs::gather(&live, text).await;
    let executors =
        if text.wants(&executors::EXECUTORS) { executors::executors(&live) } else { Items::new(&executors::EXECUTORS) };
    let routes = requests::used_routes(&live);
    let timelines = Items::one(live.jobs.timelines().stats());
    let live = Items::one(live);
    write(text, &original::CLUSTER, &live).await;
    write(text, &original::PROCESS, &live).await;
    write(text, &original::PLATFORM, &live).await;
    write(text, &machine::MACHINE, &live).await;
    write(text, &machine::DEVICES, &live).await;
    write(text, &process::PROCESS, &live).await;
    write(text, &heap::HEAP, &live).await;
    write(text, &heap::HEAP_PROFILER, &Items::one(heap_profiler())).await;
    write(text, &process::SAMPLER_ITSELF, &live).await;
    write(text, &stacks::STACKS_TAKEN, &live).await;
    write(text, &node::NODE, &live).await;
    write(text, &executors::EXECUTORS, &executors).await;
    write(text, &executors::BESIDE, &live).await;
    write(text, &timings::EXECUTORS, &live).await;
    write(text, &timings::TASKS, &live).await;
    write(text, &timelines::TIMELINES, &timelines).await;
    write(text, &requests::HTTP, &live).await;
    write(text, &requests::ROUTES, &routes).await;
    write(text, &jobs::LEFT_OUT, &Items::one(jobs.left_out)).await;
    write(text, &jobs::JOBS, &jobs.jobs).await;
    write(text, &jobs::VERTICES, &jobs.vertices).await;
    write(text, &jobs::CHAINS, &jobs.chains).await;
}

/// Writes those families of a table that are asked for, each with the samples of all items.
async fn write<S>(text: &mut Exposition, table: &'static Table<S>, items: &Items<S>) {
    for family in table.families {
        if !text.wants_family(&family.about) {
            continue;
        }
        text.announce(&family.about);
        for (index, (labels, item)) in items.iter().enumerate() {
            (family.write)(item, &mut text.samples(&family.about, labels));
            if index % ITEMS_PER_TURN == ITEMS_PER_TURN - 1 {
                give_way().await;
            }
        }
        give_way().await;
    }
}
