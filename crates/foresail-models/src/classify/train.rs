//! Training of a classifier from windows whose class is told.

use foresail_core::propose::archetype::Archetype;

use super::calibrate::{Calibration, Method};
use super::features::Features;
use super::trained::{Model, places};
use crate::rng::Seed;
use crate::trees::bins::Bins;
use crate::trees::{LabelledRows, Parameters, SoftmaxTrees, softmax};

/// Number of classes.
const CLASSES: usize = Archetype::CLASSES.len();

/// A window and what it is taken for.
pub type Example = (Features, Archetype);

/// How a classifier is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How the trees are grown.
    pub parameters: Parameters,
    /// Names of the features that they may look at.
    pub features: Vec<&'static str>,
    /// How probabilities are calibrated.
    pub calibration: Method,
    /// Weight of the corrected rules' votes beside the trees.
    pub prior: f64,
    /// The only source of chance.
    pub seed: Seed,
    /// Whose labels they are; stands in the file.
    pub labels: String,
}

/// A classifier and what is to be said of its training.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The model.
    pub model: Model,
    /// Rounds that were grown, and those that were kept.
    pub rounds: [usize; 2],
    /// Windows that were learnt from, and those that stopped and calibrated.
    pub windows: [usize; 2],
    /// Classes without a window to learn from: they keep a probability near zero.
    pub missing: Vec<Archetype>,
}

/// Why no classifier came of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Too little of something.
    #[error(
        "{learnt} windows to learn from and {held} to stop and calibrate by, each must be at least {WINDOWS_MIN}; give more windows"
    )]
    TooFew {
        /// Windows to learn from.
        learnt: usize,
        /// Windows of the validation.
        held: usize,
    },
    /// Only one class.
    #[error("every window is {archetype}; at least two classes are needed to tell them apart")]
    OneClass {
        /// Which one.
        archetype: Archetype,
    },
    /// Settings that cannot be.
    #[error("{0}")]
    Settings(String),
}

/// The fewest windows that anything is learnt from.
pub const WINDOWS_MIN: usize = 40;

/// Trains a classifier; the same examples and settings give the same bytes. Idle windows are left out:
/// they are told by having no request.
///
/// # Errors
/// [`TrainError`] where windows or classes are too few, or settings cannot be.
pub fn train(
    learnt: &[Example],
    held: &[Example],
    settings: &Settings,
) -> Result<Outcome, TrainError> {
    let is_class = |e: &&Example| e.1.place().is_some() && !e.0.corrected.idle;
    let learnt: Vec<&Example> = learnt.iter().filter(is_class).collect();
    let held: Vec<&Example> = held.iter().filter(is_class).collect();
    if learnt.len() < WINDOWS_MIN || held.len() < WINDOWS_MIN {
        return Err(TrainError::TooFew {
            learnt: learnt.len(),
            held: held.len(),
        });
    }
    if !(0.0..=1.0).contains(&settings.prior) {
        let why = "the weight of the prior must be from 0 to 1".to_owned();
        return Err(TrainError::Settings(why));
    }
    let missing = missing(&learnt);
    if let Some(only) = only_class(&missing) {
        return Err(TrainError::OneClass { archetype: only });
    }
    let places = places(&settings.features).map_err(TrainError::Settings)?;
    let rows: Vec<&Example> = learnt.iter().chain(&held).copied().collect();
    let column = |place: &usize| rows.iter().map(|e| e.0.row()[*place]).collect();
    let columns: Vec<Vec<f64>> = places.iter().map(column).collect();
    let labels: Vec<u8> = rows.iter().map(|e| label(e) as u8).collect();
    // The bins know the windows learnt from alone.
    let known = |column: &Vec<f64>| column[..learnt.len()].to_vec();
    let bins = Bins::of(&columns.iter().map(known).collect::<Vec<_>>());
    let trained = SoftmaxTrees::fit(
        &LabelledRows {
            bins: &bins,
            features: &bins.bin(&columns),
            labels: &labels,
            classes: CLASSES,
            learnt: learnt.len(),
        },
        &settings.parameters,
        settings.seed,
    )
    .map_err(TrainError::Settings)?;
    let shares = held.iter().map(|e| {
        let mut shares = trained.trees.scores(&Model::row(&e.0, &places));
        softmax(&mut shares);
        Model::blend(&mut shares, &e.0, settings.prior);
        shares
    });
    let (shares, came): (Vec<_>, Vec<_>) =
        (shares.collect(), held.iter().map(|e| label(e)).collect());
    Ok(Outcome {
        rounds: [trained.rounds, trained.kept],
        windows: [learnt.len(), held.len()],
        model: Model {
            features: settings.features.clone(),
            labels: settings.labels.clone(),
            calibration: Calibration::fit(settings.calibration, &shares, &came),
            trees: trained.trees,
            prior: settings.prior,
        },
        missing,
    })
}

fn label(example: &Example) -> usize {
    example.1.place().unwrap_or(0)
}

fn missing(examples: &[&Example]) -> Vec<Archetype> {
    let has = |class: &Archetype| examples.iter().any(|e| e.1 == *class);
    Archetype::CLASSES.into_iter().filter(|c| !has(c)).collect()
}

/// The one class that is there, where there is only one.
fn only_class(missing: &[Archetype]) -> Option<Archetype> {
    let mut there = Archetype::CLASSES
        .into_iter()
        .filter(|c| !missing.contains(c));
    there.next().filter(|_| there.next().is_none())
}
