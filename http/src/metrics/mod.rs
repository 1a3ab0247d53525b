//! Metrics for scrapers, rendered from live state (contract F.1): Prometheus text and OpenMetrics.

mod families;
mod text;

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
    let reading = match node.reading().await {
        Ok(reading) => reading,
        Err(busy) => return busy,
    };
    let mut text = Exposition::new(format, &node.settings.cluster_name);
    let live =
        Live { node, reading: &reading, tally: jobs.tally(), counts: jobs.counts(), executors: node.shards.stats() };
    live.cluster(&mut text);
    live.pool(&mut text);
    live.original(&mut text);
    live.process(&mut text);
    live.kept(&mut text);
    live.executors(&mut text);
    give_way().await;
    live.requests(&mut text).await;
    families::jobs(jobs, &mut text).await;
    Reply::of_type(content_type, text.end())
}
