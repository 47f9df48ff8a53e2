//! Series of a trace: which item, which origins, what of it is missing.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use foresail_adapters::io::{Items, busiest, shown};
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::trace::TraceItem;
use foresail_models::forecast::HORIZON_MAX;
use foresail_models::forecast::backtest::Case;
use foresail_models::forecast::score::unit_of;

use super::protocol::evenly;
use crate::exit::{Code, Coded};

/// Names that are told where one is not there.
const NAMES_TOLD: usize = 8;

/// Characters of an item's name that are told.
const NAME_CHARACTERS: usize = 120;

/// Stretches of gaps that are told one by one.
const GAPS_TOLD: usize = 3;

/// Steps before the first origin without which a backtest says nothing.
const TRAINING_MIN: usize = 8;

/// The `most` busiest items of a trace, and how many there are.
///
/// # Errors
/// Where the trace cannot be read or has no item with demand.
pub fn busiest_of(
    items: &mut dyn Items,
    most: usize,
    file: &Path,
) -> Result<(Vec<TraceItem>, usize)> {
    let (mut found, of) = busiest(items, most)?;
    found.retain(|i| !i.demand.is_empty());
    if found.is_empty() {
        bail!("{}: no item has demand", file.display());
    }
    Ok((found, of))
}

/// One item of a trace by its name.
///
/// # Errors
/// Where the trace cannot be read or the item is not there; the text says which ones are.
pub fn named(items: &mut dyn Items, name: &str, file: &Path) -> Result<TraceItem> {
    let mut others = Vec::new();
    let mut of = 0;
    for item in items {
        let item = item?;
        if item.id == name {
            return Ok(item);
        }
        of += 1;
        if others.len() < NAMES_TOLD {
            others.push(shown(&item.id, NAME_CHARACTERS));
        }
    }
    let more = if of > others.len() { ", …" } else { "" };
    Err(anyhow!(
        "{}: there is no item `{}`; of {of} items there are {}{more}",
        file.display(),
        shown(name, NAME_CHARACTERS),
        others.join(", ")
    ))
}

/// What of a backtest concerns the trace.
#[derive(Clone, Debug)]
pub struct Split {
    /// Steps ahead that are scored, rising.
    pub ahead: Vec<usize>,
    /// Origins of one series.
    pub origins: usize,
    /// Share of the series that is forecast, above 0 and below 1.
    pub test_share: f64,
}

/// An item with its origins, evenly spaced over its test part.
///
/// # Errors
/// [`Code::TooLittleData`] where it is too short.
pub fn case(item: TraceItem, split: &Split) -> Result<Case> {
    let series = item.demand;
    let reach = split.ahead.last().copied().unwrap_or(1);
    let first = (series.len() as f64 * (1.0 - split.test_share)) as usize;
    let last = series.len().checked_sub(reach).filter(|l| *l >= first);
    let measured: Vec<f64> = series.iter().take(first).flatten().collect();
    let (Some(last), true) = (last, measured.len() >= TRAINING_MIN) else {
        let test = reach as f64 / split.test_share;
        let training = TRAINING_MIN as f64 / (1.0 - split.test_share);
        let needed = if test > training { test } else { training };
        return Err(Coded {
            code: Code::TooLittleData,
            message: format!(
                "{}: {} points of {} steps are too few: {reach} steps ahead with a test share of {} need about {:.0}; lower --ahead or give a longer trace",
                shown(&item.id, NAME_CHARACTERS),
                measured.len() + series.iter().skip(first).flatten().count(),
                series.len(),
                split.test_share,
                needed.ceil(),
            ),
        }
        .into());
    };
    let mut origins = evenly(first, last, split.origins);
    origins.dedup();
    Ok(Case {
        id: item.id,
        unit: unit_of(&measured),
        series,
        origins,
    })
}

/// Steps ahead: a number of steps, or a span such as `6h`.
///
/// # Errors
/// Where it is neither, none at all or more than can be told.
pub fn horizon(text: Option<&str>, step: Span) -> Result<usize> {
    /// What is shown where nothing is asked for.
    const DEFAULT: Span = Span::from_seconds(6 * 3600);
    /// At least so many steps of it.
    const STEPS_MIN: usize = 24;
    let steps_of = |span: Span| {
        let steps = span.nanos() as f64 / step.nanos().max(1) as f64;
        steps.ceil() as usize
    };
    let Some(text) = text else {
        return Ok(steps_of(DEFAULT).clamp(STEPS_MIN, HORIZON_MAX));
    };
    let steps = match text.parse::<usize>() {
        Ok(steps) => steps,
        Err(_) => {
            let span: Span = text.parse().with_context(|| {
                format!("--horizon {text}: must be a number of steps or a span")
            })?;
            steps_of(span)
        }
    };
    if steps == 0 || steps > HORIZON_MAX {
        bail!("--horizon {text}: is {steps} steps of {step}, must be 1 to {HORIZON_MAX}");
    }
    Ok(steps)
}

/// A stretch of steps without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Its first step.
    pub from: usize,
    /// Its steps.
    pub steps: usize,
}

/// Every stretch of steps without a value.
#[must_use]
pub fn gaps(series: &Series) -> Vec<Gap> {
    let mut gaps: Vec<Gap> = Vec::new();
    for (i, _) in series.iter().enumerate().filter(|(_, v)| v.is_none()) {
        match gaps.last_mut() {
            Some(gap) if gap.from + gap.steps == i => gap.steps += 1,
            _ => gaps.push(Gap { from: i, steps: 1 }),
        }
    }
    gaps
}

/// How many gaps there are and where, in a line.
#[must_use]
pub fn gaps_told(series: &Series) -> String {
    let mut all = gaps(series);
    if all.is_empty() {
        return "no gaps".to_owned();
    }
    let steps: usize = all.iter().map(|g| g.steps).sum();
    let percent = steps as f64 * 100.0 / series.len() as f64;
    let count = all.len();
    all.sort_by_key(|g| std::cmp::Reverse(g.steps));
    let at = |gap: &Gap| {
        let time: Timestamp = series.time_of(gap.from);
        format!("{} from {time}", plural(gap.steps, "step"))
    };
    let told: Vec<String> = all.iter().take(GAPS_TOLD).map(at).collect();
    let more = if count > GAPS_TOLD { ", …" } else { "" };
    format!(
        "{} without a value ({percent:.1} %) in {}: {}{more}; a gap is never read as zero: the value before it holds, or the forecaster's own state moves on",
        plural(steps, "step"),
        plural(count, "stretch"),
        told.join(", ")
    )
}

/// Says on stderr what of an item is missing; nothing where all of it is there.
pub fn tell_gaps(item: &TraceItem) {
    if item.demand.gaps() > 0 {
        let name = shown(&item.id, NAME_CHARACTERS);
        eprintln!("note: {name}: {}", gaps_told(&item.demand));
    }
}

/// Every gap holds the value before it; those at the start take the first value to come.
#[must_use]
pub fn held(series: &Series) -> Vec<f64> {
    let mut last = series.iter().flatten().next().unwrap_or(0.0);
    let hold = |v: Option<f64>| {
        last = v.unwrap_or(last);
        last
    };
    series.iter().map(hold).collect()
}

/// A count with its noun.
#[must_use]
pub fn plural(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ if noun.ends_with("tch") => format!("{count} {noun}es"),
        _ => format!("{count} {noun}s"),
    }
}
