//! `kpa`: Knative's autoscaler on concurrency, with its stable and its panic window.
//!
//! The answer is the larger of two means over the target value; a panic lets nothing go down until
//! a whole stable window has passed below its threshold. A restart begins in panic with the ready
//! pods, so that lost memory never scales down.
//! Source: knative/serving:pkg/autoscaler/scaling/autoscaler.go and
//! config/core/configmaps/autoscaler.yaml (defaults).

use std::cmp::Ordering;
use std::collections::VecDeque;

use foresail_core::history::{Point, TargetHistory, View};
use foresail_core::observe::Metric;
use foresail_core::propose::plan::Setting;
use foresail_core::propose::{
    Absence, Basis, Confidence, Context, Held, Proposal, Proposer, RestoreError,
};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use serde::{Deserialize, Serialize};

use crate::knobs::{Knob, Knobs};
use crate::registry::Entry;

/// The registry's entry; every default is Knative's.
pub const ENTRY: Entry = Entry {
    name: "kpa",
    summary: "Knative's autoscaler: concurrency over a stable and a panic window",
    knobs: &[
        Knob::number(
            "concurrency",
            [100.0, 0.01, 1e6],
            "requests that one replica may have at once",
        ),
        Knob::number(
            "targetPercent",
            [70.0, 1.0, 100.0],
            "share of the concurrency that is aimed at",
        ),
        Knob::number(
            "burstCapacity",
            [211.0, -1.0, 1e6],
            "requests of burst that must fit without a new replica",
        ),
        Knob::number(
            "stableWindowSeconds",
            [60.0, 6.0, 3600.0],
            "the stable window",
        ),
        Knob::number(
            "panicWindowPercent",
            [10.0, 1.0, 100.0],
            "the panic window as a share of the stable one",
        ),
        Knob::number(
            "panicThresholdPercent",
            [200.0, 110.0, 1000.0],
            "wish over ready replicas that begins a panic",
        ),
        Knob::number(
            "scaleUpRateMax",
            [1000.0, 1.0, 1e6],
            "largest factor of one step up",
        ),
        Knob::number(
            "scaleDownRateMax",
            [2.0, 1.0, 1e6],
            "largest divisor of one step down",
        ),
        Knob::number(
            "scaleToZeroGraceSeconds",
            [30.0, 0.0, 3600.0],
            "how long the last replica is kept",
        ),
        Knob::number(
            "scaleDownDelaySeconds",
            [0.0, 0.0, 3600.0],
            "window over which the largest wish holds",
        ),
    ],
    build: |build| Ok(Box::new(Kpa::new(build.knobs))),
};

/// Knative's settings in their own units.
#[derive(Clone, Debug)]
struct Settings {
    target_value: f64,
    total_value: f64,
    burst_capacity: f64,
    stable_window: Span,
    panic_window: Span,
    panic_threshold: f64,
    scale_up_rate_max: f64,
    scale_down_rate_max: f64,
    grace: Span,
    delay: Span,
}

impl Settings {
    fn new(knobs: &Knobs) -> Self {
        let seconds = |name| Span::from_millis((knobs.number(name) * 1000.0) as i64);
        let stable = knobs.number("stableWindowSeconds");
        let panic = stable * knobs.number("panicWindowPercent") / 100.0;
        let total_value = knobs.number("concurrency");
        Self {
            target_value: total_value * knobs.number("targetPercent") / 100.0,
            total_value,
            burst_capacity: knobs.number("burstCapacity"),
            stable_window: seconds("stableWindowSeconds"),
            panic_window: Span::from_millis((panic * 1000.0) as i64),
            panic_threshold: knobs.number("panicThresholdPercent") / 100.0,
            scale_up_rate_max: knobs.number("scaleUpRateMax"),
            scale_down_rate_max: knobs.number("scaleDownRateMax"),
            grace: seconds("scaleToZeroGraceSeconds"),
            delay: seconds("scaleDownDelaySeconds"),
        }
    }
}

/// What is remembered of one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    /// `true` once the target was seen.
    started: bool,
    /// When the panic was last armed; `None` outside one.
    panic_since: Option<Timestamp>,
    /// The most wished in this panic.
    panic_most: u32,
    /// When zero was first wished without a break.
    idle_since: Option<Timestamp>,
    /// Wishes of the delay window.
    wishes: VecDeque<(Timestamp, u32)>,
}

