//! From stages as written to a workflow that can be trusted; all problems at once.

use super::{Stage, StageSpec, Workflow};
use crate::spec::SpecProblem;

/// The most stages of one workflow.
pub const STAGES_MAX: usize = 1000;

/// The most copies of one stage.
pub const COPIES_MAX: u32 = 1024;

/// How far the probabilities of one choice may exceed 1: rounding of decimals.
const SUM_SLACK: f64 = 1e-9;

pub(super) fn compile(name: &str, written: &[StageSpec]) -> Result<Workflow, Vec<SpecProblem>> {
    if written.is_empty() || written.len() > STAGES_MAX {
        let message = format!("{} stages: write 1 to {STAGES_MAX}", written.len());
        return Err(vec![SpecProblem::new("stages", message)]);
    }
    let mut problems = Vec::new();
    for (place, stage) in written.iter().enumerate() {
        check_stage(written, place, stage, &mut problems);
    }
    let choices = choices(written, &mut problems);
    let stages: Vec<Stage> = written
        .iter()
        .enumerate()
        .map(|(place, stage)| Stage {
            name: stage.name.clone(),
            after: waits_for(written, place, &mut problems),
            copies: stage.copies,
            probability: stage.probability,
            choice: stage
                .choice
                .as_ref()
                .and_then(|c| choices.iter().position(|k| k == c)),
        })
        .collect();
    let order = order(&stages);
    if order.len() < stages.len() {
        problems.push(cycle_problem(&stages, &order));
    }
    if problems.is_empty() {
        Ok(Workflow {
            name: name.to_owned(),
            stages,
            order,
            choices: choices.len(),
        })
    } else {
        Err(problems)
    }
}

fn check_stage(
    written: &[StageSpec],
    place: usize,
    stage: &StageSpec,
    problems: &mut Vec<SpecProblem>,
) {
    let path = format!("stages[{place}]");
    let mut bad = |key: &str, message: String| {
        problems.push(SpecProblem::new(format!("{path}.{key}"), message));
    };
    if stage.name.is_empty() {
        bad("name", "empty: name the stage".to_owned());
    }
    if written[..place].iter().any(|s| s.name == stage.name) {
        let message = format!("`{}` stands there twice: give one another name", stage.name);
        bad("name", message);
    }
    if !(1..=COPIES_MAX).contains(&stage.copies) {
        let message = format!("{}: must be 1 to {COPIES_MAX}", stage.copies);
        bad("parallel", message);
    }
    if !(stage.probability > 0.0 && stage.probability <= 1.0) {
        let message = format!("{}: must be above 0 and at most 1", stage.probability);
        bad("probability", message);
    }
}

/// Every word of a choice, in the order in which they come; their probabilities must fit together.
fn choices(written: &[StageSpec], problems: &mut Vec<SpecProblem>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for (place, stage) in written.iter().enumerate() {
        let Some(word) = &stage.choice else { continue };
        if words.contains(word) {
            continue;
        }
        let of_word = written.iter().filter(|s| s.choice.as_ref() == Some(word));
        let sum: f64 = of_word.map(|s| s.probability).sum();
        if sum > 1.0 + SUM_SLACK {
            problems.push(SpecProblem::new(
                format!("stages[{place}].choice"),
                format!("the probabilities of choice `{word}` add up to {sum}: at most 1"),
            ));
        }
        words.push(word.clone());
    }
    words
}

/// Places of the stages before one; what is not there is a problem.
fn waits_for(written: &[StageSpec], place: usize, problems: &mut Vec<SpecProblem>) -> Vec<usize> {
    let names: Vec<&str> = written.iter().map(|s| s.name.as_str()).collect();
    let mut after = Vec::new();
    for (j, name) in written[place].after.iter().enumerate() {
        let path = format!("stages[{place}].after[{j}]");
        match names.iter().position(|n| n == name) {
            None => problems.push(SpecProblem::unknown(path, "stage", name, &names)),
            Some(found) if after.contains(&found) => {
                let message = format!("`{name}` stands there twice: once is enough");
                problems.push(SpecProblem::new(path, message));
            }
            Some(found) => after.push(found),
        }
    }
    after
}

/// Stages in an order in which each comes after all that it waits for; those on or behind a cycle
/// are left out. Of stages that could come next the first written comes first.
fn order(stages: &[Stage]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(stages.len());
    let mut placed = vec![false; stages.len()];
    loop {
        let free = |i: &usize| !placed[*i] && stages[*i].after.iter().all(|a| placed[*a]);
        let Some(next) = (0..stages.len()).find(free) else {
            return order;
        };
        placed[next] = true;
        order.push(next);
    }
}

/// Names one cycle, stage by stage.
fn cycle_problem(stages: &[Stage], order: &[usize]) -> SpecProblem {
    let stuck = |i: &usize| !order.contains(i);
    let mut walk: Vec<usize> = (0..stages.len()).filter(stuck).take(1).collect();
    let mut begin = 0;
    // Each stuck stage waits for a stuck one; the walk backwards meets one twice in the end.
    while let Some(last) = walk.last().copied() {
        let Some(before) = stages[last].after.iter().copied().find(|a| stuck(a)) else {
            break;
        };
        if let Some(met) = walk.iter().position(|w| *w == before) {
            begin = met;
            break;
        }
        walk.push(before);
    }
    let mut cycle: Vec<usize> = walk[begin..].iter().rev().copied().collect();
    // It begins where it was written first, so that the same cycle is told the same.
    let first = (0..cycle.len()).min_by_key(|i| cycle[*i]).unwrap_or(0);
    cycle.rotate_left(first);
    let mut names: Vec<&str> = cycle.iter().map(|i| stages[*i].name.as_str()).collect();
    names.extend(names.first().copied());
    let cycle = names.join(" → ");
    let start = if stages.iter().all(|s| !s.after.is_empty()) {
        "no stage can start: "
    } else {
        ""
    };
    SpecProblem::new(
        "stages",
        format!("{start}{cycle} is a cycle; take one `after` of it away"),
    )
}
