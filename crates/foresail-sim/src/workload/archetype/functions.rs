//! Functions that keep their archetype over days.

use foresail_core::propose::archetype::Archetype;
use foresail_core::quantity::time::Span;
use foresail_models::rng::Seed;

use super::shape::{HARD, Range, Wave, draw, lognormal, whole};
use crate::config::{Shape, Times};
use crate::function::Function;
use crate::rng::Stream;
use crate::workload::sample::START;
use crate::workload::{Within, Workload};

/// Parameters of functions of known archetype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Functions {
    /// Functions of each of [`Archetype::CLASSES`].
    pub per_class: usize,
    /// Days.
    pub days: u32,
}

impl Default for Functions {
    fn default() -> Self {
        Self {
            per_class: 10,
            days: 2,
        }
    }
}

/// Requests per minute at the base, as a power of ten: 10 to 300. Own choice, inside the windows'
/// range and high enough that a replica is seldom idle.
const BASE: Range = (1.0, 2.5);

/// Minutes between the begins of two bursts: no hour is without one, no two begin at the same time.
const BURST_GAP: Range = (20.0, 60.0);

/// Minutes of a burst.
const BURST_MINUTES: Range = (1.0, 4.0);

/// Minutes of one way of a ramp: three to five hours, so that three of four hours hold no turn.
const RAMP_MINUTES: Range = (180.0, 301.0);

/// Growth of a ramp within an hour. Below the windows' largest, as it goes on for hours: at most
/// fifty-fold.
const RAMP_PER_HOUR: Range = (1.7, 2.2);

/// Mean run time of a call in seconds, as a power of ten: 50 to 500 ms around the 100 ms of AAPA's
/// default metadata. Source: GuilinDev/aapa-simulator, src/data/loader.py.
const RUN_TIME: Range = (-1.3, -0.3);

/// Megabytes of one container, 256 in AAPA's default metadata. Source: the same.
const MEMORY: Range = (128.0, 512.0);

const MINUTES_PER_DAY: usize = 1440;

impl Functions {
    /// Every function with its archetype, the classes in turn; the same for the same seed, each
    /// from a stream of its own.
    #[must_use]
    pub fn functions(&self, seed: Seed) -> Vec<(Archetype, Function)> {
        (0..self.per_class)
            .flat_map(|i| Archetype::CLASSES.map(|a| (a, self.function(a, i, seed))))
            .collect()
    }

    /// The `index`-th function of an archetype; Idle is never called.
    #[must_use]
    pub fn function(&self, archetype: Archetype, index: usize, seed: Seed) -> Function {
        let stream = &mut Stream::of(seed, &format!("archetype/function/{archetype}/{index}"));
        let mean = 10_f64.powf(draw(RUN_TIME, stream));
        let memory = draw(MEMORY, stream) * 1e6;
        let minutes = self.days as usize * MINUTES_PER_DAY;
        let base = 10_f64.powf(draw(BASE, stream));
        let rates = match archetype {
            Archetype::Spike => bursts(base, minutes, stream),
            Archetype::Periodic => wave(base, minutes, stream),
            Archetype::Ramp => ramps(base, minutes, stream),
            Archetype::Stationary => {
                let noise = draw(HARD.noise, stream);
                (0..minutes)
                    .map(|_| base * lognormal(noise, stream))
                    .collect()
            }
            Archetype::Idle => vec![0.0; minutes],
        };
        let counts = rates.into_iter().map(|r| stream.poisson(r) as u32);
        Function {
            id: format!("{}-{index:04}", archetype.name().to_lowercase()),
            workload: Workload::Counts {
                start: START,
                step: Span::from_seconds(60),
                counts: counts.collect(),
                within: Within::Poisson,
            },
            service: Times {
                mean: Span::from_seconds_f64(mean).unwrap_or(Span::from_seconds(1)),
                shape: Shape::Lognormal(0.5),
            },
            memory: memory as u64,
        }
    }
}

/// A quiet base with bursts at random times, each of a height of its own.
fn bursts(base: f64, minutes: usize, stream: &mut Stream) -> Vec<f64> {
    let mut rates = vec![base; minutes];
    let mut begin = whole((0.0, BURST_GAP.1), stream);
    while begin < minutes {
        let height = draw(HARD.height, stream);
        let end = (begin + whole(BURST_MINUTES, stream)).min(minutes);
        rates[begin..end].fill(base * height);
        begin += whole(BURST_GAP, stream);
    }
    rates
}

/// One wave without an end.
fn wave(base: f64, minutes: usize, stream: &mut Stream) -> Vec<f64> {
    let amplitude = draw(HARD.amplitude, stream);
    let period = draw(HARD.period, stream);
    let (wave, phase) = (Wave::draw(stream), stream.uniform());
    let rate = |m: usize| base * (1.0 + amplitude * wave.at(m as f64 / period + phase));
    (0..minutes).map(rate).collect()
}

/// Ramps of hours, each up from the base or down to it, one after the other.
///
/// They grow by the same share in every hour, so that each hour is a ramp whatever the level.
fn ramps(base: f64, minutes: usize, stream: &mut Stream) -> Vec<f64> {
    let mut rates = Vec::with_capacity(minutes);
    while rates.len() < minutes {
        let length = whole(RAMP_MINUTES, stream);
        let per_minute = draw(RAMP_PER_HOUR, stream).ln() / 60.0;
        let down = stream.uniform() < 0.5;
        rates.extend((0..length).map(|m| {
            let along = if down { length - m } else { m };
            base * (per_minute * along as f64).exp()
        }));
    }
    rates.truncate(minutes);
    rates
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_core::quantity::units::larger;

    fn counts(function: &Function) -> Vec<f64> {
        let Workload::Counts { counts, .. } = &function.workload else {
            unreachable!()
        };
        counts.iter().map(|c| f64::from(*c)).collect()
    }

    #[test]
    fn functions_are_the_same_again_and_a_larger_set_begins_with_the_smaller_one() {
        let of = |per_class, seed| Functions { per_class, days: 1 }.functions(Seed(seed));
        assert_eq!(of(1, 5), of(3, 5)[..4]);
        assert_ne!(of(1, 5), of(1, 6));
    }

    #[test]
    fn every_hour_of_a_spike_function_has_a_burst() {
        let functions = Functions {
            per_class: 8,
            days: 1,
        };
        for i in 0..8 {
            let counts = counts(&functions.function(Archetype::Spike, i, Seed(1)));
            for hour in counts.chunks_exact(64) {
                let most = hour.iter().fold(0.0, |a, b| larger(a, *b));
                let mut sorted = hour.to_vec();
                sorted.sort_by(f64::total_cmp);
                assert!(most > 2.0 * sorted[hour.len() / 2], "{i}: {hour:?}");
            }
        }
    }

    #[test]
    fn a_ramp_function_goes_on_for_hours_in_one_direction() {
        let rates = ramps(50.0, 2880, &mut Stream::of(Seed(4), "ramps"));
        let turns = rates
            .windows(3)
            .filter(|w| (w[1] > w[0]) != (w[2] > w[1]))
            .count();
        // Between two ramps there is a turn or a jump, which turns twice.
        assert!(turns <= 2 * 2880 / 180, "{turns}");
        assert!(
            rates
                .iter()
                .all(|r| (50.0..50.0 * 2.2_f64.powi(5) + 1.0).contains(r))
        );
    }
}
