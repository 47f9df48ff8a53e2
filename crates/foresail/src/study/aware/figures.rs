//! The pictures of the study.

use foresail_web::curve::{Curve, curves};
use foresail_web::figure::Figure;

use super::arms::{AWARE, BOOTSTRAPPED, HEURISTIC, META, SCRATCH, TRANSFER};
use super::run::{Plan, Results, Row};
use super::tables::{Study, moving};

/// What stands in a picture.
const SHOWN: [&str; 6] = [AWARE, BOOTSTRAPPED, SCRATCH, TRANSFER, META, HEURISTIC];

/// Every picture.
pub(super) fn all(plan: &Plan, results: &Results) -> Vec<Figure> {
    let study = Study { plan, results };
    let lines = |of: fn(&Row) -> f64| -> Vec<Curve> {
        let line = |arm: &&str| {
            let values = moving(&study.curve(arm, of));
            let points = values.iter().enumerate().map(|(n, v)| (n as f64, *v));
            Curve {
                name: (*arm).to_owned(),
                points: points.collect(),
            }
        };
        SHOWN.iter().map(line).collect()
    };
    let late = |r: &Row| {
        if r.requests > 0.0 {
            r.violations * 100.0 / r.requests
        } else {
            0.0
        }
    };
    vec![
        curves(
            (
                "figure-reward",
                "Reward as learners learn",
                "Mean reward per episode over worlds and seeds, moving average over five episodes; more is better, 200 the most.",
            ),
            ("episode", "reward per episode"),
            &lines(|r| r.reward),
        ),
        curves(
            (
                "figure-late",
                "Late requests as learners learn, %",
                "Share of the requests that wait longer than promised, in the mean of worlds and seeds, moving average over five episodes.",
            ),
            ("episode", "late requests, %"),
            &lines(late),
        ),
    ]
}
