//! Which tables a transform is about, where it reads several (contract E, options of later releases).
//!
//! The options of a block are for the tables whose whole path `table_match_regex` matches: all of them, unless it is
//! given. An entry of `table_transform` has options of its own for the table that its `table_path` names, and goes
//! before. What neither is for passes on as it is.

use std::sync::Arc;

use crate::config::{
    COMMON_OPTIONS, Object, OptionKind, OptionSpec, OptionTable, Options, PluginConfig, Problem, Problems, Value,
};
use crate::java_regex::{Flags, JavaRegex};
use crate::plugin::{TaskContext, TaskError, Transform, TransformPlan};
use crate::row::{Batch, TableSchema};

/// Options that every transform's block may have besides its own.
const OPTIONS: OptionTable = &[
    OptionSpec::new(
        "table_match_regex",
        OptionKind::Text,
        "Regular expression that the whole path of a table matches.",
    )
    .default(".*"),
    OptionSpec::new("table_transform", OptionKind::ObjectList, "Options for single tables, each with its table_path."),
];

/// The name of the table that an entry of `table_transform` is for.
const TABLE_PATH: &str = "table_path";

/// What a block says about tables.
pub(super) struct TableChoice<'a> {
    block: &'a PluginConfig,
    pattern: Option<JavaRegex>,
    own: Vec<(String, &'a Value)>,
}

impl<'a> TableChoice<'a> {
    /// Reads the two options; what is wrong with them is reported and counts as not given.
    pub(super) fn of(block: &'a PluginConfig, problems: &mut Problems) -> Self {
        let options = Options::new(&block.options, OPTIONS);
        let mut choice = Self { block, pattern: None, own: Vec::new() };
        let mut error = |value: &Value, option: &str, message: String| {
            problems.push(Problem::error(value.position.clone(), message).in_block(block.block()).of_option(option));
        };
        if let Some(value) = options.value("table_match_regex") {
            match JavaRegex::compile(&format!("^(?:{})$", value.to_text().unwrap_or_default()), Flags::default()) {
                Ok(pattern) => choice.pattern = Some(pattern),
                Err(why) => error(value, "table_match_regex", format!("is not a regular expression: {why}")),
            }
        }
        let Some(value) = options.value("table_transform") else { return choice };
        let Some(entries) = options.objects("table_transform") else {
            error(value, "table_transform", "expected a list of objects".into());
            return choice;
        };
        for entry in entries {
            match entry.to_object().and_then(|object| object.get(TABLE_PATH)).and_then(Value::to_text) {
                Some(path) if choice.own.iter().any(|(known, _)| known == path) => {
                    error(entry, "table_transform", format!("the table '{path}' is there twice"));
                }
                Some(path) => choice.own.push((path.to_owned(), entry)),
                None => error(entry, "table_transform", format!("an entry names no table: give it a '{TABLE_PATH}'")),
            }
        }
        choice
    }

    fn own(&self) -> impl Iterator<Item = (&str, &'a Object)> {
        self.own.iter().filter_map(|(path, entry)| Some((path.as_str(), entry.to_object()?)))
    }

    /// Paths that have options of their own.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.own.iter().map(|(path, _)| path.as_str())
    }

    /// Reports what is wrong with the plugin's options, those of the block and those of single tables.
    pub(super) fn check(&self, plugin: OptionTable, problems: &mut Problems) {
        let block = self.block.block();
        let table = if self.has_block_options(plugin) { plugin } else { &[] };
        let names: Vec<&str> = COMMON_OPTIONS.iter().copied().chain(OPTIONS.iter().map(|option| option.name)).collect();
        Options::new(&self.block.options, table).check(&block, &self.block.position, &names, problems);
        for (_, entry) in &self.own {
            if let Some(object) = entry.to_object() {
                Options::new(object, plugin).check(&block, &entry.position, &[TABLE_PATH], problems);
            }
        }
    }

    /// Whether the block has any of the plugin's options: beside those of single tables it needs none.
    fn has_block_options(&self, plugin: OptionTable) -> bool {
        let options = Options::new(&self.block.options, plugin);
        self.own.is_empty() || plugin.iter().any(|option| options.is_given(option.name))
    }

    /// The options for a table; none where it passes on as it is.
    ///
    /// # Errors
    /// When the block has none for it, or the pattern takes too many steps.
    pub(super) fn options_for(&self, table: &TableSchema, plugin: OptionTable) -> Result<Option<&'a Object>, String> {
        let path = table.path.to_string();
        if let Some((_, options)) = self.own().find(|(own, _)| *own == path) {
            return Ok(Some(options));
        }
        if !self.pattern.as_ref().map_or(Ok(true), |pattern| pattern.is_match(&path))? {
            return Ok(None);
        }
        if !self.has_block_options(plugin) {
            return Err(format!(
                "there are no options for the table '{path}': leave it out with table_match_regex, or name it in \
                 table_transform"
            ));
        }
        Ok(Some(&self.block.options))
    }
}

