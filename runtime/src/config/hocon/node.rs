//! The tree between parsing and substitution: values that may still refer to others.

use super::super::key_index::KeyIndex;
use super::super::value::{PLUGIN_NAME, Position};
use super::parser::Scope;

/// A value, perhaps one that is not known before substitution.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub kind: NodeKind,
    pub position: Position,
}

#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    Null,
    Boolean(bool),
    Number(Box<str>),
    Text(Box<str>),
    List(Vec<Node>),
    /// `{ A { ... } B { ... } }` under a plugin root: a list that grows when the root is given again.
    Blocks(Vec<Node>),
    Object(NodeObject),
    Reference(Reference),
    /// Values side by side: texts are joined, lists are joined, objects are merged.
    Concat(Vec<Part>),
    /// Each is set over the one before, where not all of them are known yet. A flat list, so that a key that is set
    /// very often does not nest.
    Override(Vec<Node>),
}

/// One of the values of a [`NodeKind::Concat`].
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Blanks in front of it; they count between texts.
    pub space: Box<str>,
    pub node: Node,
}

/// `${path}`, `${?path}`, `${name:default}`.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    /// As written, `${...}` included.
    pub written: Box<str>,
    /// Parts of the path joined by dots: `->` and `.` mean the same in a lookup.
    pub path: Box<str>,
    /// Path of the object that an `include` stands in: the path is looked up there first.
    pub beneath: Option<Box<str>>,
    pub optional: bool,
}

/// Keys and nodes in the order of the text.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeObject {
    pub entries: Vec<NodeEntry>,
    index: KeyIndex,
}

#[derive(Clone, Debug)]
pub(super) struct NodeEntry {
    pub key: Box<str>,
    pub key_position: Position,
    pub node: Node,
}

impl NodeObject {
    pub fn position_of(&self, key: &str) -> Option<usize> {
        self.index.find(key, self.entries.iter().map(|entry| entry.key.as_ref()))
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.position_of(key).map(|index| &self.entries[index].node)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.position_of(key).map(|index| &mut self.entries[index].node)
    }

    fn push(&mut self, entry: NodeEntry) {
        self.entries.push(entry);
        self.index.added(self.entries.iter().map(|entry| entry.key.as_ref()));
    }

    /// Sets a key as HOCON does: objects merge, anything else replaces what was there.
    pub fn set(&mut self, key: &str, key_position: Position, node: Node) {
        let Some(index) = self.position_of(key) else {
            self.push(NodeEntry { key: key.into(), key_position, node });
            return;
        };
        let entry = &mut self.entries[index];
        let nothing = Node { kind: NodeKind::Null, position: node.position.clone() };
        let old = std::mem::replace(&mut entry.node, nothing);
        entry.node = old.overridden_by(node);
        if !matches!(entry.node.kind, NodeKind::Object(_)) {
            entry.key_position = key_position;
        }
    }

    /// The object under a key, which is made (over whatever else is there) when it is not there.
    pub fn descend(&mut self, key: &str, position: &Position) -> &mut NodeObject {
        let is_object = matches!(self.get(key), Some(Node { kind: NodeKind::Object(_), .. }));
        if !is_object {
            let empty = Node { kind: NodeKind::Object(Self::default()), position: position.clone() };
            self.set(key, position.clone(), empty);
        }
        let index = self.position_of(key).unwrap_or(0);
        match &mut self.entries[index].node.kind {
            NodeKind::Object(object) => object,
            // An object set over a reference: what is put into it goes over the reference as well.
            NodeKind::Override(all) => match all.last_mut().map(|node| &mut node.kind) {
                Some(NodeKind::Object(object)) => object,
                _ => unreachable!("an object was set last"),
            },
            _ => unreachable!("an object was set here"),
        }
    }

    /// Notes the name of a plugin block, unless the block names its plugin itself.
    pub fn name_plugin(&mut self, name: &str, position: &Position) {
        if self.get(PLUGIN_NAME).is_none() {
            let kind = NodeKind::Text(name.into());
            let node = Node { kind, position: position.clone() };
            let named = NodeEntry { key: PLUGIN_NAME.into(), key_position: position.clone(), node };
            let entries = std::mem::replace(self, Self { entries: vec![named], index: KeyIndex::default() }).entries;
            entries.into_iter().for_each(|entry| self.push(entry));
        }
    }

    /// What a copy costs, see [`Node::weight`].
    pub fn weight(&self) -> usize {
        self.entries.iter().map(|entry| entry.key.len() + entry.node.weight()).sum()
    }

    pub fn merge(&mut self, other: NodeObject) {
        for entry in other.entries {
            self.set(&entry.key, entry.key_position, entry.node);
        }
    }
}

/// What the members of an object are put into.
pub(super) enum Container {
    Keys(NodeObject),
    /// Plugin blocks, which may repeat a name.
    Blocks(Vec<Node>),
}

impl Container {
    pub fn new(scope: Scope) -> Self {
        match scope {
            Scope::Plugins => Self::Blocks(Vec::new()),
            Scope::Root | Scope::Inner => Self::Keys(NodeObject::default()),
        }
    }

    pub fn into_kind(self) -> NodeKind {
        match self {
            Self::Keys(object) => NodeKind::Object(object),
            Self::Blocks(blocks) => NodeKind::Blocks(blocks),
        }
    }

