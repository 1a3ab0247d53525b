//! Settings of what clients may do, and for how long.

use egret_http::HttpLimits;

use super::super::values::{
    at_least, bytes_usize, bytes_usize_at_least, count, duration, parsed, put, show_bytes, show_duration,
};
use super::{BYTES, COUNT, Setting, TIME};

pub(super) static HTTP: &[Setting] = &[
    Setting {
        key: "http.connections_max",
        flag: "http-connections-max",
        takes: COUNT,
        meaning: "Open connections per shard. One more is answered with 503 and closed.",
        set: |s, text| put(&mut s.http.connections_max, count(text, 1)),
        show: |s| s.http.connections_max.to_string(),
        originals: &[],
    },
    Setting {
        key: "http.backlog",
        flag: "http-backlog",
        takes: "1 to 65535",
        meaning: "Connections that wait to be accepted, per shard and port.",
        set: |s, text| {
            let backlog: u16 = parsed(text, "a whole number from 1 to 65535")?;
            put(&mut s.http.backlog, at_least(backlog, 1))
        },
        show: |s| s.http.backlog.to_string(),
        originals: &[],
    },
    Setting {
        key: "http.header_bytes_max",
        flag: "http-header-bytes-max",
        takes: BYTES,
        meaning: "Size of a request's head, at least 8KiB. More is 431.",
        set: |s, text| put(&mut s.http.header_bytes_max, bytes_usize_at_least(text, HttpLimits::HEADER_BYTES_MIN)),
        show: |s| show_bytes(s.http.header_bytes_max as u64),
        originals: &[],
    },
    Setting {
        key: "http.uri_bytes_max",
        flag: "http-uri-bytes-max",
        takes: BYTES,
        meaning: "Size of a request's path and query. More is 414.",
        set: |s, text| put(&mut s.http.uri_bytes_max, bytes_usize(text)),
        show: |s| show_bytes(s.http.uri_bytes_max as u64),
        originals: &[],
    },
    Setting {
        key: "http.body_bytes_max",
        flag: "http-body-bytes-max",
        takes: BYTES,
        meaning: "Size of a request's body. More is 413.",
        set: |s, text| put(&mut s.http.body_bytes_max, bytes_usize(text)),
        show: |s| show_bytes(s.http.body_bytes_max as u64),
        originals: &[],
    },
    Setting {
        key: "http.bodies_bytes_max",
        flag: "http-bodies-bytes-max",
        takes: BYTES,
        meaning: "Size of all request bodies that a shard holds at a time, at least that of one. More is 503.",
        set: |s, text| put(&mut s.http.bodies_bytes_max, bytes_usize(text)),
        show: |s| show_bytes(s.http.bodies_bytes_max as u64),
        originals: &[],
    },
    Setting {
        key: "http.header_timeout",
        flag: "http-header-timeout",
        takes: TIME,
        meaning: "From the first byte of a head to its last, and from accepting a connection to its first byte. Then 408.",
        set: |s, text| put(&mut s.http.header_timeout, duration(text)),
        show: |s| show_duration(s.http.header_timeout),
        originals: &[],
    },
    Setting {
        key: "http.body_timeout",
        flag: "http-body-timeout",
        takes: TIME,
        meaning: "From the end of a head to the last byte of the body. Then 408.",
        set: |s, text| put(&mut s.http.body_timeout, duration(text)),
        show: |s| show_duration(s.http.body_timeout),
        originals: &[],
    },
    Setting {
        key: "http.idle_timeout",
        flag: "http-idle-timeout",
        takes: TIME,
        meaning: "Between two requests on a connection. Then it is closed.",
        set: |s, text| put(&mut s.http.idle_timeout, duration(text)),
        show: |s| show_duration(s.http.idle_timeout),
        originals: &[],
    },
    Setting {
        key: "http.handler_timeout",
        flag: "http-handler-timeout",
        takes: TIME,
        meaning: "For the program's own work on a request. Then 503.",
        set: |s, text| put(&mut s.http.handler_timeout, duration(text)),
        show: |s| show_duration(s.http.handler_timeout),
        originals: &[],
    },
    Setting {
        key: "http.write_timeout",
        flag: "http-write-timeout",
        takes: TIME,
        meaning: "Without a byte of an answer taken by the client. Then the connection is cut.",
        set: |s, text| put(&mut s.http.write_timeout, duration(text)),
        show: |s| show_duration(s.http.write_timeout),
        originals: &[],
    },
    Setting {
        key: "http.linger_timeout",
        flag: "http-linger-timeout",
        takes: TIME,
        meaning: "For a refused client to read its answer before the connection is cut.",
        set: |s, text| put(&mut s.http.linger_timeout, duration(text)),
        show: |s| show_duration(s.http.linger_timeout),
        originals: &[],
    },
    Setting {
        key: "http.grace_timeout",
        flag: "http-grace-timeout",
        takes: TIME,
        meaning: "For the first request of a connection that was opened, when the node stops. Then it is closed.",
        set: |s, text| put(&mut s.http.grace_timeout, duration(text)),
        show: |s| show_duration(s.http.grace_timeout),
        originals: &[],
    },
];
