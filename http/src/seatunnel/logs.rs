//! logs, log and get-all-log-name (contract A.4). Files are listed and read on blocking threads.

use bytes::Bytes;
use egret_runtime::logs::JobLogs;
use http::StatusCode;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;

use super::query::decode;
use super::{Call, Face, SeaTunnel, v1};
use crate::body::Body;
use crate::reply::Reply;

/// Type of the lists of logs as pages, to the letter (contract A.2).
pub(crate) const LOGS_HTML: &str = "text/html; charset=UTF-8";
/// Type of logs, to the letter (contract A.2).
pub(crate) const LOGS_PLAIN: &str = "text/plain";

/// Longest `Host` that links repeat: a name of the DNS, and a port.
const HOST_BYTES_MAX: usize = 255 + 6;

impl SeaTunnel {
    /// `logs`, `logs/:part-of-a-name`, `logs/:file`: as a page or as JSON, or the file.
    pub(super) async fn logs(&self, call: Call<'_>, head: &Parts) -> Reply {
        let Some(logs) = &self.node.settings.logs else { return Reply::not_found(call.path) };
        let part = match call.argument().map(decode) {
            Some(Ok(part)) => part,
            Some(Err(message)) => return Reply::bad_request(&message),
            None => "".into(),
        };
        if part.contains(".log") {
            return file(logs, &part).await;
        }
        let names = match names(logs).await {
            Ok(names) => names,
            Err(busy) => return busy,
        };
        let host = self.host(head);
        let links = names.iter().filter(|name| name.contains(&*part)).map(|name| Link {
            name,
            text: format!("{host}-{name}"),
            link: format!("http://{host}{}logs/{name}", self.base(call.face)),
        });
        if !wants_json(head.uri.query().unwrap_or_default()) {
            return Reply::of_type(LOGS_HTML, page(links));
        }
        let mut json = self.json.borrow_mut();
        json.raw("[");
        for (index, link) in links.enumerate() {
            json.raw(if index > 0 { "," } else { "" });
            json.raw(r#"{"node":"#).string(&host);
            json.raw(r#","logLink":"#).string(&link.link);
            json.raw(r#","logName":"#).string(link.name).raw("}");
        }
        json.raw("]");
        Reply::json(json.take())
    }

    /// `log`, `log/:file`: of this node alone, which here is all there is.
    pub(super) async fn log(&self, call: Call<'_>) -> Reply {
        let Some(logs) = &self.node.settings.logs else { return Reply::not_found(call.path) };
        match call.argument().map(decode) {
            Some(Ok(name)) => file(logs, &name).await,
            Some(Err(message)) => Reply::bad_request(&message),
            None => match names(logs).await {
                Ok(names) => Reply::of_type(
                    LOGS_HTML,
                    page(names.iter().map(|name| Link { name, text: name.clone(), link: format!("log/{name}") })),
                ),
                Err(busy) => busy,
            },
        }
    }

    /// `get-all-log-name`.
    pub(super) async fn log_names(&self, call: Call<'_>) -> Reply {
        let Some(logs) = &self.node.settings.logs else { return Reply::not_found(call.path) };
        let names = match names(logs).await {
            Ok(names) => names,
            Err(busy) => return busy,
        };
        let mut json = self.json.borrow_mut();
        json.raw("[");
        for (index, name) in names.iter().enumerate() {
            json.raw(if index > 0 { "," } else { "" }).string(name);
        }
        json.raw("]");
        Reply::json(json.take())
    }

    /// Where the client reached the node; what is no host is not repeated.
    fn host(&self, head: &Parts) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        // A whole URL in the request line goes before the header (RFC 9112, 3.2.2).
        let of_target = head.uri.authority().map(Authority::as_str);
        let given = of_target.or_else(|| head.headers.get(HOST).and_then(|host| host.to_str().ok()));
        match given.filter(|host| !host.is_empty() && host.len() <= HOST_BYTES_MAX && host.bytes().all(plain)) {
            Some(host) => host.to_owned(),
            None => format!("{}:{}", self.node.host, self.node.port),
        }
    }

    /// What the paths of a face begin with, with a slash at the end.
    fn base(&self, face: Face) -> String {
        match face {
            Face::V1 => v1::PREFIX.to_owned(),
            Face::V2 => format!("{}/", self.context_path()),
        }
    }
}

async fn names(logs: &JobLogs) -> Result<Vec<String>, Reply> {
    match logs.list().await {
        Ok(files) => Ok(files.into_iter().map(|file| file.name).collect()),
        Err(error) => Err(Reply::busy(&format!("The node cannot list its logs now: {error}."))),
    }
}

/// A log as text. Of one that is not there 400 without a body, as in the original.
async fn file(logs: &JobLogs, name: &str) -> Reply {
    let log = match logs.open_log(name).await {
        Ok(Some(log)) => log,
        Ok(None) => return Reply { status: StatusCode::BAD_REQUEST, ..Reply::of_type(LOGS_PLAIN, Bytes::new()) },
        Err(error) => return Reply::busy(&format!("The log {name} cannot be read now: {error}.")),
    };
    match log.rest().await {
        Ok(pieces) => Reply::of_type(LOGS_PLAIN, pieces.into_iter().collect::<Body>()),
        Err(error) => Reply::busy(&format!("The log {name} cannot be read now: {error}.")),
    }
}

/// Whether the query asks for JSON, in any case of the letters.
fn wants_json(query: &str) -> bool {
    let query = query.strip_suffix('/').unwrap_or(query);
    query.split('&').any(|pair| {
        pair.split_once('=').is_some_and(|(key, value)| key == "format" && value.eq_ignore_ascii_case("json"))
    })
}

/// A line of the page. Neither names of logs nor hosts hold anything that HTML would read.
struct Link<'a> {
    name: &'a str,
    text: String,
    link: String,
}

fn page<'a>(links: impl Iterator<Item = Link<'a>>) -> String {
    let mut page = String::from(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>Seatunnel log</title></head>\n<body><h2>Seatunnel log</h2>\n<ul>\n",
    );
    for Link { text, link, .. } in links {
        page.push_str(&format!("<li><a href=\"{link}\">{text}</a></li>\n"));
    }
    page.push_str("</ul></body></html>\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_asked_for_in_any_case() {
        for query in ["format=json", "format=JSON", "a=b&format=Json", "format=json/"] {
            assert!(wants_json(query), "{query}");
        }
        for query in ["", "format", "format=html", "format=jsonx", "Format=json"] {
            assert!(!wants_json(query), "{query}");
        }
    }
}
