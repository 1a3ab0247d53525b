//! Going on after an error, so that one reading tells all of them.

use super::super::cursor::{SyntaxError, skip_quoted};
use super::super::value::Position;
use super::parser::Parser;

/// A `}` that closes a `{` of another indentation.
pub(super) struct Misfit {
    pub opened: Position,
    pub closed: Position,
}

impl Parser<'_, '_> {
    /// Tells of a `{` without a `}`.
    pub fn report_unclosed(&mut self, opened: &Position) {
        // One missing brace leaves all blocks around it open as well; the innermost is told, once.
        if std::mem::replace(&mut self.session.structure_lost, true) {
            return;
        }
        let message = "this '{' is never closed: expected '}' before the end of the text";
        let mut error = SyntaxError::new(opened.clone(), message);
        if let Some(Misfit { opened, closed }) = &self.misfit {
            error = error.with_help(format!(
                "the '}}' in line {} closes the '{{' of line {}, but stands in another column: perhaps a '}}' is missing between them",
                closed.line, opened.line
            ));
        }
        self.report(error);
    }

    /// To behind the end of the object that is being read, over everything nested in it.
    pub fn skip_block(&mut self) {
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
            self.skip_token(next);
        }
        // What closes it was perhaps swallowed by what is wrong in it.
        self.session.structure_lost = true;
    }

    /// To the next line outside of all braces.
    pub fn skip_root_line(&mut self) {
        let mut open = 0_usize;
        while let Some(next) = self.cursor.peek() {
            match next {
                '{' | '[' => open += 1,
                '}' | ']' => open = open.saturating_sub(1),
                '\n' if open == 0 => return,
                _ => {}
            }
            self.skip_token(next);
        }
        self.session.structure_lost = true;
    }

    /// Over one character, or a whole quoted text or comment.
    fn skip_token(&mut self, next: char) {
        match next {
            '"' if self.cursor.looking_at("\"\"\"") => {
                // Told already, or whole; one that does not end has taken the rest of the text with it.
                if self.quoted_text().is_err() {
                    while self.cursor.bump().is_some() {}
                }
            }
            '"' => skip_quoted(&mut self.cursor),
            '#' => self.cursor.skip_line(),
            '/' if self.cursor.looking_at("//") => self.cursor.skip_line(),
            _ => {
                self.cursor.bump();
            }
        }
    }
}
