//! What the command tests share: the binary, a folder, goldens, visible skips.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::print_stdout,
    reason = "each test file uses a part of it, and a skip is shown"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs the binary in a folder, with no settings of this machine.
pub fn foresail(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().expect("the binary runs")
}

/// Its stdout; the run must have ended with this code.
pub fn stdout(folder: &Path, args: &[&str], code: i32) -> String {
    let output = foresail(folder, args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Its stderr; the run must have ended with code 2 and printed nothing on stdout.
pub fn refused(folder: &Path, args: &[&str]) -> String {
    let output = foresail(folder, args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
    assert!(
        output.stdout.is_empty(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    error
}

/// The repository's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares with a pinned text, or pins it where `FORESAIL_BLESS` is set.
pub fn golden(name: &str, text: &str) {
    let path = root().join("tests/golden").join(name);
    if std::env::var_os("FORESAIL_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(&path, text).expect("writable");
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text, want,
        "{name}: if this is meant, run cargo xtask golden --bless"
    );
}

/// The folder of real traces, or a visible skip.
pub fn data(test: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("FORESAIL_DATA_DIR") {
        return Some(folder.into());
    }
    skipped(test, "FORESAIL_DATA_DIR is not set");
    None
}

/// Says that a test cannot run, visibly, and counts it.
pub fn skipped(test: &str, why: &str) {
    println!("SKIPPED: {test}: {why}");
    if let Some(log) = std::env::var_os("FORESAIL_SKIP_LOG") {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(log)
            .expect("the skip log");
        writeln!(file, "{test}: {why}").expect("the skip log");
    }
}

/// The command that runs the binary in a folder, with no settings of this machine.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foresail"));
    command
        .args(args)
        .current_dir(folder)
        .env_remove("XDG_CONFIG_HOME")
        .env("CI", "true");
    for (name, _) in std::env::vars() {
        if name.starts_with("FORESAIL_") {
            command.env_remove(name);
        }
    }
    command
}

/// Rows of a CSV file without quotes, the header first.
pub fn rows(folder: &Path, file: &str) -> Vec<Vec<String>> {
    let path = folder.join(format!("{file}.csv"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let cells = |line: &str| line.split(',').map(str::to_owned).collect();
    text.lines().map(cells).collect()
}

/// A number as the tables write it: a narrow space in thousands, a true minus, a unit behind.
pub fn number(text: &str) -> f64 {
    let text = text
        .replace(['\u{202f}', '\u{a0}'], "")
        .replace('\u{2212}', "-");
    let first = text.split(' ').next().unwrap();
    first.parse().unwrap_or_else(|_| panic!("{text}"))
}
