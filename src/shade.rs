//! `egret encrypt` and `egret decrypt`: a config with its secrets encoded or decoded, as JSON.

use egret_runtime::config::{
    Object, Problem, Problems, Secrets, Unresolved, decode_secrets, encode_secrets, read_tree, render_json_pretty,
};

use crate::{cli, stdout};

/// Prints the config encoded; gives the exit status.
pub fn encrypt(arguments: &cli::Shade) -> u8 {
    convert(arguments, encode_secrets)
}

/// Prints the config decoded; gives the exit status.
pub fn decrypt(arguments: &cli::Shade) -> u8 {
    convert(arguments, decode_secrets)
}

fn convert(arguments: &cli::Shade, change: fn(&mut Object, Option<&str>, &mut Problems)) -> u8 {
    let path = arguments.config.path();
    let mut read = cli::read_options(path, &arguments.config.variables);
    // What is not set stays, so that the result can be filled in like the original.
    (read.unresolved, read.secrets) = (Unresolved::Keep, Secrets::Keep);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            tell!("{}", Problem::error(None, format!("cannot read the config {}: {error}", path.display())));
            return 1;
        }
    };
    let (tree, mut problems) = match read_tree(&text, &path.display().to_string(), &read) {
        Ok((mut tree, mut problems)) => {
            change(&mut tree, arguments.shade.as_deref(), &mut problems);
            (tree, problems)
        }
        Err(problems) => (Object::default(), problems),
    };
    problems.sort_by_position();
    problems.iter().for_each(|problem| tell!("{problem}"));
    if problems.has_errors() {
        return 1;
    }
    stdout::print(render_json_pretty(&tree), 0)
}
