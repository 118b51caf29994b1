//! Exact decimal numbers: an integer and how many of its digits stand after the point.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `unscaled × 10^-scale`, at most 38 digits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Decimal {
    unscaled: i128,
    scale: u8,
}

/// The text or number is no decimal, or does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    #[error("not a decimal number")]
    Malformed,
    #[error("more than 38 digits")]
    TooManyDigits,
    #[error("more than {scale} digits after the point")]
    ScaleTooSmall { scale: u8 },
    #[error("does not fit into {precision} digits with {scale} after the point")]
    OutOfRange { precision: u8, scale: u8 },
}

impl Decimal {
    /// Digits that 128 bits always hold.
    pub const PRECISION_MAX: u8 = 38;

    /// `None` if either part is out of range.
    #[must_use]
    pub fn new(unscaled: i128, scale: u8) -> Option<Self> {
        (scale <= Self::PRECISION_MAX && unscaled.unsigned_abs() < 10_u128.pow(38))
            .then_some(Self { unscaled, scale })
    }

    #[must_use]
    pub const fn unscaled(self) -> i128 {
        self.unscaled
    }

    #[must_use]
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// The same number with exactly `scale` digits after the point, if it fits into `precision` digits. Never rounds:
    /// digits other than zero that would be lost are an error.
    pub fn rescale(self, precision: u8, scale: u8) -> Result<Self, DecimalError> {
        let out_of_range = DecimalError::OutOfRange { precision, scale };
        let unscaled = if scale >= self.scale {
            let factor = 10_i128
                .checked_pow(u32::from(scale - self.scale))
                .ok_or(out_of_range)?;
            self.unscaled.checked_mul(factor).ok_or(out_of_range)?
        } else {
            let divisor = 10_i128
                .checked_pow(u32::from(self.scale - scale))
                .ok_or(out_of_range)?;
            if self.unscaled % divisor != 0 {
                return Err(DecimalError::ScaleTooSmall { scale });
            }
            self.unscaled / divisor
        };
        if precision <= Self::PRECISION_MAX
            && unscaled.unsigned_abs() < 10_u128.pow(u32::from(precision))
        {
            Ok(Self { unscaled, scale })
        } else {
            Err(out_of_range)
        }
    }

    /// Order of the numbers, whatever their scales.
    #[must_use]
    pub fn compare(self, other: Self) -> Ordering {
        if self.scale == other.scale {
            return self.unscaled.cmp(&other.unscaled);
        }
        let parts = |d: Self| {
            let unit = 10_i128.pow(u32::from(d.scale));
            (
                d.unscaled.div_euclid(unit),
                d.unscaled.rem_euclid(unit),
                d.scale,
            )
        };
        let ((whole_a, rest_a, scale_a), (whole_b, rest_b, scale_b)) = (parts(self), parts(other));
        // Both rests are fractions in [0, 1): widened to the larger scale they stay below 10^38.
        let scale = scale_a.max(scale_b);
        let widen = |rest: i128, from: u8| rest * 10_i128.pow(u32::from(scale - from));
        whole_a
            .cmp(&whole_b)
            .then_with(|| widen(rest_a, scale_a).cmp(&widen(rest_b, scale_b)))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.compare(*other).is_eq()
    }
}
impl Eq for Decimal {}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self {
            unscaled: i128::from(number),
            scale: 0,
        }
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Reads `[+-]digits[.digits][e[+-]digits]`.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (
                &text[..at],
                text[at + 1..]
                    .parse::<i32>()
                    .map_err(|_| DecimalError::Malformed)?,
            ),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.as_bytes().first() {
            Some(b'-') => (true, &mantissa[1..]),
            Some(b'+') => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(DecimalError::Malformed);
        }
        let mut unscaled: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            if !digit.is_ascii_digit() {
                return Err(DecimalError::Malformed);
            }
            unscaled = unscaled
                .checked_mul(10)
                .and_then(|n| n.checked_add(i128::from(digit - b'0')))
                .ok_or(DecimalError::TooManyDigits)?;
        }
        let fraction_digits =
            i32::try_from(fraction.len()).map_err(|_| DecimalError::TooManyDigits)?;
        let mut scale = fraction_digits
            .checked_sub(exponent)
            .ok_or(DecimalError::TooManyDigits)?;
        while scale < 0 && unscaled != 0 {
            unscaled = unscaled
                .checked_mul(10)
                .ok_or(DecimalError::TooManyDigits)?;
            scale += 1;
        }
        while scale > i32::from(Self::PRECISION_MAX) && unscaled % 10 == 0 && unscaled != 0 {
            unscaled /= 10;
            scale -= 1;
        }
        if unscaled == 0 {
            scale = scale.clamp(0, i32::from(Self::PRECISION_MAX));
        }
        let scale = u8::try_from(scale).map_err(|_| DecimalError::TooManyDigits)?;
        Self::new(if negative { -unscaled } else { unscaled }, scale)
            .ok_or(DecimalError::TooManyDigits)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.unscaled < 0 { "-" } else { "" };
        let digits = self.unscaled.unsigned_abs();
        if self.scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let unit = 10_u128.pow(u32::from(self.scale));
        write!(
            f,
            "{sign}{}.{:0width$}",
            digits / unit,
            digits % unit,
            width = usize::from(self.scale)
        )
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(*other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn check(text: &str, shown: &str) {
        assert_eq!(
            text.parse::<Decimal>().map(|d| d.to_string()).as_deref(),
            Ok(shown),
            "{text}"
        );
    }

    #[test]
    fn text_round_trips_exactly() {
        check("12.50", "12.50");
        check("-0.01", "-0.01");
        check("1e3", "1000");
        check("1.5e-3", "0.0015");
        check(".5", "0.5");
        check(
            "99999999999999999999999999999999999999",
            "99999999999999999999999999999999999999",
        );
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in [
            "",
            ".",
            "-",
            "1.2.3",
            "abc",
            "1e",
            "1e999999999999",
            "--1",
            "100000000000000000000000000000000000000",
        ] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn rescaling_never_rounds() {
        let price: Decimal = "12.50".parse().unwrap();
        assert_eq!(price.rescale(10, 1).unwrap().to_string(), "12.5");
        assert_eq!(
            price.rescale(10, 0),
            Err(DecimalError::ScaleTooSmall { scale: 0 })
        );
        assert_eq!(
            price.rescale(3, 2),
            Err(DecimalError::OutOfRange {
                precision: 3,
                scale: 2
            })
        );
    }

    #[test]
    fn order_ignores_the_scale() {
        let d = |text: &str| text.parse::<Decimal>().unwrap();
        assert_eq!(d("1.0"), d("1"));
        assert!(d("-1.5") < d("-1.25") && d("2") > d("1.99999999999999999999"));
    }
}
