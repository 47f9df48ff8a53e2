//! `foresail aware` as a user meets it: what it writes and prints, how it goes on, what it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{refused, stdout};

/// Two workloads, a few short episodes, one of them the heuristic's.
const SHORT: [&str; 8] = [
    "--workloads",
    "2",
    "--episodes",
    "3",
    "--steps",
    "12",
    "--bootstrap-episodes",
    "1",
];

fn with<'a>(verbs: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [&["aware"], verbs, more].concat()
}

fn train(folder: &Path, more: &[&str]) -> String {
    stdout(folder, &[&["aware", "train"], &SHORT[..], more].concat(), 0)
}

fn lines(text: &str) -> Vec<Value> {
    let parse = |l| serde_json::from_str(l).expect("a line of JSON");
    text.lines().map(parse).collect()
}

#[test]
fn verify_ends_well_and_names_every_check() {
    let folder = tempfile::tempdir().unwrap();
    let json = stdout(folder.path(), &["aware", "verify", "--output", "json"], 0);
    let told: Value = serde_json::from_str(&json).unwrap();
    let checks = told["checks"].as_array().unwrap();
    let table = stdout(folder.path(), &["aware", "verify"], 0);
    for part in ["meta-learner", "bootstrapper", "MPA", "checkpoint"] {
        let of = |c: &Value| c["check"].as_str().unwrap().starts_with(part);
        assert!(checks.iter().any(of), "{part}");
    }
    for check in checks {
        assert_eq!(check["holds"], true, "{check}");
        assert!(table.contains(check["check"].as_str().unwrap()), "{check}");
    }
    let last = format!("{0} of {0} checks hold", checks.len());
    assert_eq!(table.lines().last(), Some(last.as_str()));
}

#[test]
fn training_writes_a_policy_a_checkpoint_and_a_curve() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let places = ["--out", "p", "--checkpoint", "c", "--curve", "r.svg"];
    let text = train(folder, &[&places[..], &["--output", "json"]].concat());
    let told = lines(&text);
    assert_eq!(told.len(), 6);
    let mut workloads: Vec<&str> = told
        .iter()
        .map(|t| t["workload"].as_str().unwrap())
        .collect();
    workloads.dedup();
    assert_eq!(workloads.len(), 2, "{workloads:?}");
    for (i, line) in told.iter().enumerate() {
        assert_eq!(line["episode"], i % 3);
        assert!(line["reward"].as_f64().unwrap().is_finite(), "{line}");
        assert!(line["requests"].as_f64().unwrap() > 0.0, "{line}");
    }
    assert_eq!(told[0]["acted"], "heuristic");
    let [policy, checkpoint] = ["p", "c"].map(|f| fs::read(folder.join(f)).unwrap());
    for bytes in [&policy, &checkpoint] {
        assert!(bytes.starts_with(b"{\"foresail\":\"aware\","));
    }
    assert!(checkpoint.len() > policy.len());
    let curve = fs::read_to_string(folder.join("r.svg")).unwrap();
    assert!(curve.contains("<svg") && curve.contains("episode"));
    for workload in &workloads {
        assert!(curve.contains(workload), "{workload}");
    }
    // Again, over its own files, and the same bytes.
    train(folder, &places);
    assert!(policy == fs::read(folder.join("p")).unwrap());
    assert!(checkpoint == fs::read(folder.join("c")).unwrap());
}

#[test]
fn a_resumed_training_ends_with_the_policy_of_one_that_was_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = |episodes: &str, more: &[&str]| {
        let base = ["aware", "train", "--workloads", "2", "--steps", "6"];
        let small = ["--hidden", "8", "--bootstrap-episodes", "20"];
        let args = [&base[..], &small, &["--episodes", episodes], more].concat();
        stdout(folder, &args, 0)
    };
    let whole = run("100", &["--out", "whole", "--output", "csv"]);
    let first = run(
        "50",
        &["--out", "a", "--checkpoint", "c", "--output", "csv"],
    );
    let rest = run("100", &["--resume", "c", "--out", "b", "--output", "csv"]);
    let policy = |name: &str| fs::read(folder.join(name)).unwrap();
    assert!(policy("whole") == policy("b"));
    assert!(policy("whole") != policy("a"));
    let both: Vec<&str> = first.lines().chain(rest.lines().skip(1)).collect();
    assert_eq!(whole.lines().collect::<Vec<_>>(), both);
}

