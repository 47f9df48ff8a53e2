//! `predictive-hpa`: the HPA's division, on the demand of a pod's start-up time from now.
//!
//! Two forecasters run side by side, one season ago and a straight line; the one that erred less of
//! late is believed. The wish covers the chosen quantile of its band. The reactive floor lies under
//! it, so what the forecast does not see is answered as before.
//! Source of the idea: the Predictive Horizontal Pod Autoscaler (jthomperoo/predictive-horizontal-pod-autoscaler),
//! which takes the larger of the HPA and a linear or Holt–Winters forecast.

use foresail_core::history::{TargetHistory, View};
use foresail_core::observe::Metric;
use foresail_core::propose::plan::Setting;
use foresail_core::propose::{
    Absence, Basis, Confidence, Context, Outlook, Proposal, Proposer, RestoreError,
};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::{SpecProblem, ValidTarget};
use serde::{Deserialize, Serialize};

use crate::forecast::track::{Banded, Track};
use crate::forecast::{linear_trend, seasonal_naive};
use crate::knobs::{Kind, Knob, Knobs};
use crate::registry::{Build, Built, Entry};

const fn number(name: &'static str, range: [f64; 3], doc: &'static str) -> Knob {
    let [default, min, max] = range;
    Knob {
        name,
        kind: Kind::Number { default, min, max },
        doc,
    }
}

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "predictive-hpa",
    summary: "the HPA on a forecast of demand, the reactive HPA as its floor",
    knobs: &[
        number(
            "horizonSeconds",
            [0.0, 0.0, 86_400.0],
            "how far ahead; 0 = start-up, interval and two minutes",
        ),
        number(
            "seasonSeconds",
            [86_400.0, 60.0, 1_209_600.0],
            "length of the season",
        ),
        number(
            "trendWindowSeconds",
            [1800.0, 180.0, 86_400.0],
            "points that the line is drawn through",
        ),
        number(
            "levelPercent",
            [90.0, 10.0, 90.0],
            "quantile that is covered: 10, 50 or 90",
        ),
        Knob {
            name: "forecaster",
            kind: Kind::Word {
                default: "auto",
                known: &["auto", "seasonal-naive", "linear-trend"],
            },
            doc: "which one; auto = the one that erred less of late",
        },
    ],
    build,
};

/// The forecasters by name, in the order of their tracks.
const FORECASTERS: [&str; 2] = ["seasonal-naive", "linear-trend"];

/// Step of the demand series.
const STEP: Span = Span::from_seconds(60);

#[derive(Clone, Debug)]
struct Settings {
    horizon: Option<Span>,
    season: Span,
    trend_window: Span,
    level_percent: u8,
    only: Option<usize>,
}

/// What is remembered of one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    /// Time of the newest point that was taken in.
    seen: Option<Timestamp>,
    /// Record of each forecaster.
    tracks: [Track; 2],
    /// The newest forecast.
    newest: Option<Made>,
}

/// A forecast as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Made {
    by: usize,
    at: Timestamp,
    q10: f64,
    q50: f64,
    q90: f64,
    now: f64,
    observed: f64,
}

fn build(build: &Build<'_>) -> Built {
    let problems: Vec<_> = build
        .spec
        .targets()
        .iter()
        .enumerate()
        .filter(|(_, t)| t.capacity.is_none())
        .map(|(i, t)| {
            let message = format!("`{}` needs one for predictive-hpa: the demand that one replica serves, such as `100 req/s`", t.id);
            SpecProblem::new(format!("targets[{i}].capacity"), message)
        })
        .collect();
    if problems.is_empty() {
        Ok(Box::new(PredictiveHpa {
            settings: Settings::new(build.knobs),
            memory: Vec::new(),
        }))
    } else {
        Err(problems)
    }
}

impl Settings {
    fn new(knobs: &Knobs) -> Self {
        let seconds = |name| Span::from_seconds(knobs.number(name) as i64);
        Self {
            horizon: Some(seconds("horizonSeconds")).filter(|h| *h > Span::ZERO),
            season: seconds("seasonSeconds"),
            trend_window: seconds("trendWindowSeconds"),
            level_percent: knobs.number("levelPercent") as u8,
            only: FORECASTERS
                .iter()
                .position(|f| *f == knobs.word("forecaster")),
        }
    }

    /// Whole minutes ahead: a pod that is asked for now must be ready by then.
    fn horizon(&self, target: &ValidTarget, interval: Span) -> Span {
        let startup = target.startup.unwrap_or(Span::ZERO);
        let horizon = self.horizon.unwrap_or(startup + interval + STEP + STEP);
        Span::from_nanos((horizon.nanos() + STEP.nanos() - 1) / STEP.nanos() * STEP.nanos())
    }
}

