//! Generated functions that nets of AQUATOPE's pools learn from, apart from those that they are judged on.

use foresail_core::quantity::series::Series;
use foresail_models::forecast::pool_net::PoolSeries;
use foresail_models::rng::{Seed, child_seed};
use foresail_sim::config::ConfigProblem;
use foresail_sim::function::Platform;
use foresail_sim::function::oracle::busy_peaks;
use foresail_sim::workload::population::Population;

/// Busy minutes without which a function is left out: of fewer there is nothing to learn but that it
/// is called seldom, which the pool's proposer knows by itself.
pub const BUSY_MIN: usize = 20;

/// Peaks of a generated population's functions that are busy often enough to be learnt from.
///
/// The population is drawn under a seed of its own: the one that a comparison or a study flies under
/// the same `seed` has other functions, so that no net is judged on what it has learnt.
///
/// # Errors
/// Where the population cannot be simulated.
pub fn series(population: &Population, seed: Seed) -> Result<Vec<PoolSeries>, ConfigProblem> {
    let seed = child_seed(seed, "aquatope training");
    let functions = population.functions(seed);
    let peaks = busy_peaks(&Platform::default(), &functions, seed)?;
    let busy = |peaks: &Series| peaks.iter().flatten().filter(|v| *v > 0.0).count();
    let pairs = functions.into_iter().map(|f| f.id).zip(peaks);
    let kept = pairs.filter(|(_, peaks)| busy(peaks) >= BUSY_MIN);
    Ok(kept.map(|(id, peaks)| PoolSeries { id, peaks }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_function_of_a_comparison_under_the_same_seed_is_learnt_from() {
        let population = Population {
            functions: 12,
            days: 1,
        };
        let taught = series(&population, Seed(7)).unwrap();
        assert!(!taught.is_empty());
        let flown = population.functions(Seed(7));
        let flown = busy_peaks(&Platform::default(), &flown, Seed(7)).unwrap();
        let values = |peaks: &Series| peaks.iter().map(|v| v.unwrap_or(0.0)).collect::<Vec<_>>();
        for one in &taught {
            let own = values(&one.peaks);
            assert!(own.iter().filter(|v| **v > 0.0).count() >= BUSY_MIN);
            assert!(flown.iter().all(|peaks| values(peaks) != own), "{}", one.id);
        }
    }
}
