//! A fitted Prophet: its parameters, and what they say about any times.

use std::ops::Range;

use foresail_core::quantity::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::Prophet;
use super::columns::Columns;
use super::events::Standard;
use super::fit::{self, Problem, SIGMA_MIN, Solution};
use super::seasonality::{Mode, Season, calendar};
use super::trend::{Growth, Pieces, begin, changepoint_rows, first_offset, logistic};
use crate::forecast::FitError;

/// Rows that a fit needs.
const ROWS_MIN: usize = 2;

/// Times, and what is known about them beside the demand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rows<'a> {
    /// The times, rising.
    pub times: &'a [Timestamp],
    /// What a logistic trend cannot exceed at each; empty: the setting counts.
    pub cap: &'a [f64],
    /// What it cannot fall below at each; empty: the setting counts.
    pub floor: &'a [f64],
    /// The values of each regressor.
    pub regressors: &'a [Vec<f64>],
}

/// What a fit finds, in scaled units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Rate of the first piece.
    pub k: f64,
    /// Offset of the first piece.
    pub m: f64,
    /// How the rate changes at each changepoint.
    pub delta: Vec<f64>,
    /// Coefficients of seasons, events and regressors.
    pub beta: Vec<f64>,
    /// Standard deviation of the noise.
    pub sigma: f64,
}

/// One part of a prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct PartValues {
    /// Its name.
    pub name: String,
    /// How it enters.
    pub mode: Mode,
    /// Its values. Units: those of demand, or a factor where it multiplies.
    pub values: Vec<f64>,
}

/// What a model says about each row.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// `trend·(1 + factor) + added`.
    pub yhat: Vec<f64>,
    /// The trend.
    pub trend: Vec<f64>,
    /// Sum of the parts that are added.
    pub added: Vec<f64>,
    /// Sum of the parts that multiply.
    pub factor: Vec<f64>,
}

/// A fitted Prophet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub(super) growth: Growth,
    pub(super) cap: f64,
    pub(super) floor: f64,
    pub(super) columns: Columns,
    /// First and last time of the history.
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// What one scaled unit is.
    pub(super) scale: f64,
    /// Mean scaled spacing of the history's rows.
    pub(super) spacing: f64,
    pub(super) bends: Vec<f64>,
    /// The parameters; those of another fit of the same form may be put in their place.
    pub parameters: Parameters,
    /// Value of Prophet's objective at the fitted parameters; smaller is better.
    pub objective: f64,
}

fn setting(what: String, must: &str) -> FitError {
    FitError::Setting {
        what,
        must: must.to_owned(),
    }
}

impl Prophet {
    /// Fits to rows; what is not finite in `y` is left out, as Prophet leaves out missing rows.
    ///
    /// Shapes: `y` has a value for each row. Units: any, kept.
    ///
    /// # Errors
    /// [`FitError`] with fewer than two rows, times that do not rise, regressors that do not match
    /// the rows, a cap that is not above its floor, or numbers out of range.
    pub fn fit_rows(&self, rows: &Rows<'_>, y: &[f64]) -> Result<Model, FitError> {
        self.check(rows, y)?;
        let kept: Vec<usize> = (0..y.len()).filter(|i| y[*i].is_finite()).collect();
        if kept.len() < ROWS_MIN {
            return Err(match kept.len() {
                0 => FitError::Empty,
                found => FitError::TooShort {
                    needed: ROWS_MIN,
                    found,
                },
            });
        }
        let mut model = self.prepared(rows, y, &kept);
        let problem = self.problem(&model, rows, y, &kept)?;
        let constant = kept.iter().all(|i| y[*i].total_cmp(&y[kept[0]]).is_eq());
        let start = begin(model.growth, &problem.y, &problem.cap);
        let solution = if constant && model.growth != Growth::Logistic {
            still(&problem, start)
        } else {
            fit::fit(&problem, start).ok_or(FitError::NotFinite { model: "prophet" })?
        };
        let (trend, beta) = solution.theta.split_at(2 + model.bends.len());
        model.parameters = Parameters {
            k: trend[0],
            m: trend[1],
            delta: trend[2..].to_vec(),
            beta: beta.to_vec(),
            sigma: solution.sigma,
        };
        model.objective = solution.objective;
        Ok(model)
    }

    fn check(&self, rows: &Rows<'_>, y: &[f64]) -> Result<(), FitError> {
        let n = rows.times.len();
        let equal = |len: usize| len == n;
        let optional = |len: usize| len == 0 || len == n;
        if !equal(y.len()) || !optional(rows.cap.len()) || !optional(rows.floor.len()) {
            return Err(setting(format!("{n} times"), "as many values as times"));
        }
        if rows.times.windows(2).any(|w| w[0] >= w[1]) {
            return Err(setting("times".to_owned(), "must rise, none twice"));
        }
        let counts = self.regressors.len() == rows.regressors.len();
        let whole = |r: &Vec<f64>| equal(r.len()) && r.iter().all(|v| v.is_finite());
        if !counts || !rows.regressors.iter().all(whole) {
            let named = format!("{} regressors", self.regressors.len());
            return Err(setting(named, "each needs a finite value for every time"));
        }
        self.check_settings()
    }

