//! Gradient-boosted quantile regression on lags and the calendar.
//!
//! One ensemble of trees for each level. A row is a step and a horizon: the last values, means of
//! several memories, what was at the same phase of each season, the time of day and of the week, and
//! how far ahead. Targets are taken against the level and in its units, so that what is learnt at
//! one level serves at another. Between refits new values move the rows, the trees stay.

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::larger;
use serde::{Deserialize, Serialize};

use super::naive::SEASON_KNOB;
use super::reach::Reach;
use super::tracked::{LEVELS, Quantiles, at_level};
use super::{
    Fit, FitError, Forecast, ForecastError, Forecaster, check_request, held_values, season,
};
use crate::knobs::Knob;
use crate::registry::{ForecasterEntry, Restored};
use crate::rng::Seed;
use crate::trees::bins::Bins;
use crate::trees::{Growth, QuantileTrees, Rows};

/// Points of the history that are learnt from.
const HISTORY_MAX: usize = 14 * 1440;

/// Points without which nothing is learnt.
const POINTS_MIN: usize = 60;

/// Horizons that are learnt; the trees split between them.
const AHEAD: [usize; 14] = [1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 120, 240, 720, 1440];

/// Horizons that each step is asked for, in turn.
const ASKED: usize = 4;

/// A horizon is learnt where the history is so many times as long.
const HISTORY_PER_AHEAD: usize = 5;

/// Rows at most: older steps are taken more sparsely.
const ROWS_MAX: usize = 8000;

/// Last values that a row holds.
const LAGS: usize = 6;

/// Lengths of the means that a row holds.
const MEANS: [usize; 4] = [5, 15, 60, 240];

/// Share of the rows, the latest, that say when to end.
const HELD_OUT: f64 = 0.2;

/// The registry's entry.
pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "boosted-trees",
    summary: "gradient-boosted quantile regression on lags, seasons and the calendar",
    suits: "long histories whose next values depend on several things at once",
    knobs: &[
        SEASON_KNOB,
        Knob::number("rounds", [80.0, 1.0, 1000.0], "trees of each level at most"),
        Knob::number("leaves", [15.0, 2.0, 255.0], "leaves of a tree at most"),
    ],
    build: |knobs| {
        Ok(Box::new(BoostedTrees {
            season: knobs.number("seasonSteps") as usize,
            growth: Growth {
                rounds: knobs.number("rounds") as usize,
                leaves: knobs.number("leaves") as usize,
                ..Growth::default()
            },
        }))
    },
    restore,
};

/// Boosted trees, not fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoostedTrees {
    /// Length of the season in steps; 0 = found.
    pub season: usize,
    /// How the trees are grown.
    pub growth: Growth,
}

/// What rows are made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Past {
    /// Values, gaps held; oldest first.
    values: Vec<f64>,
    /// Time of the first of them, and length of a step, in nanoseconds.
    start: i64,
    step: i64,
    seasons: Vec<usize>,
}

impl Past {
    /// Steps of the past that a row may look at.
    fn reach(&self) -> usize {
        let longest = self.seasons.iter().copied().max().unwrap_or(0);
        longest.max(MEANS[MEANS.len() - 1]).max(LAGS) + 1
    }

    /// Mean of the `count` values before step `end`.
    fn mean(&self, end: usize, count: usize) -> f64 {
        let part = &self.values[end.saturating_sub(count)..end];
        part.iter().sum::<f64>() / part.len().max(1) as f64
    }

    /// Level and unit at step `end`: the targets of a row are `level + unit × target`.
    fn level(&self, end: usize) -> (f64, f64) {
        let level = self.mean(end, MEANS[1]);
        let part = &self.values[end.saturating_sub(MEANS[2])..end];
        let moved = part.windows(2).map(|w| (w[1] - w[0]).abs()).sum::<f64>();
        let unit = moved / part.len().max(1) as f64 + 0.05 * self.mean(end, MEANS[3]).abs();
        (level, larger(unit, 1e-9))
    }

