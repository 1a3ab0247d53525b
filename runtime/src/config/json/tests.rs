use proptest::prelude::*;

use super::*;
use crate::config::render::render_json;

fn fast(text: &str) -> Option<(Object, Problems)> {
    let mut problems = Problems::default();
    fast::read(text, &"t".into(), Limits::default(), &mut problems).map(|tree| (tree, problems))
}

fn strict(text: &str) -> Parsed {
    reader::read(text, &"t".into(), Limits::default())
}

fn only_problem(text: &str) -> String {
    let parsed = parse(text, &"t".into(), Limits::default());
    assert_eq!(parsed.problems.len(), 1, "{text}\n{}", parsed.problems);
    parsed.problems.to_string()
}

/// Every key and value with its place.
fn places(object: &Object, into: &mut Vec<String>) {
    fn of_value(value: &Value, into: &mut Vec<String>) {
        into.push(format!("{value:?} {}", value.position));
        match &value.kind {
            ValueKind::Object(object) => places(object, into),
            ValueKind::List(items) => items.iter().for_each(|item| of_value(item, into)),
            _ => {}
        }
    }
    for entry in object.entries() {
        into.push(format!("{} {}", entry.key, entry.key_position));
        of_value(&entry.value, into);
    }
}

fn both_agree(text: &str) {
    let by_reader = strict(text);
    match fast(text) {
        Some((tree, problems)) => {
            assert!(!by_reader.problems.has_errors(), "only the fast way reads {text:?}: {}", by_reader.problems);
            assert_eq!(tree, by_reader.tree, "{text:?}");
            assert_eq!(problems, by_reader.problems, "{text:?}");
            let (mut here, mut there) = (Vec::new(), Vec::new());
            places(&tree, &mut here);
            places(&by_reader.tree, &mut there);
            assert_eq!(here, there, "{text:?}");
        }
        // The fast way may refuse what it cannot hold; the reader then has the word.
        None => assert!(by_reader.problems.has_errors() || has_unusual_number(text), "only the reader reads {text:?}"),
    }
}

/// Numbers that simd-json cannot hold: whole ones beyond 64 bits, and exponents beyond doubles.
fn has_unusual_number(text: &str) -> bool {
    text.split(|next: char| !(next.is_ascii_digit() || "+-.eE".contains(next)))
        .any(|word| word.len() > 15 || word.contains(['e', 'E']))
}

#[test]
fn the_fast_way_keeps_digits_places_and_order() {
    let text = "{\n  \"z\": 1.10, \"ä\\\"\": [true, null, \"x\\u00e9\\n\"],\n  \"a\": {\"n\": 123456789.12345678901234567890, \"m\": -0}\n}";
    let (tree, problems) = fast(text).expect("valid");
    assert!(problems.is_empty());
    assert_eq!(
        render_json(&tree, false),
        r#"{"z":1.10,"ä\"":[true,null,"xé\n"],"a":{"n":123456789.12345678901234567890,"m":-0}}"#
    );
    let a = tree.entry("a").expect("a");
    assert_eq!(a.key_position.to_string(), "t:3:3");
    let n = a.value.as_object().and_then(|object| object.get("n")).expect("n");
    assert_eq!(n.position.to_string(), "t:3:14");
    assert_eq!(tree.get("ä\"").expect("list").position.to_string(), "t:2:21");
    both_agree(text);
}

