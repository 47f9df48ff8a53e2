//! The figures of a comparison.

use crate::page::axis::Axis;
use crate::page::chart::{Anchor, Drawing, Rectangle, colour, stepped};
use crate::page::text::number;
use crate::page::time;
use crate::read_model::{OraclePoint, PolicyReport, RunReport, non_dominated};
use crate::{strip, tradeoff};

/// One figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its file's name, without an ending.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// What a reader should see in it.
    pub caption: String,
    /// The drawing.
    pub drawing: Drawing,
}

/// Every figure of a report, in the order of the page.
#[must_use]
pub fn figures(run: &RunReport) -> Vec<Figure> {
    if !run.tradeoffs.is_empty() {
        let tradeoffs = run.tradeoffs.iter().map(|t| tradeoff::draw(run, t));
        return tradeoffs.chain([waits(run)]).collect();
    }
    let mut figures = vec![cost_slo(run), waits(run)];
    for (index, policy) in run.policies.iter().enumerate() {
        figures.push(timeline(run, policy, index, Part::Whole));
        if busiest_day(run).len() < run.workload.demand.len() {
            figures.push(timeline(run, policy, index, Part::BusiestDay));
        }
    }
    figures
}

/// Shares of requests below this, in percent, stand at the foot of the picture.
const SHARE_MIN: f64 = 0.01;

/// Cost against violations: every policy a point, the HPA's frontier a line.
fn cost_slo(run: &RunReport) -> Figure {
    let mut drawing = Drawing::new(860.0, 480.0);
    let area = Rectangle {
        x: 70.0,
        y: 40.0,
        width: 760.0,
        height: 380.0,
    };
    let points: Vec<(&PolicyReport, f64, f64)> = run
        .policies
        .iter()
        .filter_map(|p| Some((p, p.measure("cost")?, p.measure("violations_percent")?)))
        .collect();
    let of_oracle = shown_of_oracle(run, &points);
    let costs = points
        .iter()
        .map(|p| p.1)
        .chain(run.frontier.iter().map(|f| f.cost))
        .chain(of_oracle.iter().map(|p| p.cost));
    let shares = || {
        points
            .iter()
            .map(|p| p.2)
            .chain(run.frontier.iter().map(|f| f.violations_percent))
            .chain(of_oracle.iter().map(|p| p.violations_percent))
    };
    let x = Axis::linear(costs, area.x + 20.0, area.x + area.width - 20.0);
    let shown = shares().map(|v| v.max(SHARE_MIN));
    // Room under the least share, so that its labels keep off the ticks of the cost.
    let y = Axis::logarithmic(shown, area.y + area.height - 30.0, area.y).or_less(SHARE_MIN);
    drawing.keep_labels_within(area);
    let names = (
        "cost of the run (price × replica-hours)",
        "requests that broke the promise, % (log scale)",
    );
    drawing.frame(&x, &y, area, names);
    draw_promise(&mut drawing, run, area, &y);
    let places: Vec<_> = points
        .iter()
        .map(|(_, c, v)| (x.place(*c), y.place(*v)))
        .collect();
    places.iter().for_each(|at| drawing.reserve(*at, 9.0));
    draw_frontier(&mut drawing, run, &x, &y);
    draw_oracle(&mut drawing, run, &of_oracle, &x, &y);
    for (index, ((policy, cost, share), at)) in points.iter().zip(&places).enumerate() {
        let title = format!(
            "{}: cost {}, {} % broke the promise",
            policy.name,
            number(*cost, 2),
            number(*share, 2)
        );
        drawing.dot(*at, 7.0, colour(index), 1.0, &title);
    }
    for (index, ((policy, ..), at)) in points.iter().zip(&places).enumerate() {
        drawing.coloured_label(*at, 13.0, colour(index), &policy.name);
    }
    let corner = (area.x + area.width - 6.0, area.y + 14.0);
    drawing.text(
        corner.0,
        corner.1,
        12.0,
        Anchor::End,
        "tick",
        "lower left is better",
    );
    Figure {
        name: "cost-slo".to_owned(),
        title: "What each policy costs and what it keeps".to_owned(),
        caption: cost_slo_caption(run),
        drawing,
    }
}

fn cost_slo_caption(run: &RunReport) -> String {
    let own = "Each point is a policy; lower and further left is better. The line joins the best plain-HPA settings \
               (CPU target 40 to 90 %, down window 0 to 300 s), faint dots are the others: a policy is worth its \
               trouble where it lies below that line.";
    match &run.oracle {
        Some(oracle) if !oracle.points.is_empty() => {
            format!("{own} The broken line is the oracle: {}.", oracle.summary)
        }
        _ => own.to_owned(),
    }
}

