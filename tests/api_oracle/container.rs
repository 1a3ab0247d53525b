//! I.2: a real server, over REST only, with ids as texts over both faces.

use serde_json::{Value, json};

use super::support::Folder;
use super::{Ports, fake_to_console, fake_to_file};

/// As the releases that these tests are of have it.
fn texts() -> Ports {
    Ports::with(&["--v1-ids", "string"])
}

fn id_of(reply: &Value) -> i64 {
    reply["jobId"].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no text as jobId: {reply}"))
}

#[test]
fn the_cluster_has_a_member_for_each_node_and_is_well() {
    let ports = texts();
    for address in &ports.addresses {
        let mut client = super::Client::connect(*address);
        let cluster = client.get("/hazelcast/rest/cluster").ok();
        assert_eq!(cluster["members"].as_array().map(Vec::len), Some(1));
        let health = client.get("/hazelcast/health").ok();
        assert_eq!((&health["nodeState"], &health["clusterSize"]), (&json!("ACTIVE"), &json!(1)));
    }
}

#[test]
fn names_ids_and_history_are_those_of_the_submissions() {
    let ports = texts();
    let mut config = fake_to_console(100);
    config["env"]["job.name"] = json!("来自配置");
    let config = config.to_string();
    let mut submitted = Vec::new();
    ports.each(|asked| {
        let custom = 123_456_789 + submitted.len() as i64;
        let custom_id = format!("?jobId={custom}");
        let submissions = [
            ("", "来自配置", None),
            ("?jobName=%E4%BD%9C%E4%B8%9A", "作业", None),
            (custom_id.as_str(), "来自配置", Some(custom)),
        ];
        for (query, name, id) in submissions {
            let reply = asked.post(&format!("/submit-job{query}"), &config).ok();
            assert_eq!(reply["jobName"], name);
            let given = id_of(&reply);
            assert!(id.is_none_or(|id| id == given), "{reply}");
            ports.node.wait_for_state(given, "FINISHED");
            submitted.push((given.to_string(), name));
        }
    });
    ports.each(|asked| {
        for list in ["/finished-jobs/FINISHED", "/finished-jobs"] {
            let jobs = asked.get(list).ok();
            for (job, (id, name)) in jobs.as_array().expect("a list").iter().zip(&submitted) {
                assert_eq!((&job["jobId"], &job["jobName"]), (&json!(id), &json!(name)));
                assert_eq!((&job["jobStatus"], &job["errorMsg"]), (&json!("FINISHED"), &Value::Null));
                assert_eq!(job["metrics"]["SourceReceivedCount"], "100");
                assert_eq!(job["metrics"]["SinkWriteCount"], "100");
            }
            assert_eq!(jobs.as_array().map(Vec::len), Some(submitted.len()));
        }
    });
}

#[test]
fn jobs_are_stopped_one_by_one_and_together() {
    let folder = Folder::new();
    let ports = texts();
    let mut canceled = Vec::new();
    ports.each(|asked| {
        let ids = [1, 2, 3].map(|_| id_of(&asked.post("/submit-job", &fake_to_file(&folder).to_string()).ok()));
        for id in ids {
            ports.node.wait_for_state(id, "RUNNING");
        }
        let stop = json!({"jobId": ids[0], "isStopWithSavePoint": false}).to_string();
        assert_eq!(asked.post("/stop-job", &stop).ok(), json!({"jobId": ids[0].to_string()}));
        ports.node.wait_for_state(ids[0], "CANCELED");
        let stop = json!([{"jobId": ids[1], "isStopWithSavePoint": false}, {"jobId": ids[2]}]).to_string();
        let stopped = asked.post("/stop-jobs", &stop).ok();
        assert_eq!(stopped, json!([{"jobId": ids[1]}, {"jobId": ids[2]}]), "here ids are numbers");
        for id in ids {
            ports.node.wait_for_state(id, "CANCELED");
        }
        canceled.extend(ids.map(|id| id.to_string()));
        let listed = asked.get("/finished-jobs/CANCELED").ok();
        let listed: Vec<&str> =
            listed.as_array().expect("a list").iter().filter_map(|job| job["jobId"].as_str()).collect();
        assert!(
            canceled.iter().all(|id| listed.contains(&id.as_str())) && listed.len() == canceled.len(),
            "{listed:?}"
        );
    });
}

