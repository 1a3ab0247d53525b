//! Functions on numbers.

use arrow::array::{ArrayRef, ArrowPrimitiveType};
use arrow::datatypes::{
    ArrowNativeTypeOp, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};

use super::super::arithmetic::{Decimals, Op, as_decimals};
use super::super::bind::{Binder, Refusal, arithmetic};
use super::super::cast::{OnFailure, type_name};
use super::super::decimal::{Decimal, Rounding, check_precision};
use super::super::expr::{Call, Expr};
use super::super::value::{Numbers, RowError, Value, number_rows, some};
use super::{Args, Function, call, one, volatile_call};
use crate::row::DataType::{self, BigInt, Double, Int};

macro_rules! of_double {
    ($name:literal, $compute:expr) => {
        Function {
            names: &[$name],
            min: 1,
            max: 1,
            usage: concat!($name, "(number): DOUBLE"),
            bind: |args, _| double_of_double($name, args, $compute),
        }
    };
}

pub(super) static FUNCTIONS: &[Function] = &[
    Function { names: &["ABS"], min: 1, max: 1, usage: "ABS(number): as the number", bind: abs },
    of_double!("ACOS", f64::acos),
    of_double!("ASIN", f64::asin),
    of_double!("ATAN", f64::atan),
    of_double!("COS", f64::cos),
    of_double!("COSH", f64::cosh),
    of_double!("SIN", f64::sin),
    of_double!("SINH", f64::sinh),
    of_double!("TAN", f64::tan),
    of_double!("TANH", f64::tanh),
    of_double!("EXP", f64::exp),
    of_double!("RADIANS", f64::to_radians),
    of_double!("SQRT", f64::sqrt),
    Function { names: &["COT"], min: 1, max: 1, usage: "COT(number): DOUBLE", bind: cot },
    Function {
        names: &["LN"],
        min: 1,
        max: 1,
        usage: "LN(number): DOUBLE",
        bind: |args, _| logarithm("LN", args, f64::ln),
    },
    Function {
        names: &["LOG10"],
        min: 1,
        max: 1,
        usage: "LOG10(number): DOUBLE",
        bind: |args, _| logarithm("LOG10", args, f64::log10),
    },
    Function { names: &["LOG"], min: 2, max: 2, usage: "LOG(base, number): DOUBLE", bind: log },
    Function {
        names: &["ATAN2"],
        min: 2,
        max: 2,
        usage: "ATAN2(y, x): DOUBLE",
        bind: |args, _| double_of_two("ATAN2", args, f64::atan2),
    },
    Function {
        names: &["POWER"],
        min: 2,
        max: 2,
        usage: "POWER(base, exponent): DOUBLE",
        bind: |args, _| double_of_two("POWER", args, power),
    },
    Function {
        names: &["PI"],
        min: 0,
        max: 0,
        usage: "PI(): DOUBLE",
        bind: |_, _| {
            Ok(call("PI", vec![], Double, false, |_| {
                Ok(one(arrow::array::Float64Array::from(vec![std::f64::consts::PI])))
            }))
        },
    },
    Function { names: &["RAND", "RANDOM"], min: 0, max: 1, usage: "RAND([seed]): DOUBLE", bind: rand },
    Function { names: &["MOD"], min: 2, max: 2, usage: "MOD(dividend, divisor): as the divisor", bind: modulo },
    Function {
        names: &["CEIL", "CEILING"],
        min: 1,
        max: 2,
        usage: "CEIL(number): as the number for integers, else INT",
        bind: |args, _| to_whole("CEIL", args, Rounding::Ceiling),
    },
    Function {
        names: &["FLOOR"],
        min: 1,
        max: 2,
        usage: "FLOOR(number): as the number for integers, else INT",
        bind: |args, _| to_whole("FLOOR", args, Rounding::Floor),
    },
    Function {
        names: &["ROUND"],
        min: 1,
        max: 2,
        usage: "ROUND(number[, digits]): as the number",
        bind: |args, _| round("ROUND", args, Rounding::HalfUp),
    },
    Function {
        names: &["TRUNC", "TRUNCATE"],
        min: 1,
        max: 2,
        usage: "TRUNC(number[, digits]): as the number; DOUBLE for floats",
        bind: |args, _| round("TRUNC", args, Rounding::Down),
    },
    Function { names: &["SIGN"], min: 1, max: 1, usage: "SIGN(number): INT", bind: sign },
];

