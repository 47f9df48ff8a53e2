//! The figure of one tradeoff: two measures against each other, a swept setting as the line.

use crate::figure::Figure;
use crate::page::axis::Axis;
use crate::page::chart::{Anchor, Drawing, Rectangle, colour};
use crate::page::text::number;
use crate::read_model::{PolicyReport, RunReport, Tradeoff};

const GREY: &str = "#8c959f";

/// A policy that lies so many times higher than the whole line is told and not drawn: beside it all
/// others would be one point.
const FAR: f64 = 3.0;

/// The least distance in pixels between two points of the line whose names are written.
const LABELS_APART: f64 = 50.0;

/// Every policy a point, the swept setting a line with its names.
pub(crate) fn draw(run: &RunReport, tradeoff: &Tradeoff) -> Figure {
    let point = |p: &PolicyReport| {
        let name = p.name.clone();
        Some((name, p.measure(&tradeoff.x.0)?, p.measure(&tradeoff.y.0)?))
    };
    let points: Vec<Point> = run.policies.iter().filter_map(point).collect();
    let highest = tradeoff.line.iter().map(|l| l.2).max_by(f64::total_cmp);
    let most = highest
        .filter(|h| *h > 0.0)
        .map_or(f64::INFINITY, |h| FAR * h);
    let (points, far): (Vec<Point>, Vec<Point>) = points.into_iter().partition(|p| p.2 <= most);
    if far.is_empty() {
        return scatter(&points, tradeoff);
    }
    let told = far.iter().map(|p| format!("{} at {}", p.0, number(p.2, 2)));
    let told: Vec<String> = told.collect();
    let caption = format!(
        "{} Far above and not drawn: {}.",
        tradeoff.caption,
        told.join(", ")
    );
    let tradeoff = Tradeoff {
        caption,
        ..tradeoff.clone()
    };
    scatter(&points, &tradeoff)
}

/// A name with its place: right, up.
pub type Point = (String, f64, f64);

/// Points with their names, and the line that belongs to them.
#[must_use]
pub fn scatter(points: &[Point], tradeoff: &Tradeoff) -> Figure {
    let mut drawing = Drawing::new(860.0, 480.0);
    let area = Rectangle {
        x: 80.0,
        y: 40.0,
        width: 750.0,
        height: 380.0,
    };
    let is_drawn = |(_, x, y): &&Point| x.is_finite() && y.is_finite();
    let points: Vec<&Point> = points.iter().filter(is_drawn).collect();
    let xs = points.iter().map(|p| p.1);
    let xs = xs.chain(tradeoff.line.iter().map(|l| l.1)).chain([0.0]);
    let ys = points.iter().map(|p| p.2);
    let ys = ys.chain(tradeoff.line.iter().map(|l| l.2)).chain([0.0]);
    let x = Axis::linear(xs, area.x, area.x + area.width - 20.0);
    let y = Axis::linear(ys, area.y + area.height, area.y);
    drawing.keep_labels_within(area);
    drawing.frame(&x, &y, area, (&tradeoff.x.1, &tradeoff.y.1));
    let place = |right: f64, up: f64| (x.place(right), y.place(up));
    let places: Vec<_> = points.iter().map(|p| place(p.1, p.2)).collect();
    places.iter().for_each(|at| drawing.reserve(*at, 9.0));
    draw_line(&mut drawing, tradeoff, &place);
    for (index, ((name, right, up), at)) in points.iter().zip(&places).enumerate() {
        let title = format!("{name}: {}, {}", number(*right, 2), number(*up, 2));
        drawing.dot(*at, 7.0, colour(index), 1.0, &title);
    }
    for (index, ((name, ..), at)) in points.iter().zip(&places).enumerate() {
        drawing.coloured_label(*at, 13.0, colour(index), name);
    }
    let corner = (area.x + area.width - 6.0, area.y + 14.0);
    let best = "lower left is better";
    drawing.text(corner.0, corner.1, 12.0, Anchor::End, "tick", best);
    Figure {
        name: tradeoff.name.clone(),
        title: tradeoff.title.clone(),
        caption: tradeoff.caption.clone(),
        drawing,
    }
}

fn draw_line(drawing: &mut Drawing, tradeoff: &Tradeoff, place: &dyn Fn(f64, f64) -> (f64, f64)) {
    let finite = |l: &&(String, f64, f64)| l.1.is_finite() && l.2.is_finite();
    let line: Vec<_> = tradeoff.line.iter().filter(finite).collect();
    let places: Vec<_> = line.iter().map(|(_, x, y)| place(*x, *y)).collect();
    drawing.path(&places, GREY, 2.0, "");
    for ((name, right, up), at) in line.iter().zip(&places) {
        let title = format!("{name}: {}, {}", number(*right, 2), number(*up, 2));
        drawing.dot(*at, 4.0, GREY, 1.0, &title);
    }
    // Names that would crowd are left to the pointer.
    let mut last: Option<(f64, f64)> = None;
    for ((name, ..), at) in line.iter().zip(&places) {
        let far = |l: (f64, f64)| (l.0 - at.0).hypot(l.1 - at.1) > LABELS_APART;
        if last.is_none_or(far) {
            drawing.label(*at, 11.0, "tick", name);
            last = Some(*at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_points_that_crowd_are_left_out_and_what_is_not_finite_is_not_drawn() {
        let point = |name: &str, x| (name.to_owned(), x, 1.0);
        let tradeoff = Tradeoff {
            name: "t".to_owned(),
            title: "t".to_owned(),
            caption: String::new(),
            x: (String::new(), String::new()),
            y: (String::new(), String::new()),
            line: vec![
                point("a", 0.0),
                point("b", 1.0),
                point("c", 500.0),
                point("d", f64::NAN),
            ],
        };
        let mut drawing = Drawing::new(600.0, 100.0);
        draw_line(&mut drawing, &tradeoff, &|x, y| (x, y));
        let svg = drawing.standalone("t");
        let named = |name: &str| svg.contains(&format!(">{name}</text>"));
        assert_eq!(["a", "b", "c", "d"].map(named), [true, false, true, false]);
        assert!(!svg.contains("NaN"));
    }
}
