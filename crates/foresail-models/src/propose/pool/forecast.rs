//! `pool-forecast`: a pool holds the quantile of the next window's peak as any forecaster tells it.
//!
//! The forecaster is fitted to each function's peaks by itself, kept up to date minute by minute, and
//! its quantiles are moved until they hold what they promise, as everywhere.

use foresail_core::history::View;
use foresail_core::propose::refit::RefitRequest;
use foresail_core::propose::{
    Absence, Context, PeakAhead, Peaks, Proposal, Proposer, Reactive, RestoreError,
};
use foresail_core::quantity::time::Span;

use super::{KEEP_ALIVE, QUANTILE, Rounding, wish};
use crate::knobs::{Kind, Knob};
use crate::propose::on_forecast::{
    FORECASTER_KNOBS, Forecasts, HISTORY, HORIZON, REFIT, Settings, TICKS_PER_SAVE,
};
use crate::registry::{Build, Built, Entry};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "pool-forecast",
    summary: "a pool holds a quantile of the next window's peak of busy containers",
    knobs: &[
        Knob {
            name: "forecaster",
            kind: Kind::Name { default: "auto" },
            doc: "which one, by its name",
        },
        FORECASTER_KNOBS,
        QUANTILE,
        KEEP_ALIVE,
        HORIZON,
        HISTORY,
        REFIT,
    ],
    build,
};

fn build(build: &Build<'_>) -> Built {
    let percent = build.knobs.number("quantilePercent");
    let settings = Settings::of_peaks(build, percent / 100.0)?;
    Ok(Box::new(OnPeaks {
        forecaster: settings.forecaster_name(),
        forecasts: Forecasts::new(settings),
        level_percent: percent.round() as u8,
        keep_alive: Span::from_seconds(build.knobs.number("keepAliveSeconds").round() as i64),
    }))
}

/// Wishes a quantile of every target's next peak as its pool.
#[derive(Debug)]
struct OnPeaks {
    forecaster: &'static str,
    forecasts: Forecasts,
    level_percent: u8,
    keep_alive: Span,
}

/// Of pools there is no reactive floor but what is busy, which the bounds keep.
const NO_FLOOR: Reactive = Reactive {
    replicas: None,
    metric: 0,
    ratio_milli: 0,
};

impl OnPeaks {
    fn ahead(
        &mut self,
        place: usize,
        view: &View<'_>,
        context: &Context<'_>,
    ) -> Result<PeakAhead, Absence> {
        let history = view.target(place).ok_or(Absence::NoMetric)?;
        let target = &view.spec.targets()[place];
        let interval = view.spec.written().interval;
        let times = (context.now, interval);
        let known = self.forecasts.look(place, target, history, NO_FLOOR, times);
        let later = known.ahead?.later;
        Ok(PeakAhead {
            middle: later.q50,
            low: later.q10,
            high: later.sizing,
        })
    }
}

impl Proposer for OnPeaks {
    fn propose(&mut self, view: &View<'_>, context: &Context<'_>) -> Proposal {
        self.forecasts.fit_to(view.spec);
        let targets = view.spec.targets().iter().enumerate();
        let ahead = targets.map(|(i, t)| (t.id.clone(), self.ahead(i, view, context)));
        let targets = ahead.collect();
        let peaks = Peaks {
            forecaster: self.forecaster,
            level_percent: self.level_percent,
            targets,
        };
        wish(peaks, self.keep_alive, Rounding::Nearest)
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
        self.forecasts.read(state, ENTRY.name)
    }
}
