//! Small lines of a fleet row: demand, what was forecast for it, replicas; at equal steps.

use std::fmt::Write;

use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::units::larger;

use super::lane::{Gather, Lane, Mean};
use super::model::{ForecastPoint, ReplicaPoint};

/// Points of each line.
const POINTS: usize = 48;

/// Size of the drawing in its own units.
const SIZE: (f64, f64) = (120.0, 26.0);

/// The lines of one row.
pub(super) struct Lines {
    pub(super) demand: Vec<Option<f64>>,
    pub(super) forecast: Vec<Option<f64>>,
    pub(super) replicas: Vec<Option<f64>>,
}

/// The three lines up to `now`, on one axis of time.
pub(super) fn lines(
    demand: &Lane<Mean>,
    forecasts: &Lane<ForecastPoint>,
    replicas: &Lane<ReplicaPoint>,
    now: Timestamp,
) -> Lines {
    let first = |at: Option<Timestamp>| at.unwrap_or(now);
    let from = first(replicas.iter().next().map(|(at, _)| at))
        .min(first(demand.iter().next().map(|(at, _)| at)));
    let line = |values: Vec<(Timestamp, f64)>| cells(&values, from, now);
    Lines {
        demand: line(values(demand, |m| Some(m.value()))),
        forecast: line(values(forecasts, |f| Some(f.middle()))),
        replicas: line(values(replicas, |p| p.current.map(f64::from))),
    }
}

fn values<T: Gather>(lane: &Lane<T>, value: impl Fn(&T) -> Option<f64>) -> Vec<(Timestamp, f64)> {
    let all = lane.iter();
    all.filter_map(|(at, v)| Some((at, value(v)?))).collect()
}

/// Means of equal parts of the time; a part without a value has none.
fn cells(values: &[(Timestamp, f64)], from: Timestamp, to: Timestamp) -> Vec<Option<f64>> {
    let length = ((to - from).seconds() + 1e-9) / POINTS as f64;
    let mut sums = vec![(0.0, 0.0); POINTS];
    for (at, value) in values.iter().filter(|(at, _)| *at >= from && *at <= to) {
        let cell = ((*at - from).seconds() / length) as usize;
        if let Some((sum, count)) = sums.get_mut(cell.min(POINTS - 1)) {
            *sum += value;
            *count += 1.0;
        }
    }
    let mean = |(sum, count): (f64, f64)| (count > 0.0).then(|| sum / count);
    if values.is_empty() {
        return Vec::new();
    }
    sums.into_iter().map(mean).collect()
}

/// Lines on one scale as a small drawing; each with its class. Gaps of one part are bridged.
pub(super) fn draw(lines: &[(&str, &[Option<f64>])], label: &str, html: &mut String) {
    let all = lines.iter().flat_map(|(_, line)| line.iter().flatten());
    let most = all.fold(0.0, |a, b| larger(a, *b));
    if lines.iter().all(|(_, line)| line.is_empty()) {
        html.push_str("<span class=\"hint\">–</span>");
        return;
    }
    let (width, height) = SIZE;
    let _ = write!(
        html,
        "<svg class=\"spark\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{label}\">"
    );
    for (class, line) in lines {
        let _ = write!(html, "<path class=\"{class}\" d=\"");
        path(line, most, html);
        html.push_str("\"/>");
    }
    html.push_str("</svg>");
}

fn path(line: &[Option<f64>], most: f64, d: &mut String) {
    let most = if most > 0.0 { most } else { 1.0 };
    let (width, height) = SIZE;
    let (mut pen_up, mut missing) = (true, 0);
    for (i, value) in line.iter().enumerate() {
        let Some(value) = value else {
            missing += 1;
            pen_up |= missing > 4;
            continue;
        };
        missing = 0;
        let x = (i as f64 + 0.5) / line.len() as f64 * width;
        let y = height - 1.5 - value / most * (height - 3.0);
        let command = if pen_up { 'M' } else { 'L' };
        let _ = write!(d, "{command}{x:.1} {y:.1}");
        pen_up = false;
    }
}
