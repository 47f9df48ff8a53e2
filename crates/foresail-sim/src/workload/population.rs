//! A generated population of functions with the shape of Azure's: a few are called without end,
//! most hardly ever, some by the clock, some in bursts.

use foresail_core::quantity::time::Span;
use foresail_models::rng::Seed;

use super::sample::START;
use super::{Within, Workload};
use crate::config::{Shape, Times};
use crate::function::Function;
use crate::rng::Stream;

/// A population's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Population {
    /// Functions.
    pub functions: usize,
    /// Days.
    pub days: u32,
}

impl Default for Population {
    fn default() -> Self {
        Self {
            functions: 200,
            days: 2,
        }
    }
}

/// Calls a day as a power of ten, by the share of functions that have fewer: 45 % at most one an
/// hour, 81 % at most one a minute, eight orders of magnitude between the ends.
/// Source: Shahrad et al., ATC 2020, figure 5; between its points a line.
const CALLS_A_DAY: [(f64, f64); 6] = [
    (0.0, -1.0),
    (0.45, 1.380),
    (0.81, 3.158),
    (0.95, 4.3),
    (0.99, 5.2),
    (1.0, 7.0),
];

/// Shares of functions by what calls them: timer, queue or event, else requests of people.
/// Source: Shahrad et al., ATC 2020, figure 2 (15.6 % timer; 15.2 % queue and 2.2 % event).
const TIMERS: f64 = 0.156;
const BURSTY: f64 = 0.174;

/// Periods of timers in minutes; the nearest to a function's rate is taken.
const PERIODS: [u32; 9] = [1, 5, 10, 15, 30, 60, 240, 720, 1440];

/// Mean and standard deviation of the logarithm of a function's mean run time in seconds.
/// Source: Shahrad et al., ATC 2020, section 3.4.
const RUN_TIME: (f64, f64) = (-0.38, 2.36);

/// The longest mean run time in seconds: five minutes, the consumption plan's limit.
const RUN_TIME_MAX: f64 = 300.0;

/// Burr distribution of a function's memory in megabytes: c, k and the scale.
/// Source: Shahrad et al., ATC 2020, section 3.5.
const MEMORY: (f64, f64, f64) = (11.652, 0.221, 107.083);

/// The most memory of one container in megabytes: the consumption plan's limit.
const MEMORY_MAX: f64 = 1536.0;

const MINUTES_PER_DAY: usize = 1440;

impl Population {
    /// Every function, the same for the same seed; each has streams of its own, so that a larger
    /// population is not another one.
    #[must_use]
    pub fn functions(&self, seed: Seed) -> Vec<Function> {
        (0..self.functions)
            .map(|i| self.function(i, seed))
            .collect()
    }

    fn function(&self, index: usize, seed: Seed) -> Function {
        let mut stream = Stream::of(seed, &format!("population/{index}"));
        let level = radical_inverse(index as u32);
        let calls_a_day = 10_f64.powf(on_lines(&CALLS_A_DAY, level));
        let kind = stream.uniform();
        let (name, counts, within) = if kind < TIMERS {
            (
                "timer",
                self.timer(calls_a_day, &mut stream),
                Within::Uniform,
            )
        } else if kind < TIMERS + BURSTY {
            (
                "queue",
                self.bursts(calls_a_day, &mut stream),
                Within::Bursty,
            )
        } else {
            (
                "http",
                self.requests(calls_a_day, &mut stream),
                Within::Poisson,
            )
        };
        let run_time = (RUN_TIME.0 + RUN_TIME.1 * stream.normal()).exp();
        let mean = Span::from_seconds_f64(run_time.clamp(0.001, RUN_TIME_MAX));
        let (c, k, scale) = MEMORY;
        let megabytes = scale * (stream.uniform().powf(-1.0 / k) - 1.0).powf(1.0 / c);
        Function {
            id: format!("{name}-{index:04}"),
            workload: Workload::Counts {
                start: START,
                step: Span::from_seconds(60),
                counts,
                within,
            },
            service: Times {
                mean: mean.unwrap_or(Span::from_seconds(1)),
                shape: Shape::Lognormal(0.5),
            },
            memory: (megabytes.clamp(16.0, MEMORY_MAX) * 1e6) as u64,
        }
    }

    fn minutes(&self) -> usize {
        self.days as usize * MINUTES_PER_DAY
    }

