//! `egret run`: what it prints, where, and how it ends.

mod support;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use support::program::{self, Program, egret, run, run_config, run_file};
use support::{Folder, assert_holds};

/// Three rows through a Console.
const THREE_ROWS: &str = r#"
env { job.mode = "BATCH" }
source { FakeSource { plugin_output = "drinks", schema { fields { id = "int", drink = "string" } }
  rows = [ { fields = [1, "espresso"] }, { fields = [2, "lungo"] }, { fields = [3, "doppio"] } ] } }
sink { Console { plugin_input = "drinks" } }
"#;

/// Sends its rows and then idles until it is stopped.
const STREAMING: &str = r#"
env { job.mode = "STREAMING" }
source { FakeSource { row.num = 4, schema { fields { id = "int" } } } }
sink { Console { } }
"#;

const STARS: &str = "***********************************************";

/// `2024-10-20 12:00:00` with every digit as 0.
fn shape(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect()
}

/// The statistics block at the end of the output, split into the rows before it and its lines.
#[track_caller]
fn split_statistics(stdout: &str) -> (&str, Vec<&str>) {
    let head = format!("\n{STARS}\n           Job Statistic Information\n{STARS}\n");
    let (rows, block) = stdout.split_once(&head).unwrap_or_else(|| panic!("no statistics in:\n{stdout}"));
    let block = block.strip_suffix(&format!("{STARS}\n")).unwrap_or_else(|| panic!("no end of statistics:\n{stdout}"));
    (rows, block.lines().collect())
}

#[track_caller]
fn assert_statistics(lines: &[&str], read: u64, written: u64) {
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert_eq!(shape(lines[0]), "Start Time                : 0000-00-00 00:00:00");
    assert_eq!(shape(lines[1]), "End Time                  : 0000-00-00 00:00:00");
    let seconds = lines[2].strip_prefix("Total Time(s)             : ").expect("the third label");
    assert!(seconds.len() == 19 && seconds.trim_start().parse::<u64>().is_ok(), "{seconds:?}");
    assert_eq!(lines[3], format!("Total Read Count          : {read:>19}"));
    assert_eq!(lines[4], format!("Total Write Count         : {written:>19}"));
    assert_eq!(lines[5], format!("Total Failed Count        : {:>19}", read - written));
}

#[test]
fn the_quickstart_prints_its_rows_and_then_the_statistics() {
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart.conf");
    let ended = run_file(&quickstart).expect_exit(0);
    let (rows, statistics) = split_statistics(&ended.stdout);
    let rows: Vec<&str> = rows.lines().collect();
    assert_eq!(rows[0], "output rowType: id<BIGINT>, drink<STRING>, price<DOUBLE>, class<STRING>");
    for (index, row) in rows[1..].iter().enumerate() {
        let head =
            format!("subtaskIndex=0  rowIndex={}:  SeaTunnelRow#tableId=orders SeaTunnelRow#kind=INSERT : ", index + 1);
        assert!(row.starts_with(&head), "{row}");
    }
    // About one in a hundred of ten thousand prices is above 99.
    let printed = (rows.len() - 1) as u64;
    assert!((20..400).contains(&printed), "{printed} rows");
    assert_statistics(&statistics, 10_000, printed);
    assert_eq!(ended.stderr, "", "nothing to say");
}

#[test]
fn standard_output_holds_rows_and_statistics_alone() {
    let folder = Folder::new();
    let file = folder.write("job.conf", &THREE_ROWS.replace("BATCH\"", "BATCH\", colour = \"blue\""));
    let mut command = egret([OsStr::new("run"), file.as_os_str()]);
    command.env("RUST_LOG", "debug");
    let ended = Program::start(command).end().expect_exit(0);
    let (rows, statistics) = split_statistics(&ended.stdout);
    assert_eq!(
        rows,
        "output rowType: id<INT>, drink<STRING>\n\
         subtaskIndex=0  rowIndex=1:  SeaTunnelRow#tableId=drinks SeaTunnelRow#kind=INSERT : 1, espresso\n\
         subtaskIndex=0  rowIndex=2:  SeaTunnelRow#tableId=drinks SeaTunnelRow#kind=INSERT : 2, lungo\n\
         subtaskIndex=0  rowIndex=3:  SeaTunnelRow#tableId=drinks SeaTunnelRow#kind=INSERT : 3, doppio\n"
    );
    assert_statistics(&statistics, 3, 3);
    assert_holds(&ended.stderr, &["INFO", "Init JobMaster for Job SeaTunnel_Job", "FINISHED"]);
}

