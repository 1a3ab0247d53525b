//! What a path finds in a document.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use super::{Json, JsonPath, Segment};

/// Values that one evaluation may look at: paths with several `..` or filters within filters can multiply.
pub const VISITS_MAX: u64 = 1_000_000;
/// Values that a path may find.
pub const FOUND_MAX: usize = 100_000;

/// Why a path gives no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// A definite path leads nowhere: the part of it that does, and what stands there instead.
    Missing {
        /// The path up to the step that fails.
        path: String,
        /// What is there, when it is not a matter of a missing name.
        found: Option<&'static str>,
    },
    /// A function cannot be applied to what was found.
    Function(String),
    /// A pattern in a filter takes too many steps.
    Pattern(String),
    /// More than [`VISITS_MAX`] values were looked at.
    TooManyVisits,
    /// More than [`FOUND_MAX`] values were found.
    TooManyFound,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path, found: None } => write!(f, "no results for path {path}"),
            Self::Missing { path, found: Some(found) } => {
                write!(f, "no results for path {path}: {found} stands before its last step")
            }
            Self::Function(message) | Self::Pattern(message) => f.write_str(message),
            Self::TooManyVisits => write!(f, "the path looks at more than {VISITS_MAX} values: make it more precise"),
            Self::TooManyFound => write!(f, "the path finds more than {FOUND_MAX} values"),
        }
    }
}

impl std::error::Error for PathError {}

/// One evaluation.
pub(super) struct Context<'j, 't> {
    /// The document, which `$` within filters and arguments means.
    pub root: &'j Json<'t>,
    visits: Cell<u64>,
    /// Missing names at the end of a path are null, other dead ends are passed over.
    lenient: bool,
}

impl<'j, 't> Context<'j, 't> {
    fn new(root: &'j Json<'t>, lenient: bool) -> Self {
        Self { root, visits: Cell::new(0), lenient }
    }

    /// The same evaluation, but strict: what stands in a filter or an argument.
    fn strict(&self) -> Self {
        Self { root: self.root, visits: Cell::new(self.visits.get()), lenient: false }
    }

    pub(super) fn visit(&self) -> Result<(), PathError> {
        let visits = self.visits.get() + 1;
        self.visits.set(visits);
        if visits > VISITS_MAX { Err(PathError::TooManyVisits) } else { Ok(()) }
    }
}

type Found<'j, 't> = Vec<Cow<'j, Json<'t>>>;

/// The place that an index means in a list; negative ones count from its end.
pub(super) fn place(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if index < 0 { length.checked_add(index)? } else { index }).ok()
}

impl JsonPath {
    /// The value that a definite path finds, or the list of what any other finds.
    ///
    /// # Errors
    /// When a definite path finds nothing, a function cannot be applied, or a bound is met.
    pub fn read<'j, 't>(&self, root: &'j Json<'t>) -> Result<Cow<'j, Json<'t>>, PathError> {
        self.read_in(root, &Context::new(root, false))
    }

    /// Everything that the path finds, in the order of the document: of a definite path one value, also when that is a
    /// list. A name that is missing at the end of the path gives null; what is missing before gives nothing.
    ///
    /// # Errors
    /// When a function cannot be applied or a bound is met.
    pub fn list<'j, 't>(&self, root: &'j Json<'t>) -> Result<Vec<Cow<'j, Json<'t>>>, PathError> {
        self.find(root, &Context::new(root, true))
    }

    /// [`Self::read`] within another evaluation: of the document, or of a value that a filter looks at.
    pub(super) fn read_in<'j, 't>(
        &self,
        current: &'j Json<'t>,
        context: &Context<'j, 't>,
    ) -> Result<Cow<'j, Json<'t>>, PathError> {
        let strict = context.strict();
        let start = if self.relative { current } else { context.root };
        let found = self.find(start, &strict);
        context.visits.set(strict.visits.get());
        let mut found = found?;
        if !self.is_definite() {
            return Ok(Cow::Owned(Json::List(found.into_iter().map(Cow::into_owned).collect())));
        }
        found.pop().ok_or_else(|| self.missing(self.segments.len(), None))
    }

