//! What comes from outside as advice: an agent's answer, a tuner's trial, an oracle's plan.
//!
//! Advice is an input like any other: it is recorded, replayed, and what a proposer makes of it
//! passes the same gate and the same guards.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::plan::{Plan, TargetId};
use crate::quantity::time::Timestamp;

/// The most bytes of reasoning that are kept of one piece of advice.
pub const TEXT_BYTES_MAX: usize = 1024;

/// One piece of advice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Advice {
    /// Who gives it; a proposer of this name reads it.
    pub by: String,
    /// When it was given.
    pub at: Timestamp,
    /// Until when it may be used.
    pub until: Timestamp,
    /// What is advised.
    pub says: Says,
    /// How sure the adviser is, in percent; not calibrated.
    #[serde(default)]
    pub confidence_percent: Option<u8>,
    /// The adviser's reasoning; longer texts are cut at [`TEXT_BYTES_MAX`] bytes.
    #[serde(default)]
    pub text: String,
}

/// What is advised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Says {
    /// Settings for some targets.
    Plan(Plan),
    /// A change of replicas on top of the reactive baseline, as a language model gives it.
    Delta(Vec<(TargetId, i32)>),
    /// An experiment that a tuner asks for.
    Trial(Trial),
    /// The trial of this number is over or called off.
    TrialEnded(u64),
}

/// One expensive experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trial {
    /// Its number, unique within one tuner.
    pub number: u64,
    /// What is tried.
    pub plan: Plan,
    /// What it costs, in thousandths of the currency; with what was spent on the trials before it
    /// where the cap is one on all of them.
    pub spend_milli: u64,
}

/// What a trial came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Measurement {
    /// The value of the objective, where one could be measured; less is better.
    pub objective: Option<f64>,
    /// How far the constrained quantity lies above its bound, in its own unit; zero or less keeps
    /// it. Absent where it was not measured.
    #[serde(default)]
    pub excess: Option<f64>,
    /// `false` where the SLO broke while it ran.
    pub slo_met: bool,
}

/// The best that a tuner was told of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Best {
    /// What was tried.
    pub plan: Plan,
    /// Mean of the objective over its measurements.
    pub objective: f64,
    /// Mean excess over its measurements.
    pub excess: f64,
    /// `true` where the constraint was kept. Where none kept it, the best is the one that missed
    /// it by the least.
    pub feasible: bool,
}

/// A measurement that a tuner did not take as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Doubt {
    /// The trial that was measured.
    pub trial: u64,
    /// What of it is in doubt.
    pub of: Doubted,
    /// What was measured; absent where nothing was.
    #[serde(default)]
    pub value: Option<f64>,
    /// The least and the most that the other measurements lead to expect.
    #[serde(default)]
    pub expected: Option<[f64; 2]>,
    /// What came of it.
    pub state: DoubtState,
}

/// What of a measurement is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Doubted {
    /// Its objective.
    Objective,
    /// Its excess.
    Excess,
    /// That it was made: a number is missing or none.
    Missing,
}

/// What came of a doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DoubtState {
    /// The same plan is to be measured again.
    Open,
    /// Measured again, it was much the same.
    Confirmed,
    /// Measured again, it was not; the median of all measurements stands for the plan.
    Replaced,
    /// The plan could not be measured; it is known as failed and not tried again.
    Failed,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.of {
            Doubted::Objective => "objective",
            Doubted::Excess => "excess",
            Doubted::Missing => "measurement",
        };
        write!(f, "trial {}: {what}", self.trial)?;
        match (self.value, self.expected) {
            (Some(value), Some([least, most])) => {
                write!(f, " {value:.4} where {least:.4} to {most:.4} was expected")?;
            }
            (Some(value), None) => write!(f, " {value:.4}")?,
            (None, _) => write!(f, " missing")?,
        }
        f.write_str(match self.state {
            DoubtState::Open => "; was left open",
            DoubtState::Confirmed => "; measured again, confirmed",
            DoubtState::Replaced => "; measured again, the median stands",
            DoubtState::Failed => "; given up, the plan counts as failed",
        })
    }
}

/// Sequential experiments: ask for trials, tell what they came to.
///
/// A trial never acts by itself: it enters an engine as [`Advice`], passes the gate (spend cap and
/// SLO) and the guards, and is in the flight record.
pub trait Tuner {
    /// The trials to run next; empty when the tuner is done. A tuner that asks for several together
    /// gives those of them that it was not told of again.
    fn ask(&mut self) -> Vec<Trial>;
    /// Takes in what a trial came to.
    fn tell(&mut self, trial: &Trial, measurement: &Measurement);
    /// The best so far; `None` before anything was measured.
    fn best(&self) -> Option<Best>;
    /// Goes on for so many trials more, from what is known: the world has drifted.
    fn reopen(&mut self, trials: u64);
    /// Every measurement that was not taken as it came, in the order of the trials; none for a tuner
    /// that takes all.
    fn doubts(&self) -> Vec<Doubt> {
        Vec::new()
    }
}

/// Cuts a text to [`TEXT_BYTES_MAX`] bytes at a character's edge.
pub(crate) fn cut_text(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        let mut end = TEXT_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}