    /// The row that knows the values before step `end` and asks for the step `ahead` of it.
    fn row(&self, end: usize, ahead: usize) -> Vec<f64> {
        let (level, unit) = self.level(end);
        let relative = |value: f64| (value - level) / unit;
        let ago = |steps: usize| {
            let place = end.saturating_sub(steps);
            relative(self.values[place.min(end - 1)])
        };
        let mut row: Vec<f64> = (1..=LAGS).map(ago).collect();
        row.extend(MEANS.map(|count| relative(self.mean(end, count))));
        for season in &self.seasons {
            let back = ahead.div_ceil(*season) * season - ahead + 1;
            row.push(ago(back));
            row.push(ago(back.saturating_sub(1).max(1)));
            // How the level has moved in a season.
            let then = self.mean(end.saturating_sub(*season).max(1), MEANS[1]);
            row.push(relative(then));
        }
        let at = Timestamp::from_nanos(self.start + self.step * (end + ahead - 1) as i64);
        let seconds = (at - Timestamp::EPOCH).seconds();
        row.extend([
            seconds.rem_euclid(3600.0),
            seconds.rem_euclid(86_400.0),
            (seconds / 86_400.0).floor().rem_euclid(7.0),
            (ahead as f64).ln(),
        ]);
        row
    }
}

/// The horizons that a history of so many points lets learn.
fn learnt_horizons(points: usize) -> Vec<usize> {
    let enough = |ahead: &usize| *ahead == 1 || ahead * HISTORY_PER_AHEAD <= points;
    AHEAD.into_iter().filter(enough).collect()
}

/// Steps and horizons of the rows, in the order of time.
fn asked(first: usize, points: usize, horizons: &[usize]) -> Vec<(usize, usize)> {
    let each = ASKED.min(horizons.len());
    let sparse = (points.saturating_sub(first) * each)
        .div_ceil(ROWS_MAX)
        .max(1);
    let ends = (first..points).step_by(sparse);
    let asked = ends.enumerate().flat_map(|(turn, end)| {
        (0..each).map(move |i| (end, horizons[(turn * each + i) % horizons.len()]))
    });
    asked.filter(|(end, ahead)| end + ahead <= points).collect()
}

impl Fit for BoostedTrees {
    fn fit(&self, history: &Series, _seed: Seed) -> Result<Box<dyn Forecaster>, FitError> {
        let mut values = held_values(history, POINTS_MIN)?;
        values.drain(..values.len().saturating_sub(HISTORY_MAX));
        let reach = Reach::of(&values).ok_or(FitError::Empty)?;
        season::check_given(self.season, values.len())?;
        let seasons = match self.season {
            0 => season::detect_in(&values, history.step())
                .into_iter()
                .map(|s| s.steps)
                .collect(),
            steps => vec![steps],
        };
        let seasons: Vec<usize> = seasons;
        let (points, step) = (values.len(), history.step());
        let start = history.time_of(history.len() - points);
        let mut past = Past {
            values,
            start: (start - Timestamp::EPOCH).nanos(),
            step: step.nanos(),
            seasons,
        };
        let horizons = learnt_horizons(points);
        // A third of the history may lie before the first row; a longer season is seen in part.
        let first = past.reach().min(points / 3).max(LAGS);
        let asked = asked(first, points, &horizons);
        let (columns, targets) = columns(&past, &asked);
        let bins = Bins::of(&columns);
        let binned = bins.bin(&columns);
        let rows = Rows {
            features: &binned,
            targets: &targets,
            learnt: ((1.0 - HELD_OUT) * targets.len() as f64) as usize,
        };
        let trees = LEVELS.map(|level| QuantileTrees::fit(&rows, level, &self.growth));
        let kept = past.reach();
        past.forget(kept);
        Ok(Box::new(Boosted {
            past,
            kept,
            reach,
            bins,
            trees: trees.into(),
        }))
    }
}

