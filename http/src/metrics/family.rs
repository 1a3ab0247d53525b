//! What a family of metrics is. Each is a row of one table; a name that breaks a rule does not compile.

use egret_collectors::Part;

use super::text::Samples;

/// What a family counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A sum that only grows; its samples end in `_total`.
    Counter,
    /// Durations in seconds, counted by buckets.
    Histogram,
    /// Labels that tell something, always 1; its samples end in `_info`.
    Info,
}

impl Kind {
    /// Most suffixes that a kind has.
    pub(super) const SUFFIXES_MAX: usize = 3;

    /// What follows the name of the family in names of samples, one after the other.
    pub(super) fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Gauge => &[""],
            Self::Counter => &["_total"],
            Self::Histogram => &["_bucket", "_count", "_sum"],
            Self::Info => &["_info"],
        }
    }

    /// What follows it in the announcement of the text form.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Gauge | Self::Histogram => "",
            Self::Counter => "_total",
            Self::Info => "_info",
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// What a family is, without how its samples are taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    /// Its name, without `_total` and `_info`.
    pub(super) base: &'static str,
    pub(super) kind: Kind,
    /// `seconds`, `bytes`, `ratio`, or nothing for numbers of things.
    pub(super) unit: &'static str,
    /// The labels of its own, behind those of its table.
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
    /// Where its values come from.
    #[cfg_attr(not(test), expect(dead_code, reason = "the documentation alone has it"))]
    pub(super) from: &'static str,
    /// Whether it is one of the original's (contract F.1), which has its own names and writes all values as doubles.
    pub(super) is_original: bool,
}

/// A family whose samples are taken from an `S`.
pub(super) struct Family<S> {
    pub(super) about: About,
    pub(super) write: fn(&S, &mut Samples<'_>),
}

/// Families of one subject.
pub(super) struct Table<S: 'static> {
    /// Heading in the documentation.
    pub(super) title: &'static str,
    /// What holds for all of them, for the documentation.
    pub(super) intro: &'static str,
    /// Labels that all samples have, behind `cluster`.
    pub(super) labels: &'static [&'static str],
    /// The samples of machine and process that they are taken from.
    pub(super) parts: &'static [Part],
    pub(super) families: &'static [Family<S>],
}

/// A table whatever its families are taken from.
pub(super) struct Section {
    #[cfg_attr(not(test), expect(dead_code, reason = "the documentation alone has it"))]
    pub(super) title: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "the documentation alone has it"))]
    pub(super) intro: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "the documentation alone has it"))]
    pub(super) labels: &'static [&'static str],
    pub(super) parts: &'static [Part],
    pub(super) families: Vec<&'static About>,
}

impl<S> Table<S> {
    pub(super) fn section(&'static self) -> Section {
        Section {
            title: self.title,
            intro: self.intro,
            labels: self.labels,
            parts: self.parts,
            families: self.families.iter().map(|family| &family.about).collect(),
        }
    }
}

