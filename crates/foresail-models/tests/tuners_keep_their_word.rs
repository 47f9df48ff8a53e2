//! What every tuner promises, and what the Bayesian one does with measurements that are odd, missing
//! or of plans that break the constraint.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

#[path = "tune/workflow.rs"]
mod workflow;

use std::collections::BTreeMap;

use foresail_core::propose::advice::{DoubtState, Doubted, Measurement, Trial};
use foresail_core::propose::plan::Plan;
use foresail_models::knobs::Knobs;
use foresail_models::registry::TUNERS;
use foresail_models::rng::Seed;
use foresail_models::tune::space::Space;
use serde_json::{Value, json};
use workflow::{Workflow, run, tuner};

const NOTHING: Measurement = Measurement {
    objective: None,
    excess: None,
    slo_met: true,
};

fn key(plan: &Plan) -> String {
    serde_json::to_string(plan).unwrap()
}

/// Few enough trials for a test; those of `exhaustive` follow from its levels.
fn few(name: &str) -> Value {
    match name {
        "bayes" => json!({"nInit": 6, "nBatch": 3}),
        "exhaustive" => json!({"levels": 2}),
        "random" => json!({"trials": 15}),
        _ => json!({"trials": 15}),
    }
}

#[test]
fn every_tuner_ends_and_asks_for_plans_of_the_space() {
    for entry in TUNERS {
        let mut workflow = Workflow::new(4.0);
        let mut one = tuner(entry.name, &few(entry.name), 1);
        assert!(one.best().is_none(), "{}", entry.name);
        let all = run(&mut *one, |trial| workflow.measure(&trial.plan));
        let count = if entry.name == "exhaustive" { 64 } else { 15 };
        assert_eq!(all.len(), count, "{}", entry.name);
        for (place, (trial, _)) in all.iter().enumerate() {
            assert_eq!(trial.number, place as u64 + 1, "{}", entry.name);
            let point = Workflow::space().point(&trial.plan).unwrap();
            assert!(
                point.iter().all(|x| (0.0..=1.0).contains(x)),
                "{}",
                entry.name
            );
        }
        assert!(one.best().is_some());
        one.reopen(4);
        let more = run(&mut *one, |trial| workflow.measure(&trial.plan));
        assert_eq!(more.len(), 4, "{}", entry.name);
        assert_eq!(more[0].0.number, count as u64 + 1);
        assert!(one.ask().is_empty() && one.best().is_some());
    }
}

#[test]
fn the_same_seed_and_measurements_give_the_same_trials_and_a_journal_resumes() {
    for entry in TUNERS {
        let measure = |trial: &Trial| Workflow::new(4.0).measure(&trial.plan);
        let mut one = tuner(entry.name, &few(entry.name), 3);
        let all = run(&mut *one, measure);
        let mut again = tuner(entry.name, &few(entry.name), 3);
        assert_eq!(run(&mut *again, measure), all, "{}", entry.name);
        // What was told before goes in as it was asked for; the rest follows by itself.
        let mut resumed = tuner(entry.name, &few(entry.name), 3);
        let mut told = 0;
        while told < 8 {
            for trial in resumed.ask().into_iter().take(8 - told) {
                assert_eq!(trial, all[told].0, "{}", entry.name);
                resumed.tell(&trial, &all[told].1);
                told += 1;
            }
        }
        assert_eq!(run(&mut *resumed, measure), all[8..], "{}", entry.name);
        let mut other = tuner(entry.name, &few(entry.name), 4);
        let differs = run(&mut *other, measure) != all;
        assert!(differs, "{}", entry.name);
    }
}

#[test]
fn every_tuner_survives_measurements_that_are_none() {
    for entry in TUNERS {
        let mut one = tuner(entry.name, &few(entry.name), 5);
        let nan = Measurement {
            objective: Some(f64::NAN),
            excess: Some(-1.0),
            slo_met: true,
        };
        let all = run(&mut *one, |trial| {
            if trial.number % 2 == 0 {
                nan.clone()
            } else {
                NOTHING
            }
        });
        assert!(all.len() >= 15, "{}", entry.name);
        assert!(one.best().is_none(), "{}", entry.name);
    }
}

