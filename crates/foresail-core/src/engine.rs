//! The decision: one engine, one closed input, three drivers.
//!
//! Propose, shape, combine, guard: everything between what is known and what is decided happens
//! here, purely. The simulator, the controller and replay feed the same [`Engine`]; nothing but an
//! [`Input`] moves one.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use crate::act::{Outcome, Seq, Settled};
use crate::combine::gate::{self, GateScene};
use crate::combine::{Chosen, Judged, Wanted, combine, floor};
use crate::guard::{self, GuardName, Limit, Scene};
use crate::history::{Change, History, Pending, TargetHistory, View};
use crate::hpa::{self, MetricsProposal, Shortcut};
use crate::observe::{Health, Samples, TargetState};
use crate::propose::advice::Advice;
use crate::propose::plan::{Plan, Setting};
use crate::propose::refit::RefitRequest;
use crate::propose::{Absence, Context, Proposal, Proposer, Reactive, RestoreError};
use crate::quantity::time::{Span, Timestamp};
use crate::quantity::units::Replicas;
use crate::shape;
use crate::spec::{Mode, ValidSpec};

/// The most bytes of artifacts that one engine holds.
const ARTIFACT_BYTES_MAX: usize = 256 << 20;

/// The blake3 hash of some bytes, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hash(String);

impl Hash {
    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).to_hex().to_string())
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Everything that can move an engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Input {
    /// What is new in the world.
    Samples(Samples),
    /// An answer from outside: of an agent, a tuner, an oracle.
    Advice(Advice),
    /// A refit model is ready; its bytes are in the artifact store.
    Installed {
        /// The hash of its bytes.
        artifact: Hash,
    },
    /// Decide.
    Tick {
        /// The time of the decision.
        now: Timestamp,
    },
    /// What a decision came to.
    Settled {
        /// Which tick's.
        seq: Seq,
        /// What came of it.
        outcome: Outcome,
        /// The settings that were written; empty where none was.
        #[serde(default)]
        executed: Plan,
    },
}

/// One proposer with its name and the state it had when it last worked.
#[derive(Debug)]
struct Seat {
    name: String,
    proposer: Box<dyn Proposer>,
    saved: Vec<u8>,
}

impl Seat {
    /// Saves the state for the case that the proposer breaks down, where that is due.
    fn save(&mut self, seq: Seq) {
        if seq.0.is_multiple_of(self.proposer.ticks_per_save().max(1)) {
            self.saved = self.proposer.save();
        }
    }

    fn saves_always(&self) -> bool {
        self.proposer.ticks_per_save() <= 1
    }
}

/// The state of an engine, as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Snapshot {
    /// Version of the form.
    #[serde(deserialize_with = "known_version")]
    pub v: u8,
    /// What the engine remembers.
    pub history: History,
    /// State of each proposer by name, in hexadecimal.
    pub proposers: Vec<(String, String)>,
    /// What those that do not save at every tick would go on from if they broke down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<(String, String)>,
}

/// Version of a snapshot's form.
const SNAPSHOT_VERSION: u8 = 1;

/// Reads the version of a snapshot and refuses every other.
fn known_version<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let v = u8::deserialize(deserializer)?;
    if v == SNAPSHOT_VERSION {
        return Ok(v);
    }
    let why = format!("a snapshot of version {v}; this binary reads version {SNAPSHOT_VERSION}");
    Err(serde::de::Error::custom(why))
}

/// What was decided for one target, and every value on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetTick {
    /// What was asked for before.
    pub current: Setting,
    /// Pods that were ready.
    pub ready: Replicas,
    /// What a live HPA asked for.
    pub incumbent: Option<Replicas>,
    /// Age of the newest sample.
    pub sample_age: Option<Span>,
    /// Where the HPA goes without looking at metrics.
    pub shortcut: Shortcut,
    /// The HPA's pass over the metrics at the current requests, where one was made.
    pub pass: Option<MetricsProposal>,
    /// What was wanted, and whose number it is.
    pub wanted: Wanted,
    /// The chain from wanted to decided.
    pub limits: Vec<Limit>,
    /// What is decided, before the arbiter.
    pub decided: Setting,
}

impl TargetTick {
    /// `true` where something has to be written.
    #[must_use]
    pub fn changes(&self) -> bool {
        let differs = |axis| self.decided.get(&axis) != self.current.get(&axis);
        self.decided.replicas != self.current.replicas || self.decided.axes().any(differs)
    }
}

