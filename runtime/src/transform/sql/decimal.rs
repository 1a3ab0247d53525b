//! Decimals: exact arithmetic on unscaled integers with the rounding that each operation asks for.

use std::cmp::Ordering;

use arrow::datatypes::i256;

/// How digits that do not fit are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    /// Towards positive infinity: casts (contract E.1).
    Ceiling,
    /// Towards negative infinity.
    Floor,
    /// Away from zero: division (contract E.1).
    Up,
    /// Towards zero.
    Down,
    /// To the nearest, halves away from zero.
    HalfUp,
}

/// A number as `unscaled` times ten to the power `-scale`; the scale may be negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decimal {
    pub unscaled: i128,
    pub scale: i32,
}

const TOO_LARGE: &str = "the number has more than 38 digits";

fn power_of_ten(exponent: u32) -> Option<i256> {
    // 10^76 is the largest power that fits.
    if exponent > 76 {
        return None;
    }
    let low = i256::from_i128(10i128.pow(exponent.min(38)));
    low.checked_mul(i256::from_i128(10i128.pow(exponent - exponent.min(38))))
}

/// `value / divisor`, rounded.
fn divide_rounded(value: i256, divisor: i256, rounding: Rounding) -> Option<i256> {
    let quotient = value.checked_div(divisor)?;
    let rest = value.checked_rem(divisor)?;
    if rest == i256::ZERO {
        return Some(quotient);
    }
    let negative = (value < i256::ZERO) != (divisor < i256::ZERO);
    let away = match rounding {
        Rounding::Ceiling => !negative,
        Rounding::Floor => negative,
        Rounding::Up => true,
        Rounding::Down => false,
        Rounding::HalfUp => {
            let rest = rest.checked_abs()?;
            // rest * 2 may overflow; rest >= divisor - rest says the same.
            rest >= divisor.checked_abs()?.checked_sub(rest)?
        }
    };
    match (away, negative) {
        (false, _) => Some(quotient),
        (true, false) => quotient.checked_add(i256::ONE),
        (true, true) => quotient.checked_sub(i256::ONE),
    }
}

/// As [`divide_rounded`], for the common case of numbers that a machine divides at once; `power` is above 1.
fn divide_rounded_short(value: i64, power: i64, rounding: Rounding) -> i64 {
    let (quotient, rest) = (value / power, value % power);
    if rest == 0 {
        return quotient;
    }
    let away = match rounding {
        Rounding::Ceiling => value > 0,
        Rounding::Floor => value < 0,
        Rounding::Up => true,
        Rounding::Down => false,
        Rounding::HalfUp => rest.unsigned_abs() >= power.unsigned_abs() - rest.unsigned_abs(),
    };
    quotient + if away { value.signum() } else { 0 }
}

/// Moves the point: a value of scale `from` as an unscaled one of scale `to`.
fn rescale_wide(value: i256, from: i32, to: i32, rounding: Rounding) -> Option<i256> {
    if value == i256::ZERO {
        return Some(value);
    }
    match to.cmp(&from) {
        Ordering::Equal => Some(value),
        Ordering::Greater => value.checked_mul(power_of_ten(to.abs_diff(from))?),
        Ordering::Less => match power_of_ten(from.abs_diff(to)) {
            Some(power) => divide_rounded(value, power, rounding),
            // Nothing but the sign is left of a number this small.
            None => {
                divide_rounded(if value < i256::ZERO { i256::MINUS_ONE } else { i256::ONE }, power_of_ten(2)?, rounding)
            }
        },
    }
}

/// Ten to the power `exponent`, which is at most 38.
pub(super) fn small_power(exponent: u32) -> i128 {
    10i128.pow(exponent.min(38))
}

impl Decimal {
    pub(super) fn new(unscaled: i128, scale: i32) -> Self {
        Self { unscaled, scale }
    }

    /// The unscaled value at another scale.
    pub(super) fn rescale(self, scale: i32, rounding: Rounding) -> Result<i128, String> {
        if scale == self.scale {
            return Ok(self.unscaled);
        }
        if scale > self.scale
            && let Some(value) =
                10i128.checked_pow(scale.abs_diff(self.scale)).and_then(|power| self.unscaled.checked_mul(power))
        {
            return Ok(value);
        }
        if scale < self.scale
            && let Ok(unscaled) = i64::try_from(self.unscaled)
            && let Some(power) = 10i64.checked_pow(scale.abs_diff(self.scale))
        {
            return Ok(i128::from(divide_rounded_short(unscaled, power, rounding)));
        }
        rescale_wide(i256::from_i128(self.unscaled), self.scale, scale, rounding)
            .and_then(i256::to_i128)
            .ok_or_else(|| TOO_LARGE.to_owned())
    }

