//! A workflow that can be called: its graph, a surface per stage, noise.

use foresail_core::value::workflow::{Size, Workflow};
use foresail_models::rng::Seed;

use super::noise::Noise;
use super::surface::Surface;
use crate::rng::Stream;

/// A workflow that can be called.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Its stages.
    pub workflow: Workflow,
    /// One surface per stage, shape `[stages]`.
    pub surfaces: Vec<Surface>,
    /// What moves a call away from its surface.
    pub noise: Noise,
}

/// What one request came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Seconds of each copy of each stage; empty where a stage did not run, infinite where a call
    /// never ended.
    pub seconds: Vec<Vec<f64>>,
    /// End-to-end seconds; infinite where it was never answered.
    pub latency: f64,
    /// Places of the stages on its critical path.
    pub critical: Vec<usize>,
}

impl Model {
    /// Seconds of each stage without noise, shape `[stages]`.
    #[must_use]
    pub fn noiseless(&self, sizes: &[Size]) -> Vec<f64> {
        let pairs = self.surfaces.iter().zip(sizes);
        pairs
            .map(|(surface, size)| surface.seconds(*size))
            .collect()
    }

    /// Seconds of each copy without noise where every stage runs, as
    /// [`Workflow::timing`] takes them.
    #[must_use]
    pub fn noiseless_copies(&self, sizes: &[Size]) -> Vec<Vec<f64>> {
        let stages = self.workflow.stages().iter();
        let pairs = stages.zip(self.noiseless(sizes));
        pairs
            .map(|(stage, seconds)| vec![seconds; stage.copies as usize])
            .collect()
    }

    /// The request of this number; the same whatever was asked before.
    ///
    /// `sizes` and `cold` of each stage, shape `[stages]`: a cold stage's containers have not run
    /// at this size yet.
    #[must_use]
    pub fn request(&self, seed: Seed, number: u64, sizes: &[Size], cold: &[bool]) -> Request {
        let mut stream = Stream::of(seed, &format!("workflow request {number}"));
        let slowed = self.noise.neighbours(seed, number);
        let runs = self.workflow.runs(|| stream.uniform());
        let plain = self.noiseless(sizes);
        let stages = self.workflow.stages();
        let mut seconds: Vec<Vec<f64>> = Vec::with_capacity(stages.len());
        for (place, stage) in stages.iter().enumerate() {
            let calls = (0..stage.copies).map(|_| {
                let cold = cold.get(place).copied().unwrap_or(false);
                slowed * self.noise.call(plain[place], cold, &mut stream)
            });
            seconds.push(calls.collect());
        }
        // What waits for a call that never ends does not begin, nor what waits for that.
        let mut lost = vec![false; stages.len()];
        for place in self.workflow.order().iter().copied() {
            let waits = stages[place].after.iter().any(|a| lost[*a]);
            if waits || !runs[place] {
                seconds[place].clear();
            }
            lost[place] = waits || seconds[place].iter().any(|s| s.is_infinite());
        }
        let timing = self.workflow.timing(&seconds);
        Request {
            seconds,
            latency: timing.latency,
            critical: timing.critical,
        }
    }
}
