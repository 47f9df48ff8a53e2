//! A sweep's file: read, checked whole, and spread out into runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use foresail_core::quantity::time::Span;
use foresail_sim::experiment::scenario::Scenario;
use serde::Deserialize;
use serde_json::Value;

use crate::compare::scenario;

/// The most runs of one sweep.
const RUNS_MAX: usize = 1_000_000;

/// What a sweep may take where its file does not say.
const LIMIT: Span = Span::from_seconds(3600);

/// How runs are simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Request by request.
    #[default]
    Event,
    /// Rates and counted pods.
    Fluid,
}

/// A sweep as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    /// What it shows, in one sentence.
    summary: String,
    /// Scenario files, from the sweep's folder.
    scenarios: Vec<PathBuf>,
    /// Traces that take the place of the scenarios' workload, from the sweep's folder.
    #[serde(default)]
    traces: Vec<PathBuf>,
    /// Policies; those of the scenarios where absent.
    #[serde(default)]
    policies: Vec<String>,
    /// Values of the scenario's keys, each by its path, such as `cluster.startup.meanSeconds`.
    #[serde(default)]
    parameters: BTreeMap<String, Vec<Value>>,
    /// Seeds, counted up from the scenario's own.
    #[serde(default = "one")]
    seeds: u64,
    /// How runs are simulated.
    #[serde(default)]
    mode: Mode,
    /// A longer sweep is refused before it starts.
    #[serde(default = "limit", rename = "limitSeconds")]
    limit: Span,
}

fn one() -> u64 {
    1
}

fn limit() -> Span {
    LIMIT
}

/// A sweep that can be run.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Its name, of the file.
    pub name: String,
    /// What it shows.
    pub summary: String,
    /// How runs are simulated.
    pub mode: Mode,
    /// A longer sweep is refused before it starts.
    pub limit: Span,
    /// The parameters' paths, in order.
    pub parameters: Vec<String>,
    /// Every run, in a fixed order.
    pub runs: Vec<Run>,
}

/// One run of a sweep, before its policies are known.
#[derive(Clone, Debug)]
pub struct Run {
    /// Which scenario, by its file's name.
    pub scenario: String,
    /// Which trace, where one takes the place of the scenario's workload.
    pub trace: Option<String>,
    /// Value of each parameter, as it is written.
    pub values: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// The scenario with the parameters' values.
    pub(super) changed: Scenario,
    /// Where the scenario's own files are looked for.
    pub(super) folder: PathBuf,
}

/// Reads a sweep's file and every scenario that it names.
///
/// # Errors
/// Where a file cannot be read, a path of a parameter leads nowhere, or there are too many runs.
pub fn read(path: &Path) -> Result<Sweep> {
    let file = path.display();
    let written: Written = scenario::read_yaml(path)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    if written.scenarios.is_empty() || written.seeds == 0 {
        bail!("{file}: scenarios and seeds: name at least one scenario and one seed");
    }
    for (key, values) in &written.parameters {
        if values.is_empty() {
            bail!("{file}: parameters.{key}: name at least one value");
        }
    }
    let points = points(&written.parameters);
    let traces = written.traces.len().max(1);
    let count = written.scenarios.len() * traces * points.len();
    let count = count.saturating_mul(usize::try_from(written.seeds).unwrap_or(usize::MAX));
    if count > RUNS_MAX {
        bail!("{file}: {count} runs: at most {RUNS_MAX}; name fewer values, traces or seeds");
    }
    let mut runs = Vec::with_capacity(count);
    for name in &written.scenarios {
        let base = scenario::read(&folder.join(name))?;
        let own = folder
            .join(name)
            .parent()
            .unwrap_or(Path::new(""))
            .to_owned();
        let base = Base {
            name: stem(name),
            folder: own,
            scenario: base,
        };
        runs.extend(
            base.runs(&written, &folder, &points)
                .with_context(|| file.to_string())?,
        );
    }
    Ok(Sweep {
        name: stem(path),
        summary: written.summary,
        mode: written.mode,
        limit: written.limit,
        parameters: written.parameters.into_keys().collect(),
        runs,
    })
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

/// One combination of values: path and value of each parameter.
type Point<'a> = Vec<(&'a str, &'a Value)>;

/// Every combination of values, the last parameter counting fastest.
fn points(parameters: &BTreeMap<String, Vec<Value>>) -> Vec<Point<'_>> {
    let mut points: Vec<Point<'_>> = vec![Vec::new()];
    for (key, values) in parameters {
        let mut longer = Vec::with_capacity(points.len() * values.len());
        for point in &points {
            for value in values {
                let mut point = point.clone();
                point.push((key, value));
                longer.push(point);
            }
        }
        points = longer;
    }
    points
}

