//! What the engine remembers: bounded, part of its state, readable through a [`View`].

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::act::Seq;
use crate::hpa::Records;
use crate::observe::{Health, MemoryKill, Metric, Sample, Samples, TargetState, is_plausible};
use crate::propose::advice::{Advice, Says, cut_text};
use crate::propose::plan::{Plan, TargetId};
use crate::quantity::time::{Span, Timestamp};
use crate::quantity::units::Replicas;
use crate::spec::ValidSpec;

/// Changes that are remembered of one target; a minute of changes every second fits.
const CHANGES_MAX: usize = 128;

/// How long a kill for memory counts.
pub const KILL_COUNTS: Span = Span::from_seconds(3600);

/// Pieces of advice that are remembered.
const ADVICE_MAX: usize = 64;

/// Decisions whose outcome is still awaited.
const PENDING_MAX: usize = 256;

/// One measured point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// What; finite and not negative.
    pub value: f64,
}

/// A change of replicas that was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When it was decided.
    pub at: Timestamp,
    /// Replicas before.
    pub from: Replicas,
    /// Replicas after.
    pub to: Replicas,
}

/// A decision whose outcome is awaited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) seq: Seq,
    pub(crate) at: Timestamp,
    pub(crate) from: Plan,
}

/// What a wish owed to itself remembers: the panic of one proposer on one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicEpisode {
    /// Until when it lasts unless it is armed again.
    pub until: Timestamp,
    /// The most replicas wished in it.
    pub most: Replicas,
}

/// What is remembered of one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetHistory {
    /// Its state as last reported; `None` until it was looked at.
    pub state: Option<TargetState>,
    /// Raw values and scale events, as the HPA keeps them.
    pub records: Records,
    demand: VecDeque<Point>,
    concurrency: VecDeque<Point>,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    idle_times: VecDeque<Point>,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    busy_peaks: VecDeque<Point>,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    kept: VecDeque<Point>,
    changes: VecDeque<Change>,
    /// Of the kills for memory that count, the one that had the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kill: Option<MemoryKill>,
    /// Panic of each proposer, in the order of the spec.
    pub(crate) panics: Vec<Option<PanicEpisode>>,
}

impl TargetHistory {
    /// The points of one series, oldest first.
    #[must_use]
    pub fn points(&self, metric: Metric) -> &VecDeque<Point> {
        match metric {
            Metric::Demand => &self.demand,
            Metric::Concurrency => &self.concurrency,
            Metric::IdleTime => &self.idle_times,
            Metric::BusyPeak => &self.busy_peaks,
            Metric::Kept => &self.kept,
        }
    }

    fn points_mut(&mut self, metric: Metric) -> &mut VecDeque<Point> {
        match metric {
            Metric::Demand => &mut self.demand,
            Metric::Concurrency => &mut self.concurrency,
            Metric::IdleTime => &mut self.idle_times,
            Metric::BusyPeak => &mut self.busy_peaks,
            Metric::Kept => &mut self.kept,
        }
    }

    /// Executed changes, oldest first.
    #[must_use]
    pub fn changes(&self) -> &VecDeque<Change> {
        &self.changes
    }

    /// Age of the newest measurement of any kind.
    #[must_use]
    pub fn sample_age(&self, now: Timestamp) -> Option<Span> {
        let reading = self.state.as_ref().and_then(TargetState::newest_reading);
        let points = Metric::ALL
            .iter()
            .filter_map(|m| self.points(*m).back().map(|p| p.at));
        points
            .chain(reading)
            .filter(|at| *at <= now + crate::observe::FUTURE_MAX)
            .max()
            .map(|at| now - at)
    }

    /// Of the kills for memory within the last [`KILL_COUNTS`], the one that had the most memory.
    #[must_use]
    pub fn kill(&self, now: Timestamp) -> Option<MemoryKill> {
        self.kill.filter(|k| now - k.at < KILL_COUNTS)
    }

    fn remember_kills(&mut self, kills: &[MemoryKill], looked_at: Timestamp) {
        let past = kills.iter().filter(|k| k.at <= looked_at).copied();
        let all = self.kill(looked_at).into_iter().chain(past);
        // Of equals the newest, so that the time counts from it.
        self.kill = all.max_by_key(|k| (k.memory.milli(), k.at));
    }

    /// Takes in one point; what is implausible or out of order is as if it had never come.
    fn absorb(&mut self, sample: &Sample, looked_at: Timestamp) {
        let Some(value) = sample.value else { return };
        let points = self.points_mut(sample.metric);
        let newer = points.back().is_none_or(|last| sample.at > last.at);
        if newer && is_plausible(value, sample.at, looked_at) {
            if points.len() >= sample.metric.points_max() {
                points.pop_front();
            }
            points.push_back(Point {
                at: sample.at,
                value,
            });
        }
    }