    /// Once a period, or so many times in each minute where that is not enough.
    fn timer(&self, calls_a_day: f64, stream: &mut Stream) -> Vec<u32> {
        let minutes = MINUTES_PER_DAY as f64 / calls_a_day;
        let off = |p: &u32| (f64::from(*p) / minutes).ln().abs();
        let nearest = PERIODS.into_iter().min_by(|a, b| off(a).total_cmp(&off(b)));
        let period = nearest.unwrap_or(1) as usize;
        let at_once = (period as f64 / minutes).round().clamp(1.0, 60.0) as u32;
        let phase = (stream.uniform() * period as f64) as usize;
        (0..self.minutes())
            .map(|m| if m % period == phase { at_once } else { 0 })
            .collect()
    }

    /// Poisson around a day with its low at night and its peak in the afternoon.
    fn requests(&self, calls_a_day: f64, stream: &mut Stream) -> Vec<u32> {
        let swing = 0.8 * stream.uniform();
        let day = MINUTES_PER_DAY as f64;
        let count = |m: usize| {
            let phase = (m % MINUTES_PER_DAY) as f64 / day - 0.625;
            let wave = 1.0 + swing * (phase * std::f64::consts::TAU).cos();
            stream.poisson(calls_a_day / day * wave) as u32
        };
        (0..self.minutes()).map(count).collect()
    }

    /// Quiet for hours, then a batch over some minutes.
    fn bursts(&self, calls_a_day: f64, stream: &mut Stream) -> Vec<u32> {
        let mut counts = vec![0; self.minutes()];
        let size = (calls_a_day / 8.0).clamp(1.0, 1e5);
        let batches = stream.poisson(calls_a_day / size * f64::from(self.days));
        for _ in 0..batches {
            let begin = (stream.uniform() * counts.len() as f64) as usize;
            let length = 1 + (stream.exponential() * 10.0) as usize;
            let end = (begin + length).min(counts.len());
            for count in &mut counts[begin..end] {
                *count += stream.poisson(size / length as f64) as u32;
            }
        }
        counts
    }
}

/// The binary digits of `index` mirrored at the point: spreads the first n over [0, 1) for every n.
/// Source: van der Corput 1935.
fn radical_inverse(index: u32) -> f64 {
    (f64::from(index.reverse_bits()) + 0.5) / 4_294_967_296.0
}

/// The value at `x` on the lines between points.
fn on_lines(points: &[(f64, f64)], x: f64) -> f64 {
    let above = points
        .iter()
        .position(|p| x < p.0)
        .unwrap_or(points.len() - 1);
    let ((x0, y0), (x1, y1)) = (points[above.max(1) - 1], points[above.max(1)]);
    y0 + (y1 - y0) * (x - x0) / (x1 - x0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_core::quantity::units::larger;

    #[test]
    fn popularity_is_spread_as_azures_is() {
        let population = Population {
            functions: 400,
            days: 1,
        };
        let functions = population.functions(Seed(42));
        let calls: Vec<f64> = functions.iter().map(|f| f.workload.expected()).collect();
        let share = |most: f64| calls.iter().filter(|c| **c <= most).count() as f64 / 400.0;
        assert!((share(24.0) - 0.45).abs() < 0.06, "{}", share(24.0));
        assert!((share(1440.0) - 0.81).abs() < 0.05, "{}", share(1440.0));
        let most = calls.iter().copied().fold(0.0, larger);
        assert!(most > 5e5, "{most}");
        let timers = functions
            .iter()
            .filter(|f| f.id.starts_with("timer"))
            .count();
        assert!((30..95).contains(&timers), "{timers}");
    }

    #[test]
    fn a_larger_population_begins_with_the_smaller_one() {
        let of = |functions| Population { functions, days: 1 }.functions(Seed(7));
        assert_eq!(of(5), of(9)[..5]);
        assert_ne!(
            of(5),
            Population {
                functions: 5,
                days: 1
            }
            .functions(Seed(8))
        );
    }

    #[test]
    fn a_timer_has_one_period() {
        let population = Population {
            functions: 1,
            days: 1,
        };
        let counts = population.timer(48.0, &mut Stream::of(Seed(1), "t"));
        let at: Vec<usize> = (0..1440).filter(|m| counts[*m] > 0).collect();
        assert_eq!(at.len(), 48);
        assert!(at.windows(2).all(|w| w[1] - w[0] == 30));
    }
}
