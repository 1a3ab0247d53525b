//! References resolved: a path of the config first, then a structured variable, else the reference stays in the text
//! for [`variables`](super::super::variables) to judge.

use std::collections::BTreeSet;

use super::super::cursor::SyntaxError;
use super::super::limits::Limits;
use super::super::problem::{Problem, Problems};
use super::super::value::{Entry, Object, Value, ValueKind};
use super::super::variables::Variables;
use super::node::{Node, NodeKind, NodeObject, Part, Reference};

/// Turns a tree with references into one without.
pub(super) struct Resolver<'r> {
    root: &'r NodeObject,
    variables: &'r Variables,
    limits: Limits,
    /// Paths that are being looked up, outermost first.
    pending: Vec<Box<str>>,
    values_left: usize,
    bytes_left: usize,
    /// Key comparisons that merging may still cost.
    merging_left: usize,
    /// Paths that references led to.
    pub used: BTreeSet<Box<str>>,
    pub problems: Problems,
    exhausted: bool,
}

impl<'r> Resolver<'r> {
    pub fn new(root: &'r NodeObject, variables: &'r Variables, limits: Limits) -> Self {
        Self {
            root,
            variables,
            limits,
            pending: Vec::new(),
            values_left: root.weight().saturating_add(limits.values_max),
            bytes_left: limits.expanded_bytes_max,
            merging_left: limits.values_max.saturating_mul(64),
            used: BTreeSet::new(),
            problems: Problems::default(),
            exhausted: false,
        }
    }

    /// The whole tree.
    pub fn tree(&mut self) -> Object {
        self.object(self.root, 0)
    }

    fn object(&mut self, object: &NodeObject, depth: usize) -> Object {
        let mut entries = Vec::with_capacity(object.entries.len());
        for entry in &object.entries {
            if let Some(value) = self.node(&entry.node, depth) {
                entries.push(Entry { key: entry.key.clone(), key_position: entry.key_position.clone(), value });
            }
        }
        entries.into_iter().collect()
    }

    /// A value; `None` for `${?path}` that leads nowhere.
    pub fn node(&mut self, node: &Node, depth: usize) -> Option<Value> {
        if !self.spend(node, depth) {
            return None;
        }
        let kind = match &node.kind {
            NodeKind::Null => ValueKind::Null,
            NodeKind::Boolean(boolean) => ValueKind::Boolean(*boolean),
            NodeKind::Number(number) => ValueKind::Number(number.clone()),
            NodeKind::Text(text) => ValueKind::Text(text.clone().into()),
            NodeKind::List(items) | NodeKind::Blocks(items) => {
                ValueKind::List(items.iter().filter_map(|item| self.node(item, depth + 1)).collect())
            }
            NodeKind::Object(object) => ValueKind::Object(self.object(object, depth + 1)),
            NodeKind::Reference(reference) => return self.reference(reference, node, depth),
            NodeKind::Concat(parts) => return self.concat(parts, node, depth),
            NodeKind::Override(all) => return self.overridden(all, depth),
        };
        Some(Value { kind, position: node.position.clone() })
    }

    /// Counts a value against the bounds.
    fn spend(&mut self, node: &Node, depth: usize) -> bool {
        let bytes = match &node.kind {
            NodeKind::Number(text) | NodeKind::Text(text) => text.len(),
            _ => 0,
        };
        if self.exhausted {
            return false;
        }
        let message = if depth > self.limits.depth() * 2 {
            "the references lead too deep from here"
        } else if self.values_left == 0 || self.bytes_left < bytes {
            "the references blow the config up too far"
        } else {
            self.values_left -= 1;
            self.bytes_left -= bytes;
            return true;
        };
        // What is beyond the bounds is told once; the tree is refused anyway.
        self.exhausted = true;
        self.problems.push(SyntaxError::new(node.position.clone(), message).into_problem());
        false
    }

    fn reference(&mut self, reference: &Reference, node: &Node, depth: usize) -> Option<Value> {
        if let Some(beneath) = &reference.beneath
            && let Some(found) = self.look_up(&format!("{beneath}.{}", reference.path), depth)
        {
            return Some(found);
        }
        if let Some(found) = self.look_up(&reference.path, depth) {
            return Some(found);
        }
        let given = self.variables.has(&reference.path);
        let environment = if given { None } else { self.variables.environment(&reference.path) };
        let text = match environment {
            Some(value) => value,
            None if reference.optional && !given => return None,
            // A path may hold ':' or '?'; what is left to the variables is always `${name}` or `${name:default}`.
            None => reference.written.replacen("${?", "${", 1),
        };
        Some(Value { kind: ValueKind::Text(text.into()), position: node.position.clone() })
    }

    /// The list or object of a variable that stands beside or over another one.
    fn variable_structure(&self, node: &Node, value: &Value) -> Option<Value> {
        match (&node.kind, &value.kind) {
            (NodeKind::Reference(reference), ValueKind::Text(_)) => {
                self.variables.structured(&reference.path, &node.position)
            }
            _ => None,
        }
    }

