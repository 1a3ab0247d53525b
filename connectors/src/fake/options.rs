//! The options of the fake source (contract D.1).

use egret_runtime::config::{OptionKind, OptionSpec, OptionTable};

/// Options of one table; at the top level, or in each entry of `tables_configs`.
pub(super) const TABLE_OPTIONS: [OptionSpec; 47] = [
    OptionSpec::new("schema", OptionKind::Object, "The table. Needed here or in each of `tables_configs`.")
        .example("{ fields { id = bigint, name = string } }"),
    OptionSpec::new(
        "rows",
        OptionKind::ObjectList,
        "Rows to send instead of random ones, once for each split: `kind` (INSERT when left out) and `fields`, a list \
         in the order of the schema or an object by name. CURRENT_DATE, CURRENT_TIME and CURRENT_TIMESTAMP stand for \
         now.",
    )
    .example("[ { kind = INSERT, fields = [1, \"A\"] } ]"),
    OptionSpec::new("row.num", OptionKind::COUNT, "Rows for each parallel reader.").default("5"),
    OptionSpec::new("split.num", OptionKind::POSITIVE, "Splits that each reader's rows are cut into.").default("1"),
    OptionSpec::new(
        "split.read-interval",
        OptionKind::COUNT,
        "Least time between the starts of two splits of a reader, in milliseconds.",
    )
    .default("1"),
    OptionSpec::new("map.size", SIZE, "Entries of a random map; fewer when keys are drawn twice.").default("5"),
    OptionSpec::new("array.size", SIZE, "Items of a random array.").default("5"),
    OptionSpec::new("bytes.length", SIZE, "Bytes of a random value of type bytes.").default("5"),
    OptionSpec::new("string.length", SIZE, "Letters of a random string; `columnLength` of a column goes before.")
        .default("5"),
    mode("string.fake.mode"),
    OptionSpec::new("string.template", OptionKind::TextList, "Strings to pick from instead of random letters.")
        .example("[red, green, blue]"),
    mode("tinyint.fake.mode"),
    whole("tinyint.min", i8::MIN as i64, i8::MAX as i64, "Smallest random tinyint.").default("0"),
    whole("tinyint.max", i8::MIN as i64, i8::MAX as i64, "Random tinyints stay below this.").default("127"),
    whole_template("tinyint.template", "Tinyints to pick from."),
    mode("smallint.fake.mode"),
    whole("smallint.min", i16::MIN as i64, i16::MAX as i64, "Smallest random smallint.").default("0"),
    whole("smallint.max", i16::MIN as i64, i16::MAX as i64, "Random smallints stay below this.").default("32767"),
    whole_template("smallint.template", "Smallints to pick from."),
    mode("int.fake.mode"),
    whole("int.min", i32::MIN as i64, i32::MAX as i64, "Smallest random int.").default("0"),
    whole("int.max", i32::MIN as i64, i32::MAX as i64, "Random ints stay below this.").default("2147483647"),
    whole_template("int.template", "Ints to pick from."),
    mode("bigint.fake.mode"),
    whole("bigint.min", i64::MIN, i64::MAX, "Smallest random bigint.").default("0"),
    whole("bigint.max", i64::MIN, i64::MAX, "Random bigints stay below this.").default("9223372036854775807"),
    whole_template("bigint.template", "Bigints to pick from."),
    mode("float.fake.mode"),
    OptionSpec::new("float.min", OptionKind::Number, "Smallest random float.").default("0"),
    OptionSpec::new("float.max", OptionKind::Number, "Random floats stay below this.").default("3.4028235E38"),
    OptionSpec::new("float.template", OptionKind::NumberList, "Floats to pick from.").example("[1.5, 2.5]"),
    mode("double.fake.mode"),
    OptionSpec::new("double.min", OptionKind::Number, "Smallest random double.").default("0"),
    OptionSpec::new("double.max", OptionKind::Number, "Random doubles stay below this.")
        .default("1.7976931348623157E308"),
    OptionSpec::new("double.template", OptionKind::NumberList, "Doubles to pick from.").example("[1.5, 2.5]"),
    OptionSpec::new(
        "date.year.template",
        OptionKind::IntegerList,
        "Years of random dates and timestamps; without it the current year.",
    )
    .example("[2022, 2023]"),
    OptionSpec::new("date.month.template", OptionKind::IntegerList, "Months of random dates and timestamps.")
        .example("[1, 7]"),
    OptionSpec::new(
        "date.day.template",
        OptionKind::IntegerList,
        "Days of random dates and timestamps, without it 1 to 28. Days that a month does not have are not drawn.",
    )
    .example("[1, 15]"),
    OptionSpec::new("time.hour.template", OptionKind::IntegerList, "Hours of random times and timestamps.")
        .example("[8, 20]"),
    OptionSpec::new("time.minute.template", OptionKind::IntegerList, "Minutes of random times and timestamps.")
        .example("[0, 30]"),
    OptionSpec::new("time.second.template", OptionKind::IntegerList, "Seconds of random times and timestamps.")
        .example("[0]"),
    OptionSpec::new(
        "vector.dimension",
        SIZE,
        "Numbers of a random vector, entries of a sparse one; `columnScale` of a column goes before.",
    )
    .default("4"),
    OptionSpec::new(
        "binary.vector.dimension",
        SIZE,
        "Bits of a random binary vector, a multiple of 8; `columnScale` of a column goes before.",
    )
    .default("8"),
    OptionSpec::new("vector.float.min", OptionKind::Number, "Smallest number in a random vector.").default("0"),
    OptionSpec::new("vector.float.max", OptionKind::Number, "Numbers in random vectors stay below this.")
        .default("3.4028235E38"),
    OptionSpec::new(
        "auto.increment.enabled",
        OptionKind::Boolean,
        "Whether whole-number columns of the schema's primary key get consecutive numbers over all readers.",
    )
    .default("false"),
    OptionSpec::new("auto.increment.start", OptionKind::INTEGER, "The first of those numbers.").default("1"),
];

