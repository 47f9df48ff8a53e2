//! The published experiment's CSV: 25 columns, a row for each interval.

use std::io::Write;

use foresail_adapters::results::safe_cell;
use foresail_core::quantity::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Mode;

/// The columns, in their order.
/// Source: alcocuzzi/etp, autoscaler/main.py.
pub const COLUMNS: [&str; 25] = [
    "timestamp",
    "mode",
    "current_replicas",
    "ready_replicas",
    "cpu_millicores",
    "memory_mebibytes",
    "cpu_request_millicores",
    "memory_request_mebibytes",
    "pod_count",
    "hpa_sim_desired",
    "hpa_sim_raw_desired",
    "hpa_sim_cpu_desired",
    "hpa_sim_mem_desired",
    "hpa_sim_action",
    "hpa_sim_cpu_ratio",
    "hpa_sim_mem_ratio",
    "hpa_current_replicas",
    "hpa_desired_replicas",
    "ai_recommended_replicas",
    "ai_predicted_cpu_millicores",
    "ai_predicted_memory_mebibytes",
    "ai_confidence",
    "ai_reasoning",
    "applied_replicas",
    "applied_by",
];

/// Characters of a reasoning that are kept.
pub const REASONING_CHARS_MAX: usize = 1024;

/// What a number of replicas is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// More.
    Up,
    /// Fewer.
    Down,
    /// As many.
    Same,
}

impl Action {
    /// From one number to another.
    #[must_use]
    pub fn of(from: u32, to: u32) -> Self {
        match to.cmp(&from) {
            std::cmp::Ordering::Greater => Self::Up,
            std::cmp::Ordering::Less => Self::Down,
            std::cmp::Ordering::Equal => Self::Same,
        }
    }

    /// As the column has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "scale_up",
            Self::Down => "scale_down",
            Self::Same => "no_change",
        }
    }
}

/// What an HPA answers, metric by metric; what it could not say is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Simulated {
    /// After all its rules.
    pub desired: u32,
    /// Before windows and rates.
    pub raw: Option<u32>,
    /// By CPU alone.
    pub cpu: Option<u32>,
    /// By memory alone.
    pub memory: Option<u32>,
    /// What that comes to.
    pub action: Action,
    /// CPU over its target value.
    pub cpu_ratio: Option<f64>,
    /// Memory over its target value.
    pub memory_ratio: Option<f64>,
}

/// What an adviser answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Advised {
    /// Baseline and change, within the bounds.
    pub recommended: u32,
    /// What it says of itself, 0 to 1.
    pub confidence: f64,
    /// Its words.
    pub reasoning: String,
}

/// Who applied what was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppliedBy {
    /// The adviser, on top of the HPA.
    Ai,
    /// The adviser, who left it as it is.
    AiNoChange,
    /// The HPA.
    Hpa,
    /// Foresail's own policy, by its forecast.
    Predictive,
    /// The published HPA simulator.
    NaiveHpa,
    /// The plan of one who knows all demand to come.
    Oracle,
    /// Nobody may.
    ObservationOnly,
    /// Nobody could: nothing was known.
    None,
}

impl AppliedBy {
    /// As the column has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ai => "ai",
            Self::AiNoChange => "ai_no_change",
            Self::Hpa => "hpa",
            Self::Predictive => "predictive",
            Self::NaiveHpa => "naive_hpa",
            Self::Oracle => "oracle",
            Self::ObservationOnly => "observation_only",
            Self::None => "none",
        }
    }
}

