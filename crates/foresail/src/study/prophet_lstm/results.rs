//! What the study came to, and how figures over several seeds are told.

use super::replay::{Minute, Policy, Scores, Told};
use super::told::Errors;
use super::trace::Trace;

/// One policy on one model's forecasts, with one seed.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Which policy.
    pub(super) policy: Policy,
    /// Which seed.
    pub(super) seed: u64,
    /// Its scores.
    pub(super) scores: Scores,
    /// Its minutes, for the first seed alone.
    pub(super) minutes: Vec<Minute>,
}

/// All runs of one model under one set of rules.
#[derive(Clone, Debug)]
pub(super) struct ModelResult {
    /// Its name.
    pub(super) name: String,
    /// Its runs, seed by seed, policy by policy.
    pub(super) runs: Vec<Run>,
    /// Errors of its forecasts, seed by seed.
    pub(super) errors: Vec<Errors>,
    /// What it said with the first seed.
    pub(super) told: Vec<Told>,
}

impl ModelResult {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            runs: Vec::new(),
            errors: Vec::new(),
            told: Vec::new(),
        }
    }

    /// One figure of a policy with every seed.
    #[must_use]
    pub(super) fn of(&self, policy: Policy, figure: fn(&Scores) -> f64) -> Vec<f64> {
        let runs = self.runs.iter().filter(|r| r.policy == policy);
        runs.map(|r| figure(&r.scores)).collect()
    }

    /// The run of a policy with the first seed.
    #[must_use]
    pub(super) fn first(&self, policy: Policy) -> Option<&Run> {
        self.runs.iter().find(|r| r.policy == policy)
    }
}

/// The whole study.
#[derive(Clone, Debug)]
pub(super) struct Results {
    /// What it ran on.
    pub(super) trace: Trace,
    /// Under the published rules.
    pub(super) published: Vec<ModelResult>,
    /// Under the corrected ones.
    pub(super) corrected: Vec<ModelResult>,
    /// Minutes that a container starts for.
    pub(super) startup: usize,
    /// Minutes between two fits.
    pub(super) refit: usize,
    /// Whether the files hold the published rules' runs.
    pub(super) parity: bool,
}

impl Results {
    /// The runs that the files hold.
    #[must_use]
    pub(super) fn shown(&self) -> &[ModelResult] {
        if self.parity {
            &self.published
        } else {
            &self.corrected
        }
    }
}

/// Figures of a run in the order of the published ones.
pub(super) const FIGURES: [fn(&Scores) -> f64; 6] = [
    |s| s.under as f64,
    |s| s.over_percent,
    |s| s.cost as f64,
    |s| s.switches as f64,
    |s| f64::from(s.most),
    |s| s.latency_mean,
];

/// 97.5 % points of Student's t with 1 to 9 degrees of freedom; of more, that of 9 below 30 and that
/// of 30 (2.042) from there on, so that no interval is too narrow.
/// Source: any table of the distribution.
const T: [f64; 9] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262,
];

/// Mean and 95 % confidence interval over seeds; no interval for one.
#[must_use]
pub(super) fn mean_interval(values: &[f64]) -> (f64, Option<(f64, f64)>) {
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n.max(1) as f64;
    if n < 2 {
        return (mean, None);
    }
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let error = (squares / ((n - 1) * n) as f64).sqrt();
    let half = error
        * T.get(n - 2)
            .copied()
            .unwrap_or(if n < 31 { 2.262 } else { 2.042 });
    (mean, Some((mean - half, mean + half)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_over_seeds_is_students() {
        // scipy.stats.t.interval(0.95, 3, 2.5, scipy.stats.sem([1, 2, 3, 4]))
        let (mean, interval) = mean_interval(&[1.0, 2.0, 3.0, 4.0]);
        let (low, high) = interval.unwrap();
        assert!((mean - 2.5).abs() < 1e-12);
        assert!((low - 0.445_739_7).abs() < 1e-3 && (high - 4.554_260_3).abs() < 1e-3);
        assert_eq!(mean_interval(&[7.0]), (7.0, None));
    }
}
