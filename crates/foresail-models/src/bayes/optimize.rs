//! The maximum of an acquisition over the unit box, from several beginnings.

use foresail_core::quantity::units::{larger, smaller};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::acquisition::Acquisition;
use super::sobol::scrambled;
use crate::optim::lbfgs::{Limits, minimise};
use crate::rng::{normal, uniform};

/// How far one search goes. The logarithm of the value is searched, so that a decrease of 1e-4 is a
/// hundredth of a percent of it; the paper's code allows 200 steps.
const LIMITS: Limits = Limits {
    memory: 10,
    steps: 200,
    tolerance: 1e-4,
    reach: 0.5,
};

/// What is added to a value before its logarithm is taken.
const LEAST: f64 = 1e-12;

/// Standard deviation, in boxes, of beginnings around points that are known to be good.
const AROUND: f64 = 0.1;

/// How much the maximum is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Points that are looked at before.
    pub raw: usize,
    /// Searches, each from another of them.
    pub restarts: usize,
}

/// Candidates with the value of the acquisition for all of them together.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Shape `[q][dimensions]`.
    pub points: Vec<Vec<f64>>,
    /// The acquisition's value.
    pub value: f64,
}

/// The best candidates found.
///
/// Half of the raw points are spread over the box, half around `good` ones (where there are any):
/// the region that improves on a good point is small, and a search that begins outside of it has no
/// slope to follow. The same stream gives the same candidates, on any number of threads.
#[must_use]
pub fn maximise(
    acquisition: &Acquisition,
    good: &[Vec<f64>],
    effort: Effort,
    stream: &mut ChaCha8Rng,
) -> Found {
    let raw = raw_points(acquisition, good, effort.raw, stream);
    let worth = |point: &Vec<f64>| {
        let mut gradient = vec![0.0; point.len()];
        acquisition.value(point, &mut gradient)
    };
    let values: Vec<f64> = raw.par_iter().map(worth).collect();
    let chosen = beginnings(&values, effort.restarts, stream);
    let searched: Vec<(f64, Vec<f64>)> = chosen
        .par_iter()
        .map(|place| climb(acquisition, &raw[*place]))
        .collect();
    let mut best = (f64::NEG_INFINITY, &raw[0]);
    for (value, points) in &searched {
        if *value > best.0 {
            best = (*value, points);
        }
    }
    Found {
        points: best
            .1
            .chunks_exact(acquisition.dimensions())
            .map(<[f64]>::to_vec)
            .collect(),
        value: best.0,
    }
}

/// Joint points of all candidates; shape `[count][q · dimensions]`.
fn raw_points(
    acquisition: &Acquisition,
    good: &[Vec<f64>],
    count: usize,
    stream: &mut ChaCha8Rng,
) -> Vec<Vec<f64>> {
    let (q, d) = (acquisition.batch(), acquisition.dimensions());
    let near = if good.is_empty() { 0 } else { count / 2 };
    let mut points = scrambled(count - near, q * d, stream);
    for _ in 0..near {
        let mut point = Vec::with_capacity(q * d);
        for _ in 0..q {
            let centre = &good[(uniform(stream) * good.len() as f64) as usize];
            point.extend(centre.iter().map(|x| fold(x + AROUND * normal(stream))));
        }
        points.push(point);
    }
    points
}

/// A coordinate that has left the box comes back as from a mirror.
fn fold(x: f64) -> f64 {
    let turned = x.rem_euclid(2.0);
    if turned > 1.0 { 2.0 - turned } else { turned }
}

/// Which raw points are searched from: the best, and others by chance, the better the likelier.
///
/// Source: `initialize_q_batch` of BoTorch: weights `exp((value − mean) / standard deviation)`.
fn beginnings(values: &[f64], count: usize, stream: &mut ChaCha8Rng) -> Vec<usize> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    let deviation = larger(variance.sqrt(), f64::MIN_POSITIVE);
    let mut weights: Vec<f64> = values
        .iter()
        .map(|v| ((v - mean) / deviation).exp())
        .collect();
    let best = (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut chosen: Vec<usize> = best.into_iter().collect();
    while chosen.len() < count.min(values.len()) {
        for place in &chosen {
            weights[*place] = 0.0;
        }
        let mut left = uniform(stream) * weights.iter().sum::<f64>();
        let mut open = (0..weights.len()).filter(|place| !chosen.contains(place));
        let place = open.find(|place| {
            left -= weights[*place];
            left < 0.0
        });
        let rest = || (0..weights.len()).find(|place| !chosen.contains(place));
        match place.or_else(rest) {
            Some(place) => chosen.push(place),
            None => break,
        }
    }
    chosen
}

/// One search: `x = (1 − cos t) / 2` keeps every coordinate in the box, smoothly.
fn climb(acquisition: &Acquisition, from: &[f64]) -> (f64, Vec<f64>) {
    let inner = |x: &f64| larger(0.005, smaller(*x, 0.995));
    let mut angles: Vec<f64> = from.iter().map(|x| (1.0 - 2.0 * inner(x)).acos()).collect();
    let mut points = vec![0.0; from.len()];
    let end = minimise(&mut angles, LIMITS, &mut |angles, gradient| {
        boxed(angles, &mut points);
        let value = acquisition.value(&points, gradient);
        let scale = -1.0 / (value + LEAST);
        for (by, angle) in gradient.iter_mut().zip(angles) {
            *by *= scale * 0.5 * angle.sin();
        }
        -(value + LEAST).ln()
    });
    boxed(&angles, &mut points);
    // A rounding error of the cosine may leave the box.
    points.iter_mut().for_each(|x| *x = fold(*x));
    ((-end.value).exp() - LEAST, points)
}

fn boxed(angles: &[f64], points: &mut [f64]) {
    for (point, angle) in points.iter_mut().zip(angles) {
        *point = 0.5 - 0.5 * angle.cos();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, child};

    #[test]
    fn the_best_raw_point_is_always_searched_from_and_none_twice() {
        let mut stream = child(Seed(1), "beginnings");
        for _ in 0..20 {
            let values: Vec<f64> = (0..32).map(|_| uniform(&mut stream)).collect();
            let chosen = beginnings(&values, 10, &mut stream);
            let top = values.iter().copied().fold(0.0, larger);
            assert!((values[chosen[0]] - top).abs() < f64::EPSILON);
            let mut sorted = chosen.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), 10);
        }
        // Nothing to tell them apart, and fewer than asked for.
        assert_eq!(beginnings(&[0.0; 4], 10, &mut stream).len(), 4);
    }

    #[test]
    fn coordinates_fold_into_the_box() {
        for (x, folded) in [
            (0.25, 0.25),
            (-0.25, 0.25),
            (1.25, 0.75),
            (2.5, 0.5),
            (1.0, 1.0),
        ] {
            assert!((fold(x) - folded).abs() < 1e-12, "{x}");
        }
    }
}