#[test]
fn numbers_beyond_64_bits_are_read_with_all_their_digits() {
    let text = r#"{"a": 123456789012345678901234567890, "b": 1e400}"#;
    let parsed = parse(text, &"t".into(), Limits::default());
    assert!(parsed.problems.is_empty(), "{}", parsed.problems);
    assert_eq!(render_json(&parsed.tree, false), r#"{"a":123456789012345678901234567890,"b":1e400}"#);
}

#[test]
fn plugin_blocks_by_name_are_lists_here_too() {
    let text =
        r#"{"source": {"Jdbc": {"a": 1}, "Jdbc": {"a": 2}}, "sink": [{"plugin_name": "X", "source": {"k": 1}}]}"#;
    let parsed = parse(text, &"t".into(), Limits::default());
    assert!(parsed.problems.is_empty(), "{}", parsed.problems);
    assert_eq!(
        render_json(&parsed.tree, false),
        r#"{"source":[{"plugin_name":"Jdbc","a":1},{"plugin_name":"Jdbc","a":2}],"sink":[{"plugin_name":"X","source":{"k":1}}]}"#
    );
    both_agree(text);
    assert!(only_problem(r#"{"source": {"Jdbc": 1}}"#).contains("expected the options of the plugin 'Jdbc' in braces"));
}

#[test]
fn a_key_given_twice_counts_as_the_last_one_says() {
    let text = "{\"a\": 1,\n \"b\": 2, \"a\": 3}";
    let parsed = parse(text, &"t".into(), Limits::default());
    assert_eq!(render_json(&parsed.tree, false), r#"{"a":3,"b":2}"#);
    assert_eq!(
        parsed.problems.to_string(),
        "warning: t:2:10: 'a' is given twice: this value replaces the one of line 1"
    );
    both_agree(text);
}

#[test]
fn broken_json_is_told_with_place_and_cure() {
    for (text, says) in [
        ("", "t:1:1: expected a JSON object, found the end of the text"),
        ("[1]", "t:1:1: expected a JSON object, found '['"),
        ("{\"a\": 1,}", "t:1:9: expected a key in double quotes, found '}' (help: JSON allows no comma before"),
        ("{\"a\": [1, 2,]}", "t:1:13: expected a value, found ']' (help: JSON allows no comma before"),
        ("{\"a\" 1}", "t:1:6: expected ':' after the key \"a\", found '1'"),
        ("{\"a\": 1 \"b\": 2}", "t:1:9: expected ',' or '}', found '\"'"),
        ("{\"a\": 01}", "'01' is not a JSON number"),
        ("{\"a\": .5}", "'.5' is not a JSON number"),
        ("{\"a\": abc}", "expected a value, found 'abc' (help: in JSON all text is in double quotes)"),
        ("{\"a\": True}", "found 'True' (help: write it in lower case)"),
        ("{'a': 1}", "expected a key in double quotes, found '''"),
        ("{\"a\": 1 // no\n}", "t:1:9: comments are not allowed in JSON"),
        ("{ # no\n\"a\": 1}", "t:1:3: comments are not allowed in JSON"),
        ("{\"a\": \"x\ny\"}", "t:1:7: this quoted text does not end on its line"),
        ("{\"a\": \"\\x\"}", "t:1:8: expected one of"),
        ("{\"a\": \"\\ud800\"}", "half of a surrogate pair"),
        ("{\"a\": {\"b\": 1}", "t:1:1: this '{' is never closed"),
        ("{\"a\": [1", "t:1:7: this '[' is never closed"),
        ("{} x", "t:1:4: expected the end of the text, found 'x'"),
    ] {
        let problem = only_problem(text);
        assert!(problem.contains(says), "{problem}\nexpected {says}");
        both_agree(text);
    }
}

#[test]
fn each_broken_object_is_told_once_and_the_rest_is_read() {
    let text =
        r#"{"env": {"a": }, "source": [{"plugin_name": "A", "x" 1}, {"plugin_name": "B"}], "sink": [{"y": 'q'}]}"#;
    let parsed = parse(text, &"t".into(), Limits::default());
    assert_eq!(parsed.problems.len(), 3, "{}", parsed.problems);
    assert_eq!(
        render_json(&parsed.tree, false),
        r#"{"env":{},"source":[{"plugin_name":"A"},{"plugin_name":"B"}],"sink":[{}]}"#
    );
    assert!(parsed.damaged.iter().any(|position| position.column == 29), "{:?}", parsed.damaged);
}

#[test]
fn nesting_is_bounded() {
    let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(!parse(&deep(63), &"t".into(), Limits::default()).problems.has_errors());
    for levels in [64, 100, 5000, 100_000] {
        assert!(only_problem(&deep(levels)).contains("nested more than 64 levels deep"));
    }
}

fn json_text() -> impl Strategy<Value = String> {
    let blank = prop::sample::select(vec!["", " ", "\n ", "\t"]);
    let text = prop_oneof![
        "[a-z\u{e4}\u{1f600} ]{0,6}".prop_map(|text| format!("\"{text}\"")),
        prop::sample::select(vec![
            r#""\"""#,
            r#""\\""#,
            r#""a\\\"b""#,
            r#""\u00e9\ud83d\ude00""#,
            r#""\/\b\f\n\r\t""#,
            r#""{[,:]}""#
        ])
        .prop_map(str::to_owned),
    ];
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
    ];
    let scalar =
        prop_oneof![text.clone(), number, prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned)];
    let value = scalar.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..5), blank.clone())
                .prop_map(|(items, blank)| format!("[{blank}{}{blank}]", items.join(&format!("{blank},{blank}")))),
            (prop::collection::vec((text.clone(), inner), 0..5), blank.clone()).prop_map(|(members, blank)| {
                let members: Vec<String> =
                    members.into_iter().map(|(key, value)| format!("{key}{blank}:{blank}{value}")).collect();
                format!("{{{blank}{}{blank}}}", members.join(&format!("{blank},")))
            }),
        ]
    });
    prop::collection::vec(value, 0..4).prop_map(|values| {
        let members: Vec<String> =
            values.iter().enumerate().map(|(key, value)| format!("\"k{key}\": {value}")).collect();
        format!("{{{}}}", members.join(",\n"))
    })
}

proptest! {
    #[test]
    fn both_readers_agree_on_valid_json(text in json_text()) {
        prop_assert!(!strict(&text).problems.has_errors(), "{text}");
        both_agree(&text);
    }

    #[test]
    fn both_readers_agree_on_broken_json(text in json_text(), at in any::<prop::sample::Index>(), put in "[{}\\[\\],:\"\\\\0-9a.+e \u{e4}-]?") {
        let ends: Vec<usize> = text.char_indices().map(|(index, _)| index).collect();
        let at = ends[at.index(ends.len())];
        let behind = at + text[at..].chars().next().map_or(0, char::len_utf8);
        both_agree(&format!("{}{put}{}", &text[..at], &text[behind..]));
    }

    #[test]
    fn rendered_trees_are_read_back_the_same(text in json_text()) {
        let tree = strict(&text).tree;
        let again = strict(&render_json(&tree, false));
        prop_assert!(!again.problems.has_errors());
        prop_assert_eq!(&again.tree, &tree);
    }
}