#[test]
fn where_nothing_keeps_the_bound_the_nearest_is_told_as_what_it_is() {
    // No plan is faster than 2.07 s.
    for entry in TUNERS {
        let mut workflow = Workflow::new(1.0);
        let mut one = tuner(entry.name, &few(entry.name), 1);
        let all = run(&mut *one, |trial| workflow.measure(&trial.plan));
        let best = one.best().unwrap();
        assert!(!best.feasible, "{}", entry.name);
        let least = all
            .iter()
            .map(|(_, m)| m.excess.unwrap())
            .min_by(f64::total_cmp);
        assert!(
            (best.excess - least.unwrap()).abs() < 1e-9,
            "{}",
            entry.name
        );
    }
}

#[test]
fn a_cheap_plan_that_breaks_the_bound_never_wins() {
    // The published penalty of 100 is less than what one stage may cost.
    for entry in TUNERS {
        let mut one = tuner(entry.name, &few(entry.name), 1);
        let mut feasible = Vec::new();
        run(&mut *one, |trial| {
            let keeps = trial.number % 5 == 0;
            let objective = if keeps {
                5000.0 + trial.number as f64
            } else {
                1.0
            };
            feasible.extend(keeps.then(|| trial.plan.clone()));
            Measurement {
                objective: Some(objective),
                excess: Some(if keeps { -0.5 } else { 0.5 }),
                slo_met: true,
            }
        });
        let best = one.best().unwrap();
        assert!(
            best.feasible && feasible.contains(&best.plan),
            "{}",
            entry.name
        );
    }
}

#[test]
fn one_measurement_ten_times_too_slow_is_measured_again_and_not_dropped() {
    let mut found = 0;
    for seed in 0..8 {
        let mut workflow = Workflow::noisy(4.0, 0.02, seed);
        let mut bayes = tuner("bayes", &json!({"nInit": 20, "nBatch": 6}), seed);
        let odd = 4 + seed;
        let mut times = BTreeMap::new();
        let all = run(&mut *bayes, |trial| {
            let mut measured = workflow.measure(&trial.plan);
            *times.entry(key(&trial.plan)).or_insert(0) += 1;
            if trial.number == odd {
                let seconds = 10.0 * (measured.excess.unwrap() + workflow.bound);
                measured.excess = Some(seconds - workflow.bound);
            }
            measured
        });
        let plan = &all[odd as usize - 1].0.plan;
        let doubts = bayes.doubts();
        let raised = doubts
            .iter()
            .find(|d| d.trial == odd && d.of == Doubted::Excess);
        if let Some(doubt) = raised {
            found += 1;
            assert_eq!(doubt.state, DoubtState::Replaced, "{doubt}");
            assert_eq!(times[&key(plan)], 3);
            assert!(
                doubt
                    .to_string()
                    .starts_with(&format!("trial {odd}: excess "))
            );
        }
        let most = times.values().max().unwrap();
        assert!(*most <= 3, "{most}");
    }
    assert!(found >= 7, "found {found} of 8");
}

#[test]
fn sound_measurements_are_seldom_held_for_odd() {
    let (mut doubted, mut count) = (0, 0);
    for (noise, seed) in (0..30).map(|seed| ([0.0, 0.01, 0.05][seed as usize % 3], seed)) {
        let mut workflow = Workflow::noisy(4.0, noise, 100 + seed);
        let mut bayes = tuner("bayes", &json!({"nInit": 40, "nBatch": 14}), seed);
        for trial in bayes.ask() {
            bayes.tell(&trial, &workflow.measure(&trial.plan));
        }
        bayes.ask();
        let mut trials: Vec<u64> = bayes.doubts().iter().map(|d| d.trial).collect();
        trials.sort_unstable();
        trials.dedup();
        doubted += trials.len();
        count += 40;
    }
    println!("{doubted} of {count}");
    assert!(doubted * 100 <= 7 * count, "{doubted} of {count}");
}

