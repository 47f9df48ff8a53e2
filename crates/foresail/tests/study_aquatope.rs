//! AQUATOPE's studies as a user runs them: files, tables, verdicts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use support::{number, refused, rows, stdout};

/// Every file of a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap();
    let read = |e: fs::DirEntry| {
        let name = e.file_name().to_string_lossy().into_owned();
        (name, fs::read(e.path()).unwrap())
    };
    entries.map(|e| read(e.unwrap())).collect()
}

const POOL: [&str; 10] = [
    "study",
    "aquatope-pool",
    "--functions",
    "6",
    "--seeds",
    "2",
    "--days",
    "1",
    "--epochs",
    "1",
];

#[test]
fn the_study_of_pools_leaves_every_table_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let text = stdout(folder.path(), &POOL, 0);
    assert!(text.starts_with("What was to be reached"), "{text}");
    assert_eq!(text.lines().last(), Some("report: results/index.html"));
    let results = folder.path().join("results");
    let policies = rows(&results, "policies");
    assert_eq!(policies.len(), 11);
    let cold = |name: &str| {
        let row = policies.iter().find(|r| r[0] == name);
        number(&row.unwrap_or_else(|| panic!("no {name}"))[1])
    };
    assert!(cold("oracle") <= cold("aquatope-pool"));
    assert!(cold("aquatope-pool") < cold("aquatope-published"));
    for file in ["goals", "published", "differences", "settings", "forecasts"] {
        assert!(rows(&results, file).len() > 1, "{file}");
    }
    for figure in [
        "figure-cold-memory",
        "figure-own-keep-alive",
        "figure-classes",
    ] {
        assert!(results.join(format!("{figure}.png")).is_file(), "{figure}");
    }
    let before = files(&results);
    stdout(folder.path(), &POOL, 0);
    assert!(files(&results) == before, "another run gave other files");
}

const WORKFLOWS: [&str; 8] = [
    "study",
    "aquatope-workflows",
    "--workflows",
    "reference",
    "--seeds",
    "3",
    "--again",
    "5",
];

#[test]
fn on_the_reference_workflow_ours_is_near_the_optimum_and_the_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let text = stdout(folder.path(), &WORKFLOWS, 0);
    assert!(text.starts_with("The abstract's figures"), "{text}");
    let results = folder.path().join("results");
    let workflows = rows(&results, "workflows");
    let over = |by: &str| {
        let row = workflows.iter().find(|r| r[2] == by).unwrap();
        number(&row[6])
    };
    assert!(over("bayes") < 1.05, "{}", over("bayes"));
    for by in ["bayes-published", "random", "grid", "nelder-mead"] {
        assert!(over(by) > over("bayes"), "{by}: {}", over(by));
    }
    let before = files(&results);
    stdout(folder.path(), &WORKFLOWS, 0);
    assert!(files(&results) == before, "another run gave other files");
}

#[test]
fn bad_input_is_refused_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 4] = [
        (
            &["study", "aquatope-workflows", "--workflows", "referense"],
            "did you mean `reference`",
        ),
        (
            &["study", "aquatope-workflows", "--workflows", ","],
            "names none",
        ),
        (
            &["study", "aquatope-pool", "--trace", "none.csv"],
            "none.csv",
        ),
        (
            &["study", "aquatope-pool", "--durations", "none.csv"],
            "--trace",
        ),
    ];
    for (args, want) in cases {
        let told = refused(folder.path(), args);
        assert!(told.contains(want), "{args:?}: {told}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
