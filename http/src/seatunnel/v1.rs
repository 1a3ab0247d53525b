//! Paths of SeaTunnel's first REST API (contract A.2): string prefixes of the raw path, tried in order.

use http::Method;

use super::{Call, Face, Match, ROUTES};
use crate::route::Verb;

/// What all its paths begin with.
pub const PREFIX: &str = "/hazelcast/rest/maps/";

/// Looks a request up. PUT is POST; what follows the prefix is the endpoint's to read.
pub(crate) fn find<'r>(method: &Method, path: &'r str) -> Match<'r> {
    let Some(name) = path.strip_prefix(PREFIX) else { return Match::Nothing };
    let verb = match *method {
        Method::GET | Method::HEAD => Some(Verb::Get),
        Method::POST | Method::PUT => Some(Verb::Post),
        _ => None,
    };
    let mut elsewhere = Match::Nothing;
    for (position, route) in ROUTES.iter().enumerate() {
        let Some(rest) = name.strip_prefix(route.path) else { continue };
        if Some(route.verb) == verb {
            return Match::Call(position, Call { face: Face::V1, endpoint: route.endpoint, path, rest });
        }
        if elsewhere == Match::Nothing {
            elsewhere = Match::WrongMethod(position, allowed(route.verb));
        }
    }
    elsewhere
}

const fn allowed(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "GET, HEAD",
        Verb::Post => "POST, PUT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seatunnel::Endpoint;

    fn endpoint(method: Method, path: &str) -> Option<(Endpoint, String)> {
        match find(&method, path) {
            Match::Call(_, call) => Some((call.endpoint, call.rest.to_owned())),
            _ => None,
        }
    }

    #[test]
    fn routes_are_prefixes_and_put_is_post() {
        let maps = |path: &str| format!("{PREFIX}{path}");
        assert_eq!(endpoint(Method::GET, &maps("running-jobs")), Some((Endpoint::RunningJobs, String::new())));
        assert_eq!(endpoint(Method::GET, &maps("running-job/7")), Some((Endpoint::JobInfo, "/7".to_owned())));
        assert_eq!(endpoint(Method::HEAD, &maps("job-info/7/")), Some((Endpoint::JobInfo, "/7/".to_owned())));
        assert_eq!(endpoint(Method::PUT, &maps("submit-job")), Some((Endpoint::SubmitJob, String::new())));
        assert_eq!(endpoint(Method::POST, &maps("stop-jobs")), Some((Endpoint::StopJobs, String::new())));
        assert_eq!(endpoint(Method::GET, "/running-jobs"), None);
    }

    #[test]
    fn a_known_path_under_a_wrong_method_names_the_right_ones() {
        let position = ROUTES.iter().position(|route| route.path == "submit-job").expect("a route");
        let path = format!("{PREFIX}submit-job");
        assert_eq!(find(&Method::GET, &path), Match::WrongMethod(position, "POST, PUT"));
        assert_eq!(find(&Method::DELETE, &path), Match::WrongMethod(position, "POST, PUT"));
        assert_eq!(find(&Method::DELETE, "/hazelcast/rest/maps/nothing"), Match::Nothing);
        assert_eq!(find(&Method::GET, "/hazelcast/rest/maps"), Match::Nothing);
    }

    #[test]
    fn no_route_is_hidden_by_one_before_it() {
        for (position, route) in ROUTES.iter().enumerate() {
            let method = if route.verb == Verb::Get { Method::GET } else { Method::POST };
            let path = format!("{PREFIX}{}", route.path);
            assert!(matches!(find(&method, &path), Match::Call(found, _) if found == position), "{}", route.path);
        }
    }
}
