//! `trial`: what a tuner asks to be tried, and the plan that it settles on.
//!
//! A tuner never acts by itself. Its trials come in as advice by `trial`, become a wish here, and
//! the gate (spend, SLO) and the guards decide whether they are run.

use foresail_core::history::View;
use foresail_core::propose::advice::Says;
use foresail_core::propose::{Absence, Basis, Context, Proposal, Proposer};

use super::advised::known;
use crate::registry::Entry;

/// The adviser whose trials are wished, and the proposer's own name.
pub const NAME: &str = "trial";

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: NAME,
    summary: "the trial that a tuner asks for, or the plan that it settles on",
    knobs: &[],
    build: |_| Ok(Box::new(Trials)),
};

/// Wishes what was advised last and is still good.
#[derive(Debug)]
struct Trials;

impl Proposer for Trials {
    fn propose(&mut self, view: &View<'_>, _context: &Context<'_>) -> Proposal {
        let Some(advice) = view.advice(NAME) else {
            return Proposal::absent(Absence::NoAdvice);
        };
        let (plan, basis) = match &advice.says {
            Says::Trial(trial) => {
                let basis = Basis::Trial {
                    number: trial.number,
                    spend_milli: trial.spend_milli,
                    since: advice.at,
                };
                (&trial.plan, basis)
            }
            Says::Plan(plan) => {
                let text = advice.text.clone();
                (plan, Basis::Advice { text })
            }
            Says::Delta(_) | Says::TrialEnded(_) => return Proposal::absent(Absence::NoAdvice),
        };
        Proposal::certain(known(plan, view), basis)
    }
}