/// What Knative's collector measures at one time.
#[derive(Clone, Copy, Debug)]
struct Means {
    stable: f64,
    panic: f64,
}

/// One answer of the algorithm.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Answer {
    replicas: u32,
    burst: i64,
    panicking: bool,
    /// The quotient that the answer began with, and what made another number of it.
    quotient: u32,
    held: Option<Held>,
}

/// Wishes what Knative's autoscaler would ask for.
#[derive(Debug)]
struct Kpa {
    settings: Settings,
    memory: Vec<Memory>,
}

/// Mean of the points not older than `window`; `None` without any.
///
/// Seconds that were not reported are left out and not counted as zero.
fn mean_since(points: &VecDeque<Point>, now: Timestamp, window: Span) -> Option<f64> {
    let recent = points.iter().rev().take_while(|p| p.at > now - window);
    let (sum, count) = recent.fold((0.0, 0_u32), |(sum, n), p| (sum + p.value, n + 1));
    (count > 0).then(|| sum / f64::from(count))
}

fn up(value: f64) -> u32 {
    value.ceil() as u32
}

impl Memory {
    /// Begins, arms again or ends the panic.
    fn update_panic(&mut self, over: bool, now: Timestamp, window: Span) {
        match self.panic_since {
            _ if over => self.panic_since = Some(now),
            Some(since) if since + window < now => {
                self.panic_since = None;
                self.panic_most = 0;
            }
            _ => {}
        }
    }

    /// The largest wish of the delay window.
    fn delayed(&mut self, wish: u32, now: Timestamp, delay: Span) -> u32 {
        if delay <= Span::ZERO {
            return wish;
        }
        self.wishes.push_back((now, wish));
        while self
            .wishes
            .front()
            .is_some_and(|(at, _)| *at <= now - delay)
        {
            self.wishes.pop_front();
        }
        self.wishes.iter().map(|(_, w)| *w).max().unwrap_or(wish)
    }

    /// Keeps the last replica until the grace period has passed.
    fn graced(&mut self, wish: u32, ready: u32, now: Timestamp, grace: Span) -> u32 {
        if wish > 0 {
            self.idle_since = None;
            return wish;
        }
        let since = *self.idle_since.get_or_insert(now);
        if ready > 0 && now - since < grace {
            1
        } else {
            0
        }
    }
}

/// Requests of burst that fit beyond those in flight.
///
/// A burst capacity of 0 says that none is looked after, one below 0 that every request goes
/// through the activator.
fn excess_burst(burst_capacity: f64, capacity: f64, in_flight: f64) -> i64 {
    if burst_capacity > 0.0 {
        (capacity - burst_capacity - in_flight).floor() as i64
    } else {
        -i64::from(burst_capacity < 0.0)
    }
}

/// The algorithm for one target at one time.
fn scale(
    settings: &Settings,
    memory: &mut Memory,
    means: Means,
    ready: u32,
    now: Timestamp,
) -> Answer {
    let pods = ready.max(1);
    // ceil, so that a rate of 1.1 on two pods still allows a third.
    let most = up(settings.scale_up_rate_max * f64::from(pods));
    let least = (f64::from(pods) / settings.scale_down_rate_max).floor() as u32;
    let stable_raw = up(means.stable / settings.target_value);
    let panic_raw = up(means.panic / settings.target_value);
    let stable = stable_raw.max(least).min(most);
    let panic = panic_raw.max(least).min(most);
    let over = f64::from(panic_raw) / f64::from(pods) >= settings.panic_threshold;
    memory.update_panic(over, now, settings.stable_window);
    let mut wish = stable;
    let panicking = memory.panic_since.is_some();
    let quotient = if panicking { panic_raw } else { stable_raw };
    let mut held = match stable.cmp(&stable_raw) {
        Ordering::Less => Some(Held::RateUp),
        Ordering::Greater => Some(Held::RateDown),
        Ordering::Equal => None,
    };
    if panicking {
        memory.panic_most = memory.panic_most.max(stable).max(panic);
        wish = memory.panic_most;
        held = (wish != quotient).then_some(Held::Panic);
    }
    let delayed = memory.delayed(wish, now, settings.delay);
    let graced = memory.graced(delayed, ready, now, settings.grace);
    if delayed != wish {
        held = Some(Held::Delay);
    }
    if graced != delayed {
        held = Some(Held::Grace);
    }
    wish = graced;
    let capacity = f64::from(ready) * settings.total_value;
    let burst = excess_burst(settings.burst_capacity, capacity, means.panic);
    Answer {
        replicas: wish,
        burst,
        panicking,
        quotient,
        held: held.filter(|_| wish != quotient),
    }
}