/// A gauge. The unit is the end of its name: `_seconds`, `_bytes`, `_ratio`, or none for numbers of things.
pub(super) const fn gauge<S>(
    name: &'static str,
    help: &'static str,
    from: &'static str,
    write: fn(&S, &mut Samples<'_>),
) -> Family<S> {
    ours(Kind::Gauge, name, help, from, write)
}

/// A counter; its name ends in `_total`, before which the unit stands.
pub(super) const fn counter<S>(
    name: &'static str,
    help: &'static str,
    from: &'static str,
    write: fn(&S, &mut Samples<'_>),
) -> Family<S> {
    ours(Kind::Counter, name, help, from, write)
}

/// A histogram of durations; its name ends in `_seconds`.
pub(super) const fn histogram<S>(
    name: &'static str,
    help: &'static str,
    from: &'static str,
    write: fn(&S, &mut Samples<'_>),
) -> Family<S> {
    assert!(ends_with(name, "_seconds"), "a histogram is one of durations, in seconds");
    ours(Kind::Histogram, name, help, from, write)
}

/// Labels that tell something; the name ends in `_info`.
pub(super) const fn info<S>(
    name: &'static str,
    help: &'static str,
    from: &'static str,
    write: fn(&S, &mut Samples<'_>),
) -> Family<S> {
    ours(Kind::Info, name, help, from, write)
}

/// A family of the original (contract F.1), whose name is given.
pub(super) const fn original<S>(
    kind: Kind,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    from: &'static str,
    write: fn(&S, &mut Samples<'_>),
) -> Family<S> {
    assert!(!starts_with(name, "egret_"), "a name under egret_ is none of the original's");
    assert!(is_sentence(help), "a help is a sentence on one line: it begins with a capital and ends with a period");
    let base = base_of(kind, name);
    Family { about: About { base, kind, unit: "", labels, help, from, is_original: true }, write }
}

const fn ours<S>(
    kind: Kind,
    name: &'static str,
    help: &'static str,
    from: &'static str,
    write: fn(&S, &mut Samples<'_>),
) -> Family<S> {
    assert!(starts_with(name, "egret_"), "a name of ours begins with egret_");
    assert!(is_plain(name), "a name has small letters, digits and single underscores between them");
    assert!(is_sentence(help), "a help is a sentence on one line: it begins with a capital and ends with a period");
    let base = base_of(kind, name);
    assert!(!has_any(base, &NO_BASE_UNITS), "units are seconds, bytes and ratio");
    assert!(!has_any(base, &UNITS) || !unit_of(base).is_empty(), "the unit stands at the end of the name");
    let mut index = 0;
    while index < RESERVED.len() {
        assert!(!ends_with(base, RESERVED[index]), "the name ends in what another kind of family ends in");
        index += 1;
    }
    let about = About { base, kind, unit: unit_of(base), labels: &[], help, from, is_original: false };
    Family { about, write }
}

impl<S> Family<S> {
    /// With labels of its own, behind those of its table.
    pub(super) const fn by(self, labels: &'static [&'static str]) -> Self {
        let mut index = 0;
        while index < labels.len() {
            assert!(is_plain(labels[index]), "a label has small letters, digits and single underscores between them");
            assert!(!is(labels[index], "le"), "le is the label of buckets");
            index += 1;
        }
        let Self { about, write } = self;
        Self { about: About { labels, ..about }, write }
    }
}

/// What the names of families of other kinds, or their samples, end in.
const RESERVED: [&str; 6] = ["_total", "_info", "_bucket", "_count", "_sum", "_created"];

const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];

/// Words for units that are none of the base ones, and shares.
const NO_BASE_UNITS: [&str; 21] = [
    "ms",
    "millis",
    "milliseconds",
    "us",
    "micros",
    "microseconds",
    "ns",
    "nanos",
    "nanoseconds",
    "sec",
    "minutes",
    "hours",
    "days",
    "kb",
    "kib",
    "mb",
    "mib",
    "gb",
    "gib",
    "percent",
    "bits",
];

/// The name without the end that its kind demands.
const fn base_of(kind: Kind, name: &'static str) -> &'static str {
    let suffix = match kind {
        Kind::Counter => "_total",
        Kind::Info => "_info",
        Kind::Gauge | Kind::Histogram => "",
    };
    assert!(ends_with(name, suffix), "the name of a counter ends in _total, of an info in _info");
    name.split_at(name.len() - suffix.len()).0
}

/// The unit that the name ends in, or nothing.
const fn unit_of(base: &str) -> &'static str {
    let mut index = 0;
    while index < UNITS.len() {
        if has_word(base, UNITS[index]) && ends_with(base, UNITS[index]) {
            return UNITS[index];
        }
        index += 1;
    }
    ""
}

const fn is(text: &str, other: &str) -> bool {
    text.len() == other.len() && starts_with(text, other)
}

const fn starts_with(text: &str, begin: &str) -> bool {
    begin.len() <= text.len() && has_at(text, begin, 0)
}

const fn ends_with(text: &str, end: &str) -> bool {
    end.len() <= text.len() && has_at(text, end, text.len() - end.len())
}

/// Whether `part` stands at a place of `text` behind which there is room for it.
const fn has_at(text: &str, part: &str, place: usize) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    let mut index = 0;
    while index < part.len() {
        if text[place + index] != part[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Whether any of the words stands between underscores.
const fn has_any(text: &str, words: &[&str]) -> bool {
    let mut index = 0;
    while index < words.len() {
        if has_word(text, words[index]) {
            return true;
        }
        index += 1;
    }
    false
}

/// Whether `word` stands between underscores.
const fn has_word(text: &str, word: &str) -> bool {
    let bytes = text.as_bytes();
    let mut place = 0;
    while place + word.len() <= bytes.len() {
        let begins = place == 0 || bytes[place - 1] == b'_';
        let end = place + word.len();
        if begins && (end == bytes.len() || bytes[end] == b'_') && has_at(text, word, place) {
            return true;
        }
        place += 1;
    }
    false
}

const fn is_plain(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut index = 0;
    // An underscore may not stand at the begin, at the end, or behind another one.
    let mut may_end = false;
    while index < bytes.len() {
        match bytes[index] {
            b'a'..=b'z' => may_end = true,
            b'0'..=b'9' if index > 0 => may_end = true,
            b'_' if may_end => may_end = false,
            _ => return false,
        }
        index += 1;
    }
    may_end
}

const fn is_sentence(help: &str) -> bool {
    let bytes = help.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if bytes[index] == b'\n' || bytes[index] == b'\\' {
            return false;
        }
        index += 1;
    }
    bytes.len() > 1 && bytes[0].is_ascii_uppercase() && bytes[bytes.len() - 1] == b'.'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(build: fn() -> Family<()>) -> bool {
        std::panic::catch_unwind(build).is_err()
    }

    fn nothing(_: &(), _: &mut Samples<'_>) {}

    #[test]
    fn the_unit_is_the_end_of_the_name() {
        let family = counter("egret_x_bytes_total", "Bytes.", "", nothing).by(&["disk"]);
        assert_eq!(
            (family.about.base, family.about.unit, family.about.labels),
            ("egret_x_bytes", "bytes", &["disk"][..])
        );
        let family = info("egret_build_info", "The program.", "", nothing);
        assert_eq!((family.about.base, family.about.unit), ("egret_build", ""));
        assert_eq!(gauge("egret_busy_ratio", "A share.", "", nothing).about.unit, "ratio");
    }

    #[test]
    fn names_that_break_a_rule_are_refused() {
        assert!(!refused(|| gauge("egret_tasks", "Tasks.", "", nothing)));
        assert!(refused(|| gauge("tasks", "Tasks.", "", nothing)));
        assert!(refused(|| gauge("egret_Tasks", "Tasks.", "", nothing)));
        assert!(refused(|| gauge("egret__tasks", "Tasks.", "", nothing)));
        assert!(refused(|| gauge("egret_tasks_", "Tasks.", "", nothing)));
        assert!(refused(|| gauge("egret_tasks_total", "Tasks.", "", nothing)));
        assert!(refused(|| gauge("egret_tasks_count", "Tasks.", "", nothing)));
        assert!(refused(|| counter("egret_tasks", "Tasks.", "", nothing)));
        assert!(refused(|| counter("egret_tasks_sum_total", "Tasks.", "", nothing)));
        assert!(refused(|| gauge("egret_wait_ms", "Time.", "", nothing)));
        assert!(refused(|| gauge("egret_millis_waited", "Time.", "", nothing)));
        assert!(refused(|| gauge("egret_heap_bytes_max", "Most bytes.", "", nothing)));
        assert!(refused(|| histogram("egret_wait_bytes", "Time.", "", nothing)));
        assert!(refused(|| info("egret_build", "The program.", "", nothing)));
        assert!(refused(|| original(Kind::Gauge, "egret_x", &[], "X.", "", nothing)));
    }

    #[test]
    fn helps_that_are_no_sentence_are_refused() {
        for help in ["", "Tasks", "tasks.", "Tasks\n.", "Tasks \\."] {
            assert!(std::panic::catch_unwind(|| gauge("egret_tasks", help, "", nothing)).is_err(), "{help}");
        }
    }

    #[test]
    fn labels_are_plain_words() {
        for labels in [&["Disk"][..], &["le"], &["__name"], &[""], &["0"]] {
            let labelled = move || gauge("egret_tasks", "Tasks.", "", nothing).by(labels);
            assert!(std::panic::catch_unwind(labelled).is_err(), "{labels:?}");
        }
    }
}
