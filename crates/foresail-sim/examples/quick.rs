//! Prints what every policy came to on the built-in sample.
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Span;
use foresail_models::rng::Seed;
use foresail_sim::config::*;
use foresail_sim::driver::Deaf;
use foresail_sim::experiment::*;
use foresail_sim::workload::{Within, Workload, sample};
fn main() {
    let seed = Seed(42);
    let rates = sample::Sample::default().rates(seed);
    let counts = sample::counts(&rates, seed);
    let mean = counts.iter().map(|c| f64::from(*c)).sum::<f64>() / counts.len() as f64 / 60.0;
    let cluster = ClusterConfig {
        service: Times {
            mean: Span::from_seconds(2),
            shape: Shape::Exponential,
        },
        concurrency: 2,
        cpu_per_request: Span::from_seconds(1),
        ..ClusterConfig::default()
    };
    let setup = Setup {
        cluster,
        pipeline: Pipeline::default(),
        min: 1,
        max: 100,
        hpa_target_percent: 80,
        schedule: vec![],
        target: TargetId::new("default/Deployment/web"),
    };
    let item = Item {
        id: "web".into(),
        workload: Workload::Counts {
            start: sample::START,
            step: Span::from_seconds(60),
            counts,
            within: Within::Poisson,
        },
        setup: setup.clone(),
    };
    let show = |name: &str, m: &foresail_sim::metrics::measure::Measures, s: f64| {
        println!(
            "{name:<22} viol {:.3}% minutes {:>5} cost {:>8.2} cold {:>7} actions {:>6} flaps {:>5} p99 {:>6.2} t {s:.1}",
            m.violations as f64 * 100.0 / m.requests.arrived as f64,
            m.violation_minutes,
            m.cost,
            m.cold_starts,
            m.actions,
            m.flaps,
            m.wait.quantile_seconds(0.99).unwrap()
        )
    };
    for p in default_policies(&setup, mean, rates.get(0).unwrap()) {
        let t = std::time::Instant::now();
        let o = run_all(std::slice::from_ref(&item), |_| p.clone(), seed, |_| Deaf).unwrap();
        show(&p.name, &o.measures, t.elapsed().as_secs_f64());
    }
    for (t, w, p) in frontier(&setup, rates.get(0).unwrap()) {
        let b = std::time::Instant::now();
        let o = run_all(std::slice::from_ref(&item), |_| p.clone(), seed, |_| Deaf).unwrap();
        show(
            &format!("hpa {t} {w}"),
            &o.measures,
            b.elapsed().as_secs_f64(),
        );
    }
}
