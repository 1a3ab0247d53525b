//! Paths of SeaTunnel's second REST API (contract A.2): whole names at the root, or under a context path. What follows
//! a name is its argument.

use http::Method;

use super::{Call, Face, Match, ROUTES, Route};
use crate::route::Verb;

/// Looks a request up.
pub(crate) fn find<'r>(context_path: &str, method: &Method, path: &'r str) -> Match<'r> {
    let Some(name) = path.strip_prefix(context_path).and_then(|path| path.strip_prefix('/')) else {
        return Match::Nothing;
    };
    let rest_of = |route: &Route| name.strip_prefix(route.path).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let found = ROUTES.iter().enumerate().find_map(|(position, route)| Some((position, route, rest_of(route)?)));
    let Some((position, route, rest)) = found else { return Match::Nothing };
    let fits = match route.verb {
        Verb::Get => *method == Method::GET || *method == Method::HEAD,
        Verb::Post => *method == Method::POST,
    };
    match (fits, route.verb) {
        (true, _) => Match::Call(position, Call { face: Face::V2, endpoint: route.endpoint, path, rest }),
        (false, Verb::Get) => Match::WrongMethod(position, "GET, HEAD"),
        (false, Verb::Post) => Match::WrongMethod(position, "POST"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seatunnel::Endpoint;

    fn endpoint<'r>(context: &str, method: &Method, path: &'r str) -> Option<(Endpoint, &'r str)> {
        match find(context, method, path) {
            Match::Call(_, call) => Some((call.endpoint, call.rest)),
            _ => None,
        }
    }

    #[test]
    fn names_are_matched_whole() {
        assert_eq!(endpoint("", &Method::GET, "/job-info/7"), Some((Endpoint::JobInfo, "/7")));
        assert_eq!(endpoint("", &Method::GET, "/running-jobs"), Some((Endpoint::RunningJobs, "")));
        assert_eq!(endpoint("", &Method::POST, "/submit-jobs/"), Some((Endpoint::SubmitJobs, "/")));
        assert_eq!(endpoint("", &Method::GET, "/running-jobsx"), None);
        assert_eq!(endpoint("", &Method::GET, "/"), None);
        assert_eq!(endpoint("/seatunnel", &Method::GET, "/seatunnel/job-info/7"), Some((Endpoint::JobInfo, "/7")));
        assert_eq!(endpoint("/seatunnel", &Method::GET, "/job-info/7"), None);
    }

    #[test]
    fn put_is_not_post() {
        assert!(matches!(find("", &Method::PUT, "/submit-job"), Match::WrongMethod(_, "POST")));
        assert!(matches!(find("", &Method::POST, "/job-info/1"), Match::WrongMethod(_, "GET, HEAD")));
    }
}
