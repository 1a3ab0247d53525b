//! Options of a plugin: one table gives parsing, validation, error texts and documentation.

use super::problem::{Problem, Problems, REQUIRED, nearest};
use super::value::{Object, Value, ValueKind, is_secret_key};

/// What values an option takes. Scalars convert freely: `"5"` is a whole number, `"true"` a boolean, a comma text a
/// list, a scalar a list of one, and a text that spells a list or an object is one (contract C.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptionKind {
    /// `true` or `false`.
    Boolean,
    /// A whole number from `min` to `max`.
    Integer {
        /// Smallest value allowed.
        min: i64,
        /// Largest value allowed.
        max: i64,
    },
    /// A finite number.
    Number,
    /// Text.
    Text,
    /// One of these words, in any case.
    OneOf(&'static [&'static str]),
    /// A list of texts.
    TextList,
    /// A list of whole numbers.
    IntegerList,
    /// A list of numbers.
    NumberList,
    /// An object whose values are scalars.
    TextMap,
    /// An object.
    Object,
    /// A list of objects; one object counts as a list of one.
    ObjectList,
    /// Anything: the plugin judges it.
    Any,
}

impl OptionKind {
    /// A whole number that is at least zero.
    pub const COUNT: Self = Self::Integer { min: 0, max: i64::MAX };
    /// A whole number that is at least one.
    pub const POSITIVE: Self = Self::Integer { min: 1, max: i64::MAX };
    /// Any whole number.
    pub const INTEGER: Self = Self::Integer { min: i64::MIN, max: i64::MAX };

    /// What is expected, for messages and documentation.
    pub fn describe(&self) -> String {
        match self {
            Self::Boolean => "true or false".into(),
            Self::Integer { min: i64::MIN, max: i64::MAX } => "a whole number".into(),
            Self::Integer { min, max: i64::MAX } => format!("a whole number of at least {min}"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Number => "a number".into(),
            Self::Text => "text".into(),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::TextList => "a list of texts".into(),
            Self::IntegerList => "a list of whole numbers".into(),
            Self::NumberList => "a list of numbers".into(),
            Self::TextMap => "an object of texts".into(),
            Self::Object => "an object".into(),
            Self::ObjectList => "a list of objects".into(),
            Self::Any => "any value".into(),
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        match self {
            Self::Boolean => value.to_boolean().is_some(),
            Self::Integer { min, max } => value.to_integer().is_some_and(|number| (*min..=*max).contains(&number)),
            Self::Number => value.to_number().is_some(),
            Self::Text => value.to_text().is_some(),
            Self::OneOf(words) => word_of(words, value).is_some(),
            Self::TextList => text_list(value).is_some(),
            Self::IntegerList => list(value, Value::to_integer).is_some(),
            Self::NumberList => list(value, Value::to_number).is_some(),
            Self::TextMap => value
                .to_object()
                .is_some_and(|object| object.entries().iter().all(|entry| entry.value.to_text().is_some())),
            Self::Object => value.to_object().is_some(),
            Self::ObjectList => object_list(value).is_some(),
            Self::Any => true,
        }
    }
}

/// One option of a plugin.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Its name, dotted if it is.
    pub name: &'static str,
    /// Older or newer names that mean the same.
    pub aliases: &'static [&'static str],
    /// What it takes.
    pub kind: OptionKind,
    /// Value when it is not given, as one would write it; `None` when there is none.
    pub default: Option<&'static str>,
    /// Whether a config without it is refused.
    pub required: bool,
    /// One sentence for the documentation.
    pub meaning: &'static str,
    /// A value as one would write it.
    pub example: &'static str,
}

impl OptionSpec {
    /// An option that may be left out and then has no value.
    pub const fn new(name: &'static str, kind: OptionKind, meaning: &'static str) -> Self {
        Self { name, aliases: &[], kind, default: None, required: false, meaning, example: "" }
    }

    /// Sets the value that holds when the option is not given.
    #[must_use]
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = Some(text);
        self
    }

    /// Makes it an error to leave the option out.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Adds other names.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Adds an example.
    #[must_use]
    pub const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }
}

/// All options of a plugin, or of an object nested in one.
pub type OptionTable = &'static [OptionSpec];

/// The options given in one object, read by a table.
///
/// [`Options::check`] reports what is wrong; the getters then give the value, the default, or `None`. A getter of a
/// value that [`Options::check`] refused gives the default or `None`.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    object: &'a Object,
    table: OptionTable,
}

impl<'a> Options<'a> {
    /// Options of an object, by a table.
    pub fn new(object: &'a Object, table: OptionTable) -> Self {
        Self { object, table }
    }

