//! Secrets that a config holds encoded (contract G): `env { shade.identifier = "base64" }`.
//!
//! Only the keys of [`SHADED_KEYS`], and those that `shade.options` adds, at the top of each source and sink block are
//! meant. They are decoded when a config is loaded, after its variables are filled in and before anything is checked;
//! `egret encrypt` does the reverse.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};

use super::problem::{Problem, Problems};
use super::value::{Object, PLUGIN_NAME, Value, ValueKind};

/// Options that are encoded.
pub const SHADED_KEYS: [&str; 4] = ["password", "username", "auth", "token"];

/// Blocks whose options are encoded.
const ROOTS: [&str; 2] = ["source", "sink"];

/// As lenient as the decoder of the original: padding may be missing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// How secrets are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shade {
    /// Not at all.
    Plain,
    Base64,
}

impl Shade {
    /// The method of this name, in any case; `None` for one that is not known.
    fn named(name: &str) -> Option<Self> {
        match name.trim() {
            "" | "default" => Some(Self::Plain),
            name if name.eq_ignore_ascii_case("base64") => Some(Self::Base64),
            _ => None,
        }
    }

    fn encode(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Base64 => general_purpose::STANDARD.encode(text),
        }
    }

    /// `None` when the text is not one that [`encode`](Self::encode) gives.
    fn decode(self, text: &str) -> Option<String> {
        match self {
            Self::Plain => Some(text.to_owned()),
            Self::Base64 => BASE64.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()),
        }
    }
}

/// Decodes the secrets of a tree as its `env` says or, where that says nothing, as `otherwise` does. A value that holds
/// a variable which is not set stays as it is.
pub fn decode_secrets(tree: &mut Object, otherwise: Option<&str>, problems: &mut Problems) {
    let Some(shade) = shade_of(tree, otherwise, problems).filter(|shade| *shade != Shade::Plain) else { return };
    each_secret(tree, problems, |text, problem| {
        if text.contains("${") {
            return Ok(None);
        }
        let decoded = shade.decode(text);
        if decoded.is_none() {
            let wrong = problem("the value is not encoded as shade.identifier says");
            return Err(wrong.with_help("egret encrypt FILE prints the config with its secrets encoded"));
        }
        Ok(decoded)
    });
}

/// Encodes the secrets of a tree as [`read_tree`](super::read_tree) gives it, with what its `env` says or, where that
/// says nothing, as `otherwise` does. The `env` of the result says how.
///
/// A value that holds a variable which is not set stays as it is, with a warning.
pub fn encode_secrets(tree: &mut Object, otherwise: Option<&str>, problems: &mut Problems) {
    let Some(shade) = shade_of(tree, otherwise, problems) else { return };
    if shade == Shade::Plain {
        let message = "shade.identifier is 'default', which leaves secrets as they are";
        let help = "set shade.identifier = \"base64\" in env, or use --shade base64";
        problems.push(Problem::warning(None, message).in_block("env").with_help(help));
        return;
    }
    let mut kept = Problems::default();
    each_secret(tree, problems, |text, problem| {
        if text.contains("${") {
            let mut warning = problem("holds a variable and stays as it is");
            warning.severity = super::Severity::Warning;
            kept.push(warning.with_help("give the variable its encoded value"));
            return Ok(None);
        }
        Ok(Some(shade.encode(text)))
    });
    problems.append(kept);
}

/// What `env.shade.identifier` says, or else `otherwise`, which is then noted there; `None` for a name that is not
/// known.
fn shade_of(tree: &mut Object, otherwise: Option<&str>, problems: &mut Problems) -> Option<Shade> {
    let env = tree.entry("env").map(|entry| (&entry.value, entry.key_position.clone()));
    let written = env.as_ref().and_then(|(env, _)| env.as_object()?.get("shade.identifier")).filter(|v| !v.is_null());
    if let Some(value) = written {
        let name = value.to_text().unwrap_or_default();
        let shade = Shade::named(name);
        if shade.is_none() {
            let message = format!("'{name}' is no method that is known here: the secrets are taken as they are");
            let problem = Problem::warning(value.position.clone(), message).in_block("env");
            problems.push(problem.of_option("shade.identifier").with_help("there are default and base64"));
        }
        return shade;
    }
    let Some(otherwise) = otherwise else { return Some(Shade::Plain) };
    let Some(shade) = Shade::named(otherwise) else {
        let message = format!("'{otherwise}' is no method to encode secrets");
        problems.push(Problem::error(None, message).with_help("there are default and base64"));
        return None;
    };
    if let Some(Value { kind: ValueKind::Object(env), position }) = tree.get_exact_mut("env") {
        let (place, kind) = (position.clone(), ValueKind::Text(otherwise.into()));
        env.insert("shade.identifier", place.clone(), Value { kind, position: place });
    }
    Some(shade)
}

