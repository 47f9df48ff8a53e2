//! The experiment's arms in one world: the exact HPA, the published simulator, the adviser, Foresail's own
//! policy and the oracle, each against a check of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use foresail::experiment::rules::Options;
use foresail::experiment::schedule::Schedule;
use foresail::experiment::world::World;
use foresail_core::hpa::ControllerSettings;
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Span;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use foresail_sim::driver::Deaf;
use foresail_sim::experiment::{Setup, policy};
use foresail_sim::fluid::{Decider, Fluid, GroupPilot, Model};
use serde_json::Value;
use support::{refused, stdout};

/// Seven minutes without busy loops: a quiet one, a ramp to six times as much, two minutes, the fall.
const RAMP: &str = "replicas = 3\ncpuPerRequestMillis = 5.0\nload = [\n\
    {forSeconds = 60, from = 20},\n {forSeconds = 60, from = 20, to = 120},\n {forSeconds = 120, from = 120},\n\
    {forSeconds = 180, from = 20},\n]\n";

/// Who scales.
const EVERYBODY: [&str; 6] = [
    "hpa_only",
    "ai_scaler",
    "comparison",
    "predictive",
    "naive_hpa",
    "oracle",
];

/// Flies modes under the ramp, or under the published half hour.
fn simulate(at: &Path, ramp: bool, args: &[&str]) -> Vec<Value> {
    fs::write(at.join("ramp.toml"), RAMP).unwrap();
    let stress: &[&str] = if ramp {
        &["--stress", "ramp.toml", "--interval", "10"]
    } else {
        &[]
    };
    let all = [&["experiment", "--simulate", "-o", "json"], stress, args].concat();
    let told: Value = serde_json::from_str(&stdout(at, &all, 0)).unwrap();
    told["runs"].as_array().unwrap().clone()
}

fn number(run: &Value, field: &str) -> f64 {
    run[field]
        .as_f64()
        .unwrap_or_else(|| panic!("{field}: {run}"))
}

fn file(at: &Path, run: &Value) -> PathBuf {
    at.join("experiment_data")
        .join(run["file"].as_str().unwrap())
}

fn column(file: &Path, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let place = reader.headers().unwrap().iter().position(|c| c == name);
    let place = place.unwrap_or_else(|| panic!("no column {name}"));
    let cell = |r: csv::StringRecord| r[place].to_owned();
    reader.records().map(|r| cell(r.unwrap())).collect()
}

/// What knows the future is below everybody who keeps as much of the promise; with busy loops and without.
#[test]
fn nobody_is_below_the_least_and_the_oracle_keeps_the_promise() {
    for ramp in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let runs = simulate(folder.path(), ramp, &["--mode", "all", "--seeds", "2"]);
        let modes: Vec<&str> = runs.iter().map(|r| r["mode"].as_str().unwrap()).collect();
        assert_eq!(modes, [EVERYBODY, EVERYBODY].concat());
        let oracle = runs.iter().find(|r| r["mode"] == "oracle").unwrap();
        assert!(number(oracle, "latePercent") <= 1.0, "{oracle}");
        for run in &runs {
            let (cost, late) = (number(run, "replicaMinutes"), number(run, "latePercent"));
            let least = number(run, "leastReplicaMinutes");
            println!(
                "{ramp} {}: {cost:.1} and {late:.2} %, least {least:.1}",
                run["mode"]
            );
            assert!(cost >= least - 1e-6, "{run}");
            let keeps = late <= number(oracle, "latePercent");
            assert!(
                !keeps || cost >= number(oracle, "replicaMinutes") - 1e-6,
                "{run}"
            );
        }
        if ramp {
            // Without loops the plan is the best of its own game.
            let above = number(oracle, "replicaMinutes") - number(oracle, "leastReplicaMinutes");
            assert!(above.abs() < 1e-6, "{oracle}");
        }
    }
}

