//! One object in the making: explanations in, a fleet row and a page out; bounded in every way.

use std::collections::VecDeque;

use foresail_core::explain::{BasisTold, Explanation, Told};
use foresail_core::guard::GuardName;
use foresail_core::observe::Health;
use foresail_core::propose::Absence;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::Mode;
use foresail_core::value::cost::Price;

use super::lane::{Lane, Mean};
use super::model::{
    ArchetypeSpan, Bound, CostPoint, DecisionTold, DemandPoint, FleetRow, ForecastPoint,
    ObjectPage, ReplicaPoint, Score, VERSION, Verdict, Wrong,
};
use super::{spark, wrong};
use crate::live::score_section::Tally;

/// Stretches of archetypes that are kept.
const ARCHETYPES_MAX: usize = 128;

/// A pause between two decisions that is longer than this is not counted.
const PAUSE_MAX: Span = Span::from_seconds(600);

/// How much is kept of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// The shortest step of the series.
    pub step: Span,
    /// How far back the series reach; steps are lengthened until they do.
    pub span: Span,
    /// Points of each series.
    pub points: usize,
    /// Decisions.
    pub decisions: usize,
}

impl Keeping {
    /// What a controller keeps: a day, in about 50 KB an object.
    pub const CONTROLLER: Self = Self {
        step: Span::from_seconds(15),
        span: Span::from_seconds(86_400),
        points: 360,
        decisions: 20,
    };

    /// What is kept of a recorded run: all of it, however long.
    pub const RECORD: Self = Self {
        step: Span::from_seconds(1),
        span: Span::MAX,
        points: 2_880,
        decisions: 200,
    };

    fn step_max(&self) -> Span {
        let points = i64::try_from(self.points).unwrap_or(i64::MAX).max(1);
        // Doubled steps reach twice as far as is asked for at most.
        Span::from_nanos(self.span.nanos() / points * 2)
    }
}

/// What is new beside an explanation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// New points of demand, oldest first.
    pub demand: Vec<(Timestamp, f64)>,
    /// The forecast with its quantiles; taken from the explanation where absent.
    pub forecast: Option<ForecastPoint>,
    /// The fewest and the most replicas allowed.
    pub bounds: Option<(u32, u32)>,
}

/// What only the controller knows of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// One word for where it stands; made from the explanation where empty.
    pub phase: String,
    /// What is wrong beyond what explanations tell.
    pub wrong: Vec<Wrong>,
    /// How it does against the incumbent.
    pub score: Option<Score>,
    /// Other policies and settings on the same demand.
    pub frontier: Vec<CostPoint>,
}

/// One object: what was told of it, as much as is kept.
#[derive(Clone, Debug)]
pub struct LiveObject {
    namespace: String,
    name: String,
    price: Option<Price>,
    keeping: Keeping,
    demand: Lane<Mean>,
    forecasts: Lane<ForecastPoint>,
    replicas: Lane<ReplicaPoint>,
    archetypes: VecDeque<ArchetypeSpan>,
    decisions: VecDeque<DecisionTold>,
    tally: Tally,
    standing: Standing,
}

fn replicas(told: &Told) -> Option<u32> {
    told.get("replicas").map(|q| q.replicas().get())
}

