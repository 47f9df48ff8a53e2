//! What a policy would wish that knew every call to come.
//!
//! The busy containers of each function are those of a run in which nothing starts cold, looked at in
//! small steps. What is asked for at a tick is what will be busy at once from then until what the next
//! tick asks for is ready, and everything beyond goes at once. No call but the very first then starts
//! cold, with little memory beyond what decisions once a window cost. A reference: a policy that
//! decides more often could hold less.

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::rng::Seed;

use super::config::{Function, Keep, Platform};
use super::run::{FunctionPilot, FunctionSeen, run};
use crate::config::{ConfigProblem, Shape, Times};

/// Steps that divide a minute, in seconds.
const STEPS: [i64; 11] = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30];

/// Notes what is busy in each step.
struct Watch {
    step: Span,
    /// Step by step, function by function.
    peaks: Vec<Vec<u32>>,
}

impl FunctionPilot for Watch {
    fn interval(&self) -> Option<Span> {
        Some(self.step)
    }

    fn reads_idle_times(&self) -> bool {
        false
    }

    fn sync(&mut self, _now: Timestamp, seen: &[FunctionSeen<'_>]) -> Vec<(usize, Keep)> {
        let peaks = seen.iter().map(|s| s.busy_peak);
        self.peaks.push(peaks.collect());
        Vec::new()
    }
}

/// Step by step, function by function, what is busy at once where nothing starts cold.
fn watched(
    platform: &Platform,
    functions: &[Function],
    seed: Seed,
    step: Span,
) -> Result<Vec<Vec<u32>>, ConfigProblem> {
    let warm = Platform {
        cold_start: Times {
            mean: Span::ZERO,
            shape: Shape::Constant,
        },
        memory: None,
        ..platform.clone()
    };
    let mut watch = Watch {
        step,
        peaks: Vec::new(),
    };
    run(&warm, functions, seed, &mut watch)?;
    // What a step holds is seen at its end: the first look has seen nothing.
    Ok(watch.peaks.split_off(1.min(watch.peaks.len())))
}

/// The most containers of each function that are busy at once in each minute, where nothing starts
/// cold; whole minutes alone.
///
/// Shapes: a series per function. Units: containers.
///
/// # Errors
/// [`ConfigProblem`] where the functions cannot be simulated.
pub fn busy_peaks(
    platform: &Platform,
    functions: &[Function],
    seed: Seed,
) -> Result<Vec<Series>, ConfigProblem> {
    let minute = Span::from_seconds(60);
    let peaks = watched(platform, functions, seed, minute)?;
    let start = functions[0].workload.start();
    let of = |place: usize| peaks.iter().map(|step| f64::from(step[place])).collect();
    Ok((0..functions.len())
        .map(|place| Series::new(start, minute, of(place)))
        .collect())
}

/// Pools of every function, window by window of length `interval`.
///
/// Shapes: windows × functions. Units: containers.
///
/// # Errors
/// [`ConfigProblem`] where the functions cannot be simulated.
pub fn pools(
    platform: &Platform,
    functions: &[Function],
    seed: Seed,
    interval: Span,
) -> Result<Vec<Vec<u32>>, ConfigProblem> {
    let startup = platform.cold_start.mean;
    let fits = |s: &&i64| Span::from_seconds(**s) <= startup;
    let step = Span::from_seconds(STEPS.iter().rfind(fits).copied().unwrap_or(STEPS[0]));
    let peaks = watched(platform, functions, seed, step)?;
    let steps_of = |span: Span| (span.nanos() + step.nanos() - 1) / step.nanos();
    let (per_window, lead) = (steps_of(interval) as usize, steps_of(startup) as usize);
    let windows = peaks.len().div_ceil(per_window.max(1)) + 1;
    let most = |window: usize| {
        let first = window * per_window;
        let mut most = vec![0; functions.len()];
        for step in peaks.iter().skip(first).take(per_window + lead) {
            for (most, peak) in most.iter_mut().zip(step) {
                *most = (*most).max(*peak);
            }
        }
        most
    };
    Ok((0..windows).map(most).collect())
}
