//! The original's files, as people have them.

use super::*;

const SINGLE: &str = include_str!("../../../tests/settings/seatunnel_single.yaml");
const CLUSTER: &str = include_str!("../../../tests/settings/seatunnel_cluster.yaml");
const HAZELCAST: &str = include_str!("../../../tests/settings/hazelcast.yaml");

/// The keys that mean nothing here, without what they all begin with.
fn remarked(read: &Read) -> Vec<String> {
    let key = |remark: &str| {
        let (place_and_key, _) = remark.split_once(" means nothing here: ").expect("a reason");
        let (_, key) = place_and_key.split_once(": ").expect("a place");
        key.trim_start_matches("seatunnel.engine.").trim_start_matches("hazelcast.").to_owned()
    };
    read.remarks.iter().map(|remark| key(remark)).collect()
}

#[test]
fn a_seatunnel_yaml_is_taken_as_it_is() {
    let read = read_text(SINGLE).expect("valid");
    let settings = &read.settings;
    assert_eq!(settings.jobs.history_expire, Duration::from_secs(30 * 60));
    assert_eq!(settings.jobs.checkpoint_interval, Duration::from_secs(20));
    assert_eq!(settings.jobs.checkpoint_timeout, Duration::from_secs(90));
    assert_eq!((settings.second_port, settings.seatunnel.context_path.as_ref()), (Some(8090), "/api"));
    assert_eq!((settings.node.telemetry, settings.second_port_dynamic), (false, false));
    assert_eq!(read.origins.of("second_port").to_string(), "egret.yaml:29, seatunnel.engine.http.port");
    assert!(
        remarked(&read).iter().any(|key| key == "checkpoint.storage.plugin-config.fs.defaultFS"),
        "{:?}",
        read.remarks
    );
    assert!(read.remarks.iter().all(|remark| remark.starts_with("egret.yaml:") && !remark.contains("file:///")));
    // Ours win, wherever they stand.
    let both = format!("second_port: 9000\n{SINGLE}");
    assert_eq!(read_text(&both).expect("valid").settings.second_port, Some(9000));
}

#[test]
fn a_file_of_a_cluster_is_taken_without_its_secrets_being_told() {
    let read = read_text(CLUSTER).expect("valid");
    let settings = &read.settings;
    assert_eq!(settings.jobs.history_expire, Duration::from_secs(2880 * 60));
    let second = settings.listeners()[1];
    assert_eq!((second.port, second.port_range, settings.node.telemetry), (8080, 20, true));
    let remarked = remarked(&read);
    for key in ["jar-storage.enable", "event-report-http.headers.Content-Type", "http.https-port", "backup-count"] {
        assert!(remarked.iter().any(|remarked| remarked == key), "{key}: {remarked:?}");
    }
    // It is off, as it is here.
    assert!(!remarked.iter().any(|key| key == "http.enable-https"));
    assert!(!format!("{:?}", read.remarks).contains("not-a-secret"));
}

#[test]
fn a_hazelcast_yaml_gives_the_port_the_cluster_and_the_tags() {
    let read = read_text(HAZELCAST).expect("valid");
    let settings = &read.settings;
    assert_eq!((settings.port, &*settings.node.cluster_name), (5901, "nightly"));
    let tags: Vec<_> = settings.node.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(tags, ["disk=ssd", "zone=east"]);
    assert_eq!(read.origins.of("tags").to_string(), "egret.yaml:29, hazelcast.member-attributes");
    for key in ["network.join.tcp-ip.member-list", "properties.hazelcast.logging.type", "member-attributes.zone.type"] {
        assert!(remarked(&read).iter().any(|remarked| remarked == key), "{key}: {:?}", read.remarks);
    }
}

#[test]
fn the_second_port_is_off_where_http_is_off_whichever_comes_first() {
    for text in ["{port: 8090, enable-http: false}", "{enable-http: false, port: 8090}"] {
        let text = format!("seatunnel: {{engine: {{http: {text}}}}}");
        let read = read_text(&text).expect("valid");
        assert_eq!(read.settings.second_port, None);
        assert!(read.origins.of("second_port").to_string().ends_with("enable-http"));
    }
    let read = read_text("seatunnel: {engine: {http: {enable-http: true}}}").expect("valid");
    assert_eq!(*read.origins.of("second_port"), Origin::Default, "it has changed nothing");
}

#[test]
fn mistakes_in_the_originals_keys_are_told_with_their_place() {
    let told = problem("seatunnel:\n  engine:\n    checkpoint:\n      interval: often\n      intervall: 5\n");
    assert_eq!(
        told,
        "error: egret.yaml:5:7: 'seatunnel.engine.checkpoint.intervall' is no setting of SeaTunnel's; did you mean \
         'seatunnel.engine.checkpoint.interval'?\n\
         error: egret.yaml:4:7: 'seatunnel.engine.checkpoint.interval': expected a whole number, found 'often'"
    );
    assert!(
        problem("seatunnel: {engine: {banana: 1}}")
            .ends_with("is no setting of SeaTunnel's that is known here; remove it")
    );
    assert!(
        problem("seatunnel: {engine: {http: {enable-https: true}}}").contains("cannot be switched on: a node speaks")
    );
    assert!(problem("hazelcast: {cluster-nam: x}").contains("did you mean 'hazelcast.cluster-name'?"));
}

#[test]
fn a_later_file_wins_over_one_before_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let files = [write("hazelcast.yaml", HAZELCAST), write("egret.yaml", "port: 6000\n")];
    let read = Settings::read(&files, &SettingFlags::default()).expect("valid");
    assert_eq!((read.settings.port, &*read.settings.node.cluster_name), (6000, "nightly"));
}