#[test]
fn the_name_on_the_command_line_goes_before_the_one_in_the_config() {
    let folder = Folder::new();
    let file = folder.write("job.conf", &THREE_ROWS.replace("BATCH\"", "BATCH\", job.name = \"by_config\""));
    let name_of = |arguments: &[&str]| {
        let mut command = egret(["run"]);
        command.arg(&file).args(arguments).env("RUST_LOG", "info");
        let ended = Program::start(command).end().expect_exit(0);
        let (_, rest) = ended.stderr.split_once("Init JobMaster for Job ").expect("the log line of a start");
        rest.split_whitespace().next().expect("a name").to_owned()
    };
    assert_eq!(name_of(&[]), "by_config");
    assert_eq!(name_of(&["--name", "by_command_line"]), "by_command_line");
    assert_eq!(name_of(&["-n", "by_short_flag"]), "by_short_flag");
}

#[test]
fn log_lines_can_be_json() {
    let folder = Folder::new();
    let file = folder.write("job.conf", THREE_ROWS);
    let mut command = egret(["--log-format", "json", "run"]);
    command.arg(&file).env("RUST_LOG", "info");
    let ended = Program::start(command).end().expect_exit(0);
    let lines: Vec<serde_json::Value> =
        ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    assert!(lines.iter().any(|line| line["state"] == "FINISHED" && line["level"] == "INFO"), "{lines:?}");
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    for arguments in [&["run"][..], &["fly"], &["run", "--colour", "blue", "job.conf"], &["run", "-i", "x", "job.conf"]]
    {
        let ended = run(arguments).expect_exit(2);
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert_holds(&ended.stderr, &["error: ", "--help"]);
    }
}

#[test]
fn a_config_that_is_not_there_is_named() {
    let ended = run(["run", "no/such/job.conf"]).expect_exit(1);
    assert_eq!(ended.stdout, "");
    assert_eq!(
        ended.stderr,
        "error: cannot read the config no/such/job.conf: No such file or directory (os error 2)\n"
    );
}

#[test]
fn ctrl_c_stops_a_streaming_job_cleanly() {
    for (signal, name, exit) in [(libc::SIGINT, "SIGINT", 130), (libc::SIGTERM, "SIGTERM", 143)] {
        let folder = Folder::new();
        let file = folder.write("job.conf", STREAMING);
        let program = Program::start(egret([OsStr::new("run"), file.as_os_str()]));
        program.wait_for_stdout("the last row", |text| text.contains("rowIndex=4:").then_some(()));
        program.signal(signal);
        let ended = program.end().expect_exit(exit);
        let (rows, statistics) = split_statistics(&ended.stdout);
        assert_eq!(rows.lines().count(), 5, "{rows}");
        assert_statistics(&statistics, 4, 4);
        assert_holds(&ended.stderr, &["stopping", &format!("stopped by {name}")]);
    }
}