impl Past {
    /// Leaves out all but the last `kept` values.
    fn forget(&mut self, kept: usize) {
        let old = self.values.len().saturating_sub(kept);
        self.values.drain(..old);
        self.start += self.step * old as i64;
    }
}

/// The features of the rows, one column each, and their targets.
fn columns(past: &Past, asked: &[(usize, usize)]) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut columns: Vec<Vec<f64>> = Vec::new();
    let mut targets = Vec::with_capacity(asked.len());
    for (end, ahead) in asked {
        let row = past.row(*end, *ahead);
        columns.resize_with(row.len(), || Vec::with_capacity(asked.len()));
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
        let (level, unit) = past.level(*end);
        targets.push((past.values[end + ahead - 1] - level) / unit);
    }
    (columns, targets)
}

/// Boosted trees, fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Boosted {
    past: Past,
    kept: usize,
    reach: Reach,
    bins: Bins,
    /// One ensemble for each tracked level.
    trees: Vec<QuantileTrees>,
}

impl Boosted {
    fn quantiles(&self, ahead: usize) -> Quantiles {
        let end = self.past.values.len();
        let (level, unit) = self.past.level(end);
        let row = self.bins.row(&self.past.row(end, ahead));
        let mut quantiles = [0.0; LEVELS.len()];
        for (quantile, trees) in quantiles.iter_mut().zip(&self.trees) {
            *quantile = self.reach.limit(level + unit * trees.at_row(&row));
        }
        quantiles.sort_by(f64::total_cmp);
        quantiles
    }
}

impl Forecaster for Boosted {
    fn update(&mut self, value: Option<f64>) {
        let last = self.past.values.last().copied().unwrap_or(0.0);
        if let Some(value) = value.filter(|v| v.is_finite()) {
            self.reach.widen(value);
        }
        self.past
            .values
            .push(value.filter(|v| v.is_finite()).unwrap_or(last));
        self.past.forget(self.kept);
    }

    fn forecast(&self, horizon: usize, levels: &[f64]) -> Result<Forecast, ForecastError> {
        check_request(horizon, levels)?;
        let mut values = Vec::with_capacity(horizon * levels.len());
        for ahead in 1..=horizon {
            let quantiles = self.quantiles(ahead);
            values.extend(levels.iter().map(|l| at_level(&quantiles, *l)));
        }
        Ok(Forecast::new(levels, values))
    }

    fn summary(&self) -> String {
        let count: usize = self.trees.iter().map(QuantileTrees::len).sum();
        let lengths: Vec<String> = self.past.seasons.iter().map(ToString::to_string).collect();
        let seasons = match lengths.is_empty() {
            true => "no season".to_owned(),
            false => format!("seasons of {} steps", lengths.join(", ")),
        };
        let features = self.bins.features();
        format!(
            "{count} trees for {} levels on {features} features; {seasons}",
            self.trees.len()
        )
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }
}

fn restore(state: &[u8]) -> Restored {
    let read: Boosted = postcard::from_bytes(state).map_err(|e| e.to_string())?;
    let features = LAGS + MEANS.len() + 3 * read.past.seasons.len() + 4;
    let past = read.past.values.iter().all(|v| v.is_finite()) && read.past.values.len() >= LAGS;
    let whole = past
        && read.reach.is_sound()
        && read.past.seasons.iter().all(|s| *s > 0)
        && read.past.step > 0
        && Span::from_nanos(read.past.step) > Span::ZERO
        && read.bins.is_sound()
        && read.bins.features() == features
        && read.trees.len() == LEVELS.len()
        && read.trees.iter().all(|t| t.is_sound(features));
    if whole {
        Ok(Box::new(read))
    } else {
        Err("its trees and features do not fit together".to_owned())
    }
}
