//! `aapa-published`: the published AAPA's numbers, its defects included, to be put beside `aapa`.
//!
//! The published code holds four versions of what uncertainty does, and two of the strategies; the
//! knob `uncertainty` picks one. `threshold` is the autoscaler inside the published simulator, the
//! one that was probably run. Known defects that stay: Stationary never leaves one replica and Ramp
//! follows its own replicas (`strategies`, `algorithm-1`); Periodic extrapolates a line and holds it
//! at full CPU (`strategies`), or multiplies by 1.2 in five of every twenty ticks (`threshold`); no
//! cooldown is enforced but that since the last way down of `threshold`; doubt jumps at a threshold.
//! CPU is demand over what the present replicas serve at full use, at most one; a tick is what the
//! published simulator calls an interval.
//! Source: GuilinDev/aapa-simulator at e32d6a9, src/core/{simulator,strategies,autoscaler}.py and
//! src/models/uncertainty.py; specs/aapa_aquatope.md 1.5 and 1.6.

mod levels;
mod simulator;
mod strategies;

use std::sync::Arc;

use foresail_core::history::{TargetHistory, View};
use foresail_core::observe::Metric;
use foresail_core::propose::archetype::{Adjusted, Archetype, Classed, Scaled, Strategy, adjust};
use foresail_core::propose::{Absence, Context, Proposal, Proposer, RestoreError};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Replicas, smaller};
use foresail_core::spec::{ValidSpec, ValidTarget};
use serde::{Deserialize, Serialize};

use super::aapa::force::{Force, Memory, Rule};
use super::aapa::{RECLASSIFY, Told, fit_memories, hpa_share};
use crate::classify::Classifier;
use crate::knobs::{Kind, Knob};
use crate::registry::{Entry, classifier};

/// Confidence below which the published code takes everything for Stationary.
const FORCED: f64 = 0.5;

/// Ticks that are remembered: an hour of them at the default interval.
const TICKS_MAX: usize = 240;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "aapa-published",
    summary: "AAPA's published numbers with their defects, for comparison",
    knobs: &[
        Knob {
            name: "classifier",
            kind: Kind::Name {
                default: "rules-published",
            },
            doc: "what tells the archetype, by its name",
        },
        RECLASSIFY,
        Knob {
            name: "uncertainty",
            kind: Kind::Word {
                default: "threshold",
                known: &["algorithm-1", "strategies", "levels", "threshold"],
            },
            doc: "which of the four published versions: the paper's algorithm, strategies.py, uncertainty.py, simulator.py",
        },
    ],
    build: |build| {
        let path = format!("{}.classifier", build.path);
        let stride = build.knobs.number("reclassifySeconds") / super::on_forecast::STEP.seconds();
        Ok(Box::new(Published {
            classifier: classifier(build.knobs.word("classifier"), &path)?,
            rule: Rule {
                stride: stride as i64,
                margin: 0.0,
            },
            version: match build.knobs.word("uncertainty") {
                "algorithm-1" => Version::Paper,
                "strategies" => Version::Strategies,
                "levels" => Version::Levels,
                _ => Version::Threshold,
            },
            memories: Vec::new(),
            pasts: Vec::new(),
        }))
    },
};

/// Which of the published versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// The paper's Algorithm 1 over the strategies of strategies.py.
    Paper,
    /// strategies.py.
    Strategies,
    /// uncertainty.py.
    Levels,
    /// The autoscaler inside simulator.py, under autoscaler.py's least confidence.
    Threshold,
}

/// What the published code sees of a target at a tick.
#[derive(Clone, Copy, Debug)]
struct Now {
    /// Replicas asked for at present.
    current: u32,
    /// Share of the pods' CPU that is used, from 0 to 1.
    cpu: f64,
    /// Demand, in requests per second.
    demand: f64,
    /// Demand that one replica serves at a CPU utilization of one, in requests per second.
    full_capacity: f64,
    now: Timestamp,
}

/// What the published code remembers of a target; each list is bounded, its oldest goes first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Past {
    simulator: simulator::Past,
    strategies: strategies::Past,
}

/// A number of replicas, and the strategy that gave it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Answer {
    replicas: u32,
    /// CPU target before and after doubt was counted in.
    target: f64,
    adjusted_target: f64,
    multiplier: f64,
    cooldown: Span,
}

impl Answer {
    fn scaled(self, by: Archetype, now: &Now) -> Scaled {
        Scaled {
            by,
            target: self.target,
            adjusted: Adjusted {
                multiplier: self.multiplier,
                target: self.adjusted_target,
                cooldown: self.cooldown,
                min: Replicas::ONE,
            },
            demand: now.demand,
            capacity: now.full_capacity * self.adjusted_target,
            turn: None,
            forecast: None,
        }
    }
}

