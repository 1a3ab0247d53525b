//! Which families a scraper asks for: `?name=egret_http*&name=job_count`, as Seastar has it.

use super::family::About;
use crate::query;

/// Names that a request may give.
const NAMES_MAX: usize = 64;

/// Families that are asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    /// Any of them; none: all families.
    patterns: Vec<Pattern>,
}

#[derive(Debug, PartialEq, Eq)]
enum Pattern {
    Whole(String),
    /// All that begin with this.
    Prefix(String),
}

impl Selection {
    /// Reads the parameters `name`; others, and empty ones, are ignored.
    ///
    /// # Errors
    /// With the text for the client.
    pub(super) fn from_query(query: &str) -> Result<Self, String> {
        let mut patterns = Vec::new();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if key != "name" || value.is_empty() {
                continue;
            }
            if patterns.len() == NAMES_MAX {
                return Err(format!("At most {NAMES_MAX} names may be asked for at once."));
            }
            let value = query::decode(value).ok_or_else(|| format!("'{value}' is not encoded as a query must be."))?;
            patterns.push(match value.strip_suffix('*') {
                Some(prefix) => Pattern::Prefix(prefix.to_owned()),
                None => Pattern::Whole(value.into_owned()),
            });
        }
        Ok(Self { patterns })
    }

    /// Whether all families are asked for.
    pub(super) fn is_whole(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a family is asked for: by its name, or by that of its samples.
    pub(super) fn has(&self, family: &About) -> bool {
        self.is_whole() || self.patterns.iter().any(|pattern| pattern.fits(family))
    }
}

impl Pattern {
    fn fits(&self, family: &About) -> bool {
        let suffixes = [""].iter().chain(family.kind.suffixes());
        match self {
            Self::Whole(name) => {
                let Some(rest) = name.strip_prefix(family.base) else { return false };
                suffixes.into_iter().any(|suffix| *suffix == rest)
            }
            Self::Prefix(prefix) => match prefix.strip_prefix(family.base) {
                Some(rest) => suffixes.into_iter().any(|suffix| suffix.starts_with(rest)),
                None => family.base.starts_with(&**prefix),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::family::{Family, counter, gauge, histogram};
    use super::*;

    const GAUGE: Family<()> = gauge("egret_http_connections", "Open.", "", |(), _| {});
    const COUNTER: Family<()> = counter("egret_http_refused_total", "Refused.", "", |(), _| {});
    const HISTOGRAM: Family<()> = histogram("egret_http_request_seconds", "Time.", "", |(), _| {});

    fn selected(query: &str) -> [bool; 3] {
        let selection = Selection::from_query(query).expect("valid");
        [&GAUGE, &COUNTER, &HISTOGRAM].map(|family| selection.has(&family.about))
    }

    #[test]
    fn without_names_everything_is_selected() {
        for query in ["", "name=", "x=y", "names=egret_x", "name"] {
            assert_eq!(selected(query), [true; 3], "{query}");
        }
    }

    #[test]
    fn a_name_is_the_familys_or_that_of_its_samples() {
        assert_eq!(selected("name=egret_http_connections"), [true, false, false]);
        assert_eq!(selected("name=egret_http_refused"), [false, true, false]);
        assert_eq!(selected("name=egret_http_refused_total"), [false, true, false]);
        assert_eq!(selected("name=egret_http_request_seconds_bucket"), [false, false, true]);
        for other in
            ["egret_http", "egret_http_connections_total", "egret_http_refused_tot", "_connections", "egret_*x"]
        {
            assert_eq!(selected(&format!("name={other}")), [false; 3], "{other}");
        }
    }

    #[test]
    fn an_asterisk_at_the_end_selects_by_prefix() {
        assert_eq!(selected("name=egret_http_re*"), [false, true, true]);
        assert_eq!(selected("name=egret_http_refused_to*"), [false, true, false]);
        assert_eq!(selected("name=egret_http_request_seconds_b*"), [false, false, true]);
        assert_eq!(selected("name=*"), [true; 3]);
        assert_eq!(selected("name=job*"), [false; 3]);
    }

    #[test]
    fn several_names_select_all_of_theirs() {
        assert_eq!(selected("name=egret_http_refused*&x=1&name=egret_http_connections"), [true, true, false]);
        assert_eq!(selected("name=egret_http%5Fconnections&name=nothing%2A"), [true, false, false]);
    }

    #[test]
    fn what_is_too_much_or_badly_encoded_is_told() {
        let many = "name=a&".repeat(NAMES_MAX);
        assert!(Selection::from_query(&many).is_ok());
        assert!(Selection::from_query(&format!("{many}name=a")).is_err());
        assert!(Selection::from_query("name=%4").is_err());
    }
}