fn world(schedule: Schedule) -> World {
    let options = Options {
        interval: Span::from_seconds(30),
        length: Span::ZERO,
        deployment: "webapp".to_owned(),
        min: 1,
        max: 10,
        cpu_target: 60,
        memory_target: 80,
        history: Span::from_seconds(900),
        capacity: None,
    };
    World::new(options, ControllerSettings::default(), schedule, Span::ZERO).unwrap()
}

/// The HPA of the comparisons (`compare`) in the same world: the same replicas for the same time.
#[test]
fn hpa_only_is_the_exact_hpa_that_policies_are_compared_with() {
    let world = world(Schedule::default());
    let setup = Setup {
        cluster: world.cluster.clone(),
        pipeline: world.pipeline.clone(),
        min: 1,
        max: 10,
        hpa_target_percent: 60,
        schedule: Vec::new(),
        target: TargetId::new("webapp"),
        aapa: BTreeMap::new(),
        resources: BTreeMap::new(),
        own: Some(world.rules.hpa().spec()),
    };
    let hpa = policy::hpa(&setup, 60, None, world.cluster.initial);
    let engine = engine_of(hpa.spec, Seed(42)).unwrap();
    let mut pilot = GroupPilot::of_engine(engine, Deaf);
    let workload = world.workload(42);
    let fluid = Fluid {
        backlog: false,
        chance: Some(Seed(42)),
    };
    let mut model = Model::checked(&world.cluster, &world.pipeline, &workload, fluid).unwrap();
    while model.begin_step().is_some() {
        let asked = pilot.decide(&model.look(true));
        model.act(asked);
        model.advance();
    }
    let measured = model.finish();
    let folder = tempfile::tempdir().unwrap();
    let runs = simulate(folder.path(), false, &["--mode", "hpa_only"]);
    let near = |field: &str, want: f64| {
        let got = number(&runs[0], field);
        assert!((got - want).abs() < 1e-6, "{field}: {got}, not {want}");
    };
    near("replicaMinutes", measured.replica_minutes);
    near("latePercent", measured.violations_percent());
    near("writes", measured.actions as f64);
}

/// Row for row by the published rules: ⌈replicas · ratio⌉ by nginx's own requests, the larger of both
/// metrics, and a way down that keeps the largest of the low numbers of a minute.
#[test]
fn naive_hpa_is_the_published_formula_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let runs = simulate(folder.path(), false, &["--mode", "naive_hpa"]);
    let file = file(folder.path(), &runs[0]);
    let cells = |name| column(&file, name);
    let (cpu, memory) = (cells("cpu_millicores"), cells("memory_mebibytes"));
    let (current, applied) = (cells("current_replicas"), cells("applied_replicas"));
    let (mut lows, mut judged, mut moved): (Vec<(usize, f64)>, _, _) = (Vec::new(), 0, 0);
    for row in 0..cpu.len() {
        let now: f64 = current[row].parse().unwrap();
        let after: f64 = applied[row].parse().unwrap();
        let (Ok(cpu), Ok(memory)) = (cpu[row].parse::<f64>(), memory[row].parse::<f64>()) else {
            assert!((after - now).abs() < 0.1, "row {row}: nothing is known");
            continue;
        };
        let quotients = [now * cpu / (100.0 * 0.6), now * memory / (64.0 * 0.8)];
        let raw = quotients
            .map(f64::ceil)
            .into_iter()
            .fold(0.0, f64::max)
            .clamp(1.0, 10.0);
        // Cells have two digits: beside a whole number they do not tell which side it was.
        if quotients.iter().any(|q| (q - q.round()).abs() < 1e-3) {
            lows.clear();
            continue;
        }
        let wanted = if raw < now {
            lows.push((row, raw));
            // Sixty seconds are two rows.
            let kept = lows.iter().filter(|(at, _)| row - at <= 2);
            kept.map(|(_, n)| *n).fold(0.0, f64::max)
        } else {
            raw
        };
        assert!(
            (after - wanted).abs() < 0.1,
            "row {row}: {after}, not {wanted}"
        );
        judged += 1;
        moved += usize::from((after - now).abs() > 0.5);
    }
    println!("{judged} rows, {moved} changes");
    assert!(judged > 50 && moved > 3, "{judged} rows, {moved} changes");
    let by = cells("applied_by");
    assert_eq!(by[0], "none", "nothing is known at the begin");
    assert!(by[3..].iter().all(|b| b == "naive_hpa"));
}

