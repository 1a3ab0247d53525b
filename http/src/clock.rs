//! The clock of a request: one reading for the route's histogram, for the header `x-process-time`, and for bodies that
//! tell how long they took.

use std::fmt;
use std::time::Instant;

use http::HeaderValue;

/// When a request's head had come in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestClock {
    begun: Instant,
}

impl RequestClock {
    pub(crate) fn start() -> Self {
        Self { begun: Instant::now() }
    }

    pub(crate) fn begun(self) -> Instant {
        self.begun
    }

    /// How long the request has taken until a moment.
    pub(crate) fn until(self, now: Instant) -> Seconds {
        Seconds(u64::try_from(now.saturating_duration_since(self.begun).as_nanos()).unwrap_or(u64::MAX))
    }
}

/// A time in nanoseconds, which is written in seconds: `0.0005016`. It is a number of JSON, and of Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) u64);

impl Seconds {
    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    /// For a header.
    pub(crate) fn header(self) -> HeaderValue {
        // Digits and a dot are a value of a header.
        HeaderValue::try_from(self.to_string()).unwrap_or_else(|_| HeaderValue::from_static("0"))
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if nanos == 0 {
            return write!(f, "{whole}.0");
        }
        let (mut digits, mut rest) = (9, nanos);
        while rest % 10 == 0 {
            (digits, rest) = (digits - 1, rest / 10);
        }
        write!(f, "{whole}.{rest:0digits$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn seconds_are_written_without_an_exponent_and_without_idle_digits() {
        let cases = [
            (0, "0.0"),
            (1, "0.000000001"),
            (501_600, "0.0005016"),
            (1_000_000_000, "1.0"),
            (61_050_000_000, "61.05"),
            (u64::MAX, "18446744073.709551615"),
        ];
        for (nanos, text) in cases {
            assert_eq!(Seconds(nanos).to_string(), text);
            assert_eq!(Seconds(nanos).header(), text);
        }
    }

    proptest! {
        #[test]
        fn seconds_are_read_as_they_were_written(nanos in 0u64..1 << 53) {
            let read: f64 = serde_json::from_str(&Seconds(nanos).to_string()).expect("a number of JSON");
            prop_assert!((read * 1e9 - nanos as f64).abs() <= 1.0 + nanos as f64 * 1e-12);
        }
    }

    #[test]
    fn a_request_takes_the_time_since_its_head() {
        let clock = RequestClock::start();
        assert_eq!(clock.until(clock.begun() + Duration::from_micros(3)).nanos(), 3_000);
        assert_eq!(clock.until(clock.begun() - Duration::from_micros(3)).nanos(), 0);
    }
}
