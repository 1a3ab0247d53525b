//! What differs from run to run, replaced by values of the same form: so a masked body still fits its schema.

use serde_json::Value;

/// Replaces times, ids that the node made, and measures.
pub(super) fn mask(path: &str, body: &mut Value) {
    let name = path.split('?').next().unwrap_or_default().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    match name {
        "running-threads" | "thread-dump" => first_thread(body),
        "system-monitoring-information" => body[0].as_object_mut().expect("an object").iter_mut().for_each(measure),
        "cluster" => cluster(body),
        "metrics" | "openmetrics" => families(body),
        "openapi.json" => outline(body),
        "timings" => timings(body),
        "heap" => heap(body),
        "timelines" => timelines(body),
        _ => fields(body),
    }
}

/// Wherever they stand.
fn fields(value: &mut Value) {
    match value {
        Value::Object(object) => object.iter_mut().for_each(field),
        Value::Array(items) => items.iter_mut().for_each(fields),
        _ => {}
    }
}

fn field((key, value): (&String, &mut Value)) {
    match key.as_str() {
        "createTime" | "finishTime" | "finishedTime" => {
            let digit = |letter: char| if letter.is_ascii_digit() { '0' } else { letter };
            let shape: String = value.as_str().expect("a time is text").chars().map(digit).collect();
            assert_eq!(shape, "0000-00-00 00:00:00", "{key}");
            *value = "2024-10-20 12:00:00".into();
        }
        "jobId" if value.as_str().is_some_and(is_made) => *value = "733584788375666689".into(),
        "jobId" if is_made(&value.to_string()) => *value = 733_584_788_375_666_689_i64.into(),
        "projectVersion" => *value = "0.1.0".into(),
        "gitCommitAbbrev" => *value = "15431c9".into(),
        _ if key.ends_with("QPS") || key.ends_with("PerSeconds") => rates(value),
        _ => fields(value),
    }
}

/// The tests' own ids are short.
fn is_made(id: &str) -> bool {
    id.len() >= 18 && id.bytes().all(|byte| byte.is_ascii_digit())
}

fn rates(value: &mut Value) {
    match value {
        Value::Object(tables) => tables.values_mut().for_each(rates),
        _ => *value = "58.4".into(),
    }
}

fn first_thread(threads: &mut Value) {
    let threads = threads.as_array_mut().expect("a list");
    threads.truncate(1);
    for (key, value) in threads[0].as_object_mut().expect("an object") {
        *value = match key.as_str() {
            "threadName" => "egret-front-0".into(),
            "threadId" => 1.into(),
            "threadState" => "RUNNABLE".into(),
            "stackTrace" => "".into(),
            _ => continue,
        };
    }
}

/// A measure of the node or the machine keeps its unit.
fn measure((key, value): (&String, &mut Value)) {
    let text = value.as_str().expect("a text");
    let masked = match key.as_str() {
        "host" | "isMaster" => return,
        "port" => "5801",
        "load.systemAverage" => "2.07",
        _ if key.contains("memory") && !key.contains('/') || key.starts_with("swap") => "16.0G",
        _ if text.ends_with('%') => "23.54%",
        _ if text.ends_with("ms") => "110ms",
        _ => "8",
    };
    *value = masked.into();
}

fn cluster(body: &mut Value) {
    for member in body["members"].as_array_mut().expect("a list") {
        member["address"] = "[localhost]:5801".into();
        member["uuid"] = "2f1b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d".into();
        member["memberVersion"] = "0.1.0".into();
    }
    body["allConnectionCount"] = 1.into();
}

/// Of metrics the families alone.
fn families(body: &mut Value) {
    let text = body.as_str().expect("text");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    *body = lines.join("\n").into();
}

/// Of timings one route and one shard.
fn timings(body: &mut Value) {
    body["routes"].as_array_mut().expect("a list").truncate(1);
    body["shards"].as_array_mut().expect("a list").truncate(1);
    durations(body);
}

/// Something was counted everywhere.
fn durations(value: &mut Value) {
    match value {
        Value::Object(object) if object.contains_key("quantiles") => {
            let quantiles = egret_runtime::metrics::QUANTILES.map(|quantile| (quantile.to_string(), 0.0005.into()));
            let keys = |value: &Value| value.as_object().expect("quantiles").keys().cloned().collect::<Vec<_>>();
            let all: Value = quantiles.into_iter().collect::<serde_json::Map<_, _>>().into();
            let counted = if object["count"] == 0 { Vec::new() } else { keys(&all) };
            assert_eq!(keys(&object["quantiles"]), counted);
            *object = [("count", 3.into()), ("sum", 0.0014.into()), ("max", 0.0007.into()), ("quantiles", all)]
                .map(|(key, value): (&str, Value)| (key.to_owned(), value))
                .into_iter()
                .collect();
        }
        Value::Object(object) => object.values_mut().for_each(durations),
        Value::Array(items) => items.iter_mut().for_each(durations),
        _ => {}
    }
}

/// Of the description the operations alone.
fn outline(body: &mut Value) {
    let mut operations = Vec::new();
    for (path, item) in body["paths"].as_object().expect("paths") {
        operations.extend(item.as_object().expect("methods").keys().map(|method| format!("{method} {path}")));
    }
    *body = serde_json::json!({"openapi": body["openapi"], "paths": operations});
}

/// Of the heap one size class.
fn heap(body: &mut Value) {
    body["sizeClasses"].as_array_mut().expect("a list").truncate(1);
    numbers(body);
}

fn numbers(value: &mut Value) {
    match value {
        Value::Object(object) => object.values_mut().for_each(numbers),
        Value::Array(items) => items.iter_mut().for_each(numbers),
        Value::Number(_) => *value = 8.into(),
        _ => {}
    }
}

/// Times, and what is measured.
fn timelines(body: &mut Value) {
    for (key, time) in [("now", 1_700_000_005), ("start", 1_700_000_000), ("end", 1_700_000_005)] {
        assert!(body[key].is_i64() || body[key].is_u64(), "{key}");
        body[key] = time.into();
    }
    for series in body["series"].as_array_mut().expect("a list") {
        let is_count = series["kind"] == "count";
        series["values"].as_array_mut().expect("a list").clear();
        for key in if is_count { ["sum", "seconds"] } else { ["mean", "latest"] } {
            assert!(series[key].is_number() || (series[key].is_null() && !is_count), "{key}");
            series[key] = 1.into();
        }
    }
}
