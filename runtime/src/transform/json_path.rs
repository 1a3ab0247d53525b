//! `JsonPath`: columns from the insides of JSON texts, rows, arrays and maps.

use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};

use super::{append, appended, column_index};
use crate::config::{OptionKind, OptionSpec, OptionTable, Options, Position, Problem, Problems, Value, parse_type};
use crate::json_path::{Json, JsonPath as Path, fill};
use crate::plugin::{PlanContext, Plugin, TaskContext, TaskError, Transform, TransformFactory, TransformPlan};
use crate::row::show::{is_null, write_json};
use crate::row::{Batch, Column, ColumnBuilder, DataType, TableSchema};
use crate::task::TaskProbe;

const OPTIONS: OptionTable = &[
    OptionSpec::new("columns", OptionKind::ObjectList, "The new columns, each with the options below.")
        .required()
        .example("[{ src_field = data, path = \"$.name\", dest_field = name }]"),
    OptionSpec::new(
        "row_error_handle_way",
        OptionKind::OneOf(&["FAIL", "SKIP"]),
        "What happens when a column without a `column_error_handle_way` cannot be computed: the job fails, or the row \
         is left out.",
    )
    .default("FAIL"),
];

const COLUMN_OPTIONS: OptionTable = &[
    OptionSpec::new(
        "src_field",
        OptionKind::Text,
        "The column to look into: JSON text, bytes that hold JSON text, a row, an array or a map.",
    )
    .required()
    .example("data"),
    OptionSpec::new("path", OptionKind::Text, "Where in it the value stands.").required().example("\"$.user.name\""),
    OptionSpec::new(
        "dest_field",
        OptionKind::Text,
        "The new column. A name that the table already has replaces that column in its place.",
    )
    .required()
    .example("user_name"),
    OptionSpec::new("dest_type", OptionKind::Any, "Its type.").default("string").example("\"decimal(10,2)\""),
    OptionSpec::new(
        "column_error_handle_way",
        OptionKind::OneOf(&["FAIL", "SKIP", "SKIP_ROW"]),
        "What happens when this column cannot be computed: the job fails, the column is null, or the row is left out. \
         Without it `row_error_handle_way` decides.",
    ),
];

pub(super) struct JsonPath;

impl JsonPath {
    /// The options of one column, for the documentation.
    #[cfg(test)]
    pub(super) const COLUMN_OPTIONS: OptionTable = COLUMN_OPTIONS;
}

impl Plugin for JsonPath {
    fn name(&self) -> &'static str {
        "JsonPath"
    }

    fn options(&self) -> OptionTable {
        OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Appends columns that are found by paths in JSON texts, rows, arrays and maps."
    }
}

/// What happens when a column cannot be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnError {
    Fail,
    Null,
    SkipRow,
}

/// A new column.
struct Wanted {
    source: usize,
    source_type: DataType,
    path: Path,
    column: Column,
    on_error: OnError,
}

impl TransformFactory for JsonPath {
    fn plan(
        &self,
        options: Options<'_>,
        input: &Arc<TableSchema>,
        context: &PlanContext,
        _warnings: &mut Problems,
    ) -> Result<Arc<dyn TransformPlan>, Problems> {
        let mut problems = Problems::default();
        let on_row_error =
            if options.word("row_error_handle_way") == Some("SKIP") { OnError::SkipRow } else { OnError::Fail };
        let mut wanted: Vec<Wanted> = Vec::new();
        let columns = options.objects("columns").unwrap_or_default();
        if columns.is_empty() {
            problems.push(context.error("names no columns").of_option("columns"));
        }
        for (index, value) in columns.into_iter().enumerate() {
            let mut found = Problems::default();
            match read_column(value, on_row_error, input, context, &mut found) {
                Some(column) if wanted.iter().any(|known| known.column.name == column.column.name) => {
                    let message = format!("there is a new column '{}' already", column.column.name);
                    let problem = Problem::error(value.position.clone(), message).in_block(context.block.clone());
                    found.push(problem.of_option("dest_field"));
                }
                Some(column) => wanted.push(column),
                None => {}
            }
            problems.append(found.in_option(&format!("columns[{index}]")));
        }
        if problems.has_errors() {
            return Err(problems);
        }
        let (output, positions) = appended(input, wanted.iter().map(|wanted| wanted.column.clone()).collect());
        Ok(Arc::new(Plan { output: Arc::new(output), positions: positions.into(), wanted: wanted.into() }))
    }
}