type Bound = Result<Expr, Refusal>;

fn double_of_double(name: &'static str, mut args: Args, compute: fn(f64) -> f64) -> Bound {
    Ok(call(name, vec![args.double()?], Double, false, move |call| {
        let numbers = Numbers::<Float64Type>::of(&call.args[0]);
        number_rows::<Float64Type>(call.rows, |row| Ok(numbers.get(row).map(compute)))
    }))
}

fn double_of_two(name: &'static str, mut args: Args, compute: fn(f64, f64) -> f64) -> Bound {
    Ok(call(name, vec![args.double()?, args.double()?], Double, false, move |call| {
        let (one, two) = (Numbers::<Float64Type>::of(&call.args[0]), Numbers::<Float64Type>::of(&call.args[1]));
        number_rows::<Float64Type>(call.rows, |row| {
            Ok(one.get(row).zip(two.get(row)).map(|(one, two)| compute(one, two)))
        })
    }))
}

/// As Java's `Math.pow`, which knows no answer where IEEE 754 says 1.
fn power(base: f64, exponent: f64) -> f64 {
    if exponent.is_nan() || (base.abs() == 1.0 && exponent.is_infinite()) { f64::NAN } else { base.powf(exponent) }
}

fn cot(mut args: Args, _: &mut Binder<'_>) -> Bound {
    Ok(call("COT", vec![args.double()?], Double, true, |call| {
        let numbers = Numbers::<Float64Type>::of(&call.args[0]);
        number_rows::<Float64Type>(call.rows, |row| {
            let tangent = some!(numbers.get(row)).tan();
            if tangent == 0.0 { Err("COT: division by zero".into()) } else { Ok(Some(1.0 / tangent)) }
        })
    }))
}

fn logarithm(name: &'static str, mut args: Args, compute: fn(f64) -> f64) -> Bound {
    Ok(call(name, vec![args.double()?], Double, true, move |call| {
        let numbers = Numbers::<Float64Type>::of(&call.args[0]);
        number_rows::<Float64Type>(call.rows, |row| {
            let number = some!(numbers.get(row));
            if number <= 0.0 {
                Err(format!("{name} needs a number above 0, not {number}"))
            } else {
                Ok(Some(compute(number)))
            }
        })
    }))
}

fn log(mut args: Args, _: &mut Binder<'_>) -> Bound {
    Ok(call("LOG", vec![args.double()?, args.double()?], Double, true, |call| {
        let (bases, numbers) = (Numbers::<Float64Type>::of(&call.args[0]), Numbers::<Float64Type>::of(&call.args[1]));
        number_rows::<Float64Type>(call.rows, |row| {
            let (base, number) = (some!(bases.get(row)), some!(numbers.get(row)));
            if base <= 0.0 || number <= 0.0 {
                return Err(format!("LOG needs a base and a number above 0, not {base} and {number}"));
            }
            Ok(Some(if base == std::f64::consts::E {
                number.ln()
            } else if base == 10.0 {
                number.log10()
            } else {
                number.ln() / base.ln()
            }))
        })
    }))
}

/// The first double that `java.util.Random` draws from a seed.
fn java_random(seed: i64) -> f64 {
    const MASK: i64 = (1 << 48) - 1;
    let mut state = (seed ^ 0x5_DEEC_E66D) & MASK;
    let mut next = |bits: u32| {
        state = state.wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & MASK;
        state >> (48 - bits)
    };
    let (high, low) = (next(26), next(27));
    ((high << 27) + low) as f64 / (1i64 << 53) as f64
}

