//! One tracked horizon: what every expert said, what came, and the weights that follow.

use foresail_core::quantity::units::{larger, smaller};
use serde::{Deserialize, Serialize};

use super::past::{Past, WINDOWS};
use super::record::{Losses, Record, weight};
use super::regression::Regression;
use crate::forecast::tracked::{AWAITED_MAX, Awaited, LEVELS, MEDIAN, Quantiles, stride};

/// Steps after which a loss counts half, for the nearest horizon; far ones remember longer.
const HALF_LIFE: f64 = 200.0;

/// What is left of the regression's past at each step: about 2,000 steps.
const REGRESSION_KEPT: f64 = 0.9995;

/// By how much a band widens for each outlier, at the horizon from which it is so; near horizons
/// have independent errors enough to know their spread.
const WIDENING: (f64, f64) = (0.001, 60.0);

/// The feature that the regression begins as: the mean of about three steps.
const FIRST_FEATURE: usize = 3;

/// A forecast that waits for its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Said {
    /// Point and size of the errors, expert by expert.
    points: Vec<[f64; 2]>,
    features: Vec<f64>,
    size: f64,
    windows: [Quantiles; WINDOWS.len()],
    /// What was told in the end, before it was widened.
    told: Quantiles,
}

/// One tracked horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Anchor {
    pub(super) ahead: usize,
    /// One record for each expert; the regression's is the last.
    records: Vec<Record>,
    windows: [Losses; WINDOWS.len()],
    regression: Regression,
    awaited: Awaited<Said>,
    /// Share of each expert in each quantile, the windows last.
    weights: Vec<Quantiles>,
    /// What the experts' errors add to the mean of their points.
    offsets: Quantiles,
    /// Logarithm of how much wider each quantile is than the experts say.
    wider: Quantiles,
}

impl Anchor {
    pub(super) fn new(ahead: usize, past: &Past) -> Self {
        let experts = past.experts() + 1;
        let mut anchor = Self {
            ahead,
            records: vec![Record::default(); experts],
            windows: std::array::from_fn(|_| Losses::default()),
            regression: Regression::new(past.width(), FIRST_FEATURE),
            awaited: Awaited::default(),
            weights: vec![[0.0; LEVELS.len()]; experts + WINDOWS.len()],
            offsets: [0.0; LEVELS.len()],
            wider: [0.0; LEVELS.len()],
        };
        anchor.weigh();
        anchor
    }

    /// Whether its errors are known.
    pub(super) fn is_known(&self) -> bool {
        self.records[0].is_known()
    }

    /// Takes in what came at `step`; a gap settles nothing.
    pub(super) fn settle(&mut self, step: u64, value: Option<f64>) {
        let Some(said) = self.awaited.due(step) else {
            return;
        };
        let Some(actual) = value else { return };
        let half_life = HALF_LIFE * (1.0 + self.ahead as f64 / 50.0);
        let kept = 0.5_f64.powf(stride(self.ahead) as f64 / half_life);
        for (record, [point, scale]) in self.records.iter_mut().zip(&said.points) {
            record.learn(*point, *scale, actual, kept);
        }
        for (losses, quantiles) in self.windows.iter_mut().zip(&said.windows) {
            losses.add(quantiles, actual, kept);
        }
        let forgotten = REGRESSION_KEPT.powi(stride(self.ahead) as i32);
        self.regression
            .learn(&said.features, actual / said.size, forgotten);
        self.widen(&said.told, actual);
        self.weigh();
    }

    /// Takes the shares anew.
    fn weigh(&mut self) {
        let mut weights = std::mem::take(&mut self.weights);
        let losses = self.losses().map(|l| &l.0);
        let least = losses.fold([f64::INFINITY; LEVELS.len()], |least, l| {
            std::array::from_fn(|i| smaller(least[i], l[i]))
        });
        let mut sums = [0.0; LEVELS.len()];
        for (weights, losses) in weights.iter_mut().zip(self.losses()) {
            for i in 0..LEVELS.len() {
                weights[i] = weight(losses.0[i], least[i]);
                sums[i] += weights[i];
            }
        }
        self.offsets = [0.0; LEVELS.len()];
        for weights in &mut weights {
            *weights = std::array::from_fn(|i| weights[i] / sums[i]);
        }
        for (weights, record) in weights.iter().zip(&self.records) {
            let offsets = record.offsets(record.scale());
            for i in 0..LEVELS.len() {
                self.offsets[i] += weights[i] * offsets[i];
            }
        }
        self.weights = weights;
    }

