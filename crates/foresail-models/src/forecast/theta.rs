//! The standard Theta method: half the line of the long run, half simple smoothing.
//!
//! A season is taken out where the autocorrelation at its length is significant, as a factor where
//! every value is above zero, else added. Gaps are held in the fit; an update with a gap moves on
//! by the forecast.
//! Source: Assimakopoulos & Nikolopoulos 2000 in the form of a state space of Fiorucci et al.,
//! Models for optimising the theta method (2016), as statsforecast's `Theta` fits it: the first
//! level and the weight by least squares from the fourth residual on.

use foresail_core::quantity::series::Series;
use foresail_core::quantity::units::larger;
use serde::{Deserialize, Serialize};

use super::decompose::{Kind, figure};
use super::naive::SEASON_KNOB;
use super::quantile::normal_quantile;
use super::reach::Reach;
use super::{
    Component, Fit, FitError, Forecast, ForecastError, Forecaster, HORIZON_MAX, Paths,
    check_request, held_values, season,
};
use crate::knobs::Knobs;
use crate::registry::{FitBuilt, ForecasterEntry, Restored};
use crate::rng::{Seed, child, normal};

/// Points without which there is no fit: three residuals are left out.
const POINTS_MIN: usize = 5;

/// Residuals at the begin that do not count; as statsforecast has it.
const LEFT_OUT: usize = 3;

/// Bounds of the weight; as statsforecast has them.
const ALPHA: (f64, f64) = (0.1, 0.99);

/// Share of the line: 1 − 1/θ with θ = 2.
const SHARE: f64 = 0.5;

/// Quantile of the normal distribution that the test of the season uses: one side, 5 %.
const SIGNIFICANT: f64 = 1.644_853_626_951_472_2;

/// Least factor of a season; with a smaller one the season is added. As statsforecast has it.
const FACTOR_MIN: f64 = 0.01;

/// The registry's entry.
pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "theta",
    summary: "half the line of the long run, half simple smoothing, the season taken out before",
    suits: "one season and a slow drift; short histories",
    knobs: &[SEASON_KNOB],
    build,
    restore,
};

fn build(knobs: &Knobs) -> FitBuilt {
    Ok(Box::new(Theta {
        season: knobs.number("seasonSteps") as usize,
    }))
}

fn restore(state: &[u8]) -> Restored {
    let fitted: FittedTheta = serde_json::from_slice(state).map_err(|e| e.to_string())?;
    let numbers = [
        fitted.alpha,
        fitted.level,
        fitted.intercept,
        fitted.slope,
        fitted.deviation,
    ];
    let finite = numbers.iter().chain(&fitted.figure).all(|v| v.is_finite());
    // Beyond any history, and far from where one more step would overflow.
    let place = fitted.steps < 1 << 30;
    if !(finite && place && fitted.alpha > 0.0 && fitted.alpha <= 1.0 && fitted.deviation >= 0.0) {
        return Err("its numbers are not finite or out of range".to_owned());
    }
    if !fitted.reach.is_sound() {
        return Err("what it has seen is out of order".to_owned());
    }
    Ok(Box::new(fitted))
}

/// The Theta method, not fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theta {
    /// Length of the season in steps; 0 = found.
    pub season: usize,
}

impl Theta {
    /// Fits to a history, as the type itself.
    ///
    /// # Errors
    /// [`FitError`] with too few points, or fewer than a season that was asked for has.
    pub fn fit_whole(&self, history: &Series) -> Result<FittedTheta, FitError> {
        let values = held_values(history, POINTS_MIN)?;
        let reach = Reach::of(&values).ok_or(FitError::Empty)?;
        let steps = season::given_or_found_in(self.season, &values, history.step())?;
        let found = steps.filter(|steps| is_seasonal(&values, *steps));
        let season = found.and_then(|steps| take_out(&values, steps));
        let (kind, figure) = season.unwrap_or((Kind::Additive, Vec::new()));
        let mut rest = values;
        for (value, season) in rest.iter_mut().zip(figure.iter().cycle()) {
            *value = without(kind, *value, *season);
        }
        Ok(FittedTheta::new(&rest, kind, figure, reach))
    }
}

impl Fit for Theta {
    fn fit(&self, history: &Series, _seed: Seed) -> Result<Box<dyn Forecaster>, FitError> {
        Ok(Box::new(self.fit_whole(history)?))
    }
}

fn without(kind: Kind, value: f64, season: f64) -> f64 {
    match kind {
        Kind::Additive => value - season,
        Kind::Multiplicative => value / season,
    }
}

