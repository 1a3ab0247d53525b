use std::time::Duration;

use proptest::prelude::*;

use super::super::render::{render_json, render_json_value};
use super::super::{MISSING_ENV, MISSING_PLUGIN_NAME, MISSING_SINK, MISSING_SOURCE, PARALLELISM_MAX};
use super::*;
use crate::plugin::JobMode;

#[test]
fn cures_are_told_in_the_language_of_the_text() {
    let problems = |text: &str, name: &str| read_job(text, name, &ReadOptions::default()).expect_err("refused");
    let cures = |text: &str, name: &str| -> Vec<String> {
        problems(text, name).iter().filter_map(|problem| problem.help.clone()).collect()
    };
    assert_eq!(cures("", "job.conf")[1..], ["add source { FakeSource { ... } }", "add sink { Console { } }"]);
    let in_json = [
        r#"add "env": {"job.mode": "BATCH"}"#,
        r#"name the plugin, for example "plugin_name": "Console""#,
        r#"write "sink": [{"plugin_name": "...", ...}]"#,
    ];
    assert_eq!(cures(r#"{"source":[{}],"sink":3}"#, "job.json"), in_json);
}

fn hocon() -> ReadOptions {
    ReadOptions { syntax: Syntax::Hocon, ..ReadOptions::default() }
}

fn job(text: &str) -> JobConfig {
    let (job, warnings) = read_job(text, "t", &hocon()).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(warnings.is_empty(), "{warnings}");
    job
}

fn told(text: &str) -> Vec<String> {
    match read_job(text, "t", &hocon()) {
        Ok((_, problems)) | Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

const ENDS: &str = "source { A {} }\nsink { B {} }";

#[test]
fn a_job_is_typed_in_both_generations_of_names() {
    let old = "env { job.name = n, job.mode = streaming, parallelism = \"2\" }
            source { FakeSource { result_table_name = a, parallelism = 3 } }
            transform { Sql { source_table_name = a, result_table_name = b } }
            sink { console { source_table_name = [\"a\", \"b\"] } }";
    let new = old.replace("result_table_name", "plugin_output").replace("source_table_name", "plugin_input");
    for text in [old.to_owned(), new, old.replace("[\"a\", \"b\"]", "\" a ,b\"")] {
        let job = job(&text);
        assert_eq!(job.env.job_name.as_deref(), Some("n"));
        assert_eq!((job.env.mode, job.env.parallelism), (JobMode::Streaming, Some(2)));
        let blocks: Vec<String> = job.plugins().map(super::super::PluginConfig::block).collect();
        assert_eq!(blocks, ["source[0] FakeSource", "transform[0] Sql", "sink[0] console"]);
        assert_eq!((job.sources[0].output.as_deref(), job.sources[0].parallelism), (Some("a"), Some(3)));
        assert_eq!(job.transforms[0].inputs, ["a".into()]);
        assert_eq!(job.transforms[0].output.as_deref(), Some("b"));
        assert_eq!(job.sinks[0].inputs, ["a".into(), "b".into()]);
        assert_eq!(job.sources[0].position.to_string(), "t:2:22");
    }
}

#[test]
fn env_options_are_typed_and_shown_flat_as_written() {
    let text = format!(
            "env {{ job.retry.times = 0, job.retry.interval.seconds = 7, checkpoint {{ interval = 5000, timeout = \"60\" }}
              read_limit.rows_per_second = 10, read_limit {{ bytes_per_second = 20 }}, savemode.execute.location = client
              custom_parameters {{ a = 1.50, b = x }}, tag_filter {{ t = v }}, shade.identifier = base64
              spark.app.name = s, flink {{ x = [1, y], n = null }}, other.token = t, mine {{ password = p }} }}\n{ENDS}"
        );
    let (read, warnings) = read_job(&text, "t", &hocon()).expect("a job");
    let warned: Vec<&str> = warnings.iter().filter_map(|problem| problem.option.as_deref()).collect();
    assert_eq!(warned, ["custom_parameters", "tag_filter", "other.token", "mine"], "{warnings}");
    let env = read.env;
    assert_eq!((env.retry_times, env.retry_interval), (0, Duration::from_secs(7)));
    assert_eq!(env.checkpoint_interval, Some(Duration::from_secs(5)));
    assert_eq!(env.checkpoint_timeout, Some(Duration::from_millis(60)));
    assert_eq!((env.rows_per_second_max, env.bytes_per_second_max), (Some(10), Some(20)));
    assert_eq!(env.save_mode_location, super::super::SaveModeLocation::Client);
    assert_eq!(env.custom_parameters, [("a".into(), "1.50".into()), ("b".into(), "x".into())]);
    assert_eq!(env.shade_identifier.as_ref(), "base64");
    let flat: Vec<String> = env.flat.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        flat,
        [
            "job.retry.times=0",
            "job.retry.interval.seconds=7",
            "checkpoint.interval=5000",
            "checkpoint.timeout=60",
            "read_limit.rows_per_second=10",
            "read_limit.bytes_per_second=20",
            "savemode.execute.location=client",
            "custom_parameters.a=1.50",
            "custom_parameters.b=x",
            "tag_filter.t=v",
            "shade.identifier=base64",
            "spark.app.name=s",
            "flink.x=[1, y]",
            "other.token=******",
            "mine.password=******",
        ]
    );
    let env = job(&format!("env {{ }}\n{ENDS}")).env;
    assert_eq!((env.mode, env.parallelism, env.retry_times), (JobMode::Batch, None, 3));
    assert_eq!((env.checkpoint_interval, env.job_name), (None, None));
}

#[test]
fn outdated_and_foreign_options_of_env_are_told_as_what_they_are() {
    let told = told(&format!(
        "env {{ execution.parallelism = 4\n execution {{ checkpoint.interval = 5 }}\n jars = \"/a.jar;/b.jar\" }}\n{ENDS}"
    ));
    assert_eq!(
        told,
        [
            "warning: t:1:31: env, option 'execution.parallelism': has no effect, here as in the original (help: write parallelism)",
            "warning: t:2:36: env, option 'execution.checkpoint.interval': has no effect, here as in the original (help: write checkpoint.interval)",
            "warning: t:3:9: env, option 'jars': Java archives are not loaded: plugins are built in",
        ]
    );
    let (read, _) =
        read_job(&format!("env {{ execution.parallelism = 4, jars = \"/a.jar; /b.jar;\" }}\n{ENDS}"), "t", &hocon())
            .expect("a job");
    assert_eq!((read.env.parallelism, read.env.jars), (None, vec!["/a.jar".into(), "/b.jar".into()]));
    assert_eq!(read.env.flat[0], ("execution.parallelism".to_owned(), "4".to_owned()));
}

#[test]
fn what_a_job_cannot_do_without_is_named_in_the_words_that_clients_know() {
    let messages = |text: &str| -> Vec<String> {
        let problems = read_job(text, "t", &hocon()).expect_err(text);
        problems.iter().map(|problem| problem.message.clone()).collect()
    };
    assert_eq!(messages(""), [MISSING_ENV, MISSING_SOURCE, MISSING_SINK]);
    assert_eq!(messages("env {}\nsource {}\nsink = []"), [MISSING_SOURCE, MISSING_SINK]);
    assert_eq!(messages("env {}\nsource = [{ a = 1 }]\nsink { X { plugin_name = \"\" } }"), [MISSING_PLUGIN_NAME; 2]);
    assert_eq!(messages(&format!("env = 5\n{ENDS}")), ["expected an object"]);
    assert_eq!(
        messages("env {}\nsource = 5\nsink = [7]"),
        [
            "expected plugin blocks in braces, or a list of them",
            "expected a plugin's options in braces, found a number"
        ]
    );
    // Where the syntax is broken nobody knows what is missing.
    assert_eq!(messages("env { }\nsource { = }\nsink { A {} }").len(), 1);
    assert_eq!(messages("env { source { A {} }").len(), 1);
}

#[test]
fn five_mistakes_are_told_at_once_each_with_its_place() {
    let text = "env {
  parallelism = many
  job.mod = BATCH
}
source {
  FakeSource { row.num = 5 schema { fields { a = int } } }
  Other { path = \"/data\", plugin_output = { a = 1 } }
}
sink {
  Console { note = \"never closed }
  }
  File { path = ${folder} }
}
";
    assert_eq!(
        told(text),
        [
            "error: t:2:17: env, option 'parallelism': expected a whole number, found 'many'",
            "warning: t:3:3: env, option 'job.mod': is not an option here and has no effect (help: did you mean 'job.mode'?)",
            "error: t:6:35: source[0] FakeSource, option 'row.num': text and an object side by side (help: separate them by a comma or a line break, or put the text in double quotes)",
            "error: t:7:43: source[1] Other, option 'plugin_output': expected the name of a table, found an object",
            "error: t:10:20: sink[0] Console, option 'note': this quoted text does not end on its line: expected '\"' (help: text of several lines goes between \"\"\" and \"\"\")",
            "error: t:12:17: sink[1] File, option 'path': the variable 'folder' is not set (help: give it with -i folder=VALUE, or a default with ${folder:VALUE})",
        ]
    );
    // What is left of the job can be checked further, but for the blocks in which something was not read.
    let job = examine_job(text, "t", &hocon()).job;
    let damaged: Vec<bool> = job.plugins().map(|plugin| plugin.damaged).collect();
    assert_eq!(damaged, [true, false, true, false]);
}

#[test]
fn configs_are_read_as_people_write_them() {
    let text = "#
env {
  job.mode = \"BATCH\"

  # settings of another engine
  spark.executor.memory = \"1g\"
  spark.driver.extraJavaOptions = \"-Da=b\"
  job.mode = \"BATCH\"
}
source
{
  # made up
  FakeSource {
    rows = [
       {fields = [\"1\", 1.2, null, NULL, {\"k\\\"\": [1, \"x\"]}], kind = INSERT}
       {fields = [2,3.10], kind = DELETE}
       // the last one
       {
         fields = []
       }, {
         kind = UPDATE_AFTER
       }
    ]
    field_delimiter = ;
    schema = {
      fields {
        a = \"map<string, {k=int\\nv=string}>\"
        b = {
          c = \"decimal(30, 8)\"
        }
      }
    }
  }
}

transform {
}
sink{
\tAssert {
    rules =
      {
        row_rules = [
          { rule_type = MAX_ROW
            rule_value = 5 }
        ],
        field_rules = [{ field_name = a }]
      }
    \"data_save_mode\"=\"DROP_DATA\",
    path =\"/tmp/x\"
    query = \"\"\"
      select 'a' as \"b\" -- $1
    \"\"\"
  }
}#
";
    for text in [text.to_owned(), text.replace('\n', "\r\n")] {
        let job = job(&text);
        let source = &job.sources[0].options;
        assert_eq!(
            render_json_value(source.get("rows").expect("rows"), false),
            r#"[{"fields":["1",1.2,null,"NULL",{"k\"":[1,"x"]}],"kind":"INSERT"},{"fields":[2,3.10],"kind":"DELETE"},{"fields":[]},{"kind":"UPDATE_AFTER"}]"#
        );
        assert_eq!(source.get("field_delimiter").and_then(Value::to_text), Some(";"));
        let sink = &job.sinks[0].options;
        assert_eq!(sink.get("data_save_mode").and_then(Value::to_text), Some("DROP_DATA"));
        assert_eq!(sink.get("rules.row_rules").and_then(Value::as_list).map(<[Value]>::len), Some(1));
        assert!(sink.get("query").and_then(Value::to_text).expect("query").contains("\"b\" -- $1"));
        assert!(job.transforms.is_empty());
    }
}

#[test]
fn the_documentation_shows_configs_that_are_read_and_every_option_of_env() {
    let page = include_str!("../../../../docs/config-language.md");
    for block in page.split("```hocon").skip(1) {
        let text = block.split("```").next().expect("a block");
        let options = ReadOptions { unresolved: Unresolved::Keep, ..hocon() };
        let (_, warnings) = read_tree(text, "page", &options).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(warnings.is_empty(), "{warnings}");
    }
    let first = page.split("```hocon").nth(1).and_then(|block| block.split("```").next()).expect("a block");
    assert_eq!(job(first).plugins().count(), 3);
    for option in super::super::ENV_OPTIONS {
        assert!(page.contains(&format!("`{}`", option.name)), "{}", option.name);
    }
    for word in super::super::RESERVED_WORDS {
        assert!(page.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn odd_configs_are_warned_about_and_run() {
    let text = "env { parallelism = 0, jars = \"a;b\", mystery = 1 }
base { dir = x }
sorce { }
nothing = 1
source { A { plugin_input = x, path = ${base.dir} } }
sink { B { result_table_name = y, plugin_input = a, source_table_name = b } }";
    assert_eq!(
        told(text),
        [
            "warning: t:1:21: env, option 'parallelism': '0' counts as 1: fewer tasks cannot be",
            "warning: t:1:31: env, option 'jars': Java archives are not loaded: plugins are built in",
            "warning: t:1:38: env, option 'mystery': is not an option here and has no effect",
            "warning: t:3:1: 'sorce' has no meaning at the top level and no effect (help: did you mean 'source'?)",
            "warning: t:4:1: 'nothing' has no meaning at the top level and no effect",
            "warning: t:5:29: source[0] A, option 'plugin_input': a source reads no table: this has no effect",
            "warning: t:6:32: sink[0] B, option 'result_table_name': a sink gives no table: this has no effect",
            "warning: t:6:73: sink[0] B, option 'source_table_name': 'plugin_input' is given as well, and that one counts",
        ]
    );
    let (job, _) = read_job(text, "t", &hocon()).expect("a job");
    assert_eq!((job.env.parallelism, job.env.jars.len()), (Some(1), 2));
    assert!(told(&format!("env {{ parallelism = {} }}\n{ENDS}", PARALLELISM_MAX + 1))[0].starts_with("error"));
}

#[test]
fn the_name_of_the_file_tells_its_language() {
    let json = r#"{"env":{},"source":[{"plugin_name":"A"}],"sink":[{"plugin_name":"B"}]}"#;
    let options = ReadOptions::default();
    assert!(read_job(json, "job.JSON", &options).is_ok());
    assert!(read_job(json, "job.conf", &options).is_ok());
    assert!(read_job(&format!("# c\n{json}"), "job.conf", &options).is_ok());
    assert!(read_job(&format!("# c\n{json}"), "job.json", &options).is_err());
}

#[test]
fn a_text_that_is_too_long_is_refused_unread() {
    let limits = Limits { text_bytes_max: 10, ..Limits::default() };
    let problems = read_job("env { a = 1 }", "t", &ReadOptions { limits, ..hocon() }).expect_err("too long");
    assert_eq!(problems.to_string(), "error: t:1:1: the text has 13 bytes, and at most 10 are read");
}

#[test]
fn secrets_are_not_in_messages_nor_in_masked_trees() {
    let text = "source { A { password = hunter2, s3 { secret_key = hunter2 }, plugin_output = [hunter] } }";
    let tree = read_tree(text, "t", &hocon()).expect("a tree").0;
    assert!(!render_json(&tree, true).contains("hunter2"));
    assert!(render_json(&tree, false).contains("hunter2"));
    assert!(!format!("{:?}", examine_job(text, "t", &hocon())).contains("hunter2"));
    for (syntax, broken) in [
        (Syntax::Json, r#"{"env": {"password": hunter2}}"#),
        (Syntax::Hocon, "env { password = x,hunter2 }"),
        (Syntax::Hocon, "env { token = x hunter2 = y }"),
    ] {
        let problems = read_job(broken, "t", &ReadOptions { syntax, ..hocon() }).expect_err(broken);
        assert!(!problems.to_string().contains("hunter2"), "{problems}");
    }
}

#[test]
fn a_job_can_be_built_from_a_tree() {
    let json = r#"[{"env":{},"source":{"A":{}},"sink":[{"plugin_name":"B"}],"params":{"jobId":"1"}}]"#;
    let wrapped = format!("{{\"jobs\":{json}}}");
    let (tree, _) =
        read_tree(&wrapped, "r", &ReadOptions { syntax: Syntax::Json, ..ReadOptions::default() }).expect("a tree");
    let item = tree.get("jobs").and_then(Value::as_list).expect("jobs")[0].clone();
    let ValueKind::Object(tree) = item.kind else { panic!("an object") };
    let (job, warnings) = job_from_tree(tree, "r").unwrap_or_else(|problems| panic!("{problems}"));
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!((job.sources.len(), job.sinks.len()), (1, 1));
}

fn value() -> impl Strategy<Value = ValueKind> {
    let text = "[a-z\u{e4}\"\\\\\n #/{}:=$,-]{0,6}";
    let scalar = prop_oneof![
        Just(ValueKind::Null),
        any::<bool>().prop_map(ValueKind::Boolean),
        "(0|-?[1-9][0-9]{0,25})(\\.[0-9]{1,9})?".prop_map(|number| ValueKind::Number(number.into())),
        text.prop_map(|text| ValueKind::Text(text.into())),
    ];
    scalar.prop_recursive(4, 30, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| {
                ValueKind::List(items.into_iter().map(|kind| Value { kind, position: here() }).collect())
            }),
            prop::collection::btree_map(text, inner, 0..4).prop_map(|members| ValueKind::Object(object(members))),
        ]
    })
}

fn here() -> Position {
    Position { file: "".into(), line: 0, column: 0 }
}

fn object(members: std::collections::BTreeMap<String, ValueKind>) -> Object {
    let mut object = Object::default();
    for (key, kind) in members {
        object.insert(&key, here(), Value { kind, position: here() });
    }
    object
}

proptest! {
    #[test]
    fn what_is_rendered_is_read_back_by_both_parsers(members in prop::collection::btree_map("[a-z.]{1,4}", value(), 0..5)) {
        let tree = object(members);
        let text = render_json(&tree, false);
        for syntax in [Syntax::Json, Syntax::Hocon] {
            let options = ReadOptions { syntax, unresolved: Unresolved::Keep, ..ReadOptions::default() };
            let (again, warnings) = read_tree(&text, "t", &options).map_err(|problems| TestCaseError::fail(problems.to_string()))?;
            prop_assert!(warnings.is_empty(), "{}", warnings);
            prop_assert_eq!(&again, &tree);
        }
    }
}
