//! The figure of a search: what each trial cost, whether it kept the promise, and the best so far.

use crate::figure::Figure;
use crate::page::axis::Axis;
use crate::page::chart::{Anchor, Drawing, Rectangle, colour, stepped};
use crate::page::text::number;

const GREY: &str = "#8c959f";

/// One trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Its number.
    pub number: u64,
    /// What it cost; nothing is drawn of one that is not finite.
    pub cost: f64,
    /// Whether it kept the promise.
    pub kept: bool,
    /// What it came to, for the pointer.
    pub title: String,
}

/// A level to which the trials are held.
pub type Level = (&'static str, f64);

/// Trials in their order, a line along the cheapest that kept the promise, and levels.
#[must_use]
pub fn search(name: &str, title: &str, trials: &[Trial], levels: &[Level]) -> Figure {
    let mut drawing = Drawing::new(860.0, 480.0);
    let area = Rectangle {
        x: 80.0,
        y: 40.0,
        width: 620.0,
        height: 380.0,
    };
    let drawn: Vec<&Trial> = trials.iter().filter(|t| t.cost.is_finite()).collect();
    let right = area.x + area.width - 20.0;
    let numbers = drawn.iter().map(|t| t.number as f64);
    let x = Axis::linear(numbers.chain([0.0]), area.x, right);
    let costs = drawn.iter().map(|t| t.cost);
    let costs = costs.chain(levels.iter().map(|l| l.1)).chain([0.0]);
    let y = Axis::linear(costs, area.y + area.height, area.y);
    drawing.frame(&x, &y, area, ("trial", "cost per 1,000 requests"));
    for (index, (level, value)) in levels.iter().enumerate() {
        let at = y.place(*value);
        drawing.path(&[(area.x, at), (right, at)], colour(index + 2), 1.5, "6 4");
        let label = format!("{level} {}", number(*value, 4));
        drawing.coloured_label((right + 2.0, at), 12.0, colour(index + 2), &label);
    }
    let mut best = f64::INFINITY;
    let mut line = Vec::new();
    for trial in &drawn {
        let at = (x.place(trial.number as f64), y.place(trial.cost));
        let fill = if trial.kept { colour(0) } else { GREY };
        drawing.dot(at, 4.0, fill, 0.8, &trial.title);
        if trial.kept && trial.cost < best {
            best = trial.cost;
        }
        if best.is_finite() {
            line.push((at.0, y.place(best)));
        }
    }
    drawing.path(&stepped(&line), colour(0), 2.0, "");
    for (row, (fill, text)) in [
        (colour(0), "kept the promise; line: best so far"),
        (GREY, "broke it"),
    ]
    .into_iter()
    .enumerate()
    {
        let at = 14.0 + 14.0 * row as f64;
        drawing.dot((area.x + 10.0, at - 4.0), 4.0, fill, 0.8, text);
        drawing.text(area.x + 20.0, at, 12.0, Anchor::Start, "name", text);
    }
    Figure {
        name: name.to_owned(),
        title: title.to_owned(),
        caption: "Each dot is one trial; the line follows the cheapest that kept the promise."
            .to_owned(),
        drawing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trial_with_a_cost_is_a_dot_and_the_line_follows_the_best() {
        let trial = |number, cost, kept| Trial {
            number,
            cost,
            kept,
            title: format!("trial {number}"),
        };
        let trials = [
            trial(1, 3.0, false),
            trial(2, 5.0, true),
            trial(3, f64::NAN, false),
            trial(4, 4.0, true),
        ];
        let figure = search("search", "t", &trials, &[("bound", 2.0)]);
        let svg = figure.drawing.standalone("t");
        assert_eq!(svg.matches("<title>trial").count(), 3, "{svg}");
        assert!(svg.contains("bound"), "{svg}");
    }
}