    /// The object behind the options.
    pub fn object(&self) -> &'a Object {
        self.object
    }

    /// The same object read by another table.
    #[must_use]
    pub fn with_table(self, table: OptionTable) -> Self {
        Self { object: self.object, table }
    }

    /// Reports missing and wrong options as errors and unknown ones as warnings. `also_known` are names that are
    /// dealt with elsewhere (`plugin_output`, `parallelism`, ...). `block` names the block in the problems.
    pub fn check(&self, block: &str, block_position: &super::Position, also_known: &[&str], problems: &mut Problems) {
        for spec in self.table {
            let Some(value) = self.find(spec) else {
                if spec.required {
                    let mut problem = Problem::error(
                        block_position.clone(),
                        format!("{REQUIRED}: expected {}", spec.kind.describe()),
                    )
                    .in_block(block)
                    .of_option(spec.name);
                    if !spec.example.is_empty() {
                        problem = problem.with_help(format!("for example {} = {}", spec.name, spec.example));
                    }
                    problems.push(problem);
                }
                continue;
            };
            if !spec.kind.accepts(value) {
                let found = match value.to_text() {
                    Some(_) if is_secret_key(spec.name) => value.kind_name().to_owned(),
                    Some(text) => format!("'{text}'"),
                    None => value.kind_name().to_owned(),
                };
                let mut problem =
                    Problem::error(value.position.clone(), format!("expected {}, found {found}", spec.kind.describe()))
                        .in_block(block)
                        .of_option(spec.name);
                if let (OptionKind::OneOf(words), Some(text)) = (spec.kind, value.to_text())
                    && let Some(word) = nearest(text, words.iter().copied())
                {
                    problem = problem.with_help(format!("did you mean '{word}'?"));
                }
                problems.push(problem);
            }
        }
        for entry in self.object.entries() {
            let key = entry.key.as_ref();
            // A nested spelling `a { b = 1 }` of the option `a.b` is known by its first part.
            let known = |name: &str| {
                name == key
                    || (name.len() > key.len() && name.starts_with(key) && name.as_bytes()[key.len()] == b'.')
                    || (key.len() > name.len() && key.starts_with(name) && key.as_bytes()[name.len()] == b'.')
            };
            let names = || self.table.iter().flat_map(|spec| std::iter::once(&spec.name).chain(spec.aliases)).copied();
            if names().any(known) || also_known.iter().any(|name| known(name)) {
                continue;
            }
            let mut problem = Problem::warning(entry.key_position.clone(), "is not an option here and has no effect")
                .in_block(block)
                .of_option(key);
            if let Some(name) = nearest(key, names()) {
                problem = problem.with_help(format!("did you mean '{name}'?"));
            }
            problems.push(problem);
        }
    }

    fn find(&self, spec: &OptionSpec) -> Option<&'a Value> {
        std::iter::once(&spec.name)
            .chain(spec.aliases)
            .find_map(|name| self.object.get(name))
            .filter(|value| !value.is_null())
    }

    fn spec(&self, name: &str) -> &'static OptionSpec {
        let spec = self.table.iter().find(|spec| spec.name == name);
        // A name that the table lacks is a mistake in the plugin, found by its first test.
        spec.unwrap_or_else(|| panic!("option '{name}' is not in the plugin's table"))
    }

    /// The value as written, null counting as not given. Defaults do not apply.
    pub fn value(&self, name: &str) -> Option<&'a Value> {
        self.find(self.spec(name))
    }

    /// Whether the option is given.
    pub fn is_given(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    fn read<T>(&self, name: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let spec = self.spec(name);
        if let Some(found) = self.find(spec).filter(|value| spec.kind.accepts(value)).and_then(&read) {
            return Some(found);
        }
        let default = Value {
            kind: ValueKind::Text(spec.default?.into()),
            position: super::Position { file: "<default>".into(), line: 0, column: 0 },
        };
        read(&default)
    }

    /// A boolean option.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.read(name, Value::to_boolean)
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.read(name, Value::to_integer)
    }

    /// A whole number that the table bounds to be a count.
    pub fn count(&self, name: &str) -> Option<usize> {
        self.integer(name).and_then(|number| usize::try_from(number).ok())
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.read(name, Value::to_number)
    }

    /// Text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.read(name, |value| value.to_text().map(str::to_owned))
    }

    /// The word of a [`OptionKind::OneOf`], spelled as in the table.
    pub fn word(&self, name: &str) -> Option<&'static str> {
        let OptionKind::OneOf(words) = self.spec(name).kind else {
            panic!("option '{name}' is not a choice of words");
        };
        self.read(name, |value| word_of(words, value))
    }

    /// A list of texts.
    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        self.read(name, text_list)
    }

    /// A list of whole numbers.
    pub fn integers(&self, name: &str) -> Option<Vec<i64>> {
        self.read(name, |value| list(value, Value::to_integer))
    }

    /// A list of numbers.
    pub fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        self.read(name, |value| list(value, Value::to_number))
    }

    /// Pairs of an object of texts, in order.
    pub fn text_map(&self, name: &str) -> Option<Vec<(String, String)>> {
        self.value(name)?
            .to_object()?
            .entries()
            .iter()
            .map(|entry| Some((entry.key.to_string(), entry.value.to_text()?.to_owned())))
            .collect()
    }

    /// A nested object.
    pub fn nested(&self, name: &str) -> Option<&'a Object> {
        self.value(name)?.to_object()
    }

    /// A list of nested objects with their positions.
    pub fn objects(&self, name: &str) -> Option<Vec<&'a Value>> {
        object_list(self.value(name)?)
    }
}

