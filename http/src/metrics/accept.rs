//! Which of the two forms a scraper would rather have, by its `Accept` headers (RFC 9110, 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

use super::text::Format;

/// The form with the greatest weight. Of equal ones the one that is named more exactly, then the one that is named
/// first, then the text. A client that takes neither gets the text: one that reads metrics at all reads that.
pub(super) fn preferred(headers: &HeaderMap) -> Format {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<Range<'_>> = values.flat_map(|value| value.split(',')).filter_map(Range::parse).collect();
    let wish = |format| {
        // Of several ranges that fit, the most exact one says what the form weighs.
        let fitting = ranges.iter().enumerate().filter_map(|(place, range)| Some((range.fit(format)?, place)));
        let (fit, place) = fitting.max_by_key(|(fit, place)| (*fit, std::cmp::Reverse(*place)))?;
        let weight = ranges[place].weight;
        (weight > 0).then_some((weight, fit, std::cmp::Reverse(place)))
    };
    if wish(Format::OpenMetrics) > wish(Format::Prometheus) { Format::OpenMetrics } else { Format::Prometheus }
}

/// A range of types, and what it weighs, in thousandths.
#[derive(Clone, Copy, Debug)]
struct Range<'h> {
    name: &'h str,
    version: Option<&'h str>,
    weight: u16,
}

impl<'h> Range<'h> {
    fn parse(text: &'h str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self { name: parts.next()?, version: None, weight: 1000 };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match key.trim() {
                key if key.eq_ignore_ascii_case("version") => range.version = Some(value),
                key if key.eq_ignore_ascii_case("q") => range.weight = weight(value)?,
                _ => {}
            }
        }
        Some(range)
    }

    /// How exactly it names a form; `None` when it does not.
    fn fit(&self, format: Format) -> Option<u8> {
        let (name, group, version) = match format {
            Format::Prometheus => ("text/plain", "text/*", "0.0.4"),
            Format::OpenMetrics => ("application/openmetrics-text", "application/*", "1.0.0"),
        };
        match self.version {
            _ if self.name == "*/*" => Some(0),
            _ if self.name.eq_ignore_ascii_case(group) => Some(1),
            None if self.name.eq_ignore_ascii_case(name) => Some(2),
            Some(given) if self.name.eq_ignore_ascii_case(name) && given == version => Some(3),
            _ => None,
        }
    }
}

/// `0.5` as 500; `None` when it is no number from 0 to 1.
fn weight(text: &str) -> Option<u16> {
    let weight = text.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
    Some((weight * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, value.parse().expect("a value"));
        }
        preferred(&headers)
    }

    #[test]
    fn scrapers_get_the_form_that_they_prefer() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                            application/openmetrics-text;version=0.0.1;q=0.4,\
                            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let text_only = "text/plain;version=0.0.4;q=1,*/*;q=0.1";
        assert_eq!(of(&[prometheus_2]), Format::OpenMetrics);
        assert_eq!(of(&[prometheus_3]), Format::OpenMetrics);
        assert_eq!(of(&[text_only]), Format::Prometheus);
    }

    #[test]
    fn who_does_not_care_gets_the_text() {
        for values in [&[][..], &["*/*"], &[""], &["text/html, image/png, */*;q=0.8"], &["application/json"]] {
            assert_eq!(of(values), Format::Prometheus, "{values:?}");
        }
    }

    #[test]
    fn the_greater_weight_wins_wherever_it_stands() {
        assert_eq!(of(&["text/plain;q=0.4, application/openmetrics-text;q=0.5"]), Format::OpenMetrics);
        assert_eq!(of(&["application/openmetrics-text; Q=0.5 , TEXT/PLAIN;q=0.501"]), Format::Prometheus);
        assert_eq!(of(&["text/plain;q=0.4", "application/openmetrics-text"]), Format::OpenMetrics);
        assert_eq!(of(&["text/*;q=0.4, application/*;q=0.5"]), Format::OpenMetrics);
        // The more exact range says what a form weighs.
        assert_eq!(of(&["*/*, text/plain;q=0.1"]), Format::OpenMetrics);
        assert_eq!(of(&["application/*;q=0.1, */*;q=0.9, application/openmetrics-text;q=0.2"]), Format::Prometheus);
    }

    #[test]
    fn of_equal_weights_the_more_exact_and_then_the_first_wins() {
        assert_eq!(of(&["*/*, application/openmetrics-text"]), Format::OpenMetrics);
        assert_eq!(of(&["application/openmetrics-text, text/plain"]), Format::OpenMetrics);
        assert_eq!(of(&["text/plain, application/openmetrics-text"]), Format::Prometheus);
        assert_eq!(of(&["text/plain, application/openmetrics-text; version=\"1.0.0\""]), Format::OpenMetrics);
    }

    #[test]
    fn what_is_not_wanted_or_another_version_is_not_given() {
        assert_eq!(of(&["application/openmetrics-text;q=0, text/plain;q=0.1"]), Format::Prometheus);
        assert_eq!(of(&["text/plain;q=0, application/openmetrics-text;q=0.1"]), Format::OpenMetrics);
        assert_eq!(of(&["application/openmetrics-text;version=2.0.0, text/plain;q=0.1"]), Format::Prometheus);
        assert_eq!(of(&["text/plain;version=1.0.0, application/openmetrics-text;q=0.1"]), Format::OpenMetrics);
        assert_eq!(of(&["application/openmetrics-text;q=2, text/plain;q=0.1"]), Format::Prometheus);
        assert_eq!(of(&["application/openmetrics-text;q=x, text/plain;q=NaN"]), Format::Prometheus);
    }
}
