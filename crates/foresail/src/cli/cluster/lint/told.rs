//! Findings in words, as JSON and as SARIF.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};

use super::checks::{CHECKS, Level};
use super::{Found, LintOutput};

/// Prints what was found.
pub(super) fn tell(found: &Found, output: LintOutput, out: &mut dyn Write) -> Result<()> {
    match output {
        LintOutput::Text => text(found, out),
        LintOutput::Json => Ok(writeln!(out, "{}", as_json(found))?),
        LintOutput::Sarif => Ok(writeln!(
            out,
            "{}",
            serde_json::to_string_pretty(&sarif(found))?
        )?),
    }
}

fn text(found: &Found, out: &mut dyn Write) -> Result<()> {
    for f in &found.findings {
        writeln!(
            out,
            "{} {:<7} {} ({}): {}",
            f.code,
            f.level.text(),
            f.object,
            f.place,
            f.message
        )?;
        writeln!(out, "      help: {}", f.help)?;
    }
    let mut skipped: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for s in &found.skipped {
        *skipped.entry((s.code, s.why)).or_default() += 1;
    }
    for ((code, why), count) in skipped {
        eprintln!(
            "note: {code} was skipped for {count} of {} objects: {why}",
            found.objects
        );
    }
    let count = |level: Level| found.findings.iter().filter(|f| f.level == level).count();
    eprintln!(
        "{} objects: {} errors, {} warnings, {} notes",
        found.objects,
        count(Level::Error),
        count(Level::Warning),
        count(Level::Note)
    );
    Ok(())
}

fn as_json(found: &Found) -> Value {
    let findings: Vec<_> = found
        .findings
        .iter()
        .map(|f| {
            json!({"code": f.code, "level": f.level.text(), "object": f.object, "place": f.place,
                "message": f.message, "help": f.help})
        })
        .collect();
    let skipped: Vec<_> = found
        .skipped
        .iter()
        .map(|s| json!({"code": s.code, "object": s.object, "why": s.why}))
        .collect();
    json!({"v": 1, "objects": found.objects, "findings": findings, "skipped": skipped})
}

/// Source: SARIF 2.1.0, sections 3.13 to 3.27 and 3.49.
fn sarif(found: &Found) -> Value {
    let rules: Vec<_> = CHECKS
        .iter()
        .map(|c| {
            json!({"id": c.code, "shortDescription": {"text": c.what}, "help": {"text": c.help},
                "defaultConfiguration": {"level": c.level.text()}})
        })
        .collect();
    let place = |code: &str| CHECKS.iter().position(|c| c.code == code);
    let results: Vec<_> = found
        .findings
        .iter()
        .map(|f| {
            let at = json!({"physicalLocation": {"artifactLocation": {"uri": f.place}},
                "logicalLocations": [{"fullyQualifiedName": f.object, "kind": "object"}]});
            json!({"ruleId": f.code, "ruleIndex": place(f.code), "level": f.level.text(),
                "message": {"text": format!("{}: {}; {}", f.object, f.message, f.help)}, "locations": [at]})
        })
        .collect();
    let driver = json!({"name": "foresail", "version": env!("CARGO_PKG_VERSION"), "rules": rules});
    json!({"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}]})
}
