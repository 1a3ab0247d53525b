use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::config::render::render_json;

fn parsed(text: &str) -> Parsed {
    parse(text, "t".into(), Kind::Job, &Variables::default(), Includes::Forbidden, Limits::default())
}

/// The tree as JSON; every problem fails the test.
fn json(text: &str) -> String {
    let parsed = parsed(text);
    assert!(parsed.problems.is_empty(), "{text}\n{}", parsed.problems);
    render_json(&parsed.tree, false)
}

/// What is wrong with the text, one line each.
fn problems(text: &str) -> Vec<String> {
    parsed(text).problems.iter().map(ToString::to_string).collect()
}

fn only_problem(text: &str) -> String {
    let problems = problems(text);
    assert_eq!(problems.len(), 1, "{text}\n{problems:#?}");
    problems.concat()
}

#[test]
fn keys_and_values_may_be_written_in_every_way_of_hocon() {
    let same = r#"{"a":1,"b":"x y","c":{"d":true},"e":[1,2,3],"f":null}"#;
    for text in [
        "a = 1\nb = x y\nc { d = true }\ne = [1, 2, 3]\nf = null",
        "{ a : 1, b : \"x y\", c : { d : true }, e : [1, 2, 3], f : null }",
        r#"{"a":1,"b":"x y","c":{"d":true},"e":[1,2,3],"f":null}"#,
        "a=1,b=x y,c={d=true,},e=[1\n2\n3,],f=null,",
        "# one\na = 1 // two\nb = x y# three\n\nc\n{ d =\n true\n}\ne = [ // four\n 1\n # five\n 2, 3 ]\r\nf=null\r\n",
        "\u{feff}a=1\nb=x y\nc{d=true}e=[1,2,3]\nf=null",
    ] {
        assert_eq!(json(text), same, "{text}");
    }
}