fn rand(mut args: Args, _: &mut Binder<'_>) -> Bound {
    if !args.more() {
        return Ok(volatile_call("RAND", vec![], Double, true, |call| {
            number_rows::<Float64Type>(call.rows, |_| Ok(Some(fastrand::f64())))
        }));
    }
    Ok(call("RAND", vec![args.integer()?], Double, false, |call| {
        let seeds = Numbers::<Int64Type>::of(&call.args[0]);
        number_rows::<Float64Type>(call.rows, |row| {
            // Java seeds with an int.
            Ok(Some(seeds.get(row).map_or_else(fastrand::f64, |seed| java_random(i64::from(seed as i32)))))
        })
    }))
}

fn modulo(mut args: Args, binder: &mut Binder<'_>) -> Bound {
    let (dividend, divisor) = (args.number()?, args.number()?);
    let result = divisor.data_type.clone();
    // Computed exactly, then brought to the divisor's type; a rest is never larger than the divisor.
    if dividend.data_type.is_integer() && result.is_integer() {
        let rest = arithmetic(
            Op::Modulo,
            dividend.cast_to(&BigInt, OnFailure::Fail),
            divisor.cast_to(&BigInt, OnFailure::Fail),
        )?;
        return binder.convert(rest, &result);
    }
    let kernel_result = result.clone();
    Ok(call("MOD", vec![dividend, divisor], result, true, move |call| {
        let (one, two) = (Decimals::of(&call.args[0]), Decimals::of(&call.args[1]));
        decimals_as(&kernel_result, call.rows, |row| {
            let (one, two) = (some!(one.get(row)?), some!(two.get(row)?));
            let scale = one.scale.max(two.scale);
            let rest = super::super::decimal::calculate(Op::Modulo, one, two, scale)
                .map_err(|error| if two.unscaled == 0 { "MOD: division by zero".into() } else { error })?;
            Ok(Some(Decimal::new(rest, scale)))
        })
    }))
}

/// Makes numbers of any type from decimals.
fn decimals_as(
    to: &DataType,
    rows: usize,
    mut value: impl FnMut(usize) -> Result<Option<Decimal>, String>,
) -> Result<ArrayRef, RowError> {
    let whole = |number: Decimal| number.rescale(0, Rounding::Down);
    let out_of_range = || format!("the number does not fit {}", type_name(to));
    match to {
        DataType::TinyInt => number_rows::<Int8Type>(rows, |row| {
            some!(value(row)?.map(whole)).and_then(|number| i8::try_from(number).map_err(|_| out_of_range())).map(Some)
        }),
        DataType::SmallInt => number_rows::<Int16Type>(rows, |row| {
            some!(value(row)?.map(whole)).and_then(|number| i16::try_from(number).map_err(|_| out_of_range())).map(Some)
        }),
        DataType::Int => number_rows::<Int32Type>(rows, |row| {
            some!(value(row)?.map(whole)).and_then(|number| i32::try_from(number).map_err(|_| out_of_range())).map(Some)
        }),
        DataType::BigInt => number_rows::<Int64Type>(rows, |row| {
            some!(value(row)?.map(whole)).and_then(|number| i64::try_from(number).map_err(|_| out_of_range())).map(Some)
        }),
        DataType::Float => {
            number_rows::<Float32Type>(rows, |row| Ok(value(row)?.map(|number| number.to_double() as f32)))
        }
        DataType::Decimal { precision, scale } => {
            let array = number_rows::<Decimal128Type>(rows, |row| {
                let number = some!(value(row)?).rescale(i32::from(*scale), Rounding::HalfUp)?;
                check_precision(number, *precision, *scale).map(Some)
            })?;
            as_decimals(&array, *precision, *scale)
        }
        _ => number_rows::<Float64Type>(rows, |row| Ok(value(row)?.map(Decimal::to_double))),
    }
}

