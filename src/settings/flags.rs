//! Every setting as a flag of `egret serve`.

use std::ffi::{OsStr, OsString};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::Settings;
use super::table::{self, BOOLEAN, Setting};

/// The settings that the command line gives.
#[derive(Clone, Debug, Default)]
pub struct SettingFlags {
    /// Each with its value, which is valid by itself.
    pub given: Vec<(&'static Setting, String)>,
}

/// The arguments with `--dynamic-slot false` written as `--dynamic-slot=false`. A flag alone means true, so what follows it
/// may be a file as well: only the very words are taken for a value. (A file of that name is `./false`.)
pub fn with_values_joined(arguments: Vec<OsString>) -> Vec<OsString> {
    let is_flag = |argument: &OsStr| {
        let name = argument.to_str().and_then(|text| text.strip_prefix("--"));
        name.is_some_and(|name| with_flag().any(|setting| setting.takes == BOOLEAN && setting.flag == name))
    };
    let is_value = |argument: &OsStr| argument.eq_ignore_ascii_case("true") || argument.eq_ignore_ascii_case("false");
    let mut joined: Vec<OsString> = Vec::with_capacity(arguments.len());
    let mut arguments = arguments.into_iter();
    for argument in arguments.by_ref() {
        if argument == "--" {
            joined.push(argument);
            break;
        }
        match joined.last_mut() {
            Some(flag) if is_flag(flag) && is_value(&argument) => {
                flag.push("=");
                flag.push(argument);
            }
            _ => joined.push(argument),
        }
    }
    joined.extend(arguments);
    joined
}

/// The settings that have a flag.
fn with_flag() -> impl Iterator<Item = &'static Setting> {
    table::all().filter(|setting| !setting.flag.is_empty())
}

fn argument(setting: &'static Setting) -> Arg {
    let default = (setting.show)(&Settings::default());
    let default = if default.is_empty() { String::new() } else { format!(" [default: {default}]") };
    let check = move |text: &str| (setting.set)(&mut Settings::default(), text).map(|()| text.to_owned());
    let argument = Arg::new(setting.flag)
        .long(setting.flag)
        .value_name("VALUE")
        .overrides_with(setting.flag)
        .value_parser(check)
        .help(format!("{}{default}", setting.meaning))
        .help_heading("Settings, each also a key of egret.yaml");
    match setting.takes {
        BOOLEAN => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => argument.allow_hyphen_values(true),
    }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        command.args(with_flag().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in with_flag() {
            if matches.value_source(setting.flag) == Some(ValueSource::CommandLine)
                && let Some(value) = matches.get_one::<String>(setting.flag)
            {
                self.given.push((setting, value.clone()));
            }
        }
        Ok(())
    }
}