    /// Everything but the parameters.
    fn prepared(&self, rows: &Rows<'_>, y: &[f64], kept: &[usize]) -> Model {
        let time = |i: usize| rows.times[kept[i]];
        let (first, last) = (time(0), time(kept.len() - 1));
        let steps = kept.windows(2).map(|w| rows.times[w[1]] - rows.times[w[0]]);
        let step = steps.min().unwrap_or(Span::ZERO);
        let mut seasons = self.seasons.clone();
        let switches = [self.yearly, self.weekly, self.daily];
        let own = (self.season_scale, self.mode);
        seasons.extend(calendar(switches, &seasons, [last - first, step], own));
        let of_kept = |values: &Vec<f64>| kept.iter().map(|i| values[*i]).collect::<Vec<f64>>();
        let rules = self.regressors.iter().zip(rows.regressors);
        let standards = rules.map(|(r, values)| Standard::of(r.standardise, &of_kept(values)));
        let mut model = Model {
            growth: self.growth,
            cap: self.cap,
            floor: if self.growth == Growth::Logistic {
                self.floor
            } else {
                0.0
            },
            columns: Columns {
                seasons,
                events: self.events.clone(),
                standards: standards.collect(),
                regressors: self.regressors.clone(),
            },
            first,
            last,
            scale: 1.0,
            spacing: 1.0 / (kept.len() - 1) as f64,
            bends: Vec::new(),
            parameters: Parameters {
                k: 0.0,
                m: 0.0,
                delta: Vec::new(),
                beta: Vec::new(),
                sigma: SIGMA_MIN,
            },
            objective: 0.0,
        };
        let distance = |i: &usize| (y[*i] - model.floor_at(rows, *i)).abs();
        let largest = kept
            .iter()
            .map(distance)
            .fold(0.0, |a, b| if b > a { b } else { a });
        model.scale = if largest > 0.0 { largest } else { 1.0 };
        if self.growth != Growth::Flat {
            let at = changepoint_rows(kept.len(), self.changepoints, self.changepoint_share);
            model.bends = at
                .into_iter()
                .map(|row| model.scaled_time(time(row)))
                .collect();
        }
        model
    }

    fn problem(
        &self,
        model: &Model,
        rows: &Rows<'_>,
        y: &[f64],
        kept: &[usize],
    ) -> Result<Problem, FitError> {
        let parts = model.columns.parts();
        let width = model.columns.len();
        let mut x = vec![0.0; width * kept.len()];
        if width > 0 {
            for (i, out) in kept.iter().zip(x.chunks_exact_mut(width)) {
                model.columns.fill(rows.times[*i], rows.regressors, *i, out);
            }
        }
        let each = |f: fn(&super::columns::Part<'_>) -> f64| -> Vec<f64> {
            parts
                .iter()
                .flat_map(|p| p.at.clone().map(move |_| f(p)))
                .collect()
        };
        let multiplies = each(|p| f64::from(u8::from(p.mode == Mode::Multiplicative)));
        let floor = |i: usize| model.floor_at(rows, i);
        let cap = |i: usize| (model.cap_at(rows, i) - floor(i)) / model.scale;
        let logistic = self.growth == Growth::Logistic;
        let caps: Vec<f64> = if logistic {
            kept.iter().map(|i| cap(*i)).collect()
        } else {
            Vec::new()
        };
        if caps.iter().any(|c| !(*c > 0.0 && c.is_finite())) {
            return Err(setting(
                "cap".to_owned(),
                "must be above the floor, everywhere",
            ));
        }
        Ok(Problem {
            growth: self.growth,
            t: kept
                .iter()
                .map(|i| model.scaled_time(rows.times[*i]))
                .collect(),
            y: kept
                .iter()
                .map(|i| (y[*i] - floor(*i)) / model.scale)
                .collect(),
            cap: caps,
            x,
            multiplies: multiplies.iter().map(|v| *v > 0.5).collect(),
            scales: each(|p| p.scale),
            bends: model.bends.clone(),
            bend_scale: self.changepoint_scale,
        })
    }
}

/// A constant series: no fit, and hardly any noise, as Prophet has it.
fn still(problem: &Problem, (k, m): (f64, f64)) -> Solution {
    let mut theta = vec![0.0; 2 + problem.bends.len() + problem.scales.len()];
    (theta[0], theta[1]) = (k, m);
    Solution {
        objective: problem.objective_at(&theta, SIGMA_MIN),
        theta,
        sigma: SIGMA_MIN,
    }
}

impl Model {
    /// A time as the trend sees it: 0 at the first row of the history, 1 at its last.
    pub(super) fn scaled_time(&self, time: Timestamp) -> f64 {
        (time - self.first).nanos() as f64 / (self.last - self.first).nanos() as f64
    }

