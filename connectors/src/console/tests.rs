use std::io::Write;
use std::sync::Mutex;

use arrow::array::{Int32Array, RecordBatch, StringArray, UInt8Array};
use egret_runtime::config::{Object, Options, Position, Value, ValueKind};
use egret_runtime::plugin::{JobMode, PlanContext};
use egret_runtime::row::{Column, DataType, Field, TableIndex, TablePath};
use futures_lite::future::block_on;

use super::*;

#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<u8>>>);

impl Shelf {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("a lock").clone()).expect("text")
    }
}

impl Write for Shelf {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn table(path: &str) -> Arc<TableSchema> {
    Arc::new(TableSchema::new(
        TablePath::parse(path, false).expect("a path"),
        vec![Column::new("name", DataType::String), Column::new("age", DataType::Int)],
    ))
}

fn people(table: &TableSchema, index: u16) -> Batch {
    let rows = RecordBatch::try_new(
        Arc::clone(table.arrow()),
        vec![Arc::new(StringArray::from(vec![Some("Alice"), None])), Arc::new(Int32Array::from(vec![32, 7]))],
    )
    .expect("rows");
    Batch { table: TableIndex(index), rows, kinds: Some(UInt8Array::from(vec![0, 3])) }
}

fn planned(tables: &[Arc<TableSchema>], print: bool, delay_ms: u64) -> PlannedConsole {
    PlannedConsole { tables: tables.to_vec(), print, delay: Duration::from_millis(delay_ms) }
}

#[test]
fn lines_have_the_form_of_the_contract() {
    let tables = [table("fake"), table("db.other")];
    let shelf = Shelf::default();
    let printer = Printer::start(shelf.clone()).expect("a thread");
    let mut writer = planned(&tables, true, 0).writer_on(&printer, 2);
    block_on(async {
        writer.write(people(&tables[0], 0)).await.expect("written");
        writer.write(people(&tables[1], 1)).await.expect("written");
        writer.write(people(&tables[0], 0).slice(0, 1)).await.expect("written");
        writer.prepare(1).await.expect("flushed");
    });
    assert_eq!(
        shelf.text(),
        "output rowType: name<STRING>, age<INT>\n\
         output rowType: name<STRING>, age<INT>\n\
         subtaskIndex=2  rowIndex=1:  SeaTunnelRow#tableId=fake SeaTunnelRow#kind=INSERT : Alice, 32\n\
         subtaskIndex=2  rowIndex=2:  SeaTunnelRow#tableId=fake SeaTunnelRow#kind=DELETE : , 7\n\
         subtaskIndex=2  rowIndex=1:  SeaTunnelRow#tableId=db.other SeaTunnelRow#kind=INSERT : Alice, 32\n\
         subtaskIndex=2  rowIndex=2:  SeaTunnelRow#tableId=db.other SeaTunnelRow#kind=DELETE : , 7\n\
         subtaskIndex=2  rowIndex=3:  SeaTunnelRow#tableId=fake SeaTunnelRow#kind=INSERT : Alice, 32\n"
    );
}

#[test]
fn nested_types_are_named_in_the_header() {
    let fields =
        [("a", DataType::Int), ("b", DataType::String)].map(|(name, data_type)| Field { name: name.into(), data_type });
    let table = Arc::new(TableSchema::new(
        TablePath::bare("t"),
        vec![
            Column::new("d", DataType::Decimal { precision: 10, scale: 2 }),
            Column::new("r", DataType::Row(Arc::from(fields))),
        ],
    ));
    let shelf = Shelf::default();
    let printer = Printer::start(shelf.clone()).expect("a thread");
    let mut writer = planned(&[table], true, 0).writer_on(&printer, 0);
    block_on(writer.close()).expect("closed");
    assert_eq!(shelf.text(), "output rowType: d<Decimal(10, 2)>, r<ROW<a INT,b STRING>>\n");
}

#[test]
fn rows_that_are_not_printed_are_still_numbered() {
    let tables = [table("fake")];
    let shelf = Shelf::default();
    let printer = Printer::start(shelf.clone()).expect("a thread");
    let mut writer = planned(&tables, false, 0).writer_on(&printer, 0);
    block_on(async {
        writer.write(people(&tables[0], 0)).await.expect("written");
        writer.close().await.expect("closed");
    });
    assert_eq!(shelf.text(), "output rowType: name<STRING>, age<INT>\n");
    assert_eq!(writer.tables[0].2, 2);
}

#[test]
fn the_pause_after_each_row_lets_others_work() {
    let config = shard::ShardsConfig { cpus: None, ..shard::ShardsConfig::default() };
    let shards = shard::Shards::start(config).expect("shards");
    let work = shards.work(shards.owner(0)).clone();
    let group = shard::WorkGroup::new(1);
    let (shelf, began) = (Shelf::default(), std::time::Instant::now());
    let output = shelf.clone();
    let joined = work.spawn_joined(&group, move || async move {
        let tables = [table("fake")];
        let printer = Printer::start(output).expect("a thread");
        let mut writer = planned(&tables, true, 30).writer_on(&printer, 0);
        writer.write(people(&tables[0], 0)).await.expect("written");
        // Rows are handed over as they come, not at the end.
        writer.hand.flush().await.expect("written");
    });
    let other = work.spawn_joined(&group, || async { std::time::Instant::now() });
    let other = block_on(other.expect("room")).expect("it ran");
    block_on(joined.expect("room")).expect("written");
    assert!(began.elapsed() >= Duration::from_millis(60));
    assert!(other.duration_since(began) < began.elapsed(), "the pause holds nobody else up");
    assert_eq!(shelf.text().lines().count(), 3);
    shards.stop(Duration::from_secs(60)).expect("stopped");
}

#[test]
fn options_are_read_with_their_defaults() {
    let position = Position { file: Arc::from("job.conf"), line: 1, column: 1 };
    let context = PlanContext {
        job_id: 1,
        job_name: Arc::from("test"),
        mode: JobMode::Batch,
        parallelism: 1,
        block: "sink[0] Console".into(),
        plugin_name: Arc::from("Console"),
        position: position.clone(),
        output: None,
        restored: false,
    };
    for (given, print, delay) in [(None, true, 0), (Some(("false", "25")), false, 25)] {
        let mut object = Object::default();
        if let Some((print, delay)) = given {
            for (key, text) in [("log.print.data", print), ("log.print.delay.ms", delay)] {
                let value = Value { kind: ValueKind::Text(text.into()), position: position.clone() };
                object.insert(key, position.clone(), value);
            }
        }
        let options = Options::new(&object, OPTIONS);
        assert_eq!(options.boolean("log.print.data"), Some(print));
        assert_eq!(options.integer("log.print.delay.ms"), Some(delay));
        assert!(Console.plan(options, &[table("t")], &context, &mut Problems::default()).is_ok());
    }
}

#[test]
fn the_page_shows_the_options_that_are_read() {
    crate::testing::check_page("console.md", &[("Console", OPTIONS)]);
}