    /// Reads a number as Java's `BigDecimal` does: digits, a point, an exponent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.as_bytes().first()? {
            b'-' => (true, &mantissa[1..]),
            b'+' => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut unscaled = 0i128;
        for digit in whole.bytes().chain(fraction.bytes()) {
            if !digit.is_ascii_digit() {
                return None;
            }
            unscaled = unscaled.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        Some(Self::new(if negative { -unscaled } else { unscaled }, scale))
    }

    /// The decimal that the shortest text of a double names, as Java's `BigDecimal.valueOf` takes it.
    pub(super) fn of_double(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        // Whole numbers need no text.
        if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
            return Some(Self::new(value as i128, 0));
        }
        Self::parse(ryu::Buffer::new().format_finite(value))
    }

    /// As [`Decimal::of_double`], by the shortest text of a float.
    pub(super) fn of_float(value: f32) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        Self::parse(ryu::Buffer::new().format_finite(value))
    }

    /// The nearest double.
    pub(super) fn to_double(self) -> f64 {
        // Both numbers are exact then, so that the division rounds once.
        if self.unscaled.unsigned_abs() < 1 << 53 && (0..=22).contains(&self.scale) {
            return self.unscaled as f64 / 10f64.powi(self.scale);
        }
        format!("{}e{}", self.unscaled, -self.scale).parse().unwrap_or(f64::NAN)
    }

    /// Compares by value, whatever the scales.
    pub(super) fn compare(self, other: Self) -> Ordering {
        if self.scale == other.scale {
            return self.unscaled.cmp(&other.unscaled);
        }
        let scale = self.scale.max(other.scale);
        let wide = |one: Self| rescale_wide(i256::from_i128(one.unscaled), one.scale, scale, Rounding::Down);
        match (wide(self), wide(other)) {
            (Some(left), Some(right)) => left.cmp(&right),
            // Too far apart to be put on one scale: the one that overflows is the larger in size.
            (None, _) => self.unscaled.cmp(&0),
            (_, None) => 0.cmp(&other.unscaled),
        }
    }
}

/// `+`, `-`, `*`, `/`, `%` of two decimals, at the scale of the result (contract E.1): a quotient is rounded up,
/// everything else half up.
pub(super) fn calculate(op: super::arithmetic::Op, left: Decimal, right: Decimal, scale: i32) -> Result<i128, String> {
    use super::arithmetic::Op;
    let too_large = || TOO_LARGE.to_owned();
    if matches!(op, Op::Divide | Op::Modulo) && right.unscaled == 0 {
        return Err("division by zero".into());
    }
    // The common case: the digits fit into 128 bits and nothing is rounded.
    if matches!(op, Op::Add | Op::Subtract) && left.scale == scale && right.scale == scale {
        let exact = if op == Op::Add {
            left.unscaled.checked_add(right.unscaled)
        } else {
            left.unscaled.checked_sub(right.unscaled)
        };
        return exact.ok_or_else(too_large);
    }
    if op == Op::Multiply
        && let Some(product) = left.unscaled.checked_mul(right.unscaled)
        && let Some(product_scale) = left.scale.checked_add(right.scale)
    {
        return Decimal::new(product, product_scale).rescale(scale, Rounding::HalfUp);
    }
    if matches!(op, Op::Add | Op::Subtract)
        && left.scale.max(right.scale) == scale
        && let (Ok(one), Ok(two)) = (left.rescale(scale, Rounding::HalfUp), right.rescale(scale, Rounding::HalfUp))
    {
        let sum = if op == Op::Add { one.checked_add(two) } else { one.checked_sub(two) };
        return sum.ok_or_else(too_large);
    }
    let (one, two) = (i256::from_i128(left.unscaled), i256::from_i128(right.unscaled));
    let wide = match op {
        Op::Multiply => one
            .checked_mul(two)
            .and_then(|value| rescale_wide(value, left.scale.checked_add(right.scale)?, scale, Rounding::HalfUp)),
        Op::Divide => {
            // one / two at `scale`: shift the point of the dividend, or of the divisor when it goes the other way.
            let shift = scale + right.scale - left.scale;
            let power = power_of_ten(shift.unsigned_abs());
            power.and_then(|power| {
                if shift >= 0 {
                    divide_rounded(one.checked_mul(power)?, two, Rounding::Up)
                } else {
                    divide_rounded(one, two.checked_mul(power)?, Rounding::Up)
                }
            })
        }
        Op::Add | Op::Subtract | Op::Modulo => {
            let common = left.scale.max(right.scale);
            let one = rescale_wide(one, left.scale, common, Rounding::HalfUp);
            let two = rescale_wide(two, right.scale, common, Rounding::HalfUp);
            one.zip(two)
                .and_then(|(one, two)| match op {
                    Op::Add => one.checked_add(two),
                    Op::Subtract => one.checked_sub(two),
                    _ => one.checked_rem(two),
                })
                .and_then(|value| rescale_wide(value, common, scale, Rounding::HalfUp))
        }
    };
    wide.and_then(i256::to_i128).ok_or_else(too_large)
}

