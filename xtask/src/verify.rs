//! `cargo xtask golden --verify`: the reference scripts run again, their numbers against the
//! stored.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::steps::root;

/// Relative difference of two numbers that counts as none.
const TOLERANCE: f64 = 1e-6;

/// Numbers whose size is below this count as zero.
const ZERO: f64 = 1e-9;

/// Differences that are printed for one file.
const SHOWN: usize = 5;

/// Runs every script of `tests/reference` in a copy of its folder and compares what it writes.
///
/// A script finds its place by its own path and writes to `../golden`, so the stored files stay as
/// they are. Without Python or a library of a script it is skipped, visibly; with `FORESAIL_PYTHON`
/// set, every failure is one.
pub(crate) fn run() -> Result<bool> {
    let chosen = std::env::var_os("FORESAIL_PYTHON");
    let python = chosen.clone().unwrap_or_else(|| "python3".into());
    let mut scripts: Vec<PathBuf> = fs::read_dir(root().join("tests/reference"))?
        .map_while(|entry| entry.ok())
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "py"))
        .collect();
    scripts.sort();
    let folder = root().join("target/verify");
    let mut good = true;
    for script in &scripts {
        let name = script.file_stem().and_then(|n| n.to_str()).unwrap_or("");
        let place = folder.join(name);
        let copy = prepare(&place, script)?;
        let output = Command::new(&python).arg(&copy).output();
        good &= match output {
            Err(error) if chosen.is_none() => skip(name, &format!("no python3: {error}")),
            Err(error) => {
                return Err(error).context(format!("{} of FORESAIL_PYTHON", python.display()));
            }
            Ok(output) if output.status.success() => judge(name, &place.join("golden"))?,
            Ok(output) => failed(name, &output, chosen.is_some()),
        };
    }
    Ok(good)
}

/// A copy of the script and its inputs in a folder of its own, with the empty folders that it writes to.
fn prepare(place: &Path, script: &Path) -> Result<PathBuf> {
    if place.exists() {
        fs::remove_dir_all(place)?;
    }
    fs::create_dir_all(place.join("reference"))?;
    for entry in fs::read_dir(root().join("tests/golden"))? {
        let name = entry?.file_name();
        fs::create_dir_all(place.join("golden").join(name))?;
    }
    let copy = place
        .join("reference")
        .join(script.file_name().context("no name")?);
    fs::copy(script, &copy)?;
    // What a script reads stands in a folder of its name.
    let inputs = script.with_extension("");
    if inputs.is_dir() {
        let to = copy.with_extension("");
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(inputs)? {
            let from = entry?.path();
            fs::copy(&from, to.join(from.file_name().context("no name")?))?;
        }
    }
    Ok(copy)
}

fn skip(name: &str, why: &str) -> bool {
    println!("SKIPPED: {name}: {why}");
    true
}

/// What a script that failed means: a library that is not there is no failure, unless a Python was
/// named.
fn failed(name: &str, output: &Output, chosen: bool) -> bool {
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or("no word").to_owned();
    if !chosen && last.starts_with("ModuleNotFoundError") {
        return skip(
            name,
            &format!("{last} (FORESAIL_PYTHON names a Python that has it)"),
        );
    }
    eprintln!("FAILED: {name}: {text}");
    false
}

/// Compares every JSON file that was written with the stored one.
fn judge(name: &str, written: &Path) -> Result<bool> {
    let (mut good, mut count) = (true, 0);
    for folder in fs::read_dir(written)? {
        let folder = folder?.path();
        for file in fs::read_dir(&folder)? {
            let file = file?.path();
            let place = file.strip_prefix(written)?;
            count += 1;
            if file.extension().is_none_or(|e| e != "json") {
                println!("         {name}: {} is not compared", place.display());
                continue;
            }
            let stored = root().join("tests/golden").join(place);
            let differences = compare(&stored, &file)?;
            for difference in differences.iter().take(SHOWN) {
                eprintln!("         {}{difference}", place.display());
            }
            let verdict = if differences.is_empty() {
                "ok"
            } else {
                "FAILED"
            };
            println!(
                "{verdict}: {name}: {}, {} differ",
                place.display(),
                differences.len()
            );
            good &= differences.is_empty();
        }
    }
    if count == 0 {
        eprintln!("FAILED: {name} wrote nothing below ../golden");
    }
    Ok(good && count > 0)
}

fn compare(stored: &Path, written: &Path) -> Result<Vec<String>> {
    let read = |path: &Path| -> Result<Value> {
        let text = fs::read(path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    };
    let mut differences = Vec::new();
    differ(&read(stored)?, &read(written)?, "", &mut differences);
    Ok(differences)
}

/// Every place where two values differ; the versions of the libraries may.
fn differ(a: &Value, b: &Value, place: &str, found: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(one), Value::Object(two)) => {
            for key in one
                .keys()
                .chain(two.keys().filter(|k| !one.contains_key(*k)))
            {
                if key != "versions" {
                    let (a, b) = (&a[key.as_str()], &b[key.as_str()]);
                    differ(a, b, &format!("{place}.{key}"), found);
                }
            }
        }
        (Value::Array(one), Value::Array(two)) if one.len() == two.len() => {
            for (i, (a, b)) in one.iter().zip(two).enumerate() {
                differ(a, b, &format!("{place}[{i}]"), found);
            }
        }
        (Value::Number(one), Value::Number(two)) => {
            let (one, two) = (one.as_f64().unwrap_or(0.0), two.as_f64().unwrap_or(0.0));
            let size = one.abs().max(two.abs());
            if size > ZERO && (one - two).abs() > TOLERANCE * size {
                found.push(format!("{place}: {one} stored, {two} now"));
            }
        }
        _ if a == b => {}
        _ => found.push(format!("{place}: {a} stored, {b} now")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(a: &str, b: &str) -> Vec<String> {
        let read = |text| serde_json::from_str(text).expect("JSON");
        let mut found = Vec::new();
        differ(&read(a), &read(b), "", &mut found);
        found
    }

    #[test]
    fn a_grain_is_none_and_more_than_that_is_told_with_its_place() {
        let stored = r#"{"a": [1.0, 2.0], "versions": {"numpy": "1"}}"#;
        assert!(
            places(
                stored,
                r#"{"a": [1.0000001, 2.0], "versions": {"numpy": "2"}}"#
            )
            .is_empty()
        );
        let found = places(stored, r#"{"a": [1.0, 2.1], "b": null}"#);
        assert_eq!(found, [".a[1]: 2 stored, 2.1 now"]);
        assert_eq!(places(stored, r#"{"a": [1.0]}"#).len(), 1);
        assert_eq!(places(r#"{"a": "x"}"#, "{}").len(), 1);
    }
}
