//! Conditions of filters: `?(@.price < 10 && @.name =~ /.../)`.

use std::borrow::Cow;

use super::{Parser, Wrong};
use crate::java_regex::{Flags, JavaRegex};
use crate::json_path::Json;
use crate::json_path::filter::{Condition, Operand, Operator};

impl Parser<'_> {
    pub(super) fn either(&mut self) -> Result<Condition, Wrong> {
        let mut conditions = vec![self.both()?];
        loop {
            self.blanks();
            if !self.take("||") {
                break;
            }
            conditions.push(self.both()?);
        }
        Ok(if conditions.len() == 1 { conditions.remove(0) } else { Condition::Or(conditions) })
    }

    fn both(&mut self) -> Result<Condition, Wrong> {
        let mut conditions = vec![self.condition()?];
        loop {
            self.blanks();
            if !self.take("&&") {
                break;
            }
            conditions.push(self.condition()?);
        }
        Ok(if conditions.len() == 1 { conditions.remove(0) } else { Condition::And(conditions) })
    }

    fn condition(&mut self) -> Result<Condition, Wrong> {
        self.blanks();
        if self.take("!") {
            return Ok(Condition::Not(Box::new(self.nested(Self::condition)?)));
        }
        if self.take("(") {
            let condition = self.nested(Self::either)?;
            self.expect(")", "a condition")?;
            return Ok(condition);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Condition, Wrong> {
        let start = self.at;
        if self.peek() == Some('/') {
            let pattern = self.pattern()?;
            self.blanks();
            if !self.take("=~") {
                return self.wrong("'=~' is expected beside a pattern");
            }
            self.blanks();
            return Ok(Condition::Matches { value: self.operand()?, pattern });
        }
        let left = self.operand()?;
        self.blanks();
        if self.take("=~") {
            self.blanks();
            if self.peek() != Some('/') {
                return self.wrong("a pattern is expected behind '=~': /.../ or /.../i");
            }
            return Ok(Condition::Matches { value: left, pattern: self.pattern()? });
        }
        let Some(operator) = self.operator() else {
            return match left {
                Operand::Path(path) if self.ended() || self.rest().starts_with([')', ']', '&', '|']) => {
                    Ok(Condition::Exists(path))
                }
                Operand::Path(_) => self.wrong("an operator is expected: ==, !=, <, <=, >, >=, =~, in, contains, ..."),
                Operand::Value(_) => Err(("a value alone is no condition".into(), start)),
            };
        };
        self.blanks();
        let right = self.operand()?;
        Ok(Condition::Compare { left, operator, right })
    }

    fn operator(&mut self) -> Option<Operator> {
        if let Some((sign, operator)) = Operator::SIGNS.iter().find(|(sign, _)| self.rest().starts_with(sign)) {
            self.at += sign.len();
            return Some(*operator);
        }
        let length = self.rest().bytes().take_while(u8::is_ascii_alphabetic).count();
        let word = &self.rest()[..length];
        let (_, operator) = Operator::WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word))?;
        self.at += length;
        Some(*operator)
    }

    fn operand(&mut self) -> Result<Operand, Wrong> {
        Ok(match self.peek() {
            Some('$' | '@') => Operand::Path(self.inner_path()?),
            _ => Operand::Value(self.literal()?),
        })
    }

    /// A value as JSON writes it, texts also in single quotes.
    pub(in crate::json_path) fn literal(&mut self) -> Result<Json<'static>, Wrong> {
        match self.peek() {
            Some(quote @ ('\'' | '"')) => Ok(Json::Text(Cow::Owned(self.quoted(quote)?))),
            Some('[' | '{') => {
                let length = self.balanced()?;
                let value = Json::read(&self.rest()[..length]).map(Json::into_owned);
                let value = value.map_err(|error| (error.message, self.at + error.offset))?;
                self.at += length;
                Ok(value)
            }
            _ => {
                let ends = |letter: char| letter.is_whitespace() || ",)]&|=!<>~".contains(letter);
                let length = self.rest().find(ends).unwrap_or(self.rest().len());
                let word = &self.rest()[..length];
                let value = Json::read(word).ok().filter(|value| !matches!(value, Json::Text(_)));
                let Some(value) = value else {
                    return self.wrong("a path, a text in quotes, a number, true, false or null is expected");
                };
                let value = value.into_owned();
                self.at += length;
                Ok(value)
            }
        }
    }

    /// Length of the list or object that begins here.
    fn balanced(&self) -> Result<usize, Wrong> {
        let (mut depth, mut quote, mut escaped) = (0usize, None, false);
        for (at, letter) in self.rest().char_indices() {
            match (quote, letter) {
                _ if escaped => escaped = false,
                (Some(_), '\\') => escaped = true,
                (Some(open), letter) if letter == open => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(letter),
                (None, '[' | '{') => depth += 1,
                (None, ']' | '}') => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(at + 1);
                    }
                }
                (None, _) => {}
            }
        }
        self.wrong("a list or an object is not closed")
    }

    /// `/.../` with flags behind it.
    fn pattern(&mut self) -> Result<JavaRegex, Wrong> {
        let open = self.at;
        self.at += 1;
        let mut escaped = false;
        let end = self.rest().char_indices().find(|(_, letter)| {
            let end = *letter == '/' && !escaped;
            escaped = *letter == '\\' && !escaped;
            end
        });
        let Some((length, _)) = end else { return Err(("a pattern is not closed: '/' is expected".into(), open)) };
        let pattern = self.rest()[..length].to_owned();
        self.at += length + 1;
        let flags = self.rest().bytes().take_while(u8::is_ascii_alphabetic).count();
        let inline = match flags {
            0 => String::new(),
            _ => format!("(?{})", &self.rest()[..flags]),
        };
        // By itself first: `a)(b` would be a pattern within parentheses.
        let compiled = JavaRegex::compile(&format!("{inline}{pattern}"), Flags::default())
            .and_then(|_| JavaRegex::compile(&format!("{inline}\\A(?:{pattern})\\z"), Flags::default()));
        let compiled = compiled.map_err(|message| (message, open))?;
        self.at += flags;
        Ok(compiled)
    }
}
