//! Forecasters as they were asked for: names, and knobs as texts.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use foresail_core::spec::SpecProblem;
use foresail_models::forecast::Fit;
use foresail_models::knobs::Kind;
use foresail_models::registry::{
    DEFAULT_FORECASTER, FORECASTERS, ForecasterEntry, SLOW_FORECASTERS, forecaster,
    forecaster_names,
};
use serde_json::{Value, json};

/// The knob of every forecaster that has a season.
pub const SEASON_KNOB: &str = "seasonSteps";

/// A knob as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnobText {
    /// The forecaster; empty where the command has one alone.
    pub forecaster: String,
    /// The knob.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Reads `KNOB=VALUE`.
///
/// # Errors
/// Where there is no `=`.
pub fn knob(text: &str) -> Result<KnobText, String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("write KNOB=VALUE, such as seasonSteps=1440")?;
    Ok(KnobText {
        forecaster: String::new(),
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

/// Reads `NAME.KNOB=VALUE`.
///
/// # Errors
/// Where there is no `.` before the `=`.
pub fn knob_of(text: &str) -> Result<KnobText, String> {
    let form = "write NAME.KNOB=VALUE, such as ets.form=AAN";
    let (name, value) = text.split_once('=').ok_or(form)?;
    let (forecaster, name) = name.split_once('.').ok_or(form)?;
    Ok(KnobText {
        forecaster: forecaster.to_owned(),
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

/// A forecaster of the registry.
///
/// # Errors
/// An unknown name, with those that are known; `flag` is where it was written.
pub fn entry(name: &str, flag: &str) -> Result<&'static ForecasterEntry> {
    let found = FORECASTERS.iter().find(|e| e.name == name);
    found.ok_or_else(|| {
        let known = forecaster_names();
        anyhow!("{}", SpecProblem::unknown(flag, "forecaster", name, &known))
    })
}

/// A value as its knob's kind has it; what does not fit stays a text, for the check to refuse.
fn value(entry: &ForecasterEntry, knob: &KnobText) -> Value {
    let kind = entry.knobs.iter().find(|k| k.name == knob.name);
    let text = &knob.value;
    match kind.map(|k| k.kind) {
        Some(Kind::Number { .. } | Kind::Whole { .. }) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => json!(number),
            _ => json!(text),
        },
        Some(Kind::List | Kind::Map | Kind::Flag { .. }) => {
            serde_json::from_str(text).unwrap_or_else(|_| json!(text))
        }
        Some(Kind::Word { .. } | Kind::Name { .. }) | None => json!(text),
    }
}

/// A forecaster with its knobs, not fitted; `season` is for those that have one and were not told.
///
/// # Errors
/// An unknown name, an unknown knob and a value out of its range.
pub fn built(name: &str, knobs: &[KnobText], season: usize, flag: &str) -> Result<Box<dyn Fit>> {
    let entry = entry(name, flag)?;
    let mut given: BTreeMap<String, Value> = BTreeMap::new();
    if season > 0 && entry.knobs.iter().any(|k| k.name == SEASON_KNOB) {
        given.insert(SEASON_KNOB.to_owned(), json!(season));
    }
    for knob in knobs {
        given.insert(knob.name.clone(), value(entry, knob));
    }
    let path = format!("--knob {name}");
    forecaster(name, &given, &path)
        .map_err(|problems| anyhow!("{}", SpecProblem::joined(&problems)))
}

/// Refuses a knob of a forecaster that is not among those that run.
///
/// # Errors
/// Where there is one.
pub fn each_has_its_forecaster(knobs: &[KnobText], names: &[String]) -> Result<()> {
    for knob in knobs {
        if !names.contains(&knob.forecaster) {
            bail!(
                "--knob {}.{}: {} does not run here; those that do: {}",
                knob.forecaster,
                knob.name,
                knob.forecaster,
                names.join(", ")
            );
        }
    }
    Ok(())
}

/// The forecasters whose fit is quick, the default last.
#[must_use]
pub fn quick() -> Vec<String> {
    let names = forecaster_names().into_iter();
    let quick = names.filter(|n| *n != DEFAULT_FORECASTER && !SLOW_FORECASTERS.contains(n));
    quick
        .chain([DEFAULT_FORECASTER])
        .map(str::to_owned)
        .collect()
}