#[test]
fn a_broken_assert_rule_fails_the_job_naming_row_and_rule() {
    let ended = run_config(
        r#"
        env { job.mode = "BATCH" }
        source { FakeSource { plugin_output = "drinks", schema { fields { id = "int", drink = "string" } }
          rows = [ { fields = [1, "espresso"] }, { fields = [2, null] }, { fields = [3, "doppio"] } ] } }
        sink { Assert { rules { field_rules = [
          { field_name = drink, field_type = string, field_value = [ { rule_type = NOT_NULL } ] } ] } } }
        "#,
    )
    .expect_exit(1);
    // A retry cannot mend it, so nothing is retried and nothing waits for a retry.
    let (_, statistics) = split_statistics(&ended.stdout);
    assert_eq!(statistics[3], format!("Total Read Count          : {:>19}", 3));
    assert_holds(
        &ended.stderr,
        &[
            "error: job 'SeaTunnel_Job' ended as FAILED: ",
            "tableId=drinks",
            "[2, ]",
            "fail rule: field 'drink' NOT_NULL",
            "row 2",
        ],
    );
}

#[test]
fn an_assert_rule_on_the_number_of_rows_fails_at_the_end() {
    let ended = run_config(
        r#"
        env { job.mode = "BATCH" }
        source { FakeSource { row.num = 7, schema { fields { id = "int" } } } }
        sink { Assert { rules { row_rules = [ { rule_type = MAX_ROW, rule_value = 6 } ] } } }
        "#,
    )
    .expect_exit(1);
    assert_holds(&ended.stderr, &["row num :7 fail rule: ", "MAX_ROW"]);
}

#[test]
fn a_value_that_cannot_be_cast_fails_the_job_naming_row_and_value() {
    let ended = run_config(
        r#"
        env { job.mode = "BATCH" }
        source { FakeSource { plugin_output = "t", schema { fields { v = "string" } }
          rows = [ { fields = ["12"] }, { fields = ["twelve"] } ] } }
        transform { Sql { plugin_input = "t", plugin_output = "u", query = "select cast(v as int) as v from t" } }
        sink { Console { plugin_input = "u" } }
        "#,
    )
    .expect_exit(1);
    assert_holds(&ended.stderr, &["ended as FAILED", "row 2", "cannot cast 'twelve' to int"]);
}

/// Five mistakes of five kinds, and a sink that would leave a file behind if anything ran.
fn five_mistakes(target: &Path) -> String {
    format!(
        r#"env {{
  job.mode = "BATCH"
  parallelism = "two"
}}
source {{
  FakeSource {{
    plugin_output = "orders"
    row.num = "many"
    schema {{ fields {{ id = "bigint", price = "decimal(10,2)" }} }}
  }}
  FakeSource {{
    plugin_output = "drinks"
    schema {{ fields {{ id = "biginteger" }} }}
  }}
}}
transform {{
  Sqll {{
    plugin_input = "orders"
    plugin_output = "dear"
    query = "select * from orders"
  }}
}}
sink {{
  LocalFile {{
    plugin_input = "drinks"
    path = "{}"
    file_format_type = "json"
  }}
  Assert {{
    plugin_input = "dear"
  }}
}}
"#,
        target.display()
    )
}

#[test]
fn five_mistakes_make_five_messages_with_their_places_and_nothing_is_written() {
    let folder = Folder::new();
    let target = folder.at("target");
    let file = folder.write("job.conf", &five_mistakes(&target));
    let ended = run_file(&file).expect_exit(1);
    assert_eq!(ended.stdout, "");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let (summary, messages) = lines.split_last().expect("a summary");
    assert_eq!(*summary, format!("error: {}: 5 errors; nothing was run", file.display()), "{}", ended.stderr);
    let expected = [
        ("3:17", "env, option 'parallelism': expected a whole number, found 'two'"),
        ("8:15", "source[0] FakeSource, option 'row.num': expected a whole number of at least 0, found 'many'"),
        ("13:28", "'biginteger'"),
        ("17:3", "pluginName='Sqll'} not found. (help: did you mean 'Sql'?)"),
        ("29:3", "sink[1] Assert, option 'rules': is required"),
    ];
    assert_eq!(messages.len(), expected.len(), "{}", ended.stderr);
    for (place, text) in expected {
        let place = format!("error: {}:{place}: ", file.display());
        let message = messages.iter().find(|message| message.starts_with(&place));
        assert!(message.is_some_and(|message| message.contains(text)), "no {place}{text} in\n{}", ended.stderr);
    }
    assert!(!target.exists(), "nothing is half-written");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "the config alone");
}

