//! Workflow files: the published manager's form, and stages as a graph.
//!
//! The published form is a sequence of functions:
//!
//! ```json
//! {"name": "ml", "functions": ["ml-image-processing", "ml-human"], "params": {}, "qos": 6}
//! ```
//!
//! The graph has `stages` in the place of `functions`, each with a name, what it waits for, its
//! function or its surface, and the sizes that it may have. Both may bring surfaces for functions
//! of the user's, noise, the percentile of the promise, and the sizes in force. Every problem is
//! told with the key it stands under.

mod place;
mod stage;

use foresail_core::spec::SpecProblem;
use foresail_core::value::workflow::{Promise, Workflow};
use serde_json::Value;

use self::place::Place;
use self::stage::Written;
use super::model::Model;
use super::noise::Noise;
use super::subject::Subject;

/// The percentile of the promise where the file does not say.
/// Source: specs/aapa_aquatope.md PART 6; the published manager looked at one call only.
pub const PERCENTILE: f64 = 95.0;

/// Keys of every form.
const KEYS: [&str; 9] = [
    "name",
    "functions",
    "stages",
    "params",
    "qos",
    "percentile",
    "surfaces",
    "sizes",
    "noise",
];

/// Reads a workflow file, already parsed from JSON or YAML.
///
/// # Errors
/// Every problem found, each with its key path and the mend.
pub fn read(file: &Value) -> Result<Subject, Vec<SpecProblem>> {
    let mut problems = Vec::new();
    let top = Place::top(file);
    if !top.is_object() {
        let what = "must be an object with name, functions (or stages) and qos";
        return Err(vec![SpecProblem::new("workflow", what)]);
    }
    top.known(&KEYS, &mut problems);
    let name = top.text("name", &mut problems);
    let seconds = top.needed("qos", &mut problems);
    let seconds = seconds.and_then(|p| p.above_zero("a number of seconds above 0", &mut problems));
    let percentile = top.get("percentile");
    let percentile = percentile.map_or(Some(PERCENTILE), |p| p.percentile(&mut problems));
    let noise = top.get("noise").map_or_else(Noise::default, |p| {
        p.read(&mut problems, Noise::problem).unwrap_or_default()
    });
    let params = top.get("params").map_or_else(Default::default, |p| {
        p.object("an object of parameters", &mut problems)
    });
    let written = stage::all(&top, &mut problems);
    let workflow = compiled(&name.unwrap_or_default(), &written, &mut problems);
    let promise = seconds.zip(percentile);
    let (Some(workflow), Some((seconds, percentile)), true) =
        (workflow, promise, problems.is_empty())
    else {
        return Err(problems);
    };
    let sizes: Vec<_> = written.iter().map(|w| w.sizes).collect();
    Ok(Subject {
        model: Model {
            workflow,
            surfaces: written.iter().filter_map(|w| w.surface).collect(),
            noise,
        },
        promise: Promise {
            seconds,
            level: percentile / 100.0,
        },
        former: written
            .iter()
            .map(|w| w.current.unwrap_or_else(|| w.sizes.created()))
            .collect(),
        sizes,
        params,
    })
}

/// The workflow of the stages; its problems in the words of the file's form.
fn compiled(name: &str, written: &[Written], problems: &mut Vec<SpecProblem>) -> Option<Workflow> {
    if written.is_empty() {
        return None;
    }
    let specs: Vec<_> = written.iter().map(|w| w.spec.clone()).collect();
    match Workflow::new(name, &specs) {
        Ok(workflow) => Some(workflow),
        Err(found) => {
            for problem in found {
                let place = written.iter().enumerate();
                let own = place.filter(|(_, w)| w.is_function).find_map(|(i, _)| {
                    let message = format!(
                        "{}; a function that is called twice is two stages: write `stages`, each with its own name and the same `function`",
                        problem.message
                    );
                    (problem.path == format!("stages[{i}].name"))
                        .then(|| SpecProblem::new(format!("functions[{i}]"), message))
                });
                problems.push(own.unwrap_or(problem));
            }
            None
        }
    }
}