impl LiveObject {
    /// An object of which nothing is known yet.
    #[must_use]
    pub fn new(namespace: &str, name: &str, keeping: Keeping) -> Self {
        let longest = keeping.step_max();
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            price: None,
            keeping,
            demand: Lane::new(keeping.step, longest, keeping.points),
            forecasts: Lane::new(keeping.step, longest, keeping.points),
            replicas: Lane::new(keeping.step, longest, keeping.points),
            archetypes: VecDeque::new(),
            decisions: VecDeque::new(),
            tally: Tally::default(),
            standing: Standing::default(),
        }
    }

    /// The same object with a price for its replicas.
    #[must_use]
    pub fn with_price(mut self, price: Price) -> Self {
        self.price = Some(price);
        self
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells what only the controller knows.
    pub fn stand(&mut self, standing: Standing) {
        self.standing = standing;
    }

    /// Takes in a decision and what was seen with it.
    pub fn push(&mut self, explanation: Explanation, seen: &Seen) {
        let measured = seen.demand.iter().filter(|(_, value)| value.is_finite());
        for (at, value) in measured {
            self.demand.push(*at, &Mean::of(*value));
        }
        let forecast = seen.forecast.or_else(|| ForecastPoint::told(&explanation));
        if let Some(forecast) = forecast {
            self.forecasts.push(forecast.at, &forecast);
        }
        let point = point(&explanation, seen.bounds);
        self.replicas.push(explanation.at, &point);
        self.tally.add(&point, PAUSE_MAX);
        self.push_archetype(&explanation);
        self.push_decision(explanation);
    }

    fn push_archetype(&mut self, explanation: &Explanation) {
        let told = explanation.proposals.iter().find_map(|p| match &p.basis {
            BasisTold::Archetype {
                confidence_percent, ..
            } => Some(*confidence_percent),
            _ => None,
        });
        if explanation.archetype.is_none() && told.is_none() && self.archetypes.is_empty() {
            return;
        }
        let span = ArchetypeSpan {
            from: explanation.at,
            archetype: explanation.archetype,
            confidence_percent: told,
        };
        // Small moves of the probability are no news.
        let tenth = |c: Option<u8>| c.map(|c| c / 10);
        let same = self.archetypes.back().is_some_and(|last| {
            last.archetype == span.archetype
                && tenth(last.confidence_percent) == tenth(span.confidence_percent)
        });
        if !same {
            if self.archetypes.len() >= ARCHETYPES_MAX {
                self.archetypes.pop_front();
            }
            self.archetypes.push_back(span);
        }
    }

    fn push_decision(&mut self, explanation: Explanation) {
        let key = |e: &Explanation| {
            let limits: Vec<(GuardName, String)> = e
                .limits
                .iter()
                .map(|l| (l.by, l.axis.to_string()))
                .collect();
            (
                e.current.clone(),
                e.decided.clone(),
                e.chosen_by.clone(),
                e.health,
                e.outcome,
                limits,
            )
        };
        if let Some(last) = self.decisions.back_mut()
            && key(&last.explanation) == key(&explanation)
        {
            last.ticks += 1;
            last.explanation = explanation;
            return;
        }
        if self.decisions.len() >= self.keeping.decisions.max(1) {
            self.decisions.pop_front();
        }
        self.decisions.push_back(DecisionTold {
            since: explanation.at,
            ticks: 1,
            explanation,
        });
    }

    fn last(&self) -> Option<&Explanation> {
        self.decisions.back().map(|d| &d.explanation)
    }

    /// Its row; `None` before the first decision.
    #[must_use]
    pub fn row(&self) -> Option<FleetRow> {
        let last = self.last()?;
        let mut wrong = self.standing.wrong.clone();
        let known = |all: &[Wrong], new: &Wrong| all.iter().any(|w| w.reason == new.reason);
        for new in wrong::told(last) {
            if !known(&wrong, &new) {
                wrong.push(new);
            }
        }
        let lines = spark::lines(&self.demand, &self.forecasts, &self.replicas, last.at);
        let score = self.standing.score.as_ref();
        Some(FleetRow {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            target: last.target.to_string(),
            mode: last.mode,
            health: last.health,
            phase: self.phase(last),
            archetype: last.archetype,
            replicas: replicas(&last.current),
            ready: last.ready.get(),
            desired: replicas(&last.decided),
            reactive: last.reactive.map(|r| r.get()),
            incumbent: last.incumbent.map(|r| r.get()),
            limit: last.limits.last().map(|l| Bound {
                by: l.by,
                why: l.why.to_string(),
            }),
            verdict: score.and_then(|s| s.verdict),
            wrong,
            demand: lines.demand,
            forecast: lines.forecast,
            replica_line: lines.replicas,
            cost_per_day: self.cost_per_day(last),
            at: last.at,
            sample_age_seconds: last.sample_age_seconds,
        })
    }

    fn phase(&self, last: &Explanation) -> String {
        if !self.standing.phase.is_empty() {
            return self.standing.phase.clone();
        }
        let learning = last.proposals.iter().any(|p| {
            let absent = match &p.basis {
                BasisTold::Absent { absent } => absent,
                _ => return false,
            };
            matches!(absent, Absence::NoHistory | Absence::NoCapacity)
        });
        let phase = match (last.health, last.mode) {
            (Health::Guarded | Health::HoldDown | Health::Frozen, _) => "Degraded",
            (_, Mode::Off) => "Suspended",
            _ if learning => "Learning",
            (_, Mode::Shadow) => "Shadow",
            (_, Mode::Advise) => "Advising",
            (_, Mode::Auto) => "Active",
        };
        phase.to_owned()
    }

    /// Mean of the replicas asked for within the last day, times 24 hours and their price.
    fn cost_per_day(&self, last: &Explanation) -> Option<f64> {
        let day = Span::from_seconds(86_400);
        let (mut sum, mut count) = (0.0, 0.0);
        let kept = self.replicas.iter().rev();
        for (_, point) in kept.take_while(|(at, _)| last.at - *at < day) {
            if let Some(current) = point.current {
                sum += f64::from(current);
                count += 1.0;
            }
        }
        if count <= 0.0 {
            return None;
        }
        let hours = 24.0 * sum / count;
        let request = |axis: &str| last.current.get(axis).map_or(0.0, |q| q.value());
        let gib = request("perPod.memory") / f64::from(1 << 30);
        Some(match &self.price {
            Some(price) => price.cost(60.0 * hours, request("perPod.cpu"), gib),
            None => hours,
        })
    }

    /// What a day costs in.
    #[must_use]
    pub fn cost_unit(&self) -> &'static str {
        match self.price {
            Some(_) => "price units",
            None => "replica-hours",
        }
    }

    /// Its page; `None` before the first decision.
    #[must_use]
    pub fn page(&self) -> Option<ObjectPage> {
        let row = self.row()?;
        let last = self.last()?;
        let forecaster = last.proposals.iter().find_map(|p| match &p.basis {
            BasisTold::Forecast { forecaster, .. } => Some(forecaster.clone()),
            BasisTold::Archetype {
                scaled: Some(scaled),
                ..
            } => scaled.forecaster.clone(),
            _ => None,
        });
        let demand = self.demand.iter().map(|(at, mean)| DemandPoint {
            at,
            value: mean.value(),
        });
        let since = |told: &DecisionTold| told.clone();
        let score = self.standing.score.clone();
        Some(ObjectPage {
            v: VERSION,
            cost_unit: self.cost_unit().to_owned(),
            forecaster,
            demand: demand.collect(),
            forecasts: self.forecasts.iter().map(|(_, f)| *f).collect(),
            replicas: self.replicas.iter().map(|(_, p)| *p).collect(),
            archetypes: self.archetypes.iter().copied().collect(),
            decisions: self.decisions.iter().rev().map(since).collect(),
            score: score.or_else(|| self.tally.score()),
            frontier: self.standing.frontier.clone(),
            row,
        })
    }

    /// How it does against the incumbent, where that is told.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.standing.score.as_ref().and_then(|s| s.verdict)
    }
}

fn point(explanation: &Explanation, bounds: Option<(u32, u32)>) -> ReplicaPoint {
    ReplicaPoint {
        at: explanation.at,
        current: replicas(&explanation.current),
        ready: explanation.ready.get(),
        decided: replicas(&explanation.decided),
        reactive: explanation.reactive.map(|r| r.get()),
        incumbent: explanation.incumbent.map(|r| r.get()),
        min: bounds.map(|b| b.0),
        max: bounds.map(|b| b.1),
        limit: explanation.binding(),
    }
}
