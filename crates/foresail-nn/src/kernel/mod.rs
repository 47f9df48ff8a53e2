//! Loops that run on the widest instruction set of the machine, found at run time.
//!
//! Samples lie side by side: a [`Row`] holds one number of [`LANES`] samples, and a matrix is a
//! slice of rows. `pulp` finds the instruction set and compiles each kernel for all that it knows
//! (SSE2, AVX2 with FMA, AVX-512). Where the set has a fused multiply-add it is used, so that two
//! machines agree to about 1e-6 relative and one machine with itself bit for bit.

pub(crate) mod compiled;
pub(crate) mod dense;
pub(crate) mod function;
pub(crate) mod norm;
pub(crate) mod product;
pub(crate) mod update;

use pulp::{Arch, Simd, WithSimd};

/// Samples that lie side by side.
pub const LANES: usize = 32;

/// One number of [`LANES`] samples.
pub type Row<R> = [R; LANES];

/// A loop that is compiled for each instruction set.
pub(crate) trait Kernel {
    /// What it gives back.
    type Output;

    /// Runs it. `FUSED`: the set has a fused multiply-add.
    ///
    /// Must be `#[inline(always)]`, and so must be all that it calls, or it is compiled for the least.
    fn run<S: Simd, const FUSED: bool>(self, simd: S) -> Self::Output;
}

struct Dispatched<K>(K);

impl<K: Kernel> WithSimd for Dispatched<K> {
    type Output = K::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> K::Output {
        if S::IS_SCALAR {
            self.0.run::<S, false>(simd)
        } else {
            self.0.run::<S, true>(simd)
        }
    }
}

/// Runs a kernel on the machine's instruction set.
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    Arch::new().dispatch(Dispatched(kernel))
}

struct Name;

impl WithSimd for Name {
    type Output = &'static str;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> &'static str {
        match (S::IS_SCALAR, S::F32_LANES) {
            (true, _) => "baseline",
            (false, 16) => "512-bit with fused multiply-add",
            (false, 8) => "256-bit with fused multiply-add",
            (false, _) => "128-bit with fused multiply-add",
        }
    }
}

/// The instruction set that kernels run on, in words for a report.
#[must_use]
pub fn instruction_set() -> &'static str {
    Arch::new().dispatch(Name)
}
