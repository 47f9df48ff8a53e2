//! Noise of exploration: each number returns to its mean and is pushed away again.

use rand_core::Rng;

use super::settings::Ou;
use crate::parameter::normal;

/// The noise of an action.
///
/// Source: Uhlenbeck & Ornstein 1930 in steps of Euler: x += theta · (mu − x) · dt + sigma · √dt · N(0, 1).
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    ou: Ou,
    pub(super) now: Vec<f64>,
}

impl Noise {
    /// Noise of `actions` numbers, at its mean.
    #[must_use]
    pub fn new(ou: Ou, actions: usize) -> Self {
        Self {
            ou,
            now: vec![ou.mu; actions],
        }
    }

    /// Back to its mean: an episode owes nothing to the one before.
    pub fn reset(&mut self) {
        self.now.fill(self.ou.mu);
    }

    /// One step on.
    pub fn step(&mut self, stream: &mut impl Rng) -> &[f64] {
        let Ou {
            mu,
            sigma,
            theta,
            dt,
        } = self.ou;
        let push = sigma * dt.sqrt();
        for x in &mut self.now {
            *x += theta * (mu - *x) * dt + push * normal(stream);
        }
        &self.now
    }

    /// Where it stands.
    #[must_use]
    pub fn now(&self) -> &[f64] {
        &self.now
    }
}