/// One turn of the loop: what [`Engine::feed`] answers to [`Input::Tick`].
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Its number.
    pub seq: Seq,
    /// Its time.
    pub at: Timestamp,
    /// What the user allows.
    pub mode: Mode,
    /// What the controller allows itself.
    pub health: Health,
    /// Every proposal and what became of it, in the order of the spec.
    pub judged: Vec<Judged>,
    /// Every target, in the order of the spec.
    pub targets: Vec<TargetTick>,
    /// Models to be fitted; `foresail_models::refit` runs them.
    pub refits: Vec<RefitRequest>,
}

/// Decides; pure, and never fails once its spec is valid.
#[derive(Debug)]
pub struct Engine {
    spec: ValidSpec,
    seats: Vec<Seat>,
    history: History,
    artifacts: BTreeMap<Hash, Vec<u8>>,
    /// A guard that is left out, for counterfactuals alone.
    without: Option<GuardName>,
    needs_floor: bool,
}

impl Engine {
    /// An engine with proposers in the order of the spec.
    ///
    /// The one caller outside tests is `foresail_models::registry::build_engine`.
    #[must_use]
    pub fn new(spec: ValidSpec, proposers: Vec<Box<dyn Proposer>>) -> Self {
        let names = spec.written().proposers.iter().map(|p| p.name.clone());
        let seats = names
            .zip(proposers)
            .map(|(name, proposer)| Seat {
                name,
                saved: proposer.save(),
                proposer,
            })
            .collect();
        let history = History::new(&spec);
        let needs_floor = spec.needs_floor();
        Self {
            spec,
            seats,
            history,
            artifacts: BTreeMap::new(),
            without: None,
            needs_floor,
        }
    }

    /// What the user wants.
    #[must_use]
    pub fn spec(&self) -> &ValidSpec {
        &self.spec
    }

    /// What is remembered.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// One target's memory, by its place in the spec.
    #[must_use]
    pub fn target_history(&self, index: usize) -> Option<&TargetHistory> {
        self.history.targets.get(index).map(|(_, target)| target)
    }

    /// Records of one target, to start from what another controller already knows.
    pub fn records_mut(&mut self, index: usize) -> Option<&mut hpa::Records> {
        self.history
            .targets
            .get_mut(index)
            .map(|(_, target)| &mut target.records)
    }

    /// Leaves one guard out, to see what it changed.
    pub fn leave_out(&mut self, guard: GuardName) {
        self.without = Some(guard);
    }

    /// Takes an artifact into the store, so that [`Input::Installed`] can name it; returns its hash.
    ///
    /// It stays until it is installed; the least hashes give way when the store is full.
    pub fn store(&mut self, bytes: Vec<u8>) -> Hash {
        let hash = Hash::of(&bytes);
        self.artifacts.insert(hash.clone(), bytes);
        while self.artifacts.values().map(Vec::len).sum::<usize>() > ARTIFACT_BYTES_MAX {
            self.artifacts.pop_first();
        }
        hash
    }

    /// `true` while an artifact is stored that was not installed yet.
    #[must_use]
    pub fn awaits_artifacts(&self) -> bool {
        !self.artifacts.is_empty()
    }

    /// The decision: takes in one input; only [`Input::Tick`] yields a tick.
    pub fn feed(&mut self, input: Input) -> Option<Tick> {
        match input {
            Input::Samples(samples) => self.history.absorb(&self.spec, samples),
            Input::Advice(advice) => self.history.advise(advice),
            Input::Installed { artifact } => self.install(&artifact),
            Input::Settled {
                seq,
                outcome,
                executed,
            } => self.settle(seq, outcome, executed),
            Input::Tick { now } => return Some(self.tick(now)),
        }
        None
    }

    fn install(&mut self, artifact: &Hash) {
        let Some(bytes) = self.artifacts.remove(artifact) else {
            return;
        };
        for seat in &mut self.seats {
            if seat.proposer.install(&bytes) && seat.saves_always() {
                seat.saved = seat.proposer.save();
            }
        }
    }

    fn settle(&mut self, seq: Seq, outcome: Outcome, executed: Plan) {
        let Some(place) = self.history.pending.iter().position(|p| p.seq == seq) else {
            return;
        };
        let Some(pending) = self.history.pending.remove(place) else {
            return;
        };
        if outcome == Outcome::Applied {
            for (target, setting) in &executed {
                self.remember_executed(&pending, target, setting);
            }
        }
        let settled = Settled {
            seq,
            at: pending.at,
            outcome,
            executed,
        };
        for seat in &mut self.seats {
            seat.proposer.settled(&settled);
            if seat.saves_always() {
                seat.saved = seat.proposer.save();
            }
        }
    }

