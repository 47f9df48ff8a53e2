//! The fitted net: forecasts, rolling predictions, state as safetensors.

use std::collections::{BTreeMap, VecDeque};

use foresail_core::quantity::units::{larger, smaller};
use foresail_nn::{LANES, Row, safetensors};
use serde::{Deserialize, Serialize};

use super::net::{Net, Tape};
use super::{Lstm, Scaling};
use crate::forecast::quantile::{deviation, of_sorted};
use crate::forecast::{Forecast, ForecastError, Forecaster, check_request};
use crate::rng::{Seed, child};

/// Key of the state in the metadata of the file.
const STATE: &str = "foresail";

/// Quantiles of errors that are kept for a step ahead: every hundredth from the least to the most.
const QUANTILES: usize = 101;

/// Windows kept back over which the passes are averaged.
const DOUBT_WINDOWS: usize = 64;

/// The least factor by which passes that agree draw a band together: half.
const FACTOR_MIN: f64 = 0.5;

/// How values become what the net sees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Scale {
    pub(super) scaling: Scaling,
    pub(super) mean: f64,
    pub(super) deviation: f64,
}

impl Scale {
    fn center(&self, window: &[f64]) -> f64 {
        match self.scaling {
            Scaling::Window => window.iter().sum::<f64>() / window.len() as f64,
            Scaling::Series => self.mean,
            Scaling::None => 0.0,
        }
    }

    /// A value as the net sees it.
    pub(super) fn inward(&self, value: f64, center: f64) -> f32 {
        ((value - center) / self.deviation) as f32
    }

    fn outward(&self, value: f32, center: f64) -> f64 {
        f64::from(value) * self.deviation + center
    }

    /// Writes a window into a lane and gives its center.
    pub(super) fn put(&self, window: &[f64], lane: usize, rows: &mut [Row<f32>]) -> f64 {
        let center = self.center(window);
        for (row, value) in rows.iter_mut().zip(window) {
            row[lane] = self.inward(*value, center);
        }
        center
    }
}

/// A fitted LSTM.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedLstm {
    own: State,
    net: Net,
}

/// All but the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct State {
    settings: Lstm,
    scale: Scale,
    seed: u64,
    /// Errors over the windows kept back, for each mark.
    errors: Vec<Errors>,
    /// Variance of the history.
    variance: f64,
    /// The last window.
    values: VecDeque<f64>,
}

/// Errors of one step ahead: seen less told, without dropout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Errors {
    /// Their mean square.
    square: f64,
    /// Mean variance of the passes with dropout.
    doubt: f64,
    /// Their quantiles, [`QUANTILES`] of them.
    quantiles: Vec<f64>,
}

impl Errors {
    fn of(mut errors: Vec<f64>, doubt: f64) -> Self {
        errors.sort_by(f64::total_cmp);
        let count = errors.len().max(1) as f64;
        let level = |i: usize| i as f64 / (QUANTILES - 1) as f64;
        Self {
            square: errors.iter().map(|e| e * e).sum::<f64>() / count,
            doubt,
            quantiles: (0..QUANTILES)
                .map(|i| of_sorted(&errors, level(i)))
                .collect(),
        }
    }

    fn is_finite(&self) -> bool {
        let rise = self.quantiles.is_sorted();
        let squares = self.square >= 0.0 && self.doubt >= 0.0;
        let finite = self.square.is_finite() && self.doubt.is_finite();
        squares && finite && rise && self.quantiles.iter().all(|q| q.is_finite())
    }
}

impl FittedLstm {
    pub(super) fn new(settings: &Lstm, scale: Scale, seed: Seed, net: Net, values: &[f64]) -> Self {
        let last = &values[values.len() - settings.window..];
        Self {
            own: State {
                settings: settings.clone(),
                scale,
                seed: seed.0,
                errors: Vec::new(),
                variance: deviation(values.iter().copied()).powi(2),
                values: last.iter().copied().collect(),
            },
            net,
        }
    }

    /// Takes the errors of each mark over windows that begin at `places`.
    pub(super) fn measure(&mut self, values: &[f64], places: &[usize]) {
        let (window, marks) = (self.own.settings.window, self.own.settings.marks());
        let mut errors = vec![Vec::with_capacity(places.len()); marks.len()];
        let mut tape = Tape::default();
        for some in places.chunks(LANES) {
            let windows: Vec<&[f64]> = some.iter().map(|p| &values[*p..p + window]).collect();
            let curves = self.curves(&windows, &mut tape);
            for (place, curve) in some.iter().zip(curves) {
                for (errors, mark) in errors.iter_mut().zip(&marks) {
                    errors.push(values[place + window + mark - 1] - curve[mark - 1]);
                }
            }
        }
        let doubt = self.doubt(values, places, &mut tape);
        let both = errors.into_iter().zip(&marks);
        self.own.errors = both.map(|(e, m)| Errors::of(e, doubt[m - 1])).collect();
    }