    /// What stands under a dotted path, in any of its spellings; `None` also while it is being looked up already.
    fn look_up(&mut self, path: &str, depth: usize) -> Option<Value> {
        if self.pending.iter().any(|pending| pending.as_ref() == path) {
            return None;
        }
        self.pending.push(path.into());
        let found = self.look_up_in(self.root, path, depth);
        self.pending.pop();
        if found.is_some() {
            self.used.insert(path.into());
        }
        found
    }

    fn look_up_in(&mut self, object: &NodeObject, path: &str, depth: usize) -> Option<Value> {
        if let Some(node) = object.get(path) {
            return self.node(node, depth + 1);
        }
        let mut end = path.len();
        while let Some(dot) = path[..end].rfind('.') {
            let rest = &path[dot + 1..];
            let found = match object.get(&path[..dot]) {
                Some(Node { kind: NodeKind::Object(inner), .. }) => self.look_up_in(inner, rest, depth + 1),
                Some(node) if !node.is_known() => self
                    .node(node, depth + 1)
                    .and_then(|value| value.as_object().and_then(|object| object.get(rest)).cloned()),
                _ => None,
            };
            if found.is_some() {
                return found;
            }
            end = dot;
        }
        None
    }

    fn concat(&mut self, parts: &[Part], node: &Node, depth: usize) -> Option<Value> {
        let mut values: Vec<(&str, &Node, Value)> = parts
            .iter()
            .filter_map(|part| Some((part.space.as_ref(), &part.node, self.node(&part.node, depth + 1)?)))
            .collect();
        if values.iter().any(|(_, _, value)| value.as_list().is_some() || value.as_object().is_some()) {
            for (_, part, value) in &mut values {
                if let Some(structure) = self.variable_structure(part, value) {
                    *value = structure;
                }
            }
        }
        let values: Vec<(&str, Value)> = values.into_iter().map(|(space, _, value)| (space, value)).collect();
        let position = node.position.clone();
        let kind = if values.is_empty() {
            // Nothing but optional references that lead nowhere.
            return None;
        } else if values.iter().all(|(_, value)| value.as_list().is_some()) {
            ValueKind::List(values.into_iter().flat_map(|(_, value)| into_items(value)).collect())
        } else if values.iter().all(|(_, value)| value.as_object().is_some()) {
            let mut merged = Object::default();
            for (_, value) in values {
                if let ValueKind::Object(object) = value.kind {
                    self.merge(&mut merged, object);
                }
            }
            ValueKind::Object(merged)
        } else if let Some((_, odd)) =
            values.iter().find(|(_, value)| value.as_list().is_some() || value.as_object().is_some())
        {
            let message = format!("{} cannot stand beside other values here", odd.kind_name());
            self.problems.push(SyntaxError::new(position.clone(), message).into_problem());
            ValueKind::Null
        } else {
            let mut text = String::new();
            for (index, (space, value)) in values.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { space });
                text.push_str(value.to_text().unwrap_or("null"));
            }
            self.bytes_left = self.bytes_left.saturating_sub(text.len());
            ValueKind::Text(text.into())
        };
        Some(Value { kind, position })
    }

    fn overridden(&mut self, all: &[Node], depth: usize) -> Option<Value> {
        let mut result: Option<Value> = None;
        for node in all {
            let Some(mut next) = self.node(node, depth + 1) else { continue };
            if result.as_ref().is_some_and(|result| result.as_object().is_some())
                && let Some(structure) = self.variable_structure(node, &next)
            {
                next = structure;
            }
            result = Some(match (result, next) {
                (
                    Some(Value { kind: ValueKind::Object(mut old), position }),
                    Value { kind: ValueKind::Object(new), .. },
                ) => {
                    self.merge(&mut old, new);
                    Value { kind: ValueKind::Object(old), position }
                }
                (_, next) => next,
            });
        }
        result
    }

    /// Sets every key of `new` over `old`; objects merge.
    fn merge(&mut self, old: &mut Object, new: Object) {
        let cost = (old.len() + new.len()).saturating_mul(new.len());
        if self.merging_left < cost {
            self.exhausted = true;
            self.problems.push(Problem::error(None, "merging the objects of this config takes too long"));
            return;
        }
        self.merging_left -= cost;
        for entry in new.into_entries() {
            match (old.get_exact_mut(&entry.key).map(|value| &mut value.kind), entry.value) {
                (Some(ValueKind::Object(old)), Value { kind: ValueKind::Object(new), .. }) => self.merge(old, new),
                (_, value) => {
                    old.insert(&entry.key, entry.key_position, value);
                }
            }
        }
    }
}

fn into_items(value: Value) -> Vec<Value> {
    match value.kind {
        ValueKind::List(items) => items,
        _ => Vec::new(),
    }
}