fn read_column(
    value: &Value,
    on_row_error: OnError,
    input: &TableSchema,
    context: &PlanContext,
    problems: &mut Problems,
) -> Option<Wanted> {
    let options = Options::new(value.as_object()?, COLUMN_OPTIONS);
    options.check(&context.block, &value.position, &[], problems);
    if problems.has_errors() {
        return None;
    }
    let place =
        |option: &str| options.value(option).map_or_else(|| value.position.clone(), |value| value.position.clone());
    let wrong = |position: Position, option: &str, message: String| {
        Problem::error(position, message).in_block(context.block.clone()).of_option(option)
    };
    for option in ["src_field", "path", "dest_field"] {
        if options.text(option).is_some_and(|text| text.trim().is_empty()) {
            problems.push(wrong(place(option), option, "must not be empty".into()));
        }
    }
    if problems.has_errors() {
        return None;
    }
    let source_name = options.text("src_field")?;
    let source = column_index(input, &source_name, &place("src_field"), "src_field", context)
        .map_err(|found| problems.append(found))
        .ok();
    let source_type = source.map(|source| input.columns[source].data_type.clone());
    if let Some(data_type) = source_type.as_ref().filter(|data_type| !can_be_looked_into(data_type)) {
        let message = format!(
            "the column '{source_name}' is of type {data_type}: expected JSON text, bytes, a row, an array or a map"
        );
        problems.push(wrong(place("src_field"), "src_field", message));
    }
    let path = Path::parse(&options.text("path")?)
        .map_err(|error| problems.push(wrong(place("path"), "path", error.to_string())))
        .ok();
    let name = options.text("dest_field")?;
    let data_type = match options.value("dest_type") {
        None => Some(DataType::String),
        Some(value) => parse_type(value, "JsonPath", &name)
            .map_err(|problem| problems.push(problem.in_block(context.block.clone()).of_option("dest_type")))
            .ok(),
    };
    let on_error = match options.word("column_error_handle_way") {
        Some("FAIL") => OnError::Fail,
        Some("SKIP") => OnError::Null,
        Some("SKIP_ROW") => OnError::SkipRow,
        _ => on_row_error,
    };
    if problems.has_errors() {
        return None;
    }
    Some(Wanted {
        source: source?,
        source_type: source_type?,
        path: path?,
        column: Column::new(&name, data_type?),
        on_error,
    })
}

fn can_be_looked_into(data_type: &DataType) -> bool {
    matches!(data_type, DataType::String | DataType::Bytes | DataType::Array(_) | DataType::Map(..) | DataType::Row(_))
}

struct Plan {
    output: Arc<TableSchema>,
    positions: Arc<[usize]>,
    wanted: Arc<[Wanted]>,
}

impl TransformPlan for Plan {
    fn output(&self) -> &Arc<TableSchema> {
        &self.output
    }

    fn transform(&self, context: &TaskContext) -> Result<Box<dyn Transform>, TaskError> {
        Ok(Box::new(Worker {
            output: self.output.clone(),
            positions: self.positions.clone(),
            wanted: self.wanted.clone(),
            probe: context.probe.clone(),
            rows_before: 0,
        }))
    }
}

struct Worker {
    output: Arc<TableSchema>,
    positions: Arc<[usize]>,
    wanted: Arc<[Wanted]>,
    probe: Rc<TaskProbe>,
    /// Rows of all batches before this one, for messages.
    rows_before: u64,
}

/// Why a column of a row cannot be computed, or that its row is left out.
enum Trouble {
    Skip,
    Fail(String),
}