impl Kpa {
    fn new(knobs: &Knobs) -> Self {
        Self {
            settings: Settings::new(knobs),
            memory: Vec::new(),
        }
    }

    fn wish(
        &mut self,
        index: usize,
        history: &TargetHistory,
        now: Timestamp,
    ) -> Option<(Answer, Means)> {
        let points = history.points(Metric::Concurrency);
        let stable = mean_since(points, now, self.settings.stable_window)?;
        let panic = mean_since(points, now, self.settings.panic_window).unwrap_or(stable);
        let state = history.state.as_ref()?;
        let memory = self.memory.get_mut(index)?;
        if !memory.started {
            memory.started = true;
            let current = state.ready.get();
            if current > 1 {
                memory.panic_since = Some(now);
                memory.panic_most = current;
            }
        }
        let means = Means { stable, panic };
        let answer = scale(&self.settings, memory, means, state.ready.get(), now);
        Some((answer, means))
    }
}

impl Proposer for Kpa {
    fn propose(&mut self, view: &View<'_>, context: &Context<'_>) -> Proposal {
        self.memory.resize(view.len(), Memory::default());
        let mut plan = Vec::new();
        let mut told = None;
        for (index, target) in view.spec.targets().iter().enumerate() {
            let found = view
                .target(index)
                .and_then(|h| self.wish(index, h, context.now));
            if let Some((answer, means)) = found {
                plan.push((
                    target.id.clone(),
                    Setting::replicas(Replicas::new(answer.replicas)),
                ));
                told.get_or_insert((answer, means));
            }
        }
        let Some((answer, means)) = told else {
            return Proposal::absent(Absence::NoMetric);
        };
        let basis = Basis::Concurrency {
            stable: means.stable,
            panic: means.panic,
            target_value: self.settings.target_value,
            panicking: answer.panicking,
            burst: answer.burst,
            quotient: answer.quotient,
            held: answer.held,
        };
        Proposal {
            plan,
            interval: None,
            confidence: Confidence::FULL,
            ratio_milli: None,
            cooldowns: Vec::new(),
            basis,
        }
    }

