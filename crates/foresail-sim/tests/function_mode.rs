//! Function mode: closed forms, conservation, eviction, the engine's plan under one budget.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::rng::Seed;
use foresail_sim::config::{Shape, Times};
use foresail_sim::driver::Deaf;
use foresail_sim::function::driver::KeepPilot;
use foresail_sim::function::policy::{
    FunctionPolicy, default_policies, fixed, histogram, net, on_forecast, oracle, reactive,
};
use foresail_sim::function::{Function, FunctionMeasures, Keep, Platform, Unkept, run};
use foresail_sim::workload::{Within, Workload};

const MB: u64 = 1_000_000;

fn constant(millis: i64) -> Times {
    Times {
        mean: Span::from_millis(millis),
        shape: Shape::Constant,
    }
}

/// A function called once in each minute that `minutes` names, in its middle.
fn called(id: &str, length: usize, minutes: &[usize], service_ms: i64) -> Function {
    let mut counts = vec![0; length];
    minutes.iter().for_each(|m| counts[*m] += 1);
    let workload = Workload::Counts {
        start: Timestamp::EPOCH,
        step: Span::from_seconds(60),
        counts,
        within: Within::Uniform,
    };
    Function {
        id: id.to_owned(),
        workload,
        service: constant(service_ms),
        memory: 100 * MB,
    }
}

fn poisson(rate: f64, seconds: i64, service: Times) -> Function {
    Function {
        id: "f".to_owned(),
        workload: Workload::poisson(rate, Span::from_seconds(seconds)),
        service,
        memory: 100 * MB,
    }
}

fn platform(keep_alive_seconds: i64) -> Platform {
    Platform {
        cold_start: constant(0),
        keep: Keep {
            keep_alive: Span::from_seconds(keep_alive_seconds),
            pool: 0,
        },
        ..Platform::default()
    }
}

fn unkept(platform: &Platform, functions: &[Function], seed: u64) -> FunctionMeasures {
    let measures = run(platform, functions, Seed(seed), &mut Unkept).expect("valid knobs");
    assert!(measures.requests.are_conserved(), "{:?}", measures.requests);
    measures
}

fn flown(
    policy: &FunctionPolicy,
    platform: &Platform,
    functions: &[Function],
    warm: Option<u64>,
) -> FunctionMeasures {
    let mut pilot = KeepPilot::new(policy, (platform, functions), warm, Seed(1), Deaf).unwrap();
    run(platform, functions, Seed(1), &mut pilot).expect("valid knobs")
}

/// Mean and half-width of the 99.9 % interval over independent runs.
fn interval(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    // Student's t at 19 degrees of freedom, two-sided 99.9 %.
    (mean, 3.883 * (variance / n).sqrt())
}

#[test]
fn poisson_calls_find_it_cold_as_often_as_the_closed_form_says() {
    for (rate, keep_alive) in [(0.01, 60), (0.01, 200), (0.002, 600), (0.05, 20)] {
        let calls = 20_000.0;
        let function = [poisson(rate, (calls / rate) as i64, constant(1))];
        let runs: Vec<_> = (0..20)
            .map(|s| unkept(&platform(keep_alive), &function, s))
            .collect();
        let product = rate * keep_alive as f64;
        let cold = |m: &FunctionMeasures| m.cold_percent() / 100.0;
        let (mean, half) = interval(&runs.iter().map(cold).collect::<Vec<_>>());
        let want = (-product).exp();
        assert!(
            (mean - want).abs() <= half,
            "P(cold) at λτ {product}: {mean} ± {half}, {want}"
        );
        let idle = |m: &FunctionMeasures| m.warm_memory_time() / 0.1 / m.requests.arrived as f64;
        let (mean, half) = interval(&runs.iter().map(idle).collect::<Vec<_>>());
        let want = (1.0 - (-product).exp()) / rate;
        assert!(
            (mean - want).abs() <= half,
            "idle a call at λτ {product}: {mean} ± {half}, {want}"
        );
    }
}

