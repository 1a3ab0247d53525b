//! Keys of the original's files, `seatunnel.yaml` and `hazelcast.yaml`: what each means here.
//!
//! A key that has a counterpart stands with that setting ([`super::table`]). Those below have none; a file that holds
//! them is taken all the same, and each is named with the reason. Any other key is a mistake.

use egret_runtime::config::nearest;

use super::table::{self, Original, Setting};
use super::values::boolean;

/// A key without a counterpart.
pub struct Foreign {
    /// The whole path; `.*` at its end stands for everything below.
    pub path: &'static str,
    /// Why it means nothing here, as the end of a sentence.
    pub why: &'static str,
    /// A switch that must be off: what it switches on is not there, and leaving it out in silence would mislead.
    must_be_off: bool,
}

/// What a key of the original's files means here.
pub enum Meaning {
    /// It sets a setting. The number is its place among all that do: later ones change what earlier ones have set.
    Sets(usize, &'static Setting, &'static Original),
    /// It is a tag of the node, with this name.
    Tag(String),
    /// Nothing.
    Nothing(&'static Foreign),
    /// It is no key of the original's either; the likely one.
    Unknown(Option<&'static str>),
}

const fn none(path: &'static str, why: &'static str) -> Foreign {
    Foreign { path, why, must_be_off: false }
}

const fn off(path: &'static str, why: &'static str) -> Foreign {
    Foreign { path, why, must_be_off: true }
}

/// Whether a path is one of the original's files.
pub fn is_original(path: &str) -> bool {
    path.split('.').next().is_some_and(|first| matches!(first, "seatunnel" | "hazelcast"))
}

/// What a path of the original's files means here.
pub fn meaning(path: &str) -> Meaning {
    let set = table::all().flat_map(|setting| setting.originals.iter().map(move |original| (setting, original)));
    if let Some((order, (setting, original))) = set.enumerate().find(|(_, (_, original))| original.path == path) {
        return Meaning::Sets(order, setting, original);
    }
    if let Some(name) = path.strip_prefix(ATTRIBUTES).and_then(|rest| rest.strip_suffix(".value")) {
        return Meaning::Tag(name.to_owned());
    }
    match FOREIGN.iter().find(|foreign| foreign.covers(path)) {
        Some(foreign) => Meaning::Nothing(foreign),
        None => Meaning::Unknown(likely(path)),
    }
}

/// The known key that was probably meant. What all keys of a file begin with says nothing.
fn likely(path: &str) -> Option<&'static str> {
    let begin = ["seatunnel.engine.", "hazelcast."].into_iter().find(|begin| path.starts_with(begin)).unwrap_or("");
    let known = table::all().flat_map(|setting| setting.originals).map(|original| original.path);
    let known = known.chain(FOREIGN.iter().map(|foreign| foreign.path.trim_end_matches(".*")));
    let found = nearest(path.strip_prefix(begin)?, known.clone().filter_map(|known| known.strip_prefix(begin)))?;
    known.into_iter().find(|known| known.strip_prefix(begin) == Some(found))
}

impl Foreign {
    fn covers(&self, path: &str) -> bool {
        match self.path.strip_suffix(".*") {
            None => self.path == path,
            Some(above) => path.strip_prefix(above).is_some_and(|below| below.is_empty() || below.starts_with('.')),
        }
    }

    /// What is to be said of it where it has this value: nothing where it asks for what is so anyway.
    ///
    /// # Errors
    /// When it asks for something that a node must not leave out in silence.
    pub fn remark(&self, value: Option<&str>) -> Result<Option<&'static str>, String> {
        match value.map(boolean) {
            Some(Ok(true)) if self.must_be_off => Err(format!("it cannot be switched on: {}", self.why)),
            Some(Ok(false)) if self.must_be_off => Ok(None),
            _ => Ok(Some(self.why)),
        }
    }
}

/// What the keys of members' attributes begin with: they are the tags of a node (contract B.9, `tag_filter`).
const ATTRIBUTES: &str = "hazelcast.member-attributes.";

const NO_TLS: &str = "a node speaks plain HTTP; let a proxy in front of it speak TLS";
const NO_TRACES: &str = "rows are not traced";
const NO_JARS: &str = "plugins are part of the program";
const NO_EVENTS: &str = "events are not reported to anybody";
const NO_CLUSTER: &str = "a node is a cluster of its own";
const NO_HAZELCAST: &str = "there is no Hazelcast in a node";
const NO_TABLES: &str = "no tables are printed; the API, /metrics and egret top tell the same at any time";
const NO_STORE: &str = "checkpoints are kept in memory";
const LIVE: &str = "counters are read where they are counted, without copies or waiting";

