//! The reliability diagram of a classifier: how often it is right where it says how sure it is.

use crate::page::axis::Axis;
use crate::page::chart::{Anchor, Drawing, Rectangle, colour};
use crate::page::text::number;

/// Verdicts of like confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Mean confidence, from 0 to 1.
    pub confidence: f64,
    /// Share that was right.
    pub accuracy: f64,
    /// Number of verdicts.
    pub count: u64,
}

/// One curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Against what it was judged.
    pub name: String,
    /// Its points, by rising confidence.
    pub points: Vec<Point>,
    /// Expected calibration error.
    pub ece: f64,
}

/// Draws the curves; on the diagonal confidence comes true. A dot's area grows with its verdicts.
#[must_use]
pub fn draw(title: &str, curves: &[Curve]) -> Drawing {
    let mut drawing = Drawing::new(620.0, 560.0);
    let area = Rectangle {
        x: 70.0,
        y: 50.0,
        width: 520.0,
        height: 440.0,
    };
    let x = Axis::exact(0.0, 1.0, area.x, area.x + area.width);
    let y = Axis::exact(0.0, 1.0, area.y + area.height, area.y);
    drawing.text(area.x, 24.0, 14.0, Anchor::Start, "strong", title);
    drawing.frame(&x, &y, area, ("confidence", "share that was right"));
    let corner = |v: f64| (x.place(v), y.place(v));
    drawing.line(corner(0.0), corner(1.0), "grid");
    for (index, curve) in curves.iter().enumerate() {
        let at = |p: &Point| (x.place(p.confidence), y.place(p.accuracy));
        let places: Vec<(f64, f64)> = curve.points.iter().map(at).collect();
        drawing.path(&places, colour(index), 1.6, "");
        let all: u64 = curve.points.iter().map(|p| p.count).sum();
        for (point, place) in curve.points.iter().zip(places) {
            let share = point.count as f64 / all.max(1) as f64;
            let told = format!(
                "{}: {} verdicts at confidence {}, {} right",
                curve.name,
                point.count,
                number(point.confidence, 3),
                number(point.accuracy, 3)
            );
            drawing.dot(place, 2.0 + 8.0 * share.sqrt(), colour(index), 0.8, &told);
        }
        let name = format!("{}, ECE {}", curve.name, number(curve.ece, 3));
        let row = area.y + 18.0 + 18.0 * index as f64;
        drawing.dot((area.x + 16.0, row - 4.0), 5.0, colour(index), 1.0, "");
        drawing.text(area.x + 28.0, row, 12.0, Anchor::Start, "tick", &name);
    }
    drawing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_told_in_words_and_the_diagonal_is_there() {
        let curve = Curve {
            name: "accuracy on truth".to_owned(),
            points: vec![Point {
                confidence: 0.9,
                accuracy: 0.85,
                count: 40,
            }],
            ece: 0.05,
        };
        let svg = draw("a model", &[curve]).standalone("a model");
        assert!(svg.contains("40 verdicts at confidence 0.9"), "{svg}");
        assert!(svg.contains("ECE 0.05"));
    }
}
