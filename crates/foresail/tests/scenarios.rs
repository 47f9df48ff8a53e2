//! The shipped scenarios: their figures, and the laws that hold whatever goes wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;
use std::path::PathBuf;

use foresail::compare::scenario;
use foresail_core::explain::Identity;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::STALE_AFTER;
use foresail_models::rng::Seed;
use foresail_sim::driver::{Listener, Story};
use foresail_sim::experiment::run::run_one;
use foresail_sim::experiment::{Policy, default_policies};
use foresail_sim::fault::Fault;
use support::{foresail, golden, refused, root, stdout};

fn scenarios() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("scenarios"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    files
}

fn path(name: &str) -> String {
    let file = root().join("scenarios").join(format!("{name}.yaml"));
    file.to_str().unwrap().to_owned()
}

#[test]
fn every_scenario_gives_its_figures() {
    assert!(scenarios().len() >= 6);
    for file in scenarios() {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let args = ["simulate", &path(&name), "--output", "csv"];
        let text = stdout(&root(), &args, 0);
        golden(&format!("scenarios/{name}.csv"), &text);
    }
}

/// What must hold at every tick of a policy, and how often each premise was met.
struct Laws {
    what: String,
    bounds: (Replicas, Replicas),
    /// Freshness and vetoes stay out with the HPA alone: its result is exact.
    guarded: bool,
    gaps: Vec<(Span, Span)>,
    start: foresail_core::quantity::time::Timestamp,
    ticks: u64,
    blind: u64,
    stale: u64,
    advised: u64,
}

impl Listener for Laws {
    fn told(&mut self, story: &Story<'_>) {
        let told = story.explanation(&Identity::default()).expect("one target");
        let broken = told.broken_laws(self.bounds);
        assert!(broken.is_empty(), "{}: {told}: {broken:?}", self.what);
        self.ticks += 1;
        let target = &story.tick.targets[0];
        let (current, decided) = (target.current.replicas, target.decided.replicas);
        let at = story.tick.at - self.start;
        let kept = decided >= current;
        // What was measured before the gap is good until it is stale.
        let blind = |(from, until): &(Span, Span)| *from + STALE_AFTER <= at && at < *until;
        if self.gaps.iter().any(blind) {
            self.blind += 1;
            assert!(kept, "{}: down without metrics: {told}", self.what);
        }
        let stale = target.sample_age.is_some_and(|a| a > STALE_AFTER);
        if self.guarded && stale {
            self.stale += 1;
            assert!(kept, "{}: down on stale metrics: {told}", self.what);
        }
        if let Some(floor) = target.wanted.reactive.replicas
            && story.tick.judged[0]
                .proposal
                .wish(&told_target(story))
                .is_some()
        {
            self.advised += 1;
            assert!(
                target.wanted.setting.replicas >= Some(floor),
                "{}: below the floor: {told}",
                self.what
            );
        }
    }
}

fn told_target(story: &Story<'_>) -> foresail_core::propose::plan::TargetId {
    story.engine.spec().targets()[0].id.clone()
}

fn fly(name: &str, policy: &str) -> Laws {
    let scenario = scenario::read(path(name).as_ref()).unwrap();
    let item = scenario.item(name, Seed(scenario.seed)).unwrap();
    let mean = item.workload.expected() / item.workload.length().seconds();
    let policies = default_policies(&item.setup, mean, item.workload.first_rate());
    let policy: &Policy = policies.iter().find(|p| p.name == policy).unwrap();
    let gap = |fault: &Fault| match *fault {
        Fault::MetricsGap { from, until } => Some((from, until)),
        _ => None,
    };
    let laws = Laws {
        what: format!("{name}, {}", policy.name),
        bounds: (Replicas::new(item.setup.min), Replicas::new(item.setup.max)),
        guarded: policy.name != "hpa",
        gaps: scenario.faults.iter().filter_map(gap).collect(),
        start: item.workload.start(),
        ticks: 0,
        blind: 0,
        stale: 0,
        advised: 0,
    };
    let (measures, laws) = run_one(&item, policy, Seed(scenario.seed), laws).unwrap();
    assert!(measures.requests.are_conserved(), "{:?}", measures.requests);
    laws
}

#[test]
fn explanations_chain_under_every_fault_and_policy() {
    for file in scenarios() {
        let scenario = scenario::read(&file).unwrap();
        for policy in &scenario.policies {
            let laws = fly(file.file_stem().unwrap().to_str().unwrap(), policy);
            assert!(laws.ticks > 100, "{}: {} ticks", laws.what, laws.ticks);
        }
    }
}

