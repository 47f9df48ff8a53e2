//! Every proposer by name, and the one constructor of an engine.
//!
//! The simulator, the controller, replay, the command line and the tests all call
//! [`build_engine`]; help texts, reference pages and contract tests loop over [`PROPOSERS`],
//! [`FORECASTERS`] and [`CLASSIFIERS`].

use std::collections::BTreeMap;
use std::sync::Arc;

use foresail_core::engine::Engine;
use foresail_core::propose::Proposer;
use foresail_core::spec::{ProposerSpec, Spec, SpecProblem, ValidSpec};

use crate::classify::{Classifier, labeling, trained};
use crate::forecast::{
    Fit, Forecaster, auto, boosted, conformal, croston, ensemble, ets, fourier, holt_winters,
    hybrid, lstm, mstl, naive, prophet, theta,
};
use crate::knobs::{Knob, Knobs};
use crate::propose::{
    aapa, aapa_published, advised, buffered, confidence_aware, fixed, hpa, keepalive_fixed,
    keepalive_histogram, kpa, llm, oracle, persistence, policy_aware, pool, predictive,
    predictive_hpa, schedule, simple_ceiling, trial,
};
use crate::rng::Seed;
use crate::tune::{self, TunerEntry};

/// What a proposer is built from.
#[derive(Debug)]
pub struct Build<'a> {
    /// Its checked knobs.
    pub knobs: &'a Knobs,
    /// The scope that it serves.
    pub spec: &'a ValidSpec,
    /// The only source of chance.
    pub seed: Seed,
    /// Where its knobs stand in the spec.
    pub path: &'a str,
}

/// A proposer ready to be asked, or what is wrong with its knobs.
pub type Built = Result<Box<dyn Proposer>, Vec<SpecProblem>>;

/// One proposer of the registry.
#[derive(Debug)]
pub struct Entry {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Its knobs.
    pub knobs: &'static [Knob],
    /// Its constructor.
    pub build: fn(&Build<'_>) -> Built,
}

/// Every proposer.
pub static PROPOSERS: [Entry; 22] = [
    aapa::ENTRY,
    aapa_published::ENTRY,
    advised::ENTRY,
    buffered::ENTRY,
    confidence_aware::ENTRY,
    fixed::ENTRY,
    hpa::ENTRY,
    keepalive_fixed::ENTRY,
    keepalive_histogram::ENTRY,
    kpa::ENTRY,
    llm::ENTRY,
    oracle::ENTRY,
    persistence::ENTRY,
    policy_aware::ENTRY,
    pool::forecast::ENTRY,
    pool::net::ENTRY,
    pool::reactive::ENTRY,
    predictive::ENTRY,
    predictive_hpa::ENTRY,
    schedule::ENTRY,
    simple_ceiling::ENTRY,
    trial::ENTRY,
];

/// A forecaster that can be fitted, or what is wrong with its knobs together.
pub type FitBuilt = Result<Box<dyn Fit>, String>;

/// A fitted forecaster read back, or what is wrong with its state.
pub type Restored = Result<Box<dyn Forecaster>, String>;

/// One forecaster of the registry.
#[derive(Debug)]
pub struct ForecasterEntry {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Which series it is for, in one sentence.
    pub suits: &'static str,
    /// Its knobs.
    pub knobs: &'static [Knob],
    /// Its constructor, from checked knobs; the text says what is wrong with them together.
    pub build: fn(&Knobs) -> FitBuilt,
    /// Takes back what its [`Forecaster::save`] gave; the text says what is wrong.
    pub restore: fn(&[u8]) -> Restored,
}

/// Every forecaster.
pub static FORECASTERS: &[ForecasterEntry] = &[
    auto::ENTRY,
    boosted::ENTRY,
    conformal::ENTRY,
    croston::CROSTON,
    croston::TSB,
    ensemble::ENTRY,
    ets::ENTRY,
    fourier::ENTRY,
    holt_winters::ENTRY,
    hybrid::ENTRY,
    lstm::ENTRY,
    mstl::ENTRY,
    naive::DRIFT,
    naive::LAST,
    naive::SEASONAL,
    naive::SEASONAL_SCALED,
    naive::WINDOW,
    prophet::ENTRY,
    theta::ENTRY,
];

/// A classifier ready to be asked, or why it cannot be built.
pub type ClassifierBuilt = Result<Arc<dyn Classifier>, String>;

/// One classifier of the registry.
#[derive(Debug)]
pub struct ClassifierEntry {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Its constructor.
    pub build: fn() -> ClassifierBuilt,
}

/// Every classifier of archetypes.
pub static CLASSIFIERS: &[ClassifierEntry] =
    &[trained::ENTRY, labeling::RULES, labeling::RULES_PUBLISHED];

/// The classifier where none is named.
pub const DEFAULT_CLASSIFIER: &str = "boosted-trees";

/// A classifier by its name.
///
/// # Errors
/// An unknown name, and a classifier that cannot be built, with `path`.
pub fn classifier(name: &str, path: &str) -> Result<Arc<dyn Classifier>, Vec<SpecProblem>> {
    let Some(entry) = CLASSIFIERS.iter().find(|e| e.name == name) else {
        let names: Vec<&str> = CLASSIFIERS.iter().map(|e| e.name).collect();
        let problem = SpecProblem::unknown(path.to_owned(), "classifier", name, &names);
        return Err(vec![problem]);
    };
    (entry.build)().map_err(|why| vec![SpecProblem::new(path.to_owned(), why)])
}

/// Every tuner.
pub static TUNERS: &[TunerEntry] = &[
    tune::bayes::ENTRY,
    tune::grid::EXHAUSTIVE,
    tune::grid::GRID,
    tune::nelder_mead::ENTRY,
    tune::random::ENTRY,
];

/// The forecaster where none is named.
pub const DEFAULT_FORECASTER: &str = auto::ENTRY.name;

/// Forecasters whose fit takes seconds or more: a quick backtest leaves them out.
pub const SLOW_FORECASTERS: [&str; 2] = ["hybrid", "lstm"];

/// A forecaster by its name and written knobs, not fitted.
///
/// # Errors
/// An unknown name and every problem of the knobs, each with its path below `path`.
pub fn forecaster(
    name: &str,
    knobs: &BTreeMap<String, serde_json::Value>,
    path: &str,
) -> Result<Box<dyn Fit>, Vec<SpecProblem>> {
    let Some(entry) = FORECASTERS.iter().find(|e| e.name == name) else {
        let problem =
            SpecProblem::unknown(path.to_owned(), "forecaster", name, &forecaster_names());
        return Err(vec![problem]);
    };
    let knobs = Knobs::read(entry.knobs, knobs, path)?;
    (entry.build)(&knobs).map_err(|why| vec![SpecProblem::new(path.to_owned(), why)])
}

/// The names of every forecaster.
#[must_use]
pub fn forecaster_names() -> Vec<&'static str> {
    FORECASTERS.iter().map(|e| e.name).collect()
}

