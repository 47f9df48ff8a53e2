//! The frontier of a sweep: every policy a line through its best settings.

use crate::figure::Figure;
use crate::page::axis::Axis;
use crate::page::chart::{Anchor, Drawing, Rectangle, colour};
use crate::page::text::number;

/// Shares of requests below this are drawn at it, in percent: a logarithm knows no zero.
const SHARE_MIN: f64 = 0.01;

/// One setting of a policy, as means over seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What it cost.
    pub cost: f64,
    /// Requests that broke the promise, in percent.
    pub violations_percent: f64,
    /// The setting, for the pointer.
    pub setting: String,
}

/// Points that no other of the same policy beats in both, by rising cost.
fn best(points: &[Point]) -> Vec<&Point> {
    let mut sorted: Vec<_> = points.iter().collect();
    sorted.sort_by(|a, b| {
        a.cost
            .total_cmp(&b.cost)
            .then(a.violations_percent.total_cmp(&b.violations_percent))
    });
    let mut least = f64::INFINITY;
    sorted.retain(|p| {
        let keep = p.violations_percent < least;
        if keep {
            least = p.violations_percent;
        }
        keep
    });
    sorted
}

/// Cost against broken promises: a line per policy, its other settings as faint dots.
///
/// `name` is the file's; `policies` are drawn in their order.
#[must_use]
pub fn frontiers(name: &str, policies: &[(String, Vec<Point>)]) -> Figure {
    let mut drawing = Drawing::new(860.0, 480.0);
    let area = Rectangle {
        x: 70.0,
        y: 40.0,
        width: 600.0,
        height: 380.0,
    };
    let all = || policies.iter().flat_map(|(_, points)| points);
    let shown = |share: f64| if share > SHARE_MIN { share } else { SHARE_MIN };
    let x = Axis::linear(
        all().map(|p| p.cost),
        area.x + 20.0,
        area.x + area.width - 20.0,
    );
    let y = Axis::logarithmic(
        all().map(|p| shown(p.violations_percent)),
        area.y + area.height - 20.0,
        area.y,
    );
    drawing.frame(
        &x,
        &y,
        area,
        ("cost", "requests that broke the promise, % (log scale)"),
    );
    for (index, (policy, points)) in policies.iter().enumerate() {
        let place = |p: &Point| (x.place(p.cost), y.place(shown(p.violations_percent)));
        let line = best(points);
        let path: Vec<_> = line.iter().map(|p| place(p)).collect();
        drawing.path(&path, colour(index), 2.0, "");
        for point in points {
            let on_line = line.contains(&point);
            let title = format!(
                "{policy}, {}: cost {}, {} % broke the promise",
                point.setting,
                number(point.cost, 2),
                number(point.violations_percent, 2)
            );
            let (size, opacity) = if on_line { (5.0, 1.0) } else { (3.0, 0.4) };
            drawing.dot(place(point), size, colour(index), opacity, &title);
        }
        let at = area.y + 16.0 + index as f64 * 22.0;
        drawing.path(
            &[(690.0, at - 4.0), (714.0, at - 4.0)],
            colour(index),
            3.0,
            "",
        );
        drawing.text(722.0, at, 12.0, Anchor::Start, "name", policy);
    }
    Figure {
        name: format!("frontier-{name}"),
        title: format!("What each policy costs and what it keeps: {name}"),
        caption: "Each line joins a policy's best settings, faint dots are its others; lower left is better.".to_owned(),
        drawing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_gets_its_line_and_every_setting_its_dot() {
        let point = |cost, violations_percent| Point {
            cost,
            violations_percent,
            setting: format!("at {cost}"),
        };
        let policies = [
            (
                "hpa".to_owned(),
                vec![point(1.0, 9.0), point(2.0, 10.0), point(3.0, 0.0)],
            ),
            ("kpa".to_owned(), vec![point(2.0, 5.0)]),
        ];
        let figure = frontiers("steady", &policies);
        let svg = figure.drawing.standalone(&figure.title);
        assert_eq!(svg.matches("broke the promise</title>").count(), 4);
        let kept: Vec<_> = best(&policies[0].1).iter().map(|p| p.cost).collect();
        assert_eq!(kept, [1.0, 3.0]);
    }
}
