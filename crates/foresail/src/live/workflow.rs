//! A workflow file for stages that are really there: they need no surface, and each names its
//! function.

use std::path::Path;

use anyhow::{Result, anyhow};
use foresail_adapters::provider::LiveStage;
use foresail_core::spec::SpecProblem;
use foresail_sim::workflow::file;
use foresail_sim::workflow::published::entry;
use foresail_sim::workflow::subject::{Steps, Subject};
use serde_json::{Value, json};

use crate::compare::scenario::read_yaml;

/// A workflow and the functions of its stages.
#[derive(Clone, Debug)]
pub struct LiveWorkflow {
    /// What a search is about; its surfaces mean nothing.
    pub subject: Subject,
    /// The function of each stage, shape `[stages]`.
    pub stage_functions: Vec<String>,
}

impl LiveWorkflow {
    /// Reads a workflow file, or takes a published workflow by its name.
    ///
    /// # Errors
    /// Where the file cannot be read, or says something wrong; with its key.
    pub fn read(named: &str) -> Result<Self> {
        if entry(named).is_some() || !Path::new(named).exists() {
            let subject = crate::cli::workflow::subject(named)?;
            let stages = subject.model.workflow.stages();
            let stage_functions = stages.iter().map(|s| s.name.clone()).collect();
            return Ok(Self {
                subject,
                stage_functions,
            });
        }
        let mut value: Value = read_yaml(Path::new(named))?;
        let stage_functions = stage_functions(&value);
        give_surfaces(&mut value, &stage_functions);
        let subject = file::read(&value).map_err(|found: Vec<SpecProblem>| {
            let all: Vec<_> = found.iter().map(ToString::to_string).collect();
            anyhow!("{named}:\n       {}", all.join("\n       "))
        })?;
        Ok(Self {
            subject,
            stage_functions,
        })
    }

    /// The functions, each once, in the order in which stages first call them.
    #[must_use]
    pub fn functions(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for name in &self.stage_functions {
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        all
    }

    /// The place of each stage's function in [`LiveWorkflow::functions`].
    #[must_use]
    pub fn places(&self) -> Vec<usize> {
        let all = self.functions();
        let place = |name| all.iter().position(|f| f == name).unwrap_or(0);
        self.stage_functions.iter().map(place).collect()
    }

    /// The stages as a search drives them.
    #[must_use]
    pub fn stages(&self) -> Vec<LiveStage> {
        let targets = self.subject.targets().into_iter();
        let pairs = targets.zip(self.places()).zip(&self.subject.sizes);
        pairs
            .map(|((target, function), sizes)| LiveStage {
                target,
                function,
                cpu_fixed: only(sizes.cpu_cores),
            })
            .collect()
    }

    /// `true` where the stages are called one after another, none by chance.
    #[must_use]
    pub fn is_sequence(&self) -> bool {
        let stages = self.subject.model.workflow.stages().iter().enumerate();
        let mut all = stages.map(|(place, stage)| {
            let before: Vec<usize> = place.checked_sub(1).into_iter().collect();
            stage.after == before && stage.copies == 1 && stage.probability >= 1.0
        });
        all.all(|fits| fits)
    }
}

/// The one value of a range that has no other.
fn only(steps: Steps) -> Option<f64> {
    (steps.from >= steps.to).then_some(steps.from)
}

/// The function of each stage, as far as the file says; what is wrong with it is said elsewhere.
fn stage_functions(value: &Value) -> Vec<String> {
    let list = |key: &str| value.get(key).and_then(Value::as_array);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(functions) = list("functions") {
        return functions.iter().map(text).collect();
    }
    let of = |stage: &Value| {
        let named = stage.get("function").or_else(|| stage.get("name"));
        named.map(text).unwrap_or_default()
    };
    list("stages").into_iter().flatten().map(of).collect()
}

/// Gives every function without a surface one that says nothing: what is measured needs no model.
fn give_surfaces(value: &mut Value, functions: &[String]) {
    let Some(object) = value.as_object_mut() else {
        return;
    };
    let surfaces = object.entry("surfaces").or_insert_with(|| json!({}));
    let Some(surfaces) = surfaces.as_object_mut() else {
        return;
    };
    for name in functions {
        let surface = || json!({"workCoreSeconds": 1, "memoryMib": 128});
        surfaces.entry(name.clone()).or_insert_with(surface);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> LiveWorkflow {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flow.yaml");
        std::fs::write(&path, text).unwrap();
        LiveWorkflow::read(path.to_str().unwrap()).unwrap()
    }

    #[test]
    fn functions_of_the_user_need_no_surface() {
        let flow = read("{name: own, functions: [resize, detect], qos: 3}");
        assert_eq!(flow.functions(), ["resize", "detect"]);
        assert!(flow.is_sequence());
        let fixed: Vec<_> = flow.stages().iter().map(|s| s.cpu_fixed).collect();
        assert_eq!(fixed, [None, None]);
    }

    #[test]
    fn a_function_may_be_two_stages_and_cpu_may_be_fixed() {
        let flow = read(
            "{name: own, qos: 3, sizes: {cpuCores: {from: 1, to: 1, step: 1}}, stages: [{name: first, function: resize}, {name: second, function: resize, after: [first]}, {name: third, after: [second]}]}",
        );
        assert_eq!(flow.functions(), ["resize", "third"]);
        assert_eq!(flow.places(), [0, 0, 1]);
        assert!(flow.is_sequence());
        assert!(flow.stages().iter().all(|s| s.cpu_fixed == Some(1.0)));
        let fan = read("{name: own, qos: 3, stages: [{name: a}, {name: b}]}");
        assert!(!fan.is_sequence());
    }
}