/// One scenario of a sweep.
struct Base {
    name: String,
    folder: PathBuf,
    scenario: Scenario,
}

impl Base {
    fn runs(
        &self,
        written: &Written,
        sweep_folder: &Path,
        points: &[Point<'_>],
    ) -> Result<Vec<Run>> {
        let whole = serde_json::to_value(&self.scenario).context("the scenario as data")?;
        let traces: Vec<Option<&PathBuf>> = if written.traces.is_empty() {
            vec![None]
        } else {
            written.traces.iter().map(Some).collect()
        };
        let mut runs = Vec::new();
        for trace in traces {
            for point in points {
                let mut changed = self.changed(&whole, point)?;
                let mut folder = self.folder.clone();
                if let Some(trace) = trace {
                    changed.replay(sweep_folder.join(trace));
                    folder = PathBuf::new();
                }
                if !written.policies.is_empty() {
                    changed.policies.clone_from(&written.policies);
                }
                let of_seed = |seed| Run {
                    scenario: self.name.clone(),
                    trace: trace.map(|t| stem(t)),
                    values: point.iter().map(|(_, v)| shown(v)).collect(),
                    seed: changed.seed.wrapping_add(seed),
                    changed: changed.clone(),
                    folder: folder.clone(),
                };
                runs.extend((0..written.seeds).map(of_seed));
            }
        }
        Ok(runs)
    }

    fn changed(&self, whole: &Value, point: &[(&str, &Value)]) -> Result<Scenario> {
        let mut changed = whole.clone();
        for (key, value) in point {
            set(&mut changed, key, value)
                .with_context(|| format!("parameters.{key} in scenario {}", self.name))?;
        }
        let told: Vec<_> = point.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        serde_json::from_value(changed)
            .map_err(|e| anyhow!("scenario {} with {}: {e}", self.name, told.join(", ")))
    }
}

/// A value as a cell of a table has it.
fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Sets the value at a dotted path; objects on the way are made, whose names the scenario checks.
fn set(whole: &mut Value, path: &str, value: &Value) -> Result<()> {
    let mut place = whole;
    for key in path.split('.') {
        if place.is_null() {
            *place = Value::Object(serde_json::Map::new());
        }
        place = match place {
            Value::Object(fields) => fields.entry(key.to_owned()).or_insert(Value::Null),
            Value::Array(items) => {
                let count = items.len();
                let index = key.parse::<usize>().ok();
                index.and_then(|i| items.get_mut(i)).with_context(|| {
                    format!(
                        "`{key}`: write the place in the list, 0 to {}",
                        count.max(1) - 1
                    )
                })?
            }
            other => bail!("`{key}` is below {other}, which holds nothing"),
        };
    }
    place.clone_from(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_parameter_counts_fastest() {
        let parameters = BTreeMap::from([
            ("a".to_owned(), vec![json!(1), json!(2)]),
            ("b".to_owned(), vec![json!(3), json!(4)]),
        ]);
        let found: Vec<Vec<i64>> = points(&parameters)
            .iter()
            .map(|p| p.iter().filter_map(|(_, v)| v.as_i64()).collect())
            .collect();
        assert_eq!(found, [[1, 3], [1, 4], [2, 3], [2, 4]]);
    }

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let mut whole = json!({"rates": [{"from": 1}, {"from": 2}], "x": 5});
        set(&mut whole, "rates.1.from", &json!(9)).unwrap();
        set(&mut whole, "new.deep", &json!(true)).unwrap();
        assert_eq!(
            whole,
            json!({"rates": [{"from": 1}, {"from": 9}], "x": 5, "new": {"deep": true}})
        );
        assert!(set(&mut whole, "rates.7.from", &json!(1)).is_err());
        assert!(set(&mut whole, "x.y", &json!(1)).is_err());
    }
}
