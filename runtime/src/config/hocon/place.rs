//! Values put where their keys say: objects merge, lists grow, `a = ${a}` looks back.

use super::super::cursor::SyntaxError;
use super::super::value::Position;
use super::node::{Container, Node, NodeKind, NodeObject};
use super::parser::Parser;

impl Parser<'_, '_> {
    /// Puts a value that was read where its key says.
    pub fn place(
        &mut self,
        container: &mut Container,
        keys: Vec<Box<str>>,
        position: Position,
        mut node: Node,
        appended: bool,
    ) -> Result<(), SyntaxError> {
        let object = match container {
            Container::Keys(object) => object,
            Container::Blocks(blocks) => return self.place_block(blocks, keys, position, node),
        };
        // The last key of the path is set; those before it are objects around it.
        let (last, around) = keys.split_last().map_or(("", &[][..]), |(last, around)| (last.as_ref(), around));
        let mut target = object;
        for key in around {
            target = target.descend(key, &position);
        }
        if appended {
            return append(target, last, position, node);
        }
        if let Some(old) = target.get(last) {
            self.refer_back(old, &mut node)?;
            self.warn_replaced(last, old, &node, &position);
        }
        target.set(last, position, node);
        Ok(())
    }

    /// Lets `a = ${a} ...` refer to what `a` was before.
    fn refer_back(&mut self, old: &Node, node: &mut Node) -> Result<(), SyntaxError> {
        let Some(path) = self.path.as_ref().filter(|_| !node.is_known()).map(|path| path.join(".")) else {
            return Ok(());
        };
        let copies_left = &mut self.session.copies_left;
        let mut enough = true;
        node.each_reference(&mut |place| {
            if matches!(&place.kind, NodeKind::Reference(reference) if reference.path.as_ref() == path) {
                let weight = if enough { old.weight() } else { 0 };
                enough = enough && *copies_left >= weight;
                if enough {
                    *copies_left -= weight;
                    *place = old.clone();
                }
            }
        });
        if enough {
            Ok(())
        } else {
            Err(SyntaxError::new(node.position.clone(), "grows too large by referring to itself"))
        }
    }

    fn warn_replaced(&mut self, key: &str, old: &Node, new: &Node, position: &Position) {
        if old.is_scalar() && new.is_scalar() && old.position.file == position.file && !old.same_scalar(new) {
            let message = format!("'{key}' is set twice: this value replaces the one of line {}", old.position.line);
            self.warn(position.clone(), message, None);
        }
    }

    fn place_block(
        &mut self,
        blocks: &mut Vec<Node>,
        mut keys: Vec<Box<str>>,
        position: Position,
        mut node: Node,
    ) -> Result<(), SyntaxError> {
        let name = keys.remove(0);
        for key in keys.into_iter().rev() {
            node = node.beneath(&key, &position);
        }
        match node.kind {
            NodeKind::Object(mut object) => {
                object.name_plugin(&name, &position);
                blocks.push(Node { kind: NodeKind::Object(object), position });
            }
            NodeKind::Concat(_) | NodeKind::Reference(_) => {
                let named = Node::plugin_name_object(&name, &position);
                blocks.push(Node { kind: NodeKind::Override(vec![named, node]), position });
            }
            _ => {
                let message =
                    format!("expected the options of the plugin '{name}' in braces, found {}", node.kind_name());
                let help = format!("write {name} {{ ... }}");
                self.report(SyntaxError::new(position, message).with_help(help));
            }
        }
        Ok(())
    }
}

/// `key += item`
fn append(target: &mut NodeObject, key: &str, key_position: Position, item: Node) -> Result<(), SyntaxError> {
    let position = item.position.clone();
    let list = Node { kind: NodeKind::List(vec![item]), position: position.clone() };
    match target.get_mut(key) {
        None => target.set(key, key_position, list),
        Some(old) if old.is_scalar() || matches!(old.kind, NodeKind::Object(_)) => {
            let message =
                format!("'+=' adds to a list, and '{key}' is none (it was set in line {})", old.position.line);
            return Err(SyntaxError::new(position, message));
        }
        Some(old) => {
            let nothing = Node { kind: NodeKind::Null, position };
            *old = std::mem::replace(old, nothing).followed_by(list);
        }
    }
    Ok(())
}
