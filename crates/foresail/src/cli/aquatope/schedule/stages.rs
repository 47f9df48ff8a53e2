//! Stages of a workflow as functions: how calls of the workflow reach them, how long they run.

use anyhow::{Result, bail};
use foresail_core::quantity::time::Span;
use foresail_core::value::workflow::Workflow;
use foresail_models::rng::Seed;
use foresail_sim::config::{Shape, Times};
use foresail_sim::function::Function;
use foresail_sim::rng::Stream;
use foresail_sim::workflow::subject::{MEBI, Subject};
use foresail_sim::workload::Workload;

use super::super::dataset::is_asked_for;

/// Calls of a workflow with branches that are drawn one by one.
const DRAWN_MAX: u64 = 50_000_000;

/// Names that are told.
const NAMES_TOLD: usize = 5;

/// What the trace tells of functions, rather than the workflow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Their run times.
    pub(super) run_times: bool,
    /// Their memory.
    pub(super) memory: bool,
}

/// A function for every stage, in the order of the workflow; `items` are those of the trace.
///
/// An item for every stage has its calls. A single item has the calls of the workflow: each calls
/// every stage that runs, every copy of it, within the same step.
///
/// # Errors
/// Where the items are neither, a single item is named as one stage of several, or more calls would have to be drawn than can be.
pub(super) fn of_workflow(
    subject: &Subject,
    items: &[Function],
    known: Known,
    seed: Seed,
) -> Result<Vec<Function>> {
    let stages = subject.model.workflow.stages();
    let own = |name: &str| items.iter().find(|f| is_asked_for(&f.id, name));
    let missing: Vec<&str> = stages.iter().map(|s| s.name.as_str()).collect();
    let missing: Vec<&str> = missing.into_iter().filter(|n| own(n).is_none()).collect();
    let sources: Vec<(&Function, Workload)> = match items {
        _ if missing.is_empty() => {
            let all = stages.iter().filter_map(|s| own(&s.name));
            all.map(|f| (f, f.workload.clone())).collect()
        }
        [one] => {
            let mut names = stages.iter().map(|s| s.name.as_str());
            if let Some(name) = names.find(|n| is_asked_for(&one.id, n)) {
                bail!(
                    "the only item is named as the stage {name}, and none is for {}: add those, or give the item a name that no stage has, and it is taken for the calls of the workflow",
                    listed(&missing)
                );
            }
            let all = spread(&subject.model.workflow, one, seed)?;
            all.into_iter().map(|w| (one, w)).collect()
        }
        _ => bail!(
            "{} items in the trace, none of them for {}: give one item, the calls of the workflow (--trace-id ID chooses one), or one named as each stage",
            items.len(),
            listed(&missing)
        ),
    };
    let seconds = subject.model.noiseless(&subject.former);
    let targets = subject.targets();
    let places = sources.into_iter().enumerate();
    let one = |(place, (item, workload)): (usize, (&Function, Workload))| Function {
        id: targets[place].as_str().to_owned(),
        workload,
        service: if known.run_times {
            item.service
        } else {
            run_time(seconds[place], subject.model.noise.spread)
        },
        memory: if known.memory {
            item.memory
        } else {
            (subject.former[place].memory_mib * MEBI) as u64
        },
    };
    Ok(places.map(one).collect())
}

/// The first of some names.
fn listed(names: &[&str]) -> String {
    let told = names[..names.len().min(NAMES_TOLD)].join(", ");
    let more = if names.len() > NAMES_TOLD {
        ", …"
    } else {
        ""
    };
    told + more
}

/// Run times around the surface's, spread as the workflow's noise is.
fn run_time(seconds: f64, spread: f64) -> Times {
    Times {
        mean: Span::from_seconds_f64(seconds).unwrap_or(Span::from_seconds(1)),
        shape: if spread > 0.0 {
            Shape::Lognormal(spread)
        } else {
            Shape::Constant
        },
    }
}