/// Refuses values with more digits than the type has room for.
pub(super) fn check_precision(unscaled: i128, precision: u8, scale: i8) -> Result<i128, String> {
    if unscaled.unsigned_abs() < small_power(u32::from(precision)).unsigned_abs() {
        return Ok(unscaled);
    }
    let mut shown = String::new();
    crate::row::text::write_decimal(&mut shown, unscaled, scale);
    Err(format!("{shown} does not fit decimal({precision}, {scale})"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::arithmetic::Op;
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect(text)
    }

    #[test]
    fn rounding_follows_its_name() {
        for (text, scale, rounding, expected) in [
            ("1.21", 1, Rounding::Ceiling, 13),
            ("-1.29", 1, Rounding::Ceiling, -12),
            ("1.29", 1, Rounding::Floor, 12),
            ("-1.21", 1, Rounding::Floor, -13),
            ("1.21", 1, Rounding::Up, 13),
            ("-1.21", 1, Rounding::Up, -13),
            ("-1.29", 1, Rounding::Down, -12),
            ("1.25", 1, Rounding::HalfUp, 13),
            ("-1.25", 1, Rounding::HalfUp, -13),
            ("1.24", 1, Rounding::HalfUp, 12),
            ("1e-300", 2, Rounding::Ceiling, 1),
            ("-1e-300", 2, Rounding::Ceiling, 0),
            ("5", 3, Rounding::Down, 5000),
        ] {
            assert_eq!(decimal(text).rescale(scale, rounding), Ok(expected), "{text} {rounding:?}");
        }
        assert!(decimal("1e60").rescale(2, Rounding::Down).is_err());
    }

    #[test]
    fn arithmetic_is_exact_up_to_the_scale_of_the_result() {
        for (op, left, right, scale, expected) in [
            (Op::Add, "1.10", "2.205", 3, 3305),
            (Op::Subtract, "1.10", "2.205", 3, -1105),
            (Op::Multiply, "12.34", "0.9", 2, 1111),
            (Op::Divide, "10", "3", 2, 334),
            (Op::Divide, "-10", "3", 2, -334),
            (Op::Divide, "1.000", "0.5", 1, 20),
            (Op::Modulo, "7.5", "2", 1, 15),
            (Op::Modulo, "-7.5", "2", 1, -15),
            (
                Op::Multiply,
                "99999999999999999999999999.99",
                "99999999999.9",
                1,
                10i128.pow(38) - 10i128.pow(26) - 10i128.pow(10),
            ),
        ] {
            assert_eq!(calculate(op, decimal(left), decimal(right), scale), Ok(expected), "{left} {op:?} {right}");
        }
        assert!(calculate(Op::Divide, decimal("1"), decimal("0.0"), 2).is_err());
        assert!(calculate(Op::Multiply, decimal("1e30"), decimal("1e30"), 0).is_err());
    }

    #[test]
    fn doubles_become_the_decimals_that_they_print_as() {
        assert_eq!(Decimal::of_double(0.1), Some(Decimal::new(1, 1)));
        assert_eq!(Decimal::of_double(-12.34), Some(Decimal::new(-1234, 2)));
        assert_eq!(Decimal::of_double(3.0), Some(Decimal::new(3, 0)));
        assert_eq!(Decimal::of_double(f64::NAN), None);
        assert_eq!(decimal("123.456").to_double(), 123.456);
        assert_eq!(decimal("99999999999999999999.999").to_double(), 1e20);
    }

    #[test]
    fn decimals_compare_by_value() {
        assert_eq!(decimal("1.50").compare(decimal("1.5")), Ordering::Equal);
        assert_eq!(decimal("-2").compare(decimal("-1.99")), Ordering::Less);
        assert_eq!(decimal("1e90").compare(decimal("1e-90")), Ordering::Greater);
        assert_eq!(decimal("1").compare(decimal("-1e90")), Ordering::Greater);
    }

    proptest! {
        #[test]
        fn the_short_division_agrees_with_the_long_one(value: i64, digits in 1u32..=18, pick in 0usize..5) {
            let rounding =
                [Rounding::Ceiling, Rounding::Floor, Rounding::Up, Rounding::Down, Rounding::HalfUp][pick];
            let power = 10i64.pow(digits);
            let long = divide_rounded(i256::from_i128(value.into()), i256::from_i128(power.into()), rounding);
            prop_assert_eq!(long, Some(i256::from_i128(divide_rounded_short(value, power, rounding).into())));
        }
    }
}