impl Transform for Worker {
    fn apply(&mut self, batch: Batch) -> Result<Batch, TaskError> {
        let rows = batch.len();
        let mut builders: Vec<ColumnBuilder> =
            self.wanted.iter().map(|wanted| ColumnBuilder::new(&wanted.column.data_type, rows)).collect();
        let mut kept = vec![true; rows];
        let mut text = String::new();
        for (row, kept) in kept.iter_mut().enumerate() {
            match self.row(&batch, row, &mut builders, &mut text) {
                Ok(()) => {}
                Err(Trouble::Skip) => {
                    *kept = false;
                    // The row goes, so what stands in its cells does not matter.
                    for builder in builders.iter_mut().filter(|builder| builder.len() == row) {
                        builder.append_null();
                    }
                }
                Err(Trouble::Fail(message)) => {
                    let row = self.rows_before + row as u64 + 1;
                    return Err(TaskError::permanent(format!("JsonPath: row {row}: {message}")));
                }
            }
        }
        self.rows_before += rows as u64;
        let columns: Vec<ArrayRef> = builders.iter_mut().map(ColumnBuilder::finish).collect();
        let batch = append(&batch, &self.output, &self.positions, columns)?;
        if kept.iter().all(|kept| *kept) {
            return Ok(batch);
        }
        Ok(batch.filter(&BooleanArray::from(kept))?)
    }
}

impl Worker {
    /// Computes the new cells of a row. Columns of one source that follow each other share what was read of it.
    fn row(&self, batch: &Batch, row: usize, builders: &mut [ColumnBuilder], text: &mut String) -> Result<(), Trouble> {
        let mut done = 0;
        while let Some(first) = self.wanted.get(done) {
            let together = self.wanted[done..].iter().take_while(|wanted| wanted.source == first.source).count();
            let wanted = &self.wanted[done..done + together];
            let array = batch.rows.column(first.source).as_ref();
            let builders = &mut builders[done..done + together];
            done += together;
            if is_null(array, row) {
                builders.iter_mut().for_each(ColumnBuilder::append_null);
                continue;
            }
            let source = source_text(array, &first.source_type, row, text);
            let document = source.and_then(|source| Json::read(source).map_err(|error| error.to_string()));
            for (wanted, builder) in wanted.iter().zip(builders) {
                let lost = document.as_ref().map_err(String::clone).and_then(|document| {
                    let found = wanted.path.read(document).map_err(|error| error.to_string())?;
                    fill(builder, &wanted.column.data_type, &found).map_err(|error| error.to_string())
                });
                match lost {
                    Ok(lost) => self.probe.warn(lost),
                    Err(message) => self.trouble(wanted, builder, &message)?,
                }
            }
        }
        Ok(())
    }

    fn trouble(&self, wanted: &Wanted, builder: &mut ColumnBuilder, message: &str) -> Result<(), Trouble> {
        match wanted.on_error {
            OnError::Null => {
                builder.append_null();
                Ok(())
            }
            OnError::SkipRow => Err(Trouble::Skip),
            OnError::Fail => {
                let (path, name) = (wanted.path.text(), &wanted.column.name);
                Err(Trouble::Fail(format!("column '{name}', path '{path}': {message}")))
            }
        }
    }
}

