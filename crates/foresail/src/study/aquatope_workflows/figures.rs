//! The pictures of the study.

use foresail_web::figure::Figure;
use foresail_web::study::{Panel, panels};

use super::run::Searched;
use super::tables::over_bound;
use crate::study::stats::mean;

/// Workflows that stand side by side in one picture.
const ABREAST: usize = 4;

/// Every picture.
pub(super) fn all(searched: &[Searched]) -> Vec<Figure> {
    let parts = searched.chunks(ABREAST).enumerate();
    let both = |(part, some): (usize, &[Searched])| [costs(part + 1, some), late(part + 1, some)];
    parts.flat_map(both).collect()
}

fn per_arm(searched: &Searched, of: impl Fn(&[super::run::Outcome]) -> f64) -> Vec<(String, f64)> {
    let bar = |(name, outcomes): &(&'static str, Vec<super::run::Outcome>)| {
        ((*name).to_owned(), of(outcomes))
    };
    searched.arms.iter().map(bar).collect()
}

/// Cost against the least possible, workflow by workflow.
fn costs(part: usize, searched: &[Searched]) -> Figure {
    let panel = |s: &Searched| Panel {
        title: s.name.to_owned(),
        digits: 2,
        bars: per_arm(s, |outcomes| {
            let kept = outcomes.iter().filter(|o| o.says_kept);
            let costs: Vec<f64> = kept.map(|o| o.cost).collect();
            over_bound(s, mean(&costs))
        }),
    };
    panels(
        (
            &format!("figure-costs-{part}"),
            "Cost of what is left in force, of the least possible",
            "Mean cost of the sizes that each way to search finds, as a multiple of the least that any sizes cost without noise; less is better. How many searches find any stands in the table.",
        ),
        &searched.iter().map(panel).collect::<Vec<_>>(),
    )
}

/// Late requests, workflow by workflow.
fn late(part: usize, searched: &[Searched]) -> Figure {
    let panel = |s: &Searched| {
        let mut bars = per_arm(s, |outcomes| {
            let kept = outcomes.iter().filter(|o| o.says_kept);
            let late: Vec<f64> = kept.map(|o| 100.0 * o.late).collect();
            mean(&late)
        });
        bars.push(("former sizes".to_owned(), 100.0 * s.former.1));
        Panel {
            title: s.name.to_owned(),
            digits: 1,
            bars,
        }
    };
    panels(
        (
            &format!("figure-late-{part}"),
            "Requests that are later than promised, %",
            "Share of the requests above the promised latency at the sizes that each way to search finds; the promise is for 95 % of them.",
        ),
        &searched.iter().map(panel).collect::<Vec<_>>(),
    )
}
