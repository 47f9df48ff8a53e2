//! Where the search for the parameters of ETS begins.
//!
//! Source: Hyndman & Khandakar, Automatic Time Series Forecasting (2008), section 2.2: a classical
//! decomposition, then a line through the first values without their season.

use super::form::{Form, SeasonForm};
use super::state::State;
use crate::forecast::decompose::{Kind, figure};

/// Values that the first line is laid through, at least.
const LINE_MIN: usize = 10;

/// Smallest factor of a season that a search begins with.
const FACTOR_MIN: f64 = 1e-2;

/// First states for each kind of season, and the values without gaps.
#[derive(Clone, Debug)]
pub struct Starts {
    plain: State,
    additive: Option<State>,
    multiplicative: Option<State>,
}

impl Starts {
    /// Of values without gaps whose season has `steps` (1: none).
    #[must_use]
    pub fn new(filled: &[f64], steps: usize) -> Self {
        let of = |kind| figure(filled, steps, kind);
        let additive = of(Kind::Additive);
        let multiplicative = of(Kind::Multiplicative).map(|mut factors| {
            for factor in &mut factors {
                if *factor < FACTOR_MIN {
                    *factor = FACTOR_MIN;
                }
            }
            let mean = factors.iter().sum::<f64>() / steps as f64;
            factors.iter_mut().for_each(|f| *f /= mean);
            factors
        });
        let with = |season: Option<Vec<f64>>, apart: fn(f64, f64) -> f64| {
            season.map(|season| {
                let pairs = filled.iter().zip(season.iter().cycle());
                let rest: Vec<f64> = pairs.map(|(v, s)| apart(*v, *s)).collect();
                first_state(&rest, season)
            })
        };
        Self {
            plain: first_state(filled, Vec::new()),
            additive: with(additive, |v, s| v - s),
            multiplicative: with(multiplicative, |v, s| v / s),
        }
    }

    /// The first state of a form; `None` where it has none.
    #[must_use]
    pub fn of(&self, form: Form) -> Option<State> {
        let state = match form.season {
            SeasonForm::None => Some(&self.plain),
            SeasonForm::Additive => self.additive.as_ref(),
            SeasonForm::Multiplicative => self.multiplicative.as_ref(),
        };
        let mut state = state?.clone();
        if !form.has_trend() {
            // The mean of the first values, not the foot of their line.
            state.level += state.trend * line_values(usize::MAX, state.season.len()) as f64 / 2.0;
            state.trend = 0.0;
        }
        Some(state)
    }
}

fn line_values(there: usize, steps: usize) -> usize {
    LINE_MIN.max(2 * steps).min(there)
}

/// Level and slope of the least-squares line through the first values, one step before them.
fn first_state(rest: &[f64], season: Vec<f64>) -> State {
    let n = line_values(rest.len(), season.len());
    let values = &rest[..n];
    let mean = values.iter().sum::<f64>() / n as f64;
    let middle = (n as f64 + 1.0) / 2.0;
    let (mut sxy, mut sxx) = (0.0, 0.0);
    for (i, value) in values.iter().enumerate() {
        let x = i as f64 + 1.0 - middle;
        sxy += x * (value - mean);
        sxx += x * x;
    }
    let trend = if sxx > 0.0 { sxy / sxx } else { 0.0 };
    State {
        level: mean - middle * trend,
        trend,
        season,
        at: 0,
    }
}
