//! Sizes and memory in fluid mode, against what is reckoned by hand.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::value::capacity::erlang_c;
use foresail_core::value::cost::Price;
use foresail_sim::cluster::Size;
use foresail_sim::config::{ClusterConfig, MemoryUse, Pipeline, Shape, Times};
use foresail_sim::fluid::{Asked, Decider, Fluid, FluidMeasures, Killed, SeenFluid, run};
use foresail_sim::workload::Workload;

const GIB: i64 = 1 << 30;

/// Steps of a minute.
fn pipeline() -> Pipeline {
    Pipeline {
        sync: Span::from_seconds(60),
        ..Pipeline::default()
    }
}

/// Four pods; a request takes a second at full speed and half a core of it.
fn cluster() -> ClusterConfig {
    ClusterConfig {
        service: Times {
            mean: Span::from_seconds(1),
            shape: Shape::Exponential,
        },
        concurrency: 4,
        cpu_per_request: Span::from_millis(500),
        cpu_bound: true,
        cpu_request_millicores: 1000,
        memory_request_gib: 1.0,
        resize: Span::from_seconds(30),
        initial: 4,
        price: Price {
            replica_hour: 0.6,
            cpu_core_hour: 1.2,
            memory_gib_hour: 0.3,
        },
        ..ClusterConfig::default()
    }
}

/// Asks for sizes by step, and remembers the kills that it was told of.
#[derive(Default)]
struct Sizing {
    plan: Vec<Option<Size>>,
    kills: Vec<(usize, Killed)>,
    sizes: Vec<Size>,
}

impl Decider for Sizing {
    fn decide(&mut self, seen: &SeenFluid<'_>) -> Option<Asked> {
        self.kills
            .extend(seen.kills.iter().map(|k| (seen.step, *k)));
        self.sizes.push(seen.size);
        let size = self.plan.get(seen.step).copied().flatten();
        Some(Asked {
            replicas: seen.current,
            size,
        })
    }
}

fn fly(config: &ClusterConfig, rate: f64, minutes: i64, sizing: &mut Sizing) -> FluidMeasures {
    let workload = Workload::poisson(rate, Span::from_seconds(60 * minutes));
    run(config, &pipeline(), &workload, Fluid::default(), sizing).unwrap()
}

/// Eight requests a second: of 1000m each pod serves two at once, eight servers at ρ = 1; of 2000m
/// asked for at 60 s and there at 90 s it serves four, sixteen servers at ρ = ½.
#[test]
fn a_resize_of_cpu_changes_capacity_after_its_time_and_cost_at_once() {
    let large = Size::new(2000, 1.0);
    let mut sizing = Sizing {
        plan: vec![None, Some(large)],
        ..Sizing::default()
    };
    let m = fly(&cluster(), 8.0, 4, &mut sizing);
    let late = erlang_c(8.0, 16).unwrap().wait_probability * (-8.0 * 0.2_f64).exp();
    let want = 8.0 * 90.0 + 8.0 * 150.0 * late;
    assert!(
        (m.violations - want).abs() < 1e-6,
        "{} {want}",
        m.violations
    );
    // A core for a minute and two for three, of four pods; a GiB all the time.
    assert!((m.core_minutes.asked - 28.0).abs() < 1e-9);
    assert!((m.gib_minutes.asked - 16.0).abs() < 1e-9);
    let hours = 0.6 * 16.0 / 60.0 + 1.2 * 28.0 / 60.0 + 0.3 * 16.0 / 60.0;
    assert!((m.cost - hours).abs() < 1e-9, "{} {hours}", m.cost);
    // Eight in service use half a core each, whatever was asked for.
    assert!((m.core_minutes.used - 16.0).abs() < 1e-9);
    let small = Size::new(1000, 1.0);
    assert_eq!(sizing.sizes, [small, large, large]);
}

