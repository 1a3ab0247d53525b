//! Plugins by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{Plugin, SinkFactory, SourceFactory, TransformFactory};
use crate::config::nearest;

/// Where in a config a plugin stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PluginKind {
    /// Under `source`.
    Source,
    /// Under `transform`.
    Transform,
    /// Under `sink`.
    Sink,
}

/// `source`, `transform`, `sink`.
impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Transform => "transform",
            Self::Sink => "sink",
        })
    }
}

/// The plugins that jobs may use. Filled once at start; names are matched in any case.
#[derive(Default)]
pub struct Registry {
    sources: BTreeMap<String, Arc<dyn SourceFactory>>,
    transforms: BTreeMap<String, Arc<dyn TransformFactory>>,
    sinks: BTreeMap<String, Arc<dyn SinkFactory>>,
}

impl Registry {
    /// Adds a source.
    pub fn add_source(&mut self, factory: impl SourceFactory + 'static) {
        self.sources.insert(factory.name().to_ascii_lowercase(), Arc::new(factory));
    }

    /// Adds a transform.
    pub fn add_transform(&mut self, factory: impl TransformFactory + 'static) {
        self.transforms.insert(factory.name().to_ascii_lowercase(), Arc::new(factory));
    }

    /// Adds a sink.
    pub fn add_sink(&mut self, factory: impl SinkFactory + 'static) {
        self.sinks.insert(factory.name().to_ascii_lowercase(), Arc::new(factory));
    }

    /// The source of this name.
    pub fn source(&self, name: &str) -> Option<&Arc<dyn SourceFactory>> {
        self.sources.get(&name.to_ascii_lowercase())
    }

    /// The transform of this name.
    pub fn transform(&self, name: &str) -> Option<&Arc<dyn TransformFactory>> {
        self.transforms.get(&name.to_ascii_lowercase())
    }

    /// The sink of this name.
    pub fn sink(&self, name: &str) -> Option<&Arc<dyn SinkFactory>> {
        self.sinks.get(&name.to_ascii_lowercase())
    }

    /// All plugins of a kind, by name.
    pub fn plugins(&self, kind: PluginKind) -> Vec<&dyn Plugin> {
        match kind {
            PluginKind::Source => self.sources.values().map(|factory| factory.as_ref() as &dyn Plugin).collect(),
            PluginKind::Transform => self.transforms.values().map(|factory| factory.as_ref() as &dyn Plugin).collect(),
            PluginKind::Sink => self.sinks.values().map(|factory| factory.as_ref() as &dyn Plugin).collect(),
        }
    }

    /// The name of this kind that comes nearest to what was written.
    pub fn nearest(&self, kind: PluginKind, written: &str) -> Option<&'static str> {
        nearest(written, self.plugins(kind).into_iter().map(Plugin::name))
    }
}
