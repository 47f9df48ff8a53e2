//! What is told: the whole story of one tick for one target, made only when it is read.

mod basis;
pub mod row;
pub mod why;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::act::Outcome;
use crate::admit::Decision;
use crate::combine::gate::Gate;
use crate::combine::{Chosen, Judged};
use crate::engine::{Hash, TargetTick, Tick};
use crate::guard::{GuardName, Limit};
use crate::observe::Health;
use crate::propose::archetype::{Archetype, Classed};
use crate::propose::plan::{Axis, Setting, TargetId};
use crate::propose::{Absence, Basis};
use crate::quantity::time::Timestamp;
use crate::quantity::units::{Quantity, Replicas};
use crate::spec::{Mode, ValidSpec, ValidTarget};

pub use basis::{BasisTold, ScaledTold};

/// A setting as it is told: each axis with its quantity.
pub type Told = BTreeMap<String, Quantity>;

fn told(setting: &Setting) -> Told {
    setting
        .axes()
        .filter_map(|axis| Some((axis.to_string(), setting.get(&axis)?)))
        .collect()
}

/// Who decides: the object, its generation, and the life of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The object's unique name.
    pub uid: String,
    /// The generation of its spec.
    pub generation: u64,
    /// The life of the process that decides.
    pub epoch: u64,
}

/// The whole story of one tick for one target.
///
/// One type for the status, the log line, the event, the simulator's row, `explain` and the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Explanation {
    /// Version of this form.
    pub v: u8,
    /// `uid/generation/epoch/seq`.
    pub id: String,
    /// Hash of the inputs since the tick before, where they were recorded.
    pub inputs: Option<String>,
    /// Time of the tick.
    pub at: Timestamp,
    /// Which target.
    pub target: TargetId,
    /// What the user allows.
    pub mode: Mode,
    /// What the controller allows itself.
    pub health: Health,
    /// Age of the newest sample in whole seconds.
    pub sample_age_seconds: Option<i64>,
    /// What was asked for before.
    pub current: Told,
    /// Pods that were ready.
    pub ready: Replicas,
    /// What a live HPA asked for.
    pub incumbent: Option<Replicas>,
    /// Every proposal.
    pub proposals: Vec<ProposalTold>,
    /// Whose number was wanted: a proposer's name, or `floor`.
    pub chosen_by: Option<String>,
    /// The reactive floor.
    pub reactive: Option<Replicas>,
    /// What was wanted.
    pub wanted: Told,
    /// Every limit from wanted to decided.
    pub limits: Vec<Limit>,
    /// What is decided.
    pub decided: Told,
    /// What came of it; `null` where nothing was to be written or it is not known yet.
    pub outcome: Option<Outcome>,
    /// The archetype of the target's demand, where a proposer tells one.
    #[serde(default)]
    pub archetype: Option<Archetype>,
    /// Age of the model behind the first forecast, in whole seconds.
    #[serde(default)]
    pub fitted_ago_seconds: Option<i64>,
}

/// One proposal as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProposalTold {
    /// Whose.
    pub by: String,
    /// What was wished for this target.
    pub wish: Told,
    /// What the wish owed to itself.
    pub shape: Vec<Limit>,
    /// Replicas between which the proposer is sure.
    pub interval: Option<(Replicas, Replicas)>,
    /// Trust in whole percent.
    pub confidence_percent: u8,
    /// Why it was dropped.
    pub gate: Option<Gate>,
    /// Where the number comes from.
    pub basis: BasisTold,
}