/// The oracle's points that lie among what else is shown, the first beyond it included.
fn shown_of_oracle(run: &RunReport, policies: &[(&PolicyReport, f64, f64)]) -> Vec<OraclePoint> {
    let Some(oracle) = &run.oracle else {
        return Vec::new();
    };
    let costs = policies
        .iter()
        .map(|p| p.1)
        .chain(run.frontier.iter().map(|f| f.cost));
    let shares = policies
        .iter()
        .map(|p| p.2)
        .chain(run.frontier.iter().map(|f| f.violations_percent));
    let (dearest, worst) = (costs.fold(0.0, f64::max), shares.fold(SHARE_MIN, f64::max));
    let within = |p: &&OraclePoint| p.cost <= dearest && p.violations_percent <= worst;
    let mut kept = Vec::new();
    for point in oracle.points.iter().filter(within) {
        kept.push(*point);
        if point.violations_percent < SHARE_MIN {
            break;
        }
    }
    kept
}

/// The share of requests that the promise allows to be broken, as a line to be under.
fn draw_promise(drawing: &mut Drawing, run: &RunReport, area: Rectangle, y: &Axis) {
    const RED: &str = "#cf222e";
    let kept = run.slo.rsplit(':').next().and_then(|s| s.strip_suffix('%'));
    let Some(kept) = kept.and_then(|s| s.parse::<f64>().ok()) else {
        return;
    };
    let allowed = if 100.0 - kept > SHARE_MIN {
        100.0 - kept
    } else {
        SHARE_MIN
    };
    let (left, right, at) = (area.x, area.x + area.width, y.place(allowed));
    if !(area.y..=area.y + area.height).contains(&at) {
        return;
    }
    drawing.path(&[(left, at), (right, at)], RED, 1.0, "");
    let text = format!("promised: {} % or less", number(allowed, 2));
    drawing.text(left + 6.0, at + 14.0, 11.0, Anchor::Start, "tick", &text);
}

/// The oracle as a broken line.
fn draw_oracle(drawing: &mut Drawing, run: &RunReport, points: &[OraclePoint], x: &Axis, y: &Axis) {
    const GREEN: &str = "#1a7f37";
    let place = |p: &OraclePoint| {
        (
            x.place(p.cost),
            y.place(p.violations_percent.max(SHARE_MIN)),
        )
    };
    let line: Vec<_> = points.iter().map(place).collect();
    drawing.path(&line, GREEN, 2.0, "6 4");
    for (point, at) in points.iter().zip(&line) {
        let title = format!(
            "oracle: cost {}, {} % broke the promise",
            number(point.cost, 2),
            number(point.violations_percent, 2)
        );
        drawing.dot(*at, 2.5, GREEN, 1.0, &title);
    }
    let exact = run.oracle.as_ref().is_some_and(|o| o.exact);
    if let Some(middle) = line.get(line.len() / 2) {
        let name = if exact {
            "oracle"
        } else {
            "oracle (reference)"
        };
        drawing.label(*middle, 12.0, "tick", name);
    }
}

fn draw_frontier(drawing: &mut Drawing, run: &RunReport, x: &Axis, y: &Axis) {
    const GREY: &str = "#8c959f";
    let best = non_dominated(&run.frontier);
    let place =
        |p: &crate::read_model::FrontierPoint| (x.place(p.cost), y.place(p.violations_percent));
    let line: Vec<_> = best.iter().map(|p| place(p)).collect();
    drawing.path(&line, GREY, 2.0, "");
    for point in &run.frontier {
        let on_line = best.contains(&point);
        let title = format!(
            "HPA at {} %, down window {} s: cost {}, {} % broke the promise",
            point.target_percent,
            point.down_window_seconds,
            number(point.cost, 2),
            number(point.violations_percent, 2)
        );
        drawing.dot(
            place(point),
            if on_line { 4.0 } else { 3.0 },
            GREY,
            if on_line { 1.0 } else { 0.4 },
            &title,
        );
    }
    for (place, point) in line.iter().zip(&best).step_by(2) {
        let text = format!(
            "{} %, {} s",
            point.target_percent, point.down_window_seconds
        );
        drawing.label(*place, 11.0, "tick", &text);
    }
}