/// `true` where the autocorrelation at the season's length is above what chance gives.
fn is_seasonal(values: &[f64], steps: usize) -> bool {
    let n = values.len();
    if steps < 4 || n < 2 * steps {
        return false;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let around: Vec<f64> = values.iter().map(|v| v - mean).collect();
    let covariance = |lag: usize| {
        let pairs = around[lag..].iter().zip(&around);
        pairs.map(|(a, b)| a * b).sum::<f64>()
    };
    let scale = covariance(0);
    if scale <= 0.0 {
        return false;
    }
    let below: f64 = (1..steps)
        .map(|lag| (covariance(lag) / scale).powi(2))
        .sum();
    let limit = SIGNIFICANT * ((1.0 + 2.0 * below) / n as f64).sqrt();
    (covariance(steps) / scale).abs() > limit
}

/// The season as a factor where it may be one, else what is added.
fn take_out(values: &[f64], steps: usize) -> Option<(Kind, Vec<f64>)> {
    if values.iter().all(|v| *v > 0.0) {
        let factors = figure(values, steps, Kind::Multiplicative);
        if let Some(factors) = factors.filter(|f| f.iter().all(|v| *v >= FACTOR_MIN)) {
            return Some((Kind::Multiplicative, factors));
        }
    }
    Some((Kind::Additive, figure(values, steps, Kind::Additive)?))
}

/// The line of the long run: what it is at step 0, and its slope.
fn line(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let places = values.iter().enumerate();
    let weighted = places.map(|(i, v)| v * (i as f64 + 1.0)).sum::<f64>() / n;
    let slope = 6.0 * (2.0 * weighted - (n + 1.0) * mean) / (n * n - 1.0);
    (mean - (n + 1.0) * slope / 2.0, slope)
}

/// What the fit of one weight gives.
#[derive(Clone, Copy, Debug, Default)]
struct Trial {
    alpha: f64,
    /// The level after the last.
    level: f64,
    /// Sum of the squares of the residuals that count.
    squares: f64,
    /// Their sum.
    sum: f64,
}

/// The best first level for a weight. The residuals are linear in it, so one pass is enough.
fn trial(values: &[f64], (intercept, slope): (f64, f64), alpha: f64) -> Trial {
    let keep = 1.0 - alpha;
    // With the first level 0: the level, and what is left of a first level of 1.
    let (mut level, mut left) = (0.0, 1.0);
    let (mut ee, mut ef, mut ff, mut e, mut f) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let mut power = 1.0;
    let flat = SHARE * slope / alpha;
    let fading = SHARE * (intercept - slope * keep / alpha);
    for (i, value) in values.iter().enumerate() {
        let residual = value - (level + fading * power + flat);
        if i >= LEFT_OUT {
            ee += residual * residual;
            ef += residual * left;
            ff += left * left;
            e += residual;
            f += left;
        }
        level = keep * level + alpha * value;
        left *= keep;
        power *= keep;
    }
    let first = if ff > 0.0 { ef / ff } else { 0.0 };
    Trial {
        alpha,
        level: level + left * first,
        squares: larger(ee - first * ef, 0.0),
        sum: e - first * f,
    }
}

/// The weight with the least squares: the best of a grid, then by golden section around it.
fn best_trial(values: &[f64], line: (f64, f64)) -> Trial {
    const GRID: usize = 16;
    const SHRINK: f64 = 0.618_033_988_749_894_9;
    let width = (ALPHA.1 - ALPHA.0) / GRID as f64;
    let at = |alpha: f64| trial(values, line, alpha);
    let trials = (0..=GRID).map(|i| at(ALPHA.0 + width * i as f64));
    let better = |a: Trial, b: Trial| if b.squares < a.squares { b } else { a };
    let mut best = trials.reduce(better).unwrap_or_default();
    let mut low = larger(ALPHA.0, best.alpha - width);
    let mut high = -larger(-ALPHA.1, -(best.alpha + width));
    let mut inner = [high - SHRINK * (high - low), low + SHRINK * (high - low)].map(at);
    while high - low > 1e-7 {
        if inner[0].squares < inner[1].squares {
            high = inner[1].alpha;
            inner = [at(high - SHRINK * (high - low)), inner[0]];
        } else {
            low = inner[0].alpha;
            inner = [inner[1], at(low + SHRINK * (high - low))];
        }
        best = better(best, better(inner[0], inner[1]));
    }
    best
}

/// The Theta method, fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FittedTheta {
    alpha: f64,
    level: f64,
    /// The line at step 0, and its slope.
    intercept: f64,
    slope: f64,
    /// Steps seen.
    steps: usize,
    /// Standard deviation of a residual without the season.
    deviation: f64,
    /// `true` where the season is a factor.
    factor: bool,
    /// The season of step 0 and the following; empty without.
    figure: Vec<f64>,
    reach: Reach,
}

