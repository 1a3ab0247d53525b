//! The strict JSON parser that can tell what is wrong.

use std::sync::Arc;

use super::{Members, Parsed, holds_blocks};
use crate::config::cursor::{Cursor, Quoting, SyntaxError, is_json_number, quoted, skip_quoted};
use crate::config::limits::Limits;
use crate::config::problem::Problems;
use crate::config::value::{Object, Position, Value, ValueKind, is_secret_key};

/// Reads a JSON object, and what can be read of a broken one.
pub(super) fn read(text: &str, file: &Arc<str>, limits: Limits) -> Parsed {
    let mut reader = Reader {
        cursor: Cursor::new(text, file.clone()),
        depth_max: limits.depth(),
        problems: Problems::default(),
        damaged: Vec::new(),
        block: Vec::new(),
        structure_lost: false,
    };
    let tree = reader.document();
    Parsed { tree, problems: reader.problems, damaged: reader.damaged, structure_lost: reader.structure_lost }
}

struct Reader<'t> {
    cursor: Cursor<'t>,
    depth_max: usize,
    problems: Problems,
    damaged: Vec<Position>,
    /// Begin of every object around this place.
    block: Vec<Position>,
    structure_lost: bool,
}

impl Reader<'_> {
    fn document(&mut self) -> Object {
        self.skip_blank();
        if !self.cursor.looking_at("{") {
            let message = format!("expected a JSON object, found {}", self.cursor.found());
            self.report(SyntaxError::new(self.cursor.position(), message));
            self.structure_lost = true;
            return Object::default();
        }
        let kind = match self.object(0, false) {
            Ok(kind) => kind,
            Err(error) => {
                self.report(error);
                ValueKind::Null
            }
        };
        self.skip_blank();
        if self.cursor.peek().is_some() && !self.structure_lost {
            let message = format!("expected the end of the text, found {}", self.cursor.found());
            self.report(SyntaxError::new(self.cursor.position(), message));
            self.structure_lost = true;
        }
        match kind {
            ValueKind::Object(object) => object,
            _ => Object::default(),
        }
    }

    fn report(&mut self, error: SyntaxError) {
        // Below the root a plugin block is the first object, or the second one in `"source": {"FakeSource": {...}}`.
        self.damaged.extend(self.block.iter().skip(1).take(2).cloned());
        self.problems.push(error.into_problem());
    }

    fn skip_blank(&mut self) {
        self.cursor.bump_while(|next| matches!(next, ' ' | '\t' | '\r' | '\n'));
    }

    fn value(&mut self, depth: usize, blocks: bool) -> Result<Value, SyntaxError> {
        let position = self.cursor.position();
        let kind = match self.cursor.peek() {
            Some('{') => self.object(depth, blocks)?,
            Some('[') => self.list(depth)?,
            Some('"') => ValueKind::Text(quoted(&mut self.cursor, Quoting::Json)?.into()),
            _ => self.word(&position)?,
        };
        Ok(Value { kind, position })
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self, position: &Position) -> Result<ValueKind, SyntaxError> {
        let found = self.cursor.found();
        let word = self.cursor.bump_while(|next| next.is_alphanumeric() || matches!(next, '+' | '-' | '.' | '_'));
        let error = |message: String| SyntaxError::new(position.clone(), message);
        Err(match word {
            "true" => return Ok(ValueKind::Boolean(true)),
            "false" => return Ok(ValueKind::Boolean(false)),
            "null" => return Ok(ValueKind::Null),
            number if is_json_number(number) => return Ok(ValueKind::Number(number.into())),
            "" => match self.cursor.peek() {
                Some('\'') => error("expected a value, found '''".into()).with_help("JSON quotes text with \""),
                Some('#' | '/') => comment(position),
                Some(']' | '}') => error(format!("expected a value, found {found}"))
                    .with_help("JSON allows no comma before a closing bracket"),
                _ => error(format!("expected a value, found {found}")),
            },
            word => match word.to_ascii_lowercase().as_str() {
                "true" | "false" | "null" => {
                    error(format!("expected a value, found '{word}'")).with_help("write it in lower case")
                }
                "none" | "nil" => error(format!("expected a value, found '{word}'")).with_help("write null"),
                _ if word.starts_with(|next: char| next == '-' || next == '.' || next.is_ascii_digit()) => {
                    error(format!("'{word}' is not a JSON number"))
                        .with_help("JSON numbers have no leading zero or plus, and digits on both sides of the point")
                }
                _ => {
                    error(format!("expected a value, found '{word}'")).with_help("in JSON all text is in double quotes")
                }
            },
        })
    }

    fn list(&mut self, depth: usize) -> Result<ValueKind, SyntaxError> {
        let opened = self.cursor.position();
        self.deep_enough(depth, &opened)?;
        self.cursor.bump();
        let mut items = Vec::new();
        self.skip_blank();
        if self.cursor.eat("]") {
            return Ok(ValueKind::List(items));
        }
        loop {
            self.skip_blank();
            items.push(self.value(depth + 1, false)?);
            self.skip_blank();
            if self.cursor.eat("]") {
                return Ok(ValueKind::List(items));
            }
            if !self.cursor.eat(",") {
                return Err(self.no_comma(']', &opened));
            }
        }
    }

    fn object(&mut self, depth: usize, blocks: bool) -> Result<ValueKind, SyntaxError> {
        let opened = self.cursor.position();
        self.deep_enough(depth, &opened)?;
        self.cursor.bump();
        let mut members = Members::new(blocks);
        self.block.push(opened.clone());
        if let Err(error) = self.members(&mut members, depth, &opened) {
            self.report(error);
            self.skip_block();
        }
        self.block.pop();
        Ok(members.into_kind())
    }

    /// Members up to the closing brace.
    fn members(&mut self, members: &mut Members, depth: usize, opened: &Position) -> Result<(), SyntaxError> {
        self.skip_blank();
        if self.cursor.eat("}") {
            return Ok(());
        }
        loop {
            self.skip_blank();
            let key_position = self.cursor.position();
            let key = self.key(&key_position)?;
            self.skip_blank();
            if !self.cursor.eat(":") {
                let message = format!("expected ':' after the key \"{key}\", found {}", self.cursor.found());
                return Err(SyntaxError::new(self.cursor.position(), message));
            }
            self.skip_blank();
            let inner_blocks = holds_blocks(depth + 1, &key);
            let value = self.value(depth + 1, inner_blocks).map_err(|error| hide_secret(&key, error))?;
            members.put(key, key_position, value, &mut self.problems);
            self.skip_blank();
            if self.cursor.eat("}") {
                return Ok(());
            }
            if !self.cursor.eat(",") {
                return Err(self.no_comma('}', opened));
            }
        }
    }

    fn key(&mut self, position: &Position) -> Result<String, SyntaxError> {
        if self.cursor.looking_at("\"") {
            return quoted(&mut self.cursor, Quoting::Json);
        }
        let error = SyntaxError::new(
            position.clone(),
            format!("expected a key in double quotes, found {}", self.cursor.found()),
        );
        Err(match self.cursor.peek() {
            Some('}') => error.with_help("JSON allows no comma before a closing bracket"),
            Some('#' | '/') => comment(position),
            None => {
                self.structure_lost = true;
                error
            }
            _ => error,
        })
    }

    fn no_comma(&mut self, closing: char, opened: &Position) -> SyntaxError {
        let message = format!("expected ',' or '{closing}', found {}", self.cursor.found());
        let position = self.cursor.position();
        match self.cursor.peek() {
            None => {
                self.structure_lost = true;
                let opening = if closing == '}' { '{' } else { '[' };
                let message =
                    format!("this '{opening}' is never closed: expected '{closing}' before the end of the text");
                SyntaxError::new(opened.clone(), message)
            }
            Some('#' | '/') => comment(&position),
            _ => SyntaxError::new(position, message),
        }
    }

    fn deep_enough(&self, depth: usize, opened: &Position) -> Result<(), SyntaxError> {
        if depth < self.depth_max {
            return Ok(());
        }
        Err(SyntaxError::new(opened.clone(), format!("nested more than {} levels deep", self.depth_max)))
    }

    /// To behind the end of the object that is being read.
    fn skip_block(&mut self) {
        let mut open = 0_usize;
        while let Some(next) = self.cursor.peek() {
            match next {
                '{' => open += 1,
                '}' if open == 0 => {
                    self.cursor.bump();
                    return;
                }
                '}' => open -= 1,
                _ => {}
            }
            if next == '"' {
                skip_quoted(&mut self.cursor);
            } else {
                self.cursor.bump();
            }
        }
        self.structure_lost = true;
    }
}

/// What is wrong with the value of a secret, without a word of it.
fn hide_secret(key: &str, error: SyntaxError) -> SyntaxError {
    if is_secret_key(key) {
        let message = format!("the value of \"{key}\" is not valid JSON");
        return SyntaxError::new(error.position, message).with_help("text goes in double quotes");
    }
    error
}

fn comment(position: &Position) -> SyntaxError {
    SyntaxError::new(position.clone(), "comments are not allowed in JSON")
        .with_help("configs with comments are written in the config language, in a file that ends in .conf")
}