    pub(super) fn cap_at(&self, rows: &Rows<'_>, row: usize) -> f64 {
        rows.cap.get(row).copied().unwrap_or(self.cap)
    }

    pub(super) fn floor_at(&self, rows: &Rows<'_>, row: usize) -> f64 {
        match self.growth {
            Growth::Logistic => rows.floor.get(row).copied().unwrap_or(self.floor),
            Growth::Linear | Growth::Flat => 0.0,
        }
    }

    /// The changepoints that the trend may bend at, as shares of the history.
    #[must_use]
    pub fn changepoints(&self) -> &[f64] {
        &self.bends
    }

    /// The seasons that are on.
    #[must_use]
    pub fn seasons(&self) -> &[Season] {
        &self.columns.seasons
    }

    /// What one scaled unit is, in units of demand.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The trend's argument after the last changepoint, or before it.
    pub(super) fn argument(&self, t: f64, pieces: &Pieces) -> f64 {
        pieces.at(self.bends.partition_point(|s| *s <= t), t)
    }

    pub(super) fn pieces(&self) -> Pieces {
        let p = &self.parameters;
        let rate = if self.growth == Growth::Flat {
            0.0
        } else {
            p.k
        };
        let offset = first_offset(self.growth, p.k, p.m);
        Pieces::new(rate, offset, &p.delta, &self.bends)
    }

    /// What the model says about rows of any time.
    ///
    /// Units: those of demand. A regressor without a value counts as 0.
    #[must_use]
    pub fn predict(&self, rows: &Rows<'_>) -> Prediction {
        let n = rows.times.len();
        let pieces = self.pieces();
        let empty = || Vec::with_capacity(n);
        let mut out = Prediction {
            yhat: empty(),
            trend: empty(),
            added: empty(),
            factor: empty(),
        };
        let sums = self.sums(rows);
        for (i, time) in rows.times.iter().enumerate() {
            let a = self.argument(self.scaled_time(*time), &pieces);
            let floor = self.floor_at(rows, i);
            let trend = match self.growth {
                Growth::Logistic => (self.cap_at(rows, i) - floor) * logistic(a) + floor,
                Growth::Linear | Growth::Flat => a * self.scale,
            };
            let [added, factor] = sums[i];
            out.yhat.push(trend * (1.0 + factor) + added);
            out.trend.push(trend);
            out.added.push(added);
            out.factor.push(factor);
        }
        out
    }

    /// Sums of the added and of the multiplying parts of each row.
    fn sums(&self, rows: &Rows<'_>) -> Vec<[f64; 2]> {
        let parts = self.columns.parts();
        let mut row = vec![0.0; self.columns.len()];
        let mut sums = Vec::with_capacity(rows.times.len());
        for (i, time) in rows.times.iter().enumerate() {
            row.fill(0.0);
            self.columns.fill(*time, rows.regressors, i, &mut row);
            let mut sum = [0.0, 0.0];
            for part in &parts {
                let value = self.part(&part.at, &row);
                match part.mode {
                    Mode::Additive => sum[0] += value * self.scale,
                    Mode::Multiplicative => sum[1] += value,
                }
            }
            sums.push(sum);
        }
        sums
    }

    fn part(&self, at: &Range<usize>, row: &[f64]) -> f64 {
        super::gram::dot(&row[at.clone()], &self.parameters.beta[at.clone()])
    }

    /// Every part beside the trend, on its own.
    #[must_use]
    pub fn parts(&self, rows: &Rows<'_>) -> Vec<PartValues> {
        let mut row = vec![0.0; self.columns.len()];
        let parts = self.columns.parts();
        let mut out: Vec<PartValues> = parts
            .iter()
            .map(|part| PartValues {
                name: part.name.to_owned(),
                mode: part.mode,
                values: Vec::with_capacity(rows.times.len()),
            })
            .collect();
        for (i, time) in rows.times.iter().enumerate() {
            row.fill(0.0);
            self.columns.fill(*time, rows.regressors, i, &mut row);
            for (part, out) in parts.iter().zip(&mut out) {
                let unit = if part.mode == Mode::Additive {
                    self.scale
                } else {
                    1.0
                };
                out.values.push(self.part(&part.at, &row) * unit);
            }
        }
        out
    }

    /// Prophet's objective at the parameters that are set, over rows with values.
    ///
    /// # Errors
    /// Those of [`Prophet::fit_rows`].
    pub fn objective_of(
        &self,
        settings: &Prophet,
        rows: &Rows<'_>,
        y: &[f64],
    ) -> Result<f64, FitError> {
        settings.check(rows, y)?;
        let kept: Vec<usize> = (0..y.len()).filter(|i| y[*i].is_finite()).collect();
        let problem = settings.problem(self, rows, y, &kept)?;
        let p = &self.parameters;
        let mut theta = vec![p.k, p.m];
        theta.extend(&p.delta);
        theta.extend(&p.beta);
        Ok(problem.objective_at(&theta, p.sigma))
    }
}