/// How long requests waited: the share that waited longer, both axes logarithmic.
fn waits(run: &RunReport) -> Figure {
    let mut drawing = Drawing::new(860.0, 440.0);
    let area = Rectangle {
        x: 70.0,
        y: 40.0,
        width: 620.0,
        height: 340.0,
    };
    let all = || run.policies.iter().flat_map(|p| p.wait_tail.iter());
    let x = Axis::logarithmic(
        all().map(|p| p.0).filter(|ms| *ms >= 0.1),
        area.x,
        area.x + area.width,
    );
    let y = Axis::logarithmic(
        all().map(|p| p.1).filter(|s| *s >= 1e-6).chain([1.0]),
        area.y + area.height,
        area.y,
    );
    drawing.frame(
        &x,
        &y,
        area,
        (
            "wait until served, milliseconds",
            "share of requests that waited longer",
        ),
    );
    let mut labels = Vec::new();
    for (index, policy) in run.policies.iter().enumerate() {
        let mut points: Vec<_> = policy
            .wait_tail
            .iter()
            .filter(|p| p.0 >= x.low() && p.1 > 0.0)
            .collect();
        points.dedup_by(|a, b| (a.1 - b.1).abs() < f64::EPSILON);
        let line: Vec<_> = points
            .iter()
            .map(|(ms, share)| (x.place(*ms), y.place(*share)))
            .collect();
        drawing.path(&line, colour(index), 2.0, "");
        labels.push((index, policy));
    }
    for (row, (index, policy)) in labels.into_iter().enumerate() {
        let at = area.y + 16.0 + row as f64 * 22.0;
        drawing.path(
            &[(710.0, at - 4.0), (734.0, at - 4.0)],
            colour(index),
            3.0,
            "",
        );
        drawing.text(742.0, at, 12.0, Anchor::Start, "name", &policy.name);
    }
    Figure {
        name: "waits".to_owned(),
        title: "How long requests waited".to_owned(),
        caption: "Read it as: this share of all requests waited longer than that. A line that falls further to the left \
                  is better; a policy without a line kept nobody waiting. Requests that were never served are not in it."
            .to_owned(),
        drawing,
    }
}

/// Which part of the run a timeline shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    BusiestDay,
}

/// The buckets of the day with the most demand; all where the run is no longer than a day.
pub(crate) fn busiest_day(run: &RunReport) -> std::ops::Range<usize> {
    let demand = &run.workload.demand;
    let per_day = (86_400 / run.workload.bucket_seconds.max(1)) as usize;
    let days = demand.len() / per_day.max(1);
    if days < 2 {
        return 0..demand.len();
    }
    let sum = |day: usize| {
        demand[day * per_day..(day + 1) * per_day]
            .iter()
            .sum::<f64>()
    };
    let best = (0..days)
        .max_by(|a, b| sum(*a).total_cmp(&sum(*b)))
        .unwrap_or(0);
    best * per_day..(best + 1) * per_day
}

/// Demand, capacity and replicas of one policy over time.
fn timeline(run: &RunReport, policy: &PolicyReport, index: usize, part: Part) -> Figure {
    let range = match part {
        Part::Whole => 0..run.workload.demand.len(),
        Part::BusiestDay => busiest_day(run),
    };
    let strip = if policy.archetypes.is_empty() {
        0.0
    } else {
        strip::HEIGHT
    };
    let mut drawing = Drawing::new(860.0, 400.0 + strip);
    let upper = Rectangle {
        x: 60.0,
        y: 34.0,
        width: 780.0,
        height: 180.0,
    };
    let lower = Rectangle {
        x: 60.0,
        y: 258.0,
        width: 780.0,
        height: 84.0,
    };
    let cut = |values: &[f64]| -> Vec<f64> {
        values
            .get(range.clone())
            .map_or_else(Vec::new, <[f64]>::to_vec)
    };
    let (demand, capacity) = (cut(&run.workload.demand), cut(&policy.capacity));
    let (ready, current, violations) = (
        cut(&policy.ready),
        cut(&policy.current),
        cut(&policy.violations),
    );
    let x = Axis::exact(0.0, demand.len() as f64, upper.x, upper.x + upper.width);
    let line = |values: &[f64], y: &Axis| -> Vec<(f64, f64)> {
        values
            .iter()
            .enumerate()
            .map(|(i, v)| (x.place(i as f64 + 0.5), y.place(*v)))
            .collect()
    };
    let y = Axis::linear(
        demand.iter().chain(&capacity).copied().chain([0.0]),
        upper.y + upper.height,
        upper.y,
    );
    draw_days(&mut drawing, run, &range, &x, (upper, lower));
    draw_side(&mut drawing, &y, upper, "requests per second");
    drawing.area(&line(&demand, &y), upper.y + upper.height, "#8c959f", 0.35);
    drawing.path(&stepped(&line(&capacity, &y)), colour(index), 1.5, "");
    let y = Axis::linear(
        ready.iter().chain(&current).copied().chain([0.0]),
        lower.y + lower.height,
        lower.y,
    );
    draw_side(&mut drawing, &y, lower, "replicas");
    drawing.path(&stepped(&line(&current, &y)), "#8c959f", 1.2, "3 2");
    drawing.path(&stepped(&line(&ready, &y)), colour(index), 1.5, "");
    draw_violations(&mut drawing, &violations, &x, upper.y + upper.height + 8.0);
    draw_legend(&mut drawing, colour(index));
    if strip > 0.0 {
        strip::draw(
            &mut drawing,
            &policy.archetypes,
            &range,
            (&x, upper.x, 406.0),
        );
    }
    let (suffix, title) = match part {
        Part::Whole => ("", policy.name.clone()),
        Part::BusiestDay => ("-day", format!("{}, busiest day", policy.name)),
    };
    Figure {
        name: format!("timeline-{}{suffix}", policy.name),
        title,
        caption: policy.summary.clone(),
        drawing,
    }
}

