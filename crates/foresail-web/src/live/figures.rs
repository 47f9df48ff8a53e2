//! The drawings of an object: demand with its fan, replicas with their bounds, archetypes, costs.

use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::larger;

use super::model::{CostPoint, DemandPoint, ForecastPoint, ObjectPage, ReplicaPoint};
use crate::page::axis::Axis;
use crate::page::chart::{Anchor, Drawing, Rectangle, stepped};
use crate::page::time;
use crate::read_model::ArchetypeRun;
use crate::strip;

/// Left edge and width of what is drawn, in pixels; the script counts on both.
const LEFT: f64 = 60.0;
const WIDTH: f64 = 780.0;

/// The part of an object's time that is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stretch {
    pub(super) begin: Timestamp,
    pub(super) end: Timestamp,
    /// Time of the newest decision.
    pub(super) now: Timestamp,
}

impl Stretch {
    fn x(self) -> Axis {
        Axis::exact(0.0, (self.end - self.begin).seconds(), LEFT, LEFT + WIDTH)
    }

    fn place(self, x: &Axis, at: Timestamp) -> f64 {
        x.place((at - self.begin).seconds())
    }

    fn holds(self, at: Timestamp) -> bool {
        at >= self.begin && at <= self.end
    }
}

/// What is in a stretch, with the last one before it, so that lines begin at the edge.
fn within<T: Copy>(all: &[T], stretch: Stretch, at: impl Fn(&T) -> Timestamp) -> Vec<T> {
    let first = all.partition_point(|p| at(p) < stretch.begin);
    let last = all.partition_point(|p| at(p) <= stretch.end);
    all.get(first..last.max(first)).unwrap_or_default().to_vec()
}

/// Parts between pauses: a step of more than four times the usual one begins a new part.
fn parts<T: Copy>(points: &[T], at: impl Fn(&T) -> Timestamp) -> Vec<Vec<T>> {
    let mut steps: Vec<Span> = points.windows(2).map(|p| at(&p[1]) - at(&p[0])).collect();
    steps.sort_unstable();
    let usual = steps.get(steps.len() / 2).copied().unwrap_or(Span::MAX);
    let limit = Span::from_nanos(usual.nanos().saturating_mul(4));
    let mut parts: Vec<Vec<T>> = Vec::new();
    for point in points {
        let joins = |part: &Vec<T>| {
            part.last()
                .is_some_and(|last| at(point) - at(last) <= limit)
        };
        match parts.last_mut() {
            Some(part) if joins(part) => part.push(*point),
            _ => parts.push(vec![*point]),
        }
    }
    parts
}

fn time_axis(drawing: &mut Drawing, stretch: Stretch, x: &Axis, top: f64, bottom: f64) {
    let begin = stretch.begin.seconds_floor();
    let length = (stretch.end - stretch.begin).whole_seconds();
    for (at, text) in time::ticks(begin, length, 10) {
        let place = stretch.place(x, Timestamp::from_seconds(at));
        if place < LEFT {
            continue;
        }
        drawing.line((place, bottom), (place, bottom + 4.0), "axis");
        drawing.text(place, bottom + 18.0, 12.0, Anchor::Middle, "tick", &text);
    }
    drawing.line((LEFT, bottom), (LEFT + WIDTH, bottom), "axis");
    if stretch.now < stretch.end && stretch.holds(stretch.now) {
        let now = stretch.place(x, stretch.now);
        drawing.line((now, top), (now, bottom), "now");
        drawing.text(now - 4.0, top + 12.0, 11.0, Anchor::End, "tick", "now");
    }
}

fn value_axis(drawing: &mut Drawing, y: &Axis, name: &str, top: f64, every: usize) {
    for (value, text) in y.ticks().into_iter().step_by(every) {
        let at = y.place(value);
        drawing.line((LEFT, at), (LEFT + WIDTH, at), "grid");
        drawing.text(LEFT - 8.0, at + 4.0, 12.0, Anchor::End, "tick", &text);
    }
    drawing.text(LEFT, top - 10.0, 13.0, Anchor::Start, "name", name);
}

/// Entries of a legend in one line: class of the line, and its name.
fn legend(drawing: &mut Drawing, entries: &[(&str, &str)], y: f64) {
    let mut at = LEFT;
    for (class, name) in entries {
        if class.starts_with("fan") || class.starts_with("bound") {
            let place = Rectangle {
                x: at,
                y: y - 9.0,
                width: 20.0,
                height: 10.0,
            };
            drawing.shade(place, class, name);
        } else if *class == "miss" {
            drawing.point((at + 10.0, y - 4.0), 3.0, class, name);
        } else {
            drawing.curve(&[(at, y - 4.0), (at + 20.0, y - 4.0)], class);
        }
        drawing.text(at + 26.0, y, 12.0, Anchor::Start, "tick", name);
        at += 44.0 + name.chars().count() as f64 * 6.6;
    }
}

/// `true` where demand left its band.
fn missed(forecast: &ForecastPoint, demand: f64) -> bool {
    let below = forecast.p10.is_some_and(|low| demand < low);
    let above = forecast.p90.is_some_and(|high| demand > high);
    below || above
}