#[test]
fn a_container_goes_when_its_keep_alive_is_over_and_not_before() {
    // Called at 0.5, 5.5 and 20.5 min, for 30 s each: idle gaps of 4.5 and 14.5 min.
    let function = [called("f", 30, &[0, 5, 20], 30_000)];
    let check = |keep_alive: i64, cold: u64, idle_seconds: f64| {
        let m = unkept(&platform(keep_alive), &function, 1);
        let idle = m.warm_memory_time() / 0.1;
        assert_eq!(m.cold_starts(), cold, "keep-alive {keep_alive} s");
        assert!(
            (idle - idle_seconds).abs() < 1e-6,
            "keep-alive {keep_alive} s: {idle}"
        );
    };
    check(0, 3, 0.0);
    check(200, 3, 600.0);
    check(271, 2, 270.0 + 271.0 + 271.0);
    // The run ends 9 minutes after the last call's end.
    check(86_400, 1, 270.0 + 870.0 + 540.0);
}

#[test]
fn calls_at_once_need_a_container_each_unless_one_takes_several() {
    let mut function = called("f", 10, &[], 10_000);
    if let Workload::Counts { counts, .. } = &mut function.workload {
        counts[0] = 60;
    }
    let functions = [function];
    // One call a second, ten seconds each.
    let of = |concurrency: u32| {
        let platform = Platform {
            concurrency,
            ..platform(60)
        };
        unkept(&platform, &functions, 1).cold_starts()
    };
    assert_eq!((of(1), of(4), of(100)), (10, 3, 1));
}

#[test]
fn a_call_that_meets_a_starting_container_waits_for_that_one() {
    let mut function = called("f", 10, &[], 1000);
    if let Workload::Counts { counts, .. } = &mut function.workload {
        counts[0] = 6;
    }
    let platform = Platform {
        concurrency: 10,
        cold_start: constant(15_000),
        ..platform(60)
    };
    // Calls at 5, 15, 25 s, …: the first two wait until 20 s, 15 s and 5 s.
    let m = unkept(&platform, &[function], 1);
    assert_eq!((m.cold_starts(), m.functions[0].tally.calls), (2, 6));
    assert!((m.wait.mean_seconds().unwrap() - 20.0 / 6.0).abs() < 1e-9);
}

#[test]
fn under_memory_pressure_the_longest_idle_goes_and_calls_on_busy_memory_are_rejected() {
    let functions = [
        called("a", 20, &[0, 10], 1000),
        called("b", 20, &[2, 12], 1000),
        called("c", 20, &[4], 1000),
        called("long", 20, &[11], 300_000),
    ];
    let of = |containers: u64| {
        let platform = Platform {
            memory: Some(containers * 100 * MB),
            ..platform(86_400)
        };
        let m = unkept(&platform, &functions, 1);
        let cold: Vec<u64> = m.functions.iter().map(|f| f.tally.cold_starts).collect();
        (
            cold,
            m.evicted(),
            m.requests.rejected,
            m.memory_most() / (100 * MB),
        )
    };
    assert_eq!(of(4), (vec![1, 1, 1, 1], 0, 0, 4));
    // `long` at 11 min takes b's place (idle since 2), b at 12 takes that of c (idle since 4).
    assert_eq!(of(3), (vec![1, 2, 1, 1], 2, 0, 3));
    // One place: each call evicts the one before; b's second call meets `long` busy.
    assert_eq!(of(1), (vec![2, 1, 1, 1], 4, 1, 1));
}

#[test]
fn the_same_seed_gives_the_same_run_and_every_policy_the_same_calls() {
    let functions: Vec<_> = (0..20)
        .map(|i| Function {
            id: format!("f{i}"),
            ..poisson(
                0.001 * f64::from(i + 1),
                40_000,
                Times {
                    shape: Shape::Exponential,
                    ..constant(500)
                },
            )
        })
        .collect();
    let once = flown(&histogram(), &platform(60), &functions, None);
    assert_eq!(once, flown(&histogram(), &platform(60), &functions, None));
    let other = flown(&fixed(10), &platform(60), &functions, None);
    let calls =
        |m: &FunctionMeasures| -> Vec<u64> { m.functions.iter().map(|f| f.tally.calls).collect() };
    assert_eq!(calls(&once), calls(&other));
    // Without waits the latencies are the run times: the same for both.
    assert_eq!(once.latency, other.latency);
}

