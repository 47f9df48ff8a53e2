//! `foresail optimize` at the command line: flags, files, journal, exit codes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::{foresail, refused, stdout};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn result(folder: &Path, args: &[&str], code: i32) -> Value {
    let text = stdout(
        folder,
        &[&["optimize"], args, &["--output", "json"]].concat(),
        code,
    );
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The reference without noise: one request says all.
const QUICK: [&str; 8] = [
    "--tuner",
    "random",
    "--requests",
    "1",
    "--repeats",
    "1",
    "--percentile",
    "100",
];

fn reference(more: &[&'static str]) -> Vec<&'static str> {
    [&["reference"], &QUICK[..], more].concat()
}

#[test]
fn the_reference_is_searched_and_the_best_is_in_force() {
    let folder = folder();
    let found = result(folder.path(), &reference(&["--seed", "1"]), 0);
    assert_eq!(found["conclusion"], "Best");
    assert_eq!(
        (&found["kept"], &found["trials"]),
        (&json!(true), &json!(70))
    );
    assert_eq!(found["inForce"], found["best"]["plan"]);
    // The optimum at 4 s: 4.41989e-4 a request.
    let least = found["boundPer1000"].as_f64().unwrap();
    assert!((least - 0.441_989).abs() < 5e-7, "{least}");
    let cost = found["measuredAgain"]["cost"].as_f64().unwrap();
    assert!((1.0..1.35).contains(&(cost / least)), "{cost}");
    let again = found["measuredAgain"]["latency"].as_f64().unwrap();
    assert!(again <= 4.0, "{again}");
    // The same seed, the same bytes.
    assert_eq!(
        found,
        result(folder.path(), &reference(&["--seed", "1"]), 0)
    );
}

#[test]
fn the_median_of_ten_seeds_is_that_of_random_search() {
    // Source: specs/aapa_aquatope.md PART 4: the median of 70 uniform points is 1.128 × optimum.
    let folder = folder();
    let mut ratios: Vec<f64> = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]
        .iter()
        .map(|seed| {
            let args = [&["reference"], &QUICK[..], &["--seed", seed]].concat();
            let found = result(folder.path(), &args, 0);
            assert_eq!(found["kept"], true, "seed {seed}");
            found["measuredAgain"]["cost"].as_f64().unwrap() / 0.441_989
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    assert!((1.05..1.2).contains(&ratios[5]), "{ratios:?}");
}

#[test]
fn published_flags_are_taken_with_underscores_and_values() {
    let folder = folder();
    let args = reference(&[
        "--n_init",
        "4",
        "--n_batch=2",
        "--mc_samples",
        "16",
        "--batch_size",
        "3",
        "--num_restarts",
        "5",
        "--raw_samples",
        "16",
        "--infeasible_cost",
        "0",
        "--anomaly_detection",
        "true",
        "--confidence",
        "0.9",
    ]);
    assert_eq!(result(folder.path(), &args, 0)["trials"], 10);
    let help = stdout(folder.path(), &["optimize", "--help"], 0);
    for (flag, default) in [
        ("--n-init", "10"),
        ("--n-batch", "20"),
        ("--mc-samples", "32"),
        ("--batch-size", "3"),
        ("--num-restarts", "10"),
        ("--raw-samples", "32"),
        ("--infeasible-cost", "0"),
        ("--anomaly-detection", "true"),
        ("--confidence", "0.95"),
        ("--repeats", "3"),
        ("--cpu-price", "0.173"),
        ("--memory-price", "0.0123"),
    ] {
        let place = help.find(flag).unwrap_or_else(|| panic!("{flag}"));
        let rest: String = help[place..].chars().take(400).collect();
        assert!(
            rest.contains(&format!("[default: {default}]")),
            "{flag}: {rest}"
        );
    }
}

#[test]
fn a_promise_that_cannot_be_kept_is_said_with_the_best_found() {
    let folder = folder();
    let args = reference(&["--qos", "2.05", "--qos-abort", "off"]);
    let output = foresail(folder.path(), &[&["optimize"], &args[..]].concat());
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("the quickest take 2.06"), "{told}");
    assert!(
        told.contains("No trial kept p100 ≤ 2.05 s; the former setting is in force."),
        "{told}"
    );
    assert!(told.contains("The best found takes"), "{told}");
    let found = result(folder.path(), &args, 1);
    assert_eq!(found["inForce"], found["former"]);
    assert_eq!(found["best"]["feasible"], false);
    assert_eq!(found["conclusion"], "NoneKept");
}

#[test]
fn what_is_spent_stays_below_the_cap() {
    let folder = folder();
    for cap in ["0.05", "0.2"] {
        let args = [
            "chain",
            "--tuner",
            "random",
            "--spend-cap",
            cap,
            "--seed",
            "3",
        ];
        let output = foresail(
            folder.path(),
            &[&["optimize"], &args[..], &["-o", "json"]].concat(),
        );
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let spend = found["spend"].as_f64().unwrap();
        // The request that reaches the cap is the last.
        let cap: f64 = cap.parse().unwrap();
        assert!(spend <= cap + 0.005, "{spend} of {cap}");
        assert!(found["trials"].as_u64().unwrap() < 70);
        assert_ne!(output.status.code(), Some(130));
    }
}

/// A chain of two functions that answer as `noise` says.
fn flow(noise: &Value) -> String {
    json!({
        "name": "flow", "qos": 6, "functions": ["a", "b"], "params": {},
        "surfaces": {"a": {"workCoreSeconds": 2, "memoryMib": 256},
                     "b": {"workCoreSeconds": 3, "fixedSeconds": 0.2, "memoryMib": 512}},
        "noise": noise
    })
    .to_string()
}

#[test]
fn a_workflow_that_never_answers_is_given_up_and_left_as_it_was() {
    let folder = folder();
    fs::write(
        folder.path().join("flow.json"),
        flow(&json!({"lostProbability": 1})),
    )
    .unwrap();
    let args = [
        "optimize",
        "--workflow_config",
        "flow.json",
        "--tuner",
        "random",
        "--timeout",
        "10s",
    ];
    let output = foresail(folder.path(), &args);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(
        told.contains("the former setting is in force again"),
        "{told}"
    );
    assert!(
        told.contains("3 measurements in a row without one answer within 10s"),
        "{told}"
    );
}

#[test]
fn some_lost_requests_count_as_late() {
    let folder = folder();
    fs::write(
        folder.path().join("flow.json"),
        flow(&json!({"lostProbability": 0.2})),
    )
    .unwrap();
    let args = [
        "flow.json",
        "--tuner",
        "random",
        "--timeout",
        "60s",
        "--n-batch",
        "0",
    ];
    // A third of the requests is never answered: no plan keeps the 95th percentile.
    let found = result(folder.path(), &args, 1);
    assert_eq!(found["best"]["feasible"], false);
    let csv = stdout(
        folder.path(),
        &[&["optimize"], &args[..], &["-o", "csv"]].concat(),
        1,
    );
    assert!(csv.lines().skip(1).all(|l| l.contains("aborted")), "{csv}");
}

#[test]
fn a_search_that_was_cut_goes_on_to_the_same_end() {
    let folder = folder();
    let at = folder.path();
    let args = |journal| {
        [
            "ml-pipeline",
            "--tuner",
            "random",
            "--n-init",
            "6",
            "--n-batch",
            "2",
            "--journal",
            journal,
        ]
    };
    let whole = result(at, &args("whole.jsonl"), 0);
    let lines = fs::read_to_string(at.join("whole.jsonl")).unwrap();
    // The header, the former setting, the trials, the best measured again.
    let again = lines.lines().skip(2 + 12);
    assert!(again.clone().count() >= 1);
    assert!(again.clone().all(|l| l.starts_with("{\"again\"")));
    for kept in [1, 2, 5, 13, 14, lines.lines().count()] {
        let mut cut: String = lines.lines().take(kept).map(|l| format!("{l}\n")).collect();
        // Half a line, as a kill leaves it.
        cut.push_str("{\"trial\":{\"num");
        fs::write(at.join("cut.jsonl"), cut).unwrap();
        assert_eq!(result(at, &args("cut.jsonl"), 0), whole, "{kept} lines");
        assert_eq!(
            fs::read_to_string(at.join("cut.jsonl")).unwrap(),
            lines,
            "{kept} lines"
        );
    }
}

#[test]
fn a_drifted_workflow_is_searched_on_from_what_is_known() {
    let folder = folder();
    let at = folder.path();
    let args = |more: &[&'static str]| {
        let all = [
            "flow.json",
            "--tuner",
            "random",
            "--n-init",
            "8",
            "--n-batch",
            "0",
        ];
        [&all[..], &["--journal", "j.jsonl"], more].concat()
    };
    fs::write(at.join("flow.json"), flow(&json!({}))).unwrap();
    assert_eq!(result(at, &args(&[]), 0)["trials"], 8);
    // Everything takes longer now, by slow neighbours that stay.
    let drifted = json!({"interference": {"probability": 1, "factor": 1.5, "requests": 1}});
    fs::write(at.join("flow.json"), flow(&drifted)).unwrap();
    let told = refused(at, &[&["optimize"], &args(&[])[..]].concat());
    assert!(
        told.contains("of another search: the workflow's hash was"),
        "{told}"
    );
    let whole = result(at, &args(&["--reopen", "12"]), 0);
    assert_eq!(whole["trials"], 20);
    assert_eq!(whole["kept"], true);
    // Cut within what was opened, the same command goes on to the same end.
    let lines = fs::read_to_string(at.join("j.jsonl")).unwrap();
    let opened = lines.lines().position(|l| l.starts_with("{\"reopened\""));
    let opened = opened.unwrap();
    assert!(opened > 2 + 8, "the best was measured again before it");
    assert!(lines.lines().count() > opened + 1 + 12);
    for kept in [opened, opened + 1, opened + 5] {
        let cut: String = lines.lines().take(kept).map(|l| format!("{l}\n")).collect();
        fs::write(at.join("j.jsonl"), cut).unwrap();
        assert_eq!(
            result(at, &args(&["--reopen", "12"]), 0),
            whole,
            "{kept} lines"
        );
        assert_eq!(
            fs::read_to_string(at.join("j.jsonl")).unwrap(),
            lines,
            "{kept} lines"
        );
    }
    let told = refused(at, &["optimize", "reference", "--reopen", "3"]);
    assert!(told.contains("--journal"), "{told}");
}

#[test]
fn a_journal_of_another_search_is_refused() {
    let folder = folder();
    let at = folder.path();
    let quick = reference(&["--n-init", "3", "--n-batch", "0", "--journal", "j.jsonl"]);
    result(at, &[&quick[..], &["--seed", "1"]].concat(), 0);
    let run = |more: &[&str]| refused(at, &[&["optimize"], &quick[..], more].concat());
    let told = run(&["--seed", "2"]);
    assert!(
        told.contains("is of another search: seed was 1, now it is 2"),
        "{told}"
    );
    let told = run(&["--seed", "1", "--qos", "5"]);
    assert!(told.contains("qos was 4, now it is 5"), "{told}");
    // A trial that was never asked for.
    let text = fs::read_to_string(at.join("j.jsonl")).unwrap();
    let changed = text.replacen("\"number\":2", "\"number\":9", 1);
    fs::write(at.join("j.jsonl"), changed).unwrap();
    let told = run(&["--seed", "1"]);
    assert!(
        told.contains("trial 2 is not the one that is asked for now"),
        "{told}"
    );
    fs::write(at.join("j.jsonl"), "{\"other\":1}\n").unwrap();
    let told = run(&["--seed", "1"]);
    assert!(
        told.contains("j.jsonl, line 1: no line of a journal"),
        "{told}"
    );
}

#[test]
fn workflow_files_of_both_forms_load_and_errors_name_the_key() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("flow.json"), flow(&json!({}))).unwrap();
    let quick = |file: &str| {
        let args = [
            "optimize",
            file,
            "--tuner",
            "random",
            "--requests",
            "1",
            "--repeats",
            "1",
        ];
        stdout(at, &[&args[..], &["--percentile", "100"]].concat(), 0)
    };
    assert!(quick("flow.json").contains("flow: p100 ≤ 6 s"));
    let yaml = "name: graph\nqos: 8\npercentile: 90\nstages:\n\
                - {name: in, surface: {workCoreSeconds: 1}}\n\
                - {name: left, function: ml-vehicle, after: [in]}\n\
                - {name: right, surface: {workCoreSeconds: 2}, after: [in], parallel: 2}\n\
                - {name: out, surface: {workCoreSeconds: 1}, after: [left, right]}\n";
    fs::write(at.join("graph.yaml"), yaml).unwrap();
    assert!(quick("graph.yaml").contains("graph: p100 ≤ 8 s"));
    for (text, told) in [
        (
            "{\"name\": \"x\", \"functions\": [\"ml-human\"]}",
            "qos: missing",
        ),
        ("{\"name\": \"x\", \"qos\": 1}", "functions: missing"),
        (
            "{\"name\": \"x\", \"qos\": 1, \"functions\": [\"ml-hunam\"]}",
            "functions[0]: there is no function `ml-hunam`; did you mean `ml-human`?",
        ),
        (
            "{\"name\": \"x\", \"qos\": NaN, \"functions\": [\"ml-human\"]}",
            "must be a number of seconds",
        ),
        (
            "name: x\nqos: .nan\nfunctions: [ml-human]\n",
            "qos: non-finite float",
        ),
        (
            "name: x\nqos: -3\nfunctions: [ml-human]\n",
            "qos: -3: must be a number of seconds above 0",
        ),
        (
            "name: x\nqos: 1\nstages:\n- {name: a, function: ml-human, after: [a]}\n",
            "stages: no stage can start: a → a is a cycle",
        ),
        ("name: x\nqos: [\n", "bad.yaml"),
    ] {
        fs::write(at.join("bad.yaml"), text).unwrap();
        let error = refused(at, &["optimize", "bad.yaml"]);
        assert!(error.contains(told), "{text}: {error}");
    }
    let output = foresail(at, &["optimize", "ml-pipelin"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(told.contains("did you mean `ml-pipeline`?"), "{told}");
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    let folder = folder();
    for (more, told) in [
        (&["--qos", "NaN"][..], "must be a number above 0"),
        (&["--qos", "0"], "must be a number above 0"),
        (&["--percentile", "101"], "above 0 and at most 100"),
        (&["--requests", "0"], "--requests"),
        (&["--spend-cap", "0"], "must be 0.001 or more"),
        (
            &["--qos-abort", "0.5"],
            "must be a number of 1 or more, or `off`",
        ),
        (
            &["--timeout", "3s"],
            "must be longer than the promise of 4 s",
        ),
        (&["--anomaly_detection", "maybe"], "--anomaly-detection"),
        (&["--tuner", "best"], "--tuner"),
        (
            &["--tuner-knob", "colour=1", "--tuner", "random"],
            "there is no knob `colour`",
        ),
        (
            &["--n-init", "0", "--n-batch", "0", "--tuner", "random"],
            "trials: 0: must be",
        ),
        (&["--workflow-config", "x.json"], "cannot be used with"),
    ] {
        let error = refused(folder.path(), &[&["optimize", "reference"], more].concat());
        assert!(error.contains(told), "{more:?}: {error}");
    }
}

#[test]
fn a_folder_holds_the_search_and_its_record_replays() {
    let folder = folder();
    let at = folder.path();
    let run = |out| {
        let args = [
            "optimize",
            "fan-out-fan-in",
            "--tuner",
            "random",
            "--n-init",
            "8",
            "--n-batch",
            "0",
            "--record",
            "flight.jsonl",
            "--out",
            out,
        ];
        foresail(at, &args)
    };
    let output = run("one");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("fan-join") && text.contains("trials by random"),
        "{text}"
    );
    assert_eq!(
        stdout(at, &["replay", "flight.jsonl"], 0)
            .split_whitespace()
            .next(),
        Some("identical")
    );
    run("two");
    for name in [
        "index.html",
        "trials.csv",
        "best.json",
        "search.svg",
        "search.png",
        "run.json",
    ] {
        let bytes = fs::read(at.join("one").join(name)).unwrap();
        assert!(!bytes.is_empty(), "{name}");
        assert_eq!(
            bytes,
            fs::read(at.join("two").join(name)).unwrap(),
            "{name}"
        );
    }
    let csv = fs::read_to_string(at.join("one/trials.csv")).unwrap();
    assert_eq!(csv.lines().count(), 9);
    // The command as it was typed, but for the output's place.
    let marker = fs::read_to_string(at.join("one/run.json")).unwrap();
    let typed = "foresail optimize fan-out-fan-in --tuner random --n-init 8 --n-batch 0 --record flight.jsonl\"";
    assert!(marker.contains(typed), "{marker}");
    assert!(
        csv.starts_with("trial,cost_per_1000,latency_seconds,kept,ended,"),
        "{csv}"
    );
    let best: Value =
        serde_json::from_str(&fs::read_to_string(at.join("one/best.json")).unwrap()).unwrap();
    assert_eq!(best["workflow"], "fan-out-fan-in");
}

#[test]
fn workflows_are_listed_and_shown() {
    let folder = folder();
    let list = stdout(folder.path(), &["workflow", "list"], 0);
    for name in [
        "reference",
        "chain",
        "fan-out-fan-in",
        "ml-pipeline",
        "video-processing",
        "social-network",
    ] {
        assert!(list.contains(name), "{name}: {list}");
    }
    let show = stdout(folder.path(), &["workflow", "show", "reference"], 0);
    assert!(
        show.contains("reference-2") && show.contains("cost less than 0.4420"),
        "{show}"
    );
    let value: Value = serde_json::from_str(&stdout(
        folder.path(),
        &["workflow", "show", "ml-pipeline", "-o", "json"],
        0,
    ))
    .unwrap();
    assert_eq!(value["stages"][3]["after"], json!(["ml-object-detection"]));
}

/// Three stages whose former sizes keep the promise at little cost.
const GOOD: &str = "name: good\nqos: 6\nstages:\n\
    - {name: a, surface: {fixedSeconds: 0.3, workCoreSeconds: 2, memoryMib: 512, pressureSeconds: 2}, current: {cpuCores: 1.3, memoryMib: 512}}\n\
    - {name: b, surface: {fixedSeconds: 0.4, workCoreSeconds: 4, memoryMib: 1024, pressureSeconds: 2}, after: [a], current: {cpuCores: 1.8, memoryMib: 1024}}\n\
    - {name: c, surface: {fixedSeconds: 0.2, workCoreSeconds: 1, memoryMib: 256, pressureSeconds: 2}, after: [b], current: {cpuCores: 1.2, memoryMib: 256}}\n";

#[test]
fn a_former_setting_that_costs_no_more_stays_though_no_money_is_left() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("good.yaml"), GOOD).unwrap();
    let args = |cap: &'static str| {
        [
            "good.yaml",
            "--tuner",
            "random",
            "--seed",
            "1",
            "--spend-cap",
            cap,
        ]
    };
    let found = result(at, &args("0.1"), 0);
    assert_eq!(found["conclusion"], "FormerIsBest");
    assert_eq!(found["inForce"], found["former"]);
    let (former, best) = (
        &found["formerMeasured"]["cost"],
        &found["best"]["costPer1000"],
    );
    assert!(former.as_f64() <= best.as_f64(), "{former} {best}");
    // Enough for the former setting alone, then not even for that.
    let told = |cap| {
        let output = foresail(at, &[&["optimize"], &args(cap)[..]].concat());
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, text) = told("0.03");
    assert_eq!(code, Some(0));
    let want = "it keeps p95 ≤ 6 s, and the spend cap ended the search before any trial was measured; raise --spend-cap.";
    assert!(text.contains(want), "{text}");
    let (code, text) = told("0.002");
    assert_eq!(code, Some(1));
    assert!(
        text.contains("the spend cap ended the search while it was measured"),
        "{text}"
    );
    assert!(!text.contains("No trial kept"), "{text}");
}