impl Memory {
    /// Takes in every new point and makes the forecast that follows from the newest.
    fn update(&mut self, settings: &Settings, history: &TargetHistory, horizon: Span) {
        let points = history.points(Metric::Demand);
        let seen = self.seen;
        for point in points
            .iter()
            .rev()
            .take_while(|p| seen.is_none_or(|s| p.at > s))
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            for track in &mut self.tracks {
                track.observe(point.at, point.value);
            }
        }
        let Some(last) = points.back().filter(|p| seen.is_none_or(|s| p.at > s)) else {
            return;
        };
        self.seen = Some(last.at);
        let when = last.at + horizon;
        let said = [
            seasonal_naive::at(points, when, settings.season, STEP),
            linear_trend::at(points, last.at, when, settings.trend_window),
        ];
        let bands = [0, 1].map(|i| said[i].and_then(|point| self.tracks[i].band(point)));
        for (i, point) in said.iter().enumerate() {
            if let Some(point) = point {
                self.tracks[i].say(when, *point, bands[i]);
            }
        }
        let now = [
            seasonal_naive::at(points, last.at, settings.season, STEP),
            linear_trend::at(points, last.at, last.at, settings.trend_window),
        ];
        self.newest = self.believed(settings, &bands).and_then(|(by, band)| {
            let Banded { q10, q50, q90 } = band;
            Some(Made {
                by,
                at: last.at,
                q10,
                q50,
                q90,
                now: now[by]?,
                observed: last.value,
            })
        });
    }

    /// The forecaster that erred less of late, of those that have a band.
    fn believed(
        &self,
        settings: &Settings,
        bands: &[Option<Banded>; 2],
    ) -> Option<(usize, Banded)> {
        let able = (0..FORECASTERS.len()).filter(|i| settings.only.is_none_or(|only| only == *i));
        let erred = |i: usize| self.tracks[i].mean_error().unwrap_or(f64::INFINITY);
        able.filter_map(|i| Some((i, bands[i]?)))
            .min_by(|a, b| erred(a.0).total_cmp(&erred(b.0)))
    }
}

/// Wishes enough replicas for the demand ahead.
#[derive(Debug)]
struct PredictiveHpa {
    settings: Settings,
    memory: Vec<Memory>,
}

impl PredictiveHpa {
    /// The outlook of one target and the wish that follows from it.
    fn wish(
        &self,
        index: usize,
        target: &ValidTarget,
        horizon: Span,
    ) -> Option<(Outlook, [Replicas; 3])> {
        let memory = self.memory.get(index)?;
        let made = memory.newest?;
        let capacity = target.capacity?;
        let covering = |demand| Replicas::covering(demand, capacity);
        let replicas = [
            covering(made.q10)?,
            covering(made.q50)?,
            covering(made.q90)?,
        ];
        let outlook = Outlook {
            forecaster: FORECASTERS[made.by],
            q10: made.q10,
            q50: made.q50,
            q90: made.q90,
            q50_now: made.now,
            observed: Some(made.observed),
            made_at: made.at,
            horizon,
            coverage_percent: memory.tracks[made.by].coverage_percent(),
            level_percent: self.settings.level_percent,
            capacity,
        };
        Some((outlook, replicas))
    }
}

impl Proposer for PredictiveHpa {
    fn propose(&mut self, view: &View<'_>, _context: &Context<'_>) -> Proposal {
        self.memory.resize(view.len(), Memory::default());
        let interval = view.spec.written().interval;
        let mut plan = Vec::new();
        let mut told = None;
        for (index, target) in view.spec.targets().iter().enumerate() {
            let horizon = self.settings.horizon(target, interval);
            if let Some(history) = view.target(index) {
                self.memory[index].update(&self.settings, history, horizon);
            }
            if let Some((outlook, [low, middle, high])) = self.wish(index, target, horizon) {
                let wish = match self.settings.level_percent {
                    90.. => high,
                    50..90 => middle,
                    _ => low,
                };
                plan.push((target.id.clone(), Setting::replicas(wish)));
                told.get_or_insert((outlook, (low, high)));
            }
        }
        let Some((outlook, interval)) = told else {
            return Proposal::absent(Absence::NoHistory);
        };
        Proposal {
            plan,
            interval: Some(interval),
            confidence: Confidence::percent(outlook.coverage_percent.unwrap_or(80)),
            ratio_milli: None,
            basis: Basis::Forecast(Box::new(outlook)),
        }
    }

    fn save(&self) -> Vec<u8> {
        serde_json::to_vec(&self.memory).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let failed = |e: serde_json::Error| RestoreError {
            proposer: "predictive-hpa".to_owned(),
            why: e.to_string(),
        };
        self.memory = serde_json::from_slice(state).map_err(failed)?;
        Ok(())
    }
}
