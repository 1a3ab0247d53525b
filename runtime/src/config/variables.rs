//! Variables: `${name}` and `${name:default}` within texts (contract C.3).
//!
//! A text is searched once; what a variable puts in is not searched again. A variable is text; one that spells a list
//! or an object is that where the place demands it ([`Value::to_object`]). Words that sinks fill in at run time stay
//! as they are: the contract's reserved words always, the words of file names (`now`, `transactionId`, ...) unless a
//! variable of that name is given, and any name in options that take fields of the row or a text of another language
//! (`topic`, `index`, `save_mode_create_template`).

use std::collections::BTreeMap;

use super::hocon;
use super::limits::Limits;
use super::problem::{Problem, Problems, nearest};
use super::value::{Object, PLUGIN_NAME, Position, Text, Value, ValueKind};

/// What becomes of a variable that is not set and has no default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unresolved {
    /// It is an error: configs from the command line.
    #[default]
    Error,
    /// It stays as it is written, default included: configs from requests.
    Keep,
}

/// Words that are never replaced: sinks of several tables fill them in per table.
pub const RESERVED_WORDS: [&str; 8] = [
    "database_name",
    "schema_name",
    "table_name",
    "schema_full_name",
    "table_full_name",
    "primary_key",
    "unique_key",
    "field_names",
];

/// Words that file sinks fill in, besides `k0`, `v0`, `k1`, ... of partitions.
const FILE_WORDS: [&str; 3] = ["now", "uuid", "transactionId"];

/// Sink options whose `${...}` may name a field of the row.
const ROW_OPTIONS: [&str; 5] =
    ["topic", "index", "file_name_expression", "partition_dir_expression", "save_mode_create_template"];

/// Options that hold a program, in whose language `${...}` has a meaning of its own.
const PROGRAM_OPTIONS: [&str; 2] = ["source_code", "custom_request_body"];

/// Values given with `-i name=value`.
#[derive(Clone, Default)]
pub struct Variables {
    values: BTreeMap<Box<str>, Box<str>>,
    /// Whether references without quotes may lead to the environment of this process.
    environment: bool,
}

/// Names alone: a value may be a secret.
impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let values = pairs.into_iter().map(|(name, value)| (name.as_ref().into(), value.as_ref().into())).collect();
        Self { values, environment: false }
    }
}

impl Variables {
    /// Whether a variable is given.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Lets `${NAME}` without quotes lead to the environment of this process, when neither the config nor a variable
    /// has that name. For configs that are as trusted as the command line.
    #[must_use]
    pub fn or_environment(mut self) -> Self {
        self.environment = true;
        self
    }

    /// What the environment says, if it may be asked.
    pub(super) fn environment(&self, name: &str) -> Option<String> {
        if !self.environment || !is_name(name) || RESERVED_WORDS.contains(&name) {
            return None;
        }
        std::env::var(name).ok()
    }

    /// The list or object that a variable's text spells, if it does.
    pub(super) fn structured(&self, name: &str, position: &Position) -> Option<Value> {
        let text = Text::from(self.values.get(name)?.clone());
        text.structure(position).cloned()
    }
}

/// Replaces the variables in every text of a job config. Gives the errors about variables that are not set.
pub(super) fn expand(
    tree: &mut Object,
    variables: &Variables,
    unresolved: Unresolved,
    limits: Limits,
    problems: &mut Problems,
) -> Problems {
    let bytes_left = limits.expanded_bytes_max;
    let mut expander = Expander { variables, unresolved, bytes_left, problems, unset: Problems::default() };
    for (key, value) in tree.values_mut() {
        let mut place =
            Place { block: key.to_owned(), in_sink: key == "sink", options: Vec::new(), page_names: Vec::new() };
        match &mut value.kind {
            ValueKind::List(blocks) if hocon::PLUGIN_ROOTS.contains(&key) => {
                for (index, block) in blocks.iter_mut().enumerate() {
                    let name = block.as_object().and_then(|object| object.get(PLUGIN_NAME)).and_then(Value::to_text);
                    place.block = format!("{key}[{index}] {}", name.unwrap_or_default()).trim_end().to_owned();
                    place.page_names = page_names(block);
                    expander.value(block, &mut place);
                }
            }
            _ => expander.value(value, &mut place),
        }
    }
    expander.unset
}