    fn remember_executed(
        &mut self,
        pending: &Pending,
        target: &crate::propose::plan::TargetId,
        setting: &Setting,
    ) {
        let from = pending
            .from
            .iter()
            .find(|(id, _)| id == target)
            .and_then(|(_, s)| s.replicas);
        let (Some(index), Some(from), Some(to)) =
            (self.spec.index_of(target), from, setting.replicas)
        else {
            return;
        };
        let rules = &self.spec.targets()[index].rules;
        let history = &mut self.history.targets[index].1;
        if from != to {
            hpa::record_scale(
                rules,
                &mut history.records,
                from.as_i32(),
                to.as_i32(),
                pending.at,
            );
            history.remember_change(Change {
                at: pending.at,
                from,
                to,
            });
        }
    }

    fn tick(&mut self, now: Timestamp) -> Tick {
        self.history.seq.0 += 1;
        self.seed_records(now);
        let (reactive, passes) = self.reactive_all(now);
        let view = self.history.view(&self.spec, now);
        let proposals = propose_all(&mut self.seats, &view, &reactive, self.history.seq);
        let refits = refits_of(&mut self.seats);
        let judged = self.judge_all(proposals, now);
        let mut targets = Vec::with_capacity(self.spec.targets().len());
        for (index, pass) in passes.into_iter().enumerate() {
            targets.push(self.decide(index, pass, reactive[index], &judged, now));
        }
        let seq = self.history.seq;
        self.await_outcome(seq, now, &targets);
        Tick {
            seq,
            at: now,
            mode: self.spec.mode(),
            health: self.history.health,
            judged,
            targets,
            refits,
        }
    }

    /// A fresh memory begins with the current number as a raw value, as Kubernetes' does, so that
    /// a restart cannot scale down at once.
    fn seed_records(&mut self, now: Timestamp) {
        for (_, target) in &mut self.history.targets {
            if let Some(state) = &target.state {
                target
                    .records
                    .seed_if_empty(state.current_replicas().as_i32(), now);
            }
        }
    }

    fn reactive_all(&self, now: Timestamp) -> (Vec<Reactive>, Vec<Option<MetricsProposal>>) {
        let none = Reactive {
            replicas: None,
            metric: 0,
            ratio_milli: 0,
        };
        let mut reactive = Vec::with_capacity(self.spec.targets().len());
        let mut passes = Vec::with_capacity(self.spec.targets().len());
        for (target, (_, history)) in self.spec.targets().iter().zip(&self.history.targets) {
            let state = history.state.as_ref().filter(|_| self.needs_floor);
            let readable =
                state.filter(|s| floor::shortcut(&self.spec, target, s) == Shortcut::Metrics);
            let pass = readable.map(|s| {
                floor::metrics_pass(
                    &self.spec,
                    target,
                    s,
                    &crate::propose::plan::Resources::NONE,
                    now,
                )
            });
            reactive.push(pass.as_ref().map_or(none, floor::reactive_of));
            passes.push(pass);
        }
        (reactive, passes)
    }

    fn judge_all(&mut self, proposals: Vec<Proposal>, now: Timestamp) -> Vec<Judged> {
        let states = || {
            self.history
                .targets
                .iter()
                .filter_map(|(_, t)| t.state.as_ref())
        };
        let scene = GateScene {
            spec: &self.spec.written().combine.gate,
            interval: self.spec.written().interval,
            startup: self
                .spec
                .targets()
                .iter()
                .filter_map(|t| t.startup)
                .max()
                .unwrap_or(Span::ZERO),
            slo_broken: states().any(|s| s.slo_broken),
            health: self.history.health,
            now,
        };
        let gates: Vec<_> = proposals.iter().map(|p| gate::judge(p, &scene)).collect();
        let mut judged = Vec::with_capacity(proposals.len());
        for (place, (proposal, gate)) in proposals.into_iter().zip(gates).enumerate() {
            let shape = self.shape(place, &proposal, now);
            judged.push(Judged {
                proposal,
                shape,
                gate,
            });
        }
        judged
    }

