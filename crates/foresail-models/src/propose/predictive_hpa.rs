//! `predictive-hpa`: the HPA's division, on the demand of a pod's start-up time from now.
//!
//! Two forecasters run side by side, one season ago and a straight line; the one that erred less of
//! late is believed. The wish covers the chosen quantile of its band. The reactive floor lies under
//! it, so what the forecast does not see is answered as before.
//! Source of the idea: the Predictive Horizontal Pod Autoscaler (jthomperoo/predictive-horizontal-pod-autoscaler),
//! which takes the larger of the HPA and a linear or Holt–Winters forecast.

use std::collections::VecDeque;

use foresail_core::history::{Point, TargetHistory, View};
use foresail_core::observe::Metric;
use foresail_core::propose::plan::Setting;
use foresail_core::propose::{
    Absence, Basis, Confidence, Context, Outlook, Proposal, Proposer, RestoreError,
};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::{SpecProblem, ValidTarget};
use serde::{Deserialize, Serialize};

use crate::forecast::track::{Banded, Offsets, Track};
use crate::forecast::{linear_trend, seasonal_naive};
use crate::knobs::{Kind, Knob, Knobs};
use crate::registry::{Build, Built, Entry};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "predictive-hpa",
    summary: "the HPA on a forecast of demand, the reactive HPA as its floor",
    knobs: &[
        Knob::number(
            "horizonSeconds",
            [0.0, 0.0, 86_400.0],
            "how far ahead; 0 = start-up, interval and a minute",
        ),
        Knob::number(
            "seasonSeconds",
            [86_400.0, 60.0, 1_209_600.0],
            "length of the season",
        ),
        Knob::number(
            "trendWindowSeconds",
            [1800.0, 180.0, 86_400.0],
            "points that the line is drawn through",
        ),
        Knob::number(
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
    /// Distance of the band's edges and median from each forecaster's point, by its errors so far.
    offsets: [Option<Offsets>; 2],
}

/// A forecast as it was made.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Made {
    by: usize,
    band: Banded,
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
        let horizon = self.horizon.unwrap_or(startup + interval + STEP);
        Span::from_nanos((horizon.nanos() + STEP.nanos() - 1) / STEP.nanos() * STEP.nanos())
    }
}

impl Memory {
    /// Takes in every new point: settles what was said of it, and says what follows from it.
    fn update(&mut self, settings: &Settings, history: &TargetHistory, horizon: Span) {
        let points = history.points(Metric::Demand);
        let seen = self.seen;
        let first_new = points.partition_point(|p| seen.is_some_and(|s| p.at <= s));
        for point in points.range(first_new..) {
            for track in &mut self.tracks {
                track.observe(point.at, point.value);
            }
        }
        let Some(last) = points.back().filter(|_| first_new < points.len()) else {
            return;
        };
        self.seen = Some(last.at);
        self.offsets = [0, 1].map(|i| self.tracks[i].offsets());
        // A point is about a step old when it is seen: the errors are those of that lead.
        let when = last.at + horizon + STEP;
        for i in 0..FORECASTERS.len() {
            if let Some(point) = point_of(i, settings, points, last.at, when) {
                let band = self.offsets[i].map(|o| o.around(point));
                self.tracks[i].say(when, point, band);
            }
        }
    }

    /// The forecast of this instant for `horizon` ahead, by whichever erred less of late.
    fn forecast(
        &self,
        settings: &Settings,
        history: &TargetHistory,
        now: Timestamp,
        horizon: Span,
    ) -> Option<Made> {
        let points = history.points(Metric::Demand);
        let last = points.back()?;
        let able = (0..FORECASTERS.len()).filter(|i| settings.only.is_none_or(|only| only == *i));
        let made = able.filter_map(|by| {
            let point = point_of(by, settings, points, last.at, now + horizon)?;
            let band = self.offsets[by]?.around(point);
            let at_last = point_of(by, settings, points, last.at, last.at)?;
            Some(Made {
                by,
                band,
                now: at_last,
                observed: last.value,
            })
        });
        let erred = |m: &Made| self.tracks[m.by].mean_error().unwrap_or(f64::INFINITY);
        made.min_by(|a, b| erred(a).total_cmp(&erred(b)))
    }
}

/// What one forecaster says of `when`, knowing the points up to `last`.
fn point_of(
    by: usize,
    settings: &Settings,
    points: &VecDeque<Point>,
    last: Timestamp,
    when: Timestamp,
) -> Option<f64> {
    match by {
        0 => seasonal_naive::at(points, when, settings.season, STEP),
        _ => linear_trend::at(points, last, when, settings.trend_window),
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
        history: &TargetHistory,
        now: Timestamp,
        horizon: Span,
    ) -> Option<(Outlook, [Replicas; 3])> {
        let memory = self.memory.get(index)?;
        let Made {
            by,
            band,
            now: q50_now,
            observed,
        } = memory.forecast(&self.settings, history, now, horizon)?;
        let capacity = target.capacity?;
        let covering = |demand| Replicas::covering(demand, capacity);
        let replicas = [
            covering(band.q10)?,
            covering(band.q50)?,
            covering(band.q90)?,
        ];
        let outlook = Outlook {
            forecaster: FORECASTERS[by],
            q10: band.q10,
            q50: band.q50,
            q90: band.q90,
            q50_now,
            observed: Some(observed),
            made_at: now,
            horizon,
            coverage_percent: memory.tracks[by].coverage_percent(),
            level_percent: self.settings.level_percent,
            demand: match self.settings.level_percent {
                90.. => band.q90,
                50..90 => band.q50,
                _ => band.q10,
            },
            capacity,
            fitted_at: None,
            relearnt_at: None,
        };
        Some((outlook, replicas))
    }
}

impl Proposer for PredictiveHpa {
    fn propose(&mut self, view: &View<'_>, context: &Context<'_>) -> Proposal {
        self.memory.resize(view.len(), Memory::default());
        let interval = view.spec.written().interval;
        let mut plan = Vec::new();
        let mut told = None;
        for (index, target) in view.spec.targets().iter().enumerate() {
            let horizon = self.settings.horizon(target, interval);
            let Some(history) = view.target(index) else {
                continue;
            };
            self.memory[index].update(&self.settings, history, horizon);
            let wished = self.wish(index, target, history, context.now, horizon);
            if let Some((outlook, [low, middle, high])) = wished {
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
            cooldowns: Vec::new(),
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
