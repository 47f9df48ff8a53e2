//! What every proposer on a forecast shares: the demand ahead of each target, kept by its name.
//!
//! A proposer of this kind is one [`Sizing`]: replicas from what is ahead. Points become steps, the
//! forecaster is kept up to date step by step and fitted anew by refits, and the quantiles are
//! stretched until they hold what they promise.

mod ahead;
mod forecasts;
mod kept;
mod learnt;

use std::fmt::Debug;

use foresail_core::history::{TargetHistory, View};
use foresail_core::observe::Metric;
use foresail_core::propose::plan::Setting;
use foresail_core::propose::refit::RefitRequest;
use foresail_core::propose::{
    Absence, Basis, Confidence, Context, Outlook, Proposal, Proposer, Reactive, RestoreError,
};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::{SpecProblem, ValidSpec, ValidTarget};

use crate::forecast::POINTS_MAX;
use crate::forecast::trust::Demands;
use crate::knobs::{Kind, Knob};
use crate::registry::{Build, FORECASTERS, forecaster};

pub(crate) use ahead::{Ahead, MemoryState};
pub(crate) use forecasts::{Forecasts, Known};
use kept::Choice;

/// Step of the demand series.
pub(crate) const STEP: Span = Span::from_seconds(60);

/// Ticks between two saves: an hour at the default interval. A state may have some 100 kB, and the
/// points since stand in the view.
pub(crate) const TICKS_PER_SAVE: u64 = 240;

/// Steps without which nothing is fitted.
const POINTS_MIN: i64 = 30;

/// Which forecaster.
pub(crate) const FORECASTER: Knob = Knob {
    name: "forecaster",
    kind: Kind::Name { default: "auto" },
    doc: "which one, by its name",
};

/// Its knobs.
pub(crate) const FORECASTER_KNOBS: Knob = Knob {
    name: "forecasterKnobs",
    kind: Kind::Map,
    doc: "knobs of the forecaster, by their names",
};

/// How far ahead.
pub(crate) const HORIZON: Knob = Knob::number(
    "horizonSeconds",
    [0.0, 0.0, 86_400.0],
    "how far ahead a replica asked for now must serve; 0 = its start-up",
);

/// How much is fitted to.
pub(crate) const HISTORY: Knob = Knob::number(
    "historySeconds",
    [1_209_600.0, 3600.0, 5_184_000.0],
    "how much history a model is fitted to",
);

/// How often.
pub(crate) const REFIT: Knob = Knob::number(
    "refitSeconds",
    [604_800.0, 600.0, 2_592_000.0],
    "age at which a model is fitted anew, besides each doubling of its history",
);

/// How a proposer on a forecast works.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    choice: Choice,
    /// The series that is forecast.
    metric: Metric,
    step: Span,
    /// Levels of the forecast, rising.
    levels: Vec<f64>,
    /// Places of the 10 %, 50 % and 90 % quantiles among them.
    band: [usize; 3],
    /// Place of the level that sizes the wish.
    sizing: usize,
    /// Time from asked to serving; absent = the target's start-up.
    horizon: Option<Span>,
    history_steps: i64,
    refit: Span,
    points_min: i64,
    /// `true`: it is tripped where it is not to be trusted.
    watched: bool,
    demands: Demands,
    /// Demand that is older says nothing of what is ahead.
    stale_after: Span,
    seed: u64,
}

impl Settings {
    /// Settings of the shared knobs; `level` sizes the wish.
    ///
    /// # Errors
    /// What is wrong with the forecaster's name and knobs, and a target whose capacity is neither
    /// given nor can be learnt.
    pub(crate) fn new(build: &Build<'_>, level: f64) -> Result<Self, Vec<SpecProblem>> {
        let name = match build.knobs.word("forecaster") {
            "" => "last",
            name => name,
        };
        Self::of(build, name, level)
    }

    /// The same of the peaks of busy containers, which need no capacity.
    ///
    /// # Errors
    /// What is wrong with the forecaster's name and knobs.
    pub(crate) fn of_peaks(build: &Build<'_>, level: f64) -> Result<Self, Vec<SpecProblem>> {
        let settings = Self::named(build, build.knobs.word("forecaster"), level, Vec::new())?;
        Ok(Self {
            metric: Metric::BusyPeak,
            ..settings
        })
    }

