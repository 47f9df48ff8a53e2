//! The numbers that a net is made of: `f32`, and `f64` where gradients are checked.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use pulp::Simd;

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

    /// Numbers of one register.
    type Vector<S: Simd>: Copy;

    /// Numbers of one register, counted.
    fn lanes<S: Simd>() -> usize;

    /// The same number in each place of a register.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;

    /// Numbers as registers; what does not fill one is left out.
    fn vectors<S: Simd>(numbers: &[Self]) -> &[Self::Vector<S>];

    /// Numbers as registers, to be changed; what does not fill one is left out.
    fn vectors_mut<S: Simd>(numbers: &mut [Self]) -> &mut [Self::Vector<S>];

    /// a · b + c, place by place.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;

    /// a + b, place by place.
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

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

    type Vector<S: Simd> = S::f32s;

    #[inline(always)]
    fn lanes<S: Simd>() -> usize {
        S::F32_LANES
    }

    #[inline(always)]
    fn splat<S: Simd>(simd: S, value: Self) -> S::f32s {
        simd.splat_f32s(value)
    }

    #[inline(always)]
    fn vectors<S: Simd>(numbers: &[Self]) -> &[S::f32s] {
        S::as_simd_f32s(numbers).0
    }

    #[inline(always)]
    fn vectors_mut<S: Simd>(numbers: &mut [Self]) -> &mut [S::f32s] {
        S::as_mut_simd_f32s(numbers).0
    }

    #[inline(always)]
    fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        simd.mul_add_e_f32s(a, b, c)
    }

    #[inline(always)]
    fn plus<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
        simd.add_f32s(a, b)
    }

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

    type Vector<S: Simd> = S::f64s;

    #[inline(always)]
    fn lanes<S: Simd>() -> usize {
        S::F64_LANES
    }

    #[inline(always)]
    fn splat<S: Simd>(simd: S, value: Self) -> S::f64s {
        simd.splat_f64s(value)
    }

    #[inline(always)]
    fn vectors<S: Simd>(numbers: &[Self]) -> &[S::f64s] {
        S::as_simd_f64s(numbers).0
    }

    #[inline(always)]
    fn vectors_mut<S: Simd>(numbers: &mut [Self]) -> &mut [S::f64s] {
        S::as_mut_simd_f64s(numbers).0
    }

    #[inline(always)]
    fn multiply_add<S: Simd>(simd: S, a: S::f64s, b: S::f64s, c: S::f64s) -> S::f64s {
        simd.mul_add_e_f64s(a, b, c)
    }

    #[inline(always)]
    fn plus<S: Simd>(simd: S, a: S::f64s, b: S::f64s) -> S::f64s {
        simd.add_f64s(a, b)
    }

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
