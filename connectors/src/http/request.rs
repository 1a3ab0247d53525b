//! What is asked: the request that a config describes, for each page anew.

use std::borrow::Cow;

use bytes::Bytes;
use egret_runtime::json_path::Json;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use serde::de::IgnoredAny;

use super::client::{Request, header_map};
use super::url::{Url, push_pairs};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The request of a config, before a page is put into it. Has no debug output: it may hold secrets.
#[derive(Clone)]
pub(super) struct Template {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(String, String)>,
    pub params: Vec<(String, String)>,
    pub body: Option<String>,
    /// `keep_params_as_form`, if given.
    pub params_as_form: Option<bool>,
}

/// A value that differs from page to page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageValue {
    pub name: String,
    pub value: String,
    /// Whether it is a number in a JSON body.
    pub is_number: bool,
}

/// Where the values of a page go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PagePlaces {
    /// Always a parameter of the request (`keep_page_param_as_http_param`).
    pub as_param: bool,
    /// Only into `${name}` (`use_placeholder_replacement`), not into the values of that name.
    pub placeholders_only: bool,
}

impl Template {
    /// The request, with the values of a page in it. A value that finds no place in headers, parameters and body becomes
    /// a parameter.
    ///
    /// # Errors
    /// With the option that is wrong and a message.
    pub fn request(&self, page: &[PageValue], places: PagePlaces) -> Result<Request, (&'static str, String)> {
        let mut filled = self.clone();
        for value in page {
            filled.put(value, places);
        }
        filled.build()
    }

    fn put(&mut self, page: &PageValue, places: PagePlaces) {
        let mut placed = false;
        if !places.as_param {
            for (name, value) in self.headers.iter_mut().chain(&mut self.params) {
                placed |= put_text(name, value, page, places);
            }
            if let Some(body) = &mut self.body {
                placed |= put_body(body, page, places);
            }
        }
        if !placed {
            self.params.retain(|(name, _)| *name != page.name);
            self.params.push((page.name.clone(), page.value.clone()));
        }
    }

    fn build(self) -> Result<Request, (&'static str, String)> {
        let mut headers = header_map(&self.headers).map_err(|error| ("headers", error))?;
        let mut url = self.url;
        let mut body = Bytes::new();
        let pairs = |params: &[(String, String)]| {
            let mut text = String::new();
            push_pairs(&mut text, params.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            text
        };
        let mut params = self.params;
        if self.method == Method::POST {
            let given = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default().to_ascii_lowercase());
            let form_wanted = given.as_ref().is_some_and(|given| given.starts_with(FORM));
            // Parameters alone are a form, as they were before 2.3.10; beside a body they belong to the address.
            let params_are_form = self.params_as_form.unwrap_or(self.body.is_none() && !params.is_empty());
            let (text, content_type) = if form_wanted || params_are_form {
                let mut form = self.body.as_deref().map(form_of).unwrap_or_default();
                if params_are_form {
                    let own = pairs(&std::mem::take(&mut params));
                    if !form.is_empty() && !own.is_empty() {
                        form.push('&');
                    }
                    form.push_str(&own);
                }
                (form, "application/x-www-form-urlencoded; charset=UTF-8")
            } else {
                let body = self.body.unwrap_or_default();
                let is_json = given.as_ref().is_none_or(|given| given.contains("json"));
                (if is_json { strict_json(&body).into_owned() } else { body }, JSON)
            };
            body = text.into();
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
        }
        url = url.with_params(params.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Ok(Request { method: self.method, url, headers, body })
    }
}

fn put_text(name: &str, text: &mut String, page: &PageValue, places: PagePlaces) -> bool {
    let placeholder = format!("${{{}}}", page.name);
    if text.contains(&placeholder) {
        *text = text.replace(&placeholder, &page.value);
        return true;
    }
    if name == page.name && !places.placeholders_only {
        text.clone_from(&page.value);
        return true;
    }
    false
}

fn put_body(body: &mut String, page: &PageValue, places: PagePlaces) -> bool {
    let placeholder = format!("${{{}}}", page.name);
    if body.contains(&placeholder) {
        let quoted = format!("\"{placeholder}\"");
        *body = body.replace(&quoted, &json_of(page)).replace(&placeholder, &page.value);
        return true;
    }
    if places.placeholders_only {
        return false;
    }
    let Ok(Json::Object(entries)) = Json::read(body) else { return false };
    let mut object = Json::Object(entries).into_owned();
    let placed = put_member(&mut object, page);
    if placed {
        let mut text = String::new();
        object.write(&mut text);
        *body = text;
    }
    placed
}

/// A page's value as JSON.
fn json_of(page: &PageValue) -> String {
    let value =
        if page.is_number { Json::Number(Cow::Borrowed(&*page.value)) } else { Json::Text((&*page.value).into()) };
    let mut text = String::new();
    value.write(&mut text);
    text
}

/// Sets the members of a name, at any depth of objects.
fn put_member(object: &mut Json<'static>, page: &PageValue) -> bool {
    let Json::Object(entries) = object else { return false };
    let mut placed = false;
    for (name, value) in entries {
        if *name == page.name {
            let text = Cow::Owned(page.value.clone());
            *value = if page.is_number { Json::Number(text) } else { Json::Text(text) };
            placed = true;
        } else {
            placed |= put_member(value, page);
        }
    }
    placed
}

/// A body as strict JSON. Config texts like `body = "{"id":1}"` lose the inner quotes: `{id:1}` means an object still.
/// What is no object and no list stays as it is.
fn strict_json(body: &str) -> Cow<'_, str> {
    if serde_json::from_str::<IgnoredAny>(body).is_ok() {
        return Cow::Borrowed(body);
    }
    match Json::read(body) {
        Ok(value @ (Json::Object(_) | Json::List(_))) => {
            let mut text = String::new();
            value.write(&mut text);
            Cow::Owned(text)
        }
        _ => Cow::Borrowed(body),
    }
}