    fn save(&self) -> Vec<u8> {
        serde_json::to_vec(&self.memory).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let failed = |e: serde_json::Error| RestoreError {
            proposer: "kpa".to_owned(),
            why: e.to_string(),
        };
        self.memory = serde_json::from_slice(state).map_err(failed)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(10_000);

    fn settings(given: &Value) -> Settings {
        let given: BTreeMap<String, Value> = serde_json::from_value(given.clone()).unwrap();
        Settings::new(&Knobs::read(ENTRY.knobs, &given, "knobs").unwrap())
    }

    fn answer(
        settings: &Settings,
        memory: &mut Memory,
        ready: u32,
        means: (f64, f64),
        at: i64,
    ) -> Answer {
        let means = Means {
            stable: means.0,
            panic: means.1,
        };
        scale(settings, memory, means, ready, NOW + Span::from_seconds(at))
    }

    /// Samples 1000,0,0,0,0,1000 over a stable window of 6 s and a panic window of 5 s.
    /// Source: knative/serving pull request 8106.
    #[test]
    fn the_larger_of_the_two_windows_is_taken() {
        let points = [1000.0, 0.0, 0.0, 0.0, 0.0, 1000.0];
        let points: VecDeque<Point> = (0..)
            .zip(points)
            .map(|(i, value)| Point {
                at: NOW + Span::from_seconds(i),
                value,
            })
            .collect();
        let now = NOW + Span::from_seconds(5);
        let stable = mean_since(&points, now, Span::from_seconds(6)).unwrap();
        let panic = mean_since(&points, now, Span::from_seconds(5)).unwrap();
        assert!((stable - 333.333).abs() < 0.001 && (panic - 200.0).abs() < 1e-9);
        let settings = settings(&json!({"concurrency": 10, "targetPercent": 100}));
        let answer = answer(&settings, &mut Memory::default(), 20, (stable, panic), 0);
        assert_eq!(answer.replicas, 34);
    }

    #[test]
    fn a_panic_begins_at_twice_the_ready_pods_and_never_goes_down() {
        let settings = settings(&json!({"concurrency": 100}));
        let mut memory = Memory::default();
        let first = answer(&settings, &mut memory, 5, (300.0, 800.0), 0);
        assert_eq!((first.replicas, first.panicking), (12, true));
        let next = answer(&settings, &mut memory, 5, (300.0, 400.0), 2);
        assert_eq!(next.replicas, 12);
        let still = answer(&settings, &mut memory, 12, (300.0, 300.0), 60);
        assert_eq!(
            (still.replicas, still.panicking),
            (12, true),
            "a whole stable window must pass"
        );
        let after = answer(&settings, &mut memory, 12, (300.0, 300.0), 61);
        assert_eq!(
            (after.replicas, after.panicking),
            (6, false),
            "at most halved: floor(12 / 2)"
        );
    }

    #[test]
    fn one_step_down_halves_at_most_and_says_so() {
        let settings = settings(&json!({"concurrency": 100}));
        let answer = answer(&settings, &mut Memory::default(), 10, (100.0, 100.0), 0);
        assert_eq!(
            (answer.replicas, answer.quotient, answer.held),
            (5, 2, Some(Held::RateDown))
        );
    }

    #[test]
    fn a_small_rate_up_is_never_stuck() {
        let settings = settings(
            &json!({"concurrency": 100, "scaleUpRateMax": 1.1, "panicThresholdPercent": 1000}),
        );
        assert_eq!(
            answer(&settings, &mut Memory::default(), 2, (210.0, 210.0), 0).replicas,
            3
        );
    }

    #[test]
    fn burst_capacity_below_zero_keeps_the_activator_in_the_path() {
        let settings = settings(&json!({"concurrency": 100}));
        assert_eq!(
            answer(&settings, &mut Memory::default(), 5, (300.0, 300.0), 0).burst,
            -11
        );
    }

    #[test]
    fn no_burst_capacity_is_zero_and_one_below_zero_always_wants_the_activator() {
        for (burst_capacity, want) in [(0, 0), (-1, -1), (100, 100)] {
            let settings = settings(&json!({"concurrency": 100, "burstCapacity": burst_capacity}));
            let answer = answer(&settings, &mut Memory::default(), 5, (300.0, 300.0), 0);
            assert_eq!(answer.burst, want, "{burst_capacity}");
        }
    }

    #[test]
    fn a_fresh_start_panics_with_the_ready_pods_and_not_with_those_asked_for() {
        for (ready, want) in [(1, (1, false)), (4, (4, true))] {
            let mut kpa = Kpa::new(&Knobs::read(ENTRY.knobs, &BTreeMap::new(), "knobs").unwrap());
            kpa.memory.push(Memory::default());
            let mut history = serde_json::to_value(TargetHistory::default()).unwrap();
            history["concurrency"] = json!([Point {
                at: NOW,
                value: 1.0
            }]);
            let mut history: TargetHistory = serde_json::from_value(history).unwrap();
            history.state = Some(foresail_core::observe::TargetState {
                current: Setting::replicas(Replicas::new(9)),
                ready: Replicas::new(ready),
                ..Default::default()
            });
            let (answer, _) = kpa.wish(0, &history, NOW).unwrap();
            assert_eq!((answer.replicas, answer.panicking), want);
        }
    }

    #[test]
    fn the_last_replica_is_kept_for_the_grace_period() {
        let settings = settings(&json!({"concurrency": 100}));
        let mut memory = Memory::default();
        assert_eq!(answer(&settings, &mut memory, 1, (0.0, 0.0), 0).replicas, 1);
        assert_eq!(
            answer(&settings, &mut memory, 1, (0.0, 0.0), 29).replicas,
            1
        );
        assert_eq!(
            answer(&settings, &mut memory, 1, (0.0, 0.0), 30).replicas,
            0
        );
    }
}
