//! Quantiles of the steps that follow the history: what is told, and how far off it may be.

use super::interval::Spread;
use super::model::{Model, Prediction, Rows};
use super::trend::Growth;
use crate::forecast::quantile::of_sorted;
use crate::rng::{Seed, child};

/// Draws behind the band of a logistic trend; Prophet's own number.
const DRAWS: usize = 1000;

/// Steps ahead from which the band's width is taken at every 64th part of the distance.
const KNOTS: usize = 64;

/// Root of the mean square of the argument's move up to which a logistic trend counts as straight:
/// its slope then changes by less than one part in fifty on the way.
const STRAIGHT: f64 = 0.02;

/// Where steps lie after the history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    /// Steps between the history's last row and the first of them.
    pub(super) since: usize,
    /// Scaled length of a step.
    pub(super) spacing: f64,
}

impl Model {
    /// Quantiles of rows at equal steps that follow the history, row by row, level by level.
    ///
    /// Exact for a linear and a flat trend. A logistic one is taken as straight around what is told
    /// while its argument moves by less than 0.02; steps where it has moved further are drawn 1,000
    /// times.
    /// Units: those of demand.
    #[must_use]
    pub fn quantiles(&self, rows: &Rows<'_>, levels: &[f64], seed: Seed) -> Vec<f64> {
        let (Some(first), Some(last)) = (rows.times.first(), rows.times.last()) else {
            return Vec::new();
        };
        let steps = rows.times.len() - 1;
        let spacing = match steps {
            0 => self.spacing,
            _ => (self.scaled_time(*last) - self.scaled_time(*first)) / steps as f64,
        };
        let since = ((self.scaled_time(*first) - 1.0) / spacing).round() - 1.0;
        let since = if since > 0.0 { since as usize } else { 0 };
        self.band(rows, Place { since, spacing }, levels, seed)
    }

    pub(super) fn band(
        &self,
        rows: &Rows<'_>,
        place: Place,
        levels: &[f64],
        seed: Seed,
    ) -> Vec<f64> {
        let steps = rows.times.len();
        let straight = match self.growth {
            Growth::Logistic => self.straight(place).min(steps),
            Growth::Linear | Growth::Flat => steps,
        };
        let mut values = self.exact(rows, place, levels, straight);
        if straight < steps {
            let drawn = self.drawn(rows, levels, seed);
            values.extend(&drawn[straight * levels.len()..]);
        }
        values
    }

    /// Steps up to which a logistic trend counts as straight, whatever the horizon.
    fn straight(&self, place: Place) -> usize {
        let (probability, scale) = self.bends_to_come(place.spacing);
        // Its argument has moved by so much, as a root of the mean square, after one step.
        let moved = scale * place.spacing * (2.0 * probability / 3.0).sqrt();
        let ahead = (STRAIGHT / moved).powf(2.0 / 3.0);
        // A trend without bends to come never moves.
        if ahead.is_finite() {
            (ahead as usize).saturating_sub(place.since)
        } else {
            usize::MAX
        }
    }

    /// How far each row moves, in units of demand, when the trend's argument moves by one.
    fn units(&self, rows: &Rows<'_>, told: &Prediction) -> Vec<f64> {
        let unit = |(i, factor): (usize, &f64)| {
            let straight = match self.growth {
                Growth::Logistic => {
                    let floor = self.floor_at(rows, i);
                    let above = told.trend[i] - floor;
                    above * (1.0 - above / (self.cap_at(rows, i) - floor))
                }
                Growth::Linear => self.scale,
                Growth::Flat => 0.0,
            };
            straight * (1.0 + factor).abs()
        };
        told.factor.iter().enumerate().map(unit).collect()
    }

    /// Quantiles of the first `steps` of a trend that is straight or flat: exact, without a draw.
    fn exact(&self, rows: &Rows<'_>, place: Place, levels: &[f64], steps: usize) -> Vec<f64> {
        let told = self.predict(rows);
        let mirrored = |l: &f64| if *l < 0.5 { 1.0 - l } else { *l };
        let mut upper: Vec<f64> = levels.iter().map(mirrored).collect();
        upper.sort_by(f64::total_cmp);
        upper.dedup_by(|a, b| (*a - *b).abs() < 1e-12);
        let units = self.units(rows, &told);
        let widths = self.widths(&units[..steps], place, &upper);
        let of = |level: &f64| upper.partition_point(|u| *u < mirrored(level) - 1e-12);
        let places: Vec<usize> = levels.iter().map(of).collect();
        let mut values = Vec::with_capacity(steps * levels.len());
        for (yhat, widths) in told.yhat.iter().zip(widths.chunks_exact(upper.len())) {
            for (level, place) in levels.iter().zip(&places) {
                let side = if *level < 0.5 { -1.0 } else { 1.0 };
                values.push(yhat + side * widths[*place]);
            }
        }
        values
    }

    /// Distance of each upper level from the middle, step by step.
    ///
    /// Where each step moves alike, the width is a smooth function of the distance, so that steps far
    /// ahead lie on straight lines between knots; the error is below 3e-5 of the width.
    fn widths(&self, units: &[f64], place: Place, upper: &[f64]) -> Vec<f64> {
        let (steps, levels) = (units.len(), upper.len());
        let mut widths = vec![0.0; steps * levels];
        let plain = units.windows(2).all(|w| w[0].total_cmp(&w[1]).is_eq());
        let mut line = vec![0.0; levels];
        let mut last: Option<usize> = None;
        let mut ahead = 0;
        while ahead < steps {
            let spread: Spread = self.spread(place.spacing, units[ahead]);
            spread.quantiles(place.since + ahead + 1, upper, &mut line);
            widths[ahead * levels..(ahead + 1) * levels].copy_from_slice(&line);
            if let Some(last) = last {
                between(&mut widths, levels, last, ahead);
            }
            last = Some(ahead);
            let stride = if plain {
                1 + (place.since + ahead) / KNOTS
            } else {
                1
            };
            let ends = ahead + stride >= steps && ahead + 1 < steps;
            ahead = if ends { steps - 1 } else { ahead + stride };
        }
        widths
    }

    /// Quantiles of a logistic trend, from draws.
    fn drawn(&self, rows: &Rows<'_>, levels: &[f64], seed: Seed) -> Vec<f64> {
        let mut stream = child(seed, "prophet band");
        let mut draws = self.draws(rows, DRAWS, &mut stream);
        let mut values = Vec::with_capacity(rows.times.len() * levels.len());
        for step in draws.chunks_exact_mut(DRAWS) {
            step.sort_unstable_by(f64::total_cmp);
            values.extend(levels.iter().map(|l| of_sorted(step, *l)));
        }
        values
    }
}

/// Fills the lines between two knots.
fn between(widths: &mut [f64], levels: usize, low: usize, high: usize) {
    for step in low + 1..high {
        let share = (step - low) as f64 / (high - low) as f64;
        for level in 0..levels {
            let (a, b) = (widths[low * levels + level], widths[high * levels + level]);
            widths[step * levels + level] = a + share * (b - a);
        }
    }
}
