//! Scenario files: read, checked, and turned into what is to be run.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use foresail_core::spec::SpecProblem;
use foresail_sim::experiment::scenario::{Demand, Scenario};
use serde::de::DeserializeOwned;

use super::options::{ArrivalsArg, Options, ShapeArg};
use super::plan::{Plan, check, chosen};
use super::trace;

/// Reads a scenario file.
///
/// # Errors
/// Where the file cannot be read, or says something that is not known: with the place in the file,
/// what is known there, and the nearest name.
pub fn read(path: &Path) -> Result<Scenario> {
    read_yaml(path)
}

/// The largest YAML file that is read.
const BYTES_MAX: u64 = 16 << 20;

/// Reads a YAML file whose keys are all known.
///
/// # Errors
/// As [`read`] has them.
pub(crate) fn read_yaml<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let name = path.display();
    let size = std::fs::metadata(path).with_context(|| format!("cannot read {name}"))?;
    anyhow::ensure!(
        size.len() <= BYTES_MAX,
        "{name} has {} bytes, more than {BYTES_MAX}: name another file",
        size.len()
    );
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    serde_saphyr::from_str(&text).map_err(|error| {
        let place = error
            .location()
            .map(|l| (l.line() as usize, l.column() as usize));
        let message = error.without_snippet().to_string();
        match place {
            Some((line, column)) => {
                let at = path_at(&text, line);
                anyhow!("{name}:{line}:{column}: {at}: {}", hinted(&message))
            }
            None => anyhow!("{name}: {}", hinted(&message)),
        }
    })
}

/// The keys that lead to a line of a YAML file in block style.
fn path_at(text: &str, line: usize) -> String {
    let mut keys: Vec<&str> = Vec::new();
    let mut indent = usize::MAX;
    let lines: Vec<&str> = text.lines().take(line).collect();
    for line in lines.into_iter().rev() {
        let bare = line.trim_start_matches([' ', '-']);
        let depth = line.len() - bare.len();
        let is_text = !bare.is_empty() && !bare.starts_with('#');
        if let Some((key, _)) = bare.split_once(':')
            && is_text
            && depth < indent
        {
            indent = depth;
            keys.push(key.trim());
        }
    }
    keys.reverse();
    if keys.is_empty() {
        "scenario".to_owned()
    } else {
        keys.join(".")
    }
}

/// A message with the nearest known name, where it is of a name that is not known.
fn hinted(message: &str) -> String {
    // The reader says the place once more at the end; it stands at the begin already.
    let message = message.split(" at line ").next().unwrap_or(message);
    let unknown = ["unknown field", "unknown variant"]
        .iter()
        .any(|u| message.starts_with(u));
    let name = message.split('`').nth(1);
    let known = message.split_once("expected one of ").map(|(_, k)| k);
    match (name, known) {
        (Some(name), Some(known)) if unknown => {
            let known: Vec<&str> = known.split(", ").map(|k| k.trim_matches('`')).collect();
            SpecProblem::unknown("", "key", name, &known).message
        }
        _ => message.to_owned(),
    }
}

/// What a scenario's file asks to be run.
///
/// # Errors
/// Where the file or its trace cannot be read, or a knob is out of its range.
pub fn plan(path: &Path, options: &Options) -> Result<Plan> {
    let scenario = read(path)?;
    let name = path
        .file_stem()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let folder = path.parent().unwrap_or(Path::new(""));
    plan_of(&scenario, &name, folder, options).with_context(|| path.display().to_string())
}

/// What a scenario asks to be run; its files are looked for from `folder` on.
///
/// # Errors
/// Where its trace cannot be read, or a knob is out of its range.
pub fn plan_of(scenario: &Scenario, name: &str, folder: &Path, options: &Options) -> Result<Plan> {
    let mut options = options.clone();
    if options.args.policies == "all" && !scenario.policies.is_empty() {
        options.args.policies = scenario.policies.join(",");
    }
    let items = match scenario.item(name, options.seed) {
        Some(item) => vec![item],
        None => trace_items(folder, scenario, &mut options)?,
    };
    let mut plan = Plan {
        name: name.to_owned(),
        summary: scenario.summary.clone(),
        items,
        policies: Vec::new(),
        notes: Vec::new(),
        is_sample: matches!(scenario.workload, Demand::Sample { .. }),
    };
    let (min, max) = (scenario.replicas.min, scenario.replicas.max);
    anyhow::ensure!(
        min > 0 && min <= max,
        "replicas: min {min}, max {max}: min must be 1 or more and at most max"
    );
    for item in &plan.items {
        item.workload.check()?;
    }
    plan.policies = chosen(&options, &plan)?;
    check(&plan)?;
    Ok(plan)
}

/// The items of a scenario's trace on the scenario's cluster.
fn trace_items(
    folder: &Path,
    scenario: &Scenario,
    options: &mut Options,
) -> Result<Vec<foresail_sim::experiment::Item>> {
    let Demand::Trace {
        file,
        format,
        functions,
        durations,
        within,
    } = &scenario.workload
    else {
        return Ok(Vec::new());
    };
    let args = &mut options.args;
    args.format.clone_from(format);
    args.functions = *functions;
    args.durations = durations.as_ref().map(|d| folder.join(d));
    args.arrivals = ArrivalsArg::Within(*within);
    args.service_shape = ShapeArg(None);
    let mut items = trace::read(&folder.join(file), options)?.items;
    for item in &mut items {
        let of_trace = item.setup.cluster.service;
        item.setup = scenario.setup(item.setup.target.clone());
        if durations.is_some() {
            item.setup.cluster.service = of_trace;
            item.setup.cluster.cpu_per_request = of_trace.mean;
        }
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_line_is_told_by_its_keys() {
        let text =
            "summary: x\ncluster:\n  service:\n    mean: 1\nfaults:\n  - nodeLoss:\n      at: 3\n";
        assert_eq!(path_at(text, 4), "cluster.service.mean");
        assert_eq!(path_at(text, 7), "faults.nodeLoss.at");
        assert_eq!(path_at(text, 1), "summary");
    }

    #[test]
    fn a_name_that_is_not_known_gets_the_nearest() {
        let got =
            hinted("unknown field `sevice`, expected one of service, slo at line 3, column 4");
        assert_eq!(
            got,
            "there is no key `sevice`; did you mean `service`? (known: service, slo)"
        );
        assert_eq!(hinted("missing field `summary`"), "missing field `summary`");
    }
}