    fn find<'j, 't>(&self, start: &'j Json<'t>, context: &Context<'j, 't>) -> Result<Found<'j, 't>, PathError> {
        let function = self.segments.iter().position(|segment| matches!(segment, Segment::Function(_)));
        let steps = &self.segments[..function.unwrap_or(self.segments.len())];
        let mut walk = Walk { path: self, context, steps, found: Vec::new() };
        walk.step(start, 0, true)?;
        let mut found = walk.found;
        let Some(function) = function else { return Ok(found) };
        let definite = steps.iter().all(|step| step.is_definite(false));
        let mut value = if definite {
            found.pop().ok_or_else(|| self.missing(function, None))?
        } else {
            Cow::Owned(Json::List(found.into_iter().map(Cow::into_owned).collect()))
        };
        // Behind a function there are functions only.
        for segment in &self.segments[function..] {
            let Segment::Function(call) = segment else { continue };
            value = Cow::Owned(call.apply(&value, context)?);
        }
        Ok(vec![value])
    }

    /// The error for a path that ends before step `end`.
    fn missing(&self, end: usize, found: Option<&'static str>) -> PathError {
        let mut path = String::from(if self.relative { "@" } else { "$" });
        for segment in &self.segments[..end] {
            segment.show(&mut path);
        }
        PathError::Missing { path, found }
    }
}

impl Segment {
    /// Appends the step as it stands in messages: names in brackets.
    fn show(&self, out: &mut String) {
        use std::fmt::Write as _;
        let _ = match self {
            Self::Names(names) => {
                let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
                write!(out, "[{}]", names.join(","))
            }
            Self::Indices(indices) => {
                let indices: Vec<String> = indices.iter().map(ToString::to_string).collect();
                write!(out, "[{}]", indices.join(","))
            }
            Self::Slice { from, to } => {
                let bound = |bound: &Option<i64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
                write!(out, "[{}:{}]", bound(from), bound(to))
            }
            Self::Wildcard => write!(out, "[*]"),
            Self::Scan => write!(out, ".."),
            Self::Filter(_) => write!(out, "[?]"),
            Self::Function(call) => {
                let name = super::functions::Function::NAMES.iter().find(|(_, known)| *known == call.function);
                write!(out, ".{}()", name.map_or("", |(name, _)| name))
            }
        };
    }
}

/// A walk along the steps of a path.
struct Walk<'p, 'j, 't> {
    path: &'p JsonPath,
    context: &'p Context<'j, 't>,
    steps: &'p [Segment],
    found: Found<'j, 't>,
}

