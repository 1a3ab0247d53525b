//! SeaTunnel's REST API. Endpoints are shared by its faces; a face is a table of routes and a few habits.

mod encrypt;
mod error;
mod job;
mod list;
mod logs;
mod monitoring;
mod overview;
mod query;
mod stop;
mod submit;
mod tags;
mod text;
mod threads;
mod upload;
pub(crate) mod v1;
mod v2;

use std::cell::RefCell;
use std::sync::Arc;

use http::Method;
use http::request::Parts;

use crate::body::RequestBody;
use crate::jobs::JobService;
use crate::json::JsonBuffer;
use crate::node::Node;
use crate::reply::Reply;
use crate::route::{RouteName, Verb};
use crate::server::Faces;

use error::{EMPTY_JOB_ID, java_long};
pub(crate) use list::BuiltLists;
use list::{ListKind, Lists};
pub(crate) use logs::{LOGS_HTML, LOGS_PLAIN};
pub use tags::read_tags;

/// The form of job ids in the answers of submit-job and stop-job over v1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdForm {
    /// `"jobId": 733584788375666689`, as releases up to 2.3.5 and their documentation have it.
    #[default]
    Number,
    /// `"jobId": "733584788375666689"`, as later releases have it.
    Text,
}

/// How the API answers where releases differ.
#[derive(Clone, Debug, Default)]
pub struct SeaTunnelSettings {
    /// Ids in the answers of submit-job and stop-job over v1.
    pub v1_ids: IdForm,
    /// finished-jobs begins with the job that finished last, as from release 2.3.9 on.
    pub newest_first: bool,
    /// What paths of v2 begin with: nothing, or `/` and a name.
    pub context_path: Arc<str>,
}

/// Whether paths of v2 may begin with this: nothing, or `/` and names of letters, digits, `-`, `.`, `_` and `~`, where v1
/// has none of its own.
pub fn is_context_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let fits = path.is_empty()
        || (path.starts_with('/') && !path.ends_with('/') && !path.contains("//") && path.bytes().all(plain));
    fits && path != "/hazelcast" && !path.starts_with("/hazelcast/")
}

impl SeaTunnelSettings {
    /// What is wrong with the settings, as a message with the cure.
    pub(crate) fn problem(&self) -> Option<String> {
        (!is_context_path(&self.context_path)).then(|| {
            format!(
                "context_path is '{}'; it must be empty, or '/' and names of letters, digits, '-', '.', '_' and '~', \
                 and not begin with /hazelcast",
                self.context_path
            )
        })
    }
}

/// Which generation of the API a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// Under `/hazelcast/rest/maps`.
    V1,
    /// At the root.
    V2,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    RunningJobs,
    FinishedJobs,
    JobInfo,
    SystemMonitoring,
    RunningThreads,
    Overview,
    ThreadDump,
    SubmitJobs,
    SubmitJobUpload,
    SubmitJob,
    StopJobs,
    StopJob,
    EncryptConfig,
    UpdateTags,
    Logs,
    Log,
    LogNames,
}

pub(crate) struct Route {
    pub(crate) verb: Verb,
    pub(crate) path: &'static str,
    pub(crate) endpoint: Endpoint,
}

const fn get(path: &'static str, endpoint: Endpoint) -> Route {
    Route { verb: Verb::Get, path, endpoint }
}

const fn post(path: &'static str, endpoint: Endpoint) -> Route {
    Route { verb: Verb::Post, path, endpoint }
}

/// The paths of both faces. A longer one stands before those that it begins with.
pub(crate) static ROUTES: [Route; 18] = [
    get("running-jobs", Endpoint::RunningJobs),
    get("finished-jobs", Endpoint::FinishedJobs),
    get("running-job", Endpoint::JobInfo),
    get("job-info", Endpoint::JobInfo),
    get("system-monitoring-information", Endpoint::SystemMonitoring),
    get("running-threads", Endpoint::RunningThreads),
    get("overview", Endpoint::Overview),
    get("thread-dump", Endpoint::ThreadDump),
    post("submit-jobs", Endpoint::SubmitJobs),
    post("submit-job/upload", Endpoint::SubmitJobUpload),
    post("submit-job", Endpoint::SubmitJob),
    post("stop-jobs", Endpoint::StopJobs),
    post("stop-job", Endpoint::StopJob),
    post("encrypt-config", Endpoint::EncryptConfig),
    post("update-tags", Endpoint::UpdateTags),
    get("logs", Endpoint::Logs),
    get("log", Endpoint::Log),
    get("get-all-log-name", Endpoint::LogNames),
];

/// The routes of both faces, in the order of their positions.
pub(crate) fn route_names() -> impl Iterator<Item = RouteName> {
    let face = |api| ROUTES.iter().map(move |route| RouteName { api, verb: route.verb, path: route.path });
    face("seatunnel-v1").chain(face("seatunnel-v2"))
}

/// Looks a request up in both faces.
pub(crate) fn find<'r>(context_path: &str, faces: Faces, method: &Method, path: &'r str) -> Match<'r> {
    let found = if faces.v1 { v1::find(method, path) } else { Match::Nothing };
    match found {
        Match::Nothing if faces.v2 => v2::find(context_path, method, path).behind(ROUTES.len()),
        found => found,
    }
}

/// What the tables say about a request; positions count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match<'r> {
    Call(usize, Call<'r>),
    WrongMethod(usize, &'static str),
    Nothing,
}

impl Match<'_> {
    /// The same in a table that stands behind another.
    fn behind(self, positions: usize) -> Self {
        match self {
            Self::Call(position, call) => Self::Call(positions + position, call),
            Self::WrongMethod(position, allow) => Self::WrongMethod(positions + position, allow),
            Self::Nothing => Self::Nothing,
        }
    }
}

