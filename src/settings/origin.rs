//! Where a setting's value comes from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::table::Setting;

/// A place that gives values to settings. Later ones win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody has said anything.
    Default,
    /// A line of a file.
    File {
        /// The file, as it was named.
        name: Arc<str>,
        /// The line, from 1.
        line: usize,
        /// The key of the original's that stands there.
        original: Option<&'static str>,
    },
    /// An environment variable.
    Environment(&'static str),
    /// A flag, without its dashes.
    Flag(&'static str),
}

impl Origin {
    /// Which one wins: the one with the higher number.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Environment(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line, original: None } => write!(f, "{name}:{line}"),
            Self::File { name, line, original: Some(original) } => write!(f, "{name}:{line}, {original}"),
            Self::Environment(variable) => write!(f, "${variable}"),
            Self::Flag(flag) => write!(f, "--{flag}"),
        }
    }
}

/// Where each setting's value comes from, by key.
#[derive(Clone, Debug, Default)]
pub struct Origins(BTreeMap<&'static str, Origin>);

impl Origins {
    /// Where a setting's value comes from.
    pub fn of(&self, key: &str) -> &Origin {
        self.0.get(key).unwrap_or(&Origin::Default)
    }

    /// Notes where a setting's value comes from now.
    pub fn note(&mut self, setting: &'static Setting, origin: Origin) {
        self.0.insert(setting.key, origin);
    }
}
