//! `oracle`: a plan that knows the future, as it was advised.
//!
//! The plan is made elsewhere (the simulator's dynamic program) and comes in as advice, so a replay
//! needs nothing but the record. Without advice there is no wish.

use foresail_core::history::View;
use foresail_core::propose::advice::Says;
use foresail_core::propose::{Absence, Basis, Context, Proposal, Proposer};

use super::advised::known;
use crate::registry::Entry;

/// The adviser whose plan is taken, and the proposer's own name.
pub const NAME: &str = "oracle";

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: NAME,
    summary: "a plan that knows the future, taken from advice: a reference, not a policy",
    knobs: &[],
    build: |_| Ok(Box::new(Oracle)),
};

/// Wishes what was advised last and is still good.
#[derive(Debug)]
struct Oracle;

impl Proposer for Oracle {
    fn propose(&mut self, view: &View<'_>, _context: &Context<'_>) -> Proposal {
        let Some(advice) = view.advice(NAME) else {
            return Proposal::absent(Absence::NoAdvice);
        };
        let Says::Plan(plan) = &advice.says else {
            return Proposal::absent(Absence::NoAdvice);
        };
        let text = advice.text.clone();
        Proposal::certain(known(plan, view), Basis::Advice { text })
    }
}
