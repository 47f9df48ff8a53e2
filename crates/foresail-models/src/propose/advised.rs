//! `advice`: what an adviser outside asks for.

use foresail_core::history::View;
use foresail_core::propose::advice::Says;
use foresail_core::propose::plan::Plan;
use foresail_core::propose::{Absence, Basis, Confidence, Context, Proposal, Proposer};

use crate::registry::Entry;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "advice",
    summary: "the number that an adviser of this name asks for, while its advice is good",
    knobs: &[],
    build: |_| Ok(Box::new(Advised)),
};

/// What a plan asks of the targets that there are; whoever advises may know others.
pub(super) fn known(plan: &Plan, view: &View<'_>) -> Plan {
    let known = plan
        .iter()
        .filter(|(id, _)| view.spec.index_of(id).is_some());
    known.cloned().collect()
}

/// Wishes what the newest good advice by `advice` says, in the adviser's own confidence.
#[derive(Debug)]
struct Advised;

impl Proposer for Advised {
    fn propose(&mut self, view: &View<'_>, _context: &Context<'_>) -> Proposal {
        let Some(advice) = view.advice(ENTRY.name) else {
            return Proposal::absent(Absence::NoAdvice);
        };
        let Says::Plan(plan) = &advice.says else {
            return Proposal::absent(Absence::NoAdvice);
        };
        Proposal {
            plan: plan.clone(),
            interval: None,
            confidence: advice
                .confidence_percent
                .map_or(Confidence::percent(0), Confidence::percent),
            ratio_milli: None,
            cooldowns: Vec::new(),
            basis: Basis::Advice {
                text: advice.text.clone(),
            },
        }
    }
}