/// Without a past there is no forecast that could be trusted: the HPA decides, replica for replica. With
/// twelve hours of the same the forecast decides, and is there before the ramp.
#[test]
fn predictive_is_the_hpa_until_it_has_seen_enough() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let capacity = ["--capacity", "13.2"];
    let hpa = simulate(at, true, &["--mode", "hpa_only"]);
    let new = simulate(
        at,
        true,
        &[&["--mode", "predictive"], &capacity[..]].concat(),
    );
    let current = |run: &Value| column(&file(at, run), "current_replicas");
    assert_eq!(current(&hpa[0]), current(&new[0]));
    let by = column(&file(at, &new[0]), "applied_by");
    assert!(by.iter().all(|b| b != "predictive"), "{by:?}");
    assert_eq!(new[0]["asked"], 0, "nobody is asked");
    let past = ["--mode", "predictive", "--past", "12h"];
    let more = ["--output-dir", "known/experiment_data"];
    let known = simulate(at, true, &[&past[..], &capacity, &more].concat());
    let own = at.join("known");
    let by = column(&file(&own, &known[0]), "applied_by");
    assert!(
        by.iter().filter(|b| *b == "predictive").count() > 10,
        "{by:?}"
    );
    let late = number(&known[0], "latePercent");
    println!(
        "late: HPA {}, forecast {late}",
        number(&hpa[0], "latePercent")
    );
    assert!(late < number(&hpa[0], "latePercent"), "{known:?}");
}

/// The report's table is the means of the runs.
#[test]
fn the_report_has_everybody_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let runs = simulate(at, true, &["--mode", "all", "--seeds", "3"]);
    let arms = at.join("experiment_data/report/arms.csv");
    let page = fs::read_to_string(at.join("experiment_data/report/index.html")).unwrap();
    assert!(page.contains("Who scaled, live and rehearsed side by side"));
    let who = column(&arms, "who scales");
    assert_eq!(who, EVERYBODY);
    let shown = column(&arms, "rehearsed replica-minutes");
    for (mode, shown) in who.iter().zip(shown) {
        let own = runs.iter().filter(|r| r["mode"] == mode.as_str());
        let all: Vec<f64> = own.map(|r| number(r, "replicaMinutes")).collect();
        assert_eq!(all.len(), 3);
        let mean = all.iter().sum::<f64>() / 3.0;
        assert_eq!(shown, format!("{mean:.1}"), "{mode}");
    }
    assert!(column(&arms, "live runs").iter().all(|n| n == "0"));
    assert!(column(&arms, "live late %").iter().all(|n| n == "–"));
}

#[test]
fn what_cannot_govern_a_cluster_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |args: &[&str]| refused(folder.path(), &[&["experiment"], args].concat());
    assert!(refuse(&["--mode", "naive_hpa"]).contains("rows of hpa_only"));
    assert!(refuse(&["--mode", "oracle"]).contains("--simulate"));
    assert!(refuse(&["--mode", "predictive"]).contains("--demand-query"));
    for past in ["-1s", "15d"] {
        let past = format!("--past={past}");
        assert!(refuse(&["--simulate", &past]).contains("--past"), "{past}");
        assert!(
            refuse(&["--mode", "hpa_only", &past]).contains("--past"),
            "{past}"
        );
    }
    for capacity in [
        "--capacity=0",
        "--capacity=-1",
        "--capacity=inf",
        "--capacity=nan",
    ] {
        let told = refuse(&["--simulate", capacity]);
        assert!(told.contains("--capacity"), "{told}");
    }
}
