//! `aware`: joint settings of replicas and requests by a learnt policy.
//!
//! Whoever learns outside gives its wish as advice by `aware`; what was executed comes back to it.
//! Without advice this proposer has no wish, and the proposers behind it (`hpa` and `vpa`, the
//! heuristic) decide.
//! Source: Qiu et al., AWARE, USENIX ATC 2023.

use foresail_core::history::View;
use foresail_core::propose::advice::Says;
use foresail_core::propose::{Absence, Basis, Context, Proposal, Proposer};

use super::advised::known;
use crate::registry::Entry;

/// The adviser whose wishes are taken, and the proposer's own name.
pub const NAME: &str = "aware";

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: NAME,
    summary: "replicas and requests together, by a learnt policy that was as good as the heuristic",
    knobs: &[],
    build: |_| Ok(Box::new(Aware)),
};

/// Wishes what a learner outside advises.
#[derive(Debug)]
struct Aware;

impl Proposer for Aware {
    fn propose(&mut self, view: &View<'_>, _context: &Context<'_>) -> Proposal {
        let Some(advice) = view.advice(NAME) else {
            return Proposal::absent(Absence::NoAdvice);
        };
        match &advice.says {
            Says::Plan(plan) => {
                let text = advice.text.clone();
                Proposal::certain(known(plan, view), Basis::Advice { text })
            }
            _ => Proposal::absent(Absence::NoAdvice),
        }
    }
}
