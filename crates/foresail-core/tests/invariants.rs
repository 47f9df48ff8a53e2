//! Properties of one tick over random scenes: I1, I3 to I12, I14 to I16, I18 to I21 of the
//! reliability rules; each prints how often its antecedent held.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "tests may fail loudly"
)]

mod support;

use std::io::Write;

use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::explain::{Explanation, Identity};
use foresail_core::guard::GuardName;
use foresail_core::history::View;
use foresail_core::hpa::{
    Behavior, MetricSpec, Policy, PolicyType, Reading, Record, ScaleEvent, ScalingRules,
    SelectPolicy,
};
use foresail_core::observe::{Health, Metric, Sample, Samples, TargetState};
use foresail_core::propose::plan::TargetId;
use foresail_core::propose::{Basis, Context, Proposal, Proposer};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::{Floor, Spec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{
    Forecasts, Hpa, NOW, Wishes, decide, decided, engine, hpa, seconds, spec, state, target,
};

/// A random scene.
#[derive(Clone, Debug)]
struct Scene {
    min: i32,
    max: i32,
    current: u32,
    usage: Vec<Option<i64>>,
    raws: Vec<(i64, i32)>,
    ups: Vec<(i64, i32)>,
    downs: Vec<(i64, i32)>,
    behavior: Option<Behavior>,
    age: i64,
    wish: u32,
    floor: Floor,
}

fn direction() -> impl Strategy<Value = ScalingRules> {
    let kind = prop_oneof![Just(PolicyType::Pods), Just(PolicyType::Percent)];
    let policy = (kind, 1..200, prop_oneof![Just(15), Just(60), Just(300)]).prop_map(
        |(kind, value, period_seconds)| Policy {
            kind,
            value,
            period_seconds,
        },
    );
    let select = prop_oneof![4 => Just(SelectPolicy::Max), 2 => Just(SelectPolicy::Min), 1 => Just(SelectPolicy::Disabled)];
    (
        proptest::option::of(0..600),
        select,
        proptest::collection::vec(policy, 1..3),
    )
        .prop_map(
            |(stabilization_window_seconds, select, policies)| ScalingRules {
                stabilization_window_seconds,
                select_policy: Some(select),
                policies: Some(policies),
                tolerance: None,
            },
        )
}

fn scenes() -> impl Strategy<Value = Scene> {
    let behavior =
        proptest::option::of((direction(), direction()).prop_map(|(up, down)| Behavior {
            scale_up: Some(up),
            scale_down: Some(down),
        }));
    let ages = || proptest::collection::vec((0..700_i64, 0..40_i32), 0..6);
    let floor = prop_oneof![
        Just(Floor::Strict),
        (0..=100_u8).prop_map(|min_share_percent| Floor::Relaxed { min_share_percent })
    ];
    let usage = proptest::collection::vec(proptest::option::weighted(0.9, 0..3000_i64), 1..12);
    let bounds = (1..6, 0..30).prop_map(|(min, more)| (min, min + more));
    (
        bounds,
        1..40_u32,
        usage,
        (ages(), ages(), ages()),
        behavior,
        0..200_i64,
        0..60_u32,
        floor,
    )
        .prop_map(
            |((min, max), current, usage, (raws, ups, downs), behavior, age, wish, floor)| Scene {
                min,
                max,
                current,
                usage,
                raws,
                ups,
                downs,
                behavior,
                age,
                wish,
                floor,
            },
        )
}

impl Scene {
    fn spec(&self, proposers: &[&str]) -> Spec {
        let mut hpa = hpa(self.min, self.max);
        hpa.behavior.clone_from(&self.behavior);
        let mut spec = spec(hpa, proposers);
        spec.combine.floor = self.floor;
        spec
    }

    fn load_history(&self, engine: &mut Engine, shift: Span) {
        let at = |ago: i64| NOW + shift - seconds(ago);
        let event = |(ago, change): &(i64, i32)| ScaleEvent {
            at: at(*ago),
            change: *change,
            outdated: false,
        };
        let records = engine.records_mut(0).expect("one target");
        records.recommendations = self
            .raws
            .iter()
            .map(|(ago, replicas)| Record {
                at: at(*ago),
                replicas: *replicas,
            })
            .collect();
        records.up = self.ups.iter().map(event).collect();
        records.down = self.downs.iter().map(event).collect();
    }

    fn engine(&self, names: &[&str], proposers: Vec<Box<dyn Proposer>>) -> Engine {
        let mut engine = engine(self.spec(names), proposers);
        self.load_history(&mut engine, Span::ZERO);
        engine
    }

    fn state(&self) -> TargetState {
        state(self.current, &self.usage, self.age)
    }

    /// Two proposers: a plain wish and the HPA.
    fn tick(&self) -> Tick {
        let mut engine = self.engine(
            &["wishes", "hpa"],
            vec![Box::new(Wishes(self.wish)), Box::new(Hpa)],
        );
        decide(&mut engine, self.state())
    }

    fn hpa_alone(&self) -> Tick {
        let mut engine = self.engine(&["hpa"], vec![Box::new(Hpa)]);
        decide(&mut engine, self.state())
    }

    fn in_range(&self) -> bool {
        (self.min..=self.max).contains(&(self.current as i32))
    }

    fn forecast(&self, forecast: &Forecasts) -> Tick {
        let mut engine = self.engine(
            &["forecast", "hpa"],
            vec![Box::new(forecast.clone()), Box::new(Hpa)],
        );
        decide(&mut engine, self.state())
    }
}

fn cases() -> u32 {
    std::env::var("FORESAIL_PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(2000)
}

/// Checks a law over random scenes; the law says whether its antecedent held.
fn law(name: &str, check: impl Fn(&Scene) -> bool) {
    let mut runner = TestRunner::new_with_rng(
        Config {
            cases: cases(),
            failure_persistence: None,
            ..Config::default()
        },
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let held = std::cell::Cell::new(0_u32);
    let outcome = runner.run(&scenes(), |scene| {
        held.set(held.get() + u32::from(check(&scene)));
        Ok(())
    });
    // Past the capture of passing tests, so that the runner shows it.
    let (held_times, cases_run) = (held.get(), cases());
    let line = format!("{name}: antecedent held {held_times} times in {cases_run}\n");
    std::io::stdout()
        .write_all(line.as_bytes())
        .expect("stdout");
    assert!(outcome.is_ok(), "{name}: {outcome:?}");
    assert!(
        held.get() > cases() / 200,
        "{name}: its antecedent hardly ever held: {}",
        held.get()
    );
}

fn raw(tick: &Tick) -> i64 {
    tick.targets[0]
        .wanted
        .setting
        .replicas
        .map_or(-1, Replicas::as_i64)
}

fn reactive(tick: &Tick) -> Option<i64> {
    tick.targets[0]
        .wanted
        .reactive
        .replicas
        .map(Replicas::as_i64)
}

fn limited_by(tick: &Tick, names: &[GuardName]) -> bool {
    tick.targets[0].limits.iter().any(|l| names.contains(&l.by))
}

#[test]
fn i1_decided_lies_within_the_bounds() {
    law("I1", |scene| {
        for tick in [scene.tick(), scene.hpa_alone()] {
            let d = decided(&tick) as i32;
            assert!((scene.min..=scene.max).contains(&d), "{d}");
            if scene.current as i32 > scene.max {
                assert_eq!(d, scene.max, "at once");
            }
            if (scene.current as i32) < scene.min {
                assert_eq!(d, scene.min, "at once");
            }
        }
        let mut engine = scene.engine(&["wishes"], vec![Box::new(Wishes(scene.wish))]);
        let paused = TargetState {
            paused: true,
            ..scene.state()
        };
        assert_eq!(
            decided(&decide(&mut engine, paused)),
            scene.current,
            "paused"
        );
        true
    });
}

#[test]
fn i2_any_number_of_any_size_gives_an_answer() {
    law("I2", |scene| {
        for extreme in [i64::MIN, -1, i64::MAX] {
            let mut state = scene.state();
            if let Some(Reading::Pods(pods)) = state.readings.get_mut(0) {
                for pod in pods {
                    pod.request = Some(extreme);
                    if let Some(sample) = &mut pod.sample {
                        sample.value = extreme;
                        sample.at = Timestamp::from_nanos(extreme);
                        sample.window = Span::from_nanos(extreme);
                    }
                }
            }
            for names in [&["hpa"][..], &["wishes", "hpa"][..]] {
                let proposers: Vec<Box<dyn Proposer>> = if names.len() == 1 {
                    vec![Box::new(Hpa)]
                } else {
                    vec![Box::new(Wishes(u32::MAX)), Box::new(Hpa)]
                };
                let mut engine = scene.engine(names, proposers);
                let tick = decide(&mut engine, state.clone());
                assert!(decided(&tick) <= i32::MAX as u32);
                let id = Identity::default();
                let told = Explanation::new(&tick, 0, engine.spec(), &id, None);
                let text = told.expect("one target").to_string();
                assert!(!text.contains("-9223"), "a share that wrapped: {text}");
            }
        }
        true
    });
}

#[test]
fn i3_no_order_matters_and_equal_gives_equal() {
    law("I3", |scene| {
        let tick = scene.tick();
        assert_eq!(tick, scene.tick(), "the same again");
        let mut turned = scene.clone();
        turned.usage.reverse();
        assert_eq!(decided(&turned.tick()), decided(&tick), "pods");
        let mut engine = scene.engine(
            &["hpa", "wishes"],
            vec![Box::new(Hpa), Box::new(Wishes(scene.wish))],
        );
        let votes = decide(&mut engine, scene.state());
        assert_eq!(decided(&votes), decided(&tick), "votes");
        let metrics = |turned| decided(&two_metrics(scene, turned));
        assert_eq!(metrics(false), metrics(true), "metrics");
        scene.usage.len() > 1
    });
}

/// A tick on two metrics of which the second reads half of the first, in this order or turned.
fn two_metrics(scene: &Scene, turned: bool) -> Tick {
    let mut spec = scene.spec(&["hpa"]);
    let mut metrics = vec![
        MetricSpec::cpu_utilization(60),
        MetricSpec::cpu_utilization(25),
    ];
    let mut state = scene.state();
    let halves: Vec<_> = scene.usage.iter().map(|u| u.map(|v| v / 2)).collect();
    let half = support::state(scene.current, &halves, scene.age);
    state.readings.extend(half.readings);
    if turned {
        metrics.reverse();
        state.readings.reverse();
    }
    spec.targets[0].hpa.metrics = metrics;
    let mut engine = engine(spec, vec![Box::new(Hpa)]);
    scene.load_history(&mut engine, Span::ZERO);
    decide(&mut engine, state)
}

#[test]
fn i4_the_floor_holds_and_a_tick_is_never_below_the_hpa() {
    law("I4", |scene| {
        if !scene.in_range() {
            return false;
        }
        let tick = scene.tick();
        let Some(r) = reactive(&tick) else {
            return false;
        };
        let share = match scene.floor {
            Floor::Strict => 100,
            Floor::Relaxed { min_share_percent } => i64::from(min_share_percent),
        };
        assert!(
            raw(&tick) >= (r * share + 99) / 100,
            "raw {} floor {r}",
            raw(&tick)
        );
        if scene.floor == Floor::Strict
            && scene.usage.iter().all(Option::is_some)
            && scene.age <= 90
        {
            assert!(
                decided(&tick) >= decided(&scene.hpa_alone()),
                "below the HPA"
            );
        }
        true
    });
}

#[test]
fn i5_more_load_never_asks_for_less() {
    law("I5", |scene| {
        let mut scene = scene.clone();
        scene.usage = scene.usage.iter().map(|u| Some(u.unwrap_or(500))).collect();
        scene.current = scene.usage.len() as u32;
        scene.age = 15;
        if !scene.in_range() {
            return false;
        }
        let mut more = scene.clone();
        more.usage = more
            .usage
            .iter()
            .map(|u| u.map(|v| v * 3 / 2 + 1))
            .collect();
        let (less, more) = (scene.tick(), more.tick());
        assert!(reactive(&more) >= reactive(&less) && decided(&more) >= decided(&less));
        true
    });
}

fn forecast(scene: &Scene) -> Forecasts {
    let q50 = f64::from(scene.wish) * 10.0;
    Forecasts {
        q10: q50 * 0.8,
        q50,
        q90: q50 * 1.2,
        observed: q50,
        capacity: 10.0,
    }
}

#[test]
fn i6_a_higher_forecast_never_asks_for_less() {
    law("I6", |scene| {
        let low = forecast(scene);
        let high = Forecasts {
            q10: low.q10 * 1.3,
            q50: low.q50 * 1.3,
            q90: low.q90 * 1.3,
            ..low.clone()
        };
        let (low, high) = (scene.forecast(&low), scene.forecast(&high));
        assert!(raw(&high) >= raw(&low) && decided(&high) >= decided(&low));
        low.judged[0].gate.is_none() && high.judged[0].gate.is_none()
    });
}

#[test]
fn i7_missing_is_not_zero() {
    law("I7", |scene| {
        let mut blind = scene.clone();
        blind.usage = vec![None; blind.usage.len()];
        let d = decided(&blind.tick()) as i32;
        assert!(
            d >= (blind.current as i32).min(blind.max),
            "all missing: {d}"
        );
        let mut full = scene.clone();
        full.usage = full.usage.iter().map(|u| Some(u.unwrap_or(300))).collect();
        full.age = 15;
        let missing = scene.usage.iter().filter(|u| u.is_none()).count();
        let mut gaps = full.clone();
        for (usage, original) in gaps.usage.iter_mut().zip(&scene.usage) {
            if original.is_none() {
                *usage = None;
            }
        }
        if missing * 5 <= gaps.usage.len() || missing == gaps.usage.len() || !scene.in_range() {
            return false;
        }
        let (full, gaps) = (decided(&full.tick()), decided(&gaps.tick()));
        assert!(
            gaps >= full.min(scene.current),
            "with gaps {gaps}, without {full}, current {}",
            scene.current
        );
        true
    });
}

/// Points of demand are read by proposers alone; what is no measurement must not get to them.
#[test]
fn i8_and_i10_what_is_no_measurement_is_as_if_it_had_never_come() {
    let sample = |at: i64, value: f64| Sample {
        target: target(),
        metric: Metric::Demand,
        at: NOW + seconds(at),
        value: Some(value),
    };
    let good: Vec<_> = (0..10)
        .map(|i| sample(i * 60 - 600, 5.0 + i as f64))
        .collect();
    let mut mixed = Vec::new();
    for (i, point) in good.iter().enumerate() {
        mixed.push(point.clone());
        let at = i as i64 * 60 - 599;
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e16] {
            mixed.push(sample(at, bad));
        }
        mixed.push(sample(600, 7.0)); // from the future
        mixed.push(sample(i as i64 * 60 - 700, 7.0)); // older than the last one
        mixed.push(Sample {
            value: None,
            ..sample(at, 0.0)
        });
    }
    let points = |values: Vec<Sample>| {
        let mut engine = engine(spec(hpa(1, 10), &["wishes"]), vec![Box::new(Wishes(3))]);
        let (health, leading) = (Health::default(), true);
        engine.feed(Input::Samples(Samples {
            at: NOW,
            health,
            leading,
            targets: vec![],
            values,
        }));
        engine
            .target_history(0)
            .expect("one target")
            .points(Metric::Demand)
            .clone()
    };
    assert_eq!(points(good).len(), 10);
    let again: Vec<_> = (0..10)
        .map(|i| sample(i * 60 - 600, 5.0 + i as f64))
        .collect();
    assert_eq!(points(mixed), points(again));
}

#[test]
fn i8_negative_usage_is_missing_usage() {
    law("I8", |scene| {
        let mut negative = scene.clone();
        let mut missing = scene.clone();
        negative.usage[0] = Some(-5);
        missing.usage[0] = None;
        assert_eq!(decided(&negative.tick()), decided(&missing.tick()));
        true
    });
}

#[test]
fn i9_stale_samples_are_as_if_they_had_never_come() {
    law("I9", |scene| {
        let mut stale = scene.clone();
        stale.age = 91 + scene.age;
        let mut none = scene.clone();
        none.usage = vec![None; none.usage.len()];
        assert_eq!(decided(&stale.tick()), decided(&none.tick()));
        true
    });
}

#[test]
fn i11_a_forecast_that_is_dropped_changes_nothing() {
    law("I11", |scene| {
        let good = forecast(scene);
        let without = {
            let mut engine = scene.engine(&["hpa2", "hpa"], vec![Box::new(Hpa), Box::new(Hpa)]);
            decide(&mut engine, scene.state())
        };
        for bad in [
            Forecasts {
                q10: good.q50 + 1.0,
                ..good.clone()
            },
            Forecasts {
                observed: good.q50 * 5.0 + 50.0,
                ..good.clone()
            },
            Forecasts {
                q10: f64::NAN,
                ..good.clone()
            },
        ] {
            let tick = scene.forecast(&bad);
            assert!(tick.judged[0].gate.is_some(), "{bad:?}");
            assert_eq!(decided(&tick), decided(&without));
        }
        true
    });
}

#[test]
fn i12_a_forecast_can_only_do_so_much_harm() {
    law("I12", |scene| {
        let outlook = forecast(scene);
        let tick = scene.forecast(&outlook);
        let p = Replicas::covering(outlook.q90, outlook.capacity).map_or(0, Replicas::as_i64);
        assert!(
            raw(&tick)
                <= p.max(reactive(&tick).unwrap_or(0))
                    .max(i64::from(scene.current))
        );
        tick.judged[0].gate.is_none()
    });
}

/// A constant load settles within the windows and stays where it settled.
#[test]
fn i13_a_constant_load_comes_to_rest() {
    for (pods, load) in [(3_u32, 4000_i64), (10, 1000), (1, 9000), (7, 4200)] {
        let mut engine = engine(
            spec(hpa(1, 50), &["wishes", "hpa"]),
            vec![Box::new(Wishes(1)), Box::new(Hpa)],
        );
        let (mut current, mut moves_after) = (pods, 0);
        for pass in 0..1100_i64 {
            let now = NOW + seconds(15 * pass);
            let mut state = state(
                current,
                &vec![Some(load / i64::from(current)); current as usize],
                0,
            );
            if let Some(Reading::Pods(readings)) = state.readings.get_mut(0) {
                readings
                    .iter_mut()
                    .filter_map(|r| r.sample.as_mut())
                    .for_each(|s| s.at = now);
            }
            let (health, leading) = (Health::default(), true);
            engine.feed(Input::Samples(Samples {
                at: now,
                health,
                leading,
                targets: vec![state],
                values: vec![],
            }));
            let tick = engine.feed(Input::Tick { now }).expect("a tick");
            let d = decided(&tick);
            if pass > 30 && d != current {
                moves_after += 1;
            }
            current = d;
        }
        assert_eq!(
            moves_after, 0,
            "{pods} pods, load {load}: ends at {current}"
        );
    }
}

fn window(scene: &Scene, up: bool) -> i64 {
    let rules = scene.behavior.as_ref().and_then(|b| {
        if up {
            b.scale_up.as_ref()
        } else {
            b.scale_down.as_ref()
        }
    });
    let given = rules
        .and_then(|r| r.stabilization_window_seconds)
        .map(i64::from);
    given.unwrap_or(if up { 0 } else { 300 })
}

#[test]
fn i14_nothing_goes_below_the_down_window() {
    law("I14", |scene| {
        // Fresh, whole and idle, so that something may go down at all.
        let mut scene = scene.clone();
        scene.usage = vec![Some(50); scene.usage.len()];
        (scene.age, scene.wish) = (15, 0);
        let scene = &scene;
        let tick = scene.tick();
        let d = i64::from(decided(&tick));
        if !(scene.in_range() && d < i64::from(scene.current)) {
            return false;
        }
        let window = window(scene, false);
        let most = scene
            .raws
            .iter()
            .filter(|(ago, _)| *ago < window)
            .map(|(_, r)| i64::from(*r))
            .max();
        let most = most.unwrap_or(0).max(raw(&tick)).min(i64::from(scene.max));
        assert!(d >= most.min(i64::from(scene.current)), "{d} below {most}");
        true
    });
}

#[test]
fn i15_nothing_goes_above_the_up_window() {
    law("I15", |scene| {
        let tick = scene.tick();
        let d = i64::from(decided(&tick));
        if !(scene.in_range() && scene.behavior.is_some() && d > i64::from(scene.current)) {
            return false;
        }
        let window = window(scene, true);
        let least = scene
            .raws
            .iter()
            .filter(|(ago, _)| *ago < window)
            .map(|(_, r)| i64::from(*r))
            .min();
        let least = least.unwrap_or(i64::MAX).min(raw(&tick));
        assert!(
            d <= least.max(i64::from(scene.current)),
            "{d} above {least}"
        );
        true
    });
}

#[test]
fn i16_no_step_is_larger_than_the_policies_allow() {
    law("I16", |scene| {
        let tick = scene.tick();
        let (d, current) = (i64::from(decided(&tick)), i64::from(scene.current));
        let Some(behavior) = scene
            .behavior
            .as_ref()
            .filter(|_| scene.in_range() && d != current)
        else {
            return false;
        };
        let rules = if d > current {
            &behavior.scale_up
        } else {
            &behavior.scale_down
        };
        let rules = rules.as_ref().expect("given");
        assert_ne!(
            rules.select_policy,
            Some(SelectPolicy::Disabled),
            "a direction that is off"
        );
        let changed = |events: &[(i64, i32)], period: i64| -> i64 {
            events
                .iter()
                .filter(|(ago, _)| *ago < period)
                .map(|(_, c)| i64::from(*c))
                .sum()
        };
        let limits: Vec<i64> = rules
            .policies
            .iter()
            .flatten()
            .map(|p| {
                let period = i64::from(p.period_seconds);
                let start = current - changed(&scene.ups, period) + changed(&scene.downs, period);
                let (value, share) = (i64::from(p.value), f64::from(p.value) / 100.0);
                match (p.kind, d > current) {
                    (PolicyType::Pods, true) => start + value,
                    (PolicyType::Pods, false) => start - value,
                    (PolicyType::Percent, true) => (start as f64 * (1.0 + share)).ceil() as i64,
                    (PolicyType::Percent, false) => (start as f64 * (1.0 - share)).trunc() as i64,
                }
            })
            .collect();
        let widest = rules.select_policy != Some(SelectPolicy::Min);
        let pick = |largest: bool| {
            if largest {
                limits.iter().max()
            } else {
                limits.iter().min()
            }
        };
        if d > current {
            assert!(
                d <= *pick(widest).expect("one"),
                "{d} from {current}: {limits:?}"
            );
        } else {
            assert!(
                d >= *pick(!widest).expect("one"),
                "{d} from {current}: {limits:?}"
            );
        }
        true
    });
}

#[test]
fn i17_removals_over_all_targets_stay_within_the_budget() {
    use foresail_core::admit::{Admission, Arbiter, Budgets};
    let mut arbiter = Admission::new(Budgets::of_fleet());
    let (mut removed, mut cuts) = (Vec::new(), 0);
    let wishes = [(20_u32, 12_u32), (20, 14), (20, 17)];
    for second in 0..30 {
        let now = NOW + seconds(15 * second);
        let ticks: Vec<_> = wishes
            .iter()
            .map(|(current, wish)| {
                let mut spec = spec(hpa(1, 50), &["wishes"]);
                spec.combine.floor = Floor::Relaxed {
                    min_share_percent: 0,
                };
                spec.targets[0].hpa.behavior = Some(support::behavior(
                    support::rules(0, 100, 15),
                    support::rules(0, 100, 15),
                ));
                let mut engine = engine(spec, vec![Box::new(Wishes(*wish))]);
                engine
                    .records_mut(0)
                    .expect("one")
                    .recommendations
                    .push(Record {
                        at: NOW - seconds(9999),
                        replicas: 0,
                    });
                let mut state = state(*current, &vec![Some(500); *current as usize], 0);
                if let Some(Reading::Pods(readings)) = state.readings.get_mut(0) {
                    readings
                        .iter_mut()
                        .filter_map(|r| r.sample.as_mut())
                        .for_each(|s| s.at = now);
                }
                let (health, leading) = (Health::default(), true);
                engine.feed(Input::Samples(Samples {
                    at: now,
                    health,
                    leading,
                    targets: vec![state],
                    values: vec![],
                }));
                let tick = engine.feed(Input::Tick { now }).expect("a tick");
                (engine, tick)
            })
            .collect();
        let pairs: Vec<_> = ticks.iter().map(|(e, t)| (e.spec(), t)).collect();
        for decision in arbiter.admit(&pairs) {
            let gone = decision.current.replicas.expect("one").get()
                - decision.setting.replicas.expect("one").get();
            removed.push((15 * second, gone));
            cuts += decision.limits.len();
        }
    }
    for (begin, _) in &removed {
        let within: u32 = removed
            .iter()
            .filter(|(at, _)| (*begin..begin + 60).contains(at))
            .map(|(_, n)| n)
            .sum();
        assert!(within <= 10, "{within} removed in a minute from {begin}");
    }
    assert!(cuts > 0, "the budget was never needed");
}

#[test]
fn i18_only_the_hpas_own_steps_hold_a_rise_to_the_floor() {
    law("I18", |scene| {
        let tick = scene.tick();
        let Some(r) = reactive(&tick).filter(|r| *r > i64::from(scene.current) && scene.in_range())
        else {
            return false;
        };
        if scene.floor != Floor::Strict {
            return false;
        }
        let ours = [
            GuardName::Freshness,
            GuardName::Veto,
            GuardName::Budget,
            GuardName::Admission,
        ];
        assert!(!limited_by(&tick, &ours), "{r}");
        assert!(decided(&tick) >= decided(&scene.hpa_alone()));
        true
    });
}

#[test]
fn i19_a_veto_never_goes_down_and_never_raises() {
    law("I19", |scene| {
        let mut engine = scene.engine(
            &["wishes", "hpa"],
            vec![Box::new(Wishes(scene.wish)), Box::new(Hpa)],
        );
        let tick = decide(
            &mut engine,
            TargetState {
                rollout: true,
                ..scene.state()
            },
        );
        if !limited_by(&tick, &[GuardName::Veto, GuardName::Freshness]) {
            return false;
        }
        let d = decided(&tick) as i32;
        assert!(d >= (scene.current as i32).min(scene.max));
        assert!(d <= (scene.current as i32).max(scene.max));
        true
    });
}

#[test]
fn i20_every_explanation_holds_its_laws() {
    law("I20", |scene| {
        let mut engine = scene.engine(
            &["wishes", "hpa"],
            vec![Box::new(Wishes(scene.wish)), Box::new(Hpa)],
        );
        let tick = decide(&mut engine, scene.state());
        let told = Explanation::new(&tick, 0, engine.spec(), &Identity::default(), None)
            .expect("one target");
        let bounds = (
            Replicas::new(scene.min as u32),
            Replicas::new(scene.max as u32),
        );
        let broken = told.broken_laws(bounds);
        assert!(broken.is_empty(), "{broken:?}\n{told}");
        let text = serde_json::to_string(&told).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Explanation>(&text).expect("the same"),
            told
        );
        assert!(text.len() <= 4096, "{} bytes", text.len());
        !told.limits.is_empty()
    });
}

#[test]
fn i21_a_shift_of_time_changes_nothing() {
    law("I21", |scene| {
        let shift = seconds(86_400 * 365);
        let mut engine = scene.engine(
            &["wishes", "hpa"],
            vec![Box::new(Wishes(scene.wish)), Box::new(Hpa)],
        );
        let mut later = scene.engine(
            &["wishes", "hpa"],
            vec![Box::new(Wishes(scene.wish)), Box::new(Hpa)],
        );
        scene.load_history(&mut later, shift);
        let mut moved = scene.state();
        for pod in &mut moved.pods {
            pod.started_at = pod.started_at.map(|t| t + shift);
            pod.ready_changed_at = pod.ready_changed_at + shift;
        }
        if let Some(Reading::Pods(readings)) = moved.readings.get_mut(0) {
            readings
                .iter_mut()
                .filter_map(|r| r.sample.as_mut())
                .for_each(|s| s.at = s.at + shift);
        }
        let (health, leading) = (Health::default(), true);
        let at = NOW + shift;
        later.feed(Input::Samples(Samples {
            at,
            health,
            leading,
            targets: vec![moved],
            values: vec![],
        }));
        let later = later.feed(Input::Tick { now: at }).expect("a tick");
        assert_eq!(
            decided(&later),
            decided(&decide(&mut engine, scene.state()))
        );
        true
    });
}

/// Wishes a number for a target of any name.
#[derive(Debug)]
struct WishesFor(TargetId, u32);

impl Proposer for WishesFor {
    fn propose(&mut self, _: &View<'_>, context: &Context<'_>) -> Proposal {
        let floor = context.reactive[0].replicas.map_or(0, Replicas::get);
        Proposal::replicas(&self.0, Replicas::new(self.1.max(floor)), Basis::Fixed)
    }
}

#[test]
fn i21_another_name_changes_nothing() {
    law("I21 renamed", |scene| {
        let named = |name: TargetId| {
            let mut spec = scene.spec(&["wishes"]);
            spec.targets[0].id = name.clone();
            let mut engine = engine(spec, vec![Box::new(WishesFor(name.clone(), scene.wish))]);
            scene.load_history(&mut engine, Span::ZERO);
            let state = TargetState {
                target: name,
                ..scene.state()
            };
            decide(&mut engine, state)
        };
        let (here, there) = (named(target()), named(TargetId::new("z/StatefulSet/a-9")));
        assert_eq!(here.targets[0].limits.len(), there.targets[0].limits.len());
        assert_eq!(decided(&here), decided(&there));
        decided(&here) != scene.current
    });
}