impl FittedTheta {
    fn new(rest: &[f64], kind: Kind, figure: Vec<f64>, reach: Reach) -> Self {
        let line = line(rest);
        let best = best_trial(rest, line);
        let counted = (rest.len() - LEFT_OUT) as f64;
        let spread = best.squares - best.sum * best.sum / counted;
        Self {
            alpha: best.alpha,
            level: best.level,
            intercept: line.0,
            slope: line.1,
            steps: rest.len(),
            deviation: (larger(spread, 0.0) / (counted - 1.0)).sqrt(),
            factor: kind == Kind::Multiplicative,
            figure,
            reach,
        }
    }

    /// The weight of a value.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// Standard deviation of a residual without the season. Units: those of the series.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        self.deviation
    }

    /// `true` where a season was taken out.
    #[must_use]
    pub fn is_seasonal(&self) -> bool {
        !self.figure.is_empty()
    }

    /// The line's part of the step after `steps`.
    fn drift(&self, steps: usize) -> f64 {
        let keep = 1.0 - self.alpha;
        let power = keep.powi(i32::try_from(steps).unwrap_or(i32::MAX));
        SHARE * (self.intercept * power + self.slope * (1.0 - power * keep) / self.alpha)
    }

    fn season(&self, step: usize) -> f64 {
        match self.figure.len() {
            0 => f64::from(u8::from(self.factor)),
            length => self.figure[step % length],
        }
    }

    fn with(&self, value: f64, step: usize) -> f64 {
        if self.factor {
            value * self.season(step)
        } else {
            value + self.season(step)
        }
    }

    /// The forecasts of the next steps and their standard deviations, neither limited.
    ///
    /// Units: those of the series.
    #[must_use]
    pub fn moments(&self, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        let mut level = self.level;
        let mut points = Vec::with_capacity(horizon);
        let mut spread = Vec::with_capacity(horizon);
        for ahead in 0..horizon {
            let step = self.steps + ahead;
            let point = level + self.drift(step);
            level += self.alpha * (point - level);
            points.push(self.with(point, step));
            let grown = (1.0 + ahead as f64 * self.alpha * self.alpha).sqrt();
            let scale = if self.factor { self.season(step) } else { 1.0 };
            spread.push(self.deviation * grown * scale);
        }
        (points, spread)
    }
}

impl Forecaster for FittedTheta {
    fn update(&mut self, value: Option<f64>) {
        let value = value.filter(|v| v.is_finite());
        if let Some(value) = value {
            self.reach.widen(value);
        }
        let own = value.map(|v| {
            if self.factor {
                v / self.season(self.steps)
            } else {
                v - self.season(self.steps)
            }
        });
        let value = own.unwrap_or_else(|| self.level + self.drift(self.steps));
        self.level += self.alpha * (value - self.level);
        self.steps += 1;
    }

    fn forecast(&self, horizon: usize, levels: &[f64]) -> Result<Forecast, ForecastError> {
        check_request(horizon, levels)?;
        let (points, spread) = self.moments(horizon);
        let normal: Vec<f64> = levels.iter().map(|l| normal_quantile(*l)).collect();
        let mut values = Vec::with_capacity(horizon * levels.len());
        for (point, spread) in points.iter().zip(&spread) {
            values.extend(normal.iter().map(|z| self.reach.limit(point + z * spread)));
        }
        Ok(Forecast::new(levels, values))
    }

    fn paths(&self, horizon: usize, count: usize, seed: Seed) -> Option<Paths> {
        let mut stream = child(seed, "theta paths");
        let mut values = Vec::with_capacity(horizon * count);
        for _ in 0..count {
            let mut level = self.level;
            for step in self.steps..self.steps + horizon {
                let own = level + self.drift(step) + self.deviation * normal(&mut stream);
                level += self.alpha * (own - level);
                values.push(larger(self.reach.limit(self.with(own, step)), 0.0));
            }
        }
        Some(Paths {
            steps: horizon,
            values,
        })
    }

    fn components(&self, horizon: usize) -> Vec<Component> {
        let horizon = horizon.min(HORIZON_MAX);
        let mut level = self.level;
        let mut trend = Vec::new();
        for step in self.steps..self.steps + horizon {
            let point = level + self.drift(step);
            level += self.alpha * (point - level);
            trend.push(point);
        }
        let mut parts = vec![Component {
            name: "trend".to_owned(),
            values: trend,
            factor: false,
        }];
        if self.is_seasonal() {
            let steps = self.steps..self.steps + horizon;
            parts.push(Component {
                name: format!("season of {} steps", self.figure.len()),
                values: steps.map(|step| self.season(step)).collect(),
                factor: self.factor,
            });
        }
        parts
    }

    fn summary(&self) -> String {
        let season = match (self.figure.len(), self.factor) {
            (0, _) => "no season".to_owned(),
            (length, true) => format!("season of {length} steps as a factor"),
            (length, false) => format!("season of {length} steps added"),
        };
        format!(
            "alpha {:.4}, slope {:.6} of a step, {season}",
            self.alpha,
            SHARE * self.slope
        )
    }

    fn save(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
