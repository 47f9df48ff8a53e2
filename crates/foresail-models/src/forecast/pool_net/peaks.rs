//! From requests to containers: how many are in use at once, at most, in each step.
//!
//! A count of a minute is not a number of containers: 600 requests of 50 ms need one or two, 6 of a
//! minute need six. So overlaps are counted. Little's law is the check: the mean in use is the rate
//! times the mean run time, and no peak is below the mean of its step.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use rand_chacha::ChaCha8Rng;

use crate::rng::uniform;

/// Requests of one series that are laid out one by one: seconds of work.
pub const REQUESTS_MAX: f64 = 2e7;

/// One request and how long it holds its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// When it begins.
    pub begin: Timestamp,
    /// How long it runs; not below zero.
    pub length: Span,
}

/// Peaks in use at once, of `steps` steps from `start` on, by counting overlaps.
///
/// A container that is freed at the instant at which a request comes serves it. Runs that begin before
/// `start` count as long as they last. Units: containers.
#[must_use]
pub fn of_runs(runs: &[Run], start: Timestamp, step: Span, steps: usize) -> Series {
    let mut sorted = runs.to_vec();
    sorted.sort_by_key(|r| r.begin);
    let mut rest = sorted.iter().peekable();
    let mut busy = Busy::default();
    let mut peak = |i: usize| {
        let end = start + times(step, i + 1);
        // Those before the first step take part in it.
        let mut most = busy.at((start + times(step, i)).nanos());
        while let Some(run) = rest.next_if(|r| r.begin < end) {
            let count = busy.add(run.begin.nanos(), (run.begin + run.length).nanos());
            if run.begin >= start {
                most = most.max(count);
            } else {
                most = busy.at(start.nanos());
            }
        }
        most as f64
    };
    let peaks = (0..steps).map(&mut peak).collect();
    Series::new(start, step, peaks)
}

fn times(step: Span, count: usize) -> Span {
    Span::from_nanos(step.nanos().saturating_mul(count as i64))
}

/// Ends of what runs at present.
#[derive(Default)]
struct Busy(BinaryHeap<Reverse<i64>>);

impl Busy {
    /// How many run at a time.
    fn at(&mut self, time: i64) -> usize {
        while self.0.peek().is_some_and(|end| end.0 <= time) {
            self.0.pop();
        }
        self.0.len()
    }

    /// How many run once one more begins.
    fn add(&mut self, begin: i64, end: i64) -> usize {
        self.at(begin);
        if end > begin {
            self.0.push(Reverse(end));
            self.0.len()
        } else {
            // A run without a length needs a container for its instant.
            self.0.len() + 1
        }
    }
}

/// Peaks of a function of which only counts and a mean run time are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Laid {
    /// Units: containers. A gap of the counts is one of the peaks.
    pub peaks: Series,
    /// One of so many requests was laid out, and ran so many times as long; 1 where all were.
    pub thinned: f64,
    /// Mean in use over the steps that have a count, by Little's law: rate times mean run time.
    pub mean: f64,
}