/// Demand, what was forecast for it one horizon before, and the fan ahead.
pub(super) fn demand(page: &ObjectPage, stretch: Stretch) -> Drawing {
    let (top, bottom) = (34.0, 250.0);
    let mut drawing = Drawing::new(860.0, 304.0);
    let x = stretch.x();
    let measured = within(&page.demand, stretch, |p: &DemandPoint| p.at);
    let forecasts = within(&page.forecasts, stretch, |f: &ForecastPoint| f.at);
    let high = |f: &ForecastPoint| f.p90.unwrap_or(f.level);
    let seen = measured.iter().fold(0.0, |a, p| larger(a, p.value));
    let outer = forecasts.iter().fold(seen, |a, f| larger(a, high(f)));
    // A band so wide that it would flatten all else is cut by the drawing's edge.
    let most = if seen > 0.0 && outer > 2.5 * seen {
        2.5 * seen
    } else {
        outer
    };
    let y = Axis::linear([0.0, most].into_iter(), bottom, top);
    for part in parts(&forecasts, |f| f.at) {
        let edge = |value: &dyn Fn(&ForecastPoint) -> Option<f64>| -> Vec<(f64, f64)> {
            let place = |f: &ForecastPoint| Some((stretch.place(&x, f.at), y.place(value(f)?)));
            part.iter().filter_map(place).collect()
        };
        drawing.fill_between(&edge(&|f| f.p90), &edge(&|f| f.p10), "fan");
    }
    value_axis(&mut drawing, &y, "requests per second", top, 1);
    for part in parts(&forecasts, |f| f.at) {
        let place = |f: &ForecastPoint| (stretch.place(&x, f.at), y.place(f.middle()));
        let line: Vec<_> = part.iter().map(place).collect();
        drawing.curve(&line, "median");
    }
    for part in parts(&measured, |p| p.at) {
        let place = |p: &DemandPoint| (stretch.place(&x, p.at), y.place(p.value));
        let line: Vec<_> = part.iter().map(place).collect();
        drawing.curve(&line, "actual");
    }
    for point in &measured {
        let next = forecasts.partition_point(|f| f.at < point.at);
        let near = forecasts
            .get(next)
            .filter(|f| f.at - point.at <= Span::from_seconds(60));
        if let Some(forecast) = near.filter(|f| missed(f, point.value)) {
            let at = (stretch.place(&x, point.at), y.place(point.value));
            let title = format!(
                "{}: {:.1}, outside the band made at {}",
                point.at, point.value, forecast.made_at
            );
            drawing.point(at, 2.0, "miss", &title);
        }
    }
    time_axis(&mut drawing, stretch, &x, top, bottom);
    let mut entries = vec![("actual", "measured")];
    if !forecasts.is_empty() {
        entries.push(("median", "forecast, made one horizon before"));
    }
    if forecasts.iter().any(|f| f.p10.is_some()) {
        entries.push(("fan", "p10 to p90"));
        entries.push(("miss", "outside the band"));
    }
    legend(&mut drawing, &entries, bottom + 42.0);
    drawing
}

/// A line of the drawing of replicas: its class, its name, its value.
type Line = (&'static str, &'static str, fn(&ReplicaPoint) -> Option<u32>);

/// The lines of replicas, the lowest first.
const LINES: [Line; 7] = [
    ("most", "most allowed", |p| p.max),
    ("least", "fewest allowed", |p| p.min),
    ("incumbent", "incumbent", |p| p.incumbent),
    ("reactive", "reactive floor", |p| p.reactive),
    ("ready", "ready", |p| Some(p.ready)),
    ("current", "asked for", |p| p.current),
    ("decided", "decided", |p| p.decided),
];

/// Replicas, their bounds, where a guard bound, and a mark for each decision of a change.
pub(super) fn replicas(page: &ObjectPage, stretch: Stretch) -> Drawing {
    let (top, bottom) = (34.0, 190.0);
    let height = if page.archetypes.is_empty() {
        0.0
    } else {
        strip::HEIGHT
    };
    let mut drawing = Drawing::new(860.0, 266.0 + height);
    let x = stretch.x();
    let points = within(&page.replicas, stretch, |p: &ReplicaPoint| p.at);
    let all = |line: fn(&ReplicaPoint) -> Option<u32>| -> f64 {
        let values = points.iter().filter_map(line).map(f64::from);
        values.fold(0.0, larger)
    };
    let used = LINES.iter().skip(2).fold(0.0, |a, l| larger(a, all(l.2)));
    // The most allowed may be far above all that is used; then it is left out of the drawing.
    let most = all(|p| p.max);
    let shows_most = most > 0.0 && most <= 2.0 * used;
    let high = if shows_most { larger(most, used) } else { used };
    let y = Axis::linear([0.0, high].into_iter(), bottom, top);
    shade_limits(&mut drawing, &points, stretch, (&x, top, bottom));
    value_axis(&mut drawing, &y, "replicas", top, 1);
    let mut entries = Vec::new();
    for (class, name, value) in LINES {
        if class == "most" && !shows_most {
            continue;
        }
        let mut any = false;
        for part in parts(&points, |p| p.at) {
            let place =
                |p: &ReplicaPoint| Some((stretch.place(&x, p.at), y.place(f64::from(value(p)?))));
            let line: Vec<_> = part.iter().filter_map(place).collect();
            any |= !line.is_empty();
            drawing.curve(&stepped(&line), class);
        }
        if any {
            entries.push((class, name));
        }
    }
    if points.iter().any(|p| p.limit.is_some()) {
        entries.push(("bound", "a guard bound"));
    }
    time_axis(&mut drawing, stretch, &x, top, bottom);
    marks(&mut drawing, page, stretch, (&x, bottom + 34.0));
    let narrow: Vec<(&str, &str)> = entries.into_iter().filter(|(c, _)| *c != "least").collect();
    legend(&mut drawing, &narrow, bottom + 64.0);
    if height > 0.0 {
        archetypes(&mut drawing, page, stretch, &x);
    }
    drawing
}

