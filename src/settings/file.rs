//! Reading `egret.yaml`, and `seatunnel.yaml` and `hazelcast.yaml` as they are.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use egret_runtime::config::nearest;

use super::Read;
use super::origin::Origin;
use super::originals::{Meaning, is_original, meaning};
use super::table::{self, Original, Setting};
use super::yaml::{self, Found, NO_VALUE};

/// Largest file that is read. Real ones have a page or two.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a file into the settings.
pub(super) fn read(path: &Path, into: &mut Read) {
    match text_of(path) {
        Ok(text) => read_text(&text, &path.display().to_string(), into),
        Err(problem) => into.problems.push(format!("error: cannot read the settings {}: {problem}", path.display())),
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("it has {size} bytes; {FILE_BYTES_MAX} are allowed"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Reads a text into the settings; `name` is the file's in messages. All mistakes are noted.
pub(super) fn read_text(text: &str, name: &str, into: &mut Read) {
    let found = match yaml::read(text) {
        Ok(found) => found,
        Err((line, column, problem)) => {
            into.problems.push(format!("error: {name}:{line}:{column}: {problem}"));
            return;
        }
    };
    // A section in which nothing is set, its keys commented out perhaps, says nothing.
    let found = found.into_iter().filter(|found| !(found.value == Err(NO_VALUE) && is_section(&found.path)));
    let mut file = File { name: name.into(), into };
    // Keys of the original first, so that ours win.
    let (originals, ours): (Vec<_>, Vec<_>) = found.partition(|found| is_original(&found.path));
    file.take_originals(&originals);
    file.take_ours(&ours);
}

/// A file that is being read.
struct File<'r> {
    name: Arc<str>,
    into: &'r mut Read,
}

impl File<'_> {
    fn take_ours(&mut self, ours: &[Found]) {
        let mut seen = BTreeMap::new();
        for found in ours {
            let Some(setting) = table::find(&found.path) else {
                self.complain(found, &unknown(&found.path));
                continue;
            };
            match seen.insert(setting.key, found.line) {
                Some(line) => self.complain(found, &format!(": it is set in line {line} already")),
                None => self.set(found, setting, None),
            }
        }
    }

    fn take_originals(&mut self, originals: &[Found]) {
        // `http.enable-http: false` counts, wherever `http.port` stands.
        let mut set: Vec<(usize, &Found, &'static Setting, &'static Original)> = Vec::new();
        for found in originals {
            match meaning(&found.path) {
                Meaning::Sets(order, setting, original) => set.push((order, found, setting, original)),
                Meaning::Tag(name) => self.tag(found, name),
                Meaning::Nothing(foreign) => match foreign.remark(found.value.as_deref().ok()) {
                    Ok(None) => {}
                    Ok(Some(why)) => self.remark(found, why),
                    Err(problem) => self.complain(found, &format!(": {problem}")),
                },
                Meaning::Unknown(likely) => self.complain(found, &unknown_original(likely)),
            }
        }
        set.sort_by_key(|(order, ..)| *order);
        for (_, found, setting, original) in set {
            self.set(found, setting, Some(original));
        }
    }

    fn set(&mut self, found: &Found, setting: &'static Setting, original: Option<&'static Original>) {
        let before = (setting.show)(&self.into.settings);
        let set = original.map_or(setting.set, |original| original.set);
        let done = match &found.value {
            Ok(value) => set(&mut self.into.settings, value),
            Err(problem) => Err((*problem).to_owned()),
        };
        if let Err(problem) = done {
            self.into.failed.insert(setting.key);
            return self.complain(found, &format!(": {problem}"));
        }
        // A key that only changes what another one sets has done nothing where the value is what it was.
        let is_counterpart = original.is_none_or(|original| std::ptr::eq(original, &setting.originals[0]));
        if is_counterpart || (setting.show)(&self.into.settings) != before {
            let original = original.map(|original| original.path);
            self.into.origins.note(setting, Origin::File { name: self.name.clone(), line: found.line, original });
        }
    }

    /// An attribute of a member is a tag of the node.
    fn tag(&mut self, found: &Found, name: String) {
        match (&found.value, table::find("tags")) {
            (Ok(value), Some(setting)) => {
                self.into.settings.node.tags.insert(name, value.clone());
                let original = Some("hazelcast.member-attributes");
                self.into.origins.note(setting, Origin::File { name: self.name.clone(), line: found.line, original });
            }
            (value, _) => self.complain(found, &format!(": {}", value.as_ref().err().unwrap_or(&"it is no setting"))),
        }
    }

    fn complain(&mut self, found: &Found, problem: &str) {
        let what = if found.path.is_empty() { "the file".to_owned() } else { format!("'{}'", found.path) };
        self.into.problems.push(format!("error: {}:{}:{}: {what}{problem}", self.name, found.line, found.column));
    }

    fn remark(&mut self, found: &Found, why: &str) {
        let Found { path, line, .. } = found;
        self.into.remarks.push(format!("{}:{line}: {path} means nothing here: {why}", self.name));
    }
}

/// Whether keys of settings stand below this one.
fn is_section(path: &str) -> bool {
    let keys = table::all()
        .flat_map(|setting| std::iter::once(setting.key).chain(setting.originals.iter().map(|original| original.path)));
    keys.filter_map(|key| key.strip_prefix(path)).any(|rest| rest.starts_with('.'))
}

fn unknown(path: &str) -> String {
    if path.is_empty() {
        return ": expected keys and values, like 'port: 5801'".to_owned();
    }
    match nearest(path, table::all().map(|setting| setting.key)) {
        Some(key) => format!(" is no setting; did you mean '{key}'?"),
        None => " is no setting; docs/settings.md lists them".to_owned(),
    }
}

fn unknown_original(likely: Option<&str>) -> String {
    match likely {
        Some(key) => format!(" is no setting of SeaTunnel's; did you mean '{key}'?"),
        None => " is no setting of SeaTunnel's that is known here; remove it".to_owned(),
    }
}
