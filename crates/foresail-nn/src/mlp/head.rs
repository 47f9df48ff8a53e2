//! What stands on the last layer of a net.

use serde::{Deserialize, Serialize};

use pulp::Simd;

use crate::kernel::function::tanh;
use crate::kernel::{Kernel, LANES, Row};
use crate::real::Real;

/// A function of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// The answer as it is.
    None,
    /// The hyperbolic tangent of each number.
    Tanh,
    /// Shares that add up to one in each group of `group` numbers.
    Softmax {
        /// Numbers of a group; the answer is whole groups.
        group: usize,
    },
}

impl Head {
    /// Puts the function's value in place of each number; `out` is tiles of `width` rows.
    pub(super) fn forward<R: Real>(self, out: &mut [Row<R>], width: usize) {
        if self != Self::None {
            R::head(HeadForward {
                head: self,
                out,
                width,
            });
        }
    }

    /// From the gradient of the answer to that of the last layer's, in place.
    pub(super) fn backward<R: Real>(
        self,
        out: &[Row<R>],
        width: usize,
        (gradient, stride): (&mut [Row<R>], usize),
    ) {
        let tiles = out.chunks_exact(width);
        for (out, gradient) in tiles.zip(gradient.chunks_exact_mut(stride)) {
            let gradient = &mut gradient[..width];
            match self {
                Self::None => {}
                Self::Tanh => through_tanh(out, gradient),
                Self::Softmax { group } => {
                    let groups = out.chunks_exact(group);
                    for (out, gradient) in groups.zip(gradient.chunks_exact_mut(group)) {
                        through_softmax(out, gradient);
                    }
                }
            }
        }
    }
}

fn through_tanh<R: Real>(out: &[Row<R>], gradient: &mut [Row<R>]) {
    for (out, gradient) in out.iter().zip(gradient) {
        for l in 0..LANES {
            gradient[l] = gradient[l] * (R::ONE - out[l] * out[l]);
        }
    }
}

fn through_softmax<R: Real>(out: &[Row<R>], gradient: &mut [Row<R>]) {
    let mut mean = [R::ZERO; LANES];
    for (out, gradient) in out.iter().zip(&*gradient) {
        for l in 0..LANES {
            mean[l] += out[l] * gradient[l];
        }
    }
    for (out, gradient) in out.iter().zip(gradient) {
        for l in 0..LANES {
            gradient[l] = out[l] * (gradient[l] - mean[l]);
        }
    }
}

/// A head's forward pass.
#[derive(Debug)]
pub struct HeadForward<'a, R> {
    head: Head,
    out: &'a mut [Row<R>],
    width: usize,
}

impl<R: Real> Kernel for HeadForward<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _simd: S) {
        match self.head {
            Head::None => {}
            Head::Tanh => {
                for row in self.out {
                    for number in row {
                        *number = tanh::<R, FUSED>(*number);
                    }
                }
            }
            Head::Softmax { group } => {
                for tile in self.out.chunks_exact_mut(self.width) {
                    for rows in tile.chunks_exact_mut(group) {
                        softmax::<R, FUSED>(rows);
                    }
                }
            }
        }
    }
}

/// e^x over the sum of them; the greatest is taken off first, so that nothing overflows.
#[inline(always)]
fn softmax<R: Real, const FUSED: bool>(rows: &mut [Row<R>]) {
    let mut most = rows[0];
    for row in rows.iter() {
        for l in 0..LANES {
            most[l] = if row[l] > most[l] { row[l] } else { most[l] };
        }
    }
    let mut sum = [R::ZERO; LANES];
    for row in rows.iter_mut() {
        for l in 0..LANES {
            row[l] = (row[l] - most[l]).exp::<FUSED>();
            sum[l] += row[l];
        }
    }
    for row in rows {
        for l in 0..LANES {
            row[l] = row[l] / sum[l];
        }
    }
}
