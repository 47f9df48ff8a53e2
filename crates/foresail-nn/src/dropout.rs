//! Dropout: numbers that are left out at random, the others scaled up.

use rand_core::Rng;

use crate::kernel::{LANES, Row};
use crate::parameter::unit;
use crate::real::Real;

/// Factors of rows: 0 where a number is left out, 1/(1 − rate) elsewhere.
///
/// Applied to a sequence, a mask of one step's rows is the same at each step (variational dropout),
/// a mask of all steps' rows is not (plain dropout).
/// Source: Gal & Ghahramani 2016, A Theoretically Grounded Application of Dropout in Recurrent
/// Neural Networks.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask<R = f32> {
    rows: Vec<Row<R>>,
}

impl<R: Real> Mask<R> {
    /// A mask of these factors.
    #[must_use]
    pub fn of(rows: Vec<Row<R>>) -> Self {
        Self { rows }
    }

    /// A mask of `rows` rows; `rate` is the share that is left out, 0 to below 1.
    pub fn draw(rows: usize, rate: f64, stream: &mut impl Rng) -> Self {
        let kept = R::of(1.0 / (1.0 - rate));
        let mut factor = || if unit(stream) < rate { R::ZERO } else { kept };
        let mut row = || std::array::from_fn::<R, LANES, _>(|_| factor());
        Self {
            rows: (0..rows).map(|_| row()).collect(),
        }
    }

    /// As [`Self::draw`] from half as many bits: a passage of many masks is bound by its stream.
    ///
    /// The share that is left out is `rate` to 2⁻³².
    pub fn draw_quickly(rows: usize, rate: f64, stream: &mut impl Rng) -> Self {
        let factors = [R::ZERO, R::of(1.0 / (1.0 - rate))];
        let below = (rate * 2_f64.powi(32)) as u32;
        // All bits of a row at once: number by number the stream's bookkeeping costs more than they do.
        let mut bytes = [0; 4 * LANES];
        let mut row = || {
            stream.fill_bytes(&mut bytes);
            let words = bytes.as_chunks::<4>().0;
            let is_kept = |lane: usize| u32::from_le_bytes(words[lane]) >= below;
            // Looked up and not branched on: no machine guesses a draw.
            std::array::from_fn::<R, LANES, _>(|lane| factors[usize::from(is_kept(lane))])
        };
        Self {
            rows: (0..rows).map(|_| row()).collect(),
        }
    }

    /// Its factors, row by row.
    #[must_use]
    pub fn rows(&self) -> &[Row<R>] {
        &self.rows
    }

    /// Multiplies rows, or gradients on their way back; the mask repeats over a longer sequence.
    pub fn apply(&self, rows: &mut [Row<R>]) {
        for (row, factors) in rows.iter_mut().zip(self.rows.iter().cycle()) {
            for l in 0..LANES {
                row[l] = row[l] * factors[l];
            }
        }
    }
}