#[test]
fn the_cap_holds_over_all_runs_of_a_journal() {
    let folder = folder();
    let args = [
        "chain",
        "--tuner",
        "random",
        "--seed",
        "3",
        "--n-init",
        "4",
        "--n-batch",
        "0",
        "--spend-cap",
        "0.2",
        "--journal",
        "j.jsonl",
    ];
    let json = || {
        let args = [&["optimize"], &args[..], &["-o", "json"]].concat();
        String::from_utf8(foresail(folder.path(), &args).stdout).unwrap()
    };
    let journal = || fs::read_to_string(folder.path().join("j.jsonl")).unwrap();
    let (first, lines) = (json(), journal());
    assert!(lines.contains("{\"cut\":{\"spend\":"), "{lines}");
    // The money is spent: the same end, and not one request more.
    assert_eq!(first, json());
    assert_eq!(lines, journal());
}

#[test]
fn files_that_are_no_journal_are_left_as_they_are() {
    let folder = folder();
    let at = folder.path();
    let quick = reference(&["--n-init", "3", "--n-batch", "0", "--journal", "j.jsonl"]);
    let run = |more: &[&str]| refused(at, &[&["optimize"], &quick[..], more].concat());
    for text in [
        "hello",
        "{\"search\":{\"v\":1,\"conditions\":{\"other\":\"1\"",
        "{}",
    ] {
        fs::write(at.join("j.jsonl"), text).unwrap();
        let told = run(&[]);
        assert!(
            told.contains("j.jsonl: no journal of a search, it is left as it is"),
            "{told}"
        );
        assert_eq!(fs::read_to_string(at.join("j.jsonl")).unwrap(), text);
    }
    fs::remove_file(at.join("j.jsonl")).unwrap();
    for record in ["j.jsonl", "./j.jsonl"] {
        let told = run(&["--record", record]);
        assert!(told.contains("is the --journal"), "{told}");
        assert!(!at.join("j.jsonl").exists());
    }
    // The header cut short is this search's own, and it is begun anew.
    let whole = result(at, &quick, 0);
    let lines = fs::read_to_string(at.join("j.jsonl")).unwrap();
    for bytes in [0, 1, 40] {
        fs::write(at.join("j.jsonl"), &lines[..bytes]).unwrap();
        assert_eq!(result(at, &quick, 0), whole, "{bytes} bytes");
        assert_eq!(fs::read_to_string(at.join("j.jsonl")).unwrap(), lines);
    }
    // Numbers that no measurement has, in the third line.
    let third = lines.lines().nth(2).unwrap();
    for (name, number) in [
        ("spend", "-1"),
        ("cost", "-0.5"),
        ("seconds", "-1e300"),
        ("latency", "1e999"),
    ] {
        let from = third.find(&format!("\"{name}\":")).unwrap() + name.len() + 3;
        let to = from + third[from..].find(',').unwrap();
        let changed = format!("{}{number}{}", &third[..from], &third[to..]);
        fs::write(at.join("j.jsonl"), lines.replace(third, &changed)).unwrap();
        let told = run(&[]);
        assert!(told.contains("j.jsonl, line 3: "), "{told}");
        assert!(
            number == "1e999" || told.contains(&format!("{name}: must be 0 or more")),
            "{told}"
        );
    }
}

