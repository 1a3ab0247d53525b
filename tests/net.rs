//! `egret run` with jobs that speak to other machines: web services and sockets.

mod support;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use support::program::{Program, egret, run_config};
use support::{Folder, assert_holds, eventually};

/// A request: its first line and its body.
type Asked = (String, String);

/// A web server on threads of the test. `answer` gives the whole answer; nothing means that none is ever given.
struct Web {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Web {
    fn start(answer: impl Fn(&Asked) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || serve(&socket, &log, &*answer));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn serve(socket: &TcpStream, log: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> Option<String>) -> Option<()> {
    let _ = socket.set_read_timeout(Some(support::PATIENCE));
    let mut reader = BufReader::new(socket);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let asked = (line.trim_end().to_owned(), String::from_utf8_lossy(&body).into_owned());
        log.lock().ok()?.push(asked.clone());
        match answer(&asked) {
            Some(answer) => (&*socket).write_all(answer.as_bytes()).ok()?,
            // Holds the connection until the client gives it up.
            None => return reader.read_line(&mut String::new()).ok().map(drop),
        }
    }
}

fn json(body: &str) -> Option<String> {
    let length = body.len();
    Some(format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"))
}

#[test]
fn pages_of_a_web_service_pass_the_checks_of_the_job_and_go_to_another() {
    let web = Web::start(|(line, _)| match line.as_str() {
        "POST /rows HTTP/1.1" => json(r#"{"data":[{"name":"a","age":18},{"name":"b","age":19}]}"#),
        _ => json("{}"),
    });
    // The page stands in the body, where nobody takes it for a variable of the config.
    let config = format!(
        r#"
env {{ parallelism = 2, job.mode = "BATCH" }}
source {{
  Http {{
    plugin_output = "http"
    url = "http://localhost:{port}/rows"
    method = "POST"
    body = """{{"id":1,"pageIndex":"${{pageIndex}}"}}"""
    format = "json"
    content_field = "$.data.*"
    pageing = {{ page_field = pageIndex, start_page_number = 2, batch_size = 10 }}
    schema = {{ fields {{ name = string, age = int }} }}
  }}
}}
sink {{
  Assert {{
    plugin_input = "http"
    rules {{
      row_rules = [ {{ rule_type = MAX_ROW, rule_value = 2 }}, {{ rule_type = MIN_ROW, rule_value = 2 }} ]
      field_rules = [ {{ field_name = age, field_type = int, field_value = [ {{ rule_type = NOT_NULL }} ] }} ]
    }}
  }}
  Http {{ plugin_input = "http", url = "http://127.0.0.1:{port}/hook", headers {{ token = "t" }} }}
}}
"#,
        port = web.address.port()
    );
    run_config(&config).expect_exit(0);
    let mut asked = web.asked();
    assert_eq!(asked.remove(0), ("POST /rows HTTP/1.1".into(), r#"{"id":1,"pageIndex":2}"#.into()));
    let hook = |body: &str| ("POST /hook HTTP/1.1".to_owned(), body.to_owned());
    assert_eq!(asked, [hook(r#"{"name":"a","age":18}"#), hook(r#"{"name":"b","age":19}"#)]);
}

#[test]
fn a_large_answer_is_read_whole() {
    let rows: Vec<String> = (0..50_000).map(|id| format!(r#"{{"id":{id},"text":"row number {id}"}}"#)).collect();
    let body = format!("[{}]", rows.join(","));
    let web = Web::start(move |_| json(&body));
    let config = format!(
        r#"
env {{ job.mode = "BATCH" }}
source {{ Http {{ url = "http://{}/", format = json, schema {{ fields {{ id = int, text = string }} }} }} }}
sink {{ Assert {{ rules {{ row_rules = [ {{ rule_type = MAX_ROW, rule_value = 50000 }}, {{ rule_type = MIN_ROW, rule_value = 50000 }} ] }} }} }}
"#,
        web.address
    );
    run_config(&config).expect_exit(0);
}

#[test]
fn a_service_that_refuses_fails_the_job_with_its_words() {
    let web = Web::start(|_| Some("HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nforbidden".into()));
    let config = format!(
        r#"
env {{ job.mode = "BATCH" }}
source {{ Http {{ url = "http://{}/x?key=s3cret", headers {{ Authorization = "s3cret" }} }} }}
sink {{ Console {{ }} }}
"#,
        web.address
    );
    let ended = run_config(&config).expect_exit(1);
    assert_holds(&ended.stderr, &["403", "forbidden", "/x"]);
    assert!(!ended.stderr.contains("s3cret") && !ended.stdout.contains("s3cret"), "{}", ended.stderr);
}

/// Starts a job that hangs on the other side, interrupts it, and gives the time to its end.
fn interrupted(config: &str, hangs: impl Fn() -> bool) -> Duration {
    let folder = Folder::new();
    let path = folder.write("job.conf", config);
    let program = Program::start(egret([OsStr::new("run"), path.as_os_str()]));
    eventually("the job hangs", || if hangs() { Ok(()) } else { Err("it does not") });
    let begin = Instant::now();
    program.signal(libc::SIGINT);
    let ended = program.end();
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
    begin.elapsed()
}

/// A stop takes milliseconds; the hanging requests would take a minute, the sinks' retries longer.
const STOP_BOUND: Duration = Duration::from_secs(30);

#[test]
fn a_job_whose_request_hangs_can_be_stopped() {
    let web = Arc::new(Web::start(|_| None));
    let url = format!("http://{}/", web.address);
    let source = format!("env {{ }}\nsource {{ Http {{ url = \"{url}\" }} }}\nsink {{ Console {{ }} }}");
    let seen = Arc::clone(&web);
    assert!(interrupted(&source, move || !seen.asked().is_empty()) < STOP_BOUND);
    let before = web.asked().len();
    let sink = format!(
        "env {{ }}\nsource {{ FakeSource {{ row.num = 5, schema {{ fields {{ id = int }} }} }} }}\nsink {{ Http {{ url = \"{url}\" }} }}"
    );
    assert!(interrupted(&sink, move || web.asked().len() > before) < STOP_BOUND);
}

#[test]
fn a_streaming_job_polls_until_it_is_stopped() {
    let web = Arc::new(Web::start(|_| json(r#"[{"id":7}]"#)));
    let config = format!(
        r#"
env {{ job.mode = "STREAMING", checkpoint.interval = 100 }}
source {{ Http {{ url = "http://{}/", format = json, poll_interval_millis = 20, schema {{ fields {{ id = int }} }} }} }}
sink {{ Console {{ }} }}
"#,
        web.address
    );
    let seen = Arc::clone(&web);
    assert!(interrupted(&config, move || seen.asked().len() > 20) < STOP_BOUND);
}

#[test]
fn lines_of_a_socket_are_printed_and_sent_on() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let from = listener.local_addr().expect("an address");
    let speaker = thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        socket.write_all(b"first line\r\nsecond\n").expect("sent");
        // Stays open: a batch job does not wait for more.
        let _ = socket.set_read_timeout(Some(support::PATIENCE));
        let _ = socket.read(&mut [0]);
    });
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let to = listener.local_addr().expect("an address");
    let hearer = thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        let mut text = String::new();
        socket.read_to_string(&mut text).expect("an end");
        text
    });
    let config = format!(
        r#"
env {{ job.mode = "BATCH" }}
source {{ Socket {{ host = "localhost", port = {}, plugin_output = lines }} }}
sink {{
  Console {{ plugin_input = lines }}
  Socket {{ plugin_input = lines, host = "127.0.0.1", port = {} }}
}}
"#,
        from.port(),
        to.port()
    );
    let ended = run_config(&config).expect_exit(0);
    assert_holds(&ended.stdout, &["value<STRING>", ": first line\n", ": second\n"]);
    assert_eq!(hearer.join().expect("no panic"), r#"{"value":"first line"}{"value":"second"}"#);
    speaker.join().expect("no panic");
}

#[test]
fn a_streaming_socket_can_be_stopped_while_nothing_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let connected = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&connected);
    thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a client");
        *kept.lock().expect("no panic") = Some(socket);
    });
    let config = format!(
        "env {{ job.mode = STREAMING }}\nsource {{ Socket {{ host = \"127.0.0.1\", port = {} }} }}\nsink {{ Console {{ }} }}",
        address.port()
    );
    assert!(interrupted(&config, move || connected.lock().expect("no panic").is_some()) < STOP_BOUND);
}
