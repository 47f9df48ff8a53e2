//! The analytic workflow whose cheapest plan is known by brute force.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;

use foresail_core::propose::advice::{Measurement, Trial, Tuner};
use foresail_core::propose::plan::{Plan, TargetId};
use foresail_models::knobs::Knobs;
use foresail_models::normal::standard_normal;
use foresail_models::registry::TUNERS;
use foresail_models::rng::{Seed, child};
use foresail_models::tune::space::{Range, Space};
use rand_chacha::ChaCha8Rng;

/// Bytes of a mebibyte.
const MEBI: f64 = 1_048_576.0;

/// Three stages: `d = f + w / cpu + 2 · max(0, need / memory − 1)` seconds each, one after the other,
/// at the published prices per hour of a core and of a gibibyte.
pub(crate) struct Workflow {
    /// `(f, w, need in MiB)` of each stage.
    pub(crate) stages: [[f64; 3]; 3],
    /// The promised end-to-end time, s.
    pub(crate) bound: f64,
    /// Relative standard deviation of what is measured.
    pub(crate) noise: f64,
    pub(crate) stream: ChaCha8Rng,
}

impl Workflow {
    /// The reference with a bound; nothing varies.
    pub(crate) fn new(bound: f64) -> Self {
        Self {
            stages: [[0.3, 2.0, 512.0], [0.4, 4.0, 1024.0], [0.2, 1.0, 256.0]],
            bound,
            noise: 0.0,
            stream: child(Seed(0), "noise"),
        }
    }

    /// With noise, by a seed of its own.
    pub(crate) fn noisy(bound: f64, noise: f64, seed: u64) -> Self {
        Self {
            noise,
            stream: child(Seed(seed), "noise"),
            ..Self::new(bound)
        }
    }

    /// 0.1 to 6 cores and 128 to 10,240 MiB for every stage.
    pub(crate) fn space() -> Space {
        let range = |stage: &str, resource: &str, [from, to, step]: [f64; 3]| Range {
            target: TargetId::new(stage),
            resource: resource.to_owned(),
            from,
            to,
            step,
        };
        let both = |stage| {
            [
                range(stage, "cpu", [0.1, 6.0, 0.1]),
                range(stage, "memory", [128.0 * MEBI, 10_240.0 * MEBI, MEBI]),
            ]
        };
        Space {
            ranges: ["a", "b", "c"].into_iter().flat_map(both).collect(),
        }
    }

    /// Cost in dollars and end-to-end seconds, without noise.
    pub(crate) fn exact(&self, plan: &Plan) -> [f64; 2] {
        let (mut cost, mut seconds) = (0.0, 0.0);
        for ((_, setting), [fixed, work, need]) in plan.iter().zip(self.stages) {
            let amount = |name| setting.per_pod.get(name).unwrap().milli() as f64 / 1000.0;
            let (cpu, memory) = (amount("cpu"), amount("memory") / MEBI);
            let short = need / memory - 1.0;
            let d = fixed + work / cpu + 2.0 * if short > 0.0 { short } else { 0.0 };
            seconds += d;
            cost += d * (cpu * 0.173 + memory / 1024.0 * 0.0123) / 3600.0;
        }
        [cost, seconds]
    }

    /// The cheapest cost of all plans on steps of 0.1 cores, each stage with the memory it needs: less
    /// costs more time than it saves, more costs money for nothing.
    pub(crate) fn cheapest(&self) -> f64 {
        let of = |[fixed, work, need]: [f64; 3]| -> Vec<[f64; 2]> {
            (1..=60)
                .map(|step| {
                    let cpu = f64::from(step) / 10.0;
                    let d = fixed + work / cpu;
                    [d, d * (cpu * 0.173 + need / 1024.0 * 0.0123) / 3600.0]
                })
                .collect()
        };
        let [a, b, c] = self.stages.map(of);
        let mut least = f64::INFINITY;
        for x in &a {
            for y in &b {
                for z in &c {
                    let cost = x[1] + y[1] + z[1];
                    if x[0] + y[0] + z[0] <= self.bound && cost < least {
                        least = cost;
                    }
                }
            }
        }
        least
    }

    /// One measurement.
    pub(crate) fn measure(&mut self, plan: &Plan) -> Measurement {
        let [cost, seconds] = self.exact(plan);
        let factor = 1.0 + self.noise * standard_normal(&mut self.stream);
        let seconds = seconds * factor;
        Measurement {
            objective: Some(cost * factor),
            excess: Some(seconds - self.bound),
            slo_met: true,
        }
    }
}

/// A tuner of the registry for the workflow's space.
pub(crate) fn tuner(name: &str, knobs: &serde_json::Value, seed: u64) -> Box<dyn Tuner + Send> {
    let entry = TUNERS.iter().find(|e| e.name == name).unwrap();
    let given: BTreeMap<String, serde_json::Value> = serde_json::from_value(knobs.clone()).unwrap();
    let knobs = Knobs::read(entry.knobs, &given, "knobs").unwrap();
    (entry.build)(&knobs, &Workflow::space(), Seed(seed)).unwrap()
}

/// Runs a tuner to its end and returns every trial with what was told of it.
pub(crate) fn run(
    tuner: &mut dyn Tuner,
    mut measure: impl FnMut(&Trial) -> Measurement,
) -> Vec<(Trial, Measurement)> {
    let mut all = Vec::new();
    loop {
        let asked = tuner.ask();
        if asked.is_empty() {
            return all;
        }
        for trial in asked {
            let measured = measure(&trial);
            tuner.tell(&trial, &measured);
            all.push((trial, measured));
        }
    }
}