#[test]
fn without_anomaly_detection_no_plan_is_doubted() {
    let mut workflow = Workflow::noisy(4.0, 0.05, 1);
    let knobs = json!({"nInit": 10, "nBatch": 4, "anomalyDetection": false});
    let mut bayes = tuner("bayes", &knobs, 1);
    run(&mut *bayes, |trial| {
        let mut measured = workflow.measure(&trial.plan);
        if trial.number == 3 {
            measured.excess = measured.excess.map(|e| 50.0 + 10.0 * e);
        }
        measured
    });
    assert!(bayes.doubts().is_empty());
}

#[test]
fn a_plan_that_cannot_be_measured_is_asked_for_thrice_and_then_known_as_failed() {
    let mut workflow = Workflow::new(4.0);
    let mut bayes = tuner("bayes", &json!({"nInit": 8, "nBatch": 5}), 2);
    let mut lost = None;
    let all = run(&mut *bayes, |trial| {
        let lost = lost.get_or_insert_with(|| trial.plan.clone());
        if trial.plan == *lost {
            return Measurement {
                objective: Some(f64::NAN),
                ..workflow.measure(&trial.plan)
            };
        }
        workflow.measure(&trial.plan)
    });
    let lost = lost.unwrap();
    let asked = all.iter().filter(|(trial, _)| trial.plan == lost).count();
    assert_eq!(asked, 3);
    let doubts = bayes.doubts();
    let of_it: Vec<DoubtState> = doubts
        .iter()
        .filter(|d| d.of == Doubted::Missing)
        .map(|d| d.state)
        .collect();
    assert_eq!(of_it.len(), 3, "{doubts:?}");
    assert_eq!(of_it[2], DoubtState::Failed);
    assert!(bayes.best().unwrap().plan != lost);
}

#[test]
fn a_trial_that_was_called_off_is_known_to_break_the_bound() {
    let mut workflow = Workflow::new(4.0);
    let mut bayes = tuner("bayes", &json!({"nInit": 8, "nBatch": 5}), 2);
    let all = run(&mut *bayes, |trial| {
        let mut measured = workflow.measure(&trial.plan);
        if measured.excess.unwrap() > 0.0 {
            measured.objective = None;
            measured.slo_met = false;
        }
        measured
    });
    let missing = bayes
        .doubts()
        .into_iter()
        .filter(|d| d.of == Doubted::Missing);
    assert_eq!(missing.count(), 0);
    assert_eq!(all.len(), 23);
    assert!(bayes.best().unwrap().feasible);
}

#[test]
fn knobs_and_spaces_that_mean_nothing_are_refused() {
    let bayes = TUNERS.iter().find(|e| e.name == "bayes").unwrap();
    let read = |given: Value| {
        let given: BTreeMap<String, Value> = serde_json::from_value(given).unwrap();
        Knobs::read(bayes.knobs, &given, "knobs")
    };
    for (given, what) in [
        (json!({"nInit": 1}), "knobs.nInit"),
        (json!({"batchSize": 2.5}), "whole number"),
        (json!({"anomalyDetection": "yes"}), "true or false"),
        (json!({"confidence": 1.0}), "knobs.confidence"),
        (json!({"n_init": 10}), "knobs.n_init"),
    ] {
        let problems = format!("{:?}", read(given.clone()).unwrap_err());
        assert!(problems.contains(what), "{given}: {problems}");
    }
    let many = read(json!({"nInit": 200, "nBatch": 512})).unwrap();
    let refused = (bayes.build)(&many, &Workflow::space(), Seed(1))
        .err()
        .unwrap();
    assert!(refused.contains("must be at most 512"), "{refused}");
    let mut fixed: Space = Workflow::space();
    for range in &mut fixed.ranges {
        range.to = range.from;
    }
    let knobs = read(json!({})).unwrap();
    let refused = (bayes.build)(&knobs, &fixed, Seed(1)).err().unwrap();
    assert!(refused.contains("nothing to tune"), "{refused}");
    // One dimension that is free is enough.
    fixed.ranges[2].to = 6.0;
    let few = read(json!({"nInit": 3, "nBatch": 4})).unwrap();
    let mut one = (bayes.build)(&few, &fixed, Seed(1)).unwrap();
    let mut workflow = Workflow::new(40.0);
    assert_eq!(
        run(&mut *one, |trial| workflow.measure(&trial.plan)).len(),
        15
    );
}