#[test]
fn eval_and_run_print_tables_json_and_csv() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    train(folder, &["--out", "p"]);
    let few = ["--policy", "p", "--workloads", "2", "--episodes", "2"];
    let few = [&few[..], &["--steps", "15"]].concat();
    let names = ["aware", "hpa-vpa", "hpa", "vpa", "predictive", "aapa"];
    let json = stdout(folder, &with(&["eval", "--output", "json"], &few), 0);
    let told: Value = serde_json::from_str(&json).unwrap();
    let policies = told["policies"].as_array().unwrap();
    let told: Vec<&str> = policies
        .iter()
        .map(|p| p["policy"].as_str().unwrap())
        .collect();
    assert_eq!(told, names);
    for policy in policies {
        assert!(policy["reward"].as_f64().unwrap().is_finite(), "{policy}");
        assert!(policy["cost"].as_f64().unwrap() > 0.0, "{policy}");
    }
    let csv = stdout(folder, &with(&["eval", "--output", "csv"], &few), 0);
    assert!(csv.starts_with("policy,reward,"));
    assert_eq!(csv.lines().count(), 1 + names.len());
    let table = stdout(folder, &with(&["eval"], &few), 0);
    assert!(names.iter().all(|n| table.contains(n)), "{table}");

    let few = [&few[..], &["--bootstrap-episodes", "1"]].concat();
    let told = lines(&stdout(
        folder,
        &with(&["run", "--output", "json"], &few),
        0,
    ));
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|t| t["reward"].as_f64().is_some()));
    let csv = stdout(folder, &with(&["run", "--output", "csv"], &few), 0);
    assert!(csv.starts_with("workload,episode,acted,"));
    assert_eq!(csv.lines().count(), 5);
    let table = stdout(folder, &with(&["run"], &few), 0);
    assert!(table.contains("STAGE"), "{table}");
    let again = stdout(folder, &with(&["run", "--output", "csv"], &few), 0);
    assert_eq!(csv, again);
    // Frozen it makes no step of learning: no loss in the last column.
    let frozen = [&few[..], &["--no-retraining", "--output", "csv"]].concat();
    let frozen = stdout(folder, &with(&["run"], &frozen), 0);
    assert!(frozen.lines().skip(1).all(|l| l.ends_with(',')), "{frozen}");
}

#[test]
fn what_cannot_be_used_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    train(folder, &["--out", "p", "--checkpoint", "c"]);
    fs::write(folder.join("notes"), "not a policy\n").unwrap();
    fs::write(folder.join("net.pt"), b"\x80\x02}q\x00.").unwrap();
    let policy = fs::read(folder.join("p")).unwrap();
    fs::write(folder.join("short"), &policy[..policy.len() / 2]).unwrap();
    let before = fs::read_dir(folder).unwrap().count();
    let refuse = |args: &[&str], parts: &[&str]| {
        let error = refused(folder, args);
        for part in parts {
            assert!(error.contains(part), "{args:?}: {error}");
        }
    };
    for command in ["eval", "run"] {
        let of = |file| ["aware", command, "--policy", file];
        refuse(&of("missing"), &["missing"]);
        refuse(&of("notes"), &["notes", "foresail aware train"]);
        refuse(&of("net.pt"), &["net.pt", "pickle"]);
        refuse(&of("short"), &["short", "cut short"]);
        let none = [&of("p")[..], &["--workloads", "0"]].concat();
        refuse(&none, &["--workloads"]);
    }
    let of = |more: &[&'static str]| [&["aware", "train"], &SHORT[..], more].concat();
    refuse(&of(&["--out", "notes"]), &["notes", "another name"]);
    refuse(&of(&["--checkpoint", "notes"]), &["notes", "another name"]);
    refuse(&of(&["--resume", "p"]), &["only serves", "--checkpoint"]);
    refuse(&of(&["--resume", "missing"]), &["missing"]);
    refuse(&of(&["--resume", "c"]), &["within a stretch of 50"]);
    refuse(&of(&["--serving-reward", "NaN"]), &["--serving-reward"]);
    refuse(&of(&["--out", "no/such/folder"]), &["no/such/folder"]);
    refuse(&of(&["--trace", "notes"]), &["notes"]);
    let one = ["aware", "train", "--resume", "c", "--workloads", "1"];
    refuse(&one, &["2 workloads", "--workloads"]);
    assert_eq!(
        fs::read_to_string(folder.join("notes")).unwrap(),
        "not a policy\n"
    );
    assert_eq!(fs::read_dir(folder).unwrap().count(), before);
}
