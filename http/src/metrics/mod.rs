//! Metrics for scrapers, rendered from live state (contract F.1): Prometheus text and OpenMetrics.

mod families;
mod slots;
mod text;

use egret_collectors::Part;
use egret_runtime::shard::give_way;

use crate::jobs::JobService;
use crate::node::Node;
use crate::reply::Reply;

use families::Live;
use text::Exposition;

pub(crate) use text::Format;

/// Answers a scrape with a body of that type.
pub(crate) async fn render(node: &Node, jobs: &JobService, format: Format, content_type: &'static str) -> Reply {
    if !node.settings.telemetry {
        return Reply::of_type(content_type, bytes::Bytes::new());
    }
    node.renew(Part::Vitals | Part::Details).await;
    let (vitals, details) = (node.sampler.vitals(), node.sampler.details());
    let mut text = Exposition::new(format, &node.settings.cluster_name);
    let (tally, counts, executors) = (jobs.tally(), jobs.counts(), node.shards.stats());
    let live = Live { node, vitals: &vitals, details: &details, tally, counts, executors };
    live.cluster(&mut text);
    live.pool(&mut text);
    live.original(&mut text);
    live.process(&mut text);
    live.kept(&mut text);
    live.sampler(&mut text);
    slots::slots(jobs, &live.tally, &mut text);
    live.executors(&mut text);
    give_way().await;
    live.requests(&mut text).await;
    families::jobs(jobs, &mut text).await;
    Reply::of_type(content_type, text.end())
}
