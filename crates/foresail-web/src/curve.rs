//! Lines over episodes: what each way to learn earned as it went on.

use crate::figure::Figure;
use crate::page::axis::Axis;
use crate::page::chart::{Anchor, Drawing, Rectangle, colour};

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// Its points in order; those that are not finite break it.
    pub points: Vec<(f64, f64)>,
}

/// Lines in one picture; `texts` are its file's name, its title and its caption, `axes` what stands at
/// them.
#[must_use]
pub fn curves(texts: (&str, &str, &str), axes: (&str, &str), lines: &[Curve]) -> Figure {
    let rows = lines.len().div_ceil(3) as f64;
    let top = 24.0 + 16.0 * rows;
    let mut drawing = Drawing::new(860.0, 420.0 + top);
    let area = Rectangle {
        x: 80.0,
        y: top,
        width: 760.0,
        height: 350.0,
    };
    let all = || {
        let points = lines.iter().flat_map(|l| &l.points);
        points.filter(|p| p.0.is_finite() && p.1.is_finite())
    };
    let x = Axis::linear(all().map(|p| p.0), area.x, area.x + area.width - 10.0);
    let y = Axis::linear(all().map(|p| p.1), area.y + area.height, area.y);
    drawing.frame(&x, &y, area, axes);
    for (index, line) in lines.iter().enumerate() {
        let finite = |p: &(f64, f64)| p.0.is_finite() && p.1.is_finite();
        for part in line.points.split(|p| !finite(p)) {
            let placed: Vec<_> = part.iter().map(|p| (x.place(p.0), y.place(p.1))).collect();
            drawing.path(&placed, colour(index), 2.0, "");
        }
        let (row, column) = ((index / 3) as f64, (index % 3) as f64);
        let at = (area.x + 250.0 * column, 16.0 + 16.0 * row);
        drawing.path(
            &[(at.0, at.1 - 4.0), (at.0 + 18.0, at.1 - 4.0)],
            colour(index),
            3.0,
            "",
        );
        drawing.text(at.0 + 24.0, at.1, 12.0, Anchor::Start, "name", &line.name);
    }
    Figure {
        name: texts.0.to_owned(),
        title: texts.1.to_owned(),
        caption: texts.2.to_owned(),
        drawing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_name_and_a_gap_breaks_it() {
        let line = |name: &str, points: &[(f64, f64)]| Curve {
            name: name.to_owned(),
            points: points.to_vec(),
        };
        let lines = [
            line(
                "one",
                &[(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0), (3.0, 4.0)],
            ),
            line("two", &[(0.0, 2.0), (1.0, 2.0)]),
        ];
        let figure = curves(("f", "t", "c"), ("episode", "reward"), &lines);
        let svg = figure.drawing.standalone("t");
        assert!(svg.contains("one") && svg.contains("two"), "{svg}");
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