/// A body as a form: the members of an object as fields; anything else is taken for a form already.
fn form_of(body: &str) -> String {
    let Ok(Json::Object(entries)) = Json::read(body) else { return body.to_owned() };
    let text = |value: &Json<'_>| match value {
        Json::Text(text) | Json::Number(text) => text.to_string(),
        Json::Null => String::new(),
        other => {
            let mut text = String::new();
            other.write(&mut text);
            text
        }
    };
    let mut form = String::new();
    for (name, value) in &entries {
        push_pairs(&mut form, [(name.as_ref(), text(value).as_str())]);
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(method: Method) -> Template {
        let url = Url::parse("http://h/p?x=1").expect("an address");
        Template { method, url, headers: Vec::new(), params: Vec::new(), body: None, params_as_form: None }
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    fn page(name: &str, value: &str) -> PageValue {
        PageValue { name: name.into(), value: value.into(), is_number: true }
    }

    fn built(template: &Template, pages: &[PageValue], places: PagePlaces) -> (String, String, String) {
        let request = template.request(pages, places).expect("a request");
        let content_type = request.headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().expect("text"));
        (request.url.target(), String::from_utf8(request.body.to_vec()).expect("text"), content_type.to_owned())
    }

    fn plain(template: &Template) -> (String, String, String) {
        built(template, &[], PagePlaces::default())
    }

    const FORM_UTF8: &str = "application/x-www-form-urlencoded; charset=UTF-8";

    #[test]
    fn get_has_its_parameters_in_the_address() {
        let mut get = template(Method::GET);
        get.params = vec![pair("a", "b c"), pair("x", "2")];
        get.body = Some("ignored".into());
        assert_eq!(plain(&get), ("/p?a=b+c&x=2".into(), String::new(), String::new()));
    }

    #[test]
    fn post_sends_parameters_as_a_form_unless_there_is_a_body_or_a_wish() {
        let mut post = template(Method::POST);
        assert_eq!(plain(&post), ("/p?x=1".into(), String::new(), JSON.into()));
        post.params = vec![pair("id", "1"), pair("n", "ä")];
        assert_eq!(plain(&post), ("/p?x=1".into(), "id=1&n=%C3%A4".into(), FORM_UTF8.into()));
        post.params_as_form = Some(false);
        assert_eq!(plain(&post), ("/p?x=1&id=1&n=%C3%A4".into(), String::new(), JSON.into()));
        post.params_as_form = None;
        post.body = Some(r#"{"k": 1.50}"#.into());
        assert_eq!(plain(&post), ("/p?x=1&id=1&n=%C3%A4".into(), r#"{"k": 1.50}"#.into(), JSON.into()));
        post.params_as_form = Some(true);
        assert_eq!(plain(&post), ("/p?x=1".into(), "k=1.50&id=1&n=%C3%A4".into(), FORM_UTF8.into()));
    }

    #[test]
    fn a_content_type_of_the_config_decides_what_the_body_becomes() {
        let mut post = template(Method::POST);
        post.body = Some(r#"{"id":1,"a":["x"],"t":"b c"}"#.into());
        post.headers = vec![pair("content-type", FORM)];
        assert_eq!(plain(&post), ("/p?x=1".into(), "id=1&a=%5B%22x%22%5D&t=b+c".into(), FORM.into()));
        post.body = Some("a=b&c=d".into());
        assert_eq!(plain(&post).1, "a=b&c=d");
        post.headers = vec![pair("Content-Type", "text/xml")];
        post.body = Some("{id:1}".into());
        assert_eq!(plain(&post), ("/p?x=1".into(), "{id:1}".into(), "text/xml".into()));
    }

    #[test]
    fn a_body_that_lost_its_quotes_is_mended_and_text_stays_text() {
        let mut post = template(Method::POST);
        for (body, sent) in [
            ("{id:1}", r#"{"id":1}"#),
            ("{\"a\" : 1.10 }", "{\"a\" : 1.10 }"),
            ("[{a:b}]", r#"[{"a":"b"}]"#),
            ("hello", "hello"),
            ("<a/>", "<a/>"),
            ("", ""),
        ] {
            post.body = Some(body.into());
            assert_eq!(plain(&post).1, sent, "{body}");
        }
    }

    #[test]
    fn a_page_goes_where_its_name_or_placeholder_stands() {
        let either = PagePlaces::default();
        let mut get = template(Method::GET);
        assert_eq!(built(&get, &[page("p", "3")], either).0, "/p?x=1&p=3");
        get.params = vec![pair("p", "${p}"), pair("q", "from-${p}")];
        assert_eq!(built(&get, &[page("p", "3")], either).0, "/p?x=1&p=3&q=from-3");
        get.headers = vec![pair("p", "old")];
        get.params.clear();
        let request = get.request(&[page("p", "3")], either).expect("a request");
        assert_eq!((request.url.target().as_str(), request.headers["p"].to_str().expect("text")), ("/p?x=1", "3"));
        let only = PagePlaces { placeholders_only: true, as_param: false };
        assert_eq!(built(&get, &[page("p", "3")], only).0, "/p?x=1&p=3");

        let mut post = template(Method::POST);
        post.body = Some(r#"{"id":1,"inner":{"p":0},"t":"${q}"}"#.into());
        let cursor = PageValue { name: "q".into(), value: "a\"b".into(), is_number: false };
        let (target, body, _) = built(&post, &[page("p", "3"), cursor], either);
        assert_eq!((target.as_str(), body.as_str()), ("/p?x=1", r#"{"id":1,"inner":{"p":3},"t":"a\"b"}"#));
        post.body = Some(r#"{"p":"${p}","t":"no ${p}"}"#.into());
        assert_eq!(built(&post, &[page("p", "3")], only).1, r#"{"p":3,"t":"no 3"}"#);
        let param = PagePlaces { as_param: true, placeholders_only: false };
        assert_eq!(built(&post, &[page("p", "3")], param).0, "/p?x=1&p=3");
    }

    #[test]
    fn a_page_of_a_form_is_a_field_of_it() {
        let mut post = template(Method::POST);
        post.params = vec![pair("id", "1")];
        let (target, body, _) = built(&post, &[page("p", "3")], PagePlaces::default());
        assert_eq!((target.as_str(), body.as_str()), ("/p?x=1", "id=1&p=3"));
    }
}
