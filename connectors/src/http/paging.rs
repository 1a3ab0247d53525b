//! Paging: which page comes next, and when there is none.

use bytes::Bytes;

use super::request::{PagePlaces, PageValue};

/// What `pageing` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    /// Name of the page's number.
    pub field: String,
    pub start: i64,
    /// Number of the last page; 0 when it is not known.
    pub last: i64,
    /// Records of a full page: one with fewer is the last.
    pub batch_size: usize,
    /// Name of the cursor, where pages have cursors in place of numbers.
    pub cursor_field: Option<String>,
    pub places: PagePlaces,
}

/// A page that is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub number: i64,
    /// What the page before named as the next.
    pub cursor: Option<String>,
}

impl Paging {
    /// The first page.
    pub fn first(&self) -> Page {
        Page { number: self.start, cursor: None }
    }

    /// What a request has to say to get a page.
    pub fn values(&self, page: &Page) -> Vec<PageValue> {
        match (&self.cursor_field, &page.cursor) {
            (None, _) => {
                vec![PageValue { name: self.field.clone(), value: page.number.to_string(), is_number: true }]
            }
            (Some(field), Some(cursor)) => {
                vec![PageValue { name: field.clone(), value: cursor.clone(), is_number: false }]
            }
            (Some(_), None) => Vec::new(),
        }
    }

    /// The page behind one that held so many records and named this cursor; `None` behind the last.
    pub fn after(&self, page: &Page, records: usize, cursor: Option<String>) -> Option<Page> {
        if self.cursor_field.is_some() {
            let cursor = cursor.filter(|cursor| !cursor.is_empty())?;
            return Some(Page { number: page.number, cursor: Some(cursor) });
        }
        let ends = if self.last > 0 { page.number >= self.last } else { records < self.batch_size };
        let number = page.number.checked_add(1).filter(|_| !ends)?;
        Some(Page { number, cursor: None })
    }
}

impl Page {
    const VERSION: u8 = 1;

    /// State of the split: version (1 byte, 1), number (8, little endian), then the cursor behind a byte 1, or a byte 0.
    pub fn encode(&self) -> Bytes {
        let mut bytes = vec![Self::VERSION];
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.push(u8::from(self.cursor.is_some()));
        bytes.extend_from_slice(self.cursor.as_deref().unwrap_or_default().as_bytes());
        bytes.into()
    }

    /// From bytes; `None` when they are none of this version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (has_cursor, cursor) = rest.split_first()?;
        (*version == Self::VERSION && (*has_cursor == 1 || cursor.is_empty())).then_some(())?;
        let cursor = (*has_cursor == 1).then(|| String::from_utf8(cursor.to_vec()).ok());
        Some(Self { number: i64::from_le_bytes(*number), cursor: cursor.map_or(Some(None), |text| text.map(Some))? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paging(start: i64, last: i64, batch_size: usize) -> Paging {
        let places = PagePlaces::default();
        Paging { field: "p".into(), start, last, batch_size, cursor_field: None, places }
    }

    fn numbers(paging: &Paging, records: impl Fn(i64) -> usize) -> Vec<i64> {
        let mut pages = vec![paging.first()];
        while let Some(next) = paging.after(&pages[pages.len() - 1], records(pages[pages.len() - 1].number), None) {
            pages.push(next);
        }
        pages.iter().map(|page| page.number).collect()
    }

    #[test]
    fn a_known_last_page_ends_and_so_does_one_that_is_not_full() {
        assert_eq!(numbers(&paging(1, 3, 10), |_| 0), [1, 2, 3]);
        assert_eq!(numbers(&paging(3, 3, 10), |_| 99), [3]);
        assert_eq!(numbers(&paging(5, 3, 10), |_| 99), [5]);
        assert_eq!(numbers(&paging(0, 0, 10), |page| if page < 2 { 10 } else { 9 }), [0, 1, 2]);
        assert_eq!(numbers(&paging(1, 0, 10), |_| 0), [1]);
    }

    #[test]
    fn a_cursor_leads_on_until_there_is_none() {
        let paging = Paging { cursor_field: Some("c".into()), ..paging(1, 0, 10) };
        let first = paging.first();
        assert_eq!(paging.values(&first), []);
        let second = paging.after(&first, 0, Some("abc".into())).expect("a page");
        assert_eq!(paging.values(&second)[0].value, "abc");
        assert_eq!(paging.after(&second, 10, Some(String::new())), None);
        assert_eq!(paging.after(&second, 10, None), None);
    }

    proptest! {
        #[test]
        fn a_page_survives_its_checkpoint(number in any::<i64>(), cursor in proptest::option::of(".{0,20}")) {
            let page = Page { number, cursor };
            prop_assert_eq!(Page::decode(&page.encode()), Some(page));
        }

        #[test]
        fn bytes_that_are_no_page_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            if let Some(page) = Page::decode(&bytes) {
                prop_assert_eq!(page.encode(), bytes);
            }
        }
    }
}