#[test]
fn jobs_go_on_from_their_savepoints() {
    let folder = Folder::new();
    let ports = texts();
    let config = fake_to_file(&folder).to_string();
    ports.each(|asked| {
        let id = id_of(&asked.post("/submit-job", &config).ok());
        ports.node.wait_for_state(id, "RUNNING");
        let stop = json!({"jobId": id, "isStopWithSavePoint": true}).to_string();
        assert_eq!(asked.post("/stop-job", &stop).ok(), json!({"jobId": id.to_string()}));
        ports.node.wait_for_state(id, "SAVEPOINT_DONE");
        let text = json!(id.to_string());
        let holds = |list: &Value| list.as_array().expect("a list").iter().any(|job| job["jobId"] == text);
        assert!(holds(&asked.get("/finished-jobs/SAVEPOINT_DONE").ok()));
        let again = format!("/submit-job?jobId={id}&isStartWithSavePoint=true");
        assert_eq!(id_of(&asked.post(&again, &config).ok()), id);
        ports.node.wait_for_state(id, "RUNNING");
        assert!(!holds(&asked.get("/finished-jobs").ok()), "it runs again");
        let other = id_of(&asked.post("/submit-job", &config).ok());
        ports.node.wait_for_state(other, "RUNNING");
        let stop = json!([{"jobId": id, "isStopWithSavePoint": true}, {"jobId": other}]).to_string();
        assert_eq!(asked.post("/stop-jobs", &stop).ok(), json!([{"jobId": id}, {"jobId": other}]));
        ports.node.wait_for_state(id, "SAVEPOINT_DONE");
        ports.node.wait_for_state(other, "CANCELED");
    });
}

#[test]
fn jobs_submitted_together_run() {
    let folder = Folder::new();
    let ports = texts();
    let mut next = 10;
    ports.each(|asked| {
        let mut with_params = |name: &str| {
            next += 1;
            let mut job = fake_to_file(&folder);
            job["params"] = json!({"jobId": next.to_string(), "jobName": name, "isStartWithSavePoint": "false"});
            (next, job)
        };
        let ((first, a), (second, b)) = (with_params("a"), with_params("b"));
        let reply = asked.post("/submit-jobs", &json!([a, b]).to_string()).ok();
        let told = json!([
            {"jobId": first.to_string(), "jobName": "a"},
            {"jobId": second.to_string(), "jobName": "b"},
        ]);
        assert_eq!(reply, told);
        for id in [first, second] {
            assert_ne!(asked.get(&format!("/job-info/{id}")).ok()["jobStatus"], Value::Null, "it is known at once");
            ports.node.wait_for_state(id, "RUNNING");
        }
    });
}

#[test]
fn savepoints_without_an_id_and_bad_configs_are_refused() {
    let ports = texts();
    let config = fake_to_console(1).to_string();
    ports.each(|asked| {
        let message = asked.post("/submit-job?isStartWithSavePoint=true", &config).refused(400);
        assert_eq!(message, "Please provide jobId when start with save point.");
        let bad = r#"{"env":{},"source":[{"plugin_name":"FakeSource"}],"sink":[{"plugin_name":"Console"}]}"#;
        let message = asked.post("/submit-job", bad).refused(400);
        let words = "Unable to create a source for identifier 'FakeSource'. ErrorCode:[API-02], ErrorDescription:[Option \
                     item validate failed] - There are unconfigured options, the options('";
        assert!(message.starts_with(words), "{message}");
        assert_eq!(asked.get("/running-jobs").ok(), json!([]), "nothing is left of it");
    });
}