/// The names of every proposer.
#[must_use]
pub fn proposer_names() -> Vec<&'static str> {
    PROPOSERS.iter().map(|e| e.name).collect()
}

fn build_proposer(place: usize, written: &ProposerSpec, spec: &ValidSpec, seed: Seed) -> Built {
    let path = format!("proposers[{place}]");
    let Some(entry) = PROPOSERS.iter().find(|e| e.name == written.name) else {
        let names = proposer_names();
        let problem =
            SpecProblem::unknown(format!("{path}.name"), "proposer", &written.name, &names);
        return Err(vec![problem]);
    };
    let path = format!("{path}.knobs");
    let knobs = Knobs::read(entry.knobs, &written.knobs, &path)?;
    (entry.build)(&Build {
        knobs: &knobs,
        spec,
        seed,
        path: &path,
    })
}

/// Builds the engine of a spec; the same spec and seed give the same engine.
///
/// # Errors
/// Every problem of the proposers' names and knobs, each with its path and the mend.
pub fn build_engine(spec: &ValidSpec, seed: Seed) -> Result<Engine, Vec<SpecProblem>> {
    let mut proposers = Vec::new();
    let mut problems = Vec::new();
    for (place, written) in spec.written().proposers.iter().enumerate() {
        match build_proposer(place, written, spec, seed) {
            Ok(proposer) => proposers.push(proposer),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        Ok(Engine::new(spec.clone(), proposers))
    } else {
        Err(problems)
    }
}

/// Checks a spec whole, proposers included, and builds its engine.
///
/// # Errors
/// Every problem found, each with its path and the mend.
pub fn engine_of(spec: Spec, seed: Seed) -> Result<Engine, Vec<SpecProblem>> {
    let valid = ValidSpec::new(spec)?;
    build_engine(&valid, seed)
}