fn abs(mut args: Args, _: &mut Binder<'_>) -> Bound {
    fn of<T: ArrowPrimitiveType>(value: &Value, rows: usize) -> Result<ArrayRef, RowError>
    where
        T::Native: std::fmt::Display,
    {
        let numbers = Numbers::<T>::of(value);
        number_rows::<T>(rows, |row| {
            let number = some!(numbers.get(row));
            if number.is_ge(T::Native::ZERO) {
                return Ok(Some(number));
            }
            // Below zero, also -0.0, and of integers possibly the one without a counterpart.
            number
                .neg_checked()
                .map(Some)
                .map_err(|_| format!("ABS({number}) does not fit its type; cast it to a wider one first"))
        })
    }
    let value = args.number()?;
    let result = value.data_type.clone();
    let kernel_result = result.clone();
    let fallible = result.is_integer();
    Ok(call("ABS", vec![value], result, fallible, move |call| {
        let (value, rows) = (&call.args[0], call.rows);
        match &kernel_result {
            DataType::TinyInt => of::<Int8Type>(value, rows),
            DataType::SmallInt => of::<Int16Type>(value, rows),
            DataType::Int => of::<Int32Type>(value, rows),
            DataType::BigInt => of::<Int64Type>(value, rows),
            DataType::Float => {
                let numbers = Numbers::<Float32Type>::of(value);
                number_rows::<Float32Type>(rows, |row| Ok(numbers.get(row).map(f32::abs)))
            }
            DataType::Decimal { precision, scale } => {
                as_decimals(&of::<Decimal128Type>(value, rows)?, *precision, *scale)
            }
            _ => {
                let numbers = Numbers::<Float64Type>::of(value);
                number_rows::<Float64Type>(rows, |row| Ok(numbers.get(row).map(f64::abs)))
            }
        }
    }))
}

fn sign(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let value = args.number()?;
    if matches!(value.data_type, DataType::Float | DataType::Double) {
        let value = value.cast_to(&Double, OnFailure::Fail);
        return Ok(call("SIGN", vec![value], Int, false, |call| {
            let numbers = Numbers::<Float64Type>::of(&call.args[0]);
            number_rows::<Int32Type>(call.rows, |row| {
                Ok(numbers.get(row).map(|number| i32::from(number > 0.0) - i32::from(number < 0.0)))
            })
        }));
    }
    Ok(call("SIGN", vec![value], Int, false, |call| {
        let numbers = Decimals::of(&call.args[0]);
        number_rows::<Int32Type>(call.rows, |row| Ok(numbers.get(row)?.map(|number| number.unscaled.signum() as i32)))
    }))
}

/// `CEIL` and `FLOOR`: integers stay what they are, all else becomes an int (contract E.1).
fn to_whole(name: &'static str, mut args: Args, rounding: Rounding) -> Bound {
    let value = args.number()?;
    let digits = if args.more() { Some(args.integer()?) } else { None };
    let result = if value.data_type.is_integer() { value.data_type.clone() } else { Int };
    if digits.is_none() && value.data_type.is_integer() {
        return Ok(value);
    }
    rounding_call(name, value, digits, result, rounding)
}

/// `ROUND` and `TRUNC` keep the type; a truncated float is a double.
fn round(name: &'static str, mut args: Args, rounding: Rounding) -> Bound {
    let mut value = args.number()?;
    let digits = if args.more() { Some(args.integer()?) } else { None };
    if name == "TRUNC" && value.data_type == DataType::Float {
        value = value.cast_to(&Double, OnFailure::Fail);
    }
    if digits.is_none() && value.data_type.is_integer() {
        return Ok(value);
    }
    let result = value.data_type.clone();
    rounding_call(name, value, digits, result, rounding)
}

fn rounding_call(name: &'static str, value: Expr, digits: Option<Expr>, result: DataType, rounding: Rounding) -> Bound {
    let from = value.data_type.clone();
    let kernel_result = result.clone();
    let fallible = !matches!(result, DataType::Float | Double);
    let args = std::iter::once(value).chain(digits).collect();
    Ok(call(name, args, result, fallible, move |call| {
        let digits = call.args.get(1).map(Numbers::<Int64Type>::of);
        // No digits, or digits that are null, are none.
        let digits_of = |row: usize| {
            let digits = digits.as_ref().and_then(|digits| digits.get(row)).unwrap_or(0);
            digits.clamp(-400, 400) as i32
        };
        if matches!(from, DataType::Float | Double) && matches!(kernel_result, DataType::Float | Double) {
            return round_floats(call, &from, rounding, digits_of);
        }
        let numbers = Decimals::of(&call.args[0]);
        decimals_as(&kernel_result, call.rows, |row| {
            let number = match numbers.get(row) {
                Ok(number) => some!(number),
                Err(message) => return Err(format!("{name}: {message}")),
            };
            // Digits behind the point of the value are all that there are.
            let digits = digits_of(row).min(number.scale.max(0));
            match number.rescale(digits, rounding) {
                Ok(unscaled) => Ok(Some(Decimal::new(unscaled, digits))),
                Err(_) => Err(format!("the number does not fit {}", type_name(&kernel_result))),
            }
        })
    }))
}

