//! How far the future may be off: bends still to come, and noise.
//!
//! Prophet's simulation: at each step ahead the trend bends with probability p by a Laplace number
//! of scale b, half of it at once and half with the next step, so that a bend `d` steps back has
//! moved the trend by `(d + ½)·b·Δt`; then noise. [`draws`] simulates it. For a trend that is not
//! logistic, [`Spread`] gives the quantiles that infinitely many draws would have: the sum has the
//! characteristic function
//!
//! `φ(u) = exp(−σ²u²/2)·Π_{d<h} (1 − p + p/(1 + (b·Δt·(d + ½)·u)²))`,
//!
//! real and even, inverted by the midpoint rule. For small p the product is a closed form in h
//! (below), so that a step ahead costs the same however far it is.
//! Source: facebook/prophet 1.5.0: python/prophet/forecaster.py (`_sample_uncertainty`,
//! `_make_trend_shift_matrix`); inversion: Gil-Pelaez 1951; Davies 1973 for the midpoint rule.

use foresail_core::quantity::units::larger;
use rand_chacha::rand_core::Rng;

use super::model::{Model, Prediction, Rows};
use super::trend::{Growth, logistic};
use crate::normal::standard_normal;
use crate::rng::uniform;

/// Added to the mean |δ|, so that a trend without bends has a scale; Prophet's.
const BEND_MIN: f64 = 1e-8;

/// Probability of a bend below which two terms of the logarithm's series are exact to 4e-5.
const PROBABILITY_SMALL: f64 = 0.05;

/// Steps for which the product is taken as it stands, whatever the probability.
const STEPS_EXACT: usize = 8;

/// The most frequencies of an inversion.
const FREQUENCIES_MAX: usize = 4096;

/// Where the characteristic function counts as gone.
const GONE: f64 = 1e-9;

/// The spread of one step ahead, in units of demand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    /// Probability that the trend bends at a step.
    pub(super) probability: f64,
    /// Scale of a bend's effect one step on.
    pub(super) bend: f64,
    /// Standard deviation of the noise.
    pub(super) noise: f64,
}

/// Frequencies with the characteristic function there, and how far the distribution reaches.
struct Inversion {
    spacing: f64,
    values: Vec<f64>,
    reach: f64,
}

impl Spread {
    /// Logarithm of the bends' characteristic function `steps` ahead.
    fn bends(&self, steps: usize, u: f64) -> f64 {
        let (p, c) = (self.probability, self.bend * u);
        if p >= PROBABILITY_SMALL || steps <= STEPS_EXACT {
            let mut product = 1.0;
            for d in 0..steps {
                let x = c * (d as f64 + 0.5);
                product *= 1.0 - p + p / (1.0 + x * x);
            }
            return product.ln();
        }
        // Σ z and Σ z² with z = x²/(1 + x²), the sums as integrals by the midpoint rule.
        let h = steps as f64;
        let x = c * h;
        let turned = x.atan() / c;
        let once = h - turned;
        let twice = h - 2.0 * turned + 0.5 * (turned + h / (1.0 + x * x));
        -p * once - 0.5 * p * p * twice
    }

    /// Variance of the bends `steps` ahead.
    fn variance(&self, steps: usize) -> f64 {
        let h = steps as f64;
        // Σ (d + ½)² = h³/3 − h/12.
        2.0 * self.probability * self.bend * self.bend * (h * h * h / 3.0 - h / 12.0)
    }

    fn inversion(&self, steps: usize) -> Inversion {
        let variance = self.variance(steps) + self.noise * self.noise;
        // The tail of one bend is that of the Laplace distribution, thinner the rarer a bend is.
        let rare = (self.probability * steps as f64 * 1e6).ln_1p();
        let reach = 7.0 * variance.sqrt() + rare * self.bend * steps as f64;
        let at = |u: f64| (-0.5 * (self.noise * u).powi(2) + self.bends(steps, u)).exp();
        let mut last = 6.5 / larger(self.noise, reach / 2000.0);
        while at(0.5 * last) < GONE {
            last *= 0.5;
        }
        let spacing = std::f64::consts::PI / reach;
        let count = ((last / spacing).ceil() as usize).clamp(8, FREQUENCIES_MAX);
        let values = (0..count).map(|k| at((k as f64 + 0.5) * spacing)).collect();
        Inversion {
            spacing,
            values,
            reach,
        }
    }

