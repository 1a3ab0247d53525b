//! `egret check`: what is wrong with a config.

use std::sync::Arc;

use egret_runtime::config::{Examined, Problem, Problems, Severity, examine_job};
use egret_runtime::job::DEFAULT_JOB_NAME;
use egret_runtime::plan::{PlanOptions, check_wiring, plan, unset_variables};

use crate::{cli, node, stdout};

/// Checks the config; gives the exit status.
pub fn check(arguments: &cli::Check) -> u8 {
    let path = arguments.config.path();
    let problems = match std::fs::read_to_string(path) {
        Ok(text) => examine(arguments, &text),
        Err(error) => Problem::error(None, format!("cannot read the config {}: {error}", path.display())).into(),
    };
    let valid = !problems.has_errors();
    if arguments.json {
        return stdout::print(format!("{}\n", as_json(&problems)), u8::from(!valid));
    }
    problems.iter().for_each(|problem| tell!("{problem}"));
    if valid { stdout::print(format!("{} is valid\n", path.display()), 0) } else { 1 }
}

fn examine(arguments: &cli::Check, text: &str) -> Problems {
    let path = arguments.config.path();
    let mut read = cli::read_options(path, &arguments.config.variables);
    read.grammar_only = arguments.syntax;
    let Examined { job, mut problems, unset } = examine_job(text, &path.display().to_string(), &read);
    if arguments.syntax {
        problems.append(check_wiring(&job));
        problems.sort_by_position();
        return problems;
    }
    let registry = node::registry();
    problems.append(unset_variables(unset, &job, &registry));
    let name = job.env.job_name.as_deref().unwrap_or(DEFAULT_JOB_NAME);
    let options = PlanOptions { job_id: 0, job_name: Arc::from(name), restored: false };
    match plan(&job, &registry, &options) {
        Ok((_, more)) | Err(more) => problems.append(more),
    }
    problems.sort_by_position();
    problems
}

/// `{"valid":false,"problems":[{"severity":"error","file":"job.conf","line":3,"column":5,...}]}`
fn as_json(problems: &Problems) -> serde_json::Value {
    let rows: Vec<_> = problems
        .iter()
        .map(|problem| {
            serde_json::json!({
                "severity": match problem.severity { Severity::Error => "error", Severity::Warning => "warning" },
                "file": problem.position.as_ref().map(|position| position.file.to_string()),
                "line": problem.position.as_ref().map(|position| position.line),
                "column": problem.position.as_ref().map(|position| position.column),
                "block": (!problem.block.is_empty()).then_some(&problem.block),
                "option": problem.option,
                "message": problem.message,
                "help": problem.help,
            })
        })
        .collect();
    serde_json::json!({ "valid": !problems.has_errors(), "problems": rows })
}
