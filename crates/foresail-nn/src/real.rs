//! The numbers that a net is made of: `f32`, and `f64` where gradients are checked.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// Rounds to an integer and leaves it in the low bits: 1.5 · 2²³. A cast to `i32` saturates and is
/// not vectorised.
const MAGIC: f32 = 12_582_912.0;

/// Number of a net.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + AddAssign
    + Div<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + Sub<Output = Self>
    + 'static
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// Two.
    const TWO: Self;

    /// The nearest number.
    fn of(value: f64) -> Self;

    /// The same number, wide.
    fn wide(self) -> f64;

    /// `self · factor + term`, rounded once where `FUSED` says that the instruction set can.
    fn times_plus<const FUSED: bool>(self, factor: Self, term: Self) -> Self;

    /// The exponential; `f32` limits its argument to ±80 and errs by at most 3e-7 relative.
    fn exp<const FUSED: bool>(self) -> Self;

    /// The square root.
    fn root(self) -> Self;
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const TWO: Self = 2.0;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as Self
    }

    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn times_plus<const FUSED: bool>(self, factor: Self, term: Self) -> Self {
        // Without the instruction `mul_add` is a call of the C library for each number.
        if FUSED {
            self.mul_add(factor, term)
        } else {
            self * factor + term
        }
    }

    #[inline(always)]
    fn exp<const FUSED: bool>(self) -> Self {
        let x = if self < -80.0 { -80.0 } else { self };
        let x = if x > 80.0 { 80.0 } else { x };
        let shifted = x.times_plus::<FUSED>(std::f32::consts::LOG2_E, MAGIC);
        let whole = shifted - MAGIC;
        // ln 2 in two parts, so that the rest keeps its bits.
        let rest = whole.times_plus::<FUSED>(-0.693_359_4, x);
        let rest = whole.times_plus::<FUSED>(2.121_944_4e-4, rest);
        let series = rest.times_plus::<FUSED>(1.388_888_9e-3, 8.333_333e-3);
        let series = rest.times_plus::<FUSED>(series, 4.166_666_8e-2);
        let series = rest.times_plus::<FUSED>(series, 1.666_666_7e-1);
        let series = rest.times_plus::<FUSED>(series, 0.5);
        let series = rest.times_plus::<FUSED>(series, 1.0);
        let series = rest.times_plus::<FUSED>(series, 1.0);
        let exponent = shifted.to_bits().wrapping_sub(MAGIC.to_bits());
        series * Self::from_bits(exponent.wrapping_add(127) << 23)
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const TWO: Self = 2.0;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }

    #[inline(always)]
    fn times_plus<const FUSED: bool>(self, factor: Self, term: Self) -> Self {
        self * factor + term
    }

    #[inline(always)]
    fn exp<const FUSED: bool>(self) -> Self {
        Self::exp(self)
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
}
