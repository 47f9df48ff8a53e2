//! Fan charts: of a forecast to come, and of an origin of a backtest beside what came.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use foresail_adapters::atomic::write_file;
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Span;
use foresail_models::forecast::backtest::{Case, Plan, history};
use foresail_models::forecast::{Forecast, HORIZON_MAX, LEVELS};
use foresail_web::forecast::{Fan, draw};
use foresail_web::png;

use super::backtest::Method;
use super::place::refuse_foreign;

/// Steps ahead that a chart of a backtest has at least.
const AHEAD_MIN: usize = 24;

/// Steps of history in a chart for each step ahead.
const PAST_PER_AHEAD: usize = 2;

/// A step in words.
#[must_use]
pub fn step_text(step: Span) -> String {
    let seconds = step.whole_seconds();
    match () {
        () if step.nanos() % 1_000_000_000 != 0 || seconds == 0 => step.to_string(),
        () if seconds % 86_400 == 0 => format!("{} d", seconds / 86_400),
        () if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        () if seconds % 60 == 0 && seconds < 7200 => format!("{} min", seconds / 60),
        () if seconds >= 7200 => format!("{:.1} h", seconds as f64 / 3600.0),
        () => format!("{seconds} s"),
    }
}

/// The fan of a forecast that follows the end of a history.
#[must_use]
pub fn fan(title: String, series: &Series, end: usize, forecast: &Forecast) -> Fan {
    let steps = forecast.steps();
    let first = end.saturating_sub(steps * PAST_PER_AHEAD);
    let quantiles = (1..=steps).filter_map(|a| forecast.at(a).map(<[f64]>::to_vec));
    Fan {
        title,
        unit: format!("demand per step of {}", step_text(series.step())),
        start: series.time_of(first),
        step: series.step(),
        past: (first..end).map(|i| series.get(i)).collect(),
        levels: forecast.levels().to_vec(),
        quantiles: quantiles.collect(),
        truth: (end..series.len().min(end + steps))
            .map(|i| series.get(i))
            .collect(),
    }
}

/// The fan of the middle origin of a case.
///
/// # Errors
/// Where the fit or the forecast fails there, or the case has no origin.
pub fn of_case(method: &Method, case: &Case, plan: &Plan) -> Result<Fan> {
    let origin = case.origins.get(case.origins.len() / 2);
    let origin = *origin.with_context(|| format!("{}: no origin", case.id))?;
    let seen = history(&case.series, origin, method.window.unwrap_or(plan.window));
    let fitted = method.fit.fit(&seen, plan.seed)?;
    let reach = plan.ahead.last().copied().unwrap_or(1);
    let forecast = fitted.forecast(reach.clamp(AHEAD_MIN, HORIZON_MAX), &LEVELS)?;
    let title = format!("{} by {}", case.id, method.name);
    Ok(fan(title, &case.series, origin, &forecast))
}

/// A picture by the ending of its name, `.svg` or `.png`.
///
/// # Errors
/// Where the drawing cannot be made into a picture.
pub fn picture(fan: &Fan, ending: &str) -> Result<Vec<u8>> {
    drawn(&draw(fan).standalone(&fan.title), ending)
}

/// The bytes of a drawing by the ending of its name, `svg` or `png`.
///
/// # Errors
/// Where it cannot be made into a picture.
pub fn drawn(svg: &str, ending: &str) -> Result<Vec<u8>> {
    match ending {
        "svg" => Ok(svg.as_bytes().to_vec()),
        _ => Ok(png::render(svg, &png::fonts())?),
    }
}

/// The ending of a picture's name.
///
/// # Errors
/// Where it is neither `.svg` nor `.png`.
pub fn ending(path: &Path) -> Result<&'static str> {
    let written = path.extension().and_then(|e| e.to_str());
    let known = ["svg", "png"].into_iter().find(|e| written == Some(e));
    known.ok_or_else(|| anyhow!("--out {}: must end in .svg or .png", path.display()))
}

/// The ending of a picture's name, where that place may be written over.
///
/// # Errors
/// Where it is neither `.svg` nor `.png`, or holds something else than such a picture.
pub fn place(path: &Path) -> Result<&'static str> {
    let ending = ending(path)?;
    let begins: &[&[u8]] = match ending {
        "svg" => &[b"<svg", b"<?xml"],
        _ => &[b"\x89PNG"],
    };
    refuse_foreign(path, &format!("{ending} picture"), begins)?;
    Ok(ending)
}

/// Writes a fan as a picture; it is there whole or not at all.
///
/// # Errors
/// Where the name's ending is not known, or the place cannot be written or holds something else.
pub fn write(fan: &Fan, path: &Path) -> Result<()> {
    let bytes = picture(fan, place(path)?)?;
    Ok(write_file(path, |w| w.write_all(&bytes))?)
}

/// A name as that of a file: what is neither letter nor digit becomes `-`.
///
/// # Errors
/// Where nothing is left.
pub fn file_name(parts: &[&str]) -> Result<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let whole: String = parts.join("-").chars().map(plain).collect();
    let words: Vec<&str> = whole.split('-').filter(|w| !w.is_empty()).collect();
    let mut name = words.join("-");
    // What tells it apart stands at its end.
    name.drain(..name.len().saturating_sub(120));
    if name.is_empty() {
        bail!("{parts:?}: no letter that a file's name could have");
    }
    Ok(name)
}
