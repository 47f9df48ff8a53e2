//! What a search came to.

use foresail_core::propose::advice::Best;
use foresail_core::propose::plan::Plan;
use serde::{Deserialize, Serialize};

use super::measure::{Measured, Protocol};

/// One trial that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number.
    pub number: u64,
    /// What was tried.
    pub plan: Plan,
    /// What it came to.
    pub measured: Measured,
}

/// Why no more trials were run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The tuner had no more to ask.
    Done,
    /// The money was spent.
    Spent,
    /// Somebody asked for the end.
    Interrupted,
}

/// What is in force in the end, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// The best: it kept the promise when it was measured again.
    Best,
    /// The best on its trials' word: there was no money left to measure it again.
    Unconfirmed,
    /// The former setting: it keeps the promise and the best costs no less.
    FormerIsBest,
    /// The former setting: no trial kept the promise.
    NoneKept,
    /// The former setting: what had kept the promise broke it when it was measured again.
    Broke,
    /// The former setting: nothing was tried to the end.
    Interrupted,
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Why it ended.
    pub end: End,
    /// What is in force in the end, and why.
    pub conclusion: Conclusion,
    /// Every trial.
    pub rows: Vec<Row>,
    /// The setting that was in force before.
    pub former: Plan,
    /// What that came to; absent where the search ended before.
    pub former_measured: Option<Measured>,
    /// The best of the trials; absent where nothing was measured.
    pub best: Option<Best>,
    /// What the best came to when it was measured again; absent where it was not.
    pub confirmed: Option<Measured>,
    /// What is in force now.
    pub in_force: Plan,
    /// What all whole measurements cost.
    pub spend: f64,
    /// Requests that were sent for them.
    pub requests: u64,
    /// What was spent beside them on measurements that the cap or a person cut short.
    pub cut: Cut,
}

/// What measurements cost that were cut short and that nothing was learnt from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cut {
    /// Money.
    pub spend: f64,
    /// Requests that were sent.
    pub requests: u64,
}

impl Cut {
    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        self.spend += other.spend;
        self.requests += other.requests;
    }
}

impl Found {
    pub(super) fn new(current: Plan) -> Self {
        Self {
            end: End::Done,
            conclusion: Conclusion::Interrupted,
            rows: Vec::new(),
            former: current.clone(),
            former_measured: None,
            best: None,
            confirmed: None,
            in_force: current,
            spend: 0.0,
            requests: 0,
            cut: Cut::default(),
        }
    }

    pub(super) fn count(&mut self, measured: &Measured) {
        self.spend += measured.spend;
        self.requests += measured.requests;
    }

    /// What every measurement cost, those that were cut short too.
    #[must_use]
    pub fn spend_whole(&self) -> f64 {
        self.spend + self.cut.spend
    }

    /// What the next trial will cost, by the former setting and the trials before it.
    pub(super) fn expected_spend(&self) -> f64 {
        let rows = self.rows.iter().map(|row| &row.measured);
        let before: Vec<f64> = self
            .former_measured
            .iter()
            .chain(rows)
            .map(|m| m.spend)
            .collect();
        if before.is_empty() {
            0.0
        } else {
            before.iter().sum::<f64>() / before.len() as f64
        }
    }

    /// What the trials and the measurement of the best after them say.
    pub(super) fn conclude(&self, protocol: &Protocol) -> Conclusion {
        let feasible = self.best.as_ref().filter(|b| b.feasible);
        let former = self.former_measured.as_ref();
        let former = former.filter(|m| m.kept(protocol.promise));
        let no_more = |cost: Option<f64>| former.is_some_and(|f| f.cost <= cost);
        match (&self.confirmed, self.end) {
            (_, End::Interrupted) => Conclusion::Interrupted,
            (Some(m), _) if m.kept(protocol.promise) => {
                if no_more(m.cost) {
                    Conclusion::FormerIsBest
                } else {
                    Conclusion::Best
                }
            }
            (Some(_), _) => Conclusion::Broke,
            (None, _) => match feasible {
                Some(best) if !no_more(Some(best.objective)) => Conclusion::Unconfirmed,
                _ if former.is_some() => Conclusion::FormerIsBest,
                _ => Conclusion::NoneKept,
            },
        }
    }
}
