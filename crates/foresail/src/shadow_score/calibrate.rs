//! The simulator fitted to the incumbent: at which service time it is as late as it was observed.
//!
//! One number is fitted, the service time, and with it the capacity of a replica; what CPU a request
//! costs stays. The incumbent's recorded replicas are flown on the recorded demand at several service
//! times, each a constant factor from the next, and the one at which the late share is the observed
//! one lies between two of them. The error is told for hours that the fit did not see: fitted to
//! every other hour, looked at on the rest, and the other way round.

use anyhow::Result;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::larger;
use foresail_sim::config::ClusterConfig;
use foresail_sim::fluid::FluidMeasures;
use foresail_sim::workload::Workload;
use serde::Serialize;

use super::fly::incumbent;
use super::grid::{Grid, Observed};

/// Factor from one service time to the next.
const FACTOR: f64 = std::f64::consts::SQRT_2;

/// Steps of that factor that are tried in either direction: up to four times.
const STEPS_MAX: i32 = 4;

/// Minutes that must be observed for a fit.
const MINUTES_MIN: usize = 120;

/// Fewer late requests, or minutes over the promise, tell nothing of the service time.
const PARTS_MIN: f64 = 30.0;

/// Shares below this are alike where they are interpolated.
const SHARE_MIN: f64 = 1e-5;

/// The share of which a 95 % quantile is the edge.
const P95_SHARE: f64 = 0.05;

/// What the late share is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Basis {
    /// Share of the requests that were late.
    LateShare,
    /// Share of the minutes whose 95 % quantile was above what is promised.
    MinutesOverP95,
    /// Too little was late to fit the service time any further.
    TooFewLate,
    /// Nothing was observed: the simulator is as it was given.
    NotObserved,
}

/// How far the simulator is from what was observed of the incumbent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calibration {
    /// What was observed.
    pub basis: Basis,
    /// Minutes in which it was.
    pub minutes: usize,
    /// As it was observed, in percent.
    pub observed_percent: Option<f64>,
    /// As the simulator has it after the fit, on the same minutes, in percent.
    pub simulated_percent: Option<f64>,
    /// Its error on hours that the fit did not see, in percent of the observed.
    pub error_percent: Option<f64>,
    /// The same in points.
    pub error_points: Option<f64>,
    /// The fitted mean service time over the one that the fit began with.
    pub factor: f64,
    /// Demand that one replica serves at the most, in requests per second.
    pub capacity: f64,
    /// Start-up, in seconds.
    pub startup_seconds: f64,
    /// `true` where the incumbent's pods showed the start-up, `false` where it was given.
    pub startup_measured: bool,
    /// `true` where latency of quiet times showed the service time that the fit began with.
    pub service_measured: bool,
}

/// Part and whole of what is compared, over the even and over the odd hours.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Halves([(f64, f64); 2]);

impl Halves {
    fn add(&mut self, minute: usize, part: f64, whole: f64) {
        let half = &mut self.0[minute / 60 % 2];
        half.0 += part;
        half.1 += whole;
    }

    fn share(&self, half: usize) -> f64 {
        let (part, whole) = self.0[half];
        if whole > 0.0 { part / whole } else { 0.0 }
    }

    fn part(&self) -> f64 {
        self.0[0].0 + self.0[1].0
    }

    fn all(&self) -> f64 {
        let [a, b] = self.0;
        let whole = a.1 + b.1;
        if whole > 0.0 {
            (a.0 + b.0) / whole
        } else {
            0.0
        }
    }
}

/// The minutes in which something was observed; whole or by quantiles, not mixed.
struct Minutes {
    observed: Vec<(usize, Observed)>,
    basis: Basis,
}

impl Minutes {
    fn of(grid: &Grid, minutes: usize) -> Self {
        let all: Vec<_> = (0..minutes)
            .filter_map(|m| Some((m, grid.observed(m)?)))
            .collect();
        let late = |o: &(usize, Observed)| matches!(o.1, Observed::Late(_));
        let shares = all.iter().filter(|o| late(o)).count();
        let basis = if shares >= MINUTES_MIN {
            Basis::LateShare
        } else if all.len() - shares >= MINUTES_MIN {
            Basis::MinutesOverP95
        } else {
            Basis::NotObserved
        };
        let wanted = |o: &(usize, Observed)| match basis {
            Basis::LateShare => late(o),
            Basis::MinutesOverP95 => !late(o),
            Basis::TooFewLate | Basis::NotObserved => false,
        };
        Self {
            observed: all.into_iter().filter(wanted).collect(),
            basis,
        }
    }