fn draw_side(drawing: &mut Drawing, y: &Axis, area: Rectangle, name: &str) {
    let ticks = y.ticks();
    let every = if area.height < 100.0 { 2 } else { 1 };
    for (value, text) in ticks.into_iter().step_by(every) {
        let at = y.place(value);
        drawing.line((area.x, at), (area.x + area.width, at), "grid");
        drawing.text(area.x - 8.0, at + 4.0, 12.0, Anchor::End, "tick", &text);
    }
    drawing.text(area.x, area.y - 10.0, 13.0, Anchor::Start, "name", name);
}

/// Vertical lines and names of days, or of hours where there is one day.
fn draw_days(
    drawing: &mut Drawing,
    run: &RunReport,
    range: &std::ops::Range<usize>,
    x: &Axis,
    areas: (Rectangle, Rectangle),
) {
    let bucket = run.workload.bucket_seconds.max(1);
    let begin = run.workload.start_seconds + range.start as i64 * bucket;
    let length = range.len() as i64 * bucket;
    for (at, text) in time::ticks(begin, length, 14) {
        let place = x.place((at - begin) as f64 / bucket as f64);
        drawing.line(
            (place, areas.0.y),
            (place, areas.1.y + areas.1.height),
            "grid",
        );
        drawing.text(
            place,
            areas.1.y + areas.1.height + 18.0,
            12.0,
            Anchor::Middle,
            "tick",
            &text,
        );
    }
}

/// Marks under the upper panel where requests broke the promise, the darker the more.
fn draw_violations(drawing: &mut Drawing, violations: &[f64], x: &Axis, y: f64) {
    let most = violations.iter().copied().fold(0.0, f64::max);
    let mut marks: Vec<(usize, f64)> = Vec::new();
    for (i, value) in violations.iter().enumerate().filter(|(_, v)| **v > 0.0) {
        // Marks closer than a pixel become one.
        match marks.last_mut() {
            Some((at, largest)) if x.place(i as f64) - x.place(*at as f64) < 1.0 => {
                *largest = largest.max(*value);
            }
            _ => marks.push((i, *value)),
        }
    }
    for (i, value) in marks {
        let share = (value / most).sqrt().clamp(0.15, 1.0);
        let at = x.place(i as f64 + 0.5);
        drawing.area(&[(at - 0.7, y), (at + 0.7, y)], y + 8.0, "#cf222e", share);
    }
}

fn draw_legend(drawing: &mut Drawing, stroke: &str) {
    let y = 388.0;
    drawing.area(&[(60.0, y - 9.0), (78.0, y - 9.0)], y, "#8c959f", 0.35);
    drawing.text(84.0, y, 12.0, Anchor::Start, "tick", "demand");
    drawing.path(&[(150.0, y - 4.0), (170.0, y - 4.0)], stroke, 2.0, "");
    drawing.text(
        176.0,
        y,
        12.0,
        Anchor::Start,
        "tick",
        "capacity; ready replicas",
    );
    drawing.path(&[(350.0, y - 4.0), (370.0, y - 4.0)], "#8c959f", 1.5, "3 2");
    drawing.text(376.0, y, 12.0, Anchor::Start, "tick", "replicas asked for");
    drawing.area(&[(510.0, y - 9.0), (513.0, y - 9.0)], y, "#cf222e", 1.0);
    drawing.text(
        519.0,
        y,
        12.0,
        Anchor::Start,
        "tick",
        "requests broke the promise",
    );
}