impl<'j, 't> Walk<'_, 'j, 't> {
    /// Goes on from a value with step `at`. `definite` tells that every step so far was.
    fn step(&mut self, value: &'j Json<'t>, at: usize, definite: bool) -> Result<(), PathError> {
        self.context.visit()?;
        let Some(segment) = self.steps.get(at) else { return self.add(Cow::Borrowed(value)) };
        let last = at + 1 == self.path.segments.len();
        let onwards = definite && segment.is_definite(last);
        match segment {
            Segment::Names(names) => self.names(value, names, at, definite),
            Segment::Indices(indices) => {
                let Some(items) = value.as_list() else { return self.dead_end(at, definite, value) };
                for index in indices {
                    // A missing item is no error by itself: a definite path fails because it finds nothing.
                    if let Some(item) = place(*index, items.len()).and_then(|place| items.get(place)) {
                        self.step(item, at + 1, onwards)?;
                    }
                }
                Ok(())
            }
            Segment::Slice { from, to } => {
                let Some(items) = value.as_list() else { return self.dead_end(at, definite, value) };
                let bound = |bound: Option<i64>, default: usize| match bound {
                    None => default,
                    Some(index) => place(index, items.len()).unwrap_or(0).min(items.len()),
                };
                let (from, to) = (bound(*from, 0), bound(*to, items.len()));
                for item in items.get(from..to).unwrap_or_default() {
                    self.step(item, at + 1, onwards)?;
                }
                Ok(())
            }
            Segment::Wildcard => self.children(value, |walk, child| walk.step(child, at + 1, onwards)),
            Segment::Scan => self.scan(value, at + 1),
            Segment::Filter(condition) => match value {
                Json::List(items) => {
                    for item in items {
                        self.context.visit()?;
                        if condition.holds(item, self.context)? {
                            self.step(item, at + 1, onwards)?;
                        }
                    }
                    Ok(())
                }
                Json::Object(_) if condition.holds(value, self.context)? => self.step(value, at + 1, onwards),
                Json::Object(_) => Ok(()),
                _ => self.dead_end(at, definite, value),
            },
            // Applied to the whole result.
            Segment::Function(_) => Ok(()),
        }
    }

    fn add(&mut self, value: Cow<'j, Json<'t>>) -> Result<(), PathError> {
        if self.found.len() == FOUND_MAX {
            return Err(PathError::TooManyFound);
        }
        self.found.push(value);
        Ok(())
    }

    /// A step that the value does not have: an error in a path that was definite so far.
    fn dead_end(&self, at: usize, definite: bool, value: &Json<'_>) -> Result<(), PathError> {
        if definite && !self.context.lenient {
            return Err(self.path.missing(at + 1, Some(value.kind_name())));
        }
        Ok(())
    }

    fn names(&mut self, value: &'j Json<'t>, names: &[Box<str>], at: usize, definite: bool) -> Result<(), PathError> {
        let Json::Object(entries) = value else { return self.dead_end(at, definite, value) };
        let last = at + 1 == self.path.segments.len();
        if names.len() > 1 && last {
            let mut merged = Vec::with_capacity(names.len());
            for name in names {
                match entries.iter().find(|(key, _)| *key == **name) {
                    Some(entry) => merged.push(entry.clone()),
                    None if self.context.lenient => merged.push((Cow::Owned(name.to_string()), Json::Null)),
                    None => {}
                }
            }
            return self.add(Cow::Owned(Json::Object(merged)));
        }
        for name in names {
            match entries.iter().find(|(key, _)| *key == **name) {
                Some((_, child)) => self.step(child, at + 1, definite && names.len() == 1)?,
                None if last && self.context.lenient => self.add(Cow::Owned(Json::Null))?,
                None if definite && names.len() == 1 && !self.context.lenient => {
                    return Err(self.path.missing(at + 1, None));
                }
                None => {}
            }
        }
        Ok(())
    }

    fn children(
        &mut self,
        value: &'j Json<'t>,
        mut visit: impl FnMut(&mut Self, &'j Json<'t>) -> Result<(), PathError>,
    ) -> Result<(), PathError> {
        match value {
            Json::List(items) => items.iter().try_for_each(|item| visit(self, item)),
            Json::Object(entries) => entries.iter().try_for_each(|(_, child)| visit(self, child)),
            _ => Ok(()),
        }
    }

    /// Takes step `at` from a value and from everything within it, the value itself first.
    fn scan(&mut self, value: &'j Json<'t>, at: usize) -> Result<(), PathError> {
        self.context.visit()?;
        match self.steps.get(at) {
            // A `..` in front of a function finds every value.
            None => self.add(Cow::Borrowed(value))?,
            Some(Segment::Names(names)) => {
                let whole = names.len() > 1 && at + 1 == self.path.segments.len();
                let mut has = names.iter().map(|name| value.get(name).is_some());
                // Merged names are looked for together.
                if if whole { has.all(|has| has) } else { has.any(|has| has) } {
                    self.step(value, at, false)?;
                }
            }
            // Items of lists are met on the way, each by itself.
            Some(Segment::Filter(condition)) => {
                if condition.holds(value, self.context)? {
                    self.step(value, at + 1, false)?;
                }
            }
            Some(_) => self.step(value, at, false)?,
        }
        self.children(value, |walk, child| walk.scan(child, at))
    }
}