/// Wishes what the published code would.
#[derive(Debug)]
struct Published {
    classifier: Arc<dyn Classifier>,
    rule: Rule,
    version: Version,
    memories: Vec<Memory>,
    /// In the order of `memories`.
    pasts: Vec<Past>,
}

impl Published {
    fn fit_to(&mut self, spec: &ValidSpec) {
        let before: Vec<_> = self.memories.iter().map(|m| m.target.clone()).collect();
        fit_memories(&mut self.memories, spec);
        let same = before.iter().eq(self.memories.iter().map(|m| &m.target));
        if !same {
            let old = std::mem::take(&mut self.pasts);
            let of = |m: &Memory| before.iter().position(|id| *id == m.target);
            let past = |m: &Memory| of(m).and_then(|place| old.get(place).cloned());
            self.pasts = self
                .memories
                .iter()
                .map(|m| past(m).unwrap_or_default())
                .collect();
        }
    }

    fn classed(
        &mut self,
        place: usize,
        target: &ValidTarget,
        history: &TargetHistory,
        now: Timestamp,
    ) -> Result<(Classed, Option<Replicas>), Absence> {
        let points = history.points(Metric::Demand);
        let force = self.memories[place].look(points, &*self.classifier, self.rule);
        let demand = points.back().ok_or(Absence::NoMetric)?.value;
        let state = history.state.as_ref().ok_or(Absence::NoMetric)?;
        let capacity = target.capacity.ok_or(Absence::NoCapacity)?;
        let current = state.current_replicas().get();
        let full_capacity = capacity / hpa_share(target);
        let there = f64::from(current.max(1)) * full_capacity;
        let seen = Now {
            current,
            cpu: smaller(demand / there, 1.0),
            demand,
            full_capacity,
            now,
        };
        let past = &mut self.pasts[place];
        let Some(Force {
            archetype,
            confidence,
        }) = force
        else {
            // Before its first verdict the published code extrapolates a line.
            let replicas = past.simulator.generic(&seen);
            let classed = Classed {
                archetype: None,
                confidence: 0.0,
                scaled: Some(
                    simulator::generic_answer(replicas).scaled(Archetype::Stationary, &seen),
                ),
            };
            return Ok((classed, Some(Replicas::new(replicas))));
        };
        // It knows no Idle: an hour without demand is whatever its rules make of zeros.
        let by = match archetype {
            Archetype::Idle => Archetype::Stationary,
            _ if self.version == Version::Threshold && confidence < FORCED => Archetype::Stationary,
            other => other,
        };
        let answer = self.version.answer(by, confidence, &seen, past);
        let classed = Classed {
            archetype: Some(archetype),
            confidence,
            scaled: Some(answer.scaled(by, &seen)),
        };
        Ok((classed, Some(Replicas::new(answer.replicas))))
    }
}

impl Version {
    fn answer(self, by: Archetype, confidence: f64, now: &Now, past: &mut Past) -> Answer {
        match self {
            Self::Threshold => past.simulator.answer(by, confidence, now),
            Self::Strategies => past.strategies.answer(by, confidence, now),
            Self::Levels => levels::answer(by, confidence, now),
            Self::Paper => {
                let base = by.strategy().unwrap_or(Strategy::STATIONARY);
                let adjusted = adjust(confidence, &base);
                let replicas = past.strategies.target(by, adjusted.target, now);
                let more = (f64::from(replicas) * adjusted.multiplier - 1e-9).ceil() as u32;
                Answer {
                    replicas: more.clamp(adjusted.min.get(), base.max.get()),
                    target: base.target,
                    adjusted_target: adjusted.target,
                    multiplier: adjusted.multiplier,
                    cooldown: adjusted.cooldown,
                }
            }
        }
    }
}

impl Proposer for Published {
    fn propose(&mut self, view: &View<'_>, context: &Context<'_>) -> Proposal {
        self.fit_to(view.spec);
        let cools = self.version == Version::Paper;
        let mut told = Told::default();
        for (place, target) in view.spec.targets().iter().enumerate() {
            if let Some(history) = view.target(place) {
                let found = self.classed(place, target, history, context.now);
                told.add(target, found, cools);
            }
        }
        told.proposal()
    }

    fn save(&self) -> Vec<u8> {
        let pairs: Vec<_> = self.memories.iter().zip(&self.pasts).collect();
        serde_json::to_vec(&pairs).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let pairs: Vec<(Memory, Past)> =
            serde_json::from_slice(state).map_err(|e| RestoreError {
                proposer: ENTRY.name.to_owned(),
                why: e.to_string(),
            })?;
        (self.memories, self.pasts) = pairs.into_iter().unzip();
        Ok(())
    }
}
