//! Episodes as lines, for people and for programs.

use std::io::Write;

use anyhow::Result;
use foresail_models::rl::bootstrap::Acting;
use foresail_models::rl::training::EpisodeTold;
use serde_json::{Value, json};

use crate::cli::{Output, print_csv, print_table};

/// Columns of an episode.
pub(super) const COLUMNS: [&str; 11] = [
    "workload",
    "episode",
    "acted",
    "stage",
    "reward",
    "baseline",
    "violations_percent",
    "kills",
    "cpu_used_percent",
    "memory_used_percent",
    "critic_loss",
];

/// Who acted, as a word.
pub(super) const fn who(acted: Acting) -> &'static str {
    match acted {
        Acting::Heuristic => "heuristic",
        Acting::Learner => "learner",
    }
}

/// The share that was used, in percent; empty where nothing was asked for.
pub(super) fn used((asked, used): (f64, f64)) -> String {
    if asked > 0.0 {
        format!("{:.1}", used * 100.0 / asked)
    } else {
        String::new()
    }
}

/// One episode as cells.
pub(super) fn cells(workload: &str, told: &EpisodeTold) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or_else(String::new, |v| format!("{v:.2}"));
    vec![
        workload.to_owned(),
        told.number.to_string(),
        who(told.acted).to_owned(),
        told.stage.to_string(),
        format!("{:.2}", told.reward),
        number(told.baseline),
        format!("{:.3}", told.facts.violations_percent()),
        told.facts.kills.to_string(),
        used(told.facts.cores),
        used(told.facts.gib),
        if told.losses.steps > 0 {
            format!("{:.4}", told.losses.critic)
        } else {
            String::new()
        },
    ]
}

/// One episode as JSON.
pub(super) fn line(workload: &str, told: &EpisodeTold) -> Value {
    json!({
        "workload": workload,
        "episode": told.number,
        "acted": who(told.acted),
        "stage": told.stage,
        "reward": told.reward,
        "value": told.value,
        "baseline": told.baseline,
        "requests": told.facts.requests,
        "violations": told.facts.violations,
        "kills": told.facts.kills,
        "overruled": told.facts.overruled,
        "criticLoss": told.losses.critic,
        "actorLoss": told.losses.actor,
        "rolledBack": told.losses.rolled_back,
        "blind": told.blind,
    })
}

/// Every episode in one of the forms.
///
/// # Errors
/// What the writer gives.
pub(super) fn print(
    episodes: &[(String, EpisodeTold)],
    output: Output,
    out: &mut dyn Write,
) -> Result<()> {
    let rows = || {
        episodes
            .iter()
            .map(|(w, told)| cells(w, told))
            .collect::<Vec<_>>()
    };
    match output {
        Output::Table => print_table(&COLUMNS, rows(), out),
        Output::Csv => print_csv(&COLUMNS, &rows(), out),
        Output::Json => {
            for (workload, told) in episodes {
                writeln!(out, "{}", line(workload, told))?;
            }
            Ok(())
        }
    }
}
