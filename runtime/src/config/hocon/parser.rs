//! Text to [`Node`]s: objects and keys. Values are read in `values`, put in their place in `place`, and errors are got
//! over in `recovery`.

use std::sync::Arc;

use super::super::cursor::{Cursor, SyntaxError};
use super::super::limits::Limits;
use super::super::problem::{Problem, Problems};
use super::super::value::{Position, is_secret_key};
use super::include::{Includer, Includes};
use super::node::{Container, Node, NodeKind};
use super::recovery::Misfit;
use super::values::Place;

/// What the keys of an object mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Top level of the config: `env`, `source`, `transform`, `sink`.
    Root,
    /// Under `source`, `transform` or `sink`: each key names a plugin and may repeat.
    Plugins,
    /// Anywhere else.
    Inner,
}

/// Root keys whose object is a list of plugin blocks.
pub(in super::super) const PLUGIN_ROOTS: [&str; 3] = ["source", "transform", "sink"];

/// State that is shared by a text and the files that it includes.
pub(super) struct Session {
    pub limits: Limits,
    pub problems: Problems,
    pub includer: Includer,
    /// Begin of every plugin block in which something could not be read.
    pub damaged: Vec<Position>,
    /// Whether the nesting of the text is in doubt: what seems to be missing may only be misplaced.
    pub structure_lost: bool,
    /// What copies by `a = ${a} ...` may still cost.
    pub copies_left: usize,
}

impl Session {
    pub fn new(includes: Includes, limits: Limits) -> Self {
        Self {
            limits,
            problems: Problems::default(),
            includer: Includer::new(includes),
            damaged: Vec::new(),
            structure_lost: false,
            copies_left: limits.values_max,
        }
    }
}

/// Reads one text.
pub(super) struct Parser<'t, 's> {
    pub cursor: Cursor<'t>,
    pub session: &'s mut Session,
    /// Keys from the root to here; `None` in lists, whose members no path reaches.
    pub path: Option<Vec<Box<str>>>,
    /// Path of the object that an `include` of this text stands in.
    pub beneath: Option<Box<str>>,
    /// Block for messages, `source[0] FakeSource`.
    pub block: String,
    /// Begin of the plugin block that is being read.
    pub block_position: Option<Position>,
    /// Keys within the block, for messages.
    pub option: Vec<Box<str>>,
    pub depth: usize,
    /// The last line of a secret's value: what follows on it may be a part of the secret that was not quoted.
    secret_line: Option<u32>,
    /// The innermost `{` whose `}` stands in the column of another one.
    pub misfit: Option<Misfit>,
}

/// A block that cannot be read further; why is told already.
pub(super) struct Broken;

impl<'t, 's> Parser<'t, 's> {
    pub fn new(text: &'t str, file: Arc<str>, session: &'s mut Session) -> Self {
        Self {
            cursor: Cursor::new(text, file),
            session,
            path: Some(Vec::new()),
            beneath: None,
            block: String::new(),
            block_position: None,
            option: Vec::new(),
            depth: 0,
            secret_line: None,
            misfit: None,
        }
    }

    /// The whole text as an object, braces around it or not, put into `container`.
    pub fn document(&mut self, container: &mut Container, scope: Scope) {
        self.skip_blank();
        if self.cursor.looking_at("[") {
            let error = SyntaxError::new(self.cursor.position(), "expected an object, found a list");
            self.report(error.with_help("a config is env { ... } source { ... } transform { ... } sink { ... }"));
            return;
        }
        if !self.cursor.looking_at("{") {
            self.members(container, scope, None);
            return;
        }
        let opened = Opened { position: self.cursor.position(), indentation: self.cursor.indentation() };
        self.cursor.bump();
        self.members(container, scope, Some(opened));
        self.skip_blank();
        if self.cursor.peek().is_some() && !self.session.structure_lost {
            let message = format!("expected the end of the text, found {}", self.cursor.found());
            let error = SyntaxError::new(self.cursor.position(), message);
            self.report(error.with_help("the '}' before it closes the '{' that the text began with"));
        }
    }

