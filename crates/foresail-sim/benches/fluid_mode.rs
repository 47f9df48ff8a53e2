//! Fluid mode over a thousand functions and one day, `hpa`: what `compare --mode fluid` does for
//! one policy.
//!
//! Prints one JSON line per sync period with CPU seconds and wall time of all threads together, the
//! time of one function-step, and the most memory that the process held.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

use std::collections::BTreeMap;

use std::time::Instant;

use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::rng::Seed;
use foresail_sim::config::{ClusterConfig, Pipeline};
use foresail_sim::driver::Deaf;
use foresail_sim::experiment::{Item, Setup, policy};
use foresail_sim::fluid::{Fluid, fly_all};
use foresail_sim::rng::Stream;
use foresail_sim::workload::{Within, Workload};

const FUNCTIONS: usize = 1000;
const MINUTES: usize = 1440;

/// CPU seconds of the whole process so far, by `/proc`, in hundredths.
fn cpu() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = text.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

fn peak_mib() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|l| l.starts_with("VmHWM"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Functions whose mean rates lie over four decades, each with a day's wave.
fn items(sync: i64) -> Vec<Item> {
    let pipeline = Pipeline {
        sync: Span::from_seconds(sync),
        ..Pipeline::default()
    };
    let item = |i: usize| {
        let mut stream = Stream::of(Seed(42), &format!("function {i}"));
        let mean = 0.01 * 10_f64.powf(4.0 * stream.uniform());
        let phase = stream.uniform() * std::f64::consts::TAU;
        let count = |m: usize| {
            let angle = m as f64 / MINUTES as f64 * std::f64::consts::TAU + phase;
            stream.poisson(60.0 * mean * (1.0 + 0.8 * angle.sin())) as u32
        };
        let counts = (0..MINUTES).map(count).collect();
        Item {
            id: i.to_string(),
            workload: Workload::Counts {
                start: Timestamp::EPOCH,
                step: Span::from_seconds(60),
                counts,
                within: Within::Poisson,
            },
            setup: Setup {
                resources: BTreeMap::new(),
                aapa: BTreeMap::new(),
                own: None,
                cluster: ClusterConfig::default(),
                pipeline: pipeline.clone(),
                min: 1,
                max: 100,
                hpa_target_percent: 80,
                schedule: Vec::new(),
                target: TargetId::new("trace/Function/f"),
            },
        }
    };
    (0..FUNCTIONS).map(item).collect()
}

fn main() {
    // `cargo test --benches` runs this once: it must not take long then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    for sync in [60, 15] {
        let items = items(sync);
        let mut runs = Vec::new();
        for _ in 0..3 {
            let (wall, before) = (Instant::now(), cpu());
            let flown = fly_all(
                &items,
                |item| policy::hpa(&item.setup, 80, None, 1),
                Fluid::default(),
                Seed(42),
                |_| Deaf,
            );
            let flown = flown.expect("valid knobs");
            std::hint::black_box(flown.measures.cost);
            let wall = wall.elapsed().as_secs_f64();
            let used = before.zip(cpu()).map_or(wall, |(a, b)| b - a);
            runs.push((used, wall));
        }
        runs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (used, wall) = runs[1];
        let steps = (FUNCTIONS * MINUTES * 60) as f64 / sync as f64;
        println!(
            "{{\"bench\":\"fluid_mode hpa\",\"sync_seconds\":{sync},\"functions\":{FUNCTIONS},\"cpu_s\":{used:.2},\
             \"wall_s\":{wall:.2},\"us_per_function_step\":{:.3},\"peak_mib\":{:.0}}}",
            used / steps * 1e6,
            peak_mib().unwrap_or(f64::NAN)
        );
    }
}