/// The calls of each stage by those of the workflow; branches are drawn call by call, so that stages
/// that exclude each other do.
fn spread(workflow: &Workflow, item: &Function, seed: Seed) -> Result<Vec<Workload>> {
    let Workload::Counts {
        start,
        step,
        counts,
        within,
    } = &item.workload
    else {
        bail!("{}: calls of a workflow are counts of each step", item.id);
    };
    let stages = workflow.stages();
    let sure = stages
        .iter()
        .all(|s| s.choice.is_none() && s.probability >= 1.0);
    let total: u64 = counts.iter().map(|c| u64::from(*c)).sum();
    if !sure && total > DRAWN_MAX {
        bail!(
            "{total} calls of a workflow with branches: at most {DRAWN_MAX} are drawn; cut the trace"
        );
    }
    let mut stream = Stream::of(seed, "workflow branches");
    let mut all = vec![Vec::with_capacity(counts.len()); stages.len()];
    for count in counts {
        let mut sums = vec![0_u32; stages.len()];
        if sure {
            sums.fill(*count);
        } else {
            for _ in 0..*count {
                let runs = workflow.runs(|| stream.uniform());
                sums.iter_mut()
                    .zip(runs)
                    .for_each(|(sum, runs)| *sum += u32::from(runs));
            }
        }
        for ((all, sum), stage) in all.iter_mut().zip(sums).zip(stages) {
            all.push(sum.saturating_mul(stage.copies));
        }
    }
    let workload = |counts: Vec<u32>| Workload::Counts {
        start: *start,
        step: *step,
        counts,
        within: *within,
    };
    Ok(all.into_iter().map(workload).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_core::quantity::time::Timestamp;
    use foresail_sim::workflow::published::entry;
    use foresail_sim::workload::Within;

    fn item(id: &str, counts: Vec<u32>) -> Function {
        Function {
            id: id.to_owned(),
            workload: Workload::Counts {
                start: Timestamp::from_nanos(0),
                step: Span::from_seconds(60),
                counts,
                within: Within::Poisson,
            },
            service: run_time(1.0, 0.0),
            memory: 1,
        }
    }

    const NOTHING: Known = Known {
        run_times: false,
        memory: false,
    };

    /// Counts are whole, and exact as such.
    fn calls(function: &Function) -> u64 {
        function.workload.expected().round() as u64
    }

    #[test]
    fn every_stage_is_called_once_a_call_in_every_copy() {
        let subject = entry("video-processing").unwrap().subject().unwrap();
        let all = of_workflow(&subject, &[item("f", vec![2, 0, 3])], NOTHING, Seed(1)).unwrap();
        let pairs = all.iter().zip(subject.model.workflow.stages());
        for (function, stage) in pairs {
            assert_eq!(
                calls(function),
                5 * u64::from(stage.copies),
                "{}",
                stage.name
            );
            assert!(function.id.ends_with(&stage.name));
            assert_eq!(function.memory, 256 << 20);
        }
    }

    #[test]
    fn branches_exclude_each_other_call_by_call() {
        let subject = entry("social-network").unwrap().subject().unwrap();
        let counts = vec![100; 50];
        let all = of_workflow(&subject, &[item("f", counts.clone())], NOTHING, Seed(1)).unwrap();
        let of = |name: &str| calls(all.iter().find(|f| f.id.ends_with(name)).unwrap());
        let [compose, home, user] = [
            "/compose-post",
            "/read-home-timeline",
            "/read-user-timeline",
        ]
        .map(of);
        // One of the three each call; reading a post follows either of two.
        assert_eq!(compose + home + user, 5000);
        assert_eq!(of("/read-post"), home + user);
        assert_eq!(of("/store-post"), compose);
        // Five standard deviations of 5,000 draws at 0.2.
        assert!(
            (compose as f64 - 1000.0).abs() < 5.0 * 800_f64.sqrt(),
            "{compose}"
        );
        let again = of_workflow(&subject, &[item("f", counts)], NOTHING, Seed(1)).unwrap();
        assert_eq!(all, again);
    }

    #[test]
    fn items_named_as_the_stages_have_their_own_calls() {
        let subject = entry("reference").unwrap().subject().unwrap();
        let own = |i: u32| item(&format!("w/reference-{i}"), vec![i, i]);
        let all = of_workflow(&subject, &[own(3), own(1), own(2)], NOTHING, Seed(1)).unwrap();
        let got: Vec<u64> = all.iter().map(calls).collect();
        assert_eq!(got, [2, 4, 6]);
        let error = of_workflow(&subject, &[own(3), own(1)], NOTHING, Seed(1)).unwrap_err();
        assert!(error.to_string().contains("reference-2"), "{error}");
        // Calls of one stage are none of the workflow.
        let error = of_workflow(&subject, &[own(3)], NOTHING, Seed(1)).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("the stage reference-3"), "{error}");
        assert!(
            error.contains("none is for reference-1, reference-2"),
            "{error}"
        );
    }
}
