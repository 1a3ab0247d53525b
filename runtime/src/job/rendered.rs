//! Where the HTTP layer keeps the text of a job's body with the job.

use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwapOption, Guard};
use bytes::Bytes;

/// What of a job's body is rendered once: while it runs the part that never changes, after its end all of it. The second
/// takes the place of the first.
#[derive(Debug, Default)]
pub struct Rendered {
    constant: ArcSwapOption<Bytes>,
    ended: OnceLock<Bytes>,
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
