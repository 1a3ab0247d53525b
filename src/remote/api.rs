//! The REST API of a node, as its client: v1, which every release and both ports answer (contract A.1), and what a node
//! says of itself below `/egret`.

use serde_json::{Value, json};
use ureq::http::header::AUTHORIZATION;
use ureq::http::{HeaderValue, Response};
use ureq::{Agent, RequestBuilder};

use super::arguments::NodeArguments;
use super::job::JobView;
use super::lately::{self, Lately};

/// What paths begin with, but for those below [`OWN`].
const MAPS: &str = "/hazelcast/rest/maps";
/// What paths begin with that only this program has.
const OWN: &str = "/egret/";
/// Largest answer that is taken: a list of ten thousand jobs has some 30 MB.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Why a command did not get what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address is none.
    #[error("--url {0}: expected an address like http://127.0.0.1:5801")]
    Address(String),
    /// The node's connections are not encrypted.
    #[error("--url {0}: a node speaks http, not https; go through a tunnel, or run the command beside what ends TLS")]
    Https(String),
    /// The address holds a password, and addresses are printed.
    #[error("--url: an address holds no user and password; give them by --user and EGRET_PASSWORD")]
    LoginInAddress,
    /// The node asks who is there.
    #[error("{message} {}", hint(.is_given))]
    Unauthorized {
        /// The node's words.
        message: String,
        /// Whether a login was sent.
        is_given: bool,
    },
    /// Nobody answers.
    #[error("no answer from {url}: {cause}; is a node running there (egret serve)? --url names another one")]
    Unreachable {
        /// The node.
        url: String,
        /// What went wrong.
        cause: Box<ureq::Error>,
    },
    /// The node says no.
    #[error("{message}")]
    Refused {
        /// Its status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The answer is none of a node.
    #[error("{url} answered {status} with something that is no answer of a node; is it one? --url names another one")]
    Garbled {
        /// The whole address.
        url: String,
        /// Status of the answer.
        status: u16,
    },
    /// Not among the node's jobs.
    #[error("there is no job {id} on {url}; egret list shows the jobs that it knows")]
    NoJob {
        /// The job.
        id: i64,
        /// The node.
        url: String,
    },
    /// Something on this side.
    #[error("{0}")]
    Here(String),
}

/// A node's API.
pub struct Api {
    agent: Agent,
    url: String,
    /// Who asks.
    login: Option<HeaderValue>,
}

