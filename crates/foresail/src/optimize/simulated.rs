//! A workflow in the simulator, driven as a real one is.

use foresail_adapters::workflow::{Answer, System, SystemError};
use foresail_core::propose::plan::Plan;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::smaller;
use foresail_core::value::workflow::Size;
use foresail_models::rng::Seed;
use foresail_sim::workflow::subject::Subject;

/// A workflow in the simulator.
#[derive(Debug)]
pub struct Simulated {
    subject: Subject,
    seed: Seed,
    sizes: Vec<Size>,
    /// Whether each stage's containers have not run at their size yet.
    cold: Vec<bool>,
    /// Requests sent so far: the number of the next one.
    sent: u64,
}

impl Simulated {
    /// A workflow that has its former sizes and is warm.
    #[must_use]
    pub fn new(subject: &Subject, seed: Seed) -> Self {
        Self {
            sizes: subject.former.clone(),
            cold: vec![false; subject.sizes.len()],
            subject: subject.clone(),
            seed,
            sent: 0,
        }
    }

    fn sizes_of(&self, plan: &Plan) -> Result<Vec<Size>, SystemError> {
        self.subject.sizes_of(plan).ok_or_else(|| {
            let attempted = format!("cannot size the stages of {}", self.subject.name());
            SystemError::new(attempted, "the plan leaves a stage's CPU or memory open")
        })
    }
}

impl System for Simulated {
    fn current(&mut self) -> Result<Plan, SystemError> {
        Ok(self.subject.plan(&self.sizes))
    }

    fn apply(&mut self, plan: &Plan) -> Result<(), SystemError> {
        let sizes = self.sizes_of(plan)?;
        let pairs = self.sizes.iter().zip(&sizes);
        for (cold, (old, new)) in self.cold.iter_mut().zip(pairs) {
            // Another size is another container.
            *cold |= old != new;
        }
        self.sizes = sizes;
        Ok(())
    }

    fn request(&mut self, wait: Span) -> Result<Answer, SystemError> {
        let model = &self.subject.model;
        let request = model.request(self.seed, self.sent, &self.sizes, &self.cold);
        self.sent += 1;
        for (cold, ran) in self.cold.iter_mut().zip(&request.seconds) {
            *cold &= ran.is_empty();
        }
        let most = wait.seconds();
        let mut seconds = request.seconds;
        for second in seconds.iter_mut().flatten() {
            *second = smaller(*second, most);
        }
        Ok(Answer {
            latency: Some(request.latency).filter(|l| *l <= most),
            seconds,
            failed: false,
        })
    }

    fn resume(&mut self, requests: u64, in_force: &Plan) -> Result<(), SystemError> {
        self.sent = requests;
        self.sizes = self.sizes_of(in_force)?;
        self.cold.fill(false);
        Ok(())
    }
}
