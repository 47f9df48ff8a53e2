//! `keepalive-fixed`: every idle container of every function stays warm for the same time.

use foresail_core::history::View;
use foresail_core::propose::plan::Setting;
use foresail_core::propose::{Basis, Context, Proposal, Proposer};
use foresail_core::quantity::time::Span;

use crate::knobs::{Kind, Knob};
use crate::registry::{Built, Entry};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "keepalive-fixed",
    summary: "idle containers stay warm for a constant time",
    knobs: &[Knob {
        name: "keepAliveSeconds",
        // Ten minutes, as the large platforms had it. Source: Shahrad et al., ATC 2020, section 2.
        kind: Kind::Number {
            default: 600.0,
            min: 0.0,
            max: 7.0 * 86_400.0,
        },
        doc: "how long an idle container stays warm",
    }],
    build: |build| {
        let keep_alive = Span::from_seconds(build.knobs.number("keepAliveSeconds").round() as i64);
        built(Fixed { keep_alive })
    },
};

fn built(proposer: Fixed) -> Built {
    Ok(Box::new(proposer))
}

/// Wishes the same keep-alive for every target at every tick, and no pool.
#[derive(Debug)]
struct Fixed {
    keep_alive: Span,
}

impl Proposer for Fixed {
    fn propose(&mut self, view: &View<'_>, _context: &Context<'_>) -> Proposal {
        let wish = Setting {
            keep_alive: Some(self.keep_alive),
            ..Setting::default()
        };
        let targets = view.spec.targets().iter();
        let plan = targets.map(|t| (t.id.clone(), wish.clone())).collect();
        Proposal::certain(plan, Basis::Fixed)
    }
}