    /// Mean variance of the passes over some of the windows that begin at `places`, step by step.
    fn doubt(&self, values: &[f64], places: &[usize], tape: &mut Tape) -> Vec<f64> {
        let reach = self.own.settings.reach;
        let stride = places.len().div_ceil(DOUBT_WINDOWS).max(1);
        let mut sums = vec![0.0; reach];
        let some: Vec<usize> = places.iter().copied().step_by(stride).collect();
        for place in &some {
            let window = &values[*place..place + self.own.settings.window];
            let (_, passes) = self.block(window, tape);
            for (sum, variance) in sums.iter_mut().zip(passes) {
                *sum += variance;
            }
        }
        let mean = |sum: f64| sum / some.len().max(1) as f64;
        sums.into_iter().map(mean).collect()
    }

    /// What the net tells after each of at most [`LANES`] windows, step by step up to the reach.
    fn curves(&self, windows: &[&[f64]], tape: &mut Tape) -> Vec<Vec<f64>> {
        let State {
            settings, scale, ..
        } = &self.own;
        let mut x = vec![[0.0; LANES]; settings.window];
        let put = |(lane, window): (usize, &&[f64])| scale.put(window, lane, &mut x);
        let centers: Vec<f64> = windows.iter().enumerate().map(put).collect();
        let out = self.net.predict(&x, tape);
        let lanes = centers.into_iter().enumerate();
        lanes
            .map(|(lane, center)| self.curve(out, lane, center))
            .collect()
    }

    /// Outputs of one lane as steps ahead.
    fn curve(&self, out: &[Row<f32>], lane: usize, center: f64) -> Vec<f64> {
        let State {
            settings, scale, ..
        } = &self.own;
        let value = |place: usize| scale.outward(out[place][lane], center);
        between(&settings.anchors(), settings.reach, value)
    }

    /// Quantiles of the errors at one level and their mean square, step by step up to the reach.
    fn errors_at(&self, level: f64) -> Vec<f64> {
        let State {
            settings, errors, ..
        } = &self.own;
        let value = |place: usize| of_sorted(&errors[place].quantiles, level);
        between(&settings.marks(), settings.reach, value)
    }

    /// Mean square of the errors and mean variance of the passes, step by step up to the reach.
    fn averages(&self) -> [Vec<f64>; 2] {
        let State {
            settings, errors, ..
        } = &self.own;
        let (marks, reach) = (settings.marks(), settings.reach);
        let square = between(&marks, reach, |place| errors[place].square);
        [square, between(&marks, reach, |place| errors[place].doubt)]
    }

    /// Steps ahead after one window, and the variance of passes with dropout.
    fn block(&self, window: &[f64], tape: &mut Tape) -> (Vec<f64>, Vec<f64>) {
        let State {
            settings, scale, ..
        } = &self.own;
        let mut x = vec![[0.0; LANES]; settings.window];
        let center = scale.center(window);
        for lane in 0..LANES {
            scale.put(window, lane, &mut x);
        }
        let point = self.curve(self.net.predict(&x, tape), 0, center);
        let mut variance = vec![0.0; settings.reach];
        if settings.passes < 2 || settings.dropout <= 0.0 {
            return (point, variance);
        }
        let mut stream = child(Seed(self.own.seed), "lstm passes");
        let mut curves: Vec<Vec<f64>> = Vec::with_capacity(settings.passes);
        while curves.len() < settings.passes {
            let lanes = (settings.passes - curves.len()).min(LANES);
            let out = self.net.again(&x, &mut stream, tape);
            curves.extend((0..lanes).map(|lane| self.curve(out, lane, center)));
        }
        for (step, variance) in variance.iter_mut().enumerate() {
            *variance = deviation(curves.iter().map(|c| c[step])).powi(2);
        }
        (point, variance)
    }

    /// What the net tells for each step from `first` on, each from the window before it.
    ///
    /// Step i sees `values[..i]` and nothing later; with a target of k steps it is the mean of
    /// i … i + k − 1, else step i itself. Empty where `first` is less than a window.
    /// Units: those of the values.
    #[must_use]
    pub fn rolling(&self, values: &[f64], first: usize) -> Vec<f64> {
        let window = self.own.settings.window;
        let Some(begin) = first.checked_sub(window) else {
            return Vec::new();
        };
        let end = values.len().saturating_sub(window);
        let places: Vec<usize> = (begin..end).collect();
        let mut tape = Tape::default();
        let mut told = Vec::with_capacity(places.len());
        for some in places.chunks(LANES) {
            let windows: Vec<&[f64]> = some.iter().map(|p| &values[*p..p + window]).collect();
            let curves = self.curves(&windows, &mut tape);
            told.extend(curves.iter().map(|c| larger(c[0], 0.0)));
        }
        told
    }

