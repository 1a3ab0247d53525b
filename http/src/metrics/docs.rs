//! `docs/metrics.md`, held against the tables.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::family::{About, Kind, Section};
use super::sections;

const BEGIN: &str = "<!-- families: begin -->\n";
const END: &str = "<!-- families: end -->";

/// The name in the text form.
fn name(family: &About) -> String {
    format!("{}{}", family.base, family.kind.suffix())
}

/// Names of all families in the text form, in the order of the tables.
pub(crate) fn names() -> Vec<String> {
    sections().iter().flat_map(|section| &section.families).map(|family| name(family)).collect()
}

fn page_part(section: &Section) -> String {
    let mut text = format!("### {}\n\n", section.title);
    if !section.intro.is_empty() {
        let _ = writeln!(text, "{}\n", section.intro);
    }
    text.push_str("| family | kind | unit | labels | what it is | from |\n|---|---|---|---|---|---|\n");
    for family in &section.families {
        let labels: Vec<String> =
            section.labels.iter().chain(family.labels).map(|label| format!("`{label}`")).collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            name(family),
            family.kind.as_str(),
            family.unit,
            labels.join(", "),
            family.help,
            family.from,
        );
    }
    text.push('\n');
    text
}

#[test]
fn the_documentation_lists_every_family() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let text = std::fs::read_to_string(&path).expect("docs/metrics.md");
    let (before, rest) = text.split_once(BEGIN).expect("the begin of the families");
    let (_, after) = rest.split_once(END).expect("the end of the families");
    let families: String = sections().iter().map(page_part).collect();
    let updated = format!("{before}{BEGIN}\n{families}{END}{after}");
    if text != updated && std::env::var_os("EGRET_UPDATE_DOCS").is_some() {
        std::fs::write(&path, updated).expect("written");
        return;
    }
    assert!(text == updated, "docs/metrics.md is out of date: run this test with EGRET_UPDATE_DOCS=1");
}

#[test]
fn no_name_of_a_sample_comes_twice() {
    let mut names = BTreeSet::new();
    for family in sections().iter().flat_map(|section| &section.families) {
        // In OpenMetrics a family may not have the name of another one's samples either.
        let suffixes = family.kind.suffixes().iter().chain([""].iter().filter(|_| family.kind != Kind::Gauge));
        for suffix in suffixes {
            assert!(names.insert(format!("{}{suffix}", family.base)), "{}{suffix} comes twice", family.base);
        }
    }
}

#[test]
fn no_label_comes_twice_and_everything_is_said() {
    for section in sections() {
        for family in &section.families {
            let mut labels = BTreeSet::from(["cluster", "le"]);
            let all = section.labels.iter().chain(family.labels);
            all.for_each(|label| assert!(labels.insert(label), "{} has {label} twice", family.base));
            assert!(!family.from.is_empty(), "{} comes from somewhere", family.base);
        }
        assert!(section.intro.is_empty() || section.intro.ends_with('.'), "{}", section.title);
    }
}