/// One row; what was not measured is `None` and an empty cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// When.
    pub at: Timestamp,
    /// In which mode.
    pub mode: Mode,
    /// Replicas asked for.
    pub current: Option<u32>,
    /// Ready ones.
    pub ready: Option<u32>,
    /// CPU of a pod on average, in millicores.
    pub cpu: Option<f64>,
    /// Memory of a pod on average, in MiB.
    pub memory: Option<f64>,
    /// CPU that a pod requests, in millicores.
    pub cpu_request: Option<f64>,
    /// Memory that a pod requests, in MiB.
    pub memory_request: Option<f64>,
    /// Pods.
    pub pods: Option<u32>,
    /// The HPA simulator's columns; `None` without metrics.
    pub simulated: Option<Simulated>,
    /// Replicas that the HPA reports.
    pub hpa_current: Option<u32>,
    /// What the HPA asks for: rehearsed the exact one, live the cluster's own.
    pub hpa_desired: Option<u32>,
    /// The adviser's columns; `None` without an answer.
    pub advised: Option<Advised>,
    /// What holds at the end of the interval.
    pub applied: Option<u32>,
    /// By whom.
    pub applied_by: AppliedBy,
}

impl Row {
    /// The cells, in the order of [`COLUMNS`].
    #[must_use]
    pub fn cells(&self) -> [String; 25] {
        let whole = |n: Option<u32>| n.map_or_else(String::new, |n| n.to_string());
        let real = |x: Option<f64>, digits: usize| {
            x.filter(|x| x.is_finite())
                .map_or_else(String::new, |x| format!("{x:.digits$}"))
        };
        let sim = self.simulated;
        let ai = self.advised.as_ref();
        [
            self.at.to_string(),
            self.mode.name().to_owned(),
            whole(self.current),
            whole(self.ready),
            real(self.cpu, 2),
            real(self.memory, 2),
            real(self.cpu_request, 2),
            real(self.memory_request, 2),
            whole(self.pods),
            whole(sim.map(|s| s.desired)),
            whole(sim.and_then(|s| s.raw)),
            whole(sim.and_then(|s| s.cpu)),
            whole(sim.and_then(|s| s.memory)),
            sim.map_or_else(String::new, |s| s.action.name().to_owned()),
            real(sim.and_then(|s| s.cpu_ratio), 4),
            real(sim.and_then(|s| s.memory_ratio), 4),
            whole(self.hpa_current),
            whole(self.hpa_desired),
            whole(ai.map(|a| a.recommended)),
            // Nobody is asked for these two: what a model says of them is worth nothing.
            String::new(),
            String::new(),
            real(ai.map(|a| a.confidence), 2),
            ai.map_or_else(String::new, |a| safe(&a.reasoning)),
            whole(self.applied),
            self.applied_by.name().to_owned(),
        ]
    }
}

/// A text that no spreadsheet takes for a formula, on one line and of bounded length.
#[must_use]
pub fn safe(text: &str) -> String {
    let line = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(line).collect();
    // One character is left for what keeps a spreadsheet from running it.
    let text: String = text.trim().chars().take(REASONING_CHARS_MAX - 1).collect();
    safe_cell(&text).into_owned()
}

/// Writes rows as they come; each is out before the next.
#[derive(Debug)]
pub struct Rows<W: Write> {
    csv: csv::Writer<W>,
}

impl<W: Write> Rows<W> {
    /// Begins with the header.
    ///
    /// # Errors
    /// What the writer gives.
    pub fn begin(out: W) -> csv::Result<Self> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(COLUMNS)?;
        csv.flush()?;
        Ok(Self { csv })
    }

    /// Writes one row.
    ///
    /// # Errors
    /// What the writer gives.
    pub fn write(&mut self, row: &Row) -> csv::Result<()> {
        self.csv.write_record(row.cells())?;
        Ok(self.csv.flush()?)
    }

    /// The writer again.
    ///
    /// # Errors
    /// What the writer gives.
    pub fn end(self) -> std::io::Result<W> {
        self.csv
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_no_formula_and_have_an_end() {
        assert_eq!(safe("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(safe(" +1\nnext"), "'+1 next");
        assert_eq!(safe("-2 pods"), "'-2 pods");
        assert_eq!(safe("@SUM(A1)"), "'@SUM(A1)");
        assert_eq!(safe("\t=1"), "'=1");
        assert_eq!(safe("CPU rises by 3"), "CPU rises by 3");
        for (text, kept) in [
            ("ä".repeat(3000), 1023),
            (format!("={}", "x".repeat(3000)), 1024),
        ] {
            assert_eq!(safe(&text).chars().count(), kept);
        }
    }
}