#[test]
fn the_engine_sets_the_keep_alive_that_its_policy_wishes() {
    let function = [called("f", 60, &[0, 5, 20, 40], 1000)];
    let of = |policy: &FunctionPolicy| flown(policy, &platform(0), &function, None).cold_starts();
    assert_eq!(
        (
            of(&fixed(1)),
            of(&fixed(10)),
            of(&fixed(16)),
            of(&fixed(30))
        ),
        (4, 3, 2, 1)
    );
}

#[test]
fn a_timer_is_unloaded_between_its_calls_and_warm_for_them() {
    // Every half hour for a day, a second each.
    let minutes: Vec<usize> = (0..48).map(|i| i * 30).collect();
    let function = [called("timer", 1440, &minutes, 1000)];
    let platform = Platform {
        cold_start: constant(2000),
        ..platform(600)
    };
    let kept = flown(&fixed(60), &platform, &function, None);
    let by_histogram = flown(&histogram(), &platform, &function, None);
    assert_eq!((kept.cold_starts(), by_histogram.cold_starts()), (1, 1));
    // After five idle times it is loaded for at most 3 + 1 + 1 of 30 minutes.
    let share = by_histogram.warm_memory_time() / kept.warm_memory_time();
    assert!((0.1..0.3).contains(&share), "{share}");
    let fixed_10 = flown(&fixed(10), &platform, &function, None);
    assert_eq!(fixed_10.cold_starts(), 48);
    assert!(by_histogram.pooled() >= 40, "{}", by_histogram.pooled());
}

#[test]
fn one_memory_budget_cuts_the_pools_of_all_functions_in_their_order() {
    let minutes: Vec<usize> = (0..48).map(|i| i * 30).collect();
    let functions: Vec<_> = (0..4)
        .map(|i| called(&format!("t{i}"), 1440, &minutes, 1000))
        .collect();
    let cold = |warm: Option<u64>| -> Vec<u64> {
        let m = flown(&histogram(), &platform(600), &functions, warm);
        m.functions.iter().map(|f| f.tally.cold_starts).collect()
    };
    assert_eq!(cold(None), [1, 1, 1, 1]);
    let cut = cold(Some(250 * MB));
    assert_eq!(cut[..2], [1, 1], "the first two fit");
    assert!(cut[2] > 40 && cut[3] > 40, "{cut:?}");
}

#[test]
fn a_memory_bound_that_never_binds_changes_nothing() {
    let exponential = Times {
        shape: Shape::Exponential,
        ..constant(2000)
    };
    let functions: Vec<_> = (0..20)
        .map(|i| Function {
            id: format!("f{i}"),
            ..poisson(0.02, 20_000, exponential)
        })
        .collect();
    let free = unkept(&platform(30), &functions, 3);
    // Calls of a minute alone might hold 24 containers more than there are: slices are in order.
    let bound = Platform {
        memory: Some(30 * 100 * MB),
        ..platform(30)
    };
    let bounded = unkept(&bound, &functions, 3);
    assert!(free.memory_most() > 10 * 100 * MB, "{}", free.memory_most());
    assert_eq!(bounded.evicted() + bounded.requests.rejected, 0);
    assert_eq!(free, bounded);
}

/// Bursts of five calls at once, in every `every`-th minute.
fn bursts(id: &str, minutes: usize, every: usize) -> Function {
    let count = |m: usize| if m % every == every / 2 { 5 } else { 0 };
    let workload = Workload::Counts {
        start: Timestamp::EPOCH,
        step: Span::from_seconds(60),
        counts: (0..minutes).map(count).collect(),
        within: Within::Bursty,
    };
    Function {
        id: id.to_owned(),
        workload,
        service: constant(20_000),
        memory: 100 * MB,
    }
}

