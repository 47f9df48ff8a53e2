//! A base forecaster, and an LSTM on what it gets wrong.
//!
//! The base tells the shape of days, the net the next steps of the errors around it. Errors are out of
//! sample: the base is fitted to the history up to some origins, and each fit tells the steps up to the
//! next origin, sixty at a time, with the steps seen in between taken in; what it tells of steps
//! that it was fitted to would be too good. Quantiles are those of the net around the sum of both
//! medians; beyond the net's reach never nearer to it than the base's own.
//! Source of the idea: Zhang 2003, Time series forecasting using a hybrid ARIMA and neural network
//! model, with Prophet as the first part.

use foresail_core::quantity::series::Series;
use foresail_core::spec::SpecProblem;
use serde::{Deserialize, Serialize};

use super::lstm::{self, FittedLstm, Lstm, Scaling};
use super::{
    Component, Fit, FitError, Forecast, ForecastError, Forecaster, check_request, check_values,
};
use crate::knobs::{Kind, Knob, Knobs};
use crate::registry::{FORECASTERS, FitBuilt, ForecasterEntry, forecaster};
use crate::rng::Seed;

/// Steps that are drawn from the base at a time, to measure errors against.
const DRAWN: usize = 60;

/// Fits of the base whose errors the net learns from.
const ORIGINS: usize = 4;

const BASE_KNOB: Knob = Knob {
    name: "base",
    kind: Kind::Name { default: "prophet" },
    doc: "the forecaster whose errors the net learns, by its name",
};

/// The base, then the knobs of the net but the last, its scaling.
const KNOBS: [Knob; lstm::KNOBS.len()] = {
    let mut knobs = [BASE_KNOB; lstm::KNOBS.len()];
    let mut place = 1;
    while place < knobs.len() {
        knobs[place] = lstm::KNOBS[place - 1];
        place += 1;
    }
    knobs
};

/// The registry's entry.
pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "hybrid",
    summary: "a forecaster of the shape of days, and an LSTM on what it gets wrong",
    suits: "days that repeat, with errors that last for some steps",
    knobs: &KNOBS,
    build,
    restore: |state| Ok(Box::new(FittedHybrid::restore(state)?)),
};

fn build(knobs: &Knobs) -> FitBuilt {
    let name = knobs.word("base");
    let base = forecaster(name, &std::collections::BTreeMap::new(), "base");
    let base = base.map_err(|problems| SpecProblem::joined(&problems))?;
    let net = Lstm::of(knobs)?;
    Ok(Box::new(Hybrid::new(name, base, net)?))
}

/// The forecaster, not fitted.
#[derive(Debug)]
pub struct Hybrid {
    name: &'static str,
    base: Box<dyn Fit>,
    net: Lstm,
}

impl Hybrid {
    /// A base by its name in the registry, ready to be fitted, and the net for its errors.
    ///
    /// # Errors
    /// A base that is not in the registry, or is itself a hybrid.
    pub fn new(name: &str, base: Box<dyn Fit>, net: Lstm) -> Result<Self, String> {
        let name = entry(name)?.name;
        // Errors go back to their mean, which a window's own mean would hide.
        let net = Lstm {
            signed: true,
            scaling: Scaling::Series,
            ..net
        };
        Ok(Self { name, base, net })
    }

    /// Points without which the net has too few errors to learn from.
    fn needed(&self) -> usize {
        self.net.needed() * 3 / 2 + 1
    }
}

/// The base's entry in the registry.
fn entry(name: &str) -> Result<&'static ForecasterEntry, String> {
    let known = FORECASTERS
        .iter()
        .find(|e| e.name == name && name != ENTRY.name);
    known.ok_or_else(|| format!("base {name}: must be a forecaster that is no hybrid"))
}

impl Fit for Hybrid {
    fn fit(&self, history: &Series, seed: Seed) -> Result<Box<dyn Forecaster>, FitError> {
        check_values(history)?;
        let values: Vec<f64> = history.iter().map(|v| v.unwrap_or(f64::NAN)).collect();
        let (needed, found) = (self.needed(), history.len() - history.gaps());
        match found {
            0 => return Err(FitError::Empty),
            _ if found < needed => return Err(FitError::TooShort { needed, found }),
            _ => {}
        }
        // Errors of the last two thirds, and no more than the net takes in.
        let first = (values.len() / 3).max(values.len().saturating_sub(self.net.points_max));
        let mut errors = Vec::with_capacity(values.len() - first);
        for origin in 0..ORIGINS {
            let place = |origin: usize| first + (values.len() - first) * origin / ORIGINS;
            let known = &values[..place(origin)];
            let known = Series::new(history.start(), history.step(), known.to_vec());
            let base = self.base.fit(&known, seed).map_err(|error| match error {
                FitError::Empty => FitError::EmptyPart { steps: known.len() },
                error => error,
            })?;
            let mut told = Told::new(base);
            for value in &values[place(origin)..place(origin + 1)] {
                let error = told.error(Some(*value).filter(|v| !v.is_nan()));
                errors.push(error.or_else(|| errors.last().copied()).unwrap_or(0.0));
            }
        }
        Ok(Box::new(FittedHybrid {
            name: self.name,
            told: Told::new(self.base.fit(history, seed)?),
            net: self.net.fit_values(&errors, seed)?,
        }))
    }
}

