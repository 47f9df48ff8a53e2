//! Tuners: sequential experiments over the settings of a workflow's stages.
//!
//! A tuner is deterministic: told the same measurements in the same order it asks for the same
//! trials, so a journal of them resumes it. A new tuner is one file here and one line in
//! [`TUNERS`](crate::registry::TUNERS).

pub mod axes;
pub mod bayes;
pub mod grid;
pub mod nelder_mead;
pub mod random;
pub mod space;
pub mod told;

use foresail_core::propose::advice::Tuner;

use crate::knobs::{Knob, Knobs};
use crate::rng::Seed;
use space::Space;

/// How often a tuner asks that has no batches; by default as often as the published one.
const TRIALS: Knob = Knob::whole("trials", [70, 1, 100_000], "trials that are asked for");

/// A tuner ready to be asked, or what is wrong with its knobs together.
pub type TunerBuilt = Result<Box<dyn Tuner + Send>, String>;

/// One tuner of the registry.
#[derive(Debug)]
pub struct TunerEntry {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Its knobs.
    pub knobs: &'static [Knob],
    /// Its constructor, from checked knobs.
    pub build: fn(&Knobs, &Space, Seed) -> TunerBuilt,
}