fn slow_start() -> Platform {
    Platform {
        cold_start: constant(2000),
        ..platform(600)
    }
}

#[test]
fn who_knows_the_future_starts_nothing_cold_but_what_comes_at_once() {
    let functions = [
        bursts("often", 600, 3),
        bursts("seldom", 600, 50),
        poisson(0.2, 36_000, constant(3000)),
    ];
    let known = flown(&oracle(), &slow_start(), &functions, None);
    // Nothing can be ready in the first two seconds.
    assert!(known.cold_starts() <= 2, "{}", known.cold_starts());
    for policy in default_policies().iter().filter(|p| p.name != "oracle") {
        let other = flown(policy, &slow_start(), &functions, None);
        let holds = known.warm_memory_time() < other.warm_memory_time();
        let fewer = known.cold_starts() < other.cold_starts();
        assert!(fewer, "{}: {}", policy.name, other.cold_starts());
        assert!(holds || other.cold_percent() > 5.0, "{}", policy.name);
    }
}

#[test]
fn a_pool_by_the_last_peak_lags_a_minute_behind_and_holds_nothing_longer() {
    // A burst in every third minute: the pool stands in the minute after, and is gone by the next.
    let often = [bursts("often", 600, 3)];
    let last = flown(&reactive(), &slow_start(), &often, None);
    assert!(last.cold_percent() > 50.0, "{}", last.cold_percent());
    let kept = flown(&fixed(10), &slow_start(), &often, None);
    assert!(kept.cold_percent() < 10.0, "{}", kept.cold_percent());
    assert!(last.warm_memory_time() < 0.7 * kept.warm_memory_time());
}

#[test]
fn a_forecast_of_peaks_keeps_a_pool_for_bursts_that_outlast_every_keep_alive() {
    // Every twelve minutes: ten minutes of keep-alive start all five cold, each time.
    let functions = [bursts("timer", 2880, 12)];
    let kept = flown(&fixed(10), &slow_start(), &functions, None);
    assert!(kept.cold_percent() > 90.0, "{}", kept.cold_percent());
    let waves = on_forecast("waves", "fourier", "");
    let pooled = flown(&waves, &slow_start(), &functions, None);
    assert!(
        pooled.cold_starts() * 2 < kept.cold_starts(),
        "{} of {}",
        pooled.cold_starts(),
        kept.cold_starts()
    );
}

#[test]
fn the_nets_pools_start_less_cold_than_what_was_busy_last_and_another_net_can_be_installed() {
    let functions = [
        bursts("often", 1440, 3),
        poisson(0.5, 86_400, constant(3000)),
    ];
    let ours = flown(&net(None), &slow_start(), &functions, None);
    let last = flown(&reactive(), &slow_start(), &functions, None);
    assert!(
        ours.cold_starts() * 4 < last.cold_starts(),
        "{} {}",
        ours.cold_starts(),
        last.cold_starts()
    );
    let shipped = foresail_models::propose::pool::net::shipped().expect("built in");
    let again = flown(&net(Some(shipped.save())), &slow_start(), &functions, None);
    assert_eq!(ours.cold_starts(), again.cold_starts());
    // A file that is no net is not taken for one.
    let other = flown(&net(Some(vec![1, 2, 3])), &slow_start(), &functions, None);
    assert_eq!(ours.cold_starts(), other.cold_starts());
}

#[test]
fn one_memory_budget_cuts_the_nets_pools_too() {
    let functions = [bursts("a", 300, 2), bursts("b", 300, 2)];
    let platform = Platform {
        cold_start: constant(2000),
        ..platform(60)
    };
    let policy = net(None).with("keepAliveSeconds", serde_json::json!(0));
    let free = flown(&policy, &platform, &functions, None);
    let short = flown(&policy, &platform, &functions, Some(100 * MB));
    assert!(short.warm_memory_time() < 0.5 * free.warm_memory_time());
    assert!(short.cold_starts() > free.cold_starts());
}
