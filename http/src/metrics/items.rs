//! Things of which the families of a table tell, each with its labels.

use std::ops::Range;

use super::family::Table;
use super::text::labels;

/// Items of a table. The labels of all of them stand in one text, rendered once for all families.
pub(super) struct Items<S> {
    names: &'static [&'static str],
    labels: String,
    items: Vec<(Range<usize>, S)>,
}

impl<S> Items<S> {
    /// None yet.
    pub(super) fn new(table: &'static Table<S>) -> Self {
        Self { names: table.labels, labels: String::new(), items: Vec::new() }
    }

    /// One that has no labels.
    pub(super) fn one(item: S) -> Self {
        Self { names: &[], labels: String::new(), items: vec![(0..0, item)] }
    }

    /// None yet, of a table whose items' labels are rendered already.
    pub(super) fn with_room(items: usize, label_bytes: usize) -> Self {
        Self { names: &[], labels: String::with_capacity(label_bytes), items: Vec::with_capacity(items) }
    }

    /// Adds an item with labels that are rendered.
    pub(super) fn push_rendered(&mut self, labels: &str, item: S) {
        let begin = self.labels.len();
        self.labels.push_str(labels);
        self.items.push((begin..self.labels.len(), item));
    }

    /// Adds an item whose labels have these values, in the order of the table's labels.
    pub(super) fn push(&mut self, values: &[&str], item: S) {
        let begin = self.labels.len();
        labels(&mut self.labels, self.names, values);
        self.items.push((begin..self.labels.len(), item));
    }

    /// The items with their labels.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &S)> {
        self.items.iter().map(|(range, item)| (&self.labels[range.clone()], item))
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }
}