    /// An object in braces; the cursor is at the opening one.
    pub fn object(&mut self, scope: Scope) -> Result<NodeKind, SyntaxError> {
        let opened = Opened { position: self.cursor.position(), indentation: self.cursor.indentation() };
        self.deeper(&opened.position)?;
        self.cursor.bump();
        let mut container = Container::new(scope);
        self.members(&mut container, scope, Some(opened));
        self.depth -= 1;
        Ok(container.into_kind())
    }

    /// Counts a level of nesting, refused beyond the limit.
    pub fn deeper(&mut self, opened: &Position) -> Result<(), SyntaxError> {
        let depth_max = self.session.limits.depth();
        if self.depth >= depth_max {
            return Err(SyntaxError::new(opened.clone(), format!("nested more than {depth_max} levels deep")));
        }
        self.depth += 1;
        Ok(())
    }

    /// Keys and values up to the closing brace, or to the end of a text without one.
    fn members(&mut self, container: &mut Container, scope: Scope, opened: Option<Opened>) {
        let mut comma_allowed = false;
        loop {
            self.skip_blank();
            match self.cursor.peek() {
                None => {
                    if let Some(opened) = opened {
                        self.report_unclosed(&opened.position);
                    }
                    return;
                }
                Some('}') => {
                    let closed = self.cursor.position();
                    let indentation = self.cursor.begins_its_line().then(|| self.cursor.indentation());
                    self.cursor.bump();
                    if let Some(opened) = opened {
                        if self.misfit.is_none() && indentation.is_some_and(|closing| closing != opened.indentation) {
                            self.misfit = Some(Misfit { opened: opened.position, closed });
                        }
                        return;
                    }
                    self.session.structure_lost = true;
                    let message = "this '}' closes nothing: expected a key or the end of the text";
                    self.report(SyntaxError::new(closed, message));
                }
                Some(',') if comma_allowed => {
                    self.cursor.bump();
                    comma_allowed = false;
                }
                Some(_) => {
                    if self.member(container, scope).is_err() {
                        if opened.is_some() {
                            self.skip_block();
                            return;
                        }
                        self.skip_root_line();
                    }
                    comma_allowed = true;
                }
            }
        }
    }

    /// One key and its value, or an include.
    fn member(&mut self, container: &mut Container, scope: Scope) -> Result<(), Broken> {
        if self.at_include() {
            return self.include(container, scope).map_err(|error| self.report(error)).map_err(|()| Broken);
        }
        let position = self.cursor.position();
        let (keys, appended, separated) = match self.key_and_separator(&position) {
            Ok(read) => read,
            Err(error) => {
                self.report(error);
                return Err(Broken);
            }
        };
        let (inner, was) = self.enter(container, scope, &keys, &position);
        // Problems are told with the block that they are in, so it is left only when its value is in its place.
        let placed = self
            .assigned(&keys, &position, separated, inner)
            .and_then(|node| self.place(container, keys, position, node, appended));
        let result = placed.map_err(|error| {
            self.report(error);
            Broken
        });
        self.leave(was);
        result
    }

    fn key_and_separator(&mut self, position: &Position) -> Result<(Vec<Box<str>>, bool, bool), SyntaxError> {
        let keys = self.key()?;
        self.skip_blank();
        let appended = self.cursor.eat("+=");
        let separated = appended || self.cursor.eat("=") || self.cursor.eat(":");
        if separated || self.cursor.looking_at("{") {
            return Ok((keys, appended, separated));
        }
        if self.secret_line == Some(position.line) {
            return Err(SyntaxError::new(position.clone(), "expected a key with a value behind the value of a secret")
                .with_help("a secret that holds a comma goes in double quotes"));
        }
        let shown = keys.join("->");
        let message = format!("expected '=', ':' or '{{' after the key '{shown}', found {}", self.cursor.found());
        let error = SyntaxError::new(position.clone(), message);
        Err(if shown.contains('>') || shown.contains(')') {
            error.with_help("a type that holds a comma goes in double quotes, like \"map<string, int>\"")
        } else {
            error
        })
    }