#[test]
fn missing_metrics_are_never_zero() {
    for policy in ["hpa", "kpa", "predictive-hpa"] {
        let laws = fly("metrics-outage", policy);
        // Half an hour less 90 s at a sync of 15 s; the KPA looks every 2 s.
        assert!(laws.blind >= 113, "{policy}: {}", laws.blind);
    }
}

#[test]
fn stale_metrics_never_scale_down() {
    for policy in ["kpa", "predictive-hpa"] {
        let laws = fly("stale-metrics", policy);
        assert!(laws.stale >= 30, "{policy}: {}", laws.stale);
    }
}

#[test]
fn lying_advice_passes_the_floor_and_the_bounds_like_any_other() {
    let laws = fly("lying-advice", "advised");
    // 1800 s of advice at a sync of 15 s; one replica was wished, never had.
    assert!(laws.advised >= 119, "{}", laws.advised);
}

#[test]
fn a_flight_through_faults_replays_identically() {
    let folder = tempfile::tempdir().unwrap();
    for (name, policy) in [
        ("nan-metrics", "kpa"),
        ("nan-metrics", "predictive-hpa"),
        ("metrics-outage", "hpa"),
        ("stale-metrics", "predictive-hpa"),
        ("lying-advice", "advised"),
        ("node-loss", "hpa"),
    ] {
        let file = format!("{name}-{policy}.jsonl");
        let path = path(name);
        let args = ["simulate", &path, "--policies", policy, "--record", &file];
        stdout(folder.path(), &args, 0);
        let text = stdout(folder.path(), &["replay", &file], 0);
        assert!(text.contains("identical"), "{name}, {policy}: {text}");
    }
}

#[test]
fn seeds_differ_and_the_same_seed_does_not() {
    let run = |seed: &str| {
        let path = path("node-loss");
        stdout(
            &root(),
            &["simulate", &path, "--seed", seed, "--output", "csv"],
            0,
        )
    };
    assert_eq!(run("1"), run("1"));
    assert_ne!(run("1").replace(",1,", ",2,"), run("2"));
}

#[test]
fn a_mistake_in_a_scenario_is_told_with_its_place_and_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let told = |text: &str| {
        fs::write(folder.path().join("x.yaml"), text).unwrap();
        refused(folder.path(), &["simulate", "x.yaml"])
    };
    let head = "summary: x\nworkload:\n  poisson: {rate: 5, forSeconds: 600}\n";
    for (text, want) in [
        (
            "cluster:\n  concurency: 3\n",
            "x.yaml:5:3: cluster.concurency: there is no key `concurency`; did you mean `concurrency`?",
        ),
        (
            "cluster:\n  queueing: centrl\n",
            "x.yaml:5:13: cluster.queueing: there is no key `centrl`; did you mean `central`?",
        ),
        (
            "cluster:\n  concurrency: 0\n",
            "concurrency: 0: must be 1 to 100000",
        ),
        (
            "replicas: {min: 0}\n",
            "replicas: min 0, max 100: min must be 1 or more",
        ),
        ("policies: [hpaa]\n", "did you mean `hpa`?"),
        (
            "faults:\n  - nodeLoss: {atSeconds: 5, nodes: 1}\n",
            "nodeLoss needs nodes: give nodes, or leave it out",
        ),
        (
            "faults:\n  - metricsGapp: {fromSeconds: 5, untilSeconds: 9}\n",
            "did you mean `metricsGap`?",
        ),
    ] {
        let error = told(&format!("{head}{text}"));
        assert!(error.contains(want), "{text}: {error}");
    }
    let error = told("summary: x\nworkload:\n  poisson: {rate: -5, forSeconds: 600}\n");
    assert!(error.contains("rates 0 or more"), "{error}");
    let error = refused(
        folder.path(),
        &["simulate", "x.yaml", "--slo", "wait<1s:99%"],
    );
    assert!(error.contains("cannot be used with"), "{error}");
    let error = refused(folder.path(), &["simulate", "none.yaml"]);
    assert!(error.contains("cannot read none.yaml"), "{error}");
}

#[test]
fn a_trace_in_a_scenario_is_found_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..30).map(|i| format!("{},120\n", 60 * i)).collect();
    fs::write(
        folder.path().join("web.csv"),
        format!("timestamp,count\n{rows}"),
    )
    .unwrap();
    let text =
        "summary: x\nworkload:\n  trace: {file: web.csv, within: uniform}\npolicies: [hpa]\n";
    fs::write(folder.path().join("x.yaml"), text).unwrap();
    let output = foresail(
        &root(),
        &[
            "simulate",
            folder.path().join("x.yaml").to_str().unwrap(),
            "--output",
            "json",
        ],
    );
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(value["policy"], "hpa");
}