/// Options of the block.
pub(super) static OPTIONS: OptionTable = &with_tables_configs();

/// Options of an entry of `tables_configs`.
pub(super) static ENTRY_OPTIONS: OptionTable = &TABLE_OPTIONS;

/// Options of an entry of `rows`.
pub(super) static ROW_OPTIONS: OptionTable = &[
    OptionSpec::new(
        "kind",
        OptionKind::OneOf(&["INSERT", "UPDATE_BEFORE", "UPDATE_AFTER", "DELETE", "+I", "-U", "+U", "-D"]),
        "What the row does.",
    )
    .default("INSERT"),
    OptionSpec::new("fields", OptionKind::Any, "The row's values.").required().example("[1, \"A\"]"),
];

/// Sizes of random values; the size of a whole row is bounded apart from this.
const SIZE: OptionKind = OptionKind::Integer { min: 0, max: 1 << 26 };

const fn mode(name: &'static str) -> OptionSpec {
    OptionSpec::new(
        name,
        OptionKind::OneOf(&["RANGE", "TEMPLATE"]),
        "TEMPLATE demands the template; a template that is given is used whatever this says.",
    )
    .default("RANGE")
}

const fn whole(name: &'static str, min: i64, max: i64, meaning: &'static str) -> OptionSpec {
    OptionSpec::new(name, OptionKind::Integer { min, max }, meaning)
}

const fn whole_template(name: &'static str, meaning: &'static str) -> OptionSpec {
    OptionSpec::new(name, OptionKind::IntegerList, meaning).example("[1, 2, 3]")
}

const fn with_tables_configs() -> [OptionSpec; TABLE_OPTIONS.len() + 1] {
    let mut all = [OptionSpec::new(
        "tables_configs",
        OptionKind::ObjectList,
        "Several tables, each an object with its own `schema` and any of the options below. Excludes a `schema` \
         outside.",
    )
    .example("[ { row.num = 10, schema { table = \"db.a\", fields { id = bigint } } } ]");
        TABLE_OPTIONS.len() + 1];
    let mut index = 0;
    while index < TABLE_OPTIONS.len() {
        all[index + 1] = TABLE_OPTIONS[index];
        index += 1;
    }
    all
}
