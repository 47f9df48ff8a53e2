//! The same seed gives the same bytes, on one thread and on many.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;

use support::stdout;

#[test]
fn one_thread_and_two_write_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..180)
        .map(|i| format!("{},{}\n", 1_767_571_200 + 60 * i, 200 + (i * 53) % 300))
        .collect();
    fs::write(
        folder.path().join("web.csv"),
        format!("timestamp,count\n{rows}"),
    )
    .unwrap();
    for (jobs, out) in [("1", "one"), ("2", "two"), ("2", "again")] {
        stdout(
            folder.path(),
            &[
                "compare", "--trace", "web.csv", "--jobs", jobs, "--out", out,
            ],
            0,
        );
    }
    for name in [
        "summary.csv",
        "ticks.parquet",
        "figures/cost-slo.png",
        "figures/timeline-kpa.svg",
    ] {
        let read = |out: &str| fs::read(folder.path().join(out).join(name)).unwrap();
        assert_eq!(read("one"), read("two"), "{name}");
        assert_eq!(read("two"), read("again"), "{name}");
    }
    let page = |out: &str| fs::read_to_string(folder.path().join(out).join("index.html")).unwrap();
    assert_eq!(page("two"), page("again"));
    assert_eq!(page("one").replace("--jobs 1", "--jobs 2"), page("two"));
}

#[test]
fn another_seed_gives_other_figures() {
    let folder = tempfile::tempdir().unwrap();
    let run = |seed| {
        stdout(
            folder.path(),
            &[
                "simulate",
                "--quick",
                "--policies",
                "hpa",
                "--seed",
                seed,
                "--output",
                "csv",
            ],
            0,
        )
    };
    assert_ne!(run("1"), run("2"));
}
