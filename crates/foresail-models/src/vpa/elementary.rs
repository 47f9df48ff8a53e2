//! Logarithm, powers of two and whole powers, alike to the last bit on every machine.
//!
//! A histogram asks on which side of a bucket's edge a value lies, and a percentile on which side of
//! a share a sum of weights lies: a last bit may move an answer by a whole bucket. The standard
//! library's functions are the machine's own, so these stand here, in the order of operations of the
//! recommender's own ones.
//! Method: fdlibm (e_log.c, e_exp.c), Sun Microsystems, 1993: reduce, then a minimax polynomial.

use std::f64::consts::FRAC_1_SQRT_2;

/// The two parts of ln 2: the first is short enough that its products with exponents are exact.
const LN2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];

/// Coefficients of the logarithm's remainder, for even powers of s = f / (2 + f).
const LOG: [f64; 7] = [
    6.666_666_666_666_735e-1,
    3.999_999_999_940_942e-1,
    2.857_142_874_366_239e-1,
    2.222_219_843_214_978_4e-1,
    1.818_357_216_161_805e-1,
    1.531_383_769_920_937_3e-1,
    1.479_819_860_511_658_6e-1,
];

/// Coefficients of the exponential's remainder, for even powers of the reduced argument.
const EXP: [f64; 5] = [
    1.666_666_666_666_666_6e-1,
    -2.777_777_777_701_559_3e-3,
    6.613_756_321_437_934e-5,
    -1.653_390_220_546_525_2e-6,
    4.138_136_797_057_238e-8,
];

/// The natural logarithm of a normal number above zero; else what the standard library answers.
#[must_use]
pub(crate) fn ln(x: f64) -> f64 {
    if !x.is_normal() || x < 0.0 {
        return x.ln();
    }
    let (mut fraction, mut exponent) = split(x);
    if fraction < FRAC_1_SQRT_2 {
        fraction *= 2.0;
        exponent -= 1;
    }
    let k = f64::from(exponent);
    let f = fraction - 1.0;
    let s = f / (2.0 + f);
    let (s2, s4) = (s * s, s * s * (s * s));
    let odd = s2 * (LOG[0] + s4 * (LOG[2] + s4 * (LOG[4] + s4 * LOG[6])));
    let even = s4 * (LOG[1] + s4 * (LOG[3] + s4 * LOG[5]));
    let half = 0.5 * f * f;
    k * LN2[0] - ((half - (s * (half + (odd + even)) + k * LN2[1])) - f)
}

/// A normal number as a fraction from one half to one and an exponent of two.
fn split(x: f64) -> (f64, i32) {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1022;
    let fraction = f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52));
    (fraction, exponent)
}

/// Two to the power of `x`; infinite above 1024, zero below −1074.
#[must_use]
pub(crate) fn exp2(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x > 1.023_999_999_999_999_9e3 {
        return f64::INFINITY;
    }
    if x < -1.0740e3 {
        return 0.0;
    }
    let k = (x + if x < 0.0 { -0.5 } else { 0.5 }) as i32;
    let t = x - f64::from(k);
    let (high, low) = (t * LN2[0], -t * LN2[1]);
    let r = high - low;
    let r2 = r * r;
    let c = r - r2 * (EXP[0] + r2 * (EXP[1] + r2 * (EXP[2] + r2 * (EXP[3] + r2 * EXP[4]))));
    let y = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
    scaled(y, i64::from(k))
}

/// `fraction` times two to the power of `exponent`, rounded once; for a fraction near one.
#[must_use]
pub(crate) fn scaled(fraction: f64, exponent: i64) -> f64 {
    let power = |k: i64| f64::from_bits(((k + 1023) as u64) << 52);
    match exponent {
        1024.. => fraction * power(1023) * power((exponent - 1023).min(1023)),
        -1022..=1023 => fraction * power(exponent),
        // Through the normal numbers: the last product is the only one that rounds.
        -1080..=-1023 => fraction * power(exponent + 53) * power(-53),
        _ => 0.0,
    }
}

/// `x` to a whole power, by squaring from the lowest bit on.
#[must_use]
pub(crate) fn whole_power(x: f64, n: i32) -> f64 {
    let (mut square, mut left, mut product) = (x, n.unsigned_abs(), 1.0);
    while left != 0 {
        if left & 1 == 1 {
            product *= square;
        }
        square *= square;
        left >>= 1;
    }
    if n < 0 { 1.0 / product } else { product }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units in the last place between two numbers of one sign.
    fn apart(a: f64, b: f64) -> u64 {
        a.to_bits().abs_diff(b.to_bits())
    }

    #[test]
    fn the_functions_are_within_a_last_bit_of_the_standard_librarys() {
        for i in 1..20_000_u32 {
            let x = f64::from(i) * 0.731;
            assert!(apart(ln(1.0 + x), (1.0 + x).ln()) <= 1, "ln {x}");
            let exponent = f64::from(i) * 0.0937 - 900.0;
            assert!(apart(exp2(exponent), exponent.exp2()) <= 1, "2^{exponent}");
            assert!(
                apart(
                    scaled(0.75, i64::from(i % 2000) - 1000),
                    0.75 * 2_f64.powi((i % 2000) as i32 - 1000)
                ) == 0
            );
        }
        assert_eq!(exp2(-1073.6).to_bits(), 1, "the least number above zero");
        assert_eq!((exp2(-1080.0), exp2(2000.0)), (0.0, f64::INFINITY));
        assert!(ln(-1.0).is_nan() && ln(0.0) == f64::NEG_INFINITY);
    }

    #[test]
    fn whole_powers_are_exact_where_the_answer_is() {
        assert_eq!((whole_power(3.0, 5), whole_power(2.0, -3)), (243.0, 0.125));
        assert_eq!(
            (whole_power(f64::INFINITY, -2), whole_power(7.0, 0)),
            (0.0, 1.0)
        );
        assert!(whole_power(f64::INFINITY, 1).is_infinite());
    }
}