/// Where a text stands.
struct Place {
    block: String,
    in_sink: bool,
    options: Vec<Box<str>>,
    /// Names that the block itself fills in, page after page.
    page_names: Vec<Box<str>>,
}

/// What `pageing` of a block calls the number of a page, or its cursor: `${page}` is then no variable of the config.
fn page_names(block: &Value) -> Vec<Box<str>> {
    let paging = |name| block.as_object()?.get(name)?.as_object();
    let Some(paging) = paging("pageing").or_else(|| paging("paging")) else { return Vec::new() };
    let text = |name| paging.get(name).and_then(Value::to_text);
    [Some(text("page_field").unwrap_or("page")), text("cursor_field")].into_iter().flatten().map(Into::into).collect()
}

struct Expander<'e> {
    variables: &'e Variables,
    unresolved: Unresolved,
    bytes_left: usize,
    problems: &'e mut Problems,
    unset: Problems,
}

impl<'e> Expander<'e> {
    fn value(&mut self, value: &mut Value, place: &mut Place) {
        match &mut value.kind {
            ValueKind::Text(text) if text.contains("${") => {
                if let Some(kind) = self.text(text, &value.position, place) {
                    value.kind = kind;
                }
            }
            ValueKind::List(items) => items.iter_mut().for_each(|item| self.value(item, place)),
            ValueKind::Object(object) => {
                for (key, value) in object.values_mut() {
                    place.options.push(key.into());
                    self.value(value, place);
                    place.options.pop();
                }
            }
            ValueKind::Null | ValueKind::Boolean(_) | ValueKind::Number(_) | ValueKind::Text(_) => {}
        }
    }

    /// What a text becomes; `None` when it stays.
    fn text(&mut self, text: &str, position: &Position, place: &Place) -> Option<ValueKind> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            result.push_str(&rest[..start]);
            rest = &rest[start..];
            let Some(end) = rest.find('}') else { break };
            let (written, behind) = rest.split_at(end + 1);
            let inner = &written[2..end];
            let (name, default) = match inner.split_once(':') {
                Some((name, default)) => (name.trim(), Some(default)),
                None => (inner.trim(), None),
            };
            match self.replacement(name, default, position, place) {
                Some(replacement) => result.push_str(replacement),
                None => result.push_str(written),
            }
            rest = behind;
        }
        result.push_str(rest);
        if result == text {
            return None;
        }
        match self.bytes_left.checked_sub(result.len()) {
            Some(left) => self.bytes_left = left,
            None => {
                let message = "the variables blow the config up too far";
                self.problems.push(Problem::error(position.clone(), message).in_block(place.block.clone()));
                return None;
            }
        }
        Some(ValueKind::Text(result.into()))
    }

    /// What a variable stands for; `None` when it stays as written.
    fn replacement<'v>(
        &mut self,
        name: &str,
        default: Option<&'v str>,
        position: &Position,
        place: &Place,
    ) -> Option<&'v str>
    where
        'e: 'v,
    {
        if !is_name(name) || RESERVED_WORDS.contains(&name) {
            return None;
        }
        if let Some(value) = self.variables.values.get(name) {
            return Some(value);
        }
        if self.unresolved == Unresolved::Keep || is_filled_at_run_time(name, place) {
            return None;
        }
        if default.is_none() {
            let mut problem = Problem::error(position.clone(), format!("the variable '{name}' is not set"))
                .in_block(place.block.clone())
                .with_help(match nearest(name, self.variables.values.keys().map(AsRef::as_ref)) {
                    Some(near) => format!("'{near}' is set: did you mean that?"),
                    None => format!("give it with -i {name}=VALUE, or a default with ${{{name}:VALUE}}"),
                });
            problem.option = (!place.options.is_empty()).then(|| place.options.join(".").into());
            self.unset.push(problem);
        }
        default
    }
}

/// Whether this can name a variable; `${` in a pattern or a script is left alone.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && name.chars().all(|next| next.is_alphanumeric() || matches!(next, '_' | '-' | '.'))
}