#[test]
fn one_syntax_error_in_each_block_is_reported_with_its_place() {
    let folder = Folder::new();
    let file = folder.write(
        "job.conf",
        "env { job.mode = }\nsource { FakeSource { row.num = 1 schema { } } }\nsink { Console { ] } }\n",
    );
    let ended = run_file(&file).expect_exit(1);
    assert_eq!(ended.stdout, "");
    let places: Vec<&str> = ended
        .stderr
        .lines()
        .filter_map(|line| Some(line.strip_prefix(&format!("error: {}:", file.display()))?.split_once(' ')?.0))
        .filter(|place| !place.is_empty())
        .collect();
    assert_eq!(places, ["1:18:", "2:42:", "3:18:"], "{}", ended.stderr);
}

#[test]
fn variables_are_filled_in_and_unset_ones_are_errors() {
    let folder = Folder::new();
    let file = folder.write(
        "job.conf",
        r#"
env { job.mode = "BATCH" }
source { FakeSource { schema { fields { day = "string", shop = "string" } }
  rows = [ { fields = ["${day}", "${shop:Bern}"] } ] } }
sink { Console { } }
"#,
    );
    let with = |variables: &[&str]| {
        let mut command = egret(["run"]);
        command.args(variables.iter().flat_map(|variable| ["-i", variable])).arg(&file);
        Program::start(command).end()
    };
    assert_holds(&with(&["day=2024-01-31"]).expect_exit(0).stdout, &["INSERT : 2024-01-31, Bern\n"]);
    assert_holds(&with(&["day=a=b", "shop=Basel"]).expect_exit(0).stdout, &["INSERT : a=b, Basel\n"]);
    assert_holds(&with(&["day=", "shop="]).expect_exit(0).stdout, &["INSERT : , \n"]);
    let misspelt = with(&["dya=2024-01-31"]).expect_exit(1);
    assert_holds(&misspelt.stderr, &["the variable 'day' is not set (help: 'dya' is set: did you mean that?)"]);
    let unset = with(&["shop=Basel"]).expect_exit(1);
    assert_holds(
        &unset.stderr,
        &[&format!("error: {}:4:", file.display()), "the variable 'day' is not set", "-i day=VALUE", "${day:VALUE}"],
    );
    assert_eq!(unset.stdout, "");
}

#[test]
fn the_original_clients_spelling_of_the_config_option_is_taken() {
    let folder = Folder::new();
    let file = folder.write("job.conf", THREE_ROWS);
    let ended = run([OsStr::new("run"), OsStr::new("--config"), file.as_os_str()]).expect_exit(0);
    assert_holds(&ended.stdout, &["2, lungo"]);
}

#[test]
fn an_unknown_option_is_a_warning_and_the_job_runs() {
    let folder = Folder::new();
    let file = folder.write("job.conf", &THREE_ROWS.replace("plugin_input", "log.print.dta = false, plugin_input"));
    let ended = run_file(&file).expect_exit(0);
    assert_holds(&ended.stdout, &["3, doppio"]);
    assert_eq!(
        ended.stderr,
        format!(
            "warning: {}:5:18: sink[0] Console, option 'log.print.dta': is not an option here and has no effect \
             (help: did you mean 'log.print.data'?)\n",
            file.display()
        )
    );
}

