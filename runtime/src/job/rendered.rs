//! Where the HTTP layer keeps what it renders of a job with the job.

use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwapOption, Guard};
use bytes::Bytes;

/// What of a job's body is rendered once: while it runs the part that never changes, after its end all of it. The second
/// takes the place of the first.
#[derive(Debug, Default)]
pub struct Rendered {
    constant: ArcSwapOption<Bytes>,
    ended: OnceLock<Bytes>,
    labels: OnceLock<Pieces>,
}

/// A text in pieces, which lie behind each other.
#[derive(Debug, Default)]
pub struct Pieces {
    text: Box<str>,
    /// Where each piece ends.
    ends: Box<[usize]>,
}

impl Pieces {
    /// Puts pieces behind each other.
    pub fn of(pieces: impl IntoIterator<Item = String>) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for piece in pieces {
            text.push_str(&piece);
            ends.push(text.len());
        }
        Self { text: text.into(), ends: ends.into() }
    }

    /// A piece by its place; empty where there is none.
    pub fn get(&self, place: usize) -> &str {
        let begin = place.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        let range = begin.zip(self.ends.get(place)).map(|(begin, end)| begin..*end);
        range.and_then(|range| self.text.get(range)).unwrap_or_default()
    }
}

/// A borrowed text.
#[derive(Debug)]
pub struct RenderedGuard(Guard<Option<Arc<Bytes>>>);

impl Rendered {
    /// The part that never changes. Two cores may render it at once; both get the same bytes.
    pub fn constant(&self, render: impl FnOnce() -> Bytes) -> RenderedGuard {
        let known = self.constant.load();
        if known.is_some() {
            return RenderedGuard(known);
        }
        let text = Arc::new(render());
        if self.ended.get().is_none() {
            self.constant.store(Some(Arc::clone(&text)));
        }
        RenderedGuard(Guard::from_inner(Some(text)))
    }

    /// The labels under which scrapers find the job and its parts. Kept until the job is forgotten: some 100 bytes for
    /// the job and for each vertex.
    pub fn labels(&self, render: impl FnOnce() -> Pieces) -> &Pieces {
        self.labels.get_or_init(render)
    }

    /// The whole body of a job that has ended and does not change any more.
    pub fn ended(&self, render: impl FnOnce() -> Bytes) -> &Bytes {
        let text = self.ended.get_or_init(render);
        if self.constant.load().is_some() {
            self.constant.store(None);
        }
        text
    }
}

impl std::ops::Deref for RenderedGuard {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        static NOTHING: Bytes = Bytes::new();
        // A guard is made of a text in each case.
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_rendered_once_and_found_by_their_place() {
        let rendered = Rendered::default();
        let labels = rendered.labels(|| Pieces::of(["a".to_owned(), String::new(), "bc".to_owned()]));
        assert_eq!([0, 1, 2, 3].map(|place| labels.get(place)), ["a", "", "bc", ""]);
        assert_eq!(rendered.labels(|| unreachable!()).get(2), "bc");
        assert_eq!(Pieces::default().get(0), "");
    }

    #[test]
    fn each_part_is_rendered_once_and_the_whole_takes_the_place_of_the_part() {
        let rendered = Rendered::default();
        assert_eq!(&**rendered.constant(|| Bytes::from_static(b"part")), b"part");
        assert_eq!(&**rendered.constant(|| unreachable!()), b"part");
        assert_eq!(&**rendered.ended(|| Bytes::from_static(b"whole")), b"whole");
        assert_eq!(&**rendered.ended(|| unreachable!()), b"whole");
        assert!(rendered.constant.load().is_none());
        // A late reader of the part gets it, and it is not kept again.
        assert_eq!(&**rendered.constant(|| Bytes::from_static(b"part")), b"part");
        assert!(rendered.constant.load().is_none());
    }
}
