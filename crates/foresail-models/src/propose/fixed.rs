//! `static`: always the same number.

use foresail_core::history::View;
use foresail_core::propose::plan::Setting;
use foresail_core::propose::{Basis, Context, Proposal, Proposer};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::ValidTarget;

use crate::knobs::{Kind, Knob};
use crate::registry::{Built, Entry};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "static",
    summary: "always the same number of replicas",
    knobs: &[Knob {
        name: "replicas",
        kind: Kind::Number {
            default: 1.0,
            min: 0.0,
            max: 1e6,
        },
        doc: "the number",
    }],
    build: |build| {
        let replicas = Replicas::saturating(build.knobs.number("replicas").round() as i64);
        built(Static { replicas })
    },
};

fn built(proposer: Static) -> Built {
    Ok(Box::new(proposer))
}

/// Wishes the same for every target at every tick.
#[derive(Debug)]
struct Static {
    replicas: Replicas,
}

impl Proposer for Static {
    fn propose(&mut self, view: &View<'_>, _context: &Context<'_>) -> Proposal {
        let targets = view.spec.targets().iter();
        let wish = |t: &ValidTarget| (t.id.clone(), Setting::replicas(self.replicas));
        Proposal::certain(targets.map(wish).collect(), Basis::Fixed)
    }
}
