//! Places of the experiment's files: a run takes the place of one of the same flags and of no other.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::experiment::row::COLUMNS;
use crate::experiment::told::Head;
use crate::forecast::place::refuse_foreign_at;

/// The flag that names the folder.
const FLAG: &str = "--output-dir";

/// How every file beside a CSV file begins.
const BEGINS: &[u8] = b"{\"record\":\"foresail-experiment\",";

/// The longest head that is read.
const HEAD_BYTES_MAX: u64 = 1 << 20;

/// What the head calls a thing, and the flag that sets it.
const FLAGS: [(&str, &str); 14] = [
    ("seed", "--seed"),
    ("adviser", "--llm or --model"),
    ("isModel", "--llm or --model"),
    ("naive", "--naive-hpa"),
    ("gated", "--gated"),
    ("workload", "--namespace or --deployment"),
    ("intervalSeconds", "--interval"),
    ("lengthSeconds", "--duration"),
    ("historySeconds", "--history-minutes"),
    ("bounds", "--min-replicas or --max-replicas"),
    ("targets", "--cpu-target or --memory-target"),
    ("pastSeconds", "--past"),
    ("capacity", "--capacity"),
    ("latencySeconds", "--latency"),
];

/// Refuses places that hold something else than a run with this head; `true` where such a run is there.
///
/// # Errors
/// Where something foreign or a run of other flags is there, with the mend.
pub(super) fn taken(csv: &Path, head: &Head) -> Result<bool> {
    let beside = csv.with_extension("jsonl");
    let header = COLUMNS.join(",");
    refuse_foreign_at(FLAG, csv, "file of this experiment", &[header.as_bytes()])?;
    refuse_foreign_at(FLAG, &beside, "file of this experiment", &[BEGINS])?;
    let holds = |path: &Path| std::fs::metadata(path).is_ok_and(|m| m.len() > 0);
    if !holds(&beside) {
        if holds(csv) {
            bail!(
                "{} is there without {}, which would say what was run: give another place with {FLAG}, or move it away",
                csv.display(),
                beside.display()
            );
        }
        return Ok(false);
    }
    let name = beside.display();
    let file = std::fs::File::open(&beside).with_context(|| name.to_string())?;
    let mut first = Vec::new();
    BufReader::new(file.take(HEAD_BYTES_MAX))
        .read_until(b'\n', &mut first)
        .with_context(|| name.to_string())?;
    let there: Value = serde_json::from_slice(&first).with_context(|| {
        format!("{name}, line 1: no head of an experiment; give another place with {FLAG}, or move it away")
    })?;
    // Both are read from text, so that the same number is the same number.
    let own: Value = serde_json::from_slice(&serde_json::to_vec(head)?)?;
    if there == own {
        return Ok(holds(csv));
    }
    bail!(
        "{} holds a run of other flags ({}): give another place with {FLAG}, or move it away",
        csv.display(),
        flags(&there, &own).join(", ")
    )
}

/// `true` where a run with more rows than these stands at the place.
///
/// # Errors
/// Where what is there cannot be read.
pub(super) fn holds_more(csv: &Path, rows: u64) -> Result<bool> {
    let beside = csv.with_extension("jsonl");
    let Ok(file) = std::fs::File::open(&beside) else {
        return Ok(false);
    };
    let mut lines: u64 = 0;
    for byte in BufReader::new(file).bytes() {
        lines += u64::from(byte.with_context(|| beside.display().to_string())? == b'\n');
    }
    // Head and end are no rows.
    Ok(lines > rows + 2)
}

/// The flags in which two heads differ.
fn flags(there: &Value, own: &Value) -> Vec<&'static str> {
    let differs = |key: &str| there.get(key) != own.get(key);
    let known = FLAGS.iter().filter(|(key, _)| differs(key));
    let mut flags: Vec<&str> = known.map(|(_, flag)| *flag).collect();
    flags.dedup();
    if differs("schedule") {
        flags.push("--stress");
    }
    if flags.is_empty() {
        flags.push("of another version of foresail");
    }
    flags
}