    fn widen(&mut self, told: &Quantiles, actual: f64) {
        if !self.is_known() {
            return;
        }
        let near = smaller(self.ahead as f64 / WIDENING.1, 1.0);
        let rate = WIDENING.0 * near * stride(self.ahead) as f64;
        let quantiles = self.widened(told);
        for (i, level) in LEVELS.iter().enumerate().filter(|(i, _)| *i != MEDIAN) {
            let (outside, tail) = if i > MEDIAN {
                (actual > quantiles[i], 1.0 - level)
            } else {
                (actual < quantiles[i], *level)
            };
            let step = if outside { 1.0 - tail } else { -tail };
            self.wider[i] = (self.wider[i] + rate * step).clamp(0.0, 1.0);
        }
    }

    fn widened(&self, told: &Quantiles) -> Quantiles {
        let median = told[MEDIAN];
        let wide = |i: usize| median + (told[i] - median) * self.wider[i].exp();
        sorted(std::array::from_fn(wide))
    }

    /// Makes the forecast of this step, where it is one that is tracked.
    pub(super) fn say(&mut self, past: &Past, windows: &[Quantiles; WINDOWS.len()]) {
        if !past.next().is_multiple_of(stride(self.ahead)) {
            return;
        }
        let (mut points, features) = past.spoken(self.ahead);
        points.push(self.regressed(past, &features));
        let told = self.combined(&points, windows);
        let sized = points.iter().zip(&self.records);
        let points = sized.map(|(p, r)| [*p, r.scale()]).collect();
        let due = past.next() + self.ahead as u64 - 1;
        let said = Said {
            points,
            features,
            size: past.size(),
            windows: *windows,
            told,
        };
        self.awaited.say(due, said);
    }

    /// What the regression says, told the same as all others.
    fn regressed(&self, past: &Past, features: &[f64]) -> f64 {
        past.told(past.within_reach(self.regression.at(features) * past.size()))
    }

    /// The weighted mean of the experts' quantiles, level by level.
    fn combined(&self, points: &[f64], windows: &[Quantiles]) -> Quantiles {
        // Around one of the points, so that experts who agree give exactly what they agree on.
        let around = points.first().copied().unwrap_or(0.0);
        let mut sum = self.offsets;
        for (weights, point) in self.weights.iter().zip(points) {
            for (sum, weight) in sum.iter_mut().zip(weights) {
                *sum += weight * (point - around);
            }
        }
        for (weights, quantiles) in self.weights[points.len()..].iter().zip(windows) {
            for i in 0..LEVELS.len() {
                sum[i] += weights[i] * (quantiles[i] - around);
            }
        }
        sorted(sum.map(|s| larger(around + s, 0.0)))
    }

    fn losses(&self) -> impl Iterator<Item = &Losses> {
        let records = self.records.iter().map(|r| &r.losses);
        records.chain(&self.windows)
    }

    /// Quantiles of a step ahead with this horizon's errors and weights; `points` and `features` are
    /// what [`Past::spoken`] gives of that step.
    pub(super) fn quantiles(
        &self,
        past: &Past,
        windows: &[Quantiles; WINDOWS.len()],
        (points, features): (&mut Vec<f64>, &[f64]),
    ) -> Quantiles {
        points.push(self.regressed(past, features));
        let told = self.widened(&self.combined(points, windows));
        points.pop();
        told
    }

    /// The experts that count most for the median, with their shares.
    pub(super) fn heaviest(&self, past: &Past) -> String {
        let mut names = past.names();
        names.push("regression".to_owned());
        names.extend(WINDOWS.map(|w| format!("quantiles of {w} steps")));
        let shares = self.weights.iter().map(|w| w[MEDIAN]);
        let mut shares: Vec<(f64, String)> = shares.zip(names).collect();
        shares.sort_by(|a, b| b.0.total_cmp(&a.0));
        let told = shares.iter().take(2);
        let told: Vec<String> = told
            .map(|(share, name)| format!("{name} {:.0} %", share * 100.0))
            .collect();
        told.join(", ")
    }

    /// Whether what was read back fits together.
    pub(super) fn is_sound(&self, past: &Past) -> bool {
        let experts = past.experts() + 1;
        let said = |s: &Said| s.points.len() == experts && s.features.len() == past.width();
        (1..=super::HISTORY_MAX).contains(&self.ahead)
            && self.records.len() == experts
            && self.records.iter().all(Record::is_sound)
            && self.regression.is_sound(past.width())
            && self.weights.len() == experts + WINDOWS.len()
            && self.awaited.len() <= AWAITED_MAX + 1
            && self.awaited.iter().all(said)
    }
}

fn sorted(mut quantiles: Quantiles) -> Quantiles {
    quantiles.sort_by(f64::total_cmp);
    quantiles
}
