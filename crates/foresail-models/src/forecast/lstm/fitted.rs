//! The fitted net: forecasts, rolling predictions, state as safetensors.

use std::collections::{BTreeMap, VecDeque};

use foresail_core::quantity::units::{larger, smaller};
use foresail_nn::{LANES, Row, safetensors};
use serde::{Deserialize, Serialize};

use super::net::{Net, Tape};
use super::{Lstm, Scaling};
use crate::forecast::quantile::{deviation, normal_quantile};
use crate::forecast::{Forecast, ForecastError, Forecaster, check_request};
use crate::rng::{Seed, child};

/// Key of the state in the metadata of the file.
const STATE: &str = "foresail";

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
    /// Mean squared error of each step ahead, up to the reach, over the windows kept back.
    errors: Vec<f64>,
    /// Variance of the history.
    variance: f64,
    /// The last window.
    values: VecDeque<f64>,
}

impl FittedLstm {
    pub(super) fn new(settings: &Lstm, scale: Scale, seed: Seed, net: Net, values: &[f64]) -> Self {
        let last = &values[values.len() - settings.window..];
        Self {
            own: State {
                settings: settings.clone(),
                scale,
                seed: seed.0,
                errors: vec![0.0; settings.reach],
                variance: deviation(values.iter().copied()).powi(2),
                values: last.iter().copied().collect(),
            },
            net,
        }
    }

    /// Takes the errors of each step ahead over windows that begin at `places`.
    pub(super) fn measure(&mut self, values: &[f64], places: &[usize]) {
        let State { settings, .. } = &self.own;
        let mut sums = vec![0.0; settings.reach];
        let mut tape = Tape::default();
        for some in places.chunks(LANES) {
            let windows: Vec<&[f64]> = some
                .iter()
                .map(|p| &values[*p..p + settings.window])
                .collect();
            let curves = self.curves(&windows, &mut tape);
            for (place, curve) in some.iter().zip(curves) {
                let ahead = &values[place + settings.window..];
                for ((sum, told), seen) in sums.iter_mut().zip(curve).zip(ahead) {
                    *sum += (told - seen).powi(2);
                }
            }
        }
        let mean = |sum: f64| sum / places.len().max(1) as f64;
        self.own.errors = sums.into_iter().map(mean).collect();
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

    /// Outputs of one lane as steps ahead: between two outputs on the line.
    fn curve(&self, out: &[Row<f32>], lane: usize, center: f64) -> Vec<f64> {
        let State {
            settings, scale, ..
        } = &self.own;
        let anchors = settings.anchors();
        let value = |place: usize| scale.outward(out[place][lane], center);
        let at = |ahead: usize| {
            let above = anchors.partition_point(|a| *a < ahead);
            if above == 0 || anchors[above] == ahead {
                return value(above);
            }
            let (low, high) = (anchors[above - 1], anchors[above]);
            let share = (ahead - low) as f64 / (high - low) as f64;
            value(above - 1) + share * (value(above) - value(above - 1))
        };
        (1..=settings.reach).map(at).collect()
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
        let numbers = own.errors.iter().chain(&own.values);
        let scale = [own.scale.mean, own.scale.deviation, own.variance];
        let finite = numbers.chain(&scale).all(|v| v.is_finite());
        let fits = own.errors.len() == own.settings.reach
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
        let normal: Vec<f64> = levels.iter().map(|l| normal_quantile(*l)).collect();
        let State {
            settings,
            errors,
            variance: most,
            ..
        } = &self.own;
        let mut window: Vec<f64> = self.own.values.iter().copied().collect();
        let mut tape = Tape::default();
        let mut values = Vec::with_capacity(horizon * levels.len());
        // Variance that the blocks before have left behind.
        let mut before = 0.0;
        for first in (0..horizon).step_by(settings.reach) {
            let (points, passes) = self.block(&window, &mut tape);
            for (step, point) in points.iter().enumerate().take(horizon - first) {
                let own = passes[step] + errors[step];
                let spread = smaller(before + own, larger(*most, own)).sqrt();
                values.extend(normal.iter().map(|z| point + z * spread));
            }
            before += passes[settings.reach - 1] + errors[settings.reach - 1];
            window.extend(points.iter().map(|p| larger(*p, 0.0)));
            window.drain(..settings.reach);
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