/// A fitted base and what it last told of the steps to come.
#[derive(Debug)]
struct Told {
    base: Box<dyn Forecaster>,
    /// Medians that were drawn, the next one first.
    medians: Vec<f64>,
    /// How many of them are past.
    past: usize,
}

impl Told {
    fn new(base: Box<dyn Forecaster>) -> Self {
        let (medians, past) = (Vec::new(), 0);
        Self {
            base,
            medians,
            past,
        }
    }

    /// Takes in the next value and gives what the base got wrong; `None` for a gap.
    fn error(&mut self, value: Option<f64>) -> Option<f64> {
        if self.past >= self.medians.len() {
            self.medians = medians(self.base.as_ref(), DRAWN);
            self.past = 0;
        }
        let told = self.medians.get(self.past).copied();
        self.past += 1;
        self.base.update(value);
        Some(value? - told?)
    }
}

/// Medians of the next steps; empty where there is no forecast.
fn medians(base: &dyn Forecaster, horizon: usize) -> Vec<f64> {
    let Ok(forecast) = base.forecast(horizon, &[0.5]) else {
        return Vec::new();
    };
    let median = |ahead| forecast.median(ahead).unwrap_or(0.0);
    (1..=horizon).map(median).collect()
}

/// The forecaster, fitted.
#[derive(Debug)]
struct FittedHybrid {
    name: &'static str,
    told: Told,
    net: FittedLstm,
}

/// The first line of a state; the bytes of base and net follow.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Head {
    base: String,
    base_bytes: usize,
    medians: Vec<f64>,
    past: usize,
}

impl FittedHybrid {
    fn restore(state: &[u8]) -> Result<Self, String> {
        let end = state.iter().position(|b| *b == b'\n').ok_or("no head")?;
        let head: Head = serde_json::from_slice(&state[..end]).map_err(|e| e.to_string())?;
        let parts = state[end + 1..].split_at_checked(head.base_bytes);
        let (base, net) = parts.ok_or("it ends within the base")?;
        let finite = head.medians.iter().all(|m| m.is_finite());
        if !finite || head.medians.len() > DRAWN || head.past > DRAWN {
            return Err("what the base told does not fit".to_owned());
        }
        let entry = entry(&head.base)?;
        Ok(Self {
            name: entry.name,
            told: Told {
                base: (entry.restore)(base)?,
                medians: head.medians,
                past: head.past,
            },
            net: FittedLstm::restore(net)?,
        })
    }
}

impl Forecaster for FittedHybrid {
    fn update(&mut self, value: Option<f64>) {
        let value = value.filter(|v| v.is_finite());
        let error = self.told.error(value);
        self.net.update(error);
    }

    fn forecast(&self, horizon: usize, levels: &[f64]) -> Result<Forecast, ForecastError> {
        check_request(horizon, levels)?;
        // The median goes along, wherever it stands among the levels.
        let base_median = self.told.base.forecast(horizon, &[0.5])?;
        let base = self.told.base.forecast(horizon, levels)?;
        let net_median = self.net.quantiles(horizon, &[0.5]);
        let net = self.net.quantiles(horizon, levels);
        let mut values = Vec::with_capacity(net.len());
        for (step, net) in net.chunks_exact(levels.len()).enumerate() {
            let told = base_median.median(step + 1).unwrap_or(0.0);
            let own = base.at(step + 1).unwrap_or(&[]);
            for (quantile, own) in net.iter().zip(own) {
                let (own, away) = (own - told, quantile - net_median[step]);
                let beyond = step >= self.net.reach() && own.abs() > away.abs();
                let away = if beyond { own } else { away };
                values.push(told + net_median[step] + away);
            }
        }
        Ok(Forecast::new(levels, values))
    }

    fn components(&self, horizon: usize) -> Vec<Component> {
        let part = |name: &str, values| Component {
            name: name.to_owned(),
            values,
            factor: false,
        };
        vec![
            part(self.name, medians(self.told.base.as_ref(), horizon)),
            part("its errors", self.net.quantiles(horizon, &[0.5])),
        ]
    }

    fn summary(&self) -> String {
        let (base, net) = (self.told.base.summary(), self.net.summary());
        format!("{}: {base}; its errors: {net}", self.name)
    }

    fn save(&self) -> Vec<u8> {
        let base = self.told.base.save();
        let head = Head {
            base: self.name.to_owned(),
            base_bytes: base.len(),
            medians: self.told.medians.clone(),
            past: self.told.past,
        };
        let mut bytes = serde_json::to_vec(&head).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend(base);
        bytes.extend(self.net.save());
        bytes
    }
}