    fn assigned(
        &mut self,
        keys: &[Box<str>],
        key_position: &Position,
        separated: bool,
        scope: Scope,
    ) -> Result<Node, SyntaxError> {
        let separator_line = self.cursor.line();
        if separated {
            self.skip_blank();
        }
        let value_line = self.cursor.line();
        let before = self.cursor.offset();
        let node = self.value(scope, Place::Member { inline: separated && value_line == separator_line })?;
        if keys.last().is_some_and(|key| is_secret_key(key)) {
            self.secret_line = Some(self.cursor.line());
        }
        let Some(node) = node else {
            let message = format!("expected a value for '{}', found {}", keys.join("->"), self.cursor.found());
            return Err(SyntaxError::new(self.cursor.position(), message));
        };
        if let Some(next @ ('=' | ':')) = self.cursor.peek() {
            let taken = self.cursor.slice(before, self.cursor.offset()).trim().to_owned();
            let error = if value_line > separator_line {
                SyntaxError::new(key_position.clone(), format!("'{}' has no value", keys.join("->")))
                    .with_help(format!("the next line, '{taken} {next} ...', is another key"))
            } else {
                let message = format!("expected ',' or the end of the line behind the value, found '{next}'");
                SyntaxError::new(self.cursor.position(), message).with_help(
                    "keys on one line are separated by commas, and text that holds '=' or ':' goes in double quotes",
                )
            };
            return Err(error);
        }
        Ok(node)
    }

    // ------------------------------------------------------------------------------------ keys

    /// A key: parts separated by `->`, each of them flat even when it holds dots.
    fn key(&mut self) -> Result<Vec<Box<str>>, SyntaxError> {
        let start = self.cursor.position();
        let mut keys: Vec<Box<str>> = Vec::new();
        let mut current = String::new();
        let mut given = false;
        let mut space = String::new();
        loop {
            match self.cursor.peek() {
                Some('"') => {
                    current.push_str(&std::mem::take(&mut space));
                    current.push_str(&self.quoted_text()?);
                    given = true;
                }
                Some('-') if self.cursor.looking_at("->") => {
                    if !given {
                        let error = SyntaxError::new(self.cursor.position(), "expected a key before '->'");
                        return Err(error);
                    }
                    self.cursor.eat("->");
                    keys.push(std::mem::take(&mut current).into());
                    self.cursor.bump_while(is_inline_blank);
                    space.clear();
                    given = false;
                }
                Some(next) if is_inline_blank(next) => {
                    space.push(next);
                    self.cursor.bump();
                }
                Some(next) if !is_reserved(next) && next != '\n' && !self.cursor.looking_at("//") => {
                    current.push_str(&std::mem::take(&mut space));
                    current.push(next);
                    self.cursor.bump();
                    given = true;
                }
                _ => break,
            }
        }
        if !given {
            return Err(self.no_key(start, keys.is_empty()));
        }
        keys.push(current.into());
        if keys.len() + self.depth > self.session.limits.depth() {
            return Err(SyntaxError::new(start, "this path makes the config nest too deep"));
        }
        Ok(keys)
    }

    fn no_key(&self, start: Position, first: bool) -> SyntaxError {
        let expected = if first { "expected a key" } else { "expected a key behind '->'" };
        let error = SyntaxError::new(start, format!("{expected}, found {}", self.cursor.found()));
        match self.cursor.peek() {
            Some(',') => error.with_help("one comma too many"),
            Some(']') => error.with_help("this ']' has no '[': an object ends with '}'"),
            Some('{') => error.with_help("objects in a row belong in a list: [ { ... }, { ... } ]"),
            Some(next) if is_reserved(next) => {
                error.with_help(format!("a key that holds '{next}' goes in double quotes"))
            }
            _ => error,
        }
    }

    // ------------------------------------------------------------------- blocks and their names