/// The JSON text of a cell that is not null. A row is the list of its fields; rows within it are objects.
fn source_text<'a>(
    array: &'a dyn Array,
    data_type: &DataType,
    row: usize,
    text: &'a mut String,
) -> Result<&'a str, String> {
    text.clear();
    match data_type {
        DataType::String => return Ok(array.as_string::<i32>().value(row)),
        DataType::Bytes => {
            let bytes = array.as_binary::<i32>().value(row);
            return std::str::from_utf8(bytes).map_err(|_| "the bytes are not UTF-8 text".into());
        }
        DataType::Row(fields) => {
            text.push('[');
            for (index, (column, field)) in array.as_struct().columns().iter().zip(fields.iter()).enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_json(text, column.as_ref(), &field.data_type, row);
            }
            text.push(']');
        }
        other => write_json(text, array, other, row),
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, list, object, problems, run, text, text_table};
    use super::*;
    use crate::config::ValueKind;
    use crate::row::literal::Literals;
    use crate::row::{Field, TableIndex, TablePath};

    fn column(entries: &[(&str, &str)]) -> Value {
        object(entries.iter().map(|(key, value)| (*key, text(value))).collect())
    }

    fn config(columns: Vec<Value>, row_way: &str) -> Value {
        object(vec![("columns", list(columns)), ("row_error_handle_way", text(row_way))])
    }

    const DATA: &str = r#"{"s":"text","b":"true","i":42,"d":10.55,"day":"2023-10-29","time":"16:12:43.459","a":["x",null],"m":[{"k":"1"}],"r":{"n":7}}"#;

    #[test]
    fn columns_of_every_type_are_found_in_text() {
        let columns = [
            ("$.s", "c1", "string"),
            ("$.b", "c2", "boolean"),
            ("$.i", "c3", "bigint"),
            ("$.d", "c4", "decimal(4,2)"),
            ("$.day", "c5", "date"),
            ("$.time", "c6", "time"),
            ("$.a", "c7", "array<string>"),
            ("$.m", "c8", "array<map<string, int>>"),
            ("$.r", "c9", "{ n = int }"),
            ("$..n", "c10", "string"),
            ("$.a.length()", "c11", "int"),
        ];
        let columns = columns.map(|(path, dest, dest_type)| {
            column(&[("src_field", "s"), ("path", path), ("dest_field", dest), ("dest_type", dest_type)])
        });
        let (names, rows) = run(&JsonPath, &config(columns.to_vec(), "FAIL"), &text_table(&[Some(DATA), None]));
        assert_eq!(names.join(" "), "s c1 c2 c3 c4 c5 c6 c7 c8 c9 c10 c11");
        let expected = r#", text, true, 42, 10.55, 2023-10-29, 16:12:43.459, [x, null], [{"k":1}], [7], [7], 2"#;
        assert_eq!(rows[0], format!("+I {DATA}{expected}"));
        assert_eq!(rows[1], "+I , , , , , , , , , , , ");
    }

    #[test]
    fn the_type_is_text_unless_told_and_an_old_name_is_replaced() {
        let columns = vec![column(&[("src_field", "s"), ("path", "i"), ("dest_field", "s")])];
        let (names, rows) = run(&JsonPath, &config(columns, "FAIL"), &text_table(&[Some(DATA)]));
        assert_eq!((names, rows), (vec!["s".to_owned()], vec!["+I 42".to_owned()]));
    }

    /// One row of bytes, a row, an array and a map.
    fn nested_table() -> (TableSchema, Batch) {
        let of =
            |name: &str, data_type: &str| Column::new(name, crate::config::parse_type_text(data_type).expect("a type"));
        let inner = DataType::Row([Field { name: "n".into(), data_type: DataType::Int }].into());
        let row = DataType::Row(
            [Field { name: "a".into(), data_type: DataType::Double }, Field { name: "b".into(), data_type: inner }]
                .into(),
        );
        let columns = vec![
            of("bytes", "bytes"),
            Column::new("row", row),
            of("array", "array<string>"),
            of("map", "map<string, int>"),
            of("n", "int"),
        ];
        let table = TableSchema::new(TablePath::bare("t"), columns);
        let number = |text: &str| Value { kind: ValueKind::Number(text.into()), position: at() };
        let values = list(vec![
            text("eyJrIjoxfQ=="),
            list(vec![number("1.5"), object(vec![("n", number("7"))])]),
            list(vec![text("x"), text("y")]),
            object(vec![("k", number("3"))]),
            number("1"),
        ]);
        let rows = Literals::default().rows(&table, &[&values]).expect("rows");
        (table, Batch::inserts(TableIndex(0), rows))
    }

    #[test]
    fn bytes_rows_arrays_and_maps_are_looked_into_as_json() {
        let columns = [("bytes", "$.k"), ("row", "$[0]"), ("row", "$[1].n"), ("array", "$[-1]"), ("map", "$.k")];
        let columns = columns.iter().enumerate().map(|(index, (source, path))| {
            column(&[("src_field", source), ("path", path), ("dest_field", &format!("d{index}"))])
        });
        let (_, rows) = run(&JsonPath, &config(columns.collect(), "FAIL"), &nested_table());
        assert!(rows[0].ends_with(", 1, 1, 1.5, 7, y, 3"), "{rows:?}");
    }

    fn ways(row_way: &str, column_way: Option<&str>) -> Result<Vec<String>, String> {
        let mut entries = vec![("src_field", "s"), ("path", "$.k"), ("dest_field", "k"), ("dest_type", "int")];
        entries.extend(column_way.map(|way| ("column_error_handle_way", way)));
        let table = text_table(&[Some("{k:1}"), Some("{}"), Some("{k:x}"), Some("{k:"), None]);
        let columns = vec![column(&[("src_field", "s"), ("path", "$"), ("dest_field", "all")]), column(&entries)];
        let plan = super::super::testing::plan(&JsonPath, &config(columns, row_way), &table.0).expect("a plan");
        let context = crate::transform::testing::task_context();
        let batch = plan.transform(&context).expect("a worker").apply(table.1).map_err(|error| error.to_string())?;
        let keys = batch.rows.column(2).as_primitive::<arrow::datatypes::Int32Type>();
        Ok(keys.iter().map(|key| format!("{key:?}")).collect())
    }

    #[test]
    fn errors_fail_the_job_or_leave_out_the_cell_or_the_row() {
        let error = ways("FAIL", None).expect_err("the second row fails");
        assert_eq!(error, "JsonPath: row 2: column 'k', path '$.k': no results for path $['k']");
        assert_eq!(ways("SKIP", None), Ok(vec!["Some(1)".into(), "None".into()]));
        assert_eq!(ways("FAIL", Some("SKIP_ROW")).expect_err("broken JSON"), {
            "JsonPath: row 4: column 'all', path '$': not JSON: a value is expected, the text ends at byte 3"
        });
        assert_eq!(ways("SKIP", Some("SKIP_ROW")), Ok(vec!["Some(1)".into(), "None".into()]));
        // The second and the third row keep their place, the fourth goes because of the other column.
        assert_eq!(ways("SKIP", Some("skip")), Ok(["Some(1)", "None", "None", "None"].map(String::from).to_vec()));
        assert!(ways("SKIP", Some("FAIL")).expect_err("explicit").contains("no results"));
    }

    #[test]
    fn what_cannot_be_is_refused_when_the_job_is_planned() {
        let (table, _) = nested_table();
        for (entries, expected) in [
            (vec![("src_field", "array"), ("path", "$.foo("), ("dest_field", "d")], "columns[0].path"),
            (
                vec![("src_field", "array"), ("path", "$.x.foo()"), ("dest_field", "d")],
                "'$.x.foo()', character 5: there is no",
            ),
            (vec![("src_field", "aray"), ("path", "$"), ("dest_field", "d")], "did you mean 'array'?"),
            (vec![("src_field", "n"), ("path", "$"), ("dest_field", "d")], "the column 'n' is of type INT: expected"),
            (vec![("src_field", "array"), ("path", " "), ("dest_field", "d")], "must not be empty"),
            (vec![("src_field", "array"), ("path", "$")], "dest_field"),
            (
                vec![("src_field", "array"), ("path", "$"), ("dest_field", "d"), ("dest_type", "sting")],
                "unsupported data type 'sting' of 'd'",
            ),
            (
                vec![("src_field", "array"), ("path", "$"), ("dest_field", "d"), ("column_error_handle_way", "x")],
                "FAIL, SKIP, SKIP_ROW",
            ),
        ] {
            let found = problems(&JsonPath, &config(vec![column(&entries)], "FAIL"), &table);
            assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
        }
        let twice = column(&[("src_field", "array"), ("path", "$"), ("dest_field", "d")]);
        let found = problems(&JsonPath, &config(vec![twice.clone(), twice], "FAIL"), &table);
        assert!(found[0].contains("there is a new column 'd' already"), "{found:?}");
        assert!(problems(&JsonPath, &config(vec![], "FAIL"), &table)[0].contains("names no columns"));
    }
}
