//! The config language: HOCON with flat dotted keys and plugin blocks that repeat (contract C.1).
//!
//! * `parser` reads objects and keys, `values` what stands behind a key, `include` other files, and `place` puts
//!   values where their keys say: text to `node`. `recovery` goes on after errors.
//! * `resolve` replaces references: `node` to [`Object`](super::Object).
//!
//! Differences from HOCON, all of them the contract's: the path separator is `->`, so that `row.num` is one key; the
//! members of `source`, `transform` and `sink` are lists of blocks; `${name:default}`. And one of our own, where HOCON
//! has an error: a key may follow an object or a list on the same line.

mod include;
mod node;
mod parser;
mod place;
mod recovery;
mod resolve;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use include::Includes;
pub(super) use parser::PLUGIN_ROOTS;

use super::limits::Limits;
use super::problem::Problems;
use super::value::{Object, Position, Value};
use super::variables::Variables;
use node::{Container, NodeKind, NodeObject};
use parser::{Parser, Scope, Session};
use resolve::Resolver;
use values::Place;

/// A text read as far as it can be.
pub(super) struct Parsed {
    pub tree: Object,
    pub problems: Problems,
    /// Where the plugin blocks begin in which something could not be read.
    pub damaged: Vec<Position>,
    /// Whether the nesting is in doubt, so that nothing can be said about what is missing.
    pub structure_lost: bool,
    /// Paths that references led to.
    pub used: BTreeSet<Box<str>>,
}

/// What the keys of a text's top level mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A job config.
    Job,
    /// Any object: a type, the value of a variable.
    Fragment,
}

/// Reads a text. References lead to the text's own paths first, then to `variables`.
pub(super) fn parse(
    text: &str,
    file: Arc<str>,
    kind: Kind,
    variables: &Variables,
    includes: Includes,
    limits: Limits,
) -> Parsed {
    let mut session = Session::new(includes, limits);
    let mut container = Container::new(Scope::Inner);
    let scope = match kind {
        Kind::Job => Scope::Root,
        Kind::Fragment => Scope::Inner,
    };
    Parser::new(text, file, &mut session).document(&mut container, scope);
    let NodeKind::Object(root) = container.into_kind() else { unreachable!("an inner container is an object") };
    let mut resolver = Resolver::new(&root, variables, limits);
    let tree = resolver.tree();
    let mut problems = session.problems;
    problems.append(resolver.problems);
    Parsed { tree, problems, damaged: session.damaged, structure_lost: session.structure_lost, used: resolver.used }
}

/// Reads a text that is one value and nothing else; `None` when it is not.
pub(super) fn parse_value(text: &str, file: Arc<str>, limits: Limits) -> Option<Value> {
    let mut session = Session::new(Includes::Forbidden, limits);
    let mut parser = Parser::new(text, file, &mut session);
    parser.skip_blank();
    let node = parser.value(Scope::Inner, Place::Item).ok()??;
    parser.skip_blank();
    if parser.cursor.peek().is_some() || session.problems.has_errors() {
        return None;
    }
    let (root, variables) = (NodeObject::default(), Variables::default());
    let mut resolver = Resolver::new(&root, &variables, limits);
    let value = resolver.node(&node, 0)?;
    (!resolver.problems.has_errors()).then_some(value)
}
