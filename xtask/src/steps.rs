//! The steps of `cargo xtask test`, one line each with its seconds; the first failure stops.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{tidy, verify};

/// Seeds of the soak that every test run makes; the whole one is `cargo xtask soak`.
const SOAK_SEEDS: &str = "20";

/// Tests that ran, failed and were skipped.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Those of the skipped that `cargo xtask test-cluster` runs.
    left: u64,
}

/// What a step runs; the answer says whether all is well.
type Run = Box<dyn Fn(&mut Counts) -> Result<bool>>;

/// One step: its name and what it runs.
struct Step {
    name: &'static str,
    run: Run,
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_path_buf)
}

/// A cargo command in the workspace, with the toolchain that runs us.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs a command quietly; its output is shown where it fails.
fn quiet(mut command: Command) -> Result<bool> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        eprintln!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output.status.success())
}

/// Runs tests, shows what is not a passing line, and counts; which failed by name, `None` where all is well.
pub(crate) fn failing_tests(
    args: &[&str],
    env: &[(&str, &str)],
    counts: &mut Counts,
) -> Result<Option<Vec<String>>> {
    let skips = root().join("target").join("skips.log");
    fs::create_dir_all(root().join("target"))?;
    fs::write(&skips, "")?;
    let mut command = cargo(args);
    command
        .env("FORESAIL_SKIP_LOG", &skips)
        .envs(env.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start cargo test")?;
    let stderr = child.stderr.take().context("no stderr")?;
    let build_log = std::thread::spawn(move || {
        let lines = BufReader::new(stderr).lines().map_while(|line| line.ok());
        lines.collect::<Vec<_>>()
    });
    let stdout = child.stdout.take().context("no stdout")?;
    let mut log = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        if let Some(result) = line.strip_prefix("test result: ") {
            counts.add(result);
        }
        if line.contains(": antecedent held ") {
            println!("         {line}");
        }
        log.push(line);
    }
    let good = child.wait()?.success();
    let build_log = build_log.join().unwrap_or_default();
    if !good {
        for line in build_log
            .iter()
            .chain(&log)
            .filter(|l| !l.ends_with("... ok"))
        {
            eprintln!("{line}");
        }
    }
    for skip in fs::read_to_string(&skips)?.lines() {
        println!("         SKIPPED {skip}");
        counts.skip(skip);
    }
    Ok((!good).then(|| log.iter().filter_map(|line| failing(line)).collect()))
}

/// The name in a line such as `test faults::f1 ... FAILED`.
fn failing(line: &str) -> Option<String> {
    let name = line.strip_prefix("test ")?.strip_suffix("... FAILED")?;
    Some(name.trim().to_owned())
}

/// Runs tests as [`failing_tests`] does; whether all is well.
fn tests(args: &[&str], env: &[(&str, &str)], counts: &mut Counts) -> Result<bool> {
    Ok(failing_tests(args, env, counts)?.is_none())
}

impl Counts {
    /// Takes in a line of the skip log: one test, or `cluster tests (N): …`.
    fn skip(&mut self, line: &str) {
        let cluster = line
            .strip_prefix("cluster tests (")
            .and_then(|rest| rest.split_once(')'))
            .and_then(|(number, _)| number.parse().ok());
        self.skipped += cluster.unwrap_or(1);
        self.left += cluster.unwrap_or(0);
    }

    /// One that failed has passed after all.
    pub(crate) fn passed_after_all(&mut self) {
        self.failed -= 1;
        self.passed += 1;
    }

    /// Takes in a line such as `ok. 12 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, result: &str) {
        let number = |word: &str| -> u64 {
            let before = result.split(word).next().unwrap_or("");
            before
                .split_whitespace()
                .last()
                .and_then(|n| n.parse().ok())
                .unwrap_or(0)
        };
        self.passed += number(" passed");
        self.failed += number(" failed");
    }
}

fn step(name: &'static str, run: impl Fn(&mut Counts) -> Result<bool> + 'static) -> Step {
    Step {
        name,
        run: Box::new(run),
    }
}

fn all_steps() -> Vec<Step> {
    vec![
        step("fmt", |_| quiet(cargo(&["fmt", "--all", "--check"]))),
        step("clippy", |_| {
            quiet(cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ]))
        }),
        step("tidy", |_| tidy::run(&[])),
        step("test", |counts| {
            tests(
                &["test", "--workspace", "--locked", "--no-fail-fast"],
                // They come with `cargo xtask test-cluster`, whether or not they could run now.
                &[("FORESAIL_WITHOUT_CLUSTER", "1")],
                counts,
            )
        }),
        step("doc", |_| {
            let mut command = cargo(&["doc", "--no-deps", "--workspace", "--locked"]);
            command.env("RUSTDOCFLAGS", "-D warnings");
            quiet(command)
        }),
        step("soak", |counts| soak_of(SOAK_SEEDS, counts)),
        step("deny", |_| deny()),
    ]
}