    /// Goes to the value of a key: names the block and the option for messages.
    fn enter(
        &mut self,
        container: &Container,
        scope: Scope,
        keys: &[Box<str>],
        position: &Position,
    ) -> (Scope, Entered) {
        let mut was = Entered {
            block: None,
            block_position: self.block_position.clone(),
            path_length: self.path.as_ref().map_or(0, Vec::len),
            path: None,
            options: self.option.len(),
            depth: self.depth,
        };
        // `a -> b { ... }` nests as `a { b { ... } }` does.
        self.depth += keys.len() - 1;
        match scope {
            Scope::Root => {
                was.block = Some(std::mem::replace(&mut self.block, keys[0].to_string()));
                self.option.extend(keys.iter().skip(1).cloned());
            }
            Scope::Plugins => {
                let block = format!("{}[{}] {}", self.block, container.blocks(), keys[0]);
                was.block = Some(std::mem::replace(&mut self.block, block));
                self.block_position = Some(position.clone());
                self.option.extend(keys.iter().skip(1).cloned());
                was.path = self.path.take();
            }
            Scope::Inner => self.option.extend(keys.iter().cloned()),
        }
        if let Some(path) = &mut self.path {
            path.extend(keys.iter().cloned());
        }
        let is_plugin_root = scope == Scope::Root && keys.len() == 1 && PLUGIN_ROOTS.contains(&keys[0].as_ref());
        (if is_plugin_root { Scope::Plugins } else { Scope::Inner }, was)
    }

    fn leave(&mut self, was: Entered) {
        if let Some(block) = was.block {
            self.block = block;
        }
        self.block_position = was.block_position;
        if was.path.is_some() {
            self.path = was.path;
        }
        if let Some(path) = &mut self.path {
            path.truncate(was.path_length);
        }
        self.option.truncate(was.options);
        self.depth = was.depth;
    }

    /// Goes to an item of a list of plugin blocks.
    pub fn enter_item(&mut self, list: &str, index: usize) {
        self.block = format!("{list}[{index}]");
        self.block_position = Some(self.cursor.position());
    }

    /// Leaves a list of plugin blocks.
    pub fn leave_item(&mut self, list: String) {
        self.block = list;
        self.block_position = None;
    }

    /// Tells an error of the block that is being read.
    pub fn report(&mut self, error: SyntaxError) {
        if let Some(position) = &self.block_position
            && self.session.damaged.last() != Some(position)
        {
            self.session.damaged.push(position.clone());
        }
        let mut problem = error.into_problem();
        problem.block.clone_from(&self.block);
        if !self.option.is_empty() {
            problem.option = Some(self.option.join(".").into());
        }
        self.session.problems.push(problem);
    }

    /// Tells a warning of the block that is being read.
    pub fn warn(&mut self, position: Position, message: impl Into<String>, help: Option<String>) {
        let mut problem = Problem::warning(position, message).in_block(self.block.clone());
        if !self.option.is_empty() {
            problem.option = Some(self.option.join(".").into());
        }
        problem.help = help;
        self.session.problems.push(problem);
    }

    /// Over blanks, line breaks and comments.
    pub fn skip_blank(&mut self) {
        loop {
            self.cursor.bump_while(|next| next == '\n' || is_inline_blank(next));
            if self.cursor.looking_at("#") || self.cursor.looking_at("//") {
                self.cursor.skip_line();
            } else {
                return;
            }
        }
    }
}

/// What [`Parser::enter`] changed.
struct Entered {
    /// The block around, when the key begins another one.
    block: Option<String>,
    block_position: Option<Position>,
    /// The path, when what is behind the key has none.
    path: Option<Vec<Box<str>>>,
    path_length: usize,
    options: usize,
    depth: usize,
}

/// An opening brace.
struct Opened {
    position: Position,
    /// Blanks at the beginning of its line.
    indentation: usize,
}

/// Whether this is a blank within a line.
pub(super) fn is_inline_blank(next: char) -> bool {
    next != '\n' && (next.is_whitespace() || next == '\u{feff}')
}

/// Whether this cannot stand in unquoted text.
pub(super) fn is_reserved(next: char) -> bool {
    matches!(
        next,
        '$' | '"'
            | '{'
            | '}'
            | '['
            | ']'
            | ':'
            | '='
            | ','
            | '+'
            | '#'
            | '`'
            | '^'
            | '?'
            | '!'
            | '@'
            | '*'
            | '&'
            | '\\'
    )
}