    fn of(build: &Build<'_>, name: &str, level: f64) -> Result<Self, Vec<SpecProblem>> {
        Self::named(build, name, level, unknown_capacities(build.spec))
    }

    fn named(
        build: &Build<'_>,
        name: &str,
        level: f64,
        mut problems: Vec<SpecProblem>,
    ) -> Result<Self, Vec<SpecProblem>> {
        let choice = Choice {
            name: name.to_owned(),
            knobs: build.knobs.map("forecasterKnobs"),
        };
        let path = format!("{}.forecaster", build.path);
        let unfitted = forecaster(&choice.name, &choice.knobs, &path);
        problems.extend(unfitted.err().into_iter().flatten());
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut levels = vec![0.1, 0.5, 0.9, level];
        levels.sort_by(f64::total_cmp);
        levels.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
        let place = |of: f64| {
            levels
                .iter()
                .position(|l| (l - of).abs() < 1e-9)
                .unwrap_or(0)
        };
        let seconds = |name| Span::from_seconds(build.knobs.number(name) as i64);
        let steps = (seconds("historySeconds").nanos() / STEP.nanos()).clamp(1, POINTS_MAX as i64);
        Ok(Self {
            choice,
            metric: Metric::Demand,
            step: STEP,
            band: [0.1, 0.5, 0.9].map(place),
            sizing: place(level),
            levels,
            horizon: Some(seconds("horizonSeconds")).filter(|h| *h > Span::ZERO),
            history_steps: steps,
            refit: seconds("refitSeconds"),
            points_min: POINTS_MIN,
            watched: false,
            demands: Demands {
                coverage_percent_min: 0.0,
                error_percent_max: f64::INFINITY,
            },
            stale_after: build.spec.written().guards.stale_after + STEP,
            seed: build.seed.0,
        })
    }

    /// The same, tripped where coverage or skill is lost or demand changes.
    pub(crate) fn watched(mut self, demands: Demands) -> Self {
        self.watched = true;
        self.demands = demands;
        self
    }

    /// Half of the least that can come in a step: a request, in requests per second, or a container.
    fn half(&self) -> f64 {
        match self.metric {
            Metric::BusyPeak => 0.5,
            _ => 0.5 / self.step.seconds(),
        }
    }

    /// Begin of step `number`.
    fn begin_of(&self, number: i64) -> Timestamp {
        Timestamp::from_nanos((number - 1).saturating_mul(self.step.nanos()))
    }

    pub(crate) fn forecaster_name(&self) -> &'static str {
        let entry = FORECASTERS.iter().find(|e| e.name == self.choice.name);
        entry.map_or("none", |e| e.name)
    }
}

/// Targets whose capacity is not given, where there is no reactive floor to learn it from.
fn unknown_capacities(spec: &ValidSpec) -> Vec<SpecProblem> {
    let unknown = |(i, target): (usize, &ValidTarget)| {
        let message = format!(
            "`{}` needs one, the demand that one replica serves, such as `100 req/s`; with a reactive floor it would be learnt",
            target.id
        );
        let missing = target.capacity.is_none() && !spec.needs_floor();
        missing.then(|| SpecProblem::new(format!("targets[{i}].capacity"), message))
    };
    spec.targets()
        .iter()
        .enumerate()
        .filter_map(unknown)
        .collect()
}

/// What a sizing looks at besides what is ahead.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    /// Demand that one replica serves.
    pub(crate) capacity: f64,
    /// Replicas asked for at present.
    pub(crate) current: Replicas,
    pub(crate) history: &'a TargetHistory,
    pub(crate) now: Timestamp,
}

/// A number of replicas with the demand that it is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sized {
    pub(crate) replicas: Replicas,
    pub(crate) demand: f64,
}

impl Sized {
    /// The same with one replica at least.
    pub(crate) fn at_least_one(self) -> Self {
        Self {
            replicas: self.replicas.max(Replicas::ONE),
            ..self
        }
    }
}

