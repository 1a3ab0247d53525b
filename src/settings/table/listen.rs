//! Settings of the addresses and ports, of what is answered there, and of what the node says of itself.

use std::net::IpAddr;

use egret_http::seatunnel::IdForm;

use super::super::names;
use super::super::values::{boolean, parsed, put};
use super::{BOOLEAN, Original, Setting};

pub(super) static LISTEN: &[Setting] = &[
    Setting {
        key: "host",
        flag: "host",
        takes: "an address",
        meaning: "Address to listen on. 127.0.0.1 can be reached from this machine alone, 0.0.0.0 from everywhere; \
                  the start warns of that.",
        set: |s, text| put(&mut s.host, parsed::<IpAddr>(text, "an IP address like 127.0.0.1 or 0.0.0.0")),
        show: |s| s.host.to_string(),
        originals: &[],
    },
    Setting {
        key: "port",
        flag: "port",
        takes: "a port",
        meaning: "The first port. 0 takes a free one.",
        set: |s, text| put(&mut s.port, parsed(text, "a port from 0 to 65535")),
        show: |s| s.port.to_string(),
        originals: &[Original {
            path: "hazelcast.network.port.port",
            set: |s, text| put(&mut s.port, parsed(text, "a port from 0 to 65535")),
        }],
    },
    Setting {
        key: "port_faces",
        flag: "port-faces",
        takes: "v1, v2 or both",
        meaning: "Which generations of the API the first port answers: v1 under /hazelcast, v2 at the root or under \
                  the context path.",
        set: |s, text| put(&mut s.port_faces, names::faces(text)),
        show: |s| names::show_faces(s.port_faces).to_owned(),
        originals: &[],
    },
    Setting {
        key: "second_port",
        flag: "second-port",
        takes: "a port, or off",
        meaning: "The second port, where clients of the second generation of the API look. `off` does without it, \
                  0 takes a free one.",
        set: |s, text| put(&mut s.second_port, names::port_or_off(text)),
        show: |s| s.second_port.map_or_else(|| "off".to_owned(), |port| port.to_string()),
        originals: &[
            Original {
                path: "seatunnel.engine.http.port",
                set: |s, text| put(&mut s.second_port, names::port_or_off(text)),
            },
            Original {
                path: "seatunnel.engine.http.enable-http",
                set: |s, text| {
                    if !boolean(text)? {
                        s.second_port = None;
                    }
                    Ok(())
                },
            },
        ],
    },
    Setting {
        key: "second_port_faces",
        flag: "second-port-faces",
        takes: "v1, v2 or both",
        meaning: "Which generations of the API the second port answers: v1 under /hazelcast, v2 at the root or under \
                  the context path.",
        set: |s, text| put(&mut s.second_port_faces, names::faces(text)),
        show: |s| names::show_faces(s.second_port_faces).to_owned(),
        originals: &[],
    },
    Setting {
        key: "second_port_dynamic",
        flag: "second-port-dynamic",
        takes: BOOLEAN,
        meaning: "Whether the next ports are tried when the second one is taken. Without it that fails the start.",
        set: |s, text| put(&mut s.second_port_dynamic, boolean(text)),
        show: |s| s.second_port_dynamic.to_string(),
        originals: &[Original {
            path: "seatunnel.engine.http.enable-dynamic-port",
            set: |s, text| put(&mut s.second_port_dynamic, boolean(text)),
        }],
    },
    Setting {
        key: "second_port_range",
        flag: "second-port-range",
        takes: "1 to 65535",
        meaning: "How many ports are tried then, the second port being the first of them.",
        set: |s, text| put(&mut s.second_port_range, names::range(text)),
        show: |s| s.second_port_range.to_string(),
        originals: &[Original {
            path: "seatunnel.engine.http.port-range",
            set: |s, text| put(&mut s.second_port_range, names::range(text)),
        }],
    },
    Setting {
        key: "context_path",
        flag: "context-path",
        takes: "a path",
        meaning: "What paths of the second generation of the API begin with, like /seatunnel.",
        set: |s, text| put(&mut s.seatunnel.context_path, names::context_path(text)),
        show: |s| s.seatunnel.context_path.to_string(),
        originals: &[Original {
            path: "seatunnel.engine.http.context-path",
            set: |s, text| put(&mut s.seatunnel.context_path, names::context_path(text)),
        }],
    },
    Setting {
        key: "v1_ids",
        flag: "v1-ids",
        takes: "number or string",
        meaning: "How submit-job and stop-job of the first generation answer ids: as numbers, as its documentation has \
                  it, or as strings, as releases from 2.3.6 on do.",
        set: |s, text| put(&mut s.seatunnel.v1_ids, names::id_form(text)),
        show: |s| match s.seatunnel.v1_ids {
            IdForm::Number => "number".to_owned(),
            IdForm::Text => "string".to_owned(),
        },
        originals: &[],
    },
    Setting {
        key: "newest_first",
        flag: "newest-first",
        takes: BOOLEAN,
        meaning: "Whether finished-jobs begins with the job that ended last, as releases from 2.3.9 on do.",
        set: |s, text| put(&mut s.seatunnel.newest_first, boolean(text)),
        show: |s| s.seatunnel.newest_first.to_string(),
        originals: &[],
    },
    Setting {
        key: "cluster_name",
        flag: "cluster-name",
        takes: "a name",
        meaning: "Name of the cluster that this node is, the label `cluster` of each metric.",
        set: |s, text| put(&mut s.node.cluster_name, names::cluster_name(text)),
        show: |s| s.node.cluster_name.to_string(),
        originals: &[Original {
            path: "hazelcast.cluster-name",
            set: |s, text| put(&mut s.node.cluster_name, names::cluster_name(text)),
        }],
    },
    Setting {
        key: "member_host",
        flag: "member-host",
        takes: "a name or an address",
        meaning: "What the node calls itself in overview, cluster and metrics. By default the address that it listens \
                  on, and localhost for 127.0.0.1 and 0.0.0.0.",
        set: |s, text| put(&mut s.node.member_host, names::member_host(text).map(Some)),
        show: |s| s.node.member_host.as_deref().unwrap_or_default().to_owned(),
        originals: &[],
    },
    Setting {
        key: "tags",
        flag: "tags",
        takes: "names and values, like zone=a,disk=ssd",
        meaning: "The node's tags, until update-tags replaces them. In the file also as keys and values below `tags`.",
        set: |s, text| put(&mut s.node.tags, names::tags(text)),
        show: |s| names::show_tags(&s.node.tags),
        originals: &[],
    },
    Setting {
        key: "telemetry",
        flag: "telemetry",
        takes: BOOLEAN,
        meaning: "Whether there are metrics for scrapers; without them their answer is empty.",
        set: |s, text| put(&mut s.node.telemetry, boolean(text)),
        show: |s| s.node.telemetry.to_string(),
        originals: &[Original {
            path: "seatunnel.engine.telemetry.metric.enabled",
            set: |s, text| put(&mut s.node.telemetry, boolean(text)),
        }],
    },
];
