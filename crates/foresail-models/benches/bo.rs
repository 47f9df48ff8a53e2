//! One round of Bayesian optimisation, in CPU time of one thread: two processes fitted to 60 points
//! of 12 dimensions, and three candidates found for them.
//!
//! Prints one JSON line. `FORESAIL_PEERS` names the folder of the peer scripts and `FORESAIL_PYTHON`
//! a Python with BoTorch: then the same points go through the peer in the same run, and the ratio of
//! CPU times stands in the row. Points, costs and latencies are those of the peer's script.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

mod support;

use foresail_models::bayes::acquisition::{Acquisition, Draws};
use foresail_models::bayes::constraint::{TEMPERATURE, Utility, infeasible_cost};
use foresail_models::bayes::fit::{beginnings, fit};
use foresail_models::bayes::gp::{Gp, Rows};
use foresail_models::bayes::optimize::{Effort, Found, maximise};
use foresail_models::bayes::prior::{Prior, Priors};
use foresail_models::rng::{Seed, child};
use serde_json::json;
use support::{median, normals, peer, round, splitmix};

const POINTS: usize = 60;
const STAGES: usize = 6;
const DIMENSIONS: usize = 2 * STAGES;

/// The beliefs of the peer's script: none but of the noise, which is BoTorch's own since 0.12.
const PEER: Priors = Priors {
    noise: Prior::LogNormal {
        location: -4.0,
        scale: 1.0,
    },
    ..Priors::NONE
};

/// What was measured, standardised, with what standardises it: mean and standard deviation.
struct Measured {
    rows: Rows,
    scale: [f64; 2],
}

fn standardised(points: &[Vec<f64>], values: &[f64]) -> Measured {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    let deviation = (squares / (n - 1.0)).sqrt();
    let values = values.iter().map(|v| (v - mean) / deviation).collect();
    Measured {
        rows: Rows::of(points.to_vec(), values),
        scale: [mean, deviation],
    }
}

/// The peer's workflow of six stages: more is better of the first, the second must not be above
/// nought.
fn measured() -> [Measured; 2] {
    let points: Vec<Vec<f64>> = splitmix(3, POINTS * DIMENSIONS)
        .chunks(DIMENSIONS)
        .map(<[f64]>::to_vec)
        .collect();
    let noise = normals(4, 2 * POINTS);
    let (mut costs, mut latencies) = (Vec::new(), Vec::new());
    for (i, point) in points.iter().enumerate() {
        let (mut cost, mut latency) = (0.0, 0.0);
        for (stage, x) in point.chunks(2).enumerate() {
            let (cpu, memory) = (0.1 + 5.9 * x[0], 0.125 + 9.875 * x[1]);
            let seconds = (0.4 + 0.2 * stage as f64) * (0.15 + 0.85 / cpu) * (1.0 + 0.3 / memory);
            latency += seconds;
            cost += seconds * (cpu * 0.173 + memory * 0.0123);
        }
        costs.push(-cost * (1.0 + 0.03 * noise[i]));
        latencies.push(latency * (1.0 + 0.03 * noise[POINTS + i]));
    }
    let mut sorted = latencies.clone();
    sorted.sort_by(f64::total_cmp);
    let bound = 0.5 * (sorted[POINTS / 2 - 1] + sorted[POINTS / 2]);
    let excess: Vec<f64> = latencies.iter().map(|l| l - bound).collect();
    [
        standardised(&points, &costs),
        standardised(&points, &excess),
    ]
}

fn fitted(measured: &[Measured; 2], priors: &Priors) -> [Gp; 2] {
    measured.each_ref().map(|one| {
        let beginnings = beginnings(DIMENSIONS);
        fit(one.rows.clone(), priors, &beginnings).expect("rows that can be fitted")
    })
}

fn candidates(measured: &[Measured; 2], gps: &[Gp; 2]) -> Found {
    let [objective, constraint] = gps;
    let points = &objective.rows().points;
    let held: Vec<_> = points.iter().map(|p| objective.posterior(p)).collect();
    let [mean, deviation] = measured[1].scale;
    let utility = Utility {
        infeasible_cost: infeasible_cost(&held),
        limit: -mean / deviation,
        temperature: TEMPERATURE / deviation,
    };
    let pairs: Vec<(usize, usize)> = (0..POINTS).map(|i| (i, i)).collect();
    let mut stream = child(Seed(1), "bench");
    let draws = Draws {
        count: 32,
        batch: 3,
    };
    let acquisition = Acquisition::new(objective, constraint, &pairs, utility, draws, &mut stream)
        .expect("processes that can be drawn from");
    let kept = (0..POINTS).filter(|i| constraint.rows().values[*i] <= utility.limit);
    let by = |a: &usize, b: &usize| held[*a].mean.total_cmp(&held[*b].mean);
    let good = points[kept.max_by(by).expect("half keep the bound")].clone();
    let effort = Effort {
        raw: 32,
        restarts: 10,
    };
    maximise(&acquisition, &[good], effort, &mut stream)
}

fn main() {
    // `cargo test --benches` runs this once: it must not take long then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    // One thread: what runs in others would not be counted.
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .use_current_thread();
    one.build_global().expect("the first pool");
    let measured = measured();
    let time = |priors| median(|| drop(std::hint::black_box(fitted(&measured, priors))));
    let (fit_s, classic_s) = (time(&PEER), time(&Priors::CLASSIC));
    let gps = fitted(&measured, &PEER);
    let acquire_s = median(|| drop(std::hint::black_box(candidates(&measured, &gps))));
    let found = candidates(&measured, &gps);
    let mut row = json!({"bench": "bo-round", "points": POINTS, "dimensions": DIMENSIONS,
        "batch": 3, "draws": 32, "restarts": 10, "raw": 32, "threads": 1,
        "fit_cpu_s": round(fit_s), "fit_classic_priors_cpu_s": round(classic_s),
        "acquire_cpu_s": round(acquire_s),
        "cpu_s": round(fit_s + acquire_s), "value": found.value * measured[0].scale[1]});
    if let Some(theirs) = peer("bo_botorch.py", &[]).into_iter().next() {
        row["peer_cpu_s"] = theirs["cpu_s"].clone();
        row["peer_value"] = theirs["acq_value"].clone();
        let seconds = theirs["cpu_s"].as_f64().unwrap_or(f64::NAN);
        row["ratio"] = json!(round((fit_s + acquire_s) / seconds));
    }
    println!("{row}");
}