/// An answer, read.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Api {
    /// For the node of the command line.
    pub fn new(node: &NodeArguments) -> Result<Self, ApiError> {
        let url = node.url.trim().trim_end_matches('/');
        if url.contains('@') {
            return Err(ApiError::LoginInAddress);
        }
        if url.starts_with("https://") {
            return Err(ApiError::Https(url.to_owned()));
        }
        let host = url.strip_prefix("http://").filter(|host| !host.is_empty() && !host.contains(['?', '#', ' ']));
        if host.is_none() {
            return Err(ApiError::Address(node.url.clone()));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(node.timeout()))
            .max_redirects(0)
            // A node is talked to directly, whatever the environment says about the web.
            .proxy(None)
            .user_agent(concat!("egret/", env!("CARGO_PKG_VERSION")));
        Ok(Self { agent: config.build().into(), url: url.to_owned(), login: node.login.header()? })
    }

    /// Address of the node.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn whole(&self, path: &str) -> String {
        let base = if path.starts_with(OWN) { "" } else { MAPS };
        format!("{}{base}{path}", self.url)
    }

    fn unreachable(&self) -> impl Fn(ureq::Error) -> ApiError {
        let url = self.url.clone();
        move |cause| ApiError::Unreachable { url: url.clone(), cause: Box::new(cause) }
    }

    fn read(&self, mut response: Response<ureq::Body>) -> Result<Answer, ApiError> {
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let answer = Answer { status: response.status().as_u16(), body: body.map_err(self.unreachable())? };
        if answer.status == 401 {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let message = body["message"].as_str().unwrap_or("The node does not know who asks.").to_owned();
            return Err(ApiError::Unauthorized { message, is_given: self.login.is_some() });
        }
        Ok(answer)
    }

    /// A request that says who asks.
    fn with_login<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.login {
            Some(login) => request.header(AUTHORIZATION, login.clone()),
            None => request,
        }
    }

    /// An answer as it came.
    pub fn get(&self, path: &str) -> Result<Answer, ApiError> {
        self.read(self.with_login(self.agent.get(self.whole(path))).call().map_err(self.unreachable())?)
    }

    /// Status and length of what is at a path.
    pub fn length(&self, path: &str) -> Result<(u16, Option<u64>), ApiError> {
        let response = self.with_login(self.agent.head(self.whole(path))).call().map_err(self.unreachable())?;
        let length = response.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
        Ok((response.status().as_u16(), length))
    }

    fn get_json(&self, path: &str) -> Result<Value, ApiError> {
        let answer = self.get(path)?;
        self.json(path, &answer)
    }

    fn post_json(&self, path: &str, body: &[u8]) -> Result<Value, ApiError> {
        let request = self.with_login(self.agent.post(self.whole(path))).header("content-type", "application/json");
        let answer = self.read(request.send(body).map_err(self.unreachable())?)?;
        self.json(path, &answer)
    }

    /// The body of an answer; the message of the error envelope (contract A.2) as an error.
    fn json(&self, path: &str, answer: &Answer) -> Result<Value, ApiError> {
        let Answer { status, body } = answer;
        let garbled = || ApiError::Garbled { url: self.whole(path), status: *status };
        let value: Value = serde_json::from_slice(body).map_err(|_| garbled())?;
        match (*status, value["message"].as_str()) {
            (200..=299, _) => Ok(value),
            (_, Some(message)) => Err(ApiError::Refused { status: *status, message: message.to_owned() }),
            (_, None) => Err(garbled()),
        }
    }

    fn jobs(&self, path: &str) -> Result<Vec<JobView>, ApiError> {
        match self.get_json(path)? {
            Value::Array(jobs) => Ok(jobs.into_iter().map(JobView).collect()),
            _ => Err(ApiError::Garbled { url: self.whole(path), status: 200 }),
        }
    }

    /// Jobs that have not ended.
    pub fn running_jobs(&self) -> Result<Vec<JobView>, ApiError> {
        self.jobs("/running-jobs")
    }

    /// Jobs that have ended, in one state or any.
    pub fn finished_jobs(&self, state: Option<&str>) -> Result<Vec<JobView>, ApiError> {
        match state {
            None => self.jobs("/finished-jobs"),
            Some(state) => self.jobs(&format!("/finished-jobs/{}", encoded(state))),
        }
    }

    /// A job; `None` when the node does not know it: then it answers with the bare id (contract A.4).
    pub fn job(&self, id: i64) -> Result<Option<JobView>, ApiError> {
        let job = JobView(self.get_json(&format!("/job-info/{id}"))?);
        Ok(job.0.get("jobStatus").is_some().then_some(job))
    }

    /// A job that must be known.
    pub fn known_job(&self, id: i64) -> Result<JobView, ApiError> {
        self.job(id)?.ok_or_else(|| ApiError::NoJob { id, url: self.url.clone() })
    }

    /// What running jobs have done lately; `None` when the node has nothing of the kind, as the original and releases
    /// before this one.
    pub fn lately(&self) -> Result<Option<Lately>, ApiError> {
        let path = format!("{}/egret/timelines?{}", self.url, lately::query());
        let asked = self.with_login(self.agent.get(path)).call().map_err(self.unreachable());
        let answer = match asked.and_then(|response| self.read(response)) {
            Err(error @ ApiError::Unauthorized { .. }) => return Err(error),
            // It has answered other questions; this one makes no sense to it.
            Err(_) => return Ok(None),
            Ok(answer) => answer,
        };
        let read = || Lately::read(&serde_json::from_slice(&answer.body).ok()?);
        match answer.status {
            200 => Ok(read()),
            503 => self.json("/egret/timelines", &answer).map(|_| None),
            _ => Ok(None),
        }
    }

    /// Asks for a job to be stopped.
    pub fn stop(&self, id: i64, savepoint: bool) -> Result<(), ApiError> {
        let body = json!({ "jobId": id, "isStopWithSavePoint": savepoint });
        self.post_json("/stop-job", body.to_string().as_bytes()).map(drop)
    }

    /// Live allocations by size.
    pub fn heap(&self) -> Result<Value, ApiError> {
        self.get_json("/egret/heap")
    }

    /// Switches the heap profiler on; gives how it is then.
    pub fn start_heap_profiler(&self, sample_bytes: Option<u64>) -> Result<Value, ApiError> {
        let query = sample_bytes.map_or_else(String::new, |bytes| format!("?sampleBytes={bytes}"));
        self.post_json(&format!("/egret/heap/start{query}"), b"")
    }

    /// Switches the heap profiler off; gives how it is then.
    pub fn stop_heap_profiler(&self) -> Result<Value, ApiError> {
        self.post_json("/egret/heap/stop", b"")
    }

    /// A heap profile.
    pub fn heap_profile(&self) -> Result<Vec<u8>, ApiError> {
        let path = "/egret/heap/profile";
        let answer = self.get(path)?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        Err(self
            .json(path, &answer)
            .err()
            .unwrap_or_else(|| ApiError::Garbled { url: self.whole(path), status: answer.status }))
    }

    /// Submits a job; gives its id and name.
    pub fn submit(&self, query: &[(&str, String)], config: &[u8]) -> Result<(i64, String), ApiError> {
        let query: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
        let path = format!("/submit-job?{}", query.join("&"));
        let reply = self.post_json(&path, config)?;
        let id = reply["jobId"].as_i64().or_else(|| reply["jobId"].as_str()?.parse().ok());
        let name = reply["jobName"].as_str().unwrap_or_default().to_owned();
        id.map(|id| (id, name)).ok_or_else(|| ApiError::Garbled { url: self.whole("/submit-job"), status: 200 })
    }
}

/// What to do about a refusal.
fn hint(is_given: &bool) -> &'static str {
    if *is_given {
        "What was given is not what it knows."
    } else {
        "Give --user, with EGRET_PASSWORD or --password-file, or set EGRET_TOKEN."
    }
}

/// A text as it may stand in a path or a query.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::login::Login;
    use super::*;

    fn api(url: &str) -> Result<Api, ApiError> {
        Api::new(&NodeArguments { url: url.to_owned(), timeout: 5, login: Login::default() })
    }

    #[test]
    fn addresses_are_judged_before_anything_is_sent() {
        assert_eq!(api("http://127.0.0.1:5801/").expect("an address").url(), "http://127.0.0.1:5801");
        assert!(matches!(api("https://host"), Err(ApiError::Https(_))));
        assert!(matches!(api("http://me:secret@host:5801"), Err(ApiError::LoginInAddress)));
        for wrong in ["", "http://", "127.0.0.1:5801", "http://a b", "ftp://x", "http://host/?a=b"] {
            assert!(matches!(api(wrong), Err(ApiError::Address(_))), "{wrong}");
        }
    }

    #[test]
    fn words_in_a_query_are_encoded() {
        assert_eq!(encoded("a b&c=d/ü"), "a%20b%26c%3Dd%2F%C3%BC");
    }
}