/// Makes replicas of what is ahead.
pub(crate) trait Sizing: Send + Debug {
    /// The replicas; `None` where they cannot be told.
    fn size(&self, ahead: &Ahead, scene: &Scene<'_>) -> Option<Sized>;
}

/// The replicas that cover a demand soon and later.
///
/// What is needed later must be asked for now. What is needed before can no longer be asked for, but
/// what serves it must not be taken away.
pub(crate) fn covering(soon: f64, later: f64, scene: &Scene<'_>) -> Option<Sized> {
    let later_replicas = Replicas::covering(later, scene.capacity)?;
    let kept = Replicas::covering(soon, scene.capacity)?.min(scene.current);
    let (replicas, demand) = if kept > later_replicas {
        (kept, soon)
    } else {
        (later_replicas, later)
    };
    Some(Sized { replicas, demand })
}

/// A proposer on a forecast.
#[derive(Debug)]
pub(crate) struct OnForecast {
    name: &'static str,
    forecasts: Forecasts,
    sizing: Box<dyn Sizing>,
}

impl OnForecast {
    pub(crate) fn new(name: &'static str, settings: Settings, sizing: Box<dyn Sizing>) -> Self {
        Self {
            name,
            forecasts: Forecasts::new(settings),
            sizing,
        }
    }

    /// What is ahead of one target and what follows from it.
    fn wish(
        &mut self,
        place: usize,
        target: &ValidTarget,
        history: &TargetHistory,
        reactive: Reactive,
        (now, interval): (Timestamp, Span),
    ) -> Result<(Outlook, Sized, [Replicas; 2]), Absence> {
        let known = self
            .forecasts
            .look(place, target, history, reactive, (now, interval));
        let ahead = known.ahead?;
        let capacity = known.capacity.ok_or(Absence::NoCapacity)?;
        let state = history.state.as_ref().ok_or(Absence::NoMetric)?;
        let current = state.current_replicas();
        let scene = Scene {
            capacity,
            current,
            history,
            now,
        };
        let sized = self.sizing.size(&ahead, &scene).ok_or(Absence::NoMetric)?;
        let edge = |demand| Replicas::covering(demand, capacity).ok_or(Absence::NoMetric);
        let interval = [edge(ahead.later.q10)?, edge(ahead.later.q90)?];
        let outlook = self.forecasts.outlook(&ahead, sized, capacity, now);
        Ok((outlook, sized, interval))
    }
}

impl Proposer for OnForecast {
    fn propose(&mut self, view: &View<'_>, context: &Context<'_>) -> Proposal {
        self.forecasts.fit_to(view.spec);
        let interval = view.spec.written().interval;
        let mut plan = Vec::new();
        let mut told = None;
        let mut absence = None;
        for (place, target) in view.spec.targets().iter().enumerate() {
            let Some(history) = view.target(place) else {
                continue;
            };
            let reactive = context.reactive[place];
            match self.wish(place, target, history, reactive, (context.now, interval)) {
                Ok((outlook, sized, [low, high])) => {
                    plan.push((target.id.clone(), Setting::replicas(sized.replicas)));
                    told.get_or_insert((outlook, (low, high)));
                }
                Err(why) => {
                    absence.get_or_insert(why);
                }
            }
        }
        let Some((outlook, interval)) = told else {
            return Proposal::absent(absence.unwrap_or(Absence::NoHistory));
        };
        Proposal {
            plan,
            interval: Some(interval),
            confidence: Confidence::percent(outlook.coverage_percent.unwrap_or(80)),
            ratio_milli: None,
            cooldowns: Vec::new(),
            basis: Basis::Forecast(Box::new(outlook)),
        }
    }

    fn install(&mut self, artifact: &[u8]) -> bool {
        self.forecasts.install(artifact)
    }

    fn refits(&mut self) -> Vec<RefitRequest> {
        self.forecasts.refits()
    }

    fn ticks_per_save(&self) -> u64 {
        TICKS_PER_SAVE
    }

    fn save(&self) -> Vec<u8> {
        self.forecasts.bytes()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        self.forecasts.read(state, self.name)
    }
}
