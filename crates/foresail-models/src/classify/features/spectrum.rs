//! The spectrum of a window's deviations from its mean.
//!
//! A window of sixty goes through a table folded twice, every other length through a library.

use std::sync::LazyLock;

use realfft::RealFftPlanner;
use realfft::num_complex::Complex64;

use crate::classify::WINDOW;

/// Frequencies of a window of sixty, from none to half a turn a step.
const BINS: usize = WINDOW / 2 + 1;

/// Frequencies up to a quarter turn; the others follow by symmetry.
const QUARTER: usize = WINDOW / 4 + 1;

/// Real and imaginary parts by frequency.
pub(super) type Parts = ([f64; BINS], [f64; BINS]);

/// Cosine and sine of `t * k` sixtieths of a turn, by `t` and `k`.
struct Turns {
    cos: [[f64; QUARTER]; BINS],
    sin: [[f64; QUARTER]; BINS],
}

static TURNS: LazyLock<Turns> = LazyLock::new(|| {
    let angle = |t: usize, k: usize| {
        let turns = (t * k % WINDOW) as f64 / WINDOW as f64;
        std::f64::consts::TAU * turns
    };
    Turns {
        cos: std::array::from_fn(|t| std::array::from_fn(|k| angle(t, k).cos())),
        sin: std::array::from_fn(|t| std::array::from_fn(|k| angle(t, k).sin())),
    }
});

/// The discrete Fourier transform of sixty real values.
///
/// `x(t)` and `x(60 - t)` share a cosine and, but for the sign, a sine; so do frequencies `k` and
/// `30 - k`, where the sign turns with every step: even and odd steps are summed apart.
pub(super) fn of_sixty(x: &[f64; WINDOW]) -> Parts {
    let turns = &*TURNS;
    // By parity of the step: cosine and sine sums of each frequency up to a quarter.
    let mut cos = [[0.0; QUARTER]; 2];
    let mut sin = [[0.0; QUARTER]; 2];
    for t in 0..BINS {
        let mirror = (WINDOW - t) % WINDOW;
        let (even, odd) = if t == mirror {
            (x[t], 0.0)
        } else {
            (x[t] + x[mirror], x[t] - x[mirror])
        };
        let (cos, sin) = (&mut cos[t % 2], &mut sin[t % 2]);
        for k in 0..QUARTER {
            cos[k] += even * turns.cos[t][k];
            sin[k] += odd * turns.sin[t][k];
        }
    }
    let (mut re, mut im) = ([0.0; BINS], [0.0; BINS]);
    for k in 0..QUARTER {
        re[BINS - 1 - k] = cos[0][k] - cos[1][k];
        im[BINS - 1 - k] = sin[0][k] - sin[1][k];
        re[k] = cos[0][k] + cos[1][k];
        im[k] = -sin[0][k] - sin[1][k];
    }
    (re, im)
}

/// The discrete Fourier transform of any number of real values, to half a turn a step.
pub(super) fn of_any(x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let mut values = x.to_vec();
    let plan = RealFftPlanner::new().plan_fft_forward(values.len());
    let mut bins = vec![Complex64::default(); values.len() / 2 + 1];
    // The lengths are those of the plan: it has nothing to refuse.
    if plan.process(&mut values, &mut bins).is_err() {
        return (Vec::new(), Vec::new());
    }
    bins.into_iter().map(|c| (c.re, c.im)).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_and_the_library_give_one_spectrum() {
        let x: [f64; WINDOW] = std::array::from_fn(|t| ((t * t * 7 + 3 * t) % 31) as f64 - 11.0);
        let (re, im) = of_sixty(&x);
        let (re_library, im_library) = of_any(&x);
        for k in 0..BINS {
            let off = (re[k] - re_library[k]).abs() + (im[k] - im_library[k]).abs();
            assert!(off < 1e-11, "{k}: {off:e}");
        }
    }
}
