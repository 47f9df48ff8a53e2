//! Archetypes told from windows of demand.
//!
//! A window is an hour of counts, one a minute. A classifier is one file here and one line in
//! [`crate::registry::CLASSIFIERS`].

pub mod calibrate;
pub mod features;
pub mod label_model;
pub mod labeling;
pub mod reliability;
pub mod saved;
pub mod split;
pub mod train;
pub mod trained;
pub mod vote_report;
pub mod window;

use std::fmt::Debug;

use foresail_core::propose::archetype::Archetype;

/// Steps of a window; source: specs of AAPA, 60 samples of a minute.
pub const WINDOW: usize = 60;

/// Steps between the begins of two windows.
pub const STRIDE: usize = 10;

/// A window of demand: counts a step, finite and not below zero.
pub type Window = [f64; WINDOW];

/// What a classifier says of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The class that is most likely, or Idle.
    pub archetype: Archetype,
    /// Probability of each of [`Archetype::CLASSES`]; they sum to one, all equal for Idle.
    pub scores: [f64; 4],
    /// How sure it is of `archetype`, from 0 to 1.
    pub confidence: f64,
}

/// One feature's part in a verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// The feature.
    pub feature: &'static str,
    /// Its value in the window; `None` where it has none.
    pub value: Option<f64>,
    /// What it adds to the raw score of the class that was chosen.
    pub share: f64,
}

/// Tells the archetype of a window; knows nothing of scaling.
pub trait Classifier: Send + Sync + Debug {
    /// The verdict of one window.
    fn verdict(&self, window: &Window) -> Verdict;

    /// The features that decided, the strongest first; empty where it cannot tell.
    fn contributions(&self, _window: &Window) -> Vec<Contribution> {
        Vec::new()
    }
}