/// An endpoint and the path it was called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call<'r> {
    pub(crate) face: Face,
    pub(crate) endpoint: Endpoint,
    /// The whole path.
    pub(crate) path: &'r str,
    /// What follows the route.
    pub(crate) rest: &'r str,
}

impl<'r> Call<'r> {
    /// The argument in the path: what follows the first slash after the route. One trailing slash does not count.
    fn argument(&self) -> Option<&'r str> {
        let rest = self.rest.strip_suffix('/').unwrap_or(self.rest);
        rest.split_once('/').map(|(_, argument)| argument)
    }
}

/// The API on one shard: its handlers, and the buffers that they share.
pub(crate) struct SeaTunnel {
    jobs: JobService,
    node: Arc<Node>,
    settings: SeaTunnelSettings,
    json: RefCell<JsonBuffer>,
    input: RefCell<stop::Input>,
    lists: Lists,
}

impl SeaTunnel {
    pub(crate) fn new(jobs: JobService, node: Arc<Node>, settings: SeaTunnelSettings) -> Self {
        Self {
            jobs,
            node,
            settings,
            json: RefCell::new(JsonBuffer::shared()),
            input: RefCell::default(),
            lists: Lists::default(),
        }
    }

    /// Gives back memory that is not needed now, and forgets jobs that ended long ago.
    pub(crate) fn tidy(&self) {
        self.node.lists.forget_old();
        self.jobs.forget_old();
    }

    /// Looks a request up, without allocating.
    pub(crate) fn find<'r>(&self, faces: Faces, method: &Method, path: &'r str) -> Match<'r> {
        find(self.context_path(), faces, method, path)
    }

    /// What paths of v2 begin with.
    pub(crate) fn context_path(&self) -> &str {
        &self.settings.context_path
    }

    pub(crate) async fn handle(&self, call: Call<'_>, head: &Parts, body: &mut RequestBody) -> Reply {
        let reply = self.answer(call, head, body).await;
        match call.face {
            Face::V1 => reply,
            Face::V2 => reply.naming_charset_of_error(),
        }
    }

    async fn answer(&self, call: Call<'_>, head: &Parts, body: &mut RequestBody) -> Reply {
        match call.endpoint {
            Endpoint::JobInfo => self.job_info(call),
            Endpoint::RunningJobs => self.list(ListKind::Running).await,
            Endpoint::FinishedJobs => self.finished_jobs(call).await,
            Endpoint::SystemMonitoring => self.system_monitoring().await,
            Endpoint::RunningThreads => self.running_threads().await,
            Endpoint::Overview => self.overview(head.uri.query().unwrap_or_default()),
            Endpoint::ThreadDump => self.thread_dump().await,
            Endpoint::EncryptConfig => self.encrypt_config(body).await,
            Endpoint::UpdateTags => self.update_tags(call, body).await,
            Endpoint::SubmitJobUpload => self.submit_job_upload(call, head, body).await,
            Endpoint::SubmitJob => self.submit_job(call, head, body).await,
            Endpoint::SubmitJobs => self.submit_jobs(body).await,
            Endpoint::StopJob => self.stop_job(call, body).await,
            Endpoint::StopJobs => self.stop_jobs(body).await,
            Endpoint::Logs => self.logs(call, head).await,
            Endpoint::Log => self.log(call).await,
            Endpoint::LogNames => self.log_names(call).await,
        }
    }

    /// Writes an id in the form that the answers of submit-job and stop-job have.
    fn write_id(&self, face: Face, id: i64, json: &mut JsonBuffer) {
        match (face, self.settings.v1_ids) {
            (Face::V1, IdForm::Number) => json.integer(id),
            (Face::V1, IdForm::Text) | (Face::V2, _) => json.quoted_integer(id),
        };
    }

    /// A job, running or finished; of an unknown one the id alone (contract A.4).
    fn job_info(&self, call: Call<'_>) -> Reply {
        let written = match (call.argument(), call.face) {
            (Some(written), _) => written,
            // The original reads the whole path as the id where there is no other.
            (None, Face::V1) => call.path.strip_suffix('/').unwrap_or(call.path),
            (None, Face::V2) => return Reply::bad_request(EMPTY_JOB_ID),
        };
        let id = match java_long(written) {
            Ok(id) => id,
            Err(message) => return Reply::bad_request(&message),
        };
        let mut json = self.json.borrow_mut();
        Reply::json(match self.jobs.job(id) {
            Some(entry) => job::body(&entry, &mut json),
            None => {
                json.raw(r#"{"jobId":"#).string(written).raw("}");
                json.take().into()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_path_that_would_never_match_is_refused() {
        let problem = |path: &str| {
            SeaTunnelSettings { context_path: path.into(), ..SeaTunnelSettings::default() }.problem().is_some()
        };
        for good in ["", "/seatunnel", "/a/b.c-d_e~1"] {
            assert!(!problem(good), "{good}");
        }
        for bad in ["/", "seatunnel", "/a/", "/a//b", "/a b", "/hazelcast", "/hazelcast/rest", "/a%20"] {
            assert!(problem(bad), "{bad}");
        }
    }

    #[test]
    fn the_argument_follows_the_route_and_one_trailing_slash_is_stripped() {
        let argument = |rest| Call { face: Face::V1, endpoint: Endpoint::JobInfo, path: "", rest }.argument();
        assert_eq!(argument("/123"), Some("123"));
        assert_eq!(argument("/123/"), Some("123"));
        assert_eq!(argument("x/123"), Some("123"));
        assert_eq!(argument("/"), None);
        assert_eq!(argument("//"), Some(""));
        assert_eq!(argument(""), None);
    }
}