    pub(crate) fn remember_change(&mut self, change: Change) {
        if self.changes.len() >= CHANGES_MAX {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
    }
}

/// Bounded state of one engine: everything but the proposers' own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    pub(crate) seq: Seq,
    pub(crate) health: Health,
    pub(crate) leading: bool,
    pub(crate) targets: Vec<(TargetId, TargetHistory)>,
    pub(crate) advice: VecDeque<Advice>,
    pub(crate) pending: VecDeque<Pending>,
}

impl History {
    /// An empty history for the targets of a spec.
    #[must_use]
    pub fn new(spec: &ValidSpec) -> Self {
        let targets = spec
            .targets()
            .iter()
            .map(|t| (t.id.clone(), TargetHistory::default()))
            .collect();
        let mut history = Self {
            targets,
            leading: true,
            ..Self::default()
        };
        history.fit_to(spec);
        history
    }

    /// Keeps what belongs to the targets of `spec`, in its order, and forgets the rest.
    pub(crate) fn fit_to(&mut self, spec: &ValidSpec) {
        let mut old = std::mem::take(&mut self.targets);
        let proposers = spec.written().proposers.len();
        for target in spec.targets() {
            let found = old.iter().position(|(id, _)| *id == target.id);
            let mut kept = found.map_or_else(TargetHistory::default, |i| old.swap_remove(i).1);
            kept.panics.resize(proposers, None);
            self.targets.push((target.id.clone(), kept));
        }
    }

    /// Takes in what is new. What belongs to no target of the spec is ignored.
    pub(crate) fn absorb(&mut self, spec: &ValidSpec, samples: Samples) {
        self.health = samples.health;
        self.leading = samples.leading;
        for state in samples.targets {
            if let Some(target) = self.target_mut(spec, &state.target) {
                if !state.kills.is_empty() {
                    target.remember_kills(&state.kills, samples.at);
                }
                target.state = Some(state);
            }
        }
        for sample in &samples.values {
            if let Some(target) = self.target_mut(spec, &sample.target) {
                target.absorb(sample, samples.at);
            }
        }
    }

    fn target_mut(&mut self, spec: &ValidSpec, id: &TargetId) -> Option<&mut TargetHistory> {
        let index = spec.index_of(id)?;
        self.targets.get_mut(index).map(|(_, target)| target)
    }

    /// Takes in advice; a trial's end takes that trial away.
    pub(crate) fn advise(&mut self, mut advice: Advice) {
        cut_text(&mut advice.text);
        if let Says::TrialEnded(number) = advice.says {
            let ended = |a: &Advice| matches!(&a.says, Says::Trial(t) if t.number == number);
            self.advice.retain(|a| !(a.by == advice.by && ended(a)));
            return;
        }
        if self.advice.len() >= ADVICE_MAX {
            self.advice.pop_front();
        }
        self.advice.push_back(advice);
    }

    pub(crate) fn await_outcome(&mut self, pending: Pending) {
        if self.pending.len() >= PENDING_MAX {
            self.pending.pop_front();
        }
        self.pending.push_back(pending);
    }

    /// What may be read at `now`.
    #[must_use]
    pub fn view<'a>(&'a self, spec: &'a ValidSpec, now: Timestamp) -> View<'a> {
        View {
            spec,
            history: self,
            now,
        }
    }
}

/// What a proposer may read.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What the user wants.
    pub spec: &'a ValidSpec,
    history: &'a History,
    /// The time of this tick.
    pub now: Timestamp,
}

impl<'a> View<'a> {
    /// Number of targets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.history.targets.len()
    }

    /// `true` without any target; never so for a valid spec.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.history.targets.is_empty()
    }

    /// One target's memory, by its place in the spec.
    #[must_use]
    pub fn target(&self, index: usize) -> Option<&'a TargetHistory> {
        self.history.targets.get(index).map(|(_, target)| target)
    }

    /// One target's state as last reported.
    #[must_use]
    pub fn state(&self, index: usize) -> Option<&'a TargetState> {
        self.target(index).and_then(|t| t.state.as_ref())
    }

    /// The newest advice of one adviser that is still good.
    #[must_use]
    pub fn advice(&self, by: &str) -> Option<&'a Advice> {
        let good = |a: &&Advice| a.by == by && a.at <= self.now && self.now <= a.until;
        self.history.advice.iter().rev().find(good)
    }
}
