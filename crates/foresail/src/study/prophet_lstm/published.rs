//! What the study published, and what became of each figure.
//!
//! Source: the logs committed with Ivan825/Predictive-Auto-Scaling-of-Dockerized-ML-Applications
//! (test week of the scenario `mixed`), and its description of the policies.

use super::replay::Policy;
use crate::study::verdict::Verdict;

/// One row of the published logs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Which model, by its name here.
    pub(super) model: &'static str,
    /// Which policy.
    pub(super) policy: Policy,
    /// Violations, over %, cost, changes, the most containers, mean latency.
    pub(super) figures: [Option<f64>; 6],
}

/// Names of the figures of a row, with the digits that they are shown at.
pub(super) const FIGURES: [(&str, usize); 6] = [
    ("violations", 0),
    ("over %", 3),
    ("cost", 0),
    ("changes", 0),
    ("most containers", 0),
    ("latency ms", 3),
];

const fn row(model: &'static str, policy: Policy, f: [f64; 6]) -> Row {
    let [under, over, cost, changes, most, latency] = f;
    // The static policy's latency column is another policy's, and is no figure.
    let latency = match policy {
        Policy::Static => None,
        _ => Some(latency),
    };
    let figures = [
        Some(under),
        Some(over),
        Some(cost),
        Some(changes),
        Some(most),
        latency,
    ];
    Row {
        model,
        policy,
        figures,
    }
}

/// The published rows.
pub(super) const ROWS: [Row; 8] = [
    row(
        "prophet",
        Policy::Static,
        [38.0, 99.623, 20_160.0, 1.0, 2.0, 0.0],
    ),
    row(
        "prophet",
        Policy::Simple,
        [181.0, 93.006, 15_084.0, 91.0, 5.0, 40.055],
    ),
    row(
        "prophet",
        Policy::Buffered,
        [8.0, 98.363, 15_994.0, 91.0, 6.0, 40.0],
    ),
    row(
        "prophet",
        Policy::Confident,
        [0.0, 99.990, 96_276.0, 521.0, 25.0, 40.0],
    ),
    row(
        "prophet",
        Policy::Stepwise,
        [426.0, 90.575, 15_319.0, 240.0, 4.0, 40.453],
    ),
    row(
        "lstm",
        Policy::Simple,
        [260.0, 88.006, 13_660.0, 117.0, 3.0, 40.580],
    ),
    row(
        "lstm",
        Policy::Buffered,
        [52.0, 97.411, 14_965.0, 281.0, 3.0, 40.462],
    ),
    row(
        "lstm",
        Policy::Stepwise,
        [480.0, 85.655, 13_730.0, 177.0, 3.0, 40.767],
    ),
];

/// Published errors of the forecasts: model, mean absolute error, root of the mean square.
pub(super) const ERRORS: [(&str, f64, f64); 2] =
    [("prophet", 3.575, 5.477), ("lstm", 1.949, 5.065)];

/// Share of a figure that our value may be off: its optimiser stops early, and its net has no seed.
const SLACK: f64 = 0.05;

/// Units that a count may be off whatever its size.
const COUNT_SLACK: f64 = 2.0;

/// Whether a published figure came out again, in any of several runs or between two of them.
#[must_use]
pub(super) fn judge(published: f64, ours: &[f64], slack: f64) -> Verdict {
    let least = ours
        .iter()
        .copied()
        .fold(f64::INFINITY, |a, b| if b < a { b } else { a });
    let most = ours
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, |a, b| if b > a { b } else { a });
    let room = SLACK * published.abs();
    let room = if room > slack { room } else { slack };
    if published >= least - room && published <= most + room {
        Verdict::Reproduced
    } else {
        Verdict::NotReproduced
    }
}

/// Whether one figure of a row came out again.
#[must_use]
pub(super) fn judge_figure(figure: usize, published: f64, ours: &[f64]) -> Verdict {
    let counts = matches!(figure, 0 | 3 | 4);
    judge(published, ours, if counts { COUNT_SLACK } else { 0.0 })
}

/// A sentence of the study, what its figures say of it, and what ours do.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// The sentence.
    pub(super) text: &'static str,
    /// Its own figures.
    pub(super) own: String,
    /// What became of it.
    pub(super) verdict: Verdict,
}

fn published(model: &str, policy: Policy, figure: usize) -> f64 {
    let row = ROWS.iter().find(|r| r.model == model && r.policy == policy);
    row.and_then(|r| r.figures[figure]).unwrap_or(f64::NAN)
}

/// The sentences about the policies, judged by the study's own logs.
#[must_use]
pub(super) fn claims() -> Vec<Claim> {
    let of = |model, policy, figure| published(model, policy, figure);
    let (fixed, conf) = (
        of("prophet", Policy::Static, 2),
        of("prophet", Policy::Confident, 2),
    );
    vec![
        Claim {
            text: "Static-2: high SLA violation risk",
            own: format!(
                "{:.0} violating minutes; Prophet's Simple Ceiling has {:.0} and Policy-Aware {:.0}, the LSTM's three \
                 {:.0}, {:.0} and {:.0}: only Prophet's Buffered and Confidence-Aware have fewer",
                of("prophet", Policy::Static, 0),
                of("prophet", Policy::Simple, 0),
                of("prophet", Policy::Stepwise, 0),
                of("lstm", Policy::Simple, 0),
                of("lstm", Policy::Buffered, 0),
                of("lstm", Policy::Stepwise, 0),
            ),
            verdict: Verdict::Contradicted,
        },
        Claim {
            text: "Policy-Aware: incremental scaling reduces thrashing",
            own: format!(
                "{:.0} changes against Simple Ceiling's {:.0} with Prophet, {:.0} against {:.0} with the LSTM",
                of("prophet", Policy::Stepwise, 3),
                of("prophet", Policy::Simple, 3),
                of("lstm", Policy::Stepwise, 3),
                of("lstm", Policy::Simple, 3),
            ),
            verdict: Verdict::Contradicted,
        },
        Claim {
            text: "Confidence-Aware: zero violations, high cost",
            own: format!(
                "0 violating minutes at {:.1} times the cost of two containers: the band of a forecast seven days \
                 ahead is so wide that it asks for {:.0} containers",
                conf / fixed,
                of("prophet", Policy::Confident, 4),
            ),
            verdict: Verdict::Reproduced,
        },
        Claim {
            text: "The system anticipates workload demand before it spikes",
            own: "Prophet is handed the true events of the test week; the LSTM is not, and its Simple Ceiling has 260 \
                  violating minutes at a cost of 13 660 where the last value alone has 282 at 13 861"
                .to_owned(),
            verdict: Verdict::Contradicted,
        },
    ]
}
