//! Tests against a real Kubernetes control plane: etcd, API server, controllers and scheduler as
//! released, nodes and usage that are played (`tests/cluster` of the repository). Where it is not
//! built, all are reported as ignored, and why; `FORESAIL_REQUIRE_CLUSTER=1` makes that a failure.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly, and each uses a part of what is there"
)]

mod account;
mod api;
mod aquatope;
mod aware;
mod beside_hpa;
mod commands;
mod crd;
mod entry;
mod experiment;
mod faults;
mod fleet;
mod footprint;
mod install;
mod process;
mod proxy;
mod rig;
mod rights;
mod rule;
mod skew;
mod smoke;
mod stress;
mod vertical;
mod walk;

use std::io::Write;
use std::process::ExitCode;
use std::sync::{PoisonError, RwLock};
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};

use rig::Rig;

/// One test: its name, whether it wants the control plane for itself (because it takes parts of it
/// down), and what it does.
type Row = (&'static str, bool, fn(&Rig));

/// All tests, one file of rows each, the longest first: others fill the time beside them.
const FILES: &[&[Row]] = &[
    beside_hpa::ROWS,
    smoke::ROWS,
    stress::ROWS,
    crd::ROWS,
    install::ROWS,
    rights::ROWS,
    walk::ROWS,
    commands::ROWS,
    aquatope::ROWS,
    aware::ROWS,
    vertical::ROWS,
    experiment::ROWS,
];

/// Held for reading by a test that shares the control plane, for writing by one that does not.
static SHARED: RwLock<()> = RwLock::new(());

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut rows: Vec<Row> = FILES
        .iter()
        .chain(faults::ROWS)
        .copied()
        .flatten()
        .copied()
        .collect();
    // Who waits to be alone holds up all who come after.
    rows.sort_by_key(|(_, alone, _)| *alone);
    let missing = rig::missing();
    if let Some(why) = &missing {
        if std::env::var_os("FORESAIL_REQUIRE_CLUSTER").is_some() {
            println!("FORESAIL_REQUIRE_CLUSTER is set, and {why}");
            return ExitCode::FAILURE;
        }
        if !arguments.list {
            skip(&format!("cluster tests ({}): {why}", rows.len()));
        }
    }
    let trial = |(name, alone, test): Row, ignored: bool| {
        let run = move || run(name, alone, test);
        Trial::test(name, run).with_ignored_flag(ignored || missing.is_some())
    };
    // Measurements: only where they are asked for.
    let long = experiment::LONG.iter().chain(fleet::ROWS);
    let long = long.map(|row| trial(*row, true));
    let trials = rows.into_iter().map(|row| trial(row, false)).chain(long);
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    rig::end(conclusion.has_failed());
    conclusion.exit_code()
}

fn run(name: &str, alone: bool, test: fn(&Rig)) -> Result<(), Failed> {
    let rig = rig::shared()?;
    let timed = || {
        let begin = Instant::now();
        test(rig);
        println!("row {name}: {:.0} s", begin.elapsed().as_secs_f64());
    };
    // A test that failed has poisoned nothing: what it guards is outside this process.
    if alone {
        let _guard = SHARED.write().unwrap_or_else(PoisonError::into_inner);
        timed();
    } else {
        let _guard = SHARED.read().unwrap_or_else(PoisonError::into_inner);
        timed();
    }
    Ok(())
}

/// Says visibly that tests cannot run, and lets `cargo xtask test` count them.
fn skip(line: &str) {
    println!("SKIPPED {line}");
    if let Some(log) = std::env::var_os("FORESAIL_SKIP_LOG") {
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(log);
        writeln!(file.expect("the skip log"), "{line}").expect("the skip log");
    }
}