/// Keys without a counterpart.
pub static FOREIGN: &[Foreign] = &[
    none("seatunnel.engine.backup-count", "there is one node, and nothing to copy to"),
    none("seatunnel.engine.queue-type", "there is one kind of queue between tasks; queue_bytes_max bounds it"),
    none("seatunnel.engine.print-execution-info-interval", NO_TABLES),
    none("seatunnel.engine.print-job-metrics-info-interval", NO_TABLES),
    none("seatunnel.engine.job-metrics-backup-interval", LIVE),
    none("seatunnel.engine.job-metrics-partition-count", LIVE),
    none("seatunnel.engine.metrics-fetch-timeout-ms", LIVE),
    none("seatunnel.engine.health-metrics-timeout-seconds", LIVE),
    none("seatunnel.engine.state-cleanup-delay-ms", "ended jobs stay as long as history_expire says"),
    none(
        "seatunnel.engine.task_execution_thread_share_mode",
        "all tasks share one thread for each CPU; cores says which",
    ),
    none("seatunnel.engine.classloader-cache-mode", "there are no class loaders"),
    none("seatunnel.engine.slot-allocate-strategy", "there is one node to choose from"),
    none("seatunnel.engine.coordinator-service.*", "each CPU coordinates its jobs; cores says which"),
    none("seatunnel.engine.timer-flush-pool-size", "each CPU has its own timers"),
    none("seatunnel.engine.checkpoint.storage.*", NO_STORE),
    none("seatunnel.engine.checkpoint.retain-after-job-cancelled", NO_STORE),
    none("seatunnel.engine.checkpoint.schema-change-timeout", "no source changes its schema while it is read"),
    none("seatunnel.engine.checkpoint.min-pause", "checkpoint_interval alone says when the next one is due"),
    none("seatunnel.engine.checkpoint.max-concurrent", "a pipeline has one checkpoint at a time"),
    none("seatunnel.engine.checkpoint.tolerable-failure", "a checkpoint that fails restarts its pipeline"),
    none(
        "seatunnel.engine.telemetry.logs.scheduled-deletion-enable",
        "logs are always bounded; log_expire, logs_max and logs_bytes_max say how",
    ),
    none("seatunnel.engine.event-report-http.*", NO_EVENTS),
    none("seatunnel.engine.report-non-terminal-job-state", NO_EVENTS),
    none("seatunnel.engine.jar-storage.*", NO_JARS),
    none("seatunnel.engine.metadata.*", "connections are described in each job's config"),
    none("seatunnel.engine.stain-trace-enabled", NO_TRACES),
    none("seatunnel.engine.stain-trace-sample-rate", NO_TRACES),
    none("seatunnel.engine.stain-trace-max-traces-per-second-per-worker", NO_TRACES),
    none("seatunnel.engine.stain-trace-max-entries-per-trace", NO_TRACES),
    none("seatunnel.engine.stain-trace-propagate-to-all-splits", NO_TRACES),
    none("seatunnel.engine.stain-trace-file-base-path", NO_TRACES),
    none("seatunnel.engine.stain-trace-file-max-events-per-file", NO_TRACES),
    none("seatunnel.engine.stain-trace-file-max-size-mb", NO_TRACES),
    none("seatunnel.engine.stain-trace-file-flush-interval-seconds", NO_TRACES),
    off("seatunnel.engine.http.enable-https", NO_TLS),
    none("seatunnel.engine.http.https-port", NO_TLS),
    none("seatunnel.engine.http.key-store-path", NO_TLS),
    none("seatunnel.engine.http.key-store-password", NO_TLS),
    none("seatunnel.engine.http.key-manager-password", NO_TLS),
    none("seatunnel.engine.http.trust-store-path", NO_TLS),
    none("seatunnel.engine.http.trust-store-password", NO_TLS),
    none("seatunnel.engine.http.upload-max-file-size-mb", "http.body_bytes_max bounds every body"),
    none("seatunnel.engine.http.upload-max-request-size-mb", "http.body_bytes_max bounds every body"),
    none("seatunnel.engine.http.log-response-max-size-mb", "log_bytes_max bounds a log, and it is sent whole"),
    none("hazelcast.member-attributes.*", "the value of a tag is text, whatever its type"),
    none("hazelcast.network.port.auto-increment", "the first port is that port or none"),
    none("hazelcast.network.port.port-count", "the first port is that port or none"),
    none("hazelcast.network.public-address", "member_host says what the node calls itself"),
    none("hazelcast.network.rest-api.*", "the API is always there"),
    none("hazelcast.network.memcache-protocol.*", NO_HAZELCAST),
    none("hazelcast.network.join.*", NO_CLUSTER),
    none("hazelcast.network.failure-detector.*", NO_CLUSTER),
    none("hazelcast.network.interfaces.*", "host says where the node listens"),
    none("hazelcast.network.outbound-ports", NO_CLUSTER),
    none("hazelcast.network.reuse-address", "a node can always be restarted on its port"),
    none("hazelcast.network.ssl.*", NO_TLS),
    none("hazelcast.network.symmetric-encryption.*", NO_CLUSTER),
    none("hazelcast.network.socket-interceptor.*", NO_HAZELCAST),
    none("hazelcast.network.member-address-provider.*", NO_HAZELCAST),
    none("hazelcast.network.tpc-socket.*", NO_HAZELCAST),
    none("hazelcast.advanced-network.*", NO_HAZELCAST),
    none("hazelcast.properties.*", NO_HAZELCAST),
    none("hazelcast.map.*", NO_HAZELCAST),
    none("hazelcast.jet.*", NO_HAZELCAST),
    none("hazelcast.executor-service.*", NO_HAZELCAST),
    none("hazelcast.scheduled-executor-service.*", NO_HAZELCAST),
    none("hazelcast.serialization.*", NO_HAZELCAST),
    none("hazelcast.metrics.*", NO_HAZELCAST),
    none("hazelcast.partition-group.*", NO_CLUSTER),
    none("hazelcast.management-center.*", NO_HAZELCAST),
    none("hazelcast.cp-subsystem.*", NO_CLUSTER),
    none("hazelcast.persistence.*", NO_HAZELCAST),
    none("hazelcast.hot-restart-persistence.*", NO_HAZELCAST),
    none("hazelcast.user-code-deployment.*", NO_JARS),
    none("hazelcast.listeners", NO_HAZELCAST),
    none("hazelcast.lite-member.*", NO_CLUSTER),
    none("hazelcast.instance-name", NO_HAZELCAST),
    none("hazelcast.license-key", NO_HAZELCAST),
    none("hazelcast.instance-tracking.*", NO_HAZELCAST),
    none("hazelcast.integrity-checker.*", NO_HAZELCAST),
    off("hazelcast.security.enabled", "a node knows no Hazelcast clients"),
    none("hazelcast.security.*", NO_HAZELCAST),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn words(path: &str) -> String {
        match meaning(path) {
            Meaning::Sets(_, setting, _) => format!("sets {}", setting.key),
            Meaning::Tag(name) => format!("tag {name}"),
            Meaning::Nothing(foreign) => format!("nothing: {}", foreign.why),
            Meaning::Unknown(likely) => format!("unknown: {}", likely.unwrap_or("-")),
        }
    }

    #[test]
    fn each_key_is_a_setting_or_nothing_or_a_mistake() {
        assert_eq!(words("seatunnel.engine.http.port"), "sets second_port");
        assert_eq!(words("hazelcast.network.port.port"), "sets port");
        assert_eq!(words("hazelcast.member-attributes.zone.value"), "tag zone");
        assert!(words("hazelcast.member-attributes.zone.type").starts_with("nothing: "));
        assert!(words("seatunnel.engine.checkpoint.storage.plugin-config.fs.s3a.endpoint").starts_with("nothing: "));
        assert!(words("hazelcast.map").starts_with("nothing: "));
        for (wrong, likely) in [
            ("seatunnel.engine.backup-cuont", "seatunnel.engine.backup-count"),
            ("seatunnel.engine.http.prot", "seatunnel.engine.http.port"),
            ("seatunnel.engine.history-job-expire-minute", "seatunnel.engine.history-job-expire-minutes"),
            ("hazelcast.network.prot.port", "hazelcast.network.port.port"),
            ("seatunnel.engine.banana", "-"),
            ("seatunnel.engine", "-"),
            ("hazelcast.mapping", "-"),
        ] {
            assert_eq!(words(wrong), format!("unknown: {likely}"), "{wrong}");
        }
    }

    #[test]
    fn every_key_without_a_counterpart_is_one_of_the_originals_and_has_a_reason() {
        for foreign in FOREIGN {
            assert!(is_original(foreign.path), "{}", foreign.path);
            assert!(!foreign.why.is_empty() && !foreign.why.ends_with('.') && !foreign.why.contains('|'));
        }
    }
}