impl Explanation {
    /// The story of one target of a tick, with the arbiter's decision where there is one.
    ///
    /// `None` where the tick has no such target.
    #[must_use]
    pub fn new(
        tick: &Tick,
        index: usize,
        spec: &ValidSpec,
        identity: &Identity,
        decision: Option<&Decision>,
    ) -> Option<Self> {
        let (decided, target) = (tick.targets.get(index)?, spec.targets().get(index)?);
        let Identity {
            uid,
            generation,
            epoch,
        } = identity;
        let mut limits = decided.limits.clone();
        limits.extend(decision.into_iter().flat_map(|d| d.limits.iter().cloned()));
        let names = spec.written().proposers.iter().map(|p| p.name.as_str());
        let told_of =
            |(name, judged): (&str, &Judged)| proposal_told(name, judged, target, tick.at);
        Some(Self {
            v: 1,
            id: format!("{uid}/{generation}/{epoch}/{}", tick.seq.0),
            inputs: None,
            at: tick.at,
            target: target.id.clone(),
            mode: tick.mode,
            health: tick.health,
            sample_age_seconds: decided
                .sample_age
                .map(crate::quantity::time::Span::whole_seconds),
            current: told(&decided.current),
            ready: decided.ready,
            incumbent: decided.incumbent,
            proposals: names.zip(&tick.judged).map(told_of).collect(),
            chosen_by: tick.chosen_by(index, spec).map(str::to_owned),
            reactive: decided.wanted.reactive.replicas,
            wanted: told(&decided.wanted.setting),
            limits,
            decided: told(decision.map_or(&decided.decided, |d| &d.setting)),
            outcome: None,
            archetype: classed(tick, target).and_then(|c| c.archetype),
            fitted_ago_seconds: fitted_ago(tick, target),
        })
    }

    /// The same story with the hash of the inputs that led to it.
    #[must_use]
    pub fn with_inputs(mut self, inputs: &Hash) -> Self {
        self.inputs = Some(format!("b3:{}", inputs.as_str()));
        self
    }

    /// The same story with what came of it.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Option<Outcome>) -> Self {
        self.outcome = outcome;
        self
    }

    /// The last guard that moved the value on any axis.
    #[must_use]
    pub fn binding(&self) -> Option<GuardName> {
        self.limits.last().map(|l| l.by)
    }

    /// Laws that this explanation breaks; empty for every honest one.
    ///
    /// Limits chain without a gap from wanted to decided on each axis, none moves nothing, and the
    /// decided replicas lie within `bounds` unless something holds everything still.
    #[must_use]
    pub fn broken_laws(&self, bounds: (Replicas, Replicas)) -> Vec<String> {
        let mut broken = Vec::new();
        let mut values = self.wanted.clone();
        for limit in &self.limits {
            let axis = limit.axis.to_string();
            if values.get(&axis) != Some(&limit.from) {
                broken.push(format!(
                    "{} starts at {}, not at {:?}",
                    limit.by,
                    limit.from,
                    values.get(&axis)
                ));
            }
            if limit.from == limit.to {
                broken.push(format!("{} moves nothing", limit.by));
            }
            values.insert(axis, limit.to);
        }
        if values != self.decided {
            broken.push(format!(
                "the chain ends at {values:?}, decided is {:?}",
                self.decided
            ));
        }
        let axis = Axis::Replicas.to_string();
        let held = [GuardName::Paused, GuardName::Admission, GuardName::Budget];
        let still =
            self.limits.iter().any(|l| held.contains(&l.by)) || self.decided == self.current;
        if let Some(replicas) = self
            .decided
            .get(&axis)
            .map(|q| q.replicas())
            .filter(|_| !still)
            && !(bounds.0..=bounds.1).contains(&replicas)
        {
            broken.push(format!("{replicas} is outside {}..{}", bounds.0, bounds.1));
        }
        broken
    }
}

/// What the first proposer that tells archetypes makes of a target.
fn classed<'a>(tick: &'a Tick, target: &ValidTarget) -> Option<&'a Classed> {
    tick.judged.iter().find_map(|j| match &j.proposal.basis {
        Basis::Archetypes(all) => {
            let (_, found) = all.iter().find(|(id, _)| *id == target.id)?;
            found.as_ref().ok()
        }
        _ => None,
    })
}