    /// How many numbers the net has learnt.
    #[must_use]
    pub fn parameters(&self) -> usize {
        use foresail_nn::Layer;
        self.net.count()
    }

    /// Reads what [`Forecaster::save`] gave; the text says what is wrong.
    ///
    /// # Errors
    /// A file that is damaged, or whose settings, shapes and numbers do not fit together.
    pub fn restore(bytes: &[u8]) -> Result<Self, String> {
        let file = safetensors::read(bytes).map_err(|e| e.to_string())?;
        let state = file.metadata.get(STATE).ok_or("it has no settings")?;
        let own: State = serde_json::from_str(state).map_err(|e| e.to_string())?;
        own.settings.check()?;
        let scale = [own.scale.mean, own.scale.deviation, own.variance];
        let finite = own.values.iter().chain(&scale).all(|v| v.is_finite())
            && own.errors.iter().all(Errors::is_finite);
        let of_marks = |e: &Errors| e.quantiles.len() == QUANTILES;
        let fits = own.errors.len() == own.settings.marks().len()
            && own.errors.iter().all(of_marks)
            && own.values.len() == own.settings.window
            && own.scale.deviation > 0.0;
        if !(finite && fits) {
            return Err("its numbers do not fit its settings".to_owned());
        }
        let mut net = Net::new(&own.settings, &mut child(Seed(0), "lstm weights"));
        safetensors::load(&mut net, &file).map_err(|e| e.to_string())?;
        Ok(Self { own, net })
    }
}

impl Forecaster for FittedLstm {
    fn update(&mut self, value: Option<f64>) {
        let values = &mut self.own.values;
        let last = values.back().copied().unwrap_or(0.0);
        values.push_back(value.filter(|v| v.is_finite()).unwrap_or(last));
        values.pop_front();
    }

    fn forecast(&self, horizon: usize, levels: &[f64]) -> Result<Forecast, ForecastError> {
        check_request(horizon, levels)?;
        let reach = self.own.settings.reach;
        let errors = LevelErrors {
            at: levels.iter().map(|l| self.errors_at(*l)).collect(),
            median: self.errors_at(0.5),
        };
        let [squares, doubt] = self.averages();
        let mut window: Vec<f64> = self.own.values.iter().copied().collect();
        let mut tape = Tape::default();
        let mut values = Vec::with_capacity(horizon * levels.len());
        // Variance that the blocks before have left behind.
        let mut before = 0.0;
        for first in (0..horizon).step_by(reach) {
            let (points, passes) = self.block(&window, &mut tape);
            for (step, point) in points.iter().enumerate().take(horizon - first) {
                let room = larger(self.own.variance - squares[step], 0.0);
                let more = passes[step] - doubt[step] + smaller(before, room);
                values.extend(errors.around(*point, step, factor(squares[step], more)));
            }
            before += squares[reach - 1];
            window.extend(points.iter().map(|p| larger(*p, 0.0)));
            window.drain(..reach);
        }
        Ok(Forecast::new(levels, values))
    }

    fn summary(&self) -> String {
        let s = &self.own.settings;
        let target = if s.mean { "their mean" } else { "each" };
        format!(
            "window {}, {} layer(s) of {} units, {} parameters, {} steps ahead ({target})",
            s.window,
            s.layers,
            s.hidden,
            self.parameters(),
            s.reach
        )
    }

    fn save(&self) -> Vec<u8> {
        let state = serde_json::to_string(&self.own).unwrap_or_default();
        safetensors::write(&self.net, &BTreeMap::from([(STATE.to_owned(), state)]))
    }
}

/// Errors at the levels of a forecast.
struct LevelErrors {
    /// Level by level, each step by step.
    at: Vec<Vec<f64>>,
    median: Vec<f64>,
}

impl LevelErrors {
    /// Quantiles around a point, the band `factor` times as wide as that of the errors.
    fn around(&self, point: f64, step: usize, factor: f64) -> impl Iterator<Item = f64> {
        let median = self.median[step];
        let at = self.at.iter();
        at.map(move |at| point + median + factor * (at[step] - median))
    }
}

/// How much wider a band is with `more` variance than errors of mean `square` have.
fn factor(square: f64, more: f64) -> f64 {
    if square <= 0.0 {
        return 1.0;
    }
    larger(1.0 + more / square, FACTOR_MIN * FACTOR_MIN).sqrt()
}

/// Values at some steps as values at all of them up to `reach`: on the line between neighbours.
fn between(marks: &[usize], reach: usize, value: impl Fn(usize) -> f64) -> Vec<f64> {
    let at = |ahead: usize| {
        let above = marks.partition_point(|m| *m < ahead);
        if above == 0 || marks[above] == ahead {
            return value(above);
        }
        let (low, high) = (marks[above - 1], marks[above]);
        let share = (ahead - low) as f64 / (high - low) as f64;
        value(above - 1) + share * (value(above) - value(above - 1))
    };
    (1..=reach).map(at).collect()
}
