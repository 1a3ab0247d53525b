//! The words in which a client is told what is wrong with a config (contract A.4).

use crate::config::{Problem, Problems, REQUIRED};

/// All errors of a config as one text, each on a line of its own that begins with the words that clients of the
/// original look for.
pub(super) fn config_errors(problems: &Problems) -> String {
    let mut lines: Vec<String> = problems.errors().map(line).collect();
    if problems.left_out() > 0 {
        lines.push(format!("and {} more", problems.left_out()));
    }
    lines.join("\n")
}

fn line(problem: &Problem) -> String {
    let kind = ["source", "transform", "sink"].into_iter().find(|kind| problem.block.starts_with(kind));
    let (Some(kind), Some(option)) = (kind, &problem.option) else { return problem.message_first() };
    // Of `source[0] FakeSource, rows[0]` the second word.
    let name = problem.block.split([' ', ',']).nth(1).unwrap_or_default();
    let told = match problem.message.strip_prefix(REQUIRED) {
        Some(expected) => format!(
            "ErrorCode:[API-02], ErrorDescription:[Option item validate failed] - There are unconfigured options, the \
             options('{option}') are required{expected}"
        ),
        None => format!("Option '{option}': {}", problem.message),
    };
    problem.in_other_words(&format!("Unable to create a {kind} for identifier '{name}'. {told}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PROBLEMS_MAX, Position};

    fn problem(block: &str, option: &str, message: &str) -> Problem {
        let position = Position { file: "<request body>".into(), line: 3, column: 7 };
        Problem::error(position, message).in_block(block).of_option(option)
    }

    #[test]
    fn options_are_told_in_the_words_of_the_original_and_with_their_place() {
        let errors = [
            problem("source[0] FakeSource", "row.num", "expected a whole number, found 'x'").with_help("give one"),
            problem("sink[1] Http, rows[0]", "url", "is required but not given: expected text"),
            problem("transform[0] Sql", "query", "is required but not given"),
            problem("env", "job.mode", "expected one of BATCH, STREAMING, found 'B'"),
        ];
        let mut problems = Problems::default();
        errors.into_iter().for_each(|error| problems.push(error));
        problems.push(Problem::warning(None, "not told"));
        let required = "ErrorCode:[API-02], ErrorDescription:[Option item validate failed] - There are unconfigured \
                        options, the options";
        assert_eq!(
            config_errors(&problems).split('\n').collect::<Vec<_>>(),
            [
                "Unable to create a source for identifier 'FakeSource'. Option 'row.num': expected a whole number, \
                 found 'x' (at <request body>:3:7, source[0] FakeSource; help: give one)",
                &format!(
                    "Unable to create a sink for identifier 'Http'. {required}('url') are required: expected text \
                     (at <request body>:3:7, sink[1] Http, rows[0])"
                ),
                &format!(
                    "Unable to create a transform for identifier 'Sql'. {required}('query') are required \
                     (at <request body>:3:7, transform[0] Sql)"
                ),
                "expected one of BATCH, STREAMING, found 'B' (at <request body>:3:7, env, option 'job.mode')",
            ]
        );
    }

    #[test]
    fn errors_that_are_too_many_are_counted() {
        let mut problems = Problems::default();
        (0..PROBLEMS_MAX + 3).for_each(|_| problems.push(Problem::error(None, "wrong")));
        assert!(config_errors(&problems).ends_with("wrong\nand 3 more"));
    }
}