    /// Plugin blocks so far.
    pub fn blocks(&self) -> usize {
        match self {
            Self::Keys(_) => 0,
            Self::Blocks(blocks) => blocks.len(),
        }
    }
}

impl Node {
    pub fn is_known(&self) -> bool {
        !matches!(self.kind, NodeKind::Reference(_) | NodeKind::Concat(_) | NodeKind::Override(_))
    }

    /// Whether this is text, a number, a boolean or null.
    pub fn is_scalar(&self) -> bool {
        matches!(self.kind, NodeKind::Null | NodeKind::Boolean(_) | NodeKind::Number(_) | NodeKind::Text(_))
    }

    pub fn same_scalar(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (NodeKind::Null, NodeKind::Null) => true,
            (NodeKind::Boolean(one), NodeKind::Boolean(other)) => one == other,
            (NodeKind::Number(one) | NodeKind::Text(one), NodeKind::Number(other) | NodeKind::Text(other)) => {
                one == other
            }
            _ => false,
        }
    }

    /// What kind of value this is, for messages.
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            NodeKind::Null => "null",
            NodeKind::Boolean(_) => "a boolean",
            NodeKind::Number(_) => "a number",
            NodeKind::Text(_) => "text",
            NodeKind::List(_) => "a list",
            NodeKind::Blocks(_) => "plugin blocks",
            NodeKind::Object(_) => "an object",
            NodeKind::Reference(_) | NodeKind::Concat(_) | NodeKind::Override(_) => "a value with ${...}",
        }
    }

    /// `{ key = self }`
    pub fn beneath(self, key: &str, position: &Position) -> Self {
        let mut object = NodeObject::default();
        object.set(key, position.clone(), self);
        Self { kind: NodeKind::Object(object), position: position.clone() }
    }

    /// `{ plugin_name = name }`
    pub fn plugin_name_object(name: &str, position: &Position) -> Self {
        Self { kind: NodeKind::Text(name.into()), position: position.clone() }.beneath(PLUGIN_NAME, position)
    }

    /// This list, or what will be one, with `list` behind it.
    pub fn followed_by(self, list: Self) -> Self {
        let position = self.position.clone();
        let kind = match (self.kind, list.kind) {
            (NodeKind::List(mut items), NodeKind::List(more)) => {
                items.extend(more);
                NodeKind::List(items)
            }
            (NodeKind::Concat(mut parts), kind) => {
                parts.push(Part { space: "".into(), node: Self { kind, position: list.position } });
                NodeKind::Concat(parts)
            }
            (first, second) => NodeKind::Concat(vec![
                Part { space: "".into(), node: Self { kind: first, position: position.clone() } },
                Part { space: "".into(), node: Self { kind: second, position: list.position } },
            ]),
        };
        Self { kind, position }
    }

    fn overridden_by(self, new: Node) -> Node {
        let position = new.position.clone();
        match (self, new) {
            (Node { kind: NodeKind::Object(mut old), position }, Node { kind: NodeKind::Object(new), .. }) => {
                old.merge(new);
                Node { kind: NodeKind::Object(old), position }
            }
            (Node { kind: NodeKind::Blocks(mut old), position }, Node { kind: NodeKind::Blocks(new), .. }) => {
                old.extend(new);
                Node { kind: NodeKind::Blocks(old), position }
            }
            (old, new) if new.is_known() && (old.is_known() || !matches!(new.kind, NodeKind::Object(_))) => new,
            (Node { kind: NodeKind::Override(mut all), .. }, new) => {
                all.push(new);
                Node { kind: NodeKind::Override(all), position }
            }
            (old, new) => Node { kind: NodeKind::Override(vec![old, new]), position },
        }
    }

    /// Nodes and bytes of text, roughly: what a copy costs.
    pub fn weight(&self) -> usize {
        1 + match &self.kind {
            NodeKind::Null | NodeKind::Boolean(_) => 0,
            NodeKind::Number(text) | NodeKind::Text(text) => text.len(),
            NodeKind::List(items) | NodeKind::Blocks(items) | NodeKind::Override(items) => {
                items.iter().map(Self::weight).sum()
            }
            NodeKind::Object(object) => object.weight(),
            NodeKind::Reference(reference) => reference.written.len(),
            NodeKind::Concat(parts) => parts.iter().map(|part| part.space.len() + part.node.weight()).sum(),
        }
    }

    /// Calls `change` for every reference in the tree.
    pub fn each_reference(&mut self, change: &mut impl FnMut(&mut Node)) {
        match &mut self.kind {
            NodeKind::Reference(_) => change(self),
            NodeKind::Concat(parts) => parts.iter_mut().for_each(|part| part.node.each_reference(change)),
            NodeKind::List(items) | NodeKind::Blocks(items) | NodeKind::Override(items) => {
                items.iter_mut().for_each(|item| item.each_reference(change));
            }
            NodeKind::Object(object) => {
                object.entries.iter_mut().for_each(|entry| entry.node.each_reference(change));
            }
            NodeKind::Null | NodeKind::Boolean(_) | NodeKind::Number(_) | NodeKind::Text(_) => {}
        }
    }
}
