//! `hpa`: Kubernetes' own formula. The formula is core's; this proposer only wishes its answer.

use foresail_core::history::View;
use foresail_core::propose::plan::Setting;
use foresail_core::propose::{Absence, Basis, Confidence, Context, Proposal, Proposer};

use crate::registry::Entry;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "hpa",
    summary: "the Kubernetes HorizontalPodAutoscaler, exactly",
    knobs: &[],
    build: |_| Ok(Box::new(Hpa)),
};

/// Wishes the reactive floor of every target.
#[derive(Debug)]
struct Hpa;

impl Proposer for Hpa {
    fn propose(&mut self, view: &View<'_>, context: &Context<'_>) -> Proposal {
        let pairs = view.spec.targets().iter().zip(context.reactive);
        let plan: Vec<_> = pairs
            .filter_map(|(t, r)| Some((t.id.clone(), Setting::replicas(r.replicas?))))
            .collect();
        let told = context.reactive.iter().find(|r| r.replicas.is_some());
        let Some(told) = told else {
            return Proposal::absent(Absence::NoMetric);
        };
        Proposal {
            plan,
            interval: None,
            confidence: Confidence::FULL,
            ratio_milli: Some(told.ratio_milli),
            cooldowns: Vec::new(),
            basis: Basis::Hpa {
                metric: told.metric,
                ratio_milli: told.ratio_milli,
            },
        }
    }
}