/// Age of the model behind the first forecast that has one, in whole seconds.
fn fitted_ago(tick: &Tick, target: &ValidTarget) -> Option<i64> {
    let fitted_at = tick.judged.iter().find_map(|j| match &j.proposal.basis {
        Basis::Forecast(outlook) => outlook.fitted_at,
        _ => None,
    });
    let scaled = || classed(tick, target)?.scaled.as_ref()?.forecast?.1;
    fitted_at
        .or_else(scaled)
        .map(|at| (tick.at - at).whole_seconds())
}

fn proposal_told(
    name: &str,
    judged: &Judged,
    target: &ValidTarget,
    now: Timestamp,
) -> ProposalTold {
    let of_target = |l: &&Limit| l.target == target.id;
    ProposalTold {
        by: name.to_owned(),
        wish: judged
            .proposal
            .wish(&target.id)
            .map(told)
            .unwrap_or_default(),
        shape: judged.shape.iter().filter(of_target).cloned().collect(),
        interval: judged.proposal.interval,
        confidence_percent: judged.proposal.confidence.as_percent(),
        gate: judged.gate,
        basis: BasisTold::of(&judged.proposal.basis, target, now),
    }
}

/// `true` where the tick's number is the floor's and not a proposer's.
#[must_use]
pub fn is_floor(tick: &TargetTick) -> bool {
    tick.wanted.chosen == Some(Chosen::Floor)
}

impl fmt::Display for Explanation {
    /// One line: `web 4→7: predictive p90 = 884 req/s ÷ 100 = 9 (hpa 5); Rate 9→7, at most +3 per 60 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replicas = |told: &Told| {
            told.get("replicas")
                .map_or("?".to_owned(), ToString::to_string)
        };
        f.write_str(self.target.short())?;
        let (current, decided) = (replicas(&self.current), replicas(&self.decided));
        if current == decided {
            write!(f, " {current}")?;
        } else {
            write!(f, " {current}→{decided}")?;
        }
        self.fmt_wish(f)?;
        for limit in &self.limits {
            let axis = if limit.axis == Axis::Replicas {
                String::new()
            } else {
                format!("{} ", limit.axis)
            };
            let name = limit.by.to_string().to_lowercase();
            write!(
                f,
                "; {name} {axis}{}→{}, {}",
                limit.from, limit.to, limit.why
            )?;
        }
        Ok(())
    }
}

impl Explanation {
    fn fmt_wish(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wish = |p: &ProposalTold| {
            let joined: Vec<_> = p.wish.values().map(ToString::to_string).collect();
            if joined.is_empty() {
                "none".to_owned()
            } else {
                joined.join(" ")
            }
        };
        let chosen = self.chosen_by.as_deref();
        match (
            chosen,
            self.proposals
                .iter()
                .find(|p| Some(p.by.as_str()) == chosen),
        ) {
            (Some(name), Some(proposal)) => {
                write!(
                    f,
                    ": {name} {} = {}",
                    proposal.basis.clause(),
                    wish(proposal)
                )?;
            }
            (Some(_), None) => {
                let floor = self
                    .reactive
                    .map_or_else(|| "?".to_owned(), |r| r.to_string());
                write!(f, ": reactive floor = {floor}")?;
            }
            _ => f.write_str(": no wish")?,
        }
        let others = self
            .proposals
            .iter()
            .filter(|p| Some(p.by.as_str()) != chosen);
        let others: Vec<_> = others
            .map(|p| match (p.gate, &p.basis) {
                (Some(gate), _) => format!("{} {} dropped: {gate:?}", p.by, wish(p)),
                (
                    None,
                    BasisTold::Absent {
                        absent: Absence::Tripped(trip),
                    },
                ) => {
                    format!("{} none: {trip}", p.by)
                }
                (None, delta @ BasisTold::Delta { acts: false, .. }) => {
                    format!("{} none: {}", p.by, delta.clause())
                }
                _ => format!("{} {}", p.by, wish(p)),
            })
            .collect();
        if others.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", others.join(", "))
        }
    }
}
