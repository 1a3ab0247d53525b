//! `include "file"`: other files of the same folder, read as if they stood there.
//!
//! Files are only ever read for a config that is a local file itself; a config from a request has no folder and its
//! includes are refused. A local file is as trusted as the command line that names it, so by default its includes may
//! lie anywhere ([`Includes::Anywhere`]); [`Includes::Within`] keeps them in the folder, symbolic links followed.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::super::cursor::{Quoting, SyntaxError, quoted};
use super::super::value::Position;
use super::node::Container;
use super::parser::{Parser, Scope, is_inline_blank};

/// Which files a config may include.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Includes {
    /// None: the config did not come from a local file.
    #[default]
    Forbidden,
    /// Files in this folder or beneath it.
    Within(PathBuf),
    /// Any file; relative paths begin in this folder.
    Anywhere(PathBuf),
}

/// Finds the files and keeps the bounds.
pub(super) struct Includer {
    includes: Includes,
    /// Files that are being read, outermost first.
    open: Vec<PathBuf>,
    /// Files read so far.
    files: usize,
}

/// `include required(file("name"))`, read.
struct Directive {
    name: String,
    position: Position,
    required: bool,
}

impl Includer {
    pub fn new(includes: Includes) -> Self {
        Self { includes, open: Vec::new(), files: 0 }
    }

    /// Folder of the file that is being read.
    fn folder(&self) -> Option<PathBuf> {
        match (&self.includes, self.open.last()) {
            (Includes::Forbidden, _) => None,
            (_, Some(file)) => file.parent().map(Path::to_owned),
            (Includes::Within(folder) | Includes::Anywhere(folder), None) => Some(folder.clone()),
        }
    }

    /// The file of this name, if there is one; without an extension also as `.conf` and `.json`.
    fn find(&self, folder: &Path, name: &str) -> Option<PathBuf> {
        let plain = folder.join(name);
        let mut candidates = vec![plain.clone()];
        if plain.extension().is_none() {
            candidates.extend([plain.with_extension("conf"), plain.with_extension("json")]);
        }
        candidates.into_iter().find(|path| path.is_file())
    }

    fn check_within(&self, path: &Path) -> Result<(), String> {
        let Includes::Within(root) = &self.includes else { return Ok(()) };
        let root = root.canonicalize().map_err(|error| error.to_string())?;
        if path.starts_with(&root) { Ok(()) } else { Err(format!("it lies outside of the folder {}", root.display())) }
    }
}

fn cannot(directive: &Directive, why: impl Display) -> SyntaxError {
    SyntaxError::new(directive.position.clone(), format!("cannot include '{}': {why}", directive.name))
}

impl Parser<'_, '_> {
    /// Whether an include stands here, and not a key of that name.
    pub fn at_include(&self) -> bool {
        let Some(rest) = self.cursor.rest().strip_prefix("include") else { return false };
        let rest = rest.trim_start_matches(is_inline_blank);
        rest.starts_with('"') || ["file(", "url(", "classpath(", "required("].iter().any(|form| rest.starts_with(form))
    }

    /// Reads `include ...` and what the file holds.
    pub fn include(&mut self, container: &mut Container, scope: Scope) -> Result<(), SyntaxError> {
        let directive = self.directive()?;
        let limits = self.session.limits;
        let Some(folder) = self.session.includer.folder() else {
            return Err(cannot(&directive, "this config did not come from a local file")
                .with_help("put the text in the place of the include"));
        };
        let Some(path) = self.session.includer.find(&folder, &directive.name) else {
            if directive.required {
                return Err(cannot(&directive, format!("there is no such file in {}", folder.display())));
            }
            let message = format!("'{}' is not there and so not included", directive.name);
            self.warn(
                directive.position,
                message,
                Some("write include required(\"...\") to make that an error".into()),
            );
            return Ok(());
        };
        let path = path.canonicalize().map_err(|error| cannot(&directive, error))?;
        let includer = &mut self.session.includer;
        includer.check_within(&path).map_err(|why| cannot(&directive, why))?;
        if includer.open.contains(&path) {
            return Err(cannot(&directive, "it includes itself"));
        }
        if includer.open.len() >= limits.include_depth_max {
            return Err(cannot(
                &directive,
                format!("more than {} files include one another", limits.include_depth_max),
            ));
        }
        if includer.files >= limits.include_files_max {
            return Err(cannot(&directive, format!("more than {} files are included", limits.include_files_max)));
        }
        let text = read_bounded(&path, limits.text_bytes_max).map_err(|why| cannot(&directive, why))?;
        includer.files += 1;
        includer.open.push(path.clone());
        self.included(&path, &text, container, scope);
        self.session.includer.open.pop();
        Ok(())
    }

    fn included(&mut self, path: &Path, text: &str, container: &mut Container, scope: Scope) {
        let mut inner = Parser::new(text, path.to_string_lossy().into(), self.session);
        inner.block.clone_from(&self.block);
        inner.block_position.clone_from(&self.block_position);
        inner.option.clone_from(&self.option);
        inner.path.clone_from(&self.path);
        inner.depth = self.depth;
        inner.beneath = self.path.as_ref().filter(|path| !path.is_empty()).map(|path| path.join(".").into());
        inner.document(container, scope);
    }

    fn directive(&mut self) -> Result<Directive, SyntaxError> {
        let position = self.cursor.position();
        self.cursor.eat("include");
        self.cursor.bump_while(is_inline_blank);
        let required = self.cursor.eat("required(");
        let mut closing = usize::from(required);
        self.cursor.bump_while(is_inline_blank);
        if self.cursor.eat("file(") {
            closing += 1;
        } else if self.cursor.looking_at("url(") || self.cursor.looking_at("classpath(") {
            return Err(SyntaxError::new(self.cursor.position(), "only files can be included")
                .with_help("copy the text into a file beside this one and include that"));
        }
        self.cursor.bump_while(is_inline_blank);
        if !self.cursor.looking_at("\"") {
            let message = format!("expected the name of a file in double quotes, found {}", self.cursor.found());
            return Err(SyntaxError::new(self.cursor.position(), message));
        }
        let name = quoted(&mut self.cursor, Quoting::Relaxed)?;
        for _ in 0..closing {
            self.cursor.bump_while(is_inline_blank);
            if !self.cursor.eat(")") {
                let message = format!("expected ')' behind the name of the file, found {}", self.cursor.found());
                return Err(SyntaxError::new(self.cursor.position(), message));
            }
        }
        Ok(Directive { name, position, required })
    }
}

/// Reads a file that may have at most so many bytes.
fn read_bounded(path: &Path, bytes_max: usize) -> Result<String, String> {
    let length = path.metadata().map_err(|error| error.to_string())?.len();
    if length > bytes_max as u64 {
        return Err(format!("it has {length} bytes, and at most {bytes_max} are read"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 (byte {})", error.utf8_error().valid_up_to()))
}