    /// What was observed, and what a run has of the same minutes.
    fn both(&self, measures: &FluidMeasures) -> (Halves, Halves) {
        let (mut observed, mut simulated) = (Halves::default(), Halves::default());
        for (minute, seen) in &self.observed {
            let Some(row) = measures.minutes.get(*minute) else {
                continue;
            };
            match seen {
                Observed::Late(late) => {
                    observed.add(*minute, *late, row.arrivals);
                    simulated.add(*minute, row.violations, row.arrivals);
                }
                Observed::P95(over) => {
                    let is_over = row.violations > P95_SHARE * row.arrivals;
                    observed.add(*minute, f64::from(u8::from(*over)), 1.0);
                    simulated.add(*minute, f64::from(u8::from(is_over)), 1.0);
                }
            }
        }
        (observed, simulated)
    }
}

/// Runs of the incumbent at service times of rising steps, each made once.
struct Runs<'a> {
    grid: &'a Grid,
    workload: &'a Workload,
    cluster: &'a ClusterConfig,
    minutes: &'a Minutes,
    /// Step and what came of it, in order of the steps.
    made: Vec<(i32, Halves)>,
}

impl Runs<'_> {
    fn at(&mut self, step: i32) -> Result<Halves> {
        let place = self.made.binary_search_by_key(&step, |(s, _)| *s);
        let place = match place {
            Ok(found) => return Ok(self.made[found].1),
            Err(place) => place,
        };
        let cluster = slower(self.cluster, FACTOR.powi(step));
        let measures = incumbent(self.grid, self.workload, &cluster)?;
        let (_, simulated) = self.minutes.both(&measures);
        self.made.insert(place, (step, simulated));
        Ok(simulated)
    }

    /// Makes runs until `want` of what `of` takes lies between two of them, or the end is reached.
    fn enclose(&mut self, want: f64, of: impl Fn(&Halves) -> f64) -> Result<()> {
        let mut step: i32 = 0;
        let up = of(&self.at(0)?) < want;
        while step.abs() < STEPS_MAX {
            step += if up { 1 } else { -1 };
            let reached = of(&self.at(step)?);
            if (up && reached >= want) || (!up && reached <= want) {
                break;
            }
        }
        Ok(())
    }

    /// The service time, in steps, nearest to the given one at which `of` is `want`.
    fn fitted(&mut self, want: f64, of: impl Fn(&Halves) -> f64) -> Result<f64> {
        self.enclose(want, &of)?;
        let mut best = (f64::INFINITY, 0.0);
        for pair in self.made.windows(2) {
            let (a, b) = (of(&pair[0].1), of(&pair[1].1));
            let (from, to) = (f64::from(pair[0].0), f64::from(pair[1].0));
            let share = between(a, b, want);
            let (miss, step) = match share {
                Some(share) => (0.0, from + share * (to - from)),
                None if (a - want).abs() < (b - want).abs() => ((a - want).abs(), from),
                None => ((b - want).abs(), to),
            };
            let nearer = miss < best.0 - 1e-12;
            let as_near = (miss - best.0).abs() <= 1e-12 && step.abs() < f64::abs(best.1);
            if nearer || as_near {
                best = (miss, step);
            }
        }
        Ok(best.1)
    }

    /// What `of` is at a step between those that were made.
    fn guess(&self, step: f64, of: impl Fn(&Halves) -> f64) -> f64 {
        let after = self.made.partition_point(|(s, _)| f64::from(*s) <= step);
        let value = |i: usize| of(&self.made[i].1);
        match (after.checked_sub(1), self.made.get(after)) {
            (Some(before), Some((to, _))) => {
                let from = f64::from(self.made[before].0);
                let share = (step - from) / (f64::from(*to) - from);
                let (a, b) = (log(value(before)), log(value(after)));
                (a + share * (b - a)).exp()
            }
            (Some(before), None) => value(before),
            (None, _) => value(0),
        }
    }
}

