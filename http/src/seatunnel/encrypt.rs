//! encrypt-config (contract A.4, G): a config comes back with its secrets encoded.

use bytes::Bytes;
use egret_runtime::shard::run_blocking;

use super::SeaTunnel;
use super::error::{EMPTY_BODY, NOT_JSON};
use super::submit::{SOURCE_NAME, is_json};
use crate::body::RequestBody;
use crate::jobs::{
    PluginKind, Problem, Problems, ReadOptions, Secrets, Syntax, Unresolved, encode_secrets, read_tree, read_utf8,
    render_json,
};
use crate::reply::Reply;

impl SeaTunnel {
    /// The plugins that the config names need not exist; variables are left alone. A config may be large, so it is
    /// read on a blocking thread.
    pub(super) async fn encrypt_config(&self, body: &mut RequestBody) -> Reply {
        let text = match body.gather().await {
            Ok(text) if text.is_empty() => return Reply::bad_request(EMPTY_BODY),
            Ok(text) => text,
            Err(error) => return error.into(),
        };
        match run_blocking(move || encrypted(&text)).await {
            Ok(Ok(config)) => Reply::json(Bytes::from(config)),
            Ok(Err(message)) => Reply::bad_request(&message),
            Err(error) => Reply::busy(&error.to_string()),
        }
    }
}

/// # Errors
/// With the text for the client.
fn encrypted(text: &[u8]) -> Result<String, String> {
    let read = ReadOptions {
        syntax: Syntax::Json,
        unresolved: Unresolved::Keep,
        secrets: Secrets::Keep,
        ..ReadOptions::default()
    };
    let told = |problems: &Problems| {
        let lines: Vec<String> = problems.errors().map(Problem::message_first).collect();
        lines.join("\n")
    };
    let not_json = |words: &str| format!("{NOT_JSON} {words}");
    let config = read_utf8(text, SOURCE_NAME).map_err(|problem| not_json(&problem.message_first()))?;
    let (mut tree, mut problems) = read_tree(config, SOURCE_NAME, &read).map_err(|problems| match is_json(text) {
        true => told(&problems),
        false => not_json(&told(&problems)),
    })?;
    for kind in [PluginKind::Source, PluginKind::Sink] {
        let blocks = tree.get(&kind.to_string()).and_then(|value| value.as_list());
        if blocks.is_none_or(<[_]>::is_empty) {
            let name = if kind == PluginKind::Source { "Source" } else { "Sink" };
            return Err(format!("Miss <{name}> config! Please check the config file."));
        }
    }
    encode_secrets(&mut tree, None, &mut problems);
    if problems.has_errors() { Err(told(&problems)) } else { Ok(render_json(&tree, false)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_sources_and_sinks_are_encoded_and_the_rest_stays() {
        let config = br#"{"env":{"parallelism":1,"shade.identifier":"base64"},"source":[{"plugin_name":"MySQL-CDC",
            "username":"seatunnel","password":"${secret}","n":{"password":"x"}}],"transform":[],
            "sink":[{"plugin_name":"Clickhouse","password":"seatunnel_password"}]}"#;
        let config: serde_json::Value = serde_json::from_str(&encrypted(config).expect("encrypted")).expect("JSON");
        assert_eq!(
            config,
            serde_json::json!({
                "env": {"parallelism": 1, "shade.identifier": "base64"},
                "source": [{"plugin_name": "MySQL-CDC", "username": "c2VhdHVubmVs", "password": "${secret}",
                    "n": {"password": "x"}}],
                "transform": [],
                "sink": [{"plugin_name": "Clickhouse", "password": "c2VhdHVubmVsX3Bhc3N3b3Jk"}],
            })
        );
    }

    #[test]
    fn without_an_identifier_the_config_comes_back_as_it_was() {
        let config = r#"{"env":{},"source":[{"plugin_name":"A","password":"p"}],"sink":[{"plugin_name":"B"}]}"#;
        assert_eq!(encrypted(config.as_bytes()).as_deref(), Ok(config));
    }

    #[test]
    fn what_is_no_config_is_refused() {
        assert!(encrypted(b"{").is_err_and(|message| message.starts_with(NOT_JSON)));
        assert!(encrypted(b"\xff").is_err_and(|message| message.starts_with(NOT_JSON)));
        let missing = |text: &str| encrypted(text.as_bytes()).expect_err("refused");
        assert!(missing("{}").contains("Miss <Source> config! Please check the config file."));
        assert!(missing(r#"{"env":{},"source":[]}"#).contains("Miss <Source> config!"));
        assert!(missing(r#"{"env":{},"source":[{"plugin_name":"A"}]}"#).contains("Miss <Sink> config!"));
        let odd = r#"{"env":{"shade.identifier":"base64"},"source":[{"plugin_name":"A","password":{}}],"sink":[{"plugin_name":"B"}]}"#;
        assert!(missing(odd).contains("expected text"), "{}", missing(odd));
    }
}