/// Gives a table on as it is.
pub(super) struct PassOn(pub(super) Arc<TableSchema>);

impl TransformPlan for PassOn {
    fn output(&self) -> &Arc<TableSchema> {
        &self.0
    }

    fn transform(&self, _context: &TaskContext) -> Result<Box<dyn Transform>, TaskError> {
        Ok(Box::new(Unchanged))
    }
}

struct Unchanged;

impl Transform for Unchanged {
    fn apply(&mut self, batch: Batch) -> Result<Batch, TaskError> {
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ReadOptions, Syntax, read_tree};
    use crate::plugin::PluginKind;
    use crate::row::TablePath;

    const PLUGIN: OptionTable = &[OptionSpec::new("x", OptionKind::INTEGER, "").required()];

    fn block(text: &str) -> PluginConfig {
        let read = ReadOptions { syntax: Syntax::Hocon, ..ReadOptions::default() };
        let tree = read_tree(&format!("options {{ {text} }}"), "test", &read).expect("a config").0;
        let value = tree.get("options").expect("options");
        PluginConfig {
            kind: PluginKind::Transform,
            index: 0,
            name: "Copy".into(),
            options: value.as_object().cloned().expect("an object"),
            position: value.position.clone(),
            inputs: Vec::new(),
            output: None,
            parallelism: None,
            damaged: false,
        }
    }

    /// For each table the `x` of the options that it gets.
    fn chosen(text: &str) -> Vec<Option<String>> {
        let (block, mut problems) = (block(text), Problems::default());
        let choice = TableChoice::of(&block, &mut problems);
        assert!(!problems.has_errors(), "{problems}");
        ["db.a1", "db.a2", "other.b"]
            .map(|path| {
                let (database, table) = path.split_once('.').expect("two parts");
                let path = TablePath { database: Some(database.into()), ..TablePath::bare(table) };
                let table = TableSchema::new(path, Vec::new());
                let options = choice.options_for(&table, PLUGIN).expect("few steps")?;
                options.get("x").and_then(Value::to_text).map(str::to_owned)
            })
            .to_vec()
    }

    #[test]
    fn a_table_gets_its_own_options_or_those_of_the_block_or_none() {
        let texts = |texts: [&str; 3]| texts.map(|text| (!text.is_empty()).then(|| text.to_owned())).to_vec();
        assert_eq!(chosen("x = 1"), texts(["1", "1", "1"]));
        assert_eq!(chosen("x = 1, table_match_regex = \"db[.]a.\""), texts(["1", "1", ""]));
        assert_eq!(chosen("x = 1, table_match_regex = \"a1\""), texts(["", "", ""]), "the whole path must match");
        let own = "x = 1, table_match_regex = \"db.*\", table_transform = [ { table_path = db.a2, x = 2 }, \
                   { table_path = \"other.b\", x = 3 } ]";
        assert_eq!(chosen(own), texts(["1", "2", "3"]));
    }

    #[test]
    fn a_block_may_have_options_for_single_tables_alone() {
        let text = "table_match_regex = \"db.a1\", table_transform = [ { table_path = other.b, x = 3 } ]";
        let (block, mut problems) = (block(text), Problems::default());
        let choice = TableChoice::of(&block, &mut problems);
        choice.check(PLUGIN, &mut problems);
        assert!(problems.iter().next().is_none(), "{problems}");
        let path = TablePath { database: Some("db".into()), ..TablePath::bare("a1") };
        let why = choice.options_for(&TableSchema::new(path, Vec::new()), PLUGIN).expect_err("no options");
        assert!(why.contains("no options for the table 'db.a1'"), "{why}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_option() {
        for (text, expected) in [
            ("table_match_regex = \"(\"", "is not a regular expression"),
            ("table_transform = 5", "expected a list of objects"),
            ("table_transform = [ { x = 1 } ]", "give it a 'table_path'"),
            ("table_transform = [ { table_path = a }, { table_path = a } ]", "is there twice"),
            ("table_transform = [ { table_path = a } ]", "option 'x': is required"),
            ("table_transform = [ { table_path = a, x = y } ]", "expected a whole number"),
            ("table_match_regex = a", "option 'x': is required"),
        ] {
            let (block, mut problems) = (block(text), Problems::default());
            TableChoice::of(&block, &mut problems).check(PLUGIN, &mut problems);
            assert!(problems.has_errors() && problems.to_string().contains(expected), "{text}: {problems}");
        }
    }
}
