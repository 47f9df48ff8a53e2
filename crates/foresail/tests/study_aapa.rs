//! AAPA's study as a user runs it: files, tables, verdicts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;
use std::path::Path;

use support::{number, refused, rows, stdout};

const SMALL: [&str; 8] = [
    "study",
    "aapa",
    "--functions",
    "1",
    "--seeds",
    "2",
    "--seed",
    "7",
];

#[test]
fn one_run_leaves_every_table_and_figure_with_its_verdicts_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let text = stdout(folder.path(), &SMALL, 0);
    assert!(text.starts_with("The four headlines"), "{text}");
    assert_eq!(text.lines().last(), Some("report: results/index.html"));
    let results = folder.path().join("results");
    let headlines = rows(&results, "headlines");
    assert_eq!(headlines.len(), 5);
    assert_eq!(
        headlines[0].join(","),
        "headline,published,its own tables,its method again,aapa,verdict"
    );
    assert!(headlines[1][5].starts_with("contradicted by its own data"));
    for file in [
        "goals",
        "policies-spike",
        "policies-periodic",
        "policies-ramp",
        "policies-stationary",
        "policies-all",
        "differences",
        "violations",
        "figure-improvement",
        "table-5-replica-minutes",
        "wilcoxon",
        "table-6-rei",
        "rei-sensitivity",
        "hpa-frontier",
        "figure-uncertainty",
        "classifier",
        "figure-confusion",
        "labels",
        "figure-importance",
    ] {
        assert!(rows(&results, file).len() > 1, "{file}");
    }
    for figure in ["cost-spike", "rei", "uncertainty", "importance", "timeline"] {
        let bytes = fs::read(results.join(format!("figure-{figure}.png"))).unwrap();
        assert!(
            bytes.starts_with(b"\x89PNG") && bytes.len() > 5000,
            "{figure}"
        );
    }
    let again = tempfile::tempdir().unwrap();
    stdout(again.path(), &SMALL, 0);
    let page = |folder: &Path| fs::read(folder.join("results/index.html")).unwrap();
    assert!(page(folder.path()) == page(again.path()), "the same bytes");

    // Whoever learns the labels agrees with them, and is wrong about half of the truth.
    let classifier = rows(&results, "classifier");
    let published = &classifier[1];
    assert_eq!(published[0], "published labels");
    assert!(
        number(&published[2]) > 97.0 && number(&published[3]) < 65.0,
        "{published:?}"
    );
    let shipped = classifier.last().unwrap();
    assert!(number(&shipped[3]) >= 94.0, "{shipped:?}");

    // One who knows the future breaks the promise no more often than the plain HPA does.
    for file in ["policies-spike", "policies-all"] {
        let rows = rows(&results, file);
        let of = |policy: &str| number(&rows.iter().find(|r| r[0] == policy).unwrap()[1]);
        assert!(of("oracle") <= of("hpa"), "{file}: {rows:?}");
    }
}

#[test]
fn what_cannot_be_run_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |args: &[&str]| {
        let all: Vec<&str> = ["study", "aapa"].iter().chain(args).copied().collect();
        refused(folder.path(), &all)
    };
    fs::write(
        folder.path().join("few.csv"),
        "timestamp,web\n2026-01-01T00:00:00Z,3\n2026-01-01T00:01:00Z,2\n",
    )
    .unwrap();
    let told = refused(&["--trace", "few.csv"]);
    assert!(told.contains("no function has 1000 calls"), "{told}");
    fs::write(
        folder.path().join("config.yaml"),
        "scaling: {spyke: {target_cpu: 0.3}}\n",
    )
    .unwrap();
    let told = refused(&["--config", "config.yaml"]);
    assert!(told.contains("spyke"), "{told}");
    let foreign = folder.path().join("mine");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("letter.txt"), "mine").unwrap();
    refused(&["--out", "mine"]);
    assert!(
        foreign.join("letter.txt").exists(),
        "a foreign folder is left alone"
    );
    let told = refused(&["--seeds", "0"]);
    assert!(told.contains("--seeds"), "{told}");
    assert!(
        !folder.path().join("results").exists(),
        "nothing half-written"
    );
}