    /// The quantiles at levels above one half, `steps` ahead; those below mirror them.
    ///
    /// `out` holds what to begin the search with, and then the answers.
    pub(super) fn quantiles(&self, steps: usize, upper: &[f64], out: &mut [f64]) {
        if self.growth_free() {
            for (level, q) in upper.iter().zip(out) {
                *q = self.noise * crate::forecast::quantile::normal_quantile(*level);
            }
            return;
        }
        let inversion = self.inversion(steps);
        for (level, q) in upper.iter().zip(out) {
            *q = inversion.quantile(*level, *q);
        }
    }

    /// `true` where no bend can move anything.
    fn growth_free(&self) -> bool {
        self.bend <= 0.0 || self.probability <= 0.0
    }
}

impl Inversion {
    /// Probability up to `q` and density there.
    fn at(&self, q: f64) -> (f64, f64) {
        let (s1, c1) = (self.spacing * q).sin_cos();
        let (mut s, mut c) = (0.5 * self.spacing * q).sin_cos();
        let (mut below, mut density) = (0.0, 0.0);
        for (k, value) in self.values.iter().enumerate() {
            below += value * s / (k as f64 + 0.5);
            density += value * c;
            (s, c) = (s * c1 + c * s1, c * c1 - s * s1);
        }
        let pi = std::f64::consts::PI;
        (0.5 + below / pi, density * self.spacing / pi)
    }

    /// Newton's steps within a bracket that shrinks; the middle is zero, since all is even.
    fn quantile(&self, level: f64, begin: f64) -> f64 {
        if level <= 0.5 {
            return 0.0;
        }
        let (mut low, mut high) = (0.0, self.reach);
        let inside = begin > low && begin < high;
        let mut q = if inside { begin } else { 0.1 * high };
        for _ in 0..60 {
            let (probability, density) = self.at(q);
            let error = probability - level;
            if error > 0.0 {
                high = q;
            } else {
                low = q;
            }
            let next = q - error / density;
            // A step that leaves the bracket is halved into it; a probability is told to 1e-7.
            let lands = density > 0.0 && next > low && next < high;
            if error.abs() < 1e-7 {
                return if lands { next } else { q };
            }
            q = if lands { next } else { 0.5 * (low + high) };
        }
        q
    }
}

impl Model {
    /// Probability of a bend at a step of scaled length `spacing`, and the scale of a bend.
    pub(super) fn bends_to_come(&self, spacing: f64) -> (f64, f64) {
        // Without changepoints Prophet keeps one that does nothing.
        let count = self.bends.len().max(1) as f64;
        let sum: f64 = self.parameters.delta.iter().map(|d| d.abs()).sum();
        (count * spacing, sum / count + BEND_MIN)
    }

    /// The spread of a row that moves by `unit` of demand when the argument moves by one.
    pub(super) fn spread(&self, spacing: f64, unit: f64) -> Spread {
        let (probability, scale) = self.bends_to_come(spacing);
        Spread {
            probability: if probability < 1.0 { probability } else { 1.0 },
            bend: scale * spacing * unit,
            noise: self.parameters.sigma * self.scale,
        }
    }

    /// Futures drawn by Prophet's vectorised rule, row by row, draw by draw.
    ///
    /// Rows up to the end of the history have noise alone. Shapes: rows × `count`.
    /// Units: those of demand.
    pub fn draws(&self, rows: &Rows<'_>, count: usize, stream: &mut impl Rng) -> Vec<f64> {
        let told = self.predict(rows);
        let first = rows.times.partition_point(|t| *t <= self.last);
        let mut out = vec![0.0; rows.times.len() * count];
        if self.growth != Growth::Flat && first < rows.times.len() {
            self.bend(rows, first, (count, &mut out[first * count..]), stream);
        }
        if self.growth == Growth::Logistic {
            self.saturate(rows, first, (count, &mut out[first * count..]), &told);
        } else {
            out.iter_mut().for_each(|v| *v *= self.scale);
        }
        let noise = self.parameters.sigma * self.scale;
        for (row, line) in out.chunks_exact_mut(count).enumerate() {
            let (mean, factor) = (told.yhat[row], 1.0 + told.factor[row]);
            for value in line {
                *value = mean + *value * factor + noise * standard_normal(stream);
            }
        }
        out
    }