#[test]
fn a_size_for_less_than_one_request_serves_one_and_slower() {
    let mut config = cluster();
    config.cpu_request_millicores = 250;
    config.initial = 8;
    let m = fly(&config, 2.0, 10, &mut Sizing::default());
    // Half of the speed: 8 servers of two seconds each.
    let queue = erlang_c(4.0, 8).unwrap();
    let late = queue.wait_probability * (-(8.0 - 4.0) / 2.0 * 0.2_f64).exp();
    assert!((m.violations - 1200.0 * late).abs() < 1e-6);
    // Four are busy and burn all of their quarter of a core.
    assert!((m.core_minutes.used - 10.0).abs() < 1e-9);
}

/// Three pods are cut below what they use at rest at 60 s: each is killed once a minute in which it
/// is ready throughout, starts anew for 45 s, and is told of once.
#[test]
fn pods_killed_for_memory_start_anew_and_are_told_of_once() {
    let mut config = cluster();
    config.initial = 3;
    config.resize = Span::ZERO;
    config.memory_request_gib = 0.25;
    config.memory_use = Some(MemoryUse {
        idle_gib: 0.125,
        per_request_gib: 0.01,
    });
    let mut sizing = Sizing {
        plan: vec![None, Some(Size::new(1000, 0.0625))],
        ..Sizing::default()
    };
    let m = fly(&config, 1.0, 5, &mut sizing);
    let at = |seconds: i64| Timestamp::EPOCH + Span::from_seconds(seconds);
    let killed = |seconds: i64| Killed {
        at: at(seconds),
        count: 3,
        memory: GIB / 16,
    };
    assert_eq!(sizing.kills, [(2, killed(120)), (4, killed(240))]);
    // Ready for 15 s of two minutes they owe three quarters of a pod each time: one more at the very end.
    assert_eq!(m.kills, 7);
    let ready: Vec<f64> = m.minutes.iter().map(|m| m.ready).collect();
    let want = [3.0, 3.0, 0.75, 3.0, 0.75];
    for (got, want) in ready.iter().zip(want) {
        assert!((got - want).abs() < 1e-9, "{ready:?}");
    }
    // A third of a request each in the first minute; then no more than a sixteenth of a GiB.
    let used = 3.0 * (0.125 + 0.01 / 3.0) + 7.5 / 16.0;
    assert!((m.gib_minutes.used - used).abs() < 1e-9);
    // What starts anew is paid all the time.
    assert!((m.replica_minutes - 15.0).abs() < 1e-9);
    assert!((m.gib_minutes.asked - 3.0 * (0.25 + 4.0 * 0.0625)).abs() < 1e-9);
}

/// At a steady four in service on two pods: 0.25 + 2 × 0.125 GiB each, of one GiB; none is killed,
/// and of half a GiB some are.
#[test]
fn memory_used_follows_the_requests_in_service() {
    let mut config = cluster();
    config.initial = 2;
    config.cpu_request_millicores = 2000;
    config.memory_use = Some(MemoryUse {
        idle_gib: 0.25,
        per_request_gib: 0.125,
    });
    let calm = fly(&config, 4.0, 10, &mut Sizing::default());
    // Six fit and at most four are served at once; the share above six of Poisson(2) is 0.0045.
    assert!(calm.kills <= 1, "{}", calm.kills);
    assert!((calm.gib_minutes.used - 20.0 * 0.5).abs() < 0.6);
    let mut sizing = Sizing {
        plan: vec![None, Some(Size::new(2000, 0.5))],
        ..Sizing::default()
    };
    let tight = fly(&config, 4.0, 60, &mut sizing);
    // Two fit; the share above two of Poisson(2) is 0.323, of two pods and an hour.
    let told: u32 = sizing.kills.iter().map(|(_, k)| k.count).sum();
    assert!((20..45).contains(&tight.kills), "{}", tight.kills);
    assert!(
        tight.kills - u64::from(told) <= 2,
        "all but the last minute's"
    );
    assert!((tight.gib_minutes.asked - (2.0 + 59.0)).abs() < 1e-9);
}
