//! `foresail lint`: what is wrong with objects of ours, or will be, each finding with its help.
//!
//! Files are judged by what stands in them and, where a flag names a cluster, by what is there too.
//! What cannot be known is said to be skipped; it is never taken for well.

mod case;
mod checks;
mod cluster_facts;
mod prometheus_facts;
#[cfg(test)]
mod tests;
mod told;
mod workloads;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use foresail_core::quantity::time::Span;
use serde_json::Value;

use super::ClusterArgs;
use crate::compare::prometheus::AccessArgs;
use crate::config::{Environment, Settings};
use crate::exit::Code;
use case::{Case, Facts, is_ours};
use checks::{CHECKS, Level, Verdict};

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// How findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LintOutput {
    /// For people.
    #[default]
    #[value(alias = "table")]
    Text,
    /// For programs.
    Json,
    /// For code review (SARIF 2.1.0).
    Sarif,
}

/// Check objects in files or in a cluster, and say what will go wrong
#[derive(Args, Debug)]
pub struct LintArgs {
    /// YAML or JSON files; other objects in them are looked at too. `-` for stdin
    #[arg(required_unless_present_any = ["all_namespaces", "namespace"])]
    files: Vec<PathBuf>,
    /// Objects of all namespaces of the cluster
    #[arg(long, short = 'A', conflicts_with_all = ["files", "namespace"])]
    all_namespaces: bool,
    /// Warnings make it fail
    #[arg(long)]
    deny_warnings: bool,
    /// How often Prometheus scrapes, to judge windows of queries by
    #[arg(long, value_name = "TIME")]
    scrape_interval: Option<Span>,
    /// How findings are printed
    #[arg(long, short, value_enum, default_value_t)]
    output: LintOutput,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    access: AccessArgs,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) code: &'static str,
    pub(crate) level: Level,
    /// `namespace/name`.
    pub(crate) object: String,
    /// The file, or the cluster.
    pub(crate) place: String,
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

/// One check that could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) code: &'static str,
    pub(crate) object: String,
    pub(crate) why: &'static str,
}

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) objects: usize,
    pub(crate) findings: Vec<Finding>,
    pub(crate) skipped: Vec<Skipped>,
}

/// Runs the command.
///
/// # Errors
/// Where a file cannot be read, or the cluster does not answer.
pub fn run(args: &LintArgs, out: &mut dyn Write) -> Result<Code> {
    let mut documents = Vec::new();
    for file in &args.files {
        documents.extend(read(file)?);
    }
    let mut facts = Facts::of(&documents);
    if args.all_namespaces || args.cluster.is_named() {
        let cluster = args.cluster.connect()?;
        let listed = cluster.wait(cluster_facts::read(&cluster, args.all_namespaces))?;
        if args.files.is_empty() {
            documents.extend(listed.iter().map(|o| ("cluster".to_owned(), o.clone())));
        }
        facts.add_cluster(listed);
    }
    facts.scrape_interval = args.scrape_interval;
    let objects = documents.iter().filter(|(_, value)| is_ours(value));
    let objects: Vec<_> = objects.cloned().collect();
    let names = args.files.iter().map(|f| f.display().to_string());
    let names = names.collect::<Vec<_>>().join(", ");
    ensure!(
        !objects.is_empty() || args.files.is_empty(),
        "{names}: no PredictiveAutoscaler in it"
    );
    prometheus_facts::ask(&args.access, &settings(args)?, &objects, &mut facts)?;
    let found = judge(&objects, &facts);
    told::tell(&found, args.output, out)?;
    Ok(code(&found, args.deny_warnings))
}

fn settings(args: &LintArgs) -> Result<Option<Settings>> {
    let settings = Settings::load(None, &Environment)?;
    let asked = args.access.prometheus.is_some() || !settings.text("prometheus.url").is_empty();
    Ok(asked.then_some(settings))
}

/// Every document of a file with its place.
fn read(file: &Path) -> Result<Vec<(String, Value)>> {
    let name = file.display().to_string();
    let mut text = String::new();
    if name == "-" {
        let stdin = std::io::stdin().lock();
        stdin.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("cannot read {name}"))?;
        let size = opened.metadata().map_or(0, |m| m.len());
        ensure!(
            size <= FILE_BYTES_MAX,
            "{name} is larger than {FILE_BYTES_MAX} bytes; that is no manifest"
        );
        let read = opened.take(FILE_BYTES_MAX).read_to_string(&mut text);
        read.with_context(|| format!("cannot read {name}"))?;
    }
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).with_context(|| format!("{name} is no YAML"))?;
    let flat = documents.into_iter().flat_map(items);
    Ok(flat.map(|value| (name.clone(), value)).collect())
}

/// The objects of a List, or the one object.
fn items(document: Value) -> Vec<Value> {
    match document {
        Value::Null => Vec::new(),
        Value::Object(mut fields) if fields.get("kind").and_then(Value::as_str) == Some("List") => {
            match fields.remove("items") {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            }
        }
        other => vec![other],
    }
}

/// Every check on every object.
pub(crate) fn judge(objects: &[(String, Value)], facts: &Facts) -> Found {
    let mut found = Found {
        objects: objects.len(),
        ..Found::default()
    };
    for (place, value) in objects {
        let case = Case::new(value, facts);
        for check in CHECKS {
            match (check.run)(&case) {
                Verdict::Well => {}
                Verdict::Unknown(why) => found.skipped.push(Skipped {
                    code: check.code,
                    object: case.name.clone(),
                    why,
                }),
                Verdict::Found(messages) => {
                    found
                        .findings
                        .extend(messages.into_iter().map(|message| Finding {
                            code: check.code,
                            level: check.level,
                            object: case.name.clone(),
                            place: place.clone(),
                            message,
                            help: check.help,
                        }));
                }
            }
        }
    }
    found
}

/// What findings come to: 2 where an object cannot be used, 1 where it will not do.
fn code(found: &Found, deny_warnings: bool) -> Code {
    let has = |level: Level| found.findings.iter().any(|f| f.level == level);
    if found.findings.iter().any(|f| f.code == "FS000") {
        Code::Usage
    } else if has(Level::Error) || (deny_warnings && has(Level::Warning)) {
        Code::No
    } else {
        Code::Done
    }
}