    /// How far the trend's argument has been moved by bends: twice summed, sparse.
    fn bend(
        &self,
        rows: &Rows<'_>,
        first: usize,
        (count, out): (usize, &mut [f64]),
        stream: &mut impl Rng,
    ) {
        let times = &rows.times[first..];
        let t = |i: usize| self.scaled_time(times[i]);
        let spacing = match times.len() {
            1 => self.spacing,
            n => (t(n - 1) - t(0)) / (n - 1) as f64,
        };
        let (p, scale) = self.bends_to_come(spacing);
        let bends = sparse(times.len(), count, p, stream);
        let (mut rate, mut shift) = (vec![0.0; count], vec![0.0; count]);
        let mut late: Vec<(usize, f64)> = Vec::new();
        let mut ahead = bends.into_iter().peekable();
        for (step, line) in out.chunks_exact_mut(count).enumerate() {
            // Half of a bend comes at once, the other half with the next step.
            late.drain(..).for_each(|(draw, half)| rate[draw] += half);
            while let Some((_, draw, size)) = ahead.next_if(|bend| bend.0 == step) {
                let half = 0.5 * scale * spacing * size;
                rate[draw] += half;
                late.push((draw, half));
            }
            for ((value, shift), rate) in line.iter_mut().zip(&mut shift).zip(&rate) {
                *shift += rate;
                *value = *shift;
            }
        }
    }

    /// From moved arguments to moved trends, each step's mean taken out, as Prophet does.
    fn saturate(
        &self,
        rows: &Rows<'_>,
        first: usize,
        (count, out): (usize, &mut [f64]),
        told: &Prediction,
    ) {
        let pieces = self.pieces();
        for (i, line) in out.chunks_exact_mut(count).enumerate() {
            let row = first + i;
            let a = self.argument(self.scaled_time(rows.times[row]), &pieces);
            let room = (told.trend[row] - self.floor_at(rows, row)) / logistic(a);
            let mut sum = 0.0;
            for value in line.iter_mut() {
                *value = room * logistic(a + *value);
                sum += *value;
            }
            let mean = sum / count as f64;
            line.iter_mut().for_each(|v| *v -= mean);
        }
    }
}

/// Bends of all draws as (step, draw, size), by step.
///
/// Steps to the next bend are geometric: one number for each bend, not for each step.
fn sparse(
    steps: usize,
    count: usize,
    probability: f64,
    stream: &mut impl Rng,
) -> Vec<(usize, usize, f64)> {
    let mut bends = Vec::new();
    for draw in 0..count {
        let mut step = gap(probability, stream);
        while step < steps {
            bends.push((step, draw, laplace(stream)));
            step += 1 + gap(probability, stream);
        }
    }
    bends.sort_by_key(|bend| (bend.0, bend.1));
    bends
}

/// Steps without a bend before the next one.
fn gap(probability: f64, stream: &mut impl Rng) -> usize {
    if probability >= 1.0 {
        return 0;
    }
    let steps = (1.0 - uniform(stream)).ln() / (-probability).ln_1p();
    if steps < 1e9 {
        steps as usize
    } else {
        usize::MAX / 2
    }
}

/// A number of the Laplace distribution of scale 1.
fn laplace(stream: &mut impl Rng) -> f64 {
    let size = -(1.0 - uniform(stream)).ln();
    if stream.next_u64() >> 63 == 0 {
        size
    } else {
        -size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::quantile::of_sorted;
    use crate::rng::{Seed, child};

    /// Deviations by the rule itself, step by step.
    fn simulated(spread: Spread, steps: usize, count: usize) -> Vec<f64> {
        let mut stream = child(Seed(5), "spread test");
        let mut all: Vec<f64> = (0..count)
            .map(|_| {
                let mut sum = spread.noise * standard_normal(&mut stream);
                for d in 0..steps {
                    if uniform(&mut stream) < spread.probability {
                        sum += spread.bend * (d as f64 + 0.5) * laplace(&mut stream);
                    }
                }
                sum
            })
            .collect();
        all.sort_by(f64::total_cmp);
        all
    }

    #[test]
    fn inverted_quantiles_are_those_of_many_draws() {
        let spread = |probability, bend, noise| Spread {
            probability,
            bend,
            noise,
        };
        let cases = [
            (spread(0.001, 0.05, 1.0), 60),
            (spread(0.01, 0.3, 1.0), 200),
            (spread(0.3, 0.4, 1.0), 12),
            (spread(0.04, 2.0, 0.5), 30),
            (spread(0.01, 1.0, 1.0), 3),
        ];
        for (spread, steps) in cases {
            let draws = simulated(spread, steps, 200_000);
            let levels = [0.6, 0.75, 0.9, 0.975];
            let mut found = [0.0; 4];
            spread.quantiles(steps, &levels, &mut found);
            for (level, q) in levels.iter().zip(found) {
                let below = draws.partition_point(|v| *v <= q) as f64 / draws.len() as f64;
                // Four standard errors of a share over 200,000 draws.
                let slack = 4.0 * (level * (1.0 - level) / 200_000.0_f64).sqrt();
                let wanted = of_sorted(&draws, *level);
                assert!(
                    (below - level).abs() < slack,
                    "{spread:?} {steps} {level}: {q} {wanted} {below}"
                );
            }
        }
    }
}
