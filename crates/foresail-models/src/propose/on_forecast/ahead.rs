//! One target's demand ahead: its forecaster, what is made of it, and whether it is trusted.

use std::collections::VecDeque;

use foresail_core::history::TargetHistory;
use foresail_core::propose::plan::TargetId;
use foresail_core::propose::refit::{LevelChange, RefitRequest};
use foresail_core::propose::{Absence, TripCause};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::larger;
use serde::{Deserialize, Serialize};

use super::Settings;
use super::kept::{Kept, KeptState};
use super::learnt::Learnt;
use crate::forecast::HORIZON_MAX;
use crate::forecast::change::Detector;
use crate::forecast::trust::Trust;
use crate::refit::step_of;

/// Changes of level that are remembered; older ones have left the window or are doubtful.
const LEVELS_MAX: usize = 8;

/// Demand as it is expected, from one instant to another.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Quantiles {
    pub(crate) q10: f64,
    pub(crate) q50: f64,
    pub(crate) q90: f64,
    /// The quantile that sizes the wish.
    pub(crate) sizing: f64,
}

impl Quantiles {
    fn or_larger(self, other: Self) -> Self {
        Self {
            q10: larger(self.q10, other.q10),
            q50: larger(self.q50, other.q50),
            q90: larger(self.q90, other.q90),
            sizing: larger(self.sizing, other.sizing),
        }
    }
}

/// What is ahead of a decision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ahead {
    /// The most until a replica asked for now is ready.
    pub(crate) soon: Quantiles,
    /// The most from then until one asked for at the next decision is.
    pub(crate) later: Quantiles,
    /// What was said of the last step, and what came.
    pub(crate) said_of_now: Option<f64>,
    pub(crate) last: f64,
    /// How far ahead it looks.
    pub(crate) horizon: Span,
    pub(crate) forecaster: &'static str,
    pub(crate) fitted_at: Option<Timestamp>,
    pub(crate) coverage_percent: Option<u8>,
    pub(crate) relearnt_at: Option<Timestamp>,
}

/// When a decision takes effect, and for how long it must do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reach {
    pub(crate) startup: Span,
    pub(crate) interval: Span,
}

/// What is remembered of one target.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) target: TargetId,
    /// Number of the last step that was taken in, and its value.
    seen: Option<(i64, f64)>,
    kept: Kept,
    levels: VecDeque<LevelChange>,
    detector: Detector,
    trust: Option<Trust>,
    pub(crate) learnt: Learnt,
    /// A refit is due whatever the age of the model.
    at_once: bool,
    /// Such a refit was asked for and did not come yet.
    relearning: bool,
}

/// A [`Memory`] as data.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MemoryState {
    target: TargetId,
    /// The levels whose quantiles were told.
    told: Vec<f64>,
    seen: Option<(i64, f64)>,
    kept: KeptState,
    levels: VecDeque<LevelChange>,
    detector: Detector,
    trust: Option<Trust>,
    learnt: Learnt,
    at_once: bool,
    relearning: bool,
}

impl Memory {
    pub(crate) fn new(target: TargetId, settings: &Settings) -> Self {
        Self {
            target,
            seen: None,
            kept: Kept::new(settings.choice.clone()),
            levels: VecDeque::new(),
            detector: Detector::default(),
            trust: None,
            learnt: Learnt::default(),
            at_once: false,
            relearning: false,
        }
    }

    /// Takes in every step that is new; returns its value where there was one.
    pub(crate) fn absorb(
        &mut self,
        settings: &Settings,
        history: &TargetHistory,
        now: Timestamp,
        reach: Reach,
    ) -> Option<f64> {
        let points = history.points(settings.metric);
        let step = settings.step;
        if let Some((last, _)) = self.seen {
            self.kept.catch_up(points.iter(), step, last);
        }
        let seen = self.seen.map_or(i64::MIN, |(last, _)| last);
        let first = points.partition_point(|p| step_of(p.at, step) <= seen);
        let mut taken = None;
        for point in points.range(first..) {
            let number = step_of(point.at, step);
            if self.seen.is_none_or(|(last, _)| number > last) {
                self.step(settings, number, point.value, now, reach);
                taken = Some(point.value);
            }
        }
        taken
    }

    fn step(&mut self, settings: &Settings, number: i64, value: f64, now: Timestamp, reach: Reach) {
        self.seen = Some((number, value));
        let lead = self.steps_until(settings, now + reach.startup + reach.interval);
        let came = self.kept.came(settings, number, value);
        if let (Some(score), Some(trust)) = (came.score, &mut self.trust) {
            trust.score(score);
        }
        let expected = came.expected.filter(|_| settings.watched);
        let change = expected.and_then(|expected| self.watch(settings, number, expected, value));
        self.kept.go_on(settings, number, value, lead);
        self.judge(settings, change, now);
    }

    /// Looks for a change of level; returns its factor where one is found.
    fn watch(
        &mut self,
        settings: &Settings,
        number: i64,
        expected: f64,
        value: f64,
    ) -> Option<f64> {
        let counts = |rate: f64| rate * settings.step.seconds();
        let change = self.detector.observe(counts(expected), counts(value))?;
        let at = settings.begin_of(number + 1 - i64::from(change.steps_ago));
        let factor = change.factor;
        self.levels.push_back(LevelChange { at, factor });
        Some(factor)
    }

    /// Whether the forecaster is trusted still or again.
    fn judge(&mut self, settings: &Settings, changed: Option<f64>, now: Timestamp) {
        if settings.watched && self.kept.fitted_at().is_some() {
            let trust = self.trust.get_or_insert_with(|| Trust::new(now));
            if let Some(factor) = changed {
                let percent = (factor * 100.0).round().clamp(0.0, 1e6) as u32;
                trust.trip(TripCause::Change(percent), now);
            }
            self.at_once |= changed.is_some() || trust.judge(&settings.demands, now);
        }
    }

