//! `keepalive-histogram`: the hybrid histogram policy, one histogram of idle times per function.
//!
//! A function whose idle times have a clear form is unloaded as soon as it is idle and loaded again
//! shortly before it is expected; the plan says that on two axes over time: `keepAlive` 0, `pool` 0
//! until the pre-warming window is over, 1 within the keep-alive window, 0 after it. A function
//! whose next call may come at once keeps its container instead: `keepAlive` long, `pool` 0. Ticks
//! are the clock: a pool is asked for at the last tick before it is needed, less the start-up, and
//! given up at the first tick after its window, so a container is warm for at most two intervals
//! longer than by the rule, and never for less.
//!
//! Source: Shahrad et al., "Serverless in the Wild", ATC 2020, section 4.2. There one histogram
//! serves an application, here one target.

mod idle;

use foresail_core::history::{TargetHistory, View};
use foresail_core::observe::Metric;
use foresail_core::propose::plan::Setting;
use foresail_core::propose::{Basis, Context, Proposal, Proposer, RestoreError};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use serde::{Deserialize, Serialize};

use crate::knobs::{Knob, Knobs};
use crate::registry::{Build, Built, Entry};

pub use idle::{Bounds, IdleTimes, Rule, Windows};

/// The registry's entry. The defaults are the paper's where it gives them.
pub const ENTRY: Entry = Entry {
    name: "keepalive-histogram",
    summary: "unloads idle functions and loads them again before they are expected, by their idle times",
    knobs: &[
        Knob::number(
            "rangeMinutes",
            [240.0, 1.0, 1440.0],
            "range of the histogram, in bins of one minute",
        ),
        Knob::number(
            "headPercent",
            [5.0, 0.0, 50.0],
            "percentile of idle times before which a function is loaded again",
        ),
        Knob::number(
            "tailPercent",
            [99.0, 50.0, 100.0],
            "percentile of idle times until which it stays loaded",
        ),
        Knob::number(
            "marginPercent",
            [10.0, 0.0, 100.0],
            "share by which the head comes earlier and the tail later",
        ),
        Knob::number(
            "variationMin",
            [2.0, 0.0, 1000.0],
            "coefficient of variation of the bins' counts that a histogram must exceed",
        ),
        Knob::number(
            "observationsMin",
            [5.0, 1.0, 10_000.0],
            "idle times without which the standard keep-alive holds",
        ),
        Knob::number(
            "outOfBoundsPercent",
            [50.0, 1.0, 100.0],
            "share of idle times beyond the range from which on they are forecast",
        ),
        Knob::number(
            "forecastMarginPercent",
            [15.0, 0.0, 99.0],
            "share of a forecast idle time that the window opens earlier and closes later",
        ),
        Knob::number(
            "standardMinutes",
            [0.0, 0.0, 10_080.0],
            "the standard keep-alive; 0 = the range of the histogram",
        ),
    ],
    build,
};

fn build(build: &Build<'_>) -> Built {
    Ok(Box::new(Histogram {
        bounds: bounds(build.knobs),
        memory: Vec::new(),
    }))
}

fn bounds(knobs: &Knobs) -> Bounds {
    let minutes = |name| knobs.number(name).round() as u32;
    let range = minutes("rangeMinutes");
    let standard = match minutes("standardMinutes") {
        0 => range,
        given => given,
    };
    let share = |name| knobs.number(name) / 100.0;
    Bounds {
        bins: range,
        head: share("headPercent"),
        tail: share("tailPercent"),
        margin: share("marginPercent"),
        variation_min: knobs.number("variationMin"),
        observations_min: minutes("observationsMin"),
        out_of_bounds: share("outOfBoundsPercent"),
        forecast_margin: share("forecastMarginPercent"),
        standard: Span::from_seconds(60 * i64::from(standard)),
    }
}

/// What is remembered of one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    /// Time of the newest idle time that was taken in.
    seen: Option<Timestamp>,
    idle: IdleTimes,
    /// What follows from them; made again where it is absent.
    #[serde(skip)]
    windows: Option<(Rule, Windows)>,
}

impl Memory {
    fn update(&mut self, bounds: &Bounds, history: &TargetHistory) -> (Rule, Windows) {
        let points = history.points(Metric::IdleTime);
        let seen = self.seen;
        let first_new = points.partition_point(|p| seen.is_some_and(|s| p.at <= s));
        for point in points.range(first_new..) {
            self.idle.add(bounds, point.value);
            self.windows = None;
        }
        self.seen = points.back().map(|p| p.at).or(seen);
        *self
            .windows
            .get_or_insert_with(|| self.idle.windows(bounds))
    }
}

