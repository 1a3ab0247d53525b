//! Settings that do not go together.

use super::table;
use super::{Read, Settings};

/// Two settings of which one limits the other.
struct Rule {
    keys: [&'static str; 2],
    is_broken: fn(&Settings) -> bool,
    /// What to do, as the end of a sentence.
    cure: &'static str,
}

const RULES: [Rule; 3] = [
    Rule {
        keys: ["port", "second_port"],
        is_broken: |s| s.port != 0 && s.second_port == Some(s.port) && !s.second_port_dynamic,
        cure: "give them different numbers, or set second_port to off",
    },
    Rule {
        keys: ["log_bytes_max", "logs_bytes_max"],
        is_broken: |s| s.logs.log_bytes_max > s.logs.logs_bytes_max,
        cure: "all logs together may not be smaller than one",
    },
    Rule {
        keys: ["http.body_bytes_max", "http.bodies_bytes_max"],
        is_broken: |s| s.http.body_bytes_max > s.http.bodies_bytes_max,
        cure: "all bodies together may not be smaller than one",
    },
];

impl Read {
    /// Notes every rule that is broken, unless one of its settings is wrong by itself.
    pub(super) fn judge_together(&mut self) {
        for rule in &RULES {
            if rule.keys.iter().any(|key| self.failed.contains(key)) || !(rule.is_broken)(&self.settings) {
                continue;
            }
            let [first, second] = rule.keys.map(|key| self.in_words(key));
            self.problems.push(format!("error: {first} and {second}: {}", rule.cure));
        }
    }

    /// A setting with its value and where that comes from.
    pub(super) fn in_words(&self, key: &'static str) -> String {
        let value = table::find(key).map(|setting| (setting.show)(&self.settings)).unwrap_or_default();
        format!("'{key}' is {value} ({})", self.origins.of(key))
    }
}
