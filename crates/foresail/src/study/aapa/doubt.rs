//! What doubt does to a target: every function scaled as if no verdict on it were surer than this.
//! Below the least confidence the safe default decides, as in every run.

use anyhow::Result;
use rayon::prelude::*;

use super::simulate::{Figures, Flown, flown_by};
use super::subjects::Subject;

/// Confidences below full that are looked at.
const CONFIDENCES: [f64; 4] = [0.75, 0.5, 0.25, 0.0];

/// What `aapa` came to at one confidence.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtConfidence {
    pub(super) confidence: f64,
    pub(super) violations_percent: f64,
    pub(super) replica_minutes: f64,
}

impl AtConfidence {
    fn of(confidence: f64, runs: &[&Figures]) -> Self {
        let count = runs.len().max(1) as f64;
        let mean = |of: fn(&Figures) -> f64| runs.iter().map(|f| of(f)).sum::<f64>() / count;
        Self {
            confidence,
            violations_percent: mean(Figures::violations_percent),
            replica_minutes: mean(|f| f.replica_minutes),
        }
    }
}

/// `aapa` on every function at full confidence, which is as it was `flown`, then at each lower one;
/// `done` is called after each of these.
///
/// # Errors
/// Where it cannot be run.
pub(super) fn at_each(
    subjects: &[Subject],
    flown: &[Flown],
    done: &(dyn Fn(&str) + Sync),
) -> Result<Vec<AtConfidence>> {
    let of_aapa = flown.iter().flat_map(|f| &f.policies);
    let of_aapa = of_aapa.filter(|(name, _)| *name == "aapa").map(|(_, f)| f);
    let mut all = vec![AtConfidence::of(1.0, &of_aapa.collect::<Vec<_>>())];
    for confidence in CONFIDENCES {
        let runs: Vec<Result<Figures>> = subjects
            .par_iter()
            .map(|s| flown_by(&s.clone().surely(confidence), "aapa"))
            .collect();
        let runs = runs.into_iter().collect::<Result<Vec<_>>>()?;
        done("doubt");
        all.push(AtConfidence::of(
            confidence,
            &runs.iter().collect::<Vec<_>>(),
        ));
    }
    Ok(all)
}

/// Steps that [`at_each`] tells of.
pub(super) const STEPS: u64 = CONFIDENCES.len() as u64;
