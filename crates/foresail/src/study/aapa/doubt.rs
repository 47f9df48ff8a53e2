//! What doubt does to a target: every function scaled as if no verdict on it were surer than this.
//! Below the least confidence the safe default decides, as in every run.

use anyhow::Result;
use rayon::prelude::*;

use super::simulate::flown_by;
use super::subjects::Subject;

/// Confidences that are looked at.
const CONFIDENCES: [f64; 5] = [1.0, 0.75, 0.5, 0.25, 0.0];

/// What `aapa` came to at one confidence.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtConfidence {
    pub(super) confidence: f64,
    pub(super) violations_percent: f64,
    pub(super) replica_minutes: f64,
}

/// `aapa` on every function at each confidence; `done` is called after each.
///
/// # Errors
/// Where it cannot be run.
pub(super) fn at_each(
    subjects: &[Subject],
    done: &(dyn Fn(&str) + Sync),
) -> Result<Vec<AtConfidence>> {
    let one = |confidence: f64| -> Result<AtConfidence> {
        let runs: Vec<Result<_>> = subjects
            .par_iter()
            .map(|s| flown_by(&s.clone().surely(confidence), "aapa"))
            .collect();
        let runs = runs.into_iter().collect::<Result<Vec<_>>>()?;
        let count = runs.len().max(1) as f64;
        done("doubt");
        Ok(AtConfidence {
            confidence,
            violations_percent: runs.iter().map(|f| f.violations_percent()).sum::<f64>() / count,
            replica_minutes: runs.iter().map(|f| f.replica_minutes).sum::<f64>() / count,
        })
    };
    CONFIDENCES.into_iter().map(one).collect()
}

/// Steps that [`at_each`] tells of.
pub(super) const STEPS: u64 = CONFIDENCES.len() as u64;
