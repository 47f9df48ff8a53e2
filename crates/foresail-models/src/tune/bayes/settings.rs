//! The knobs of `bayes`, with the published defaults.

use super::Bayes;
use super::search::Search;
use super::surrogate::Rules;
use crate::bayes::POINTS_MAX;
use crate::bayes::optimize::Effort;
use crate::knobs::{Kind, Knob, Knobs};
use crate::rng::Seed;
use crate::tune::axes::{Axes, Layout};
use crate::tune::space::Space;
use crate::tune::{TunerBuilt, TunerEntry};

/// The registry's entry; the defaults are the published ones.
pub const ENTRY: TunerEntry = TunerEntry {
    name: "bayes",
    summary: "Gaussian processes of cost and constraint, and noisy improvement in batches",
    knobs: &[
        Knob::whole("nInit", [10, 2, 256], "points of chance at first"),
        Knob::whole("nBatch", [20, 0, 512], "batches after them"),
        Knob::whole("mcSamples", [32, 4, 1024], "draws of the acquisition"),
        Knob::whole("batchSize", [3, 1, 8], "trials that are chosen together"),
        Knob::whole(
            "numRestarts",
            [10, 1, 64],
            "searches for the acquisition's maximum",
        ),
        Knob::whole(
            "rawSamples",
            [32, 1, 1024],
            "points that they are chosen from",
        ),
        Knob::number(
            "infeasibleCost",
            [0.0, 0.0, 1e12],
            "objective of a plan that breaks the constraint; 0 or too low: above all that is seen",
        ),
        Knob::flag(
            "anomalyDetection",
            true,
            "whether odd measurements are made again",
        ),
        Knob::number(
            "confidence",
            [0.95, 0.5, 0.9999],
            "probability with which a sound measurement is not held for odd",
        ),
        Knob::number(
            "feasibility",
            [0.99, 0.5, 0.9999],
            "probability with which the best keeps the constraint when measured again",
        ),
        Knob {
            name: "layout",
            kind: Kind::Word {
                default: "logarithmic",
                known: &["logarithmic", "linear"],
            },
            doc: "how a resource is laid out along its range, and times and costs along theirs",
        },
        Knob {
            name: "breaking",
            kind: Kind::Word {
                default: "costly",
                known: &["costly", "published"],
            },
            doc: "what a plan is worth that breaks the constraint: less than any other, or, as published, what a plan without cost would be; to compare with",
        },
    ],
    build,
};

fn build(knobs: &Knobs, space: &Space, seed: Seed) -> TunerBuilt {
    let (settings, layout) = Settings::read(knobs)?;
    let axes = Axes::new(space, layout)?;
    Ok(Box::new(Bayes::new(settings, axes, seed)))
}

/// What the knobs say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Points of chance at first.
    pub(super) first: u64,
    /// Trials that are chosen together.
    pub(super) batch: u64,
    /// All trials.
    pub(super) total: u64,
    pub(super) search: Search,
    pub(super) rules: Rules,
    /// Of a measurement that is not held for odd; none where all are taken as they come.
    pub(super) confidence: Option<f64>,
}

impl Settings {
    /// What knobs say, and how resources are laid out.
    fn read(knobs: &Knobs) -> Result<(Self, Layout), String> {
        let logarithmic = knobs.word("layout") == "logarithmic";
        let layout = if logarithmic {
            Layout::Logarithmic
        } else {
            Layout::Linear
        };
        let (first, batch) = (knobs.whole("nInit"), knobs.whole("batchSize"));
        let total = first + batch * knobs.whole("nBatch");
        if total > POINTS_MAX as u64 {
            return Err(format!(
                "nInit + nBatch * batchSize = {total}: must be at most {POINTS_MAX}"
            ));
        }
        let settings = Self {
            first,
            batch,
            total,
            search: Search {
                draws: knobs.whole("mcSamples") as usize,
                effort: Effort {
                    raw: knobs.whole("rawSamples") as usize,
                    restarts: knobs.whole("numRestarts") as usize,
                },
            },
            rules: Rules {
                warped: logarithmic,
                feasibility: knobs.number("feasibility"),
                infeasible_cost: knobs.number("infeasibleCost"),
                breaking_is_free: knobs.word("breaking") == "published",
            },
            confidence: knobs
                .flag("anomalyDetection")
                .then(|| knobs.number("confidence")),
        };
        Ok((settings, layout))
    }
}