fn round_floats(
    call: &Call<'_>,
    from: &DataType,
    rounding: Rounding,
    digits_of: impl Fn(usize) -> i32,
) -> Result<ArrayRef, RowError> {
    if *from == Double {
        let numbers = Numbers::<Float64Type>::of(&call.args[0]);
        return number_rows::<Float64Type>(call.rows, |row| {
            Ok(numbers.get(row).map(|number| round_double(number, digits_of(row), rounding)))
        });
    }
    let numbers = Numbers::<Float32Type>::of(&call.args[0]);
    number_rows::<Float32Type>(call.rows, |row| {
        Ok(numbers.get(row).map(|number| round_double(f64::from(number), digits_of(row), rounding) as f32))
    })
}

/// Rounds the decimal that a double prints as.
fn round_double(number: f64, digits: i32, rounding: Rounding) -> f64 {
    if !number.is_finite() || number == 0.0 {
        return number;
    }
    // Away from halves and whole numbers the nearest double decides, without a detour over the digits.
    if (0..=15).contains(&digits) {
        let power = 10f64.powi(digits);
        let scaled = number * power;
        let fraction = (scaled - scaled.trunc()).abs();
        let clear = (fraction - 0.5).abs() > 1e-6 && fraction > 1e-6 && fraction < 1.0 - 1e-6;
        if clear && scaled.abs() < 1e9 {
            let whole = match rounding {
                Rounding::HalfUp => scaled.round(),
                Rounding::Down => scaled.trunc(),
                Rounding::Ceiling => scaled.ceil(),
                Rounding::Floor => scaled.floor(),
                Rounding::Up => scaled.trunc() + scaled.signum(),
            };
            return whole / power;
        }
    }
    let Some(decimal) = Decimal::of_double(number) else {
        return number;
    };
    if digits >= decimal.scale {
        return number;
    }
    match decimal.rescale(digits, rounding) {
        Ok(unscaled) => Decimal::new(unscaled, digits).to_double(),
        Err(_) => number,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seeded_numbers_are_those_of_java() {
        // new java.util.Random(42).nextDouble()
        assert_eq!(java_random(42), 0.727_563_680_032_868_1);
        assert_eq!(java_random(0), 0.730_967_787_376_657);
    }

    #[test]
    fn doubles_round_as_they_print() {
        assert_eq!(round_double(2.675, 2, Rounding::HalfUp), 2.68);
        assert_eq!(round_double(-2.5, 0, Rounding::HalfUp), -3.0);
        assert_eq!(round_double(1234.5, -2, Rounding::HalfUp), 1200.0);
        assert_eq!(round_double(1e300, 2, Rounding::HalfUp), 1e300);
        assert_eq!(round_double(9.99, 1, Rounding::Down), 9.9);
        assert!(round_double(f64::NAN, 1, Rounding::HalfUp).is_nan());
    }

    proptest! {
        #[test]
        fn the_short_way_of_rounding_agrees_with_the_digits(number in -1e8f64..1e8, digits in 0i32..8) {
            let exact = Decimal::of_double(number).and_then(|decimal| {
                (digits < decimal.scale).then(|| decimal.rescale(digits, Rounding::HalfUp).ok()).flatten()
            });
            let expected = exact.map_or(number, |unscaled| Decimal::new(unscaled, digits).to_double());
            prop_assert_eq!(round_double(number, digits, Rounding::HalfUp), expected);
        }
    }
}
