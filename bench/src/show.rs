//! How measured values are printed.

use std::fmt;

use hdrhistogram::Histogram;

/// The quantiles of a histogram of nanoseconds, in microseconds.
pub struct Micros<'h>(pub &'h Histogram<u64>);

impl Micros<'_> {
    /// What stands above them.
    pub const HEADER: &'static str = "     p50       p90       p99     p99.9       max";
}

impl fmt::Display for Micros<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for quantile in [0.5, 0.9, 0.99, 0.999] {
            write!(f, "{:>8.1}  ", micros(self.0, quantile))?;
        }
        write!(f, "{:>8.1}", self.0.max() as f64 / 1e3)
    }
}

/// A quantile in microseconds.
pub fn micros(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1e3
}

/// The middle one; of an even number the mean of the two in the middle, of none NaN.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => (values[count / 2 - 1] + values[count / 2]) / 2.0,
    }
}

/// The least and the most of some values; of none, infinities.
pub fn extent(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let widen = |(least, most): (f64, f64), value: f64| (least.min(value), most.max(value));
    values.into_iter().fold((f64::INFINITY, f64::NEG_INFINITY), widen)
}

/// Whether an aim is met, in words.
pub fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }
}