/// Bands where a guard moved the number.
fn shade_limits(
    drawing: &mut Drawing,
    points: &[ReplicaPoint],
    stretch: Stretch,
    (x, top, bottom): (&Axis, f64, f64),
) {
    let mut open: Option<(Timestamp, foresail_core::guard::GuardName)> = None;
    let close = |drawing: &mut Drawing, from: Timestamp, by, to: Timestamp| {
        let (from, to) = (stretch.place(x, from), stretch.place(x, to));
        let place = Rectangle {
            x: from,
            y: top,
            width: larger(to - from, 0.8),
            height: bottom - top,
        };
        drawing.shade(place, "bound", &format!("{by} bound"));
    };
    for point in points {
        match (open, point.limit) {
            (Some((_, by)), Some(limit)) if by == limit => {}
            (before, limit) => {
                if let Some((from, by)) = before {
                    close(drawing, from, by, point.at);
                }
                open = limit.map(|by| (point.at, by));
            }
        }
    }
    if let (Some((from, by)), Some(last)) = (open, points.last()) {
        close(drawing, from, by, last.at);
    }
}

/// A mark for each decision that changes something; it leads to its story.
fn marks(drawing: &mut Drawing, page: &ObjectPage, stretch: Stretch, (x, y): (&Axis, f64)) {
    for told in page.decisions.iter().filter(|d| stretch.holds(d.since)) {
        let e = &told.explanation;
        if e.decided == e.current {
            continue;
        }
        let up = super::waterfall::replicas(&e.decided) > super::waterfall::replicas(&e.current);
        let class = if up { "mark-up" } else { "mark-down" };
        let at = (stretch.place(x, told.since), y);
        let href = format!("#{}", super::waterfall::anchor(e));
        let title = format!("{}: {}", told.since, super::head::shown(&e.to_string()));
        drawing.link(at, up, class, &href, &title);
    }
}

/// The ribbon of archetypes under the replicas.
fn archetypes(drawing: &mut Drawing, page: &ObjectPage, stretch: Stretch, x: &Axis) {
    let seconds = |at: Timestamp| (at - stretch.begin).whole_seconds().max(0) as usize;
    let end = seconds(stretch.now.min(stretch.end)).max(1);
    let run = |span: &super::model::ArchetypeSpan| ArchetypeRun {
        from: seconds(span.from).min(end),
        archetype: span
            .archetype
            .map_or_else(String::new, |a| a.name().to_owned()),
        confidence_percent: span.confidence_percent.unwrap_or(0),
    };
    let runs: Vec<ArchetypeRun> = page.archetypes.iter().map(run).collect();
    strip::draw(drawing, &runs, &(0..end), (x, LEFT, 268.0));
}

/// Cost against the promise: every policy a point, the present one marked.
pub(super) fn frontier(points: &[CostPoint]) -> Drawing {
    let mut drawing = Drawing::new(860.0, 340.0);
    let area = Rectangle {
        x: LEFT,
        y: 30.0,
        width: WIDTH - 10.0,
        height: 250.0,
    };
    drawing.keep_labels_within(area);
    let costs = points.iter().map(|p| p.cost);
    let x = Axis::linear(costs, area.x + 20.0, area.x + area.width - 20.0);
    let shares = points.iter().map(|p| p.violations_percent);
    let y = Axis::linear(shares.chain([0.0]), area.y + area.height, area.y);
    let names = ("cost", "requests that broke the promise, %");
    drawing.frame(&x, &y, area, names);
    let place = |p: &CostPoint| (x.place(p.cost), y.place(p.violations_percent));
    for point in points {
        drawing.reserve(place(point), 8.0);
    }
    for point in points {
        let title = format!(
            "{}: cost {:.2}, {:.2} % broke the promise",
            super::head::shown(&point.name),
            point.cost,
            point.violations_percent
        );
        let (radius, class) = if point.present {
            (7.0, "present")
        } else {
            (4.5, "other")
        };
        drawing.point(place(point), radius, class, &title);
    }
    for point in points {
        let name = super::head::shown(&point.name);
        drawing.label(place(point), 12.0, "name", &name);
    }
    drawing
}