#[test]
fn secrets_are_never_printed() {
    let secret = "hunter2-the-secret";
    let blocks = [
        // In options that nothing reads, in the wrong type, beside a mistake, with a variable that is not set.
        format!(r#"password = "{secret}", token = "{secret}", auth = "{secret}", row.num = "many""#),
        format!(r#"password = ["{secret}"], token = {{ a = "{secret}" }}"#),
        format!(r#"password = "{secret}${{unset}}""#),
        format!(r#"password = "{secret}" ] "#),
        format!(r#"password = "{secret}"#),
    ];
    for block in blocks {
        let folder = Folder::new();
        let config = format!(
            "env {{ job.mode = BATCH }}\nsource {{ FakeSource {{ schema {{ fields {{ id = int }} }}\n{block}\n}} }}\nsink {{ Console {{ }} }}\n"
        );
        let file = folder.write("job.conf", &config);
        for subcommand in [&["run"][..], &["check"], &["check", "--json"], &["check", "--syntax"]] {
            let mut command = egret(subcommand);
            command.arg(&file).env("RUST_LOG", "trace");
            let ended = Program::start(command).end();
            assert!(!ended.stdout.contains(secret), "{block}: {}", ended.stdout);
            assert!(!ended.stderr.contains(secret), "{block}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_job_with_its_cause() {
    let folder = Folder::new();
    let file = folder.write(
        "job.conf",
        r#"
env { job.mode = "STREAMING" }
source { FakeSource { row.num = 1000000, schema { fields { id = "bigint", name = "string" } } } }
sink { Console { } }
"#,
    );
    let mut command = egret([OsStr::new("run"), file.as_os_str()]);
    // As `| head -1` does: take a line, and go.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("the program starts");
    drop(command);
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::with_capacity(1, reader), &mut first).expect("a line");
    assert_eq!(first, "output rowType: id<BIGINT>, name<STRING>\n");
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().expect("piped"), &mut stderr).expect("text");
    let status = child.wait().expect("an end");
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert_holds(&stderr, &["ended as FAILED: cannot write to standard output: Broken pipe"]);
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn a_job_goes_on_when_nobody_reads_its_messages() {
    let folder = Folder::new();
    let file = folder.write("job.conf", STREAMING);
    let mut command = egret([OsStr::new("run"), file.as_os_str()]);
    command.env("RUST_LOG", "debug");
    let program = Program::start_heard_until(command, Some("Init JobMaster"));
    program.wait_for_stdout("the last row", |text| text.contains("rowIndex=4:").then_some(()));
    program.signal(libc::SIGINT);
    let ended = program.end().expect_exit(130);
    assert_statistics(&split_statistics(&ended.stdout).1, 4, 4);

    let file = folder.write("wrong.conf", "env { }");
    for subcommand in ["run", "check"] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let status = egret([OsStr::new(subcommand), file.as_os_str()]).stderr(writer).status().expect("it runs");
        assert_eq!(status.code(), Some(1), "{subcommand}");
    }
}

#[test]
fn failures_that_a_retry_may_mend_are_retried_as_the_config_says() {
    let folder = Folder::new();
    let retried = THREE_ROWS.replace("BATCH\"", "BATCH\", job.retry.times = 2, job.retry.interval.seconds = 1");
    let file = folder.write("job.conf", &retried);
    let mut command = egret([OsStr::new("run"), file.as_os_str()]);
    // A full disk may have room again.
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let begun = std::time::Instant::now();
    let ended = command.stdout(full).stderr(Stdio::piped()).output().expect("the program runs");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert_holds(&stderr, &["ended as FAILED: cannot write to standard output: No space left on device"]);
    assert_eq!(stderr.matches("pipeline restarts").count(), 2, "{stderr}");
    assert!(begun.elapsed() >= std::time::Duration::from_secs(2), "it waits between: {:?}", begun.elapsed());
}

#[test]
fn help_and_version_go_to_standard_output() {
    for arguments in [&["--help"][..], &["run", "--help"], &["serve", "--help"], &["check", "-h"]] {
        let ended = program::run(arguments).expect_exit(0);
        assert_holds(&ended.stdout, &["Usage: egret", "Examples:"]);
    }
    let version = run(["--version"]).expect_exit(0);
    assert_eq!(version.stdout, format!("egret {}\n", env!("CARGO_PKG_VERSION")));
}