/// Wishes pool and keep-alive of every target by its idle times.
#[derive(Debug)]
struct Histogram {
    bounds: Bounds,
    memory: Vec<Memory>,
}

/// What a function with these windows shall have at `now`.
///
/// `lead` is how long before the window's begin the pool must be asked for: the start-up and, since
/// the next tick would be too late, one interval.
fn setting(
    windows: &Windows,
    idle_since: Option<Timestamp>,
    now: Timestamp,
    lead: Span,
) -> Setting {
    let unloads = windows.prewarm > Span::ZERO;
    let expected = |since: Timestamp| {
        let begin = since + windows.prewarm;
        now + lead > begin && now < begin + windows.keep_alive
    };
    let loaded = unloads && idle_since.is_some_and(expected);
    Setting {
        pool: Some(Replicas::new(u32::from(loaded))),
        keep_alive: Some(if unloads {
            Span::ZERO
        } else {
            windows.keep_alive
        }),
        ..Setting::default()
    }
}

impl Proposer for Histogram {
    fn propose(&mut self, view: &View<'_>, context: &Context<'_>) -> Proposal {
        self.memory.resize(view.len(), Memory::default());
        let interval = view.spec.written().interval;
        let mut plan = Vec::with_capacity(view.len());
        let mut under = [0_u32; 3];
        for (index, target) in view.spec.targets().iter().enumerate() {
            let Some(history) = view.target(index) else {
                continue;
            };
            let (rule, windows) = self.memory[index].update(&self.bounds, history);
            under[rule as usize] += 1;
            let lead = interval + target.startup.unwrap_or(Span::ZERO);
            let idle_since = history.state.as_ref().and_then(|s| s.idle_since);
            let wish = setting(&windows, idle_since, context.now, lead);
            plan.push((target.id.clone(), wish));
        }
        let [histogram, standard, forecast] = under;
        let basis = Basis::IdleTimes {
            histogram,
            standard,
            forecast,
        };
        Proposal::certain(plan, basis)
    }

    fn save(&self) -> Vec<u8> {
        serde_json::to_vec(&self.memory).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let failed = |e: serde_json::Error| RestoreError {
            proposer: "keepalive-histogram".to_owned(),
            why: e.to_string(),
        };
        self.memory = serde_json::from_slice(state).map_err(failed)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Span = Span::from_seconds(60);

    fn check(windows: Windows, idle_minutes: Option<i64>, lead: i64) -> (u32, i64) {
        let now = Timestamp::from_seconds(1_000_000);
        let since = idle_minutes.map(|m| now - Span::from_seconds(60 * m));
        let wish = setting(&windows, since, now, Span::from_seconds(lead));
        let keep_alive = wish.keep_alive.unwrap().whole_seconds();
        (wish.pool.unwrap().get(), keep_alive)
    }

    #[test]
    fn a_function_is_unloaded_loaded_before_it_is_expected_and_given_up_after_its_window() {
        // Loaded from 27 to 34 minutes after its last execution; start-up and interval take 61 s.
        let windows = Windows {
            prewarm: Span::from_seconds(27 * 60),
            keep_alive: Span::from_seconds(7 * 60),
        };
        for (idle, want) in [
            (0, 0),
            (25, 0),
            (26, 1),
            (27, 1),
            (33, 1),
            (34, 0),
            (600, 0),
        ] {
            assert_eq!(check(windows, Some(idle), 61), (want, 0), "idle {idle} min");
        }
        assert_eq!(check(windows, None, 61), (0, 0), "busy, or never called");
    }

    #[test]
    fn without_a_prewarming_window_the_container_just_stays() {
        let windows = Windows {
            prewarm: Span::ZERO,
            keep_alive: MINUTE,
        };
        assert_eq!(check(windows, Some(0), 61), (0, 60));
        assert_eq!(check(windows, None, 61), (0, 60));
    }

    #[test]
    fn the_documented_defaults_are_the_papers() {
        let knobs = Knobs::read(ENTRY.knobs, &std::collections::BTreeMap::new(), "").unwrap();
        let bounds = bounds(&knobs);
        assert_eq!(
            (bounds.bins, bounds.standard),
            (240, Span::from_seconds(14_400))
        );
        assert!((bounds.head - 0.05).abs() < 1e-12 && (bounds.tail - 0.99).abs() < 1e-12);
    }
}
