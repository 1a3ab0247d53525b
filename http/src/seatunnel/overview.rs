//! overview (contract A.4). Every value is text.

use super::SeaTunnel;
use super::query::decode;
use crate::jobs::{JobState, Tags};
use crate::node::Node;
use crate::reply::Reply;

impl SeaTunnel {
    /// Slots and jobs; the slots of the workers that have all the tags of the query.
    pub(super) fn overview(&self, query: &str) -> Reply {
        let selected = match has_tags(&self.jobs.tags(), query) {
            Ok(selected) => selected,
            Err(message) => return Reply::bad_request(&message),
        };
        let tally = self.jobs.tally();
        let free = tally.slots_total.saturating_sub(tally.slots_assigned);
        let (total, free) = if selected { (tally.slots_total, free) } else { (0, 0) };
        let mut json = self.json.borrow_mut();
        json.raw(r#"{"projectVersion":"#).string(Node::VERSION);
        json.raw(r#","gitCommitAbbrev":"#).string(Node::COMMIT);
        json.raw(r#","totalSlot":"#).quoted_integer(total);
        json.raw(r#","unassignedSlot":"#).quoted_integer(free);
        json.raw(r#","runningJobs":"#).quoted_integer(tally.unfinished());
        json.raw(r#","finishedJobs":"#).quoted_integer(tally.in_state(JobState::Finished));
        json.raw(r#","failedJobs":"#).quoted_integer(tally.in_state(JobState::Failed));
        json.raw(r#","cancelledJobs":"#).quoted_integer(tally.in_state(JobState::Canceled));
        json.raw(r#","workers":"#).quoted_integer(u8::from(selected)).raw("}");
        Reply::json(json.take())
    }
}

/// Whether the tags hold all pairs of the query. A pair without `=` is ignored.
///
/// # Errors
/// With the text for the client, for a query that is not encoded well.
fn has_tags(tags: &Tags, query: &str) -> Result<bool, String> {
    let query = query.strip_suffix('/').unwrap_or(query);
    let mut has_all = true;
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let (key, value) = (decode(key)?, decode(value)?);
        has_all &= tags.get(&*key).is_some_and(|tag| *tag == value);
    }
    Ok(has_all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_selected_when_it_has_all_the_tags() {
        let tags: Tags = [("node", "node1"), ("zone", "a b")].map(|(key, value)| (key.into(), value.into())).into();
        for query in ["", "node=node1", "node=node1&zone=a+b", "zone=a%20b", "node", "&", "node=node1/"] {
            assert_eq!(has_tags(&tags, query), Ok(true), "{query}");
        }
        for query in ["node=node2", "node=node1&zone=b", "rack=1", "node="] {
            assert_eq!(has_tags(&tags, query), Ok(false), "{query}");
        }
        assert!(has_tags(&tags, "node=%zz").is_err());
        assert_eq!(has_tags(&Tags::new(), "node=node1"), Ok(false));
    }
}