    /// The refit that is due.
    pub(crate) fn refit(
        &mut self,
        settings: &Settings,
        history: &TargetHistory,
        now: Timestamp,
    ) -> Option<RefitRequest> {
        let first = history.points(settings.metric).front();
        let (Some(first), Some((last, _))) = (first, self.seen) else {
            return None;
        };
        let first = step_of(first.at, settings.step);
        let at_once = std::mem::take(&mut self.at_once);
        self.relearning |= at_once;
        self.forget_levels(settings, first);
        let due = self.kept.due(settings, (first, last), now, at_once);
        let request = due.map(|(from, until)| RefitRequest {
            target: self.target.clone(),
            metric: settings.metric,
            forecaster: settings.choice.name.clone(),
            knobs: settings.choice.knobs.clone(),
            step: settings.step,
            from: settings.begin_of(from),
            until: settings.begin_of(until + 1),
            levels: self.levels.iter().copied().collect(),
            seed: settings.seed,
            deadline: Kept::deadline(now),
        })?;
        self.kept.ask(&request);
        Some(request)
    }

    fn forget_levels(&mut self, settings: &Settings, first: i64) {
        let begin = settings.begin_of(first);
        while self.levels.len() > LEVELS_MAX || self.levels.front().is_some_and(|l| l.at <= begin) {
            self.levels.pop_front();
        }
    }

    /// Takes in an artifact where it was asked for here.
    pub(crate) fn install(&mut self, artifact: &[u8]) -> bool {
        let taken = self.kept.install(artifact);
        // What a tripped forecaster said before it relearnt is no measure of what it says since.
        if taken && std::mem::take(&mut self.relearning) {
            if let Some(trust) = &mut self.trust {
                trust.forget();
            }
            let changed = !self.detector.is_ready();
            self.kept.unsay(changed);
        }
        taken
    }

    /// Number of steps from the last one to the one that `at` lies in, at least 1.
    fn steps_until(&self, settings: &Settings, at: Timestamp) -> usize {
        let last = self.seen.map_or(0, |(last, _)| last);
        let number = at.nanos().div_euclid(settings.step.nanos().max(1)) + 1;
        usize::try_from(number.saturating_sub(last))
            .unwrap_or(1)
            .clamp(1, HORIZON_MAX)
    }

    /// What is ahead, or why nothing is told of it.
    ///
    /// # Errors
    /// [`Absence`] where there is no fresh demand, no model yet, or no trust in it.
    pub(crate) fn ahead(
        &mut self,
        settings: &Settings,
        now: Timestamp,
        reach: Reach,
    ) -> Result<Ahead, Absence> {
        let (last, value) = self.seen.ok_or(Absence::NoHistory)?;
        if now - settings.begin_of(last + 1) > settings.stale_after {
            return Err(Absence::NoMetric);
        }
        if let Some(trip) = self.trust.as_ref().and_then(|t| t.tripped(now)) {
            return Err(Absence::Tripped(trip));
        }
        let ready = now + reach.startup;
        let [first, middle, end] =
            [now, ready, ready + reach.interval].map(|at| self.steps_until(settings, at));
        let soon = self
            .most(settings, first, middle)
            .ok_or(Absence::NoHistory)?;
        let later = self.most(settings, middle, end).ok_or(Absence::NoHistory)?;
        let kept = &self.kept;
        Ok(Ahead {
            soon,
            later,
            said_of_now: kept.said_of_now(),
            last: value,
            horizon: reach.startup + reach.interval,
            forecaster: settings.forecaster_name(),
            fitted_at: kept.fitted_at(),
            coverage_percent: self.trust.as_ref().and_then(Trust::coverage_percent),
            relearnt_at: self.trust.as_ref().and_then(|t| t.relearnt_at(now)),
        })
    }

    /// The most of each quantile over some steps.
    fn most(&mut self, settings: &Settings, first: usize, last: usize) -> Option<Quantiles> {
        let mut most: Option<Quantiles> = None;
        // The farthest first, so that one forecast serves all.
        for ahead in (first..=last).rev() {
            let told = self.kept.told(settings, ahead)?;
            let [q10, q50, q90] = settings.band.map(|place| told[place]);
            let sizing = told[settings.sizing];
            let of_step = Quantiles {
                q10,
                q50,
                q90,
                sizing,
            };
            most = Some(most.map_or(of_step, |m| m.or_larger(of_step)));
        }
        most
    }

    pub(crate) fn save(&self, settings: &Settings) -> MemoryState {
        MemoryState {
            target: self.target.clone(),
            told: settings.levels.clone(),
            seen: self.seen,
            kept: self.kept.save(settings.step),
            levels: self.levels.clone(),
            detector: self.detector.clone(),
            trust: self.trust.clone(),
            learnt: self.learnt.clone(),
            at_once: self.at_once,
            relearning: self.relearning,
        }
    }

    /// Takes back what was saved, also under other settings: another forecaster begins anew, and
    /// quantiles of other levels are forgotten.
    pub(crate) fn restore(state: MemoryState, settings: &Settings) -> Result<Self, String> {
        let mut kept = Kept::restore(state.kept)?;
        if *kept.choice() != settings.choice {
            return Ok(Self {
                levels: state.levels,
                learnt: state.learnt,
                ..Self::new(state.target, settings)
            });
        }
        if state.told != settings.levels {
            kept.unlearn();
        }
        Ok(Self {
            target: state.target,
            seen: state.seen,
            kept,
            levels: state.levels,
            detector: state.detector,
            trust: state.trust,
            learnt: state.learnt,
            at_once: state.at_once,
            relearning: state.relearning,
        })
    }
}