fn quick_steps() -> Vec<Step> {
    let mut steps: Vec<_> = all_steps().into_iter().take(3).collect();
    steps.push(step("test core", |counts| {
        tests(&["test", "-p", "foresail-core", "--locked"], &[], counts)
    }));
    steps
}

/// `cargo xtask test [--quick]`: the last line says how many passed, failed and were skipped.
pub(crate) fn test(args: &[String]) -> Result<bool> {
    let quick = match args {
        [] => false,
        [flag] if flag == "--quick" => true,
        _ => bail!("test takes no argument but --quick"),
    };
    let mut counts = Counts::default();
    let mut good = true;
    let steps = if quick { quick_steps() } else { all_steps() };
    for Step { name, run } in steps {
        let begin = Instant::now();
        let ok = run(&mut counts)?;
        told(name, ok, begin);
        if !ok {
            good = false;
            break;
        }
    }
    finish(good, counts)
}

/// The line of a step that is over.
pub(crate) fn told(name: &str, ok: bool, begin: Instant) {
    println!(
        "{} {name:<10} {:>5.0} s",
        if ok { "ok    " } else { "FAILED" },
        begin.elapsed().as_secs_f64()
    );
}

/// The last line of a run; also a line of the file that `FORESAIL_COUNTS` names, where it does:
/// passed, failed, skipped, and those of the skipped that another command runs.
pub(crate) fn finish(good: bool, mut counts: Counts) -> Result<bool> {
    if !good {
        counts.failed = counts.failed.max(1);
    }
    let Counts {
        passed,
        failed,
        skipped,
        left,
    } = counts;
    if let Some(path) = std::env::var_os("FORESAIL_COUNTS") {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .with_context(|| format!("FORESAIL_COUNTS: {}", path.display()))?;
        writeln!(file, "{passed} {failed} {skipped} {left}")?;
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    Ok(good)
}

fn deny() -> Result<bool> {
    let installed = cargo(&["deny", "--version"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !installed {
        println!(
            "         NOT RUN: cargo-deny is not installed (cargo install --locked cargo-deny)"
        );
        return Ok(true);
    }
    quiet(cargo(&[
        "deny",
        "--offline",
        "check",
        "licenses",
        "bans",
        "sources",
    ]))
}

fn soak_of(seeds: &str, counts: &mut Counts) -> Result<bool> {
    if !root().join("crates/foresail/tests/soak.rs").exists() {
        println!("         NOT RUN: there is no soak yet");
        return Ok(true);
    }
    let args = [
        "test",
        "--workspace",
        "--locked",
        "--test",
        "soak",
        "--",
        "--ignored",
    ];
    tests(&args, &[("FORESAIL_SOAK_SEEDS", seeds)], counts)
}

/// `cargo xtask soak [--seeds N]`: the whole soak.
pub(crate) fn soak(args: &[String]) -> Result<bool> {
    let seeds = match args {
        [] => "200",
        [flag, seeds] if flag == "--seeds" => seeds,
        _ => bail!("soak takes no argument but --seeds N"),
    };
    let mut counts = Counts::default();
    let good = soak_of(seeds, &mut counts)?;
    println!(
        "{} passed, {} failed, {} skipped",
        counts.passed, counts.failed, counts.skipped
    );
    Ok(good)
}

/// `cargo xtask golden [--bless | --verify]`: compares or rewrites pinned outputs, or runs the
/// reference scripts again.
pub(crate) fn golden(args: &[String]) -> Result<bool> {
    let mut command = cargo(&["test", "-p", "foresail", "--locked", "--test", "golden"]);
    match args {
        [] => {}
        [flag] if flag == "--bless" => {
            command.env("FORESAIL_BLESS", "1");
        }
        [flag] if flag == "--verify" => return verify::run(),
        _ => bail!("golden takes no argument but --bless or --verify"),
    }
    Ok(command.status()?.success())
}

/// `cargo xtask bench`: runs every benchmark and prints what it measured.
pub(crate) fn bench(args: &[String]) -> Result<bool> {
    if !args.is_empty() {
        bail!("bench takes no argument");
    }
    Ok(cargo(&["bench", "--workspace", "--locked"])
        .status()?
        .success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted() {
        let mut counts = Counts::default();
        counts.add(
            "ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.1s",
        );
        counts.add("FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!((counts.passed, counts.failed), (14, 1));
    }

    #[test]
    fn a_failing_test_is_known_by_its_name() {
        assert_eq!(failing("test a::b ... FAILED"), Some("a::b".to_owned()));
        assert_eq!(failing("test a::b   ... FAILED"), Some("a::b".to_owned()));
        assert_eq!(failing("test a::b ... ok"), None);
        assert_eq!(failing("row a::b: 3 s"), None);
    }

    #[test]
    fn one_line_of_skips_may_stand_for_many() {
        let mut counts = Counts::default();
        counts.skip("real_traces: FORESAIL_DATA_DIR is not set");
        counts.skip("cluster tests (12): run by cargo xtask test-cluster");
        assert_eq!((counts.skipped, counts.left), (13, 12));
    }
}