/// Keys that `shade.options` adds to the usual ones.
fn keys(tree: &Object) -> Vec<String> {
    let more = tree.get("env").and_then(Value::as_object).and_then(|env| env.get("shade.options"));
    let more = more.and_then(|value| match value.to_list() {
        Some(items) => items.iter().map(|item| item.to_text().map(str::to_owned)).collect::<Option<Vec<_>>>(),
        None => Some(value.to_text()?.split(',').map(|key| key.trim().to_owned()).collect()),
    });
    SHADED_KEYS.iter().map(|key| (*key).to_owned()).chain(more.unwrap_or_default()).collect()
}

/// Changes every secret: a text, a number as its text, or a list of them. `change` gives the new text, `None` to leave
/// the value, or what is wrong; the function it gets makes an error that names block and option and not the value.
fn each_secret(
    tree: &mut Object,
    problems: &mut Problems,
    mut change: impl FnMut(&str, &dyn Fn(&str) -> Problem) -> Result<Option<String>, Problem>,
) {
    let keys = keys(tree);
    for root in ROOTS {
        let Some(Value { kind: ValueKind::List(blocks), .. }) = tree.get_exact_mut(root) else { continue };
        for (index, block) in blocks.iter_mut().enumerate() {
            let ValueKind::Object(options) = &mut block.kind else { continue };
            let name = options.get(PLUGIN_NAME).and_then(Value::to_text).unwrap_or_default();
            let block = format!("{root}[{index}] {name}").trim_end().to_owned();
            for (key, value) in options.values_mut().filter(|(key, _)| keys.iter().any(|known| known == key)) {
                let position = value.position.clone();
                let problem =
                    |message: &str| Problem::error(position.clone(), message).in_block(block.clone()).of_option(key);
                let items = match &mut value.kind {
                    ValueKind::Null => continue,
                    ValueKind::List(items) => items.as_mut_slice(),
                    _ => std::slice::from_mut(value),
                };
                for item in items {
                    let Some(text) = item.to_text() else {
                        problems.push(problem("expected text, or a list of texts"));
                        break;
                    };
                    match change(text, &problem) {
                        Ok(Some(text)) => item.kind = ValueKind::Text(text.into()),
                        Ok(None) => {}
                        Err(wrong) => problems.push(wrong),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::{ReadOptions, Secrets, Syntax, read_job, read_tree};
    use super::super::render::render_json;
    use super::super::variables::Unresolved;
    use super::*;

    fn options(secrets: Secrets) -> ReadOptions {
        ReadOptions { syntax: Syntax::Hocon, unresolved: Unresolved::Keep, secrets, ..ReadOptions::default() }
    }

    const PLAIN: &str = r#"env { shade.identifier = base64 }
        source { A { username = seatunnel, password = seatunnel_password, nested { password = x }, auth = [a, 7] } }
        transform { T { password = t } }
        sink { B { token = 42, access_key = k, username = null } }"#;
    const ENCODED: &str = r#"{"env":{"shade.identifier":"base64"},"source":[{"plugin_name":"A","username":"c2VhdHVubmVs","password":"c2VhdHVubmVsX3Bhc3N3b3Jk","nested":{"password":"x"},"auth":["YQ==","Nw=="]}],"transform":[{"plugin_name":"T","password":"t"}],"sink":[{"plugin_name":"B","token":"NDI=","access_key":"k","username":null}]}"#;

    fn encoded(text: &str, otherwise: Option<&str>) -> (String, Vec<String>) {
        let (mut tree, _) = read_tree(text, "t", &options(Secrets::Keep)).expect("read");
        let mut problems = Problems::default();
        encode_secrets(&mut tree, otherwise, &mut problems);
        (render_json(&tree, false), problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_named_options_at_the_top_of_sources_and_sinks_are_encoded_and_decoded() {
        assert_eq!(encoded(PLAIN, None), (ENCODED.to_owned(), Vec::new()));
        let json = ReadOptions { syntax: Syntax::Json, ..options(Secrets::Decode) };
        let (tree, _) = read_tree(ENCODED, "t", &json).expect("decoded");
        let expected = read_tree(PLAIN, "t", &options(Secrets::Keep)).expect("read").0;
        let numbers_are_texts =
            render_json(&expected, false).replace("\"a\",7", "\"a\",\"7\"").replace(":42", ":\"42\"");
        assert_eq!(render_json(&tree, false), numbers_are_texts);
    }

    #[test]
    fn without_an_identifier_nothing_is_decoded() {
        for env in ["env { }", "env { shade.identifier = default }"] {
            let text = format!("{env}\nsource {{ A {{ password = \"c2VhdHVubmVs\" }} }}\nsink {{ B {{ }} }}");
            let (job, _) = read_job(&text, "t", &options(Secrets::Decode)).expect("a job");
            assert_eq!(job.sources[0].options.get("password").and_then(Value::to_text), Some("c2VhdHVubmVs"));
        }
    }

    #[test]
    fn a_value_that_is_not_encoded_is_told_without_the_value() {
        let text = "env { shade { identifier = base64 } }\nsource { A { password = \"hunter2!\" } }\nsink { B { auth { x = 1 } } }";
        let problems = read_job(text, "t", &options(Secrets::Decode)).expect_err("not base64");
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "error: t:2:25: source[0] A, option 'password': the value is not encoded as shade.identifier says (help: egret encrypt FILE prints the config with its secrets encoded)",
                "error: t:3:17: sink[0] B, option 'auth': expected text, or a list of texts",
            ]
        );
    }

    #[test]
    fn padding_may_be_missing_and_bytes_that_are_no_text_are_refused() {
        assert_eq!(Shade::Base64.decode("c2VhdHVubmVsMQ").as_deref(), Some("seatunnel1"));
        for broken in ["c2Vh dHVu", "/w==", "c2V_", "c2VhdA===="] {
            assert_eq!(Shade::Base64.decode(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_method_that_is_not_known_is_told_and_leaves_the_values() {
        let text = PLAIN.replace("= base64", "= aes");
        let (job, warnings) = read_job(&text, "t", &options(Secrets::Decode)).expect("a job");
        assert!(warnings.to_string().contains("'aes' is no method that is known here"), "{warnings}");
        assert_eq!(job.sources[0].options.get("username").and_then(Value::to_text), Some("seatunnel"));
    }

    #[test]
    fn more_keys_can_be_named_and_the_method_given_from_outside() {
        let text =
            "env { shade.options = [secret] }\nsource { A { secret = a, password = \"${pw}\" } }\nsink { B { } }";
        let (json, told) = encoded(text, Some("base64"));
        assert_eq!(
            json,
            r#"{"env":{"shade.options":["secret"],"shade.identifier":"base64"},"source":[{"plugin_name":"A","secret":"YQ==","password":"${pw}"}],"sink":[{"plugin_name":"B"}]}"#
        );
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("warning: t:2:") && told[0].contains("holds a variable"), "{told:?}");
        assert!(encoded(text, None).1[0].contains("leaves secrets as they are"), "nothing says how");
        assert!(encoded(text, Some("rot13")).1[0].contains("'rot13' is no method"));
        assert!(encoded(text, Some("default")).1[0].contains("leaves secrets as they are"));
    }

    #[test]
    fn any_text_comes_back() {
        for text in ["", " ", "\u{e4}\u{20ac}\u{1f600}", "a=b&c", "${x}"] {
            assert_eq!(Shade::Base64.decode(&Shade::Base64.encode(text)).as_deref(), Some(text));
        }
    }
}
