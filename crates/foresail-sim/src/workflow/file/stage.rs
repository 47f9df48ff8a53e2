//! The stages of a workflow file, in either form.

use std::collections::BTreeMap;

use foresail_core::spec::SpecProblem;
use foresail_core::value::workflow::{Size, StageSpec};

use super::super::profiles::{Profile, profile, profile_names};
use super::super::subject::Sizes;
use super::super::surface::Surface;
use super::place::Place;

/// Keys of a stage.
const KEYS: [&str; 9] = [
    "name",
    "function",
    "surface",
    "after",
    "parallel",
    "probability",
    "choice",
    "sizes",
    "current",
];

/// One stage as the file has it.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) spec: StageSpec,
    /// `None` where it is not known, which is a problem that was told.
    pub(super) surface: Option<Surface>,
    pub(super) sizes: Sizes,
    pub(super) current: Option<Size>,
    /// `true` where it is an item of `functions`.
    pub(super) is_function: bool,
}

/// What a file says of all its stages.
struct Shared {
    surfaces: BTreeMap<String, Surface>,
    sizes: Sizes,
}

/// Every stage; empty where there is none to be had, which is a problem that was told.
pub(super) fn all(top: &Place<'_>, problems: &mut Vec<SpecProblem>) -> Vec<Written> {
    let shared = Shared {
        surfaces: surfaces(top, problems),
        sizes: sizes(top, problems).unwrap_or_default(),
    };
    match (top.get("functions"), top.get("stages")) {
        (Some(functions), None) => sequence(&functions, &shared, problems),
        (None, Some(stages)) => {
            let items = stages.list("a list of stages", problems);
            let all = items.iter().map(|s| graph_stage(s, &shared, problems));
            all.flatten().collect()
        }
        (Some(_), Some(_)) => {
            let both = "stands beside `stages`: write a sequence of functions or a graph of stages";
            problems.push(SpecProblem::new("functions", both));
            Vec::new()
        }
        (None, None) => {
            let none = "missing: write the functions of a sequence, or `stages` of a graph";
            problems.push(SpecProblem::new("functions", none));
            Vec::new()
        }
    }
}

/// Surfaces that the file brings, by function.
fn surfaces(top: &Place<'_>, problems: &mut Vec<SpecProblem>) -> BTreeMap<String, Surface> {
    let Some(place) = top.get("surfaces") else {
        return BTreeMap::new();
    };
    let by_name = place.object("an object of surfaces by function", problems);
    let one = |name: String| {
        let surface = place.get(&name)?.read(problems, Surface::problem)?;
        Some((name, surface))
    };
    by_name
        .into_iter()
        .map(|(name, _)| name)
        .filter_map(one)
        .collect()
}

fn sizes(at: &Place<'_>, problems: &mut Vec<SpecProblem>) -> Option<Sizes> {
    at.get("sizes")?.read(problems, |sizes: &Sizes| {
        let each = [
            ("cpuCores", sizes.cpu_cores),
            ("memoryMib", sizes.memory_mib),
        ];
        let mut bad = each.iter().filter_map(|(key, s)| Some((key, s.problem()?)));
        bad.next().map(|(key, problem)| format!("{key}: {problem}"))
    })
}

/// The published form: each function waits for the one before it.
fn sequence(
    functions: &Place<'_>,
    shared: &Shared,
    problems: &mut Vec<SpecProblem>,
) -> Vec<Written> {
    let mut all: Vec<Written> = Vec::new();
    for item in functions.list(
        "a list of functions, in the order of the sequence",
        problems,
    ) {
        let Some(name) = item.own_text(problems) else {
            continue;
        };
        let before = all.last().map(|w| w.spec.name.clone());
        let after: Vec<&str> = before.iter().map(String::as_str).collect();
        all.push(Written {
            spec: StageSpec::new(&name, &after),
            surface: surface_of(&name, item.path(), shared, problems),
            sizes: shared.sizes,
            current: None,
            is_function: true,
        });
    }
    all
}

fn graph_stage(
    at: &Place<'_>,
    shared: &Shared,
    problems: &mut Vec<SpecProblem>,
) -> Option<Written> {
    if !at.is_object() {
        at.known(&KEYS, problems);
        return None;
    }
    at.known(&KEYS, problems);
    let name = at.text("name", problems)?;
    let surface = match (at.get("surface"), at.get("function")) {
        (Some(surface), _) => surface.read(problems, Surface::problem),
        (None, Some(function)) => {
            let function_name = function.own_text(problems)?;
            surface_of(&function_name, function.path(), shared, problems)
        }
        (None, None) => {
            let path = format!("{}.name", at.path());
            surface_of(&name, &path, shared, problems)
        }
    };
    let fine = |_: &_| None;
    let after = at.get("after");
    let after: Option<Vec<String>> =
        after.map_or_else(|| Some(Vec::new()), |p| p.read(problems, |_| None));
    let copies = at
        .get("parallel")
        .map_or(Some(1), |p| p.read(problems, fine));
    let probability = at.get("probability");
    let probability = probability.map_or(Some(1.0), |p| p.read(problems, |_: &f64| None));
    let choice = at.get("choice").and_then(|p| p.own_text(problems));
    let current = at.get("current").and_then(|p| {
        p.read(problems, |size: &Size| {
            let fine = |v: f64| v.is_finite() && v > 0.0;
            let bad = !(fine(size.cpu_cores) && fine(size.memory_mib));
            bad.then(|| "cpuCores and memoryMib must be above 0".to_owned())
        })
    });
    Some(Written {
        spec: StageSpec {
            name,
            after: after?,
            copies: copies?,
            probability: probability?,
            choice,
        },
        surface,
        sizes: sizes(at, problems).unwrap_or(shared.sizes),
        current,
        is_function: false,
    })
}

/// The surface of a function: of the file, else of the functions that are known.
fn surface_of(
    name: &str,
    path: &str,
    shared: &Shared,
    problems: &mut Vec<SpecProblem>,
) -> Option<Surface> {
    let own = shared.surfaces.get(name).copied();
    let found = own.or_else(|| profile(name).map(Profile::surface));
    if found.is_none() {
        let mut names = profile_names();
        names.extend(shared.surfaces.keys().map(String::as_str));
        let mut problem = SpecProblem::unknown(path, "function", name, &names);
        problem.message = format!(
            "{}; or give its surface: \"surfaces\": {{\"{name}\": {{\"workCoreSeconds\": 2, \"memoryMib\": 512}}}}",
            problem.message
        );
        problems.push(problem);
    }
    found
}
