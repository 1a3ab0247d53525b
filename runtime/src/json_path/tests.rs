//! The meaning of paths, case by case.

use proptest::prelude::*;

use super::*;

const STORE: &str = r#"{
  "store": {
    "book": [
      {"category": "reference", "author": "Nigel Rees", "title": "Sayings of the Century", "price": 8.95},
      {"category": "fiction", "author": "Evelyn Waugh", "title": "Sword of Honour", "price": 12.99},
      {"category": "fiction", "author": "Herman Melville", "title": "Moby Dick", "isbn": "0-553-21311-3", "price": 8.99},
      {"category": "fiction", "author": "J. R. R. Tolkien", "title": "The Lord of the Rings", "isbn": "0-395-19395-8",
       "price": 22.99}
    ],
    "bicycle": {"color": "red", "price": 19.95}
  },
  "expensive": 10,
  "numbers": [1, 2, 3, 4],
  "odd name": {"it's": null},
  "tags": [["new", "red"], ["old"], []],
  "big": 123456789012345678901234567890.10
}"#;

fn read(path: &str) -> String {
    read_of(STORE, path)
}

fn read_of(text: &str, path: &str) -> String {
    let document = Json::read(text).expect("JSON");
    match JsonPath::parse(path) {
        Ok(path) => path.read(&document).map_or_else(|error| error.to_string(), |found| found.to_string()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn definite_paths_give_their_value() {
    for (path, expected) in [
        ("$.expensive", "10"),
        ("expensive", "10"),
        ("$.big", "123456789012345678901234567890.10"),
        ("$['store'][\"bicycle\"].color", r#""red""#),
        ("$.store.book[0].title", r#""Sayings of the Century""#),
        ("$.store.book[-1].price", "22.99"),
        ("store.book[1].price", "12.99"),
        ("$.['odd name']['it\\'s']", "null"),
        ("$.numbers", "[1,2,3,4]"),
        (" $.expensive ", "10"),
        ("$.store.bicycle['price','color','none']", r#"{"price":19.95,"color":"red"}"#),
    ] {
        assert!(JsonPath::parse(path).expect(path).is_definite(), "{path}");
        assert_eq!(read(path), expected, "{path}");
    }
    assert_eq!(read_of("[1,2]", "$"), "[1,2]");
    assert_eq!(read_of("7", "$"), "7");
    assert_eq!(read_of("[[1],[2]]", "[1][0]"), "2");
}

#[test]
fn definite_paths_that_lead_nowhere_fail() {
    for (path, expected) in [
        ("$.nothing", "no results for path $['nothing']"),
        ("$.store.nothing.more", "no results for path $['store']['nothing']"),
        ("$.expensive.more", "no results for path $['expensive']['more']: a number stands before its last step"),
        ("$.store[0]", "no results for path $['store'][0]: an object stands before its last step"),
        ("$.numbers[4]", "no results for path $['numbers'][4]"),
        ("$.numbers[-5]", "no results for path $['numbers'][-5]"),
        ("$.expensive[*].x", "[]"),
        ("$.expensive[0:1]", "no results for path $['expensive'][0:1]: a number stands before its last step"),
    ] {
        assert_eq!(read(path), expected, "{path}");
    }
}

#[test]
fn other_paths_give_lists() {
    for (path, expected) in [
        ("$.store.book[*].price", "[8.95,12.99,8.99,22.99]"),
        ("$.store..price", "[8.95,12.99,8.99,22.99,19.95]"),
        ("$..book[2].title", r#"["Moby Dick"]"#),
        ("$..book[-1:].title", r#"["The Lord of the Rings"]"#),
        ("$.numbers[0,2,9]", "[1,3]"),
        ("$.numbers[1:]", "[2,3,4]"),
        ("$.numbers[:2]", "[1,2]"),
        ("$.numbers[1:3]", "[2,3]"),
        ("$.numbers[-2:]", "[3,4]"),
        ("$.numbers[:-1]", "[1,2,3]"),
        ("$.numbers[1:-1]", "[2,3]"),
        ("$.numbers[3:1]", "[]"),
        ("$.numbers[-9:2]", "[1,2]"),
        ("$.store.bicycle.*", r#"["red",19.95]"#),
        ("$.store.bicycle[*]", r#"["red",19.95]"#),
        ("$..isbn", r#"["0-553-21311-3","0-395-19395-8"]"#),
        ("$..nothing", "[]"),
        ("$.tags[*][0]", r#"["new","old"]"#),
        ("$.store['bicycle','car'].color", r#"["red"]"#),
        (
            "$..['isbn','title']",
            r#"[{"isbn":"0-553-21311-3","title":"Moby Dick"},{"isbn":"0-395-19395-8","title":"The Lord of the Rings"}]"#,
        ),
    ] {
        assert!(!JsonPath::parse(path).expect(path).is_definite(), "{path}");
        assert_eq!(read(path), expected, "{path}");
    }
    assert_eq!(read_of(r#"{"a":[1,{"b":2}]}"#, "$..*"), r#"[[1,{"b":2}],1,{"b":2},2]"#);
    assert_eq!(read_of(r#"{"a":[1,[2,3]]}"#, "$..[0]"), "[1,2]");
}

#[test]
fn filters_choose_items() {
    let titles = |condition: &str| read(&format!("$.store.book[?({condition})].title"));
    for (condition, expected) in [
        ("@.price < 10", r#"["Sayings of the Century","Moby Dick"]"#),
        ("@.price > $.expensive && @.isbn", r#"["The Lord of the Rings"]"#),
        ("!@.isbn", r#"["Sayings of the Century","Sword of Honour"]"#),
        ("!(@.isbn || @.price > 12)", r#"["Sayings of the Century"]"#),
        ("@.category == 'reference' || @.price >= 22.99", r#"["Sayings of the Century","The Lord of the Rings"]"#),
        ("@.author =~ /.*tolkien/i", r#"["The Lord of the Rings"]"#),
        ("@.author =~ /.*tolkien/", "[]"),
        ("@.author =~ /Tolkien/", "[]"),
        ("/moby dick/i =~ @.title", r#"["Moby Dick"]"#),
        ("@.category in ['reference', 'poetry']", r#"["Sayings of the Century"]"#),
        ("@.category nin ['fiction']", r#"["Sayings of the Century"]"#),
        ("@.title contains 'of'", r#"["Sayings of the Century","Sword of Honour","The Lord of the Rings"]"#),
        ("@.isbn empty false", r#"["Moby Dick","The Lord of the Rings"]"#),
        ("@.title size 9", r#"["Moby Dick"]"#),
        ("@['price'] == 8.950", r#"["Sayings of the Century"]"#),
        ("@.price == '8.95'", r#"["Sayings of the Century"]"#),
        ("@.price === '8.95'", "[]"),
        ("@.price !== '8.95' && @.price < 9", r#"["Sayings of the Century","Moby Dick"]"#),
        ("@.isbn != '0-395-19395-8'", r#"["Sayings of the Century","Sword of Honour","Moby Dick"]"#),
        ("@.price>12.99", r#"["The Lord of the Rings"]"#),
        ("@.price<=8.95", r#"["Sayings of the Century"]"#),
    ] {
        assert_eq!(titles(condition), expected, "{condition}");
    }
    for (path, expected) in [
        ("$.numbers[?(@ > 2)]", "[3,4]"),
        ("$.numbers[?(@ == null)]", "[]"),
        ("$.tags[?(@.length() == 2)]", r#"[["new","red"]]"#),
        ("$.tags[?(@ contains 'old')]", r#"[["old"]]"#),
        ("$.tags[?(@ empty true)]", "[[]]"),
        ("$.tags[?(@ anyof ['red', 'blue'])]", r#"[["new","red"]]"#),
        ("$.tags[?(@ noneof ['red', 'blue'])]", r#"[["old"],[]]"#),
        ("$.tags[?(@ subsetof ['old', 'older'])]", r#"[["old"],[]]"#),
        ("$.tags[?(@ all ['new'])]", r#"[["new","red"]]"#),
        ("$.tags[?(@[*])]", r#"[["new","red"],["old"]]"#),
        ("$.store.bicycle[?(@.color == 'red')]", r#"[{"color":"red","price":19.95}]"#),
        ("$..[?(@.color)].price", "[19.95]"),
        ("$..[?(@.isbn)].price", "[8.99,22.99]"),
        ("$.expensive[?(@ > 1)]", "no results for path $['expensive'][?]: a number stands before its last step"),
        (r#"$..book[?(@ == {"category":"x"})]"#, "[]"),
    ] {
        assert_eq!(read(path), expected, "{path}");
    }
}

#[test]
fn functions_take_what_the_path_finds() {
    for (path, expected) in [
        ("$.numbers.length()", "4"),
        ("$.numbers.size()", "4"),
        ("$.store.length()", "2"),
        ("$.expensive.length()", "null"),
        ("$.numbers.sum()", "10.0"),
        ("$.numbers.min()", "1.0"),
        ("$.numbers.max()", "4.0"),
        ("$.numbers.avg()", "2.5"),
        ("$.numbers.stddev()", "1.118033988749895"),
        ("$..price.max()", "22.99"),
        ("$.store.book[*].price.min()", "8.95"),
        ("$.store.book.length()", "4"),
        ("$..book.length()", "1"),
        ("$.store.bicycle.keys()", r#"["color","price"]"#),
        ("$.store.bicycle.keys().length()", "2"),
        ("$.numbers.first()", "1"),
        ("$.numbers.last()", "4"),
        ("$.numbers.index(-2)", "3"),
        ("$.numbers.append(5)", "[1,2,3,4,5]"),
        ("$.tags[0].concat()", r#""newred""#),
        ("$.concat($.store.bicycle.color, \"-\", $.expensive)", r#""red-10""#),
        ("$.sum($.numbers, 5)", "15.0"),
        ("$.sum(1, 2)", "3.0"),
        ("$.tags[2].sum()", "there are no numbers to aggregate"),
        ("$.tags[2].first()", "a list of 0 has no item 0"),
        ("$.nothing.length()", "no results for path $['nothing']"),
        ("$.expensive.first()", "a list is expected in front of the function, found a number"),
    ] {
        assert_eq!(read(path), expected, "{path}");
    }
}

#[test]
fn what_is_no_path_is_refused_with_its_place() {
    for (path, expected) in [
        ("", "character 1: is empty"),
        ("$.", "character 3: a path must not end with '.' or '..'"),
        ("$..", "character 4: a path must not end"),
        ("$...a", "character 4: a name, '*' or '[' is expected behind '.'"),
        ("$a", "character 2: '.' or '[' is expected"),
        ("$.a b", "character 4: a name with blanks must be written as ['my name']"),
        ("$[a]", "character 3: a name in quotes, an index"),
        ("$['a", "character 3: a text in ' is not closed"),
        ("$['a'", "character 6: ']' is expected"),
        ("$['a',]", "a name in quotes is expected"),
        ("$[1", "']' is expected"),
        ("$[1,]", "an index is expected"),
        ("$[:]", "a slice needs an index"),
        ("$[0:4:2]", "slices have no steps"),
        ("$[99999999999]", "the index is too large"),
        ("$[-]", "digits are expected"),
        ("$.a.foo()", "character 5: there is no function 'foo'; there are min, max"),
        ("$.a.length().b", "only functions can follow a function"),
        ("$.a.length()[0]", "only functions can follow a function"),
        ("$.a.index()", "index() takes one argument"),
        ("$.sum(1", "',' is expected behind an argument of sum()"),
        ("$[?]", "a filter is written [?(...)]"),
        ("$[?(@.a]", "')' is expected behind a condition"),
        ("$[?(@.a ==)]", "a path, a text in quotes, a number"),
        ("$[?(1)]", "a value alone is no condition"),
        ("$[?(@.a like 1)]", "an operator is expected"),
        ("$[?(@.a =~ 'x')]", "a pattern is expected"),
        ("$[?(@.a =~ /x)]", "a pattern is not closed"),
        ("$[?(@.a =~ /(/)]", "regular expression"),
        ("$[?(@.a in [1)]", "')' is expected behind a condition"),
        ("$[?(@.a in [1", "a list or an object is not closed"),
    ] {
        let error = JsonPath::parse(path).expect_err(path).to_string();
        assert!(error.contains(expected), "{path}: {error}");
        assert!(error.starts_with(&format!("JSON path '{path}', character ")), "{error}");
    }
    assert!(JsonPath::parse(&"$.a".repeat(PATH_BYTES_MAX)).is_err());
    let steps = JsonPath::parse(&format!("${}", ".a".repeat(SEGMENTS_MAX + 2))).expect_err("too many");
    assert!(steps.message.contains("128 steps"), "{steps}");
    let nested = format!("$[?({}@.a{})]", "(".repeat(40), ")".repeat(40));
    assert!(JsonPath::parse(&nested).expect_err("too deep").message.contains("32"));
}

#[test]
fn lists_have_null_for_a_missing_last_name() {
    let text = r#"{"rows":[{"a":1,"b":"x"},{"a":2},{"b":"z"}],"one":[1,2]}"#;
    let document = Json::read(text).expect("JSON");
    let list = |path: &str| {
        let found = JsonPath::parse(path).expect(path).list(&document).expect(path);
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list("$.rows[*].a"), "1 2 null");
    assert_eq!(list("$.rows[*].b"), "\"x\" null \"z\"");
    assert_eq!(list("$.one"), "[1,2]");
    assert_eq!(list("$.none"), "null");
    assert_eq!(list("$.none.more"), "");
    assert_eq!(list("$.rows[7]"), "");
}

#[test]
fn work_is_bounded() {
    let text = format!("[{}]", vec!["[1,2,3,4,5,6,7,8,9,0]"; 500].join(","));
    let document = Json::read(&text).expect("JSON");
    let path = |text: &str| JsonPath::parse(text).expect("a path");
    assert_eq!(path("$[*][?($..*)]").read(&document), Err(PathError::TooManyVisits));
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let document = Json::read(&deep).expect("JSON");
    assert!(matches!(
        path("$..*..*..*..*..*").read(&document),
        Err(PathError::TooManyVisits | PathError::TooManyFound)
    ));
    let wide = format!("[{}]", vec!["0"; FOUND_MAX + 1].join(","));
    assert_eq!(path("$[*]").read(&Json::read(&wide).expect("JSON")), Err(PathError::TooManyFound));
}

proptest! {
    #[test]
    fn no_path_makes_it_panic(
        path in r#"[$@]?([.]{1,2}[ab*]|\[['"]?[ab0-9:,?(*-]{1,4}['"]?[)\]]{0,2}|\[\?\(@[.]?[ab]? ?(==|=~|<|in|size|&&|\|\|)? ?[1'\[{/a\])]{0,4}\)\]|[.](length|sum|first|concat)\([$@.1a,]{0,4}\)){0,4}|\PC{0,16}"#,
        text in r#"[\[\]{},:"ab0-9]{0,24}"#,
    ) {
        if let (Ok(path), Ok(document)) = (JsonPath::parse(&path), Json::read(&text)) {
            if let Ok(found) = path.read(&document) {
                prop_assert!(path.is_definite() || found.as_list().is_some());
            }
            let _ = path.list(&document);
        }
    }

    #[test]
    fn names_in_brackets_find_their_value_whatever_they_are(name in "\\PC{1,12}", value in any::<i64>()) {
        let document = Json::Object(vec![(name.as_str().into(), Json::Number(value.to_string().into()))]);
        let escaped = name.replace('\\', "\\\\").replace('\'', "\\'");
        let path = JsonPath::parse(&format!("$['{escaped}']")).expect("a path");
        prop_assert_eq!(path.read(&document).expect("found").to_string(), value.to_string());
    }
}