fn word_of(words: &'static [&'static str], value: &Value) -> Option<&'static str> {
    let text = value.to_text()?.trim();
    words.iter().copied().find(|word| word.eq_ignore_ascii_case(text))
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    if let Some(items) = value.to_list() {
        return items.iter().map(read).collect();
    }
    match &value.kind {
        ValueKind::Text(text) => text
            .split(',')
            .map(|part| {
                let kind = ValueKind::Text(part.trim().into());
                read(&Value { kind, position: value.position.clone() })
            })
            .collect(),
        _ => read(value).map(|item| vec![item]),
    }
}

fn text_list(value: &Value) -> Option<Vec<String>> {
    list(value, |item| item.to_text().map(str::to_owned))
}

fn object_list(value: &Value) -> Option<Vec<&Value>> {
    match value.to_list() {
        Some(items) => items.iter().map(|item| item.as_object().map(|_| item)).collect(),
        None => {
            Some(value.as_written_or_spelled()).filter(|value| value.as_object().is_some()).map(|value| vec![value])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Position, Value};
    use super::*;

    const TABLE: OptionTable = &[
        OptionSpec::new("row.num", OptionKind::POSITIVE, "rows").default("5"),
        OptionSpec::new("path", OptionKind::Text, "where").required().example("\"/data\""),
        OptionSpec::new("mode", OptionKind::OneOf(&["RANGE", "TEMPLATE"]), "how").default("RANGE"),
        OptionSpec::new("names", OptionKind::TextList, "names"),
    ];

    fn at() -> Position {
        Position { file: "job.conf".into(), line: 3, column: 7 }
    }

    fn given(entries: &[(&str, ValueKind)]) -> Object {
        let mut object = Object::default();
        for (key, kind) in entries {
            object.insert(key, at(), Value { kind: kind.clone(), position: at() });
        }
        object
    }

    fn problems_of(object: &Object) -> Vec<String> {
        let mut problems = Problems::default();
        Options::new(object, TABLE).check("source[0] X", &at(), &["plugin_output"], &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_mistakes_of_a_block_are_told_with_their_cure() {
        let object = given(&[
            ("row.num", ValueKind::Text("many".into())),
            ("mode", ValueKind::Text("TEMPLAT".into())),
            ("nam", ValueKind::Text("a".into())),
            ("plugin_output", ValueKind::Text("t".into())),
        ]);
        assert_eq!(
            problems_of(&object),
            [
                "error: job.conf:3:7: source[0] X, option 'row.num': expected a whole number of at least 1, found 'many'",
                "error: job.conf:3:7: source[0] X, option 'path': is required but not given: expected text (help: for example path = \"/data\")",
                "error: job.conf:3:7: source[0] X, option 'mode': expected one of RANGE, TEMPLATE, found 'TEMPLAT' (help: did you mean 'TEMPLATE'?)",
                "warning: job.conf:3:7: source[0] X, option 'nam': is not an option here and has no effect",
            ]
        );
    }

    #[test]
    fn values_convert_and_defaults_fill_in() {
        let object = given(&[
            ("row", ValueKind::Object(given(&[("num", ValueKind::Text("7".into()))]))),
            ("path", ValueKind::Number("12".into())),
            ("names", ValueKind::Text("a, b".into())),
        ]);
        assert_eq!(problems_of(&object), Vec::<String>::new());
        let options = Options::new(&object, TABLE);
        assert_eq!(options.integer("row.num"), Some(7));
        assert_eq!(options.text("path").as_deref(), Some("12"));
        assert_eq!(options.word("mode"), Some("RANGE"));
        assert_eq!(options.texts("names"), Some(vec!["a".into(), "b".into()]));
    }
}
