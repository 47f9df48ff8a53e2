//! What each model says about each minute of the test, under the published rules and corrected ones.
//!
//! Published: Prophet is fitted once to the first week and asked for the whole second one, and is
//! handed the true events of that week, which no one can know; the net is fitted once and rolled.
//! Corrected: a model is fitted again every so many minutes to all demand before, sees no event, and
//! is asked for the minute in which a container that is asked for at once will first serve.

use anyhow::{Context, Result};
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::forecast::prophet::{Mode, Prophet, Regressor, Rows, Standardise};
use foresail_models::forecast::{Fit, Forecaster};
use foresail_models::rng::Seed;

use super::replay::Told;
use super::trace::Trace;

/// The median, and the upper end of an 80 % band.
const LEVELS: [f64; 2] = [0.5, 0.9];

fn series(trace: &Trace, until: usize) -> Series {
    let demand = trace.demand[..until].to_vec();
    Series::new(trace.start, Span::from_seconds(60), demand)
}

fn events(trace: &Trace, minutes: std::ops::Range<usize>) -> Vec<f64> {
    trace.events[minutes]
        .iter()
        .map(|e| f64::from(u8::from(*e)))
        .collect()
}

/// Prophet as published: one fit, one forecast of the whole test, its true events handed over.
///
/// # Errors
/// Where the model cannot be fitted.
pub(super) fn published_prophet(trace: &Trace) -> Result<Vec<Told>> {
    let times: Vec<Timestamp> = (0..trace.demand.len()).map(|i| trace.time_of(i)).collect();
    let known = trace.events.contains(&true);
    let regressor = Regressor {
        name: "is_event".to_owned(),
        scale: 10.0,
        mode: Mode::Additive,
        standardise: Standardise::Auto,
    };
    let settings = Prophet {
        regressors: if known { vec![regressor] } else { Vec::new() },
        ..Prophet::default()
    };
    let of = |minutes| {
        if known {
            vec![events(trace, minutes)]
        } else {
            Vec::new()
        }
    };
    let past = of(0..trace.split);
    let rows = Rows {
        times: &times[..trace.split],
        regressors: &past,
        ..Rows::default()
    };
    let model = settings.fit_rows(&rows, &trace.demand[..trace.split]);
    let model = model.context("Prophet cannot be fitted to the first half of the trace")?;
    let future = of(trace.split..trace.demand.len());
    let rows = Rows {
        times: &times[trace.split..],
        regressors: &future,
        ..Rows::default()
    };
    let told = model.quantiles(&rows, &LEVELS, Seed::default());
    let told = told.chunks_exact(LEVELS.len());
    Ok(told
        .map(|t| Told {
            middle: t[0],
            upper: t[1],
        })
        .collect())
}

/// Minute by minute, each time with what came before: for each lead, one value per minute.
///
/// Shapes: leads × minutes of the test; entry i of a lead is about minute i + lead, from demand
/// before minute i. Fitted every `refit` minutes, or once.
///
/// # Errors
/// Where the model cannot be fitted.
pub(super) fn rolled(
    model: &dyn Fit,
    trace: &Trace,
    refit: Option<usize>,
    leads: &[usize],
    seed: Seed,
) -> Result<Vec<Vec<Told>>> {
    let minutes = trace.demand.len() - trace.split;
    let reach = leads.iter().copied().max().unwrap_or(0) + 1;
    let mut told = vec![Vec::with_capacity(minutes); leads.len()];
    let mut fitted: Option<Box<dyn Forecaster>> = None;
    for minute in 0..minutes {
        let now = trace.split + minute;
        let due = refit.is_some_and(|every| minute % every == 0);
        let forecaster = match &mut fitted {
            Some(forecaster) if !due => forecaster,
            place => {
                let fit = model.fit(&series(trace, now), seed);
                place.insert(fit.context("a model cannot be fitted to the trace")?)
            }
        };
        let forecast = forecaster.forecast(reach, &LEVELS)?;
        for (told, lead) in told.iter_mut().zip(leads) {
            let step = forecast.at(lead + 1).context("the forecast is too short")?;
            told.push(Told {
                middle: step[0],
                upper: step[1],
            });
        }
        forecaster.update(Some(trace.demand[now]));
    }
    Ok(told)
}

/// Errors of the forecasts themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Errors {
    /// Mean absolute error.
    pub(super) mae: f64,
    /// Root of the mean squared error.
    pub(super) rmse: f64,
    /// Mean absolute error over demand in percent, minutes without demand left out.
    pub(super) mape: f64,
    /// Mean absolute error over the mean of forecast and demand in percent.
    pub(super) smape: f64,
}

/// Errors of what was told `startup` minutes ahead.
///
/// Units: requests per minute, and percent.
#[must_use]
pub(super) fn errors(told: &[Told], demand: &[f64], startup: usize) -> Errors {
    let pairs = || {
        told.iter()
            .map(|t| t.middle)
            .zip(demand.iter().skip(startup))
    };
    let n = pairs().count().max(1) as f64;
    let mean = |f: fn((f64, &f64)) -> f64| pairs().map(f).sum::<f64>() / n;
    let shares = pairs()
        .filter(|(_, y)| **y != 0.0)
        .map(|(t, y)| (t - y).abs() / y);
    let counted = shares.clone().count().max(1) as f64;
    Errors {
        mae: mean(|(t, y)| (t - y).abs()),
        rmse: mean(|(t, y)| (t - y).powi(2)).sqrt(),
        mape: 100.0 * shares.sum::<f64>() / counted,
        smape: mean(|(t, y)| {
            let middle = 0.5 * (t.abs() + y.abs());
            if middle > 0.0 {
                100.0 * (t - y).abs() / middle
            } else {
                0.0
            }
        }),
    }
}
