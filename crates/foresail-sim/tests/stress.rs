//! Pods under stress as the exact HPA sees them: what a CPU limit and a memory request make of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

use foresail_core::hpa::HpaSpec;
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::Spec;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use foresail_sim::config::{ClusterConfig, CpuStress, MemoryStress, MemoryUse, Pipeline, Stress};
use foresail_sim::driver::Deaf;
use foresail_sim::fluid::{Decider, Fluid, GroupPilot, Model, Planned, run};
use foresail_sim::workload::Workload;

/// The HPA object of the published experiment, as its hpa.yaml has it.
fn hpa() -> HpaSpec {
    serde_json::from_value(serde_json::json!({
        "minReplicas": 1,
        "maxReplicas": 10,
        "metrics": [
            {"type": "Resource", "resource": {"name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 60}}},
            {"type": "Resource", "resource": {"name": "memory",
                "target": {"type": "Utilization", "averageUtilization": 80}}}
        ],
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 0,
                "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
            "scaleDown": {"stabilizationWindowSeconds": 60,
                "policies": [{"type": "Pods", "value": 1, "periodSeconds": 30}]}
        }
    }))
    .unwrap()
}

/// Its pods: 110m and 96Mi asked for, CPU held at 200m, ready after five seconds.
fn pods(stress: Stress) -> ClusterConfig {
    let mut config = ClusterConfig {
        concurrency: 1,
        cpu_request_millicores: 110,
        cpu_per_request: Span::from_millis(1),
        memory_request_gib: 96.0 / 1024.0,
        memory_use: Some(MemoryUse {
            idle_gib: 10.0 / 1024.0,
            per_request_gib: 0.0,
        }),
        initial: 3,
        stress: Some(stress),
        ..ClusterConfig::default()
    };
    config.service.mean = Span::from_millis(1);
    config.startup.mean = Span::from_seconds(5);
    config
}

fn cpu(workers: u32) -> Stress {
    let at = Span::from_seconds(120);
    let length = Span::from_seconds(180);
    let refresh = Span::from_seconds(15);
    Stress {
        cpu_limit_millicores: 200,
        cpu: vec![CpuStress {
            at,
            length,
            workers,
            refresh,
        }],
        memory: Vec::new(),
    }
}

fn memory(mebibytes: u32) -> Stress {
    let at = Span::from_seconds(120);
    let length = Span::from_seconds(180);
    Stress {
        cpu_limit_millicores: 200,
        cpu: Vec::new(),
        memory: vec![MemoryStress {
            at,
            length,
            mebibytes,
        }],
    }
}

/// Replicas at every sync, and the highest CPU in millicores and memory in MiB of any pod.
fn flown(stress: Stress) -> (Vec<u32>, i64, f64) {
    let spec = Spec::of_hpa(TargetId::new("webapp"), hpa());
    let engine = engine_of(spec, Seed(1)).unwrap();
    let mut pilot = GroupPilot::of_engine(engine, Deaf);
    let config = pods(stress);
    let pipeline = Pipeline {
        scrape: Span::from_seconds(30),
        delay: Span::from_seconds(5),
        ..Pipeline::default()
    };
    let workload = Workload::poisson(50.0, Span::from_seconds(600));
    let mut model = Model::checked(&config, &pipeline, &workload, Fluid::default()).unwrap();
    let (mut replicas, mut most, mut fullest) = (Vec::new(), 0, 0.0);
    while let Some(step) = model.begin_step() {
        if step > 0 {
            let seen = model.look(true);
            replicas.push(seen.current);
            for group in seen.pods {
                most = most.max(group.cpu.map_or(0, |c| c.millicores));
                let mebibytes = group.memory.unwrap_or(0) as f64 / 1_048_576.0;
                fullest = if mebibytes > fullest {
                    mebibytes
                } else {
                    fullest
                };
            }
            let asked = pilot.decide(&seen);
            model.act(asked);
        }
        model.advance();
    }
    (replicas, most, fullest)
}

/// 200m of the 110m asked for against a target of 60 % is a ratio of 3.03, so that the policy of
/// 100 % per 15 s binds: one step doubles and no step does more.
#[test]
fn the_limit_holds_and_one_step_of_the_hpa_doubles_at_most() {
    let (replicas, most, _) = flown(cpu(4));
    assert_eq!(most, 200, "a pod cannot exceed its limit");
    let steps: Vec<(u32, u32)> = replicas.windows(2).map(|p| (p[0], p[1])).collect();
    assert!(steps.iter().all(|(a, b)| *b <= 2 * a), "{replicas:?}");
    assert!(
        steps.contains(&(3, 6)) && replicas.contains(&10),
        "{replicas:?}"
    );
    let down = steps.iter().filter(|(a, b)| b < a);
    assert!(
        down.clone().count() > 0 && down.clone().all(|(a, b)| a - b == 1),
        "{replicas:?}"
    );
}

/// 55 MiB beside 10 of 96 asked for is 68 %: under 80 %, so nothing happens; 70 MiB are 83 %.
#[test]
fn memory_below_its_target_does_not_scale() {
    let (replicas, _, fullest) = flown(memory(55));
    assert!((fullest - 65.0).abs() < 0.01, "{fullest}");
    let rises = |r: &[u32]| r.windows(2).any(|p| p[1] > p[0]);
    assert!(!rises(&replicas), "{replicas:?}");
    let above = flown(memory(80)).0;
    assert!(rises(&above), "90 of 96 MiB are 94 %: {above:?}");
}

/// One request a millisecond of CPU: at 50 a second three pods burn 50m together, whatever else.
#[test]
fn without_a_stressor_the_limit_alone_slows_requests() {
    let config = pods(Stress {
        cpu_limit_millicores: 200,
        ..Stress::default()
    });
    let workload = Workload::poisson(50.0, Span::from_seconds(600));
    let pipeline = Pipeline::default();
    let m = run(
        &config,
        &pipeline,
        &workload,
        Fluid::default(),
        &mut Planned(&[]),
    )
    .unwrap();
    assert!((m.core_minutes.used - 0.05 * 10.0).abs() < 1e-9);
    assert!((m.requests - 30_000.0).abs() < 1e-6 && m.unserved.abs() < 1e-9);
}

#[test]
fn stress_that_cannot_be_simulated_is_refused() {
    let workload = Workload::poisson(1.0, Span::from_seconds(600));
    let refused = |config: &ClusterConfig, fluid| {
        let pipeline = Pipeline::default();
        let told = run(config, &pipeline, &workload, fluid, &mut Planned(&[]));
        told.expect_err("refused").to_string()
    };
    let backlog = Fluid {
        backlog: true,
        ..Fluid::default()
    };
    assert!(refused(&pods(cpu(4)), backlog).contains("backlog"));
    assert!(refused(&pods(cpu(0)), Fluid::default()).contains("workers 0"));
    assert!(refused(&pods(memory(90)), Fluid::default()).contains("would be killed"));
    assert!(refused(&pods(Stress::default()), Fluid::default()).contains("cpuLimit"));
    let mut blind = pods(memory(10));
    blind.memory_use = None;
    assert!(refused(&blind, Fluid::default()).contains("memoryUse"));
    let event = foresail_sim::simulation::run(
        &pods(cpu(4)),
        &Pipeline::default(),
        &workload,
        Seed(1),
        &mut foresail_sim::driver::EnginePilot::new(
            engine_of(Spec::of_hpa(TargetId::new("webapp"), hpa()), Seed(1)).unwrap(),
            true,
            Deaf,
        ),
    );
    assert!(
        event
            .expect_err("refused")
            .to_string()
            .contains("fluid mode")
    );
}

/// Arrivals of a ramp are the integral of its rate, r0·t + (r1 − r0)·t²/(2T), and not rate times
/// time, which sends twice the ramp's part.
#[test]
fn a_ramp_sends_the_integral_of_its_rate() {
    let second = Span::from_seconds;
    let workload = Workload::Rates {
        start: Timestamp::EPOCH,
        parts: vec![(second(120), 10.0, 150.0), (second(180), 150.0, 150.0)],
    };
    let mut config = pods(cpu(4));
    config.stress = None;
    let pipeline = Pipeline::default();
    let m = run(
        &config,
        &pipeline,
        &workload,
        Fluid::default(),
        &mut Planned(&[]),
    )
    .unwrap();
    let first = 10.0 * 60.0 + 140.0 * 60.0 * 60.0 / 240.0;
    assert!((m.minutes[0].arrivals - first).abs() < 1e-6);
    let whole = 10.0 * 120.0 + 140.0 * 120.0 / 2.0 + 150.0 * 180.0;
    assert!((m.requests - whole).abs() < 1e-6);
}