fn is_filled_at_run_time(name: &str, place: &Place) -> bool {
    let numbered = name.strip_prefix(['k', 'v']).is_some_and(|digits| digits.parse::<u16>().is_ok());
    let row_field = place.in_sink && place.options.last().is_some_and(|option| ROW_OPTIONS.contains(&option.as_ref()));
    let program = place.options.iter().any(|option| PROGRAM_OPTIONS.contains(&option.as_ref()));
    // A value of a page's name gives way to the page, whatever it holds; a body may have such values within.
    let option = place.options.last().map_or("", AsRef::as_ref);
    let in_body = !place.page_names.is_empty() && place.options.first().is_some_and(|option| option.as_ref() == "body");
    let page = in_body || place.page_names.iter().any(|page| [name, option].contains(&page.as_ref()));
    numbered || row_field || program || page || FILE_WORDS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::super::read::{ReadOptions, Syntax, read_tree};
    use super::super::render::render_json;
    use super::*;

    fn options(given: &[(&str, &str)], unresolved: Unresolved) -> ReadOptions {
        let variables = given.iter().copied().collect();
        ReadOptions { syntax: Syntax::Hocon, variables, unresolved, ..ReadOptions::default() }
    }

    fn expanded(text: &str, given: &[(&str, &str)]) -> String {
        let (tree, warnings) =
            read_tree(text, "t", &options(given, Unresolved::Error)).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(warnings.is_empty(), "{warnings}");
        render_json(&tree, false)
    }

    #[test]
    fn names_of_pages_are_left_to_the_block_that_fills_them_in() {
        let text = r#"source { Http { body = "{\"p\":\"${p}\"}", params { c = "${c}" }, pageing { page_field = p, cursor_field = c } }
            Http { params { page = "${page}" }, pageing { batch_size = 5 } }
            Http { params { n = "${x}" }, body = "{\"n\":\"${y}\"}", pageing { page_field = n } } }"#;
        let (tree, _) =
            read_tree(text, "t", &options(&[], Unresolved::Error)).unwrap_or_else(|errors| panic!("{errors}"));
        let json = render_json(&tree, false);
        assert!(["${p}", "${c}", "${page}", "${x}", "${y}"].iter().all(|name| json.contains(name)), "{json}");
        for elsewhere in [
            r#"source { Http { params { page = "${page}" } } }"#,
            r#"source { Http { headers { token = "${TOKEN}" }, pageing { page_field = n } } }"#,
        ] {
            assert!(read_tree(elsewhere, "t", &options(&[], Unresolved::Error)).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn variables_are_replaced_in_every_kind_of_text() {
        assert_eq!(
            expanded(
                "a = ${x}\nb = \"<${x}|${y:d e}>\"\nc = [${x}, \"${ x }\", /p/${x}/q]\nd = \"\"\"${x}\"\"\"\ne { f = ${none:5} }\ng = ${?x}\nh = ${?none}",
                &[("x", "1 2")]
            ),
            r#"{"a":"1 2","b":"<1 2|d e>","c":["1 2","1 2","/p/1 2/q"],"d":"1 2","e":{"f":"5"},"g":"1 2"}"#
        );
        // What a variable puts in is not searched again, and defaults may hold colons.
        assert_eq!(
            expanded("a = \"${x}\"\nb = \"${y:http://h:1}\"", &[("x", "${y}")]),
            r#"{"a":"${y}","b":"http://h:1"}"#
        );
    }

    #[test]
    fn a_path_of_the_config_comes_before_a_variable_of_its_name() {
        assert_eq!(expanded("x = 1\na = ${x}\nb = \"${x}\"", &[("x", "2")]), r#"{"x":1,"a":1,"b":"2"}"#);
        assert_eq!(expanded("x = ${x}", &[("x", "2")]), r#"{"x":"2"}"#);
    }

    #[test]
    fn words_that_sinks_fill_in_stay() {
        let text = r#"sink { F { path = "/p/${table_name}", file_name_expression = "${transactionId}_${now}_${uuid}"
            partition_dir_expression = "${k0}=${v0}/${k12}=${v12}", topic = "${category}", t = "${schema_name:public}" } }"#;
        let (tree, _) = read_tree(text, "t", &options(&[("table_name", "x")], Unresolved::Error)).expect("read");
        assert_eq!(
            render_json(&tree, false),
            r#"{"sink":[{"plugin_name":"F","path":"/p/${table_name}","file_name_expression":"${transactionId}_${now}_${uuid}","partition_dir_expression":"${k0}=${v0}/${k12}=${v12}","topic":"${category}","t":"${schema_name:public}"}]}"#
        );
    }

    #[test]
    fn a_variable_is_text_until_its_place_demands_more() {
        let given = [("s", r#"{"a": {"b": "int"}}"#), ("l", "[x, y]"), ("o", "{a = 1}")];
        assert_eq!(
            expanded("a = ${s}\nb = \"${l}\"\ne = ${o} { z = 2 }\nf = \"x${l}\"\ng = ${l} [z]", &given),
            r#"{"a":"{\"a\": {\"b\": \"int\"}}","b":"[x, y]","e":{"a":1,"z":2},"f":"x[x, y]","g":["x","y","z"]}"#
        );
        // What the blocks of a config are is never in doubt.
        for root in ["${blocks}", "\"${blocks}\"", "\"${list}\""] {
            let given = [("blocks", "{ A { x = 1 } }"), ("list", "[{plugin_name = A, x = 1}]")];
            assert_eq!(expanded(&format!("source = {root}"), &given), r#"{"source":[{"plugin_name":"A","x":1}]}"#);
        }
        assert_eq!(
            expanded("env = \"${e}\"\nsource { A = ${o} }", &[("e", "{p = 1}"), ("o", "{a = 1}")]),
            r#"{"env":{"p":1},"source":[{"plugin_name":"A","a":1}]}"#
        );
    }

    #[test]
    fn the_environment_is_asked_by_references_without_quotes_and_only_where_it_may() {
        let (name, value) = std::env::vars().find(|(name, _)| is_name(name)).expect("a variable of the environment");
        let text =
            format!("a = ${{{name}}}\nb = x${{{name}}}\nc = \"${{{name}}}\"\nd = ${{{name}}}\nd = ${{?none_of_it}}");
        let read = |variables: Variables| {
            let options = ReadOptions { variables, ..options(&[], Unresolved::Keep) };
            read_tree(&text, "t", &options).expect("read").0
        };
        let tree = read(Variables::default().or_environment());
        let shown = |key: &str| tree.get(key).and_then(Value::to_text).map(str::to_owned);
        assert_eq!((shown("a"), shown("b")), (Some(value.clone()), Some(format!("x{value}"))));
        assert_eq!((shown("c"), shown("d")), (Some(format!("${{{name}}}")), Some(value)));
        let tree = read(Variables::default());
        assert_eq!(tree.get("a").and_then(Value::to_text), Some(format!("${{{name}}}").as_str()));
    }

    #[test]
    fn the_words_of_other_languages_stay() {
        let text = r#"transform { P { source_code = "def a = \"${b}\"" } }
            sink { D { save_mode_create_template = "CREATE TABLE ${database} (${rowtype_fields})" } }"#;
        let (tree, _) = read_tree(text, "t", &options(&[], Unresolved::Error)).expect("read");
        assert!(render_json(&tree, false).contains("(${rowtype_fields})"), "{tree:?}");
    }

    #[test]
    fn a_variable_that_is_not_set_is_an_error_or_stays() {
        let text = "source { A { list = [\"${colour}\"]\n n = ${num}\n ok = \"${d:1}\" } }";
        let problems = read_tree(text, "t", &options(&[("color", "red")], Unresolved::Error)).expect_err("unset");
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "error: t:1:22: source[0] A, option 'list': the variable 'colour' is not set (help: 'color' is set: did you mean that?)",
                "error: t:2:6: source[0] A, option 'n': the variable 'num' is not set (help: give it with -i num=VALUE, or a default with ${num:VALUE})",
            ]
        );
        let (tree, warnings) = read_tree(text, "t", &options(&[], Unresolved::Keep)).expect("kept");
        assert!(warnings.is_empty());
        assert_eq!(
            render_json(&tree, false),
            r#"{"source":[{"plugin_name":"A","list":["${colour}"],"n":"${num}","ok":"${d:1}"}]}"#
        );
    }

    #[test]
    fn dollars_that_are_no_variables_stay() {
        let text = r#"{"a": "$ {x} ${", "b": "${}", "c": "${a b}", "d": "$1 ${x*} ${2}"}"#;
        assert_eq!(expanded(text, &[]), r#"{"a":"$ {x} ${","b":"${}","c":"${a b}","d":"$1 ${x*} ${2}"}"#);
    }
}