#[test]
fn dotted_keys_stay_flat_and_arrows_make_paths() {
    assert_eq!(json("row.num = 5\n\"a.b\".c = 1"), r#"{"row.num":5,"a.b.c":1}"#);
    assert_eq!(json("a->b -> c.d = 1\na { x = 2 }\na->b->e = 3"), r#"{"a":{"b":{"c.d":1,"e":3},"x":2}}"#);
    assert_eq!(json("\"a->b\" = 1"), r#"{"a->b":1}"#);
}

#[test]
fn numbers_keep_their_digits_and_texts_their_blanks() {
    assert_eq!(
        json("a = 99999999999999999999.990\nb = 1e+5\nc = -0\nd = 007\ne = 2024-01-01\nf = 10 apples\ng = 1.10"),
        r#"{"a":99999999999999999999.990,"b":1e+5,"c":-0,"d":"007","e":"2024-01-01","f":"10 apples","g":1.10}"#
    );
    assert_eq!(
        json("a = x  y   # end\nb = \"  \"x\nc = true story\nd = ;"),
        r#"{"a":"x  y","b":"  x","c":"true story","d":";"}"#
    );
    assert_eq!(json("a = NULL\nb = True"), r#"{"a":"NULL","b":"True"}"#);
}

#[test]
fn three_quotes_hold_anything() {
    assert_eq!(
        json("q = \"\"\"\n select \"a\\n\"\n  from t # no comment\n\"\"\"\nr = \"\"\"\"x\"\"\"\"\nb = 1"),
        r#"{"q":"\n select \"a\\n\"\n  from t # no comment\n","r":"\"x\"","b":1}"#
    );
    assert!(only_problem("q = \"\"\"abc").starts_with("error: t:1:5: q: this \"\"\" is never closed"));
}

#[test]
fn objects_merge_and_later_values_win() {
    assert_eq!(json("a { x = 1, y = 2 }\na { y = 2\n z = 3 }\nb = 1\nb = [2]"), r#"{"a":{"x":1,"y":2,"z":3},"b":[2]}"#);
    assert_eq!(json("a { x = 1 } { y = 2 }"), r#"{"a":{"x":1,"y":2}}"#);
    assert_eq!(json("a = [1] [2]"), r#"{"a":[1,2]}"#);
    assert_eq!(
        only_problem("a { x = 1\nx = 2 }"),
        "warning: t:2:1: a, option 'x': 'x' is set twice: this value replaces the one of line 1"
    );
}

#[test]
fn plus_equals_adds_to_a_list() {
    assert_eq!(json("a = [1]\na += 2\na += [3]\nb += x"), r#"{"a":[1,2,[3]],"b":["x"]}"#);
    assert_eq!(json("base = [1]\na = ${base}\na += 2"), r#"{"base":[1],"a":[1,2]}"#);
    assert!(only_problem("a = 1\na += 2").contains("'a' is none (it was set in line 1)"));
}

#[test]
fn plugin_blocks_are_lists_that_may_repeat() {
    assert_eq!(
        json("source { Jdbc { a = 1 } Jdbc { a = 2 }\n Fake {} }\nsink{ Console {}, console = {} }"),
        r#"{"source":[{"plugin_name":"Jdbc","a":1},{"plugin_name":"Jdbc","a":2},{"plugin_name":"Fake"}],"sink":[{"plugin_name":"Console"},{"plugin_name":"console"}]}"#
    );
    assert_eq!(
        json("source = [ {plugin_name = A}, {plugin_name = B} ]\ntransform { X { plugin_name = Y } }\nsink {}"),
        r#"{"source":[{"plugin_name":"A"},{"plugin_name":"B"}],"transform":[{"plugin_name":"Y"}],"sink":[]}"#
    );
    // A root that is given twice holds the blocks of both; within a block `source` is an option like any other.
    assert_eq!(
        json("source { A { source = [x] } }\nsource { A { source { b = 1 } } }"),
        r#"{"source":[{"plugin_name":"A","source":["x"]},{"plugin_name":"A","source":{"b":1}}]}"#
    );
    assert_eq!(
        only_problem("source { A {}\n parallelism = 2 }"),
        "error: t:2:2: source[1] parallelism: expected the options of the plugin 'parallelism' in braces, found a number (help: write parallelism { ... })"
    );
}

#[test]
fn references_lead_to_paths_in_any_spelling() {
    assert_eq!(
        json(
            "base { dir = /data, n = 7 }\np = ${base.dir}/x\nq = ${base->n}\nr = ${base} { n = 8 }\nflat.key = v\ns = [${flat.key}]"
        ),
        r#"{"base":{"dir":"/data","n":7},"p":"/data/x","q":7,"r":{"dir":"/data","n":8},"flat.key":"v","s":["v"]}"#
    );
    assert_eq!(json("p = ${later}\nlater = 1"), r#"{"p":1,"later":1}"#);
    assert_eq!(
        json("a = 1\na = ${?none}\nb = [1, ${?none}]\nc = ${?none}\nd = x${?none}y"),
        r#"{"a":1,"b":[1],"d":"xy"}"#
    );
    assert_eq!(json("a = x\na = ${a}y\na = ${a}z"), r#"{"a":"xyz"}"#);
    assert_eq!(json("a { b = 1 }\nc = ${a}\nc { d = 2 }"), r#"{"a":{"b":1},"c":{"b":1,"d":2}}"#);
    assert_eq!(json("c { d = 2 }\nc = ${a}\na { b = 1 }"), r#"{"c":{"d":2,"b":1},"a":{"b":1}}"#);
    // Quoted text is none of them, and what leads nowhere is left to the variables.
    assert_eq!(json("a = 1\nb = \"${a}\"\nc = ${d}\ne = ${e:5}"), r#"{"a":1,"b":"${a}","c":"${d}","e":"${e:5}"}"#);
}

#[test]
fn references_in_circles_end() {
    assert_eq!(json("a = ${b}\nb = ${c}\nc = ${a}"), r#"{"a":"${b}","b":"${c}","c":"${a}"}"#);
    assert_eq!(json("a { b = ${a} }"), r#"{"a":{"b":{"b":"${a}"}}}"#);
}

#[test]
fn references_cannot_blow_a_config_up() {
    let mut bomb = String::from("a0 = [x, x, x, x, x, x, x, x, x, x]\n");
    let mut doubling = String::from("a = xxxxxxxxxx\n");
    let mut deep = String::from("z = 1\n");
    for level in 1..60 {
        bomb.push_str(&format!("a{level} = [${{a{0}}}, ${{a{0}}}, ${{a{0}}}, ${{a{0}}}]\n", level - 1));
        doubling.push_str("a = ${a}${a}\n");
    }
    for level in 0..5000 {
        deep.push_str(&format!("b{level} = [${{b{}}}]\n", level + 1));
    }
    let started = cpu_time();
    for (text, why) in [(bomb, "blow the config up"), (doubling, "grows too large"), (deep, "too deep")] {
        let problems = parsed(&text).problems;
        assert!(problems.errors().any(|problem| problem.message.contains(why)), "{why}: {problems}");
    }
    let took = cpu_time() - started;
    assert!(took.as_secs() < 60, "{took:?}");
}

/// CPU time of this thread.
fn cpu_time() -> std::time::Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live value.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    std::time::Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn hostile_texts_take_no_longer_than_their_length_allows() {
    let many = 60_000;
    // Of this thread: that others keep the machine busy says nothing about the parser.
    let started = cpu_time();
    let keys: String = (0..many).map(|key| format!("k{key}=1\n")).collect();
    assert_eq!(parsed(&keys).tree.len(), many);
    let opened = "a{".repeat(many);
    assert!(parsed(&opened).problems.has_errors());
    let one_line: String = (0..many).map(|key| format!("k{key}{{}}")).collect();
    assert_eq!(parsed(&one_line).tree.len(), many);
    let overriding = "a = ${?b}\n".repeat(many);
    assert!(parsed(&overriding).tree.is_empty());
    let adding = format!("a = ${{b}}\n{}b = []", "a += 1\n".repeat(many));
    assert_eq!(parsed(&adding).tree.get("a").and_then(Value::as_list).map(<[Value]>::len), Some(many));
    let broken = "a { = }\n".repeat(many);
    let problems = parsed(&broken).problems;
    assert_eq!(problems.len() + problems.left_out(), many);
    let around = "x".repeat(500_000);
    let inside: String = (0..many).map(|key| format!("k{key}=1\n")).collect();
    assert!(!parsed(&format!("{around} {{ {inside} }}")).problems.has_errors());
    let took = cpu_time() - started;
    assert!(took.as_secs() < 60, "{took:?}");
}

#[test]
fn each_broken_block_is_told_once_and_the_rest_is_read() {
    let text = "env { parallelism = = 2, job.mode = BATCH }
source {
  A { path = \"open
      x = 1 }
  B { y = 2 }
}
transform {
  C { list = [1, 2 }
  D { key }
}
sink { E { ok = 1 } }
";
    assert_eq!(
        problems(text),
        [
            "error: t:1:21: env, option 'parallelism': '=' cannot stand in text without quotes (help: text that holds it goes in double quotes; keys with values go in braces)",
            "error: t:3:14: source[0] A, option 'path': this quoted text does not end on its line: expected '\"' (help: text of several lines goes between \"\"\" and \"\"\")",
            "error: t:8:20: transform[0] C, option 'list': expected a value or ']', found '}' (help: the '[' of line 8 is not closed yet)",
            "error: t:9:7: transform[1] D: expected '=', ':' or '{' after the key 'key', found '}'",
        ]
    );
    let parsed = parsed(text);
    assert_eq!(
        render_json(&parsed.tree, false),
        r#"{"env":{},"source":[{"plugin_name":"A"},{"plugin_name":"B","y":2}],"transform":[{"plugin_name":"C"},{"plugin_name":"D"}],"sink":[{"plugin_name":"E","ok":1}]}"#
    );
    assert!(!parsed.structure_lost);
    let damaged: Vec<String> = parsed.damaged.iter().map(ToString::to_string).collect();
    assert_eq!(damaged, ["t:3:3", "t:8:3", "t:9:3"]);
}

#[test]
fn a_missing_brace_is_told_where_it_was_opened() {
    assert_eq!(
        only_problem("env {\n  a = 1\n\nsource {\n  A { }\n}\n"),
        "error: t:1:5: env: this '{' is never closed: expected '}' before the end of the text"
    );
    assert_eq!(
        only_problem("source {\n  A {\n    x = 1\n}\nsink {\n  B { }\n}\n"),
        "error: t:1:8: source: this '{' is never closed: expected '}' before the end of the text (help: the '}' in line 4 closes the '{' of line 2, but stands in another column: perhaps a '}' is missing between them)"
    );
    assert!(parsed("env {").structure_lost);
    assert_eq!(
        only_problem("env { }\n}\nsource { }"),
        "error: t:2:1: this '}' closes nothing: expected a key or the end of the text"
    );
    assert!(only_problem("a = [1,\n 2").contains("this '[' is never closed"));
}

#[test]
fn mistakes_are_told_with_their_cure() {
    for (text, place, says, cure) in [
        ("env { a = 1 b = 2 }", "t:1:15", "expected ',' or the end of the line", "separated by commas"),
        ("env { path =\n mode = x }", "t:1:7", "'path' has no value", "the next line, 'mode = ...', is another key"),
        ("env { url = x http://x:80 }", "t:1:19", "'//' begins a comment", "double quotes"),
        ("env { path = C:\\data }", "t:1:16", "'\\' cannot stand in text", "double quotes"),
        ("env { path =\n mode=x }", "t:1:7", "'path' has no value", "the next line, 'mode = ...', is another key"),
        ("env { a = 1 b=2 }", "t:1:14", "expected ',' or the end of the line", "separated by commas"),
        ("env { a = [b=1] }", "t:1:13", "'=' cannot stand in text", "in braces"),
        ("env { type = map<string, int> }", "t:1:26", "expected '=', ':' or '{'", "\"map<string, int>\""),
        ("env { a = x { b = 1 } }", "t:1:13", "text and an object side by side", "comma or a line break"),
        ("env { a = \"C:\\data\" }", "t:1:14", "after '\\', found 'd'", "a backslash itself is written \\\\"),
        ("env { a = b$c }", "t:1:12", "'$' cannot stand", "${name}"),
        ("env { a = ${b\n }", "t:1:11", "this '${' is never closed", ""),
        ("env { a = ${} }", "t:1:11", "expected a name", ""),
        ("env { , a = 1 }", "t:1:7", "expected a key, found ','", "one comma too many"),
        ("env { a = [1,,2] }", "t:1:14", "expected a value or ']', found ','", "one comma too many"),
        ("env { { a = 1 } }", "t:1:7", "expected a key, found '{'", "in a list"),
        ("env { a = [ b = 1 ] }", "t:1:15", "'=' cannot stand in text", "in braces"),
        ("env { a-> = 1 }", "t:1:7", "expected a key behind '->'", ""),
        ("[ { } ]", "t:1:1", "expected an object, found a list", "env { ... }"),
        ("{ a = 1 } b", "t:1:11", "expected the end of the text", ""),
        ("include \"x\"", "t:1:1", "did not come from a local file", ""),
    ] {
        let problem = only_problem(text);
        assert!(problem.starts_with(&format!("error: {place}: ")), "{problem}");
        assert!(problem.contains(says) && problem.contains(cure), "{problem}");
    }
    assert!(only_problem("a = [ {b = 1} {c = 2} ]").starts_with("warning: t:1:15: "));
    assert!(only_problem("a = \u{201c}b\u{201d}").contains("typographic quotes"));
}

#[test]
fn text_that_should_be_quoted_is_read_where_it_can_mean_nothing_else() {
    let text = "url = jdbc:mysql://host:3306/db?a=b&c=d\npath = /data/*.csv # comment
        hosts = [http://a:80/x, b:9092]\nquery = select * from t where a > 1\nb { mail = me@home } c = x//comment
        d:e:f\ng = +1 // not a number\nh = a=b, i = C:/x}";
    let parsed = parsed(text.trim_end_matches('}'));
    assert!(!parsed.problems.has_errors(), "{}", parsed.problems);
    assert_eq!(
        render_json(&parsed.tree, false),
        r#"{"url":"jdbc:mysql://host:3306/db?a=b&c=d","path":"/data/*.csv","hosts":["http://a:80/x","b:9092"],"query":"select * from t where a > 1","b":{"mail":"me@home"},"c":"x","d":"e:f","g":"+1","h":"a=b","i":"C:/x"}"#
    );
    assert!(parsed.problems.to_string().starts_with(
        "warning: t:1:7: url: the text without quotes holds ':' (help: put the whole text in double quotes: the original demands it)"
    ), "{}", parsed.problems);
}

#[test]
fn a_bad_escape_does_not_swallow_what_follows() {
    let text = "source { A { path = \"C:\\data\", x = 1 }\n B { p = \"\\d}\" } }\nsink { C { } }";
    assert_eq!(problems(text).len(), 2);
    let parsed = parsed(text);
    assert_eq!(
        render_json(&parsed.tree, false),
        r#"{"source":[{"plugin_name":"A"},{"plugin_name":"B"}],"sink":[{"plugin_name":"C"}]}"#
    );
}

#[test]
fn nesting_is_bounded() {
    let limits = Limits { depth_max: 8, ..Limits::default() };
    let read = |text: &str| {
        parse(text, "t".into(), Kind::Job, &Variables::default(), Includes::Forbidden, limits).problems.has_errors()
    };
    assert!(!read(&format!("{}{}", "a{".repeat(8), "}".repeat(8))));
    assert!(read(&format!("{}{}", "a{".repeat(9), "}".repeat(9))));
    assert!(read(&format!("a = {}{}", "[".repeat(9), "]".repeat(9))));
    assert!(read(&format!("{}z = 1", "a->".repeat(9))));
    assert!(read("a->b->c { a->b->c { a->b->c { z = 1 } } }"));
}

// ---------------------------------------------------------------------------------------- includes

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("a file");
}

fn with_includes(text: &str, includes: Includes) -> Parsed {
    parse(text, "job.conf".into(), Kind::Job, &Variables::default(), includes, Limits::default())
}

#[test]
fn included_files_stand_where_the_include_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("more")).expect("a folder");
    write(folder.path(), "env.conf", "env { parallelism = 2 }\nroot = /data");
    write(folder.path(), "blocks.conf", "A { include file(\"more/options.json\") }\nA { }");
    write(&folder.path().join("more"), "options.json", r#"{"x": 1, "y": {"z": 2}}"#);
    write(&folder.path().join("more"), "row.conf", "own = 1\nboth = ${own}\nup = ${root}\ninclude \"beside\"");
    write(&folder.path().join("more"), "beside.conf", "b = 1");
    let text = "include \"env\"\nenv { job.mode = BATCH }\nsource { include required(file(\"blocks.conf\")) }
        r { include \"more/row.conf\" }\ninclude = key\nown = 2";
    for includes in [Includes::Anywhere(folder.path().into()), Includes::Within(folder.path().into())] {
        let parsed = with_includes(text, includes);
        assert!(parsed.problems.is_empty(), "{}", parsed.problems);
        assert_eq!(
            render_json(&parsed.tree, false),
            r#"{"env":{"parallelism":2,"job.mode":"BATCH"},"root":"/data","source":[{"plugin_name":"A","x":1,"y":{"z":2}},{"plugin_name":"A"}],"r":{"own":1,"both":1,"up":"/data","b":1},"include":"key","own":2}"#
        );
    }
}

#[test]
fn includes_do_not_leave_the_folder_nor_run_in_circles() {
    let outer = tempfile::tempdir().expect("a folder");
    let folder = outer.path().join("jobs");
    std::fs::create_dir(&folder).expect("a folder");
    write(outer.path(), "secret.conf", "a = 1");
    write(&folder, "loop.conf", "include \"loop.conf\"");
    write(&folder, "broken.conf", "x { y }");
    std::os::unix::fs::symlink(outer.path().join("secret.conf"), folder.join("link.conf")).expect("a link");
    let problem = |text: &str, includes: &Includes| {
        let problems = with_includes(text, includes.clone()).problems;
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let within = Includes::Within(folder.clone());
    let anywhere = Includes::Anywhere(folder.clone());
    let absolute = format!("include \"{}\"", outer.path().join("secret.conf").display());
    for text in ["include \"../secret.conf\"", "include \"link.conf\"", absolute.as_str()] {
        assert!(problem(text, &within).contains("lies outside of the folder"), "{text}");
        assert_eq!(problem(text, &anywhere), "", "{text}");
    }
    assert!(problem("include \"loop.conf\"", &anywhere).contains("it includes itself"));
    assert!(problem("include \"none.conf\"", &anywhere).starts_with("warning: job.conf:1:1: 'none.conf' is not there"));
    assert!(problem("include required(\"none.conf\")", &anywhere).starts_with("error: job.conf:1:1: cannot include"));
    assert!(problem("include url(\"http://x\")", &anywhere).contains("only files can be included"));
    assert!(problem("include \"broken.conf\"", &anywhere).contains("broken.conf:1:5: x: expected '='"));
}

// -------------------------------------------------------------------------------------- properties

/// A config with a bit of everything.
const SAMPLE: &str = "# a job
env { job.mode = BATCH, parallelism = 2 } // both
base = { dir = \"/data\", list = [1, 2.50, x y] }
source {
  Fake {
    rows = [
      { kind = INSERT, fields = [1, \"a\\n\", null] }
      { kind = DELETE }, [true]
    ]
    path = ${base.dir}\"/in\" ${?none}
    schema -> fields { a = \"map<string, {b=int}>\", c.d = bigint }
  } Fake { n += 1, n += ${base.list} }
}
sink { Console { query = \"\"\"
  select \"x\"
\"\"\" } }
";

#[test]
fn the_sample_is_read() {
    assert_eq!(
        json(SAMPLE),
        r#"{"env":{"job.mode":"BATCH","parallelism":2},"base":{"dir":"/data","list":[1,2.50,"x y"]},"source":[{"plugin_name":"Fake","rows":[{"kind":"INSERT","fields":[1,"a\n",null]},{"kind":"DELETE"},[true]],"path":"/data/in","schema":{"fields":{"a":"map<string, {b=int}>","c.d":"bigint"}}},{"plugin_name":"Fake","n":[1,[1,2.50,"x y"]]}],"sink":[{"plugin_name":"Console","query":"\n  select \"x\"\n"}]}"#
    );
}

proptest! {
    #[test]
    fn a_config_with_mistakes_is_read_with_problems_that_are_in_it(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize, "[{}\\[\\]\"=:,$#\\\\/a \n+.-]{0,2}"), 1..5)
    ) {
        let mut text: Vec<char> = SAMPLE.chars().collect();
        for (at, removed, put) in edits {
            let at = at.index(text.len());
            let end = (at + removed).min(text.len());
            text.splice(at..end, put.chars());
        }
        let text: String = text.into_iter().collect();
        let lines: Vec<&str> = text.split('\n').collect();
        let parsed = parsed(&text);
        for problem in parsed.problems.iter() {
            let position = problem.position.as_ref().expect("a place");
            let line = lines.get(position.line as usize - 1).expect("a line of the text");
            prop_assert!(position.column as usize <= line.chars().count() + 1, "{problem}");
        }
        // One syntax error a block: the sample has eleven objects, lists aside.
        prop_assert!(parsed.problems.errors().count() <= 20, "{}", parsed.problems);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "[ -~\n\u{e4}\u{20ac}]{0,200}") {
        parsed(&text);
    }

    #[test]
    fn texts_that_look_like_configs_are_read_without_a_panic(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "env", "source", "sink", " ", "\n", "{", "}", "[", "]", "=", ":", ",", "\"", "\"\"\"", "${", "${?", "a", "b.c",
            "->", "+=", "#", "//", "\\", "1", "-1.5", "true", "null", "include ", "\"x\"", "${a}", "${?b.c}", "required(", "é",
        ]), 0..60)
    ) {
        parsed(&pieces.concat());
    }
}
