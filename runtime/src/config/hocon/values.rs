//! Values: quoted and unquoted text, numbers, lists, references, and what stands side by side.

use super::super::cursor::{Quoting, SyntaxError, is_json_number, quoted};
use super::super::value::Position;
use super::node::{Node, NodeKind, Part, Reference};
use super::parser::{Parser, Scope, is_inline_blank, is_reserved};

/// Longest path of a reference.
const REFERENCE_BYTES_MAX: usize = 1024;

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind a key.
    Member {
        /// On the line of the key's separator: what follows without a blank belongs to it, also '=' and ':'.
        inline: bool,
    },
    /// In a list.
    Item,
}

/// A piece of a value.
struct Piece {
    space: String,
    node: Node,
    /// Whether it was written without quotes and may so be a number, a boolean or null.
    bare: bool,
}

impl Parser<'_, '_> {
    /// A value up to the end of its line, a comma or a closing bracket; `None` when there is none.
    pub fn value(&mut self, scope: Scope, place: Place) -> Result<Option<Node>, SyntaxError> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut space = String::new();
        loop {
            space.push_str(self.cursor.bump_while(is_inline_blank));
            let position = self.cursor.position();
            let Some(next) = self.cursor.peek() else { break };
            let (kind, bare) = match next {
                '\n' | ',' | '}' | ']' | '#' => break,
                '/' if self.cursor.looking_at("//") => break,
                // The caller knows what an '=' here means.
                '=' | ':' if place != Place::Item && !pieces.is_empty() => break,
                '"' if !is_container(&pieces, place) => (NodeKind::Text(self.quoted_text()?.into()), false),
                '{' => (self.object(scope)?, false),
                '[' => (self.list(scope)?, false),
                '$' if self.cursor.looking_at("${") => (self.reference()?, false),
                // `A {} B {}`: the next key.
                _ if is_container(&pieces, place) => break,
                _ => {
                    let joint = match place {
                        Place::Member { inline } if inline && pieces.is_empty() => "=:",
                        Place::Item if pieces.is_empty() => ":",
                        _ => "",
                    };
                    (NodeKind::Text(self.bare_text(joint)?.into()), true)
                }
            };
            pieces.push(Piece { space: std::mem::take(&mut space), node: Node { kind, position }, bare });
        }
        self.joined(pieces, place)
    }

    /// One value out of pieces that stand side by side.
    fn joined(&mut self, mut pieces: Vec<Piece>, place: Place) -> Result<Option<Node>, SyntaxError> {
        if pieces.len() <= 1 {
            return Ok(pieces.pop().map(|piece| match piece.node.kind {
                NodeKind::Text(text) if piece.bare => Node { kind: bare_kind(&text), position: piece.node.position },
                kind => Node { kind, position: piece.node.position },
            }));
        }
        let position = pieces[0].node.position.clone();
        if pieces.iter().all(|piece| matches!(piece.node.kind, NodeKind::Text(_))) {
            let mut text = String::new();
            for (index, piece) in pieces.iter().enumerate() {
                if let NodeKind::Text(part) = &piece.node.kind {
                    // Blanks in front of the first piece are not part of the value.
                    text.push_str(if index == 0 { "" } else { &piece.space });
                    text.push_str(part);
                }
            }
            let bare = pieces.iter().all(|piece| piece.bare && piece.space.is_empty());
            let kind = if bare { bare_kind(&text) } else { NodeKind::Text(text.into()) };
            return Ok(Some(Node { kind, position }));
        }
        self.check_neighbours(&pieces, place)?;
        let mut parts: Vec<Part> =
            pieces.into_iter().map(|piece| Part { space: piece.space.into(), node: piece.node }).collect();
        parts[0].space = "".into();
        Ok(Some(Node { kind: NodeKind::Concat(parts), position }))
    }

    /// Refuses text beside objects or lists, and warns about objects that are merged by standing side by side.
    fn check_neighbours(&mut self, pieces: &[Piece], place: Place) -> Result<(), SyntaxError> {
        let known = || pieces.iter().filter(|piece| piece.node.is_known());
        let Some(first) = known().next() else { return Ok(()) };
        for piece in known() {
            let alike = match &first.node.kind {
                NodeKind::Object(_) => matches!(piece.node.kind, NodeKind::Object(_)),
                NodeKind::List(_) => matches!(piece.node.kind, NodeKind::List(_)),
                _ => piece.node.is_scalar(),
            };
            if !alike {
                let message = format!("{} and {} side by side", first.node.kind_name(), piece.node.kind_name());
                return Err(SyntaxError::new(piece.node.position.clone(), message)
                    .with_help("separate them by a comma or a line break, or put the text in double quotes"));
            }
        }
        let objects: Vec<&Piece> = known().filter(|piece| matches!(piece.node.kind, NodeKind::Object(_))).collect();
        if place == Place::Item && objects.len() > 1 {
            let help = "put a comma between them if they are two items";
            let position = objects[1].node.position.clone();
            self.warn(position, "two objects side by side in a list are merged into one", Some(help.into()));
        }
        Ok(())
    }

    /// A list; the cursor is at the opening bracket.
    fn list(&mut self, scope: Scope) -> Result<NodeKind, SyntaxError> {
        let opened = self.cursor.position();
        self.deeper(&opened)?;
        self.cursor.bump();
        // No path reaches what is in a list.
        let path = self.path.take();
        let list = self.block.clone();
        let items = self.items(&opened, scope);
        self.path = path;
        self.depth -= 1;
        // After an error the key around this list leaves the block that the error is in.
        if items.is_ok() && scope == Scope::Plugins {
            self.leave_item(list);
        }
        items.map(NodeKind::List)
    }

    fn items(&mut self, opened: &Position, scope: Scope) -> Result<Vec<Node>, SyntaxError> {
        let list = self.block.clone();
        let mut items = Vec::new();
        let mut comma_allowed = false;
        loop {
            self.skip_blank();
            match self.cursor.peek() {
                Some(']') => {
                    self.cursor.bump();
                    return Ok(items);
                }
                Some(',') if comma_allowed => {
                    self.cursor.bump();
                    comma_allowed = false;
                    continue;
                }
                None => {
                    self.session.structure_lost = true;
                    let message = "this '[' is never closed: expected ']' before the end of the text";
                    return Err(SyntaxError::new(opened.clone(), message));
                }
                Some(_) => {}
            }
            if scope == Scope::Plugins {
                self.enter_item(&list, items.len());
            }
            match self.value(Scope::Inner, Place::Item)? {
                Some(item) => items.push(item),
                None => return Err(self.no_item(opened)),
            }
            comma_allowed = true;
        }
    }

    fn no_item(&self, opened: &Position) -> SyntaxError {
        let message = format!("expected a value or ']', found {}", self.cursor.found());
        let error = SyntaxError::new(self.cursor.position(), message);
        match self.cursor.peek() {
            Some(',') => error.with_help("one comma too many"),
            Some('}') => error.with_help(format!("the '[' of line {} is not closed yet", opened.line)),
            _ => error,
        }
    }

    // ------------------------------------------------------------------------------------ texts

    /// Text in double quotes, or in three of them; the cursor is at the first.
    pub fn quoted_text(&mut self) -> Result<String, SyntaxError> {
        if !self.cursor.looking_at("\"\"\"") {
            return quoted(&mut self.cursor, Quoting::Relaxed);
        }
        let opened = self.cursor.position();
        self.cursor.eat("\"\"\"");
        let start = self.cursor.offset();
        let Some(length) = self.cursor.rest().find("\"\"\"") else {
            self.session.structure_lost = true;
            return Err(SyntaxError::new(
                opened,
                "this \"\"\" is never closed: expected \"\"\" before the end of the text",
            ));
        };
        while self.cursor.offset() < start + length {
            self.cursor.bump();
        }
        // Of more than three quotes at the end the last three close the text.
        while self.cursor.looking_at("\"\"\"\"") {
            self.cursor.bump();
        }
        let text = self.cursor.slice(start, self.cursor.offset()).to_owned();
        self.cursor.eat("\"\"\"");
        Ok(text)
    }

    /// Text without quotes up to a blank or a character that it cannot hold.
    ///
    /// Characters that HOCON wants in quotes are taken with a warning where they cannot mean anything else
    /// (`/data/*.csv`), and those of `joint` when they follow without a blank (`jdbc:mysql://host/db?a=b`).
    fn bare_text(&mut self, joint: &str) -> Result<String, SyntaxError> {
        let position = self.cursor.position();
        let start = self.cursor.offset();
        let mut odd = None;
        while let Some(next) = self.cursor.peek() {
            let read = self.cursor.slice(start, self.cursor.offset());
            // The sign of an exponent.
            let sign =
                next == '+' && read.ends_with(['e', 'E']) && read.starts_with(|c: char| c == '-' || c.is_ascii_digit());
            let address = read.ends_with(':') && self.cursor.looking_at("//");
            if next == '\n' || is_inline_blank(next) || (self.cursor.looking_at("//") && !address) {
                break;
            }
            if is_reserved(next) && !sign {
                if !is_odd(next) && (read.is_empty() || !joint.contains(next)) {
                    break;
                }
                odd = odd.or(Some(next));
            }
            self.cursor.bump();
        }
        let text = self.cursor.slice(start, self.cursor.offset());
        let stopped_at = self.cursor.peek().filter(|next| text.is_empty() || is_forbidden_in_text(*next));
        if text.starts_with(['\u{201c}', '\u{201d}', '\u{201e}']) {
            let help = "typographic quotes are part of the text; the quotes of the config language are \"";
            self.warn(
                position.clone(),
                format!("the text begins with {}", &text[..'\u{201c}'.len_utf8()]),
                Some(help.into()),
            );
        }
        if let Some(next) = stopped_at {
            let message = format!("'{next}' cannot stand in text without quotes");
            let help = match next {
                '$' => "a reference is written ${name}; other text with '$' goes in double quotes",
                '=' | ':' => "text that holds it goes in double quotes; keys with values go in braces",
                _ => "put the whole text in double quotes",
            };
            return Err(SyntaxError::new(self.cursor.position(), message).with_help(help));
        }
        // `a http://x`: the rest would be a comment.
        if self.cursor.looking_at("://") {
            let message = "'://' cannot stand behind a blank in text without quotes: '//' begins a comment";
            return Err(
                SyntaxError::new(self.cursor.position(), message).with_help("put the whole text in double quotes")
            );
        }
        if let Some(odd) = odd {
            let help = "put the whole text in double quotes: the original demands it";
            self.warn(position, format!("the text without quotes holds '{odd}'"), Some(help.into()));
        }
        Ok(text.to_owned())
    }

    /// `${path}`, `${?path}`, `${name:default}`; the cursor is at the dollar.
    fn reference(&mut self) -> Result<NodeKind, SyntaxError> {
        let position = self.cursor.position();
        let start = self.cursor.offset();
        self.cursor.eat("${");
        let optional = self.cursor.eat("?");
        let from = self.cursor.offset();
        self.cursor.bump_while(|next| next != '}' && next != '\n');
        let inner = self.cursor.slice(from, self.cursor.offset());
        if !self.cursor.eat("}") {
            return Err(SyntaxError::new(position, "this '${' is never closed: expected '}' on the same line"));
        }
        let name = inner.split_once(':').map_or(inner, |(name, _)| name);
        let path = name.split("->").map(|key| key.trim().trim_matches('"')).collect::<Vec<_>>().join(".");
        if name.len() > REFERENCE_BYTES_MAX {
            return Err(SyntaxError::new(position, format!("a name has at most {REFERENCE_BYTES_MAX} bytes")));
        }
        if path.is_empty() {
            return Err(SyntaxError::new(position, "expected a name in '${...}'"));
        }
        Ok(NodeKind::Reference(Reference {
            written: self.cursor.slice(start, self.cursor.offset()).into(),
            path: path.into(),
            beneath: self.beneath.clone(),
            optional,
        }))
    }
}

/// Whether what stands behind these pieces on the line cannot belong to the same value: a key follows an object.
fn is_container(pieces: &[Piece], place: Place) -> bool {
    place != Place::Item
        && pieces.last().is_some_and(|piece| {
            matches!(piece.node.kind, NodeKind::Object(_) | NodeKind::Blocks(_) | NodeKind::List(_))
        })
}

/// Reserved characters that mean nothing in a value.
fn is_odd(next: char) -> bool {
    matches!(next, '*' | '?' | '&' | '@' | '!' | '^' | '+')
}

/// Reserved characters that neither end a value nor begin another piece of it.
fn is_forbidden_in_text(next: char) -> bool {
    is_reserved(next) && !matches!(next, '"' | '{' | '}' | '[' | ']' | ',' | '#' | '=' | ':' | '$')
}

/// What text without quotes means.
fn bare_kind(text: &str) -> NodeKind {
    match text {
        "null" => NodeKind::Null,
        "true" => NodeKind::Boolean(true),
        "false" => NodeKind::Boolean(false),
        _ if is_json_number(text) => NodeKind::Number(text.into()),
        _ => NodeKind::Text(text.into()),
    }
}
