//! Rows as they come out: what FakeSource draws, and how Console writes it (contract D.1, D.2).

mod support;

use std::collections::HashSet;

use support::program::{Ended, run_config};

/// The rows that a job printed, without what stands before their values.
fn printed(ended: &Ended) -> Vec<&str> {
    ended
        .stdout
        .lines()
        .filter_map(|line| line.split_once(" SeaTunnelRow#kind=INSERT : "))
        .map(|(_, row)| row)
        .collect()
}

#[test]
fn every_value_of_the_fake_source_is_drawn_anew() {
    const ROWS: usize = 10_000;
    let ended = run_config(&format!(
        r#"
        env {{ job.mode = "BATCH" }}
        source {{ FakeSource {{ row.num = {ROWS}, string.length = 32,
          schema {{ fields {{ number = "bigint", text = "string", half = "double", day = "date", yes = "boolean" }} }} }} }}
        sink {{ Console {{ }} }}
        "#
    ))
    .expect_exit(0);
    let rows: Vec<Vec<&str>> = printed(&ended).into_iter().map(|row| row.split(", ").collect()).collect();
    assert_eq!(rows.len(), ROWS);
    assert!(rows.iter().all(|row| row.len() == 5));
    let distinct = |column: usize| rows.iter().map(|row| row[column]).collect::<HashSet<_>>().len();
    // Among 2^63 numbers, 52^32 texts and as many doubles two of ten thousand are never alike.
    assert_eq!((distinct(0), distinct(1), distinct(2)), (ROWS, ROWS, ROWS));
    assert!(rows.iter().all(|row| row[1].len() == 32 && row[1].bytes().all(|letter| letter.is_ascii_alphabetic())));
    // 12 months of 28 days; a missing one among ten thousand draws is a chance of 10^-10.
    assert_eq!((distinct(3), distinct(4)), (12 * 28, 2));
}

#[test]
fn each_parallel_reader_draws_its_own_rows() {
    let ended = run_config(
        r#"
        env { job.mode = "BATCH", parallelism = 3 }
        source { FakeSource { plugin_output = "fake", row.num = 1000, split.num = 4, schema { fields { number = "bigint" } } } }
        sink { Console { plugin_input = "fake" } }
        "#,
    )
    .expect_exit(0);
    assert_eq!(printed(&ended).into_iter().collect::<HashSet<_>>().len(), 3000);
    for subtask in 0..3 {
        let head = format!("subtaskIndex={subtask}  rowIndex=");
        let indices: Vec<usize> =
            ended.stdout.lines().filter_map(|line| line.strip_prefix(&head)?.split_once(':')?.0.parse().ok()).collect();
        assert_eq!(indices, (1..=1000).collect::<Vec<_>>(), "counted from 1 in each task, in order");
    }
    assert_eq!(ended.stdout.matches("output rowType: number<BIGINT>\n").count(), 3);
}

#[test]
fn two_runs_draw_different_rows() {
    let config = r#"
        env { job.mode = "BATCH" }
        source { FakeSource { row.num = 3, schema { fields { number = "bigint" } } } }
        sink { Console { } }
    "#;
    let (one, two) = (run_config(config).expect_exit(0), run_config(config).expect_exit(0));
    assert_ne!(printed(&one), printed(&two));
}

#[test]
fn console_writes_every_type_in_the_documented_form() {
    let ended = run_config(
        r#"
        env { job.mode = "BATCH" }
        source { FakeSource { plugin_output = "shop", schema { fields {
            name = "string", yes = "boolean", tiny = "tinyint", small = "smallint", number = "int", big = "bigint"
            half = "float", whole = "double", price = "decimal(10, 2)", raw = "bytes", day = "date", clock = "time"
            moment = "timestamp", tags = "array<string>", counts = "map<string, int>", inner = { a = int, b = string }
            nothing = "null"
          } }
          rows = [
            { kind = INSERT, fields = ["Alice", true, 1, 2, 3, 4, 1.5, 12345678.9, "12.50", "YWI=", "2024-01-02", "03:04:05",
              "2024-01-02T03:04:05", ["a", null], { x = 1 }, { a = 7, b = "z" }, null] }
            { kind = DELETE, fields = [null, null, null, null, null, null, null, null, null, null, null, null, null, null,
              null, null, null] }
          ] } }
        sink { Console { plugin_input = "shop" } }
        "#,
    )
    .expect_exit(0);
    let lines: Vec<&str> = ended.stdout.lines().take(3).collect();
    assert_eq!(
        lines[0],
        "output rowType: name<STRING>, yes<BOOLEAN>, tiny<TINYINT>, small<SMALLINT>, number<INT>, big<BIGINT>, \
         half<FLOAT>, whole<DOUBLE>, price<Decimal(10, 2)>, raw<BYTES>, day<DATE>, clock<TIME>, moment<TIMESTAMP>, \
         tags<ARRAY<STRING>>, counts<Map<STRING, INT>>, inner<ROW<a INT,b STRING>>, nothing<NULL>"
    );
    let head = "subtaskIndex=0  rowIndex=1:  SeaTunnelRow#tableId=shop SeaTunnelRow#kind=INSERT : ";
    let values = lines[1].strip_prefix(head).unwrap_or_else(|| panic!("{}", lines[1]));
    assert_eq!(
        values,
        "Alice, true, 1, 2, 3, 4, 1.5, 1.23456789E7, 12.50, [97, 98], 2024-01-02, 03:04:05, 2024-01-02T03:04:05, \
         [a, null], {\"x\":1}, [7, z], "
    );
    let head = "subtaskIndex=0  rowIndex=2:  SeaTunnelRow#tableId=shop SeaTunnelRow#kind=DELETE : ";
    assert_eq!(lines[2].strip_prefix(head), Some(", ".repeat(16).as_str()), "null columns are empty");
}

#[test]
fn rows_of_several_tables_carry_their_table() {
    let ended = run_config(
        r#"
        env { job.mode = "BATCH" }
        source { FakeSource { tables_configs = [
          { schema { table = "shop.drinks", fields { name = "string" } }, rows = [ { fields = ["lungo"] } ] }
          { schema { table = "shop.public.prices", fields { price = "int" } }, rows = [ { kind = UPDATE_AFTER, fields = [4] } ] }
        ] } }
        sink { Console { } }
        "#,
    )
    .expect_exit(0);
    for line in [
        "output rowType: name<STRING>\n",
        "output rowType: price<INT>\n",
        "subtaskIndex=0  rowIndex=1:  SeaTunnelRow#tableId=shop.drinks SeaTunnelRow#kind=INSERT : lungo\n",
        "subtaskIndex=0  rowIndex=1:  SeaTunnelRow#tableId=shop.public.prices SeaTunnelRow#kind=UPDATE_AFTER : 4\n",
    ] {
        assert!(ended.stdout.contains(line), "{line} is not in:\n{}", ended.stdout);
    }
}

#[test]
fn console_may_count_without_printing() {
    let ended = run_config(
        r#"
        env { job.mode = "BATCH" }
        source { FakeSource { row.num = 5000, schema { fields { id = "int" } } } }
        sink { Console { log.print.data = false } }
        "#,
    )
    .expect_exit(0);
    assert!(!ended.stdout.contains("SeaTunnelRow"), "{}", ended.stdout);
    support::assert_holds(&ended.stdout, &[&format!("Total Write Count         : {:>19}\n", 5000)]);
}