    fn shape(&mut self, place: usize, proposal: &Proposal, now: Timestamp) -> Vec<Limit> {
        let spec = &self.spec.written().proposers[place].shape;
        let mut limits = Vec::new();
        for (target, setting) in &proposal.plan {
            let Some(index) = self.spec.index_of(target) else {
                continue;
            };
            let history = &mut self.history.targets[index].1;
            let (Some(state), Some(wished)) = (&history.state, setting.replicas) else {
                continue;
            };
            let episode = history.panics.get(place).copied().flatten();
            let ratio_milli = proposal.ratio_milli;
            let wish = shape::Wish {
                spec,
                state,
                history,
                episode,
                ratio_milli,
                cooldown: proposal.cooldown(target),
                now,
            };
            let shaped = shape::run(target, wished, wish);
            limits.extend(shaped.limits);
            if let Some(slot) = history.panics.get_mut(place) {
                *slot = shaped.episode;
            }
        }
        limits
    }

    fn decide(
        &mut self,
        index: usize,
        pass: Option<MetricsProposal>,
        reactive: Reactive,
        judged: &[Judged],
        now: Timestamp,
    ) -> TargetTick {
        let target = &self.spec.targets()[index];
        let history = &self.history.targets[index].1;
        let Some(state) = &history.state else {
            return unseen(reactive);
        };
        let shortcut = floor::shortcut(&self.spec, target, state);
        let floor_at = |setting: &Setting| self.floor_at(index, state, setting, reactive, now);
        let combined = &self.spec.written().combine;
        let wanted = combine(combined, (index, target), judged, &state.current, floor_at);
        let scene = Scene {
            target,
            guards: &self.spec.written().guards,
            state,
            history,
            floor: wanted.reactive.replicas,
            shortcut,
            wish: wanted.chosen.is_some(),
            metric_invalid: pass.as_ref().is_some_and(MetricsProposal::has_failures),
            hpa_alone: self.spec.hpa_alone(),
            health: self.history.health,
            leading: self.history.leading,
            now,
        };
        let (decided, limits) = guard::run(&wanted.setting, &scene, self.without);
        let tick = TargetTick {
            current: state.current.clone(),
            ready: state.ready,
            incumbent: state.incumbent,
            sample_age: history.sample_age(now),
            shortcut,
            pass,
            wanted,
            limits,
            decided,
        };
        self.record_raw(index, &tick, now);
        tick
    }

    /// The floor at a setting's requests; only another request asks for another pass.
    fn floor_at(
        &self,
        index: usize,
        state: &TargetState,
        setting: &Setting,
        reactive: Reactive,
        now: Timestamp,
    ) -> Reactive {
        let target = &self.spec.targets()[index];
        let readable = floor::shortcut(&self.spec, target, state) == Shortcut::Metrics;
        if setting.per_pod.is_empty() || !self.needs_floor || !readable {
            return reactive;
        }
        floor::reactive_of(&floor::metrics_pass(
            &self.spec,
            target,
            state,
            &target.within_bounds(&setting.per_pod),
            now,
        ))
    }

    /// Remembers what was wanted, before any limit, as the HPA's windows need it.
    fn record_raw(&mut self, index: usize, tick: &TargetTick, now: Timestamp) {
        let looked = tick.shortcut == Shortcut::Metrics && tick.wanted.chosen.is_some();
        if let Some(raw) = tick.wanted.setting.replicas.filter(|_| looked) {
            let rules = &self.spec.targets()[index].rules;
            let records = &mut self.history.targets[index].1.records;
            hpa::record_recommendation(rules, records, raw.as_i32(), now);
        }
    }

    fn await_outcome(&mut self, seq: Seq, at: Timestamp, targets: &[TargetTick]) {
        if targets.iter().any(TargetTick::changes) {
            let ids = self.spec.targets().iter().map(|t| t.id.clone());
            let from = ids.zip(targets.iter().map(|t| t.current.clone())).collect();
            self.history.await_outcome(Pending { seq, at, from });
        }
    }