/// Lays requests out: uniform within their step, run times exponential about their mean.
///
/// A count with a fraction is rounded up with that chance. Of a series with more than [`REQUESTS_MAX`]
/// requests one in k is laid out and runs k times as long, which keeps the mean in use and its spread
/// and only makes it move more slowly. Pure given the stream.
#[must_use]
pub fn of_counts(counts: &Series, mean_run: Span, stream: &mut ChaCha8Rng) -> Laid {
    let total: f64 = counts.iter().flatten().sum();
    let known = counts.iter().flatten().count();
    let thinned = if total > REQUESTS_MAX {
        total / REQUESTS_MAX
    } else {
        1.0
    };
    let step = counts.step().nanos();
    let run = mean_run.nanos() as f64 * thinned;
    let mut busy = Busy::default();
    let mut begins = Vec::new();
    let mut peaks = Vec::with_capacity(counts.len());
    for (i, count) in counts.iter().enumerate() {
        let begin = step.saturating_mul(i as i64);
        let mut most = busy.at(begin);
        let Some(count) = count else {
            peaks.push(f64::NAN);
            continue;
        };
        begins.clear();
        let whole = (count / thinned + uniform(stream)).floor() as u64;
        begins.extend((0..whole).map(|_| begin + (uniform(stream) * step as f64) as i64));
        begins.sort_unstable();
        for at in &begins {
            let length = -(1.0 - uniform(stream)).ln() * run;
            most = most.max(busy.add(*at, at.saturating_add(length as i64)));
        }
        peaks.push(most as f64);
    }
    let time = known as f64 * step as f64;
    Laid {
        peaks: Series::new(counts.start(), counts.step(), peaks),
        thinned,
        mean: if known > 0 {
            total * mean_run.nanos() as f64 / time
        } else {
            0.0
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, child};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn run(begin: i64, length: i64) -> Run {
        Run {
            begin: at(begin),
            length: Span::from_seconds(length),
        }
    }

    fn values(series: &Series) -> Vec<f64> {
        series.iter().map(|v| v.unwrap_or(f64::NAN)).collect()
    }

    #[test]
    fn overlaps_by_hand() {
        // One from before the start, one over two steps, two at once, one that follows on the spot.
        let runs = [
            run(130, 20),
            run(-30, 40),
            run(0, 70),
            run(10, 5),
            run(150, 5),
        ];
        let peaks = of_runs(&runs, at(0), Span::from_seconds(60), 4);
        assert_eq!(values(&peaks), [2.0, 1.0, 1.0, 0.0]);
        assert_eq!(
            values(&of_runs(&[], at(0), Span::from_seconds(60), 1)),
            [0.0]
        );
        let gone = [run(-30, 10), run(-20, 60), run(-10, 60)];
        assert_eq!(
            values(&of_runs(&gone, at(0), Span::from_seconds(60), 1)),
            [2.0]
        );
    }

    #[test]
    fn peaks_equal_brute_force_at_every_begin() {
        let mut stream = child(Seed(1), "runs");
        let mut whole = |most: f64| (uniform(&mut stream) * most) as i64;
        let runs: Vec<Run> = (0..200)
            .map(|_| run(whole(600.0), 1 + whole(90.0)))
            .collect();
        let peaks = values(&of_runs(&runs, at(0), Span::from_seconds(60), 10));
        for (i, peak) in peaks.iter().enumerate() {
            let seconds = i as i64 * 60..(i as i64 + 1) * 60;
            let busy = |t: i64| {
                let in_use = |r: &&Run| r.begin <= at(t) && at(t) < r.begin + r.length;
                runs.iter().filter(in_use).count()
            };
            assert_eq!(*peak as usize, seconds.map(busy).max().unwrap(), "step {i}");
        }
    }

    /// Mean of a Poisson number in use: rate · run time; a peak of a step is at least its mean.
    #[test]
    fn littles_law_holds_for_counts() {
        let counts = Series::new(at(0), Span::from_seconds(60), vec![600.0; 500]);
        for seconds in [2, 20, 90] {
            let laid = of_counts(
                &counts,
                Span::from_seconds(seconds),
                &mut child(Seed(2), "x"),
            );
            let mean = 10.0 * seconds as f64;
            assert!((laid.mean - mean).abs() < 1e-9);
            let peaks: Vec<f64> = values(&laid.peaks).split_off(20);
            let average = peaks.iter().sum::<f64>() / peaks.len() as f64;
            // The peak of a minute of a Poisson number is one to four deviations above its mean.
            let above = (average - mean) / mean.sqrt();
            assert!(
                (0.3..4.0).contains(&above),
                "{seconds} s: {average} of {mean}"
            );
        }
    }

    #[test]
    fn counts_are_no_containers() {
        let minute = |count: f64| Series::new(at(0), Span::from_seconds(60), vec![count; 50]);
        let quick = of_counts(
            &minute(600.0),
            Span::from_millis(50),
            &mut child(Seed(3), "x"),
        );
        let slow = of_counts(
            &minute(6.0),
            Span::from_seconds(60),
            &mut child(Seed(3), "x"),
        );
        let average = |l: &Laid| values(&l.peaks).iter().sum::<f64>() / 50.0;
        assert!(average(&quick) < 6.0, "{}", average(&quick));
        assert!(average(&slow) > 6.0, "{}", average(&slow));
    }

    #[test]
    fn gaps_stay_gaps_and_zeros_are_zero() {
        let counts = Series::new(at(0), Span::from_seconds(60), vec![0.0, f64::NAN, 3.0]);
        let laid = of_counts(&counts, Span::from_millis(1), &mut child(Seed(4), "x"));
        assert_eq!(laid.peaks.get(0), Some(0.0));
        assert_eq!(laid.peaks.get(1), None);
        assert!(laid.peaks.get(2).unwrap() >= 1.0);
    }

    #[test]
    fn of_many_requests_one_in_k_is_laid_out_and_the_mean_stays() {
        let counts = Series::new(at(0), Span::from_seconds(60), vec![6e5; 60]);
        let all = of_counts(&counts, Span::from_seconds(1), &mut child(Seed(5), "x"));
        assert!((all.thinned - 1.8).abs() < 1e-9 && (all.mean - 1e4).abs() < 1e-6);
        let last = all.peaks.get(59).unwrap();
        assert!((9_900.0..10_600.0).contains(&last), "{last}");
    }
}
