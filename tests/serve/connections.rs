//! What connections see: the same jobs on each, answers in order, bodies in chunks, refusals.

use super::*;

#[test]
fn a_submitted_job_is_at_once_seen_over_every_connection() {
    let node = Node::start();
    // Connections are spread over the shards by the kernel.
    let mut clients: Vec<Client> = (0..16).map(|_| node.client()).collect();
    for client in &mut clients {
        client.get(&maps("/running-jobs")).ok();
    }
    for round in 0..8 {
        let name = format!("round {round}");
        let submitter = round % clients.len();
        let reply = clients[submitter].post(&maps("/submit-job"), &streaming_job(&name).to_string()).ok();
        let id = reply["jobId"].as_i64().expect("a number");
        for client in &mut clients {
            client.send(&format!("GET {} HTTP/1.1\r\nhost: egret\r\n\r\n", maps(&format!("/job-info/{id}"))));
            client.send(&format!("GET {} HTTP/1.1\r\nhost: egret\r\n\r\n", maps("/running-jobs")));
        }
        for client in &mut clients {
            assert_eq!(client.response().ok()["jobName"], name);
            let running = client.response().ok();
            let found = running
                .as_array()
                .expect("an array")
                .iter()
                .any(|job| job["jobId"].as_str() == Some(id.to_string().as_str()));
            assert!(found, "{id} is not in {running}");
        }
    }
    node.stop().expect_exit(0);
}

#[test]
fn connections_are_kept_and_pipelined_requests_are_answered_in_order() {
    let node = Node::start();
    let mut client = node.client();
    for _ in 0..100 {
        assert_eq!(client.get(&maps("/running-jobs")).ok(), json!([]));
    }
    let ids: Vec<String> = (1..=50).map(|id| id.to_string()).collect();
    let requests: String = ids
        .iter()
        .map(|id| format!("GET {} HTTP/1.1\r\nhost: egret\r\n\r\n", maps(&format!("/job-info/{id}"))))
        .collect();
    client.send(&requests);
    for id in &ids {
        assert_eq!(client.response().ok(), json!({ "jobId": id }));
    }
    // A submission between two looks at the list.
    let body = streaming_job("piped").to_string();
    let list = format!("GET {} HTTP/1.1\r\nhost: egret\r\n\r\n", maps("/running-jobs"));
    let submit = format!(
        "POST {} HTTP/1.1\r\nhost: egret\r\ncontent-length: {}\r\n\r\n{body}",
        maps("/submit-job?jobId=7"),
        body.len()
    );
    client.send(&format!("{list}{submit}{list}"));
    assert_eq!(client.response().ok(), json!([]));
    assert_eq!(client.response().ok(), json!({ "jobId": 7, "jobName": "piped" }));
    assert_eq!(client.response().ok()[0]["jobId"], "7");
    client.send("GET /hazelcast/rest/maps/running-jobs HTTP/1.1\r\nhost: egret\r\nconnection: close\r\n\r\n");
    client.response().ok();
    assert!(client.is_closed());
}

#[test]
fn a_body_may_come_in_chunks() {
    let node = Node::start();
    let body = documented_job().to_string();
    let (one, two) = body.split_at(body.len() / 2);
    let mut client = node.client();
    client.send(&format!(
        "POST {} HTTP/1.1\r\nhost: egret\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n",
        maps("/submit-job"),
        one.len()
    ));
    client.send(&format!("{:X}\r\n{two}\r\n0\r\n\r\n", two.len()));
    let id = client.response().ok()["jobId"].as_i64().expect("a number");
    node.wait_for_state(id, "FINISHED");
}

#[test]
fn other_paths_and_methods_are_refused() {
    let node = Node::start();
    node.get("/no-such-endpoint").refused(404);
    let reply = node.get("/submit-job");
    reply.refused(405);
    assert_eq!(reply.header("allow"), Some("POST, PUT"));
    node.request("DELETE", "/running-jobs", "").refused(405);
}