    /// The state as data.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let state = |s: &Seat| match s.saves_always() {
            true => hex(&s.saved),
            false => hex(&s.proposer.save()),
        };
        let rare = self.seats.iter().filter(|s| !s.saves_always());
        let named = |s: &Seat, state: String| (s.name.clone(), state);
        Snapshot {
            v: SNAPSHOT_VERSION,
            history: self.history.clone(),
            proposers: self.seats.iter().map(|s| named(s, state(s))).collect(),
            fallbacks: rare.map(|s| named(s, hex(&s.saved))).collect(),
        }
    }

    /// Takes back a snapshot, also one of another spec: what belongs to no target or proposer of
    /// this one is left out.
    ///
    /// # Errors
    /// [`RestoreError`] where a proposer's state is not readable; the engine is then unchanged in
    /// its history.
    pub fn restore(&mut self, snapshot: Snapshot) -> Result<(), RestoreError> {
        let mut rare = 0;
        for (place, seat) in self.seats.iter_mut().enumerate() {
            if let Some(state) = state_of(&snapshot.proposers, place, &seat.name)? {
                seat.proposer.restore(&state)?;
                seat.saved = state;
            }
            if !seat.saves_always() {
                let fallback = state_of(&snapshot.fallbacks, rare, &seat.name)?;
                seat.saved = fallback.unwrap_or_else(|| std::mem::take(&mut seat.saved));
                rare += 1;
            }
        }
        self.history = snapshot.history;
        self.history.fit_to(&self.spec);
        Ok(())
    }
}

/// The saved state of a proposer: the one at its place where that has its name, else by its name.
fn state_of(
    saved: &[(String, String)],
    place: usize,
    name: &str,
) -> Result<Option<Vec<u8>>, RestoreError> {
    let same_place = saved.get(place).filter(|(n, _)| n == name);
    let found = same_place.or_else(|| saved.iter().find(|(n, _)| n == name));
    let Some((_, state)) = found else {
        return Ok(None);
    };
    unhex(state).map(Some).ok_or_else(|| RestoreError {
        proposer: name.to_owned(),
        why: "not hexadecimal".to_owned(),
    })
}

/// The refits that are due, each once though several proposers may ask for the same.
fn refits_of(seats: &mut [Seat]) -> Vec<RefitRequest> {
    let mut all: Vec<RefitRequest> = Vec::new();
    for request in seats.iter_mut().flat_map(|s| s.proposer.refits()) {
        if !all.contains(&request) {
            all.push(request);
        }
    }
    all
}

/// What is said of a target that nobody has looked at yet.
fn unseen(reactive: Reactive) -> TargetTick {
    TargetTick {
        current: Setting::default(),
        ready: Replicas::ZERO,
        incumbent: None,
        sample_age: None,
        shortcut: Shortcut::Disabled,
        pass: None,
        wanted: Wanted {
            setting: Setting::default(),
            chosen: None,
            reactive,
        },
        limits: Vec::new(),
        decided: Setting::default(),
    }
}

/// Asks every proposer in turn. One that breaks down has no wish, and goes on from the state that
/// it last saved; the others are asked all the same.
fn propose_all(
    seats: &mut [Seat],
    view: &View<'_>,
    reactive: &[Reactive],
    seq: Seq,
) -> Vec<Proposal> {
    let now = view.now;
    let mut proposals: Vec<Proposal> = Vec::with_capacity(seats.len());
    for seat in seats {
        let context = Context {
            reactive,
            earlier: &proposals,
            now,
        };
        let asked = catch_unwind(AssertUnwindSafe(|| {
            let proposal = seat.proposer.propose(view, &context);
            seat.save(seq);
            proposal
        }));
        let proposal = match asked {
            Ok(proposal) => proposal,
            Err(_) => {
                let restored =
                    catch_unwind(AssertUnwindSafe(|| seat.proposer.restore(&seat.saved)));
                debug_assert!(
                    restored.is_ok(),
                    "a proposer cannot take back what it saved"
                );
                Proposal::absent(Absence::Failed)
            }
        };
        proposals.push(proposal);
    }
    proposals
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    // States of forecasters are long and often saved: a text for each byte took half of a score's time.
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text
}

/// The bytes of [`hex`]; `None` where the text is something else.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|p| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok())
        .collect()
}

impl Tick {
    /// The name of whose number was wanted for one target.
    #[must_use]
    pub fn chosen_by<'a>(&self, index: usize, spec: &'a ValidSpec) -> Option<&'a str> {
        match self.targets.get(index)?.wanted.chosen? {
            Chosen::Proposer(place) => spec.written().proposers.get(place).map(|p| p.name.as_str()),
            Chosen::Floor => Some("floor"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_two_digits_and_comes_back() {
        assert_eq!(hex(&[0x00, 0x0f, 0xa5, 0xff]), "000fa5ff");
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&all)), Some(all));
        assert_eq!(unhex("0g"), None);
    }
}