/// Where `want` lies between two shares, 0 at the first and 1 at the second; `None` outside.
///
/// On the logarithm: the share that waits too long grows about exponentially with the service time.
fn between(a: f64, b: f64, want: f64) -> Option<f64> {
    let inside = (a <= want && want <= b) || (b <= want && want <= a);
    if !inside {
        return None;
    }
    let apart = log(b) - log(a);
    Some(if apart.abs() > 0.0 {
        (log(want) - log(a)) / apart
    } else {
        0.0
    })
}

fn log(share: f64) -> f64 {
    larger(share, SHARE_MIN).ln()
}

/// The same cluster with another service time; CPU per request stays.
fn slower(cluster: &ClusterConfig, factor: f64) -> ClusterConfig {
    let mut cluster = cluster.clone();
    let nanos = cluster.service.mean.nanos() as f64 * factor;
    cluster.service.mean = Span::from_nanos(larger(nanos.round(), 1.0) as i64);
    cluster
}

/// Fits the service time to what was observed; the cluster that fits, and how well it does.
///
/// # Errors
/// Where a knob of the cluster is out of its range.
pub(super) fn calibrated(
    grid: &Grid,
    workload: &Workload,
    given: &ClusterConfig,
) -> Result<(ClusterConfig, FluidMeasures, Calibration)> {
    let first = incumbent(grid, workload, given)?;
    let minutes = Minutes::of(grid, first.minutes.len());
    let mut told = Calibration {
        basis: minutes.basis,
        minutes: minutes.observed.len(),
        observed_percent: None,
        simulated_percent: None,
        error_percent: None,
        error_points: None,
        factor: 1.0,
        capacity: given.full_capacity(),
        startup_seconds: given.startup.mean.seconds(),
        startup_measured: false,
        service_measured: false,
    };
    if minutes.basis == Basis::NotObserved {
        return Ok((given.clone(), first, told));
    }
    let (observed, simulated) = minutes.both(&first);
    told.observed_percent = Some(observed.all() * 100.0);
    told.simulated_percent = Some(simulated.all() * 100.0);
    if observed.part() < PARTS_MIN {
        told.basis = Basis::TooFewLate;
        return Ok((given.clone(), first, told));
    }
    let mut runs = Runs {
        grid,
        workload,
        cluster: given,
        minutes: &minutes,
        made: vec![(0, simulated)],
    };
    let step = runs.fitted(observed.all(), Halves::all)?;
    let mut missed = 0.0;
    for half in [0, 1] {
        let step = runs.fitted(observed.share(half), |h| h.share(half))?;
        let other = 1 - half;
        let unseen = runs.guess(step, |h| h.share(other));
        missed += (unseen - observed.share(other)).abs() * 50.0;
    }
    told.factor = FACTOR.powf(step);
    let cluster = slower(given, told.factor);
    let measures = incumbent(grid, workload, &cluster)?;
    let reached = minutes.both(&measures).1.all();
    let want = observed.all();
    told.capacity = cluster.full_capacity();
    told.simulated_percent = Some(reached * 100.0);
    // What the fit itself could not reach counts as well.
    let points = larger(missed, (reached - want).abs() * 100.0);
    told.error_points = Some(points);
    told.error_percent = (want > 0.0).then(|| points / want);
    Ok((cluster, measures, told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_placed_between_two_others() {
        let middle = between(0.01, 0.04, 0.02).unwrap();
        assert!((middle - 0.5).abs() < 1e-12, "{middle}");
        assert_eq!(between(0.3, 0.1, 0.3), Some(0.0));
        assert_eq!(between(0.1, 0.3, 0.35), None);
        assert_eq!(between(0.0, 0.0, 0.0), Some(0.0));
    }

    #[test]
    fn hours_go_into_two_halves() {
        let mut halves = Halves::default();
        halves.add(59, 1.0, 10.0);
        halves.add(60, 3.0, 10.0);
        halves.add(120, 1.0, 10.0);
        assert!((halves.share(0) - 0.1).abs() < 1e-12);
        assert!((halves.share(1) - 0.3).abs() < 1e-12);
        assert!((halves.all() - 5.0 / 30.0).abs() < 1e-12);
        assert!(Halves::default().all() <= 0.0);
    }
}