#[test]
fn the_least_cost_is_told_above_the_median_alone() {
    let folder = folder();
    for (percentile, told) in [("95", true), ("50", false), ("10", false)] {
        let args = [
            "optimize",
            "reference",
            "--tuner",
            "random",
            "--n-init",
            "3",
            "--n-batch",
            "0",
        ];
        let output = foresail(
            folder.path(),
            &[&args[..], &["--percentile", percentile]].concat(),
        );
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            text.contains("cost less than"),
            told,
            "{percentile}: {text}"
        );
    }
}

/// Ctrl-C while it measures: code 130, the former setting, and a journal that goes on.
#[cfg(unix)]
#[test]
fn an_interrupt_gives_the_former_setting_back() {
    let folder = folder();
    let args = [
        "optimize",
        "ml-pipeline",
        "--tuner",
        "random",
        "--n-init",
        "1000",
        "--n-batch",
        "0",
        "--requests",
        "100000",
        "--journal",
        "j.jsonl",
    ];
    let child = support::command(folder.path(), &args)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The journal's first line is written just before the search begins.
    let journal = folder.path().join("j.jsonl");
    while !fs::read_to_string(&journal).is_ok_and(|t| t.ends_with('\n')) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(
        told.contains("Interrupted: the former setting is in force again"),
        "{told}"
    );
}
