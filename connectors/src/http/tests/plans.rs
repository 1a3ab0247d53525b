//! What is refused or warned of when a job is planned.

use super::source_problems;

fn assert_told(config: &str, parts: &[&str]) {
    let problems = source_problems(config);
    let told = problems.iter().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(told, "{parts:?} is not told of {config}: {problems:#?}");
}

const JSON: &str = r#"url = "http://h/", format = json, schema { fields { a = int } }"#;

#[test]
fn wrong_options_of_the_source_are_told_with_their_name() {
    assert_told("format = text", &["error", "'url'", "required"]);
    assert_told(r#"url = "h/x""#, &["error", "'url'", "not a URL"]);
    assert_told(r#"url = "http://h:0/""#, &["error", "'url'", "port"]);
    assert_told(r#"url = "http://h/", method = PATCH"#, &["error", "'method'", "GET, POST"]);
    assert_told(r#"url = "http://h/", format = json"#, &["error", "'schema'", "required for format = json"]);
    assert_told(r#"url = "http://h/", format = binary"#, &["error", "'format'", "binary"]);
    assert_told(r#"url = "http://h/", format = text, schema { fields { a = int } }"#, &["error", "'schema'", "string"]);
    assert_told(r#"url = "http://h/", content_field = "$.a""#, &["error", "'content_field'", "format = json"]);
    assert_told(&format!(r#"{JSON}, content_field = "$.[""#), &["error", "'content_field'", "path"]);
    assert_told(&format!(r#"{JSON}, json_field {{ a = "$.[" }}"#), &["error", "'json_field'"]);
    assert_told(&format!(r#"{JSON}, headers {{ "a b" = c }}"#), &["error", "'headers'", "'a b'"]);
    assert_told(&format!("{JSON}, max_response_bytes = 0"), &["error", "'max_response_bytes'"]);
    assert_told(&format!("{JSON}, retry = -1"), &["error", "'retry'"]);
    assert_told(&format!("{JSON}, pageing {{ batch_size = 0 }}"), &["error", "pageing", "batch_size"]);
    assert_told(&format!("{JSON}, pageing {{ page_type = Cursor }}"), &["error", "pageing", "cursor_field"]);
}

#[test]
fn options_without_effect_are_warned_of() {
    assert_told(r#"url = "http://h/", body = x"#, &["warning", "'body'", "GET"]);
    assert_told(r#"url = "http://h/", keep_params_as_form = true"#, &["warning", "'keep_params_as_form'"]);
    let both = format!(r#"{JSON}, content_field = "$.a", json_field {{ a = "$.a" }}"#);
    assert_told(&both, &["warning", "'json_field'", "content_field"]);
    assert_told(&format!(r#"{JSON}, pageing {{ cursor_field = c }}"#), &["warning", "cursor_field"]);
    assert_told(&format!(r#"{JSON}, pageing {{ page_fild = c }}"#), &["warning", "page_fild"]);
}

#[test]
fn both_spellings_of_paging_and_content_are_known() {
    let config = format!(r#"{JSON}, paging {{ page_field = p, batch_size = 5 }}, content_json = "$.a""#);
    assert_eq!(source_problems(&config), Vec::<String>::new());
}

#[test]
fn secrets_are_in_no_message() {
    let config = r#"url = "http://u:s3cret@h:x/?token=s3cret", headers { Authorization = "s3cret\nx" }"#;
    let problems = source_problems(config);
    assert!(problems.iter().any(|line| line.contains("'url'")), "{problems:?}");
    assert!(problems.iter().all(|line| !line.contains("s3cret")), "{problems:?}");
}
